//! Upkeep from several threads at once, beside whoever writes: nothing is lost, and nothing is said to be damaged that is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ossicle::*;

use crate::{effort, read};

/// How long a stress runs, if `OSSICLE_STRESS_SECONDS` does not say so.
fn span() -> Duration {
    Duration::from_secs_f64(effort::number("OSSICLE_STRESS_SECONDS", 0.5, 1.5))
}

fn small() -> Settings {
    Settings {
        segment_size: 1 << 20,
        chunk_size: 4096,
        packed_max: 8192,
        delta_bytes: 64 << 10,
        reserve_bytes: 0,
        restore_times: RestoreTimes::NONE,
        ..Settings::default()
    }
}

fn body(key: &str, round: u64, len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    blake3::Hasher::new().update(key.as_bytes()).update(&round.to_le_bytes()).finalize_xof().fill(&mut out);
    out
}

/// What somebody may be told who does upkeep while others do: that somebody else is at it, and nothing worse.
#[track_caller]
fn fine<T>(answer: Result<T>, what: &str) {
    if let Err(error) = answer {
        assert_eq!(error.kind(), ErrorKind::Busy, "{what}: {error:?}");
    }
}

#[test]
fn rows_that_change_while_their_bodies_are_moved_keep_them() {
    let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::new());
    let open = || {
        let builder = Store::builder("/store").vfs(vfs.clone()).settings(small());
        builder.maintenance(Maintenance::Manual).open().unwrap()
    };
    let store = open();
    let bucket = store.create_bucket("cats").unwrap();
    let keys: Vec<String> = (0..40).map(|n| format!("key/{n}")).collect();
    // Short ones lie in the log beside their rows, long ones in bulk segments.
    let len = |n: usize| if n.is_multiple_of(2) { 700 } else { 20_000 };
    for (n, key) in keys.iter().enumerate() {
        bucket.put(key, body(key, 0, len(n))).unwrap();
        bucket.put(&format!("garbage/{n}"), body(key, 1, len(n))).unwrap();
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Only the rows are written anew; the bodies stay where they lie.
            while !stop.load(Ordering::Relaxed) {
                for (n, key) in keys.iter().enumerate() {
                    bucket.set_metadata(key, [("n", n.to_string())]).unwrap();
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let begun = Instant::now();
        let mut compacted = 0;
        while begun.elapsed() < span() || compacted < 3 {
            for n in 0..40 {
                bucket.put(&format!("garbage/{n}"), body("garbage", compacted, len(n))).unwrap();
            }
            store.compact(CompactOptions::new().garbage_percent(0)).unwrap();
            compacted += 1;
        }
        stop.store(true, Ordering::Relaxed);
    });
    let check = |store: &Store| {
        let bucket = store.bucket("cats").unwrap();
        for (n, key) in keys.iter().enumerate() {
            assert!(read(&bucket, key) == body(key, 0, len(n)), "{key}");
        }
        let report = store.verify().unwrap();
        assert!(report.is_clean(), "{:?}", report.problems);
    };
    check(&store);
    drop(bucket);
    store.close().unwrap();
    drop(store);
    check(&open());
}

/// A thread that writes keys of its own, and at the end knows what each must hold.
fn write(store: &Store, name: u64, stop: &AtomicBool) -> Vec<(String, Option<Vec<u8>>)> {
    let bucket = store.bucket("cats").unwrap();
    let classes = [StorageClass::Standard, StorageClass::Archive];
    let mut held: Vec<(String, Option<Vec<u8>>)> = (0..12).map(|n| (format!("{name}/{n}"), None)).collect();
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) {
        round += 1;
        std::thread::sleep(Duration::from_millis(1));
        for (n, (key, held)) in held.iter_mut().enumerate() {
            let len = [40, 900, 3000, 12_000, 60_000][(n + round as usize) % 5];
            if held.is_some() && bucket.head(key).unwrap().class == StorageClass::Archive {
                bucket.restore(key, RestoreOptions::new()).unwrap();
            }
            match (round + n as u64) % 5 {
                0 => {
                    bucket.delete(key).unwrap();
                    *held = None;
                }
                1 if held.is_some() => {
                    let other = format!("{key}/other");
                    bucket.rename(key, &other).unwrap();
                    bucket.set_metadata(&other, [("round", round.to_string())]).unwrap();
                    bucket.rename(&other, key).unwrap();
                }
                2 if held.is_some() => bucket.set_storage_class(key, classes[n % 2]).unwrap(),
                3 if held.is_some() => {
                    bucket.copy(key, &format!("{key}/copy")).unwrap();
                    bucket.delete(&format!("{key}/copy")).unwrap();
                }
                _ => {
                    let bytes = body(key, round, len);
                    let class = classes[(n + round as usize) % 2];
                    bucket.put_with(key, &bytes, PutOptions::new().storage_class(class)).unwrap();
                    *held = Some(bytes);
                }
            }
        }
    }
    held
}

fn upkeep_by_many(sealed: bool) {
    let disk = tempfile::tempdir().unwrap();
    let dir = disk.path().join("store");
    let open = || {
        let mut builder = Store::builder(&dir).settings(small()).maintenance(Maintenance::Manual);
        builder = builder.tier(StorageClass::Archive, Tier::new().dir(disk.path().join("there")));
        if sealed {
            builder = builder.key_provider(StaticKey::new([3; 32]));
        }
        builder.open().unwrap()
    };
    let store = open();
    store.create_bucket("cats").unwrap();
    let (stop, compacted) = (AtomicBool::new(false), AtomicU64::new(0));
    let begun = Instant::now();
    let goes_on = || begun.elapsed() < span() || compacted.load(Ordering::Relaxed) < 4;
    let held = std::thread::scope(|scope| {
        let (store, stop, compacted, goes_on) = (&store, &stop, &compacted, &goes_on);
        let writers: Vec<_> = (0..2).map(|name| scope.spawn(move || write(store, name, stop))).collect();
        let mut keepers = Vec::new();
        for percent in [0, 5] {
            keepers.push(scope.spawn(move || {
                while goes_on() {
                    fine(store.compact(CompactOptions::new().garbage_percent(percent)), "compacting");
                    compacted.fetch_add(1, Ordering::Relaxed);
                }
            }));
        }
        keepers.push(scope.spawn(move || {
            while goes_on() {
                fine(store.maintain(Duration::from_millis(20)), "maintenance");
                fine(store.checkpoint(), "a checkpoint");
            }
        }));
        let to = disk.path().join("backup");
        keepers.push(scope.spawn(move || {
            while goes_on() {
                fine(store.backup(&to), "a backup");
                if sealed {
                    fine(store.bucket("cats").unwrap().shred_prefix("none/"), "shredding");
                    fine(store.reencrypt(), "encrypting anew");
                }
            }
        }));
        let ended: Vec<_> = keepers.into_iter().map(|keeper| keeper.join()).collect();
        stop.store(true, Ordering::Relaxed);
        let held: Vec<_> = writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
        ended.into_iter().for_each(|ended| ended.unwrap());
        held
    });
    let check = |store: &Store| {
        let bucket = store.bucket("cats").unwrap();
        for (key, bytes) in &held {
            assert_eq!(bucket.exists(key).unwrap(), bytes.is_some(), "{key}");
            if let Some(bytes) = bytes {
                if bucket.head(key).unwrap().class == StorageClass::Archive {
                    bucket.restore(key, RestoreOptions::new()).unwrap();
                }
                assert!(read(&bucket, key) == *bytes, "{key}");
            }
        }
        store.compact(CompactOptions::new().garbage_percent(0)).unwrap();
        let report = store.verify().unwrap();
        assert!(report.is_clean(), "{:?}", report.problems);
    };
    check(&store);
    store.close().unwrap();
    drop(store);
    check(&open());
}

#[test]
fn upkeep_by_many_threads_loses_nothing_and_says_nothing_false() {
    upkeep_by_many(false);
}

#[test]
fn upkeep_of_a_sealed_store_by_many_threads_loses_nothing_and_says_nothing_false() {
    upkeep_by_many(true);
}
