//! The bucket view: the rows of one bucket by their keys, wherever its route says that they lie.

use super::keys::{self, Kind};
use super::route::{Layer, Region, Route, Span};
use super::rows::{Found, Rows};
use crate::error::{Error, Result};
use crate::index::Totals;

/// The rows of a bucket.
#[derive(Debug)]
pub struct BucketView<'a, R> {
    /// The rows of the store.
    pub rows: &'a R,
    /// Where the bucket's lie.
    pub route: &'a Route,
}

impl<R> Clone for BucketView<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for BucketView<'_, R> {}

/// The key of a row in a layer.
fn at(layer: &Layer, span: &Span, kind: Kind, shadow: bool, key: &[u8], tail: &[u8]) -> Vec<u8> {
    keys::place(kind, shadow, layer.space, &layer.key(span.prefix.len(), key), tail)
}

/// Where the rows of a region begin and end in a layer.
fn range(layer: &Layer, region: &Region<'_>, kind: Kind, shadow: bool) -> (Vec<u8>, Vec<u8>) {
    let prefix = region.span.prefix.as_bytes();
    let start = keys::bound(kind, shadow, layer.space, &layer.key(prefix.len(), &region.start));
    let end = match &region.end {
        Some(end) if end.starts_with(prefix) => {
            keys::bound(kind, shadow, layer.space, &layer.key(prefix.len(), end))
        }
        // The region ends with the span.
        _ => match keys::behind(layer.prefix.as_bytes()) {
            Some(behind) => keys::bound(kind, shadow, layer.space, &behind),
            None => keys::space_end(kind, shadow, layer.space),
        },
    };
    (start, end)
}

fn damaged() -> Error {
    Error::corrupt("the index", 0, "a key among the objects is no object's")
}

impl<'a, R: Rows> BucketView<'a, R> {
    /// The row of a kind under a key, and its version for the kinds that have one.
    pub fn get(&self, kind: Kind, key: &[u8], tail: &[u8]) -> Result<Option<Found>> {
        self.get_below(0, kind, key, tail)
    }

    /// The same, without the first `skip` layers of its span.
    pub fn get_below(&self, skip: usize, kind: Kind, key: &[u8], tail: &[u8]) -> Result<Option<Found>> {
        let span = self.route.span(key);
        for (index, layer) in span.layers.iter().enumerate().skip(skip) {
            if let Some(found) = self.rows.get(&at(layer, span, kind, false, key, tail))? {
                return Ok(Some(found));
            }
            let more = index + 1 < span.layers.len();
            if more && self.rows.has(&at(layer, span, kind, true, key, tail))? {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// Where a row is written.
    pub fn write_key(&self, kind: Kind, key: &[u8], tail: &[u8]) -> Vec<u8> {
        let span = self.route.span(key);
        at(&span.layers[0], span, kind, false, key, tail)
    }

    /// Where the row lies that hides what the layers beneath have under a key; `None` if there are none.
    pub fn shadow_key(&self, kind: Kind, key: &[u8], tail: &[u8]) -> Option<Vec<u8>> {
        let span = self.route.span(key);
        (!span.is_flat()).then(|| at(&span.layers[0], span, kind, true, key, tail))
    }

    /// The first row of a kind without versions at or above `from` and below `end`.
    pub fn next(&self, kind: Kind, from: &[u8], end: Option<&[u8]>) -> Result<Option<(Vec<u8>, Found)>> {
        for region in self.route.regions(from, end) {
            if let Some(found) = self.nearest(kind, region, false)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The last row of a kind without versions at or above `from` and below `end`.
    pub fn last(&self, kind: Kind, from: &[u8], end: Option<&[u8]>) -> Result<Option<(Vec<u8>, Found)>> {
        for region in self.route.regions(from, end).into_iter().rev() {
            if let Some(found) = self.nearest(kind, region, true)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The first or the last row of a region.
    fn nearest(&self, kind: Kind, mut region: Region<'_>, last: bool) -> Result<Option<(Vec<u8>, Found)>> {
        let span = region.span;
        loop {
            let mut best: Option<Vec<u8>> = None;
            for layer in &span.layers {
                let (start, end) = range(layer, &region, kind, false);
                let found =
                    if last { self.rows.last(&start, &end)? } else { self.rows.next(&start, &end)? };
                let Some(found) = found else { continue };
                let there = keys::parse_place(&found).ok_or_else(damaged)?.key;
                let key = [span.prefix.as_bytes(), &there[layer.prefix.len()..]].concat();
                let nearer = best.as_ref().is_none_or(|best| if last { key > *best } else { key < *best });
                if nearer {
                    best = Some(key);
                }
            }
            let Some(mut key) = best else {
                return Ok(None);
            };
            if let Some(found) = self.get(kind, &key, b"")? {
                return Ok(Some((key, found)));
            }
            if last {
                region.end = Some(key);
            } else {
                key.push(0);
                region.start = key;
            }
        }
    }

    /// The first version of a key behind the version `after` (from the newest on if that is empty).
    pub fn next_version(&self, kind: Kind, key: &[u8], after: &[u8]) -> Result<Option<(Vec<u8>, Found)>> {
        let span = self.route.span(key);
        let mut after = after.to_vec();
        loop {
            let mut best: Option<Vec<u8>> = None;
            for layer in &span.layers {
                let mut from = at(layer, span, kind, false, key, &after);
                if !after.is_empty() {
                    from.push(0);
                }
                let mut end = at(layer, span, kind, false, key, &[0xFF; 12]);
                end.push(0);
                let Some(found) = self.rows.next(&from, &end)? else { continue };
                let tail = keys::parse_place(&found).ok_or_else(damaged)?.tail;
                if best.as_ref().is_none_or(|best| tail < *best) {
                    best = Some(tail);
                }
            }
            let Some(tail) = best else {
                return Ok(None);
            };
            if let Some(found) = self.get(kind, key, &tail)? {
                return Ok(Some((tail, found)));
            }
            after = tail;
        }
    }

    /// The first key at or above `from` that one of the upper layers of its span says anything about, be it that it
    /// hides what is beneath. `upper` tells how many layers of each span those are.
    pub fn next_touched(&self, kind: Kind, from: &[u8], upper: &[usize]) -> Result<Option<Vec<u8>>> {
        for region in self.route.regions(from, None) {
            let place = self.route.spans().iter().position(|span| span == region.span);
            let depth = place.and_then(|place| upper.get(place)).copied().unwrap_or(0);
            let mut best: Option<Vec<u8>> = None;
            for layer in region.span.layers.iter().take(depth) {
                for shadow in [false, true] {
                    let (start, end) = range(layer, &region, kind, shadow);
                    let Some(found) = self.rows.next(&start, &end)? else { continue };
                    let there = keys::parse_place(&found).ok_or_else(damaged)?.key;
                    let key = [region.span.prefix.as_bytes(), &there[layer.prefix.len()..]].concat();
                    if best.as_ref().is_none_or(|best| key < *best) {
                        best = Some(key);
                    }
                }
            }
            if best.is_some() {
                return Ok(best);
            }
        }
        Ok(None)
    }

    /// What the rows of a kind with keys in `[from, end)` add up to.
    pub fn totals(&self, kind: Kind, from: &[u8], end: Option<&[u8]>) -> Result<Totals> {
        let mut totals = Totals::default();
        for region in self.route.regions(from, end) {
            let layers = &region.span.layers;
            for (index, layer) in layers.iter().enumerate() {
                let (start, end) = range(layer, &region, kind, false);
                totals.add_all(&self.rows.totals(&start, &end)?);
                if index + 1 < layers.len() {
                    let (start, end) = range(layer, &region, kind, true);
                    totals.sub_all(&self.rows.totals(&start, &end)?);
                }
            }
        }
        Ok(totals)
    }
}

/// The ranges of all rows of a kind with a prefix in a layer, the shadows apart.
pub fn layer_ranges(layer: &Layer, kind: Kind) -> [(Vec<u8>, Vec<u8>); 2] {
    [false, true].map(|shadow| {
        let start = keys::bound(kind, shadow, layer.space, layer.prefix.as_bytes());
        let end = match keys::behind(layer.prefix.as_bytes()) {
            Some(behind) => keys::bound(kind, shadow, layer.space, &behind),
            None => keys::space_end(kind, shadow, layer.space),
        };
        (start, end)
    })
}
