//! Putting a part, from a body or from another object.

use std::sync::Arc;

use super::parts::{Part, STEP};
use super::upload_ref::{UploadRef, blob_of, weight_of};
use crate::catalog::{Rows, unreadable};
use crate::crypto::EnvelopeKey;
use crate::engine::state::engine::Engine;
use crate::engine::{self, Keyed};
use crate::error::{Error, ErrorKind, Result};
use crate::format::row::{self, PieceRow, UploadRow};
use crate::index::Weight;
use crate::model::upload::{MAX_NUMBER, MAX_PART};
use crate::model::{Digests, Durability, ObjectMeta, PartPlan, is_client_encrypted, no_part_copy};
use crate::ops::object::body_in::{self, Body, Destination, Incoming, Prepared, check_len};
use crate::ops::object::envelope;
use crate::ops::object::get::{self, Got};
use crate::ops::object::get_options::GetOptions;
use crate::segment::{Placed, TIERS};
use crate::write::commit;
use crate::write::context::{BucketRef, Reading};
use crate::write::outcome::StepOutcome;
use crate::write::staged::overlay::Staged;
use crate::write::step::Step;
use crate::write::version_chain::Chain;

/// How often a source is copied anew because it was changed while something is shredded.
const ATTEMPTS: usize = 8;

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
fn admit(engine: &Arc<Engine>, upload: &UploadRef, number: u32) -> Result<(UploadRow, Destination)> {
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
    match commit::commit_one(engine, step, durability)? {
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
) -> Destination {
    let tier = if row.object.class < TIERS { row.object.class } else { 0 };
    Destination { owner, tier, packed_max: engine.settings().packed_max, envelope }
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
    let prepared = body_in::prepare_at_most(engine, &to, body, digests_of(&row), MAX_PART)?;
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
        let lives =
            || crate::ops::copy::copy::lives(engine, (from, key), options.version.as_ref(), &got.meta);
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
