//! Following the log: commits in order, for the change feed.

pub mod feed;
pub mod gaps;
pub mod log_reader;
