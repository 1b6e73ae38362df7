//! Packed commits and the short bodies in front of them: reading both, and how much they save.

use bytes::Bytes;

use super::scan::Hashes;
use super::scan::Scan;
use super::segment::{BlobSum, Segment};
use crate::env::Planted;
use crate::error::Result;
use crate::format::checksum::crc;
use crate::format::entry::Extent;
use crate::format::frame::{self, FRAME_LEN, Kind, SHORT_HEAD};
use crate::format::packed::{self, Broken, HASH_LEN};
use crate::format::segment_header::{HEADER_LEN, SegmentKind};

/// How much of a segment tells what packing saves in it.
const SAMPLE: u64 = 256 << 10;

impl Segment {
    /// The plain form of the payload of a packed commit at `offset`.
    pub fn unpack(&self, offset: u64, payload: &[u8], hashes: Hashes) -> Result<Vec<u8>> {
        let mut hash_of = |extent: &Extent| -> Result<[u8; HASH_LEN]> {
            if hashes == Hashes::Zeros {
                return Ok([0; HASH_LEN]);
            }
            match self.read(extent, 0..extent.len) {
                Ok(body) => Ok(*blake3::hash(&body).as_bytes()),
                Err(_) if hashes == Hashes::RealOrZeros => Ok([0; HASH_LEN]),
                Err(error) => Err(error),
            }
        };
        packed::unpack(payload, self.id(), &mut hash_of).map_err(|broken| match broken {
            Broken::Bytes(reason) => self.corrupt(offset, reason),
            Broken::Body(error) => error,
        })
    }

    /// A body of one chunk in a log segment: with others in one record, or in one of its own.
    pub(super) fn read_small(&self, extent: &Extent) -> Result<Bytes> {
        let len = extent.len as usize;
        // Behind either form stands the commit, so both can be asked for.
        let span = self.lend(extent.offset..self.body_start(extent)? + extent.len + 4)?;
        let (at, expected, sum) = match frame::short_sum(&span, extent.len) {
            Some(expected) => {
                let sum = crc(&span[SHORT_HEAD..SHORT_HEAD + len]);
                (SHORT_HEAD, expected, frame::placed_short_sum(sum, self.seed(), extent.offset))
            }
            None => {
                let (body, sum) = span[FRAME_LEN..].split_at(len);
                let expected = u32::from_le_bytes(sum[..4].try_into().expect("four bytes"));
                (FRAME_LEN, expected, frame::placed_chunk_sum(crc(body), self.seed(), extent.offset, 0))
            }
        };
        if sum != expected && !self.mistake.is(Planted::NoBodySum) {
            let why = "the checksum of a chunk of a body does not match";
            return Err(self.corrupt(extent.offset + at as u64, why));
        }
        Ok(span.slice(at..at + len))
    }

    /// How many bytes so many live ones are as they are stored in a log segment. `counted` is what extents and rows count
    /// for, which knows nothing of packing. The beginning of the segment is taken for the whole.
    pub fn packed_share(&self, counted: u64) -> u64 {
        if self.header.kind != SegmentKind::Log || self.is_sealed() || counted == 0 {
            return counted;
        }
        let Ok(sum) = self.sample() else { return counted };
        match u128::from(sum.plain) {
            0 => counted,
            plain => (u128::from(counted) * u128::from(sum.stored) / plain) as u64,
        }
    }

    fn sample(&self) -> Result<BlobSum> {
        let mut kept = self.blobs.lock();
        let mut sum = kept.unwrap_or(BlobSum { end: HEADER_LEN as u64, plain: 0, stored: 0 });
        if sum.end >= SAMPLE {
            return Ok(sum);
        }
        let mut scan = Scan::of_frames(self, sum.end)?;
        while scan.position() < SAMPLE
            && let Ok(record) = scan.next(false)?
        {
            let stored = record.frame.record_len();
            let saved = if record.frame.kind == Kind::Bodies { record.frame.word } else { 0 };
            // What a frame says is believed as far as it can be true.
            sum.plain += stored + saved.min(stored);
            sum.stored += stored;
        }
        sum.end = scan.position();
        *kept = Some(sum);
        Ok(sum)
    }
}
