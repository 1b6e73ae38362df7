//! Backups under power cuts, failing calls and full disks: the one before or the new one, never a mixture.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use ossicle::testing::{CutPolicy, Fault};
use ossicle::{CompactOptions, ErrorKind, Maintenance, RestoreBackupOptions, Result, SeededEntropy, Store};

use crate::harness::model::State;
use crate::harness::script::{BACKUP, Body, Op, Step};
use crate::harness::world::{World, observe, verify};
use crate::harness::{places, policy_of, seed, spread};

/// How a store on a simulated disk is opened, from wherever it lies.
fn open_at(world: &World, path: &str, read_only: bool, rebuild: bool) -> Result<Store> {
    static OPENINGS: AtomicU64 = AtomicU64::new(1 << 32);
    Store::builder(path)
        .vfs(world.disk.vfs())
        .settings(world.settings.clone())
        .entropy(SeededEntropy::new(OPENINGS.fetch_add(1, Ordering::Relaxed)))
        .maintenance(Maintenance::Manual)
        .create(false)
        .read_only(read_only)
        .rebuild_index(rebuild)
        .open()
}

fn put(key: &str, len: usize, seed: u64) -> Op {
    let body = Body { len, seed, note: 0, class: None };
    Op::Do(Step::Put { bucket: "one", key: key.into(), body }, ossicle::Durability::Synced)
}

fn delete(key: &str) -> Op {
    Op::Do(Step::Delete { bucket: "one", key: key.into() }, ossicle::Durability::Synced)
}

/// A store that was backed up (or not yet) and written to since: the store, what the backup holds, what the store holds.
fn prepared(world: &World, backed_up: bool) -> (Store, Option<State>, State) {
    let store = world.open().unwrap();
    let mut state = State::default();
    let mut run = |ops: &[Op]| {
        for op in ops {
            op.run(&store).unwrap();
            state = state.after(op).unwrap();
        }
        state.clone()
    };
    let first = run(&[
        Op::CreateBucket("one"),
        put("tiny", 40, 1),
        put("packed", 3000, 2),
        put("streamed", 13_000, 3),
        put("goes", 13_000, 4),
    ]);
    if backed_up {
        store.backup(BACKUP).unwrap();
    }
    run(&[put("streamed", 9000, 5), delete("goes"), put("packed", 3500, 6)]);
    store.compact(CompactOptions::new()).unwrap();
    let second = run(&[put("late", 14_000, 7), put("tiny", 60, 8)]);
    (store, backed_up.then_some(first), second)
}

/// What a backup holds, read in every way there is; `None` if there is none.
fn held(world: &World) -> std::result::Result<Option<State>, String> {
    let told = |doing: &str, error: ossicle::Error| format!("{doing}: {error}");
    let opened = match open_at(world, BACKUP, true, false) {
        Ok(store) => store,
        // A directory without a superblock, or with one that says that it was never finished.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Invalid) => return Ok(None),
        Err(error) => return Err(told("the backup does not open", error)),
    };
    let state = observe(&opened)?;
    verify(&opened)?;
    drop(opened);
    let rebuilt = open_at(world, BACKUP, true, true).map_err(|e| told("no rebuild of the backup", e))?;
    if observe(&rebuilt)? != state {
        return Err("the backup is another one with its index made anew".into());
    }
    drop(rebuilt);
    let options = RestoreBackupOptions::new().vfs(world.disk.vfs());
    Store::restore_with(BACKUP, "/restored", options)
        .map_err(|e| told("the backup cannot be restored", e))?;
    for path in ["/restored", BACKUP] {
        let store = open_at(world, path, false, false).map_err(|e| told(path, e))?;
        if observe(&store)? != state {
            return Err(format!("{path} holds something else"));
        }
    }
    Ok(Some(state))
}

/// Everything that must be true after a backup under a fault.
fn judge(
    world: &World,
    backed_up: bool,
    strike: impl FnOnce(&World),
    number: u64,
) -> std::result::Result<(), String> {
    let (store, first, second) = prepared(world, backed_up);
    strike(world);
    let report = store.backup(BACKUP);
    world.disk.clear_faults();
    world.disk.set_capacity(None);
    if let Err(error) = &report
        && !error.is_fatal()
        // Directories whose names could not be synced cannot be made again.
        && backed_up
        && has_power(world)
    {
        if observe(&store)? != second {
            return Err("the store was harmed".into());
        }
        store.backup(BACKUP).map_err(|error| format!("the next backup fails: {error}"))?;
        let same = world.restart(CutPolicy::DropUnsynced);
        if held(&same)? != Some(second.clone()) {
            return Err("the next backup is not the store".into());
        }
        return Ok(());
    }
    drop(store);
    for policy in [CutPolicy::DropUnsynced, CutPolicy::KeepAll, policy_of(number), policy_of(number * 7 + 1)]
    {
        let after = world.restart(policy);
        let seen = held(&after.restart(CutPolicy::KeepAll)).map_err(|why| format!("{policy:?}: {why}"))?;
        let allowed = seen.as_ref() == Some(&second) || (report.is_err() && seen == first);
        if !allowed {
            return Err(format!("{policy:?}: the backup is neither the one before nor the new one"));
        }
        let store = after.open().map_err(|error| format!("{policy:?}: the store: {error}"))?;
        if observe(&store)? != second {
            return Err(format!("{policy:?}: the store has lost something"));
        }
        store.backup(BACKUP).map_err(|error| format!("{policy:?}: the next backup fails: {error}"))?;
        if held(&after)? != Some(second.clone()) {
            return Err(format!("{policy:?}: the next backup is not the store"));
        }
    }
    Ok(())
}

/// Whether the disk still has power.
fn has_power(world: &World) -> bool {
    world.disk.vfs().list(std::path::Path::new("/"), ossicle::Site::STORE_LIST).is_ok()
}

/// All numbers of the range, or a sample of them.
fn among(calls: &Range<u64>) -> impl Iterator<Item = u64> {
    let first = calls.start;
    spread(calls.end - first, places(12), seed()).into_iter().map(move |number| first + number)
}

#[test]
fn every_call_of_a_backup_may_be_the_last_or_fail() {
    let other = io::ErrorKind::Other;
    let mut runs = 0;
    for backed_up in [false, true] {
        let calm = World::new(seed(), None);
        let (store, _, second) = prepared(&calm, backed_up);
        let (changes, reads) = (calm.disk.operations(), calm.disk.reads());
        store.backup(BACKUP).unwrap();
        let (changes, reads) = (changes..calm.disk.operations(), reads..calm.disk.reads());
        assert_eq!(held(&calm), Ok(Some(second)));
        for at in among(&changes) {
            for fault in [Fault::PowerCut, Fault::Error(other), Fault::Sticky(other), Fault::TornWrite] {
                let world = World::new(seed(), None);
                judge(&world, backed_up, |world| world.disk.fail_at(at, fault), at).unwrap_or_else(|why| {
                    panic!("{fault:?} at call {at} of {changes:?}, {backed_up}: {why}")
                });
                runs += 1;
            }
        }
        for at in among(&reads) {
            let world = World::new(seed(), None);
            judge(&world, backed_up, |world| world.disk.fail_read_at(at, Fault::Error(other)), at)
                .unwrap_or_else(|why| panic!("read {at} of {reads:?}, {backed_up}: {why}"));
            runs += 1;
        }
    }
    println!("backups that were cut or failed: {runs}");
}

#[test]
fn a_backup_onto_a_full_disk_leaves_the_one_before() {
    for room in 0..24 {
        let world = World::new(seed(), None);
        let fill = |world: &World| world.disk.set_capacity(Some(world.disk.used() + room * 8192));
        judge(&world, true, fill, room).unwrap_or_else(|why| panic!("{room} blocks of room: {why}"));
    }
}

#[test]
fn one_damaged_slot_does_not_bring_a_backup_back_that_was_written_to() {
    let world = World::new(seed(), None);
    let (store, ..) = prepared(&world, true);
    store.backup(BACKUP).unwrap();
    let opened = open_at(&world, BACKUP, false, false).unwrap();
    opened.bucket("one").unwrap().put("more", b"more").unwrap();
    let expected = observe(&opened).unwrap();
    for slot in 0..4 {
        let dark = world.restart(CutPolicy::DropUnsynced);
        let path = std::path::Path::new(BACKUP).join("SUPERBLOCK");
        let file =
            dark.disk.vfs().open(&path, ossicle::OpenMode::ReadWrite, ossicle::Site::STORE_DIR).unwrap();
        let blank = [0; 4096];
        file.write_at(&[io::IoSlice::new(&blank)], slot * 4096, ossicle::Site::STORE_DIR).unwrap();
        let again = open_at(&dark, BACKUP, false, false).unwrap();
        assert!(observe(&again).unwrap() == expected, "slot {slot}");
    }
}
