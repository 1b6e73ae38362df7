//! Getting: the whole body, in pieces, and what was got staying as it was.

use std::io::{Read, Seek, SeekFrom};

use crate::{a_bucket, code};

#[test]
fn what_is_not_there_is_not_found() {
    let (_store, bucket) = a_bucket();
    for error in [bucket.get("a").map(|_| ()).unwrap_err(), bucket.head("a").map(|_| ()).unwrap_err()] {
        assert!(error.is_not_found() && !error.is_retryable() && !error.is_fatal());
        assert_eq!(error.code(), "NoSuchKey");
    }
    assert!(!bucket.exists("a").unwrap());
}

/// A key that is too long is answered before it is looked up, in debug builds too.
#[test]
fn a_key_that_is_too_long_is_refused_by_every_read() {
    let (_store, bucket) = a_bucket();
    for key in ["k".repeat(1024), "k".repeat(100_000), "/a".into(), "".into()] {
        assert_eq!(code(bucket.get(&key)), "InvalidObjectName");
        assert_eq!(code(bucket.head(&key)), "InvalidObjectName");
        assert_eq!(code(bucket.exists(&key)), "InvalidObjectName");
    }
}

#[test]
fn an_object_stays_as_it_was_got() {
    let (store, bucket) = a_bucket();
    for len in [10, 10_000, 1_000_000] {
        bucket.put("a", vec![1; len]).unwrap();
        let object = bucket.get("a").unwrap();
        bucket.put("a", b"other").unwrap();
        bucket.delete("a").unwrap();
        store.checkpoint().unwrap();
        store.compact(Default::default()).unwrap();
        assert_eq!(object.bytes().unwrap(), vec![1; len]);
    }
}

#[test]
fn an_object_can_be_read_after_its_store_was_closed() {
    let dir = tempfile::tempdir().unwrap();
    let store = ossicle::Store::open(dir.path()).unwrap();
    let bucket = store.create_bucket("cats").unwrap();
    bucket.put("a", vec![9; 1_000_000]).unwrap();
    let object = bucket.get("a").unwrap();
    store.close().unwrap();
    drop((store, bucket));
    assert_eq!(object.bytes().unwrap(), vec![9; 1_000_000]);
}

#[test]
fn an_object_reads_and_seeks_like_a_file() {
    let (_store, bucket) = a_bucket();
    let body: Vec<u8> = (0..3_000_000u32).map(|at| (at * 7 / 3) as u8).collect();
    bucket.put("a", &body).unwrap();
    let mut object = bucket.get("a").unwrap();
    assert_eq!((object.len(), object.is_empty()), (3_000_000, false));
    let mut ten = [0; 10];
    object.read_exact(&mut ten).unwrap();
    assert_eq!(ten, body[..10]);
    assert_eq!(object.seek(SeekFrom::Current(-5)).unwrap(), 5);
    object.read_exact(&mut ten).unwrap();
    assert_eq!(ten, body[5..15]);
    object.seek(SeekFrom::Start(1_048_570)).unwrap();
    object.read_exact(&mut ten).unwrap();
    assert_eq!(ten, body[1_048_570..1_048_580]);
    assert_eq!(object.seek(SeekFrom::End(-3)).unwrap(), 2_999_997);
    let mut rest = Vec::new();
    object.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, body[2_999_997..]);
    assert!(object.seek(SeekFrom::Current(-4_000_000)).is_err());
    assert_eq!(object.seek(SeekFrom::Start(u64::MAX)).unwrap(), u64::MAX);
    assert_eq!(object.read(&mut ten).unwrap(), 0);
    object.rewind().unwrap();
    let mut all = Vec::new();
    assert_eq!(object.copy_to(&mut all).unwrap(), 3_000_000);
    assert!(all == body);
}

#[test]
fn a_seek_inside_a_range_counts_from_its_start() {
    let (_store, bucket) = a_bucket();
    bucket.put("a", b"0123456789").unwrap();
    let mut object = bucket.get_with("a", ossicle::GetOptions::new().range(4..8)).unwrap();
    object.seek(SeekFrom::End(-1)).unwrap();
    let mut last = String::new();
    object.read_to_string(&mut last).unwrap();
    assert_eq!(last, "7");
    assert_eq!(object.meta().size, 10);
    assert_eq!(object.bytes().unwrap(), &b"4567"[..]);
}
