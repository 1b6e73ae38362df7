//! The engine: what is open, and what every part of it may ask.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::ThreadId;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::checkpointing::Checkpointing;
use super::feed::Feed;
use super::reader::Reader;
use super::settings::Settings;
use super::writer::Writer;
use super::{in_flight, room};
use crate::crypto::Vault;
use crate::engine::directory::files;
use crate::engine::directory::lock::StoreLock;
use crate::engine::directory::superblock::SuperblockFile;
use crate::engine::proposal::ledger;
use crate::engine::proposal::queue::Queue;
use crate::engine::signals::access_log::Touched;
use crate::engine::signals::eviction_queue::Shortlists;
use crate::engine::signals::notifier::Wake;
use crate::engine::signals::stats::{Gauges, Stats};
use crate::engine::view::view::View;
use crate::env::{Env, Mistake, Planted};
use crate::error::{Error, ErrorKind, Result};
use crate::format::entry::MAX_INLINE;
use crate::format::superblock::FEATURE_TIERS;
use crate::segment::{BodyWriter, BulkPool, Pools, Reserve, SegmentMaker, TableCell};

/// An open store, as far as the engine goes.
#[derive(Debug)]
pub struct Engine {
    pub env: Env,
    pub dir: PathBuf,
    pub(in crate::engine) settings: Settings,
    pub read_only: bool,
    pub maker: Arc<SegmentMaker>,
    pub tables: Arc<TableCell>,
    pub pools: Pools,
    pub(in crate::engine) view: ArcSwap<View>,
    pub(in crate::engine) queue: Queue,
    pub writer: Mutex<Writer>,
    pub checkpointing: Mutex<Checkpointing>,
    pub superblock: SuperblockFile,
    pub(in crate::engine) reserve: Arc<Reserve>,
    pub(in crate::engine) room: room::Room,
    pub(in crate::engine) gauges: Gauges,
    pub(in crate::engine) wake: Arc<Wake>,
    pub(in crate::engine) feed: Feed,
    pub(in crate::engine) touched: Touched,
    /// Keys with names, and where the randomness of envelopes comes from; made when it is first asked for.
    pub(in crate::engine) vault: OnceLock<Vault>,
    pub(in crate::engine) shortlists: Arc<Shortlists>,
    /// Why the store takes no more writes.
    pub(in crate::engine) failed: OnceLock<Error>,
    pub(in crate::engine) closed: std::sync::atomic::AtomicBool,
    /// How long each write rests before it begins, in microseconds: set while garbage grows faster than it is
    /// given back.
    pub(in crate::engine) pace: AtomicU64,
    /// The thread that holds the turn through [`Exclusive`], as a number; 0 for none.
    pub(in crate::engine) exclusive: AtomicU64,
    pub(in crate::engine) lock: Mutex<Option<StoreLock>>,
    /// How many backups are being written: what they copy hangs on the shred root of the moment.
    pub backups: std::sync::atomic::AtomicUsize,
    /// The copies under way: what they copy may be dead when it arrives.
    pub(in crate::engine) copies: in_flight::Copies,
    /// Held by the one who moves bodies and rows, for one step: two at once would copy the same, and each would take the
    /// other's rows for changed ones.
    pub(in crate::engine) moving: Mutex<()>,
    /// Held by the one who shreds.
    pub(in crate::engine) shred_turn: Mutex<()>,
    /// Whether nothing dead is kept for the feed, because it is to be shredded.
    pub(in crate::engine) shredding: std::sync::atomic::AtomicBool,
    /// The segment that a shred could not empty, because something was written to it; 0 for none.
    pub(in crate::engine) in_the_way: AtomicU64,
    /// While a shred drops tombstones: the last commit at which nothing was dead that is not gone now. Else 0.
    pub(in crate::engine) emptied_to: AtomicU64,
    /// What a reader keeps to find the newest state; nothing in a writer.
    pub(in crate::engine) reader: Option<Reader>,
}

/// A number for a thread, never 0.
fn thread_number(id: ThreadId) -> u64 {
    use std::hash::{Hash, Hasher};
    let mut hasher = std::hash::DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish() | 1
}

impl Engine {
    /// The newest view. Costs no lock; hold it as long as you like.
    #[inline]
    pub fn view(&self) -> arc_swap::Guard<Arc<View>> {
        self.view.load()
    }

    /// The newest view, to be kept.
    pub fn pin(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// The newest table of segments, which may be ahead of the newest view's.
    pub fn segments(&self) -> crate::segment::Table {
        self.tables.current()
    }

    /// The settings it was opened with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Files, time and chance.
    pub fn env(&self) -> &Env {
        &self.env
    }

    /// Makes every write rest so long before it begins, until it is called again with zero.
    pub fn set_pace(&self, rest: Duration) {
        self.pace.store(rest.as_micros() as u64, Ordering::Relaxed);
    }

    /// Raised when there is work for maintenance.
    pub fn wake(&self) -> &Arc<Wake> {
        &self.wake
    }

    /// What readers have touched since somebody wrote it down.
    pub fn touched(&self) -> &Touched {
        &self.touched
    }

    /// What may go when room is needed, and the budget of the store.
    pub fn shortlists(&self) -> &Arc<Shortlists> {
        &self.shortlists
    }

    /// Waits until every commit that has been decided is published, or came to nothing.
    pub fn catch_up(&self) {
        drop(self.writer.lock());
    }

    /// log2 of the chunk size of bodies.
    pub fn chunk_log2(&self) -> u8 {
        self.maker.identity.chunk_log2
    }

    /// The longest body that is kept inside its entry.
    pub fn inline_max(&self) -> usize {
        self.settings.inline_max.min(MAX_INLINE as usize)
    }

    /// The clock in milliseconds since 1970; a clock before 1970 counts as 1970.
    pub fn millis(&self) -> u64 {
        let since = self.env.clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        since.as_millis().min(u128::from(u64::MAX)) as u64
    }

    /// Starts a body that is too long to be packed, in a tier.
    pub fn body_writer(&self, owner: Vec<u8>, tier: u8) -> Result<BodyWriter> {
        self.check_writable()?;
        // A transaction that has read holds the turn, and a checkpoint would wait for it.
        if (self.delta_is_over() || self.gives_room_back()) && !self.holds_exclusive() {
            self.checkpoint()?;
        }
        Ok(self.pool(tier)?.writer(owner, false, false))
    }

    /// The pool of a tier, which the superblock must know of before anything is written there.
    pub(in crate::engine) fn pool(&self, tier: u8) -> Result<&Arc<BulkPool>> {
        let pool = self.pools.of(tier);
        if tier > 0 || pool.is_coded() {
            self.require(FEATURE_TIERS)?;
        }
        Ok(pool)
    }

    /// Makes a streamed body durable; to be called before its commit if that is to be durable.
    pub fn sync_body(&self, placed: &crate::segment::Placed) -> Result<()> {
        if self.planted(Planted::SkipBulkSync) {
            return Ok(());
        }
        if self.planted(Planted::SkipTierSync) && placed.segment().header.tier > 0 {
            return Ok(());
        }
        self.pools.sync_segment(placed.segment()).map_err(|error| self.poison(error))
    }

    /// Makes the bodies of all tiers durable.
    pub(in crate::engine) fn sync_pools(&self) -> Result<()> {
        if self.planted(Planted::SkipTierSync) { self.pools.of(0).sync() } else { self.pools.sync() }
    }

    /// Makes every commit so far durable.
    pub fn flush(&self) -> Result<()> {
        self.refuse_inside_turn()?;
        let mut writer = self.writer.lock();
        self.check_writable()?;
        let lsn = writer.view.lsn;
        self.sync_log(&mut writer, lsn)?;
        drop(writer);
        self.look_again()
    }

    /// `Busy` for whoever holds the turn through a transaction: waiting for it would never end.
    pub fn refuse_inside_turn(&self) -> Result<()> {
        self.check_here()?;
        if self.holds_exclusive() {
            return Err(Error::new(
                ErrorKind::Busy,
                "OperationConflict",
                "this thread is inside `store.write`; do this when the transaction has ended",
            ));
        }
        Ok(())
    }

    /// To be held for one step of moving bodies and rows; waits for whoever does so already.
    pub fn moving_turn(&self) -> Result<parking_lot::MutexGuard<'_, ()>> {
        self.refuse_inside_turn()?;
        Ok(self.moving.lock())
    }

    /// Whether the store takes writes.
    pub fn check_writable(&self) -> Result<()> {
        self.check_open()?;
        if self.read_only {
            return Err(Error::new(
                ErrorKind::Denied,
                "AccessDenied",
                "the store was opened with read_only(true) and cannot be changed",
            ));
        }
        if let Some(why) = self.env.lost() {
            return Err(Error::displaced(why));
        }
        match self.failed.get() {
            Some(cause) if !self.planted(Planted::NoPoison) => Err(Error::closed(format!(
                "the store takes no more writes because of an earlier failure ({cause}); reading goes on; open it again \
                 to write"
            ))),
            _ => Ok(()),
        }
    }

    /// Whether the store is still open.
    pub fn check_open(&self) -> Result<()> {
        self.check_here()?;
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::closed("the store was closed"));
        }
        Ok(())
    }

    /// Whether this is the process that has opened it. In one that was forked from it nothing is done, not even a lock is
    /// waited for: who holds it may not be there.
    #[inline]
    pub fn check_here(&self) -> Result<()> {
        self.env.check_here()
    }

    /// Looks whether the store's directory and its locks are still what they were. If not, writing ends.
    pub fn look_again(&self) -> Result<()> {
        self.env.look_again().map_err(|why| {
            self.wake.raise();
            Error::displaced(why)
        })
    }

    /// Whether it was opened for reading only.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Ends writing until the store is opened again (I8) and says so.
    pub(in crate::engine) fn poison(&self, error: Error) -> Error {
        let _ = self.failed.set(error.duplicate());
        self.wake.raise();
        Error::unknown(error)
    }

    /// Whether the mistake is switched on; never, but in a build that tests the tests.
    #[inline]
    /// The mistake that is switched on, for those above.
    pub fn mistake(&self) -> Mistake {
        self.env.mistake()
    }

    pub(in crate::engine) fn planted(&self, mistake: Planted) -> bool {
        self.env.planted(mistake)
    }

    pub(in crate::engine) fn set_exclusive(&self, thread: Option<ThreadId>) {
        self.exclusive.store(thread.map_or(0, thread_number), Ordering::Release);
    }

    pub(in crate::engine) fn holds_exclusive(&self) -> bool {
        let holder = self.exclusive.load(Ordering::Acquire);
        holder != 0 && holder == thread_number(std::thread::current().id())
    }

    /// Numbers for people.
    pub fn stats(&self) -> Stats {
        if self.check_here().is_err() {
            return Stats::default();
        }
        // Inside a transaction that has read, the turn is taken and these two are not known.
        let (ledger, since_checkpoint) = if self.holds_exclusive() {
            (ledger::Ledger::default(), 0)
        } else {
            let writer = self.writer.lock();
            (writer.ledger.clone(), writer.since_checkpoint)
        };
        let view = self.pin();
        let mut stats = self.gauges.stats();
        stats.live_bytes = ledger.total();
        self.count_tiers(&mut stats, &view, &|id| ledger.live(id));
        stats.log_since_checkpoint = since_checkpoint;
        stats.delta_keys =
            (view.index.active.len() + view.index.frozen.as_ref().map_or(0, |delta| delta.len())) as u64;
        stats.delta_bytes =
            (view.index.active.bytes() + view.index.frozen.as_ref().map_or(0, |delta| delta.bytes())) as u64;
        stats.segments = view.segments.iter().count() as u64;
        stats.disk_bytes = self.disk_bytes(&view);
        [stats.evicted_objects, stats.evicted_bytes] = self.shortlists.evicted();
        stats.lsn = crate::model::Lsn(view.lsn);
        stats.feed_start = crate::model::Lsn(self.feed_start());
        stats.feed_bytes = self.feed_bytes(&view);
        stats
    }

    /// Bytes of disk that the store takes.
    fn disk_bytes(&self, view: &View) -> u64 {
        let of = |path: &std::path::Path| self.env.vfs.allocated(path).unwrap_or(0);
        let segments: u64 = view.segments.iter().map(|segment| of(segment.path())).sum();
        let named = [files::SUPERBLOCK, files::INDEX_FILES[0], files::INDEX_FILES[1]];
        let elsewhere: u64 = self.pools.reserves_elsewhere().map(|reserve| reserve.held()).sum();
        segments
            + self.reserve.held()
            + elsewhere
            + named.iter().map(|name| of(&self.dir.join(name))).sum::<u64>()
    }
}
