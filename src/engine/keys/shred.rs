//! Shredding: what is dead is emptied out of its segments, and then nothing is left that opens it.
//!
//! Everything in a segment hangs on the segment's secret, and the index on the shred root. So to lose the dead for good:
//!
//! 1. Every segment with something dead in it is relocated, and goes out of the table with a checkpoint. Nothing is kept
//!    for the feed.
//! 2. Tombstones, which tell the names of what is gone, go next: no older row is left that they would have to hide, for
//!    it would be dead, and whatever it lay in was emptied.
//! 3. A new shred root is drawn. The newest tree is written into the other index file under it, and the secrets of the
//!    segments in the table into a new file of kept secrets (`kept.rs`).
//! 4. One slot of the superblock names all of that at once. Before it the old root counts, behind it the new one; then
//!    the other slots are written over, and what hung on the old root goes.
//!
//! Whatever of the old files is left after 4, in another's hands or on the disk, is opened by no key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use parking_lot::MutexGuard;

use crate::crypto::{SecretKey, ShredRoot};
use crate::engine::directory::segment_keys;
use crate::engine::proposal::ledger::Tombstone;
use crate::engine::relocate::batch::is_stray;
use crate::engine::state::engine::Engine;
use crate::engine::view::spaces::{FORWARD_SPACE, forward_key};
use crate::engine::view::view::{View, decode};
use crate::error::{Error, ErrorKind, Result};
use crate::format::commit::{self, Change};
use crate::format::entry::Extent;
use crate::format::frame::Kind;
use crate::format::segment_header::{HEADER_LEN, SegmentKind};
use crate::format::superblock::{SLOTS, Superblock};
use crate::index::NewItem;
use crate::segment::{End, Scan, Segment};

/// How many tombstones, or rows that lead to nothing, are dropped in one turn.
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

    /// Waits until everything is committed that is being copied from one place to another.
    pub fn await_moves(&self) {
        self.copies.await_earlier();
    }

    /// To be held while something is shredded; waits for whoever does so already.
    pub fn shred_turn(&self) -> MutexGuard<'_, ()> {
        self.shred_turn.lock()
    }

    /// The same, or nothing if somebody is shredding.
    pub fn try_shred_turn(&self) -> Option<MutexGuard<'_, ()>> {
        self.shred_turn.try_lock()
    }

    /// Whether nothing dead is kept for the feed just now.
    pub(in crate::engine) fn keeps_nothing_dead(&self) -> bool {
        self.shredding.load(Ordering::Acquire)
    }

    /// Goes on in new segments, and answers the ids of those in which something may lie that is dead by now, and the last
    /// commit of now. What is made later has nothing of it.
    pub fn segments_so_far(&self) -> Result<(Vec<u64>, u64)> {
        // What is being copied at this moment may have been live when it was read.
        self.await_moves();
        let lsn = self.pin().lsn;
        let is_blank = self.writer.lock().log.tail().is_some_and(|tail| tail.offset <= HEADER_LEN as u64);
        if is_blank {
            self.pools.seal_idle();
        } else {
            self.seal_all()?;
        }
        let end = self.writer.lock().log.end();
        let table = self.tables.current();
        let of_log = |segment: &Segment| segment.header.kind == SegmentKind::Log;
        let closed = table.iter().filter(|segment| !of_log(segment) || segment.id() < end.segment);
        Ok((closed.map(|segment| segment.id()).collect(), lsn))
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
                // Nothing is packed where everything is sealed.
                Kind::Continue | Kind::Bodies => {}
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
            Some(id) => {
                self.in_the_way.store(*id, Ordering::Release);
                Err(in_the_way(*id))
            }
        }
    }

    /// Whether what was in the way of the last shredding is gone; before that it need not be begun again.
    ///
    /// # Errors
    /// `Busy` if it is not, or while a backup is being written.
    pub fn check_nothing_in_the_way(&self) -> Result<()> {
        let id = self.in_the_way.load(Ordering::Acquire);
        self.pools.seal_if_idle(id);
        if self.is_written(id) {
            return Err(in_the_way(id));
        }
        self.in_the_way.store(0, Ordering::Release);
        if self.backups.load(Ordering::Acquire) > 0 { Err(backup_in_the_way()) } else { Ok(()) }
    }

    /// Whether nothing older can come back that a tombstone of this commit would have to hide.
    pub(in crate::engine) fn hides_nothing(&self, lsn: u64) -> bool {
        lsn <= self.emptied_to.load(Ordering::Acquire)
    }

    /// Drops the tombstones in these log segments that hide nothing any more, and answers the segments that told of any:
    /// they are to be emptied as well. Every segment with something in it that was dead at the commit `lsn` is emptied.
    pub fn drop_tombstones(&self, ids: &[u64], lsn: u64) -> Result<BTreeSet<u64>> {
        if self.checkpointing.lock().keeps_logs() {
            // Their files are there as long as a reader has them, and would bring back what the tombstones hide.
            self.replace_shred_root()?;
        }
        // What was dead then is in no segment now. What died since lies in segments that were looked at before.
        self.emptied_to.store(lsn, Ordering::Release);
        let told = self.drop_tombstones_of(ids);
        self.emptied_to.store(0, Ordering::Release);
        told
    }

    fn drop_tombstones_of(&self, ids: &[u64]) -> Result<BTreeSet<u64>> {
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
        let (mut any, mut told) = (false, false);
        for key in keys {
            let Some(item) = view.index.get(key)? else {
                // A checkpoint has come by it already.
                told = true;
                continue;
            };
            if !item.tombstone {
                continue;
            }
            let tombstone = Tombstone::decode(item.value())?;
            let needed =
                oldest.is_some_and(|oldest| tombstone.made >= oldest) && !self.hides_nothing(item.lsn);
            if tombstone.home != home || needed {
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
        Ok(any || told)
    }

    /// Removes the forwarding rows that lead to nothing any more: they name who has had a body.
    pub fn drop_stray_forwards(&self) -> Result<()> {
        let view = self.pin();
        let mut stray = Vec::new();
        let mut cursor = view.index.cursor();
        cursor.seek(&[FORWARD_SPACE])?;
        while let Some(key) = cursor.key().filter(|key| key.first() == Some(&FORWARD_SPACE)) {
            let item =
                cursor.item()?.ok_or_else(|| Error::corrupt("the index", 0, "a key without an item"))?;
            let owner = view.stored(&item)?.payload.into_owned();
            if is_stray(&view, key, &owner)? {
                stray.push((key.to_vec(), item.lsn));
            }
            drop(item);
            if stray.len() >= AT_ONCE {
                self.drop_done(std::mem::take(&mut stray))?;
            }
            cursor.next()?;
        }
        self.drop_done(stray)
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
            return Err(backup_in_the_way());
        }
        self.checkpoint_with(&mut state)?;
        // Left by an attempt that a full disk has ended.
        segment_keys::remove_others(&self.env, &self.dir, ring.shred_name())?;
        self.rewrite(&mut state, Some(ring.new_shred()), &mut || Ok(()))?;
        // The others are written over, because the old root stands in them.
        for _ in 1..SLOTS {
            self.superblock.update(&self.env, |_| {}).map_err(|error| self.poison(error))?;
        }
        self.superblock.set_uniform();
        segment_keys::remove_others(&self.env, &self.dir, ring.shred_name())
    }

    /// Names a state that was written under a new shred root, together with the root and the secrets that are kept.
    pub(in crate::engine) fn turn_to_shred_root(
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
            segment_keys::write(
                &self.env,
                &self.dir,
                shred.name(),
                &segment_keys::encode(ring, &shred, &secrets),
            )?;
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

fn in_the_way(segment: u64) -> Error {
    Error::new(
        ErrorKind::Busy,
        "OperationConflict",
        format!(
            "what is to be shredded is deleted, but remains of it lie in segment {segment}, which a body is being \
             written to; when that has ended, maintenance goes on with it, or `Store::finish_shredding`"
        ),
    )
}

fn backup_in_the_way() -> Error {
    Error::new(
        ErrorKind::Busy,
        "OperationConflict",
        "a backup is being written; when that has ended, maintenance goes on with the shredding, or \
         `Store::finish_shredding`",
    )
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

/// Whether a body in a bulk segment is that of a row: of the one that it was written for, or of one that came by it. Not
/// if what it was written for is gone: beside the body stands its name.
fn body_is_live(view: &View, owner: &[u8], segment: &Segment, offset: u64, len: u64) -> Result<bool> {
    let owns = |key: &[u8]| -> Result<bool> {
        let here = |extent: Extent| extent.segment == segment.id() && extent.offset == offset;
        let Some(item) = view.index.get(key)?.filter(|item| !item.tombstone) else { return Ok(false) };
        Ok(decode(item.value())?.extents().any(here))
    };
    if owns(owner)? {
        return Ok(true);
    }
    let is_there =
        |key: &[u8]| -> Result<bool> { Ok(view.index.get(key)?.is_some_and(|item| !item.tombstone)) };
    let forward = forward_key(&Extent { segment: segment.id(), offset, len });
    match view.index.get(&forward)?.filter(|item| !item.tombstone) {
        Some(item) if is_there(owner)? => owns(&view.stored(&item)?.payload),
        _ => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::api::{Maintenance, Store};
    use crate::crypto::{Chance, Keyring, SEAL_LEN, StaticKey, Wrapped};
    use crate::env::{Env, MemoryVfs, OpenMode, Site, Vfs};
    use crate::format::page::PAGE;
    use crate::format::segment_header::SegmentHeader;
    use crate::format::superblock::SLOT_LEN;

    const DIR: &str = "/store";

    #[derive(Debug)]
    struct NoChance;

    impl Chance for NoChance {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0);
        }
    }

    fn bytes_of(vfs: &dyn Vfs, name: &str) -> Vec<u8> {
        let file = vfs.open(&Path::new(DIR).join(name), OpenMode::Read, Site("test")).unwrap();
        let mut bytes = vec![0; file.size().unwrap() as usize];
        file.read_exact_at(&mut bytes, 0, Site("test")).unwrap();
        bytes
    }

    /// What each slot of the superblock and every file of kept secrets leads to, for whoever has the key.
    fn rings(env: &Env) -> Vec<Keyring> {
        let slots = bytes_of(&*env.vfs, crate::engine::directory::files::SUPERBLOCK);
        let ring = |slot: &[u8]| {
            let block = Superblock::decode(slot).unwrap();
            let keys = *block.keys.unwrap();
            let wrapped = Wrapped {
                key_id: keys.key_id,
                root: keys.root,
                commitment: keys.commitment,
                shred: keys.shred,
            };
            let provider = StaticKey::new([7; 32]);
            let ring = Keyring::open(&provider, &wrapped, block.store_id, b"", Arc::new(NoChance)).unwrap();
            segment_keys::load_all(env, Path::new(DIR), &ring);
            ring
        };
        slots.chunks_exact(SLOT_LEN).filter(|slot| slot.iter().any(|byte| *byte != 0)).map(ring).collect()
    }

    fn open(vfs: &Arc<MemoryVfs>) -> Store {
        let vfs: Arc<dyn Vfs> = vfs.clone();
        let builder = Store::builder(DIR).vfs(vfs).maintenance(Maintenance::Manual);
        builder.key_provider(StaticKey::new([7; 32])).open().unwrap()
    }

    fn index(store: &Store) -> (u8, Vec<u8>) {
        let env = store.engine().env();
        let number = store.engine().superblock.newest().index_file;
        (number, bytes_of(&*env.vfs, crate::engine::directory::files::INDEX_FILES[usize::from(number)]))
    }

    fn opens_page(ring: &Keyring, (number, bytes): &(u8, Vec<u8>)) -> bool {
        let sealer = ring.pages(*number);
        let pages = bytes.chunks_exact(PAGE + SEAL_LEN).zip(0u64..);
        pages.into_iter().any(|(page, at)| sealer.open(&at.to_le_bytes(), &mut page.to_vec()).is_ok())
    }

    #[test]
    fn no_slot_and_no_file_leads_to_the_keys_of_what_was_shredded() {
        let vfs = Arc::new(MemoryVfs::new());
        let store = open(&vfs);
        let bucket = store.create_bucket("letters").unwrap();
        for n in 0..40 {
            bucket.put(&format!("secret/{n}"), vec![n; 20_000]).unwrap();
            bucket.put(&format!("stays/{n}"), vec![n; 20_000]).unwrap();
        }
        bucket.put("secret/long", vec![1; 700_000]).unwrap();
        store.checkpoint().unwrap();
        let headers = |store: &Store| -> Vec<SegmentHeader> {
            store.engine().segments().iter().map(|segment| segment.header).collect()
        };
        let (old, old_index) = (headers(&store), index(&store));
        let env = store.engine().env().clone();
        let finds = |ring: &Keyring, header: &SegmentHeader| {
            ring.secret(header.id, header.nonce, header.shred).is_some()
        };
        assert!(rings(&env).iter().all(|ring| old.iter().all(|header| finds(ring, header))));
        assert!(rings(&env).iter().all(|ring| opens_page(ring, &old_index)));

        bucket.shred_prefix("secret/").unwrap();
        let now = headers(&store);
        let gone: Vec<_> = old.iter().filter(|header| !now.contains(header)).collect();
        assert_eq!(gone.len(), old.len(), "all of them held something of it");
        let all = rings(&env);
        assert_eq!(all.len() as u64, SLOTS);
        for ring in &all {
            assert!(!gone.iter().any(|header| finds(ring, header)) && !opens_page(ring, &old_index));
            assert!(now.iter().all(|header| finds(ring, header)) && opens_page(ring, &index(&store)));
        }

        // Neither the names of what is gone are left in the index, tombstones included.
        let view = store.engine().pin();
        let mut cursor = view.index.cursor();
        cursor.seek(&[]).unwrap();
        while let Some(key) = cursor.key() {
            assert!(!key.windows(7).any(|window| window == b"secret/"), "{}", key.escape_ascii());
            cursor.next().unwrap();
        }
    }

    #[test]
    fn what_has_nothing_dead_in_it_stays_where_it_is() {
        let vfs = Arc::new(MemoryVfs::new());
        let store = open(&vfs);
        let bucket = store.create_bucket("letters").unwrap();
        bucket.put("stays", vec![1; 700_000]).unwrap();
        store.engine().seal_all().unwrap();
        let stays =
            store.engine().segments().iter().find(|s| s.header.kind == SegmentKind::Bulk).unwrap().id();
        assert!(!store.engine().has_remains(stays).unwrap());
        bucket.put("goes", vec![2; 700_000]).unwrap();
        bucket.shred("goes").unwrap();
        assert!(store.engine().segments().contains(stays));
        assert_eq!(bucket.get("stays").unwrap().bytes().unwrap(), vec![1; 700_000]);
    }

    #[test]
    fn slots_with_other_keys_are_written_over_at_the_next_opening() {
        let vfs = Arc::new(MemoryVfs::new());
        let store = open(&vfs);
        let bucket = store.create_bucket("letters").unwrap();
        bucket.put("one", b"one").unwrap();
        bucket.shred("none").unwrap();
        let old = bytes_of(&*vfs, "SUPERBLOCK");
        bucket.shred("none").unwrap();
        store.close().unwrap();
        // One slot is as it was before, as a crash would leave it, and one is torn.
        let mut slots = bytes_of(&*vfs, "SUPERBLOCK");
        let oldest = (0..4).min_by_key(|slot| slots[slot * SLOT_LEN + 16]).unwrap();
        let here = oldest * SLOT_LEN..(oldest + 1) * SLOT_LEN;
        slots[here.clone()].copy_from_slice(&old[here.clone()]);
        let torn = (oldest + 1) % 4 * SLOT_LEN;
        slots[torn + 600] ^= 1;
        let file = vfs.open(&Path::new(DIR).join("SUPERBLOCK"), OpenMode::ReadWrite, Site("test")).unwrap();
        file.write_at(&[std::io::IoSlice::new(&slots)], 0, Site("test")).unwrap();
        drop(file);
        let store = open(&vfs);
        assert!(store.engine().superblock.is_uniform());
        let shreds: BTreeSet<_> = bytes_of(&*vfs, "SUPERBLOCK")
            .chunks_exact(SLOT_LEN)
            .map(|slot| Superblock::decode(slot).unwrap().keys.unwrap().shred)
            .collect();
        assert_eq!(shreds.len(), 1);
        assert_eq!(store.bucket("letters").unwrap().get("one").unwrap().bytes().unwrap(), b"one"[..]);
    }
}
