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
        if let Some((id, key)) = keys::parse_object(key) {
            return match self.names.get(&id) {
                Some(bucket) => format!("{bucket}/{key}"),
                None => format!("{}/{key}", made_name(id, 0)),
            };
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
        if let Some((id, _)) = keys::parse_object(key) {
            self.needed.insert(id);
        } else if let Some(name) = keys::bucket_name(key)
            && let Ok(row) = row::decode::<BucketRow>(&stored.payload)
        {
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
            let row = BucketRow { id, created: 0, class: 0 };
            made.push((keys::bucket(&name), id, Weight::default(), row::encode(&row)));
            self.names.insert(id, name);
        }
        made
    }
}

/// What a bucket is called whose name is lost.
fn made_name(id: u64, number: u64) -> String {
    if number == 0 { format!("salvaged-{id}") } else { format!("salvaged-{id}-{number}") }
}
