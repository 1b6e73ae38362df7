//! Reading a damaged directory: every segment, every row in a whole record, and what is left of the tree.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::kept;
use super::keys::{self, Unlock};
use super::ledger::ENGINE_SPACE;
use super::open::{INDEX_FILES, SUPERBLOCK};
use super::relocate::FORWARD_SPACE;
use crate::crypto::Keyring;
use crate::env::{Env, OpenMode, Site};
use crate::error::{Error, ErrorKind, Result, in_report};
use crate::format::MAX_NUMBER;
use crate::format::checksum::{crc, segment_seed};
use crate::format::coded::Trailer;
use crate::format::commit::{self, Change, Position};
use crate::format::frame::{self, ALIGN, Decoded, FLAG_PACKED, FRAME_LEN, Frame, Kind};
use crate::format::segment_header::{CODED, HEADER_LEN, SEALED, SegmentHeader, SegmentKind};
use crate::format::superblock::{self, Keys, SLOT_LEN, SLOTS, Signature, Superblock};
use crate::index::{self, Item, PageFile, RootPtr, Salvager, Weight};
use crate::segment::{
    Hashes, Identity, Place, Segment, SegmentMaker, Table, TableCell, find_places, log_dir, parse_file_name,
};

/// How much is read at once.
const WINDOW: u64 = 1 << 20;
/// Where a read fails, the search goes on at the next multiple of this.
const SECTOR: u64 = 4096;

/// A file of which something is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DamagedFile {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it, and where.
    pub reason: String,
}

/// A row that was found.
#[derive(Debug)]
pub struct Row {
    /// The commit that wrote it.
    pub lsn: u64,
    /// The segment that it was read from; 0 if it was the tree.
    pub segment: u64,
    /// Where in the log it was read; of a row of the tree, up to where the tree knows the log. Where a row was said again
    /// at the lsn that it had, the later place counts.
    pub at: Position,
    /// What it counts for and its entry; none if it is a delete.
    pub put: Option<(Weight, Box<[u8]>)>,
}

/// What is left of a store.
#[derive(Debug)]
pub struct Remains {
    /// Its id.
    pub store_id: [u8; 16],
    /// log2 of its chunk size.
    pub chunk_log2: u8,
    /// Its keys, if it is sealed.
    pub keys: Option<(Arc<Keyring>, Box<Keys>)>,
    /// When it was made, as far as that is known.
    pub created: u64,
    /// The segments that can be read.
    pub segments: Table,
    /// Every row that can be read, newest first, by key.
    pub rows: BTreeMap<Vec<u8>, Vec<Row>>,
    /// The highest lsn, segment id and run that anything speaks of.
    pub highest: Highest,
    /// What is wrong.
    pub damaged: Vec<DamagedFile>,
    /// The commit that the tree goes up to, if it could be read.
    pub tree: Option<u64>,
    /// Up to where the tree knows the log.
    tree_at: Position,
    /// Whether rows may be missing that nothing names: a part of the log cannot be read that the tree does not cover.
    pub uncertain: bool,
    /// How the segments of each tier are stored, as far as a header says so.
    codings: BTreeMap<u8, (u8, u8)>,
    /// Where parts of the log end that cannot be read.
    holes: Vec<Position>,
    /// The log segments that the log is said to go on in.
    continued: Vec<u64>,
    /// The ranges of keys in which the tree could not be read, in order.
    lost: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// The highest numbers that were met, so that none of them is used again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Highest {
    /// Of a commit.
    pub lsn: u64,
    /// Of a segment.
    pub segment: u64,
    /// Of an opening.
    pub run: u64,
}

/// A segment file before its header is believed.
struct Candidate {
    kind: SegmentKind,
    tier: u8,
    id: u64,
    path: PathBuf,
    header: Result<SegmentHeader, &'static str>,
    bytes: [u8; HEADER_LEN],
}

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
        kept::load_all(env, dir, ring);
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

/// Slots, and the keys of a sealed store: as they are used, and as they are kept.
type Opened = (Vec<Superblock>, Option<(Arc<Keyring>, Box<Keys>)>);

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
        match keys::unlock(env, dir, unlock.as_ref(), &block, &signature) {
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

impl Highest {
    fn meet(&mut self, lsn: u64, segment: u64) {
        self.lsn = self.lsn.max(lsn);
        self.segment = self.segment.max(segment);
    }
}

impl Remains {
    fn ring(&self) -> Option<Arc<Keyring>> {
        self.keys.as_ref().map(|(ring, _)| ring.clone())
    }

    /// Notes a damaged file, once for each reason.
    pub fn note(&mut self, path: &Path, reason: impl ToString) {
        let noted = DamagedFile { path: path.to_path_buf(), reason: reason.to_string() };
        if !self.damaged.contains(&noted) {
            self.damaged.push(noted);
        }
    }

    /// Opens a segment, with its header made good again if that is what is damaged.
    fn open(&mut self, maker: &SegmentMaker, candidate: &Candidate) -> Result<Arc<Segment>, String> {
        let path = &candidate.path;
        let open = || maker.files.open(path).map(|file| maker.files.take(path.clone(), file, false));
        let fits = |header: &SegmentHeader| {
            header.store_id == self.store_id && (header.kind, header.id) == (candidate.kind, candidate.id)
        };
        let reason = match &candidate.header {
            Ok(header) if header.is_sealed() != self.keys.is_some() => {
                return Err("it is sealed, and what opens it is not there; or the other way round".into());
            }
            Ok(header) if fits(header) => {
                let seed = segment_seed(&header.store_id, header.id, header.nonce);
                let file = open().map_err(|error| error.to_string())?;
                return Ok(Arc::new(maker.adopt(*header, seed, file)));
            }
            Ok(_) => return Err("it is a segment of another store, or not the one its name says".into()),
            Err(reason) => reason,
        };
        let file = open().map_err(|error| error.to_string())?;
        let (coding, chunk_log2) = match candidate.kind {
            SegmentKind::Bulk => self.codings.get(&candidate.tier).copied().unwrap_or((0, self.chunk_log2)),
            SegmentKind::Log if self.keys.is_some() => (CODED | SEALED, self.chunk_log2),
            SegmentKind::Log => (0, self.chunk_log2),
        };
        let nearly = one_byte_off(&candidate.bytes).find(|header| fits(header));
        let header = nearly.unwrap_or(SegmentHeader {
            kind: candidate.kind,
            tier: candidate.tier,
            chunk_log2,
            coding,
            id: candidate.id,
            store_id: self.store_id,
            nonce: 0,
            run: 0,
            cut: None,
            base_lsn: 0,
            shred: self.ring().map_or(0, |ring| ring.shred_name()),
        });
        let seed = match nearly {
            Some(header) => segment_seed(&header.store_id, header.id, header.nonce),
            None => {
                let probe = maker.adopt(header, 0, open().map_err(|error| error.to_string())?);
                find_seed(&probe)
                    .ok_or_else(|| format!("its header and its first record are lost: {reason}"))?
            }
        };
        self.note(path, format!("its header is damaged ({reason}) but could be made good from the rest"));
        Ok(Arc::new(maker.adopt(header, seed, file)))
    }

    /// Reads every row of a log segment that stands in a whole record, and says how many that were.
    fn scan_log(&mut self, segment: &Segment, go_on: &mut dyn FnMut(u64) -> Result<()>) -> Result<u64> {
        let mut reader = Reader::new(segment)?;
        let (mut at, mut rows, mut gap) = (HEADER_LEN as u64, 0, None);
        let mut bad = Bad::default();
        while at + FRAME_LEN as u64 <= reader.size {
            if reader.at_blank_sector(at) {
                gap.get_or_insert((at, false));
                // A frame may begin in the last bytes of the sector.
                at += SECTOR - FRAME_LEN as u64 + ALIGN;
                continue;
            }
            let Some(bytes) = reader.bytes(at, FRAME_LEN as u64) else {
                gap = Some((gap.map_or(at, |(from, _)| from), true));
                at = (at + 1).next_multiple_of(SECTOR);
                continue;
            };
            let head: [u8; FRAME_LEN] = bytes.try_into().expect("as long as asked");
            let frame = match Frame::decode(&head, segment.seed(), at) {
                Decoded::Frame(frame) if at + FRAME_LEN as u64 + frame.length <= reader.size => frame,
                other => {
                    let (from, dirty) = gap.unwrap_or((at, false));
                    gap = Some((from, dirty || other != Decoded::Zeros));
                    at += ALIGN;
                    continue;
                }
            };
            if let Some((from, _)) = gap.take() {
                bad.note(from, at);
                self.holes.push(Position { segment: segment.id(), offset: at });
            }
            let next = at + frame.record_len();
            if matches!(frame.kind, Kind::Commit | Kind::Moves) {
                let payload = reader.bytes(at + FRAME_LEN as u64, frame.length);
                let sound = payload.filter(|payload| crc(payload) == frame.payload_sum).map(<[u8]>::to_vec);
                let place = Position { segment: segment.id(), offset: at };
                let taken = sound.map(|mut bytes| match segment.open_record(&frame, at, &mut bytes) {
                    Ok(payload) if frame.flags & FLAG_PACKED != 0 => segment
                        .unpack(at, payload, Hashes::RealOrZeros)
                        .map_err(|_| ())
                        .and_then(|plain| self.take_rows(place, &frame, &plain)),
                    Ok(payload) => self.take_rows(place, &frame, payload),
                    Err(_) => Err(()),
                });
                match taken {
                    Some(Ok(found)) => rows += found,
                    Some(Err(())) | None => {
                        bad.note(at, next);
                        self.holes.push(Position { segment: segment.id(), offset: next });
                    }
                }
                go_on(rows)?;
            }
            if frame.kind == Kind::Continue {
                self.highest.meet(0, frame.word);
                self.continued.push(frame.word);
                break;
            }
            at = next;
        }
        if let Some((from, true)) = gap {
            bad.note(from, reader.size);
            self.holes.push(Position { segment: segment.id(), offset: reader.size });
        }
        if bad.places > 0 {
            let reason = format!(
                "{} bytes in {} places cannot be read, the first at byte {}: rows written there are lost, and what \
                 they replaced or deleted may have come back",
                bad.bytes, bad.places, bad.first
            );
            self.note(segment.path(), reason);
        }
        Ok(rows)
    }

    /// Takes the rows of a record; none if it cannot be read to its end.
    fn take_rows(&mut self, at: Position, frame: &Frame, payload: &[u8]) -> Result<u64, ()> {
        let (head, changes) = commit::open(payload, frame.kind == Kind::Moves).map_err(|_| ())?;
        let changes: Vec<Change<'_>> = changes.collect::<Result<_, _>>().map_err(|_| ())?;
        self.highest.meet(frame.word, head.durable.segment);
        let count = changes.len() as u64;
        for change in changes {
            let (lsn, put) = match change {
                Change::Put { lsn, slot, objects, bytes, entry, .. } => {
                    (lsn, Some((Weight { slot, objects, bytes }, entry.into())))
                }
                Change::Delete { moved, .. } => (moved.map(|(lsn, _)| lsn), None),
            };
            self.add(change.key(), Row { lsn: lsn.unwrap_or(frame.word), segment: at.segment, at, put });
        }
        Ok(count)
    }

    fn add(&mut self, key: &[u8], row: Row) {
        // The engine's own rows are about segments that the new store does not have.
        if key.first().is_none_or(|space| [ENGINE_SPACE, FORWARD_SPACE].contains(space)) {
            return;
        }
        self.highest.meet(row.lsn, 0);
        match self.rows.get_mut(key) {
            Some(rows) => rows.push(row),
            None => drop(self.rows.insert(key.to_vec(), vec![row])),
        }
    }

    /// Reads what is left of the newest tree of which the root can be read.
    /// Says from where on the log is not in it.
    fn read_tree(&mut self, env: &Env, dir: &Path, slots: &[Superblock]) -> Result<Option<Position>> {
        for slot in slots {
            let Some(checkpoint) = slot.checkpoint else { continue };
            let Some((page, checksum, height)) = checkpoint.root else {
                self.tree = Some(checkpoint.lsn);
                return Ok(Some(checkpoint.replay));
            };
            let path = dir.join(INDEX_FILES[usize::from(slot.index_file)]);
            let mode = index::ReadMode::Positioned { cache_bytes: 1 << 20 };
            let opened = env
                .vfs
                .open(&path, OpenMode::Read, Site::INDEX_OPEN)
                .map_err(|error| Error::io(format!("opening {}", path.display()), error))
                .and_then(|file| {
                    let sealer = self.ring().zip(slot.keys.as_ref());
                    let sealer = sealer.and_then(|(ring, keys)| ring.pages_by(&keys.shred, slot.index_file));
                    PageFile::open(file, path.display().to_string(), slot.page_salt, mode, sealer)
                })
                .and_then(|pages| pages.tree(Some(RootPtr { page, checksum, height })));
            match opened {
                Err(error) => {
                    let why = error.to_string();
                    self.note(&path, format!("a tree in it cannot be read: {}", in_report(&why)));
                }
                Ok(tree) => {
                    self.tree = Some(checkpoint.lsn);
                    self.tree_at = checkpoint.replay;
                    tree.salvage(self)?;
                    if !self.lost.is_empty() {
                        let reason =
                            format!("{} of its pages and all below them cannot be read", self.lost.len());
                        self.note(&path, reason);
                    }
                    return Ok(Some(checkpoint.replay));
                }
            }
        }
        Ok(None)
    }

    /// Whether rows may be missing that are named nowhere. `replay` is where the log goes on behind the tree.
    fn doubt(&mut self, replay: Option<Position>, slots: &[Superblock]) {
        // Without a tree all of the log counts, and what was relocated cannot be told from what is lost.
        let replay = replay.filter(|_| self.lost.is_empty()).unwrap_or_default();
        let newest = slots.first();
        let named = newest.and_then(|slot| slot.checkpoint).map_or(0, |checkpoint| checkpoint.replay.segment);
        let known = newest.map_or(0, |slot| slot.log_known);
        let has = |id: u64| id == 0 || id < replay.segment || self.segments.contains(id);
        self.uncertain = !self.lost.is_empty()
            || self.holes.iter().any(|end| *end > replay)
            || ![named, known].into_iter().chain(self.continued.iter().copied()).all(has);
    }

    /// Sorts the rows, and drops those that the tree shows to have been deleted.
    fn settle(&mut self) {
        let (tree, lost) = (self.tree, &self.lost);
        self.rows.retain(|key, rows| {
            let before = lost.partition_point(|(low, _)| low <= key);
            let is_lost = before > 0 && lost[before - 1].1.as_ref().is_none_or(|high| key < high);
            if let Some(lsn) = tree
                && rows.iter().all(|row| row.segment != 0)
                && !is_lost
            {
                // Where the tree can be read and has no such key, it was gone by then, even if what deleted it is gone
                // too.
                rows.retain(|row| row.lsn > lsn);
            }
            rows.sort_by_key(|row| std::cmp::Reverse((row.lsn, row.at)));
            rows.dedup_by(|one, other| one.lsn == other.lsn && one.put == other.put);
            !rows.is_empty()
        });
    }
}

impl Salvager for Remains {
    fn found(&mut self, key: &[u8], item: &Item<'_>) -> Result<()> {
        let put = (!item.tombstone).then(|| (item.weight, item.value().into()));
        self.add(key, Row { lsn: item.lsn, segment: 0, at: self.tree_at, put });
        Ok(())
    }

    fn lost(&mut self, low: &[u8], high: Option<&[u8]>) {
        self.lost.push((low.to_vec(), high.map(<[u8]>::to_vec)));
    }
}

/// Places that could not be read.
#[derive(Default)]
struct Bad {
    places: u64,
    bytes: u64,
    first: u64,
}

impl Bad {
    fn note(&mut self, from: u64, to: u64) {
        if self.places == 0 {
            self.first = from;
        }
        self.places += 1;
        self.bytes += to - from;
    }
}

/// Every header that differs from `bytes` in one byte and is sound.
fn one_byte_off(bytes: &[u8; HEADER_LEN]) -> impl Iterator<Item = SegmentHeader> + '_ {
    let places = (0..HEADER_LEN).flat_map(|place| (1..=u8::MAX).map(move |mask| (place, mask)));
    places.filter_map(|(place, mask)| {
        let mut other = *bytes;
        other[place] ^= mask;
        SegmentHeader::decode(&other).ok()
    })
}

/// What the checksums of a segment start from, found again from its first record. Takes seconds.
fn find_seed(segment: &Segment) -> Option<u32> {
    let mut reader = Reader::new(segment).ok()?;
    let at = HEADER_LEN as u64;
    let head: [u8; FRAME_LEN] = reader.bytes(at, FRAME_LEN as u64)?.try_into().ok()?;
    frame::seeds_of(&head, at).into_iter().find(|seed| {
        let Decoded::Frame(frame) = Frame::decode(&head, *seed, at) else {
            return false;
        };
        let end = at + FRAME_LEN as u64 + frame.length;
        if end > reader.size {
            return false;
        }
        // Of a blob, the sum covers what stands behind the body.
        let (from, len) = match frame.kind {
            Kind::Commit | Kind::Moves | Kind::Bodies => (end - frame.length, frame.length),
            Kind::Blob => {
                let header = &segment.header;
                let chunks = frame::chunk_count(frame.word, header.chunk_log2);
                let stored = match header.is_coded() {
                    true => Trailer::of(frame.length, frame.owner_len, chunks).map_or(u64::MAX, |t| t.marks),
                    false => frame.word,
                };
                if stored > frame.length {
                    return false;
                }
                (end - frame.length + stored, frame.length - stored)
            }
            Kind::Continue | Kind::Void => return true,
        };
        len < WINDOW * 64 && reader.bytes(from, len).is_some_and(|bytes| crc(bytes) == frame.payload_sum)
    })
}

/// Reads a file of which some places cannot be read.
struct Reader<'s> {
    segment: &'s Segment,
    size: u64,
    window: Vec<u8>,
    window_at: u64,
    /// Places at which a read has failed.
    unreadable: BTreeSet<u64>,
}

impl<'s> Reader<'s> {
    fn new(segment: &'s Segment) -> Result<Reader<'s>> {
        let size = segment.file_len()?.min(MAX_NUMBER);
        Ok(Reader { segment, size, window: Vec::new(), window_at: 0, unreadable: BTreeSet::new() })
    }

    /// `len` bytes at `at`; none if the file ends before, or they cannot be read.
    fn bytes(&mut self, at: u64, len: u64) -> Option<&[u8]> {
        let end = at.checked_add(len).filter(|end| *end <= self.size)?;
        let inside = at >= self.window_at && end <= self.window_at + self.window.len() as u64;
        if !inside {
            let most = (self.size - at).min(len.max(WINDOW));
            let wide = !self.unreadable.contains(&(at / WINDOW));
            let read = wide && self.fill(at, most);
            if !read {
                self.unreadable.insert(at / WINDOW);
                if !self.fill(at, len) {
                    return None;
                }
            }
        }
        let start = (at - self.window_at) as usize;
        Some(&self.window[start..start + len as usize])
    }

    fn fill(&mut self, at: u64, len: u64) -> bool {
        self.window.resize(len as usize, 0);
        self.window_at = at;
        let read = self.segment.read_raw(&mut self.window, at);
        if read.is_err() {
            self.window.clear();
        }
        read.is_ok()
    }

    /// Whether a sector begins here and is all zeros: most of the unused end of a segment is.
    fn at_blank_sector(&mut self, at: u64) -> bool {
        // Behind a skipped sector the search goes on a frame before the next one.
        at.is_multiple_of(SECTOR)
            && self.bytes(at, SECTOR).is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0))
    }
}
