//! Backup and restore: a store at one moment, written into another directory, of which only what is new is copied.
//!
//! 1. The source makes a checkpoint and lends what belongs together: its superblock, the tree (whose pages stay while a
//!    clone lives) and the segments (whose files stay while somebody holds them). Writers go on at once.
//! 2. Segments are copied to the names that they have. Nothing in them ever changes, so what is there already is
//!    right, and writing more of it disturbs nobody: a backup's log ends where its superblock says, and its tree
//!    names no byte that was not there. A segment counts as complete when it is longer than what it must hold, and
//!    it gets that length only once its bytes are durable.
//! 3. The tree goes into the index file that the target's superblock does not name.
//! 4. One slot of the superblock makes all of it count at once. Only then is removed what it does not name.
//!
//! So a crash, a full disk or a stop anywhere leaves the backup before or the new one, and the next one goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::open::{INDEX_FILES, LOCK, SUPERBLOCK, name_durably, refuse_foreign, take_lock};
use super::superblock::{Found, SuperblockFile};
use super::view::View;
use super::{Engine, OpenOptions, Settings};
use crate::env::{Env, File, Lock, OpenMode, Site};
use crate::error::{Error, ErrorKind, Result};
use crate::format::frame::ALIGN;
use crate::format::segment_header::{HEADER_LEN, SegmentHeader, SegmentKind};
use crate::format::superblock::{Checkpoint, Superblock};
use crate::index::{self, Index, PageFile, Tree, copy_into};
use crate::model::Lsn;
use crate::segment::{
    Identity, Segment, SegmentMaker, Table, TableCell, bulk_dir, file_name, log_dir, parse_file_name,
};

/// How much is read at once.
const WINDOW: usize = 1 << 20;
/// The unit in which differences and holes are looked for.
const BLOCK: usize = 4096;

/// What a backup has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupReport {
    /// The last commit in the backup: it is the store as it was behind this commit and before the next.
    pub lsn: Lsn,
    /// Segments of which something was written.
    pub files_copied: u64,
    /// Bytes written, those of the index included.
    pub bytes_copied: u64,
    /// Segments that were there already.
    pub files_kept: u64,
    /// Bytes that were there already.
    pub bytes_kept: u64,
    /// Segments that were removed because the new state does not name them.
    pub files_removed: u64,
    /// Whether the watcher stopped it. The backup before it is as it was.
    pub stopped: bool,
}

/// How far a backup or a restore has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupProgress {
    /// Segments dealt with so far.
    pub files: u64,
    /// Segments there are.
    pub files_total: u64,
    /// Bytes written so far.
    pub bytes_copied: u64,
    /// Bytes that were there already.
    pub bytes_kept: u64,
}

/// What a restore has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestoreReport {
    /// The last commit in the store.
    pub lsn: Lsn,
    /// Segments that were copied.
    pub files: u64,
    /// Bytes written, those of the index included.
    pub bytes: u64,
    /// Entries whose bodies were read and verified in the copy.
    pub entries: u64,
    /// Whether the watcher stopped it. What was written by then is no store.
    pub stopped: bool,
}

/// Hears how far it is and says whether to go on.
pub type Watch<'a> = dyn FnMut(BackupProgress) -> bool + 'a;

/// A store at one moment, with everything that it takes to write it down elsewhere.
struct Source {
    block: Superblock,
    checkpoint: Checkpoint,
    tree: Tree,
    pieces: Vec<Piece>,
    next_segment: u64,
}

/// A segment, and how much of it belongs to the moment.
struct Piece {
    segment: Arc<Segment>,
    end: u64,
}

/// A directory that is being written, locked.
struct Target<'e> {
    env: &'e Env,
    dir: PathBuf,
    superblock: SuperblockFile,
    _lock: Box<dyn Lock>,
}

/// What was done so far, and who watches.
struct Pace<'w> {
    watch: &'w mut Watch<'w>,
    now: BackupProgress,
    files_copied: u64,
    files_kept: u64,
    stopped: bool,
}

impl Pace<'_> {
    fn go_on(&mut self) -> Result<()> {
        self.stopped |= !(self.watch)(self.now);
        if self.stopped {
            Err(Error::new(ErrorKind::Busy, "Stopped", "the watcher stopped it"))
        } else {
            Ok(())
        }
    }
}

impl Engine {
    /// Writes the store as it is now into the directory `dir`, where an earlier backup of it may be, while writers and
    /// readers go on.
    pub fn backup(&self, dir: &Path, watch: &mut Watch<'_>) -> Result<BackupReport> {
        self.refuse_inside_turn()?;
        self.check_writable()?;
        if dir == self.dir {
            return Err(Error::invalid("InvalidArgument", "a store cannot be backed up into itself"));
        }
        // Before the checkpoint, so that a target that will not do costs nothing.
        let target = Target::open(&self.env, dir, &self.superblock.newest())?;
        let source = self.moment()?;
        target.refuse_other_branch(&source)?;
        let mut watch = |progress| watch(progress);
        let mut pace = Pace::new(&mut watch, &source);
        let written = target.take(&source, &mut pace);
        let mut report = BackupReport {
            lsn: Lsn(source.checkpoint.lsn),
            files_copied: pace.files_copied,
            bytes_copied: pace.now.bytes_copied,
            files_kept: pace.files_kept,
            bytes_kept: pace.now.bytes_kept,
            files_removed: 0,
            stopped: pace.stopped,
        };
        match written {
            Err(_) if pace.stopped => return Ok(report),
            Err(error) => return Err(error),
            Ok(Copied { checkpoint, index_file, .. }) => {
                target.name(&source, checkpoint, index_file, true)?;
                report.files_removed = target.remove_unnamed(&source)?;
            }
        }
        Ok(report)
    }

    /// Makes a checkpoint and takes hold of what it names.
    fn moment(&self) -> Result<Source> {
        let mut state = self.checkpointing.lock();
        self.check_writable()?;
        self.checkpoint_with(&mut state)?;
        self.lend()
    }

    /// What the newest checkpoint names. With the lock of checkpoints held, or in a store that nobody writes.
    fn lend(&self) -> Result<Source> {
        let block = self.superblock.newest();
        let none = || Error::new(ErrorKind::Invalid, "InvalidArgument", "the store has no checkpoint");
        let checkpoint = block.checkpoint.ok_or_else(none)?;
        let tree = self.pin().index.tree.clone();
        let mut pieces = Vec::new();
        for segment in self.tables.current().iter() {
            // Asked before the size: to a segment that is closed nothing is added.
            let finished = self.pool.finished_end(segment.id());
            let size = segment.file().size().map_err(|e| segment.failed("reading", e))?;
            // Behind what a backup holds of a segment stands what says that it is complete.
            let size = if block.backup { size - size.min(ALIGN) } else { size };
            let end = match segment.header.kind {
                SegmentKind::Log if segment.id() > checkpoint.replay.segment => continue,
                SegmentKind::Log if segment.id() == checkpoint.replay.segment => checkpoint.replay.offset,
                _ => finished.unwrap_or(size),
            };
            if size < end {
                return Err(segment.corrupt(size, "the segment ends before its records do"));
            }
            pieces.push(Piece { segment: segment.clone(), end });
        }
        Ok(Source { block, checkpoint, tree, pieces, next_segment: self.maker.next_id() })
    }

    /// Writes the backup in `from` into the fresh directory `to` and reads all of it there; `check` looks at each entry.
    pub fn restore(
        env: &Env,
        from: &Path,
        to: &Path,
        check: &mut super::verify::Check<'_>,
        watch: &mut Watch<'_>,
    ) -> Result<RestoreReport> {
        refuse_filled(env, to)?;
        let options = OpenOptions {
            dir: from.to_path_buf(),
            env: env.clone(),
            settings: Settings::default(),
            read_only: true,
            create: false,
            rebuild_index: false,
        };
        let engine = Engine::open(options)?;
        let source = engine.lend()?;
        let view = engine.pin();
        if view.lsn != source.checkpoint.lsn || !view.index.active.is_empty() || !source.block.clean {
            let why =
                "it is no finished backup: its index is lost or behind its log; open it, or use salvage";
            return Err(Error::invalid("InvalidArgument", format!("{}: {why}", from.display())));
        }
        let target = Target::open(env, to, &source.block)?;
        let mut watch = |progress| watch(progress);
        let mut pace = Pace::new(&mut watch, &source);
        let mut report = RestoreReport { lsn: Lsn(source.checkpoint.lsn), ..RestoreReport::default() };
        let done = target.take(&source, &mut pace).and_then(|copied| {
            report.entries = target.read_back(&source, &copied, check, &mut pace)?;
            target.name(&source, copied.checkpoint, copied.index_file, false)
        });
        report.files = pace.files_copied;
        report.bytes = pace.now.bytes_copied;
        report.stopped = pace.stopped;
        match done {
            Err(_) if report.stopped => Ok(report),
            Err(error) => Err(error),
            Ok(()) => Ok(report),
        }
    }
}

/// A directory that something is to be written to must be missing or empty.
pub(super) fn refuse_filled(env: &Env, dir: &Path) -> Result<()> {
    match env.vfs.list(dir, Site::STORE_LIST) {
        Ok(names) => match names.iter().find(|listed| listed.name != LOCK) {
            None => Ok(()),
            Some(other) => Err(Error::new(
                ErrorKind::AlreadyExists,
                "InvalidArgument",
                format!("{} is not empty, it holds {:?}; choose a new directory", dir.display(), other.name),
            )),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io(format!("listing {}", dir.display()), error)),
    }
}

/// The tree as it stands in the target.
struct Copied {
    tree: Tree,
    checkpoint: Checkpoint,
    index_file: u8,
}

impl<'w> Pace<'w> {
    fn new(watch: &'w mut Watch<'w>, source: &Source) -> Pace<'w> {
        let now = BackupProgress { files_total: source.pieces.len() as u64, ..BackupProgress::default() };
        Pace { watch, now, files_copied: 0, files_kept: 0, stopped: false }
    }
}

impl<'e> Target<'e> {
    /// Makes the directory ready to take a state of the store that `source` belongs to, and locks it.
    fn open(env: &'e Env, dir: &Path, source: &Superblock) -> Result<Target<'e>> {
        let failed = |doing: &str, error| Error::io(format!("{doing} {}", dir.display()), error);
        env.vfs.create_dir(dir, Site::STORE_DIR).map_err(|e| failed("making", e))?;
        let listed = env.vfs.list(dir, Site::STORE_LIST).map_err(|e| failed("listing", e))?;
        let names: Vec<String> = listed.into_iter().map(|listed| listed.name).collect();
        let path = dir.join(SUPERBLOCK);
        let exists = names.iter().any(|name| name == SUPERBLOCK);
        if !exists {
            refuse_foreign(env, dir, &names, true)?;
        }
        let lock = take_lock(env, dir, false)?;
        let found = if exists { Some(SuperblockFile::open(env, &path, OpenMode::ReadWrite)?) } else { None };
        let superblock = match found {
            Some((file, Found::Store(block))) => {
                if block.store_id != source.store_id {
                    return Err(not_a_target(dir, "it belongs to another store"));
                }
                if !block.backup {
                    return Err(not_a_target(dir, "it is a store of its own, or was written to since"));
                }
                SuperblockFile::new(file, &path, *block)
            }
            Some((_, Found::Unsound(error)))
                if names.iter().any(|name| INDEX_FILES.contains(&name.as_str())) =>
            {
                return Err(error);
            }
            blank => {
                refuse_foreign(env, dir, &names, true)?;
                if blank.is_some() {
                    env.vfs.remove(&path, Site::STORE_DIR).map_err(|e| failed("clearing", e))?;
                }
                Target::begin(env, dir, source)?
            }
        };
        // Said once more: should its last sync have failed, the system only seems to have it.
        superblock.update(env, |block| block.backup = true)?;
        Ok(Target { env, dir: dir.to_path_buf(), superblock, _lock: lock })
    }

    /// The first superblock: it says whose backup it will be, and that it is not finished.
    fn begin(env: &Env, dir: &Path, source: &Superblock) -> Result<SuperblockFile> {
        let failed = |path: &Path, error| Error::io(format!("making {}", path.display()), error);
        for sub in [log_dir(dir), bulk_dir(dir, 0)] {
            env.vfs.create_dir(&sub, Site::STORE_DIR).map_err(|e| failed(&sub, e))?;
        }
        let bulk = dir.join("bulk");
        env.vfs.sync_dir(&bulk, Site::STORE_DIR).map_err(|e| failed(&bulk, e))?;
        name_durably(env, dir)?;
        let block = Superblock {
            generation: 1,
            checkpoint: None,
            index_file: 1,
            next_segment: 1,
            log_known: 0,
            run: 0,
            clean: false,
            backup: true,
            ..source.clone()
        };
        let superblock = SuperblockFile::create(env, &dir.join(SUPERBLOCK), block)?;
        if let Err(error) = env.vfs.sync_dir(dir, Site::STORE_DIR) {
            let _ = env.vfs.remove(&dir.join(SUPERBLOCK), Site::STORE_DIR);
            return Err(failed(dir, error));
        }
        Ok(superblock)
    }

    /// Two stores that were one once may have made different segments of the same name since, and a newer state must
    /// not be lost to an older one.
    fn refuse_other_branch(&self, source: &Source) -> Result<()> {
        let has = self.superblock.newest().checkpoint.map_or(0, |checkpoint| checkpoint.lsn);
        if has > source.checkpoint.lsn {
            let why = format!("it holds commit {has}, the store only {}", source.checkpoint.lsn);
            return Err(not_a_target(&self.dir, &why));
        }
        if self.superblock.newest().next_segment > source.next_segment {
            return Err(not_a_target(&self.dir, "another copy of the store was backed up into it"));
        }
        for piece in &source.pieces {
            let path = self.path_of(&piece.segment);
            if let Some((_, Some(header))) = self.find(&path, OpenMode::Read)?
                && header != piece.segment.header
            {
                let why = format!("its segment {} was made by another copy of the store", path.display());
                return Err(not_a_target(&self.dir, &why));
            }
        }
        Ok(())
    }

    fn path_of(&self, segment: &Segment) -> PathBuf {
        let dir = match segment.header.kind {
            SegmentKind::Log => log_dir(&self.dir),
            SegmentKind::Bulk => bulk_dir(&self.dir, segment.header.tier),
        };
        dir.join(file_name(segment.id()))
    }

    /// A segment file of the target, and its header if that is sound.
    fn find(&self, path: &Path, mode: OpenMode) -> Result<Option<(Arc<dyn File>, Option<SegmentHeader>)>> {
        let failed = |error| Error::io(format!("reading {}", path.display()), error);
        let file = match self.env.vfs.open(path, mode, Site::SEGMENT_OPEN) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let mut bytes = [0; HEADER_LEN];
        match file.read_exact_at(&mut bytes, 0, Site::SEGMENT_READ) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(Some((file, None))),
            Err(error) => return Err(failed(error)),
        }
        Ok(Some((file, SegmentHeader::decode(&bytes).ok())))
    }

    /// Copies segments and tree. Nothing of it counts yet.
    fn take(&self, source: &Source, pace: &mut Pace<'_>) -> Result<Copied> {
        let mut dirs = BTreeSet::from([log_dir(&self.dir), bulk_dir(&self.dir, 0)]);
        for piece in &source.pieces {
            let path = self.path_of(&piece.segment);
            let dir = path.parent().unwrap_or(&self.dir).to_path_buf();
            let failed = |error| Error::io(format!("making {}", dir.display()), error);
            if !dirs.contains(&dir) {
                self.env.vfs.create_dir(&dir, Site::STORE_DIR).map_err(failed)?;
                self.env.vfs.sync_dir(&self.dir.join("bulk"), Site::STORE_DIR).map_err(failed)?;
                dirs.insert(dir);
            }
            self.take_piece(piece, &path, pace)?;
            pace.now.files += 1;
            pace.go_on()?;
        }
        self.take_tree(source, pace)
    }

    /// Makes sure that the target has a segment up to where it is needed, durably.
    fn take_piece(&self, piece: &Piece, path: &Path, pace: &mut Pace<'_>) -> Result<()> {
        let failed = |doing: &str, error| Error::io(format!("{doing} {}", path.display()), error);
        let whole = piece.end + ALIGN;
        let found = self.find(path, OpenMode::ReadWrite)?;
        let fresh = found.is_none();
        let (file, mut has) = match found {
            Some((file, header)) => {
                let has = file.size().map_err(|e| failed("reading", e))?;
                if header == Some(piece.segment.header) && has >= whole {
                    pace.files_kept += 1;
                    pace.now.bytes_kept += piece.end;
                    return Ok(());
                }
                (file, has)
            }
            None => {
                let made = self.env.vfs.open(path, OpenMode::CreateNew, Site::BACKUP_WRITE);
                (made.map_err(|e| failed("making", e))?, 0)
            }
        };
        if has > piece.end {
            // It was meant to hold more by a backup that was cut short; the length must be no promise yet.
            file.set_len(piece.end, Site::BACKUP_WRITE).map_err(|e| failed("cutting", e))?;
            has = piece.end;
        }
        let written = copy_bytes(piece, &*file, has, pace, &failed)?;
        let durable = file.sync_data(Site::BACKUP_SYNC).and_then(|()| match path.parent() {
            Some(dir) if fresh => self.env.vfs.sync_dir(dir, Site::BACKUP_SYNC),
            _ => Ok(()),
        });
        if let Err(error) = durable {
            // The system has forgotten what it could not write but goes on showing it, so it must be written again.
            let _ = if fresh {
                self.env.vfs.remove(path, Site::BACKUP_REMOVE)
            } else {
                file.set_len(has, Site::BACKUP_WRITE)
            };
            return Err(failed("syncing", error));
        }
        // Only what is durable is called complete.
        let closed = file.set_len(whole, Site::BACKUP_WRITE).and_then(|()| file.sync_data(Site::BACKUP_SYNC));
        if let Err(error) = closed {
            let _ = file.set_len(piece.end, Site::BACKUP_WRITE);
            return Err(failed("closing", error));
        }
        let books = if written > 0 { &mut pace.files_copied } else { &mut pace.files_kept };
        *books += 1;
        Ok(())
    }

    /// Writes the tree into the index file that the superblock does not name.
    fn take_tree(&self, source: &Source, pace: &mut Pace<'_>) -> Result<Copied> {
        let index_file = 1 - self.superblock.newest().index_file;
        let path = self.dir.join(INDEX_FILES[usize::from(index_file)]);
        let failed = |doing: &str, error| Error::io(format!("{doing} {}", path.display()), error);
        let vfs = &self.env.vfs;
        match vfs.remove(&path, Site::INDEX_OPEN) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed("removing", error));
            }
            _ => {}
        }
        let file = vfs.open(&path, OpenMode::CreateNew, Site::INDEX_OPEN).map_err(|e| failed("making", e))?;
        let (salt, name) = (source.block.page_salt, path.display().to_string());
        let mode = index::ReadMode::Positioned { cache_bytes: 1 << 20 };
        let pages = PageFile::open(file, name, salt, mode)?;
        let copied = copy_into(&source.tree, &pages, &mut || pace.go_on())?;
        pages.sync()?;
        vfs.sync_dir(&self.dir, Site::INDEX_OPEN).map_err(|e| failed("naming", e))?;
        pace.now.bytes_copied += copied.pages_written * crate::format::page::PAGE as u64;
        pace.go_on()?;
        let root = copied.tree.root().map(|root| (root.page, root.checksum, root.height));
        let checkpoint = Checkpoint { root, ..source.checkpoint };
        Ok(Copied { tree: copied.tree, checkpoint, index_file })
    }

    /// Makes the superblock say that this state is what counts.
    fn name(&self, source: &Source, checkpoint: Checkpoint, index_file: u8, backup: bool) -> Result<()> {
        let since =
            self.env.clock.now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default();
        let millis = since.as_millis() as u64;
        self.superblock.update(self.env, |block| {
            *block = Superblock {
                generation: block.generation,
                checkpoint: Some(checkpoint),
                index_file,
                next_segment: block.next_segment.max(source.next_segment),
                log_known: checkpoint.replay.segment,
                written: millis,
                clean: true,
                backup,
                ..source.block.clone()
            };
        })
    }

    /// Removes segments and the index file that the superblock does not name, and says how many segments went.
    fn remove_unnamed(&self, source: &Source) -> Result<u64> {
        let mut removed = 0;
        let mut kept: BTreeMap<PathBuf, Vec<u64>> = BTreeMap::new();
        for dir in [log_dir(&self.dir), bulk_dir(&self.dir, 0)] {
            kept.insert(dir, Vec::new());
        }
        for piece in &source.pieces {
            let path = self.path_of(&piece.segment);
            let dir = path.parent().unwrap_or(&self.dir).to_path_buf();
            kept.entry(dir).or_default().push(piece.segment.id());
        }
        for (dir, ids) in kept {
            let failed = |doing: &str, error| Error::io(format!("{doing} {}", dir.display()), error);
            let names = self.env.vfs.list(&dir, Site::STORE_LIST).map_err(|e| failed("listing", e))?;
            let before = removed;
            for listed in names.iter().filter(|listed| listed.is_file) {
                if parse_file_name(&listed.name).is_some_and(|id| !ids.contains(&id)) {
                    let path = dir.join(&listed.name);
                    self.env.vfs.remove(&path, Site::BACKUP_REMOVE).map_err(|e| failed("clearing", e))?;
                    removed += 1;
                }
            }
            if removed > before {
                self.env.vfs.sync_dir(&dir, Site::BACKUP_SYNC).map_err(|e| failed("syncing", e))?;
            }
        }
        let other = 1 - self.superblock.newest().index_file;
        let old = self.dir.join(INDEX_FILES[usize::from(other)]);
        match self.env.vfs.remove(&old, Site::BACKUP_REMOVE) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io(format!("removing {}", old.display()), error))
            }
            _ => Ok(removed),
        }
    }

    /// Reads all of the copy: the tree, every entry with its body, every record of the log.
    fn read_back(
        &self,
        source: &Source,
        copied: &Copied,
        check: &mut super::verify::Check<'_>,
        pace: &mut Pace<'_>,
    ) -> Result<u64> {
        let identity = Identity {
            dir: self.dir.clone(),
            store_id: source.block.store_id,
            chunk_log2: source.block.chunk_log2,
            mapped: false,
        };
        let maker = SegmentMaker::new(self.env.clone(), identity, 0, 1);
        let tables = TableCell::default();
        for piece in &source.pieces {
            let header = &piece.segment.header;
            let opened = maker.open(header.kind, header.tier, header.id)?;
            tables.add(opened.map_err(|reason| piece.segment.corrupt(0, reason))?);
        }
        let segments: Table = tables.current();
        let index = Index { active: index::Delta::new(), frozen: None, tree: copied.tree.clone() };
        let view = View { index, segments, lsn: copied.checkpoint.lsn };
        let report = super::verify::read_all(&view, &mut || copied.checkpoint.replay, check, &mut |_| {
            pace.go_on().is_ok()
        })?;
        if report.stopped {
            return Err(Error::new(ErrorKind::Busy, "Stopped", "the watcher stopped it"));
        }
        match report.problems.first() {
            None => Ok(report.entries),
            Some(problem) => Err(Error::new(
                ErrorKind::Corrupt,
                "Corrupt",
                format!(
                    "the backup is damaged in {} places, and what was restored of it is no store ({}); salvage \
                     what can be read with `ossicle salvage`",
                    report.problem_count, problem.reason
                ),
            )),
        }
    }
}

/// Writes what a file, which has so many bytes, does not hold of a segment, and gives it the length that is needed.
/// Says how many bytes that were.
fn copy_bytes(
    piece: &Piece,
    file: &dyn File,
    has: u64,
    pace: &mut Pace<'_>,
    failed: &dyn Fn(&str, std::io::Error) -> Error,
) -> Result<u64> {
    let (mut window, mut there) = (vec![0; WINDOW], vec![0; WINDOW]);
    let (mut at, mut written, mut changed) = (0, 0, 0);
    // The last block that is there may be one whose sync failed, so its bytes prove nothing.
    let unproved = has.saturating_sub(ALIGN) / BLOCK as u64 * BLOCK as u64;
    while at < piece.end {
        let len = (piece.end - at).min(WINDOW as u64) as usize;
        piece.segment.read_raw(&mut window[..len], at)?;
        let old = has.saturating_sub(at).min(len as u64) as usize;
        file.read_exact_at(&mut there[..old], at, Site::SEGMENT_READ).map_err(|e| failed("reading", e))?;
        there[old..len].fill(0);
        for place in (unproved.saturating_sub(at) as usize).min(old)..old {
            there[place] = !window[place];
        }
        for run in differing(&window[..len], &there[..len]) {
            let (from, bytes) = (at + run.start as u64, &window[run]);
            file.write_at(&[IoSlice::new(bytes)], from, Site::BACKUP_WRITE)
                .map_err(|e| failed("writing", e))?;
            written += bytes.len() as u64;
            changed += (from + bytes.len() as u64).min(has).saturating_sub(from);
            pace.now.bytes_copied += bytes.len() as u64;
        }
        at += len as u64;
        pace.go_on()?;
    }
    if file.size().map_err(|e| failed("reading", e))? < piece.end {
        file.set_len(piece.end, Site::BACKUP_WRITE).map_err(|e| failed("growing", e))?;
    }
    pace.now.bytes_kept += has - changed;
    Ok(written)
}

/// The runs of whole blocks in which `new` differs from `old`, which is as long.
fn differing(new: &[u8], old: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut runs: Vec<std::ops::Range<usize>> = Vec::new();
    for (number, (new, old)) in new.chunks(BLOCK).zip(old.chunks(BLOCK)).enumerate() {
        if new == old {
            continue;
        }
        let from = number * BLOCK;
        match runs.last_mut() {
            Some(run) if run.end == from => run.end = from + new.len(),
            _ => runs.push(from..from + new.len()),
        }
    }
    runs
}

fn not_a_target(dir: &Path, why: &str) -> Error {
    Error::invalid(
        "InvalidArgument",
        format!("{} cannot take a backup of this store: {why}; choose an empty directory", dir.display()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_blocks_that_differ_are_written() {
        let old = vec![0; 5 * BLOCK + 100];
        let mut new = old.clone();
        assert!(differing(&new, &old).is_empty());
        new[BLOCK] = 1;
        new[3 * BLOCK - 1] = 1;
        new[5 * BLOCK + 99] = 1;
        assert_eq!(differing(&new, &old), vec![BLOCK..3 * BLOCK, 5 * BLOCK..5 * BLOCK + 100]);
    }
}
