//! What the engine tells others: figures, wake-ups, accesses, and what may be evicted.

pub mod access_log;
pub mod eviction_queue;
pub mod notifier;
pub mod stats;
