//! Chunk coding: what becomes of a chunk between the writer and the disk, and on its way back.
//!
//! Out: compressed if that pays, then (in a store that seals) sealed. In: opened, then decompressed, and its length held
//! against the body's before and after. [`ChunkCoder::store`] and [`restore`] are the only two places where that happens.

use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};

use crate::error::{Error, Result};
use crate::format::coded::StoredChunk;

/// Above this level a chunk is first tried at level 1: what that cannot shrink, the high level is not asked for.
const PROBED_ABOVE: i32 = 3;
/// A chunk is stored as it is unless at least one part in so many is saved.
const WORTH: usize = 32;
/// After a chunk that could not be shrunk only so many bytes of the next ones are tried first.
const SAMPLE: usize = 8 * 1024;

/// How the bodies of a pool's segments are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coding {
    /// The level that zstd compresses at; none for plain segments, whose bytes are lent without a copy.
    pub level: Option<i32>,
    /// log2 of the chunk size.
    pub chunk_log2: u8,
}

impl Coding {
    /// Plain chunks.
    pub fn plain(chunk_log2: u8) -> Coding {
        Coding { level: None, chunk_log2 }
    }

    /// Whether the segments are coded ones.
    pub fn is_coded(&self) -> bool {
        self.level.is_some()
    }
}

/// Brings chunks into the form in which they are stored. Used for many bodies, because it is costly to make.
pub struct ChunkCoder {
    full: Compressor<'static>,
    probe: Option<Compressor<'static>>,
    scratch: Vec<u8>,
    /// Whether the chunk before could not be shrunk.
    hopeless: bool,
}

impl std::fmt::Debug for ChunkCoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChunkCoder").field("hopeless", &self.hopeless).finish_non_exhaustive()
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::io("compressing a body", error)
}

impl ChunkCoder {
    /// A coder that compresses at `level`.
    pub fn new(level: i32) -> Result<ChunkCoder> {
        let probe = if level > PROBED_ABOVE { Some(Compressor::new(1).map_err(failed)?) } else { None };
        let full = Compressor::new(level).map_err(failed)?;
        Ok(ChunkCoder { full, probe, scratch: Vec::new(), hopeless: false })
    }

    /// Appends a chunk to `out` as it is to be stored, and says how that is.
    pub fn store(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<StoredChunk> {
        let compressed = self.shrink(plain)?;
        let stored = if compressed { &self.scratch[..] } else { plain };
        // A sealed segment's chunk is sealed here: `stored` is all there is of it.
        out.extend_from_slice(stored);
        Ok(StoredChunk { len: stored.len() as u64, compressed })
    }

    /// Compresses a chunk into the scratch space, and says whether that pays.
    fn shrink(&mut self, plain: &[u8]) -> Result<bool> {
        if self.hopeless && plain.len() > 4 * SAMPLE {
            let middle = (plain.len() - SAMPLE) / 2;
            let sample = &plain[middle..middle + SAMPLE];
            let tried = self.probe.as_mut().unwrap_or(&mut self.full);
            if !compress(tried, sample, &mut self.scratch)? {
                return Ok(false);
            }
        }
        if let Some(probe) = &mut self.probe
            && !compress(probe, plain, &mut self.scratch)?
        {
            self.hopeless = true;
            return Ok(false);
        }
        let pays = compress(&mut self.full, plain, &mut self.scratch)?;
        self.hopeless = !pays;
        Ok(pays)
    }
}

/// Compresses `plain`; `false` if that saves too little.
fn compress(with: &mut Compressor<'static>, plain: &[u8], out: &mut Vec<u8>) -> Result<bool> {
    out.clear();
    out.reserve(zstd::zstd_safe::compress_bound(plain.len()));
    with.compress_to_buffer(plain, out).map_err(failed)?;
    Ok(out.len() < plain.len() - plain.len() / WORTH)
}

thread_local! {
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Appends to `out` the `plain` bytes of a chunk that is stored as `stored`, whose sum was right; or says why that cannot be.
pub fn restore(chunk: StoredChunk, stored: &[u8], plain: u64, out: &mut Vec<u8>) -> Result<(), &'static str> {
    const WRONG: &str = "a chunk of a body cannot be decompressed to the length that it should have";
    // A sealed segment's chunk is opened here: what is compressed was compressed before it was sealed.
    if !chunk.compressed {
        out.extend_from_slice(stored);
        return Ok(());
    }
    // What it says of itself is looked at before anything is allocated for it.
    if !matches!(zstd::zstd_safe::get_frame_content_size(stored), Ok(Some(said)) if said == plain) {
        return Err(WRONG);
    }
    let before = out.len();
    let plain = plain as usize;
    out.try_reserve(plain).map_err(|_| "there is not enough memory for a chunk of a body")?;
    out.resize(before + plain, 0);
    let got = DECOMPRESSOR.with_borrow_mut(|kept| {
        let decompressor = match kept {
            Some(decompressor) => decompressor,
            none => none.insert(Decompressor::new().ok()?),
        };
        decompressor.decompress_to_buffer(stored, &mut out[before..]).ok()
    });
    if got == Some(plain) { Ok(()) } else { Err(WRONG) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(len: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let mut reader = blake3::Hasher::new().update(&len.to_le_bytes()).finalize_xof();
        out.resize(len, 0);
        reader.fill(&mut out);
        out
    }

    #[test]
    fn chunks_come_back_and_what_does_not_shrink_is_stored_as_it_is() {
        for level in [1, 3, 9] {
            let mut coder = ChunkCoder::new(level).unwrap();
            let text = b"the same words again and again, ".repeat(2000);
            for (plain, shrinks) in [
                (text.clone(), true),
                (noise(64 << 10), false),
                (noise(64 << 10), false),
                (text, true),
                (noise(5), false),
            ] {
                let mut out = vec![9; 3];
                let chunk = coder.store(&plain, &mut out).unwrap();
                assert_eq!((chunk.compressed, chunk.len as usize), (shrinks, out.len() - 3));
                assert_eq!(StoredChunk::read(chunk.word(), plain.len() as u64, 0), Ok(chunk));
                let mut back = vec![1];
                restore(chunk, &out[3..], plain.len() as u64, &mut back).unwrap();
                assert!(back[1..] == plain[..]);
            }
        }
    }

    #[test]
    fn bombs_and_lies_about_the_length_are_refused() {
        let mut coder = ChunkCoder::new(3).unwrap();
        let mut stored = Vec::new();
        let chunk = coder.store(&vec![0; 1 << 20], &mut stored).unwrap();
        for plain in [(1 << 20) - 1, (1 << 20) + 1, 0, 1 << 50] {
            let mut out = Vec::new();
            assert!(restore(chunk, &stored, plain, &mut out).is_err());
            assert_eq!(out.capacity(), 0, "{plain}");
        }
        for at in 0..stored.len() {
            let mut bad = stored.clone();
            bad[at] ^= 0x21;
            let mut out = Vec::new();
            if restore(chunk, &bad, 1 << 20, &mut out).is_ok() {
                assert_eq!(out.len(), 1 << 20);
            }
        }
        assert!(restore(chunk, &stored[..stored.len() - 1], 1 << 20, &mut Vec::new()).is_err());
    }
}
