//! Whether a directory is a store, may become one, and stays the one that was opened.

use std::path::{Path, PathBuf};

use super::files::{INDEX_FILES, LOCK, READERS, SUPERBLOCK};
use super::listing::{explain, failed, list, not_a_store};
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
