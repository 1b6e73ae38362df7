//! The record frame: the 32 bytes in front of every record of a segment.
//!
//! ```text
//! 0   u8   kind: 1 commit, 2 moves, 3 blob, 4 continue, 5 void, 6 bodies
//! 1   u8   flags: blob: bit 0 = the body is an entry's payload, not an object's; commit, moves, blob: bit 1 = sealed;
//!          commit: bit 2 = packed (`packed.rs`)
//! 2   u16  blob: bytes of the owner's key at the end of the payload; else 0
//! 4   u32  sum of the payload (blob: of the part behind the body), XOR place(seed, offset, 2^64 - 1)
//! 8   u64  bytes of payload, as they are stored
//! 16  u64  commit and moves: lsn; blob: bytes of body; continue: the next log segment; void: 0; bodies: about how many bytes
//!          more they and their rows would take if they were not packed
//! 24  u32  0
//! 28  u32  CRC-32 of bytes 0..28, XOR place(seed, offset, 2^64 - 2)
//! ```
//! The next record starts at the next multiple of 8. Thirty-two zero bytes are never a record: they end a segment.
//!
//! The payload of a *bodies* record are short bodies of the commit behind it, each in eight bytes' steps:
//!
//! ```text
//! 0   u8   7
//! 1   u8   0
//! 2   u16  bytes of body
//! 4   u32  crc of the body, XOR place(seed, where this begins, 2^64 - 3)
//! 8        the body
//! ```

use super::MAX_NUMBER;
use super::checksum::{crc, place};

/// Bytes of a frame.
pub const FRAME_LEN: usize = 32;
/// Records start at multiples of this.
pub const ALIGN: u64 = 8;
/// The longest payload of a commit or moves record.
pub const MAX_COMMIT_LEN: u64 = 64 << 20;
/// The longest body of one blob record: OSS's largest object, 48.8 TiB, rounded up.
pub const MAX_BODY_LEN: u64 = 49 << 40;
/// The flag of a blob that holds an entry's payload.
pub const FLAG_PAYLOAD: u8 = 1;
/// The flag of a record whose payload is sealed.
pub const FLAG_SEALED: u8 = 2;

/// The flag of a commit whose changes are packed.
pub const FLAG_PACKED: u8 = 4;
/// The longest body that stands with others in one record: no chunk is shorter than this.
pub const SHORT_MAX: u64 = 4096;
/// Bytes before such a body.
pub const SHORT_HEAD: usize = 8;
/// What the head of such a body begins with; no frame does.
const SHORT: u8 = 7;

/// Indices in `place` that no chunk of a body can have.
const SUM_PAYLOAD: u64 = u64::MAX;
const SUM_FRAME: u64 = u64::MAX - 1;
const SUM_SHORT: u64 = u64::MAX - 2;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Changes that happen together under one lsn.
    Commit,
    /// Live rows said again, each with its own lsn, because their segment is to go.
    Moves,
    /// A body, or a payload too long for an entry.
    Blob,
    /// The log goes on in another segment.
    Continue,
    /// Bytes of a body that was never finished.
    Void,
    /// Short bodies of the commit behind it.
    Bodies,
}

/// A decoded frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What the record is.
    pub kind: Kind,
    /// See the layout above.
    pub flags: u8,
    /// Bytes of the owner's key (blob).
    pub owner_len: u16,
    /// The sum over the payload, without its place.
    pub payload_sum: u32,
    /// Bytes of payload.
    pub length: u64,
    /// See the layout above.
    pub word: u64,
}

/// What stands where a frame could be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// A sound frame.
    Frame(Frame),
    /// Thirty-two zeros: nothing was written here.
    Zeros,
    /// Something else, and why it is no frame.
    Bad(&'static str),
}

impl Frame {
    /// The bytes of the record on disk, up to the start of the next.
    pub fn record_len(&self) -> u64 {
        align(FRAME_LEN as u64 + self.length)
    }

    /// Encodes the frame for a record at `offset` of a segment with `seed`.
    pub fn encode(&self, seed: u32, offset: u64) -> [u8; FRAME_LEN] {
        assert!(offset.is_multiple_of(ALIGN) && self.fits(), "a frame that could not be read back: {self:?}");
        let mut out = [0u8; FRAME_LEN];
        out[0] = match self.kind {
            Kind::Commit => 1,
            Kind::Moves => 2,
            Kind::Blob => 3,
            Kind::Continue => 4,
            Kind::Void => 5,
            Kind::Bodies => 6,
        };
        out[1] = self.flags;
        out[2..4].copy_from_slice(&self.owner_len.to_le_bytes());
        out[4..8].copy_from_slice(&(self.payload_sum ^ place(seed, offset, SUM_PAYLOAD)).to_le_bytes());
        out[8..16].copy_from_slice(&self.length.to_le_bytes());
        out[16..24].copy_from_slice(&self.word.to_le_bytes());
        let sum = crc(&out[..28]) ^ place(seed, offset, SUM_FRAME);
        out[28..].copy_from_slice(&sum.to_le_bytes());
        out
    }

    /// Decodes what stands at `offset` of a segment with `seed`.
    pub fn decode(bytes: &[u8; FRAME_LEN], seed: u32, offset: u64) -> Decoded {
        let sum = u32::from_le_bytes([bytes[28], bytes[29], bytes[30], bytes[31]]);
        if sum != crc(&bytes[..28]) ^ place(seed, offset, SUM_FRAME) {
            if bytes.iter().all(|byte| *byte == 0) {
                return Decoded::Zeros;
            }
            return Decoded::Bad("the checksum of the record's frame does not match");
        }
        let kind = match bytes[0] {
            1 => Kind::Commit,
            2 => Kind::Moves,
            3 => Kind::Blob,
            4 => Kind::Continue,
            5 => Kind::Void,
            6 => Kind::Bodies,
            _ => return Decoded::Bad("the kind of the record is unknown"),
        };
        let frame = Frame {
            kind,
            flags: bytes[1],
            owner_len: u16::from_le_bytes([bytes[2], bytes[3]]),
            payload_sum: u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]])
                ^ place(seed, offset, SUM_PAYLOAD),
            length: u64::from_le_bytes(bytes[8..16].try_into().expect("eight bytes")),
            word: u64::from_le_bytes(bytes[16..24].try_into().expect("eight bytes")),
        };
        if !frame.fits() {
            return Decoded::Bad("the record is longer than its kind may be");
        }
        Decoded::Frame(frame)
    }

    fn fits(&self) -> bool {
        match self.kind {
            Kind::Commit | Kind::Moves | Kind::Bodies => {
                self.length <= MAX_COMMIT_LEN && self.word <= MAX_NUMBER
            }
            // A body, four bytes of sum for each chunk of at least 4 KiB, and the owner's key; or less, if it is coded.
            Kind::Blob => self.word <= MAX_BODY_LEN && self.length <= MAX_BODY_LEN * 2,
            Kind::Void => self.length <= MAX_BODY_LEN * 2,
            Kind::Continue => self.length == 0 && self.word <= MAX_NUMBER,
        }
    }
}

/// Every seed under which the frame at `offset` is sound, for a segment of which the seed is lost. Tries all of them.
pub fn seeds_of(bytes: &[u8; FRAME_LEN], offset: u64) -> Vec<u32> {
    let sum = u32::from_le_bytes([bytes[28], bytes[29], bytes[30], bytes[31]]);
    let wanted = sum ^ crc(&bytes[..28]);
    if bytes.iter().all(|byte| *byte == 0) {
        return Vec::new();
    }
    (0..=u32::MAX).filter(|seed| place(*seed, offset, SUM_FRAME) == wanted).collect()
}

/// Rounds up to where a record may start.
#[inline]
pub fn align(len: u64) -> u64 {
    len.next_multiple_of(ALIGN)
}

/// The sums of a body's chunks, still without their place.
pub fn chunk_sums(body: &[u8], chunk_log2: u8) -> Vec<u32> {
    body.chunks(1 << chunk_log2).map(crc).collect()
}

/// How many chunks a body has.
#[inline]
pub fn chunk_count(body_len: u64, chunk_log2: u8) -> u64 {
    body_len.div_ceil(1 << chunk_log2)
}

/// The sum of chunk `index` of the blob at `offset`, as it is stored behind the body.
#[inline]
pub fn placed_chunk_sum(sum: u32, seed: u32, offset: u64, index: u64) -> u32 {
    sum ^ place(seed, offset, index)
}

/// The bytes of a short body with its head, up to the next.
pub fn short_len(body_len: u64) -> u64 {
    align(SHORT_HEAD as u64 + body_len)
}

/// The head of a short body at `offset`, of which `sum` is the crc.
pub fn short_head(body_len: u64, sum: u32, seed: u32, offset: u64) -> [u8; SHORT_HEAD] {
    assert!((1..=SHORT_MAX).contains(&body_len) && offset.is_multiple_of(ALIGN));
    let mut head = [SHORT, 0, body_len as u8, (body_len >> 8) as u8, 0, 0, 0, 0];
    head[4..].copy_from_slice(&placed_short_sum(sum, seed, offset).to_le_bytes());
    head
}

/// The sum that the head of a short body of this length has; `None` if it is no such head.
pub fn short_sum(head: &[u8], body_len: u64) -> Option<u32> {
    let (head, _) = head.split_first_chunk::<SHORT_HEAD>()?;
    let is_short = head[..2] == [SHORT, 0] && u64::from(u16::from_le_bytes([head[2], head[3]])) == body_len;
    is_short.then(|| u32::from_le_bytes([head[4], head[5], head[6], head[7]]))
}

/// The sum of a short body at `offset`, as it stands in its head.
pub fn placed_short_sum(sum: u32, seed: u32, offset: u64) -> u32 {
    sum ^ place(seed, offset, SUM_SHORT)
}

/// The bytes of a blob record, without its owner's key: what an extent is counted as.
pub fn blob_record_len(body_len: u64, chunk_log2: u8) -> u64 {
    align(FRAME_LEN as u64 + body_len + 4 * chunk_count(body_len, chunk_log2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Frame {
        Frame { kind: Kind::Commit, flags: 0, owner_len: 0, payload_sum: 0xABCD, length: 100, word: 7 }
    }

    #[test]
    fn frames_come_back_only_where_they_belong() {
        let bytes = sample().encode(9, 64);
        assert_eq!(Frame::decode(&bytes, 9, 64), Decoded::Frame(sample()));
        assert!(matches!(Frame::decode(&bytes, 10, 64), Decoded::Bad(_)));
        assert!(matches!(Frame::decode(&bytes, 9, 72), Decoded::Bad(_)));
        assert_eq!(sample().record_len(), 136);
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let bytes = sample().encode(9, 64);
        for bit in 0..256 {
            let mut bad = bytes;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(Frame::decode(&bad, 9, 64), Decoded::Bad(_)), "bit {bit}");
        }
        assert_eq!(Frame::decode(&[0; 32], 9, 64), Decoded::Zeros);
    }

    #[test]
    fn impossible_lengths_with_a_sound_sum_are_refused() {
        let mut bytes = sample().encode(9, 64);
        bytes[8..16].copy_from_slice(&(MAX_COMMIT_LEN + 1).to_le_bytes());
        let sum = crc(&bytes[..28]) ^ place(9, 64, SUM_FRAME);
        bytes[28..].copy_from_slice(&sum.to_le_bytes());
        assert!(matches!(Frame::decode(&bytes, 9, 64), Decoded::Bad(_)));
    }
}
