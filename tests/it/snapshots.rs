//! Views of one moment.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ossicle::Clock as _;
use ossicle::{
    Bucket, CompactOptions, Durability, ErrorKind, GetOptions, ListOptions, Maintenance, MemoryVfs,
    PutOptions, Snapshot, Store, VirtualClock,
};

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

/// What a snapshot shows of the object that says which state it is.
fn shown(snapshot: &Snapshot) -> Vec<u8> {
    snapshot.bucket("cats").unwrap().get("a").unwrap().bytes().unwrap().to_vec()
}

/// A time is one that a live snapshot keeps from its last commit up to the next one, whether the past is retained or not.
#[test]
fn the_past_by_time_shows_what_a_live_snapshot_keeps() {
    let vfs = Arc::new(MemoryVfs::new());
    let clock = VirtualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000));
    let open = || {
        let store =
            Store::builder("/m").vfs(vfs.clone()).clock(clock.clone()).maintenance(Maintenance::Manual);
        store.open().unwrap()
    };
    let store = open();
    let bucket = store.create_bucket("cats").unwrap();
    let put = |bucket: &Bucket, body: &[u8]| {
        clock.advance(Duration::from_secs(10));
        bucket.put("a", body).unwrap();
        clock.now()
    };
    let (second, first) = (Duration::from_secs(1), put(&bucket, b"1"));
    clock.advance(second * 5);
    let one = store.snapshot().unwrap();
    let third_at = (put(&bucket, b"2"), put(&bucket, b"3")).1;
    let three = store.snapshot().unwrap();
    store.checkpoint().unwrap();
    let last = put(&bucket, b"4");
    clock.advance(second * 5);
    let at = |moment: SystemTime| store.as_of(moment).map(|snapshot| shown(&snapshot));
    for moment in [first, first + second, first + second * 15 - Duration::from_millis(1)] {
        assert_eq!(at(moment).unwrap(), b"1", "{moment:?}");
        assert_eq!(store.as_of(moment).unwrap().lsn(), one.lsn());
    }
    for moment in [third_at, third_at + second * 9] {
        assert_eq!(at(moment).unwrap(), b"3", "{moment:?}");
        assert_eq!(store.as_of(moment).unwrap().lsn(), three.lsn());
    }
    // The newest state needs no snapshot.
    for moment in [last, last + second, clock.now(), clock.now() + second] {
        assert_eq!(at(moment).unwrap(), b"4", "{moment:?}");
    }
    // What no snapshot keeps is not shown as something else: before the first, and the state between.
    for moment in [first - second, first + second * 15, third_at - second] {
        assert_eq!(code(at(moment)), "NoSuchMoment", "{moment:?}");
    }
    // Retained from now on, which changes nothing of what was before.
    store.set_history(Some(Duration::from_secs(3_600))).unwrap();
    let fifth = put(&bucket, b"5");
    put(&bucket, b"6");
    assert_eq!(
        (at(fifth).unwrap(), at(first).unwrap(), at(third_at).unwrap()),
        (b"5".to_vec(), b"1".to_vec(), b"3".to_vec())
    );
    // Forgotten: what tells the time of commits is still there for a while, and says nothing of those behind it.
    store.set_history(None).unwrap();
    let six = store.snapshot().unwrap();
    let forgotten = clock.now();
    let seventh = put(&bucket, b"7");
    put(&bucket, b"8");
    assert_eq!((at(forgotten).unwrap(), code(at(seventh))), (b"6".to_vec(), "NoSuchMoment"));
    drop((one, three, six));
    assert_eq!((code(at(first)), code(at(forgotten))), ("NoSuchMoment", "NoSuchMoment"));
    // Opened again: commits that are read from the log tell their time, and those of a checkpoint are from before it.
    let eighth = clock.now();
    store.close().unwrap();
    let store = open();
    clock.advance(second * 5);
    assert_eq!(shown(&store.as_of(eighth + second).unwrap()), b"8");
    let kept = store.snapshot().unwrap();
    put(&store.bucket("cats").unwrap(), b"9");
    assert_eq!(shown(&store.as_of(eighth + second).unwrap()), b"8");
    drop(kept);
    assert_eq!(code(store.as_of(eighth + second)), "NoSuchMoment");
}

/// A reader knows the time of the commits that it has read, and takes none for another that it has passed over.
#[test]
fn the_past_by_time_is_that_of_the_commits_a_reader_has_seen() {
    let vfs = Arc::new(MemoryVfs::new());
    let clock = VirtualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000));
    let builder = || {
        let builder = Store::builder("/m").vfs(vfs.clone()).clock(clock.clone());
        builder.maintenance(Maintenance::Manual)
    };
    let store = builder().open().unwrap();
    let bucket = store.create_bucket("cats").unwrap();
    let put = |body: &[u8]| {
        clock.advance(Duration::from_secs(10));
        bucket.put_with("a", body, PutOptions::new().durability(Durability::Synced)).unwrap();
        clock.now()
    };
    let first = put(b"1");
    let reader = builder().read_only(true).open().unwrap();
    let one = reader.snapshot().unwrap();
    let second = put(b"2");
    let third = put(b"3");
    reader.refresh().unwrap();
    let at = |moment: SystemTime| reader.as_of(moment).map(|snapshot| shown(&snapshot));
    let tick = Duration::from_secs(1);
    assert_eq!((at(first).unwrap(), at(second - tick).unwrap()), (b"1".to_vec(), b"1".to_vec()));
    assert_eq!((code(at(second)), at(third).unwrap()), ("NoSuchMoment", b"3".to_vec()));
    // A checkpoint takes the log away that would tell when the next commit was.
    let three = reader.snapshot().unwrap();
    let fourth = put(b"4");
    put(b"5");
    store.checkpoint().unwrap();
    clock.advance(tick);
    reader.refresh().unwrap();
    assert_eq!(at(clock.now()).unwrap(), b"5");
    // Whatever is told, it is never a state that was not the newest then.
    for (moment, right) in [(third, b"3"), (fourth - tick, b"3"), (first, b"1")] {
        assert!(at(moment).map_or_else(|error| error.code() == "NoSuchMoment", |told| told == right));
    }
    assert!(at(fourth).map_or_else(|error| error.code() == "NoSuchMoment", |_| false));
    drop((one, three));
}
