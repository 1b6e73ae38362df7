//! The reference model: what the store must hold after each operation of a script.

use std::collections::BTreeMap;
use std::sync::Arc;

use ossicle::ErrorKind;

use super::script::{Body, Op, Step};

/// An object, as the model knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thing {
    /// The bytes.
    pub body: Vec<u8>,
    /// The media type.
    pub content_type: Option<String>,
    /// The user metadata.
    pub metadata: BTreeMap<String, String>,
}

/// The objects of a bucket, by key.
pub type Objects = BTreeMap<String, Arc<Thing>>;

/// All that a store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The buckets by name.
    pub buckets: BTreeMap<String, Objects>,
    /// The rows of the table [`TABLE`].
    pub rows: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The cursors of the feed.
    pub cursors: BTreeMap<String, u64>,
}

/// The table that scripts write rows into.
pub const TABLE: &str = "app";

impl State {
    /// The state after `op`, or the kind of error that it must end in.
    pub fn after(&self, op: &Op) -> Result<State, ErrorKind> {
        let mut next = self.clone();
        match op {
            Op::CreateBucket(name) => {
                if next.buckets.insert((*name).into(), Objects::new()).is_some() {
                    return Err(ErrorKind::AlreadyExists);
                }
            }
            Op::DeleteBucket(name) => match next.buckets.remove(*name) {
                None => return Err(ErrorKind::NotFound),
                Some(objects) if !objects.is_empty() => return Err(ErrorKind::AlreadyExists),
                Some(_) => {}
            },
            Op::Do(step, _) => next.apply(step)?,
            Op::Stream { bucket, key, body, .. } => {
                next.apply(&Step::Put { bucket, key: key.clone(), body: *body })?;
            }
            Op::Abandon { bucket, .. } => {
                next.bucket(bucket)?;
            }
            Op::DeleteMany(bucket, keys) => {
                for key in keys {
                    next.apply(&Step::Delete { bucket, key: key.clone() })?;
                }
            }
            Op::Together { steps, .. } => steps.iter().try_for_each(|step| next.apply(step))?,
            Op::RemoveCursor(name) => drop(next.cursors.remove(*name)),
            Op::Follow(_) => {}
            Op::Look
            | Op::Flush
            | Op::Checkpoint
            | Op::Maintain
            | Op::Compact
            | Op::Backup
            | Op::Reopen
            | Op::Rebuild => {}
        }
        Ok(next)
    }

    fn bucket(&mut self, name: &str) -> Result<&mut Objects, ErrorKind> {
        self.buckets.get_mut(name).ok_or(ErrorKind::NotFound)
    }

    fn apply(&mut self, step: &Step) -> Result<(), ErrorKind> {
        match step {
            Step::Put { bucket, key, body } => {
                self.bucket(bucket)?.insert(key.clone(), Arc::new(body.thing()));
            }
            Step::Delete { bucket, key } => {
                self.bucket(bucket)?.remove(key);
            }
            Step::Rename { from, to } => {
                self.bucket(to.0)?;
                let source = self.bucket(from.0)?;
                let thing = source.get(&from.1).cloned().ok_or(ErrorKind::NotFound)?;
                source.remove(&from.1);
                self.bucket(to.0)?.insert(to.1.clone(), thing);
            }
            Step::Copy { from, to } => {
                self.bucket(to.0)?;
                let thing = self.bucket(from.0)?.get(&from.1).cloned().ok_or(ErrorKind::NotFound)?;
                self.bucket(to.0)?.insert(to.1.clone(), thing);
            }
            Step::Cursor { name, lsn } => drop(self.cursors.insert((*name).into(), *lsn)),
            Step::Row { key, value } => match value {
                Some(value) => {
                    self.rows.insert(key.clone(), value.clone());
                }
                None => {
                    self.rows.remove(key);
                }
            },
        }
        Ok(())
    }

    /// What tells this state from another one, in a few words.
    pub fn differs(&self, other: &State) -> String {
        let mut found = Vec::new();
        let mut names: Vec<&String> = self.buckets.keys().chain(other.buckets.keys()).collect();
        names.sort();
        names.dedup();
        for name in names {
            let (Some(ours), Some(theirs)) = (self.buckets.get(name), other.buckets.get(name)) else {
                found.push(format!("bucket {name} is only on one side"));
                continue;
            };
            let mut keys: Vec<&String> = ours.keys().chain(theirs.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                match (ours.get(key), theirs.get(key)) {
                    (Some(a), Some(b)) if a == b => {}
                    (Some(a), Some(b)) => {
                        found.push(format!(
                            "{name}/{key}: {} bytes here, other {} there",
                            a.body.len(),
                            b.body.len()
                        ));
                    }
                    (a, _) => found
                        .push(format!("{name}/{key} is only {}", if a.is_some() { "here" } else { "there" })),
                }
            }
        }
        if self.rows != other.rows {
            found.push("the rows are others".into());
        }
        if self.cursors != other.cursors {
            found.push(format!("the cursors are {:?} here, {:?} there", self.cursors, other.cursors));
        }
        found.truncate(6);
        found.join("; ")
    }
}

impl Body {
    /// The object that a put of this body makes.
    pub fn thing(&self) -> Thing {
        let metadata = match self.note {
            0 => BTreeMap::new(),
            len => BTreeMap::from([("note".to_string(), "n".repeat(len))]),
        };
        let content_type = (self.seed % 2 == 1).then(|| format!("test/{}", self.seed));
        Thing { body: self.bytes(), content_type, metadata }
    }
}
