//! The preview: what a run at some moment would do to the objects that are there now; nothing is changed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use super::apply::version_of;
use super::scan::{Bounds, Due, Scan, What};
use crate::catalog::{BucketState, Moment};
use crate::error::Result;
use crate::format::row::PlaceRow;
use crate::model::{LifecycleAction, Plan, UploadId, VersionId, to_millis};
use crate::write::context::{BucketRef, Reading};

/// How much is looked at before something is handed out.
const BOUNDS: Bounds = Bounds { seen: 4096, due: 256 };

/// What a run would do to a version or an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LifecycleDue {
    /// The key.
    pub key: String,
    /// The version; `None` in a bucket that never kept versions, and for an upload.
    pub version: Option<VersionId>,
    /// The upload, if it is one that is aborted.
    pub upload: Option<UploadId>,
    /// What is done.
    pub action: LifecycleAction,
    /// The name of the rule.
    pub rule: String,
}

/// A preview, from the first key on.
#[derive(Debug)]
pub struct PreviewWalk {
    reading: Reading,
    state: Arc<BucketState>,
    plan: Option<Plan>,
    millis: u64,
    next: Option<PlaceRow>,
    ready: VecDeque<LifecycleDue>,
}

impl PreviewWalk {
    /// Begins a preview of the daily run at the last midnight (UTC) at or before a moment; without one, of a run that is
    /// asked for now.
    pub fn begin(reading: &Reading, bucket: &BucketRef, at: Option<SystemTime>) -> Result<PreviewWalk> {
        let engine = &reading.engine;
        // What readers have touched and nobody wrote down counts as well, where it can be written down.
        if reading.pinned.is_none() {
            crate::write::access_times::flush_all(engine)?;
        }
        let reading = Reading { pinned: Some(reading.pin()?), ..reading.clone() };
        let state = reading.with(|moment| bucket.state(moment))?;
        let millis = at.map_or_else(|| reading.engine.millis(), to_millis);
        let plan = state.lifecycle.as_ref().map(|rules| match at {
            Some(_) => Plan::new(rules, millis),
            None => Plan::asked(rules, millis),
        });
        let next = plan.as_ref().map(|_| PlaceRow::default());
        Ok(PreviewWalk { reading, state, plan, millis, next, ready: VecDeque::new() })
    }

    /// What comes next.
    pub fn advance(&mut self) -> Result<Option<LifecycleDue>> {
        while self.ready.is_empty() {
            let (Some(place), Some(plan)) = (self.next.take(), &self.plan) else {
                return Ok(None);
            };
            let (state, millis) = (&self.state, self.millis);
            let stretch = self
                .reading
                .with(|moment: &Moment<'_>| Scan { moment, state, plan, millis }.stretch(&place, BOUNDS))?;
            let versioned = state.versioning().is_some();
            let told = |due: Due| LifecycleDue {
                version: version_of(&due).filter(|_| versioned).cloned(),
                upload: match &due.what {
                    What::Upload(id) => Some(id.clone()),
                    _ => None,
                },
                action: due.act.action,
                rule: plan.name(due.act.rule).to_string(),
                key: due.key,
            };
            self.ready.extend(stretch.due.into_iter().map(told));
            self.next = stretch.next;
        }
        Ok(self.ready.pop_front())
    }
}
