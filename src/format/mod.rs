//! Bytes on disk, pure: encoding and decoding with no file, clock or lock in sight.
//!
//! *Owns*: the layout of the superblock, segment headers, record frames, coded bodies, commit payloads, entries, rows and pages.
//! *Promises*:
//! 1. Decoding any bytes ends in a value or in a reason, never in a panic (I10).
//! 2. Every length is checked against a named limit before anything is allocated.
//! 3. What is encoded decodes to the same value; `docs/FORMAT.md` describes every byte.
//!
//! *Stands on*: `error`.
//! *Never*: reads a file; decides what a damaged byte means for the store.
//! *Read first*: `frame.rs`, then `commit.rs` and `entry.rs`.

pub mod checksum;
pub mod coded;
pub mod commit;
pub mod entry;
pub mod frame;
pub mod notice;
pub mod order;
pub mod packed;
pub mod page;
pub mod row;
pub mod segment_header;
pub mod superblock;
pub mod varint;
pub mod weight;

/// The largest lsn, segment id, offset, run or generation that is believed. Counting on from it or adding a length
/// to it stays far from the end of 64 bits, so no arithmetic on what was read needs a thought.
pub const MAX_NUMBER: u64 = 1 << 62;

/// The version of the format that this code writes.
pub const FORMAT_VERSION: u32 = 1;
