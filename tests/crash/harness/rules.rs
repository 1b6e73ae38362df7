//! Rules of lifecycles, with more than one commit's worth of everything that they can do.

use std::collections::BTreeMap;
use std::time::Duration;

use ossicle::{
    Bucket, CreateBucketOptions, Durability, Lifecycle, LifecycleCounts, PutOptions, Rule, StorageClass,
    Store, UploadOptions, Versioning,
};

use super::Verdict;
use super::world::{World, verify};

const DAY: Duration = Duration::from_secs(86_400);
/// More than one commit's worth of everything that rules can do, in two buckets, a fork and uploads.
pub fn begin(world: &World) -> Store {
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
pub type Seen = BTreeMap<(String, String, usize), (bool, Option<StorageClass>, u64)>;

/// All of it, the uploads, and what the reports say.
pub fn seen(store: &Store) -> (Seen, u64, Vec<LifecycleCounts>) {
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

/// Lets the rules run to their end, and says what they did.
pub fn finish(store: &Store) -> LifecycleCounts {
    store.maintain(Duration::from_secs(1 << 20)).unwrap().lifecycle
}

/// A run that nothing disturbs does all of this, and leaves all of that.
pub fn whole(world: &World) -> Verdict {
    let store = begin(world);
    let done = finish(&store);
    let removed = (done.removed, done.expired, done.markers);
    if removed != (299, 120 + 99 + 119, 2) || (done.transitioned, done.aborted, done.held) != (20, 1, 1) {
        return Err(format!("the rules did {done:?}"));
    }
    let held = store.bucket("two").and_then(|bucket| bucket.head("007"));
    held.map_err(|error| format!("what is held is gone: {error}"))?;
    if finish(&store) != LifecycleCounts::default() {
        return Err("the rules have more to do on the same day".into());
    }
    verify(&store)
}
