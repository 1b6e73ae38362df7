//! When background work happens: checkpoints, syncs that were put off, space that is to come back.
//!
//! *Owns*: the schedule; the maintenance thread, if there is one; the choice of what is relocated.
//! *Promises*:
//! 1. An idle store wakes nobody.
//! 2. Work is done in bounded steps; writers wait for none of them longer than for one of their own commits.
//! 3. What a step did is kept if the next one is never made.
//!
//! *Stands on*: `ops`, `engine`, `format`, `model`, `error`.
//! *Never*: reads a row; moves a byte itself.
//! *Read first*: `work.rs`, then `choose_segment.rs` and `scheduler.rs`.

pub mod choose_segment;
pub mod cleanup;
pub mod compact;
pub mod damaged;
pub mod lifecycle;
pub mod reencrypt;
pub mod report;
pub mod rotate;
pub mod scheduler;
pub mod shred;
pub mod steps;
pub mod tiering;
pub mod work;
