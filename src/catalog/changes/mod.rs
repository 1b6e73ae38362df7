//! From committed rows to the change feed.

pub mod change;
pub mod note;
