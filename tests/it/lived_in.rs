//! A store that was used in every way, and all that can be seen of it, for tests that take a store elsewhere.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use ossicle::*;

/// What the store is opened with.
pub fn settings() -> Settings {
    Settings {
        segment_size: 1 << 20,
        packed_max: 16 << 10,
        chunk_size: 4096,
        delta_bytes: 64 << 10,
        reserve_bytes: 0,
        history: Some(Duration::from_secs(3600)),
        ..Settings::default()
    }
}

/// Opens such a store.
pub fn open(path: &Path, rebuild: bool) -> Store {
    let builder = Store::builder(path).settings(settings()).maintenance(Maintenance::Manual);
    builder.rebuild_index(rebuild).open().unwrap()
}

/// What is to be asked of the store beside what a listing tells.
#[derive(Default)]
pub struct Marks {
    /// Versions that were made, of an object in a bucket.
    versions: Vec<(&'static str, String, VersionId)>,
    /// Moments of the past.
    past: Vec<Lsn>,
}

fn body(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// Versions, delete markers, copies, a fork, renamed and removed prefixes, a retained past, a cursor.
pub fn live_in(path: &Path) -> (Store, Marks) {
    let store = open(path, false);
    let mut marks = Marks::default();
    let versioned = CreateBucketOptions::new().versioning(Versioning::Enabled);
    let cats = store.create_bucket_with("cats", versioned).unwrap();
    let dogs = store.create_bucket("dogs").unwrap();
    let birds = store.create_bucket("birds").unwrap();
    let bucket_view = [300, 5000, 40_000, 90_000];
    for round in 0..3u64 {
        for key in 0..12u64 {
            let (name, len) = (format!("k{key:02}"), bucket_view[((key + round) % 4) as usize]);
            let put = cats.put(&name, body(round << 8 | key, len)).unwrap();
            marks.versions.push(("cats", name.clone(), put.version.unwrap()));
            if (key + round) % 5 == 0 {
                let deleted = cats.delete(&name).unwrap();
                marks.versions.push(("cats", name, deleted.version.unwrap()));
            }
        }
        marks.past.push(store.snapshot().unwrap().lsn());
        store.set_cursor("follower", marks.past[0]).unwrap();
    }
    let (_, name, gone) = marks.versions[0].clone();
    cats.delete_with(&name, DeleteOptions::new().version(gone)).unwrap();
    for (number, len) in bucket_view.into_iter().enumerate() {
        let from = format!("dog{number}");
        dogs.put(&from, body(1000 + number as u64, len)).unwrap();
        dogs.copy(&from, &format!("copy{number}")).unwrap();
        let there = cats.copy_from(&dogs, &from, &format!("dog{number}"), CopyOptions::new()).unwrap();
        marks.versions.push(("cats", format!("dog{number}"), there.version.unwrap()));
    }
    dogs.delete("dog3").unwrap();
    marks.past.push(store.snapshot().unwrap().lsn());
    for number in 0..80 {
        for (dir, len) in [("old/", 60), ("gone/", 900), ("left/", 20)] {
            let options = PutOptions::new().durability(Durability::Buffered);
            birds.put_with(&format!("{dir}{number:02}"), body(number, len), options).unwrap();
        }
    }
    birds.put("old/large", body(77, 120_000)).unwrap();
    marks.past.push(store.snapshot().unwrap().lsn());
    birds.rename_prefix("old/", "new/").unwrap();
    birds.delete_prefix("gone/").unwrap();
    let pups = store.fork_bucket("dogs", "pups").unwrap();
    let chicks = store.fork_bucket("birds", "chicks").unwrap();
    pups.put("pup", body(2000, 50_000)).unwrap();
    pups.delete("dog0").unwrap();
    dogs.put("dog1", body(2001, 60_000)).unwrap();
    chicks.rename("new/large", "new/larger").unwrap();
    birds.put("old/again", body(2002, 7000)).unwrap();
    store.write(|tx| tx.put_row("app", b"row", b"value")).unwrap();
    marks.past.push(store.snapshot().unwrap().lsn());
    (store, marks)
}

fn read(object: Result<Object>) -> String {
    match object.and_then(Object::bytes) {
        Ok(bytes) => format!("{} bytes, {}", bytes.len(), blake3(&bytes)),
        Err(error) => error.code().to_string(),
    }
}

fn blake3(bytes: &[u8]) -> String {
    ::blake3::hash(bytes).to_hex().to_string()
}

/// All that can be seen of the store, as lines of text by what was asked.
pub fn seen(store: &Store, marks: &Marks) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for bucket in store.buckets().unwrap() {
        let bucket = bucket.unwrap();
        let name = bucket.name();
        for dir in ["", "new/", "old/", "gone/", "left/", "k"] {
            all.insert(format!("usage of {name}/{dir}"), format!("{:?}", bucket.usage(dir).unwrap()));
        }
        all.insert(format!("origin of {name}"), format!("{:?}", bucket.forked_from().unwrap()));
        for entry in bucket.list("").unwrap() {
            let key = entry.unwrap().name().to_string();
            let meta = bucket.head(&key).unwrap();
            all.insert(format!("{name}/{key}"), format!("{meta:?}: {}", read(bucket.get(&key))));
        }
    }
    for (bucket, key, version) in &marks.versions {
        let asked = GetOptions::new().version(version.clone());
        let got = read(store.bucket(bucket).unwrap().get_with(key, asked));
        all.insert(format!("{bucket}/{key}, version {version}"), got);
    }
    for lsn in &marks.past {
        let then = store.as_of(*lsn).unwrap();
        for name in ["cats", "dogs", "birds", "pups"] {
            let Ok(bucket) = then.bucket(name) else { continue };
            all.insert(format!("usage of {name} as of {lsn}"), format!("{:?}", bucket.usage("").unwrap()));
            for entry in bucket.list("").unwrap() {
                let key = entry.unwrap().name().to_string();
                all.insert(format!("{name}/{key} as of {lsn}"), read(bucket.get(&key)));
            }
        }
    }
    all.insert("cursors".into(), format!("{:?}", store.cursors().unwrap()));
    all.insert("row".into(), format!("{:?}", store.row("app", b"row").unwrap()));
    let mut usage = store.usage().unwrap();
    usage.garbage_bytes = 0;
    all.insert("usage".into(), format!("{usage:?}"));
    all
}

/// The first difference between what was seen and what is seen.
#[track_caller]
pub fn assert_same(was: &BTreeMap<String, String>, is: &BTreeMap<String, String>, what: &str) {
    for asked in was.keys().chain(is.keys()) {
        assert_eq!(was.get(asked), is.get(asked), "{what}: {asked}");
    }
}
