//! Giving space back.

use ossicle::*;

/// The log of the run before is the end of the log until something is written; it is compacted all the same.
#[test]
fn a_store_just_opened_can_be_compacted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let store = Store::open(&path).unwrap();
    let bucket = store.create_bucket("cats").unwrap();
    // Few enough to lie in one segment.
    for number in 0..4 {
        bucket.put(&format!("cat{number}"), vec![number; 100_000]).unwrap();
    }
    for number in 1..4 {
        bucket.delete(&format!("cat{number}")).unwrap();
    }
    store.close().unwrap();

    let store = Store::builder(&path).maintenance(Maintenance::Manual).open().unwrap();
    let report = store.compact(CompactOptions::new()).unwrap();
    assert!(report.relocated >= 100_000, "{report:?}");
    assert!(store.stats().removed_segments > 0, "{:?}", store.stats());
    assert!(store.verify().unwrap().is_clean());
    store.close().unwrap();

    let store = Store::open(&path).unwrap();
    let cat = store.bucket("cats").unwrap().get("cat0").unwrap();
    assert_eq!(cat.bytes().unwrap(), vec![0; 100_000]);
    assert_eq!(store.usage().unwrap().objects, 1);
}
