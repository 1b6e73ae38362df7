//! Which bucket a fork was made from.

use std::sync::Arc;

use crate::catalog::{BucketState, Rows};
use crate::error::Result;
use crate::model::{BucketName, Lsn};
use crate::write::context::{BucketRef, Reading};

/// Where a fork came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The id of the bucket it was made from.
    pub id: u64,
    /// The name which that bucket had.
    pub name: BucketName,
    /// The commit that made the fork.
    pub lsn: Lsn,
}

/// Where a bucket came from; `None` if it is no fork.
pub fn origin(reading: &Reading, bucket: &BucketRef) -> Result<Option<Origin>> {
    let state = reading.with(|moment| bucket.state(moment))?;
    let Some((id, name, lsn)) = &state.row.parent else {
        return Ok(None);
    };
    Ok(Some(Origin { id: *id, name: BucketName::new(name)?, lsn: Lsn(*lsn) }))
}

/// The bucket that a fork was made from.
pub fn parent(reading: &Reading, origin: &Origin) -> Result<BucketRef> {
    let found = reading.with(|moment| crate::catalog::find_bucket(moment, &origin.name))?;
    match found {
        Some(state) if state.row.id == origin.id => Ok(BucketRef::new(state.name.clone(), state.row.id)),
        _ => Err(crate::catalog::no_such_bucket(&origin.name)),
    }
}

/// The bucket that a fork was made from, if it is still there.
pub fn parent_of(rows: &impl Rows, state: &BucketState) -> Result<Option<Arc<BucketState>>> {
    let Some((id, name, _)) = &state.row.parent else {
        return Ok(None);
    };
    Ok(crate::catalog::find_bucket(rows, name)?.filter(|parent| parent.row.id == *id))
}
