//! Transactions that list, remove prefixes, append and link.

use std::time::Duration;

use ossicle::{
    AppendOptions, Bucket, CompactOptions, Entry, GetOptions, ListOptions, PutOptions, Result, Transaction,
    Versioning,
};

use crate::{a_bucket, code, read};

fn names(tx: &mut Transaction<'_>, bucket: &Bucket, options: impl Into<ListOptions>) -> Vec<String> {
    let listed = tx.list(bucket, options).unwrap();
    listed.map(|entry| entry.unwrap().name().to_string()).collect()
}

/// A listing is merged of what was there and what the transaction has put, deleted, moved and removed, in any order and
/// direction, rolled up and by pages; and it stays as it was when the transaction goes on, and ends.
#[test]
fn a_transaction_lists_its_own_changes() {
    let (store, cats) = a_bucket();
    let dogs = store.create_bucket("dogs").unwrap();
    for key in ["a/1", "a/2", "b", "c/1", "d"] {
        cats.put(key, key).unwrap();
    }
    let kept = store
        .write(|tx| {
            assert_eq!(names(tx, &cats, ""), ["a/1", "a/2", "b", "c/1", "d"]);
            tx.put(&cats, "a/15", b"new")?;
            tx.put(&cats, "b", b"longer than before")?;
            tx.delete(&cats, "c/1")?;
            tx.rename(&cats, "d", &dogs, "d")?;
            tx.copy(&cats, "a/1", &cats, "e/1")?;
            tx.symlink(&cats, "link", "b")?;
            let all = ["a/1", "a/15", "a/2", "b", "e/1", "link"];
            assert_eq!(names(tx, &cats, ""), all);
            assert_eq!(
                (names(tx, &cats, "a/"), names(tx, &cats, "c"), names(tx, &dogs, "")),
                (vec!["a/1".into(), "a/15".into(), "a/2".into()], vec![], vec!["d".into()],)
            );
            let new = ListOptions::new;
            assert_eq!(names(tx, &cats, new().delimiter("/")), ["a/", "b", "e/", "link"]);
            assert_eq!(names(tx, &cats, new().descending().limit(2)), ["link", "e/1"]);
            assert_eq!(names(tx, &cats, new().start_after("a/15").limit(2)), ["a/2", "b"]);
            let (mut paged, mut next) = (Vec::new(), String::new());
            loop {
                let page = tx.list_page(&cats, new().limit(2).start_after(&next))?;
                paged.extend(page.entries.iter().map(|entry| entry.name().to_string()));
                let Some(name) = page.next else { break };
                next = name;
            }
            assert_eq!(paged, all);
            let sizes: Vec<u64> = tx
                .list(&cats, "b")?
                .map(|entry| match entry.unwrap() {
                    Entry::Object(meta) => meta.size,
                    other => panic!("{other:?}"),
                })
                .collect();
            assert_eq!(sizes, [18]);
            // What is gone through may be changed meanwhile.
            for entry in tx.list(&cats, "a/")? {
                tx.delete(&cats, entry?.name())?;
                tx.put(&cats, "a/3", b"behind")?;
            }
            assert_eq!(names(tx, &cats, "a/"), ["a/3"]);
            let kept = tx.list(&cats, "")?;
            tx.delete_prefix(&cats, "")?;
            assert!(names(tx, &cats, "").is_empty());
            Ok(kept)
        })
        .unwrap();
    let kept: Vec<String> = kept.map(|entry| entry.unwrap().name().to_string()).collect();
    assert_eq!(kept, ["a/3", "b", "e/1", "link"]);
    assert_eq!(cats.list("").unwrap().count(), 0);
    // Of a bucket that the transaction makes, too; and what is asked for wrongly is said.
    store
        .write(|tx| {
            let birds = tx.create_bucket("birds")?;
            tx.put(&birds, "owl", b"")?;
            assert_eq!(names(tx, &birds, ""), ["owl"]);
            assert_eq!(code(tx.list(&birds, ListOptions::new().limit(0))), "InvalidArgument");
            tx.delete(&dogs, "d")?;
            tx.delete_bucket("dogs")?;
            assert_eq!(code(tx.list(&dogs, "")), "NoSuchBucket");
            Ok(())
        })
        .unwrap();
}

/// Few objects go one by one, many with their prefix; either way what is put before goes and what is put behind stays.
#[test]
fn a_prefix_is_removed_among_the_steps_of_a_transaction() {
    for (state, objects) in [(None, 3), (None, 200), (Some(Versioning::Enabled), 100)] {
        let (store, cats) = a_bucket();
        if let Some(state) = state {
            cats.set_config(&state).unwrap();
        }
        for n in 0..objects {
            cats.put(&format!("tmp/{n:03}"), vec![1; if n == 0 { 500_000 } else { 100 }]).unwrap();
        }
        cats.put("kept", b"kept").unwrap();
        store
            .write(|tx| {
                tx.put(&cats, "tmp/before", b"before")?;
                tx.append(&cats, "tmp/grown", 0, b"before")?;
                tx.rename(&cats, "tmp/000", &cats, "saved")?;
                tx.delete_prefix(&cats, "tmp/")?;
                assert!(names(tx, &cats, "tmp/").is_empty());
                assert_eq!(code(tx.get(&cats, "tmp/before")), "NoSuchKey");
                tx.put(&cats, "tmp/behind", b"behind")?;
                if state.is_none() {
                    tx.append(&cats, "tmp/grown", 0, b"behind")?;
                    assert_eq!(&tx.get(&cats, "tmp/grown")?.bytes()?[..], b"behind");
                } else {
                    // What is there is a delete marker (OSS).
                    assert_eq!(code(tx.append(&cats, "tmp/grown", 0, b"behind")), "ObjectNotAppendable");
                    tx.put(&cats, "tmp/grown", b"behind")?;
                }
                assert_eq!(names(tx, &cats, "tmp/"), ["tmp/behind", "tmp/grown"]);
                Ok(())
            })
            .unwrap();
        let all = || -> Vec<String> {
            cats.list("").unwrap().map(|entry| entry.unwrap().name().to_string()).collect()
        };
        assert_eq!(all(), ["kept", "saved", "tmp/behind", "tmp/grown"]);
        assert!(read(&cats, "saved") == vec![1; 500_000]);
        assert_eq!(
            (read(&cats, "tmp/behind"), read(&cats, "tmp/grown")),
            (b"behind".to_vec(), b"behind".to_vec())
        );
        // Without a read before: decided when the transaction is committed.
        store
            .write(|tx| {
                (0..100).try_for_each(|n| tx.put(&cats, &format!("tmp/{n:03}"), b"before"))?;
                tx.delete_prefix(&cats, "tmp/")?;
                tx.put(&cats, "tmp/again", b"again")?;
                tx.delete_prefix(&cats, "none/")
            })
            .unwrap();
        assert_eq!(all(), ["kept", "saved", "tmp/again"]);
        while store.maintain(Duration::ZERO).unwrap().more {}
        store.compact(CompactOptions::new().garbage_percent(0)).unwrap();
        assert!(store.verify().unwrap().is_clean());
        assert_eq!(all().len(), 3);
        // Taken back with everything else.
        let failed: Result<()> = store.write(|tx| {
            tx.delete_prefix(&cats, "")?;
            tx.get(&cats, "kept").map(drop)
        });
        assert_eq!((code(failed), all().len()), ("NoSuchKey", 3));
    }
    let (store, cats) = a_bucket();
    assert_eq!(code(store.write(|tx| tx.delete_prefix(&cats, "/a"))), "InvalidArgument");
    cats.put("held", b"held").unwrap();
    cats.set_legal_hold("held", true).unwrap();
    assert_eq!(code(store.write(|tx| tx.delete_prefix(&cats, "he"))), "FileImmutable");
    assert_eq!(read(&cats, "held"), b"held");
}

#[test]
fn appends_of_a_transaction_see_those_before_them() {
    let (store, logs) = a_bucket();
    logs.append("log", 0, b"committed ").unwrap();
    let lsn = store.stats().lsn.0;
    let outcome = store
        .write(|tx| {
            let first = tx.append(&logs, "log", 10, b"first ")?;
            assert_eq!((first.next_position, tx.append_position(&logs, "log")?), (16, 16));
            assert_eq!(code(tx.append(&logs, "log", 10, b"late")), "PositionNotEqualToLength");
            assert_eq!(&tx.get(&logs, "log")?.bytes()?[..], b"committed first ");
            assert_eq!(&tx.get_with(&logs, "log", GetOptions::new().last(3))?.bytes()?[..], b"st ");
            // Begun, streamed, moved, emptied and begun anew in the same commit.
            tx.append_with(&logs, "new", 0, b"", AppendOptions::new().content_type("x/y"))?;
            tx.append(&logs, "new", 0, vec![7; 700_000])?;
            tx.append(&logs, "new", 700_000, b"end")?;
            tx.rename(&logs, "new", &logs, "moved")?;
            tx.append(&logs, "moved", 700_003, b"!")?;
            tx.append(&logs, "twice", 0, b"gone")?;
            tx.delete(&logs, "twice")?;
            tx.append(&logs, "twice", 0, b"there")?;
            assert_eq!(tx.append_position(&logs, "nothing")?, 0);
            tx.put(&logs, "put", b"")?;
            assert_eq!(code(tx.append(&logs, "put", 0, b"x")), "ObjectNotAppendable");
            assert_eq!(code(tx.append(&logs, "/", 0, b"x")), "InvalidObjectName");
            let whole = tx.get(&logs, "moved")?.bytes()?;
            assert_eq!((whole.len(), &whole[699_999..]), (700_004, &b"\x07end!"[..]));
            tx.append(&logs, "log", 16, b"second")
        })
        .unwrap();
    assert_eq!((store.stats().lsn.0, outcome.lsn.0), (lsn + 1, lsn + 1));
    assert_eq!((outcome.next_position, &read(&logs, "log")[..]), (22, &b"committed first second"[..]));
    let meta = logs.head("log").unwrap();
    assert_eq!((meta.etag, meta.digests.crc64), (outcome.etag, Some(outcome.crc64)));
    assert_eq!((read(&logs, "moved").len(), read(&logs, "twice")), (700_004, b"there".to_vec()));
    assert_eq!(logs.head("moved").unwrap().content_type.as_deref(), Some("x/y"));
    assert!(!logs.exists("new").unwrap());
    // Taken back with everything else.
    let failed: Result<()> = store.write(|tx| {
        tx.append(&logs, "log", 22, b"never")?;
        tx.get(&logs, "nothing").map(drop)
    });
    assert_eq!((code(failed), read(&logs, "log").len()), ("NoSuchKey", 22));
    assert!(store.verify().unwrap().is_clean());
}

/// Small pieces are merged in transactions too, or an object that only they append to would have one for each.
#[test]
fn objects_that_transactions_append_to_keep_few_pieces() {
    let (store, logs) = a_bucket();
    let entries = |store: &ossicle::Store| store.verify().unwrap().entries;
    let before = entries(&store);
    let mut whole = Vec::new();
    for round in 0..40u8 {
        store
            .write(|tx| {
                for step in 0..25u8 {
                    let line = [round, step, round ^ step, 9].repeat(5);
                    tx.append(&logs, "log", whole.len() as u64, &line)?;
                    whole.extend_from_slice(&line);
                    if step % 8 == 0 {
                        assert!(tx.get(&logs, "log")?.bytes()? == whole);
                    }
                }
                Ok(())
            })
            .unwrap();
    }
    assert!(read(&logs, "log") == whole);
    let rows = entries(&store) - before;
    assert!(rows < 100, "{rows} rows for a thousand appends of 20 bytes");
}

/// A fork and its origin go on from the same bytes: each gets its own, in the same commit too.
#[test]
fn a_fork_and_its_origin_are_appended_to_in_one_transaction() {
    for len in [100, 700_000] {
        let (store, logs) = a_bucket();
        logs.append("log", 0, vec![1; len]).unwrap();
        let fork = store.fork_bucket("cats", "fork").unwrap();
        store
            .write(|tx| {
                let end = len as u64;
                tx.append(&fork, "log", end, vec![2; len])?;
                tx.append(&logs, "log", end, vec![3; len])?;
                tx.append(&fork, "log", 2 * end, b"fork")?;
                tx.append(&logs, "log", 2 * end, b"logs")?;
                assert!(
                    tx.get(&logs, "log")?.bytes()? == [&vec![1; len][..], &vec![3; len], b"logs"].concat()
                );
                Ok(())
            })
            .unwrap();
        assert!(read(&fork, "log") == [&vec![1; len][..], &vec![2; len], b"fork"].concat());
        assert!(read(&logs, "log") == [&vec![1; len][..], &vec![3; len], b"logs"].concat());
        store.delete_bucket("fork").unwrap_or_else(|error| panic!("{error}"));
        while store.maintain(Duration::ZERO).unwrap().more {}
        store.compact(CompactOptions::new().garbage_percent(0)).unwrap();
        assert!(store.verify().unwrap().is_clean());
        assert_eq!(read(&logs, "log").len(), 2 * len + 4);
    }
}

#[test]
fn a_symlink_is_made_and_followed_in_a_transaction() {
    let (store, cats) = a_bucket();
    store
        .write(|tx| {
            tx.symlink(&cats, "latest", "2")?;
            assert_eq!(code(tx.get(&cats, "latest")), "SymlinkTargetNotExist");
            tx.put(&cats, "2", b"two")?;
            assert_eq!(&tx.get(&cats, "latest")?.bytes()?[..], b"two");
            tx.append(&cats, "grows", 0, b"one ")?;
            tx.append(&cats, "grows", 4, b"two")?;
            tx.symlink_with(&cats, "to grown", "grows", PutOptions::new().content_type("x/y"))?;
            assert_eq!(&tx.get(&cats, "to grown")?.bytes()?[..], b"one two");
            let again = PutOptions::new().if_absent();
            assert_eq!(code(tx.symlink_with(&cats, "latest", "1", again)), "FileAlreadyExists");
            assert_eq!(code(tx.symlink(&cats, "latest", "/")), "InvalidObjectName");
            Ok(())
        })
        .unwrap();
    assert_eq!((cats.read_link("latest").unwrap(), read(&cats, "latest")), ("2".into(), b"two".to_vec()));
    assert_eq!(cats.head("to grown").unwrap().content_type.as_deref(), Some("x/y"));
}
