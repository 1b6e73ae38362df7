//! Rows of the application's own: small values beside the objects, in the same commits.

use bytes::Bytes;

use super::batch::Step;
use super::context::Reading;
use crate::catalog::keys;
use crate::error::{Error, Result};

/// The longest value of a row, in bytes.
pub const MAX_ROW_BYTES: usize = 256 * 1024;

/// The step that writes a row.
pub fn put(table: &str, key: &[u8], value: &[u8]) -> Result<Step> {
    if value.len() > MAX_ROW_BYTES {
        return Err(Error::invalid(
            "EntityTooLarge",
            format!("a row has at most {MAX_ROW_BYTES} bytes, not {}; put it into an object", value.len()),
        ));
    }
    Ok(Step::Row(keys::row(table, key)?, Some(value.to_vec())))
}

/// The step that deletes a row.
pub fn delete(table: &str, key: &[u8]) -> Result<Step> {
    Ok(Step::Row(keys::row(table, key)?, None))
}

/// Reads a row.
pub fn get(reading: &Reading, table: &str, key: &[u8]) -> Result<Option<Bytes>> {
    let key = keys::row(table, key)?;
    reading.with(|view| view.find(&key, |stored| Ok(Bytes::from(stored.payload.into_owned()))))
}
