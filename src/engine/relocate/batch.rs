//! A batch of rows and bodies on their way to another segment.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::forwards::DropForwards;
use crate::engine::proposal::ledger::{ENGINE_SPACE, Tombstone};
use crate::engine::proposal::proposal::{Change, Moved, NewBody, Proposal, State, What};
use crate::engine::state::engine::Engine;
use crate::engine::view::spaces::{FORWARD_SPACE, forward_key, forward_prefix};
use crate::engine::view::view::{OwnedBody, Stored, View, decode};
use crate::env::Planted;
use crate::error::{Error, Result};
use crate::format::commit;
use crate::format::entry::Extent;
use crate::format::frame::Kind;
use crate::model::Durability;
use crate::segment::{End, Placed, Scan, Segment, Spender};

/// How much of a body is copied at once.
const COPY_STEP: u64 = 1 << 20;

/// The most rows in one commit of relocation, and about how many bytes of rows and bodies: little enough that
/// writers hardly notice it in front of them.
pub(super) const BATCH_ROWS: usize = 256;

const BATCH_BYTES: u64 = 512 * 1024;

/// How many rows one step of a search looks at.
const SEARCH_ROWS: usize = 16_384;

/// Whether a forwarding row leads to nothing: whom it names does not own that body any more. That the segment is not there
/// says nothing, for it may lie on a disk that comes back, or have a head that is mended.
pub(in crate::engine) fn is_stray(view: &View, forward: &[u8], owner: &[u8]) -> Result<bool> {
    let Some(item) = view.index.get(owner)?.filter(|item| !item.tombstone) else { return Ok(true) };
    Ok(!decode(item.value())?.extents().any(|extent| forward_key(&extent) == forward))
}

/// A live row of the segment, and where its parts go.
pub(super) struct Row {
    key: Vec<u8>,
    old: Vec<u8>,
    pub moved: Moved,
    pub what: What,
}

/// A short body that waits to be written with the others: its row, and the place in the row's extents.
struct Short {
    row: usize,
    place: usize,
    bytes: Bytes,
}

/// The rows of one commit.
pub(super) struct Batch<'a> {
    engine: &'a Engine,
    segment: &'a Segment,
    /// The tier that bodies go to: that of the segment.
    tier: u8,
    seen: BTreeSet<Vec<u8>>,
    pub(super) rows: Vec<Row>,
    shorts: Vec<Short>,
    /// Keeps the copied bodies from being taken for garbage until they are committed.
    placed: Vec<Placed>,
    /// How many rows it takes.
    most: usize,
    /// Forwarding rows that have done their work once the rows are committed, and their lsns.
    done_forwards: Vec<(Vec<u8>, u64)>,
    pub bytes: u64,
}

impl<'a> Batch<'a> {
    pub(super) fn new(engine: &'a Engine, segment: &'a Segment) -> Batch<'a> {
        let (seen, rows, shorts, placed) = (BTreeSet::new(), Vec::new(), Vec::new(), Vec::new());
        let tier = segment.header.tier;
        let most = engine.rows_in_step(BATCH_ROWS);
        Batch { engine, segment, tier, seen, rows, shorts, placed, most, done_forwards: Vec::new(), bytes: 0 }
    }

    /// Reads records until there is enough for a commit. Says how the segment ends if that comes first.
    pub(super) fn gather(&mut self, view: &View, scan: &mut Scan<'_>) -> Result<Option<End>> {
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
    pub(super) fn consider_forwarded(&mut self, view: &View) -> Result<()> {
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
    pub(super) fn search(&mut self, view: &View, from: &[u8]) -> Result<Option<Vec<u8>>> {
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
    pub(super) fn commit(mut self) -> Result<(u64, bool)> {
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
