//! Shredding: what is gone is opened by no key, whatever of the old files turns up, and what stays is as it was.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ossicle::*;

use crate::read;

fn key() -> StaticKey {
    StaticKey::new([0x44; 32])
}

fn builder(disk: &Arc<MemoryVfs>, dir: &str) -> StoreBuilder {
    let vfs: Arc<dyn Vfs> = disk.clone();
    let settings = Settings {
        segment_size: 1 << 20,
        packed_max: 16 << 10,
        chunk_size: 4096,
        delta_bytes: 64 << 10,
        reserve_bytes: 0,
        restore_times: RestoreTimes::NONE,
        ..Settings::default()
    };
    Store::builder(dir).vfs(vfs).settings(settings).maintenance(Maintenance::Manual)
}

fn open_at(disk: &Arc<MemoryVfs>, dir: &str) -> Store {
    builder(disk, dir).key_provider(key()).open().unwrap()
}

fn open(disk: &Arc<MemoryVfs>) -> Store {
    open_at(disk, "/store")
}

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Every file of a store but its lock, by its path in it.
fn files(disk: &MemoryVfs, dir: &str) -> Files {
    fn walk(disk: &MemoryVfs, root: &Path, dir: &Path, found: &mut Files) {
        let site = Site("test");
        for listed in disk.list(dir, site).unwrap() {
            let path = dir.join(&listed.name);
            if listed.is_file {
                let file = disk.open(&path, OpenMode::Read, site).unwrap();
                let mut bytes = vec![0; file.size().unwrap() as usize];
                file.read_exact_at(&mut bytes, 0, site).unwrap();
                found.insert(path.strip_prefix(root).unwrap().to_path_buf(), bytes);
            } else {
                walk(disk, root, &path, found);
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(disk, Path::new(dir), Path::new(dir), &mut found);
    found.remove(Path::new("LOCK"));
    found
}

fn lay_out(disk: &MemoryVfs, dir: &str, files: &Files) {
    let site = Site("test");
    for (path, bytes) in files {
        let path = Path::new(dir).join(path);
        disk.create_dir(path.parent().unwrap(), site).unwrap();
        let _ = disk.remove(&path, site);
        let file = disk.open(&path, OpenMode::CreateNew, site).unwrap();
        file.write_at(&[std::io::IoSlice::new(bytes)], 0, site).unwrap();
    }
}

fn long(text: &str, len: usize) -> Vec<u8> {
    text.bytes().cycle().take(len).collect()
}

const SECRETS: [&str; 4] = ["secret/inline", "secret/packed", "secret/streamed", "secret/versions"];

/// A store with things that are to stay and things that are to go, of every kind.
fn lived_in(store: &Store) -> Bucket {
    let bucket = store
        .create_bucket_with("letters", CreateBucketOptions::new().versioning(Versioning::Enabled))
        .unwrap();
    for (number, len) in [30, 9000, 90_000, 3000].into_iter().enumerate() {
        bucket.put(&format!("stays/{number}"), long("what stays ", len)).unwrap();
        bucket.put(SECRETS[number], long("what goes ", len)).unwrap();
    }
    bucket.put("secret/versions", long("what goes as well ", 5000)).unwrap();
    bucket.put("secret/old name", long("what goes ", 2000)).unwrap();
    bucket.rename("secret/old name", "secret/new name").unwrap();
    bucket.delete("secret/inline").unwrap();
    let upload = bucket.upload("secret/upload", UploadOptions::new()).unwrap();
    upload.put_part(1, long("what goes ", 120_000)).unwrap();
    store.checkpoint().unwrap();
    bucket.put("stays/late", long("what stays ", 4000)).unwrap();
    bucket
}

fn assert_stayed(store: &Store) {
    let bucket = store.bucket("letters").unwrap();
    for (number, len) in [30, 9000, 90_000, 3000].into_iter().enumerate() {
        assert_eq!(read(&bucket, &format!("stays/{number}")), long("what stays ", len));
    }
    assert_eq!(read(&bucket, "stays/late"), long("what stays ", 4000));
    assert!(bucket.list("secret/").unwrap().next().is_none());
    assert!(bucket.versions("secret/").unwrap().next().is_none());
    let report = store.verify().unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
}

/// Everything that can be had out of a directory with the key: keys, and the bodies of all versions.
fn all_there_is(disk: &Arc<MemoryVfs>, dir: &str, files: &Files) -> Option<Vec<u8>> {
    lay_out(disk, dir, files);
    let saved = format!("{dir}-saved");
    let options = SalvageOptions::new().vfs(disk.clone()).key_provider(key());
    Store::salvage_with(dir, &saved, options).ok()?;
    let store = builder(disk, &saved).key_provider(key()).open().unwrap();
    let mut all = Vec::new();
    for bucket in store.buckets().unwrap() {
        let bucket = bucket.unwrap();
        all.extend(bucket.name().as_bytes());
        for version in bucket.versions("").unwrap() {
            let version = version.unwrap();
            all.extend(version.key.as_bytes());
            if !version.marker {
                let _ = bucket.restore(&version.key, RestoreOptions::new().days(1));
                let options = GetOptions::new().version(version.version);
                all.extend_from_slice(&bucket.get_with(&version.key, options).unwrap().bytes().unwrap());
            }
        }
        for upload in bucket.uploads(ListOptions::new()).unwrap() {
            all.extend(upload.unwrap().key.as_bytes());
        }
    }
    Some(all)
}

fn tells(all: &[u8]) -> bool {
    ["what goes", "secret/"].iter().any(|secret| all.windows(secret.len()).any(|at| at == secret.as_bytes()))
}

/// Whatever of the files of before is put back beside those of now: nothing of what was shredded comes out.
fn assert_gone(disk: &Arc<MemoryVfs>, before: &[Files], now: &Files, case: &str) {
    let all = all_there_is(disk, &format!("/{case}-now"), now).unwrap();
    assert!(!tells(&all) && !all.is_empty(), "{case}");
    for (number, before) in before.iter().enumerate() {
        // Beside what is there, and in the place of it.
        for (how, mut files, over) in
            [("beside", now.clone(), false), ("over", now.clone(), true), ("alone", Files::new(), true)]
        {
            for (path, bytes) in before {
                if path != Path::new("SUPERBLOCK") && (over || !files.contains_key(path)) {
                    files.insert(path.clone(), bytes.clone());
                }
            }
            files.insert("SUPERBLOCK".into(), now[Path::new("SUPERBLOCK")].clone());
            let all = all_there_is(disk, &format!("/{case}-{number}-{how}"), &files);
            assert!(!all.is_some_and(|all| tells(&all)), "{case}: {how}, {number}");
        }
        // Nor does any slot of the superblock open them by itself.
        for slot in 0..4 {
            let mut files = before.clone();
            let superblock = files.get_mut(Path::new("SUPERBLOCK")).unwrap();
            superblock.fill(0);
            let here = slot * 4096..(slot + 1) * 4096;
            superblock[here.clone()].copy_from_slice(&now[Path::new("SUPERBLOCK")][here]);
            let all = all_there_is(disk, &format!("/{case}-{number}-slot-{slot}"), &files);
            assert!(!all.is_some_and(|all| tells(&all)), "{case}: slot {slot}, {number}");
        }
        // Where the superblock of before is left as well, all is there: else the above would prove nothing.
        let all = all_there_is(disk, &format!("/{case}-{number}-whole"), before).unwrap();
        assert!(tells(&all), "{case}: {number}");
    }
}

#[test]
fn what_was_under_a_prefix_is_opened_by_no_key_any_more() {
    let disk = Arc::new(MemoryVfs::new());
    let store = open(&disk);
    let bucket = lived_in(&store);
    let early = files(&disk, "/store");
    store.compact(CompactOptions::new()).unwrap();
    store.flush().unwrap();
    let late = files(&disk, "/store");
    let done = bucket.shred_prefix("secret/").unwrap();
    assert_eq!((done.objects, done.uploads, done.shared_objects), (7, 1, 0), "{done:?}");
    assert!(done.segments > 0 && !store.is_shredding().unwrap());
    assert_stayed(&store);
    store.close().unwrap();
    let now = files(&disk, "/store");
    for rebuild in [false, true] {
        let store = builder(&disk, "/store").key_provider(key()).rebuild_index(rebuild).open().unwrap();
        assert_stayed(&store);
        store.close().unwrap();
    }
    assert_gone(&disk, &[early, late], &now, "prefix");
}

#[test]
fn a_key_that_was_deleted_before_and_a_whole_bucket_go_the_same_way() {
    let disk = Arc::new(MemoryVfs::new());
    let store = open(&disk);
    lived_in(&store);
    store.create_bucket("others").unwrap().put("kept", b"kept").unwrap();
    let plain = store.create_bucket("plain").unwrap();
    plain.put("secret/one", long("what goes ", 60_000)).unwrap();
    plain.delete("secret/one").unwrap();
    let before = files(&disk, "/store");
    assert_eq!(plain.shred("secret/one").unwrap().objects, 0);
    let done = store.shred_bucket("letters").unwrap();
    assert_eq!(done.objects, 7 + 5);
    assert_eq!(store.bucket("letters").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(read(&store.bucket("others").unwrap(), "kept"), b"kept");
    store.close().unwrap();
    let now = files(&disk, "/store");
    assert_gone(&disk, &[before], &now, "bucket");
    let store = open(&disk);
    store.create_bucket("letters").unwrap().put("new", b"new").unwrap();
    assert!(store.verify().unwrap().problems.is_empty());
}

#[test]
fn a_segment_that_turns_up_again_is_not_opened() {
    let disk = Arc::new(MemoryVfs::new());
    let store = open(&disk);
    let bucket = lived_in(&store);
    let before = files(&disk, "/store");
    bucket.shred_prefix("secret/").unwrap();
    store.close().unwrap();
    let mut now = files(&disk, "/store");
    for (path, bytes) in before.iter().filter(|(path, _)| path.starts_with("bulk") || path.starts_with("log"))
    {
        now.entry(path.clone()).or_insert(bytes.clone());
    }
    lay_out(&disk, "/haunted", &now);
    assert_stayed(&open_at(&disk, "/haunted"));
}

#[test]
fn what_is_protected_retained_or_shared_with_a_fork_is_refused_and_nothing_is_done() {
    let disk = Arc::new(MemoryVfs::new());
    let store = open(&disk);
    let bucket = lived_in(&store);
    bucket.set_legal_hold("secret/packed", true).unwrap();
    let refused = |done: Result<Shredded>, says: &str| {
        let error = done.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Immutable, "{error}");
        assert!(error.to_string().contains(says), "{error}");
        assert!(!store.is_shredding().unwrap());
        assert_eq!(bucket.versions("secret/").unwrap().count(), 9);
    };
    refused(bucket.shred("secret/packed"), "legal hold");
    refused(bucket.shred_prefix("secret/"), "legal hold");
    refused(store.shred_bucket("letters"), "legal hold");
    bucket.set_legal_hold("secret/packed", false).unwrap();
    store.set_history(Some(Duration::from_secs(3600))).unwrap();
    refused(bucket.shred("secret/packed"), "set_history");
    store.set_history(None).unwrap();
    store.fork_bucket("letters", "fork").unwrap();
    refused(bucket.shred("secret/packed"), "fork");
    store.delete_bucket("fork").unwrap();
    assert_eq!(bucket.shred("secret/packed").unwrap().objects, 1);

    let plain = builder(&disk, "/plain").open().unwrap();
    let error = plain.create_bucket("cats").unwrap().shred("tom").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("key provider"), "{error}");
    assert_eq!(plain.reencrypt().unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn a_body_that_others_have_too_is_counted() {
    let disk = Arc::new(MemoryVfs::new());
    let store = open(&disk);
    let bucket = store.create_bucket("letters").unwrap();
    bucket.put("one", long("what goes ", 50_000)).unwrap();
    bucket.copy("one", "two").unwrap();
    assert_eq!(bucket.shred("one").unwrap().shared_objects, 1);
    assert_eq!(read(&bucket, "two"), long("what goes ", 50_000));
    let before = files(&disk, "/store");
    assert_eq!(bucket.shred("two").unwrap().shared_objects, 0);
    bucket.put("stays", b"stays").unwrap();
    store.close().unwrap();
    let now = files(&disk, "/store");
    assert_gone(&disk, &[before], &now, "shared");
}

#[test]
fn what_lay_in_a_solid_frame_with_others_is_gone_from_it() {
    let disk = Arc::new(MemoryVfs::new());
    let store = open(&disk);
    let bucket = store.create_bucket("letters").unwrap();
    for n in 0..30 {
        let name = if n % 3 == 0 { format!("secret/{n}") } else { format!("stays/{n}") };
        let text = if n % 3 == 0 { "what goes " } else { "what stays " };
        let cold = PutOptions::new().storage_class(StorageClass::Archive);
        bucket.put_with(&name, long(text, 700), cold).unwrap();
    }
    while store.maintain(Duration::from_secs(60)).unwrap().more {}
    let before = files(&disk, "/store");
    let done = bucket.shred_prefix("secret/").unwrap();
    assert_eq!((done.objects, done.shared_objects), (10, 0));
    assert_eq!(bucket.list("").unwrap().count(), 20);
    store.close().unwrap();
    let now = files(&disk, "/store");
    assert_gone(&disk, &[before], &now, "solid");
    let store = open(&disk);
    assert!(store.verify().unwrap().problems.is_empty());
}

#[test]
fn a_backup_follows_and_a_reader_goes_on() {
    let disk = Arc::new(MemoryVfs::new());
    let store = open(&disk);
    let bucket = lived_in(&store);
    let reader = builder(&disk, "/store").key_provider(key()).read_only(true).open().unwrap();
    store.backup("/backup").unwrap();
    let old_backup = files(&disk, "/backup");
    let held = bucket.get("secret/streamed").unwrap();
    bucket.shred_prefix("secret/").unwrap();
    assert_eq!(&held.bytes().unwrap()[..], long("what goes ", 90_000), "who has it open reads on");
    reader.refresh().unwrap();
    assert_stayed(&reader);
    bucket.put("stays/2", long("what stays ", 90_000)).unwrap();
    bucket.shred("secret/none").unwrap();
    reader.refresh().unwrap();
    assert_stayed(&reader);
    reader.close().unwrap();
    store.backup("/backup").unwrap();
    store.rotate_key(StaticKey::new([0x45; 32])).unwrap();
    bucket.shred("secret/none").unwrap();
    store.rotate_key(key()).unwrap();
    store.close().unwrap();
    let vfs: Arc<dyn Vfs> = disk.clone();
    let options = RestoreBackupOptions::new().vfs(vfs).key_provider(key());
    Store::restore_with("/backup", "/again", options).unwrap();
    for dir in ["/store", "/again"] {
        assert_stayed(&open_at(&disk, dir));
    }
    let new_backup = files(&disk, "/backup");
    assert_gone(&disk, &[old_backup], &new_backup, "backup");
    assert_stayed(&open_at(&disk, "/backup"));
}

#[test]
fn a_damaged_file_of_kept_secrets_costs_nothing_and_a_lost_one_what_hangs_on_it() {
    let disk = Arc::new(MemoryVfs::new());
    let store = open(&disk);
    let bucket = lived_in(&store);
    // A segment of its own, in which nothing is dead.
    store.compact(CompactOptions::new()).unwrap();
    bucket.shred("secret/inline").unwrap();
    bucket.shred_prefix("secret/").unwrap();
    store.close().unwrap();
    let now = files(&disk, "/store");
    let (kept, bytes) = now
        .iter()
        .find(|(path, _)| path.to_string_lossy().starts_with("KEYS-"))
        .map(|(path, bytes)| (path.clone(), bytes.clone()))
        .unwrap();
    for at in (0..bytes.len()).step_by(7) {
        let mut files = now.clone();
        files.get_mut(&kept).unwrap()[at] ^= 0x20;
        let dir = format!("/flip-{at}");
        lay_out(&disk, &dir, &files);
        assert_stayed(&open_at(&disk, &dir));
    }
    let mut files = now.clone();
    files.remove(&kept);
    lay_out(&disk, "/lost", &files);
    match builder(&disk, "/lost").key_provider(key()).open() {
        Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}"),
        Ok(store) => assert!(!store.verify().unwrap().problems.is_empty()),
    }
}

#[test]
fn everything_is_encrypted_anew() {
    let disk = Arc::new(MemoryVfs::new());
    let store = open(&disk);
    let bucket = lived_in(&store);
    let before = files(&disk, "/store");
    let done = store.reencrypt().unwrap();
    assert!(done.segments > 1 && done.moved > 90_000, "{done:?}");
    assert_eq!(bucket.versions("secret/").unwrap().count(), 9);
    store.close().unwrap();
    let now = files(&disk, "/store");
    let segments = |path: &&PathBuf| path.starts_with("log") || path.starts_with("bulk");
    assert!(before.keys().filter(segments).all(|path| !now.contains_key(path)));
    let mut files = before;
    files.insert("SUPERBLOCK".into(), now[Path::new("SUPERBLOCK")].clone());
    assert!(!all_there_is(&disk, "/old", &files).is_some_and(|all| tells(&all)));
    open(&disk).bucket("letters").unwrap().shred_prefix("secret/").unwrap();
    assert_stayed(&open(&disk));
}

#[test]
fn what_is_in_the_way_is_waited_for() {
    let disk = Arc::new(MemoryVfs::new());
    let store = open(&disk);
    let bucket = store.create_bucket("letters").unwrap();
    bucket.put("stays", long("what stays ", 40_000)).unwrap();
    bucket.put("secret/one", long("what goes ", 40_000)).unwrap();
    let before = files(&disk, "/store");
    // A body is on its way into the segment that the secret lies in.
    let mut writer = bucket.writer("late", PutOptions::new()).unwrap();
    std::io::Write::write_all(&mut writer, &long("late ", 60_000)).unwrap();
    let error = bucket.shred("secret/one").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
    assert_eq!(bucket.get("secret/one").map(drop).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(store.is_shredding().unwrap());
    store.maintain(Duration::from_secs(5)).unwrap();
    assert!(store.is_shredding().unwrap());
    writer.finish().unwrap();
    let report = store.maintain(Duration::from_secs(60)).unwrap();
    assert!(report.shredded > 0 && !store.is_shredding().unwrap(), "{report:?}");
    assert_eq!(store.finish_shredding().unwrap(), Shredded::default());
    assert_eq!(read(&bucket, "late"), long("late ", 60_000));
    store.close().unwrap();
    let now = files(&disk, "/store");
    assert_gone(&disk, &[before], &now, "waited");
}

#[test]
fn a_feed_that_has_not_come_by_is_told_that_it_has_missed_something() {
    let disk = Arc::new(MemoryVfs::new());
    let store = open(&disk);
    let lsn = store.snapshot().unwrap().lsn();
    let bucket = lived_in(&store);
    store.set_cursor("slow", lsn).unwrap();
    bucket.shred_prefix("secret/").unwrap();
    let error = store.changes(lsn).map(|changes| changes.count()).unwrap_err();
    assert_eq!(error.code(), "FeedTruncated");
    bucket.put("stays/new", b"what stays").unwrap();
}
