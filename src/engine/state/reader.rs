//! What a read-only opening holds: its registration, and where the newest state is found.

use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use super::engine::Engine;
use crate::engine::directory::files::{NAME_LEN, READERS, SUPERBLOCK};
use crate::engine::open::options::OpenOptions;
use crate::engine::open::read_only::{Loaded, Look, load, look, options_of};
use crate::engine::open::recovery;
use crate::env::{Env, Lock, LockMode, OpenMode, Site};
use crate::error::{Error, ErrorKind, Result};
use crate::format::commit::Position;
use crate::format::notice::{self, Standing};
use crate::format::superblock::Superblock;
use crate::index::TreeWatch;

/// How often another name is tried for a registration.
const NAMES: u32 = 16;

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
    env: Env,
    path: PathBuf,
    lock: Box<dyn Lock>,
}

impl Seat {
    /// Registers.
    pub(in crate::engine) fn take(options: &OpenOptions) -> std::io::Result<Seat> {
        let env = &options.env;
        let readers = options.dir.join(READERS);
        let mut last = std::io::Error::from(std::io::ErrorKind::WouldBlock);
        for _ in 0..NAMES {
            let mut random = [0; NAME_LEN / 2];
            env.entropy.fill(&mut random);
            let path = readers.join(random.map(|byte| format!("{byte:02x}")).concat());
            match env.vfs.lock(&path, LockMode::Exclusive, Site::READERS) {
                Ok(lock) => {
                    let seat = Seat { env: env.clone(), path, lock };
                    // Between its making and its locking the writer may have taken it for a dead one's. That nothing
                    // is written in it yet means the same as what would be.
                    if env.vfs.open(&seat.path, OpenMode::Read, Site::READERS).is_ok() {
                        return Ok(seat);
                    }
                }
                Err(error) => {
                    if error.kind() == std::io::ErrorKind::NotFound {
                        env.vfs.create_dir(&readers, Site::READERS)?;
                    } else if error.kind() != std::io::ErrorKind::WouldBlock {
                        return Err(error);
                    }
                    last = error;
                }
            }
        }
        Err(last)
    }

    /// Whether its file is still there: else the writer keeps nothing for this reader.
    fn is_there(&self) -> bool {
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

pub(in crate::engine) fn cannot_register(dir: &Path, why: std::io::Error) -> Error {
    let told = format!(
        "the store at {} is open for writing, and to read beside the writer a file must be made in {}, which failed ({why}); \
         allow that, or close the store there first",
        dir.display(),
        dir.join(READERS).display()
    );
    Error::new(ErrorKind::Busy, "StoreBusy", told).with_source(why)
}

impl Reader {
    /// Registers again if somebody has removed the registration. Says whether that was so: then the writer may have used
    /// again what this reader needs, and nothing that it knows is built on.
    pub(in crate::engine) fn sit_again(&self, place: &mut Place, engine: &Engine) -> Result<bool> {
        let mut seat = self.seat.lock();
        if seat.as_ref().is_none_or(Seat::is_there) {
            return Ok(false);
        }
        let fresh = Seat::take(&options_of(engine)).map_err(|error| cannot_register(&engine.dir, error))?;
        *seat = Some(fresh);
        place.told = 0;
        Ok(true)
    }

    pub(in crate::engine) fn move_on(&self, place: &mut Place, engine: &Engine, anew: bool) -> Result<()> {
        let options = options_of(engine);
        let Look { block, standing, .. } = look(&options, false)?;
        if block.store_id != place.block.store_id {
            let why = "another store lies here than the one that was opened; open it again";
            return Err(Error::corrupt(engine.dir.join(SUPERBLOCK).display(), 0, why));
        }
        match standing {
            _ if anew => {}
            None if place.run.is_none() && block.generation == place.block.generation => return Ok(()),
            Some(standing) if place.run == Some(standing.run) && same_tree(&block, &place.block) => {
                if place.end >= standing.durable {
                    return Ok(());
                }
                // If this fails, it is looked at from the beginning: the writer may have moved on.
                let same_segment = standing.durable.segment == place.end.segment;
                let walk = |listed| recovery::follow(engine, place.end, &standing, listed);
                if (same_segment && walk(false).is_ok_and(|done| done)) || walk(true).is_ok() {
                    place.end = standing.durable;
                    return Ok(());
                }
            }
            _ => {}
        }
        let known = (!anew).then(|| (&*place, engine.tables.current()));
        let Loaded { engine: found, block, standing, end } = load(&options, false, known)?;
        engine.take_over(found);
        (place.block, place.end) = (block, end);
        self.stand(place, engine, standing);
        Ok(())
    }

    /// Notes where the engine stands now.
    pub(in crate::engine) fn stand(&self, place: &mut Place, engine: &Engine, standing: Option<Standing>) {
        place.run = standing.map(|standing| standing.run);
        place.trees.push((place.block.generation, engine.view.load().index.tree.watch()));
    }

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

fn same_tree(one: &Superblock, other: &Superblock) -> bool {
    let shred = |block: &Superblock| block.keys.as_ref().map(|keys| keys.shred);
    one.checkpoint == other.checkpoint && one.index_file == other.index_file && shred(one) == shred(other)
}
