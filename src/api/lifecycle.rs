//! Lifecycle rules: what they would do, what they did, and carrying them out at once.

use std::time::SystemTime;

use super::bucket::Bucket;
use crate::background::lifecycle::preview::{LifecycleDue, PreviewWalk};
use crate::background::lifecycle::run;
use crate::error::Result;
use crate::model::{LifecycleCounts, LifecycleReport};

impl Bucket {
    /// What the lifecycle rules would do to what is in the bucket now, in the daily run at the last midnight (UTC) at or
    /// before `at`, which leaves alone what was written, and rules that were set, since then; without `at`, what
    /// [`run_lifecycle`](Bucket::run_lifecycle) would do now. Nothing is changed. In the order of keys, of each key the
    /// newest version first, uploads at the end.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// # let store = ossicle::Store::in_memory()?;
    /// # let bucket = store.create_bucket("cats")?;
    /// use ossicle::{Lifecycle, LifecycleAction, Rule};
    /// use std::time::{Duration, SystemTime};
    /// bucket.put("logs/today", b"...")?;
    /// bucket.set_config(&Lifecycle::new([Rule::new("logs/").id("old logs").expire_after(30)]))?;
    /// let in_40_days = SystemTime::now() + Duration::from_secs(40 * 24 * 60 * 60);
    /// let due = bucket.lifecycle_preview(Some(in_40_days))?.collect::<ossicle::Result<Vec<_>>>()?;
    /// assert_eq!((&due[0].key[..], due[0].action, &due[0].rule[..]), ("logs/today", LifecycleAction::Expire, "old logs"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `NoSuchBucket` if the bucket was removed. Also [those of reading](crate::Store#errors-of-reading).
    pub fn lifecycle_preview(&self, at: Option<SystemTime>) -> Result<LifecyclePreview> {
        PreviewWalk::begin(&self.reading(), self.reference(), at).map(LifecyclePreview)
    }

    /// What the last run of the lifecycle rules did in this bucket, or has done so far if it is still at it; `None` if
    /// none came to it yet. Runs are made by maintenance, once a day at 00:00 UTC by the store's clock; the first one at
    /// the first midnight after rules were set. A store that was closed then makes up for it.
    ///
    /// # Errors
    /// `NoSuchBucket` if the bucket was removed. Also [those of reading](crate::Store#errors-of-reading).
    pub fn lifecycle_report(&self) -> Result<Option<LifecycleReport>> {
        run::report(&self.reading(), self.reference())
    }

    /// Carries the lifecycle rules out now, without waiting for the next midnight: what the run of today would do if the
    /// rules had been there by then. Days count as always; what is due by a date may be of today.
    ///
    /// # Errors
    /// `NoSuchBucket` if the bucket was removed. Also [those of writing](crate::Store#errors-of-writing). What was
    /// done by then stays done.
    pub fn run_lifecycle(&self) -> Result<LifecycleCounts> {
        run::run_bucket(self.engine(), self.reference())
    }
}

/// What lifecycle rules would do. Shows one moment from the first entry to the last.
#[derive(Debug)]
pub struct LifecyclePreview(PreviewWalk);

impl Iterator for LifecyclePreview {
    type Item = Result<LifecycleDue>;

    fn next(&mut self) -> Option<Result<LifecycleDue>> {
        self.0.advance().transpose()
    }
}
