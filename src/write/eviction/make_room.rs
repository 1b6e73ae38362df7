//! Making room: what a commit evicts so that it stays within the budgets, decided in its turn.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use super::rank::{Facts, Ranking, held_until};
use super::scan;
use super::scope::Scope;
use crate::catalog::keyspace::keys;
use crate::catalog::{self, BucketState, Found, HeadRow, Kind, Moment, Rows};
use crate::engine::{Listed, Shortlist, Shortlists, Taken};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Budget, Evicted};
use crate::write::context::BucketRef;
use crate::write::staged::overlay::{Staged, TouchedVersion};
use crate::write::version_chain::Chain;

/// How many versions a commit that does something else evicts at most; more than that go in commits of their own before it.
const MOST: usize = 1024;

/// What a commit is lacking, to be made ready outside its turn.
#[derive(Debug)]
pub enum Shortfall {
    /// A list of what goes next, which was made so often.
    List {
        /// The bucket, or nothing for the store.
        bucket: Option<Arc<BucketState>>,
        /// Its budget.
        budget: Arc<Budget>,
        /// How often it was made.
        fills: u64,
    },
    /// Room for so many bytes, which is more than one commit should make.
    Room {
        /// The bucket, or nothing for the store.
        bucket: Option<Arc<BucketState>>,
        /// Its budget.
        budget: Arc<Budget>,
        /// How many bytes more the commit stores.
        growth: u64,
    },
}

/// How a commit stays within the budgets.
#[derive(Debug, Default)]
pub struct Settled {
    /// What it evicts.
    pub evicted: Evicted,
    /// Whether maintenance should make more room.
    pub is_short: bool,
    /// What it is lacking; then it cannot be committed yet.
    pub shortfall: Option<Shortfall>,
}

/// What making room came to.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    Enough,
    /// So many versions have gone that it is time for another commit.
    Many,
    /// The list has no more, and there may be others.
    ListEnds,
    /// Nothing may go any more.
    NothingLeft,
}

type Lists = HashMap<u64, Shortlist>;

/// Evicts what makes the changes so far stay within the budgets of the buckets they are about, and of the store.
/// `QuotaExceeded` if nothing may go any more. `in_turn` says that nothing can be made ready elsewhere. Offers what has changed
/// to the lists.
pub fn settle(
    staged: &mut Staged<'_>,
    lists: &Shortlists,
    in_turn: bool,
    only_frees: bool,
    taken: &mut Taken,
) -> Result<Settled> {
    let store = lists.budget();
    let visited = staged.visited();
    if visited.is_empty() && store.is_none() {
        return Ok(Settled::default());
    }
    let mut lists = lists.lock();
    let mut turn = Turn { lists: &mut lists, visited, laid: Rc::default(), in_turn, taken };
    let settled = turn.settle(staged, store, only_frees);
    if !settled.as_ref().is_ok_and(|settled| settled.shortfall.is_none()) {
        turn.taken.give_back(turn.lists);
    }
    settled
}

/// What evictions are decided with.
struct Turn<'t> {
    lists: &'t mut Lists,
    /// The watched buckets that the changes are about.
    visited: Vec<BucketRef>,
    /// The versions that the changes are about, but for evictions.
    laid: Rc<BTreeSet<TouchedVersion>>,
    in_turn: bool,
    taken: &'t mut Taken,
}

impl Turn<'_> {
    fn settle(
        &mut self,
        staged: &mut Staged<'_>,
        store: Option<Arc<Budget>>,
        only_frees: bool,
    ) -> Result<Settled> {
        let mut settled = Settled::default();
        let mut scopes = Vec::new();
        for bucket in &self.visited {
            // A bucket that is gone holds nothing.
            let Ok(state) = staged.bucket(bucket) else { continue };
            if let Some(budget) = state.budget.clone() {
                scopes.push(Scope { bucket: Some(state), budget });
            }
        }
        scopes.extend(store.map(|budget| Scope { bucket: None, budget }));
        // Before anything is evicted: what the changes only put among the older versions may be the first to go.
        self.laid = changed(staged).into();
        self.offer(staged, &scopes, &self.laid.clone())?;
        // What only frees room needs none.
        for scope in scopes.iter().filter(|_| !only_frees) {
            self.keep_within(staged, scope, &mut settled)?;
            if settled.shortfall.is_some() {
                return Ok(settled);
            }
        }
        let evicted = changed(staged);
        self.offer(staged, &scopes, &evicted)?;
        Ok(settled)
    }

    fn keep_within(&mut self, staged: &mut Staged<'_>, scope: &Scope, settled: &mut Settled) -> Result<()> {
        let budget = &scope.budget;
        let mut used = scope.used(staged)?;
        settled.is_short |= used > budget.high();
        if used <= budget.bytes {
            return Ok(());
        }
        let growth = used.saturating_sub(scope.used_before(staged.view)?);
        // What was too much before is not this writer's matter.
        if growth == 0 {
            return Ok(());
        }
        if growth > budget.bytes {
            return Err(exceeded(scope, used));
        }
        let mut evicted = Evicted::default();
        let mut looks = 0;
        while used > budget.bytes {
            let list = self.lists.entry(scope.id()).or_default();
            if !list.is_good(staged.view.structure, staged.now.millis) && self.in_turn {
                // What a bounded list names may turn out to stay, all of it; a second one has everything.
                let most = if looks == 0 { None } else { Some(usize::MAX) };
                looks += 1;
                list.replace(scan::look(staged.view, scope, staged.now.millis, most)?.list);
                self.taken.note_made(scope.id());
                self.offer(staged, std::slice::from_ref(scope), &self.laid.clone())?;
            }
            let list = self.lists.entry(scope.id()).or_default();
            let most = if self.in_turn { usize::MAX } else { MOST.saturating_sub(evicted.objects as usize) };
            match make_room(staged, scope, list, used - budget.bytes, most, &mut evicted, self.taken)? {
                End::Enough => used = scope.used(staged)?,
                End::ListEnds if self.in_turn => list.outdate(),
                end => {
                    let (bucket, budget) = (scope.bucket.clone(), budget.clone());
                    match end {
                        End::ListEnds => {
                            settled.shortfall = Some(Shortfall::List { bucket, budget, fills: list.fills() });
                        }
                        End::Many => settled.shortfall = Some(Shortfall::Room { bucket, budget, growth }),
                        _ => return Err(exceeded(scope, used)),
                    }
                    return Ok(());
                }
            }
        }
        settled.evicted.add(&evicted);
        Ok(())
    }

    /// Offers versions to the lists of these scopes: they may have another place in the order now.
    fn offer(
        &mut self,
        staged: &mut Staged<'_>,
        scopes: &[Scope],
        versions: &BTreeSet<TouchedVersion>,
    ) -> Result<()> {
        for (id, key, part) in versions {
            let Some(bucket) = self.visited.iter().find(|bucket| bucket.id == *id) else { continue };
            let Ok(state) = staged.bucket(bucket) else { continue };
            let listed = Listed { rank: [0; 5], group: *id, key: key[..].into(), part: *part };
            let Some((head, found)) = find(staged, &state, &listed)? else { continue };
            for scope in scopes {
                if scope.bucket.as_ref().is_some_and(|of| of.row.id != *id) {
                    continue;
                }
                let Some(list) = self.lists.get_mut(&scope.id()) else { continue };
                if !counts_there(staged, scope, &state, &listed, &found) {
                    continue;
                }
                let ranking = Ranking::new(&scope.budget, &state);
                let accessed = if part.is_none() { ranking.read_access(staged, key)? } else { None };
                let facts = Facts::of(key, &head.row, *part, accessed);
                let Some(rank) = ranking.rank(&facts)? else { continue };
                list.name(*id, &state.name);
                let listed = ranking.listed(&facts, rank);
                match held_until(&state, &head, staged.now.millis) {
                    Some(until) => list.expect(until, listed),
                    None => list.offer(listed),
                }
            }
        }
        Ok(())
    }
}

/// The versions that the changes since the last time are about.
fn changed(staged: &mut Staged<'_>) -> BTreeSet<TouchedVersion> {
    let mut changed = BTreeSet::new();
    for (bucket, key, part) in staged.take_laid() {
        if part.is_some() {
            // Whether the current version may go depends on those beneath it.
            changed.insert((bucket, key.clone(), None));
        }
        changed.insert((bucket, key, part));
    }
    changed
}

/// Evicts versions that a list names until so many bytes are free. The list must be good, or it counts as ended. All that
/// comes off it is noted in `taken`.
pub fn make_room(
    staged: &mut Staged<'_>,
    scope: &Scope,
    list: &mut Shortlist,
    bytes: u64,
    most: usize,
    evicted: &mut Evicted,
    taken: &mut Taken,
) -> Result<End> {
    if !list.is_good(staged.view.structure, staged.now.millis) {
        return Ok(End::ListEnds);
    }
    list.ripen(staged.now.millis);
    let mut aside = Vec::new();
    let (mut freed, mut count) = (0, 0);
    let end = loop {
        if freed >= bytes {
            break End::Enough;
        }
        if count >= most {
            break End::Many;
        }
        let Some(next) = list.pop() else {
            break if list.is_whole() { End::NothingLeft } else { End::ListEnds };
        };
        // Whatever it turns out to be, it may be otherwise if this does not come to be.
        taken.note(scope.id(), next.clone());
        match evict(staged, scope, list, &next)? {
            Tried::Evicted(gone) => {
                freed += gone.bytes;
                count += gone.objects as usize;
                evicted.add(&gone);
            }
            Tried::NotNow => aside.push(next),
            Tried::Elsewhere(listed) => list.offer(listed),
            Tried::Held(until) => list.expect(until, next),
            Tried::Gone => {}
        }
    };
    aside.into_iter().for_each(|listed| list.offer(listed));
    Ok(end)
}

/// What became of a version that was to be evicted.
enum Tried {
    Evicted(Evicted),
    /// It is this commit's own.
    NotNow,
    /// It stands elsewhere in the order by now.
    Elsewhere(Listed),
    /// It stays until then.
    Held(u64),
    Gone,
}

fn evict(staged: &mut Staged<'_>, scope: &Scope, list: &Shortlist, listed: &Listed) -> Result<Tried> {
    let state = match &scope.bucket {
        Some(state) => state.clone(),
        None => {
            let Some(name) = list.label(listed.group) else { return Ok(Tried::Gone) };
            match catalog::find_bucket(staged, name)? {
                Some(state) if state.row.id == listed.group => state,
                _ => return Ok(Tried::Gone),
            }
        }
    };
    let Some((head, found)) = find(staged, &state, listed)? else { return Ok(Tried::Gone) };
    if is_own(staged, &state, (&listed.key, listed.part.is_some()), (&head, &found))? {
        return Ok(Tried::NotNow);
    }
    if !counts_there(staged, scope, &state, listed, &found) {
        return Ok(Tried::Gone);
    }
    let ranking = Ranking::new(&scope.budget, &state);
    let key = &listed.key[..];
    let accessed = if listed.part.is_none() { ranking.read_access(staged, key)? } else { None };
    let facts = Facts::of(key, &head.row, listed.part, accessed);
    let Some(rank) = ranking.rank(&facts)? else { return Ok(Tried::Gone) };
    if let Some(until) = held_until(&state, &head, staged.now.millis) {
        return Ok(Tried::Held(until));
    }
    if rank != listed.rank {
        return Ok(Tried::Elsewhere(ranking.listed(&facts, rank)));
    }
    let mut gone = Evicted { objects: 1, bytes: head.row.size };
    let mut versions = vec![head.version()];
    if listed.part.is_none() && state.versioning().is_some() {
        // Without the current version an older one would be current, so that they all go or none.
        let mut after = Vec::new();
        while let Some((tail, found)) =
            state.bucket_view(staged).next_version(Kind::Version, key.as_bytes(), &after)?
        {
            let head = HeadRow::of(key, &found)?;
            if is_own(staged, &state, (key, true), (&head, &found))? {
                return Ok(Tried::NotNow);
            }
            if let Some(until) = held_until(&state, &head, staged.now.millis) {
                return Ok(Tried::Held(until));
            }
            if !head.row.is_marker() {
                gone.add(&Evicted { objects: 1, bytes: head.row.size });
            }
            versions.push(head.version());
            after = tail;
        }
    }
    let mut chain = Chain::new(staged, &state);
    for version in versions.iter().rev() {
        chain.delete_version(key, version)?;
    }
    Ok(Tried::Evicted(gone))
}

/// Whether this commit writes a version: makes it, or changes it where it lies. What it only puts among the older ones,
/// because another one is current now, is not its own.
fn is_own(
    staged: &Staged<'_>,
    state: &BucketState,
    (key, older): (&str, bool),
    (head, found): (&HeadRow, &Found),
) -> Result<bool> {
    if found.lsn != staged.now.lsn {
        return Ok(false);
    }
    if !older || head.lsn == staged.now.lsn {
        return Ok(true);
    }
    let at = state.bucket_view(staged).write_key(Kind::Version, key.as_bytes(), &head.tail());
    Ok(Moment::now(staged.view).get(&at)?.is_some())
}

/// The row of a version as the changes so far leave it.
fn find(staged: &Staged<'_>, state: &BucketState, listed: &Listed) -> Result<Option<(HeadRow, Found)>> {
    let bucket_view = state.bucket_view(staged);
    let Some((lsn, n)) = listed.part else {
        return catalog::find_head(bucket_view, &listed.key);
    };
    let found = bucket_view.get(Kind::Version, listed.key.as_bytes(), &keys::version_tail(lsn, n))?;
    found.map(|found| Ok((HeadRow::of(&listed.key, &found)?, found))).transpose()
}

/// Whether fewer bytes are stored without a version: what a bucket shares with others stays when it goes there.
fn counts_there(
    staged: &Staged<'_>,
    scope: &Scope,
    state: &BucketState,
    listed: &Listed,
    found: &Found,
) -> bool {
    let (kind, tail) = match listed.part {
        None => (Kind::Head, Vec::new()),
        Some((lsn, n)) => (Kind::Version, keys::version_tail(lsn, n).to_vec()),
    };
    // What this commit writes lies where it is written; `at` may say where its body is taken from.
    scope.bucket.is_some()
        || found.lsn == staged.now.lsn
        || state.bucket_view(staged).write_key(kind, listed.key.as_bytes(), &tail) == found.at
}

/// `QuotaExceeded`.
fn exceeded(scope: &Scope, used: u64) -> Error {
    let what = match &scope.bucket {
        Some(state) => format!("the bucket {}", state.name),
        None => "the store".to_string(),
    };
    Error::new(
        ErrorKind::Quota,
        "QuotaExceeded",
        format!(
            "{what} has a budget of {} bytes and would hold {used}, and not enough of it may be evicted; delete or unpin \
             something, or set another budget",
            scope.budget.bytes
        ),
    )
}
