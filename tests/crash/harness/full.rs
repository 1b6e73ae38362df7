//! Full disks: every capacity between nothing and enough.

use std::path::Path;

use ossicle::testing::{CutPolicy, Planted};
use ossicle::{CompactOptions, Durability, ErrorKind, Site, Store};

use super::model::State;
use super::run::{Weather, run};
use super::script::{Body, Op, Script, Step};
use super::upload::Uploading;
use super::world::{DIR, World, observe, verify};
use super::{Tally, Verdict, aftermath};

/// Runs the script on disks of all sizes, `step` bytes apart.
pub fn every_capacity(script: &Script, seed: u64, step: u64, mistake: Option<Planted>) -> Verdict<Tally> {
    let mut tally = Tally::default();
    let mut capacity = 4096 * (seed % 4);
    loop {
        let mut world = World::new(seed, mistake);
        if script.name == "index_rewritten" {
            // A checkpoint of this index does not fit into the small reserve; so much is what `reserve_bytes` asks for.
            world.settings.reserve_bytes = 512 << 10;
        }
        world.disk.set_capacity(Some(capacity));
        let wrong = |why| format!("script {}, a disk of {capacity} bytes, seed {seed}: {why}", script.name);
        let run = run(&world, script, Weather::Full).map_err(wrong)?;
        tally.add(&world.disk);
        let was_full =
            world.disk.hits().iter().any(|hit| hit.fault == "storage-full" && hit.site.0 != "store.reserve");
        let store = run.store.clone();
        let newest = run.newest().clone();
        for policy in [CutPolicy::DropUnsynced, CutPolicy::KeepAll] {
            let after = world.restart(policy);
            let reopened = after.open();
            match reopened {
                Ok(store) => {
                    let seen = observe(&store).map_err(wrong)?;
                    aftermath::hold(&seen, &run.allowed())
                        .map_err(|why| wrong(format!("after a restart: {why}")))?;
                }
                // A store that never came to be may not come to be for want of room.
                Err(error) if newest == State::default() && error.kind() == ErrorKind::Quota => {}
                Err(error) => return Err(wrong(format!("the full store does not open: {error}"))),
            }
        }
        // Deletes on a full disk are promised to those whose disk had room for the reserve.
        let reserved = reserve_of(&world) >= world.settings.reserve_bytes;
        if let Some(store) = store.filter(|_| reserved) {
            relief(&world, &store, newest, run.refused > 0).map_err(wrong)?;
        }
        if !was_full && run.refused == 0 && run.stopped.is_none() {
            return Ok(tally);
        }
        capacity += step;
    }
}

/// Bytes that the store keeps in reserve.
fn reserve_of(world: &World) -> u64 {
    let names = world.disk.vfs().list(Path::new(DIR), Site::STORE_LIST).unwrap_or_default();
    names.iter().filter(|listed| listed.name.starts_with("RESERVE")).map(|listed| listed.len).sum()
}

/// On the full disk: deletes, aborts and maintenance go on, and with them comes room; nothing is opened again.
fn relief(world: &World, store: &Store, mut state: State, was_refused: bool) -> Verdict {
    let told = |what: &str, error: ossicle::Error| format!("on a full disk, {what} failed: {error}");
    let spare = world.restart(CutPolicy::KeepAll);
    if was_refused {
        // No byte is free now.
        world.disk.set_capacity(Some(world.disk.used()));
    }
    let names: Vec<(String, Vec<String>)> = state
        .buckets
        .iter()
        .map(|(name, objects)| (name.clone(), objects.keys().cloned().collect()))
        .collect();
    for (name, keys) in &names {
        let bucket = store.bucket(name).map_err(|e| told("finding a bucket", e))?;
        for key in keys {
            if state.write(name, key, None).is_err() {
                // It is retained.
                continue;
            }
            bucket.delete(key).map_err(|e| told(&format!("deleting {key}"), e))?;
        }
    }
    for (name, key) in std::mem::take(&mut state.uploads).into_keys() {
        let bucket = store.bucket(&name).map_err(|e| told("finding a bucket", e))?;
        Uploading::Abort.run(&bucket, &key).map_err(|e| told(&format!("aborting {key}"), e))?;
    }
    aftermath::hold(&observe(store)?, &[&state])?;
    store.checkpoint().map_err(|e| told("a checkpoint", e))?;
    store.maintain(std::time::Duration::from_secs(3600)).map_err(|e| told("maintenance", e))?;
    store.compact(CompactOptions::new()).map_err(|e| told("compaction", e))?;
    aftermath::hold(&observe(store)?, &[&state])?;
    verify(store)?;
    // Room from elsewhere: puts work again, in the same opening.
    world.disk.set_capacity(None);
    let mut ops = vec![Op::CreateBucket("again")];
    for (key, len) in [("tiny", 10), ("packed", 3000), ("streamed", 50_000)] {
        let body = Body { len, seed: len as u64, note: 0, class: None };
        ops.push(Op::Do(Step::Put { bucket: "again", key: key.into(), body }, Durability::Synced));
    }
    for op in &ops {
        op.run(store).map_err(|e| told(&format!("{op:?}, with room again,"), e))?;
        state = state.after(op).map_err(|kind| format!("the model refuses {op:?}: {kind:?}"))?;
    }
    aftermath::hold(&observe(store)?, &[&state])?;
    let dark = world.restart(CutPolicy::DropUnsynced);
    aftermath::check(&dark, &[&state])?;
    // Opening with no byte free.
    spare.disk.set_capacity(Some(spare.disk.used()));
    let store = spare.open().map_err(|e| told("opening", e))?;
    verify(&store)
}

/// Puts fill a disk up to the reserve and no further, and then deletes still work.
pub fn puts_leave_the_reserve(seed: u64, mistake: Option<Planted>) -> Verdict {
    let world = World::new(seed, mistake);
    world.disk.set_capacity(Some(512 << 10));
    let told = |what: &str, error: ossicle::Error| format!("{what}: {error}");
    let store = world.open().map_err(|e| told("opening", e))?;
    let bucket = store.create_bucket("one").map_err(|e| told("making a bucket", e))?;
    let mut number = 0;
    while bucket.put(&format!("k{number}"), vec![1; 1000]).is_ok() {
        number += 1;
    }
    let reserve = reserve_of(&world);
    if reserve < world.settings.reserve_bytes {
        return Err(format!("puts have left {reserve} bytes of the reserve"));
    }
    world.disk.set_capacity(Some(world.disk.used()));
    for gone in 0..number.min(100) {
        bucket.delete(&format!("k{gone}")).map_err(|e| told("deleting on a full disk", e))?;
    }
    Ok(())
}
