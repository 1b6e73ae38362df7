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

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::index_file::{self, FoundIndex};
use super::options::OpenOptions;
use super::registration::cannot_register;
use crate::crypto::Keyring;
use crate::engine::directory::files::{LOCK, SUPERBLOCK};
use crate::engine::directory::identity;
use crate::engine::directory::lock::{self, Found as Who, StoreLock};
use crate::engine::directory::superblock::{Found, SuperblockFile};
use crate::engine::directory::{listing, segment_keys};
use crate::engine::keys::unlock::{self, Unlock};
use crate::engine::state::engine::Engine;
use crate::engine::state::reader::{Place, Reader, Seat};
use crate::env::{File, OpenMode, Site};
use crate::error::{Error, ErrorKind, Result};
use crate::format::commit::Position;
use crate::format::notice::{STANDING_LEN, Standing};
use crate::format::superblock::Superblock;
use crate::segment::Table;

/// How often, and after how long a rest, a writer that is just opening the store is asked again: ten seconds in all.
const WAITS: u32 = 5000;

const WAIT: Duration = Duration::from_millis(2);

/// How often it is asked again who has the store where a writer does not have `LOCK`: half a second in all. A writer that is
/// between its two locks is done in less.
const HIDDEN_WAITS: u32 = 250;

/// How often opening is begun again because the writer has made a checkpoint meanwhile.
const ATTEMPTS: u32 = 100;

/// Who else has the store open, and what its superblock says.
pub(in crate::engine) struct Look {
    file: Arc<dyn File>,
    pub(in crate::engine) block: Superblock,
    /// What the writer says; `None` if there is no writer.
    pub(in crate::engine) standing: Option<Standing>,
    /// Keeps writers away if there is none.
    _lock: Option<StoreLock>,
}

/// A state that was found, in an engine of its own.
pub(in crate::engine) struct Loaded {
    pub(in crate::engine) engine: Engine,
    pub(in crate::engine) block: Superblock,
    pub(in crate::engine) standing: Option<Standing>,
    pub(in crate::engine) end: Position,
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
    let locking = |error| listing::explain(listing::failed("locking", dir, error), dir);
    match StoreLock::ask(&options.env, dir).map_err(locking)? {
        Who::Nobody(Some(lock)) if lock.has_lock() => Ok(lock),
        Who::Nobody(_) => Err(locking(std::io::ErrorKind::NotFound.into())),
        Who::Writer | Who::Hidden => Err(cannot_register(dir, why)),
    }
}

/// The file of the superblock, what it says, and the keys of a sealed store.
type Looked = (Arc<dyn File>, Superblock, Option<Arc<Keyring>>);

/// The superblock of a store that there is.
fn superblock_of(options: &OpenOptions) -> Result<Looked> {
    let OpenOptions { dir, env, unlock, .. } = options;
    let opened = SuperblockFile::open(env, &dir.join(SUPERBLOCK), OpenMode::Read);
    if let Ok((file, Found::Store(block, signature))) = opened {
        let ring = unlock::unlock(env, dir, unlock.as_ref(), &block, &signature)?;
        if let (Some(ring), Some(keys)) = (&ring, &block.keys) {
            let why = "its shred root does not open";
            let learnt = ring.learn(&keys.shred);
            let unread = learnt.ok_or_else(|| Error::corrupt(dir.join(SUPERBLOCK).display(), 0, why))?;
            if unread || !matches!(unlock, Some(Unlock::Ring(_))) {
                segment_keys::load(env, dir, ring, ring.shred_name())?;
            }
        }
        identity::refuse_unfinished(dir, &block)?;
        return Ok((file, *block, ring));
    }
    let names = listing::list(env, dir)?;
    if names.iter().any(|name| name == SUPERBLOCK) {
        match opened.map_err(|error| listing::explain(error, dir))? {
            (_, Found::Unsound(error)) if identity::has_index(&names) => return Err(error),
            _ => {}
        }
    }
    identity::refuse_foreign(env, dir, &names, false)?;
    Err(Error::new(ErrorKind::NotFound, "NoSuchStore", format!("there is no store at {}", dir.display())))
}

/// Looks who has the store open. `locked` says that this reader has the lock.
pub(in crate::engine) fn look(options: &OpenOptions, locked: bool) -> Result<Look> {
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
            Err(error) => return Err(listing::explain(listing::failed("locking", dir, error), dir)),
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
        Err(error) => Err(listing::failed("reading", &path, error)),
    }
}

/// Finds the newest durable state. Segments of `before`, which belongs to the same writer, are not opened again.
pub(in crate::engine) fn load(
    options: &OpenOptions,
    locked: bool,
    mut before: Option<(&Place, Table)>,
) -> Result<Loaded> {
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
        let built = index_file::open_index(options, &block).and_then(|found| {
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

/// How the store was opened, for another look at it.
pub(in crate::engine) fn options_of(engine: &Engine) -> OpenOptions {
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
