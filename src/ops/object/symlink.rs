//! Symlinks: keys that stand for other keys of their bucket (OSS: `?symlink`).

use std::sync::Arc;

use super::attributes::{self, AttributeOptions};
use super::new_version::BUCKETS_CLASS;
use super::put::{self, PutOptions};
use crate::catalog;
use crate::engine::NewBody;
use crate::engine::state::engine::Engine;
use crate::error::{Error, Result};
use crate::format::row::ObjectRow;
use crate::model::{ETag, Lsn, ObjectKey, ObjectKind};
use crate::write::conditions::Conditions;
use crate::write::context::{BucketRef, Reading};
use crate::write::outcome::{PutOutcome, StepOutcome};
use crate::write::staged::overlay::Staged;
use crate::write::step::Step;
use crate::write::storage_class::{check_class, check_row_class};
use crate::write::version_chain::{BodySource, Chain};

/// The step that makes a symlink.
#[derive(Debug)]
pub struct SymlinkStep {
    bucket: BucketRef,
    key: String,
    /// The row, without its time.
    row: ObjectRow,
    conditions: Conditions,
}

impl Step for SymlinkStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        let state = staged.bucket(&self.bucket)?;
        let mut row = ObjectRow { modified: staged.now.millis, ..self.row.clone() };
        let mut chain = Chain::new(staged, &state);
        if !self.conditions.is_empty() {
            let current = chain.head(&self.key)?;
            self.conditions.check(&self.key, current.as_ref().map(|(head, _)| head))?;
        }
        if row.class == BUCKETS_CLASS {
            row.class = state.row.class;
            check_row_class(&row)?;
        }
        let etag = catalog::etag_of(&row);
        let version = chain.push(&self.key, row, BodySource::New(NewBody::None))?;
        chain.check_quota()?;
        Ok(StepOutcome::Put(PutOutcome { etag, version, lsn: Lsn(chain.staged.now.lsn) }))
    }
}

/// Checks a request. The target need not exist, and may be the link itself (OSS); it must be a key.
pub fn step(bucket: &BucketRef, key: &str, target: &str, options: PutOptions) -> Result<SymlinkStep> {
    ObjectKey::new(key)?;
    ObjectKey::new(target)?;
    let kind = ObjectKind::Symlink;
    if let Some(class) = options.attributes.class {
        check_class(Some(kind), class)?;
    }
    let mut row = options.attributes.to_row()?;
    row.kind = kind.number();
    let rare = row.rare_mut();
    rare.target = Some(target.to_string());
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"symlink\0");
    hasher.update(target.as_bytes());
    rare.etag = Some(ETag::from_hash(hasher.finalize().as_bytes()).to_string());
    let (bucket, key) = (bucket.clone(), key.to_string());
    Ok(SymlinkStep { bucket, key, row, conditions: options.conditions })
}

/// Makes a symlink.
pub fn symlink(
    engine: &Arc<Engine>,
    bucket: &BucketRef,
    key: &str,
    target: &str,
    options: PutOptions,
) -> Result<PutOutcome> {
    let durability = engine.settings().durability_for(options.durability);
    put::commit(engine, step(bucket, key, target, options)?, durability)
}

/// Where a symlink leads to.
pub fn read_link(
    reading: &Reading,
    bucket: &BucketRef,
    key: &str,
    options: &AttributeOptions,
) -> Result<String> {
    let meta = attributes::get(reading, bucket, key, options)?;
    match meta.target() {
        Some(target) if meta.kind == ObjectKind::Symlink => Ok(target.to_string()),
        _ => Err(Error::invalid(
            "NotSymlink",
            format!("the object {key:?} is no symlink but one of kind {}", meta.kind),
        )),
    }
}
