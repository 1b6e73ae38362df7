//! Looking at a directory before and while a store is opened.

use std::path::Path;

use crate::env::{Env, Site};
use crate::error::{Error, ErrorKind, Result};

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

pub(super) fn not_a_store(dir: &Path, why: &str) -> Error {
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
