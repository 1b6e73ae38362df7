//! Files mapped into memory, memory that forks forget, and the only unsafe code of the crate.
#![allow(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this is the door that the ban protects"
)]

use std::fmt;
use std::fs;
use std::io;
use std::ops::Range;
use std::sync::LazyLock;
use std::sync::atomic::AtomicU64;

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use memmap2::{Advice, Mmap, MmapOptions};

/// How many maps there are in this process, and how many there should be at most: a system has a bound for them
/// (65,530 where nobody has changed it), and a process that has reached it gets no more memory.
static MAPS: AtomicUsize = AtomicUsize::new(0);
const MOST_MAPS: usize = 32_000;

/// A map that is counted.
struct Counted(Mmap);

impl Counted {
    /// Makes one more map, if there may be one.
    fn new(most: usize, map: impl FnOnce() -> io::Result<Mmap>) -> io::Result<Counted> {
        let made = match MAPS.fetch_add(1, Ordering::Relaxed) < most {
            true => map(),
            false => Err(io::ErrorKind::OutOfMemory.into()),
        };
        if made.is_err() {
            MAPS.fetch_sub(1, Ordering::Relaxed);
        }
        made.map(Counted)
    }
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        MAPS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A file mapped by the operating system. Clones and lent [`Bytes`] keep the mapping alive.
#[derive(Clone)]
pub struct RealMap {
    /// The whole mapping; for an empty file, which cannot be mapped, no bytes at all.
    whole: Bytes,
}

impl RealMap {
    /// Maps all of `file` as long as it is now; `OutOfMemory` if there are as many maps as there should be.
    pub(super) fn new(file: &fs::File) -> io::Result<RealMap> {
        RealMap::with_most(file, MOST_MAPS)
    }

    fn with_most(file: &fs::File, most: usize) -> io::Result<RealMap> {
        let len = file.metadata()?.len();
        if len == 0 {
            return Ok(RealMap { whole: Bytes::new() });
        }
        let len = usize::try_from(len).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        // SAFETY: The mapping is shared and read-only. Two things could make it unsound, and both are kept
        // out by what the rooms above promise. (1) A file that shrinks under its map: a store never truncates
        // a file that it maps, it only unlinks it, and its directory is locked against other stores. A reader may be
        // there when a writer opens the store and cuts the end of the log off: what it maps of that segment stands
        // before a place that was durable, and so before the cut; else it does not map it (`engine/open/replay.rs`).
        // (2) Bytes that change while a slice of them is read: a byte of a segment is written once and lent
        // only after that write returned; a page of the index is rewritten only when no reader can reach it. What
        // readers in other processes reach is kept for them as long as they are registered (`engine/checkpoint/readers.rs`).
        // A stranger that breaks into the directory can break both, as with every mapped file.
        let map = Counted::new(most, || unsafe { MmapOptions::new().len(len).map(file) })?;
        // Objects are read here and there; reading ahead would evict what is warm. It is only a hint.
        let _ = map.0.advise(Advice::Random);
        Ok(RealMap { whole: Bytes::from_owner(map) })
    }

    /// How many bytes are mapped.
    pub fn len(&self) -> u64 {
        self.whole.len() as u64
    }

    /// Whether nothing is mapped.
    pub fn is_empty(&self) -> bool {
        self.whole.is_empty()
    }

    /// The bytes in place; `None` if the range is not inside the map.
    pub fn slice(&self, range: Range<u64>) -> Option<&[u8]> {
        self.whole.get(self.inside(range)?)
    }

    /// The bytes in place, with a share in the mapping; `None` if the range is not inside the map.
    pub fn bytes(&self, range: Range<u64>) -> Option<Bytes> {
        Some(self.whole.slice(self.inside(range)?))
    }

    fn inside(&self, range: Range<u64>) -> Option<Range<usize>> {
        if range.start > range.end || range.end > self.len() {
            return None;
        }
        // Both fit, for they are no larger than a length that is a usize.
        Some(range.start as usize..range.end as usize)
    }
}

/// A number that is 0 at first, and again in every process that is forked. `None` where the system has no such memory.
pub(super) fn forgotten_by_forks() -> Option<&'static AtomicU64> {
    static NUMBER: LazyLock<Option<&'static AtomicU64>> = LazyLock::new(map_forgotten);
    *NUMBER
}

#[cfg(target_os = "linux")]
fn map_forgotten() -> Option<&'static AtomicU64> {
    use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};
    const LEN: usize = 4096;
    // SAFETY: The system chooses the place, so no memory that is in use is mapped over.
    let page = unsafe {
        mmap_anonymous(std::ptr::null_mut(), LEN, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)
    };
    let page = page.ok()?;
    // SAFETY: The page was mapped above and nobody else knows of it. A forked process finds it full of zeros, which is a
    // sound number.
    if unsafe { madvise(page, LEN, Advice::LinuxWipeOnFork) }.is_err() {
        // SAFETY: As above; nothing points into the page.
        let _ = unsafe { munmap(page, LEN) };
        return None;
    }
    // SAFETY: The page is aligned, long enough, readable and writable, holds zeros and is never unmapped. It is reached
    // through this reference alone, and the number may change under a shared one.
    Some(unsafe { &*page.cast::<AtomicU64>() })
}

#[cfg(not(target_os = "linux"))]
fn map_forgotten() -> Option<&'static AtomicU64> {
    None
}

impl fmt::Debug for RealMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RealMap").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_map_too_many_is_refused_and_what_is_lent_counts() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"abc").unwrap();
        let refused = RealMap::with_most(&file, 0).map(drop).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::OutOfMemory);
        // Others map files at the same time, so only the answer of the one that is dropped last is sure.
        let lent = RealMap::with_most(&file, usize::MAX).unwrap().bytes(0..2).unwrap();
        assert_eq!(&lent[..], b"ab");
        assert!(MAPS.load(Ordering::Relaxed) >= 1);
    }
}
