//! What is left of a damaged store.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::log_scan::{Bad, Reader, SECTOR, find_seed, one_byte_off};
use crate::crypto::Keyring;
use crate::engine::FORWARD_SPACE;
use crate::engine::directory::files::INDEX_FILES;
use crate::engine::proposal::ledger::ENGINE_SPACE;
use crate::env::{Env, OpenMode, Site};
use crate::error::{Error, Result, in_report};
use crate::format::checksum::{crc, segment_seed};
use crate::format::commit::{self, Change, Position};
use crate::format::frame::{ALIGN, Decoded, FLAG_PACKED, FRAME_LEN, Frame, Kind};
use crate::format::segment_header::{CODED, HEADER_LEN, SEALED, SegmentHeader, SegmentKind};
use crate::format::superblock::{Keys, Superblock};
use crate::index::{self, Item, PageFile, RootPtr, Salvager, Weight};
use crate::segment::{Hashes, Segment, SegmentMaker, Table};

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
    pub(super) tree_at: Position,
    /// Whether rows may be missing that nothing names: a part of the log cannot be read that the tree does not cover.
    pub uncertain: bool,
    /// How the segments of each tier are stored, as far as a header says so.
    pub(super) codings: BTreeMap<u8, (u8, u8)>,
    /// Where parts of the log end that cannot be read.
    pub(super) holes: Vec<Position>,
    /// The log segments that the log is said to go on in.
    pub(super) continued: Vec<u64>,
    /// The ranges of keys in which the tree could not be read, in order.
    pub(super) lost: Vec<(Vec<u8>, Option<Vec<u8>>)>,
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
pub(super) struct Candidate {
    pub(super) kind: SegmentKind,
    pub(super) tier: u8,
    pub(super) id: u64,
    pub(super) path: PathBuf,
    pub(super) header: Result<SegmentHeader, &'static str>,
    pub(super) bytes: [u8; HEADER_LEN],
}

/// Slots, and the keys of a sealed store: as they are used, and as they are kept.
pub(super) type Opened = (Vec<Superblock>, Option<(Arc<Keyring>, Box<Keys>)>);

impl Highest {
    pub(super) fn meet(&mut self, lsn: u64, segment: u64) {
        self.lsn = self.lsn.max(lsn);
        self.segment = self.segment.max(segment);
    }
}

impl Remains {
    pub(super) fn ring(&self) -> Option<Arc<Keyring>> {
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
    pub(super) fn open(
        &mut self,
        maker: &SegmentMaker,
        candidate: &Candidate,
    ) -> Result<Arc<Segment>, String> {
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
    pub(super) fn scan_log(
        &mut self,
        segment: &Segment,
        go_on: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<u64> {
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
    pub(super) fn read_tree(
        &mut self,
        env: &Env,
        dir: &Path,
        slots: &[Superblock],
    ) -> Result<Option<Position>> {
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
    pub(super) fn doubt(&mut self, replay: Option<Position>, slots: &[Superblock]) {
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
    pub(super) fn settle(&mut self) {
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
