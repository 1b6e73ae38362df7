//! Writes that the disk refuses: what can be taken back is, and the store goes on; what cannot ends writing.

use ossicle::testing::{CutPolicy, Fault, FaultyDisk};
use ossicle::*;

use crate::read;

fn open(disk: &FaultyDisk, sealed: bool) -> Result<Store> {
    let settings = Settings { segment_size: 1 << 20, reserve_bytes: 0, ..Settings::default() };
    let builder = Store::builder("/store").vfs(disk.vfs()).settings(settings);
    let builder = builder.maintenance(Maintenance::Manual);
    if sealed { builder.key_provider(StaticKey::new([3; 32])) } else { builder }.open()
}

fn keys(store: &Store) -> Vec<String> {
    let bucket = store.bucket("cats").unwrap();
    let listed = bucket.list("").unwrap().map(|entry| match entry.unwrap() {
        Entry::Object(object) => object.key,
        other => panic!("{other:?}"),
    });
    listed.collect()
}

/// What the device says once: nothing written, or a part of it.
const FAULTS: [Fault; 2] = [Fault::Error(std::io::ErrorKind::Other), Fault::TornWrite];

#[test]
fn an_append_that_fails_once_is_told_and_writing_goes_on() {
    for (fault, sealed) in FAULTS.into_iter().flat_map(|fault| [(fault, false), (fault, true)]) {
        let disk = FaultyDisk::new(1);
        let store = open(&disk, sealed).unwrap();
        let bucket = store.create_bucket("cats").unwrap();
        bucket.put("a", vec![1; 5000]).unwrap();
        let before = bucket.put("b", b"b").unwrap();
        let reader = {
            let builder = Store::builder("/store").vfs(disk.vfs()).read_only(true);
            if sealed { builder.key_provider(StaticKey::new([3; 32])) } else { builder }.open().unwrap()
        };
        disk.fail_site(Site::LOG_APPEND, 0, fault);
        let error = bucket.put("c", vec![3; 5000]).unwrap_err();
        assert_eq!(
            (error.kind(), error.is_fatal(), error.is_full()),
            (ErrorKind::Io, false, false),
            "{error}"
        );
        assert_eq!(keys(&store), ["a", "b"]);
        // The power goes now: nothing of it comes back.
        for policy in [CutPolicy::DropUnsynced, CutPolicy::KeepAll] {
            let after = disk.restart(policy);
            assert_eq!(keys(&open(&after, sealed).unwrap()), ["a", "b"], "{policy:?}");
        }
        bucket.put("d", b"d").unwrap();
        bucket.put("c", b"c").unwrap();
        reader.refresh().unwrap();
        assert_eq!(keys(&reader), ["a", "b", "c", "d"]);
        let told: Vec<Lsn> = store.changes(before.lsn).unwrap().map(|change| change.unwrap().lsn).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(store.verify().unwrap().is_clean());
        for policy in [CutPolicy::DropUnsynced, CutPolicy::KeepAll] {
            let after = open(&disk.restart(policy), sealed).unwrap();
            assert_eq!(keys(&after), ["a", "b", "c", "d"], "{policy:?}");
            assert_eq!(read(&after.bucket("cats").unwrap(), "c"), b"c");
        }
    }
}

#[test]
fn an_append_that_cannot_be_taken_back_ends_writing() {
    let disk = FaultyDisk::new(2);
    let store = open(&disk, false).unwrap();
    let bucket = store.create_bucket("cats").unwrap();
    bucket.put("a", b"a").unwrap();
    disk.fail_site(Site::LOG_APPEND, 0, Fault::TornWrite);
    disk.fail_site(Site::LOG_UNDO, 0, FAULTS[0]);
    let error = bucket.put("b", vec![2; 5000]).unwrap_err();
    assert!(error.is_fatal() && error.code() == "CommitUnknown", "{error:?}");
    assert_eq!(bucket.put("c", b"c").unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(read(&bucket, "a"), b"a");
    drop(bucket);
    drop(store);
    let after = open(&disk, false).unwrap();
    assert_eq!(keys(&after), ["a"]);
    after.bucket("cats").unwrap().put("c", b"c").unwrap();
}

#[test]
fn of_those_who_commit_together_nobody_is_told_a_lie_when_the_disk_refuses_once() {
    let disk = FaultyDisk::new(3);
    let store = open(&disk, false).unwrap();
    let bucket = store.create_bucket("cats").unwrap();
    let mut wanted = Vec::new();
    for round in 0..30 {
        disk.fail_site(Site::LOG_APPEND, round % 4, FAULTS[0]);
        let done: Vec<_> = std::thread::scope(|scope| {
            let put = |n: u64| {
                let bucket = &bucket;
                scope.spawn(move || {
                    let key = format!("{round:02}/{n}");
                    bucket.put(&key, b"x").is_ok().then_some(key)
                })
            };
            let threads: Vec<_> = (0..6).map(put).collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        disk.clear_faults();
        wanted.extend(done);
        wanted.sort();
    }
    assert!(wanted.len() >= 100, "one refusal costs at most who was alone with it: {}", wanted.len());
    assert_eq!(keys(&store), wanted);
    drop(bucket);
    drop(store);
    assert_eq!(keys(&open(&disk, false).unwrap()), wanted);
}

#[test]
fn a_full_disk_is_told_from_a_full_bucket() {
    let disk = FaultyDisk::new(4);
    let store = open(&disk, false).unwrap();
    let bucket = store.create_bucket("cats").unwrap();
    bucket.set_config(&Quota { bytes: Some(1 << 20), ..Quota::default() }).unwrap();
    let error = bucket.put("long", vec![0; (1 << 20) + 1]).unwrap_err();
    assert_eq!((error.kind(), error.is_full()), (ErrorKind::Quota, false), "{error}");
    disk.set_capacity(Some(disk.used() + 8192));
    let other = store.bucket("cats").unwrap();
    let error = other.put("a", vec![1; 500_000]).unwrap_err();
    assert_eq!(
        (error.kind(), error.is_full(), error.code()),
        (ErrorKind::Quota, true, "StorageFull"),
        "{error}"
    );
    disk.set_capacity(None);
    other.put("a", vec![1; 500_000]).unwrap();
}
