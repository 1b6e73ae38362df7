//! Symlinks: followed one level deep by get and head, and by nothing else.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ossicle::{
    Acl, AttributeOptions, CopyOptions, DeleteOptions, Digests, Entry, ErrorKind, GetOptions, MemoryVfs,
    ObjectKind, PutOptions, StorageClass, Store, Versioning, VirtualClock,
};

use crate::{a_bucket, code, read};

#[test]
fn a_link_shows_the_body_of_its_target_and_dresses_it_as_its_own() {
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    let clock = VirtualClock::at(start);
    let store = Store::builder("/m").vfs(Arc::new(MemoryVfs::new())).clock(clock.clone()).open().unwrap();
    let bucket = store.create_bucket("cats").unwrap();
    let options =
        PutOptions::new().content_type("target/type").metadata("of", "target").digests(Digests::Oss);
    let put = bucket
        .put_with("target", vec![7; 100_000], options.tag("of", "target").acl(Acl::PublicRead))
        .unwrap();
    clock.advance(Duration::from_secs(5));
    let options = PutOptions::new().content_type("link/type").metadata("of", "link").tag("of", "link");
    let made = bucket.symlink_with("link", "target", options.storage_class(StorageClass::Archive)).unwrap();
    assert_ne!(made.etag, put.etag);
    assert_eq!((made.etag.as_str().len(), made.version), (32, None));

    let meta = bucket.head("link").unwrap();
    assert_eq!(
        (meta.size, &meta.etag, meta.digests),
        (100_000, &put.etag, bucket.head("target").unwrap().digests)
    );
    assert_eq!(
        (meta.kind, meta.class, meta.key.as_str()),
        (ObjectKind::Symlink, StorageClass::Archive, "link")
    );
    assert_eq!((meta.content_type.as_deref(), meta.metadata["of"].as_str()), (Some("link/type"), "link"));
    assert_eq!((meta.tags()[0].1.as_str(), meta.acl(), meta.target()), ("link", None, Some("target")));
    // The later of the two times.
    assert_eq!(meta.modified, start + Duration::from_secs(5));
    clock.advance(Duration::from_secs(5));
    bucket.put("target", b"short").unwrap();
    assert_eq!(bucket.head("link").unwrap().modified, start + Duration::from_secs(10));
    assert_eq!(read(&bucket, "link"), b"short");
    let range = bucket.get_with("link", GetOptions::new().range(1..3)).unwrap();
    assert_eq!(&range.bytes().unwrap()[..], b"ho");
    // Conditions look at what is shown.
    let etag = bucket.head("target").unwrap().etag;
    bucket.get_with("link", GetOptions::new().if_match(etag)).unwrap();
    assert_eq!(code(bucket.get_with("link", GetOptions::new().if_match(made.etag))), "PreconditionFailed");
    // The link itself counts for nothing, and a listing shows it.
    let listed = bucket.list("link").unwrap().next().unwrap().unwrap();
    assert!(matches!(&listed, Entry::Object(meta) if meta.size == 0 && meta.kind == ObjectKind::Symlink));
    assert_eq!(bucket.usage("").unwrap().bytes, 5);
    assert_eq!(bucket.read_link("link").unwrap(), "target");
    assert_eq!(store.snapshot().unwrap().bucket("cats").unwrap().head("link").unwrap().size, 5);
}

#[test]
fn links_that_lead_nowhere_say_so() {
    let (_store, bucket) = a_bucket();
    bucket.symlink("link", "missing").unwrap();
    bucket.symlink("self", "self").unwrap();
    bucket.symlink("second", "link").unwrap();
    bucket.put("object", b"x").unwrap();
    let refused = bucket.get("link").unwrap_err();
    assert_eq!((refused.code(), refused.kind()), ("SymlinkTargetNotExist", ErrorKind::NotFound));
    assert_eq!(code(bucket.head("link")), "SymlinkTargetNotExist");
    for link in ["self", "second"] {
        let refused = bucket.get(link).unwrap_err();
        assert_eq!((refused.code(), refused.kind()), ("InvalidTargetType", ErrorKind::Invalid));
        assert_eq!(code(bucket.head(link)), "InvalidTargetType");
    }
    // One level, whatever the end of the chain is.
    bucket.put("missing", b"here").unwrap();
    assert_eq!(read(&bucket, "link"), b"here");
    assert_eq!(code(bucket.get("second")), "InvalidTargetType");
    assert!(bucket.exists("self").unwrap());
    assert_eq!(code(bucket.read_link("object")), "NotSymlink");
    assert_eq!(code(bucket.read_link("absent")), "NoSuchKey");
    assert_eq!(code(bucket.symlink("", "a")), "InvalidObjectName");
    assert_eq!(code(bucket.symlink("a", "")), "InvalidObjectName");
    assert_eq!(code(bucket.symlink("a", &"k".repeat(1024))), "InvalidObjectName");
    for class in [StorageClass::ColdArchive, StorageClass::DeepColdArchive] {
        let options = PutOptions::new().storage_class(class);
        assert_eq!(code(bucket.symlink_with("a", "b", options)), "InvalidArgument");
        assert_eq!(code(bucket.set_storage_class("link", class)), "InvalidArgument");
    }
    assert_eq!(code(bucket.symlink_with("link", "b", PutOptions::new().if_absent())), "FileAlreadyExists");
}

#[test]
fn everything_else_acts_on_the_link_itself() {
    let (store, bucket) = a_bucket();
    bucket.put("target", b"body").unwrap();
    bucket.symlink("link", "target").unwrap();
    bucket.set_tags("link", [("a", "b")]).unwrap();
    bucket.set_acl("link", Acl::PublicRead).unwrap();
    bucket.set_metadata("link", [("m", "1")]).unwrap();
    assert_eq!((bucket.tags("link").unwrap().len(), bucket.tags("target").unwrap().len()), (1, 0));
    assert_eq!((bucket.acl("link").unwrap(), bucket.acl("target").unwrap()), (Some(Acl::PublicRead), None));
    bucket.copy("link", "copy").unwrap();
    assert_eq!(bucket.read_link("copy").unwrap(), "target");
    bucket.rename("copy", "moved").unwrap();
    assert_eq!(
        (read(&bucket, "moved"), bucket.head("moved").unwrap().metadata["m"].as_str()),
        (b"body".to_vec(), "1")
    );
    // In another bucket it leads to that one's.
    let dogs = store.create_bucket("dogs").unwrap();
    dogs.copy_from(&bucket, "link", "link", CopyOptions::new()).unwrap();
    assert_eq!(code(dogs.get("link")), "SymlinkTargetNotExist");
    dogs.put("target", b"woof").unwrap();
    assert_eq!(read(&dogs, "link"), b"woof");
    bucket.delete("link").unwrap();
    assert!(bucket.exists("target").unwrap() && !bucket.exists("link").unwrap());
    // Appending goes neither to a link nor through it, and a put replaces it.
    bucket.put("moved", b"plain").unwrap();
    assert_eq!((read(&bucket, "moved"), read(&bucket, "target")), (b"plain".to_vec(), b"body".to_vec()));
    assert_eq!(code(bucket.read_link("moved")), "NotSymlink");
}

#[test]
fn each_version_of_a_link_leads_to_the_current_version_of_its_target() {
    let (_store, bucket) = a_bucket();
    bucket.set_config(&Versioning::Enabled).unwrap();
    bucket.put("one", b"1").unwrap();
    bucket.put("two", b"2").unwrap();
    let first = bucket.symlink("link", "one").unwrap().version.unwrap();
    let second = bucket.symlink("link", "two").unwrap().version.unwrap();
    let by = |version| GetOptions::new().version(version);
    let got = |options| bucket.get_with("link", options).unwrap().bytes().unwrap().to_vec();
    assert_eq!(
        (got(by(&first)), got(by(&second)), read(&bucket, "link")),
        (b"1".to_vec(), b"2".to_vec(), b"2".to_vec())
    );
    bucket.put("one", b"one anew").unwrap();
    assert_eq!(got(by(&first)), b"one anew");
    let meta = bucket.head_with("link", by(&first)).unwrap();
    assert_eq!((meta.version.as_ref(), meta.size), (Some(&first), 8));
    assert_eq!(bucket.read_link_with("link", AttributeOptions::new().version(&first)).unwrap(), "one");
    bucket.delete("one").unwrap();
    assert_eq!(code(bucket.get_with("link", by(&first))), "SymlinkTargetNotExist");
    let marker = bucket.delete("link").unwrap().version.unwrap();
    assert_eq!(code(bucket.read_link("link")), "NoSuchKey");
    assert_eq!(code(bucket.get("link")), "NoSuchKey");
    bucket.delete_with("link", DeleteOptions::new().version(&marker)).unwrap();
    bucket.delete_with("link", DeleteOptions::new().version(&second)).unwrap();
    assert_eq!(bucket.read_link("link").unwrap(), "one");
}

#[test]
fn a_transaction_follows_links_to_what_it_has_written_itself() {
    let (store, bucket) = a_bucket();
    bucket.symlink("link", "target").unwrap();
    bucket.symlink("second", "link").unwrap();
    store
        .write(|tx| {
            assert_eq!(code(tx.get(&bucket, "link")), "SymlinkTargetNotExist");
            tx.put(&bucket, "target", vec![3; 400_000])?;
            assert_eq!(tx.head(&bucket, "link")?.size, 400_000);
            assert_eq!(tx.get(&bucket, "link")?.bytes()?, vec![3; 400_000]);
            assert_eq!(code(tx.get(&bucket, "second")), "InvalidTargetType");
            tx.delete(&bucket, "target")?;
            assert_eq!(code(tx.head(&bucket, "link")), "SymlinkTargetNotExist");
            tx.put(&bucket, "target", b"x")
        })
        .unwrap();
    assert_eq!(read(&bucket, "link"), b"x");
}

#[test]
fn links_survive_reopening_compaction_and_a_lost_index() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let bucket = store.create_bucket("cats").unwrap();
    bucket.put("target", vec![1; 500_000]).unwrap();
    let made = bucket.symlink_with("link", "target", PutOptions::new().tag("a", "b")).unwrap();
    bucket.put("waste", vec![1; 900_000]).unwrap();
    bucket.delete("waste").unwrap();
    store.compact(ossicle::CompactOptions::new().garbage_percent(0)).unwrap();
    store.close().unwrap();
    let store = Store::builder(dir.path()).rebuild_index(true).open().unwrap();
    let bucket = store.bucket("cats").unwrap();
    assert_eq!(
        (read(&bucket, "link"), bucket.read_link("link").unwrap()),
        (vec![1; 500_000], "target".to_string())
    );
    let Entry::Object(listed) = bucket.list("link").unwrap().next().unwrap().unwrap() else {
        panic!("a prefix")
    };
    assert_eq!((&listed.etag, listed.tags().len()), (&made.etag, 1));
    assert!(store.verify().unwrap().is_clean());
}
