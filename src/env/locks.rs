//! Who holds which lock inside this process.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::process::Process;
use super::vfs::LockMode;

/// The locks held, by what identifies a file.
#[derive(Debug)]
pub(super) struct Locks<K>(Mutex<HashMap<K, Holders>>);

#[derive(Debug)]
enum Holders {
    Alone,
    Shared(usize),
}

/// A place in the registry; dropping it gives it up.
pub(super) struct Held<K: Eq + Hash> {
    locks: Arc<Locks<K>>,
    key: K,
    process: Process,
}

impl<K: Eq + Hash + Copy> Locks<K> {
    pub(super) fn new() -> Arc<Locks<K>> {
        Arc::new(Locks(Mutex::new(HashMap::new())))
    }

    /// Takes the lock, or refuses with [`io::ErrorKind::WouldBlock`].
    pub(super) fn take(self: &Arc<Self>, key: K, mode: LockMode) -> io::Result<Held<K>> {
        let mut held = self.0.lock();
        match (held.get_mut(&key), mode) {
            (None, LockMode::Exclusive | LockMode::Existing) => {
                held.insert(key, Holders::Alone);
            }
            (None, LockMode::Shared) => {
                held.insert(key, Holders::Shared(1));
            }
            (Some(Holders::Shared(count)), LockMode::Shared) => *count += 1,
            _ => return Err(io::ErrorKind::WouldBlock.into()),
        }
        Ok(Held { locks: self.clone(), key, process: Process::current() })
    }
}

impl<K: Eq + Hash> Drop for Held<K> {
    fn drop(&mut self) {
        // In a forked process the lock is not this one's, and whoever held the mutex is not there to give it back.
        if !self.process.is_here() {
            return;
        }
        let mut held = self.locks.0.lock();
        match held.get_mut(&self.key) {
            Some(Holders::Shared(count)) if *count > 1 => *count -= 1,
            _ => {
                held.remove(&self.key);
            }
        }
    }
}

impl<K: Eq + Hash + fmt::Debug> fmt::Debug for Held<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Held").field(&self.key).finish()
    }
}
