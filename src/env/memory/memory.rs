//! A disk in memory: fast, private to its handle, and gone with it.

use std::fmt;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;

use super::tree::{Entry, Tree, plain};
use crate::env::blocks::{Content, end_of};
use crate::env::held_dir::HeldDir;
use crate::env::locks::{Held, Locks};
use crate::env::site::Site;
use crate::env::vfs::{File, FileId, Listed, Lock, LockMode, Map, MemoryMap, OpenMode, Vfs, Volume};

/// A disk in memory. Each one made by [`MemoryVfs::new`] is a world of its own; a clone is the same disk.
#[derive(Clone)]
pub struct MemoryVfs {
    tree: Arc<RwLock<Tree<Content>>>,
    locks: Arc<Locks<usize>>,
}

impl MemoryVfs {
    /// An empty disk.
    pub fn new() -> MemoryVfs {
        MemoryVfs { tree: Arc::new(RwLock::new(Tree::new())), locks: Locks::new() }
    }
}

impl Default for MemoryVfs {
    fn default() -> MemoryVfs {
        MemoryVfs::new()
    }
}

#[cfg(any(test, feature = "testing"))]
impl MemoryVfs {
    /// Moves a directory with all that is in it to a path that nothing lies at.
    pub fn move_dir(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.tree.write().move_dir(&plain(from), &plain(to))
    }
}

impl fmt::Debug for MemoryVfs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryVfs").finish_non_exhaustive()
    }
}

impl Vfs for MemoryVfs {
    fn open(&self, path: &Path, mode: OpenMode, _site: Site) -> io::Result<Arc<dyn File>> {
        let path = plain(path);
        let content = match mode {
            OpenMode::Read | OpenMode::ReadWrite => self.tree.read().file(&path)?,
            OpenMode::CreateNew => {
                let mut tree = self.tree.write();
                if tree.entry(&path)?.is_some() {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                let content = Content::default();
                tree.put(&path, Some(Entry::File(content.clone())));
                content
            }
        };
        Ok(Arc::new(MemoryFile { content, writable: mode != OpenMode::Read }))
    }

    fn remove(&self, path: &Path, _site: Site) -> io::Result<()> {
        let path = plain(path);
        let mut tree = self.tree.write();
        tree.file(&path)?;
        tree.put(&path, None);
        Ok(())
    }

    fn list(&self, dir: &Path, _site: Site) -> io::Result<Vec<Listed>> {
        listed(&self.tree.read(), &plain(dir), |content| content.read().len())
    }

    fn create_dir(&self, dir: &Path, _site: Site) -> io::Result<()> {
        let mut tree = self.tree.write();
        for dir in tree.missing_dirs(&plain(dir))? {
            tree.put(&dir, Some(Entry::Dir));
        }
        Ok(())
    }

    fn remove_dir(&self, dir: &Path, _site: Site) -> io::Result<()> {
        let (dir, mut tree) = (plain(dir), self.tree.write());
        tree.empty_dir(&dir)?;
        tree.put(&dir, None);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path, _site: Site) -> io::Result<()> {
        self.tree.read().names(&plain(dir)).map(|_| ())
    }

    fn lock(&self, path: &Path, mode: LockMode, _site: Site) -> io::Result<Box<dyn Lock>> {
        let path = plain(path);
        let mut tree = self.tree.write();
        if mode == LockMode::Exclusive && tree.entry(&path)?.is_none() {
            tree.put(&path, Some(Entry::File(Content::default())));
        }
        let content = tree.file(&path)?;
        let held = self.locks.take(Arc::as_ptr(&content) as usize, mode)?;
        Ok(Box::new(MemoryLock { _held: held, content, mode }))
    }

    fn allocated(&self, path: &Path) -> io::Result<u64> {
        Ok(self.tree.read().file(&plain(path))?.read().allocated())
    }

    fn volume(&self, _dir: &Path) -> Volume {
        Volume { bytes: None, in_place: true }
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(plain(path).into_owned())
    }

    fn hold(&self, dir: &Path) -> io::Result<Option<Arc<dyn Vfs>>> {
        let number = self.tree.read().number(&plain(dir))?;
        let tree = self.tree.clone();
        Ok(Some(Arc::new(HeldDir::new(self.clone(), number, move |number| tree.read().path_of(number)))))
    }

    fn id(&self, path: &Path) -> io::Result<Option<FileId>> {
        let (path, tree) = (plain(path), self.tree.read());
        Ok(Some(match tree.entry(&path)? {
            Some(Entry::File(content)) => id_of(content),
            Some(Entry::Dir) => FileId { device: DIRS, number: tree.number(&path)? },
            None => return Err(io::ErrorKind::NotFound.into()),
        }))
    }
}

/// The devices that the files and the directories of a disk in memory are numbered on.
const FILES: u64 = 0;

pub(in crate::env) const DIRS: u64 = 1;

/// A file is its content.
pub(in crate::env) fn id_of<T>(content: &Arc<T>) -> FileId {
    FileId { device: FILES, number: Arc::as_ptr(content) as usize as u64 }
}

/// The names in a directory of a tree, with the lengths that `len` tells.
pub(in crate::env) fn listed<F: Clone>(
    tree: &Tree<F>,
    dir: &Path,
    len: impl Fn(&F) -> u64,
) -> io::Result<Vec<Listed>> {
    let names = tree.names(dir)?.iter().map(|(name, entry)| {
        let name = name.to_string_lossy().into_owned();
        match entry {
            Entry::Dir => Listed { name, is_file: false, len: 0 },
            Entry::File(file) => Listed { name, is_file: true, len: len(file) },
        }
    });
    Ok(names.collect())
}

/// What writing through a handle that was opened for reading is answered with.
pub(in crate::env) fn not_writable() -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "the file was opened for reading only")
}

struct MemoryFile {
    content: Content,
    writable: bool,
}

impl MemoryFile {
    fn writable(&self) -> io::Result<()> {
        if self.writable { Ok(()) } else { Err(not_writable()) }
    }
}

impl File for MemoryFile {
    fn read_at(&self, buf: &mut [u8], offset: u64, _site: Site) -> io::Result<usize> {
        Ok(self.content.read().read(buf, offset))
    }

    fn write_at(&self, bufs: &[IoSlice<'_>], mut offset: u64, _site: Site) -> io::Result<()> {
        self.writable()?;
        end_of(offset, bufs.iter().map(|buf| buf.len() as u64).sum())?;
        let mut content = self.content.write();
        for buf in bufs {
            content.write(buf, offset);
            offset += buf.len() as u64;
        }
        Ok(())
    }

    fn sync_data(&self, _site: Site) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&self, len: u64, _site: Site) -> io::Result<()> {
        self.writable()?;
        self.content.write().set_len(end_of(0, len)?);
        Ok(())
    }

    fn allocate(&self, len: u64, _site: Site) -> io::Result<()> {
        self.writable()?;
        self.content.write().allocate(end_of(0, len)?);
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.content.read().len())
    }

    fn map(&self, _site: Site) -> io::Result<Map> {
        Ok(Map::Memory(MemoryMap::new(&self.content, None)))
    }

    fn start_writeback(&self, _range: Range<u64>) {}

    fn id(&self) -> io::Result<Option<FileId>> {
        Ok(Some(id_of(&self.content)))
    }
}

impl fmt::Debug for MemoryFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryFile").field("len", &self.content.read().len()).finish_non_exhaustive()
    }
}

/// The content is held so that its address, which names the lock, is not given to another file meanwhile.
#[derive(Debug)]
struct MemoryLock {
    _held: Held<usize>,
    content: Content,
    mode: LockMode,
}

impl Lock for MemoryLock {
    fn note(&self, bytes: &[u8], _site: Site) -> io::Result<()> {
        if self.mode != LockMode::Exclusive {
            return Err(not_writable());
        }
        self.content.write().write(bytes, 0);
        Ok(())
    }

    fn id(&self) -> io::Result<Option<FileId>> {
        Ok(Some(id_of(&self.content)))
    }
}
