//! Is it still us: in a process that was forked from the one with the store, every call answers `Closed` and no drop does
//! anything.

use std::fs;
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fork::{Fork, fork, waitpid_nohang};
use ossicle::testing::{FaultyDisk, as_if_forked};
use ossicle::*;

use crate::{argument, assert_reads_well, in_another_process, read};

fn settings() -> Settings {
    Settings { segment_size: 1 << 20, reserve_bytes: 0, ..Settings::default() }
}

#[track_caller]
fn refuses<T: std::fmt::Debug>(answer: Result<T>) {
    let error = answer.unwrap_err();
    assert_reads_well(&error);
    assert_eq!((error.kind(), error.code()), (ErrorKind::Closed, "StoreClosed"), "{error}");
    assert!(error.to_string().contains("opened by another process"), "{error}");
}

#[track_caller]
fn refuses_io<T: std::fmt::Debug>(answer: std::io::Result<T>) {
    assert!(answer.unwrap_err().to_string().contains("opened by another process"));
}

/// What somebody may have in hand when the process forks.
struct InHand {
    store: Store,
    reader: Store,
    bucket: Bucket,
    short: Object,
    long: Object,
    listing: Listing,
    versions: VersionListing,
    buckets: Buckets,
    uploads: Uploads,
    changes: Changes,
    snapshot: Snapshot,
    writer: ObjectWriter,
    upload: Upload,
}

impl InHand {
    fn take(disk: &FaultyDisk) -> InHand {
        let open =
            || Store::builder("/store").vfs(disk.vfs()).settings(settings()).maintenance(Maintenance::Manual);
        let store = open().open().unwrap();
        let bucket = store.create_bucket("bucket").unwrap();
        store.create_bucket("other").unwrap();
        bucket.put("short", b"short").unwrap();
        bucket.put("long", vec![1; 400_000]).unwrap();
        store.set_cursor("cursor", Lsn(0)).unwrap();
        let reader = open().read_only(true).open().unwrap();
        let mut writer = bucket.writer("written", PutOptions::new()).unwrap();
        writer.write_all(&[2; 700_000]).unwrap();
        let upload = bucket.upload("upload", UploadOptions::new()).unwrap();
        upload.put_part(1, vec![3; 300_000]).unwrap();
        let mut listing = bucket.list("").unwrap();
        assert_eq!(listing.next().unwrap().unwrap().name(), "long");
        let mut versions = bucket.versions(ListOptions::new()).unwrap();
        versions.next().unwrap().unwrap();
        let mut buckets = store.buckets().unwrap();
        buckets.next().unwrap().unwrap();
        bucket.upload("another", UploadOptions::new()).unwrap();
        let mut uploads = bucket.uploads(ListOptions::new()).unwrap();
        uploads.next().unwrap().unwrap();
        let mut changes = store.changes(Lsn(0)).unwrap();
        changes.next().unwrap().unwrap();
        let snapshot = store.snapshot().unwrap();
        let short = bucket.get("short").unwrap();
        let mut long = bucket.get("long").unwrap();
        long.read_exact(&mut [0; 10]).unwrap();
        InHand {
            store,
            reader,
            bucket,
            short,
            long,
            listing,
            versions,
            buckets,
            uploads,
            changes,
            snapshot,
            writer,
            upload,
        }
    }

    /// Tries all of it, and drops it.
    fn try_all(self) {
        let InHand { store, reader, bucket, mut listing, mut versions, mut buckets, mut uploads, .. } = self;
        let (mut changes, snapshot, mut writer, upload) =
            (self.changes, self.snapshot, self.writer, self.upload);
        refuses(store.create_bucket("new").map(drop));
        refuses(store.delete_bucket("other"));
        refuses(store.fork_bucket("bucket", "fork").map(drop));
        refuses(store.bucket("bucket").map(drop));
        refuses(store.buckets().map(drop));
        refuses(store.write(|_| Ok(())));
        refuses(store.write(|tx| tx.put(&bucket, "key", b"body")));
        refuses(store.row("table", b"key"));
        refuses(store.snapshot().map(drop));
        refuses(store.as_of(Lsn(1)).map(drop));
        refuses(store.set_history(Some(Duration::from_secs(1))));
        refuses(store.history());
        refuses(store.changes(Lsn(0)).map(drop));
        refuses(store.cursor("cursor"));
        refuses(store.set_cursor("cursor", Lsn(1)));
        refuses(store.remove_cursor("cursor"));
        refuses(store.cursors());
        refuses(store.usage());
        refuses(store.flush());
        refuses(store.checkpoint());
        refuses(store.compact(CompactOptions::new()));
        refuses(store.maintain(Duration::ZERO));
        refuses(store.verify());
        refuses(store.refresh());
        refuses(store.backup("/backup"));
        refuses(store.close());
        assert_eq!(store.stats().lsn, Lsn(0), "nothing is known");
        refuses(reader.refresh());
        refuses(reader.bucket("bucket").map(drop));
        refuses(reader.close());
        refuses(bucket.put("key", b"body"));
        refuses(bucket.put("key", vec![1; 400_000]));
        refuses(bucket.get("short").map(drop));
        refuses(bucket.head("short"));
        refuses(bucket.exists("short"));
        refuses(bucket.delete("short"));
        refuses(bucket.list("").map(drop));
        refuses(bucket.list_page(ListOptions::new()));
        refuses(bucket.versions(ListOptions::new()).map(drop));
        refuses(bucket.append("log", 0, b"line").map(drop));
        refuses(bucket.rename("short", "moved"));
        refuses(bucket.upload("new", UploadOptions::new()).map(drop));
        refuses(bucket.uploads(ListOptions::new()).map(drop));
        refuses(bucket.writer("new", PutOptions::new()).map(drop));
        refuses(bucket.usage(""));
        refuses(self.short.bytes());
        let mut long = self.long;
        long.seek_to_unread();
        refuses(long.copy_to(&mut Vec::new()));
        refuses_io(long.read(&mut [0; 10]));
        refuses(listing.next().unwrap());
        refuses(versions.next().unwrap());
        refuses(buckets.next().unwrap().map(drop));
        refuses(uploads.next().unwrap().map(drop));
        refuses(changes.wait(Duration::ZERO));
        refuses(snapshot.bucket("bucket").map(drop));
        refuses(snapshot.row("table", b"key"));
        refuses_io(writer.write(&[1; 10]));
        refuses_io(writer.write(&[1; 900_000]));
        refuses(writer.finish());
        refuses(upload.put_part(2, vec![1; 300_000]).map(drop));
        refuses(upload.complete_all().map(drop));
        refuses(upload.abort());
    }
}

/// Goes where nothing was read ahead.
trait SeekToUnread {
    fn seek_to_unread(&mut self);
}

impl SeekToUnread for Object {
    fn seek_to_unread(&mut self) {
        std::io::Seek::seek(self, std::io::SeekFrom::Start(200_000)).unwrap();
    }
}

#[test]
fn in_a_forked_process_every_call_answers_closed_and_no_drop_does_anything() {
    let disk = FaultyDisk::new(1);
    let in_hand = InHand::take(&disk);
    let (store, bucket) = (in_hand.store.clone(), in_hand.bucket.clone());
    // An upkeep thread is one more thing that a child does not have.
    let apart = FaultyDisk::new(2);
    let background = Store::builder("/store").vfs(apart.vfs()).settings(settings()).open().unwrap();
    let threads = Store::builder("/last").vfs(apart.vfs()).settings(settings()).open().unwrap();
    let last = Store::builder("/last").vfs(disk.vfs()).settings(settings()).maintenance(Maintenance::Manual);
    let last = last.open().unwrap();
    let before = (disk.calls(), disk.trace_hash());
    let elsewhere = as_if_forked();
    in_hand.try_all();
    refuses(last.close());
    // The last handle: it would close the store.
    drop((last, threads));
    assert_eq!((disk.calls(), disk.trace_hash()), before, "the disk was touched");
    drop(elsewhere);
    // Nothing was closed there, so nobody may have it here.
    for (path, disk) in [("/last", &disk), ("/store", &disk), ("/store", &apart), ("/last", &apart)] {
        let error = Store::builder(path).vfs(disk.vfs()).open().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy, "{path}: {error}");
    }
    assert_eq!(
        disk.vfs().list(Path::new("/store/readers"), Site::READERS).unwrap().len(),
        1,
        "a reader is left"
    );
    bucket.put("behind", b"behind").unwrap();
    assert_eq!(read(&bucket, "long"), vec![1; 400_000]);
    store.close().unwrap();
    background.close().unwrap();
}

#[test]
fn a_transaction_that_forks_commits_only_where_it_began() {
    let disk = FaultyDisk::new(1);
    let store = Store::builder("/store").vfs(disk.vfs()).maintenance(Maintenance::Manual).open().unwrap();
    let bucket = store.create_bucket("bucket").unwrap();
    let mut before = 0;
    let answer = store.write(|tx| {
        assert!(tx.row("table", b"key")?.is_none(), "it holds the turn from here on");
        tx.put(&bucket, "key", b"body")?;
        before = disk.trace_hash();
        std::mem::forget(as_if_forked());
        Ok(())
    });
    // What a child would drop, was dropped; here the turn is still held, as by the parent.
    refuses(answer);
    assert_eq!(disk.trace_hash(), before);
}

/// Does something in a child process, which then is gone.
fn in_a_child(work: impl FnOnce()) -> i32 {
    match fork().unwrap() {
        Fork::Child => {
            let done = catch_unwind(AssertUnwindSafe(work));
            std::process::exit(i32::from(done.is_err()));
        }
        Fork::Parent(child) => child,
    }
}

/// It must have ended well, and soon.
fn await_child(child: i32) {
    let begun = Instant::now();
    loop {
        match waitpid_nohang(child).unwrap() {
            Some(status) => return assert_eq!(status, 0, "the child says above what was wrong"),
            None if begun.elapsed() > Duration::from_secs(60) => {
                let _ = std::process::Command::new("kill").args(["-9", &child.to_string()]).status();
                panic!("the child hangs");
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

#[test]
fn a_child_takes_nothing_from_the_store_of_its_parent() {
    let name = "forked::a_child_takes_nothing_from_the_store_of_its_parent";
    let Some(argument) = argument() else {
        for way in ["manual", "background"] {
            let dir = tempfile::tempdir().unwrap();
            in_another_process(name, &format!("{way} {}", dir.path().display()));
        }
        return;
    };
    let (way, path) = argument.split_once(' ').unwrap();
    let path = Path::new(path);
    if way == "refused" {
        let error = Store::open(path).unwrap_err();
        return assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
    }
    let way = if way == "manual" { Maintenance::Manual } else { Maintenance::Background };
    let store = Store::builder(path).settings(settings()).maintenance(way).open().unwrap();
    let reader = Store::builder(path).read_only(true).open().unwrap();
    let bucket = store.create_bucket("bucket").unwrap();
    bucket.put("long", vec![1; 400_000]).unwrap();
    let mut writer = bucket.writer("written", PutOptions::new()).unwrap();
    writer.write_all(&[2; 600_000]).unwrap();
    let (store, bucket, reader) = (Some(store), Some(bucket), Some(reader));
    let hold = std::cell::Cell::new(Some((store.clone(), bucket.clone(), reader.clone())));
    let child = in_a_child(|| {
        let (store, bucket, reader) = hold.take().unwrap();
        refuses(bucket.as_ref().unwrap().put("child", b"child"));
        refuses(bucket.as_ref().unwrap().get("long").map(drop));
        refuses(reader.as_ref().unwrap().refresh());
        refuses(store.as_ref().unwrap().close());
        drop((store, bucket, reader));
        let error = Store::open(path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
    });
    await_child(child);
    drop(hold.take());
    // Every handle: in the child the last one of each is dropped.
    let (store, bucket, reader) = (store.unwrap(), bucket.unwrap(), reader.unwrap());
    let handles = std::cell::Cell::new(Some((store, bucket, reader, writer)));
    await_child(in_a_child(|| drop(handles.take())));
    let (store, bucket, reader, writer) = handles.take().unwrap();
    in_another_process(name, &format!("refused {}", path.display()));
    assert_eq!(fs::read_dir(path.join("readers")).unwrap().count(), 1);
    bucket.put("behind", b"behind").unwrap();
    writer.finish().unwrap();
    assert_eq!(reader.refresh().unwrap(), store.stats().lsn);
    // A child that lives on does not keep what its parent gives back, and may have it then.
    let (go, done) = (path.with_extension("go"), path.with_extension("done"));
    let child = in_a_child(|| {
        while !go.exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let again = Store::open(path).unwrap();
        let again_bucket = again.bucket("bucket").unwrap();
        assert_eq!(read(&again_bucket, "behind"), b"behind");
        again_bucket.put("child", b"child").unwrap();
        again.close().unwrap();
        fs::write(&done, b"").unwrap();
    });
    reader.close().unwrap();
    store.close().unwrap();
    fs::write(&go, b"").unwrap();
    await_child(child);
    assert!(done.exists());
    let store = Store::open(path).unwrap();
    let bucket = store.bucket("bucket").unwrap();
    assert_eq!(read(&bucket, "written"), vec![2; 600_000]);
    assert_eq!(read(&bucket, "child"), b"child");
    assert!(store.verify().unwrap().is_clean());
    [go, done].iter().for_each(|path| fs::remove_file(path).unwrap());
}

#[test]
fn a_child_does_not_wait_for_threads_that_it_does_not_have() {
    let name = "forked::a_child_does_not_wait_for_threads_that_it_does_not_have";
    let Some(path) = argument() else {
        let dir = tempfile::tempdir().unwrap();
        return in_another_process(name, dir.path().to_str().unwrap());
    };
    let store = Store::builder(&path).settings(settings()).open().unwrap();
    let bucket = store.create_bucket("bucket").unwrap();
    let stop = AtomicBool::new(false);
    let acknowledged = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|thread| {
                let (bucket, stop) = (bucket.clone(), &stop);
                scope.spawn(move || {
                    let mut count = 0;
                    while !stop.load(Ordering::Relaxed) {
                        let len = if count % 3 == 0 { 300_000 } else { 100 };
                        bucket.put(&format!("{thread}-{count}"), vec![thread; len]).unwrap();
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        let handles = std::cell::Cell::new(Some((store.clone(), bucket.clone())));
        for _ in 0..25 {
            std::thread::sleep(Duration::from_millis(7));
            await_child(in_a_child(|| {
                let (store, bucket) = handles.take().unwrap();
                refuses(store.flush());
                refuses(store.close());
                refuses(bucket.put("child", b"child"));
                let _ = store.stats();
                drop((store, bucket));
            }));
        }
        stop.store(true, Ordering::Relaxed);
        writers.into_iter().map(|writer| writer.join().unwrap()).collect::<Vec<usize>>()
    });
    store.close().unwrap();
    drop((bucket, store));
    let store = Store::open(&path).unwrap();
    assert!(store.verify().unwrap().is_clean());
    assert_eq!(store.bucket("bucket").unwrap().list("").unwrap().count(), acknowledged.iter().sum::<usize>());
}
