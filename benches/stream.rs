//! A body of many GiB in and out, beside plain writes and reads; memory must not grow with it.
//! `GIB=4 cargo bench --bench stream`
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod measure;

use std::io::{Read, Write};

use measure::*;
use ossicle::{PutOptions, Store};

fn main() {
    let dir = scratch("stream");
    let store = Store::open(dir.join("store")).expect("a store");
    let bucket = store.create_bucket("bench").expect("a bucket");
    let steps = knob("GIB", 1) * 1024;
    let step = noise(1 << 20, 1);
    let start = status_mib("RssAnon");
    let mut peak = start;
    let took = time(|| {
        let mut writer = bucket.writer("film", PutOptions::new()).expect("a writer");
        for _ in 0..steps {
            writer.write_all(&step).expect("a write");
            peak = peak.max(status_mib("RssAnon"));
        }
        writer.finish().expect("an object");
    });
    let raw = plain_write(&dir, 1 << 20, steps);
    report("stream in, MiB, the sync included", rate(steps, took), "write()", raw);
    let mut object = bucket.get("film").expect("an object");
    let mut buffer = vec![0; 1 << 20];
    let took = time(|| {
        for _ in 0..steps {
            object.read_exact(&mut buffer).expect("a read");
            assert!(buffer == step);
            peak = peak.max(status_mib("RssAnon"));
        }
    });
    report("stream out, MiB, compared", rate(steps, took), "memcpy", memcpy(1 << 20, 4096));
    say("RssAnon at the start, at its peak", format!("{start:.1} MiB, {peak:.1} MiB"));
    drop((object, bucket));
    store.close().expect("a close");
    clean(&dir);
}
