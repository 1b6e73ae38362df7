//! Buckets: making, finding, listing and removing them.

use std::sync::Arc;

use super::batch::{self, Batch, Step, StepOutcome};
use super::context::{BucketRef, Reading};
use crate::catalog;
use crate::engine::Engine;
use crate::error::Result;
use crate::model::{BucketName, Durability};

/// How many buckets an iteration fetches at once.
pub const BATCH: usize = 256;

/// Makes a bucket.
pub fn create(engine: &Arc<Engine>, name: &str) -> Result<BucketRef> {
    let name = BucketName::new(name)?;
    let (outcomes, _) =
        batch::commit(engine, Batch::of(Step::CreateBucket(name.clone())), Durability::Synced)?;
    match outcomes.first() {
        Some(StepOutcome::Bucket(id)) => Ok(BucketRef { name, id: *id }),
        _ => unreachable!("making a bucket comes to a bucket"),
    }
}

/// Finds a bucket.
pub fn find(reading: &Reading, name: &str) -> Result<BucketRef> {
    let name = BucketName::new(name)?;
    let row = reading.with(|view| catalog::find_bucket(view, &name))?;
    row.map(|row| BucketRef { id: row.id, name: name.clone() }).ok_or_else(|| catalog::no_such_bucket(&name))
}

/// The buckets behind `after`, a batch of them.
pub fn list(reading: &Reading, after: Option<&str>) -> Result<Vec<BucketRef>> {
    let rows = reading.with(|view| catalog::list_buckets(view, after, BATCH))?;
    Ok(rows.into_iter().map(|(name, row)| BucketRef { name, id: row.id }).collect())
}

/// Removes an empty bucket.
pub fn delete(engine: &Arc<Engine>, name: &str) -> Result<()> {
    let name = BucketName::new(name)?;
    batch::commit(engine, Batch::of(Step::DeleteBucket(name)), Durability::Synced).map(|_| ())
}
