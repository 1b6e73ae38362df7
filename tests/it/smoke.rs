//! The first five minutes.

use ossicle::*;

#[test]
fn a_store_keeps_what_is_put_across_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let big = vec![7u8; 3_000_000];
    let mid = vec![5u8; 100_000];
    {
        let store = Store::open(&path).unwrap();
        let bucket = store.create_bucket("cats").unwrap();
        bucket.put("tiny", b"x").unwrap();
        bucket.put("mid", &mid).unwrap();
        bucket.put("big", &big).unwrap();
        bucket.put("gone", b"bye").unwrap();
        bucket.delete("gone").unwrap();
        assert_eq!(bucket.usage("").unwrap().objects, 3);
        store.close().unwrap();
    }
    for round in 0..3 {
        let store = Store::open(&path).unwrap();
        let bucket = store.bucket("cats").unwrap();
        assert_eq!(&bucket.get("tiny").unwrap().bytes().unwrap()[..], b"x");
        assert_eq!(bucket.get("mid").unwrap().bytes().unwrap(), mid);
        assert_eq!(bucket.get("big").unwrap().bytes().unwrap(), big);
        assert!(bucket.get("gone").unwrap_err().is_not_found());
        bucket.put(&format!("r{round}"), b"r").unwrap();
        assert!(store.verify().unwrap().is_clean(), "{:?}", store.verify());
    }
    std::fs::remove_file(path.join("index.tree")).unwrap();
    let store = Store::open(&path).unwrap();
    let bucket = store.bucket("cats").unwrap();
    assert_eq!(bucket.usage("").unwrap().objects, 6);
    assert_eq!(bucket.get("big").unwrap().bytes().unwrap(), big);
    assert_eq!(bucket.list("").unwrap().count(), 6);
}
