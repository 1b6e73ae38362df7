//! The mechanism: commits, views, checkpoints, recovery and relocation, without one word of OSS.
//!
//! *Owns*: the order of commits; what is durable; which bytes are live; the store's directory.
//! *Promises*:
//! 1. A commit is whole or absent, over any number of keys (I4); its lsn is the one before plus one.
//! 2. After a crash the state is that of a prefix of the commits with every synced one in it (I5).
//! 3. Readers take no lock and see one moment.
//! 4. A failed sync ends writing until the store is opened again (I8); a full disk does not.
//! 5. With the index deleted, opening brings everything back (I11).
//!
//! *Stands on*: `segment`, `index`, `crypto`, `format`, `model`, `env`, `error`.
//! *Never*: reads a row; starts a thread; decides when maintenance is due beyond keeping its bounds.
//! *Read first*: `proposal.rs`, `commit.rs`, `checkpoint.rs`, `recovery.rs`, `commit_scan.rs`.
//!
//! Lock order: `moving`, then `checkpointing`, then `writer`, then the superblock; the queue, the tables, the bulk pool, the
//! shortlists and the feed's are leaves. No lock is held while a user's reader is read, except the turn of a transaction that asked for it.

mod backup;
mod backup_target;
mod blob;
mod checkpoint;
mod commit;
mod commit_scan;
mod copying;
mod feed;
mod gauges;
mod kept;
mod keys;
mod layout;
mod ledger;
mod lock;
mod moving;
mod open;
mod proposal;
mod queue;
mod readers;
mod recovery;
mod refresh;
mod relocate;
mod room;
mod salvage;
mod salvage_scan;
mod segment_files;
mod settings;
mod shortlist;
mod shred;
mod superblock;
mod touched;
mod vacuum;
mod vault;
mod verify;
mod view;
mod wake;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::ThreadId;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

pub use backup::{BackupProgress, BackupReport, RestoreReport};
pub use blob::{
    BLOB_SPACE, BlobHead, Keyed, SharedRef, blob_of, end_key, head_key, key_sum, piece_key, place_of,
};
pub use commit::Exclusive;
pub use commit_scan::{CommitScan, RawChange, RawCommit, RawPut};
pub use copying::Copying;
pub use feed::{StoredCursor, cursor_key, cursors};
pub use gauges::{Stats, TierStats};
#[cfg(feature = "fuzzing")]
pub use kept::{encode as encode_kept, take_in as take_kept};
pub use keys::Unlock;
pub use ledger::ENGINE_SPACE;
pub use moving::{LONE_NUMBERS, MOVE_SPACE};
pub use open::OpenOptions;
pub use proposal::{Change, Moved, NewBody, Proposal, State, What};
pub use relocate::{FORWARD_SPACE, Relocated, SegmentUse, forward_key};
pub use salvage::{Mended, Naming, SalvageFrom, SalvageNote, SalvageProgress, SalvageReport};
pub use salvage_scan::DamagedFile;
pub use settings::{ReadMode, Settings, Tier};
pub use shortlist::{Listed, Shortlist, Shortlists, Taken};
pub use touched::{Touch, Touched};
pub use verify::{Problem, VerifyProgress, VerifyReport};
pub use view::{BodyReader, OwnedBody, Reign, STRUCTURE_SPACE, Stored, View};
pub use wake::Wake;

use crate::crypto::Vault;
use crate::env::{Env, Mistake, Planted};
use crate::error::{Error, ErrorKind, Result};
use crate::format::entry::MAX_INLINE;
use crate::format::superblock::FEATURE_TIERS;
pub use crate::segment::Spender;
use crate::segment::{BodyWriter, BulkPool, Pools, Reserve, SegmentMaker, TableCell};
use checkpoint::Checkpointing;
use commit::Writer;
use feed::Feed;
use gauges::Gauges;
use lock::StoreLock;
use queue::Queue;
use refresh::Reader;
use superblock::SuperblockFile;

/// An open store, as far as the engine goes.
#[derive(Debug)]
pub struct Engine {
    env: Env,
    dir: PathBuf,
    settings: Settings,
    read_only: bool,
    maker: Arc<SegmentMaker>,
    tables: Arc<TableCell>,
    pools: Pools,
    view: ArcSwap<View>,
    queue: Queue,
    writer: Mutex<Writer>,
    checkpointing: Mutex<Checkpointing>,
    superblock: SuperblockFile,
    reserve: Arc<Reserve>,
    room: room::Room,
    gauges: Gauges,
    wake: Arc<Wake>,
    feed: Feed,
    touched: Touched,
    /// Keys with names, and where the randomness of envelopes comes from; made when it is first asked for.
    vault: OnceLock<Vault>,
    shortlists: Arc<Shortlists>,
    /// Why the store takes no more writes.
    failed: OnceLock<Error>,
    closed: std::sync::atomic::AtomicBool,
    /// How long each write rests before it begins, in microseconds: set while garbage grows faster than it is
    /// given back.
    pace: AtomicU64,
    /// The thread that holds the turn through [`Exclusive`], as a number; 0 for none.
    exclusive: AtomicU64,
    lock: Mutex<Option<StoreLock>>,
    /// How many backups are being written: what they copy hangs on the shred root of the moment.
    backups: std::sync::atomic::AtomicUsize,
    /// The copies under way: what they copy may be dead when it arrives.
    copies: copying::Copies,
    /// Held by the one who moves bodies and rows, for one step: two at once would copy the same, and each would take the
    /// other's rows for changed ones.
    moving: Mutex<()>,
    /// Held by the one who shreds.
    shred_turn: Mutex<()>,
    /// Whether nothing dead is kept for the feed, because it is to be shredded.
    shredding: std::sync::atomic::AtomicBool,
    /// The segment that a shred could not empty, because something was written to it; 0 for none.
    in_the_way: AtomicU64,
    /// While a shred drops tombstones: the last commit at which nothing was dead that is not gone now. Else 0.
    emptied_to: AtomicU64,
    /// What a reader keeps to find the newest state; nothing in a writer.
    reader: Option<Reader>,
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
    fn pool(&self, tier: u8) -> Result<&Arc<BulkPool>> {
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
    fn sync_pools(&self) -> Result<()> {
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
    fn poison(&self, error: Error) -> Error {
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

    fn planted(&self, mistake: Planted) -> bool {
        self.env.planted(mistake)
    }

    fn set_exclusive(&self, thread: Option<ThreadId>) {
        self.exclusive.store(thread.map_or(0, thread_number), Ordering::Release);
    }

    fn holds_exclusive(&self) -> bool {
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
        let named = [open::SUPERBLOCK, open::INDEX_FILES[0], open::INDEX_FILES[1]];
        let elsewhere: u64 = self.pools.reserves_elsewhere().map(|reserve| reserve.held()).sum();
        segments
            + self.reserve.held()
            + elsewhere
            + named.iter().map(|name| of(&self.dir.join(name))).sum::<u64>()
    }
}
