//! Writing: steps that are made one by one, alone or together in one commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use ossicle::ObjectKind;

use super::attributes::check_class;
use super::{
    Answer, BAD_KEY, Chain, Dress, Handle, IMMUTABLE, NO_BUCKET, NOT_COPYABLE, Name, Object, Outcome, Place,
    Read, Reference, Wants, Which, check_bucket_name, check_key, check_row, digests_of, etag_by,
};

/// Steps on their way into one commit.
#[derive(Debug)]
pub struct Steps {
    /// The state with the steps so far.
    pub(super) scratch: Reference,
    touched: BTreeMap<Place, Touch>,
    /// Whether something was read: from then on a step that cannot be made says so at once.
    reading: bool,
    late: Option<&'static str>,
}

/// What steps have made of a place.
#[derive(Clone, Copy, Debug)]
struct Touch {
    /// Whether there was something before the first of them.
    before: bool,
    /// Whether there is something after the last.
    after: bool,
}

/// What a put came to.
#[derive(Clone, Debug, Default)]
pub struct Made {
    pub etag: String,
    /// The version that was made, in a bucket that keeps versions.
    pub version: Option<Name>,
    /// The commit, or if nothing was to be done each that may be said to have written the object.
    pub lsns: Vec<u64>,
}

/// The versions of keys as a step leaves them: by bucket and key.
pub(super) type Changes = Vec<(u64, String, Chain)>;

impl Reference {
    /// One step as a commit of its own.
    pub(super) fn alone<T>(&mut self, step: impl FnOnce(&mut Steps) -> Answer<T>) -> Answer<T> {
        let scratch = std::mem::take(self);
        let lsn = scratch.lsn;
        let mut steps = Steps { scratch, touched: BTreeMap::new(), reading: true, late: None };
        // A step that fails leaves the state as it was.
        let answer = step(&mut steps);
        let commits = answer.is_ok() && steps.is_change();
        *self = steps.scratch;
        self.lsn = lsn + u64::from(commits);
        answer
    }

    pub fn create_bucket(&mut self, name: &str) -> Answer<Handle> {
        self.alone(|steps| steps.create_bucket(name))
    }

    pub fn delete_bucket(&mut self, name: &str) -> Answer<()> {
        self.alone(|steps| steps.delete_bucket(name))
    }

    pub fn put(
        &mut self,
        bucket: &Handle,
        key: &str,
        body: &Arc<[u8]>,
        dress: &Dress,
        wants: &Wants,
    ) -> Answer<Made> {
        self.alone(|steps| steps.put(bucket, key, body, dress, wants))
    }

    pub fn delete(&mut self, bucket: &Handle, key: &str, which: &Which, wants: &Wants) -> Answer<Outcome> {
        self.alone(|steps| steps.delete(bucket, key, which, wants))
    }

    pub fn delete_many(&mut self, bucket: &Handle, keys: &[String]) -> Answer<Vec<Answer<Outcome>>> {
        self.alone(|steps| {
            let mut answers = Vec::new();
            for key in keys {
                match steps.delete(bucket, key, &Which::Current, &Wants::default()) {
                    Err(code @ (BAD_KEY | IMMUTABLE)) => answers.push(Err(code)),
                    other => answers.push(Ok(other?)),
                }
            }
            Ok(answers)
        })
    }

    pub fn copy(
        &mut self,
        from: (&Handle, &str),
        to: (&Handle, &str),
        read: &Read,
        dress: &Dress,
        wants: &Wants,
    ) -> Answer<Made> {
        self.alone(|steps| steps.copy(from, to, read, dress, wants))
    }

    pub fn rename(&mut self, bucket: &Handle, key: &str, new_key: &str, wants: &Wants) -> Answer<Made> {
        check_key(key)?;
        self.alone(|steps| steps.rename((bucket, key), (bucket, new_key), wants))
    }

    pub fn begin(&self) -> Steps {
        Steps { scratch: self.clone(), touched: BTreeMap::new(), reading: false, late: None }
    }

    /// Makes one commit of the steps; none if nothing changes.
    pub fn commit(&mut self, steps: Steps) -> Answer<()> {
        if let Some(code) = steps.late {
            return Err(code);
        }
        if steps.is_change() {
            let lsn = self.lsn + 1;
            *self = steps.scratch;
            self.lsn = lsn;
        }
        Ok(())
    }
}

impl Steps {
    fn is_change(&self) -> bool {
        self.touched.values().any(|touch| touch.before || touch.after)
    }

    /// The commit that this will be.
    pub(super) fn lsn(&self) -> u64 {
        self.scratch.lsn + 1
    }

    /// Notes what a step came to: told now if something was read before, at the next read or the commit if not.
    pub(super) fn note<T: Default>(&mut self, answer: Answer<T>) -> Answer<T> {
        match answer {
            Err(code) if !self.reading => {
                self.late.get_or_insert(code);
                Ok(T::default())
            }
            other => other,
        }
    }

    fn touch(&mut self, place: Place, before: bool, after: bool) {
        self.touched.entry(place).or_insert(Touch { before, after }).after = after;
    }

    /// Makes a step's changes, unless a bucket would hold more than it may.
    pub(super) fn make(&mut self, changes: Changes, adds_to: Option<u64>) -> Answer<()> {
        let mut before = Vec::new();
        for (id, key, chain) in changes {
            let bucket = self.scratch.held_mut(id);
            let old = bucket.chains.get(&key).cloned().unwrap_or_default();
            let after = !chain.is_empty();
            bucket.set(&key, chain);
            before.push((id, key, old, after));
        }
        if let Some(id) = adds_to
            && let Err(code) = self.scratch.held[&id].check_quota()
        {
            for (id, key, old, _) in before.into_iter().rev() {
                self.scratch.held_mut(id).set(&key, old);
            }
            return Err(code);
        }
        for (id, key, old, after) in before {
            self.touch(Place::Object(id, key), !old.is_empty(), after);
        }
        Ok(())
    }

    /// Puts an object on top of a key; `changes` are made with it.
    pub(super) fn push(
        &mut self,
        (bucket, key): (&Handle, &str),
        object: Object,
        wants: &Wants,
        mut changes: Changes,
    ) -> Answer<Made> {
        let its = self.scratch.check(bucket)?;
        wants.check(its.current(key).map(|object| &**object))?;
        let etag = object.etag.clone();
        let (chain, version) = its.pushed(key, object, self.scratch.now, &self.scratch.names)?;
        changes.push((bucket.id, key.to_string(), chain));
        self.make(changes, Some(bucket.id))?;
        Ok(Made { etag, version, lsns: vec![self.lsn()] })
    }

    pub fn put(
        &mut self,
        bucket: &Handle,
        key: &str,
        body: &Arc<[u8]>,
        dress: &Dress,
        wants: &Wants,
    ) -> Answer<Made> {
        check_key(key)?;
        let checked = dress.check()?;
        let object = Object {
            body: body.clone(),
            etag: etag_by(dress.digests, body),
            digests: digests_of(dress.digests, body),
            dressed: checked.begin(self.scratch.class_of(bucket)),
            marker: false,
            ..Object::marker(self.scratch.now, self.lsn())
        };
        let decided = self.push((bucket, key), object, wants, Vec::new());
        self.note(decided)
    }

    pub fn delete(&mut self, bucket: &Handle, key: &str, which: &Which, wants: &Wants) -> Answer<Outcome> {
        check_key(key)?;
        let decided = self.decide_delete(bucket, key, which, wants);
        self.note(decided)
    }

    fn decide_delete(&mut self, bucket: &Handle, key: &str, which: &Which, wants: &Wants) -> Answer<Outcome> {
        let its = self.scratch.check(bucket)?;
        wants.check(its.current(key).map(|object| &**object))?;
        let (chain, outcome) = match which {
            Which::Current => {
                let (chain, outcome) =
                    its.deleted(key, (self.scratch.now, self.lsn()), &self.scratch.names)?;
                (Some(chain), outcome)
            }
            which => its.without(key, which, self.scratch.now)?,
        };
        let changes = chain.map(|chain| (bucket.id, key.to_string(), chain));
        self.make(changes.into_iter().collect(), None)?;
        Ok(outcome)
    }

    pub fn copy(
        &mut self,
        (from, key): (&Handle, &str),
        to: (&Handle, &str),
        read: &Read,
        dress: &Dress,
        wants: &Wants,
    ) -> Answer<Made> {
        check_key(key)?;
        check_key(to.1)?;
        let given = dress.check()?;
        // A delete marker is nothing that could be copied, and a link is copied itself.
        let source = self.scratch.carried(from, key, &read.which, None)?;
        read.check(&source)?;
        let class = self.scratch.check(to.0)?.class;
        if source.kind == ObjectKind::Appendable && ((from, key) != to || self.scratch.keeps_versions(from)) {
            return Err(NOT_COPYABLE);
        }
        source.check_readable(self.scratch.now)?;
        let dressed = given.over(&source.dressed, class);
        check_class(source.kind, dressed.class)?;
        let object = Object {
            dressed,
            modified: self.scratch.now,
            lsn: self.lsn(),
            moved: Vec::new(),
            restoring: None,
            ..Object::clone(&source)
        };
        self.push(to, object, wants, Vec::new())
    }

    pub fn rename(&mut self, from: (&Handle, &str), to: (&Handle, &str), wants: &Wants) -> Answer<Made> {
        check_key(to.1)?;
        check_key(from.1)?;
        let its = self.scratch.check(from.0)?;
        self.scratch.check(to.0)?;
        let object = self.scratch.find(from.0, from.1)?.clone();
        if from == to {
            wants.check(Some(&object))?;
            let version = its.versioning.map(|_| object.name.clone());
            return Ok(Made { etag: object.etag.clone(), version, lsns: object.lsns() });
        }
        let lsn = self.lsn();
        wants.check(self.scratch.check(to.0)?.current(to.1).map(|object| &**object))?;
        let (left, _) = its.deleted(from.1, (self.scratch.now, lsn), &self.scratch.names)?;
        let dressed = object.dressed.unheld();
        let moved = Object { lsn, moved: Vec::new(), dressed, ..Object::clone(&object) };
        self.push(to, moved, wants, vec![(from.0.id, from.1.to_string(), left)])
    }

    /// Makes a bucket, which reads.
    pub fn create_bucket(&mut self, name: &str) -> Answer<Handle> {
        check_bucket_name(name)?;
        self.read()?;
        let scratch = &mut self.scratch;
        if scratch.buckets.contains_key(name) {
            return Err("BucketAlreadyExists");
        }
        scratch.made += 1;
        scratch.buckets.insert(name.to_string(), scratch.made);
        scratch.held.insert(scratch.made, Arc::default());
        self.touch(Place::Bucket(name.to_string()), true, true);
        self.scratch.bucket(name)
    }

    /// Makes a bucket unless it is there, which reads.
    pub fn create_bucket_if_missing(&mut self, name: &str) -> Answer<Handle> {
        check_bucket_name(name)?;
        self.read()?;
        match self.scratch.bucket(name) {
            Err(NO_BUCKET) => self.create_bucket(name),
            found => found,
        }
    }

    pub fn delete_bucket(&mut self, name: &str) -> Answer<()> {
        check_bucket_name(name)?;
        let decided = self.decide_delete_bucket(name);
        self.note(decided)
    }

    fn decide_delete_bucket(&mut self, name: &str) -> Answer<()> {
        let handle = self.scratch.bucket(name)?;
        let bucket = self.scratch.check(&handle)?;
        if (!bucket.chains.is_empty() || !bucket.uploads.is_empty()) && bucket.origin.is_none() {
            return Err("BucketNotEmpty");
        }
        self.scratch.check_holds(bucket)?;
        self.scratch.buckets.remove(name);
        self.scratch.held.remove(&handle.id);
        self.touch(Place::Bucket(name.to_string()), true, false);
        Ok(())
    }

    /// A rename through a transaction: it looks its source up, and so it reads.
    pub fn tx_rename(&mut self, from: (&Handle, &str), to: (&Handle, &str), wants: &Wants) -> Answer<()> {
        check_key(to.1)?;
        check_key(from.1)?;
        self.read()?;
        self.scratch.find(from.0, from.1)?;
        self.rename(from, to, wants).map(|_| ())
    }

    pub fn tx_copy(
        &mut self,
        from: (&Handle, &str),
        to: (&Handle, &str),
        dress: &Dress,
        wants: &Wants,
    ) -> Answer<()> {
        check_key(to.1)?;
        check_key(from.1)?;
        dress.check()?;
        self.read()?;
        self.copy(from, to, &Read::default(), dress, wants).map(|_| ())
    }

    /// Something is read: what could not be made before is told now.
    pub fn read(&mut self) -> Answer<()> {
        match self.late {
            Some(code) => Err(code),
            None => {
                self.reading = true;
                Ok(())
            }
        }
    }

    pub fn get(
        &mut self,
        bucket: &Handle,
        key: &str,
        read: &Read,
    ) -> Answer<(Arc<Object>, std::ops::Range<usize>)> {
        check_key(key)?;
        self.read()?;
        self.scratch.get(bucket, key, read)
    }

    pub fn head(&mut self, bucket: &Handle, key: &str, read: &Read) -> Answer<Arc<Object>> {
        check_key(key)?;
        self.read()?;
        self.scratch.head(bucket, key, read)
    }

    pub fn exists(&mut self, bucket: &Handle, key: &str) -> Answer<bool> {
        check_key(key)?;
        self.read()?;
        self.scratch.exists(bucket, key)
    }

    /// Whether objects of a bucket say their version.
    pub fn keeps_versions(&self, bucket: &Handle) -> bool {
        self.scratch.keeps_versions(bucket)
    }

    pub fn row(&mut self, table: &str, key: &[u8]) -> Answer<Option<Vec<u8>>> {
        check_row(table, key)?;
        self.read()?;
        self.scratch.row(table, key)
    }

    pub fn rows_in(
        &mut self,
        table: &str,
        from: &[u8],
        end: Option<&[u8]>,
    ) -> Answer<Vec<(Vec<u8>, Vec<u8>)>> {
        self.read()?;
        self.scratch.rows_in(table, from, end)
    }

    pub fn put_row(&mut self, table: &str, key: &[u8], value: &[u8]) -> Answer<()> {
        if value.len() > 256 * 1024 {
            return Err("EntityTooLarge");
        }
        check_row(table, key)?;
        let at = (table.to_string(), key.to_vec());
        let before = Arc::make_mut(&mut self.scratch.rows).insert(at.clone(), value.to_vec()).is_some();
        self.touch(Place::Row(at.0, at.1), before, true);
        Ok(())
    }

    pub fn delete_row(&mut self, table: &str, key: &[u8]) -> Answer<()> {
        check_row(table, key)?;
        let at = (table.to_string(), key.to_vec());
        let before = Arc::make_mut(&mut self.scratch.rows).remove(&at).is_some();
        self.touch(Place::Row(at.0, at.1), before, false);
        Ok(())
    }
}
