//! Retention and legal hold of single versions: what may be changed about them, and when.

use std::time::{Duration, SystemTime};

use super::version_chain::immutable;
use crate::error::{Error, Result};
use crate::format::row::ObjectRow;
use crate::model::{Retention, RetentionMode, from_millis, to_millis};

/// A retention as rows keep it. A part of a millisecond counts as a whole one: nothing is free before its time.
pub fn to_row(retention: &Retention) -> (u8, u64) {
    let nearly = Duration::from_nanos(999_999);
    let until = retention.until.checked_add(nearly).unwrap_or(retention.until);
    (retention.mode.number(), to_millis(until))
}

/// The retention in a row.
fn of_row(row: &ObjectRow) -> Option<Retention> {
    let (mode, until) = row.rare().retention?;
    // A mode that is not known is taken for the firmer one.
    let mode = RetentionMode::from_number(mode).unwrap_or(RetentionMode::Compliance);
    Some(Retention { mode, until: from_millis(until) })
}

/// Whether a version has a retention or a hold of its own, be it in force or not.
pub fn is_held(row: &ObjectRow) -> bool {
    row.rare().legal_hold || row.rare().retention.is_some()
}

/// Whether the retention in a row may give way to another one, or to none.
pub fn check_change(
    key: &str,
    row: &ObjectRow,
    next: Option<&Retention>,
    now: SystemTime,
    bypass_governance: bool,
) -> Result<()> {
    if next.is_some_and(|next| !next.is_active(now)) {
        return Err(Error::invalid(
            "InvalidArgument",
            format!("the time until which {key:?} is to be retained has passed; give one that is to come"),
        ));
    }
    let Some(old) = of_row(row).filter(|old| old.is_active(now)) else {
        return Ok(());
    };
    let stays = |next: &Retention| {
        let as_firm = next.mode == old.mode || next.mode == RetentionMode::Compliance;
        as_firm && from_millis(to_row(next).1) >= old.until
    };
    if next.is_some_and(stays) {
        return Ok(());
    }
    match old.mode {
        RetentionMode::Governance if bypass_governance => Ok(()),
        RetentionMode::Governance => {
            Err(immutable(key, "its retention is shortened or taken off only with `bypass_governance(true)`"))
        }
        RetentionMode::Compliance => {
            Err(immutable(key, "its retention is one of compliance, which is only ever made longer"))
        }
    }
}
