//! `tour`: the whole of the store at work on a real directory, checked file by file.
//!
//! *Owns*: the order of the steps, the place that they happen in, and the words that tell of them.
//! *Promises*:
//! 1. The directory that is shown is only read.
//! 2. Success is said only if every byte that was asked back was the right one.
//! 3. Nothing is left behind, unless `--keep` or `--store` asks for it.
//!
//! *Stands on*: the other commands, and the public face.
//! *Never*: works in a directory that has anything in it.
//! *Read first*: [`command`], then `steps.rs`.

mod compare;
mod place;
mod steps;

use std::io::Write;
use std::path::{Path, PathBuf};

use place::Place;
use steps::Tour;

use super::failure::{Failure, say};
use super::stop;
use crate::adapters::cli::args::args::TourArgs;
use crate::adapters::cli::format;
use crate::adapters::cli::transfer::tree::Exclude;

/// The source tree that this program was built from, if it is still there.
const OWN_SOURCE: &str = env!("CARGO_MANIFEST_DIR");

/// `tour`
pub fn command(store: Option<&Path>, args: &TourArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let (source, exclude) = source_of(args);
    if !source.is_dir() {
        return Err(Failure::of(format!("{} is no directory", format::path(&source))));
    }
    let place = Place::make(store, args.keep)?;
    stop::listen();
    let mut tour = Tour::begin(&source, &exclude, &place, out)?;
    tour.all()?;
    let (right, wrong) = (tour.right, tour.wrong);
    // The lock is freed before the directory goes.
    drop(tour);
    place.leave(out)?;
    if wrong > 0 {
        say(&format!("the tour found {} that did not match", format::counted(wrong, "thing")));
        return Err(Failure::Told);
    }
    writeln!(out, "everything matched: {} were compared, and none differed", format::counted(right, "file"))?;
    Ok(())
}

fn source_of(args: &TourArgs) -> (PathBuf, Vec<Exclude>) {
    if let Some(directory) = &args.directory {
        return (directory.clone(), Vec::new());
    }
    let own = Path::new(OWN_SOURCE);
    let source = if own.is_dir() { own } else { Path::new(".") };
    (source.to_path_buf(), vec![Exclude::new("target"), Exclude::new(".git")])
}
