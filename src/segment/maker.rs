//! Making segments, and opening those that are there.

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::{Mutex, RwLock};

use super::coding::Coding;
use super::files::{OpenFiles, SegmentFile};
use super::names::{bulk_dir, file_name, log_dir};
use super::places::Place;
use super::sealing::{LOST, Sealing};
use super::segment::Segment;
use crate::crypto::Keyring;
use crate::env::{Env, OpenMode, Planted, Site};
use crate::error::{Error, Result};
use crate::format::checksum::segment_seed;
use crate::format::segment_header::{CODED, HEADER_LEN, SEALED, SegmentHeader, SegmentKind};

/// What all segments of a store have in common.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The store's directory.
    pub dir: PathBuf,
    /// The store's id.
    pub store_id: [u8; 16],
    /// log2 of the chunk size.
    pub chunk_log2: u8,
    /// Whether bodies are read through maps.
    pub mapped: bool,
    /// The keys of the store, if everything in it is sealed.
    pub ring: Option<Arc<Keyring>>,
}

/// Makes and opens segment files.
#[derive(Debug)]
pub struct SegmentMaker {
    /// Files, time and chance.
    pub env: Env,
    /// What all segments have in common.
    pub identity: Identity,
    /// The opening of the store that makes them.
    pub run: AtomicU64,
    next_id: AtomicU64,
    /// The files that are open.
    pub files: Arc<OpenFiles>,
    /// Where the segments of each tier lie; in the store, where nothing is said.
    places: ArcSwap<Vec<Place>>,
    /// Shared by whoever makes a segment, so that the shred root stays the same meanwhile.
    making: RwLock<()>,
    /// Segments made here, which may not be in any table yet.
    made: Mutex<Vec<Weak<Segment>>>,
}

impl SegmentMaker {
    /// A maker whose next segment has the id `next_id`.
    pub fn new(env: Env, identity: Identity, run: u64, next_id: u64) -> SegmentMaker {
        let places = ArcSwap::from_pointee(Vec::new());
        let (run, next_id) = (AtomicU64::new(run), AtomicU64::new(next_id));
        let (making, made) = (RwLock::new(()), Mutex::new(Vec::new()));
        let files = OpenFiles::new(env.clone());
        SegmentMaker { env, identity, run, next_id, files, places, making, made }
    }

    /// Does something while no segment is made; it is given those that were made here and still count.
    pub fn at_rest<R>(&self, work: impl FnOnce(&[Arc<Segment>]) -> R) -> R {
        let _rest = self.making.write();
        let mut made = self.made.lock();
        made.retain(|segment| segment.strong_count() > 0);
        let living: Vec<_> = made.iter().filter_map(Weak::upgrade).collect();
        drop(made);
        let counting: Vec<_> = living.into_iter().filter(|segment| !segment.is_retired()).collect();
        work(&counting)
    }

    /// Says where the segments of each tier lie.
    pub fn set_places(&self, places: Vec<Place>) {
        self.places.store(Arc::new(places));
    }

    /// Where the segments of a tier lie.
    pub fn place(&self, tier: u8) -> Place {
        self.places.load().get(usize::from(tier)).cloned().unwrap_or_default()
    }

    /// Whether the segments of a tier lie in a directory of their own.
    pub fn is_elsewhere(&self, tier: u8) -> bool {
        self.places.load().get(usize::from(tier)).is_some_and(|place| place.elsewhere.is_some())
    }

    /// The id of the next segment.
    pub fn next_id(&self) -> u64 {
        self.next_id.load(Ordering::Relaxed)
    }

    /// Makes sure that no segment gets the id `id` any more.
    pub fn skip_past(&self, id: u64) {
        self.next_id.fetch_max(id + 1, Ordering::Relaxed);
    }

    /// Creates a segment of `len` bytes with a durable header and a durable name.
    pub fn create(&self, kind: SegmentKind, tier: u8, len: u64, start: LogStart) -> Result<Arc<Segment>> {
        let coding = Coding::plain(self.identity.chunk_log2);
        self.create_coded(kind, tier, coding, len, start)
    }

    /// The same for a segment whose bodies are stored in this way.
    pub fn create_coded(
        &self,
        kind: SegmentKind,
        tier: u8,
        coding: Coding,
        len: u64,
        start: LogStart,
    ) -> Result<Arc<Segment>> {
        let site = if kind == SegmentKind::Log { Site::LOG_CREATE } else { Site::BULK_CREATE };
        let _making = self.making.read();
        let (dir, home) = self.dir(kind, tier)?;
        let mut nonce = [0; 8];
        self.env.entropy.fill(&mut nonce);
        let header = SegmentHeader {
            kind,
            tier,
            chunk_log2: coding.chunk_log2,
            coding: match (&self.identity.ring, coding.is_coded()) {
                (Some(_), _) => CODED | SEALED,
                (None, true) => CODED,
                (None, false) => 0,
            },
            id: self.next_id.fetch_add(1, Ordering::Relaxed),
            store_id: self.identity.store_id,
            nonce: u64::from_le_bytes(nonce),
            run: self.run.load(Ordering::Relaxed),
            cut: start.cut,
            base_lsn: start.base_lsn,
            shred: self.identity.ring.as_ref().map_or(0, |ring| ring.shred_name()),
        };
        let path = dir.join(file_name(header.id));
        let open = || self.files.with_room(|| self.env.vfs.open(&path, OpenMode::CreateNew, site));
        let opened = match open() {
            // A store of an earlier version has no directory for each tier.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && home && tier > 0 => self
                .env
                .vfs
                .create_dir(&dir, site)
                .and_then(|()| self.env.vfs.sync_dir(dir.parent().unwrap_or(&dir), site))
                .and_then(|()| open()),
            opened => opened,
        };
        let file = opened.map_err(|e| self.failed(&path, "creating", e))?;
        // The name and the header are durable before the segment is used: were the sync of the name put off and
        // then failed, no later one could be trusted to make up for it.
        let made = (|| {
            file.set_len(len.max(HEADER_LEN as u64), site)?;
            file.write_at(&[IoSlice::new(&header.encode())], 0, site)?;
            file.sync_data(site)?;
            if self.env.planted(Planted::SkipDirSync) {
                return Ok(());
            }
            self.files.with_room(|| self.env.vfs.sync_dir(&dir, site))
        })();
        if let Err(error) = made {
            // Nothing names the file yet, so it can go; if even that fails, the next opening removes it.
            let _ = self.env.vfs.remove(&path, site);
            return Err(self.failed(&path, "creating", error));
        }
        let file = self.files.take(path, file, true);
        let segment = Arc::new(self.handle(header, file, self.identity.mapped));
        if self.identity.ring.is_some() {
            let mut made = self.made.lock();
            made.retain(|segment| segment.strong_count() > 0);
            made.push(Arc::downgrade(&segment));
        }
        Ok(segment)
    }

    /// Opens the segment `id` of a tier in `dir`; a header that is no header of this store's segment `id` is an inner
    /// error. One that `may_shrink` while it is open is never mapped.
    pub fn open(
        &self,
        (kind, tier): (SegmentKind, u8),
        dir: &Path,
        id: u64,
        may_shrink: bool,
    ) -> Result<Result<Arc<Segment>, &'static str>> {
        let path = dir.join(file_name(id));
        let site = Site::SEGMENT_OPEN;
        let file = self.files.open(&path).map_err(|e| self.failed(&path, "opening", e))?;
        let mut bytes = [0; HEADER_LEN];
        match file.read_exact_at(&mut bytes, 0, site) {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                return Ok(Err("the segment is shorter than its header"));
            }
            Err(error) => return Err(self.failed(&path, "reading", error)),
            Ok(()) => {}
        }
        let header = match SegmentHeader::decode(&bytes) {
            Ok(header) => header,
            Err(reason) => return Ok(Err(reason)),
        };
        if header.store_id != self.identity.store_id {
            return Ok(Err("the segment belongs to another store"));
        }
        if (header.kind, header.id, header.tier) != (kind, id, tier) {
            return Ok(Err("the segment is another one than its file name says"));
        }
        if header.is_sealed() != self.identity.ring.is_some() {
            return Ok(Err("the segment is sealed and its store is not, or the other way round"));
        }
        let mapped = self.identity.mapped && !may_shrink;
        let segment = self.handle(header, self.files.take(path, file, false), mapped);
        if segment.is_lost() {
            return Ok(Err(LOST));
        }
        Ok(Ok(Arc::new(segment)))
    }

    /// Whether the file of the segment `id` has a name in `dir` now.
    pub fn is_there(&self, dir: &Path, id: u64) -> bool {
        self.files.open(&dir.join(file_name(id))).is_ok()
    }

    /// An error if the file of a segment has lost its name. What is written to a file without one is gone when it is closed,
    /// durable or not.
    pub fn check_name(&self, segment: &Segment) -> Result<()> {
        let why = match (self.env.vfs.id(segment.path()), segment.file()?.id()) {
            (Ok(found), Ok(held)) if found != held => "another file lies under its name",
            (Err(error), _) if error.kind() == std::io::ErrorKind::NotFound => "its name was removed",
            _ => return Ok(()),
        };
        let told = format!("{why}; nothing but Ossicle may remove files of an open store");
        Err(segment.failed("writing to", std::io::Error::other(told)))
    }

    /// Where a new segment is made, and whether that is in the store.
    fn dir(&self, kind: SegmentKind, tier: u8) -> Result<(PathBuf, bool)> {
        if kind == SegmentKind::Log {
            return Ok((log_dir(&self.identity.dir), true));
        }
        match self.place(tier) {
            Place { out: Some(why), .. } => Err(Error::out_of_service(tier, &why)),
            Place { elsewhere: Some(dir), .. } => Ok((dir, false)),
            _ => Ok((bulk_dir(&self.identity.dir, tier), true)),
        }
    }

    fn failed(&self, path: &Path, doing: &str, error: std::io::Error) -> Error {
        Error::io(format!("{doing} the segment {}", path.display()), error)
    }

    fn handle(&self, header: SegmentHeader, file: SegmentFile, mapped: bool) -> Segment {
        let seed = segment_seed(&header.store_id, header.id, header.nonce);
        Segment { mapped, ..self.adopt(header, seed, file) }
    }

    /// A segment as whoever salvages it believes it to be: with this header, and checksums that start from `seed`.
    pub fn adopt(&self, header: SegmentHeader, seed: u32, file: SegmentFile) -> Segment {
        Segment {
            sealing: self.identity.ring.as_ref().map(|ring| Sealing::new(ring, &header)),
            seed,
            header,
            file,
            mapped: self.identity.mapped,
            mistake: self.env.mistake(),
            map: ArcSwapOption::empty(),
            touched: ArcSwap::from_pointee(Vec::new()),
            bodies: AtomicU64::new(0),
            durable_bodies: Mutex::new(0),
            sync_failed: Mutex::new(false),
            overhead: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            retired: AtomicBool::new(false),
            blobs: Mutex::new(None),
        }
    }
}

/// How the first log segment of a run hangs together with the log before it.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogStart {
    /// Where the log before it ends.
    pub cut: Option<crate::format::commit::Position>,
    /// The lsn before its first commit.
    pub base_lsn: u64,
}
