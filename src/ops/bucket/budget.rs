//! The budget of a bucket as one of its configurations, and the budget of the store.

use std::sync::Arc;

use super::config::{Config, Kept, Setting};
use crate::catalog::budget::NAME;
use crate::catalog::keyspace::keys;
use crate::catalog::{Rows, budget as rows};
use crate::engine::state::engine::Engine;
use crate::error::Result;
use crate::format::row::{self, BudgetRow};
use crate::index::Weight;
use crate::model::{Budget, Durability, Lsn};
use crate::write::batch::Batch;
use crate::write::commit;
use crate::write::context::Reading;
use crate::write::eviction::scope::STORE;
use crate::write::outcome::StepOutcome;
use crate::write::staged::overlay::Staged;
use crate::write::step::Step;

impl Config for Budget {
    fn read(from: &Kept<'_>) -> Result<Option<Budget>> {
        from.own::<BudgetRow>(NAME)?.map(rows::of_row).transpose()
    }

    fn write(&self, to: &mut Setting<'_, '_>) -> Result<()> {
        self.check()?;
        // Maintenance finds the bucket by its id, which those of early stores do not have written down.
        let named = keys::bucket_by_id(to.state.row.id);
        if !to.staged.has(&named)? {
            to.staged.put(named, Weight::default(), to.state.name.as_bytes().to_vec());
        }
        to.put_own(NAME, &rows::to_row(self));
        Ok(())
    }

    fn clear(to: &mut Setting<'_, '_>) -> Result<()> {
        to.remove_own(NAME);
        Ok(())
    }
}

#[derive(Debug)]
struct StoreStep(Option<Budget>);

impl Step for StoreStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        let at = keys::config(STORE, NAME);
        match &self.0 {
            Some(budget) => staged.put(at, Weight::default(), row::encode(&rows::to_row(budget))),
            None => staged.remove(at),
        }
        Ok(StepOutcome::None)
    }
}

/// The budget of the store.
pub fn get_store(reading: &Reading) -> Result<Option<Budget>> {
    reading.with(|moment| rows::find(moment, STORE))
}

/// Sets the budget of the store. It counts for every write that begins after this has returned.
pub fn set_store(engine: &Arc<Engine>, budget: Option<Budget>) -> Result<()> {
    budget.as_ref().map_or(Ok(()), Budget::check)?;
    let (_, lsn) = commit::commit(engine, Batch::of(StoreStep(budget.clone())), Durability::Synced)?;
    engine.shortlists().set_budget(budget, lsn);
    engine.wake().raise();
    Ok(())
}

/// Reads the budget of the store. To be called when a store was opened.
pub fn begin(engine: &Arc<Engine>) -> Result<()> {
    if !engine.is_read_only() {
        let reading = Reading::newest(engine);
        let lsn = reading.with(|moment| Ok(Lsn(moment.view.lsn)))?;
        engine.shortlists().set_budget(get_store(&reading)?, lsn);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Store;

    #[test]
    fn what_is_set_at_the_same_time_is_the_same_in_memory_as_on_the_disk() {
        let store = Store::in_memory().unwrap();
        let engine = store.engine();
        for round in 0..400 {
            std::thread::scope(|scope| {
                for thread in 1..5 {
                    scope.spawn(move || set_store(engine, Some(Budget::bytes(round * 10 + thread))).unwrap());
                }
            });
            let kept = get_store(&Reading::newest(engine)).unwrap();
            assert_eq!(engine.shortlists().budget().as_deref(), kept.as_ref(), "round {round}");
        }
        set_store(engine, None).unwrap();
        assert_eq!(engine.shortlists().budget(), None);
    }
}
