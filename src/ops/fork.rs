//! Forks: a bucket that begins as another one is, at no cost, and goes its own way.
//!
//! Both buckets go on over what the first one held: that is written to no more, and each of the two writes into a space
//! of its own on top of it.

use std::sync::Arc;

use super::batch::{self, Step, StepOutcome};
use super::bucket;
use super::context::{BucketRef, Reading};
use super::staged::Staged;
use crate::catalog::note::Said;
use crate::catalog::{BucketState, KINDS, Layer, Route, Rows, Span, keys, layer_ranges};
use crate::engine::Engine;
use crate::env::Planted;
use crate::error::{Error, ErrorKind, Result};
use crate::format::row::{BucketRow, TidyRow};
use crate::format::varint;
use crate::index::Weight;
use crate::model::{BucketName, Durability, Lsn};

/// How many layers a fork may stand on.
pub const MAX_LAYERS: usize = 16;

#[derive(Debug)]
struct ForkStep {
    from: BucketName,
    name: BucketName,
}

impl Step for ForkStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        let parent = staged.bucket_named(&self.from)?;
        let before = parent.route.borrowed();
        let (own, its) = (staged.space(), staged.space());
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        // If nothing was written to the parent since it was forked last, it keeps its upper layers.
        let mut unused = true;
        for span in parent.route.spans() {
            unused &= span.layers.len() > 1 && is_empty(staged, &span.layers[0])?;
        }
        let unused = unused && !before.is_empty();
        for span in parent.route.spans() {
            let (parent_layers, fork_layers) = divide(span, unused, own, its);
            if fork_layers.len() > MAX_LAYERS {
                return Err(Error::new(
                    ErrorKind::Quota,
                    "TooManyForks",
                    format!(
                        "the bucket {} stands on {MAX_LAYERS} layers of forks already; drop some, and let \
                         maintenance run",
                        self.from
                    ),
                ));
            }
            ours.push(Span { prefix: span.prefix.clone(), layers: parent_layers });
            theirs.push(Span { prefix: span.prefix.clone(), layers: fork_layers });
        }
        let (ours, theirs) = (Route::new(ours), Route::new(theirs));
        let row = BucketRow { spans: ours.to_rows(parent.row.id), ..parent.row.clone() };
        staged.put_bucket(&self.from, &row);
        let origin = Some((parent.row.id, self.from.to_string(), staged.now.lsn));
        // A policy of retention stays with the bucket that it was made for.
        let row = BucketRow { parent: origin, spans: theirs.to_rows(0), worm: None, ..parent.row.clone() };
        let id = bucket::make(staged, &self.name, row)?;
        copy_configs(staged, parent.row.id, id)?;
        borrow(staged, &before, &ours.borrowed())?;
        borrow(staged, &[], &theirs.borrowed())?;
        staged.leave(&TidyRow::Settle { bucket: self.from.to_string(), id: parent.row.id });
        staged.leave(&TidyRow::Settle { bucket: self.name.to_string(), id });
        staged.say(Said::Fork { from: self.from.to_string(), bucket: self.name.to_string() });
        Ok(StepOutcome::Number(id))
    }
}

/// Gives a fork the configurations that have rows of their own. What is known of accesses stays with the parent, so in
/// the fork it begins now.
fn copy_configs(staged: &mut Staged<'_>, from: u64, to: u64) -> Result<()> {
    let mut found = Vec::new();
    staged.walk(&keys::config(from, ""), &keys::config(from + 1, ""), &mut |key| {
        found.extend(keys::parse_config(key).map(|(_, name)| name.to_string()));
        Ok(true)
    })?;
    for name in found {
        let Some(row) = staged.get(&keys::config(from, &name))? else { continue };
        let payload = super::lifecycle::for_fork(&name, row.payload, staged.now.millis)?;
        staged.put(keys::config(to, &name), Weight::default(), payload);
    }
    Ok(())
}

/// The layers of a span of the parent and of the fork, from now on.
fn divide(span: &Span, unused: bool, own: u64, its: u64) -> (Vec<Layer>, Vec<Layer>) {
    let top = |space| Layer { space, prefix: span.prefix.clone() };
    let on = |first: Layer, rest: &[Layer]| std::iter::once(first).chain(rest.iter().cloned()).collect();
    if unused {
        return (span.layers.clone(), on(top(its), &span.layers[1..]));
    }
    (on(top(own), &span.layers), on(top(its), &span.layers))
}

/// Whether there is no row in a layer, not even one that hides another.
pub fn is_empty(rows: &impl Rows, layer: &Layer) -> Result<bool> {
    for kind in KINDS {
        for (from, end) in layer_ranges(layer, kind) {
            if rows.next(&from, &end)?.is_some() {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// How many buckets read a space without owning it.
pub fn borrowers(rows: &impl Rows, space: u64) -> Result<u64> {
    let found = rows.get(&keys::space_refs(space))?;
    Ok(found.and_then(|found| varint::take(&mut &found.payload[..])).unwrap_or(0))
}

fn set_borrowers(staged: &mut Staged<'_>, space: u64, count: u64) {
    let mut payload = Vec::new();
    varint::put(&mut payload, count);
    staged.put(keys::space_refs(space), Weight::default(), payload);
}

/// Counts a bucket among those that read these spaces, where nobody is counted though it reads them.
pub fn count_once(staged: &mut Staged<'_>, spaces: &[u64]) -> Result<()> {
    for space in spaces {
        if borrowers(staged, *space)? == 0 {
            set_borrowers(staged, *space, 1);
        }
    }
    Ok(())
}

/// Counts the spaces that a bucket reads now and did not before, and lets go of those that it reads no more.
pub fn borrow(staged: &mut Staged<'_>, before: &[u64], after: &[u64]) -> Result<()> {
    for space in after.iter().filter(|space| !before.contains(space)) {
        let count = borrowers(staged, *space)?;
        set_borrowers(staged, *space, count + 1);
    }
    count_once(staged, after)?;
    for space in before.iter().filter(|space| !after.contains(space)) {
        let_go(staged, *space)?;
    }
    Ok(())
}

/// A bucket reads a space no more. If it was the last one, what is in it goes.
pub fn let_go(staged: &mut Staged<'_>, space: u64) -> Result<()> {
    let count = borrowers(staged, space)?;
    if count > 1 && !staged.now.mistake.is(Planted::LetGoEarly) {
        set_borrowers(staged, space, count - 1);
        return Ok(());
    }
    staged.remove(keys::space_refs(space));
    staged.leave(&TidyRow::Clean { space, prefix: String::new(), keep: Vec::new() });
    Ok(())
}

/// Makes a fork of a bucket: one commit, whatever the bucket holds.
pub fn fork(engine: &Arc<Engine>, from: &str, name: &str) -> Result<BucketRef> {
    let (from, name) = (BucketName::new(from)?, BucketName::new(name)?);
    let step = ForkStep { from, name: name.clone() };
    match batch::commit_one(engine, step, Durability::Synced)? {
        StepOutcome::Number(id) => Ok(BucketRef::new(name, id)),
        _ => unreachable!("a fork comes to a bucket"),
    }
}

/// Where a fork came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The id of the bucket it was made from.
    pub id: u64,
    /// The name which that bucket had.
    pub name: BucketName,
    /// The commit that made the fork.
    pub lsn: Lsn,
}

/// Where a bucket came from; `None` if it is no fork.
pub fn origin(reading: &Reading, bucket: &BucketRef) -> Result<Option<Origin>> {
    let state = reading.with(|moment| bucket.state(moment))?;
    let Some((id, name, lsn)) = &state.row.parent else {
        return Ok(None);
    };
    Ok(Some(Origin { id: *id, name: BucketName::new(name)?, lsn: Lsn(*lsn) }))
}

/// The bucket that a fork was made from.
pub fn parent(reading: &Reading, origin: &Origin) -> Result<BucketRef> {
    let found = reading.with(|moment| crate::catalog::find_bucket(moment, &origin.name))?;
    match found {
        Some(state) if state.row.id == origin.id => Ok(BucketRef::new(state.name.clone(), state.row.id)),
        _ => Err(crate::catalog::no_such_bucket(&origin.name)),
    }
}

/// The bucket that a fork was made from, if it is still there.
pub fn parent_of(rows: &impl Rows, state: &BucketState) -> Result<Option<Arc<BucketState>>> {
    let Some((id, name, _)) = &state.row.parent else {
        return Ok(None);
    };
    Ok(crate::catalog::find_bucket(rows, name)?.filter(|parent| parent.row.id == *id))
}
