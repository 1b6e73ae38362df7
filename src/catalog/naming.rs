//! Keys as people know them, for reports about stores of which not everything can be read.

use std::collections::{BTreeMap, BTreeSet};

use super::keys;
use crate::engine::{Naming, Stored};
use crate::format::row::{self, BucketRow};
use crate::index::Weight;

/// Names keys by the buckets that were met, and knows which buckets are missing.
#[derive(Debug, Default)]
pub struct KeyNames {
    names: BTreeMap<u64, String>,
    /// Buckets of which there are objects.
    needed: BTreeSet<u64>,
}

impl Naming for KeyNames {
    fn name(&self, key: &[u8]) -> String {
        if let Some(place) = keys::parse_place(key) {
            let bucket = self.names.get(&place.space).cloned().unwrap_or_else(|| made_name(place.space, 0));
            let version = match keys::parse_tail(&place.tail) {
                Some((lsn, number)) => format!(" (version {lsn}.{number})"),
                None => String::new(),
            };
            return format!("{bucket}/{}{version}", String::from_utf8_lossy(&place.key));
        }
        if let Some(bucket) = keys::bucket_name(key) {
            return format!("the bucket {bucket}");
        }
        if let Some((table, key)) = keys::parse_row(key) {
            return format!("the row {:?} of the table {table}", String::from_utf8_lossy(key));
        }
        let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("the index key {hex}")
    }

    fn saved(&mut self, key: &[u8], stored: &Stored<'_>) {
        if let Some(place) = keys::parse_place(key) {
            self.needed.insert(place.space);
        } else if let Some(name) = keys::bucket_name(key)
            && let Ok(row) = row::decode::<BucketRow>(&stored.payload)
        {
            // The spaces that it reads are reached through it, whoever they belong to.
            let layers = row.spans.iter().flat_map(|span| &span.layers);
            for (space, _) in layers {
                self.names.entry(*space).or_insert_with(|| name.to_string());
            }
            self.names.insert(row.id, name.to_string());
        }
    }

    fn missing(&mut self) -> Vec<(Vec<u8>, u64, Weight, Vec<u8>)> {
        let mut made = Vec::new();
        for id in std::mem::take(&mut self.needed) {
            if self.names.contains_key(&id) {
                continue;
            }
            let taken = |name: &String| self.names.values().any(|other| other == name);
            let name = (0..).map(|number| made_name(id, number)).find(|name| !taken(name));
            let name = name.expect("names do not end");
            let row = BucketRow { id, ..BucketRow::default() };
            made.push((keys::bucket(&name), id, Weight::default(), row::encode(&row)));
            made.push((keys::bucket_by_id(id), id, Weight::default(), name.as_bytes().to_vec()));
            self.names.insert(id, name);
        }
        made
    }
}

/// What a bucket is called whose name is lost.
fn made_name(id: u64, number: u64) -> String {
    if number == 0 { format!("salvaged-{id}") } else { format!("salvaged-{id}-{number}") }
}
