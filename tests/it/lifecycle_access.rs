//! Rules that count from the last access, and the monitor that notes accesses.

use std::time::Duration;

use ossicle::StorageClass::{Archive, InfrequentAccess, Standard};
use ossicle::{
    AccessMonitor, Bucket, GetOptions, Maintenance, PutOptions, Rule, Store, Transition, VirtualClock,
};

use super::lifecycle::{DAY, at_noon, class, maintain, midnight, set};

fn monitored() -> (Store, Bucket, VirtualClock) {
    let (store, bucket, clock) = at_noon();
    bucket.set_config(&AccessMonitor::Enabled).unwrap();
    (store, bucket, clock)
}

/// On which day the object gets the class.
fn day_of_change(store: &Store, bucket: &Bucket, clock: &VirtualClock, key: &str) -> Option<u32> {
    (1..40).find(|day| {
        clock.set(midnight() + DAY * *day);
        maintain(store);
        class(bucket, key) != Standard
    })
}

#[test]
fn the_latest_of_write_base_and_access_counts() {
    let rule = || Rule::new("").transition_unread_for(5, InfrequentAccess);
    // The write, if nothing is known of accesses.
    let (store, bucket, clock) = monitored();
    bucket.put("a", b"1").unwrap();
    set(&bucket, [rule()]);
    assert_eq!(day_of_change(&store, &bucket, &clock, "a"), Some(6));
    // The moment from which on accesses are known, if the write was before.
    let (store, bucket, clock) = at_noon();
    bucket.put("a", b"1").unwrap();
    clock.advance(DAY * 10);
    bucket.set_config(&AccessMonitor::Enabled).unwrap();
    set(&bucket, [rule()]);
    assert_eq!(day_of_change(&store, &bucket, &clock, "a"), Some(16));
    // The access.
    let (store, bucket, clock) = monitored();
    bucket.put("a", b"1").unwrap();
    set(&bucket, [rule()]);
    clock.advance(DAY * 3);
    bucket.get("a").unwrap();
    assert_eq!(day_of_change(&store, &bucket, &clock, "a"), Some(9));
}

#[test]
fn a_get_is_an_access_and_a_head_a_listing_or_a_miss_is_none() {
    let (store, bucket, clock) = monitored();
    for key in ["got", "ranged", "headed", "link", "target"] {
        bucket.put(key, b"12345").unwrap();
    }
    bucket.symlink("link", "target").unwrap();
    set(&bucket, [Rule::new("").transition_unread_for(5, InfrequentAccess)]);
    clock.advance(DAY * 3);
    bucket.get("got").unwrap();
    bucket.get("link").unwrap();
    bucket.get_with("ranged", GetOptions::new().range(1..2)).unwrap();
    bucket.head("headed").unwrap();
    bucket.list("").unwrap().count();
    bucket.get("missing").unwrap_err();
    clock.set(midnight() + DAY * 7);
    maintain(&store);
    let moved = |key| class(&bucket, key) == InfrequentAccess;
    assert_eq!(["got", "ranged", "headed", "link", "target"].map(moved), [false, false, true, false, false]);
}

#[test]
fn what_is_visited_returns_to_standard_if_the_rule_says_so() {
    for returns in [false, true] {
        let (store, bucket, clock) = monitored();
        let ia = PutOptions::new().storage_class(InfrequentAccess);
        bucket.put("a", b"1").unwrap();
        bucket.put_with("never read", b"1", ia).unwrap();
        bucket.put_with("colder", b"1", PutOptions::new().storage_class(Archive)).unwrap();
        let moves = Transition::unread_for(5, InfrequentAccess);
        set(&bucket, [Rule::new("").transition(if returns { moves.return_on_visit() } else { moves })]);
        clock.set(midnight() + DAY * 6);
        assert_eq!((maintain(&store).transitioned, class(&bucket, "a")), (1, InfrequentAccess));
        bucket.get("a").unwrap();
        let _ = bucket.get("colder");
        clock.set(midnight() + DAY * 7);
        assert_eq!(maintain(&store).returned, u64::from(returns));
        assert_eq!(class(&bucket, "a"), if returns { Standard } else { InfrequentAccess });
        assert_eq!((class(&bucket, "never read"), class(&bucket, "colder")), (InfrequentAccess, Archive));
        // Not read again, it goes again.
        clock.set(midnight() + DAY * 12);
        assert_eq!(
            (maintain(&store).transitioned, class(&bucket, "a")),
            (u64::from(returns), InfrequentAccess)
        );
    }
}

#[test]
fn accesses_survive_a_reopening_and_what_is_gone_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let clock = VirtualClock::at(midnight());
    let open =
        || Store::builder(dir.path()).clock(clock.clone()).maintenance(Maintenance::Manual).open().unwrap();
    let store = open();
    let bucket = store.create_bucket("cats").unwrap();
    bucket.set_config(&AccessMonitor::Enabled).unwrap();
    set(&bucket, [Rule::new("").transition_unread_for(5, InfrequentAccess)]);
    for key in ["a", "b"] {
        bucket.put(key, b"1").unwrap();
    }
    clock.advance(DAY * 4);
    for key in ["a", "b"] {
        bucket.get(key).unwrap();
    }
    drop(bucket);
    store.close().unwrap();
    let store = open();
    let bucket = store.bucket("cats").unwrap();
    clock.advance(DAY * 4);
    assert_eq!(maintain(&store).transitioned, 0);
    let entries = |store: &Store| store.verify().unwrap().entries;
    let before = entries(&store);
    bucket.delete("b").unwrap();
    clock.advance(DAY);
    maintain(&store);
    // The row of the object, and that of its access.
    assert_eq!(entries(&store), before - 2);
    // With the bucket all goes.
    bucket.delete("a").unwrap();
    store.delete_bucket("cats").unwrap();
    for _ in 0..2 {
        clock.advance(DAY);
        maintain(&store);
    }
    let reopened = {
        drop(bucket);
        store.close().unwrap();
        open()
    };
    assert!(reopened.verify().unwrap().is_clean());
    // What is left is the name that the bucket had.
    assert!(entries(&reopened) <= 2, "{}", entries(&reopened));
}

#[test]
fn accesses_of_many_readers_at_once_are_noted_once_a_day() {
    let (store, bucket, clock) = monitored();
    let keys: Vec<String> = (0..500).map(|i| format!("k{i}")).collect();
    keys.iter().for_each(|key| drop(bucket.put(key, b"1").unwrap()));
    set(&bucket, [Rule::new("").transition_unread_for(5, InfrequentAccess)]);
    clock.set(midnight() + DAY * 3);
    maintain(&store);
    let before = store.stats().lsn;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| keys.iter().for_each(|key| drop(bucket.get(key).unwrap())));
        }
    });
    maintain(&store);
    assert_eq!(store.stats().lsn.0, before.0 + 1, "one commit for all");
    keys.iter().for_each(|key| drop(bucket.get(key).unwrap()));
    maintain(&store);
    assert_eq!(store.stats().lsn.0, before.0 + 1, "and none for what is known");
    clock.set(midnight() + DAY * 7);
    // A note may be left out where two readers meet, but hardly ever.
    assert!(maintain(&store).transitioned < 50);
}

#[test]
fn versions_that_are_not_current_count_from_the_access_too() {
    let (store, bucket, clock) = monitored();
    bucket.set_config(&ossicle::Versioning::Enabled).unwrap();
    bucket.put("a", b"1").unwrap();
    bucket.put("a", b"2").unwrap();
    set(&bucket, [Rule::new("").noncurrent_transition(Transition::unread_for(5, Archive))]);
    clock.advance(DAY * 3);
    bucket.get("a").unwrap();
    let older = || {
        let all: Vec<_> = bucket.versions("a").unwrap().map(|entry| entry.unwrap()).collect();
        all[1].class.unwrap()
    };
    let day = (4..40).find(|day| {
        clock.set(midnight() + DAY * *day);
        maintain(&store);
        older() == Archive
    });
    assert_eq!(day, Some(9));
}

#[test]
fn a_bucket_without_a_monitor_notes_nothing() {
    let (store, bucket, _) = at_noon();
    bucket.put("a", b"1").unwrap();
    bucket.get("a").unwrap();
    let before = store.stats().lsn;
    store.maintain(Duration::from_secs(9)).unwrap();
    assert_eq!(store.stats().lsn, before);
}
