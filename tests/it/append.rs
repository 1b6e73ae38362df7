//! Objects that grow: positions, racing appenders, versions, forks, followers.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ossicle::{
    AppendOptions, Body, Bucket, CompactOptions, DeleteOptions, Digests, Durability, ErrorKind, GetOptions,
    MemoryVfs, ObjectKind, PutOptions, Quota, Settings, StorageClass, Store, VersionId, Versioning,
    VirtualClock,
};

use crate::{a_bucket, code, effort, read};

/// Bytes that differ from place to place.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Appends bodies of these lengths and gives what the object must hold.
fn grow(bucket: &Bucket, key: &str, lengths: impl IntoIterator<Item = usize>) -> Vec<u8> {
    let mut whole = if bucket.exists(key).unwrap() { read(bucket, key) } else { Vec::new() };
    for len in lengths {
        let bytes = noise(whole.len() as u64 + 1, len);
        let options = AppendOptions::new().durability(Durability::Buffered);
        let outcome = bucket.append_with(key, whole.len() as u64, &bytes, options).unwrap();
        whole.extend_from_slice(&bytes);
        assert_eq!(outcome.next_position, whole.len() as u64);
    }
    whole
}

/// The checksum as OSS clients know it, from an object put whole.
fn crc64(bucket: &Bucket, bytes: &[u8]) -> u64 {
    bucket.put_with("crc", bytes, PutOptions::new().digests(Digests::Oss)).unwrap();
    bucket.head("crc").unwrap().digests.crc64.unwrap()
}

#[test]
fn an_object_grows_from_position_to_position() {
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    let clock = VirtualClock::at(start);
    let store = Store::builder("/m").vfs(Arc::new(MemoryVfs::new())).clock(clock.clone()).open().unwrap();
    let bucket = store.create_bucket("logs").unwrap();
    assert_eq!(bucket.append_position("a").unwrap(), 0);
    let options = AppendOptions::new().content_type("text/plain").metadata("n", "1").tag("t", "1");
    let first = bucket.append_with("a", 0, b"12345", options).unwrap();
    assert_eq!((first.next_position, first.version.is_none(), first.lsn), (5, true, store.stats().lsn));
    clock.advance(Duration::from_secs(1));
    // What is said of attributes later has no effect.
    let options = AppendOptions::new()
        .content_type("text/html")
        .metadata("n", "2")
        .storage_class(StorageClass::Archive);
    let second = bucket.append_with("a", 5, "6789", options).unwrap();
    // The check value of CRC-64/XZ.
    assert_eq!((second.next_position, second.crc64), (9, 11_051_210_869_376_104_954));
    assert_ne!(first.etag, second.etag);
    let meta = bucket.head("a").unwrap();
    assert_eq!(
        (meta.kind, meta.size, meta.parts(), meta.class),
        (ObjectKind::Appendable, 9, 2, StorageClass::Standard)
    );
    assert_eq!(
        (&meta.etag, meta.digests.crc64, meta.digests.blake3),
        (&second.etag, Some(second.crc64), None)
    );
    assert_eq!((meta.content_type.as_deref(), meta.metadata["n"].as_str()), (Some("text/plain"), "1"));
    assert_eq!((meta.tags().len(), meta.modified, meta.lsn), (1, start + Duration::from_secs(1), first.lsn));
    assert_eq!(read(&bucket, "a"), b"123456789");
    assert_eq!(&bucket.get_with("a", GetOptions::new().range(3..7)).unwrap().bytes().unwrap()[..], b"4567");
    assert_eq!(bucket.append_position("a").unwrap(), 9);
    assert_eq!((bucket.usage("").unwrap().objects, bucket.usage("").unwrap().bytes), (1, 9));
    // Nothing, at the right place.
    let lsn = store.stats().lsn;
    let nothing = bucket.append("a", 9, b"").unwrap();
    assert_eq!(
        (nothing.next_position, nothing.etag, nothing.crc64, nothing.lsn),
        (9, second.etag, second.crc64, lsn)
    );
    assert_eq!(store.stats().lsn, lsn);
    assert_eq!(bucket.head("a").unwrap().parts(), 2);
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn wrong_places_and_wrong_objects_are_refused() {
    let (_store, bucket) = a_bucket();
    bucket.append("a", 0, b"12345").unwrap();
    for position in [0, 4, 6, u64::from(u32::MAX)] {
        let refused = bucket.append("a", position, b"x").unwrap_err();
        assert_eq!((refused.code(), refused.kind()), ("PositionNotEqualToLength", ErrorKind::Precondition));
        assert!(refused.to_string().contains("position 5"), "{refused}");
        assert_eq!(code(bucket.append("a", position, b"")), "PositionNotEqualToLength");
    }
    assert_eq!(code(bucket.append("missing", 1, b"x")), "PositionNotEqualToLength");
    bucket.put("normal", b"x").unwrap();
    bucket.symlink("link", "a").unwrap();
    for key in ["normal", "link"] {
        let refused = bucket.append(key, 1, b"x").unwrap_err();
        assert_eq!((refused.code(), refused.kind()), ("ObjectNotAppendable", ErrorKind::Precondition));
        assert_eq!(code(bucket.append_position(key)), "ObjectNotAppendable");
        assert_eq!(code(bucket.follow(key, 0)), "ObjectNotAppendable");
    }
    assert_eq!(code(bucket.append("", 0, b"x")), "InvalidObjectName");
    assert_eq!(code(bucket.append_position("")), "InvalidObjectName");
    assert_eq!(code(bucket.append("a", 5 << 30, b"x")), "EntityTooLarge");
    assert_eq!(code(bucket.append("a", u64::MAX, b"x")), "EntityTooLarge");
    for class in [StorageClass::ColdArchive, StorageClass::DeepColdArchive] {
        assert_eq!(
            code(bucket.append_with("b", 0, b"x", AppendOptions::new().storage_class(class))),
            "InvalidArgument"
        );
        assert_eq!(code(bucket.set_storage_class("a", class)), "InvalidArgument");
    }
    assert_eq!(
        code(bucket.append_with("b", 0, b"x", AppendOptions::new().metadata("a_b", "1"))),
        "InvalidArgument"
    );
    bucket.set_config(&Quota { bytes: Some(10), objects: None }).unwrap();
    assert_eq!(code(bucket.append("a", 5, b"123456")), "QuotaExceeded");
    assert_eq!(read(&bucket, "a"), b"12345");
    assert_eq!(bucket.append("a", 5, b"123").unwrap().next_position, 8);
    // A put and a delete replace it, and it begins anew.
    bucket.put("a", b"put").unwrap();
    assert_eq!(code(bucket.append("a", 3, b"x")), "ObjectNotAppendable");
    bucket.delete("a").unwrap();
    bucket.append("a", 0, b"new").unwrap();
    assert_eq!((read(&bucket, "a"), bucket.head("a").unwrap().parts()), (b"new".to_vec(), 1));
}

#[test]
fn an_object_may_begin_with_nothing() {
    let (store, bucket) = a_bucket();
    let empty = bucket.append_with("a", 0, b"", AppendOptions::new().content_type("x/1")).unwrap();
    assert_eq!((empty.next_position, empty.crc64), (0, 0));
    let meta = bucket.head("a").unwrap();
    assert_eq!((meta.size, meta.kind, meta.etag), (0, ObjectKind::Appendable, empty.etag));
    assert!(read(&bucket, "a").is_empty());
    // Attributes are still taken at position 0, if there are any.
    bucket.append_with("b", 0, b"", AppendOptions::new().content_type("x/1")).unwrap();
    bucket.append("a", 0, b"x").unwrap();
    bucket.append_with("b", 0, b"x", AppendOptions::new().content_type("x/2")).unwrap();
    assert_eq!(bucket.head("a").unwrap().content_type.as_deref(), Some("x/1"));
    assert_eq!(bucket.head("b").unwrap().content_type.as_deref(), Some("x/2"));
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn bodies_of_all_lengths_survive_reopening_compaction_and_a_lost_index() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let bucket = store.create_bucket("logs").unwrap();
    let small = grow(&bucket, "small", std::iter::repeat_n(100, 700));
    let mixed = grow(&bucket, "mixed", [0, 1, 60, 70_000, 3, 400_000, 100, 0, 5, 1_000_000, 300]);
    let large = grow(&bucket, "large", [600_000; 6]);
    // From a reader, and first.
    let outcome = bucket.append("read", 0, Body::reader(&large[..])).unwrap();
    assert_eq!(outcome.next_position, large.len() as u64);
    assert_eq!(outcome.crc64, bucket.head("large").unwrap().digests.crc64.unwrap());
    assert_eq!(outcome.crc64, crc64(&bucket, &large));
    bucket.append("read", outcome.next_position, Body::reader(&small[..])).unwrap();
    let check = |store: &Store| {
        let bucket = store.bucket("logs").unwrap();
        assert!(
            read(&bucket, "small") == small
                && read(&bucket, "mixed") == mixed
                && read(&bucket, "large") == large
        );
        assert!(read(&bucket, "read") == [&large[..], &small[..]].concat());
        let range =
            bucket.get_with("mixed", GetOptions::new().range(69_000..471_000)).unwrap().bytes().unwrap();
        assert!(range[..] == mixed[69_000..471_000]);
        let report = store.verify().unwrap();
        assert!(report.is_clean(), "{:?}", report.problems);
    };
    check(&store);
    bucket.put("waste", vec![0; 3_000_000]).unwrap();
    bucket.delete("waste").unwrap();
    store.compact(CompactOptions::new().garbage_percent(0)).unwrap();
    check(&store);
    drop(bucket);
    store.close().unwrap();
    let store = Store::builder(dir.path()).rebuild_index(true).open().unwrap();
    check(&store);
    let bucket = store.bucket("logs").unwrap();
    let more = grow(&bucket, "mixed", std::iter::repeat_n(2000, 40));
    store.compact(CompactOptions::new().garbage_percent(0)).unwrap();
    assert!(read(&bucket, "mixed") == more);
    for key in ["mixed", "small", "large", "read", "crc"] {
        bucket.delete(key).unwrap();
    }
    store.compact(CompactOptions::new().garbage_percent(0)).unwrap();
    assert!(store.verify().unwrap().is_clean());
    assert_eq!((store.usage().unwrap().objects, store.stats().live_bytes < 100_000), (0, true));
}

/// How many rows the store has, by walking the index.
fn entries(store: &Store) -> u64 {
    store.verify().unwrap().entries
}

#[test]
fn many_small_appends_stay_cheap() {
    let (store, bucket) = a_bucket();
    let count = effort::of(20_000, 100_000);
    let whole = grow(&bucket, "a", std::iter::repeat_n(100, count));
    assert!(read(&bucket, "a") == whole);
    assert_eq!(bucket.head("a").unwrap().digests.crc64.unwrap(), crc64(&bucket, &whole));
    assert!(entries(&store) < 400, "{} entries", entries(&store));
}

#[test]
fn of_racing_appenders_exactly_one_wins_each_position() {
    let (store, bucket) = a_bucket();
    let won: Vec<u64> = std::thread::scope(|scope| {
        let appenders: Vec<_> = (0..4u8)
            .map(|number| {
                let bucket = bucket.clone();
                scope.spawn(move || {
                    let mut won = 0;
                    for round in 0..200u64 {
                        match bucket.append("a", round * 8, [number; 8]) {
                            Ok(outcome) => {
                                assert_eq!(outcome.next_position, round * 8 + 8);
                                won += 1;
                            }
                            Err(error) => {
                                assert_eq!(error.code(), "PositionNotEqualToLength");
                                while bucket.append_position("a").unwrap() < round * 8 + 8 {
                                    std::thread::yield_now();
                                }
                            }
                        }
                    }
                    won
                })
            })
            .collect();
        appenders.into_iter().map(|appender| appender.join().unwrap()).collect()
    });
    assert_eq!(won.iter().sum::<u64>(), 200);
    let whole = read(&bucket, "a");
    assert!(whole.len() == 1600 && whole.chunks(8).all(|eight| eight.iter().all(|byte| *byte == eight[0])));
    for (number, won) in (0..).zip(won) {
        assert_eq!(whole.chunks(8).filter(|eight| eight[0] == number).count() as u64, won);
    }
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn an_object_that_was_got_before_stays_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let bucket = store.create_bucket("logs").unwrap();
    let mut kept = Vec::new();
    let mut whole = Vec::new();
    for round in 0..12 {
        whole = grow(&bucket, "a", std::iter::repeat_n(150, 25));
        kept.push((bucket.get("a").unwrap(), store.snapshot().unwrap(), whole.clone()));
        if round % 4 == 3 {
            store.compact(CompactOptions::new().garbage_percent(0)).unwrap();
        }
    }
    bucket.delete("a").unwrap();
    store.compact(CompactOptions::new().garbage_percent(0)).unwrap();
    for (object, snapshot, expected) in kept {
        assert!(object.bytes().unwrap() == expected);
        let then = snapshot.bucket("logs").unwrap().get("a").unwrap();
        assert!(then.bytes().unwrap() == expected);
    }
    assert_eq!(whole.len(), 12 * 25 * 150);
}

#[test]
fn in_a_bucket_with_versions_the_current_version_grows_in_place() {
    let (store, bucket) = a_bucket();
    bucket.set_config(&Versioning::Enabled).unwrap();
    let begun = bucket.append("a", 0, b"one").unwrap();
    // OSS: the null version.
    assert_eq!(begun.version, Some(VersionId::null()));
    bucket.append("a", 3, b"two").unwrap();
    assert_eq!(bucket.usage("").unwrap().noncurrent_objects, 0);
    let put = bucket.put("a", b"over it").unwrap().version.unwrap();
    assert_eq!(code(bucket.append("a", 6, b"x")), "ObjectNotAppendable");
    let null = GetOptions::new().version(VersionId::null());
    assert_eq!(&bucket.get_with("a", null.clone()).unwrap().bytes().unwrap()[..], b"onetwo");
    // It is the current one again, and grows on.
    bucket.delete_with("a", DeleteOptions::new().version(&put)).unwrap();
    assert_eq!(bucket.append("a", 6, b"three").unwrap().version, Some(VersionId::null()));
    let marker = bucket.delete("a").unwrap().version.unwrap();
    let refused = bucket.append("a", 0, b"x").unwrap_err();
    assert_eq!((refused.code(), refused.kind()), ("ObjectNotAppendable", ErrorKind::Precondition));
    assert_eq!(code(bucket.append_position("a")), "ObjectNotAppendable");
    bucket.delete_with("a", DeleteOptions::new().version(&marker)).unwrap();
    assert_eq!(read(&bucket, "a"), b"onetwothree");
    // Suspended: a put takes the place of the null version.
    bucket.set_config(&Versioning::Suspended).unwrap();
    bucket.append("a", 11, b"!").unwrap();
    bucket.put("a", b"null").unwrap();
    assert_eq!(&bucket.get_with("a", null).unwrap().bytes().unwrap()[..], b"null");
    assert_eq!(bucket.usage("").unwrap().noncurrent_objects, 0);
    assert_eq!(code(bucket.copy("a", "b").and_then(|_| bucket.append("b", 4, b"x"))), "ObjectNotAppendable");
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn a_renamed_object_grows_on_and_a_copy_onto_itself_too() {
    let (store, bucket) = a_bucket();
    let before = grow(&bucket, "a", [100; 20]);
    bucket.rename("a", "b").unwrap();
    assert_eq!(bucket.append_position("a").unwrap(), 0);
    let after = grow(&bucket, "b", [100; 20]);
    assert!(after.starts_with(&before) && after.len() == 4000);
    assert_eq!(code(bucket.copy("b", "c")), "ObjectNotCopyable");
    bucket.copy_from(&bucket, "b", "b", ossicle::CopyOptions::new().content_type("x/y")).unwrap();
    assert_eq!(bucket.head("b").unwrap().kind, ObjectKind::Appendable);
    let last = grow(&bucket, "b", [100_000, 1, 500_000, 2]);
    assert!(last.starts_with(&after) && read(&bucket, "b") == last);
    bucket.rename_prefix("b", "c").unwrap();
    assert!(grow(&bucket, "c", [50; 50]).starts_with(&last));
    assert!(store.verify().unwrap().is_clean());
}

/// Both go on with the same bytes before them, and neither may see what the other appends.
#[test]
fn a_fork_and_its_parent_append_each_their_own() {
    for len in [20, 3_000, 400_000] {
        let (store, bucket) = a_bucket();
        let before = grow(&bucket, "a", [len; 5]);
        let fork = store.fork_bucket("cats", "fork").unwrap();
        let second = store.fork_bucket("cats", "second").unwrap();
        for round in 0..40u8 {
            for (number, each) in [&bucket, &fork, &second].into_iter().enumerate() {
                let position = each.append_position("a").unwrap();
                each.append("a", position, vec![round * 3 + number as u8; 10 + number]).unwrap();
            }
        }
        for (number, each) in [&bucket, &fork, &second].into_iter().enumerate() {
            let own = (0..40u8).flat_map(|round| vec![round * 3 + number as u8; 10 + number]);
            assert!(read(each, "a") == before.iter().copied().chain(own).collect::<Vec<_>>(), "{number}");
        }
        store.compact(CompactOptions::new().garbage_percent(0)).unwrap();
        store.delete_bucket("second").unwrap();
        store.delete_bucket("fork").unwrap();
        store.maintain(Duration::from_secs(60)).unwrap();
        assert!(grow(&bucket, "a", [7]).starts_with(&before));
        let report = store.verify().unwrap();
        assert!(report.is_clean(), "{:?}", report.problems);
    }
}

#[test]
fn the_retained_past_shows_an_object_as_short_as_it_was() {
    let settings = Settings { history: Some(Duration::from_secs(3600)), ..Settings::default() };
    let store = Store::builder("/m").vfs(Arc::new(MemoryVfs::new())).settings(settings).open().unwrap();
    let bucket = store.create_bucket("logs").unwrap();
    let (mut whole, mut moments) = (Vec::new(), Vec::new());
    for _ in 0..60 {
        whole = grow(&bucket, "a", [90]);
        moments.push((store.stats().lsn, whole.len()));
    }
    for (lsn, len) in moments {
        let then = store.as_of(lsn).unwrap().bucket("logs").unwrap();
        assert!(then.get("a").unwrap().bytes().unwrap()[..] == whole[..len]);
    }
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn a_follower_gets_every_byte_as_it_comes() {
    let (_store, bucket) = a_bucket();
    bucket.append("a", 0, b"begun").unwrap();
    std::thread::scope(|scope| {
        let following = scope.spawn(|| {
            let mut follow = bucket.follow("a", 2).unwrap();
            let mut got = Vec::new();
            loop {
                match follow.next(Duration::from_secs(60)) {
                    Ok(Some(bytes)) => got.extend_from_slice(&bytes),
                    Ok(None) => panic!("nothing came"),
                    Err(error) => {
                        assert_eq!((error.code(), error.is_not_found()), ("NoSuchKey", true));
                        assert_eq!(follow.position(), 2 + got.len() as u64);
                        return got;
                    }
                }
            }
        });
        let whole = grow(&bucket, "a", (0..300).map(|number| number % 90));
        while bucket.follow("a", whole.len() as u64).unwrap().next(Duration::ZERO).unwrap().is_some() {}
        // It may be behind; what it has not read when the object goes, it does not get.
        std::thread::sleep(Duration::from_millis(200));
        bucket.put("a", b"another").unwrap();
        let got = following.join().unwrap();
        assert!(whole[2..] == got[..]);
    });
}

#[test]
fn a_follower_waits_as_long_as_it_is_told_and_sees_the_end() {
    let (store, bucket) = a_bucket();
    bucket.append("a", 0, b"12").unwrap();
    assert_eq!(code(bucket.follow("missing", 0)), "NoSuchKey");
    // Beyond the end, too.
    let mut follow = bucket.follow("a", 3).unwrap();
    assert_eq!(follow.next(Duration::from_millis(5)).unwrap(), None);
    bucket.append("a", 2, b"345").unwrap();
    assert_eq!(&follow.next(Duration::ZERO).unwrap().unwrap()[..], b"45");
    // Attributes are no end; a rename is one.
    bucket.set_metadata("a", [("a", "b")]).unwrap();
    assert_eq!(follow.next(Duration::ZERO).unwrap(), None);
    bucket.rename("a", "b").unwrap();
    assert_eq!(code(follow.next(Duration::ZERO)), "NoSuchKey");
    // Deleted and begun anew: another object.
    let mut follow = bucket.follow("b", 0).unwrap();
    bucket.delete("b").unwrap();
    bucket.append("b", 0, b"123456").unwrap();
    assert_eq!(code(follow.next(Duration::ZERO)), "NoSuchKey");
    // Closing the store wakes whoever waits.
    let mut follow = bucket.follow("b", 6).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(move || follow.next(Duration::from_secs(60)).unwrap_err().kind());
        std::thread::sleep(Duration::from_millis(50));
        store.close().unwrap();
        assert_eq!(waiting.join().unwrap(), ErrorKind::Closed);
    });
}
