//! Undelete: takes the delete markers off a key, or off all keys under a prefix, so that what they hide is current again.

use std::sync::Arc;

use crate::catalog::{self, BucketState, HeadRow, Kind, Moment};
use crate::engine::state::engine::Engine;
use crate::error::{Error, Result};
use crate::model::Lsn;
use crate::ops::listing::versions::same;
use crate::ops::listing::walk::end_of;
use crate::ops::object::put::commit;
use crate::ops::prefix::checks;
use crate::ops::prefix::rename_prefix::PrefixOutcome;
use crate::write::batch::Batch;
use crate::write::commit;
use crate::write::context::{BucketRef, Reading};
use crate::write::outcome::{PutOutcome, StepOutcome};
use crate::write::staged::overlay::Staged;
use crate::write::step::Step;
use crate::write::version_chain::Chain;

/// The most delete markers that one commit removes.
const MOST_MARKERS: usize = 50_000;

/// The step of an undelete.
#[derive(Debug)]
pub struct UndeleteStep {
    bucket: BucketRef,
    key: String,
}

impl Step for UndeleteStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        let (key, state) = (&self.key, staged.bucket(&self.bucket)?);
        let (head, _) = Chain::new(staged, &state).head(key)?.ok_or_else(|| catalog::no_such_key(key))?;
        if !head.row.is_marker() {
            return Ok(same(&state, &head));
        }
        let Hidden { markers, head } = hidden(staged, &state, key, MOST_MARKERS)?.ok_or_else(|| {
            too_many(format!(
                "more than {MOST_MARKERS} delete markers are on the object {key:?}; delete some by their versions first"
            ))
        })?;
        let head = head.ok_or_else(|| catalog::no_such_key(key))?;
        lift(staged, &state, key, markers)?;
        let lsn = Lsn(staged.now.lsn);
        Ok(StepOutcome::Put(PutOutcome { etag: head.etag(), version: Some(head.version()), lsn }))
    }

    fn frees(&self) -> bool {
        true
    }
}

/// The step that takes the delete markers off many keys.
#[derive(Debug)]
struct UndeletePrefixStep {
    bucket: BucketRef,
    prefix: String,
    /// Those that had one on top when they were looked for.
    keys: Vec<String>,
}

impl Step for UndeletePrefixStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        let state = staged.bucket(&self.bucket)?;
        let (mut left, mut objects) = (MOST_MARKERS, 0);
        for key in &self.keys {
            // Looked at again: somebody else may have been at it.
            let head = Chain::new(staged, &state).head(key)?;
            if head.is_none_or(|(head, _)| !head.row.is_marker()) {
                continue;
            }
            let found = hidden(staged, &state, key, left)?.ok_or_else(|| too_many_under(&self.prefix))?;
            if found.head.is_none() {
                continue;
            }
            left -= 1 + found.markers.len();
            objects += 1;
            lift(staged, &state, key, found.markers)?;
        }
        Ok(StepOutcome::Number(objects))
    }
}

/// What lies below the delete marker on top of a key.
struct Hidden {
    /// The other markers above the newest version: where among the versions, and whether it is the null version.
    markers: Vec<(Vec<u8>, bool)>,
    /// The newest version; `None` if there are markers only.
    head: Option<HeadRow>,
}

/// Looks below the delete marker on top of a key, `None` if there are more than `most` above the newest version.
fn hidden(staged: &Staged<'_>, state: &BucketState, key: &str, most: usize) -> Result<Option<Hidden>> {
    let bucket_view = state.bucket_view(staged);
    let (mut markers, mut after) = (Vec::new(), Vec::new());
    while let Some((tail, found)) = bucket_view.next_version(Kind::Version, key.as_bytes(), &after)? {
        let head = HeadRow::of(key, &found)?;
        if !head.row.is_marker() {
            return Ok((markers.len() < most).then_some(Hidden { markers, head: Some(head) }));
        }
        if markers.len() >= most {
            return Ok(None);
        }
        markers.push((tail.clone(), !head.row.named));
        after = tail;
    }
    Ok(Some(Hidden { markers, head: None }))
}

/// Takes the delete marker on top of a key off, and these below it.
fn lift(
    staged: &mut Staged<'_>,
    state: &BucketState,
    key: &str,
    markers: Vec<(Vec<u8>, bool)>,
) -> Result<()> {
    let mut chain = Chain::new(staged, state);
    for (tail, is_null) in markers {
        chain.delete_row(Kind::Version, key, &tail)?;
        if is_null {
            chain.delete_row(Kind::Null, key, b"")?;
        }
    }
    chain.promote(key)?;
    Ok(())
}

fn too_many(why: String) -> Error {
    Error::invalid("TooManyObjects", why)
}

fn too_many_under(prefix: &str) -> Error {
    too_many(format!(
        "more than {MOST_MARKERS} delete markers lie under {prefix:?}, and one commit removes no more; take longer prefixes"
    ))
}

/// Checks an undelete.
pub fn undelete_step(engine: &Engine, bucket: &BucketRef, key: &str) -> Result<UndeleteStep> {
    bucket.admit(&Moment::now(&engine.view()), key)?;
    Ok(UndeleteStep { bucket: bucket.clone(), key: key.to_string() })
}

/// Removes the delete markers on top of a key, so that its newest version is current again.
pub fn undelete(engine: &Arc<Engine>, bucket: &BucketRef, key: &str) -> Result<PutOutcome> {
    commit(engine, undelete_step(engine, bucket, key)?, engine.settings().durability)
}

/// Does so with every key under a prefix. Which keys that concerns is looked for before the turn to write, so that nobody
/// waits while the others are passed by.
pub fn undelete_prefix(engine: &Arc<Engine>, bucket: &BucketRef, prefix: &str) -> Result<PrefixOutcome> {
    checks::check_prefix(prefix)?;
    engine.check_writable()?;
    let keys = Reading::newest(engine).held().with(|moment| {
        let state = bucket.state(moment)?;
        if state.versioning().is_none() {
            return Ok(Vec::new());
        }
        let bucket_view = state.bucket_view(moment);
        let (mut from, end) = (prefix.as_bytes().to_vec(), end_of(prefix));
        let mut keys = Vec::new();
        while let Some((mut key, found)) = bucket_view.next(Kind::Head, &from, Some(&end))? {
            let name = String::from_utf8_lossy(&key).into_owned();
            if HeadRow::of(&name, &found)?.row.is_marker()
                && bucket_view.next_version(Kind::Version, &key, b"")?.is_some()
            {
                if keys.len() == MOST_MARKERS {
                    return Err(too_many_under(prefix));
                }
                keys.push(name);
            }
            key.push(0);
            from = key;
        }
        Ok(keys)
    })?;
    let step = UndeletePrefixStep { bucket: bucket.clone(), prefix: prefix.to_string(), keys };
    let (outcomes, lsn) = commit::commit(engine, Batch::of(step), engine.settings().durability)?;
    let objects = match outcomes.first() {
        Some(StepOutcome::Number(objects)) => *objects,
        _ => 0,
    };
    Ok(PrefixOutcome { objects, lsn })
}
