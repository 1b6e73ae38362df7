//! The steps of a tour, each told in a line.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use super::compare;
use super::place::Place;
use crate::adapters::cli::args::args;
use crate::adapters::cli::commands::maintenance;
use crate::adapters::cli::failure::{Failure, say};
use crate::adapters::cli::report::Summary;
use crate::adapters::cli::transfer::export::Export;
use crate::adapters::cli::transfer::import_job::Import;
use crate::adapters::cli::transfer::tree::{Exclude, Kind, Step, Walk};
use crate::adapters::cli::{format, stop};
use crate::{Bucket, CompactOptions, Entry, ListOptions, ObjectMeta, Store};

/// The bucket of the tour.
const BUCKET: &str = "tour";

/// How many objects are overwritten, and how many deleted, at most.
const CHANGES: usize = 50;

/// How many entries are shown.
const SHOWN: usize = 5;

/// A tour on its way.
pub struct Tour<'a> {
    source: &'a Path,
    exclude: &'a [Exclude],
    place: &'a Place,
    out: &'a mut dyn Write,
    store: Store,
    bucket: Bucket,
    /// What the tour has done to objects since they were imported: new bytes, or none if it was deleted.
    changed: BTreeMap<String, Option<Vec<u8>>>,
    /// How many comparisons came out right, and how many wrong.
    pub right: u64,
    pub wrong: u64,
}

impl<'a> Tour<'a> {
    /// Makes the store.
    pub fn begin(
        source: &'a Path,
        exclude: &'a [Exclude],
        place: &'a Place,
        out: &'a mut dyn Write,
    ) -> Result<Tour<'a>, Failure> {
        let begun = Instant::now();
        let store = Store::open(&place.store)?;
        let bucket = store.create_bucket(BUCKET)?;
        let changed = BTreeMap::new();
        let mut tour = Tour { source, exclude, place, out, store, bucket, changed, right: 0, wrong: 0 };
        let where_to = format::path(&place.store);
        tour.tell(format!("Made a store in {where_to} in {}.", format::time(begun.elapsed())))?;
        Ok(tour)
    }

    /// All steps in order.
    pub fn all(&mut self) -> Result<(), Failure> {
        let steps = [
            Self::take_in,
            Self::list,
            Self::read_back,
            Self::overwrite,
            Self::delete,
            Self::read_changed,
            Self::stand,
            Self::reopen,
            Self::lose_the_index,
            Self::compact,
            Self::verify,
            Self::export,
        ];
        for step in steps {
            step(self)?;
            if stop::asked() {
                return Err(Failure::Stopped);
            }
        }
        Ok(())
    }

    fn tell(&mut self, line: String) -> Result<(), Failure> {
        writeln!(self.out, "{line}")?;
        // Each line is to be seen when its step is done, not when all are.
        Ok(self.out.flush()?)
    }

    fn note(&mut self, name: &str, is_right: std::io::Result<bool>) {
        match is_right {
            Ok(true) => self.right += 1,
            Ok(false) => self.mistake(&format!("{} differs", format::name(name))),
            Err(error) => self.mistake(&format!("{}: {error}", format::name(name))),
        }
    }

    fn mistake(&mut self, sentence: &str) {
        self.wrong += 1;
        say(sentence);
    }

    /// Counts what a job could not do as wrong, and names it.
    fn weigh(&mut self, summary: &Summary) -> Result<(), Failure> {
        self.wrong += summary.failed;
        if summary.is_whole() {
            return Ok(());
        }
        summary.tell("done with", self.out).or_else(|failure| match failure {
            Failure::Told => Ok(()),
            other => Err(other),
        })
    }

    fn take_in(&mut self) -> Result<(), Failure> {
        let import = Import {
            root: self.source,
            exclude: self.exclude,
            store_path: &self.place.store,
            prefix: "",
            jobs: args::jobs(None),
            checksum: false,
            compress: false,
        };
        let done = import.run(&self.store, &self.bucket)?;
        self.weigh(&done)?;
        if self.bucket.usage("")?.objects != done.done {
            self.mistake("the bucket does not have as many objects as files were imported");
        }
        self.tell(format!(
            "Imported {} ({}) from {} in {}: {}, {} files/s.",
            format::counted(done.done, "file"),
            format::bytes(done.bytes),
            format::path(self.source),
            format::time(done.took),
            format::rate(done.bytes, done.took),
            format::count(format::per_second(done.done, done.took)),
        ))
    }

    fn list(&mut self) -> Result<(), Failure> {
        let begun = Instant::now();
        let mut objects = 0;
        for entry in self.bucket.list("")? {
            entry?;
            objects += 1;
        }
        let took = begun.elapsed();
        let top = self.bucket.list_page(ListOptions::new().delimiter("/").limit(SHOWN))?;
        let names: Vec<String> = top.entries.iter().map(|entry| format::name(entry.name())).collect();
        let more = if top.next.is_some() { ", ..." } else { "" };
        self.tell(format!(
            "Listed {} in {}; at the top lie {}{more}.",
            format::counted(objects, "object"),
            format::time(took),
            names.join(", "),
        ))
    }

    fn read_back(&mut self) -> Result<(), Failure> {
        let begun = Instant::now();
        let (mut objects, mut bytes) = (0, 0);
        for meta in self.objects()? {
            let meta = meta?;
            let mut object = self.bucket.get(&meta.key)?;
            let is_right = compare::object_with_file(&mut object, &self.source.join(&meta.key));
            self.note(&meta.key, is_right);
            objects += 1;
            bytes += meta.size;
        }
        let took = begun.elapsed();
        self.tell(format!(
            "Read {} back and compared them with the files in {}: {}.",
            format::counted(objects, "object"),
            format::time(took),
            format::rate(bytes, took),
        ))
    }

    fn objects(&self) -> Result<impl Iterator<Item = Result<ObjectMeta, Failure>> + use<>, Failure> {
        let entries = self.bucket.list("")?.take_while(|_| !stop::asked());
        Ok(entries.filter_map(|entry| match entry {
            Ok(Entry::Object(meta)) => Some(Ok(meta)),
            Ok(Entry::Prefix(_)) => None,
            Err(error) => Some(Err(error.into())),
        }))
    }

    /// Keys of files all over the bucket that the tour has not changed yet.
    fn sample(&self) -> Result<Vec<String>, Failure> {
        let stride = (self.bucket.usage("")?.objects as usize / (2 * CHANGES)).max(3);
        let mut keys = Vec::new();
        let untouched = |meta: &Result<ObjectMeta, Failure>| match meta {
            Ok(meta) => !meta.key.ends_with('/') && !self.changed.contains_key(&meta.key),
            Err(_) => true,
        };
        for meta in self.objects()?.filter(untouched).step_by(stride).take(CHANGES) {
            keys.push(meta?.key);
        }
        Ok(keys)
    }

    fn overwrite(&mut self) -> Result<(), Failure> {
        let keys = self.sample()?;
        let begun = Instant::now();
        let count = keys.len() as u64;
        for key in keys {
            let body = format!("the tour was here, and wrote over {key}\n").repeat(20).into_bytes();
            self.bucket.put(&key, &body)?;
            self.changed.insert(key, Some(body));
        }
        let each = each(begun.elapsed(), count);
        let objects = format::counted(count, "object");
        self.tell(format!("Overwrote {objects}, each safe on the disk before the next: {each} each."))
    }

    fn delete(&mut self) -> Result<(), Failure> {
        let keys = self.sample()?;
        let begun = Instant::now();
        let count = keys.len() as u64;
        for (key, deleted) in self.bucket.delete_many(keys)? {
            deleted?;
            self.changed.insert(key, None);
        }
        let objects = format::counted(count, "object");
        self.tell(format!("Deleted {objects} in one commit in {}.", format::time(begun.elapsed())))
    }

    fn read_changed(&mut self) -> Result<(), Failure> {
        let wrong = self.wrong;
        self.check_changed()?;
        let changed = format::counted(self.changed.len() as u64, "changed object");
        let verdict = match self.wrong - wrong {
            0 => "the new bytes are there, and the deleted ones gone".to_string(),
            wrong => format!("{} not as they should be", format::count(wrong)),
        };
        self.tell(format!("Looked at the {changed}: {verdict}."))
    }

    fn check_changed(&mut self) -> Result<(), Failure> {
        let changed = std::mem::take(&mut self.changed);
        for (key, body) in &changed {
            let is_right = match (self.bucket.get(key), body) {
                (Ok(object), Some(body)) => object.bytes()? == body.as_slice(),
                (Err(error), None) => error.is_not_found(),
                _ => false,
            };
            self.note(key, Ok(is_right));
        }
        self.changed = changed;
        Ok(())
    }

    fn stand(&mut self) -> Result<(), Failure> {
        let begun = Instant::now();
        let usage = self.store.usage()?;
        let took = format::time(begun.elapsed());
        let stats = self.store.stats();
        self.tell(format!(
            "The store holds {} ({}), counted in {took}; it takes {} of disk in {}, after {} and {}.",
            format::counted(usage.objects, "object"),
            format::bytes(usage.bytes),
            format::bytes(stats.disk_bytes),
            format::counted(stats.segments, "segment"),
            format::counted(stats.commits, "commit"),
            format::counted(stats.log_syncs, "sync"),
        ))
    }

    /// Closes the store and opens it again, and checks that it holds what it held.
    fn open_again(
        &mut self,
        meanwhile: impl FnOnce(&Path) -> Result<(), Failure>,
    ) -> Result<Duration, Failure> {
        let before = self.store.usage()?;
        self.store.close()?;
        meanwhile(&self.place.store)?;
        let begun = Instant::now();
        self.store = Store::open(&self.place.store)?;
        let took = begun.elapsed();
        self.bucket = self.store.bucket(BUCKET)?;
        let now = self.store.usage()?;
        if (now.objects, now.bytes) != (before.objects, before.bytes) {
            self.mistake("the store does not hold as much as before it was closed");
        }
        self.check_changed()?;
        Ok(took)
    }

    fn reopen(&mut self) -> Result<(), Failure> {
        let took = self.open_again(|_| Ok(()))?;
        self.tell(format!("Closed the store and opened it again in {}.", format::time(took)))
    }

    fn lose_the_index(&mut self) -> Result<(), Failure> {
        let mut lost = 0;
        let took = self.open_again(|store| {
            let gone = remove_index(store).map_err(|error| Failure::about(format::path(store), &error))?;
            lost = gone;
            Ok(())
        })?;
        let lost = format::bytes(lost);
        let took = format::time(took);
        self.tell(format!(
            "Threw the index file away ({lost}); the next opening rebuilt it from the log in {took}."
        ))
    }

    fn compact(&mut self) -> Result<(), Failure> {
        let before = self.store.stats().disk_bytes;
        let begun = Instant::now();
        self.store.compact(CompactOptions::new())?;
        let took = format::time(begun.elapsed());
        let after = self.store.stats().disk_bytes;
        self.tell(format!(
            "Compacted it in {took}: {} of disk before, {} now.",
            format::bytes(before),
            format::bytes(after)
        ))
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let begun = Instant::now();
        let report = maintenance::verified(&self.store)?;
        if report.stopped {
            return Err(Failure::Stopped);
        }
        for problem in &report.problems {
            self.mistake(&format::name(&problem.reason));
        }
        let took = begun.elapsed();
        self.tell(format!(
            "Verified {} and {} of the log in {} ({}): {}.",
            format::bytes(report.body_bytes),
            format::counted(report.records, "record"),
            format::time(took),
            format::rate(report.body_bytes, took),
            if report.is_clean() {
                "clean".to_string()
            } else {
                format::counted(report.problem_count, "problem")
            },
        ))
    }

    fn export(&mut self) -> Result<(), Failure> {
        let export = Export {
            bucket: &self.bucket,
            prefix: "",
            mode: None,
            jobs: args::jobs(None),
            checksum: false,
            force: false,
        };
        let done = export.run(&self.place.exported)?;
        self.weigh(&done)?;
        let (mut objects, exported) = (0, &self.place.exported);
        for meta in self.objects()? {
            let key = meta?.key;
            let is_right = match self.changed.get(&key) {
                Some(Some(body)) => fs::read(exported.join(&key)).map(|bytes| bytes == *body),
                // It was listed, so it should not have been deleted.
                Some(None) => Ok(false),
                None => compare::file_with_file(&self.source.join(&key), &exported.join(&key)),
            };
            self.note(&key, is_right);
            objects += 1;
        }
        let mut files = 0;
        for step in Walk::begin(exported, &[], None) {
            if let Step::Take(found) = step {
                // Of a directory that has something in it, only an unusual mode is kept, in an object.
                let is_kept = || self.bucket.exists(&format!("{}/", found.name.to_string_lossy()));
                files += u64::from(found.kind != Kind::Directory || is_kept()?);
            }
        }
        if files != objects {
            self.mistake(&format!("the exported tree has {files} files, and the bucket {objects} objects"));
        }
        self.tell(format!(
            "Exported {} ({}) in {} ({}) and compared the trees: bytes, modes, times and links.",
            format::counted(done.done, "file"),
            format::bytes(done.bytes),
            format::time(done.took),
            format::rate(done.bytes, done.took),
        ))
    }
}

fn each(took: Duration, count: u64) -> String {
    format::time(took.checked_div(u32::try_from(count.max(1)).unwrap_or(u32::MAX)).unwrap_or_default())
}

/// Removes the index file of a closed store, whichever of its names it has, and says how large it was.
fn remove_index(store: &Path) -> std::io::Result<u64> {
    let mut removed = 0;
    for entry in fs::read_dir(store)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with("index.") && name.ends_with(".tree")) {
            removed += entry.metadata()?.len();
            fs::remove_file(entry.path())?;
        }
    }
    Ok(removed)
}
