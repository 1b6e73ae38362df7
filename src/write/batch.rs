//! Steps that happen together: every write, of one object or of many, is a batch decided inside the commit.

use std::fmt::Debug;
use std::sync::Arc;

use super::outcome::StepOutcome;
use super::step::Step;
use crate::engine::state::engine::Engine;
use crate::engine::{Change, Proposal, Shortlists, Spender, State, Taken};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Evicted;
use crate::write::eviction::make_room::{self, Shortfall};
use crate::write::staged::overlay::{Instant, Overlay};

/// Steps, decided together: all of them happen or none.
#[derive(Debug, Default)]
pub struct Batch {
    /// The steps, in order.
    pub steps: Vec<Box<dyn Step>>,
    /// What each came to, once it is committed.
    pub outcomes: Vec<StepOutcome>,
    /// Whether a step that is refused because of its own object leaves the others to happen.
    each_alone: bool,
    /// Whether what is superseded is kept, if the store retains the past.
    keeps_past: bool,
    /// Whether it has left work for maintenance.
    leaves_work: bool,
    /// What it evicts from to stay within the budgets; nothing if they do not concern it.
    within: Option<Arc<Shortlists>>,
    /// Whether all that it lacks must be had in its turn.
    pub(super) in_turn: bool,
    /// What it was lacking.
    pub(super) shortfall: Option<Shortfall>,
    /// What it evicts besides what it does.
    evicted: Evicted,
    /// What it took off the lists for that.
    taken: Taken,
}

impl Batch {
    /// A batch of one step.
    pub fn of(step: impl Step + 'static) -> Batch {
        Batch { steps: vec![Box::new(step)], ..Batch::default() }
    }

    /// A batch without steps yet, in which a step that is refused because of its own object leaves the others to happen.
    pub fn each_alone() -> Batch {
        Batch { each_alone: true, ..Batch::default() }
    }

    /// Makes it stay within the budgets, evicting what it must. With `in_turn`, nothing can be made ready elsewhere.
    pub fn within(mut self, lists: &Arc<Shortlists>, in_turn: bool) -> Batch {
        (self.within, self.in_turn) = (Some(lists.clone()), in_turn);
        self
    }

    /// Says what became of it.
    pub fn tell(&self, engine: &Engine, is_done: bool) {
        if is_done {
            engine.shortlists().count(&self.evicted);
        }
        if is_done && self.leaves_work {
            engine.wake().raise();
        }
    }

    /// Puts back what it took off the lists.
    fn give_back(&mut self) {
        if let Some(lists) = self.within.as_ref().filter(|_| !self.taken.is_empty()) {
            self.taken.give_back(&mut lists.lock());
        }
    }

    /// Makes it keep what it supersedes if the store retains the past when it is committed.
    pub fn keeping_past(mut self) -> Batch {
        self.keeps_past = true;
        self
    }
}

impl Proposal for Batch {
    fn decide(&mut self, state: &State<'_>) -> Result<Vec<Change>> {
        let now = Instant { lsn: state.lsn, millis: state.millis, mistake: state.mistake };
        // Steps that are refused each for itself must leave no trace among the others.
        let mut overlay = if self.each_alone { Overlay::that_lives_on() } else { Overlay::default() };
        self.give_back();
        self.outcomes.clear();
        (self.shortfall, self.evicted) = (None, Evicted::default());
        overlay.watch(self.within.as_ref().is_some_and(|lists| lists.budget().is_some()));
        for step in &self.steps {
            let outcome = match overlay.apply(state.view, now, |staged| step.apply(staged)) {
                Err(error) if self.each_alone && is_its_own(&error) => StepOutcome::Refused(Arc::new(error)),
                outcome => outcome?,
            };
            self.outcomes.push(outcome);
        }
        self.leaves_work = overlay.leaves_work();
        if let Some(lists) = &self.within {
            let only_frees = self.steps.iter().all(|step| step.frees());
            let mut staged = overlay.staged(state.view, now);
            let settled = make_room::settle(&mut staged, lists, self.in_turn, only_frees, &mut self.taken)?;
            self.leaves_work |= settled.is_short;
            self.evicted = settled.evicted;
            if settled.shortfall.is_some() {
                self.shortfall = settled.shortfall;
                return Err(not_ready());
            }
        }
        // Seen only here: what was so before the batch had its turn may be otherwise now, and the past must have no gap.
        let keeps_past = self.keeps_past && super::retained::is_on(state.view)?;
        overlay.into_changes(state.view, now, keeps_past)
    }

    fn undone(&mut self) {
        self.give_back();
        self.steps.iter().for_each(|step| step.undone());
    }

    fn may_use_reserve(&self) -> Option<Spender> {
        self.steps.iter().all(|step| step.frees()).then_some(Spender::Delete)
    }
}

/// Whether an error is that of one object, and says nothing of the others.
fn is_its_own(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Immutable | ErrorKind::Precondition)
}

/// Never seen by anybody: the commit is tried again, or told what is really wrong with it.
fn not_ready() -> Error {
    Error::new(ErrorKind::Busy, "OperationConflict", "room has to be made first; try again")
}
