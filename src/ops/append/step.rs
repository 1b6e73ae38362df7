//! The step that appends: adds a piece, and merges small ones.

use std::cell::RefCell;
use std::io::Read;
use std::rc::Rc;
use std::sync::Arc;

use super::detach::DetachStep;
use super::merging::{LARGE, merges};
use super::pieces::{
    MOST, appendable, blob_len, blob_of, check_len, check_position, diverged, etag, known_bytes, piece,
    piece_among, piece_before, put_piece,
};
use crate::catalog::{self, BucketState, Found, HeadRow, Kind, Rows, unreadable};
use crate::engine::state::engine::Engine;
use crate::engine::{self, Keyed, NewBody, SharedRef, View};
use crate::error::Result;
use crate::format::entry::{BlobId, Extent};
use crate::format::row::{self, ObjectRow};
use crate::index::Weight;
use crate::model::{Crc64, Digests, Lsn, VersionId, crc64_combine};
use crate::ops::object::body_in::{self, Body, Prepared, Source};
use crate::ops::object::new_version::BUCKETS_CLASS;
use crate::segment::Placed;
use crate::write::context::BucketRef;
use crate::write::outcome::{AppendOutcome, StepOutcome};
use crate::write::staged::overlay::Staged;
use crate::write::step::Step;
use crate::write::storage_class::{check_readable, check_row_class};
use crate::write::version_chain::{BodySource, Chain};

/// Small pieces at the end of a blob that are written again together with what is appended.
#[derive(Debug)]
pub(super) struct Merge {
    blob: BlobId,
    /// Where each of them begins; the first is the lowest.
    places: Vec<u64>,
    prepared: Prepared,
}

/// What is known of an object before it is appended to, from the newest view.
pub(super) struct Known {
    pub(super) head: Option<HeadRow>,
    pub(super) blob: Option<BlobId>,
    pub(super) length: u64,
    pub(super) diverged: bool,
}

pub(super) fn look(rows: &impl Rows, state: &BucketState, key: &str) -> Result<Known> {
    let Some((head, found)) = appendable(key, catalog::find_head(state.bucket_view(rows), key)?)? else {
        return Ok(Known { head: None, blob: None, length: 0, diverged: false });
    };
    let blob = blob_of(&found);
    let length = head.row.size;
    let diverged = match blob {
        Some(blob) => blob_len(rows, blob)? != length,
        None => false,
    };
    Ok(Known { head: Some(head), blob, length, diverged })
}

/// The step of an append.
#[derive(Debug)]
pub struct AppendStep {
    pub(super) bucket: BucketRef,
    pub(super) key: String,
    pub(super) position: u64,
    /// The row that an object begins with.
    pub(super) row: ObjectRow,
    /// Whether anything was said of attributes.
    pub(super) is_dressed: bool,
    /// Whether anything was said of how budgets treat it.
    pub(super) is_kept_otherwise: bool,
    pub(super) prepared: Prepared,
    pub(super) crc64: u64,
    /// The key that a streamed body was written for.
    pub(super) owner: Vec<u8>,
    pub(super) merge: Option<Merge>,
    /// What gives the object a blob of its own first, inside a transaction.
    pub(super) first: Option<DetachStep>,
}

impl AppendStep {
    /// The row as the append leaves it.
    fn grown(&self, chain: &mut Chain<'_, '_>, head: Option<&HeadRow>) -> Result<ObjectRow> {
        let mut row = match head {
            Some(head) if head.row.size > 0 || !self.is_dressed => head.kept(),
            Some(head) => {
                let mut row =
                    ObjectRow { lsn: head.lsn, n: head.row.n, named: head.row.named, ..self.row.clone() };
                let (before, rare) = (head.row.rare(), row.rare_mut());
                (rare.retention, rare.legal_hold) = (before.retention, before.legal_hold);
                (rare.crc64, rare.parts) = (before.crc64, before.parts);
                rare.seal = before.seal.clone();
                if !self.is_kept_otherwise {
                    rare.keep = before.keep;
                }
                row
            }
            None => {
                // Its version is the null version, in a bucket that keeps versions too (OSS).
                let n = if chain.state.versioning().is_some() { chain.staged.number() } else { 0 };
                ObjectRow { n, ..self.row.clone() }
            }
        };
        if let Some(seal) = self.row.seal() {
            // Decided where the object begins, and at no later append (OSS).
            row.set_seal(Some(seal.clone()));
        }
        if row.class == BUCKETS_CLASS {
            row.class = chain.state.row.class;
            check_row_class(&row)?;
        }
        if self.row.rare().keep.unreplicated {
            row.rare_mut().keep.unreplicated = true;
        }
        row.size += self.prepared.size;
        row.modified = chain.staged.now.millis;
        let len = row.size;
        let rare = row.rare_mut();
        let crc64 = crc64_combine(rare.crc64.unwrap_or(0), self.crc64, self.prepared.size);
        rare.crc64 = Some(crc64);
        rare.etag = Some(etag(crc64, len).to_string());
        rare.parts = rare.parts.saturating_add(1);
        Ok(row)
    }

    /// Puts the bytes into a blob, and gives the body of the object that refers to it.
    fn place(&self, staged: &mut Staged<'_>, before: Option<&Found>) -> Result<NewBody> {
        let len = self.position + self.prepared.size;
        if len == 0 {
            return Ok(NewBody::None);
        }
        let (blob, hint) = match before.map(|found| &found.body) {
            Some(NewBody::Shared(shared)) => (shared.blob, shared.hint.to_vec()),
            _ if self.position == 0 => (BlobId { lsn: staged.now.lsn, n: staged.number() }, Vec::new()),
            _ => return Err(unreadable("an object that grows has no pieces")),
        };
        if blob_len(staged, blob)? != self.position {
            return Err(diverged(&self.key));
        }
        let merge = self.merge.as_ref().filter(|merge| merge.blob == blob);
        if let Some(merge) = merge {
            let from = merge.places[0];
            for place in &merge.places[1..] {
                staged.remove(engine::piece_key(blob, *place));
            }
            staged.count_pieces(blob, Keyed::Offset, 1 - merge.places.len() as i64);
            let size = len - from;
            let payload = piece(size, staged.now.millis, &merge.prepared, None);
            staged.put_new(
                engine::piece_key(blob, from),
                Weight::default(),
                merge.prepared.body.clone(),
                payload,
            );
        } else {
            staged.count_pieces(blob, Keyed::Offset, 1);
            let payload = piece(self.prepared.size, staged.now.millis, &self.prepared, Some(self.crc64));
            let at = engine::piece_key(blob, self.position);
            put_piece(staged, at, &self.owner, self.prepared.body.clone(), payload);
        }
        Ok(NewBody::Shared(SharedRef::new(blob, len, &self.hint(hint))))
    }

    /// Where the pieces lie, as far as that is known and worth saying: few long ones.
    fn hint(&self, mut before: Vec<Extent>) -> Vec<Extent> {
        match &self.prepared.body {
            NewBody::Extents(extents) if self.position == 0 || !before.is_empty() => {
                before.extend_from_slice(extents);
                before
            }
            _ => Vec::new(),
        }
    }
}

impl Step for Arc<AppendStep> {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        if let Some(first) = &self.first {
            first.apply(staged)?;
        }
        let state = staged.bucket(&self.bucket)?;
        let mut chain = Chain::new(staged, &state);
        let current = appendable(&self.key, chain.head(&self.key)?)?;
        let (head, found) = current.unzip();
        check_position(&self.key, self.position, head.as_ref().map_or(0, |head| head.row.size))?;
        let outcome = |row: &ObjectRow, version: VersionId, lsn: u64| {
            let (size, rare) = (row.size, row.rare());
            StepOutcome::Append(AppendOutcome {
                next_position: size,
                crc64: rare.crc64.unwrap_or(0),
                etag: catalog::etag_of(row),
                version: state.versioning().map(|_| version),
                lsn: Lsn(lsn),
            })
        };
        if let (Some(head), Some(found)) = (&head, &found) {
            chain.guard(&self.key, head)?;
            check_readable(&self.key, head, || chain.staged.now.millis)?;
            if self.prepared.size == 0 {
                return Ok(outcome(&head.row, head.version(), found.lsn));
            }
        }
        let row = self.grown(&mut chain, head.as_ref())?;
        let body = self.place(chain.staged, found.as_ref())?;
        let weight = catalog::weight_of(&row);
        chain.put_row(Kind::Head, &self.key, b"", weight, BodySource::New(body), row::encode(&row))?;
        chain.check_quota()?;
        let version = head.map_or(VersionId::null(), |head| head.version());
        Ok(outcome(&row, version, chain.staged.now.lsn))
    }

    fn placed(&self) -> Option<&Placed> {
        self.merge.as_ref().and_then(|merge| merge.prepared.placed.as_ref()).or(self.prepared.placed.as_ref())
    }

    fn placed_beside(&self) -> Option<&Placed> {
        self.first.as_ref().and_then(|first| first.placed())
    }

    fn memory(&self) -> usize {
        let merged = self.merge.as_ref().map_or(0, |merge| merge.prepared.memory());
        self.prepared.memory() + merged + self.first.as_ref().map_or(0, |first| first.memory())
    }
}

/// Takes the checksum of what is read through it.
struct Summing<R> {
    reader: R,
    sum: Rc<RefCell<Crc64>>,
}

impl<R: Read> Read for Summing<R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let read = self.reader.read(buf)?;
        self.sum.borrow_mut().update(&buf[..read]);
        Ok(read)
    }
}

/// Takes a body in that goes to `position`, and its checksum.
pub(super) fn take_in(
    engine: &Engine,
    (owner, packed_max): (&[u8], usize),
    body: Body<'_>,
    position: u64,
) -> Result<(Prepared, u64)> {
    let sum = Rc::new(RefCell::new(Crc64::new()));
    if let Some(bytes) = known_bytes(&body) {
        sum.borrow_mut().update(bytes);
    }
    let body = match body.0 {
        Source::Reader(reader) => {
            // One byte more than may come, to see that there is more.
            let reader = reader.take(MOST.saturating_sub(position) + 1);
            Body::reader(Summing { reader, sum: sum.clone() })
        }
        known => Body(known),
    };
    let prepared = body_in::prepare(engine, owner, body, packed_max, Digests::Fast)?;
    check_len(position.saturating_add(prepared.size))?;
    let crc64 = sum.borrow().value();
    Ok((prepared, crc64))
}

/// Writes the small pieces at the end of a blob again together with what is appended, if there are enough.
pub(super) fn merge(
    engine: &Engine,
    (rows, view): (&impl Rows, &View),
    (blob, position): (BlobId, u64),
    appended: &Prepared,
    packed_max: usize,
) -> Result<Option<Merge>> {
    let bytes = match &appended.body {
        NewBody::Inline(bytes) | NewBody::Packed(bytes, _) if (bytes.len() as u64) < LARGE => bytes,
        _ => return Ok(None),
    };
    let places = merges(position, appended.size, |end| piece_before(rows, blob, end))?;
    let Some(from) = places.first().copied() else {
        return Ok(None);
    };
    let mut whole = Vec::with_capacity((position - from) as usize + bytes.len());
    for place in &places {
        let (_, piece) = piece_among((rows, view), blob, *place)?;
        whole.extend_from_slice(&piece.read(0..piece.len())?);
    }
    whole.extend_from_slice(bytes);
    let owner = engine::piece_key(blob, from);
    let prepared = body_in::prepare(engine, &owner, whole.into(), packed_max, Digests::Fast)?;
    Ok(Some(Merge { blob, places, prepared }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entity_tags_change_with_every_byte() {
        assert_ne!(etag(1, 1), etag(1, 2));
        assert_ne!(etag(1, 1), etag(2, 1));
        assert_eq!(etag(u64::MAX, 5).as_str(), "FFFFFFFFFFFFFFFF0000000000000005");
    }
}
