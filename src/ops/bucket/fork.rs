//! Forks: a bucket that begins as another one is, at no cost, and goes its own way.
//!
//! Both buckets go on over what the first one held: that is written to no more, and each of the two writes into a space
//! of its own on top of it.

use std::sync::Arc;

use super::lifetime;
use crate::catalog::changes::note::Said;
use crate::catalog::keyspace::keys;
use crate::catalog::{Layer, Route, Rows, Span};
use crate::engine::state::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::format::row::{BucketRow, PendingWork};
use crate::index::Weight;
use crate::model::{BucketName, Durability};
use crate::write::commit;
use crate::write::context::BucketRef;
use crate::write::outcome::StepOutcome;
use crate::write::spaces::{borrow, is_empty};
use crate::write::staged::overlay::Staged;
use crate::write::step::Step;

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
        let id = lifetime::make(staged, &self.name, row)?;
        copy_configs(staged, parent.row.id, id)?;
        borrow(staged, &before, &ours.borrowed())?;
        borrow(staged, &[], &theirs.borrowed())?;
        staged.leave(&PendingWork::Settle { bucket: self.from.to_string(), id: parent.row.id });
        staged.leave(&PendingWork::Settle { bucket: self.name.to_string(), id });
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

/// Makes a fork of a bucket: one commit, whatever the bucket holds.
pub fn fork(engine: &Arc<Engine>, from: &str, name: &str) -> Result<BucketRef> {
    let (from, name) = (BucketName::new(from)?, BucketName::new(name)?);
    let step = ForkStep { from, name: name.clone() };
    match commit::commit_one(engine, step, Durability::Synced)? {
        StepOutcome::Number(id) => Ok(BucketRef::new(name, id)),
        _ => unreachable!("a fork comes to a bucket"),
    }
}
