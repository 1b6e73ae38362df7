//! Checking and repairing the rows of a damaged store.

pub mod key_names;
pub mod salvage;
pub mod verify;
