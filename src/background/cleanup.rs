//! Tidying: the work that commits have left behind, done in bounded steps.
//!
//! 1. *Clean*: rows that no route leads to any more are removed.
//! 2. *Blob*: the pieces of a body that nothing refers to any more are removed.
//! 3. *Settle*: what lies in several layers, of which the lower one is nobody else's any more, is moved into the lower
//!    one; a prefix that leads to where it would lead anyway is led there no more.
//!
//! Every step is a commit, and readers see the same before and after it.

use std::sync::Arc;

use crate::catalog::changes::note::Said;
use crate::catalog::keyspace::keys;
use crate::catalog::{
    self, BucketState, HeadRow, KINDS, Kind, Layer, Route, Rows, Span, layer_ranges, unreadable,
};
use crate::engine;
use crate::engine::state::engine::Engine;
use crate::env::Planted;
use crate::error::{Error, ErrorKind, Result};
use crate::format::entry::BlobId;
use crate::format::row::{self, BucketRow, PendingWork};
use crate::model::Durability;
use crate::ops::prefix::checks::MAX_SPANS;
use crate::write::batch::Batch;
use crate::write::context::{BucketRef, Reading};
use crate::write::outcome::StepOutcome;
use crate::write::spaces::{self, home_of};
use crate::write::staged::overlay::Staged;
use crate::write::step::Step;

/// How many rows one step touches at most.
const ROWS: usize = 256;

/// Does one step of the work that is left. Says whether there was any that can be done now.
pub fn step(engine: &Arc<Engine>) -> Result<bool> {
    let reading = Reading::newest(engine);
    let mut left = Vec::new();
    reading.with(|moment| {
        let (from, end) = keys::all_tidy();
        moment.walk(&from, &end, &mut |key| {
            left.push(key.to_vec());
            Ok(left.len() < 1024)
        })
    })?;
    let horizon = crate::ops::bucket::history::horizon(engine)?;
    for key in left {
        let found = reading.with(|moment| moment.get(&key))?;
        let Some(found) = found else { continue };
        let work: PendingWork = row::decode(&found.payload).map_err(unreadable)?;
        let since = keys::numbered_lsn(&key).unwrap_or(0);
        if matches!(work, PendingWork::Erase { .. } | PendingWork::Shred { .. }) {
            continue;
        }
        if matches!(work, PendingWork::Clean { .. }) && horizon.is_some_and(|horizon| since > horizon) {
            // The retained past still reads it.
            continue;
        }
        // Rows that nothing leads to have no past to keep; rows that move have.
        let keeps = !matches!(work, PendingWork::Clean { .. } | PendingWork::Blob { .. });
        let batch = Batch::of(TidyStep { key, work });
        let batch = if keeps { batch.keeping_past() } else { batch };
        let (batch, committed) = engine.commit(batch, Durability::Buffered);
        committed?;
        if matches!(batch.outcomes.first(), Some(StepOutcome::Number(1))) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[derive(Debug)]
struct TidyStep {
    key: Vec<u8>,
    work: PendingWork,
}

impl Step for TidyStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        if !staged.has(&self.key)? {
            return Ok(StepOutcome::Number(0));
        }
        let did = match &self.work {
            PendingWork::Clean { space, prefix, keep } => {
                let layer = Layer { space: *space, prefix: prefix.clone() };
                self.clean(staged, &layer, keep)?
            }
            PendingWork::Blob { lsn, n } => self.remove_pieces(staged, BlobId { lsn: *lsn, n: *n })?,
            // That is more than tidying.
            PendingWork::Erase { .. } | PendingWork::Shred { .. } => false,
            PendingWork::Settle { bucket, id } => match catalog::find_bucket(staged, bucket)? {
                Some(state) if state.row.id == *id => self.settle(staged, &state)?,
                _ => {
                    staged.remove(self.key.clone());
                    true
                }
            },
        };
        if did {
            staged.say(Said::Tidied);
        }
        Ok(StepOutcome::Number(u64::from(did)))
    }

    fn frees(&self) -> bool {
        !matches!(self.work, PendingWork::Settle { .. })
    }
}

impl TidyStep {
    fn clean(&self, staged: &mut Staged<'_>, layer: &Layer, keep: &[String]) -> Result<bool> {
        let keep = if staged.now.mistake.is(Planted::CleanAll) { &[] } else { keep };
        let mut found = Vec::new();
        for kind in KINDS {
            for (mut from, end) in layer_ranges(layer, kind) {
                while found.len() < ROWS {
                    let Some(key) = staged.next(&from, &end)? else { break };
                    let place = keys::parse_place(&key).ok_or_else(|| unreadable("a key is in no space"))?;
                    let kept = keep.iter().find(|prefix| place.key.starts_with(prefix.as_bytes()));
                    if let Some(kept) = kept {
                        match keys::behind(kept.as_bytes()) {
                            Some(behind) => from = keys::bound(kind, place.shadow, layer.space, &behind),
                            None => break,
                        }
                        continue;
                    }
                    from = key.clone();
                    from.push(0);
                    found.push(key);
                }
            }
        }
        if found.is_empty() {
            staged.remove(self.key.clone());
        }
        found.into_iter().for_each(|key| staged.remove(key));
        Ok(true)
    }

    fn remove_pieces(&self, staged: &mut Staged<'_>, blob: BlobId) -> Result<bool> {
        let mut found = Vec::new();
        let (from, end) = (engine::piece_key(blob, 0), engine::end_key(blob));
        staged.walk(&from, &end, &mut |key| {
            found.push(key.to_vec());
            Ok(found.len() < ROWS)
        })?;
        if found.len() < ROWS {
            staged.remove(engine::head_key(blob));
            staged.remove(self.key.clone());
        }
        found.into_iter().for_each(|key| staged.remove(key));
        Ok(true)
    }

    /// One step towards the simplest route.
    fn settle(&self, staged: &mut Staged<'_>, state: &BucketState) -> Result<bool> {
        let route = &state.route;
        if route.own_space() == Some(state.row.id) {
            staged.remove(self.key.clone());
            return Ok(true);
        }
        for span in route.spans() {
            if span.layers.len() > 1 {
                let below = &span.layers[1];
                let own = u64::from(route.borrowed().contains(&below.space));
                let shared = spaces::borrowers(staged, below.space)? > own;
                if !shared && self.fold(staged, state, span)? {
                    return Ok(true);
                }
                continue;
            }
            let Some((around, home)) = home_of(route, &span.prefix) else { continue };
            if around.layers.len() > 1 {
                continue;
            }
            if span.layers == home {
                let spans = route.spans().iter().filter(|other| *other != span).cloned().collect();
                self.set_route(staged, state, Route::new(spans))?;
                return Ok(true);
            }
            let own = &span.layers[0];
            let overlaps = |other: &&Layer| {
                other.space == home[0].space
                    && (other.prefix.starts_with(&home[0].prefix)
                        || home[0].prefix.starts_with(&other.prefix))
            };
            let around_only = |other: &&Layer| *other != &around.layers[0];
            let read = route.layers().filter(around_only).any(|other| overlaps(&other));
            let free = !read && !is_being_cleaned(staged, &home[0])? && spaces::is_empty(staged, &home[0])?;
            if free {
                let layers = vec![own.clone(), home[0].clone()];
                let mut spans: Vec<Span> = route.spans().to_vec();
                if let Some(same) = spans.iter_mut().find(|other| *other == span) {
                    same.layers = layers;
                }
                self.set_route(staged, state, Route::new(spans))?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn set_route(&self, staged: &mut Staged<'_>, state: &BucketState, route: Route) -> Result<()> {
        let row = BucketRow { spans: route.to_rows(state.row.id), ..state.row.clone() };
        staged.put_bucket(&state.name, &row);
        borrow_changes(staged, state, &route)
    }

    /// Moves rows of the upper layer of a span into the one below; without any, the upper layer goes.
    fn fold(&self, staged: &mut Staged<'_>, state: &BucketState, span: &Span) -> Result<bool> {
        let (upper, lower) = (&span.layers[0], &span.layers[1]);
        let mut moved = 0;
        for kind in KINDS {
            for (mut from, end) in layer_ranges(upper, kind) {
                while moved < ROWS {
                    let Some(key) = staged.next(&from, &end)? else { break };
                    let place = keys::parse_place(&key).ok_or_else(|| unreadable("a key is in no space"))?;
                    let logical = [span.prefix.as_bytes(), &place.key[upper.prefix.len()..]].concat();
                    let counts = state.route.span(&logical);
                    if counts != span {
                        // Another span leads this key elsewhere. What lies here is nobody's, or that of a span
                        // that came here by another name.
                        let Some(behind) = keys::behind(counts.prefix.as_bytes()) else { break };
                        let there = [upper.prefix.as_bytes(), &behind[span.prefix.len()..]].concat();
                        from = keys::bound(kind, place.shadow, upper.space, &there);
                        continue;
                    }
                    self.fold_row(staged, span, (upper, lower), kind, &place)?;
                    moved += 1;
                    from = key;
                    from.push(0);
                }
            }
        }
        if moved > 0 {
            return Ok(true);
        }
        let mut spans: Vec<Span> = state.route.spans().to_vec();
        if let Some(same) = spans.iter_mut().find(|other| *other == span) {
            same.layers.remove(0);
        }
        let route = Route::new(spans);
        if state.route.borrowed().contains(&lower.space) {
            leave_dead(staged, &route, lower.space);
        }
        self.set_route(staged, state, route).map(|()| true)
    }

    fn fold_row(
        &self,
        staged: &mut Staged<'_>,
        span: &Span,
        (upper, lower): (&Layer, &Layer),
        kind: Kind,
        place: &keys::Placed,
    ) -> Result<()> {
        let rest = &place.key[upper.prefix.len()..];
        let there = [lower.prefix.as_bytes(), rest].concat();
        let at = |shadow, layer: &Layer, key: &[u8]| keys::place(kind, shadow, layer.space, key, &place.tail);
        let (row, shadow) = (at(false, upper, &place.key), at(true, upper, &place.key));
        let (row_there, shadow_there) = (at(false, lower, &there), at(true, lower, &there));
        // What the layers further down have must stay hidden.
        if span.layers.len() > 2 && !staged.has(&shadow_there)? {
            let beneath = below(staged, span, 2, kind, rest, &place.tail)?;
            if let Some(weight) = beneath {
                staged.put(shadow_there, weight, Vec::new());
            }
        }
        match staged.get(&row)? {
            Some(found) => {
                let payload = match kind {
                    Kind::Head | Kind::Version => {
                        row::encode(&HeadRow::of(&String::from_utf8_lossy(rest), &found)?.kept())
                    }
                    Kind::Null | Kind::Hold => found.payload,
                };
                staged.put_found(row_there, found.weight, found.body, found.at, payload);
                staged.remove(row);
            }
            None => staged.remove(row_there),
        }
        staged.remove(shadow);
        Ok(())
    }
}

/// While others read a space, what this bucket's route no longer leads to had to stay in it. Now that it is this
/// bucket's alone, that can go.
fn leave_dead(staged: &mut Staged<'_>, route: &Route, space: u64) {
    for (prefix, keep) in catalog::unread(&[route], space) {
        staged.leave(&PendingWork::Clean { space, prefix, keep });
    }
}

/// Whether rows of a layer are still to be removed.
fn is_being_cleaned(staged: &Staged<'_>, layer: &Layer) -> Result<bool> {
    let (from, end) = keys::all_tidy();
    let mut found = false;
    staged.walk(&from, &end, &mut |key| {
        let Some(row) = staged.get(key)? else { return Ok(true) };
        if let PendingWork::Clean { space, prefix, .. } = row::decode(&row.payload).map_err(unreadable)? {
            let overlaps = prefix.starts_with(&layer.prefix) || layer.prefix.starts_with(&prefix);
            found |= space == layer.space && overlaps;
        }
        Ok(!found)
    })?;
    Ok(found)
}

/// What the layers of a span from `skip` on show under a key: its weight.
fn below(
    staged: &Staged<'_>,
    span: &Span,
    skip: usize,
    kind: Kind,
    rest: &[u8],
    tail: &[u8],
) -> Result<Option<crate::index::Weight>> {
    for layer in &span.layers[skip..] {
        let key = [layer.prefix.as_bytes(), rest].concat();
        if let Some(found) = staged.get(&keys::place(kind, false, layer.space, &key, tail))? {
            return Ok(Some(found.weight));
        }
        if staged.has(&keys::place(kind, true, layer.space, &key, tail))? {
            return Ok(None);
        }
    }
    Ok(None)
}

/// Counts the spaces of other buckets anew. A layer that a bucket reads beneath one of its own and that nobody else
/// has ever read is not counted.
fn borrow_changes(staged: &mut Staged<'_>, state: &BucketState, route: &Route) -> Result<()> {
    let own = |space: &u64| route.spans().iter().any(|span| span.layers[0].space == *space);
    for space in state.route.borrowed() {
        let gone = !route.borrowed().contains(&space);
        if gone && spaces::borrowers(staged, space)? > 0 {
            if own(&space) {
                // It is this bucket's own again.
                staged.remove(keys::space_refs(space));
            } else {
                spaces::let_go(staged, space)?;
            }
        }
    }
    // What it wrote to until now and only reads from now on was not counted so far.
    spaces::count_once(staged, &route.borrowed())
}

/// Brings prefixes back that lead elsewhere, if there are so many that reading would suffer.
pub fn make_way(engine: &Arc<Engine>, bucket: &BucketRef) -> Result<()> {
    let spans = || Reading::newest(engine).with(|moment| Ok(bucket.state(moment)?.route.spans().len()));
    while spans()? >= MAX_SPANS {
        if !step(engine)? {
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
