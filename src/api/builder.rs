//! How a store is opened, other than by default.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::handle::{Maintenance, Store};
use crate::crypto::KeyProvider;
use crate::engine::state::engine::Engine;
use crate::engine::{OpenOptions, Settings, Tier, Unlock};
use crate::env::{Clock, Entropy, Env, Permissions, Vfs};
use crate::error::Result;
use crate::model::StorageClass;

/// Opens a store with settings, a key, or for reading only. Made by [`Store::builder`].
///
/// ```
/// # fn main() -> ossicle::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("store");
/// use ossicle::{Maintenance, Settings, Store};
/// let store = Store::builder(&path)
///     .settings(Settings { segment_size: 8 << 20, ..Default::default() })
///     .maintenance(Maintenance::Manual)
///     .open()?;
/// # store.close()
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct StoreBuilder {
    dir: PathBuf,
    env: Env,
    settings: Settings,
    maintenance: Maintenance,
    read_only: bool,
    create: bool,
    rebuild_index: bool,
    unlock: Option<Unlock>,
    kms: Vec<Arc<dyn KeyProvider>>,
    permissions: Permissions,
}

impl StoreBuilder {
    pub(crate) fn new(dir: &Path, env: Env) -> StoreBuilder {
        StoreBuilder {
            dir: dir.to_path_buf(),
            env,
            settings: Settings::default(),
            maintenance: Maintenance::default(),
            read_only: false,
            create: true,
            rebuild_index: false,
            unlock: None,
            kms: Vec::new(),
            permissions: Permissions::default(),
        }
    }

    /// Sets the settings of this opening; see [`Settings`] for their units, limits and defaults.
    pub fn settings(mut self, settings: Settings) -> StoreBuilder {
        self.settings = settings;
        self
    }

    /// Sets where and how the bodies of a storage class are stored. Call it after [`settings`](Self::settings), which sets all
    /// classes.
    pub fn tier(mut self, class: StorageClass, tier: Tier) -> StoreBuilder {
        if let Some(slot) = self.settings.tiers.get_mut(usize::from(class.number())) {
            *slot = tier;
        }
        self
    }

    /// Sets who does the maintenance. Default: a background thread.
    pub fn maintenance(mut self, maintenance: Maintenance) -> StoreBuilder {
        self.maintenance = maintenance;
        self
    }

    /// Opens for reading only, alone or beside others, a writer in this process or another one included. What is
    /// seen is the last durable state; [`Store::refresh`] moves on to the newest one.
    ///
    /// A reader writes nothing but its registration, a file in `readers/` in the store's directory that is removed when the reader
    /// is closed. It tells the writer which space this reader may still need. Where the file cannot be made (a read-only disk, a
    /// directory of another user) the reader takes the store's lock instead: then it opens only while there is no writer, and keeps
    /// writers from opening. A reader that runs as another user needs a store that was made for that
    /// ([`permissions`](Self::permissions)): with `GROUP_READS` or `EVERYBODY_READS` it can only take the lock, with `GROUP` it
    /// registers and reads beside the writer.
    pub fn read_only(mut self, read_only: bool) -> StoreBuilder {
        self.read_only = read_only;
        self
    }

    /// Sets whether a missing store is made. Default: yes.
    pub fn create(mut self, create: bool) -> StoreBuilder {
        self.create = create;
        self
    }

    /// Sets whether the index is thrown away and rebuilt from the log, which reads the whole log once. Default: no; a missing
    /// index is rebuilt in any case.
    pub fn rebuild_index(mut self, rebuild: bool) -> StoreBuilder {
        self.rebuild_index = rebuild;
        self
    }

    /// Sets who may use the files of the store besides the user who makes it: nobody, if nothing is said. It matters when the
    /// store is made; one that is there keeps what it has, see [`Permissions`]. A directory that is there already keeps its
    /// mode. Copies (backups, restored and salvaged stores) are as private as what they are made of.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("store");
    /// use ossicle::{Permissions, Store};
    /// let store = Store::builder(&path).permissions(Permissions::GROUP_READS).open()?;
    /// # store.close()
    /// # }
    /// ```
    pub fn permissions(mut self, permissions: Permissions) -> StoreBuilder {
        self.permissions = permissions;
        self
    }

    /// Sets who holds the key of an encrypted store. A store that is made by this opening is encrypted: every name, every
    /// row and every body that goes to the disk is sealed with keys that only this provider unlocks. What stays to be seen
    /// are lengths, counts and times. Whether a store is encrypted is decided when it is made.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("store");
    /// use ossicle::{StaticKey, Store};
    /// # let key = [7; 32];
    /// let store = Store::builder(&path).key_provider(StaticKey::new(key)).open()?;
    /// # store.close()?;
    /// assert!(Store::open(&path).is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn key_provider(mut self, provider: impl KeyProvider + 'static) -> StoreBuilder {
        self.unlock = Some(Unlock::Provider(Arc::new(provider)));
        self
    }

    /// Adds a named key for [`Encryption::kms`](crate::Encryption::kms); any number of them. Its name is what
    /// [`KeyProvider::key_id`] says now. It is asked to wrap a key of 32 bytes when a bucket first uses it, and to unwrap that
    /// once in each opening that needs it; it sees nothing of the objects. The store need not be encrypted itself.
    ///
    /// Without a key that objects need, these cannot be read or written, and everything else goes on.
    pub fn kms(mut self, provider: impl KeyProvider + 'static) -> StoreBuilder {
        self.kms.push(Arc::new(provider));
        self
    }

    /// Sets the clock that times are taken from. Default: the system clock.
    pub fn clock(mut self, clock: impl Clock + 'static) -> StoreBuilder {
        self.env.clock = Arc::new(clock);
        self
    }

    /// Sets the file system in which the store is stored. Default: that of the operating system.
    pub fn vfs(mut self, vfs: Arc<dyn Vfs>) -> StoreBuilder {
        self.env.vfs = vfs;
        self
    }

    /// Sets where random bytes come from. Default: the operating system.
    pub fn entropy(mut self, entropy: impl Entropy + 'static) -> StoreBuilder {
        self.env.entropy = Arc::new(entropy);
        self
    }

    /// Switches a mistake on, to test the tests. Only with the feature `planted-bugs`.
    #[cfg(feature = "planted-bugs")]
    pub fn mistake(mut self, mistake: Option<crate::env::Planted>) -> StoreBuilder {
        self.env.mistake = mistake;
        self
    }

    /// Opens the store.
    ///
    /// # Errors
    /// - `NoSuchStore` if there is no store in the directory, and [`create(false)`](Self::create) or
    ///   [`read_only(true)`](Self::read_only) was said.
    /// - `StoreBusy` if it is open already, in this process or in another one. For a reader: if a writer is just
    ///   opening it, or if it cannot make its file in `readers/` while a writer is there.
    /// - `InvalidArgument` for a setting beyond its limits, a directory that holds something else than a store, an
    ///   unfinished backup, a key for a store that is not encrypted, and a tier that lies in another directory
    ///   already.
    /// - `AccessDenied` if the key is missing or does not fit, if this user may not use the directory, and on a
    ///   read-only disk without `read_only(true)`.
    /// - `KeyUnavailable` if the provider of the key failed to answer.
    /// - `NotImplemented` if a newer version of Ossicle wrote the store.
    /// - `Corrupt` for damage that reaches what was acknowledged: [`Store::salvage`] writes what can be read into a
    ///   new store.
    /// - `StorageFull` if a new store cannot have its [reserve](crate::Settings::reserve_bytes), or the disk is full
    ///   while the log is replayed.
    /// - `InternalError` if the operating system reports another failure.
    pub fn open(self) -> Result<Store> {
        let StoreBuilder {
            dir, env, settings, maintenance, read_only, create, rebuild_index, unlock, ..
        } = self;
        let (kms, env) = (self.kms, env.with_permissions(self.permissions));
        let engine =
            Engine::open(OpenOptions { dir, env, settings, read_only, create, rebuild_index, unlock })?;
        engine.equip(kms);
        Store::start(engine, maintenance)
    }
}

impl Store {
    /// Opens the store in a directory for writing, with default settings, and makes it if it is missing. The directory is made
    /// too; the one above it must exist.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("photos.store");
    /// let store = ossicle::Store::open(&path)?;
    /// store.create_bucket_if_missing("photos")?.put("cat.jpg", b"not really a cat")?;
    /// store.close()
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`StoreBuilder::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Store> {
        Store::builder(path).open()
    }

    /// Opens a store with settings, a key, or for reading only; see [`StoreBuilder`].
    pub fn builder(path: impl AsRef<Path>) -> StoreBuilder {
        StoreBuilder::new(path.as_ref(), Env::real())
    }

    /// Makes a new store in memory: the same engine, on a disk that is gone when the store is dropped. For tests and caches.
    ///
    /// # Errors
    /// `InternalError` if the thread that does the maintenance cannot be started.
    pub fn in_memory() -> Result<Store> {
        StoreBuilder::new(Path::new("/memory"), Env::memory()).open()
    }
}
