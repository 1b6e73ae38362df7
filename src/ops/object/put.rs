//! Put: writes an object whole, on top of what was under its key.

use std::sync::Arc;

use super::body_in::{self, Body, Destination, Prepared};
use super::envelope::{self, Sealing};
use super::new_version::{Attributes, BUCKETS_CLASS, describe, whither};
use crate::catalog;
use crate::catalog::keyspace::keys;
use crate::crypto::CustomerKey;
use crate::engine::state::engine::Engine;
use crate::error::{ErrorKind, Result};
use crate::format::row::ObjectRow;
use crate::model::{
    Acl, ContentHeaders, Digests, Durability, ETag, Encryption, Lsn, ObjectKey, StorageClass,
};
use crate::segment::Placed;
use crate::write::commit;
use crate::write::conditions::Conditions;
use crate::write::context::BucketRef;
use crate::write::outcome::{PutOutcome, StepOutcome};
use crate::write::staged::overlay::Staged;
use crate::write::step::Step;
use crate::write::version_chain::{BodySource, Chain};

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
    pub(super) fn digests_in(&self, engine: &Engine) -> Digests {
        self.digests.unwrap_or(engine.settings().digests)
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
        let version = chain.push(&self.key, row, BodySource::New(self.prepared.body.clone()))?;
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
            Ok(Destination { owner: keys::object(bucket.id, key), tier: 0, packed_max, envelope: None })
        }
        _ => Err(error),
    })?;
    let sealing = envelope::choose(engine, bucket, &options.attributes.asked)?;
    Sealing::note(sealing.as_ref(), &mut row);
    to.envelope = sealing.as_ref().and_then(Sealing::key).map(|key| (key, 0));
    let prepared = body_in::prepare_at_most(engine, &to, body, options.digests_in(engine), u64::MAX)?;
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
    match commit::commit_one(engine, step, durability)? {
        StepOutcome::Put(outcome) => Ok(outcome),
        _ => unreachable!("a put comes to a put"),
    }
}
