//! Whole buckets and prefixes: configurations, removed and renamed prefixes, forks, differences.

use std::collections::BTreeMap;
use std::sync::Arc;

use ossicle::{Acl, Quota, StorageClass, Versioning};

use super::{
    Answer, Bucket, Chain, Handle, Line, List, Object, Reference, Steps, check_bucket_name, check_key,
    check_prefix,
};

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

    /// The class of what is written without one; it is said when a bucket is made.
    pub fn set_class(&mut self, bucket: &Handle, class: StorageClass) -> Answer<()> {
        self.check(bucket)?;
        self.held_mut(bucket.id).class = class;
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
        self.alone(|steps| steps.delete_prefix(bucket, prefix))
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
            its.check_protected(old, steps.scratch.now)?;
            let objects = its.under(old).filter(|(key, _)| its.current(key).is_some()).count() as u64;
            let renamed = |key: &str| format!("{new}{}", &key[old.len()..]);
            // Among others that are there already, objects are renamed each for itself.
            let merges = !new.starts_with(old) && its.under(new).next().is_some();
            let one_by_one = merges && its.versioning.is_some();
            // A retention that is over goes with the old key where objects are moved one by one, as a few are.
            let unheld = merges || (its.versioning.is_none() && objects <= 64);
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
                        its.deleted(key, (steps.scratch.now, lsn), &steps.scratch.names)?.0,
                    );
                    let dressed = chain[0].dressed.unheld();
                    vec![Object { lsn, moved: Vec::new(), dressed, ..Object::clone(&chain[0]) }.into()]
                } else {
                    left.insert(key.clone(), Chain::new());
                    chain.iter().map(|object| Arc::new(object.moved(lsn, unheld))).collect()
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
                        its.pushed(&key, Object::clone(object), steps.scratch.now, &steps.scratch.names)?.0
                    }
                    _ => {
                        // What is replaced must not be protected.
                        its.check_key_protected(&key, steps.scratch.now)?;
                        chain
                    }
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
        fork.begun_with = Some(Arc::new(fork.clone()));
        fork.uploads.clear();
        fork.origin = Some((from.to_string(), self.lsn));
        fork.parent = Some(parent.id);
        self.made += 1;
        self.buckets.insert(name.to_string(), self.made);
        self.held.insert(self.made, Arc::new(fork));
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
    fn moved(&self, lsn: u64, unheld: bool) -> Object {
        let mut moved = self.clone();
        moved.moved.push(lsn);
        if unheld {
            moved.dressed = moved.dressed.unheld();
        }
        moved
    }

    /// Whether another object is the same in all that its writer gave.
    fn is_same(&self, other: &Object) -> bool {
        self.etag == other.etag
            && self.body.len() == other.body.len()
            && (self.kind, &self.target) == (other.kind, &other.target)
            && self.digests == other.digests
            && self.dressed == other.dressed
            && self.parts == other.parts
    }
}

impl Bucket {
    fn check_key_protected(&self, key: &str, now: u64) -> Answer<()> {
        self.chains.get(key).map_or(Ok(()), |chain| chain.iter().try_for_each(|object| object.guard(now)))
    }

    /// Refuses if anything under a prefix is protected, older versions too.
    fn check_protected(&self, prefix: &str, now: u64) -> Answer<()> {
        self.under(prefix).try_for_each(|(key, _)| self.check_key_protected(key, now))
    }
}

impl Reference {
    /// Refuses to drop a fork in which a version is protected, unless the bucket that it was made from shows it still.
    pub(super) fn check_holds(&self, fork: &Bucket) -> Answer<()> {
        let Some((name, _)) = &fork.origin else {
            return Ok(());
        };
        let parent = self.buckets.get(name).filter(|id| Some(**id) == fork.parent).map(|id| &self.held[id]);
        let begun_with = fork.begun_with.as_ref().map(|begun_with| &begun_with.chains);
        let protected = fork.chains.iter().flat_map(|(key, chain)| chain.iter().map(move |it| (key, it)));
        for (key, object) in protected.filter(|(_, object)| object.guard(self.now).is_err()) {
            let shows = |chains: &BTreeMap<String, Chain>, is: &dyn Fn(&Arc<Object>) -> bool| {
                chains.get(key).is_some_and(|chain| chain.iter().any(is))
            };
            let is_own = !begun_with.is_some_and(|chains| shows(chains, &|it| Arc::ptr_eq(it, object)));
            let stays = |there: &Arc<Object>| {
                Arc::ptr_eq(there, object) || (there.lsn == object.lsn && there.guard(self.now).is_err())
            };
            if is_own || !parent.is_some_and(|parent| shows(&parent.chains, &stays)) {
                object.guard(self.now)?;
            }
        }
        Ok(())
    }
}

impl Steps {
    /// Answers how many objects it was.
    pub fn delete_prefix(&mut self, bucket: &Handle, prefix: &str) -> Answer<u64> {
        check_prefix(prefix)?;
        let decided = self.decide_delete_prefix(bucket, prefix);
        self.note(decided)
    }

    fn decide_delete_prefix(&mut self, bucket: &Handle, prefix: &str) -> Answer<u64> {
        let its = self.scratch.check(bucket)?;
        let at = (self.scratch.now, self.lsn());
        its.check_protected(prefix, at.0)?;
        let mut changes = Vec::new();
        for (key, _) in its.under(prefix).filter(|(key, _)| its.current(key).is_some()) {
            changes.push((bucket.id, key.clone(), its.deleted(key, at, &self.scratch.names)?.0));
        }
        let count = changes.len() as u64;
        self.make(changes, None)?;
        Ok(count)
    }

    pub fn list(&mut self, bucket: &Handle, list: &List) -> Answer<(Vec<Line>, bool)> {
        self.read()?;
        self.scratch.list(bucket, list)
    }
}
