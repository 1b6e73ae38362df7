//! The checkpoint: the delta goes into the tree, the superblock names the new tree, dead segments go.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::engine::directory::files::INDEX_FILES;
use crate::engine::proposal::ledger::{ENGINE_SPACE, LedgerDiff, Tombstone};
use crate::engine::state::checkpointing::Checkpointing;
use crate::engine::state::checkpointing::Frozen;
use crate::engine::state::engine::Engine;
use crate::engine::state::writer::Writer;
use crate::engine::view::view::View;
use crate::env::{Planted, Site};
use crate::error::{Error, Result};
use crate::format::commit::Position;
use crate::format::segment_header::SegmentKind;
use crate::format::superblock;
use crate::index::{Dropped, Merged, Tree, merge};
use crate::segment::{LogStart, Segment, Spender};

/// What kind of round it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    /// In the course of work.
    Usual,
    /// The last one before the store is closed in peace.
    Closing,
    /// In the middle of recovery: the log behind may still name segments that seem dead, so none goes.
    Replaying,
    /// In the middle of a rebuild, which cannot be taken up in the middle: the superblock is left alone.
    Rebuilding,
}

/// Whether maintenance has work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// The delta or the log since the last checkpoint is over its bound.
    pub checkpoint: bool,
    /// Commits wait to be made durable.
    pub sync: bool,
}

impl Engine {
    /// Makes the index file cover every commit so far and frees what nothing needs any more.
    pub fn checkpoint(&self) -> Result<()> {
        self.refuse_inside_turn()?;
        let mut state = self.checkpointing.lock();
        // Looked at behind the lock, because the store may have been closed while this waited.
        self.check_writable()?;
        self.checkpoint_with(&mut state)
    }

    pub fn checkpoint_with(&self, state: &mut Checkpointing) -> Result<()> {
        // A delta that an earlier attempt froze goes first; a second round then covers the rest.
        let stale = state.frozen.is_some();
        self.checkpoint_once(state, Round::Usual)?;
        if stale {
            self.checkpoint_once(state, Round::Usual)?;
        }
        Ok(())
    }

    /// A checkpoint in the middle of recovery, of what was installed in the writer. `named` says whether the
    /// superblock may name it.
    pub(in crate::engine) fn checkpoint_replayed(&self, named: bool) -> Result<()> {
        let mut state = self.checkpointing.lock();
        self.checkpoint_once(&mut state, if named { Round::Replaying } else { Round::Rebuilding })
    }

    /// One round: freeze, sync the log, merge, name the new tree, publish.
    fn checkpoint_once(&self, state: &mut Checkpointing, round: Round) -> Result<()> {
        self.look_again()?;
        let Some(frozen) = self.freeze(state, round)? else {
            return self.sweep(state);
        };
        let view = self.pin();
        let planted_early = self.planted(Planted::CheckpointBeforeLog);
        if !planted_early {
            self.sync_before(&view)?;
        }
        self.meet_readers(state)?;
        let mut merged = self.merge_frozen(state, &view);
        while merged.as_ref().is_err_and(Error::is_full) && self.reserve.spend(&self.env, Spender::Checkpoint)
        {
            merged = self.merge_frozen(state, &view);
        }
        let merged = merged?;
        // It keeps every segment, and what is retired now should go now.
        drop(view);
        self.name_tree(state, &frozen, merged, round)?;
        self.sweep(state)
    }

    /// Makes the active delta the frozen one. `None` if there is nothing to checkpoint.
    fn freeze(&self, state: &mut Checkpointing, round: Round) -> Result<Option<Frozen>> {
        if let Some(frozen) = &state.frozen {
            return Ok(Some(frozen.clone()));
        }
        let mut writer = self.writer.lock();
        let writer = &mut *writer;
        let dropped = std::mem::take(&mut state.dropped);
        writer.ledger.apply(dropped);
        let newest = self.superblock.newest();
        let unchanged =
            newest.checkpoint.is_some_and(|old| old.lsn == writer.view.lsn) && writer.since_checkpoint == 0;
        let unchanged = unchanged && !self.keeps_nothing_dead();
        if unchanged && writer.view.index.active.is_empty() && (round != Round::Closing || newest.clean) {
            return Ok(None);
        }
        let mut view = View::clone(&writer.view);
        let lsn = view.lsn;
        view.segments = self.tables.current();
        self.pools.set_segment_len(self.log_segment_len(writer.ledger.total()));
        let replay = writer.log.end();
        let may_retire = matches!(round, Round::Usual | Round::Closing);
        let mut dead: BTreeSet<u64> = view
            .segments
            .iter()
            .filter(|segment| {
                may_retire
                    && writer.ledger.live(segment.id()) == 0
                    && self.is_sealed(segment, replay)
                    && !segment.is_awaited()
            })
            .map(|segment| segment.id())
            .collect();
        if may_retire {
            self.spare_for_feed(writer, &mut view, &mut dead)?;
        }
        writer.ledger.store(&mut view.index, lsn)?;
        view.index.freeze();
        let frozen = Frozen { lsn: view.lsn, replay, since_checkpoint: writer.since_checkpoint, dead };
        let view = Arc::new(view);
        writer.view = view.clone();
        self.view.store(view);
        state.frozen = Some(frozen.clone());
        Ok(Some(frozen))
    }

    /// Whether nothing is appended to a segment any more, seen from a log that ends at `end`.
    fn is_sealed(&self, segment: &Segment, end: Position) -> bool {
        match segment.header.kind {
            SegmentKind::Log => segment.id() < end.segment,
            SegmentKind::Bulk => !self.pools.is_open(segment.id()),
        }
    }

    /// Makes the log and the bodies durable up to now. The bulk of the work happens beside the writers; only
    /// what is written meanwhile is synced in their turn.
    fn sync_before(&self, view: &View) -> Result<()> {
        if !self.planted(Planted::SkipLogSync) {
            self.sync_pools().map_err(|error| self.poison(error))?;
            let (durable, dirty) = {
                let writer = self.writer.lock();
                (writer.log.durable(), writer.log.is_dirty())
            };
            let logs = view.segments.iter().filter(|segment| segment.header.kind == SegmentKind::Log);
            for segment in logs.filter(|segment| dirty && segment.id() >= durable.segment) {
                if let Err(error) = segment.sync(Site::LOG_SYNC) {
                    return Err(self.poison(error));
                }
            }
        }
        let mut writer = self.writer.lock();
        let lsn = writer.view.lsn;
        self.sync_log(&mut writer, lsn)
    }

    fn merge_frozen(&self, state: &mut Checkpointing, view: &View) -> Result<Merged> {
        let frozen = view.index.frozen.as_ref().expect("frozen before it is merged");
        // A segment that is out of the table but still on the disk would come back in a rebuild.
        let oldest_log = view
            .segments
            .iter()
            .chain(&state.retired)
            .filter(|segment| segment.header.kind == SegmentKind::Log)
            .map(|segment| segment.id())
            .min()
            .unwrap_or(u64::MAX);
        let drop_all = self.planted(Planted::DropTombstones);
        let mut dropped = LedgerDiff::default();
        let chunk_log2 = self.chunk_log2();
        let merged = merge(&view.index.tree, frozen, &mut |key, item| {
            // The engine's own rows are not in the log, so nothing older can come back.
            if key.first() == Some(&ENGINE_SPACE) {
                return true;
            }
            let gone = Tombstone::decode(item.value()).is_ok_and(|tombstone| tombstone.made < oldest_log)
                || self.hides_nothing(item.lsn)
                || drop_all;
            // A tombstone that cannot be counted stays; `verify` will name it.
            gone && dropped.count(key, true, item.value(), chunk_log2, -1).is_ok()
        })?;
        if !self.planted(Planted::SkipIndexSync)
            && let Err(error) = state.pages.sync()
        {
            merged.abandon();
            return Err(self.poison(error));
        }
        self.gauges.checkpointed(merged.pages_written);
        state.written = state.written.map(|pages| pages + merged.pages_written);
        state.dropped = dropped;
        Ok(merged)
    }

    /// Writes the superblock that names the new tree, then lets readers see it.
    fn name_tree(
        &self,
        state: &mut Checkpointing,
        frozen: &Frozen,
        merged: Merged,
        round: Round,
    ) -> Result<()> {
        let root = merged.tree.root().map(|root| (root.page, root.checksum, root.height));
        let next_segment = self.maker.next_id();
        let millis = self.millis();
        let replay = frozen.replay;
        let update = |block: &mut superblock::Superblock| {
            block.checkpoint = Some(superblock::Checkpoint { root, lsn: frozen.lsn, replay });
            block.index_file = state.index_file;
            block.next_segment = next_segment;
            block.written = millis;
            block.clean = round == Round::Closing;
        };
        let replaced = self.superblock.newest().generation;
        if round != Round::Rebuilding
            && let Err(error) = self.superblock.update(&self.env, update)
        {
            // It may or may not count now, so neither tree's pages may be written over: the store stops writing.
            return Err(self.poison(error));
        }
        if self.planted(Planted::CheckpointBeforeLog) {
            self.sync_before(&self.pin())?;
        }
        self.hold_for_readers(state, replaced);
        // I7: the old tree's pages are free only now.
        let published = merged.publish();
        let mut writer = self.writer.lock();
        self.adopt(&mut writer, state, frozen, published);
        Ok(())
    }

    /// Publishes a view over the new tree, without the segments that are dead for good.
    fn adopt(
        &self,
        writer: &mut Writer,
        state: &mut Checkpointing,
        frozen: &Frozen,
        (tree, dropped): (Tree, Dropped),
    ) {
        let mut view = View::clone(&writer.view);
        view.index.settle(tree, &dropped);
        // I6: nothing was live in them when the delta was frozen, so neither the durable checkpoint nor the log
        // behind it names them; and nothing can have become live in a sealed segment since.
        for id in &frozen.dead {
            let Ok(segment) = view.segments.get(*id) else {
                continue;
            };
            if writer.ledger.live(*id) == 0 && !segment.is_awaited() {
                state.retired.extend(self.tables.remove(*id));
            }
        }
        view.segments = self.tables.current();
        let view = Arc::new(view);
        writer.view = view.clone();
        writer.tree_bytes = state.pages.file_pages() * crate::format::page::PAGE as u64;
        writer.since_checkpoint -= frozen.since_checkpoint.min(writer.since_checkpoint);
        self.view.store(view);
        state.frozen = None;
    }

    /// Removes the files of retired segments that no reader holds any more.
    pub(in crate::engine) fn sweep(&self, state: &mut Checkpointing) -> Result<()> {
        self.let_go(state);
        let mut kept = Vec::new();
        let mut dirs = BTreeSet::new();
        for segment in std::mem::take(&mut state.retired) {
            if Arc::strong_count(&segment) > 1 {
                kept.push(segment);
                continue;
            }
            match self.env.vfs.remove(segment.path(), Site::SEGMENT_REMOVE) {
                Ok(()) => {
                    dirs.extend(segment.path().parent().map(|dir| dir.to_path_buf()));
                    self.gauges.removed();
                }
                Err(_) => kept.push(segment),
            }
        }
        state.retired = kept;
        for dir in dirs {
            match self.maker.files.with_room(|| self.env.vfs.sync_dir(&dir, Site::SEGMENT_REMOVE)) {
                // On another disk that fails: what comes back there is no more than garbage that the next opening finds.
                Err(error) if dir.starts_with(&self.dir) => {
                    return Err(self.poison(Error::io(format!("syncing {}", dir.display()), error)));
                }
                _ => {}
            }
        }
        // A disk that is still full is told to whoever writes.
        let _ = self.reserve.refill(&self.env);
        for reserve in self.pools.reserves_elsewhere() {
            let _ = reserve.refill(&self.env);
        }
        self.note_pages(&state.pages, &self.dir.join(INDEX_FILES[usize::from(state.index_file)]));
        self.keep_reserve_in_step();
        Ok(())
    }

    /// A mistake, to test the tests.
    pub(in crate::engine) fn remove_too_early(&self) {
        let mut state = self.checkpointing.lock();
        let writer = self.writer.lock();
        let end = writer.log.end();
        for segment in self.tables.current().iter() {
            if writer.ledger.live(segment.id()) == 0 && self.is_sealed(segment, end) {
                let _ = self.env.vfs.remove(segment.path(), Site::SEGMENT_REMOVE);
                state.retired.extend(self.tables.remove(segment.id()));
            }
        }
    }

    /// Whether the delta must shrink before more is written. Without a maintenance thread this is what keeps
    /// memory bounded, so the soft bound counts then.
    pub(in crate::engine) fn delta_is_over(&self) -> bool {
        let view = self.view.load();
        let bytes = view.index.active.bytes();
        let soft = self.settings.delta_bytes;
        let bound = if self.wake.has_listener() { soft + soft / 2 } else { soft };
        bytes > bound
    }

    /// Rings for maintenance if a bound is reached.
    pub(in crate::engine) fn wake_if_due(&self, writer: &Writer) {
        let full = writer.view.index.active.bytes() > self.settings.delta_bytes;
        let long = writer.since_checkpoint > self.log_bound(writer);
        let aging = self.settings.sync_interval.is_some() && writer.log.is_dirty();
        if full || long || aging || writer.log.wants_spare() || self.pools.wants_spare() {
            self.wake.raise();
        }
    }

    /// Bytes of log after which a checkpoint is due: less in a small store, whose garbage it would lock up, but no
    /// less than what a checkpoint may have to write itself.
    fn log_bound(&self, writer: &Writer) -> u64 {
        let most = self.settings.checkpoint_log_bytes;
        (writer.ledger.total() / 12).max(writer.tree_bytes / 2).clamp((8 << 20).min(most), most)
    }

    /// Makes the segments that the log and the bodies will go on in, if the open ones are half full: making one
    /// waits for the disk, and a commit should not.
    pub fn prepare_segments(&self) -> Result<()> {
        self.check_writable()?;
        // What was spent of the reserve is for deletes.
        self.reserve.admit(&self.env).map_err(|error| Error::io("preparing a segment", error))?;
        self.pools.prepare()?;
        let len = {
            let writer = self.writer.lock();
            if !writer.log.wants_spare() {
                return Ok(());
            }
            self.log_segment_len(writer.ledger.total())
        };
        let segment = self.maker.create(SegmentKind::Log, 0, len, LogStart::default())?;
        self.writer.lock().log.keep_spare(segment, len);
        Ok(())
    }

    /// What is due now.
    pub fn due(&self) -> Due {
        let writer = self.writer.lock();
        let full = writer.view.index.active.bytes() > self.settings.delta_bytes;
        Due {
            checkpoint: full || writer.since_checkpoint > self.log_bound(&writer),
            sync: writer.log.is_dirty() || self.pools.is_dirty(),
        }
    }

    /// Closes the store in peace: everything durable, the index up to date, the lock free.
    pub fn close(&self) -> Result<()> {
        self.check_here()?;
        let was_closed = self.closed.load(std::sync::atomic::Ordering::Acquire);
        if was_closed {
            return self.displacement();
        }
        self.refuse_inside_turn()?;
        let mut state = self.checkpointing.lock();
        let unwritable = self.read_only || self.failed.get().is_some();
        let _ = self.env.look_again();
        let in_peace = if unwritable { Ok(()) } else { self.close_in_peace(&mut state) };
        // What was lost with the directory failed for that.
        let closed = self.displacement().and(in_peace);
        // With the turn, and behind every checkpoint: whoever comes later finds the store closed, and only then
        // may somebody else open it.
        let turn = self.writer.lock();
        self.closed.store(true, std::sync::atomic::Ordering::Release);
        drop(turn);
        self.feed.ring();
        *self.lock.lock() = None;
        self.leave();
        closed
    }

    /// What a writer has to be told who has written to a directory that is not the store's any more.
    fn displacement(&self) -> Result<()> {
        match self.env.lost() {
            Some(why) if !self.read_only => Err(Error::displaced(why)),
            _ => Ok(()),
        }
    }

    fn close_in_peace(&self, state: &mut Checkpointing) -> Result<()> {
        self.pools.seal_idle();
        self.writer.lock().log.check_name().map_err(|error| self.poison(error))?;
        if state.frozen.is_some() {
            self.checkpoint_once(state, Round::Usual)?;
        }
        let was_open = self.superblock.newest();
        let nothing_written = self.writer.lock().view.lsn == 0 && was_open.checkpoint.is_none();
        if nothing_written {
            return Ok(());
        }
        self.checkpoint_once(state, Round::Closing)
    }
}
