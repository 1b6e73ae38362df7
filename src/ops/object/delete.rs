//! Delete: removes objects; deleting what is not there is fine.

use std::sync::Arc;

use crate::catalog::Moment;
use crate::engine::state::engine::Engine;
use crate::error::Result;
use crate::model::{Durability, ETag, VersionId};
use crate::write::batch::Batch;
use crate::write::commit;
use crate::write::conditions::Conditions;
use crate::write::context::BucketRef;
use crate::write::outcome::{DeleteOutcome, StepOutcome};
use crate::write::staged::overlay::Staged;
use crate::write::step::Step;
use crate::write::version_chain::Chain;

/// How many keys of `delete_many` go into one commit.
const KEYS_PER_COMMIT: usize = 1000;

/// What a delete is asked to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct DeleteOptions {
    pub(crate) version: Option<VersionId>,
    pub(crate) conditions: Conditions,
    pub(crate) durability: Option<Durability>,
}

impl DeleteOptions {
    /// No condition, durable when it returns.
    pub fn new() -> DeleteOptions {
        DeleteOptions::default()
    }

    /// Removes this version for good instead of hiding the object behind a delete marker.
    pub fn version(mut self, version: impl Into<VersionId>) -> DeleteOptions {
        self.version = Some(version.into());
        self
    }

    /// Deletes only if the current object has this entity tag; otherwise `PreconditionFailed`.
    pub fn if_match(mut self, etag: impl Into<ETag>) -> DeleteOptions {
        self.conditions.if_match = Some(etag.into());
        self
    }

    /// Sets when the delete is done; without it, [`Settings::durability`](crate::Settings::durability) counts.
    pub fn durability(mut self, durability: Durability) -> DeleteOptions {
        self.durability = Some(durability);
        self
    }
}

/// The step of a delete.
#[derive(Debug)]
pub struct DeleteStep {
    bucket: BucketRef,
    key: String,
    version: Option<VersionId>,
    conditions: Conditions,
}

impl Step for DeleteStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        let state = staged.bucket(&self.bucket)?;
        let mut chain = Chain::new(staged, &state);
        if !self.conditions.is_empty() {
            let current = chain.head(&self.key)?;
            self.conditions.check(&self.key, current.as_ref().map(|(head, _)| head))?;
        }
        let outcome = match &self.version {
            None => chain.delete(&self.key)?,
            Some(version) => chain.delete_version(&self.key, version)?,
        };
        Ok(StepOutcome::Delete(outcome))
    }

    fn frees(&self) -> bool {
        true
    }
}

/// Checks a request.
pub fn step(engine: &Engine, bucket: &BucketRef, key: &str, options: &DeleteOptions) -> Result<DeleteStep> {
    bucket.admit(&Moment::now(&engine.view()), key)?;
    let (version, conditions) = (options.version.clone(), options.conditions.clone());
    Ok(DeleteStep { bucket: bucket.clone(), key: key.to_string(), version, conditions })
}

/// Deletes an object.
pub fn delete(
    engine: &Arc<Engine>,
    bucket: &BucketRef,
    key: &str,
    options: DeleteOptions,
) -> Result<DeleteOutcome> {
    let durability = engine.settings().durability_for(options.durability);
    outcome(commit::commit_one(engine, step(engine, bucket, key, &options)?, durability)?)
}

fn outcome(outcome: StepOutcome) -> Result<DeleteOutcome> {
    match outcome {
        StepOutcome::Delete(outcome) => Ok(outcome),
        StepOutcome::Refused(error) => Err(error.duplicate()),
        _ => unreachable!("a delete comes to a delete"),
    }
}

/// Deletes many objects or versions, a thousand a commit, and answers for each. A key that is not valid and an object
/// that is protected have errors of their own and do not keep the others.
pub fn delete_each<K: AsRef<str>>(
    engine: &Arc<Engine>,
    bucket: &BucketRef,
    versions: impl IntoIterator<Item = (K, Option<VersionId>)>,
    options: &DeleteOptions,
) -> Result<Vec<(String, Result<DeleteOutcome>)>> {
    let mut answers: Vec<(String, Result<DeleteOutcome>)> = Vec::new();
    let mut versions = versions.into_iter().peekable();
    while versions.peek().is_some() {
        let mut batch = Batch::each_alone();
        let (mut places, mut named) = (Vec::new(), true);
        for (key, version) in versions.by_ref().take(KEYS_PER_COMMIT) {
            let key = key.as_ref().to_string();
            named &= version.is_some();
            let options = DeleteOptions { version, ..options.clone() };
            match step(engine, bucket, &key, &options) {
                Ok(step) => {
                    places.push(answers.len());
                    batch.steps.push(Box::new(step));
                    answers.push((key, Ok(DeleteOutcome::default())));
                }
                Err(error) => answers.push((key, Err(error))),
            }
        }
        if named {
            // Listings give the newest first. Removed in that order, one after the other would become current.
            batch.steps.reverse();
            places.reverse();
        }
        let (outcomes, _) =
            commit::commit(engine, batch, engine.settings().durability_for(options.durability))?;
        for (place, done) in places.into_iter().zip(outcomes) {
            answers[place].1 = outcome(done);
        }
    }
    Ok(answers)
}
