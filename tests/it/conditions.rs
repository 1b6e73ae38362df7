//! Conditions on reads and writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use ossicle::Clock as _;
use ossicle::{
    CopyOptions, DeleteOptions, ETag, ErrorKind, GetOptions, MemoryVfs, PutOptions, Result, Store,
    UploadOptions, Versioning, VirtualClock,
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

/// RFC 9110, 13.2.2, and S3: If-Unmodified-Since counts only without If-Match, If-Modified-Since only without
/// If-None-Match. Whatever reads: get and head, of a snapshot and in a transaction too, copies, copies of parts, links.
#[test]
fn of_a_pair_of_conditions_the_entity_tag_decides_alone() {
    let clock = VirtualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000));
    let store = Store::builder("/m").vfs(Arc::new(MemoryVfs::new())).clock(clock.clone()).open().unwrap();
    let bucket = store.create_bucket("cats").unwrap();
    let etag = bucket.put("a", b"1").unwrap().etag;
    clock.advance(Duration::from_secs(100));
    bucket.symlink("link", "a").unwrap();
    let upload = bucket.upload("parts", UploadOptions::new()).unwrap();
    let frozen = store.snapshot().unwrap().bucket("cats").unwrap();
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    let later = clock.now() + Duration::from_secs(1_000);
    // The tag that is asked for, the time that is, and the answer; without a tag, the time alone decides.
    let matching: [(Option<&str>, SystemTime, Option<&str>); 6] = [
        (Some(etag.as_str()), long_ago, None),
        (Some(etag.as_str()), later, None),
        (Some(WRONG), long_ago, Some("PreconditionFailed")),
        (Some(WRONG), later, Some("PreconditionFailed")),
        (None, long_ago, Some("PreconditionFailed")),
        (None, later, None),
    ];
    let changed: [(Option<&str>, SystemTime, Option<&str>); 6] = [
        (Some(etag.as_str()), long_ago, Some("NotModified")),
        (Some(etag.as_str()), later, Some("NotModified")),
        (Some(WRONG), long_ago, None),
        (Some(WRONG), later, None),
        (None, long_ago, None),
        (None, later, Some("NotModified")),
    ];
    for (at, (tag, time, wanted)) in matching.into_iter().chain(changed).enumerate() {
        let (mut read, mut copy) = (GetOptions::new(), CopyOptions::new());
        if at < matching.len() {
            (read, copy) = (read.if_unmodified_since(time), copy.source_if_unmodified_since(time));
            if let Some(tag) = tag {
                (read, copy) = (read.if_match(tag), copy.source_if_match(tag));
            }
        } else {
            (read, copy) = (read.if_modified_since(time), copy.source_if_modified_since(time));
            if let Some(tag) = tag {
                (read, copy) = (read.if_none_match(tag), copy.source_if_none_match(tag));
            }
        }
        let told = |answer: Result<()>| answer.err().map(|error| error.code());
        let mut answers = Vec::new();
        for key in ["a", "link"] {
            answers.push(told(bucket.get_with(key, read.clone()).map(drop)));
            answers.push(told(bucket.head_with(key, read.clone()).map(drop)));
            answers.push(told(frozen.get_with(key, read.clone()).map(drop)));
            answers.push(told(upload.put_part_copy(1, &bucket, key, read.clone()).map(drop)));
            answers.push(told(store.write(|tx| tx.get_with(&bucket, key, read.clone()).map(drop))));
            answers.push(told(store.write(|tx| tx.head_with(&bucket, key, read.clone()).map(drop))));
        }
        answers.push(told(bucket.copy_from(&bucket, "a", "b", copy.clone()).map(drop)));
        answers.push(told(store.write(|tx| tx.copy_with(&bucket, "a", &bucket, "b", copy.clone()))));
        assert_eq!(answers, vec![wanted; answers.len()], "{at}: {read:?}");
    }
}

#[test]
fn if_none_match_writes_unless_it_is_there_already() {
    let (_store, bucket) = a_bucket();
    let put = |body: &[u8], etag: &str| bucket.put_with("a", body, PutOptions::new().if_none_match(etag));
    let first = put(b"1", "*").unwrap().etag;
    assert_eq!(code(put(b"2", "*")), "PreconditionFailed");
    assert_eq!(code(put(b"1", first.as_str())), "PreconditionFailed");
    let second = bucket.put("a", b"2").unwrap().etag;
    let second_again = put(b"2", first.as_str()).unwrap().etag;
    assert_eq!(second, second_again);
    bucket.put("b", b"b").unwrap();
    let copy = |etag: &str| bucket.copy_from(&bucket, "b", "a", CopyOptions::new().if_none_match(etag));
    let rename = |etag: &str| bucket.rename_with("b", "a", CopyOptions::new().if_none_match(etag));
    for etag in ["*", second.as_str()] {
        assert_eq!((code(copy(etag)), code(rename(etag))), ("PreconditionFailed", "PreconditionFailed"));
    }
    assert_eq!(read(&bucket, "a"), b"2");
    copy(first.as_str()).unwrap();
    rename(first.as_str()).unwrap();
    // Both conditions count.
    let etag = bucket.head("a").unwrap().etag;
    let both = PutOptions::new().if_match(&etag).if_none_match(&etag);
    assert_eq!(code(bucket.put_with("a", b"", both)), "PreconditionFailed");
}

/// Conditions are those of the current version, whichever others there are; a delete marker is no object.
#[test]
fn conditions_of_writes_look_at_the_current_version() {
    for state in [Versioning::Enabled, Versioning::Suspended] {
        let (_store, bucket) = a_bucket();
        bucket.set_config(&state).unwrap();
        let first = bucket.put("a", b"1").unwrap().etag;
        let second = bucket.put("a", b"2").unwrap().etag;
        let put = |etag: &ETag| bucket.put_with("a", b"3", PutOptions::new().if_match(etag));
        assert_eq!(code(put(&first)), "PreconditionFailed");
        let delete = |etag: &ETag| bucket.delete_with("a", DeleteOptions::new().if_match(etag));
        assert_eq!(code(delete(&first)), "PreconditionFailed");
        delete(&second).unwrap();
        assert_eq!((code(put(&second)), code(delete(&second))), ("PreconditionFailed", "PreconditionFailed"));
        bucket.put_with("a", b"1", PutOptions::new().if_none_match("*")).unwrap();
        put(&first).unwrap();
        // Of a version that is read, its own tag counts.
        let versions: Vec<_> = bucket.versions("a").unwrap().map(Result::unwrap).collect();
        for entry in versions.iter().filter(|entry| !entry.marker) {
            let own = GetOptions::new().version(&entry.version).if_match(entry.etag.as_ref().unwrap());
            bucket.get_with("a", own).unwrap();
        }
    }
}

#[test]
fn copies_take_the_conditions_of_reads_on_their_source() {
    let clock = VirtualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000));
    let store = Store::builder("/m").vfs(Arc::new(MemoryVfs::new())).clock(clock.clone()).open().unwrap();
    let bucket = store.create_bucket("cats").unwrap();
    let etag = bucket.put("a", b"1").unwrap().etag;
    let written = bucket.head("a").unwrap().modified;
    let second = Duration::from_secs(1);
    let copy = |options: CopyOptions| bucket.copy_from(&bucket, "a", "b", options);
    let new = CopyOptions::new;
    assert_eq!(code(copy(new().source_if_none_match(&etag))), "NotModified");
    assert_eq!(code(copy(new().source_if_modified_since(written))), "NotModified");
    assert_eq!(code(copy(new().source_if_unmodified_since(written - second))), "PreconditionFailed");
    assert_eq!(code(copy(new().source_if_match(WRONG).source_if_none_match(&etag))), "PreconditionFailed");
    assert!(!bucket.exists("b").unwrap());
    copy(new().source_if_modified_since(written - second).source_if_none_match(WRONG)).unwrap();
    copy(new().source_if_unmodified_since(written).source_if_match(&etag)).unwrap();
    // Those of the source come before those of the target.
    assert_eq!(code(copy(new().source_if_none_match(&etag).if_absent())), "NotModified");
}

/// Of many who write over what they have seen, exactly one does: the decision is made inside the commit.
#[test]
fn of_racing_writers_exactly_one_wins_whatever_the_verb_and_the_versioning() {
    for state in [None, Some(Versioning::Enabled), Some(Versioning::Suspended)] {
        let (_store, bucket) = a_bucket();
        if let Some(state) = state {
            bucket.set_config(&state).unwrap();
        }
        for round in 0..40 {
            let seen = bucket.put("a", format!("round {round}")).unwrap().etag;
            for thread in 0..6 {
                bucket.put(&format!("source {thread}"), format!("{round} {thread}")).unwrap();
            }
            let won = AtomicUsize::new(0);
            thread::scope(|scope| {
                for thread in 0..6 {
                    let (bucket, seen, won) = (&bucket, &seen, &won);
                    scope.spawn(move || {
                        let source = format!("source {thread}");
                        let copy = CopyOptions::new().if_match(seen);
                        let answer = match thread % 4 {
                            0 => bucket.put_with("a", source, PutOptions::new().if_match(seen)).map(|_| ()),
                            1 => bucket.copy_from(bucket, &source, "a", copy).map(|_| ()),
                            2 => bucket.rename_with(&source, "a", copy).map(|_| ()),
                            _ => bucket.delete_with("a", DeleteOptions::new().if_match(seen)).map(|_| ()),
                        };
                        match answer {
                            Ok(()) => drop(won.fetch_add(1, Ordering::Relaxed)),
                            Err(error) => assert_eq!(error.code(), "PreconditionFailed"),
                        }
                    });
                }
            });
            assert_eq!(won.into_inner(), 1, "{state:?} {round}");
        }
        if state == Some(Versioning::Enabled) {
            // One version a round to begin with, and one by the winner.
            assert_eq!(bucket.versions("a").unwrap().count(), 80);
        }
    }
}
