//! The ledger: how many bytes of each segment are live.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Result};
use crate::format::entry::{Entry, Extent};
use crate::format::{frame, varint};
use crate::index::{Index, NewItem, Weight};
use crate::segment::Table;

/// The keyspace of the engine's own rows. They are part of the index but never of the log.
pub const ENGINE_SPACE: u8 = 0;

const LEDGER_TAG: u8 = b'u';

/// Bytes live in each segment, by id. Only segments with live bytes are in it.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    live: BTreeMap<u64, u64>,
    changed: BTreeSet<u64>,
}

/// Changes to a ledger that may still be thrown away.
#[derive(Debug, Default)]
pub struct LedgerDiff(Vec<(u64, i64)>);

impl LedgerDiff {
    fn add(&mut self, segment: u64, bytes: i64) {
        match self.0.last_mut() {
            Some((last, sum)) if *last == segment => *sum += bytes,
            _ => self.0.push((segment, bytes)),
        }
    }

    /// Whether something that it makes live lies in a segment that is not in the table.
    pub fn names_outside(&self, table: &Table) -> bool {
        self.0.iter().any(|(segment, bytes)| *bytes > 0 && !table.contains(*segment))
    }

    /// Counts a live row (`sign` 1) or a row that is live no more (`sign` -1).
    pub fn count(
        &mut self,
        key: &[u8],
        tombstone: bool,
        value: &[u8],
        chunk_log2: u8,
        sign: i64,
    ) -> Result<()> {
        let row = row_bytes(key, value) as i64;
        if tombstone {
            self.add(Tombstone::decode(value)?.home, sign * row);
            return Ok(());
        }
        let entry = crate::engine::view::view::decode(value)?;
        self.add(entry.home, sign * row);
        for extent in entry.extents() {
            self.add(extent.segment, sign * extent_bytes(&extent, chunk_log2) as i64);
        }
        Ok(())
    }
}

/// What a row counts for in its segment.
fn row_bytes(key: &[u8], value: &[u8]) -> u64 {
    (key.len() + value.len() + 16) as u64
}

/// What an extent counts for in its segment.
pub fn extent_bytes(extent: &Extent, chunk_log2: u8) -> u64 {
    frame::blob_record_len(extent.len, chunk_log2)
}

/// What a tombstone remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// The newest log segment when it was made. Once this one and all before it are gone, no older row of the
    /// key is left in the log, and the tombstone may go.
    pub made: u64,
    /// The log segment that holds it.
    pub home: u64,
}

impl Tombstone {
    /// The value in the index: two varints.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(6);
        varint::put(&mut out, self.made);
        varint::put(&mut out, self.home);
        out
    }

    /// Reads the value in the index.
    pub fn decode(mut value: &[u8]) -> Result<Tombstone> {
        let damaged = || Error::corrupt("the index", 0, "a tombstone is cut off");
        let made = varint::take(&mut value).ok_or_else(damaged)?;
        let home = varint::take(&mut value).filter(|_| value.is_empty()).ok_or_else(damaged)?;
        Ok(Tombstone { made, home })
    }
}

/// The weight of a tombstone.
pub fn tombstone_weight(key: &[u8]) -> Weight {
    Weight { slot: crate::index::TOMBSTONE_SLOT, objects: 1, bytes: key.len() as u64 }
}

/// Puts an item into the index and counts what it makes live and what it makes garbage.
pub fn apply(
    index: &mut Index,
    diff: &mut LedgerDiff,
    chunk_log2: u8,
    key: &[u8],
    item: NewItem<'_>,
) -> Result<()> {
    diff.count(key, item.tombstone, item.value, chunk_log2, 1)?;
    let mut counted = Ok(());
    index.put(key, item, &mut |previous| {
        if let Some(previous) = previous {
            counted = diff.count(key, previous.tombstone, previous.value(), chunk_log2, -1);
        }
    })?;
    counted
}

/// The extents and the home of a value, for those who only want to know where it lies.
pub fn segments_of(value: &[u8]) -> Result<(u64, Vec<Extent>)> {
    let entry: Entry<'_> = crate::engine::view::view::decode(value)?;
    let extents = entry.extents().collect();
    Ok((entry.home, extents))
}

impl Ledger {
    /// Bytes live in a segment.
    pub fn live(&self, segment: u64) -> u64 {
        self.live.get(&segment).copied().unwrap_or(0)
    }

    /// Bytes live in all segments.
    pub fn total(&self) -> u64 {
        // Each number may come from a damaged index.
        self.live.values().copied().fold(0, u64::saturating_add)
    }

    /// Nothing in this segment is live: a walk over all of it has shown so.
    pub fn clear(&mut self, segment: u64) {
        if self.live.remove(&segment).is_some() {
            self.changed.insert(segment);
        }
    }

    /// Takes a diff over.
    pub fn apply(&mut self, diff: LedgerDiff) {
        for (segment, bytes) in diff.0 {
            let live = self.live.entry(segment).or_insert(0);
            // A sum that would fall below zero can only come from a damaged index; it must not wrap.
            *live = live.saturating_add_signed(bytes);
            if *live == 0 {
                self.live.remove(&segment);
            }
            self.changed.insert(segment);
        }
    }

    /// Writes what changed since the last call into the index, so that the next checkpoint has it.
    pub fn store(&mut self, index: &mut Index, lsn: u64) -> Result<()> {
        for &segment in &self.changed {
            let mut key = vec![ENGINE_SPACE, LEDGER_TAG];
            key.extend_from_slice(&segment.to_be_bytes());
            let mut value = Vec::new();
            varint::put(&mut value, self.live(segment));
            let tombstone = self.live(segment) == 0;
            let item = NewItem { lsn, tombstone, weight: Weight::default(), value: &value };
            index.put(&key, item, &mut |_| {})?;
        }
        // Only now: if the index could not be read, the next checkpoint must try again.
        self.changed.clear();
        Ok(())
    }

    /// Reads the ledger of a checkpoint.
    pub fn load(index: &Index) -> Result<Ledger> {
        let mut ledger = Ledger::default();
        let mut cursor = index.cursor();
        cursor.seek(&[ENGINE_SPACE, LEDGER_TAG])?;
        while let Some(key) = cursor.key().filter(|key| key.starts_with(&[ENGINE_SPACE, LEDGER_TAG])) {
            let damaged = || Error::corrupt("the index", 0, "a row of the ledger cannot be read");
            let segment = u64::from_be_bytes(key[2..].try_into().map_err(|_| damaged())?);
            let item = cursor.item()?.ok_or_else(damaged)?;
            let live = varint::take(&mut item.value()).ok_or_else(damaged)?;
            ledger.live.insert(segment, live);
            drop(item);
            cursor.next()?;
        }
        Ok(ledger)
    }
}
