//! Prefixes: everything under one removed, or moved under another, in one small commit whatever it is.
//!
//! Nothing is touched but the bucket's route: the prefix leads elsewhere from now on. What lay under it is removed
//! later, in bounded steps.

use std::sync::Arc;

use super::batch::{self, Step, StepOutcome};
use super::chain::{self, Bringing, Chain};
use super::context::{BucketRef, Reading};
use super::copy::unheld;
use super::fork;
use super::list::end_of;
use super::staged::Staged;
use super::tidy;
use crate::catalog::note::Said;
use crate::catalog::{BucketState, HeadRow, Kind, Layer, Route, Span, UPLOAD_SLOT};
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::format::row::{BucketRow, TidyRow};
use crate::model::{Lsn, MAX_KEY_BYTES, ObjectKey, from_millis};

/// Up to so many objects are removed or moved one by one, which leaves the route as simple as it is.
const ONE_BY_ONE: u64 = 64;
/// The most objects that one commit moves one by one, or puts delete markers on.
const MOST_AT_ONCE: u64 = 50_000;
/// So many prefixes of a bucket may lead elsewhere before they are brought back first.
const MAX_SPANS: usize = 64;
/// So many may lead elsewhere inside a transaction, which cannot bring them back; what more it removes goes one by one.
const MOST_SPANS: usize = MAX_SPANS + 16;

/// By so many bytes the place of a key may be longer than the key: the map takes keys of 1,100 bytes, and the longest
/// key of an object has 1,055 there at most, as a version of the retained past.
const SPARE: usize = 40;

/// What removing or renaming a prefix came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PrefixOutcome {
    /// How many objects it was.
    pub objects: u64,
    /// The commit.
    pub lsn: Lsn,
}

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
        let lens = state.lens(staged);
        let any = lens.next(Kind::Head, old.as_bytes(), Some(&end_of(old)))?.is_some();
        if !any || old == new {
            return Ok(StepOutcome::Number(0));
        }
        check_protected(staged, &state, old)?;
        let within = new.starts_with(old.as_str());
        let target = state.lens(staged).next(Kind::Head, new.as_bytes(), Some(&end_of(new)))?;
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
            let body = Bringing::Found(found.body, found.at);
            Chain::new(staged, state).push(&new_key, unheld(head.row), body)?;
        }
        if state.versioning().is_some() {
            // What was there before has stayed, below delete markers.
            Chain::new(staged, state).check_quota()?;
        }
        Ok(())
    }
}

/// What a prefix takes of the room for a key; NULs may be written twice.
fn cost(prefix: &str) -> usize {
    prefix.len() + prefix.bytes().filter(|byte| *byte == 0).count()
}

/// Whether the places that an old prefix leads to are so much longer than the new one that the longest keys under that
/// would not fit into the map.
fn is_cramped(state: &BucketState, old: &str, new: &str) -> bool {
    let around = state.route.span(old.as_bytes());
    let rest = cost(old) - cost(&around.prefix);
    let here = around.layers.iter().map(|layer| (cost(&layer.prefix) + rest, cost(new)));
    let within = state.route.spans().iter().filter(|span| span.prefix.starts_with(old)).flat_map(|span| {
        let logical = cost(new) + cost(&span.prefix) - cost(old);
        span.layers.iter().map(move |layer| (cost(&layer.prefix), logical))
    });
    here.chain(within).any(|(there, logical)| there > logical + SPARE)
}

/// Refuses if a key would not be one any more under its new prefix. Looks at every key, unless they all get shorter.
fn check_new_keys(staged: &Staged<'_>, state: &BucketState, old: &str, new: &str) -> Result<()> {
    if !new.is_empty() && new.len() <= old.len() && cost(new) <= cost(old) {
        return Ok(());
    }
    let lens = state.lens(staged);
    let (mut from, end) = (old.as_bytes().to_vec(), end_of(old));
    while let Some((mut key, _)) = lens.next(Kind::Head, &from, Some(&end))? {
        ObjectKey::new(&format!("{new}{}", String::from_utf8_lossy(&key[old.len()..])))?;
        key.push(0);
        from = key;
    }
    Ok(())
}

/// How many objects are under a prefix.
fn count(staged: &Staged<'_>, state: &BucketState, prefix: &str) -> Result<u64> {
    let totals = state.lens(staged).totals(Kind::Head, prefix.as_bytes(), Some(&end_of(prefix)))?;
    Ok((0..UPLOAD_SLOT).map(|slot| totals.objects(slot).max(0) as u64).sum())
}

fn check_count(objects: u64, prefix: &str) -> Result<()> {
    if objects <= MOST_AT_ONCE {
        return Ok(());
    }
    Err(Error::invalid(
        "TooManyObjects",
        format!(
            "{objects} objects under {prefix:?} would have to be changed one by one, and one commit changes at most \
             {MOST_AT_ONCE}; take longer prefixes"
        ),
    ))
}

/// The current versions and delete markers under a prefix.
fn heads(staged: &Staged<'_>, state: &BucketState, prefix: &str) -> Result<Vec<(String, HeadRow)>> {
    let lens = state.lens(staged);
    let (mut from, end) = (prefix.as_bytes().to_vec(), end_of(prefix));
    let mut found = Vec::new();
    while let Some((mut key, row)) = lens.next(Kind::Head, &from, Some(&end))? {
        let name = String::from_utf8_lossy(&key).into_owned();
        found.push((name.clone(), HeadRow::of(&name, &row)?));
        key.push(0);
        from = key;
    }
    Ok(found)
}

/// Refuses if a version under a prefix is protected.
pub fn check_protected(staged: &Staged<'_>, state: &BucketState, prefix: &str) -> Result<()> {
    if !state.row.guarded && state.row.worm.is_none() {
        return Ok(());
    }
    let now = from_millis(staged.now.millis);
    let lens = state.lens(staged);
    for (key, head) in heads(staged, state, prefix)? {
        let mut rows = vec![head];
        let mut after = Vec::new();
        while let Some((tail, found)) = lens.next_version(Kind::Version, key.as_bytes(), &after)? {
            rows.push(HeadRow::of(&key, &found)?);
            after = tail;
        }
        if let Some(why) = rows.iter().find_map(|head| chain::protection(state, head, now)) {
            return Err(chain::immutable(&key, &why));
        }
    }
    Ok(())
}

/// The spans that have nothing to do with a prefix.
fn outside(state: &BucketState, prefix: &str) -> Vec<Span> {
    state.route.spans().iter().filter(|span| !span.prefix.starts_with(prefix)).cloned().collect()
}

/// Gives a bucket another route, and leaves to be removed what the new one does not lead to under these prefixes.
fn reroute(staged: &mut Staged<'_>, state: &BucketState, route: &Route, prefixes: &[&str]) -> Result<()> {
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
        staged.leave(&TidyRow::Clean { space: layer.space, prefix: layer.prefix, keep });
    }
    // A space that is led to no more goes whole, with what earlier routes have left in it.
    for space in state.route.own_spaces() {
        if !route.layers().any(|layer| layer.space == space) {
            staged.leave(&TidyRow::Clean { space, prefix: String::new(), keep: Vec::new() });
        }
    }
    let row = BucketRow { spans: route.to_rows(state.row.id), ..state.row.clone() };
    staged.put_bucket(&state.name, &row);
    fork::borrow(staged, &state.route.borrowed(), &route.borrowed())?;
    staged.leave(&TidyRow::Settle { bucket: state.name.to_string(), id: state.row.id });
    Ok(())
}

/// Refuses what can be the beginning of no key.
pub fn check_prefix(prefix: &str) -> Result<()> {
    if prefix.len() > MAX_KEY_BYTES || prefix.starts_with(['/', '\\']) {
        return Err(Error::invalid(
            "InvalidArgument",
            format!(
                "a prefix has at most {MAX_KEY_BYTES} bytes and does not start with a slash or a backslash"
            ),
        ));
    }
    Ok(())
}

/// Brings prefixes back that lead elsewhere, if there are so many that reading would suffer.
fn make_way(engine: &Arc<Engine>, bucket: &BucketRef) -> Result<()> {
    let spans = || Reading::newest(engine).with(|moment| Ok(bucket.state(moment)?.route.spans().len()));
    while spans()? >= MAX_SPANS {
        if !tidy::step(engine)? {
            return Err(Error::new(
                ErrorKind::Busy,
                "OperationConflict",
                format!(
                    "{MAX_SPANS} prefixes of the bucket {} were removed or renamed and something still reads what \
                     was there: a fork, or the retained past; try again when that is gone",
                    bucket.name
                ),
            ));
        }
    }
    Ok(())
}

/// Removes everything under a prefix.
pub fn delete_prefix(engine: &Arc<Engine>, bucket: &BucketRef, prefix: &str) -> Result<PrefixOutcome> {
    check_prefix(prefix)?;
    engine.check_writable()?;
    make_way(engine, bucket)?;
    commit(engine, DeletePrefixStep { bucket: bucket.clone(), prefix: prefix.to_string() })
}

/// The step of removing everything under a prefix inside a transaction. Removed is what is there as the steps before it
/// leave it. `has_turn` says that the transaction has the turn to write.
pub fn delete_step(
    engine: &Arc<Engine>,
    bucket: &BucketRef,
    prefix: &str,
    has_turn: bool,
) -> Result<DeletePrefixStep> {
    check_prefix(prefix)?;
    engine.check_writable()?;
    if !has_turn {
        match make_way(engine, bucket) {
            // A bucket that is not there is told when the step has its turn, as by the other steps.
            Err(error) if error.is_not_found() => {}
            done => done?,
        }
    }
    Ok(DeletePrefixStep { bucket: bucket.clone(), prefix: prefix.to_string() })
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
    make_way(engine, bucket)?;
    let (prefix, new_prefix) = (prefix.to_string(), new_prefix.to_string());
    commit(engine, RenamePrefixStep { bucket: bucket.clone(), prefix, new_prefix })
}

fn commit(engine: &Arc<Engine>, step: impl Step + 'static) -> Result<PrefixOutcome> {
    let (outcomes, lsn) = batch::commit(engine, batch::Batch::of(step), engine.settings().durability)?;
    let objects = match outcomes.first() {
        Some(StepOutcome::Number(objects)) => *objects,
        _ => 0,
    };
    Ok(PrefixOutcome { objects, lsn })
}

/// The span around a prefix and the place that the prefix would have in it.
pub fn home_of(route: &Route, prefix: &str) -> Option<(Span, Vec<Layer>)> {
    let around = route.around(prefix)?.clone();
    let there = |layer: &Layer| Layer {
        space: layer.space,
        prefix: format!("{}{}", layer.prefix, &prefix[around.prefix.len()..]),
    };
    let layers = around.layers.iter().map(there).collect();
    Some((around, layers))
}
