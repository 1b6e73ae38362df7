//! Deleting a bucket that is empty.

use std::sync::Arc;

use crate::catalog::keyspace::keys;
use crate::catalog::{self, BucketState, HeadRow, Kind, Layer, Rows, layer_ranges};
use crate::engine::state::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::format::row::PendingWork;
use crate::index::Weight;
use crate::model::{BucketName, Durability, from_millis};
use crate::write::outcome::StepOutcome;
use crate::write::staged::overlay::Staged;
use crate::write::step::Step;
use crate::write::{commit, version_chain};

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
    let bucket_view = state.bucket_view(staged);
    let (from, end) = (keys::uploads_from(state.row.id, b""), keys::uploads_end(state.row.id));
    if bucket_view.next(Kind::Head, b"", None)?.is_none() && staged.next(&from, &end)?.is_none() {
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
    let parent = super::parent::parent_of(staged, state)?;
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
    let bucket_view = state.bucket_view(staged);
    let mut rows = Vec::new();
    rows.extend(bucket_view.get(Kind::Head, key.as_bytes(), b"")?);
    rows.extend(bucket_view.get(Kind::Version, key.as_bytes(), tail)?);
    for found in rows {
        let head = HeadRow::of(key, &found)?;
        let Some(why) = version_chain::protection(state, &head, now) else { continue };
        let stays = match parent.filter(|_| !is_own) {
            None => false,
            Some(parent) => match catalog::find_version(parent.bucket_view(staged), key, &head.version())? {
                Some((there, row, _)) => {
                    row.at == found.at
                        || there.sequence() == head.sequence()
                            && version_chain::protection(parent, &there, now).is_some()
                }
                None => false,
            },
        };
        if !stays {
            return Err(version_chain::immutable(key, &why));
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
        if plain && crate::write::spaces::is_empty(staged, &Layer { space, prefix: String::new() })? {
            continue;
        }
        staged.leave(&PendingWork::Clean { space, prefix: String::new(), keep: Vec::new() });
    }
    let (from, end) = (keys::uploads_from(state.row.id, b""), keys::uploads_end(state.row.id));
    let mut uploads = Vec::new();
    staged.walk(&from, &end, &mut |key| {
        uploads.push(key.to_vec());
        Ok(true)
    })?;
    uploads.into_iter().for_each(|key| staged.remove(key));
    for space in state.route.borrowed() {
        crate::write::spaces::let_go(staged, space)?;
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

/// Checks the removal of a bucket.
pub fn delete_step(name: &str) -> Result<DeleteStep> {
    Ok(DeleteStep(BucketName::new(name)?))
}

/// Removes a bucket: an empty one, or a fork with all that was written to it.
pub fn delete(engine: &Arc<Engine>, name: &str) -> Result<()> {
    commit::commit_one(engine, delete_step(name)?, Durability::Synced).map(|_| ())
}
