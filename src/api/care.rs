//! Backup, restore and salvage, with callbacks that watch their progress and may stop them.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::handle::Store;
use super::verify::wrong;
use crate::catalog::KeyNames;
use crate::crypto::KeyProvider;
use crate::engine::state::engine::Engine;
use crate::engine::{Settings, Unlock};
use crate::env::{Env, Vfs};
use crate::error::Result;
use crate::rescue::{
    BackupProgress, BackupReport, RestoreReport, SalvageFrom, SalvageProgress, SalvageReport,
};

/// How a store is backed up.
#[derive(Default)]
#[must_use]
pub struct BackupOptions<'a> {
    progress: Option<Box<dyn FnMut(BackupProgress) -> bool + 'a>>,
}

impl fmt::Debug for BackupOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackupOptions").field("watched", &self.progress.is_some()).finish()
    }
}

impl<'a> BackupOptions<'a> {
    /// Without a progress callback.
    pub fn new() -> BackupOptions<'a> {
        BackupOptions::default()
    }

    /// Calls `watch` often with the progress; when it returns `false`, the backup stops and the earlier one stays. What was
    /// copied by then is not copied again by the next one.
    pub fn progress(mut self, watch: impl FnMut(BackupProgress) -> bool + 'a) -> BackupOptions<'a> {
        self.progress = Some(Box::new(watch));
        self
    }
}

/// How a backup is restored.
#[derive(Default)]
#[must_use]
pub struct RestoreBackupOptions<'a> {
    vfs: Option<Arc<dyn Vfs>>,
    unlock: Option<Unlock>,
    progress: Option<Box<dyn FnMut(BackupProgress) -> bool + 'a>>,
}

impl fmt::Debug for RestoreBackupOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RestoreBackupOptions").field("watched", &self.progress.is_some()).finish()
    }
}

impl<'a> RestoreBackupOptions<'a> {
    /// On the file system of the machine, without a progress callback.
    pub fn new() -> RestoreBackupOptions<'a> {
        RestoreBackupOptions::default()
    }

    /// Sets the file system that both directories lie in.
    pub fn vfs(mut self, vfs: Arc<dyn Vfs>) -> RestoreBackupOptions<'a> {
        self.vfs = Some(vfs);
        self
    }

    /// Sets the provider of the key, if the backup is encrypted; the restored store has the same key.
    pub fn key_provider(mut self, provider: impl KeyProvider + 'static) -> RestoreBackupOptions<'a> {
        self.unlock = Some(Unlock::Provider(Arc::new(provider)));
        self
    }

    /// Calls `watch` often with the progress; when it returns `false`, the restore stops, and what was written by then is no
    /// store.
    pub fn progress(mut self, watch: impl FnMut(BackupProgress) -> bool + 'a) -> RestoreBackupOptions<'a> {
        self.progress = Some(Box::new(watch));
        self
    }
}

/// How a damaged store is salvaged.
#[derive(Default)]
#[must_use]
pub struct SalvageOptions<'a> {
    vfs: Option<Arc<dyn Vfs>>,
    unlock: Option<Unlock>,
    settings: Settings,
    progress: Option<Box<dyn FnMut(SalvageProgress) -> bool + 'a>>,
}

impl fmt::Debug for SalvageOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SalvageOptions").field("watched", &self.progress.is_some()).finish()
    }
}

impl<'a> SalvageOptions<'a> {
    /// On the file system of the machine, without a progress callback.
    pub fn new() -> SalvageOptions<'a> {
        SalvageOptions::default()
    }

    /// Sets the file system that both directories lie in.
    pub fn vfs(mut self, vfs: Arc<dyn Vfs>) -> SalvageOptions<'a> {
        self.vfs = Some(vfs);
        self
    }

    /// Sets the settings that the new store is written with.
    pub fn settings(mut self, settings: Settings) -> SalvageOptions<'a> {
        self.settings = settings;
        self
    }

    /// Sets the provider of the key, if the damaged store is encrypted; the new store is encrypted with the same key.
    pub fn key_provider(mut self, provider: impl KeyProvider + 'static) -> SalvageOptions<'a> {
        self.unlock = Some(Unlock::Provider(Arc::new(provider)));
        self
    }

    /// Calls `watch` often with the progress; when it returns `false`, the salvage stops. What was saved by then is a store.
    pub fn progress(mut self, watch: impl FnMut(SalvageProgress) -> bool + 'a) -> SalvageOptions<'a> {
        self.progress = Some(Box::new(watch));
        self
    }
}

/// The machine's own environment, perhaps with another file system.
fn env(vfs: Option<Arc<dyn Vfs>>) -> Env {
    let mut env = Env::real();
    env.vfs = vfs.unwrap_or(env.vfs);
    env
}

impl Store {
    /// Backs the store up into the directory `target`, which is made if it is missing, while reading and writing go on. The backup
    /// is exactly the store behind one commit, which the report names. Everything that was committed before the call is in it.
    ///
    /// Into a directory with an earlier backup of the same store, only what is new since is copied, and what the
    /// store no longer has is removed. Whatever happens meanwhile (an error, a full disk, a crash), the directory
    /// holds the backup before or the new one, never a mixture. A backup is itself the directory of a store and may
    /// be opened (best with [`read_only`](crate::StoreBuilder::read_only)); once it was written to, it takes no
    /// more backups.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let (path, target, again) = (dir.path().join("store"), dir.path().join("backup"), dir.path().join("again"));
    /// use ossicle::Store;
    /// let store = Store::open(&path)?;
    /// store.create_bucket("cats")?.put("tom", b"meow")?;
    /// let first = store.backup(&target)?;
    /// store.bucket("cats")?.put("kitty", b"purr")?;
    /// let second = store.backup(&target)?;
    /// assert!(second.lsn > first.lsn);
    /// store.close()?;
    ///
    /// Store::restore(&target, &again)?;
    /// let restored = Store::open(&again)?;
    /// assert_eq!(&restored.bucket("cats")?.get("kitty")?.bytes()?[..], b"purr");
    /// # restored.close()
    /// # }
    /// ```
    ///
    /// # Errors
    /// - `InvalidArgument` if the directory is the store's or lies in it, holds anything but a backup of this store,
    ///   or a newer one.
    /// - `StoreBusy` if it is open as a store.
    /// - `Corrupt` if the store, or the backup that is there, is damaged where it is read.
    /// - `AccessDenied` if this store was opened for reading only: a backup begins with a checkpoint.
    /// - `TierOutOfService` if the directory of a tier cannot be used.
    /// - `OperationConflict` on a thread that is inside a transaction that has read.
    ///
    /// Also [those of writing](crate::Store#errors-of-writing). The directory holds the backup before then.
    pub fn backup(&self, target: impl AsRef<Path>) -> Result<BackupReport> {
        self.backup_with(target, BackupOptions::new())
    }

    /// [`backup`](Store::backup), with a callback that watches its progress and may stop it.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// use ossicle::{BackupOptions, Store};
    /// # let store = Store::open(dir.path().join("store"))?;
    /// # let target = dir.path().join("backup");
    /// let watch = BackupOptions::new().progress(|so_far| so_far.bytes_copied < 10 << 30);
    /// let report = store.backup_with(&target, watch)?;
    /// assert!(!report.stopped);
    /// # store.close()
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`backup`](Store::backup). One that was stopped is no error: the report says so.
    pub fn backup_with(&self, target: impl AsRef<Path>, options: BackupOptions<'_>) -> Result<BackupReport> {
        let BackupOptions { mut progress } = options;
        self.engine().backup(target.as_ref(), &mut |now| progress.as_mut().is_none_or(|watch| watch(now)))
    }

    /// Copies the backup in `backup` to the directory `target`, which must be missing or empty, and reads all of the
    /// copy: index, log and the body of every object. The backup itself is only read; it must not be open for writing.
    /// See [`backup`](Store::backup) for an example.
    ///
    /// # Errors
    /// - `DirectoryNotEmpty` if something lies in `target`.
    /// - `NoSuchStore` if there is nothing at `backup`.
    /// - `InvalidArgument` if what lies there is no finished backup, and if one directory lies in the other.
    /// - `StoreBusy` if the backup is open for writing.
    /// - `Corrupt` if it is damaged: what was written to `target` is no store then, and [`Store::salvage`] gets out
    ///   what can be read.
    /// - `AccessDenied` and `KeyUnavailable` for the key of an encrypted one, as when a store is
    ///   [opened](crate::StoreBuilder::open).
    /// - `StorageFull` if the disk is full; `InternalError` if the operating system reports another failure.
    pub fn restore(backup: impl AsRef<Path>, target: impl AsRef<Path>) -> Result<RestoreReport> {
        Store::restore_with(backup, target, RestoreBackupOptions::new())
    }

    /// [`restore`](Store::restore), with options.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// use ossicle::{MemoryVfs, RestoreBackupOptions, Store};
    /// use std::sync::Arc;
    /// let disk = Arc::new(MemoryVfs::new());
    /// let store = Store::builder("/store").vfs(disk.clone()).open()?;
    /// store.create_bucket("cats")?;
    /// store.backup("/backup")?;
    /// let options = RestoreBackupOptions::new().vfs(disk.clone());
    /// let report = Store::restore_with("/backup", "/again", options)?;
    /// assert!(report.files > 0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`restore`](Store::restore). One that was stopped is no error: the report says so, and what was
    /// written to the target is no store.
    pub fn restore_with(
        backup: impl AsRef<Path>,
        target: impl AsRef<Path>,
        options: RestoreBackupOptions<'_>,
    ) -> Result<RestoreReport> {
        let RestoreBackupOptions { vfs, unlock, mut progress } = options;
        let mut watch = |now| progress.as_mut().is_none_or(|watch| watch(now));
        Engine::restore(&env(vfs), backup.as_ref(), target.as_ref(), unlock, &mut wrong, &mut watch)
    }

    /// Writes everything that can be read of the damaged store in `damaged` into a new store in `target`, which must
    /// be missing or empty. `damaged` is only read, and must not be open.
    ///
    /// Superblock, index and segments may be damaged anywhere or be missing. For each key the newest state is saved
    /// whose record and body verify to the last byte; where that is not the newest that was written, the report says
    /// so, and it names what is lost. Deletes are honoured where their record can be read. Objects whose bucket is
    /// lost are written to a bucket named `salvaged-…`. Memory grows with the number of rows in the log, never with bodies.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let (path, target) = (dir.path().join("store"), dir.path().join("saved"));
    /// use ossicle::Store;
    /// let store = Store::open(&path)?;
    /// store.create_bucket("cats")?.put("tom", b"meow")?;
    /// store.close()?;
    /// std::fs::remove_file(path.join("SUPERBLOCK")).unwrap();
    /// assert!(Store::open(&path).is_err());
    ///
    /// let report = Store::salvage(&path, &target)?;
    /// assert_eq!((report.lost_count, report.damaged.len()), (0, 1));
    /// let saved = Store::open(&target)?;
    /// assert_eq!(&saved.bucket("cats")?.get("tom")?.bytes()?[..], b"meow");
    /// # saved.close()
    /// # }
    /// ```
    ///
    /// # Errors
    /// - `NoSuchStore` if there is no directory that can be read.
    /// - `Corrupt` if nothing in it can be told to be of a store.
    /// - `StoreBusy` if it is open for writing.
    /// - `DirectoryNotEmpty` if something lies in `target`.
    /// - `InvalidArgument` if one directory lies in the other, and for settings beyond their limits.
    /// - `AccessDenied` and `KeyUnavailable` for the key of an encrypted one, as when a store is
    ///   [opened](crate::StoreBuilder::open).
    /// - `StorageFull` if the disk is full; `InternalError` if the operating system reports another failure.
    pub fn salvage(damaged: impl AsRef<Path>, target: impl AsRef<Path>) -> Result<SalvageReport> {
        Store::salvage_with(damaged, target, SalvageOptions::new())
    }

    /// [`salvage`](Store::salvage), with options.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// use ossicle::{MemoryVfs, SalvageOptions, Store};
    /// use std::sync::Arc;
    /// let disk = Arc::new(MemoryVfs::new());
    /// let store = Store::builder("/store").vfs(disk.clone()).open()?;
    /// store.write(|tx| tx.put_row("app", b"row", b"value"))?;
    /// store.close()?;
    /// let options = SalvageOptions::new().vfs(disk.clone()).progress(|so_far| so_far.bytes < 10 << 30);
    /// let report = Store::salvage_with("/store", "/saved", options)?;
    /// assert_eq!((report.saved, report.stopped), (1, false));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`salvage`](Store::salvage). One that was stopped is no error: the report says so, and what was saved
    /// by then is a store.
    pub fn salvage_with(
        damaged: impl AsRef<Path>,
        target: impl AsRef<Path>,
        options: SalvageOptions<'_>,
    ) -> Result<SalvageReport> {
        let SalvageOptions { vfs, unlock, settings, mut progress } = options;
        let (from, to) = (damaged.as_ref().to_path_buf(), target.as_ref().to_path_buf());
        let places = SalvageFrom { env: env(vfs), from, to, settings, unlock };
        let mut watch = |now| progress.as_mut().is_none_or(|watch| watch(now));
        Engine::salvage(places, &mut KeyNames::default(), &mut watch)
    }
}
