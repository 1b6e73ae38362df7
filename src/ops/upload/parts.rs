//! Listing the parts of an upload.

use std::time::SystemTime;

use super::upload_ref::{UploadRef, blob_of};
use crate::catalog::{Rows, unreadable};
use crate::engine::{self, NewBody};
use crate::error::{Error, Result};
use crate::format::entry::BlobId;
use crate::format::row::{self, PieceRow};
use crate::model::upload::{MAX_NUMBER, MAX_PART};
use crate::model::{ETag, from_millis};
use crate::write::context::Reading;

/// How much of a source is read at once.
pub(super) const STEP: u64 = 1 << 20;

/// A part of an upload (OSS: `Part`). To complete an upload only number and entity tag count; a caller who kept no more
/// than those makes one with [`Part::new`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Part {
    /// Its number, from 1 to 10,000. The parts of an object stand in the order of their numbers.
    pub number: u32,
    /// Bytes.
    pub size: u64,
    /// Its entity tag: by default from its BLAKE3 hash, with [`Digests::Oss`](crate::Digests::Oss) its MD5.
    pub etag: ETag,
    /// When it was put.
    pub modified: SystemTime,
    /// Its CRC-64, in an upload with [`Digests::Oss`](crate::Digests::Oss).
    pub crc64: Option<u64>,
    /// Its MD5, in an upload with [`Digests::Oss`](crate::Digests::Oss).
    pub md5: Option<[u8; 16]>,
}

impl Part {
    /// A part of which number and entity tag are known, enough to complete an upload with.
    pub fn new(number: u32, etag: impl Into<ETag>) -> Part {
        let (etag, modified) = (etag.into(), SystemTime::UNIX_EPOCH);
        Part { number, size: 0, etag, modified, crc64: None, md5: None }
    }

    pub(super) fn of(number: u32, piece: &PieceRow) -> Part {
        Part {
            number,
            size: piece.size,
            etag: etag_of(piece),
            modified: from_millis(piece.modified),
            crc64: piece.crc64,
            md5: piece.md5,
        }
    }
}

/// Some of the parts of an upload, in the order of their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartsPage {
    /// The parts.
    pub parts: Vec<Part>,
    /// What to ask for the parts after next; `None` if these were the last ones.
    pub next: Option<u32>,
}

/// A part as it lies in the map.
#[derive(Debug)]
pub struct Held {
    /// Its number.
    pub number: u32,
    /// Its row.
    pub piece: PieceRow,
    /// Its body.
    pub body: NewBody,
}

impl Held {
    /// The entity tag.
    pub fn etag(&self) -> ETag {
        etag_of(&self.piece)
    }
}

fn etag_of(piece: &PieceRow) -> ETag {
    match &piece.md5 {
        Some(md5) => ETag::from_md5(md5),
        None => ETag::from_hash(&piece.blake3.unwrap_or_default()),
    }
}

/// The parts with numbers above `after`, at most `most` of them.
pub fn list(rows: &impl Rows, blob: BlobId, after: u32, most: usize) -> Result<Vec<Held>> {
    let mut held = Vec::new();
    let from = engine::piece_key(blob, u64::from(after) + 1);
    rows.walk(&from, &engine::end_key(blob), &mut |key| {
        let number = engine::place_of(key).and_then(|place| u32::try_from(place).ok());
        let number = number.ok_or_else(|| unreadable("a part has no number"))?;
        if let Some(found) = rows.get(key)? {
            let piece: PieceRow = row::decode(&found.payload).map_err(unreadable)?;
            if number > MAX_NUMBER || piece.size > MAX_PART {
                return Err(unreadable("a part has an impossible number or length"));
            }
            held.push(Held { number, piece, body: found.body });
        }
        Ok(held.len() < most)
    })?;
    Ok(held)
}

/// A page of the parts of an upload: those with numbers above `after`, at most `limit` of them.
pub fn page(reading: &Reading, upload: &UploadRef, after: u32, limit: usize) -> Result<PartsPage> {
    if limit == 0 {
        return Err(Error::invalid("InvalidArgument", "the limit of a listing must be at least 1"));
    }
    reading.with(|moment| {
        upload.bucket.state(moment)?;
        let (row, _) = upload.find(moment)?;
        let mut held = list(moment, blob_of(&row), after, limit.saturating_add(1))?;
        let more = held.len() > limit;
        held.truncate(limit);
        let parts: Vec<Part> = held.iter().map(|held| Part::of(held.number, &held.piece)).collect();
        let next = parts.last().filter(|_| more).map(|part| part.number);
        Ok(PartsPage { parts, next })
    })
}
