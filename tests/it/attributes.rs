//! What an object carries besides its body: changed alone, by version, and kept through everything.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ossicle::{
    Acl, AttributeOptions, Bucket, ContentHeaders, DeleteOptions, Durability, ErrorKind, MemoryVfs,
    PutOptions, StorageClass, Store, VersionId, Versioning, VirtualClock,
};

use crate::{a_bucket, code, read};

fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

fn with_clock() -> (Store, Bucket, VirtualClock) {
    let clock = VirtualClock::at(start());
    let store = Store::builder("/m").vfs(Arc::new(MemoryVfs::new())).clock(clock.clone()).open().unwrap();
    let bucket = store.create_bucket("cats").unwrap();
    (store, bucket, clock)
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

fn by(version: &VersionId) -> AttributeOptions {
    AttributeOptions::new().version(version)
}

fn cache(text: &str) -> ContentHeaders {
    let mut headers = ContentHeaders::default();
    headers.cache_control = Some(text.to_string());
    headers
}

#[test]
fn tags_are_replaced_read_and_cleared() {
    let (_store, bucket) = a_bucket();
    bucket.put("a", b"x").unwrap();
    assert!(bucket.tags("a").unwrap().is_empty());
    bucket.set_tags("a", [("team", "red"), ("a", "1")]).unwrap();
    assert_eq!(bucket.tags("a").unwrap(), owned(&[("a", "1"), ("team", "red")]));
    bucket.set_tags("a", vec![("b".to_string(), String::new())]).unwrap();
    let mut seen = Vec::new();
    for (key, value) in bucket.tags("a").unwrap() {
        seen.push(format!("{key}={value}"));
    }
    assert_eq!(seen, ["b="]);
    bucket.clear_tags("a").unwrap();
    bucket.clear_tags("a").unwrap();
    assert!(bucket.tags("a").unwrap().is_empty());
    assert_eq!(bucket.set_tags("a", [("", "x")]).unwrap_err().code(), "InvalidTag");
    assert_eq!(code(bucket.set_tags("missing", [("a", "b")])), "NoSuchKey");
    assert_eq!(code(bucket.tags("missing")), "NoSuchKey");
    assert_eq!(code(bucket.set_tags("/a", [("a", "b")])), "InvalidObjectName");
}

#[test]
fn only_tags_and_retention_leave_the_time_as_it_is() {
    let (_store, bucket, clock) = with_clock();
    bucket.put("a", b"x").unwrap();
    let before = bucket.head("a").unwrap();
    clock.advance(Duration::from_secs(10));
    bucket.set_tags("a", [("a", "b")]).unwrap();
    bucket.set_legal_hold("a", true).unwrap();
    bucket.set_legal_hold("a", false).unwrap();
    assert_eq!(bucket.head("a").unwrap().modified, start());
    type Change = fn(&Bucket) -> ossicle::Result<()>;
    let changes: [Change; 6] = [
        |bucket| bucket.set_acl("a", Acl::PublicRead),
        |bucket| bucket.set_metadata("a", [("Owner", "ann")]),
        |bucket| bucket.set_content_type("a", "text/plain"),
        |bucket| bucket.set_headers("a", cache("no-store")),
        |bucket| bucket.set_storage_class("a", StorageClass::InfrequentAccess),
        |bucket| bucket.clear_acl("a"),
    ];
    for change in changes {
        clock.advance(Duration::from_secs(10));
        let last = bucket.head("a").unwrap().modified;
        change(&bucket).unwrap();
        assert_eq!(
            bucket.head("a").unwrap().modified,
            last.max(start() + Duration::from_secs(10)) + Duration::from_secs(10)
        );
    }
    let after = bucket.head("a").unwrap();
    // Still the same object: the commit that wrote it, its tag, its body.
    assert_eq!((after.lsn, &after.etag, after.size), (before.lsn, &before.etag, before.size));
    assert_eq!(
        (after.content_type.as_deref(), after.class),
        (Some("text/plain"), StorageClass::InfrequentAccess)
    );
    assert_eq!(after.metadata.into_iter().collect::<Vec<_>>(), owned(&[("owner", "ann")]));
    assert_eq!(bucket.head("a").unwrap().headers().cache_control.as_deref(), Some("no-store"));
    assert_eq!(read(&bucket, "a"), b"x");
}

#[test]
fn an_acl_of_ones_own_or_the_buckets() {
    let (_store, bucket) = a_bucket();
    bucket.put("a", b"x").unwrap();
    assert_eq!(bucket.acl("a").unwrap(), None);
    for acl in [Acl::Private, Acl::PublicRead, Acl::PublicReadWrite] {
        bucket.set_acl("a", acl).unwrap();
        assert_eq!(bucket.acl("a").unwrap(), Some(acl));
    }
    bucket.clear_acl("a").unwrap();
    assert_eq!(bucket.acl("a").unwrap(), None);
    assert_eq!(code(bucket.set_acl("missing", Acl::Private)), "NoSuchKey");
}

#[test]
fn what_is_not_valid_changes_nothing() {
    let (store, bucket) = a_bucket();
    bucket.put_with("a", b"x", PutOptions::new().metadata("a", "b").content_type("x/y")).unwrap();
    let lsn = store.stats().lsn;
    assert_eq!(code(bucket.set_metadata("a", [("a_b", "1")])), "InvalidArgument");
    assert_eq!(code(bucket.set_metadata("a", [("a", "1"), ("a", "2")])), "InvalidArgument");
    assert_eq!(code(bucket.set_metadata("a", [("a", "1"), ("A", "2")])), "InvalidArgument");
    assert_eq!(code(bucket.set_metadata("a", [("a", "v".repeat(9000))])), "InvalidArgument");
    assert_eq!(code(bucket.set_content_type("a", "a\nb")), "InvalidArgument");
    assert_eq!(code(bucket.set_headers("a", cache("a\nb"))), "InvalidArgument");
    assert_eq!(code(bucket.set_tags("a", (0..11).map(|i| (format!("k{i}"), "v")))), "InvalidTag");
    assert_eq!(
        code(bucket.set_tags_with("a", [("a", "b")], AttributeOptions::new().if_match("0"))),
        "PreconditionFailed"
    );
    assert_eq!(code(bucket.acl_with("a", AttributeOptions::new().if_match("0"))), "PreconditionFailed");
    assert_eq!(store.stats().lsn, lsn);
    // What is set to what it is already is not written either.
    bucket.clear_tags("a").unwrap();
    bucket.set_legal_hold("a", false).unwrap();
    assert_eq!(store.stats().lsn, lsn);
    let etag = bucket.head("a").unwrap().etag;
    bucket.set_tags_with("a", [("a", "b")], AttributeOptions::new().if_match(etag)).unwrap();
    assert_eq!(bucket.tags("a").unwrap().len(), 1);
}

#[test]
fn each_version_has_its_own_and_markers_have_none() {
    let (_store, bucket) = a_bucket();
    bucket.put("a", b"null").unwrap();
    bucket.set_config(&Versioning::Enabled).unwrap();
    let first = bucket.put("a", b"first").unwrap().version.unwrap();
    let second = bucket.put("a", b"second").unwrap().version.unwrap();
    let null = VersionId::null();
    for (number, version) in [&null, &first, &second].into_iter().enumerate() {
        let options = || AttributeOptions::new().version(version).durability(Durability::Buffered);
        bucket.set_tags_with("a", [("n", number.to_string())], options()).unwrap();
        bucket.set_metadata_with("a", [("n", number.to_string())], options()).unwrap();
        bucket.set_acl_with("a", Acl::PublicRead, options()).unwrap();
        bucket.set_storage_class_with("a", StorageClass::InfrequentAccess, options()).unwrap();
        bucket.set_headers_with("a", cache(&number.to_string()), options()).unwrap();
        bucket.set_content_type_with("a", &format!("n/{number}"), options()).unwrap();
    }
    let marker = bucket.delete("a").unwrap().version.unwrap();
    for (number, (version, body)) in
        [(&null, "null"), (&first, "first"), (&second, "second")].into_iter().enumerate()
    {
        let got = bucket.get_with("a", ossicle::GetOptions::new().version(version)).unwrap();
        let meta = got.meta().clone();
        assert_eq!(
            (meta.metadata["n"].clone(), meta.tags()[0].1.clone()),
            (number.to_string(), number.to_string())
        );
        assert_eq!((meta.acl(), meta.class), (Some(Acl::PublicRead), StorageClass::InfrequentAccess));
        assert_eq!(meta.content_type, Some(format!("n/{number}")));
        assert_eq!(meta.version.as_ref(), Some(version));
        assert_eq!(bucket.tags_with("a", by(version)).unwrap()[0].1, number.to_string());
        assert_eq!(&got.bytes().unwrap()[..], body.as_bytes());
    }
    // The current one is a delete marker, and it is named too: there is nothing (OSS: 404).
    assert_eq!(code(bucket.tags("a")), "NoSuchKey");
    assert_eq!(code(bucket.set_tags("a", [("a", "b")])), "NoSuchKey");
    assert_eq!(code(bucket.acl_with("a", by(&marker))), "NoSuchKey");
    let refused = bucket.set_acl_with("a", Acl::Private, by(&marker)).unwrap_err();
    assert_eq!((refused.code(), refused.kind()), ("NoSuchKey", ErrorKind::NotFound));
    let never: VersionId = "00000000000000FF00000000".parse().unwrap();
    assert_eq!(code(bucket.set_tags_with("a", [("a", "b")], by(&never))), "NoSuchVersion");
    assert_eq!(code(bucket.tags_with("a", by(&never))), "NoSuchVersion");
    // What was said of a version stays with it when it is the current one again.
    bucket.delete_with("a", DeleteOptions::new().version(&marker)).unwrap();
    bucket.clear_tags_with("a", by(&first)).unwrap();
    assert_eq!(bucket.tags("a").unwrap(), owned(&[("n", "2")]));
    assert_eq!(read(&bucket, "a"), b"second");
}

/// Rows that are written again keep their bodies, wherever those lie.
#[test]
fn bodies_of_all_lengths_stay_through_changes_compaction_and_a_lost_index() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let bucket = store.create_bucket("cats").unwrap();
    let lengths = [0, 10, 1000, 100_000, 700_000];
    for (number, len) in lengths.into_iter().enumerate() {
        bucket.put(&format!("{len}"), vec![number as u8; len]).unwrap();
        bucket.set_tags(&format!("{len}"), [("n", "1")]).unwrap();
        bucket.copy(&format!("{len}"), &format!("copy-{len}")).unwrap();
        bucket.set_metadata(&format!("{len}"), [("long", "m".repeat(3000))]).unwrap();
        bucket.set_storage_class(&format!("copy-{len}"), StorageClass::InfrequentAccess).unwrap();
    }
    bucket.put("waste", vec![9; 2_000_000]).unwrap();
    bucket.delete("waste").unwrap();
    store.compact(ossicle::CompactOptions::new().garbage_percent(0)).unwrap();
    let check = |bucket: &Bucket| {
        for (number, len) in lengths.into_iter().enumerate() {
            assert_eq!(read(bucket, &format!("{len}")), vec![number as u8; len]);
            assert_eq!(read(bucket, &format!("copy-{len}")), vec![number as u8; len]);
            assert_eq!(bucket.tags(&format!("copy-{len}")).unwrap(), owned(&[("n", "1")]));
            assert_eq!(bucket.head(&format!("{len}")).unwrap().metadata["long"].len(), 3000);
        }
        let classes = bucket.usage("").unwrap().classes;
        let sum: u64 = lengths.iter().map(|len| *len as u64).sum();
        assert_eq!(classes, [(StorageClass::Standard, 5, sum), (StorageClass::InfrequentAccess, 5, sum)]);
    };
    check(&bucket);
    assert!(store.verify().unwrap().is_clean());
    store.close().unwrap();
    let store = Store::builder(dir.path()).rebuild_index(true).open().unwrap();
    let bucket = store.bucket("cats").unwrap();
    check(&bucket);
    assert!(store.verify().unwrap().is_clean());
}

/// A fork shows what the first bucket holds, and what is said of it there stays there.
#[test]
fn attributes_in_a_fork_are_the_forks_own() {
    let (store, bucket) = a_bucket();
    for (key, len) in [("short", 100), ("long", 600_000)] {
        bucket.put(key, vec![1; len]).unwrap();
    }
    let fork = store.fork_bucket("cats", "fork").unwrap();
    for key in ["short", "long"] {
        fork.set_tags(key, [("in", "fork")]).unwrap();
        bucket.set_acl(key, Acl::PublicRead).unwrap();
        assert!(bucket.tags(key).unwrap().is_empty() && fork.acl(key).unwrap().is_none());
        assert_eq!(read(&fork, key), read(&bucket, key));
    }
    store.delete_bucket("fork").unwrap();
    assert_eq!(read(&bucket, "long"), vec![1; 600_000]);
    assert!(store.verify().unwrap().is_clean());
}
