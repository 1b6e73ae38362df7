//! Storage classes: who decides them, what reads a body and what does not, which can become which, what OSS charges for.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ossicle::{
    AppendOptions, AttributeOptions, Bucket, CopyOptions, CreateBucketOptions, Digests, Entry, ErrorKind,
    GetOptions, ListOptions, MemoryVfs, PutOptions, RestoreOptions, RestoreTimes, Result, Settings,
    StorageClass, Store, UploadOptions, Versioning, VirtualClock,
};

use crate::{code, read};

const DAY: Duration = Duration::from_secs(24 * 3600);
const MILLISECOND: Duration = Duration::from_millis(1);
const ARCHIVED: [StorageClass; 3] =
    [StorageClass::Archive, StorageClass::ColdArchive, StorageClass::DeepColdArchive];
const FLOOR: u64 = 64 << 10;

fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + DAY * 20_000
}

/// A store in which what is asked for can be read at once.
fn world() -> (Store, Bucket, VirtualClock) {
    let clock = VirtualClock::at(start());
    let settings = Settings { restore_times: RestoreTimes::NONE, ..Settings::default() };
    let vfs = Arc::new(MemoryVfs::new());
    let store = Store::builder("/m").vfs(vfs).clock(clock.clone()).settings(settings).open().unwrap();
    let bucket = store.create_bucket("attic").unwrap();
    (store, bucket, clock)
}

fn of(class: StorageClass) -> PutOptions {
    PutOptions::new().storage_class(class)
}

fn class(bucket: &Bucket, key: &str) -> StorageClass {
    bucket.head(key).unwrap().class
}

fn restore(bucket: &Bucket, key: &str) {
    assert!(bucket.restore(key, RestoreOptions::new()).unwrap().is_restored());
}

#[track_caller]
fn frozen<T: std::fmt::Debug>(answer: Result<T>) {
    let error = answer.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Archived, "InvalidObjectState"));
    assert!(!error.is_retryable() && !error.is_not_found());
}

/// Every way of reading a body of the object `a`; it is `body`, or frozen.
fn read_all_ways(store: &Store, bucket: &Bucket, body: Option<&[u8]>) {
    let check = |answer: Result<Vec<u8>>| match body {
        Some(_) => drop(answer.unwrap()),
        None => frozen(answer),
    };
    let whole = |answer: Result<ossicle::Object>| answer.and_then(|object| Ok(object.bytes()?.to_vec()));
    check(whole(bucket.get("a")));
    check(whole(bucket.get_with("a", GetOptions::new().range(1..3))));
    check(whole(bucket.get_with("a", GetOptions::new().last(2))));
    let version = bucket.versions("").unwrap().find_map(|entry| {
        let entry = entry.unwrap();
        (entry.key == "a").then_some(entry.version)
    });
    check(whole(bucket.get_with("a", GetOptions::new().version(version.unwrap()))));
    check(whole(bucket.get("link")));
    check(whole(store.snapshot().unwrap().bucket("attic").unwrap().get("a")));
    check(store.write(|tx| Ok(tx.get(bucket, "a")?.bytes()?.to_vec())));
    check(store.write(|tx| Ok(tx.get(bucket, "link")?.bytes()?.to_vec())));
    check(bucket.copy("a", "copied").map(|_| Vec::new()));
    check(store.write(|tx| tx.copy(bucket, "a", bucket, "copied")).map(|_| Vec::new()));
    let upload = bucket.upload("parts", UploadOptions::new()).unwrap();
    check(upload.put_part_copy(1, bucket, "a", GetOptions::new()).map(|_| Vec::new()));
    check(upload.put_part_copy(2, bucket, "a", GetOptions::new().range(0..1)).map(|_| Vec::new()));
    upload.abort().unwrap();
    bucket.delete("copied").unwrap();
    if let Some(body) = body {
        assert_eq!(read(bucket, "a"), body);
    }
}

#[test]
fn a_body_in_an_archive_class_is_read_after_it_was_restored_and_by_no_path_before() {
    for class in ARCHIVED {
        for len in [3, 50, 5_000, 700_000] {
            let (store, bucket, clock) = world();
            let body = vec![5; len];
            bucket.put_with("a", &body, of(class)).unwrap();
            bucket.symlink("link", "a").unwrap();
            read_all_ways(&store, &bucket, None);
            restore(&bucket, "a");
            read_all_ways(&store, &bucket, Some(&body));
            clock.advance(DAY);
            read_all_ways(&store, &bucket, None);
            assert!(store.verify().unwrap().is_clean());
        }
    }
}

#[test]
fn standard_and_infrequent_access_are_read_at_any_time() {
    let (store, bucket, _clock) = world();
    for class in [StorageClass::Standard, StorageClass::InfrequentAccess] {
        bucket.put_with("a", b"body", of(class)).unwrap();
        bucket.symlink_with("link", "a", of(StorageClass::Archive)).unwrap();
        read_all_ways(&store, &bucket, Some(b"body"));
    }
}

#[test]
fn what_reads_no_body_never_needs_a_restore() {
    for class in ARCHIVED {
        let (store, bucket, _clock) = world();
        // Rows of the past refer to bodies too.
        store.set_history(Some(DAY)).unwrap();
        let put = bucket.put_with("a", vec![1; 5000], of(class).digests(Digests::Oss)).unwrap();
        bucket.symlink("link", "a").unwrap();
        let meta = bucket.head("a").unwrap();
        assert_eq!((meta.class, meta.size, &meta.etag, meta.restore()), (class, 5000, &put.etag, None));
        assert_eq!(bucket.head("link").unwrap().size, 5000);
        assert!(bucket.exists("a").unwrap());
        assert_eq!(bucket.list("").unwrap().count(), 2);
        assert_eq!(bucket.versions("").unwrap().count(), 2);
        bucket.set_tags("a", [("team", "red")]).unwrap();
        assert_eq!(bucket.tags("a").unwrap().len(), 1);
        bucket.set_acl("a", ossicle::Acl::PublicRead).unwrap();
        bucket.set_metadata("a", [("owner", "ann")]).unwrap();
        bucket.set_content_type("a", "text/plain").unwrap();
        bucket.set_legal_hold("a", true).unwrap();
        bucket.set_legal_hold("a", false).unwrap();
        assert_eq!(bucket.usage("").unwrap().bytes, 5000);
        bucket.rename("a", "b").unwrap();
        bucket.rename_prefix("b", "a").unwrap();
        assert_eq!(bucket.head("a").unwrap().class, class);
        let fork = store.fork_bucket("attic", "fork").unwrap();
        assert_eq!(fork.diff_parent().unwrap().count(), 0);
        store.delete_bucket("fork").unwrap();
        assert!(store.verify().unwrap().is_clean());
        store.backup("/backup").unwrap();
        bucket.delete("a").unwrap();
        assert!(!bucket.exists("a").unwrap());
    }
}

#[test]
fn the_past_of_a_frozen_object_is_frozen_too() {
    let (store, bucket, _clock) = world();
    store.set_history(Some(DAY)).unwrap();
    bucket.put_with("a", vec![1; 5000], of(StorageClass::Archive)).unwrap();
    let then = bucket.head("a").unwrap().lsn;
    bucket.put("a", b"warm").unwrap();
    let past = store.as_of(then).unwrap().bucket("attic").unwrap();
    assert_eq!(past.head("a").unwrap().class, StorageClass::Archive);
    frozen(past.get("a"));
    assert_eq!(read(&bucket, "a"), b"warm");
}

#[test]
fn conditions_are_told_before_a_body_is_found_frozen_and_ranges_after() {
    let (_store, bucket, _clock) = world();
    let etag = bucket.put_with("a", b"body", of(StorageClass::Archive)).unwrap().etag;
    bucket.symlink("link", "a").unwrap();
    for key in ["a", "link"] {
        let get = |options| code(bucket.get_with(key, options));
        assert_eq!(get(GetOptions::new().if_none_match(&etag)), "NotModified");
        assert_eq!(get(GetOptions::new().if_match("other")), "PreconditionFailed");
        assert_eq!(get(GetOptions::new().if_match(&etag)), "InvalidObjectState");
        assert_eq!(get(GetOptions::new().range(100..)), "InvalidObjectState");
    }
    let copy = |options| code(bucket.copy_from(&bucket, "a", "b", options));
    assert_eq!(copy(CopyOptions::new().source_if_none_match(&etag)), "NotModified");
    assert_eq!(copy(CopyOptions::new().source_if_match(&etag)), "InvalidObjectState");
}

#[test]
fn the_class_of_a_write_is_that_of_the_request_else_the_buckets() {
    for default in StorageClass::ALL {
        for asked in [None, Some(StorageClass::Standard), Some(StorageClass::Archive)] {
            let (store, plain, _clock) = world();
            let options = CreateBucketOptions::new().storage_class(default);
            let bucket = store.create_bucket_with("cold", options).unwrap();
            let wanted = asked.unwrap_or(default);
            let with =
                |options: PutOptions| asked.map_or(options.clone(), |class| options.storage_class(class));
            bucket.put_with("put", b"x", with(PutOptions::new())).unwrap();
            let mut writer = bucket.writer("written", with(PutOptions::new())).unwrap();
            writer.write_all(b"x").unwrap();
            writer.finish().unwrap();
            store.write(|tx| tx.put_with(&bucket, "in tx", b"x", with(PutOptions::new()))).unwrap();
            let options = UploadOptions::new();
            let upload =
                bucket.upload("parts", asked.map_or(options.clone(), |class| options.storage_class(class)));
            let upload = upload.unwrap();
            upload.put_part(1, b"x").unwrap();
            upload.complete_all().unwrap();
            // A copy takes nothing from the source.
            plain.put_with("source", b"x", of(StorageClass::InfrequentAccess)).unwrap();
            let options = CopyOptions::new();
            let options = asked.map_or(options.clone(), |class| options.storage_class(class));
            bucket.copy_from(&plain, "source", "copied", options).unwrap();
            for key in ["put", "written", "in tx", "parts", "copied"] {
                assert_eq!(class(&bucket, key), wanted, "{key} in {default}");
            }
            let options = AppendOptions::new();
            let options = asked.map_or(options.clone(), |class| options.storage_class(class));
            let appended = bucket.append_with("log", 0, b"x", options);
            let linked = bucket.symlink_with("link", "put", with(PutOptions::new()));
            if wanted > StorageClass::Archive {
                assert_eq!((code(appended), code(linked)), ("InvalidArgument", "InvalidArgument"));
            } else {
                appended.unwrap();
                linked.unwrap();
                assert_eq!((class(&bucket, "log"), class(&bucket, "link")), (wanted, wanted));
            }
        }
    }
}

#[test]
fn the_class_of_an_upload_is_the_buckets_when_it_is_begun_and_a_rename_keeps_it() {
    let (store, bucket, _clock) = world();
    let cold = CreateBucketOptions::new().storage_class(StorageClass::ColdArchive);
    let cold = store.create_bucket_with("cold", cold).unwrap();
    bucket.put("a", b"x").unwrap();
    store.write(|tx| tx.rename(&bucket, "a", &cold, "a")).unwrap();
    assert_eq!(class(&cold, "a"), StorageClass::Standard);
    store.write(|tx| tx.rename(&cold, "a", &bucket, "a")).unwrap();
    cold.put("b", b"x").unwrap();
    store.write(|tx| tx.rename(&cold, "b", &bucket, "b")).unwrap();
    assert_eq!((class(&bucket, "b"), read(&bucket, "a")), (StorageClass::ColdArchive, b"x".to_vec()));
    frozen(bucket.get("b"));
}

#[test]
fn every_class_becomes_every_other_by_a_change_or_a_copy_and_what_is_frozen_after_a_restore_only() {
    for from in StorageClass::ALL {
        for to in StorageClass::ALL {
            let (_store, bucket, clock) = world();
            let copy = CopyOptions::new().storage_class(to);
            let ways: [(&str, &dyn Fn() -> Result<()>); 3] = [
                ("change", &|| bucket.set_storage_class("change", to)),
                ("self", &|| bucket.copy_from(&bucket, "self", "self", copy.clone()).map(drop)),
                ("copy", &|| bucket.copy_from(&bucket, "copy", "copied", copy.clone()).map(drop)),
            ];
            for (key, change) in ways {
                bucket.put_with(key, b"body", of(from).tag("team", "red")).unwrap();
                clock.advance(DAY);
                if from.is_archive() {
                    let before = bucket.head(key).unwrap();
                    frozen(change());
                    assert_eq!(bucket.head(key).unwrap(), before);
                    restore(&bucket, key);
                }
                change().unwrap();
                let key = if key == "copy" { "copied" } else { key };
                let meta = bucket.head(key).unwrap();
                let now = start() + clock_since(&clock);
                assert_eq!((meta.class, meta.modified, meta.restore()), (to, now, None), "{from} {to} {key}");
                assert_eq!(meta.tags().len(), 1);
                if to.is_archive() {
                    frozen(bucket.get(key));
                    restore(&bucket, key);
                }
                assert_eq!(read(&bucket, key), b"body");
            }
        }
    }
}

fn clock_since(clock: &VirtualClock) -> Duration {
    ossicle::Clock::now(clock).duration_since(start()).unwrap()
}

#[test]
fn a_restoring_that_is_not_done_is_no_source_for_a_change_of_class() {
    let clock = VirtualClock::at(start());
    let store = Store::builder("/m").vfs(Arc::new(MemoryVfs::new())).clock(clock.clone()).open().unwrap();
    let bucket = store.create_bucket("attic").unwrap();
    bucket.put_with("a", b"x", of(StorageClass::Archive)).unwrap();
    bucket.restore("a", RestoreOptions::new()).unwrap();
    frozen(bucket.set_storage_class("a", StorageClass::Standard));
    frozen(bucket.copy("a", "b"));
    clock.advance(Duration::from_secs(60));
    bucket.copy("a", "b").unwrap();
    bucket.set_storage_class("a", StorageClass::Standard).unwrap();
    assert_eq!(read(&bucket, "a"), read(&bucket, "b"));
}

#[test]
fn an_older_version_is_put_on_top_after_a_restore_only() {
    let (_store, bucket, _clock) = world();
    bucket.set_config(&Versioning::Enabled).unwrap();
    let old = bucket.put_with("a", b"old", of(StorageClass::Archive)).unwrap().version.unwrap();
    bucket.put("a", b"new").unwrap();
    frozen(bucket.restore_version("a", &old));
    bucket.restore("a", RestoreOptions::new().version(&old)).unwrap();
    bucket.restore_version("a", &old).unwrap();
    // It is another version, and nobody asked for that.
    assert_eq!(class(&bucket, "a"), StorageClass::Archive);
    frozen(bucket.get("a"));
    bucket
        .set_storage_class_with("a", StorageClass::Standard, AttributeOptions::new().version(&old))
        .unwrap();
    assert_eq!(&bucket.get_with("a", GetOptions::new().version(&old)).unwrap().bytes().unwrap()[..], b"old");
}

#[test]
fn objects_that_grow_are_in_the_warmer_classes_and_grow_while_they_are_restored() {
    let (store, bucket, clock) = world();
    for class in [StorageClass::ColdArchive, StorageClass::DeepColdArchive] {
        assert_eq!(
            code(bucket.append_with("log", 0, b"x", AppendOptions::new().storage_class(class))),
            "InvalidArgument"
        );
    }
    for len in [1, 100_000] {
        let key = format!("log-{len}");
        let piece = vec![1; len];
        let options = AppendOptions::new().storage_class(StorageClass::Archive);
        bucket.append_with(&key, 0, &piece, options.clone()).unwrap();
        frozen(bucket.append(&key, len as u64, &piece));
        frozen(bucket.append(&key, len as u64, b""));
        assert_eq!(bucket.append_position(&key).unwrap(), len as u64);
        frozen(bucket.follow(&key, 0).unwrap().next(Duration::ZERO));
        restore(&bucket, &key);
        for at in 1..20u64 {
            bucket.append(&key, at * len as u64, &piece).unwrap();
        }
        assert_eq!(read(&bucket, &key).len(), 20 * len);
        assert!(bucket.follow(&key, 0).unwrap().next(Duration::ZERO).unwrap().is_some());
        for class in [StorageClass::ColdArchive, StorageClass::DeepColdArchive] {
            assert_eq!(code(bucket.set_storage_class(&key, class)), "InvalidArgument");
        }
        clock.advance(DAY);
        frozen(bucket.append(&key, 20 * len as u64, &piece));
    }
    // An empty one has a body too.
    bucket.append_with("empty", 0, b"", AppendOptions::new().storage_class(StorageClass::Archive)).unwrap();
    frozen(bucket.append("empty", 0, b"x"));
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn symlinks_are_in_the_warmer_classes_and_never_frozen_themselves() {
    let (store, bucket, _clock) = world();
    bucket.put("a", b"x").unwrap();
    bucket.symlink_with("link", "a", of(StorageClass::Archive)).unwrap();
    assert_eq!((class(&bucket, "link"), read(&bucket, "link")), (StorageClass::Archive, b"x".to_vec()));
    bucket.copy("link", "again").unwrap();
    bucket.set_storage_class("link", StorageClass::InfrequentAccess).unwrap();
    let cold = CreateBucketOptions::new().storage_class(StorageClass::ColdArchive);
    let cold = store.create_bucket_with("cold", cold).unwrap();
    for class in [StorageClass::ColdArchive, StorageClass::DeepColdArchive] {
        assert_eq!(code(bucket.symlink_with("link", "a", of(class))), "InvalidArgument");
        assert_eq!(code(bucket.set_storage_class("link", class)), "InvalidArgument");
        let copy = CopyOptions::new().storage_class(class);
        assert_eq!(code(bucket.copy_from(&bucket, "link", "x", copy)), "InvalidArgument");
    }
    assert_eq!(code(cold.copy_from(&bucket, "link", "x", CopyOptions::new())), "InvalidArgument");
    assert_eq!(code(cold.symlink("x", "a")), "InvalidArgument");
    assert_eq!(code(cold.append("x", 0, b"x")), "InvalidArgument");
}

#[test]
fn minimum_durations_count_from_when_the_object_was_written_or_copied() {
    let (_store, bucket, clock) = world();
    let day = |class: StorageClass| (class.minimum_duration().as_secs() / DAY.as_secs()) as u32;
    for class in StorageClass::ALL {
        bucket.put_with("a", b"x", of(class)).unwrap();
        let wanted = |days: u32| (days > 0).then(|| start() + clock_since(&clock) + DAY * days);
        assert_eq!(bucket.head("a").unwrap().minimum_until(), wanted(day(class)), "{class}");
        if class.is_archive() {
            restore(&bucket, "a");
        }
        let before = bucket.head("a").unwrap().minimum_until();
        clock.advance(DAY / 2);
        bucket.set_tags("a", [("team", "red")]).unwrap();
        bucket.rename("a", "b").unwrap();
        assert_eq!(bucket.head("b").unwrap().minimum_until(), before, "{class}");
        bucket.set_storage_class("b", StorageClass::InfrequentAccess).unwrap();
        let wanted = |days: u32| Some(start() + clock_since(&clock) + DAY * days);
        assert_eq!(bucket.head("b").unwrap().minimum_until(), wanted(30));
        clock.advance(DAY);
        bucket.copy_from(&bucket, "b", "b", CopyOptions::new().storage_class(StorageClass::Archive)).unwrap();
        assert_eq!(bucket.head("b").unwrap().minimum_until(), wanted(60));
        // Reported, not enforced.
        bucket.delete("b").unwrap();
    }
}

/// What OSS charges for: objects, bytes, billable bytes, early objects of each class.
fn bill(bucket: &Bucket, prefix: &str) -> Vec<(StorageClass, u64, u64, u64, u64)> {
    let bill = bucket.billing(prefix).unwrap();
    let line = |class: &ossicle::ClassBilling| {
        (class.class, class.objects, class.bytes, class.billable_bytes, class.early_objects)
    };
    assert_eq!(bill.bytes(), bill.classes.iter().map(|class| class.bytes).sum::<u64>());
    assert_eq!(bill.billable_bytes(), bill.classes.iter().map(|class| class.billable_bytes).sum::<u64>());
    bill.classes.iter().map(line).collect()
}

#[test]
fn a_bill_counts_64_kib_at_least_in_every_class_but_standard() {
    let (_store, bucket, _clock) = world();
    assert_eq!(bill(&bucket, ""), []);
    let lengths = [0, 1, FLOOR - 1, FLOOR, FLOOR + 1, 300_000];
    let sum: u64 = lengths.iter().sum();
    let mut wanted = Vec::new();
    for class in StorageClass::ALL {
        for len in lengths {
            bucket.put_with(&format!("{class}/{len}"), vec![0; len as usize], of(class)).unwrap();
        }
        let billable = if class == StorageClass::Standard { sum } else { 4 * FLOOR + FLOOR + 1 + 300_000 };
        let early = if class == StorageClass::Standard { 0 } else { 6 };
        wanted.push((class, 6, sum, billable, early));
        assert_eq!(bill(&bucket, &format!("{class}/")), wanted[wanted.len() - 1..]);
    }
    assert_eq!(bill(&bucket, ""), wanted);
    // What `usage` says at once is the same.
    let usage = bucket.usage("").unwrap().classes;
    assert_eq!(usage, wanted.iter().map(|line| (line.0, line.1, line.2)).collect::<Vec<_>>());
}

#[test]
fn a_bill_counts_older_versions_and_no_markers() {
    let (store, bucket, _clock) = world();
    bucket.set_config(&Versioning::Enabled).unwrap();
    bucket.put_with("a", b"one", of(StorageClass::InfrequentAccess)).unwrap();
    bucket.put("a", b"two!").unwrap();
    bucket.delete("a").unwrap();
    let wanted = [(StorageClass::Standard, 1, 4, 4, 0), (StorageClass::InfrequentAccess, 1, 3, FLOOR, 1)];
    assert_eq!(bill(&bucket, ""), wanted);
    let snapshot = store.snapshot().unwrap().bucket("attic").unwrap();
    bucket
        .delete_versions(bucket.versions("").unwrap().map(|entry| {
            let entry = entry.unwrap();
            (entry.key, entry.version)
        }))
        .unwrap();
    assert_eq!(bill(&bucket, ""), []);
    assert_eq!(snapshot.billing("").unwrap().billable_bytes(), FLOOR + 4);
}

#[test]
fn a_bill_says_what_would_go_too_early_and_how_much_that_is() {
    let (_store, bucket, clock) = world();
    bucket.put_with("ia", b"x", of(StorageClass::InfrequentAccess)).unwrap();
    bucket.put_with("cold", vec![0; 100_000], of(StorageClass::ColdArchive)).unwrap();
    let early = || -> Vec<(u64, u128)> {
        let bill = bucket.billing("").unwrap();
        bill.classes.iter().map(|class| (class.early_objects, class.early_byte_days)).collect()
    };
    let floor = u128::from(FLOOR);
    assert_eq!(early(), [(1, floor * 30), (1, 100_000 * 180)]);
    clock.advance(MILLISECOND);
    assert_eq!(early(), [(1, floor * 30), (1, 100_000 * 180)]);
    clock.advance(DAY * 29);
    assert_eq!(early(), [(1, floor), (1, 100_000 * 151)]);
    clock.advance(DAY - MILLISECOND);
    assert_eq!(early(), [(0, 0), (1, 100_000 * 150)]);
    clock.advance(DAY * 150);
    assert_eq!(early(), [(0, 0), (0, 0)]);
}

#[test]
fn a_listing_tells_the_class_of_each_object_and_usage_follows_every_change_of_class() {
    let (_store, bucket, _clock) = world();
    for class in StorageClass::ALL {
        bucket.put_with(&class.to_string(), b"body", of(class)).unwrap();
    }
    for entry in bucket.list_with(ListOptions::new()).unwrap() {
        match entry.unwrap() {
            Entry::Object(meta) => assert_eq!(meta.key, meta.class.to_string()),
            other => panic!("{other:?}"),
        }
    }
    restore(&bucket, "ColdArchive");
    bucket.set_storage_class("ColdArchive", StorageClass::Standard).unwrap();
    let classes = bucket.usage("").unwrap().classes;
    let wanted = [
        (StorageClass::Standard, 2, 8),
        (StorageClass::InfrequentAccess, 1, 4),
        (StorageClass::Archive, 1, 4),
        (StorageClass::DeepColdArchive, 1, 4),
    ];
    assert_eq!(classes, wanted);
}
