//! What may be evicted, and what would go next: the same look that evictions are made from.

use std::sync::Arc;

use super::budget;
use crate::catalog::keyspace::keys;
use crate::catalog::{self, HeadRow, Kind, Moment};
use crate::engine::Listed;
use crate::error::Result;
use crate::model::{Budget, Eviction, EvictionPreview, from_millis};
use crate::write::context::{BucketRef, Reading};
use crate::write::eviction::scan::{Look, look_for};
use crate::write::eviction::scope::Scope;

/// Of a bucket, by its own budget; without one, in the order that a budget has if none is given.
pub fn of_bucket(reading: &Reading, bucket: &BucketRef, limit: usize) -> Result<EvictionPreview> {
    reading.with(|moment| {
        let state = bucket.state(moment)?;
        let budget = state.budget.clone().unwrap_or_else(|| Arc::new(Budget::bytes(0)));
        preview(reading, moment, Scope { bucket: Some(state), budget }, limit)
    })
}

/// Of the store, by its budget.
pub fn of_store(reading: &Reading, limit: usize) -> Result<EvictionPreview> {
    let budget = Arc::new(budget::get_store(reading)?.unwrap_or_else(|| Budget::bytes(0)));
    reading.with(|moment| preview(reading, moment, Scope { bucket: None, budget }, limit))
}

fn preview(reading: &Reading, moment: &Moment<'_>, scope: Scope, limit: usize) -> Result<EvictionPreview> {
    let Look { list, evictable } = look_for(moment, &scope, reading.engine.millis(), limit)?;
    let mut next = Vec::new();
    for listed in list.iter().take(limit) {
        let name = list.label(listed.group).unwrap_or_default();
        next.extend(line(moment, name, listed)?);
    }
    Ok(EvictionPreview { evictable, next })
}

fn line(moment: &Moment<'_>, bucket: &str, listed: &Listed) -> Result<Option<Eviction>> {
    let Some(state) = catalog::find_bucket(moment, bucket)? else { return Ok(None) };
    let (bucket_view, key) = (state.bucket_view(moment), &listed.key[..]);
    let found = match listed.part {
        None => bucket_view.get(Kind::Head, key.as_bytes(), b"")?,
        Some((lsn, n)) => bucket_view.get(Kind::Version, key.as_bytes(), &keys::version_tail(lsn, n))?,
    };
    let Some(found) = found else { return Ok(None) };
    let head = HeadRow::of(key, &found)?;
    Ok(Some(Eviction {
        bucket: bucket.to_string(),
        key: key.to_string(),
        version: state.versioning().map(|_| head.version()),
        current: listed.part.is_none(),
        bytes: head.row.size,
        priority: catalog::keeping_of(&head.row.rare().keep).priority,
        modified: from_millis(head.row.modified),
    }))
}
