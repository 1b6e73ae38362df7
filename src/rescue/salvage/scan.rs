//! Reading a damaged directory: every segment, every row in a whole record, and what is left of the tree.

use std::collections::BTreeMap;
use std::path::Path;

use super::remains::{Candidate, DamagedFile, Highest, Opened, Remains};
use crate::engine::Unlock;
use crate::engine::directory::files::SUPERBLOCK;
use crate::engine::directory::segment_keys;
use crate::engine::keys::unlock;
use crate::env::{Env, OpenMode, Site};
use crate::error::{Error, ErrorKind, Result};
use crate::format::MAX_NUMBER;
use crate::format::commit::Position;
use crate::format::segment_header::{HEADER_LEN, SegmentHeader, SegmentKind};
use crate::format::superblock::{self, SLOT_LEN, SLOTS, Signature, Superblock};
use crate::segment::{
    Identity, Place, SegmentMaker, Table, TableCell, find_places, log_dir, parse_file_name,
};

/// Reads everything in `dir`. `go_on` hears how many segments and rows were read, and may end it.
pub fn read_remains(
    env: &Env,
    dir: &Path,
    unlock: Option<&Unlock>,
    go_on: &mut dyn FnMut(u64, u64) -> Result<()>,
) -> Result<Remains> {
    let mut damaged = Vec::new();
    let (slots, keys) = read_slots(env, dir, unlock, &mut damaged)?;
    if let Some((ring, _)) = &keys {
        segment_keys::load_all(env, dir, ring);
    }
    let id = slots.first().map(|slot| slot.store_id);
    let places = id.map_or(Ok(Vec::new()), |id| find_places(env, dir, &id, None))?;
    let candidates = find_segments(env, dir, &places, &mut damaged)?;
    let votes = candidates.iter().filter_map(|candidate| candidate.header.ok());
    // A tier may have chunks of another size than the store.
    let votes = votes.filter(|header| header.kind == SegmentKind::Log || !header.is_coded());
    let Some((store_id, chunk_log2)) = elect(slots.iter(), votes) else {
        let why = "neither a superblock nor a segment in it can be read";
        return Err(Error::corrupt(dir.display(), 0, why));
    };
    let mut remains = Remains {
        store_id,
        chunk_log2,
        keys,
        created: slots.first().map_or(0, |slot| slot.created),
        segments: Table::default(),
        rows: BTreeMap::new(),
        highest: Highest::default(),
        damaged,
        tree: None,
        tree_at: Position::default(),
        uncertain: false,
        codings: candidates
            .iter()
            .filter_map(|candidate| candidate.header.ok().filter(|header| header.kind == SegmentKind::Bulk))
            .map(|header| (header.tier, (header.coding, header.chunk_log2)))
            .collect(),
        holes: Vec::new(),
        continued: Vec::new(),
        lost: Vec::new(),
    };
    for slot in &slots {
        remains.highest.meet(slot.checkpoint.map_or(0, |checkpoint| checkpoint.lsn), slot.next_segment - 1);
        remains.highest.run = remains.highest.run.max(slot.run);
    }
    let identity =
        Identity { dir: dir.to_path_buf(), store_id, chunk_log2, mapped: false, ring: remains.ring() };
    let maker = SegmentMaker::new(env.clone(), identity, 0, 1);
    let tables = TableCell::default();
    for candidate in candidates {
        remains.highest.meet(0, candidate.id);
        let opened = remains.open(&maker, &candidate);
        match opened {
            Ok(segment) if !tables.current().contains(segment.id()) => {
                remains.highest.run = remains.highest.run.max(segment.header.run);
                remains.highest.meet(segment.header.base_lsn, 0);
                tables.add(segment);
            }
            Ok(segment) => remains.note(segment.path(), "two segments have the same id"),
            Err(reason) => {
                remains.note(&candidate.path, reason);
                if candidate.kind == SegmentKind::Log {
                    remains.holes.push(Position { segment: candidate.id, offset: MAX_NUMBER });
                }
            }
        }
    }
    remains.segments = tables.current();
    let (mut read, mut rows) = (0, 0);
    for segment in tables.current().iter().filter(|segment| segment.header.kind == SegmentKind::Log) {
        rows += remains.scan_log(segment, &mut |found| go_on(read, rows + found))?;
        read += 1;
        go_on(read, rows)?;
    }
    let replay = remains.read_tree(env, dir, &slots)?;
    remains.doubt(replay, &slots);
    remains.settle();
    Ok(remains)
}

/// The sound slots of the superblock, newest first, and the keys that are in it.
fn read_slots(
    env: &Env,
    dir: &Path,
    unlock: Option<&Unlock>,
    damaged: &mut Vec<DamagedFile>,
) -> Result<Opened> {
    let path = dir.join(SUPERBLOCK);
    let mut found: Vec<(Superblock, Signature)> = Vec::new();
    let mut unsound = 0;
    match env.vfs.open(&path, OpenMode::Read, Site::SUPERBLOCK_READ) {
        Err(error) => {
            damaged.push(DamagedFile { path: path.clone(), reason: format!("unreadable: {error}") })
        }
        Ok(file) => {
            for slot in 0..SLOTS {
                let mut bytes = vec![0; SLOT_LEN];
                let at = slot * SLOT_LEN as u64;
                let read = file.read_exact_at(&mut bytes, at, Site::SUPERBLOCK_READ);
                match Superblock::decode(&bytes) {
                    Ok(block) => found.push((block, superblock::signature(&bytes))),
                    // A slot that was never written is blank.
                    Err(_) => unsound += u64::from(read.is_err() || bytes.iter().any(|byte| *byte != 0)),
                }
            }
            if unsound > 0 || found.is_empty() {
                let reason = format!("{} of its slots can be read, {unsound} are damaged", found.len());
                damaged.push(DamagedFile { path: path.clone(), reason });
            }
        }
    }
    found.sort_by_key(|(block, _)| std::cmp::Reverse(block.generation));
    let (mut slots, mut keys) = (Vec::new(), None);
    let mut unlock = unlock.cloned();
    for (block, signature) in found {
        match unlock::unlock(env, dir, unlock.as_ref(), &block, &signature) {
            Ok(None) => {}
            // The key is asked for once.
            Ok(Some(ring)) => {
                if let Some(keys) = &block.keys {
                    ring.learn_older(&keys.shred);
                }
                unlock = Some(Unlock::Ring(ring.clone()));
                keys = keys.or(block.keys.clone().map(|keys| (ring, keys)));
            }
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                damaged.push(DamagedFile { path: path.clone(), reason: error.to_string() });
                continue;
            }
            Err(error) => return Err(error),
        }
        slots.push(block);
    }
    Ok((slots, keys))
}

/// The files that have the names of segments.
fn find_segments(
    env: &Env,
    dir: &Path,
    places: &[Place],
    damaged: &mut Vec<DamagedFile>,
) -> Result<Vec<Candidate>> {
    let mut dirs = vec![(SegmentKind::Log, 0, log_dir(dir))];
    if let Ok(tiers) = env.vfs.list(&dir.join("bulk"), Site::STORE_LIST) {
        let numbers = tiers.iter().filter_map(|listed| listed.name.parse::<u8>().ok());
        let of_tier = |tier| {
            let place = places.get(usize::from(tier)).cloned().unwrap_or_default();
            place.dirs(dir, tier).into_iter().map(move |dir| (SegmentKind::Bulk, tier, dir))
        };
        dirs.extend(numbers.flat_map(of_tier));
    }
    let mut found = Vec::new();
    for (kind, tier, dir) in dirs {
        let names = match env.vfs.list(&dir, Site::STORE_LIST) {
            Ok(names) => names,
            Err(error) => {
                damaged.push(DamagedFile { path: dir, reason: format!("unreadable: {error}") });
                continue;
            }
        };
        for listed in names.iter().filter(|listed| listed.is_file) {
            let Some(id) = parse_file_name(&listed.name) else { continue };
            let path = dir.join(&listed.name);
            let mut bytes = [0; HEADER_LEN];
            let read = env
                .vfs
                .open(&path, OpenMode::Read, Site::SEGMENT_OPEN)
                .and_then(|file| file.read_exact_at(&mut bytes, 0, Site::SEGMENT_READ));
            let header = match read {
                Ok(()) => SegmentHeader::decode(&bytes),
                Err(_) => Err("it is shorter than its header, or cannot be read"),
            };
            found.push(Candidate { kind, tier, id, path, header, bytes });
        }
    }
    found.sort_by_key(|candidate| candidate.id);
    Ok(found)
}

/// The store id and chunk size that most of the evidence speaks for.
fn elect<'s>(
    slots: impl Iterator<Item = &'s Superblock>,
    headers: impl Iterator<Item = SegmentHeader>,
) -> Option<([u8; 16], u8)> {
    let mut votes: BTreeMap<([u8; 16], u8), u64> = BTreeMap::new();
    let of_slots = slots.map(|slot| (slot.store_id, slot.chunk_log2));
    for vote in of_slots.chain(headers.map(|header| (header.store_id, header.chunk_log2))) {
        *votes.entry(vote).or_default() += 1;
    }
    votes.into_iter().max_by_key(|(_, count)| *count).map(|(vote, _)| vote)
}
