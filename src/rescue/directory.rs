//! Checks on the directory that a copy is written to.

use std::path::{Path, PathBuf};

use crate::engine::directory::files::LOCK;
use crate::engine::directory::lock::{Found as Who, StoreLock};
use crate::env::{Env, Site};
use crate::error::{Error, ErrorKind, Result};

/// What is read and what is written must be apart.
pub fn refuse_nested(env: &Env, from: &Path, to: &Path) -> Result<()> {
    let (from, to) = (&resolved(env, from), &resolved(env, to));
    if to.starts_with(from) || from.starts_with(to) {
        let why = format!("{} and {} lie in one another", from.display(), to.display());
        return Err(Error::invalid("InvalidArgument", format!("{why}; choose a directory elsewhere")));
    }
    Ok(())
}

/// The path without symlinks, as far as it is there.
fn resolved(env: &Env, path: &Path) -> PathBuf {
    let found = path.ancestors().find_map(|dir| {
        let rest = path.strip_prefix(dir).ok()?;
        let there = env.vfs.resolve(dir).ok()?;
        Some(if rest.as_os_str().is_empty() { there } else { there.join(rest) })
    });
    found.unwrap_or_else(|| path.to_path_buf())
}

/// Keeps writers out of a directory that is read, if it has a file to lock. Nothing is made for it.
pub fn lock_quietly(env: &Env, dir: &Path) -> Result<Option<StoreLock>> {
    match StoreLock::ask(env, dir) {
        Ok(Who::Nobody(lock)) => Ok(lock),
        Ok(Who::Writer | Who::Hidden) => Err(Error::new(
            ErrorKind::Busy,
            "StoreBusy",
            format!("the store at {} is open; close it first", dir.display()),
        )),
        Err(_) => Ok(None),
    }
}

/// A directory that something is to be written to must be missing or empty.
pub fn refuse_filled(env: &Env, dir: &Path) -> Result<()> {
    match env.vfs.list(dir, Site::STORE_LIST) {
        Ok(names) => match names.iter().find(|listed| listed.name != LOCK) {
            None => Ok(()),
            Some(other) => Err(Error::new(
                ErrorKind::AlreadyExists,
                "DirectoryNotEmpty",
                format!("{} is not empty, it holds {:?}; choose a new directory", dir.display(), other.name),
            )),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io(format!("listing {}", dir.display()), error)),
    }
}
