//! What costs the same whatever the size: copies, renames, forks, prefixes; and one commit beside a thousand.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod measure;

use std::time::Duration;

use measure::*;
use ossicle::{Body, Bucket, Durability, PutOptions, Store, WriteOptions};

fn main() {
    let dir = scratch("flat");
    let store = Store::open(dir.join("store")).expect("a store");
    sizes(&store);
    keys(&store);
    commits(&store);
    store.close().expect("a close");
    clean(&dir);
}

/// Median milliseconds of `work`.
fn millis(mut work: impl FnMut(usize)) -> f64 {
    median((0..RUNS).map(|run| time(|| work(run)).as_secs_f64() * 1000.0).collect())
}

fn line(what: &str, small: f64, large: f64) {
    say(what, format_args!("{large:.2} ms, {:.2} of the small one's {small:.2} ms", large / small));
}

/// Copy and rename of a short body, and of a long one.
fn sizes(store: &Store) {
    let bucket = store.create_bucket("sizes").expect("a bucket");
    let mib = knob("COPY_MIB", 1024);
    bucket.put("small", noise(1024, 1)).expect("a put");
    let long = std::io::Read::take(std::io::repeat(7), (mib as u64) << 20);
    bucket.put("large", Body::reader(long)).expect("a put");
    let copies = |key: &str| millis(|run| drop(bucket.copy(key, &format!("{key}-{run}")).expect("a copy")));
    line(&format!("copy of {mib} MiB"), copies("small"), copies("large"));
    let renames = |key: &str| {
        millis(|run| {
            drop(bucket.rename(&format!("{key}-{run}"), &format!("{key}-{run}x")).expect("a rename"))
        })
    };
    line(&format!("rename of {mib} MiB"), renames("small"), renames("large"));
}

/// Forks, renamed and removed prefixes of few keys, and of many.
fn keys(store: &Store) {
    let many = knob("KEYS", 1_000_000);
    let fill = |name: &str, count: usize| -> Bucket {
        let bucket = store.create_bucket(name).expect("a bucket");
        let options = WriteOptions::new().durability(Durability::Buffered);
        for batch in 0..count.div_ceil(1000) {
            let written = store.write_with(options, |tx| {
                (0..1000).try_for_each(|n| tx.put(&bucket, &format!("a/{batch:05}/{n:03}"), b"a short body"))
            });
            written.expect("a batch");
        }
        bucket
    };
    let (few, lots) = (fill("few", 1000), fill("lots", many));
    store.checkpoint().expect("a checkpoint");
    let forks =
        |name: &str| millis(|run| drop(store.fork_bucket(name, &format!("{name}-{run}")).expect("a fork")));
    line(&format!("fork of {many} keys"), forks("few"), forks("lots"));
    let drops = |name: &str| millis(|run| store.delete_bucket(&format!("{name}-{run}")).expect("a drop"));
    line(&format!("drop of a fork of {many} keys"), drops("few"), drops("lots"));
    store.maintain(Duration::from_secs(60)).expect("tidying");
    let places = ["a/", "b/", "c/", "d/", "e/", "f/"];
    let renames = |bucket: &Bucket| {
        millis(|run| {
            bucket.rename_prefix(places[run], places[run + 1]).expect("a rename");
        })
    };
    line(&format!("rename of a prefix of {many} keys"), renames(&few), renames(&lots));
    let removal = |bucket: &Bucket| {
        let took = time(|| {
            bucket.delete_prefix("").expect("a removal");
        });
        took.as_secs_f64() * 1000.0
    };
    line(&format!("removal of a prefix of {many} keys"), removal(&few), removal(&lots));
}

/// A thousand puts in one commit, beside a thousand commits.
fn commits(store: &Store) {
    let bucket = store.create_bucket("commits").expect("a bucket");
    let body = noise(1024, 3);
    let together = median(
        (0..RUNS)
            .map(|_| {
                let took = time(|| {
                    let written = store
                        .write(|tx| (0..1000).try_for_each(|n| tx.put(&bucket, &format!("t{n}"), &body)));
                    written.expect("a transaction");
                });
                rate(1000, took)
            })
            .collect(),
    );
    let alone = median(
        (0..RUNS)
            .map(|_| {
                let took = time(|| {
                    for n in 0..1000 {
                        bucket.put_with(&format!("s{n}"), &body, PutOptions::new()).expect("a put");
                    }
                });
                rate(1000, took)
            })
            .collect(),
    );
    report("puts of 1 KiB in a transaction of 1000", together, "synced puts alone", alone);
}
