//! What is known of the room on the disk.

use std::sync::atomic::{AtomicBool, AtomicU64};

use parking_lot::Mutex;

/// The shortest segments, and the longest while the store is small.
pub(in crate::engine) const SHORTEST: u64 = 512 << 10;

pub(in crate::engine) const SMALL: u64 = 2 << 20;

/// Segments are about this part of what is live.
pub(in crate::engine) const SHARE: u64 = 64;

/// The reserve of a small disk is this part of it, and no less than so much.
const OF_DISK: u64 = 16;

const LEAST: u64 = 512 << 10;

/// What is known of the room that there is.
#[derive(Debug, Default)]
pub struct Room {
    /// Pages of the tree, and free pages of the index file that have disk behind them.
    pub(in crate::engine) used: AtomicU64,
    pub(in crate::engine) free: AtomicU64,
    /// Whether free pages can be written on a full disk.
    pub(in crate::engine) in_place: bool,
    /// Whether somebody has met the end of the disk since the last time that nothing more could be given back.
    pub(in crate::engine) short: AtomicBool,
    /// Held by the one who makes room.
    pub(in crate::engine) making: Mutex<()>,
}

impl Room {
    /// On a disk that writes in place, or not.
    pub fn new(in_place: bool) -> Room {
        Room { in_place, ..Room::default() }
    }
}

/// The reserve of a disk of so many bytes, where `asked` are asked for.
pub fn level_of_disk(asked: u64, disk: Option<u64>) -> u64 {
    asked.min(disk.map_or(u64::MAX, |bytes| (bytes / OF_DISK).max(LEAST)))
}
