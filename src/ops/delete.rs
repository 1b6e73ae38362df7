//! Delete: removes objects; deleting what is not there is fine.

use std::sync::Arc;

use super::batch::{self, Batch, Step, StepOutcome};
use super::context::BucketRef;
use super::put::Conditions;
use crate::engine::Engine;
use crate::error::Result;
use crate::model::{Durability, ETag, ObjectKey, VersionId};

/// How many keys of `delete_many` go into one commit.
const KEYS_PER_COMMIT: usize = 1000;

/// What a delete is asked to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct DeleteOptions {
    pub(crate) conditions: Conditions,
    pub(crate) durability: Durability,
}

/// What a delete came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeleteOutcome {
    /// The version that was removed or made, in a bucket that keeps versions.
    pub version: Option<VersionId>,
    /// Whether a delete marker was made or removed.
    pub marker: bool,
}

impl DeleteOptions {
    /// No condition, durable when it returns.
    pub fn new() -> DeleteOptions {
        DeleteOptions::default()
    }

    /// Deletes only if the current object has this entity tag; otherwise `PreconditionFailed`.
    pub fn if_match(mut self, etag: impl Into<ETag>) -> DeleteOptions {
        self.conditions.if_match = Some(etag.into());
        self
    }

    /// Sets when the delete is done.
    pub fn durability(mut self, durability: Durability) -> DeleteOptions {
        self.durability = durability;
        self
    }
}

/// Checks a request.
pub fn step(bucket: &BucketRef, key: &str, options: &DeleteOptions) -> Result<Step> {
    ObjectKey::new(key)?;
    let conditions = options.conditions.clone();
    Ok(Step::Delete { bucket: bucket.clone(), key: key.to_string(), conditions })
}

/// Deletes an object.
pub fn delete(
    engine: &Arc<Engine>,
    bucket: &BucketRef,
    key: &str,
    options: DeleteOptions,
) -> Result<DeleteOutcome> {
    let batch = Batch::of(step(bucket, key, &options)?);
    let (outcomes, _) = batch::commit(engine, batch, options.durability)?;
    Ok(outcome(outcomes.into_iter().next()))
}

fn outcome(outcome: Option<StepOutcome>) -> DeleteOutcome {
    match outcome {
        Some(StepOutcome::Delete(outcome)) => outcome,
        _ => unreachable!("a delete comes to a delete"),
    }
}

/// Deletes many objects, a thousand a commit, and answers for each key. A key that is not valid has an error
/// of its own and does not keep the others.
pub fn delete_many<K: AsRef<str>>(
    engine: &Arc<Engine>,
    bucket: &BucketRef,
    keys: impl IntoIterator<Item = K>,
    options: &DeleteOptions,
) -> Result<Vec<(String, Result<DeleteOutcome>)>> {
    let mut answers: Vec<(String, Result<DeleteOutcome>)> = Vec::new();
    let mut keys = keys.into_iter().peekable();
    while keys.peek().is_some() {
        let mut batch = Batch::default();
        let mut places = Vec::new();
        for key in keys.by_ref().take(KEYS_PER_COMMIT) {
            let key = key.as_ref().to_string();
            match step(bucket, &key, options) {
                Ok(step) => {
                    places.push(answers.len());
                    batch.steps.push(step);
                    answers.push((key, Ok(DeleteOutcome::default())));
                }
                Err(error) => answers.push((key, Err(error))),
            }
        }
        let (outcomes, _) = batch::commit(engine, batch, options.durability)?;
        for (place, done) in places.into_iter().zip(outcomes) {
            answers[place].1 = Ok(outcome(Some(done)));
        }
    }
    Ok(answers)
}
