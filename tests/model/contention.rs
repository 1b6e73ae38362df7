//! Many threads on one store at once: no update is lost, nobody sees half a commit, one of many is first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use ossicle::{
    Bucket, CompactOptions, Durability, Entry, ErrorKind, PutOptions, ReadMode, Store, WriteOptions,
};

use crate::world::{World, small};

const THREADS: u64 = 4;

/// The kinds of store that everything here is tried on.
fn worlds() -> [World; 3] {
    [
        World::in_memory(small(ReadMode::Mapped)).with_background(),
        World::in_memory(small(ReadMode::Positioned)).with_background(),
        World::on_disk(small(ReadMode::Mapped)).with_background(),
    ]
}

fn buffered() -> WriteOptions {
    WriteOptions::new().durability(Durability::Buffered)
}

fn put(bucket: &Bucket, key: &str, body: &[u8]) {
    bucket.put_with(key, body, PutOptions::new().durability(Durability::Buffered)).unwrap();
}

fn number(row: Option<ossicle::Bytes>) -> u64 {
    row.map_or(0, |row| u64::from_le_bytes(row[..].try_into().unwrap()))
}

/// A little generator, so that every thread goes its own way and every run goes the same.
fn dice(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    }
}

#[test]
fn counters_lose_no_update() {
    const ROUNDS: u64 = 500;
    for world in worlds() {
        let store = world.open();
        let bucket = store.create_bucket("noise").unwrap();
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (store, bucket) = (&store, &bucket);
                scope.spawn(move || {
                    let mut dice = dice(thread + 1);
                    for round in 0..ROUNDS {
                        let counter = [dice(3) as u8];
                        let key = format!("k{}", dice(50));
                        let add = |tx: &mut ossicle::Transaction<'_>| {
                            let count = number(tx.row("counters", &counter)?);
                            let all = number(tx.row("counters", b"all")?);
                            tx.put_row("counters", &counter, &(count + 1).to_le_bytes())?;
                            tx.put_row("counters", b"all", &(all + 1).to_le_bytes())
                        };
                        store.write_with(buffered(), add).unwrap();
                        match round % 3 {
                            0 => put(bucket, &key, &vec![round as u8; dice(9000) as usize]),
                            1 => drop(bucket.delete_with(
                                &key,
                                ossicle::DeleteOptions::new().durability(Durability::Buffered),
                            )),
                            _ => drop(bucket.get(&key)),
                        }
                    }
                });
            }
        });
        let sum: u64 = (0..3).map(|counter| number(store.row("counters", &[counter]).unwrap())).sum();
        assert_eq!(sum, THREADS * ROUNDS);
        assert_eq!(number(store.row("counters", b"all").unwrap()), THREADS * ROUNDS);
        store.close().unwrap();
        assert_eq!(number(world.open().row("counters", b"all").unwrap()), THREADS * ROUNDS);
    }
}

/// Optimistic writers, who say what they have seen instead of holding the turn, lose no update either.
#[test]
fn conditional_puts_lose_no_update() {
    const ROUNDS: u64 = 150;
    for world in worlds() {
        let store = world.open();
        let bucket = store.create_bucket("counters").unwrap();
        put(&bucket, "n", b"0");
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..ROUNDS {
                        loop {
                            let object = bucket.get("n").unwrap();
                            let etag = object.meta().etag.clone();
                            let count: u64 =
                                str::from_utf8(&object.bytes().unwrap()).unwrap().parse().unwrap();
                            let options = PutOptions::new().if_match(etag).durability(Durability::Buffered);
                            match bucket.put_with("n", (count + 1).to_string(), options) {
                                Ok(_) => break,
                                Err(error) => assert_eq!(error.code(), "PreconditionFailed"),
                            }
                        }
                    }
                });
            }
        });
        let count = bucket.get("n").unwrap().bytes().unwrap();
        assert_eq!(count, (THREADS * ROUNDS).to_string());
    }
}

#[test]
fn of_many_who_create_a_key_exactly_one_does() {
    for world in worlds() {
        let store = world.open();
        let bucket = store.create_bucket("race").unwrap();
        let wins = AtomicU64::new(0);
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (bucket, wins) = (&bucket, &wins);
                scope.spawn(move || {
                    for key in 0..300 {
                        let options = PutOptions::new().if_absent().durability(Durability::Buffered);
                        // Every third body is long enough to be streamed.
                        let body = vec![thread as u8; if key % 3 == 0 { 5000 } else { 10 }];
                        match bucket.put_with(&format!("k{key}"), body, options) {
                            Ok(outcome) => {
                                wins.fetch_add(1, Ordering::Relaxed);
                                assert_eq!(bucket.head(&format!("k{key}")).unwrap().lsn, outcome.lsn);
                            }
                            Err(error) => assert_eq!(error.code(), "FileAlreadyExists"),
                        }
                    }
                });
            }
        });
        assert_eq!(wins.into_inner(), 300);
        assert_eq!(bucket.usage("").unwrap().objects, 300);
    }
}

#[test]
fn of_many_who_create_a_bucket_exactly_one_does() {
    let store = Store::in_memory().unwrap();
    let wins = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for name in 0..100 {
                    match store.create_bucket(&format!("bucket-{name}")) {
                        Ok(bucket) => {
                            wins.fetch_add(1, Ordering::Relaxed);
                            put(&bucket, "k", b"v");
                        }
                        Err(error) => assert_eq!(error.kind(), ErrorKind::AlreadyExists),
                    }
                }
            });
        }
    });
    assert_eq!(wins.into_inner(), 100);
    assert_eq!(store.usage().unwrap().objects, 100);
}

/// Runs `work` over and over in threads of its own until `main` has returned.
fn beside(works: &[&(dyn Fn() + Sync)], main: impl FnOnce()) {
    struct Ends<'a>(&'a AtomicBool);
    impl Drop for Ends<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Release);
        }
    }
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        // Even if something panics here, the others must learn that it is over.
        let _ends = Ends(&over);
        for work in works {
            let over = &over;
            scope.spawn(move || {
                loop {
                    work();
                    if over.load(Ordering::Acquire) {
                        return;
                    }
                }
            });
        }
        main();
    });
}

/// A transaction writes the same value under many keys, in two buckets and a row; nobody ever sees two values.
#[test]
fn readers_see_whole_commits_only() {
    const KEYS: u64 = 12;
    for world in worlds() {
        let store = world.open();
        let (left, right) = (store.create_bucket("left").unwrap(), store.create_bucket("right").unwrap());
        // Some bodies lie in their entry, some beside the commit, some are streamed.
        let body = |key: u64, value: u64| value.to_le_bytes().repeat([1, 100, 1000][key as usize % 3]);
        let write = |value: u64| {
            let work = |tx: &mut ossicle::Transaction<'_>| {
                for key in 0..KEYS {
                    tx.put(&left, &format!("k{key}"), body(key, value))?;
                    tx.put(&right, &format!("k{key}"), body(key + 1, value))?;
                }
                tx.put_row("t", b"value", &value.to_le_bytes())
            };
            store.write_with(buffered(), work).unwrap();
        };
        write(0);
        let value_of = |bytes: &[u8]| {
            let value = u64::from_le_bytes(bytes[..8].try_into().unwrap());
            assert!(bytes.chunks(8).all(|chunk| chunk == value.to_le_bytes()), "two values in one body");
            value
        };
        let look = || {
            let snapshot = store.snapshot().unwrap();
            let row = number(snapshot.row("t", b"value").unwrap());
            for name in ["left", "right"] {
                let bucket = snapshot.bucket(name).unwrap();
                let lsns: BTreeSet<_> =
                    bucket.list("").unwrap().map(|entry| lsn_of(entry.unwrap())).collect();
                assert_eq!(lsns.len(), 1, "objects of two commits");
                for key in 0..KEYS {
                    let bytes = bucket.get(&format!("k{key}")).unwrap().bytes().unwrap();
                    assert_eq!(value_of(&bytes), row, "two values in one snapshot");
                }
            }
        };
        // A listing is of one moment too.
        let list = || {
            let lsns: BTreeSet<_> = left.list("").unwrap().map(|entry| lsn_of(entry.unwrap())).collect();
            assert_eq!(lsns.len(), 1, "a listing of two moments");
            let usage = left.usage("").unwrap();
            assert_eq!(usage.objects, KEYS);
        };
        let maintain = || {
            store.checkpoint().unwrap();
            store.compact(CompactOptions::new()).unwrap();
        };
        beside(&[&look, &list, &maintain], || (1..=300).for_each(write));
        drop((left, right));
        assert!(store.verify().unwrap().is_clean());
    }
}

fn lsn_of(entry: Entry) -> u64 {
    match entry {
        Entry::Object(meta) => meta.lsn.0,
        other => panic!("no delimiter was given: {other:?}"),
    }
}

/// While some keys come and go, a listing has all the others, once and in order, and totals that fit.
#[test]
fn listings_hold_while_others_write() {
    for world in worlds() {
        let store = world.open();
        let bucket = store.create_bucket("list").unwrap();
        for key in 0..600 {
            put(&bucket, &format!("d{}/stays/{key:03}", key % 7), b"x");
        }
        let list = || {
            let names: Vec<String> =
                bucket.list("").unwrap().map(|entry| entry.unwrap().name().to_string()).collect();
            assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "out of order");
            assert_eq!(names.iter().filter(|name| name.contains("/stays/")).count(), 600);
        };
        let groups = || {
            let options = ossicle::ListOptions::new().delimiter("/");
            let groups: Vec<_> = bucket.list_with(options).unwrap().map(Result::unwrap).collect();
            let told: Vec<_> = (0..7).map(|group| Entry::Prefix(format!("d{group}/"))).collect();
            assert_eq!(groups, told);
        };
        let totals = || {
            let snapshot = store.snapshot().unwrap();
            let frozen = snapshot.bucket("list").unwrap();
            let counted = frozen.list("d3/").unwrap().count() as u64;
            assert_eq!(frozen.usage("d3/").unwrap().objects, counted);
        };
        let mut dice = dice(11);
        beside(&[&list, &groups, &totals], || {
            for round in 0..3000 {
                let key = format!("d{}/{}", dice(7), dice(100));
                match dice(3) {
                    0 => {
                        drop(bucket.delete_with(
                            &key,
                            ossicle::DeleteOptions::new().durability(Durability::Buffered),
                        ))
                    }
                    _ => put(&bucket, &key, &vec![round as u8; dice(200) as usize]),
                }
            }
        });
    }
}

/// Bodies are moved and segments removed under readers who are in the middle of them.
#[test]
fn what_is_read_stays_while_it_is_relocated() {
    for world in worlds() {
        let store = world.open();
        let bucket = store.create_bucket("moving").unwrap();
        let body = |key: u64, version: u64| {
            let mut body = vec![(key * 31 + version) as u8; 3000 + (key as usize % 5) * 4000];
            body[..8].copy_from_slice(&version.to_le_bytes());
            body
        };
        for key in 0..40 {
            put(&bucket, &format!("k{key}"), &body(key, 0));
        }
        let read = || {
            let held: BTreeMap<u64, _> =
                (0..40).map(|key| (key, bucket.get(&format!("k{key}")).unwrap())).collect();
            for (key, object) in held {
                let bytes = object.bytes().unwrap();
                let version = u64::from_le_bytes(bytes[..8].try_into().unwrap());
                assert!(bytes == body(key, version), "the body of k{key} is of no version");
            }
        };
        let maintain = || {
            store.maintain(std::time::Duration::from_millis(5)).unwrap();
            store.checkpoint().unwrap();
        };
        let mut dice = dice(5);
        beside(&[&read, &read, &maintain], || {
            for version in 1..2000 {
                let key = dice(40);
                if dice(4) == 0 {
                    // A rename there and back leaves bodies that their segment names by another key.
                    store
                        .write_with(buffered(), |tx| {
                            tx.rename(&bucket, &format!("k{key}"), &bucket, "between")?;
                            tx.rename(&bucket, "between", &bucket, &format!("k{key}"))
                        })
                        .unwrap();
                } else {
                    put(&bucket, &format!("k{key}"), &body(key, version));
                }
            }
            store.compact(CompactOptions::new().garbage_percent(0)).unwrap();
        });
        assert!(store.verify().unwrap().is_clean());
        assert!(store.stats().removed_segments > 0, "nothing was relocated: {:?}", store.stats());
    }
}
