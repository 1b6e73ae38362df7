//! The lock of a store: on the file that every version looks at, and on one that nobody takes away from a store.
//!
//! `LOCK` alone does not do: it looks like something that may be removed, and whoever comes next makes another one and has
//! that to himself. Without the superblock there is no store. A writer takes the superblock first, so that it makes no
//! other `LOCK` where somebody holds the store without one; a reader asks in the order `LOCK`, superblock, and lets go of
//! the first where the second is taken.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::files::{LOCK, SUPERBLOCK};
use super::listing::{explain, failed};
use super::reader_files;
use crate::env::{Env, Lock, LockMode, Site};
use crate::error::{Error, ErrorKind, Result};

/// How long, and how often, a writer waits for readers to give the lock back: ten seconds in all.
const WAIT: Duration = Duration::from_millis(2);

const WAITS: u32 = 5000;

/// What somebody holds who has a store.
#[derive(Debug)]
pub struct StoreLock {
    /// On `LOCK`. Given back first; a reader may find it missing.
    lock: Option<Box<dyn Lock>>,
    /// On the superblock, where there is one.
    superblock: Option<Box<dyn Lock>>,
}

/// What a reader finds.
#[derive(Debug)]
pub enum Found {
    /// No writer, and none comes while this is held; nothing where there is no file to lock.
    Nobody(Option<StoreLock>),
    /// A writer, who says in `LOCK` how far it is.
    Writer,
    /// A writer, but `LOCK` is not the file that it has locked: it was removed. Or one that is between two locks.
    Hidden,
}

impl StoreLock {
    /// Takes the writer's lock. A reader has it for as long as it reads the log of a store that nobody writes, so where
    /// there are readers, this waits for them; not for another writer.
    pub fn take(env: &Env, dir: &Path, has_superblock: bool) -> Result<StoreLock> {
        let mut waits = 0;
        loop {
            match StoreLock::alone(env, dir, has_superblock) {
                Ok(lock) => {
                    // What a writer before this one has left is not true any more. Readers wait for more.
                    let _ = lock.note(&reader_files::NOTHING);
                    return Ok(lock);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if waits == WAITS || !only_readers_have_it(env, dir) {
                        return Err(already_open(dir));
                    }
                    waits += 1;
                    env.clock.rest(WAIT);
                }
                Err(error) => return Err(explain(failed("locking", dir, error), dir)),
            }
        }
    }

    fn alone(env: &Env, dir: &Path, has_superblock: bool) -> io::Result<StoreLock> {
        let path = dir.join(SUPERBLOCK);
        let superblock = has_superblock.then(|| env.vfs.lock(&path, LockMode::Existing, Site::STORE_LOCK));
        let superblock = superblock.transpose()?;
        let lock = env.vfs.lock(&dir.join(LOCK), LockMode::Exclusive, Site::STORE_LOCK)?;
        Ok(StoreLock { lock: Some(lock), superblock })
    }

    /// Locks the superblock that was made just now, and from now on minds both.
    pub fn settle(&mut self, env: &Env, dir: &Path, made: bool) -> Result<()> {
        let (lock, superblock) = (dir.join(LOCK), dir.join(SUPERBLOCK));
        let locking = |error| explain(failed("locking", &superblock, error), dir);
        if made {
            self.superblock = None;
            let taken = env.vfs.lock(&superblock, LockMode::Existing, Site::STORE_LOCK);
            self.superblock = Some(taken.map_err(locking)?);
        }
        for (path, held) in [(lock, &self.lock), (superblock.clone(), &self.superblock)] {
            if let Some(held) = held {
                env.mark(&path, held.id().map_err(locking)?);
            }
        }
        Ok(())
    }

    /// Looks who has the store. An error only if it cannot be told.
    pub fn ask(env: &Env, dir: &Path) -> io::Result<Found> {
        let shared = |name: &str| env.vfs.lock(&dir.join(name), LockMode::Shared, Site::STORE_LOCK);
        let lock = match shared(LOCK) {
            Ok(lock) => Some(lock),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Found::Writer),
            // A writer makes the file before it does anything else.
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let superblock = match shared(SUPERBLOCK) {
            Ok(superblock) => Some(superblock),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Found::Hidden),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let some = lock.is_some() || superblock.is_some();
        Ok(Found::Nobody(some.then_some(StoreLock { lock, superblock })))
    }

    /// Leaves a note for readers. Without it they are behind, and no more.
    pub fn note(&self, bytes: &[u8]) -> io::Result<()> {
        self.lock.as_ref().map_or(Ok(()), |lock| lock.note(bytes, Site::NOTE))
    }

    /// Whether `LOCK` itself is held.
    pub fn has_lock(&self) -> bool {
        self.lock.is_some()
    }
}

/// Whether the lock is shared, and some reader is registered that may give it back soon.
fn only_readers_have_it(env: &Env, dir: &Path) -> bool {
    reader_files::registered(env, dir).is_ok_and(|files| !files.is_empty())
        && matches!(StoreLock::ask(env, dir), Ok(Found::Nobody(_)))
}

fn already_open(dir: &Path) -> Error {
    let told = format!(
        "the store at {} is already open, in this process or in another one; close it there first",
        dir.display()
    );
    Error::new(ErrorKind::Busy, "StoreBusy", told)
}

/// What a reader is told that cannot hear the writer.
pub fn hidden(dir: &Path) -> Error {
    let told = format!(
        "{} was removed or replaced while a writer has the store open, so a reader cannot be told what is durable; close          the store there and open it again, and see to it that nothing cleans up in its directory",
        dir.join(LOCK).display()
    );
    Error::new(ErrorKind::Busy, "StoreBusy", told)
}
