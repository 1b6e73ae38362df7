//! Errors for rows that cannot be decoded.

use crate::error::Error;

/// `Corrupt` for a row that cannot be decoded.
pub fn unreadable(reason: &'static str) -> Error {
    Error::corrupt("a row of the catalog", 0, reason)
}
