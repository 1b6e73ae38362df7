//! What reviews of the semantics of objects found: each test is named after the rule that was broken.

use std::time::Duration;

use ossicle::{Bucket, Durability, Maintenance, PutOptions, Store};

use crate::{effort, read};

fn manual() -> (tempfile::TempDir, Store, Bucket) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::builder(dir.path()).maintenance(Maintenance::Manual).open().unwrap();
    let bucket = store.create_bucket("cats").unwrap();
    (dir, store, bucket)
}

fn fill(bucket: &Bucket, prefix: &str, count: usize) {
    for n in 0..count {
        let key = format!("{prefix}{n}");
        let buffered = PutOptions::new().durability(Durability::Buffered);
        bucket.put_with(&key, key.as_bytes(), buffered).unwrap();
    }
}

fn tidy(store: &Store) {
    store.maintain(Duration::from_secs(30)).unwrap();
}

#[test]
fn every_legal_key_can_be_put_under_a_prefix_that_was_longer_before() {
    let (_dir, store, bucket) = manual();
    let long = format!("{}/", "long".repeat(200));
    fill(&bucket, &long, 70);
    bucket.rename_prefix(&long, "b/").unwrap();
    let key = format!("b/{}", "k".repeat(1021));
    bucket.put(&key, b"here").unwrap();
    tidy(&store);
    assert_eq!(read(&bucket, &key), b"here");
    assert_eq!(read(&bucket, "b/7"), format!("{long}7").as_bytes());
    assert_eq!(bucket.usage("b/").unwrap().objects, 71);
    // In steps, and with what lies below.
    fill(&bucket, &format!("{long}x/"), 70);
    bucket.delete_prefix(&format!("{long}x/")).unwrap();
    fill(&bucket, &format!("{long}x/"), 70);
    fill(&bucket, &long, 70);
    bucket.rename_prefix(&long, &long[401..]).unwrap();
    bucket.rename_prefix(&long[401..], "c/").unwrap();
    let key = format!("c/x/{}", "k".repeat(1019));
    bucket.put(&key, b"there").unwrap();
    assert_eq!(read(&bucket, &key), b"there");
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn what_lies_beneath_a_layer_that_is_folded_goes_with_its_prefix() {
    let (_dir, store, bucket) = manual();
    // The bucket's own space, read under another name, beneath what a fork made it write elsewhere.
    fill(&bucket, "a/", 400);
    bucket.delete_prefix("a/").unwrap();
    fill(&bucket, "a/", 3000);
    let before = store.verify().unwrap().entries;
    // Some steps of folding, then it is all removed again.
    for _ in 0..6 {
        store.maintain(Duration::ZERO).unwrap();
    }
    let _ = before;
    bucket.delete_prefix("a/").unwrap();
    tidy(&store);
    fill(&bucket, "a/", 3);
    tidy(&store);
    let report = store.verify().unwrap();
    assert!(report.is_clean() && report.entries < 20, "{report:?}");
}

#[test]
fn a_space_that_is_only_read_from_now_on_is_counted_before_forks_share_it() {
    let (_dir, store, bucket) = manual();
    fill(&bucket, "keep/", 70);
    fill(&bucket, "a/", 70);
    bucket.rename_prefix("a/", "z/").unwrap();
    fill(&bucket, "a/c/", 70);
    fill(&bucket, "a/x", 5);
    bucket.delete_prefix("a/c/").unwrap();
    fill(&bucket, "a/c/", 600);
    // However far tidying has come, forks that come and go take nothing with them.
    for n in 0..12 {
        let fork = format!("fork-{n}");
        store.maintain(Duration::ZERO).unwrap();
        store.fork_bucket("cats", &fork).unwrap();
        if n % 3 == 1 {
            store.bucket(&fork).unwrap().delete_prefix("a/c/").unwrap();
        }
        if n == 4 {
            bucket.delete_prefix("z/").unwrap();
        }
        store.maintain(Duration::ZERO).unwrap();
        store.delete_bucket(&fork).unwrap();
        for _ in 0..n % 4 {
            store.maintain(Duration::ZERO).unwrap();
        }
        assert_eq!(bucket.usage("a/").unwrap().objects, 605, "{n}");
        assert_eq!(bucket.list("a/").unwrap().count(), 605, "{n}");
    }
    tidy(&store);
    assert_eq!(bucket.list("a/").unwrap().count(), 605);
}

#[test]
fn the_past_has_no_gap_where_it_begins() {
    for _ in 0..20 {
        let (_dir, store, bucket) = manual();
        for n in 0..8 {
            bucket.put(&format!("k{n}"), b"old").unwrap();
        }
        std::thread::scope(|scope| {
            for n in 0..8 {
                let bucket = &bucket;
                scope.spawn(move || {
                    for round in 0..5 {
                        bucket.put(&format!("k{n}"), format!("{round}").as_bytes()).unwrap();
                    }
                });
            }
            store.set_history(Some(Duration::from_secs(3600))).unwrap();
        });
        // Every moment that is shown at all shows every key.
        let last = store.snapshot().unwrap().lsn().0;
        for lsn in 0..=last {
            let Ok(past) = store.as_of(ossicle::Lsn(lsn)) else { continue };
            assert_eq!(past.bucket("cats").unwrap().list("").unwrap().count(), 8, "as of {lsn} of {last}");
        }
    }
}

#[test]
fn a_fork_that_goes_takes_nothing_of_what_its_parent_reads_beneath_a_layer() {
    for steps in effort::some((0..24).collect(), 4) {
        let (_dir, store, bucket) = manual();
        let step = |count| {
            (0..count).for_each(|_| {
                store.maintain(Duration::ZERO).unwrap();
            })
        };
        fill(&bucket, "a/", 70);
        store.fork_bucket("cats", "first").unwrap();
        bucket.delete_prefix("a/").unwrap();
        fill(&bucket, "a/", 70);
        fill(&bucket, "a/c/", 70);
        bucket.delete_prefix("a/c/").unwrap();
        fill(&bucket, "a/c/", 600);
        // Some of it has moved down into the space that `a/` leads to.
        step(6);
        let fork = store.fork_bucket("cats", "second").unwrap();
        fork.delete_prefix("a/c/").unwrap();
        fork.rename_prefix("a/", "r/").unwrap();
        fill(&fork, "q/", 70);
        fork.rename_prefix("r/", "zz/").unwrap();
        fork.rename_prefix("", "q/").unwrap();
        fork.rename_prefix("q/zz/", "r/").unwrap();
        fork.delete_prefix("q/").unwrap();
        store.delete_bucket("first").unwrap();
        tidy(&store);
        store.delete_bucket("second").unwrap();
        step(steps);
        store.fork_bucket("cats", "third").unwrap();
        store.delete_bucket("third").unwrap();
        tidy(&store);
        assert_eq!(bucket.list("a/c/").unwrap().count(), 600, "{steps}");
        assert_eq!(bucket.list("a/").unwrap().count(), 670, "{steps}");
        assert_eq!(bucket.usage("a/").unwrap().objects, 670, "{steps}");
    }
}

#[test]
fn a_past_of_rows_of_the_application_is_sound() {
    let (_dir, store, _bucket) = manual();
    store.set_history(Some(Duration::from_secs(3600))).unwrap();
    for value in 0..3 {
        store.write(|tx| tx.put_row("table", b"key", &[value])).unwrap();
    }
    let verified = store.verify().unwrap();
    assert!(verified.is_clean(), "{verified:?}");
}

#[test]
fn no_link_is_kept_in_the_coldest_classes_however_it_gets_there() {
    use ossicle::{CopyOptions, CreateBucketOptions, StorageClass};
    let (_dir, store, bucket) = manual();
    bucket.symlink("link", "target").unwrap();
    bucket.append("grown", 0, b"line").unwrap();
    for class in [StorageClass::ColdArchive, StorageClass::DeepColdArchive] {
        let cold = CreateBucketOptions::new().storage_class(class);
        let cold = store.create_bucket_with(&format!("cold-{}", class as u8), cold).unwrap();
        let refused = |outcome: ossicle::Result<ossicle::PutOutcome>| {
            assert_eq!(outcome.unwrap_err().code(), "InvalidArgument", "{class}");
        };
        refused(cold.symlink("link", "target"));
        refused(cold.copy_from(&bucket, "link", "link", CopyOptions::new()));
        refused(bucket.copy_from(&bucket, "link", "other", CopyOptions::new().storage_class(class)));
        refused(bucket.copy_from(&bucket, "grown", "grown", CopyOptions::new().storage_class(class)));
        let warm = CopyOptions::new().storage_class(StorageClass::Archive);
        cold.copy_from(&bucket, "link", "link", warm).unwrap();
        assert_eq!(cold.head("link").unwrap_err().code(), "SymlinkTargetNotExist");
        assert_eq!(cold.usage("").unwrap().classes, [(StorageClass::Archive, 1, 0)]);
    }
}

#[test]
fn a_delete_that_is_refused_among_others_leaves_no_trace() {
    use ossicle::Versioning;
    let (_dir, store, bucket) = manual();
    bucket.put("kept", b"null").unwrap();
    bucket.set_legal_hold("kept", true).unwrap();
    bucket.set_config(&Versioning::Enabled).unwrap();
    bucket.put("kept", b"named").unwrap();
    bucket.put("other", b"other").unwrap();
    // A delete makes another null version, for which the protected one would have to go.
    bucket.set_config(&Versioning::Suspended).unwrap();
    let before = bucket.versions("kept").unwrap().collect::<ossicle::Result<Vec<_>>>().unwrap();
    let answers = bucket.delete_many(["kept", "other"]).unwrap();
    assert_eq!(answers[0].1.as_ref().unwrap_err().code(), "FileImmutable");
    assert!(answers[1].1.as_ref().unwrap().marker);
    let after = bucket.versions("kept").unwrap().collect::<ossicle::Result<Vec<_>>>().unwrap();
    assert_eq!(after, before);
    let usage = bucket.usage("kept").unwrap();
    assert_eq!((usage.objects, usage.noncurrent_objects, usage.markers), (1, 1, 0));
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn a_bucket_is_told_to_be_removed_after_what_was_done_in_it() {
    use ossicle::ChangeOp;
    let (_dir, store, bucket) = manual();
    bucket.put("tom", b"meow").unwrap();
    let lsn = store.stats().lsn;
    let emptied = store.write(|tx| {
        tx.delete(&bucket, "tom")?;
        tx.delete_bucket("cats")
    });
    emptied.unwrap();
    let told = store.changes(lsn).unwrap().next().unwrap().unwrap();
    let (bucket, key) = ("cats".to_string(), "tom".to_string());
    let expected = [ChangeOp::Delete { bucket: bucket.clone(), key }, ChangeOp::DeleteBucket { bucket }];
    assert_eq!(told.ops, expected);
}
