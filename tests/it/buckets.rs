//! Making, finding, listing and removing buckets.

use ossicle::{Bucket, CreateBucketOptions, ErrorKind, Maintenance, Store, Versioning};

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

#[test]
fn a_bucket_is_made_if_it_is_missing_and_left_alone_if_not() {
    let store = Store::in_memory().unwrap();
    let versioned = CreateBucketOptions::new().versioning(Versioning::Enabled);
    let bucket = store.create_bucket_if_missing_with("cats", versioned).unwrap();
    bucket.put("tom", b"meow").unwrap();
    let commits = store.stats().commits;
    let same = store.create_bucket_if_missing("cats").unwrap();
    assert_eq!(read(&same, "tom"), b"meow");
    assert_eq!(same.config::<Versioning>().unwrap(), Some(Versioning::Enabled), "it stays as it is");
    assert_eq!(store.stats().commits, commits, "nothing is written for it");
    assert_eq!(code(store.create_bucket_if_missing("Not A Name")), "InvalidBucketName");
    // After a removal it is another bucket.
    store.delete_bucket("cats").unwrap_err();
    bucket
        .delete_versions(
            bucket.versions("").unwrap().map(|entry| entry.map(|it| (it.key, it.version)).unwrap()),
        )
        .unwrap();
    store.delete_bucket("cats").unwrap();
    let new = store.create_bucket_if_missing("cats").unwrap();
    assert_eq!(new.config::<Versioning>().unwrap(), None);
    assert_eq!(code(same.exists("tom")), "NoSuchBucket");
}

#[test]
fn of_many_threads_that_make_a_missing_bucket_one_does() {
    let store = Store::in_memory().unwrap();
    let barrier = std::sync::Barrier::new(8);
    for round in 0..50 {
        let name = format!("bucket-{round}");
        let before = store.stats().lsn.0;
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (store, barrier, name) = (&store, &barrier, &name);
                scope.spawn(move || {
                    barrier.wait();
                    let bucket = store.create_bucket_if_missing(name).unwrap();
                    bucket.put(&format!("{thread}"), b"x").unwrap();
                });
            }
        });
        assert_eq!(store.bucket(&name).unwrap().list("").unwrap().count(), 8, "all have the same bucket");
        assert_eq!(store.stats().lsn.0, before + 9);
    }
}

#[test]
fn a_reader_gets_a_bucket_that_is_there_and_makes_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = Store::builder(&path).maintenance(Maintenance::Manual).open().unwrap();
    store.create_bucket("cats").unwrap();
    store.close().unwrap();
    let reader = Store::builder(&path).read_only(true).open().unwrap();
    reader.create_bucket_if_missing("cats").unwrap();
    let error = reader.create_bucket_if_missing("dogs").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
}

#[test]
fn a_transaction_makes_a_missing_bucket_and_finds_its_own() {
    let store = Store::in_memory().unwrap();
    let old = store.create_bucket("old").unwrap();
    old.put("k", b"before").unwrap();
    let (found, made): (Bucket, Bucket) = store
        .write(|tx| {
            let found = tx.create_bucket_if_missing("old")?;
            let made = tx.create_bucket_if_missing("new")?;
            tx.put(&made, "a", b"1")?;
            let same = tx.create_bucket_if_missing("new")?;
            tx.put(&same, "b", b"2")?;
            // A handle of what is there is good for more than this transaction.
            assert_eq!(read(&found, "k"), b"before");
            tx.put(&found, "k", b"after")?;
            Ok((found, made))
        })
        .unwrap();
    assert_eq!(
        (read(&found, "k"), read(&made, "a"), read(&made, "b")),
        (b"after".to_vec(), b"1".to_vec(), b"2".to_vec())
    );
    // Removed and made again in one transaction it is another bucket.
    let again = store
        .write(|tx| {
            tx.delete(&made, "a")?;
            tx.delete(&made, "b")?;
            tx.delete_bucket("new")?;
            tx.create_bucket_if_missing("new")
        })
        .unwrap();
    assert_eq!(again.list("").unwrap().count(), 0);
    assert_eq!(code(made.exists("a")), "NoSuchBucket");
    // What is never committed was never there.
    let refused = store.write(|tx| {
        let coming = tx.create_bucket_if_missing("coming")?;
        tx.put(&coming, "", b"no key")?;
        Ok(coming)
    });
    assert_eq!(code(refused), "InvalidObjectName");
    assert_eq!(code(store.bucket("coming")), "NoSuchBucket");
}
