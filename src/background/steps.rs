//! The steps that maintenance is made of, a bounded piece of work each.

use std::sync::Arc;

use super::cleanup;
use super::damaged::Damaged;
use crate::background::lifecycle::run;
use crate::background::shred::shred::Shredder;
use crate::background::tiering::step::Mover;
use crate::engine::Relocated;
use crate::engine::state::engine::Engine;
use crate::error::{ErrorKind, Result};
use crate::model::{Evicted, LifecycleCounts};
use crate::ops::bucket::history;
use crate::write::{access_times, evict};

/// About how many bytes one step of relocation moves.
pub(super) const STEP: u64 = 4 << 20;

/// One step of a relocation. Says whether it ends before the segment is empty.
pub(super) fn relocate(
    engine: &Arc<Engine>,
    progress: &mut Relocated,
    percent: u8,
    damaged: &mut Damaged,
) -> Result<bool> {
    let victim = progress.segment;
    match engine.relocate(progress, STEP) {
        // The end of the disk was met just now: a checkpoint gives back what is dead, then what fits goes on.
        Err(error) if error.is_full() && !error.is_fatal() => {
            if !engine.give_room_back(percent)? {
                damaged.segments.insert(victim);
            }
            Ok(true)
        }
        done => damaged.stops(victim, done),
    }
}

/// Makes segments ahead of need. On a full disk there is nothing to prepare with, and giving space back matters more.
pub(super) fn prepare(engine: &Arc<Engine>) -> Result<()> {
    match engine.prepare_segments() {
        Err(error) if !error.is_full() => Err(error),
        _ => Ok(()),
    }
}

/// One step of the work that commits have left behind. On a full disk the steps that need room wait.
pub(super) fn clean_up(engine: &Arc<Engine>) -> Result<bool> {
    match cleanup::step(engine).and_then(|did| if did { Ok(true) } else { history::trim(engine) }) {
        Err(error) if error.is_full() => Ok(false),
        done => done,
    }
}

/// One step of a shredding that was cut short; says whether there may be more. What is in its way now, or cannot be had
/// on a full disk, is tried again by a later round.
pub(super) fn shred_step(engine: &Arc<Engine>, shredder: &mut Shredder) -> Result<bool> {
    // Whoever is at it goes on with what was left as well.
    let Some(_turn) = engine.try_shred_turn() else { return Ok(false) };
    match shredder.step(engine) {
        Err(error) if error.is_full() || matches!(error.kind(), ErrorKind::Busy | ErrorKind::Immutable) => {
            Ok(false)
        }
        done => done,
    }
}

/// One step of what lifecycle rules ask for: accesses are written down first, so that rules know of them. On a full disk
/// both wait.
pub(super) fn lifecycle_step(engine: &Arc<Engine>) -> Result<Option<LifecycleCounts>> {
    let step = match access_times::flush(engine) {
        Ok(true) => Ok(Some(LifecycleCounts::default())),
        Ok(false) => run::step(engine),
        Err(error) => Err(error),
    };
    match step {
        Err(error) if error.is_full() => Ok(None),
        step => step,
    }
}

/// One step of evicting what budgets have no room for. When there is nothing more to evict, it rests.
pub(super) fn evict(engine: &Arc<Engine>, goes_on: &mut bool) -> Result<Option<Evicted>> {
    let step = match evict::step(engine) {
        Err(error) if error.is_full() => Ok(None),
        step => step,
    };
    *goes_on = matches!(step, Ok(Some(_)));
    step
}

/// One step of moving bodies to their tiers; on a full disk that waits. A body that cannot be read stays where it is.
pub(super) fn move_bodies(
    engine: &Arc<Engine>,
    mover: &mut Mover,
    damaged: &mut Damaged,
) -> Result<Option<u64>> {
    let step = mover.step(engine);
    damaged.first = damaged.first.take().or(mover.damage());
    match step {
        Err(error) if error.is_full() => Ok(None),
        done => damaged.rests(done),
    }
}
