//! The queue before the commit: whoever comes first leads, the others wait to be told how it went.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use parking_lot::Mutex;

use super::outcome::Committed;
use super::proposal::Proposal;
use crate::env::Clock;
use crate::error::Result;
use crate::model::Durability;

/// How long a leader lets others come back, at most.
const GATHER: Duration = Duration::from_micros(60);

/// And how often it looks.
const GATHER_TURNS: usize = 200;

const WAITING: u8 = 0;

const LEADING: u8 = 1;

const DONE: u8 = 2;

/// Writers that wait for their commit.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: Mutex<Waiting>,
    /// How many writers there seem to be: the last group and those who waited behind it.
    expected: AtomicUsize,
}

#[derive(Debug, Default)]
struct Waiting {
    members: VecDeque<Arc<Member>>,
    led: bool,
}

/// One writer in the queue.
pub struct Member {
    proposal: Mutex<Option<Box<dyn Proposal>>>,
    outcome: Mutex<Option<Result<Committed>>>,
    /// How it wants to be told.
    pub durability: Durability,
    state: AtomicU8,
    thread: Thread,
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member").field("durability", &self.durability).finish_non_exhaustive()
    }
}

impl Member {
    /// A writer on this thread.
    pub fn new(proposal: Box<dyn Proposal>, durability: Durability) -> Member {
        Member {
            proposal: Mutex::new(Some(proposal)),
            outcome: Mutex::new(None),
            durability,
            state: AtomicU8::new(WAITING),
            thread: thread::current(),
        }
    }

    /// Works with the proposal.
    pub fn with<R>(&self, work: impl FnOnce(&mut dyn Proposal) -> R) -> R {
        work(self.proposal.lock().as_mut().expect("taken only after the outcome is known").as_mut())
    }

    /// Sets how it went.
    pub fn settle(&self, outcome: Result<Committed>) {
        if outcome.is_err() {
            self.with(|proposal| proposal.undone());
        }
        *self.outcome.lock() = Some(outcome);
    }

    /// The proposal and how it went.
    pub fn finish<P: Proposal>(&self) -> (P, Result<Committed>) {
        let outcome = self.outcome.lock().take().expect("settled before it is finished");
        let proposal: Box<dyn Any> = self.proposal.lock().take().expect("finished once");
        (*proposal.downcast::<P>().expect("the proposal that was put in"), outcome)
    }
}

impl Queue {
    /// Enters the queue. Returns when the member is settled by another writer's leading, or at once (or
    /// later) with `true`: then the caller must lead.
    pub fn enter(&self, member: &Arc<Member>) -> bool {
        {
            let mut waiting = self.waiting.lock();
            waiting.members.push_back(member.clone());
            if !waiting.led {
                waiting.led = true;
                return true;
            }
        }
        loop {
            match member.state.load(Ordering::Acquire) {
                WAITING => thread::park(),
                LEADING => return true,
                _ => return false,
            }
        }
    }

    /// Lets those who have just been woken come back before the leader goes: without it, groups are half as
    /// large as they could be, because half the writers are still on their way. Waits only where the last
    /// group showed that there are others, and for less than a sync takes.
    pub fn gather(&self, clock: &dyn Clock) {
        let expected = self.expected.load(Ordering::Relaxed);
        if expected < 2 || self.len() >= expected {
            return;
        }
        let begun = clock.monotonic();
        // Counted as well, because a virtual clock may stand still.
        for _ in 0..GATHER_TURNS {
            if self.len() >= expected || clock.monotonic().saturating_sub(begun) >= GATHER {
                return;
            }
            thread::yield_now();
        }
    }

    fn len(&self) -> usize {
        self.waiting.lock().members.len()
    }

    /// Everyone who waits now, for the leader.
    pub fn take(&self, at_most: usize) -> VecDeque<Arc<Member>> {
        let mut waiting = self.waiting.lock();
        let count = waiting.members.len().min(at_most);
        waiting.members.drain(..count).collect()
    }

    /// The leader is done: wakes the members of its group and hands the lead to the first who waits.
    pub fn leave(&self, own: &Arc<Member>, group: &[Arc<Member>]) {
        let next = {
            let mut waiting = self.waiting.lock();
            self.expected.store(group.len() + waiting.members.len(), Ordering::Relaxed);
            match waiting.members.front() {
                Some(first) => {
                    first.state.store(LEADING, Ordering::Release);
                    Some(first.thread.clone())
                }
                None => {
                    waiting.led = false;
                    None
                }
            }
        };
        if let Some(next) = next {
            next.unpark();
        }
        for member in group.iter().filter(|member| !Arc::ptr_eq(member, own)) {
            member.state.store(DONE, Ordering::Release);
            member.thread.unpark();
        }
    }
}
