//! Where exported files land: directories held open, never a path, so that no link can lead a write astray.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;

use crate::adapters::cli::report::Trouble;

/// How the temporary names of unfinished files begin.
pub const UNFINISHED: &str = ".ossicle-part-";

/// A directory, held open.
#[derive(Debug)]
pub struct Directory(OwnedFd);

/// What lies under a name.
#[derive(Debug, PartialEq, Eq)]
pub enum Existing {
    Nothing,
    File { size: u64, mtime: i128, mode: u32 },
    Link(Vec<u8>),
    Directory,
    Other,
}

impl Directory {
    /// Opens a directory by its path. Links in the path are followed: it is the user's own choice.
    pub fn open(path: &Path) -> io::Result<Directory> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Directory(rustix::fs::openat(CWD, path, flags, Mode::empty())?))
    }

    /// The directory `name` in this one, made with a mode if it is missing and one is given. A link is not followed.
    pub fn enter(&self, name: &str, make: Option<u32>) -> Result<Option<Directory>, Trouble> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        loop {
            match rustix::fs::openat(&self.0, name, flags, Mode::empty()) {
                Ok(directory) => return Ok(Some(Directory(directory))),
                Err(Errno::NOENT) => {
                    let Some(mode) = make else { return Ok(None) };
                    match rustix::fs::mkdirat(&self.0, name, Mode::from_raw_mode(mode)) {
                        // Another job may have been quicker.
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(error) => return Err(io::Error::from(error).into()),
                    }
                }
                Err(Errno::LOOP | Errno::NOTDIR) => return Err(self.in_the_way(name)),
                Err(error) => return Err(io::Error::from(error).into()),
            }
        }
    }

    fn in_the_way(&self, name: &str) -> Trouble {
        let what = match self.look(OsStr::new(name)) {
            Ok(Existing::Link(_)) => "a symbolic link, and nothing is written through links",
            _ => "no directory",
        };
        Trouble::File(format!("{name:?} on its way is {what}"))
    }

    /// What lies under a name. A link is not followed.
    pub fn look(&self, name: &OsStr) -> io::Result<Existing> {
        let stat = match rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(Existing::Nothing),
            stat => stat?,
        };
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Existing::File {
                size: u64::try_from(stat.st_size).unwrap_or(0),
                mtime: stat.st_mtime as i128 * 1_000_000_000 + stat.st_mtime_nsec as i128,
                mode: Mode::from_raw_mode(stat.st_mode).as_raw_mode() & 0o7777,
            },
            FileType::Symlink => {
                Existing::Link(rustix::fs::readlinkat(&self.0, name, Vec::new())?.into_bytes())
            }
            FileType::Directory => Existing::Directory,
            _ => Existing::Other,
        })
    }

    /// Opens a file for reading. A link is not followed, a fifo not waited for.
    pub fn read(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.0, name, flags, Mode::empty())?.into())
    }

    /// Writes a file under a temporary name and gives it `name` when it is whole, replacing what was there.
    /// With a mode it gets that, without one what the process's mask leaves.
    pub fn land(
        &self,
        name: &OsStr,
        mode: Option<u32>,
        write: impl FnOnce(&mut File) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        let unfinished = unfinished(name);
        self.remove(&unfinished)?;
        // Never wider than it is to be, not even for a moment.
        let first = Mode::from_raw_mode(mode.map_or(0o666, |mode| (mode & 0o777) | 0o600));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&self.0, &unfinished, flags, first).map_err(io::Error::from)?;
        let mut file = File::from(opened);
        let written = write(&mut file).and_then(|()| {
            if let Some(mode) = mode {
                rustix::fs::fchmod(&file, Mode::from_raw_mode(mode & 0o777)).map_err(io::Error::from)?;
            }
            self.name(&unfinished, name)
        });
        written.inspect_err(|_| drop(self.remove(&unfinished)))
    }

    /// Makes a symbolic link, replacing what was there.
    pub fn link(&self, name: &OsStr, target: &[u8], mtime: i128) -> Result<(), Trouble> {
        let unfinished = unfinished(name);
        self.remove(&unfinished)?;
        rustix::fs::symlinkat(target, &self.0, &unfinished).map_err(io::Error::from)?;
        let timed = rustix::fs::utimensat(&self.0, &unfinished, &times(mtime), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(io::Error::from);
        let named = timed.map_err(Trouble::from).and_then(|()| self.name(&unfinished, name));
        named.inspect_err(|_| drop(self.remove(&unfinished)))
    }

    /// Gives a file its time and, if one is known, its mode, where it lies.
    pub fn touch(&self, name: &OsStr, mode: Option<u32>, mtime: i128) -> io::Result<()> {
        if let Some(mode) = mode {
            rustix::fs::fchmod(self.read(name)?, Mode::from_raw_mode(mode & 0o777))?;
        }
        Ok(rustix::fs::utimensat(&self.0, name, &times(mtime), AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Gives this directory its time and, if one is known, its mode.
    pub fn settle(&self, mode: Option<u32>, mtime: i128) -> io::Result<()> {
        if let Some(mode) = mode {
            rustix::fs::fchmod(&self.0, Mode::from_raw_mode(mode & 0o777))?;
        }
        Ok(rustix::fs::futimens(&self.0, &times(mtime))?)
    }

    /// Gives this directory its mode.
    pub fn set_mode(&self, mode: u32) -> io::Result<()> {
        Ok(rustix::fs::fchmod(&self.0, Mode::from_raw_mode(mode & 0o777))?)
    }

    fn name(&self, unfinished: &str, name: &OsStr) -> Result<(), Trouble> {
        rustix::fs::renameat(&self.0, unfinished, &self.0, name).map_err(io::Error::from)?;
        Ok(())
    }

    /// Removes what an earlier run that was killed may have left.
    fn remove(&self, unfinished: &str) -> Result<(), Trouble> {
        match rustix::fs::unlinkat(&self.0, unfinished, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(io::Error::from(error).into()),
        }
    }
}

/// The temporary name of a file: always the same one, so that a later run finds it and cleans it up.
fn unfinished(name: &OsStr) -> String {
    let hash = blake3::hash(name.as_bytes());
    format!("{UNFINISHED}{}", &hash.to_hex()[..16])
}

/// Gives an opened file its time.
pub fn set_time(file: &File, mtime: i128) -> io::Result<()> {
    Ok(rustix::fs::futimens(file, &times(mtime))?)
}

fn times(mtime: i128) -> Timestamps {
    let seconds = i64::try_from(mtime.div_euclid(1_000_000_000)).unwrap_or(0);
    let nanoseconds = mtime.rem_euclid(1_000_000_000) as i64;
    let at = Timespec { tv_sec: seconds, tv_nsec: nanoseconds as _ };
    Timestamps { last_access: at, last_modification: at }
}
