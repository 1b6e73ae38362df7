//! The verbs: a file each with its options, its outcome and what it does.
//!
//! *Owns*: what a request means; conditions; the order of checks; OSS's limits and error codes.
//! *Promises*:
//! 1. A limit that is exceeded is `Invalid` with the OSS code, before a byte is written.
//! 2. Conditions of writes are decided inside the commit: of N racing writers exactly one wins.
//! 3. A write that fails leaves nothing that a reader could see.
//!
//! *Stands on*: `catalog`, `engine`, `crypto`, `format`, `segment`, `model`, `env`, `error`.
//! *Never*: touches a file; keeps state between calls.
//! *Read first*: `object/put.rs`, `object/get.rs`, `object/delete.rs`.

pub mod append;
pub mod bucket;
pub mod copy;
pub mod listing;
pub mod object;
pub mod prefix;
pub mod rows;
pub mod upload;
pub mod version;
