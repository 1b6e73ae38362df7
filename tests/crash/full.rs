//! Full disks of every size, and what makes room on them.

use ossicle::{CompactOptions, ErrorKind, PutOptions};

use crate::harness::world::{World, observe, verify};
use crate::harness::{effort, full, scripts, seed};

#[test]
fn disks_of_every_size() {
    let mut disks = 0;
    for script in scripts::all() {
        let step = match script.name {
            "maintenance" | "log_rotation" => 64 << 10,
            "index_rewritten" => 16 << 10,
            _ => 4 << 10,
        };
        let step = step * effort::of(16, 1);
        disks += full::every_capacity(&script, seed(), step, None).unwrap().runs;
    }
    println!("full disks: {disks}");
}

/// Fills the disk with bodies of `len` bytes and says how many went in.
fn fill(bucket: &ossicle::Bucket, len: usize) -> usize {
    for number in 0.. {
        if let Err(error) = bucket.put_with(&format!("k{number}"), vec![7; len], PutOptions::new()) {
            assert_eq!((error.kind(), error.is_fatal()), (ErrorKind::Quota, false), "{error}");
            return number;
        }
    }
    unreachable!("the disk has an end")
}

#[test]
fn a_full_disk_is_emptied_and_filled_again_in_one_opening() {
    for len in [700, 3000, 20_000] {
        let mut world = World::new(seed(), None);
        world.settings.reserve_bytes = 512 << 10;
        world.disk.set_capacity(Some(2 << 20));
        let store = world.open().unwrap();
        let bucket = store.create_bucket("one").unwrap();
        let mut counts = Vec::new();
        for round in 0..4 {
            let count = fill(&bucket, len);
            counts.push(count);
            assert_eq!(observe(&store).unwrap().buckets["one"].len(), count, "round {round}");
            for number in 0..count {
                let key = format!("k{number}");
                let told = |doing: &str, e| panic!("{len}, round {round}, {doing} {number}: {e}");
                bucket.delete(&key).map(drop).unwrap_or_else(|e| told("deleting", e));
            }
            store.compact(CompactOptions::new()).unwrap_or_else(|e| panic!("{len}, round {round}: {e}"));
            verify(&store).unwrap();
        }
        assert!(counts.iter().all(|count| count * 2 > counts[0]), "{len}: room is lost: {counts:?}");
    }
}

#[test]
fn a_full_store_on_a_disk_that_shrank_to_it_is_emptied() {
    // A small reserve is enough to begin with, and one that segments fit into to the end.
    for (len, reserve, deletes) in [(100, 64, 40), (3000, 64, 40), (3000, 512, 1000), (20_000, 512, 1000)] {
        let mut world = World::new(seed(), None);
        world.settings.reserve_bytes = reserve << 10;
        world.disk.set_capacity(Some(3 << 20));
        let store = world.open().unwrap();
        let count = fill(&store.create_bucket("one").unwrap(), len);
        store.close().unwrap();
        drop(store);
        world.disk.set_capacity(Some(world.disk.used()));
        let store = world.open().unwrap();
        let bucket = store.bucket("one").unwrap();
        for number in 0..count.min(deletes) {
            let deleted = bucket.delete(&format!("k{number}"));
            deleted.map(drop).unwrap_or_else(|e| panic!("{len}, deleting {number} of {count}: {e}"));
        }
        verify(&store).unwrap();
        if count < deletes {
            store.maintain(std::time::Duration::from_secs(60)).unwrap();
            let again = fill(&bucket, len);
            assert!(again * 2 > count, "{len}: {again} after {count}");
        }
    }
}

#[test]
fn puts_leave_the_reserve() {
    for seed in seed()..seed() + 4 {
        full::puts_leave_the_reserve(seed, None).unwrap();
    }
}
