//! Deleting one object, many, and what is not there.

use crate::{a_bucket, code};

#[test]
fn deleting_what_is_not_there_is_fine_and_commits_nothing() {
    let (store, bucket) = a_bucket();
    let before = store.stats().lsn;
    let outcome = bucket.delete("a").unwrap();
    assert_eq!((outcome.version, outcome.marker), (None, false));
    assert_eq!(store.stats().lsn, before);
    bucket.put("a", b"").unwrap();
    bucket.delete("a").unwrap();
    bucket.delete("a").unwrap();
    assert!(!bucket.exists("a").unwrap());
    assert_eq!(store.stats().lsn.0, before.0 + 2);
}

#[test]
fn many_are_answered_for_each_in_their_order() {
    let (_store, bucket) = a_bucket();
    for key in ["a", "b", "c"] {
        bucket.put(key, b"").unwrap();
    }
    let too_long = "k".repeat(1024);
    let keys = ["b", "gone", "", "a", "b", "/x", too_long.as_str()];
    let answers = bucket.delete_many(keys).unwrap();
    let told: Vec<_> = answers.iter().map(|(key, answer)| (key.as_str(), answer.is_ok())).collect();
    let expected = [("b", true), ("gone", true), ("", false), ("a", true), ("b", true), ("/x", false)];
    assert_eq!(told[..6], expected);
    assert_eq!((told[6].0, told[6].1), (too_long.as_str(), false));
    for (_, answer) in answers.into_iter().filter(|(_, answer)| answer.is_err()) {
        assert_eq!(code(answer), "InvalidObjectName");
    }
    assert_eq!(bucket.list("").unwrap().count(), 1);
    assert!(bucket.delete_many(Vec::<String>::new()).unwrap().is_empty());
}

#[test]
fn more_than_a_thousand_are_deleted_at_once() {
    let (store, bucket) = a_bucket();
    let keys: Vec<String> = (0..2500).map(|number| format!("k{number}")).collect();
    store.write(|tx| keys.iter().try_for_each(|key| tx.put(&bucket, key, b"x"))).unwrap();
    assert_eq!(bucket.usage("").unwrap().objects, 2500);
    let answers = bucket.delete_many(&keys).unwrap();
    assert_eq!(answers.len(), 2500);
    assert_eq!(bucket.usage("").unwrap().objects, 0);
    store.delete_bucket("cats").unwrap();
}
