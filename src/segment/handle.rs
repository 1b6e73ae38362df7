//! One segment file: made, opened, read with every byte verified.

use std::io::IoSlice;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};

use super::coding::Coding;
use super::files::{OpenFiles, SegmentFile};
use super::places::Place;
use super::sealed::{LOST, Sealing};
use super::{bulk_dir, file_name, log_dir};
use crate::crypto::Keyring;
use crate::env::{Env, File, Map, Mistake, OpenMode, Planted, Site};
use crate::error::{Error, Result};
use crate::format::checksum::{crc, segment_seed};
use crate::format::coded::Trailer;
use crate::format::entry::Extent;
use crate::format::frame::{self, Decoded, FRAME_LEN, Frame, Kind};
use crate::format::segment_header::{CODED, HEADER_LEN, SEALED, SegmentHeader, SegmentKind};

/// The unit in which first touches are remembered.
const TOUCH_LOG2: u32 = 12;

/// How much is read at once on a first touch.
const TOUCH_READ: usize = 64 * 1024;

/// What all segments of a store have in common.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The store's directory.
    pub dir: PathBuf,
    /// The store's id.
    pub store_id: [u8; 16],
    /// log2 of the chunk size.
    pub chunk_log2: u8,
    /// Whether bodies are read through maps.
    pub mapped: bool,
    /// The keys of the store, if everything in it is sealed.
    pub ring: Option<Arc<Keyring>>,
}

/// Makes and opens segment files.
#[derive(Debug)]
pub struct SegmentMaker {
    /// Files, time and chance.
    pub env: Env,
    /// What all segments have in common.
    pub identity: Identity,
    /// The opening of the store that makes them.
    pub run: AtomicU64,
    next_id: AtomicU64,
    /// The files that are open.
    pub files: Arc<OpenFiles>,
    /// Where the segments of each tier lie; in the store, where nothing is said.
    places: ArcSwap<Vec<Place>>,
    /// Shared by whoever makes a segment, so that the shred root stays the same meanwhile.
    making: RwLock<()>,
    /// Segments made here, which may not be in any table yet.
    made: Mutex<Vec<Weak<Segment>>>,
}

impl SegmentMaker {
    /// A maker whose next segment has the id `next_id`.
    pub fn new(env: Env, identity: Identity, run: u64, next_id: u64) -> SegmentMaker {
        let places = ArcSwap::from_pointee(Vec::new());
        let (run, next_id) = (AtomicU64::new(run), AtomicU64::new(next_id));
        let (making, made) = (RwLock::new(()), Mutex::new(Vec::new()));
        let files = OpenFiles::new(env.clone());
        SegmentMaker { env, identity, run, next_id, files, places, making, made }
    }

    /// Does something while no segment is made; it is given those that were made here and still count.
    pub fn at_rest<R>(&self, work: impl FnOnce(&[Arc<Segment>]) -> R) -> R {
        let _rest = self.making.write();
        let mut made = self.made.lock();
        made.retain(|segment| segment.strong_count() > 0);
        let living: Vec<_> = made.iter().filter_map(Weak::upgrade).collect();
        drop(made);
        let counting: Vec<_> = living.into_iter().filter(|segment| !segment.is_retired()).collect();
        work(&counting)
    }

    /// Says where the segments of each tier lie.
    pub fn set_places(&self, places: Vec<Place>) {
        self.places.store(Arc::new(places));
    }

    /// Where the segments of a tier lie.
    pub fn place(&self, tier: u8) -> Place {
        self.places.load().get(usize::from(tier)).cloned().unwrap_or_default()
    }

    /// Whether the segments of a tier lie in a directory of their own.
    pub fn is_elsewhere(&self, tier: u8) -> bool {
        self.places.load().get(usize::from(tier)).is_some_and(|place| place.elsewhere.is_some())
    }

    /// The id of the next segment.
    pub fn next_id(&self) -> u64 {
        self.next_id.load(Ordering::Relaxed)
    }

    /// Makes sure that no segment gets the id `id` any more.
    pub fn skip_past(&self, id: u64) {
        self.next_id.fetch_max(id + 1, Ordering::Relaxed);
    }

    /// Creates a segment of `len` bytes with a durable header and a durable name.
    pub fn create(&self, kind: SegmentKind, tier: u8, len: u64, start: LogStart) -> Result<Arc<Segment>> {
        let coding = Coding::plain(self.identity.chunk_log2);
        self.create_coded(kind, tier, coding, len, start)
    }

    /// The same for a segment whose bodies are stored in this way.
    pub fn create_coded(
        &self,
        kind: SegmentKind,
        tier: u8,
        coding: Coding,
        len: u64,
        start: LogStart,
    ) -> Result<Arc<Segment>> {
        let site = if kind == SegmentKind::Log { Site::LOG_CREATE } else { Site::BULK_CREATE };
        let _making = self.making.read();
        let (dir, home) = self.dir(kind, tier)?;
        let mut nonce = [0; 8];
        self.env.entropy.fill(&mut nonce);
        let header = SegmentHeader {
            kind,
            tier,
            chunk_log2: coding.chunk_log2,
            coding: match (&self.identity.ring, coding.is_coded()) {
                (Some(_), _) => CODED | SEALED,
                (None, true) => CODED,
                (None, false) => 0,
            },
            id: self.next_id.fetch_add(1, Ordering::Relaxed),
            store_id: self.identity.store_id,
            nonce: u64::from_le_bytes(nonce),
            run: self.run.load(Ordering::Relaxed),
            cut: start.cut,
            base_lsn: start.base_lsn,
            shred: self.identity.ring.as_ref().map_or(0, |ring| ring.shred_name()),
        };
        let path = dir.join(file_name(header.id));
        let open = || self.files.with_room(|| self.env.vfs.open(&path, OpenMode::CreateNew, site));
        let opened = match open() {
            // A store of an earlier version has no directory for each tier.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && home && tier > 0 => self
                .env
                .vfs
                .create_dir(&dir, site)
                .and_then(|()| self.env.vfs.sync_dir(dir.parent().unwrap_or(&dir), site))
                .and_then(|()| open()),
            opened => opened,
        };
        let file = opened.map_err(|e| self.failed(&path, "creating", e))?;
        // The name and the header are durable before the segment is used: were the sync of the name put off and
        // then failed, no later one could be trusted to make up for it.
        let made = (|| {
            file.set_len(len.max(HEADER_LEN as u64), site)?;
            file.write_at(&[IoSlice::new(&header.encode())], 0, site)?;
            file.sync_data(site)?;
            if self.env.planted(Planted::SkipDirSync) {
                return Ok(());
            }
            self.files.with_room(|| self.env.vfs.sync_dir(&dir, site))
        })();
        if let Err(error) = made {
            // Nothing names the file yet, so it can go; if even that fails, the next opening removes it.
            let _ = self.env.vfs.remove(&path, site);
            return Err(self.failed(&path, "creating", error));
        }
        let file = self.files.take(path, file, true);
        let segment = Arc::new(self.handle(header, file, self.identity.mapped));
        if self.identity.ring.is_some() {
            let mut made = self.made.lock();
            made.retain(|segment| segment.strong_count() > 0);
            made.push(Arc::downgrade(&segment));
        }
        Ok(segment)
    }

    /// Opens the segment `id` of a tier in `dir`; a header that is no header of this store's segment `id` is an inner
    /// error. One that `may_shrink` while it is open is never mapped.
    pub fn open(
        &self,
        (kind, tier): (SegmentKind, u8),
        dir: &Path,
        id: u64,
        may_shrink: bool,
    ) -> Result<Result<Arc<Segment>, &'static str>> {
        let path = dir.join(file_name(id));
        let site = Site::SEGMENT_OPEN;
        let file = self.files.open(&path).map_err(|e| self.failed(&path, "opening", e))?;
        let mut bytes = [0; HEADER_LEN];
        match file.read_exact_at(&mut bytes, 0, site) {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                return Ok(Err("the segment is shorter than its header"));
            }
            Err(error) => return Err(self.failed(&path, "reading", error)),
            Ok(()) => {}
        }
        let header = match SegmentHeader::decode(&bytes) {
            Ok(header) => header,
            Err(reason) => return Ok(Err(reason)),
        };
        if header.store_id != self.identity.store_id {
            return Ok(Err("the segment belongs to another store"));
        }
        if (header.kind, header.id, header.tier) != (kind, id, tier) {
            return Ok(Err("the segment is another one than its file name says"));
        }
        if header.is_sealed() != self.identity.ring.is_some() {
            return Ok(Err("the segment is sealed and its store is not, or the other way round"));
        }
        let mapped = self.identity.mapped && !may_shrink;
        let segment = self.handle(header, self.files.take(path, file, false), mapped);
        if segment.is_lost() {
            return Ok(Err(LOST));
        }
        Ok(Ok(Arc::new(segment)))
    }

    /// Whether the file of the segment `id` has a name in `dir` now.
    pub fn is_there(&self, dir: &Path, id: u64) -> bool {
        self.files.open(&dir.join(file_name(id))).is_ok()
    }

    /// An error if the file of a segment has lost its name. What is written to a file without one is gone when it is closed,
    /// durable or not.
    pub fn check_name(&self, segment: &Segment) -> Result<()> {
        let why = match (self.env.vfs.id(segment.path()), segment.file()?.id()) {
            (Ok(found), Ok(held)) if found != held => "another file lies under its name",
            (Err(error), _) if error.kind() == std::io::ErrorKind::NotFound => "its name was removed",
            _ => return Ok(()),
        };
        let told = format!("{why}; nothing but Ossicle may remove files of an open store");
        Err(segment.failed("writing to", std::io::Error::other(told)))
    }

    /// Where a new segment is made, and whether that is in the store.
    fn dir(&self, kind: SegmentKind, tier: u8) -> Result<(PathBuf, bool)> {
        if kind == SegmentKind::Log {
            return Ok((log_dir(&self.identity.dir), true));
        }
        match self.place(tier) {
            Place { out: Some(why), .. } => Err(Error::out_of_service(tier, &why)),
            Place { elsewhere: Some(dir), .. } => Ok((dir, false)),
            _ => Ok((bulk_dir(&self.identity.dir, tier), true)),
        }
    }

    fn failed(&self, path: &Path, doing: &str, error: std::io::Error) -> Error {
        Error::io(format!("{doing} the segment {}", path.display()), error)
    }

    fn handle(&self, header: SegmentHeader, file: SegmentFile, mapped: bool) -> Segment {
        let seed = segment_seed(&header.store_id, header.id, header.nonce);
        Segment { mapped, ..self.adopt(header, seed, file) }
    }

    /// A segment as whoever salvages it believes it to be: with this header, and checksums that start from `seed`.
    pub fn adopt(&self, header: SegmentHeader, seed: u32, file: SegmentFile) -> Segment {
        Segment {
            sealing: self.identity.ring.as_ref().map(|ring| Sealing::new(ring, &header)),
            seed,
            header,
            file,
            mapped: self.identity.mapped,
            mistake: self.env.mistake(),
            map: ArcSwapOption::empty(),
            touched: ArcSwap::from_pointee(Vec::new()),
            bodies: AtomicU64::new(0),
            durable_bodies: Mutex::new(0),
            sync_failed: Mutex::new(false),
            overhead: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            retired: AtomicBool::new(false),
            blobs: Mutex::new(None),
        }
    }
}

/// How the first log segment of a run hangs together with the log before it.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogStart {
    /// Where the log before it ends.
    pub cut: Option<crate::format::commit::Position>,
    /// The lsn before its first commit.
    pub base_lsn: u64,
}

/// What blob records come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlobSum {
    /// Up to where they were counted.
    pub end: u64,
    /// What they would take if they were plain.
    pub plain: u64,
    /// What they take.
    pub stored: u64,
}

/// One segment file.
#[derive(Debug)]
pub struct Segment {
    /// What it is.
    pub header: SegmentHeader,
    seed: u32,
    /// Its keys, if everything in the store is sealed.
    pub(super) sealing: Option<Sealing>,
    file: SegmentFile,
    mapped: bool,
    /// A mistake that is switched on, to test the tests.
    pub(super) mistake: Mistake,
    map: ArcSwapOption<Map>,
    /// One bit for each page that was read or written with success since the segment was opened: only such
    /// pages are read through the map, because a bad sector under a map kills the process.
    touched: ArcSwap<Vec<AtomicU64>>,
    /// How many bodies were finished here by this process, and how many of them are durable. The lock is held
    /// while a sync runs, so that nobody takes a sync that is still running for one that is done.
    pub(super) bodies: AtomicU64,
    pub(super) durable_bodies: Mutex<u64>,
    /// Whether a sync has failed. Held while one runs.
    sync_failed: Mutex<bool>,
    /// Bytes of records that are neither body nor sums, as far as this process has written them.
    pub(super) overhead: AtomicU64,
    /// Bodies that are written here but are not yet part of any commit.
    pub(super) in_flight: AtomicU64,
    /// Whether it was taken out of the table: nothing names it any more.
    retired: AtomicBool,
    /// What the blob records of a coded segment come to, once that was counted.
    pub(super) blobs: Mutex<Option<BlobSum>>,
}

impl Segment {
    /// The segment's id.
    #[inline]
    pub fn id(&self) -> u64 {
        self.header.id
    }

    /// What its checksums start from.
    pub fn seed(&self) -> u32 {
        self.seed
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// The file itself, opened again if it was closed because it was not used.
    pub fn file(&self) -> Result<Arc<dyn File>> {
        self.file.get().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::io(
                format!(
                    "opening {}, which is gone: if this is a backup that was renewed meanwhile, refresh the reader",
                    self.name()
                ),
                error,
            ),
            _ => self.failed("opening", error),
        })
    }

    /// How long the file is.
    pub fn file_len(&self) -> Result<u64> {
        self.file()?.size().map_err(|e| self.failed("reading", e))
    }

    /// Takes note that nothing is appended any more and that all is durable: the file need not stay open.
    pub(super) fn settle(&self) {
        self.file.settle();
    }

    /// Bytes of records that no entry counts as its own, as far as this process has written them.
    pub fn overhead(&self) -> u64 {
        self.overhead.load(Ordering::Relaxed)
    }

    /// Takes note that nothing names it any more.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }

    /// Whether nothing names it any more.
    fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// Whether nothing in it can be opened, because its key was destroyed.
    pub fn is_lost(&self) -> bool {
        self.sealing.as_ref().is_some_and(Sealing::is_lost)
    }

    /// Whether a body written here waits for its commit.
    pub fn is_awaited(&self) -> bool {
        self.in_flight.load(Ordering::Acquire) != 0
    }

    /// A name for error messages.
    pub fn name(&self) -> String {
        self.path().display().to_string()
    }

    /// Makes the bytes written so far durable. After an error nothing may be retried (I8), and because the
    /// system forgets what it could not write, nobody else's sync of this file may be believed either.
    pub fn sync(&self, site: Site) -> Result<()> {
        let mut failed = self.sync_failed.lock();
        if *failed {
            return Err(self.failed("syncing", std::io::Error::other("an earlier sync of the file failed")));
        }
        self.file()?.sync_data(site).map_err(|e| {
            *failed = true;
            self.failed("syncing", e)
        })
    }

    /// `Corrupt` at a place of this segment.
    pub fn corrupt(&self, offset: u64, reason: impl std::fmt::Display) -> Error {
        Error::corrupt(self.path().display(), offset, reason)
    }

    /// A failed call to the operating system about this file.
    pub fn failed(&self, doing: &str, error: std::io::Error) -> Error {
        Error::io(format!("{doing} {}", self.path().display()), error)
    }

    /// Reads `range` of the body at `extent`. Every chunk that the range touches is verified first.
    /// Where the segment is mapped, the bytes are lent from the map without a copy.
    pub fn read(&self, extent: &Extent, range: Range<u64>) -> Result<Bytes> {
        debug_assert!(range.start <= range.end && range.end <= extent.len && extent.segment == self.id());
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        if self.header.is_coded() {
            return self.read_coded(extent, range);
        }
        if self.header.kind == SegmentKind::Log && extent.len <= frame::SHORT_MAX {
            let body = self.read_small(extent)?;
            let whole = range == (0..extent.len);
            return Ok(if whole { body } else { body.slice(range.start as usize..range.end as usize) });
        }
        let log2 = self.header.chunk_log2;
        let (first, last) = (range.start >> log2, (range.end - 1) >> log2);
        let body = self.body_start(extent)?;
        let from = body + (first << log2);
        let to = body + ((last + 1) << log2).min(extent.len);
        let sums = body + extent.len + 4 * first;
        let count = last - first + 1;
        let (span, sums) = if to == body + extent.len && first == 0 {
            // The whole body: its sums follow, so one look serves both.
            let all = self.lend(from..sums + 4 * count)?;
            let sums = all.slice((to - from) as usize..);
            (all.slice(..(to - from) as usize), sums)
        } else {
            (self.lend(from..to)?, self.lend(sums..sums + 4 * count)?)
        };
        for (i, (chunk, sum)) in span.chunks(1 << log2).zip(sums.chunks_exact(4)).enumerate() {
            let index = first + i as u64;
            let expected = u32::from_le_bytes(sum.try_into().expect("four bytes"));
            if frame::placed_chunk_sum(crc(chunk), self.seed, extent.offset, index) != expected
                && !self.mistake.is(Planted::NoBodySum)
            {
                return Err(
                    self.corrupt(body + (index << log2), "the checksum of a chunk of a body does not match")
                );
            }
        }
        let start = (range.start - (first << log2)) as usize;
        let len = (range.end - range.start) as usize;
        Ok(if len == span.len() { span } else { span.slice(start..start + len) })
    }

    /// Where the record that holds a body ends, the owner's key included; `Corrupt` if anything but the body itself is not
    /// as it was written. A body can be read without that, but not be found by a walk through its segment.
    pub fn whole_record(&self, extent: &Extent) -> Result<u64> {
        /// How much of a trailer is read at once.
        const STEP: usize = 1 << 20;
        let start = self.body_start(extent)?;
        let mut head = [0; FRAME_LEN];
        self.read_raw(&mut head, extent.offset)?;
        let frame = match Frame::decode(&head, self.seed, extent.offset) {
            Decoded::Frame(frame) if frame.kind == Kind::Blob && frame.word == extent.len => frame,
            Decoded::Bad(reason) => return Err(self.corrupt(extent.offset, reason)),
            _ => return Err(self.corrupt(extent.offset, "here should stand a body that something names")),
        };
        let chunks = frame::chunk_count(extent.len, self.header.chunk_log2);
        let trailer = if self.header.is_coded() {
            let trailer = Trailer::of(frame.length, frame.owner_len, chunks);
            trailer.map_err(|reason| self.corrupt(extent.offset, reason))?.marks
        } else if frame.length == frame.word + 4 * chunks + u64::from(frame.owner_len) {
            frame.word
        } else {
            return Err(self.corrupt(extent.offset, "a blob is not as long as it says"));
        };
        let end = start.checked_add(frame.length).filter(|end| *end <= i64::MAX as u64);
        let end =
            end.ok_or_else(|| self.corrupt(extent.offset, "a body ends beyond what a file can hold"))?;
        let mut at = start + trailer;
        let mut sum = crc32fast::Hasher::new();
        let mut bytes = vec![0; STEP.min((end - at) as usize)];
        while at < end {
            let part = &mut bytes[..STEP.min((end - at) as usize)];
            self.read_raw(part, at)?;
            sum.update(part);
            at += part.len() as u64;
        }
        if sum.finalize() != frame.payload_sum {
            return Err(
                self.corrupt(extent.offset, "the checksum of what stands behind a body does not match")
            );
        }
        Ok(extent.offset + frame.record_len())
    }

    /// Where the body of an extent starts; `Corrupt` if no such record fits into any file.
    pub(super) fn body_start(&self, extent: &Extent) -> Result<u64> {
        let chunks = frame::chunk_count(extent.len, self.header.chunk_log2);
        let end = extent
            .offset
            .checked_add(FRAME_LEN as u64)
            .and_then(|n| n.checked_add(extent.len)?.checked_add(4 * chunks));
        match end {
            Some(end) if end <= i64::MAX as u64 => Ok(extent.offset + FRAME_LEN as u64),
            _ => Err(self.corrupt(0, "an extent ends beyond what a file can hold")),
        }
    }

    /// Bytes of the file as they are, from the map where that is safe and by a positioned read otherwise.
    pub(super) fn lend(&self, range: Range<u64>) -> Result<Bytes> {
        if self.mapped
            && let Some(guard) = self.map_of(range.end)?
        {
            // The range comes from the index, so it is held against the file before its pages are remembered (I10).
            if let Some(map) = guard.as_ref().filter(|map| range.end <= map.len()) {
                if matches!(**map, Map::Real(_)) {
                    self.touch(&range)?;
                }
                if let Some(bytes) = map.bytes(range.clone()) {
                    return Ok(bytes);
                }
            }
            return Err(self.corrupt(range.end, "the segment ends before a body does"));
        }
        // The length comes from the index, so it is held against the file before it is allocated (I10).
        let file = self.file()?;
        if range.end > file.size().map_err(|e| self.failed("reading", e))? {
            return Err(self.corrupt(range.end, "the segment ends before a body does"));
        }
        let mut bytes = vec![0; (range.end - range.start) as usize];
        self.read_from(&*file, &mut bytes, range.start)?;
        Ok(bytes.into())
    }

    /// A positioned read of raw bytes, which must all be there.
    pub fn read_raw(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.read_from(&*self.file()?, buf, offset)
    }

    fn read_from(&self, file: &dyn File, buf: &mut [u8], offset: u64) -> Result<()> {
        file.read_exact_at(buf, offset, Site::SEGMENT_READ).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => self.corrupt(offset, "the segment ends too early"),
            _ => self.failed("reading", error),
        })
    }

    /// A map that reaches to `end`, made anew if the file has grown; a shorter one if the file is shorter. None if the
    /// process has as many maps as it should.
    fn map_of(&self, end: u64) -> Result<Option<arc_swap::Guard<Option<Arc<Map>>>>> {
        let map = self.map.load();
        if map.as_ref().is_some_and(|map| map.len() >= end) {
            return Ok(Some(map));
        }
        let fresh = match self.file()?.map(Site::SEGMENT_OPEN) {
            Err(error) if error.kind() == std::io::ErrorKind::OutOfMemory => return Ok(None),
            fresh => Arc::new(fresh.map_err(|e| self.failed("mapping", e))?),
        };
        // Who maps the file at the same time may have seen it longer, and another may count on that.
        self.map.rcu(|map| match map {
            Some(map) if map.len() > fresh.len() => Some(map.clone()),
            _ => Some(fresh.clone()),
        });
        Ok(Some(self.map.load()))
    }
}

impl Segment {
    /// Remembers that the pages of `range` are sound: this process has just written them.
    pub(super) fn mark_touched(&self, range: &Range<u64>) {
        let (first, last) = (range.start >> TOUCH_LOG2, range.end.saturating_sub(1) >> TOUCH_LOG2);
        let words = self.touch_words(last);
        for page in first..=last {
            words[(page / 64) as usize].fetch_or(1 << (page % 64), Ordering::Relaxed);
        }
    }

    /// Reads the pages of `range` that were never read before, so that a bad sector is an error and not a signal.
    fn touch(&self, range: &Range<u64>) -> Result<()> {
        let (first, last) = (range.start >> TOUCH_LOG2, (range.end - 1) >> TOUCH_LOG2);
        let words = self.touch_words(last);
        let known = |page: u64| words[(page / 64) as usize].load(Ordering::Relaxed) & (1 << (page % 64)) != 0;
        if (first..=last).all(known) {
            return Ok(());
        }
        let mut scratch = vec![0; TOUCH_READ.min(((last - first + 1) << TOUCH_LOG2) as usize)];
        let mut at = first << TOUCH_LOG2;
        let file = self.file()?;
        while at <= last << TOUCH_LOG2 {
            let read =
                file.read_at(&mut scratch, at, Site::SEGMENT_READ).map_err(|e| self.failed("reading", e))?;
            if read == 0 {
                // Shorter than its map: only a writer that opened the store cuts a file, and never what others read.
                return Err(self.corrupt(at, "the segment is shorter than it was"));
            }
            self.mark_touched(&(at..at + read as u64));
            at = (at + read as u64).next_multiple_of(1 << TOUCH_LOG2);
        }
        Ok(())
    }

    /// The bitmap, grown to hold `page`. Bits set by others during growth may be lost: a page is touched twice then.
    fn touch_words(&self, page: u64) -> arc_swap::Guard<Arc<Vec<AtomicU64>>> {
        let needed = (page / 64) as usize + 1;
        let words = self.touched.load();
        if words.len() >= needed {
            return words;
        }
        let grown: Vec<AtomicU64> = (0..needed.next_power_of_two())
            .map(|i| AtomicU64::new(words.get(i).map_or(0, |word| word.load(Ordering::Relaxed))))
            .collect();
        let grown = Arc::new(grown);
        self.touched.store(grown.clone());
        arc_swap::Guard::from_inner(grown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extent_beyond_the_file_is_damage_and_no_huge_allocation() {
        let dir = tempfile::tempdir().unwrap();
        for mapped in [true, false] {
            let identity = Identity {
                dir: dir.path().to_path_buf(),
                store_id: [1; 16],
                chunk_log2: 16,
                mapped,
                ring: None,
            };
            let maker = SegmentMaker::new(Env::real(), identity, 1, 1 + u64::from(mapped));
            maker.env.vfs.create_dir(&log_dir(dir.path()), Site::STORE_DIR).unwrap();
            let segment = maker.create(SegmentKind::Log, 0, 1 << 16, LogStart::default()).unwrap();
            for (offset, len) in [(128, 1 << 45), (1 << 50, 10), (1 << 62, 1 << 45), (i64::MAX as u64 - 7, 8)]
            {
                let extent = Extent { segment: segment.id(), offset, len };
                let read = segment.read(&extent, 0..1);
                assert_eq!(read.unwrap_err().kind(), crate::error::ErrorKind::Corrupt, "{extent:?}");
            }
        }
    }
}
