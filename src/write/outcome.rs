//! What a step returns.

use std::fmt::Debug;
use std::sync::Arc;

use crate::error::Error;
use crate::model::{ETag, Evicted, LifecycleCounts, Lsn, RestoreStatus, VersionId};

/// What an append came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppendOutcome {
    /// The length of the object now, which is where the next append goes.
    pub next_position: u64,
    /// The CRC-64/XZ of the whole object so far.
    pub crc64: u64,
    /// The entity tag of the object so far. It changes with every append and says nothing of the content.
    pub etag: ETag,
    /// The version that was appended to, in a bucket that keeps versions.
    pub version: Option<VersionId>,
    /// The commit.
    pub lsn: Lsn,
}

/// What a step came to.
#[derive(Clone, Debug)]
pub enum StepOutcome {
    /// Of whatever makes a version: a put, a copy, a rename.
    Put(PutOutcome),
    /// Of an append.
    Append(AppendOutcome),
    /// Of a delete.
    Delete(DeleteOutcome),
    /// Of asking for a frozen body.
    Restore(RestoreStatus),
    /// A number: the id of a new bucket.
    Number(u64),
    /// Two numbers: the name of an upload.
    Pair(u64, u64),
    /// Of a step that was refused without keeping the others.
    Refused(Arc<Error>),
    /// Of a step that evicts.
    Evicted(Made),
    /// Of a step of a lifecycle run.
    Lifecycle(LifecycleCounts),
    /// Of the others.
    None,
}

/// What a delete came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeleteOutcome {
    /// The version that was removed or made, in a bucket that keeps versions.
    pub version: Option<VersionId>,
    /// Whether a delete marker was made or removed.
    pub marker: bool,
}

/// What a put came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PutOutcome {
    /// The entity tag of the body.
    pub etag: ETag,
    /// The version that was made, in a bucket that keeps versions.
    pub version: Option<VersionId>,
    /// The commit.
    pub lsn: Lsn,
}

/// What came of trying to make room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// What was evicted.
    pub evicted: Evicted,
    /// Whether a new list is needed to go on.
    pub list_ends: bool,
}
