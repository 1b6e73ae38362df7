//! Requests that can never work are refused before a byte is written, with a sentence that says why.

use std::time::Duration;

use ossicle::{ErrorKind, PutOptions, Settings, Store};

use crate::{a_bucket, assert_reads_well, code};

#[test]
fn names_of_buckets_follow_the_rules() {
    let store = Store::in_memory().unwrap();
    let long = "a".repeat(64);
    for name in [
        "",
        "a",
        "ab",
        "Cats",
        "cats_1",
        "cats.1",
        "-cats",
        "cats-",
        "c/ts",
        "c\0ts",
        "k\u{e4}se",
        long.as_str(),
    ] {
        assert_eq!(code(store.create_bucket(name)), "InvalidBucketName", "{name:?}");
        assert_eq!(code(store.bucket(name)), "InvalidBucketName", "{name:?}");
        assert_eq!(code(store.delete_bucket(name)), "InvalidBucketName", "{name:?}");
        assert_eq!(store.create_bucket(name).unwrap_err().kind(), ErrorKind::Invalid);
    }
    for name in ["abc", "0-9", &"a".repeat(63), "a--b"] {
        store.create_bucket(name).unwrap();
    }
    assert_eq!(store.stats().lsn.0, 4);
}

#[test]
fn keys_follow_the_rules() {
    let (store, bucket) = a_bucket();
    let lsn = store.stats().lsn;
    let bytes = store.stats().log_bytes_written;
    for key in ["", "/", "/a", "\\", "\\a", &"k".repeat(1024), &"\u{1F408}".repeat(256)] {
        assert_eq!(code(bucket.put(key, b"")), "InvalidObjectName");
        assert_eq!(code(bucket.put(key, vec![0; 1_000_000])), "InvalidObjectName");
        assert_eq!(code(bucket.writer(key, PutOptions::new())), "InvalidObjectName");
        assert_eq!(code(bucket.delete(key)), "InvalidObjectName");
        assert_eq!(code(bucket.get(key)), "InvalidObjectName");
        assert_eq!(code(bucket.copy("a", key)), "InvalidObjectName");
        assert_eq!(code(bucket.copy(key, "a")), "InvalidObjectName");
        assert_eq!(code(bucket.rename("a", key)), "InvalidObjectName");
        assert_eq!(code(store.write(|tx| tx.put(&bucket, key, b""))), "InvalidObjectName");
    }
    assert_eq!((store.stats().lsn, store.stats().log_bytes_written), (lsn, bytes));
    for key in ["a/", "..", "../../etc/passwd", "?", "a//b", "\0", "con", "\u{10FFFF}", " ", "a\nb"] {
        bucket.put(key, key).unwrap();
    }
    assert_eq!(bucket.list("").unwrap().count(), 10);
}

/// An error is one line, whatever the key has in it.
#[test]
fn a_key_with_line_breaks_does_not_break_the_line() {
    let (_store, bucket) = a_bucket();
    let key = "a\r\nb\u{1b}[31m";
    for error in [
        bucket.get(key).map(|_| ()).unwrap_err(),
        bucket.put_with(key, b"", PutOptions::new().if_match("x")).map(|_| ()).unwrap_err(),
        bucket.put("/\n", b"").map(|_| ()).unwrap_err(),
    ] {
        assert_reads_well(&error);
        assert!(!error.to_string().contains('\u{1b}'), "{error}");
    }
}

#[test]
fn metadata_and_content_types_have_limits() {
    let (_store, bucket) = a_bucket();
    let put = |options: PutOptions| bucket.put_with("a", b"", options);
    let long = "v".repeat(8192);
    for (name, value) in [
        ("a_b", ""),
        ("", "x"),
        ("a b", ""),
        ("\u{e4}", ""),
        ("a", "x\ny"),
        ("a", "\0"),
        ("a", long.as_str()),
    ] {
        let error = put(PutOptions::new().metadata(name, value)).unwrap_err();
        assert_eq!(
            (error.kind(), error.code()),
            (ErrorKind::Invalid, "InvalidArgument"),
            "{name:?} {value:.9?}"
        );
        assert_reads_well(&error);
    }
    assert_eq!(code(put(PutOptions::new().metadata("A", "1").metadata("a", "2"))), "InvalidArgument");
    assert_eq!(code(put(PutOptions::new().content_type("t".repeat(1025)))), "InvalidArgument");
    assert_eq!(code(put(PutOptions::new().content_type("a\r\nb"))), "InvalidArgument");
    assert!(!bucket.exists("a").unwrap());
    put(PutOptions::new().metadata("a", &long[..8191]).content_type("t".repeat(1024))).unwrap();
}

#[test]
fn settings_have_limits_and_say_which() {
    let dir = tempfile::tempdir().unwrap();
    let good = Settings::default;
    let bad = [
        ("chunk_size", Settings { chunk_size: 0, ..good() }),
        ("chunk_size", Settings { chunk_size: 2048, ..good() }),
        ("chunk_size", Settings { chunk_size: 5000, ..good() }),
        ("chunk_size", Settings { chunk_size: 32 << 20, ..good() }),
        ("inline_max", Settings { inline_max: 701, ..good() }),
        ("packed_max", Settings { packed_max: (4 << 20) + 1, ..good() }),
        ("segment_size", Settings { segment_size: (1 << 20) - 1, ..good() }),
        ("segment_size", Settings { segment_size: (1 << 30) + 1, ..good() }),
        ("delta_bytes", Settings { delta_bytes: 1000, ..good() }),
        ("delta_bytes", Settings { delta_bytes: usize::MAX, ..good() }),
        ("checkpoint_log_bytes", Settings { checkpoint_log_bytes: 0, ..good() }),
        ("checkpoint_log_bytes", Settings { checkpoint_log_bytes: u64::MAX, ..good() }),
        ("page_cache_bytes", Settings { page_cache_bytes: 0, ..good() }),
        ("reserve_bytes", Settings { reserve_bytes: u64::MAX, ..good() }),
        ("garbage_percent", Settings { garbage_percent: 4, ..good() }),
        ("garbage_percent", Settings { garbage_percent: 91, ..good() }),
    ];
    for (name, settings) in bad {
        let error = Store::builder(dir.path().join("s")).settings(settings).open().unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, "InvalidArgument"));
        assert!(error.to_string().contains(name), "{error}");
        assert_reads_well(&error);
    }
    assert!(!dir.path().join("s").exists(), "nothing is made for settings that cannot be");
    let extreme = [
        Settings {
            chunk_size: 4096,
            inline_max: 0,
            packed_max: 0,
            segment_size: 1 << 20,
            reserve_bytes: 0,
            ..good()
        },
        Settings {
            chunk_size: 16 << 20,
            inline_max: 700,
            packed_max: 4 << 20,
            segment_size: 1 << 30,
            delta_bytes: 64 << 10,
            checkpoint_log_bytes: 1 << 20,
            garbage_percent: 90,
            sync_interval: Some(Duration::ZERO),
            ..good()
        },
    ];
    for (number, settings) in extreme.into_iter().enumerate() {
        let path = dir.path().join(format!("{number}"));
        let store = Store::builder(path).settings(settings).open().unwrap();
        let bucket = store.create_bucket("cats").unwrap();
        for len in [0, 1, 700, 701, 5000, 5_000_000] {
            bucket.put("a", vec![1; len]).unwrap();
            assert_eq!(crate::read(&bucket, "a"), vec![1; len]);
        }
        store.close().unwrap();
    }
}

#[test]
fn a_closed_store_says_so() {
    let (store, bucket) = a_bucket();
    bucket.put("a", b"x").unwrap();
    let writer = bucket.writer("b", PutOptions::new()).unwrap();
    store.close().unwrap();
    store.close().unwrap();
    let closed = |error: ossicle::Error| {
        assert_eq!((error.kind(), error.code()), (ErrorKind::Closed, "StoreClosed"));
        assert!(error.is_fatal() && !error.is_retryable());
        assert_reads_well(&error);
    };
    closed(bucket.put("a", b"").unwrap_err());
    closed(bucket.put("a", vec![0; 1_000_000]).unwrap_err());
    closed(bucket.get("a").unwrap_err());
    closed(bucket.delete("a").unwrap_err());
    closed(bucket.delete_many(["a"]).unwrap_err());
    closed(bucket.copy("a", "b").unwrap_err());
    closed(bucket.rename("a", "b").unwrap_err());
    closed(bucket.exists("a").unwrap_err());
    closed(bucket.writer("a", PutOptions::new()).unwrap_err());
    closed(writer.finish().unwrap_err());
    closed(store.usage().unwrap_err());
    closed(store.buckets().unwrap_err());
    closed(store.snapshot().unwrap_err());
    closed(store.row("t", b"").unwrap_err());
    closed(store.write(|_| Ok(())).unwrap_err());
    closed(store.flush().unwrap_err());
    closed(store.checkpoint().unwrap_err());
    closed(store.maintain(Duration::ZERO).unwrap_err());
    closed(store.compact(Default::default()).unwrap_err());
    closed(store.verify().unwrap_err());
}
