//! Settings: plain data with documented defaults and limits.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::model::RestoreTimes;

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

/// How a store behaves. Every field has a default that suits most programs.
///
/// ```
/// let settings = ossicle::Settings { packed_max: 64 * 1024, ..Default::default() };
/// # let _ = settings;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Bodies are verified and (later) encrypted in chunks of this many bytes: a power of two from 4 KiB to
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
    /// Disk kept in reserve, so that a full disk can always be emptied by deletes: up to 1 GiB. Default 4 MiB.
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
    /// How long it takes until a frozen body that was asked for can be read, by the store's clock. Counts from the
    /// moment it is asked for; a later change of the setting does not change that. Default what OSS promises: a minute
    /// for `Archive`, up to 48 hours for the coldest. [`RestoreTimes::NONE`] for no time at all.
    pub restore_times: RestoreTimes,
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
            restore_times: RestoreTimes::OSS,
        }
    }
}

impl Settings {
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
        Ok(())
    }
}
