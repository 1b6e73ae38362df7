//! Restore: makes the body of a frozen object readable for some days (OSS: "RestoreObject").
//!
//! What was asked for stands in the row as two moments: from when on the body can be read, and until when. Everything
//! else follows from the store's clock, so nothing has to run for a restoring to be done or to be over. No bytes move:
//! the body is at hand all the time, and the waiting is OSS's rule (`Settings::restore_times`).

use std::sync::Arc;
use std::time::Duration;

use crate::catalog::Moment;
use crate::engine::state::engine::Engine;
use crate::env::Planted;
use crate::error::{Error, ErrorKind, Result};
use crate::format::row::{ObjectRow, Restoring};
use crate::model::{
    Durability, ObjectKind, RestorePriority, RestoreStatus, RestoreTimes, StorageClass, VersionId,
    from_millis,
};
use crate::write::commit;
use crate::write::context::BucketRef;
use crate::write::outcome::StepOutcome;
use crate::write::staged::overlay::Staged;
use crate::write::step::Step;
use crate::write::version_chain::Chain;

const DAY: u64 = 24 * 60 * 60 * 1000;

/// How a frozen object is restored.
///
/// ```
/// use ossicle::{RestoreOptions, RestorePriority};
/// let options = RestoreOptions::new().days(3).priority(RestorePriority::Expedited);
/// # let _ = options;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct RestoreOptions {
    days: Option<u32>,
    priority: Option<RestorePriority>,
    version: Option<VersionId>,
    durability: Option<Durability>,
}

impl RestoreOptions {
    /// The current version, for a day, with the usual priority, durable when it returns.
    pub fn new() -> RestoreOptions {
        RestoreOptions::default()
    }

    /// For how many days the body can be read, from when that begins: 1 to 7 in `Archive`, 1 to 365 in `ColdArchive`
    /// and `DeepColdArchive`. Without it, one day.
    pub fn days(mut self, days: u32) -> RestoreOptions {
        self.days = Some(days);
        self
    }

    /// How urgently. In `Archive` there are no priorities, and in `DeepColdArchive` no `Bulk` (OSS). Without it, the
    /// usual one.
    pub fn priority(mut self, priority: RestorePriority) -> RestoreOptions {
        self.priority = Some(priority);
        self
    }

    /// This version instead of the current one.
    pub fn version(mut self, version: impl Into<VersionId>) -> RestoreOptions {
        self.version = Some(version.into());
        self
    }

    /// Sets when the call is done; without it, [`Settings::durability`](crate::Settings::durability) counts.
    pub fn durability(mut self, durability: Durability) -> RestoreOptions {
        self.durability = Some(durability);
        self
    }
}

/// What is asked of a class, in milliseconds: how long it takes, for how long, and how urgently.
#[derive(Clone, Copy, Debug)]
struct Asked {
    takes: u64,
    lasts: Option<u64>,
    priority: RestorePriority,
}

#[derive(Debug)]
struct RestoreStep {
    bucket: BucketRef,
    key: String,
    options: RestoreOptions,
    times: RestoreTimes,
}

impl RestoreStep {
    /// Checks the request against the class of the object.
    fn ask(&self, row: &ObjectRow) -> Result<Asked> {
        let key = &self.key;
        if row.kind == ObjectKind::Symlink.number() {
            return Err(not_supported(format!("the object {key:?} is a symlink; restore what it leads to")));
        }
        let class = StorageClass::from_number(row.class).unwrap_or_default();
        let Some(most) = class.most_days() else {
            return Err(not_supported(format!(
                "the object {key:?} is of the class {class}, which is read without being restored"
            )));
        };
        if let Some(days) = self.options.days.filter(|days| !(1..=most).contains(days)) {
            return Err(Error::invalid(
                "InvalidArgument",
                format!("a body of the class {class} is restored for 1 to {most} days, not {days}"),
            ));
        }
        if class == StorageClass::Archive && self.options.priority.is_some() {
            return Err(Error::invalid(
                "InvalidArgument",
                format!("a body of the class {class} is restored without a priority (OSS); leave it out"),
            ));
        }
        let priority = self.options.priority.unwrap_or_default();
        let takes = self.times.of(class, priority).ok_or_else(|| {
            Error::invalid(
                "InvalidArgument",
                format!("a body of the class {class} is not restored with the priority {priority} (OSS)"),
            )
        })?;
        let lasts = self.options.days.map(|days| u64::from(days) * DAY);
        Ok(Asked { takes: millis(takes), lasts, priority })
    }
}

impl RestoreStep {
    /// How long what was asked for before takes by the times of now.
    fn usual(&self, row: &ObjectRow, before: Option<Restoring>) -> Option<u64> {
        let class = StorageClass::from_number(row.class)?;
        self.times.of(class, RestorePriority::from_number(before?.priority)).map(millis)
    }
}

fn millis(span: Duration) -> u64 {
    // So far below the end of the range that days can be added.
    span.as_millis().min(u128::from(u64::MAX >> 2)) as u64
}

fn not_supported(why: String) -> Error {
    Error::new(ErrorKind::Unsupported, "OperationNotSupported", why)
}

/// What comes of asking at `now`, where `before` was asked for earlier and takes `usual` milliseconds if it is asked for
/// now.
fn advance(
    key: &str,
    before: Option<Restoring>,
    now: u64,
    (usual, asked): (u64, Asked),
) -> Result<Restoring> {
    let lasts = asked.lasts.unwrap_or(DAY);
    let ready = now.saturating_add(asked.takes);
    let anew = Restoring { ready, until: ready.saturating_add(lasts), priority: asked.priority.number() };
    // One that is ready later than it would be now was asked for under a clock that was ahead, or when restoring took
    // longer: nobody waits for that.
    let counts = |before: &Restoring| now < before.until && before.ready <= now.saturating_add(usual);
    let Some(before) = before.filter(counts) else {
        return Ok(anew);
    };
    if now >= before.ready {
        // Restored: the days count from now, and never make it shorter.
        return Ok(Restoring { until: before.until.max(now.saturating_add(lasts)), ..before });
    }
    if asked.priority <= RestorePriority::from_number(before.priority) {
        return Err(Error::new(
            ErrorKind::Archived,
            "RestoreAlreadyInProgress",
            format!("the object {key:?} is being restored already; wait, or ask with a higher priority"),
        ));
    }
    let ready = ready.min(before.ready);
    let lasts = asked.lasts.unwrap_or(before.until.saturating_sub(before.ready));
    Ok(Restoring { ready, until: ready.saturating_add(lasts), ..anew })
}

impl Step for RestoreStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        let state = staged.bucket(&self.bucket)?;
        let now = staged.now.millis;
        let mut chain = Chain::new(staged, &state);
        let (head, found) = chain.object(&self.key, self.options.version.as_ref())?;
        let asked = self.ask(&head.row)?;
        let before = head.row.rare().cold.restore;
        let usual = self.usual(&head.row, before).unwrap_or(asked.takes);
        let mut next = advance(&self.key, before, now, (usual, asked))?;
        if chain.staged.now.mistake.is(Planted::RestoreForever) {
            next.until = u64::MAX >> 1;
        }
        if before != Some(next) {
            let mut row = head.kept();
            row.rare_mut().cold.restore = Some(next);
            chain.rewrite(&self.key, &row, found)?;
        }
        let until = from_millis(next.until);
        Ok(StepOutcome::Restore(if now < next.ready {
            RestoreStatus::Ongoing { priority: asked.priority, ready: from_millis(next.ready), until }
        } else {
            RestoreStatus::Restored { until }
        }))
    }
}

/// Asks for the body of a frozen object, or for more days of one that is restored.
pub fn restore(
    engine: &Arc<Engine>,
    bucket: &BucketRef,
    key: &str,
    options: RestoreOptions,
) -> Result<RestoreStatus> {
    bucket.admit(&Moment::now(&engine.view()), key)?;
    let (durability, times) =
        (engine.settings().durability_for(options.durability), engine.settings().restore_times);
    let step = RestoreStep { bucket: bucket.clone(), key: key.to_string(), options, times };
    match commit::commit_one(engine, step, durability)? {
        StepOutcome::Restore(status) => Ok(status),
        _ => unreachable!("restoring comes to how far it has come"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000;

    fn asked(takes: u64, days: Option<u64>, priority: RestorePriority) -> Asked {
        Asked { takes, lasts: days.map(|days| days * DAY), priority }
    }

    #[test]
    fn a_faster_priority_never_makes_it_later_and_keeps_the_days() {
        let before = Restoring { ready: NOW + 100, until: NOW + 100 + 3 * DAY, priority: 1 };
        let fast = RestorePriority::Expedited;
        let sooner = advance("k", Some(before), NOW, (100, asked(10, None, fast))).unwrap();
        assert_eq!(sooner, Restoring { ready: NOW + 10, until: NOW + 10 + 3 * DAY, priority: 2 });
        let later = advance("k", Some(before), NOW, (100, asked(1000, Some(1), fast))).unwrap();
        assert_eq!(later, Restoring { ready: NOW + 100, until: NOW + 100 + DAY, priority: 2 });
        for priority in [RestorePriority::Bulk, RestorePriority::Standard] {
            let error = advance("k", Some(before), NOW, (100, asked(0, None, priority))).unwrap_err();
            assert_eq!(error.code(), "RestoreAlreadyInProgress");
            // A clock that was ahead by more than it takes said when it is ready.
            let anew = advance("k", Some(before), NOW, (99, asked(50, None, priority))).unwrap();
            assert_eq!((anew.ready, anew.until), (NOW + 50, NOW + 50 + DAY));
        }
    }

    #[test]
    fn times_at_the_end_of_the_calendar_do_not_overflow() {
        let forever = asked(millis(Duration::MAX), Some(365), RestorePriority::Standard);
        for now in [0, NOW, u64::MAX - 1, u64::MAX] {
            let restoring = advance("k", None, now, (0, forever)).unwrap();
            assert!(restoring.ready >= now && restoring.until >= restoring.ready);
        }
    }
}
