//! Written once: what is protected survives every way of losing it, and is free again when its time has passed.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ossicle::{
    Acl, AttributeOptions, Body, Bucket, Clock, ContentHeaders, CopyOptions, DeleteOptions, ErrorKind,
    GetOptions, MemoryVfs, PutOptions, Result, Retention, RetentionMode, StorageClass, Store, VersionId,
    Versioning, VirtualClock, Worm, WormState,
};

use crate::{code, read};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MINUTE: Duration = Duration::from_secs(60);

fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + DAY * 20_000
}

fn world() -> (Store, Bucket, VirtualClock) {
    let clock = VirtualClock::at(start());
    let store = Store::builder("/m").vfs(Arc::new(MemoryVfs::new())).clock(clock.clone()).open().unwrap();
    let bucket = store.create_bucket("cats").unwrap();
    (store, bucket, clock)
}

fn until(clock: SystemTime, mode: RetentionMode, time: Duration) -> Retention {
    Retention { mode, until: clock + time }
}

fn compliance(time: Duration) -> Retention {
    until(start(), RetentionMode::Compliance, time)
}

fn governance(time: Duration) -> Retention {
    until(start(), RetentionMode::Governance, time)
}

fn worm(days: u32, state: WormState) -> Worm {
    Worm { days, state, created: SystemTime::UNIX_EPOCH }
}

/// A way of losing what is under the key `a/k` of a bucket without versions, or of changing what it holds.
type Way = (&'static str, fn(&Store, &Bucket) -> Result<()>);

const WAYS: [Way; 20] = [
    ("put", |_, bucket| bucket.put("a/k", b"x").map(drop)),
    ("put of a long body", |_, bucket| bucket.put("a/k", vec![0; 500_000]).map(drop)),
    ("writer", |_, bucket| {
        let mut writer = bucket.writer("a/k", PutOptions::new())?;
        writer.write_all(b"x").unwrap();
        writer.finish().map(drop)
    }),
    ("delete", |_, bucket| bucket.delete("a/k").map(drop)),
    ("delete of the null version", |_, bucket| {
        bucket.delete_with("a/k", DeleteOptions::new().version(VersionId::null())).map(drop)
    }),
    ("rename away", |_, bucket| bucket.rename("a/k", "c").map(drop)),
    ("rename over it", |_, bucket| bucket.rename("other", "a/k").map(drop)),
    ("copy over it", |_, bucket| bucket.copy("other", "a/k").map(drop)),
    ("copy onto itself", |_, bucket| {
        bucket.copy_from(bucket, "a/k", "a/k", CopyOptions::new().content_type("x/y")).map(drop)
    }),
    ("upload in parts", |_, bucket| {
        let upload = bucket.upload("a/k", ossicle::UploadOptions::new())?;
        upload.put_part(1, b"part")?;
        let done = upload.complete(&upload.parts()?).map(drop);
        if done.is_err() {
            upload.abort()?;
        }
        done
    }),
    ("symlink over it", |_, bucket| bucket.symlink("a/k", "other").map(drop)),
    ("metadata", |_, bucket| bucket.set_metadata("a/k", [("a", "b")])),
    ("content type", |_, bucket| bucket.set_content_type("a/k", "x/y")),
    ("headers", |_, bucket| bucket.set_headers("a/k", ContentHeaders::default())),
    ("class", |_, bucket| bucket.set_storage_class("a/k", StorageClass::Archive)),
    ("delete of a prefix", |_, bucket| bucket.delete_prefix("a/").map(drop)),
    ("rename of a prefix", |_, bucket| bucket.rename_prefix("a/", "b/").map(drop)),
    ("rename of a prefix over it", |_, bucket| bucket.rename_prefix("z/", "a/").map(drop)),
    ("transaction", |store, bucket| {
        store.write(|tx| {
            tx.put(bucket, "beside", b"x")?;
            tx.delete(bucket, "a/k")
        })
    }),
    ("transaction that reads", |store, bucket| {
        store.write(|tx| {
            tx.get(bucket, "a/k")?;
            tx.rename(bucket, "a/k", bucket, "c")
        })
    }),
];

/// Tries every way, with many objects beside it (a prefix is then removed by its route) or few.
fn assert_held(store: &Store, bucket: &Bucket) {
    let before = (bucket.head("a/k").unwrap(), read(bucket, "a/k"));
    for (name, way) in WAYS {
        let refused = way(store, bucket).expect_err(name);
        assert_eq!((refused.code(), refused.kind()), ("FileImmutable", ErrorKind::Immutable), "{name}");
    }
    // As it was, and nothing else has happened either.
    assert_eq!((bucket.head("a/k").unwrap(), read(bucket, "a/k")), before);
    assert!(
        !bucket.exists("beside").unwrap() && !bucket.exists("c").unwrap() && bucket.exists("other").unwrap()
    );
    assert_eq!(store.delete_bucket("cats").unwrap_err().code(), "BucketNotEmpty");
}

/// Every way is open, each on an object that `protect` has dealt with and whose time has passed.
fn assert_free(store: &Store, bucket: &Bucket, free: impl Fn()) {
    for (name, way) in WAYS {
        free();
        way(store, bucket).unwrap_or_else(|error| panic!("{name}: {error}"));
        for key in ["beside", "c", "b/k", "a/k", "a/z", "other"] {
            free();
            bucket.delete(key).unwrap();
        }
        fill(bucket, 3);
    }
}

fn fill(bucket: &Bucket, count: usize) {
    bucket.put("a/k", b"kept").unwrap();
    bucket.put("other", b"other").unwrap();
    for number in 0..count {
        bucket.put(&format!("a/{number:04}"), b"").unwrap();
    }
    bucket.put("z/k", b"over it").unwrap();
}

#[test]
fn a_retained_object_survives_every_way_of_losing_it_until_its_time_has_passed() {
    for count in [0, 100] {
        let (store, bucket, clock) = world();
        fill(&bucket, count);
        bucket.set_retention("a/k", compliance(DAY)).unwrap();
        assert_eq!(bucket.retention("a/k").unwrap(), Some(compliance(DAY)));
        assert_held(&store, &bucket);
        clock.advance(DAY - Duration::from_millis(1));
        assert_held(&store, &bucket);
        // A clock that is set back frees nothing.
        clock.set(start() - DAY);
        assert_held(&store, &bucket);
        clock.set(start() + DAY);
        assert_free(&store, &bucket, || {});
        assert!(store.verify().unwrap().is_clean());
    }
}

#[test]
fn a_held_object_survives_every_way_of_losing_it_until_the_hold_is_lifted() {
    for count in [0, 100] {
        let (store, bucket, clock) = world();
        fill(&bucket, count);
        bucket.set_legal_hold("a/k", true).unwrap();
        assert!(bucket.legal_hold("a/k").unwrap());
        assert_held(&store, &bucket);
        clock.advance(DAY * 365 * 100);
        assert_held(&store, &bucket);
        bucket.set_legal_hold("a/k", false).unwrap();
        assert_free(&store, &bucket, || {});
        assert!(store.verify().unwrap().is_clean());
    }
}

#[test]
fn a_policy_protects_every_object_for_its_days() {
    for state in [WormState::InProgress, WormState::Locked] {
        let (store, bucket, clock) = world();
        fill(&bucket, 100);
        clock.advance(MINUTE);
        bucket.set_config(&worm(2, state)).unwrap();
        assert_held(&store, &bucket);
        clock.advance(DAY - MINUTE);
        assert_held(&store, &bucket);
        clock.advance(MINUTE);
        if state == WormState::InProgress {
            // It has lapsed, because nobody locked it.
            assert_free(&store, &bucket, || {});
        } else {
            assert_held(&store, &bucket);
            clock.advance(DAY);
            assert_free(&store, &bucket, || clock.advance(DAY * 2));
        }
        assert!(store.verify().unwrap().is_clean());
    }
}

#[test]
fn a_policy_in_progress_can_be_taken_back_and_a_locked_one_only_made_longer() {
    let (store, bucket, clock) = world();
    fill(&bucket, 0);
    bucket.set_config(&worm(2, WormState::InProgress)).unwrap();
    assert_held(&store, &bucket);
    bucket.clear_config::<Worm>().unwrap();
    bucket.put("a/k", b"kept").unwrap();
    bucket.set_config(&worm(2, WormState::Locked)).unwrap();
    for refused in [
        bucket.clear_config::<Worm>(),
        bucket.set_config(&worm(1, WormState::Locked)),
        bucket.set_config(&worm(5, WormState::InProgress)),
    ] {
        assert_eq!(refused.unwrap_err().code(), "WORMConfigurationLocked");
    }
    assert_eq!(code(bucket.set_config(&Versioning::Enabled)), "InvalidRequest");
    bucket.set_config(&worm(3, WormState::Locked)).unwrap();
    clock.advance(DAY * 2);
    assert_held(&store, &bucket);
    clock.advance(DAY);
    bucket.delete("a/k").unwrap();
}

/// It counted from the day of the one that had lapsed, and so protected nothing; and it kept versions from being
/// enabled for good.
#[test]
fn a_policy_after_one_that_lapsed_begins_anew() {
    let (store, bucket, clock) = world();
    fill(&bucket, 0);
    bucket.set_config(&worm(30, WormState::InProgress)).unwrap();
    clock.advance(DAY * 2);
    bucket.put("a/k", b"kept").unwrap();
    bucket.set_config(&worm(30, WormState::InProgress)).unwrap();
    assert_held(&store, &bucket);
    // Changed while it is in progress, it goes on with the hours it has.
    clock.advance(DAY - MINUTE);
    bucket.set_config(&worm(40, WormState::InProgress)).unwrap();
    assert_eq!(code(bucket.set_config(&Versioning::Enabled)), "InvalidRequest");
    clock.advance(MINUTE);
    bucket.put("a/k", b"free").unwrap();
    bucket.set_config(&Versioning::Enabled).unwrap();
    assert_eq!(bucket.config::<Worm>().unwrap(), None);
}

#[test]
fn retention_is_made_longer_by_anybody_and_shorter_by_few() {
    let (_store, bucket, clock) = world();
    bucket.put("a", b"x").unwrap();
    let bypass = || AttributeOptions::new().bypass_governance(true);
    let refused = |answer: Result<()>| assert_eq!(answer.unwrap_err().kind(), ErrorKind::Immutable);
    // Governance: longer, firmer; shorter or off only with the option.
    bucket.set_retention("a", governance(DAY * 2)).unwrap();
    bucket.set_retention("a", governance(DAY * 3)).unwrap();
    bucket.set_retention("a", governance(DAY * 3)).unwrap();
    refused(bucket.set_retention("a", governance(DAY * 3 - MINUTE)));
    refused(bucket.set_retention("a", compliance(DAY)));
    refused(bucket.clear_retention("a"));
    assert_eq!(bucket.retention("a").unwrap(), Some(governance(DAY * 3)));
    bucket.set_retention_with("a", governance(DAY), bypass()).unwrap();
    bucket.clear_retention_with("a", bypass()).unwrap();
    assert_eq!(bucket.retention("a").unwrap(), None);
    bucket.clear_retention("a").unwrap();
    // Bypassing is for the retention itself, not for what it protects.
    bucket.set_retention("a", governance(DAY)).unwrap();
    refused(bucket.set_metadata_with("a", [("a", "b")], bypass()));
    // Compliance: nobody.
    bucket.set_retention("a", compliance(DAY)).unwrap();
    for options in [AttributeOptions::new(), bypass()] {
        refused(bucket.set_retention_with("a", compliance(DAY - MINUTE), options.clone()));
        refused(bucket.set_retention_with("a", governance(DAY * 10), options.clone()));
        refused(bucket.clear_retention_with("a", options));
    }
    bucket.set_retention("a", compliance(DAY * 2)).unwrap();
    // A part of a millisecond is not given away.
    bucket.set_retention("a", compliance(DAY * 2 + Duration::from_nanos(1))).unwrap();
    assert_eq!(bucket.retention("a").unwrap(), Some(compliance(DAY * 2 + Duration::from_millis(1))));
    // Nothing is retained until a time that has passed.
    assert_eq!(code(bucket.set_retention("a", compliance(Duration::ZERO))), "InvalidArgument");
    // Over, it is free to go, and a hold does not care.
    bucket.set_legal_hold("a", true).unwrap();
    clock.advance(DAY * 3);
    bucket.clear_retention("a").unwrap();
    refused(bucket.delete("a").map(drop));
    bucket.set_legal_hold("a", false).unwrap();
    bucket.delete("a").unwrap();
    assert_eq!(code(bucket.set_retention("a", compliance(DAY * 9))), "NoSuchKey");
    assert_eq!(code(bucket.set_legal_hold("a", true)), "NoSuchKey");
    assert_eq!(code(bucket.retention("a")), "NoSuchKey");
}

/// OSS speaks of overwriting and deleting. Tags and ACL are requests of their own.
#[test]
fn tags_and_acl_of_a_protected_object_may_change() {
    let (_store, bucket, clock) = world();
    bucket.put("a", b"x").unwrap();
    bucket.set_retention("a", compliance(DAY)).unwrap();
    bucket.set_legal_hold("a", true).unwrap();
    clock.advance(MINUTE);
    bucket.set_tags("a", [("a", "b")]).unwrap();
    bucket.set_acl("a", Acl::PublicRead).unwrap();
    let meta = bucket.head("a").unwrap();
    assert_eq!((meta.tags().len(), meta.acl(), meta.legal_hold()), (1, Some(Acl::PublicRead), true));
    assert_eq!(meta.retention(), Some(compliance(DAY)));
    bucket.clear_tags("a").unwrap();
    bucket.clear_acl("a").unwrap();
}

#[test]
fn an_appendable_object_that_is_protected_does_not_grow() {
    let (_store, bucket, clock) = world();
    bucket.append("a", 0, b"12").unwrap();
    bucket.set_retention("a", governance(DAY)).unwrap();
    assert_eq!(code(bucket.append("a", 2, b"3")), "FileImmutable");
    assert_eq!(code(bucket.append("a", 2, b"")), "FileImmutable");
    assert_eq!(code(bucket.append("a", 1, b"3")), "PositionNotEqualToLength");
    clock.advance(DAY);
    bucket.append("a", 2, b"3").unwrap();
    bucket.set_config(&worm(1, WormState::Locked)).unwrap();
    bucket.append("b", 0, Body::reader(&b"first"[..])).unwrap();
    assert_eq!(code(bucket.append("b", 5, b"x")), "FileImmutable");
    clock.advance(DAY);
    bucket.append("b", 5, b"x").unwrap();
    assert_eq!(code(bucket.append("b", 6, b"x")), "FileImmutable");
}

#[test]
fn a_protected_version_stays_whatever_comes_on_top() {
    let (store, bucket, clock) = world();
    bucket.put("k", b"null").unwrap();
    bucket.set_legal_hold("k", true).unwrap();
    bucket.set_config(&Versioning::Enabled).unwrap();
    let held = bucket.put("k", b"held").unwrap().version.unwrap();
    bucket.set_retention_with("k", compliance(DAY), AttributeOptions::new().version(&held)).unwrap();
    // On top of it everything goes.
    bucket.put("k", b"top").unwrap();
    let marker = bucket.delete("k").unwrap().version.unwrap();
    bucket.copy("k", "copy").unwrap_err();
    bucket.delete_with("k", DeleteOptions::new().version(&marker)).unwrap();
    bucket.rename("k", "renamed").unwrap();
    let by = |version: &VersionId| DeleteOptions::new().version(version);
    let refused = |answer: Result<()>| {
        let error = answer.unwrap_err();
        assert_eq!((error.code(), error.kind()), ("FileImmutable", ErrorKind::Immutable));
    };
    for version in [&held, &VersionId::null()] {
        refused(bucket.delete_with("k", by(version)).map(drop));
        let named = || AttributeOptions::new().version(version);
        refused(bucket.set_metadata_with("k", [("a", "b")], named()));
        refused(bucket.set_storage_class_with("k", StorageClass::Archive, named()));
        bucket.set_tags_with("k", [("a", "b")], named()).unwrap();
        refused(store.write(|tx| tx.delete_with(&bucket, "k", by(version))));
    }
    refused(bucket.delete_prefix("").map(drop));
    refused(bucket.rename_prefix("k", "l").map(drop));
    // Suspended, the null version is what a put or a delete would replace.
    bucket.set_config(&Versioning::Suspended).unwrap();
    refused(bucket.put("k", b"x").map(drop));
    refused(bucket.delete("k").map(drop));
    refused(bucket.copy("renamed", "k").map(drop));
    refused(bucket.symlink("k", "x").map(drop));
    let got = |version: &VersionId| {
        bucket.get_with("k", GetOptions::new().version(version)).unwrap().bytes().unwrap().to_vec()
    };
    assert_eq!((got(&held), got(&VersionId::null())), (b"held".to_vec(), b"null".to_vec()));
    // And free again, one after the other.
    bucket.set_legal_hold_with("k", false, AttributeOptions::new().version(VersionId::null())).unwrap();
    bucket.put("k", b"x").unwrap();
    refused(bucket.delete_with("k", by(&held)).map(drop));
    clock.advance(DAY);
    bucket.delete_with("k", by(&held)).unwrap();
    bucket.delete_prefix("").unwrap();
    assert!(store.verify().unwrap().is_clean());
}

/// What is made from a protected object is another one.
#[test]
fn retention_goes_neither_with_a_copy_nor_with_a_rename() {
    let (store, bucket, clock) = world();
    let dogs = store.create_bucket("dogs").unwrap();
    bucket.put("a", b"x").unwrap();
    bucket.set_retention("a", compliance(DAY)).unwrap();
    bucket.copy("a", "copy").unwrap();
    dogs.copy_from(&bucket, "a", "copy", CopyOptions::new()).unwrap();
    for meta in [bucket.head("copy").unwrap(), dogs.head("copy").unwrap()] {
        assert!(meta.retention().is_none() && !meta.legal_hold());
    }
    clock.advance(DAY);
    bucket.rename("a", "renamed").unwrap();
    assert_eq!(bucket.retention("renamed").unwrap(), None);
    // In a bucket that keeps versions the protected one stays behind, and what has moved is free.
    bucket.set_config(&Versioning::Enabled).unwrap();
    let held = bucket.put("v", b"x").unwrap().version.unwrap();
    bucket.set_legal_hold("v", true).unwrap();
    store.write(|tx| tx.rename(&bucket, "v", &dogs, "v")).unwrap();
    assert!(!dogs.legal_hold("v").unwrap());
    dogs.delete("v").unwrap();
    assert_eq!(code(bucket.delete_with("v", DeleteOptions::new().version(&held))), "FileImmutable");
    assert!(bucket.legal_hold_with("v", AttributeOptions::new().version(&held)).unwrap());
}

#[test]
fn protection_survives_reopening_compaction_renamed_prefixes_and_a_lost_index() {
    let dir = tempfile::tempdir().unwrap();
    let clock = VirtualClock::at(start());
    let open =
        |rebuild| Store::builder(dir.path()).clock(clock.clone()).rebuild_index(rebuild).open().unwrap();
    let store = open(false);
    let bucket = store.create_bucket("cats").unwrap();
    fill(&bucket, 100);
    bucket.rename_prefix("a/", "b/").unwrap();
    bucket.rename_prefix("b/", "a/").unwrap();
    bucket.set_retention("a/k", compliance(DAY)).unwrap();
    assert_held(&store, &bucket);
    store.maintain(Duration::from_secs(60)).unwrap();
    store.compact(Default::default()).unwrap();
    assert_held(&store, &bucket);
    drop(bucket);
    store.close().unwrap();
    let store = open(true);
    let bucket = store.bucket("cats").unwrap();
    assert_held(&store, &bucket);
    clock.advance(DAY);
    bucket.delete_prefix("a/").unwrap();
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn a_fork_with_something_protected_of_its_own_is_not_dropped() {
    let (store, bucket, clock) = world();
    fill(&bucket, 0);
    bucket.set_legal_hold("a/k", true).unwrap();
    // What it shows of the first bucket stays with that one.
    let fork = store.fork_bucket("cats", "fork").unwrap();
    assert_eq!(code(fork.delete("a/k")), "FileImmutable");
    bucket.set_tags("a/k", [("a", "b")]).unwrap();
    store.delete_bucket("fork").unwrap();
    // What is held in it goes with it, and so it does not go.
    let fork = store.fork_bucket("cats", "fork").unwrap();
    fork.put("own", b"x").unwrap();
    fork.set_retention("own", compliance(DAY)).unwrap();
    fork.set_retention("other", compliance(DAY)).unwrap();
    bucket.delete("other").unwrap();
    let refused = store.delete_bucket("fork").unwrap_err();
    assert_eq!((refused.code(), refused.kind()), ("FileImmutable", ErrorKind::Immutable));
    assert_eq!(read(&fork, "other"), b"other");
    // It is none the less held if the fork is forked itself, and written somewhere else from then on.
    store.fork_bucket("fork", "second").unwrap();
    assert_eq!(store.delete_bucket("fork").unwrap_err().code(), "FileImmutable");
    store.delete_bucket("second").unwrap();
    assert_eq!(store.delete_bucket("fork").unwrap_err().code(), "FileImmutable");
    clock.advance(DAY);
    store.delete_bucket("fork").unwrap();
    // A policy of the fork's own protects what was written to it, before it was forked too.
    let fork = store.fork_bucket("cats", "fork").unwrap();
    fork.set_config(&worm(1, WormState::Locked)).unwrap();
    store.delete_bucket("fork").unwrap();
    let fork = store.fork_bucket("cats", "fork").unwrap();
    fork.set_config(&worm(1, WormState::Locked)).unwrap();
    fork.put("own", b"x").unwrap();
    assert_eq!(store.delete_bucket("fork").unwrap_err().code(), "FileImmutable");
    store.fork_bucket("fork", "second").unwrap();
    assert_eq!(store.delete_bucket("fork").unwrap_err().code(), "FileImmutable");
    store.delete_bucket("second").unwrap();
    clock.advance(DAY);
    store.delete_bucket("fork").unwrap();
    assert_eq!(code(bucket.delete("a/k")), "FileImmutable");
    assert_eq!(read(&bucket, "a/k"), b"kept");
    assert!(store.verify().unwrap().is_clean());
}

/// There is a row for a version with a retention or a hold of its own exactly while it has one.
#[test]
fn the_rows_of_holds_go_with_what_they_hold() {
    let (store, bucket, clock) = world();
    let entries = || store.verify().unwrap().entries;
    bucket.put("a", b"x").unwrap();
    bucket.put("z", b"x").unwrap();
    let plain = entries();
    let hold = || {
        bucket.set_legal_hold("a", true).unwrap();
        bucket.set_retention("a", until(clock.now(), RetentionMode::Compliance, DAY)).unwrap();
        assert_eq!(entries(), plain + 1);
        clock.advance(DAY);
        bucket.set_legal_hold("a", false).unwrap();
        assert_eq!(entries(), plain + 1);
    };
    hold();
    bucket.clear_retention("a").unwrap();
    assert_eq!(entries(), plain);
    hold();
    bucket.put("a", b"y").unwrap();
    assert_eq!(entries(), plain);
    hold();
    bucket.rename("z", "a").unwrap();
    assert_eq!(entries(), plain - 1);
    bucket.put("z", b"x").unwrap();
    hold();
    bucket.delete("a").unwrap();
    assert_eq!(entries(), plain - 1);
    bucket.put("a", b"x").unwrap();
    hold();
    bucket.rename("a", "b").unwrap();
    assert_eq!(entries(), plain);
    bucket.rename("b", "a").unwrap();
    hold();
    bucket.rename_prefix("a", "b").unwrap();
    assert_eq!(entries(), plain);
    bucket.rename_prefix("b", "a").unwrap();
    hold();
    bucket.delete_prefix("a").unwrap();
    assert_eq!(entries(), plain - 1);
    // With versions: pushed down and brought up again, it stays; replaced or removed, it goes.
    bucket.put("a", b"x").unwrap();
    hold();
    bucket.set_config(&Versioning::Enabled).unwrap();
    let top = bucket.put("a", b"top").unwrap().version.unwrap();
    assert_eq!(entries(), plain + 3);
    bucket.delete_with("a", DeleteOptions::new().version(&top)).unwrap();
    assert_eq!(entries(), plain + 1);
    bucket.set_config(&Versioning::Suspended).unwrap();
    bucket.put("a", b"null").unwrap();
    assert_eq!(entries(), plain);
    hold();
    bucket.delete_with("a", DeleteOptions::new().version(VersionId::null())).unwrap();
    assert_eq!(entries(), plain - 1);
}
