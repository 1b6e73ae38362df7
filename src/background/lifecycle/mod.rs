//! Lifecycle: what the rules of buckets do to objects, versions and uploads, in bounded steps.
//!
//! *Owns*: the walk through a bucket for its rules; the steps that carry out what they say; how far a run has come; the
//! notes of accesses.
//! *Promises*:
//! 1. A step changes objects and says how far the run has come in one commit: a run that is cut off goes on from there.
//! 2. Nothing is done to a version that changed since it was looked at, or by rules that were taken back since.
//! 3. What a preview shows is what a run at that moment would do to the same objects.
//! 4. Memory and the length of a step do not grow with the bucket, nor with the versions of a key.
//!
//! *Stands on*: the verbs beside it, `catalog`, `engine`, `model`.
//! *Never*: decides when a run is due beyond saying so.
//! *Read first*: `scan.rs`, `act.rs`, `run.rs`.

pub mod apply;
pub mod preview;
pub mod run;
pub mod scan;
