//! Millions of objects: does loading slow down, how much memory does it take, how fast does the store open again.
//! `OBJECTS=5000000 cargo bench --bench load`
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::print_stdout)]

mod measure;

use measure::*;
use ossicle::{Durability, Store, WriteOptions};

fn main() {
    let dir = scratch("load");
    let path = dir.join("store");
    let total = knob("OBJECTS", 1_000_000);
    let size = knob("BODY", 256);
    let step = (total / 5).max(100);
    let options = WriteOptions::new().durability(Durability::Buffered);
    let mut peak = 0f64;
    {
        let store = Store::open(&path).expect("a store");
        let bucket = store.create_bucket("bench").expect("a bucket");
        // Every object has bytes of its own: a hash that is always the same could be written once.
        let mut body = noise(size, 1);
        let mut first = 0.0;
        for part in 0..total / step {
            let took = time(|| {
                for batch in 0..step / 100 {
                    store
                        .write_with(options, |tx| {
                            for i in 0..100 {
                                let number = (part * step + batch * 100 + i) as u64;
                                // Scattered, so that every leaf of the index is hit.
                                let key = format!("{:016x}", number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
                                let own = size.min(8);
                                body[..own].copy_from_slice(&number.to_le_bytes()[..own]);
                                tx.put(&bucket, &key, &body)?;
                            }
                            Ok(())
                        })
                        .expect("a batch");
                    if batch % 100 == 0 {
                        peak = peak.max(status_mib("RssAnon"));
                    }
                }
            });
            let now = rate(step, took);
            first = if part == 0 { now } else { first };
            println!(
                "objects {:>9}: {:>12} ({:.2} of the first step), RssAnon {:>6.1} MiB, disk {:.2} of the bodies",
                (part + 1) * step,
                human(now),
                now / first,
                status_mib("RssAnon"),
                disk_bytes(&path) as f64 / ((part + 1) * step * size) as f64,
            );
        }
        say("RssAnon at its peak", format!("{peak:.1} MiB"));
        say("index pages written, MiB", (store.stats().index_pages_written * 4096) >> 20);
        let took = time(|| store.close().expect("a close"));
        say("close", format!("{took:.2?}"));
    }
    let took = time(|| {
        let store = Store::open(&path).expect("a store");
        assert_eq!(store.bucket("bench").expect("a bucket").usage("").expect("usage").objects, total as u64);
    });
    say("open after a clean close, with a count of all objects", format!("{took:.2?}"));
    space(&path, total * size, "closed");
    {
        let store = Store::open(&path).expect("a store");
        space(&path, total * size, "opened");
        let took = time(|| while store.maintain(std::time::Duration::MAX).expect("maintenance").more {});
        say("maintain", format!("{took:.2?}"));
        space(&path, total * size, "after maintain");
        let took = time(|| store.compact(ossicle::CompactOptions::new()).map(drop).expect("compaction"));
        say("compact", format!("{took:.2?}"));
        space(&path, total * size, "after compact");
        store.close().expect("a close");
    }
    space(&path, total * size, "closed again");
    clean(&dir);
}

/// Where the bytes are.
fn space(path: &std::path::Path, payload: usize, when: &str) {
    let all = disk_bytes(path);
    let log = disk_bytes(&path.join("log"));
    let bulk = disk_bytes(&path.join("bulk"));
    let file = |name: &str| {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(path.join(name)).map_or(0, |meta| meta.blocks() * 512)
    };
    let index = file("index.tree") + file("index.alt.tree");
    let part = |bytes: u64| bytes as f64 / payload as f64;
    println!(
        "{when:<16} {:.3} of the bodies: log {:.3}, bulk {:.3}, index {:.3}, reserve {:.3}",
        part(all),
        part(log),
        part(bulk),
        part(index),
        part(file("RESERVE"))
    );
}
