//! The change feed: every commit, in order, for whoever comes in time; a clear word for whoever comes too late.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use ossicle::{
    Bucket, Change, ChangeOp, CompactOptions, Durability, Entry, ErrorKind, Lsn, Maintenance, MemoryVfs,
    PutOptions, Settings, Store, Versioning, VirtualClock, WriteOptions,
};

use crate::{a_bucket, code, effort};

/// A disk in memory on which a store can be opened again and again.
struct Disk {
    vfs: Arc<MemoryVfs>,
    settings: Settings,
}

impl Disk {
    fn new(feed_bytes: u64) -> Disk {
        let settings = Settings {
            chunk_size: 4096,
            segment_size: 1 << 20,
            delta_bytes: 64 << 10,
            checkpoint_log_bytes: 1 << 20,
            feed_bytes,
            ..Settings::default()
        };
        Disk { vfs: Arc::new(MemoryVfs::new()), settings }
    }

    fn open(&self, rebuild: bool) -> Store {
        Store::builder(Path::new("/store"))
            .vfs(self.vfs.clone())
            .settings(self.settings.clone())
            .maintenance(Maintenance::Manual)
            .rebuild_index(rebuild)
            .open()
            .unwrap()
    }
}

/// All changes behind `after`, which must be dense and reach the newest commit.
#[track_caller]
fn changes(store: &Store, after: u64) -> Vec<Change> {
    let told: Vec<Change> = store.changes(Lsn(after)).unwrap().collect::<Result<_, _>>().unwrap();
    let lsns: Vec<u64> = told.iter().map(|change| change.lsn.0).collect();
    assert_eq!(lsns, (after + 1..=store.stats().lsn.0).collect::<Vec<_>>());
    told
}

/// What a change did, in words.
fn words(change: &Change) -> Vec<String> {
    let word = |op: &ChangeOp| match op {
        ChangeOp::Put { bucket, key, meta } => format!("put {bucket}/{key} {}", meta.size),
        ChangeOp::Delete { bucket, key } => format!("delete {bucket}/{key}"),
        ChangeOp::DeletePrefix { bucket, prefix } => format!("delete all of {bucket}/{prefix}"),
        ChangeOp::RenamePrefix { bucket, prefix, new_prefix } => {
            format!("move {bucket}/{prefix} to {new_prefix}")
        }
        ChangeOp::ForkBucket { from, bucket } => format!("fork {from} as {bucket}"),
        ChangeOp::CreateBucket { bucket } => format!("make {bucket}"),
        ChangeOp::DeleteBucket { bucket } => format!("remove {bucket}"),
        ChangeOp::PutRow { table, key, value } => format!("row {table} {key:?} {value:?}"),
        ChangeOp::DeleteRow { table, key } => format!("unrow {table} {key:?}"),
        other => panic!("{other:?}"),
    };
    let mut words: Vec<String> = change.ops.iter().map(word).collect();
    words.sort();
    words
}

/// What a store holds, and what a consumer makes of its feed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Mirror {
    buckets: BTreeMap<String, BTreeMap<String, Option<[u8; 32]>>>,
    rows: BTreeMap<(String, Vec<u8>), Vec<u8>>,
}

impl Mirror {
    /// What a store shows. Rows cannot be listed, so those of the tests are asked for.
    fn of(store: &Store) -> Mirror {
        let mut mirror = Mirror::default();
        let snapshot = store.snapshot().unwrap();
        for bucket in store.buckets().unwrap() {
            let name = bucket.unwrap().name().to_string();
            let listing = snapshot.bucket(&name).unwrap().list("").unwrap();
            let objects = listing.map(|entry| match entry.unwrap() {
                Entry::Object(meta) => (meta.key, meta.digests.blake3),
                other => panic!("{other:?}"),
            });
            mirror.buckets.insert(name, objects.collect());
        }
        for number in 0..8u8 {
            if let Some(value) = snapshot.row("table", &[number]).unwrap() {
                mirror.rows.insert(("table".into(), vec![number]), value.to_vec());
            }
        }
        mirror
    }

    fn apply(&mut self, change: &Change) {
        for op in &change.ops {
            match op {
                ChangeOp::CreateBucket { bucket } => {
                    assert!(
                        self.buckets.insert(bucket.clone(), BTreeMap::new()).is_none(),
                        "{bucket} made twice"
                    );
                }
                ChangeOp::ForkBucket { from, bucket } => {
                    let held = self.buckets[from].clone();
                    assert!(self.buckets.insert(bucket.clone(), held).is_none(), "{bucket} made twice");
                }
                ChangeOp::DeleteBucket { bucket } => drop(self.buckets.remove(bucket).unwrap()),
                ChangeOp::Put { bucket, key, meta } => {
                    assert!(&meta.key == key && meta.lsn <= change.lsn);
                    self.buckets.get_mut(bucket).unwrap().insert(key.clone(), meta.digests.blake3);
                }
                ChangeOp::Delete { bucket, key } => drop(self.buckets.get_mut(bucket).unwrap().remove(key)),
                ChangeOp::DeletePrefix { bucket, prefix } => drop(self.take(bucket, prefix)),
                ChangeOp::RenamePrefix { bucket, prefix, new_prefix } => {
                    let moved = self.take(bucket, prefix);
                    let moved =
                        moved.into_iter().map(|(key, hash)| (key.replacen(prefix, new_prefix, 1), hash));
                    self.buckets.get_mut(bucket).unwrap().extend(moved);
                }
                ChangeOp::PutRow { table, key, value } => {
                    self.rows.insert((table.clone(), key.to_vec()), value.to_vec());
                }
                ChangeOp::DeleteRow { table, key } => {
                    self.rows.remove(&(table.clone(), key.to_vec())).expect("only what is there is deleted");
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// Panics with the first few differences.
    #[track_caller]
    fn hold(&self, store: &Store, when: &str) {
        let other = Mirror::of(store);
        let flat = |mirror: &Mirror| -> BTreeMap<String, String> {
            let objects = mirror.buckets.iter().flat_map(|(name, objects)| {
                let objects = objects.iter().map(move |(key, hash)| {
                    (format!("{name}/{key}"), format!("{:?}", hash.map(|hash| hash[0])))
                });
                objects.chain([(name.clone(), String::new())])
            });
            let rows = mirror.rows.iter().map(|(key, value)| (format!("{key:?}"), format!("{value:?}")));
            objects.chain(rows).collect()
        };
        let (mine, its) = (flat(self), flat(&other));
        let one = |(key, value): (&String, &String)| format!("{key} {value}");
        let told = mine.iter().filter(|(key, value)| its.get(*key) != Some(value)).map(one);
        let held = its.iter().filter(|(key, value)| mine.get(*key) != Some(value)).map(one);
        let (told, held): (Vec<_>, Vec<_>) = (told.take(4).collect(), held.take(4).collect());
        assert!(*self == other, "{when}: the feed tells {told:?}, the store holds {held:?}");
    }

    /// Takes all under a prefix out.
    fn take(&mut self, bucket: &str, prefix: &str) -> Vec<(String, Option<[u8; 32]>)> {
        let objects = self.buckets.get_mut(bucket).unwrap();
        let keys: Vec<String> = objects.keys().filter(|key| key.starts_with(prefix)).cloned().collect();
        keys.into_iter().map(|key| (key.clone(), objects.remove(&key).unwrap())).collect()
    }
}

#[test]
fn every_commit_is_told_once_and_in_order() {
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    let clock = VirtualClock::at(start);
    let store = Store::builder("/m").vfs(Arc::new(MemoryVfs::new())).clock(clock.clone()).open().unwrap();
    let cats = store.create_bucket("cats").unwrap();
    clock.advance(Duration::from_secs(1));
    let options = PutOptions::new().content_type("text/plain").metadata("owner", "ann");
    let put = cats.put_with("tom", b"meow", options).unwrap();
    cats.put("long", vec![1; 1 << 20]).unwrap();
    cats.rename("tom", "tim").unwrap();
    cats.copy("tim", "tam").unwrap();
    // The body is shared from now on, which is nobody's business.
    cats.copy("long", "lang").unwrap();
    cats.delete("long").unwrap();
    cats.delete("never there").unwrap();
    cats.delete_many(["tim", "tam", "lang"]).unwrap();
    store.delete_bucket("cats").unwrap();
    let told = changes(&store, 0);
    let expected: [&[&str]; 9] = [
        &["make cats"],
        &["put cats/tom 4"],
        &["put cats/long 1048576"],
        &["delete cats/tom", "put cats/tim 4"],
        &["put cats/tam 4"],
        &["put cats/lang 1048576"],
        &["delete cats/long"],
        &["delete cats/lang", "delete cats/tam", "delete cats/tim"],
        &["remove cats"],
    ];
    assert_eq!(told.iter().map(words).collect::<Vec<_>>(), expected);
    assert_eq!((told[0].time, told[1].time), (start, start + Duration::from_secs(1)));
    let ChangeOp::Put { meta, .. } = &told[1].ops[0] else { panic!("{told:?}") };
    assert_eq!((meta.lsn, &meta.etag, meta.modified), (put.lsn, &put.etag, told[1].time));
    assert_eq!(meta.content_type.as_deref(), Some("text/plain"));
    assert_eq!(meta.metadata["owner"], "ann");
    assert_eq!(changes(&store, 5), told[5..]);
    assert_eq!(changes(&store, 9), []);
}

/// What one small commit does to many objects is told as the one thing that it is, and what lies elsewhere since is
/// told by the names that it has.
#[test]
fn prefixes_and_forks_are_told_as_what_they_are() {
    let store = Store::in_memory().unwrap();
    let cats = store.create_bucket("cats").unwrap();
    store.set_cursor("me", Lsn(1)).unwrap();
    store.write(|tx| (0..100).try_for_each(|n| tx.put(&cats, &format!("a/{n}"), b""))).unwrap();
    cats.rename_prefix("a/", "b/").unwrap();
    cats.put("b/new", b"xyz").unwrap();
    let fork = store.fork_bucket("cats", "fork").unwrap();
    fork.delete("b/7").unwrap();
    fork.rename("b/8", "b/8 again").unwrap();
    cats.delete_prefix("b/").unwrap();
    store.compact(CompactOptions::new()).unwrap();
    store.delete_bucket("fork").unwrap();
    let told: Vec<_> = changes(&store, 3).iter().map(words).filter(|words| !words.is_empty()).collect();
    let expected: [&[&str]; 7] = [
        &["move cats/a/ to b/"],
        &["put cats/b/new 3"],
        &["fork cats as fork"],
        &["delete fork/b/7"],
        &["delete fork/b/8", "put fork/b/8 again 0"],
        &["delete all of cats/b/"],
        &["remove fork"],
    ];
    assert_eq!(told, expected);
}

/// In a bucket that keeps versions the feed tells of the current ones.
#[test]
fn the_current_versions_are_told() {
    let (store, cats) = a_bucket();
    cats.set_config(&Versioning::Enabled).unwrap();
    let first = cats.put("k", b"1").unwrap();
    let second = cats.put("k", b"22").unwrap();
    cats.delete("k").unwrap();
    let told = changes(&store, 1);
    let words: Vec<_> = told.iter().flat_map(words).collect();
    assert_eq!(words, ["put cats/k 1", "put cats/k 2", "delete cats/k"]);
    let versions = told.iter().flat_map(|change| &change.ops).filter_map(|op| match op {
        ChangeOp::Put { meta, .. } => meta.version.clone(),
        _ => None,
    });
    assert_eq!(versions.collect::<Vec<_>>(), [first.version.unwrap(), second.version.unwrap()]);
}

/// The keys of objects have the ids of their buckets, and the log goes on telling of buckets that are gone.
#[test]
fn what_was_in_a_removed_bucket_is_told_by_its_name() {
    let disk = Disk::new(1 << 30);
    let store = disk.open(false);
    for round in 0..3 {
        for name in ["cats", "dogs"] {
            let bucket = store.create_bucket(name).unwrap();
            bucket.put(&format!("k{round}"), b"").unwrap();
            bucket.delete(&format!("k{round}")).unwrap();
            store.delete_bucket(name).unwrap();
        }
    }
    store.create_bucket("birds").unwrap().put("k", b"").unwrap();
    let told = changes(&store, 0);
    drop(store);
    for rebuild in [false, true] {
        let store = disk.open(rebuild);
        assert_eq!(changes(&store, 0), told);
        // Each commit alone, so that nothing is known from the making of the bucket.
        for (after, expected) in told.iter().enumerate() {
            let next = store.changes(Lsn(after as u64)).unwrap().next().unwrap().unwrap();
            assert_eq!(next, *expected);
        }
    }
    let named = told.iter().flat_map(words).filter(|word| word.contains("/k1")).collect::<Vec<_>>();
    assert_eq!(named, ["put cats/k1 0", "delete cats/k1", "put dogs/k1 0", "delete dogs/k1"]);
}

#[test]
fn a_transaction_is_one_change() {
    let (store, cats) = a_bucket();
    let dogs = store.create_bucket("dogs").unwrap();
    cats.put("old", b"x").unwrap();
    store
        .write(|tx| {
            tx.put(&cats, "a", vec![1; 500_000])?;
            tx.put(&dogs, "b", b"")?;
            tx.put(&cats, "taken back", b"")?;
            tx.delete(&cats, "taken back")?;
            tx.rename(&cats, "old", &dogs, "new")?;
            tx.put_row("table", b"k", b"v")?;
            tx.put_row("table", b"long", &[7; 100_000])
        })
        .unwrap();
    store.write(|tx| tx.delete_row("table", b"k")).unwrap();
    let told = changes(&store, 3);
    assert_eq!(told.len(), 2);
    let long = format!("row table b\"long\" {:?}", ossicle::Bytes::from(vec![7; 100_000]));
    let expected = [
        "delete cats/old",
        "put cats/a 500000",
        "put dogs/b 0",
        "put dogs/new 1",
        "row table b\"k\" b\"v\"",
        &long,
    ];
    assert_eq!(words(&told[0]), expected);
    assert_eq!(words(&told[1]), ["unrow table b\"k\""]);
}

#[test]
fn a_position_that_is_not_there_yet_is_refused() {
    let (store, _) = a_bucket();
    assert_eq!(code(store.changes(Lsn(2))), "InvalidArgument");
    assert_eq!(code(store.set_cursor("me", Lsn(2))), "InvalidArgument");
    assert_eq!(code(store.set_cursor("", Lsn(1))), "InvalidArgument");
    assert_eq!(code(store.set_cursor(&"n".repeat(256), Lsn(1))), "InvalidArgument");
    assert_eq!(code(store.write(|tx| tx.set_cursor("me", Lsn(2)))), "InvalidArgument");
    assert_eq!(store.cursors().unwrap(), []);
    assert_eq!(store.stats().lsn, Lsn(1));
}

/// Buffered commits are told only once they are durable, so that no crash takes back what was told.
#[test]
fn what_was_told_is_durable() {
    let (store, bucket) = a_bucket();
    let syncs = || store.stats().log_syncs;
    bucket.put_with("a", b"", PutOptions::new().durability(Durability::Buffered)).unwrap();
    let before = syncs();
    let mut feed = store.changes(Lsn(0)).unwrap();
    assert_eq!(syncs(), before + 1);
    assert_eq!(feed.by_ref().count(), 2);
    assert_eq!(syncs(), before + 1);
    bucket.put_with("b", b"", PutOptions::new().durability(Durability::Buffered)).unwrap();
    assert_eq!(words(&feed.next().unwrap().unwrap()), ["put cats/b 0"]);
    assert_eq!(syncs(), before + 2);
    // It can be asked again and again, and goes on when there is more.
    assert!(feed.next().is_none() && feed.next().is_none());
    bucket.delete("b").unwrap();
    assert_eq!(words(&feed.next().unwrap().unwrap()), ["delete cats/b"]);
    assert_eq!(syncs(), before + 3);
}

#[test]
fn inside_a_transaction_that_reads_the_feed_is_busy_and_not_a_deadlock() {
    let (store, bucket) = a_bucket();
    let mut feed = store.changes(Lsn(0)).unwrap();
    let mut read = store.changes(Lsn(1)).unwrap();
    store
        .write(|tx| {
            assert!(tx.row("table", b"k")?.is_none());
            for refused in [
                store.changes(Lsn(0)).map(drop).unwrap_err(),
                feed.next().unwrap().unwrap_err(),
                read.wait(Duration::from_secs(60)).unwrap_err(),
                store.set_cursor("me", Lsn(1)).unwrap_err(),
            ] {
                assert_eq!(refused.kind(), ErrorKind::Busy, "{refused}");
            }
            tx.put(&bucket, "a", b"")
        })
        .unwrap();
    // An iterator that has failed has ended.
    assert!(feed.next().is_none());
    assert_eq!(feed.wait(Duration::ZERO).unwrap_err().kind(), ErrorKind::Busy);
    assert_eq!(changes(&store, 1).len(), 1);
}

#[test]
fn the_feed_survives_reopening_and_rebuilding() {
    let disk = Disk::new(1 << 30);
    let store = disk.open(false);
    let bucket = store.create_bucket("cats").unwrap();
    store.set_cursor("all", Lsn(0)).unwrap();
    let note = "n".repeat(7000);
    for round in 0..4 {
        for number in 0..30 {
            let options = PutOptions::new().metadata("note", note.as_str()).durability(Durability::Buffered);
            bucket.put_with(&format!("k{number}"), vec![round; 50_000], options).unwrap();
        }
        store.checkpoint().unwrap();
    }
    let told = changes(&store, 0);
    drop((bucket, store));
    for rebuild in [false, true, false] {
        let store = disk.open(rebuild);
        assert_eq!(changes(&store, 0), told, "rebuild {rebuild}");
        assert_eq!(store.cursor("all").unwrap(), Some(Lsn(0)));
        assert_eq!(store.stats().feed_start, Lsn(0));
    }
    let store = disk.open(false);
    let ChangeOp::Put { meta, .. } = &told[50].ops[0] else { panic!() };
    assert_eq!(meta.metadata["note"], note);
    store.bucket("cats").unwrap().put("more", b"").unwrap();
    let more = changes(&store, 0);
    assert_eq!((more.len(), &more[..told.len()]), (told.len() + 1, &told[..]));
}

/// Writes and deletes until a few segments hold nothing that is live.
fn churn(bucket: &Bucket, rounds: u8) {
    for round in 0..rounds {
        for number in 0..30 {
            let options = PutOptions::new().durability(Durability::Buffered);
            bucket.put_with(&format!("k{number}"), vec![round; 50_000], options).unwrap();
        }
    }
}

#[test]
fn a_cursor_keeps_the_log_and_lets_it_go() {
    let disk = Disk::new(1 << 30);
    let store = disk.open(false);
    let bucket = store.create_bucket("cats").unwrap();
    let begin = store.stats().lsn;
    store.set_cursor("slow", begin).unwrap();
    churn(&bucket, 6);
    let middle = store.stats().lsn;
    store.set_cursor("fast", middle).unwrap();
    churn(&bucket, 6);
    store.compact(CompactOptions::new().garbage_percent(0)).unwrap();
    let kept = store.stats();
    assert!(kept.feed_bytes > 8 << 20, "{kept:?}");
    let told = changes(&store, begin.0);
    assert_eq!(told.iter().filter(|change| !change.ops.is_empty()).count(), 360);
    // Maintenance takes what is kept neither for garbage nor for work.
    for _ in 0..3 {
        assert!(!store.maintain(Duration::from_secs(10)).unwrap().more);
    }
    let checkpoints = store.stats().checkpoints;
    store.maintain(Duration::from_secs(10)).unwrap();
    assert_eq!((store.stats().checkpoints, store.stats().feed_bytes), (checkpoints, kept.feed_bytes));

    store.set_cursor("slow", middle).unwrap();
    store.maintain(Duration::from_secs(10)).unwrap();
    let half = store.stats().feed_bytes;
    assert!(half < kept.feed_bytes * 2 / 3 && half > kept.feed_bytes / 3, "{half} of {}", kept.feed_bytes);
    changes(&store, middle.0);
    assert_eq!(code(store.changes(begin)), "FeedTruncated");

    // A cursor goes back as far as the log reaches.
    store.set_cursor("slow", store.stats().lsn).unwrap();
    store.set_cursor("slow", middle).unwrap();
    assert_eq!(code(store.set_cursor("slow", begin)), "FeedTruncated");
    store.remove_cursor("slow").unwrap();
    store.checkpoint().unwrap();
    changes(&store, middle.0);
    store.remove_cursor("fast").unwrap();
    store.remove_cursor("fast").unwrap();
    store.maintain(Duration::from_secs(10)).unwrap();
    let left = store.stats();
    assert_eq!(left.feed_bytes, 0);
    assert!(left.disk_bytes < kept.disk_bytes - (8 << 20), "{} of {}", left.disk_bytes, kept.disk_bytes);
    assert_eq!(code(store.changes(middle)), "FeedTruncated");
    assert!(store.verify().unwrap().is_clean());
}

/// A cursor that moves lets go by itself, in a transaction too, and after reopening.
#[test]
fn what_a_cursor_lets_go_comes_back_in_the_background() {
    let disk = Disk::new(1 << 30);
    let open = || {
        let builder = Store::builder(Path::new("/store")).vfs(disk.vfs.clone());
        builder.settings(disk.settings.clone()).open().unwrap()
    };
    let store = open();
    let bucket = store.create_bucket("cats").unwrap();
    for in_transaction in [false, true] {
        store.set_cursor("me", store.stats().lsn).unwrap();
        churn(&bucket, 4);
        store.checkpoint().unwrap();
        assert!(store.stats().feed_bytes > 2 << 20);
        let newest = store.stats().lsn;
        match in_transaction {
            false => store.set_cursor("me", newest).unwrap(),
            true => store.write(|tx| tx.set_cursor("me", newest)).unwrap(),
        }
        let begun = std::time::Instant::now();
        while store.stats().feed_bytes > 0 {
            assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", store.stats());
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    store.set_cursor("me", store.stats().lsn).unwrap();
    churn(&bucket, 4);
    store.checkpoint().unwrap();
    let kept = store.stats().feed_bytes;
    drop((bucket, store));
    let store = open();
    assert!(kept > 0 && store.stats().feed_bytes >= kept);
    store.remove_cursor("me").unwrap();
    let begun = std::time::Instant::now();
    while store.stats().feed_bytes > 0 {
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", store.stats());
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What is dead but kept must not change what a rebuild finds.
#[test]
fn a_log_that_is_kept_for_cursors_rebuilds_to_the_same_store() {
    let disk = Disk::new(1 << 30);
    let store = disk.open(false);
    let bucket = store.create_bucket("cats").unwrap();
    store.set_cursor("all", Lsn(0)).unwrap();
    churn(&bucket, 3);
    bucket.put("streamed", vec![3; 600_000]).unwrap();
    bucket.put("gone", vec![3; 600_000]).unwrap();
    store.compact(CompactOptions::new().garbage_percent(0)).unwrap();
    bucket.delete_many((0..20).map(|number| format!("k{number}"))).unwrap();
    bucket.delete("gone").unwrap();
    store.compact(CompactOptions::new().garbage_percent(0)).unwrap();
    assert!(store.stats().feed_bytes > 0);
    let (before, told) = (Mirror::of(&store), changes(&store, 0));
    drop((bucket, store));
    let store = disk.open(true);
    assert_eq!(Mirror::of(&store), before);
    assert_eq!(changes(&store, 0), told);
    assert!(store.verify().unwrap().is_clean());
    // The ledger was made anew as well: the same segments are kept, and go with the cursor.
    store.remove_cursor("all").unwrap();
    store.compact(CompactOptions::new().garbage_percent(0)).unwrap();
    assert_eq!(store.stats().feed_bytes, 0);
    drop(store);
    let store = disk.open(true);
    assert_eq!(Mirror::of(&store), before);
    assert_eq!(code(store.changes(Lsn(0))), "FeedTruncated");
}

#[test]
fn whoever_falls_behind_is_told_and_begins_anew() {
    let disk = Disk::new(3 << 20);
    let store = disk.open(false);
    let bucket = store.create_bucket("cats").unwrap();
    let begin = store.stats().lsn;
    store.set_cursor("slow", begin).unwrap();
    let mut resting = store.changes(begin).unwrap();
    churn(&bucket, 8);
    store.checkpoint().unwrap();
    assert_eq!(code(store.changes(begin)), "FeedTruncated");
    let start = store.stats().feed_start;
    assert!(start > begin);
    changes(&store, start.0);
    // One that was begun in time and rested is told when it comes to the gap, and tells nothing behind it.
    let told: Vec<_> = resting.by_ref().collect();
    assert_eq!(code(told.into_iter().last().unwrap()), "FeedTruncated");
    assert!(resting.next().is_none());
    // The cursor is still where it was, and keeps nothing any more.
    assert_eq!(store.cursor("slow").unwrap(), Some(begin));
    churn(&bucket, 1);
    store.checkpoint().unwrap();
    assert_eq!(store.stats().feed_bytes, 0);
    let start = store.stats().feed_start;
    drop((bucket, store));
    for rebuild in [false, true] {
        let store = disk.open(rebuild);
        assert!(store.stats().feed_start >= start);
        assert_eq!(code(store.changes(begin)), "FeedTruncated");
        assert_eq!(code(store.set_cursor("slow", begin)), "FeedTruncated");
        changes(&store, store.stats().feed_start.0);
        let snapshot = store.snapshot().unwrap();
        store.set_cursor("slow", snapshot.lsn()).unwrap();
        assert_eq!(changes(&store, snapshot.lsn().0).len(), 1);
    }
}

/// A snapshot and the changes behind it are the store: nothing is missing and nothing comes twice, whatever is
/// written meanwhile.
#[test]
fn resynchronising_beside_writers_leaves_no_gap() {
    let disk = Disk::new(2 << 20);
    let store = disk.open(false);
    let bucket = store.create_bucket("cats").unwrap();
    let done = AtomicBool::new(false);
    let (mut resynchronised, mut followed) = (0, 0);
    let mirror = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..2)
            .map(|writer| {
                let (store, bucket) = (&store, &bucket);
                scope.spawn(move || {
                    for number in 0..600u32 {
                        let key = format!("w{writer}-{}", number % 23);
                        let options = PutOptions::new().durability(Durability::Buffered);
                        bucket
                            .put_with(&key, vec![number as u8; (number % 7) as usize * 5000], options)
                            .unwrap();
                        if number % 3 == 0 {
                            bucket.delete(&key).unwrap();
                        }
                        if number % 50 == 0 {
                            store.maintain(Duration::ZERO).unwrap();
                        }
                    }
                })
            })
            .collect();
        let follower = scope.spawn(|| {
            loop {
                // A copy of what a snapshot shows, slower than the log is kept.
                let snapshot = store.snapshot().unwrap();
                if store.set_cursor("me", snapshot.lsn()).is_err() {
                    continue;
                }
                resynchronised += 1;
                let mut mirror = Mirror::default();
                let listing = snapshot.bucket("cats").unwrap().list("").unwrap();
                let objects = listing.map(|entry| match entry.unwrap() {
                    Entry::Object(meta) => (meta.key, meta.digests.blake3),
                    other => panic!("{other:?}"),
                });
                mirror.buckets.insert("cats".into(), objects.collect());
                let Ok(mut feed) = store.changes(snapshot.lsn()) else { continue };
                let mut last = snapshot.lsn().0;
                loop {
                    let ended = done.load(Ordering::Acquire);
                    let mut behind = false;
                    for change in feed.by_ref() {
                        match change {
                            Ok(change) => {
                                assert_eq!(change.lsn.0, last + 1);
                                last += 1;
                                followed += 1;
                                mirror.apply(&change);
                            }
                            Err(error) => {
                                assert_eq!(error.code(), "FeedTruncated");
                                behind = true;
                            }
                        }
                    }
                    if behind {
                        break;
                    }
                    if ended {
                        return mirror;
                    }
                    feed.wait(Duration::from_millis(if resynchronised % 2 == 1 { 20 } else { 1 })).unwrap();
                }
            }
        });
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        done.store(true, Ordering::Release);
        follower.join().unwrap()
    });
    assert_eq!(mirror, Mirror::of(&store));
    assert!(followed > 0 && resynchronised > 0);
}

#[test]
fn waiting_ends_with_the_next_change_and_not_before() {
    let (store, bucket) = a_bucket();
    let mut feed = store.changes(Lsn(1)).unwrap();
    assert!(!feed.wait(Duration::from_millis(5)).unwrap());
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            assert!(feed.wait(Duration::from_secs(600)).unwrap());
            assert!(feed.wait(Duration::ZERO).unwrap());
            feed.next().unwrap().unwrap()
        });
        std::thread::sleep(Duration::from_millis(20));
        bucket.put("a", b"").unwrap();
        assert_eq!(words(&waiter.join().unwrap()), ["put cats/a 0"]);
    });
    // Somebody who moves his cursor does not wake himself, but is told of it with the next change.
    store.set_cursor("me", Lsn(2)).unwrap();
    assert!(!feed.wait(Duration::from_millis(5)).unwrap());
    bucket.put("b", b"").unwrap();
    assert!(feed.wait(Duration::ZERO).unwrap());
    let told: Vec<_> = feed.by_ref().map(|change| words(&change.unwrap()).len()).collect();
    assert_eq!(told, [0, 1]);
    // Closing ends the wait.
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| feed.wait(Duration::from_secs(600)).unwrap_err());
        std::thread::sleep(Duration::from_millis(20));
        store.close().unwrap();
        assert_eq!(waiter.join().unwrap().kind(), ErrorKind::Closed);
    });
}

#[test]
fn a_cursor_moves_with_the_effects_or_not_at_all() {
    let (store, bucket) = a_bucket();
    bucket.put("a", b"").unwrap();
    store
        .write(|tx| {
            tx.put_row("table", b"seen", b"2")?;
            tx.set_cursor("me", Lsn(2))
        })
        .unwrap();
    assert_eq!(store.cursor("me").unwrap(), Some(Lsn(2)));
    let refused = store.write(|tx| {
        tx.put_row("table", b"seen", b"99")?;
        tx.row("table", b"seen")?;
        tx.set_cursor("me", Lsn(99))
    });
    assert_eq!(code(refused), "InvalidArgument");
    assert_eq!(store.cursor("me").unwrap(), Some(Lsn(2)));
    assert_eq!(&store.row("table", b"seen").unwrap().unwrap()[..], b"2");
    // Setting it where it is commits nothing.
    let lsn = store.stats().lsn;
    store.set_cursor("me", Lsn(2)).unwrap();
    store.remove_cursor("nobody").unwrap();
    assert_eq!(store.stats().lsn, lsn);
    store.set_cursor("another", Lsn(0)).unwrap();
    let cursors = store.cursors().unwrap();
    let told: Vec<_> = cursors.iter().map(|cursor| (&cursor.name[..], cursor.lsn.0)).collect();
    assert_eq!(told, [("another", 0), ("me", 2)]);
    assert!(cursors[0].time >= cursors[1].time);
}

#[test]
fn a_read_only_store_tells_its_feed() {
    let disk = Disk::new(1 << 30);
    let store = disk.open(false);
    churn(&store.create_bucket("cats").unwrap(), 1);
    let told = changes(&store, 0);
    drop(store);
    let builder = Store::builder(Path::new("/store")).vfs(disk.vfs.clone()).settings(disk.settings.clone());
    let store = builder.read_only(true).open().unwrap();
    assert_eq!(changes(&store, 0), told);
    assert!(!store.changes(store.stats().lsn).unwrap().wait(Duration::ZERO).unwrap());
    assert_eq!(store.set_cursor("me", Lsn(1)).unwrap_err().kind(), ErrorKind::Denied);
}

/// Numbers that look random and are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

/// One random operation. Whatever is refused leaves nothing.
fn play(store: &Store, dice: &mut Dice) {
    let name = |dice: &mut Dice| ["one-bucket", "two-bucket", "a-fork"][dice.below(3) as usize];
    let prefix = |dice: &mut Dice| ["", "p/", "q/", "p/more/"][dice.below(4) as usize];
    let key = |dice: &mut Dice| format!("{}k{}", prefix(dice), dice.below(6));
    let durability = if dice.below(2) == 0 { Durability::Buffered } else { Durability::Synced };
    let len = [0, 40, 3000, 70_000, 300_000][dice.below(5) as usize];
    let body = vec![dice.below(256) as u8; len];
    let number = [dice.below(8) as u8];
    let Ok(bucket) = store.bucket(name(dice)) else {
        let _ = store.create_bucket(name(dice));
        return;
    };
    match dice.below(22) {
        0..5 => {
            let note = "n".repeat(dice.below(3) as usize * 700);
            let options = PutOptions::new().durability(durability).metadata("note", note);
            bucket.put_with(&key(dice), body, options).unwrap();
        }
        5 | 6 => drop(bucket.delete(&key(dice)).unwrap()),
        7 => drop(bucket.rename(&key(dice), &key(dice))),
        8 => drop(bucket.copy(&key(dice), &key(dice))),
        9..12 => {
            let options = WriteOptions::new().durability(durability);
            let (other, lsn) = (store.bucket(name(dice)), store.stats().lsn);
            let keys: Vec<String> = (0..4).map(|_| key(dice)).collect();
            let _ = store.write_with(options, |tx| {
                tx.put(&bucket, &keys[0], body)?;
                tx.put_row("table", &number, keys[0].as_bytes())?;
                tx.delete_row("table", &[number[0] / 2])?;
                tx.delete(&bucket, &keys[1])?;
                tx.set_cursor("in a transaction", Lsn(lsn.0 - lsn.0 % 7))?;
                tx.rename(&bucket, &keys[2], &other?, &keys[3])
            });
        }
        12 => {
            let all: Vec<_> =
                bucket.list("").unwrap().map(|entry| entry.unwrap().name().to_string()).collect();
            bucket.delete_many(all).unwrap();
            let _ = store.delete_bucket(&bucket.name().to_string());
        }
        // More than are removed or moved one by one.
        16 | 17 => {
            let from = prefix(dice);
            store
                .write(|tx| {
                    (0..70).try_for_each(|n| tx.put(&bucket, &format!("{from}n{n}"), vec![n; n as usize]))
                })
                .unwrap();
        }
        18 => drop(bucket.delete_prefix(prefix(dice)).unwrap()),
        19 => drop(bucket.rename_prefix(prefix(dice), prefix(dice)).unwrap()),
        20 => drop(store.fork_bucket(name(dice), name(dice))),
        21 if dice.below(4) == 0 => bucket.set_config(&Versioning::Enabled).unwrap(),
        13 | 21 => store.checkpoint().unwrap(),
        14 => drop(store.maintain(Duration::from_secs(60)).unwrap()),
        _ => drop(store.compact(CompactOptions::new().garbage_percent(0)).unwrap()),
    }
}

#[test]
fn the_feed_from_the_beginning_makes_the_store_again() {
    for seed in 0..12 {
        let mut dice = Dice(seed);
        let disk = Disk::new(1 << 40);
        let mut store = disk.open(false);
        store.set_cursor("all", Lsn(0)).unwrap();
        let mut feed = store.changes(Lsn(0)).unwrap();
        let (mut mirror, mut last) = (Mirror::default(), 0);
        for step in 0..250 {
            play(&store, &mut dice);
            match dice.below(25) {
                0 => {
                    drop(feed);
                    drop(store);
                    store = disk.open(dice.below(2) == 0);
                    feed = store.changes(Lsn(last)).unwrap();
                }
                1..6 => {
                    for change in feed.by_ref() {
                        let change = change.unwrap();
                        assert_eq!(change.lsn.0, last + 1, "seed {seed}, step {step}");
                        last += 1;
                        mirror.apply(&change);
                    }
                    assert_eq!(last, store.stats().lsn.0, "seed {seed}, step {step}");
                    mirror.hold(&store, &format!("seed {seed}, step {step}"));
                }
                _ => {}
            }
        }
        let mut again = Mirror::default();
        changes(&store, 0).iter().for_each(|change| again.apply(change));
        again.hold(&store, &format!("seed {seed}"));
        assert!(store.verify().unwrap().is_clean());
    }
}

/// Whatever is kept or not: what is told is dense and leads to the store, and what is not is said to be gone.
#[test]
fn under_any_bound_the_feed_leads_to_the_store_or_says_that_it_cannot() {
    let mut truncated = 0;
    for seed in 100..100 + effort::of(4, 16) {
        let mut dice = Dice(seed);
        let disk = Disk::new([0, 1 << 20, 3 << 20][dice.below(3) as usize]);
        let mut store = disk.open(false);
        let (mut mirror, mut last) = (Mirror::default(), Lsn(0));
        for step in 0..300 {
            play(&store, &mut dice);
            if dice.below(30) == 0 {
                drop(store);
                store = disk.open(dice.below(2) == 0);
            }
            if dice.below(12) != 0 {
                continue;
            }
            let told = store.changes(last).and_then(|feed| feed.collect::<Result<Vec<_>, _>>());
            match told {
                Ok(told) => told.iter().for_each(|change| {
                    assert_eq!(change.lsn.0, last.0 + 1);
                    last = change.lsn;
                    mirror.apply(change);
                }),
                Err(error) => {
                    assert_eq!(error.code(), "FeedTruncated", "seed {seed}, step {step}: {error}");
                    truncated += 1;
                    (mirror, last) = (Mirror::of(&store), store.stats().lsn);
                }
            }
            mirror.hold(&store, &format!("seed {seed}, step {step}"));
            if dice.below(2) == 0 {
                store.set_cursor("me", last).unwrap();
                last = store.changes(last).unwrap().last().map_or(last, |change| change.unwrap().lsn);
            }
        }
    }
    assert!(truncated > effort::of(2, 10), "{truncated}");
}
