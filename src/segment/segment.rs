//! One segment file: made, opened, read with every byte verified.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use parking_lot::Mutex;

use super::files::SegmentFile;
use super::sealing::Sealing;
use crate::env::{File, Map, Mistake, Planted, Site};
use crate::error::{Error, Result};
use crate::format::checksum::crc;
use crate::format::coded::Trailer;
use crate::format::entry::Extent;
use crate::format::frame::{self, Decoded, FRAME_LEN, Frame, Kind};
use crate::format::segment_header::{SegmentHeader, SegmentKind};

/// The unit in which first touches are remembered.
const TOUCH_LOG2: u32 = 12;

/// How much is read at once on a first touch.
const TOUCH_READ: usize = 64 * 1024;

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
    pub(super) seed: u32,
    /// Its keys, if everything in the store is sealed.
    pub(super) sealing: Option<Sealing>,
    pub(super) file: SegmentFile,
    pub(super) mapped: bool,
    /// A mistake that is switched on, to test the tests.
    pub(super) mistake: Mistake,
    pub(super) map: ArcSwapOption<Map>,
    /// One bit for each page that was read or written with success since the segment was opened: only such
    /// pages are read through the map, because a bad sector under a map kills the process.
    pub(super) touched: ArcSwap<Vec<AtomicU64>>,
    /// How many bodies were finished here by this process, and how many of them are durable. The lock is held
    /// while a sync runs, so that nobody takes a sync that is still running for one that is done.
    pub(super) bodies: AtomicU64,
    pub(super) durable_bodies: Mutex<u64>,
    /// Whether a sync has failed. Held while one runs.
    pub(super) sync_failed: Mutex<bool>,
    /// Bytes of records that are neither body nor sums, as far as this process has written them.
    pub(super) overhead: AtomicU64,
    /// Bodies that are written here but are not yet part of any commit.
    pub(super) in_flight: AtomicU64,
    /// Whether it was taken out of the table: nothing names it any more.
    pub(super) retired: AtomicBool,
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
    pub(super) fn is_retired(&self) -> bool {
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
    use super::super::maker::Identity;
    use super::super::maker::LogStart;
    use super::super::maker::SegmentMaker;
    use super::*;
    use crate::env::Env;
    use crate::segment::names::log_dir;

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
