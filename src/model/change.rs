//! What the change feed tells: commits, what each did, and the cursors of those who follow.

use std::time::SystemTime;

use bytes::Bytes;

use super::{Lsn, ObjectMeta};

/// One commit: all of it happened together, or none of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// Its place in the order of commits. The feed leaves none out: each is one more than the one before.
    pub lsn: Lsn,
    /// When it happened, by the writer's clock, to the millisecond.
    pub time: SystemTime,
    /// What it did, in no order that means anything: no two of them are about the same thing. Empty for a commit
    /// of the store's own housekeeping, the moving of a cursor included.
    pub ops: Vec<ChangeOp>,
}

/// One thing that a commit did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangeOp {
    /// An object was written; one of the same key was replaced. The object that is given its new key by a rename
    /// is told as this too, beside the deletion of the old key.
    Put {
        /// The name of the bucket.
        bucket: String,
        /// The key.
        key: String,
        /// What was known of the object when it was written. Its body may have been replaced or deleted since.
        meta: Box<ObjectMeta>,
    },
    /// An object was deleted.
    Delete {
        /// The name of the bucket.
        bucket: String,
        /// The key.
        key: String,
    },
    /// A bucket was made.
    CreateBucket {
        /// Its name.
        bucket: String,
    },
    /// A bucket was removed.
    DeleteBucket {
        /// Its name.
        bucket: String,
    },
    /// A row of the application's own was written.
    PutRow {
        /// The table.
        table: String,
        /// The key.
        key: Bytes,
        /// The value.
        value: Bytes,
    },
    /// A row of the application's own was deleted.
    DeleteRow {
        /// The table.
        table: String,
        /// The key.
        key: Bytes,
    },
}

/// A durable named place in the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FeedCursor {
    /// Its name.
    pub name: String,
    /// The last commit that its owner has dealt with.
    pub lsn: Lsn,
    /// When it was set.
    pub time: SystemTime,
}
