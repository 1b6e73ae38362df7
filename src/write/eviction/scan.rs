//! The look through a bucket, or all of them, for what goes first.

use std::sync::Arc;

use super::rank::{Facts, Ranking, held_until, stays};
use super::scope::{Scope, used_by};
use crate::catalog::keyspace::keys;
use crate::catalog::{self, BucketState, HeadRow, Kind, Moment, Rows, unreadable};
use crate::engine::{Shortlist, View};
use crate::error::{Error, Result};
use crate::format::row::{self, Keep, ObjectGlance, ObjectRow};
use crate::model::{Budget, Evicted};

/// The fewest things that a list holds, and the most.
const LISTED: (i64, i64) = (1024, 65_536);

/// What a look has found.
#[derive(Debug)]
pub struct Look {
    /// The first things in order.
    pub list: Shortlist,
    /// All that may go.
    pub evictable: Evicted,
}

/// Looks through what a budget is for. A look costs what there is, so the list is the longer the more there is, unless
/// it is said how long it is.
pub fn look(view: &View, scope: &Scope, millis: u64, most: Option<usize>) -> Result<Look> {
    let moment = Moment::now(view);
    if let Some(most) = most {
        return look_for(&moment, scope, millis, most);
    }
    let objects: i64 = match &scope.bucket {
        Some(state) => count(&state.bucket_view(&moment).totals(Kind::Head, b"", None)?),
        None => {
            let (from, end) = keys::all_bodies();
            count(&moment.totals(&from, &end)?)
        }
    };
    let most = (objects / 16).clamp(LISTED.0, LISTED.1) as usize;
    look_for(&moment, scope, millis, most)
}

fn count(totals: &crate::index::Totals) -> i64 {
    (0..catalog::UPLOAD_SLOT).map(|slot| totals.objects(slot)).sum()
}

/// The same, for so many things.
pub fn look_for(moment: &Moment<'_>, scope: &Scope, millis: u64, most: usize) -> Result<Look> {
    let list = Shortlist::new(most, moment.view.structure);
    let mut look = Look { list, evictable: Evicted::default() };
    match &scope.bucket {
        Some(state) => look.bucket(moment, state, &scope.budget, millis, false)?,
        None => {
            let mut after = None;
            loop {
                let buckets = catalog::list_buckets(moment, after.as_deref(), 256)?;
                for state in &buckets {
                    look.bucket(moment, state, &scope.budget, millis, true)?;
                }
                match buckets.last() {
                    Some(last) if buckets.len() == 256 => after = Some(last.name.to_string()),
                    _ => break,
                }
            }
        }
    }
    Ok(look)
}

impl Look {
    /// Looks through a bucket. With `own_only`, what it shares with others does not count: it would not go with it.
    fn bucket(
        &mut self,
        moment: &Moment<'_>,
        state: &Arc<BucketState>,
        budget: &Budget,
        millis: u64,
        own_only: bool,
    ) -> Result<()> {
        if used_by(moment, state)? == 0 {
            return Ok(());
        }
        self.list.name(state.row.id, &state.name);
        let ranking = Ranking::new(budget, state);
        match state.route.own_space().filter(|_| moment.at.is_none()) {
            Some(space) => self.plain(moment, state, &ranking, millis, space),
            None => self.anywhere(moment, state, &ranking, millis, own_only),
        }
    }

    /// Rows of a bucket whose keys lie in one space are read in the order they lie in.
    fn plain(
        &mut self,
        moment: &Moment<'_>,
        state: &BucketState,
        ranking: &Ranking<'_>,
        millis: u64,
        space: u64,
    ) -> Result<()> {
        let mut cursor = moment.view.index.cursor();
        for kind in [Kind::Head, Kind::Version] {
            if kind == Kind::Version && state.versioning().is_none() {
                continue;
            }
            let end = keys::space_end(kind, false, space);
            cursor.seek(&keys::bound(kind, false, space, b""))?;
            while let Some(at) = cursor.key().filter(|at| **at < *end) {
                let stored_at;
                let (key, part) = if kind == Kind::Head {
                    (keys::parse_object(at).ok_or_else(no_object)?.1, None)
                } else {
                    stored_at = keys::parse_place(at).ok_or_else(no_object)?;
                    let key = str::from_utf8(&stored_at.key).map_err(|_| no_object())?;
                    (key, keys::parse_tail(&stored_at.tail))
                };
                let item = cursor.item()?.ok_or_else(no_object)?;
                let stored = moment.view.stored(&item)?;
                self.version(moment, state, ranking, millis, (key, part), &stored.payload, stored.lsn)?;
                drop(stored);
                drop(item);
                cursor.next()?;
            }
        }
        Ok(())
    }

    /// The same in any bucket, and at any moment.
    fn anywhere(
        &mut self,
        moment: &Moment<'_>,
        state: &BucketState,
        ranking: &Ranking<'_>,
        millis: u64,
        own_only: bool,
    ) -> Result<()> {
        let bucket_view = state.bucket_view(moment);
        let is_own = |kind, key: &[u8], tail: &[u8], found: &catalog::Found| {
            !own_only || bucket_view.write_key(kind, key, tail) == found.at
        };
        let mut next = bucket_view.next(Kind::Head, b"", None)?;
        while let Some((mut at, found)) = next {
            let key = str::from_utf8(&at).map_err(|_| no_object())?;
            if is_own(Kind::Head, &at, b"", &found) {
                self.version(moment, state, ranking, millis, (key, None), &found.payload, found.lsn)?;
            }
            let mut older = match state.versioning() {
                Some(_) => bucket_view.next_version(Kind::Version, &at, b"")?,
                None => None,
            };
            while let Some((tail, found)) = older {
                if is_own(Kind::Version, &at, &tail, &found) {
                    let part = keys::parse_tail(&tail);
                    self.version(moment, state, ranking, millis, (key, part), &found.payload, found.lsn)?;
                }
                older = bucket_view.next_version(Kind::Version, &at, &tail)?;
            }
            at.push(0);
            next = bucket_view.next(Kind::Head, &at, None)?;
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments, reason = "what is known of a version before its row is read")]
    fn version(
        &mut self,
        rows: &impl Rows,
        state: &BucketState,
        ranking: &Ranking<'_>,
        millis: u64,
        (key, part): (&str, Option<(u64, u32)>),
        payload: &[u8],
        lsn: u64,
    ) -> Result<()> {
        let seen = ObjectGlance::read(payload).map_err(unreadable)?;
        let keep = Keep::read(payload).map_err(unreadable)?;
        if stays(&keep) {
            return Ok(());
        }
        let accessed = if part.is_none() { ranking.read_access(rows, key)? } else { None };
        let whole: ObjectRow;
        let mut held = None;
        let facts = if ranking.asks_tags() || state.row.guarded || state.row.worm.is_some() {
            let row: ObjectRow = row::decode(payload).map_err(unreadable)?;
            let head = HeadRow { row, lsn };
            held = held_until(state, &head, millis);
            whole = head.row;
            Facts::of(key, &whole, part, accessed)
        } else {
            Facts::seen(key, &seen, keep, part, accessed)
        };
        let Some(rank) = ranking.rank(&facts)? else { return Ok(()) };
        if let Some(until) = held {
            self.list.expect(until, ranking.listed(&facts, rank));
            return Ok(());
        }
        self.evictable.add(&Evicted { objects: 1, bytes: facts.size });
        if self.list.wants(&rank) {
            self.list.offer(ranking.listed(&facts, rank));
        }
        Ok(())
    }
}

fn no_object() -> Error {
    Error::corrupt("the index", 0, "a key among the objects is no object's")
}
