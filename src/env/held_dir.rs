//! A directory of a disk in memory that is held: its files are found from within it, wherever it was moved to.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::site::Site;
use super::vfs::{File, FileId, Listed, Lock, LockMode, OpenMode, Vfs, Volume};

/// A directory of a disk in memory, by its number.
pub(super) struct HeldDir<V, P> {
    disk: V,
    number: u64,
    /// Where the directory with this number lies now.
    path_of: P,
}

impl<V: Vfs, P: Fn(u64) -> Option<PathBuf> + Send + Sync> HeldDir<V, P> {
    pub(super) fn new(disk: V, number: u64, path_of: P) -> HeldDir<V, P> {
        HeldDir { disk, number, path_of }
    }

    /// Where a name of the directory lies now.
    fn at(&self, path: &Path) -> io::Result<PathBuf> {
        let dir = (self.path_of)(self.number).ok_or(io::ErrorKind::NotFound)?;
        Ok(if path.as_os_str().is_empty() { dir } else { dir.join(path) })
    }
}

impl<V: Vfs, P: Fn(u64) -> Option<PathBuf> + Send + Sync> Vfs for HeldDir<V, P> {
    fn open(&self, path: &Path, mode: OpenMode, site: Site) -> io::Result<Arc<dyn File>> {
        self.disk.open(&self.at(path)?, mode, site)
    }

    fn remove(&self, path: &Path, site: Site) -> io::Result<()> {
        self.disk.remove(&self.at(path)?, site)
    }

    fn list(&self, dir: &Path, site: Site) -> io::Result<Vec<Listed>> {
        self.disk.list(&self.at(dir)?, site)
    }

    /// Never what it should lie in, as on a real disk.
    fn create_dir(&self, dir: &Path, site: Site) -> io::Result<()> {
        let path = self.at(dir)?;
        if let Some(parent) = path.parent() {
            self.disk.id(parent)?;
        }
        self.disk.create_dir(&path, site)
    }

    fn remove_dir(&self, dir: &Path, site: Site) -> io::Result<()> {
        self.disk.remove_dir(&self.at(dir)?, site)
    }

    fn sync_dir(&self, dir: &Path, site: Site) -> io::Result<()> {
        self.disk.sync_dir(&self.at(dir)?, site)
    }

    fn lock(&self, path: &Path, mode: LockMode, site: Site) -> io::Result<Box<dyn Lock>> {
        self.disk.lock(&self.at(path)?, mode, site)
    }

    fn allocated(&self, path: &Path) -> io::Result<u64> {
        self.disk.allocated(&self.at(path)?)
    }

    fn volume(&self, dir: &Path) -> Volume {
        self.at(dir).map_or_else(|_| Volume::default(), |dir| self.disk.volume(&dir))
    }

    fn hold(&self, dir: &Path) -> io::Result<Option<Arc<dyn Vfs>>> {
        self.disk.hold(&self.at(dir)?)
    }

    fn id(&self, path: &Path) -> io::Result<Option<FileId>> {
        self.disk.id(&self.at(path)?)
    }
}

impl<V: fmt::Debug, P> fmt::Debug for HeldDir<V, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldDir")
            .field("disk", &self.disk)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}
