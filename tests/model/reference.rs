//! What every call must answer: the whole object model in plain maps, without files, caches or threads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use md5::Digest as _;
use ossicle::{Acl, Digests, ObjectDigests, ObjectKind, Quota, StorageClass, Versioning};

mod attributes;
mod chain;
mod checks;
mod growing;
mod restoring;
mod spaces;
mod steps;
mod uploads;
mod versions;

pub use attributes::{Attributes, Change, Dress, moment, retention};
pub use chain::{Chain, Name, Outcome, Which};
pub use checks::{Range, Read, Wants};
use checks::{check_bucket_name, check_key, check_prefix, check_row};
pub use restoring::Restoring;
pub use steps::{Made, Steps};
pub use uploads::{Upload, UploadAt};
pub use versions::VersionLine;

/// What a call comes to; an error is its code.
pub type Answer<T> = Result<T, &'static str>;

const NO_KEY: &str = "NoSuchKey";
const NO_VERSION: &str = "NoSuchVersion";
const NO_BUCKET: &str = "NoSuchBucket";
const BAD_KEY: &str = "InvalidObjectName";
const NOT_COPYABLE: &str = "ObjectNotCopyable";
const IMMUTABLE: &str = "FileImmutable";
const BAD_ARGUMENT: &str = "InvalidArgument";

/// The handle of a bucket: its name, and which one it is of those that ever had it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handle {
    pub name: String,
    pub id: u64,
}

/// An object: a version of it, or a delete marker.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its name among the versions of its key.
    pub name: Name,
    pub marker: bool,
    pub kind: ObjectKind,
    /// Of a link: the key that it leads to.
    pub target: Option<String>,
    pub body: Arc<[u8]>,
    pub etag: String,
    pub digests: ObjectDigests,
    pub dressed: Attributes,
    /// Milliseconds since 1970.
    pub modified: u64,
    /// The commit that wrote it.
    pub lsn: u64,
    /// The commits that moved it with its prefix, each of which may be said instead.
    pub moved: Vec<u64>,
    /// Of how many parts it was made, if it was uploaded in parts or grew by them.
    pub parts: u32,
    /// The restoring that was asked for last.
    pub restoring: Option<Restoring>,
    /// Of a link that was followed: what it leads to.
    pub behind: Option<Arc<Object>>,
}

/// The entity tag of a body.
pub fn etag(body: &[u8]) -> String {
    blake3::hash(body).to_hex()[..32].to_ascii_uppercase()
}

/// The entity tag of a body of which these digests are taken.
pub fn etag_by(digests: Digests, body: &[u8]) -> String {
    match digests {
        Digests::Fast => etag(body),
        Digests::Oss => md5::Md5::digest(body).iter().map(|byte| format!("{byte:02X}")).collect(),
    }
}

/// The CRC-64/XZ of a body.
pub fn crc64(body: &[u8]) -> u64 {
    let mut digest = crc64fast::Digest::new();
    digest.write(body);
    digest.sum64()
}

/// What is known of a body that was written in one piece.
fn digests_of(digests: Digests, body: &[u8]) -> ObjectDigests {
    let mut known = ObjectDigests::default();
    known.blake3 = Some(blake3::hash(body).into());
    if digests == Digests::Oss {
        known.md5 = Some(md5::Md5::digest(body).into());
        known.crc64 = Some(crc64(body));
    }
    known
}

/// What a listing is asked for.
#[derive(Clone, Debug, Default)]
pub struct List {
    pub prefix: String,
    pub delimiter: String,
    pub start: String,
    pub start_after: String,
    pub limit: Option<usize>,
    pub descending: bool,
}

/// One line of a listing.
#[derive(Clone, Debug)]
pub enum Line {
    Object(String, Arc<Object>),
    Prefix(String),
}

impl Line {
    pub fn name(&self) -> &str {
        match self {
            Line::Object(name, _) | Line::Prefix(name) => name,
        }
    }
}

/// How much lies under a prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub objects: u64,
    pub bytes: u64,
    pub noncurrent_objects: u64,
    pub noncurrent_bytes: u64,
    pub markers: u64,
    pub uploads: u64,
    pub upload_bytes: u64,
    /// The objects and their bytes by storage class.
    pub classes: [(u64, u64); 5],
}

impl Usage {
    fn count(&mut self, chain: &Chain) {
        for (at, version) in chain.iter().enumerate() {
            let bytes = version.body.len() as u64;
            match (at, version.marker) {
                (_, true) => self.markers += 1,
                (0, false) => {
                    (self.objects, self.bytes) = (self.objects + 1, self.bytes + bytes);
                    let class = &mut self.classes[version.dressed.class as usize];
                    *class = (class.0 + 1, class.1 + bytes);
                }
                _ => {
                    self.noncurrent_objects += 1;
                    self.noncurrent_bytes += bytes;
                }
            }
        }
    }
}

/// A place that a commit may change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Object(u64, String),
    Row(String, Vec<u8>),
    Bucket(String),
}

/// A bucket.
#[derive(Clone, Debug, Default)]
pub struct Bucket {
    pub versioning: Option<Versioning>,
    pub quota: Quota,
    pub acl: Acl,
    pub class: StorageClass,
    /// Of a fork: the name of the bucket it was made from, and the commit.
    pub origin: Option<(String, u64)>,
    /// The same bucket by its id.
    parent: Option<u64>,
    /// Of a fork: what it began with.
    begun_with: Option<Arc<Bucket>>,
    chains: BTreeMap<String, Chain>,
    /// By key, and the commit that began it.
    uploads: BTreeMap<(String, u64), Upload>,
}

impl Bucket {
    /// The object under a key, unless it is hidden by a delete marker.
    fn current(&self, key: &str) -> Option<&Arc<Object>> {
        self.chains.get(key)?.first().filter(|object| !object.marker)
    }

    /// The keys that start with a prefix, with their versions.
    fn under<'b>(&'b self, prefix: &'b str) -> impl Iterator<Item = (&'b String, &'b Chain)> {
        self.chains.range(prefix.to_string()..).take_while(move |(key, _)| key.starts_with(prefix))
    }

    fn usage(&self, prefix: &str) -> Usage {
        let mut usage = Usage::default();
        self.under(prefix).for_each(|(_, chain)| usage.count(chain));
        for (_, upload) in self.uploads.iter().filter(|((key, _), _)| key.starts_with(prefix)) {
            usage.uploads += 1;
            usage.upload_bytes += upload.bytes();
        }
        usage
    }

    /// Refuses if it holds more than it may.
    fn check_quota(&self) -> Answer<()> {
        if self.quota == Quota::default() {
            return Ok(());
        }
        let usage = self.usage("");
        let (objects, bytes) = (
            usage.objects + usage.noncurrent_objects,
            usage.bytes + usage.noncurrent_bytes + usage.upload_bytes,
        );
        let over = |most: Option<u64>, held: u64| most.is_some_and(|most| held > most);
        if over(self.quota.bytes, bytes) || over(self.quota.objects, objects) {
            Err("QuotaExceeded")
        } else {
            Ok(())
        }
    }
}

/// The application's rows, by table and key.
type Table = BTreeMap<(String, Vec<u8>), Vec<u8>>;

/// The whole store.
#[derive(Clone, Debug, Default)]
pub struct Reference {
    buckets: BTreeMap<String, u64>,
    held: BTreeMap<u64, Arc<Bucket>>,
    /// How many buckets were made so far.
    made: u64,
    rows: Arc<Table>,
    /// The names that the store has made up for versions; no two are the same.
    names: Arc<Mutex<BTreeSet<String>>>,
    /// The last commit.
    pub lsn: u64,
    /// The clock, in milliseconds since 1970.
    pub now: u64,
}

impl Reference {
    /// An empty store at this moment.
    pub fn at(now: u64) -> Reference {
        Reference { now, ..Reference::default() }
    }

    pub fn bucket(&self, name: &str) -> Answer<Handle> {
        check_bucket_name(name)?;
        let id = self.buckets.get(name).ok_or(NO_BUCKET)?;
        Ok(Handle { name: name.to_string(), id: *id })
    }

    pub fn bucket_names(&self) -> Vec<String> {
        self.buckets.keys().cloned().collect()
    }

    /// The bucket that a handle is of.
    pub fn check(&self, bucket: &Handle) -> Answer<&Bucket> {
        if self.buckets.get(&bucket.name) != Some(&bucket.id) {
            return Err(NO_BUCKET);
        }
        Ok(&self.held[&bucket.id])
    }

    /// The class of what is written to a bucket without one.
    fn class_of(&self, bucket: &Handle) -> StorageClass {
        self.check(bucket).map_or_else(|_| StorageClass::default(), |bucket| bucket.class)
    }

    /// Whether objects of a bucket say their version.
    pub fn keeps_versions(&self, bucket: &Handle) -> bool {
        self.check(bucket).is_ok_and(|bucket| bucket.versioning.is_some())
    }

    /// The names of versions that were seen so far.
    pub fn names(&self) -> BTreeSet<String> {
        self.names.lock().unwrap().clone()
    }

    /// Forgets what was seen since in a transaction that was not made: its names are given to others.
    pub fn forget(&self, names: BTreeSet<String>) {
        *self.names.lock().unwrap() = names;
    }

    /// One of the keys that there are, deleted or not.
    pub fn some_key(&self, bucket: &Handle, at: usize) -> Option<String> {
        let chains = &self.check(bucket).ok()?.chains;
        chains.keys().nth(at % chains.len().max(1)).cloned()
    }

    /// All versions of a key.
    pub fn chain(&self, bucket: &Handle, key: &str) -> &[Arc<Object>] {
        self.check(bucket).ok().and_then(|bucket| bucket.chains.get(key)).map_or(&[], |chain| &chain[..])
    }

    /// The object under a key, if it and its bucket are there.
    pub fn find(&self, bucket: &Handle, key: &str) -> Answer<&Arc<Object>> {
        check_key(key)?;
        self.check(bucket)?.current(key).ok_or(NO_KEY)
    }

    /// A version of an object, or the current one.
    fn find_version(&self, bucket: &Handle, key: &str, which: &Which) -> Answer<&Arc<Object>> {
        if *which == Which::Current {
            return self.find(bucket, key);
        }
        check_key(key)?;
        let chain = self.check(bucket)?.chains.get(key);
        chain.and_then(|chain| chain.iter().find(|object| which.is(object))).ok_or(NO_VERSION)
    }

    /// What is read under a key: of a link what its target has, one level deep.
    pub fn head(&self, bucket: &Handle, key: &str, read: &Read) -> Answer<Arc<Object>> {
        let object = self.find_version(bucket, key, &read.which)?;
        if object.marker {
            return Err("MethodNotAllowed");
        }
        let object = self.follow(bucket, object)?;
        read.check(&object)?;
        Ok(object)
    }

    pub fn get(
        &self,
        bucket: &Handle,
        key: &str,
        read: &Read,
    ) -> Answer<(Arc<Object>, std::ops::Range<usize>)> {
        let object = self.head(bucket, key, read)?;
        object.check_readable(self.now)?;
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
        if [&list.prefix, &list.delimiter, &list.start, &list.start_after]
            .iter()
            .any(|text| text.len() > 1023)
        {
            return Err(BAD_ARGUMENT);
        }
        if list.limit == Some(0) {
            return Err(BAD_ARGUMENT);
        }
        let bucket = self.check(bucket)?;
        let mut lines: Vec<Line> = Vec::new();
        for (key, object) in
            bucket.under(&list.prefix).filter_map(|(key, _)| Some((key, bucket.current(key)?)))
        {
            let rest = &key[list.prefix.len()..];
            let group = rest.find(&list.delimiter).filter(|_| !list.delimiter.is_empty());
            let line = match group {
                Some(at) => Line::Prefix(key[..list.prefix.len() + at + list.delimiter.len()].to_string()),
                None => Line::Object(key.clone(), object.clone()),
            };
            if lines.last().is_none_or(|last| last.name() != line.name()) {
                lines.push(line);
            }
        }
        if list.descending {
            lines.reverse();
        }
        if !list.start.is_empty() {
            lines.retain(|line| match list.descending {
                true => line.name() <= list.start.as_str(),
                false => line.name() >= list.start.as_str(),
            });
        }
        if !list.start_after.is_empty() {
            lines.retain(|line| match list.descending {
                true => line.name() < list.start_after.as_str(),
                false => line.name() > list.start_after.as_str(),
            });
        }
        let limit = list.limit.unwrap_or(usize::MAX);
        let more = lines.len() > limit;
        lines.truncate(limit);
        Ok((lines, more))
    }

    /// What lies under a prefix.
    pub fn usage(&self, bucket: &Handle, prefix: &str) -> Answer<Usage> {
        if prefix.len() > 1023 {
            return Err(BAD_ARGUMENT);
        }
        Ok(self.check(bucket)?.usage(prefix))
    }

    pub fn usage_of_all(&self) -> Usage {
        let mut sum = Usage::default();
        for usage in self.held.values().map(|bucket| bucket.usage("")) {
            sum.objects += usage.objects;
            sum.bytes += usage.bytes;
            sum.noncurrent_objects += usage.noncurrent_objects;
            sum.noncurrent_bytes += usage.noncurrent_bytes;
            sum.markers += usage.markers;
            sum.uploads += usage.uploads;
            sum.upload_bytes += usage.upload_bytes;
            for (sum, class) in sum.classes.iter_mut().zip(usage.classes) {
                *sum = (sum.0 + class.0, sum.1 + class.1);
            }
        }
        sum
    }

    pub fn row(&self, table: &str, key: &[u8]) -> Answer<Option<Vec<u8>>> {
        check_row(table, key)?;
        Ok(self.rows.get(&(table.to_string(), key.to_vec())).cloned())
    }

    /// The rows of a table from a key on and before another, in order.
    pub fn rows_in(&self, table: &str, from: &[u8], end: Option<&[u8]>) -> Answer<Vec<(Vec<u8>, Vec<u8>)>> {
        check_row(table, from)?;
        check_row(table, end.unwrap_or_default())?;
        let rows = self.rows.iter().filter(|((its, key), _)| {
            its == table && key[..] >= *from && end.is_none_or(|end| key[..] < *end)
        });
        Ok(rows.map(|((_, key), value)| (key.clone(), value.clone())).collect())
    }

    pub fn rows(&self) -> impl Iterator<Item = (&(String, Vec<u8>), &Vec<u8>)> {
        self.rows.iter()
    }

    /// The bucket with this id, to be changed.
    fn held_mut(&mut self, id: u64) -> &mut Bucket {
        Arc::make_mut(self.held.get_mut(&id).expect("checked"))
    }
}
