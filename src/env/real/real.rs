//! The file system of the operating system.
// This is the one place where files are really touched.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fs::{self, TryLockError};
use std::io::{self, IoSlice};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use arc_swap::ArcSwap;
use rustix::fs::{AtFlags, CWD, FallocateFlags, FileType, Gid, Mode, OFlags, Stat, Uid};
use rustix::io::{Errno, retry_on_intr};

use crate::env::locks::{Held, Locks};
use crate::env::memory::memory::not_writable;
use crate::env::mmap::RealMap;
use crate::env::permissions::Permissions;
use crate::env::process::Process;
use crate::env::site::Site;
use crate::env::vfs::{File, FileId, Listed, Lock, LockMode, Map, OpenMode, Vfs, Volume};

/// The file system of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealVfs {
    /// What is made gets these.
    permissions: Permissions,
    /// And this owner and group, where that is allowed.
    owner: Option<(u32, u32)>,
}

impl RealVfs {
    /// What it makes is its user's alone.
    pub fn new() -> RealVfs {
        RealVfs::default()
    }

    /// Gives a file that was just made to whom it is to belong: root works for a store's owner, and members of a group
    /// for the group. Nobody else may give files away, and need not.
    fn hand_over(&self, file: &fs::File, made: &fs::Metadata) {
        let Some((owner, group)) = self.owner else { return };
        if made.gid() != group {
            let _ = rustix::fs::fchown(file, None, Some(Gid::from_raw(group)));
        }
        if made.uid() != owner {
            let _ = rustix::fs::fchown(file, Some(Uid::from_raw(owner)), None);
        }
    }

    fn file_mode(&self) -> Mode {
        Mode::from_raw_mode(self.permissions.file_mode() as _)
    }

    fn dir_mode(&self) -> Mode {
        Mode::from_raw_mode(self.permissions.dir_mode() as _)
    }
}

/// The same, seen from within a directory that is held.
#[derive(Debug)]
struct RealDir {
    held: OwnedFd,
    /// How things are made.
    making: RealVfs,
}

/// The locks that this process holds, by device and inode: some file systems grant a process its own lock
/// a second time, and none of them sees through every kind of alias.
type Registry = Locks<(u64, u64)>;

/// The registry, and the process that it belongs to.
static LOCKS: LazyLock<ArcSwap<(Process, Arc<Registry>)>> =
    LazyLock::new(|| ArcSwap::from_pointee((Process::real(), Locks::new())));

/// The registry of this process. A forked one begins anew: it holds none of the locks, and a thread that is not there may
/// have been writing to the registry.
fn locks() -> Arc<Registry> {
    let known = LOCKS.load_full();
    if known.0 == Process::real() {
        return known.1.clone();
    }
    LOCKS.compare_and_swap(&known, Arc::new((Process::real(), Locks::new())));
    LOCKS.load().1.clone()
}

/// The most buffers that one system call takes everywhere.
const MAX_BUFFERS: usize = 1024;

impl Vfs for RealVfs {
    fn open(&self, path: &Path, mode: OpenMode, _site: Site) -> io::Result<Arc<dyn File>> {
        self.open_from(CWD, path, mode)
    }

    fn remove(&self, path: &Path, _site: Site) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(CWD, path, AtFlags::empty())?)
    }

    fn list(&self, dir: &Path, _site: Site) -> io::Result<Vec<Listed>> {
        list_from(CWD, dir)
    }

    fn create_dir(&self, dir: &Path, _site: Site) -> io::Result<()> {
        let dir = named(dir);
        if dir.is_dir() {
            return Ok(());
        }
        // What it lies in is not the store's.
        if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent)?;
        }
        self.create_dir_from(CWD, dir)
    }

    fn remove_dir(&self, dir: &Path, _site: Site) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(CWD, dir, AtFlags::REMOVEDIR)?)
    }

    fn sync_dir(&self, dir: &Path, _site: Site) -> io::Result<()> {
        sync_dir_from(CWD, dir)
    }

    fn lock(&self, path: &Path, mode: LockMode, _site: Site) -> io::Result<Box<dyn Lock>> {
        self.lock_from(CWD, path, mode)
    }

    fn allocated(&self, path: &Path) -> io::Result<u64> {
        Ok(fs::metadata(path)?.blocks() * 512)
    }

    fn with_permissions(&self, permissions: Permissions) -> Option<Arc<dyn Vfs>> {
        Some(Arc::new(RealVfs { permissions, owner: None }))
    }

    fn with_those_of(&self, path: &Path) -> Option<Arc<dyn Vfs>> {
        let metadata = fs::metadata(path).ok()?;
        let permissions = Permissions::of_mode(metadata.mode());
        Some(Arc::new(RealVfs { permissions, owner: Some((metadata.uid(), metadata.gid())) }))
    }

    fn volume(&self, dir: &Path) -> Volume {
        volume_from(CWD, dir)
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        fs::canonicalize(named(path))
    }

    fn hold(&self, dir: &Path) -> io::Result<Option<Arc<dyn Vfs>>> {
        self.hold_from(CWD, dir)
    }

    fn id(&self, path: &Path) -> io::Result<Option<FileId>> {
        id_from(CWD, path)
    }
}

impl Vfs for RealDir {
    fn open(&self, path: &Path, mode: OpenMode, _site: Site) -> io::Result<Arc<dyn File>> {
        self.making.open_from(self.held.as_fd(), path, mode)
    }

    fn remove(&self, path: &Path, _site: Site) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.held, path, AtFlags::empty())?)
    }

    fn list(&self, dir: &Path, _site: Site) -> io::Result<Vec<Listed>> {
        list_from(self.held.as_fd(), dir)
    }

    /// Never what it should lie in: where that is missing, this is not the place it was.
    fn create_dir(&self, dir: &Path, _site: Site) -> io::Result<()> {
        self.making.create_dir_from(self.held.as_fd(), named(dir))
    }

    fn remove_dir(&self, dir: &Path, _site: Site) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.held, dir, AtFlags::REMOVEDIR)?)
    }

    fn sync_dir(&self, dir: &Path, _site: Site) -> io::Result<()> {
        sync_dir_from(self.held.as_fd(), dir)
    }

    fn lock(&self, path: &Path, mode: LockMode, _site: Site) -> io::Result<Box<dyn Lock>> {
        self.making.lock_from(self.held.as_fd(), path, mode)
    }

    fn allocated(&self, path: &Path) -> io::Result<u64> {
        // Counted so on every system, whatever its blocks are.
        Ok(stat_from(self.held.as_fd(), path)?.st_blocks as u64 * 512)
    }

    fn volume(&self, dir: &Path) -> Volume {
        volume_from(self.held.as_fd(), dir)
    }

    fn hold(&self, dir: &Path) -> io::Result<Option<Arc<dyn Vfs>>> {
        self.making.hold_from(self.held.as_fd(), dir)
    }

    fn id(&self, path: &Path) -> io::Result<Option<FileId>> {
        id_from(self.held.as_fd(), path)
    }
}

/// What is done alike from the current directory and from one that is held.
impl RealVfs {
    fn open_from(&self, base: BorrowedFd<'_>, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let flags = match mode {
            OpenMode::Read => OFlags::RDONLY,
            OpenMode::ReadWrite => OFlags::RDWR,
            OpenMode::CreateNew => OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
        };
        let file = opened(base, path, flags, self.file_mode())?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if mode == OpenMode::CreateNew {
            self.hand_over(&file, &metadata);
        }
        Ok(Arc::new(RealFile(file)))
    }

    /// Makes a directory, not what it lies in.
    fn create_dir_from(&self, base: BorrowedFd<'_>, dir: &Path) -> io::Result<()> {
        match rustix::fs::mkdirat(base, dir, self.dir_mode()) {
            // It was there, or somebody else was quicker.
            Err(Errno::EXIST) if stat_from(base, dir).is_ok_and(|found| is_dir(&found)) => return Ok(()),
            made => made?,
        }
        if self.owner.is_some() {
            let made = opened_dir(base, dir)?;
            self.hand_over(&made, &made.metadata()?);
        }
        Ok(())
    }

    fn lock_from(&self, base: BorrowedFd<'_>, path: &Path, mode: LockMode) -> io::Result<Box<dyn Lock>> {
        let flags = match mode {
            LockMode::Shared => OFlags::RDONLY,
            LockMode::Existing => OFlags::RDWR,
            LockMode::Exclusive => OFlags::RDWR | OFlags::CREATE,
        };
        let file = opened(base, path, flags, self.file_mode())?;
        let metadata = file.metadata()?;
        // An empty one was just made, or handed over to nobody yet.
        if mode == LockMode::Exclusive && metadata.len() == 0 {
            self.hand_over(&file, &metadata);
        }
        let held = locks().take((metadata.dev(), metadata.ino()), mode)?;
        let locked = match mode {
            LockMode::Shared => file.try_lock_shared(),
            LockMode::Existing | LockMode::Exclusive => file.try_lock(),
        };
        match locked {
            Ok(()) => Ok(Box::new(RealLock { file, mode, process: Process::current(), _held: held })),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn hold_from(&self, base: BorrowedFd<'_>, dir: &Path) -> io::Result<Option<Arc<dyn Vfs>>> {
        let held = opened_dir(base, dir)?.into();
        Ok(Some(Arc::new(RealDir { held, making: *self })))
    }
}

/// How many files a store may keep open that it could open again: a part of what the system lets this process open.
pub fn few_files() -> usize {
    (open_files_limit() / 4).clamp(8, 256)
}

/// How many it may keep open where it could not: what the system lets this process open, but for a few.
pub fn most_files() -> usize {
    open_files_limit().saturating_sub(64).max(few_files())
}

fn open_files_limit() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// A directory itself has an empty name: the current one as the parent of a relative path, the one that is held from within.
/// The system does not know such a name.
fn named(dir: &Path) -> &Path {
    if dir.as_os_str().is_empty() { Path::new(".") } else { dir }
}

/// Opens a file that no child process inherits. One that is made by that gets this mode.
fn opened(base: BorrowedFd<'_>, path: &Path, flags: OFlags, mode: Mode) -> io::Result<fs::File> {
    let open = || rustix::fs::openat(base, named(path), flags | OFlags::CLOEXEC, mode);
    Ok(fs::File::from(retry_on_intr(open)?))
}

fn opened_dir(base: BorrowedFd<'_>, dir: &Path) -> io::Result<fs::File> {
    opened(base, dir, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
}

/// What is known of the disk that a directory lies on. What is not known to write in place is taken to copy on write, as
/// Btrfs does.
fn volume_from(base: BorrowedFd<'_>, dir: &Path) -> Volume {
    let Ok(opened) = opened_dir(base, dir) else { return Volume::default() };
    let found = rustix::fs::fstatvfs(&opened);
    let bytes = found.map_or(0, |found| found.f_frsize.saturating_mul(found.f_blocks));
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let in_place = rustix::fs::fstatfs(&opened).is_ok_and(|found| IN_PLACE.contains(&(found.f_type as u32)));
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let in_place = false;
    Volume { bytes: (bytes > 0).then_some(bytes), in_place }
}

/// The file systems that are known to write in place: ext2 to ext4, XFS, tmpfs, FAT, exFAT and NTFS in the kernel.
#[cfg(any(target_os = "linux", target_os = "android"))]
const IN_PLACE: [u32; 6] = [0xEF53, 0x5846_5342, 0x0102_1994, 0x4d44, 0x2011_BAB0, 0x7366_746e];

/// How many bytes are written at once where disk cannot be had without writing.
const NOISE: usize = 64 << 10;

fn list_from(base: BorrowedFd<'_>, dir: &Path) -> io::Result<Vec<Listed>> {
    let opened = opened_dir(base, dir)?;
    let mut listed = Vec::new();
    for entry in rustix::fs::Dir::read_from(&opened)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let found = match rustix::fs::statat(&opened, name, AtFlags::SYMLINK_NOFOLLOW) {
            // Someone removed it since the directory was read.
            Err(Errno::NOENT) => continue,
            found => found?,
        };
        let is_file = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile;
        let len = if is_file { found.st_size as u64 } else { 0 };
        listed.push(Listed { name: name.to_string_lossy().into_owned(), is_file, len });
    }
    Ok(listed)
}

fn sync_dir_from(base: BorrowedFd<'_>, dir: &Path) -> io::Result<()> {
    let opened = opened_dir(base, dir)?;
    match rustix::fs::fsync(&opened) {
        // Some network file systems do not know how to sync a directory; they keep names safe themselves.
        Err(Errno::INVAL) => Ok(()),
        answer => Ok(answer?),
    }
}

fn stat_from(base: BorrowedFd<'_>, path: &Path) -> io::Result<Stat> {
    Ok(rustix::fs::statat(base, named(path), AtFlags::empty())?)
}

fn is_dir(found: &Stat) -> bool {
    FileType::from_raw_mode(found.st_mode) == FileType::Directory
}

#[allow(clippy::unnecessary_cast, reason = "not every system has numbers of this width")]
fn id_from(base: BorrowedFd<'_>, path: &Path) -> io::Result<Option<FileId>> {
    let found = stat_from(base, path)?;
    Ok(Some(FileId { device: found.st_dev as u64, number: found.st_ino as u64 }))
}

fn id_of(file: &fs::File) -> io::Result<Option<FileId>> {
    let found = file.metadata()?;
    Ok(Some(FileId { device: found.dev(), number: found.ino() }))
}

#[derive(Debug)]
struct RealFile(fs::File);

impl File for RealFile {
    fn read_at(&self, buf: &mut [u8], offset: u64, _site: Site) -> io::Result<usize> {
        loop {
            match self.0.read_at(buf, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                answer => return answer,
            }
        }
    }

    fn write_at(&self, bufs: &[IoSlice<'_>], offset: u64, _site: Site) -> io::Result<()> {
        write_all(bufs, offset, |bufs, offset| Ok(rustix::io::pwritev(&self.0, bufs, offset)?))
    }

    #[cfg(not(target_vendor = "apple"))]
    fn sync_data(&self, _site: Site) -> io::Result<()> {
        // One call, whatever it answers: after a failure the kernel has marked the bytes clean, and a second
        // call would say yes without having written them.
        Ok(rustix::fs::fdatasync(&self.0)?)
    }

    #[cfg(target_vendor = "apple")]
    fn sync_data(&self, _site: Site) -> io::Result<()> {
        // Here a plain fsync stops at the cache of the drive. Disks that cannot do more say so.
        match rustix::fs::fcntl_fullfsync(&self.0) {
            Err(Errno::NOTSUP | Errno::INVAL | Errno::NOTTY) => Ok(rustix::fs::fsync(&self.0)?),
            answer => Ok(answer?),
        }
    }

    fn set_len(&self, len: u64, _site: Site) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn allocate(&self, len: u64, site: Site) -> io::Result<()> {
        // The call of Apple's systems shrinks a longer file, so there it is for growing only.
        if len == 0 || (cfg!(target_vendor = "apple") && self.size()? >= len) {
            return Ok(());
        }
        match retry_on_intr(|| rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, len)) {
            Err(error) if !is_unknown(error) => Err(error.into()),
            // Growing the file would make a hole, which is no promise of disk; nor are bytes that can be compressed.
            Err(_) => {
                let mut at = self.size()?;
                let mut noise = vec![0; NOISE];
                while at < len {
                    let mut word = at | 1;
                    for bytes in noise.chunks_exact_mut(8) {
                        word ^= word << 13;
                        word ^= word >> 7;
                        word ^= word << 17;
                        bytes.copy_from_slice(&word.to_le_bytes());
                    }
                    let step = (len - at).min(NOISE as u64);
                    self.write_at(&[IoSlice::new(&noise[..step as usize])], at, site)?;
                    at += step;
                }
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn map(&self, _site: Site) -> io::Result<Map> {
        Ok(Map::Real(RealMap::new(&self.0)?))
    }

    /// Does nothing: the call for it cannot be had without unsafe code, and it is a hint.
    fn start_writeback(&self, _range: Range<u64>) {}

    fn id(&self) -> io::Result<Option<FileId>> {
        id_of(&self.0)
    }
}

/// Whether a file system does not know a call at all, as against failing at it.
fn is_unknown(error: Errno) -> bool {
    error == Errno::OPNOTSUPP || error == Errno::NOTSUP || error == Errno::NOSYS
}

/// Hands all of `bufs` to `write`, which may take fewer buffers and bytes than it is given.
fn write_all(
    mut bufs: &[IoSlice<'_>],
    mut offset: u64,
    mut write: impl FnMut(&[IoSlice<'_>], u64) -> io::Result<usize>,
) -> io::Result<()> {
    let mut skip = 0;
    loop {
        while bufs.first().is_some_and(|first| first.len() == skip) {
            bufs = &bufs[1..];
            skip = 0;
        }
        let Some(first) = bufs.first() else { return Ok(()) };
        let batch = &bufs[..bufs.len().min(MAX_BUFFERS)];
        // After a write that ended inside a buffer, the rest of that buffer goes alone.
        let rest = [IoSlice::new(&first[skip..])];
        let written = match write(if skip == 0 { batch } else { &rest }, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        offset += written as u64;
        skip += written;
        while let Some(first) = bufs.first()
            && skip >= first.len()
        {
            skip -= first.len();
            bufs = &bufs[1..];
        }
    }
}

#[derive(Debug)]
struct RealLock {
    file: fs::File,
    mode: LockMode,
    process: Process,
    _held: Held<(u64, u64)>,
}

impl Lock for RealLock {
    fn note(&self, bytes: &[u8], _site: Site) -> io::Result<()> {
        if self.mode != LockMode::Exclusive {
            return Err(not_writable());
        }
        write_all(&[IoSlice::new(bytes)], 0, |bufs, offset| {
            Ok(rustix::io::pwritev(&self.file, bufs, offset)?)
        })
    }

    fn id(&self) -> io::Result<Option<FileId>> {
        id_of(&self.file)
    }
}

impl Drop for RealLock {
    fn drop(&mut self) {
        // A forked process shares the lock, and would take it from the one that holds it.
        if self.process.is_here() {
            // Said aloud, because a child process that is just being started may still share the open file.
            let _ = self.file.unlock();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A device that takes at most `most` bytes a call and is interrupted every third time.
    fn written(bufs: &[&[u8]], most: usize) -> (Vec<u8>, usize) {
        let slices: Vec<IoSlice<'_>> = bufs.iter().map(|buf| IoSlice::new(buf)).collect();
        let (mut file, mut calls, mut largest) = (Vec::new(), 0, 0);
        write_all(&slices, 7, |bufs, offset| {
            calls += 1;
            if calls % 3 == 0 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            assert_eq!(offset, 7 + file.len() as u64);
            largest = largest.max(bufs.len());
            let bytes: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
            let taken = &bytes[..bytes.len().min(most)];
            file.extend_from_slice(taken);
            Ok(taken.len())
        })
        .unwrap();
        (file, largest)
    }

    #[test]
    fn short_and_interrupted_writes_are_carried_on() {
        let bufs: [&[u8]; 6] = [b"", b"one", b"", b"two", b"three", b""];
        for most in 1..12 {
            assert_eq!(written(&bufs, most).0, b"onetwothree", "at most {most} bytes a call");
        }
    }

    #[test]
    fn no_call_gets_more_buffers_than_a_system_takes() {
        let bufs: Vec<&[u8]> = vec![b"ab"; 3000];
        let (file, largest) = written(&bufs, usize::MAX);
        assert_eq!(file, b"ab".repeat(3000));
        assert_eq!(largest, MAX_BUFFERS);
    }

    #[test]
    fn children_do_not_inherit_open_files() {
        let dir = tempfile::tempdir().unwrap();
        let file = fs::File::options().create_new(true).read(true).write(true).open(dir.path().join("f"));
        let flags = rustix::io::fcntl_getfd(RealFile(file.unwrap()).0).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    }

    #[test]
    fn the_registry_refuses_what_a_system_without_real_locks_would_grant() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("LOCK");
        fs::write(&path, b"").unwrap();
        let metadata = fs::metadata(&path).unwrap();
        let held = locks().take((metadata.dev(), metadata.ino()), LockMode::Exclusive).unwrap();
        for mode in [LockMode::Exclusive, LockMode::Shared] {
            let refused = RealVfs::new().lock(&path, mode, Site::STORE_LOCK).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
        }
        drop(held);
        RealVfs::new().lock(&path, LockMode::Exclusive, Site::STORE_LOCK).unwrap();
    }

    #[test]
    fn a_device_that_takes_nothing_is_an_error() {
        let answer = write_all(&[IoSlice::new(b"x")], 0, |_, _| Ok(0));
        assert_eq!(answer.unwrap_err().kind(), io::ErrorKind::WriteZero);
    }
}
