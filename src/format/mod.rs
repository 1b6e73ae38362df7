//! Bytes on disk, pure.
//!
//! *Owns*: how index pages and their numbers lie in bytes.
//! *Promises*:
//! 1. Decoding any bytes ends in a value or a reason; nothing panics and nothing allocates (I10).
//! 2. What encoding writes, decoding reads back.
//!
//! *Stands on*: nothing.
//! *Never*: touches a file.
//! *Read first*: [`page`].

pub mod order;
pub mod page;
pub mod varint;
pub mod weight;
