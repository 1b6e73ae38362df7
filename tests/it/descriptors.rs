//! How many files a store keeps open: few, however many segments it has.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use ossicle::*;

use crate::{ARGUMENT, argument, effort, read};

/// Runs one test of this binary again in a process that may open so many files.
fn with_limit(limit: u32, test: &str, argument: &str) {
    let script = format!("ulimit -n {limit} && exec \"$0\" --exact {test} --nocapture --test-threads=1");
    let output = Command::new("sh")
        .args(["-c", &script])
        .arg(std::env::current_exe().unwrap())
        .env(ARGUMENT, argument)
        .output()
        .unwrap();
    let told =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
}

fn settings(read_mode: ReadMode) -> Settings {
    Settings { segment_size: 1 << 20, chunk_size: 4096, packed_max: 8192, read_mode, ..Settings::default() }
}

fn open(dir: &Path, read_mode: ReadMode) -> Result<Store> {
    Store::builder(dir).settings(settings(read_mode)).maintenance(Maintenance::Manual).open()
}

fn body(n: usize) -> Vec<u8> {
    let mut out = vec![0; 20_000 + n];
    blake3::Hasher::new().update(&n.to_le_bytes()).finalize_xof().fill(&mut out);
    out
}

/// Each opening leaves a segment of bodies and one of the log.
fn fill(dir: &Path, openings: usize) {
    for n in 0..openings {
        let store = open(dir, ReadMode::Mapped).unwrap();
        let bucket = store.bucket("cats").or_else(|_| store.create_bucket("cats")).unwrap();
        bucket.put(&format!("long/{n}"), body(n)).unwrap();
        bucket.put(&format!("short/{n}"), &body(n)[..500]).unwrap();
        drop(bucket);
        store.close().unwrap();
    }
}

fn check(store: &Store, openings: usize) {
    let bucket = store.bucket("cats").unwrap();
    for n in 0..openings {
        assert!(read(&bucket, &format!("long/{n}")) == body(n), "{n}");
        assert!(read(&bucket, &format!("short/{n}")) == body(n)[..500], "{n}");
    }
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// What a process does that may open few files.
fn live_with_few(dir: &Path, openings: usize) {
    let at = |name: &str| dir.join(name);
    for read_mode in [ReadMode::Positioned, ReadMode::Mapped] {
        let store = open(&at("store"), read_mode).unwrap();
        assert!(store.stats().segments as usize >= 2 * openings);
        std::thread::scope(|scope| {
            (0..8).for_each(|_| _ = scope.spawn(|| check(&store, openings)));
        });
        let bucket = store.bucket("cats").unwrap();
        // More segments are written than may wait for a sync.
        for n in 0..40 {
            bucket.put(&format!("more/{n}"), vec![n; 400_000]).unwrap();
        }
        let report = store.verify().unwrap();
        assert!(report.is_clean(), "{:?}", report.problems);
        let reader =
            Store::builder(at("store")).settings(settings(read_mode)).read_only(true).open().unwrap();
        check(&reader, openings);
        drop(reader);
        store.backup(at("backup")).unwrap();
        assert!(open_files() < 60, "{}", open_files());
        drop(bucket);
        store.close().unwrap();
    }
    drop(Store::salvage(at("store"), at("salvaged")).unwrap());
    check(&open(&at("salvaged"), ReadMode::Positioned).unwrap(), openings);
    Store::restore(at("backup"), at("restored")).unwrap();
    check(&open(&at("restored"), ReadMode::Positioned).unwrap(), openings);
    let backup = Store::builder(at("backup")).read_only(true).open().unwrap();
    check(&backup, openings);
    drop(backup);
    // What is written elsewhere and retired stays for who holds it, in this process and in others.
    let store = open(&at("store"), ReadMode::Positioned).unwrap();
    let options = settings(ReadMode::Positioned);
    let reader = Store::builder(at("store")).settings(options).read_only(true).open().unwrap();
    let bucket = store.bucket("cats").unwrap();
    let held: Vec<Object> = (0..openings).map(|n| bucket.get(&format!("long/{n}")).unwrap()).collect();
    bucket.delete_prefix("").unwrap();
    bucket.put("last", b"last").unwrap();
    for _ in 0..2 {
        store.compact(CompactOptions::new().garbage_percent(0)).unwrap();
    }
    assert!(!bucket.exists("long/0").unwrap());
    check(&reader, openings);
    for (n, object) in held.into_iter().enumerate() {
        assert!(object.bytes().unwrap()[..] == body(n), "{n}");
    }
    drop(reader);
    store.checkpoint().unwrap();
    store.compact(CompactOptions::new().garbage_percent(0)).unwrap();
    assert!(store.stats().segments < 20, "{}", store.stats().segments);
    assert_eq!(read(&bucket, "last"), b"last");
}

#[test]
fn a_store_of_many_segments_lives_with_few_descriptors() {
    match argument() {
        Some(dir) => live_with_few(Path::new(&dir), 60),
        None => {
            let dir = tempfile::tempdir().unwrap();
            fill(&dir.path().join("store"), 60);
            let test = "descriptors::a_store_of_many_segments_lives_with_few_descriptors";
            with_limit(64, test, dir.path().to_str().unwrap());
        }
    }
}

#[test]
fn a_store_as_large_as_they_come_opens_with_256_descriptors() {
    // In segments of the usual length these would be 64 GiB for each thousand; more with the variable.
    let openings = effort::number("OSSICLE_MANY_OPENINGS", 140, 200);
    match argument() {
        Some(dir) => {
            for read_only in [true, false] {
                let builder = Store::builder(&dir).read_only(read_only).maintenance(Maintenance::Manual);
                let store = builder.settings(settings(ReadMode::Mapped)).open().unwrap();
                check(&store, openings);
                assert!(open_files() < 120, "{}", open_files());
            }
        }
        None => {
            let dir = tempfile::tempdir().unwrap();
            fill(dir.path(), openings);
            let test = "descriptors::a_store_as_large_as_they_come_opens_with_256_descriptors";
            with_limit(256, test, dir.path().to_str().unwrap());
        }
    }
}

#[test]
fn running_out_of_descriptors_is_told_and_passes() {
    let Some(dir) = argument() else {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path(), 20);
        let test = "descriptors::running_out_of_descriptors_is_told_and_passes";
        return with_limit(64, test, dir.path().to_str().unwrap());
    };
    let take_all = || {
        let mut taken = Vec::new();
        while let Ok(file) = File::open("/dev/null") {
            taken.push(file);
        }
        taken
    };
    // None is left to open it with.
    let taken = take_all();
    let error = open(Path::new(&dir), ReadMode::Positioned).unwrap_err();
    assert!(error.to_string().contains("`ulimit -n`"), "{error}");
    crate::assert_reads_well(&error);
    drop(taken);
    let store = open(Path::new(&dir), ReadMode::Positioned).unwrap();
    check(&store, 20);
    // The rest of the process takes all; what the store keeps open without need it gives back.
    let taken = take_all();
    check(&store, 20);
    let bucket = store.bucket("cats").unwrap();
    for n in 0..8 {
        bucket.put(&format!("more/{n}"), vec![n; 400_000]).unwrap();
    }
    store.flush().unwrap();
    drop(taken);
    check(&store, 20);
    assert!(store.verify().unwrap().is_clean());
}
