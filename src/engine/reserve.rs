//! Disk kept in reserve, so that a full disk can always be emptied: spent by deletes and maintenance only.
//!
//! While a part of it is spent, nothing else is written: it would take the room that the next delete needs.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::env::{Env, OpenMode, Site};

/// A file that only takes room.
#[derive(Debug)]
pub struct Reserve {
    path: PathBuf,
    bytes: u64,
    held: Mutex<u64>,
    whole: AtomicBool,
}

/// Who spends the reserve, and down to what. What deletes free comes back only by a checkpoint, and what that
/// cannot free only by relocation, so none of them can use up what the next one needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spender {
    /// A delete: down to a half.
    Delete,
    /// A checkpoint: down to an eighth.
    Checkpoint,
    /// Relocation: all of it.
    Relocation,
}

impl Reserve {
    /// The reserve at `path`, of which so many bytes are there.
    pub fn new(path: PathBuf, bytes: u64, held: u64) -> Reserve {
        Reserve { path, bytes, held: Mutex::new(held), whole: AtomicBool::new(held >= bytes) }
    }

    /// Frees the next part of the room. Says whether there was any to free.
    pub fn spend(&self, env: &Env, who: Spender) -> bool {
        let mut held = self.held.lock();
        let left = [
            (Spender::Delete, self.bytes / 2),
            (Spender::Checkpoint, self.bytes / 8),
            (Spender::Relocation, 0),
        ];
        let floor = left.iter().find(|(spender, _)| *spender == who).map_or(0, |(_, bytes)| *bytes);
        let Some((_, next)) = left.into_iter().find(|(_, bytes)| *bytes < *held && *bytes >= floor) else {
            return false;
        };
        self.whole.store(false, Ordering::Release);
        *held = next;
        if next == 0 {
            return env.vfs.remove(&self.path, Site::RESERVE).is_ok();
        }
        self.keep(env, next).is_ok()
    }

    /// Takes the room again if it can be had. Its loss in a crash is harmless, so nothing is synced.
    pub fn refill(&self, env: &Env) -> std::io::Result<()> {
        let mut held = self.held.lock();
        if *held >= self.bytes {
            return Ok(());
        }
        let mode = if *held == 0 { OpenMode::CreateNew } else { OpenMode::ReadWrite };
        let taken = env
            .vfs
            .open(&self.path, mode, Site::RESERVE)
            .and_then(|file| file.allocate(self.bytes, Site::RESERVE));
        if taken.is_ok() {
            *held = self.bytes;
            self.whole.store(true, Ordering::Release);
        } else if *held > 0 && self.keep(env, *held).is_ok() {
            // What was there before is there still.
        } else {
            *held = 0;
            let _ = env.vfs.remove(&self.path, Site::RESERVE);
        }
        taken
    }

    /// Whether all of the room is there.
    pub fn is_whole(&self) -> bool {
        self.whole.load(Ordering::Acquire)
    }

    /// Gives back all but so many bytes.
    fn keep(&self, env: &Env, bytes: u64) -> std::io::Result<()> {
        let file = env.vfs.open(&self.path, OpenMode::ReadWrite, Site::RESERVE)?;
        file.set_len(bytes, Site::RESERVE)
    }
}
