//! Appending to an object, and where the next append begins.

use std::sync::Arc;

use super::detach::detach;
use super::options::{AppendOptions, check};
use super::pieces::{check_position, diverged};
use super::step::{AppendStep, look, merge, take_in};
use crate::catalog::Moment;
use crate::engine;
use crate::engine::state::engine::Engine;
use crate::error::{ErrorKind, Result};
use crate::model::Keeping;
use crate::ops::object::body_in::Body;
use crate::ops::object::envelope;
use crate::ops::object::new_version::{self, Attributes};
use crate::write::commit;
use crate::write::context::{BucketRef, Reading};
use crate::write::outcome::{AppendOutcome, StepOutcome};
use crate::write::storage_class::check_readable;

/// How often an append tries to get a blob of its own before it says that somebody is in the way.
const ATTEMPTS: usize = 8;

/// Appends to an object, or begins one.
pub fn append(
    engine: &Arc<Engine>,
    bucket: &BucketRef,
    key: &str,
    position: u64,
    body: Body<'_>,
    options: AppendOptions,
) -> Result<AppendOutcome> {
    let AppendOptions { attributes, durability } = options;
    let durability = engine.settings().durability_for(durability);
    let mut row = check(engine, key, position, &body, &attributes)?;
    // Looked at here, so that no byte is written in vain; decided in the commit.
    let known = Reading::newest(engine).with(|moment| look(moment, &*bucket.state(moment)?, key))?;
    check_position(key, position, known.length)?;
    if let Some(head) = &known.head {
        check_readable(key, head, || engine.millis())?;
    }
    if known.length == 0 {
        let asked = envelope::default_of(engine, bucket)?;
        envelope::choose_for_growing(engine, &bucket.name, asked.as_ref(), &mut row)?;
    }
    let owner = match known.blob {
        Some(blob) => engine::piece_key(blob, position),
        None => new_version::owner_key(engine, bucket, key)?,
    };
    let packed_max = engine.settings().packed_max;
    let (prepared, crc64) = take_in(engine, (&owner, packed_max), body, position)?;
    let (mut merged, mut _copying) = (None, None);
    if let Some(blob) = known.blob.filter(|_| !known.diverged && prepared.size > 0) {
        let copying = engine.begin_move();
        let view = engine.pin();
        let read = (&Moment::now(&view), &*view);
        merged = merge(engine, read, (blob, position), &prepared, packed_max)?;
        // Held until what was copied is committed.
        _copying = merged.is_some().then_some(copying);
    }
    let is_dressed = attributes != Attributes::default();
    let is_kept_otherwise = attributes.keeping != Keeping::default();
    let (bucket_ref, name) = (bucket.clone(), key.to_string());
    let step = AppendStep {
        bucket: bucket_ref,
        key: name,
        position,
        row,
        is_dressed,
        is_kept_otherwise,
        prepared,
        crc64,
        owner,
        merge: merged,
        first: None,
    };
    let step = Arc::new(step);
    for _ in 0..ATTEMPTS {
        match commit::commit_one(engine, step.clone(), durability) {
            Ok(StepOutcome::Append(outcome)) => return Ok(outcome),
            Ok(_) => unreachable!("an append comes to an append"),
            Err(error) if error.kind() == ErrorKind::Busy => detach(engine, bucket, key, durability)?,
            Err(error) => return Err(error),
        }
    }
    Err(diverged(key))
}

/// Where the next append to an object goes: its length, 0 if there is none.
pub fn position(reading: &Reading, bucket: &BucketRef, key: &str) -> Result<u64> {
    reading.with(|moment| {
        bucket.admit(moment, key)?;
        Ok(look(moment, &*bucket.state(moment)?, key)?.length)
    })
}
