//! Billing: what OSS would charge for under a prefix, counted version by version.
//!
//! The sums that the index keeps tell objects and bytes of each class at once, but not how many of them are below the
//! floor of a class or younger than its minimum: that is looked at one by one.

use super::options::ListOptions;
use super::versions::VersionWalk;
use crate::error::Result;
use crate::model::{Billing, ClassBilling, ObjectMeta, StorageClass, from_millis, to_millis};
use crate::write::context::{BucketRef, Reading};

const DAY: u64 = 24 * 60 * 60 * 1000;

/// Counts the versions of the keys that start with `prefix`; its cost grows with their number.
pub fn of_prefix(reading: &Reading, bucket: &BucketRef, prefix: &str) -> Result<Billing> {
    let now = reading.engine.millis();
    let mut walk = VersionWalk::begin(reading.clone(), bucket, ListOptions::new().prefix(prefix))?;
    let mut classes = StorageClass::ALL.map(|class| ClassBilling { class, ..ClassBilling::default() });
    loop {
        let batch = walk.next_batch()?;
        if batch.is_empty() {
            break;
        }
        for meta in batch.iter().filter_map(|entry| entry.meta.as_deref()) {
            count(&mut classes[usize::from(meta.class.number())], meta, now);
        }
    }
    Ok(Billing { classes: classes.into_iter().filter(|class| class.objects > 0).collect() })
}

fn count(class: &mut ClassBilling, meta: &ObjectMeta, now: u64) {
    let billable = meta.billable_bytes();
    class.objects += 1;
    class.bytes += meta.size;
    class.billable_bytes += billable;
    if let Some(until) = meta.minimum_until().filter(|until| *until > from_millis(now)) {
        class.early_objects += 1;
        let days = to_millis(until).saturating_sub(now).div_ceil(DAY);
        class.early_byte_days += u128::from(billable) * u128::from(days);
    }
}
