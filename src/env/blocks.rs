//! The content of a file in memory: sparse, in shared blocks that are copied only when written.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;
use std::sync::Arc;
use std::{fmt, io};

use bytes::Bytes;
use parking_lot::RwLock;

/// The content of a file as its handles, its maps and its name share it.
pub(in crate::env) type Content = Arc<RwLock<Blocks>>;

/// The unit in which content is shared, copied and accounted for.
pub(in crate::env) const BLOCK: u64 = 4096;

type Block = Arc<[u8; BLOCK as usize]>;

static ZEROS: [u8; BLOCK as usize] = [0; BLOCK as usize];

/// The content of one file. A clone costs nothing until one of the two is written.
///
/// Bytes of a present block that lie beyond the length are always zero, so that growing needs no work.
#[derive(Clone, Default)]
pub(in crate::env) struct Blocks {
    present: Arc<BTreeMap<u64, Block>>,
    len: u64,
    /// Blocks below this number take disk even where they are holes.
    reserved: u64,
    /// How many present blocks lie at or above `reserved`.
    beyond: u64,
}

/// Where a write of `len` bytes at `offset` ends, or the refusal that a file system gives beyond its limit.
pub(in crate::env) fn end_of(offset: u64, len: u64) -> io::Result<u64> {
    match offset.checked_add(len) {
        Some(end) if end <= i64::MAX as u64 => Ok(end),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

impl Blocks {
    /// The length in bytes.
    pub(in crate::env) fn len(&self) -> u64 {
        self.len
    }

    /// Bytes of disk that the content takes.
    pub(in crate::env) fn allocated(&self) -> u64 {
        (self.reserved + self.beyond) * BLOCK
    }

    /// Copies what there is at `offset` into `buf` and says how much that was.
    pub(in crate::env) fn read(&self, buf: &mut [u8], offset: u64) -> usize {
        let n = self.len.saturating_sub(offset).min(buf.len() as u64) as usize;
        for (at, part) in pieces(offset, n) {
            let into = &mut buf[part];
            match self.present.get(&(at / BLOCK)) {
                Some(block) => into.copy_from_slice(&block[inside(at, into.len())]),
                None => into.fill(0),
            }
        }
        n
    }

    /// The bytes of a range that lies inside the length: shared if one block holds them all, else copied.
    pub(in crate::env) fn lend(&self, range: Range<u64>) -> Option<Bytes> {
        if range.start > range.end || range.end > self.len {
            return None;
        }
        let n = (range.end - range.start) as usize;
        if range.start % BLOCK + n as u64 <= BLOCK {
            return Some(match self.present.get(&(range.start / BLOCK)) {
                Some(block) => Bytes::from_owner(Lender(block.clone())).slice(inside(range.start, n)),
                None => Bytes::from_static(&ZEROS[..n]),
            });
        }
        let mut copy = vec![0; n];
        self.read(&mut copy, range.start);
        Some(copy.into())
    }

    /// Writes `bytes` at `offset`, growing the content if they reach beyond it.
    pub(in crate::env) fn write(&mut self, bytes: &[u8], offset: u64) {
        if bytes.is_empty() {
            return;
        }
        self.len = self.len.max(offset + bytes.len() as u64);
        let present = Arc::make_mut(&mut self.present);
        for (at, part) in pieces(offset, bytes.len()) {
            let from = &bytes[part];
            let number = at / BLOCK;
            match present.entry(number) {
                Entry::Occupied(mut block) => overwrite(block.get_mut(), from, at),
                Entry::Vacant(hole) => {
                    let mut block = ZEROS;
                    block[inside(at, from.len())].copy_from_slice(from);
                    hole.insert(Arc::new(block));
                    self.beyond += u64::from(number >= self.reserved);
                }
            }
        }
    }

    /// Sets the length. What is cut off is gone; what is added is a hole.
    pub(in crate::env) fn set_len(&mut self, len: u64) {
        if len < self.len {
            self.cut(len);
        }
        self.len = len;
    }

    /// Puts disk behind `[0, len)` and grows the content to it if it is shorter.
    pub(in crate::env) fn allocate(&mut self, len: u64) {
        let blocks = len.div_ceil(BLOCK);
        if blocks > self.reserved {
            self.beyond -= self.present.range(self.reserved..blocks).count() as u64;
            self.reserved = blocks;
        }
        self.len = self.len.max(len);
    }

    /// How many of the `len` bytes at `offset` can be written when only `free` more blocks can be had.
    #[cfg(any(test, feature = "testing"))]
    pub(in crate::env) fn fitting(&self, offset: u64, len: u64, mut free: u64) -> u64 {
        if len == 0 {
            return 0;
        }
        for number in offset / BLOCK..=(offset + len - 1) / BLOCK {
            if number < self.reserved || self.present.contains_key(&number) {
                continue;
            }
            if free == 0 {
                return (number * BLOCK).saturating_sub(offset);
            }
            free -= 1;
        }
        len
    }

    /// The largest length up to `len` that can be allocated when only `free` more blocks can be had.
    #[cfg(any(test, feature = "testing"))]
    pub(in crate::env) fn allocatable(&self, len: u64, free: u64) -> u64 {
        let wanted = len.div_ceil(BLOCK);
        let mut number = self.reserved;
        let mut taken = 0;
        while number < wanted {
            if !self.present.contains_key(&number) {
                if taken == free {
                    return number * BLOCK;
                }
                taken += 1;
            }
            number += 1;
        }
        len
    }

    fn cut(&mut self, len: u64) {
        let keep = len.div_ceil(BLOCK);
        let present = Arc::make_mut(&mut self.present);
        present.split_off(&keep);
        if let Some(last) = present.get_mut(&(len / BLOCK)) {
            Arc::make_mut(last)[(len % BLOCK) as usize..].fill(0);
        }
        self.reserved = self.reserved.min(keep);
        self.beyond = self.present.range(self.reserved..).count() as u64;
    }
}

impl fmt::Debug for Blocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocks")
            .field("len", &self.len)
            .field("allocated", &self.allocated())
            .finish_non_exhaustive()
    }
}

/// Keeps a block alive for the bytes that are lent from it.
struct Lender(Block);

impl AsRef<[u8]> for Lender {
    fn as_ref(&self) -> &[u8] {
        &self.0[..]
    }
}

/// Cuts `len` bytes at `offset` at the borders of blocks: where each piece starts in the file, and its place
/// in the caller's bytes.
fn pieces(offset: u64, len: usize) -> impl Iterator<Item = (u64, Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == len {
            return None;
        }
        let at = offset + done as u64;
        let n = ((BLOCK - at % BLOCK) as usize).min(len - done);
        let part = done..done + n;
        done += n;
        Some((at, part))
    })
}

/// The place of `len` bytes at `offset` inside their block.
fn inside(offset: u64, len: usize) -> Range<usize> {
    let start = (offset % BLOCK) as usize;
    start..start + len
}

fn overwrite(block: &mut Block, from: &[u8], at: u64) {
    if Arc::get_mut(block).is_none() && from.len() == BLOCK as usize {
        // Nothing of the shared block remains, so copying it first would be for nothing.
        let mut fresh = ZEROS;
        fresh.copy_from_slice(from);
        *block = Arc::new(fresh);
        return;
    }
    Arc::make_mut(block)[inside(at, from.len())].copy_from_slice(from);
}
