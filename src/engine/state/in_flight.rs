//! Copies of bodies that are not committed yet.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Condvar, Mutex};

use crate::engine::relocate::in_flight::Copying;
use crate::env::Process;

/// The copies under way, by the order in which they began.
#[derive(Debug, Default)]
pub struct Copies {
    pub(in crate::engine) going: Mutex<Going>,
    pub(in crate::engine) ended: Condvar,
    /// Somebody waits for copies with numbers below this one, or has.
    pub(in crate::engine) awaited: AtomicU64,
}

#[derive(Debug, Default)]
pub(in crate::engine) struct Going {
    next: u64,
    pub(in crate::engine) numbers: BTreeSet<u64>,
}

impl Going {
    fn begin(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        self.numbers.insert(number);
        number
    }
}

impl Copies {
    pub(in crate::engine) fn begin(&self) -> Copying<'_> {
        Copying { copies: self, number: self.going.lock().begin(), process: Process::current() }
    }

    /// Waits until everything has ended, or looked anew, that began before now.
    pub fn await_earlier(&self) {
        let mut going = self.going.lock();
        let end = going.next;
        self.awaited.fetch_max(end, Ordering::AcqRel);
        while going.numbers.first().is_some_and(|first| *first < end) {
            self.ended.wait(&mut going);
        }
    }
}
