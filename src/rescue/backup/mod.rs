//! Backup and restore.

pub mod backup;
pub mod copied;
pub mod pace;
pub mod report;
pub mod source;
pub mod target;
