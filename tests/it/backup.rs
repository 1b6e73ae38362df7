//! Backups taken while writers go on, taken again, restored, refused, stopped.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ossicle::*;
use parking_lot::Mutex;

use crate::{assert_reads_well, lived_in, read};

fn settings() -> Settings {
    Settings { segment_size: 1 << 20, packed_max: 32 << 10, delta_bytes: 64 << 10, ..Settings::default() }
}

fn open(path: &Path) -> Store {
    Store::builder(path).settings(settings()).open().unwrap()
}

fn manual(path: &Path) -> Store {
    Store::builder(path).settings(settings()).maintenance(Maintenance::Manual).open().unwrap()
}

fn body(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .collect()
}

/// The files below a directory with their bytes, the lock apart.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![dir.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                found.insert(path.clone(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// Everything that the store holds.
fn everything(store: &Store) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for bucket in store.buckets().unwrap() {
        let bucket = bucket.unwrap();
        for entry in bucket.list("").unwrap() {
            let key = entry.unwrap().name().to_string();
            all.insert(format!("{}/{key}", bucket.name()), read(&bucket, &key));
        }
    }
    all
}

/// What was written, commit by commit: key and body.
type History = BTreeMap<u64, (String, Vec<u8>)>;

fn state_at(history: &History, lsn: u64) -> BTreeMap<String, Vec<u8>> {
    history.range(..=lsn).map(|(_, (key, body))| (format!("cats/{key}"), body.clone())).collect()
}

/// Writes until it is told to stop, and keeps book.
fn keep_writing(bucket: &Bucket, writer: u64, stop: &AtomicBool, history: &Mutex<History>) {
    let bucket_view = [10, 3000, 20_000, 60_000, 150_000];
    for number in 0u64.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let key = format!("w{writer}/k{}", number % 23);
        let body = body(writer << 32 | number, bucket_view[(number % 5) as usize]);
        let durability = if number % 3 == 0 { Durability::Synced } else { Durability::Buffered };
        let options = PutOptions::new().durability(durability);
        let outcome = bucket.put_with(&key, body.clone(), options).unwrap();
        history.lock().insert(outcome.lsn.0, (key, body));
    }
}

#[test]
fn a_backup_is_one_moment_while_writers_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let (path, target) = (dir.path().join("store"), dir.path().join("backup"));
    let store = open(&path);
    let bucket = store.create_bucket("cats").unwrap();
    let (stop, history) = (AtomicBool::new(false), Mutex::new(History::new()));
    let mut taken = Vec::new();
    std::thread::scope(|scope| {
        for writer in 0..3 {
            let (bucket, stop, history) = (&bucket, &stop, &history);
            scope.spawn(move || keep_writing(bucket, writer, stop, history));
        }
        for round in 0..6 {
            std::thread::sleep(Duration::from_millis(150));
            if round == 3 {
                store.compact(CompactOptions::new()).unwrap();
            }
            let newest = store.snapshot().unwrap().lsn();
            let report = store.backup(&target).unwrap();
            assert!(report.lsn >= newest, "what was committed before the call is missing");
            let again = dir.path().join(format!("again{round}"));
            let restored = Store::restore(&target, &again).unwrap();
            assert_eq!(restored.lsn, report.lsn);
            taken.push((report.lsn, again));
        }
        stop.store(true, Ordering::Relaxed);
    });
    let history = history.into_inner();
    for (lsn, again) in &taken {
        let restored = manual(again);
        assert!(restored.verify().unwrap().is_clean());
        assert_eq!(restored.stats().lsn, *lsn);
        assert!(everything(&restored) == state_at(&history, lsn.0), "commit {}", lsn.0);
        restored.close().unwrap();
        let rebuilt = Store::builder(again).settings(settings()).rebuild_index(true).open().unwrap();
        assert!(everything(&rebuilt) == state_at(&history, lsn.0), "commit {}, rebuilt", lsn.0);
        // A restored store is a store like any other.
        rebuilt.bucket("cats").unwrap().put("new", b"new").unwrap();
        rebuilt.close().unwrap();
    }
    assert!(store.verify().unwrap().is_clean());
    store.close().unwrap();
    // The backup itself is a store too.
    let opened = Store::builder(&target).read_only(true).open().unwrap();
    assert!(opened.verify().unwrap().is_clean());
    assert!(everything(&opened) == state_at(&history, taken.last().unwrap().0.0));
}

#[test]
fn a_second_backup_copies_only_what_is_new() {
    let dir = tempfile::tempdir().unwrap();
    let (path, target) = (dir.path().join("store"), dir.path().join("backup"));
    let store = manual(&path);
    let bucket = store.create_bucket("cats").unwrap();
    for number in 0..60 {
        bucket.put(&format!("k{number}"), body(number, 100_000)).unwrap();
    }
    let first = store.backup(&target).unwrap();
    assert!(first.bytes_copied > 6_000_000 && first.files_kept == 0 && !first.stopped, "{first:?}");
    let idle = store.backup(&target).unwrap();
    assert!(idle.bytes_copied < 100_000, "nothing was written meanwhile: {idle:?}");
    assert_eq!(idle.lsn, first.lsn);
    bucket.put("one more", body(99, 100_000)).unwrap();
    let second = store.backup(&target).unwrap();
    assert!(second.bytes_copied < 400_000, "{second:?}");
    assert!(second.bytes_kept > 5_000_000, "{second:?}");
    for number in 0..50 {
        bucket.delete(&format!("k{number}")).unwrap();
    }
    store.compact(CompactOptions::new()).unwrap();
    let third = store.backup(&target).unwrap();
    assert!(third.files_removed > 0, "{third:?}");
    let taken: usize = files(&target.join("bulk/0")).len() + files(&target.join("log")).len();
    assert_eq!(taken as u64, third.files_copied + third.files_kept);
    // Across openings of the store as well.
    drop(bucket);
    store.close().unwrap();
    drop(store);
    let store = manual(&path);
    let fourth = store.backup(&target).unwrap();
    assert!(fourth.bytes_copied < 200_000, "{fourth:?}");
    let opened = Store::builder(&target).read_only(true).open().unwrap();
    assert_eq!(everything(&opened), everything(&store));
}

#[test]
fn a_restored_store_goes_on_backing_up_to_the_same_place() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let store = manual(&at("store"));
    let bucket = store.create_bucket("cats").unwrap();
    bucket.put("a", body(1, 50_000)).unwrap();
    store.backup(at("backup")).unwrap();
    Store::restore(at("backup"), at("again")).unwrap();
    // The store that was backed up writes on, and so does the restored one: two branches.
    bucket.put("lost", body(2, 50_000)).unwrap();
    let again = manual(&at("again"));
    again.bucket("cats").unwrap().put("b", body(3, 50_000)).unwrap();
    let report = again.backup(at("backup")).unwrap();
    assert!(report.bytes_kept > 50_000 && report.bytes_copied < 60_000, "{report:?}");
    let opened = Store::builder(at("backup")).read_only(true).open().unwrap();
    assert_eq!(everything(&opened), everything(&again));
    drop(opened);
    bucket.put("more", body(4, 50_000)).unwrap();
    bucket.put("more still", body(4, 50_000)).unwrap();
    let before = files(&at("backup"));
    let error = store.backup(at("backup")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert_reads_well(&error);
    assert!(files(&at("backup")) == before);
}

#[test]
fn a_newer_backup_is_not_lost_to_an_older_store() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let store = manual(&at("store"));
    let bucket = store.create_bucket("cats").unwrap();
    store.backup(at("old")).unwrap();
    bucket.put("a", b"newer").unwrap();
    store.backup(at("new")).unwrap();
    Store::restore(at("old"), at("again")).unwrap();
    let error = manual(&at("again")).backup(at("new")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_reads_well(&error);
}

#[test]
fn a_backup_goes_nowhere_where_it_would_do_harm() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let store = manual(&at("store"));
    store.create_bucket("cats").unwrap().put("a", b"a").unwrap();
    let refused = |target: &str, kind: ErrorKind| {
        let before = files(dir.path());
        let error = store.backup(at(target)).unwrap_err();
        assert_eq!(error.kind(), kind, "{target}: {error}");
        assert_reads_well(&error);
        let stamped = |path: &PathBuf| path.ends_with("LOCK") || path.starts_with(at("store"));
        let mut after = files(dir.path());
        after.retain(|path, _| !stamped(path));
        let mut before = before;
        before.retain(|path, _| !stamped(path));
        assert!(before == after, "{target} was changed");
    };
    refused("store", ErrorKind::Invalid);
    fs::create_dir(at("letters")).unwrap();
    fs::write(at("letters/letter.txt"), b"dear ann").unwrap();
    refused("letters", ErrorKind::Invalid);
    manual(&at("other")).close().unwrap();
    refused("other", ErrorKind::Invalid);
    store.backup(at("backup")).unwrap();
    let writer = manual(&at("backup"));
    refused("backup", ErrorKind::Busy);
    writer.close().unwrap();
    drop(writer);
    // Opened and closed, it is still a backup; written to, it is not.
    manual(&at("backup")).close().unwrap();
    store.backup(at("backup")).unwrap();
    let written = manual(&at("backup"));
    written.bucket("cats").unwrap().put("b", b"b").unwrap();
    written.close().unwrap();
    drop(written);
    refused("backup", ErrorKind::Invalid);
    assert_eq!(read(&manual(&at("backup")).bucket("cats").unwrap(), "b"), b"b");
    // Restoring goes nowhere either.
    store.backup(at("second")).unwrap();
    for target in ["letters", "store", "backup"] {
        let error = Store::restore(at("second"), at(target)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{target}: {error}");
        assert_reads_well(&error);
    }
    let error = Store::restore(at("nowhere"), at("fresh")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert_eq!(Store::restore(at("store"), at("fresh")).unwrap_err().kind(), ErrorKind::Busy);
    assert!(!at("fresh").exists());
}

#[test]
fn a_stopped_backup_leaves_the_one_before_and_goes_on_later() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let store = manual(&at("store"));
    let bucket = store.create_bucket("cats").unwrap();
    let stopped = |after: u64| {
        let mut calls = 0;
        let watch = BackupOptions::new().progress(|_| {
            calls += 1;
            calls <= after
        });
        store.backup_with(at("backup"), watch).unwrap().stopped
    };
    bucket.put("a", body(1, 2_000_000)).unwrap();
    // Before the first backup is finished there is none, and nothing pretends to be one.
    assert!(stopped(1));
    assert_eq!(Store::open(at("backup")).unwrap_err().kind(), ErrorKind::Invalid);
    assert!(Store::restore(at("backup"), at("no")).is_err());
    store.backup(at("backup")).unwrap();
    let first = everything(&store);
    for round in 0..8 {
        bucket.put(&format!("b{round}"), body(round, 700_000)).unwrap();
        bucket.put("small", body(round, 100)).unwrap();
        if !stopped(round) {
            break;
        }
        let again = at(&format!("again{round}"));
        Store::restore(at("backup"), &again).unwrap();
        for rebuild in [false, true] {
            let opened = Store::builder(&again).rebuild_index(rebuild).open().unwrap();
            assert!(everything(&opened) == first, "round {round}");
        }
        // Opened in place, read-only and with its index made anew in memory.
        let opened = Store::builder(at("backup")).read_only(true).rebuild_index(true).open().unwrap();
        assert!(everything(&opened) == first, "round {round}");
    }
    store.backup(at("backup")).unwrap();
    assert_eq!(everything(&manual(&at("backup"))), everything(&store));
}

#[test]
fn an_empty_store_can_be_backed_up_and_grow() {
    let disk = Arc::new(MemoryVfs::new());
    let store = Store::builder("/store").vfs(disk.clone()).open().unwrap();
    assert_eq!(store.backup("/backup").unwrap().lsn.0, 0);
    let opened = Store::builder("/backup").vfs(disk.clone()).open().unwrap();
    assert_eq!(opened.buckets().unwrap().count(), 0);
    opened.close().unwrap();
    store.create_bucket("cats").unwrap().put("a", body(1, 1_000_000)).unwrap();
    store.backup("/backup").unwrap();
    let options = || RestoreBackupOptions::new().vfs(disk.clone());
    Store::restore_with("/backup", "/again", options()).unwrap();
    let again = Store::builder("/again").vfs(disk.clone()).open().unwrap();
    assert_eq!(everything(&again), everything(&store));
    let stopped = Store::restore_with("/backup", "/stopped", options().progress(|_| false)).unwrap();
    assert!(stopped.stopped);
    assert!(Store::builder("/stopped").vfs(disk).open().is_err());
}

#[test]
fn a_damaged_backup_is_not_restored_in_silence() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let store = manual(&at("store"));
    let bucket = store.create_bucket("cats").unwrap();
    bucket.put("streamed", body(1, 300_000)).unwrap();
    bucket.put("packed", body(2, 20_000)).unwrap();
    store.backup(at("backup")).unwrap();
    let whole = files(&at("backup"));
    let segments = whole.iter().filter(|(path, _)| path.extension().is_some_and(|end| end == "seg"));
    for (round, (path, bytes)) in segments
        .flat_map(|segment| [(0, segment), (1, segment)])
        .enumerate()
        .map(|(number, (_, segment))| (number, segment))
    {
        let mut bad = bytes.clone();
        let place = if round % 2 == 0 { 5_000 } else { 200 };
        bad[place] ^= 4;
        fs::write(path, bad).unwrap();
        let target = at(&format!("again{round}"));
        let error = Store::restore(at("backup"), &target).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{}: {error}", path.display());
        assert!(Store::open(&target).is_err(), "what was not restored passes for a store");
        fs::write(path, bytes).unwrap();
    }
    Store::restore(at("backup"), at("fine")).unwrap();
}

/// Versions, shared bodies, forks, prefixes that were moved, the retained past and cursors are the same in a backup, read
/// where it lies, restored, and with its index made anew.
#[test]
fn a_store_that_was_lived_in_is_the_same_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (store, marks) = lived_in::live_in(&at("store"));
    for round in 0..2 {
        let was = lived_in::seen(&store, &marks);
        store.backup(at("backup")).unwrap();
        let opened =
            Store::builder(at("backup")).settings(lived_in::settings()).read_only(true).open().unwrap();
        assert!(opened.verify().unwrap().is_clean());
        lived_in::assert_same(&was, &lived_in::seen(&opened, &marks), "read where it lies");
        drop(opened);
        let again = at(&format!("again{round}"));
        Store::restore(at("backup"), &again).unwrap();
        for rebuild in [false, true] {
            let restored = lived_in::open(&again, rebuild);
            assert!(restored.verify().unwrap().is_clean());
            lived_in::assert_same(&was, &lived_in::seen(&restored, &marks), "restored");
            let follow = |store: &Store| {
                let changes = store.changes(store.cursor("follower").unwrap().unwrap()).unwrap();
                changes.map(|change| format!("{:?}", change.unwrap())).collect::<Vec<_>>()
            };
            if !rebuild {
                assert_eq!(follow(&restored), follow(&store), "the feed goes on where it stood");
            }
            restored.compact(CompactOptions::new()).unwrap();
            assert!(restored.verify().unwrap().is_clean());
            lived_in::assert_same(&was, &lived_in::seen(&restored, &marks), "restored and compacted");
            restored.close().unwrap();
        }
        store.compact(CompactOptions::new()).unwrap();
    }
}

/// A reader of a backup that is renewed keeps what it sees, and sees the new one when it asks.
#[test]
fn a_backup_is_read_while_it_is_renewed() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let store = manual(&at("store"));
    let bucket = store.create_bucket("cats").unwrap();
    for number in 0..20 {
        bucket.put(&format!("k{number}"), body(number, 90_000)).unwrap();
    }
    store.backup(at("backup")).unwrap();
    let first = everything(&store);
    let reader = Store::builder(at("backup")).read_only(true).open().unwrap();
    for number in 0..20 {
        bucket.put(&format!("k{number}"), body(100 + number, 60_000)).unwrap();
    }
    store.compact(CompactOptions::new()).unwrap();
    let report = store.backup(at("backup")).unwrap();
    assert!(report.files_removed > 0, "{report:?}");
    assert_eq!(everything(&reader), first);
    assert!(reader.verify().unwrap().is_clean());
    assert_eq!(reader.refresh().unwrap(), report.lsn);
    assert_eq!(everything(&reader), everything(&store));
    assert!(reader.verify().unwrap().is_clean());
    // What readers have left there is no part of a backup.
    drop(reader);
    store.backup(at("backup")).unwrap();
    Store::restore(at("backup"), at("again")).unwrap();
    assert!(!at("again").join("readers").exists());
    assert_eq!(everything(&manual(&at("again"))), everything(&store));
}

/// Once a backup is written to, its log goes on behind its checkpoint, for readers beside the writer too.
#[test]
fn a_backup_that_is_written_to_is_read_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let store = manual(&at("store"));
    store.create_bucket("cats").unwrap().put("a", b"a").unwrap();
    store.backup(at("backup")).unwrap();
    let reader = Store::builder(at("backup")).read_only(true).open().unwrap();
    let writer = manual(&at("backup"));
    assert_eq!(everything(&reader), everything(&writer));
    let late = Store::builder(at("backup")).read_only(true).open().unwrap();
    writer.bucket("cats").unwrap().put("b", b"b").unwrap();
    for reader in [reader, late, Store::builder(at("backup")).read_only(true).open().unwrap()] {
        reader.refresh().unwrap();
        assert_eq!(everything(&reader), everything(&writer));
    }
}
