//! Walks the records of a segment in order, through positioned reads, and says how it ends.

use super::sealing::FORGED;
use super::segment::Segment;
use crate::crypto::TAG_LEN;
use crate::env::Site;
use crate::error::{Error, Result};
use crate::format::checksum::crc;
use crate::format::coded::{StoredChunk, Trailer};
use crate::format::commit::{self, HEAD_LEN, Position};
use crate::format::frame::{self, ALIGN, Decoded, FRAME_LEN, Frame, Kind};
use crate::format::segment_header::HEADER_LEN;

/// How much is read at once.
const WINDOW: usize = 1 << 20;

/// Walks the records of a segment.
#[derive(Debug)]
pub struct Scan<'a> {
    segment: &'a Segment,
    size: u64,
    at: u64,
    limit: u64,
    window: Vec<u8>,
    window_at: u64,
    trusting: bool,
    step: usize,
    /// What is done about packed commits; nothing if it is not said.
    unpacks: Option<Hashes>,
    /// What was in the last sealed record.
    opened: Vec<u8>,
}

/// One record.
#[derive(Debug)]
pub struct Scanned<'s> {
    /// Where it starts.
    pub offset: u64,
    /// Its frame.
    pub frame: Frame,
    /// The payload of a commit or moves record, verified and opened; empty for the other kinds.
    pub payload: &'s [u8],
}

impl Scanned<'_> {}

/// How a segment ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Nothing was written behind the last record.
    Clean,
    /// The log goes on in another segment.
    Continues(u64),
    /// What stands there is no sound record, and why.
    Bad(&'static str),
}

impl<'a> Scan<'a> {
    /// A walk from `from` (at least the end of the header) to `limit`, or to the end of the file.
    pub fn new(segment: &'a Segment, from: u64, limit: Option<u64>) -> Result<Scan<'a>> {
        let size = segment.file_len()?;
        let at = from.max(HEADER_LEN as u64);
        let limit = limit.unwrap_or(size).min(size);
        let (window, opened) = (Vec::new(), Vec::new());
        Ok(Scan {
            segment,
            size,
            at,
            limit,
            window,
            window_at: 0,
            trusting: false,
            step: WINDOW,
            unpacks: Some(Hashes::Real),
            opened,
        })
    }

    /// A walk that looks at frames only and reads little besides. Packed commits stay as they are.
    pub fn of_frames(segment: &'a Segment, from: u64) -> Result<Scan<'a>> {
        Ok(Scan { step: 4096, unpacks: None, ..Scan::new(segment, from, None)? })
    }

    /// The same walk for somebody who only wants to know of which keys the records tell.
    pub fn for_keys(self) -> Scan<'a> {
        Scan { unpacks: Some(Hashes::Zeros), ..self }
    }

    /// Believes payloads without their sums: a mistake, to test the tests.
    pub fn trust(&mut self, trusting: bool) {
        self.trusting = trusting;
    }

    /// Goes on behind a bad record as if it were not there: a mistake, to test the tests.
    pub fn step_over(&mut self) -> bool {
        self.at += ALIGN;
        self.at + FRAME_LEN as u64 <= self.limit
    }

    /// Where the next record would start.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// The next record, or how the segment ends. `bodies` says whether blobs are verified to the last byte.
    pub fn next(&mut self, bodies: bool) -> Result<Result<Scanned<'_>, End>> {
        let offset = self.at;
        if !offset.is_multiple_of(ALIGN) {
            return Ok(Err(End::Bad("the walk starts where no record can start")));
        }
        if offset + FRAME_LEN as u64 > self.limit {
            return Ok(Err(End::Clean));
        }
        let frame = match self.frame_at(offset)? {
            Decoded::Frame(frame) => frame,
            Decoded::Zeros => return Ok(Err(End::Clean)),
            Decoded::Bad(reason) => return Ok(Err(End::Bad(reason))),
        };
        let end = offset.saturating_add(FRAME_LEN as u64).saturating_add(frame.length);
        if end > self.size {
            return Ok(Err(End::Bad("a record is longer than its segment")));
        }
        let payload_at = offset + FRAME_LEN as u64;
        match frame.kind {
            Kind::Continue => return Ok(Err(End::Continues(frame.word))),
            Kind::Commit | Kind::Moves => {
                let sum = crc(self.bytes(payload_at, frame.length as usize)?);
                if sum != frame.payload_sum && !self.trusting {
                    return Ok(Err(End::Bad("the checksum of a record does not match")));
                }
            }
            Kind::Blob => {
                if bodies && let Err(reason) = self.check_blob(offset, &frame)? {
                    return Ok(Err(End::Bad(reason)));
                }
            }
            Kind::Bodies => {
                if bodies && crc(self.bytes(payload_at, frame.length as usize)?) != frame.payload_sum {
                    return Ok(Err(End::Bad("the checksum of short bodies does not match")));
                }
            }
            Kind::Void => {}
        }
        let payload = match frame.kind {
            Kind::Commit | Kind::Moves if self.segment.is_sealed() => {
                if !self.open_record(offset, &frame)? {
                    if self.trusting {
                        return Ok(Err(End::Bad(FORGED)));
                    }
                    // Its sum is right, so no crash has torn it.
                    return Err(self.segment.corrupt(offset, FORGED));
                }
                self.at = frame::align(end);
                &self.opened[..]
            }
            Kind::Commit if frame.flags & frame::FLAG_PACKED != 0 && self.unpacks.is_some() => {
                let packed = self.bytes(payload_at, frame.length as usize)?.to_vec();
                let hashes = self.unpacks.unwrap_or(Hashes::Real);
                match self.segment.unpack(offset, &packed, hashes) {
                    Ok(plain) => self.opened = plain,
                    Err(_) if self.trusting => {
                        return Ok(Err(End::Bad("a packed commit cannot be unpacked")));
                    }
                    // Its sum is right, so no crash has torn it.
                    Err(error) => return Err(error),
                }
                self.at = frame::align(end);
                &self.opened[..]
            }
            Kind::Commit | Kind::Moves => {
                self.at = frame::align(end);
                self.bytes(payload_at, frame.length as usize)?
            }
            _ => {
                self.at = frame::align(end);
                &[]
            }
        };
        Ok(Ok(Scanned { offset, frame, payload }))
    }

    /// Opens the payload of a record; `false` if the store's key does not open it.
    fn open_record(&mut self, offset: u64, frame: &Frame) -> Result<bool> {
        let mut opened = std::mem::take(&mut self.opened);
        opened.clear();
        opened.extend_from_slice(self.bytes(offset + FRAME_LEN as u64, frame.length as usize)?);
        let len = self.segment.open_record(frame, offset, &mut opened).map(|plain| plain.len());
        opened.truncate(len.unwrap_or(0));
        self.opened = opened;
        Ok(len.is_ok())
    }

    /// Whether nothing but zeros stands from here on.
    pub fn rest_is_blank(&mut self) -> Result<bool> {
        let mut at = self.at;
        while at < self.size {
            let len = (self.size - at).min(WINDOW as u64) as usize;
            if self.bytes(at, len)?.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            at += len as u64;
        }
        Ok(true)
    }

    /// The owner's key of the blob at `offset`, which was not verified: a crash may have torn it, and then of a sealed one
    /// nothing is left.
    pub fn owner(&mut self, offset: u64, frame: &Frame) -> Result<Vec<u8>> {
        let at = offset + FRAME_LEN as u64 + frame.length - u64::from(frame.owner_len);
        let mut owner = self.bytes(at, usize::from(frame.owner_len))?.to_vec();
        Ok(self.segment.open_owner(frame, offset, &mut owner).map(|plain| plain.to_vec()).unwrap_or_default())
    }

    fn frame_at(&mut self, offset: u64) -> Result<Decoded> {
        let seed = self.segment.seed();
        let bytes: [u8; FRAME_LEN] = self.bytes(offset, FRAME_LEN)?.try_into().expect("as long as asked");
        Ok(Frame::decode(&bytes, seed, offset))
    }

    /// The next block if all of the one at `at` is zero: most of a preallocated tail is.
    fn skip_zeros(&mut self, at: u64) -> Result<Option<u64>> {
        const BLOCK: usize = 4096;
        if !at.is_multiple_of(BLOCK as u64) || at + BLOCK as u64 > self.size {
            return Ok(None);
        }
        let zeros = self.bytes(at, BLOCK)?.iter().all(|byte| *byte == 0);
        // A frame may start in the last bytes of the block, so the search goes on a frame before its end.
        Ok(zeros.then(|| at + (BLOCK - FRAME_LEN) as u64 + ALIGN))
    }

    /// Verifies a blob chunk by chunk, so that its size does not matter.
    fn check_blob(&mut self, offset: u64, frame: &Frame) -> Result<Result<(), &'static str>> {
        const MISMATCH: &str = "the checksum of a chunk of a body does not match";
        let (seed, log2) = (self.segment.seed(), self.segment.header.chunk_log2);
        let chunks = frame::chunk_count(frame.word, log2);
        if self.segment.header.is_coded() {
            return self.check_coded(offset, frame, chunks);
        }
        if frame.length != frame.word + 4 * chunks + u64::from(frame.owner_len) {
            return Ok(Err("a blob is not as long as it says"));
        }
        let body = offset + FRAME_LEN as u64;
        let mut trailer = crc32fast::Hasher::new();
        for index in 0..chunks {
            let from = index << log2;
            let len = (frame.word - from).min(1 << log2);
            let sum = crc(self.bytes(body + from, len as usize)?);
            trailer.update(&frame::placed_chunk_sum(sum, seed, offset, index).to_le_bytes());
        }
        // The trailer's sum covers the chunks' sums, so sums made from the body must lead to it.
        let owner = self.bytes(body + frame.word + 4 * chunks, usize::from(frame.owner_len))?;
        trailer.update(owner);
        Ok(if trailer.finalize() == frame.payload_sum { Ok(()) } else { Err(MISMATCH) })
    }

    /// The same for a coded blob: the chunks as they are stored.
    fn check_coded(&mut self, offset: u64, frame: &Frame, chunks: u64) -> Result<Result<(), &'static str>> {
        const MISMATCH: &str = "the checksum of a chunk of a body does not match";
        /// How many words of the table are kept at once.
        const GROUP: u64 = 8 * 1024;
        let tag_len = if self.segment.is_sealed() { TAG_LEN as u64 } else { 0 };
        let (seed, log2) = (self.segment.seed(), self.segment.header.chunk_log2);
        let trailer = match Trailer::of(frame.length, frame.owner_len, chunks) {
            Ok(trailer) => trailer,
            Err(reason) => return Ok(Err(reason)),
        };
        let payload = offset + FRAME_LEN as u64;
        let mut sum = crc32fast::Hasher::new();
        let mut at = trailer.marks;
        while at < frame.length {
            let len = (frame.length - at).min(WINDOW as u64);
            sum.update(self.bytes(payload + at, len as usize)?);
            at += len;
        }
        if sum.finalize() != frame.payload_sum {
            return Ok(Err("the checksum of the table of a body does not match"));
        }
        let (mut index, mut place) = (0, 0u64);
        while index < chunks {
            let count = (chunks - index).min(GROUP) as usize;
            let table = self.bytes(payload + trailer.table + 4 * index, 4 * count)?.to_vec();
            let sums = self.bytes(payload + trailer.sums + 4 * index, 4 * count)?.to_vec();
            for (word, expected) in table.chunks_exact(4).zip(sums.chunks_exact(4)) {
                let [word, expected] =
                    [word, expected].map(|four| u32::from_le_bytes(four.try_into().expect("four bytes")));
                let plain = (frame.word - (index << log2)).min(1 << log2);
                let stored = match StoredChunk::read(word, plain, tag_len) {
                    Ok(stored) if stored.len <= trailer.marks - place => stored,
                    Ok(_) => return Ok(Err("the table of a body leads beyond its chunks")),
                    Err(reason) => return Ok(Err(reason)),
                };
                let found = crc(self.bytes(payload + place, stored.len as usize)?);
                if frame::placed_chunk_sum(found, seed, offset, index) != expected {
                    return Ok(Err(MISMATCH));
                }
                place += stored.len;
                index += 1;
            }
        }
        Ok(if place == trailer.marks { Ok(()) } else { Err("a body has bytes that are in no chunk") })
    }

    /// `len` bytes at `at`, which the caller has held against the size of the file.
    fn bytes(&mut self, at: u64, len: usize) -> Result<&[u8]> {
        let inside = at >= self.window_at && at + len as u64 <= self.window_at + self.window.len() as u64;
        if !inside {
            if at + len as u64 > self.size {
                return Err(self.segment.corrupt(at, "the segment ends too early"));
            }
            // Behind the limit nothing is asked for, but by a search that goes its own way.
            let ahead = if at < self.limit { self.limit - at } else { self.size - at };
            let want = len.max(ahead.min(self.step as u64) as usize).min((self.size - at) as usize);
            self.window.resize(want, 0);
            self.window_at = at;
            if let Err(error) = self.segment.file()?.read_exact_at(&mut self.window, at, Site::SEGMENT_READ) {
                self.window.clear();
                return Err(self.segment.failed("reading", error));
            }
        }
        let start = (at - self.window_at) as usize;
        Ok(&self.window[start..start + len])
    }
}

/// The lsn before the first commit of a log segment, as its first commit or moves record before `limit` says; `None`
/// if it has neither. Reads little: bodies are stepped over.
pub fn lsn_before(segment: &Segment, limit: Option<u64>) -> Result<Option<u64>> {
    let mut scan = Scan::new(segment, 0, limit)?;
    scan.step = 4096;
    loop {
        let at = scan.position();
        if at + FRAME_LEN as u64 > scan.limit {
            return Ok(None);
        }
        let frame = match scan.frame_at(at)? {
            Decoded::Frame(frame) => frame,
            Decoded::Zeros => return Ok(None),
            Decoded::Bad(reason) => return Err(segment.corrupt(at, reason)),
        };
        match frame.kind {
            Kind::Commit => return Ok(Some(frame.word.saturating_sub(1))),
            Kind::Moves => return Ok(Some(frame.word)),
            Kind::Continue => return Ok(None),
            Kind::Blob | Kind::Void | Kind::Bodies => scan.at = at.saturating_add(frame.record_len()),
        }
    }
}

/// Looks behind a bad record at `bad` for a sound commit that says that the log was durable past it (I12).
/// Works for the segment of the bad record (`from` is then right behind it) and for any later one.
pub fn find_durable_mark(segment: &Segment, from: u64, bad: Position) -> Result<Option<Position>> {
    let mut scan = Scan::new(segment, from, None)?;
    // A hostile file could hold a sound frame at every step, each asking for a long sum. What is summed is
    // bounded, so that the search ends; a file that uses it up is no torn tail.
    let mut budget = scan.size.saturating_mul(4);
    let mut at = frame::align(from.max(HEADER_LEN as u64));
    while at + FRAME_LEN as u64 <= scan.size {
        if let Some(next) = scan.skip_zeros(at)? {
            at = next;
            continue;
        }
        let Decoded::Frame(frame) = scan.frame_at(at)? else {
            at += ALIGN;
            continue;
        };
        let sound = matches!(frame.kind, Kind::Commit | Kind::Moves)
            && frame.length >= HEAD_LEN as u64
            && at + FRAME_LEN as u64 + frame.length <= scan.size;
        if sound {
            budget = budget.checked_sub(frame.length).ok_or_else(|| too_many(segment, at))?;
            let mut payload = scan.bytes(at + FRAME_LEN as u64, frame.length as usize)?;
            if crc(payload) == frame.payload_sum
                && (!segment.is_sealed() || {
                    let opens = scan.open_record(at, &frame)?;
                    payload = &scan.opened;
                    opens
                })
                && let Ok((head, _)) = commit::open(payload, frame.kind == Kind::Moves)
                && head.durable > bad
            {
                return Ok(Some(Position { segment: segment.id(), offset: at }));
            }
        }
        at += ALIGN;
    }
    Ok(None)
}

fn too_many(segment: &Segment, at: u64) -> Error {
    segment.corrupt(at, "behind a bad record stand more records than the segment can hold")
}

/// What is done about the hashes that a packed commit leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hashes {
    /// They are those of the bodies; a body that cannot be read is an error.
    Real,
    /// A body that cannot be read has zeros for its hash: for those who save what they can.
    RealOrZeros,
    /// All are zeros: for those who only want to know of which keys a commit tells.
    Zeros,
}
