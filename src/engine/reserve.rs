//! Disk kept in reserve, so that a full disk can always be emptied: spent by deletes and maintenance only.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::env::{Env, OpenMode, Site};

/// A file that only takes room.
#[derive(Debug)]
pub struct Reserve {
    path: PathBuf,
    bytes: u64,
    held: AtomicBool,
}

impl Reserve {
    /// The reserve at `path`; `held` says whether it is there.
    pub fn new(path: PathBuf, bytes: u64, held: bool) -> Reserve {
        Reserve {
            path,
            bytes,
            held: AtomicBool::new(held),
        }
    }

    /// Frees the room. Says whether there was any to free.
    pub fn spend(&self, env: &Env) -> bool {
        self.held.swap(false, Ordering::AcqRel) && env.vfs.remove(&self.path, Site::RESERVE).is_ok()
    }

    /// Takes the room again if it can be had. Its loss in a crash is harmless, so nothing is synced.
    pub fn refill(&self, env: &Env) {
        if self.bytes == 0 || self.held.load(Ordering::Acquire) {
            return;
        }
        let taken = env
            .vfs
            .open(&self.path, OpenMode::CreateNew, Site::RESERVE)
            .and_then(|file| file.allocate(self.bytes, Site::RESERVE));
        match taken {
            Ok(()) => self.held.store(true, Ordering::Release),
            Err(_) => {
                let _ = env.vfs.remove(&self.path, Site::RESERVE);
            }
        }
    }
}
