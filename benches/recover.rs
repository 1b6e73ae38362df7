//! Opening after a crash: time follows the log since the checkpoint, beside a plain read of the same bytes.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod measure;

use std::io::Read;

use measure::*;
use ossicle::{Durability, Maintenance, Settings, Store, WriteOptions};

fn main() {
    let dir = scratch("recover");
    for (objects, tail) in [(200_000, 0), (200_000, 20_000), (200_000, 100_000), (20_000, 100_000)] {
        let path = dir.join(format!("{objects}-{tail}"));
        fill(&path, objects, tail);
        let mut log = Vec::new();
        let read = time(|| {
            for entry in std::fs::read_dir(path.join("log")).expect("a log").flatten() {
                std::fs::File::open(entry.path())
                    .and_then(|mut file| file.read_to_end(&mut log))
                    .expect("a read");
            }
        });
        let took = time(|| {
            let store = Store::builder(&path).maintenance(Maintenance::Manual).open().expect("a store");
            std::hint::black_box(store.bucket("bench").expect("a bucket").usage("").expect("usage"));
            std::mem::forget(store);
        });
        say(
            &format!("open, {objects} objects, {tail} of 1 KiB since the checkpoint"),
            format!("{took:>9.2?} | read of the whole log ({} MiB) {read:.2?}", log.len() >> 20),
        );
    }
    clean(&dir);
}

/// Writes a store in a child process that ends without closing it, as a crash would.
fn fill(path: &std::path::Path, objects: usize, tail: usize) {
    let settings = Settings { delta_bytes: 512 << 20, checkpoint_log_bytes: 4 << 30, ..Settings::default() };
    let store =
        Store::builder(path).settings(settings).maintenance(Maintenance::Manual).open().expect("a store");
    let bucket = store.create_bucket("bench").expect("a bucket");
    let body = noise(1024, 1);
    let options = WriteOptions::new().durability(Durability::Buffered);
    for i in 0..(objects + tail) / 100 {
        if i * 100 == objects {
            store.checkpoint().expect("a checkpoint");
        }
        let put = |tx: &mut ossicle::Transaction<'_>| {
            (0..100).try_for_each(|n| tx.put(&bucket, &format!("{:09}", i * 100 + n), &body))
        };
        store.write_with(options, put).expect("a batch");
    }
    if tail == 0 {
        store.checkpoint().expect("a checkpoint");
    }
    // A copy of the directory is what a crash would have left; the store itself is closed afterwards.
    let crashed = path.with_extension("crashed");
    copy(path, &crashed);
    drop(bucket);
    drop(store);
    std::fs::remove_dir_all(path).expect("a removal");
    std::fs::rename(crashed, path).expect("a rename");
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory").flatten() {
        if entry.path().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
        }
    }
}
