//! Bulk segments: bodies streamed in as they arrive, outside any lock, each writer in a segment of its own.

use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::env::{Planted, Site};
use crate::error::{Error, Result};
use crate::format::checksum::crc;
use crate::format::coded;
use crate::format::entry::Extent;
use crate::format::frame::{self, FRAME_LEN, Frame, Kind};
use crate::format::segment_header::{HEADER_LEN, SegmentKind};
use crate::segment::coding::{ChunkCoder, Coding};
use crate::segment::maker::{LogStart, SegmentMaker};
use crate::segment::reserve::Reserve;
use crate::segment::sealed::store_chunks;
use crate::segment::segment::Segment;
use crate::segment::table::TableCell;

/// By how much a bulk segment's file grows when a body needs more than it was made with.
const GROW_STEP: u64 = 16 << 20;

/// How many segments may wait for a sync: each holds its file open until then.
const MOST_UNSYNCED: usize = 8;

/// After so many bytes the system is asked to start writing them, so that the sync at the end is short.
pub(super) const WRITEBACK_STEP: u64 = 8 << 20;

/// The bulk segments of a tier that are open for more bodies.
#[derive(Debug)]
pub struct BulkPool {
    pub(super) maker: Arc<SegmentMaker>,
    /// The tier whose segments these are.
    tier: u8,
    /// How bodies are stored in them.
    pub(super) coding: Coding,
    /// Coders that no writer holds.
    coders: Mutex<Vec<ChunkCoder>>,
    tables: Arc<TableCell>,
    segment_len: AtomicU64,
    /// What is kept free on the disk that these lie on.
    pub(super) reserve: Arc<Reserve>,
    idle: Mutex<Vec<Open>>,
    /// A segment made ahead of need, and its length.
    spare: Mutex<Option<(Arc<Segment>, u64)>>,
    /// Whether an open segment is more than half full.
    filling: AtomicBool,
    /// Segments with finished bodies that wait for a sync.
    unsynced: Mutex<Vec<Arc<Segment>>>,
    /// Held while the list above is worked off.
    syncing: Mutex<()>,
    /// Ids of segments that a writer holds or that wait for one, and where their finished records end.
    open_ids: Mutex<Vec<(u64, u64)>>,
}

#[derive(Debug)]
pub(super) struct Open {
    pub(super) segment: Arc<Segment>,
    pub(super) tail: u64,
    len: u64,
    /// The length it was made with: behind that no new body begins.
    made: u64,
    /// Whether relocated bodies go here: they are colder than what is written fresh, and are kept apart.
    cold: bool,
}

impl Open {
    /// Writes pieces one after another, growing the file if it must.
    pub(super) fn put(&mut self, at: u64, pieces: &[&[u8]]) -> Result<()> {
        let end = at + pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
        let file = self.segment.file()?;
        if end > self.len {
            let len = end.next_multiple_of(GROW_STEP);
            file.set_len(len, Site::BULK_WRITE).map_err(|e| self.segment.failed("growing", e))?;
            self.len = len;
        }
        let slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        file.write_at(&slices, at, Site::BULK_WRITE).map_err(|e| self.segment.failed("writing to", e))?;
        self.segment.mark_touched(&(at..end));
        Ok(())
    }

    /// Gives the disk back that stands behind what is finished, after a write that did not find room for all of it. No
    /// record reaches there, so nobody reads it.
    pub(super) fn take_back(&mut self) -> bool {
        let Ok(file) = self.segment.file() else { return false };
        let cut = file
            .set_len(self.tail, Site::BULK_WRITE)
            .and_then(|()| file.set_len(self.made, Site::BULK_WRITE));
        self.len = self.made;
        cut.is_ok()
    }
}

/// How long a body is, and how much of its record its chunks are.
#[derive(Clone, Copy)]
pub(super) struct Lengths {
    pub(super) plain: u64,
    pub(super) stored: u64,
}

/// The frame of a blob, and what stands behind its chunks: the table if it is coded, the placed sums, then its owner.
pub(super) fn blob_parts(
    seed: u32,
    at: u64,
    len: Lengths,
    (sums, table): (&[u32], Option<&[u32]>),
    owner: &[u8],
    flags: u8,
) -> (Frame, Vec<u8>) {
    let mut trailer = Vec::with_capacity(sums.len() * 8 + owner.len());
    let placed = sums.iter().zip(0..).map(|(sum, index)| frame::placed_chunk_sum(*sum, seed, at, index));
    match table {
        Some(table) => coded::encode(table, placed, &mut trailer),
        None => placed.for_each(|sum| trailer.extend(sum.to_le_bytes())),
    }
    trailer.extend_from_slice(owner);
    let (owner_len, payload_sum) = (owner.len() as u16, crc(&trailer));
    let length = len.stored + trailer.len() as u64;
    (Frame { kind: Kind::Blob, flags, owner_len, payload_sum, length, word: len.plain }, trailer)
}

/// A body that lies on the disk but is not yet part of any commit. It keeps its segment from being removed.
#[derive(Debug)]
pub struct Placed {
    /// Where the body lies.
    pub extent: Extent,
    pub(super) segment: Arc<Segment>,
}

impl Placed {
    pub(super) fn new(extent: Extent, segment: Arc<Segment>) -> Placed {
        segment.in_flight.fetch_add(1, Ordering::AcqRel);
        Placed { extent, segment }
    }

    /// The segment that the body lies in.
    pub fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        self.segment.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

impl BulkPool {
    /// A pool that makes segments of `segment_len` bytes for a tier; a single body may make one longer.
    pub fn new(
        maker: Arc<SegmentMaker>,
        tables: Arc<TableCell>,
        tier: u8,
        coding: Coding,
        segment_len: u64,
        reserve: Arc<Reserve>,
    ) -> BulkPool {
        BulkPool {
            maker,
            tier,
            coding,
            coders: Mutex::new(Vec::new()),
            tables,
            segment_len: AtomicU64::new(segment_len),
            reserve,
            idle: Mutex::new(Vec::new()),
            spare: Mutex::new(None),
            filling: AtomicBool::new(false),
            unsynced: Mutex::new(Vec::new()),
            syncing: Mutex::new(()),
            open_ids: Mutex::new(Vec::new()),
        }
    }

    /// Whether everything is sealed here.
    pub(super) fn is_sealed(&self) -> bool {
        self.maker.identity.ring.is_some()
    }

    /// Whether bodies are stored here in coded chunks.
    pub fn is_coded(&self) -> bool {
        self.coding.is_coded() || self.is_sealed()
    }

    /// A coder, if bodies are coded here.
    pub(super) fn coder(&self) -> Result<Option<ChunkCoder>> {
        let Some(level) = self.coding.level else { return Ok(None) };
        let kept = self.coders.lock().pop();
        kept.map_or_else(|| ChunkCoder::new(level), Ok).map(Some)
    }

    pub(super) fn keep_coder(&self, coder: Option<ChunkCoder>) {
        self.coders.lock().extend(coder);
    }

    /// Writes many short bodies, each with its owner, in one go into a cold segment. Relocation does this.
    pub fn write_cold(&self, bodies: &[(Vec<u8>, Bytes)]) -> Result<Vec<Placed>> {
        let mut coder = self.coder()?;
        let mut open = self.take(true)?;
        let segment = open.segment.clone();
        let (seed, log2) = (segment.seed(), self.coding.chunk_log2);
        let mut records = Vec::new();
        let mut extents = Vec::with_capacity(bodies.len());
        for (owner, body) in bodies {
            let begin = records.len();
            let at = open.tail + begin as u64;
            records.resize(begin + FRAME_LEN, 0);
            let (mut sums, mut table) = (Vec::new(), None);
            let mut sealer = segment.body_sealer(at, false, body);
            match (&mut coder, &mut sealer) {
                (None, None) => {
                    sums = frame::chunk_sums(body, log2);
                    records.extend_from_slice(body);
                }
                (coder, sealer) => {
                    let (coder, sealer) = (coder.as_mut(), sealer.as_mut());
                    let words = store_chunks(coder, sealer, (body, true), log2, &mut sums, &mut records);
                    // The segment is given back as it was taken: nothing was written yet.
                    match words {
                        Ok(words) => table = Some(words),
                        Err(error) => {
                            self.give_back(open);
                            return Err(error);
                        }
                    }
                }
            }
            let len =
                Lengths { plain: body.len() as u64, stored: (records.len() - begin - FRAME_LEN) as u64 };
            let (owner, flags) = segment.seal_owner(sealer.as_ref(), len.plain, at, owner);
            let (head, trailer) = blob_parts(seed, at, len, (&sums, table.as_deref()), &owner, flags);
            records[begin..begin + FRAME_LEN].copy_from_slice(&head.encode(seed, at));
            records.extend_from_slice(&trailer);
            records.resize((at - open.tail + head.record_len()) as usize, 0);
            extents.push(Extent { segment: segment.id(), offset: at, len: body.len() as u64 });
        }
        self.keep_coder(coder);
        let tail = open.tail;
        if let Err(error) = open.put(tail, &[&records]) {
            self.give_up(open, &error);
            return Err(error);
        }
        let owners: usize = bodies.iter().map(|(owner, _)| owner.len() + 8).sum();
        segment.overhead.fetch_add(owners as u64, Ordering::Relaxed);
        open.tail += records.len() as u64;
        if let Err(error) = self.note_finished(&segment) {
            self.seal(&open);
            return Err(error);
        }
        let placed = extents.into_iter().map(|extent| Placed::new(extent, segment.clone())).collect();
        self.give_back(open);
        Ok(placed)
    }

    /// Sets how long new segments are: shorter in a small store, so that less garbage lies in open ones.
    pub fn set_segment_len(&self, len: u64) {
        self.segment_len.store(len, Ordering::Relaxed);
    }

    /// Where the finished records of a segment end that is open for more; `None` if nothing is added to it any more.
    /// What stands before that place never changes.
    pub fn finished_end(&self, id: u64) -> Option<u64> {
        self.open_ids.lock().iter().find(|(open, _)| *open == id).map(|(_, end)| *end)
    }

    /// Closes every segment that no writer holds, so that it can be relocated and removed.
    pub fn seal_idle(&self) {
        if let Some((unused, _)) = self.spare.lock().take() {
            self.drop_unused(&unused);
        }
        let idle = std::mem::take(&mut *self.idle.lock());
        idle.iter().for_each(|open| self.seal(open));
    }

    /// Closes this segment if no writer holds it.
    pub fn seal_if_idle(&self, id: u64) {
        let idle = {
            let mut idle = self.idle.lock();
            let at = idle.iter().position(|one| one.segment.id() == id);
            at.map(|at| idle.remove(at))
        };
        if let Some(open) = idle {
            self.seal(&open);
        }
    }

    /// Whether any finished body waits for a sync.
    pub fn is_dirty(&self) -> bool {
        !self.unsynced.lock().is_empty()
    }

    /// Makes every finished body durable. After an error nothing may be retried (I8).
    pub fn sync(&self) -> Result<()> {
        // Held until all are done, so that nobody takes a list that is being worked off for an empty one.
        let _one = self.syncing.lock();
        let waiting = self.unsynced.lock().clone();
        waiting.iter().try_for_each(|segment| self.sync_segment(segment))?;
        // What was finished meanwhile stays in the list, and so does what somebody is syncing just now.
        self.unsynced.lock().retain(|segment| {
            let finished = segment.bodies.load(Ordering::Acquire);
            segment.durable_bodies.try_lock().is_none_or(|durable| *durable < finished)
        });
        Ok(())
    }

    /// Makes the finished bodies of one segment durable, on the caller's thread.
    pub fn sync_segment(&self, segment: &Segment) -> Result<()> {
        let mut durable = segment.durable_bodies.lock();
        let finished = segment.bodies.load(Ordering::Acquire);
        if *durable < finished {
            segment.sync(Site::BULK_SYNC)?;
            self.maker.check_name(segment)?;
            *durable = finished;
        }
        self.settle(segment, *durable);
        Ok(())
    }

    /// Whether a segment should be made now, before a writer waits for one: an open one is more than half full.
    pub fn wants_spare(&self) -> bool {
        self.filling.load(Ordering::Relaxed) && self.spare.lock().is_none()
    }

    /// Makes a segment ahead of need: making one waits for the disk, and a writer should not.
    pub fn prepare(&self) -> Result<()> {
        if self.wants_spare() {
            let made = self.make()?;
            self.filling.store(false, Ordering::Relaxed);
            if let Some((unused, _)) = self.spare.lock().replace(made) {
                self.drop_unused(&unused);
            }
        }
        Ok(())
    }

    fn make(&self) -> Result<(Arc<Segment>, u64)> {
        let len = self.segment_len.load(Ordering::Relaxed);
        let segment =
            self.maker.create_coded(SegmentKind::Bulk, self.tier, self.coding, len, LogStart::default())?;
        Ok((segment, len))
    }

    /// Removes a segment that nothing names. If that fails, a checkpoint after the next opening does it.
    fn drop_unused(&self, segment: &Segment) {
        let _ = self.maker.env.vfs.remove(segment.path(), Site::BULK_CREATE);
    }

    pub(super) fn take(&self, cold: bool) -> Result<Open> {
        {
            let mut idle = self.idle.lock();
            if let Some(at) = idle.iter().position(|open| open.cold == cold) {
                return Ok(idle.swap_remove(at));
            }
        }
        let (segment, len) = match self.spare.lock().take() {
            Some(spare) => spare,
            None => self.make()?,
        };
        self.open_ids.lock().push((segment.id(), HEADER_LEN as u64));
        self.tables.add(segment.clone());
        Ok(Open { segment, tail: HEADER_LEN as u64, len, made: len, cold })
    }

    pub(super) fn give_back(&self, open: Open) {
        if open.tail > open.made / 2 {
            self.filling.store(true, Ordering::Relaxed);
        }
        if open.tail + FRAME_LEN as u64 * 2 < open.made {
            let id = open.segment.id();
            let mut ends = self.open_ids.lock();
            ends.iter_mut().filter(|(open, _)| *open == id).for_each(|(_, end)| *end = open.tail);
            drop(ends);
            self.idle.lock().push(open);
        } else {
            self.seal(&open);
        }
    }

    /// Takes a segment back in which a write has failed.
    fn give_up(&self, mut open: Open, error: &Error) {
        if error.is_full() && open.take_back() {
            self.give_back(open);
        } else {
            self.seal(&open);
        }
    }

    /// What is kept free on the disk that these segments lie on.
    pub fn reserve(&self) -> &Arc<Reserve> {
        &self.reserve
    }

    pub(super) fn seal(&self, open: &Open) {
        self.open_ids.lock().retain(|(id, _)| *id != open.segment.id());
        // While somebody syncs it, he does the rest.
        if let Some(durable) = open.segment.durable_bodies.try_lock() {
            self.settle(&open.segment, *durable);
        }
    }

    /// Lets the file of a segment be closed that takes no more bodies, once all it has are durable.
    fn settle(&self, segment: &Segment, durable: u64) {
        if durable >= segment.bodies.load(Ordering::Acquire) && self.finished_end(segment.id()).is_none() {
            segment.settle();
        }
    }

    /// Takes note that a body was finished: the next sync makes it durable. In a directory of its own, which may fail when the
    /// log's does not, it is made durable now: a commit that names it is then never in doubt because of that directory, and
    /// nobody suffers but who writes there. After an error the segment takes no more.
    pub(super) fn note_finished(&self, segment: &Arc<Segment>) -> Result<()> {
        let elsewhere = self.maker.is_elsewhere(self.tier) && !self.maker.env.planted(Planted::SkipTierSync);
        let durable = elsewhere.then(|| segment.durable_bodies.lock());
        if durable.is_some() {
            segment.sync(Site::BULK_SYNC)?;
        }
        segment.bodies.fetch_add(1, Ordering::AcqRel);
        if let Some(mut durable) = durable {
            *durable = segment.bodies.load(Ordering::Acquire);
            return Ok(());
        }
        let mut waiting = self.unsynced.lock();
        if !waiting.iter().any(|other| other.id() == segment.id()) {
            waiting.push(segment.clone());
        }
        let many = waiting.len() > MOST_UNSYNCED;
        drop(waiting);
        if many { self.sync() } else { Ok(()) }
    }
}
