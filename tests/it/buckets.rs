//! Making, finding, listing and removing buckets.

use ossicle::{ErrorKind, Store};

use crate::{code, read};

#[test]
fn buckets_are_listed_in_the_order_of_their_names() {
    let store = Store::in_memory().unwrap();
    for name in ["dogs", "cats", "0-9", "cats-2"] {
        assert_eq!(store.create_bucket(name).unwrap().name(), &name);
    }
    let names: Vec<String> =
        store.buckets().unwrap().map(|bucket| bucket.unwrap().name().to_string()).collect();
    assert_eq!(names, ["0-9", "cats", "cats-2", "dogs"]);
}

#[test]
fn a_bucket_exists_once() {
    let store = Store::in_memory().unwrap();
    store.create_bucket("cats").unwrap();
    let error = store.create_bucket("cats").unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::AlreadyExists, "BucketAlreadyExists"));
    assert_eq!(code(store.bucket("dogs")), "NoSuchBucket");
    assert_eq!(code(store.delete_bucket("dogs")), "NoSuchBucket");
}

#[test]
fn only_an_empty_bucket_is_removed() {
    let store = Store::in_memory().unwrap();
    let bucket = store.create_bucket("cats").unwrap();
    bucket.put("a", b"").unwrap();
    assert_eq!(code(store.delete_bucket("cats")), "BucketNotEmpty");
    bucket.delete("a").unwrap();
    store.delete_bucket("cats").unwrap();
    assert_eq!(store.buckets().unwrap().count(), 0);
}

/// Names come back, buckets do not: a handle never reaches the next bucket of the same name.
#[test]
fn a_handle_does_not_reach_a_later_bucket_of_the_same_name() {
    let store = Store::in_memory().unwrap();
    let old = store.create_bucket("cats").unwrap();
    store.delete_bucket("cats").unwrap();
    let new = store.create_bucket("cats").unwrap();
    new.put("a", b"new").unwrap();
    assert_eq!(code(old.put("a", b"old")), "NoSuchBucket");
    assert_eq!(code(old.get("a")), "NoSuchBucket");
    assert_eq!(code(old.exists("a")), "NoSuchBucket");
    assert_eq!(code(old.delete("a")), "NoSuchBucket");
    assert_eq!(code(old.list("")), "NoSuchBucket");
    assert_eq!(code(old.usage("")), "NoSuchBucket");
    assert_eq!(code(old.copy("a", "b")), "NoSuchBucket");
    assert_eq!(code(old.rename("a", "b")), "NoSuchBucket");
    assert_eq!(code(old.writer("a", Default::default())), "NoSuchBucket");
    assert_eq!(code(old.delete_many(["a"])), "NoSuchBucket");
    assert_eq!(read(&new, "a"), b"new");
}

#[test]
fn a_writer_that_outlives_its_bucket_is_told_at_its_end() {
    let store = Store::in_memory().unwrap();
    let bucket = store.create_bucket("cats").unwrap();
    let writer = bucket.writer("a", Default::default()).unwrap();
    store.delete_bucket("cats").unwrap();
    assert_eq!(code(writer.finish()), "NoSuchBucket");
}
