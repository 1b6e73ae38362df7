//! Waiting for commits: a bell that publishing rings, if anybody listens.

use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Who waits for the view to change.
#[derive(Debug, Default)]
pub struct CommitsSeen {
    waiting: AtomicUsize,
    turn: Mutex<()>,
    bell: Condvar,
}

impl CommitsSeen {
    /// Rings. To be called behind every change of the view, and when the store was closed. Costs next to nothing if
    /// nobody waits.
    pub fn ring(&self) {
        // Against the one below: either the waiter sees the change, or this sees the waiter.
        fence(Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) > 0 {
            // Whoever has looked and found nothing holds this until he sleeps.
            drop(self.turn.lock());
            self.bell.notify_all();
        }
    }

    /// Waits until `nothing_new` says no, at most so long. It is asked at once, and again after every ring. The time is
    /// that of the machine: a virtual clock that stands still would never end the wait.
    pub fn wait_while(&self, at_most: Duration, mut nothing_new: impl FnMut() -> bool) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        let mut turn = self.turn.lock();
        self.bell.wait_while_for(&mut turn, |()| nothing_new(), at_most);
        drop(turn);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    #[test]
    fn a_change_behind_which_the_bell_rings_is_never_missed() {
        let (seen, value) = (CommitsSeen::default(), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for wanted in 1..=2000 {
                        seen.wait_while(Duration::from_secs(60), || value.load(Ordering::Relaxed) < wanted);
                        assert!(value.load(Ordering::Relaxed) >= wanted);
                    }
                });
            }
            for next in 1..=2000 {
                value.store(next, Ordering::Relaxed);
                seen.ring();
            }
        });
        assert_eq!(seen.waiting.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn a_wait_ends_with_its_time() {
        let seen = CommitsSeen::default();
        let mut asked = 0;
        seen.wait_while(Duration::from_millis(5), || {
            asked += 1;
            true
        });
        assert!(asked >= 1);
        seen.wait_while(Duration::ZERO, || true);
    }
}
