//! Versions of objects in the ordered map.

use crate::catalog::keyspace::bucket_view::BucketView;
use crate::catalog::keyspace::keys::{self, Kind};
use crate::catalog::keyspace::rows::{Found, Rows};
use crate::engine::{RawPut, Stored};
use crate::error::{Error, ErrorKind, Result};
use crate::format::row::{self, Keep, ObjectRow, Restoring, SealRow};
use crate::index::Weight;
use crate::model::{
    Acl, ContentHeaders, DEFAULT_PRIORITY, ETag, Keeping, Lsn, ObjectDigests, ObjectKind, ObjectMeta, Rare,
    RestorePriority, RestoreStatus, Retention, RetentionMode, ServerSideEncryption, StorageClass, VersionId,
    from_millis,
};

/// The slot of the totals that delete markers are counted in.
pub const MARKER_SLOT: u8 = 6;

/// The slot of the totals that uploads in progress are counted in.
pub const UPLOAD_SLOT: u8 = 5;

/// A version's row and the commit that wrote the version, which is not always the one that wrote the row.
#[derive(Clone, Debug)]
pub struct HeadRow {
    /// The row.
    pub row: ObjectRow,
    /// The commit that wrote the version.
    pub lsn: u64,
}

impl HeadRow {
    /// Reads a stored entry.
    pub fn read(key: &str, stored: &Stored<'_>) -> Result<HeadRow> {
        HeadRow::decode(key, &stored.payload, stored.lsn, stored.weight)
    }

    /// Reads a row that was found.
    pub fn of(key: &str, found: &Found) -> Result<HeadRow> {
        HeadRow::decode(key, &found.payload, found.lsn, found.weight)
    }

    /// Reads a row that the commit `lsn` wrote, from the log.
    pub fn raw(key: &str, put: &RawPut, lsn: u64) -> Result<HeadRow> {
        HeadRow::decode(key, &put.payload, lsn, put.weight)
    }

    fn decode(key: &str, payload: &[u8], lsn: u64, weight: Weight) -> Result<HeadRow> {
        let row: ObjectRow = row::decode(payload).map_err(|reason| damaged(key, reason))?;
        if row.size != weight.bytes {
            return Err(damaged(key, "it does not say the size that its entry counts for"));
        }
        let lsn = if row.lsn == 0 { lsn } else { row.lsn };
        Ok(HeadRow { row, lsn })
    }

    /// The version's place among those of its key.
    pub fn sequence(&self) -> (u64, u32) {
        (self.lsn, self.row.n)
    }

    /// The version's place as it stands in keys.
    pub fn tail(&self) -> [u8; 12] {
        keys::version_tail(self.lsn, self.row.n)
    }

    /// The version's name.
    pub fn version(&self) -> VersionId {
        if self.row.named { VersionId::of(self.lsn, self.row.n) } else { VersionId::null() }
    }

    /// The row to be written again, by another commit or under another key, for the same version.
    pub fn kept(&self) -> ObjectRow {
        ObjectRow { lsn: self.lsn, ..self.row.clone() }
    }

    /// The entity tag.
    pub fn etag(&self) -> ETag {
        etag_of(&self.row)
    }
}

/// The entity tag of a row.
pub fn etag_of(row: &ObjectRow) -> ETag {
    let rare = row.rare();
    match (&rare.etag, &rare.md5, &row.blake3) {
        (Some(text), _, _) => ETag::from(text.as_str()),
        (None, Some(md5), _) => ETag::from_md5(md5),
        (None, None, Some(hash)) => ETag::from_hash(hash),
        (None, None, None) => ETag::from_hash(&[0; 32]),
    }
}

/// The digests of a row.
pub fn digests_of(row: &ObjectRow) -> ObjectDigests {
    let rare = row.rare();
    ObjectDigests { blake3: row.blake3, md5: rare.md5, crc64: rare.crc64 }
}

/// Looks an object up in the space with the bucket's own id, where those of most buckets lie, and hands what is
/// stored to `read`; `None` if there is none.
pub fn find_plain<T>(
    view: &crate::engine::View,
    space: u64,
    key: &str,
    read: impl FnOnce(HeadRow, &Stored<'_>) -> Result<T>,
) -> Result<Option<T>> {
    view.find(&keys::object(space, key), |stored| read(HeadRow::read(key, &stored)?, &stored))
}

/// The current version of an object or delete marker, wherever it lies.
pub fn find_head<R: Rows>(bucket_view: BucketView<'_, R>, key: &str) -> Result<Option<(HeadRow, Found)>> {
    match bucket_view.get(Kind::Head, key.as_bytes(), b"")? {
        Some(found) => Ok(Some((HeadRow::of(key, &found)?, found))),
        None => Ok(None),
    }
}

/// A version by its name, and whether it is the current one.
pub fn find_version<R: Rows>(
    bucket_view: BucketView<'_, R>,
    key: &str,
    version: &VersionId,
) -> Result<Option<(HeadRow, Found, bool)>> {
    let Some((head, found)) = find_head(bucket_view, key)? else {
        return Ok(None);
    };
    if head.version() == *version {
        return Ok(Some((head, found, true)));
    }
    let tail = match version.seq() {
        Some((lsn, n)) => keys::version_tail(lsn, n).to_vec(),
        None => match bucket_view.get(Kind::Null, key.as_bytes(), b"")? {
            Some(pointer) => pointer.payload,
            None => return Ok(None),
        },
    };
    let Some(found) = bucket_view.get(Kind::Version, key.as_bytes(), &tail)? else {
        return Ok(None);
    };
    let head = HeadRow::of(key, &found)?;
    Ok((head.version() == *version).then_some((head, found, false)))
}

/// How far the restoring of a body has come at `now`; nothing if it was never asked for or is over.
pub fn restore_of(row: &ObjectRow, now: u64) -> Option<RestoreStatus> {
    let Restoring { ready, until, priority } = row.rare().cold.restore?;
    let until = (now < until).then(|| from_millis(until))?;
    if now >= ready {
        return Some(RestoreStatus::Restored { until });
    }
    let (priority, ready) = (RestorePriority::from_number(priority), from_millis(ready));
    Some(RestoreStatus::Ongoing { priority, ready, until })
}

/// Whether the body of a version must be restored before it is read. A symlink has no body, and a class that is not
/// known is told where the row is read. The clock is looked at only if it matters.
pub fn is_frozen(row: &ObjectRow, now: impl FnOnce() -> u64) -> bool {
    row.class >= StorageClass::Archive.number()
        && row.kind != ObjectKind::Symlink.number()
        && !(row.rare().cold.restore.is_some()
            && restore_of(row, now()).is_some_and(|status| status.is_restored()))
}

/// What people are told of a version at `now`, which is looked at only if it matters. In a bucket that never kept
/// versions it has no name.
pub fn meta_of(key: String, head: HeadRow, versioned: bool, now: impl FnOnce() -> u64) -> Result<ObjectMeta> {
    let version = versioned.then(|| head.version());
    let etag = head.etag();
    let digests = digests_of(&head.row);
    let HeadRow { row, lsn } = head;
    let class =
        StorageClass::from_number(row.class).ok_or_else(|| damaged(&key, "its storage class is unknown"))?;
    let kind = ObjectKind::from_number(row.kind).ok_or_else(|| damaged(&key, "its kind is unknown"))?;
    let restoring = row.rare().cold.restore.is_some();
    let restore = if restoring { restore_of(&row, now()) } else { None };
    let rare = row.extra.map(|extra| {
        Box::new(Rare {
            headers: ContentHeaders::from_array(extra.headers),
            tags: extra.tags,
            acl: Acl::from_number(extra.acl),
            target: extra.target,
            retention: extra.retention.and_then(|(mode, until)| {
                Some(Retention { mode: RetentionMode::from_number(mode)?, until: from_millis(until) })
            }),
            legal_hold: extra.legal_hold,
            parts: extra.parts,
            restore,
            class_since: extra.cold.since.map(from_millis),
            expiry: None,
            encryption: extra.seal.map(|seal| encryption_of(&seal)),
            keeping: keeping_of(&extra.keep),
        })
    });
    Ok(ObjectMeta {
        size: row.size,
        etag,
        version,
        class,
        modified: from_millis(row.modified),
        kind,
        content_type: row.content_type,
        metadata: row.metadata,
        digests,
        lsn: Lsn(lsn),
        rare,
        key,
    })
}

/// What people are told of how a version is encrypted.
fn encryption_of(seal: &SealRow) -> ServerSideEncryption {
    match seal {
        SealRow::Store => ServerSideEncryption::Aes256,
        SealRow::Kms { key_id, .. } => ServerSideEncryption::Kms { key_id: key_id.clone() },
        SealRow::Customer { fingerprint, .. } => {
            ServerSideEncryption::Customer { fingerprint: crate::crypto::fingerprint_text(fingerprint) }
        }
    }
}

/// What a row has to say about being evicted.
pub fn keeping_of(keep: &Keep) -> Keeping {
    let priority = keep.priority.unwrap_or(DEFAULT_PRIORITY);
    Keeping { pinned: keep.pinned, replicated: !keep.unreplicated, priority }
}

/// The same as a row has it.
pub fn keep_of(keeping: &Keeping) -> Keep {
    let Keeping { pinned, replicated, priority } = *keeping;
    Keep {
        pinned,
        unreplicated: !replicated,
        priority: Some(priority).filter(|own| *own != DEFAULT_PRIORITY),
    }
}

/// What a version counts for.
pub fn weight_of(row: &ObjectRow) -> Weight {
    let slot = if row.is_marker() { MARKER_SLOT } else { row.class };
    Weight { slot, objects: 1, bytes: row.size }
}

/// `NoSuchKey`.
pub fn no_such_key(key: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        "NoSuchKey",
        format!("the object {key:?} does not exist; put it first, or list the bucket to see what is there"),
    )
}

/// `NoSuchVersion`.
pub fn no_such_version(key: &str, version: &VersionId) -> Error {
    Error::new(
        ErrorKind::NotFound,
        "NoSuchVersion",
        format!("the object {key:?} has no version {version}; `bucket.versions` lists those it has"),
    )
}

/// `NoSuchKey` for a version that is a delete marker.
pub fn no_object(key: &str, version: &VersionId) -> Error {
    Error::new(
        ErrorKind::NotFound,
        "NoSuchKey",
        format!(
            "the version {version} of {key:?} is a delete marker, which is no object; name another version"
        ),
    )
}

/// The error for reading a version that is a delete marker.
pub fn is_marker(key: &str, version: &VersionId) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "MethodNotAllowed",
        format!("the version {version} of {key:?} is a delete marker: it can be deleted, but not read"),
    )
}

fn damaged(key: &str, reason: &str) -> Error {
    Error::corrupt(format!("the row of object {key:?}"), 0, reason)
}
