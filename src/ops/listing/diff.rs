//! Differences between two buckets: of a fork and the bucket it was made from, at the cost of what was changed.

use std::sync::Arc;

use crate::catalog::{self, BucketState, Kind, Moment, Route};
use crate::engine::View;
use crate::engine::state::engine::Engine;
use crate::error::{Error, Result};
use crate::model::{ObjectMeta, Rare};
use crate::write::context::{BucketRef, Reading};

/// A key under which two buckets do not hold the same.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The key.
    pub key: String,
    /// The object in the bucket that is compared with; `None` if there is none.
    pub before: Option<ObjectMeta>,
    /// The object in this bucket; `None` if there is none.
    pub after: Option<ObjectMeta>,
}

/// A walk over the differences of two buckets, at one moment.
#[derive(Debug)]
pub struct DiffWalk {
    engine: Arc<Engine>,
    view: Arc<View>,
    before: Arc<BucketState>,
    after: Arc<BucketState>,
    /// How many upper layers of each span are not in both routes; `None` if all there is must be looked at.
    own: Option<Vec<(usize, usize)>>,
    /// The key that the walk goes on at; `None` at its end.
    next: Option<Vec<u8>>,
}

impl DiffWalk {
    /// Begins.
    pub fn begin(reading: &Reading, before: &BucketRef, after: &BucketRef) -> Result<DiffWalk> {
        let view = reading.pin()?;
        let moment = Moment { view: &view, at: reading.at };
        let (before, after) = (before.state(&moment)?, after.state(&moment)?);
        let own = own_layers(&before.route, &after.route);
        Ok(DiffWalk { engine: reading.engine.clone(), view, before, after, own, next: Some(Vec::new()) })
    }

    /// The next difference.
    pub fn advance(&mut self) -> Result<Option<Difference>> {
        self.engine.check_open()?;
        while let Some(from) = self.next.take() {
            let Some(key) = self.candidate(&from)? else {
                return Ok(None);
            };
            self.next = Some([&key[..], &[0]].concat());
            let name = String::from_utf8(key)
                .map_err(|_| Error::corrupt("the index", 0, "the key of an object is not UTF-8"))?;
            let (before, after) = (self.look(&self.before, &name)?, self.look(&self.after, &name)?);
            if !is_same(before.as_ref(), after.as_ref()) {
                return Ok(Some(Difference { key: name, before, after }));
            }
        }
        Ok(None)
    }

    fn look(&self, state: &BucketState, key: &str) -> Result<Option<ObjectMeta>> {
        let moment = Moment::now(&self.view);
        match catalog::find_head(state.bucket_view(&moment), key)? {
            Some((head, _)) if !head.row.is_marker() => {
                let versioned = state.versioning().is_some();
                catalog::meta_of(key.to_string(), head, versioned, || self.engine.millis()).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The first key at or above `from` under which the two may differ.
    fn candidate(&self, from: &[u8]) -> Result<Option<Vec<u8>>> {
        let moment = Moment::now(&self.view);
        let (before, after) = (self.before.bucket_view(&moment), self.after.bucket_view(&moment));
        let (one, other) = match &self.own {
            Some(own) => {
                let first: Vec<usize> = own.iter().map(|(before, _)| *before).collect();
                let second: Vec<usize> = own.iter().map(|(_, after)| *after).collect();
                (
                    before.next_touched(Kind::Head, from, &first)?,
                    after.next_touched(Kind::Head, from, &second)?,
                )
            }
            None => {
                let key = |found: Option<(Vec<u8>, _)>| found.map(|(key, _)| key);
                (key(before.next(Kind::Head, from, None)?), key(after.next(Kind::Head, from, None)?))
            }
        };
        Ok(one.into_iter().chain(other).min())
    }
}

/// For routes that lead the same prefixes to the same layers in the end: how many layers of each span come before
/// those.
fn own_layers(before: &Route, after: &Route) -> Option<Vec<(usize, usize)>> {
    if before.spans().len() != after.spans().len() {
        return None;
    }
    let pairs = before.spans().iter().zip(after.spans());
    let own = pairs.map(|(one, other)| {
        let common =
            one.layers.iter().rev().zip(other.layers.iter().rev()).take_while(|(a, b)| a == b).count();
        let shared = one.prefix == other.prefix && common > 0;
        shared.then_some((one.layers.len() - common, other.layers.len() - common))
    });
    own.collect()
}

/// Whether the same object is under a key, whenever it was written and came into its class, and whether or not it is
/// restored, which passes.
fn is_same(before: Option<&ObjectMeta>, after: Option<&ObjectMeta>) -> bool {
    let told = |meta: &ObjectMeta| {
        let rare = meta.rare.clone().map(|rare| Box::new(Rare { restore: None, class_since: None, ..*rare }));
        ObjectMeta {
            version: None,
            lsn: crate::model::Lsn(0),
            modified: std::time::SystemTime::UNIX_EPOCH,
            rare: rare.filter(|rare| **rare != Rare::default()),
            ..meta.clone()
        }
    };
    match (before, after) {
        (Some(before), Some(after)) => told(before) == told(after),
        (None, None) => true,
        _ => false,
    }
}
