//! Buckets in the ordered map.

use super::keys;
use crate::engine::View;
use crate::error::{Error, ErrorKind, Result};
use crate::format::row::{self, BucketRow};
use crate::model::BucketName;

/// The row of a bucket; `None` if there is no such bucket.
pub fn find_bucket(view: &View, name: &str) -> Result<Option<BucketRow>> {
    view.find(&keys::bucket(name), |stored| {
        row::decode(&stored.payload).map_err(|reason| damaged(name, reason))
    })
}

/// The buckets behind `after`, at most `limit` of them, in the order of their names.
pub fn list_buckets(view: &View, after: Option<&str>, limit: usize) -> Result<Vec<(BucketName, BucketRow)>> {
    let (start, end) = keys::all_buckets();
    let start = after.map_or(start, |name| {
        let mut key = keys::bucket(name);
        key.push(0);
        key
    });
    let mut found = Vec::new();
    let mut cursor = view.index.cursor();
    cursor.seek(&start)?;
    while let Some(key) = cursor.key().filter(|key| **key < *end && found.len() < limit) {
        let name = keys::bucket_name(key).unwrap_or_default().to_string();
        let Some(item) = cursor.item()? else { break };
        let stored = view.stored(&item)?;
        let row = row::decode(&stored.payload).map_err(|reason| damaged(&name, reason))?;
        let name = BucketName::new(&name).map_err(|_| damaged(&name, "the name is not valid"))?;
        found.push((name, row));
        drop(item);
        cursor.next()?;
    }
    Ok(found)
}

/// `NoSuchBucket`.
pub fn no_such_bucket(name: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        "NoSuchBucket",
        format!("the bucket {name} does not exist; make it with `store.create_bucket`"),
    )
}

fn damaged(name: &str, reason: &str) -> Error {
    Error::corrupt(format!("the row of bucket {name:?}"), 0, reason)
}
