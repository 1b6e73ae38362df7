//! Copies of bodies that are not committed yet.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Condvar, Mutex};

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

/// A copy under way.
#[derive(Debug)]
pub struct Copying<'a> {
    pub(in crate::engine) copies: &'a Copies,
    pub(in crate::engine) number: u64,
    pub(in crate::engine) process: Process,
}

impl Copying<'_> {
    /// Whether a long copy may go on: always, unless somebody waits for it. Then `lives` is asked whether what is copied is
    /// there now, and if so, nobody waits for it any more; if not, it must end, and is waited for until it is dropped.
    pub fn goes_on<E>(&mut self, lives: impl FnOnce() -> Result<bool, E>) -> Result<bool, E> {
        if self.number >= self.copies.awaited.load(Ordering::Acquire) {
            return Ok(true);
        }
        // Begun before it is looked: who deletes behind that waits again.
        let mut anew = self.copies.begin();
        let lives = lives()?;
        if lives {
            std::mem::swap(&mut self.number, &mut anew.number);
        }
        Ok(lives)
    }
}

impl Drop for Copying<'_> {
    fn drop(&mut self) {
        if !self.process.is_here() {
            return;
        }
        self.copies.going.lock().numbers.remove(&self.number);
        self.copies.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    /// Gives others the chance to do what they must not.
    fn linger() {
        (0..10_000).for_each(|_| std::thread::yield_now());
    }

    #[test]
    fn whoever_shreds_waits_for_earlier_copies_until_they_end_or_look_anew() {
        let copies = Copies::default();
        copies.await_earlier();
        for ends in [true, false] {
            let (mut first, done) = (copies.begin(), AtomicBool::new(false));
            assert!(first.goes_on(|| -> Result<bool, ()> { panic!("nobody waits") }).unwrap());
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    copies.await_earlier();
                    done.store(true, Ordering::Release);
                });
                while first.number >= copies.awaited.load(Ordering::Acquire) {
                    std::thread::yield_now();
                }
                // What begins now is not waited for, and does not wait.
                let mut second = copies.begin();
                assert!(second.goes_on(|| -> Result<bool, ()> { panic!("not this one") }).unwrap());
                linger();
                assert!(!done.load(Ordering::Acquire));
                let mut kept = Some(first);
                match ends {
                    true => drop(kept.take()),
                    false => {
                        let first = kept.as_mut().unwrap();
                        assert_eq!(first.goes_on(|| Ok::<bool, ()>(false)), Ok(false));
                        assert_eq!(first.goes_on(|| Err(())), Err(()));
                        linger();
                        assert!(!done.load(Ordering::Acquire));
                        assert_eq!(first.goes_on(|| Ok::<bool, ()>(true)), Ok(true));
                        assert_eq!(first.goes_on(|| Err(())), Ok(true), "asked once");
                    }
                }
                while !done.load(Ordering::Acquire) {
                    std::thread::yield_now();
                }
            });
            assert!(copies.going.lock().numbers.is_empty());
        }
    }
}
