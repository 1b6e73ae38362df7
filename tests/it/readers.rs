//! Readers beside a writer: what they see, what is kept for them, and what becomes of them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ossicle::{
    Bucket, CompactOptions, DeleteOptions, Durability, ErrorKind, LockMode, Lsn, Maintenance, MemoryVfs,
    PutOptions, ReadMode, RealVfs, Settings, Site, Snapshot, Store, StoreBuilder, Vfs, VirtualClock,
};

use crate::{ARGUMENT, argument, assert_reads_well, effort, read};

type Objects = BTreeMap<String, Vec<u8>>;

/// Small bounds, so that little work meets checkpoints, new segments and relocation.
fn settings(read_mode: ReadMode) -> Settings {
    Settings {
        chunk_size: 4096,
        packed_max: 4096,
        segment_size: 1 << 20,
        delta_bytes: 64 << 10,
        checkpoint_log_bytes: 1 << 20,
        reserve_bytes: 0,
        read_mode,
        ..Settings::default()
    }
}

/// A place for a store, on a disk that writers and readers share.
#[derive(Clone)]
struct Place {
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
    mode: ReadMode,
}

impl Place {
    fn builder(&self) -> StoreBuilder {
        let builder = Store::builder(&self.dir).vfs(self.vfs.clone()).settings(settings(self.mode));
        builder.maintenance(Maintenance::Manual)
    }

    fn writer(&self) -> Store {
        self.builder().open().unwrap()
    }

    fn reader(&self) -> Store {
        self.builder().read_only(true).open().unwrap()
    }

    fn registered(&self) -> usize {
        self.vfs.list(&self.dir.join("readers"), Site::READERS).map_or(0, |names| names.len())
    }
}

/// The real disk and the one in memory, read in both ways.
fn places(temp: &Path) -> Vec<Place> {
    let mut places = Vec::new();
    for (name, mode) in [("mapped", ReadMode::Mapped), ("positioned", ReadMode::Positioned)] {
        places.push(Place { vfs: Arc::new(RealVfs::new()), dir: temp.join(name), mode });
        places.push(Place { vfs: Arc::new(MemoryVfs::new()), dir: "/store".into(), mode });
    }
    places
}

/// Numbers that look random.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    fn body(&mut self) -> Vec<u8> {
        let len = [0, 30, 700, 3000, 9000, 60_000][self.below(6) as usize];
        vec![self.below(256) as u8; len]
    }
}

fn now(store: &Store) -> Lsn {
    store.stats().lsn
}

fn buffered() -> PutOptions {
    PutOptions::new().durability(Durability::Buffered)
}

/// All objects of the bucket `cats`; nothing if there is no such bucket yet.
fn all(snapshot: &Snapshot) -> Objects {
    let Ok(bucket) = snapshot.bucket("cats") else { return Objects::new() };
    let listed = bucket.list("").unwrap().map(|entry| entry.unwrap().name().to_string());
    listed.map(|key| (key.clone(), bucket.get(&key).unwrap().bytes().unwrap().to_vec())).collect()
}

fn same(seen: &Objects, expected: &Objects, what: &str) {
    let keys = |objects: &Objects| objects.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(seen), keys(expected), "{what}");
    for (key, body) in expected {
        assert!(seen[key] == *body, "{what}: {key} has other bytes");
    }
}

#[test]
fn a_reader_sees_what_is_durable_when_it_is_refreshed() {
    let temp = tempfile::tempdir().unwrap();
    for place in places(temp.path()) {
        let writer = place.writer();
        let reader = place.reader();
        assert_eq!(reader.snapshot().unwrap().lsn(), now(&writer));
        let cats = writer.create_bucket("cats").unwrap();
        assert!(reader.bucket("cats").unwrap_err().is_not_found(), "not before it is refreshed");
        assert_eq!(reader.refresh().unwrap(), now(&writer));
        let seen = reader.bucket("cats").unwrap();
        cats.put("synced", "1").unwrap();
        cats.put_with("buffered", "2", buffered()).unwrap();
        let durable = reader.refresh().unwrap();
        assert_eq!(durable, Lsn(now(&writer).0 - 1));
        assert_eq!(read(&seen, "synced"), b"1");
        assert!(!seen.exists("buffered").unwrap(), "it could still be lost");
        let other = place.reader();
        assert!(!other.bucket("cats").unwrap().exists("buffered").unwrap());
        writer.flush().unwrap();
        assert_eq!(reader.refresh().unwrap(), now(&writer));
        assert_eq!(read(&seen, "buffered"), b"2");
        assert_eq!(reader.refresh().unwrap(), now(&writer), "and nothing changes without a commit");
        assert_eq!(seen.put("a", "b").unwrap_err().kind(), ErrorKind::Denied);
        assert!(reader.verify().unwrap().is_clean());
        assert_eq!(writer.refresh().unwrap(), now(&writer), "a writer is always up to date");
        reader.close().unwrap();
        assert_eq!(reader.refresh().unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(place.registered(), 1, "closing ends the registration of one of the two");
    }
}

/// A writer at work, and the states that it has gone through.
struct Churn {
    place: Place,
    store: Option<Store>,
    dice: Dice,
    model: Objects,
    states: BTreeMap<Lsn, Objects>,
    /// The last commit that is durable for certain.
    durable: Lsn,
}

impl Churn {
    fn begin(place: &Place, seed: u64) -> Churn {
        let store = place.writer();
        store.create_bucket("cats").unwrap();
        let durable = now(&store);
        let states = BTreeMap::from([(Lsn(0), Objects::new()), (durable, Objects::new())]);
        let (dice, model) = (Dice(seed), Objects::new());
        Churn { place: place.clone(), store: Some(store), dice, model, states, durable }
    }

    fn store(&self) -> Store {
        self.store.clone().unwrap()
    }

    fn bucket(&self) -> Bucket {
        self.store().bucket("cats").unwrap()
    }

    fn step(&mut self) {
        let store = self.store();
        let bucket = self.bucket();
        let key = format!("k{:02}", self.dice.below(40));
        let durability = if self.dice.below(2) == 0 { Durability::Synced } else { Durability::Buffered };
        let mut is_durable = durability == Durability::Synced;
        match self.dice.below(100) {
            0..55 => {
                let body = self.dice.body();
                bucket.put_with(&key, body.clone(), PutOptions::new().durability(durability)).unwrap();
                self.model.insert(key, body);
            }
            55..75 => {
                bucket.delete_with(&key, DeleteOptions::new().durability(durability)).unwrap();
                self.model.remove(&key);
            }
            75..82 => {
                let to = format!("k{:02}", self.dice.below(40));
                if to != key && self.model.contains_key(&key) {
                    bucket.rename(&key, &to).unwrap();
                    let body = self.model.remove(&key).unwrap();
                    self.model.insert(to, body);
                }
                is_durable = false;
            }
            82..88 => {
                store.flush().unwrap();
                is_durable = true;
            }
            88..95 => {
                store.checkpoint().unwrap();
                is_durable = true;
            }
            95..98 => {
                store.maintain(std::time::Duration::from_millis(5)).unwrap();
                is_durable = false;
            }
            98 => {
                store.compact(CompactOptions::new()).unwrap();
                is_durable = false;
            }
            _ => {
                drop((bucket, store));
                self.store.take().unwrap().close().unwrap();
                self.store = Some(self.place.writer());
                is_durable = true;
            }
        }
        let lsn = now(&self.store());
        self.states.insert(lsn, self.model.clone());
        if is_durable {
            self.durable = lsn;
        }
    }

    /// The state that a reader must have that says `lsn`.
    fn at(&self, lsn: Lsn) -> &Objects {
        self.states.range(..=lsn).next_back().unwrap().1
    }
}

#[test]
fn at_each_refresh_a_reader_sees_a_durable_prefix_and_old_snapshots_stay() {
    let temp = tempfile::tempdir().unwrap();
    for (seed, place) in places(temp.path()).into_iter().enumerate() {
        let mut churn = Churn::begin(&place, seed as u64 + 1);
        let reader = place.reader();
        let mut kept: Vec<(Snapshot, Lsn)> = Vec::new();
        let mut object = None;
        for round in 0..effort::of(300, 1500_u64) {
            churn.step();
            let lsn = if round % 3 == 0 { reader.refresh().unwrap() } else { continue };
            assert!(churn.durable <= lsn && lsn <= now(&churn.store()), "round {round}: {lsn:?}");
            let snapshot = reader.snapshot().unwrap();
            assert_eq!(snapshot.lsn(), lsn);
            same(&all(&snapshot), churn.at(lsn), &format!("round {round}"));
            match churn.dice.below(30) {
                0 => kept.push((snapshot, lsn)),
                1 if kept.len() > 3 => drop(kept.remove(0)),
                2 => assert!(reader.verify().unwrap().is_clean(), "round {round}"),
                3 => {
                    let fresh = place.reader();
                    let lsn = fresh.snapshot().unwrap().lsn();
                    assert!(churn.durable <= lsn, "round {round}");
                    same(&all(&fresh.snapshot().unwrap()), churn.at(lsn), &format!("opened in {round}"));
                }
                4 if object.is_none() => {
                    let key = churn.at(lsn).keys().next().cloned();
                    object = key.map(|key| (reader.bucket("cats").unwrap().get(&key).unwrap(), lsn, key));
                }
                _ => {}
            }
            for (snapshot, lsn) in &kept {
                same(&all(snapshot), churn.at(*lsn), &format!("round {round}, snapshot of {lsn:?}"));
            }
        }
        let (object, lsn, key) = object.unwrap();
        assert!(object.bytes().unwrap()[..] == churn.at(lsn)[&key][..], "an object stays what it was");
        assert!(churn.store().verify().unwrap().is_clean());
    }
}

/// Grows the index to some hundred pages and changes all of it.
fn rewrite_index(store: &Store, round: u64) {
    let bucket = store.bucket("cats").unwrap();
    store
        .write(|tx| {
            (0..2000)
                .try_for_each(|n| tx.put(&bucket, &format!("{n:05}-{}", "x".repeat(200)), round.to_string()))
        })
        .unwrap();
    store.checkpoint().unwrap();
}

#[test]
fn a_snapshot_in_a_reader_stays_over_many_checkpoints_and_a_new_writer() {
    let temp = tempfile::tempdir().unwrap();
    for place in places(temp.path()) {
        let mut writer = place.writer();
        writer.create_bucket("cats").unwrap();
        rewrite_index(&writer, 0);
        writer.compact(CompactOptions::new()).unwrap();
        let lean = writer.stats().disk_bytes;
        let reader = place.reader();
        let old = reader.snapshot().unwrap();
        let expected = all(&old);
        assert_eq!(expected.len(), 2000);
        for round in 1..12 {
            rewrite_index(&writer, round);
            writer.compact(CompactOptions::new()).unwrap();
            if round % 4 == 0 {
                // The new writer knows nothing of the old one's trees.
                writer.close().unwrap();
                writer = place.writer();
            }
            reader.refresh().unwrap();
            let newest = all(&reader.snapshot().unwrap());
            assert!(newest.values().all(|body| *body == round.to_string().into_bytes()), "round {round}");
            same(&all(&old), &expected, &format!("round {round}"));
        }
        // What was kept for the snapshot comes back, and is used again.
        drop(old);
        reader.refresh().unwrap();
        for round in 0..3 {
            rewrite_index(&writer, round);
            writer.compact(CompactOptions::new()).unwrap();
            reader.refresh().unwrap();
        }
        let now = writer.stats().disk_bytes;
        assert!(now < lean * 5 / 4, "{now} bytes, and {lean} before anything was kept");
        assert!(reader.verify().unwrap().is_clean() && writer.verify().unwrap().is_clean());
    }
}

#[test]
fn an_idle_reader_keeps_only_what_it_may_use() {
    let place = places(Path::new("/nowhere")).remove(1);
    let writer = place.writer();
    let bucket = writer.create_bucket("cats").unwrap();
    bucket.put("big", vec![1; 3 << 20]).unwrap();
    writer.checkpoint().unwrap();
    let reader = place.reader();
    bucket.delete("big").unwrap();
    writer.compact(CompactOptions::new()).unwrap();
    let files = || place.vfs.list(&place.dir.join("bulk/0"), Site::STORE_LIST).unwrap().len();
    let held = files();
    assert_eq!(reader.bucket("cats").unwrap().get("big").unwrap().bytes().unwrap().len(), 3 << 20);
    reader.refresh().unwrap();
    writer.compact(CompactOptions::new()).unwrap();
    assert!(files() < held, "{} of {held} bulk segments are left", files());
}

/// A child process that runs one test of this binary with `argument`, and its lines.
fn child(test: &str, argument: &str) -> (Child, impl Iterator<Item = String>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(ARGUMENT, argument)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines.map_while(Result::ok))
}

fn say(line: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "\n{line}").unwrap();
    out.flush().unwrap();
}

#[test]
fn a_reader_in_another_process_sees_what_was_acknowledged_and_survives_the_writer() {
    let name = "readers::a_reader_in_another_process_sees_what_was_acknowledged_and_survives_the_writer";
    if let Some(path) = argument() {
        // The writer: says what has been acknowledged, until somebody kills it.
        let store = Store::builder(path).settings(settings(ReadMode::Mapped)).open().unwrap();
        let bucket = store.bucket("cats").or_else(|_| store.create_bucket("cats")).unwrap();
        for number in bucket.usage("").unwrap().objects.. {
            let key = format!("{number:08}");
            bucket.put(&key, vec![number as u8; (number % 7 * 1500) as usize]).unwrap();
            if number % 50 == 49 {
                store.checkpoint().unwrap();
            }
            say(&format!("done {number}"));
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let place =
        Place { vfs: Arc::new(RealVfs::new()), dir: dir.path().join("store"), mode: ReadMode::Mapped };
    place.writer().close().unwrap();
    let reader = place.reader();
    let mut last = 0;
    for round in 0..4 {
        let (mut child, lines) = child(name, place.dir.to_str().unwrap());
        let done = lines.filter_map(|line| line.strip_prefix("done ")?.parse::<u64>().ok());
        for number in done.take(150) {
            reader.refresh().unwrap();
            let bucket = reader.bucket("cats").unwrap();
            let usage = bucket.usage("").unwrap();
            assert!(
                usage.objects > number,
                "round {round}: {number} was acknowledged, {} are seen",
                usage.objects
            );
            assert_eq!(
                read(&bucket, &format!("{number:08}")),
                vec![number as u8; (number % 7 * 1500) as usize]
            );
            last = number;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // Nobody writes now, and what was acknowledged is there.
        reader.refresh().unwrap();
        let bucket = reader.bucket("cats").unwrap();
        assert!(bucket.usage("").unwrap().objects > last);
        assert_eq!(now(&place.reader()), now(&reader));
        assert!(reader.verify().unwrap().is_clean());
    }
    // A writer in this process, beside the reader that was there before it.
    let writer = place.writer();
    writer.bucket("cats").unwrap().put("here", "1").unwrap();
    reader.refresh().unwrap();
    assert_eq!(read(&reader.bucket("cats").unwrap(), "here"), b"1");
    assert!(writer.verify().unwrap().is_clean());
}

#[test]
fn a_killed_reader_does_not_hold_space_for_ever() {
    let name = "readers::a_killed_reader_does_not_hold_space_for_ever";
    if let Some(path) = argument() {
        let reader = Store::builder(path).read_only(true).open().unwrap();
        let _snapshot = reader.snapshot().unwrap();
        say("reading");
        loop {
            std::thread::park();
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let place =
        Place { vfs: Arc::new(RealVfs::new()), dir: dir.path().join("store"), mode: ReadMode::Mapped };
    let writer = place.writer();
    let bucket = writer.create_bucket("cats").unwrap();
    bucket.put("big", vec![1; 3 << 20]).unwrap();
    writer.checkpoint().unwrap();
    let (mut child, mut lines) = child(name, place.dir.to_str().unwrap());
    assert!(lines.any(|line| line == "reading"));
    bucket.delete("big").unwrap();
    writer.compact(CompactOptions::new()).unwrap();
    let bulk = || fs::read_dir(place.dir.join("bulk/0")).unwrap().count();
    let held = bulk();
    assert_eq!(place.registered(), 1);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(place.registered(), 1, "it could not say goodbye");
    writer.checkpoint().unwrap();
    assert_eq!(place.registered(), 0);
    assert!(bulk() < held, "{} of {held} bulk segments are left", bulk());
}

#[test]
fn files_that_are_no_readers_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let place =
        Place { vfs: Arc::new(RealVfs::new()), dir: dir.path().join("store"), mode: ReadMode::Mapped };
    let writer = place.writer();
    fs::create_dir(place.dir.join("readers")).unwrap();
    for name in ["letter.txt", "0123456789abcdef0123456789abcdeF", "0123456789abcdef0123456789abcdef"] {
        fs::write(place.dir.join("readers").join(name), b"").unwrap();
    }
    writer.create_bucket("cats").unwrap();
    writer.checkpoint().unwrap();
    assert_eq!(place.registered(), 2, "what looks like a dead reader goes, and nothing else");
}

#[test]
fn readers_come_and_go_while_writers_open_and_close() {
    let dir = tempfile::tempdir().unwrap();
    let place =
        Place { vfs: Arc::new(RealVfs::new()), dir: dir.path().join("store"), mode: ReadMode::Mapped };
    let writer = place.writer();
    writer.create_bucket("cats").unwrap();
    writer.close().unwrap();
    let (over, synced) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for stays in [true, false] {
            let (place, over, synced) = (&place, &over, &synced);
            scope.spawn(move || {
                let mut reader = place.reader();
                while !over.load(Ordering::Acquire) {
                    let before = synced.load(Ordering::Acquire);
                    if stays {
                        reader.refresh().unwrap();
                    } else {
                        reader = place.reader();
                    }
                    let objects = reader.bucket("cats").unwrap().usage("").unwrap().objects;
                    assert!(objects >= before, "{before} were acknowledged, {objects} are seen");
                }
            });
        }
        for round in 0..40_u64 {
            let writer = place.builder().maintenance(Maintenance::Background).open().unwrap();
            let bucket = writer.bucket("cats").unwrap();
            for number in 0..20 {
                let number = round * 20 + number;
                bucket.put(&format!("{number}"), vec![7; (number % 3 * 3000) as usize]).unwrap();
                synced.store(number + 1, Ordering::Release);
            }
            if round % 2 == 0 {
                writer.close().unwrap();
            }
        }
        over.store(true, Ordering::Release);
    });
    assert_eq!(place.registered(), 0);
}

#[test]
fn a_reader_beside_a_busy_writer_is_never_behind() {
    let dir = tempfile::tempdir().unwrap();
    let place =
        Place { vfs: Arc::new(RealVfs::new()), dir: dir.path().join("store"), mode: ReadMode::Mapped };
    let writer = place.builder().maintenance(Maintenance::Background).open().unwrap();
    let bucket = writer.create_bucket("cats").unwrap();
    let synced: Vec<AtomicU64> = (0..3).map(|_| AtomicU64::new(0)).collect();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for (who, synced) in synced.iter().enumerate() {
            let (bucket, over) = (bucket.clone(), &over);
            scope.spawn(move || {
                for number in 1..=400_u64 {
                    bucket.put(&format!("{who}"), number.to_string()).unwrap();
                    synced.store(number, Ordering::Release);
                    bucket.put_with(&format!("waste{who}"), vec![1; 20_000], buffered()).unwrap();
                }
                over.store(true, Ordering::Release);
            });
        }
        let reader = place.reader();
        let mut last = [0; 3];
        while !over.load(Ordering::Acquire) {
            let before: Vec<u64> = synced.iter().map(|synced| synced.load(Ordering::Acquire)).collect();
            reader.refresh().unwrap();
            let bucket = reader.bucket("cats").unwrap();
            for (who, before) in before.into_iter().enumerate() {
                let seen = bucket.get(&who.to_string()).and_then(ossicle::Object::bytes);
                let seen = seen.map_or(0, |bytes| String::from_utf8_lossy(&bytes).parse::<u64>().unwrap());
                assert!(seen >= before && seen >= last[who], "{seen}, {before} acknowledged");
                last[who] = seen;
            }
        }
    });
}

#[test]
fn readers_open_while_the_index_file_is_exchanged() {
    const KEYS: u64 = 6000;
    let dir = tempfile::tempdir().unwrap();
    let place =
        Place { vfs: Arc::new(RealVfs::new()), dir: dir.path().join("store"), mode: ReadMode::Mapped };
    let writer = place.writer();
    let bucket = writer.create_bucket("cats").unwrap();
    let key = |number: u64| format!("{number:05}-{}", "x".repeat(200));
    let (over, seen) = (AtomicBool::new(false), AtomicU64::new(0));
    let index_file = || place.dir.join("index.tree").exists();
    let mut exchanged = 0;
    std::thread::scope(|scope| {
        for stays in [true, false] {
            let (place, over, seen) = (&place, &over, &seen);
            scope.spawn(move || {
                let mut reader = place.reader();
                while !over.load(Ordering::Acquire) {
                    if stays {
                        reader.refresh().unwrap();
                    } else {
                        reader = place.reader();
                    }
                    let snapshot = reader.snapshot().unwrap().bucket("cats").unwrap();
                    let objects = snapshot.usage("").unwrap().objects;
                    assert!(objects == 0 || objects == KEYS, "{objects} objects of one transaction");
                    assert_eq!(snapshot.list("").unwrap().count() as u64, objects);
                    seen.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // A reader that is in the middle of something puts the exchange off, so that it takes a few rounds more.
        for _ in 0..100 {
            if exchanged > 2 && seen.load(Ordering::Relaxed) > 20 {
                break;
            }
            let before = index_file();
            writer.write(|tx| (0..KEYS).try_for_each(|number| tx.put(&bucket, &key(number), "1"))).unwrap();
            writer.checkpoint().unwrap();
            writer.write(|tx| (0..KEYS).try_for_each(|number| tx.delete(&bucket, &key(number)))).unwrap();
            writer.compact(CompactOptions::new()).unwrap();
            exchanged += u32::from(index_file() != before);
        }
        over.store(true, Ordering::Release);
    });
    assert!(exchanged > 2, "the index was rewritten {exchanged} times");
    assert!(seen.into_inner() > 20);
}

#[test]
fn a_writer_that_is_just_opening_is_waited_for_and_then_told() {
    let place = places(Path::new("/nowhere")).remove(1);
    let writer = place.writer();
    writer.create_bucket("cats").unwrap();
    writer.close().unwrap();
    let clock = VirtualClock::at(std::time::SystemTime::UNIX_EPOCH);
    let reader = place.builder().read_only(true).clock(clock.clone()).open().unwrap();
    // It has the lock, and says nothing yet.
    let lock = place.vfs.lock(&place.dir.join("LOCK"), LockMode::Exclusive, Site::STORE_LOCK).unwrap();
    lock.note(&[0; 44], Site::NOTE).unwrap();
    let error = reader.refresh().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.is_retryable());
    assert_reads_well(&error);
    let error = place.builder().read_only(true).clock(clock).open().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(reader.bucket("cats").is_ok(), "what it had it has");
    drop(lock);
    reader.refresh().unwrap();
    assert_eq!(place.registered(), 1, "the one that was not opened is not registered");
}

#[test]
fn damage_is_told_and_the_reader_stays_where_it_was() {
    use std::os::unix::fs::FileExt;
    let dir = tempfile::tempdir().unwrap();
    let place =
        Place { vfs: Arc::new(RealVfs::new()), dir: dir.path().join("store"), mode: ReadMode::Mapped };
    let writer = place.writer();
    let cats = writer.create_bucket("cats").unwrap();
    cats.put("a", "1").unwrap();
    let reader = place.reader();
    let lsn = now(&reader);
    let before = fs::read(place.dir.join("log/0000000000000001.seg")).unwrap();
    cats.put("b", "2").unwrap();
    let after = fs::read(place.dir.join("log/0000000000000001.seg")).unwrap();
    let at = (0..after.len()).rev().find(|at| before[*at] != after[*at]).unwrap() as u64;
    let file = fs::File::options().write(true).open(place.dir.join("log/0000000000000001.seg")).unwrap();
    file.write_at(&[after[at as usize] ^ 1], at).unwrap();
    let error = reader.refresh().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains("durable"), "{error}");
    assert_reads_well(&error);
    assert_eq!(now(&reader), lsn);
    assert_eq!(read(&reader.bucket("cats").unwrap(), "a"), b"1");
    let error = place.builder().read_only(true).open().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    // The device has thought better of it.
    file.write_at(&[after[at as usize]], at).unwrap();
    assert_eq!(reader.refresh().unwrap(), now(&writer));
    assert_eq!(read(&reader.bucket("cats").unwrap(), "b"), b"2");
}

#[test]
fn a_lost_index_is_made_anew_in_the_memory_of_the_reader() {
    let dir = tempfile::tempdir().unwrap();
    let place =
        Place { vfs: Arc::new(RealVfs::new()), dir: dir.path().join("store"), mode: ReadMode::Mapped };
    let mut churn = Churn::begin(&place, 9);
    (0..200).for_each(|_| churn.step());
    churn.store().checkpoint().unwrap();
    let index = ["index.tree", "index.alt.tree"].map(|name| place.dir.join(name));
    let index = index.iter().find(|path| path.exists()).unwrap();
    let kept = fs::read(index).unwrap();
    let file = fs::File::options().write(true).open(index).unwrap();
    std::os::unix::fs::FileExt::write_at(&file, &vec![0x55; kept.len()], 0).unwrap();
    let reader = place.reader();
    same(&all(&reader.snapshot().unwrap()), churn.at(now(&reader)), "without an index");
    std::os::unix::fs::FileExt::write_at(&file, &kept, 0).unwrap();
    for round in 0..300 {
        churn.step();
        let lsn = reader.refresh().unwrap();
        assert!(lsn >= churn.durable);
        same(&all(&reader.snapshot().unwrap()), churn.at(lsn), &format!("round {round}"));
    }
}

#[cfg(feature = "testing")]
#[test]
fn where_no_registration_can_be_made_a_reader_works_alone_and_says_why_not_beside_a_writer() {
    use ossicle::testing::{Fault, FaultyDisk};
    let disk = FaultyDisk::new(1);
    let place = Place { vfs: disk.vfs(), dir: "/store".into(), mode: ReadMode::Mapped };
    let writer = place.writer();
    writer.create_bucket("cats").unwrap();
    // The first call finds no directory, the second one may not make it.
    let refuse = || disk.fail_site(Site::READERS, 1, Fault::Error(std::io::ErrorKind::ReadOnlyFilesystem));
    refuse();
    let error = place.builder().read_only(true).open().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
    assert!(error.to_string().contains("readers") && error.to_string().contains("read-only"), "{error}");
    assert_reads_well(&error);
    writer.close().unwrap();
    refuse();
    let reader = place.reader();
    assert!(reader.bucket("cats").is_ok());
    assert_eq!(reader.refresh().unwrap(), now(&reader));
    // Nothing could tell a writer what this reader needs.
    assert_eq!(place.builder().open().unwrap_err().kind(), ErrorKind::Busy);
    drop(reader);
    place.writer();
}

#[test]
fn a_reader_that_found_the_end_of_the_log_itself_survives_a_writer_that_finds_an_earlier_one() {
    let name =
        "readers::a_reader_that_found_the_end_of_the_log_itself_survives_a_writer_that_finds_an_earlier_one";
    if let Some(path) = argument() {
        let store = Store::open(path).unwrap();
        let bucket = store.create_bucket("cats").unwrap();
        bucket.put("a", "1").unwrap();
        bucket.put_with("b", vec![2; 200_000], buffered()).unwrap();
        say("written");
        loop {
            std::thread::park();
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let (mut child, mut lines) = child(name, dir.path().to_str().unwrap());
    assert!(lines.any(|line| line == "written"));
    child.kill().unwrap();
    child.wait().unwrap();
    let reader = Store::builder(dir.path()).read_only(true).open().unwrap();
    let bucket = reader.bucket("cats").unwrap();
    assert_eq!(read(&bucket, "b"), vec![2; 200_000]);
    let object = bucket.get("b").unwrap();
    // Where a failed sync was followed by the loss of the cached bytes, the next writer cuts the log before them.
    let log = dir.path().join("log/0000000000000001.seg");
    fs::File::options().write(true).open(log).unwrap().set_len(1000).unwrap();
    assert_eq!(object.bytes().unwrap_err().kind(), ErrorKind::Corrupt);
    let writer = Store::open(dir.path()).unwrap();
    writer.bucket("cats").unwrap().put("c", "3").unwrap();
    reader.refresh().unwrap();
    assert_eq!(read(&bucket, "c"), b"3");
    assert!(!bucket.exists("b").unwrap());
    assert_eq!(read(&bucket, "a"), b"1");
}
