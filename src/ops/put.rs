//! Put: writes an object whole, replacing what was under its key.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::batch::{self, Batch, Step, StepOutcome};
use super::body::{self, Body, Incoming, Prepared};
use super::context::BucketRef;
use crate::catalog::keys;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::format::row::ObjectRow;
use crate::model::{Durability, ETag, Lsn, ObjectKey, VersionId, check_content_type, check_metadata};

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
    pub(crate) content_type: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) conditions: Conditions,
    pub(crate) durability: Durability,
}

/// What must hold of the current object for a write to happen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    pub(crate) if_absent: bool,
    pub(crate) if_match: Option<ETag>,
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
    /// No content type, no metadata, no condition, durable when it returns.
    pub fn new() -> PutOptions {
        PutOptions::default()
    }

    /// Sets the media type: at most 1024 bytes.
    pub fn content_type(mut self, text: impl Into<String>) -> PutOptions {
        self.content_type = Some(text.into());
        self
    }

    /// Adds a pair of user metadata: letters, digits and hyphens in the name; 8 KiB in all (OSS).
    pub fn metadata(mut self, name: impl Into<String>, value: impl Into<String>) -> PutOptions {
        self.metadata.insert(name.into(), value.into());
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

    /// Sets when the put is done.
    pub fn durability(mut self, durability: Durability) -> PutOptions {
        self.durability = durability;
        self
    }
}

impl Conditions {
    /// Whether the conditions hold for `current`.
    pub(crate) fn check(&self, key: &str, current: Option<&ObjectRow>) -> Result<()> {
        if self.if_absent && current.is_some() {
            return Err(Error::new(
                ErrorKind::Precondition,
                "FileAlreadyExists",
                format!("the object {key:?} exists already, and if_absent was asked for"),
            ));
        }
        let Some(wanted) = &self.if_match else {
            return Ok(());
        };
        let found = current.map(|row| ETag::from_hash(&row.blake3));
        if found.as_ref() == Some(wanted) || (wanted.as_str() == "*" && found.is_some()) {
            return Ok(());
        }
        let found = found.map_or("there is no object".to_string(), |etag| format!("it is {etag}"));
        Err(Error::new(
            ErrorKind::Precondition,
            "PreconditionFailed",
            format!("the entity tag of {key:?} should be {wanted}, but {found}"),
        ))
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
) -> Result<Step> {
    let row = check(key, &options)?;
    engine.check_writable()?;
    let prepared = body::prepare(engine, &keys::object(bucket.id, key), body, packed_max)?;
    Ok(finish_step(bucket, key, row, prepared, options))
}

fn check(key: &str, options: &PutOptions) -> Result<ObjectRow> {
    ObjectKey::new(key)?;
    if let Some(text) = &options.content_type {
        check_content_type(text)?;
    }
    let metadata =
        if options.metadata.is_empty() { BTreeMap::new() } else { check_metadata(&options.metadata)? };
    Ok(ObjectRow { content_type: options.content_type.clone(), metadata, ..ObjectRow::default() })
}

fn finish_step(
    bucket: &BucketRef,
    key: &str,
    row: ObjectRow,
    prepared: Prepared,
    options: PutOptions,
) -> Step {
    let row = ObjectRow { size: prepared.size, blake3: prepared.blake3, ..row };
    Step::Put { bucket: bucket.clone(), key: key.to_string(), row, prepared, conditions: options.conditions }
}

/// Puts an object.
pub fn put(
    engine: &Arc<Engine>,
    bucket: &BucketRef,
    key: &str,
    body: Body<'_>,
    options: PutOptions,
) -> Result<PutOutcome> {
    let durability = options.durability;
    let step = step(engine, bucket, key, body, options, engine.settings().packed_max)?;
    commit(engine, step, durability)
}

fn commit(engine: &Arc<Engine>, step: Step, durability: Durability) -> Result<PutOutcome> {
    let (outcomes, _) = batch::commit(engine, Batch::of(step), durability)?;
    match outcomes.into_iter().next() {
        Some(StepOutcome::Put(outcome)) => Ok(outcome),
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
        let row = check(key, &options)?;
        engine.check_writable()?;
        bucket.check(&engine.view())?;
        let incoming = Incoming::new(keys::object(bucket.id, key), engine.settings().packed_max);
        let (engine, bucket) = (engine.clone(), bucket.clone());
        Ok(Writing { engine, bucket, key: key.to_string(), row, options, incoming })
    }

    /// Takes more bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.incoming.write(&self.engine, bytes)
    }

    /// Bytes so far.
    pub fn len(&self) -> u64 {
        self.incoming.len()
    }

    /// Commits the object.
    pub fn finish(self) -> Result<PutOutcome> {
        let prepared = self.incoming.finish(&self.engine)?;
        let durability = self.options.durability;
        let step = finish_step(&self.bucket, &self.key, self.row, prepared, self.options);
        commit(&self.engine, step, durability)
    }
}
