//! Damage to the files of a small store, then everything that people do with a store they are worried about.
//!
//! Nothing may panic, hang or ask for much memory. What is read must have been put under its key at some time;
//! any error is a fine answer. Where the damage is *sealed* (its checksums are set right, as no disk does but an
//! attacker might), only the first half holds: an entry may then lead to another body.
#![no_main]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use ossicle::testing::{CutPolicy, FaultyDisk};
use ossicle::{CompactOptions, ListOptions, Lsn, PutOptions, Store, fuzzing};
use ossicle_fuzz::{BUCKET, DIR, body, builder};

/// The most bytes that one damage writes.
const SPLICE: usize = 8192;
/// The most damages.
const DAMAGES: usize = 12;

#[derive(Debug, Arbitrary)]
struct Case {
    scene: u8,
    sealed: bool,
    mapped: bool,
    damages: Vec<Damage>,
    /// How the store is opened, one after the other.
    attempts: [Attempt; 2],
}

#[derive(Debug, Arbitrary)]
enum Damage {
    Flip { file: u8, at: u32, mask: u8 },
    Write { file: u8, at: u32, bytes: Vec<u8> },
    Number { file: u8, at: u32, value: u64 },
    Zero { file: u8, at: u32, len: u16 },
    Truncate { file: u8, at: u32 },
    Append { file: u8, bytes: Vec<u8> },
    Splice { from: u8, from_at: u32, to: u8, to_at: u32, len: u16 },
    Swap { one: u8, other: u8 },
    Erase { file: u8 },
    Copy { file: u8, id: u8, bulk: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
enum Attempt {
    ReadOnly,
    Usual,
    Rebuild,
}

/// A store's disk, and every body that was ever put under each key.
struct Scene {
    disk: FaultyDisk,
    bodies: BTreeMap<String, BTreeSet<Vec<u8>>>,
}

fuzz_target!(|case: Case| {
    let scenes = scenes();
    let scene = &scenes[usize::from(case.scene) % scenes.len()];
    let disk = scene.disk.restart(CutPolicy::KeepAll);
    for damage in case.damages.iter().take(DAMAGES) {
        apply(&disk, damage);
    }
    if case.sealed {
        reseal(&disk);
    }
    let known = (!case.sealed).then_some(&scene.bodies);
    for attempt in case.attempts {
        visit(&disk, attempt, case.mapped, known);
    }
});

/// Opens the store and reads, verifies, writes and compacts it, as far as it lets us.
fn visit(
    disk: &FaultyDisk,
    attempt: Attempt,
    mapped: bool,
    known: Option<&BTreeMap<String, BTreeSet<Vec<u8>>>>,
) {
    let opened = builder(disk, 9, mapped)
        .read_only(attempt == Attempt::ReadOnly)
        .rebuild_index(attempt == Attempt::Rebuild)
        .create(false)
        .open();
    let Ok(store) = opened else { return };
    look(&store, known);
    let _ = store.verify();
    if attempt != Attempt::ReadOnly {
        if let Ok(bucket) = store.bucket(BUCKET) {
            let _ = bucket.put("after", body(99, 300));
            let _ = bucket.rename("p0", "renamed");
            let _ = bucket.delete("t1");
        }
        let _ = store.checkpoint();
        let _ = store.compact(CompactOptions::new());
        look(&store, known);
    }
    let _ = store.close();
}

fn look(store: &Store, known: Option<&BTreeMap<String, BTreeSet<Vec<u8>>>>) {
    let _ = store.usage();
    let _ = store.row("table", b"row");
    let _ = store.cursors();
    if let Ok(changes) = store.changes(Lsn(0)) {
        changes.take(10_000).for_each(drop);
    }
    let Ok(buckets) = store.buckets() else { return };
    for bucket in buckets.take(16).filter_map(Result::ok) {
        let _ = bucket.usage("p");
        let _ = bucket.list_page(ListOptions::new().delimiter("/"));
        let Ok(entries) = bucket.list("") else { continue };
        for entry in entries.take(1000).filter_map(Result::ok) {
            // A hostile row may claim any size; reading it must fail without asking for that much memory.
            let Ok(object) = bucket.get(entry.name()) else {
                continue;
            };
            let Ok(bytes) = object.bytes() else { continue };
            if let Some(known) = known {
                let sound = known.get(entry.name()).is_some_and(|bodies| bodies.contains(&bytes[..]));
                assert!(sound, "{} bytes under {:?} that nobody put there", bytes.len(), entry.name());
            }
        }
    }
}

fn apply(disk: &FaultyDisk, damage: &Damage) {
    let paths = disk.paths();
    if paths.is_empty() {
        return;
    }
    let named = |file: u8| &paths[usize::from(file) % paths.len()];
    let edit = |file: u8, at: u32, change: &mut dyn FnMut(&mut [u8])| {
        let path = named(file);
        let mut bytes = disk.contents(path).unwrap_or_default();
        if bytes.is_empty() {
            return;
        }
        let used = used(&bytes);
        change(&mut bytes[at as usize % used..]);
        replace(disk, path, bytes);
    };
    match damage {
        Damage::Flip { file, at, mask } => edit(*file, *at, &mut |bytes| bytes[0] ^= (*mask).max(1)),
        Damage::Write { file, at, bytes } => edit(*file, *at, &mut |place| overlay(place, bytes)),
        Damage::Number { file, at, value } => {
            edit(*file, *at, &mut |place| overlay(place, &value.to_le_bytes()))
        }
        Damage::Zero { file, at, len } => {
            edit(*file, *at, &mut |place| overlay(place, &vec![0; usize::from(*len) % SPLICE]));
        }
        Damage::Truncate { file, at } => {
            let used = used(&disk.contents(named(*file)).unwrap_or_default()) as u64;
            disk.truncate(named(*file), u64::from(*at) % (used + 1));
        }
        Damage::Append { file, bytes } => {
            let mut whole = disk.contents(named(*file)).unwrap_or_default();
            whole.extend_from_slice(&bytes[..bytes.len().min(SPLICE)]);
            disk.put_contents(named(*file), whole);
        }
        Damage::Splice { from, from_at, to, to_at, len } => {
            let source = disk.contents(named(*from)).unwrap_or_default();
            let at = *from_at as usize % source.len().max(1);
            let end = source.len().min(at + usize::from(*len) % SPLICE);
            edit(*to, *to_at, &mut |place| overlay(place, &source[at..end]));
        }
        Damage::Swap { one, other } => {
            if named(*one) != named(*other) {
                disk.swap(named(*one), named(*other));
            }
        }
        Damage::Erase { file } => {
            disk.erase(named(*file));
        }
        Damage::Copy { file, id, bulk } => {
            let dir = if *bulk { "bulk/0" } else { "log" };
            let path = PathBuf::from(DIR).join(dir).join(format!("{:016x}.seg", id % 16));
            disk.put_contents(&path, disk.contents(named(*file)).unwrap_or_default());
        }
    }
}

/// Where the bytes of a file that were ever written end, more or less: most of a segment is room for more.
fn used(bytes: &[u8]) -> usize {
    let last = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0);
    (last + 64).min(bytes.len())
}

/// Puts other bytes into a file and leaves the room behind them a hole.
fn replace(disk: &FaultyDisk, path: &Path, mut bytes: Vec<u8>) {
    let len = bytes.len() as u64;
    bytes.truncate(used(&bytes));
    disk.put_contents(path, bytes);
    disk.truncate(path, len);
}

fn overlay(place: &mut [u8], bytes: &[u8]) {
    let len = place.len().min(bytes.len()).min(SPLICE);
    place[..len].copy_from_slice(&bytes[..len]);
}

/// Sets right all sums that damage has broken, but for those of bodies.
fn reseal(disk: &FaultyDisk) {
    for path in disk.paths() {
        if path.extension().is_some_and(|ending| ending == "seg") {
            let mut bytes = disk.contents(&path).unwrap_or_default();
            fuzzing::reseal_segment(&mut bytes);
            replace(disk, &path, bytes);
        }
    }
    let named = |name: &str| Path::new(DIR).join(name);
    let Some(mut superblock) = disk.contents(&named("SUPERBLOCK")) else {
        return;
    };
    fuzzing::reseal_superblock(&mut superblock);
    if let Some(mut index) = disk.contents(&named("index.tree")) {
        fuzzing::reseal_root(&mut superblock, &mut index);
        replace(disk, &named("index.tree"), index);
    }
    disk.put_contents(&named("SUPERBLOCK"), superblock);
}

/// The stores that are damaged: one in the middle of its work, one closed in peace, one whose tree has branches,
/// one that was opened again after a power cut.
fn scenes() -> &'static [Scene] {
    static SCENES: OnceLock<Vec<Scene>> = OnceLock::new();
    SCENES.get_or_init(|| vec![working(), closed(), wide(), survivor()])
}

struct Author {
    disk: FaultyDisk,
    store: Store,
    bodies: BTreeMap<String, BTreeSet<Vec<u8>>>,
}

impl Author {
    fn new(seed: u64) -> Author {
        let disk = FaultyDisk::new(seed);
        let store = builder(&disk, seed, false).open().unwrap();
        store.create_bucket(BUCKET).unwrap();
        store.create_bucket("other").unwrap();
        Author { disk, store, bodies: BTreeMap::new() }
    }

    fn put(&mut self, key: &str, seed: u64, len: usize) {
        let bytes = body(seed, len);
        let options = PutOptions::new().content_type("text/plain").metadata("owner", "ann");
        let options = if seed % 3 == 0 { options.metadata("long", "m".repeat(2000)) } else { options };
        self.store.bucket(BUCKET).unwrap().put_with(key, &bytes, options).unwrap();
        self.bodies.entry(key.into()).or_default().insert(bytes);
    }

    /// Tiny, packed and streamed bodies, replaced, renamed and deleted.
    fn write_all(&mut self, seed: u64) {
        for (at, len) in [0, 5, 31].into_iter().enumerate() {
            self.put(&format!("t{at}"), seed + at as u64, len);
        }
        for (at, len) in [33, 4096, 5000].into_iter().enumerate() {
            self.put(&format!("p{at}"), seed + 10 + at as u64, len);
        }
        for (at, len) in [6001, 20_000].into_iter().enumerate() {
            self.put(&format!("dir/s{at}"), seed + 20 + at as u64, len);
        }
        let bucket = self.store.bucket(BUCKET).unwrap();
        bucket.delete("t1").unwrap();
        bucket.rename("dir/s0", "dir/moved").unwrap();
        let moved = self.bodies["dir/s0"].clone();
        self.bodies.entry("dir/moved".into()).or_default().extend(moved);
        let renamed = self.bodies["p0"].clone();
        self.bodies.entry("renamed".into()).or_default().extend(renamed);
        self.bodies.entry("after".into()).or_default().insert(body(99, 300));
        self.store.write(|tx| tx.put_row("table", b"row", b"value")).unwrap();
    }

    /// What is on the disk if the process is killed now. Most of the room behind the records is cut off: reading
    /// zeros is slow and finds nothing.
    fn killed(self) -> Scene {
        let disk = self.disk.restart(CutPolicy::KeepAll);
        for path in disk.paths().iter().filter(|path| path.extension().is_some_and(|ending| ending == "seg"))
        {
            let bytes = disk.contents(path).unwrap_or_default();
            disk.truncate(path, (used(&bytes) as u64).next_multiple_of(4096));
        }
        Scene { disk, bodies: self.bodies }
    }
}

fn working() -> Scene {
    let mut author = Author::new(1);
    author.write_all(100);
    author.store.checkpoint().unwrap();
    author.write_all(200);
    author.killed()
}

fn closed() -> Scene {
    let mut author = Author::new(2);
    author.write_all(100);
    author.store.compact(CompactOptions::new()).unwrap();
    author.put("p1", 300, 4500);
    author.store.close().unwrap();
    author.killed()
}

fn wide() -> Scene {
    let mut author = Author::new(3);
    author.write_all(100);
    let bucket = author.store.bucket(BUCKET).unwrap();
    author
        .store
        .write(|tx| (0..120).try_for_each(|at| tx.put(&bucket, &format!("w{at:03}"), body(at, 20))))
        .unwrap();
    for at in 0..120 {
        author.bodies.entry(format!("w{at:03}")).or_default().insert(body(at, 20));
    }
    author.store.checkpoint().unwrap();
    author.put("t0", 301, 9);
    author.killed()
}

fn survivor() -> Scene {
    let mut author = Author::new(4);
    author.write_all(100);
    author.disk.power_cut();
    let bodies = std::mem::take(&mut author.bodies);
    let disk = author.disk.restart(CutPolicy::DropUnsynced);
    let store = builder(&disk, 5, false).open().unwrap();
    let mut author = Author { disk, store, bodies };
    author.write_all(400);
    author.killed()
}
