//! The real file system.

pub mod real;
