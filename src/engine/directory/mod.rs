//! The store directory: names of its files, its lock, its superblock, and the files of readers and keys.

pub mod files;
pub mod identity;
pub mod listing;
pub mod lock;
pub mod reader_files;
pub mod segment_keys;
pub mod superblock;
