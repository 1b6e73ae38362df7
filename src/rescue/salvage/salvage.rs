//! Salvage: what can be read of a damaged store is written into a new one, at the lsns that it had.
//!
//! For each key the newest row counts whose entry and body verify to the last chunk; a delete that is newer than any
//! such row is honoured. An older one that needs a key which is gone by now is not saved: nobody could read it. Nothing in the damaged directory is changed. What the engine keeps for itself is made anew.

use std::collections::BTreeMap;
use std::path::Path;

use super::batch::{Batch, Mending, Saved, SavedBlob};
use super::remains::{Remains, Row};
use super::report::{Naming, SalvageFrom, SalvageNote, SalvageProgress, SalvageReport};
use super::scan::read_remains;
use crate::engine::directory::files::SUPERBLOCK;
use crate::engine::directory::identity::{name_durably, stand_in};
use crate::engine::directory::superblock::SuperblockFile;
use crate::engine::state::engine::Engine;
use crate::engine::view::view::decode;
use crate::engine::{self, BlobHead, NewBody, OpenOptions, Settings, Stored, Unlock};
use crate::env::{Env, Site};
use crate::error::{Error, ErrorKind, Result, in_report};
use crate::format::commit::Position;
use crate::format::entry::{BlobId, Body, Extent, Payload};
use crate::format::superblock::{Checkpoint, FEATURE_ENVELOPES, Superblock};
use crate::model::{Durability, Lsn};
use crate::rescue::directory::{lock_quietly, refuse_filled, refuse_nested};
use crate::segment::{Placed, segment_dirs};

/// How much of a long body is copied at once.
const STEP: u64 = 1 << 20;

/// The most rows in a commit, and about how many bytes.
const BATCH_ROWS: usize = 256;

const BATCH_BYTES: u64 = 1 << 20;

/// The most keys that each list of a report names; more are only counted.
const NAMED: usize = 100_000;

/// A salvage at work.
struct Salvage<'a> {
    remains: Remains,
    engine: Engine,
    naming: &'a mut dyn Naming,
    report: SalvageReport,
    batch: Batch,
    /// Bodies that lie in bulk segments and wait for their commit.
    placed: Vec<Placed>,
    /// Shared bodies, of which the rows come before those of the entries that refer to them.
    blobs: BTreeMap<BlobId, SavedBlob>,
}

impl Engine {
    /// Writes everything that can be read of the store in one directory into a new store in another.
    pub fn salvage(
        options: SalvageFrom,
        naming: &mut dyn Naming,
        watch: &mut dyn FnMut(SalvageProgress) -> bool,
    ) -> Result<SalvageReport> {
        let SalvageFrom { env, from, to, settings, unlock } = options;
        settings.check()?;
        if env.vfs.list(&from, Site::STORE_LIST).is_err() {
            let why = format!("there is no directory that can be read at {}", from.display());
            return Err(Error::new(ErrorKind::NotFound, "NoSuchStore", why));
        }
        refuse_nested(&env, &from, &to)?;
        refuse_filled(&env, &to)?;
        let (source, from) = stand_in(&env, &from)?;
        let _lock = lock_quietly(&source, &from)?;
        let mut progress = SalvageProgress::default();
        let read = read_remains(&source, &from, unlock.as_ref(), &mut |segments, rows| {
            (progress.segments, progress.rows) = (segments, rows);
            go_on(&mut *watch, progress)
        });
        let remains = match read {
            Err(error) if error.code() == "Stopped" => {
                return Ok(SalvageReport { stopped: true, ..SalvageReport::default() });
            }
            read => read?,
        };
        // As private as what it is saved from, or nobody else's if that cannot be told.
        let engine = begin(&env.with_those_of(&from.join(SUPERBLOCK)), &to, settings, &remains)?;
        let lsn = Lsn(remains.highest.lsn);
        let report = SalvageReport { lsn, uncertain: remains.uncertain, ..SalvageReport::default() };
        let (batch, placed, blobs) = (Batch::default(), Vec::new(), BTreeMap::new());
        let mut salvage = Salvage { remains, engine, naming, report, batch, placed, blobs };
        let done = salvage.run(&mut |report| {
            (progress.saved, progress.bytes) = (report.saved, report.bytes);
            go_on(&mut *watch, progress)
        });
        match done {
            Err(error) if error.code() == "Stopped" => salvage.report.stopped = true,
            done => done?,
        }
        salvage.commit()?;
        salvage.mend()?;
        salvage.engine.checkpoint()?;
        salvage.engine.close()?;
        let Salvage { remains, mut report, .. } = salvage;
        report.damaged = remains.damaged;
        Ok(report)
    }
}

fn go_on(watch: &mut dyn FnMut(SalvageProgress) -> bool, progress: SalvageProgress) -> Result<()> {
    if watch(progress) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Busy, "Stopped", "the watcher stopped it"))
}

/// Makes the new store: it counts on where the old one stopped, so that no number is given twice.
fn begin(env: &Env, to: &Path, settings: Settings, remains: &Remains) -> Result<Engine> {
    let failed = |path: &Path, error| Error::io(format!("making {}", path.display()), error);
    env.vfs.create_dir(to, Site::STORE_DIR).map_err(|e| failed(to, e))?;
    let (env, to) = &stand_in(env, to)?;
    for sub in segment_dirs(to) {
        env.vfs.create_dir(&sub, Site::STORE_DIR).map_err(|e| failed(&sub, e))?;
    }
    let bulk = to.join("bulk");
    env.vfs.sync_dir(&bulk, Site::STORE_DIR).map_err(|e| failed(&bulk, e))?;
    name_durably(env, to)?;
    let mut salt = [0; 4];
    env.entropy.fill(&mut salt);
    let checkpoint = Checkpoint { root: None, lsn: remains.highest.lsn, replay: Position::default() };
    let block = Superblock {
        generation: 1,
        // Whether there were enveloped bodies is not known before every row was seen.
        required_features: FEATURE_ENVELOPES,
        optional_features: 0,
        store_id: remains.store_id,
        created: remains.created,
        chunk_log2: remains.chunk_log2,
        index_file: 0,
        checkpoint: Some(checkpoint),
        next_segment: remains.highest.segment + 1,
        log_known: 0,
        run: remains.highest.run,
        page_salt: u32::from_le_bytes(salt),
        written: remains.created,
        clean: false,
        backup: false,
        keys: remains.keys.as_ref().map(|(_, keys)| keys.clone()),
    };
    let ring = remains.keys.as_ref().map(|(ring, _)| ring.clone());
    SuperblockFile::create(env, &to.join(SUPERBLOCK), block, ring.clone())?;
    env.vfs.sync_dir(to, Site::STORE_DIR).map_err(|e| failed(to, e))?;
    Engine::open(OpenOptions {
        dir: to.to_path_buf(),
        env: env.clone(),
        settings,
        read_only: false,
        create: false,
        rebuild_index: false,
        unlock: ring.map(Unlock::Ring),
    })
}

impl Salvage<'_> {
    /// Saves key after key.
    fn run(&mut self, go_on: &mut dyn FnMut(&SalvageReport) -> Result<()>) -> Result<()> {
        let mut remaining = std::mem::take(&mut self.remains.rows);
        while let Some((key, rows)) = remaining.pop_first() {
            self.save(key, rows, &|later| {
                let newest = remaining.get(later).and_then(|rows| rows.first());
                newest.is_some_and(|row| row.put.is_some())
            })?;
            if self.batch.entries.len() >= BATCH_ROWS || self.batch.bytes >= BATCH_BYTES {
                self.commit()?;
            }
            go_on(&self.report)?;
        }
        self.commit()
    }

    /// Saves the newest row of a key that can be saved.
    fn save(&mut self, key: Vec<u8>, rows: Vec<Row>, is_left: &dyn Fn(&[u8]) -> bool) -> Result<()> {
        let newest = rows.first().map_or(0, |row| row.lsn);
        // What the newest row says, once it cannot be saved.
        let (mut reason, mut newest_payload, mut missed) = (None, None, None);
        for row in rows {
            let Some((weight, value)) = row.put else {
                // It was deleted, and what stood there before must not come back.
                break;
            };
            let mut older = row.lsn != newest;
            if reason.is_some() {
                let Ok(payload) = self.payload(&value) else { continue };
                if let Some(why) = self.naming.misses(&key, &payload, is_left) {
                    missed.get_or_insert(why);
                    continue;
                }
                // Said again at the lsn that it had, as when it is relocated, it is the same; with another key it is not.
                older |= newest_payload.as_ref() != Some(&payload);
            }
            match self.read(&key, &value) {
                Ok((body, payload, bytes)) => {
                    let entry = decode(&value)?;
                    self.note_blob(&key, &entry.body, &payload, bytes);
                    if let Some(blob) = engine::blob_of(&key).filter(|_| older) {
                        self.blobs.entry(blob).or_default().stale |= engine::place_of(&key).is_some();
                    }
                    let stored =
                        Stored { lsn: row.lsn, weight, payload: (&payload[..]).into(), body: entry.body };
                    self.naming.saved(&key, &stored);
                    self.report.saved += 1;
                    self.report.bytes += bytes;
                    if older {
                        let why = reason
                            .map_or(String::new(), |error: Error| in_report(&error.to_string()).to_string());
                        let reason = match row.lsn == newest {
                            true => format!(
                                "saved as it was before it was written anew, because that is damaged: {why}"
                            ),
                            false => format!(
                                "saved as it was after commit {}, because what commit {newest} wrote is damaged: {why}",
                                row.lsn
                            ),
                        };
                        self.report.doubtful_count += 1;
                        if self.report.doubtful.len() < NAMED {
                            self.report.doubtful.push(SalvageNote { name: self.naming.name(&key), reason });
                        }
                    }
                    self.batch.bytes += 64 + key.len() as u64 + payload.len() as u64;
                    self.batch.entries.push(Saved { key, lsn: row.lsn, weight, body, payload });
                    return Ok(());
                }
                // The damaged directory cannot be read here; that is what a salvage is for.
                Err(Unsaved::Damaged(error)) if reason.is_none() => {
                    reason = Some(error);
                    newest_payload = self.payload(&value).ok();
                }
                Err(Unsaved::Damaged(_)) => {}
                Err(Unsaved::Failed(error)) => return Err(error),
            }
        }
        if let Some(blob) = engine::blob_of(&key).filter(|_| reason.is_some()) {
            let piece = engine::place_of(&key).is_some();
            self.blobs.entry(blob).or_default().broken |= piece;
        }
        self.tell_lost(&key, newest, reason, missed);
        Ok(())
    }

    /// Keeps book of shared bodies: what of them is saved, and who refers to them.
    fn note_blob(&mut self, key: &[u8], body: &Body<'_>, payload: &[u8], bytes: u64) {
        if let Some(blob) = engine::blob_of(key) {
            let saved = self.blobs.entry(blob).or_default();
            match engine::place_of(key) {
                None => saved.head = BlobHead::decode(payload).ok(),
                Some(place) => {
                    saved.by_offset = (saved.pieces == 0 || saved.by_offset) && place == saved.bytes;
                    saved.pieces += 1;
                    saved.bytes = saved.bytes.saturating_add(bytes);
                }
            }
        }
        if let Body::Shared { blob, .. } = body {
            self.blobs.entry(*blob).or_default().refs += 1;
        }
    }

    fn tell_lost(&mut self, key: &[u8], newest: u64, reason: Option<Error>, missed: Option<String>) {
        // Without a reason it was deleted, and is not missed.
        let Some(reason) = reason else { return };
        self.report.lost_count += 1;
        if self.report.lost.len() < NAMED {
            let before = missed.map_or(String::new(), |why| format!("; of what was there before, {why}"));
            let reason = reason.to_string();
            let reason = format!("what commit {newest} wrote is damaged: {}{before}", in_report(&reason));
            self.report.lost.push(SalvageNote { name: self.naming.name(key), reason });
        }
    }

    fn payload(&mut self, value: &[u8]) -> Result<Vec<u8>, Unsaved> {
        match decode(value).map_err(Unsaved::Damaged)?.payload {
            Payload::Inline(bytes) => Ok(bytes.to_vec()),
            Payload::Spilled(extent) => Ok(self.read_extent(&extent, 0..extent.len)?.to_vec()),
        }
    }

    /// Reads an entry with its payload and its body and makes them ready for the new store. Says how long the body is.
    fn read(&mut self, key: &[u8], value: &[u8]) -> Result<(NewBody, Vec<u8>, u64), Unsaved> {
        let payload = self.payload(value)?;
        let entry = decode(value).map_err(Unsaved::Damaged)?;
        let extents: Vec<Extent> = match &entry.body {
            Body::Extents(list) => list.iter().collect(),
            Body::Shared { blob, offset, len, .. }
                if !self.blobs.get(blob).is_some_and(|saved| saved.reaches(offset + len)) =>
            {
                let shared = format!("the shared body {}-{}", blob.lsn, blob.n);
                let why = "pieces of it are lost, or are shorter than what refers to them";
                return Err(Unsaved::Damaged(Error::corrupt(shared, 0, why)));
            }
            other => return Ok((NewBody::stored(other), payload, other_len(other))),
        };
        let total = extents.iter().map(|extent| extent.len).sum();
        if let [extent] = &extents[..]
            && extent.len <= self.engine.settings().packed_max as u64
            && self.tier_of(extent) == 0
        {
            let bytes = self.read_extent(extent, 0..extent.len)?;
            self.batch.bytes += extent.len;
            return Ok((NewBody::packed(bytes, self.engine.chunk_log2()), payload, total));
        }
        let mut copied = Vec::with_capacity(extents.len());
        for extent in &extents {
            let placed = self.copy(key, extent)?;
            copied.push(placed.extent);
            self.placed.push(placed);
        }
        Ok((NewBody::Extents(copied), payload, total))
    }

    /// Copies a body into a bulk segment of the new store, piece by piece.
    fn copy(&mut self, key: &[u8], extent: &Extent) -> Result<Placed, Unsaved> {
        let tier = self.tier_of(extent);
        let mut writer = self.engine.body_writer(key.to_vec(), tier).map_err(Unsaved::Failed)?;
        let mut at = 0;
        while at < extent.len {
            let end = extent.len.min(at + STEP);
            let bytes = self.read_extent(extent, at..end)?;
            writer.write(&bytes).map_err(Unsaved::Failed)?;
            at = end;
        }
        writer.finish().map_err(Unsaved::Failed)
    }

    /// The tier that a body lay in.
    fn tier_of(&self, extent: &Extent) -> u8 {
        self.remains.segments.get(extent.segment).map_or(0, |segment| segment.header.tier)
    }

    fn read_extent(&mut self, extent: &Extent, range: std::ops::Range<u64>) -> Result<bytes::Bytes, Unsaved> {
        let segment = match self.remains.segments.get(extent.segment) {
            Ok(segment) => segment.clone(),
            Err(error) => {
                let name = Path::new(&crate::segment::file_name(extent.segment)).to_path_buf();
                self.remains.note(&name, "it is missing or cannot be read, and entries name it");
                return Err(Unsaved::Damaged(error));
            }
        };
        segment.read(extent, range).map_err(|error| {
            self.remains.note(segment.path(), "bodies in it are damaged");
            Unsaved::Damaged(error)
        })
    }

    /// Writes what was gathered.
    fn commit(&mut self) -> Result<()> {
        let batch = std::mem::take(&mut self.batch);
        if !batch.entries.is_empty() {
            let (_, committed) = self.engine.commit(batch, Durability::Buffered);
            committed?;
        }
        self.placed.clear();
        Ok(())
    }

    /// Makes what is needed to reach what was saved, and sets right what does not add up any more.
    fn mend(&mut self) -> Result<()> {
        self.blobs.retain(|_, saved| saved.is_left());
        let refs = self.blobs.iter().map(|(blob, saved)| (*blob, saved.refs)).collect();
        let mut mended = self.naming.mend(self.engine.view().lsn + 1, &refs);
        for (key, lsn, weight, payload) in std::mem::take(&mut mended.made) {
            let reason = "what was written there is lost; made anew to reach what it held".to_string();
            self.report.made.push(SalvageNote { name: self.naming.name(&key), reason });
            self.batch.entries.push(Saved { key, lsn, weight, body: NewBody::None, payload });
        }
        self.commit()?;
        let heads = self.blobs.iter().filter_map(|(blob, saved)| Some((*blob, saved.mended()?)));
        mended.put.extend(heads.map(|(blob, head)| (engine::head_key(blob), head.encode())));
        if !mended.put.is_empty() || !mended.remove.is_empty() {
            let (_, committed) = self.engine.commit(Mending(mended), Durability::Buffered);
            committed?;
        }
        Ok(())
    }
}

/// Why an entry was not saved.
enum Unsaved {
    /// It cannot be read.
    Damaged(Error),
    /// The new store cannot be written.
    Failed(Error),
}

fn other_len(body: &Body<'_>) -> u64 {
    match body {
        Body::Inline(bytes) => bytes.len() as u64,
        _ => 0,
    }
}
