//! From the rows that a commit changed to what people are told that it did.
//!
//! What the keys of a commit say is what happened. A commit whose keys do not tell the story (one row that stands for
//! many objects) says so in a row of its own, and [`ops_of`] is the one place that decides which of them is told.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::bucket::list_buckets;
use super::keys::{self, Place};
use super::object::{HeadRow, meta_of};
use crate::engine::{RawChange, RawCommit, RawPut, View};
use crate::error::{Error, Result};
use crate::format::row::{self, BucketRow, ObjectRow};
use crate::model::{Change, ChangeOp, Lsn, ObjectMeta};

/// What a commit did, for people. `name_of` names a bucket by its id.
pub fn change_of(commit: RawCommit, name_of: &mut dyn FnMut(u64) -> Result<String>) -> Result<Change> {
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(commit.millis.min(i64::MAX as u64));
    let lsn = Lsn(commit.lsn);
    Ok(Change { lsn, time, ops: ops_of(commit, name_of)? })
}

/// What a commit did: what its keys say.
fn ops_of(commit: RawCommit, name_of: &mut dyn FnMut(u64) -> Result<String>) -> Result<Vec<ChangeOp>> {
    let lsn = commit.lsn;
    let mut ops = Vec::with_capacity(commit.changes.len());
    for RawChange { key, put } in commit.changes {
        let op = match (keys::place(&key), put) {
            (Some(Place::Bucket(name)), None) => ChangeOp::DeleteBucket { bucket: name.to_string() },
            (Some(Place::Bucket(name)), Some(put)) => {
                let row: BucketRow = row::decode(&put.payload).map_err(|reason| damaged(lsn, reason))?;
                if row.id != lsn {
                    // The bucket was there before.
                    continue;
                }
                ChangeOp::CreateBucket { bucket: name.to_string() }
            }
            (Some(Place::Row(table, key)), put) => {
                let (table, key) = (table.to_string(), Bytes::copy_from_slice(key));
                match put {
                    Some(put) => ChangeOp::PutRow { table, key, value: put.payload.into() },
                    None => ChangeOp::DeleteRow { table, key },
                }
            }
            (Some(Place::Object(id, key)), Some(put)) => {
                ChangeOp::Put { bucket: name_of(id)?, key: key.to_string(), meta: written(lsn, key, &put)? }
            }
            (Some(Place::Object(id, key)), None) => {
                ChangeOp::Delete { bucket: name_of(id)?, key: key.to_string() }
            }
            // Housekeeping.
            (None, _) => continue,
        };
        ops.push(op);
    }
    Ok(ops)
}

/// What is told of an object that was written.
fn written(lsn: u64, key: &str, put: &RawPut) -> Result<Box<ObjectMeta>> {
    let row: ObjectRow = row::decode(&put.payload).map_err(|reason| damaged(lsn, reason))?;
    if row.size != put.weight.bytes {
        return Err(damaged(lsn, "an object does not say the size that it counts for"));
    }
    meta_of(key.to_string(), HeadRow { row, lsn }).map(Box::new)
}

/// Names of buckets by their ids, learned where they are met.
#[derive(Debug, Default)]
pub struct BucketNames(BTreeMap<u64, String>);

impl BucketNames {
    /// The name that a bucket has or had, in a view of a moment at which it had been made.
    pub fn find(&mut self, view: &View, id: u64) -> Result<String> {
        if let Some(name) = self.0.get(&id) {
            return Ok(name.clone());
        }
        let removed = view.find(&keys::removed_bucket(id), |stored| {
            String::from_utf8(stored.payload.into_owned())
                .map_err(|_| damaged(id, "it made a bucket whose name is not text"))
        })?;
        match removed {
            Some(name) => drop(self.0.insert(id, name)),
            // All that are there, at once: ids are never used again, and names do not change.
            None => self.learn_all(view)?,
        }
        let name = self.0.get(&id).cloned();
        name.ok_or_else(|| damaged(id, "it made a bucket of which no row has the name"))
    }

    fn learn_all(&mut self, view: &View) -> Result<()> {
        let mut after = None;
        loop {
            let batch = list_buckets(view, after.as_deref(), 256)?;
            let Some((last, _)) = batch.last() else {
                return Ok(());
            };
            after = Some(last.to_string());
            self.0.extend(batch.into_iter().map(|(name, row)| (row.id, name.to_string())));
        }
    }

    /// Learns the name of the bucket that was made, if one was: its id is the lsn.
    pub fn learn(&mut self, change: &Change) {
        for op in &change.ops {
            if let ChangeOp::CreateBucket { bucket } = op {
                self.0.insert(change.lsn.0, bucket.clone());
            }
        }
    }
}

fn damaged(lsn: u64, reason: &str) -> Error {
    Error::corrupt(format!("commit {lsn}"), 0, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Weight;

    fn put(key: Vec<u8>, payload: Vec<u8>) -> RawChange {
        RawChange { key, put: Some(RawPut { weight: Weight { slot: 0, objects: 1, bytes: 3 }, payload }) }
    }

    #[test]
    fn keys_tell_what_happened_and_housekeeping_is_not_told() {
        let row = ObjectRow { size: 3, ..Default::default() };
        let changes = vec![
            put(keys::bucket("new"), row::encode(&BucketRow { id: 9, created: 1, class: 0 })),
            put(keys::bucket("old"), row::encode(&BucketRow { id: 4, created: 1, class: 0 })),
            put(keys::removed_bucket(3), b"gone".to_vec()),
            RawChange { key: keys::bucket("gone"), put: None },
            put(keys::row("table", b"k\0y").unwrap(), b"value".to_vec()),
            RawChange { key: keys::row("table", b"").unwrap(), put: None },
            put(keys::object(9, "a/b"), row::encode(&row)),
            RawChange { key: keys::object(4, "c"), put: None },
            put(vec![1, 0], vec![1]),
            put(crate::engine::cursor_key("me"), vec![1, 2]),
        ];
        let commit = RawCommit { lsn: 9, millis: 5, changes };
        let change = change_of(commit, &mut |id| Ok(format!("b{id}"))).unwrap();
        assert_eq!(change.time, SystemTime::UNIX_EPOCH + Duration::from_millis(5));
        let meta = meta_of("a/b".into(), HeadRow { row, lsn: 9 }).unwrap();
        let (table, key) = ("table".to_string(), Bytes::from_static(b"k\0y"));
        let expected = [
            ChangeOp::CreateBucket { bucket: "new".into() },
            ChangeOp::DeleteBucket { bucket: "gone".into() },
            ChangeOp::PutRow { table: table.clone(), key, value: Bytes::from_static(b"value") },
            ChangeOp::DeleteRow { table, key: Bytes::new() },
            ChangeOp::Put { bucket: "b9".into(), key: "a/b".into(), meta: Box::new(meta) },
            ChangeOp::Delete { bucket: "b4".into(), key: "c".into() },
        ];
        assert_eq!(change.ops, expected);
    }
}
