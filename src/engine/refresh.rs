//! A store opened for reading only, perhaps beside a writer in another process: how it finds the newest durable state.
//!
//! 1. Register: a locked file in `readers/` keeps the writer from reusing what this reader may need.
//! 2. Is there a writer? It has the lock. If there is none, the lock is shared while the log is read, and the log ends
//!    where recovery says. If there is one, it has left a note in the locked file that says how far the log is durable.
//! 3. Read the superblock, then the note, in this order: the note is then never older than the checkpoint.
//! 4. Open the tree and walk the log up to the place in the note. If a new checkpoint came meanwhile, begin again.
//!
//! A refresh does 2 and 3. As long as the checkpoint is the same and the writer too, it goes on walking where it
//! ended; otherwise it does 4 and puts the new state in the place of the old one. Who still reads the old one keeps it:
//! the registration names the oldest superblock of which a tree is alive.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::keys::{self, Unlock};
use super::lock::{self, Found as Who, StoreLock};
use super::open::{self, FoundIndex, LOCK, OpenOptions, SUPERBLOCK};
use super::readers::{NAME_LEN, READERS};
use super::superblock::{Found, SuperblockFile};
use super::{Engine, kept, recovery};
use crate::crypto::Keyring;
use crate::env::{Env, File, Lock, LockMode, OpenMode, Site};
use crate::error::{Error, ErrorKind, Result};
use crate::format::commit::Position;
use crate::format::notice::{self, STANDING_LEN, Standing};
use crate::format::superblock::Superblock;
use crate::index::TreeWatch;
use crate::model::Lsn;
use crate::segment::Table;

/// How often, and after how long a rest, a writer that is just opening the store is asked again: ten seconds in all.
const WAITS: u32 = 5000;
const WAIT: Duration = Duration::from_millis(2);
/// How often it is asked again who has the store where a writer does not have `LOCK`: half a second in all. A writer that is
/// between its two locks is done in less.
const HIDDEN_WAITS: u32 = 250;
/// How often opening is begun again because the writer has made a checkpoint meanwhile.
const ATTEMPTS: u32 = 100;
/// How often another name is tried for a registration.
const NAMES: u32 = 16;

/// What a reader keeps to find the newest state.
#[derive(Debug)]
pub struct Reader {
    /// Its registration; `None` if it could not be made: then the reader has the store's lock, and no writer comes.
    seat: Mutex<Option<Seat>>,
    /// Where it stands. One refresh at a time.
    place: Mutex<Place>,
}

/// Where a reader stands.
#[derive(Debug)]
struct Place {
    block: Superblock,
    /// The run of the writer beside it; `None` if there was none.
    run: Option<u64>,
    /// How far the log is in the view.
    end: Position,
    /// The trees that may still be in use, by the generation of the superblock that they were found by.
    trees: Vec<(u64, TreeWatch)>,
    /// What the registration says.
    told: u64,
}

/// A registered reader. Dropping it ends the registration.
#[derive(Debug)]
struct Seat {
    env: Env,
    path: PathBuf,
    lock: Box<dyn Lock>,
}

impl Seat {
    /// Registers.
    fn take(options: &OpenOptions) -> std::io::Result<Seat> {
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

/// Who else has the store open, and what its superblock says.
struct Look {
    file: Arc<dyn File>,
    block: Superblock,
    /// What the writer says; `None` if there is no writer.
    standing: Option<Standing>,
    /// Keeps writers away if there is none.
    _lock: Option<StoreLock>,
}

/// A state that was found, in an engine of its own.
struct Loaded {
    engine: Engine,
    block: Superblock,
    standing: Option<Standing>,
    end: Position,
}

/// Opens a store for reading only.
pub fn open(mut options: OpenOptions) -> Result<Engine> {
    // Before anything is made in a directory that is no store, or with a key that does not fit. Who holds the key is asked
    // once.
    let (_, _, ring) = superblock_of(&options)?;
    options.unlock = ring.map(Unlock::Ring);
    let (seat, lock) = match Seat::take(&options) {
        Ok(seat) => (Some(seat), None),
        Err(error) => (None, Some(share_lock(&options, error)?)),
    };
    let Loaded { mut engine, block, standing, end } = load(&options, lock.is_some(), None)?;
    *engine.lock.get_mut() = lock;
    let place = Place { block, run: None, end, trees: Vec::new(), told: 0 };
    let reader = Reader { seat: Mutex::new(seat), place: Mutex::new(place) };
    let mut place = reader.place.lock();
    reader.stand(&mut place, &engine, standing);
    reader.tell(&mut place);
    drop(place);
    engine.reader = Some(reader);
    Ok(engine)
}

/// The lock of the store, shared, for a reader that cannot register.
fn share_lock(options: &OpenOptions, why: std::io::Error) -> Result<StoreLock> {
    let dir = &options.dir;
    let locking = |error| open::explain(open::failed("locking", dir, error), dir);
    match StoreLock::ask(&options.env, dir).map_err(locking)? {
        Who::Nobody(Some(lock)) if lock.has_lock() => Ok(lock),
        Who::Nobody(_) => Err(locking(std::io::ErrorKind::NotFound.into())),
        Who::Writer | Who::Hidden => Err(cannot_register(dir, why)),
    }
}

fn cannot_register(dir: &Path, why: std::io::Error) -> Error {
    let told = format!(
        "the store at {} is open for writing, and to read beside the writer a file must be made in {}, which failed ({why}); \
         allow that, or close the store there first",
        dir.display(),
        dir.join(READERS).display()
    );
    Error::new(ErrorKind::Busy, "StoreBusy", told).with_source(why)
}

/// The file of the superblock, what it says, and the keys of a sealed store.
type Looked = (Arc<dyn File>, Superblock, Option<Arc<Keyring>>);

/// The superblock of a store that there is.
fn superblock_of(options: &OpenOptions) -> Result<Looked> {
    let OpenOptions { dir, env, unlock, .. } = options;
    let opened = SuperblockFile::open(env, &dir.join(SUPERBLOCK), OpenMode::Read);
    if let Ok((file, Found::Store(block, signature))) = opened {
        let ring = keys::unlock(env, dir, unlock.as_ref(), &block, &signature)?;
        if let (Some(ring), Some(keys)) = (&ring, &block.keys) {
            let why = "its shred root does not open";
            let learnt = ring.learn(&keys.shred);
            let unread = learnt.ok_or_else(|| Error::corrupt(dir.join(SUPERBLOCK).display(), 0, why))?;
            if unread || !matches!(unlock, Some(Unlock::Ring(_))) {
                kept::load(env, dir, ring, ring.shred_name())?;
            }
        }
        open::refuse_unfinished(dir, &block)?;
        return Ok((file, *block, ring));
    }
    let names = open::list(env, dir)?;
    if names.iter().any(|name| name == SUPERBLOCK) {
        match opened.map_err(|error| open::explain(error, dir))? {
            (_, Found::Unsound(error)) if open::has_index(&names) => return Err(error),
            _ => {}
        }
    }
    open::refuse_foreign(env, dir, &names, false)?;
    Err(Error::new(ErrorKind::NotFound, "NoSuchStore", format!("there is no store at {}", dir.display())))
}

/// Looks who has the store open. `locked` says that this reader has the lock.
fn look(options: &OpenOptions, locked: bool) -> Result<Look> {
    let OpenOptions { dir, env, .. } = options;
    let mut hidden = 0;
    for _ in 0..WAITS {
        let asked = if locked { Ok(Who::Nobody(None)) } else { StoreLock::ask(env, dir) };
        let (alone, lock) = match asked {
            Ok(Who::Nobody(lock)) => (true, lock),
            Ok(Who::Writer) => (false, None),
            Ok(Who::Hidden) if hidden == HIDDEN_WAITS => return Err(lock::hidden(dir)),
            Ok(Who::Hidden) => {
                hidden += 1;
                env.clock.rest(WAIT);
                continue;
            }
            Err(error) => return Err(open::explain(open::failed("locking", dir, error), dir)),
        };
        let (file, block, _) = superblock_of(options)?;
        if alone {
            return Ok(Look { file, block, standing: None, _lock: lock });
        }
        // A note of an earlier run was left by a writer that is gone.
        if let Some(standing) = standing_of(options)?.filter(|standing| standing.run >= block.run) {
            return Ok(Look { file, block, standing: Some(standing), _lock: None });
        }
        env.clock.rest(WAIT);
    }
    let told =
        format!("the store at {} is just being opened by a writer; try again in a while", dir.display());
    Err(Error::new(ErrorKind::Busy, "StoreBusy", told))
}

/// What the note in the lock says.
fn standing_of(options: &OpenOptions) -> Result<Option<Standing>> {
    let path = options.dir.join(LOCK);
    let mut bytes = [0; STANDING_LEN];
    let read = options
        .env
        .vfs
        .open(&path, OpenMode::Read, Site::NOTE)
        .and_then(|file| file.read_exact_at(&mut bytes, 0, Site::NOTE));
    match read {
        Ok(()) => Ok(Standing::decode(&bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(open::failed("reading", &path, error)),
    }
}

/// Finds the newest durable state. Segments of `before`, which belongs to the same writer, are not opened again.
fn load(options: &OpenOptions, locked: bool, mut before: Option<(&Place, Table)>) -> Result<Loaded> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let Look { file, block, standing, _lock } = look(options, locked)?;
        let run = standing.map(|standing| standing.run);
        let known = match &before {
            // Ids are used again at most in another run.
            Some((place, table)) if run.is_some() && place.run == run => table.clone(),
            _ => Table::default(),
        };
        let superblock =
            SuperblockFile::new(file, &options.dir.join(SUPERBLOCK), block.clone(), options.ring());
        let built = open::open_index(options, &block).and_then(|found| {
            let lost = found.rebuild && !options.rebuild_index;
            if lost && has_moved(options, &block, run)? {
                return Ok(None);
            }
            assemble(options, &block, superblock, found, standing, &known).map(Some)
        });
        // What a writer has replaced meanwhile may be gone, and so it is not looked at as damage.
        match built {
            Ok(Some((engine, end))) => return Ok(Loaded { engine, block, standing, end }),
            Ok(None) if attempt < ATTEMPTS => {}
            // An opening that wrote nothing has the same number as the next one, and may have had segments.
            Err(_) if before.take().is_some() => {}
            Err(_) if attempt < ATTEMPTS && has_moved(options, &block, run)? => {}
            Err(error) => return Err(error),
            Ok(None) => {
                let told = format!(
                    "the index of the store at {} changes too fast to be opened",
                    options.dir.display()
                );
                return Err(Error::new(ErrorKind::Busy, "StoreBusy", told + "; try again"));
            }
        }
    }
}

/// Whether the store has another superblock or another writer than a moment ago.
fn has_moved(options: &OpenOptions, block: &Superblock, run: Option<u64>) -> Result<bool> {
    if run.is_none() {
        return Ok(false);
    }
    let now = look(options, false)?;
    Ok(now.block.generation != block.generation || now.standing.map(|standing| standing.run) != run)
}

/// Puts an engine of this state together; where its log ends comes with it.
fn assemble(
    options: &OpenOptions,
    block: &Superblock,
    superblock: SuperblockFile,
    found: FoundIndex,
    standing: Option<Standing>,
    known: &Table,
) -> Result<(Engine, Position)> {
    let until = standing.map(|standing| standing.durable);
    let engine = Engine::assemble(options.clone(), None, block, superblock, found, until, known)?;
    let end = engine.writer.lock().log.end();
    if let Some(standing) = standing.filter(|standing| standing.durable >= end) {
        let log = options.dir.join("log");
        let lsn = engine.view.load().lsn;
        standing.check(lsn).map_err(|reason| Error::corrupt(log.display(), end.offset, reason))?;
    }
    Ok((engine, end))
}

impl Engine {
    /// Moves the store to the newest durable state, and says which commit is its last. See
    /// [`Store::refresh`](crate::Store::refresh).
    pub fn refresh(&self) -> Result<Lsn> {
        self.check_open()?;
        if let Some(reader) = &self.reader {
            let mut place = reader.place.lock();
            self.check_open()?;
            if reader.seat.lock().is_some() {
                self.look_again()?;
                let anew = reader.sit_again(&mut place, self)?;
                reader.move_on(&mut place, self, anew)?;
                reader.tell(&mut place);
                // Followers of the feed wait for what a refresh brings.
                self.feed.ring();
            }
        }
        Ok(Lsn(self.view.load().lsn))
    }

    /// Ends the registration as a reader.
    pub(super) fn leave(&self) {
        if let Some(reader) = &self.reader {
            // A refresh that has begun still needs it; the next one finds the store closed.
            let _one = reader.place.lock();
            drop(reader.seat.lock().take());
        }
    }

    /// Takes the state of another engine of the same store over.
    fn take_over(&self, other: Engine) {
        let Engine { view, writer, checkpointing, tables, superblock, .. } = other;
        *self.checkpointing.lock() = checkpointing.into_inner();
        let mut ours = self.writer.lock();
        let theirs = writer.into_inner();
        // When the first of the commits between was made is not known.
        if ours.view.lsn != theirs.view.lsn {
            ours.view.reign.end(0);
        }
        *ours = theirs;
        self.tables.replace(tables.current());
        self.superblock.adopt(superblock.newest());
        self.view.store(view.load_full());
    }
}

impl Reader {
    /// Registers again if somebody has removed the registration. Says whether that was so: then the writer may have used
    /// again what this reader needs, and nothing that it knows is built on.
    fn sit_again(&self, place: &mut Place, engine: &Engine) -> Result<bool> {
        let mut seat = self.seat.lock();
        if seat.as_ref().is_none_or(Seat::is_there) {
            return Ok(false);
        }
        let fresh = Seat::take(&options_of(engine)).map_err(|error| cannot_register(&engine.dir, error))?;
        *seat = Some(fresh);
        place.told = 0;
        Ok(true)
    }

    fn move_on(&self, place: &mut Place, engine: &Engine, anew: bool) -> Result<()> {
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
    fn stand(&self, place: &mut Place, engine: &Engine, standing: Option<Standing>) {
        place.run = standing.map(|standing| standing.run);
        place.trees.push((place.block.generation, engine.view.load().index.tree.watch()));
    }

    /// Says in the registration which superblocks are in use. If that fails, more is kept than is needed.
    fn tell(&self, place: &mut Place) {
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

/// How the store was opened, for another look at it.
fn options_of(engine: &Engine) -> OpenOptions {
    OpenOptions {
        dir: engine.dir.clone(),
        env: engine.env.clone(),
        settings: engine.settings.clone(),
        read_only: true,
        create: false,
        rebuild_index: false,
        unlock: engine.ring().cloned().map(Unlock::Ring),
    }
}

fn same_tree(one: &Superblock, other: &Superblock) -> bool {
    let shred = |block: &Superblock| block.keys.as_ref().map(|keys| keys.shred);
    one.checkpoint == other.checkpoint && one.index_file == other.index_file && shred(one) == shred(other)
}
