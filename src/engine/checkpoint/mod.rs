//! Checkpoints: the delta is merged into the index tree, and segments that nobody needs are removed.

pub mod checkpoint;
pub mod readers;
pub mod vacuum;
