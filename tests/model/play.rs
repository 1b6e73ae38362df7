//! Plays a history to a store and to the reference side by side, and compares every answer.

use std::collections::BTreeMap;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ossicle::{
    Body as StoreBody, Bucket, CompactOptions, CopyOptions, DeleteOptions, Durability, Entry, Error,
    ErrorKind, GetOptions, ListOptions, Lsn, Object, ObjectMeta, PutOptions, Snapshot, SnapshotBucket, Store,
    Transaction, WriteOptions,
};

use crate::history::{Asked, BUCKETS, Body, Extras, How, Lines, Op, Reopening, RowAt, Spot, Step, Tag};
use crate::reference::{self, Answer, Dress, Handle, Line, List, Range, Read, Reference, Steps, Wants};
use crate::world::World;

/// How many objects and snapshots are held at once.
const HELD: usize = 8;

/// What is known of an object, in a form that both sides can say.
#[derive(Debug, PartialEq, Eq)]
pub struct Facts {
    key: String,
    size: u64,
    etag: String,
    content_type: Option<String>,
    metadata: BTreeMap<String, String>,
    modified: u64,
    lsn: u64,
}

impl Facts {
    fn of(meta: &ObjectMeta) -> Facts {
        let modified = meta.modified.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(meta.version, None);
        Facts {
            key: meta.key.clone(),
            size: meta.size,
            etag: meta.etag.to_string(),
            content_type: meta.content_type.clone(),
            metadata: meta.metadata.clone(),
            modified: modified.as_millis() as u64,
            lsn: meta.lsn.0,
        }
    }

    fn told(key: &str, object: &reference::Object) -> Facts {
        Facts {
            key: key.to_string(),
            size: object.body.len() as u64,
            etag: object.etag.clone(),
            content_type: object.content_type.clone(),
            metadata: object.metadata.clone(),
            modified: object.modified,
            lsn: object.lsn,
        }
    }
}

/// A line of a listing, in a form that both sides can say.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Object(Facts),
    Prefix(String),
}

impl Seen {
    fn of(entry: &Entry) -> Seen {
        match entry {
            Entry::Object(meta) => Seen::Object(Facts::of(meta)),
            Entry::Prefix(prefix) => Seen::Prefix(prefix.clone()),
            other => panic!("an entry of a kind that the model does not know: {other:?}"),
        }
    }

    fn told(line: &Line) -> Seen {
        match line {
            Line::Object(key, object) => Seen::Object(Facts::told(key, object)),
            Line::Prefix(prefix) => Seen::Prefix(prefix.clone()),
        }
    }
}

/// The kind that an error with this code has.
fn kind_of(code: &str) -> ErrorKind {
    match code {
        "NoSuchKey" | "NoSuchBucket" => ErrorKind::NotFound,
        "BucketAlreadyExists" | "BucketNotEmpty" => ErrorKind::AlreadyExists,
        "FileAlreadyExists" | "PreconditionFailed" => ErrorKind::Precondition,
        "NotModified" => ErrorKind::NotModified,
        _ => ErrorKind::Invalid,
    }
}

/// The answer of the store as the reference would say it.
fn code<T>(answer: Result<T, Error>) -> Result<T, String> {
    answer.map_err(|error| {
        assert_eq!(error.kind(), kind_of(error.code()), "{error:?}");
        let told = error.to_string();
        assert!(!told.is_empty() && !told.contains('\n'), "not one line: {told:?}");
        error.code().to_string()
    })
}

#[track_caller]
fn same<T: PartialEq + std::fmt::Debug>(real: Result<T, Error>, told: Answer<T>) {
    assert_eq!(code(real), told.map_err(str::to_string));
}

fn durability(synced: bool) -> Durability {
    if synced { Durability::Synced } else { Durability::Buffered }
}

/// A bucket of the store and the same of the reference.
type Pair = (Bucket, Handle);

/// A history that is being played.
#[derive(Debug)]
pub struct Play<'w> {
    world: &'w World,
    store: Store,
    model: Reference,
    /// By bucket: the handle in use, and those of buckets of that name that were removed.
    handles: BTreeMap<usize, Vec<Pair>>,
    snapshots: Vec<(Snapshot, Reference)>,
    held: Vec<(Object, Arc<[u8]>)>,
    /// Calls that were compared.
    pub played: u64,
}

impl<'w> Play<'w> {
    pub fn begin(world: &'w World) -> Play<'w> {
        let store = world.open();
        let model = Reference::at(crate::world::START);
        let (handles, snapshots, held) = Default::default();
        Play { world, store, model, handles, snapshots, held, played: 0 }
    }

    /// Plays a whole history from an empty store on, and looks at everything at its end.
    pub fn all(world: &World, history: &[Op]) -> u64 {
        let mut play = Play::begin(world);
        for bucket in 0..2 {
            play.op(&Op::CreateBucket(bucket));
        }
        history.iter().for_each(|op| play.op(op));
        play.op(&Op::LookAtAll);
        play.op(&Op::Reopen(Reopening::Closed));
        play.op(&Op::LookAtAll);
        play.op(&Op::Verify);
        play.op(&Op::ReadHeld);
        play.played
    }

    /// Everything that the store holds, as text, for comparing one store with another.
    pub fn told(&self) -> String {
        let mut told = String::new();
        for bucket in self.store.buckets().unwrap() {
            let bucket = bucket.unwrap();
            told.push_str(&format!("{}\n", bucket.name()));
            for entry in bucket.list("").unwrap() {
                let mut entry = entry.unwrap();
                if let Entry::Object(meta) = &mut entry {
                    // Which commit it was depends on how much was relocated before.
                    meta.lsn = Lsn(0);
                }
                told.push_str(&format!("{entry:?}\n"));
            }
        }
        told
    }

    fn pair(&self, bucket: usize, stale: bool) -> Option<Pair> {
        let pairs = self.handles.get(&bucket)?;
        let at = if stale { 0 } else { pairs.len() - 1 };
        pairs.get(at).cloned()
    }

    fn spot(&self, spot: &Spot) -> Option<Pair> {
        self.pair(spot.bucket, spot.stale)
    }

    fn tag(&self, tag: Tag, bucket: &Handle, key: &str) -> Option<String> {
        let wrong = "0123456789ABCDEF0123456789ABCDEF";
        let current = || self.model.find(bucket, key).map_or(wrong.to_string(), |object| object.etag.clone());
        match tag {
            Tag::None => None,
            Tag::Current => Some(current()),
            Tag::CurrentQuoted => Some(format!("\"{}\"", current().to_ascii_lowercase())),
            Tag::Any => Some("*".to_string()),
            Tag::Wrong => Some(wrong.to_string()),
        }
    }

    fn wants(&self, extras: &Extras, bucket: &Handle, key: &str) -> Wants {
        Wants { if_absent: extras.if_absent, if_match: self.tag(extras.if_match, bucket, key) }
    }

    pub fn op(&mut self, op: &Op) {
        self.played += 1;
        if self.object_op(op).is_break() || self.reading_op(op).is_break() {
            return;
        }
        match op {
            Op::CreateBucket(at) => self.create_bucket(*at),
            Op::DeleteBucket(at) => {
                same(self.store.delete_bucket(BUCKETS[*at]), self.model.delete_bucket(BUCKETS[*at]));
            }
            Op::Transaction { steps, forgives, fails, synced } => {
                self.transaction(steps, *forgives, *fails, *synced)
            }
            Op::Snapshot => {
                if self.snapshots.len() < HELD {
                    let snapshot = self.store.snapshot().unwrap();
                    assert_eq!(snapshot.lsn().0, self.model.lsn);
                    self.snapshots.push((snapshot, self.model.clone()));
                }
            }
            Op::LookAtSnapshot(at) => {
                if let Some((snapshot, model)) = self.snapshots.get(*at) {
                    self.played += look_at_snapshot(snapshot, model);
                }
            }
            Op::DropSnapshot(at) => {
                if *at < self.snapshots.len() {
                    self.snapshots.remove(*at);
                }
            }
            Op::Hold(at) => self.hold(at),
            Op::ReadHeld => {
                for (at, (object, body)) in std::mem::take(&mut self.held).into_iter().enumerate() {
                    read_whole(object, &body, at);
                    self.played += 1;
                }
            }
            Op::Checkpoint => self.store.checkpoint().unwrap(),
            Op::Flush => self.store.flush().unwrap(),
            Op::Maintain => {
                let report = self.store.maintain(Duration::from_secs(1)).unwrap();
                assert!(!report.more, "the clock stands still, so the budget never ends: {report:?}");
            }
            Op::Compact(percent) => {
                self.store.compact(CompactOptions::new().garbage_percent(*percent)).unwrap();
            }
            Op::Verify => {
                let report = self.store.verify().unwrap();
                assert!(report.is_clean(), "{report:?}");
            }
            Op::LookAtAll => self.look_at_all(),
            Op::Reopen(how) => self.reopen(*how),
            Op::Advance(millis) => {
                self.world.advance(Duration::from_millis(*millis));
                self.model.now += millis;
            }
            other => unreachable!("played above: {other:?}"),
        }
        let lsn = self.store.stats().lsn.0;
        if matches!(op, Op::Maintain | Op::Compact(_)) && lsn > self.model.lsn {
            // Relocation commits on its own account when it takes away the traces of renames.
            self.model.lsn = lsn;
        }
        assert_eq!(lsn, self.model.lsn, "after {op:?}");
    }

    /// Plays a call that changes one object.
    fn object_op(&mut self, op: &Op) -> ControlFlow<()> {
        let touched = match op {
            Op::Put(at, body, how, extras) => {
                self.put(at, *body, *how, extras);
                at.clone()
            }
            Op::PutMany(bucket, from, count) => {
                self.put_many(*bucket, *from, *count);
                Spot { bucket: *bucket, stale: false, key: "many/00".to_string() }
            }
            Op::Delete(at, tag) => {
                if let Some((bucket, handle)) = self.spot(at) {
                    let if_match = self.tag(*tag, &handle, &at.key);
                    let mut options = DeleteOptions::new().durability(Durability::Buffered);
                    if let Some(tag) = &if_match {
                        options = options.if_match(tag);
                    }
                    let real = bucket.delete_with(&at.key, options);
                    let told = self.model.delete(&handle, &at.key, &Wants { if_absent: false, if_match });
                    same(real.map(|outcome| assert!(outcome.version.is_none() && !outcome.marker)), told);
                }
                at.clone()
            }
            Op::DeleteMany(bucket, keys) => {
                self.delete_many(*bucket, keys);
                Spot { bucket: *bucket, stale: false, key: String::new() }
            }
            Op::Copy(from, to, tag, extras) => {
                self.copy(from, to, *tag, extras);
                to.clone()
            }
            Op::Rename(at, new_key, extras) => {
                self.rename(at, new_key, extras);
                at.clone()
            }
            _ => return ControlFlow::Continue(()),
        };
        // What lies under half of the key must be counted right after every change.
        let half = (0..=touched.key.len() / 2).rev().find(|at| touched.key.is_char_boundary(*at)).unwrap();
        self.usage(&Spot { key: touched.key[..half].to_string(), ..touched });
        ControlFlow::Break(())
    }

    /// Plays a call that reads.
    fn reading_op(&mut self, op: &Op) -> ControlFlow<()> {
        match op {
            Op::Get(at, asked) => self.get(at, asked),
            Op::Head(at, asked) => {
                if let Some((bucket, handle)) = self.spot(at) {
                    let (read, options) = self.asked(asked, &handle, &at.key);
                    let told = self.model.head(&handle, &at.key, &read);
                    same(
                        bucket.head_with(&at.key, options).map(|meta| Facts::of(&meta)),
                        told.map(|object| Facts::told(&at.key, &object)),
                    );
                }
            }
            Op::Exists(at) => {
                if let Some((bucket, handle)) = self.spot(at) {
                    same(bucket.exists(&at.key), self.model.exists(&handle, &at.key));
                }
            }
            Op::List(bucket, lines) => self.list(*bucket, lines),
            Op::Pages(bucket, lines) => self.pages(*bucket, lines),
            Op::Usage(at) => self.usage(at),
            Op::Row(at) => {
                let real = self.store.row(&at.table, &at.key).map(|row| row.map(|row| row.to_vec()));
                same(real, self.model.row(&at.table, &at.key));
            }
            _ => return ControlFlow::Continue(()),
        }
        ControlFlow::Break(())
    }

    // Buckets ---------------------------------------------------------------------------------------------

    fn create_bucket(&mut self, at: usize) {
        let real = self.store.create_bucket(BUCKETS[at]);
        let told = self.model.create_bucket(BUCKETS[at]);
        if let (Ok(bucket), Ok(handle)) = (&real, &told) {
            let pairs = self.handles.entry(at).or_default();
            pairs.push((bucket.clone(), handle.clone()));
            if pairs.len() > 2 {
                pairs.remove(0);
            }
        }
        same(real.map(|bucket| bucket.name().to_string()), told.map(|handle| handle.name));
    }

    fn names(&self) -> Vec<String> {
        self.store.buckets().unwrap().map(|bucket| bucket.unwrap().name().to_string()).collect()
    }

    // One object ------------------------------------------------------------------------------------------

    fn put(&mut self, at: &Spot, body: Body, how: How, extras: &Extras) {
        let Some((bucket, handle)) = self.spot(at) else {
            return;
        };
        let bytes: Arc<[u8]> = body.bytes().into();
        let wants = self.wants(extras, &handle, &at.key);
        let options = put_options(extras, &wants);
        let dress = dress(extras);
        let real = match how {
            How::Borrowed => bucket.put_with(&at.key, &bytes[..], options),
            How::Owned => bucket.put_with(&at.key, bytes.to_vec(), options),
            How::Reader => bucket.put_with(&at.key, StoreBody::reader(Halting::new(&bytes)), options),
            How::Writer(step) => bucket.writer(&at.key, options).and_then(|mut writer| {
                for piece in bytes.chunks(step) {
                    writer.write_all(piece).unwrap();
                }
                assert_eq!(writer.written(), bytes.len() as u64);
                writer.finish()
            }),
        };
        let told = self.model.put(&handle, &at.key, &bytes, &dress, &wants);
        let lsn = self.model.lsn;
        same(real.map(|outcome| (outcome.etag.to_string(), outcome.lsn.0)), told.map(|etag| (etag, lsn)));
    }

    fn put_many(&mut self, at: usize, from: u32, count: u32) {
        let Some((bucket, handle)) = self.pair(at, false) else {
            return;
        };
        let mut steps = self.model.begin();
        let real = self.store.write_with(WriteOptions::new().durability(Durability::Buffered), |tx| {
            for number in from..from + count {
                let key = format!("many/{number:04}");
                let body: Arc<[u8]> = Body { len: number as usize * 3, seed: number as u8 }.bytes().into();
                let pairs = vec![("filler".to_string(), "f".repeat(number as usize % 300))];
                let dress = Dress { content_type: None, metadata: Some(pairs.clone()) };
                let mut options = PutOptions::new();
                for (name, value) in pairs {
                    options = options.metadata(name, value);
                }
                let told = steps.put(&handle, &key, &body, &dress, &Wants::default());
                same(tx.put_with(&bucket, &key, &body[..], options), told.map(|_| ()));
            }
            Ok(())
        });
        same(real, self.model.commit(steps));
        self.played += u64::from(count);
    }

    fn delete_many(&mut self, at: usize, keys: &[String]) {
        let Some((bucket, handle)) = self.pair(at, false) else {
            return;
        };
        let real = bucket.delete_many(keys).map(|answers| {
            let codes = answers.into_iter().map(|(key, answer)| (key, code(answer.map(|_| ()))));
            codes.collect::<Vec<_>>()
        });
        let told = self.model.delete_many(&handle, keys).map(|answers| {
            let answers = answers.into_iter().map(|answer| answer.map_err(str::to_string));
            keys.iter().cloned().zip(answers).collect::<Vec<_>>()
        });
        same(real, told);
        self.played += keys.len() as u64;
    }

    fn copy(&mut self, from: &Spot, to: &Spot, tag: Tag, extras: &Extras) {
        let (Some((source, source_handle)), Some((target, handle))) = (self.spot(from), self.spot(to)) else {
            return;
        };
        let source_tag = self.tag(tag, &source_handle, &from.key);
        let wants = self.wants(extras, &handle, &to.key);
        let mut options = copy_options(extras, &wants);
        if let Some(tag) = &source_tag {
            options = options.source_if_match(tag);
        }
        let mut dress = dress(extras);
        // No pair at all means that the source's are kept.
        dress.metadata = dress.metadata.filter(|pairs| !pairs.is_empty());
        for (name, value) in dress.metadata.iter().flatten() {
            options = options.metadata(name, value);
        }
        if let Some(text) = &dress.content_type {
            options = options.content_type(text);
        }
        let real = target.copy_from(&source, &from.key, &to.key, options);
        let told =
            self.model.copy((&source_handle, &from.key), (&handle, &to.key), source_tag, &dress, &wants);
        let lsn = self.model.lsn;
        same(real.map(|outcome| (outcome.etag.to_string(), outcome.lsn.0)), told.map(|etag| (etag, lsn)));
    }

    fn rename(&mut self, at: &Spot, new_key: &str, extras: &Extras) {
        let Some((bucket, handle)) = self.spot(at) else {
            return;
        };
        let wants = self.wants(extras, &handle, new_key);
        let real = bucket.rename_with(&at.key, new_key, copy_options(extras, &wants));
        let told = self.model.rename(&handle, &at.key, new_key, &wants);
        same(real.map(|outcome| (outcome.etag.to_string(), outcome.lsn.0)), told);
    }

    fn asked(&self, asked: &Asked, handle: &Handle, key: &str) -> (Read, GetOptions) {
        let written = self.model.find(handle, key).map_or(self.model.now, |object| object.modified) / 1000;
        let moment = |after: Option<i64>| after.map(|seconds| written.checked_add_signed(seconds).unwrap());
        let read = Read {
            range: asked.range,
            if_match: self.tag(asked.if_match, handle, key),
            if_none_match: self.tag(asked.if_none_match, handle, key),
            if_modified_since: moment(asked.if_modified_since),
            if_unmodified_since: moment(asked.if_unmodified_since),
        };
        let mut options = GetOptions::new();
        options = match read.range {
            None => options,
            Some(Range::Full) => options.range(..),
            Some(Range::Span(start, end)) => options.range(start..end),
            Some(Range::Inclusive(start, last)) => options.range(start..=last),
            Some(Range::From(start)) => options.range(start..),
            Some(Range::To(end)) => options.range(..end),
            Some(Range::Last(count)) => options.last(count),
        };
        if let Some(tag) = &read.if_match {
            options = options.if_match(tag);
        }
        if let Some(tag) = &read.if_none_match {
            options = options.if_none_match(tag);
        }
        let time = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        if let Some(seconds) = read.if_modified_since {
            options = options.if_modified_since(time(seconds));
        }
        if let Some(seconds) = read.if_unmodified_since {
            options = options.if_unmodified_since(time(seconds));
        }
        (read, options)
    }

    fn get(&mut self, at: &Spot, asked: &Asked) {
        let Some((bucket, handle)) = self.spot(at) else {
            return;
        };
        let (read, options) = self.asked(asked, &handle, &at.key);
        let real = bucket.get_with(&at.key, options);
        match (real, self.model.get(&handle, &at.key, &read)) {
            (Ok(object), Ok((told, range))) => {
                assert_eq!(Facts::of(object.meta()), Facts::told(&at.key, &told));
                read_whole(object, &told.body[range], self.played as usize);
            }
            (real, told) => same(
                real.map(|object| Facts::of(object.meta())),
                told.map(|(told, _)| Facts::told(&at.key, &told)),
            ),
        }
    }

    fn hold(&mut self, at: &Spot) {
        let Some((bucket, handle)) = self.spot(at) else {
            return;
        };
        if let (Ok(object), Ok(told)) = (bucket.get(&at.key), self.model.find(&handle, &at.key))
            && self.held.len() < HELD
        {
            self.held.push((object, told.body.clone()));
        }
    }

    // Many objects ----------------------------------------------------------------------------------------

    fn list(&mut self, at: usize, lines: &Lines) {
        let Some((bucket, handle)) = self.pair(at, false) else {
            return;
        };
        let told = self.model.list(&handle, &list(lines));
        let real = bucket.list_with(list_options(lines));
        let real = real.map(|listing| listing.map(|entry| Seen::of(&entry.unwrap())).collect::<Vec<_>>());
        same(real, told.map(|(lines, _)| lines.iter().map(Seen::told).collect()));
        let page = bucket.list_page(list_options(lines)).map(|page| {
            let seen: Vec<_> = page.entries.iter().map(Seen::of).collect();
            (seen, page.next)
        });
        let limit = Some(lines.limit.unwrap_or(1000));
        let told = self.model.list(&handle, &List { limit, ..list(lines) }).map(|(lines, more)| {
            let next = lines.last().filter(|_| more).map(|line| line.name().to_string());
            (lines.iter().map(Seen::told).collect(), next)
        });
        same(page, told);
    }

    /// Page by page, a listing is the same as at once.
    fn pages(&mut self, at: usize, lines: &Lines) {
        let Some((bucket, handle)) = self.pair(at, false) else {
            return;
        };
        let step = lines.limit.unwrap_or(3).max(1);
        let mut seen = Vec::new();
        let mut start_after = lines.start_after.clone();
        let told = self.model.list(&handle, &List { limit: None, ..list(lines) });
        let real = loop {
            let options = list_options(&Lines { start_after, limit: Some(step), ..lines.clone() });
            match bucket.list_page(options) {
                Err(error) => break Err(error),
                Ok(page) => {
                    self.played += 1;
                    assert!(page.entries.len() <= step);
                    assert!(page.next.is_none() || page.entries.len() == step, "a short page in the middle");
                    seen.extend(page.entries.iter().map(Seen::of));
                    match page.next {
                        Some(next) => start_after = next,
                        None => break Ok(seen),
                    }
                }
            }
        };
        same(real, told.map(|(lines, _)| lines.iter().map(Seen::told).collect()));
    }

    fn usage(&mut self, at: &Spot) {
        let Some((bucket, handle)) = self.spot(at) else {
            return;
        };
        let real = bucket.usage(&at.key).map(|usage| (usage.objects, usage.bytes));
        same(real, self.model.usage(&handle, &at.key));
    }

    fn look_at_all(&mut self) {
        assert_eq!(self.names(), self.model.bucket_names());
        let usage = self.store.usage().unwrap();
        assert_eq!((usage.objects, usage.bytes), self.model.usage_of_all());
        let snapshot = self.store.snapshot().unwrap();
        self.played += look_at_snapshot(&snapshot, &self.model);
        for (bucket, handle) in self.handles.values().flatten() {
            let real = bucket
                .list("")
                .map(|listing| listing.map(|entry| Seen::of(&entry.unwrap())).collect::<Vec<_>>());
            let told = self.model.list(handle, &List::default());
            same(real, told.map(|(lines, _)| lines.iter().map(Seen::told).collect()));
        }
    }

    // Transactions ----------------------------------------------------------------------------------------

    fn transaction(&mut self, steps: &[Step], forgives: bool, fails: bool, synced: bool) {
        let mut told = self.model.begin();
        let mut last = Ok(());
        let options = WriteOptions::new().durability(durability(synced));
        let refusal = self.store.bucket("Ab").unwrap_err();
        let real = self.store.write_with(options, |tx| {
            for step in steps {
                let real = self.step(tx, &mut told, step);
                if let Err(error) = real
                    && !forgives
                {
                    last = Err(error.code());
                    return Err(error);
                }
            }
            if fails {
                last = Err(refusal.code());
                return Err(refusal);
            }
            Ok(())
        });
        let told = last.and_then(|()| self.model.commit(told));
        same(real, told);
        self.played += steps.len() as u64;
    }

    /// Makes one step in both transactions and compares what each says; hands on what the store's said.
    fn step(&self, tx: &mut Transaction<'_>, told: &mut Steps, step: &Step) -> Result<(), Error> {
        let both = |real: Result<(), Error>, told: Answer<()>| {
            let codes = (real.as_ref().err().map(Error::code), told.err());
            assert_eq!(codes.0, codes.1, "{step:?}");
            real
        };
        match step {
            Step::Put(at, body, extras) => {
                let Some((bucket, handle)) = self.spot(at) else {
                    return Ok(());
                };
                let bytes: Arc<[u8]> = body.bytes().into();
                let wants = self.wants(extras, &handle, &at.key);
                let real = tx.put_with(&bucket, &at.key, &bytes[..], put_options(extras, &wants));
                both(real, told.put(&handle, &at.key, &bytes, &dress(extras), &wants).map(|_| ()))
            }
            Step::Delete(at, tag) => {
                let Some((bucket, handle)) = self.spot(at) else {
                    return Ok(());
                };
                let if_match = self.tag(*tag, &handle, &at.key);
                let mut options = DeleteOptions::new();
                if let Some(tag) = &if_match {
                    options = options.if_match(tag);
                }
                let real = tx.delete_with(&bucket, &at.key, options);
                both(real, told.delete(&handle, &at.key, &Wants { if_absent: false, if_match }))
            }
            Step::Copy(from, to) | Step::Rename(from, to) => {
                let (Some(source), Some(target)) = (self.spot(from), self.spot(to)) else {
                    return Ok(());
                };
                let places = ((&source.1, from.key.as_str()), (&target.1, to.key.as_str()));
                if matches!(step, Step::Copy(..)) {
                    both(tx.copy(&source.0, &from.key, &target.0, &to.key), told.tx_copy(places.0, places.1))
                } else {
                    both(
                        tx.rename(&source.0, &from.key, &target.0, &to.key),
                        told.tx_rename(places.0, places.1),
                    )
                }
            }
            Step::Get(at) => {
                let Some((bucket, handle)) = self.spot(at) else {
                    return Ok(());
                };
                let told = told.get(&handle, &at.key);
                match (tx.get(&bucket, &at.key), told) {
                    (Ok(object), Ok(told)) => {
                        assert_eq!(Facts::of(object.meta()), Facts::told(&at.key, &told));
                        read_whole(object, &told.body, at.key.len());
                        Ok(())
                    }
                    (real, told) => both(real.map(|_| ()), told.map(|_| ())),
                }
            }
            Step::Head(at) => {
                let Some((bucket, handle)) = self.spot(at) else {
                    return Ok(());
                };
                match (tx.head(&bucket, &at.key), told.get(&handle, &at.key)) {
                    (Ok(meta), Ok(told)) => {
                        assert_eq!(Facts::of(&meta), Facts::told(&at.key, &told));
                        Ok(())
                    }
                    (real, told) => both(real.map(|_| ()), told.map(|_| ())),
                }
            }
            Step::PutRow(RowAt { table, key }, len) => {
                let value = Body { len: *len, seed: key.len() as u8 }.bytes();
                both(tx.put_row(table, key, &value), told.put_row(table, key, &value))
            }
            Step::DeleteRow(RowAt { table, key }) => {
                both(tx.delete_row(table, key), told.delete_row(table, key))
            }
            Step::Row(RowAt { table, key }) => match (tx.row(table, key), told.row(table, key)) {
                (Ok(real), Ok(told)) => {
                    assert_eq!(real.map(|row| row.to_vec()), told);
                    Ok(())
                }
                (real, told) => both(real.map(|_| ()), told.map(|_| ())),
            },
        }
    }

    // The store -------------------------------------------------------------------------------------------

    fn reopen(&mut self, how: Reopening) {
        let handles = std::mem::take(&mut self.handles);
        let snapshots = std::mem::take(&mut self.snapshots);
        match how {
            Reopening::Dropped => {
                drop((handles, snapshots));
                let closed = std::mem::replace(&mut self.store, Store::in_memory().unwrap());
                drop(closed);
            }
            _ => {
                self.store.close().unwrap();
                refuses_everything(&self.store, &handles, &snapshots);
            }
        }
        match how {
            Reopening::WithoutIndex => self.world.remove_index(),
            Reopening::Rebuilt => {
                self.store = self.world.builder().rebuild_index(true).open().unwrap();
                self.store.close().unwrap();
            }
            Reopening::ReadOnly => {
                self.store = self.world.builder().read_only(true).create(false).open().unwrap();
                let refused = self.store.create_bucket("ddd").unwrap_err();
                assert_eq!(refused.kind(), ErrorKind::Denied);
                self.look_at_all();
                self.store.close().unwrap();
            }
            Reopening::Closed | Reopening::Dropped => {}
        }
        self.store = self.world.open();
        for (at, name) in BUCKETS.iter().enumerate().take(3) {
            let (real, told) = (self.store.bucket(name), self.model.bucket(name));
            if let (Ok(bucket), Ok(handle)) = (&real, &told) {
                self.handles.insert(at, vec![(bucket.clone(), handle.clone())]);
            }
            same(real.map(|bucket| bucket.name().to_string()), told.map(|handle| handle.name));
        }
    }
}

/// What is left of a closed store says so.
fn refuses_everything(
    store: &Store,
    handles: &BTreeMap<usize, Vec<Pair>>,
    snapshots: &[(Snapshot, Reference)],
) {
    let closed = |error: Error| assert_eq!(error.kind(), ErrorKind::Closed, "{error:?}");
    closed(store.buckets().unwrap_err());
    closed(store.snapshot().unwrap_err());
    closed(store.create_bucket("ddd").unwrap_err());
    closed(store.write(|tx| tx.put_row("t", b"k", b"v")).unwrap_err());
    closed(store.checkpoint().unwrap_err());
    closed(store.maintain(Duration::from_secs(1)).unwrap_err());
    closed(store.compact(CompactOptions::new()).unwrap_err());
    for (bucket, _) in handles.values().flatten() {
        closed(bucket.get("a").unwrap_err());
        closed(bucket.put("a", b"").unwrap_err());
        closed(bucket.usage("").unwrap_err());
        closed(bucket.list("").unwrap_err());
    }
    for (snapshot, _) in snapshots {
        // Another opening may write over the pages that it shows, so it must not be read any more.
        closed(snapshot.usage().unwrap_err());
    }
    store.close().unwrap();
}

/// Reads an object in one of several ways and compares every byte.
fn read_whole(mut object: Object, body: &[u8], way: usize) {
    assert_eq!(object.len(), body.len() as u64);
    match way % 4 {
        0 => assert!(object.bytes().unwrap() == body),
        1 => {
            let mut read = Vec::new();
            object.read_to_end(&mut read).unwrap();
            assert!(read == body);
        }
        2 => {
            let half = body.len() / 2;
            assert_eq!(object.seek(SeekFrom::End(-(half as i64))).unwrap(), (body.len() - half) as u64);
            let mut read = vec![0; half / 2];
            object.read_exact(&mut read).unwrap();
            assert_eq!(object.copy_to(&mut read).unwrap(), (half - half / 2) as u64);
            assert!(read == body[body.len() - half..]);
            object.rewind().unwrap();
            assert_eq!(object.copy_to(&mut std::io::sink()).unwrap(), body.len() as u64);
        }
        _ => {
            object.seek(SeekFrom::Start(body.len() as u64 + 1)).unwrap();
            assert_eq!(object.read(&mut [0]).unwrap(), 0);
            object.seek(SeekFrom::Start(0)).unwrap();
            let mut read = Vec::new();
            assert_eq!(object.copy_to(&mut read).unwrap(), body.len() as u64);
            assert!(read == body);
        }
    }
}

/// Compares everything that a snapshot shows with the reference of its moment. Answers how much that was.
pub fn look_at_snapshot(snapshot: &Snapshot, model: &Reference) -> u64 {
    let mut looked = 0;
    assert_eq!(snapshot.lsn().0, model.lsn);
    let usage = snapshot.usage().unwrap();
    assert_eq!((usage.objects, usage.bytes), model.usage_of_all());
    for name in &BUCKETS[..3] {
        let (real, told) = (snapshot.bucket(name), model.bucket(name));
        if let (Ok(bucket), Ok(handle)) = (&real, &told) {
            looked += look_at_bucket(bucket, model, handle);
        }
        same(real.map(|bucket| bucket.name().to_string()), told.map(|handle| handle.name));
    }
    for ((table, key), value) in model.rows() {
        assert!(snapshot.row(table, key).unwrap().unwrap() == *value);
        looked += 1;
    }
    looked
}

fn look_at_bucket(bucket: &SnapshotBucket, model: &Reference, handle: &Handle) -> u64 {
    let (lines, _) = model.list(handle, &List::default()).unwrap();
    let seen: Vec<Seen> = bucket.list("").unwrap().map(|entry| Seen::of(&entry.unwrap())).collect();
    assert_eq!(seen, lines.iter().map(Seen::told).collect::<Vec<_>>());
    for (at, line) in lines.iter().enumerate() {
        let Line::Object(key, object) = line else { continue };
        read_whole(bucket.get(key).unwrap(), &object.body, at);
        assert!(bucket.exists(key).unwrap());
    }
    for prefix in ["", "a", "a/", "many/0", "\u{1F408}"] {
        let usage = bucket.usage(prefix).unwrap();
        assert_eq!((usage.objects, usage.bytes), model.usage(handle, prefix).unwrap());
    }
    lines.len() as u64 + 6
}

fn dress(extras: &Extras) -> Dress {
    Dress { content_type: extras.content_type.clone(), metadata: extras.metadata.clone() }
}

fn put_options(extras: &Extras, wants: &Wants) -> PutOptions {
    let mut options = PutOptions::new().durability(durability(extras.synced));
    if let Some(text) = &extras.content_type {
        options = options.content_type(text);
    }
    for (name, value) in extras.metadata.iter().flatten() {
        options = options.metadata(name, value);
    }
    if wants.if_absent {
        options = options.if_absent();
    }
    match &wants.if_match {
        Some(tag) => options.if_match(tag),
        None => options,
    }
}

/// Conditions and durability only.
fn copy_options(extras: &Extras, wants: &Wants) -> CopyOptions {
    let mut options = CopyOptions::new().durability(durability(extras.synced));
    if wants.if_absent {
        options = options.if_absent();
    }
    match &wants.if_match {
        Some(tag) => options.if_match(tag),
        None => options,
    }
}

fn list(lines: &Lines) -> List {
    List {
        prefix: lines.prefix.clone(),
        delimiter: lines.delimiter.clone(),
        start_after: lines.start_after.clone(),
        limit: lines.limit,
    }
}

fn list_options(lines: &Lines) -> ListOptions {
    let options =
        ListOptions::new().prefix(&lines.prefix).delimiter(&lines.delimiter).start_after(&lines.start_after);
    match lines.limit {
        Some(limit) => options.limit(limit),
        None => options,
    }
}

/// A reader that gives little at a time and is interrupted now and then.
struct Halting<'a> {
    rest: &'a [u8],
    calls: usize,
}

impl<'a> Halting<'a> {
    fn new(rest: &'a [u8]) -> Halting<'a> {
        Halting { rest, calls: 0 }
    }
}

impl std::io::Read for Halting<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        self.calls += 1;
        if self.calls % 3 == 1 {
            return Err(std::io::ErrorKind::Interrupted.into());
        }
        let most = (self.rest.len() / 2 + 1).min(self.calls * 1000);
        let most = most.min(buf.len());
        self.rest.read(&mut buf[..most])
    }
}
