//! The commits of the log, in order, from a place on: what the feed is made of.
//!
//! A commit is told only when it is durable. Were it told before, a crash could take it back and give its lsn to
//! another one, and whoever was told would never learn of it.

use std::collections::VecDeque;
use std::sync::Arc;

use super::gaps::{ahead, log_segments, logs_behind, truncated};
use crate::engine::state::engine::Engine;
use crate::engine::view::view::decode;
use crate::env::Planted;
use crate::error::Result;
use crate::format::commit::{self, Change, Position};
use crate::format::entry::Payload;
use crate::format::frame::Kind;
use crate::format::segment_header::HEADER_LEN;
use crate::index::Weight;
use crate::segment::{End, Scan, Segment, Table};

/// About how much log is read at once.
const STEP: u64 = 1 << 20;

/// A commit as the log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawCommit {
    /// Its place in the order of commits.
    pub lsn: u64,
    /// When, in milliseconds since 1970.
    pub millis: u64,
    /// What it changed, in the order in which it says so.
    pub changes: Vec<RawChange>,
}

/// A change as the log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawChange {
    /// The key that changed.
    pub key: Vec<u8>,
    /// What it has since; `None` if it was deleted.
    pub put: Option<RawPut>,
}

/// What a key was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawPut {
    /// What it counts for.
    pub weight: Weight,
    /// The catalog's half of the entry.
    pub payload: Vec<u8>,
}

/// Reads commits. It keeps the file of the segment that it is in, but no other: it can fall behind.
#[derive(Debug)]
pub struct CommitScan {
    engine: Arc<Engine>,
    /// The last commit that was handed out.
    told: u64,
    /// The last commit that was read.
    read: u64,
    ready: VecDeque<RawCommit>,
    /// The segment that is read, and where the next record stands.
    at: Option<(Arc<Segment>, u64)>,
}

impl Engine {
    /// The commits behind `after`. What is visible now is made durable first, so that `after` itself, which may
    /// be a snapshot's, stays what it is.
    ///
    /// # Errors
    /// `FeedTruncated` if the log does not reach back so far; `Invalid` if there is no such commit yet.
    pub fn commits_after(self: &Arc<Self>, after: u64) -> Result<CommitScan> {
        self.check_open()?;
        let newest = self.view().lsn;
        if after > newest {
            return Err(ahead(after, newest));
        }
        // A store that has failed tells what was durable before.
        if self.durable_log()?.dirty && self.check_writable().is_ok() {
            self.flush()?;
        }
        if after < self.feed_start() {
            return Err(truncated(after, self.feed_start()));
        }
        Ok(CommitScan { engine: self.clone(), told: after, read: after, ready: VecDeque::new(), at: None })
    }

    /// How far the log is durable. Waits for the turn to write.
    fn durable_log(&self) -> Result<Durable> {
        self.refuse_inside_turn()?;
        let writer = self.writer.lock();
        if self.planted(Planted::TellUnsynced) {
            return Ok(Durable { end: writer.log.end(), dirty: false, newest: writer.view.lsn });
        }
        Ok(Durable { end: writer.log.durable(), dirty: writer.log.is_dirty(), newest: writer.view.lsn })
    }
}

/// How far the log is durable.
#[derive(Clone, Copy, Debug)]
struct Durable {
    end: Position,
    /// Whether there is more behind the end.
    dirty: bool,
    /// The newest commit that is visible.
    newest: u64,
}

impl CommitScan {
    /// The next commit; `None` if all that is visible was handed out. It may be asked again then.
    ///
    /// # Errors
    /// `FeedTruncated` if the log went on without it; `Busy` inside a transaction that reads; what the disk says.
    pub fn next(&mut self) -> Result<Option<RawCommit>> {
        self.engine.check_open()?;
        if self.ready.is_empty() {
            self.fill()?;
        }
        let next = self.ready.pop_front();
        self.told = next.as_ref().map_or(self.told, |commit| commit.lsn);
        Ok(next)
    }

    /// Waits until there is a commit behind the last one that was handed out. Says whether there is one.
    pub fn wait(&self, at_most: std::time::Duration) -> Result<bool> {
        self.engine.wait_behind(self.told, at_most)
    }

    /// Reads the next commits, if any are visible.
    fn fill(&mut self) -> Result<()> {
        while self.engine.view().lsn > self.read {
            let durable = self.engine.durable_log()?;
            self.read_to(durable.end)?;
            if !self.ready.is_empty() {
                return Ok(());
            }
            if durable.dirty {
                self.engine.flush()?;
            } else if durable.newest > self.read {
                // Nothing of what is visible is left.
                return Err(self.hole(durable.newest));
            }
        }
        Ok(())
    }

    /// The log goes on behind commit `lsn` only.
    fn hole(&self, lsn: u64) -> crate::error::Error {
        self.engine.feed.begins_behind(lsn);
        truncated(self.read, self.engine.feed_start())
    }

    /// Reads about a step of log, up to `end`.
    fn read_to(&mut self, end: Position) -> Result<()> {
        let table = self.engine.segments();
        if self.at.is_none() {
            self.at = self.find(&table, end)?.map(|segment| (segment, HEADER_LEN as u64));
        }
        while let Some((segment, offset)) = self.at.clone() {
            let next = logs_behind(&table, segment.id(), end).next();
            let cut = next.and_then(|next| next.header.cut).filter(|cut| cut.segment == segment.id());
            let limit = if segment.id() == end.segment { Some(end) } else { cut };
            let enough = self.read_segment(&segment, offset, limit.map(|limit| limit.offset))?;
            match next {
                Some(next) if !enough => self.at = Some((next.clone(), HEADER_LEN as u64)),
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    /// The segment to begin in: the last one that begins at or before what was read.
    fn find(&self, table: &Table, end: Position) -> Result<Option<Arc<Segment>>> {
        let logs = log_segments(table, end);
        let (mut low, mut high) = (0, logs.len());
        while high - low > 1 {
            let middle = (low + high) / 2;
            let mut known = None;
            for (place, segment) in logs.iter().enumerate().take(high).skip(middle) {
                if let Some(before) = self.engine.feed.before(segment, end)? {
                    known = Some((place, before));
                    break;
                }
            }
            match known {
                Some((place, before)) if before <= self.read => low = place,
                _ => high = middle,
            }
        }
        Ok(logs.get(low).cloned())
    }

    /// Reads records of one segment. Says whether it stopped because that was enough for once.
    fn read_segment(&mut self, segment: &Arc<Segment>, offset: u64, limit: Option<u64>) -> Result<bool> {
        let mut scan = Scan::new(segment, offset, limit)?;
        loop {
            let at = scan.position();
            self.at = Some((segment.clone(), at));
            if at - offset >= STEP && !self.ready.is_empty() {
                return Ok(true);
            }
            let record = match scan.next(false)? {
                Ok(record) => record,
                Err(End::Bad(reason)) => return Err(segment.corrupt(at, reason)),
                Err(End::Clean | End::Continues(_)) => return Ok(false),
            };
            if record.frame.kind != Kind::Commit || record.frame.word <= self.read {
                continue;
            }
            let lsn = record.frame.word;
            if lsn > self.read + 1 {
                // What was read before the hole is told first.
                return if self.ready.is_empty() { Err(self.hole(lsn - 1)) } else { Ok(true) };
            }
            let commit = raw(segment, record.payload, lsn).map_err(|wrong| match wrong {
                Wrong::Payload(reason) => segment.corrupt(at, reason),
                Wrong::Spilled(error) => error,
            })?;
            self.ready.push_back(commit);
            self.read = lsn;
        }
    }
}

/// Why a commit cannot be read.
enum Wrong {
    Payload(&'static str),
    Spilled(crate::error::Error),
}

fn raw(segment: &Segment, payload: &[u8], lsn: u64) -> Result<RawCommit, Wrong> {
    let (head, changes) = commit::open(payload, false).map_err(Wrong::Payload)?;
    let mut found = Vec::new();
    for change in changes {
        let put = match change.map_err(Wrong::Payload)? {
            Change::Delete { key, .. } => {
                found.push(RawChange { key: key.to_vec(), put: None });
                continue;
            }
            put => put,
        };
        let Change::Put { key, slot, objects, bytes, entry, .. } = put else { continue };
        let payload = match decode(entry).map_err(Wrong::Spilled)?.payload {
            Payload::Inline(bytes) => bytes.to_vec(),
            Payload::Spilled(extent) if extent.segment != segment.id() => {
                return Err(Wrong::Payload("a commit does not have its own payload beside it"));
            }
            Payload::Spilled(extent) => {
                segment.read(&extent, 0..extent.len).map_err(Wrong::Spilled)?.to_vec()
            }
        };
        let put = RawPut { weight: Weight { slot, objects, bytes }, payload };
        found.push(RawChange { key: key.to_vec(), put: Some(put) });
    }
    Ok(RawCommit { lsn, millis: head.millis, changes: found })
}
