//! Tests of rules: what is valid, and what they say of a version, against a second formulation.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::plan::Subject;
use super::plan::{InForce, Plan};
use super::report::LifecycleAction;
use super::rule::{DAY, Expiration, Lifecycle, Rule, Transition, When};
use crate::model::class::StorageClass::{
    self, Archive, ColdArchive, DeepColdArchive, InfrequentAccess, Standard,
};
use crate::model::kind::ObjectKind;
use crate::model::meta::from_millis;

fn date(day: u64) -> SystemTime {
    from_millis(day * DAY)
}

const NOW: u64 = 1000;

fn subject(modified: u64) -> Subject<'static> {
    Subject {
        key: "a/b",
        size: 100_000,
        modified,
        class: Standard,
        kind: Some(ObjectKind::Normal),
        tags: &[],
        since: None,
        alone: true,
        lowest: true,
        accessed: None,
        held: false,
    }
}

fn decide(rules: &[Rule], subject: &Subject<'_>, day: u64) -> Option<LifecycleAction> {
    decide_of(&in_force(rules, 0), subject, day)
}

fn in_force(rules: &[Rule], set: u64) -> Arc<InForce> {
    let lifecycle = Lifecycle::new(rules.to_vec()).allow_overlap();
    Arc::new(InForce { set: vec![set; rules.len()], lifecycle })
}

fn decide_of(rules: &Arc<InForce>, subject: &Subject<'_>, day: u64) -> Option<LifecycleAction> {
    let plan = Plan::new(rules, day * DAY);
    let of = |region: &super::plan::Region| {
        *region.start <= *subject.key.as_bytes()
            && region.end.as_ref().is_none_or(|end| *end.as_slice() > *subject.key.as_bytes())
    };
    let regions = plan.regions(false);
    let rules = regions.iter().find(|region| of(region)).map_or(&[][..], |region| &region.rules);
    plan.decide(rules, subject).map(|act| act.action)
}

#[test]
fn the_documented_example_of_scheduling_holds() {
    // N = 1, uploaded on day 20 before 00:00 UTC of day 20's run (that is, on day 19 by UTC): run of day 21. After: 22.
    let rule = [Rule::new("").expire_after(1)];
    let before = subject(20 * DAY - 1);
    assert_eq!(decide(&rule, &before, 20), None);
    assert_eq!(decide(&rule, &before, 21), Some(LifecycleAction::Expire));
    for after in [20 * DAY, 21 * DAY - 1] {
        assert_eq!(decide(&rule, &subject(after), 21), None);
        assert_eq!(decide(&rule, &subject(after), 22), Some(LifecycleAction::Expire));
    }
}

#[test]
fn the_most_drastic_action_of_a_day_is_done() {
    let all = [
        Rule::new("a").transition_after(1, InfrequentAccess),
        Rule::new("").transition_after(1, Archive),
        Rule::new("a/").transition_after(1, ColdArchive),
        Rule::new("a/b").transition_after(1, DeepColdArchive),
        Rule::new("").expire_after(1),
    ];
    let expected = [InfrequentAccess, Archive, ColdArchive, DeepColdArchive];
    for (count, class) in (1..).zip(expected) {
        let action = decide(&all[..count], &subject(0), NOW);
        assert_eq!(action, Some(LifecycleAction::Transition(class)));
    }
    assert_eq!(decide(&all, &subject(0), NOW), Some(LifecycleAction::Expire));
    let mut reversed = all.to_vec();
    reversed.reverse();
    assert_eq!(decide(&reversed, &subject(0), NOW), Some(LifecycleAction::Expire));
    let held = Subject { held: true, ..subject(0) };
    assert_eq!(decide(&all, &held, NOW), Some(LifecycleAction::Transition(DeepColdArchive)));
}

#[test]
fn regions_are_where_prefixes_begin_and_end() {
    let rules = [
        Rule::new("b").expire_after(1),
        Rule::new("b/c").expire_after(2),
        Rule::new("d").abort_uploads_after(1),
        Rule::new("e").disabled().expire_after(1),
    ];
    let plan = Plan::new(&in_force(&rules, 0), 0);
    let told = |uploads| -> Vec<(String, Option<String>, Vec<usize>)> {
        let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        let all = plan.regions(uploads).into_iter();
        all.map(|region| (text(&region.start), region.end.as_ref().map(text), region.rules)).collect()
    };
    let end = |text: &str| Some(text.to_string());
    assert_eq!(
        told(false),
        [
            ("b".into(), end("b/c"), vec![0]),
            ("b/c".into(), end("b/d"), vec![0, 1]),
            ("b/d".into(), end("c"), vec![0]),
        ]
    );
    assert_eq!(told(true), [("d".into(), end("e"), vec![2])]);
    let whole = Plan::new(&in_force(&[Rule::new("").expire_after(1)], 0), 0).regions(false);
    assert_eq!((whole.len(), whole[0].end.as_ref()), (1, None));
}

/// The second formulation: from the rule's words to the moment at which it is due, in days and with words for numbers.
fn naive(rules: &[Rule], subject: &Subject<'_>, day: u64) -> Option<LifecycleAction> {
    let due_day = |moment: u64, count: u32| (moment / DAY) + u64::from(count) + 1;
    let mut wanted = Vec::new();
    for rule in rules.iter().filter(|rule| rule.enabled && subject.key.starts_with(&rule.prefix)) {
        let has = |tag: &(String, String)| subject.tags.iter().any(|own| own == tag);
        let excluded = rule.except.iter().any(|except| {
            let by_prefix = subject.key.starts_with(&except.prefix);
            let by_tag = match &except.tag {
                Some(tag) => has(tag),
                None => true,
            };
            by_prefix && by_tag
        });
        let too_small = rule.larger_than.is_some_and(|least| subject.size <= least);
        let too_large = rule.smaller_than.is_some_and(|most| subject.size >= most);
        let marker = subject.kind.is_none();
        let rest = marker && subject.lowest && subject.since.is_some();
        if excluded || !rest && (too_small || too_large || !rule.tags.iter().all(has)) {
            continue;
        }
        match subject.since {
            None if marker => {
                if rule.expiration == Some(Expiration::Markers) && subject.alone && !subject.held {
                    wanted.push(LifecycleAction::RemoveMarker);
                }
            }
            None => {
                let due = match rule.expiration {
                    Some(Expiration::Days(count)) => due_day(subject.modified, count) <= day,
                    Some(Expiration::Before(date)) => {
                        from_millis(subject.modified) < date && due_day(subject.modified, 0) <= day
                    }
                    Some(Expiration::On(date)) => {
                        date <= from_millis(day * DAY) && due_day(subject.modified, 0) <= day
                    }
                    Some(Expiration::Markers) | None => false,
                };
                if due && !subject.held {
                    wanted.push(LifecycleAction::Expire);
                }
            }
            Some(since) => {
                let due = rule.noncurrent_expiration.is_some_and(|count| due_day(since, count) <= day);
                if due && !subject.held {
                    wanted.push(LifecycleAction::Remove);
                }
            }
        }
        if marker {
            continue;
        }
        let all = match subject.since {
            None => &rule.transitions,
            Some(_) => &rule.noncurrent_transitions,
        };
        for each in all {
            if each.small_files == Some(false) && subject.size < 65_536 {
                continue;
            }
            let base = subject.since.unwrap_or(subject.modified);
            let accessed = subject.accessed.map(|accessed| accessed.min(day * DAY));
            let base = match each.by_access {
                false => base,
                true => {
                    let known = rule.access_base.map_or(0, |base| {
                        base.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64
                    });
                    [base, known, accessed.unwrap_or(0)].into_iter().max().unwrap()
                }
            };
            let due = match each.when {
                When::Days(count) => due_day(base, count) <= day,
                When::Before(date) => from_millis(base) < date && due_day(base, 0) <= day,
            };
            let cold = each.class == ColdArchive || each.class == DeepColdArchive;
            let odd = matches!(subject.kind, Some(ObjectKind::Appendable | ObjectKind::Symlink));
            if due && each.class > subject.class && !(cold && odd) {
                wanted.push(LifecycleAction::Transition(each.class));
            }
            if let (When::Days(count), Some(accessed)) = (each.when, accessed)
                && each.return_on_visit
                && subject.class == InfrequentAccess
                && due_day(accessed, count) > day
            {
                wanted.push(LifecycleAction::ReturnToStandard);
            }
        }
    }
    let order = [
        LifecycleAction::Expire,
        LifecycleAction::Remove,
        LifecycleAction::RemoveMarker,
        LifecycleAction::Transition(DeepColdArchive),
        LifecycleAction::Transition(ColdArchive),
        LifecycleAction::Transition(Archive),
        LifecycleAction::Transition(InfrequentAccess),
        LifecycleAction::ReturnToStandard,
    ];
    order.into_iter().find(|action| wanted.contains(action))
}

fn a_class() -> impl Strategy<Value = StorageClass> {
    prop::sample::select(StorageClass::ALL.to_vec())
}

fn a_transition(dates: bool) -> impl Strategy<Value = Transition> {
    let when =
        prop_oneof![(1..12u32).prop_map(When::Days), (1..20u64).prop_map(|day| When::Before(date(day)))];
    (when, a_class(), any::<bool>(), any::<bool>(), prop::option::of(any::<bool>())).prop_map(
        move |(when, class, by_access, return_on_visit, small_files)| {
            let days = matches!(when, When::Days(_));
            let when = if days || dates { when } else { When::Days(3) };
            let by_access = by_access && matches!(when, When::Days(_));
            let class = if class == Standard { InfrequentAccess } else { class };
            let return_on_visit = return_on_visit && by_access;
            Transition { when, class, by_access, return_on_visit, small_files }
        },
    )
}

fn a_rule() -> impl Strategy<Value = Rule> {
    let prefix = prop::sample::select(vec!["", "a", "a/", "a/b", "b"]);
    let expiration = prop_oneof![
        (1..12u32).prop_map(Expiration::Days),
        (1..20u64).prop_map(|day| Expiration::Before(date(day))),
        (1..20u64).prop_map(|day| Expiration::On(date(day))),
        Just(Expiration::Markers),
    ];
    let actions = (
        prop::option::weighted(0.3, expiration),
        prop::collection::vec(a_transition(true), 0..3),
        prop::option::weighted(0.3, 1..12u32),
        prop::collection::vec(a_transition(false), 0..2),
    );
    let filter = (
        0..4u8,
        0..4u8,
        prop::option::weighted(0.2, 0..100_000u64),
        prop::option::weighted(0.2, 1..200_000u64),
    );
    (prefix, prop::bool::weighted(0.9), actions, filter, 0..12u64).prop_map(
        |(prefix, enabled, actions, (tagged, except, larger, smaller), base)| {
            let mut rule = Rule::new(prefix);
            rule.enabled = enabled;
            (rule.expiration, rule.transitions, rule.noncurrent_expiration, rule.noncurrent_transitions) =
                actions;
            (rule.larger_than, rule.smaller_than) = (larger, smaller);
            rule.access_base = Some(date(base));
            if tagged == 0 {
                rule = rule.tag("t", "1");
            }
            match except {
                0 => rule.except("a/b"),
                1 => rule.except_tagged("a", "t", "1"),
                _ => rule,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_formulations_say_the_same(
        rules in prop::collection::vec(a_rule(), 1..5),
        key in prop::sample::select(vec!["a", "a/", "a/b", "a/bc", "b", "c"]),
        (size, modified, class) in (prop::sample::select(vec![0, 1000, 65_535, 65_536, 100_001]), 0..20 * DAY, a_class()),
        kind in prop::option::weighted(0.8, prop::sample::select(vec![
            ObjectKind::Normal, ObjectKind::Multipart, ObjectKind::Appendable, ObjectKind::Symlink,
        ])),
        (tagged, alone, lowest, held) in
            (any::<bool>(), any::<bool>(), any::<bool>(), prop::bool::weighted(0.2)),
        since in prop::option::of(0..20 * DAY),
        accessed in prop::option::of(0..20u64),
        day in 0..25u64,
    ) {
        let own = [("t".to_string(), "1".to_string())];
        let tags = if tagged && kind.is_some() { &own[..] } else { &[] };
        let accessed = accessed.map(|day| day * DAY);
        let subject = Subject { key, size, modified, class, kind, tags, since, alone, lowest, accessed, held };
        prop_assert_eq!(decide(&rules, &subject, day), naive(&rules, &subject, day));
    }

    /// Whatever the rules, when they were set, the version and its access: the run that deletes it first is the one that
    /// its header names and that budgets rank it by.
    #[test]
    fn runs_headers_and_budgets_name_the_same_day(
        rules in prop::collection::vec((a_rule(), 0..30 * DAY), 1..5),
        (modified, since) in (0..20 * DAY, prop::option::of(0..20 * DAY)),
        (class, tagged, small) in (a_class(), any::<bool>(), any::<bool>()),
        accessed in prop::option::of(0..40u64),
    ) {
        let (rules, set): (Vec<Rule>, Vec<u64>) = rules.into_iter().unzip();
        let names = |place: usize| format!("{place}");
        let named = (0..).zip(rules).map(|(place, rule)| rule.id(names(place))).collect::<Vec<_>>();
        let in_force = Arc::new(InForce { lifecycle: Lifecycle::new(named).allow_overlap(), set });
        let own = [("t".to_string(), "1".to_string())];
        let of = Subject {
            size: if small { 1000 } else { 100_000 },
            tags: if tagged { &own } else { &[] },
            accessed: accessed.map(|day| day * DAY),
            class,
            since,
            alone: false,
            lowest: false,
            ..subject(modified)
        };
        let first = (0..60).find(|day| {
            matches!(decide_of(&in_force, &of, *day), Some(LifecycleAction::Expire | LifecycleAction::Remove))
        });
        // What is deleted on a day is deleted on every later one.
        for day in first.into_iter().flat_map(|first| first..60) {
            let action = decide_of(&in_force, &of, day);
            prop_assert!(matches!(action, Some(LifecycleAction::Expire | LifecycleAction::Remove)), "day {}", day);
        }
        prop_assert_eq!(in_force.deletes_at(&of), first.map_or(u64::MAX, |day| day * DAY));
        if since.is_none() {
            let mut meta = crate::model::meta::ObjectMeta {
                key: of.key.to_string(),
                size: of.size,
                etag: crate::model::etag::ETag::from_hash(&[0; 32]),
                version: None,
                class: of.class,
                modified: from_millis(modified),
                kind: ObjectKind::Normal,
                content_type: None,
                metadata: Default::default(),
                digests: Default::default(),
                lsn: crate::model::lsn::Lsn(1),
                rare: None,
            };
            meta.rare.get_or_insert_default().tags = of.tags.to_vec();
            let told = in_force.expiry_of(&meta);
            prop_assert_eq!(told.as_ref().map(|expiry| expiry.at), first.map(date));
        }
    }
}

fn refused(rules: impl IntoIterator<Item = Rule>) -> String {
    let error = Lifecycle::new(rules).check().unwrap_err();
    assert_eq!(error.code(), "InvalidArgument");
    error.to_string()
}

#[test]
fn dates_and_days_have_limits() {
    let date = date(20_000);
    Lifecycle::new([Rule::new("").expire_written_before(date)]).check().unwrap();
    refused([Rule::new("").expire_written_before(date + Duration::from_nanos(1))]);
    refused([Rule::new("").expire_written_before(date + Duration::from_secs(1))]);
    refused([Rule::new("").expire_written_before(SystemTime::UNIX_EPOCH - Duration::from_secs(86_400))]);
    refused([Rule::new("").expire_after(0)]);
    refused([Rule::new("").expire_after(u32::MAX)]);
}
