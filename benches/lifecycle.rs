//! Lifecycle runs over many objects with five rules, and what the access monitor costs a get, beside a listing.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod measure;

use std::time::{Duration, SystemTime};

use measure::*;
use ossicle::{
    AccessMonitor, Bucket, Durability, Lifecycle, Maintenance, Rule, StorageClass, Store, VirtualClock,
    WriteOptions,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn fill(store: &Store, bucket: &Bucket, total: usize) {
    let options = WriteOptions::new().durability(Durability::Buffered);
    let keys: Vec<String> = (0..total).map(|i| format!("{:04}/{:08}", i % 1000, i)).collect();
    for chunk in keys.chunks(1000) {
        store
            .write_with(options, |tx| chunk.iter().try_for_each(|key| tx.put(bucket, key, b"x")))
            .expect("a batch");
    }
    store.checkpoint().expect("a checkpoint");
}

/// Five rules: for everything, for parts, by size, and two that are due for none.
fn rules() -> Lifecycle {
    Lifecycle::new([
        Rule::new("").transition_after(30, StorageClass::InfrequentAccess).expire_after(400),
        Rule::new("0000/").expire_after(7),
        Rule::new("0001/").transition_after(7, StorageClass::Archive),
        Rule::new("00").larger_than(1 << 20).transition_after(1, StorageClass::ColdArchive),
        Rule::new("01").noncurrent_expire_after(30).abort_uploads_after(7),
    ])
    .allow_overlap()
}

fn main() {
    let dir = scratch("lifecycle");
    let start = SystemTime::UNIX_EPOCH + DAY * 20_000;
    let clock = VirtualClock::at(start);
    let builder = Store::builder(dir.join("store")).clock(clock.clone()).maintenance(Maintenance::Manual);
    let store = builder.open().expect("a store");
    let bucket = store.create_bucket("bench").expect("a bucket");
    let total = knob("KEYS", 1_000_000);
    fill(&store, &bucket, total);
    bucket.set_config(&rules()).expect("rules");

    let list = rate(total, time(|| assert_eq!(bucket.list("").expect("a list").count(), total)));
    let forever = Duration::from_secs(1 << 20);
    for (what, day) in [
        ("a run in which nothing is due, objects", 2),
        ("a run that changes one in five hundred, objects", 10),
        ("a run that moves all, objects", 40),
        ("a run that deletes all, objects", 500),
    ] {
        clock.set(start + DAY * day);
        let mut changed = 0;
        let mut seen = 0;
        let took = time(|| {
            let counts = store.maintain(forever).expect("maintenance").lifecycle;
            (seen, changed) = (counts.seen, counts.changed());
        });
        report(what, rate(seen as usize, took), "listing", list);
        say("  objects, changes, seconds", format!("{seen}, {changed}, {:.2}", took.as_secs_f64()));
    }

    let few = 100_000;
    fill(&store, &bucket, few);
    bucket.clear_config::<Lifecycle>().expect("no rules");
    let keys: Vec<String> = (0..few).map(|i| format!("{:04}/{:08}", i % 1000, i)).collect();
    let gets = |bucket: &Bucket| {
        let rates = (0..RUNS).map(|run| {
            let mut random = Random(run as u64);
            let count = 400_000;
            let took = time(|| {
                for _ in 0..count {
                    let key = &keys[random.below(few as u64) as usize];
                    std::hint::black_box(bucket.get(key).expect("an object"));
                }
            });
            rate(count, took)
        });
        median(rates.collect())
    };
    let off = gets(&bucket);
    bucket.set_config(&AccessMonitor::Enabled).expect("a monitor");
    let on = gets(&bucket);
    report("get with the access monitor on", on, "off", off);
    let took = time(|| {
        store.maintain(forever).expect("maintenance");
    });
    say("writing the accesses down, seconds", format!("{:.2}", took.as_secs_f64()));
    drop(bucket);
    store.close().expect("a close");
    clean(&dir);
}
