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
        let body = noise(size, 1);
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
        std::mem::forget(store.clone());
    });
    say("open after a clean close, with a count of all objects", format!("{took:.2?}"));
    clean(&dir);
}
