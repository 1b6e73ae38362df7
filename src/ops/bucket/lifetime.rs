//! Creating, finding and listing buckets.

use std::sync::Arc;

use crate::catalog::keyspace::keys;
use crate::catalog::{self, Rows};
use crate::engine::state::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::format::row::BucketRow;
use crate::index::Weight;
use crate::model::{Acl, BucketName, Durability, Quota, StorageClass, Versioning};
use crate::write::commit;
use crate::write::context::{BucketRef, Reading};
use crate::write::outcome::StepOutcome;
use crate::write::staged::overlay::Staged;
use crate::write::step::Step;

/// How many buckets an iteration fetches at once.
pub const BATCH: usize = 256;

/// What making a bucket is asked to do.
///
/// ```
/// use ossicle::{CreateBucketOptions, Versioning};
/// let options = CreateBucketOptions::new().versioning(Versioning::Enabled);
/// # let _ = options;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct CreateBucketOptions {
    class: StorageClass,
    versioning: Option<Versioning>,
    acl: Acl,
    quota: Quota,
}

impl CreateBucketOptions {
    /// Standard, private, without versions or a quota.
    pub fn new() -> CreateBucketOptions {
        CreateBucketOptions::default()
    }

    /// The storage class of objects that are put without one.
    pub fn storage_class(mut self, class: StorageClass) -> CreateBucketOptions {
        self.class = class;
        self
    }

    /// Keeps versions from the beginning.
    pub fn versioning(mut self, versioning: Versioning) -> CreateBucketOptions {
        self.versioning = Some(versioning);
        self
    }

    /// Who may use it.
    pub fn acl(mut self, acl: Acl) -> CreateBucketOptions {
        self.acl = acl;
        self
    }

    /// How much it may hold.
    pub fn quota(mut self, quota: Quota) -> CreateBucketOptions {
        self.quota = quota;
        self
    }
}

/// The step that makes a bucket.
#[derive(Debug)]
pub struct CreateStep {
    name: BucketName,
    options: CreateBucketOptions,
    /// Whether a bucket that is there already is as good.
    if_missing: bool,
}

impl Step for CreateStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        let options = &self.options;
        if self.if_missing
            && let Some(state) = catalog::find_bucket(staged, &self.name)?
        {
            return Ok(StepOutcome::Number(state.row.id));
        }
        let row = BucketRow {
            class: options.class.number(),
            versioning: options.versioning.map_or(0, Versioning::number),
            acl: options.acl.number(),
            quota_bytes: options.quota.bytes,
            quota_objects: options.quota.objects,
            ..BucketRow::default()
        };
        Ok(StepOutcome::Number(make(staged, &self.name, row)?))
    }
}

/// Makes a bucket with a row whose id and time are set here.
pub fn make(staged: &mut Staged<'_>, name: &BucketName, mut row: BucketRow) -> Result<u64> {
    if staged.has(&keys::bucket(name))? {
        return Err(Error::new(
            ErrorKind::AlreadyExists,
            "BucketAlreadyExists",
            format!("the bucket {name} exists already; open it with `store.bucket`"),
        ));
    }
    row.id = staged.space();
    row.created = staged.now.millis;
    staged.put_bucket(name, &row);
    staged.put(keys::bucket_by_id(row.id), Weight::default(), name.as_bytes().to_vec());
    Ok(row.id)
}

/// Checks the making of a bucket.
pub fn create_step(name: &str, options: CreateBucketOptions) -> Result<(BucketName, CreateStep)> {
    let name = BucketName::new(name)?;
    Ok((name.clone(), CreateStep { name, options, if_missing: false }))
}

/// Checks the making of a bucket that may be there already.
pub fn create_missing_step(name: &str, options: CreateBucketOptions) -> Result<(BucketName, CreateStep)> {
    let (name, step) = create_step(name, options)?;
    Ok((name, CreateStep { if_missing: true, ..step }))
}

/// Makes a bucket.
pub fn create(engine: &Arc<Engine>, name: &str, options: CreateBucketOptions) -> Result<BucketRef> {
    let (name, step) = create_step(name, options)?;
    match commit::commit_one(engine, step, Durability::Synced)? {
        StepOutcome::Number(id) => Ok(BucketRef::new(name, id)),
        _ => unreachable!("making a bucket comes to a bucket"),
    }
}

/// Makes a bucket unless it is there already, and finds it in either case.
pub fn create_if_missing(
    engine: &Arc<Engine>,
    name: &str,
    options: CreateBucketOptions,
) -> Result<BucketRef> {
    let (name, step) = create_missing_step(name, options)?;
    // Mostly it is there. So a reader may ask too, and nobody waits for a turn to write.
    if let Some(state) = Reading::newest(engine).with(|moment| catalog::find_bucket(moment, &name))? {
        return Ok(BucketRef::new(name, state.row.id));
    }
    match commit::commit_one(engine, step, Durability::Synced)? {
        StepOutcome::Number(id) => Ok(BucketRef::new(name, id)),
        _ => unreachable!("making a bucket comes to a bucket"),
    }
}

/// Finds a bucket.
pub fn find(reading: &Reading, name: &str) -> Result<BucketRef> {
    let name = BucketName::new(name)?;
    let state = reading.with(|moment| catalog::find_bucket(moment, &name))?;
    state
        .map(|state| BucketRef::new(name.clone(), state.row.id))
        .ok_or_else(|| catalog::no_such_bucket(&name))
}

/// The buckets behind `after`, a batch of them.
pub fn list(reading: &Reading, after: Option<&str>) -> Result<Vec<BucketRef>> {
    let states = reading.with(|moment| catalog::list_buckets(moment, after, BATCH))?;
    Ok(states.into_iter().map(|state| BucketRef::new(state.name.clone(), state.row.id)).collect())
}
