//! The directory that a backup or a restore is written into: found or made, locked, filled, named in one step.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::copied::{copy_bytes, not_a_target};
use super::pace::Pace;
use super::source::{Piece, Source};
use crate::crypto::Keyring;
use crate::engine::directory::files::{INDEX_FILES, SUPERBLOCK};
use crate::engine::directory::identity::{name_durably, refuse_foreign, stand_in};
use crate::engine::directory::lock::StoreLock;
use crate::engine::directory::segment_keys;
use crate::engine::directory::superblock::{Found, SuperblockFile};
use crate::engine::keys::unlock;
use crate::engine::view::view::Reign;
use crate::engine::{Unlock, View};
use crate::env::{Env, File, OpenMode, Site};
use crate::error::{Error, ErrorKind, Result};
use crate::format::commit::Position;
use crate::format::segment_header::{HEADER_LEN, SegmentHeader, SegmentKind};
use crate::format::superblock::{Checkpoint, SLOTS, Superblock};
use crate::index::{self, Index, PageFile, Tree, copy_into};
use crate::segment::{
    Identity, Segment, SegmentMaker, TIERS, Table, TableCell, bulk_dir, file_name, log_dir, parse_file_name,
    segment_dirs,
};

/// A directory that is being written, locked.
pub struct Target {
    env: Env,
    dir: PathBuf,
    superblock: SuperblockFile,
    /// How much longer a segment is than what it must hold once that is durable. A restored store needs no such mark.
    mark: u64,
    _lock: StoreLock,
}

/// A segment file of the target, and its header if that is sound.
type Existing = (Arc<dyn File>, Option<SegmentHeader>);

/// The tree as it stands in the target.
pub struct Copied {
    tree: Tree,
    /// What the superblock is to name.
    pub checkpoint: Checkpoint,
    /// The index file that it is in.
    pub index_file: u8,
}

impl Target {
    /// Makes the directory ready to take a state of the store that `source` belongs to, and locks it.
    pub fn open(
        env: &Env,
        dir: &Path,
        source: &Superblock,
        mark: u64,
        ring: Option<&Arc<Keyring>>,
    ) -> Result<Target> {
        let failed = |doing: &str, error| Error::io(format!("{doing} {}", dir.display()), error);
        env.vfs.create_dir(dir, Site::STORE_DIR).map_err(|e| failed("making", e))?;
        let (env, dir) = &stand_in(env, dir)?;
        let listed = env.vfs.list(dir, Site::STORE_LIST).map_err(|e| failed("listing", e))?;
        let names: Vec<String> = listed.into_iter().map(|listed| listed.name).collect();
        let path = dir.join(SUPERBLOCK);
        let exists = names.iter().any(|name| name == SUPERBLOCK);
        if !exists {
            refuse_foreign(env, dir, &names, true)?;
        }
        let mut lock = StoreLock::take(env, dir, exists)?;
        let mut made = false;
        let found = if exists { Some(SuperblockFile::open(env, &path, OpenMode::ReadWrite)?) } else { None };
        let superblock = match found {
            Some((file, Found::Store(block, signature))) => {
                if block.store_id != source.store_id {
                    return Err(not_a_target(dir, "it belongs to another store"));
                }
                if !block.backup {
                    return Err(not_a_target(dir, "it is a store of its own, or was written to since"));
                }
                let unlock = ring.cloned().map(Unlock::Ring);
                let ring = unlock::unlock(env, dir, unlock.as_ref(), &block, &signature)?;
                SuperblockFile::new(file, &path, *block, ring)
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
                made = true;
                Target::begin(env, dir, source, ring.cloned())?
            }
        };
        lock.settle(env, dir, made)?;
        Ok(Target { env: env.clone(), dir: dir.clone(), superblock, mark, _lock: lock })
    }

    /// The first superblock: it says whose backup it will be, and that it is not finished.
    fn begin(
        env: &Env,
        dir: &Path,
        source: &Superblock,
        ring: Option<Arc<Keyring>>,
    ) -> Result<SuperblockFile> {
        let failed = |path: &Path, error| Error::io(format!("making {}", path.display()), error);
        for sub in segment_dirs(dir) {
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
        let superblock = SuperblockFile::create(env, &dir.join(SUPERBLOCK), block, ring)?;
        if let Err(error) = env.vfs.sync_dir(dir, Site::STORE_DIR) {
            let _ = env.vfs.remove(&dir.join(SUPERBLOCK), Site::STORE_DIR);
            return Err(failed(dir, error));
        }
        Ok(superblock)
    }

    /// Says the newest superblock once more: should its last sync have failed, the system only seems to have it, and what
    /// the one before names must not be touched yet.
    pub fn confirm(&self) -> Result<()> {
        self.superblock.update(&self.env, |block| block.backup = true)
    }

    /// Two stores that were one once may have made different segments of the same name since, and a newer state must
    /// not be lost to an older one.
    pub fn refuse_other_branch(&self, source: &Source) -> Result<()> {
        let has = self.superblock.newest().checkpoint.map_or(0, |checkpoint| checkpoint.lsn);
        if has > source.checkpoint.lsn {
            let why = format!("it holds commit {has}, the store only {}", source.checkpoint.lsn);
            return Err(not_a_target(&self.dir, &why));
        }
        if self.superblock.newest().next_segment > source.next_segment {
            return Err(not_a_target(&self.dir, "another copy of the store was backed up into it"));
        }
        let replay =
            self.superblock.newest().checkpoint.map_or(Position::default(), |checkpoint| checkpoint.replay);
        let goes_on = |piece: &&Piece| piece.segment.id() == replay.segment && replay.offset > piece.end;
        if let Some(piece) = source.pieces.iter().find(goes_on) {
            // The log is never cut below a checkpoint, so another copy of the store has gone on in that segment.
            let path = self.path_of(&piece.segment);
            let why = format!("another copy of the store went on in its segment {}", path.display());
            return Err(not_a_target(&self.dir, &why));
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
    fn find(&self, path: &Path, mode: OpenMode) -> Result<Option<Existing>> {
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
    pub fn take(&self, source: &Source, pace: &mut Pace<'_>) -> Result<Copied> {
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
        self.take_kept(source)?;
        self.take_tree(source, pace)
    }

    /// Makes sure that the target has a segment up to where it is needed, durably.
    fn take_piece(&self, piece: &Piece, path: &Path, pace: &mut Pace<'_>) -> Result<()> {
        let failed = |doing: &str, error| Error::io(format!("{doing} {}", path.display()), error);
        let whole = piece.end + self.mark;
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
        if self.mark > 0 {
            // Only what is durable is called complete.
            let closed =
                file.set_len(whole, Site::BACKUP_WRITE).and_then(|()| file.sync_data(Site::BACKUP_SYNC));
            if let Err(error) = closed {
                let _ = file.set_len(piece.end, Site::BACKUP_WRITE);
                return Err(failed("closing", error));
            }
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
        // That of the source: an older backup may have been made under another shred root.
        let sealer = source.ring.as_ref().map(|ring| ring.pages(index_file));
        let pages = PageFile::open(file, name, salt, mode, sealer)?;
        let copied = copy_into(&source.tree, &pages, &mut || pace.go_on())?;
        pages.sync()?;
        vfs.sync_dir(&self.dir, Site::INDEX_OPEN).map_err(|e| failed("naming", e))?;
        pace.now.bytes_copied += copied.pages_written * crate::format::page::PAGE as u64;
        pace.go_on()?;
        let root = copied.tree.root().map(|root| (root.page, root.checksum, root.height));
        let checkpoint = Checkpoint { root, ..source.checkpoint };
        Ok(Copied { tree: copied.tree, checkpoint, index_file })
    }

    /// Writes what the secrets of segments are kept in. The name says which shred root they belong to.
    fn take_kept(&self, source: &Source) -> Result<()> {
        let (Some(ring), Some(bytes)) = (&source.ring, &source.kept) else { return Ok(()) };
        if segment_keys::read(&self.env, &self.dir, ring.shred_name())?.as_ref() == Some(bytes) {
            // Whoever wrote it may not have been told that it is durable.
            return segment_keys::sync(&self.env, &self.dir, ring.shred_name());
        }
        segment_keys::write(&self.env, &self.dir, ring.shred_name(), bytes)
    }

    /// Makes the superblock say that this state is what counts.
    pub fn name(&self, source: &Source, checkpoint: Checkpoint, index_file: u8, backup: bool) -> Result<()> {
        let since =
            self.env.clock.now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default();
        let millis = since.as_millis() as u64;
        // What was written is there only if the directory is.
        self.env.look_again().map_err(Error::displaced)?;
        let newest = self.superblock.newest();
        // Where the keys are others than those of the backup before, nothing is left of the old ones.
        let changed = newest.keys != source.block.keys || !self.superblock.is_uniform();
        let times = if source.ring.is_some() && changed { SLOTS } else { 1 };
        for _ in 0..times {
            self.name_once(source, checkpoint, index_file, backup, millis)?;
        }
        self.superblock.set_uniform();
        Ok(())
    }

    fn name_once(
        &self,
        source: &Source,
        checkpoint: Checkpoint,
        index_file: u8,
        backup: bool,
        millis: u64,
    ) -> Result<()> {
        self.superblock.update(&self.env, |block| {
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
    pub fn remove_unnamed(&self, source: &Source) -> Result<u64> {
        let mut removed = 0;
        let mut kept: BTreeMap<PathBuf, Vec<u64>> = BTreeMap::new();
        for dir in [log_dir(&self.dir), bulk_dir(&self.dir, 0)] {
            kept.insert(dir, Vec::new());
        }
        for dir in (1..TIERS).map(|tier| bulk_dir(&self.dir, tier)) {
            if self.env.vfs.list(&dir, Site::STORE_LIST).is_ok() {
                kept.insert(dir, Vec::new());
            }
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
        if let Some(ring) = &source.ring {
            segment_keys::remove_others(&self.env, &self.dir, ring.shred_name())?;
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
    pub fn read_back(
        &self,
        source: &Source,
        copied: &Copied,
        check: &mut crate::rescue::verify::Check<'_>,
        pace: &mut Pace<'_>,
    ) -> Result<u64> {
        let identity = Identity {
            dir: self.dir.clone(),
            store_id: source.block.store_id,
            chunk_log2: source.block.chunk_log2,
            mapped: false,
            ring: self.superblock.ring().cloned(),
        };
        let maker = SegmentMaker::new(self.env.clone(), identity, 0, 1);
        let tables = TableCell::default();
        for piece in &source.pieces {
            let header = &piece.segment.header;
            let path = self.path_of(&piece.segment);
            let dir = path.parent().unwrap_or(&self.dir);
            let opened = maker.open((header.kind, header.tier), dir, header.id, false)?;
            tables.add(opened.map_err(|reason| piece.segment.corrupt(0, reason))?);
        }
        let segments: Table = tables.current();
        let index = Index { active: index::Delta::new(), frozen: None, tree: copied.tree.clone() };
        let lsn = copied.checkpoint.lsn;
        let view = View { index, segments, lsn, structure: lsn, reign: Reign::since(0) };
        let report = crate::rescue::verify::read_all(
            &view,
            false,
            &mut || copied.checkpoint.replay,
            check,
            &mut |_| pace.go_on().is_ok(),
        )?;
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
                     what can be read with `Store::salvage`",
                    report.problem_count, problem.reason
                ),
            )),
        }
    }
}
