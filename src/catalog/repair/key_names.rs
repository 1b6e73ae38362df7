//! Keys as people know them, for reports about stores of which not everything can be read.

use std::collections::{BTreeMap, BTreeSet};

use super::salvage::{Books, Met, made_name};
use crate::catalog::encryption::seal_of;
use crate::catalog::keyspace::keys::{self, Placed};
use crate::engine::{self, Stored};
use crate::format::entry::BlobId;
use crate::format::row::SealRow;
use crate::rescue::{Mended, Naming};

/// Names keys by the buckets that were met, and knows what is missing or does not add up.
#[derive(Debug, Default)]
pub struct KeyNames {
    books: Books,
    /// Keys of buckets that were saved.
    bucket_keys: BTreeSet<(u64, [u8; 16])>,
}

/// The key by which a bucket knows what stands in a place, and how many layers lie on top of it.
fn key_of(bucket: &Met, place: &Placed) -> Option<(usize, Vec<u8>)> {
    let mut found: Option<(usize, Vec<u8>)> = None;
    for span in bucket.route.spans() {
        for (depth, layer) in span.layers.iter().enumerate().filter(|(_, l)| l.space == place.space) {
            let Some(rest) = place.key.strip_prefix(layer.prefix.as_bytes()) else { continue };
            let key = [span.prefix.as_bytes(), rest].concat();
            let leads_here = bucket.route.span(&key) == span;
            if leads_here && found.as_ref().is_none_or(|(least, _)| depth < *least) {
                found = Some((depth, key));
            }
        }
    }
    found
}

impl KeyNames {
    /// What stands in a place, as the bucket says it that is the nearest to it: the one that writes there, or the
    /// first of those that read it.
    fn name_place(&self, place: &Placed) -> String {
        let nearest = self
            .books
            .readers(place.space)
            .filter_map(|bucket| key_of(bucket, place).map(|(depth, key)| (depth, bucket, key)))
            .min_by_key(|(depth, bucket, _)| (*depth, bucket.row.id));
        if let Some((_, bucket, key)) = nearest {
            return format!("{}/{}", bucket.name, String::from_utf8_lossy(&key));
        }
        let owner = self.books.readers(place.space).find(|bucket| bucket.row.id == place.space);
        let name = owner.map_or_else(|| made_name(place.space, 0), |owner| owner.name.clone());
        let removed = if self.books.is_dead(place.space, &place.key) { " (removed)" } else { "" };
        format!("{name}/{}{removed}", String::from_utf8_lossy(&place.key))
    }
}

impl Naming for KeyNames {
    fn name(&self, key: &[u8]) -> String {
        if let Some(place) = keys::parse_place(key) {
            let version = match keys::parse_tail(&place.tail) {
                Some((lsn, number)) => format!(" (version {lsn}.{number})"),
                None => String::new(),
            };
            return self.name_place(&place) + &version;
        }
        if let Some((key, lsn)) = keys::parse_history(key) {
            return format!("{} (its past, from commit {lsn} on)", self.name(&key));
        }
        if let Some(bucket) = keys::bucket_name(key) {
            return format!("the bucket {bucket}");
        }
        if let Some((table, key)) = keys::parse_row(key) {
            return format!("the row {:?} of the table {table}", String::from_utf8_lossy(key));
        }
        if let Some(blob) = engine::blob_of(key) {
            return format!("the shared body {}-{}", blob.lsn, blob.n);
        }
        let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("the index key {hex}")
    }

    fn saved(&mut self, key: &[u8], stored: &Stored<'_>) {
        self.books.see(key, stored);
        self.bucket_keys.extend(keys::parse_bucket_key(key));
    }

    fn misses(&self, key: &[u8], payload: &[u8], is_left: &dyn Fn(&[u8]) -> bool) -> Option<String> {
        let Ok(Some(SealRow::Kms { bucket, generation, .. })) = seal_of(key, payload) else { return None };
        let is_there = self.bucket_keys.contains(&(bucket, generation))
            || is_left(&keys::bucket_key(bucket, &generation));
        (!is_there).then(|| "the key of a bucket that it was encrypted with is gone".to_string())
    }

    fn mend(&mut self, lsn: u64, blobs: &BTreeMap<BlobId, u64>) -> Mended {
        self.books.mend(lsn, blobs)
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::catalog::keyspace::keys::Kind;
    use crate::format::entry::Body;
    use crate::format::row::{self, BucketRow, SpanRow};
    use crate::index::Weight;

    fn save(names: &mut KeyNames, key: &[u8], payload: Vec<u8>) {
        let payload = Cow::from(payload);
        names.saved(key, &Stored { lsn: 1, weight: Weight::default(), payload, body: Body::None });
    }

    fn bucket(names: &mut KeyNames, name: &str, id: u64, spans: &[(&str, &[(u64, &str)])]) {
        let span = |(prefix, layers): &(&str, &[(u64, &str)])| SpanRow {
            prefix: prefix.to_string(),
            layers: layers.iter().map(|(space, prefix)| (*space, prefix.to_string())).collect(),
        };
        let row = BucketRow { id, spans: spans.iter().map(span).collect(), ..BucketRow::default() };
        save(names, &keys::bucket(name), row::encode(&row));
    }

    fn head(space: u64, key: &str) -> Vec<u8> {
        keys::place(Kind::Head, false, space, key.as_bytes(), b"")
    }

    #[test]
    fn keys_are_named_as_their_buckets_know_them() {
        let mut names = KeyNames::default();
        // A fork and what it was made from, which has renamed `old/` to `new/` before.
        for (name, id, top) in [("branch", 9, 21), ("cats", 1, 20)] {
            let spans: [(&str, &[(u64, &str)]); 3] = [
                ("", &[(top, ""), (1, "")]),
                ("new/", &[(top, "new/"), (1, "old/")]),
                ("old/", &[(top, "old/"), (15, "old/")]),
            ];
            bucket(&mut names, name, id, &spans);
        }
        bucket(&mut names, "plain", 5, &[]);
        for (space, key, name) in [
            (5, "a", "plain/a"),
            (20, "a", "cats/a"),
            (21, "new/a", "branch/new/a"),
            (1, "a", "cats/a"),
            (1, "old/a", "cats/new/a"),
            // Nothing leads there since the rename, and it was not removed either.
            (1, "new/a", "cats/new/a"),
            (7, "a", "salvaged-7/a"),
        ] {
            assert_eq!(names.name(&head(space, key)), name, "{key} in {space}");
        }
        let version = keys::place(Kind::Version, false, 1, b"old/a", &keys::version_tail(4, 2));
        assert_eq!(names.name(&version), "cats/new/a (version 4.2)");
        let past = keys::history_at(&head(20, "b"), 12).unwrap();
        assert_eq!(names.name(&past), "cats/b (its past, from commit 12 on)");
    }
}
