//! What of the log is kept for those who read the feed: their cursors, the first commit that is left, and a bell.
//!
//! Nothing is written for the feed: it is the log, read from a place on (`commit_scan.rs`). A log segment in which
//! nothing is live is dead for everybody else; here is decided whether it stays because a cursor has not passed it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use super::gaps::{ahead, log_segments, truncated};
use crate::engine::proposal::ledger::Ledger;
use crate::engine::state::engine::Engine;
use crate::engine::state::feed::{Idle, cursors, kept};
use crate::engine::state::writer::Writer;
use crate::engine::view::view::View;
use crate::env::Planted;
use crate::error::Result;
use crate::format::commit::Position;
use crate::segment::Segment;

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
    pub(in crate::engine) fn kept_for_feed(
        &self,
        view: &View,
        ledger: &Ledger,
        end: Position,
    ) -> BTreeSet<u64> {
        let logs = log_segments(&view.segments, end);
        let dead = logs.iter().map(|segment| segment.id());
        let dead = dead.filter(|id| *id < end.segment && ledger.live(*id) == 0).collect();
        self.wanted_by_cursors(view, end, &dead)
    }

    /// Finds out at opening what earlier checkpoints have left for the feed.
    pub(in crate::engine) fn recall_kept(&self, view: &View, ledger: &Ledger, end: Position) {
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
    pub(in crate::engine) fn spare_for_feed(
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
    pub(in crate::engine) fn feed_bytes(&self, view: &View) -> u64 {
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
    use crate::engine::state::feed::StoredCursor;
    use crate::error::ErrorKind;

    #[test]
    fn the_newest_idle_segments_stay_as_far_as_the_bytes_reach() {
        let idle = |id, last| Idle { id, last, bytes: 10 };
        let all = [idle(1, 5), idle(2, 9), idle(4, 12), idle(7, 20)];
        let ids = |floor, most| kept(&all, floor, most).into_iter().collect::<Vec<_>>();
        assert_eq!(ids(0, 100), [1, 2, 4, 7]);
        assert_eq!(ids(5, 100), [2, 4, 7]);
        assert!(ids(20, 100).is_empty());
        assert_eq!(ids(0, 25), [4, 7]);
        assert!(ids(0, 9).is_empty());
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
