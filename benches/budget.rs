//! Puts into a bucket that is full, where each evicts, beside the same puts without a budget.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod measure;

use measure::*;
use ossicle::{Bucket, Budget, Durability, EvictBy, Maintenance, PutOptions, Store, WriteOptions};

const BODY: usize = 100;

fn fill(store: &Store, bucket: &Bucket, total: usize) {
    let options = WriteOptions::new().durability(Durability::Buffered);
    let keys: Vec<String> = (0..total).map(|i| format!("{:04}/{:08}", i % 1000, i)).collect();
    for chunk in keys.chunks(1000) {
        store
            .write_with(options, |tx| chunk.iter().try_for_each(|key| tx.put(bucket, key, [7; BODY])))
            .expect("a batch");
    }
    store.checkpoint().expect("a checkpoint");
}

fn puts(bucket: &Bucket, from: usize, count: usize) -> f64 {
    let options = PutOptions::new().durability(Durability::Buffered);
    let took = time(|| {
        for i in from..from + count {
            bucket.put_with(&format!("{:04}/{:08}", i % 1000, i), [7; BODY], options.clone()).expect("a put");
        }
    });
    rate(count, took)
}

fn main() {
    let dir = scratch("budget");
    let store = Store::builder(dir.join("store")).maintenance(Maintenance::Manual).open().expect("a store");
    let bucket = store.create_bucket("bench").expect("a bucket");
    let total = knob("KEYS", 1_000_000);
    let count = knob("PUTS", 200_000);
    fill(&store, &bucket, total);
    let plain = puts(&bucket, total, count);

    let bytes = ((total + count) * BODY) as u64;
    bucket.set_config(&Budget::bytes(bytes * 2).headroom(0)).expect("a budget");
    report("puts within a budget", puts(&bucket, total + count, count), "without one", plain);
    let bytes = ((total + 2 * count) * BODY) as u64;
    for order in [EvictBy::OldestAccess, EvictBy::Priority] {
        bucket.set_config(&Budget::bytes(bytes).headroom(0).order([order])).expect("a budget");
        let before = store.stats();
        let from = total + 3 * count + before.evicted_objects as usize;
        let pressed = puts(&bucket, from, count);
        report(&format!("puts that evict by {order:?}"), pressed, "without a budget", plain);
        let evicted = store.stats().evicted_objects - before.evicted_objects;
        say("  evicted", evicted.to_string());
    }
    let took = time(|| {
        bucket.eviction_preview(10).expect("a preview");
    });
    say("one look through all of it, seconds", format!("{:.2}", took.as_secs_f64()));
    drop(bucket);
    store.close().expect("a close");
    clean(&dir);
}
