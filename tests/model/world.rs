//! Where a history is played: a disk, settings, and the ways in which a store is closed and opened again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ossicle::{
    Maintenance, MemoryVfs, ReadMode, RealVfs, RestoreTimes, Settings, Site, StaticKey, Store, StoreBuilder,
    Vfs, VirtualClock,
};

/// The moment at which every history begins, in milliseconds since 1970.
pub const START: u64 = 1_700_000_000_123;

/// So short that histories see the end of them.
const TIMES: RestoreTimes = RestoreTimes {
    archive: Duration::from_millis(1000),
    cold_expedited: Duration::from_millis(300),
    cold_standard: Duration::from_millis(2000),
    cold_bulk: Duration::from_millis(6000),
    deep_cold_expedited: Duration::from_millis(1500),
    deep_cold_standard: Duration::from_millis(5000),
};

/// Settings so small that a short history meets every path: bodies inside entries, beside commits and streamed,
/// many segments, many checkpoints, a tree of several levels.
pub fn small(read_mode: ReadMode) -> Settings {
    Settings {
        segment_size: 1 << 20,
        chunk_size: 4096,
        inline_max: 64,
        packed_max: 4096,
        delta_bytes: 64 << 10,
        checkpoint_log_bytes: 1 << 20,
        page_cache_bytes: 64 << 10,
        reserve_bytes: 0,
        garbage_percent: 5,
        read_mode,
        ..Settings::default()
    }
}

/// A disk with a store on it.
#[derive(Debug)]
pub struct World {
    vfs: Arc<dyn Vfs>,
    path: PathBuf,
    settings: Settings,
    maintenance: Maintenance,
    clock: VirtualClock,
    is_followed: bool,
    is_sealed: bool,
    _dir: Option<tempfile::TempDir>,
}

impl World {
    /// A disk in memory.
    pub fn in_memory(settings: Settings) -> World {
        World::new(Arc::new(MemoryVfs::new()), Path::new("/store"), settings, None)
    }

    /// A real directory.
    pub fn on_disk(settings: Settings) -> World {
        let dir = tempfile::tempdir().unwrap();
        World::new(Arc::new(RealVfs::new()), &dir.path().join("store"), settings, Some(dir))
    }

    fn new(vfs: Arc<dyn Vfs>, path: &Path, settings: Settings, dir: Option<tempfile::TempDir>) -> World {
        let clock = VirtualClock::at(SystemTime::UNIX_EPOCH + Duration::from_millis(START));
        let settings = Settings { restore_times: TIMES, ..settings };
        let (path, maintenance) = (path.to_path_buf(), Maintenance::Manual);
        World { vfs, path, settings, maintenance, clock, is_followed: false, is_sealed: false, _dir: dir }
    }

    /// The same, with a thread that does the maintenance.
    pub fn with_background(mut self) -> World {
        self.maintenance = Maintenance::Background;
        self
    }

    /// The same, with somebody who follows the change feed from the beginning.
    pub fn with_follower(mut self) -> World {
        self.is_followed = true;
        self
    }

    /// The same, with a store that is encrypted.
    pub fn with_key(mut self) -> World {
        self.is_sealed = true;
        self
    }

    /// Whether somebody follows the change feed.
    pub fn is_followed(&self) -> bool {
        self.is_followed
    }

    pub fn builder(&self) -> StoreBuilder {
        let builder = Store::builder(&self.path)
            .vfs(self.vfs.clone())
            .settings(self.settings.clone())
            .maintenance(self.maintenance)
            .clock(self.clock.clone());
        if self.is_sealed { builder.key_provider(StaticKey::new([7; 32])) } else { builder }
    }

    pub fn open(&self) -> Store {
        self.builder().open().unwrap()
    }

    /// Whether a thread does the maintenance.
    pub fn is_background(&self) -> bool {
        self.maintenance == Maintenance::Background
    }

    /// How long it takes to restore a body.
    pub fn restore_times(&self) -> &'static RestoreTimes {
        &TIMES
    }

    /// For how long the past is retained.
    pub fn history(&self) -> Option<Duration> {
        self.settings.history
    }

    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Removes the index files: they are a cache of the log. The store must be closed.
    pub fn remove_index(&self) {
        for name in ["index.tree", "index.alt.tree"] {
            let _ = self.vfs.remove(&self.path.join(name), Site::INDEX_OPEN);
        }
    }
}
