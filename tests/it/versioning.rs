//! OSS's rules of versioning, one test a rule, named after it.

use std::sync::Arc;
use std::time::Duration;

use ossicle::{
    Acl, Bucket, CopyOptions, CreateBucketOptions, DeleteOptions, Entry, ErrorKind, GetOptions, ListOptions,
    MemoryVfs, Object, PutOptions, Quota, Result, StorageClass, Store, VersionEntry, VersionId, Versioning,
    VirtualClock, Worm, WormState,
};

use crate::{a_bucket, code, read};

/// A store in memory with a bucket in this state.
fn bucket_with(versioning: impl Into<Option<Versioning>>) -> (Store, Bucket) {
    let (store, bucket) = a_bucket();
    if let Some(versioning) = versioning.into() {
        bucket.set_config(&versioning).unwrap();
    }
    (store, bucket)
}

fn all(bucket: &Bucket) -> Vec<VersionEntry> {
    bucket.versions("").unwrap().collect::<Result<_>>().unwrap()
}

/// The chain of a key in short: a letter of the body or `-` for a marker, `0` behind it for the null version.
fn chain(bucket: &Bucket, key: &str) -> String {
    let own = all(bucket).into_iter().filter(|entry| entry.key == key);
    let short = |entry: VersionEntry| {
        let body = if entry.marker {
            "-".to_string()
        } else {
            String::from_utf8(version_of(bucket, key, &entry.version).unwrap()).unwrap()
        };
        format!("{body}{}", if entry.version.is_null() { "0" } else { "" })
    };
    own.map(short).collect::<Vec<_>>().join(" ")
}

fn version_of(bucket: &Bucket, key: &str, version: &VersionId) -> Result<Vec<u8>> {
    let object = bucket.get_with(key, GetOptions::new().version(version))?;
    Ok(object.bytes()?.to_vec())
}

fn remove(bucket: &Bucket, key: &str, version: &VersionId) -> ossicle::DeleteOutcome {
    bucket.delete_with(key, DeleteOptions::new().version(version)).unwrap()
}

fn put(bucket: &Bucket, key: &str, body: &str) -> VersionId {
    bucket.put(key, body).unwrap().version.unwrap()
}

// states ------------------------------------------------------------------------------------------------------------

#[test]
fn states_go_from_never_enabled_to_enabled_and_suspended_and_never_back() {
    let (store, bucket) = bucket_with(None);
    assert_eq!(bucket.config::<Versioning>().unwrap(), None);
    bucket.clear_config::<Versioning>().unwrap();
    for state in [Versioning::Enabled, Versioning::Suspended, Versioning::Enabled, Versioning::Enabled] {
        bucket.set_config(&state).unwrap();
        assert_eq!(bucket.config::<Versioning>().unwrap(), Some(state));
        assert_eq!(code(bucket.clear_config::<Versioning>()), "InvalidRequest");
        assert_eq!(bucket.config::<Versioning>().unwrap(), Some(state));
    }
    // Suspended without ever having been enabled is a state as well.
    let options = CreateBucketOptions::new().versioning(Versioning::Suspended);
    let suspended = store.create_bucket_with("suspended", options).unwrap();
    assert!(suspended.put("a", b"").unwrap().version.unwrap().is_null());
}

#[test]
fn versioning_and_worm_exclude_each_other() {
    let (_store, bucket) = bucket_with(Versioning::Suspended);
    let worm = Worm { days: 1, state: WormState::InProgress, created: std::time::SystemTime::UNIX_EPOCH };
    assert_eq!(code(bucket.set_config(&worm)), "InvalidRequest");
    let (_store, bucket) = bucket_with(None);
    bucket.set_config(&worm).unwrap();
    assert_eq!(code(bucket.set_config(&Versioning::Enabled)), "InvalidRequest");
    assert_eq!(bucket.config::<Versioning>().unwrap(), None);
}

// version ids -------------------------------------------------------------------------------------------------------

#[test]
fn version_ids_are_unique_and_made_for_put_copy_rename_and_delete_markers() {
    let (store, bucket) = bucket_with(Versioning::Enabled);
    let mut ids = vec![put(&bucket, "a", "1"), put(&bucket, "a", "1")];
    ids.push(bucket.copy("a", "b").unwrap().version.unwrap());
    ids.push(bucket.rename("b", "c").unwrap().version.unwrap());
    ids.push(bucket.delete("a").unwrap().version.unwrap());
    let mut writer = bucket.writer("a", PutOptions::new()).unwrap();
    std::io::Write::write_all(&mut writer, b"1").unwrap();
    ids.push(writer.finish().unwrap().version.unwrap());
    store
        .write(|tx| {
            for key in ["a", "a", "b"] {
                tx.put(&bucket, key, b"2")?;
                ids.push(tx.head(&bucket, key)?.version.unwrap());
            }
            Ok(())
        })
        .unwrap();
    let mut listed: Vec<_> = all(&bucket).into_iter().map(|entry| entry.version).collect();
    assert!(ids.iter().all(|id| listed.contains(id) && !id.is_null()), "{ids:?} {listed:?}");
    // One more: the rename has left a marker behind.
    assert_eq!(listed.len(), ids.len() + 1);
    listed.sort();
    listed.dedup();
    assert_eq!(listed.len(), ids.len() + 1);
    assert!(ids.is_sorted());
}

#[test]
fn version_ids_that_are_empty_or_malformed_are_invalid_arguments() {
    let empty = VersionId::parse("").unwrap_err();
    assert_eq!((empty.kind(), empty.code()), (ErrorKind::Invalid, "InvalidArgument"));
    assert_eq!(empty.to_string(), "Version id can not be the empty string");
    let malformed = "CAEQ".parse::<VersionId>().unwrap_err();
    assert_eq!(
        (malformed.code(), malformed.to_string()),
        ("InvalidArgument", "Invalid version id specified".into())
    );
}

// the table: unversioned --------------------------------------------------------------------------------------------

#[test]
fn unversioned_put_copy_and_rename_replace_in_place_and_name_no_version() {
    let (store, bucket) = bucket_with(None);
    assert_eq!(bucket.put("a", b"1").unwrap().version, None);
    assert_eq!(bucket.put("a", b"2").unwrap().version, None);
    assert_eq!(bucket.copy("a", "b").unwrap().version, None);
    assert_eq!(bucket.copy("a", "b").unwrap().version, None);
    assert_eq!(bucket.rename("a", "b").unwrap().version, None);
    assert_eq!(bucket.head("b").unwrap().version, None);
    assert_eq!((chain(&bucket, "a"), chain(&bucket, "b")), (String::new(), "20".to_string()));
    let usage = bucket.usage("").unwrap();
    assert_eq!((usage.objects, usage.noncurrent_objects, usage.markers), (1, 0, 0));
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn unversioned_delete_removes_and_names_no_version() {
    let (_store, bucket) = bucket_with(None);
    bucket.put("a", b"1").unwrap();
    for key in ["a", "a", "missing"] {
        let outcome = bucket.delete(key).unwrap();
        assert_eq!((outcome.version, outcome.marker), (None, false));
    }
    assert!(all(&bucket).is_empty());
}

#[test]
fn unversioned_delete_of_null_removes_and_names_neither_version_nor_marker() {
    let (_store, bucket) = bucket_with(None);
    bucket.put("a", b"1").unwrap();
    for _ in 0..2 {
        let outcome = remove(&bucket, "a", &VersionId::null());
        assert_eq!((outcome.version, outcome.marker), (None, false));
        assert!(!bucket.exists("a").unwrap());
    }
    bucket.put("a", b"1").unwrap();
    remove(&bucket, "a", &VersionId::parse("000000000000001F000000AB").unwrap());
    assert_eq!(read(&bucket, "a"), b"1");
}

// the table: enabled ------------------------------------------------------------------------------------------------

#[test]
fn enabled_put_copy_and_rename_push_a_version_and_keep_the_one_before() {
    let (_store, bucket) = bucket_with(Versioning::Enabled);
    let first = put(&bucket, "a", "1");
    let second = put(&bucket, "a", "2");
    assert_ne!(first, second);
    assert_eq!(chain(&bucket, "a"), "2 1");
    assert_eq!(version_of(&bucket, "a", &first).unwrap(), b"1");
    put(&bucket, "b", "b");
    let third = bucket.copy("b", "a").unwrap().version.unwrap();
    assert_eq!(bucket.head("a").unwrap().version, Some(third));
    assert_eq!(chain(&bucket, "a"), "b 2 1");
    bucket.rename("a", "b").unwrap();
    assert_eq!((chain(&bucket, "a"), chain(&bucket, "b")), ("- b 2 1".to_string(), "b b".to_string()));
}

#[test]
fn enabled_keeps_what_was_there_before_as_the_null_version() {
    let (_store, bucket) = bucket_with(None);
    bucket.put("a", b"0").unwrap();
    let before = bucket.head("a").unwrap();
    bucket.set_config(&Versioning::Enabled).unwrap();
    assert_eq!(bucket.head("a").unwrap().version, Some(VersionId::null()));
    put(&bucket, "a", "1");
    bucket.delete("a").unwrap();
    assert_eq!(chain(&bucket, "a"), "- 1 00");
    let null = bucket.head_with("a", GetOptions::new().version(VersionId::null())).unwrap();
    assert_eq!((null.modified, null.lsn, null.etag), (before.modified, before.lsn, before.etag));
}

#[test]
fn enabled_delete_pushes_a_marker_with_a_fresh_id() {
    let (_store, bucket) = bucket_with(Versioning::Enabled);
    let first = put(&bucket, "a", "1");
    let outcome = bucket.delete("a").unwrap();
    let marker = outcome.version.unwrap();
    assert!(outcome.marker && !marker.is_null() && marker != first);
    assert_eq!(chain(&bucket, "a"), "- 1");
    assert_eq!(all(&bucket)[0].version, marker);
}

#[test]
fn enabled_delete_stacks_markers_even_on_a_missing_key() {
    let (store, bucket) = bucket_with(Versioning::Enabled);
    let markers: Vec<_> = (0..3).map(|_| bucket.delete("missing").unwrap().version.unwrap()).collect();
    let listed = all(&bucket);
    assert!(listed.iter().all(|entry| entry.marker && entry.size == 0 && entry.etag.is_none()));
    assert!(listed.iter().map(|entry| &entry.version).eq(markers.iter().rev()));
    assert_eq!(bucket.usage("").unwrap().markers, 3);
    assert_eq!(code(store.delete_bucket("cats")), "BucketNotEmpty");
    for marker in &markers {
        assert!(remove(&bucket, "missing", marker).marker);
    }
    store.delete_bucket("cats").unwrap();
}

// the table: suspended ----------------------------------------------------------------------------------------------

#[test]
fn suspended_put_copy_and_rename_replace_the_null_version_wherever_it_sits() {
    for how in ["put", "copy", "rename"] {
        let (store, bucket) = bucket_with(None);
        bucket.put("a", b"0").unwrap();
        bucket.set_config(&Versioning::Enabled).unwrap();
        put(&bucket, "a", "1");
        put(&bucket, "a", "2");
        put(&bucket, "source", "n");
        bucket.set_config(&Versioning::Suspended).unwrap();
        let write = || match how {
            "put" => bucket.put("a", b"n").unwrap(),
            "copy" => bucket.copy("source", "a").unwrap(),
            _ => bucket.rename("source", "a").unwrap(),
        };
        assert_eq!(write().version, Some(VersionId::null()), "{how}");
        assert_eq!(chain(&bucket, "a"), "n0 2 1", "{how}");
        bucket.put("source", b"m").unwrap();
        bucket.put("a", b"m").unwrap();
        assert_eq!(chain(&bucket, "a"), "m0 2 1", "{how}");
        // Below others again, it is found and replaced all the same.
        bucket.set_config(&Versioning::Enabled).unwrap();
        put(&bucket, "a", "3");
        assert_eq!(chain(&bucket, "a"), "3 m0 2 1", "{how}");
        bucket.set_config(&Versioning::Suspended).unwrap();
        if how == "rename" {
            bucket.put("source", b"n").unwrap();
        }
        write();
        let now = if how == "copy" { "m0 3 2 1" } else { "n0 3 2 1" };
        assert_eq!(chain(&bucket, "a"), now, "{how}");
        assert!(store.verify().unwrap().is_clean());
    }
}

#[test]
fn suspended_delete_writes_the_null_marker_over_the_null_version_or_marker() {
    let (_store, bucket) = bucket_with(Versioning::Enabled);
    put(&bucket, "a", "1");
    bucket.set_config(&Versioning::Suspended).unwrap();
    bucket.put("a", b"n").unwrap();
    for key in ["a", "a", "missing", "missing"] {
        let outcome = bucket.delete(key).unwrap();
        assert_eq!((outcome.version, outcome.marker), (Some(VersionId::null()), true));
    }
    assert_eq!((chain(&bucket, "a"), chain(&bucket, "missing")), ("-0 1".to_string(), "-0".to_string()));
    bucket.put("a", b"m").unwrap();
    assert_eq!(chain(&bucket, "a"), "m0 1");
    // And where the null version sits below.
    bucket.set_config(&Versioning::Enabled).unwrap();
    put(&bucket, "a", "2");
    bucket.set_config(&Versioning::Suspended).unwrap();
    bucket.delete("a").unwrap();
    assert_eq!(chain(&bucket, "a"), "-0 2 1");
    let usage = bucket.usage("").unwrap();
    assert_eq!((usage.objects, usage.noncurrent_objects, usage.markers), (0, 2, 2));
}

#[test]
fn suspended_leaves_versions_with_names_alone() {
    let (_store, bucket) = bucket_with(Versioning::Enabled);
    let named: Vec<_> = ["1", "2", "3"].map(|body| put(&bucket, "a", body)).into();
    bucket.set_config(&Versioning::Suspended).unwrap();
    for round in 0..4 {
        if round % 2 == 0 {
            bucket.put("a", b"n").unwrap();
        } else {
            bucket.delete("a").unwrap();
        }
    }
    assert_eq!(chain(&bucket, "a"), "-0 3 2 1");
    for (version, body) in named.iter().zip(["1", "2", "3"]) {
        assert_eq!(version_of(&bucket, "a", version).unwrap(), body.as_bytes());
    }
}

// reading -----------------------------------------------------------------------------------------------------------

#[test]
fn get_and_head_with_a_version_act_on_that_version() {
    let (store, bucket) = bucket_with(None);
    bucket.put("a", b"zero").unwrap();
    bucket.set_config(&Versioning::Enabled).unwrap();
    let first = put(&bucket, "a", "one");
    let long = "x".repeat(1_000_000);
    let second = put(&bucket, "a", &long);
    put(&bucket, "a", "three");
    let of = |version: &VersionId| GetOptions::new().version(version);
    for (version, body) in [(&VersionId::null(), "zero"), (&first, "one"), (&second, &long)] {
        assert_eq!(version_of(&bucket, "a", version).unwrap(), body.as_bytes());
        let head = bucket.head_with("a", of(version)).unwrap();
        assert_eq!((head.version.as_ref(), head.size), (Some(version), body.len() as u64));
        store
            .write(|tx| {
                assert_eq!(tx.head_with(&bucket, "a", of(version))?, head);
                assert_eq!(tx.get_with(&bucket, "a", of(version))?.bytes()?, body.as_bytes());
                Ok(())
            })
            .unwrap();
    }
    let part = bucket.get_with("a", of(&second).range(10..20)).and_then(Object::bytes).unwrap();
    assert_eq!(part, &long.as_bytes()[10..20]);
    let etag = bucket.head_with("a", of(&first)).unwrap().etag;
    assert_eq!(code(bucket.get_with("a", of(&first).if_none_match(&etag))), "NotModified");
    assert_eq!(code(bucket.head_with("a", of(&second).if_match(&etag))), "PreconditionFailed");
}

#[test]
fn get_and_head_of_a_version_that_is_not_there_are_no_such_version() {
    let (_store, bucket) = bucket_with(Versioning::Enabled);
    let version = put(&bucket, "a", "1");
    put(&bucket, "b", "1");
    for (key, version) in [("b", &version), ("a", &VersionId::null()), ("missing", &version)] {
        let options = GetOptions::new().version(version);
        let error = bucket.get_with(key, options.clone()).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::NotFound, "NoSuchVersion"));
        assert_eq!(code(bucket.head_with(key, options.clone())), "NoSuchVersion");
        assert_eq!(
            code(bucket.copy_from(&bucket, key, "c", CopyOptions::new().source_version(version))),
            "NoSuchVersion"
        );
        assert_eq!(code(bucket.restore_version(key, version)), "NoSuchVersion");
    }
}

#[test]
fn get_and_head_without_a_version_of_a_marker_are_no_such_key() {
    let (store, bucket) = bucket_with(Versioning::Enabled);
    put(&bucket, "a", "1");
    bucket.delete("a").unwrap();
    assert_eq!(code(bucket.get("a")), "NoSuchKey");
    assert_eq!(code(bucket.head("a")), "NoSuchKey");
    assert_eq!(code(bucket.copy("a", "b")), "NoSuchKey");
    assert_eq!(code(bucket.rename("a", "b")), "NoSuchKey");
    assert!(!bucket.exists("a").unwrap());
    let seen = store.write(|tx| {
        assert!(!tx.exists(&bucket, "a")?);
        assert_eq!(code(tx.head(&bucket, "a")), "NoSuchKey");
        tx.get(&bucket, "a").map(|_| ())
    });
    assert_eq!(code(seen), "NoSuchKey");
}

#[test]
fn get_and_head_of_a_marker_by_its_id_are_method_not_allowed() {
    for state in [Versioning::Enabled, Versioning::Suspended] {
        let (store, bucket) = bucket_with(state);
        bucket.put("a", b"1").unwrap();
        let marker = bucket.delete("a").unwrap().version.unwrap();
        let options = || GetOptions::new().version(&marker);
        for _ in 0..2 {
            assert_eq!(code(bucket.get_with("a", options())), "MethodNotAllowed");
            assert_eq!(code(bucket.head_with("a", options())), "MethodNotAllowed");
            let seen = store.write(|tx| tx.head_with(&bucket, "a", options()).map(|_| ()));
            assert_eq!(code(seen), "MethodNotAllowed");
            // Below another version it is no other.
            bucket.set_config(&Versioning::Enabled).unwrap();
            put(&bucket, "a", "2");
        }
    }
}

#[test]
fn copy_of_a_marker_by_its_id_is_no_such_key() {
    let (_store, bucket) = bucket_with(Versioning::Enabled);
    put(&bucket, "a", "1");
    let marker = bucket.delete("a").unwrap().version.unwrap();
    let copy = || bucket.copy_from(&bucket, "a", "b", CopyOptions::new().source_version(&marker));
    assert_eq!(code(copy()), "NoSuchKey");
    put(&bucket, "a", "2");
    assert_eq!(code(copy()), "NoSuchKey");
    assert_eq!(code(bucket.restore_version("a", &marker)), "NoSuchKey");
}

// deleting versions -------------------------------------------------------------------------------------------------

#[test]
fn delete_with_a_version_is_for_good_and_names_it() {
    let (_store, bucket) = bucket_with(Versioning::Enabled);
    let [first, second, third] = ["1", "2", "3"].map(|body| put(&bucket, "a", body));
    let outcome = remove(&bucket, "a", &second);
    assert_eq!((outcome.version, outcome.marker), (Some(second.clone()), false));
    assert_eq!(chain(&bucket, "a"), "3 1");
    assert_eq!(code(version_of(&bucket, "a", &second)), "NoSuchVersion");
    // Once more, and what never was: fine, and named.
    for version in [&second, &VersionId::null()] {
        let outcome = remove(&bucket, "a", version);
        assert_eq!((outcome.version.as_ref(), outcome.marker), (Some(version), false));
    }
    for version in [&first, &third] {
        remove(&bucket, "a", version);
    }
    assert!(all(&bucket).is_empty());
    assert_eq!(bucket.usage("").unwrap(), ossicle::Usage::default());
}

#[test]
fn delete_of_the_current_version_promotes_the_next_which_may_be_a_marker() {
    let (_store, bucket) = bucket_with(None);
    bucket.put("a", b"0").unwrap();
    bucket.set_config(&Versioning::Enabled).unwrap();
    put(&bucket, "a", "1");
    let marker = bucket.delete("a").unwrap().version.unwrap();
    let top = put(&bucket, "a", "2");
    remove(&bucket, "a", &top);
    assert_eq!(chain(&bucket, "a"), "- 1 00");
    assert_eq!(code(bucket.get("a")), "NoSuchKey");
    let outcome = remove(&bucket, "a", &marker);
    assert_eq!((outcome.version, outcome.marker), (Some(marker), true));
    assert_eq!(read(&bucket, "a"), b"1");
    let one = bucket.head("a").unwrap().version.unwrap();
    remove(&bucket, "a", &one);
    // The null version on top again is the same as ever, and there is no second one.
    assert_eq!((read(&bucket, "a"), chain(&bucket, "a")), (b"0".to_vec(), "00".to_string()));
    bucket.set_config(&Versioning::Suspended).unwrap();
    bucket.put("a", b"n").unwrap();
    assert_eq!(chain(&bucket, "a"), "n0");
    let outcome = remove(&bucket, "a", &VersionId::null());
    assert_eq!((outcome.version, outcome.marker), (Some(VersionId::null()), false));
    assert!(all(&bucket).is_empty());
}

#[test]
fn delete_of_many_versions_answers_for_each() {
    let (_store, bucket) = bucket_with(Versioning::Enabled);
    let version = put(&bucket, "a", "1");
    let marker = bucket.delete("a").unwrap().version.unwrap();
    put(&bucket, "b", "1");
    let request = [
        ("a", Some(marker.clone())),
        ("a", Some(version.clone())),
        ("b", None),
        ("/bad", None),
        ("missing", Some(version.clone())),
    ];
    let answers = bucket.delete_versions(request).unwrap();
    let keys: Vec<_> = answers.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["a", "a", "b", "/bad", "missing"]);
    let outcome = |place: usize| answers[place].1.as_ref().unwrap();
    assert_eq!((outcome(0).version.as_ref(), outcome(0).marker), (Some(&marker), true));
    assert_eq!((outcome(1).version.as_ref(), outcome(1).marker), (Some(&version), false));
    assert!(outcome(2).marker && outcome(2).version.is_some());
    assert_eq!(answers[3].1.as_ref().unwrap_err().code(), "InvalidObjectName");
    assert_eq!((outcome(4).version.as_ref(), outcome(4).marker), (Some(&version), false));
    assert_eq!((chain(&bucket, "a"), chain(&bucket, "b")), (String::new(), "- 1".to_string()));
    // Every version of a listing, whatever they are.
    let listed: Vec<_> = all(&bucket).into_iter().map(|entry| (entry.key, entry.version)).collect();
    bucket.delete_versions(listed).unwrap();
    assert!(all(&bucket).is_empty());
}

/// One protected object used to keep a thousand others.
#[test]
fn delete_of_many_is_not_kept_by_one_that_is_protected() {
    let clock = VirtualClock::at(std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 30));
    let store = Store::builder("/m").vfs(Arc::new(MemoryVfs::new())).clock(clock.clone()).open().unwrap();
    let bucket = store.create_bucket("cats").unwrap();
    bucket.put("old", b"").unwrap();
    clock.advance(Duration::from_secs(2 * 86_400));
    bucket.put("new", b"").unwrap();
    let worm = Worm { days: 1, state: WormState::InProgress, created: std::time::SystemTime::UNIX_EPOCH };
    bucket.set_config(&worm).unwrap();
    let answers = bucket.delete_many(["new", "old"]).unwrap();
    assert_eq!(answers[0].1.as_ref().unwrap_err().code(), "FileImmutable");
    assert!(answers[1].1.is_ok() && !bucket.exists("old").unwrap() && bucket.exists("new").unwrap());
}

// copy --------------------------------------------------------------------------------------------------------------

#[test]
fn copy_takes_the_version_that_is_named() {
    let (store, bucket) = bucket_with(Versioning::Enabled);
    let other = store.create_bucket("other").unwrap();
    let long = "y".repeat(700_000);
    let old = put(&bucket, "a", &long);
    put(&bucket, "a", "2");
    bucket.delete("a").unwrap();
    let copy = CopyOptions::new().source_version(&old);
    assert_eq!(other.copy_from(&bucket, "a", "b", copy.clone()).unwrap().version, None);
    bucket.copy_from(&bucket, "a", "c", copy.clone()).unwrap();
    // The conditions are those of the version.
    let etag = bucket.head_with("a", GetOptions::new().version(&old)).unwrap().etag;
    bucket.copy_from(&bucket, "a", "d", copy.clone().source_if_match(&etag)).unwrap();
    assert_eq!(code(bucket.copy_from(&bucket, "a", "d", copy.source_if_none_match(&etag))), "NotModified");
    remove(&bucket, "a", &old);
    for (bucket, key) in [(&other, "b"), (&bucket, "c"), (&bucket, "d")] {
        assert_eq!(read(bucket, key), long.as_bytes());
    }
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn copy_onto_itself_makes_a_new_version_and_so_restores_an_old_one() {
    let (_store, bucket) = bucket_with(Versioning::Enabled);
    let old = put(&bucket, "a", "1");
    put(&bucket, "a", "2");
    let copied = bucket.copy_from(&bucket, "a", "a", CopyOptions::new().source_version(&old)).unwrap();
    assert_eq!(chain(&bucket, "a"), "1 2 1");
    assert!(copied.version.as_ref().is_some_and(|version| *version != old));
    assert_eq!(bucket.head("a").unwrap().version, copied.version);
    let again = bucket.copy("a", "a").unwrap().version;
    assert_ne!(again, copied.version);
    assert_eq!(chain(&bucket, "a"), "1 1 2 1");
}

// what belongs to a version -----------------------------------------------------------------------------------------

#[test]
fn acl_tags_class_and_metadata_belong_to_each_version() {
    let (_store, bucket) = bucket_with(Versioning::Enabled);
    let classes = [StorageClass::Standard, StorageClass::InfrequentAccess];
    let version = |number: usize| {
        let options = PutOptions::new()
            .metadata("n", number.to_string())
            .tag("n", number.to_string())
            .acl([Acl::Private, Acl::PublicRead][number])
            .storage_class(classes[number])
            .content_type(format!("n/{number}"));
        bucket.put_with("a", number.to_string(), options).unwrap().version.unwrap()
    };
    let versions = [version(0), version(1)];
    put(&bucket, "a", "plain");
    for (number, version) in versions.iter().enumerate() {
        let meta = bucket.head_with("a", GetOptions::new().version(version)).unwrap();
        assert_eq!((meta.metadata["n"].as_str(), meta.class), (&*number.to_string(), classes[number]));
        assert_eq!(meta.tags(), [("n".to_string(), number.to_string())]);
        assert_eq!(meta.acl(), Some([Acl::Private, Acl::PublicRead][number]));
        assert_eq!(meta.content_type.unwrap(), format!("n/{number}"));
        let listed = all(&bucket).into_iter().find(|entry| entry.version == *version).unwrap();
        assert_eq!(listed.class, Some(classes[number]));
    }
    assert!(bucket.head("a").unwrap().tags().is_empty());
}

/// OSS ignores its header where versions are kept; embedded callers asked for the condition and get it (API.md).
#[test]
fn if_absent_counts_in_enabled_and_suspended_too() {
    for state in [Versioning::Enabled, Versioning::Suspended] {
        let (_store, bucket) = bucket_with(state);
        let absent = || PutOptions::new().if_absent();
        bucket.put_with("a", b"1", absent()).unwrap();
        assert_eq!(code(bucket.put_with("a", b"2", absent())), "FileAlreadyExists");
        bucket.put("b", b"").unwrap();
        assert_eq!(
            code(bucket.copy_from(&bucket, "b", "a", CopyOptions::new().if_absent())),
            "FileAlreadyExists"
        );
        assert_eq!(code(bucket.rename_with("b", "a", CopyOptions::new().if_absent())), "FileAlreadyExists");
        bucket.delete("a").unwrap();
        // A delete marker is no object.
        bucket.put_with("a", b"3", absent()).unwrap();
        assert_eq!(read(&bucket, "a"), b"3");
    }
}

// listing -----------------------------------------------------------------------------------------------------------

#[test]
fn list_shows_the_latest_of_each_key_unless_it_is_a_marker() {
    let (_store, bucket) = bucket_with(Versioning::Enabled);
    for key in ["a", "b", "c/1", "c/2", "d/1"] {
        put(&bucket, key, "1");
        put(&bucket, key, "22");
    }
    bucket.delete("b").unwrap();
    bucket.delete("d/1").unwrap();
    bucket.delete("c/1").unwrap();
    let listed: Vec<Entry> = bucket.list("").unwrap().map(Result::unwrap).collect();
    assert_eq!(listed.iter().map(Entry::name).collect::<Vec<_>>(), ["a", "c/2"]);
    let size = |entry: &Entry| match entry {
        Entry::Object(meta) => meta.size,
        _ => 0,
    };
    assert!(listed.iter().all(|entry| size(entry) == 2));
    let rolled: Vec<_> =
        bucket.list_with(ListOptions::new().delimiter("/")).unwrap().map(Result::unwrap).collect();
    assert_eq!(rolled.iter().map(Entry::name).collect::<Vec<_>>(), ["a", "c/"]);
}

#[test]
fn list_versions_goes_by_key_and_newest_first_with_markers_between() {
    let (_store, bucket) = bucket_with(Versioning::Enabled);
    // Keys that differ in a NUL, or lie between a key and its versions.
    for key in ["b", "a", "a\0", "a\0\0", "a!", "ab", "\u{10FFFF}"] {
        put(&bucket, key, "1");
        bucket.delete(key).unwrap();
        put(&bucket, key, "2");
    }
    let listed = all(&bucket);
    let keys: Vec<_> = listed.iter().map(|entry| entry.key.as_str()).collect();
    let expected = ["a", "a\0", "a\0\0", "a!", "ab", "b", "\u{10FFFF}"];
    assert_eq!(keys, expected.into_iter().flat_map(|key| [key; 3]).collect::<Vec<_>>());
    for of_key in listed.chunks(3) {
        assert_eq!(of_key.iter().map(|entry| entry.marker).collect::<Vec<_>>(), [false, true, false]);
        assert!(of_key.is_sorted_by(|newer, older| newer.version > older.version));
    }
}

#[test]
fn list_versions_says_of_exactly_one_of_each_key_that_it_is_the_latest() {
    let (_store, bucket) = bucket_with(None);
    bucket.put("null", b"").unwrap();
    bucket.set_config(&Versioning::Enabled).unwrap();
    for key in ["a", "b"] {
        put(&bucket, key, "1");
        put(&bucket, key, "2");
    }
    bucket.delete("b").unwrap();
    let latest: Vec<_> = all(&bucket).into_iter().filter(|entry| entry.latest).collect();
    let said: Vec<_> = latest.iter().map(|entry| (entry.key.as_str(), entry.marker)).collect();
    assert_eq!(said, [("a", false), ("b", true), ("null", false)]);
    for page in pages(&bucket, ListOptions::new().limit(1)) {
        let entry = &page[0];
        let first = latest.iter().any(|latest| latest.version == entry.version && latest.key == entry.key);
        assert_eq!(entry.latest, first);
    }
}

fn pages(bucket: &Bucket, options: ListOptions) -> Vec<Vec<VersionEntry>> {
    let mut pages = Vec::new();
    let mut next = options.clone();
    loop {
        let page = bucket.versions_page(next).unwrap();
        pages.push(page.entries);
        let Some(key) = page.next_key else { break };
        next = options.clone().start_after(key);
        if let Some(version) = page.next_version {
            next = next.start_after_version(version);
        }
    }
    pages
}

#[test]
fn list_versions_pages_go_on_within_a_key_and_behind_it() {
    let (_store, bucket) = bucket_with(None);
    for key in ["a", "b", "c"] {
        bucket.put(key, b"0").unwrap();
    }
    bucket.set_config(&Versioning::Enabled).unwrap();
    for key in ["b", "d"] {
        for _ in 0..4 {
            put(&bucket, key, "1");
            bucket.delete(key).unwrap();
        }
    }
    let whole = all(&bucket);
    assert_eq!(whole.len(), 1 + 9 + 1 + 8);
    for limit in 1..=whole.len() + 1 {
        let paged = pages(&bucket, ListOptions::new().limit(limit));
        assert_eq!(paged.concat(), whole, "{limit}");
        assert!(paged.iter().rev().skip(1).all(|page| page.len() == limit), "{limit}");
        let limited: Vec<_> =
            bucket.versions(ListOptions::new().limit(limit)).unwrap().map(Result::unwrap).collect();
        assert_eq!(limited, whole[..limit.min(whole.len())]);
    }
    // From every entry on, by its own name.
    for (place, entry) in whole.iter().enumerate() {
        let options = ListOptions::new().start_after(&entry.key).start_after_version(&entry.version);
        let rest: Vec<_> = bucket.versions(options).unwrap().map(Result::unwrap).collect();
        assert_eq!(rest, whole[place + 1..], "{place}");
    }
    let behind: Vec<_> =
        bucket.versions(ListOptions::new().start_after("b")).unwrap().map(Result::unwrap).collect();
    assert_eq!(behind, whole[10..]);
}

#[test]
fn list_versions_goes_on_behind_a_version_that_was_deleted_meanwhile() {
    let (_store, bucket) = bucket_with(Versioning::Enabled);
    let versions: Vec<_> = (0..5).map(|_| put(&bucket, "a", "1")).collect();
    let rest = |version: &VersionId| {
        let options = ListOptions::new().start_after("a").start_after_version(version);
        bucket.versions(options).unwrap().map(|entry| entry.unwrap().version).collect::<Vec<_>>()
    };
    remove(&bucket, "a", &versions[2]);
    assert_eq!(rest(&versions[2]), [versions[1].clone(), versions[0].clone()]);
    remove(&bucket, "a", &versions[4]);
    assert_eq!(rest(&versions[4]), [versions[3].clone(), versions[1].clone(), versions[0].clone()]);
    // Nobody knows where a null version was: better twice than not at all.
    assert_eq!(rest(&VersionId::null()).len(), 3);
}

#[test]
fn list_versions_refuses_a_version_marker_without_a_key_or_malformed() {
    let (_store, bucket) = bucket_with(Versioning::Enabled);
    let version = put(&bucket, "a", "1");
    let refused = |options: ListOptions| {
        assert_eq!(code(bucket.versions(options.clone())), "InvalidArgument");
        assert_eq!(code(bucket.versions_page(options)), "InvalidArgument");
    };
    refused(ListOptions::new().start_after_version(&version));
    refused(ListOptions::new().limit(0));
    refused(ListOptions::new().descending());
    for text in [ListOptions::prefix, ListOptions::delimiter, ListOptions::start_after] {
        refused(text(ListOptions::new(), "x".repeat(1024)));
    }
    assert_eq!(code("no version".parse::<VersionId>()), "InvalidArgument");
    assert_eq!(code(bucket.versions(ListOptions::new().delimiter("/"))), "InvalidArgument");
}

#[test]
fn list_versions_rolls_up_at_a_delimiter_as_list_does() {
    let (_store, bucket) = bucket_with(Versioning::Enabled);
    for key in ["a", "p/x", "p/y/1", "p/y/2", "p/z", "q/1", "r"] {
        put(&bucket, key, "1");
        put(&bucket, key, "2");
    }
    bucket.delete("q/1").unwrap();
    let page = |options: ListOptions| {
        let page = bucket.versions_page(options.delimiter("/")).unwrap();
        let keys: Vec<_> = page.entries.iter().map(|entry| entry.key.clone()).collect();
        (keys, page.prefixes, page.next_key, page.next_version.is_some())
    };
    let strings = |texts: &[&str]| texts.iter().map(|text| text.to_string()).collect::<Vec<_>>();
    assert_eq!(
        page(ListOptions::new()),
        (strings(&["a", "a", "r", "r"]), strings(&["p/", "q/"]), None, false)
    );
    let within = ListOptions::new().prefix("p/");
    assert_eq!(
        page(within.clone()),
        (strings(&["p/x", "p/x", "p/z", "p/z"]), strings(&["p/y/"]), None, false)
    );
    // Groups count toward the limit, and a page that ends with one goes on behind it.
    let three = page(ListOptions::new().limit(3));
    assert_eq!(three, (strings(&["a", "a"]), strings(&["p/"]), Some("p/".to_string()), false));
    let rest = page(ListOptions::new().start_after("p/").limit(2));
    assert_eq!(rest, (strings(&["r"]), strings(&["q/"]), Some("r".to_string()), true));
    assert_eq!(page(ListOptions::new().start_after("p/x")).1, ["q/"]);
}

#[test]
fn list_versions_of_an_unversioned_bucket_shows_every_object_once_as_null() {
    let (store, bucket) = bucket_with(None);
    for number in 0..200 {
        bucket.put(&format!("k{number:03}"), b"12").unwrap();
    }
    let listed = all(&bucket);
    assert_eq!(listed.len(), 200);
    assert!(
        listed
            .iter()
            .all(|entry| entry.version.is_null() && entry.latest && !entry.marker && entry.size == 2)
    );
    assert_eq!(listed[7].etag, Some(bucket.head("k007").unwrap().etag));
    assert_eq!(pages(&bucket, ListOptions::new().prefix("k1").limit(7)).concat(), listed[100..]);
    store.checkpoint().unwrap();
    assert_eq!(all(&bucket), listed);
}

#[test]
fn list_versions_is_of_one_moment() {
    let (store, bucket) = bucket_with(Versioning::Enabled);
    for _ in 0..100 {
        put(&bucket, "a", "1");
    }
    let before = all(&bucket);
    let snapshot = store.snapshot().unwrap();
    let mut listing = bucket.versions("").unwrap();
    let first = listing.next().unwrap().unwrap();
    bucket.delete("a").unwrap();
    bucket.put("b", b"").unwrap();
    for entry in &before[50..] {
        remove(&bucket, "a", &entry.version);
    }
    let rest: Vec<_> = listing.map(Result::unwrap).collect();
    assert_eq!([vec![first], rest].concat(), before);
    let old: Vec<_> = snapshot.bucket("cats").unwrap().versions("").unwrap().map(Result::unwrap).collect();
    assert_eq!(old, before);
    assert_eq!(all(&bucket).len(), 52);
    let page = snapshot.bucket("cats").unwrap().versions_page(ListOptions::new().limit(60)).unwrap();
    assert_eq!((page.entries.len(), page.next_version), (60, Some(before[59].version.clone())));
}

// accounting --------------------------------------------------------------------------------------------------------

#[test]
fn storage_accounting_counts_every_version_and_marker() {
    let (_store, bucket) = bucket_with(Versioning::Enabled);
    for len in [10, 200, 3000] {
        bucket.put("a", vec![0; len]).unwrap();
    }
    bucket.delete("b").unwrap();
    let usage = bucket.usage("").unwrap();
    assert_eq!((usage.objects, usage.bytes), (1, 3000));
    assert_eq!((usage.noncurrent_objects, usage.noncurrent_bytes, usage.markers), (2, 210, 1));
    bucket.delete("a").unwrap();
    let usage = bucket.usage("a").unwrap();
    assert_eq!(
        (usage.objects, usage.noncurrent_objects, usage.noncurrent_bytes, usage.markers),
        (0, 3, 3210, 1)
    );
    // And the quota counts them.
    bucket.set_config(&Quota { bytes: Some(4000), objects: None }).unwrap();
    assert_eq!(code(bucket.put("c", vec![0; 1000])), "QuotaExceeded");
    bucket.put("c", vec![0; 790]).unwrap();
}

// beyond OSS --------------------------------------------------------------------------------------------------------

#[test]
fn undelete_brings_the_newest_version_back() {
    let (store, bucket) = bucket_with(Versioning::Enabled);
    put(&bucket, "a", "1");
    let newest = put(&bucket, "a", "2");
    let before = bucket.head("a").unwrap();
    for markers in [1, 3] {
        for _ in 0..markers {
            bucket.delete("a").unwrap();
        }
        let outcome = bucket.undelete("a").unwrap();
        assert_eq!((outcome.version.as_ref(), &outcome.etag), (Some(&newest), &before.etag));
        assert_eq!((bucket.head("a").unwrap(), chain(&bucket, "a")), (before.clone(), "2 1".to_string()));
    }
    // Nothing to do: nothing is committed, and the commit of the version is named.
    let lsn = store.stats().lsn;
    assert_eq!(bucket.undelete("a").unwrap().lsn, before.lsn);
    assert_eq!(store.stats().lsn, lsn);
    bucket.delete("only markers").unwrap();
    for key in ["only markers", "missing"] {
        assert_eq!(code(bucket.undelete(key)), "NoSuchKey");
    }
    assert_eq!(chain(&bucket, "only markers"), "-");
    assert_eq!(bucket.usage("").unwrap().markers, 1);
}

#[test]
fn undelete_takes_null_markers_away_with_what_names_them() {
    let (_store, bucket) = bucket_with(Versioning::Enabled);
    put(&bucket, "a", "1");
    bucket.set_config(&Versioning::Suspended).unwrap();
    bucket.delete("a").unwrap();
    bucket.set_config(&Versioning::Enabled).unwrap();
    bucket.delete("a").unwrap();
    assert_eq!(chain(&bucket, "a"), "- -0 1");
    bucket.undelete("a").unwrap();
    assert_eq!(chain(&bucket, "a"), "1");
    bucket.set_config(&Versioning::Suspended).unwrap();
    bucket.put("a", b"n").unwrap();
    bucket.put("a", b"m").unwrap();
    assert_eq!(chain(&bucket, "a"), "m0 1");
    let (_store, bucket) = bucket_with(None);
    bucket.put("a", b"1").unwrap();
    assert_eq!(bucket.undelete("a").unwrap().version, None);
}

#[test]
fn restore_version_puts_a_copy_of_it_on_top() {
    let (store, bucket) = bucket_with(Versioning::Enabled);
    let options =
        PutOptions::new().storage_class(StorageClass::InfrequentAccess).tag("a", "b").acl(Acl::PublicRead);
    let old = bucket.put_with("a", vec![b'o'; 600_000], options).unwrap().version.unwrap();
    put(&bucket, "a", "2");
    bucket.delete("a").unwrap();
    let outcome = bucket.restore_version("a", &old).unwrap();
    let meta = bucket.head("a").unwrap();
    assert_eq!((meta.version.as_ref(), meta.lsn), (outcome.version.as_ref(), outcome.lsn));
    assert_eq!((meta.class, meta.acl()), (StorageClass::InfrequentAccess, Some(Acl::PublicRead)));
    assert_eq!((meta.tags().len(), all(&bucket).len()), (1, 4));
    remove(&bucket, "a", &old);
    assert_eq!(read(&bucket, "a"), vec![b'o'; 600_000]);
    // The current version: nothing to do.
    let lsn = store.stats().lsn;
    assert_eq!(bucket.restore_version("a", meta.version.as_ref().unwrap()).unwrap().lsn, outcome.lsn);
    assert_eq!(store.stats().lsn, lsn);
}

#[test]
fn list_versions_follows_renamed_prefixes_and_forks() {
    let (store, bucket) = bucket_with(Versioning::Enabled);
    for number in 0..100 {
        for round in 0..3 {
            put(&bucket, &format!("old/{number:02}"), &round.to_string());
        }
    }
    bucket.delete("old/07").unwrap();
    let moved = |entries: Vec<VersionEntry>| {
        let key = |entry: VersionEntry| {
            (entry.key.replace("old/", "new/"), entry.version, entry.marker, entry.latest)
        };
        entries.into_iter().map(key).collect::<Vec<_>>()
    };
    let before = moved(all(&bucket));
    assert_eq!(before.len(), 301);
    bucket.rename_prefix("old/", "new/").unwrap();
    assert_eq!(moved(all(&bucket)), before);
    assert_eq!(moved(pages(&bucket, ListOptions::new().prefix("new/").limit(7)).concat()), before);
    let fork = store.fork_bucket("cats", "fork").unwrap();
    put(&fork, "new/07", "3");
    let newest = fork.head("new/08").unwrap().version.unwrap();
    remove(&fork, "new/08", &newest);
    assert_eq!((chain(&fork, "new/07"), chain(&bucket, "new/07")), ("3 - 2 1 0".into(), "- 2 1 0".into()));
    assert_eq!((chain(&fork, "new/08"), chain(&bucket, "new/08")), ("1 0".into(), "2 1 0".into()));
    assert_eq!(pages(&fork, ListOptions::new().limit(3)).concat(), all(&fork));
    assert_eq!(moved(all(&bucket)), before);
    // Whatever is tidied up behind.
    store.maintain(Duration::from_secs(5)).unwrap();
    assert_eq!(moved(all(&bucket)), before);
    assert_eq!(all(&fork).len(), 301);
}

/// Few objects used to be moved one by one, and their older versions stayed behind.
#[test]
fn rename_of_a_prefix_takes_older_versions_along_however_few_they_are() {
    let (_store, bucket) = bucket_with(Versioning::Enabled);
    put(&bucket, "old/a", "1");
    put(&bucket, "old/a", "2");
    put(&bucket, "old/b", "1");
    bucket.delete("old/b").unwrap();
    bucket.rename_prefix("old/", "new/").unwrap();
    assert_eq!((chain(&bucket, "new/a"), chain(&bucket, "new/b")), ("2 1".into(), "- 1".into()));
    assert_eq!(bucket.versions("old/").unwrap().count(), 0);
}

/// In the order of a listing, every version would become current once, and each would be looked for behind those
/// that are gone.
#[test]
fn a_long_chain_is_deleted_in_the_order_it_is_listed() {
    let (store, bucket) = bucket_with(Versioning::Enabled);
    let options = ossicle::WriteOptions::new().durability(ossicle::Durability::Buffered);
    for _ in 0..20 {
        store.write_with(options, |tx| (0..1000).try_for_each(|_| tx.put(&bucket, "a", b"x"))).unwrap();
    }
    let last = all(&bucket).pop().unwrap().version;
    let doomed: Vec<_> =
        all(&bucket).into_iter().map(|entry| (entry.key, entry.version)).take(19_999).collect();
    let answers = bucket.delete_versions(doomed.clone()).unwrap();
    for ((_, answer), (_, version)) in answers.iter().zip(&doomed) {
        assert_eq!(answer.as_ref().unwrap().version.as_ref(), Some(version));
    }
    assert_eq!(bucket.head("a").unwrap().version, Some(last));
    assert_eq!(all(&bucket).len(), 1);
    assert_eq!(bucket.usage("").unwrap().noncurrent_objects, 0);
}

/// The cost of a listing follows what it returns, and a get is one seek whatever lies below.
#[test]
fn a_long_chain_costs_other_keys_nothing() {
    let (store, bucket) = bucket_with(Versioning::Enabled);
    for key in ["a", "c"] {
        put(&bucket, key, "1");
    }
    let options = ossicle::WriteOptions::new().durability(ossicle::Durability::Buffered);
    for _ in 0..20 {
        store.write_with(options, |tx| (0..1000).try_for_each(|_| tx.put(&bucket, "b", b"x"))).unwrap();
    }
    store.checkpoint().unwrap();
    let page = bucket.versions_page(ListOptions::new().limit(3)).unwrap();
    assert_eq!(page.entries.iter().map(|entry| entry.key.as_str()).collect::<Vec<_>>(), ["a", "b", "b"]);
    let behind = bucket.versions_page(ListOptions::new().start_after("b")).unwrap();
    assert_eq!(behind.entries.len(), 1);
    let count = all(&bucket).iter().filter(|entry| entry.key == "b").count();
    assert_eq!(count, 20_000);
    assert_eq!(bucket.usage("b").unwrap().noncurrent_objects, 19_999);
}

/// The name of a version says where it stands, but for `null`: if a page ends there and it moves, some is told again and
/// nothing that stays is left out.
#[test]
fn pages_of_versions_leave_out_nothing_that_stays_while_versions_change() {
    let (_store, bucket) = bucket_with(Versioning::Suspended);
    let set = |state: Versioning| bucket.set_config(&state).unwrap();
    let put = |body: &str| bucket.put("k", body).unwrap().version.unwrap().to_string();
    let page = |key: &str, version: &str| {
        let options = match key {
            "" => ListOptions::new().limit(2),
            key => ListOptions::new()
                .limit(2)
                .start_after(key)
                .start_after_version(version.parse::<VersionId>().unwrap()),
        };
        bucket.versions_page(options).unwrap()
    };
    let names = |entries: &[VersionEntry]| -> Vec<String> {
        entries.iter().map(|entry| entry.version.to_string()).collect()
    };
    set(Versioning::Enabled);
    let oldest = put("oldest");
    set(Versioning::Suspended);
    assert_eq!(put("null"), "null");
    set(Versioning::Enabled);
    let newest = put("newest");
    let first = page("", "");
    assert_eq!(names(&first.entries), [&newest[..], "null"]);
    assert_eq!(
        (first.next_key.as_deref(), first.next_version.map(|v| v.to_string())),
        (Some("k"), Some("null".into()))
    );
    // Nothing has changed: what is left.
    assert_eq!(names(&page("k", "null").entries), [&oldest[..]]);
    // A new version on top moves nothing.
    let top = put("top");
    assert_eq!(names(&page("k", "null").entries), [&oldest[..]]);
    // The null version is replaced, and is the newest now: what is behind its new place comes again.
    set(Versioning::Suspended);
    assert_eq!(put("null again"), "null");
    let again = page("k", "null");
    assert_eq!(names(&again.entries), [&top[..], &newest[..]]);
    assert_eq!(names(&page("k", &newest).entries), [&oldest[..]]);
    // It is removed: the whole key comes again.
    bucket.delete_with("k", DeleteOptions::new().version(VersionId::null())).unwrap();
    assert_eq!(names(&page("k", "null").entries), [&top[..], &newest[..]]);
    // A version that a page ended at and that is gone since still says where it was.
    bucket.delete_with("k", DeleteOptions::new().version(newest.parse::<VersionId>().unwrap())).unwrap();
    assert_eq!(names(&page("k", &newest).entries), [&oldest[..]]);
}
