//! Opening: the lock, the superblock, the index file, and how a directory becomes a store.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::create::make;
use super::index_file::{FoundIndex, open_index};
use super::options::OpenOptions;
use super::read_only;
use super::recovery::{self, Recovered};
use crate::engine::directory::files::{INDEX_FILES, SUPERBLOCK};
use crate::engine::directory::identity::{
    has_index, name_durably, refuse_foreign, refuse_unfinished, stand_in,
};
use crate::engine::directory::listing::{explain, failed, list};
use crate::engine::directory::lock::StoreLock;
use crate::engine::directory::segment_keys;
use crate::engine::directory::superblock::{Found, SuperblockFile};
use crate::engine::keys::unlock::{self, Unlock};
use crate::engine::proposal::ledger::Ledger;
use crate::engine::proposal::queue::Queue;
use crate::engine::signals::notifier::Wake;
use crate::engine::signals::stats::Gauges;
use crate::engine::state::checkpointing::Checkpointing;
use crate::engine::state::engine::Engine;
use crate::engine::state::room::{Room, level_of_disk};
use crate::engine::state::settings::ReadMode;
use crate::engine::state::writer::Writer;
use crate::engine::view::view::{Reign, View};
use crate::env::{OpenMode, Site};
use crate::error::{Error, Result, is_full};
use crate::format::commit::Position;
use crate::format::superblock::Superblock;
use crate::index::{Delta, Index};
use crate::segment::{
    BulkPool, Identity, Log, Pools, Reserve, SegmentMaker, TIERS, Table, TableCell, find_places,
    spend_unopened,
};

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
            return read_only::open(options);
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
                let ring = unlock::unlock(env, dir, unlock.as_ref(), &block, &signature)?;
                if let Some(ring) = &ring {
                    segment_keys::load(env, dir, ring, ring.shred_name())?;
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
    pub(in crate::engine) fn assemble(
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
            feed: crate::engine::state::feed::Feed::default(),
            touched: crate::engine::signals::access_log::Touched::default(),
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
            copies: crate::engine::state::in_flight::Copies::default(),
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
    pub(in crate::engine) fn require(&self, features: u64) -> Result<()> {
        if self.superblock.features() & features == features {
            return Ok(());
        }
        let update = |block: &mut Superblock| block.required_features |= features;
        self.superblock.update(&self.env, update).map_err(|error| self.poison(error))
    }

    /// Makes the superblock say that this log segment exists, before the first record goes into it: from then
    /// on a damaged header is damage, not the trace of a crash.
    pub(in crate::engine) fn announce_log(&self, id: u64) -> Result<()> {
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
