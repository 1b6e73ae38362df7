//! What a read-only opening holds: its registration, and where the newest state is found.

use std::path::PathBuf;

use parking_lot::Mutex;

use crate::env::{Env, Lock, Site};
use crate::format::commit::Position;
use crate::format::notice;
use crate::format::superblock::Superblock;
use crate::index::TreeWatch;

/// What a reader keeps to find the newest state.
#[derive(Debug)]
pub struct Reader {
    /// Its registration; `None` if it could not be made: then the reader has the store's lock, and no writer comes.
    pub(in crate::engine) seat: Mutex<Option<Seat>>,
    /// Where it stands. One refresh at a time.
    pub(in crate::engine) place: Mutex<Place>,
}

/// Where a reader stands.
#[derive(Debug)]
pub(in crate::engine) struct Place {
    pub(in crate::engine) block: Superblock,
    /// The run of the writer beside it; `None` if there was none.
    pub(in crate::engine) run: Option<u64>,
    /// How far the log is in the view.
    pub(in crate::engine) end: Position,
    /// The trees that may still be in use, by the generation of the superblock that they were found by.
    pub(in crate::engine) trees: Vec<(u64, TreeWatch)>,
    /// What the registration says.
    pub(in crate::engine) told: u64,
}

/// A registered reader. Dropping it ends the registration.
#[derive(Debug)]
pub(in crate::engine) struct Seat {
    pub(in crate::engine) env: Env,
    pub(in crate::engine) path: PathBuf,
    pub(in crate::engine) lock: Box<dyn Lock>,
}

impl Seat {
    /// Whether its file is still there: else the writer keeps nothing for this reader.
    pub(in crate::engine) fn is_there(&self) -> bool {
        match (self.env.vfs.id(&self.path), self.lock.id()) {
            (Ok(found), Ok(held)) => found == held,
            (Err(error), _) => error.kind() != std::io::ErrorKind::NotFound,
            _ => true,
        }
    }

    /// Says which superblocks are in use: from this generation on.
    fn tell(&self, generation: u64) -> std::io::Result<()> {
        self.lock.note(&notice::encode_use(generation), Site::NOTE)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // In a forked process it is the reader's yet.
        if !self.env.is_here() {
            return;
        }
        // While it is locked, so that it is never somebody else's. If this fails, a writer does it.
        let _ = self.env.vfs.remove(&self.path, Site::READERS);
    }
}

impl Reader {
    /// Says in the registration which superblocks are in use. If that fails, more is kept than is needed.
    pub(in crate::engine) fn tell(&self, place: &mut Place) {
        place.trees.retain(|(_, tree)| tree.is_alive());
        let oldest = place.trees.iter().map(|(generation, _)| *generation).min().unwrap_or(0);
        if oldest != place.told
            && let Some(seat) = &*self.seat.lock()
            && seat.tell(oldest).is_ok()
        {
            place.told = oldest;
        }
    }
}
