//! Random rules and random writes, day by day, beside a simulation that knows nothing but sentences of OSS.

use std::collections::BTreeMap;
use std::time::SystemTime;

use ossicle::StorageClass::{Archive, ColdArchive, DeepColdArchive, InfrequentAccess, Standard};
use ossicle::{Bucket, LifecycleAction, Rule, StorageClass, Store, Versioning};
use proptest::prelude::*;

use super::lifecycle::{DAY, HOUR, at_noon, maintain, midnight, set};
use crate::effort;

/// A version as the simulation keeps it; a delete marker has no class.
#[derive(Clone, Debug, PartialEq)]
struct Version {
    written: u64,
    class: Option<StorageClass>,
    null: bool,
    /// When another one took its place; of no matter while it is current, and nothing that a listing shows.
    superseded: u64,
}

/// Keys with their versions, the newest first. Time is counted in hours since the midnight of day 0.
type Model = BTreeMap<String, Vec<Version>>;

const KEYS: [&str; 5] = ["a", "a/x", "a/y", "b", "b/x"];

fn put(model: &mut Model, versioning: Option<Versioning>, key: &str, version: Version) {
    let all = model.entry(key.to_string()).or_default();
    let replaces = |all: &[Version]| versioning == Some(Versioning::Suspended) && all[0].null;
    if !all.is_empty() && !replaces(all) {
        all[0].superseded = version.written;
    }
    match versioning {
        None => all.clear(),
        Some(Versioning::Enabled) => {}
        Some(Versioning::Suspended) => all.retain(|version| !version.null),
    }
    all.insert(0, version);
}

fn delete(model: &mut Model, versioning: Option<Versioning>, key: &str, hour: u64) {
    match versioning {
        None => drop(model.remove(key)),
        Some(state) => {
            let null = state == Versioning::Suspended;
            put(model, versioning, key, Version { written: hour, class: None, null, superseded: 0 });
        }
    }
}

/// What one rule wants of one version in the run of a day.
fn wish(rule: &Rule, key: &str, all: &[Version], place: usize, day: u64) -> Vec<LifecycleAction> {
    let version = &all[place];
    if !key.starts_with(&rule.prefix) {
        return Vec::new();
    }
    let due = |hour: u64, days: u32| hour / 24 + u64::from(days) < day;
    let mut wishes = Vec::new();
    let (since, transitions) = match place {
        0 => (version.written, &rule.transitions),
        _ => (version.superseded, &rule.noncurrent_transitions),
    };
    match (rule.expiration, version.class) {
        (Some(ossicle::Expiration::Days(days)), Some(_)) if place == 0 && due(since, days) => {
            wishes.push(LifecycleAction::Expire);
        }
        (Some(ossicle::Expiration::Markers), None) if place == 0 && all.len() == 1 => {
            wishes.push(LifecycleAction::RemoveMarker);
        }
        _ => {}
    }
    if place > 0 && rule.noncurrent_expiration.is_some_and(|days| due(since, days)) {
        wishes.push(LifecycleAction::Remove);
    }
    for each in transitions {
        let ossicle::When::Days(days) = each.when else { continue };
        if version.class.is_some_and(|class| class < each.class) && due(since, days) {
            wishes.push(LifecycleAction::Transition(each.class));
        }
    }
    wishes
}

/// The run of a day.
fn run(model: &mut Model, versioning: Option<Versioning>, rules: &[Rule], day: u64) {
    let order = [
        LifecycleAction::Expire,
        LifecycleAction::Remove,
        LifecycleAction::RemoveMarker,
        LifecycleAction::Transition(DeepColdArchive),
        LifecycleAction::Transition(ColdArchive),
        LifecycleAction::Transition(Archive),
        LifecycleAction::Transition(InfrequentAccess),
    ];
    for (key, before) in model.clone() {
        let mut kept = Vec::new();
        let mut expires = false;
        for (place, version) in before.iter().enumerate() {
            let wishes: Vec<_> =
                rules.iter().flat_map(|rule| wish(rule, &key, &before, place, day)).collect();
            let mut version = version.clone();
            match order.into_iter().find(|action| wishes.contains(action)) {
                Some(LifecycleAction::Expire) => expires = true,
                Some(LifecycleAction::Remove | LifecycleAction::RemoveMarker) => continue,
                Some(LifecycleAction::Transition(class)) => version.class = Some(class),
                _ => {}
            }
            kept.push(version);
        }
        model.insert(key.clone(), kept);
        if expires {
            delete(model, versioning, &key, day * 24);
        }
    }
    model.retain(|_, all| !all.is_empty());
}

/// What a listing shows of it.
fn shown(model: &Model) -> Model {
    let mut shown = model.clone();
    shown.values_mut().flatten().for_each(|version| version.superseded = 0);
    shown
}

fn observed(bucket: &Bucket) -> Model {
    let mut model = Model::new();
    for entry in bucket.versions("").unwrap() {
        let entry = entry.unwrap();
        let since = entry.modified.duration_since(midnight()).unwrap();
        let written = since.as_secs() / 3600;
        let version = Version { written, class: entry.class, null: entry.version.is_null(), superseded: 0 };
        model.entry(entry.key).or_default().push(version);
    }
    model
}

#[derive(Clone, Debug)]
enum Op {
    Put(usize, usize),
    Delete(usize),
    Versioning(bool),
    Hours(u64),
    Rename,
}

fn an_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        5 => (0..KEYS.len(), 0..3usize).prop_map(|(key, class)| Op::Put(key, class)),
        2 => (0..KEYS.len()).prop_map(Op::Delete),
        1 => any::<bool>().prop_map(Op::Versioning),
        4 => (1..60u64).prop_map(Op::Hours),
        1 => Just(Op::Rename),
    ]
}

fn a_rule() -> impl Strategy<Value = Rule> {
    let prefix = prop::sample::select(vec!["", "a", "a/", "b"]);
    let days = || 1..6u32;
    let class = || prop::sample::select(vec![InfrequentAccess, Archive, ColdArchive, DeepColdArchive]);
    let transition = move || prop::option::weighted(0.4, (days(), class()));
    let expiration = prop::option::weighted(0.4, prop_oneof![3 => days(), 1 => Just(0)]);
    (prefix, expiration, transition(), prop::option::weighted(0.4, days()), transition()).prop_filter_map(
        "it does nothing, or in the wrong order",
        |(prefix, expiration, moves, removes, older)| {
            let mut rule = Rule::new(prefix);
            rule = match expiration {
                Some(0) => rule.expire_markers(),
                Some(days) => rule.expire_after(days),
                None => rule,
            };
            if let Some((days, class)) = moves {
                rule = rule.transition_after(days, class);
            }
            if let Some(days) = removes {
                rule = rule.noncurrent_expire_after(days);
            }
            if let Some((days, class)) = older {
                rule = rule.noncurrent_transition_after(days, class);
            }
            let (_store, probe, _) = at_noon();
            probe.set_config(&ossicle::Lifecycle::new([rule.clone()])).is_ok().then_some(rule)
        },
    )
}

fn play(rules: Vec<Rule>, versioned: Option<bool>, ops: Vec<Op>, rest: bool) -> Result<(), TestCaseError> {
    let (store, bucket, clock): (Store, Bucket, _) = at_noon();
    let mut versioning = None;
    if let Some(enabled) = versioned {
        versioning = Some(if enabled { Versioning::Enabled } else { Versioning::Suspended });
        bucket.set_config(&versioning.unwrap()).unwrap();
    }
    set(&bucket, rules.clone());
    let (mut model, mut hour, mut done) = (Model::new(), 12u64, 0u64);
    for op in ops {
        match op {
            Op::Put(key, class) => {
                let class = [Standard, InfrequentAccess, Archive][class];
                let options = ossicle::PutOptions::new().storage_class(class);
                bucket.put_with(KEYS[key], b"1", options).unwrap();
                let null = versioning != Some(Versioning::Enabled);
                let version = Version { written: hour, class: Some(class), null, superseded: 0 };
                put(&mut model, versioning, KEYS[key], version);
            }
            Op::Delete(key) => {
                bucket.delete(KEYS[key]).unwrap();
                delete(&mut model, versioning, KEYS[key], hour);
            }
            Op::Versioning(enabled) if versioning.is_some() => {
                versioning = Some(if enabled { Versioning::Enabled } else { Versioning::Suspended });
                bucket.set_config(&versioning.unwrap()).unwrap();
            }
            Op::Versioning(_) => {}
            // What is under another prefix for a moment comes back as it was, from elsewhere in the map.
            Op::Rename => {
                bucket.rename_prefix("a/", "c/").unwrap();
                bucket.rename_prefix("c/", "a/").unwrap();
            }
            Op::Hours(hours) => {
                for _ in 0..hours {
                    hour += 1;
                    clock.set(midnight() + HOUR * hour as u32);
                    if hour.is_multiple_of(24) {
                        let then: SystemTime = midnight() + DAY * (hour / 24) as u32;
                        let preview = bucket.lifecycle_preview(Some(then)).unwrap().count() as u64;
                        let counts = if rest {
                            let mut total = 0;
                            loop {
                                let report = store.maintain(std::time::Duration::ZERO).unwrap();
                                total += report.lifecycle.changed();
                                if !report.more {
                                    break total;
                                }
                            }
                        } else {
                            maintain(&store).changed()
                        };
                        run(&mut model, versioning, &rules, hour / 24);
                        prop_assert_eq!(preview, counts);
                        prop_assert_eq!(
                            &observed(&bucket),
                            &shown(&model),
                            "after the run of day {}",
                            hour / 24
                        );
                        done += 1;
                    }
                }
            }
        }
        prop_assert_eq!(&observed(&bucket), &shown(&model));
    }
    prop_assert!(done == hour / 24 && store.verify().unwrap().is_clean());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: effort::of(80, 600), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn runs_do_what_a_simulation_does(
        rules in prop::collection::vec(a_rule(), 1..4),
        versioned in prop::option::weighted(0.8, any::<bool>()),
        ops in prop::collection::vec(an_op(), 5..40),
        rest in any::<bool>(),
    ) {
        play(rules, versioned, ops, rest)?;
    }
}
