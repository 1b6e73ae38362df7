//! The simulated disk as a file system: each call is counted, perhaps struck by a fault, else done.

use std::fmt;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::disk::{FaultyDisk, NameChange, State};
use super::node::{Effect, Node};
use super::plan::{Call, Fault};
use crate::env::blocks::{BLOCK, Blocks, end_of};
use crate::env::held_dir::HeldDir;
use crate::env::locks::Held;
use crate::env::memory::memory::{DIRS, id_of, listed, not_writable};
use crate::env::memory::tree::{Entry, plain};
use crate::env::site::Site;
use crate::env::vfs::{File, FileId, Listed, Lock, LockMode, Map, MemoryMap, OpenMode, Vfs, Volume};

/// The error of a device that failed, as the system reports it.
const EIO: i32 = 5;

impl Vfs for FaultyDisk {
    fn open(&self, path: &Path, mode: OpenMode, site: Site) -> io::Result<Arc<dyn File>> {
        let path = plain(path);
        let mut state = self.state.lock();
        let call = if mode == OpenMode::CreateNew { Call::Create } else { Call::Open };
        let fault = state.enter(call, site, name_of(&path), [mode as u64, 0], &[])?;
        let node = state.unless(fault, |state| match mode {
            OpenMode::Read | OpenMode::ReadWrite => state.live.file(&path),
            OpenMode::CreateNew => match state.live.entry(&path)? {
                Some(_) => Err(io::ErrorKind::AlreadyExists.into()),
                None => Ok(state.create(&path)),
            },
        })?;
        let writable = mode != OpenMode::Read;
        Ok(Arc::new(FaultyFile { disk: self.clone(), node, name: name_of(&path), writable }))
    }

    fn remove(&self, path: &Path, site: Site) -> io::Result<()> {
        let path = plain(path);
        let mut state = self.state.lock();
        let fault = state.enter(Call::Remove, site, name_of(&path), [0, 0], &[])?;
        state.unless(fault, |state| {
            let node = state.live.file(&path)?;
            node.below.lock().named = false;
            state.used -= node.live.read().allocated();
            state.rename(&path, None);
            Ok(())
        })
    }

    fn list(&self, dir: &Path, site: Site) -> io::Result<Vec<Listed>> {
        let dir = plain(dir);
        let mut state = self.state.lock();
        let fault = state.enter(Call::List, site, name_of(&dir), [0, 0], &[])?;
        state.unless(fault, |state| listed(&state.live, &dir, |node| node.live.read().len()))
    }

    fn create_dir(&self, dir: &Path, site: Site) -> io::Result<()> {
        let dir = plain(dir);
        let mut state = self.state.lock();
        let fault = state.enter(Call::CreateDir, site, name_of(&dir), [0, 0], &[])?;
        state.unless(fault, |state| {
            for dir in state.live.missing_dirs(&dir)? {
                state.rename(&dir, Some(Entry::Dir));
            }
            Ok(())
        })
    }

    fn remove_dir(&self, dir: &Path, site: Site) -> io::Result<()> {
        let dir = plain(dir);
        let mut state = self.state.lock();
        let fault = state.enter(Call::Remove, site, name_of(&dir), [0, 0], &[])?;
        state.unless(fault, |state| {
            state.live.empty_dir(&dir)?;
            state.rename(&dir, None);
            Ok(())
        })
    }

    fn sync_dir(&self, dir: &Path, site: Site) -> io::Result<()> {
        let dir = plain(dir);
        let mut state = self.state.lock();
        let fault = state.enter(Call::SyncDir, site, name_of(&dir), [0, 0], &[])?;
        match fault {
            Some(Fault::LyingSync) => Ok(()),
            // Nobody was told that it failed, so what comes after a kill may sync it yet.
            Some(fault @ Fault::PowerCut) => Err(state.refusal(fault)),
            Some(fault) => {
                for change in state.renames.get_mut(&*dir).into_iter().flatten() {
                    change.clean = true;
                }
                Err(state.refusal(fault))
            }
            None => {
                state.live.names(&dir)?;
                state.sync_names(&dir);
                Ok(())
            }
        }
    }

    fn lock(&self, path: &Path, mode: LockMode, site: Site) -> io::Result<Box<dyn Lock>> {
        let path = plain(path);
        let mut state = self.state.lock();
        let fault = state.enter(Call::Lock, site, name_of(&path), [mode as u64, 0], &[])?;
        let node = state.unless(fault, |state| {
            if mode == LockMode::Exclusive && state.live.entry(&path)?.is_none() {
                return Ok(state.create(&path));
            }
            state.live.file(&path)
        })?;
        let held = self.locks.take(Arc::as_ptr(&node) as usize, mode)?;
        Ok(Box::new(FaultyLock { _held: held, disk: self.clone(), node, name: name_of(&path), mode }))
    }

    fn allocated(&self, path: &Path) -> io::Result<u64> {
        let state = self.state.lock();
        state.powered()?;
        Ok(state.live.file(&plain(path))?.live.read().allocated())
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(plain(path).into_owned())
    }

    fn hold(&self, dir: &Path) -> io::Result<Option<Arc<dyn Vfs>>> {
        let state = self.state.lock();
        state.powered()?;
        let number = state.live.number(&plain(dir))?;
        let disk = self.state.clone();
        let path_of = move |number| disk.lock().live.path_of(number);
        Ok(Some(Arc::new(HeldDir::new(self.clone(), number, path_of))))
    }

    /// Looking takes no part in the plan of faults.
    fn id(&self, path: &Path) -> io::Result<Option<FileId>> {
        let (path, state) = (plain(path), self.state.lock());
        state.powered()?;
        Ok(Some(match state.live.entry(&path)? {
            Some(Entry::File(node)) => id_of(node),
            Some(Entry::Dir) => FileId { device: DIRS, number: state.live.number(&path)? },
            None => return Err(io::ErrorKind::NotFound.into()),
        }))
    }

    fn volume(&self, _dir: &Path) -> Volume {
        let state = self.state.lock();
        Volume { bytes: state.capacity, in_place: state.in_place }
    }
}

impl State {
    /// Counts a call and says which fault strikes it.
    fn enter(
        &mut self,
        call: Call,
        site: Site,
        name: u64,
        numbers: [u64; 2],
        bytes: &[u8],
    ) -> io::Result<Option<Fault>> {
        self.powered()?;
        self.plan.note([call as u64, name, numbers[0], numbers[1]], site, bytes);
        Ok(self.plan.strike(call, site))
    }

    fn powered(&self) -> io::Result<()> {
        if self.off { Err(dark()) } else { Ok(()) }
    }

    /// Does what is to be done in one step, or, under a fault, not; when the power goes it may be either.
    fn unless<T>(
        &mut self,
        fault: Option<Fault>,
        done: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> io::Result<T> {
        let Some(fault) = fault else { return done(self) };
        if fault == Fault::PowerCut && self.random.coin() {
            // Nobody is left to be told how it went.
            let _ = done(self);
        }
        Err(self.refusal(fault))
    }

    /// The error that a fault is reported as.
    fn refusal(&mut self, fault: Fault) -> io::Error {
        match fault {
            Fault::PowerCut => {
                self.off = true;
                dark()
            }
            Fault::Error(kind) | Fault::Sticky(kind) => kind.into(),
            _ => io::Error::from_raw_os_error(EIO),
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    fn create(&mut self, path: &Path) -> Arc<Node> {
        let node = Arc::new(Node::new(Blocks::default()));
        self.rename(path, Some(Entry::File(node.clone())));
        node
    }

    fn rename(&mut self, path: &Path, entry: Option<Entry<Arc<Node>>>) {
        let Some(dir) = path.parent() else { return };
        self.live.put(path, entry.clone());
        let change = NameChange { number: self.number(), path: path.to_owned(), entry, clean: false };
        match self.renames.get_mut(dir) {
            Some(changes) => changes.push(change),
            None => {
                self.renames.insert(dir.to_owned(), vec![change]);
            }
        }
    }

    fn sync_names(&mut self, dir: &Path) {
        let changes = self.renames.remove(dir).unwrap_or_default();
        for (path, change) in NameChange::last_of_each(changes.iter().filter(|change| !change.clean)) {
            self.durable.put(path, change.entry.clone());
        }
    }

    fn change(&mut self, node: &Node, effect: Effect) {
        let number = self.number();
        self.used = self.used.strict_add_signed(node.change(number, effect));
    }

    /// How many blocks are still free.
    fn free(&self) -> u64 {
        self.capacity.map_or(u64::MAX, |capacity| (capacity / BLOCK).saturating_sub(self.used / BLOCK))
    }

    fn write(&mut self, node: &Node, offset: u64, mut bytes: Bytes, site: Site) -> io::Result<()> {
        let len = bytes.len() as u64;
        let fits = match self.capacity {
            Some(_) if self.in_place => node.live.read().fitting(offset, len, self.free()),
            // What is written over is freed only behind the new.
            Some(_) => self.free().saturating_mul(BLOCK).saturating_sub(offset % BLOCK).min(len),
            None => len,
        };
        bytes.truncate(fits as usize);
        if !bytes.is_empty() {
            self.change(node, Effect::Write { offset, bytes });
        }
        self.full_unless(fits == len, site)
    }

    fn full_unless(&mut self, it_fits: bool, site: Site) -> io::Result<()> {
        if it_fits {
            return Ok(());
        }
        self.plan.hit(site, "storage-full");
        Err(io::ErrorKind::StorageFull.into())
    }

    /// The beginning of a write that does not reach its end.
    fn torn(&mut self, bytes: &Bytes) -> Bytes {
        match bytes.len() as u64 {
            0 => Bytes::new(),
            len => bytes.slice(..self.random.below(len) as usize),
        }
    }
}

struct FaultyFile {
    disk: FaultyDisk,
    node: Arc<Node>,
    name: u64,
    writable: bool,
}

impl FaultyFile {
    fn writable(&self) -> io::Result<()> {
        if self.writable { Ok(()) } else { Err(not_writable()) }
    }
}

impl File for FaultyFile {
    fn read_at(&self, buf: &mut [u8], offset: u64, site: Site) -> io::Result<usize> {
        let mut state = self.disk.state.lock();
        let fault = state.enter(Call::ReadAt, site, self.name, [offset, buf.len() as u64], &[])?;
        match fault {
            None => {
                drop(state);
                Ok(self.node.live.read().read(buf, offset))
            }
            Some(Fault::FlipBit) => {
                let n = self.node.live.read().read(buf, offset);
                if n > 0 {
                    buf[state.random.below(n as u64) as usize] ^= 1 << state.random.below(8);
                }
                Ok(n)
            }
            Some(fault) => Err(state.refusal(fault)),
        }
    }

    fn write_at(&self, bufs: &[IoSlice<'_>], offset: u64, site: Site) -> io::Result<()> {
        self.writable()?;
        let bytes = joined(bufs);
        end_of(offset, bytes.len() as u64)?;
        let mut state = self.disk.state.lock();
        let numbers = [offset, bytes.len() as u64];
        match state.enter(Call::WriteAt, site, self.name, numbers, &bytes)? {
            None => state.write(&self.node, offset, bytes, site),
            Some(Fault::LostWrite) => Ok(()),
            Some(Fault::FlipBit) => {
                let mut flipped = BytesMut::from(bytes);
                if !flipped.is_empty() {
                    let at = state.random.below(flipped.len() as u64) as usize;
                    flipped[at] ^= 1 << state.random.below(8);
                }
                state.write(&self.node, offset, flipped.freeze(), site)
            }
            Some(fault @ (Fault::TornWrite | Fault::PowerCut)) => {
                let part = state.torn(&bytes);
                // Whether even that part fits does not change the answer.
                let _ = state.write(&self.node, offset, part, site);
                Err(state.refusal(fault))
            }
            Some(fault) => Err(state.refusal(fault)),
        }
    }

    fn sync_data(&self, site: Site) -> io::Result<()> {
        let mut state = self.disk.state.lock();
        match state.enter(Call::SyncData, site, self.name, [0, 0], &[])? {
            None => {
                self.node.sync();
                Ok(())
            }
            Some(Fault::LyingSync) => Ok(()),
            Some(fault @ Fault::PowerCut) => Err(state.refusal(fault)),
            Some(fault) => {
                self.node.fail_sync();
                Err(state.refusal(fault))
            }
        }
    }

    fn set_len(&self, len: u64, site: Site) -> io::Result<()> {
        self.writable()?;
        end_of(0, len)?;
        let mut state = self.disk.state.lock();
        let fault = state.enter(Call::SetLen, site, self.name, [len, 0], &[])?;
        state.unless(fault, |state| {
            state.change(&self.node, Effect::SetLen(len));
            Ok(())
        })
    }

    fn allocate(&self, len: u64, site: Site) -> io::Result<()> {
        self.writable()?;
        end_of(0, len)?;
        let mut state = self.disk.state.lock();
        let fault = state.enter(Call::Allocate, site, self.name, [len, 0], &[])?;
        state.unless(fault, |state| {
            let fits = match state.capacity {
                Some(_) => self.node.live.read().allocatable(len, state.free()),
                None => len,
            };
            state.change(&self.node, Effect::Allocate(fits));
            state.full_unless(fits == len, site)
        })
    }

    fn size(&self) -> io::Result<u64> {
        self.disk.state.lock().powered()?;
        Ok(self.node.live.read().len())
    }

    fn map(&self, site: Site) -> io::Result<Map> {
        let mut state = self.disk.state.lock();
        let fault = state.enter(Call::Map, site, self.name, [0, 0], &[])?;
        let len = self.node.live.read().len();
        let flip = match fault {
            None => None,
            Some(Fault::FlipBit) if len == 0 => None,
            Some(Fault::FlipBit) => Some((state.random.below(len), 1 << state.random.below(8))),
            Some(fault) => return Err(state.refusal(fault)),
        };
        Ok(Map::Memory(MemoryMap::new(&self.node.live, flip)))
    }

    fn start_writeback(&self, _range: Range<u64>) {}

    fn id(&self) -> io::Result<Option<FileId>> {
        Ok(Some(id_of(&self.node)))
    }
}

impl fmt::Debug for FaultyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyFile").field("len", &self.node.live.read().len()).finish_non_exhaustive()
    }
}

/// The file is held so that its address, which names the lock, is not given to another one meanwhile.
struct FaultyLock {
    _held: Held<usize>,
    disk: FaultyDisk,
    node: Arc<Node>,
    name: u64,
    mode: LockMode,
}

impl Lock for FaultyLock {
    /// A note is seen at once and never becomes durable; a change of a file of this kind takes part in no torn write.
    fn note(&self, bytes: &[u8], site: Site) -> io::Result<()> {
        if self.mode != LockMode::Exclusive {
            return Err(not_writable());
        }
        let mut state = self.disk.state.lock();
        let fault = state.enter(Call::Lock, site, self.name, [0, bytes.len() as u64], bytes)?;
        state.unless(fault, |state| {
            let fits = match state.capacity {
                Some(_) if state.in_place => {
                    self.node.live.read().fitting(0, bytes.len() as u64, state.free())
                }
                Some(_) if state.free() == 0 => 0,
                _ => bytes.len() as u64,
            };
            state.full_unless(fits == bytes.len() as u64, site)?;
            let taken = self.node.note(bytes);
            state.used = state.used.strict_add_signed(taken);
            Ok(())
        })
    }

    fn id(&self) -> io::Result<Option<FileId>> {
        Ok(Some(id_of(&self.node)))
    }
}

impl fmt::Debug for FaultyLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyLock")
    }
}

/// The bytes of a vectored write in one piece.
fn joined(bufs: &[IoSlice<'_>]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(bufs.iter().map(|buf| buf.len()).sum());
    for buf in bufs {
        bytes.extend_from_slice(buf);
    }
    bytes.freeze()
}

/// A path as a number, for the hash of all calls.
fn name_of(path: &Path) -> u64 {
    u64::from(crc32fast::hash(path.as_os_str().as_encoded_bytes()))
}

fn dark() -> io::Error {
    io::Error::other("the power is off")
}
