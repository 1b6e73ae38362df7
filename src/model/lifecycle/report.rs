//! What a run of the rules did.

use std::time::SystemTime;

use crate::model::class::StorageClass;

/// What a rule does to a version or an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LifecycleAction {
    /// The current version is deleted; where versions are kept, a delete marker takes its place.
    Expire,
    /// A version that is not current is removed for good.
    Remove,
    /// A delete marker is removed that is all that is left of its key.
    RemoveMarker,
    /// It gets a colder class.
    Transition(StorageClass),
    /// It was read, and becomes Standard again.
    ReturnToStandard,
    /// An upload is aborted.
    AbortUpload,
}

impl std::fmt::Display for LifecycleAction {
    /// `expire`, `remove`, `remove-marker`, `to IA` and so on, `to Standard`, `abort-upload`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LifecycleAction::Expire => f.write_str("expire"),
            LifecycleAction::Remove => f.write_str("remove"),
            LifecycleAction::RemoveMarker => f.write_str("remove-marker"),
            LifecycleAction::Transition(class) => write!(f, "to {class}"),
            LifecycleAction::ReturnToStandard => write!(f, "to {}", StorageClass::Standard),
            LifecycleAction::AbortUpload => f.write_str("abort-upload"),
        }
    }
}

/// What runs of lifecycle rules have come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LifecycleCounts {
    /// Versions, delete markers and uploads that were looked at.
    pub seen: u64,
    /// Current versions that were deleted, or hidden behind a delete marker.
    pub expired: u64,
    /// Versions that were not current and were removed for good.
    pub removed: u64,
    /// Delete markers that were removed as the last of their keys.
    pub markers: u64,
    /// Versions that got a colder class.
    pub transitioned: u64,
    /// Versions that became Standard again because they were read.
    pub returned: u64,
    /// Uploads that were aborted.
    pub aborted: u64,
    /// Versions that were to be deleted and are protected by a retention or a hold.
    pub held: u64,
}

impl LifecycleCounts {
    /// How many things were changed.
    pub fn changed(&self) -> u64 {
        self.expired + self.removed + self.markers + self.transitioned + self.returned + self.aborted
    }

    /// Counts what another stretch of the run came to.
    pub(crate) fn add(&mut self, other: &LifecycleCounts) {
        self.seen += other.seen;
        self.expired += other.expired;
        self.removed += other.removed;
        self.markers += other.markers;
        self.transitioned += other.transitioned;
        self.returned += other.returned;
        self.aborted += other.aborted;
        self.held += other.held;
    }
}

/// What the last run of a bucket's lifecycle rules did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LifecycleReport {
    /// The midnight (UTC) that it was the run of.
    pub at: SystemTime,
    /// When it came to the bucket.
    pub begun: SystemTime,
    /// When it was done with the bucket; `None` while it is at it.
    pub ended: Option<SystemTime>,
    /// What it did so far.
    pub counts: LifecycleCounts,
}
