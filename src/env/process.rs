//! Which process this is: what was opened in one belongs to no other that is forked from it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use super::mmap::forgotten_by_forks;
use crate::error::{Error, Result};

/// A process, as something remembers that belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process(u64);

impl Process {
    /// This one.
    pub fn current() -> Process {
        #[cfg(any(test, feature = "testing"))]
        if let Some(other) = pretended() {
            return other;
        }
        Process::real()
    }

    /// This one, whatever a test pretends.
    pub(super) fn real() -> Process {
        // Asking the system costs as much as a get.
        match forgotten_by_forks() {
            Some(number) => match number.load(Ordering::Relaxed) {
                0 => Process(name_this(number)),
                known => Process(known),
            },
            None => Process(u64::from(std::process::id())),
        }
    }

    /// Whether this is the process.
    #[inline]
    pub fn is_here(self) -> bool {
        self == Process::current()
    }

    /// `Closed` in any other.
    #[inline]
    pub fn check(self) -> Result<()> {
        if self.is_here() { Ok(()) } else { Err(Error::opened_elsewhere()) }
    }
}

/// Gives this process its number. A process id may come again, so the time is in it as well.
#[cold]
// No store is open yet that could have a clock, and the number decides nothing but who is who.
#[allow(clippy::disallowed_methods)]
fn name_this(number: &AtomicU64) -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let name = (u64::from(std::process::id()) << 32) | u64::from((since.as_micros() as u32).max(1));
    match number.compare_exchange(0, name, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => name,
        Err(other) => other,
    }
}

#[cfg(any(test, feature = "testing"))]
thread_local! {
    static PRETENDED: std::cell::Cell<Option<Process>> = const { std::cell::Cell::new(None) };
}

#[cfg(any(test, feature = "testing"))]
fn pretended() -> Option<Process> {
    PRETENDED.get()
}

/// As long as this is there, its thread is in another process.
#[cfg(any(test, feature = "testing"))]
#[derive(Debug)]
pub struct Elsewhere(std::marker::PhantomData<*const ()>);

/// For tests: makes everything believe that this thread is the only one of a process that was forked just now.
#[cfg(any(test, feature = "testing"))]
#[must_use]
pub fn as_if_forked() -> Elsewhere {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    PRETENDED.set(Some(Process(NEXT.fetch_add(1, Ordering::Relaxed))));
    Elsewhere(std::marker::PhantomData)
}

#[cfg(any(test, feature = "testing"))]
impl Drop for Elsewhere {
    fn drop(&mut self) {
        PRETENDED.set(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_the_same_in_all_threads_and_another_one_when_it_is_forked() {
        let here = Process::current();
        assert!(here.is_here() && std::thread::spawn(move || here.is_here()).join().unwrap());
        let elsewhere = as_if_forked();
        assert!(!here.is_here() && Process::current().is_here());
        drop(elsewhere);
        assert!(here.is_here());
    }
}
