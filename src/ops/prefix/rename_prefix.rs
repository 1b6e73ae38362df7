//! Renaming everything under a prefix in one small commit.

use std::sync::Arc;

use super::checks::{
    ONE_BY_ONE, check_count, check_new_keys, check_prefix, check_protected, count, heads, is_cramped, outside,
};
use crate::catalog::changes::note::Said;
use crate::catalog::{BucketState, Kind, Layer, Route, Span};
use crate::engine::state::engine::Engine;
use crate::error::Result;
use crate::format::row::{BucketRow, PendingWork};
use crate::model::{Lsn, ObjectKey};
use crate::ops::copy::copy::unheld;
use crate::ops::listing::walk::end_of;
use crate::write::context::BucketRef;
use crate::write::outcome::StepOutcome;
use crate::write::staged::overlay::Staged;
use crate::write::step::Step;
use crate::write::version_chain::{BodySource, Chain};
use crate::write::{batch, commit, spaces};

/// What removing or renaming a prefix came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PrefixOutcome {
    /// How many objects it was.
    pub objects: u64,
    /// The commit.
    pub lsn: Lsn,
}

#[derive(Debug)]
struct RenamePrefixStep {
    bucket: BucketRef,
    prefix: String,
    new_prefix: String,
}

impl Step for RenamePrefixStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        let state = staged.bucket(&self.bucket)?;
        let (old, new) = (&self.prefix, &self.new_prefix);
        let objects = count(staged, &state, old)?;
        let bucket_view = state.bucket_view(staged);
        let any = bucket_view.next(Kind::Head, old.as_bytes(), Some(&end_of(old)))?.is_some();
        if !any || old == new {
            return Ok(StepOutcome::Number(0));
        }
        check_protected(staged, &state, old)?;
        let within = new.starts_with(old.as_str());
        let target = state.bucket_view(staged).next(Kind::Head, new.as_bytes(), Some(&end_of(new)))?;
        // Where they lie, keys go on under the long prefix, and not every key would have room behind it.
        let merges = target.is_some() && !within || is_cramped(&state, old, new);
        // One by one, older versions would stay behind.
        let versioned = state.versioning().is_some();
        if merges || (objects <= ONE_BY_ONE && !versioned) {
            self.one_by_one(staged, &state, objects)?;
            return Ok(StepOutcome::Number(objects));
        }
        check_new_keys(staged, &state, old, new)?;
        // Every span under the old prefix goes under the new one, and so does what the span around it holds there.
        let around = state.route.span(old.as_bytes()).clone();
        let moved = |layer: &Layer| Layer {
            space: layer.space,
            prefix: format!("{}{}", layer.prefix, &old[around.prefix.len()..]),
        };
        let mut spans: Vec<Span> = outside(&state, old);
        spans.retain(|span| !span.prefix.starts_with(new.as_str()));
        for span in state.route.spans().iter().filter(|span| span.prefix.starts_with(old.as_str())) {
            let prefix = format!("{new}{}", &span.prefix[old.len()..]);
            spans.push(Span { prefix, layers: span.layers.clone() });
        }
        if !spans.iter().any(|span| span.prefix == *new) {
            spans.push(Span { prefix: new.clone(), layers: around.layers.iter().map(moved).collect() });
        }
        let fresh = Layer { space: staged.space(), prefix: old.clone() };
        spans.push(Span { prefix: old.clone(), layers: vec![fresh] });
        let route = Route::new(spans);
        reroute(staged, &state, &route, &[old, new])?;
        let (bucket, prefix, new_prefix) = (state.name.to_string(), old.clone(), new.clone());
        staged.say(Said::RenamePrefix { bucket, prefix, new_prefix });
        Ok(StepOutcome::Number(objects))
    }
}

impl RenamePrefixStep {
    /// Object by object: few of them, or among others that are there already and that they replace.
    fn one_by_one(&self, staged: &mut Staged<'_>, state: &BucketState, objects: u64) -> Result<()> {
        check_count(objects, &self.prefix)?;
        let mut moved = Vec::new();
        for (key, head) in heads(staged, state, &self.prefix)? {
            if head.row.is_marker() {
                continue;
            }
            let new_key = format!("{}{}", self.new_prefix, &key[self.prefix.len()..]);
            ObjectKey::new(&new_key)?;
            let mut chain = Chain::new(staged, state);
            let (head, found) = chain.object(&key, None)?;
            chain.delete(&key)?;
            moved.push((new_key, head, found));
        }
        // Only now: under a longer prefix the new keys may be among the old ones.
        for (new_key, mut head, found) in moved {
            head.row.release();
            let body = BodySource::Found(found.body, found.at);
            Chain::new(staged, state).push(&new_key, unheld(head.row), body)?;
        }
        if state.versioning().is_some() {
            // What was there before has stayed, below delete markers.
            Chain::new(staged, state).check_quota()?;
        }
        Ok(())
    }
}

/// Gives a bucket another route, and leaves to be removed what the new one does not lead to under these prefixes.
pub(super) fn reroute(
    staged: &mut Staged<'_>,
    state: &BucketState,
    route: &Route,
    prefixes: &[&str],
) -> Result<()> {
    let own = state.route.own_spaces();
    let mut gone: Vec<Layer> = Vec::new();
    for prefix in prefixes {
        // Only what lies in spaces that are written to is the bucket's own, be it beneath another layer that is being
        // folded into it; the other layers go when nobody reads them any more.
        let is_own = |layer: &&Layer| own.contains(&layer.space);
        for span in state.route.spans().iter().filter(|span| span.prefix.starts_with(prefix)) {
            gone.extend(span.layers.iter().filter(is_own).cloned());
        }
        let span = state.route.span(prefix.as_bytes());
        if span.prefix.len() < prefix.len() {
            for layer in span.layers.iter().filter(is_own) {
                let there = format!("{}{}", layer.prefix, &prefix[span.prefix.len()..]);
                gone.push(Layer { space: layer.space, prefix: there });
            }
        }
    }
    gone.sort();
    gone.dedup();
    for layer in gone {
        let leads = |other: &&Layer| other.space == layer.space && other.prefix.starts_with(&layer.prefix);
        if route.reads(&layer) {
            continue;
        }
        let keep = route.layers().filter(leads).map(|other| other.prefix.clone()).collect();
        staged.leave(&PendingWork::Clean { space: layer.space, prefix: layer.prefix, keep });
    }
    // A space that is led to no more goes whole, with what earlier routes have left in it.
    for space in state.route.own_spaces() {
        if !route.layers().any(|layer| layer.space == space) {
            staged.leave(&PendingWork::Clean { space, prefix: String::new(), keep: Vec::new() });
        }
    }
    let row = BucketRow { spans: route.to_rows(state.row.id), ..state.row.clone() };
    staged.put_bucket(&state.name, &row);
    spaces::borrow(staged, &state.route.borrowed(), &route.borrowed())?;
    staged.leave(&PendingWork::Settle { bucket: state.name.to_string(), id: state.row.id });
    Ok(())
}

/// Moves everything under a prefix to another one.
pub fn rename_prefix(
    engine: &Arc<Engine>,
    bucket: &BucketRef,
    prefix: &str,
    new_prefix: &str,
) -> Result<PrefixOutcome> {
    check_prefix(prefix)?;
    check_prefix(new_prefix)?;
    engine.check_writable()?;
    let (prefix, new_prefix) = (prefix.to_string(), new_prefix.to_string());
    commit(engine, RenamePrefixStep { bucket: bucket.clone(), prefix, new_prefix })
}

pub(super) fn commit(engine: &Arc<Engine>, step: impl Step + 'static) -> Result<PrefixOutcome> {
    let (outcomes, lsn) = commit::commit(engine, batch::Batch::of(step), engine.settings().durability)?;
    let objects = match outcomes.first() {
        Some(StepOutcome::Number(objects)) => *objects,
        _ => 0,
    };
    Ok(PrefixOutcome { objects, lsn })
}
