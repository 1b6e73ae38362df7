//! Usage: how many objects and bytes lie under a prefix, in a bucket, or in the store.

use super::billing;
use super::walk::end_of;
use crate::catalog::keyspace::keys;
use crate::catalog::{self, BucketState, Kind, Moment, Rows, UPLOAD_SLOT};
use crate::error::Result;
use crate::index::Totals;
use crate::model::{Billing, ClassBilling, StorageClass, Usage, check_list_argument};
use crate::write::context::{BucketRef, Reading};

/// What usage is to tell beyond what is known at once.
///
/// ```
/// # fn main() -> ossicle::Result<()> {
/// use ossicle::{PutOptions, StorageClass, UsageOptions};
/// # let store = ossicle::Store::in_memory()?;
/// let bucket = store.create_bucket("attic")?;
/// bucket.put("new", b"12345678")?;
/// assert_eq!(bucket.usage("")?.billable_bytes(), Some(8));
/// bucket.put_with("old", b"12345678", PutOptions::new().storage_class(StorageClass::InfrequentAccess))?;
/// assert_eq!(bucket.usage("")?.billable_bytes(), None);
/// let usage = bucket.usage_with("", UsageOptions::new().billing(true))?;
/// assert_eq!((usage.bytes, usage.billable_bytes()), (16, Some(8 + (64 << 10))));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct UsageOptions {
    billing: bool,
}

impl UsageOptions {
    /// What is known at once.
    pub fn new() -> UsageOptions {
        UsageOptions::default()
    }

    /// Whether it tells in any case what OSS would charge for. Where anything is of another class than `Standard`, each
    /// version is looked at then, and the cost grows with their number.
    pub fn billing(mut self, billing: bool) -> UsageOptions {
        self.billing = billing;
        self
    }
}

/// [`of_prefix`], with options.
pub fn of_prefix_with(
    reading: &Reading,
    bucket: &BucketRef,
    prefix: &str,
    options: &UsageOptions,
) -> Result<Usage> {
    // Both counts are of one moment.
    let reading = if options.billing { reading.held() } else { reading.clone() };
    let mut usage = of_prefix(&reading, bucket, prefix)?;
    if options.billing && usage.billing.is_none() && !usage.is_empty() {
        usage.billing = Some(billing::of_prefix(&reading, bucket, prefix)?);
    }
    Ok(usage)
}

/// [`of_store`], with options.
pub fn of_store_with(reading: &Reading, options: &UsageOptions) -> Result<Usage> {
    let held = if options.billing { reading.held() } else { reading.clone() };
    let mut usage = of_store(&held)?;
    if reading.pinned.is_none() {
        usage.garbage_bytes = reading.engine.garbage_bytes();
    }
    if options.billing && usage.billing.is_none() && !usage.is_empty() {
        let mut sum = Billing::default();
        for bucket in buckets(&held)? {
            sum.add(&billing::of_prefix(&held, &bucket, "")?);
        }
        usage.billing = Some(sum);
    }
    Ok(usage)
}

fn buckets(reading: &Reading) -> Result<Vec<BucketRef>> {
    let all = reading.with(|moment| catalog::list_buckets(moment, None, usize::MAX))?;
    Ok(all.iter().map(|state| BucketRef::new(state.name.clone(), state.row.id)).collect())
}

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
        let mut sum = Usage { billing: Some(Billing::default()), ..Usage::default() };
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
        sum.billing = sum.billing.take().filter(|_| !sum.is_empty());
        Ok(sum)
    })?;
    if reading.pinned.is_none() {
        sum.garbage_bytes = reading.engine.garbage_bytes();
    }
    Ok(sum)
}

fn of_bucket(moment: &Moment<'_>, state: &BucketState, prefix: &str) -> Result<Usage> {
    let bucket_view = state.bucket_view(moment);
    let end = end_of(prefix);
    let mut usage = Usage::default();
    let heads = bucket_view.totals(Kind::Head, prefix.as_bytes(), Some(&end))?;
    count_live(&mut usage, &heads);
    let mut all = heads.clone();
    if state.versioning().is_some() {
        let versions = bucket_view.totals(Kind::Version, prefix.as_bytes(), Some(&end))?;
        for class in StorageClass::ALL {
            usage.noncurrent_objects += amount(versions.objects(class.number()));
            usage.noncurrent_bytes += amount(versions.bytes(class.number()));
        }
        all.add_all(&versions);
        usage.markers += amount(heads.objects(catalog::MARKER_SLOT));
        usage.markers += amount(versions.objects(catalog::MARKER_SLOT));
    }
    usage.billing = plain_billing(&all);
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

/// What is charged for where nothing is of a class that has a floor or a minimum duration.
fn plain_billing(totals: &Totals) -> Option<Billing> {
    let standard = StorageClass::Standard;
    if StorageClass::ALL.iter().any(|class| *class != standard && amount(totals.objects(class.number())) > 0)
    {
        return None;
    }
    let objects = amount(totals.objects(standard.number()));
    let bytes = amount(totals.bytes(standard.number()));
    let class =
        ClassBilling { class: standard, objects, bytes, billable_bytes: bytes, ..ClassBilling::default() };
    (objects > 0).then(|| Billing { classes: vec![class] })
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
    sum.billing = match (sum.billing.take(), &more.billing) {
        (Some(mut sum), Some(more)) => {
            sum.add(more);
            Some(sum)
        }
        (sum, None) if more.is_empty() => sum,
        _ => None,
    };
    for (class, objects, bytes) in &more.classes {
        match sum.classes.iter_mut().find(|(known, ..)| known == class) {
            Some((_, all, size)) => (*all, *size) = (*all + objects, *size + bytes),
            None => sum.classes.push((*class, *objects, *bytes)),
        }
    }
    sum.classes.sort_by_key(|(class, ..)| *class);
}
