//! Disk kept in reserve, so that a full disk can always be emptied: spent by deletes and maintenance only.
//!
//! It is kept in several files, and a part of it is spent by removing one: some file systems give nothing back for a part of
//! one. While a part of it is spent, nothing else is written: it would take the room that the next delete needs.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::env::{Env, OpenMode, Site};

/// What the files are called; all but the first of them with a point and a number behind it.
const RESERVE: &str = "RESERVE";
/// The fewest and the most files that a reserve is cut into, and how long each is between the two.
const PARTS: (u64, u64) = (4, 16);
const PART: u64 = 256 << 10;
const BLOCK: u64 = 4096;

/// Files that only take room.
#[derive(Debug)]
pub struct Reserve {
    dir: PathBuf,
    files: Mutex<Files>,
    /// How much is to be there, whatever happens.
    level: AtomicU64,
    held: AtomicU64,
    /// What the next checkpoint needs beyond its share.
    owed: AtomicU64,
    whole: AtomicBool,
    /// Whether deletes may spend what relocation would need, because there is nothing that it could give back.
    last_resort: AtomicBool,
    /// How many are writing into room that was spent for them.
    lent: AtomicU64,
    /// Whether a checkpoint takes its room from here.
    is_home: bool,
}

#[derive(Debug, Default)]
struct Files {
    /// The number of each file and the bytes that it takes.
    held: Vec<(u64, u64)>,
}

/// Who spends the reserve, and down to what. What deletes free comes back only by a checkpoint, and what that
/// cannot free only by relocation, so none of them can use up what the next one needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spender {
    /// A delete: a quarter of it.
    Delete,
    /// Relocation: all but the share of a checkpoint.
    Relocation,
    /// A checkpoint: all of it.
    Checkpoint,
}

/// While it lives, what was spent is not taken back by whoever finds room on the disk.
#[derive(Debug)]
pub struct Loan<'a>(&'a Reserve);

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        self.0.lent.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The number in the name of a file of the reserve; `None` for any other name.
pub fn parse_reserve(name: &str) -> Option<u64> {
    match name.strip_prefix(RESERVE)?.strip_prefix('.') {
        None => (name == RESERVE).then_some(0),
        Some(digits) => {
            let plain = !digits.is_empty() && digits.len() < 10 && digits.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| digits.parse().ok()).flatten().filter(|number| *number > 0)
        }
    }
}

impl Reserve {
    /// No reserve, for whoever does not write.
    pub fn none() -> Reserve {
        Reserve::with(PathBuf::new(), Vec::new(), 0, false)
    }

    /// The reserve in `dir` as it is found there, of which `level` bytes are to be kept. `is_home` says whether the index
    /// is on the same disk.
    pub fn find(env: &Env, dir: &Path, level: u64, is_home: bool) -> Reserve {
        let listed = env.vfs.list(dir, Site::STORE_LIST).unwrap_or_default();
        let numbers = listed.iter().filter(|listed| listed.is_file).filter_map(|l| parse_reserve(&l.name));
        let path = |number| path_of(dir, number);
        let held = numbers.map(|number| (number, env.vfs.allocated(&path(number)).unwrap_or(0))).collect();
        Reserve::with(dir.to_path_buf(), held, level, is_home)
    }

    fn with(dir: PathBuf, held: Vec<(u64, u64)>, level: u64, is_home: bool) -> Reserve {
        let bytes = held.iter().map(|(_, bytes)| bytes).sum();
        Reserve {
            dir,
            files: Mutex::new(Files { held }),
            level: level.into(),
            held: AtomicU64::new(bytes),
            owed: 0.into(),
            whole: (bytes >= level).into(),
            last_resort: false.into(),
            lent: 0.into(),
            is_home,
        }
    }

    /// Whether it is the one on the disk of the store itself.
    pub fn is_home(&self) -> bool {
        self.is_home
    }

    /// How much is to be kept.
    pub fn level(&self) -> u64 {
        self.level.load(Ordering::Acquire)
    }

    /// How much is there.
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Acquire)
    }

    /// The room that a checkpoint can count on: its share, and what was taken for it.
    pub fn share(&self) -> u64 {
        self.level() / 8 + self.held().saturating_sub(self.level())
    }

    /// Says how much the next checkpoint needs.
    pub fn set_owed(&self, bytes: u64) {
        self.owed.store(bytes.saturating_sub(self.level() / 8), Ordering::Release);
    }

    /// How much of it somebody can spend now.
    pub fn budget(&self, who: Spender) -> u64 {
        self.held().saturating_sub(self.floor(who))
    }

    fn floor(&self, who: Spender) -> u64 {
        let (level, owed) = (self.level(), self.owed.load(Ordering::Acquire));
        match who {
            Spender::Delete if self.last_resort.load(Ordering::Acquire) => level / 4,
            Spender::Delete => level / 4 * 3 + owed,
            Spender::Relocation if self.is_home => level / 4 + owed,
            Spender::Relocation | Spender::Checkpoint => 0,
        }
    }

    /// Frees the next part of the room. Says whether there was any to free.
    pub fn spend(&self, env: &Env, who: Spender) -> bool {
        let mut files = self.files.lock();
        let most = self.budget(who);
        // The smallest part will do: whoever needs more asks again.
        let part = files.held.iter().enumerate().filter(|(_, (_, bytes))| *bytes <= most);
        let Some((at, _)) = part.min_by_key(|(_, (_, bytes))| *bytes) else {
            return false;
        };
        self.whole.store(false, Ordering::Release);
        let (number, _) = files.held.swap_remove(at);
        let removed = env.vfs.remove(&path_of(&self.dir, number), Site::RESERVE).is_ok();
        self.count(&files);
        removed
    }

    /// Until the reserve is whole again, deletes may spend what relocation would need.
    pub fn set_last_resort(&self) {
        self.last_resort.store(true, Ordering::Release);
    }

    /// Lets nobody take back what is spent from now on, until the answer is dropped.
    pub fn lend(&self) -> Loan<'_> {
        self.lent.fetch_add(1, Ordering::AcqRel);
        Loan(self)
    }

    /// Whether anybody but those who spend the reserve may write. Takes back what was spent, if it can be had.
    pub fn admit(&self, env: &Env) -> io::Result<()> {
        if self.is_whole() { Ok(()) } else { self.refill(env) }
    }

    /// Takes the room again if it can be had. Its loss in a crash is harmless, so nothing is synced.
    pub fn refill(&self, env: &Env) -> io::Result<()> {
        if self.lent.load(Ordering::Acquire) > 0 {
            return if self.is_whole() { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) };
        }
        let taken = self.take_up_to(env, self.level());
        if taken.is_ok() {
            self.last_resort.store(false, Ordering::Release);
            self.whole.store(true, Ordering::Release);
        }
        taken
    }

    /// Keeps so much from now on, if it can be had; what was kept before, if not.
    pub fn raise(&self, env: &Env, level: u64) {
        if level > self.level() && self.is_whole() {
            match self.take_up_to(env, level) {
                Ok(()) => self.level.store(level, Ordering::Release),
                Err(_) => self.trim(env),
            }
        }
    }

    /// Keeps no more than this from now on.
    pub fn lower(&self, level: u64) {
        self.level.fetch_min(level, Ordering::AcqRel);
    }

    /// Takes room for a checkpoint that needs so many bytes.
    pub fn provide(&self, env: &Env, bytes: u64) -> io::Result<()> {
        // With no level there is no reserve.
        if bytes <= self.share() || self.level() == 0 {
            return Ok(());
        }
        if !self.is_whole() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        // A little more at once, so that it is not asked for again with every commit.
        let more = (bytes + bytes / 4 - self.level() / 8).next_multiple_of((self.level() / 4).max(BLOCK));
        self.take_up_to(env, self.level() + more).inspect_err(|_| self.trim(env))
    }

    /// Gives back what is beyond the level and no checkpoint needs.
    pub fn trim(&self, env: &Env) {
        let mut files = self.files.lock();
        let keep = self.level() + self.owed.load(Ordering::Acquire);
        loop {
            let most = self.held().saturating_sub(keep);
            let part = files.held.iter().enumerate().filter(|(_, (_, bytes))| *bytes > 0 && *bytes <= most);
            let Some((at, _)) = part.max_by_key(|(_, (_, bytes))| *bytes) else { return };
            let (number, _) = files.held.swap_remove(at);
            let _ = env.vfs.remove(&path_of(&self.dir, number), Site::RESERVE);
            self.count(&files);
        }
    }

    /// Removes all of it.
    pub fn give_up(&self, env: &Env) {
        self.level.store(0, Ordering::Release);
        self.owed.store(0, Ordering::Release);
        self.trim(env);
    }

    /// Whether all of the room is there.
    pub fn is_whole(&self) -> bool {
        self.whole.load(Ordering::Acquire)
    }

    /// Makes files until so much is there. What could be had stays even if not all could: it is less that is missing.
    fn take_up_to(&self, env: &Env, bytes: u64) -> io::Result<()> {
        let mut files = self.files.lock();
        // Files that take nothing are of no use, and in the way of those that do.
        let (empty, held): (Vec<_>, Vec<_>) = files.held.drain(..).partition(|(_, bytes)| *bytes == 0);
        files.held = held;
        for (number, _) in empty {
            let _ = env.vfs.remove(&path_of(&self.dir, number), Site::RESERVE);
        }
        let part = bytes / (bytes / PART).clamp(PARTS.0, PARTS.1);
        let part = part.next_multiple_of(BLOCK).max(BLOCK);
        while self.held() < bytes {
            let number = (0..).find(|number| files.held.iter().all(|(held, _)| held != number));
            let number = number.expect("there are more numbers than files");
            let path = path_of(&self.dir, number);
            let len = part.min((bytes - self.held()).next_multiple_of(BLOCK));
            let made = env
                .vfs
                .open(&path, OpenMode::CreateNew, Site::RESERVE)
                .and_then(|file| file.allocate(len, Site::RESERVE))
                .and_then(|()| env.vfs.allocated(&path));
            match made {
                Ok(taken) if taken >= len / 2 => files.held.push((number, taken.min(len))),
                Ok(_) => {
                    let _ = env.vfs.remove(&path, Site::RESERVE);
                    return Err(io::ErrorKind::Unsupported.into());
                }
                Err(error) => {
                    if error.kind() != io::ErrorKind::AlreadyExists {
                        let _ = env.vfs.remove(&path, Site::RESERVE);
                    }
                    return Err(error);
                }
            }
            self.count(&files);
        }
        Ok(())
    }

    fn count(&self, files: &Files) {
        self.held.store(files.held.iter().map(|(_, bytes)| bytes).sum(), Ordering::Release);
    }
}

/// Frees a part of the reserve of a store that is not open: where not even the opening has room. Says whether there was any.
pub fn spend_unopened(env: &Env, dir: &Path) -> bool {
    Reserve::find(env, dir, 0, true).spend(env, Spender::Checkpoint)
}

fn path_of(dir: &Path, number: u64) -> PathBuf {
    match number {
        0 => dir.join(RESERVE),
        number => dir.join(format!("{RESERVE}.{number}")),
    }
}
