//! Copy and rename: an object under another key, in this bucket or another one. No byte is copied, whatever the size.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use super::batch::{Step, StepOutcome};
use super::chain::{Bringing, Chain};
use super::class;
use super::context::BucketRef;
use super::get::GetOptions;
use super::put::{Conditions, PutOutcome, commit};
use super::staged::Staged;
use crate::catalog;
use crate::engine::Engine;
use crate::env::Planted;
use crate::error::{Error, Result};
use crate::format::row::ObjectRow;
use crate::model::{
    Acl, ContentHeaders, Durability, ETag, Lsn, ObjectKey, ObjectKind, StorageClass, VersionId,
    check_content_type, check_metadata, check_tags,
};

/// What a copy or a rename is asked to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct CopyOptions {
    source: GetOptions,
    conditions: Conditions,
    durability: Durability,
    content_type: Option<String>,
    metadata: Option<BTreeMap<String, String>>,
    headers: Option<ContentHeaders>,
    tags: Option<Vec<(String, String)>>,
    acl: Option<Acl>,
    class: Option<StorageClass>,
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

    /// Copies only if the source's entity tag is not this one; otherwise `NotModified`.
    pub fn source_if_none_match(mut self, etag: impl Into<ETag>) -> CopyOptions {
        self.source = self.source.if_none_match(etag);
        self
    }

    /// Copies only if the source was written after this moment; otherwise `NotModified`.
    pub fn source_if_modified_since(mut self, moment: SystemTime) -> CopyOptions {
        self.source = self.source.if_modified_since(moment);
        self
    }

    /// Copies only if the source was not written after this moment; otherwise `PreconditionFailed`.
    pub fn source_if_unmodified_since(mut self, moment: SystemTime) -> CopyOptions {
        self.source = self.source.if_unmodified_since(moment);
        self
    }

    /// Copies this version of the source instead of the current one.
    pub fn source_version(mut self, version: impl Into<VersionId>) -> CopyOptions {
        self.source = self.source.version(version);
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

    /// Writes only if the object under the new key does not have this entity tag; otherwise `PreconditionFailed`. With
    /// `"*"` there must be no object.
    pub fn if_none_match(mut self, etag: impl Into<ETag>) -> CopyOptions {
        self.conditions.if_none_match = Some(etag.into());
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

    /// Gives the copy other content headers. Of no effect on a rename.
    pub fn headers(mut self, headers: ContentHeaders) -> CopyOptions {
        self.headers = Some(headers);
        self
    }

    /// Gives the copy these tags instead of those of the source; may be called several times. Of no effect on a
    /// rename.
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> CopyOptions {
        self.tags.get_or_insert_default().push((key.into(), value.into()));
        self
    }

    /// Gives the copy an access control value; without one, its bucket's counts (OSS: never that of the source).
    pub fn acl(mut self, acl: Acl) -> CopyOptions {
        self.acl = Some(acl);
        self
    }

    /// Sets the copy's storage class; without one, its bucket's counts.
    pub fn storage_class(mut self, class: StorageClass) -> CopyOptions {
        self.class = Some(class);
        self
    }
}

/// The step of a copy.
#[derive(Debug)]
pub struct CopyStep {
    from: BucketRef,
    key: String,
    to: BucketRef,
    new_key: String,
    options: CopyOptions,
}

impl Step for CopyStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        let from = staged.bucket(&self.from)?;
        let options = &self.options;
        let (head, found) = Chain::new(staged, &from).object(&self.key, options.source.version.as_ref())?;
        let versioned = from.versioning().is_some();
        options
            .source
            .check(&catalog::meta_of(self.key.clone(), head.clone(), versioned, || staged.now.millis)?)?;
        let to = staged.bucket(&self.to)?;
        let self_copy = self.from == self.to && self.key == self.new_key;
        let appendable = head.row.kind == ObjectKind::Appendable.number();
        if appendable && (versioned || !self_copy) {
            return Err(not_copyable(&self.key));
        }
        if !staged.now.mistake.is(Planted::CopyFrozen) {
            class::check_readable(&self.key, &head, || staged.now.millis)?;
        }
        let mut row = unheld(head.row);
        if let Some(text) = &options.content_type {
            row.content_type = Some(text.clone());
        }
        if let Some(metadata) = &options.metadata {
            row.metadata = metadata.clone();
        }
        row.modified = staged.now.millis;
        let class = options.class.or_else(|| StorageClass::from_number(to.row.class)).unwrap_or_default();
        class::change(&mut row, class, None)?;
        if row.extra.is_some() || options.headers.is_some() || options.tags.is_some() || options.acl.is_some()
        {
            let rare = row.rare_mut();
            rare.acl = options.acl.map_or(0, Acl::number);
            if let Some(headers) = &options.headers {
                rare.headers = headers.to_array();
            }
            if let Some(tags) = &options.tags {
                rare.tags = tags.clone();
            }
            row.trim();
        }
        let body = Bringing::Found(found.body, found.at);
        let outcome = place(staged, (&to, &self.new_key), row, body, &options.conditions)?;
        Chain::new(staged, &to).check_quota()?;
        Ok(outcome)
    }
}

/// A row for another version of the same contents: what protects the one does not protect the other.
pub fn unheld(mut row: ObjectRow) -> ObjectRow {
    if let Some(rare) = &mut row.extra {
        (rare.retention, rare.legal_hold) = (None, false);
        row.trim();
    }
    row
}

/// `ObjectNotCopyable`.
pub fn not_copyable(key: &str) -> Error {
    Error::invalid(
        "ObjectNotCopyable",
        format!("the object {key:?} is appendable and cannot be copied (OSS); read it and put it"),
    )
}

/// Puts a row under the key that a copy or a rename leads to.
fn place(
    staged: &mut Staged<'_>,
    (to, key): (&catalog::BucketState, &str),
    row: ObjectRow,
    body: Bringing,
    conditions: &Conditions,
) -> Result<StepOutcome> {
    let mut chain = Chain::new(staged, to);
    if !conditions.is_empty() {
        let current = chain.head(key)?;
        conditions.check(key, current.as_ref().map(|(head, _)| head))?;
    }
    let etag = catalog::etag_of(&row);
    let version = chain.push(key, row, body)?;
    Ok(StepOutcome::Put(PutOutcome { etag, version, lsn: Lsn(chain.staged.now.lsn) }))
}

/// Checks a copy.
pub fn copy_step(
    engine: &Engine,
    (from, key): (&BucketRef, &str),
    (to, new_key): (&BucketRef, &str),
    mut options: CopyOptions,
) -> Result<CopyStep> {
    from.admit(&catalog::Moment::now(&engine.view()), key)?;
    ObjectKey::new(new_key)?;
    if let Some(text) = &options.content_type {
        check_content_type(text)?;
    }
    options.metadata = options.metadata.as_ref().map(check_metadata).transpose()?;
    if let Some(headers) = &options.headers {
        headers.check()?;
    }
    options.tags = options.tags.map(check_tags).transpose()?;
    let (key, new_key) = (key.to_string(), new_key.to_string());
    Ok(CopyStep { from: from.clone(), key, to: to.clone(), new_key, options })
}

/// Copies an object: one commit, no byte is copied, whatever the size. What is copied is the object at the moment
/// of the commit.
pub fn copy(
    engine: &Arc<Engine>,
    from: (&BucketRef, &str),
    to: (&BucketRef, &str),
    options: CopyOptions,
) -> Result<PutOutcome> {
    let durability = options.durability;
    commit(engine, copy_step(engine, from, to, options)?, durability)
}

/// The step of a rename.
#[derive(Debug)]
pub struct RenameStep {
    from: BucketRef,
    key: String,
    to: BucketRef,
    new_key: String,
    conditions: Conditions,
}

impl Step for RenameStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        let from = staged.bucket(&self.from)?;
        let (head, found) = Chain::new(staged, &from).object(&self.key, None)?;
        let to = staged.bucket(&self.to)?;
        if self.from == self.to && self.key == self.new_key {
            let chain = Chain::new(staged, &from);
            self.conditions.check(&self.key, Some(&head))?;
            // Nothing is committed: the object stays that of the commit that wrote it.
            let version = chain.state.versioning().map(|_| head.version());
            return Ok(StepOutcome::Put(PutOutcome { etag: head.etag(), version, lsn: Lsn(head.lsn) }));
        }
        let row = unheld(head.row);
        let body = Bringing::Found(found.body, found.at);
        let outcome = place(staged, (&to, &self.new_key), row, body, &self.conditions)?;
        Chain::new(staged, &from).delete(&self.key)?;
        // Only now: what is under the old key counts no more.
        Chain::new(staged, &to).check_quota()?;
        Ok(outcome)
    }
}

/// Renames an object: one commit, no byte is copied, whatever the size.
pub fn rename(
    engine: &Arc<Engine>,
    from: (&BucketRef, &str),
    to: (&BucketRef, &str),
    options: CopyOptions,
) -> Result<PutOutcome> {
    let durability = options.durability;
    commit(engine, rename_step(engine, from, to, options)?, durability)
}

/// Checks a rename.
pub fn rename_step(
    engine: &Engine,
    (from, key): (&BucketRef, &str),
    (to, new_key): (&BucketRef, &str),
    options: CopyOptions,
) -> Result<RenameStep> {
    from.admit(&catalog::Moment::now(&engine.view()), key)?;
    ObjectKey::new(new_key)?;
    Ok(RenameStep {
        from: from.clone(),
        key: key.to_string(),
        to: to.clone(),
        new_key: new_key.to_string(),
        conditions: options.conditions,
    })
}
