//! Limits and protection that verbs on prefixes check first.

use crate::catalog::{BucketState, HeadRow, Kind, Span, UPLOAD_SLOT};
use crate::error::{Error, Result};
use crate::model::{MAX_KEY_BYTES, ObjectKey, from_millis};
use crate::ops::listing::walk::end_of;
use crate::write::staged::overlay::Staged;
use crate::write::version_chain;

/// Up to so many objects are removed or moved one by one, which leaves the route as simple as it is.
pub(super) const ONE_BY_ONE: u64 = 64;

/// The most objects that one commit moves one by one, or puts delete markers on.
const MOST_AT_ONCE: u64 = 50_000;

/// So many prefixes of a bucket may lead elsewhere before they are brought back first.
pub const MAX_SPANS: usize = 64;

/// So many may lead elsewhere inside a transaction, which cannot bring them back; what more it removes goes one by one.
pub(super) const MOST_SPANS: usize = MAX_SPANS + 16;

/// By so many bytes the place of a key may be longer than the key: the map takes keys of 1,100 bytes, and the longest
/// key of an object has 1,055 there at most, as a version of the retained past.
const SPARE: usize = 40;

/// What a prefix takes of the room for a key; NULs may be written twice.
fn cost(prefix: &str) -> usize {
    prefix.len() + prefix.bytes().filter(|byte| *byte == 0).count()
}

/// Whether the places that an old prefix leads to are so much longer than the new one that the longest keys under that
/// would not fit into the map.
pub(super) fn is_cramped(state: &BucketState, old: &str, new: &str) -> bool {
    let around = state.route.span(old.as_bytes());
    let rest = cost(old) - cost(&around.prefix);
    let here = around.layers.iter().map(|layer| (cost(&layer.prefix) + rest, cost(new)));
    let within = state.route.spans().iter().filter(|span| span.prefix.starts_with(old)).flat_map(|span| {
        let logical = cost(new) + cost(&span.prefix) - cost(old);
        span.layers.iter().map(move |layer| (cost(&layer.prefix), logical))
    });
    here.chain(within).any(|(there, logical)| there > logical + SPARE)
}

/// Refuses if a key would not be one any more under its new prefix. Looks at every key, unless they all get shorter.
pub(super) fn check_new_keys(staged: &Staged<'_>, state: &BucketState, old: &str, new: &str) -> Result<()> {
    if !new.is_empty() && new.len() <= old.len() && cost(new) <= cost(old) {
        return Ok(());
    }
    let bucket_view = state.bucket_view(staged);
    let (mut from, end) = (old.as_bytes().to_vec(), end_of(old));
    while let Some((mut key, _)) = bucket_view.next(Kind::Head, &from, Some(&end))? {
        ObjectKey::new(&format!("{new}{}", String::from_utf8_lossy(&key[old.len()..])))?;
        key.push(0);
        from = key;
    }
    Ok(())
}

/// How many objects are under a prefix.
pub(super) fn count(staged: &Staged<'_>, state: &BucketState, prefix: &str) -> Result<u64> {
    let totals = state.bucket_view(staged).totals(Kind::Head, prefix.as_bytes(), Some(&end_of(prefix)))?;
    Ok((0..UPLOAD_SLOT).map(|slot| totals.objects(slot).max(0) as u64).sum())
}

pub(super) fn check_count(objects: u64, prefix: &str) -> Result<()> {
    if objects <= MOST_AT_ONCE {
        return Ok(());
    }
    Err(Error::invalid(
        "TooManyObjects",
        format!(
            "{objects} objects under {prefix:?} would have to be changed one by one, and one commit changes at most \
             {MOST_AT_ONCE}; take longer prefixes"
        ),
    ))
}

/// The current versions and delete markers under a prefix.
pub(super) fn heads(
    staged: &Staged<'_>,
    state: &BucketState,
    prefix: &str,
) -> Result<Vec<(String, HeadRow)>> {
    let bucket_view = state.bucket_view(staged);
    let (mut from, end) = (prefix.as_bytes().to_vec(), end_of(prefix));
    let mut found = Vec::new();
    while let Some((mut key, row)) = bucket_view.next(Kind::Head, &from, Some(&end))? {
        let name = String::from_utf8_lossy(&key).into_owned();
        found.push((name.clone(), HeadRow::of(&name, &row)?));
        key.push(0);
        from = key;
    }
    Ok(found)
}

/// Refuses if a version under a prefix is protected.
pub fn check_protected(staged: &Staged<'_>, state: &BucketState, prefix: &str) -> Result<()> {
    if !state.row.guarded && state.row.worm.is_none() {
        return Ok(());
    }
    let now = from_millis(staged.now.millis);
    let bucket_view = state.bucket_view(staged);
    for (key, head) in heads(staged, state, prefix)? {
        let mut rows = vec![head];
        let mut after = Vec::new();
        while let Some((tail, found)) = bucket_view.next_version(Kind::Version, key.as_bytes(), &after)? {
            rows.push(HeadRow::of(&key, &found)?);
            after = tail;
        }
        if let Some(why) = rows.iter().find_map(|head| version_chain::protection(state, head, now)) {
            return Err(version_chain::immutable(&key, &why));
        }
    }
    Ok(())
}

/// The spans that have nothing to do with a prefix.
pub(super) fn outside(state: &BucketState, prefix: &str) -> Vec<Span> {
    state.route.spans().iter().filter(|span| !span.prefix.starts_with(prefix)).cloned().collect()
}

/// Refuses what can be the beginning of no key.
pub fn check_prefix(prefix: &str) -> Result<()> {
    if prefix.len() > MAX_KEY_BYTES || prefix.starts_with(['/', '\\']) {
        return Err(Error::invalid(
            "InvalidArgument",
            format!(
                "a prefix has at most {MAX_KEY_BYTES} bytes and does not start with a slash or a backslash"
            ),
        ));
    }
    Ok(())
}
