//! What a backup or restore reports.

use crate::model::Lsn;

/// What a backup has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupReport {
    /// The last commit in the backup: it is the store as it was behind this commit and before the next.
    pub lsn: Lsn,
    /// Segments of which something was written.
    pub files_copied: u64,
    /// Bytes written, those of the index included.
    pub bytes_copied: u64,
    /// Segments that were there already.
    pub files_kept: u64,
    /// Bytes that were there already.
    pub bytes_kept: u64,
    /// Segments that were removed because the new state does not name them.
    pub files_removed: u64,
    /// Whether the watcher stopped it. The backup before it is as it was.
    pub stopped: bool,
}

/// How far a backup or a restore has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupProgress {
    /// Segments dealt with so far.
    pub files: u64,
    /// Segments there are.
    pub files_total: u64,
    /// Bytes written so far.
    pub bytes_copied: u64,
    /// Bytes that were there already.
    pub bytes_kept: u64,
}

/// What a restore has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestoreReport {
    /// The last commit in the store.
    pub lsn: Lsn,
    /// Segments that were copied.
    pub files: u64,
    /// Bytes written, those of the index included.
    pub bytes: u64,
    /// Entries whose bodies were read and verified in the copy.
    pub entries: u64,
    /// Whether the watcher stopped it. What was written by then is no store.
    pub stopped: bool,
}
