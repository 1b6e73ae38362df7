//! From the rows that a commit changed to what people are told that it did.
//!
//! What the keys of a commit say is what happened. Where they do not tell the story, the commit carries a note, and what
//! the note says of a row takes precedence over what the row's key says.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::note::{self, Said};
use crate::catalog::bucket::list_buckets;
use crate::catalog::keyspace::keys::{self, Kind};
use crate::catalog::keyspace::rows::{Moment, Rows};
use crate::catalog::object::{HeadRow, meta_of};
use crate::engine::{RawChange, RawCommit, RawPut, View};
use crate::error::{Error, Result};
use crate::format::row::{self, BucketRow};
use crate::model::{Change, ChangeOp, Lsn, from_millis};

/// What a commit did, for people. `name_of` names a bucket by its id.
pub fn change_of(commit: RawCommit, name_of: &mut dyn FnMut(u64) -> Result<String>) -> Result<Change> {
    let (lsn, time) = (Lsn(commit.lsn), from_millis(commit.millis));
    let rows: BTreeMap<Vec<u8>, Option<RawPut>> =
        commit.changes.into_iter().map(|RawChange { key, put }| (key, put)).collect();
    let said = match rows.get(&[keys::NOTE][..]) {
        Some(Some(put)) => note::decode(&put.payload)?,
        _ => Vec::new(),
    };
    let mut telling =
        Telling { lsn: commit.lsn, millis: commit.millis, rows: &rows, ops: Vec::with_capacity(rows.len()) };
    telling.tell_keys(&said, name_of)?;
    telling.tell_note(said)?;
    // What was done in a bucket before it was removed can be done again only before it is.
    telling.ops.sort_by_key(|op| matches!(op, ChangeOp::DeleteBucket { .. }));
    Ok(Change { lsn, time, ops: telling.ops })
}

/// A commit that is being told.
struct Telling<'a> {
    lsn: u64,
    /// When it was made: what it did is told as it was then.
    millis: u64,
    rows: &'a BTreeMap<Vec<u8>, Option<RawPut>>,
    ops: Vec<ChangeOp>,
}

impl Telling<'_> {
    /// Tells what the keys say, apart from what the note says better.
    fn tell_keys(&mut self, said: &[Said], name_of: &mut dyn FnMut(u64) -> Result<String>) -> Result<()> {
        let tidied = said.contains(&Said::Tidied);
        let mut noted = BTreeSet::new();
        let mut forks = BTreeSet::new();
        for each in said {
            match each {
                Said::Object { at, .. } | Said::Same { at } => drop(noted.insert(&at[..])),
                Said::Fork { bucket, .. } => drop(forks.insert(&bucket[..])),
                _ => {}
            }
        }
        for (key, put) in self.rows {
            if let Some(bucket) = keys::bucket_name(key) {
                let bucket = bucket.to_string();
                match put {
                    None => self.ops.push(ChangeOp::DeleteBucket { bucket }),
                    // Later commits write its row as well.
                    Some(put) if self.is_made(put)? && !forks.contains(&bucket[..]) => {
                        self.ops.push(ChangeOp::CreateBucket { bucket });
                    }
                    Some(_) => {}
                }
            } else if let Some((table, key)) = keys::parse_row(key) {
                let (table, key) = (table.to_string(), Bytes::copy_from_slice(key));
                self.ops.push(match put {
                    Some(put) => ChangeOp::PutRow { table, key, value: put.payload.clone().into() },
                    None => ChangeOp::DeleteRow { table, key },
                });
            } else if let Some(place) = keys::parse_place(key) {
                if place.kind != Kind::Head || place.shadow || tidied || noted.contains(&key[..]) {
                    continue;
                }
                let name = text(self.lsn, place.key)?;
                self.tell_object(name_of(place.space)?, name, put.as_ref())?;
            }
        }
        Ok(())
    }

    /// Whether this commit made the bucket that a row is of.
    fn is_made(&self, put: &RawPut) -> Result<bool> {
        let row: BucketRow = row::decode(&put.payload).map_err(|reason| damaged(self.lsn, reason))?;
        Ok(keys::maker_of(row.id) == self.lsn)
    }

    /// Tells what the note says, in its order.
    fn tell_note(&mut self, said: Vec<Said>) -> Result<()> {
        let mut told = BTreeSet::new();
        for each in said {
            match each {
                Said::Object { bucket, key, at } => {
                    // One row is told once: it holds what the last step left in it. There is none where an object
                    // of a layer beneath was hidden.
                    let put = self.rows.get(&at).and_then(Option::as_ref);
                    if told.insert(at) {
                        self.tell_object(bucket, key, put)?;
                    }
                }
                Said::DeletePrefix { bucket, prefix } => {
                    self.ops.push(ChangeOp::DeletePrefix { bucket, prefix });
                }
                Said::RenamePrefix { bucket, prefix, new_prefix } => {
                    self.ops.push(ChangeOp::RenamePrefix { bucket, prefix, new_prefix });
                }
                Said::Fork { from, bucket } => self.ops.push(ChangeOp::ForkBucket { from, bucket }),
                Said::Tidied | Said::Same { .. } => {}
            }
        }
        Ok(())
    }

    /// Tells of an object by the row of its current version, which may be a delete marker.
    fn tell_object(&mut self, bucket: String, key: String, put: Option<&RawPut>) -> Result<()> {
        let head = put.map(|put| HeadRow::raw(&key, put, self.lsn)).transpose()?;
        let op = match head.filter(|head| !head.row.is_marker()) {
            None => ChangeOp::Delete { bucket, key },
            Some(head) => {
                // Versions that have no name are numbered too, where versions are kept.
                let versioned = head.row.named || head.row.n > 0;
                let meta = Box::new(meta_of(key.clone(), head, versioned, || self.millis)?);
                ChangeOp::Put { bucket, key, meta }
            }
        };
        self.ops.push(op);
        Ok(())
    }
}

fn text(lsn: u64, key: Vec<u8>) -> Result<String> {
    String::from_utf8(key).map_err(|_| damaged(lsn, "the key of an object is not text"))
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
        match Moment::now(view).get(&keys::bucket_by_id(id))? {
            Some(found) => {
                let name = String::from_utf8(found.payload);
                let name = name.map_err(|_| damaged(id, "it made a bucket whose name is not text"))?;
                self.0.insert(id, name);
            }
            // The buckets of an early store have no such row while they are there.
            None => self.learn_all(view)?,
        }
        let name = self.0.get(&id).cloned();
        name.ok_or_else(|| damaged(id, "it made a bucket of which no row has the name"))
    }

    fn learn_all(&mut self, view: &View) -> Result<()> {
        let mut after = None;
        loop {
            let batch = list_buckets(&Moment::now(view), after.as_deref(), 256)?;
            let Some(last) = batch.last() else {
                return Ok(());
            };
            after = Some(last.name.to_string());
            self.0.extend(batch.iter().map(|state| (state.row.id, state.name.to_string())));
        }
    }
}

fn damaged(lsn: u64, reason: &str) -> Error {
    Error::corrupt(format!("commit {lsn}"), 0, reason)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::format::row::{MARKER, ObjectRow};
    use crate::index::Weight;

    fn put(key: Vec<u8>, payload: Vec<u8>) -> RawChange {
        let weight = Weight { slot: 0, objects: 1, bytes: 3 };
        RawChange { key, put: Some(RawPut { weight, payload }) }
    }

    fn gone(key: Vec<u8>) -> RawChange {
        RawChange { key, put: None }
    }

    fn bucket(id: u64) -> Vec<u8> {
        row::encode(&BucketRow { id, ..BucketRow::default() })
    }

    fn told(changes: Vec<RawChange>) -> Vec<ChangeOp> {
        let commit = RawCommit { lsn: 9, millis: 5, changes };
        let change = change_of(commit, &mut |id| Ok(format!("b{id}"))).unwrap();
        assert_eq!(change.time, SystemTime::UNIX_EPOCH + Duration::from_millis(5));
        change.ops
    }

    fn object() -> ObjectRow {
        ObjectRow { size: 3, ..Default::default() }
    }

    fn told_put(bucket: &str, key: &str, row: ObjectRow) -> ChangeOp {
        let meta = meta_of(key.into(), HeadRow { row, lsn: 9 }, false, || 0).unwrap();
        ChangeOp::Put { bucket: bucket.into(), key: key.into(), meta: Box::new(meta) }
    }

    #[test]
    fn keys_tell_what_happened_and_housekeeping_is_not_told() {
        let marker = ObjectRow { kind: MARKER, ..object() };
        let ops = told(vec![
            put(keys::bucket("new"), bucket(9)),
            put(keys::bucket("old"), bucket(4)),
            put(keys::bucket_by_id(9), b"new".to_vec()),
            put(keys::bucket_by_id(3), b"gone".to_vec()),
            gone(keys::bucket("gone")),
            put(keys::row("table", b"k\0y").unwrap(), b"value".to_vec()),
            gone(keys::row("table", b"").unwrap()),
            put(keys::object(4, "a/b"), row::encode(&object())),
            gone(keys::object(4, "c")),
            put(keys::object(4, "d"), row::encode(&marker)),
            put(
                keys::place(Kind::Version, false, 4, b"d", &keys::version_tail(1, 1)),
                row::encode(&object()),
            ),
            put(vec![1, 0], vec![1]),
            put(crate::engine::cursor_key("me"), vec![1, 2]),
        ]);
        let (table, key) = ("table".to_string(), Bytes::from_static(b"k\0y"));
        let expected = [
            ChangeOp::CreateBucket { bucket: "new".into() },
            ChangeOp::DeleteRow { table: table.clone(), key: Bytes::new() },
            ChangeOp::PutRow { table, key, value: Bytes::from_static(b"value") },
            told_put("b4", "a/b", object()),
            ChangeOp::Delete { bucket: "b4".into(), key: "c".into() },
            ChangeOp::Delete { bucket: "b4".into(), key: "d".into() },
            ChangeOp::DeleteBucket { bucket: "gone".into() },
        ];
        assert_eq!(ops, expected);
    }

    #[test]
    fn a_note_tells_what_keys_do_not() {
        let at = |space, key| keys::object(space, key);
        let said_of = |key: &str, at: Vec<u8>| Said::Object { bucket: "cats".into(), key: key.into(), at };
        let (bucket_name, prefix, new_prefix) = ("cats".to_string(), "a/".to_string(), "b/".to_string());
        let said = [
            said_of("x", at(50, "p/x")),
            Said::RenamePrefix {
                bucket: bucket_name.clone(),
                prefix: prefix.clone(),
                new_prefix: new_prefix.clone(),
            },
            Said::DeletePrefix { bucket: bucket_name.clone(), prefix: prefix.clone() },
            said_of("y", at(51, "y")),
            Said::Same { at: at(3, "copied") },
            said_of("y", at(51, "y")),
            said_of("hidden", at(51, "n")),
            Said::Fork { from: bucket_name.clone(), bucket: "fork".into() },
        ];
        let ops = told(vec![
            put(keys::bucket("cats"), bucket(4)),
            put(keys::bucket("fork"), bucket(9)),
            put(keys::bucket_by_id(9), b"fork".to_vec()),
            put(vec![keys::NOTE], note::encode(&said)),
            put(at(3, "plain"), row::encode(&object())),
            put(at(3, "copied"), row::encode(&object())),
            put(at(50, "p/x"), row::encode(&object())),
            gone(at(51, "y")),
        ]);
        let expected = [
            told_put("b3", "plain", object()),
            told_put("cats", "x", object()),
            ChangeOp::RenamePrefix { bucket: bucket_name.clone(), prefix: prefix.clone(), new_prefix },
            ChangeOp::DeletePrefix { bucket: bucket_name.clone(), prefix },
            ChangeOp::Delete { bucket: bucket_name.clone(), key: "y".into() },
            ChangeOp::Delete { bucket: bucket_name.clone(), key: "hidden".into() },
            ChangeOp::ForkBucket { from: bucket_name, bucket: "fork".into() },
        ];
        assert_eq!(ops, expected);
        let tidied = note::encode(&[Said::Tidied]);
        assert_eq!(told(vec![put(vec![keys::NOTE], tidied), gone(at(77, "y"))]), []);
    }
}
