//! Replaying the log behind the checkpoint.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::IoSlice;
use std::sync::Arc;

use super::segment_files::Unsound;
use crate::engine::proposal::ledger::{self, Ledger, LedgerDiff, Tombstone};
use crate::engine::state::engine::Engine;
use crate::engine::view::view::View;
use crate::env::{OpenMode, Planted, Site};
use crate::error::{Error, Result, is_full};
use crate::format::commit::{self, Change, Position};
use crate::format::entry::Extent;
use crate::format::frame::{FRAME_LEN, Kind};
use crate::format::segment_header::{HEADER_LEN, SegmentKind};
use crate::format::superblock::Superblock;
use crate::index::{NewItem, Weight};
use crate::segment::{End, Log, Scan, Segment, Table, find_durable_mark, log_dir, parse_file_name};

/// The most bytes of commits that wait for their bodies to be proved.
const WAITING_MAX: usize = 64 << 20;

/// How much is written again at once.
const REWRITE_STEP: u64 = 1 << 20;

const MISSING: &str = "the log goes on in this segment, but the file is missing";

/// A record that was read but not yet applied.
struct Waiting {
    at: Position,
    lsn: u64,
    moves: bool,
    payload: Vec<u8>,
}

/// The walk through the log.
pub(super) struct Replay<'a> {
    engine: &'a Engine,
    pub(super) rebuild: bool,
    pub(super) logs: BTreeMap<u64, Arc<Segment>>,
    table: Table,
    /// The state so far, the index included.
    pub(super) view: View,
    ledger: Ledger,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    /// The last lsn that was read, which is ahead of the view's while records wait.
    read_lsn: u64,
    /// The end of the last record that was applied.
    applied: Position,
    pub(super) replayed: u64,
    durable: Position,
    /// Where the records of the log segments end that the walk has left behind.
    ends: BTreeMap<u64, u64>,
    /// Bulk segments with bodies that only the page cache may have, and where the last of them ends.
    unproved: BTreeMap<u64, u64>,
    /// Where the log of a backup ends, whatever stands behind.
    pub(super) last: Option<Position>,
    /// Where the walk ends, because a living writer says that the log is durable up to here.
    until: Option<Position>,
    /// Whether a record names a segment that is not in the table.
    pub(super) wants_more: bool,
}

impl<'a> Replay<'a> {
    /// A walk that begins at `from` with the state of the engine's writer.
    pub(super) fn new(
        engine: &'a Engine,
        table: Table,
        from: Position,
        durable: Position,
        until: Option<Position>,
    ) -> Replay<'a> {
        let (view, ledger) = {
            let writer = engine.writer.lock();
            (View { segments: table.clone(), ..View::clone(&writer.view) }, writer.ledger.clone())
        };
        let logs = table.iter().filter(|segment| segment.header.kind == SegmentKind::Log);
        Replay {
            engine,
            rebuild: false,
            logs: logs.map(|segment| (segment.id(), segment.clone())).collect(),
            table,
            read_lsn: view.lsn,
            view,
            ledger,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            applied: from,
            replayed: 0,
            durable: until.map_or(durable, |until| until.max(durable)),
            ends: BTreeMap::new(),
            unproved: BTreeMap::new(),
            last: None,
            until,
            wants_more: false,
        }
    }

    /// Walks the log and returns where it ends.
    pub(super) fn walk(&mut self, from: Position, block: &Superblock, unsound: &Unsound) -> Result<Position> {
        if let Some(until) = self.until.filter(|until| *until <= from) {
            return Ok(until);
        }
        if self.last == Some(Position::default()) {
            return Ok(Position::default());
        }
        if block.log_known == 0 && from == Position::default() && self.until.is_none() {
            // The superblock knows of a log segment before the first record goes into one. Whatever lies there was made
            // and never used, and one opening must not follow it further than the next.
            return Ok(Position::default());
        }
        let first = if from.segment == 0 { self.logs.keys().next().copied() } else { Some(from.segment) };
        let Some(mut id) = first else {
            return match unsound.get(&block.log_known).filter(|_| block.log_known != 0) {
                Some(reason) => Err(self.damaged_log(block.log_known, reason)),
                None => Ok(Position::default()),
            };
        };
        if self.engine.planted(Planted::ReplayTooLate)
            && let Some((next, _)) = self.logs.range(id + 1..).next()
        {
            id = *next;
        }
        let mut offset = from.offset.max(HEADER_LEN as u64);
        loop {
            let Some(segment) = self.logs.get(&id).cloned() else {
                let reason = unsound.get(&id).copied().unwrap_or(MISSING);
                return Err(self.damaged_log(id, reason));
            };
            if self.waiting.is_empty() {
                // While records wait, the log may still turn out to end before them.
                self.applied = Position { segment: id, offset };
            }
            let (stop, end) = self.walk_segment(&segment, offset)?;
            if self.until == Some(stop) {
                return Ok(stop);
            }
            if stop.segment != id {
                return self.end_of_log(stop, end, false);
            }
            if let Some(last) = self.last.filter(|last| last.segment == id) {
                // All of a backup's log was durable before the superblock named it.
                return if stop == last {
                    self.end_of_log(stop, end, true)
                } else {
                    Err(segment.corrupt(stop.offset, "the log of the backup goes on behind this place"))
                };
            }
            match self.successor(stop, end, unsound) {
                next if self.until.is_some_and(|until| next.is_none_or(|next| next > until.segment)) => {
                    let why = if let End::Bad(reason) = end { reason } else { "the log seems to end here" };
                    return Err(segment.corrupt(
                        stop.offset,
                        format!("{why}, yet the writer of the store says that more than this is durable"),
                    ));
                }
                Some(next) => {
                    let name_of_next = if let End::Continues(_) = end { FRAME_LEN as u64 } else { 0 };
                    self.ends.insert(id, stop.offset + name_of_next);
                    id = next;
                }
                None => {
                    if block.log_known > id && !self.rebuild && !self.logs.contains_key(&block.log_known) {
                        let reason = unsound.get(&block.log_known).copied();
                        return Err(self.damaged_log(block.log_known, reason.unwrap_or(MISSING)));
                    }
                    let known_clean = block.clean && !self.rebuild && from == stop;
                    return self.end_of_log(stop, end, known_clean);
                }
            }
            offset = HEADER_LEN as u64;
        }
    }

    /// A rebuild needs every log segment that is left. That one was relocated cannot be told from its loss, but
    /// the newest ones were not, and no sound name was ever given to an unsound file among the older ones.
    pub(super) fn check_rebuild(&self, block: &Superblock, unsound: &Unsound) -> Result<()> {
        let replayed = block.checkpoint.map_or(0, |checkpoint| checkpoint.replay.segment);
        let newest = block.log_known.max(replayed);
        if let Some((id, reason)) = unsound.range(..=newest).next() {
            return Err(self.damaged_log(*id, reason));
        }
        match [replayed, newest].into_iter().find(|id| *id != 0 && !self.logs.contains_key(id)) {
            Some(id) => Err(self.damaged_log(id, MISSING)),
            None => Ok(()),
        }
    }

    /// The segment that the log goes on in behind `stop`; `None` if the log ends there.
    fn successor(&self, stop: Position, end: End, unsound: &Unsound) -> Option<u64> {
        if let End::Continues(next) = end {
            // In a rebuild the next segment may have been relocated long ago; the one after it follows then.
            if !self.rebuild || self.logs.contains_key(&next) || unsound.contains_key(&next) {
                return Some(next);
            }
        }
        let mut later = self.logs.range(stop.segment + 1..);
        if let Some((next, _)) = later.clone().find(|(_, segment)| segment.header.cut == Some(stop)) {
            return Some(*next);
        }
        // Behind the replay position segments go missing only in a rebuild.
        later.find(|_| self.rebuild && !matches!(end, End::Bad(_))).map(|(next, _)| *next)
    }

    /// Reads the records of one segment. Returns where and how they end.
    fn walk_segment(&mut self, segment: &Arc<Segment>, offset: u64) -> Result<(Position, End)> {
        let id = segment.id();
        let limit = self.until.or(self.last).filter(|last| last.segment == id).map(|last| last.offset);
        let mut scan = Scan::new(segment, offset, limit)?;
        scan.trust(self.engine.planted(Planted::NoRecordSum));
        loop {
            let at = scan.position();
            let read = scan
                .next(self.until.is_none())?
                .map(|record| (record.frame.kind, record.frame.word, record.payload.to_vec()));
            let (kind, lsn, payload) = match read {
                Ok(read) => read,
                Err(End::Bad(_)) if self.engine.planted(Planted::SkipBadRecord) && scan.step_over() => {
                    continue;
                }
                Err(end) => {
                    return Ok((Position { segment: id, offset: at }, end));
                }
            };
            let next = scan.position();
            self.replayed += next - at;
            if !matches!(kind, Kind::Commit | Kind::Moves) {
                continue;
            }
            let moves = kind == Kind::Moves;
            let damaged = |reason: &str| segment.corrupt(at, reason);
            let (head, _) = commit::open(&payload, moves).map_err(damaged)?;
            // A log that was lost in part shows here: lsns are dense (I4).
            let expected = if moves { self.read_lsn } else { self.read_lsn + 1 };
            if (!self.rebuild && lsn != expected) || (self.rebuild && lsn < expected) {
                return Err(damaged(&format!("commit {lsn} stands where commit {expected} should")));
            }
            if lsn > expected {
                // Where lsns skip, a segment has gone, and the feed begins anew.
                self.engine.feed.begins_behind(if moves { lsn } else { lsn - 1 });
            }
            self.read_lsn = lsn;
            self.durable = self.durable.max(head.durable);
            let waiting = Waiting { at: Position { segment: id, offset: next }, lsn, moves, payload };
            self.waiting_bytes += waiting.payload.len();
            self.waiting.push_back(waiting);
            if !self.apply_proved()? {
                // The rest is dropped, and the search for durable marks says whether it may be.
                return Ok((self.applied, End::Bad("a body of the next commit is not whole")));
            }
        }
    }

    /// Applies the records at the head of the queue that are known to be whole. `false`: one is not, and the
    /// log ends before it.
    fn apply_proved(&mut self) -> Result<bool> {
        while let Some(first) = self.waiting.front() {
            let proved = first.at <= self.durable || !names_bulk(first, &self.table)?;
            if !proved && self.waiting_bytes <= WAITING_MAX {
                return Ok(true);
            }
            if !self.apply_first(proved)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Applies the record at the head of the queue, after a look at its bodies if they are not `proved`.
    fn apply_first(&mut self, proved: bool) -> Result<bool> {
        let Some(first) = self.waiting.pop_front() else {
            return Ok(true);
        };
        self.waiting_bytes -= first.payload.len();
        if !proved && !self.engine.planted(Planted::SkipBodyCheck) && !self.bodies_are_whole(&first)? {
            self.waiting.clear();
            return Ok(false);
        }
        let mut diff = LedgerDiff::default();
        let chunk_log2 = self.engine.chunk_log2();
        let (head, changes) =
            commit::open(&first.payload, first.moves).map_err(|r| self.damaged_record(&first, r))?;
        for change in changes {
            let change = change.map_err(|reason| self.damaged_record(&first, reason))?;
            let home = first.at.segment;
            let (lsn, made) = match change {
                Change::Put { lsn, .. } => (lsn.unwrap_or(first.lsn), home),
                Change::Delete { moved, .. } => moved.unwrap_or((first.lsn, home)),
            };
            // Only in a rebuild can a row come after a newer one of the same key.
            if self.view.index.get(change.key())?.is_some_and(|item| item.lsn > lsn) {
                continue;
            }
            let tombstone = Tombstone { made, home }.encode();
            let item = match change {
                Change::Put { slot, objects, bytes, entry, .. } => {
                    NewItem { lsn, tombstone: false, weight: Weight { slot, objects, bytes }, value: entry }
                }
                Change::Delete { key, .. } => {
                    let weight = ledger::tombstone_weight(key);
                    NewItem { lsn, tombstone: true, weight, value: &tombstone }
                }
            };
            ledger::apply(&mut self.view.index, &mut diff, chunk_log2, change.key(), item)?;
        }
        self.wants_more |= self.until.is_some() && diff.names_outside(&self.table);
        self.ledger.apply(diff);
        self.applied = first.at;
        if self.view.lsn != first.lsn {
            self.view.reign = self.view.reign.followed(head.millis);
        }
        self.view.lsn = first.lsn;
        self.view.structure = first.lsn;
        let over = self.view.index.active.bytes() > self.engine.settings.delta_bytes;
        if over && self.waiting.is_empty() {
            self.checkpoint_midway()?;
        }
        Ok(true)
    }

    /// Hands the state to the engine: the log ends at `end`.
    pub(super) fn install(&mut self, end: Position) {
        let mut writer = self.engine.writer.lock();
        writer.view = Arc::new(self.view.clone());
        writer.ledger = self.ledger.clone();
        writer.log = Log::new(self.engine.maker.clone(), self.engine.tables.clone(), end, self.view.lsn);
        writer.since_checkpoint = self.replayed;
        self.engine.view.store(writer.view.clone());
    }

    /// Moves the delta into the tree in the middle of a long replay, so that memory stays bounded. A rebuild
    /// names its tree only at the end, because it cannot be taken up in the middle; otherwise the checkpoint
    /// counts, and a crash now would find less to replay. A full disk only means that memory has to do.
    fn checkpoint_midway(&mut self) -> Result<()> {
        let engine = self.engine;
        if !self.rebuild && engine.read_only {
            return Ok(());
        }
        if !self.rebuild {
            self.make_durable(self.applied)?;
        }
        self.install(self.applied);
        match engine.checkpoint_replayed(!self.rebuild) {
            Err(error) if !error.is_full() => return Err(error),
            _ => {}
        }
        let writer = engine.writer.lock();
        self.view = View { segments: self.table.clone(), ..View::clone(&writer.view) };
        self.ledger = writer.ledger.clone();
        Ok(())
    }

    /// Whether every body in a bulk segment that a record names is there to the last byte.
    fn bodies_are_whole(&mut self, record: &Waiting) -> Result<bool> {
        for extent in bulk_extents(record, &self.table)? {
            let segment = match self.table.get(extent.segment) {
                Ok(segment) => segment,
                // What cannot be looked at is believed: what was acknowledged must not be dropped for a missing disk.
                Err(_) if self.table.out_of_service().is_some() => continue,
                Err(_) => return Ok(false),
            };
            let mut at = 0;
            while at < extent.len {
                let end = extent.len.min(at + (4 << 20));
                match segment.read(&extent, at..end) {
                    Ok(_) => at = end,
                    Err(error) if error.kind() == crate::error::ErrorKind::Corrupt => return Ok(false),
                    Err(error) => return Err(error),
                }
            }
            // The rest of its record as well: a body whose owner's key is torn could be read, but never moved.
            let end = match segment.whole_record(&extent) {
                Ok(end) => end,
                Err(error) if error.kind() == crate::error::ErrorKind::Corrupt => return Ok(false),
                Err(error) => return Err(error),
            };
            let last = self.unproved.entry(extent.segment).or_default();
            *last = end.max(*last);
        }
        Ok(true)
    }

    /// The log ends at `stop`: proves what still waits, then tells a torn tail from damage (I12).
    fn end_of_log(&mut self, stop: Position, end: End, known_clean: bool) -> Result<Position> {
        let mut at = stop;
        while !self.waiting.is_empty() {
            if !self.apply_first(false)? {
                at = self.applied;
            }
        }
        if known_clean || self.engine.planted(Planted::NoDurableMark) {
            return Ok(at);
        }
        let reason = match end {
            End::Bad(reason) => reason,
            _ => "the log seems to end here",
        };
        for (id, later) in self.logs.range(at.segment..) {
            let from = if *id == at.segment { at.offset } else { 0 };
            if let Some(mark) = find_durable_mark(later, from, at)? {
                return Err(self.logs[&at.segment].corrupt(
                    at.offset,
                    format!(
                        "{reason}, yet the record at byte {} of {} was written when this place was already durable: \
                         commits that were acknowledged are damaged",
                        mark.offset,
                        later.name()
                    ),
                ));
            }
        }
        Ok(at)
    }

    /// Opening for writing: makes durable what was replayed, cuts the tail off, removes unused log segments.
    pub(super) fn settle(
        &mut self,
        end: Position,
        block: &Superblock,
        passed_over: &BTreeSet<u64>,
    ) -> Result<()> {
        let engine = self.engine;
        let clean = block.clean && self.replayed == 0;
        if !clean && !engine.planted(Planted::SkipRecoverySync) {
            self.make_durable(end)?;
        }
        if let Some(last) = self.logs.get(&end.segment) {
            let size = last.file_len()?;
            // A cut of which the sync failed looks as if it were done, so it is done again.
            if size > end.offset || !clean {
                let path = last.path();
                let cut =
                    engine.env.vfs.open(path, OpenMode::ReadWrite, Site::SEGMENT_OPEN).and_then(|file| {
                        file.set_len(end.offset, Site::RECOVERY_WRITE)?;
                        file.sync_data(Site::RECOVERY_SYNC)
                    });
                cut.map_err(|e| Error::io(format!("cutting the tail off {}", path.display()), e))?;
            }
        }
        let unused: Vec<u64> = self.logs.range(end.segment + 1..).map(|(id, _)| *id).collect();
        for id in &unused {
            engine.tables.remove(*id);
        }
        let dir = log_dir(&engine.dir);
        let failed = |doing: &str, error| Error::io(format!("{doing} {}", dir.display()), error);
        let names = engine.env.vfs.list(&dir, Site::STORE_LIST).map_err(|e| failed("listing", e))?;
        let ids =
            names.iter().filter(|listed| listed.is_file).filter_map(|listed| parse_file_name(&listed.name));
        let stray: Vec<u64> = ids.filter(|id| *id > end.segment || passed_over.contains(id)).collect();
        if stray.is_empty() {
            return Ok(());
        }
        // First the superblock stops knowing them, so that their absence is never taken for a loss.
        if block.log_known > end.segment {
            engine.superblock.update(&engine.env, |block| block.log_known = end.segment)?;
        }
        for id in stray {
            let path = dir.join(crate::segment::file_name(id));
            let removed = engine.env.vfs.remove(&path, Site::SEGMENT_REMOVE);
            removed.map_err(|e| Error::io(format!("removing {}", path.display()), e))?;
        }
        engine.env.vfs.sync_dir(&dir, Site::SEGMENT_REMOVE).map_err(|e| failed("syncing", e))
    }

    /// Makes durable what only the page cache may have: writes it again as it is, and syncs it.
    fn make_durable(&mut self, end: Position) -> Result<()> {
        for (id, last) in std::mem::take(&mut self.unproved) {
            let segment = self.table.get(id)?;
            // What lies on another disk was durable before any commit named it, and that disk may take no writes now.
            if segment.path().starts_with(&self.engine.dir) {
                self.rewrite(segment, HEADER_LEN as u64, last)?;
            }
        }
        let from = self.durable.min(end);
        for (id, segment) in self.logs.range(from.segment..=end.segment) {
            let first =
                if *id == from.segment { from.offset.max(HEADER_LEN as u64) } else { HEADER_LEN as u64 };
            let last =
                if *id == end.segment { end.offset } else { self.ends.get(id).copied().unwrap_or(first) };
            self.rewrite(segment, first, last)?;
        }
        self.durable = self.durable.max(end);
        Ok(())
    }

    fn rewrite(&self, segment: &Segment, mut at: u64, end: u64) -> Result<()> {
        let failed = |error| Error::io(format!("making {} durable", segment.name()), error);
        let vfs = &self.engine.env.vfs;
        let file = vfs.open(segment.path(), OpenMode::ReadWrite, Site::SEGMENT_OPEN).map_err(failed)?;
        let mut bytes = Vec::new();
        while at < end {
            bytes.resize((end - at).min(REWRITE_STEP) as usize, 0);
            segment.read_raw(&mut bytes, at)?;
            match file.write_at(&[IoSlice::new(&bytes)], at, Site::RECOVERY_WRITE) {
                Ok(()) => at += bytes.len() as u64,
                // A disk that copies on write may have no room for it; the sync is what can be had then.
                Err(error) if is_full(&error) => break,
                Err(error) => return Err(failed(error)),
            }
        }
        segment.sync(Site::RECOVERY_SYNC)
    }

    pub(super) fn damaged_log(&self, id: u64, reason: &str) -> Error {
        let path = log_dir(&self.engine.dir).join(crate::segment::file_name(id));
        Error::corrupt(path.display(), 0, reason)
    }

    fn damaged_record(&self, record: &Waiting, reason: &str) -> Error {
        match self.logs.get(&record.at.segment) {
            Some(segment) => segment.corrupt(record.at.offset, reason),
            None => self.damaged_log(record.at.segment, reason),
        }
    }
}

/// The extents of a record that lie in bulk segments, or in segments that are not there.
fn bulk_extents(record: &Waiting, table: &Table) -> Result<Vec<Extent>> {
    let unreadable =
        |reason| Error::corrupt(crate::segment::file_name(record.at.segment), record.at.offset, reason);
    let (_, changes) = commit::open(&record.payload, record.moves).map_err(unreadable)?;
    let mut found = Vec::new();
    for change in changes {
        if let Change::Put { entry, .. } = change.map_err(unreadable)? {
            let (_, extents) = ledger::segments_of(entry)?;
            let in_log = |extent: &Extent| {
                table.get(extent.segment).is_ok_and(|segment| segment.header.kind == SegmentKind::Log)
            };
            found.extend(extents.into_iter().filter(|extent| !in_log(extent)));
        }
    }
    Ok(found)
}

fn names_bulk(record: &Waiting, table: &Table) -> Result<bool> {
    Ok(!bulk_extents(record, table)?.is_empty())
}
