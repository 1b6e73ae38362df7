//! The row of a bucket, and the rows of work that is left to be done behind it.

use serde::{Deserialize, Serialize};

use super::codec::{Row, decode_body};

/// A bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketRow {
    /// The number that stands for the bucket; never used again.
    pub id: u64,
    /// Milliseconds since 1970.
    pub created: u64,
    /// The storage class's number.
    pub class: u8,
    /// Versioning: 0 never enabled, 1 enabled, 2 suspended.
    pub versioning: u8,
    /// The number of the access control value.
    pub acl: u8,
    /// Retention of every object: days, whether it is locked, when it was begun.
    pub worm: Option<(u32, bool, u64)>,
    /// Whether a version in it ever had a retention or a hold of its own.
    pub guarded: bool,
    /// The most bytes that it may hold.
    pub quota_bytes: Option<u64>,
    /// The most objects that it may hold.
    pub quota_objects: Option<u64>,
    /// Of a fork: the id and name of the bucket it was made from, and the commit that made it.
    pub parent: Option<(u64, String, u64)>,
    /// Where its keys lie; empty if they all lie in the space that has the bucket's id.
    pub spans: Vec<SpanRow>,
}

/// Where the keys with a prefix lie, unless a longer prefix says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpanRow {
    /// The prefix of the keys.
    pub prefix: String,
    /// The spaces to look in, one after the other, and the prefix that the keys have there instead. The first is
    /// written to and nobody else's.
    pub layers: Vec<(u64, String)>,
}

impl Row for BucketRow {
    const KIND: u8 = 1;
    const SCHEMA: u8 = 2;

    fn upgrade(schema: u8, body: &[u8]) -> Result<BucketRow, &'static str> {
        if schema != 1 {
            return Err(super::codec::UNKNOWN);
        }
        let First { id, created, class } = decode_body(body)?;
        Ok(BucketRow { id, created, class, ..BucketRow::default() })
    }
}

/// Schema 1.
#[derive(Serialize, Deserialize)]
pub(super) struct First {
    pub(super) id: u64,
    pub(super) created: u64,
    pub(super) class: u8,
}

/// Work that a commit has left to be done in bounded steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PendingWork {
    /// Remove what lies in a space under a prefix that nothing reads any more, apart from some longer prefixes.
    Clean {
        /// The space.
        space: u64,
        /// The prefix there.
        prefix: String,
        /// Longer prefixes that are still read.
        keep: Vec<String>,
    },
    /// Bring a bucket's keys back into one space.
    Settle {
        /// The bucket's name.
        bucket: String,
        /// Its id.
        id: u64,
    },
    /// Remove the pieces of a blob that nothing refers to any more.
    Blob {
        /// The commit in its name.
        lsn: u64,
        /// The number in its name.
        n: u32,
    },
    /// Delete all versions and uploads of some keys of a bucket, because they are to be shredded.
    Erase {
        /// The bucket's name.
        bucket: String,
        /// Its number.
        id: u64,
        /// The prefix of the keys.
        prefix: String,
        /// Whether it is a whole key, and the only one.
        exact: bool,
        /// Whether the bucket goes as well.
        drop: bool,
    },
    /// Shred what was dead when this was written.
    Shred {
        /// Everything is to be encrypted anew: only what hangs on the shred root of this name is done with.
        fresh: Option<u64>,
    },
}

impl Row for PendingWork {
    const KIND: u8 = 5;
    const SCHEMA: u8 = 1;
}
