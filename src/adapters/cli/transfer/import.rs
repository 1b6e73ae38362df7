//! `import`: takes a directory tree in, with several jobs at once and memory that stays bounded.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::import_job::{Import, Intake, Wanted};
use super::roots;
use super::tree::{Exclude, Found, Kind, Step, Walk};
use crate::adapters::cli::args::args::{ImportArgs, jobs};
use crate::adapters::cli::failure::{Failure, say};
use crate::adapters::cli::progress::Progress;
use crate::adapters::cli::report::{Summary, Tally, Trouble};
use crate::adapters::cli::{format, opening, stop};
use crate::{Bucket, StorageClass, Store, Tier};

/// How much `--compress` compresses.
const LEVEL: i32 = 3;

/// How many files may wait for a job.
const WAITING: usize = 256;

/// `import`
pub fn command(store: Option<&Path>, args: &ImportArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let store_path = opening::place(store)?;
    let shown = format::path(&args.directory);
    let meta = std::fs::metadata(&args.directory).map_err(|error| Failure::about(&shown, &error))?;
    if !meta.is_dir() {
        return Err(Failure::of(format!("{shown} is no directory; `ossicle put` takes a single file")));
    }
    crate::BucketName::new(&args.to.bucket)?;
    let prefix = args.to.directory();
    let root = args.directory.as_path();
    let exclude: Vec<Exclude> = args.exclude.iter().map(|name| Exclude::new(name)).collect();
    let (jobs, checksum, compress) = (jobs(args.jobs), args.checksum, args.compress);
    let import = Import { root, exclude: &exclude, store_path, prefix: &prefix, jobs, checksum, compress };
    if args.dry_run {
        return rehearse(&import, &args.to.bucket, out).and_then(|()| tell_unmet(&exclude));
    }
    stop::listen();
    let store = opening::or_make(store, |builder| match compress {
        true => builder.tier(StorageClass::Standard, Tier::new().level(LEVEL)),
        false => builder,
    })?;
    let bucket = match store.bucket(&args.to.bucket) {
        Err(error) if error.is_not_found() => store.create_bucket(&args.to.bucket)?,
        found => found?,
    };
    let summary = import.run(&store, &bucket)?;
    let told = summary.tell("imported", out).and_then(|()| tell_unmet(&exclude));
    // Closing makes a checkpoint; where that fails, the log has everything, and the failure is told.
    told.and(store.close().map_err(Failure::from))
}

/// Says which names were left out in vain: whoever wrote them meant something.
fn tell_unmet(exclude: &[Exclude]) -> Result<(), Failure> {
    let mut answer = Ok(());
    for unmet in exclude.iter().filter(|exclude| !exclude.was_met()) {
        let pattern = format::name(&unmet.pattern);
        say(&format!("`--exclude {pattern}` left nothing out: no file and no directory has such a name"));
        answer = Err(Failure::Told);
    }
    answer
}

impl Import<'_> {
    /// Takes the tree in and makes it durable.
    pub fn run(&self, store: &Store, bucket: &Bucket) -> Result<Summary, Failure> {
        let tally = Tally::begin(Progress::begin("imported", None));
        let (send, receive) = crossbeam::channel::bounded::<Found>(WAITING);
        std::thread::scope(|scope| {
            for _ in 0..self.jobs {
                let (receive, tally) = (receive.clone(), &tally);
                scope.spawn(move || {
                    let mut intake = Intake::new(self, store, bucket, tally);
                    receive.iter().for_each(|found| intake.take(&found));
                    intake.end();
                });
            }
            drop(receive);
            if !self.prefix.is_empty() {
                drop(send.send(self.own_directory()));
            }
            for step in self.walk().take_while(|_| !tally.is_over()) {
                match step {
                    Step::Leave(name, why) => tally.trouble(&format::path(&name), Trouble::File(why)),
                    // Nobody receives any more only if every job has panicked, and the scope hands that on.
                    Step::Take(found) => drop(send.send(found)),
                }
            }
            drop(send);
        });
        if self.prefix.is_empty()
            && !tally.is_over()
            && let Err(error) = roots::keep(store, bucket, self.root)
        {
            tally.trouble(&format::path(self.root), error.into());
        }
        // Everything so far was buffered; one sync makes all of it durable.
        if let Err(error) = store.flush() {
            tally.trouble("", Trouble::All(error.to_string()));
        }
        Ok(tally.end())
    }

    /// The root of the tree, which has the prefix for a key.
    fn own_directory(&self) -> Found {
        Found { path: self.root.to_path_buf(), name: PathBuf::new(), kind: Kind::Directory }
    }

    fn walk(&self) -> Walk<'_> {
        Walk::begin(self.root, self.exclude, Some(self.store_path))
    }
}

/// Says what would be taken.
fn rehearse(import: &Import<'_>, bucket: &str, out: &mut dyn Write) -> Result<(), Failure> {
    let opened = opening::if_there(import.store_path)?;
    let bucket = match opened.as_ref().map(|store| store.bucket(bucket)) {
        None => None,
        Some(Err(error)) if error.is_not_found() => None,
        Some(found) => Some(found?),
    };
    stop::listen();
    let tally = Tally::begin(Progress::begin("looked at", None));
    for step in import.walk().take_while(|_| !tally.is_over()) {
        let found = match step {
            Step::Take(found) => found,
            Step::Leave(name, why) => {
                tally.trouble(&format::path(&name), Trouble::File(why));
                continue;
            }
        };
        match Wanted::decide(import, bucket.as_ref(), &found) {
            Ok(None) if found.kind == Kind::Directory => {}
            Ok(None) => tally.skipped(),
            Ok(Some(wanted)) => {
                writeln!(out, "would import {}", format::name(&wanted.key))?;
                tally.done(wanted.size());
            }
            Err(trouble) => tally.trouble(&format::path(&found.name), trouble),
        }
    }
    tally.end().tell("would import", out)
}
