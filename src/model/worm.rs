//! Retention: written once, read many times, and until when.

use std::time::{Duration, SystemTime};

use crate::error::{Error, ErrorKind, Result};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a retention policy may stay unlocked before it lapses (OSS).
const TIME_TO_LOCK: Duration = DAY;

/// How firm the retention of one object is (OSS: `Mode` of `?retention`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RetentionMode {
    /// It can be shortened or removed before its time, with [`bypass_governance`](crate::AttributeOptions::bypass_governance).
    Governance,
    /// It cannot be shortened or removed before its time, only made longer.
    Compliance,
}

impl RetentionMode {
    /// The number on disk. 0 is left to objects that have none.
    pub(crate) fn number(self) -> u8 {
        match self {
            RetentionMode::Governance => 1,
            RetentionMode::Compliance => 2,
        }
    }

    pub(crate) fn from_number(number: u8) -> Option<RetentionMode> {
        [RetentionMode::Governance, RetentionMode::Compliance]
            .into_iter()
            .find(|mode| mode.number() == number)
    }
}

/// The retention of one version of an object: before `until` it can be neither overwritten nor deleted (OSS: `?retention`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Retention {
    /// Whether it can be shortened or removed before its time.
    pub mode: RetentionMode,
    /// The first moment at which the version is free again, by the store's clock, in milliseconds.
    pub until: SystemTime,
}

impl Retention {
    /// Whether it protects at `now`.
    pub fn is_active(&self, now: SystemTime) -> bool {
        now < self.until
    }
}

/// Whether a retention policy can still be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WormState {
    /// It protects already, can be changed and taken back, and lapses 24 hours after it was made.
    InProgress,
    /// It cannot be removed, and can only be made longer.
    Locked,
}

/// The retention policy of a bucket: no object is overwritten or deleted for so many days after it was written
/// (OSS: "Retention policies", `?worm`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Worm {
    /// For how many days after it was written an object is protected: 1 to [`MAX_DAYS`](Worm::MAX_DAYS).
    pub days: u32,
    /// Whether it can still be taken back.
    pub state: WormState,
    /// When it was made, which is when its 24 hours to be locked begin.
    pub created: SystemTime,
}

impl Worm {
    /// The longest protection: 70 years of 365 days (OSS).
    pub const MAX_DAYS: u32 = 25_550;

    /// Whether the policy protects anything at `now`: it is locked, or has not lapsed yet.
    pub fn is_active(&self, now: SystemTime) -> bool {
        self.state == WormState::Locked || is_before(now, self.created, TIME_TO_LOCK)
    }

    /// The first moment at which an object written at `modified` is free again, as far as the policy stays active.
    pub fn protected_until(&self, modified: SystemTime) -> SystemTime {
        // A time so late that nothing can be added to it is beyond every clock by itself.
        modified.checked_add(DAY.saturating_mul(self.days)).unwrap_or(modified)
    }

    /// Whether an object written at `modified` must be left as it is at `now`.
    pub fn protects(&self, modified: SystemTime, now: SystemTime) -> bool {
        self.is_active(now) && now < self.protected_until(modified)
    }

    /// Checks the number of days: `InvalidWORMConfiguration`.
    pub(crate) fn check(&self) -> Result<()> {
        if (1..=Worm::MAX_DAYS).contains(&self.days) {
            return Ok(());
        }
        Err(Error::invalid(
            "InvalidWORMConfiguration",
            format!("objects can be retained for 1 to {} days, not {}", Worm::MAX_DAYS, self.days),
        ))
    }

    /// Checks that this policy may give way to `next`, or to none: a locked one may only become a locked one of as many
    /// days or more (`WORMConfigurationLocked`). One that is not locked may become anything.
    pub(crate) fn check_change(&self, next: Option<&Worm>) -> Result<()> {
        if let Some(next) = next {
            next.check()?;
        }
        let stays = |next: &Worm| next.state == WormState::Locked && next.days >= self.days;
        if self.state == WormState::InProgress || next.is_some_and(stays) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Immutable,
            "WORMConfigurationLocked",
            format!("the retention policy of {} days is locked; it can only be made longer", self.days),
        ))
    }
}

/// Whether `now` is earlier than `start` and `length` together, for any `start`.
fn is_before(now: SystemTime, start: SystemTime, length: Duration) -> bool {
    // A clock that stands before the start counts as no time gone.
    now.duration_since(start).unwrap_or_default() < length
}

#[cfg(test)]
mod tests {
    use super::*;

    const NANOSECOND: Duration = Duration::from_nanos(1);

    fn start() -> SystemTime {
        SystemTime::UNIX_EPOCH + DAY * 20_000
    }

    fn worm(days: u32, state: WormState) -> Worm {
        Worm { days, state, created: start() }
    }

    #[test]
    fn a_policy_lasts_from_a_day_to_seventy_years() {
        for state in [WormState::InProgress, WormState::Locked] {
            for days in [1, 2, 25_550] {
                worm(days, state).check().unwrap();
            }
            for days in [0, 25_551, u32::MAX] {
                assert_eq!(
                    worm(days, state).check().unwrap_err().code(),
                    "InvalidWORMConfiguration",
                    "{days}"
                );
            }
        }
    }

    #[test]
    fn a_policy_that_is_not_locked_lapses_after_a_day() {
        let (open, locked) = (worm(1, WormState::InProgress), worm(1, WormState::Locked));
        for (now, is_active) in [
            (start() - DAY, true),
            (start(), true),
            (start() + DAY - NANOSECOND, true),
            (start() + DAY, false),
            (start() + DAY * 10_000, false),
        ] {
            assert_eq!(open.is_active(now), is_active, "{now:?}");
            assert!(locked.is_active(now), "{now:?}");
        }
    }

    #[test]
    fn an_object_is_protected_for_the_days_after_it_was_written() {
        let (locked, modified) = (worm(30, WormState::Locked), start() + DAY * 5);
        let end = modified + DAY * 30;
        assert_eq!(locked.protected_until(modified), end);
        assert!(locked.protects(modified, modified) && locked.protects(modified, end - NANOSECOND));
        assert!(!locked.protects(modified, end));
        // An object from before the policy is protected too, and a clock that was set back frees nothing.
        assert!(
            locked.protects(start() - DAY * 29, start()) && !locked.protects(start() - DAY * 30, start())
        );
        assert!(locked.protects(modified, start() - DAY));
        // Once the policy has lapsed it protects nothing, whatever the days.
        let open = worm(30, WormState::InProgress);
        assert!(open.protects(start(), start() + DAY - NANOSECOND) && !open.protects(start(), start() + DAY));
    }

    #[test]
    fn times_at_the_end_of_the_calendar_do_not_overflow() {
        let mut last = start();
        for seconds in (0..63).rev().map(|bit| 1 << bit) {
            last = last.checked_add(Duration::from_secs(seconds)).unwrap_or(last);
        }
        let longest = worm(u32::MAX, WormState::Locked);
        assert_eq!(longest.protected_until(last), last);
        assert!(longest.protects(last, start()));
        assert!(Worm { created: last, ..worm(1, WormState::InProgress) }.is_active(start()));
    }

    #[test]
    fn a_locked_policy_can_only_be_made_longer() {
        let locked = worm(30, WormState::Locked);
        for days in [30, 31, 25_550] {
            locked.check_change(Some(&worm(days, WormState::Locked))).unwrap();
        }
        for next in [
            None,
            Some(worm(29, WormState::Locked)),
            Some(worm(30, WormState::InProgress)),
            Some(worm(25_550, WormState::InProgress)),
        ] {
            let error = locked.check_change(next.as_ref()).unwrap_err();
            assert_eq!(error.code(), "WORMConfigurationLocked", "{next:?}");
            assert_eq!(error.kind(), ErrorKind::Immutable);
        }
        let wrong = locked.check_change(Some(&worm(25_551, WormState::Locked))).unwrap_err();
        assert_eq!(wrong.code(), "InvalidWORMConfiguration");
    }

    #[test]
    fn a_policy_that_is_not_locked_can_become_anything() {
        let open = worm(30, WormState::InProgress);
        for next in [None, Some(worm(1, WormState::InProgress)), Some(worm(1, WormState::Locked))] {
            open.check_change(next.as_ref()).unwrap();
        }
        let wrong = open.check_change(Some(&worm(0, WormState::Locked))).unwrap_err();
        assert_eq!(wrong.code(), "InvalidWORMConfiguration");
    }

    #[test]
    fn the_retention_of_an_object_ends_at_its_time() {
        for mode in [RetentionMode::Governance, RetentionMode::Compliance] {
            let retention = Retention { mode, until: start() };
            assert!(retention.is_active(start() - NANOSECOND) && !retention.is_active(start()));
        }
    }

    #[test]
    fn modes_keep_their_numbers() {
        assert_eq!((RetentionMode::Governance.number(), RetentionMode::Compliance.number()), (1, 2));
        for number in 0..=u8::MAX {
            let known = (1..=2).contains(&number).then_some(number);
            assert_eq!(RetentionMode::from_number(number).map(RetentionMode::number), known);
        }
    }
}
