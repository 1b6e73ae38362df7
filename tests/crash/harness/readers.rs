//! Readers beside the writer of a script: they see a durable prefix, and what they have got stays.

use ossicle::testing::CutPolicy;
use ossicle::{Error, Store};

use super::Verdict;
use super::model::State;
use super::run::Run;
use super::world::{World, observe, verify};

/// Two readers: one that stays at the state of its first look, and one that is refreshed.
#[derive(Debug, Default)]
pub struct Readers {
    old: Option<(Store, State)>,
    newest: Option<Store>,
}

/// Why a look did not succeed: an error that the weather may explain, or something wrong.
pub type Failed = Verdict<Error>;

impl Readers {
    /// Looks at the store, and holds what is seen against what the script has done.
    pub fn look(&mut self, world: &World, run: &Run) -> Result<(), Failed> {
        match &self.newest {
            Some(reader) => drop(reader.refresh().map_err(Ok)?),
            None => self.newest = Some(world.open_reader().map_err(Ok)?),
        }
        let Some(reader) = &self.newest else { return Ok(()) };
        let seen = sees(reader)?;
        let place = |of: &State| run.history.iter().position(|state| state == of);
        let last = |of: &State| run.history.iter().rposition(|state| state == of);
        if last(&seen).is_none_or(|at| at < run.floor) {
            let newest = seen.differs(run.newest());
            return Err(Err(format!("a reader sees no state from the last synced one on: {newest}")));
        }
        // What it sees is durable: it is there if the power goes now.
        let dark = world.restart(CutPolicy::DropUnsynced);
        let left =
            dark.open().map_err(|error| format!("after a cut: {error}")).and_then(|store| observe(&store));
        let left = left.map_err(Err)?;
        if last(&left) < place(&seen) {
            let lost = left.differs(&seen);
            return Err(Err(format!("a reader has seen what is lost when the power goes: {lost}")));
        }
        match &self.old {
            None => {
                let reader = world.open_reader().map_err(Ok)?;
                let state = sees(&reader)?;
                self.old = Some((reader, state));
            }
            Some((reader, state)) => {
                let still = sees(reader)?;
                if still != *state {
                    return Err(Err(format!(
                        "a reader that was not refreshed changes: {}",
                        still.differs(state)
                    )));
                }
            }
        }
        Ok(())
    }
}

/// Everything that a reader sees, if it is sound. A failing disk is asked twice: what fails once is no damage.
fn sees(reader: &Store) -> Result<State, Failed> {
    let ask = || observe(reader).and_then(|state| verify(reader).map(|()| state));
    ask().or_else(|_| ask()).map_err(Err)
}
