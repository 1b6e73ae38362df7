//! A simulated disk that loses power, tears, fails, fills up, lies and rots, all of it from a seed.
//!
//! *Owns*: for every file what is visible and what is durable, with the un-synced changes between the two in
//! order; the same for the names in every directory; the plan of faults; the ledger of those that struck.
//! *Promises*:
//! 1. The same seed and the same calls give the same answers and the same [`FaultyDisk::trace_hash`].
//! 2. A file is durable up to its last successful sync, a name up to the last successful sync of its directory.
//! 3. What a failed sync should have written stays visible, and no later sync makes it durable (as on Linux).
//!
//! *Stands on*: the rest of `env`.
//! *Never*: makes anything durable on its own, except through the damage functions, which say so.
//! *Read first*: [`FaultyDisk`], then `calls.rs`, then `cut.rs`.

pub mod calls;
pub mod cut;
pub mod damage;
pub mod disk;
pub mod node;
pub mod plan;
#[cfg(test)]
pub mod tests;

pub use cut::CutPolicy;
pub use plan::{Fault, Hit};
