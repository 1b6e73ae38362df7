//! Puts, beside the raw limits of the same disk in the same run.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod measure;

use std::path::Path;

use measure::*;
use ossicle::{Bucket, Durability, PutOptions, Store, WriteOptions};

fn main() {
    let dir = scratch("put");
    synced(&dir, 1024, 1);
    synced_threads(&dir);
    buffered_batches(&dir);
    buffered_large(&dir);
    clean(&dir);
}

fn fresh(dir: &Path) -> (Store, Bucket) {
    let path = dir.join("store");
    let _ = std::fs::remove_dir_all(&path);
    let store = Store::open(&path).expect("a store");
    let bucket = store.create_bucket("bench").expect("a bucket");
    (store, bucket)
}

/// One thread, one synced put after another, in turn with raw appends so that both see the same weather.
fn synced(dir: &Path, size: usize, seed: u64) {
    let count = knob("SYNCED", 2000);
    let (store, bucket) = fresh(dir);
    let body = noise(size, seed);
    let mut ratios = Vec::new();
    let mut ours = Vec::new();
    let mut raw = Vec::new();
    for run in 0..RUNS {
        let before = append_sync(dir, size, count / 2);
        let took = time(|| {
            for i in 0..count {
                bucket.put(&format!("{run}/{i:08}"), &body).expect("a put");
            }
        });
        let after = append_sync(dir, size, count / 2);
        let limit = (before + after) / 2.0;
        ours.push(rate(count, took));
        raw.push(limit);
        ratios.push(rate(count, took) / limit);
    }
    report("synced put 1 KiB, 1 thread", median(ours), "append + fdatasync", median(raw));
    say("  ratio, median over runs", format!("{:.2}", median(ratios)));
    store.close().expect("a close");
}

fn synced_threads(dir: &Path) {
    let (store, bucket) = fresh(dir);
    let body = noise(1024, 1);
    let mut single = Vec::new();
    let mut many = Vec::new();
    for run in 0..RUNS {
        for (threads, rates) in [(1, &mut single), (32, &mut many)] {
            let each = if threads == 1 { knob("SYNCED", 2000) } else { knob("SYNCED", 2000) / 2 };
            let took = time(|| {
                std::thread::scope(|scope| {
                    for thread in 0..threads {
                        let (bucket, body) = (&bucket, &body);
                        scope.spawn(move || {
                            for i in 0..each {
                                bucket.put(&format!("{run}/{threads}/{thread}/{i:08}"), body).expect("a put");
                            }
                        });
                    }
                });
            });
            rates.push(rate(each * threads, took));
        }
    }
    report("synced put 1 KiB, 32 threads", median(many), "1 thread", median(single));
    let stats = store.stats();
    say("  commits for each sync", format!("{:.1}", stats.commits as f64 / stats.log_syncs as f64));
    store.close().expect("a close");
}

fn buffered_batches(dir: &Path) {
    let count = knob("BUFFERED", 300_000);
    let body = noise(1024, 1);
    let mut ours = Vec::new();
    let mut raw = Vec::new();
    for _ in 0..RUNS {
        let (store, bucket) = fresh(dir);
        raw.push(plain_write(dir, 1024, count));
        let options = WriteOptions::new().durability(Durability::Buffered);
        let took = time(|| {
            for batch in 0..count / 100 {
                store
                    .write_with(options, |tx| {
                        for i in 0..100 {
                            tx.put(&bucket, &format!("{:08}", batch * 100 + i), &body)?;
                        }
                        Ok(())
                    })
                    .expect("a batch");
            }
        });
        ours.push(rate(count, took));
        store.close().expect("a close");
    }
    report("buffered put 1 KiB, batches of 100", median(ours), "write()", median(raw));
}

fn buffered_large(dir: &Path) {
    let count = knob("LARGE", 1000);
    let body = noise(1 << 20, 1);
    let mut ours = Vec::new();
    let mut raw = Vec::new();
    let mut ratios = Vec::new();
    for _ in 0..RUNS {
        let (store, bucket) = fresh(dir);
        let limit = plain_write(dir, 1 << 20, count);
        let took = time(|| {
            for i in 0..count {
                let options = PutOptions::new().durability(Durability::Buffered);
                bucket.put_with(&format!("{i:08}"), &body, options).expect("a put");
            }
        });
        ours.push(rate(count, took));
        raw.push(limit);
        ratios.push(rate(count, took) / limit);
        store.close().expect("a close");
    }
    report("buffered put 1 MiB", median(ours), "write()", median(raw));
    say("  ratio, median over runs", format!("{:.2}", median(ratios)));
}
