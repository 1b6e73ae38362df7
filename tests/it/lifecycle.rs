//! What lifecycle rules do and when: a test for each sentence that OSS says about it, by a clock that is moved by hand.

use std::time::{Duration, SystemTime};

use ossicle::StorageClass::{Archive, ColdArchive, DeepColdArchive, InfrequentAccess, Standard};
use ossicle::{
    AppendOptions, Bucket, CreateBucketOptions, Lifecycle, LifecycleAction, LifecycleCounts, Maintenance,
    PutOptions, Retention, RetentionMode, Rule, Store, Transition, UploadOptions, VersionEntry, Versioning,
    VirtualClock, Worm, WormState,
};

/// 00:00 UTC of some day.
pub fn midnight() -> SystemTime {
    SystemTime::UNIX_EPOCH + DAY * 20_000
}

pub const DAY: Duration = Duration::from_secs(86_400);
pub const HOUR: Duration = Duration::from_secs(3600);
const NEVER: Duration = Duration::from_secs(1 << 20);

/// A store whose clock stands at noon, with a bucket.
pub fn at_noon() -> (Store, Bucket, VirtualClock) {
    with_bucket(CreateBucketOptions::new())
}

fn with_bucket(options: CreateBucketOptions) -> (Store, Bucket, VirtualClock) {
    let clock = VirtualClock::at(midnight() + HOUR * 12);
    let memory = ossicle::MemoryVfs::new();
    let builder = Store::builder("/store").vfs(std::sync::Arc::new(memory));
    let store = builder.clock(clock.clone()).maintenance(Maintenance::Manual).open().unwrap();
    let bucket = store.create_bucket_with("cats", options).unwrap();
    (store, bucket, clock)
}

fn versioned(versioning: Versioning) -> (Store, Bucket, VirtualClock) {
    with_bucket(CreateBucketOptions::new().versioning(versioning))
}

pub fn maintain(store: &Store) -> LifecycleCounts {
    store.maintain(NEVER).unwrap().lifecycle
}

pub fn set(bucket: &Bucket, rules: impl IntoIterator<Item = Rule>) {
    bucket.set_config(&Lifecycle::new(rules).allow_overlap()).unwrap();
}

fn keys(bucket: &Bucket) -> Vec<String> {
    bucket.list("").unwrap().map(|entry| entry.unwrap().name().to_string()).collect()
}

pub fn class(bucket: &Bucket, key: &str) -> ossicle::StorageClass {
    bucket.head(key).unwrap().class
}

fn versions(bucket: &Bucket, key: &str) -> Vec<VersionEntry> {
    let all = bucket.versions(key).unwrap().map(|entry| entry.unwrap());
    all.filter(|entry| entry.key == key).collect()
}

/// On which days from today on (by the midnight that begins them) a run does something, and what.
fn days_of_change(store: &Store, clock: &VirtualClock, days: u64) -> Vec<(u64, LifecycleCounts)> {
    let mut found = Vec::new();
    for day in 1..=days {
        clock.set(midnight() + DAY * day as u32);
        let counts = maintain(store);
        if counts.changed() > 0 {
            found.push((day, counts));
        }
    }
    found
}

#[test]
fn an_object_matches_by_prefix_tags_sizes_and_exceptions_together() {
    let (store, bucket, clock) = at_noon();
    let tagged = |size: usize, tags: &[(&str, &str)], key: &str| {
        let options = tags.iter().fold(PutOptions::new(), |options, (key, value)| options.tag(*key, *value));
        bucket.put_with(key, vec![0; size], options).unwrap();
    };
    let both = [("k", "1"), ("l", "2")];
    tagged(10, &both, "a/goes");
    tagged(10, &both, "b/other prefix");
    tagged(10, &both[..1], "a/one tag");
    tagged(10, &[("k", "1"), ("l", "3")], "a/other value");
    tagged(5, &both, "a/as small as the bound");
    tagged(20, &both, "a/as large as the bound");
    tagged(10, &both, "a/not/left out");
    tagged(10, &[both[0], both[1], ("keep", "yes")], "a/maybe/left out");
    tagged(10, &both, "a/maybe/not left out");
    let rule = Rule::new("a/").tag("k", "1").tag("l", "2").larger_than(5).smaller_than(20);
    set(&bucket, [rule.except("a/not/").except_tagged("a/maybe/", "keep", "yes").expire_after(1)]);
    clock.advance(DAY * 3);
    assert_eq!(maintain(&store).expired, 2);
    let left = keys(&bucket);
    assert!(left.len() == 7 && !left.iter().any(|key| key == "a/goes" || key == "a/maybe/not left out"));
}

#[test]
fn days_begin_at_the_midnight_behind_the_last_write() {
    for (offset, due) in [(Duration::ZERO, 4), (HOUR * 12, 4), (DAY - Duration::from_millis(1), 4), (DAY, 5)]
    {
        let (store, bucket, clock) = at_noon();
        clock.set(midnight() + offset);
        set(&bucket, [Rule::new("").expire_after(3)]);
        bucket.put("a", b"1").unwrap();
        let changes = days_of_change(&store, &clock, 8);
        assert_eq!(changes.iter().map(|(day, _)| *day).collect::<Vec<_>>(), [due], "{offset:?}");
    }
}

#[test]
fn writing_again_begins_anew_and_tags_do_not() {
    let (store, bucket, clock) = at_noon();
    set(&bucket, [Rule::new("").expire_after(2)]);
    bucket.put("tagged", b"1").unwrap();
    bucket.put("written", b"1").unwrap();
    clock.advance(DAY);
    bucket.set_tags("tagged", [("a", "b")]).unwrap();
    bucket.put("written", b"2").unwrap();
    clock.advance(DAY * 2);
    assert_eq!((maintain(&store).expired, keys(&bucket)), (1, vec!["written".to_string()]));
    clock.advance(DAY);
    assert_eq!((maintain(&store).expired, keys(&bucket)), (1, vec![]));
}

#[test]
fn runs_begin_at_midnight_in_utc_and_happen_once_a_day() {
    let (store, bucket, clock) = at_noon();
    bucket.put("a", b"1").unwrap();
    clock.advance(DAY * 10);
    set(&bucket, [Rule::new("").expire_after(1)]);
    // Rules that are set during a day are carried out from the next midnight on.
    assert_eq!(maintain(&store), LifecycleCounts::default());
    clock.set(midnight() + DAY * 11 - Duration::from_millis(1));
    assert_eq!(maintain(&store), LifecycleCounts::default());
    clock.set(midnight() + DAY * 11);
    assert_eq!(maintain(&store).expired, 1);
    assert_eq!(maintain(&store), LifecycleCounts::default());
    let report = bucket.lifecycle_report().unwrap().unwrap();
    assert_eq!((report.at, report.ended), (midnight() + DAY * 11, Some(midnight() + DAY * 11)));
    assert_eq!((report.counts.seen, report.counts.expired), (1, 1));
}

#[test]
fn a_store_that_was_closed_for_days_catches_up() {
    let dir = tempfile::tempdir().unwrap();
    let clock = VirtualClock::at(midnight());
    let open =
        || Store::builder(dir.path()).clock(clock.clone()).maintenance(Maintenance::Manual).open().unwrap();
    let store = open();
    let bucket = store.create_bucket("cats").unwrap();
    set(&bucket, [Rule::new("a").expire_after(5), Rule::new("b").transition_after(5, Archive)]);
    for key in ["a", "b", "c"] {
        bucket.put(key, b"1").unwrap();
    }
    drop(bucket);
    store.close().unwrap();
    clock.advance(DAY * 100);
    let store = open();
    assert_eq!((maintain(&store).changed(), maintain(&store).changed()), (2, 0));
    let bucket = store.bucket("cats").unwrap();
    assert_eq!((keys(&bucket), class(&bucket, "b")), (vec!["b".to_string(), "c".to_string()], Archive));
}

#[test]
fn what_was_written_before_a_date_is_due_at_the_next_run() {
    let (store, bucket, clock) = at_noon();
    bucket.put("old", b"1").unwrap();
    clock.set(midnight() + DAY);
    bucket.put("new", b"1").unwrap();
    set(&bucket, [Rule::new("").expire_written_before(midnight() + DAY)]);
    clock.set(midnight() + DAY * 2);
    assert_eq!((maintain(&store).expired, keys(&bucket)), (1, vec!["new".to_string()]));
    clock.set(midnight() + DAY * 200);
    assert_eq!(maintain(&store).expired, 0);
    // The old kind of date is one from which on everything goes.
    set(&bucket, [Rule::new("").expire_on(midnight() + DAY * 203)]);
    clock.set(midnight() + DAY * 202);
    assert_eq!(maintain(&store).expired, 0);
    clock.set(midnight() + DAY * 203);
    assert_eq!(maintain(&store).expired, 1);
}

#[test]
fn uploads_are_aborted_by_when_they_were_begun() {
    let (store, bucket, clock) = at_noon();
    set(&bucket, [Rule::new("a/").abort_uploads_after(2).except("a/kept/")]);
    for key in ["a/1", "a/kept/1", "b/1"] {
        let upload = bucket.upload(key, UploadOptions::new()).unwrap();
        upload.put_part(1, vec![1; 100_000]).unwrap();
    }
    clock.advance(DAY);
    let later = bucket.upload("a/1", UploadOptions::new()).unwrap();
    later.put_part(1, vec![1; 1000]).unwrap();
    clock.set(midnight() + DAY * 3);
    assert_eq!(maintain(&store).aborted, 1);
    let left: Vec<_> = bucket.uploads("".into()).unwrap().map(|entry| entry.unwrap().key).collect();
    assert_eq!(left, ["a/1", "a/kept/1", "b/1"]);
    assert_eq!(bucket.usage("").unwrap().uploads, 3);
    later.complete(&later.parts().unwrap()).unwrap();
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn noncurrent_days_count_from_the_successor() {
    let (store, bucket, clock) = versioned(Versioning::Enabled);
    set(&bucket, [Rule::new("").noncurrent_expire_after(3)]);
    bucket.put("a", b"1").unwrap();
    clock.set(midnight() + DAY * 10 + HOUR);
    bucket.put("a", b"2").unwrap();
    bucket.put("b", b"1").unwrap();
    clock.set(midnight() + DAY * 11);
    bucket.delete("a").unwrap();
    // The first became noncurrent on day 10, the second by the marker on day 11.
    let changes = days_of_change(&store, &clock, 30);
    let removed: Vec<_> = changes.iter().map(|(day, counts)| (*day, counts.removed)).collect();
    assert_eq!(removed, [(14, 1), (15, 1)]);
    assert_eq!((versions(&bucket, "a").len(), versions(&bucket, "b").len()), (1, 1));
}

#[test]
fn the_current_version_expires_behind_a_delete_marker() {
    let (store, bucket, clock) = versioned(Versioning::Enabled);
    set(&bucket, [Rule::new("").expire_after(1)]);
    bucket.put("a", b"1").unwrap();
    bucket.put("a", b"2").unwrap();
    clock.advance(DAY * 3);
    assert_eq!(maintain(&store).expired, 1);
    let all = versions(&bucket, "a");
    assert!(all.len() == 3 && all[0].marker && all[0].latest && !all[0].version.is_null());
    // A marker with other versions below stays, and gets no company.
    clock.advance(DAY * 30);
    assert_eq!((maintain(&store).changed(), versions(&bucket, "a").len()), (0, 3));
}

#[test]
fn where_versioning_is_suspended_the_null_version_makes_way_for_the_marker() {
    let (store, bucket, clock) = versioned(Versioning::Enabled);
    bucket.put("a", b"named").unwrap();
    bucket.set_config(&Versioning::Suspended).unwrap();
    bucket.put("a", b"null").unwrap();
    bucket.put("b", b"null").unwrap();
    set(&bucket, [Rule::new("").expire_after(1)]);
    clock.advance(DAY * 3);
    assert_eq!(maintain(&store).expired, 2);
    let told =
        |key| versions(&bucket, key).iter().map(|v| (v.marker, v.version.is_null())).collect::<Vec<_>>();
    assert_eq!(told("a"), [(true, true), (false, false)]);
    assert_eq!(told("b"), [(true, true)]);
}

#[test]
fn without_versions_what_expires_is_gone() {
    let (store, bucket, clock) = at_noon();
    set(&bucket, [Rule::new("").expire_after(1)]);
    bucket.put("a", vec![1; 1 << 20]).unwrap();
    clock.advance(DAY * 3);
    assert_eq!(maintain(&store).expired, 1);
    assert_eq!(store.usage().unwrap().bytes, 0);
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn a_marker_that_is_alone_goes_if_the_rule_says_so_whatever_its_age() {
    let (store, bucket, clock) = versioned(Versioning::Enabled);
    bucket.delete("alone/a").unwrap();
    bucket.put("alone/with", b"1").unwrap();
    bucket.delete("alone/with").unwrap();
    bucket.delete("elsewhere").unwrap();
    set(&bucket, [Rule::new("").expire_after(1)]);
    clock.advance(DAY * 5);
    assert_eq!(maintain(&store).changed(), 0);
    set(&bucket, [Rule::new("alone/").expire_markers()]);
    clock.advance(DAY);
    bucket.delete("alone/new").unwrap();
    assert_eq!(maintain(&store).markers, 2);
    assert_eq!(versions(&bucket, "alone/with").len(), 2);
    assert_eq!(versions(&bucket, "elsewhere").len(), 1);
    // Once the version below is gone the marker is alone, which the next run sees.
    set(&bucket, [Rule::new("alone/").expire_markers().noncurrent_expire_after(1)]);
    let told: Vec<_> = (0..2)
        .map(|_| {
            clock.advance(DAY);
            maintain(&store)
        })
        .collect();
    assert_eq!((told[0].removed, told[0].markers, told[1].markers), (1, 0, 1));
    assert!(versions(&bucket, "alone/with").is_empty());
}

#[test]
fn noncurrent_versions_and_markers_are_removed_for_good() {
    let (store, bucket, clock) = versioned(Versioning::Enabled);
    bucket.put("a", b"1").unwrap();
    bucket.delete("a").unwrap();
    bucket.put("a", b"2").unwrap();
    set(&bucket, [Rule::new("").noncurrent_expire_after(1)]);
    clock.advance(DAY * 3);
    assert_eq!(maintain(&store).removed, 2);
    assert_eq!(versions(&bucket, "a").len(), 1);
    assert_eq!(crate::read(&bucket, "a"), b"2");
}

#[test]
fn a_transition_changes_the_class_and_nothing_else() {
    let (store, bucket, clock) = versioned(Versioning::Enabled);
    let options = PutOptions::new().metadata("m", "1").tag("t", "1").content_type("text/plain");
    bucket.put_with("a", b"1", options).unwrap();
    bucket.put("b", b"old").unwrap();
    bucket.put("b", b"new").unwrap();
    let before = bucket.head("a").unwrap();
    set(
        &bucket,
        [Rule::new("").transition_after(1, InfrequentAccess).noncurrent_transition_after(2, Archive)],
    );
    clock.set(midnight() + DAY * 2);
    assert_eq!(maintain(&store).transitioned, 2);
    clock.set(midnight() + DAY * 3);
    assert_eq!(maintain(&store).transitioned, 1);
    let after = bucket.head("a").unwrap();
    assert_eq!((before.class, after.class), (Standard, InfrequentAccess));
    assert_eq!((before.modified, before.version, before.etag), (after.modified, after.version, after.etag));
    assert_eq!((before.metadata, before.content_type), (after.metadata, after.content_type));
    assert_eq!(bucket.tags("a").unwrap().len(), 1);
    let classes: Vec<_> = versions(&bucket, "b").iter().map(|version| version.class.unwrap()).collect();
    assert_eq!(classes, [InfrequentAccess, Archive]);
    assert_eq!(crate::read(&bucket, "b"), b"new");
    let usage = bucket.usage("").unwrap();
    assert_eq!(usage.classes, [(InfrequentAccess, 2, 4)]);
}

#[test]
fn a_transition_of_a_marker_does_nothing() {
    let (store, bucket, clock) = versioned(Versioning::Enabled);
    bucket.delete("a").unwrap();
    set(&bucket, [Rule::new("").transition_after(1, Archive).noncurrent_transition_after(1, Archive)]);
    clock.advance(DAY * 5);
    assert_eq!(maintain(&store).changed(), 0);
}

#[test]
fn an_uphill_transition_is_skipped_in_silence() {
    let (store, bucket, clock) = at_noon();
    bucket.put_with("a", b"1", PutOptions::new().storage_class(Archive)).unwrap();
    bucket.put_with("b", b"1", PutOptions::new().storage_class(InfrequentAccess)).unwrap();
    set(&bucket, [Rule::new("").transition_after(1, InfrequentAccess)]);
    clock.advance(DAY * 5);
    let counts = maintain(&store);
    assert_eq!((counts.seen, counts.changed()), (2, 0));
    assert_eq!((class(&bucket, "a"), class(&bucket, "b")), (Archive, InfrequentAccess));
}

#[test]
fn on_the_same_day_deletion_comes_before_the_colder_class_and_that_before_the_warmer() {
    let (store, bucket, clock) = at_noon();
    for key in ["a", "ab", "abc"] {
        bucket.put(key, b"1").unwrap();
    }
    let rules = [
        Rule::new("a").transition_after(2, InfrequentAccess),
        Rule::new("ab").transition_after(2, ColdArchive),
        Rule::new("a").transition_after(2, Archive),
        Rule::new("abc").expire_after(2),
    ];
    set(&bucket, rules);
    clock.advance(DAY * 3);
    let counts = maintain(&store);
    assert_eq!((counts.transitioned, counts.expired), (2, 1));
    assert_eq!((class(&bucket, "a"), class(&bucket, "ab"), keys(&bucket).len()), (Archive, ColdArchive, 2));
}

#[test]
fn on_different_days_each_rule_acts_at_its_own_time() {
    let (store, bucket, clock) = at_noon();
    bucket.put("a", b"1").unwrap();
    let rules = [
        Rule::new("").transition_after(4, Archive),
        Rule::new("").transition_after(2, InfrequentAccess),
        Rule::new("").transition_after(6, DeepColdArchive),
        Rule::new("").expire_after(8),
    ];
    set(&bucket, rules);
    let mut seen = Vec::new();
    for day in 1..=9 {
        clock.set(midnight() + DAY * day);
        let counts = maintain(&store);
        if counts.transitioned > 0 {
            seen.push((day, Some(class(&bucket, "a"))));
        } else if counts.expired > 0 {
            seen.push((day, None));
        }
    }
    let expected = [(3, Some(InfrequentAccess)), (5, Some(Archive)), (7, Some(DeepColdArchive)), (9, None)];
    assert_eq!(seen, expected);
}

#[test]
fn kinds_that_oss_keeps_in_no_cold_class_stay_where_they_may_be() {
    let (store, bucket, clock) = at_noon();
    bucket.append_with("appended", 0, b"1", AppendOptions::new()).unwrap();
    bucket.symlink("link", "appended").unwrap();
    bucket.put("plain", b"1").unwrap();
    set(&bucket, [Rule::new("").transition_after(1, InfrequentAccess).transition_after(2, ColdArchive)]);
    clock.advance(DAY * 9);
    assert_eq!(maintain(&store).transitioned, 3);
    assert_eq!((class(&bucket, "appended"), class(&bucket, "plain")), (InfrequentAccess, ColdArchive));
}

#[test]
fn small_files_stay_if_the_rule_says_so() {
    let (store, bucket, clock) = at_noon();
    bucket.put("small", vec![1; (64 << 10) - 1]).unwrap();
    bucket.put("large", vec![1; 64 << 10]).unwrap();
    let moves = |allowed| Transition::after(1, InfrequentAccess).small_files(allowed);
    set(&bucket, [Rule::new("").transition(moves(false))]);
    clock.advance(DAY * 3);
    assert_eq!((maintain(&store).transitioned, class(&bucket, "small")), (1, Standard));
    set(&bucket, [Rule::new("").transition(moves(true))]);
    clock.advance(DAY);
    assert_eq!((maintain(&store).transitioned, class(&bucket, "small")), (1, InfrequentAccess));
}

#[test]
fn what_is_protected_may_change_its_class_and_is_not_deleted() {
    let (store, bucket, clock) = at_noon();
    for key in ["retained", "held", "free"] {
        bucket.put(key, b"1").unwrap();
    }
    let until = clock_now(&clock) + DAY * 10;
    bucket.set_retention("retained", Retention { mode: RetentionMode::Compliance, until }).unwrap();
    bucket.set_legal_hold("held", true).unwrap();
    set(&bucket, [Rule::new("").transition_after(1, Archive).expire_after(2)]);
    clock.advance(DAY * 5);
    let counts = maintain(&store);
    assert_eq!((counts.expired, counts.transitioned, counts.held), (1, 2, 2));
    assert_eq!((class(&bucket, "retained"), class(&bucket, "held")), (Archive, Archive));
    clock.advance(DAY * 10);
    assert_eq!(maintain(&store).expired, 1);
    assert_eq!(keys(&bucket), ["held"]);
    bucket.set_legal_hold("held", false).unwrap();
    clock.advance(DAY);
    assert_eq!(maintain(&store).expired, 1);
}

fn clock_now(clock: &VirtualClock) -> SystemTime {
    ossicle::Clock::now(clock)
}

#[test]
fn a_bucket_that_retains_all_is_not_cleaned_before_its_time() {
    let (store, bucket, clock) = at_noon();
    let worm = Worm { days: 30, state: WormState::Locked, created: SystemTime::UNIX_EPOCH };
    bucket.set_config(&worm).unwrap();
    bucket.put("a", b"1").unwrap();
    set(&bucket, [Rule::new("").transition_after(1, InfrequentAccess).expire_after(5)]);
    clock.advance(DAY * 10);
    let counts = maintain(&store);
    assert_eq!((counts.transitioned, counts.held), (1, 1));
    clock.advance(DAY * 22);
    assert_eq!(maintain(&store).expired, 1);
}

#[test]
fn versions_that_are_protected_stay_and_a_marker_hides_them() {
    let (store, bucket, clock) = versioned(Versioning::Enabled);
    bucket.put("a", b"1").unwrap();
    bucket.set_legal_hold("a", true).unwrap();
    bucket.put("a", b"2").unwrap();
    bucket.set_legal_hold("a", true).unwrap();
    set(&bucket, [Rule::new("").expire_after(1).noncurrent_expire_after(1)]);
    clock.advance(DAY * 3);
    let counts = maintain(&store);
    assert_eq!((counts.expired, counts.removed, counts.held), (1, 0, 1));
    let all = versions(&bucket, "a");
    assert!(all.len() == 3 && all[0].marker);
    // Where a null version would be lost, there is no marker either.
    let (store, bucket, clock) = versioned(Versioning::Suspended);
    bucket.put("a", b"1").unwrap();
    bucket.set_legal_hold("a", true).unwrap();
    bucket.set_config(&Versioning::Enabled).unwrap();
    bucket.put("a", b"2").unwrap();
    bucket.set_config(&Versioning::Suspended).unwrap();
    set(&bucket, [Rule::new("").expire_after(1)]);
    clock.advance(DAY * 3);
    let counts = maintain(&store);
    assert_eq!((counts.expired, counts.held, versions(&bucket, "a").len()), (0, 1, 2));
}

#[test]
fn get_and_head_tell_when_an_object_expires_and_by_which_rule() {
    let (_store, bucket, clock) = at_noon();
    set(&bucket, [Rule::new("a").id("slow").expire_after(9), Rule::new("ab").id("quick").expire_after(3)]);
    for key in ["a", "ab", "b"] {
        bucket.put(key, b"1").unwrap();
    }
    let told = |key: &str| {
        let (head, got) = (bucket.head(key).unwrap(), bucket.get(key).unwrap());
        assert_eq!(head.expiration(), got.meta().expiration());
        head.expiration().map(|expiry| (expiry.at, expiry.rule.clone()))
    };
    assert_eq!(told("a"), Some((midnight() + DAY * 10, "slow".into())));
    assert_eq!(told("ab"), Some((midnight() + DAY * 4, "quick".into())));
    assert_eq!(told("b"), None);
    clock.advance(DAY);
    bucket.clear_config::<Lifecycle>().unwrap();
    assert_eq!(told("a"), None);
    set(
        &bucket,
        [
            Rule::new("").id("off").disabled().expire_after(9),
            Rule::new("").id("class").transition_after(9, Archive),
        ],
    );
    assert_eq!(told("a"), None);
}

#[test]
fn a_disabled_rule_does_nothing() {
    let (store, bucket, clock) = at_noon();
    bucket.put("a", b"1").unwrap();
    set(&bucket, [Rule::new("").disabled().expire_after(1)]);
    clock.advance(DAY * 9);
    assert_eq!(maintain(&store), LifecycleCounts::default());
    assert_eq!(keys(&bucket), ["a"]);
}

#[test]
fn a_preview_shows_what_the_run_does_and_changes_nothing() {
    let (store, bucket, clock) = versioned(Versioning::Enabled);
    for key in ["a", "b", "c"] {
        bucket.put(key, b"1").unwrap();
    }
    bucket.put("a", b"2").unwrap();
    bucket.delete("m").unwrap();
    bucket.upload("u", UploadOptions::new()).unwrap();
    set(
        &bucket,
        [
            Rule::new("").id("old").noncurrent_expire_after(2).abort_uploads_after(2),
            Rule::new("a").id("a").transition_after(2, Archive),
            Rule::new("b").id("b").expire_after(2),
            Rule::new("m").id("m").expire_markers(),
        ],
    );
    let lsn = store.stats().lsn;
    let told = |at| -> Vec<(String, LifecycleAction, String)> {
        let all = bucket.lifecycle_preview(at).unwrap().map(|due| due.unwrap());
        all.map(|due| (due.key, due.action, due.rule)).collect()
    };
    let now = [("m".to_string(), LifecycleAction::RemoveMarker, "m".to_string())];
    assert_eq!(told(None), now);
    assert_eq!(told(Some(midnight() + DAY * 3 - HOUR)), now);
    let then = told(Some(midnight() + DAY * 3));
    let expected = [
        ("a", LifecycleAction::Transition(Archive), "a"),
        ("a", LifecycleAction::Remove, "old"),
        ("b", LifecycleAction::Expire, "b"),
        ("m", LifecycleAction::RemoveMarker, "m"),
        ("u", LifecycleAction::AbortUpload, "old"),
    ];
    assert_eq!(then, expected.map(|(key, action, rule)| (key.into(), action, rule.into())));
    assert_eq!(store.stats().lsn, lsn);
    clock.set(midnight() + DAY * 3);
    assert_eq!(told(None), then);
    let counts = maintain(&store);
    assert_eq!((counts.changed(), counts.removed, counts.aborted), (5, 1, 1));
    assert_eq!(told(None), []);
}

#[test]
fn rules_can_be_carried_out_at_once() {
    let (store, bucket, clock) = at_noon();
    bucket.put("a", b"1").unwrap();
    clock.advance(DAY * 5);
    assert_eq!(bucket.run_lifecycle().unwrap(), LifecycleCounts::default());
    set(&bucket, [Rule::new("").expire_after(1)]);
    assert_eq!(bucket.run_lifecycle().unwrap().expired, 1);
    assert_eq!(bucket.lifecycle_report().unwrap().unwrap().counts.expired, 1);
    drop(store);
}

#[test]
fn objects_of_forks_and_renamed_prefixes_are_found() {
    let (store, bucket, clock) = versioned(Versioning::Enabled);
    for number in 0..100 {
        bucket.put(&format!("old/{number:02}"), b"1").unwrap();
        bucket.put(&format!("old/{number:02}"), b"2").unwrap();
    }
    bucket.rename_prefix("old/", "new/").unwrap();
    let fork = store.fork_bucket("cats", "fork").unwrap();
    fork.put("new/00", b"3").unwrap();
    fork.delete("new/01").unwrap();
    set(
        &fork,
        [Rule::new("new/0").noncurrent_expire_after(1), Rule::new("new/1").transition_after(1, Archive)],
    );
    clock.advance(DAY * 3);
    let preview = fork.lifecycle_preview(None).unwrap().count();
    let counts = maintain(&store);
    // Of ten keys one older version, and one more of the two that the fork has changed.
    assert_eq!((counts.removed, counts.transitioned, preview), (12, 10, 22));
    assert_eq!((versions(&fork, "new/05").len(), versions(&bucket, "new/05").len()), (1, 2));
    assert_eq!((class(&fork, "new/10"), class(&bucket, "new/10")), (Archive, Standard));
    set(&bucket, [Rule::new("old/").expire_after(1), Rule::new("new/0").expire_after(1)]);
    clock.advance(DAY);
    assert_eq!(maintain(&store).expired, 10);
    assert_eq!(fork.usage("new/").unwrap().objects, 99);
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn a_run_goes_on_where_the_budget_ended_and_after_a_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let clock = VirtualClock::at(midnight());
    let open =
        || Store::builder(dir.path()).clock(clock.clone()).maintenance(Maintenance::Manual).open().unwrap();
    let mut store = open();
    let bucket =
        store.create_bucket_with("cats", CreateBucketOptions::new().versioning(Versioning::Enabled)).unwrap();
    set(&bucket, [Rule::new("").noncurrent_expire_after(1).expire_after(9)]);
    for _ in 0..700 {
        bucket.put_with("many", b"1", PutOptions::new().durability(ossicle::Durability::Buffered)).unwrap();
    }
    for number in 0..700 {
        let options = PutOptions::new().durability(ossicle::Durability::Buffered);
        bucket.put_with(&format!("k{number}"), b"1", options).unwrap();
    }
    drop(bucket);
    clock.advance(DAY * 20);
    let (mut total, mut steps, mut ended) = (0, 0, false);
    while !ended {
        let report = store.maintain(Duration::ZERO).unwrap();
        total += report.lifecycle.changed();
        steps += 1;
        ended = !report.more;
        store.close().unwrap();
        store = open();
        assert!(steps < 50);
    }
    // 699 older versions, and a marker on each of 701 keys.
    assert_eq!(total, 699 + 701);
    assert!(steps > 5, "{steps}");
    let report = store.bucket("cats").unwrap().lifecycle_report().unwrap().unwrap();
    assert_eq!((report.counts.removed, report.counts.expired), (699, 701));
    assert_eq!(report.counts.seen, 699 + 701);
}

#[test]
fn rules_that_are_taken_back_do_nothing_more() {
    let (store, bucket, clock) = at_noon();
    for number in 0..600 {
        bucket.put(&format!("{number}"), b"1").unwrap();
    }
    set(&bucket, [Rule::new("").expire_after(1)]);
    clock.advance(DAY * 3);
    let report = store.maintain(Duration::ZERO).unwrap();
    assert!(report.more && (1..600).contains(&report.lifecycle.expired));
    bucket.clear_config::<Lifecycle>().unwrap();
    assert_eq!(maintain(&store).changed(), 0);
    assert_eq!(keys(&bucket).len() as u64, 600 - report.lifecycle.expired);
    store.delete_bucket("cats").unwrap_err();
    clock.advance(DAY);
    assert_eq!(maintain(&store).changed(), 0);
}

#[test]
fn a_full_disk_is_emptied_by_rules() {
    let disk = ossicle::testing::FaultyDisk::new(7);
    let clock = VirtualClock::at(midnight());
    let builder =
        Store::builder("/store").vfs(disk.vfs()).clock(clock.clone()).maintenance(Maintenance::Manual);
    let store = builder.open().unwrap();
    let bucket = store.create_bucket("cats").unwrap();
    set(&bucket, [Rule::new("a").expire_after(1), Rule::new("b").transition_after(1, Archive)]);
    bucket.put("b", b"1").unwrap();
    for number in 0..40 {
        bucket.put(&format!("a{number}"), vec![7; 1 << 20]).unwrap();
    }
    store.checkpoint().unwrap();
    disk.set_capacity(Some(disk.used()));
    while bucket.put("c", vec![1; 1 << 20]).is_ok() {}
    clock.advance(DAY * 3);
    let counts = (0..5).map(|_| maintain(&store).expired).sum::<u64>();
    assert_eq!(counts, 40);
    // They all lay in the segment that is still open.
    store.compact(ossicle::CompactOptions::new()).unwrap();
    bucket.put("d", vec![1; 1 << 20]).unwrap();
}

#[test]
fn the_past_shows_what_rules_have_deleted() {
    let (store, bucket, clock) = at_noon();
    store.set_history(Some(DAY * 30)).unwrap();
    bucket.put("a", b"kept").unwrap();
    let lsn = store.stats().lsn;
    set(&bucket, [Rule::new("").expire_after(1)]);
    clock.advance(DAY * 3);
    assert_eq!(maintain(&store).expired, 1);
    let past = store.as_of(lsn).unwrap().bucket("cats").unwrap();
    assert_eq!(&past.get("a").unwrap().bytes().unwrap()[..], b"kept");
}

#[test]
fn the_feed_tells_what_rules_do() {
    let (store, bucket, clock) = at_noon();
    bucket.put("a", b"1").unwrap();
    bucket.put("b", b"1").unwrap();
    set(&bucket, [Rule::new("a").expire_after(1), Rule::new("b").transition_after(1, Archive)]);
    let after = store.stats().lsn;
    clock.advance(DAY * 3);
    maintain(&store);
    let ops: Vec<_> = store.changes(after).unwrap().flat_map(|change| change.unwrap().ops).collect();
    assert!(matches!(&ops[0], ossicle::ChangeOp::Delete { key, .. } if key == "a"), "{ops:?}");
    assert!(
        matches!(&ops[1], ossicle::ChangeOp::Put { key, meta, .. } if key == "b" && meta.class == Archive)
    );
    assert_eq!(ops.len(), 2);
}

#[test]
fn a_background_store_carries_rules_out_by_itself() {
    let clock = VirtualClock::at(midnight());
    let memory = std::sync::Arc::new(ossicle::MemoryVfs::new());
    let store = Store::builder("/store").vfs(memory).clock(clock.clone()).open().unwrap();
    let bucket = store.create_bucket("cats").unwrap();
    bucket.put("a", b"1").unwrap();
    set(&bucket, [Rule::new("").expire_after(1)]);
    clock.advance(DAY * 3);
    // Whatever rings the bell makes the thread look at the clock; without, it looks once an hour.
    set(&bucket, [Rule::new("").expire_after(1)]);
    let begun = std::time::Instant::now();
    while bucket.exists("a").unwrap() {
        assert!(begun.elapsed() < Duration::from_secs(30));
        std::thread::sleep(Duration::from_millis(10));
    }
}
