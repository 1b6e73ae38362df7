//! What every call must answer: the whole object model in plain maps, without files, caches or threads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a call comes to; an error is its code.
pub type Answer<T> = Result<T, &'static str>;

const NO_KEY: &str = "NoSuchKey";
const NO_BUCKET: &str = "NoSuchBucket";
const BAD_KEY: &str = "InvalidObjectName";
const BAD_ARGUMENT: &str = "InvalidArgument";

/// The handle of a bucket: its name and the commit that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handle {
    pub name: String,
    pub id: u64,
}

/// An object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    pub body: Arc<[u8]>,
    pub etag: String,
    pub content_type: Option<String>,
    pub metadata: BTreeMap<String, String>,
    /// Milliseconds since 1970.
    pub modified: u64,
    pub lsn: u64,
}

/// The entity tag of a body.
pub fn etag(body: &[u8]) -> String {
    blake3::hash(body).to_hex()[..32].to_ascii_uppercase()
}

/// What a write carries besides the body.
#[derive(Clone, Debug, Default)]
pub struct Dress {
    pub content_type: Option<String>,
    pub metadata: Option<Vec<(String, String)>>,
}

/// What must hold of the current object.
#[derive(Clone, Debug, Default)]
pub struct Wants {
    pub if_absent: bool,
    pub if_match: Option<String>,
}

/// What a read is asked for.
#[derive(Clone, Debug, Default)]
pub struct Read {
    pub range: Option<Range>,
    pub if_match: Option<String>,
    pub if_none_match: Option<String>,
    /// Seconds since 1970.
    pub if_modified_since: Option<u64>,
    pub if_unmodified_since: Option<u64>,
}

/// A range in each of the forms that people write.
#[derive(Clone, Copy, Debug)]
pub enum Range {
    Full,
    Span(u64, u64),
    Inclusive(u64, u64),
    From(u64),
    To(u64),
    Last(u64),
}

impl Range {
    fn resolve(self, size: u64) -> Answer<std::ops::Range<usize>> {
        let (start, end) = match self {
            Range::Full => (0, u64::MAX),
            Range::Span(start, end) => (start, end),
            Range::Inclusive(start, last) => (start, last.saturating_add(1)),
            Range::From(start) => (start, u64::MAX),
            Range::To(end) => (0, end),
            Range::Last(count) => (size.saturating_sub(count), if count == 0 { 0 } else { u64::MAX }),
        };
        // Everything of an empty body is an empty body; a part of it is not there.
        if size == 0 && matches!(self, Range::Full | Range::From(0)) {
            return Ok(0..0);
        }
        let end = end.min(size);
        if start >= end { Err("InvalidRange") } else { Ok(start as usize..end as usize) }
    }
}

/// What a listing is asked for.
#[derive(Clone, Debug, Default)]
pub struct List {
    pub prefix: String,
    pub delimiter: String,
    pub start_after: String,
    pub limit: Option<usize>,
}

/// One line of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    Object(String, Object),
    Prefix(String),
}

impl Line {
    pub fn name(&self) -> &str {
        match self {
            Line::Object(name, _) | Line::Prefix(name) => name,
        }
    }
}

/// A place that a commit may change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Object(u64, String),
    Row(String, Vec<u8>),
}

/// The whole store.
#[derive(Clone, Debug, Default)]
pub struct Reference {
    buckets: BTreeMap<String, u64>,
    objects: BTreeMap<u64, BTreeMap<String, Arc<Object>>>,
    rows: BTreeMap<(String, Vec<u8>), Vec<u8>>,
    /// The last commit.
    pub lsn: u64,
    /// The clock, in milliseconds since 1970.
    pub now: u64,
}

/// Steps on their way into one commit.
#[derive(Debug)]
pub struct Steps {
    /// The state with the steps so far.
    scratch: Reference,
    touched: BTreeSet<Place>,
    /// Places that the last step on them wrote.
    written: BTreeSet<Place>,
    /// Whether something was read: from then on a step that cannot be made says so at once.
    reading: bool,
    late: Option<&'static str>,
}

pub fn check_key(key: &str) -> Answer<()> {
    let fits = (1..=1023).contains(&key.len()) && !key.starts_with('/') && !key.starts_with('\\');
    if fits { Ok(()) } else { Err(BAD_KEY) }
}

fn check_bucket_name(name: &str) -> Answer<()> {
    let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fits = (3..=63).contains(&name.len()) && name.chars().all(inside);
    if fits && !name.starts_with('-') && !name.ends_with('-') { Ok(()) } else { Err("InvalidBucketName") }
}

fn check_row(table: &str, key: &[u8]) -> Answer<()> {
    let fits = (1..=255).contains(&table.len()) && !table.contains('\0') && key.len() <= 800;
    if fits { Ok(()) } else { Err(BAD_ARGUMENT) }
}

impl Dress {
    /// Checks what is given and returns the metadata as it will be stored.
    fn check(&self) -> Answer<Option<BTreeMap<String, String>>> {
        if let Some(text) = &self.content_type
            && (text.len() > 1024 || text.chars().any(char::is_control))
        {
            return Err(BAD_ARGUMENT);
        }
        let Some(pairs) = &self.metadata else {
            return Ok(None);
        };
        // The caller's own map holds each spelling once; the last value stands.
        let given: BTreeMap<&String, &String> = pairs.iter().map(|(name, value)| (name, value)).collect();
        let total: usize = given.iter().map(|(name, value)| name.len() + value.len()).sum();
        let mut stored = BTreeMap::new();
        for (name, value) in given {
            let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
            let twice = stored.insert(name.to_ascii_lowercase(), value.clone()).is_some();
            if !plain || twice || value.chars().any(char::is_control) {
                return Err(BAD_ARGUMENT);
            }
        }
        if total > 8192 { Err(BAD_ARGUMENT) } else { Ok(Some(stored)) }
    }
}

fn same_tag(wanted: &str, etag: &str) -> bool {
    let wanted = wanted.trim();
    let bare = wanted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(wanted);
    bare == "*" || bare.eq_ignore_ascii_case(etag)
}

impl Wants {
    fn check(&self, current: Option<&Object>) -> Answer<()> {
        if self.if_absent && current.is_some() {
            return Err("FileAlreadyExists");
        }
        match &self.if_match {
            Some(wanted) if !current.is_some_and(|object| same_tag(wanted, &object.etag)) => {
                Err("PreconditionFailed")
            }
            _ => Ok(()),
        }
    }
}

impl Read {
    fn check(&self, object: &Object) -> Answer<()> {
        let later = |seconds: u64| object.modified / 1000 > seconds;
        if self.if_match.as_ref().is_some_and(|wanted| !same_tag(wanted, &object.etag))
            || self.if_unmodified_since.is_some_and(later)
        {
            return Err("PreconditionFailed");
        }
        if self.if_none_match.as_ref().is_some_and(|wanted| same_tag(wanted, &object.etag))
            || self.if_modified_since.is_some_and(|seconds| !later(seconds))
        {
            return Err("NotModified");
        }
        Ok(())
    }
}

impl Reference {
    /// An empty store at this moment.
    pub fn at(now: u64) -> Reference {
        Reference { now, ..Reference::default() }
    }

    // Reading ---------------------------------------------------------------------------------------------

    pub fn bucket(&self, name: &str) -> Answer<Handle> {
        check_bucket_name(name)?;
        let id = self.buckets.get(name).ok_or(NO_BUCKET)?;
        Ok(Handle { name: name.to_string(), id: *id })
    }

    pub fn bucket_names(&self) -> Vec<String> {
        self.buckets.keys().cloned().collect()
    }

    fn check(&self, bucket: &Handle) -> Answer<&BTreeMap<String, Arc<Object>>> {
        if self.buckets.get(&bucket.name) != Some(&bucket.id) {
            return Err(NO_BUCKET);
        }
        Ok(&self.objects[&bucket.id])
    }

    /// The object under a key, if it and its bucket are there.
    pub fn find(&self, bucket: &Handle, key: &str) -> Answer<&Arc<Object>> {
        check_key(key)?;
        self.check(bucket)?.get(key).ok_or(NO_KEY)
    }

    pub fn head(&self, bucket: &Handle, key: &str, read: &Read) -> Answer<Object> {
        let object = self.find(bucket, key)?;
        read.check(object)?;
        Ok(Object::clone(object))
    }

    pub fn get(&self, bucket: &Handle, key: &str, read: &Read) -> Answer<(Object, std::ops::Range<usize>)> {
        let object = self.head(bucket, key, read)?;
        let range = read.range.unwrap_or(Range::Full).resolve(object.body.len() as u64)?;
        Ok((object, range))
    }

    pub fn exists(&self, bucket: &Handle, key: &str) -> Answer<bool> {
        match self.find(bucket, key) {
            Ok(_) => Ok(true),
            Err(NO_KEY) => Ok(false),
            Err(code) => Err(code),
        }
    }

    /// The lines of a listing, and whether there are more.
    pub fn list(&self, bucket: &Handle, list: &List) -> Answer<(Vec<Line>, bool)> {
        if [&list.prefix, &list.delimiter, &list.start_after].iter().any(|text| text.len() > 1023) {
            return Err(BAD_ARGUMENT);
        }
        if list.limit == Some(0) {
            return Err(BAD_ARGUMENT);
        }
        let objects = self.check(bucket)?;
        let mut lines: Vec<Line> = Vec::new();
        for (key, object) in objects.iter().filter(|(key, _)| key.starts_with(&list.prefix)) {
            let rest = &key[list.prefix.len()..];
            let group = rest.find(&list.delimiter).filter(|_| !list.delimiter.is_empty());
            let line = match group {
                Some(at) => Line::Prefix(key[..list.prefix.len() + at + list.delimiter.len()].to_string()),
                None => Line::Object(key.clone(), Object::clone(object)),
            };
            let is_new = lines.last().is_none_or(|last| last.name() != line.name());
            if is_new && (list.start_after.is_empty() || line.name() > list.start_after.as_str()) {
                lines.push(line);
            }
        }
        let limit = list.limit.unwrap_or(usize::MAX);
        let more = lines.len() > limit;
        lines.truncate(limit);
        Ok((lines, more))
    }

    /// Objects and bytes under a prefix.
    pub fn usage(&self, bucket: &Handle, prefix: &str) -> Answer<(u64, u64)> {
        if prefix.len() > 1023 {
            return Err(BAD_ARGUMENT);
        }
        let under = self.check(bucket)?.iter().filter(|(key, _)| key.starts_with(prefix));
        Ok(under.fold((0, 0), |(count, bytes), (_, object)| (count + 1, bytes + object.body.len() as u64)))
    }

    pub fn usage_of_all(&self) -> (u64, u64) {
        let all = self.objects.values().flat_map(BTreeMap::values);
        all.fold((0, 0), |(count, bytes), object| (count + 1, bytes + object.body.len() as u64))
    }

    pub fn row(&self, table: &str, key: &[u8]) -> Answer<Option<Vec<u8>>> {
        check_row(table, key)?;
        Ok(self.rows.get(&(table.to_string(), key.to_vec())).cloned())
    }

    pub fn rows(&self) -> impl Iterator<Item = (&(String, Vec<u8>), &Vec<u8>)> {
        self.rows.iter()
    }

    // Writing ---------------------------------------------------------------------------------------------

    /// One step as a commit of its own.
    fn alone<T>(&mut self, step: impl FnOnce(&mut Steps) -> Answer<T>) -> Answer<T> {
        let mut steps = self.begin();
        steps.reading = true;
        let answer = step(&mut steps)?;
        self.commit(steps)?;
        Ok(answer)
    }

    pub fn create_bucket(&mut self, name: &str) -> Answer<Handle> {
        check_bucket_name(name)?;
        if self.buckets.contains_key(name) {
            return Err("BucketAlreadyExists");
        }
        self.lsn += 1;
        self.buckets.insert(name.to_string(), self.lsn);
        self.objects.insert(self.lsn, BTreeMap::new());
        self.bucket(name)
    }

    pub fn delete_bucket(&mut self, name: &str) -> Answer<()> {
        let bucket = self.bucket(name)?;
        if !self.check(&bucket)?.is_empty() {
            return Err("BucketNotEmpty");
        }
        self.buckets.remove(name);
        self.objects.remove(&bucket.id);
        self.lsn += 1;
        Ok(())
    }

    /// Answers with the entity tag; the commit is `lsn`.
    pub fn put(
        &mut self,
        bucket: &Handle,
        key: &str,
        body: &Arc<[u8]>,
        dress: &Dress,
        wants: &Wants,
    ) -> Answer<String> {
        self.alone(|steps| steps.put(bucket, key, body, dress, wants))
    }

    pub fn delete(&mut self, bucket: &Handle, key: &str, wants: &Wants) -> Answer<()> {
        self.alone(|steps| steps.delete(bucket, key, wants))
    }

    pub fn delete_many(&mut self, bucket: &Handle, keys: &[String]) -> Answer<Vec<Answer<()>>> {
        self.alone(|steps| {
            let mut answers = Vec::new();
            for key in keys {
                match steps.delete(bucket, key, &Wants::default()) {
                    Err(BAD_KEY) => answers.push(Err(BAD_KEY)),
                    other => answers.push(Ok(other?)),
                }
            }
            Ok(answers)
        })
    }

    #[allow(clippy::too_many_arguments, reason = "the same as the call it stands for")]
    pub fn copy(
        &mut self,
        (from, key): (&Handle, &str),
        (to, new_key): (&Handle, &str),
        source: Option<String>,
        dress: &Dress,
        wants: &Wants,
    ) -> Answer<String> {
        check_key(key)?;
        check_key(new_key)?;
        dress.check()?;
        let object = self.head(from, key, &Read { if_match: source, ..Read::default() })?;
        let metadata = dress.check()?.unwrap_or_else(|| object.metadata.clone());
        let dress = Dress {
            content_type: dress.content_type.clone().or(object.content_type),
            metadata: Some(metadata.into_iter().collect()),
        };
        self.put(to, new_key, &object.body, &dress, wants)
    }

    /// Answers with the entity tag and the commit that the object says now.
    pub fn rename(
        &mut self,
        bucket: &Handle,
        key: &str,
        new_key: &str,
        wants: &Wants,
    ) -> Answer<(String, u64)> {
        check_key(key)?;
        let etag = self.alone(|steps| steps.rename((bucket, key), (bucket, new_key), wants))?;
        Ok((etag, self.find(bucket, new_key)?.lsn))
    }

    pub fn begin(&self) -> Steps {
        let scratch = self.clone();
        let (touched, written) = Default::default();
        Steps { scratch, touched, written, reading: false, late: None }
    }

    /// Makes one commit of the steps; none if nothing changes.
    pub fn commit(&mut self, steps: Steps) -> Answer<()> {
        if let Some(code) = steps.late {
            return Err(code);
        }
        let changes = |place: &Place| steps.written.contains(place) || self.has(place);
        if !steps.touched.iter().any(changes) {
            return Ok(());
        }
        let lsn = self.lsn + 1;
        *self = steps.scratch;
        self.lsn = lsn;
        for place in steps.written {
            if let Place::Object(id, key) = place
                && let Some(object) = self.objects.get_mut(&id).and_then(|objects| objects.get_mut(&key))
            {
                Arc::make_mut(object).lsn = lsn;
            }
        }
        Ok(())
    }

    fn has(&self, place: &Place) -> bool {
        match place {
            Place::Object(id, key) => self.objects.get(id).is_some_and(|objects| objects.contains_key(key)),
            Place::Row(table, key) => self.rows.contains_key(&(table.clone(), key.clone())),
        }
    }
}

impl Steps {
    /// Notes what a step came to: told now if something was read before, at the next read or the commit if not.
    fn note<T: Default>(&mut self, answer: Answer<T>) -> Answer<T> {
        match answer {
            Err(code) if !self.reading => {
                self.late.get_or_insert(code);
                Ok(T::default())
            }
            other => other,
        }
    }

    fn touch(&mut self, place: Place, writes: bool) {
        if writes {
            self.written.insert(place.clone());
        } else {
            self.written.remove(&place);
        }
        self.touched.insert(place);
    }

    pub fn put(
        &mut self,
        bucket: &Handle,
        key: &str,
        body: &Arc<[u8]>,
        dress: &Dress,
        wants: &Wants,
    ) -> Answer<String> {
        check_key(key)?;
        let metadata = dress.check()?.unwrap_or_default();
        let decided = self.decide_put(bucket, key, body, dress, metadata, wants);
        self.note(decided)
    }

    fn decide_put(
        &mut self,
        bucket: &Handle,
        key: &str,
        body: &Arc<[u8]>,
        dress: &Dress,
        metadata: BTreeMap<String, String>,
        wants: &Wants,
    ) -> Answer<String> {
        wants.check(self.scratch.check(bucket)?.get(key).map(|object| &**object))?;
        let object = Object {
            body: body.clone(),
            etag: etag(body),
            content_type: dress.content_type.clone(),
            metadata,
            modified: self.scratch.now,
            lsn: self.scratch.lsn + 1,
        };
        let etag = object.etag.clone();
        self.scratch.objects.get_mut(&bucket.id).expect("checked").insert(key.to_string(), Arc::new(object));
        self.touch(Place::Object(bucket.id, key.to_string()), true);
        Ok(etag)
    }

    pub fn delete(&mut self, bucket: &Handle, key: &str, wants: &Wants) -> Answer<()> {
        check_key(key)?;
        let decided = self.decide_delete(bucket, key, wants);
        self.note(decided)
    }

    fn decide_delete(&mut self, bucket: &Handle, key: &str, wants: &Wants) -> Answer<()> {
        wants.check(self.scratch.check(bucket)?.get(key).map(|object| &**object))?;
        self.scratch.objects.get_mut(&bucket.id).expect("checked").remove(key);
        self.touch(Place::Object(bucket.id, key.to_string()), false);
        Ok(())
    }

    pub fn rename(&mut self, from: (&Handle, &str), to: (&Handle, &str), wants: &Wants) -> Answer<String> {
        check_key(to.1)?;
        check_key(from.1)?;
        self.scratch.check(from.0)?;
        self.scratch.check(to.0)?;
        let object = self.scratch.find(from.0, from.1)?.clone();
        wants.check(self.scratch.check(to.0)?.get(to.1).map(|object| &**object))?;
        if from != to {
            self.scratch.objects.get_mut(&from.0.id).expect("checked").remove(from.1);
            self.touch(Place::Object(from.0.id, from.1.to_string()), false);
            let moved = Arc::new(Object { lsn: self.scratch.lsn + 1, ..Object::clone(&object) });
            self.scratch.objects.get_mut(&to.0.id).expect("checked").insert(to.1.to_string(), moved);
            self.touch(Place::Object(to.0.id, to.1.to_string()), true);
        }
        Ok(object.etag.clone())
    }

    /// A rename through a transaction: it looks its source up, and so it reads.
    pub fn tx_rename(&mut self, from: (&Handle, &str), to: (&Handle, &str)) -> Answer<()> {
        check_key(to.1)?;
        check_key(from.1)?;
        self.read()?;
        self.scratch.find(from.0, from.1)?;
        self.rename(from, to, &Wants::default()).map(|_| ())
    }

    pub fn tx_copy(&mut self, from: (&Handle, &str), to: (&Handle, &str)) -> Answer<()> {
        check_key(to.1)?;
        check_key(from.1)?;
        self.read()?;
        let object = self.scratch.find(from.0, from.1)?.clone();
        let metadata = Some(object.metadata.clone().into_iter().collect());
        let dress = Dress { content_type: object.content_type.clone(), metadata };
        self.put(to.0, to.1, &object.body, &dress, &Wants::default()).map(|_| ())
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

    pub fn get(&mut self, bucket: &Handle, key: &str) -> Answer<Object> {
        check_key(key)?;
        self.read()?;
        self.scratch.find(bucket, key).map(|object| Object::clone(object))
    }

    pub fn row(&mut self, table: &str, key: &[u8]) -> Answer<Option<Vec<u8>>> {
        check_row(table, key)?;
        self.read()?;
        self.scratch.row(table, key)
    }

    pub fn put_row(&mut self, table: &str, key: &[u8], value: &[u8]) -> Answer<()> {
        if value.len() > 256 * 1024 {
            return Err("EntityTooLarge");
        }
        check_row(table, key)?;
        self.scratch.rows.insert((table.to_string(), key.to_vec()), value.to_vec());
        self.touch(Place::Row(table.to_string(), key.to_vec()), true);
        Ok(())
    }

    pub fn delete_row(&mut self, table: &str, key: &[u8]) -> Answer<()> {
        check_row(table, key)?;
        self.scratch.rows.remove(&(table.to_string(), key.to_vec()));
        self.touch(Place::Row(table.to_string(), key.to_vec()), false);
        Ok(())
    }
}
