//! Appends inside a transaction, which sees the appends before it.

use std::sync::Arc;

use super::detach::{DetachStep, copied, shared_of};
use super::options::{AppendOptions, check};
use super::pieces::check_position;
use super::step::{AppendStep, look, merge, take_in};
use crate::catalog::Kind;
use crate::engine::state::engine::Engine;
use crate::engine::{self, NewBody, View};
use crate::error::Result;
use crate::model::Keeping;
use crate::ops::object::body_in::Body;
use crate::ops::object::envelope;
use crate::ops::object::new_version::Attributes;
use crate::write::context::BucketRef;
use crate::write::staged::overlay::Staged;
use crate::write::storage_class::check_readable;

/// The step of an append, for a transaction that has the turn to write. `view` has the segments that were made since, too.
///
/// Nothing that is copied can die before the commit, unless the transaction itself takes it away, so nobody who shreds has
/// to wait for this.
pub fn step_within(
    engine: &Arc<Engine>,
    (staged, view): (&mut Staged<'_>, &View),
    (bucket, key): (&BucketRef, &str),
    (position, body): (u64, Body<'_>),
    (options, packed_max): (AppendOptions, usize),
) -> Result<Arc<AppendStep>> {
    let attributes = options.attributes;
    let mut row = check(engine, key, position, &body, &attributes)?;
    let state = staged.bucket(bucket)?;
    let known = look(staged, &state, key)?;
    check_position(key, position, known.length)?;
    if let Some(head) = &known.head {
        check_readable(key, head, || engine.millis())?;
    }
    if known.length == 0 {
        envelope::choose_for_growing(engine, &bucket.name, state.encryption.as_ref(), &mut row)?;
    }
    let place = state.bucket_view(staged).write_key(Kind::Head, key.as_bytes(), b"");
    let blob = known.blob.filter(|_| !known.diverged);
    let owner = blob.map_or_else(|| place.clone(), |blob| engine::piece_key(blob, position));
    let (prepared, crc64) = take_in(engine, (&owner, packed_max), body, position)?;
    let (mut merged, mut first) = (None, None);
    let (bucket, key) = (bucket.clone(), key.to_string());
    if prepared.size > 0 {
        let packed_max = packed_max.saturating_sub(prepared.memory());
        if let Some(blob) = blob {
            merged = merge(engine, (&*staged, view), (blob, position), &prepared, packed_max)?;
        } else if let Some(from) = shared_of(staged, &state, &key)? {
            let read = staged.body(view, &NewBody::Shared(from.clone()))?;
            let prepared = copied(engine, &read, (&place, packed_max), || Ok(true))?;
            first = prepared.map(|prepared| {
                let (bucket, key) = (bucket.clone(), key.clone());
                DetachStep { bucket, key, from, owner: place, prepared }
            });
        }
    }
    let is_dressed = attributes != Attributes::default();
    let is_kept_otherwise = attributes.keeping != Keeping::default();
    Ok(Arc::new(AppendStep {
        bucket,
        key,
        position,
        row,
        is_dressed,
        is_kept_otherwise,
        prepared,
        crc64,
        owner,
        merge: merged,
        first,
    }))
}

/// Where the next append to an object goes, as the steps so far leave it.
pub fn position(staged: &mut Staged<'_>, bucket: &BucketRef, key: &str) -> Result<u64> {
    let state = staged.bucket(bucket)?;
    Ok(look(staged, &state, key)?.length)
}
