//! Attributes: what an object carries besides its body, changed where it stands.
//!
//! No version is made: a change acts on the current version, or on the one that is named, and of a symlink on the link
//! itself. Tags, retention and what is said of eviction leave the time of the object as it is; everything else sets it, as
//! OSS does (there such a change is an ACL request, or a copy of the object onto itself).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::catalog::{self, Found, HeadRow, Moment};
use crate::engine::state::engine::Engine;
use crate::env::Planted;
use crate::error::{Error, Result};
use crate::format::row::ObjectRow;
use crate::model::{
    Acl, ContentHeaders, DEFAULT_PRIORITY, Durability, ETag, ObjectMeta, Retention, StorageClass, VersionId,
    check_client_encryption_kept, check_content_type, check_metadata, check_tags, from_millis,
};
use crate::write::conditions::Conditions;
use crate::write::context::{BucketRef, Reading};
use crate::write::outcome::StepOutcome;
use crate::write::staged::overlay::Staged;
use crate::write::step::Step;
use crate::write::version_chain::Chain;
use crate::write::{commit, retention, storage_class};

/// Which version an attribute belongs to, and on what condition it is changed.
///
/// ```
/// use ossicle::{AttributeOptions, Durability};
/// let options = AttributeOptions::new().version(ossicle::VersionId::null()).durability(Durability::Buffered);
/// # let _ = options;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct AttributeOptions {
    version: Option<VersionId>,
    if_match: Option<ETag>,
    bypass_governance: bool,
    durability: Option<Durability>,
}

impl AttributeOptions {
    /// The current version, without a condition, durable when it returns.
    pub fn new() -> AttributeOptions {
        AttributeOptions::default()
    }

    /// This version instead of the current one.
    pub fn version(mut self, version: impl Into<VersionId>) -> AttributeOptions {
        self.version = Some(version.into());
        self
    }

    /// Only if the version has this entity tag; otherwise `PreconditionFailed`.
    pub fn if_match(mut self, etag: impl Into<ETag>) -> AttributeOptions {
        self.if_match = Some(etag.into());
        self
    }

    /// Whether a retention in governance mode may be shortened or taken off before its time (OSS:
    /// `x-oss-bypass-governance-retention`). One in compliance mode never may.
    pub fn bypass_governance(mut self, bypass: bool) -> AttributeOptions {
        self.bypass_governance = bypass;
        self
    }

    /// Sets when the change is done; without it, [`Settings::durability`](crate::Settings::durability) counts. Of no effect on reading.
    pub fn durability(mut self, durability: Durability) -> AttributeOptions {
        self.durability = Some(durability);
        self
    }

    fn check(&self, key: &str, etag: &ETag) -> Result<()> {
        match &self.if_match {
            Some(wanted) => {
                Conditions { if_match: Some(wanted.clone()), ..Conditions::default() }.check_etag(key, etag)
            }
            None => Ok(()),
        }
    }
}

/// An attribute as it shall be.
#[derive(Clone, Debug)]
pub enum Attribute {
    /// All tags.
    Tags(Vec<(String, String)>),
    /// The access control value; `None` if the bucket's counts.
    Acl(Option<Acl>),
    /// All user metadata.
    Metadata(BTreeMap<String, String>),
    /// The media type.
    ContentType(String),
    /// The content headers.
    Headers(ContentHeaders),
    /// The storage class.
    Class(StorageClass),
    /// Until when it is protected.
    Retention(Option<Retention>),
    /// Whether it is protected until further notice.
    LegalHold(bool),
    /// Whether it is never evicted.
    Pinned(bool),
    /// Whether it is anywhere else as well.
    Replicated(bool),
    /// Its priority among what may be evicted.
    Priority(u8),
}

impl Attribute {
    /// Tags from pairs.
    pub fn tags<K: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Attribute> {
        check_tags(pairs).map(Attribute::Tags)
    }

    /// User metadata from pairs.
    pub fn metadata<K: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Attribute> {
        let mut given = BTreeMap::new();
        for (name, value) in pairs {
            let name = name.into();
            if given.insert(name.clone(), value.into()).is_some() {
                return Err(Error::invalid("InvalidArgument", format!("metadata {name:?} is given twice")));
            }
        }
        check_metadata(&given).map(Attribute::Metadata)
    }

    fn check(&self) -> Result<()> {
        match self {
            Attribute::ContentType(text) => check_content_type(text),
            Attribute::Headers(headers) => headers.check(),
            _ => Ok(()),
        }
    }

    /// Whether a protected version may change in it. OSS forbids overwriting, and that is what changing metadata,
    /// headers or class by hand is there; tags and ACL are requests of their own, which retention does not mention.
    fn is_free(&self) -> bool {
        match self {
            Attribute::Tags(_) | Attribute::Acl(_) => true,
            Attribute::Retention(_) | Attribute::LegalHold(_) => true,
            Attribute::Pinned(_) | Attribute::Replicated(_) | Attribute::Priority(_) => true,
            Attribute::Metadata(_) | Attribute::ContentType(_) => false,
            Attribute::Headers(_) | Attribute::Class(_) => false,
        }
    }

    /// Whether changing it counts as writing the object.
    fn is_writing(&self) -> bool {
        !matches!(
            self,
            Attribute::Tags(_)
                | Attribute::Retention(_)
                | Attribute::LegalHold(_)
                | Attribute::Pinned(_)
                | Attribute::Replicated(_)
                | Attribute::Priority(_)
        )
    }

    fn write(&self, row: &mut ObjectRow) -> Result<()> {
        match self {
            Attribute::Tags(tags) => row.rare_mut().tags = tags.clone(),
            Attribute::Acl(acl) => row.rare_mut().acl = acl.map_or(0, Acl::number),
            Attribute::Metadata(metadata) => {
                check_client_encryption_kept(&row.metadata, metadata)?;
                row.metadata = metadata.clone();
            }
            Attribute::ContentType(text) => row.content_type = Some(text.clone()),
            Attribute::Headers(headers) => row.rare_mut().headers = headers.to_array(),
            Attribute::Class(class) => storage_class::change(row, *class, None)?,
            Attribute::Retention(retention) => {
                row.rare_mut().retention = retention.map(|retention| retention::to_row(&retention));
            }
            Attribute::LegalHold(hold) => row.rare_mut().legal_hold = *hold,
            Attribute::Pinned(pinned) => row.rare_mut().keep.pinned = *pinned,
            Attribute::Replicated(replicated) => row.rare_mut().keep.unreplicated = !*replicated,
            Attribute::Priority(priority) => {
                row.rare_mut().keep.priority = Some(*priority).filter(|own| *own != DEFAULT_PRIORITY);
            }
        }
        row.trim();
        Ok(())
    }
}

/// Gives a version another storage class as a lifecycle does: its time stays, and protection does not forbid it (OSS).
pub fn change_class(
    chain: &mut Chain<'_, '_>,
    key: &str,
    head: &HeadRow,
    found: Found,
    class: StorageClass,
) -> Result<()> {
    let mut row = head.kept();
    // What is charged at least for the coldest classes counts from when a lifecycle moved the object there (OSS).
    let coldest = matches!(class, StorageClass::ColdArchive | StorageClass::DeepColdArchive);
    storage_class::change(&mut row, class, coldest.then_some(chain.staged.now.millis))?;
    chain.rewrite(key, &row, found)
}

#[derive(Debug)]
struct AttributeStep {
    bucket: BucketRef,
    key: String,
    attribute: Attribute,
    options: AttributeOptions,
}

impl AttributeStep {
    /// The version that is meant. A delete marker has no attributes (OSS: 404).
    fn find(&self, chain: &Chain<'_, '_>) -> Result<(HeadRow, Found)> {
        let found = chain.object(&self.key, self.options.version.as_ref());
        found.map_err(|error| markers_have_none(&self.key, error))
    }
}

impl Step for AttributeStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        let state = staged.bucket(&self.bucket)?;
        let millis = staged.now.millis;
        let mut chain = Chain::new(staged, &state);
        let (head, found) = self.find(&chain)?;
        self.options.check(&self.key, &head.etag())?;
        if !self.attribute.is_free() {
            chain.guard(&self.key, &head)?;
        }
        if let Attribute::Retention(next) = &self.attribute {
            let bypass = self.options.bypass_governance;
            retention::check_change(&self.key, &head.row, next.as_ref(), from_millis(millis), bypass)?;
        }
        if matches!(self.attribute, Attribute::Class(_)) {
            storage_class::check_readable(&self.key, &head, || millis)?;
        }
        let before = head.kept();
        let mut row = before.clone();
        self.attribute.write(&mut row)?;
        if chain.staged.now.mistake.is(Planted::RestoredStays) {
            row.rare_mut().cold.restore = before.rare().cold.restore;
        }
        if self.attribute.is_writing() {
            row.modified = millis;
        }
        if row == before {
            return Ok(StepOutcome::None);
        }
        let held = retention::is_held(&row);
        chain.rewrite(&self.key, &row, found)?;
        if held != retention::is_held(&before) {
            chain.mark_hold(&self.key, &head, held)?;
        }
        Ok(StepOutcome::None)
    }
}

/// Changes an attribute.
pub fn set(
    engine: &Arc<Engine>,
    bucket: &BucketRef,
    key: &str,
    attribute: Attribute,
    options: AttributeOptions,
) -> Result<()> {
    attribute.check()?;
    bucket.admit(&Moment::now(&engine.view()), key)?;
    let durability = engine.settings().durability_for(options.durability);
    let step = AttributeStep { bucket: bucket.clone(), key: key.to_string(), attribute, options };
    commit::commit_one(engine, step, durability).map(|_| ())
}

/// What is known of a version, symlinks not followed.
pub fn get(
    reading: &Reading,
    bucket: &BucketRef,
    key: &str,
    options: &AttributeOptions,
) -> Result<ObjectMeta> {
    let meta = super::get::head_itself(reading, bucket, key, options.version.as_ref());
    let meta = meta.map_err(|error| markers_have_none(key, error))?;
    options.check(key, &meta.etag)?;
    Ok(meta)
}

/// Reading a delete marker is not allowed; its attributes are just not there.
fn markers_have_none(key: &str, error: Error) -> Error {
    if error.code() == "MethodNotAllowed" { catalog::no_such_key(key) } else { error }
}
