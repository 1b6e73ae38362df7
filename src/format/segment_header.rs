//! The first 128 bytes of a segment: what it is, and how the log came to it.
//!
//! ```text
//! 0    8 B  "OSSICSEG"
//! 8    u32  format version
//! 12   u8   1 log, 2 bulk
//! 13   u8   tier (bulk)
//! 14   u8   log2 of the chunk size
//! 15   u8   how it is stored: bit 0 bodies lie in coded chunks (see `coded.rs`), which may be compressed; bit 1
//!           everything in it is sealed, and bit 0 is set as well; the rest 0
//! 16   u64  segment id
//! 24   16 B store id
//! 40   u64  nonce: random, part of every checksum of the segment
//! 48   u64  run: how often the store had been opened for writing
//! 56   u64  cut segment: the first log segment of a run says where the log before it ends (0: nothing before) ...
//! 64   u64  ... cut offset: whatever stands there or behind is not part of the log
//! 72   u64  the lsn before the first commit of the segment (first log segment of a run)
//! 80   u64  the name of the shred root that it was made under, if it is sealed (0 otherwise)
//! 88   36 B 0
//! 124  u32  CRC-32 of bytes 0..124
//! ```

use super::checksum::crc;
use super::commit::Position;
use super::{FORMAT_VERSION, MAX_NUMBER};

/// Bytes of the header; records start here.
pub const HEADER_LEN: usize = 128;
const MAGIC: &[u8; 8] = b"OSSICSEG";

/// The bit of a segment whose bodies are stored in coded chunks.
pub const CODED: u8 = 1;
/// The bit of a segment in which everything is sealed.
pub const SEALED: u8 = 2;

/// What a segment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SegmentKind {
    /// Commits, rows and small bodies.
    Log,
    /// Bodies only.
    Bulk,
}

/// A decoded header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// What it holds.
    pub kind: SegmentKind,
    /// The tier of a bulk segment.
    pub tier: u8,
    /// log2 of the chunk size of its bodies.
    pub chunk_log2: u8,
    /// How it is stored: bits such as [`CODED`].
    pub coding: u8,
    /// Its id.
    pub id: u64,
    /// The store it belongs to.
    pub store_id: [u8; 16],
    /// Random, part of every checksum.
    pub nonce: u64,
    /// The opening of the store that made it.
    pub run: u64,
    /// Where the log before it ends, in the first log segment of a run.
    pub cut: Option<Position>,
    /// The lsn before its first commit, in the first log segment of a run.
    pub base_lsn: u64,
    /// The name of the shred root that a sealed segment was made under.
    pub shred: u64,
}

impl SegmentHeader {
    /// Whether its bodies are stored in coded chunks.
    #[inline]
    pub fn is_coded(&self) -> bool {
        self.coding & CODED != 0
    }

    /// Whether everything in it is sealed.
    #[inline]
    pub fn is_sealed(&self) -> bool {
        self.coding & SEALED != 0
    }

    /// Encodes the header.
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut out = [0u8; HEADER_LEN];
        let cut = self.cut.unwrap_or_default();
        out[..8].copy_from_slice(MAGIC);
        out[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        out[12] = match self.kind {
            SegmentKind::Log => 1,
            SegmentKind::Bulk => 2,
        };
        out[13] = self.tier;
        out[14] = self.chunk_log2;
        out[15] = self.coding;
        out[16..24].copy_from_slice(&self.id.to_le_bytes());
        out[24..40].copy_from_slice(&self.store_id);
        out[40..48].copy_from_slice(&self.nonce.to_le_bytes());
        out[48..56].copy_from_slice(&self.run.to_le_bytes());
        out[56..64].copy_from_slice(&cut.segment.to_le_bytes());
        out[64..72].copy_from_slice(&cut.offset.to_le_bytes());
        out[72..80].copy_from_slice(&self.base_lsn.to_le_bytes());
        out[80..88].copy_from_slice(&self.shred.to_le_bytes());
        let sum = crc(&out[..HEADER_LEN - 4]);
        out[HEADER_LEN - 4..].copy_from_slice(&sum.to_le_bytes());
        out
    }

    /// Decodes a header, or says why the bytes are none.
    pub fn decode(bytes: &[u8; HEADER_LEN]) -> Result<SegmentHeader, &'static str> {
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let sum = u32::from_le_bytes(bytes[HEADER_LEN - 4..].try_into().expect("four bytes"));
        if &bytes[..8] != MAGIC {
            return Err("it does not start as a segment does");
        }
        if sum != crc(&bytes[..HEADER_LEN - 4]) {
            return Err("the checksum of the segment's header does not match");
        }
        if u32::from_le_bytes(bytes[8..12].try_into().expect("four bytes")) != FORMAT_VERSION {
            return Err("the segment is of another format version");
        }
        let kind = match bytes[12] {
            1 => SegmentKind::Log,
            2 => SegmentKind::Bulk,
            _ => return Err("the segment is of an unknown kind"),
        };
        if !(12..=24).contains(&bytes[14]) {
            return Err("the segment has an impossible chunk size");
        }
        let known = match kind {
            SegmentKind::Log => [0, CODED | SEALED].contains(&bytes[15]),
            SegmentKind::Bulk => [0, CODED, CODED | SEALED].contains(&bytes[15]),
        };
        if !known {
            return Err("the segment is stored in a way that this version does not know");
        }
        let numbers = [16, 48, 56, 64, 72].map(word);
        if word(16) == 0 || numbers.iter().any(|number| *number > MAX_NUMBER) {
            return Err("the segment's header says impossible things");
        }
        let cut = Position { segment: word(56), offset: word(64) };
        Ok(SegmentHeader {
            kind,
            tier: bytes[13],
            chunk_log2: bytes[14],
            coding: bytes[15],
            id: word(16),
            store_id: bytes[24..40].try_into().expect("sixteen bytes"),
            nonce: word(40),
            run: word(48),
            cut: (cut.segment != 0).then_some(cut),
            base_lsn: word(72),
            shred: word(80),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_back_and_flips_are_seen() {
        let header = SegmentHeader {
            kind: SegmentKind::Log,
            tier: 0,
            chunk_log2: 16,
            coding: 0,
            id: 5,
            store_id: [3; 16],
            nonce: 0xFEED,
            run: 2,
            cut: Some(Position { segment: 4, offset: 4096 }),
            base_lsn: 31,
            shred: u64::MAX,
        };
        let bytes = header.encode();
        assert_eq!(SegmentHeader::decode(&bytes), Ok(header));
        for at in 0..HEADER_LEN {
            let mut bad = bytes;
            bad[at] ^= 0x10;
            assert!(SegmentHeader::decode(&bad).is_err(), "byte {at}");
        }
    }

    #[test]
    fn numbers_that_leave_no_room_to_count_on_are_refused() {
        let header = SegmentHeader {
            kind: SegmentKind::Bulk,
            tier: 0,
            chunk_log2: 16,
            coding: 0,
            id: 5,
            store_id: [3; 16],
            nonce: u64::MAX,
            run: 2,
            cut: None,
            base_lsn: 0,
            shred: 0,
        };
        assert!(SegmentHeader::decode(&header.encode()).is_ok());
        let bad = [
            SegmentHeader { id: 0, ..header },
            SegmentHeader { id: u64::MAX, ..header },
            SegmentHeader { run: u64::MAX, ..header },
            SegmentHeader { cut: Some(Position { segment: 1, offset: u64::MAX }), ..header },
            SegmentHeader { base_lsn: u64::MAX, ..header },
            SegmentHeader { coding: 4, ..header },
            SegmentHeader { coding: SEALED, ..header },
            SegmentHeader { kind: SegmentKind::Log, coding: CODED, ..header },
        ];
        for header in bad {
            assert!(SegmentHeader::decode(&header.encode()).is_err(), "{header:?}");
        }
    }
}
