//! A step: one change to the rows, decided inside the commit.

use std::fmt::Debug;

use super::outcome::StepOutcome;
use crate::error::Result;
use crate::segment::Placed;
use crate::write::staged::overlay::Staged;

/// One step of a batch: what a verb does to the rows, decided in its turn.
pub trait Step: Debug + Send + Sync {
    /// Applies the step to the rows as the steps before it leave them. An error leaves no trace.
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome>;

    /// Whether it only gives room back, so that it may use what is kept free for that.
    fn frees(&self) -> bool {
        false
    }

    /// Hears that what it was applied for last does not come to be. It may be applied again.
    fn undone(&self) {}

    /// The streamed body that must be durable before the commit is.
    fn placed(&self) -> Option<&Placed> {
        None
    }

    /// Another one of the kind, if the step has two.
    fn placed_beside(&self) -> Option<&Placed> {
        None
    }

    /// Bytes of body that wait in memory for the commit.
    fn memory(&self) -> usize {
        0
    }
}
