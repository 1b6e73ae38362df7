//! The tail of the log: appended to by one writer at a time, strictly in order, without holes.

use std::io::{self, IoSlice};
use std::sync::Arc;

use super::maker::{LogStart, SegmentMaker};
use super::segment::Segment;
use super::table::TableCell;
use crate::env::{File, Site};
use crate::error::{Error, Result, is_full};
use crate::format::commit::Position;
use crate::format::frame::{FRAME_LEN, Frame, Kind};
use crate::format::segment_header::{HEADER_LEN, SegmentKind};

/// Room kept at the end of every log segment for the record that names the next one.
const CONTINUE_ROOM: u64 = FRAME_LEN as u64;

/// How many segments are left behind before they are synced: each holds its file open until then.
const MOST_LEFT_BEHIND: usize = 8;

/// How much is zeroed at once when a failed append is taken back.
const UNDO_STEP: usize = 4096;

/// The tail of the log.
#[derive(Debug)]
pub struct Log {
    maker: Arc<SegmentMaker>,
    tables: Arc<TableCell>,
    active: Option<Active>,
    /// A segment made ahead of need, and its length.
    spare: Option<(Arc<Segment>, u64)>,
    /// Segments that were left behind with bytes still to be synced.
    left_behind: Vec<Arc<Segment>>,
    /// How the first segment of this run hangs together with what came before.
    start: LogStart,
    /// Everything before this is durable.
    durable: Position,
    dirty: bool,
}

#[derive(Debug)]
struct Active {
    segment: Arc<Segment>,
    tail: u64,
    len: u64,
}

/// What became of an append that failed.
#[derive(Debug)]
pub enum Undo {
    /// Nothing of it is on the disk; the log may go on.
    TakenBack(Error),
    /// What is on the disk is not known; the store must not write any more.
    Unknown(Error),
}

impl Log {
    /// A log that goes on after `end` (where the log on disk ends) and `lsn`. No file is made before it is needed.
    pub fn new(maker: Arc<SegmentMaker>, tables: Arc<TableCell>, end: Position, lsn: u64) -> Log {
        let cut = (end.segment != 0).then_some(end);
        let start = LogStart { cut, base_lsn: lsn };
        Log {
            maker,
            tables,
            active: None,
            spare: None,
            left_behind: Vec::new(),
            start,
            durable: end,
            dirty: false,
        }
    }

    /// Where the next record will stand; `None` before the first segment of this run is made.
    pub fn tail(&self) -> Option<Position> {
        self.active.as_ref().map(|active| Position { segment: active.segment.id(), offset: active.tail })
    }

    /// Where the log ends: the tail, or where it ended when the store was opened.
    pub fn end(&self) -> Position {
        self.tail().or(self.start.cut).unwrap_or_default()
    }

    /// Everything before this place is durable.
    pub fn durable(&self) -> Position {
        self.durable
    }

    /// Whether anything waits for a sync.
    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// The segment that is appended to.
    pub fn active(&self) -> Option<&Arc<Segment>> {
        self.active.as_ref().map(|active| &active.segment)
    }

    /// Whether `bytes` more fit behind `tail` in the active segment.
    pub fn fits(&self, bytes: u64) -> bool {
        self.active.as_ref().is_some_and(|active| active.tail + bytes + CONTINUE_ROOM <= active.len)
    }

    /// Goes on in a new segment of at least `len` bytes with room for `bytes`. The first one of a run is
    /// announced through `announce` (which makes the superblock say that it exists) before it is used.
    pub fn rotate(
        &mut self,
        len: u64,
        bytes: u64,
        announce: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<(), Undo> {
        if self.left_behind.len() >= MOST_LEFT_BEHIND {
            self.sync_left_behind().map_err(Undo::Unknown)?;
        }
        let len = len.max(HEADER_LEN as u64 + bytes + CONTINUE_ROOM);
        let first = self.active.is_none();
        let start = if first { self.start } else { LogStart::default() };
        let (segment, len) = match self.take_spare(first, len) {
            Some(spare) => spare,
            None => (self.maker.create(SegmentKind::Log, 0, len, start).map_err(Undo::TakenBack)?, len),
        };
        let announced = match &self.active {
            None => announce(segment.id()).map_err(Undo::Unknown),
            Some(active) => {
                let frame = Frame {
                    kind: Kind::Continue,
                    flags: 0,
                    owner_len: 0,
                    payload_sum: 0,
                    length: 0,
                    word: segment.id(),
                };
                let bytes = frame.encode(active.segment.seed(), active.tail);
                let file = active.segment.file().map_err(Undo::TakenBack)?;
                file.write_at(&[IoSlice::new(&bytes)], active.tail, Site::LOG_APPEND)
                    .map_err(|e| Self::undo(active, &*file, CONTINUE_ROOM, e))
            }
        };
        if let Err(undo) = announced {
            if let Undo::TakenBack(_) = undo {
                // Its id is not used again.
                self.drop_unused(&segment);
            }
            return Err(undo);
        }
        if let Some(old) = self.active.take() {
            old.segment.mark_touched(&(old.tail..old.tail + CONTINUE_ROOM));
            self.left_behind.push(old.segment);
            self.dirty = true;
        }
        self.tables.add(segment.clone());
        self.active = Some(Active { segment, tail: HEADER_LEN as u64, len });
        Ok(())
    }

    /// Whether a segment to go on in should be made now, before the active one is full.
    pub fn wants_spare(&self) -> bool {
        self.spare.is_none() && self.active.as_ref().is_some_and(|active| active.tail > active.len / 2)
    }

    /// Keeps a segment of `len` bytes to go on in, so that nobody has to wait for one to be made.
    pub fn keep_spare(&mut self, segment: Arc<Segment>, len: u64) {
        match &self.spare {
            None => self.spare = Some((segment, len)),
            Some(_) => self.drop_unused(&segment),
        }
    }

    /// The spare, if it is long enough and its id is still ahead of the log's.
    fn take_spare(&mut self, first: bool, len: u64) -> Option<(Arc<Segment>, u64)> {
        if first {
            return None;
        }
        let (segment, spare_len) = self.spare.take()?;
        let ahead = self.active.as_ref().is_some_and(|active| active.segment.id() < segment.id());
        if ahead && spare_len >= len {
            return Some((segment, spare_len));
        }
        self.drop_unused(&segment);
        None
    }

    /// Removes a segment that nothing names. If that fails, the next opening does it.
    fn drop_unused(&self, segment: &Segment) {
        let _ = self.maker.env.vfs.remove(segment.path(), Site::LOG_CREATE);
    }

    /// Appends `pieces`, `total` bytes in all, which must fit.
    pub fn append(&mut self, pieces: &[IoSlice<'_>], total: u64) -> Result<(), Undo> {
        assert!(self.fits(total), "an append that does not fit");
        let active = self.active.as_mut().expect("checked by fits");
        let file = active.segment.file().map_err(Undo::TakenBack)?;
        if let Err(error) = file.write_at(pieces, active.tail, Site::LOG_APPEND) {
            return Err(Self::undo(active, &*file, total, error));
        }
        active.segment.mark_touched(&(active.tail..active.tail + total));
        active.tail += total;
        self.dirty = true;
        Ok(())
    }

    /// Takes a failed append back: what was written of it is zeroed again and the zeros made durable, so that no later
    /// opening can take it for records. Nobody was told of it, and no reader looks behind the tail. If that fails as well,
    /// the disk is in doubt.
    fn undo(active: &Active, file: &dyn File, total: u64, error: io::Error) -> Undo {
        let full = is_full(&error);
        let error = active.segment.failed("appending to", error);
        let zeros = [0u8; UNDO_STEP];
        let mut at = active.tail;
        let end = active.tail + total;
        while at < end {
            let step = (end - at).min((UNDO_STEP as u64) - at % UNDO_STEP as u64);
            match file.write_at(&[IoSlice::new(&zeros[..step as usize])], at, Site::LOG_UNDO) {
                Ok(()) => at += step,
                // A block that cannot be had for the zeros was not had for the record either.
                Err(error) if full && is_full(&error) => break,
                Err(_) => return Undo::Unknown(error),
            }
        }
        match file.sync_data(Site::LOG_UNDO) {
            Ok(()) => Undo::TakenBack(error),
            Err(_) => Undo::Unknown(error),
        }
    }

    /// An error if the file that is appended to has lost its name.
    pub fn check_name(&self) -> Result<()> {
        self.active.as_ref().map_or(Ok(()), |active| self.maker.check_name(&active.segment))
    }

    fn sync_left_behind(&mut self) -> Result<()> {
        for segment in self.left_behind.drain(..) {
            segment.sync(Site::LOG_SYNC)?;
            segment.settle();
        }
        Ok(())
    }

    /// Makes everything appended so far durable. After an error nothing is known and nothing may be retried (I8).
    pub fn sync(&mut self) -> Result<()> {
        self.sync_left_behind()?;
        if let Some(active) = self.active.as_ref().filter(|_| self.dirty) {
            active.segment.sync(Site::LOG_SYNC)?;
            self.durable = Position { segment: active.segment.id(), offset: active.tail };
        }
        self.dirty = false;
        Ok(())
    }
}
