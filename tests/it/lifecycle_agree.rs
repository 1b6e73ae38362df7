//! Run, preview, header and budget say the same of every version: random rules, versions, tags, classes, accesses and days.

use std::collections::BTreeMap;
use std::time::Duration;

use ossicle::StorageClass::{Archive, ColdArchive, InfrequentAccess, Standard};
use ossicle::{
    AccessMonitor, Bucket, Budget, EvictBy, Lifecycle, LifecycleAction, LifecycleDue, PutOptions, Rule,
    Transition, Versioning,
};
use proptest::prelude::*;

use super::lifecycle::{DAY, HOUR, at_noon, maintain, midnight};
use crate::effort;

const KEYS: [&str; 4] = ["a", "a/x", "a/y", "b"];
const DAYS: u32 = 20;

#[derive(Clone, Debug)]
enum Op {
    Put { key: usize, size: usize, tagged: bool, class: usize },
    Delete(usize),
    Access(usize),
    Acl(usize),
    Suspend(bool),
    Hours(u32),
}

fn an_op() -> impl Strategy<Value = Op> {
    let key = || 0..KEYS.len();
    prop_oneof![
        6 => (key(), 1..4usize, any::<bool>(), 0..3usize)
            .prop_map(|(key, size, tagged, class)| Op::Put { key, size: size * 100, tagged, class }),
        1 => key().prop_map(Op::Delete),
        1 => key().prop_map(Op::Access),
        1 => key().prop_map(Op::Acl),
        1 => any::<bool>().prop_map(Op::Suspend),
        3 => (1..40u32).prop_map(Op::Hours),
    ]
}

fn a_rule() -> impl Strategy<Value = Rule> {
    let prefix = prop::sample::select(vec!["", "a", "a/", "b"]);
    let days = || 1..8u32;
    let class = || prop::sample::select(vec![InfrequentAccess, Archive, ColdArchive]);
    let date = (0..12u32).prop_map(|day| midnight() + DAY * day);
    let expiration = prop::option::weighted(0.6, (0..4u8, days(), date));
    let moves = prop::option::weighted(0.5, (days(), class(), any::<bool>(), any::<bool>()));
    let filter = (0..4u8, 0..4u8, 0..4u8);
    (prefix, expiration, moves, prop::option::weighted(0.6, days()), filter).prop_map(
        |(prefix, expiration, moves, older, (tags, sizes, except))| {
            let mut rule = Rule::new(prefix);
            rule = match expiration {
                Some((0 | 1, days, _)) => rule.expire_after(days),
                Some((2, _, date)) => rule.expire_written_before(date),
                Some((_, _, date)) => rule.expire_on(date),
                None => rule,
            };
            if let Some((days, class, by_access, returns)) = moves {
                let mut to = Transition::after(days, class);
                to.by_access = by_access;
                to.return_on_visit = by_access && returns;
                rule = rule.transition(to).noncurrent_transition(to);
            }
            if let Some(days) = older {
                rule = rule.noncurrent_expire_after(days);
            }
            rule = if tags == 0 { rule.tag("t", "1") } else { rule };
            rule = match sizes {
                0 => rule.larger_than(150),
                1 => rule.smaller_than(250),
                _ => rule,
            };
            if except == 0 { rule.except(format!("{prefix}/x")) } else { rule }
        },
    )
}

/// A version by its key and name.
type Name = (String, String);

/// The versions that are there, with class (nothing for markers), and whether they are current.
fn versions(bucket: &Bucket) -> BTreeMap<Name, (Option<ossicle::StorageClass>, bool)> {
    let all = bucket.versions("").unwrap().map(|entry| entry.unwrap());
    all.map(|entry| ((entry.key, entry.version.to_string()), (entry.class, entry.latest))).collect()
}

fn name_of(due: &LifecycleDue) -> Name {
    (due.key.clone(), due.version.as_ref().unwrap().to_string())
}

fn play(ops: Vec<Op>, rules: Vec<Rule>, late: u32) -> Result<(), TestCaseError> {
    let (store, bucket, clock) = at_noon();
    bucket.set_config(&Versioning::Enabled).unwrap();
    bucket.set_config(&AccessMonitor::Enabled).unwrap();
    for op in ops {
        match op {
            Op::Put { key, size, tagged, class } => {
                let class = [Standard, InfrequentAccess, Archive][class];
                let options = PutOptions::new().storage_class(class);
                let options = if tagged { options.tag("t", "1") } else { options };
                bucket.put_with(KEYS[key], vec![1; size], options).unwrap();
            }
            Op::Delete(key) => drop(bucket.delete(KEYS[key]).unwrap()),
            Op::Access(key) => drop(bucket.get(KEYS[key])),
            Op::Acl(key) => drop(bucket.set_acl(KEYS[key], ossicle::Acl::Private)),
            Op::Suspend(suspended) => {
                let to = if suspended { Versioning::Suspended } else { Versioning::Enabled };
                bucket.set_config(&to).unwrap();
            }
            Op::Hours(hours) => clock.advance(HOUR * hours),
        }
    }
    if bucket.set_config(&Lifecycle::new(rules).allow_overlap()).is_err() {
        return Ok(());
    }
    bucket.set_config(&Budget::bytes(1 << 40).order([EvictBy::Lifecycle])).unwrap();
    clock.advance(HOUR * late);
    // What headers and budgets say, before the first run.
    let headers: BTreeMap<&str, _> = KEYS
        .iter()
        .filter_map(|key| Some((*key, bucket.head(key).ok()?.expiration().map(|expiry| expiry.at))))
        .collect();
    let evictions = bucket.eviction_preview(1000).unwrap().next;
    let now = ossicle::Clock::now(&clock);
    let first = (now.duration_since(midnight()).unwrap().as_secs() / DAY.as_secs()) as u32;
    let current = versions(&bucket);
    let mut gone: BTreeMap<Name, u32> = BTreeMap::new();
    for day in first..first + DAYS {
        let at = midnight() + DAY * day;
        // The run of today is still to be made: hours after its midnight.
        clock.set(if day == first { now } else { at + HOUR * 2 });
        let before = versions(&bucket);
        let preview: Vec<LifecycleDue> =
            bucket.lifecycle_preview(Some(at)).unwrap().map(|due| due.unwrap()).collect();
        let counts = maintain(&store);
        prop_assert_eq!(counts.changed(), preview.len() as u64, "day {}", day);
        let after = versions(&bucket);
        for due in &preview {
            let name = name_of(due);
            let now = after.get(&name);
            let done = match due.action {
                LifecycleAction::Remove | LifecycleAction::RemoveMarker => now.is_none(),
                LifecycleAction::Expire => now.is_none_or(|(class, current)| !current || class.is_none()),
                LifecycleAction::Transition(class) => now.is_some_and(|(now, _)| *now == Some(class)),
                LifecycleAction::ReturnToStandard => now.is_some_and(|(now, _)| *now == Some(Standard)),
                _ => false,
            };
            prop_assert!(done, "day {}: {:?} and then {:?}", day, due, now);
            if matches!(due.action, LifecycleAction::Remove | LifecycleAction::Expire) {
                gone.entry(name).or_insert(day);
            }
        }
        // A null version makes way for a marker without being due itself.
        let unsaid = before.keys().filter(|name| !after.contains_key(*name));
        for name in unsaid {
            let said = preview.iter().any(|due| due.key == name.0);
            prop_assert!(said, "day {}: {:?} is gone", day, name);
        }
    }
    for (key, told) in headers {
        let name = current.iter().find(|((known, _), (_, current))| known == key && *current).unwrap().0;
        let expected = gone.get(name).map(|day| midnight() + DAY * *day);
        let within = told.filter(|at| *at < midnight() + DAY * (first + DAYS));
        prop_assert_eq!(within, expected, "{:?}", name);
    }
    // Older versions first, and among them and among the others those that go first: the ones that stay are the last.
    let place = |each: &ossicle::Eviction| {
        let name = (each.key.clone(), each.version.as_ref().unwrap().to_string());
        (each.current, gone.get(&name).copied().unwrap_or(u32::MAX))
    };
    let null_goes = |each: &&ossicle::Eviction| !each.version.as_ref().unwrap().is_null();
    let order: Vec<_> = evictions.iter().filter(null_goes).map(place).collect();
    prop_assert!(order.is_sorted(), "{:?}", order);
    prop_assert!(store.verify().unwrap().is_clean() && Duration::ZERO < DAY);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: effort::of(12, 100), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn run_preview_header_and_budget_say_the_same(
        ops in prop::collection::vec(an_op(), 4..30),
        rules in prop::collection::vec(a_rule(), 1..4),
        late in 0..14u32,
    ) {
        play(ops, rules, late)?;
    }
}
