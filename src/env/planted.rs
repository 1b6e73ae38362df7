//! Mistakes that can be switched on, to prove that the tests would notice them.

/// A mistake. Only a build with the feature `planted-bugs` can make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Planted {
    /// Commits are published before they are written.
    AckBeforeWrite,
    /// The log is never synced.
    SkipLogSync,
    /// Bodies are not synced before the commit that names them.
    SkipBulkSync,
    /// A failed sync is taken for a good one.
    SwallowSyncError,
    /// A failed sync does not close the store for writing.
    NoPoison,
    /// A new segment's name is not made durable.
    SkipDirSync,
    /// The superblock names a checkpoint whose pages are not synced.
    SkipIndexSync,
    /// The superblock is written but not synced.
    SkipSuperblockSync,
    /// The superblock is written before the log that the checkpoint covers is durable.
    CheckpointBeforeLog,
    /// Every superblock goes into the same slot.
    OneSlot,
    /// Replay starts one segment too late.
    ReplayTooLate,
    /// Records are believed without their checksum.
    NoRecordSum,
    /// Bodies are believed without their checksums.
    NoBodySum,
    /// A bad record is stepped over instead of ending the log.
    SkipBadRecord,
    /// Damage in the middle of the log is taken for a torn tail.
    NoDurableMark,
    /// What recovery found is not made durable before new commits are.
    SkipRecoverySync,
    /// Bodies of commits that may have lost them are not looked at.
    SkipBodyCheck,
    /// A segment is removed as soon as nothing live is in it, before a checkpoint says so.
    RemoveBeforeCheckpoint,
    /// Relocation does not look whether the row has changed meanwhile.
    RelocateStale,
    /// Tombstones are dropped at the next checkpoint.
    DropTombstones,
    /// Any write may use the room that is kept for deletes and maintenance.
    ReserveForAll,
    /// Nothing is kept for readers in other processes.
    ForgetReaders,
    /// Readers that were there before the writer are not looked for.
    MeetNoReaders,
    /// Readers are told that the log is durable as soon as it is written.
    TellTooEarly,
    /// Log segments are removed although a cursor of the feed needs them.
    ForgetCursors,
    /// The feed tells commits that a power cut may take back.
    TellUnsynced,
}

impl Planted {
    /// Every mistake there is.
    #[cfg(feature = "testing")]
    pub const ALL: &'static [Planted] = &[
        Planted::AckBeforeWrite,
        Planted::SkipLogSync,
        Planted::SkipBulkSync,
        Planted::SwallowSyncError,
        Planted::NoPoison,
        Planted::SkipDirSync,
        Planted::SkipIndexSync,
        Planted::SkipSuperblockSync,
        Planted::CheckpointBeforeLog,
        Planted::OneSlot,
        Planted::ReplayTooLate,
        Planted::NoRecordSum,
        Planted::NoBodySum,
        Planted::SkipBadRecord,
        Planted::NoDurableMark,
        Planted::SkipRecoverySync,
        Planted::SkipBodyCheck,
        Planted::RemoveBeforeCheckpoint,
        Planted::RelocateStale,
        Planted::DropTombstones,
        Planted::ReserveForAll,
        Planted::ForgetReaders,
        Planted::MeetNoReaders,
        Planted::TellTooEarly,
        Planted::ForgetCursors,
        Planted::TellUnsynced,
    ];
}
