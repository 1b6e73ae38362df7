//! Iterators over entries and over buckets.

use super::batch::Batch;
use super::{Bucket, Store};
use crate::error::Result;
use crate::model::Entry;
use crate::ops::bucket;
use crate::ops::context::Reading;
use crate::ops::list::Walk;

/// The entries of a bucket, in order, all as of the moment the listing began. After an error it ends.
#[derive(Debug)]
pub struct Listing {
    walk: Option<Walk>,
    batch: Batch<Entry>,
}

impl Listing {
    pub(crate) fn new(walk: Walk) -> Listing {
        Listing { walk: Some(walk), batch: Batch::new() }
    }
}

impl Iterator for Listing {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Result<Entry>> {
        if let Some(entry) = self.batch.next() {
            return Some(entry);
        }
        match self.walk.as_mut()?.next_batch() {
            Ok(batch) if batch.is_empty() => {
                self.walk = None;
                None
            }
            Ok(batch) => {
                self.batch = Batch::of(batch);
                self.batch.next()
            }
            Err(error) => {
                self.walk = None;
                Some(Err(error))
            }
        }
    }
}

/// The buckets of a store, in the order of their names. After an error it ends.
#[derive(Debug)]
pub struct Buckets {
    store: Option<Store>,
    batch: Batch<Bucket>,
    last: Option<String>,
}

impl Buckets {
    pub(crate) fn new(store: Store) -> Buckets {
        Buckets { store: Some(store), batch: Batch::new(), last: None }
    }
}

impl Iterator for Buckets {
    type Item = Result<Bucket>;

    fn next(&mut self) -> Option<Result<Bucket>> {
        if let Some(bucket) = self.batch.next() {
            return Some(bucket);
        }
        let store = self.store.clone()?;
        let reading = Reading::newest(store.engine());
        match bucket::list(&reading, self.last.as_deref()) {
            Ok(batch) => {
                self.last = batch.last().map(|reference| reference.name.to_string());
                if batch.len() < bucket::BATCH {
                    self.store = None;
                }
                self.batch = Batch::of(batch.into_iter().map(|each| Bucket::new(&store, each)).collect());
                self.batch.next()
            }
            Err(error) => {
                self.store = None;
                Some(Err(error))
            }
        }
    }
}
