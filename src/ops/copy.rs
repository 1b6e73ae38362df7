//! Copy and rename: an object under another key, in this bucket or another one.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::batch::{self, Batch, Step, StepOutcome};
use super::body::{Incoming, Prepared};
use super::context::{BucketRef, Reading};
use super::get::{self, GetOptions, Got};
use super::put::{Conditions, PutOutcome};
use crate::catalog::keys;
use crate::engine::Engine;
use crate::error::Result;
use crate::format::row::ObjectRow;
use crate::model::{Durability, ETag, ObjectKey, check_content_type, check_metadata};

/// How much of a body is copied at once.
const COPY_STEP: u64 = 1 << 20;

/// What a copy or a rename is asked to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct CopyOptions {
    source: GetOptions,
    conditions: Conditions,
    durability: Durability,
    content_type: Option<String>,
    metadata: Option<BTreeMap<String, String>>,
}

impl CopyOptions {
    /// Content type and metadata of the source, no condition, durable when it returns.
    pub fn new() -> CopyOptions {
        CopyOptions::default()
    }

    /// Copies only if the source's entity tag is this one; otherwise `PreconditionFailed`.
    pub fn source_if_match(mut self, etag: impl Into<ETag>) -> CopyOptions {
        self.source = self.source.if_match(etag);
        self
    }

    /// Writes only if there is no object under the new key; otherwise `FileAlreadyExists`.
    pub fn if_absent(mut self) -> CopyOptions {
        self.conditions.if_absent = true;
        self
    }

    /// Writes only if the object under the new key has this entity tag; otherwise `PreconditionFailed`.
    pub fn if_match(mut self, etag: impl Into<ETag>) -> CopyOptions {
        self.conditions.if_match = Some(etag.into());
        self
    }

    /// Gives the copy another media type. Of no effect on a rename.
    pub fn content_type(mut self, text: impl Into<String>) -> CopyOptions {
        self.content_type = Some(text.into());
        self
    }

    /// Replaces the metadata of the copy: the first pair drops the source's. Of no effect on a rename.
    pub fn metadata(mut self, name: impl Into<String>, value: impl Into<String>) -> CopyOptions {
        self.metadata.get_or_insert_default().insert(name.into(), value.into());
        self
    }

    /// Sets when it is done.
    pub fn durability(mut self, durability: Durability) -> CopyOptions {
        self.durability = durability;
        self
    }
}

/// Copies an object. The bytes are read and written once; what is copied is the object at the moment of the call.
pub fn copy(
    engine: &Arc<Engine>,
    (from, key): (&BucketRef, &str),
    (to, new_key): (&BucketRef, &str),
    options: CopyOptions,
) -> Result<PutOutcome> {
    ObjectKey::new(new_key)?;
    let reading = Reading { engine: engine.clone(), pinned: None };
    let got = get::get(&reading, from, key, &options.source)?;
    let durability = options.durability;
    let step = copy_step(engine, got, to, new_key, options, engine.settings().packed_max)?;
    commit(engine, step, durability)
}

/// The put that a copy comes to.
pub fn copy_step(
    engine: &Engine,
    got: Got,
    to: &BucketRef,
    new_key: &str,
    options: CopyOptions,
    packed_max: usize,
) -> Result<Step> {
    let content_type = options.content_type.or(got.meta.content_type);
    if let Some(text) = &content_type {
        check_content_type(text)?;
    }
    let metadata = options.metadata.as_ref().map(check_metadata).transpose()?.unwrap_or(got.meta.metadata);
    let mut incoming = Incoming::new(keys::object(to.id, new_key), packed_max);
    let mut at = 0;
    while at < got.meta.size {
        let bytes = got.body.read(at..got.meta.size.min(at + COPY_STEP))?;
        incoming.write(engine, &bytes)?;
        at += bytes.len() as u64;
    }
    let prepared: Prepared = incoming.finish(engine)?;
    let row = ObjectRow {
        size: prepared.size,
        blake3: prepared.blake3,
        content_type,
        metadata,
        ..ObjectRow::default()
    };
    let (bucket, key) = (to.clone(), new_key.to_string());
    Ok(Step::Put { bucket, key, row, prepared, conditions: options.conditions })
}

/// Renames an object: one commit, no byte is copied, whatever the size.
pub fn rename(
    engine: &Arc<Engine>,
    from: (&BucketRef, &str),
    to: (&BucketRef, &str),
    options: CopyOptions,
) -> Result<PutOutcome> {
    let durability = options.durability;
    commit(engine, rename_step(from, to, options)?, durability)
}

/// The step of a rename.
pub fn rename_step(
    (from, key): (&BucketRef, &str),
    (to, new_key): (&BucketRef, &str),
    options: CopyOptions,
) -> Result<Step> {
    ObjectKey::new(key)?;
    ObjectKey::new(new_key)?;
    Ok(Step::Rename {
        from: from.clone(),
        key: key.to_string(),
        to: to.clone(),
        new_key: new_key.to_string(),
        conditions: options.conditions,
    })
}

fn commit(engine: &Arc<Engine>, step: Step, durability: Durability) -> Result<PutOutcome> {
    let (outcomes, _) = batch::commit(engine, Batch::of(step), durability)?;
    match outcomes.into_iter().next() {
        Some(StepOutcome::Put(outcome)) => Ok(outcome),
        _ => unreachable!("a copy comes to a put"),
    }
}
