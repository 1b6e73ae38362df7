//! Is it still ours: the store's directory and its locks are those that were opened, whatever becomes of paths and names.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ossicle::testing::FaultyDisk;
use ossicle::*;

use crate::{argument, assert_reads_well, in_another_process, read};

const SITE: Site = Site("test");

/// Segments so small that every few objects need another one.
fn settings() -> Settings {
    Settings { segment_size: 1 << 20, reserve_bytes: 1 << 20, ..Settings::default() }
}

fn builder(path: &Path) -> StoreBuilder {
    Store::builder(path).settings(settings()).maintenance(Maintenance::Manual)
}

fn body(n: usize) -> Vec<u8> {
    (0..100_000).map(|at| ((at * 31) ^ (at >> 8) ^ n) as u8).collect()
}

/// What no compression makes shorter.
fn noise(n: usize) -> Vec<u8> {
    let mut out = vec![0; 300_000];
    blake3::Hasher::new().update(&n.to_le_bytes()).finalize_xof().fill(&mut out);
    out
}

fn key(n: usize) -> String {
    format!("key {n:03}")
}

/// Every file below a directory, with what is in it.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

/// The store holds all of these objects and nothing is wrong with it.
#[track_caller]
fn assert_whole(store: &Store, keys: impl IntoIterator<Item = usize>) {
    let bucket = store.bucket("bucket").unwrap();
    let mut count = 0;
    for n in keys {
        assert_eq!(read(&bucket, &key(n)), body(n), "{n}");
        count += 1;
    }
    assert_eq!(bucket.list("").unwrap().count(), count);
    assert!(store.verify().unwrap().is_clean());
}

#[track_caller]
fn assert_closed<T: std::fmt::Debug>(answer: Result<T>, says: &str) {
    let error = answer.unwrap_err();
    assert_reads_well(&error);
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    assert!(error.to_string().contains(says), "{error}");
}

/// Puts until the store takes no more, and says how many it took.
fn put_until_refused(bucket: &Bucket, from: usize) -> (usize, Error) {
    for n in from..from + 200 {
        if let Err(error) = bucket.put(&key(n), body(n)) {
            return (n, error);
        }
    }
    panic!("200 objects were taken");
}

#[test]
fn a_store_opened_by_a_relative_path_stays_where_it_is_when_the_process_goes_elsewhere() {
    let name =
        "identity::a_store_opened_by_a_relative_path_stays_where_it_is_when_the_process_goes_elsewhere";
    let Some(root) = argument() else {
        let dir = tempfile::tempdir().unwrap();
        return in_another_process(name, dir.path().to_str().unwrap());
    };
    // The current directory is the whole process's, so this is one of its own.
    let root = Path::new(&root);
    for there in ["here", "elsewhere", "nowhere"] {
        fs::create_dir(root.join(there)).unwrap();
    }
    let other = builder(&root.join("elsewhere/store")).open().unwrap();
    let others = other.create_bucket("bucket").unwrap();
    (0..20).for_each(|n| drop(others.put(&key(n), body(n)).unwrap()));
    other.close().unwrap();
    drop((others, other));
    let before = files(&root.join("elsewhere"));
    let key_file = root.join("here/key");
    fs::write(&key_file, [7; 32]).unwrap();

    std::env::set_current_dir(root.join("here")).unwrap();
    let open = || builder(Path::new("store")).key_provider(KeyFile::open("key").unwrap()).open().unwrap();
    let store = open();
    let reader = builder(Path::new("store")).key_provider(KeyFile::open("key").unwrap()).read_only(true);
    let bucket = store.create_bucket("bucket").unwrap();
    bucket.put("first", body(0)).unwrap();
    let reader = reader.open().unwrap();
    for (round, there) in ["elsewhere", "nowhere"].into_iter().enumerate() {
        std::env::set_current_dir(root.join(there)).unwrap();
        for n in 0..100 {
            bucket.put(&key(100 * round + n), body(100 * round + n)).unwrap();
        }
        for n in (0..100).step_by(2) {
            bucket.delete(&key(100 * round + n)).unwrap();
        }
        store.maintain(Duration::from_secs(20)).unwrap();
        store.compact(CompactOptions::new()).unwrap();
        reader.refresh().unwrap();
        assert_eq!(read(&reader.bucket("bucket").unwrap(), &key(1)), body(1));
    }
    bucket.delete("first").unwrap();
    store.rotate_key(KeyFile::open(root.join("here/key")).unwrap()).unwrap();
    store.backup("backup").unwrap();
    reader.close().unwrap();
    store.close().unwrap();
    drop((bucket, reader, store));

    assert_eq!(files(&root.join("elsewhere")), before, "another store was touched");
    let made: Vec<_> =
        fs::read_dir(root.join("nowhere")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(made, ["backup"], "a backup goes where it is asked for, and nothing else is made");
    std::env::set_current_dir(root.join("here")).unwrap();
    assert_whole(&open(), (1..200).step_by(2));
    assert_whole(&builder(&root.join("elsewhere/store")).open().unwrap(), 0..20);
}

/// Moves a directory, from where and to where.
type MoveDir = Box<dyn Fn(&Path, &Path)>;

/// A disk whose directories can be moved.
struct World {
    name: &'static str,
    vfs: Arc<dyn Vfs>,
    root: PathBuf,
    move_dir: MoveDir,
    _temp: Option<tempfile::TempDir>,
}

fn worlds() -> Vec<World> {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().to_path_buf();
    let (memory, faulty) = (MemoryVfs::new(), FaultyDisk::new(1));
    let (of_memory, of_faulty) = (memory.clone(), faulty.clone());
    vec![
        World {
            name: "real",
            vfs: Arc::new(RealVfs::new()),
            root,
            move_dir: Box::new(|from, to| fs::rename(from, to).unwrap()),
            _temp: Some(temp),
        },
        World {
            name: "memory",
            vfs: Arc::new(memory),
            root: "/".into(),
            move_dir: Box::new(move |from, to| of_memory.move_dir(from, to).unwrap()),
            _temp: None,
        },
        World {
            name: "faulty",
            vfs: faulty.vfs(),
            root: "/".into(),
            move_dir: Box::new(move |from, to| of_faulty.move_dir(from, to).unwrap()),
            _temp: None,
        },
    ]
}

impl World {
    fn builder(&self, name: &str) -> StoreBuilder {
        builder(&self.root.join(name)).vfs(self.vfs.clone())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn names(&self, dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            self.vfs.list(dir, SITE).unwrap_or_default().into_iter().map(|listed| listed.name).collect();
        names.sort();
        names
    }

    /// Removes a directory with all that is in it.
    fn remove_all(&self, dir: &Path) {
        for listed in self.vfs.list(dir, SITE).unwrap() {
            let path = dir.join(&listed.name);
            if listed.is_file {
                self.vfs.remove(&path, SITE).unwrap();
            } else {
                self.remove_all(&path);
            }
        }
        self.vfs.remove_dir(dir, SITE).unwrap();
    }
}

#[test]
fn a_directory_that_was_moved_away_ends_writing_and_loses_nothing() {
    for world in worlds() {
        let store = world.builder("store").open().unwrap();
        let bucket = store.create_bucket("bucket").unwrap();
        (0..10).for_each(|n| drop(bucket.put(&key(n), body(n)).unwrap()));
        (world.move_dir)(&world.path("store"), &world.path("moved"));
        let (taken, error) = put_until_refused(&bucket, 10);
        assert!(error.to_string().contains("not there any more"), "{}: {error}", world.name);
        assert_closed(bucket.put("more", b"more"), "not there any more");
        assert_closed(bucket.delete(&key(0)), "not there any more");
        assert_closed(store.maintain(Duration::ZERO), "not there any more");
        assert_closed(store.checkpoint(), "not there any more");
        assert_eq!(read(&bucket, &key(0)), body(0), "reading goes on");
        assert_closed(store.close(), "not there any more");
        assert_closed(store.close(), "not there any more");
        drop((bucket, store));
        assert!(!world.names(&world.root).contains(&"store".into()), "{}", world.name);
        let moved = world.builder("moved").open().unwrap();
        assert_whole(&moved, 0..taken);
    }
}

#[test]
fn another_store_that_was_put_in_the_place_is_not_touched() {
    for world in worlds() {
        let store = world.builder("store").open().unwrap();
        let bucket = store.create_bucket("bucket").unwrap();
        (0..30).for_each(|n| drop(bucket.put(&key(n), body(n)).unwrap()));
        for n in 0..15 {
            bucket.delete(&key(n)).unwrap();
        }
        (world.move_dir)(&world.path("store"), &world.path("moved"));
        let other = world.builder("store").open().unwrap();
        let others = other.create_bucket("bucket").unwrap();
        (0..5).for_each(|n| drop(others.put(&key(n), body(n)).unwrap()));
        assert_closed(store.checkpoint(), "another directory lies at");
        assert_closed(store.compact(CompactOptions::new()), "another directory lies at");
        assert_closed(store.flush(), "another directory lies at");
        assert_closed(store.close(), "another directory lies at");
        drop((bucket, store));
        other.close().unwrap();
        drop((others, other));
        assert_whole(&world.builder("store").open().unwrap(), 0..5);
        assert_whole(&world.builder("moved").open().unwrap(), 15..30);
    }
}

#[test]
fn a_store_that_is_closed_without_a_write_says_that_its_directory_is_gone() {
    for world in worlds() {
        let store = world.builder("store").open().unwrap();
        let bucket = store.create_bucket("bucket").unwrap();
        bucket.put("key", b"value").unwrap();
        store.checkpoint().unwrap();
        world.remove_all(&world.path("store"));
        assert_closed(store.close(), "not there any more");
        assert_eq!(world.names(&world.path("store")), [""; 0], "{}", world.name);
    }
}

#[test]
fn nothing_is_acknowledged_into_a_file_without_a_name() {
    for world in worlds() {
        for long in [false, true] {
            let store = world.builder("store").open().unwrap();
            let bucket = store.create_bucket("bucket").unwrap();
            let body = if long { vec![1; 300_000] } else { vec![1; 10] };
            bucket.put("before", &body[..]).unwrap();
            let dir = world.path("store").join(if long { "bulk/0" } else { "log" });
            for name in world.names(&dir) {
                world.vfs.remove(&dir.join(name), SITE).unwrap();
            }
            let error = bucket.put("behind", &body[..]).unwrap_err();
            assert!(error.to_string().contains("its name was removed"), "{}: {error}", world.name);
            assert_eq!(bucket.put("behind", b"more").unwrap_err().kind(), ErrorKind::Closed);
            drop((bucket, store));
            world.remove_all(&world.path("store"));
        }
    }
}

#[test]
fn whoever_removes_the_lock_lets_no_second_writer_in() {
    for world in worlds() {
        let store = world.builder("store").open().unwrap();
        let bucket = store.create_bucket("bucket").unwrap();
        (0..10).for_each(|n| drop(bucket.put(&key(n), body(n)).unwrap()));
        world.vfs.remove(&world.path("store").join("LOCK"), SITE).unwrap();
        let error = world.builder("store").open().unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Busy, "StoreBusy"), "{}: {error}", world.name);
        assert!(!world.names(&world.path("store")).contains(&"LOCK".into()), "{}", world.name);
        let (taken, error) = put_until_refused(&bucket, 10);
        assert!(error.to_string().contains("LOCK was removed"), "{}: {error}", world.name);
        assert_closed(store.checkpoint(), "LOCK was removed");
        assert_closed(store.close(), "LOCK was removed");
        drop((bucket, store));
        assert_whole(&world.builder("store").open().unwrap(), 0..taken);
    }
}

#[test]
fn a_second_process_does_not_get_a_store_whose_lock_was_removed() {
    let name = "identity::a_second_process_does_not_get_a_store_whose_lock_was_removed";
    if let Some(path) = argument() {
        let error = Store::open(path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    fs::remove_file(dir.path().join("LOCK")).unwrap();
    in_another_process(name, dir.path().to_str().unwrap());
    assert!(!dir.path().join("LOCK").exists());
    drop(store);
    Store::open(dir.path()).unwrap().close().unwrap();
}

#[test]
fn a_lock_or_a_superblock_that_is_another_file_ends_writing() {
    for world in worlds() {
        for name in ["LOCK", "SUPERBLOCK"] {
            let store = world.builder("store").open().unwrap();
            let bucket = store.create_bucket("bucket").unwrap();
            bucket.put("key", b"value").unwrap();
            let path = world.path("store").join(name);
            world.vfs.remove(&path, SITE).unwrap();
            // What an Ossicle of before the second lock would do.
            let other = world.vfs.lock(&path, LockMode::Exclusive, SITE).unwrap();
            assert_closed(store.maintain(Duration::ZERO), &format!("{name} was replaced"));
            assert_closed(bucket.put("more", b"more"), &format!("{name} was replaced"));
            assert_closed(store.close(), &format!("{name} was replaced"));
            drop((bucket, store, other));
            world.remove_all(&world.path("store"));
        }
    }
}

#[test]
fn a_writer_of_an_earlier_version_and_one_of_this_keep_each_other_out() {
    for world in worlds() {
        let store = world.builder("store").open().unwrap();
        store.close().unwrap();
        drop(store);
        // Earlier versions lock this file alone.
        let lock = world.path("store").join("LOCK");
        let earlier = world.vfs.lock(&lock, LockMode::Exclusive, SITE).unwrap();
        assert_eq!(world.builder("store").open().unwrap_err().kind(), ErrorKind::Busy, "{}", world.name);
        drop(earlier);
        let store = world.builder("store").open().unwrap();
        assert!(world.vfs.lock(&lock, LockMode::Exclusive, SITE).is_err(), "{}", world.name);
        assert!(world.vfs.lock(&lock, LockMode::Shared, SITE).is_err(), "{}", world.name);
        store.close().unwrap();
    }
}

#[test]
fn a_reader_is_told_that_the_lock_is_gone() {
    for world in worlds() {
        let store = world.builder("store").open().unwrap();
        let bucket = store.create_bucket("bucket").unwrap();
        bucket.put("key", b"value").unwrap();
        let reader = world.builder("store").read_only(true).open().unwrap();
        world.vfs.remove(&world.path("store").join("LOCK"), SITE).unwrap();
        for told in
            [reader.refresh().unwrap_err(), world.builder("store").read_only(true).open().unwrap_err()]
        {
            assert_reads_well(&told);
            assert_eq!(told.kind(), ErrorKind::Busy, "{}: {told}", world.name);
            assert!(told.to_string().contains("LOCK was removed or replaced"), "{}: {told}", world.name);
        }
        assert_eq!(read(&reader.bucket("bucket").unwrap(), "key"), b"value");
        assert_closed(store.close(), "LOCK was removed");
        drop((bucket, store));
        // There is no writer any more, so there is nothing that a reader is not told.
        reader.refresh().unwrap();
        assert_eq!(read(&reader.bucket("bucket").unwrap(), "key"), b"value");
    }
}

#[test]
fn a_reader_whose_registration_was_removed_registers_again_when_it_is_refreshed() {
    for world in worlds() {
        let store = world.builder("store").open().unwrap();
        let bucket = store.create_bucket("bucket").unwrap();
        (0..20).for_each(|n| drop(bucket.put(&key(n), body(n)).unwrap()));
        store.checkpoint().unwrap();
        let reader = world.builder("store").read_only(true).open().unwrap();
        let readers = world.path("store").join("readers");
        for all in [false, true] {
            for name in world.names(&readers) {
                world.vfs.remove(&readers.join(name), SITE).unwrap();
            }
            if all {
                world.vfs.remove_dir(&readers, SITE).unwrap();
            }
            // The writer uses again what it believes nobody reads.
            for n in 0..20 {
                bucket.delete(&key(n)).unwrap();
                bucket.put(&key(n + 20), body(n + 20)).unwrap();
                store.checkpoint().unwrap();
            }
            store.compact(CompactOptions::new()).unwrap();
            assert_eq!(reader.refresh().unwrap(), store.stats().lsn, "{}", world.name);
            assert_eq!(world.names(&readers).len(), 1, "{}: it is registered", world.name);
            let seen = reader.snapshot().unwrap().bucket("bucket").unwrap();
            for n in 20..40 {
                bucket.delete(&key(n)).unwrap();
                bucket.put(&key(n - 20), body(n - 20)).unwrap();
                store.checkpoint().unwrap();
            }
            store.compact(CompactOptions::new()).unwrap();
            for n in 20..40 {
                let got = seen.get(&key(n)).and_then(Object::bytes).unwrap();
                assert_eq!(got, body(n), "{}: what it shows is kept", world.name);
            }
            drop(seen);
            reader.refresh().unwrap();
        }
        reader.close().unwrap();
        store.close().unwrap();
    }
}

#[test]
fn a_reader_is_told_that_another_directory_lies_in_the_place() {
    for world in worlds() {
        let store = world.builder("store").open().unwrap();
        store.create_bucket("bucket").unwrap().put("key", b"value").unwrap();
        store.close().unwrap();
        let reader = world.builder("store").read_only(true).open().unwrap();
        (world.move_dir)(&world.path("store"), &world.path("moved"));
        assert_closed(reader.refresh(), "not there any more");
        world.builder("store").open().unwrap().close().unwrap();
        assert_closed(reader.refresh(), "not there any more");
        assert_eq!(read(&reader.bucket("bucket").unwrap(), "key"), b"value");
        reader.close().unwrap();
        drop(store);
    }
}

#[test]
fn a_backup_whose_directory_goes_away_does_not_say_that_it_is_done() {
    for world in worlds() {
        let store = world.builder("store").open().unwrap();
        let bucket = store.create_bucket("bucket").unwrap();
        (0..40).for_each(|n| drop(bucket.put(&key(n), body(n)).unwrap()));
        let (backup, moved) = (world.path("backup"), world.path("moved"));
        let mut calls = 0;
        let options = BackupOptions::new().progress(|_| {
            calls += 1;
            if calls == 3 {
                (world.move_dir)(&backup, &moved);
            }
            true
        });
        let error = store.backup_with(&backup, options).unwrap_err();
        assert_reads_well(&error);
        assert!(error.to_string().contains("not there any more"), "{}: {error}", world.name);
        assert!(!world.names(&world.root).contains(&"backup".into()), "{}", world.name);
        bucket.put(&key(40), body(40)).unwrap();
        store.backup(&moved).unwrap();
        assert_whole(&store, 0..=40);
        store.close().unwrap();
        assert_whole(&world.builder("moved").read_only(true).open().unwrap(), 0..=40);
    }
}

#[test]
fn a_tier_elsewhere_that_is_moved_takes_only_its_own_objects_along_and_may_come_back() {
    for world in worlds() {
        let cold = world.path("cold");
        let builder = || {
            let tier = Tier::new().dir(&cold);
            world.builder("store").tier(StorageClass::ColdArchive, tier)
        };
        let store = builder().open().unwrap();
        let bucket = store.create_bucket("bucket").unwrap();
        let put = |n: usize| {
            let options = PutOptions::new().storage_class(StorageClass::ColdArchive);
            bucket.put_with(&key(n), noise(n), options)
        };
        put(0).unwrap();
        (world.move_dir)(&cold, &world.path("away"));
        // Another one in its place, with directories of the same names.
        let own = world.names(&world.path("away")).pop().unwrap();
        let tier = world.names(&world.path("away").join(&own)).pop().unwrap();
        let strange = cold.join(own).join(tier);
        world.vfs.create_dir(&strange, SITE).unwrap();
        let refused = (1..20).map(put).find_map(Result::err).expect("a new segment is needed soon");
        assert!(refused.to_string().contains("another directory lies at"), "{}: {refused}", world.name);
        assert_eq!(world.names(&strange), [""; 0], "{}: nothing is made there", world.name);
        bucket.put(&key(30), body(30)).unwrap();
        store.checkpoint().unwrap();
        world.remove_all(&cold);
        (world.move_dir)(&world.path("away"), &cold);
        put(40).unwrap();
        store.close().unwrap();
        drop((bucket, store));
        let store = builder().open().unwrap();
        assert!(store.verify().unwrap().is_clean(), "{}", world.name);
        store.close().unwrap();
    }
}

#[test]
fn a_backup_into_the_store_itself_is_refused_by_whatever_path() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = Store::open(&path).unwrap();
    let alias = dir.path().join("alias");
    std::os::unix::fs::symlink(&path, &alias).unwrap();
    for target in [path.join("backup"), alias.join("backup"), alias.clone(), dir.path().join("./store/x")] {
        let error = store.backup(&target).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains("in one another"), "{error}");
    }
}
