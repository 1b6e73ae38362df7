//! Opening: the lock, the superblock, the index file, and how a directory becomes a store.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::checkpoint::Checkpointing;
use super::commit::Writer;
use super::gauges::Gauges;
use super::keys::{self, Unlock};
use super::ledger::Ledger;
use super::lock::StoreLock;
use super::queue::Queue;
use super::readers::READERS;
use super::recovery::{self, Recovered};
use super::refresh;
use super::room::{Room, level_of_disk};
use super::superblock::{Found, SuperblockFile};
use super::{Engine, ReadMode, Reign, Settings, View, Wake, kept};
use crate::crypto::Keyring;
use crate::env::{Env, File, OpenMode, Planted, Site};
use crate::error::{Error, ErrorKind, Result, is_full};
use crate::format::commit::Position;
use crate::format::superblock::Superblock;
use crate::index::{self, Delta, Index, PageFile, RootPtr};
use crate::segment::{
    BulkPool, Identity, Log, Pools, Reserve, SegmentMaker, TIERS, Table, TableCell, bulk_dir, find_places,
    log_dir, parse_reserve, segment_dirs, spend_unopened, sync_above,
};

/// The file that holds the lock.
pub const LOCK: &str = "LOCK";
/// The superblock.
pub const SUPERBLOCK: &str = "SUPERBLOCK";
/// The index file, and the other one that it is rewritten into when it is vacuumed.
pub const INDEX_FILES: [&str; 2] = ["index.tree", "index.alt.tree"];

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// The store's directory.
    pub dir: PathBuf,
    /// Files, time and chance.
    pub env: Env,
    /// How it behaves.
    pub settings: Settings,
    /// Whether it is opened for reading only.
    pub read_only: bool,
    /// Whether a missing store is made.
    pub create: bool,
    /// Whether the index is thrown away and made anew from the log.
    pub rebuild_index: bool,
    /// What an encrypted store is opened with; a store that is made now is encrypted if there is something.
    pub unlock: Option<Unlock>,
}

impl OpenOptions {
    /// The keys of a store that was unlocked.
    pub(super) fn ring(&self) -> Option<Arc<Keyring>> {
        match &self.unlock {
            Some(Unlock::Ring(ring)) => Some(ring.clone()),
            _ => None,
        }
    }
}

impl Engine {
    /// Opens the store in a directory, making it if it is missing and may be made.
    pub fn open(options: OpenOptions) -> Result<Engine> {
        let dir = options.dir.clone();
        Engine::open_as_it_is(options).map_err(|error| error.while_opening(dir.display()))
    }

    fn open_as_it_is(mut options: OpenOptions) -> Result<Engine> {
        options.settings.check()?;
        // What is made in a store is its owner's, whoever works on it.
        options.env = options.env.with_those_of(&options.dir.join(SUPERBLOCK));
        let OpenOptions { dir, env, create, read_only, .. } = &options;
        if *create && !read_only && env.vfs.list(dir, Site::STORE_LIST).is_err() {
            env.vfs.create_dir(dir, Site::STORE_DIR).map_err(|e| explain(failed("making", dir, e), dir))?;
        }
        (options.env, options.dir) = stand_in(env, dir)?;
        if options.read_only {
            return refresh::open(options);
        }
        loop {
            match Engine::open_to_write(options.clone()) {
                // A disk may be so full that not even this has room: the reserve is for that as well.
                Err(error) if error.is_full() && spend_unopened(&options.env, &options.dir) => {}
                opened => return opened,
            }
        }
    }

    fn open_to_write(mut options: OpenOptions) -> Result<Engine> {
        let OpenOptions { dir, env, create, unlock, .. } = &options;
        let path = dir.join(SUPERBLOCK);
        let names = list(env, dir)?;
        let exists = names.iter().any(|name| name == SUPERBLOCK);
        if !exists {
            refuse_foreign(env, dir, &names, *create)?;
        }
        let mut lock = StoreLock::take(env, dir, exists)?;
        let mut made = false;
        let found = if exists {
            let opened = SuperblockFile::open(env, &path, OpenMode::ReadWrite);
            Some(opened.map_err(|e| explain(e, dir))?)
        } else {
            None
        };
        let is_new = !matches!(found, Some((_, Found::Store(..))));
        let (block, superblock) = match found {
            Some((file, Found::Store(block, signature))) => {
                // Before anything is changed: a wrong key must do no harm.
                let ring = keys::unlock(env, dir, unlock.as_ref(), &block, &signature)?;
                if let Some(ring) = &ring {
                    kept::load(env, dir, ring, ring.shred_name())?;
                }
                refuse_unfinished(dir, &block)?;
                let superblock = SuperblockFile::new(file, &path, (*block).clone(), ring);
                if block.is_young() {
                    // Whoever made it may have been killed before it was durable.
                    superblock.sync()?;
                    name_durably(env, dir)?;
                }
                (*block, superblock)
            }
            // The index file is made behind the first sound superblock: with one, this was a store.
            Some((_, Found::Unsound(error))) if has_index(&names) => return Err(error),
            Some((_, Found::Blank | Found::Unsound(_))) => {
                refuse_foreign(env, dir, &names, *create)?;
                env.vfs.remove(&path, Site::STORE_DIR).map_err(|e| failed("removing", &path, e))?;
                made = true;
                make(&options, &path)?
            }
            None => {
                made = true;
                make(&options, &path)?
            }
        };
        lock.settle(env, dir, made)?;
        options.unlock = superblock.ring().cloned().map(Unlock::Ring);
        let index = open_index(&options, &block)?;
        let rebuild = index.rebuild;
        let engine = Self::assemble(options, Some(lock), &block, superblock, index, None, &Table::default())?;
        if is_new {
            engine.refuse_where_no_reserve_is()?;
        }
        engine.finish_change_of_keys()?;
        if rebuild {
            // The superblock still names the lost tree. On a full disk that has to wait: the next opening
            // rebuilds again.
            match engine.checkpoint() {
                Err(error) if !error.is_full() => return Err(error),
                _ => {}
            }
        }
        Ok(engine)
    }

    /// Puts an engine together and brings it to the end of the log, or to `until`.
    pub(super) fn assemble(
        options: OpenOptions,
        lock: Option<StoreLock>,
        block: &Superblock,
        superblock: SuperblockFile,
        found: FoundIndex,
        until: Option<Position>,
        known: &Table,
    ) -> Result<Engine> {
        let ring = options.ring();
        let OpenOptions { dir, env, settings, read_only, .. } = options;
        let identity = Identity {
            ring,
            dir: dir.clone(),
            store_id: block.store_id,
            chunk_log2: block.chunk_log2,
            mapped: settings.read_mode == ReadMode::Mapped,
        };
        let maker = Arc::new(SegmentMaker::new(env.clone(), identity, block.run + 1, block.next_segment));
        if read_only && block.backup {
            // What a backup names no more is removed under its readers.
            maker.files.keep_most();
        }
        let tables = Arc::new(TableCell::default());
        let wanted = (!read_only).then(|| settings.tiers.each_ref().map(|tier| tier.dir.clone()));
        maker.set_places(find_places(&env, &dir, &block.store_id, wanted.as_ref().map(|dirs| &dirs[..]))?);
        let volume = env.vfs.volume(&dir);
        let find = |dir: &Path, is_home: bool| {
            let level = level_of_disk(settings.reserve_bytes, env.vfs.volume(dir).bytes);
            Arc::new(if read_only { Reserve::none() } else { Reserve::find(&env, dir, level, is_home) })
        };
        let reserve = find(&dir, true);
        superblock.set_reserve(reserve.clone());
        let pools = (0..TIERS).map(|tier| {
            let coding = settings.coding(tier, block.chunk_log2);
            let place = maker.place(tier);
            let kept = match place.elsewhere.filter(|_| place.out.is_none()) {
                Some(dir) => find(&dir, false),
                None => reserve.clone(),
            };
            let len = settings.segment_size.min(2 << 20);
            Arc::new(BulkPool::new(maker.clone(), tables.clone(), tier, coding, len, kept))
        });
        let pools = Pools::new(pools.collect());
        let FoundIndex { pages, tree, rebuild } = found;
        // A rebuild meets every commit again, from the first that is left.
        let lsn = if rebuild { 0 } else { block.checkpoint.map_or(0, |checkpoint| checkpoint.lsn) };
        let index = Index { active: Delta::new(), frozen: None, tree };
        // The checkpoint's last commit was made before this; where others follow, they tell their own time.
        let reign = Reign::since(block.written);
        let view = Arc::new(View { index, segments: tables.current(), lsn, structure: lsn, reign });
        let log = Log::new(maker.clone(), tables.clone(), Position::default(), lsn);
        let engine = Engine {
            wake: Arc::new(Wake::default()),
            feed: super::feed::Feed::default(),
            touched: super::Touched::default(),
            vault: std::sync::OnceLock::new(),
            shortlists: Arc::default(),
            view: ArcSwap::new(view.clone()),
            queue: Queue::default(),
            writer: Mutex::new(Writer::new(view.clone(), log, Ledger::default(), 0)),
            checkpointing: Mutex::new(Checkpointing::new(pages, block.index_file)),
            gauges: Gauges::default(),
            failed: std::sync::OnceLock::new(),
            closed: false.into(),
            pace: 0.into(),
            exclusive: 0.into(),
            lock: Mutex::new(lock),
            backups: 0.into(),
            copies: super::copying::Copies::default(),
            moving: Mutex::new(()),
            shred_turn: Mutex::new(()),
            shredding: false.into(),
            in_the_way: 0.into(),
            emptied_to: 0.into(),
            reader: None,
            reserve,
            room: Room::new(volume.in_place),
            superblock,
            env,
            dir,
            settings,
            read_only,
            maker,
            tables,
            pools,
        };
        engine.writer.lock().ledger = Ledger::load(&view.index)?;
        engine.feed.load(&view.index)?;
        let recovered = recovery::recover(&engine, block, rebuild, until, known)?;
        engine.begin(recovered);
        Ok(engine)
    }

    /// Publishes what recovery found and makes the log ready to go on behind it.
    fn begin(&self, recovered: Recovered) {
        let mut writer = self.writer.lock();
        let mut view = View::clone(&writer.view);
        view.segments = self.tables.current();
        let view = Arc::new(view);
        writer.log = Log::new(self.maker.clone(), self.tables.clone(), recovered.end, view.lsn);
        writer.since_checkpoint = recovered.replayed;
        writer.view = view.clone();
        let lsn = view.lsn;
        self.recall_kept(&view, &writer.ledger, recovered.end);
        self.view.store(view);
        if !self.read_only {
            writer.telling = true;
            self.tell_readers(&writer, lsn);
            drop(writer);
            let _ = self.reserve.refill(&self.env);
            for reserve in self.pools.reserves_elsewhere() {
                let _ = reserve.refill(&self.env);
            }
            let state = self.checkpointing.lock();
            self.note_pages(&state.pages, &self.dir.join(INDEX_FILES[usize::from(state.index_file)]));
            drop(state);
            self.keep_reserve_in_step();
        }
    }

    /// Unmakes a store that was made just now on a disk that has no room for its reserve: filled, it could not be emptied.
    fn refuse_where_no_reserve_is(&self) -> Result<()> {
        // Other failures may pass; whoever writes tries again.
        if !self.reserve.refill(&self.env).is_err_and(|error| is_full(&error)) {
            return Ok(());
        }
        let (level, held) = (self.reserve.level(), self.reserve.held());
        self.reserve.give_up(&self.env);
        let _ = self.env.vfs.remove(&self.dir.join(SUPERBLOCK), Site::STORE_DIR);
        let _ = self.env.vfs.sync_dir(&self.dir, Site::STORE_DIR);
        Err(Error::no_reserve(&self.dir.display(), level, held))
    }

    /// Makes sure that nobody reads this store who does not know these features, before the first use of them can be
    /// durable.
    pub(super) fn require(&self, features: u64) -> Result<()> {
        if self.superblock.features() & features == features {
            return Ok(());
        }
        let update = |block: &mut Superblock| block.required_features |= features;
        self.superblock.update(&self.env, update).map_err(|error| self.poison(error))
    }

    /// Makes the superblock say that this log segment exists, before the first record goes into it: from then
    /// on a damaged header is damage, not the trace of a crash.
    pub(super) fn announce_log(&self, id: u64) -> Result<()> {
        let millis = self.millis();
        let next_segment = self.maker.next_id();
        let run = self.maker.run.load(std::sync::atomic::Ordering::Relaxed);
        // The log of a backup ends where its superblock says, so one damaged slot must not bring that one back.
        let times = if self.superblock.newest().backup { 2 } else { 1 };
        for _ in 0..times {
            let update = |block: &mut Superblock| {
                block.log_known = id;
                block.next_segment = next_segment;
                block.run = run;
                block.written = millis;
                block.clean = false;
            };
            self.superblock.update(&self.env, update).map_err(|error| self.poison(error))?;
        }
        Ok(())
    }
}

/// The index file, the tree in it, and whether the tree is lost and must be made anew from the log (I11).
pub(super) struct FoundIndex {
    pub(super) pages: Arc<PageFile>,
    pub(super) tree: index::Tree,
    pub(super) rebuild: bool,
}

/// Opens the index file and the tree that the superblock names.
pub(super) fn open_index(options: &OpenOptions, block: &Superblock) -> Result<FoundIndex> {
    let OpenOptions { dir, env, settings, read_only, rebuild_index: rebuild, .. } = options;
    let (read_only, rebuild) = (*read_only, *rebuild);
    let path = dir.join(INDEX_FILES[usize::from(block.index_file)]);
    let site = Site::INDEX_OPEN;
    let mode = if read_only { OpenMode::Read } else { OpenMode::ReadWrite };
    let name = path.display().to_string();
    let read_mode = match settings.read_mode {
        ReadMode::Mapped if options.ring().is_none() => index::ReadMode::Map,
        // Sealed pages are kept as they are when they are opened.
        _ => index::ReadMode::Positioned { cache_bytes: settings.page_cache_bytes },
    };
    if !read_only {
        // Left behind by a vacuum that a crash or a full disk cut short; the superblock does not name it.
        let _ = env.vfs.remove(&dir.join(INDEX_FILES[1 - usize::from(block.index_file)]), site);
    }
    let root = block.checkpoint.and_then(|checkpoint| checkpoint.root);
    let opened =
        if rebuild { Err(std::io::ErrorKind::NotFound.into()) } else { env.vfs.open(&path, mode, site) };
    let make = |file: Arc<dyn File>| {
        let sealer = options.ring().map(|ring| ring.pages(block.index_file));
        let pages = PageFile::open(file, name.clone(), block.page_salt, read_mode, sealer)?;
        if env.planted(Planted::PageUnbound) {
            pages.believe_all();
        }
        Ok::<_, Error>(pages)
    };
    if let Ok(file) = opened {
        let pages = make(file)?;
        let root = root.map(|(page, checksum, height)| RootPtr { page, checksum, height });
        match pages.tree(root) {
            Ok(tree) => return Ok(FoundIndex { pages, tree, rebuild: false }),
            Err(error) if error.kind() == ErrorKind::Corrupt => {}
            Err(error) => return Err(error),
        }
    } else if let Err(error) = opened
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(explain(failed("opening", &path, error), dir));
    }
    // The index is a cache of the log: what cannot be read is made anew. Reading only, it is made in memory.
    let scratch;
    let vfs = if read_only {
        scratch = Env::memory();
        scratch.vfs.create_dir(dir, site).map_err(|e| failed("making an index in memory for", dir, e))?;
        &scratch.vfs
    } else {
        match env.vfs.remove(&path, site) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed("removing", &path, error));
            }
            _ => &env.vfs,
        }
    };
    let file = vfs.open(&path, OpenMode::CreateNew, site).map_err(|e| failed("making", &path, e))?;
    vfs.sync_dir(dir, site).map_err(|e| failed("syncing", dir, e))?;
    let pages = make(file)?;
    let tree = pages.tree(None)?;
    Ok(FoundIndex { pages, tree, rebuild: rebuild || block.checkpoint.is_some() })
}

/// Makes the names in the store's directory durable, then its own name and those of the directories above it,
/// which may be as new.
pub(super) fn name_durably(env: &Env, dir: &Path) -> Result<()> {
    env.vfs.sync_dir(dir, Site::STORE_DIR).map_err(|e| failed("syncing", dir, e))?;
    sync_above(env, dir).map_err(|(shown, error)| failed("syncing", shown, error))
}

/// Whether there is an index file among the names.
pub(super) fn has_index(names: &[String]) -> bool {
    names.iter().any(|name| INDEX_FILES.contains(&name.as_str()))
}

/// Holds a directory from now on, and says what it is called then.
pub(super) fn stand_in(env: &Env, dir: &Path) -> Result<(Env, PathBuf)> {
    env.standing_in(dir).map_err(|error| match list(env, dir) {
        Err(told) => told,
        Ok(_) => explain(failed("opening", dir, error), dir),
    })
}

pub(super) fn list(env: &Env, dir: &Path) -> Result<Vec<String>> {
    let listed = env.vfs.list(dir, Site::STORE_LIST).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::new(ErrorKind::NotFound, "NoSuchStore", format!("there is no store at {}", dir.display()))
        }
        std::io::ErrorKind::NotADirectory => not_a_store(dir, "it is not a directory"),
        _ => explain(failed("listing", dir, error), dir),
    })?;
    Ok(listed.into_iter().map(|listed| listed.name).collect())
}

/// A directory without a superblock may become a store only if nothing of anybody else's is in it, and nothing
/// of a store that lost its superblock.
pub(super) fn refuse_foreign(env: &Env, dir: &Path, names: &[String], may_create: bool) -> Result<()> {
    let ours = [LOCK, SUPERBLOCK, INDEX_FILES[0], INDEX_FILES[1], READERS, "log", "bulk"];
    let is_ours = |name: &str| {
        ours.contains(&name) || kept::parse_name(name).is_some() || parse_reserve(name).is_some()
    };
    if let Some(name) = names.iter().find(|name| !is_ours(name)) {
        return Err(not_a_store(
            dir,
            &format!("it has no SUPERBLOCK but holds {name:?}; choose an empty directory"),
        ));
    }
    let segments = |path: PathBuf| env.vfs.list(&path, Site::STORE_LIST).is_ok_and(|names| !names.is_empty());
    if segments(log_dir(dir)) || segments(bulk_dir(dir, 0)) {
        return Err(Error::corrupt(
            dir.join(SUPERBLOCK).display(),
            0,
            "the superblock is missing or blank, but there are segments",
        ));
    }
    if !may_create {
        return Err(Error::new(
            ErrorKind::NotFound,
            "NoSuchStore",
            format!("there is no store at {}", dir.display()),
        ));
    }
    Ok(())
}

/// A backup that was begun and never finished holds nothing that could be read.
pub(super) fn refuse_unfinished(dir: &Path, block: &Superblock) -> Result<()> {
    if block.backup && block.checkpoint.is_none() {
        let why = "it is a backup that was never finished; run the backup again, or remove it";
        return Err(not_a_store(dir, why));
    }
    Ok(())
}

fn not_a_store(dir: &Path, why: &str) -> Error {
    Error::invalid("InvalidArgument", format!("{} is not an Ossicle store: {why}", dir.display()))
}

/// Makes a new store in a prepared directory. It is a store once its superblock and all names are durable.
fn make(options: &OpenOptions, path: &Path) -> Result<(Superblock, SuperblockFile)> {
    let OpenOptions { dir, env, settings, unlock, .. } = options;
    let mut store_id = [0; 16];
    env.entropy.fill(&mut store_id);
    // First, because whoever holds the key may say no.
    let (ring, keys) = keys::make(env, dir, unlock.as_ref(), store_id)?.unzip();
    for sub in segment_dirs(dir) {
        env.vfs.create_dir(&sub, Site::STORE_DIR).map_err(|e| explain(failed("making", &sub, e), dir))?;
    }
    let bulk = dir.join("bulk");
    env.vfs.sync_dir(&bulk, Site::STORE_DIR).map_err(|e| failed("syncing", &bulk, e))?;
    // A superblock promises that the directories are there, so their names are durable before its own is.
    name_durably(env, dir)?;
    let mut salt = [0; 4];
    env.entropy.fill(&mut salt);
    let since = env.clock.now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default();
    let millis = since.as_millis() as u64;
    let block = Superblock {
        generation: 1,
        required_features: 0,
        optional_features: 0,
        store_id,
        created: millis,
        chunk_log2: settings.chunk_size.trailing_zeros() as u8,
        index_file: 0,
        checkpoint: None,
        next_segment: 1,
        log_known: 0,
        run: 0,
        page_salt: u32::from_le_bytes(salt),
        written: millis,
        clean: false,
        backup: false,
        keys,
    };
    let superblock = SuperblockFile::create(env, path, block.clone(), ring).map_err(|e| explain(e, dir))?;
    if let Err(error) = env.vfs.sync_dir(dir, Site::STORE_DIR) {
        let _ = env.vfs.remove(path, Site::STORE_DIR);
        return Err(failed("syncing", dir, error));
    }
    Ok((block, superblock))
}

pub(super) fn failed(doing: &str, path: &Path, error: std::io::Error) -> Error {
    Error::io(format!("{doing} {}", path.display()), error)
}

/// Says what to do where the system only says no.
pub(super) fn explain(error: Error, dir: &Path) -> Error {
    use std::error::Error as _;
    let kind =
        error.source().and_then(|source| source.downcast_ref::<std::io::Error>()).map(|source| source.kind());
    match kind {
        Some(std::io::ErrorKind::ReadOnlyFilesystem) => Error::new(
            ErrorKind::Denied,
            "AccessDenied",
            format!("{} is on a read-only disk; open it with read_only(true)", dir.display()),
        )
        .with_source(error),
        Some(std::io::ErrorKind::PermissionDenied) => Error::new(
            ErrorKind::Denied,
            "AccessDenied",
            format!("this user may not use {}: {error}", dir.display()),
        )
        .with_source(error),
        _ => error,
    }
}
