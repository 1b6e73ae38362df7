//! One body under many names: whatever becomes of any of them, the others stay whole, and in the end the space is back.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use ossicle::*;

use crate::{code, effort, read};

/// Thresholds so low that short bodies take every path.
fn open(path: &Path, rebuild: bool) -> Store {
    open_with(path, rebuild, None)
}

fn open_with(path: &Path, rebuild: bool, history: Option<Duration>) -> Store {
    let settings = Settings {
        segment_size: 1 << 20,
        chunk_size: 4096,
        inline_max: 64,
        packed_max: 4096,
        reserve_bytes: 0,
        history,
        ..Settings::default()
    };
    let builder = Store::builder(path).settings(settings).maintenance(Maintenance::Manual);
    builder.rebuild_index(rebuild).open().unwrap()
}

const LENGTHS: [usize; 4] = [10, 1000, 20_000, 300_000];

/// Moves everything that lives, drops what does not, loses the index, and opens again.
fn shake(path: &Path, store: Store) -> Store {
    shake_with(path, store, None)
}

fn shake_with(path: &Path, store: Store, history: Option<Duration>) -> Store {
    store.compact(CompactOptions::new().garbage_percent(0)).unwrap();
    assert!(store.verify().unwrap().is_clean());
    store.close().unwrap();
    drop(store);
    let store = open_with(path, true, history);
    assert!(store.verify().unwrap().is_clean());
    store
}

fn live_bytes(store: &Store) -> u64 {
    store.compact(CompactOptions::new().garbage_percent(0)).unwrap();
    store.checkpoint().unwrap();
    store.stats().live_bytes
}

#[test]
fn either_side_of_a_copy_may_be_overwritten_or_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path(), false);
    let bucket = store.create_bucket("cats").unwrap();
    for (n, len) in LENGTHS.into_iter().enumerate() {
        for how in ["overwrite a", "overwrite b", "delete a", "delete b"] {
            let (a, b, body) = (format!("{how}/{n}/a"), format!("{how}/{n}/b"), vec![n as u8; len]);
            bucket.put(&a, body.clone()).unwrap();
            bucket.copy(&a, &b).unwrap();
            bucket.copy(&b, &format!("{b}2")).unwrap();
            let gone = if how.ends_with('a') { &a } else { &b };
            if how.starts_with("over") {
                bucket.put(gone, b"other").unwrap();
            } else {
                bucket.delete(gone).unwrap();
            }
        }
    }
    drop(bucket);
    for _ in 0..2 {
        let bucket = store.bucket("cats").unwrap();
        for (n, len) in LENGTHS.into_iter().enumerate() {
            for (how, left) in
                [("overwrite a", "b"), ("overwrite b", "a"), ("delete a", "b"), ("delete b", "a")]
            {
                assert_eq!(read(&bucket, &format!("{how}/{n}/{left}")), vec![n as u8; len]);
                assert_eq!(read(&bucket, &format!("{how}/{n}/b2")), vec![n as u8; len]);
            }
        }
        drop(bucket);
        store = shake(dir.path(), store);
    }
    store.bucket("cats").unwrap().delete_prefix("").unwrap();
    while store.maintain(Duration::from_secs(1)).is_ok_and(|report| report.relocated > 0) {}
    assert!(live_bytes(&store) < 200_000, "{:?}", store.stats());
}

/// The body used to be owned twice: by the source, which was forgotten on the way, and by the last of the chain.
#[test]
fn a_copy_of_a_copy_in_one_transaction_shares_the_body_of_the_first() {
    for gone in ["rename", "delete", "overwrite"] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path(), false);
        let bucket = store.create_bucket("cats").unwrap();
        for (n, len) in LENGTHS.into_iter().enumerate() {
            let key = |name: &str| format!("{n}/{name}");
            bucket.put(&key("a"), vec![7; len]).unwrap();
            store
                .write(|tx| {
                    tx.copy(&bucket, &key("a"), &bucket, &key("b"))?;
                    if gone == "rename" {
                        return tx.rename(&bucket, &key("b"), &bucket, &key("c"));
                    }
                    tx.copy(&bucket, &key("b"), &bucket, &key("c"))?;
                    if gone == "delete" {
                        tx.delete(&bucket, &key("b"))
                    } else {
                        tx.put(&bucket, &key("b"), b"other")
                    }
                })
                .unwrap();
            assert_eq!((read(&bucket, &key("a")), read(&bucket, &key("c"))), (vec![7; len], vec![7; len]));
        }
        // Owned twice, it was counted twice and took the room twice once it had moved.
        assert!(live_bytes(&store) < 400_000, "{gone}: {:?}", store.stats());
        for n in 0..LENGTHS.len() {
            bucket.delete(&format!("{n}/{}", if n % 2 == 0 { "a" } else { "c" })).unwrap();
        }
        drop(bucket);
        let store = shake(dir.path(), store);
        let bucket = store.bucket("cats").unwrap();
        for (n, len) in LENGTHS.into_iter().enumerate() {
            let left = if n % 2 == 0 { "c" } else { "a" };
            assert_eq!(read(&bucket, &format!("{n}/{left}")), vec![7; len], "{gone}");
        }
    }
}

#[test]
fn bodies_that_change_places_in_one_transaction_stay_whole() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), false);
    let bucket = store.create_bucket("cats").unwrap();
    for (n, len) in LENGTHS.into_iter().enumerate() {
        let key = |name: &str| format!("{n}/{name}");
        bucket.put(&key("a"), vec![1; len]).unwrap();
        bucket.put(&key("b"), vec![2; len]).unwrap();
        store
            .write(|tx| {
                tx.rename(&bucket, &key("a"), &bucket, &key("t"))?;
                tx.rename(&bucket, &key("b"), &bucket, &key("a"))?;
                tx.rename(&bucket, &key("t"), &bucket, &key("b"))?;
                // New bodies take the same way.
                tx.put(&bucket, &key("x"), vec![3; len])?;
                tx.put(&bucket, &key("y"), vec![4; len])?;
                tx.rename(&bucket, &key("x"), &bucket, &key("t"))?;
                tx.rename(&bucket, &key("y"), &bucket, &key("x"))?;
                tx.copy(&bucket, &key("t"), &bucket, &key("y"))?;
                assert_eq!(tx.get(&bucket, &key("y"))?.bytes()?, vec![3; len]);
                tx.delete(&bucket, &key("t"))
            })
            .unwrap();
    }
    let check = |bucket: &Bucket| {
        for (n, len) in LENGTHS.into_iter().enumerate() {
            for (name, fill) in [("a", 2), ("b", 1), ("x", 4), ("y", 3)] {
                assert_eq!(read(bucket, &format!("{n}/{name}")), vec![fill; len], "{n}/{name}");
            }
        }
        assert_eq!(bucket.usage("").unwrap().objects, 16);
    };
    check(&bucket);
    drop(bucket);
    let store = shake(dir.path(), store);
    check(&store.bucket("cats").unwrap());
    let store = shake(dir.path(), store);
    check(&store.bucket("cats").unwrap());
}

/// A little generator, so that every run goes the same.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

const BUCKETS: [(&str, Option<Versioning>); 3] =
    [("never", None), ("enabled", Some(Versioning::Enabled)), ("changing", Some(Versioning::Enabled))];

/// The body of an object says what it should be: one byte, over and over, the same as in its metadata.
fn fill(dice: &mut Dice) -> (Vec<u8>, PutOptions) {
    let byte = dice.below(250) as u8;
    let len = LENGTHS[dice.below(30).saturating_sub(26)] + dice.below(50);
    let options = PutOptions::new().metadata("fill", byte.to_string()).durability(Durability::Buffered);
    (vec![byte; len], options)
}

/// One change, of any kind.
fn change(store: &Store, buckets: &[Bucket], dice: &mut Dice) -> Result<()> {
    let bucket = &buckets[dice.below(buckets.len())];
    let other = &buckets[dice.below(buckets.len())];
    let names = ["a/1", "a/2", "a/b/1", "b/1", "b/2", "c"];
    let (key, new_key) = (names[dice.below(6)], names[dice.below(6)]);
    let version = |dice: &mut Dice| -> Result<Option<VersionId>> {
        let all = bucket.versions(ListOptions::new().prefix(key))?.collect::<Result<Vec<_>>>()?;
        let own: Vec<_> = all.iter().filter(|entry| entry.key == key).collect();
        Ok((!own.is_empty()).then(|| own[dice.below(own.len())].version.clone()))
    };
    match dice.below(24) {
        0..5 => {
            let (body, options) = fill(dice);
            bucket.put_with(key, body, options).map(|_| ())
        }
        5..8 => bucket.copy_from(other, key, new_key, CopyOptions::new()).map(|_| ()),
        8..10 => bucket.rename(key, new_key).map(|_| ()),
        10..12 => bucket.delete(key).map(|_| ()),
        12..15 => match version(dice)? {
            Some(version) => bucket.delete_with(key, DeleteOptions::new().version(version)).map(|_| ()),
            None => Ok(()),
        },
        15 => match version(dice)? {
            Some(version) => bucket.restore_version(key, &version).map(|_| ()),
            None => Ok(()),
        },
        16 => bucket.undelete(key).map(|_| ()),
        17 => bucket
            .rename_prefix(["a/", "b/", "a/b/"][dice.below(3)], ["a/", "b/", "d/"][dice.below(3)])
            .map(|_| ()),
        18 => {
            let state = [Versioning::Enabled, Versioning::Suspended][dice.below(2)];
            buckets[2].set_config(&state)
        }
        19 => {
            let _ = store.delete_bucket("fork");
            let fork = store.fork_bucket(BUCKETS[dice.below(3)].0, "fork")?;
            let (body, options) = fill(dice);
            fork.put_with(key, body, options)?;
            let _ = fork.rename(key, new_key);
            fork.delete(key).map(|_| ())
        }
        20 => store.maintain(Duration::from_millis(5)).map(|_| ()),
        _ => store.write_with(WriteOptions::new().durability(Durability::Buffered), |tx| {
            for _ in 0..1 + dice.below(6) {
                let (key, new_key) = (names[dice.below(6)], names[dice.below(6)]);
                let (bucket, other) = (&buckets[dice.below(3)], &buckets[dice.below(3)]);
                // What a single step refuses leaves the others as they are, once the transaction reads.
                tx.exists(bucket, key)?;
                let _ = match dice.below(6) {
                    0..2 => {
                        let (body, options) = fill(dice);
                        tx.put_with(bucket, key, body, options)
                    }
                    2 => tx.copy(other, key, bucket, new_key),
                    3 => tx.rename(other, key, bucket, new_key),
                    4 => tx.delete(bucket, key),
                    _ => tx.undelete(bucket, key),
                };
            }
            Ok(())
        }),
    }
}

/// What a walk over every version comes to: the same as the usage says, and every body whole.
fn walk(store: &Store) {
    for bucket in store.buckets().unwrap().map(Result::unwrap) {
        for prefix in ["", "a/", "a/b/", "b", "d/"] {
            let mut sum = Usage::default();
            let mut latest = BTreeMap::new();
            for entry in bucket.versions(prefix).unwrap().map(Result::unwrap) {
                *latest.entry(entry.key.clone()).or_insert(0) += usize::from(entry.latest);
                match (entry.marker, entry.latest) {
                    (true, _) => sum.markers += 1,
                    (false, true) => (sum.objects, sum.bytes) = (sum.objects + 1, sum.bytes + entry.size),
                    (false, false) => {
                        sum.noncurrent_objects += 1;
                        sum.noncurrent_bytes += entry.size;
                    }
                }
                if entry.marker || !prefix.is_empty() {
                    continue;
                }
                let meta = entry.meta.as_ref().unwrap();
                let object =
                    bucket.get_with(&entry.key, GetOptions::new().version(&entry.version)).unwrap_or_else(
                        |error| panic!("{} {} {}: {error}", bucket.name(), entry.key, entry.version),
                    );
                let byte: u8 = meta.metadata["fill"].parse().unwrap();
                assert!(object.bytes().unwrap().iter().all(|found| *found == byte), "{entry:?}");
            }
            let usage = bucket.usage(prefix).unwrap();
            let told = |usage: &Usage| {
                let Usage { objects, bytes, noncurrent_objects, noncurrent_bytes, markers, .. } =
                    usage.clone();
                (objects, bytes, noncurrent_objects, noncurrent_bytes, markers)
            };
            assert_eq!(told(&usage), told(&sum), "{} {prefix:?}", bucket.name());
            assert!(latest.values().all(|count| *count == 1), "{latest:?}");
            let listed = bucket.list(prefix).unwrap().count() as u64;
            assert_eq!(listed, sum.objects);
        }
    }
}

/// Every version of every bucket.
fn everything(snapshot: &Snapshot) -> Vec<(String, Vec<VersionEntry>)> {
    let names = BUCKETS.iter().map(|(name, _)| *name).chain(["fork"]);
    let of = |name: &str| {
        let bucket = snapshot.bucket(name).ok()?;
        Some((name.to_string(), bucket.versions("").unwrap().map(Result::unwrap).collect()))
    };
    names.filter_map(of).collect()
}

/// Every body of a moment.
fn read_all(snapshot: &Snapshot, shown: &[(String, Vec<VersionEntry>)]) {
    for (name, entries) in shown {
        let bucket = snapshot.bucket(name).unwrap();
        for entry in entries.iter().filter(|entry| !entry.marker) {
            let object = bucket.get_with(&entry.key, GetOptions::new().version(&entry.version)).unwrap();
            let byte: u8 = object.meta().metadata["fill"].parse().unwrap();
            assert!(object.bytes().unwrap().iter().all(|found| *found == byte), "{name} {entry:?}");
        }
    }
}

#[test]
fn usage_and_bodies_are_exact_through_everything_and_the_space_comes_back() {
    for seed in 1..=effort::of(2, 4) {
        let dir = tempfile::tempdir().unwrap();
        let history = (seed % 2 == 0).then_some(Duration::from_secs(3600));
        let mut store = open_with(dir.path(), false, history);
        let mut dice = Dice(0x9E37_79B9_7F4A_7C15 ^ (seed << 7));
        for (name, versioning) in BUCKETS {
            let bucket = store.create_bucket(name).unwrap();
            if let Some(versioning) = versioning {
                bucket.set_config(&versioning).unwrap();
            }
        }
        for round in 0..8 {
            let buckets: Vec<_> = BUCKETS.iter().map(|(name, _)| store.bucket(name).unwrap()).collect();
            let snapshot = store.snapshot().unwrap();
            let before = everything(&snapshot);
            for _ in 0..60 {
                if let Err(error) = change(&store, &buckets, &mut dice) {
                    let fine = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Quota);
                    assert!(fine || error.code() == "InvalidRequest", "{seed} {round}: {error}");
                }
            }
            walk(&store);
            assert_eq!(everything(&snapshot), before, "{seed} {round}");
            read_all(&snapshot, &before);
            let lsn = snapshot.lsn();
            drop((buckets, snapshot));
            match round % 4 {
                0 => store.checkpoint().unwrap(),
                1 => store = shake_with(dir.path(), store, history),
                2 => drop(store.compact(CompactOptions::new().garbage_percent(0)).unwrap()),
                _ => {
                    store.close().unwrap();
                    drop(store);
                    store = open_with(dir.path(), false, history);
                }
            }
            walk(&store);
            if history.is_some() {
                let past = store.as_of(lsn).unwrap();
                assert_eq!(everything(&past), before, "{seed} {round}");
                read_all(&past, &before);
            }
            assert!(store.verify().unwrap().is_clean(), "{seed} {round}");
        }
        if history.is_some() {
            store.close().unwrap();
            drop(store);
            store = open_with(dir.path(), false, Some(Duration::ZERO));
        }
        let _ = store.delete_bucket("fork");
        for (name, _) in BUCKETS {
            let bucket = store.bucket(name).unwrap();
            let all: Vec<_> = bucket.versions("").unwrap().map(Result::unwrap).collect();
            let versions = all.into_iter().map(|entry| (entry.key, entry.version));
            for (key, answer) in bucket.delete_versions(versions).unwrap() {
                answer.unwrap_or_else(|error| panic!("{key}: {error}"));
            }
            store.delete_bucket(name).unwrap();
        }
        for _ in 0..50 {
            store.maintain(Duration::from_secs(1)).unwrap();
        }
        // Not a byte of body is left, and of the rows only those that are of no object.
        live_bytes(&store);
        let report = store.verify().unwrap();
        assert!(report.is_clean() && report.body_bytes == 0 && report.entries < 100, "{seed}: {report:?}");
        assert_eq!(store.usage().unwrap().objects, 0);
    }
}

#[test]
fn what_is_shared_within_one_bucket_is_gone_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), false);
    let bucket = store.create_bucket("cats").unwrap();
    bucket.put("a", vec![1; 300_000]).unwrap();
    for number in 0..20 {
        bucket.copy("a", &format!("copy-{number}")).unwrap();
    }
    assert!(live_bytes(&store) < 400_000, "{:?}", store.stats());
    bucket.delete_prefix("").unwrap();
    store.delete_bucket("cats").unwrap();
    assert_eq!(code(bucket.get("a")), "NoSuchBucket");
    assert!(live_bytes(&store) < 20_000, "{:?}", store.stats());
}
