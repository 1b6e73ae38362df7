//! Budgets: what goes when there is no room, and who takes it away.
//!
//! *Owns*: what counts towards a budget; the order in which versions go; the lists of what goes next; the commits that
//! evict.
//! *Promises*:
//! 1. No commit leaves more bytes than a budget has, unless there were as many before it.
//! 2. What is pinned, held, retained or not replicated is not evicted: each version is looked at again in the commit.
//! 3. A writer that is refused has evicted nothing.
//! 4. Versions go in the order that a look at all of them at that moment would give, but for accesses that nobody has
//!    written down yet.
//! 5. A bucket is looked through once for many evictions, not for each.
//!
//! *Stands on*: `chain.rs` and `batch.rs` beside it, `lifecycle`, `catalog`, `engine`, `model`.
//! *Never*: leaves a delete marker; evicts what the commit itself writes. (The version that a put supersedes may go with it.)
//! *Read first*: `room.rs`, `rank.rs`, `scan.rs`, `run.rs`.

pub mod make_room;
pub mod rank;
pub mod scan;
pub mod scope;
