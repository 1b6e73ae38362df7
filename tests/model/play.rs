//! Plays a history to a store and to the reference side by side, and compares every answer.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use ossicle::{
    Bucket, CompactOptions, Entry, Error, ErrorKind, Lsn, Object, Snapshot, Store, VersionId, Versioning,
};

mod attributes;
mod facts;
mod feed;
mod growing;
mod listings;
mod objects;
mod restoring;
mod spaces;
mod transactions;
mod uploads;
mod versions;

use crate::history::{BUCKETS, Extras, Op, Pick, Reopening, RowAt, Spot, Tag, VALID};
use crate::reference::{Handle, Name, Read, Reference, Wants, Which};
use crate::world::World;
use facts::same;
use listings::look_at_snapshot;
use objects::{UNKNOWN, read_whole};

/// How many objects and snapshots are held at once.
const HELD: usize = 8;

/// A bucket of the store and the same of the reference.
type Pair = (Bucket, Handle);

/// A history that is being played.
#[derive(Debug)]
pub struct Play<'w> {
    world: &'w World,
    store: Store,
    model: Reference,
    /// By bucket: the handle in use, and those of buckets of that name that were removed.
    handles: BTreeMap<usize, Vec<Pair>>,
    snapshots: Vec<(Snapshot, Reference)>,
    held: Vec<(Object, Arc<[u8]>)>,
    /// How everything was when the clock went on, the last time of each last.
    past: Vec<Reference>,
    /// The last calls, which are told if something fails.
    recent: Vec<Op>,
    /// Calls of a history that could not be made, because there is no such bucket.
    missed: Cell<u64>,
    uploads: Vec<uploads::Pair>,
    /// Who follows the change feed, if anybody does.
    mirror: Option<feed::Mirror>,
    /// By the name of a call: how often it was made, and how often a commit came of it.
    pub tally: BTreeMap<String, (u64, u64)>,
    /// Calls that were compared.
    pub played: u64,
}

impl Drop for Play<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the last calls: {:?}", self.recent);
        }
    }
}

impl<'w> Play<'w> {
    pub fn begin(world: &'w World) -> Play<'w> {
        let store = world.open();
        let mut model = Reference::at(crate::world::START);
        // A store that begins to retain its past notes that.
        model.lsn = store.stats().lsn.0;
        let mirror = world.is_followed().then(|| feed::Mirror::begin(&store, model.now));
        model.lsn = store.stats().lsn.0;
        let (handles, snapshots, held, past, recent, missed, uploads, tally) = Default::default();
        Play {
            world,
            store,
            model,
            handles,
            snapshots,
            held,
            past,
            recent,
            missed,
            uploads,
            mirror,
            tally,
            played: 0,
        }
    }

    /// Plays a whole history from an empty store on, and looks at everything at its end.
    pub fn all(world: &World, history: &[Op], tally: &mut BTreeMap<String, (u64, u64)>) -> u64 {
        let mut play = Play::begin(world);
        play.op(&Op::CreateBucket(0));
        // What a thread does for versions is commits, and nobody knows when.
        play.op(&match world.is_background() {
            true => Op::CreateBucket(1),
            false => Op::CreateBucketWith(1, Some(Versioning::Enabled), None),
        });
        for op in history {
            let mut op = op.clone();
            op.spots().into_iter().for_each(|spot| play.hit(spot));
            play.op(&op);
        }
        play.op(&Op::LookAtAll);
        play.op(&Op::Reopen(Reopening::Closed));
        play.op(&Op::LookAtAll);
        play.op(&Op::Verify);
        play.op(&Op::Changes);
        play.op(&Op::ReadHeld);
        for (name, (calls, commits)) in &play.tally {
            let sum = tally.entry(name.clone()).or_default();
            *sum = (sum.0 + calls, sum.1 + commits);
        }
        play.played - play.missed.get()
    }

    /// Everything that the store holds, as text, for comparing one store with another.
    pub fn told(&self) -> String {
        let mut told = String::new();
        for bucket in self.store.buckets().unwrap() {
            let bucket = bucket.unwrap();
            told.push_str(&format!("{}\n", bucket.name()));
            for entry in bucket.list("").unwrap() {
                let mut entry = entry.unwrap();
                if let Entry::Object(meta) = &mut entry {
                    // Which commit it was depends on how much was relocated before.
                    meta.lsn = Lsn(0);
                    // And so are the names of versions.
                    meta.version = None;
                }
                told.push_str(&format!("{entry:?}\n"));
            }
        }
        told
    }

    fn pair(&self, bucket: usize, stale: bool) -> Option<Pair> {
        let Some(pairs) = self.handles.get(&bucket) else {
            self.missed.set(self.missed.get() + 1);
            return None;
        };
        let at = if stale { 0 } else { pairs.len() - 1 };
        pairs.get(at).cloned()
    }

    fn spot(&self, spot: &Spot) -> Option<Pair> {
        self.pair(spot.bucket, spot.stale)
    }

    /// Sets the key that is meant.
    fn hit(&self, spot: &mut Spot) {
        let handle = self.handles.get(&spot.bucket).and_then(|pairs| pairs.last());
        if let (Some(hit), Some((_, handle))) = (spot.hits, handle)
            && let Some(key) = self.model.some_key(handle, hit)
        {
            spot.key = key;
        }
    }

    /// An entity tag that is asked for of what is under a key.
    fn tag(&self, tag: Tag, bucket: &Handle, key: &str) -> Option<String> {
        tag_of(tag, || self.model.find(bucket, key).ok().map(|object| object.etag.clone()))
    }

    /// The same of what is read there: that of a link's target.
    fn read_tag(&self, tag: Tag, bucket: &Handle, key: &str) -> Option<String> {
        let read = Read::default();
        tag_of(tag, || self.model.head(bucket, key, &read).ok().map(|object| object.etag.clone()))
    }

    /// A version that is asked for, in the words of the reference and of the store.
    fn which(&self, pick: Pick, bucket: &Handle, key: &str) -> (Which, Option<VersionId>) {
        let named = |name: &Name| {
            let text = name.text()?;
            Some((Which::Named(name.clone()), Some(text.parse().unwrap())))
        };
        let found = match pick {
            Pick::Current => return (Which::Current, None),
            Pick::Null => named(&Name::Null),
            Pick::Nth(at) => {
                let chain = self.model.chain(bucket, key);
                chain.get(at % chain.len().max(1)).and_then(|object| named(&object.name))
            }
            Pick::Unknown => None,
        };
        found.unwrap_or_else(|| (Which::Unknown, Some(UNKNOWN.parse().unwrap())))
    }

    fn wants(&self, extras: &Extras, bucket: &Handle, key: &str) -> Wants {
        Wants {
            if_absent: extras.if_absent,
            if_match: self.tag(extras.if_match, bucket, key),
            if_none_match: self.tag(extras.if_none_match, bucket, key),
        }
    }

    pub fn op(&mut self, op: &Op) {
        self.played += 1;
        self.recent.push(op.clone());
        self.recent.drain(..self.recent.len().saturating_sub(4));
        if self.reading_op(op).is_break() {
            return;
        }
        let lsn = self.model.lsn;
        if self.object_op(op).is_continue()
            && self.space_op(op).is_continue()
            && self.upload_op(op).is_continue()
            && self.feed_op(op).is_continue()
        {
            self.store_op(op);
        }
        self.check_lsn(op);
        let sum = self.tally.entry(op.name()).or_default();
        *sum = (sum.0 + 1, sum.1 + u64::from(self.model.lsn > lsn));
    }

    /// Plays a call that is about the store as a whole.
    fn store_op(&mut self, op: &Op) {
        match op {
            Op::Transaction { steps, forgives, fails, synced } => {
                self.transaction(steps, *forgives, *fails, *synced)
            }
            Op::Snapshot => {
                if self.snapshots.len() < HELD {
                    let snapshot = self.store.snapshot().unwrap();
                    assert_eq!(snapshot.lsn().0, self.model.lsn);
                    self.snapshots.push((snapshot, self.model.clone()));
                }
            }
            Op::LookAtSnapshot(at) => {
                if let Some((snapshot, model)) = self.snapshots.get(*at) {
                    assert_eq!(snapshot.lsn().0, model.lsn);
                    self.played += look_at_snapshot(snapshot, &self.as_read_now(model), false);
                }
            }
            Op::DropSnapshot(at) => {
                if *at < self.snapshots.len() {
                    self.snapshots.remove(*at);
                }
            }
            Op::Hold(at) => self.hold(at),
            Op::ReadHeld => {
                for (at, (object, body)) in std::mem::take(&mut self.held).into_iter().enumerate() {
                    read_whole(object, &body, at);
                    self.played += 1;
                }
            }
            Op::Checkpoint => self.store.checkpoint().unwrap(),
            Op::Flush => self.store.flush().unwrap(),
            Op::Maintain => {
                let report = self.store.maintain(Duration::from_secs(1)).unwrap();
                assert!(!report.more, "the clock stands still, so the budget never ends: {report:?}");
            }
            Op::Compact(percent) => {
                self.store.compact(CompactOptions::new().garbage_percent(*percent)).unwrap();
            }
            Op::Verify => {
                let report = self.store.verify().unwrap();
                assert!(report.is_clean(), "{report:?}");
            }
            Op::LookAtAll => self.look_at_all(),
            Op::Reopen(how) => self.reopen(*how),
            Op::Advance(millis) => {
                if *millis > 0 && self.world.history().is_some() {
                    self.past.push(self.model.clone());
                    self.past.drain(..self.past.len().saturating_sub(HELD));
                }
                self.world.advance(Duration::from_millis(*millis));
                self.model.now += millis;
            }
            other => unreachable!("played above: {other:?}"),
        }
    }

    /// The store has made as many commits as the reference knows of.
    fn check_lsn(&mut self, op: &Op) {
        let lsn = self.store.stats().lsn.0;
        if matches!(op, Op::Maintain | Op::Compact(_)) && lsn > self.model.lsn {
            // Relocation commits on its own account when it takes away the traces of renames.
            self.model.lsn = lsn;
        }
        assert_eq!(lsn, self.model.lsn, "after {op:?}");
    }

    /// Plays a call that changes one object.
    fn object_op(&mut self, op: &Op) -> ControlFlow<()> {
        let touched = match op {
            Op::Put(at, body, how, extras) => {
                self.put(at, *body, *how, extras);
                at.clone()
            }
            Op::PutMany(bucket, from, count) => {
                self.put_many(*bucket, *from, *count);
                Spot { bucket: *bucket, stale: false, key: "many/00".to_string(), hits: None }
            }
            Op::Delete(at, pick, tag) => {
                self.delete(at, *pick, *tag);
                at.clone()
            }
            Op::DeleteMany(bucket, keys) => {
                self.delete_many(*bucket, keys);
                Spot { bucket: *bucket, stale: false, key: String::new(), hits: None }
            }
            Op::Copy(from, pick, to, tag, extras) => {
                self.copy((from, *pick), to, *tag, extras);
                to.clone()
            }
            Op::Rename(at, new_key, extras) => {
                self.rename(at, new_key, extras);
                at.clone()
            }
            Op::Undelete(at) => {
                self.undelete(at);
                at.clone()
            }
            Op::RestoreVersion(at, pick) => {
                self.restore_version(at, *pick);
                at.clone()
            }
            Op::Restore(at, pick, days, priority) => {
                self.restore(at, *pick, *days, *priority);
                at.clone()
            }
            Op::Set(at, pick, tag, bypass, change) => {
                self.set(at, *pick, *tag, *bypass, change);
                at.clone()
            }
            Op::Append(at, place, body, extras) => {
                self.append(at, *place, *body, extras);
                at.clone()
            }
            Op::Symlink(at, to, extras) => {
                self.symlink(at, to, extras);
                at.clone()
            }
            Op::DeleteVersions(bucket, versions) => {
                self.delete_versions(*bucket, versions);
                Spot { bucket: *bucket, stale: false, key: String::new(), hits: None }
            }
            _ => return ControlFlow::Continue(()),
        };
        // What lies under half of the key must be counted right after every change.
        let half = (0..=touched.key.len() / 2).rev().find(|at| touched.key.is_char_boundary(*at)).unwrap();
        self.usage(&Spot { key: touched.key[..half].to_string(), ..touched });
        ControlFlow::Break(())
    }

    /// Plays a call that reads.
    fn reading_op(&mut self, op: &Op) -> ControlFlow<()> {
        match op {
            Op::Get(at, asked) => self.get(at, asked),
            Op::Head(at, asked) => self.head(at, asked),
            Op::Exists(at) => {
                if let Some((bucket, handle)) = self.spot(at) {
                    same(bucket.exists(&at.key), self.model.exists(&handle, &at.key));
                }
            }
            Op::List(bucket, lines) => self.list(*bucket, lines),
            Op::Pages(bucket, lines) => self.pages(*bucket, lines),
            Op::Versions(bucket, lines, after) => self.versions(*bucket, lines, *after),
            Op::VersionPages(bucket, lines) => self.version_pages(*bucket, lines),
            Op::Chain(at) => self.chain(at),
            Op::Carried(at, pick) => self.carried(at, *pick),
            Op::Follow(at, place) => self.follow(at, *place),
            Op::Usage(at) => self.usage(at),
            Op::Row(at) => {
                let real = self.store.row(&at.table, &at.key).map(|row| row.map(|row| row.to_vec()));
                same(real, self.model.row(&at.table, &at.key));
            }
            Op::Rows(RowAt { table, key }, end, back) => {
                let range = listings::row_range(key, end.as_deref());
                let real = self.store.rows(table, range).map(|rows| listings::rows_of(rows, *back));
                same(real, self.model.rows_in(table, key, end.as_deref()));
            }
            _ => return ControlFlow::Continue(()),
        }
        ControlFlow::Break(())
    }

    /// A state of the past that is read at the clock of now.
    fn as_read_now(&self, past: &Reference) -> Reference {
        let mut read = past.clone();
        read.now = self.model.now;
        read
    }

    fn names(&self) -> Vec<String> {
        self.store.buckets().unwrap().map(|bucket| bucket.unwrap().name().to_string()).collect()
    }
    // The store -------------------------------------------------------------------------------------------

    fn reopen(&mut self, how: Reopening) {
        let handles = std::mem::take(&mut self.handles);
        let mut uploads = std::mem::take(&mut self.uploads);
        let snapshots = std::mem::take(&mut self.snapshots);
        match how {
            Reopening::Dropped => {
                drop((handles, snapshots));
                uploads.iter_mut().for_each(uploads::Pair::let_go);
                let closed = std::mem::replace(&mut self.store, Store::in_memory().unwrap());
                drop(closed);
            }
            _ => {
                self.store.close().unwrap();
                refuses_everything(&self.store, &handles, &snapshots);
            }
        }
        match how {
            Reopening::WithoutIndex => self.world.remove_index(),
            Reopening::Rebuilt => {
                self.store = self.world.builder().rebuild_index(true).open().unwrap();
                self.store.close().unwrap();
            }
            Reopening::ReadOnly => {
                self.store = self.world.builder().read_only(true).create(false).open().unwrap();
                let refused = self.store.create_bucket("ddd").unwrap_err();
                assert_eq!(refused.kind(), ErrorKind::Denied);
                self.look_at_all();
                self.store.close().unwrap();
            }
            Reopening::Closed | Reopening::Dropped => {}
        }
        self.store = self.world.open();
        for (at, name) in BUCKETS.iter().enumerate().take(VALID) {
            let (real, told) = (self.store.bucket(name), self.model.bucket(name));
            if let (Ok(bucket), Ok(handle)) = (&real, &told) {
                self.handles.insert(at, vec![(bucket.clone(), handle.clone())]);
            }
            same(real.map(|bucket| bucket.name().to_string()), told.map(|handle| handle.name));
        }
        self.resume(uploads);
    }
}

fn tag_of(tag: Tag, current: impl Fn() -> Option<String>) -> Option<String> {
    let wrong = "0123456789ABCDEF0123456789ABCDEF";
    let current = || current().unwrap_or(wrong.to_string());
    match tag {
        Tag::None => None,
        Tag::Current => Some(current()),
        Tag::CurrentQuoted => Some(format!("\"{}\"", current().to_ascii_lowercase())),
        Tag::Any => Some("*".to_string()),
        Tag::Wrong => Some(wrong.to_string()),
    }
}

/// What is left of a closed store says so.
fn refuses_everything(
    store: &Store,
    handles: &BTreeMap<usize, Vec<Pair>>,
    snapshots: &[(Snapshot, Reference)],
) {
    let closed = |error: Error| assert_eq!(error.kind(), ErrorKind::Closed, "{error:?}");
    closed(store.buckets().unwrap_err());
    closed(store.snapshot().unwrap_err());
    closed(store.create_bucket("ddd").unwrap_err());
    closed(store.write(|tx| tx.put_row("t", b"k", b"v")).unwrap_err());
    closed(store.checkpoint().unwrap_err());
    closed(store.maintain(Duration::from_secs(1)).unwrap_err());
    closed(store.compact(CompactOptions::new()).unwrap_err());
    for (bucket, _) in handles.values().flatten() {
        closed(bucket.get("a").unwrap_err());
        closed(bucket.put("a", b"").unwrap_err());
        closed(bucket.usage("").unwrap_err());
        closed(bucket.list("").unwrap_err());
    }
    for (snapshot, _) in snapshots {
        // Another opening may write over the pages that it shows, so it must not be read any more.
        closed(snapshot.usage().unwrap_err());
    }
    store.close().unwrap();
}
