//! Copies under way: whoever shreds waits for those that may have read what is dead by now, and for no others.
//!
//! A copy holds a [`Copying`] from before it looks at what it copies until its commit has come back. Whoever shreds has
//! deleted before, so copies that begin meanwhile see that, and nobody waits for whoever shreds.

use std::sync::atomic::Ordering;

use crate::engine::state::engine::Engine;
use crate::engine::state::in_flight::Copies;
use crate::env::Process;

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

impl Engine {
    /// To be held while bytes are copied from one place to another: from before it is looked whether they are still
    /// needed until the commit that needs the copy has come back. Not while others are asked for something, such as a key:
    /// they may want to shred.
    pub fn begin_move(&self) -> Copying<'_> {
        self.copies.begin()
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
