//! Usage: how many objects and bytes lie under a prefix, in a bucket, or in the store.

use super::context::{BucketRef, Reading};
use crate::catalog::keys;
use crate::error::Result;
use crate::index::Totals;
use crate::model::{StorageClass, Usage, check_list_argument};

/// The usage of the keys of a bucket that start with `prefix`. Exact; its cost grows with the logarithm of
/// the number of objects, not with the number itself.
pub fn of_prefix(reading: &Reading, bucket: &BucketRef, prefix: &str) -> Result<Usage> {
    check_list_argument("prefix", prefix)?;
    reading.with(|view| {
        bucket.check(view)?;
        let start = keys::object(bucket.id, prefix);
        let end = keys::objects_end(bucket.id, prefix);
        Ok(of_totals(&view.index.totals(&start, Some(&end))?))
    })
}

/// The usage of all buckets together.
pub fn of_store(reading: &Reading) -> Result<Usage> {
    reading.with(|view| {
        let (start, end) = keys::all_objects();
        Ok(of_totals(&view.index.totals(&start, Some(&end))?))
    })
}

fn of_totals(totals: &Totals) -> Usage {
    let mut usage = Usage::default();
    for class in StorageClass::ALL {
        let objects = u64::try_from(totals.objects(class.number())).unwrap_or(0);
        let bytes = u64::try_from(totals.bytes(class.number())).unwrap_or(0);
        if objects > 0 {
            usage.objects += objects;
            usage.bytes += bytes;
            usage.classes.push((class, objects, bytes));
        }
    }
    usage
}
