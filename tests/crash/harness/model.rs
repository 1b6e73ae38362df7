//! The reference model: what the store must hold after each operation of a script.

use std::collections::BTreeMap;
use std::sync::Arc;

use ossicle::{ErrorKind, Quota, Versioning};

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

/// A version of an object, or a delete marker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The object; `None` for a delete marker.
    pub thing: Option<Arc<Thing>>,
    /// Whether it is the version `null`.
    pub null: bool,
}

/// What a bucket has besides its objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Whether versions are kept, or were.
    pub versioning: Option<Versioning>,
    /// All versions, the current ones included, of each key the newest first; nothing where they were never kept.
    pub versions: BTreeMap<String, Vec<Version>>,
    /// How much it may hold.
    pub quota: Option<Quota>,
    /// For how many days objects are retained.
    pub worm: Option<u32>,
    /// The bucket that it was forked from.
    pub origin: Option<String>,
}

/// All that a store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The buckets by name.
    pub buckets: BTreeMap<String, Objects>,
    /// What the buckets have besides, for those that have anything.
    pub kept: BTreeMap<String, Kept>,
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
            Op::DeleteBucket(name) => {
                let objects = next.buckets.remove(*name).ok_or(ErrorKind::NotFound)?;
                let kept = next.kept.remove(*name).unwrap_or_default();
                let empty = objects.is_empty() && kept.versions.is_empty();
                if !empty && kept.origin.is_none() {
                    return Err(ErrorKind::AlreadyExists);
                }
            }
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
            Op::Versioning(name, versioning) => next.set_versioning(name, *versioning)?,
            Op::Quota(name, quota) => {
                next.bucket(name)?;
                next.change(name, |kept| kept.quota = *quota);
            }
            Op::Worm(name, days) => {
                next.bucket(name)?;
                next.change(name, |kept| kept.worm = *days);
            }
            Op::DeletePrefix(name, prefix) => next.delete_prefix(name, prefix)?,
            Op::RenamePrefix { bucket, prefix, new_prefix } => {
                next.rename_prefix(bucket, prefix, new_prefix)?;
            }
            Op::Fork { from, name } => {
                let objects = next.bucket(from)?.clone();
                let kept = next.kept.get(*from).cloned().unwrap_or_default();
                if next.buckets.insert((*name).into(), objects).is_some() {
                    return Err(ErrorKind::AlreadyExists);
                }
                let origin = Some((*from).to_string());
                next.kept.insert((*name).into(), Kept { origin, worm: None, ..kept });
            }
            Op::RemoveCursor(name) => drop(next.cursors.remove(*name)),
            Op::Look
            | Op::Follow(_)
            | Op::Flush
            | Op::Checkpoint
            | Op::Maintain
            | Op::Compact
            | Op::Wait(_)
            | Op::Retain(_)
            | Op::Reopen
            | Op::Rebuild => {}
        }
        Ok(next)
    }

    fn bucket(&mut self, name: &str) -> Result<&mut Objects, ErrorKind> {
        self.buckets.get_mut(name).ok_or(ErrorKind::NotFound)
    }

    fn thing(&mut self, (bucket, key): (&str, &str)) -> Result<Arc<Thing>, ErrorKind> {
        self.bucket(bucket)?.get(key).cloned().ok_or(ErrorKind::NotFound)
    }

    /// Changes what a bucket has besides its objects.
    fn change(&mut self, name: &str, change: impl FnOnce(&mut Kept)) {
        let kept = self.kept.entry(name.to_string()).or_default();
        change(kept);
        if *kept == Kept::default() {
            self.kept.remove(name);
        }
    }

    fn set_versioning(&mut self, name: &str, versioning: Versioning) -> Result<(), ErrorKind> {
        let objects = self.bucket(name)?.clone();
        self.change(name, |kept| {
            if kept.versioning.is_none() {
                let null = |thing| vec![Version { thing: Some(thing), null: true }];
                kept.versions = objects.into_iter().map(|(key, thing)| (key, null(thing))).collect();
            }
            kept.versioning = Some(versioning);
        });
        Ok(())
    }

    /// Puts an object, or deletes one, by the bucket's versioning and retention.
    pub fn set(&mut self, name: &str, key: &str, thing: Option<Arc<Thing>>) -> Result<(), ErrorKind> {
        let kept = self.kept.get(name).cloned().unwrap_or_default();
        if kept.worm.is_some() && self.bucket(name)?.contains_key(key) {
            return Err(ErrorKind::Immutable);
        }
        let objects = self.bucket(name)?;
        match &thing {
            Some(thing) => drop(objects.insert(key.to_string(), thing.clone())),
            None => drop(objects.remove(key)),
        }
        let Some(versioning) = kept.versioning else { return Ok(()) };
        self.change(name, |kept| {
            let chain = kept.versions.entry(key.to_string()).or_default();
            let null = versioning == Versioning::Suspended;
            if null {
                chain.retain(|version| !version.null);
            }
            chain.insert(0, Version { thing, null });
        });
        Ok(())
    }

    /// Whether a bucket holds more than it may.
    fn check_quota(&mut self, name: &str) -> Result<(), ErrorKind> {
        let kept = self.kept.get(name).cloned().unwrap_or_default();
        let Some(quota) = kept.quota else { return Ok(()) };
        let things: Vec<Arc<Thing>> = match kept.versioning {
            None => self.bucket(name)?.values().cloned().collect(),
            Some(_) => kept.versions.values().flatten().filter_map(|version| version.thing.clone()).collect(),
        };
        let bytes: u64 = things.iter().map(|thing| thing.body.len() as u64).sum();
        let over = quota.bytes.is_some_and(|most| bytes > most)
            || quota.objects.is_some_and(|most| things.len() as u64 > most);
        if over { Err(ErrorKind::Quota) } else { Ok(()) }
    }

    fn delete_version(&mut self, name: &str, key: &str, index: usize) -> Result<(), ErrorKind> {
        self.bucket(name)?;
        let mut current = None;
        self.change(name, |kept| {
            let Some(chain) = kept.versions.get_mut(key) else { return };
            chain.remove(index);
            current = chain.first().and_then(|version| version.thing.clone());
            if chain.is_empty() {
                kept.versions.remove(key);
            }
        });
        let objects = self.bucket(name)?;
        match current {
            Some(thing) => drop(objects.insert(key.to_string(), thing)),
            None => drop(objects.remove(key)),
        }
        Ok(())
    }

    fn under(&mut self, name: &str, prefix: &str) -> Result<Vec<(String, Arc<Thing>)>, ErrorKind> {
        let objects = self.bucket(name)?.iter().filter(|(key, _)| key.starts_with(prefix));
        Ok(objects.map(|(key, thing)| (key.clone(), thing.clone())).collect())
    }

    fn delete_prefix(&mut self, name: &str, prefix: &str) -> Result<(), ErrorKind> {
        for (key, _) in self.under(name, prefix)? {
            self.set(name, &key, None)?;
        }
        Ok(())
    }

    fn rename_prefix(&mut self, name: &str, old: &str, new: &str) -> Result<(), ErrorKind> {
        let things = self.under(name, old)?;
        let kept = self.kept.get(name).cloned().unwrap_or_default();
        let versions = || kept.versions.keys();
        let taken = self.bucket(name)?.keys().chain(versions()).any(|key| key.starts_with(new));
        if things.len() <= 64 || (taken && !new.starts_with(old)) {
            for (key, _) in &things {
                self.set(name, key, None)?;
            }
            for (key, thing) in things {
                self.set(name, &format!("{new}{}", &key[old.len()..]), Some(thing))?;
            }
            return Ok(());
        }
        if kept.worm.is_some() {
            return Err(ErrorKind::Immutable);
        }
        let moved = |key: &String| format!("{new}{}", &key[old.len()..]);
        let objects = self.bucket(name)?;
        objects.retain(|key, _| !key.starts_with(old));
        objects.extend(things.iter().map(|(key, thing)| (moved(key), thing.clone())));
        self.change(name, |kept| {
            let all = std::mem::take(&mut kept.versions).into_iter();
            kept.versions = all
                .map(|(key, chain)| if key.starts_with(old) { (moved(&key), chain) } else { (key, chain) })
                .collect();
        });
        Ok(())
    }

    fn apply(&mut self, step: &Step) -> Result<(), ErrorKind> {
        match step {
            Step::Put { bucket, key, body } => {
                self.set(bucket, key, Some(Arc::new(body.thing())))?;
                self.check_quota(bucket)?;
            }
            Step::Delete { bucket, key } => self.set(bucket, key, None)?,
            Step::DeleteVersion { bucket, key, index } => self.delete_version(bucket, key, *index)?,
            Step::Rename { from, to } => {
                self.bucket(to.0)?;
                let thing = self.thing((from.0, &from.1))?;
                self.set(to.0, &to.1, Some(thing))?;
                self.check_quota(to.0)?;
                self.set(from.0, &from.1, None)?;
            }
            Step::Copy { from, to } => {
                self.bucket(to.0)?;
                let thing = self.thing((from.0, &from.1))?;
                self.set(to.0, &to.1, Some(thing))?;
                self.check_quota(to.0)?;
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
        for name in self.kept.keys().chain(other.kept.keys()) {
            let (ours, theirs) = (self.kept.get(name), other.kept.get(name));
            if ours != theirs {
                found.push(format!("{name} has {} here, {} there", told(ours), told(theirs)));
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

/// What a bucket has besides its objects, in a few words.
fn told(kept: Option<&Kept>) -> String {
    let Some(kept) = kept else { return "nothing besides".into() };
    let chain = |chain: &Vec<Version>| -> String {
        let each = |version: &Version| match &version.thing {
            Some(thing) => format!("{}{}", thing.body.len(), if version.null { "n" } else { "" }),
            None => format!("-{}", if version.null { "n" } else { "" }),
        };
        chain.iter().map(each).collect::<Vec<_>>().join(" ")
    };
    let versions: Vec<String> =
        kept.versions.iter().map(|(key, versions)| format!("{key}: {}", chain(versions))).collect();
    let Kept { versioning, quota, worm, origin, .. } = kept;
    format!("{versioning:?} {quota:?} {worm:?} {origin:?} [{}]", versions.join(", "))
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
