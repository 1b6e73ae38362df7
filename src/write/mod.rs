//! Writing: how every change is decided, in one commit or not at all.
//!
//! *Owns*: the step (one change to the rows), the batch of steps that commit together, the staged rows that a step reads and
//! writes, the version chain of a key, eviction within budgets.
//! *Promises*:
//! 1. A step that is refused leaves no trace.
//! 2. All steps of a batch commit, or none.
//! 3. What a commit supersedes is kept while the store retains history.
//!
//! *Stands on*: `catalog`, `engine`, `model`.
//! *Never*: knows a verb; reads a body.
//! *Read first*: `step.rs`, `batch.rs`, `commit.rs`, `version_chain.rs`, `staged/`.

pub mod access_times;
pub mod batch;
pub mod commit;
pub mod conditions;
pub mod context;
pub mod evict;
pub mod eviction;
pub mod outcome;
pub mod retained;
pub mod retention;
pub mod spaces;
pub mod staged;
pub mod step;
pub mod storage_class;
pub mod version_chain;
