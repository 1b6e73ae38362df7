//! Verbs on buckets, and their configurations.

pub mod budget;
pub mod config;
pub mod eviction_preview;
pub mod feed;
pub mod fork;
pub mod history;
pub mod lifecycle;
pub mod lifetime;
pub mod parent;
pub mod removal;
