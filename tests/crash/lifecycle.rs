//! A lifecycle run that is cut off at every call goes on where it was, and does everything exactly once.

use std::time::{Duration, SystemTime};

use ossicle::LifecycleCounts;
use ossicle::testing::{CutPolicy, Fault};

use crate::harness::rules::{begin, finish, seen, whole};
use crate::harness::world::{World, verify};
use crate::harness::{places, policy_of, seed, spread};

const SEED: u64 = 6;

#[test]
fn a_run_that_nothing_disturbs() {
    whole(&World::new(SEED, None)).unwrap();
}

#[test]
fn a_run_cut_at_every_call_ends_in_the_same_state_and_counts_the_same() {
    let world = World::new(SEED, None);
    let store = begin(&world);
    let first = world.disk.operations();
    let whole = finish(&store);
    let last = world.disk.operations();
    let calm = seen(&store);
    assert_eq!((whole.removed, whole.expired, whole.markers), (299, 120 + 99 + 119, 2));
    assert_eq!((whole.transitioned, whole.aborted, whole.held), (20, 1, 1));
    drop(store);
    let mut resumed = 0;
    for at in spread(last - first + 1, places(10), seed()).into_iter().map(|number| first + number) {
        for policy in [policy_of(at), CutPolicy::KeepAll, CutPolicy::DropUnsynced] {
            let world = World::new(SEED, None);
            let store = begin(&world);
            assert_eq!(world.disk.operations(), first);
            world.disk.fail_at(at, Fault::PowerCut);
            let cut = store.maintain(Duration::from_secs(1 << 20)).is_err();
            drop(store);
            let world = world.restart(policy);
            let store = world.open().unwrap();
            let before = store.bucket("one").unwrap().lifecycle_report().unwrap();
            resumed += u64::from(cut && before.is_some_and(|report| report.counts.removed < 299));
            let rest = finish(&store);
            assert!(rest.changed() <= whole.changed());
            assert_eq!(seen(&store), calm, "cut at call {at}, {policy:?}");
            assert_eq!(finish(&store), LifecycleCounts::default());
            verify(&store).unwrap();
        }
    }
    assert!(resumed > 0 && last - first > 10, "{resumed} of {}", last - first);
}

/// Each call of a run with a budget of nothing, and each reopening in between, finds the run where it was.
#[test]
fn a_run_of_single_steps_ends_in_the_same_state() {
    let world = World::new(SEED, None);
    let store = begin(&world);
    finish(&store);
    let calm = seen(&store);
    drop(store);
    let world = World::new(SEED, None);
    let mut store = begin(&world);
    let (mut steps, mut more) = (0, true);
    while more {
        more = store.maintain(Duration::ZERO).unwrap().more;
        steps += 1;
        if steps % 2 == 0 {
            store.close().unwrap();
            store = world.open().unwrap();
        }
        assert!(steps < 1000);
    }
    assert_eq!(seen(&store), calm);
    assert!(steps > 5);
    assert!(world.now() > SystemTime::UNIX_EPOCH);
}
