//! Whole prefixes brought back from under their delete markers.

use ossicle::{Bucket, CreateBucketOptions, Store, Versioning};

use crate::{code, read};

fn live(bucket: &Bucket) -> Vec<String> {
    bucket.list("").unwrap().map(|entry| entry.unwrap().name().to_string()).collect()
}

#[test]
fn a_prefix_that_was_deleted_comes_back_whole_in_one_commit() {
    let store = Store::in_memory().unwrap();
    store.set_history(Some(std::time::Duration::from_secs(3600))).unwrap();
    let bucket = store
        .create_bucket_with("notes", CreateBucketOptions::new().versioning(Versioning::Enabled))
        .unwrap();
    for key in ["a/1", "a/2", "a/3", "a/4", "b/1"] {
        bucket.put(key, key.as_bytes()).unwrap();
    }
    bucket.put("a/2", b"newer").unwrap();
    // Two markers on one key, and a key with nothing but one.
    bucket.delete("a/3").unwrap();
    bucket.delete("a/only").unwrap();
    bucket.delete("b/1").unwrap();
    let gone = bucket.delete_prefix("a/").unwrap();
    assert_eq!((gone.objects, live(&bucket)), (3, vec![]));
    bucket.delete("a/3").unwrap();
    bucket.put("a/4", b"again").unwrap();
    let (before, markers) = (store.stats().lsn, bucket.usage("").unwrap().markers);
    let back = bucket.undelete_prefix("a/").unwrap();
    assert_eq!((back.objects, back.lsn.0), (3, before.0 + 1), "one commit");
    assert_eq!(live(&bucket), ["a/1", "a/2", "a/3", "a/4"]);
    assert_eq!((read(&bucket, "a/2"), read(&bucket, "a/4")), (b"newer".to_vec(), b"again".to_vec()));
    assert_eq!(bucket.usage("").unwrap().markers, markers - 4, "all of a key go");
    // The past still shows what was deleted, and there is nothing more to do.
    assert_eq!(store.as_of(before).unwrap().bucket("notes").unwrap().list("").unwrap().count(), 1);
    assert_eq!(bucket.undelete_prefix("a/").unwrap().objects, 0);
    assert_eq!(bucket.undelete_prefix("a/").unwrap().lsn, back.lsn, "which is no commit");
    assert_eq!(bucket.undelete_prefix("").unwrap().objects, 1);
    assert_eq!(live(&bucket), ["a/1", "a/2", "a/3", "a/4", "b/1"]);
    assert_eq!(code(bucket.undelete_prefix("/a")), "InvalidArgument");
    assert!(store.verify().unwrap().is_clean());
    let plain = store.create_bucket("plain").unwrap();
    plain.put("a", b"1").unwrap();
    plain.delete("a").unwrap();
    assert_eq!(plain.undelete_prefix("").unwrap().objects, 0);
}

#[test]
fn undeleting_a_prefix_reaches_forks_and_null_versions() {
    let store = Store::in_memory().unwrap();
    let bucket = store.create_bucket("notes").unwrap();
    bucket.put("p/null", b"first").unwrap();
    bucket.set_config(&Versioning::Enabled).unwrap();
    bucket.put("p/new", b"second").unwrap();
    let fork = store.fork_bucket("notes", "fork").unwrap();
    fork.set_config(&Versioning::Suspended).unwrap();
    fork.delete("p/new").unwrap();
    fork.set_config(&Versioning::Enabled).unwrap();
    fork.delete_prefix("p/").unwrap();
    assert_eq!((live(&fork).len(), live(&bucket).len()), (0, 2));
    assert_eq!(fork.undelete_prefix("p/n").unwrap().objects, 2);
    assert_eq!((read(&fork, "p/null"), read(&fork, "p/new")), (b"first".to_vec(), b"second".to_vec()));
    store.maintain(std::time::Duration::from_secs(5)).unwrap();
    assert_eq!(live(&fork), live(&bucket));
    assert!(store.verify().unwrap().is_clean());
}

/// Fifty thousand markers go at once, and one more is refused before anything is changed.
#[test]
fn undeleting_a_prefix_is_bounded_by_its_markers() {
    let store = Store::in_memory().unwrap();
    let bucket = store
        .create_bucket_with("notes", CreateBucketOptions::new().versioning(Versioning::Enabled))
        .unwrap();
    for (key, markers) in [("p/1", 40_000), ("p/2", 10_000), ("q", 1)] {
        bucket.put(key, key.as_bytes()).unwrap();
        store.write(|tx| (0..markers).try_for_each(|_| tx.delete(&bucket, key))).unwrap();
    }
    assert_eq!(code(bucket.undelete_prefix("")), "TooManyObjects");
    assert_eq!((bucket.usage("").unwrap().objects, bucket.usage("").unwrap().markers), (0, 50_001));
    assert_eq!(bucket.undelete_prefix("p/").unwrap().objects, 2);
    assert_eq!((live(&bucket), bucket.usage("").unwrap().markers), (vec!["p/1".into(), "p/2".into()], 1));
}
