//! What the change feed tells: commits, what each did, and the cursors of those who follow.

use std::time::SystemTime;

use bytes::Bytes;

use super::lsn::Lsn;
use super::meta::ObjectMeta;

/// One commit: all of it happened together, or none of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// Its place in the order of commits. The feed leaves none out: each is one more than the one before.
    pub lsn: Lsn,
    /// When it happened, by the writer's clock, to the millisecond.
    pub time: SystemTime,
    /// What it did, in an order in which it can be done again. Empty for a commit of the store's own housekeeping, the
    /// moving of a cursor included.
    pub ops: Vec<ChangeOp>,
}

/// One thing that a commit did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangeOp {
    /// The key has this object from now on: it was written, renamed to the key, changed in its metadata, or is the version below
    /// one that was removed.
    Put {
        /// The name of the bucket.
        bucket: String,
        /// The key.
        key: String,
        /// The metadata of the object then. Its body may have been replaced or deleted since.
        meta: Box<ObjectMeta>,
    },
    /// The key has no object any more. In a bucket that keeps versions its versions may still exist.
    Delete {
        /// The name of the bucket.
        bucket: String,
        /// The key.
        key: String,
    },
    /// Every object with a prefix was removed.
    DeletePrefix {
        /// The name of the bucket.
        bucket: String,
        /// The prefix.
        prefix: String,
    },
    /// Every object with a prefix was moved to another prefix.
    RenamePrefix {
        /// The name of the bucket.
        bucket: String,
        /// The prefix they had.
        prefix: String,
        /// The prefix they have now.
        new_prefix: String,
    },
    /// A bucket was forked: it begins with the objects of another one.
    ForkBucket {
        /// The name of the bucket it was made from.
        from: String,
        /// Its own name.
        bucket: String,
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
    /// A row of your own was written.
    PutRow {
        /// The table.
        table: String,
        /// The key.
        key: Bytes,
        /// The value.
        value: Bytes,
    },
    /// A row of your own was deleted.
    DeleteRow {
        /// The table.
        table: String,
        /// The key.
        key: Bytes,
    },
}

/// A durable, named position in the change feed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FeedCursor {
    /// Its name.
    pub name: String,
    /// The last commit that its owner has processed.
    pub lsn: Lsn,
    /// When it was set.
    pub time: SystemTime,
}
