//! Restoring frozen objects: every state, every way from one to the next, and what is refused.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ossicle::{
    AttributeOptions, Bucket, CompactOptions, CopyOptions, Durability, ErrorKind, GetOptions, MemoryVfs,
    PutOptions, RestoreOptions, RestorePriority, RestoreStatus, RestoreTimes, Result, Retention,
    RetentionMode, Settings, StorageClass, Store, VersionId, Versioning, VirtualClock,
};

use crate::{code, read};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const MILLISECOND: Duration = Duration::from_millis(1);

fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + DAY * 20_000
}

fn world() -> (Store, Bucket, VirtualClock) {
    let clock = VirtualClock::at(start());
    let store = Store::builder("/m").vfs(Arc::new(MemoryVfs::new())).clock(clock.clone()).open().unwrap();
    let bucket = store.create_bucket("attic").unwrap();
    (store, bucket, clock)
}

fn of(class: StorageClass) -> PutOptions {
    PutOptions::new().storage_class(class)
}

fn options() -> RestoreOptions {
    RestoreOptions::new()
}

fn fast() -> RestoreOptions {
    options().priority(RestorePriority::Expedited)
}

/// What is told of a restoring, so that it can be compared.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    Ongoing(RestorePriority, SystemTime, SystemTime),
    Restored(SystemTime),
}

fn told(status: Option<RestoreStatus>) -> Told {
    match status {
        None => Told::Nothing,
        Some(RestoreStatus::Ongoing { priority, ready, until }) => Told::Ongoing(priority, ready, until),
        Some(RestoreStatus::Restored { until }) => Told::Restored(until),
        Some(other) => panic!("{other:?}"),
    }
}

fn status(bucket: &Bucket, key: &str) -> Told {
    told(bucket.head(key).unwrap().restore())
}

fn ask(bucket: &Bucket, options: RestoreOptions) -> Told {
    told(Some(bucket.restore("a", options).unwrap()))
}

#[track_caller]
fn frozen<T: std::fmt::Debug>(answer: Result<T>) {
    let error = answer.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Archived, "InvalidObjectState"));
}

#[test]
fn a_frozen_object_is_ongoing_then_restored_then_frozen_again() {
    for (class, takes) in [
        (StorageClass::Archive, MINUTE),
        (StorageClass::ColdArchive, HOUR * 5),
        (StorageClass::DeepColdArchive, HOUR * 48),
    ] {
        for len in [0, 10, 5_000, 700_000] {
            let (store, bucket, clock) = world();
            let body = vec![7; len];
            bucket.put_with("a", &body, of(class)).unwrap();
            let (put, ready) = (bucket.head("a").unwrap(), start() + takes);
            assert_eq!(told(put.restore()), Told::Nothing);
            frozen(bucket.get("a"));

            let going = Told::Ongoing(RestorePriority::Standard, ready, ready + DAY * 2);
            assert_eq!(ask(&bucket, options().days(2)), going);
            for now in [start(), ready - MILLISECOND] {
                clock.set(now);
                assert_eq!(status(&bucket, "a"), going);
                frozen(bucket.get("a"));
            }
            for now in [ready, ready + DAY * 2 - MILLISECOND] {
                clock.set(now);
                assert_eq!(status(&bucket, "a"), Told::Restored(ready + DAY * 2));
                assert_eq!(read(&bucket, "a"), body);
            }
            clock.set(ready + DAY * 2);
            assert_eq!(status(&bucket, "a"), Told::Nothing);
            frozen(bucket.get("a"));
            // And so it may go on.
            assert_eq!(
                ask(&bucket, options()),
                Told::Ongoing(RestorePriority::Standard, ready + DAY * 2 + takes, ready + DAY * 3 + takes)
            );
            clock.advance(takes);
            assert_eq!(read(&bucket, "a"), body);
            assert!(store.verify().unwrap().is_clean());
        }
    }
}

#[test]
fn restoring_leaves_class_time_tag_and_version_as_they_are() {
    let (_store, bucket, clock) = world();
    bucket.set_config(&Versioning::Enabled).unwrap();
    bucket
        .put_with("a", b"x", of(StorageClass::Archive).tag("team", "red").metadata("owner", "ann"))
        .unwrap();
    let before = bucket.head("a").unwrap();
    let usage = bucket.usage("").unwrap();
    clock.advance(HOUR);
    bucket.restore("a", options()).unwrap();
    clock.advance(MINUTE);
    let after = bucket.head("a").unwrap();
    let same = |meta: &ossicle::ObjectMeta| {
        let found = (meta.class, meta.modified, meta.etag.clone(), meta.version.clone(), meta.lsn);
        (found, meta.tags().to_vec(), meta.metadata.clone(), meta.minimum_until())
    };
    assert_eq!(same(&after), same(&before));
    assert_eq!(bucket.versions("").unwrap().count(), 1);
    assert_eq!(bucket.usage("").unwrap(), usage);
}

#[test]
fn while_it_is_ongoing_only_a_higher_priority_is_taken_and_speeds_it_up() {
    use RestorePriority::{Bulk, Expedited, Standard};
    let (_store, bucket, clock) = world();
    bucket.put_with("a", b"x", of(StorageClass::ColdArchive)).unwrap();
    let slow = start() + HOUR * 12;
    assert_eq!(ask(&bucket, options().priority(Bulk).days(9)), Told::Ongoing(Bulk, slow, slow + DAY * 9));
    let again = bucket.restore("a", options().priority(Bulk)).unwrap_err();
    assert_eq!((again.kind(), again.code()), (ErrorKind::Archived, "RestoreAlreadyInProgress"));
    clock.advance(HOUR);
    let sooner = start() + HOUR * 6;
    assert_eq!(ask(&bucket, options()), Told::Ongoing(Standard, sooner, sooner + DAY * 9));
    for priority in [Bulk, Standard] {
        assert_eq!(code(bucket.restore("a", options().priority(priority))), "RestoreAlreadyInProgress");
    }
    // Not even with other days.
    assert_eq!(code(bucket.restore("a", options().days(20))), "RestoreAlreadyInProgress");
    clock.advance(HOUR);
    let soon = start() + HOUR * 3;
    assert_eq!(ask(&bucket, fast().days(20)), Told::Ongoing(Expedited, soon, soon + DAY * 20));
    assert_eq!(status(&bucket, "a"), Told::Ongoing(Expedited, soon, soon + DAY * 20));
    assert_eq!(code(bucket.restore("a", fast())), "RestoreAlreadyInProgress");
    clock.set(soon);
    assert_eq!(read(&bucket, "a"), b"x");
}

#[test]
fn a_higher_priority_that_comes_too_late_makes_nothing_later() {
    let (_store, bucket, clock) = world();
    bucket.put_with("a", b"x", of(StorageClass::ColdArchive)).unwrap();
    bucket.restore("a", options()).unwrap();
    let ready = start() + HOUR * 5;
    clock.set(ready - MINUTE);
    assert_eq!(ask(&bucket, fast()), Told::Ongoing(RestorePriority::Expedited, ready, ready + DAY));
}

#[test]
fn asking_again_once_it_is_restored_makes_it_last_longer_and_never_shorter() {
    let (_store, bucket, clock) = world();
    bucket.put_with("a", b"x", of(StorageClass::Archive)).unwrap();
    bucket.restore("a", options().days(3)).unwrap();
    let ready = start() + MINUTE;
    clock.set(ready);
    let before = bucket.head("a").unwrap().lsn;
    for days in [1, 2, 3] {
        assert_eq!(ask(&bucket, options().days(days)), Told::Restored(ready + DAY * 3));
    }
    assert_eq!(ask(&bucket, options()), Told::Restored(ready + DAY * 3));
    assert_eq!(bucket.head("a").unwrap().lsn, before);
    assert_eq!(ask(&bucket, options().days(7)), Told::Restored(ready + DAY * 7));
    clock.advance(DAY * 7 - MILLISECOND);
    assert_eq!(ask(&bucket, options()), Told::Restored(ready + DAY * 8 - MILLISECOND));
    clock.advance(HOUR * 23);
    assert_eq!(read(&bucket, "a"), b"x");
}

#[test]
fn days_are_1_to_7_in_archive_and_1_to_365_in_the_colder_classes_and_one_by_default() {
    for (class, most) in
        [(StorageClass::Archive, 7), (StorageClass::ColdArchive, 365), (StorageClass::DeepColdArchive, 365)]
    {
        for days in [0, most + 1, u32::MAX] {
            let (_store, bucket, _clock) = world();
            bucket.put_with("a", b"x", of(class)).unwrap();
            let error = bucket.restore("a", options().days(days)).unwrap_err();
            assert_eq!(
                (error.kind(), error.code()),
                (ErrorKind::Invalid, "InvalidArgument"),
                "{class} {days}"
            );
            assert_eq!(status(&bucket, "a"), Told::Nothing);
        }
        for (asked, lasts) in [(options(), 1), (options().days(1), 1), (options().days(most), most)] {
            let (_store, bucket, _clock) = world();
            bucket.put_with("a", b"x", of(class)).unwrap();
            match ask(&bucket, asked) {
                Told::Ongoing(_, ready, until) => assert_eq!(until, ready + DAY * lasts),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn each_class_has_its_priorities_and_times() {
    use RestorePriority::{Bulk, Expedited, Standard};
    for (class, priority, takes) in [
        (StorageClass::ColdArchive, Expedited, Some(HOUR)),
        (StorageClass::ColdArchive, Standard, Some(HOUR * 5)),
        (StorageClass::ColdArchive, Bulk, Some(HOUR * 12)),
        (StorageClass::DeepColdArchive, Expedited, Some(HOUR * 12)),
        (StorageClass::DeepColdArchive, Standard, Some(HOUR * 48)),
        (StorageClass::DeepColdArchive, Bulk, None),
        // OSS takes none at all in Archive.
        (StorageClass::Archive, Expedited, None),
        (StorageClass::Archive, Standard, None),
        (StorageClass::Archive, Bulk, None),
    ] {
        let (_store, bucket, _clock) = world();
        bucket.put_with("a", b"x", of(class)).unwrap();
        match (bucket.restore("a", options().priority(priority)), takes) {
            (Ok(found), Some(takes)) => {
                let ready = start() + takes;
                assert_eq!(told(Some(found)), Told::Ongoing(priority, ready, ready + DAY));
            }
            (Err(error), None) => assert_eq!(error.code(), "InvalidArgument", "{class} {priority}"),
            other => panic!("{class} {priority}: {other:?}"),
        }
    }
}

#[test]
fn what_is_not_archived_is_not_restored() {
    let (_store, bucket, _clock) = world();
    for class in [StorageClass::Standard, StorageClass::InfrequentAccess] {
        bucket.put_with("a", b"x", of(class)).unwrap();
        let error = bucket.restore("a", options()).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Unsupported, "OperationNotSupported"));
        assert_eq!(read(&bucket, "a"), b"x");
    }
    bucket.put_with("cold", b"x", of(StorageClass::Archive)).unwrap();
    bucket.symlink_with("link", "cold", of(StorageClass::Archive)).unwrap();
    assert_eq!(code(bucket.restore("link", options())), "OperationNotSupported");
    assert_eq!(code(bucket.restore("missing", options())), "NoSuchKey");
    assert_eq!(code(bucket.restore("/wrong", options())), "InvalidObjectName");
    bucket.set_config(&Versioning::Enabled).unwrap();
    bucket.delete("cold").unwrap();
    assert_eq!(code(bucket.restore("cold", options())), "NoSuchKey");
    let nobody = VersionId::parse("0123456789ABCDEF01234567").unwrap();
    assert_eq!(code(bucket.restore("cold", options().version(&nobody))), "NoSuchVersion");
}

#[test]
fn each_version_is_restored_by_itself_and_told_in_every_listing() {
    let (_store, bucket, clock) = world();
    bucket.put_with("a", b"null", of(StorageClass::Archive)).unwrap();
    bucket.set_config(&Versioning::Enabled).unwrap();
    let first = bucket.put_with("a", b"first", of(StorageClass::Archive)).unwrap().version.unwrap();
    let second = bucket.put_with("a", b"second", of(StorageClass::ColdArchive)).unwrap().version.unwrap();
    let by = |version: &VersionId| GetOptions::new().version(version);
    bucket.restore("a", options().version(&first)).unwrap();
    bucket.restore("a", options().version(VersionId::null()).days(3)).unwrap();
    clock.advance(MINUTE);
    frozen(bucket.get("a"));
    frozen(bucket.get_with("a", by(&second)));
    assert_eq!(&bucket.get_with("a", by(&first)).unwrap().bytes().unwrap()[..], b"first");
    assert_eq!(&bucket.get_with("a", by(&VersionId::null())).unwrap().bytes().unwrap()[..], b"null");
    bucket.restore("a", fast()).unwrap();

    let ready = start() + MINUTE;
    let wanted = [
        Told::Ongoing(RestorePriority::Expedited, ready + HOUR, ready + HOUR + DAY),
        Told::Restored(ready + DAY),
        Told::Restored(ready + DAY * 3),
    ];
    let listed = bucket.versions("").unwrap().map(|entry| told(entry.unwrap().meta.unwrap().restore()));
    assert_eq!(listed.collect::<Vec<_>>(), wanted);
    let heads = [&second, &first, &VersionId::null()]
        .map(|version| told(bucket.head_with("a", by(version)).unwrap().restore()));
    assert_eq!(heads, wanted);
    let listed: Vec<Told> = bucket
        .list("")
        .unwrap()
        .map(|entry| match entry.unwrap() {
            ossicle::Entry::Object(meta) => told(meta.restore()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(listed, wanted[..1]);
    // It stays with the version when that comes to be current again, and when it is pushed down.
    bucket.delete("a").unwrap();
    bucket.delete_with("a", ossicle::DeleteOptions::new().version(&second)).unwrap();
    bucket.undelete("a").unwrap();
    assert_eq!(read(&bucket, "a"), b"first");
    bucket.put("a", b"third").unwrap();
    assert_eq!(&bucket.get_with("a", by(&first)).unwrap().bytes().unwrap()[..], b"first");
    clock.advance(DAY);
    frozen(bucket.get_with("a", by(&first)));
}

#[test]
fn what_is_said_of_a_restored_object_leaves_it_restored_and_overwriting_does_not() {
    let (_store, bucket, clock) = world();
    bucket.put_with("a", b"x", of(StorageClass::Archive)).unwrap();
    bucket.restore("a", options().days(5)).unwrap();
    clock.advance(MINUTE);
    let restored = Told::Restored(start() + MINUTE + DAY * 5);
    bucket.set_tags("a", [("team", "red")]).unwrap();
    bucket.set_acl("a", ossicle::Acl::PublicRead).unwrap();
    bucket.set_metadata("a", [("owner", "ann")]).unwrap();
    bucket.clear_tags("a").unwrap();
    assert_eq!(status(&bucket, "a"), restored);
    bucket.rename("a", "b").unwrap();
    assert_eq!((status(&bucket, "b"), read(&bucket, "b")), (restored, b"x".to_vec()));
    bucket.rename_prefix("", "under/").unwrap();
    assert_eq!(read(&bucket, "under/b"), b"x");
    bucket
        .copy_from(&bucket, "under/b", "c", CopyOptions::new().storage_class(StorageClass::Archive))
        .unwrap();
    assert_eq!(status(&bucket, "c"), Told::Nothing);
    frozen(bucket.get("c"));
    bucket.put_with("under/b", b"y", of(StorageClass::Archive)).unwrap();
    assert_eq!(status(&bucket, "under/b"), Told::Nothing);
    frozen(bucket.get("under/b"));
}

#[test]
fn a_protected_object_can_be_restored() {
    let (_store, bucket, clock) = world();
    bucket.put_with("a", b"x", of(StorageClass::Archive)).unwrap();
    bucket.set_retention("a", Retention { mode: RetentionMode::Compliance, until: start() + DAY }).unwrap();
    bucket.set_legal_hold("a", true).unwrap();
    bucket.restore("a", options()).unwrap();
    clock.advance(MINUTE);
    assert_eq!(read(&bucket, "a"), b"x");
    assert!(bucket.legal_hold("a").unwrap() && bucket.delete("a").is_err());
}

#[test]
fn the_times_are_a_setting_and_count_when_they_are_asked_for() {
    let disk = Arc::new(MemoryVfs::new());
    let clock = VirtualClock::at(start());
    let open = |restore_times| {
        let settings = Settings { restore_times, ..Settings::default() };
        Store::builder("/m").vfs(disk.clone()).clock(clock.clone()).settings(settings).open().unwrap()
    };
    let store = open(RestoreTimes::NONE);
    let bucket = store.create_bucket("attic").unwrap();
    for (key, class) in
        [("a", StorageClass::Archive), ("b", StorageClass::ColdArchive), ("c", StorageClass::DeepColdArchive)]
    {
        bucket.put_with(key, b"x", of(class)).unwrap();
        frozen(bucket.get(key));
        assert!(bucket.restore(key, options()).unwrap().is_restored());
        assert_eq!(
            (status(&bucket, key), read(&bucket, key)),
            (Told::Restored(start() + DAY), b"x".to_vec())
        );
    }
    drop(bucket);
    store.close().unwrap();
    let store = open(RestoreTimes { archive: Duration::MAX, ..RestoreTimes::OSS });
    let bucket = store.bucket("attic").unwrap();
    assert_eq!(read(&bucket, "a"), b"x");
    bucket.put_with("never", b"x", of(StorageClass::Archive)).unwrap();
    assert!(!bucket.restore("never", options().durability(Durability::Buffered)).unwrap().is_restored());
    clock.advance(DAY * 10_000);
    frozen(bucket.get("never"));
}

#[test]
fn a_clock_that_is_set_back_freezes_nothing_for_good() {
    let (_store, bucket, clock) = world();
    bucket.put_with("a", b"x", of(StorageClass::Archive)).unwrap();
    bucket.restore("a", options()).unwrap();
    clock.advance(HOUR);
    assert_eq!(read(&bucket, "a"), b"x");
    clock.set(start() - DAY);
    frozen(bucket.get("a"));
    clock.set(start() + HOUR);
    assert_eq!(read(&bucket, "a"), b"x");
}

#[test]
fn what_was_asked_for_survives_closing_compaction_and_a_lost_index() {
    let dir = tempfile::tempdir().unwrap();
    let clock = VirtualClock::at(start());
    let open =
        |rebuild| Store::builder(dir.path()).clock(clock.clone()).rebuild_index(rebuild).open().unwrap();
    let store = open(false);
    let bucket = store.create_bucket("attic").unwrap();
    for (key, len) in [("short", 10), ("packed", 5_000), ("long", 700_000)] {
        bucket.put_with(key, vec![3; len], of(StorageClass::ColdArchive)).unwrap();
        bucket.restore(key, fast().days(30)).unwrap();
        let upload = bucket.upload("parts", Default::default()).unwrap();
        upload.put_part(1, b"part").unwrap();
        upload.complete_all().unwrap();
        bucket.set_storage_class_with("parts", StorageClass::Archive, AttributeOptions::new()).unwrap();
        bucket.restore("parts", options()).unwrap();
    }
    bucket.put("waste", vec![9; 2_000_000]).unwrap();
    bucket.delete("waste").unwrap();
    store.compact(CompactOptions::new().garbage_percent(0)).unwrap();
    store.close().unwrap();
    for rebuild in [false, true] {
        let store = open(rebuild);
        let bucket = store.bucket("attic").unwrap();
        let ready = start() + HOUR;
        for key in ["short", "packed", "long"] {
            clock.set(start());
            let going = Told::Ongoing(RestorePriority::Expedited, ready, ready + DAY * 30);
            assert_eq!(status(&bucket, key), going);
            frozen(bucket.get(key));
            clock.set(ready);
            assert!(read(&bucket, key).iter().all(|byte| *byte == 3));
        }
        assert_eq!(read(&bucket, "parts"), b"part");
        assert!(store.verify().unwrap().is_clean());
        store.close().unwrap();
    }
}

#[test]
fn a_fork_and_its_parent_are_restored_apart() {
    let (store, bucket, clock) = world();
    bucket.put_with("a", vec![1; 600_000], of(StorageClass::Archive)).unwrap();
    bucket.put_with("both", b"x", of(StorageClass::Archive)).unwrap();
    bucket.restore("both", options()).unwrap();
    let fork = store.fork_bucket("attic", "fork").unwrap();
    fork.restore("a", options()).unwrap();
    clock.advance(MINUTE);
    // Being restored passes, and is no difference of what the two hold.
    assert_eq!(fork.diff_parent().unwrap().count(), 0);
    assert_eq!(read(&fork, "a").len(), 600_000);
    frozen(bucket.get("a"));
    assert_eq!((read(&fork, "both"), read(&bucket, "both")), (b"x".to_vec(), b"x".to_vec()));
    store.delete_bucket("fork").unwrap();
    bucket.restore("a", options()).unwrap();
    clock.advance(MINUTE);
    assert_eq!(read(&bucket, "a").len(), 600_000);
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn a_snapshot_shows_what_was_asked_for_by_then_at_the_clock_of_now() {
    let (store, bucket, clock) = world();
    bucket.put_with("a", b"x", of(StorageClass::Archive)).unwrap();
    let before = store.snapshot().unwrap();
    bucket.restore("a", options()).unwrap();
    let after = store.snapshot().unwrap();
    clock.advance(MINUTE);
    frozen(before.bucket("attic").unwrap().get("a"));
    assert_eq!(&after.bucket("attic").unwrap().get("a").unwrap().bytes().unwrap()[..], b"x");
    clock.advance(DAY);
    frozen(after.bucket("attic").unwrap().get("a"));
}

#[test]
fn the_feed_tells_of_a_restoring_as_it_was_asked_for() {
    let (store, bucket, clock) = world();
    bucket.put_with("a", b"x", of(StorageClass::Archive)).unwrap();
    let lsn = bucket.head("a").unwrap().lsn;
    bucket.restore("a", options()).unwrap();
    clock.advance(DAY * 9);
    let changes: Vec<_> = store.changes(lsn).unwrap().map(Result::unwrap).collect();
    let [ossicle::ChangeOp::Put { key, meta, .. }] = &changes[0].ops[..] else { panic!("{changes:?}") };
    let ready = start() + MINUTE;
    assert_eq!(
        (&key[..], told(meta.restore())),
        ("a", Told::Ongoing(RestorePriority::Standard, ready, ready + DAY))
    );
}

#[test]
fn of_many_who_ask_at_once_one_is_first() {
    let (_store, bucket, _clock) = world();
    bucket.put_with("a", b"x", of(StorageClass::ColdArchive)).unwrap();
    let asked: Vec<Result<RestoreStatus>> = std::thread::scope(|scope| {
        let one = || bucket.restore("a", options());
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let (first, late): (Vec<_>, Vec<_>) = asked.into_iter().partition(Result::is_ok);
    assert_eq!(first.len(), 1);
    assert!(late.into_iter().all(|late| late.unwrap_err().code() == "RestoreAlreadyInProgress"));
}
