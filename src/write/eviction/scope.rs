//! What a budget counts: a bucket or the store, and the bytes stored in it.

use std::sync::Arc;

use crate::catalog::keyspace::keys;
use crate::catalog::{BucketState, Kind, Layer, Moment, Rows, UPLOAD_SLOT, layer_ranges};
use crate::engine::View;
use crate::error::Result;
use crate::format::row::{self, PendingWork};
use crate::index::Totals;
use crate::model::Budget;

/// Stands for the store where else the id of a bucket stands.
pub const STORE: u64 = 0;

/// What a budget is for.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The bucket; nothing for the store.
    pub bucket: Option<Arc<BucketState>>,
    pub budget: Arc<Budget>,
}

impl Scope {
    /// What its list is kept under.
    pub(in crate::write) fn id(&self) -> u64 {
        self.bucket.as_ref().map_or(STORE, |state| state.row.id)
    }

    /// How many bytes are stored.
    pub(in crate::write) fn used(&self, rows: &impl Rows) -> Result<u64> {
        match &self.bucket {
            Some(state) => used_by(rows, state),
            None => used_by_all(rows),
        }
    }

    /// The same before the changes that are being decided.
    pub(super) fn used_before(&self, view: &View) -> Result<u64> {
        let moment = Moment::now(view);
        match &self.bucket {
            None => used_by_all(&moment),
            Some(state) => match crate::catalog::find_bucket(&moment, &state.name)? {
                Some(before) if before.row.id == state.row.id => used_by(&moment, &before),
                _ => Ok(0),
            },
        }
    }
}

fn bodies(totals: &Totals) -> i64 {
    (0..UPLOAD_SLOT).map(|slot| totals.bytes(slot)).sum()
}

/// The stored bytes of a bucket.
pub(super) fn used_by<R: Rows>(rows: &R, state: &BucketState) -> Result<u64> {
    let bucket_view = state.bucket_view(rows);
    let mut bytes = bodies(&bucket_view.totals(Kind::Head, b"", None)?);
    if state.versioning().is_some() {
        bytes += bodies(&bucket_view.totals(Kind::Version, b"", None)?);
    }
    let (from, end) = (keys::uploads_from(state.row.id, b""), keys::uploads_end(state.row.id));
    bytes += rows.totals(&from, &end)?.bytes(UPLOAD_SLOT);
    Ok(u64::try_from(bytes).unwrap_or(0))
}

/// The stored bytes of all buckets, of which a fork has only what it does not share, less what is only waiting to be
/// removed.
fn used_by_all<R: Rows>(rows: &R) -> Result<u64> {
    let (from, end) = keys::all_bodies();
    let mut bytes = bodies(&rows.totals(&from, &end)?);
    let (from, end) = keys::all_uploads();
    bytes += rows.totals(&from, &end)?.bytes(UPLOAD_SLOT);
    let mut left = Vec::new();
    let (from, end) = keys::all_tidy();
    rows.walk(&from, &end, &mut |key| {
        left.push(key.to_vec());
        Ok(true)
    })?;
    for key in left {
        let Some(found) = rows.get(&key)? else { continue };
        if let Ok(PendingWork::Clean { space, prefix, keep }) = row::decode(&found.payload) {
            bytes -= waiting(rows, &Layer { space, prefix }, &keep)?;
        }
    }
    Ok(u64::try_from(bytes).unwrap_or(0))
}

/// The bytes under a layer, but for those under longer prefixes that stay.
fn waiting<R: Rows>(rows: &R, layer: &Layer, keep: &[String]) -> Result<i64> {
    let mut keep: Vec<&str> = keep.iter().map(|prefix| &prefix[..]).collect();
    keep.sort_unstable();
    let mut bytes = 0;
    for kind in [Kind::Head, Kind::Version] {
        let [(from, end), _] = layer_ranges(layer, kind);
        bytes += bodies(&rows.totals(&from, &end)?);
        let mut last: Option<&str> = None;
        for &prefix in &keep {
            if last.is_some_and(|last| prefix.starts_with(last)) {
                continue;
            }
            last = Some(prefix);
            let kept = Layer { space: layer.space, prefix: prefix.to_string() };
            let [(from, end), _] = layer_ranges(&kept, kind);
            bytes -= bodies(&rows.totals(&from, &end)?);
        }
    }
    Ok(bytes)
}
