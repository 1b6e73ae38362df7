//! Shredding: what is dead is emptied out of its segments, and then nothing is left that opens it.
//!
//! Everything in a segment hangs on the segment's secret, and the index on the shred root. So to lose the dead for good:
//!
//! 1. Every segment with something dead in it is relocated, and goes out of the table with a checkpoint. Nothing is kept
//!    for the feed.
//! 2. Tombstones, which tell the names of what is gone, go next: no older row is left that they would have to hide.
//! 3. A new shred root is drawn. The newest tree is written into the other index file under it, and the secrets of the
//!    segments in the table into a new file of kept secrets (`kept.rs`).
//! 4. One slot of the superblock names all of that at once. Before it the old root counts, behind it the new one; then
//!    the other slots are written over, and what hung on the old root goes.
//!
//! Whatever of the old files is left after 4, in another's hands or on the disk, is opened by no key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use parking_lot::RwLockReadGuard;

use super::ledger::Tombstone;
use super::relocate::forward_key;
use super::view::{View, decode};
use super::{Engine, kept};
use crate::crypto::{SecretKey, ShredRoot};
use crate::error::{Error, ErrorKind, Result};
use crate::format::commit::{self, Change};
use crate::format::entry::Extent;
use crate::format::frame::Kind;
use crate::format::segment_header::SegmentKind;
use crate::format::superblock::{SLOTS, Superblock};
use crate::index::NewItem;
use crate::segment::{End, Scan, Segment};

/// How many tombstones are dropped in one turn.
const AT_ONCE: usize = 1024;

impl Engine {
    /// Refuses unless what is dead in this store can be shredded.
    pub fn check_shreddable(&self) -> Result<()> {
        if self.ring().is_none() {
            return Err(Error::invalid(
                "InvalidArgument",
                "only an encrypted store can shred: open a new store with a key provider and copy what is to stay \
                 into it; in this one, delete and then compact, which gives the space back but erases nothing",
            ));
        }
        self.check_writable()?;
        self.refuse_inside_turn()?;
        match self.tables.current().out_of_service() {
            // The secrets of segments that cannot be seen would be lost with the rest.
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// To be held while bytes are copied from one place to another.
    pub fn begin_move(&self) -> RwLockReadGuard<'_, ()> {
        self.moves.read()
    }

    /// Whether nothing dead is kept for the feed just now.
    pub(super) fn keeps_nothing_dead(&self) -> bool {
        self.shredding.load(Ordering::Acquire)
    }

    /// Goes on in new segments, and answers the ids of those in which something may lie that is dead by now. What is
    /// made later has nothing of it.
    pub fn segments_so_far(&self) -> Result<Vec<u64>> {
        // What is being copied at this moment may have been live when it was read.
        drop(self.moves.write());
        self.seal_all()?;
        let end = self.writer.lock().log.end();
        let table = self.tables.current();
        let of_log = |segment: &Segment| segment.header.kind == SegmentKind::Log;
        let closed = table.iter().filter(|segment| !of_log(segment) || segment.id() < end.segment);
        Ok(closed.map(|segment| segment.id()).collect())
    }

    /// Whether something lies in a segment that nothing needs; `false` for one that is gone.
    pub fn has_remains(&self, id: u64) -> Result<bool> {
        let Some(segment) = self.tables.current().get(id).ok().cloned() else { return Ok(false) };
        let view = self.pin();
        let mut scan = match segment.header.kind {
            SegmentKind::Log => Scan::new(&segment, 0, None)?,
            SegmentKind::Bulk => Scan::of_frames(&segment, 0)?,
        };
        let (mut bodies, mut live) = (BTreeSet::new(), BTreeSet::new());
        loop {
            let at = scan.position();
            let record = match scan.next(false)? {
                Ok(record) => record,
                Err(End::Continues(_)) => break,
                Err(end) => {
                    // A body that was never finished, or damage.
                    if end != End::Clean || !scan.rest_is_blank()? {
                        return Ok(true);
                    }
                    break;
                }
            };
            let (offset, frame) = (record.offset, record.frame);
            match frame.kind {
                Kind::Commit | Kind::Moves => {
                    let moves = frame.kind == Kind::Moves;
                    let unreadable = |reason| segment.corrupt(at, reason);
                    let (_, changes) = commit::open(record.payload, moves).map_err(unreadable)?;
                    for change in changes {
                        let change = change.map_err(unreadable)?;
                        let Some(extents) = row_is_live(&view, &change, frame.word, id)? else {
                            return Ok(true);
                        };
                        live.extend(extents);
                    }
                }
                Kind::Blob if segment.header.kind == SegmentKind::Log => drop(bodies.insert(offset)),
                Kind::Blob => {
                    let owner = scan.owner(offset, &frame)?;
                    if !body_is_live(&view, &owner, &segment, offset, frame.word)? {
                        return Ok(true);
                    }
                }
                Kind::Void => return Ok(true),
                Kind::Continue => {}
            }
        }
        Ok(bodies != live)
    }

    /// Whether a segment hangs on another shred root than the one of this name.
    pub fn hangs_on_other(&self, id: u64, shred: u64) -> bool {
        self.tables.current().get(id).is_ok_and(|segment| segment.header.shred != shred)
    }

    /// Whether bodies may still be added to a segment.
    pub fn is_written(&self, id: u64) -> bool {
        self.pools.is_open(id) || self.tables.current().get(id).is_ok_and(|segment| segment.is_awaited())
    }

    /// Lets emptied segments go for good.
    ///
    /// # Errors
    /// `Busy` if one of them is still in use.
    pub fn drop_emptied(&self, emptied: &BTreeSet<u64>) -> Result<()> {
        self.shredding.store(true, Ordering::Release);
        let done = self.checkpoint();
        self.shredding.store(false, Ordering::Release);
        done?;
        let table = self.tables.current();
        match emptied.iter().find(|id| table.contains(**id)) {
            None => Ok(()),
            Some(id) => Err(Error::new(
                ErrorKind::Busy,
                "OperationConflict",
                format!(
                    "what is to be shredded is deleted, but remains of it lie in segment {id}, which a body is being \
                     written to; when that has ended, maintenance goes on with it, or `Store::finish_shredding`"
                ),
            )),
        }
    }

    /// Drops the tombstones in these log segments that hide nothing any more, and answers the segments that told of any:
    /// they are to be emptied as well.
    pub fn drop_tombstones(&self, ids: &[u64]) -> Result<BTreeSet<u64>> {
        let mut told = BTreeSet::new();
        for id in ids {
            let Some(segment) = self.tables.current().get(*id).ok().cloned() else { continue };
            if segment.header.kind != SegmentKind::Log {
                continue;
            }
            let mut keys = Vec::new();
            let mut scan = Scan::new(&segment, 0, None)?;
            while let Ok(record) = scan.next(false)? {
                if !matches!(record.frame.kind, Kind::Commit | Kind::Moves) {
                    continue;
                }
                let unreadable = |reason| segment.corrupt(record.offset, reason);
                let (_, changes) =
                    commit::open(record.payload, record.frame.kind == Kind::Moves).map_err(unreadable)?;
                for change in changes {
                    if let change @ Change::Delete { .. } = change.map_err(unreadable)? {
                        keys.push(change.key().to_vec());
                    }
                }
            }
            for keys in keys.chunks(AT_ONCE) {
                if self.touch_tombstones(keys, *id)? {
                    told.insert(*id);
                }
            }
        }
        if !told.is_empty() {
            self.checkpoint()?;
        }
        Ok(told)
    }

    /// Says tombstones again that lie in this segment, in memory only: the next checkpoint comes by them and drops those
    /// that are of no use any more. Says whether there were any.
    fn touch_tombstones(&self, keys: &[Vec<u8>], home: u64) -> Result<bool> {
        let oldest = self.tables.current().iter().find(|s| s.header.kind == SegmentKind::Log).map(|s| s.id());
        let mut writer = self.writer.lock();
        self.check_writable()?;
        let mut view = View::clone(&writer.view);
        let mut any = false;
        for key in keys {
            let Some(item) = view.index.get(key)?.filter(|item| item.tombstone) else { continue };
            let tombstone = Tombstone::decode(item.value())?;
            if tombstone.home != home || oldest.is_some_and(|oldest| tombstone.made >= oldest) {
                continue;
            }
            let (lsn, weight, value) = (item.lsn, item.weight, item.value().to_vec());
            drop(item);
            let item = NewItem { lsn, tombstone: true, weight, value: &value };
            view.index.put(key, item, &mut |_| {})?;
            any = true;
        }
        if any {
            writer.view = std::sync::Arc::new(view);
            self.view.store(writer.view.clone());
        }
        Ok(any)
    }

    /// Draws a new shred root. What hung on the old one and is not in use now is lost for good when this has come back.
    ///
    /// # Errors
    /// `Busy` while a backup is being written.
    pub fn replace_shred_root(&self) -> Result<()> {
        self.check_shreddable()?;
        let Some(ring) = self.ring() else { return Ok(()) };
        let mut state = self.checkpointing.lock();
        self.check_writable()?;
        if self.backups.load(Ordering::Acquire) > 0 {
            return Err(Error::new(
                ErrorKind::Busy,
                "OperationConflict",
                "a backup is being written; when that has ended, maintenance goes on with the shredding, or \
                 `Store::finish_shredding`",
            ));
        }
        self.checkpoint_with(&mut state)?;
        // Left by an attempt that a full disk has ended.
        kept::remove_others(&self.env, &self.dir, ring.shred_name())?;
        self.rewrite(&mut state, Some(ring.new_shred()))?;
        // The others are written over, because the old root stands in them.
        for _ in 1..SLOTS {
            self.superblock.update(&self.env, |_| {}).map_err(|error| self.poison(error))?;
        }
        self.superblock.set_uniform();
        kept::remove_others(&self.env, &self.dir, ring.shred_name())
    }

    /// Names a state that was written under a new shred root, together with the root and the secrets that are kept.
    pub(super) fn turn_to_shred_root(
        &self,
        shred: ShredRoot,
        name: impl FnOnce(&mut Superblock),
    ) -> Result<()> {
        let Some(ring) = self.ring() else { return Ok(()) };
        // A segment that is made meanwhile would hang on the old root, and nobody would keep its secret.
        self.maker.at_rest(|made| {
            let table = self.tables.current();
            let secrets =
                table.iter().chain(made).filter_map(|segment| Some((segment.id(), segment.secret()?)));
            let secrets: BTreeMap<u64, (u64, SecretKey)> = secrets.collect();
            kept::write(&self.env, &self.dir, shred.name(), &kept::encode(ring, &shred, &secrets))?;
            let wrapped = ring.wrap_shred(&shred);
            let named = self.superblock.update(&self.env, |block| {
                name(block);
                if let Some(keys) = &mut block.keys {
                    keys.shred = wrapped;
                }
            });
            named.map_err(|error| self.poison(error))?;
            ring.turn_to(shred, secrets);
            Ok(())
        })
    }
}

/// The places of the bodies that a live row has in the segment `id`, where this record of it lies; `None` if the row is
/// another one by now.
fn row_is_live(view: &View, change: &Change<'_>, lsn: u64, id: u64) -> Result<Option<Vec<u64>>> {
    let Some(item) = view.index.get(change.key())? else { return Ok(None) };
    let (tombstone, lsn) = match change {
        Change::Put { lsn: moved, .. } => (false, moved.unwrap_or(lsn)),
        Change::Delete { moved, .. } => (true, moved.map_or(lsn, |(lsn, _)| lsn)),
    };
    if item.tombstone != tombstone || item.lsn != lsn {
        return Ok(None);
    }
    if tombstone {
        return Ok((Tombstone::decode(item.value())?.home == id).then(Vec::new));
    }
    let entry = decode(item.value())?;
    let here = entry.extents().filter(|extent| extent.segment == id).map(|extent| extent.offset).collect();
    Ok((entry.home == id).then_some(here))
}

/// Whether a body in a bulk segment is that of a row: of the one that it was written for, or of one that came by it.
fn body_is_live(view: &View, owner: &[u8], segment: &Segment, offset: u64, len: u64) -> Result<bool> {
    let owns = |key: &[u8]| -> Result<bool> {
        let here = |extent: Extent| extent.segment == segment.id() && extent.offset == offset;
        let Some(item) = view.index.get(key)?.filter(|item| !item.tombstone) else { return Ok(false) };
        Ok(decode(item.value())?.extents().any(here))
    };
    if owns(owner)? {
        return Ok(true);
    }
    let forward = forward_key(&Extent { segment: segment.id(), offset, len });
    match view.index.get(&forward)?.filter(|item| !item.tombstone) {
        Some(item) => owns(&view.stored(&item)?.payload),
        None => Ok(false),
    }
}
