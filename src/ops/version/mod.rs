//! Verbs on older versions.

pub mod restore_version;
pub mod undelete;
