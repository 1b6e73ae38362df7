//! Time: the system's, and one that a test moves by hand.
// This is the one place where the wall clock and the steady clock are read.
#![allow(clippy::disallowed_methods)]

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;

/// The clock of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// The fixed moment that [`SystemClock::monotonic`] counts from: the first time anyone asks.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn rest(&self, time: Duration) {
        std::thread::sleep(time);
    }

    fn monotonic(&self) -> Duration {
        START.elapsed()
    }
}

/// A clock that stands still until it is moved. Clones are handles on the same clock.
#[derive(Clone, Debug)]
pub struct VirtualClock(Arc<Mutex<Times>>);

#[derive(Debug)]
struct Times {
    wall: SystemTime,
    steady: Duration,
}

impl VirtualClock {
    /// A clock whose wall shows `wall`.
    pub fn at(wall: SystemTime) -> VirtualClock {
        VirtualClock(Arc::new(Mutex::new(Times { wall, steady: Duration::ZERO })))
    }

    /// Lets time pass, on the wall and monotonically.
    pub fn advance(&self, by: Duration) {
        let mut times = self.0.lock();
        times.wall += by;
        times.steady += by;
    }

    /// Sets the wall clock, either way, as an administrator would. Monotonic time does not notice.
    pub fn set(&self, wall: SystemTime) {
        self.0.lock().wall = wall;
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> SystemTime {
        self.0.lock().wall
    }

    fn monotonic(&self) -> Duration {
        self.0.lock().steady
    }
}

/// A source of time.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The wall clock. Data, never order: it may jump either way.
    fn now(&self) -> SystemTime;
    /// Time since some fixed moment; never goes back.
    fn monotonic(&self) -> Duration;
    /// Lets this thread rest. Virtual clocks need not wait.
    fn rest(&self, _time: Duration) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_goes_on() {
        let before = SystemClock.monotonic();
        assert!(SystemClock.monotonic() >= before);
        assert!(SystemClock.now() > SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000));
    }

    #[test]
    fn a_virtual_clock_moves_only_by_hand_and_never_back_in_monotonic_time() {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
        let clock = VirtualClock::at(start);
        let handle = clock.clone();
        assert_eq!((clock.now(), clock.monotonic()), (start, Duration::ZERO));
        handle.advance(Duration::from_secs(7));
        assert_eq!(
            (clock.now(), clock.monotonic()),
            (start + Duration::from_secs(7), Duration::from_secs(7))
        );
        handle.set(SystemTime::UNIX_EPOCH);
        assert_eq!((clock.now(), clock.monotonic()), (SystemTime::UNIX_EPOCH, Duration::from_secs(7)));
    }
}
