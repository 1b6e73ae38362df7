//! An upload as a handle names it.

use crate::catalog::keyspace::keys;
use crate::catalog::{Rows, UPLOAD_SLOT, unreadable};
use crate::crypto::CustomerKey;
use crate::engine::NewBody;
use crate::error::{Error, ErrorKind, Result};
use crate::format::entry::BlobId;
use crate::format::row::{self, UploadRow};
use crate::index::Weight;
use crate::model::UploadId;
use crate::write::context::{BucketRef, Reading};

/// An upload as a handle names it.
#[derive(Clone, Debug)]
pub struct UploadRef {
    /// The bucket.
    pub bucket: BucketRef,
    /// The key that the object will have.
    pub key: String,
    /// The upload's name.
    pub id: UploadId,
    /// The key that its parts are encrypted with, if it was brought along.
    pub customer: Option<CustomerKey>,
}

impl UploadRef {
    /// The key of its row.
    pub fn at(&self) -> Vec<u8> {
        let (lsn, n) = self.id.seq();
        keys::upload(self.bucket.id, &self.key, lsn, n)
    }

    /// Its row, and the reference that it holds; `NoSuchUpload` if there is none.
    pub fn find(&self, rows: &impl Rows) -> Result<(UploadRow, NewBody)> {
        let found = rows.get(&self.at())?.ok_or_else(|| no_such_upload(&self.key, self.id.as_str()))?;
        Ok((row::decode(&found.payload).map_err(unreadable)?, found.body))
    }

    /// The row in the newest state. The bucket is looked up too, so that one that is gone is told from an upload
    /// that is.
    pub fn row(&self, reading: &Reading) -> Result<UploadRow> {
        reading.with(|moment| {
            self.bucket.state(moment)?;
            Ok(self.find(moment)?.0)
        })
    }
}

/// The body that the parts of an upload are pieces of.
pub fn blob_of(row: &UploadRow) -> BlobId {
    BlobId { lsn: row.blob.0, n: row.blob.1 }
}

/// What an upload counts for.
pub fn weight_of(row: &UploadRow) -> Weight {
    Weight { slot: UPLOAD_SLOT, objects: 1, bytes: row.bytes }
}

/// `NoSuchUpload`.
pub fn no_such_upload(key: &str, id: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        "NoSuchUpload",
        format!(
            "there is no upload {id:?} to {key:?}: it was completed or aborted, or the name is another one; \
             `bucket.uploads` lists those in progress"
        ),
    )
}
