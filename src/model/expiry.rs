//! When an object will be removed, and by which rule.

use std::time::SystemTime;

/// When an object will be deleted by a rule, and by which (OSS: `x-oss-expiration`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Expiry {
    /// The run that will delete it.
    pub at: SystemTime,
    /// The rule's name.
    pub rule: String,
}
