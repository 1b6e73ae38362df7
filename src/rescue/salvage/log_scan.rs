//! Finding records in a damaged log.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::format::MAX_NUMBER;
use crate::format::checksum::crc;
use crate::format::coded::Trailer;
use crate::format::frame::{self, Decoded, FRAME_LEN, Frame, Kind};
use crate::format::segment_header::{HEADER_LEN, SegmentHeader};
use crate::segment::Segment;

/// How much is read at once.
const WINDOW: u64 = 1 << 20;

/// Where a read fails, the search goes on at the next multiple of this.
pub(super) const SECTOR: u64 = 4096;

/// Places that could not be read.
#[derive(Default)]
pub(super) struct Bad {
    pub(super) places: u64,
    pub(super) bytes: u64,
    pub(super) first: u64,
}

impl Bad {
    pub(super) fn note(&mut self, from: u64, to: u64) {
        if self.places == 0 {
            self.first = from;
        }
        self.places += 1;
        self.bytes += to - from;
    }
}

/// Every header that differs from `bytes` in one byte and is sound.
pub(super) fn one_byte_off(bytes: &[u8; HEADER_LEN]) -> impl Iterator<Item = SegmentHeader> + '_ {
    let places = (0..HEADER_LEN).flat_map(|place| (1..=u8::MAX).map(move |mask| (place, mask)));
    places.filter_map(|(place, mask)| {
        let mut other = *bytes;
        other[place] ^= mask;
        SegmentHeader::decode(&other).ok()
    })
}

/// What the checksums of a segment start from, found again from its first record. Takes seconds.
pub(super) fn find_seed(segment: &Segment) -> Option<u32> {
    let mut reader = Reader::new(segment).ok()?;
    let at = HEADER_LEN as u64;
    let head: [u8; FRAME_LEN] = reader.bytes(at, FRAME_LEN as u64)?.try_into().ok()?;
    frame::seeds_of(&head, at).into_iter().find(|seed| {
        let Decoded::Frame(frame) = Frame::decode(&head, *seed, at) else {
            return false;
        };
        let end = at + FRAME_LEN as u64 + frame.length;
        if end > reader.size {
            return false;
        }
        // Of a blob, the sum covers what stands behind the body.
        let (from, len) = match frame.kind {
            Kind::Commit | Kind::Moves | Kind::Bodies => (end - frame.length, frame.length),
            Kind::Blob => {
                let header = &segment.header;
                let chunks = frame::chunk_count(frame.word, header.chunk_log2);
                let stored = match header.is_coded() {
                    true => Trailer::of(frame.length, frame.owner_len, chunks).map_or(u64::MAX, |t| t.marks),
                    false => frame.word,
                };
                if stored > frame.length {
                    return false;
                }
                (end - frame.length + stored, frame.length - stored)
            }
            Kind::Continue | Kind::Void => return true,
        };
        len < WINDOW * 64 && reader.bytes(from, len).is_some_and(|bytes| crc(bytes) == frame.payload_sum)
    })
}

/// Reads a file of which some places cannot be read.
pub(super) struct Reader<'s> {
    segment: &'s Segment,
    pub(super) size: u64,
    window: Vec<u8>,
    window_at: u64,
    /// Places at which a read has failed.
    unreadable: BTreeSet<u64>,
}

impl<'s> Reader<'s> {
    pub(super) fn new(segment: &'s Segment) -> Result<Reader<'s>> {
        let size = segment.file_len()?.min(MAX_NUMBER);
        Ok(Reader { segment, size, window: Vec::new(), window_at: 0, unreadable: BTreeSet::new() })
    }

    /// `len` bytes at `at`; none if the file ends before, or they cannot be read.
    pub(super) fn bytes(&mut self, at: u64, len: u64) -> Option<&[u8]> {
        let end = at.checked_add(len).filter(|end| *end <= self.size)?;
        let inside = at >= self.window_at && end <= self.window_at + self.window.len() as u64;
        if !inside {
            let most = (self.size - at).min(len.max(WINDOW));
            let wide = !self.unreadable.contains(&(at / WINDOW));
            let read = wide && self.fill(at, most);
            if !read {
                self.unreadable.insert(at / WINDOW);
                if !self.fill(at, len) {
                    return None;
                }
            }
        }
        let start = (at - self.window_at) as usize;
        Some(&self.window[start..start + len as usize])
    }

    fn fill(&mut self, at: u64, len: u64) -> bool {
        self.window.resize(len as usize, 0);
        self.window_at = at;
        let read = self.segment.read_raw(&mut self.window, at);
        if read.is_err() {
            self.window.clear();
        }
        read.is_ok()
    }

    /// Whether a sector begins here and is all zeros: most of the unused end of a segment is.
    pub(super) fn at_blank_sector(&mut self, at: u64) -> bool {
        // Behind a skipped sector the search goes on a frame before the next one.
        at.is_multiple_of(SECTOR)
            && self.bytes(at, SECTOR).is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0))
    }
}
