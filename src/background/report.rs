//! What maintenance reports.

use crate::model::{Evicted, LifecycleCounts};

/// What `maintain` has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MaintainReport {
    /// Whether a checkpoint was made.
    pub checkpoint: bool,
    /// How many steps of work were done that commits had left behind: removing what is under a removed prefix or in a
    /// dropped fork, trimming the retained past.
    pub tidied: u64,
    /// How many steps of shredding were done that an earlier call, or a crash, had left to be done.
    pub shredded: u64,
    /// Bytes of bodies moved to the tier that their class wants.
    pub moved: u64,
    /// Bytes of rows and bodies moved to other segments.
    pub relocated: u64,
    /// What lifecycle rules have done.
    pub lifecycle: LifecycleCounts,
    /// What was evicted because less was free than the headroom of a [`Budget`](crate::Budget).
    pub evicted: Evicted,
    /// Whether the time given ended before the work did.
    pub more: bool,
}
