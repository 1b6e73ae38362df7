//! Churn: zipfian overwrites and deletes, ten times the live size, beside plain writes of the same bytes.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod measure;

use measure::*;
use ossicle::{CompactOptions, DeleteOptions, Durability, PutOptions, Store};

fn main() {
    let dir = scratch("relocate");
    let path = dir.join("store");
    let store = Store::open(&path).expect("a store");
    let bucket = store.create_bucket("bench").expect("a bucket");
    let (keys, size, times) = (knob("KEYS", 100_000), knob("BODY", 4096), knob("TIMES", 10));
    let body = noise(size, 1);
    let buffered = PutOptions::new().durability(Durability::Buffered);
    for i in 0..keys {
        bucket.put_with(&format!("{i:08}"), &body, buffered.clone()).expect("a put");
    }
    let zipf = Zipf::new(keys);
    let mut random = Random(9);
    let before = written_bytes();
    let mut put_bytes = 0u64;
    let mut latencies = Vec::with_capacity(keys * times);
    let mut amplification = Vec::new();
    let ops = keys * times;
    let took = time(|| {
        for op in 0..ops {
            let key = format!("{:08}", zipf.next(&mut random));
            if random.below(10) == 0 {
                bucket
                    .delete_with(&key, DeleteOptions::new().durability(Durability::Buffered))
                    .expect("a delete");
            } else {
                let begun = now();
                bucket.put_with(&key, &body, buffered.clone()).expect("a put");
                latencies.push(begun.elapsed());
                put_bytes += size as u64;
            }
            if op > ops / 2 && op % (ops / 40).max(1) == 0 {
                let live = bucket.usage("").expect("usage").bytes;
                amplification.push(disk_bytes(&path) as f64 / live as f64);
            }
        }
    });
    let written = written_bytes() - before;
    latencies.sort();
    let stats = store.stats();
    say(
        "checkpoints, relocated MiB, removed segments",
        format!("{}, {}, {}", stats.checkpoints, stats.relocated_bytes >> 20, stats.removed_segments),
    );
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
    report("churn, operations", rate(ops, took), "write()", plain_write(&dir, size, keys.min(100_000)));
    let peak = amplification.iter().copied().fold(0.0, f64::max);
    say("space amplification, second half: median, peak", format!("{:.2}, {peak:.2}", median(amplification)));
    say("write amplification", format!("{:.2}", written as f64 / put_bytes as f64));
    say(
        "put latency p50 p99 p99.9 max",
        format!("{:?} {:?} {:?} {:?}", at(0.5), at(0.99), at(0.999), at(1.0)),
    );
    let took = time(|| {
        store.compact(CompactOptions::new()).expect("a compaction");
    });
    let live = bucket.usage("").expect("usage").bytes;
    say(
        "after compact: space amplification, time",
        format!("{:.2}, {took:.2?}", disk_bytes(&path) as f64 / live as f64),
    );
    say("RssAnon", format!("{:.1} MiB", status_mib("RssAnon")));
    assert!(store.verify().expect("a verification").is_clean());
    drop(bucket);
    store.close().expect("a close");
    clean(&dir);
}
