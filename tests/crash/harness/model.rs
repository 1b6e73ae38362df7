//! The reference model: what the store must hold after each operation of a script.

use std::collections::BTreeMap;
use std::sync::Arc;

use ossicle::{ErrorKind, Quota, StorageClass, Versioning};

use super::script::{Body, Op, Step};
use super::upload::Uploads;

/// An object, as the model knows it.
#[derive(Clone, Debug, Default)]
pub struct Thing {
    /// The bytes; none of a frozen object that was looked at.
    pub body: Vec<u8>,
    /// The media type.
    pub content_type: Option<String>,
    /// The user metadata.
    pub metadata: BTreeMap<String, String>,
    /// The storage class.
    pub class: StorageClass,
    /// Whether it is restored.
    pub restored: bool,
    /// Of a frozen object that was looked at, how many bytes it has, and their hash if that is known.
    pub seen: Option<(u64, Option<[u8; 32]>)>,
}

impl Thing {
    /// Whether the body cannot be read.
    pub fn is_frozen(&self) -> bool {
        self.class.is_archive() && !self.restored
    }
}

impl PartialEq for Thing {
    /// Bodies that cannot be read are told apart by their lengths and, where those are known, their hashes.
    fn eq(&self, other: &Thing) -> bool {
        let seen = |thing: &Thing| {
            let whole = || (thing.body.len() as u64, Some(*blake3::hash(&thing.body).as_bytes()));
            thing.seen.unwrap_or_else(whole)
        };
        let alike = || {
            let ((len, hash), (other_len, other_hash)) = (seen(self), seen(other));
            len == other_len && (hash.is_none() || other_hash.is_none() || hash == other_hash)
        };
        (&self.content_type, &self.metadata, self.class, self.restored)
            == (&other.content_type, &other.metadata, other.class, other.restored)
            && if self.is_frozen() { alike() } else { self.body == other.body }
    }
}

impl Eq for Thing {}

/// The objects of a bucket, by key.
pub type Objects = BTreeMap<String, Arc<Thing>>;

/// The versions of a key, the newest first: whether it has a name of its own, and what it is unless it is a marker.
pub type Chain = Vec<(bool, Option<Arc<Thing>>)>;

/// What a bucket is told about itself, and where it came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// How much it may hold.
    pub quota: Option<Quota>,
    /// How many bytes it may hold before something is evicted.
    pub budget: Option<u64>,
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
    /// The chains of the buckets that keep versions, or kept some once.
    pub chains: BTreeMap<String, (Versioning, BTreeMap<String, Chain>)>,
    /// What the buckets are told about themselves, where it is anything.
    pub kept: BTreeMap<String, Kept>,
    /// The rows of the table [`TABLE`].
    pub rows: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The cursors of the feed.
    pub cursors: BTreeMap<String, u64>,
    /// The uploads in progress.
    pub uploads: Uploads,
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
            Op::DeleteBucket(name) if next.uploads.keys().any(|(bucket, _)| bucket == name) => {
                return Err(ErrorKind::AlreadyExists);
            }
            Op::DeleteBucket(name) => {
                let objects = next.buckets.remove(*name).ok_or(ErrorKind::NotFound)?;
                let chains = next.chains.remove(*name).map(|(_, chains)| chains).unwrap_or_default();
                let kept = next.kept.remove(*name).unwrap_or_default();
                if kept.origin.is_none() && !(objects.is_empty() && chains.is_empty()) {
                    return Err(ErrorKind::AlreadyExists);
                }
            }
            Op::Versioning(name, _) if next.kept.get(*name).is_some_and(|kept| kept.worm.is_some()) => {
                return Err(ErrorKind::Invalid);
            }
            Op::Versioning(name, state) => {
                let null =
                    |(key, thing): (&String, &Arc<Thing>)| (key.clone(), vec![(false, Some(thing.clone()))]);
                let chains: BTreeMap<_, _> = next.bucket(name)?.iter().map(null).collect();
                next.chains.entry((*name).into()).or_insert((*state, chains)).0 = *state;
            }
            Op::Do(step, _) => next.apply(step)?,
            Op::Stream { bucket, key, body, .. } => {
                next.apply(&Step::Put { bucket, key: key.clone(), body: *body })?;
            }
            Op::Append { bucket, key, body, .. } => next.append(bucket, key, body)?,
            Op::Abandon { bucket, .. } => {
                next.bucket(bucket)?;
            }
            Op::DeleteMany(bucket, keys) => {
                for key in keys {
                    next.apply(&Step::Delete { bucket, key: key.clone() })?;
                }
            }
            Op::Upload { bucket, key, what } => what.apply(&mut next, bucket, key)?,
            Op::Together { steps, .. } => steps.iter().try_for_each(|step| next.apply(step))?,
            Op::Quota(name, quota) => {
                next.bucket(name)?;
                next.tell(name, |kept| kept.quota = *quota);
            }
            Op::Budget(name, bytes) => {
                next.bucket(name)?;
                next.tell(name, |kept| kept.budget = *bytes);
            }
            Op::Worm(name, days) => {
                next.bucket(name)?;
                if days.is_some() && next.chains.contains_key(*name) {
                    return Err(ErrorKind::Invalid);
                }
                next.tell(name, |kept| kept.worm = *days);
            }
            Op::ShredBucket(name) => {
                next.bucket(name)?;
                next.buckets.remove(*name);
                next.kept.remove(*name);
            }
            Op::DeletePrefix(name, prefix) | Op::Expire(name, prefix) | Op::Shred(name, prefix) => {
                next.delete_prefix(name, prefix)?;
            }
            Op::RenamePrefix { bucket, prefix, new_prefix } => {
                next.rename_prefix(bucket, prefix, new_prefix)?;
            }
            Op::Fork { from, name } => {
                let objects = next.bucket(from)?.clone();
                if next.buckets.insert((*name).into(), objects).is_some() {
                    return Err(ErrorKind::AlreadyExists);
                }
                if let Some(chains) = next.chains.get(*from).cloned() {
                    next.chains.insert((*name).into(), chains);
                }
                let kept = next.kept.get(*from).cloned().unwrap_or_default();
                let origin = Some((*from).to_string());
                next.kept.insert((*name).into(), Kept { origin, worm: None, ..kept });
            }
            Op::Class { bucket, key, class } => {
                let thing = next.bucket(bucket)?.get(key).cloned().ok_or(ErrorKind::NotFound)?;
                if thing.is_frozen() {
                    return Err(ErrorKind::Archived);
                }
                next.alter(bucket, key, |thing| (thing.class, thing.restored) = (*class, false))?;
            }
            Op::Restore { bucket, key } => {
                let thing = next.bucket(bucket)?.get(key).cloned().ok_or(ErrorKind::NotFound)?;
                if !thing.class.is_archive() {
                    return Err(ErrorKind::Unsupported);
                }
                next.alter(bucket, key, |thing| thing.restored = true)?;
            }
            Op::Wait(_) | Op::Retain(_) => {}
            // What is encrypted reads as before.
            Op::Encrypt(name) | Op::Rekey(name) => {
                next.bucket(name)?;
            }
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
        next.evict(self)?;
        Ok(next)
    }

    /// Evicts what budgets have no room for, of what was there before. Scripts write objects in the order of their keys,
    /// each once, so that the first is the oldest.
    fn evict(&mut self, before: &State) -> Result<(), ErrorKind> {
        let none = Objects::new();
        for (name, objects) in &mut self.buckets {
            let Some(budget) = self.kept.get(name).and_then(|kept| kept.budget) else { continue };
            let old = before.buckets.get(name).unwrap_or(&none);
            let sum = |objects: &Objects| objects.values().map(|thing| thing.body.len() as u64).sum::<u64>();
            while sum(objects) > budget && sum(objects) > sum(old) {
                let stays = |(key, thing): &(&String, &Arc<Thing>)| {
                    !thing.body.is_empty() && old.get(*key).is_some_and(|old| Arc::ptr_eq(old, thing))
                };
                let first = objects.iter().find(stays).map(|(key, _)| key.clone());
                objects.remove(&first.ok_or(ErrorKind::Quota)?);
            }
        }
        Ok(())
    }

    fn bucket(&mut self, name: &str) -> Result<&mut Objects, ErrorKind> {
        self.buckets.get_mut(name).ok_or(ErrorKind::NotFound)
    }

    /// Changes what a bucket is told about itself.
    fn tell(&mut self, name: &str, change: impl FnOnce(&mut Kept)) {
        let kept = self.kept.entry(name.to_string()).or_default();
        change(kept);
        if *kept == Kept::default() {
            self.kept.remove(name);
        }
    }

    /// Refuses if a bucket holds more than it may.
    fn check_quota(&mut self, name: &str) -> Result<(), ErrorKind> {
        let Some(quota) = self.kept.get(name).and_then(|kept| kept.quota) else { return Ok(()) };
        let things: Vec<Arc<Thing>> = match self.chains.get(name) {
            None => self.bucket(name)?.values().cloned().collect(),
            Some((_, chains)) => chains.values().flatten().filter_map(|(_, thing)| thing.clone()).collect(),
        };
        let bytes: u64 = things.iter().map(|thing| thing.body.len() as u64).sum();
        let over = quota.bytes.is_some_and(|most| bytes > most)
            || quota.objects.is_some_and(|most| things.len() as u64 > most);
        if over { Err(ErrorKind::Quota) } else { Ok(()) }
    }

    fn append(&mut self, bucket: &str, key: &str, body: &Body) -> Result<(), ErrorKind> {
        let objects = self.bucket(bucket)?;
        let before = objects.get(key);
        let class = before.map_or(body.class.unwrap_or_default(), |thing| thing.class);
        let before = before.map(|thing| thing.body.clone()).unwrap_or_default();
        let body = [before, body.bytes()].concat();
        let thing = Thing { body, class, ..Thing::default() };
        objects.insert(key.to_string(), Arc::new(thing));
        Ok(())
    }

    fn delete_prefix(&mut self, name: &str, prefix: &str) -> Result<(), ErrorKind> {
        for (key, _) in self.under(name, prefix)? {
            self.write(name, &key, None)?;
        }
        Ok(())
    }

    fn under(&mut self, name: &str, prefix: &str) -> Result<Vec<(String, Arc<Thing>)>, ErrorKind> {
        let objects = self.bucket(name)?.iter().filter(|(key, _)| key.starts_with(prefix));
        Ok(objects.map(|(key, thing)| (key.clone(), thing.clone())).collect())
    }

    /// Objects move one by one onto others that are there already, and leave delete markers then; otherwise they move
    /// with their versions. A few of a bucket that never kept any move one by one as well, and nobody sees a difference.
    fn rename_prefix(&mut self, name: &str, old: &str, new: &str) -> Result<(), ErrorKind> {
        let things = self.under(name, old)?;
        let in_chains =
            self.chains.get(name).is_some_and(|(_, all)| all.keys().any(|key| key.starts_with(new)));
        let taken = in_chains || !self.under(name, new)?.is_empty();
        if taken && !new.starts_with(old) {
            for (key, _) in &things {
                self.write(name, key, None)?;
            }
            for (key, thing) in things {
                self.write(name, &format!("{new}{}", &key[old.len()..]), Some(thing))?;
            }
            return Ok(());
        }
        let moved = |key: String| match key.strip_prefix(old) {
            Some(rest) => format!("{new}{rest}"),
            None => key,
        };
        let objects = self.bucket(name)?;
        *objects = std::mem::take(objects).into_iter().map(|(key, thing)| (moved(key), thing)).collect();
        if let Some((_, chains)) = self.chains.get_mut(name) {
            *chains = std::mem::take(chains).into_iter().map(|(key, chain)| (moved(key), chain)).collect();
        }
        Ok(())
    }

    /// Writes an object, or deletes it, by the bucket's versioning and retention.
    pub fn write(&mut self, bucket: &str, key: &str, thing: Option<Arc<Thing>>) -> Result<(), ErrorKind> {
        let worm = self.kept.get(bucket).is_some_and(|kept| kept.worm.is_some());
        if worm && self.bucket(bucket)?.contains_key(key) {
            return Err(ErrorKind::Immutable);
        }
        self.change(bucket, key, |state, chain| match state {
            Some(Versioning::Enabled) => chain.insert(0, (true, thing)),
            Some(Versioning::Suspended) => {
                chain.retain(|(named, _)| *named);
                chain.insert(0, (false, thing));
            }
            None => *chain = thing.map(|thing| (false, Some(thing))).into_iter().collect(),
        })
    }

    /// Changes the current version of an object where it stands.
    fn alter(&mut self, bucket: &str, key: &str, work: impl FnOnce(&mut Thing)) -> Result<(), ErrorKind> {
        self.change(bucket, key, |_, chain| {
            if let Some((_, Some(thing))) = chain.first_mut() {
                work(Arc::make_mut(thing));
            }
        })
    }

    /// Changes the chain of a key, and with it what is current.
    fn change(
        &mut self,
        bucket: &str,
        key: &str,
        work: impl FnOnce(Option<Versioning>, &mut Chain),
    ) -> Result<(), ErrorKind> {
        let objects = self.buckets.get_mut(bucket).ok_or(ErrorKind::NotFound)?;
        let plain = || objects.get(key).map(|thing| (false, Some(thing.clone()))).into_iter().collect();
        let current = match self.chains.get_mut(bucket) {
            Some((state, chains)) => {
                let chain = chains.entry(key.to_string()).or_default();
                work(Some(*state), chain);
                let current = chain.first().cloned();
                if current.is_none() {
                    chains.remove(key);
                }
                current
            }
            None => {
                let mut chain: Chain = plain();
                work(None, &mut chain);
                chain.first().cloned()
            }
        };
        match current {
            Some((_, Some(thing))) => objects.insert(key.to_string(), thing),
            _ => objects.remove(key),
        };
        Ok(())
    }

    fn apply(&mut self, step: &Step) -> Result<(), ErrorKind> {
        match step {
            Step::Put { bucket, key, body } => {
                self.write(bucket, key, Some(Arc::new(body.thing())))?;
                self.check_quota(bucket)?;
            }
            Step::Delete { bucket, key } => {
                self.write(bucket, key, None)?;
            }
            Step::Rename { from, to } => {
                self.bucket(to.0)?;
                let thing = self.bucket(from.0)?.get(&from.1).cloned().ok_or(ErrorKind::NotFound)?;
                self.write(to.0, &to.1, Some(thing))?;
                self.check_quota(to.0)?;
                self.write(from.0, &from.1, None)?;
            }
            Step::Copy { from, to } => {
                self.bucket(to.0)?;
                let thing = self.bucket(from.0)?.get(&from.1).cloned().ok_or(ErrorKind::NotFound)?;
                if thing.is_frozen() {
                    return Err(ErrorKind::Archived);
                }
                let thing = Thing { class: StorageClass::Standard, restored: false, ..Thing::clone(&thing) };
                self.write(to.0, &to.1, Some(Arc::new(thing)))?;
                self.check_quota(to.0)?;
            }
            Step::DeleteVersion { bucket, key, place } => {
                self.change(bucket, key, |_, chain| {
                    if *place < chain.len() {
                        chain.remove(*place);
                    }
                })?;
            }
            Step::Append { bucket, key, body } => self.append(bucket, key, body)?,
            Step::DeletePrefix { bucket, prefix } => self.delete_prefix(bucket, prefix)?,
            Step::Undelete { bucket, key } => {
                let mut found = false;
                self.change(bucket, key, |_, chain| {
                    if let Some(first) = chain.iter().position(|(_, thing)| thing.is_some()) {
                        found = true;
                        chain.drain(..first);
                    }
                })?;
                if !found {
                    return Err(ErrorKind::NotFound);
                }
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

    /// The versions by their lengths, with a `-` for a delete marker and an `n` for the null version.
    fn told(&self) -> String {
        let each = |(named, thing): &(bool, Option<Arc<Thing>>)| {
            let what = thing.as_ref().map_or("-".to_string(), |thing| thing.body.len().to_string());
            if *named { what } else { what + "n" }
        };
        let mut out = String::new();
        for (bucket, (versioning, chains)) in &self.chains {
            out += &format!("{bucket} ({versioning:?}): ");
            for (key, chain) in chains.iter().filter(|(_, chain)| chain.len() > 1 || chain[0].1.is_none()) {
                out += &format!("{key} {:?} ", chain.iter().map(each).collect::<Vec<_>>());
            }
        }
        out
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
        if self.chains != other.chains {
            found.push(format!("the versions are {} here, {} there", self.told(), other.told()));
        }
        if self.kept != other.kept {
            found.push(format!("the buckets are {:?} here, {:?} there", self.kept, other.kept));
        }
        if self.rows != other.rows {
            found.push("the rows are others".into());
        }
        if self.cursors != other.cursors {
            found.push(format!("the cursors are {:?} here, {:?} there", self.cursors, other.cursors));
        }
        if self.uploads != other.uploads {
            found.push(format!("the uploads are {:?} here, {:?} there", self.uploads, other.uploads));
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
        let class = self.class.unwrap_or_default();
        Thing { body: self.bytes(), content_type, metadata, class, ..Thing::default() }
    }
}
