//! What a run does, in one commit: the changes of a stretch, the counts of the report, and how far the run has come.

use super::scan::{self, Due, What};
use crate::catalog::keyspace::keys;
use crate::catalog::{BucketState, Found, HeadRow, Kind, Rows, lifecycle as rows};
use crate::env::Planted;
use crate::error::Result;
use crate::format::row::{self, ReportRow, RunRow};
use crate::index::Weight;
use crate::model::{LifecycleAction, LifecycleCounts, StorageClass, VersionId, day_of};
use crate::ops::object::attributes;
use crate::write::access_times::is_ahead;
use crate::write::context::BucketRef;
use crate::write::outcome::StepOutcome;
use crate::write::staged::overlay::Staged;
use crate::write::step::Step;
use crate::write::version_chain::Chain;

/// One step of a run.
#[derive(Debug)]
pub struct RunStep {
    /// The bucket that it is at, and the commit that set its rules.
    pub bucket: Option<(BucketRef, u64)>,
    /// What is due there.
    pub due: Vec<Due>,
    /// What was seen, and what is protected.
    pub counts: LifecycleCounts,
    /// The day of the run.
    pub day: u64,
    /// Whether it is done with the bucket.
    pub ends: bool,
    /// Notes of accesses that nothing needs any more.
    pub forgotten: Vec<Vec<u8>>,
    /// Notes of accesses on days that are still to come, which a clock that was ahead made: they count as today's.
    pub ahead: Vec<Vec<u8>>,
    /// How far the run had come and how far it has come then; `None` for a run of one bucket that somebody asked for.
    pub run: Option<(RunRow, Option<RunRow>)>,
    /// Whether what takes room is left out, because there is none.
    pub only_frees: bool,
}

impl RunStep {
    /// Whether the state is still the one that the step was made for, and its day has come: a clock that was ahead when
    /// it was made may have been set right since.
    fn still_holds(&self, staged: &mut Staged<'_>) -> Result<bool> {
        if self.day > day_of(staged.now.millis) {
            return Ok(false);
        }
        if let Some((before, _)) = &self.run
            && rows::find_run(staged)?.as_ref().unwrap_or(&RunRow::default()) != before
        {
            return Ok(false);
        }
        let Some((bucket, rules)) = &self.bucket else { return Ok(true) };
        let found = staged.get(&keys::config(bucket.id, rows::RULES))?;
        Ok(found.is_some_and(|found| found.lsn == *rules))
    }

    fn frees(due: &Due) -> bool {
        !matches!(due.act.action, LifecycleAction::Transition(_) | LifecycleAction::ReturnToStandard)
    }
}

impl Step for RunStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        if !self.still_holds(staged)? {
            return Ok(StepOutcome::None);
        }
        let mut counts = self.counts;
        if let Some((bucket, _)) = &self.bucket {
            let state = staged.bucket(bucket)?;
            for due in self.due.iter().filter(|due| !self.only_frees || RunStep::frees(due)) {
                if let Some(found) = scan::find_again(staged, &state, due)? {
                    act(staged, &state, due, found, &mut counts)?;
                }
            }
            let now = staged.now.millis;
            let before = rows::find_report(staged, bucket.id)?;
            let goes_on = before.filter(|row| row.day == self.day && row.ended.is_none());
            let mut row = goes_on.unwrap_or(ReportRow { day: self.day, begun: now, ..ReportRow::default() });
            let mut sum = rows::report_of(&row).counts;
            sum.add(&counts);
            row.counts = rows::counts_to_row(&sum);
            row.ended = self.ends.then_some(now);
            staged.put(keys::lifecycle_report(bucket.id), Weight::default(), row::encode(&row));
        }
        for key in &self.forgotten {
            staged.remove(key.clone());
        }
        let today = day_of(staged.now.millis);
        for key in &self.ahead {
            let found = staged.get(key)?.map(|found| rows::decode_day(&found.payload)).transpose()?;
            if found.is_some_and(|day| is_ahead(day, today)) {
                staged.put(key.clone(), Weight::default(), rows::encode_day(today));
            }
        }
        match &self.run {
            Some((_, Some(run))) => {
                staged.put(keys::lifecycle_run(), Weight::default(), row::encode(run));
            }
            Some((_, None)) => staged.remove(keys::lifecycle_run()),
            None => {}
        }
        Ok(StepOutcome::Lifecycle(counts))
    }

    fn frees(&self) -> bool {
        self.only_frees || self.due.iter().all(RunStep::frees)
    }
}

/// Does what is due.
fn act(
    staged: &mut Staged<'_>,
    state: &BucketState,
    due: &Due,
    found: Found,
    counts: &mut LifecycleCounts,
) -> Result<()> {
    let key = &due.key[..];
    let (version, is_current) = match &due.what {
        What::Current(version) => (version, true),
        What::Older(version, _) => (version, false),
        What::Upload(_) => {
            // Nothing refers to the parts any more, so they go as well.
            staged.remove(found.at);
            counts.aborted += 1;
            return Ok(());
        }
    };
    let head = HeadRow::of(key, &found)?;
    let action = due.act.action;
    let deletes = matches!(action, LifecycleAction::Expire | LifecycleAction::Remove)
        && !staged.now.mistake.is(Planted::ExpireHeld);
    if deletes && scan::is_protected(staged, state, key, &head, is_current, staged.now.millis)? {
        counts.held += 1;
        return Ok(());
    }
    let mut chain = Chain::new(staged, state);
    match action {
        LifecycleAction::Expire => {
            chain.delete(key)?;
            counts.expired += 1;
        }
        LifecycleAction::Remove => {
            chain.delete_version(key, version)?;
            counts.removed += 1;
        }
        LifecycleAction::RemoveMarker => {
            let bucket_view = state.bucket_view(chain.staged);
            if bucket_view.next_version(Kind::Version, key.as_bytes(), b"")?.is_none() {
                chain.delete_version(key, version)?;
                counts.markers += 1;
            }
        }
        LifecycleAction::Transition(class) => {
            attributes::change_class(&mut chain, key, &head, found, class)?;
            counts.transitioned += 1;
        }
        LifecycleAction::ReturnToStandard => {
            attributes::change_class(&mut chain, key, &head, found, StorageClass::Standard)?;
            counts.returned += 1;
        }
        LifecycleAction::AbortUpload => {}
    }
    Ok(())
}

/// The name of the version that something is due for.
pub fn version_of(due: &Due) -> Option<&VersionId> {
    match &due.what {
        What::Current(version) | What::Older(version, _) => Some(version),
        What::Upload(_) => None,
    }
}
