//! The delta: changes in memory, newest first, in a tree that is copied where it changes.

pub mod cursor;
pub mod delta;
pub mod node;
pub mod record;
