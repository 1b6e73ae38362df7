//! Copy and rename.

pub mod copy;
pub mod options;
pub mod rename;
