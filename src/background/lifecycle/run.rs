//! Runs: once a day, at 00:00 UTC by the store's clock, every bucket with rules is walked, a stretch at a time.
//!
//! How far a run has come stands in a row that is written with each stretch. Days on which the store was closed need no
//! runs of their own: what was due on them is due still.

use std::sync::Arc;
use std::time::Duration;

use super::apply::RunStep;
use super::scan::{Bounds, Scan, Stretch};
use crate::catalog::keyspace::keys;
use crate::catalog::{self, BucketState, Moment, Rows, lifecycle as rows};
use crate::engine::View;
use crate::engine::state::engine::Engine;
use crate::env::Planted;
use crate::error::{Error, Result};
use crate::format::row::{self, PlaceRow, RunRow, RunningRow};
use crate::index::Weight;
use crate::model::{DAY, Durability, LifecycleCounts, LifecycleReport, Plan, day_of};
use crate::write::access_times::is_ahead;
use crate::write::batch::Batch;
use crate::write::commit;
use crate::write::context::{BucketRef, Reading, bucket_of};
use crate::write::outcome::StepOutcome;
use crate::write::staged::overlay::Staged;
use crate::write::step::Step;

/// What one step looks at and changes at most.
const BOUNDS: Bounds = Bounds { seen: 8192, due: 256 };

/// How many notes of accesses one step looks at.
const NOTES: usize = 2048;

/// How long a store with rules lets pass between two looks at the clock: a machine that sleeps does not count time.
const LOOK: Duration = Duration::from_secs(3600);

/// How long maintenance may sleep until there may be something to do; `None` if there are no rules.
pub fn next_due(engine: &Engine) -> Result<Option<Duration>> {
    let run = rows::find_run(&Moment::now(&engine.view()))?;
    let millis = engine.millis();
    let to_midnight = Duration::from_millis(DAY - millis % DAY);
    Ok(run.map(|_| to_midnight.min(LOOK)))
}

/// Does one step of the run that is due. `None` if none is.
pub fn step(engine: &Arc<Engine>) -> Result<Option<LifecycleCounts>> {
    let view = engine.pin();
    let moment = Moment::now(&view);
    let Some(before) = rows::find_run(&moment)? else {
        return Ok(None);
    };
    let today = day_of(engine.millis());
    let mut running = match &before.running {
        Some(running) if running.day <= today => running.clone(),
        // A run of a day that is still to come was begun under a clock that was ahead: it is dropped where it is.
        Some(_) if before.done == today => return drop_run(engine, before, today).map(Some),
        // A clock that was set back makes the run of that day again, which changes nothing that is not due.
        _ if before.done != today => RunningRow { day: today, ..RunningRow::default() },
        _ => return Ok(None),
    };
    let in_buckets = !matches!(running.place, PlaceRow::Accesses(_));
    let next = if in_buckets { next_bucket(&moment, running.bucket)? } else { None };
    let Some((state, rules)) = next else {
        return sweep(engine, &moment, before, running, today).map(Some);
    };
    if state.row.id != running.bucket {
        running.place = PlaceRow::default();
    }
    let (id, day) = (state.row.id, running.day);
    let stretch = stretch_of(engine, &view, &state, (day, false), &running.place)?;
    let (bucket, place) = match &stretch.next {
        Some(place) => (id, place.clone()),
        None => (id + 1, PlaceRow::default()),
    };
    let mut after = RunRow { done: before.done, running: Some(RunningRow { day, bucket, place }) };
    if engine.mistake().is(Planted::RunEndsEarly) {
        after = RunRow { done: day, running: None };
    }
    commit(engine, &state, rules, stretch, day, Some((before, Some(after)))).map(Some)
}

/// The first bucket with this id or above that has rules, and the commit that set them.
fn next_bucket(moment: &Moment<'_>, from: u64) -> Result<Option<(Arc<BucketState>, u64)>> {
    let (mut from, end) = keys::configs_from(from);
    while let Some(key) = moment.next(&from, &end)? {
        let Some((id, _)) = keys::parse_config(&key) else { break };
        if let Some(found) = moment.get(&keys::config(id, rows::RULES))?
            && let Some(state) = bucket_of(moment, id)?
        {
            return Ok(Some((state, found.lsn)));
        }
        (from, _) = keys::configs_from(id + 1);
    }
    Ok(None)
}

#[derive(Debug)]
struct LeaveStep;

impl Step for LeaveStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        let Some(RunRow { done, running: Some(running) }) = rows::find_run(staged)? else {
            return Ok(StepOutcome::None);
        };
        let place = place_behind(staged, &running)?;
        if place != running.place {
            let run = RunRow { done, running: Some(RunningRow { place, ..running }) };
            staged.put(keys::lifecycle_run(), Weight::default(), row::encode(&run));
        }
        Ok(StepOutcome::None)
    }

    fn frees(&self) -> bool {
        true
    }
}

/// Lets a run that is being made go on from something that is there, and not from the name of something that is gone.
pub fn leave_place(engine: &Arc<Engine>) -> Result<()> {
    let running = rows::find_run(&Moment::now(&engine.view()))?.and_then(|run| run.running);
    match running {
        Some(running) if running.place != PlaceRow::default() => {
            commit::commit_one(engine, LeaveStep, Durability::Buffered).map(drop)
        }
        _ => Ok(()),
    }
}

/// Where a run goes on if what it has come to is gone: at the next that is there.
fn place_behind(staged: &Staged<'_>, running: &RunningRow) -> Result<PlaceRow> {
    let place = &running.place;
    let next = |at: &Vec<u8>, end: Vec<u8>| Ok::<_, Error>(staged.next(at, &end)?.unwrap_or(end));
    if let PlaceRow::Accesses(at) = place {
        return Ok(PlaceRow::Accesses(next(at, keys::all_accesses().1)?));
    }
    let Some(state) = bucket_of(staged, running.bucket)? else { return Ok(PlaceRow::default()) };
    let (PlaceRow::Objects(key) | PlaceRow::Versions { key, .. }) = place else {
        let PlaceRow::Uploads(at) = place else { return Ok(place.clone()) };
        return Ok(PlaceRow::Uploads(next(at, keys::uploads_end(running.bucket))?));
    };
    Ok(match state.bucket_view(staged).next(catalog::Kind::Head, key, None)? {
        Some((there, _)) if there == *key => place.clone(),
        Some((there, _)) => PlaceRow::Objects(there),
        None => PlaceRow::Uploads(keys::uploads_from(running.bucket, b"")),
    })
}

/// Walks one stretch of a bucket.
fn stretch_of(
    engine: &Engine,
    view: &View,
    state: &BucketState,
    (day, asked): (u64, bool),
    place: &PlaceRow,
) -> Result<Stretch> {
    let Some(lifecycle) = &state.lifecycle else {
        return Ok(Stretch::default());
    };
    let midnight = day.saturating_mul(DAY);
    let plan = if asked { Plan::asked(lifecycle, midnight) } else { Plan::new(lifecycle, midnight) };
    let mut blind = None;
    if engine.mistake().is(Planted::ExpireHeld) {
        let state = blind.insert(state.clone());
        (state.row.guarded, state.row.worm) = (false, None);
    }
    let state = blind.as_ref().unwrap_or(state);
    let moment = Moment::now(view);
    Scan { moment: &moment, state, plan: &plan, millis: engine.millis() }.stretch(place, BOUNDS)
}

/// Does what a stretch found.
fn commit(
    engine: &Arc<Engine>,
    state: &BucketState,
    rules: u64,
    stretch: Stretch,
    day: u64,
    run: Option<(RunRow, Option<RunRow>)>,
) -> Result<LifecycleCounts> {
    let counts = LifecycleCounts { seen: stretch.seen, held: stretch.held, ..LifecycleCounts::default() };
    let bucket = BucketRef::new(state.name.clone(), state.row.id);
    let step = |due, only_frees| RunStep {
        bucket: Some((bucket.clone(), rules)),
        due,
        counts,
        day,
        ends: stretch.next.is_none(),
        forgotten: Vec::new(),
        ahead: Vec::new(),
        run: run.clone(),
        only_frees,
    };
    match propose(engine, step(stretch.due.clone(), false)) {
        // On a full disk what gives room back is done, and the rest is due tomorrow as well.
        Err(error) if error.is_full() => propose(engine, step(stretch.due, true)),
        done => done,
    }
}

fn propose(engine: &Arc<Engine>, step: RunStep) -> Result<LifecycleCounts> {
    // What a daily run loses in a crash it does again; whoever asks for a run of their own may rely on it.
    let durability = if step.run.is_some() { Durability::Buffered } else { Durability::Synced };
    let batch = Batch::of(step).keeping_past().within(engine.shortlists(), false);
    let (batch, committed) = engine.commit(batch, durability);
    committed?;
    Ok(match batch.outcomes.first() {
        Some(StepOutcome::Lifecycle(counts)) => *counts,
        _ => LifecycleCounts::default(),
    })
}

/// When all buckets are done: forgets what was noted of objects and buckets that are no more, and then ends the run.
fn sweep(
    engine: &Arc<Engine>,
    moment: &Moment<'_>,
    before: RunRow,
    running: RunningRow,
    today: u64,
) -> Result<LifecycleCounts> {
    let (start, end) = keys::all_accesses();
    let from = match running.place {
        PlaceRow::Accesses(from) => from,
        _ => start,
    };
    let (mut forgotten, mut ahead, mut looked, mut goes_on) = (Vec::new(), Vec::new(), 0, None);
    let mut known: Option<(u64, Option<Arc<BucketState>>)> = None;
    moment.walk(&from, &end, &mut |at| {
        if looked == NOTES {
            goes_on = Some(at.to_vec());
            return Ok(false);
        }
        looked += 1;
        let Some((id, key)) = keys::parse_access(at) else { return Ok(true) };
        if known.as_ref().is_none_or(|(known, _)| *known != id) {
            known = Some((id, bucket_of(moment, id)?));
        }
        let state = known.as_ref().and_then(|(_, state)| state.as_ref()).filter(|state| state.monitored);
        let is_there = match state {
            Some(state) => state.bucket_view(moment).get(catalog::Kind::Head, key.as_bytes(), b"")?.is_some(),
            None => false,
        };
        if !is_there {
            forgotten.push(at.to_vec());
        } else if let Some(found) = moment.get(at)?
            && is_ahead(rows::decode_day(&found.payload)?, today)
        {
            ahead.push(at.to_vec());
        }
        Ok(true)
    })?;
    let day = running.day;
    let after = match goes_on {
        Some(from) => Some(RunRow {
            done: before.done,
            running: Some(RunningRow { place: PlaceRow::Accesses(from), ..running_at(day) }),
        }),
        // Without rules and notes no more runs are made.
        None if looked == 0 && !has_any(moment)? => None,
        None => Some(RunRow { done: day, running: None }),
    };
    let step = RunStep {
        bucket: None,
        due: Vec::new(),
        counts: LifecycleCounts::default(),
        day,
        ends: false,
        forgotten,
        ahead,
        run: Some((before, after)),
        only_frees: true,
    };
    propose(engine, step)
}

/// Ends a run whose day is still to come, with nothing more done.
fn drop_run(engine: &Arc<Engine>, before: RunRow, today: u64) -> Result<LifecycleCounts> {
    let after = RunRow { done: before.done, running: None };
    let step = RunStep {
        bucket: None,
        due: Vec::new(),
        counts: LifecycleCounts::default(),
        day: today,
        ends: false,
        forgotten: Vec::new(),
        ahead: Vec::new(),
        run: Some((before, Some(after))),
        only_frees: true,
    };
    propose(engine, step)
}

fn running_at(day: u64) -> RunningRow {
    RunningRow { day, bucket: u64::MAX, place: PlaceRow::default() }
}

/// Whether any bucket has rules or notes accesses.
fn has_any(moment: &Moment<'_>) -> Result<bool> {
    let (from, end) = keys::configs_from(0);
    let mut found = false;
    moment.walk(&from, &end, &mut |key| {
        let name = keys::parse_config(key).map(|(_, name)| name);
        found = matches!(name, Some(rows::RULES | rows::MONITOR));
        Ok(!found)
    })?;
    Ok(found)
}

/// What the last run did in a bucket, or has done so far; `None` if none came to it yet.
pub fn report(reading: &Reading, bucket: &BucketRef) -> Result<Option<LifecycleReport>> {
    reading.with(|moment| {
        bucket.state(moment)?;
        Ok(rows::find_report(moment, bucket.id)?.map(|row| rows::report_of(&row)))
    })
}

/// Carries the rules of a bucket out now, as the run of today does, whether that was made or not. What it did is durable
/// when it returns.
pub fn run_bucket(engine: &Arc<Engine>, bucket: &BucketRef) -> Result<LifecycleCounts> {
    crate::write::access_times::flush_all(engine)?;
    let mut total = LifecycleCounts::default();
    let mut place = PlaceRow::default();
    loop {
        let view = engine.pin();
        let moment = Moment::now(&view);
        let state = bucket.state_unkept(&moment)?;
        let Some(rules) = moment.get(&keys::config(bucket.id, rows::RULES))? else {
            return Ok(total);
        };
        let day = day_of(engine.millis());
        let stretch = stretch_of(engine, &view, &state, (day, true), &place)?;
        let next = stretch.next.clone();
        total.add(&commit(engine, &state, rules.lsn, stretch, day, None)?);
        match next {
            Some(next) => place = next,
            None => return Ok(total),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::api::Store;
    use crate::env::{MemoryVfs, VirtualClock};
    use crate::model::{Lifecycle, Rule};

    /// The clock is set right between the look at it and the commit.
    #[test]
    fn a_step_of_a_day_that_is_still_to_come_does_nothing() {
        let day = Duration::from_millis(DAY);
        let clock = VirtualClock::at(SystemTime::UNIX_EPOCH + day * 20_000);
        let store = Store::builder("/store").vfs(Arc::new(MemoryVfs::new())).clock(clock.clone());
        let store = store.maintenance(crate::Maintenance::Manual).open().unwrap();
        let bucket = store.create_bucket("cats").unwrap();
        bucket.put("a", b"1").unwrap();
        bucket.set_config(&Lifecycle::new([Rule::new("").expire_after(1)])).unwrap();
        let engine = store.engine();
        let step = |ahead: u64| {
            clock.set(SystemTime::UNIX_EPOCH + day * (20_000 + ahead as u32));
            let view = engine.pin();
            let moment = Moment::now(&view);
            let (state, rules) = next_bucket(&moment, 0).unwrap().unwrap();
            let place = PlaceRow::default();
            let stretch = stretch_of(engine, &view, &state, (20_000 + ahead, true), &place).unwrap();
            assert_eq!(stretch.due.len(), 1);
            (state, rules, stretch)
        };
        let (state, rules, stretch) = step(3000);
        clock.set(SystemTime::UNIX_EPOCH + day * 20_003);
        commit(engine, &state, rules, stretch, 23_000, None).unwrap();
        assert!(bucket.exists("a").unwrap() && bucket.lifecycle_report().unwrap().is_none());
        let (state, rules, stretch) = step(4);
        assert_eq!(commit(engine, &state, rules, stretch, 20_004, None).unwrap().expired, 1);
    }
}
