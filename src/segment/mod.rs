//! The segments: append-only files that hold everything, and the only copies of it that matter.
//!
//! *Owns*: segment files, from creation to the last byte read; the tail of the log; the open bulk segments.
//! *Promises*:
//! 1. A byte that is part of a record never changes (I1); ids are never reused.
//! 2. No byte of a body leaves this room before its chunk's checksum matched.
//! 3. A segment's header and name are durable before a record in it is.
//!
//! *Stands on*: `crypto`, `format`, `env`, `error`.
//! *Never*: knows what a record means; decides when to sync; removes a file that anything names.
//! *Read first*: `segment.rs`, then `log.rs` and `bulk/pool.rs`.

mod bulk;
mod coded;
mod coding;
mod files;
mod log;
mod maker;
mod names;
mod packed;
mod places;
mod reserve;
mod scan;
mod sealed;
mod sealing;
mod segment;
mod table;

pub use bulk::body_writer::BodyWriter;
pub use bulk::pool::{BulkPool, Placed};
pub use bulk::pools::Pools;
pub use coding::Coding;
#[cfg(feature = "fuzzing")]
pub use coding::restore;
pub use log::{Log, Undo};
pub use maker::{Identity, LogStart, SegmentMaker};
pub use names::{TIERS, bulk_dir, file_name, log_dir, parse_file_name, segment_dirs};
pub use places::{Place, find_places, list_elsewhere, sync_above};
pub use reserve::{Reserve, Spender, parse_reserve, spend_unopened};
pub use scan::Hashes;
pub use scan::{End, Scan, find_durable_mark, lsn_before};
pub use sealing::{LOST, most_added};
pub use segment::Segment;
pub use table::{Table, TableCell};
