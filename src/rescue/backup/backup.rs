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

use std::path::Path;
use std::sync::atomic::Ordering;

use super::pace::{Pace, Watch};
use super::report::{BackupReport, RestoreReport};
use super::source::{Copying, Piece, Source};
use super::target::{Copied, Target};
use crate::engine::directory::files::SUPERBLOCK;
use crate::engine::directory::segment_keys;
use crate::engine::state::engine::Engine;
use crate::engine::{OpenOptions, Settings, Unlock};
use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::format::frame::ALIGN;
use crate::format::segment_header::SegmentKind;
use crate::model::Lsn;
use crate::rescue::directory::{lock_quietly, refuse_filled, refuse_nested};

impl Engine {
    /// Writes the store as it is now into the directory `dir`, where an earlier backup of it may be, while writers and
    /// readers go on.
    pub fn backup(&self, dir: &Path, watch: &mut Watch<'_>) -> Result<BackupReport> {
        self.refuse_inside_turn()?;
        self.check_writable()?;
        refuse_nested(&self.env, &self.dir, dir)?;
        // Before the checkpoint, so that a target that will not do costs nothing.
        if let Some(error) = self.tables.current().out_of_service() {
            return Err(error);
        }
        // An earlier backup keeps what it has; a new one is as private as the store.
        let env = self.env.clone().with_those_of(&dir.join(SUPERBLOCK));
        let target = Target::open(&env, dir, &self.superblock.newest(), ALIGN, self.ring())?;
        let (source, _copying) = self.moment()?;
        target.refuse_other_branch(&source)?;
        target.confirm()?;
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
    fn moment(&self) -> Result<(Source, Copying<'_>)> {
        let mut state = self.checkpointing.lock();
        self.check_writable()?;
        self.checkpoint_with(&mut state)?;
        self.backups.fetch_add(1, Ordering::AcqRel);
        let copying = Copying(&self.backups);
        Ok((self.lend()?, copying))
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
            let finished = self.pools.finished_end(segment.id());
            let size = segment.file_len()?;
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
        let kept = match self.ring() {
            Some(ring) => segment_keys::read(&self.env, &self.dir, ring.shred_name())?,
            None => None,
        };
        Ok(Source {
            block,
            checkpoint,
            tree,
            pieces,
            next_segment: self.maker.next_id(),
            ring: self.ring().cloned(),
            kept,
        })
    }

    /// Writes the backup in `from` into the fresh directory `to` and reads all of it there; `check` looks at each entry.
    pub fn restore(
        env: &Env,
        from: &Path,
        to: &Path,
        unlock: Option<Unlock>,
        check: &mut crate::rescue::verify::Check<'_>,
        watch: &mut Watch<'_>,
    ) -> Result<RestoreReport> {
        refuse_nested(env, from, to)?;
        refuse_filled(env, to)?;
        // The copy is as private as what it is a copy of.
        let env = &env.clone().with_those_of(&from.join(SUPERBLOCK));
        let options = OpenOptions {
            dir: from.to_path_buf(),
            env: env.clone(),
            settings: Settings::default(),
            read_only: true,
            create: false,
            rebuild_index: false,
            unlock,
        };
        // No backup is written there meanwhile, and no store.
        let _lock = lock_quietly(env, from)?;
        let engine = Engine::open(options)?;
        let source = engine.lend()?;
        let view = engine.pin();
        if view.lsn != source.checkpoint.lsn || !view.index.active.is_empty() || !source.block.clean {
            let why = "it is no finished backup: its index is lost or behind its log; open it, or use `Store::salvage`";
            return Err(Error::invalid("InvalidArgument", format!("{}: {why}", from.display())));
        }
        let target = Target::open(env, to, &source.block, 0, engine.ring())?;
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
