//! What a clock that was wrong for a while does, and which run is the first for a rule.

use std::time::{Duration, SystemTime};

use ossicle::StorageClass::{Archive, InfrequentAccess, Standard};
use ossicle::{
    AccessMonitor, Bucket, Lifecycle, Lsn, PutOptions, RestoreOptions, Rule, Store, Versioning, VirtualClock,
};

use super::lifecycle::{DAY, HOUR, at_noon, class, maintain, midnight, set};

const MINUTE: Duration = Duration::from_secs(60);

fn count(bucket: &Bucket) -> u64 {
    bucket.usage("").unwrap().objects
}

/// A store with so many objects of noon, and the rule that they go after thirty days.
fn filled(objects: usize) -> (Store, Bucket, VirtualClock) {
    let (store, bucket, clock) = at_noon();
    let all = 0..objects;
    store
        .write(|tx| all.into_iter().try_for_each(|at| tx.put(&bucket, &format!("{at:04}"), b"1").map(drop)))
        .unwrap();
    set(&bucket, [Rule::new("").id("old").expire_after(30)]);
    (store, bucket, clock)
}

#[test]
fn a_run_begun_under_a_clock_that_was_ahead_is_dropped() {
    let (store, bucket, clock) = filled(1000);
    let noon = midnight() + HOUR * 12;
    clock.set(noon + DAY * 3000);
    // What is done before anybody knows better is done: a store may well have been closed for so long.
    let report = store.maintain(Duration::ZERO).unwrap();
    assert!(report.more && count(&bucket) == 1000 - report.lifecycle.expired);
    let left = count(&bucket);
    assert!((1..1000).contains(&left), "{left}");
    clock.set(noon + HOUR);
    assert_eq!(bucket.lifecycle_preview(Some(noon + HOUR)).unwrap().count(), 0);
    assert_eq!((maintain(&store).changed(), count(&bucket)), (0, left));
    // The runs of the days go on as if nothing had been.
    for day in 1..=30 {
        clock.set(midnight() + DAY * day);
        assert_eq!((maintain(&store).changed(), count(&bucket)), (0, left), "day {day}");
    }
    clock.set(midnight() + DAY * 31);
    assert_eq!((maintain(&store).expired, count(&bucket)), (left, 0));
}

/// The same if the run of today is done when the clock is set right: the row of the other one goes.
#[test]
fn a_run_of_a_day_to_come_is_dropped_after_todays_run_too() {
    let (store, bucket, clock) = filled(1000);
    clock.set(midnight() + DAY);
    maintain(&store);
    clock.set(midnight() + DAY * 3000);
    store.maintain(Duration::ZERO).unwrap();
    let left = count(&bucket);
    clock.set(midnight() + DAY + HOUR);
    assert_eq!((maintain(&store).changed(), count(&bucket)), (0, left));
    assert!(!store.maintain(Duration::ZERO).unwrap().more);
    // What was dropped is not gone on with when its day has come: that one's run sees everything.
    clock.set(midnight() + DAY * 3000);
    bucket.put("0000", b"before the place where the run was").unwrap();
    clock.set(midnight() + DAY * 3031);
    assert_eq!((maintain(&store).expired, count(&bucket)), (left + 1, 0));
}

#[test]
fn rules_that_were_set_after_midnight_wait_for_the_next_one() {
    let (store, bucket, clock) = at_noon();
    let other = store.create_bucket("dogs").unwrap();
    set(&other, [Rule::new("").expire_after(1)]);
    bucket.put("a", b"1").unwrap();
    let upload = bucket.upload("u", ossicle::UploadOptions::new()).unwrap();
    upload.put_part(1, b"1").unwrap();
    // The run of 00:00 is still to be made.
    clock.set(midnight() + DAY * 40 + HOUR / 2);
    set(&bucket, [Rule::new("").id("old").expire_after(30).abort_uploads_after(30)]);
    let now = midnight() + DAY * 40 + HOUR;
    clock.set(now);
    let next = midnight() + DAY * 41;
    assert_eq!(bucket.lifecycle_preview(Some(now)).unwrap().count(), 0);
    assert_eq!(bucket.lifecycle_preview(Some(next)).unwrap().count(), 2);
    assert_eq!(bucket.head("a").unwrap().expiration().unwrap().at, next);
    assert_eq!((maintain(&store).changed(), count(&bucket)), (0, 1));
    // Whoever asks for it does not wait, and sees beforehand what comes of it.
    assert_eq!(bucket.lifecycle_preview(None).unwrap().count(), 2);
    clock.set(next);
    let counts = maintain(&store);
    assert_eq!((counts.expired, counts.aborted), (1, 1));
}

#[test]
fn a_rule_that_is_set_again_as_it_was_does_not_wait_again() {
    for id in ["", "old"] {
        let (store, bucket, clock) = at_noon();
        bucket.put("a/1", b"1").unwrap();
        bucket.put("b/1", b"1").unwrap();
        set(&bucket, [Rule::new("a/").id(id).expire_after(30)]);
        let named = bucket.config::<Lifecycle>().unwrap().unwrap().rules[0].id.clone();
        clock.set(midnight() + DAY * 31 + HOUR / 2);
        set(&bucket, [Rule::new("b/").expire_after(30), Rule::new("a/").id(id).expire_after(30)]);
        assert_eq!(bucket.config::<Lifecycle>().unwrap().unwrap().rules[1].id, named);
        assert_eq!(maintain(&store).expired, 1);
        assert!(bucket.exists("b/1").unwrap());
        // What is changed about a rule makes it a new one.
        set(&bucket, [Rule::new("b/").id("b").expire_after(29)]);
        clock.advance(HOUR);
        assert_eq!(maintain(&store).expired, 0);
        clock.set(midnight() + DAY * 32);
        assert_eq!(maintain(&store).expired, 1);
    }
}

#[test]
fn the_rules_of_a_fork_wait_for_the_midnight_after_it_was_made() {
    let (store, bucket, clock) = at_noon();
    bucket.put("a", b"1").unwrap();
    set(&bucket, [Rule::new("").expire_after(30)]);
    clock.set(midnight() + DAY * 40 + HOUR / 2);
    let fork = store.fork_bucket("cats", "fork").unwrap();
    assert_eq!((maintain(&store).expired, count(&bucket), count(&fork)), (1, 0, 1));
    clock.set(midnight() + DAY * 41);
    assert_eq!((maintain(&store).expired, count(&fork)), (1, 0));
}

#[test]
fn what_is_due_by_a_date_goes_in_the_run_that_its_header_names() {
    let (store, bucket, clock) = at_noon();
    set(
        &bucket,
        [
            Rule::new("a").expire_written_before(midnight() + DAY * 30),
            Rule::new("b").expire_on(midnight() + DAY * 3),
        ],
    );
    bucket.put("a", b"1").unwrap();
    bucket.put("b", b"1").unwrap();
    let told = |key: &str| bucket.head(key).unwrap().expiration().map(|expiry| expiry.at);
    assert_eq!((told("a"), told("b")), (Some(midnight() + DAY), Some(midnight() + DAY * 3)));
    clock.set(midnight() + DAY);
    assert_eq!((maintain(&store).expired, bucket.exists("a").unwrap()), (1, false));
    // What is written after a midnight is no matter of its run.
    clock.set(midnight() + DAY * 3 + HOUR);
    bucket.put("b/late", b"1").unwrap();
    assert_eq!(told("b/late"), Some(midnight() + DAY * 4));
    assert_eq!((maintain(&store).expired, bucket.exists("b/late").unwrap()), (1, true));
    clock.set(midnight() + DAY * 30);
    bucket.put("a", b"1").unwrap();
    assert_eq!(told("a"), None);
    assert_eq!(maintain(&store).expired, 1);
    assert!(bucket.exists("a").unwrap());
}

/// Access that was noted while the clock was ahead is of today when that is seen, and what is read later counts.
#[test]
fn accesses_noted_under_a_clock_that_was_ahead_count_as_todays() {
    let (store, bucket, clock) = at_noon();
    bucket.set_config(&AccessMonitor::Enabled).unwrap();
    for key in ["once", "later"] {
        bucket.put(key, b"1").unwrap();
    }
    clock.set(midnight() + DAY * 3000);
    for key in ["once", "later"] {
        bucket.get(key).unwrap();
    }
    maintain(&store);
    clock.set(midnight() + HOUR * 13);
    set(&bucket, [Rule::new("").transition_unread_for(5, InfrequentAccess)]);
    let mut found = Vec::new();
    for day in 1..=20 {
        clock.set(midnight() + DAY * day);
        maintain(&store);
        for key in ["once", "later"] {
            if class(&bucket, key) != Standard && !found.iter().any(|(known, _)| *known == key) {
                found.push((key, day));
            }
        }
        if day == 4 {
            clock.set(midnight() + DAY * day + HOUR);
            bucket.get("later").unwrap();
        }
    }
    // The first run that saw them was that of day 1.
    assert_eq!(found, [("once", 7), ("later", 10)]);
}

/// A body that was asked for while the clock was ahead would be shut in until that time.
#[test]
fn a_restoring_asked_for_under_a_clock_that_was_ahead_is_asked_for_anew() {
    let (_store, bucket, clock) = at_noon();
    bucket.put_with("a", b"1", PutOptions::new().storage_class(Archive)).unwrap();
    clock.advance(DAY * 3000);
    assert!(!bucket.restore("a", RestoreOptions::new()).unwrap().is_restored());
    clock.set(midnight() + HOUR * 12);
    assert_eq!(crate::code(bucket.get("a")), "InvalidObjectState");
    let status = bucket.restore("a", RestoreOptions::new().days(2)).unwrap();
    assert_eq!(status.until(), midnight() + HOUR * 12 + MINUTE + DAY * 2);
    // That one is as good as any.
    assert_eq!(crate::code(bucket.restore("a", RestoreOptions::new())), "RestoreAlreadyInProgress");
    clock.advance(MINUTE);
    assert_eq!(crate::read(&bucket, "a"), b"1");
}

/// A commit of a clock that was behind looks older than all that is retained, and took that along.
#[test]
fn a_commit_under_a_clock_that_was_behind_trims_nothing_that_is_retained() {
    let (store, bucket, clock) = at_noon();
    store.set_history(Some(DAY * 10)).unwrap();
    let mut at: Vec<Lsn> = Vec::new();
    for day in 0..3 {
        at.push(bucket.put("a", format!("day {day}").as_bytes()).unwrap().lsn);
        clock.advance(DAY);
    }
    clock.set(SystemTime::UNIX_EPOCH + DAY);
    bucket.put("a", b"of another time").unwrap();
    clock.set(midnight() + DAY * 5);
    maintain(&store);
    let then = |lsn: Lsn| {
        let past = store.as_of(lsn)?;
        past.bucket("cats")?.get("a")?.bytes()
    };
    for (day, lsn) in at.iter().enumerate() {
        assert_eq!(then(*lsn).unwrap(), format!("day {day}").as_bytes());
    }
    // It goes when its own time is over.
    clock.set(midnight() + DAY * 12);
    maintain(&store);
    assert_eq!((crate::code(then(at[0])), then(at[2]).is_ok()), ("NoSuchMoment", true));
    clock.set(midnight() + DAY * 30);
    bucket.put("a", b"day 30").unwrap();
    clock.set(midnight() + DAY * 45);
    maintain(&store);
    assert!(then(at[2]).is_err() && store.verify().unwrap().is_clean());
}

/// What is left of keys whose versions a rule by size or tags has removed.
#[test]
fn rules_by_size_or_tags_remove_markers_that_hide_nothing() {
    let large = Rule::new("").larger_than(100).noncurrent_expire_after(1);
    let tagged = Rule::new("").tag("t", "1").noncurrent_expire_after(1);
    for rule in [large, tagged] {
        let (store, bucket, clock) = at_noon();
        bucket.set_config(&Versioning::Enabled).unwrap();
        bucket.put_with("goes", [1; 200], PutOptions::new().tag("t", "1")).unwrap();
        bucket.delete("goes").unwrap();
        bucket.delete("goes").unwrap();
        // What the rule is not for stays, and stays hidden.
        bucket.put("stays", b"1").unwrap();
        bucket.delete("stays").unwrap();
        bucket.put_with("stays", [2; 200], PutOptions::new().tag("t", "1")).unwrap();
        bucket.put("stays", b"3").unwrap();
        let fork = store.fork_bucket("cats", "fork").unwrap();
        for bucket in [&bucket, &fork] {
            set(bucket, [rule.clone(), Rule::new("").expire_markers()]);
        }
        let versions = |bucket: &Bucket, key: &str| {
            let all = bucket.versions(key).unwrap().map(|entry| entry.unwrap());
            all.map(|entry| entry.marker).collect::<Vec<_>>()
        };
        for (day, left) in [(2, vec![true, true]), (3, vec![true]), (4, vec![]), (5, vec![])] {
            clock.set(midnight() + DAY * day);
            maintain(&store);
            for bucket in [&bucket, &fork] {
                assert_eq!(versions(bucket, "goes"), left, "day {day}");
                assert_eq!(versions(bucket, "stays"), [false, true, false], "day {day}");
            }
        }
    }
}
