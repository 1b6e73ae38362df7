//! Conditions on reads and writes.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ossicle::{
    CopyOptions, DeleteOptions, ErrorKind, GetOptions, MemoryVfs, PutOptions, Store, VirtualClock,
};

use crate::{a_bucket, code, read};

const WRONG: &str = "0123456789ABCDEF0123456789ABCDEF";

#[test]
fn if_absent_writes_once() {
    let (_store, bucket) = a_bucket();
    bucket.put_with("a", b"1", PutOptions::new().if_absent()).unwrap();
    let error = bucket.put_with("a", b"2", PutOptions::new().if_absent()).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Precondition, "FileAlreadyExists"));
    assert_eq!(read(&bucket, "a"), b"1");
    bucket.delete("a").unwrap();
    bucket.put_with("a", b"3", PutOptions::new().if_absent()).unwrap();
}

#[test]
fn if_match_writes_over_what_was_seen() {
    let (_store, bucket) = a_bucket();
    assert_eq!(code(bucket.put_with("a", b"", PutOptions::new().if_match("*"))), "PreconditionFailed");
    let first = bucket.put("a", b"1").unwrap().etag;
    assert_eq!(code(bucket.put_with("a", b"2", PutOptions::new().if_match(WRONG))), "PreconditionFailed");
    let second = bucket.put_with("a", b"2", PutOptions::new().if_match(first.clone())).unwrap().etag;
    assert_eq!(code(bucket.put_with("a", b"3", PutOptions::new().if_match(&first))), "PreconditionFailed");
    // As text, as HTTP quotes it, in either case.
    bucket.put_with("a", b"2", PutOptions::new().if_match(second.as_str())).unwrap();
    bucket.put_with("a", b"2", PutOptions::new().if_match(format!("\"{second}\""))).unwrap();
    bucket.put_with("a", b"2", PutOptions::new().if_match(second.to_string().to_lowercase())).unwrap();
    bucket.put_with("a", b"4", PutOptions::new().if_match("*")).unwrap();
    assert_eq!(read(&bucket, "a"), b"4");
}

#[test]
fn deletes_copies_and_renames_take_conditions() {
    let (_store, bucket) = a_bucket();
    let etag = bucket.put("a", b"1").unwrap().etag;
    bucket.put("b", b"2").unwrap();
    assert_eq!(code(bucket.delete_with("a", DeleteOptions::new().if_match(WRONG))), "PreconditionFailed");
    assert_eq!(code(bucket.delete_with("gone", DeleteOptions::new().if_match(WRONG))), "PreconditionFailed");
    let from = |options| bucket.copy_from(&bucket, "a", "b", options);
    assert_eq!(code(from(CopyOptions::new().source_if_match(WRONG))), "PreconditionFailed");
    assert_eq!(code(from(CopyOptions::new().if_match(WRONG))), "PreconditionFailed");
    assert_eq!(code(from(CopyOptions::new().if_absent())), "FileAlreadyExists");
    assert_eq!(code(bucket.rename_with("a", "b", CopyOptions::new().if_absent())), "FileAlreadyExists");
    assert_eq!(code(bucket.rename_with("a", "b", CopyOptions::new().if_match(WRONG))), "PreconditionFailed");
    assert_eq!((read(&bucket, "a"), read(&bucket, "b")), (b"1".to_vec(), b"2".to_vec()));
    from(CopyOptions::new().source_if_match(etag.clone())).unwrap();
    bucket.delete_with("a", DeleteOptions::new().if_match(etag)).unwrap();
    assert!(!bucket.exists("a").unwrap());
}

#[test]
fn reads_take_conditions_in_the_order_of_http() {
    let clock = VirtualClock::at(SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_000_999));
    let store = Store::builder("/m").vfs(Arc::new(MemoryVfs::new())).clock(clock.clone()).open().unwrap();
    let bucket = store.create_bucket("cats").unwrap();
    let etag = bucket.put("a", b"1").unwrap().etag;
    let written = bucket.head("a").unwrap().modified;
    assert_eq!(written, SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_000_999));
    let second = Duration::from_secs(1);
    let get = |options: GetOptions| {
        let (got, head) =
            (bucket.get_with("a", options.clone()).map(|_| ()), bucket.head_with("a", options).map(|_| ()));
        assert_eq!(got.as_ref().err().map(|error| error.code()), head.err().map(|error| error.code()));
        got
    };
    get(GetOptions::new().if_match(&etag)).unwrap();
    get(GetOptions::new().if_none_match(WRONG)).unwrap();
    assert_eq!(code(get(GetOptions::new().if_match(WRONG))), "PreconditionFailed");
    let error = get(GetOptions::new().if_none_match(&etag)).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::NotModified, "NotModified"));
    assert_eq!(code(get(GetOptions::new().if_match(WRONG).if_none_match(&etag))), "PreconditionFailed");
    // Whole seconds, as a header can say them: the same second is not later.
    get(GetOptions::new().if_modified_since(written - second)).unwrap();
    assert_eq!(code(get(GetOptions::new().if_modified_since(written - second / 2))), "NotModified");
    assert_eq!(code(get(GetOptions::new().if_modified_since(written + second))), "NotModified");
    get(GetOptions::new().if_unmodified_since(written - second / 2)).unwrap();
    assert_eq!(code(get(GetOptions::new().if_unmodified_since(written - second))), "PreconditionFailed");
    // A condition comes before a range that cannot be had.
    assert_eq!(code(get(GetOptions::new().if_none_match(&etag))), "NotModified");
    let both = GetOptions::new().if_none_match(&etag).range(100..);
    assert_eq!(code(bucket.get_with("a", both)), "NotModified");
}
