//! Readers in other processes, as the writer sees them: what it tells them, and what it keeps for them.
//!
//! A reader has a file in `readers/`, locked while it lives, that names the oldest superblock it may use. The writer
//! looks there in every checkpoint, after the new superblock is durable: whoever registers later finds the new one.
//! What the new tree leaves behind is kept until no reader that lives may need it.

use std::path::Path;

use crate::engine::directory::reader_files::registered;
use crate::engine::state::checkpointing::{Checkpointing, Held, Kept};
use crate::engine::state::engine::Engine;
use crate::engine::state::writer::Writer;
use crate::env::{Env, LockMode, OpenMode, Planted, Site};
use crate::error::{Result, is_full};
use crate::format::notice::{self, Standing, USE_LEN};
use crate::segment::Spender;

/// The oldest generation that a living reader may use; `None` if there is no reader. Files of dead ones are removed. What
/// cannot be told counts as 0: everything is kept.
fn oldest_in_use(env: &Env, dir: &Path) -> Option<u64> {
    let Ok(files) = registered(env, dir) else {
        return Some(0);
    };
    let mut oldest: Option<u64> = None;
    for path in files {
        let used = match env.vfs.lock(&path, LockMode::Shared, Site::READERS) {
            // Its reader is gone. With the lock, so that nobody takes the file for his own meanwhile.
            Ok(_lock) => {
                let _ = env.vfs.remove(&path, Site::READERS);
                continue;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => generation_of(env, &path),
            Err(_) => 0,
        };
        oldest = Some(oldest.map_or(used, |oldest| oldest.min(used)));
    }
    oldest
}

fn generation_of(env: &Env, path: &Path) -> u64 {
    let mut bytes = [0; USE_LEN];
    let read = env
        .vfs
        .open(path, OpenMode::Read, Site::READERS)
        .and_then(|file| file.read_exact_at(&mut bytes, 0, Site::READERS));
    if read.is_ok() { notice::decode_use(&bytes) } else { 0 }
}

impl Engine {
    /// Tells readers in other processes that the log is durable as far as the writer knows; `lsn` is the last commit
    /// in that part. Before anybody is told that a commit is durable, so that whoever hears of it finds it. If it fails,
    /// readers stay behind until the next one: the commit itself needs nobody to know.
    pub(in crate::engine) fn tell_readers(&self, writer: &Writer, lsn: u64) {
        if !writer.telling {
            return;
        }
        let run = self.maker.run.load(std::sync::atomic::Ordering::Relaxed);
        let early = self.planted(Planted::TellTooEarly);
        let durable = if early { writer.log.end() } else { writer.log.durable() };
        let standing = Standing { run, durable, lsn };
        if let Some(lock) = &*self.lock.lock() {
            let note = || lock.note(&standing.encode());
            let mut noted = note();
            while noted.as_ref().is_err_and(is_full) && self.reserve.spend(&self.env, Spender::Delete) {
                noted = note();
            }
        }
    }

    /// Keeps what the newest superblock names, which is about to be replaced: `generation` is its own.
    pub(in crate::engine) fn hold_for_readers(&self, state: &mut Checkpointing, generation: u64) {
        if !self.read_only && !self.planted(Planted::ForgetReaders) {
            let (tree, segments) = (self.view.load().index.tree.clone(), self.tables.current());
            state.held.push(Held { generation, _kept: Kept::Version { _tree: tree, _segments: segments } });
        }
    }

    /// Lets go of what no living reader may need. Only behind a superblock that is durable.
    pub(in crate::engine) fn let_go(&self, state: &mut Checkpointing) {
        if !state.held.is_empty() {
            let oldest = oldest_in_use(&self.env, &self.dir);
            state.held.retain(|held| oldest.is_some_and(|oldest| oldest <= held.generation));
        }
    }

    /// Before the first page is written: readers that were there before this writer may reach pages that its tree
    /// does not, and no writer is left that knows which. So none of the free ones is used while they live.
    pub(in crate::engine) fn meet_readers(&self, state: &mut Checkpointing) -> Result<()> {
        if state.has_met || self.read_only || self.planted(Planted::MeetNoReaders) {
            return Ok(());
        }
        let newest = self.superblock.newest().generation;
        if oldest_in_use(&self.env, &self.dir).is_some_and(|oldest| oldest < newest) {
            let pages = state.pages.withhold(&self.view.load().index.tree)?;
            state.held.push(Held { generation: newest - 1, _kept: Kept::Pages { _pages: pages } });
        }
        state.has_met = true;
        Ok(())
    }
}
