//! Which lifecycle rules are taken: a test for each sentence that OSS says about it.

use std::time::{Duration, SystemTime};

use ossicle::StorageClass::{Archive, ColdArchive, DeepColdArchive, InfrequentAccess, Standard};
use ossicle::{AccessMonitor, ErrorKind, Lifecycle, Rule, Store, Transition};

use crate::{a_bucket, assert_reads_well};

fn date(days: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(days * 86_400)
}

/// Rules that a bucket takes.
#[track_caller]
fn taken(rules: impl IntoIterator<Item = Rule>) -> Lifecycle {
    let (_store, bucket) = a_bucket();
    bucket.set_config(&AccessMonitor::Enabled).unwrap();
    bucket.set_config(&Lifecycle::new(rules)).unwrap();
    bucket.config::<Lifecycle>().unwrap().unwrap()
}

/// Rules that a bucket does not take, and what it says; nothing is changed then.
#[track_caller]
fn refused(rules: impl IntoIterator<Item = Rule>) -> String {
    let (_store, bucket) = a_bucket();
    bucket.set_config(&AccessMonitor::Enabled).unwrap();
    let before = Lifecycle::new([Rule::new("kept/").id("kept").expire_after(7)]);
    bucket.set_config(&before).unwrap();
    let error = bucket.set_config(&Lifecycle::new(rules)).unwrap_err();
    assert_reads_well(&error);
    assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, "InvalidArgument"), "{error}");
    assert_eq!(bucket.config::<Lifecycle>().unwrap(), Some(before));
    error.to_string()
}

#[test]
fn a_rule_has_at_least_one_action() {
    assert!(refused([Rule::new("a/")]).contains("does nothing"));
    assert!(refused([]).contains("at least one rule"));
    for rule in [
        Rule::new("a/").expire_after(1),
        Rule::new("a/").expire_markers(),
        Rule::new("a/").expire_on(date(20_000)),
        Rule::new("a/").transition_after(1, InfrequentAccess),
        Rule::new("a/").abort_uploads_after(1),
        Rule::new("a/").abort_uploads_begun_before(date(20_000)),
        Rule::new("a/").noncurrent_expire_after(1),
        Rule::new("a/").noncurrent_transition_after(1, Archive),
    ] {
        taken([rule]);
    }
}

#[test]
fn a_colder_class_comes_later_and_deletion_last() {
    let classes = [InfrequentAccess, Archive, ColdArchive, DeepColdArchive];
    let mut rule = Rule::new("").noncurrent_expire_after(50).expire_after(50);
    for (days, class) in (10..).zip(classes) {
        rule = rule.transition_after(days, class).noncurrent_transition_after(days, class);
    }
    taken([rule]);
    for pair in classes.windows(2) {
        for days in [10, 9] {
            let both = |rule: Rule| rule.transition_after(10, pair[0]).transition_after(days, pair[1]);
            assert!(refused([both(Rule::new(""))]).contains("do not fit together"));
            let both = |rule: Rule| {
                rule.noncurrent_transition_after(10, pair[0]).noncurrent_transition_after(days, pair[1])
            };
            refused([both(Rule::new(""))]);
            let both =
                |rule: Rule| rule.transition_unread_for(10, pair[0]).transition_unread_for(days, pair[1]);
            refused([both(Rule::new(""))]);
        }
    }
    for days in [9, 10] {
        assert!(
            refused([Rule::new("").transition_after(10, Archive).expire_after(days)]).contains("deletion")
        );
        refused([Rule::new("").noncurrent_transition_after(10, Archive).noncurrent_expire_after(days)]);
    }
    // Twice the same is no order either, and there is no class to move to that is not colder.
    assert!(
        refused([Rule::new("").transition_after(1, Archive).transition_after(2, Archive)]).contains("twice")
    );
    assert!(refused([Rule::new("").transition_after(1, Standard)]).contains("Standard"));
}

#[test]
fn the_same_order_holds_for_dates() {
    let at = |day, class| Transition::written_before(date(day), class);
    taken([Rule::new("")
        .transition(at(100, InfrequentAccess))
        .transition(at(101, Archive))
        .expire_written_before(date(102))]);
    refused([Rule::new("").transition(at(100, InfrequentAccess)).transition(at(100, Archive))]);
    refused([Rule::new("").transition(at(100, InfrequentAccess)).expire_written_before(date(99))]);
}

#[test]
fn expired_delete_markers_exclude_days_dates_and_tags() {
    // A rule has one expiration: the last one said counts.
    let rules = taken([Rule::new("").id("x").expire_after(3).expire_markers()]);
    assert_eq!(rules.rules[0].expiration, Some(ossicle::Expiration::Markers));
    assert!(refused([Rule::new("").tag("k", "v").expire_markers()]).contains("tags"));
}

#[test]
fn uploads_cannot_be_matched_by_tag() {
    assert!(refused([Rule::new("").tag("k", "v").abort_uploads_after(3)]).contains("uploads"));
    taken([Rule::new("").tag("k", "v").expire_after(3)]);
}

#[test]
fn rules_by_access_need_the_monitor() {
    let (_store, bucket) = a_bucket();
    let rules = Lifecycle::new([Rule::new("").transition_unread_for(30, InfrequentAccess)]);
    let error = bucket.set_config(&rules).unwrap_err();
    assert!(error.code() == "InvalidArgument" && error.to_string().contains("AccessMonitor::Enabled"));
    bucket.set_config(&AccessMonitor::Disabled).unwrap();
    assert_eq!(bucket.set_config(&rules).unwrap_err().code(), "InvalidArgument");
    bucket.set_config(&AccessMonitor::Enabled).unwrap();
    bucket.set_config(&rules).unwrap();
    assert!(bucket.config::<Lifecycle>().unwrap().unwrap().rules[0].access_base.is_some());
    // And it stays on as long as there are such rules.
    for refused in [bucket.set_config(&AccessMonitor::Disabled), bucket.clear_config::<AccessMonitor>()] {
        assert_eq!(refused.unwrap_err().code(), "InvalidArgument");
    }
    assert_eq!(bucket.config::<AccessMonitor>().unwrap(), Some(AccessMonitor::Enabled));
    bucket.clear_config::<Lifecycle>().unwrap();
    bucket.set_config(&AccessMonitor::Disabled).unwrap();
    bucket.clear_config::<AccessMonitor>().unwrap();
    assert_eq!(bucket.config::<AccessMonitor>().unwrap(), None);
}

#[test]
fn small_files_and_sizes_exclude_each_other() {
    let small = |rule: Rule| rule.transition(Transition::after(3, Archive).small_files(false));
    taken([small(Rule::new(""))]);
    assert!(refused([small(Rule::new("").larger_than(10))]).contains("small files"));
    refused([small(Rule::new("").smaller_than(10))]);
    taken([Rule::new("").larger_than(10).smaller_than(12).expire_after(1)]);
    refused([Rule::new("").larger_than(10).smaller_than(11).expire_after(1)]);
}

#[test]
fn what_counts_from_the_last_access_does_not_delete() {
    // An expiration has no such clock; whether what is read comes back is a matter of that clock alone.
    let kept = taken([Rule::new("").transition_unread_for(5, InfrequentAccess).expire_after(3)]);
    assert!(kept.rules[0].transitions[0].by_access);
    refused([Rule::new("").transition(Transition::after(3, InfrequentAccess).return_on_visit())]);
    let mut by_date = Transition::written_before(date(9), Archive);
    by_date.by_access = true;
    refused([Rule::new("").transition(by_date)]);
}

#[test]
fn overlapping_prefixes_with_the_same_action_are_refused() {
    let two = |a: Rule, b: Rule| [a.id("a"), b.id("b")];
    let told = refused(two(Rule::new("a/").expire_after(1), Rule::new("a/b").expire_after(2)));
    assert!(told.contains("Overlap for same action type Expiration"), "{told}");
    refused(two(Rule::new("a/b").expire_after(2), Rule::new("a/").expire_after(1)));
    refused(two(Rule::new("a").abort_uploads_after(1), Rule::new("ab").abort_uploads_after(1)));
    refused(two(Rule::new("a").noncurrent_expire_after(1), Rule::new("a").noncurrent_expire_after(1)));
    let told = refused(two(
        Rule::new("a").transition_after(1, Archive),
        Rule::new("ab").transition_after(2, Archive),
    ));
    assert!(told.contains("Transition to Archive"), "{told}");
    taken(two(Rule::new("a/").expire_after(1), Rule::new("b/").expire_after(2)));
    taken(two(Rule::new("a/").expire_after(1), Rule::new("a/b").abort_uploads_after(2)));
    // Other tags, other objects.
    taken(two(Rule::new("a").expire_after(1), Rule::new("a").tag("k", "v").expire_after(2)));
    let tagged = |value: &str| Rule::new("a").tag("k", value).tag("l", "1").expire_after(1);
    taken(two(tagged("1"), tagged("2")));
    let turned = Rule::new("a").tag("l", "1").tag("k", "1").expire_after(1);
    refused(two(tagged("1"), turned));
}

#[test]
fn overlaps_are_taken_if_that_is_allowed() {
    let (_store, bucket) = a_bucket();
    let rules = Lifecycle::new([
        Rule::new("").id("all").transition_after(30, Archive).expire_after(365),
        Rule::new("tmp/").id("tmp").expire_after(7),
    ]);
    assert_eq!(bucket.set_config(&rules).unwrap_err().code(), "InvalidArgument");
    let allowed = rules.allow_overlap();
    bucket.set_config(&allowed).unwrap();
    assert_eq!(bucket.config::<Lifecycle>().unwrap(), Some(allowed));
}

#[test]
fn overlapping_rules_whose_times_do_not_fit_are_refused() {
    let warm = Rule::new("a").transition_after(30, InfrequentAccess);
    let told = refused([warm.clone(), Rule::new("ab").transition_after(20, Archive)]);
    assert!(told.contains("do not fit together"), "{told}");
    refused([warm.clone(), Rule::new("ab").expire_after(30)]);
    taken([warm.clone(), Rule::new("ab").expire_after(31)]);
    taken([warm, Rule::new("b").expire_after(3)]);
}

#[test]
fn a_rule_for_the_whole_bucket_blocks_others_of_the_same_type() {
    refused([Rule::new("").expire_after(1), Rule::new("a").expire_after(2)]);
    refused([Rule::new("a").abort_uploads_after(1), Rule::new("").abort_uploads_after(1)]);
}

#[test]
fn setting_rules_replaces_all_that_there_were() {
    let (_store, bucket) = a_bucket();
    bucket
        .set_config(&Lifecycle::new([Rule::new("a").expire_after(1), Rule::new("b").expire_after(1)]))
        .unwrap();
    let next = Lifecycle::new([Rule::new("c").id("c").expire_after(1)]);
    bucket.set_config(&next).unwrap();
    assert_eq!(bucket.config::<Lifecycle>().unwrap(), Some(next));
    bucket.clear_config::<Lifecycle>().unwrap();
    bucket.clear_config::<Lifecycle>().unwrap();
    assert_eq!(bucket.config::<Lifecycle>().unwrap(), None);
}

#[test]
fn names_are_unique_and_made_where_there_are_none() {
    let kept = taken([
        Rule::new("a").expire_after(1),
        Rule::new("b").id("mine").expire_after(1),
        Rule::new("c").expire_after(1),
    ]);
    let ids: std::collections::BTreeSet<_> = kept.rules.iter().map(|rule| rule.id.clone()).collect();
    assert!(ids.len() == 3 && ids.contains("mine") && !ids.contains(""));
    let twice = |id: &str| [Rule::new("a").id(id).expire_after(1), Rule::new("b").id(id).expire_after(1)];
    assert!(refused(twice("x")).contains("twice"));
    taken([Rule::new("a").id("i".repeat(255)).expire_after(1)]);
    refused([Rule::new("a").id("i".repeat(256)).expire_after(1)]);
}

#[test]
fn a_bucket_has_at_most_a_thousand_rules() {
    let many = |count| (0..count).map(|i| Rule::new(format!("{i:04}/")).expire_after(1));
    assert_eq!(taken(many(1000)).rules.len(), 1000);
    assert!(refused(many(1001)).contains("1000"));
    // Nor more text than a row holds.
    let long = |i: usize| Rule::new(format!("{i:04}{}", "p".repeat(1000))).id(format!("{i}")).expire_after(1);
    assert!(refused((0..600).map(long)).contains("shorter"));
}

#[test]
fn exceptions_lie_within_the_rule_and_are_less_than_all() {
    taken([Rule::new("a/").except("a/b").expire_after(1)]);
    taken([Rule::new("a/").except_tagged("a/", "keep", "yes").expire_after(1)]);
    for outside in ["a/", "a", "", "b/"] {
        assert!(refused([Rule::new("a/").except(outside).expire_after(1)]).contains("leaves out"));
    }
    refused([Rule::new("a/").except_tagged("b", "k", "v").expire_after(1)]);
    refused([Rule::new("a/").except_tagged("a/b", "", "v").expire_after(1)]);
    refused([Rule::new("").tag("k", "*").expire_after(1)]);
    refused([Rule::new("p".repeat(1024)).expire_after(1)]);
}

#[test]
fn every_field_comes_back_also_after_a_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let bucket = store.create_bucket("cats").unwrap();
    bucket.set_config(&AccessMonitor::Enabled).unwrap();
    let unread = Transition::unread_for(9, InfrequentAccess).return_on_visit().small_files(false);
    let mut rules = Lifecycle::new([
        Rule::new("a/")
            .id("one")
            .tag("b", "1")
            .tag("a", "2")
            .except("a/b")
            .except_tagged("a/c", "k", "v")
            .larger_than(1)
            .smaller_than(1 << 40)
            .transition_after(10, InfrequentAccess)
            .transition(Transition::written_before(date(20_000), Archive))
            .expire_after(20)
            .noncurrent_transition_after(1, ColdArchive)
            .noncurrent_expire_after(2),
        Rule::new("b/").id("two").disabled().abort_uploads_begun_before(date(1)).expire_on(date(2)),
        Rule::new("c/").id("three").transition(unread).expire_markers(),
        Rule::new("d/")
            .id("four")
            .noncurrent_transition(unread)
            .expire_written_before(date(3))
            .abort_uploads_after(4),
    ])
    .allow_overlap();
    bucket.set_config(&rules).unwrap();
    let kept = bucket.config::<Lifecycle>().unwrap().unwrap();
    for (own, kept) in rules.rules.iter_mut().zip(&kept.rules) {
        own.access_base = kept.access_base;
    }
    assert_eq!(kept, rules);
    drop(bucket);
    store.close().unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.bucket("cats").unwrap().config::<Lifecycle>().unwrap(), Some(rules));
}

#[test]
fn forks_have_the_rules_of_their_parents_and_then_their_own() {
    let (store, bucket) = a_bucket();
    bucket.set_config(&AccessMonitor::Enabled).unwrap();
    let rules = Lifecycle::new([Rule::new("").id("a").expire_after(9)]);
    bucket.set_config(&rules).unwrap();
    let fork = store.fork_bucket("cats", "fork").unwrap();
    assert_eq!(fork.config::<Lifecycle>().unwrap().as_ref(), Some(&rules));
    assert_eq!(fork.config::<AccessMonitor>().unwrap(), Some(AccessMonitor::Enabled));
    let others = Lifecycle::new([Rule::new("").id("b").expire_after(9)]);
    fork.set_config(&others).unwrap();
    bucket.clear_config::<AccessMonitor>().unwrap();
    assert_eq!(fork.config::<AccessMonitor>().unwrap(), Some(AccessMonitor::Enabled));
    assert_eq!(bucket.config::<Lifecycle>().unwrap().as_ref(), Some(&rules));
    assert_eq!(fork.config::<Lifecycle>().unwrap(), Some(others));
    // A bucket of the same name begins without any.
    store.delete_bucket("fork").unwrap();
    assert_eq!(store.create_bucket("fork").unwrap().config::<Lifecycle>().unwrap(), None);
    assert_eq!(fork.config::<Lifecycle>().unwrap_err().code(), "NoSuchBucket");
}

#[test]
fn the_past_shows_the_rules_of_then() {
    let (store, bucket) = a_bucket();
    store.set_history(Some(Duration::from_secs(3600))).unwrap();
    let rules = |days| Lifecycle::new([Rule::new("").id("a").expire_after(days)]);
    bucket.put("none", b"1").unwrap();
    let none = store.stats().lsn;
    bucket.set_config(&rules(1)).unwrap();
    let first = store.stats().lsn;
    bucket.set_config(&rules(2)).unwrap();
    let second = store.stats().lsn;
    bucket.clear_config::<Lifecycle>().unwrap();
    bucket.put("last", b"1").unwrap();
    let at = |lsn| store.as_of(lsn).unwrap().bucket("cats").unwrap().config::<Lifecycle>().unwrap();
    assert_eq!(at(none), None);
    assert_eq!(at(first), Some(rules(1)));
    assert_eq!(at(second), Some(rules(2)));
    assert_eq!(at(store.stats().lsn), None);
}

/// What could never act is told when it is set, and not found out by whoever waits for it.
#[test]
fn rules_that_can_never_act_are_refused() {
    for rule in [
        Rule::new("").larger_than(0).expire_markers(),
        Rule::new("").larger_than(1000).expire_markers().noncurrent_expire_after(1),
        Rule::new("").smaller_than(0).expire_after(1),
        Rule::new("").larger_than(u64::MAX).expire_after(1),
        Rule::new("a/").tag("t", "1").except_tagged("a/", "t", "1").expire_after(1),
    ] {
        refused([rule]);
    }
    let fine = [
        Rule::new("a").smaller_than(1).expire_markers(),
        Rule::new("b/").tag("t", "1").except_tagged("b/", "t", "2").expire_after(1),
        Rule::new("c/").tag("t", "1").except_tagged("c/x", "t", "1").expire_after(1),
    ];
    taken(fine);
}
