//! What is said of a unit that does not open.

/// A unit did not open: it was changed, moved, or sealed with another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forged;
