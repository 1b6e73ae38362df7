//! What the engine counts while it works.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::Lsn;

/// Counters since the store was opened.
#[derive(Debug, Default)]
pub struct Gauges {
    log_bytes: AtomicU64,
    commits: AtomicU64,
    groups: AtomicU64,
    syncs: AtomicU64,
    checkpoints: AtomicU64,
    index_pages: AtomicU64,
    relocated_bytes: AtomicU64,
    removed_segments: AtomicU64,
}

/// Numbers for people: how the store stands, and what it has done since it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// The newest commit.
    pub lsn: Lsn,
    /// Bytes of disk that the store takes.
    pub disk_bytes: u64,
    /// Bytes in segments that something still needs.
    pub live_bytes: u64,
    /// Changes can be told from behind this commit on, as far as is known without reading the log.
    pub feed_start: Lsn,
    /// Bytes of disk that are kept for cursors only.
    pub feed_bytes: u64,
    /// Segment files.
    pub segments: u64,
    /// Keys in memory that the index file does not have yet.
    pub delta_keys: u64,
    /// Memory that they take.
    pub delta_bytes: u64,
    /// Bytes of log that a crash now would make the next opening read.
    pub log_since_checkpoint: u64,
    /// Bytes appended to the log since the store was opened.
    pub log_bytes_written: u64,
    /// Commits since the store was opened.
    pub commits: u64,
    /// Groups of commits that were written together.
    pub commit_groups: u64,
    /// Syncs of the log.
    pub log_syncs: u64,
    /// Checkpoints.
    pub checkpoints: u64,
    /// Index pages written by checkpoints.
    pub index_pages_written: u64,
    /// Bytes of rows and bodies moved to other segments.
    pub relocated_bytes: u64,
    /// Segment files removed.
    pub removed_segments: u64,
    /// Objects and versions that budgets have evicted since the store was opened.
    pub evicted_objects: u64,
    /// Bytes of their bodies.
    pub evicted_bytes: u64,
    /// What lies in the segments of each storage class, from Standard to DeepColdArchive; small bodies that are not yet
    /// moved there lie in the log.
    pub tiers: [TierStats; 5],
}

/// What lies in the segments of a storage class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TierStats {
    /// Segment files.
    pub segments: u64,
    /// Bytes of disk that they take.
    pub disk_bytes: u64,
    /// About how many bytes in them something still needs, as they are stored: compressed, where they are.
    pub live_bytes: u64,
}

impl Gauges {
    pub(in crate::engine) fn appended(&self, bytes: u64, commits: u64) {
        self.log_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.commits.fetch_add(commits, Ordering::Relaxed);
        self.groups.fetch_add(1, Ordering::Relaxed);
    }

    pub(in crate::engine) fn synced(&self) {
        self.syncs.fetch_add(1, Ordering::Relaxed);
    }

    pub(in crate::engine) fn checkpointed(&self, pages: u64) {
        self.checkpoints.fetch_add(1, Ordering::Relaxed);
        self.index_pages.fetch_add(pages, Ordering::Relaxed);
    }

    pub(in crate::engine) fn relocated(&self, bytes: u64) {
        self.relocated_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(in crate::engine) fn removed(&self) {
        self.removed_segments.fetch_add(1, Ordering::Relaxed);
    }

    pub(in crate::engine) fn stats(&self) -> Stats {
        let read = |gauge: &AtomicU64| gauge.load(Ordering::Relaxed);
        Stats {
            log_bytes_written: read(&self.log_bytes),
            commits: read(&self.commits),
            commit_groups: read(&self.groups),
            log_syncs: read(&self.syncs),
            checkpoints: read(&self.checkpoints),
            index_pages_written: read(&self.index_pages),
            relocated_bytes: read(&self.relocated_bytes),
            removed_segments: read(&self.removed_segments),
            ..Stats::default()
        }
    }
}
