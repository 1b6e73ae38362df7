//! Many changes in one commit, or none of them.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ossicle::{
    Bucket, CompactOptions, CopyOptions, CreateBucketOptions, DeleteOptions, Durability, ErrorKind,
    GetOptions, Maintenance, PutOptions, Quota, Result, Store, Transaction, VersionId, Versioning, Worm,
    WormState, WriteOptions,
};

use crate::{a_bucket, code, read};

#[test]
fn all_steps_happen_in_one_commit() {
    let (store, cats) = a_bucket();
    let dogs = store.create_bucket("dogs").unwrap();
    cats.put("old", vec![1; 500_000]).unwrap();
    cats.put("gone", b"").unwrap();
    let before = store.stats().lsn;
    let answer = store.write(|tx| {
        tx.put(&cats, "a", b"1")?;
        tx.put_with(&cats, "b", vec![2; 500_000], PutOptions::new().content_type("x/y").if_absent())?;
        tx.delete(&cats, "gone")?;
        tx.copy(&cats, "b", &dogs, "c")?;
        tx.rename(&cats, "old", &dogs, "new")?;
        tx.put_row("app/table", b"key", b"value")?;
        Ok(42)
    });
    assert_eq!(answer.unwrap(), 42);
    assert_eq!(store.stats().lsn.0, before.0 + 1);
    assert_eq!(
        (read(&cats, "a"), read(&dogs, "c"), read(&dogs, "new")),
        (b"1".to_vec(), vec![2; 500_000], vec![1; 500_000])
    );
    assert!(!cats.exists("gone").unwrap() && !cats.exists("old").unwrap());
    let lsns = [cats.head("a").unwrap().lsn, cats.head("b").unwrap().lsn, dogs.head("new").unwrap().lsn];
    assert!(lsns.iter().all(|lsn| lsn.0 == before.0 + 1));
    assert_eq!(dogs.head("c").unwrap().content_type.as_deref(), Some("x/y"));
}

#[test]
fn an_error_takes_everything_back_and_is_handed_on() {
    let (store, bucket) = a_bucket();
    bucket.put("a", b"before").unwrap();
    let lsn = store.stats().lsn;
    let given_up: ossicle::Result<()> = store.write(|tx| {
        tx.put(&bucket, "a", vec![1; 500_000])?;
        tx.delete(&bucket, "a")?;
        tx.put_row("t", b"k", b"v")?;
        tx.get(&bucket, "missing").map(|_| ())
    });
    assert_eq!(code(given_up), "NoSuchKey");
    let refused = store.write(|tx| {
        tx.put(&bucket, "b", b"")?;
        tx.put_with(&bucket, "a", b"", PutOptions::new().if_absent())
    });
    assert_eq!(code(refused), "FileAlreadyExists");
    assert_eq!(read(&bucket, "a"), b"before");
    assert_eq!(bucket.usage("").unwrap().objects, 1);
    assert_eq!(store.row("t", b"k").unwrap(), None);
    assert_eq!(store.stats().lsn, lsn);
    store.compact(Default::default()).unwrap();
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn a_transaction_reads_its_own_writes() {
    let (store, bucket) = a_bucket();
    bucket.put("a", b"old").unwrap();
    store
        .write(|tx| {
            for len in [0, 10, 10_000, 1_000_000] {
                tx.put(&bucket, "b", vec![len as u8; len])?;
                assert_eq!(tx.get(&bucket, "b")?.bytes()?, vec![len as u8; len]);
                assert_eq!(tx.head(&bucket, "b")?.size, len as u64);
            }
            tx.rename(&bucket, "b", &bucket, "a")?;
            assert_eq!(code(tx.get(&bucket, "b")), "NoSuchKey");
            assert_eq!(tx.get(&bucket, "a")?.len(), 1_000_000);
            tx.put_row("t", b"k", b"v")?;
            assert_eq!(tx.row("t", b"k")?.unwrap(), &b"v"[..]);
            tx.delete_row("t", b"k")?;
            assert_eq!(tx.row("t", b"k")?, None);
            // Outside, nothing of it is to be seen yet.
            assert_eq!(read(&bucket, "a"), b"old");
            Ok(())
        })
        .unwrap();
    assert_eq!(bucket.head("a").unwrap().size, 1_000_000);
}

/// A rename is no writing: the time of the object stays, and a transaction must tell it as it will be.
#[test]
fn a_transaction_shows_the_time_of_what_it_renamed() {
    let start = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
    let clock = ossicle::VirtualClock::at(start);
    let vfs = std::sync::Arc::new(ossicle::MemoryVfs::new());
    let store = Store::builder("/m").vfs(vfs).clock(clock.clone()).open().unwrap();
    let bucket = store.create_bucket("cats").unwrap();
    bucket.put("a", b"x").unwrap();
    clock.advance(std::time::Duration::from_secs(60));
    let shown = store.write(|tx| {
        tx.rename(&bucket, "a", &bucket, "b")?;
        tx.head(&bucket, "b")
    });
    assert_eq!(shown.unwrap().modified, start);
    assert_eq!(bucket.head("b").unwrap().modified, start);
}

#[test]
fn the_names_in_a_transaction_are_checked_first() {
    let (store, bucket) = a_bucket();
    let step = |work: &dyn Fn(&mut ossicle::Transaction<'_>) -> ossicle::Result<()>| {
        code(store.write(|tx| work(tx)))
    };
    assert_eq!(step(&|tx| tx.put(&bucket, "", b"")), "InvalidObjectName");
    assert_eq!(step(&|tx| tx.delete(&bucket, "/a")), "InvalidObjectName");
    assert_eq!(step(&|tx| tx.copy(&bucket, "missing", &bucket, "")), "InvalidObjectName");
    assert_eq!(step(&|tx| tx.rename(&bucket, "missing", &bucket, "")), "InvalidObjectName");
    assert_eq!(step(&|tx| tx.get(&bucket, &"k".repeat(1024)).map(|_| ())), "InvalidObjectName");
    assert_eq!(step(&|tx| tx.rename(&bucket, "missing", &bucket, "a")), "NoSuchKey");
}

#[test]
fn writing_around_a_transaction_that_reads_is_refused_and_not_a_deadlock() {
    let (store, bucket) = a_bucket();
    store
        .write(|tx| {
            tx.row("t", b"k")?;
            let error = bucket.put("a", b"").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Busy);
            assert!(error.is_retryable());
            assert_eq!(store.write(|tx| tx.row("t", b"k").map(|_| ())).unwrap_err().kind(), ErrorKind::Busy);
            // Reading around it is fine.
            assert!(!bucket.exists("a")?);
            tx.put(&bucket, "b", b"")
        })
        .unwrap();
    bucket.put("a", b"").unwrap();
    assert!(bucket.exists("b").unwrap());
}

#[test]
fn a_panic_in_a_transaction_leaves_the_store_usable() {
    let (store, bucket) = a_bucket();
    for reads in [false, true] {
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _ = store.write(|tx| {
                tx.put(&bucket, "a", b"")?;
                if reads {
                    tx.get(&bucket, "a")?;
                }
                if *bucket.name() == "cats" {
                    panic!("on purpose");
                }
                Ok(())
            });
        }));
        assert!(panicked.is_err());
        assert!(!bucket.exists("a").unwrap());
        bucket.put("b", b"").unwrap();
    }
    store.write(|tx| tx.get(&bucket, "b").map(|_| ())).unwrap();
}

/// Bodies that wait for the commit are bounded, copied ones too.
#[test]
fn a_transaction_may_copy_more_than_it_keeps_in_memory() {
    let (store, bucket) = a_bucket();
    bucket.put("source", vec![7; 200_000]).unwrap();
    store
        .write(|tx| {
            for number in 0..60 {
                tx.copy(&bucket, "source", &bucket, &format!("copy-{number}"))?;
            }
            tx.put(&bucket, "last", b"put behind the copies")
        })
        .unwrap();
    assert_eq!(bucket.usage("copy-").unwrap().bytes, 60 * 200_000);
    assert_eq!(read(&bucket, "last"), b"put behind the copies");
    assert_eq!(read(&bucket, "copy-59"), vec![7; 200_000]);
}

#[test]
fn a_large_transaction_is_one_commit() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let bucket = store.create_bucket("many").unwrap();
    let options = WriteOptions::new().durability(Durability::Buffered);
    store
        .write_with(options, |tx| {
            (0..5_000).try_for_each(|number| tx.put(&bucket, &format!("{number:05}"), vec![1; number % 3000]))
        })
        .unwrap();
    drop((bucket, store));
    let bucket = Store::open(dir.path()).unwrap().bucket("many").unwrap();
    assert_eq!(bucket.usage("").unwrap().objects, 5_000);
    assert_eq!(read(&bucket, "02999"), vec![1; 2999]);
}

#[test]
fn a_transaction_without_steps_commits_nothing() {
    let (store, bucket) = a_bucket();
    let lsn = store.stats().lsn;
    store.write(|_| Ok(())).unwrap();
    store.write(|tx| tx.delete(&bucket, "missing")).unwrap();
    store
        .write(|tx| {
            tx.put(&bucket, "a", b"")?;
            tx.delete(&bucket, "a")
        })
        .unwrap();
    assert_eq!(store.stats().lsn, lsn);
}

#[test]
fn what_would_wait_for_the_turn_is_refused_inside_a_transaction_that_reads() {
    let (store, bucket) = a_bucket();
    bucket.put("k", b"body").unwrap();
    store
        .write(|tx| {
            tx.head(&bucket, "k")?;
            let refused = [
                store.flush().unwrap_err(),
                store.checkpoint().unwrap_err(),
                store.compact(CompactOptions::new()).unwrap_err(),
                store.verify().map(|_| ()).unwrap_err(),
                store.close().unwrap_err(),
            ];
            assert!(refused.iter().all(|error| error.kind() == ErrorKind::Busy), "{refused:?}");
            let _ = store.stats();
            tx.put(&bucket, "long", vec![1; 1 << 20])
        })
        .unwrap();
    assert_eq!(bucket.head("long").unwrap().size, 1 << 20);
}

#[test]
fn a_transaction_sees_its_own_versions_copies_and_deletes() {
    let (store, bucket) = a_bucket();
    bucket.set_config(&Versioning::Enabled).unwrap();
    let before = bucket.put("a", b"before").unwrap().version.unwrap();
    let of = |version: &VersionId| GetOptions::new().version(version);
    let (one, two) = store
        .write(|tx| {
            tx.put(&bucket, "a", b"one")?;
            let one = tx.head(&bucket, "a")?.version.unwrap();
            tx.put(&bucket, "a", vec![2; 400_000])?;
            let two = tx.head(&bucket, "a")?.version.unwrap();
            assert!(before < one && one < two);
            assert_eq!(tx.get_with(&bucket, "a", of(&one))?.bytes()?, &b"one"[..]);
            assert_eq!(tx.get_with(&bucket, "a", of(&before))?.bytes()?, &b"before"[..]);
            assert_eq!(tx.get_with(&bucket, "a", of(&two).range(1..3))?.bytes()?, &[2, 2][..]);
            // What was just written is copied, renamed on, deleted, brought back.
            tx.copy_with(&bucket, "a", &bucket, "b", CopyOptions::new().source_version(&one))?;
            tx.copy(&bucket, "a", &bucket, "c")?;
            tx.rename(&bucket, "c", &bucket, "d")?;
            tx.rename(&bucket, "d", &bucket, "e")?;
            assert_eq!(tx.get(&bucket, "b")?.bytes()?, &b"one"[..]);
            assert_eq!(tx.get(&bucket, "e")?.bytes()?, vec![2; 400_000]);
            assert_eq!((tx.exists(&bucket, "c")?, tx.exists(&bucket, "e")?), (false, true));
            tx.delete(&bucket, "a")?;
            assert!(!tx.exists(&bucket, "a")?);
            assert_eq!(tx.head_with(&bucket, "a", of(&two))?.size, 400_000);
            tx.undelete(&bucket, "a")?;
            assert_eq!(tx.head(&bucket, "a")?.version.as_ref(), Some(&two));
            tx.delete_with(&bucket, "a", DeleteOptions::new().version(&two))?;
            assert_eq!(tx.head(&bucket, "a")?.version.as_ref(), Some(&one));
            assert_eq!(code(tx.get_with(&bucket, "a", of(&two))), "NoSuchVersion");
            tx.restore_version(&bucket, "a", &before)?;
            assert_eq!(tx.get(&bucket, "a")?.bytes()?, &b"before"[..]);
            let etag = tx.head(&bucket, "a")?.etag;
            assert_eq!(
                code(tx.get_with(&bucket, "a", GetOptions::new().if_none_match(&etag))),
                "NotModified"
            );
            Ok((one, two))
        })
        .unwrap();
    assert_eq!(read(&bucket, "a"), b"before");
    assert_eq!(bucket.get_with("a", of(&one)).unwrap().bytes().unwrap(), &b"one"[..]);
    assert_eq!(code(bucket.get_with("a", of(&two))), "NoSuchVersion");
    assert_eq!(read(&bucket, "e"), vec![2; 400_000]);
    assert_eq!(bucket.versions("a").unwrap().count(), 3);
    assert!(store.verify().unwrap().is_clean());
}

/// Every kind of step that can fail when it has changed something already.
fn fail_late(tx: &mut Transaction<'_>, [full, held, versioned]: [&Bucket; 3]) {
    let old = versioned.versions("a").unwrap().last().unwrap().unwrap().version;
    assert_eq!(code(tx.put(full, "more", b"12345")), "QuotaExceeded");
    assert_eq!(code(tx.copy(full, "a", full, "more")), "QuotaExceeded");
    assert_eq!(code(tx.rename(versioned, "a", full, "more")), "QuotaExceeded");
    // The new key is written before the old one turns out to be protected.
    assert_eq!(code(tx.rename(held, "a", versioned, "x")), "FileImmutable");
    assert_eq!(code(tx.rename(held, "a", held, "x")), "FileImmutable");
    assert_eq!(code(tx.put(held, "a", b"")), "FileImmutable");
    assert_eq!(code(tx.copy(versioned, "a", held, "a")), "FileImmutable");
    assert_eq!(code(tx.delete(held, "a")), "FileImmutable");
    assert_eq!(
        code(tx.delete_with(held, "a", DeleteOptions::new().version(VersionId::null()))),
        "FileImmutable"
    );
    assert_eq!(code(tx.undelete(versioned, "missing")), "NoSuchKey");
    tx.head(versioned, "a").unwrap();
    assert_eq!(code(tx.put_with(versioned, "a", b"", PutOptions::new().if_absent())), "FileAlreadyExists");
    assert_eq!(code(tx.create_bucket("full")), "BucketAlreadyExists");
    assert_eq!(code(tx.delete_bucket("versioned")), "BucketNotEmpty");
    let limit = versioned.config::<Quota>().unwrap().unwrap().objects.unwrap();
    if versioned.versions("").unwrap().count() as u64 == limit {
        assert_eq!(code(tx.restore_version(versioned, "a", &old)), "QuotaExceeded");
    }
}

#[test]
fn a_step_that_fails_late_leaves_the_transaction_as_it_was() {
    let play = |failing: bool| {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let vfs = Arc::new(ossicle::MemoryVfs::new());
        let clock = ossicle::VirtualClock::at(start);
        let store =
            Store::builder("/m").vfs(vfs).clock(clock).maintenance(Maintenance::Manual).open().unwrap();
        let quota = Quota { bytes: Some(4), objects: None };
        let full = store.create_bucket_with("full", CreateBucketOptions::new().quota(quota)).unwrap();
        full.put("a", b"1234").unwrap();
        let held = store.create_bucket("held").unwrap();
        held.put("a", b"held").unwrap();
        held.set_config(&Worm { days: 1, state: WormState::InProgress, created: start }).unwrap();
        let versioned = store.create_bucket("versioned").unwrap();
        versioned.set_config(&Versioning::Enabled).unwrap();
        versioned.set_config(&Quota { bytes: None, objects: Some(9) }).unwrap();
        versioned.put("a", b"12345").unwrap();
        versioned.put("a", b"123456").unwrap();
        let buckets = [&full, &held, &versioned];
        let names = store
            .write(|tx| {
                tx.exists(&full, "a")?;
                let mut names = Vec::new();
                for round in 0..3 {
                    if failing {
                        fail_late(tx, buckets);
                    }
                    tx.put(&versioned, &format!("k{round}"), b"new")?;
                    names.push(tx.head(&versioned, &format!("k{round}"))?.version);
                    let made = tx.create_bucket(&format!("made-{round}"))?;
                    tx.rename(&versioned, &format!("k{round}"), &made, "k")?;
                }
                Ok(names)
            })
            .unwrap();
        let listed: Vec<_> = buckets
            .into_iter()
            .cloned()
            .chain((0..3).map(|round| store.bucket(&format!("made-{round}")).unwrap()))
            .flat_map(|bucket| bucket.versions("").unwrap().map(Result::unwrap).collect::<Vec<_>>())
            .collect();
        for (round, name) in names.iter().enumerate() {
            let named = GetOptions::new().version(name.as_ref().unwrap());
            assert_eq!(versioned.head_with(&format!("k{round}"), named).unwrap().size, 3);
        }
        assert!(store.verify().unwrap().is_clean());
        (names, listed, store.usage().unwrap().objects)
    };
    assert_eq!(play(true), play(false));
}

#[test]
fn buckets_are_made_and_removed_in_a_transaction() {
    let (store, cats) = a_bucket();
    cats.put("a", b"cat").unwrap();
    let made = store
        .write(|tx| {
            let made =
                tx.create_bucket_with("made", CreateBucketOptions::new().versioning(Versioning::Enabled))?;
            for len in [10, 10_000, 1_000_000] {
                tx.put(&made, "long", vec![1; len])?;
            }
            tx.rename(&cats, "a", &made, "a")?;
            assert_eq!(tx.get(&made, "a")?.bytes()?, &b"cat"[..]);
            assert_eq!(tx.head(&made, "long")?.size, 1_000_000);
            // Nobody else knows of it yet.
            assert_eq!(code(made.get("a")), "NoSuchBucket");
            assert_eq!(code(store.bucket("made")), "NoSuchBucket");
            assert_eq!(code(tx.delete_bucket("made")), "BucketNotEmpty");
            tx.delete_bucket("cats")?;
            assert_eq!(code(tx.put(&cats, "b", b"")), "NoSuchBucket");
            assert_eq!(code(tx.get(&cats, "b")), "NoSuchBucket");
            // Another one of the same name is another bucket.
            let again = tx.create_bucket("cats")?;
            tx.put(&again, "b", b"again")?;
            Ok(made)
        })
        .unwrap();
    assert_eq!((made.versions("").unwrap().count(), read(&made, "long").len()), (4, 1_000_000));
    assert_eq!(code(cats.put("c", b"")), "NoSuchBucket");
    assert_eq!(read(&store.bucket("cats").unwrap(), "b"), b"again");
    let names: Vec<_> = store.buckets().unwrap().map(|bucket| bucket.unwrap().name().to_string()).collect();
    assert_eq!(names, ["cats", "made"]);
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn a_bucket_of_a_transaction_that_failed_never_was() {
    let (store, cats) = a_bucket();
    let lsn = store.stats().lsn;
    let mut kept = None;
    let failed: ossicle::Result<()> = store.write(|tx| {
        let made = tx.create_bucket("made")?;
        tx.put(&made, "long", vec![1; 2_000_000])?;
        tx.delete_bucket("cats")?;
        kept = Some(made);
        tx.get(&cats, "b").map(|_| ())
    });
    assert_eq!(code(failed), "NoSuchBucket");
    let made = kept.unwrap();
    assert_eq!((store.stats().lsn, code(made.put("a", b""))), (lsn, "NoSuchBucket"));
    assert_eq!(code(made.get("long")), "NoSuchBucket");
    assert_eq!(code(store.write(|tx| tx.put(&made, "a", b""))), "NoSuchBucket");
    cats.put("a", b"still there").unwrap();
    // The bytes that went to the disk before it failed are given back.
    store.compact(CompactOptions::new()).unwrap();
    assert!(store.stats().live_bytes < 100_000, "{:?}", store.stats());
    assert!(store.verify().unwrap().is_clean());
}

/// A rename in a bucket that is full to the brim adds nothing to it.
#[test]
fn a_rename_in_a_full_bucket_is_fine() {
    let (store, bucket) = a_bucket();
    bucket.put("a", b"12345").unwrap();
    bucket.set_config(&Quota { bytes: Some(5), objects: Some(1) }).unwrap();
    bucket.rename("a", "b").unwrap();
    store.write(|tx| tx.rename(&bucket, "b", &bucket, "c")).unwrap();
    assert_eq!(code(bucket.copy("c", "d")), "QuotaExceeded");
    assert_eq!(read(&bucket, "c"), b"12345");
    // Where versions are kept, the old one counts on.
    bucket.set_config(&Versioning::Enabled).unwrap();
    assert_eq!(code(bucket.rename("c", "d")), "QuotaExceeded");
}
