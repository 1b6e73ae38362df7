//! Gets and listings of a key with one version beside those of a key with many.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod measure;

use measure::*;
use ossicle::{Bucket, CreateBucketOptions, Durability, ListOptions, Store, Versioning, WriteOptions};

fn main() {
    let dir = scratch("versions");
    let store = Store::open(dir.join("store")).expect("a store");
    let options = CreateBucketOptions::new().versioning(Versioning::Enabled);
    let bucket = store.create_bucket_with("bench", options).expect("a bucket");
    let body = noise(1024, 1);
    let versions = knob("VERSIONS", 100_000);
    let options = WriteOptions::new().durability(Durability::Buffered);
    for key in ["few", "many"] {
        let mut left = if key == "many" { versions } else { 1 };
        while left > 0 {
            let now = left.min(1000);
            store
                .write_with(options, |tx| (0..now).try_for_each(|_| tx.put(&bucket, key, &body)))
                .expect("a batch of versions");
            left -= now;
        }
    }
    for (what, checkpoint) in [("delta", false), ("tree", true)] {
        if checkpoint {
            store.checkpoint().expect("a checkpoint");
        }
        let count = knob("GETS", 300_000);
        let (mut few, mut many) = (Vec::new(), Vec::new());
        // Side by side: whatever else the machine does, it does to both.
        for _ in 0..RUNS {
            few.push(gets(&bucket, "few", count));
            many.push(gets(&bucket, "many", count));
        }
        let name = format!("get of a key with {versions} versions, index in the {what}");
        report(&name, median(many), "with one", median(few));
        let count = knob("PAGES", 200);
        let pages = (0..RUNS).map(|_| page(&bucket, "many", count)).collect();
        say(&format!("first page of its versions, index in the {what}"), human(median(pages)));
        let pages = (0..RUNS).map(|_| page(&bucket, "few", count * 100)).collect();
        say(&format!("page of the key before it, index in the {what}"), human(median(pages)));
    }
    drop(bucket);
    store.close().expect("a close");
    clean(&dir);
}

fn gets(bucket: &Bucket, key: &str, count: usize) -> f64 {
    let took = time(|| {
        for _ in 0..count {
            std::hint::black_box(bucket.get(key).and_then(|object| object.bytes()).expect("a get"));
        }
    });
    rate(count, took)
}

fn page(bucket: &Bucket, key: &str, count: usize) -> f64 {
    let took = time(|| {
        for _ in 0..count {
            let page = bucket.versions_page(ListOptions::new().prefix(key)).expect("a page");
            std::hint::black_box(page.entries.len());
        }
    });
    rate(count, took)
}
