//! Many changes in one commit, or none of them.

use ossicle::{CompactOptions, Durability, ErrorKind, PutOptions, Store, WriteOptions};

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
