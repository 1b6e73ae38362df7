//! Shredding: an object, everything under a prefix or a whole bucket is deleted, and nothing is left that opens it.
//!
//! 1. *Erase*: a small commit checks that nothing is protected and leaves word of what is to go. It goes in bounded
//!    commits, all versions and uploads of it.
//! 2. *Shred*: when it is gone, the word is replaced by one that names nothing. Then all that is dead in the store is
//!    emptied out of its segments and a new shred root is drawn (`engine/keys/shred.rs`).
//!
//! Word that was left is taken up by maintenance, after a crash too; then 2 is begun anew, and what is emptied already
//! costs nothing any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;

use super::erase::{BeginStep, EndStep, EraseStep, Tally};
use super::leftovers::{self, Part};
use super::target::What;
use crate::background::cleanup;
use crate::catalog::keyspace::keys;
use crate::catalog::{Moment, Rows, unreadable};
use crate::engine::state::engine::Engine;
use crate::engine::{self, BlobHead, Keyed, Relocated};
use crate::error::{Error, ErrorKind, Result};
use crate::format::row::{self, PendingWork};
use crate::model::Durability;
use crate::ops::bucket::history;
use crate::write::batch::Batch;
use crate::write::commit;
use crate::write::context::BucketRef;
use crate::write::outcome::StepOutcome;
use crate::write::staged::overlay::Staged;
use crate::write::step::Step;

/// About how many bytes one step of relocation moves.
const STEP: u64 = 4 << 20;

/// How often it is looked for frames that are not whole; more than once only if others make some meanwhile.
const LOOKS: u32 = 4;

/// What shredding came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shredded {
    /// Objects that were deleted, each version counted.
    pub objects: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// Uploads that were aborted.
    pub uploads: u64,
    /// How many of the objects have a body that others (copies of it, in this bucket or another) have as well. For
    /// them it stays, and so can still be read there: shred those too. Bodies of a few bytes lie in the rows of their
    /// objects (`Settings::inline_max`) and are never shared: copies of such objects are not counted.
    pub shared_objects: u64,
    /// Segments that were emptied, because something dead lay in them, and removed.
    pub segments: u64,
    /// Bytes of what lives in the store that had to be written elsewhere for that.
    pub moved: u64,
}

/// Where a shredding is.
#[derive(Debug)]
enum Phase {
    /// What is to go is being deleted.
    Erase,
    /// What commits have left behind is being removed, and frames of which something is gone are emptied, for the n-th
    /// time.
    Tidy(u32),
    /// Segments are emptied: those that are left, and those that were.
    Empty { left: Vec<u64>, current: Option<Relocated>, emptied: BTreeSet<u64>, again: bool },
    /// Nothing is left to do.
    Done,
}

/// A shredding at work. Dropped, it can be begun again.
#[derive(Debug)]
pub struct Shredder {
    phase: Phase,
    /// Word that is dealt with when all is done.
    words: Vec<Vec<u8>>,
    /// The last commit before the first segment was looked at.
    lsn: u64,
    /// Only segments that hang on the shred root of this name stay, if everything is to be encrypted anew.
    fresh: Option<u64>,
    /// The parts of shared bodies that what is gone had, and how many of it.
    parts: BTreeMap<Part, u64>,
    report: Shredded,
}

impl Shredder {
    /// Begins with the word that is left; `None` if there is none.
    pub fn begin(engine: &Arc<Engine>) -> Result<Option<Shredder>> {
        let any = !words(engine)?.is_empty();
        let (words, parts, report) = (Vec::new(), BTreeMap::new(), Shredded::default());
        Ok(any.then_some(Shredder { phase: Phase::Erase, words, lsn: 0, fresh: None, parts, report }))
    }

    /// What was done so far.
    pub fn report(&self) -> Shredded {
        self.report
    }

    /// Does one step, and says whether there are more.
    pub fn step(&mut self, engine: &Arc<Engine>) -> Result<bool> {
        engine.check_shreddable()?;
        match std::mem::replace(&mut self.phase, Phase::Done) {
            Phase::Erase => self.phase = if self.erase(engine)? { Phase::Erase } else { Phase::Tidy(0) },
            Phase::Tidy(looks) => {
                engine.check_nothing_in_the_way()?;
                while cleanup::step(engine)? || history::trim(engine)? {}
                if self.empty_frames(engine, looks)? {
                    self.phase = Phase::Tidy(looks + 1);
                    return Ok(true);
                }
                leftovers::drop_names(engine)?;
                commit::commit_one(
                    engine,
                    EndStep { words: Vec::new(), leaves: false },
                    Durability::Buffered,
                )?;
                // Before the first segment is looked at: what is left by others meanwhile is not done with by this.
                let words = words(engine)?;
                self.fresh = words.iter().find_map(|(_, work)| match work {
                    PendingWork::Shred { fresh } => *fresh,
                    _ => None,
                });
                self.words = words.into_iter().map(|(key, _)| key).collect();
                engine.checkpoint()?;
                let (segments, lsn) = engine.segments_so_far()?;
                self.lsn = lsn;
                self.phase = empty(segments, false);
            }
            Phase::Empty { mut left, mut current, mut emptied, again } => {
                let more = self.empty_step(engine, &mut left, &mut current, &mut emptied)?;
                self.phase = Phase::Empty { left, current, emptied, again };
                if !more {
                    self.phase = self.go_on(engine)?;
                }
            }
            Phase::Done => return Ok(false),
        }
        Ok(!matches!(self.phase, Phase::Done))
    }

    /// Removes a bounded part of what is to be erased; says whether there was any.
    fn erase(&mut self, engine: &Arc<Engine>) -> Result<bool> {
        let erase = |(_, work): &(Vec<u8>, PendingWork)| matches!(work, PendingWork::Erase { .. });
        let Some((key, work)) = words(engine)?.into_iter().find(erase) else { return Ok(false) };
        let tally = Arc::new(Mutex::new(Tally::default()));
        let step = EraseStep { key: key.clone(), work, tally: tally.clone() };
        // No past is kept of it.
        let (_, committed) = engine.commit(Batch::of(step), Durability::Buffered);
        if let Err(error) = committed {
            if error.kind() == ErrorKind::Immutable {
                // Something was protected or forked meanwhile. It stays, and what is gone is shredded.
                let end = EndStep { words: vec![key], leaves: true };
                commit::commit_one(engine, end, Durability::Buffered)?;
            }
            return Err(error);
        }
        self.count(std::mem::take(&mut *tally.lock()));
        Ok(true)
    }

    fn count(&mut self, tally: Tally) {
        for gone in tally.gone {
            self.report.objects += u64::from(!gone.marker);
            self.report.bytes += gone.bytes;
            if let Some(part) = gone.part {
                *self.parts.entry(part).or_default() += 1;
            }
        }
        self.report.uploads += tally.uploads;
    }

    /// Empties the solid frames that are not whole; says whether there were any. The first look counts as well which of the
    /// objects have left their body to others.
    fn empty_frames(&mut self, engine: &Arc<Engine>, looks: u32) -> Result<bool> {
        // A frame that is being packed may have something of what is gone.
        engine.await_moves();
        let frames = leftovers::look(engine, &self.parts)?;
        if looks == 0 {
            let view = engine.pin();
            for (part, count) in &self.parts {
                let head = Moment::now(&view).get(&engine::head_key(part.0))?;
                let head = head.map(|head| BlobHead::decode(&head.payload)).transpose()?;
                let is_had = match head {
                    Some(BlobHead { keyed: Keyed::Solid { .. }, .. }) => frames.had.contains(part),
                    Some(head) => head.refs > 0,
                    None => false,
                };
                self.report.shared_objects += if is_had { *count } else { 0 };
            }
        }
        if frames.holey.is_empty() {
            return Ok(false);
        }
        if looks >= LOOKS {
            return Err(Error::new(
                ErrorKind::Busy,
                "OperationConflict",
                "what is to be shredded is deleted, but lies in a frame with other small objects that cannot be taken \
                 out of it just now; maintenance goes on with it, or `Store::finish_shredding`",
            ));
        }
        leftovers::empty(engine, &frames.holey)?;
        Ok(true)
    }

    /// Empties a bounded part of the segments that are left; says whether there are more.
    fn empty_step(
        &mut self,
        engine: &Engine,
        left: &mut Vec<u64>,
        current: &mut Option<Relocated>,
        emptied: &mut BTreeSet<u64>,
    ) -> Result<bool> {
        let Some(mut progress) = current.take() else {
            let Some(id) = left.pop() else { return Ok(false) };
            let stale = self.fresh.is_some_and(|fresh| engine.hangs_on_other(id, fresh));
            if stale || engine.has_remains(id)? {
                emptied.insert(id);
                *current = Some(Relocated::of(id));
            }
            return Ok(true);
        };
        if engine.is_written(progress.segment) {
            // Something is being written to it; whether it can go is seen at the end.
            return Ok(true);
        }
        let before = progress.bytes;
        engine.relocate(&mut progress, STEP)?;
        self.report.moved += progress.bytes - before;
        *current = (!progress.done).then_some(progress);
        Ok(true)
    }

    /// Behind the last segment: lets what was emptied go, looks for the names of what is gone, and ends.
    fn go_on(&mut self, engine: &Arc<Engine>) -> Result<Phase> {
        let Phase::Empty { emptied, again, .. } = &self.phase else { return Ok(Phase::Done) };
        engine.drop_emptied(emptied)?;
        self.report.segments += emptied.len() as u64;
        self.fresh = None;
        if !again {
            let (segments, _) = engine.segments_so_far()?;
            let told = engine.drop_tombstones(&segments, self.lsn)?;
            if !told.is_empty() {
                return Ok(empty(told.into_iter().collect(), true));
            }
        }
        engine.replace_shred_root()?;
        let end = EndStep { words: std::mem::take(&mut self.words), leaves: false };
        commit::commit_one(engine, end, Durability::Synced)?;
        Ok(Phase::Done)
    }
}

fn empty(left: Vec<u64>, again: bool) -> Phase {
    Phase::Empty { left, current: None, emptied: BTreeSet::new(), again }
}

/// The word that is left of shreddings.
fn words(engine: &Arc<Engine>) -> Result<Vec<(Vec<u8>, PendingWork)>> {
    let (view, mut found) = (engine.pin(), Vec::new());
    let moment = Moment::now(&view);
    let (from, end) = keys::all_tidy();
    moment.walk(&from, &end, &mut |key| {
        let Some(row) = moment.get(key)? else { return Ok(true) };
        let work: PendingWork = row::decode(&row.payload).map_err(unreadable)?;
        if matches!(work, PendingWork::Erase { .. } | PendingWork::Shred { .. }) {
            found.push((key.to_vec(), work));
        }
        Ok(true)
    })?;
    Ok(found)
}

/// Shreds, from the first step to the last.
pub fn shred(engine: &Arc<Engine>, bucket: &BucketRef, what: What) -> Result<Shredded> {
    engine.check_shreddable()?;
    if let What::Key(key) = &what {
        bucket.admit(&Moment::now(&engine.view()), key)?;
    }
    // What was renamed or forked lies in one space again then, as far as it can.
    while cleanup::step(engine)? {}
    // So that maintenance leaves it to this call, which tells what was done.
    let _turn = engine.shred_turn();
    let tally = Arc::new(Mutex::new(Tally::default()));
    let begin = BeginStep { bucket: bucket.clone(), what, tally: tally.clone() };
    let (_, committed) = engine.commit(Batch::of(begin), Durability::Synced);
    committed?;
    go_through(engine, std::mem::take(&mut *tally.lock()))
}

fn go_through(engine: &Arc<Engine>, tally: Tally) -> Result<Shredded> {
    let Some(mut shredder) = Shredder::begin(engine)? else { return Ok(Shredded::default()) };
    shredder.count(tally);
    while shredder.step(engine)? {}
    Ok(shredder.report())
}

/// Ends what was left of shreddings.
pub fn finish(engine: &Arc<Engine>) -> Result<Shredded> {
    let _turn = engine.shred_turn();
    go_through(engine, Tally::default())
}

/// The step that leaves word to encrypt everything anew.
#[derive(Debug)]
struct ReencryptStep(u64);

impl Step for ReencryptStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        staged.leave(&PendingWork::Shred { fresh: Some(self.0) });
        Ok(StepOutcome::None)
    }
}

/// Encrypts everything in the store anew, under keys that were not there before.
pub fn reencrypt(engine: &Arc<Engine>) -> Result<Shredded> {
    engine.check_shreddable()?;
    let _turn = engine.shred_turn();
    // What is written from now on hangs on a new root; so what was done is known by that, after a crash too.
    engine.replace_shred_root()?;
    let Some(ring) = engine.ring() else { return Ok(Shredded::default()) };
    commit::commit_one(engine, ReencryptStep(ring.shred_name()), Durability::Synced)?;
    go_through(engine, Tally::default())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::erase::ROWS;
    use super::*;
    use crate::crypto::StaticKey;
    use crate::env::{MemoryVfs, Vfs};
    use crate::format::entry::Extent;
    use crate::format::frame::Kind as FrameKind;
    use crate::format::row::{PlaceRow, RunRow, RunningRow};
    use crate::index::Weight;
    use crate::model::{StorageClass, Versioning};
    use crate::segment::Scan;
    use crate::{
        Bucket, CopyOptions, CreateBucketOptions, Maintenance, PutOptions, RestoreOptions, RestoreTimes,
        Store,
    };

    fn open(disk: &Arc<MemoryVfs>) -> Store {
        let vfs: Arc<dyn Vfs> = disk.clone();
        let settings = crate::engine::Settings {
            segment_size: 1 << 20,
            packed_max: 16 << 10,
            chunk_size: 4096,
            reserve_bytes: 0,
            restore_times: RestoreTimes::NONE,
            ..Default::default()
        };
        let builder = Store::builder("/store").vfs(vfs).settings(settings).maintenance(Maintenance::Manual);
        builder.key_provider(StaticKey::new([7; 32])).open().unwrap()
    }

    fn long(text: &str, len: usize) -> Vec<u8> {
        text.bytes().cycle().take(len).collect()
    }

    fn maintain(store: &Store) {
        while store.maintain(Duration::from_secs(60)).unwrap().more {}
    }

    /// Where the current keys still open something that tells one of these words: rows and tombstones of the index, and
    /// all that lies in the segments, dead or not.
    fn tells(store: &Store, words: &[&str]) -> Vec<String> {
        let engine = store.engine();
        let view = engine.pin();
        let mut found = Vec::new();
        let mut look = |place: String, bytes: &[u8]| {
            for word in words {
                if bytes.windows(word.len()).any(|at| at == word.as_bytes()) {
                    found.push(format!("{word:?} in {place}"));
                }
            }
        };
        let mut cursor = view.index.cursor().with_tombstones();
        cursor.seek(&[]).unwrap();
        while let Some(key) = cursor.key() {
            look(format!("the key {}", key.escape_ascii()), key);
            let item = cursor.item().unwrap().unwrap();
            look(format!("the value of {}", key.escape_ascii()), item.value());
            drop(item);
            cursor.next().unwrap();
        }
        for segment in engine.segments().iter() {
            let mut scan = Scan::new(segment, 0, None).unwrap();
            while let Ok(record) = scan.next(false).unwrap() {
                let (offset, frame) = (record.offset, record.frame);
                let place = format!("{:?} {} at {offset}", segment.header.kind, segment.id());
                look(place.clone(), record.payload);
                if frame.kind != FrameKind::Blob {
                    continue;
                }
                if frame.owner_len > 0 {
                    look(format!("the owner, {place}"), &scan.owner(offset, &frame).unwrap());
                }
                let extent = Extent { segment: segment.id(), offset, len: frame.word };
                look(format!("a body, {place}"), &segment.read(&extent, 0..extent.len).unwrap());
            }
        }
        found
    }

    const SECRETS: [&str; 2] = ["secret", "what goes"];

    fn assert_gone(store: &Store, case: &str) {
        assert_eq!(tells(store, &SECRETS), Vec::<String>::new(), "{case}");
        assert!(!store.is_shredding().unwrap());
        let report = store.verify().unwrap();
        assert!(report.problems.is_empty(), "{case}: {:?}", report.problems);
    }

    /// A bucket with `secret` among others in one solid frame.
    fn framed(store: &Store, versioning: Option<Versioning>) -> Bucket {
        let mut options = CreateBucketOptions::new();
        if let Some(versioning) = versioning {
            options = options.versioning(versioning);
        }
        let bucket = store.create_bucket_with("letters", options).unwrap();
        let cold = || PutOptions::new().storage_class(StorageClass::Archive);
        for name in ["a", "b", "c"] {
            bucket.put_with(name, long("what stays ", 700), cold()).unwrap();
        }
        bucket.put_with("secret", long("what goes ", 700), cold()).unwrap();
        maintain(store);
        assert!(!tells(store, &SECRETS).is_empty());
        bucket
    }

    fn copy_frozen(bucket: &Bucket, key: &str, to: &str) {
        bucket.restore(key, RestoreOptions::new().days(1)).unwrap();
        let cold = CopyOptions::new().storage_class(StorageClass::Archive);
        bucket.copy_from(bucket, key, to, cold).unwrap();
    }

    fn begin(bucket: &Bucket) {
        let (bucket, store) = (bucket.reference().clone(), bucket.store());
        let begin = BeginStep { bucket, what: What::Key("secret".into()), tally: Arc::default() };
        store.engine().commit(Batch::of(begin), Durability::Synced).1.unwrap();
    }

    #[test]
    fn shredding_empties_a_frame_whose_other_members_go_by_other_keys() {
        for case in ["renamed", "copied", "pushed down", "deleted before", "cut short"] {
            let disk = Arc::new(MemoryVfs::new());
            let mut store = open(&disk);
            let bucket = framed(&store, (case == "pushed down").then_some(Versioning::Enabled));
            match case {
                "pushed down" => drop(bucket.put("a", b"new").unwrap()),
                "copied" | "cut short" => copy_frozen(&bucket, "a", "z"),
                _ => drop(bucket.rename("a", "z").unwrap()),
            }
            let mut objects = 1;
            if case == "deleted before" {
                bucket.delete("secret").unwrap();
                maintain(&store);
                objects = 0;
            }
            if case == "cut short" {
                begin(&bucket);
                drop((bucket, store));
                store = open(&disk);
                maintain(&store);
            } else {
                let done = bucket.shred("secret").unwrap();
                assert_eq!((done.objects, done.shared_objects), (objects, 0), "{case}");
            }
            assert_gone(&store, case);
            let sizes: Vec<u64> = store
                .bucket("letters")
                .unwrap()
                .versions("")
                .unwrap()
                .map(|version| version.unwrap().size)
                .collect();
            let there = match case {
                "pushed down" => vec![3, 700, 700, 700],
                "copied" | "cut short" => vec![700; 4],
                _ => vec![700; 3],
            };
            assert_eq!(sizes, there, "{case}");
        }
    }

    #[test]
    fn shredding_counts_who_else_has_a_part_of_a_frame() {
        let store = open(&Arc::new(MemoryVfs::new()));
        let bucket = framed(&store, None);
        copy_frozen(&bucket, "secret", "z");
        copy_frozen(&bucket, "secret", "y");
        assert_eq!(bucket.shred("secret").unwrap().shared_objects, 1);
        assert_eq!(tells(&store, &SECRETS[..1]), Vec::<String>::new());
        assert_eq!(bucket.shred("z").unwrap().shared_objects, 1);
        assert_eq!(bucket.shred("y").unwrap().shared_objects, 0);
        assert_gone(&store, "copied");
    }

    #[test]
    fn shredding_takes_the_names_out_of_logs_that_outlive_it() {
        for case in ["opened again", "an old log stays", "a snapshot stays"] {
            let disk = Arc::new(MemoryVfs::new());
            let mut store = open(&disk);
            let bucket = store.create_bucket("letters").unwrap();
            bucket.put("stays", long("what stays ", 300)).unwrap();
            if case != "opened again" {
                store.engine().seal_all().unwrap();
            }
            bucket.put("secret", long("what goes ", 300)).unwrap();
            store.flush().unwrap();
            let snapshot = (case == "a snapshot stays").then(|| store.snapshot().unwrap());
            if case == "opened again" {
                drop(bucket);
                store.close().unwrap();
                store = open(&disk);
            }
            store.bucket("letters").unwrap().shred("secret").unwrap();
            assert_gone(&store, case);
            drop(snapshot);
            store.checkpoint().unwrap();
            assert_gone(&store, case);
            let stays = store.bucket("letters").unwrap().get("stays").unwrap().bytes().unwrap();
            assert_eq!(stays, long("what stays ", 300));
        }
    }

    #[test]
    fn shredding_takes_the_name_out_of_the_note() {
        let store = open(&Arc::new(MemoryVfs::new()));
        let bucket = store.create_bucket("letters").unwrap();
        bucket.put("secret", long("what goes ", 5000)).unwrap();
        bucket.copy("secret", "x").unwrap();
        assert_eq!(bucket.shred("secret").unwrap().shared_objects, 1);
        assert_eq!(tells(&store, &SECRETS[..1]), Vec::<String>::new());
    }

    #[test]
    fn shredding_takes_the_name_out_of_work_for_the_mover() {
        for is_deleted in [false, true] {
            let store = open(&Arc::new(MemoryVfs::new()));
            let bucket = store.create_bucket("letters").unwrap();
            let warm = || PutOptions::new().storage_class(StorageClass::InfrequentAccess);
            bucket.put_with("stays", long("what stays ", 5000), warm()).unwrap();
            bucket.put_with("secret", long("what goes ", 5000), warm()).unwrap();
            if is_deleted {
                bucket.delete("secret").unwrap();
            }
            bucket.shred("secret").unwrap();
            assert_gone(&store, "work");
        }
    }

    #[test]
    fn shredding_is_not_undone_by_a_note_of_an_access() {
        let store = open(&Arc::new(MemoryVfs::new()));
        let bucket = store.create_bucket("letters").unwrap();
        for name in ["stays", "secret"] {
            bucket.put(name, long("what stays ", 50)).unwrap();
            store.engine().touched().note(bucket.reference().id, name, 9);
        }
        bucket.shred("secret").unwrap();
        crate::write::access_times::flush_all(store.engine()).unwrap();
        assert_gone(&store, "an access");
        let (view, id) = (store.engine().pin(), bucket.reference().id);
        assert!(Moment::now(&view).has(&keys::access(id, b"stays")).unwrap());
    }

    #[test]
    fn shredding_takes_the_name_out_of_forwarding_rows() {
        for is_emptied in [false, true] {
            let store = open(&Arc::new(MemoryVfs::new()));
            let bucket = store.create_bucket("letters").unwrap();
            if !is_emptied {
                bucket.put("stays", long("what stays ", 60_000)).unwrap();
            }
            bucket.put("x", long("what goes ", 60_000)).unwrap();
            store.engine().seal_all().unwrap();
            bucket.rename("x", "secret").unwrap();
            store.engine().seal_all().unwrap();
            if is_emptied {
                bucket.delete("secret").unwrap();
                store.checkpoint().unwrap();
            }
            bucket.shred("secret").unwrap();
            assert_gone(&store, "forwarded");
        }
    }

    #[test]
    fn shredding_takes_a_name_off_a_body_that_goes_by_another_now() {
        let store = open(&Arc::new(MemoryVfs::new()));
        let bucket = store.create_bucket("letters").unwrap();
        bucket.put("secret", long("what stays ", 60_000)).unwrap();
        store.engine().seal_all().unwrap();
        bucket.rename("secret", "x").unwrap();
        bucket.shred("secret").unwrap();
        assert_gone(&store, "renamed");
        assert_eq!(bucket.get("x").unwrap().bytes().unwrap(), long("what stays ", 60_000));
    }

    #[derive(Debug)]
    struct RunStep(RunRow);

    impl Step for RunStep {
        fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
            staged.put(keys::lifecycle_run(), Weight::default(), row::encode(&self.0));
            Ok(StepOutcome::None)
        }
    }

    #[test]
    fn shredding_takes_the_name_out_of_a_lifecycle_run_that_is_at_it() {
        let store = open(&Arc::new(MemoryVfs::new()));
        let bucket = store.create_bucket("letters").unwrap();
        let id = bucket.reference().id;
        let upload = |key| keys::upload(id, key, 1, 1);
        let places = [
            (PlaceRow::Objects(b"secret".to_vec()), PlaceRow::Objects(b"stays".to_vec())),
            (
                PlaceRow::Versions { key: b"secret".to_vec(), tail: vec![0; 12], modified: 1 },
                PlaceRow::Objects(b"stays".to_vec()),
            ),
            (PlaceRow::Uploads(upload("secret")), PlaceRow::Uploads(keys::uploads_end(id))),
            (PlaceRow::Accesses(keys::access(id, b"secret")), PlaceRow::Accesses(keys::all_accesses().1)),
        ];
        bucket.put("stays", b"stays").unwrap();
        for (place, there) in places {
            bucket.put("secret", long("what goes ", 50)).unwrap();
            let run = RunRow { done: 3, running: Some(RunningRow { day: 4, bucket: id, place }) };
            commit::commit_one(store.engine(), RunStep(run), Durability::Synced).unwrap();
            bucket.shred("secret").unwrap();
            assert_eq!(tells(&store, &SECRETS), Vec::<String>::new(), "{there:?}");
            let view = store.engine().pin();
            let run = crate::catalog::lifecycle::find_run(&Moment::now(&view)).unwrap().unwrap();
            assert_eq!(run.running.unwrap().place, there);
        }
    }

    #[test]
    fn a_fork_that_is_made_while_a_shred_is_at_it_ends_it() {
        let store = open(&Arc::new(MemoryVfs::new()));
        let versioned = CreateBucketOptions::new().versioning(Versioning::Enabled);
        let bucket = store.create_bucket_with("letters", versioned).unwrap();
        for _ in 0..ROWS + 44 {
            bucket.put("secret", b"what goes").unwrap();
        }
        begin(&bucket);
        store.fork_bucket("letters", "fork").unwrap();
        let error = store.finish_shredding().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Immutable, "{error}");
        store.finish_shredding().unwrap();
        assert!(!store.is_shredding().unwrap());
        for name in ["letters", "fork"] {
            assert_eq!(store.bucket(name).unwrap().versions("secret").unwrap().count(), 44, "{name}");
        }
        store.delete_bucket("fork").unwrap();
        assert_eq!(bucket.shred("secret").unwrap().objects, 44);
        assert_gone(&store, "forked");
    }

    #[test]
    fn a_shred_that_waits_makes_no_segments() {
        let store = open(&Arc::new(MemoryVfs::new()));
        let bucket = store.create_bucket("letters").unwrap();
        bucket.put("stays", long("what stays ", 40_000)).unwrap();
        bucket.put("secret", long("what goes ", 40_000)).unwrap();
        let mut writer = bucket.writer("late", PutOptions::new()).unwrap();
        std::io::Write::write_all(&mut writer, &long("late ", 60_000)).unwrap();
        assert_eq!(bucket.shred("secret").unwrap_err().kind(), ErrorKind::Busy);
        let newest = |store: &Store| store.engine().segments().iter().map(|segment| segment.id()).max();
        maintain(&store);
        let before = (newest(&store), store.engine().pin().lsn);
        for _ in 0..5 {
            maintain(&store);
            assert_eq!(store.finish_shredding().unwrap_err().kind(), ErrorKind::Busy);
        }
        assert_eq!((newest(&store), store.engine().pin().lsn), before);
        writer.finish().unwrap();
        maintain(&store);
        assert_gone(&store, "waited");
        assert_eq!(bucket.get("late").unwrap().bytes().unwrap(), long("late ", 60_000));
    }
}
