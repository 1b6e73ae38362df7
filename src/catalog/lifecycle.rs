//! Lifecycle rules, the access monitor and the reports of runs in the ordered map.

use crate::catalog::keyspace::keys;
use crate::catalog::keyspace::rows::Rows;
use crate::error::{Error, Result};
use crate::format::row::{
    self, AccessMonitorRow, LifecycleRow, ReportRow, RuleRow, RunRow, TransitionRow, WhenRow,
};
use crate::format::varint;
use crate::model::{
    DAY, Except, Expiration, InForce, Lifecycle, LifecycleCounts, LifecycleReport, Rule, StorageClass,
    Transition, When, from_millis, to_millis,
};

/// The name of the rules among the configurations of a bucket.
pub const RULES: &str = "lifecycle";

/// The name of the access monitor among them.
pub const MONITOR: &str = "access-monitor";

fn damaged(reason: &str) -> Error {
    Error::corrupt("the lifecycle of a bucket", 0, reason)
}

fn find<R: row::Row>(rows: &(impl Rows + ?Sized), key: &[u8]) -> Result<Option<R>> {
    rows.get(key)?.map(|found| row::decode(&found.payload).map_err(damaged)).transpose()
}

/// The rules of a bucket.
pub fn find_rules(rows: &impl Rows, bucket_id: u64) -> Result<Option<InForce>> {
    let found = find::<LifecycleRow>(rows, &keys::config(bucket_id, RULES))?;
    found
        .map(|mut row| Ok(InForce { set: std::mem::take(&mut row.set), lifecycle: of_row(row)? }))
        .transpose()
}

/// The access monitor of a bucket.
pub fn find_monitor(rows: &impl Rows, bucket_id: u64) -> Result<Option<AccessMonitorRow>> {
    find(rows, &keys::config(bucket_id, MONITOR))
}

/// How far the runs of the store have come; `None` if no bucket ever had rules.
pub fn find_run(rows: &impl Rows) -> Result<Option<RunRow>> {
    find(rows, &keys::lifecycle_run())
}

/// What the last run did in a bucket.
pub fn find_report(rows: &impl Rows, bucket_id: u64) -> Result<Option<ReportRow>> {
    find(rows, &keys::lifecycle_report(bucket_id))
}

/// The day in the row of an access.
pub fn decode_day(mut payload: &[u8]) -> Result<u64> {
    varint::take(&mut payload).ok_or_else(|| damaged("the row of an access is cut off"))
}

/// The row of an access.
pub fn encode_day(day: u64) -> Vec<u8> {
    let mut payload = Vec::new();
    varint::put(&mut payload, day);
    payload
}

/// Rules as rows keep them.
pub fn to_row(rules: &InForce) -> LifecycleRow {
    let lifecycle = &rules.lifecycle;
    let transition = |each: &Transition| TransitionRow {
        when: when_row(each.when),
        class: each.class.number(),
        by_access: each.by_access,
        return_on_visit: each.return_on_visit,
        small_files: each.small_files,
    };
    let rule = |rule: &Rule| RuleRow {
        id: rule.id.clone(),
        prefix: rule.prefix.clone(),
        enabled: rule.enabled,
        tags: rule.tags.clone(),
        except: rule.except.iter().map(|each| (each.prefix.clone(), each.tag.clone())).collect(),
        larger: rule.larger_than,
        smaller: rule.smaller_than,
        expiration: rule.expiration.map(|expiration| match expiration {
            Expiration::Days(days) => WhenRow::Days(days),
            Expiration::Before(date) => WhenRow::Before(to_millis(date)),
            Expiration::On(date) => WhenRow::On(to_millis(date)),
            Expiration::Markers => WhenRow::Markers,
        }),
        transitions: rule.transitions.iter().map(transition).collect(),
        abort: rule.abort_uploads.map(when_row),
        noncurrent_days: rule.noncurrent_expiration,
        noncurrent_transitions: rule.noncurrent_transitions.iter().map(transition).collect(),
        access_base: rule.access_base.map(to_millis),
    };
    let (overlap, set) = (lifecycle.overlap, rules.set.clone());
    LifecycleRow { rules: lifecycle.rules.iter().map(rule).collect(), overlap, set }
}

fn when_row(when: When) -> WhenRow {
    match when {
        When::Days(days) => WhenRow::Days(days),
        When::Before(date) => WhenRow::Before(to_millis(date)),
    }
}

fn when_of(row: WhenRow) -> Result<When> {
    match row {
        WhenRow::Days(days) => Ok(When::Days(days)),
        WhenRow::Before(millis) => Ok(When::Before(from_millis(millis))),
        WhenRow::On(_) | WhenRow::Markers => Err(damaged("a rule counts in a way that it cannot")),
    }
}

fn transition_of(row: &TransitionRow) -> Result<Transition> {
    let class = StorageClass::from_number(row.class);
    let mut transition =
        Transition::after(1, class.ok_or_else(|| damaged("a rule leads to a class that is unknown"))?);
    transition.when = when_of(row.when)?;
    transition.by_access = row.by_access;
    transition.return_on_visit = row.return_on_visit;
    transition.small_files = row.small_files;
    Ok(transition)
}

/// Rules out of a row, without when they were set.
pub fn of_row(row: LifecycleRow) -> Result<Lifecycle> {
    let mut lifecycle = Lifecycle { rules: Vec::with_capacity(row.rules.len()), overlap: row.overlap };
    for row in row.rules {
        let mut rule = Rule::new(row.prefix).id(row.id);
        rule.enabled = row.enabled;
        rule.tags = row.tags;
        rule.except = row.except.into_iter().map(|(prefix, tag)| Except { prefix, tag }).collect();
        (rule.larger_than, rule.smaller_than) = (row.larger, row.smaller);
        rule.expiration = row.expiration.map(|when| match when {
            WhenRow::Days(days) => Expiration::Days(days),
            WhenRow::Before(millis) => Expiration::Before(from_millis(millis)),
            WhenRow::On(millis) => Expiration::On(from_millis(millis)),
            WhenRow::Markers => Expiration::Markers,
        });
        rule.transitions = row.transitions.iter().map(transition_of).collect::<Result<_>>()?;
        rule.abort_uploads = row.abort.map(when_of).transpose()?;
        rule.noncurrent_expiration = row.noncurrent_days;
        rule.noncurrent_transitions =
            row.noncurrent_transitions.iter().map(transition_of).collect::<Result<_>>()?;
        rule.access_base = row.access_base.map(from_millis);
        lifecycle.rules.push(rule);
    }
    Ok(lifecycle)
}

/// A report as rows keep its counts.
pub fn counts_to_row(counts: &LifecycleCounts) -> [u64; 8] {
    let LifecycleCounts { seen, expired, removed, markers, transitioned, returned, aborted, held } = *counts;
    [seen, expired, removed, markers, transitioned, returned, aborted, held]
}

/// A report out of a row.
pub fn report_of(row: &ReportRow) -> LifecycleReport {
    let [seen, expired, removed, markers, transitioned, returned, aborted, held] = row.counts;
    LifecycleReport {
        at: from_millis(row.day.saturating_mul(DAY)),
        begun: from_millis(row.begun),
        ended: row.ended.map(from_millis),
        counts: LifecycleCounts { seen, expired, removed, markers, transitioned, returned, aborted, held },
    }
}
