//! Usage: how many objects and bytes lie under a prefix, in a bucket, or in the store.

use super::context::{BucketRef, Reading};
use super::list::end_of;
use crate::catalog::{self, BucketState, Kind, Moment, Rows, UPLOAD_SLOT, keys};
use crate::error::Result;
use crate::index::Totals;
use crate::model::{StorageClass, Usage, check_list_argument};

/// The usage of the keys of a bucket that start with `prefix`. Exact; its cost grows with the logarithm of the number
/// of objects, not with the number itself (of a past moment it looks at every row).
pub fn of_prefix(reading: &Reading, bucket: &BucketRef, prefix: &str) -> Result<Usage> {
    check_list_argument("prefix", prefix)?;
    reading.with(|moment| {
        let state = bucket.state(moment)?;
        of_bucket(moment, &state, prefix)
    })
}

/// The usage of all buckets together, and what the files hold besides.
pub fn of_store(reading: &Reading) -> Result<Usage> {
    let mut sum = reading.with(|moment| {
        let mut sum = Usage::default();
        let mut after = None;
        loop {
            let buckets = catalog::list_buckets(moment, after.as_deref(), 256)?;
            for state in &buckets {
                add(&mut sum, &of_bucket(moment, state, "")?);
            }
            match buckets.last() {
                Some(last) if buckets.len() == 256 => after = Some(last.name.to_string()),
                _ => break,
            }
        }
        // What the past needs is counted once, whichever bucket it was in, or if that is gone.
        let (from, end) = keys::all_history();
        let past = moment.view.index.totals(&from, Some(&end))?;
        sum.pinned_bytes = StorageClass::ALL.iter().map(|class| amount(past.bytes(class.number()))).sum();
        Ok(sum)
    })?;
    if reading.pinned.is_none() {
        sum.garbage_bytes = reading.engine.garbage_bytes();
    }
    Ok(sum)
}

fn of_bucket(moment: &Moment<'_>, state: &BucketState, prefix: &str) -> Result<Usage> {
    let lens = state.lens(moment);
    let end = end_of(prefix);
    let mut usage = Usage::default();
    let heads = lens.totals(Kind::Head, prefix.as_bytes(), Some(&end))?;
    count_live(&mut usage, &heads);
    if state.versioning().is_some() {
        let versions = lens.totals(Kind::Version, prefix.as_bytes(), Some(&end))?;
        for class in StorageClass::ALL {
            usage.noncurrent_objects += amount(versions.objects(class.number()));
            usage.noncurrent_bytes += amount(versions.bytes(class.number()));
        }
        usage.markers += amount(heads.objects(catalog::MARKER_SLOT));
        usage.markers += amount(versions.objects(catalog::MARKER_SLOT));
    }
    let id = state.row.id;
    let (from, last) = (keys::uploads_from(id, prefix.as_bytes()), keys::uploads_from(id, &end));
    let uploads = moment.totals(&from, &last)?;
    usage.uploads = amount(uploads.objects(UPLOAD_SLOT));
    usage.upload_bytes = amount(uploads.bytes(UPLOAD_SLOT));
    for layer in state.route.span(prefix.as_bytes()).layers.iter().take(1) {
        let own = layer.key(state.route.span(prefix.as_bytes()).prefix.len(), prefix.as_bytes());
        for kind in [Kind::Head, Kind::Version] {
            let from = keys::history(&keys::bound(kind, false, layer.space, &own), false);
            let end =
                keys::history(&keys::bound(kind, false, layer.space, &[&own[..], &[0xFF]].concat()), false);
            if let (Some(from), Some(end)) = (from, end) {
                let past = moment.view.index.totals(&from, Some(&end))?;
                usage.pinned_bytes +=
                    StorageClass::ALL.iter().map(|class| amount(past.bytes(class.number()))).sum::<u64>();
            }
        }
    }
    Ok(usage)
}

fn amount(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn count_live(usage: &mut Usage, totals: &Totals) {
    for class in StorageClass::ALL {
        let objects = amount(totals.objects(class.number()));
        let bytes = amount(totals.bytes(class.number()));
        if objects > 0 {
            usage.objects += objects;
            usage.bytes += bytes;
            usage.classes.push((class, objects, bytes));
        }
    }
}

fn add(sum: &mut Usage, more: &Usage) {
    sum.objects += more.objects;
    sum.bytes += more.bytes;
    sum.noncurrent_objects += more.noncurrent_objects;
    sum.noncurrent_bytes += more.noncurrent_bytes;
    sum.markers += more.markers;
    sum.uploads += more.uploads;
    sum.upload_bytes += more.upload_bytes;
    for (class, objects, bytes) in &more.classes {
        match sum.classes.iter_mut().find(|(known, ..)| known == class) {
            Some((_, all, size)) => (*all, *size) = (*all + objects, *size + bytes),
            None => sum.classes.push((*class, *objects, *bytes)),
        }
    }
    sum.classes.sort_by_key(|(class, ..)| *class);
}
