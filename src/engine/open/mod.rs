//! Opening a store: to write, to read only, or after a crash.

pub mod create;
pub mod index_file;
pub mod open;
pub mod options;
pub mod read_only;
pub mod recovery;
pub mod refresh;
pub mod registration;
pub mod replay;
pub mod segment_files;
