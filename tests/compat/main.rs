//! What lies on disks out there: stores that older versions wrote must open, and today's bytes must stay as they are.
//!
//! `tests/compat/v1/store` was written by [`written::files`] and is never written again: every later version must
//! read it. Only while version 1 is not released may it be made anew, with
//! `OSSICLE_WRITE_FIXTURES=1 cargo test --test compat the_same_writes`; `docs/FORMAT.md` must then be mended too. The same
//! holds for the stores beside it.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the fixtures lie in the source tree and are copied into a directory of the test's own"
)]

mod reader;
mod written;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ossicle::{Durability, GetOptions, Maintenance, PutOptions, Store, StoreBuilder, VersionId};
use tempfile::TempDir;

fn fixture_named(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compat/v1").join(name)
}

/// The files of the fixture by their path in the store.
fn fixture_files() -> BTreeMap<String, Vec<u8>> {
    files_of("store")
}

fn files_of(name: &str) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for dir in written::DIRS {
        let dir_of_fixture = fixture_named(name).join(dir);
        if dir.starts_with("bulk/") && !dir_of_fixture.exists() {
            continue;
        }
        for entry in fs::read_dir(dir_of_fixture).expect("the fixture is in the source tree") {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                let path = Path::new(dir).join(entry.file_name()).to_str().unwrap().to_string();
                files.insert(path, fs::read(entry.path()).unwrap());
            }
        }
    }
    files
}

/// Holds what is written now against a fixture, after writing that anew if that is asked for.
fn assert_same_as_ever(name: &str, files: &BTreeMap<String, Vec<u8>>) {
    if std::env::var_os("OSSICLE_WRITE_FIXTURES").is_some() {
        let _ = fs::remove_dir_all(fixture_named(name));
        for (path, bytes) in files {
            let path = fixture_named(name).join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
    let golden = files_of(name);
    assert_eq!(files.keys().collect::<Vec<_>>(), golden.keys().collect::<Vec<_>>());
    for (path, bytes) in files {
        let golden = &golden[path];
        let differs = bytes.iter().zip(golden).position(|(one, other)| one != other);
        assert_eq!(differs, None, "{name}/{path} differs first at this byte");
        assert_eq!(bytes.len(), golden.len(), "the length of {name}/{path}");
    }
}

/// A copy of the fixture that a test may change.
fn copy() -> (TempDir, PathBuf) {
    copy_of("store")
}

fn copy_of(name: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    for (path, bytes) in files_of(name) {
        let path = store.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    // Empty, and so not in the source tree.
    fs::create_dir_all(store.join("bulk/0")).unwrap();
    fs::write(store.join("LOCK"), b"").unwrap();
    (dir, store)
}

fn builder(path: &Path) -> StoreBuilder {
    let settings = ossicle::Settings { restore_times: ossicle::RestoreTimes::NONE, ..Default::default() };
    Store::builder(path).settings(settings).create(false).maintenance(Maintenance::Manual)
}

/// Holds everything that can be read against what was written.
fn assert_holds_what_was_written(store: &Store) {
    let expected = written::expected();
    let names: Vec<String> =
        store.buckets().unwrap().map(|bucket| bucket.unwrap().name().to_string()).collect();
    assert_eq!(names, ["empty", "photos"]);
    let photos = store.bucket("photos").unwrap();
    let keys: Vec<String> = photos.list("").unwrap().map(|entry| entry.unwrap().name().to_string()).collect();
    assert_eq!(keys, expected.keys().cloned().collect::<Vec<_>>());
    for (key, object) in &expected {
        let got = photos.get(key).unwrap();
        let meta = got.meta().clone();
        assert_eq!(meta.content_type.as_deref(), object.content_type, "{key}");
        assert_eq!(meta.metadata, object.metadata, "{key}");
        assert_eq!(meta.digests.blake3, Some(*blake3::hash(&object.body).as_bytes()), "{key}");
        assert_eq!(got.bytes().unwrap(), object.body, "{key}");
    }
    let usage = photos.usage("").unwrap();
    let bytes: usize = expected.values().map(|object| object.body.len()).sum();
    assert_eq!((usage.objects, usage.bytes), (expected.len() as u64, bytes as u64));
    for (key, value) in written::expected_rows() {
        assert_eq!(store.row("settings", key.as_bytes()).unwrap().as_deref(), value.as_deref(), "row {key}");
    }
    let report = store.verify().unwrap();
    assert!(report.is_clean(), "{:?}", report.problems);
}

#[test]
fn a_store_of_version_1_opens_and_reads() {
    let (_dir, path) = copy();
    for read_only in [true, false] {
        let store = builder(&path).read_only(read_only).open().unwrap();
        assert_holds_what_was_written(&store);
        store.close().unwrap();
    }
}

/// Rows of schema 1, as they were written before objects had versions.
#[test]
fn a_store_with_rows_of_the_first_schema_opens_and_goes_on() {
    let (_dir, path) = copy_of("first");
    for read_only in [true, false] {
        let store = builder(&path).read_only(read_only).open().unwrap();
        assert_holds_what_was_written(&store);
        store.close().unwrap();
    }
    let store = builder(&path).rebuild_index(true).open().unwrap();
    let photos = store.bucket("photos").unwrap();
    photos.set_config(&ossicle::Versioning::Enabled).unwrap();
    let key = written::expected().into_keys().next().unwrap();
    photos.put(&key, b"new").unwrap();
    let old = GetOptions::new().version(VersionId::null());
    assert_eq!(photos.get_with(&key, old).unwrap().bytes().unwrap(), written::expected()[&key].body);
    store.compact(Default::default()).unwrap();
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn a_store_of_version_1_comes_back_without_its_index() {
    let (_dir, path) = copy();
    fs::remove_file(path.join("index.tree")).unwrap();
    for read_only in [true, false] {
        let store = builder(&path).read_only(read_only).open().unwrap();
        assert_holds_what_was_written(&store);
        store.close().unwrap();
    }
}

#[test]
fn a_store_of_version_1_takes_writes_and_stays_whole() {
    let (_dir, path) = copy();
    let store = builder(&path).rebuild_index(true).open().unwrap();
    let photos = store.bucket("photos").unwrap();
    photos.put_with("new", b"new", PutOptions::new().durability(Durability::Buffered)).unwrap();
    store.compact(Default::default()).unwrap();
    photos.delete("new").unwrap();
    store.close().unwrap();
    for rebuild in [false, true] {
        let store = builder(&path).rebuild_index(rebuild).open().unwrap();
        assert_holds_what_was_written(&store);
        store.close().unwrap();
    }
}

#[test]
fn the_same_writes_make_the_same_bytes() {
    let files = written::files();
    assert_same_as_ever("store", &files);
    let total: usize = files.values().map(Vec::len).sum();
    assert!(total < 300 << 10, "the fixture has {total} bytes");
}

/// The same store, sealed: with its key it opens, and the same writes with the same random numbers make the same bytes.
#[test]
fn a_sealed_store_of_version_1_opens_and_reads() {
    assert_same_as_ever("sealed", &written::sealed_files());
    let (_dir, path) = copy_of("sealed");
    assert_eq!(builder(&path).open().unwrap_err().kind(), ossicle::ErrorKind::Denied);
    for rebuild in [false, true] {
        let store = builder(&path).key_provider(written::key()).rebuild_index(rebuild).open().unwrap();
        assert_holds_what_was_written(&store);
        store.compact(Default::default()).unwrap();
        assert_holds_what_was_written(&store);
        assert!(store.verify().unwrap().is_clean());
        store.close().unwrap();
    }
}

/// Bodies of two classes, compressed, and small ones packed together.
#[test]
fn a_store_with_tiers_opens_and_reads() {
    // The bytes that come of compression are those of one version of zstd: with another one, only what is read counts.
    assert_same_as_ever("tiers", &written::tier_files());
    let expected = written::expected_in_tiers();
    let found = reader::read_bodies(&files_of("tiers"));
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    expected.iter().for_each(|(key, body)| assert!(found[key] == *body, "the body of {key}"));
    let (_dir, path) = copy_of("tiers");
    for rebuild in [false, true] {
        let store = builder(&path).rebuild_index(rebuild).open().unwrap();
        let photos = store.bucket("photos").unwrap();
        for (key, body) in &expected {
            // The first time they are frozen.
            if photos.head(key).unwrap().class >= ossicle::StorageClass::Archive {
                photos.restore(key, ossicle::RestoreOptions::new()).unwrap();
            }
            photos.set_storage_class(key, ossicle::StorageClass::InfrequentAccess).unwrap();
            assert!(photos.get(key).unwrap().bytes().unwrap() == body[..], "{key}");
        }
        store.compact(Default::default()).unwrap();
        assert!(store.verify().unwrap().is_clean());
        store.close().unwrap();
    }
}

const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);

/// On which days behind `day` how many versions of the store `name` go, three days after they were superseded on that day.
/// On the next day what took their places is changed: access counts as writing, and a null version is replaced.
fn removed_by_day(name: &str, day: u32) -> Vec<(u32, u64)> {
    let (_dir, path) = copy_of(name);
    let clock = ossicle::VirtualClock::at(std::time::SystemTime::UNIX_EPOCH + DAY * (day + 1));
    let store = builder(&path).clock(clock.clone()).rebuild_index(true).open().unwrap();
    let cats = store.bucket("cats").unwrap();
    let oldest = |key: &str| cats.versions(key).unwrap().map(|entry| entry.unwrap()).last().unwrap();
    for key in ["gone", "null", "plain", "tagged"] {
        let options = GetOptions::new().version(oldest(key).version);
        assert_eq!(cats.get_with(key, options).unwrap().bytes().unwrap(), b"first"[..], "{key}");
    }
    let dear = oldest("dear");
    assert_eq!((dear.class, dear.size), (Some(ossicle::StorageClass::Archive), 5));
    cats.set_acl("tagged", ossicle::Acl::Private).unwrap();
    cats.set_config(&ossicle::Lifecycle::new([ossicle::Rule::new("").noncurrent_expire_after(3)])).unwrap();
    let mut days = Vec::new();
    for at in 2..8 {
        clock.advance(DAY);
        let removed = store.maintain(DAY).unwrap().lifecycle.removed;
        days.extend((removed > 0).then_some((at, removed)));
    }
    store.compact(Default::default()).unwrap();
    assert!(store.verify().unwrap().is_clean());
    days
}

/// Rows of versions that are not current say when that came to be, and the plain one of a second time a day later.
#[test]
fn a_store_with_versions_opens_and_they_go_on_their_day() {
    assert_same_as_ever("older", &written::version_files());
    assert_eq!(removed_by_day("older", 20_001), [(4, 5), (5, 1)]);
}

/// The same store, written before that was in the rows: days count from when the successor was written, and one of those
/// is written anew here.
#[test]
fn a_store_with_versions_of_before_opens_and_they_go_on_the_day_of_their_successor() {
    assert_eq!(removed_by_day("versions", 20_788), [(4, 5), (5, 1)]);
}

/// Commits of which the short bodies lie together, and the rows say only what differs.
#[test]
fn a_store_with_packed_commits_opens_and_reads() {
    assert_same_as_ever("packed", &written::packed_files());
    let expected = written::expected_in_packed();
    assert_eq!(reader::read_packed(&files_of("packed")), expected);
    let (_dir, path) = copy_of("packed");
    for rebuild in [false, true, true] {
        let store = builder(&path).rebuild_index(rebuild).open().unwrap();
        let photos = store.bucket("photos").unwrap();
        for (key, body) in &expected {
            let got = photos.get(key).unwrap();
            assert_eq!(got.meta().digests.blake3, Some(*blake3::hash(body).as_bytes()), "{key}");
            assert_eq!(got.bytes().unwrap(), body[..], "{key}");
        }
        assert_eq!(photos.usage("").unwrap().objects, expected.len() as u64);
        store.compact(ossicle::CompactOptions::new().garbage_percent(0)).unwrap();
        assert!(store.verify().unwrap().is_clean());
        store.close().unwrap();
    }
}

/// Bodies in envelopes: keys of a bucket, one of them retired, another named key, a customer's key.
#[test]
fn a_store_with_envelopes_opens_and_reads() {
    assert_same_as_ever("envelopes", &written::envelope_files());
    let expected = written::expected_in_envelopes();
    let (_dir, path) = copy_of("envelopes");
    let bytes: Vec<u8> = files_of("envelopes").into_values().flatten().collect();
    assert!(!bytes.windows(8).any(|found| found == b"dear ann"), "a body is plain");
    let thaw = |photos: &ossicle::Bucket, name: &str| {
        if photos.head(name).unwrap().restore().is_none() && name.starts_with("cold/") {
            photos.restore(name, ossicle::RestoreOptions::new()).unwrap();
        }
    };
    let get = |photos: &ossicle::Bucket, name: &str| match written::customer(name) {
        Some(key) => photos.get_with(name, GetOptions::new().customer_key(&key)),
        None => photos.get(name),
    };
    for rebuild in [false, true] {
        // Without the named keys everything else goes on.
        let store = builder(&path).rebuild_index(rebuild).open().unwrap();
        let photos = store.bucket("photos").unwrap();
        for (name, (body, by)) in &expected {
            thaw(&photos, name);
            let meta = photos.head(name).unwrap();
            assert_eq!(meta.size, body.len() as u64, "{name}");
            match by {
                Some(_) => {
                    assert_eq!(get(&photos, name).unwrap_err().code(), "KmsServiceNotEnabled", "{name}")
                }
                None => assert!(get(&photos, name).unwrap().bytes().unwrap() == body[..], "{name}"),
            }
        }
        store.compact(Default::default()).unwrap();
        store.close().unwrap();
        let [letters, other] = written::named_keys();
        let store = builder(&path).kms(letters).kms(other).open().unwrap();
        let photos = store.bucket("photos").unwrap();
        for (name, (body, by)) in &expected {
            let meta = photos.head(name).unwrap();
            assert_eq!(meta.encryption().and_then(|sealed| sealed.key_id()), *by, "{name}");
            assert!(get(&photos, name).unwrap().bytes().unwrap() == body[..], "{name}");
        }
        if rebuild {
            let done = photos.reencrypt(std::time::Duration::from_secs(60)).unwrap();
            let older = expected.iter().filter(|(name, (_, by))| {
                let younger = ["kms/after-the-rotation", "kms/copied", "kms/anew"];
                by.is_some() && !younger.contains(&&name[..])
            });
            assert_eq!((done.bodies, done.keys_removed, done.keys_left), (older.count() as u64, 2, 0));
            expected.keys().for_each(|name| {
                assert!(get(&photos, name).unwrap().bytes().unwrap() == expected[name].0[..], "{name}");
            });
        }
        assert!(store.verify().unwrap().is_clean());
        store.close().unwrap();
    }
}

#[test]
fn a_reader_that_knows_only_the_format_document_finds_the_same() {
    let files = fixture_files();
    let expected = written::expected();
    let found = reader::read_store(&files);
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (key, object) in &expected {
        assert!(found[key] == object.body, "the body of {key}");
    }
}
