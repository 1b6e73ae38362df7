//! The change feed: where it begins, and the cursors that followers store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};

use parking_lot::{Condvar, Mutex};

use crate::engine::proposal::ledger::ENGINE_SPACE;
use crate::engine::view::view::View;
use crate::error::{Error, Result};
use crate::format::commit::Position;
use crate::format::varint;
use crate::index::{Index, NewItem, Weight};
use crate::segment::{Segment, lsn_before};

/// The keyspace of cursors: a name, to the last commit that its owner has dealt with. They are rows like any
/// other, in the log and in the index.
pub const CURSOR_SPACE: u8 = 5;

/// The engine's own row that says from where on the log has every commit.
const START_KEY: [u8; 2] = [ENGINE_SPACE, b'f'];

/// A cursor, as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredCursor {
    /// The last commit that its owner has dealt with.
    pub lsn: u64,
    /// When it was set, in milliseconds since 1970.
    pub millis: u64,
}

impl StoredCursor {
    /// The payload of its row: two varints.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(12);
        varint::put(&mut out, self.lsn);
        varint::put(&mut out, self.millis);
        out
    }

    /// Reads the payload of a row.
    pub fn decode(mut payload: &[u8]) -> Result<StoredCursor> {
        let damaged = || Error::corrupt("the row of a cursor", 0, "it is not two numbers");
        let lsn = varint::take(&mut payload).ok_or_else(damaged)?;
        let millis = varint::take(&mut payload).filter(|_| payload.is_empty()).ok_or_else(damaged)?;
        Ok(StoredCursor { lsn, millis })
    }
}

/// The key of a cursor's row.
pub fn cursor_key(name: &str) -> Vec<u8> {
    let mut key = vec![CURSOR_SPACE];
    key.extend_from_slice(name.as_bytes());
    key
}

/// All cursors of a view, in the order of their names.
pub fn cursors(view: &View) -> Result<Vec<(String, StoredCursor)>> {
    let mut found = Vec::new();
    let mut cursor = view.index.cursor();
    cursor.seek(&[CURSOR_SPACE])?;
    while let Some(key) = cursor.key().filter(|key| key[0] == CURSOR_SPACE) {
        let name = String::from_utf8_lossy(&key[1..]).into_owned();
        let item = cursor.item()?.ok_or_else(|| Error::corrupt("the index", 0, "a key without an item"))?;
        found.push((name, StoredCursor::decode(&view.stored(&item)?.payload)?));
        drop(item);
        cursor.next()?;
    }
    Ok(found)
}

/// What the engine knows of the feed beside what the log says.
#[derive(Debug, Default)]
pub struct Feed {
    /// Every commit behind this one is in the log, as far as is known.
    start: AtomicU64,
    /// The start that the index has.
    stored: AtomicU64,
    /// The commit before the first one of a log segment, for segments that were asked about.
    pub(in crate::engine) before: Mutex<BTreeMap<u64, u64>>,
    /// Log segments without anything live that the last checkpoint has left for the feed.
    pub(in crate::engine) kept: Mutex<BTreeSet<u64>>,
    /// Who waits for a commit.
    pub(in crate::engine) waiting: AtomicUsize,
    pub(in crate::engine) turn: Mutex<()>,
    pub(in crate::engine) bell: Condvar,
}

/// A log segment in which nothing is live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) struct Idle {
    pub(in crate::engine) id: u64,
    /// The last commit in it.
    pub(in crate::engine) last: u64,
    /// Bytes of disk that it takes.
    pub(in crate::engine) bytes: u64,
}

/// Which of the idle segments stay for a cursor at `floor`: those with commits behind it, the newest ones as far
/// as `most` bytes reach. Behind the first that does not fit, an older one would be of no use.
pub(in crate::engine) fn kept(idle: &[Idle], floor: u64, most: u64) -> BTreeSet<u64> {
    let mut left = most;
    let wanted = idle.iter().rev().filter(|each| each.last > floor);
    let fitting = wanted.take_while(|each| {
        let fits = each.bytes <= left;
        left = left.saturating_sub(each.bytes);
        fits
    });
    fitting.map(|each| each.id).collect()
}

impl Feed {
    /// Every commit behind this one is in the log, as far as is known.
    pub fn start(&self) -> u64 {
        self.start.load(Ordering::Acquire)
    }

    /// Commits up to `lsn` are not all in the log any more.
    pub fn begins_behind(&self, lsn: u64) {
        self.start.fetch_max(lsn, Ordering::AcqRel);
    }

    /// A log segment begins behind commit `lsn`.
    pub fn goes_on_in(&self, segment: u64, lsn: u64) {
        self.before.lock().insert(segment, lsn);
    }

    /// Reads what a checkpoint has stored.
    pub fn load(&self, index: &Index) -> Result<()> {
        if let Some(item) = index.get(&START_KEY)?.filter(|item| !item.tombstone) {
            let damaged = || Error::corrupt("the index", 0, "the row of the feed's start cannot be read");
            let start = varint::take(&mut item.value()).ok_or_else(damaged)?;
            self.begins_behind(start);
            self.stored.store(start, Ordering::Release);
        }
        Ok(())
    }

    /// Writes the start into the index if it has changed.
    pub(in crate::engine) fn store(&self, index: &mut Index, lsn: u64) -> Result<()> {
        let start = self.start();
        if start == self.stored.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut value = Vec::new();
        varint::put(&mut value, start);
        let item = NewItem { lsn, tombstone: false, weight: Weight::default(), value: &value };
        index.put(&START_KEY, item, &mut |_| {})?;
        self.stored.store(start, Ordering::Release);
        Ok(())
    }

    /// The commit before the first one of a log segment, in a log that ends at `end`; `None` if it has none.
    pub fn before(&self, segment: &Segment, end: Position) -> Result<Option<u64>> {
        if let Some(lsn) = self.before.lock().get(&segment.id()) {
            return Ok(Some(*lsn));
        }
        let found = match segment.header.cut {
            Some(_) => Some(segment.header.base_lsn),
            // What stands behind the end is no part of the log.
            None => lsn_before(segment, (segment.id() == end.segment).then_some(end.offset))?,
        };
        if let Some(lsn) = found {
            self.goes_on_in(segment.id(), lsn);
        }
        Ok(found)
    }

    /// Wakes whoever waits for a commit. Costs next to nothing if nobody does.
    pub fn ring(&self) {
        // Against the one in `wait_behind`: either the waiter sees the commit, or this sees the waiter.
        fence(Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) > 0 {
            drop(self.turn.lock());
            self.bell.notify_all();
        }
    }
}
