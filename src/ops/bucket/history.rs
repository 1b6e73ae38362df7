//! History: the retained past, how far it reaches, and what is trimmed off it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::catalog::keyspace::keys;
use crate::catalog::{Moment, Rows};
use crate::engine::View;
use crate::engine::state::engine::Engine;
use crate::env::Planted;
use crate::error::{Error, ErrorKind, Result};
use crate::index::Weight;
use crate::model::{Durability, Lsn, to_millis};
use crate::write::batch::Batch;
use crate::write::commit;
use crate::write::context::Reading;
use crate::write::outcome::StepOutcome;
use crate::write::retained::{Retained, since};
use crate::write::staged::overlay::Staged;
use crate::write::step::Step;

/// How many rows one step of trimming removes.
const ROWS: usize = 512;

/// A moment of the past: a time, or a place in the order of commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsOf {
    /// Every commit up to this time.
    Time(SystemTime),
    /// Every commit up to this one.
    Lsn(Lsn),
}

impl From<SystemTime> for AsOf {
    fn from(time: SystemTime) -> AsOf {
        AsOf::Time(time)
    }
}

impl From<Lsn> for AsOf {
    fn from(lsn: Lsn) -> AsOf {
        AsOf::Lsn(lsn)
    }
}

/// Says for how long the past is retained, or that it is not.
#[derive(Debug)]
struct RetainStep(Option<Duration>);

impl Step for RetainStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        let Some(span) = self.0 else {
            staged.remove(vec![keys::RETAINED]);
            return Ok(StepOutcome::None);
        };
        let since = match Retained::read(staged)? {
            Some(before) => before.since,
            None => {
                let time = keys::time(staged.now.millis, staged.now.lsn);
                staged.put(time, Weight::default(), Vec::new());
                staged.now.lsn
            }
        };
        let retained = Retained { since, millis: span.as_millis().min(u128::from(u64::MAX >> 2)) as u64 };
        staged.put(vec![keys::RETAINED], Weight::default(), retained.encode());
        Ok(StepOutcome::None)
    }
}

/// Begins, goes on or ends to retain the past, as the store and the settings say. To be called when a store was opened.
pub fn begin(engine: &Arc<Engine>) -> Result<()> {
    let Some(wanted) = engine.settings().history.filter(|_| !engine.is_read_only()) else { return Ok(()) };
    match set(engine, Some(wanted).filter(|span| !span.is_zero())) {
        // A full store must open, or nothing could be deleted from it; what is wanted begins with the next opening.
        Err(error) if error.is_full() => Ok(()),
        done => done,
    }
}

/// Sets for how long the past is retained; nothing forgets it.
pub fn set(engine: &Arc<Engine>, span: Option<Duration>) -> Result<()> {
    if get(&Reading::newest(engine))? == span {
        return Ok(());
    }
    commit::commit_one(engine, RetainStep(span), Durability::Synced).map(|_| ())
}

/// For how long the past is retained; `None` if it is not.
pub fn get(reading: &Reading) -> Result<Option<Duration>> {
    let retained = reading.with(|moment| Retained::read(moment))?;
    Ok(retained.map(|retained| Duration::from_millis(retained.millis)))
}

/// The oldest commit whose state the retained past still shows; `None` if it is not retained.
pub fn horizon(engine: &Engine) -> Result<Option<u64>> {
    since(&Moment::now(&engine.view()))
}

/// Where a moment of the past is read: in one of the views that are `held`, or in the retained past. `reading` is pinned
/// to the newest view.
pub fn find(reading: Reading, moment: AsOf, held: &[Arc<View>]) -> Result<Reading> {
    let newest = reading.pin()?;
    let lsn = match moment {
        AsOf::Lsn(lsn) => lsn.0,
        AsOf::Time(time) => {
            let wanted = to_millis(time);
            let retained = reading.with(|moment| retained_at(moment, wanted))?;
            let is_now = || newest.reign.holds(wanted) || wanted >= reading.engine.millis();
            match retained {
                Some(lsn) => lsn,
                None if is_now() => return Ok(reading),
                None => {
                    let view = held.iter().find(|view| view.reign.holds(wanted));
                    let view = view.ok_or_else(|| not_retained("that moment"))?;
                    return Ok(Reading::pinned(&reading.engine, view.clone()));
                }
            }
        }
    };
    if lsn > newest.lsn {
        return Err(Error::invalid(
            "InvalidArgument",
            format!("there is no commit {lsn} yet; the newest is {}", newest.lsn),
        ));
    }
    if let Some(view) = held.iter().find(|view| view.lsn == lsn) {
        return Ok(Reading::pinned(&reading.engine, view.clone()));
    }
    if lsn == newest.lsn {
        return Ok(reading);
    }
    if reading.with(|moment| since(moment))?.is_none_or(|since| lsn < since) {
        return Err(not_retained(&format!("commit {lsn}")));
    }
    Ok(Reading { at: Some(lsn), ..reading })
}

/// The last commit up to a time, in milliseconds since 1970, if the retained past shows it. What tells the time of commits
/// outlasts the past for a while, and is not believed then: between it and the time there may be commits that it does not
/// tell of.
fn retained_at(moment: &Moment<'_>, wanted: u64) -> Result<Option<u64>> {
    let Some(since) = since(moment)? else {
        return Ok(None);
    };
    let (from, _) = keys::all_times();
    let last = moment.last(&from, &keys::time(wanted.saturating_add(1), 0))?;
    let last = last.as_deref().and_then(keys::parse_time).map(|(_, lsn)| lsn);
    Ok(last.filter(|lsn| *lsn >= since))
}

/// `NoSuchMoment`.
pub fn not_retained(what: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        "NoSuchMoment",
        format!(
            "the store does not show {what} any more: the past is read as far back as `Store::set_history` says, or \
             as a live snapshot keeps it"
        ),
    )
}

#[derive(Debug)]
struct TrimStep {
    gone: Vec<Vec<u8>>,
    since: Option<u64>,
}

impl Step for TrimStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        for key in &self.gone {
            staged.remove(key.clone());
        }
        if let (Some(since), Some(before)) = (self.since, Retained::read(staged)?) {
            let retained = Retained { since, ..before };
            staged.put(vec![keys::RETAINED], Weight::default(), retained.encode());
        }
        Ok(StepOutcome::None)
    }

    fn frees(&self) -> bool {
        true
    }
}

/// Removes a bounded part of the past that is beyond what is to be retained. Says whether there was any.
pub fn trim(engine: &Arc<Engine>) -> Result<bool> {
    let view = engine.pin();
    let moment = Moment::now(&view);
    let (times, times_end) = keys::all_times();
    let kept = match Retained::read(&moment)? {
        None => None,
        Some(retained) => {
            let retained = if engine.mistake().is(Planted::TrimAll) { 0 } else { retained.millis };
            let now = engine.millis();
            let cut = now.saturating_sub(retained);
            // The state at the last commit before the cut is still to be read.
            let last = moment.last(&times, &keys::time(cut.saturating_add(1), 0))?;
            let Some((_, lsn)) = last.as_deref().and_then(keys::parse_time) else {
                return Ok(false);
            };
            // Under a clock that was behind a commit says that it is older than those before it. What stays begins with the
            // first commit, by the order of commits, whose time is not over; what is later than now says nothing.
            let (after, end) = (keys::time(cut.saturating_add(1), 0), keys::time(now.saturating_add(1), 0));
            let next = moment.next(&after, &end)?;
            let first = next.as_deref().and_then(keys::parse_time).map(|(_, lsn)| lsn.saturating_sub(1));
            Some(first.map_or(lsn, |first| lsn.min(first)))
        }
    };
    let mut gone = Vec::new();
    let (from, end) = keys::trims_to(kept.unwrap_or(u64::MAX - 1));
    moment.walk(&from, &end, &mut |key| {
        gone.push(key.to_vec());
        Ok(gone.len() < ROWS)
    })?;
    let mut rows = Vec::new();
    for key in &gone {
        rows.extend(moment.get(key)?.map(|found| found.payload));
    }
    gone.append(&mut rows);
    // What tells the time of commits goes as well, apart from the oldest that is kept.
    moment.walk(&times, &times_end, &mut |key| {
        let old = keys::parse_time(key).is_some_and(|(_, lsn)| kept.is_none_or(|kept| lsn < kept));
        if old {
            gone.push(key.to_vec());
        }
        Ok(old && gone.len() < 2 * ROWS)
    })?;
    let since =
        kept.filter(|kept| since(&moment).is_ok_and(|since| since.is_some_and(|since| since < *kept)));
    if gone.is_empty() && since.is_none() {
        return Ok(false);
    }
    // First it says that the past does not reach there any more, and in the same commit it does not.
    let (_, committed) = engine.commit(Batch::of(TrimStep { gone, since }), Durability::Buffered);
    committed?;
    Ok(true)
}
