//! The trailer of a coded blob record: how long each chunk is as it is stored, and what it sums to.
//!
//! ```text
//! stored chunks, one behind another
//! marks   u64 for each 256 chunks but the first: bytes of stored chunks before chunk 256, 512 ...
//! table   u32 for each chunk: bytes as stored, top bit set if they are compressed
//! sums    u32 for each chunk: CRC-32 of the bytes as stored, XOR place(seed, offset, index)
//! owner   the owner's key
//! ```
//! The frame's `length` is all of this, its `word` the length of the plain body, its sum that of all behind the chunks.
//! A chunk that is not compressed is stored as long as it is; a compressed one is a zstd frame that says its plain
//! length, and is shorter than that.
//!
//! In a sealed segment a chunk is then encrypted and followed by its tag of 16 bytes, which counts as stored, and where the
//! owner's key stands there are 24 bytes that lead to the key of the body, then the owner's key, sealed.
//!
//! In a sealed segment a chunk is then encrypted and followed by its tag of 16 bytes, which counts as stored, and what is
//! called the owner's key is this: 24 bytes that lead to the key of the body, then the owner's key, sealed.

/// Bytes of a frame's or chunk's word in the table that say how long it is.
const LEN_MASK: u32 = (1 << 31) - 1;
/// The bit of a chunk that is stored compressed.
const COMPRESSED: u32 = 1 << 31;
/// One mark for so many chunks.
pub const MARK_EVERY: u64 = 256;
/// No zstd frame gives more than so many bytes for each of its own: 128 KiB for a block of four.
const MOST_GAIN: u64 = 32 * 1024;

/// Where the parts of a coded record's trailer stand, in bytes behind its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// How many chunks there are.
    pub chunks: u64,
    /// Where the stored chunks end and the marks begin.
    pub marks: u64,
    /// Where the table begins.
    pub table: u64,
    /// Where the sums begin.
    pub sums: u64,
    /// Where the owner's key begins.
    pub owner: u64,
}

/// How a chunk is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredChunk {
    /// Bytes as stored.
    pub len: u64,
    /// Whether they are compressed.
    pub compressed: bool,
}

/// How many marks a body of so many chunks has.
fn mark_count(chunks: u64) -> u64 {
    chunks.saturating_sub(1) / MARK_EVERY
}

/// Bytes behind the stored chunks, without the owner's key.
pub fn trailer_len(chunks: u64) -> u64 {
    8 * mark_count(chunks) + 8 * chunks
}

impl Trailer {
    /// The trailer of a record whose frame says that its payload has `length` bytes, `owner_len` of them its owner's.
    pub fn of(length: u64, owner_len: u16, chunks: u64) -> Result<Trailer, &'static str> {
        let behind = trailer_len(chunks) + u64::from(owner_len);
        let marks = length.checked_sub(behind).ok_or("a coded body is shorter than its table")?;
        if marks < chunks {
            return Err("a coded body has fewer bytes than chunks");
        }
        let table = marks + 8 * mark_count(chunks);
        let sums = table + 4 * chunks;
        Ok(Trailer { chunks, marks, table, sums, owner: sums + 4 * chunks })
    }

    /// Where the mark of the chunks from `index` on stands; none for the first chunks, which begin at 0.
    pub fn mark_of(&self, index: u64) -> Option<u64> {
        (index / MARK_EVERY).checked_sub(1).map(|mark| self.marks + 8 * mark)
    }
}

impl StoredChunk {
    /// The chunk's word in the table.
    pub fn word(&self) -> u32 {
        let len = u32::try_from(self.len).ok().filter(|len| *len <= LEN_MASK);
        len.expect("a stored chunk is not longer than a chunk") | if self.compressed { COMPRESSED } else { 0 }
    }

    /// Reads a word of the table for a chunk of `plain` bytes, to which `seal` bytes were added.
    pub fn read(word: u32, plain: u64, seal: u64) -> Result<StoredChunk, &'static str> {
        let chunk = StoredChunk { len: u64::from(word & LEN_MASK), compressed: word & COMPRESSED != 0 };
        let len = chunk.len.checked_sub(seal).ok_or("a sealed chunk is shorter than its tag")?;
        match chunk.compressed {
            false if len != plain => Err("a chunk that is stored as it is has another length"),
            true if len >= plain => Err("a compressed chunk is longer than it is worth"),
            true if len.saturating_mul(MOST_GAIN) < plain => {
                Err("a compressed chunk is too short for what it should hold")
            }
            _ => Ok(chunk),
        }
    }
}

/// The trailer's bytes before the owner's key: marks, table, and the sums as they are given.
pub fn encode(words: &[u32], sums: impl Iterator<Item = u32>, out: &mut Vec<u8>) {
    let mut before = 0u64;
    for (index, word) in words.iter().enumerate() {
        if index > 0 && (index as u64).is_multiple_of(MARK_EVERY) {
            out.extend_from_slice(&before.to_le_bytes());
        }
        before += u64::from(word & LEN_MASK);
    }
    words.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
    sums.for_each(|sum| out.extend_from_slice(&sum.to_le_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_the_trailer_stand_where_they_are_looked_for() {
        for chunks in [0u64, 1, 255, 256, 257, 512, 513, 1000] {
            let words: Vec<u32> = (0..chunks as u32).map(|n| n + 1).collect();
            let mut bytes = Vec::new();
            encode(&words, words.iter().map(|word| word * 3), &mut bytes);
            assert_eq!(bytes.len() as u64, trailer_len(chunks));
            let stored: u64 = words.iter().map(|word| u64::from(*word)).sum();
            let trailer = Trailer::of(stored + bytes.len() as u64 + 7, 7, chunks).unwrap();
            assert_eq!(trailer.marks, stored);
            let half = |at: u64| {
                let at = (at - stored) as usize;
                u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
            };
            for index in 0..chunks {
                assert_eq!(u64::from(half(trailer.table + 4 * index)), index + 1);
                assert_eq!(u64::from(half(trailer.sums + 4 * index)), 3 * (index + 1));
                let first = index / MARK_EVERY * MARK_EVERY;
                let mark = trailer.mark_of(index).map_or(0, half);
                assert_eq!(u64::from(mark), first * (first + 1) / 2);
            }
        }
    }

    #[test]
    fn impossible_tables_are_refused() {
        assert!(
            Trailer::of(7, 0, 1).is_err() && Trailer::of(8, 0, 1).is_err() && Trailer::of(9, 0, 1).is_ok()
        );
        assert!(Trailer::of(u64::MAX, 9, 1 << 40).is_ok() && Trailer::of(1 << 40, 0, 1 << 40).is_err());
        for (len, compressed, sound) in [
            (4096, false, true),
            (4095, false, false),
            (4097, false, false),
            (4095, true, true),
            (4096, true, false),
            (1, true, true),
            (0, true, false),
        ] {
            let word = StoredChunk { len, compressed }.word();
            assert_eq!(StoredChunk::read(word, 4096, 0).is_ok(), sound, "{len} {compressed}");
            let word = StoredChunk { len: len + 16, compressed }.word();
            assert_eq!(StoredChunk::read(word, 4096, 16).is_ok(), sound, "{len} {compressed}, sealed");
        }
        assert!(StoredChunk::read(StoredChunk { len: 511, compressed: true }.word(), 16 << 20, 0).is_err());
        assert!(StoredChunk::read(15, 4096, 16).is_err());
    }
}
