//! Flipped bytes in stores with coded bodies and solid frames, sealed and not: what is lost is what they hit, and no more.

use std::collections::BTreeSet;
use std::path::Path;

use ossicle::{CompactOptions, PutOptions, RestoreOptions, SalvageOptions, StorageClass, Store, Tier};

use crate::harness::damage::{copy, files, survey};
use crate::harness::model::State;
use crate::harness::world::{DIR, SEALED, World, key, observe};
use crate::harness::{seed, stride};

const LAST: &str = "last";
/// How many small bodies are packed into one frame.
const PACKED: usize = 8;

/// Bodies of every kind and tier, settled, with a tail of log behind the checkpoint; closed in peace.
fn settled(seed: u64) -> (World, State) {
    let mut world = World::new(seed, None);
    world.settings.packed_max = 900;
    for tier in &mut world.settings.tiers[1..] {
        *tier = Tier::new().level(3).chunk(4096);
    }
    let store = world.open().unwrap();
    let bucket = store.create_bucket("one").unwrap();
    let text = |salt: usize, len: usize| -> Vec<u8> {
        let words = |n: usize| format!("{salt} and {} then ", blake3::hash(&n.to_le_bytes()).to_hex());
        (0..).flat_map(|n| words(salt * 1000 + n).into_bytes()).take(len).collect()
    };
    let class = |class| PutOptions::new().storage_class(class);
    bucket.put("inline", b"tiny").unwrap();
    bucket.put("packed", text(1, 700)).unwrap();
    bucket.put("streamed", text(2, 6000)).unwrap();
    bucket.put_with("ia", text(3, 800), class(StorageClass::InfrequentAccess)).unwrap();
    bucket.put_with("ia long", text(4, 9000), class(StorageClass::InfrequentAccess)).unwrap();
    for number in 0..PACKED {
        let key = format!("solid{number}");
        bucket.put_with(&key, text(5 + number, 800), class(StorageClass::Archive)).unwrap();
        bucket.restore(&key, RestoreOptions::new().days(7)).unwrap();
    }
    store.maintain(std::time::Duration::from_secs(60)).unwrap();
    // So that salvage finds nothing in the log of what has moved.
    store.compact(CompactOptions::new().garbage_percent(0)).unwrap();
    store.checkpoint().unwrap();
    bucket.put("late", text(20, 700)).unwrap();
    bucket.put(LAST, b"last").unwrap();
    let state = observe(&store).unwrap();
    store.close().unwrap();
    (world, state)
}

/// What of the objects cannot be read; nothing comes back wrong.
fn lost(store: &Store, state: &State) -> BTreeSet<String> {
    let mut lost = BTreeSet::new();
    let bucket = store.bucket("one");
    for (key, thing) in &state.buckets["one"] {
        let got =
            bucket.as_ref().ok().and_then(|bucket| bucket.get(key).and_then(|object| object.bytes()).ok());
        match got {
            Some(bytes) => assert!(bytes[..] == thing.body[..], "{key} comes back wrong"),
            None => drop(lost.insert(key.clone())),
        }
    }
    lost
}

/// What is lost for good: what neither the store gives back, nor its index made anew, nor salvage.
fn lost_for_good(damaged: &World, state: &State) -> BTreeSet<String> {
    let mut least = match copy(damaged).open() {
        Ok(store) => lost(&store, state),
        Err(_) => state.buckets["one"].keys().cloned().collect(),
    };
    if !least.is_empty() {
        let world = copy(damaged);
        let mut options = SalvageOptions::new().vfs(world.disk.vfs()).settings(world.settings.clone());
        if world.sealed {
            options = options.key_provider(key());
        }
        if Store::salvage_with(DIR, "/saved", options).is_ok()
            && let Ok(store) = world.open_at("/saved")
        {
            let saved = lost(&store, state);
            least = least.intersection(&saved).cloned().collect();
        }
    }
    least
}

fn every_flip(seed: u64) {
    let (world, state) = settled(seed);
    let mut older = state.clone();
    older.buckets.get_mut("one").unwrap().remove(LAST);
    let states = [state.clone(), older];
    let solid: BTreeSet<String> = (0..PACKED).map(|number| format!("solid{number}")).collect();
    let (mut flips, mut counts, mut worst) = (0, [0; 3], 0);
    for (path, bytes) in files(&world) {
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| (last + 40).min(bytes.len()));
        let is_segment = path.extension().is_some_and(|end| end == "seg");
        for at in (0..used).step_by(stride(331, 37)) {
            let damaged = copy(&world);
            assert!(damaged.disk.flip(&path, at as u64, 1 << (at % 8)));
            let what = format!("byte {at} of {}", path.display());
            survey(&damaged, &states).unwrap_or_else(|wrong| panic!("{what}: {wrong}"));
            let lost = lost_for_good(&damaged, &state);
            flips += 1;
            counts[lost.len().min(2)] += 1;
            // Of a solid frame the chunk is lost, or all of it if the flip hit what leads to its chunks; and behind an
            // unsound header nothing of a segment can be found.
            if lost.len() > 1 && !(is_segment && at < 128) {
                worst = worst.max(lost.len());
                assert!(lost.is_subset(&solid), "{what} takes {lost:?}");
            }
        }
    }
    println!(
        "{flips} flips: {} cost nothing, {} an object, {} more, at most {worst}",
        counts[0], counts[1], counts[2]
    );
    assert!(counts[1] > 0 && Path::new(DIR).is_absolute());
}

#[test]
fn a_flip_costs_at_most_what_it_hits() {
    every_flip(seed());
}

#[test]
fn a_flip_in_a_sealed_store_costs_at_most_what_it_hits() {
    every_flip(seed() | SEALED);
}
