//! Copying and renaming, inside a bucket and across.

use ossicle::CopyOptions;

use crate::{a_bucket, code, read};

const LENGTHS: [usize; 4] = [0, 100, 100_000, 1_000_000];

#[test]
fn a_copy_has_all_that_the_source_has() {
    let (store, cats) = a_bucket();
    let dogs = store.create_bucket("dogs").unwrap();
    for len in LENGTHS {
        let options = ossicle::PutOptions::new().content_type("image/png").metadata("a", "b");
        let put = cats.put_with("a", vec![7; len], options).unwrap();
        let copied = dogs.copy_from(&cats, "a", "b", CopyOptions::new()).unwrap();
        assert_eq!(copied.etag, put.etag);
        let meta = dogs.head("b").unwrap();
        assert_eq!((meta.content_type.as_deref(), meta.metadata["a"].as_str()), (Some("image/png"), "b"));
        cats.delete("a").unwrap();
        assert_eq!(read(&dogs, "b"), vec![7; len]);
    }
}

#[test]
fn a_copy_may_be_dressed_anew() {
    let (_store, bucket) = a_bucket();
    bucket
        .put_with("a", b"x", ossicle::PutOptions::new().content_type("text/a").metadata("old", "1"))
        .unwrap();
    let options = CopyOptions::new().content_type("text/b").metadata("new", "2");
    // Onto itself: how OSS changes metadata.
    bucket.copy_from(&bucket, "a", "a", options).unwrap();
    let meta = bucket.head("a").unwrap();
    assert_eq!(meta.content_type.as_deref(), Some("text/b"));
    assert_eq!(meta.metadata.into_iter().collect::<Vec<_>>(), [("new".to_string(), "2".to_string())]);
    let bad = CopyOptions::new().metadata("a_b", "2");
    assert_eq!(code(bucket.copy_from(&bucket, "a", "b", bad)), "InvalidArgument");
}

#[test]
fn a_rename_moves_the_object_and_nothing_else() {
    let (store, bucket) = a_bucket();
    for len in LENGTHS {
        bucket.put("a", vec![1; len]).unwrap();
        bucket.put("b", b"is replaced").unwrap();
        let before = bucket.head("a").unwrap();
        let outcome = bucket.rename("a", "b").unwrap();
        let after = bucket.head("b").unwrap();
        assert_eq!((&after.etag, after.modified, after.size), (&before.etag, before.modified, before.size));
        assert_eq!((after.etag, after.lsn), (outcome.etag, outcome.lsn));
        assert!(!bucket.exists("a").unwrap());
        assert_eq!(read(&bucket, "b"), vec![1; len]);
    }
    assert!(store.verify().unwrap().is_clean());
}

/// It commits nothing, and so it must not name a commit that is somebody else's.
#[test]
fn a_rename_onto_itself_changes_nothing_and_names_the_commit_of_the_object() {
    let (store, bucket) = a_bucket();
    let put = bucket.put("a", b"x").unwrap();
    bucket.put("b", b"y").unwrap();
    let lsn = store.stats().lsn;
    let renamed = bucket.rename("a", "a").unwrap();
    assert_eq!((renamed.lsn, renamed.etag), (put.lsn, put.etag));
    assert_eq!(store.stats().lsn, lsn);
    assert_eq!(read(&bucket, "a"), b"x");
    assert_eq!(code(bucket.rename_with("a", "a", CopyOptions::new().if_absent())), "FileAlreadyExists");
}

#[test]
fn what_is_not_there_is_neither_copied_nor_renamed() {
    let (_store, bucket) = a_bucket();
    bucket.put("b", b"stays").unwrap();
    assert_eq!(code(bucket.copy("a", "b")), "NoSuchKey");
    assert_eq!(code(bucket.rename("a", "b")), "NoSuchKey");
    assert_eq!(code(bucket.rename("b", "/b")), "InvalidObjectName");
    assert_eq!(code(bucket.copy("b", "")), "InvalidObjectName");
    assert_eq!(code(bucket.rename(&"k".repeat(1024), "b")), "InvalidObjectName");
    assert_eq!(code(bucket.copy(&"k".repeat(1024), "b")), "InvalidObjectName");
    assert_eq!(read(&bucket, "b"), b"stays");
}

#[test]
fn renamed_bodies_survive_compaction_and_a_lost_index() {
    let dir = tempfile::tempdir().unwrap();
    let store = ossicle::Store::open(dir.path()).unwrap();
    let bucket = store.create_bucket("cats").unwrap();
    for number in 0..8u8 {
        bucket.put(&format!("a{number}"), vec![number; 600_000]).unwrap();
        bucket.rename(&format!("a{number}"), &format!("b{number}")).unwrap();
        bucket.rename(&format!("b{number}"), &format!("c{number}")).unwrap();
    }
    for number in [0, 2, 4] {
        bucket.delete(&format!("c{number}")).unwrap();
    }
    store.compact(ossicle::CompactOptions::new().garbage_percent(0)).unwrap();
    store.close().unwrap();
    std::fs::remove_file(dir.path().join("index.tree"))
        .or_else(|_| std::fs::remove_file(dir.path().join("index.alt.tree")))
        .unwrap();
    let store = ossicle::Store::open(dir.path()).unwrap();
    let bucket = store.bucket("cats").unwrap();
    assert_eq!(bucket.usage("").unwrap().objects, 5);
    for number in [1u8, 3, 5, 6, 7] {
        assert_eq!(read(&bucket, &format!("c{number}")), vec![number; 600_000]);
    }
    assert!(store.verify().unwrap().is_clean());
}

/// OSS: with the directive `REPLACE` and nothing given, the copy has none of it.
#[test]
fn a_copy_can_have_none_of_what_its_source_has() {
    let (store, bucket) = a_bucket();
    let mut headers = ossicle::ContentHeaders::default();
    headers.cache_control = Some("no-cache".into());
    let dressed = ossicle::PutOptions::new().content_type("image/png").metadata("a", "b").metadata("c", "d");
    bucket.put_with("a", b"1", dressed.headers(headers.clone()).tag("team", "red")).unwrap();
    let told = |key: &str| {
        let meta = bucket.head(key).unwrap();
        let tags = bucket.tags(key).unwrap().len();
        (
            meta.content_type.is_some(),
            meta.metadata.len(),
            *meta.headers() != ossicle::ContentHeaders::default(),
            tags,
        )
    };
    let new = CopyOptions::new;
    for (options, wanted) in [
        (new(), (true, 2, true, 1)),
        (new().no_content_type(), (false, 2, true, 1)),
        (new().no_metadata(), (true, 0, true, 1)),
        (new().no_headers(), (true, 2, false, 1)),
        (new().no_tags(), (true, 2, true, 0)),
        (new().no_content_type().no_metadata().no_headers().no_tags(), (false, 0, false, 0)),
        // What is given behind it is what there is.
        (new().no_metadata().metadata("e", "f").no_tags().tag("x", "y").tag("z", ""), (true, 1, true, 2)),
        (new().metadata("e", "f").no_metadata().tag("x", "y").no_tags(), (true, 0, true, 0)),
    ] {
        bucket.copy_from(&bucket, "a", "b", options.clone()).unwrap();
        assert_eq!(told("b"), wanted, "{options:?}");
        // In a transaction too, and where nothing but that is to be copied: onto itself.
        bucket.copy("a", "c").unwrap();
        store.write(|tx| tx.copy_with(&bucket, "c", &bucket, "c", options.clone())).unwrap();
        assert_eq!(told("c"), wanted, "{options:?}");
    }
}
