//! Rules of the engine that were broken once.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ossicle::*;

use crate::{a_bucket, read};

fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..len).map(next).collect()
}

/// Flips a bit of a body wherever it lies in the segments of a store.
fn spoil(store: &Path, body: &[u8]) -> usize {
    let mut spoilt = 0;
    for sub in ["log", "bulk/0"] {
        let files: Vec<PathBuf> =
            fs::read_dir(store.join(sub)).unwrap().map(|entry| entry.unwrap().path()).collect();
        for path in files {
            let mut bytes = fs::read(&path).unwrap();
            if let Some(place) = bytes.windows(64).position(|window| window == &body[5_000..5_064]) {
                bytes[place] ^= 1;
                fs::write(path, bytes).unwrap();
                spoilt += 1;
            }
        }
    }
    spoilt
}

#[test]
fn a_wait_for_changes_is_not_ended_by_a_commit_that_changes_nothing() {
    let (store, bucket) = a_bucket();
    let mut feed = store.changes(store.stats().lsn).unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let begun = Instant::now();
            (feed.wait(Duration::from_secs(20)).unwrap(), begun.elapsed())
        });
        std::thread::sleep(Duration::from_millis(100));
        bucket.delete("nothing").unwrap();
        std::thread::sleep(Duration::from_millis(200));
        bucket.put("something", b"").unwrap();
        let (told, after) = waiter.join().unwrap();
        assert!(told, "the wait ended after {after:?} without a change");
    });
}

#[test]
fn salvage_never_puts_a_replaced_part_into_an_object() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let settings = Settings { packed_max: 16 << 10, chunk_size: 4096, ..Settings::default() };
    let store =
        Store::builder(at("store")).settings(settings).maintenance(Maintenance::Manual).open().unwrap();
    let bucket = store.create_bucket("cats").unwrap();
    let (old, new, last) = (noise(1, 120_000), noise(2, 120_000), noise(3, 500));
    let upload = bucket.upload("film", UploadOptions::new()).unwrap();
    upload.put_part(1, &old).unwrap();
    upload.put_part(1, &new).unwrap();
    upload.put_part(2, &last).unwrap();
    upload.complete_all().unwrap();
    assert!(read(&bucket, "film") == [&new[..], &last].concat());
    store.close().unwrap();
    drop((upload, bucket, store));
    assert_eq!(spoil(&at("store"), &new), 1);
    let report = Store::salvage(at("store"), at("saved")).unwrap();
    let saved = Store::open(at("saved")).unwrap();
    let bucket = saved.bucket("cats").unwrap();
    assert!(!bucket.exists("film").unwrap(), "an object with bytes that it never had: {report:?}");
    assert!(report.lost.iter().any(|note| note.name == "cats/film"), "{report:?}");
}

#[test]
fn every_state_of_an_object_that_grows_reads_the_same_after_its_pieces_were_merged() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        segment_size: 1 << 20,
        packed_max: 1000,
        chunk_size: 4096,
        history: Some(Duration::from_secs(3600)),
        ..Settings::default()
    };
    let open = || {
        let builder = Store::builder(dir.path().join("store")).settings(settings.clone());
        builder.maintenance(Maintenance::Manual).open().unwrap()
    };
    let store = open();
    let bucket = store.create_bucket("logs").unwrap();
    let (mut whole, mut states) = (Vec::new(), Vec::new());
    for number in 0..120u64 {
        let bytes = noise(number, [700, 1500, 40, 2500][(number % 4) as usize]);
        let lsn = bucket.append("log", whole.len() as u64, &bytes).unwrap().lsn;
        whole.extend_from_slice(&bytes);
        states.push((lsn, whole.len()));
        if number % 10 == 9 {
            store.fork_bucket("logs", &format!("fork{number}")).unwrap();
        }
    }
    // A fork that goes on from where it was made has bytes of its own.
    let fork = store.bucket("fork49").unwrap();
    let base = read(&fork, "log");
    fork.append("log", base.len() as u64, b"other").unwrap();
    let check = |store: &Store| {
        for (lsn, len) in &states {
            let past = store.as_of(*lsn).unwrap();
            let got = past.bucket("logs").unwrap().get("log").unwrap().bytes().unwrap();
            assert!(got == whole[..*len], "as of {lsn:?}");
        }
        for number in (0..120usize).filter(|number| number % 10 == 9 && *number != 49) {
            let fork = store.bucket(&format!("fork{number}")).unwrap();
            assert!(read(&fork, "log") == whole[..states[number].1], "fork{number}");
        }
        assert!(read(&store.bucket("fork49").unwrap(), "log") == [&base[..], b"other"].concat());
        assert!(read(&store.bucket("logs").unwrap(), "log") == whole);
        assert!(store.verify().unwrap().is_clean());
    };
    check(&store);
    store.compact(CompactOptions::new()).unwrap();
    check(&store);
    store.close().unwrap();
    let store = open();
    check(&store);
    store.delete_bucket("fork49").unwrap();
    store.bucket("logs").unwrap().delete("log").unwrap();
    store.compact(CompactOptions::new()).unwrap();
    for number in [9usize, 119] {
        let fork = store.bucket(&format!("fork{number}")).unwrap();
        assert!(read(&fork, "log") == whole[..states[number].1]);
    }
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn two_stores_that_were_one_never_share_a_backup() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let open = |name: &str| Store::builder(at(name)).maintenance(Maintenance::Manual).open().unwrap();
    let one = open("one");
    let bucket = one.create_bucket("cats").unwrap();
    bucket.put("a", noise(1, 3000)).unwrap();
    one.backup(at("early")).unwrap();
    bucket.put("b", noise(2, 3000)).unwrap();
    one.backup(at("backup")).unwrap();
    Store::restore(at("early"), at("other")).unwrap();
    let other = open("other");
    let bucket = other.bucket("cats").unwrap();
    for number in 0..5 {
        bucket.put(&format!("c{number}"), noise(3, 3000)).unwrap();
    }
    let refused = other.backup(at("backup")).map(|report| report.lsn);
    assert!(refused.is_err(), "commits of both stores lie in one backup: {refused:?}");
}
