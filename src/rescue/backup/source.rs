//! The moment of the store that is copied.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::crypto::Keyring;
use crate::format::superblock::{Checkpoint, Superblock};
use crate::index::Tree;
use crate::segment::Segment;

/// A store at one moment, with everything that it takes to write it down elsewhere.
pub struct Source {
    /// Its superblock.
    pub block: Superblock,
    /// The newest checkpoint.
    pub checkpoint: Checkpoint,
    /// The tree of it.
    pub tree: Tree,
    /// The segments of it.
    pub pieces: Vec<Piece>,
    /// No segment has this id or a higher one.
    pub next_segment: u64,
    /// Its keys, if it is sealed.
    pub ring: Option<Arc<Keyring>>,
    /// The file of kept secrets.
    pub kept: Option<Vec<u8>>,
}

/// A backup that is being written, until this is dropped: the shred root stays meanwhile.
pub(super) struct Copying<'e>(pub(super) &'e AtomicUsize);

impl Drop for Copying<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A segment, and how much of it belongs to the moment.
pub struct Piece {
    /// The segment.
    pub segment: Arc<Segment>,
    /// Where what belongs to it ends.
    pub end: u64,
}
