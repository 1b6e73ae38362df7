//! Reading through the changes: a staged row hides the committed one.

use std::ops::Bound;

use super::overlay::{Local, Staged};
use crate::catalog::{Found, Moment, Rows};
use crate::error::Result;
use crate::index::Totals;

impl Rows for Staged<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Found>> {
        match self.overlay.changed.get(key) {
            Some(Local::Gone) => Ok(None),
            Some(Local::Put { weight, body, payload, carried }) => {
                // A body that was only carried here is still owned where it was found first, and must be taken
                // from there: the row in between may be gone before the commit.
                let at = carried.as_deref().unwrap_or(key).to_vec();
                let (body, payload) = (body.clone(), payload.clone());
                Ok(Some(Found { at, lsn: self.now.lsn, weight: *weight, body, payload }))
            }
            None => Moment::now(self.view).get(key),
        }
    }

    fn next(&self, from: &[u8], end: &[u8]) -> Result<Option<Vec<u8>>> {
        if from >= end {
            return Ok(None);
        }
        let range = self.overlay.changed.range::<[u8], _>((Bound::Included(from), Bound::Excluded(end)));
        let own = range.into_iter().find(|(_, local)| matches!(local, Local::Put { .. })).map(|(key, _)| key);
        let mut cursor = self.view.index.cursor();
        cursor.seek(from)?;
        // Step by step: a transaction may have removed thousands of neighbours.
        while cursor.key().is_some_and(|key| *key < *end && self.is_gone(key)) {
            cursor.next()?;
        }
        let beneath = cursor.key().filter(|key| **key < *end).map(<[u8]>::to_vec);
        Ok(own.cloned().into_iter().chain(beneath).min())
    }

    fn last(&self, from: &[u8], end: &[u8]) -> Result<Option<Vec<u8>>> {
        if from >= end {
            return Ok(None);
        }
        let range = self.overlay.changed.range::<[u8], _>((Bound::Included(from), Bound::Excluded(end)));
        let own = range.rev().find(|(_, local)| matches!(local, Local::Put { .. })).map(|(key, _)| key);
        let mut cursor = self.view.index.cursor();
        cursor.seek_last_before(end)?;
        while cursor.key().is_some_and(|key| *key >= *from && self.is_gone(key)) {
            cursor.prev()?;
        }
        let beneath = cursor.key().filter(|key| **key >= *from).map(<[u8]>::to_vec);
        Ok(own.cloned().into_iter().chain(beneath).max())
    }

    fn totals(&self, from: &[u8], end: &[u8]) -> Result<Totals> {
        let mut totals = Moment::now(self.view).totals(from, end)?;
        if from >= end {
            return Ok(totals);
        }
        let range = self.overlay.changed.range::<[u8], _>((Bound::Included(from), Bound::Excluded(end)));
        for (key, local) in range {
            if let Some(old) = self.view.index.get(key)?.filter(|item| !item.tombstone) {
                totals.sub(old.weight);
            }
            if let Local::Put { weight, .. } = local {
                totals.add(*weight);
            }
        }
        Ok(totals)
    }
}
