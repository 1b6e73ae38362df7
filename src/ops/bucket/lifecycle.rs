//! The lifecycle rules and the access monitor as configurations of a bucket.

use super::config::{Config, Kept, Setting};
use crate::catalog::keyspace::keys;
use crate::catalog::{self, Rows, lifecycle as rows, unreadable};
use crate::error::{Error, Result};
use crate::format::row::{self, AccessMonitorRow, LifecycleRow, RunRow};
use crate::index::Weight;
use crate::model::{AccessMonitor, InForce, Lifecycle, Rule, day_of, from_millis};

/// The most text that the rules of a bucket may hold, in bytes; a row has to hold them.
const MAX_BYTES: usize = 512 << 10;

/// Remembers that there are rules in the store, so that runs are made, the next one at the next midnight; and under
/// which name the bucket is found, which buckets of early stores do not have written down.
fn expect_runs(to: &mut Setting<'_, '_>) -> Result<()> {
    if catalog::lifecycle::find_run(to.staged)?.is_none() {
        let run = RunRow { done: day_of(to.millis()), running: None };
        to.staged.put(keys::lifecycle_run(), Weight::default(), row::encode(&run));
    }
    let named = keys::bucket_by_id(to.state.row.id);
    if !to.staged.has(&named)? {
        to.staged.put(named, Weight::default(), to.state.name.as_bytes().to_vec());
    }
    Ok(())
}

/// About how many bytes rules take in a row.
fn size_of(row: &LifecycleRow) -> usize {
    let pair = |(key, value): &(String, String)| key.len() + value.len() + 8;
    let of = |rule: &row::RuleRow| {
        let except = |(prefix, tag): &(String, Option<(String, String)>)| {
            prefix.len() + 8 + tag.as_ref().map_or(0, pair)
        };
        let texts = rule.id.len() + rule.prefix.len();
        let tags = rule.tags.iter().map(pair).sum::<usize>() + rule.except.iter().map(except).sum::<usize>();
        texts + tags + 40 * (2 + rule.transitions.len() + rule.noncurrent_transitions.len())
    };
    row.rules.iter().map(of).sum()
}

/// When each rule was set: now, but for those that were there as they are.
fn set_since(rules: &Lifecycle, before: Option<LifecycleRow>, millis: u64) -> Result<Vec<u64>> {
    let Some(mut before) = before else { return Ok(vec![millis; rules.rules.len()]) };
    let set = std::mem::take(&mut before.set);
    let before = rows::of_row(before)?.rules;
    let since = |rule: &Rule| {
        let place = before.iter().position(|known| known == rule)?;
        // What a clock that was ahead said is not later than now.
        Some(set.get(place).copied().unwrap_or(0).min(millis))
    };
    Ok(rules.rules.iter().map(|rule| since(rule).unwrap_or(millis)).collect())
}

/// Names rules that have none: as before where all else of the rule is as it was, so that it stays the same rule.
fn name_rules(rules: &mut [Rule], before: &[Rule], lsn: u64) {
    let mut number = 0;
    for place in 0..rules.len() {
        if rules[place].id.is_empty() {
            let is_free = |id: &str| rules.iter().all(|rule| rule.id != id);
            let same = |known: &&Rule| {
                is_free(&known.id) && **known == Rule { id: known.id.clone(), ..rules[place].clone() }
            };
            let known = before.iter().find(same).map(|known| known.id.clone());
            rules[place].id = known.unwrap_or_default();
        }
        while rules[place].id.is_empty() {
            number += 1;
            let id = format!("rule-{lsn}-{number}");
            if rules.iter().all(|rule| rule.id != id) {
                rules[place].id = id;
            }
        }
    }
}

impl Config for Lifecycle {
    fn read(from: &Kept<'_>) -> Result<Option<Lifecycle>> {
        from.own::<LifecycleRow>(rows::RULES)?.map(rows::of_row).transpose()
    }

    fn write(&self, to: &mut Setting<'_, '_>) -> Result<()> {
        self.check()?;
        let mut rules = self.clone();
        let monitor = to.own::<AccessMonitorRow>(rows::MONITOR)?.filter(|row| row.enabled);
        for place in 0..rules.rules.len() {
            if rules.rules[place].is_by_access() {
                let since = monitor.map(|row| from_millis(row.since)).ok_or_else(|| {
                    Error::invalid(
                        "InvalidArgument",
                        "a lifecycle rule counts from the last access, which this bucket does not note; set the \
                         configuration AccessMonitor::Enabled first",
                    )
                })?;
                rules.rules[place].access_base = Some(since);
            } else {
                rules.rules[place].access_base = None;
            }
        }
        let before = to.own::<LifecycleRow>(rows::RULES)?;
        let known = before.clone().map(rows::of_row).transpose()?.unwrap_or_default();
        name_rules(&mut rules.rules, &known.rules, to.staged.now.lsn);
        let set = set_since(&rules, before, to.millis())?;
        let row = rows::to_row(&InForce { lifecycle: rules, set });
        if size_of(&row) > MAX_BYTES {
            return Err(Error::invalid(
                "InvalidArgument",
                format!(
                    "the lifecycle rules of a bucket may take {MAX_BYTES} bytes of text together; make them shorter"
                ),
            ));
        }
        to.put_own(rows::RULES, &row);
        expect_runs(to)
    }

    fn clear(to: &mut Setting<'_, '_>) -> Result<()> {
        to.remove_own(rows::RULES);
        Ok(())
    }
}

/// Refuses to note accesses no longer while a rule counts from them.
fn check_unused(to: &Setting<'_, '_>) -> Result<()> {
    let rules = to.own::<LifecycleRow>(rows::RULES)?.map(rows::of_row).transpose()?;
    match rules.iter().flat_map(|rules| &rules.rules).find(|rule| rule.is_by_access()) {
        Some(rule) => Err(Error::invalid(
            "InvalidArgument",
            format!("the lifecycle rule {:?} counts from the last access; take it away first", rule.id),
        )),
        None => Ok(()),
    }
}

impl Config for AccessMonitor {
    fn read(from: &Kept<'_>) -> Result<Option<AccessMonitor>> {
        let row = from.own::<AccessMonitorRow>(rows::MONITOR)?;
        Ok(row.map(|row| if row.enabled { AccessMonitor::Enabled } else { AccessMonitor::Disabled }))
    }

    fn write(&self, to: &mut Setting<'_, '_>) -> Result<()> {
        let before = to.own::<AccessMonitorRow>(rows::MONITOR)?.filter(|row| row.enabled);
        let enabled = *self == AccessMonitor::Enabled;
        if !enabled {
            check_unused(to)?;
        }
        // What a clock that was ahead said is not later than now.
        let since = before.filter(|_| enabled).map_or(to.millis(), |row| row.since.min(to.millis()));
        to.put_own(rows::MONITOR, &AccessMonitorRow { enabled, since });
        expect_runs(to)
    }

    fn clear(to: &mut Setting<'_, '_>) -> Result<()> {
        check_unused(to)?;
        to.remove_own(rows::MONITOR);
        Ok(())
    }
}

/// A configuration's row as a fork gets it that is made now: what its parent knows of accesses is not known there.
pub fn for_fork(name: &str, payload: Vec<u8>, millis: u64) -> Result<Vec<u8>> {
    match name {
        rows::MONITOR => {
            let row: AccessMonitorRow = row::decode(&payload).map_err(unreadable)?;
            Ok(row::encode(&AccessMonitorRow { since: millis, ..row }))
        }
        rows::RULES => {
            let mut row: LifecycleRow = row::decode(&payload).map_err(unreadable)?;
            for rule in &mut row.rules {
                rule.access_base = rule.access_base.map(|_| millis);
            }
            row.set = vec![millis; row.rules.len()];
            Ok(row::encode(&row))
        }
        _ => Ok(payload),
    }
}
