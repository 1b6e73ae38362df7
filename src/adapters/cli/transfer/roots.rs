//! The mode of a tree's own directory, which has no key of its own.
//!
//! Below a prefix the object of the prefix has it; where the tree fills a whole bucket, a row of the store does.

use std::path::Path;

use super::file_attributes::Origin;
use crate::{Bucket, Result, Store};

/// The table of the tool's own rows.
const TABLE: &str = "ossicle-tool";

fn row(bucket: &Bucket) -> Vec<u8> {
    format!("root-mode/{}", bucket.name()).into_bytes()
}

/// Keeps the mode of the directory that fills the bucket.
pub fn keep(store: &Store, bucket: &Bucket, root: &Path) -> Result<()> {
    let mode = std::fs::metadata(root).ok().and_then(|meta| Origin::of_file(&meta).mode).unwrap_or(ORDINARY);
    let kept = of_bucket(store, bucket)?;
    if kept.unwrap_or(ORDINARY) == mode {
        return Ok(());
    }
    store.write(|tx| tx.put_row(TABLE, &row(bucket), format!("{mode:04o}").as_bytes()))
}

fn of_bucket(store: &Store, bucket: &Bucket) -> Result<Option<u32>> {
    let kept = store.row(TABLE, &row(bucket))?;
    Ok(kept.and_then(|text| u32::from_str_radix(std::str::from_utf8(&text).ok()?, 8).ok()))
}

/// The mode of the directory that was taken in as this bucket, or below this prefix.
pub fn mode(store: &Store, bucket: &Bucket, prefix: &str) -> Result<Option<u32>> {
    let mode = match prefix {
        "" => of_bucket(store, bucket)?,
        prefix => match bucket.head(prefix) {
            Err(error) if error.is_not_found() => None,
            head => Origin::of_object(&head?).mode,
        },
    };
    Ok(mode.map(|mode| mode & 0o777))
}

/// The mode of directories that are not kept as objects of their own if anything is in them.
pub const ORDINARY: u32 = 0o755;
