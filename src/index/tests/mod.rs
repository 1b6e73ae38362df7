//! Tests of the index: what they share.

mod damage;
mod delta;
mod model;
mod readers;
mod shape;

use std::io::{self, ErrorKind, IoSlice};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::RwLock;

use super::*;
use crate::env::{File, Map, MemoryVfs, OpenMode, Site, Vfs};
use crate::format::page::{MAX_KEY, MAX_VALUE, PAGE};
use crate::index::verify::TreeReport;

pub(super) const SALT: u32 = 0x5eed;

/// A file in memory that cannot be mapped. Once the second number is above zero, it counts down with each write, and
/// the last one fails.
#[derive(Debug, Default)]
pub(super) struct PlainFile(pub(super) RwLock<Vec<u8>>, pub(super) AtomicU32);

impl File for PlainFile {
    fn read_at(&self, buf: &mut [u8], offset: u64, _: Site) -> io::Result<usize> {
        let held = self.0.read();
        let from = held.len().min(offset as usize);
        let n = buf.len().min(held.len() - from);
        buf[..n].copy_from_slice(&held[from..from + n]);
        Ok(n)
    }

    fn write_at(&self, bufs: &[IoSlice<'_>], offset: u64, _: Site) -> io::Result<()> {
        if self.1.load(Ordering::Relaxed) > 0 && self.1.fetch_sub(1, Ordering::Relaxed) == 1 {
            return Err(ErrorKind::StorageFull.into());
        }
        let (mut held, mut at) = (self.0.write(), offset as usize);
        for buf in bufs {
            if held.len() < at + buf.len() {
                held.resize(at + buf.len(), 0);
            }
            held[at..at + buf.len()].copy_from_slice(buf);
            at += buf.len();
        }
        Ok(())
    }

    fn sync_data(&self, _: Site) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&self, len: u64, _: Site) -> io::Result<()> {
        self.0.write().resize(len as usize, 0);
        Ok(())
    }

    fn allocate(&self, len: u64, site: Site) -> io::Result<()> {
        if len > self.size()? { self.set_len(len, site) } else { Ok(()) }
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.0.read().len() as u64)
    }

    fn map(&self, _: Site) -> io::Result<Map> {
        Err(ErrorKind::Unsupported.into())
    }

    fn start_writeback(&self, _: Range<u64>) {}
}

/// A new file of the memory disk, which can be mapped.
pub(super) fn mapped_file() -> Arc<dyn File> {
    let vfs = MemoryVfs::new();
    vfs.create_dir(Path::new("/store"), Site::STORE_DIR).unwrap();
    vfs.open(Path::new("/store/index.tree"), OpenMode::CreateNew, Site::INDEX_OPEN).unwrap()
}

pub(super) fn open(file: &Arc<dyn File>, mode: ReadMode) -> Arc<PageFile> {
    PageFile::open(file.clone(), "index.tree".to_owned(), SALT, mode, None).unwrap()
}

/// A seeded source of chance (splitmix).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }
}

/// An item as the tests remember it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) lsn: u64,
    pub(super) tombstone: bool,
    pub(super) weight: Weight,
    pub(super) value: Vec<u8>,
}

impl Kept {
    pub(super) fn of(item: &Item<'_>) -> Kept {
        let value = item.value().to_vec();
        Kept { lsn: item.lsn, tombstone: item.tombstone, weight: item.weight, value }
    }

    pub(super) fn new(lsn: u64, slot: u8, value: Vec<u8>) -> Kept {
        let weight = Weight { slot, objects: 1, bytes: value.len() as u64 };
        Kept { lsn, tombstone: slot == TOMBSTONE_SLOT, weight, value }
    }

    pub(super) fn as_new(&self) -> NewItem<'_> {
        NewItem { lsn: self.lsn, tombstone: self.tombstone, weight: self.weight, value: &self.value }
    }
}

/// Puts an item without looking at what was there.
pub(super) fn put(index: &mut Index, key: &[u8], item: &Kept) {
    index.put(key, item.as_new(), &mut |_| {}).unwrap();
}

/// Brings all changes into the tree and keeps every tombstone.
pub(super) fn checkpoint(index: &mut Index) -> u64 {
    index.freeze();
    let merged = merge(&index.tree, index.frozen.as_ref().unwrap(), &mut |_, _| false).unwrap();
    let pages = merged.pages_written;
    let (tree, dropped) = merged.publish();
    index.settle(tree, &dropped);
    pages
}

/// Fails unless a walk over the whole tree finds nothing wrong.
pub(super) fn assert_sound(tree: &Tree) -> TreeReport {
    let report = tree.verify(&mut |_| true).unwrap();
    assert!(report.complete && report.problems.is_empty(), "{:?}", report.problems);
    report
}

/// The bytes of a file.
pub(super) fn bytes_of(file: &Arc<dyn File>) -> Vec<u8> {
    let mut bytes = vec![0; file.size().unwrap() as usize];
    file.read_exact_at(&mut bytes, 0, Site::INDEX_READ).unwrap();
    bytes
}

/// A file that holds these bytes and cannot be mapped.
pub(super) fn file_of(bytes: &[u8]) -> Arc<dyn File> {
    assert_eq!(bytes.len() % PAGE, 0);
    Arc::new(PlainFile(RwLock::new(bytes.to_vec()), AtomicU32::new(0)))
}
