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
//! *Read first*: `reclaim.rs`, then `scheduler.rs`.

mod reclaim;
mod scheduler;
mod work;

pub use scheduler::Scheduler;
pub use work::{CompactOptions, MaintainReport, compact, maintain};
