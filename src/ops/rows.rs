//! Rows of the application's own: small values beside the objects, in the same commits.

use bytes::Bytes;

use super::batch::{Step, StepOutcome};
use super::context::Reading;
use super::staged::Staged;
use crate::catalog::{Rows, keys};
use crate::error::{Error, Result};
use crate::index::Weight;

/// The longest value of a row, in bytes.
pub const MAX_ROW_BYTES: usize = 256 * 1024;

/// The step that writes a row, or deletes it.
#[derive(Debug)]
pub struct RowStep {
    key: Vec<u8>,
    value: Option<Vec<u8>>,
}

impl Step for RowStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        match &self.value {
            Some(value) => staged.put(self.key.clone(), Weight::default(), value.clone()),
            None => staged.remove(self.key.clone()),
        }
        Ok(StepOutcome::None)
    }

    fn frees(&self) -> bool {
        self.value.is_none()
    }
}

/// The step that writes a row.
pub fn put(table: &str, key: &[u8], value: &[u8]) -> Result<RowStep> {
    if value.len() > MAX_ROW_BYTES {
        return Err(Error::invalid(
            "EntityTooLarge",
            format!("a row has at most {MAX_ROW_BYTES} bytes, not {}; put it into an object", value.len()),
        ));
    }
    Ok(RowStep { key: keys::row(table, key)?, value: Some(value.to_vec()) })
}

/// The step that deletes a row.
pub fn delete(table: &str, key: &[u8]) -> Result<RowStep> {
    Ok(RowStep { key: keys::row(table, key)?, value: None })
}

/// Reads a row.
pub fn get(reading: &Reading, table: &str, key: &[u8]) -> Result<Option<Bytes>> {
    let key = keys::row(table, key)?;
    reading.with(|moment| Ok(moment.get(&key)?.map(|found| Bytes::from(found.payload))))
}
