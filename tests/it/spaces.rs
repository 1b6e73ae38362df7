//! Renamed and removed prefixes, forks and the retained past, against plain maps, in random order.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use ossicle::{
    Bucket, CompactOptions, Durability, ListOptions, Lsn, Maintenance, PutOptions, Settings, Store,
    VirtualClock,
};

use crate::effort;

type Plain = BTreeMap<String, Vec<u8>>;

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % n
    }

    fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.below(from.len() as u64) as usize]
    }
}

const DIRS: [&str; 8] = ["", "a/", "b/", "a/x/", "a/x/y/", "b/x/", "c/", "longer-name/"];

fn key(random: &mut Random) -> String {
    format!("{}{}", random.pick(&DIRS), random.below(12))
}

fn body(random: &mut Random) -> Vec<u8> {
    let len = [3, 50, 200, 5000][random.below(4) as usize];
    let byte = random.below(250) as u8;
    vec![byte; len + random.below(9) as usize]
}

fn same_keys(listed: &[String], plain: &Plain, what: &str) {
    let missing: Vec<_> = plain.keys().filter(|key| !listed.contains(key)).take(5).collect();
    let extra: Vec<_> = listed.iter().filter(|key| !plain.contains_key(*key)).take(5).collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "{what}: {missing:?} are missing, {extra:?} are too much"
    );
    assert!(listed.is_sorted() && listed.len() == plain.len(), "{what}: the order of the keys");
}

fn compare(bucket: &Bucket, plain: &Plain, what: &str) {
    let listed: Vec<String> =
        bucket.list("").unwrap().map(|entry| entry.unwrap().name().to_string()).collect();
    same_keys(&listed, plain, what);
    let mut down: Vec<String> = bucket
        .list_with(ListOptions::new().descending())
        .unwrap()
        .map(|entry| entry.unwrap().name().to_string())
        .collect();
    down.reverse();
    assert_eq!(down, listed, "{what}: the keys backwards");
    for (key, body) in plain {
        assert_eq!(&bucket.get(key).unwrap().bytes().unwrap()[..], &body[..], "{what}: the body of {key}");
    }
    for dir in DIRS {
        let under: Vec<_> = plain.iter().filter(|(key, _)| key.starts_with(dir)).collect();
        let usage = bucket.usage(dir).unwrap();
        let bytes: usize = under.iter().map(|(_, body)| body.len()).sum();
        assert_eq!(
            (usage.objects, usage.bytes),
            (under.len() as u64, bytes as u64),
            "{what}: usage of {dir:?}"
        );
        let mut groups: Vec<String> = Vec::new();
        for key in under.iter().map(|(key, _)| &key[dir.len()..]) {
            let name = key.find('/').map_or(key, |at| &key[..=at]);
            if groups.last().is_none_or(|last| *last != format!("{dir}{name}")) {
                groups.push(format!("{dir}{name}"));
            }
        }
        let rolled: Vec<String> = bucket
            .list_with(ListOptions::new().prefix(dir).delimiter("/"))
            .unwrap()
            .map(|entry| entry.unwrap().name().to_string())
            .collect();
        assert_eq!(rolled, groups, "{what}: the groups of {dir:?}");
    }
}

fn rename(plain: &mut Plain, old: &str, new: &str) {
    if old == new {
        return;
    }
    let moved: Vec<_> = plain.extract_if(.., |key, _| key.starts_with(old)).collect();
    plain.extend(moved.into_iter().map(|(key, body)| (format!("{new}{}", &key[old.len()..]), body)));
}

struct World {
    store: Store,
    clock: VirtualClock,
    dir: tempfile::TempDir,
    settings: Settings,
    buckets: BTreeMap<String, Plain>,
    past: Vec<(Lsn, BTreeMap<String, Plain>)>,
}

impl World {
    fn new(history: bool) -> World {
        let dir = tempfile::tempdir().unwrap();
        let clock = VirtualClock::at(std::time::UNIX_EPOCH + Duration::from_secs(1_000_000));
        let settings = Settings {
            history: history.then(|| Duration::from_secs(3600)),
            packed_max: 4096,
            segment_size: 1 << 20,
            delta_bytes: 64 << 10,
            reserve_bytes: 0,
            ..Settings::default()
        };
        let store = open(&dir, &clock, &settings, false);
        store.create_bucket("root").unwrap();
        let buckets = BTreeMap::from([("root".to_string(), Plain::new())]);
        World { store, clock, dir, settings, buckets, past: Vec::new() }
    }

    fn step(&mut self, random: &mut Random, small: bool) -> String {
        let names: Vec<String> = self.buckets.keys().cloned().collect();
        let name = names[random.below(names.len() as u64) as usize].clone();
        let bucket = self.store.bucket(&name).unwrap();
        let plain = self.buckets.get_mut(&name).unwrap();
        self.clock.advance(Duration::from_millis(random.below(2000)));
        match random.below(if small { 30 } else { 34 }) {
            0..10 => {
                let (key, body) = (key(random), body(random));
                let buffered = PutOptions::new().durability(Durability::Buffered);
                bucket.put_with(&key, &body, buffered).unwrap();
                plain.insert(key.clone(), body);
                format!("put {name} {key}")
            }
            10..13 => {
                let key = key(random);
                bucket.delete(&key).unwrap();
                plain.remove(&key);
                format!("delete {name} {key}")
            }
            13..16 => {
                let prefix = random.pick(&DIRS);
                let done = bucket.delete_prefix(prefix).unwrap();
                let gone = plain.extract_if(.., |key, _| key.starts_with(prefix)).count();
                assert_eq!(done.objects, gone as u64);
                format!("delete_prefix {name} {prefix}")
            }
            16..20 => {
                let (old, new) = (random.pick(&DIRS), random.pick(&DIRS));
                bucket.rename_prefix(old, new).unwrap();
                rename(plain, old, new);
                format!("rename_prefix {name} {old} {new}")
            }
            20..22 => {
                let fork = format!("fork-{}", random.below(4));
                let copy = plain.clone();
                if self.buckets.contains_key(&fork) {
                    self.store.delete_bucket(&fork).unwrap();
                    self.buckets.remove(&fork);
                    return format!("drop {fork}");
                }
                self.store.fork_bucket(&name, &fork).unwrap();
                self.buckets.insert(fork.clone(), copy);
                format!("fork {name} {fork}")
            }
            22..25 => {
                let (from, to) = (key(random), key(random));
                let other = names[random.below(names.len() as u64) as usize].clone();
                let target = self.store.bucket(&other).unwrap();
                let copied = target.copy_from(&bucket, &from, &to, Default::default());
                match self.buckets[&name].get(&from).cloned() {
                    Some(body) => {
                        copied.unwrap();
                        self.buckets.get_mut(&other).unwrap().insert(to.clone(), body);
                    }
                    None => assert_eq!(copied.unwrap_err().code(), "NoSuchKey"),
                }
                format!("copy {name} {from} {other} {to}")
            }
            25..27 => {
                let (from, to) = (key(random), key(random));
                if plain.contains_key(&from) {
                    bucket.rename(&from, &to).unwrap();
                    let body = plain.remove(&from).unwrap();
                    plain.insert(to.clone(), body);
                }
                format!("rename {name} {from} {to}")
            }
            27..30 => {
                self.store.maintain(Duration::from_millis(random.below(3))).unwrap();
                "maintain".to_string()
            }
            30 => {
                self.store.checkpoint().unwrap();
                "checkpoint".to_string()
            }
            31 => {
                self.store.compact(CompactOptions::new()).unwrap();
                "compact".to_string()
            }
            _ => {
                self.store.close().unwrap();
                self.store = open(&self.dir, &self.clock, &self.settings, random.below(2) == 0);
                "reopen".to_string()
            }
        }
    }

    fn compare(&self, what: &str) {
        for (name, plain) in &self.buckets {
            compare(&self.store.bucket(name).unwrap(), plain, &format!("{what}: {name}"));
        }
    }

    fn compare_past(&self, what: &str) {
        for (lsn, buckets) in &self.past {
            let then = self.store.as_of(*lsn).unwrap();
            assert_eq!(then.lsn(), *lsn);
            for (name, plain) in buckets {
                let bucket = then.bucket(name).unwrap_or_else(|e| panic!("{what}: {name} as of {lsn}: {e}"));
                let listed: Vec<String> =
                    bucket.list("").unwrap().map(|entry| entry.unwrap().name().to_string()).collect();
                same_keys(&listed, plain, &format!("{what}: {name} as of {lsn}"));
                for (key, body) in plain {
                    let got = bucket.get(key).unwrap().bytes().unwrap();
                    assert_eq!(&got[..], &body[..], "{what}: {name} {key} as of {lsn}");
                }
                let bytes: usize = plain.values().map(Vec::len).sum();
                assert_eq!(bucket.usage("").unwrap().bytes, bytes as u64, "{what}: {name} as of {lsn}");
            }
        }
    }
}

fn open(dir: &tempfile::TempDir, clock: &VirtualClock, settings: &Settings, rebuild: bool) -> Store {
    Store::builder(dir.path())
        .settings(settings.clone())
        .clock(clock.clone())
        .maintenance(Maintenance::Manual)
        .rebuild_index(rebuild)
        .open()
        .unwrap()
}

/// Whatever was forked, moved and removed: when all is gone, no row and no byte of it is left.
fn empty_out(world: World) {
    let World { store, clock, buckets, .. } = world;
    for name in buckets.keys().filter(|name| *name != "root") {
        store.delete_bucket(name).unwrap();
    }
    let root = store.bucket("root").unwrap();
    root.delete_prefix("").unwrap();
    clock.advance(Duration::from_secs(7200));
    store.maintain(Duration::from_secs(5)).unwrap();
    store.compact(CompactOptions::new()).unwrap();
    store.delete_bucket("root").unwrap();
    // What these commits have superseded is past, too.
    for _ in 0..3 {
        clock.advance(Duration::from_secs(7200));
        store.compact(CompactOptions::new()).unwrap();
    }
    let report = store.verify().unwrap();
    assert!(report.is_clean(), "{report:?}");
    let stats = store.stats();
    assert!(report.entries < 40, "{} rows are left", report.entries);
    // Tombstones stay until no log segment can hold what they hide.
    assert!(stats.live_bytes < 256 << 10, "{} bytes are left in {} rows", stats.live_bytes, report.entries);
}

fn play(seed: u64, steps: usize, history: bool) {
    let mut random = Random(seed.wrapping_mul(0x9E3779B97F4A7C15) + 1);
    let mut world = World::new(history);
    // Enough under each prefix that it is moved and removed by the route and not key by key.
    let root = world.store.bucket("root").unwrap();
    for dir in DIRS {
        for n in 0..70 {
            let key = format!("{dir}filler-{n}");
            let buffered = PutOptions::new().durability(Durability::Buffered);
            root.put_with(&key, key.as_bytes(), buffered).unwrap();
            world.buckets.get_mut("root").unwrap().insert(key.clone(), key.into_bytes());
        }
    }
    let mut told = Vec::new();
    for n in 0..steps {
        told.push(world.step(&mut random, n % 7 != 0));
        if n % 5 == 0 {
            let what = format!("seed {seed}, step {n}, after {:?}", &told[told.len().saturating_sub(12)..]);
            world.compare(&what);
            if history && n % 20 == 0 {
                world.compare_past(&what);
            }
        }
        if history && n % 9 == 0 {
            let lsn = world.store.snapshot().unwrap().lsn();
            world.past.push((lsn, world.buckets.clone()));
        }
    }
    let report = world.store.verify().unwrap();
    assert!(report.is_clean(), "seed {seed}: {report:?}");
    empty_out(world);
}

/// The histories that are played: so many in a sample, or all; more on request.
fn seeds(sample: u64, whole: u64) -> Range<u64> {
    let first = effort::seed() - 1;
    first..first + effort::number("OSSICLE_SPACES_SEEDS", sample, whole)
}

#[test]
fn prefixes_and_forks_are_as_if_every_key_were_moved() {
    seeds(2, 6).for_each(|seed| play(seed, 150, false));
}

#[test]
fn every_retained_moment_stays_as_it_was() {
    seeds(1, 3).for_each(|seed| play(1000 + seed, 120, true));
}

/// A note of what was done is no change by itself.
#[test]
fn deleting_what_is_not_there_is_no_commit_in_a_fork_either() {
    let store = Store::in_memory().unwrap();
    store.create_bucket("root").unwrap();
    let fork = store.fork_bucket("root", "fork").unwrap();
    let before = store.stats().lsn;
    fork.delete("a").unwrap();
    fork.delete_many(["b", "c"]).unwrap();
    store
        .write(|tx| {
            tx.put(&fork, "d", b"1")?;
            tx.delete(&fork, "d")
        })
        .unwrap();
    assert_eq!(store.stats().lsn, before);
}

/// Two buckets that one commit writes to are not the same for that.
#[test]
fn what_one_commit_wrote_into_both_buckets_differs() {
    let store = Store::in_memory().unwrap();
    let root = store.create_bucket("root").unwrap();
    let fork = store.fork_bucket("root", "fork").unwrap();
    store
        .write(|tx| {
            tx.put(&root, "a", b"1")?;
            tx.put(&fork, "a", b"2")
        })
        .unwrap();
    assert_eq!(fork.diff(&root).unwrap().count(), 1);
}

/// The keys of rows are hashed in the past, which orders them anew; the buckets before them are still told apart.
#[test]
fn the_past_of_buckets_is_read_beside_that_of_rows() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { history: Some(Duration::from_secs(3600)), ..Settings::default() };
    let store =
        Store::builder(dir.path()).settings(settings).maintenance(Maintenance::Manual).open().unwrap();
    store.create_bucket("root").unwrap().put("a", b"1").unwrap();
    let write = |value: &[u8]| {
        let rows = |tx: &mut ossicle::Transaction<'_>| {
            (0u32..20).try_for_each(|n| tx.put_row("t", &n.to_be_bytes(), value))
        };
        store.write(rows).unwrap();
    };
    write(b"old");
    let then = store.snapshot().unwrap().lsn();
    write(b"new");
    store.create_bucket("other").unwrap();
    let past = store.as_of(then).unwrap();
    assert_eq!(past.usage().unwrap().objects, 1);
    assert_eq!(past.row("t", &3u32.to_be_bytes()).unwrap().as_deref(), Some(&b"old"[..]));
}

/// Renaming may make keys that nobody could write; one by one they are refused, and as a whole prefix as well.
#[test]
fn a_prefix_is_not_renamed_where_a_key_would_be_none() {
    let store = Store::in_memory().unwrap();
    let bucket = store.create_bucket("root").unwrap();
    let buffered = || PutOptions::new().durability(Durability::Buffered);
    for n in 0..100 {
        bucket.put_with(&format!("a/{n}"), b"1", buffered()).unwrap();
    }
    bucket.put_with(&format!("a/{}", "k".repeat(1000)), b"1", buffered()).unwrap();
    bucket.put_with("a//x", b"1", buffered()).unwrap();
    for bad in ["", "a/longer-by-twenty-bytes/"] {
        let refused = bucket.rename_prefix("a/", bad).unwrap_err();
        assert_eq!(refused.code(), "InvalidObjectName", "{bad:?}");
    }
    bucket.rename_prefix("a/", "b/").unwrap();
    assert_eq!(bucket.usage("b/").unwrap().objects, 102);
    // Not even looked for, or marked as deleted.
    bucket.set_config(&ossicle::Versioning::Enabled).unwrap();
    assert_eq!(bucket.delete(&"k".repeat(2000)).unwrap_err().code(), "InvalidObjectName");
}

/// Among objects that are there already, versions stay behind, and they count.
#[test]
fn renaming_a_prefix_among_others_keeps_to_the_quota() {
    let store = Store::in_memory().unwrap();
    let bucket = store.create_bucket("root").unwrap();
    bucket.set_config(&ossicle::Versioning::Enabled).unwrap();
    bucket.put("a/1", b"1").unwrap();
    bucket.put("b/2", b"2").unwrap();
    bucket.set_config(&ossicle::Quota { objects: Some(2), bytes: None }).unwrap();
    assert_eq!(bucket.rename_prefix("a/", "b/").unwrap_err().code(), "QuotaExceeded");
    assert!(bucket.exists("a/1").unwrap() && !bucket.exists("b/1").unwrap());
    bucket.set_config(&ossicle::Quota { objects: Some(3), bytes: None }).unwrap();
    assert_eq!(bucket.rename_prefix("a/", "b/").unwrap().objects, 1);
}
