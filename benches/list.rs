//! Listings, beside a walk over the same keys in a sorted vector.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod measure;

use measure::*;
use ossicle::{Durability, ListOptions, Store, WriteOptions};

fn main() {
    let dir = scratch("list");
    let store = Store::open(dir.join("store")).expect("a store");
    let bucket = store.create_bucket("bench").expect("a bucket");
    let total = knob("KEYS", 500_000);
    let keys: Vec<String> = (0..total).map(|i| format!("{:04}/{:06}", i % 1000, i)).collect();
    let options = WriteOptions::new().durability(Durability::Buffered);
    for chunk in keys.chunks(1000) {
        store
            .write_with(options, |tx| chunk.iter().try_for_each(|key| tx.put(&bucket, key, b"x")))
            .expect("a batch");
    }
    store.checkpoint().expect("a checkpoint");
    let mut sorted = keys.clone();
    sorted.sort();
    let walk = median(
        (0..RUNS)
            .map(|_| {
                rate(
                    total,
                    time(|| {
                        std::hint::black_box(sorted.iter().map(String::len).sum::<usize>());
                    }),
                )
            })
            .collect(),
    );
    let scan =
        (0..RUNS).map(|_| rate(total, time(|| assert_eq!(bucket.list("").expect("a list").count(), total))));
    report("list everything, keys", median(scan.collect()), "walk of a sorted vector", walk);
    let lent = (0..RUNS).map(|_| {
        rate(
            total,
            time(|| {
                let (mut names, mut seen) = (bucket.names("").expect("names"), 0);
                while names.next().expect("a name").is_some() {
                    seen += 1;
                }
                assert_eq!(seen, total);
            }),
        )
    });
    report("lend the names of everything, keys", median(lent.collect()), "walk of a sorted vector", walk);
    let page = (0..RUNS).map(|run| {
        let mut random = Random(run as u64);
        let pages = 200;
        let took = time(|| {
            for _ in 0..pages {
                let after = &keys[random.below(total as u64) as usize];
                let options = ListOptions::new().start_after(after.as_str()).limit(1000);
                std::hint::black_box(bucket.list_page(options).expect("a page"));
            }
        });
        rate(pages * 1000, took)
    });
    report("list pages of 1000, keys", median(page.collect()), "walk of a sorted vector", walk);
    let groups = (0..RUNS).map(|_| {
        let options = ListOptions::new().delimiter("/");
        rate(1000, time(|| assert_eq!(bucket.list_with(options).expect("a list").count(), 1000)))
    });
    report(
        "list 1000 groups by delimiter, groups",
        median(groups.collect()),
        "walk of a sorted vector",
        walk,
    );
    let usage = (0..RUNS).map(|_| {
        rate(
            1000,
            time(|| {
                (0..1000).for_each(|i| {
                    std::hint::black_box(bucket.usage(&format!("{i:04}/")).expect("usage"));
                })
            }),
        )
    });
    say("usage of a prefix", human(median(usage.collect())));
    drop(bucket);
    store.close().expect("a close");
    clean(&dir);
}
