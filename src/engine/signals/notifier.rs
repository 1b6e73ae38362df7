//! A bell: raised where work becomes due, waited for by whoever does it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// A bell with a memory of one ring.
#[derive(Debug, Default)]
pub struct Wake {
    rung: Mutex<bool>,
    bell: Condvar,
    listened: AtomicBool,
}

impl Wake {
    /// Says whether somebody answers the bell.
    pub fn set_listener(&self, listened: bool) {
        self.listened.store(listened, Ordering::Release);
    }

    /// Whether somebody answers the bell.
    pub fn has_listener(&self) -> bool {
        self.listened.load(Ordering::Acquire)
    }

    /// Rings. Cheap if it is ringing already.
    pub fn raise(&self) {
        let mut rung = self.rung.lock();
        if !*rung {
            *rung = true;
            self.bell.notify_all();
        }
    }

    /// Waits for a ring, at most so long (`None`: for ever), and takes it. Says whether there was one.
    pub fn wait(&self, at_most: Option<Duration>) -> bool {
        let mut rung = self.rung.lock();
        if !*rung {
            match at_most {
                Some(time) => {
                    self.bell.wait_for(&mut rung, time);
                }
                None => self.bell.wait(&mut rung),
            }
        }
        std::mem::take(&mut *rung)
    }
}
