//! From staged rows to the changes that the engine commits.

use std::collections::BTreeMap;

use super::overlay::{Instant, Local, Overlay};
use super::shared_bodies::{Row, Sum, has_blobs, plain_changes};
use crate::catalog::changes::note::{self, Said};
use crate::catalog::keyspace::keys;
use crate::catalog::{Moment, Rows, work};
use crate::engine::{Change, NewBody, View};
use crate::error::Result;
use crate::format::entry::Extent;
use crate::index::Weight;
use crate::segment::TIERS;

impl Overlay {
    /// Whether a step has left work to be done in bounded steps.
    pub fn leaves_work(&self) -> bool {
        let left = |(from, end): (Vec<u8>, Vec<u8>)| {
            self.changed.range(from..end).any(|(_, local)| matches!(local, Local::Put { .. }))
        };
        left(keys::all_tidy()) || left(keys::all_moving())
    }

    /// Leaves word of rows whose body does not lie where their class wants it. A row that is written with its body
    /// beside it is one of them, unless it is Standard.
    fn leave_moves(&mut self, view: &View, now: Instant) {
        let lies = |extent: &Extent| view.segments.get(extent.segment).ok().map(|found| found.header.tier);
        let elsewhere = |extents: &[Extent], tier| extents.iter().filter_map(lies).any(|lies| lies != tier);
        let mut found = Vec::new();
        for (key, local) in &self.changed {
            let Local::Put { weight, body, .. } = local else { continue };
            let strays = |tier| match body {
                NewBody::None | NewBody::Inline(_) => false,
                NewBody::Packed(..) => tier > 0,
                NewBody::Extents(extents) => elsewhere(extents, tier),
                NewBody::Shared(shared) if shared.hint.is_empty() => tier > 0 && shared.len > 0,
                // Where the hint is out of date, whoever takes the work up looks where the pieces are.
                NewBody::Shared(shared) => shared.hint.iter().any(|extent| lies(extent) != Some(tier)),
            };
            if !matches!(body, NewBody::None | NewBody::Inline(_))
                && tier_wanted(key, *weight).is_some_and(strays)
            {
                found.push(work::work(now.millis, key));
            }
        }
        for work in found {
            self.numbers += 1;
            let at = keys::moving(now.lsn, self.numbers);
            let (weight, body) = (Weight::default(), NewBody::None);
            self.changed.insert(at, Local::Put { weight, body, payload: work, carried: None });
        }
    }

    /// What the steps add up to. What is not there is not deleted.
    pub fn into_changes(mut self, view: &View, now: Instant, keeps_past: bool) -> Result<Vec<Change>> {
        self.leave_moves(view, now);
        let blobs = !self.pieces.is_empty() || has_blobs(view)?;
        let carried = self.changed.values().any(|local| matches!(local, Local::Put { carried: Some(_), .. }));
        if !blobs && !keeps_past && !carried && self.said.is_empty() {
            return plain_changes(self.changed, view);
        }
        let mut sum =
            Sum { view, now, rows: BTreeMap::new(), refs: BTreeMap::new(), old: BTreeMap::new(), past: 0 };
        let mut sources = Vec::new();
        for (key, local) in self.changed {
            let looks = blobs || keeps_past || carried || matches!(local, Local::Gone);
            let old = if looks { Moment::now(view).get(&key)? } else { None };
            match local {
                Local::Gone if old.is_none() => continue,
                Local::Gone => {
                    sum.rows.insert(key.clone(), Row { what: None, moved: false });
                }
                Local::Put { weight, body, payload, carried } => {
                    let moved = carried.is_some();
                    sources.extend(carried.filter(|_| matches!(body, NewBody::Extents(_))));
                    sum.rows.insert(key.clone(), Row { what: Some((weight, body, payload)), moved });
                }
            }
            if let Some(old) = old {
                sum.old.insert(key, old);
            }
        }
        let mut said = self.said;
        for source in sources {
            if sum.keep_source(&source)? && keys::parse_place(&source).is_some() {
                said.push(Said::Same { at: source });
            }
        }
        if keeps_past {
            sum.keep_past();
        }
        let mut numbers = self.numbers;
        if carried || keeps_past {
            sum.share(&mut numbers);
        }
        sum.count_refs();
        sum.settle_blobs(&self.pieces, &mut numbers)?;
        // Of nothing there is nothing to say: deleting what is not there is no commit.
        if !said.is_empty() && !sum.rows.is_empty() {
            sum.put(vec![keys::NOTE], NewBody::None, note::encode(&said));
        }
        Ok(sum.into_changes())
    }
}

/// The tier that a row's body should lie in, if it is the row of an object or a version.
fn tier_wanted(key: &[u8], weight: Weight) -> Option<u8> {
    (keys::has_body(key) && weight.slot < TIERS).then_some(weight.slot)
}
