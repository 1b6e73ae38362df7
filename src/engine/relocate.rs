//! Relocation: the live rows and bodies of a segment move elsewhere in bounded steps, so that its file can go.
//!
//! Bodies move into cold bulk segments, apart from what is written fresh; rows are said again in the log, at the
//! lsn that they have. A row that changed meanwhile is left alone and looked at again: what replaced it lies elsewhere, but
//! may have the body still that lies here.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::ledger::{ENGINE_SPACE, Tombstone};
use super::proposal::{Change, Moved, NewBody, Proposal, State, What};
use super::view::{OwnedBody, Stored, View, decode};
use super::{Engine, Planted, Spender};
use crate::error::{Error, ErrorKind, Result};
use crate::format::commit::{self, Position};
use crate::format::entry::Extent;
use crate::format::frame::Kind;
use crate::format::segment_header::SegmentKind;
use crate::model::Durability;
use crate::segment::{End, Placed, Scan, Segment};

/// The keyspace of forwarding rows: (segment, offset) of a body whose key is no longer the one it was written
/// for, to the key that owns it now. They are rows like any other, in the log and in the index.
pub const FORWARD_SPACE: u8 = 1;
/// How much of a body is copied at once.
const COPY_STEP: u64 = 1 << 20;
/// The most rows in one commit of relocation, and about how many bytes of rows and bodies: little enough that
/// writers hardly notice it in front of them.
const BATCH_ROWS: usize = 256;
const BATCH_BYTES: u64 = 512 * 1024;
/// How many rows one step of a search looks at.
const SEARCH_ROWS: usize = 16_384;

/// How much of a segment is live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentUse {
    /// The segment's id.
    pub id: u64,
    /// What it holds.
    pub kind: SegmentKind,
    /// Bytes that something still needs.
    pub live: u64,
    /// Bytes of disk that it takes.
    pub taken: u64,
    /// Whether nothing is appended to it any more, so that it can be relocated.
    pub sealed: bool,
    /// Whether it holds nothing live and is kept for cursors of the feed.
    pub for_feed: bool,
}

/// A relocation in progress. Dropped, it can be begun again: what has moved is not moved twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relocated {
    /// The segment that is emptied.
    pub segment: u64,
    /// How far its records have been read.
    at: u64,
    /// Whether nothing live is left in it.
    pub done: bool,
    /// Bytes moved so far.
    pub bytes: u64,
    /// Where a search through all rows goes on, for what the records do not lead to; and whether there was one.
    search: Option<Vec<u8>>,
    searched: bool,
}

impl Relocated {
    /// A relocation that has not begun.
    pub fn of(segment: u64) -> Relocated {
        Relocated { segment, at: 0, done: false, bytes: 0, search: None, searched: false }
    }
}

/// The key of a forwarding row.
pub fn forward_key(extent: &Extent) -> Vec<u8> {
    let mut key = forward_prefix(extent.segment);
    key.extend_from_slice(&extent.offset.to_be_bytes());
    key
}

fn forward_prefix(segment: u64) -> Vec<u8> {
    let mut key = vec![FORWARD_SPACE];
    key.extend_from_slice(&segment.to_be_bytes());
    key
}

impl Engine {
    /// How much of each segment is live.
    pub fn segment_uses(&self) -> Vec<SegmentUse> {
        let (ledger, view, end) = {
            let writer = self.writer.lock();
            (writer.ledger.clone(), writer.view.clone(), writer.log.end())
        };
        let table = self.tables.current();
        let newest = View { segments: table.clone(), ..View::clone(&view) };
        let kept = self.kept_for_feed(&newest, &ledger, end);
        let of = |segment: &std::sync::Arc<Segment>| SegmentUse {
            id: segment.id(),
            kind: segment.header.kind,
            live: match ledger.live(segment.id()) {
                0 => 0,
                live if segment.header.is_coded() => segment.stored_share(live, self.chunk_log2()),
                live => segment.packed_share(live) + segment.overhead(),
            },
            taken: self.env.vfs.allocated(segment.path()).unwrap_or(0),
            sealed: match segment.header.kind {
                SegmentKind::Log => segment.id() < end.segment,
                SegmentKind::Bulk => !self.pools.is_open(segment.id()) && !segment.is_awaited(),
            },
            for_feed: kept.contains(&segment.id()),
        };
        table.iter().map(of).collect()
    }

    /// Bytes of segments that nothing needs any more, or that were never needed.
    pub fn garbage_bytes(&self) -> u64 {
        self.segment_uses().iter().map(|each| each.taken.saturating_sub(each.live)).sum()
    }

    /// Closes the bulk segments that wait for more bodies, and goes on in a new log segment, so that all
    /// there is can be relocated.
    pub fn seal_all(&self) -> Result<()> {
        self.refuse_inside_turn()?;
        let mut writer = self.writer.lock();
        self.check_writable()?;
        self.pools.seal_idle();
        let writer = &mut *writer;
        // Where the log of an earlier run ends, nothing is appended any more, but it counts as the end, and so
        // as not sealed, until a segment comes behind it.
        if writer.log.end() == Position::default() {
            return Ok(());
        }
        self.go_on_in_new_log(writer, 0, Some(Spender::Relocation))
    }

    /// Moves at most about `budget` live bytes out of a sealed segment, in commits of their own.
    ///
    /// # Errors
    /// `Corrupt` if something live is left in it that its records do not lead to; the segment is kept then.
    pub fn relocate(&self, progress: &mut Relocated, budget: u64) -> Result<()> {
        self.check_writable()?;
        let (before, mut loan) = (progress.at, None);
        loop {
            match self.relocate_step(progress, budget) {
                Err(error) if error.is_full() && !error.is_fatal() => {
                    // What is spent for this must not be taken back before it is used.
                    loan.get_or_insert_with(|| self.reserve.lend());
                    if !self.spend_for(progress.segment) {
                        return Err(error);
                    }
                    progress.at = before;
                }
                done => return done,
            }
        }
    }

    fn relocate_step(&self, progress: &mut Relocated, budget: u64) -> Result<()> {
        let _turn = self.moving_turn()?;
        let _moving = self.begin_move();
        let Some(segment) = self.tables.current().get(progress.segment).ok().cloned() else {
            progress.done = true;
            return Ok(());
        };
        let begun = progress.bytes;
        let mut scan = Scan::new(&segment, progress.at, None)?.for_keys();
        while !progress.done && progress.bytes - begun < budget {
            let view = self.pin();
            let mut batch = Batch::new(self, &segment);
            if let Some(from) = &progress.search {
                let next = batch.search(&view, from)?;
                let (bytes, missed) = batch.commit()?;
                progress.bytes += bytes;
                if !missed {
                    (progress.searched, progress.search) = (next.is_none(), next);
                }
                // Others may be waiting for their turn.
                return Ok(());
            }
            let ended = batch.gather(&view, &mut scan)?;
            if ended.is_some() {
                batch.consider_forwarded(&view)?;
            }
            let none_left = batch.rows.is_empty();
            let (bytes, missed) = batch.commit()?;
            progress.bytes += bytes;
            if missed {
                // A row that was changed meanwhile may have kept its body, and nothing leads there again but this.
                scan = Scan::new(&segment, progress.at, None)?.for_keys();
                continue;
            }
            // Only now: what was gathered is read again if its commit fails.
            progress.at = scan.position();
            let Some(end) = ended.filter(|_| none_left) else {
                continue;
            };
            let whole = match end {
                End::Continues(_) => true,
                End::Clean => scan.rest_is_blank()?,
                End::Bad(_) => false,
            };
            progress.done = match self.finish_relocation(&segment, whole) {
                // A version before this one let go of what leads to bodies that were renamed while their disk was away.
                // The search would hide that nothing was left to lead there.
                Err(error)
                    if error.kind() == ErrorKind::Corrupt
                        && whole
                        && !progress.searched
                        && !self.planted(Planted::NoForward) =>
                {
                    progress.search = Some(Vec::new());
                    false
                }
                done => done?,
            };
            if progress.done && self.planted(Planted::RemoveBeforeCheckpoint) {
                self.remove_too_early();
            }
        }
        Ok(())
    }

    /// Everything in the segment was read and nothing live found: the ledger must say so too, unless a body
    /// was renamed behind the walk. If it does not, damage has kept something from being found, and what the
    /// index still names must not go.
    fn finish_relocation(&self, segment: &Segment, whole: bool) -> Result<bool> {
        let mut writer = self.writer.lock();
        let mut cursor = writer.view.index.cursor();
        let prefix = forward_prefix(segment.id());
        cursor.seek(&prefix)?;
        if cursor.key().is_some_and(|key| key.starts_with(&prefix)) {
            return Ok(false);
        }
        let live = writer.ledger.live(segment.id());
        // A crash may lose the count of a tombstone that was dropped, and those lie in the log.
        if live > 0 && !(whole && segment.header.kind == SegmentKind::Log) {
            let why = format!("{live} bytes in it are live, but its records do not lead to them");
            return Err(segment.corrupt(0, why));
        }
        drop(cursor);
        writer.ledger.clear(segment.id());
        Ok(true)
    }
}

/// Whether a forwarding row leads to nothing: whom it names does not own that body any more. That the segment is not there
/// says nothing, for it may lie on a disk that comes back, or have a head that is mended.
pub(super) fn is_stray(view: &View, forward: &[u8], owner: &[u8]) -> Result<bool> {
    let Some(item) = view.index.get(owner)?.filter(|item| !item.tombstone) else { return Ok(true) };
    Ok(!decode(item.value())?.extents().any(|extent| forward_key(&extent) == forward))
}

/// A live row of the segment, and where its parts go.
struct Row {
    key: Vec<u8>,
    old: Vec<u8>,
    moved: Moved,
    what: What,
}

/// A short body that waits to be written with the others: its row, and the place in the row's extents.
struct Short {
    row: usize,
    place: usize,
    bytes: Bytes,
}

/// The rows of one commit.
struct Batch<'a> {
    engine: &'a Engine,
    segment: &'a Segment,
    /// The tier that bodies go to: that of the segment.
    tier: u8,
    seen: BTreeSet<Vec<u8>>,
    rows: Vec<Row>,
    shorts: Vec<Short>,
    /// Keeps the copied bodies from being taken for garbage until they are committed.
    placed: Vec<Placed>,
    /// How many rows it takes.
    most: usize,
    /// Forwarding rows that have done their work once the rows are committed, and their lsns.
    done_forwards: Vec<(Vec<u8>, u64)>,
    bytes: u64,
}

impl<'a> Batch<'a> {
    fn new(engine: &'a Engine, segment: &'a Segment) -> Batch<'a> {
        let (seen, rows, shorts, placed) = (BTreeSet::new(), Vec::new(), Vec::new(), Vec::new());
        let tier = segment.header.tier;
        let most = engine.rows_in_step(BATCH_ROWS);
        Batch { engine, segment, tier, seen, rows, shorts, placed, most, done_forwards: Vec::new(), bytes: 0 }
    }

    /// Reads records until there is enough for a commit. Says how the segment ends if that comes first.
    fn gather(&mut self, view: &View, scan: &mut Scan<'_>) -> Result<Option<End>> {
        let segment = self.segment;
        let mut keys = Vec::new();
        while !self.is_full() {
            let at = scan.position();
            let record = match scan.next(false)? {
                Ok(record) => record,
                Err(end) => return Ok(Some(end)),
            };
            let (offset, frame) = (record.offset, record.frame);
            match frame.kind {
                Kind::Commit | Kind::Moves => {
                    let moves = frame.kind == Kind::Moves;
                    let (_, changes) =
                        commit::open(record.payload, moves).map_err(|r| segment.corrupt(at, r))?;
                    for change in changes {
                        keys.push(change.map_err(|r| segment.corrupt(at, r))?.key().to_vec());
                    }
                }
                // Where everything is sealed, there is something even where there is no owner.
                Kind::Blob if frame.owner_len > 0 => {
                    keys.extend(Some(scan.owner(offset, &frame)?).filter(|key| !key.is_empty()));
                }
                _ => {}
            }
            for key in keys.drain(..) {
                self.consider(view, key)?;
            }
        }
        Ok(None)
    }

    /// Whether there is enough for a commit.
    fn is_full(&self) -> bool {
        self.bytes >= BATCH_BYTES || self.rows.len().max(self.done_forwards.len()) >= self.most
    }

    /// Takes the row of `key` along if any part of it lies in the segment.
    fn consider(&mut self, view: &View, key: Vec<u8>) -> Result<()> {
        if self.seen.contains(&key) {
            return Ok(());
        }
        let Some(item) = view.index.get(&key)? else {
            return Ok(());
        };
        let lsn = item.lsn;
        let (moved, what) = if item.tombstone {
            let tombstone = Tombstone::decode(item.value())?;
            if tombstone.home != self.segment.id() {
                return Ok(());
            }
            (Moved { lsn, made: tombstone.made }, What::Delete)
        } else {
            let entry = decode(item.value())?;
            let here = |extent: Extent| extent.segment == self.segment.id();
            if entry.home != self.segment.id() && !entry.extents().any(here) {
                return Ok(());
            }
            let Stored { weight, payload, body, .. } = view.stored(&item)?;
            if key[0] == FORWARD_SPACE && is_stray(view, &key, &payload)? {
                self.done_forwards.push((key, lsn));
                return Ok(());
            }
            let body = self.move_body(OwnedBody::of(&body), &key)?;
            (Moved { lsn, made: 0 }, What::Put { weight, body, payload: payload.into_owned() })
        };
        let old = item.value().to_vec();
        self.bytes += (key.len() + old.len()) as u64;
        self.rows.push(Row { key: key.clone(), old, moved, what });
        self.seen.insert(key);
        Ok(())
    }

    /// The keys that own bodies of this segment without the segment saying so; as many as fit into this commit. Those
    /// that are dealt with are gone when the rest is asked for.
    fn consider_forwarded(&mut self, view: &View) -> Result<()> {
        let prefix = forward_prefix(self.segment.id());
        let mut found = Vec::new();
        let mut cursor = view.index.cursor();
        cursor.seek(&prefix)?;
        while let Some(key) = cursor.key().filter(|key| found.len() < BATCH_ROWS && key.starts_with(&prefix))
        {
            let item =
                cursor.item()?.ok_or_else(|| Error::corrupt("the index", 0, "a key without an item"))?;
            found.push((key.to_vec(), item.lsn, view.stored(&item)?.payload.into_owned()));
            drop(item);
            cursor.next()?;
        }
        for (forward, lsn, owner) in found {
            if self.is_full() {
                break;
            }
            self.consider(view, owner)?;
            self.done_forwards.push((forward, lsn));
        }
        Ok(())
    }

    /// Looks through rows, from this key on, for those that have a body in the segment. Says where to go on, if there are more.
    fn search(&mut self, view: &View, from: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut cursor = view.index.cursor();
        cursor.seek(from)?;
        let (mut looks, mut found) = (0, Vec::new());
        while let Some(key) = cursor.key().map(<[u8]>::to_vec) {
            if looks >= SEARCH_ROWS || found.len() >= BATCH_ROWS {
                for key in found {
                    self.consider(view, key)?;
                }
                return Ok(Some(key));
            }
            looks += 1;
            let item = cursor.item()?.filter(|item| !item.tombstone && key.first() != Some(&ENGINE_SPACE));
            let mut here = false;
            if let Some(item) = item {
                here = decode(item.value())?.extents().any(|extent| extent.segment == self.segment.id());
            }
            found.extend(here.then_some(key));
            cursor.next()?;
        }
        for key in found {
            self.consider(view, key)?;
        }
        Ok(None)
    }

    /// The new places of a body. Short runs are only read here, and written later together.
    fn move_body(&mut self, body: OwnedBody, key: &[u8]) -> Result<NewBody> {
        let mut extents = body.extents().to_vec();
        for (place, extent) in extents.iter_mut().enumerate() {
            if extent.segment != self.segment.id() {
                continue;
            }
            self.bytes += extent.len;
            if extent.len <= BATCH_BYTES {
                let bytes = self.segment.read(extent, 0..extent.len)?;
                self.shorts.push(Short { row: self.rows.len(), place, bytes });
                continue;
            }
            let mut writer = self.engine.pool(self.tier)?.writer(key.to_vec(), true, false);
            let mut at = 0;
            while at < extent.len {
                let end = extent.len.min(at + COPY_STEP);
                writer.write(&self.segment.read(extent, at..end)?)?;
                at = end;
            }
            let placed = writer.finish()?;
            *extent = placed.extent;
            self.placed.push(placed);
        }
        Ok(if extents.is_empty() { NewBody::existing(body) } else { NewBody::Extents(extents) })
    }

    /// Commits the rows, then lets go of the forwarding rows that are no longer needed: were it the other way
    /// round, a crash between the two would leave bodies that nobody finds. Returns how many bytes have moved, and whether
    /// rows were left where they are because they have changed.
    fn commit(mut self) -> Result<(u64, bool)> {
        if !self.rows.is_empty() {
            self.write_shorts()?;
            let rows = std::mem::take(&mut self.rows);
            let stale = self.engine.planted(Planted::RelocateStale);
            let (moved, committed) =
                self.engine.commit(Move { rows, stale, missed: false }, Durability::Buffered);
            committed?;
            self.engine.gauges.relocated(self.bytes);
            if moved.missed {
                // The forwarding rows stay, for they may be all that leads to what was left.
                return Ok((self.bytes, true));
            }
        }
        if !self.done_forwards.is_empty() {
            let rows = std::mem::take(&mut self.done_forwards);
            self.engine.commit(DropForwards { rows }, Durability::Buffered).1?;
        }
        Ok((self.bytes, false))
    }

    /// Writes the short bodies in one go and puts their places into the rows.
    fn write_shorts(&mut self) -> Result<()> {
        if self.shorts.is_empty() {
            return Ok(());
        }
        let owned = |short: &Short| (self.rows[short.row].key.clone(), short.bytes.clone());
        let bodies: Vec<_> = self.shorts.iter().map(owned).collect();
        let placed = self.engine.pool(self.tier)?.write_cold(&bodies)?;
        for (short, placed) in self.shorts.drain(..).zip(placed) {
            if let What::Put { body: NewBody::Extents(extents), .. } = &mut self.rows[short.row].what {
                extents[short.place] = placed.extent;
            }
            self.placed.push(placed);
        }
        Ok(())
    }
}

/// Says rows again if they are still what they were.
struct Move {
    rows: Vec<Row>,
    stale: bool,
    /// Whether a row was no longer what it was.
    missed: bool,
}

impl Proposal for Move {
    fn decide(&mut self, state: &State<'_>) -> Result<Vec<Change>> {
        let mut changes = Vec::new();
        self.missed = false;
        for row in &self.rows {
            let current = state.index().get(&row.key)?;
            let same = current.is_some_and(|item| item.lsn == row.moved.lsn && item.value() == row.old);
            if same || self.stale {
                let what = match &row.what {
                    What::Delete => What::Delete,
                    What::Put { weight, body, payload } => {
                        What::Put { weight: *weight, body: body.clone(), payload: payload.clone() }
                    }
                };
                changes.push(Change { key: row.key.clone(), what, moved: Some(row.moved) });
            } else {
                self.missed = true;
            }
        }
        Ok(changes)
    }

    fn may_use_reserve(&self) -> Option<Spender> {
        Some(Spender::Relocation)
    }
}

/// Removes rows that have done their work and are still the same.
pub(super) struct DropForwards {
    pub(super) rows: Vec<(Vec<u8>, u64)>,
}

impl Proposal for DropForwards {
    fn decide(&mut self, state: &State<'_>) -> Result<Vec<Change>> {
        let mut changes = Vec::new();
        for (key, lsn) in &self.rows {
            if state.index().get(key)?.is_some_and(|item| !item.tombstone && item.lsn == *lsn) {
                changes.push(Change::delete(key.clone()));
            }
        }
        Ok(changes)
    }

    fn may_use_reserve(&self) -> Option<Spender> {
        Some(Spender::Relocation)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::api::Store;

    #[test]
    fn bodies_that_nothing_leads_to_any_more_are_searched_for_before_that_is_damage() {
        let settings =
            crate::engine::Settings { chunk_size: 4096, segment_size: 1 << 20, ..Default::default() };
        let builder = Store::builder("/s").vfs(Arc::new(crate::env::MemoryVfs::new())).settings(settings);
        let store = builder.maintenance(crate::api::Maintenance::Manual).open().unwrap();
        let bucket = store.create_bucket("cats").unwrap();
        let long = vec![7; 600_000];
        bucket.put("long", &long).unwrap();
        let engine = store.engine();
        engine.seal_all().unwrap();
        let victim = engine.segment_uses().into_iter().find(|each| each.live > 600_000).unwrap().id;
        bucket.rename("long", "renamed").unwrap();
        // As versions did that asked whether the segment was there.
        let view = engine.pin();
        let mut cursor = view.index.cursor();
        cursor.seek(&forward_prefix(victim)).unwrap();
        let (key, lsn) = (cursor.key().unwrap().to_vec(), cursor.item().unwrap().unwrap().lsn);
        assert!(key.starts_with(&forward_prefix(victim)));
        drop(cursor);
        engine.drop_done(vec![(key, lsn)]).unwrap();
        let mut progress = Relocated::of(victim);
        for _ in 0..20 {
            if !progress.done {
                engine.relocate(&mut progress, 1 << 30).unwrap();
            }
        }
        assert!(progress.done && progress.bytes > 600_000, "{progress:?}");
        engine.checkpoint().unwrap();
        assert!(!engine.segments().contains(victim));
        assert_eq!(bucket.get("renamed").unwrap().bytes().unwrap(), long);
        // What is in the ledger and nowhere else is damage still.
        bucket.put("other", &long).unwrap();
        engine.seal_all().unwrap();
        let victim = engine.segment_uses().into_iter().find(|each| each.live > 600_000).unwrap().id;
        let mut lie = super::super::ledger::LedgerDiff::default();
        let (value, tombstone) = (Tombstone { made: 1, home: victim }.encode(), true);
        lie.count(b"none", tombstone, &value, engine.chunk_log2(), 1).unwrap();
        engine.writer.lock().ledger.apply(lie);
        let mut progress = Relocated::of(victim);
        let told = (0..20).find_map(|_| engine.relocate(&mut progress, 1 << 30).err());
        assert_eq!(told.unwrap().kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn relocation_of_many_renamed_bodies_is_done_in_small_commits() {
        let settings =
            crate::engine::Settings { chunk_size: 4096, segment_size: 1 << 20, ..Default::default() };
        let vfs = Arc::new(crate::env::MemoryVfs::new());
        let store = Store::builder("/s")
            .vfs(vfs)
            .settings(settings)
            .maintenance(crate::api::Maintenance::Manual)
            .open()
            .unwrap();
        let bucket = store.create_bucket("cats").unwrap();
        let count = 4 * BATCH_ROWS;
        store
            .write(|tx| (0..count).try_for_each(|n| tx.put(&bucket, &format!("old/{n}"), vec![7; 300])))
            .unwrap();
        let engine = store.engine();
        engine.seal_all().unwrap();
        let victim = engine.segment_uses().iter().find(|each| each.live > 300 * count as u64).unwrap().id;
        store
            .write(|tx| {
                let names = |n| (format!("old/{n}"), format!("new/{n}"));
                (0..count).map(names).try_for_each(|(old, new)| tx.rename(&bucket, &old, &bucket, &new))
            })
            .unwrap();
        let before = engine.view().lsn;
        let mut progress = Relocated::of(victim);
        while !progress.done {
            engine.relocate(&mut progress, 1).unwrap();
        }
        let mut commits = engine.commits_after(before).unwrap();
        let mut dropped = 0;
        while let Some(commit) = commits.next().unwrap() {
            assert!(commit.changes.len() <= BATCH_ROWS, "{} rows in one commit", commit.changes.len());
            dropped += commit.changes.len();
        }
        assert_eq!(dropped, count);
        assert_eq!(bucket.get("new/5").unwrap().bytes().unwrap(), [7; 300][..]);
    }
}
