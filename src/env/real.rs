//! The file system of the operating system.
// This is the one place where files are really touched.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fs::{self, TryLockError};
use std::io::{self, IoSlice};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, LazyLock};

use rustix::fs::{FallocateFlags, Gid, Uid};
use rustix::io::{Errno, retry_on_intr};

use super::locks::{Held, Locks};
use super::memory::not_writable;
use super::mmap::RealMap;
use super::{File, Listed, Lock, LockMode, Map, OpenMode, Permissions, Site, Vfs};

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
}

/// The locks that this process holds, by device and inode: some file systems grant a process its own lock
/// a second time, and none of them sees through every kind of alias.
static LOCKS: LazyLock<Arc<Locks<(u64, u64)>>> = LazyLock::new(Locks::new);

/// The most buffers that one system call takes everywhere.
const MAX_BUFFERS: usize = 1024;

impl Vfs for RealVfs {
    fn open(&self, path: &Path, mode: OpenMode, _site: Site) -> io::Result<Arc<dyn File>> {
        let file = fs::File::options()
            .read(true)
            .write(mode != OpenMode::Read)
            .create_new(mode == OpenMode::CreateNew)
            .mode(self.permissions.file_mode())
            .open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if mode == OpenMode::CreateNew {
            self.hand_over(&file, &metadata);
        }
        Ok(Arc::new(RealFile(file)))
    }

    fn remove(&self, path: &Path, _site: Site) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn list(&self, dir: &Path, _site: Site) -> io::Result<Vec<Listed>> {
        let mut listed = Vec::new();
        for entry in fs::read_dir(named(dir))? {
            let entry = entry?;
            let metadata = match entry.metadata() {
                // Someone removed it since the directory was read.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                metadata => metadata?,
            };
            let is_file = metadata.is_file();
            listed.push(Listed {
                name: entry.file_name().to_string_lossy().into_owned(),
                is_file,
                len: if is_file { metadata.len() } else { 0 },
            });
        }
        Ok(listed)
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
        match fs::DirBuilder::new().mode(self.permissions.dir_mode()).create(dir) {
            // Somebody else was quicker.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => return Ok(()),
            made => made?,
        }
        if self.owner.is_some() {
            let opened = fs::File::open(dir)?;
            self.hand_over(&opened, &opened.metadata()?);
        }
        Ok(())
    }

    fn remove_dir(&self, dir: &Path, _site: Site) -> io::Result<()> {
        fs::remove_dir(dir)
    }

    fn sync_dir(&self, dir: &Path, _site: Site) -> io::Result<()> {
        let opened = fs::File::open(named(dir))?;
        if !opened.metadata()?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        match rustix::fs::fsync(&opened) {
            // Some network file systems do not know how to sync a directory; they keep names safe themselves.
            Err(Errno::INVAL) => Ok(()),
            answer => Ok(answer?),
        }
    }

    fn lock(&self, path: &Path, mode: LockMode, _site: Site) -> io::Result<Box<dyn Lock>> {
        let mut options = fs::File::options();
        options.read(true);
        if mode == LockMode::Exclusive {
            options.write(true).create(true).truncate(false).mode(self.permissions.file_mode());
        }
        let file = options.open(path)?;
        let metadata = file.metadata()?;
        // An empty one was just made, or handed over to nobody yet.
        if mode == LockMode::Exclusive && metadata.len() == 0 {
            self.hand_over(&file, &metadata);
        }
        let held = LOCKS.take((metadata.dev(), metadata.ino()), mode)?;
        let locked = match mode {
            LockMode::Exclusive => file.try_lock(),
            LockMode::Shared => file.try_lock_shared(),
        };
        match locked {
            Ok(()) => Ok(Box::new(RealLock { file, mode, _held: held })),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
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
}

/// The current directory has an empty name as the parent of a relative path, which the system does not know.
fn named(dir: &Path) -> &Path {
    if dir.as_os_str().is_empty() { Path::new(".") } else { dir }
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

    fn allocate(&self, len: u64, _site: Site) -> io::Result<()> {
        // The call of Apple's systems shrinks a longer file, so there it is for growing only.
        if len == 0 || (cfg!(target_vendor = "apple") && self.size()? >= len) {
            return Ok(());
        }
        match retry_on_intr(|| rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, len)) {
            Err(error) if !is_unknown(error) => Err(error.into()),
            Err(_) if self.size()? < len => self.0.set_len(len),
            _ => Ok(()),
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
    _held: Held<(u64, u64)>,
}

impl Lock for RealLock {
    fn note(&self, bytes: &[u8], _site: Site) -> io::Result<()> {
        if self.mode == LockMode::Shared {
            return Err(not_writable());
        }
        write_all(&[IoSlice::new(bytes)], 0, |bufs, offset| {
            Ok(rustix::io::pwritev(&self.file, bufs, offset)?)
        })
    }
}

impl Drop for RealLock {
    fn drop(&mut self) {
        // Said aloud, because a child process that is just being started may still share the open file.
        let _ = self.file.unlock();
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
        let held = LOCKS.take((metadata.dev(), metadata.ino()), LockMode::Exclusive).unwrap();
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
