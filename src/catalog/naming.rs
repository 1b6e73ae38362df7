//! Keys as people know them, for reports about stores of which not everything can be read.

use std::collections::{BTreeMap, BTreeSet};

use super::keys::{self, Placed};
use super::route::Route;
use crate::engine::{self, Naming, Stored};
use crate::format::row::{self, BucketRow, TidyRow};
use crate::index::Weight;

/// Names keys by the buckets that were met, and knows which buckets are missing.
#[derive(Debug, Default)]
pub struct KeyNames {
    buckets: Vec<Named>,
    /// Which of the buckets read a space, or have its id.
    readers: BTreeMap<u64, Vec<usize>>,
    /// What is to be removed, by space: the rows under a prefix, apart from some longer prefixes.
    dead: BTreeMap<u64, Vec<(String, Vec<String>)>>,
    /// Spaces with objects that a bucket must lead to.
    needed: BTreeSet<u64>,
}

/// A bucket that was met.
#[derive(Debug)]
struct Named {
    name: String,
    id: u64,
    route: Route,
}

impl Named {
    /// The key by which the bucket knows what stands in a place, and how many layers lie on top of it.
    fn key_of(&self, place: &Placed) -> Option<(usize, Vec<u8>)> {
        let mut found: Option<(usize, Vec<u8>)> = None;
        for span in self.route.spans() {
            for (depth, layer) in span.layers.iter().enumerate().filter(|(_, l)| l.space == place.space) {
                let Some(rest) = place.key.strip_prefix(layer.prefix.as_bytes()) else { continue };
                let key = [span.prefix.as_bytes(), rest].concat();
                let leads_here = self.route.span(&key) == span;
                if leads_here && found.as_ref().is_none_or(|(least, _)| depth < *least) {
                    found = Some((depth, key));
                }
            }
        }
        found
    }
}

impl KeyNames {
    fn meet(&mut self, bucket: Named) {
        let number = self.buckets.len();
        let spaces = bucket.route.layers().map(|layer| layer.space).chain([bucket.id]);
        for space in spaces.collect::<BTreeSet<u64>>() {
            self.readers.entry(space).or_default().push(number);
        }
        self.buckets.push(bucket);
    }

    fn readers(&self, space: u64) -> impl Iterator<Item = &Named> {
        self.readers.get(&space).into_iter().flatten().map(|number| &self.buckets[*number])
    }

    /// What stands in a place, as the bucket says it that is the nearest to it: the one that writes there, or the
    /// first of those that read it.
    fn name_place(&self, place: &Placed) -> String {
        let nearest = self
            .readers(place.space)
            .filter_map(|bucket| bucket.key_of(place).map(|(depth, key)| (depth, bucket, key)))
            .min_by_key(|(depth, bucket, _)| (*depth, bucket.id));
        if let Some((_, bucket, key)) = nearest {
            return format!("{}/{}", bucket.name, String::from_utf8_lossy(&key));
        }
        let owner = self.readers(place.space).find(|bucket| bucket.id == place.space);
        let name = owner.map_or_else(|| made_name(place.space, 0), |owner| owner.name.clone());
        let removed = if self.is_dead(place) { " (removed)" } else { "" };
        format!("{name}/{}{removed}", String::from_utf8_lossy(&place.key))
    }

    /// Whether what stands in a place was removed with its prefix or its bucket, and only waits to go.
    fn is_dead(&self, place: &Placed) -> bool {
        self.dead.get(&place.space).into_iter().flatten().any(|(prefix, keep)| {
            place.key.starts_with(prefix.as_bytes())
                && !keep.iter().any(|kept| place.key.starts_with(kept.as_bytes()))
        })
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
        if let Some(place) = keys::parse_place(key) {
            if !place.shadow && !self.is_dead(&place) {
                self.needed.insert(place.space);
            }
        } else if let Some(name) = keys::bucket_name(key) {
            if let Ok(row) = row::decode::<BucketRow>(&stored.payload) {
                self.meet(Named { name: name.to_string(), id: row.id, route: Route::of(&row) });
            }
        } else if keys::is_tidy(key)
            && let Ok(TidyRow::Clean { space, prefix, keep }) = row::decode(&stored.payload)
        {
            self.dead.entry(space).or_default().push((prefix, keep));
        }
    }

    fn missing(&mut self) -> Vec<(Vec<u8>, u64, Weight, Vec<u8>)> {
        let mut made = Vec::new();
        for id in std::mem::take(&mut self.needed) {
            if self.readers.contains_key(&id) {
                continue;
            }
            let taken = |name: &String| self.buckets.iter().any(|other| other.name == *name);
            let name = (0..).map(|number| made_name(id, number)).find(|name| !taken(name));
            let name = name.expect("names do not end");
            let row = BucketRow { id, ..BucketRow::default() };
            let lsn = keys::maker_of(id);
            made.push((keys::bucket(&name), lsn, Weight::default(), row::encode(&row)));
            made.push((keys::bucket_by_id(id), lsn, Weight::default(), name.as_bytes().to_vec()));
            self.meet(Named { name, id, route: Route::of(&row) });
        }
        made
    }
}

/// What a bucket is called whose name is lost.
fn made_name(id: u64, number: u64) -> String {
    if number == 0 { format!("salvaged-{id}") } else { format!("salvaged-{id}-{number}") }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::catalog::Kind;
    use crate::format::entry::Body;
    use crate::format::row::SpanRow;

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

    #[test]
    fn what_was_removed_needs_no_bucket_and_the_rest_of_a_space_does() {
        let mut names = KeyNames::default();
        bucket(&mut names, "cats", 1, &[("", &[(20, "")])]);
        let clean = |space, prefix: &str, keep: &[&str]| {
            let keep = keep.iter().map(|kept| kept.to_string()).collect();
            row::encode(&TidyRow::Clean { space, prefix: prefix.to_string(), keep })
        };
        save(&mut names, &keys::tidy(3, 0), clean(7, "", &[]));
        save(&mut names, &keys::tidy(4, 0), clean(8, "a/", &["a/kept/"]));
        for (space, key) in [(20, "a"), (1, "gone"), (7, "gone"), (8, "a/gone")] {
            save(&mut names, &head(space, key), Vec::new());
        }
        assert!(names.missing().is_empty());
        assert_eq!(names.name(&head(7, "gone")), "salvaged-7/gone (removed)");
        save(&mut names, &head(8, "a/kept/b"), Vec::new());
        let made = names.missing();
        assert_eq!(made[0].0, keys::bucket("salvaged-8"));
        assert_eq!(names.name(&head(8, "a/kept/b")), "salvaged-8/a/kept/b");
    }
}
