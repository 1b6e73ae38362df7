//! Views of one moment.

use ossicle::{CompactOptions, ErrorKind, GetOptions, ListOptions, Store};

use crate::{a_bucket, code};

#[test]
fn a_snapshot_stays_as_it_is() {
    let (store, bucket) = a_bucket();
    bucket.put("a/1", vec![1; 500_000]).unwrap();
    bucket.put("a/2", b"two").unwrap();
    store.write(|tx| tx.put_row("t", b"k", b"v")).unwrap();
    let snapshot = store.snapshot().unwrap();
    bucket.put("a/2", b"other").unwrap();
    bucket.delete("a/1").unwrap();
    bucket.delete("a/2").unwrap();
    store.write(|tx| tx.delete_row("t", b"k")).unwrap();
    store.delete_bucket("cats").unwrap();
    store.create_bucket("cats").unwrap().put("new", b"").unwrap();
    store.checkpoint().unwrap();
    store.compact(CompactOptions::new().garbage_percent(0)).unwrap();
    let frozen = snapshot.bucket("cats").unwrap();
    assert_eq!(frozen.name(), &"cats");
    assert_eq!(frozen.get("a/1").unwrap().bytes().unwrap(), vec![1; 500_000]);
    assert_eq!(frozen.get_with("a/2", GetOptions::new().range(1..)).unwrap().bytes().unwrap(), &b"wo"[..]);
    assert_eq!(frozen.head("a/2").unwrap().size, 3);
    assert_eq!(frozen.list("").unwrap().count(), 2);
    assert_eq!(frozen.list_with(ListOptions::new().delimiter("/")).unwrap().count(), 1);
    assert_eq!(frozen.list_page(ListOptions::new().limit(1)).unwrap().next.as_deref(), Some("a/1"));
    assert_eq!((frozen.usage("a/").unwrap().bytes, snapshot.usage().unwrap().objects), (500_003, 2));
    assert_eq!(snapshot.row("t", b"k").unwrap().unwrap(), &b"v"[..]);
    assert!(!frozen.exists("new").unwrap());
    assert_eq!(code(frozen.get("new")), "NoSuchKey");
    assert_eq!(code(snapshot.bucket("dogs")), "NoSuchBucket");
    assert!(snapshot.lsn() < store.stats().lsn);
}

/// The next opening knows nothing of a snapshot of this one and writes over the pages that only it reaches.
#[test]
fn a_snapshot_is_refused_when_its_store_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let bucket = store.create_bucket("cats").unwrap();
    store.write(|tx| (0..500).try_for_each(|key| tx.put(&bucket, &format!("{key}"), b"x"))).unwrap();
    store.checkpoint().unwrap();
    let snapshot = store.snapshot().unwrap();
    let frozen = snapshot.bucket("cats").unwrap();
    store.close().unwrap();
    let again = Store::open(dir.path()).unwrap();
    let closed = |kind| assert_eq!(kind, ErrorKind::Closed);
    closed(snapshot.usage().unwrap_err().kind());
    closed(snapshot.bucket("cats").unwrap_err().kind());
    closed(snapshot.row("t", b"k").unwrap_err().kind());
    closed(frozen.get("1").unwrap_err().kind());
    closed(frozen.list("").unwrap_err().kind());
    closed(frozen.usage("").unwrap_err().kind());
    assert_eq!(again.usage().unwrap().objects, 500);
}

#[test]
fn what_a_snapshot_kept_is_given_back_after_it() {
    let (store, bucket) = a_bucket();
    for number in 0..20 {
        bucket.put(&format!("{number}"), vec![1; 1_000_000]).unwrap();
    }
    let snapshot = store.snapshot().unwrap();
    bucket.delete_many((0..20).map(|number| number.to_string())).unwrap();
    store.compact(CompactOptions::new()).unwrap();
    assert_eq!(snapshot.bucket("cats").unwrap().get("7").unwrap().bytes().unwrap(), vec![1; 1_000_000]);
    drop(snapshot);
    store.compact(CompactOptions::new()).unwrap();
    assert!(store.stats().disk_bytes < 10_000_000, "{:?}", store.stats());
}
