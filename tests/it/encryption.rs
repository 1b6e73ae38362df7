//! Encrypted stores: nothing to be read in their files, nothing opened with a wrong key, nothing believed that was changed.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ossicle::*;

use crate::read;

/// What must never be found in a file.
const CANARIES: [&str; 9] = [
    "canary-bucket-name",
    "canary-key-name",
    "canary-body-inline",
    "canary-body-packed",
    "canary-body-streamed",
    "canary-metadata-value",
    "canary-tag-value",
    "canary-row-value",
    "canary-upload-part",
];

fn key() -> StaticKey {
    StaticKey::new([0x11; 32])
}

fn settings() -> Settings {
    Settings {
        segment_size: 1 << 20,
        packed_max: 16 << 10,
        chunk_size: 4096,
        delta_bytes: 64 << 10,
        reserve_bytes: 0,
        ..Settings::default()
    }
}

fn builder(disk: &Arc<MemoryVfs>, dir: &str) -> StoreBuilder {
    let vfs: Arc<dyn Vfs> = disk.clone();
    Store::builder(dir).vfs(vfs).settings(settings()).maintenance(Maintenance::Manual)
}

fn open(disk: &Arc<MemoryVfs>) -> Store {
    builder(disk, "/store").key_provider(key()).open().unwrap()
}

/// Every file beneath a directory, with its bytes.
fn files(disk: &MemoryVfs, dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let site = Site("test");
    let mut found = BTreeMap::new();
    for listed in disk.list(dir, site).unwrap() {
        let path = dir.join(&listed.name);
        if listed.is_file {
            let file = disk.open(&path, OpenMode::Read, site).unwrap();
            let mut bytes = vec![0; file.size().unwrap() as usize];
            file.read_exact_at(&mut bytes, 0, site).unwrap();
            found.insert(path, bytes);
        } else {
            found.extend(files(disk, &path));
        }
    }
    found
}

fn write(disk: &MemoryVfs, path: &Path, bytes: &[u8]) {
    let site = Site("test");
    let file = disk.open(path, OpenMode::ReadWrite, site).unwrap();
    file.write_at(&[io::IoSlice::new(bytes)], 0, site).unwrap();
    file.set_len(bytes.len() as u64, site).unwrap();
}

fn holds(bytes: &[u8], what: &[u8]) -> bool {
    let first = what[0];
    bytes.iter().enumerate().any(|(at, byte)| *byte == first && bytes[at..].starts_with(what))
}

/// No file holds a canary, nor is called by one.
fn assert_silent(disk: &MemoryVfs, dir: &str, after: &str) {
    for (path, bytes) in files(disk, Path::new(dir)) {
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let bytes = &bytes[..used];
        for canary in CANARIES {
            assert!(!holds(bytes, canary.as_bytes()), "{canary} stands in {} after {after}", path.display());
            assert!(
                !path.to_string_lossy().contains(canary),
                "{canary} is in the name of {}",
                path.display()
            );
        }
    }
}

fn long(canary: &str, len: usize) -> Vec<u8> {
    canary.bytes().cycle().take(len).collect()
}

/// Every kind of operation that writes something; `after` hears what was done.
fn live(store: &Store, after: &mut dyn FnMut(&str)) {
    let bucket = store.create_bucket("canary-bucket-name").unwrap();
    after("making a bucket");
    let options = || {
        PutOptions::new().metadata("note", "canary-metadata-value").content_type("text/canary-metadata-value")
    };
    bucket.put_with("canary-key-name/inline", b"canary-body-inline".to_vec(), options()).unwrap();
    bucket.put_with("canary-key-name/packed", long("canary-body-packed", 9000), options()).unwrap();
    bucket.put_with("canary-key-name/streamed", long("canary-body-streamed", 90_000), options()).unwrap();
    after("puts");
    bucket
        .put_with(
            "canary-key-name/long",
            b"x".to_vec(),
            PutOptions::new().metadata("n", "canary-metadata-value".repeat(300)),
        )
        .unwrap();
    after("a put of long metadata");
    bucket.set_tags("canary-key-name/packed", [("canary-tag-value", "canary-tag-value")]).unwrap();
    after("tags");
    store.write(|tx| tx.put_row("canary-row-value", b"canary-row-value", b"canary-row-value")).unwrap();
    after("a row");
    bucket.copy("canary-key-name/packed", "canary-key-name/copy").unwrap();
    bucket.rename("canary-key-name/inline", "canary-key-name/renamed").unwrap();
    after("a copy and a rename");
    let upload = bucket.upload("canary-key-name/upload", UploadOptions::new()).unwrap();
    upload.put_part(1, long("canary-upload-part", 120_000)).unwrap();
    after("a part");
    upload.put_part(2, long("canary-upload-part", 500)).unwrap();
    upload.complete_all().unwrap();
    after("an upload");
    bucket.append("canary-key-name/appended", 0, long("canary-body-packed", 3000)).unwrap();
    bucket.append("canary-key-name/appended", 3000, long("canary-body-streamed", 30_000)).unwrap();
    after("appends");
    let colder = |class| PutOptions::new().storage_class(class);
    let cold = long("canary-body-streamed", 200_000);
    bucket.put_with("canary-key-name/cold", cold, colder(StorageClass::InfrequentAccess)).unwrap();
    for n in 0..20 {
        let small = long("canary-body-packed", 700);
        bucket.put_with(&format!("canary-key-name/small/{n}"), small, PutOptions::new()).unwrap();
        bucket
            .set_storage_class(&format!("canary-key-name/small/{n}"), StorageClass::InfrequentAccess)
            .unwrap();
    }
    while store.maintain(std::time::Duration::from_secs(5)).unwrap().more {}
    after("moving to colder tiers");
    store.checkpoint().unwrap();
    after("a checkpoint");
    for round in 0..30 {
        bucket.put(&format!("canary-key-name/{round}"), long("canary-body-packed", 12_000)).unwrap();
        bucket.put(&format!("canary-key-name/{round}"), long("canary-body-streamed", 40_000)).unwrap();
    }
    bucket.delete("canary-key-name/3").unwrap();
    after("overwriting");
    store.compact(CompactOptions::default()).unwrap();
    after("compacting");
    rest(store, &bucket, after);
    store.flush().unwrap();
}

/// What else there is to write: attributes, configurations, versions, forks, prefixes, feeds, the past, rules.
fn rest(store: &Store, bucket: &Bucket, after: &mut dyn FnMut(&str)) {
    let waiting = bucket.upload("canary-key-name/waiting", UploadOptions::new()).unwrap();
    waiting.put_part(3, long("canary-upload-part", 5000)).unwrap();
    waiting.put_part(1, long("canary-upload-part", 150_000)).unwrap();
    after("an upload that is left");
    bucket.symlink("canary-key-name/link", "canary-key-name/packed").unwrap();
    bucket.set_acl("canary-key-name/packed", Acl::PublicRead).unwrap();
    bucket.set_metadata("canary-key-name/packed", [("note", "canary-metadata-value")]).unwrap();
    bucket.set_legal_hold("canary-key-name/packed", true).unwrap();
    bucket.set_legal_hold("canary-key-name/packed", false).unwrap();
    after("a symlink and attributes");
    let deep = PutOptions::new().storage_class(StorageClass::DeepColdArchive);
    for n in 0..30 {
        let small = long("canary-body-packed", 300 + n);
        bucket.put_with(&format!("canary-key-name/deep/{n}"), small, deep.clone()).unwrap();
    }
    while store.maintain(std::time::Duration::from_secs(5)).unwrap().more {}
    bucket.restore("canary-key-name/deep/3", RestoreOptions::new()).unwrap();
    after("packing and restoring");
    bucket.rename_prefix("canary-key-name/deep/", "canary-key-name/deeper/").unwrap();
    bucket.delete_prefix("canary-key-name/deeper/1").unwrap();
    after("prefixes");
    bucket.set_config(&Quota { bytes: Some(1 << 30), objects: None }).unwrap();
    let rules = [
        Rule::new("canary-key-name/1").expire_on(std::time::UNIX_EPOCH),
        Rule::new("canary-key-name/2").tag("canary-tag-value", "canary-tag-value").expire_after(1),
    ];
    bucket.set_config(&Lifecycle::new(rules)).unwrap();
    bucket.run_lifecycle().unwrap();
    after("rules");
    let fork = store.fork_bucket("canary-bucket-name", "canary-bucket-name-2").unwrap();
    fork.put("canary-key-name/forked", long("canary-body-packed", 900)).unwrap();
    fork.delete("canary-key-name/copy").unwrap();
    after("a fork");
    fork.set_config(&Versioning::Enabled).unwrap();
    for _ in 0..3 {
        fork.put("canary-key-name/versions", long("canary-body-packed", 900)).unwrap();
    }
    fork.delete("canary-key-name/versions").unwrap();
    fork.undelete("canary-key-name/versions").unwrap();
    after("versions");
    let here = store.stats().lsn;
    store.set_cursor("canary-row-value", here).unwrap();
    bucket.put("canary-key-name/told", long("canary-body-packed", 700)).unwrap();
    assert!(store.changes(here).unwrap().all(|change| change.is_ok()));
    after("a cursor");
    store.set_history(Some(std::time::Duration::from_secs(3600))).unwrap();
    bucket.put("canary-key-name/past", long("canary-body-packed", 700)).unwrap();
    bucket.delete("canary-key-name/past").unwrap();
    after("the past");
    store.remove_cursor("canary-row-value").unwrap();
    store.checkpoint().unwrap();
    store.compact(CompactOptions::new().garbage_percent(0)).unwrap();
    after("compacting all of it");
    // Names that the store gives are no secrets to those who have its key, but to all others.
    let version = fork.versions("canary-key-name/versions").unwrap().next().unwrap().unwrap().version;
    after_names(after, &[waiting.id().to_string(), version.to_string()]);
}

/// Hears names that are not known beforehand as canaries.
fn after_names(after: &mut dyn FnMut(&str), names: &[String]) {
    for name in names {
        assert!(name.len() >= 8, "{name}");
        after(&format!("NAME {name}"));
    }
}

fn assert_lived(store: &Store) {
    let bucket = store.bucket("canary-bucket-name").unwrap();
    assert_eq!(read(&bucket, "canary-key-name/renamed"), b"canary-body-inline");
    assert_eq!(read(&bucket, "canary-key-name/copy"), long("canary-body-packed", 9000));
    assert_eq!(read(&bucket, "canary-key-name/streamed"), long("canary-body-streamed", 90_000));
    assert_eq!(read(&bucket, "canary-key-name/upload").len(), 120_500);
    assert_eq!(read(&bucket, "canary-key-name/appended").len(), 33_000);
    assert_eq!(read(&bucket, "canary-key-name/29"), long("canary-body-streamed", 40_000));
    assert_eq!(read(&bucket, "canary-key-name/cold"), long("canary-body-streamed", 200_000));
    assert_eq!(read(&bucket, "canary-key-name/small/7"), long("canary-body-packed", 700));
    let meta = bucket.get("canary-key-name/long").unwrap().meta().clone();
    assert_eq!(meta.metadata["n"].len(), 6300);
    let report = store.verify().unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    let range = bucket.get_with("canary-key-name/streamed", GetOptions::new().range(5000..9000)).unwrap();
    assert_eq!(range.bytes().unwrap()[..], long("canary-body-streamed", 90_000)[5000..9000]);
}

#[test]
fn no_file_tells_anything_after_any_operation() {
    let disk = Arc::new(MemoryVfs::new());
    let store = open(&disk);
    let mut names = 0;
    live(&store, &mut |what| {
        assert_silent(&disk, "/store", what);
        if let Some(name) = what.strip_prefix("NAME ") {
            names += 1;
            for (path, bytes) in files(&disk, Path::new("/store")) {
                assert!(!holds(&bytes, name.as_bytes()), "{name} stands in {}", path.display());
                assert!(
                    !path.to_string_lossy().contains(name),
                    "{name} is in the name of {}",
                    path.display()
                );
            }
        }
    });
    assert_eq!(names, 2);
    assert_lived(&store);
    store.backup("/backup").unwrap();
    assert_silent(&disk, "/backup", "a backup");
    store.close().unwrap();
    assert_silent(&disk, "/store", "closing");
    for rebuild in [false, true] {
        let store = builder(&disk, "/store").key_provider(key()).rebuild_index(rebuild).open().unwrap();
        assert_lived(&store);
        assert_silent(&disk, "/store", "opening again");
        store.close().unwrap();
    }
    let reader = builder(&disk, "/store").key_provider(key()).read_only(true).open().unwrap();
    assert_lived(&reader);
    assert_silent(&disk, "/store", "reading only");
    reader.close().unwrap();
    let vfs: Arc<dyn Vfs> = disk.clone();
    let options = RestoreBackupOptions::new().vfs(vfs.clone()).key_provider(key());
    Store::restore_with("/backup", "/again", options).unwrap();
    assert_silent(&disk, "/again", "a restore");
    assert_lived(&builder(&disk, "/again").key_provider(key()).open().unwrap());
    let options = SalvageOptions::new().vfs(vfs).key_provider(key()).settings(settings());
    let report = Store::salvage_with("/backup", "/saved", options).unwrap();
    assert_eq!(report.lost_count, 0);
    assert_silent(&disk, "/saved", "a salvage");
    assert_lived(&builder(&disk, "/saved").key_provider(key()).open().unwrap());
}

/// The canaries are found where nothing is encrypted: else the test above would prove nothing.
#[test]
fn the_canaries_sing_in_a_plain_store() {
    let disk = Arc::new(MemoryVfs::new());
    let store = builder(&disk, "/store").open().unwrap();
    live(&store, &mut |_| {});
    assert_lived(&store);
    let all = files(&disk, Path::new("/store"));
    for canary in CANARIES {
        assert!(all.values().any(|bytes| holds(bytes, canary.as_bytes())), "{canary}");
    }
}

fn refused(opened: Result<Store>, kind: ErrorKind, says: &str) {
    let error = opened.map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(says), "{error}");
}

#[test]
fn a_wrong_or_missing_key_is_told_and_changes_nothing() {
    let disk = Arc::new(MemoryVfs::new());
    let store = open(&disk);
    live(&store, &mut |_| {});
    // Not closed: there is a log to replay, a tail to cut, and much else that an opening would change.
    store.flush().unwrap();
    let copy = |to: &str| {
        for (path, bytes) in files(&disk, Path::new("/store")) {
            let path = Path::new(to).join(path.strip_prefix("/store").unwrap());
            disk.create_dir(path.parent().unwrap(), Site("test")).unwrap();
            drop(disk.open(&path, OpenMode::CreateNew, Site("test")).unwrap());
            write(&disk, &path, &bytes);
        }
    };
    copy("/copy");
    store.close().unwrap();
    let before = files(&disk, Path::new("/copy"));
    let id = key().key_id();
    for read_only in [false, true] {
        let builder = || builder(&disk, "/copy").read_only(read_only);
        refused(builder().open(), ErrorKind::Denied, &id);
        refused(builder().key_provider(StaticKey::new([0x12; 32])).open(), ErrorKind::Denied, &id);
        refused(
            builder().key_provider(Passphrase::new("x").with_work(8, 1, 1)).open(),
            ErrorKind::Denied,
            &id,
        );
        let away = KeyCallback::new(
            "away",
            |_, _| Err(io::Error::other("nobody is there")),
            |_, _, _| Err(io::Error::other("nobody is there")),
        );
        refused(builder().key_provider(away).open(), ErrorKind::Io, "nobody is there");
        let liar = KeyCallback::new("liar", |_, _| Ok(vec![1]), |_, _, _| Ok(SecretKey::new([1; 32])));
        refused(builder().key_provider(liar).open(), ErrorKind::Denied, &id);
    }
    let after = files(&disk, Path::new("/copy"));
    let same = |path: &Path| path.ends_with("LOCK") || before.get(path) == after.get(path);
    assert!(before.keys().chain(after.keys()).all(|path| same(path)));
    assert_lived(&builder(&disk, "/copy").key_provider(key()).open().unwrap());
    assert_eq!(builder(&disk, "/copy").key_provider(key()).open().unwrap().key_id(), Some(id));
}

#[test]
fn a_key_for_a_plain_store_is_refused() {
    let disk = Arc::new(MemoryVfs::new());
    builder(&disk, "/store").open().unwrap().create_bucket("cats").unwrap();
    refused(builder(&disk, "/store").key_provider(key()).open(), ErrorKind::Invalid, "not encrypted");
    let store = builder(&disk, "/store").open().unwrap();
    assert_eq!(store.key_id(), None);
    assert_eq!(store.rotate_key(key()).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn whoever_cannot_wrap_makes_no_store() {
    let disk = Arc::new(MemoryVfs::new());
    let deaf = || {
        KeyCallback::new("deaf", |_, _| Err(io::Error::other("no")), |_, _, _| Err(io::Error::other("no")))
    };
    assert!(builder(&disk, "/store").key_provider(deaf()).open().is_err());
    assert!(files(&disk, Path::new("/store")).keys().all(|path| path.ends_with("LOCK")));
    // And nothing of it is in the way of one who can.
    open(&disk).create_bucket("cats").unwrap();
}

/// Gives a store its key.
type With<'a> = Box<dyn Fn(StoreBuilder) -> StoreBuilder + 'a>;

#[test]
fn every_provider_opens_what_it_has_made() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    std::fs::write(&path, "5a".repeat(32) + "\n").unwrap();
    let master = Arc::new(SecretKey::new([9; 32]));
    let kms = move || {
        let (one, other) = (master.clone(), master.clone());
        let mask = |key: &[u8], with: &SecretKey| -> Vec<u8> {
            key.iter().zip(with.as_bytes()).map(|(one, other)| one ^ other).collect()
        };
        KeyCallback::new(
            "kms/1",
            move |key, _| Ok(mask(key.as_bytes(), &one)),
            move |id, wrapped, _| {
                assert_eq!(id, "kms/1");
                Ok(SecretKey::new(mask(wrapped, &other).try_into().unwrap()))
            },
        )
    };
    let disk = Arc::new(MemoryVfs::new());
    let openings: [(&str, With<'_>); 3] = [
        ("/file", Box::new(|builder| builder.key_provider(KeyFile::open(&path).unwrap()))),
        (
            "/phrase",
            Box::new(|builder| builder.key_provider(Passphrase::new("correct horse").with_work(64, 1, 1))),
        ),
        ("/kms", Box::new(move |builder| builder.key_provider(kms()))),
    ];
    for (dir, with) in openings {
        let store = with(builder(&disk, dir)).open().unwrap();
        store.create_bucket("cats").unwrap().put("tom", b"meow").unwrap();
        store.close().unwrap();
        let store = with(builder(&disk, dir)).open().unwrap();
        assert_eq!(read(&store.bucket("cats").unwrap(), "tom"), b"meow");
        store.close().unwrap();
        assert!(builder(&disk, dir).key_provider(key()).open().is_err());
    }
    std::fs::write(&path, "short").unwrap();
    assert_eq!(KeyFile::open(&path).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn after_a_rotation_only_the_new_key_opens_the_store() {
    let disk = Arc::new(MemoryVfs::new());
    let store = open(&disk);
    live(&store, &mut |_| {});
    let next = || StaticKey::new([0x22; 32]).named("the next key");
    let log = files(&disk, Path::new("/store/log"));
    store.rotate_key(next()).unwrap();
    assert_eq!(files(&disk, Path::new("/store/log")), log, "only the superblock changes");
    assert_eq!(store.key_id().unwrap(), "the next key");
    store.backup("/backup").unwrap();
    store.close().unwrap();
    for dir in ["/store", "/backup"] {
        refused(builder(&disk, dir).key_provider(key()).open(), ErrorKind::Denied, "the next key");
        assert_lived(&builder(&disk, dir).key_provider(next()).open().unwrap());
    }
    // Not one slot is left that the old key would open.
    let path = Path::new("/store/SUPERBLOCK");
    let bytes = files(&disk, Path::new("/store"))[path].clone();
    for slot in 0..4 {
        let mut only = bytes.clone();
        for other in (0..4).filter(|other| *other != slot) {
            only[other * 4096..(other + 1) * 4096].fill(0);
        }
        write(&disk, path, &only);
        let salvage = SalvageOptions::new().vfs(disk.clone()).key_provider(key());
        assert!(Store::salvage_with("/store", "/saved", salvage).is_err(), "slot {slot}");
    }
}

#[test]
fn nothing_is_made_with_an_empty_passphrase() {
    let disk = Arc::new(MemoryVfs::new());
    let empty = || Passphrase::new("").with_work(8, 1, 1);
    let refused = builder(&disk, "/store").key_provider(empty()).open().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    assert!(refused.to_string().contains("the passphrase is empty"), "{refused}");
    // No store was made, so a plain one or another can be.
    let store = open(&disk);
    let refused = store.rotate_key(empty()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    store.close().unwrap();
    open(&disk).close().unwrap();
    // A bucket's key is not wrapped with it either.
    let store = builder(&disk, "/plain").kms(empty()).open().unwrap();
    let bucket = store.create_bucket("letters").unwrap();
    bucket.set_config(&Encryption::kms("passphrase")).unwrap();
    assert!(bucket.put("to-ann", b"dear ann").unwrap_err().to_string().contains("the passphrase is empty"));
    assert!(!bucket.exists("to-ann").unwrap());
    store.close().unwrap();
}
