//! What a commit returns.

use crate::model::Lsn;

/// A commit that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Its place in the order of commits.
    pub lsn: Lsn,
    /// When, in milliseconds since 1970.
    pub millis: u64,
}
