//! Parts of uploads: put, copied from other objects, listed.

use std::sync::Arc;
use std::time::SystemTime;

use super::batch::{self, Step, StepOutcome};
use super::body::{self, Body, Incoming, Prepared, Whither, check_len};
use super::chain::Chain;
use super::context::{BucketRef, Reading};
use super::get::{self, GetOptions, Got};
use super::multipart::{UploadRef, blob_of, weight_of};
use super::staged::{Staged, unreadable};
use super::{copy, envelope};
use crate::catalog::Rows;
use crate::crypto::EnvelopeKey;
use crate::engine::{self, Engine, Keyed, NewBody};
use crate::error::{Error, ErrorKind, Result};
use crate::format::entry::BlobId;
use crate::format::row::{self, PieceRow, UploadRow};
use crate::index::Weight;
use crate::model::{
    Digests, Durability, ETag, ObjectMeta, PartPlan, from_millis, is_client_encrypted, no_part_copy,
};
use crate::segment::{Placed, TIERS};

/// The highest number of a part (OSS).
pub const MAX_NUMBER: u32 = 10_000;
/// The most bytes of a part (OSS): 5 GiB.
pub const MAX_PART: u64 = 5 << 30;
/// How much of a source is read at once.
const STEP: u64 = 1 << 20;
/// How often a source is copied anew because it was changed while something is shredded.
const ATTEMPTS: usize = 8;

/// A part of an upload (OSS: `Part`). To complete an upload only number and entity tag count; a caller who kept no more
/// than those makes one with [`Part::new`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Part {
    /// Its number, from 1 to 10,000. The parts of an object stand in the order of their numbers.
    pub number: u32,
    /// Bytes.
    pub size: u64,
    /// Its entity tag: by default from its BLAKE3 hash, with [`Digests::Oss`] its MD5.
    pub etag: ETag,
    /// When it was put.
    pub modified: SystemTime,
    /// Its CRC-64, in an upload with [`Digests::Oss`].
    pub crc64: Option<u64>,
    /// Its MD5, in an upload with [`Digests::Oss`].
    pub md5: Option<[u8; 16]>,
}

impl Part {
    /// A part of which number and entity tag are known, enough to complete an upload with.
    pub fn new(number: u32, etag: impl Into<ETag>) -> Part {
        let (etag, modified) = (etag.into(), SystemTime::UNIX_EPOCH);
        Part { number, size: 0, etag, modified, crc64: None, md5: None }
    }

    fn of(number: u32, piece: &PieceRow) -> Part {
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

/// The step that puts a part.
#[derive(Debug)]
struct PartStep {
    upload: UploadRef,
    number: u32,
    prepared: Prepared,
    enveloped: bool,
}

impl PartStep {
    fn piece(&self, modified: u64) -> PieceRow {
        let digests = &self.prepared.digests;
        let (blake3, md5, crc64) = (digests.blake3, digests.md5, digests.crc64);
        PieceRow { size: self.prepared.size, modified, blake3, md5, crc64, enveloped: self.enveloped }
    }
}

impl Step for PartStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        let state = staged.bucket(&self.upload.bucket)?;
        let (mut row, reference) = self.upload.find(staged)?;
        let blob = blob_of(&row);
        let place = engine::piece_key(blob, u64::from(self.number));
        match staged.get(&place)? {
            Some(old) => {
                let old: PieceRow = row::decode(&old.payload).map_err(unreadable)?;
                row.bytes = row.bytes.saturating_sub(old.size);
            }
            None => {
                row.parts += 1;
                staged.count_pieces(blob, Keyed::Number, 1);
            }
        }
        row.bytes += self.prepared.size;
        let millis = staged.now.millis;
        let (body, piece) = (self.prepared.body.clone(), row::encode(&self.piece(millis)));
        staged.put_new(place, Weight::default(), body, piece);
        staged.put_new(self.upload.at(), weight_of(&row), reference, row::encode(&row));
        Chain::new(staged, &state).check_quota()?;
        Ok(StepOutcome::Number(millis))
    }

    fn placed(&self) -> Option<&Placed> {
        self.prepared.placed.as_ref()
    }

    fn memory(&self) -> usize {
        self.prepared.memory()
    }
}

/// What must hold before a byte of a part is taken in: the number is one, and the upload is there.
fn admit(engine: &Arc<Engine>, upload: &UploadRef, number: u32) -> Result<(UploadRow, Whither)> {
    if !(1..=MAX_NUMBER).contains(&number) {
        return Err(Error::invalid(
            "InvalidArgument",
            format!("the number of a part is 1 to {MAX_NUMBER}, not {number}"),
        ));
    }
    engine.check_writable()?;
    let reading = Reading::newest(engine);
    let row = upload.row(&reading)?;
    let (object, customer) = ((&row.object, upload.key.as_str()), upload.customer.as_ref());
    let key = reading.with(|moment| envelope::of_upload(engine, object, moment, customer))?;
    let owner = engine::piece_key(blob_of(&row), u64::from(number));
    let to = whither(engine, owner, &row, key.map(|key| (key, number)));
    Ok((row, to))
}

fn digests_of(row: &UploadRow) -> Digests {
    if row.oss_digests { Digests::Oss } else { Digests::Fast }
}

fn finish(
    engine: &Arc<Engine>,
    upload: &UploadRef,
    number: u32,
    (prepared, enveloped): (Prepared, bool),
    durability: Durability,
) -> Result<Part> {
    let step = PartStep { upload: upload.clone(), number, prepared, enveloped };
    let piece = step.piece(0);
    match batch::commit_one(engine, step, durability)? {
        StepOutcome::Number(modified) => Ok(Part::of(number, &PieceRow { modified, ..piece })),
        _ => unreachable!("putting a part comes to the time of it"),
    }
}

/// Where the parts of an upload go: to the tier that its object will be in.
fn whither(
    engine: &Engine,
    owner: Vec<u8>,
    row: &UploadRow,
    envelope: Option<(Arc<EnvelopeKey>, u32)>,
) -> Whither {
    let tier = if row.object.class < TIERS { row.object.class } else { 0 };
    Whither { owner, tier, packed_max: engine.settings().packed_max, envelope }
}

/// Puts a part, over the one of the same number.
pub fn put(
    engine: &Arc<Engine>,
    upload: &UploadRef,
    number: u32,
    body: Body<'_>,
    durability: Durability,
) -> Result<Part> {
    let (row, to) = admit(engine, upload, number)?;
    let prepared = body::prepare_at_most(engine, &to, body, digests_of(&row), MAX_PART)?;
    if let Some(plan) = PartPlan::of(&row.object.metadata)? {
        plan.check_part(number, prepared.size)?;
    }
    finish(engine, upload, number, (prepared, to.envelope.is_some()), durability)
}

/// Puts the bytes of another object, or of a range of it, as a part.
pub fn copy(
    engine: &Arc<Engine>,
    upload: &UploadRef,
    number: u32,
    (from, key): (&BucketRef, &str),
    options: &GetOptions,
    durability: Durability,
) -> Result<Part> {
    'again: for _ in 0..ATTEMPTS {
        let (row, to) = admit(engine, upload, number)?;
        let got = copied(engine, &row, (from, key), options)?;
        let enveloped = to.envelope.is_some();
        // Only now, when all keys were asked for.
        let mut copying = engine.begin_move();
        let lives = || copy::lives(engine, (from, key), options.version.as_ref(), &got.meta);
        if !lives()? {
            continue;
        }
        let mut incoming = Incoming::new(engine, to, digests_of(&row));
        let mut at = got.range.start;
        while at < got.range.end {
            // Steps end at multiples of a chunk, so that no chunk is verified twice.
            let bytes = got.body.read(at..(at + 1).next_multiple_of(STEP).min(got.range.end))?;
            if !copying.goes_on(lives)? {
                continue 'again;
            }
            incoming.write(engine, &bytes)?;
            at += bytes.len() as u64;
        }
        return finish(engine, upload, number, (incoming.finish(engine)?, enveloped), durability);
    }
    Err(Error::new(
        ErrorKind::Busy,
        "OperationConflict",
        format!("the object {key:?} was changed again and again while it was copied; try again"),
    ))
}

/// The object that a part is copied from, if it may be.
fn copied(
    engine: &Arc<Engine>,
    row: &UploadRow,
    (from, key): (&BucketRef, &str),
    options: &GetOptions,
) -> Result<Got> {
    let reading = Reading::newest(engine);
    let got = get::get(&reading, from, key, options)?;
    let encrypted = |meta: &ObjectMeta| is_client_encrypted(&meta.metadata);
    let target =
        got.meta.target().map(|target| get::head_itself(&reading, from, target, None)).transpose()?;
    if is_client_encrypted(&row.object.metadata)
        || encrypted(&got.meta)
        || target.as_ref().is_some_and(encrypted)
    {
        return Err(no_part_copy());
    }
    check_len(got.range.end - got.range.start, MAX_PART)?;
    Ok(got)
}
