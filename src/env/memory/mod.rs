//! File systems in memory.

pub mod memory;
pub mod tree;
