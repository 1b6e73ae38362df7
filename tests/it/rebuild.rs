//! The index made anew from the log, after the log has lost what nothing needs any more.
#![allow(clippy::disallowed_methods, reason = "a test looks into the store's directory behind its back")]

use std::path::Path;

use ossicle::*;

fn open(path: &Path, rebuild: bool) -> Store {
    let settings = Settings { packed_max: 8192, ..Settings::default() };
    let builder = Store::builder(path).settings(settings).maintenance(Maintenance::Manual);
    builder.rebuild_index(rebuild).open().unwrap()
}

#[test]
fn a_rebuild_goes_on_behind_a_buffered_commit_whose_body_was_reclaimed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = open(&path, false);
    let bucket = store.create_bucket("bucket").unwrap();
    let buffered = || PutOptions::new().durability(Durability::Buffered);
    bucket.put_with("replaced", vec![1; 30_000], buffered()).unwrap();
    bucket.put_with("replaced", vec![2; 5000], buffered()).unwrap();
    bucket.put_with("kept", vec![3; 5000], buffered()).unwrap();
    // Closing makes all of it durable, which no record of the log says.
    drop(bucket);
    store.close().unwrap();
    drop(store);
    // The checkpoint at the end of a rebuild lets the dead body go, and writes no record either.
    let store = open(&path, true);
    store.close().unwrap();
    drop(store);
    assert_eq!(std::fs::read_dir(path.join("bulk/0")).unwrap().count(), 0, "the body was not reclaimed");

    let store = open(&path, true);
    let bucket = store.bucket("bucket").unwrap();
    assert_eq!(bucket.get("replaced").unwrap().bytes().unwrap(), vec![2; 5000]);
    assert_eq!(bucket.get("kept").unwrap().bytes().unwrap(), vec![3; 5000]);
}
