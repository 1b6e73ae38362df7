//! Bulk segments: the bodies that are too long for the log.

pub mod body_writer;
pub mod pipeline;
pub mod pool;
pub mod pools;
