//! A lifecycle run that is cut off at every call goes on where it was, and does everything exactly once.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use ossicle::testing::{CutPolicy, Fault};
use ossicle::{
    Bucket, CreateBucketOptions, Durability, Lifecycle, LifecycleCounts, PutOptions, Rule, StorageClass,
    Store, UploadOptions, Versioning,
};

use crate::harness::policy_of;
use crate::harness::world::{World, verify};

const DAY: Duration = Duration::from_secs(86_400);
const SEED: u64 = 6;

/// More than one commit's worth of everything that rules can do, in two buckets, a fork and uploads.
fn begin(world: &World) -> Store {
    let store = world.open().unwrap();
    let options = CreateBucketOptions::new().versioning(Versioning::Enabled);
    let one = store.create_bucket_with("one", options).unwrap();
    let two = store.create_bucket("two").unwrap();
    let buffered = || PutOptions::new().durability(Durability::Buffered);
    for number in 0..300u32 {
        one.put_with("many", number.to_le_bytes(), buffered()).unwrap();
    }
    for number in 0..120 {
        one.put_with(&format!("old/{number:03}"), vec![7; 100], buffered()).unwrap();
        two.put_with(&format!("{number:03}"), vec![7; 3000], buffered()).unwrap();
    }
    one.delete("gone").unwrap();
    let upload = two.upload("parts", UploadOptions::new()).unwrap();
    upload.put_part(1, vec![1; 20_000]).unwrap();
    two.set_legal_hold("007", true).unwrap();
    let fork = store.fork_bucket("one", "fork").unwrap();
    fork.delete("old/000").unwrap();
    let cold = StorageClass::Archive;
    let rules = [
        Rule::new("many").noncurrent_expire_after(1),
        Rule::new("old/").expire_after(1),
        Rule::new("gone").expire_markers(),
    ];
    one.set_config(&Lifecycle::new(rules.clone())).unwrap();
    fork.set_config(&Lifecycle::new([rules[1].clone(), rules[2].clone()])).unwrap();
    let rules = [
        Rule::new("0").expire_after(1),
        Rule::new("1").transition_after(1, cold),
        Rule::new("parts").abort_uploads_after(1),
    ];
    two.set_config(&Lifecycle::new(rules)).unwrap();
    world.wait(DAY * 5);
    store
}

/// Everything that rules may have changed, without what a repeated run may say differently: the times of markers.
type Seen = BTreeMap<(String, String, usize), (bool, Option<StorageClass>, u64)>;

fn seen(store: &Store) -> (Seen, u64, Vec<LifecycleCounts>) {
    let (mut all, mut uploads, mut counts) = (Seen::new(), 0, Vec::new());
    for bucket in store.buckets().unwrap() {
        let bucket: Bucket = bucket.unwrap();
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for entry in bucket.versions("").unwrap() {
            let entry = entry.unwrap();
            let place = places.entry(entry.key.clone()).or_default();
            all.insert(
                (bucket.name().to_string(), entry.key, *place),
                (entry.marker, entry.class, entry.size),
            );
            *place += 1;
        }
        uploads += bucket.usage("").unwrap().uploads;
        counts.push(bucket.lifecycle_report().unwrap().unwrap().counts);
    }
    (all, uploads, counts)
}

fn finish(store: &Store) -> LifecycleCounts {
    store.maintain(Duration::from_secs(1 << 20)).unwrap().lifecycle
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
    for at in first..=last {
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
