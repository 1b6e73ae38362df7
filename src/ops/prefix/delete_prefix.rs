//! Deleting everything under a prefix.

use std::sync::Arc;

use super::checks::{
    MOST_SPANS, ONE_BY_ONE, check_count, check_prefix, check_protected, count, heads, outside,
};
use super::rename_prefix::{PrefixOutcome, commit, reroute};
use crate::catalog::changes::note::Said;
use crate::catalog::{Layer, Route, Span};
use crate::engine::state::engine::Engine;
use crate::error::Result;
use crate::write::context::BucketRef;
use crate::write::outcome::StepOutcome;
use crate::write::staged::overlay::Staged;
use crate::write::step::Step;
use crate::write::version_chain::Chain;

/// The step of removing everything under a prefix.
#[derive(Debug)]
pub struct DeletePrefixStep {
    bucket: BucketRef,
    prefix: String,
}

impl Step for DeletePrefixStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        let state = staged.bucket(&self.bucket)?;
        let objects = count(staged, &state, &self.prefix)?;
        check_protected(staged, &state, &self.prefix)?;
        let versioned = state.versioning().is_some();
        if objects == 0 {
            return Ok(StepOutcome::Number(0));
        }
        if versioned || objects <= ONE_BY_ONE || state.route.spans().len() >= MOST_SPANS {
            check_count(objects, &self.prefix)?;
            for (key, head) in heads(staged, &state, &self.prefix)? {
                if !head.row.is_marker() {
                    Chain::new(staged, &state).delete(&key)?;
                }
            }
            return Ok(StepOutcome::Number(objects));
        }
        let fresh = Layer { space: staged.space(), prefix: self.prefix.clone() };
        let mut spans = outside(&state, &self.prefix);
        spans.push(Span { prefix: self.prefix.clone(), layers: vec![fresh] });
        let route = Route::new(spans);
        reroute(staged, &state, &route, &[&self.prefix])?;
        let (bucket, prefix) = (state.name.to_string(), self.prefix.clone());
        staged.say(Said::DeletePrefix { bucket, prefix });
        Ok(StepOutcome::Number(objects))
    }

    fn frees(&self) -> bool {
        true
    }
}

/// Removes everything under a prefix.
pub fn delete_prefix(engine: &Arc<Engine>, bucket: &BucketRef, prefix: &str) -> Result<PrefixOutcome> {
    check_prefix(prefix)?;
    engine.check_writable()?;
    commit(engine, DeletePrefixStep { bucket: bucket.clone(), prefix: prefix.to_string() })
}

/// The step of removing everything under a prefix inside a transaction. Removed is what is there as the steps before it
/// leave it.
pub fn delete_step(engine: &Arc<Engine>, bucket: &BucketRef, prefix: &str) -> Result<DeletePrefixStep> {
    check_prefix(prefix)?;
    engine.check_writable()?;
    Ok(DeletePrefixStep { bucket: bucket.clone(), prefix: prefix.to_string() })
}
