//! Looking at a directory before and while a store is opened.

use std::path::{Path, PathBuf};

use super::files::{INDEX_FILES, LOCK, READERS, SUPERBLOCK};
use super::segment_keys;
use crate::env::{Env, Site};
use crate::error::{Error, ErrorKind, Result};
use crate::format::superblock::Superblock;
use crate::segment::{bulk_dir, log_dir, parse_reserve, sync_above};

/// Makes the names in the store's directory durable, then its own name and those of the directories above it,
/// which may be as new.
pub fn name_durably(env: &Env, dir: &Path) -> Result<()> {
    env.vfs.sync_dir(dir, Site::STORE_DIR).map_err(|e| failed("syncing", dir, e))?;
    sync_above(env, dir).map_err(|(shown, error)| failed("syncing", shown, error))
}

/// Whether there is an index file among the names.
pub(in crate::engine) fn has_index(names: &[String]) -> bool {
    names.iter().any(|name| INDEX_FILES.contains(&name.as_str()))
}

/// Holds a directory from now on, and says what it is called then.
pub fn stand_in(env: &Env, dir: &Path) -> Result<(Env, PathBuf)> {
    env.standing_in(dir).map_err(|error| match list(env, dir) {
        Err(told) => told,
        Ok(_) => explain(failed("opening", dir, error), dir),
    })
}

pub(in crate::engine) fn list(env: &Env, dir: &Path) -> Result<Vec<String>> {
    let listed = env.vfs.list(dir, Site::STORE_LIST).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::new(ErrorKind::NotFound, "NoSuchStore", format!("there is no store at {}", dir.display()))
        }
        std::io::ErrorKind::NotADirectory => not_a_store(dir, "it is not a directory"),
        _ => explain(failed("listing", dir, error), dir),
    })?;
    Ok(listed.into_iter().map(|listed| listed.name).collect())
}

/// A directory without a superblock may become a store only if nothing of anybody else's is in it, and nothing
/// of a store that lost its superblock.
pub fn refuse_foreign(env: &Env, dir: &Path, names: &[String], may_create: bool) -> Result<()> {
    let ours = [LOCK, SUPERBLOCK, INDEX_FILES[0], INDEX_FILES[1], READERS, "log", "bulk"];
    let is_ours = |name: &str| {
        ours.contains(&name) || segment_keys::parse_name(name).is_some() || parse_reserve(name).is_some()
    };
    if let Some(name) = names.iter().find(|name| !is_ours(name)) {
        return Err(not_a_store(
            dir,
            &format!("it has no SUPERBLOCK but holds {name:?}; choose an empty directory"),
        ));
    }
    let segments = |path: PathBuf| env.vfs.list(&path, Site::STORE_LIST).is_ok_and(|names| !names.is_empty());
    if segments(log_dir(dir)) || segments(bulk_dir(dir, 0)) {
        return Err(Error::corrupt(
            dir.join(SUPERBLOCK).display(),
            0,
            "the superblock is missing or blank, but there are segments",
        ));
    }
    if !may_create {
        return Err(Error::new(
            ErrorKind::NotFound,
            "NoSuchStore",
            format!("there is no store at {}", dir.display()),
        ));
    }
    Ok(())
}

/// A backup that was begun and never finished holds nothing that could be read.
pub(in crate::engine) fn refuse_unfinished(dir: &Path, block: &Superblock) -> Result<()> {
    if block.backup && block.checkpoint.is_none() {
        let why = "it is a backup that was never finished; run the backup again, or remove it";
        return Err(not_a_store(dir, why));
    }
    Ok(())
}

fn not_a_store(dir: &Path, why: &str) -> Error {
    Error::invalid("InvalidArgument", format!("{} is not an Ossicle store: {why}", dir.display()))
}

pub(in crate::engine) fn failed(doing: &str, path: &Path, error: std::io::Error) -> Error {
    Error::io(format!("{doing} {}", path.display()), error)
}

/// Says what to do where the system only says no.
pub(in crate::engine) fn explain(error: Error, dir: &Path) -> Error {
    use std::error::Error as _;
    let kind =
        error.source().and_then(|source| source.downcast_ref::<std::io::Error>()).map(|source| source.kind());
    match kind {
        Some(std::io::ErrorKind::ReadOnlyFilesystem) => Error::new(
            ErrorKind::Denied,
            "AccessDenied",
            format!("{} is on a read-only disk; open it with read_only(true)", dir.display()),
        )
        .with_source(error),
        Some(std::io::ErrorKind::PermissionDenied) => Error::new(
            ErrorKind::Denied,
            "AccessDenied",
            format!("this user may not use {}: {error}", dir.display()),
        )
        .with_source(error),
        _ => error,
    }
}
