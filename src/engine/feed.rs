//! What of the log is kept for those who read the feed: their cursors, the first commit that is left, and a bell.
//!
//! Nothing is written for the feed: it is the log, read from a place on (`commit_scan.rs`). A log segment in which
//! nothing is live is dead for everybody else; here is decided whether it stays because a cursor has not passed it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::commit::Writer;
use super::ledger::Ledger;
use super::view::View;
use super::{ENGINE_SPACE, Engine, Planted};
use crate::error::{Error, ErrorKind, Result};
use crate::format::commit::Position;
use crate::format::segment_header::SegmentKind;
use crate::format::varint;
use crate::index::{Index, NewItem, Weight};
use crate::segment::{Segment, Table, lsn_before};

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
    before: Mutex<BTreeMap<u64, u64>>,
    /// Log segments without anything live that the last checkpoint has left for the feed.
    kept: Mutex<BTreeSet<u64>>,
    /// Who waits for a commit.
    waiting: AtomicUsize,
    turn: Mutex<()>,
    bell: Condvar,
}

/// A log segment in which nothing is live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Idle {
    id: u64,
    /// The last commit in it.
    last: u64,
    /// Bytes of disk that it takes.
    bytes: u64,
}

/// Which of the idle segments stay for a cursor at `floor`: those with commits behind it, the newest ones as far
/// as `most` bytes reach. Behind the first that does not fit, an older one would be of no use.
fn kept(idle: &[Idle], floor: u64, most: u64) -> BTreeSet<u64> {
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
    fn store(&self, index: &mut Index, lsn: u64) -> Result<()> {
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

/// The log segments of a table behind one up to the one in which the log ends, in order.
pub(super) fn logs_behind(table: &Table, id: u64, end: Position) -> impl Iterator<Item = &Arc<Segment>> {
    let log = |segment: &&Arc<Segment>| segment.header.kind == SegmentKind::Log;
    table.behind(id).filter(log).take_while(move |segment| segment.id() <= end.segment)
}

/// The log segments of a table up to the one in which the log ends, in order.
pub(super) fn log_segments(table: &Table, end: Position) -> Vec<Arc<Segment>> {
    logs_behind(table, 0, end).cloned().collect()
}

/// The commits behind `after` are not all there; they are from `start` on.
pub(super) fn truncated(after: u64, start: u64) -> Error {
    Error::new(
        ErrorKind::NotFound,
        "FeedTruncated",
        format!(
            "the changes behind commit {after} are no longer all in the log, which begins behind commit {start}; \
             take a snapshot, copy what it shows, and go on with the changes behind the snapshot's lsn"
        ),
    )
}

/// There is no such commit yet.
pub(super) fn ahead(lsn: u64, newest: u64) -> Error {
    Error::invalid(
        "InvalidArgument",
        format!(
            "there is no commit {lsn} yet, the newest one is {newest}; ask for the changes behind one that is"
        ),
    )
}

impl Engine {
    /// Every commit behind this one is in the log, as far as is known.
    pub fn feed_start(&self) -> u64 {
        self.feed.start()
    }

    /// Whether a cursor may stand behind commit `lsn` of a state: it is there, and all behind it is in the log. To be
    /// asked in turn: what is gone next is decided in turn as well.
    pub fn check_cursor(&self, view: &View, lsn: u64) -> Result<()> {
        if lsn > view.lsn {
            return Err(ahead(lsn, view.lsn));
        }
        if lsn < self.feed_start() {
            return Err(truncated(lsn, self.feed_start()));
        }
        Ok(())
    }

    /// Log segments in which nothing is live, among `dead` ones, in order.
    fn idle(&self, logs: &[Arc<Segment>], end: Position, dead: &BTreeSet<u64>, newest: u64) -> Vec<Idle> {
        let idle = |(at, segment): (usize, &Arc<Segment>)| {
            // A head that cannot be read leaves open how far the segment reaches: as far as it could.
            let next =
                logs[at + 1..].iter().find_map(|next| self.feed.before(next, end).unwrap_or(Some(newest)));
            let bytes = self.env.vfs.allocated(segment.path()).unwrap_or(0);
            Idle { id: segment.id(), last: next.unwrap_or(newest), bytes }
        };
        logs.iter().enumerate().filter(|(_, segment)| dead.contains(&segment.id())).map(idle).collect()
    }

    /// The slowest cursor that has not fallen behind; `None` if the feed needs nothing.
    fn slowest_cursor(&self, view: &View) -> Option<u64> {
        let start = self.feed.start();
        match cursors(view) {
            Ok(all) => all.iter().map(|(_, cursor)| cursor.lsn).filter(|lsn| *lsn >= start).min(),
            // What cannot be read may be needed.
            Err(_) => Some(start),
        }
    }

    /// Sealed log segments in which nothing is live and that a cursor still needs.
    pub(super) fn kept_for_feed(&self, view: &View, ledger: &Ledger, end: Position) -> BTreeSet<u64> {
        let logs = log_segments(&view.segments, end);
        let dead = logs.iter().map(|segment| segment.id());
        let dead = dead.filter(|id| *id < end.segment && ledger.live(*id) == 0).collect();
        self.wanted_by_cursors(view, end, &dead)
    }

    /// Finds out at opening what earlier checkpoints have left for the feed.
    pub(super) fn recall_kept(&self, view: &View, ledger: &Ledger, end: Position) {
        *self.feed.kept.lock() = self.kept_for_feed(view, ledger, end);
    }

    /// Log segments among `dead` that a cursor still needs.
    fn wanted_by_cursors(&self, view: &View, end: Position, dead: &BTreeSet<u64>) -> BTreeSet<u64> {
        let logs = log_segments(&view.segments, end);
        if !logs.iter().any(|segment| dead.contains(&segment.id())) {
            return BTreeSet::new();
        }
        let forgets = self.planted(Planted::ForgetCursors) || self.keeps_nothing_dead();
        match self.slowest_cursor(view).filter(|_| !forgets) {
            None => BTreeSet::new(),
            Some(floor) => kept(&self.idle(&logs, end, dead, view.lsn), floor, self.settings.feed_bytes),
        }
    }

    /// Takes what a cursor needs out of the `dead` segments that a checkpoint is about to remove, and remembers
    /// where the log begins without the rest: in the same checkpoint, so that a cursor is never believed to have
    /// what it has not.
    pub(super) fn spare_for_feed(
        &self,
        writer: &Writer,
        view: &mut View,
        dead: &mut BTreeSet<u64>,
    ) -> Result<()> {
        let end = writer.log.end();
        let kept = self.wanted_by_cursors(view, end, dead);
        dead.retain(|id| !kept.contains(id));
        let logs = log_segments(&view.segments, end);
        for gone in self.idle(&logs, end, dead, view.lsn) {
            let segment = view.segments.get(gone.id)?;
            // One with moves only holds no commit.
            if self.feed.before(segment, end).unwrap_or(Some(0)).is_some_and(|before| gone.last > before) {
                self.feed.begins_behind(gone.last);
            }
        }
        self.feed.before.lock().retain(|id, _| view.segments.contains(*id));
        *self.feed.kept.lock() = kept;
        let lsn = view.lsn;
        self.feed.store(&mut view.index, lsn)
    }

    /// Bytes of log that are on the disk for cursors only.
    pub(super) fn feed_bytes(&self, view: &View) -> u64 {
        let kept = self.feed.kept.lock().clone();
        let taken =
            |id: &u64| view.segments.get(*id).map_or(0, |s| self.env.vfs.allocated(s.path()).unwrap_or(0));
        kept.iter().map(taken).sum()
    }

    /// A cursor moves or goes with the commit whose turn it is: what was kept for it may go too.
    pub fn cursor_moved(&self) {
        if !self.feed.kept.lock().is_empty() {
            self.wake.raise();
        }
    }

    /// Waits until `nothing_new` says no, at most for so long. It is asked at once, and again behind every commit, and
    /// when the store is closed. The time is the machine's: a virtual clock that stands still would never end the wait.
    pub fn wait_while(&self, at_most: Duration, mut nothing_new: impl FnMut() -> bool) -> Result<()> {
        self.refuse_inside_turn()?;
        self.feed.waiting.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        let mut turn = self.feed.turn.lock();
        self.feed.bell.wait_while_for(&mut turn, |()| nothing_new(), at_most);
        drop(turn);
        self.feed.waiting.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    }

    /// Waits until there is a commit behind `lsn`, at most for so long. Says whether there is one.
    pub fn wait_behind(&self, lsn: u64, at_most: Duration) -> Result<bool> {
        self.refuse_inside_turn()?;
        self.feed.waiting.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        let mut turn = self.feed.turn.lock();
        // Looked at behind the count: whoever publishes later sees it and rings. The bell rings for groups that change
        // nothing and for moves as well, so it is looked at again after each.
        let nothing_new = |(): &mut ()| self.view.load().lsn <= lsn && self.check_open().is_ok();
        self.feed.bell.wait_while_for(&mut turn, nothing_new, at_most);
        drop(turn);
        self.feed.waiting.fetch_sub(1, Ordering::SeqCst);
        self.check_open()?;
        Ok(self.view.load().lsn > lsn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_idle_segments_stay_as_far_as_the_bytes_reach() {
        let idle = |id, last| Idle { id, last, bytes: 10 };
        let all = [idle(1, 5), idle(2, 9), idle(4, 12), idle(7, 20)];
        let ids = |floor, most| kept(&all, floor, most).into_iter().collect::<Vec<_>>();
        assert_eq!(ids(0, 100), [1, 2, 4, 7]);
        assert_eq!(ids(5, 100), [2, 4, 7]);
        assert_eq!(ids(20, 100), []);
        assert_eq!(ids(0, 25), [4, 7]);
        assert_eq!(ids(0, 9), []);
    }

    #[test]
    fn cursors_come_back() {
        let cursor = StoredCursor { lsn: 1 << 40, millis: 7 };
        assert_eq!(StoredCursor::decode(&cursor.encode()).unwrap(), cursor);
        for damaged in [&[][..], &[1], &[1, 2, 3], &[0x80]] {
            assert_eq!(StoredCursor::decode(damaged).unwrap_err().kind(), ErrorKind::Corrupt);
        }
    }
}
