//! Room on a full disk: what the reserve has to carry, how long segments are so that it can, and how room comes back.
//!
//! A store that is filled to the brim must be emptied out of what it holds in reserve, and every step of that needs room
//! before it gives any. So three things hold at any time (ADR 0027):
//! 1. The checkpoint that would be made now has room: in free pages of the index and in the reserve, which grows with the
//!    delta, or else a checkpoint is made before more is taken in.
//! 2. What is live in any one segment fits into the part of the reserve that relocation may use: segments grow only behind it.
//! 3. A delete finds room for its record, or makes some.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use super::usage::{Relocated, SegmentUse};
use crate::engine::proposal::proposal::{Change, NewBody, What};
use crate::engine::state::engine::Engine;
use crate::engine::state::room::{SHARE, SHORTEST, SMALL, level_of_disk};
use crate::engine::view::view::View;
use crate::error::{Error, ErrorKind, Result, is_full};
use crate::format::page::PAGE;
use crate::index::{Delta, pages_needed};
use crate::segment::{Reserve, Spender};

/// What relocating a segment needs beside what is live in it: heads of segments, records of moves.
const BESIDE: u64 = 64 << 10;

/// Garbage for which a segment is relocated on a full disk, and for which if nothing else is to be had.
const WORTH: u64 = 32 << 10;

const LITTLE: u64 = 16 << 10;

/// How many changes may wait while there is no room for their checkpoint, if nothing can be done about that.
const FEW: usize = 16;

/// How much of a segment is moved in one step.
const STEP: u64 = 4 << 20;

/// What relocating a segment of which so much is live may take.
fn cost(live: u64) -> u64 {
    live + live / 32 + BESIDE
}

impl Engine {
    /// How long new segments are: short in a small store, so that its garbage is not locked up in the segment that is still
    /// open, and never longer than what the reserve can carry.
    pub(in crate::engine) fn log_segment_len(&self, live: u64) -> u64 {
        let most = self.settings.segment_size;
        let mut len = (live / SHARE).max(SMALL);
        if self.reserve.level() > 0 {
            len = len.min(self.reserve.level() / 2);
        }
        len.max(SHORTEST).min(most).next_multiple_of(4096)
    }

    /// What is to be kept in reserve while so much is live: twice the longest segment.
    fn level_for(&self, live: u64) -> u64 {
        (live / SHARE).min(self.settings.segment_size) * 2
    }

    /// Keeps the reserve in step with the store.
    pub(in crate::engine) fn keep_reserve_in_step(&self) {
        if self.settings.reserve_bytes == 0 || !self.reserve.is_whole() {
            return;
        }
        let (live, owed) = {
            let writer = self.writer.lock();
            (writer.ledger.total(), self.checkpoint_bytes(&writer.view, 0, 0))
        };
        self.reserve.set_owed(owed);
        let (least, wanted) = (self.room_level(), self.level_for(live));
        if wanted < self.reserve.level() / 2 && least < self.reserve.level() {
            let longest = self.tables.current().iter().map(|s| self.taken(s.path())).max().unwrap_or(0);
            self.reserve.lower(wanted.max(least).max(longest * 2));
        }
        for reserve in self.pools.reserves_elsewhere().chain([&self.reserve]) {
            if reserve.level() > 0 {
                reserve.raise(&self.env, wanted);
            }
        }
        self.reserve.trim(&self.env);
    }

    /// What is kept in reserve however small the store is.
    fn room_level(&self) -> u64 {
        level_of_disk(self.settings.reserve_bytes, self.env.vfs.volume(&self.dir).bytes)
    }

    fn taken(&self, path: &std::path::Path) -> u64 {
        self.env.vfs.allocated(path).unwrap_or(0)
    }

    /// Takes note of the pages of the index, after a checkpoint.
    pub(in crate::engine) fn note_pages(&self, pages: &crate::index::PageFile, path: &std::path::Path) {
        let used = pages.file_pages().saturating_sub(pages.free_pages());
        let free = (self.taken(path) / pages.stride()).saturating_sub(used);
        self.room.used.store(used, Ordering::Relaxed);
        self.room.free.store(if self.room.in_place { free } else { 0 }, Ordering::Relaxed);
    }

    /// How many bytes of disk the checkpoint of a view needs, with so many changes more, beyond what the index file has.
    fn checkpoint_bytes(&self, view: &View, items: usize, bytes: usize) -> u64 {
        let used = self.room.used.load(Ordering::Relaxed);
        let of = |delta: &Delta, items, bytes| pages_needed(delta.len() + items, delta.bytes() + bytes, used);
        let frozen = view.index.frozen.as_ref().map_or(0, |delta| of(delta, 0, 0));
        // Its own rows of segments come with it.
        let rows = view.segments.iter().count() as u64 / 32;
        let pages = of(&view.index.active, items, bytes) + frozen + rows;
        pages.saturating_sub(self.room.free.load(Ordering::Relaxed)) * (PAGE as u64 + 64)
    }

    /// Sees to it that the checkpoint of `working` with these changes will have room; an error if a checkpoint has to come
    /// first.
    pub(in crate::engine) fn secure_checkpoint(
        &self,
        working: &View,
        changes: &[Change],
        spender: Option<Spender>,
    ) -> Result<()> {
        let bytes = changes.iter().map(index_bytes).sum();
        let needed = self.checkpoint_bytes(working, changes.len(), bytes);
        match self.reserve.provide(&self.env, needed) {
            Ok(()) => {
                self.reserve.set_owed(needed);
                return Ok(());
            }
            // A failure of another kind may pass, and is no reason to keep anybody from deleting.
            Err(error) if !is_full(&error) && spender.is_none() => {
                return Err(Error::io("taking room for a checkpoint", error));
            }
            Err(_) => {}
        }
        // With the turn held, nobody can make one; and where hardly anything waits, none would help.
        let helps = working.index.active.len() >= FEW && !self.holds_exclusive();
        match spender {
            Some(_) if !helps => Ok(()),
            _ => Err(Error::checkpoint_first()),
        }
    }

    /// How many rows relocation moves in one commit: no more than a checkpoint on a full disk can carry.
    pub(in crate::engine) fn rows_in_step(&self, most: usize) -> usize {
        if !self.is_tight() || self.reserve.level() == 0 {
            return most;
        }
        let pages = self.reserve.share() / PAGE as u64 + self.room.free.load(Ordering::Relaxed);
        (pages / 3).clamp(8, most as u64) as usize
    }

    /// Whether room is short: a part of the reserve is spent, or somebody found no room.
    pub fn is_tight(&self) -> bool {
        !self.reserve.is_whole() || self.room.short.load(Ordering::Acquire)
    }

    /// Takes note that somebody found no room, and calls maintenance.
    pub(in crate::engine) fn note_short(&self) {
        if !self.room.short.swap(true, Ordering::AcqRel) {
            self.wake.raise();
        }
    }

    /// Whether room is short and a checkpoint would give some back at once: what was taken for it.
    pub(in crate::engine) fn gives_room_back(&self) -> bool {
        let beyond = self.reserve.held().saturating_sub(self.reserve.level());
        self.room.short.load(Ordering::Acquire) && beyond > self.reserve.level() / 4
    }

    /// After a commit that found no room: whether it is worth another try.
    pub(in crate::engine) fn relieve(&self, error: &Error, who: Option<Spender>, tries: u32) -> bool {
        if self.holds_exclusive() {
            return false;
        }
        if error.wants_checkpoint() {
            return tries < 3 && self.checkpoint().is_ok();
        }
        self.note_short();
        match who {
            None => tries == 0 && self.gives_room_back() && self.checkpoint().is_ok(),
            Some(Spender::Delete) => {
                let mut gained = false;
                while !gained || self.reserve.budget(Spender::Delete) == 0 {
                    match self.gain_room(5, WORTH).and_then(|did| Ok(did || self.gain_room(0, LITTLE)?)) {
                        Ok(true) => gained = true,
                        _ if gained => return true,
                        // Nothing is there that could be given back, so nobody else needs it now.
                        _ => {
                            let before = self.reserve.budget(Spender::Delete);
                            self.reserve.set_last_resort();
                            return self.reserve.budget(Spender::Delete) > before;
                        }
                    }
                }
                true
            }
            Some(_) => false,
        }
    }

    /// Gives room back on a full disk: a checkpoint, so that what is dead goes; then the segment that gives most back of
    /// those that the reserve can carry is relocated. Does nothing while all of the reserve is there and at most
    /// `garbage_percent` of the bytes are garbage. Says whether it helped.
    pub fn give_room_back(&self, garbage_percent: u8) -> Result<bool> {
        self.gain_room(garbage_percent, WORTH)
    }

    /// The same, relocating segments with at least `worth` bytes of garbage.
    fn gain_room(&self, garbage_percent: u8, worth: u64) -> Result<bool> {
        self.refuse_inside_turn()?;
        let _one = self.room.making.lock();
        self.check_writable()?;
        let dead =
            |uses: &[SegmentUse]| uses.iter().any(|each| each.sealed && each.live == 0 && !each.for_feed);
        if dead(&self.segment_uses()) || !self.view.load().index.active.is_empty() {
            let before = self.tables.current().iter().count();
            self.checkpoint()?;
            if self.tables.current().iter().count() < before {
                return Ok(true);
            }
        }
        let mut passed_over = BTreeSet::new();
        let mut sealed = false;
        loop {
            let uses = self.segment_uses();
            if self.reserve.is_whole() && !is_wasteful(&uses, garbage_percent) {
                self.room.short.store(false, Ordering::Release);
                return Ok(false);
            }
            let Some(victim) = self.victim(&uses, &passed_over, worth) else {
                // What is open may be garbage as well.
                if sealed || !uses.iter().any(|each| !each.sealed && is_worth(each, worth)) {
                    self.room.short.store(false, Ordering::Release);
                    return Ok(false);
                }
                sealed = true;
                match self.seal_all() {
                    Err(error) if error.is_full() && !error.is_fatal() => return Ok(false),
                    done => done?,
                }
                continue;
            };
            if self.empty(victim)? {
                return Ok(true);
            }
            passed_over.insert(victim);
        }
    }

    /// The segment with the largest share of garbage, of those of which what is live fits into the reserve.
    fn victim(&self, uses: &[SegmentUse], passed_over: &BTreeSet<u64>, worth: u64) -> Option<u64> {
        let fits = |each: &&SegmentUse| {
            let reserve = self.reserve_of(each.id);
            cost(each.live) <= reserve.budget(Spender::Relocation).max(self.reserve.budget(Spender::Delete))
        };
        let share =
            |each: &SegmentUse| each.taken.saturating_sub(each.live) as f64 / each.taken.max(1) as f64;
        uses.iter()
            .filter(|each| {
                each.sealed && each.live > 0 && is_worth(each, worth) && !passed_over.contains(&each.id)
            })
            .filter(fits)
            .max_by(|a, b| share(a).total_cmp(&share(b)).then(b.id.cmp(&a.id)))
            .map(|each| each.id)
    }

    /// The reserve of the disk that a segment lies on.
    fn reserve_of(&self, segment: u64) -> std::sync::Arc<Reserve> {
        let table = self.tables.current();
        let tier = table.get(segment).map_or(0, |segment| segment.header.tier);
        self.pools.of(tier).reserve().clone()
    }

    /// Relocates a segment and gives its room back. Says whether that could be done.
    fn empty(&self, segment: u64) -> Result<bool> {
        let mut progress = Relocated::of(segment);
        {
            let reserve = self.reserve_of(segment);
            let _loans = (self.reserve.lend(), reserve.lend());
            while !progress.done {
                match self.relocate(&mut progress, STEP) {
                    Ok(()) => {}
                    Err(error) if error.is_fatal() => return Err(error),
                    Err(error)
                        if matches!(error.kind(), ErrorKind::Quota | ErrorKind::Corrupt | ErrorKind::Io) =>
                    {
                        return Ok(false);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        self.checkpoint()?;
        Ok(true)
    }

    /// Spends a part of what is kept free on the disks that a relocation out of this segment writes to.
    pub(in crate::engine) fn spend_for(&self, segment: u64) -> bool {
        let reserve = self.reserve_of(segment);
        let elsewhere = !reserve.is_home() && reserve.spend(&self.env, Spender::Relocation);
        self.reserve.spend(&self.env, Spender::Relocation) || elsewhere
    }
}

fn is_worth(each: &SegmentUse, worth: u64) -> bool {
    // Where much is to be had, segments with very little of it are left alone.
    let share = if worth == WORTH { each.taken / 64 } else { 0 };
    each.taken.saturating_sub(each.live) >= worth.max(share)
}

/// Whether more than so many percent of the bytes of segments are garbage.
fn is_wasteful(uses: &[SegmentUse], percent: u8) -> bool {
    let taken: u64 = uses.iter().map(|each| each.taken).sum();
    let garbage: u64 = uses.iter().map(|each| each.taken.saturating_sub(each.live)).sum();
    garbage.saturating_mul(100) > taken.saturating_mul(u64::from(percent))
}

/// About how many bytes of the index a change takes.
fn index_bytes(change: &Change) -> usize {
    let what = match &change.what {
        What::Delete => 0,
        What::Put { body, payload, .. } => {
            payload.len()
                + match body {
                    NewBody::None | NewBody::Packed(..) => 32,
                    NewBody::Inline(bytes) => bytes.len(),
                    NewBody::Extents(extents) => 32 * extents.len(),
                    NewBody::Shared(shared) => 64 + 32 * shared.hint.len(),
                }
        }
    };
    change.key.len() + what + 64
}
