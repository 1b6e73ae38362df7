//! Opening the store that a command works on.

use std::path::Path;

use super::failure::Failure;
use super::{encryption, keys, words};
use crate::{ErrorKind, Store, StoreBuilder};

/// Where the store is.
pub fn place(store: Option<&Path>) -> Result<&Path, Failure> {
    let wanted = "say where the store is, with `--store DIR` or the environment variable OSSICLE_STORE";
    store.ok_or_else(|| Failure::Usage(wanted.to_string()))
}

/// How the store there is opened.
pub fn builder(path: &Path) -> Result<StoreBuilder, Failure> {
    encryption::equip(keys::open(Store::builder(path))?)
}

/// Opens a store for reading, as it is durable now: others may have it open too, a writer among them.
pub fn to_read(store: Option<&Path>) -> Result<Store, Failure> {
    let path = place(store)?;
    builder(path)?.read_only(true).create(false).open().map_err(|error| explained(path, error))
}

/// Opens a store that is there for reading and writing, in a way of one's own.
pub fn to_write_with(
    store: Option<&Path>,
    with: impl FnOnce(StoreBuilder) -> StoreBuilder,
) -> Result<Store, Failure> {
    let path = place(store)?;
    with(builder(path)?).create(false).open().map_err(|error| explained(path, error))
}

/// Opens a store that is there for reading and writing.
pub fn to_write(store: Option<&Path>) -> Result<Store, Failure> {
    to_write_with(store, |builder| builder)
}

/// Opens a store for reading and writing, making it if it is missing.
pub fn or_make(store: Option<&Path>) -> Result<Store, Failure> {
    let path = place(store)?;
    builder(path)?.open().map_err(|error| explained(path, error))
}

/// Opens a store that is there; `None` while somebody else has it open.
pub fn when_free(store: Option<&Path>, to_write: bool) -> Result<Option<Store>, Failure> {
    let path = place(store)?;
    match builder(path)?.read_only(!to_write).create(false).open() {
        Err(error) if error.kind() == ErrorKind::Busy => Ok(None),
        opened => opened.map(Some).map_err(|error| explained(path, error)),
    }
}

fn explained(path: &Path, error: crate::Error) -> Failure {
    match error.kind() {
        ErrorKind::NotFound => Failure::of(format!(
            "there is no store in {}; `ossicle mb` and `ossicle import` make one",
            words::path(path)
        )),
        _ => Failure::from(error),
    }
}
