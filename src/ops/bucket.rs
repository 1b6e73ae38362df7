//! Buckets: making, finding, listing and removing them.

use std::sync::Arc;

use super::batch::{self, Step, StepOutcome};
use super::chain;
use super::context::{BucketRef, Reading};
use super::staged::Staged;
use crate::catalog::{self, BucketState, HeadRow, Kind, Layer, Rows, keys, layer_ranges};
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::format::row::{BucketRow, TidyRow};
use crate::index::Weight;
use crate::model::{Acl, BucketName, Durability, Quota, StorageClass, Versioning, from_millis};

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

/// The step that removes a bucket.
#[derive(Debug)]
pub struct DeleteStep(BucketName);

impl Step for DeleteStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        let state = staged.bucket_named(&self.0)?;
        if state.row.parent.is_some() {
            check_holds(staged, &state)?;
        } else {
            check_empty(staged, &state)?;
        }
        remove(staged, &state)?;
        Ok(StepOutcome::None)
    }

    fn frees(&self) -> bool {
        true
    }
}

/// Refuses a bucket with an object, a version, a delete marker or an upload in it (OSS: `BucketNotEmpty`).
fn check_empty(staged: &Staged<'_>, state: &BucketState) -> Result<()> {
    let lens = state.lens(staged);
    let (from, end) = (keys::uploads_from(state.row.id, b""), keys::uploads_end(state.row.id));
    if lens.next(Kind::Head, b"", None)?.is_none() && staged.next(&from, &end)?.is_none() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::AlreadyExists,
        "BucketNotEmpty",
        format!(
            "the bucket {} is not empty; delete its objects first, with all versions, and abort its uploads",
            state.name
        ),
    ))
}

/// Refuses to drop a fork in which a version is protected, unless the bucket that it was made from shows that version
/// still and goes on protecting it, or never stopped showing that very row.
fn check_holds(staged: &Staged<'_>, state: &BucketState) -> Result<()> {
    if !state.row.guarded && state.row.worm.is_none() {
        return Ok(());
    }
    let now = from_millis(staged.now.millis);
    let parent = super::fork::parent_of(staged, state)?;
    let kinds: &[Kind] = if state.row.worm.is_some() { &[Kind::Head, Kind::Version] } else { &[Kind::Hold] };
    for span in state.route.spans() {
        // In the lower layers lies what was written before the fork was forked itself, too.
        for (depth, layer) in span.layers.iter().enumerate() {
            for kind in kinds {
                let [(from, end), _] = layer_ranges(layer, *kind);
                staged.walk(&from, &end, &mut |at| {
                    let Some(place) = keys::parse_place(at) else { return Ok(true) };
                    let key = [span.prefix.as_bytes(), &place.key[layer.prefix.len()..]].concat();
                    if state.route.span(&key) == span {
                        let key = String::from_utf8_lossy(&key);
                        check_held(staged, (state, parent.as_deref()), &key, &place.tail, depth == 0, now)?;
                    }
                    Ok(true)
                })?;
            }
        }
    }
    Ok(())
}

/// Refuses if the current version of a key, or the one with this tail, is protected and would be lost with the fork.
fn check_held(
    staged: &Staged<'_>,
    (state, parent): (&BucketState, Option<&BucketState>),
    key: &str,
    tail: &[u8],
    is_own: bool,
    now: std::time::SystemTime,
) -> Result<()> {
    let lens = state.lens(staged);
    let mut rows = Vec::new();
    rows.extend(lens.get(Kind::Head, key.as_bytes(), b"")?);
    rows.extend(lens.get(Kind::Version, key.as_bytes(), tail)?);
    for found in rows {
        let head = HeadRow::of(key, &found)?;
        let Some(why) = chain::protection(state, &head, now) else { continue };
        let stays = match parent.filter(|_| !is_own) {
            None => false,
            Some(parent) => match catalog::find_version(parent.lens(staged), key, &head.version())? {
                Some((there, row, _)) => {
                    row.at == found.at
                        || there.sequence() == head.sequence()
                            && chain::protection(parent, &there, now).is_some()
                }
                None => false,
            },
        };
        if !stays {
            return Err(chain::immutable(key, &why));
        }
    }
    Ok(())
}

/// Removes a bucket's row, and leaves what it held to be removed in bounded steps.
pub fn remove(staged: &mut Staged<'_>, state: &BucketState) -> Result<()> {
    let plain = state.row.parent.is_none() && state.route.own_space().is_some();
    for space in state.route.own_spaces() {
        // In the space of a bucket that looks empty only a salvage can have left rows: some that hid what is lost, or
        // versions of which the current one is.
        if plain && super::fork::is_empty(staged, &Layer { space, prefix: String::new() })? {
            continue;
        }
        staged.leave(&TidyRow::Clean { space, prefix: String::new(), keep: Vec::new() });
    }
    let (from, end) = (keys::uploads_from(state.row.id, b""), keys::uploads_end(state.row.id));
    let mut uploads = Vec::new();
    staged.walk(&from, &end, &mut |key| {
        uploads.push(key.to_vec());
        Ok(true)
    })?;
    uploads.into_iter().for_each(|key| staged.remove(key));
    for space in state.route.borrowed() {
        super::fork::let_go(staged, space)?;
    }
    let config = keys::config(state.row.id, "");
    let mut configs = Vec::new();
    staged.walk(&config, &keys::config(state.row.id + 1, ""), &mut |key| {
        configs.push(key.to_vec());
        Ok(true)
    })?;
    configs.into_iter().for_each(|key| staged.remove(key));
    staged.remove(keys::lifecycle_report(state.row.id));
    staged.remove(keys::rekeying(state.row.id));
    // The log may go on telling of what was in it. Buckets of early stores did not have this row.
    let named = keys::bucket_by_id(state.row.id);
    if !staged.has(&named)? {
        staged.put(named, Weight::default(), state.name.as_bytes().to_vec());
    }
    staged.remove_bucket(&state.name);
    Ok(())
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
    match batch::commit_one(engine, step, Durability::Synced)? {
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
    match batch::commit_one(engine, step, Durability::Synced)? {
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

/// Checks the removal of a bucket.
pub fn delete_step(name: &str) -> Result<DeleteStep> {
    Ok(DeleteStep(BucketName::new(name)?))
}

/// Removes a bucket: an empty one, or a fork with all that was written to it.
pub fn delete(engine: &Arc<Engine>, name: &str) -> Result<()> {
    batch::commit_one(engine, delete_step(name)?, Durability::Synced).map(|_| ())
}
