//! What is done outside the turn of a commit: lists are made, and room in advance.

use std::sync::Arc;

use parking_lot::Mutex;

use super::access_times;
use super::batch::Batch;
use super::context::BucketRef;
use super::outcome::{Made, StepOutcome};
use super::step::Step;
use crate::catalog::keyspace::keys;
use crate::catalog::{self, Moment, Rows};
use crate::engine::state::engine::Engine;
use crate::engine::{Shortlists, Taken};
use crate::error::Result;
use crate::model::{BucketName, Durability, Evicted};
use crate::write::eviction::make_room::{End, Shortfall, make_room};
use crate::write::eviction::scan;
use crate::write::eviction::scope::Scope;
use crate::write::staged::overlay::Staged;

/// How many versions a commit of maintenance evicts at most.
const AT_ONCE: usize = 256;

/// Evicts down to a number of bytes, a bounded number of versions.
#[derive(Debug)]
struct EvictStep {
    bucket: Option<BucketRef>,
    /// What is to be left; nothing for what the budget says is low.
    left: Option<u64>,
    lists: Arc<Shortlists>,
    /// What it took off its list.
    taken: Mutex<Taken>,
}

impl EvictStep {
    /// A step of a bucket or the store.
    fn new(bucket: Option<BucketRef>, left: Option<u64>, lists: &Arc<Shortlists>) -> EvictStep {
        EvictStep { bucket, left, lists: lists.clone(), taken: Mutex::default() }
    }

    fn scope(&self, staged: &mut Staged<'_>) -> Result<Option<Scope>> {
        match &self.bucket {
            Some(bucket) => {
                let Ok(state) = staged.bucket(bucket) else { return Ok(None) };
                let budget = state.budget.clone();
                Ok(budget.map(|budget| Scope { bucket: Some(state), budget }))
            }
            None => Ok(self.lists.budget().map(|budget| Scope { bucket: None, budget })),
        }
    }
}

impl Step for EvictStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        self.undone();
        let mut made = Made::default();
        let Some(scope) = self.scope(staged)? else { return Ok(StepOutcome::None) };
        let left = self.left.unwrap_or_else(|| scope.budget.low());
        let used = scope.used(staged)?;
        if used > left {
            let mut lists = self.lists.lock();
            let list = lists.entry(scope.id()).or_default();
            let (bytes, mut taken) = (used - left, self.taken.lock());
            let end = make_room(staged, &scope, list, bytes, AT_ONCE, &mut made.evicted, &mut taken)?;
            made.list_ends = end == End::ListEnds;
        }
        Ok(StepOutcome::Evicted(made))
    }

    fn frees(&self) -> bool {
        true
    }

    fn undone(&self) {
        let mut lists = self.lists.lock();
        self.taken.lock().give_back(&mut lists);
    }
}

/// One commit that evicts.
fn commit(engine: &Arc<Engine>, bucket: Option<BucketRef>, left: Option<u64>) -> Result<Made> {
    let lists = engine.shortlists();
    let step = EvictStep::new(bucket, left, lists);
    let (batch, committed) = engine.commit(Batch::of(step).keeping_past(), Durability::Buffered);
    committed?;
    Ok(match batch.outcomes.first() {
        Some(StepOutcome::Evicted(made)) => {
            lists.count(&made.evicted);
            *made
        }
        _ => Made::default(),
    })
}

/// Makes a list, unless somebody has since it was made so often. Says how many bytes may go, if it did.
fn fill(engine: &Arc<Engine>, scope: &Scope, fills: Option<u64>) -> Result<Option<Evicted>> {
    let lists = engine.shortlists();
    let _alone = lists.look();
    let known = lists.lock().get(&scope.id()).map_or(0, |list| list.fills());
    if fills.is_some_and(|fills| fills != known) {
        return Ok(None);
    }
    // What was read lately is known only then. On a full disk it stays unknown.
    match access_times::flush_all(engine) {
        Err(error) if !error.is_full() => return Err(error),
        _ => {}
    }
    lists.begin(scope.id());
    // Commits that were decided before are not offered, and must be seen.
    engine.catch_up();
    match look(engine, scope) {
        Ok(look) => {
            lists.finish(scope.id(), look.list);
            Ok(Some(look.evictable))
        }
        Err(error) => {
            lists.give_up(scope.id());
            Err(error)
        }
    }
}

/// Looks at what there is by now.
fn look(engine: &Arc<Engine>, scope: &Scope) -> Result<scan::Look> {
    let view = engine.pin();
    let scope = Scope { bucket: current(&view, scope)?, budget: scope.budget.clone() };
    scan::look(&view, &scope, engine.millis(), None)
}

/// The bucket as it is by now.
fn current(view: &crate::engine::View, scope: &Scope) -> Result<Option<Arc<crate::catalog::BucketState>>> {
    let Some(state) = &scope.bucket else { return Ok(None) };
    let found = catalog::find_bucket(&Moment::now(view), &state.name)?;
    Ok(Some(found.filter(|found| found.row.id == state.row.id).unwrap_or_else(|| state.clone())))
}

/// Makes ready what a commit was lacking. Says whether trying again is of use.
pub fn make_ready(engine: &Arc<Engine>, shortfall: Shortfall) -> Result<bool> {
    engine.refuse_inside_turn()?;
    match shortfall {
        Shortfall::List { bucket, budget, fills } => {
            fill(engine, &Scope { bucket, budget }, Some(fills))?;
            Ok(true)
        }
        Shortfall::Room { bucket, budget, growth } => {
            let scope = Scope { bucket, budget };
            let view = engine.pin();
            let left = scope.budget.bytes.saturating_sub(growth);
            let over = scope.used(&Moment::now(&view))?.saturating_sub(left);
            drop(view);
            let evictable = fill(engine, &scope, None)?.unwrap_or_default();
            // Nothing goes in vain.
            if evictable.bytes < over {
                return Ok(false);
            }
            let bucket = scope.bucket.as_ref().map(|of| BucketRef::new(of.name.clone(), of.row.id));
            let mut was_stuck = false;
            loop {
                let made = commit(engine, bucket.clone(), Some(left))?;
                let is_stuck = made.evicted.objects == 0;
                let is_done = !made.list_ends && made.evicted.objects < AT_ONCE as u64;
                if is_done || (is_stuck && was_stuck) {
                    return Ok(true);
                }
                if made.list_ends {
                    fill(engine, &scope, None)?;
                }
                was_stuck = is_stuck;
            }
        }
    }
}

/// Evicts a bounded number of versions where less is free than a budget's headroom. `None` if that is so nowhere, or
/// nothing may go.
pub fn step(engine: &Arc<Engine>) -> Result<Option<Evicted>> {
    let mut scopes: Vec<Option<BucketRef>> = Vec::new();
    let view = engine.pin();
    let moment = Moment::now(&view);
    for (id, name) in budgeted(&moment)? {
        scopes.push(Some(BucketRef::new(name, id)));
    }
    scopes.extend(engine.shortlists().budget().map(|_| None));
    for bucket in scopes {
        let Some(scope) = scope_of(engine, &moment, bucket.as_ref())? else { continue };
        if scope.used(&moment)? <= scope.budget.low() {
            continue;
        }
        let mut made = commit(engine, bucket.clone(), None)?;
        if made.list_ends && made.evicted.objects == 0 {
            fill(engine, &scope, None)?;
            made = commit(engine, bucket, None)?;
        }
        if made.evicted.objects > 0 {
            return Ok(Some(made.evicted));
        }
    }
    Ok(None)
}

fn scope_of(engine: &Engine, moment: &Moment<'_>, bucket: Option<&BucketRef>) -> Result<Option<Scope>> {
    let Some(bucket) = bucket else {
        return Ok(engine.shortlists().budget().map(|budget| Scope { bucket: None, budget }));
    };
    let state = catalog::find_bucket(moment, &bucket.name)?.filter(|state| state.row.id == bucket.id);
    Ok(state.and_then(|state| {
        let budget = state.budget.clone()?;
        Some(Scope { bucket: Some(state), budget })
    }))
}

/// The buckets that have a budget.
fn budgeted(moment: &Moment<'_>) -> Result<Vec<(u64, BucketName)>> {
    let mut ids = Vec::new();
    let (from, end) = keys::configs_from(1);
    moment.walk(&from, &end, &mut |key| {
        ids.extend(
            keys::parse_config(key).filter(|(_, name)| *name == catalog::budget::NAME).map(|(id, _)| id),
        );
        Ok(true)
    })?;
    let mut named = Vec::new();
    for id in ids {
        let Some(found) = moment.get(&keys::bucket_by_id(id))? else { continue };
        named.extend(BucketName::new(&String::from_utf8_lossy(&found.payload)).ok().map(|name| (id, name)));
    }
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Bucket, Store};
    use crate::engine::{Proposal, State};
    use crate::model::{Budget, EvictBy};
    use crate::ops::object::body_in::Body;
    use crate::ops::object::put;
    use crate::ops::object::put::PutOptions;

    fn names(bucket: &Bucket) -> Vec<String> {
        bucket.list("").unwrap().map(|entry| entry.unwrap().name().to_string()).collect()
    }

    /// A bucket with room for ten objects of 100 bytes, of which the lower priorities go first.
    fn full() -> (Store, Bucket) {
        let store = Store::in_memory().unwrap();
        let bucket = store.create_bucket("cats").unwrap();
        bucket.set_config(&Budget::bytes(1000).headroom(0).order([EvictBy::Priority])).unwrap();
        (0..10).for_each(|number| put(&bucket, number));
        (store, bucket)
    }

    fn put(bucket: &Bucket, number: u8) {
        bucket.put_with(&format!("{number:02}"), [7; 100], PutOptions::new().priority(number)).unwrap();
    }

    /// As when a group is full, or could not be written: its members are asked again.
    #[test]
    fn a_batch_that_is_asked_again_takes_the_same_off_its_list() {
        let (store, bucket) = full();
        // A list is made, and is whole.
        put(&bucket, 10);
        let engine = store.engine();
        let body = Body::from(vec![1; 300]);
        let options = PutOptions::new().priority(200);
        let step = put::step(engine, bucket.reference(), "big", body, options, 1000).unwrap();
        let mut batch = Batch::of(step).within(engine.shortlists(), false);
        for _ in 0..4 {
            let view = engine.pin();
            let (lsn, millis, mistake) = (view.lsn + 1, engine.millis(), engine.mistake());
            batch.decide(&State { view: &view, lsn, millis, mistake }).unwrap();
        }
        let (_, committed) = engine.commit(batch, Durability::Buffered);
        committed.unwrap();
        assert_eq!(names(&bucket), ["04", "05", "06", "07", "08", "09", "10", "big"]);
        bucket.put("all", [1; 1000]).unwrap();
        assert_eq!(names(&bucket), ["all"]);
    }

    /// The same for evictions in advance.
    #[test]
    fn an_eviction_that_is_asked_again_takes_the_same_off_its_list() {
        let (store, bucket) = full();
        put(&bucket, 10);
        let engine = store.engine();
        let step = EvictStep::new(Some(bucket.reference().clone()), Some(700), engine.shortlists());
        let mut batch = Batch::of(step);
        for _ in 0..3 {
            let view = engine.pin();
            let (lsn, millis, mistake) = (view.lsn + 1, engine.millis(), engine.mistake());
            batch.decide(&State { view: &view, lsn, millis, mistake }).unwrap();
        }
        let (_, committed) = engine.commit(batch, Durability::Buffered);
        committed.unwrap();
        assert_eq!(names(&bucket), ["04", "05", "06", "07", "08", "09", "10"]);
        bucket.put("all", [1; 1000]).unwrap();
        assert_eq!(names(&bucket), ["all"]);
    }

    /// A writer that holds the turn makes a list while another one is being made from an older view: what is written
    /// behind that view must be on the list that counts in the end.
    #[test]
    fn a_look_in_the_turn_takes_nothing_from_one_in_progress() {
        let (store, bucket) = full();
        let engine = store.engine();
        let view = engine.pin();
        let scope = scope_of(engine, &Moment::now(&view), Some(bucket.reference())).unwrap().unwrap();
        engine.shortlists().begin(scope.id());
        let looked = scan::look(&view, &scope, engine.millis(), None).unwrap();
        store
            .write(|tx| {
                assert!(!tx.exists(&bucket, "there is none")?);
                tx.put_with(&bucket, "10", [7; 100], PutOptions::new().priority(10))
            })
            .unwrap();
        put(&bucket, 11);
        engine.shortlists().finish(scope.id(), looked.list);
        (12..30).for_each(|number| put(&bucket, number));
        assert_eq!(names(&bucket)[0], "20");
        assert_eq!(names(&bucket).len(), 10);
    }
}
