//! What a writer and the readers in other processes tell each other: a note in `LOCK`, and one in each `readers/` file.
//!
//! ```text
//! LOCK                                            readers/<name>
//! 0   8 B  "OSSICNOW"                             0   8 B  "OSSICUSE"
//! 8   u64  run of the writer                      8   u64  generation of the oldest superblock in use;
//! 16  u64  durable segment: everything in the             0: whichever was the newest at some time
//!          log before ...                                 since the file was made
//! 24  u64  ... this offset of it is durable       16  u32  CRC-32 of bytes 0..16
//! 32  u64  lsn of the last commit before it
//! 40  u32  CRC-32 of bytes 0..40
//! ```

use super::MAX_NUMBER;
use super::checksum::crc;
use super::commit::Position;

/// Bytes of the note in `LOCK`.
pub const STANDING_LEN: usize = 44;
/// Bytes of the note in a file of a reader.
pub const USE_LEN: usize = 20;
const STANDING_MAGIC: &[u8; 8] = b"OSSICNOW";
const USE_MAGIC: &[u8; 8] = b"OSSICUSE";

/// How far the log of an open store is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The opening of the store that says so.
    pub run: u64,
    /// Everything in the log before this place is durable.
    pub durable: Position,
    /// The last commit before it.
    pub lsn: u64,
}

impl Standing {
    /// Whether `lsn` is the last commit before the place, or why the log is not what its writer says.
    pub fn check(&self, lsn: u64) -> Result<(), String> {
        if lsn == self.lsn {
            return Ok(());
        }
        Err(format!("commit {lsn} is the last one here, and the writer of the store says {}", self.lsn))
    }

    /// Encodes the note.
    pub fn encode(&self) -> [u8; STANDING_LEN] {
        let mut out = [0; STANDING_LEN];
        out[..8].copy_from_slice(STANDING_MAGIC);
        let numbers = [self.run, self.durable.segment, self.durable.offset, self.lsn];
        for (place, number) in out[8..40].chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        let sum = crc(&out[..40]);
        out[40..].copy_from_slice(&sum.to_le_bytes());
        out
    }

    /// Reads the note; `None` if there is none, or a part of one.
    pub fn decode(bytes: &[u8; STANDING_LEN]) -> Option<Standing> {
        let sound = bytes.starts_with(STANDING_MAGIC) && bytes[40..] == crc(&bytes[..40]).to_le_bytes();
        let [run, segment, offset, lsn] = [8, 16, 24, 32].map(|at| number(bytes, at));
        let believed = [run, segment, offset, lsn].iter().all(|number| *number <= MAX_NUMBER);
        (sound && believed).then_some(Standing { run, durable: Position { segment, offset }, lsn })
    }
}

/// Encodes the note of a reader that uses superblocks from this generation on.
pub fn encode_use(generation: u64) -> [u8; USE_LEN] {
    let mut out = [0; USE_LEN];
    out[..8].copy_from_slice(USE_MAGIC);
    out[8..16].copy_from_slice(&generation.to_le_bytes());
    let sum = crc(&out[..16]);
    out[16..].copy_from_slice(&sum.to_le_bytes());
    out
}

/// Reads the note of a reader; what cannot be read may mean any generation, and so is 0.
pub fn decode_use(bytes: &[u8; USE_LEN]) -> u64 {
    let sound = bytes.starts_with(USE_MAGIC) && bytes[16..] == crc(&bytes[..16]).to_le_bytes();
    if sound { number(bytes, 8) } else { 0 }
}

fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_come_back_and_damaged_ones_do_not() {
        let standing = Standing { run: 3, durable: Position { segment: 7, offset: 4096 }, lsn: 99 };
        let bytes = standing.encode();
        assert_eq!(Standing::decode(&bytes), Some(standing));
        assert_eq!(decode_use(&encode_use(12)), 12);
        for at in 0..STANDING_LEN {
            let mut flipped = bytes;
            flipped[at] ^= 1;
            assert_eq!(Standing::decode(&flipped), None, "byte {at}");
        }
        for at in 0..USE_LEN {
            let mut flipped = encode_use(12);
            flipped[at] ^= 1;
            assert_eq!(decode_use(&flipped), 0, "byte {at}");
        }
        let beyond = Standing { run: MAX_NUMBER + 1, ..standing };
        assert_eq!(Standing::decode(&beyond.encode()), None);
        assert_eq!((Standing::decode(&[0; STANDING_LEN]), decode_use(&[0; USE_LEN])), (None, 0));
    }
}
