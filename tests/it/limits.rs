//! Objects, names and metadata of the largest kinds.

use ossicle::{PutOptions, Store};

use crate::{a_bucket, code, read};

#[test]
fn keys_may_have_1023_bytes_of_any_text() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let bucket = store.create_bucket("cats").unwrap();
    let mut keys: Vec<String> = ["k", "/", "\u{7FF}", "\u{FFFF}", "\u{10FFFF}", "\u{1F408}"]
        .iter()
        .map(|unit| format!("a{}", unit.repeat(1022 / unit.len())))
        .collect();
    keys.push("k".repeat(1023));
    // A NUL counts twice toward a limit of 1060 bytes.
    keys.push(format!("a{}{}", "\0".repeat(37), "k".repeat(985)));
    keys.push(format!("{}l", "k".repeat(1022)));
    for key in &keys {
        bucket.put(key, key.as_bytes()).unwrap();
    }
    for reopened in [false, true] {
        let store = if reopened { Store::open(dir.path()).unwrap() } else { store.clone() };
        let bucket = store.bucket("cats").unwrap();
        for key in &keys {
            assert_eq!(read(&bucket, key), key.as_bytes());
        }
        let mut sorted = keys.clone();
        sorted.sort();
        let listed: Vec<String> =
            bucket.list("").unwrap().map(|entry| entry.unwrap().name().to_string()).collect();
        assert_eq!(listed, sorted);
        assert!(store.verify().unwrap().is_clean());
        store.checkpoint().unwrap();
        store.close().unwrap();
    }
}

/// So much metadata does not fit into an entry of the index and lies beside it.
#[test]
fn eight_kilobytes_of_metadata_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let bucket = store.create_bucket("cats").unwrap();
    let name = "n".repeat(92);
    for (key, len) in [("small", 100), ("inline", 700), ("large", 100_000), ("empty", 0), ("huge", 2_000_000)]
    {
        let options = PutOptions::new()
            .metadata(&name, "v".repeat(8000))
            .metadata("\u{41}-1", "\u{1F408}".repeat(24))
            .content_type("t".repeat(1024));
        bucket.put_with(key, vec![1; len], options).unwrap();
        bucket.rename(key, &format!("renamed-{key}")).unwrap();
        bucket.copy(&format!("renamed-{key}"), key).unwrap();
    }
    let too_much = PutOptions::new().metadata(&name, "v".repeat(8000)).metadata("more", "v".repeat(97));
    assert_eq!(code(bucket.put_with("a", b"", too_much)), "InvalidArgument");
    store.compact(ossicle::CompactOptions::new().garbage_percent(0)).unwrap();
    store.close().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let bucket = store.bucket("cats").unwrap();
    let mut seen = 0;
    for entry in bucket.list("").unwrap() {
        let meta = bucket.head(entry.unwrap().name()).unwrap();
        assert_eq!((meta.metadata[&name].len(), meta.metadata["a-1"].len()), (8000, 96));
        assert_eq!(meta.content_type.as_deref().map(str::len), Some(1024));
        assert_eq!(read(&bucket, &meta.key).len() as u64, meta.size);
        seen += 1;
    }
    assert_eq!(seen, 10);
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn a_thousand_buckets_are_no_trouble() {
    let store = Store::in_memory().unwrap();
    for number in 0..1000 {
        store.create_bucket(&format!("bucket-{number:04}")).unwrap().put("k", [number as u8]).unwrap();
    }
    let mut count = 0;
    for (number, bucket) in store.buckets().unwrap().enumerate() {
        let bucket = bucket.unwrap();
        assert_eq!(bucket.name().to_string(), format!("bucket-{number:04}"));
        assert_eq!(read(&bucket, "k"), [number as u8]);
        count += 1;
    }
    assert_eq!((count, store.usage().unwrap().objects), (1000, 1000));
}

#[test]
fn bodies_around_every_boundary_come_back() {
    let (_store, bucket) = a_bucket();
    for edge in [256usize, 65_536, 262_144, 1 << 20, 4 << 20] {
        for len in [edge - 1, edge, edge + 1] {
            let body: Vec<u8> = (0..len).map(|at| (at / 7) as u8).collect();
            bucket.put("a", &body).unwrap();
            assert!(read(&bucket, "a") == body, "{len} bytes");
        }
    }
}

#[test]
fn a_body_longer_than_a_segment_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let settings = ossicle::Settings { segment_size: 1 << 20, ..Default::default() };
    let store = Store::builder(dir.path()).settings(settings).open().unwrap();
    let bucket = store.create_bucket("cats").unwrap();
    let body: Vec<u8> = (0..9_000_000).map(|at: u32| (at / 5) as u8).collect();
    bucket.put("a", &body).unwrap();
    bucket.put("b", b"small").unwrap();
    assert!(read(&bucket, "a") == body);
    store.compact(ossicle::CompactOptions::new().garbage_percent(0)).unwrap();
    assert!(read(&bucket, "a") == body);
    assert!(store.verify().unwrap().is_clean());
}

/// A segment with one large body is never without a head: relocating that again and again would have no end.
#[test]
fn compaction_and_maintenance_of_large_bodies_come_to_an_end() {
    let settings = ossicle::Settings { segment_size: 1 << 20, garbage_percent: 5, ..Default::default() };
    let vfs = std::sync::Arc::new(ossicle::MemoryVfs::new());
    let clock = ossicle::VirtualClock::at(std::time::SystemTime::UNIX_EPOCH);
    let builder = Store::builder("/m").vfs(vfs).clock(clock).settings(settings);
    // The clock stands still, so that no budget ever ends the work.
    let store = builder.maintenance(ossicle::Maintenance::Manual).open().unwrap();
    let bucket = store.create_bucket("cats").unwrap();
    for len in [600_000, 900_000, 1_048_000, 1_049_000, 1_100_000, 1_500_000, 2_100_000] {
        bucket.put(&len.to_string(), vec![1; len]).unwrap();
        store.maintain(std::time::Duration::from_secs(1)).unwrap();
        store.compact(ossicle::CompactOptions::new().garbage_percent(0)).unwrap();
        let report = store.maintain(std::time::Duration::from_secs(1)).unwrap();
        assert_eq!(report.relocated, 0, "there is nothing left to gain");
        assert_eq!(read(&bucket, &len.to_string()), vec![1; len]);
    }
}
