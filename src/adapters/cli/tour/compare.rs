//! Comparing objects with files and files with files, byte by byte.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use crate::Object;
use crate::adapters::cli::transfer::file_attributes::Origin;

/// How much is compared at once.
const STEP: usize = 64 << 10;

/// Whether an object has what lies at `path`: a file's bytes, a link's target, or an empty directory.
pub fn object_with_file(object: &mut Object, path: &Path) -> io::Result<bool> {
    let meta = fs::symlink_metadata(path)?;
    let kept = Origin::of_object(object.meta());
    if meta.is_dir() {
        return Ok(object.meta().key.ends_with('/') && object.is_empty());
    }
    if meta.file_type().is_symlink() {
        let mut target = Vec::new();
        object.read_to_end(&mut target)?;
        return Ok(kept.is_link && fs::read_link(path)? == OsString::from_vec(target));
    }
    Ok(meta.is_file() && kept == Origin::of_file(&meta) && same_bytes(object, &mut File::open(path)?)?)
}

/// Whether two places have the same: kind, bytes, mode bits and time.
pub fn file_with_file(one: &Path, other: &Path) -> io::Result<bool> {
    let (first, second) = (fs::symlink_metadata(one)?, fs::symlink_metadata(other)?);
    if first.file_type() != second.file_type() {
        return Ok(false);
    }
    let (mine, yours) = (Origin::of_file(&first), Origin::of_file(&second));
    if (mine.mtime, mine.mode_for_file()) != (yours.mtime, yours.mode_for_file()) {
        return Ok(false);
    }
    if first.is_dir() {
        return Ok(true);
    }
    if first.file_type().is_symlink() {
        return Ok(fs::read_link(one)? == fs::read_link(other)?);
    }
    same_bytes(&mut File::open(one)?, &mut File::open(other)?)
}

fn same_bytes(one: &mut dyn Read, other: &mut dyn Read) -> io::Result<bool> {
    let (mut first, mut second) = (Vec::with_capacity(STEP), Vec::with_capacity(STEP));
    loop {
        first.clear();
        second.clear();
        one.take(STEP as u64).read_to_end(&mut first)?;
        other.take(STEP as u64).read_to_end(&mut second)?;
        if first != second {
            return Ok(false);
        }
        if first.is_empty() {
            return Ok(true);
        }
    }
}
