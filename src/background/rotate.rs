//! Rotating the key of a bucket: what is written from then on is encrypted with the new one.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::reencrypt::Skipped;
use crate::catalog::encryption;
use crate::catalog::keyspace::keys;
use crate::engine::state::engine::Engine;
use crate::error::Result;
use crate::format::row::{self, BucketKeyRow};
use crate::index::Weight;
use crate::model::Durability;
use crate::ops::object::envelope;
use crate::write::commit;
use crate::write::context::{BucketRef, Reading};
use crate::write::outcome::StepOutcome;
use crate::write::staged::overlay::Staged;
use crate::write::step::Step;

/// What a rotation came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rotated {
    /// How many keys the bucket got.
    pub keys: u64,
    /// Named keys that could not be asked for one: what they have encrypted stays current.
    pub skipped: Vec<Skipped>,
}

#[derive(Debug)]
struct RotateStep {
    bucket: BucketRef,
    fresh: Vec<([u8; 16], BucketKeyRow)>,
}

impl Step for RotateStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        let id = staged.bucket(&self.bucket)?.row.id;
        for (generation, row) in encryption::keys_of(staged, id)? {
            if !row.retired && self.fresh.iter().any(|(_, fresh)| fresh.key_id == row.key_id) {
                let row = BucketKeyRow { retired: true, ..row };
                staged.put(keys::bucket_key(id, &generation), Weight::default(), row::encode(&row));
            }
        }
        for (generation, row) in &self.fresh {
            staged.put(keys::bucket_key(id, generation), Weight::default(), row::encode(row));
        }
        Ok(StepOutcome::None)
    }
}

/// Gives a bucket another key for each named key that it uses.
///
/// # Errors
/// Why none of them could be had.
pub fn rotate(engine: &Arc<Engine>, bucket: &BucketRef) -> Result<Rotated> {
    engine.check_writable()?;
    let found = Reading::newest(engine).with(|moment| {
        bucket.state(moment)?;
        encryption::keys_of(moment, bucket.id)
    })?;
    let used: BTreeSet<String> =
        found.into_iter().filter(|(_, row)| !row.retired).map(|(_, row)| row.key_id).collect();
    let (mut fresh, mut rotated, mut first) = (Vec::new(), Rotated::default(), None);
    for key_id in used {
        let made = engine.vault().make(&key_id).ok_or_else(|| envelope::no_provider(engine, &key_id));
        match made.and_then(|made| made.map_err(|why| envelope::explain(&key_id, why))) {
            Ok(made) => {
                let row = envelope::key_row(engine, &key_id, made.wrapped, made.commitment);
                fresh.push((made.generation, row));
            }
            Err(error) => {
                rotated.skipped.push(Skipped { name: key_id, reason: error.to_string() });
                first.get_or_insert(error);
            }
        }
    }
    rotated.keys = fresh.len() as u64;
    match first {
        Some(error) if fresh.is_empty() => return Err(error),
        _ if fresh.is_empty() => return Ok(rotated),
        _ => {}
    }
    commit::commit_one(engine, RotateStep { bucket: bucket.clone(), fresh }, Durability::Synced)?;
    Ok(rotated)
}
