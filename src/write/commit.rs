//! Committing a batch: its bodies are made durable, room is made where a budget asks for it, and the steps happen.

use std::sync::Arc;

use super::batch::Batch;
use super::evict;
use super::outcome::StepOutcome;
use super::step::Step;
use crate::engine::state::engine::Engine;
use crate::error::Result;
use crate::model::{Durability, Lsn};

/// Commits a batch and returns what each step came to.
pub fn commit(engine: &Arc<Engine>, batch: Batch, durability: Durability) -> Result<(Vec<StepOutcome>, Lsn)> {
    sync_bodies(engine, &batch, durability)?;
    let mut batch = batch.keeping_past().within(engine.shortlists(), false);
    let mut tries = 0;
    loop {
        let (tried, committed) = engine.commit(batch, durability);
        batch = tried;
        match (committed, batch.shortfall.take()) {
            (Err(_), Some(shortfall)) => {
                // Where others take the room as fast as it is made, it is made in the turn.
                tries += 1;
                batch.in_turn = !evict::make_ready(engine, shortfall)? || tries > 3;
            }
            (committed, _) => {
                batch.tell(engine, committed.is_ok());
                return committed.map(|committed| (batch.outcomes, committed.lsn));
            }
        }
    }
}

/// Commits one step and returns what it came to.
pub fn commit_one(
    engine: &Arc<Engine>,
    step: impl Step + 'static,
    durability: Durability,
) -> Result<StepOutcome> {
    let (outcomes, _) = commit(engine, Batch::of(step), durability)?;
    Ok(outcomes.into_iter().next().unwrap_or(StepOutcome::None))
}

/// Streamed bodies are made durable on the caller's own thread, before its turn to commit.
pub fn sync_bodies(engine: &Engine, batch: &Batch, durability: Durability) -> Result<()> {
    if durability == Durability::Buffered {
        return Ok(());
    }
    let placed = batch.steps.iter().flat_map(|step| [step.placed(), step.placed_beside()]);
    placed.flatten().try_for_each(|placed| engine.sync_body(placed))
}
