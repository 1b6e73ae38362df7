//! The file system, as the engine asks for it.

use std::fmt;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::mmap::RealMap;
use super::permissions::Permissions;
use super::site::Site;
use crate::env::blocks::Content;

/// A view of a file of a disk in memory. It sees later writes; its length is that of the moment it was made.
#[derive(Clone)]
pub struct MemoryMap {
    content: Content,
    len: u64,
    /// A byte that is answered wrongly, and the bits of it: what a failing memory chip would do.
    flip: Option<(u64, u8)>,
}

impl MemoryMap {
    pub(super) fn new(content: &Content, flip: Option<(u64, u8)>) -> MemoryMap {
        let len = content.read().len();
        MemoryMap { content: content.clone(), len, flip }
    }

    /// How many bytes are mapped.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing is mapped.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes as they are now: shared if one block holds them, else copied. `None` if the range is not
    /// inside the map, or no longer inside the file (where a real map would end the process).
    pub fn read(&self, range: Range<u64>) -> Option<Bytes> {
        if range.end > self.len {
            return None;
        }
        let bytes = self.content.read().lend(range.clone())?;
        match self.flip {
            Some((at, mask)) if range.contains(&at) => {
                let mut bytes = BytesMut::from(&bytes[..]);
                bytes[(at - range.start) as usize] ^= mask;
                Some(bytes.freeze())
            }
            _ => Some(bytes),
        }
    }
}

impl fmt::Debug for MemoryMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryMap").field("len", &self.len).finish_non_exhaustive()
    }
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// For reading; the file must exist.
    Read,
    /// For reading and writing; the file must exist.
    ReadWrite,
    /// For reading and writing; the file must not exist and is created.
    CreateNew,
}

/// How a directory is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// Beside other shared holders.
    Shared,
    /// Alone. The lock file is created if it is missing.
    Exclusive,
    /// Alone. The file must exist, and nothing is written to it.
    Existing,
}

/// What a file or a directory is, whatever it is called. No two that exist at one time have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId {
    /// The device, or whatever numbers are unique on.
    pub device: u64,
    /// The number there.
    pub number: u64,
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The file name; names that are not UTF-8 come with replacement characters.
    pub name: String,
    /// Whether it is a plain file (not a directory, not a symlink).
    pub is_file: bool,
    /// Its length in bytes.
    pub len: u64,
}

/// A file system. Paths are absolute or relative to the process, as the caller gave the store's directory.
pub trait Vfs: Send + Sync + fmt::Debug {
    /// Opens or creates a file.
    fn open(&self, path: &Path, mode: OpenMode, site: Site) -> io::Result<Arc<dyn File>>;
    /// Unlinks a file. Open handles and maps of it go on working.
    fn remove(&self, path: &Path, site: Site) -> io::Result<()>;
    /// The names in a directory, in no particular order.
    fn list(&self, dir: &Path, site: Site) -> io::Result<Vec<Listed>>;
    /// Creates a directory and its parents; fine if it exists.
    fn create_dir(&self, dir: &Path, site: Site) -> io::Result<()>;
    /// Removes a directory that is empty; an error if it is not. Unless this is told how, directories stay.
    fn remove_dir(&self, _dir: &Path, _site: Site) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Makes the names in a directory (created, removed) durable.
    fn sync_dir(&self, dir: &Path, site: Site) -> io::Result<()>;
    /// Takes a lock, or fails at once with [`io::ErrorKind::WouldBlock`]. Dropping the answer releases it.
    /// The same file locked twice in this process, through whatever path, is refused as well
    /// (unless both are shared).
    fn lock(&self, path: &Path, mode: LockMode, site: Site) -> io::Result<Box<dyn Lock>>;
    /// Bytes of disk that the file really takes (a sparse file takes less than its length).
    fn allocated(&self, path: &Path) -> io::Result<u64>;
    /// The same files, by a door through which everything that is made gets these permissions. `None` where there are no
    /// users.
    fn with_permissions(&self, _permissions: Permissions) -> Option<Arc<dyn Vfs>> {
        None
    }
    /// The same files, by a door through which everything that is made gets the permissions, and as far as that is allowed
    /// the owner and the group, of the file at `path`. `None` if there is no such file, or where there are no users.
    fn with_those_of(&self, _path: &Path) -> Option<Arc<dyn Vfs>> {
        None
    }

    /// The same path, from the root on and without symlinks, as far as there is such a thing here.
    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_path_buf())
    }
    /// Holds a directory: the answer is this file system seen from within it. Paths there are relative to the directory (an
    /// empty one is the directory itself), wherever it is moved to and whatever comes to lie under its name. `None` if
    /// that cannot be had here; then the directory is reached by its path as ever.
    fn hold(&self, _dir: &Path) -> io::Result<Option<Arc<dyn Vfs>>> {
        Ok(None)
    }
    /// What a path leads to now. `None` if that cannot be told here.
    fn id(&self, _path: &Path) -> io::Result<Option<FileId>> {
        Ok(None)
    }
    /// What is known of the disk that a directory lies on. Unless this is told, nothing is.
    fn volume(&self, _dir: &Path) -> Volume {
        Volume::default()
    }
}

/// What is known of a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// How many bytes it has in all, whoever uses them.
    pub bytes: Option<u64>,
    /// Whether bytes that have disk behind them can be written over when the disk is full.
    pub in_place: bool,
}

/// A held lock; dropping it releases it.
pub trait Lock: Send + Sync + fmt::Debug {
    /// Leaves a short note at the start of the locked file, for whoever cannot have the lock. Nothing makes it
    /// durable. Fails for a shared lock, whose holders write nothing.
    fn note(&self, bytes: &[u8], site: Site) -> io::Result<()>;
    /// Which file is locked. `None` if that cannot be told here.
    fn id(&self) -> io::Result<Option<FileId>> {
        Ok(None)
    }
}

/// An open file.
pub trait File: Send + Sync + fmt::Debug {
    /// Reads up to `buf.len()` bytes at `offset`; 0 only at the end of the file.
    fn read_at(&self, buf: &mut [u8], offset: u64, site: Site) -> io::Result<usize>;
    /// Writes all of `bufs`, one after another, at `offset`; on an error any part may have been written.
    fn write_at(&self, bufs: &[IoSlice<'_>], offset: u64, site: Site) -> io::Result<()>;
    /// Makes the file's bytes and its length durable. After an error, what is durable is not known.
    fn sync_data(&self, site: Site) -> io::Result<()>;
    /// Sets the length; new bytes read as zeros and need take no disk.
    fn set_len(&self, len: u64, site: Site) -> io::Result<()>;
    /// Makes sure that `[0, len)` has disk behind it, growing the file if need be.
    fn allocate(&self, len: u64, site: Site) -> io::Result<()>;
    /// The length in bytes.
    fn size(&self) -> io::Result<u64>;
    /// Maps the whole file as it is now. Later writes inside the mapped length are seen through the map.
    fn map(&self, site: Site) -> io::Result<Map>;
    /// Asks the system to start writing dirty bytes of the range, without waiting. A hint.
    fn start_writeback(&self, range: Range<u64>);
    /// Which file this is. `None` if that cannot be told here.
    fn id(&self) -> io::Result<Option<FileId>> {
        Ok(None)
    }

    /// Fills `buf` from `offset`, or fails with [`io::ErrorKind::UnexpectedEof`].
    fn read_exact_at(&self, mut buf: &mut [u8], mut offset: u64, site: Site) -> io::Result<()> {
        while !buf.is_empty() {
            let n = self.read_at(buf, offset, site)?;
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            buf = &mut buf[n..];
            offset += n as u64;
        }
        Ok(())
    }
}

/// A mapped file: the real kind lends bytes in place, the memory kind lends its blocks or copies.
/// Cheap to clone.
#[derive(Clone, Debug)]
pub enum Map {
    /// A mapping made by the operating system.
    Real(RealMap),
    /// A view of a file of the memory disk.
    Memory(MemoryMap),
}

/// Bytes lent by a [`Map`].
#[derive(Debug)]
pub enum Lent<'a> {
    /// In place.
    Borrowed(&'a [u8]),
    /// A shared block or a copy.
    Owned(Bytes),
}

impl std::ops::Deref for Lent<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Lent::Borrowed(bytes) => bytes,
            Lent::Owned(bytes) => bytes,
        }
    }
}

impl Map {
    /// How many bytes are mapped.
    pub fn len(&self) -> u64 {
        match self {
            Map::Real(map) => map.len(),
            Map::Memory(map) => map.len(),
        }
    }

    /// Whether nothing is mapped.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Lends bytes; `None` if the range is not inside the map.
    pub fn lend(&self, range: Range<u64>) -> Option<Lent<'_>> {
        match self {
            Map::Real(map) => map.slice(range).map(Lent::Borrowed),
            Map::Memory(map) => map.read(range).map(Lent::Owned),
        }
    }

    /// Lends bytes that keep the map alive by themselves; `None` if the range is not inside the map.
    pub fn bytes(&self, range: Range<u64>) -> Option<Bytes> {
        match self {
            Map::Real(map) => map.bytes(range),
            Map::Memory(map) => map.read(range),
        }
    }
}
