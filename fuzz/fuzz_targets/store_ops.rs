//! Any order of operations against a model: reads at every turn, and after a power cut some prefix of the commits
//! that contains every acknowledged one (I5).
#![no_main]

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use ossicle::testing::{CutPolicy, Fault, FaultyDisk};
use ossicle::{
    CompactOptions, CopyOptions, DeleteOptions, Durability, Error, GetOptions, PutOptions, Snapshot, Store,
    Versioning, WriteOptions,
};
use ossicle_fuzz::{BUCKET, body, builder, read};

/// The most operations of one case.
const OPERATIONS: usize = 40;
/// Bodies of every way to be kept: none, inline, packed with one chunk and with two, streamed with two and more.
const LENGTHS: [usize; 8] = [0, 7, 32, 33, 4096, 5999, 6001, 30_000];

#[derive(Debug, Arbitrary)]
struct Case {
    mapped: bool,
    operations: Vec<Operation>,
}

#[derive(Debug, Arbitrary)]
enum Operation {
    Put { key: u8, len: u8, buffered: bool },
    PutMany { key: u8, count: u8, len: u8, buffered: bool },
    Delete { key: u8 },
    Rename { key: u8, new_key: u8 },
    Copy { key: u8, new_key: u8 },
    Versioning { enabled: bool },
    DeleteOldest { key: u8 },
    Fill { dir: u8 },
    DeletePrefix { dir: u8 },
    RenamePrefix { dir: u8, new_dir: u8 },
    Fork,
    PutInFork { key: u8, len: u8 },
    DropFork,
    Maintain,
    Row { key: u8, value: Option<u8> },
    Transaction { changes: Vec<(u8, Option<u8>)>, read: bool, buffered: bool },
    Flush,
    Checkpoint,
    Compact,
    Snapshot,
    Verify,
    Reopen { rebuild: bool },
    PowerCut { cut: Cut },
    CutLater { calls: u8, cut: Cut },
    Full { kib: u16 },
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Cut {
    DropUnsynced,
    KeepAll,
    Prefix(u8),
    Subset(u8),
    Torn(u8),
}

impl Cut {
    fn policy(self) -> CutPolicy {
        match self {
            Cut::DropUnsynced => CutPolicy::DropUnsynced,
            Cut::KeepAll => CutPolicy::KeepAll,
            Cut::Prefix(seed) => CutPolicy::Prefix(seed.into()),
            Cut::Subset(seed) => CutPolicy::Subset(seed.into()),
            Cut::Torn(seed) => CutPolicy::Torn(seed.into()),
        }
    }
}

/// All objects and rows, objects under `o`, rows under `r`. Many states are kept, and they share their bodies.
type State = BTreeMap<String, Rc<[u8]>>;

struct World {
    disk: FaultyDisk,
    store: Store,
    mapped: bool,
    /// Grows with every body and every opening, so that nothing happens twice in the same way.
    turn: u64,
    now: State,
    /// The states that a power cut may bring back, oldest first: the last one known durable, and all since.
    possible: Vec<State>,
    /// How a power cut that is still to strike goes on.
    later: Option<Cut>,
    full: bool,
    /// The store has stopped writing after a failure, and what became of the last commit shows at the next opening.
    in_doubt: bool,
    snapshot: Option<(Snapshot, State)>,
}

fuzz_target!(|case: Case| {
    let disk = FaultyDisk::new(1);
    let store = builder(&disk, 1, case.mapped).open().expect("a new store");
    store.create_bucket(BUCKET).expect("a new bucket");
    let mapped = case.mapped;
    let (now, possible) = (State::new(), vec![State::new()]);
    let mut world = World {
        disk,
        store,
        mapped,
        turn: 1,
        now,
        possible,
        later: None,
        full: false,
        in_doubt: false,
        snapshot: None,
    };
    for operation in case.operations.iter().take(OPERATIONS) {
        world.run(operation);
    }
    world.agree();
    world.check_snapshot();
});

/// Prefixes within each other and apart; all objects begin under the first.
const DIRS: [&str; 5] = ["k/", "k/1", "k/f", "m/", "m/x/"];
const FORK: &str = "fork";

fn dir(number: u8) -> &'static str {
    DIRS[usize::from(number) % DIRS.len()]
}

fn name(key: u8) -> String {
    format!("k/{}", key % 12)
}

impl World {
    fn run(&mut self, operation: &Operation) {
        self.turn += 1;
        match operation {
            Operation::Put { key, len, buffered } => self.put(*key, *len, *buffered),
            Operation::PutMany { key, count, len, buffered } => {
                (0..count % 32).for_each(|by| self.put(key.wrapping_add(by), *len, *buffered));
            }
            Operation::Delete { key } => {
                let name = name(*key);
                let done = self.store.bucket(BUCKET).and_then(|bucket| bucket.delete(&name).map(drop));
                self.settle(done, true, |state| drop(state.remove(&format!("o{name}"))));
            }
            Operation::Rename { key, new_key } => self.rename(*key, *new_key),
            Operation::Copy { key, new_key } => self.copy(*key, *new_key),
            Operation::Versioning { enabled } => {
                let state = if *enabled { Versioning::Enabled } else { Versioning::Suspended };
                let done = self.store.bucket(BUCKET).and_then(|bucket| bucket.set_config(&state));
                self.settle(done, true, |_| {});
            }
            Operation::DeleteOldest { key } => self.delete_oldest(&name(*key)),
            Operation::Fill { dir: number } => self.fill(dir(*number)),
            Operation::DeletePrefix { dir: number } => {
                let prefix = dir(*number);
                let bucket = self.store.bucket(BUCKET);
                let done = bucket.and_then(|bucket| bucket.delete_prefix(prefix).map(drop));
                let at = format!("o{prefix}");
                self.settle(done, true, |state| state.retain(|key, _| !key.starts_with(&at)));
            }
            Operation::RenamePrefix { dir: old, new_dir } => self.rename_prefix(dir(*old), dir(*new_dir)),
            Operation::Fork => self.fork(),
            Operation::PutInFork { key, len } => {
                let (name, bytes) = (name(*key), body(self.turn, LENGTHS[usize::from(*len) % LENGTHS.len()]));
                if self.now.contains_key("f") {
                    let bucket = self.store.bucket(FORK);
                    let done = bucket.and_then(|bucket| bucket.put(&name, &bytes).map(drop));
                    self.settle(done, true, |state| drop(state.insert(format!("f{name}"), bytes.into())));
                }
            }
            Operation::DropFork => {
                if self.now.contains_key("f") {
                    let done = self.store.delete_bucket(FORK);
                    self.settle(done, true, |state| state.retain(|key, _| !key.starts_with('f')));
                }
            }
            Operation::Maintain => {
                let done = self.store.maintain(Duration::from_secs(60)).map(drop);
                self.settle(done, false, |_| {});
            }
            Operation::Row { key, value } => {
                let name = name(*key);
                let value: Option<Rc<[u8]>> = value.map(|value| [value; 3].into());
                let done = self.store.write(|tx| match &value {
                    Some(value) => tx.put_row("t", name.as_bytes(), value),
                    None => tx.delete_row("t", name.as_bytes()),
                });
                self.settle(done, true, |state| {
                    match value {
                        Some(value) => state.insert(format!("r{name}"), value),
                        None => state.remove(&format!("r{name}")),
                    };
                });
            }
            Operation::Transaction { changes, read, buffered } => self.transaction(changes, *read, *buffered),
            Operation::Flush => self.sync_point(|store| store.flush()),
            Operation::Checkpoint => self.sync_point(Store::checkpoint),
            Operation::Compact => self.sync_point(|store| store.compact(CompactOptions::new()).map(drop)),
            Operation::Snapshot => {
                self.check_snapshot();
                self.snapshot = self.store.snapshot().ok().map(|snapshot| (snapshot, self.now.clone()));
            }
            Operation::Verify => {
                if let Ok(report) = self.store.verify() {
                    assert!(report.is_clean(), "{:?}", report.problems);
                }
                self.agree();
            }
            Operation::Reopen { rebuild } => self.reopen(*rebuild),
            Operation::PowerCut { cut } => {
                self.disk.power_cut();
                self.restart(*cut);
            }
            Operation::CutLater { calls, cut } => {
                self.disk.fail_at(self.disk.operations() + u64::from(*calls), Fault::PowerCut);
                self.later = Some(*cut);
            }
            Operation::Full { kib } => {
                self.full = !self.full;
                self.disk.set_capacity(self.full.then(|| self.disk.used() + u64::from(*kib) * 1024));
            }
        }
    }

    fn put(&mut self, key: u8, len: u8, buffered: bool) {
        self.turn += 1;
        let (name, bytes) = (name(key), body(self.turn, LENGTHS[usize::from(len) % LENGTHS.len()]));
        let durability = if buffered { Durability::Buffered } else { Durability::Synced };
        let options = PutOptions::new().durability(durability);
        let done =
            self.store.bucket(BUCKET).and_then(|bucket| bucket.put_with(&name, &bytes, options).map(drop));
        self.settle(done, !buffered, |state| drop(state.insert(format!("o{name}"), bytes.into())));
    }

    fn rename(&mut self, key: u8, new_key: u8) {
        let (from, to) = (name(key), name(new_key));
        let done = self.store.bucket(BUCKET).and_then(|bucket| bucket.rename(&from, &to).map(drop));
        self.settle_from(done, &from.clone(), |state| {
            if let Some(bytes) = state.remove(&format!("o{from}")) {
                state.insert(format!("o{to}"), bytes);
            }
        });
    }

    /// Many small objects at once: so many that a prefix is not touched one by one.
    fn fill(&mut self, dir: &str) {
        let Ok(bucket) = self.store.bucket(BUCKET) else {
            return self.recover_if_cut();
        };
        let turn = self.turn;
        let all: Vec<_> = (0..70u64).map(|i| (format!("{dir}f{i:02}"), body(turn * 1000 + i, 7))).collect();
        let done = self.store.write(|tx| all.iter().try_for_each(|(key, bytes)| tx.put(&bucket, key, bytes)));
        self.settle(done, true, |state| {
            state.extend(all.into_iter().map(|(key, bytes)| (format!("o{key}"), bytes.into())))
        });
    }

    fn rename_prefix(&mut self, old: &str, new: &str) {
        let done = self.store.bucket(BUCKET).and_then(|bucket| bucket.rename_prefix(old, new).map(drop));
        let (from, to) = (format!("o{old}"), format!("o{new}"));
        self.settle(done, true, |state| {
            if from != to {
                let moved: Vec<_> = state.extract_if(.., |key, _| key.starts_with(&from)).collect();
                let moved =
                    moved.into_iter().map(|(key, bytes)| (format!("{to}{}", &key[from.len()..]), bytes));
                state.extend(moved);
            }
        });
    }

    /// The fork holds what the bucket does; the entry `f` says that it is there.
    fn fork(&mut self) {
        if self.now.contains_key("f") {
            return;
        }
        let done = self.store.fork_bucket(BUCKET, FORK).map(drop);
        self.settle(done, true, |state| {
            let own = state.iter().filter_map(|(key, bytes)| Some((key.strip_prefix('o')?, bytes)));
            let its: Vec<_> = own.map(|(key, bytes)| (format!("f{key}"), bytes.clone())).collect();
            state.extend(its);
            state.insert("f".into(), [].into());
        });
    }

    /// Removes the oldest version of a key for good, unless it is the current one.
    fn delete_oldest(&mut self, name: &str) {
        let bucket = self.store.bucket(BUCKET);
        let done = bucket.and_then(|bucket| {
            let all = bucket.versions(name)?.collect::<ossicle::Result<Vec<_>>>()?;
            let mut chain = all.into_iter().filter(|entry| entry.key == name);
            match chain.next_back().filter(|entry| !entry.latest) {
                Some(entry) => {
                    bucket.delete_with(name, DeleteOptions::new().version(entry.version)).map(drop)
                }
                None => self.store.flush(),
            }
        });
        self.settle(done, true, |_| {});
    }

    fn copy(&mut self, key: u8, new_key: u8) {
        let (from, to) = (name(key), name(new_key));
        let bucket = self.store.bucket(BUCKET);
        let done =
            bucket.and_then(|bucket| bucket.copy_from(&bucket, &from, &to, CopyOptions::new()).map(drop));
        self.settle_from(done, &from.clone(), |state| {
            if let Some(bytes) = state.get(&format!("o{from}")).cloned() {
                state.insert(format!("o{to}"), bytes);
            }
        });
    }

    fn transaction(&mut self, changes: &[(u8, Option<u8>)], reads: bool, buffered: bool) {
        let Ok(bucket) = self.store.bucket(BUCKET) else {
            return self.recover_if_cut();
        };
        let durability = if buffered { Durability::Buffered } else { Durability::Synced };
        let (turn, mut next) = (self.turn, self.now.clone());
        let done = self.store.write_with(WriteOptions::new().durability(durability), |tx| {
            for (at, (key, len)) in changes.iter().take(8).enumerate() {
                let name = name(*key);
                match len {
                    Some(len) => {
                        let bytes = body(turn * 100 + at as u64, LENGTHS[usize::from(*len) % LENGTHS.len()]);
                        tx.put(&bucket, &name, &bytes)?;
                        next.insert(format!("o{name}"), bytes.into());
                    }
                    None => {
                        tx.delete(&bucket, &name)?;
                        next.remove(&format!("o{name}"));
                    }
                }
                if reads {
                    let there = tx.get(&bucket, &name).and_then(|object| object.bytes());
                    match (there, next.get(&format!("o{name}"))) {
                        (Ok(bytes), Some(expected)) => {
                            assert_eq!(&bytes[..], &expected[..], "inside, {name}")
                        }
                        (Err(error), None) => {
                            assert!(error.is_not_found() || is_excused(&error), "{error}")
                        }
                        (Err(error), Some(_)) => assert!(is_excused(&error), "{error}"),
                        (Ok(_), None) => panic!("{name} was deleted inside the transaction"),
                    }
                }
            }
            Ok(())
        });
        self.settle(done, !buffered, |state| *state = next);
    }

    /// Takes over what an operation on an existing object came to.
    fn settle_from(&mut self, done: ossicle::Result<()>, from: &str, change: impl FnOnce(&mut State)) {
        if done.as_ref().is_err_and(Error::is_not_found) {
            assert!(!self.now.contains_key(&format!("o{from}")), "{from} is there, but was not found");
            return;
        }
        self.settle(done, true, change);
    }

    /// Takes over what an operation came to. One that failed may still come back after a power cut.
    fn settle(&mut self, done: ossicle::Result<()>, synced: bool, change: impl FnOnce(&mut State)) {
        let mut next = self.now.clone();
        change(&mut next);
        match done {
            Ok(()) => {
                self.now = next.clone();
                self.possible.push(next);
                if synced {
                    self.possible.drain(..self.possible.len() - 1);
                }
            }
            Err(error) => {
                assert!(is_excused(&error), "{error:?}");
                if error.is_fatal() {
                    self.possible.push(next);
                    self.in_doubt = true;
                }
                self.recover_if_cut();
            }
        }
    }

    fn sync_point(&mut self, work: impl FnOnce(&Store) -> ossicle::Result<()>) {
        match work(&self.store) {
            Ok(()) => self.possible = vec![self.now.clone()],
            Err(error) => {
                assert!(is_excused(&error), "{error:?}");
                self.in_doubt |= error.is_fatal();
                self.recover_if_cut();
            }
        }
    }

    /// The first failure after a planned power cut is the cut; without one, only a full disk is a reason to fail.
    fn recover_if_cut(&mut self) {
        let struck = self.disk.hits().iter().any(|hit| hit.fault == "power-cut");
        if struck {
            let cut = self.later.unwrap_or(Cut::DropUnsynced);
            self.restart(cut);
        } else if self.full {
            self.disk.set_capacity(None);
            self.full = false;
        }
    }

    fn reopen(&mut self, rebuild: bool) {
        self.check_snapshot();
        if self.in_doubt {
            return self.restart(Cut::KeepAll);
        }
        let closed = self.store.close();
        if let Err(error) = &closed {
            assert!(is_excused(error), "{error:?}");
        }
        let struck = self.disk.hits().iter().any(|hit| hit.fault == "power-cut");
        if struck {
            return self.restart(self.later.unwrap_or(Cut::DropUnsynced));
        }
        if closed.is_ok() {
            self.possible = vec![self.now.clone()];
        }
        self.turn += 1;
        match builder(&self.disk, self.turn, self.mapped).rebuild_index(rebuild).open() {
            Ok(store) => {
                self.store = store;
                self.agree();
            }
            Err(error) => {
                assert!(is_excused(&error), "{error:?}");
                self.disk.power_cut();
                self.restart(self.later.unwrap_or(Cut::KeepAll));
            }
        }
    }

    /// The machine comes back: the state must be one of those that are possible.
    fn restart(&mut self, cut: Cut) {
        self.snapshot = None;
        let _ = self.store.close();
        self.disk = self.disk.restart(cut.policy());
        self.disk.set_capacity(None);
        (self.later, self.full, self.in_doubt) = (None, false, false);
        self.turn += 1;
        self.store =
            builder(&self.disk, self.turn, self.mapped).open().expect("a store opens after a power cut");
        let found = self.seen().expect("reads without faults");
        assert!(
            self.possible.contains(&found),
            "after {cut:?} the store holds {:?}, and none of the {} possible states",
            found.iter().map(|(key, bytes)| (key, bytes.len())).collect::<Vec<_>>(),
            self.possible.len()
        );
        self.now = found.clone();
        self.possible = vec![found];
        let report = self.store.verify().expect("verification without faults");
        assert!(report.is_clean(), "{:?}", report.problems);
    }

    /// Everything there is, by listing and getting.
    fn seen(&self) -> ossicle::Result<State> {
        let mut state = State::new();
        let bucket = self.store.bucket(BUCKET)?;
        for entry in bucket.list("")? {
            let key = entry?.name().to_string();
            let bytes = read(&self.store, &key)?.expect("what is listed is there");
            state.insert(format!("o{key}"), bytes.into());
        }
        for entry in bucket.versions("")? {
            let entry = entry?;
            if !entry.marker {
                let version = GetOptions::new().version(&entry.version);
                let bytes = bucket.get_with(&entry.key, version)?.bytes()?;
                assert_eq!(bytes.len() as u64, entry.size, "a version of {}", entry.key);
            }
        }
        match self.store.bucket(FORK) {
            Ok(fork) => {
                state.insert("f".into(), [].into());
                for entry in fork.list("")? {
                    let key = entry?.name().to_string();
                    state.insert(format!("f{key}"), fork.get(&key)?.bytes()?.to_vec().into());
                }
            }
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
        for key in (0..12).map(name) {
            if let Some(value) = self.store.row("t", key.as_bytes())? {
                state.insert(format!("r{key}"), value.to_vec().into());
            }
        }
        let usage = bucket.usage("")?;
        let objects: Vec<_> = state.iter().filter(|(key, _)| key.starts_with('o')).collect();
        let bytes: usize = objects.iter().map(|(_, bytes)| bytes.len()).sum();
        assert_eq!((usage.objects, usage.bytes), (objects.len() as u64, bytes as u64), "usage");
        Ok(state)
    }

    fn agree(&mut self) {
        match self.seen() {
            Ok(found) => assert!(found == self.now, "the store differs from the model"),
            Err(error) => {
                assert!(is_excused(&error), "{error:?}");
                self.recover_if_cut();
            }
        }
    }

    /// A snapshot stays as it was.
    fn check_snapshot(&mut self) {
        let Some((snapshot, state)) = self.snapshot.take() else {
            return;
        };
        let Ok(bucket) = snapshot.bucket(BUCKET) else {
            return;
        };
        for (key, expected) in &state {
            if let Some(key) = key.strip_prefix('o') {
                match bucket.get(key).and_then(|object| object.bytes()) {
                    Ok(bytes) => assert_eq!(&bytes[..], &expected[..], "{key} in the snapshot"),
                    Err(error) => assert!(is_excused(&error), "{error:?}"),
                }
            }
        }
    }
}

/// Errors that a power cut or a full disk may bring about. Damage is none of them.
fn is_excused(error: &Error) -> bool {
    use ossicle::ErrorKind::{Closed, Io, Quota};
    matches!(error.kind(), Closed | Io | Quota)
}
