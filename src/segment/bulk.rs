//! Bulk segments: bodies streamed in as they arrive, outside any lock, each writer in a segment of its own.

use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;

use super::coding::{ChunkCoder, Coding};
use super::handle::LogStart;
use super::handle::{Segment, SegmentMaker};
use super::pipeline::{GATHER, Piece, Through};
use super::reserve::Reserve;
use super::sealed::{BodySealer, store_chunks};
use super::table::TableCell;
use crate::env::{Planted, Site};
use crate::error::{Error, Result};
use crate::format::checksum::crc;
use crate::format::coded;
use crate::format::entry::Extent;
use crate::format::frame::{self, FRAME_LEN, Frame, Kind, MAX_BODY_LEN};
use crate::format::segment_header::{HEADER_LEN, SegmentKind};

/// By how much a bulk segment's file grows when a body needs more than it was made with.
const GROW_STEP: u64 = 16 << 20;

/// How many segments may wait for a sync: each holds its file open until then.
const MOST_UNSYNCED: usize = 8;

/// After so many bytes the system is asked to start writing them, so that the sync at the end is short.
const WRITEBACK_STEP: u64 = 8 << 20;

/// The bulk segments of a tier that are open for more bodies.
#[derive(Debug)]
pub struct BulkPool {
    maker: Arc<SegmentMaker>,
    /// The tier whose segments these are.
    tier: u8,
    /// How bodies are stored in them.
    coding: Coding,
    /// Coders that no writer holds.
    coders: Mutex<Vec<ChunkCoder>>,
    tables: Arc<TableCell>,
    segment_len: AtomicU64,
    /// What is kept free on the disk that these lie on.
    reserve: Arc<Reserve>,
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
struct Open {
    segment: Arc<Segment>,
    tail: u64,
    len: u64,
    /// The length it was made with: behind that no new body begins.
    made: u64,
    /// Whether relocated bodies go here: they are colder than what is written fresh, and are kept apart.
    cold: bool,
}

impl Open {
    /// Writes pieces one after another, growing the file if it must.
    fn put(&mut self, at: u64, pieces: &[&[u8]]) -> Result<()> {
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
    fn take_back(&mut self) -> bool {
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
struct Lengths {
    plain: u64,
    stored: u64,
}

/// The frame of a blob, and what stands behind its chunks: the table if it is coded, the placed sums, then its owner.
fn blob_parts(
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
    segment: Arc<Segment>,
}

impl Placed {
    fn new(extent: Extent, segment: Arc<Segment>) -> Placed {
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

    /// Starts a body. `owner` is the index key it is written for, kept beside it so that relocation and
    /// salvage find the way back; `payload` says that it is an entry's payload and no body.
    pub fn writer(self: &Arc<Self>, owner: Vec<u8>, cold: bool, payload: bool) -> BodyWriter {
        assert!(owner.len() <= usize::from(u16::MAX));
        BodyWriter {
            pool: self.clone(),
            open: None,
            cold,
            payload,
            owner,
            start: 0,
            len: 0,
            stored: 0,
            partial: Vec::new(),
            sums: Vec::new(),
            table: Vec::new(),
            room: Vec::new(),
            coder: None,
            sealer: None,
            was_full: false,
        }
    }

    /// Whether everything is sealed here.
    fn is_sealed(&self) -> bool {
        self.maker.identity.ring.is_some()
    }

    /// Whether bodies are stored here in coded chunks.
    pub fn is_coded(&self) -> bool {
        self.coding.is_coded() || self.is_sealed()
    }

    /// A coder, if bodies are coded here.
    fn coder(&self) -> Result<Option<ChunkCoder>> {
        let Some(level) = self.coding.level else { return Ok(None) };
        let kept = self.coders.lock().pop();
        kept.map_or_else(|| ChunkCoder::new(level), Ok).map(Some)
    }

    fn keep_coder(&self, coder: Option<ChunkCoder>) {
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

    fn take(&self, cold: bool) -> Result<Open> {
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

    fn give_back(&self, open: Open) {
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

    fn seal(&self, open: &Open) {
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
    fn note_finished(&self, segment: &Arc<Segment>) -> Result<()> {
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

/// Streams one body into a bulk segment. Dropped unfinished, it leaves nothing but a void record.
#[derive(Debug)]
pub struct BodyWriter {
    pool: Arc<BulkPool>,
    open: Option<Open>,
    cold: bool,
    payload: bool,
    owner: Vec<u8>,
    start: u64,
    /// Bytes of whole chunks so far, and what they are as they are stored.
    len: u64,
    stored: u64,
    partial: Vec<u8>,
    sums: Vec<u32>,
    /// Of a coded body: the words of the table, room for what is to be written next, and what makes it.
    table: Vec<u32>,
    room: Vec<Piece>,
    coder: Option<ChunkCoder>,
    /// Of a sealed body: what its chunks go through.
    sealer: Option<BodySealer>,
    /// Whether a write has failed for want of room.
    was_full: bool,
}

impl BodyWriter {
    /// Bytes written so far.
    pub fn len(&self) -> u64 {
        self.len + self.partial.len() as u64
    }

    /// Adds bytes to the body.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.pool.maker.env.check_here()?;
        let chunk = 1usize << self.pool.coding.chunk_log2;
        if self.len() + bytes.len() as u64 > MAX_BODY_LEN {
            return Err(crate::error::Error::invalid("EntityTooLarge", "a body has at most 48.8 TiB"));
        }
        if !self.partial.is_empty() {
            let take = bytes.len().min(chunk - self.partial.len());
            self.partial.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            // Of a sealed body the last chunk is marked, so a whole one waits until it is known that more follows.
            if self.partial.len() < chunk || (self.pool.is_sealed() && bytes.is_empty()) {
                return Ok(());
            }
            let whole = std::mem::take(&mut self.partial);
            self.put_chunks(&whole, false)?;
            self.partial = whole;
            self.partial.clear();
        }
        let mut whole = bytes.len() - bytes.len() % chunk;
        if self.pool.is_sealed() && whole == bytes.len() {
            whole = whole.saturating_sub(chunk);
        }
        if whole > 0 {
            self.put_chunks(&bytes[..whole], false)?;
        }
        self.partial.extend_from_slice(&bytes[whole..]);
        Ok(())
    }

    /// Ends the body: its sums, its owner and at last its frame are written. Nothing is synced.
    pub fn finish(mut self) -> Result<Placed> {
        self.pool.maker.env.check_here()?;
        let last = std::mem::take(&mut self.partial);
        // A body that fits into one chunk was not written yet and goes out in one piece.
        let whole = self.len == 0;
        let mut unwritten = &last[..];
        let gathered;
        if whole {
            self.begin(&last)?;
            let log2 = self.pool.coding.chunk_log2;
            if self.coder.is_some() || self.sealer.is_some() {
                let mut out = self.room.pop().unwrap_or_default().bytes;
                let (coder, sealer) = (self.coder.as_mut(), self.sealer.as_mut());
                self.table = store_chunks(coder, sealer, (&last, true), log2, &mut self.sums, &mut out)?;
                gathered = out;
                unwritten = &gathered;
            } else {
                self.sums = frame::chunk_sums(&last, log2);
            }
            self.len = last.len() as u64;
            self.stored = unwritten.len() as u64;
        } else {
            self.put_chunks(&last, true)?;
            unwritten = &[];
        }
        self.leave_reserve()?;
        let mut open = self.open.take().expect("begun above or with the first chunk");
        let written = self.end(&mut open, unwritten);
        let frame = match written {
            Ok(frame) => frame,
            Err(error) => {
                self.was_full |= error.is_full();
                self.open = Some(open);
                return Err(error);
            }
        };
        open.tail = self.start + frame.record_len();
        let segment = open.segment.clone();
        // Before the segment is given back, so that at no moment nobody seems to need it.
        let placed =
            Placed::new(Extent { segment: segment.id(), offset: self.start, len: self.len }, segment);
        match self.pool.note_finished(&placed.segment) {
            Ok(()) => self.pool.give_back(open),
            Err(error) => {
                self.pool.seal(&open);
                return Err(error);
            }
        }
        Ok(placed)
    }

    /// Writes what is missing of the record: `body` if none of it is written yet, the trailer, the frame.
    fn end(&self, open: &mut Open, body: &[u8]) -> Result<Frame> {
        let seed = open.segment.seed();
        let flags = if self.payload { frame::FLAG_PAYLOAD } else { 0 };
        let len = Lengths { plain: self.len, stored: self.stored };
        let table = self.pool.is_coded().then_some(&self.table[..]);
        let (owner, sealed) =
            open.segment.seal_owner(self.sealer.as_ref(), self.len, self.start, &self.owner);
        let flags = flags | sealed;
        let (frame, trailer) = blob_parts(seed, self.start, len, (&self.sums, table), &owner, flags);
        let head = frame.encode(seed, self.start);
        if body.is_empty() {
            open.put(self.start + FRAME_LEN as u64 + self.stored, &[&trailer])?;
            open.put(self.start, &[&head])?;
        } else {
            open.put(self.start, &[&head, body, &trailer])?;
        }
        Ok(frame)
    }

    /// Takes a segment to write a body in that begins with `first`.
    fn begin(&mut self, first: &[u8]) -> Result<()> {
        if self.open.is_none() {
            self.coder = self.pool.coder()?;
            let open = self.pool.take(self.cold)?;
            self.start = open.tail;
            let first = &first[..first.len().min(1 << self.pool.coding.chunk_log2)];
            self.sealer = open.segment.body_sealer(self.start, self.payload, first);
            self.open = Some(open);
        }
        Ok(())
    }

    /// Writes chunks; `ends` says that the body ends with them.
    fn put_chunks(&mut self, bytes: &[u8], ends: bool) -> Result<()> {
        self.begin(bytes)?;
        if bytes.is_empty() {
            return Ok(());
        }
        let log2 = self.pool.coding.chunk_log2;
        if self.coder.is_none() && self.sealer.is_none() {
            // What was just written is summed before it has left the cache.
            return bytes.chunks(GATHER.max(1 << log2)).try_for_each(|bytes| {
                self.put_stored(bytes)?;
                self.sums.extend(frame::chunk_sums(bytes, log2));
                self.len += bytes.len() as u64;
                Ok(())
            });
        }
        let (mut coder, mut sealer) = (self.coder.take(), self.sealer.take());
        let mut room = std::mem::take(&mut self.room);
        let through = Through { coder: coder.as_mut(), sealer: sealer.as_mut(), log2 };
        let done = through.each((bytes, ends), &mut room, |piece| {
            self.put_stored(&piece.bytes)?;
            self.table.extend_from_slice(&piece.words);
            self.sums.extend_from_slice(&piece.sums);
            self.len += piece.plain;
            Ok(())
        });
        (self.coder, self.sealer, self.room) = (coder, sealer, room);
        done
    }

    /// What deletes and relocation have freed of the reserve is theirs.
    fn leave_reserve(&self) -> Result<()> {
        if self.cold {
            return Ok(());
        }
        let admitted = self.pool.reserve.admit(&self.pool.maker.env);
        admitted.map_err(|error| Error::io("taking the reserve for deletes again", error))
    }

    /// Writes the next bytes of the record, which are chunks as they are stored.
    fn put_stored(&mut self, bytes: &[u8]) -> Result<()> {
        self.leave_reserve()?;
        let at = self.start + FRAME_LEN as u64 + self.stored;
        let open = self.open.as_mut().expect("begun before");
        open.put(at, &[bytes]).inspect_err(|error| self.was_full |= error.is_full())?;
        let before = self.stored / WRITEBACK_STEP;
        self.stored += bytes.len() as u64;
        if self.stored / WRITEBACK_STEP > before {
            open.segment.file()?.start_writeback(self.start..at + bytes.len() as u64);
        }
        Ok(())
    }
}

impl Drop for BodyWriter {
    fn drop(&mut self) {
        if !self.pool.maker.env.is_here() {
            // In a forked process it is somebody else's body.
            return;
        }
        self.pool.keep_coder(self.coder.take());
        let Some(mut open) = self.open.take() else { return };
        if self.was_full && open.take_back() {
            return self.pool.give_back(open);
        }
        if self.stored == 0 {
            return self.pool.give_back(open);
        }
        // The bytes are there and stay there as garbage. A void record lets a scan step over them; where it
        // cannot be written, the segment ends here.
        let length = self.stored;
        let frame = Frame { kind: Kind::Void, flags: 0, owner_len: 0, payload_sum: 0, length, word: 0 };
        let head = frame.encode(open.segment.seed(), self.start);
        if open.put(self.start, &[&head]).is_ok() {
            open.tail = self.start + frame.record_len();
            self.pool.give_back(open);
        } else {
            self.pool.seal(&open);
        }
    }
}
