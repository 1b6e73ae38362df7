//! Rows as somebody sees them: in a view, at a past moment, or with changes that are not committed yet.

use std::borrow::Cow;

use super::keys;
use crate::engine::{NewBody, View};
use crate::error::{Error, Result};
use crate::format::varint;
use crate::index::{Totals, Weight};

/// A row that was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Where it was found; for a row that is not committed yet, where its body was found.
    pub at: Vec<u8>,
    /// The commit that wrote it; for a row that is not committed yet, the one that will.
    pub lsn: u64,
    /// What it counts for.
    pub weight: Weight,
    /// Its body.
    pub body: NewBody,
    /// The catalog's half.
    pub payload: Vec<u8>,
}

/// An ordered map of rows.
pub trait Rows {
    /// The row under a key.
    fn get(&self, key: &[u8]) -> Result<Option<Found>>;

    /// The first key at or above `from` and below `end`.
    fn next(&self, from: &[u8], end: &[u8]) -> Result<Option<Vec<u8>>>;

    /// The last key at or above `from` and below `end`.
    fn last(&self, from: &[u8], end: &[u8]) -> Result<Option<Vec<u8>>>;

    /// What the rows at or above `from` and below `end` add up to.
    fn totals(&self, from: &[u8], end: &[u8]) -> Result<Totals>;

    /// Whether there is a row under a key.
    fn has(&self, key: &[u8]) -> Result<bool> {
        Ok(self.get(key)?.is_some())
    }

    /// Every key at or above `from` and below `end`, in order, handed to `each` until it says no.
    fn walk(&self, from: &[u8], end: &[u8], each: &mut dyn FnMut(&[u8]) -> Result<bool>) -> Result<()> {
        let mut next = self.next(from, end)?;
        while let Some(mut key) = next {
            if !each(&key)? {
                break;
            }
            key.push(0);
            next = self.next(&key, end)?;
        }
        Ok(())
    }
}

/// A view as it is, or as it was at a past commit whose rows are retained.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'v> {
    /// The view.
    pub view: &'v View,
    /// The last commit that counts, if it is not the view's own.
    pub at: Option<u64>,
}

/// The payload of a row of the retained past: when it was superseded, and what it was.
pub fn encode_past(superseded: u64, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 9);
    varint::put(&mut out, superseded);
    out.extend_from_slice(payload);
    out
}

/// Reads the payload of a row of the retained past.
pub fn decode_past(mut payload: &[u8]) -> Result<(u64, &[u8])> {
    let superseded = varint::take(&mut payload)
        .ok_or_else(|| Error::corrupt("the index", 0, "a row of the retained past is cut off"))?;
    Ok((superseded, payload))
}

/// What the row under a key is of an object or of the past of one: when it was superseded, if it was, and the rest.
pub fn past_of<'p>(key: &[u8], payload: &'p [u8]) -> Result<(Option<u64>, &'p [u8])> {
    if !keys::is_history(key) {
        return Ok((None, payload));
    }
    decode_past(payload).map(|(superseded, rest)| (Some(superseded), rest))
}

impl<'v> Moment<'v> {
    /// The view as it is.
    pub fn now(view: &'v View) -> Moment<'v> {
        Moment { view, at: None }
    }

    fn live(&self, key: &[u8]) -> Result<Option<Found>> {
        self.view.find(key, |stored| {
            let body = NewBody::stored(&stored.body);
            let (at, payload) = (key.to_vec(), stored.payload.into_owned());
            Ok(Found { at, lsn: stored.lsn, weight: stored.weight, body, payload })
        })
    }

    /// The row as it was at `at`, whatever it is now.
    fn past(&self, key: &[u8], at: u64) -> Result<Option<Found>> {
        if let Some(item) = self.view.index.get(key)?
            && item.lsn <= at
        {
            drop(item);
            return self.live(key);
        }
        let (Some(prefix), Some(from)) = (keys::history(key, true), keys::history_at(key, at)) else {
            return Ok(None);
        };
        let mut cursor = self.view.index.cursor();
        cursor.seek(&from)?;
        let Some(own) = cursor.key().filter(|found| found.starts_with(&prefix)) else {
            return Ok(None);
        };
        let lsn = own
            .last_chunk::<8>()
            .filter(|_| own.len() == prefix.len() + 8)
            .map(|lsn| !u64::from_be_bytes(*lsn));
        let damaged = || Error::corrupt("the index", 0, "a row of the retained past has no sound key");
        let lsn = lsn.ok_or_else(damaged)?;
        let item = cursor.item()?.ok_or_else(damaged)?;
        let stored = self.view.stored(&item)?;
        let (superseded, payload) = decode_past(&stored.payload)?;
        if superseded <= at {
            return Ok(None);
        }
        let body = NewBody::stored(&stored.body);
        Ok(Some(Found { at: own.to_vec(), lsn, weight: stored.weight, body, payload: payload.to_vec() }))
    }

    /// The nearest key at or above `from` and below `end` that has a row now or had one once; the last one of
    /// them if `last` is asked for.
    fn ever(&self, from: &[u8], end: &[u8], last: bool) -> Result<Option<Vec<u8>>> {
        let now = if last { self.live_last(from, end)? } else { self.live_next(from, end)? };
        let once = self.once(from, end, last)?;
        Ok(match (now, once) {
            (Some(now), Some(once)) => Some(if last { now.max(once) } else { now.min(once) }),
            (now, once) => now.or(once),
        })
    }

    /// The nearest key with a row in the retained past.
    fn once(&self, from: &[u8], end: &[u8], last: bool) -> Result<Option<Vec<u8>>> {
        let (Some(mut low), Some(high)) = (keys::history(from, false), keys::history(end, false)) else {
            return Ok(None);
        };
        let mut high = high;
        let mut cursor = self.view.index.cursor();
        loop {
            if last {
                cursor.seek_last_before(&high)?
            } else {
                cursor.seek(&low)?
            }
            let Some(at) = cursor.key().filter(|at| **at >= *low && **at < *high) else {
                return Ok(None);
            };
            let Some((key, _)) = keys::parse_history(at) else {
                return Err(Error::corrupt("the index", 0, "a row of the retained past has no sound key"));
            };
            if *key >= *from && *key < *end {
                return Ok(Some(key));
            }
            // The past of a key just outside the range sorts among that of the range's own.
            let own = keys::history(&key, true).unwrap_or_default();
            if last {
                high = own;
            } else {
                low = own;
                low.extend_from_slice(&[0xFF; 9]);
            }
        }
    }

    fn live_next(&self, from: &[u8], end: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut cursor = self.view.index.cursor();
        cursor.seek(from)?;
        Ok(cursor.key().filter(|key| **key < *end).map(<[u8]>::to_vec))
    }

    fn live_last(&self, from: &[u8], end: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut cursor = self.view.index.cursor();
        cursor.seek_last_before(end)?;
        Ok(cursor.key().filter(|key| **key >= *from).map(<[u8]>::to_vec))
    }
}

impl Rows for Moment<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Found>> {
        match self.at {
            None => self.live(key),
            Some(at) => self.past(key, at),
        }
    }

    fn next(&self, from: &[u8], end: &[u8]) -> Result<Option<Vec<u8>>> {
        let Some(at) = self.at else {
            return self.live_next(from, end);
        };
        let mut from = Cow::Borrowed(from);
        while let Some(key) = self.ever(&from, end, false)? {
            if self.past(&key, at)?.is_some() {
                return Ok(Some(key));
            }
            let mut behind = key;
            behind.push(0);
            from = Cow::Owned(behind);
        }
        Ok(None)
    }

    fn last(&self, from: &[u8], end: &[u8]) -> Result<Option<Vec<u8>>> {
        let Some(at) = self.at else {
            return self.live_last(from, end);
        };
        let mut end = Cow::Borrowed(end);
        while let Some(key) = self.ever(from, &end, true)? {
            if self.past(&key, at)?.is_some() {
                return Ok(Some(key));
            }
            end = Cow::Owned(key);
        }
        Ok(None)
    }

    /// Of a past moment this looks at every row in the range.
    fn totals(&self, from: &[u8], end: &[u8]) -> Result<Totals> {
        if self.at.is_none() {
            return self.view.index.totals(from, Some(end));
        }
        let mut totals = Totals::default();
        self.walk(from, end, &mut |key| {
            self.get(key)?.into_iter().for_each(|found| totals.add(found.weight));
            Ok(true)
        })?;
        Ok(totals)
    }
}
