//! Gets of hot objects, beside copies of the same bytes in memory.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod measure;

use measure::*;
use ossicle::{Durability, GetOptions, Store, WriteOptions};

fn main() {
    let dir = scratch("get");
    let store = Store::open(dir.join("store")).expect("a store");
    let bucket = store.create_bucket("bench").expect("a bucket");
    let keys: Vec<String> = (0..knob("KEYS", 100_000)).map(|i| format!("objects/{i:08}")).collect();
    let body = noise(1024, 1);
    let options = WriteOptions::new().durability(Durability::Buffered);
    for chunk in keys.chunks(1000) {
        store
            .write_with(options, |tx| chunk.iter().try_for_each(|key| tx.put(&bucket, key, &body)))
            .expect("a batch");
    }
    for (what, checkpoint) in [("delta", false), ("tree", true)] {
        if checkpoint {
            store.checkpoint().expect("a checkpoint");
        }
        let mut ours = Vec::new();
        let mut heads = Vec::new();
        for run in 0..RUNS as u64 {
            let mut random = Random(run);
            let count = knob("GETS", 500_000);
            let took = time(|| {
                for _ in 0..count {
                    let key = &keys[random.below(keys.len() as u64) as usize];
                    let bytes = bucket.get(key).and_then(|object| object.bytes()).expect("a get");
                    std::hint::black_box(&bytes);
                }
            });
            ours.push(rate(count, took));
            let took = time(|| {
                for _ in 0..count {
                    let key = &keys[random.below(keys.len() as u64) as usize];
                    std::hint::black_box(bucket.exists(key).expect("a look-up"));
                }
            });
            heads.push(rate(count, took));
        }
        report(
            &format!("get 1 KiB of 100 k, index in the {what}"),
            median(ours),
            "memcpy 1 KiB",
            memcpy(1024, 1_000_000),
        );
        say(&format!("exists, index in the {what}"), human(median(heads)));
    }
    large(&bucket);
    drop(bucket);
    store.close().expect("a close");
    clean(&dir);
}

fn large(bucket: &ossicle::Bucket) {
    for (name, size, count) in
        [("64 KiB", 64 << 10, 50_000), ("1 MiB", 1 << 20, 3000), ("16 MiB", 16 << 20, 100)]
    {
        let body = noise(size, 7);
        bucket.put(name, &body).expect("a put");
        let first = bucket.get(name).and_then(|object| object.bytes()).expect("a get");
        let rates = (0..RUNS).map(|_| {
            let took = time(|| {
                for _ in 0..count {
                    std::hint::black_box(bucket.get(name).and_then(|object| object.bytes()).expect("a get"));
                }
            });
            rate(count, took)
        });
        let ours = median(rates.collect());
        report(&format!("get {name} with bytes()"), ours, "memcpy", memcpy(size, count));
        let again = bucket.get(name).and_then(|object| object.bytes()).expect("a get");
        say("  lent from the map, without a copy", first.as_ptr() == again.as_ptr());
    }
    let mut random = Random(5);
    let count = 200_000;
    let took = time(|| {
        for _ in 0..count {
            let at = random.below((16 << 20) - 4096);
            let options = GetOptions::new().range(at..at + 4096);
            std::hint::black_box(
                bucket.get_with("16 MiB", options).and_then(|object| object.bytes()).expect("a get"),
            );
        }
    });
    report("get 4 KiB of 16 MiB", rate(count, took), "memcpy 4 KiB", memcpy(4096, 1_000_000));
}
