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
//! *Read first*: `context.rs`, `batch.rs` (every write goes through it), `put.rs`, `get.rs`.

pub mod append;
pub mod attributes;
pub mod batch;
pub mod billing;
pub mod body;
pub mod bucket;
pub mod budget;
pub mod chain;
pub mod class;
pub mod config;
pub mod context;
pub mod copy;
pub mod delete;
pub mod diff;
pub mod envelope;
pub mod feed;
pub mod follow;
pub mod fork;
pub mod get;
pub mod history;
pub mod leavings;
pub mod lifecycle;
pub mod list;
pub mod merging;
pub mod moving;
pub mod multipart;
pub mod opening;
pub mod parts;
pub mod prefix;
pub mod put;
pub mod rekey;
pub mod restore;
pub mod retention;
pub mod row_range;
pub mod rows;
pub mod shred;
pub mod staged;
pub mod symlink;
pub mod tidy;
pub mod undelete;
pub mod uploads;
pub mod usage;
pub mod versions;
