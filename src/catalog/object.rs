//! Objects in the ordered map.

use std::time::{Duration, SystemTime};

use super::keys;
use crate::engine::{Stored, View};
use crate::error::{Error, ErrorKind, Result};
use crate::format::row::{self, ObjectRow};
use crate::index::Weight;
use crate::model::{ETag, Lsn, ObjectMeta, StorageClass};

/// An object's head row and the commit that wrote it.
#[derive(Clone, Debug)]
pub struct HeadRow {
    /// The row.
    pub row: ObjectRow,
    /// The commit that wrote it.
    pub lsn: u64,
}

impl HeadRow {
    /// Reads a stored entry.
    pub fn read(key: &str, stored: &Stored<'_>) -> Result<HeadRow> {
        let row: ObjectRow = row::decode(&stored.payload).map_err(|reason| damaged(key, reason))?;
        if row.size != stored.weight.bytes {
            return Err(damaged(key, "it does not say the size that its entry counts for"));
        }
        Ok(HeadRow { row, lsn: stored.lsn })
    }
}

/// Looks an object up and hands its row and what is stored to `read`; `None` if there is none.
pub fn find_object<R>(
    view: &View,
    bucket_id: u64,
    key: &str,
    read: impl FnOnce(HeadRow, &Stored<'_>) -> Result<R>,
) -> Result<Option<R>> {
    view.find(&keys::object(bucket_id, key), |stored| read(HeadRow::read(key, &stored)?, &stored))
}

/// What people are told of an object.
pub fn meta_of(key: String, head: HeadRow) -> Result<ObjectMeta> {
    let HeadRow { row, lsn } = head;
    let class =
        StorageClass::from_number(row.class).ok_or_else(|| damaged(&key, "its storage class is unknown"))?;
    Ok(ObjectMeta {
        size: row.size,
        etag: ETag::from_hash(&row.blake3),
        version: None,
        class,
        modified: SystemTime::UNIX_EPOCH + Duration::from_millis(row.modified.min(i64::MAX as u64)),
        content_type: row.content_type,
        metadata: row.metadata,
        blake3: row.blake3,
        lsn: Lsn(lsn),
        key,
    })
}

/// What an object counts for.
pub fn weight_of(row: &ObjectRow) -> Weight {
    Weight { slot: row.class, objects: 1, bytes: row.size }
}

/// `NoSuchKey`.
pub fn no_such_key(key: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        "NoSuchKey",
        format!("the object {key:?} does not exist; put it first, or list the bucket to see what is there"),
    )
}

fn damaged(key: &str, reason: &str) -> Error {
    Error::corrupt(format!("the row of object {key:?}"), 0, reason)
}
