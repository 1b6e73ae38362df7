//! Whole buckets and prefixes: configurations, removed and renamed prefixes, forks, differences.

use std::collections::BTreeMap;
use std::sync::Arc;

use ossicle::{Acl, Quota, Versioning};

use super::{Answer, Chain, Handle, Object, Reference, check_bucket_name, check_key, check_prefix};

/// The objects that two buckets have under a key where they differ.
pub type Differs = (String, Option<Arc<Object>>, Option<Arc<Object>>);

impl Reference {
    /// Versioning that was set once cannot be taken off.
    pub fn set_versioning(&mut self, bucket: &Handle, versioning: Option<Versioning>) -> Answer<()> {
        if versioning.is_none() && self.check(bucket)?.versioning.is_some() {
            return Err("InvalidRequest");
        }
        self.check(bucket)?;
        self.held_mut(bucket.id).versioning = versioning;
        Ok(())
    }

    pub fn set_quota(&mut self, bucket: &Handle, quota: Quota) -> Answer<()> {
        self.check(bucket)?;
        self.held_mut(bucket.id).quota = quota;
        Ok(())
    }

    pub fn set_acl(&mut self, bucket: &Handle, acl: Acl) -> Answer<()> {
        self.check(bucket)?;
        self.held_mut(bucket.id).acl = acl;
        Ok(())
    }

    /// Answers how many objects it was.
    pub fn delete_prefix(&mut self, bucket: &Handle, prefix: &str) -> Answer<u64> {
        check_prefix(prefix)?;
        self.alone(|steps| {
            let its = steps.scratch.check(bucket)?;
            let at = (steps.scratch.now, steps.lsn());
            let objects = its.under(prefix).filter(|(key, _)| its.current(key).is_some());
            let changes: Vec<_> = objects
                .map(|(key, _)| (bucket.id, key.clone(), its.deleted(key, at, &steps.scratch.names).0))
                .collect();
            let count = changes.len() as u64;
            steps.make(changes, None)?;
            Ok(count)
        })
    }

    /// Answers how many objects it was.
    pub fn rename_prefix(&mut self, bucket: &Handle, old: &str, new: &str) -> Answer<u64> {
        check_prefix(old)?;
        check_prefix(new)?;
        self.alone(|steps| {
            let its = steps.scratch.check(bucket)?;
            let lsn = steps.lsn();
            if old == new {
                return Ok(0);
            }
            let objects = its.under(old).filter(|(key, _)| its.current(key).is_some()).count() as u64;
            let renamed = |key: &str| format!("{new}{}", &key[old.len()..]);
            // Among others that are there already, objects are renamed each for itself.
            let merges = !new.starts_with(old) && its.under(new).next().is_some();
            let one_by_one = merges && its.versioning.is_some();
            let mut left: BTreeMap<String, Chain> = BTreeMap::new();
            let mut moved: BTreeMap<String, Chain> = BTreeMap::new();
            for (key, chain) in its.under(old) {
                if one_by_one && chain[0].marker {
                    continue;
                }
                check_key(&renamed(key))?;
                let chain = if one_by_one {
                    left.insert(
                        key.clone(),
                        its.deleted(key, (steps.scratch.now, lsn), &steps.scratch.names).0,
                    );
                    vec![Object { lsn, moved: Vec::new(), ..Object::clone(&chain[0]) }.into()]
                } else {
                    left.insert(key.clone(), Chain::new());
                    chain.iter().map(|object| Arc::new(object.moved(lsn))).collect()
                };
                moved.insert(renamed(key), chain);
            }
            let mut changes: Vec<_> = left.into_iter().map(|(key, chain)| (bucket.id, key, chain)).collect();
            for (key, chain) in moved {
                let chain = match &chain[..] {
                    [object] if one_by_one => {
                        // A key that another object has just left has a delete marker on top by now.
                        let at = changes.iter().position(|(_, other, _)| *other == key);
                        let mut its = its.clone();
                        if let Some(at) = at {
                            its.set(&key, changes.remove(at).2);
                        }
                        its.pushed(&key, Object::clone(object), &steps.scratch.names).0
                    }
                    _ => chain,
                };
                changes.retain(|(_, other, _)| *other != key);
                changes.push((bucket.id, key, chain));
            }
            steps.make(changes, one_by_one.then_some(bucket.id))?;
            Ok(objects)
        })
    }

    /// A bucket that begins as another one is.
    pub fn fork(&mut self, from: &str, name: &str) -> Answer<Handle> {
        check_bucket_name(from)?;
        check_bucket_name(name)?;
        let parent = self.bucket(from)?;
        if self.buckets.contains_key(name) {
            return Err("BucketAlreadyExists");
        }
        self.lsn += 1;
        let mut fork = self.check(&parent)?.clone();
        fork.uploads.clear();
        fork.origin = Some((from.to_string(), self.lsn));
        self.buckets.insert(name.to_string(), self.lsn);
        self.held.insert(self.lsn, Arc::new(fork));
        self.bucket(name)
    }

    /// The keys under which one bucket does not hold the same as another, whenever it was written.
    pub fn diff(&self, before: &Handle, after: &Handle) -> Answer<Vec<Differs>> {
        let (before, after) = (self.check(before)?, self.check(after)?);
        let keys: std::collections::BTreeSet<_> = before.chains.keys().chain(after.chains.keys()).collect();
        let pairs = keys.into_iter().map(|key| (key, before.current(key), after.current(key)));
        let differ = pairs.filter(|(_, before, after)| match (before, after) {
            (Some(before), Some(after)) => !before.is_same(after),
            (None, None) => false,
            _ => true,
        });
        Ok(differ.map(|(key, before, after)| (key.clone(), before.cloned(), after.cloned())).collect())
    }
}

impl Object {
    /// The same after its prefix was renamed.
    fn moved(&self, lsn: u64) -> Object {
        let mut moved = self.clone();
        moved.moved.push(lsn);
        moved
    }

    /// Whether another object is the same in all that its writer gave.
    fn is_same(&self, other: &Object) -> bool {
        self.etag == other.etag
            && self.body.len() == other.body.len()
            && self.content_type == other.content_type
            && self.metadata == other.metadata
            && self.parts == other.parts
            && self.tags == other.tags
    }
}
