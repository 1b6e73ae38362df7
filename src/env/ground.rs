//! The ground a store stands on: its directories, held from opening, so that no name that changes leads astray.
//!
//! A path is only a way to a directory. The working directory may change under a relative one, a directory may be moved
//! away and another one put in its place. So whatever is done below a directory that is held is done from within it, and
//! before a name is made or removed there it is looked whether the path still leads to it.

use std::fmt;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use parking_lot::RwLock;

use super::permissions::Permissions;
use super::process::Process;
use super::site::Site;
use super::vfs::{File, FileId, Listed, Lock, LockMode, Map, OpenMode, Vfs, Volume};

/// A file system in which some directories are held.
pub struct Ground {
    vfs: Arc<dyn Vfs>,
    home: Arc<Held>,
    /// Parts of the store that lie elsewhere and may go without the rest.
    others: RwLock<Vec<Arc<Held>>>,
    /// Files in the home that must not be removed or replaced.
    marks: RwLock<Vec<(PathBuf, FileId)>>,
    lost: OnceLock<String>,
    /// Whoever holds all this.
    process: Process,
}

/// A directory that is held.
struct Held {
    /// What it is called.
    name: PathBuf,
    /// Where it was found: from the root on, without symlinks.
    path: PathBuf,
    id: Option<FileId>,
    /// The file system from within; `None` where there is no such thing.
    within: Option<Arc<dyn Vfs>>,
}

impl Held {
    fn new(vfs: &dyn Vfs, dir: &Path) -> io::Result<Held> {
        let path = vfs.resolve(dir)?;
        let within = vfs.hold(dir)?;
        // Of what is held, so that it cannot be another one than that.
        let id = match &within {
            Some(within) => within.id(Path::new(""))?,
            None => vfs.id(dir)?,
        };
        let name = if dir.is_absolute() { dir.to_path_buf() } else { path.clone() };
        Ok(Held { name, path, id, within })
    }

    /// Why the path does not lead here any more, if that is so. What cannot be told is no reason.
    fn is_lost(&self, vfs: &dyn Vfs) -> Option<String> {
        let shown = self.path.display();
        match (self.id, vfs.id(&self.path)) {
            (Some(_), Err(error)) if is_gone(&error) => Some(format!(
                "the directory {shown} is not there any more, it was removed or moved; put it back, or open it where it lies \
                 now"
            )),
            (Some(id), Ok(Some(now))) if now != id => Some(format!(
                "another directory lies at {shown} than the one that was opened; put that one back, or open it where it lies \
                 now"
            )),
            _ => None,
        }
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

impl Ground {
    /// Holds `dir`, which must be there, and says what it has to be called from now on.
    pub(super) fn new(vfs: Arc<dyn Vfs>, dir: &Path) -> io::Result<(Ground, PathBuf)> {
        let home = Arc::new(Held::new(&*vfs, dir)?);
        let name = home.name.clone();
        let (others, marks) = Default::default();
        Ok((Ground { vfs, home, others, marks, lost: OnceLock::new(), process: Process::current() }, name))
    }

    /// Holds another directory too, or what lies there now if it was held before.
    pub(super) fn also_hold(&self, dir: &Path) -> io::Result<()> {
        let held = Arc::new(Held::new(&*self.vfs, dir)?);
        let mut others = self.others.write();
        others.retain(|other| other.name != held.name);
        others.push(held);
        Ok(())
    }

    /// From now on the name of this file in the home must lead to it.
    pub(super) fn mark(&self, path: &Path, file: FileId) {
        self.marks.write().push((path.to_path_buf(), file));
    }

    /// Whether the home is what it was, with its marks. If not, it never is again.
    pub(super) fn look_again(&self) -> Result<(), &str> {
        if let Some(why) = self.lost.get() {
            return Err(why);
        }
        match self.home.is_lost(&*self.vfs).or_else(|| self.lost_mark()) {
            None => Ok(()),
            Some(why) => Err(self.lost.get_or_init(|| why)),
        }
    }

    fn lost_mark(&self) -> Option<String> {
        self.marks.read().iter().find_map(|(path, id)| {
            let shown = path.display();
            match Vfs::id(self, path) {
                Ok(Some(now)) if now != *id => Some(format!("{shown} was replaced")),
                Err(error) if is_gone(&error) => Some(format!("{shown} was removed")),
                _ => None,
            }
            .map(|what| {
                format!(
                    "{what} while the store was open, so another process may take it for its own; see to it that nothing \
                     cleans up there"
                )
            })
        })
    }

    /// Why the home is lost, if somebody has noticed.
    pub(super) fn lost(&self) -> Option<&str> {
        self.lost.get().map(String::as_str)
    }

    /// The directory that holds a path.
    fn holder(&self, path: &Path) -> Option<Arc<Held>> {
        let others = self.others.read();
        let all = others.iter().chain([&self.home]);
        let holds = all.filter(|held| path.starts_with(&held.name));
        holds.max_by_key(|held| held.name.components().count()).cloned()
    }

    /// Does something where the path lies, from within the directory that holds it.
    fn within<R>(&self, path: &Path, work: impl FnOnce(&dyn Vfs, &Path) -> R) -> R {
        if let Some(held) = self.holder(path)
            && let Some(within) = &held.within
            && let Ok(rest) = path.strip_prefix(&held.name)
        {
            return work(&**within, rest);
        }
        work(&*self.vfs, path)
    }

    /// The same for what makes or removes a name.
    fn changing<R>(&self, path: &Path, work: impl FnOnce(&dyn Vfs, &Path) -> io::Result<R>) -> io::Result<R> {
        self.process.check()?;
        match self.holder(path) {
            Some(held) if Arc::ptr_eq(&held, &self.home) => {
                self.look_again().map_err(io::Error::other)?;
            }
            Some(held) => {
                if let Some(why) = held.is_lost(&*self.vfs) {
                    return Err(io::Error::other(why));
                }
            }
            None => {}
        }
        self.within(path, work)
    }
}

impl Vfs for Ground {
    fn open(&self, path: &Path, mode: OpenMode, site: Site) -> io::Result<Arc<dyn File>> {
        let file = match mode {
            OpenMode::CreateNew => self.changing(path, |vfs, path| vfs.open(path, mode, site))?,
            OpenMode::Read => return self.within(path, |vfs, path| vfs.open(path, mode, site)),
            OpenMode::ReadWrite => self.within(path, |vfs, path| vfs.open(path, mode, site))?,
        };
        Ok(Arc::new(OwnFile { file, process: self.process }))
    }

    fn remove(&self, path: &Path, site: Site) -> io::Result<()> {
        self.changing(path, |vfs, path| vfs.remove(path, site))
    }

    fn list(&self, dir: &Path, site: Site) -> io::Result<Vec<Listed>> {
        self.within(dir, |vfs, dir| vfs.list(dir, site))
    }

    fn create_dir(&self, dir: &Path, site: Site) -> io::Result<()> {
        self.changing(dir, |vfs, dir| vfs.create_dir(dir, site))
    }

    fn remove_dir(&self, dir: &Path, site: Site) -> io::Result<()> {
        self.changing(dir, |vfs, dir| vfs.remove_dir(dir, site))
    }

    fn sync_dir(&self, dir: &Path, site: Site) -> io::Result<()> {
        self.within(dir, |vfs, dir| vfs.sync_dir(dir, site))
    }

    fn lock(&self, path: &Path, mode: LockMode, site: Site) -> io::Result<Box<dyn Lock>> {
        match mode {
            LockMode::Exclusive => self.changing(path, |vfs, path| vfs.lock(path, mode, site)),
            LockMode::Shared | LockMode::Existing => {
                self.within(path, |vfs, path| vfs.lock(path, mode, site))
            }
        }
    }

    fn allocated(&self, path: &Path) -> io::Result<u64> {
        self.within(path, |vfs, path| vfs.allocated(path))
    }

    fn volume(&self, dir: &Path) -> Volume {
        self.within(dir, |vfs, dir| vfs.volume(dir))
    }

    /// Without the directories that are held, which whoever goes through this door holds again.
    fn with_permissions(&self, permissions: Permissions) -> Option<Arc<dyn Vfs>> {
        self.vfs.with_permissions(permissions)
    }

    fn with_those_of(&self, path: &Path) -> Option<Arc<dyn Vfs>> {
        self.vfs.with_those_of(path)
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        self.vfs.resolve(path)
    }

    fn hold(&self, dir: &Path) -> io::Result<Option<Arc<dyn Vfs>>> {
        self.within(dir, |vfs, dir| vfs.hold(dir))
    }

    fn id(&self, path: &Path) -> io::Result<Option<FileId>> {
        self.within(path, |vfs, path| vfs.id(path))
    }
}

impl fmt::Debug for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ground")
            .field("home", &self.home.path)
            .field("lost", &self.lost)
            .finish_non_exhaustive()
    }
}

/// A file that can be written: by the process that has opened it, and by none that was forked from it.
#[derive(Debug)]
struct OwnFile {
    file: Arc<dyn File>,
    process: Process,
}

impl File for OwnFile {
    fn read_at(&self, buf: &mut [u8], offset: u64, site: Site) -> io::Result<usize> {
        self.file.read_at(buf, offset, site)
    }

    fn write_at(&self, bufs: &[IoSlice<'_>], offset: u64, site: Site) -> io::Result<()> {
        self.process.check()?;
        self.file.write_at(bufs, offset, site)
    }

    fn sync_data(&self, site: Site) -> io::Result<()> {
        self.process.check()?;
        self.file.sync_data(site)
    }

    fn set_len(&self, len: u64, site: Site) -> io::Result<()> {
        self.process.check()?;
        self.file.set_len(len, site)
    }

    fn allocate(&self, len: u64, site: Site) -> io::Result<()> {
        self.process.check()?;
        self.file.allocate(len, site)
    }

    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn map(&self, site: Site) -> io::Result<Map> {
        self.file.map(site)
    }

    fn start_writeback(&self, range: Range<u64>) {
        self.file.start_writeback(range);
    }

    fn id(&self) -> io::Result<Option<FileId>> {
        self.file.id()
    }
}
