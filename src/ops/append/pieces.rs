//! The pieces of an object that grows: their rows, keys and checks.

use crate::catalog::{Found, HeadRow, Moment, Rows, unreadable};
use crate::engine::{self, BodyReader, NewBody, View};
use crate::error::{Error, ErrorKind, Result};
use crate::format::entry::BlobId;
use crate::format::row::{self, PieceRow};
use crate::index::Weight;
use crate::model::{ETag, ObjectKind};
use crate::ops::object::body_in::{Body, Prepared, Source};
use crate::write::staged::overlay::Staged;

/// The most bytes that an appendable object may have (OSS).
pub(super) const MOST: u64 = 5 << 30;

/// The object under a key, if it can be appended to; `None` if there is none.
pub fn appendable(key: &str, head: Option<(HeadRow, Found)>) -> Result<Option<(HeadRow, Found)>> {
    let Some((head, found)) = head else {
        return Ok(None);
    };
    if head.row.kind == ObjectKind::Appendable.number() {
        return Ok(Some((head, found)));
    }
    let what = match ObjectKind::from_number(head.row.kind) {
        Some(kind) => format!("is of kind {kind}"),
        None => "is deleted, and what was there before is kept".to_string(),
    };
    Err(Error::new(
        ErrorKind::Precondition,
        "ObjectNotAppendable",
        format!("the object {key:?} {what}; only an object that began with an append can be appended to"),
    ))
}

pub(super) fn check_position(key: &str, position: u64, length: u64) -> Result<()> {
    if position == length {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Precondition,
        "PositionNotEqualToLength",
        format!(
            "the object {key:?} has {length} bytes, so the next append goes to position {length}, not {position}; \
             `bucket.append_position` tells it"
        ),
    ))
}

pub(super) fn check_len(len: u64) -> Result<()> {
    if len <= MOST {
        return Ok(());
    }
    Err(Error::invalid("EntityTooLarge", format!("an appendable object may have {MOST} bytes, not {len}")))
}

/// Somebody else has appended something else to the same bytes: a fork of the bucket, or the bucket it was made from.
pub(super) fn diverged(key: &str) -> Error {
    Error::new(
        ErrorKind::Busy,
        "OperationConflict",
        format!("the object {key:?} is being appended to in a fork of its bucket; try again"),
    )
}

/// The entity tag of what there is so far: it changes with every byte that comes.
pub(super) fn etag(crc64: u64, len: u64) -> ETag {
    let mut half = [0; 16];
    half[..8].copy_from_slice(&crc64.to_be_bytes());
    half[8..].copy_from_slice(&len.to_be_bytes());
    ETag::from_md5(&half)
}

/// The blob behind a body.
pub fn blob_of(found: &Found) -> Option<BlobId> {
    match &found.body {
        NewBody::Shared(shared) => Some(shared.blob),
        _ => None,
    }
}

/// The last piece of a blob that begins below `end`: where, how long it is, and its row.
fn row_before(rows: &impl Rows, blob: BlobId, end: u64) -> Result<Option<(u64, u64, Found)>> {
    let Some(at) = rows.last(&engine::piece_key(blob, 0), &engine::piece_key(blob, end))? else {
        return Ok(None);
    };
    let place = engine::place_of(&at).ok_or_else(|| unreadable("a piece has no place"))?;
    let found = rows.get(&at)?.ok_or_else(|| unreadable("a piece is missing"))?;
    let piece: PieceRow = row::decode(&found.payload).map_err(unreadable)?;
    Ok(Some((place, piece.size, found)))
}

/// The same without the row.
pub(super) fn piece_before(rows: &impl Rows, blob: BlobId, end: u64) -> Result<Option<(u64, u64)>> {
    Ok(row_before(rows, blob, end)?.map(|(place, size, _)| (place, size)))
}

/// The piece of a blob that has the byte `at`, to be read, and where it begins. The other pieces are not looked at.
pub fn piece_at(moment: &Moment<'_>, blob: BlobId, at: u64) -> Result<(u64, BodyReader)> {
    piece_among((moment, moment.view), blob, at)
}

/// The same among any rows, whose bodies a view reads.
pub(super) fn piece_among(
    (rows, view): (&impl Rows, &View),
    blob: BlobId,
    at: u64,
) -> Result<(u64, BodyReader)> {
    let found = row_before(rows, blob, at.saturating_add(1))?;
    let (place, size, found) = found.ok_or_else(|| unreadable("a piece is missing"))?;
    let body = BodyReader::new(view, found.body.to_owned_body())?;
    if body.len() != size || at - place >= size {
        return Err(unreadable("a piece has another length than its row says"));
    }
    Ok((place, body))
}

/// How many bytes a blob has, whoever refers to how many of them.
pub(super) fn blob_len(rows: &impl Rows, blob: BlobId) -> Result<u64> {
    Ok(piece_before(rows, blob, u64::MAX)?.map_or(0, |(place, len)| place.saturating_add(len)))
}

/// The row of a piece.
pub(super) fn piece(size: u64, modified: u64, prepared: &Prepared, crc64: Option<u64>) -> Vec<u8> {
    row::encode(&PieceRow { size, modified, blake3: prepared.digests.blake3, crc64, ..PieceRow::default() })
}

/// Puts a piece whose body may have been streamed for another key.
pub(super) fn put_piece(staged: &mut Staged<'_>, at: Vec<u8>, owner: &[u8], body: NewBody, payload: Vec<u8>) {
    if owner == at || !matches!(body, NewBody::Extents(_)) {
        staged.put_new(at, Weight::default(), body, payload);
    } else {
        staged.put_found(at.clone(), Weight::default(), body, at, payload);
    }
}

/// The bytes of a body that is in memory already.
pub(super) fn known_bytes<'a>(body: &'a Body<'_>) -> Option<&'a [u8]> {
    match &body.0 {
        Source::Borrowed(bytes) => Some(bytes),
        Source::Owned(bytes) => Some(bytes),
        Source::Reader(_) => None,
    }
}
