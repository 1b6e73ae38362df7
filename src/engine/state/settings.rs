//! Settings: plain data with documented defaults and limits.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::model::{Digests, Durability, RestoreTimes};
use crate::segment::Coding;

/// The levels at which the tiers are compressed if nothing else is said.
const DEFAULT_LEVELS: [i32; 5] = [0, 1, 9, 9, 12];

/// The first tier of which bodies are read seldom enough to be packed together.
pub(crate) const ARCHIVE: u8 = 2;

/// How bytes are read from files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadMode {
    /// Through memory maps: bodies are lent without a copy. The first touch of every page is a positioned read,
    /// so that a bad sector is an error and not a signal.
    #[default]
    Mapped,
    /// By positioned reads only. For media that may vanish or fail while in use.
    Positioned,
}

/// Where and how the bodies of a storage class are kept. What is not said is as the class has it by default: Standard as
/// it is, InfrequentAccess compressed quickly, the colder ones as small as is reasonable; all in the store's directory.
///
/// ```
/// use ossicle::{StorageClass, Store, Tier};
/// # fn main() -> ossicle::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// # let (here, there) = (dir.path().join("store"), dir.path().join("slow disk"));
/// let store = Store::builder(&here)
///     .tier(StorageClass::Archive, Tier::new().dir(&there).level(12))
///     .open()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Tier {
    pub(crate) dir: Option<PathBuf>,
    level: Option<i32>,
    chunk: Option<usize>,
}

impl Tier {
    /// All as it is by default.
    pub fn new() -> Tier {
        Tier::default()
    }

    /// Keeps the bodies in a directory elsewhere, on another disk perhaps: an absolute path. The store makes a directory
    /// of its own in it and remembers where that is, so this need be said only once. To move it, close the store,
    /// move the store's directory in it, and say where it is now. Bodies that lie in the store already stay there.
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Tier {
        self.dir = Some(dir.into());
        self
    }

    /// Compresses at this level of zstd: -7 (fast) to 19 (small); 0 keeps bodies as they are. Holds for what is written
    /// from now on.
    pub fn level(mut self, level: i32) -> Tier {
        self.level = Some(level);
        self
    }

    /// Compresses in chunks of this many bytes, which are what a read of a range has to decompress: a power of two from
    /// 4 KiB to 16 MiB. Default 128 KiB, and 1 MiB for Archive and colder. Bodies that are kept as they are have the
    /// store's [`chunk_size`](Settings::chunk_size).
    pub fn chunk(mut self, bytes: usize) -> Tier {
        self.chunk = Some(bytes);
        self
    }
}

/// How a store behaves. Every field has a default that suits most programs.
///
/// ```
/// let settings = ossicle::Settings { packed_max: 64 * 1024, ..Default::default() };
/// # let _ = settings;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Bodies are verified, compressed and encrypted in chunks of this many bytes: a power of two from 4 KiB to
    /// 16 MiB. Fixed when the store is made; ignored afterwards. Default 64 KiB.
    pub chunk_size: usize,
    /// Bodies up to this length lie inside the index entry: 0 to 700. They are written twice, to the log and to the
    /// index, so it pays for very short ones only. Default 64.
    pub inline_max: usize,
    /// Bodies up to this length are written beside their commit, with one write and one sync; longer ones are
    /// streamed into bulk segments: up to 4 MiB. Default 256 KiB.
    pub packed_max: usize,
    /// Segment files have about this length, and less while the store is small: 1 MiB to 1 GiB. Default 64 MiB.
    pub segment_size: u64,
    /// Memory for changes that the index file does not have yet, before a checkpoint is due: 64 KiB to 1 GiB.
    /// At most three times this is used while a checkpoint runs. Default 24 MiB.
    pub delta_bytes: usize,
    /// Bytes of log after which a checkpoint is due; what a crash makes the next opening read: 1 MiB to 16 GiB.
    /// Default 256 MiB.
    pub checkpoint_log_bytes: u64,
    /// How bytes are read. Default mapped.
    pub read_mode: ReadMode,
    /// Memory for index pages when reading by position: at least 64 KiB. Default 32 MiB.
    pub page_cache_bytes: usize,
    /// Disk kept in reserve at least, so that a full disk can always be emptied: up to 1 GiB. On a small disk it is a
    /// sixteenth of the disk and at least 512 KiB, unless less is asked for here; in a large store it is twice the length of a
    /// segment (about a thirty-second of the store, up to two times `segment_size`), and for a while also what the changes in
    /// memory will need in the index. A store is not made where it cannot be had. With less than 512 KiB, a full disk may need
    /// whole segments deleted before room comes back; with 0 there is no reserve. Default 4 MiB.
    pub reserve_bytes: u64,
    /// Space is reclaimed when more than this percentage of the bytes in segments is garbage: 5 to 90. Default 22.
    pub garbage_percent: u8,
    /// Bytes of log that nothing but a cursor of the change feed needs any more are kept up to this many; beyond
    /// it, the oldest go and the slowest cursor falls behind. 0 keeps nothing for cursors. Default 1 GiB.
    pub feed_bytes: u64,
    /// Buffered commits are made durable at the latest after this time (by the maintenance thread). Default none.
    pub sync_interval: Option<Duration>,
    /// Sets at opening for how long what was overwritten or deleted can still be read by `Store::as_of`; zero for
    /// not at all, which forgets the past. See `Store::set_history`. Default none: as the store has it.
    pub history: Option<Duration>,
    /// When a write is done of which its options say nothing: puts, appends, copies, uploads, deletes, transactions and all
    /// others that have an option of this name, and those of objects that have no options. What changes buckets, their
    /// configurations, cursors, keys or the past is synced always. Default synced.
    pub durability: Durability,
    /// Which digests are taken of bodies if the options of a put, a writer or an upload say nothing. Objects that are there
    /// already keep theirs, and a copy has those of its source. Default [`Digests::Fast`].
    pub digests: Digests,
    /// How long it takes until a frozen body that was asked for can be read, by the store's clock. Counts from the
    /// moment it is asked for; a later change of the setting does not change that. Default what OSS promises: a minute
    /// for `Archive`, up to 48 hours for the coldest. [`RestoreTimes::NONE`] for no time at all.
    pub restore_times: RestoreTimes,
    /// Where and how the bodies of each storage class are kept, from Standard to DeepColdArchive; see
    /// `StoreBuilder::tier`.
    pub tiers: [Tier; 5],
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            chunk_size: 64 * 1024,
            inline_max: 64,
            packed_max: 256 * 1024,
            segment_size: 64 << 20,
            delta_bytes: 24 << 20,
            checkpoint_log_bytes: 256 << 20,
            read_mode: ReadMode::Mapped,
            page_cache_bytes: 32 << 20,
            reserve_bytes: 4 << 20,
            garbage_percent: 22,
            feed_bytes: 1 << 30,
            sync_interval: None,
            history: None,
            durability: Durability::Synced,
            digests: Digests::Fast,
            restore_times: RestoreTimes::OSS,
            tiers: Default::default(),
        }
    }
}

impl Settings {
    /// When a write is done that was asked to be done so.
    pub(crate) fn durability_for(&self, asked: Option<Durability>) -> Durability {
        asked.unwrap_or(self.durability)
    }

    /// How bodies of a tier are stored, in a store with chunks of this size.
    pub(crate) fn coding(&self, tier: u8, chunk_log2: u8) -> Coding {
        let asked = &self.tiers[usize::from(tier)];
        let level = asked.level.unwrap_or(DEFAULT_LEVELS[usize::from(tier)]);
        if level == 0 {
            return Coding::plain(chunk_log2);
        }
        let usual = if tier < ARCHIVE { 128 << 10 } else { 1 << 20 };
        let chunk_log2 = asked.chunk.unwrap_or(usual).trailing_zeros() as u8;
        Coding { level: Some(level), chunk_log2 }
    }

    /// Checks every field against its limits.
    pub(crate) fn check(&self) -> Result<()> {
        let wrong = |field: &str, limits: &str| {
            Err(Error::invalid("InvalidArgument", format!("the setting {field} must be {limits}")))
        };
        if !self.chunk_size.is_power_of_two() || !(4096..=16 << 20).contains(&self.chunk_size) {
            return wrong("chunk_size", "a power of two from 4 KiB to 16 MiB");
        }
        if self.inline_max > 700 {
            return wrong("inline_max", "at most 700 bytes");
        }
        if self.packed_max > 4 << 20 {
            return wrong("packed_max", "at most 4 MiB");
        }
        if !(1 << 20..=1 << 30).contains(&self.segment_size) {
            return wrong("segment_size", "from 1 MiB to 1 GiB");
        }
        if !(64 << 10..=1 << 30).contains(&self.delta_bytes) {
            return wrong("delta_bytes", "from 64 KiB to 1 GiB");
        }
        if !(1 << 20..=16 << 30).contains(&self.checkpoint_log_bytes) {
            return wrong("checkpoint_log_bytes", "from 1 MiB to 16 GiB");
        }
        if self.page_cache_bytes < 64 << 10 {
            return wrong("page_cache_bytes", "at least 64 KiB");
        }
        if self.reserve_bytes > 1 << 30 {
            return wrong("reserve_bytes", "at most 1 GiB");
        }
        if !(5..=90).contains(&self.garbage_percent) {
            return wrong("garbage_percent", "from 5 to 90");
        }
        for tier in &self.tiers {
            if tier.level.is_some_and(|level| !(-7..=19).contains(&level)) {
                return wrong("level of a tier", "from -7 to 19");
            }
            if tier.chunk.is_some_and(|len| !len.is_power_of_two() || !(4096..=16 << 20).contains(&len)) {
                return wrong("chunk of a tier", "a power of two from 4 KiB to 16 MiB");
            }
            if tier.dir.as_ref().is_some_and(|dir| !dir.is_absolute()) {
                return wrong("dir of a tier", "an absolute path");
            }
        }
        Ok(())
    }
}
