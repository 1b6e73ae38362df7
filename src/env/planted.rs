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
    /// Of the references to a shared body that a commit takes away, none is counted.
    ShareUncounted,
    /// References to a shared body that a commit takes away count twice.
    ShareCountedTwice,
    /// Relocation is not told of a body that goes to another key.
    NoForward,
    /// What is deleted in a bucket with layers is not hidden.
    NoShadow,
    /// Cleaning removes prefixes that are still read.
    CleanAll,
    /// What is superseded is noted as retained, but not kept.
    NoPast,
    /// A current version that is removed leaves no version current.
    NoPromotion,
    /// The null version beneath stays when another one is put on top.
    NullStays,
    /// A space goes when the first of the buckets that read it does.
    LetGoEarly,
    /// The retained past is trimmed up to now.
    TrimAll,
    /// Bodies that went to the tier of a colder class are not synced before the commit that names them.
    SkipTierSync,
    /// The note that says where a tier lies is not made durable.
    SkipPlaceSync,
    /// What is packed together is looked for one byte behind where it lies.
    SolidOffByOne,
    /// Of the references to a solid frame that a move takes away, each is counted twice.
    FrameGoesEarly,
    /// A frozen body can be copied without being restored.
    CopyFrozen,
    /// What was restored in one class is restored in the next one too.
    RestoredStays,
    /// A restored body is never frozen again.
    RestoreForever,
    /// A run of rules is noted as done after its first stretch.
    RunEndsEarly,
    /// Rules delete what must not be deleted.
    ExpireHeld,
    /// The nonces of an encrypted store repeat.
    NonceRepeats,
    /// A sealed body is not bound to the place where it lies.
    BodyUnbound,
    /// A page is believed though its parent means another one.
    PageUnbound,
    /// The bodies of an encrypted store are not encrypted.
    PlainBodies,
    /// A rotation of the key leaves one slot of the superblock as it was.
    SlotLeft,
    /// The superblock of an encrypted store is believed without its signature.
    SuperblockUnsigned,
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
        Planted::ShareUncounted,
        Planted::ShareCountedTwice,
        Planted::NoForward,
        Planted::NoShadow,
        Planted::CleanAll,
        Planted::NoPast,
        Planted::NoPromotion,
        Planted::NullStays,
        Planted::LetGoEarly,
        Planted::TrimAll,
        Planted::SkipTierSync,
        Planted::SkipPlaceSync,
        Planted::SolidOffByOne,
        Planted::FrameGoesEarly,
        Planted::CopyFrozen,
        Planted::RestoredStays,
        Planted::RestoreForever,
        Planted::RunEndsEarly,
        Planted::ExpireHeld,
        Planted::NonceRepeats,
        Planted::BodyUnbound,
        Planted::PageUnbound,
        Planted::PlainBodies,
        Planted::SlotLeft,
        Planted::SuperblockUnsigned,
    ];
}

/// The mistake that is switched on, to be carried to where there is no environment. Without the feature `planted-bugs` it
/// is nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mistake {
    #[cfg(feature = "planted-bugs")]
    planted: Option<Planted>,
}

impl Mistake {
    /// The mistake of an environment.
    pub(super) fn of(#[cfg(feature = "planted-bugs")] planted: Option<Planted>) -> Mistake {
        Mistake {
            #[cfg(feature = "planted-bugs")]
            planted,
        }
    }

    /// Whether it is this one.
    #[inline]
    pub fn is(self, mistake: Planted) -> bool {
        #[cfg(feature = "planted-bugs")]
        return self.planted == Some(mistake);
        #[cfg(not(feature = "planted-bugs"))]
        {
            let _ = mistake;
            false
        }
    }
}
