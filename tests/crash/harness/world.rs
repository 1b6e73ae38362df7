//! A disk and what else a store needs, and a look at all that a store holds.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use ossicle::testing::{CutPolicy, FaultyDisk, Planted};
use ossicle::{
    Bucket, Budget, ChangeOp, Clock, Entropy, Entry, ErrorKind, GetOptions, Lsn, Maintenance, ObjectMeta,
    Quota, ReadMode, RestoreTimes, SeededEntropy, Settings, Snapshot, StaticKey, Store, StoreBuilder, Tier,
    Versioning, VirtualClock, Worm,
};

use super::model::{Chain, Kept, Objects, State, TABLE, Thing};
use super::script::KMS;
use super::{Verdict, upload};

/// Where the store lies on the simulated disk.
pub const DIR: &str = "/store";

/// The settings of a store that is opened say nothing of the past.
const UNSAID: u64 = u64::MAX;

/// A disk, and how the store on it is opened.
#[derive(Clone, Debug)]
pub struct World {
    pub disk: FaultyDisk,
    pub settings: Settings,
    pub mistake: Option<Planted>,
    clock: VirtualClock,
    /// For how many milliseconds stores that are opened retain the past, `UNSAID` if the settings say nothing of it; the
    /// same for all that come from this world.
    retained: Arc<AtomicU64>,
    /// So that no two openings draw the same random numbers.
    openings: Arc<AtomicU64>,
    /// Whether the store is encrypted.
    pub sealed: bool,
    /// What nonces were used with what keys, by all that come from this world.
    used: Arc<Mutex<HashSet<u128>>>,
}

/// A seed with this bit makes worlds in which stores are encrypted.
pub const SEALED: u64 = 1 << 40;

/// A seed with this bit makes worlds in which the bodies of colder classes lie in a directory of their own, [`APART_DIR`].
pub const APART: u64 = 1 << 41;

/// Where the bodies of colder classes lie in worlds that are so made.
pub const APART_DIR: &str = "/apart";

/// The key of encrypted stores.
pub fn key() -> StaticKey {
    StaticKey::new([0x33; 32])
}

/// Chance that sees to it that no nonce is used twice with a key.
#[derive(Debug)]
struct Watched {
    chance: SeededEntropy,
    used: Arc<Mutex<HashSet<u128>>>,
}

/// A key, by its mark, and a nonce, in fewer bytes: there are millions.
fn short(key: [u8; 16], nonce: [u8; 24]) -> u128 {
    let hash = blake3::Hasher::new().update(&key).update(&nonce).finalize();
    u128::from_le_bytes(*hash.as_bytes().first_chunk().expect("32 bytes hold 16"))
}

impl Entropy for Watched {
    fn fill(&self, buf: &mut [u8]) {
        self.chance.fill(buf);
    }

    fn used_nonce(&self, key: [u8; 16], nonce: [u8; 24]) {
        let new = self.used.lock().unwrap().insert(short(key, nonce));
        assert!(new, "the nonce {nonce:x?} is used twice with the key {key:x?}");
    }
}

/// Settings under which small scripts reach every path.
pub fn settings() -> Settings {
    Settings {
        chunk_size: 4096,
        inline_max: 64,
        packed_max: 4096,
        segment_size: 1 << 20,
        delta_bytes: 64 << 10,
        checkpoint_log_bytes: 1 << 20,
        reserve_bytes: 64 << 10,
        page_cache_bytes: 64 << 10,
        restore_times: RestoreTimes::NONE,
        ..Settings::default()
    }
}

impl World {
    /// A world with an empty disk. Odd seeds read by position, even ones through maps.
    pub fn new(seed: u64, mistake: Option<Planted>) -> World {
        let read_mode = if seed % 2 == 1 { ReadMode::Positioned } else { ReadMode::Mapped };
        let mut settings = Settings { read_mode, ..settings() };
        if seed & APART != 0 {
            for tier in &mut settings.tiers[1..] {
                *tier = Tier::new().dir(APART_DIR);
            }
        }
        World {
            disk: FaultyDisk::new(seed),
            settings,
            mistake,
            clock: VirtualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)),
            retained: Arc::new(AtomicU64::new(UNSAID)),
            openings: Arc::default(),
            sealed: seed & SEALED != 0,
            used: Arc::default(),
        }
    }

    /// The same world with another disk.
    pub fn with(&self, disk: FaultyDisk) -> World {
        World { disk, ..self.clone() }
    }

    /// The world after the power came back.
    pub fn restart(&self, policy: CutPolicy) -> World {
        self.with(self.disk.restart(policy))
    }

    /// The world after the process was killed, on the same running machine.
    pub fn after_kill(&self) -> World {
        self.with(self.disk.after_kill())
    }

    /// From the next opening on the past is retained for so long.
    pub fn retain(&self, time: Duration) {
        self.retained.store(time.as_millis() as u64, Ordering::Relaxed);
    }

    /// For how long the past is retained, if the settings say so.
    pub fn retained(&self) -> Option<Duration> {
        Some(self.retained.load(Ordering::Relaxed))
            .filter(|millis| *millis != UNSAID)
            .map(Duration::from_millis)
    }

    /// How many nonces were used.
    pub fn nonces(&self) -> usize {
        self.used.lock().unwrap().len()
    }

    /// The same world once more, as when a running machine is cloned: its next opening draws the same random numbers at the
    /// same time, and nobody compares its nonces with those of the other one until that is asked for.
    pub fn twin(&self, disk: FaultyDisk) -> World {
        let openings = Arc::new(AtomicU64::new(self.openings.load(Ordering::Relaxed)));
        World { disk, openings, used: Arc::default(), ..self.clone() }
    }

    /// How many nonces both have used with the same key.
    pub fn common_nonces(&self, other: &World) -> usize {
        self.used.lock().unwrap().intersection(&other.used.lock().unwrap()).count()
    }

    /// Lets time go by.
    pub fn wait(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// The time.
    pub fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// Opens the store.
    pub fn open(&self) -> ossicle::Result<Store> {
        self.open_as(false)
    }

    /// Opens a store that lies elsewhere on the disk.
    pub fn open_at(&self, dir: &str) -> ossicle::Result<Store> {
        self.builder_at(dir).open()
    }

    /// Opens the store, perhaps with its index made anew.
    pub fn open_as(&self, rebuild: bool) -> ossicle::Result<Store> {
        self.builder().rebuild_index(rebuild).open()
    }

    /// Opens the store for reading, beside whoever has it open.
    pub fn open_reader(&self) -> ossicle::Result<Store> {
        self.builder().read_only(true).open()
    }

    fn builder(&self) -> StoreBuilder {
        self.builder_at(DIR)
    }

    fn builder_at(&self, dir: &str) -> StoreBuilder {
        let number = self.openings.fetch_add(1, Ordering::Relaxed);
        let builder = Store::builder(Path::new(dir))
            .vfs(self.disk.vfs())
            .clock(self.clock.clone())
            .entropy(Watched { chance: SeededEntropy::new(number), used: self.used.clone() })
            .settings(Settings { history: self.retained(), ..self.settings.clone() })
            .kms(StaticKey::new([0x33; 32]).named(KMS))
            .maintenance(Maintenance::Manual);
        let builder = if self.sealed { builder.key_provider(key()) } else { builder };
        #[cfg(feature = "planted-bugs")]
        let builder = builder.mistake(self.mistake);
        builder
    }
}

/// Reads everything in a store, and holds the ways of reading against each other.
pub fn observe(store: &Store) -> Verdict<State> {
    let told = |doing: &str, error: ossicle::Error| format!("{doing} failed: {error}");
    let mut state = State::default();
    let (mut all_objects, mut all_bytes) = (0, 0);
    for bucket in store.buckets().map_err(|e| told("listing the buckets", e))? {
        let bucket = bucket.map_err(|e| told("listing the buckets", e))?;
        let mut objects = Objects::new();
        let mut bytes = 0;
        for entry in bucket.list("").map_err(|e| told("listing", e))? {
            let entry = entry.map_err(|e| told("listing", e))?;
            let Entry::Object(listed) = &entry else {
                return Err(format!("a listing without delimiter has {entry:?}"));
            };
            let key = entry.name().to_string();
            let meta = bucket.head(&key).map_err(|e| told(&format!("looking at {key}"), e))?;
            // When rules will delete an object is not said by a listing.
            let parts = |meta: &ossicle::ObjectMeta| {
                let names = (meta.etag.clone(), meta.version.clone(), meta.lsn);
                (
                    names,
                    meta.size,
                    meta.class,
                    meta.modified,
                    meta.content_type.clone(),
                    meta.metadata.clone(),
                )
            };
            let same = meta.expiration().is_some() && parts(&meta) == parts(listed);
            if meta != *listed && !same {
                return Err(format!("the listing of {key} says {listed:?}, the object {meta:?}"));
            }
            bytes += meta.size;
            let thing = look(&meta, bucket.get(&key)).map_err(|e| told(&format!("reading {key}"), e))?;
            if !thing.is_frozen() && thing.body.len() as u64 != meta.size {
                return Err(format!("{key} has {} bytes, its row says {}", thing.body.len(), meta.size));
            }
            if objects.insert(key.clone(), Arc::new(thing)).is_some() {
                return Err(format!("the listing has {key} twice"));
            }
        }
        let usage = bucket.usage("").map_err(|e| told("asking for the usage", e))?;
        if (usage.objects, usage.bytes) != (objects.len() as u64, bytes) {
            return Err(format!(
                "usage says {usage:?}, the listing {} objects with {bytes} bytes",
                objects.len()
            ));
        }
        if let Some(versioning) =
            bucket.config::<Versioning>().map_err(|e| told("asking for the versioning", e))?
        {
            let chains = chains(&bucket).map_err(|e| told("reading the versions", e))?;
            let older =
                chains.values().flat_map(|chain| &chain[1..]).filter(|(_, thing)| thing.is_some()).count();
            let markers = chains.values().flatten().filter(|(_, thing)| thing.is_none()).count();
            if (usage.noncurrent_objects, usage.markers) != (older as u64, markers as u64) {
                return Err(format!(
                    "usage says {usage:?}, the versions {older} older ones and {markers} markers"
                ));
            }
            let current = |(key, chain): (&String, &Chain)| chain[0].1.as_ref() == objects.get(key);
            if !chains.iter().all(current) || !objects.keys().all(|key| chains.contains_key(key)) {
                return Err("the listing of versions has other current ones than that of objects".into());
            }
            state.chains.insert(bucket.name().to_string(), (versioning, chains));
        }
        let kept = told_of(&bucket).map_err(|e| told("reading a configuration", e))?;
        if kept != Kept::default() {
            state.kept.insert(bucket.name().to_string(), kept);
        }
        all_objects += usage.objects;
        all_bytes += usage.bytes;
        state.uploads.extend(upload::observe(&bucket)?);
        state.buckets.insert(bucket.name().to_string(), objects);
    }
    let usage = store.usage().map_err(|e| told("asking for the usage", e))?;
    if (usage.objects, usage.bytes) != (all_objects, all_bytes) {
        return Err(format!(
            "the usage of the store says {usage:?}, its buckets {all_objects} with {all_bytes} bytes"
        ));
    }
    state.rows = rows(store)?;
    for cursor in store.cursors().map_err(|e| told("reading the cursors", e))? {
        state.cursors.insert(cursor.name, cursor.lsn.0);
        follow(store, cursor.lsn, &state)?;
    }
    Ok(state)
}

/// What a bucket is told about itself.
fn told_of(bucket: &Bucket) -> ossicle::Result<Kept> {
    Ok(Kept {
        quota: bucket.config::<Quota>()?,
        budget: bucket.config::<Budget>()?.map(|budget| budget.bytes),
        worm: bucket.config::<Worm>()?.map(|worm| worm.days),
        origin: bucket.forked_from()?.map(|(name, _)| name.to_string()),
    })
}

/// An object as it is found; of a frozen one, what is known of its body.
fn look(meta: &ObjectMeta, got: ossicle::Result<ossicle::Object>) -> ossicle::Result<Thing> {
    let restored = meta.restore().is_some_and(|status| status.is_restored());
    let (content_type, metadata) = (meta.content_type.clone(), meta.metadata.clone());
    let thing = Thing { content_type, metadata, class: meta.class, restored, ..Thing::default() };
    match got {
        Err(error) if error.kind() == ErrorKind::Archived && thing.is_frozen() => {
            Ok(Thing { seen: Some((meta.size, meta.digests.blake3)), ..thing })
        }
        got => {
            let object = got?;
            assert_eq!(object.meta(), meta, "an object is what was said of it");
            assert!(!thing.is_frozen(), "{meta:?} was read");
            Ok(Thing { body: object.bytes()?.to_vec(), ..thing })
        }
    }
}

/// Whether a look at the past shows this state.
pub fn shows(snapshot: &Snapshot, state: &State) -> Verdict {
    let told = |doing: &str, error: ossicle::Error| format!("in the past, {doing} failed: {error}");
    for (name, objects) in &state.buckets {
        let bucket = snapshot.bucket(name).map_err(|e| told("finding a bucket", e))?;
        let mut listed = Vec::new();
        for entry in bucket.list("").map_err(|e| told("listing", e))? {
            listed.push(entry.map_err(|e| told("listing", e))?.name().to_string());
        }
        if !listed.iter().eq(objects.keys()) {
            return Err(format!("in the past {name} holds {listed:?}, not {:?}", objects.keys()));
        }
        for (key, thing) in objects {
            let meta = bucket.head(key).map_err(|e| told(&format!("looking at {name}/{key}"), e))?;
            let found =
                look(&meta, bucket.get(key)).map_err(|e| told(&format!("reading {name}/{key}"), e))?;
            if found != **thing {
                return Err(format!("in the past {name}/{key} is another one"));
            }
        }
    }
    Ok(())
}

/// Every version of every key.
fn chains(bucket: &Bucket) -> ossicle::Result<BTreeMap<String, Chain>> {
    let mut chains: BTreeMap<String, Chain> = BTreeMap::new();
    for entry in bucket.versions("")? {
        let entry = entry?;
        let thing = match entry.meta {
            None => None,
            Some(meta) => {
                let options = GetOptions::new().version(&entry.version);
                Some(Arc::new(look(&meta, bucket.get_with(&entry.key, options))?))
            }
        };
        chains.entry(entry.key).or_default().push((!entry.version.is_null(), thing));
    }
    Ok(chains)
}

/// Reads the feed behind a commit: nothing is left out, and what it says last of each thing is what the store holds.
fn follow(store: &Store, after: Lsn, state: &State) -> Verdict {
    let told = |error: ossicle::Error| format!("the changes behind commit {after} failed: {error}");
    let newest = store.stats().lsn;
    let mut last = after;
    let mut objects: BTreeMap<(String, String), Option<Lsn>> = BTreeMap::new();
    let mut rows = BTreeMap::new();
    let changes = match store.changes(after) {
        Ok(changes) => changes,
        Err(error) => return Err(told(error)),
    };
    for change in changes {
        let change = match change {
            // A store that has failed cannot make durable what is not, and so does not tell it.
            Err(error) if error.kind() == ossicle::ErrorKind::Closed => return Ok(()),
            change => change.map_err(told)?,
        };
        if change.lsn.0 != last.0 + 1 {
            return Err(format!("behind commit {last} the feed tells commit {}", change.lsn));
        }
        last = change.lsn;
        for op in change.ops {
            match op {
                ChangeOp::Put { bucket, key, meta } => drop(objects.insert((bucket, key), Some(meta.lsn))),
                ChangeOp::Delete { bucket, key } => drop(objects.insert((bucket, key), None)),
                ChangeOp::PutRow { key, value, .. } => drop(rows.insert(key.to_vec(), Some(value.to_vec()))),
                ChangeOp::DeleteRow { key, .. } => drop(rows.insert(key.to_vec(), None)),
                _ => {}
            }
        }
    }
    if last != newest {
        return Err(format!("the feed ends with commit {last}, the store is at {newest}"));
    }
    for ((bucket, key), lsn) in &objects {
        let held = store.bucket(bucket).and_then(|bucket| bucket.head(key)).ok().map(|meta| meta.lsn);
        if held != *lsn {
            return Err(format!("the feed says of {bucket}/{key} {lsn:?}, the store {held:?}"));
        }
    }
    if let Some((key, value)) = rows.iter().find(|(key, value)| state.rows.get(*key) != value.as_ref()) {
        return Err(format!("the feed says of row {key:?} {value:?}"));
    }
    let untold = |name: &String, key: &String| !objects.contains_key(&(name.clone(), key.clone()));
    let mut all = state.buckets.iter().flat_map(|(name, keys)| keys.keys().map(move |key| (name, key)));
    match all.find(|(name, key)| after.0 == 0 && untold(name, key)) {
        Some((name, key)) => Err(format!("the feed from the beginning does not tell of {name}/{key}")),
        None => Ok(()),
    }
}

/// The rows that scripts may write.
pub fn rows(store: &Store) -> Verdict<BTreeMap<Vec<u8>, Vec<u8>>> {
    let mut rows = BTreeMap::new();
    for number in 0..8u8 {
        let key = vec![b'r', number];
        let row = store.row(TABLE, &key).map_err(|error| format!("reading a row failed: {error}"))?;
        if let Some(row) = row {
            rows.insert(key, row.to_vec());
        }
    }
    Ok(rows)
}

/// Whether `verify` finds nothing wrong.
pub fn verify(store: &Store) -> Verdict {
    let report = store.verify().map_err(|error| format!("verify failed: {error}"))?;
    if report.is_clean() {
        return Ok(());
    }
    let first = report.problems.first().map(|problem| problem.reason.clone()).unwrap_or_default();
    Err(format!("verify found {} problems, the first: {first}", report.problem_count))
}
