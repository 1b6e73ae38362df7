//! Put: writes an object whole, on top of what was under its key.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::batch::{self, Step, StepOutcome};
use super::body::{self, Body, Incoming, Prepared, Whither};
use super::chain::{Bringing, Chain};
use super::context::BucketRef;
use super::envelope::{self, Asked, Sealing};
use super::staged::Staged;
use crate::catalog::{self, HeadRow, Moment, keys};
use crate::crypto::CustomerKey;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::format::row::ObjectRow;
use crate::model::{
    Acl, ContentHeaders, Digests, Durability, ETag, Encryption, Keeping, Lsn, ObjectKey, StorageClass,
    VersionId, check_client_encryption, check_content_type, check_metadata, check_tags,
};
use crate::segment::{Placed, TIERS};

/// What a put is asked to do. Plain data; set what you need.
///
/// ```
/// use ossicle::{Durability, PutOptions};
/// let options = PutOptions::new().content_type("image/png").metadata("owner", "ann").durability(Durability::Buffered);
/// # let _ = options;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct PutOptions {
    pub(crate) attributes: Attributes,
    pub(crate) conditions: Conditions,
    pub(crate) digests: Option<Digests>,
    pub(crate) durability: Option<Durability>,
}

/// What is stored with an object besides its body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    pub(crate) content_type: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) headers: ContentHeaders,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) acl: Option<Acl>,
    pub(crate) class: Option<StorageClass>,
    pub(crate) asked: Asked,
    pub(crate) keeping: Keeping,
}

/// What must hold of the current object for a write to happen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    pub(crate) if_absent: bool,
    pub(crate) if_match: Option<ETag>,
    pub(crate) if_none_match: Option<ETag>,
}

/// What a put came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PutOutcome {
    /// The entity tag of the body.
    pub etag: ETag,
    /// The version that was made, in a bucket that keeps versions.
    pub version: Option<VersionId>,
    /// The commit.
    pub lsn: Lsn,
}

impl PutOptions {
    /// No content type, no metadata, no condition; durability and digests as the [`Settings`](crate::Settings) have them.
    pub fn new() -> PutOptions {
        PutOptions::default()
    }

    /// Sets the media type: at most 1024 bytes.
    pub fn content_type(mut self, text: impl Into<String>) -> PutOptions {
        self.attributes.content_type = Some(text.into());
        self
    }

    /// Adds a pair of user metadata: letters, digits and hyphens in the name; 8 KiB in all (OSS).
    pub fn metadata(mut self, name: impl Into<String>, value: impl Into<String>) -> PutOptions {
        self.attributes.metadata.insert(name.into(), value.into());
        self
    }

    /// Takes the pairs of user metadata out again whose names are unwanted.
    pub fn without_metadata(mut self, unwanted: impl Fn(&str) -> bool) -> PutOptions {
        self.attributes.metadata.retain(|name, _| !unwanted(name));
        self
    }

    /// Sets the content headers, such as `Cache-Control`.
    pub fn headers(mut self, headers: ContentHeaders) -> PutOptions {
        self.attributes.headers = headers;
        self
    }

    /// Adds a tag: at most 10, the key 1 to 128 bytes, the value up to 256 bytes (OSS).
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> PutOptions {
        self.attributes.tags.push((key.into(), value.into()));
        self
    }

    /// Sets an access control value of its own; without one, the bucket's counts.
    pub fn acl(mut self, acl: Acl) -> PutOptions {
        self.attributes.acl = Some(acl);
        self
    }

    /// Sets the storage class; without one, the bucket's counts.
    pub fn storage_class(mut self, class: StorageClass) -> PutOptions {
        self.attributes.class = Some(class);
        self
    }

    /// Sets how it is encrypted; without it, the bucket's [`Encryption`] counts. In an encrypted store everything is, whatever
    /// is said here.
    pub fn encryption(mut self, encryption: Encryption) -> PutOptions {
        self.attributes.asked.encryption = Some(encryption);
        self
    }

    /// Encrypts it with a key that is not stored and that each get must bring along. Comes before the bucket's encryption.
    /// Listings and [`head`](crate::Bucket::head) do without the key; metadata, tags and the key's
    /// [fingerprint](CustomerKey::fingerprint) are not encrypted with it.
    pub fn customer_key(mut self, key: &CustomerKey) -> PutOptions {
        self.attributes.asked.customer = Some(key.clone());
        self
    }

    /// Sets whether the object is pinned: a [`Budget`](crate::Budget) never evicts it.
    pub fn pinned(mut self, pinned: bool) -> PutOptions {
        self.attributes.keeping.pinned = pinned;
        self
    }

    /// Sets the object's priority among what a [`Budget`](crate::Budget) may evict; the lowest goes first, and 128 is what
    /// objects have that are given none.
    pub fn priority(mut self, priority: u8) -> PutOptions {
        self.attributes.keeping.priority = priority;
        self
    }

    /// Says whether the object is anywhere else as well. With `false` a [`Budget`](crate::Budget) does not evict it until
    /// [`Bucket::set_replicated`](crate::Bucket::set_replicated) says otherwise.
    pub fn replicated(mut self, replicated: bool) -> PutOptions {
        self.attributes.keeping.replicated = replicated;
        self
    }

    /// Sets which digests of the body are kept; without it, [`Settings::digests`](crate::Settings::digests) counts. With [`Digests::Oss`] the entity tag is the body's MD5, as OSS has it.
    pub fn digests(mut self, digests: Digests) -> PutOptions {
        self.digests = Some(digests);
        self
    }

    /// Writes only if there is no object under the key; otherwise `FileAlreadyExists`.
    pub fn if_absent(mut self) -> PutOptions {
        self.conditions.if_absent = true;
        self
    }

    /// Writes only if the current object has this entity tag; otherwise `PreconditionFailed`.
    pub fn if_match(mut self, etag: impl Into<ETag>) -> PutOptions {
        self.conditions.if_match = Some(etag.into());
        self
    }

    /// Writes only if the current object does not have this entity tag; otherwise `PreconditionFailed`. With `"*"` there
    /// must be no object.
    pub fn if_none_match(mut self, etag: impl Into<ETag>) -> PutOptions {
        self.conditions.if_none_match = Some(etag.into());
        self
    }

    /// Sets when the put is done; without it, [`Settings::durability`](crate::Settings::durability) counts.
    pub fn durability(mut self, durability: Durability) -> PutOptions {
        self.durability = Some(durability);
        self
    }
}

impl PutOptions {
    fn digests_in(&self, engine: &Engine) -> Digests {
        self.digests.unwrap_or(engine.settings().digests)
    }
}

impl Attributes {
    /// Checks them, and makes the row that an object with them begins with.
    pub(crate) fn to_row(&self) -> Result<ObjectRow> {
        if let Some(text) = &self.content_type {
            check_content_type(text)?;
        }
        self.headers.check()?;
        let mut row = ObjectRow { content_type: self.content_type.clone(), ..ObjectRow::default() };
        if !self.metadata.is_empty() {
            row.metadata = check_metadata(&self.metadata)?;
            check_client_encryption(&row.metadata)?;
        }
        row.class = self.class.map_or(BUCKETS_CLASS, StorageClass::number);
        if !self.headers.is_empty() {
            row.rare_mut().headers = self.headers.to_array();
        }
        if !self.tags.is_empty() {
            row.rare_mut().tags = check_tags(self.tags.iter().cloned())?;
        }
        if let Some(acl) = self.acl {
            row.rare_mut().acl = acl.number();
        }
        if self.keeping != Keeping::NONE {
            row.rare_mut().keep = catalog::keep_of(&self.keeping);
        }
        Ok(row)
    }
}

/// Stands in a row that is not written yet for the storage class of the bucket.
pub const BUCKETS_CLASS: u8 = u8::MAX;

impl Conditions {
    /// Whether there is anything to look at.
    pub(crate) fn is_empty(&self) -> bool {
        !self.if_absent && self.if_match.is_none() && self.if_none_match.is_none()
    }

    /// Whether the conditions hold for the current version. A delete marker is no object.
    pub(crate) fn check(&self, key: &str, current: Option<&HeadRow>) -> Result<()> {
        let current = current.filter(|head| !head.row.is_marker());
        if self.if_absent && current.is_some() {
            return Err(Error::new(
                ErrorKind::Precondition,
                "FileAlreadyExists",
                format!("the object {key:?} exists already, and if_absent was asked for"),
            ));
        }
        self.check_tag(key, current.map(HeadRow::etag))
    }

    /// Whether the entity tag of a version is as it is wanted.
    pub(crate) fn check_etag(&self, key: &str, found: &ETag) -> Result<()> {
        self.check_tag(key, Some(found.clone()))
    }

    fn check_tag(&self, key: &str, found: Option<ETag>) -> Result<()> {
        let is = |named: &ETag| found.as_ref().is_some_and(|etag| etag == named || named.as_str() == "*");
        let failed = |why| Err(Error::new(ErrorKind::Precondition, "PreconditionFailed", why));
        if let Some(wanted) = self.if_match.as_ref().filter(|wanted| !is(wanted)) {
            let found =
                found.as_ref().map_or("there is no object".to_string(), |etag| format!("it is {etag}"));
            return failed(format!("the entity tag of {key:?} should be {wanted}, but {found}"));
        }
        match self.if_none_match.as_ref().filter(|unwanted| is(unwanted)) {
            Some(unwanted) => {
                failed(format!("the entity tag of {key:?} should not be {unwanted}, but it is"))
            }
            None => Ok(()),
        }
    }
}

/// The step of a put.
#[derive(Debug)]
pub struct PutStep {
    pub(crate) bucket: BucketRef,
    pub(crate) key: String,
    /// The row, without size, digests and time.
    pub(crate) row: ObjectRow,
    pub(crate) prepared: Prepared,
    pub(crate) conditions: Conditions,
    pub(crate) sealing: Option<Sealing>,
}

impl Step for PutStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        let state = staged.bucket(&self.bucket)?;
        Sealing::keep_key(self.sealing.as_ref(), staged)?;
        let millis = staged.now.millis;
        let mut chain = Chain::new(staged, &state);
        if !self.conditions.is_empty() {
            let current = chain.head(&self.key)?;
            self.conditions.check(&self.key, current.as_ref().map(|(head, _)| head))?;
        }
        let mut row = ObjectRow { modified: millis, ..self.row.clone() };
        describe(&mut row, &self.prepared);
        if row.class == BUCKETS_CLASS {
            row.class = state.row.class;
        }
        let etag = catalog::etag_of(&row);
        let version = chain.push(&self.key, row, Bringing::New(self.prepared.body.clone()))?;
        chain.check_quota()?;
        Ok(StepOutcome::Put(PutOutcome { etag, version, lsn: Lsn(chain.staged.now.lsn) }))
    }

    fn placed(&self) -> Option<&Placed> {
        self.prepared.placed.as_ref()
    }

    fn memory(&self) -> usize {
        self.prepared.memory()
    }
}

/// Puts size and digests of a body into a row.
pub fn describe(row: &mut ObjectRow, prepared: &Prepared) {
    row.size = prepared.size;
    row.blake3 = prepared.digests.blake3;
    if prepared.digests.md5.is_some() || prepared.digests.crc64.is_some() {
        let rare = row.rare_mut();
        rare.md5 = prepared.digests.md5;
        rare.crc64 = prepared.digests.crc64;
    }
}

/// The index key that a body for `key` is written for, as far as can be known before the commit.
pub fn owner_key(engine: &Engine, bucket: &BucketRef, key: &str) -> Result<Vec<u8>> {
    Ok(owner_and_class(engine, bucket, key)?.0)
}

/// Where a body for `key` goes if its object is to be of this class.
pub fn whither(
    engine: &Engine,
    bucket: &BucketRef,
    key: &str,
    class: u8,
    packed_max: usize,
) -> Result<Whither> {
    let (owner, default) = owner_and_class(engine, bucket, key)?;
    let class = if class == BUCKETS_CLASS { default } else { class };
    Ok(Whither { owner, tier: if class < TIERS { class } else { 0 }, packed_max, envelope: None })
}

/// The same, and the class that the bucket gives to objects.
fn owner_and_class(engine: &Engine, bucket: &BucketRef, key: &str) -> Result<(Vec<u8>, u8)> {
    let view = engine.view();
    let moment = Moment::now(&view);
    let state = match bucket.state(&moment) {
        Err(error) if error.is_not_found() && bucket.may_be_coming() => {
            return Ok((keys::object(bucket.id, key), 0));
        }
        state => state?,
    };
    let lens = state.lens(&moment);
    let owner = match state.route.own_space() {
        Some(space) => keys::object(space, key),
        None => lens.write_key(catalog::Kind::Head, key.as_bytes(), b""),
    };
    Ok((owner, state.row.class))
}

/// Checks a request and takes its body in.
pub fn step(
    engine: &Engine,
    bucket: &BucketRef,
    key: &str,
    body: Body<'_>,
    options: PutOptions,
    packed_max: usize,
) -> Result<PutStep> {
    ObjectKey::new(key)?;
    let mut row = options.attributes.to_row()?;
    engine.check_writable()?;
    // A bucket that is not there is told at the commit: it may be made in the same transaction.
    let mut to = whither(engine, bucket, key, row.class, packed_max).or_else(|error| match error.kind() {
        ErrorKind::NotFound => {
            Ok(Whither { owner: keys::object(bucket.id, key), tier: 0, packed_max, envelope: None })
        }
        _ => Err(error),
    })?;
    let sealing = envelope::choose(engine, bucket, &options.attributes.asked)?;
    Sealing::note(sealing.as_ref(), &mut row);
    to.envelope = sealing.as_ref().and_then(Sealing::key).map(|key| (key, 0));
    let prepared = body::prepare_at_most(engine, &to, body, options.digests_in(engine), u64::MAX)?;
    let (bucket, key) = (bucket.clone(), key.to_string());
    Ok(PutStep { bucket, key, row, prepared, conditions: options.conditions, sealing })
}

/// Puts an object.
pub fn put(
    engine: &Arc<Engine>,
    bucket: &BucketRef,
    key: &str,
    body: Body<'_>,
    options: PutOptions,
) -> Result<PutOutcome> {
    let durability = engine.settings().durability_for(options.durability);
    let step = step(engine, bucket, key, body, options, engine.settings().packed_max)?;
    commit(engine, step, durability)
}

/// Commits a step that makes a version.
pub fn commit(engine: &Arc<Engine>, step: impl Step + 'static, durability: Durability) -> Result<PutOutcome> {
    match batch::commit_one(engine, step, durability)? {
        StepOutcome::Put(outcome) => Ok(outcome),
        _ => unreachable!("a put comes to a put"),
    }
}

/// A put whose body is written piece by piece.
#[derive(Debug)]
pub struct Writing {
    engine: Arc<Engine>,
    bucket: BucketRef,
    key: String,
    row: ObjectRow,
    options: PutOptions,
    sealing: Option<Sealing>,
    incoming: Incoming,
}

impl Writing {
    /// Begins.
    pub fn begin(
        engine: &Arc<Engine>,
        bucket: &BucketRef,
        key: &str,
        options: PutOptions,
    ) -> Result<Writing> {
        ObjectKey::new(key)?;
        let mut row = options.attributes.to_row()?;
        engine.check_writable()?;
        let mut to = whither(engine, bucket, key, row.class, engine.settings().packed_max)?;
        let sealing = envelope::choose(engine, bucket, &options.attributes.asked)?;
        Sealing::note(sealing.as_ref(), &mut row);
        to.envelope = sealing.as_ref().and_then(Sealing::key).map(|key| (key, 0));
        let incoming = Incoming::new(engine, to, options.digests_in(engine));
        let (engine, bucket) = (engine.clone(), bucket.clone());
        Ok(Writing { engine, bucket, key: key.to_string(), row, options, sealing, incoming })
    }

    /// Takes more bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.engine.check_here()?;
        self.incoming.write(&self.engine, bytes)
    }

    /// Bytes so far.
    pub fn len(&self) -> u64 {
        self.incoming.len()
    }

    /// Commits the object.
    pub fn finish(self) -> Result<PutOutcome> {
        let prepared = self.incoming.finish(&self.engine)?;
        let durability = self.engine.settings().durability_for(self.options.durability);
        let Writing { bucket, key, row, options, sealing, .. } = self;
        let step = PutStep { bucket, key, row, prepared, conditions: options.conditions, sealing };
        commit(&self.engine, step, durability)
    }
}
