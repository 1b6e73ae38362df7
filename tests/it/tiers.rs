//! Tiers: bodies lie where their class wants them, compressed or not, on this disk or another, and come back as they were.

use std::collections::BTreeMap;
use std::path::Path;

use ossicle::*;

use crate::code;

/// Thresholds so low that short bodies take every path; chunks so small that most have several.
fn settings() -> Settings {
    Settings {
        segment_size: 1 << 20,
        chunk_size: 4096,
        packed_max: 8192,
        reserve_bytes: 0,
        restore_times: RestoreTimes::NONE,
        ..Settings::default()
    }
}

fn builder(path: &Path) -> StoreBuilder {
    Store::builder(path).settings(settings()).maintenance(Maintenance::Manual)
}

fn open(path: &Path) -> Store {
    builder(path).open().unwrap()
}

const CLASSES: [StorageClass; 5] = StorageClass::ALL;
const LENGTHS: [usize; 6] = [0, 10, 700, 8000, 100_000, 1_300_000];

/// Half text, half noise, so that some chunks shrink and some do not.
fn body(len: usize, salt: u8) -> Vec<u8> {
    let mut out = vec![0; len];
    blake3::Hasher::new().update(&[salt]).finalize_xof().fill(&mut out);
    for (n, part) in out.chunks_mut(50_000).enumerate() {
        if n % 2 == 0 {
            let text = format!("{salt}: the quick brown fox jumps over the lazy dog; ");
            part.iter_mut().zip(text.bytes().cycle()).for_each(|(to, from)| *to = from);
        }
    }
    out
}

/// Restores an object if it is frozen.
fn thaw(bucket: &Bucket, key: &str) {
    let meta = bucket.head(key).unwrap();
    if meta.class >= StorageClass::Archive && meta.restore().is_none() {
        bucket.restore(key, RestoreOptions::new()).unwrap();
    }
}

/// Reads a body of any class.
fn read(bucket: &Bucket, key: &str) -> Vec<u8> {
    thaw(bucket, key);
    bucket.get(key).and_then(Object::bytes).unwrap().to_vec()
}

/// Gives an object another class.
fn convert(bucket: &Bucket, key: &str, class: StorageClass) {
    thaw(bucket, key);
    bucket.set_storage_class(key, class).unwrap();
}

fn class(bucket: &Bucket, key: &str) -> StorageClass {
    bucket.head(key).unwrap().class
}

#[track_caller]
fn check(store: &Store, expected: &BTreeMap<String, (StorageClass, Vec<u8>)>) {
    let bucket = store.bucket("cats").unwrap();
    for (key, (wanted, bytes)) in expected {
        assert_eq!(class(&bucket, key), *wanted, "{key}");
        assert!(read(&bucket, key) == *bytes, "{key}");
        let len = bytes.len() as u64;
        for range in [0..len.min(1), len / 3..len / 2, len.saturating_sub(5)..len] {
            if range.is_empty() {
                continue;
            }
            let got = bucket.get_with(key, GetOptions::new().range(range.clone())).unwrap().bytes().unwrap();
            assert!(got[..] == bytes[range.start as usize..range.end as usize], "{key} {range:?}");
        }
    }
    let report = store.verify().unwrap();
    assert!(report.is_clean(), "{:?}", report.problems);
}

fn fill(store: &Store) -> BTreeMap<String, (StorageClass, Vec<u8>)> {
    let bucket = store.bucket("cats").or_else(|_| store.create_bucket("cats")).unwrap();
    let mut expected = BTreeMap::new();
    for (n, class) in CLASSES.into_iter().enumerate() {
        for len in LENGTHS {
            let (key, bytes) = (format!("{class}/{len}"), body(len, n as u8));
            bucket.put_with(&key, &bytes, PutOptions::new().storage_class(class)).unwrap();
            expected.insert(key, (class, bytes));
        }
    }
    expected
}

fn settle(store: &Store) {
    store.maintain(std::time::Duration::from_secs(600)).unwrap();
}

/// Moves everything that lives, loses the index, opens again.
fn shake(path: &Path, store: Store, builder: &dyn Fn(&Path) -> StoreBuilder) -> Store {
    store.compact(CompactOptions::new().garbage_percent(0)).unwrap();
    store.close().unwrap();
    drop(store);
    builder(path).rebuild_index(true).open().unwrap()
}

#[test]
fn bodies_of_every_class_and_length_come_back_from_their_tier() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let expected = fill(&store);
    check(&store, &expected);
    settle(&store);
    check(&store, &expected);
    let tiers = store.stats().tiers;
    let plain: u64 = LENGTHS.iter().map(|len| *len as u64).sum();
    for tier in &tiers[1..] {
        assert!(tier.live_bytes > 0 && tier.live_bytes < plain * 3 / 4, "{tiers:?}");
    }
    let store = shake(dir.path(), store, &builder);
    check(&store, &expected);
    store.close().unwrap();
    drop(store);
    let reader = builder(dir.path()).read_only(true).open().unwrap();
    check(&reader, &expected);
}

#[test]
fn a_change_of_class_takes_the_body_along_both_ways() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let mut expected = fill(&store);
    settle(&store);
    for shift in [1, 3] {
        let bucket = store.bucket("cats").unwrap();
        for (key, (class, _)) in &mut expected {
            let at = CLASSES.iter().position(|each| each == class).unwrap();
            *class = CLASSES[(at + shift) % 5];
            convert(&bucket, key, *class);
        }
        drop(bucket);
        check(&store, &expected);
        settle(&store);
        check(&store, &expected);
        assert_eq!(store.maintain(std::time::Duration::ZERO).unwrap().moved, 0);
        store = shake(dir.path(), store, &builder);
        check(&store, &expected);
    }
}

#[test]
fn what_is_cold_shrinks_and_what_is_deleted_gives_its_space_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bucket = store.create_bucket("cats").unwrap();
    let text = |n: u32| {
        format!(
            "{{\"id\":{n},\"name\":\"cat {n}\",\"colour\":\"tabby\",\"lives\":9,\"notes\":\"sleeps all day\"}}"
        )
    };
    let keys: Vec<String> = (0..2000).map(|n| format!("small/{n:05}")).collect();
    let bodies: BTreeMap<&String, String> =
        keys.iter().zip(0..).map(|(key, n)| (key, text(n).repeat(3))).collect();
    for (key, text) in &bodies {
        let options = PutOptions::new().storage_class(StorageClass::Archive).durability(Durability::Buffered);
        bucket.put_with(key, text, options).unwrap();
    }
    let plain: usize = bodies.values().map(String::len).sum();
    settle(&store);
    let stored = store.stats().tiers[2].live_bytes;
    assert!(stored > 0 && stored * 6 < plain as u64, "{stored} of {plain}");
    let same = |left: usize| {
        for (key, text) in bodies.iter().skip(bodies.len() - left) {
            assert_eq!(read(&bucket, key), text.as_bytes(), "{key}");
        }
        assert!(store.verify().unwrap().is_clean(), "{:?}", store.verify().unwrap().problems);
    };
    same(2000);
    // Copies and renames of what is packed refer to the same bytes.
    bucket.copy(&keys[0], "copy").unwrap();
    bucket.rename(&keys[1999], "moved").unwrap();
    bucket.rename("moved", &keys[1999]).unwrap();
    for key in &keys[..1500] {
        bucket.delete(key).unwrap();
    }
    assert_eq!(read(&bucket, "copy"), bodies[&keys[0]].as_bytes());
    settle(&store);
    store.compact(CompactOptions::new().garbage_percent(0)).unwrap();
    same(500);
    assert!(
        store.stats().tiers[2].live_bytes < stored * 2 / 5,
        "{} of {stored}",
        store.stats().tiers[2].live_bytes
    );
    let report = store.maintain(std::time::Duration::ZERO).unwrap();
    assert_eq!(report.moved, 0);
    bucket.delete("copy").unwrap();
    for key in &keys[1500..] {
        bucket.delete(key).unwrap();
    }
    settle(&store);
    store.compact(CompactOptions::new().garbage_percent(0)).unwrap();
    assert_eq!(store.stats().tiers[2].live_bytes, 0);
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn the_warmest_of_those_who_share_a_body_says_where_it_lies() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bucket = store.create_bucket("cats").unwrap();
    let bytes = body(400_000, 3);
    bucket.put("warm", &bytes).unwrap();
    bucket.copy("warm", "cold").unwrap();
    convert(&bucket, "cold", StorageClass::InfrequentAccess);
    settle(&store);
    let tiers = |store: &Store| store.stats().tiers.map(|tier| tier.live_bytes);
    assert!(tiers(&store)[0] > 300_000 && tiers(&store)[1] == 0, "{:?}", tiers(&store));
    bucket.delete("warm").unwrap();
    convert(&bucket, "cold", StorageClass::Standard);
    convert(&bucket, "cold", StorageClass::InfrequentAccess);
    settle(&store);
    store.compact(CompactOptions::new()).unwrap();
    assert!(tiers(&store)[0] == 0 && tiers(&store)[1] > 0, "{:?}", tiers(&store));
    bucket.copy("cold", "warm again").unwrap();
    convert(&bucket, "warm again", StorageClass::Standard);
    settle(&store);
    store.compact(CompactOptions::new()).unwrap();
    assert!(tiers(&store)[0] > 300_000 && tiers(&store)[1] == 0, "{:?}", tiers(&store));
    for key in ["cold", "warm again"] {
        assert!(read(&bucket, key) == bytes);
    }
}

#[test]
fn versions_move_with_the_class_that_each_of_them_has() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bucket = store.create_bucket("cats").unwrap();
    bucket.set_config(&Versioning::Enabled).unwrap();
    let mut versions = Vec::new();
    for (n, class) in CLASSES.into_iter().enumerate() {
        for len in [900, 50_000] {
            let bytes = body(len, n as u8);
            let put = bucket.put_with("tom", &bytes, PutOptions::new().storage_class(class)).unwrap();
            versions.push((put.version.unwrap(), bytes));
        }
    }
    for (version, _) in &versions {
        if bucket.head_with("tom", GetOptions::new().version(version.clone())).unwrap().class
            >= StorageClass::Archive
        {
            bucket.restore("tom", RestoreOptions::new().version(version)).unwrap();
        }
    }
    let check = || {
        for (version, bytes) in &versions {
            let got = bucket.get_with("tom", GetOptions::new().version(version.clone())).unwrap();
            assert!(got.bytes().unwrap() == bytes[..]);
        }
    };
    check();
    settle(&store);
    check();
    assert!(store.stats().tiers.iter().all(|tier| tier.live_bytes > 0), "{:?}", store.stats().tiers);
    store.compact(CompactOptions::new().garbage_percent(0)).unwrap();
    check();
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn uploads_and_appends_of_a_class_end_in_its_tier() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bucket = store.create_bucket("cats").unwrap();
    let upload =
        bucket.upload("big", UploadOptions::new().storage_class(StorageClass::InfrequentAccess)).unwrap();
    let mut parts = Vec::new();
    let mut whole = Vec::new();
    for n in 1..4 {
        let bytes = body(200_000, n as u8);
        parts.push(upload.put_part(n, &bytes).unwrap());
        whole.extend(bytes);
    }
    upload.complete(&parts).unwrap();
    let options = AppendOptions::new().storage_class(StorageClass::InfrequentAccess);
    let mut grown = Vec::new();
    for n in 0..30 {
        let bytes = body(3000 + n * 100, n as u8);
        bucket.append_with("log", grown.len() as u64, &bytes, options.clone()).unwrap();
        grown.extend(bytes);
        if n % 10 == 9 {
            settle(&store);
        }
    }
    assert!(read(&bucket, "big") == whole && read(&bucket, "log") == grown);
    settle(&store);
    store.compact(CompactOptions::new().garbage_percent(0)).unwrap();
    assert!(read(&bucket, "big") == whole && read(&bucket, "log") == grown);
    let tiers = store.stats().tiers;
    assert!(tiers[0].live_bytes == 0 && tiers[1].live_bytes > 0, "{tiers:?}");
    assert!(store.verify().unwrap().is_clean());
}

/// A builder of a store whose Archive and IA lie elsewhere.
fn elsewhere(there: &Path) -> impl Fn(&Path) -> StoreBuilder {
    let (archive, ia) = (there.join("archive"), there.join("ia"));
    move |path| {
        builder(path)
            .tier(StorageClass::Archive, Tier::new().dir(&archive))
            .tier(StorageClass::InfrequentAccess, Tier::new().dir(&ia).level(0))
    }
}

#[test]
fn a_missing_directory_takes_only_its_own_objects_out_of_service() {
    let dir = tempfile::tempdir().unwrap();
    let (here, there) = (dir.path().join("store"), dir.path().join("there"));
    let builder = elsewhere(&there);
    let store = builder(&here).open().unwrap();
    let mut expected = fill(&store);
    settle(&store);
    let store = shake(&here, store, &builder);
    check(&store, &expected);
    store.close().unwrap();
    drop(store);
    // The disk is not there. Opening needs no setting: the store knows where its tiers lie.
    std::fs::rename(there.join("archive"), dir.path().join("away")).unwrap();
    let store = open(&here);
    let bucket = store.bucket("cats").unwrap();
    for (key, (class, bytes)) in &expected {
        if *class == StorageClass::Archive && bytes.len() > 64 {
            thaw(&bucket, key);
            let error = bucket.get(key).and_then(Object::bytes).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Io, "{key}: {error}");
            assert!(error.to_string().contains("archive"), "{error}");
        } else {
            assert!(read(&bucket, key) == *bytes, "{key}");
        }
    }
    let archive = || PutOptions::new().storage_class(StorageClass::Archive);
    let refused = bucket.put_with("Archive/new", body(100_000, 9), archive()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Io, "{refused}");
    assert_eq!(store.backup(dir.path().join("backup")).unwrap_err().kind(), ErrorKind::Io);
    // What goes to the log first waits there, and everything else goes on.
    for (class, len) in [(StorageClass::Archive, 500), (StorageClass::Standard, 90_000)] {
        let (key, bytes) = (format!("{class}/new"), body(len, 8));
        bucket.put_with(&key, &bytes, PutOptions::new().storage_class(class)).unwrap();
        expected.insert(key, (class, bytes));
    }
    let gone = expected.remove("Archive/1300000").unwrap();
    bucket.delete("Archive/1300000").unwrap();
    let _ = store.maintain(std::time::Duration::from_secs(60));
    let _ = store.compact(CompactOptions::new());
    assert!(read(&bucket, "Archive/new") == expected["Archive/new"].1);
    drop(bucket);
    store.close().unwrap();
    drop(store);
    let store = open(&here);
    store.close().unwrap();
    drop(store);
    std::fs::rename(dir.path().join("away"), there.join("archive")).unwrap();
    let store = open(&here);
    check(&store, &expected);
    settle(&store);
    check(&store, &expected);
    let bucket = store.bucket("cats").unwrap();
    assert_eq!(code(bucket.get("Archive/1300000").and_then(Object::bytes)), "NoSuchKey");
    bucket.put_with("Archive/1300000", &gone.1, archive()).unwrap();
    expected.insert("Archive/1300000".to_string(), gone);
    check(&store, &expected);
}

#[test]
fn a_tier_is_moved_by_moving_its_directory_and_saying_so() {
    let dir = tempfile::tempdir().unwrap();
    let (here, there, new) = (dir.path().join("store"), dir.path().join("there"), dir.path().join("new"));
    let store = elsewhere(&there)(&here).open().unwrap();
    let expected = fill(&store);
    settle(&store);
    store.close().unwrap();
    drop(store);
    assert_eq!(code(elsewhere(&new)(&here).open()), "InvalidArgument");
    std::fs::rename(&there, &new).unwrap();
    let store = elsewhere(&new)(&here).open().unwrap();
    check(&store, &expected);
    store.close().unwrap();
    drop(store);
    check(&open(&here), &expected);
}

#[test]
fn backups_and_what_is_salvaged_hold_all_tiers() {
    let dir = tempfile::tempdir().unwrap();
    let (here, there) = (dir.path().join("store"), dir.path().join("there"));
    let store = elsewhere(&there)(&here).open().unwrap();
    let expected = fill(&store);
    store.backup(dir.path().join("backup")).unwrap();
    settle(&store);
    check(&store, &expected);
    store.backup(dir.path().join("backup")).unwrap();
    store.close().unwrap();
    drop(store);
    std::fs::rename(&there, dir.path().join("away")).unwrap();
    check(&builder(&dir.path().join("backup")).read_only(true).open().unwrap(), &expected);
    Store::restore(dir.path().join("backup"), dir.path().join("restored")).unwrap();
    check(&open(&dir.path().join("restored")), &expected);
    std::fs::rename(dir.path().join("away"), &there).unwrap();
    let report = Store::salvage(&here, dir.path().join("salvaged")).unwrap();
    assert!(report.is_whole(), "{report:?}");
    let store = open(&dir.path().join("salvaged"));
    check(&store, &expected);
    assert!(store.stats().tiers[3].live_bytes > 0);
}

#[test]
fn settings_of_tiers_are_held_against_their_limits() {
    let dir = tempfile::tempdir().unwrap();
    let bad = [
        Tier::new().level(20),
        Tier::new().level(-8),
        Tier::new().chunk(5000),
        Tier::new().chunk(1 << 25),
        Tier::new().dir("relative"),
    ];
    for tier in bad {
        assert_eq!(code(builder(dir.path()).tier(StorageClass::Archive, tier).open()), "InvalidArgument");
    }
}

#[test]
fn a_store_without_cold_classes_asks_nothing_new_of_its_readers() {
    let required = |path: &Path| {
        let bytes = std::fs::read(path.join("SUPERBLOCK")).unwrap();
        let words = bytes.chunks(4096).map(|slot| u64::from_le_bytes(slot[24..32].try_into().unwrap()));
        words.fold(0, |all, word| all | word)
    };
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bucket = store.create_bucket("cats").unwrap();
    bucket.put("tom", body(100_000, 1)).unwrap();
    settle(&store);
    assert_eq!(required(dir.path()), 0);
    bucket.put_with("tim", "short", PutOptions::new().storage_class(StorageClass::Archive)).unwrap();
    assert_eq!(required(dir.path()), 0);
    bucket.put_with("tim", vec![7; 100], PutOptions::new().storage_class(StorageClass::Archive)).unwrap();
    assert_eq!(required(dir.path()), 1);
}

/// Word was left twice of the same body: it was taken out of its frame once, and counted as twice.
#[test]
fn a_body_that_two_words_name_leaves_its_frame_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bucket = store.create_bucket("cats").unwrap();
    let archive = || PutOptions::new().storage_class(StorageClass::Archive);
    let put = |n: usize| bucket.put_with(&format!("a{n}"), vec![n as u8; 200 + n], archive()).map(drop);
    (0..12).try_for_each(put).unwrap();
    settle(&store);
    for class in [StorageClass::InfrequentAccess, StorageClass::Standard] {
        convert(&bucket, "a5", class);
    }
    settle(&store);
    assert!(store.verify().unwrap().is_clean(), "{:?}", store.verify().unwrap().problems);
    bucket.rename("a4", "moved").unwrap();
    bucket.delete_many((6..12).map(|n| format!("a{n}"))).unwrap();
    settle(&store);
    store.compact(CompactOptions::new()).unwrap();
    assert!(store.verify().unwrap().is_clean(), "{:?}", store.verify().unwrap().problems);
    assert_eq!((read(&bucket, "moved"), read(&bucket, "a5")), (vec![4; 204], vec![5; 205]));
}

/// Bytes that nothing makes shorter.
fn noise(len: usize, salt: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    blake3::Hasher::new().update(&salt.to_le_bytes()).finalize_xof().fill(&mut out);
    out
}

/// Puts twelve bodies of 8000 bytes into one frame, `n0` to `n11`.
fn twelve(store: &Store, bucket: &Bucket) {
    for n in 0..12 {
        let archive = PutOptions::new().storage_class(StorageClass::Archive);
        bucket.put_with(&format!("n{n}"), noise(8000, n), archive).unwrap();
    }
    settle(store);
    assert!((96_000..110_000).contains(&store.stats().tiers[2].live_bytes), "{:?}", store.stats().tiers);
}

fn all_twelve_are_there(store: &Store, bucket: &Bucket) {
    (0..12).for_each(|n| assert!(read(bucket, &format!("n{n}")) == noise(8000, n), "{n}"));
    assert!(store.verify().unwrap().is_clean(), "{:?}", store.verify().unwrap().problems);
}

/// Most of a frame goes to other tiers, by moving and not by being deleted: what is left of it is packed anew all the same.
#[test]
fn a_frame_that_is_left_for_other_tiers_is_packed_anew() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bucket = store.create_bucket("cats").unwrap();
    twelve(&store, &bucket);
    for n in 0..6 {
        convert(&bucket, &format!("n{n}"), CLASSES[n % 2]);
    }
    settle(&store);
    // Half of it is of use still.
    assert!(store.stats().tiers[2].live_bytes > 96_000, "{:?}", store.stats().tiers);
    convert(&bucket, "n6", StorageClass::DeepColdArchive);
    settle(&store);
    assert!((40_000..48_000).contains(&store.stats().tiers[2].live_bytes), "{:?}", store.stats().tiers);
    assert_eq!(store.maintain(std::time::Duration::ZERO).unwrap().moved, 0);
    all_twelve_are_there(&store, &bucket);
    let store = shake(dir.path(), store, &builder);
    all_twelve_are_there(&store, &store.bucket("cats").unwrap());
}

/// While there is a thread, small bodies wait for others; word of a frame that is packed anew waits with them.
#[test]
fn what_is_left_of_a_frame_may_wait_and_is_not_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let clock =
        VirtualClock::at(std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000));
    let store = open(dir.path());
    twelve(&store, &store.create_bucket("cats").unwrap());
    store.close().unwrap();
    drop(store);
    let waits = builder(dir.path()).clock(clock.clone()).maintenance(Maintenance::Background);
    let store = waits.open().unwrap();
    let bucket = store.bucket("cats").unwrap();
    bucket.delete_many((0..7).map(|n| format!("n{n}"))).unwrap();
    settle(&store);
    assert!(store.stats().tiers[2].live_bytes > 96_000, "{:?}", store.stats().tiers);
    clock.advance(std::time::Duration::from_secs(61));
    for _ in 0..1000 {
        settle(&store);
        if store.stats().tiers[2].live_bytes < 48_000 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert!((40_000..48_000).contains(&store.stats().tiers[2].live_bytes), "{:?}", store.stats().tiers);
    (7..12).for_each(|n| assert!(read(&bucket, &format!("n{n}")) == noise(8000, n), "{n}"));
    assert!(store.verify().unwrap().is_clean(), "{:?}", store.verify().unwrap().problems);
}

/// Bodies that are written anew with another key leave their frame, each for itself, and are packed again.
#[test]
fn small_cold_bodies_that_are_encrypted_anew_are_packed_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = builder(dir.path()).kms(StaticKey::new([1; 32]).named("one")).open().unwrap();
    let bucket = store.create_bucket("cats").unwrap();
    bucket.set_config(&Encryption::kms("one")).unwrap();
    let put = |n: usize| {
        let archive = PutOptions::new().storage_class(StorageClass::Archive);
        bucket.put_with(&format!("n{n}"), noise(100 + n, n), archive).unwrap();
    };
    let same = || {
        (0..100).for_each(|n| assert!(read(&bucket, &format!("n{n}")) == noise(100 + n, n), "{n}"));
        assert!(store.verify().unwrap().is_clean(), "{:?}", store.verify().unwrap().problems);
    };
    (0..50).for_each(put);
    settle(&store);
    // These wait in the log when they are encrypted anew.
    (50..100).for_each(put);
    bucket.rotate_key().unwrap();
    let done = bucket.reencrypt(std::time::Duration::from_secs(60)).unwrap();
    assert_eq!((done.bodies, done.keys_left), (100, 0));
    same();
    let alone = store.stats().tiers[2].live_bytes;
    settle(&store);
    same();
    let bytes: usize = (0..100).map(|n| 100 + n + 24 + 16).sum();
    let packed = store.stats().tiers[2].live_bytes;
    assert!(packed < bytes as u64 * 6 / 5 && packed < alone, "{packed} of {bytes}, {alone} before");
    assert_eq!(store.maintain(std::time::Duration::ZERO).unwrap().moved, 0);
}

/// Changes one byte in the middle of these bytes, wherever they lie in a file of the store.
#[track_caller]
fn spoil(dir: &Path, bytes: &[u8]) {
    use std::os::unix::fs::FileExt;
    let part = &bytes[bytes.len() / 2..bytes.len() / 2 + 100];
    let bulk = std::fs::read_dir(dir.join("bulk/0")).unwrap().map(|entry| entry.unwrap().path());
    for path in bulk.filter(|path| path.is_file()) {
        let found = std::fs::read(&path).unwrap();
        if let Some(at) = found.windows(part.len()).position(|window| window == part) {
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            return file.write_all_at(&[found[at] ^ 1], at as u64).unwrap();
        }
    }
    panic!("these bytes are nowhere");
}

#[test]
fn bodies_that_cannot_be_read_keep_no_others_from_being_moved() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bucket = store.create_bucket("cats").unwrap();
    let len = |n: usize| if n.is_multiple_of(2) { 20_000 } else { 2_000_000 };
    for n in 0..8 {
        bucket.put(&n.to_string(), noise(len(n), n)).unwrap();
        bucket.set_storage_class(&n.to_string(), StorageClass::Archive).unwrap();
    }
    drop(bucket);
    store.close().unwrap();
    for n in [2, 5] {
        spoil(dir.path(), &noise(len(n), n));
    }
    let store = open(dir.path());
    let bucket = store.bucket("cats").unwrap();
    for _ in 0..2 {
        let error = store.maintain(std::time::Duration::from_secs(60)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
    let error = store.compact(CompactOptions::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    // The others moved, so what was in their place is given back, but for what lies beside the damage.
    let noise_left = |n: usize| {
        let part = &noise(len(n), n)[..100];
        let files = std::fs::read_dir(dir.path().join("bulk/0")).unwrap();
        files
            .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
            .any(|all| all.windows(100).any(|window| window == part))
    };
    assert!(noise_left(2) && noise_left(5) && (0..8).any(|n| !noise_left(n)));
    for n in 0..8 {
        thaw(&bucket, &n.to_string());
        let got = bucket.get(&n.to_string()).and_then(Object::bytes);
        match n {
            2 | 5 => assert_eq!(got.unwrap_err().kind(), ErrorKind::Corrupt, "{n}"),
            _ => assert!(got.unwrap() == noise(len(n), n), "{n}"),
        }
    }
    // What is deleted is in nobody's way any more.
    for n in [2, 5] {
        bucket.delete(&n.to_string()).unwrap();
    }
    store.maintain(std::time::Duration::from_secs(60)).unwrap();
    assert!(store.verify().unwrap().is_clean());
}
