//! Opening the store that a command works on.

use std::path::Path;

use super::address::Address;
use super::failure::{Failure, say};
use super::wording::translated;
use super::{format, key_options, named_keys};
use crate::{Bucket, ErrorKind, ListOptions, Store, StoreBuilder};

/// Where the store is.
pub fn place(store: Option<&Path>) -> Result<&Path, Failure> {
    let wanted = "say where the store is, with `--store DIR` or the environment variable OSSICLE_STORE";
    store.ok_or_else(|| Failure::Usage(wanted.to_string()))
}

/// Opens the store there in a way of one's own.
fn open(path: &Path, with: impl Fn(StoreBuilder) -> StoreBuilder) -> Result<crate::Result<Store>, Failure> {
    key_options::unlocked(|| {
        let builder = named_keys::equip(key_options::open(Store::builder(path))?)?;
        Ok(with(builder).open())
    })
}

/// Opens a store for reading, as it is durable now: others may have it open too, a writer among them.
pub fn to_read(store: Option<&Path>) -> Result<Store, Failure> {
    let path = place(store)?;
    if_there(path)?.ok_or_else(|| missing(path))
}

/// The same; `None` if there is no store.
pub fn if_there(path: &Path) -> Result<Option<Store>, Failure> {
    match open(path, |builder| builder.read_only(true).create(false))? {
        Err(error) if error.is_not_found() => Ok(None),
        opened => opened.map(Some).map_err(|error| explained(path, error)),
    }
}

/// Opens a store that is there for reading and writing, in a way of one's own.
pub fn to_write_with(
    store: Option<&Path>,
    with: impl Fn(StoreBuilder) -> StoreBuilder,
) -> Result<Store, Failure> {
    let path = place(store)?;
    open(path, |builder| with(builder).create(false))?.map_err(|error| explained(path, error))
}

/// Opens a store that is there for reading and writing.
pub fn to_write(store: Option<&Path>) -> Result<Store, Failure> {
    to_write_with(store, |builder| builder)
}

/// Opens a store for reading and writing in a way of one's own, making it if it is missing.
pub fn or_make(store: Option<&Path>, with: impl Fn(StoreBuilder) -> StoreBuilder) -> Result<Store, Failure> {
    let path = place(store)?;
    let is_new = !path.join("SUPERBLOCK").exists();
    if is_new {
        key_options::confirm()?;
    }
    let opened = open(path, with)?.map_err(|error| explained(path, error))?;
    if is_new && opened.key_id().is_none() && key_options::is_offered() {
        say(
            "the store is made without encryption: OSSICLE_PASSPHRASE counts for a new one with `--passphrase` only",
        );
    }
    Ok(opened)
}

/// Opens a store that is there; `None` while somebody else has it open.
pub fn when_free(store: Option<&Path>, to_write: bool) -> Result<Option<Store>, Failure> {
    let path = place(store)?;
    match open(path, |builder| builder.read_only(!to_write).create(false))? {
        Err(error) if error.kind() == ErrorKind::Busy => Ok(None),
        opened => opened.map(Some).map_err(|error| explained(path, error)),
    }
}

/// Whether there is nothing under a prefix.
pub fn is_empty(bucket: &Bucket, prefix: &str) -> Result<bool, Failure> {
    // A prefix longer than a key can be has nothing under it.
    Ok(prefix.len() > 1023
        || bucket.list_page(ListOptions::new().prefix(prefix).limit(1))?.entries.is_empty())
}

/// What is said where nothing is there that could be worked on.
pub fn nothing_below(at: &Address) -> Failure {
    Failure::of(match at.key.is_empty() {
        true => format!("there is nothing in {}", at.bucket),
        false => format!("there is nothing below {}", format::name(&at.to_string())),
    })
}

fn missing(path: &Path) -> Failure {
    let path = format::path(path);
    Failure::of(format!("there is no store in {path}; `ossicle mb` and `ossicle import` make one"))
}

/// What is said of a store that does not open.
pub fn explained(path: &Path, error: crate::Error) -> Failure {
    match error.kind() {
        ErrorKind::NotFound => missing(path),
        // The command that helps, to be copied.
        ErrorKind::Corrupt => {
            let told = translated(&error.to_string());
            Failure::of(told.replace("salvage DIR", &format!("salvage {}", format::quoted(path))))
        }
        _ => Failure::from(error),
    }
}
