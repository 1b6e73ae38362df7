//! Directories that are no store, are somebody else's, are damaged, or are in use.

use std::fs;
use std::path::{Path, PathBuf};

use ossicle::{Error, ErrorKind, Maintenance, Settings, Store};

use crate::{argument, assert_reads_well, in_another_process, read};

const SLOT: usize = 4096;

fn refused(path: impl AsRef<Path>) -> Error {
    let error = Store::open(path).unwrap_err();
    assert_reads_well(&error);
    error
}

/// A store in small segments, closed in peace: bodies of every kind.
fn a_store(path: &Path) {
    let settings = Settings { segment_size: 1 << 20, ..Settings::default() };
    let store = Store::builder(path).settings(settings).maintenance(Maintenance::Manual).open().unwrap();
    let bucket = store.create_bucket("cats").unwrap();
    bucket.put("tiny", b"x").unwrap();
    bucket.put("packed", vec![1; 100_000]).unwrap();
    bucket.put("streamed", vec![2; 600_000]).unwrap();
    store.close().unwrap();
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

#[test]
fn a_file_is_no_store() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, b"a letter").unwrap();
    assert!(matches!(refused(&path).kind(), ErrorKind::Invalid | ErrorKind::Io));
    assert!(matches!(refused(path.join("below")).kind(), ErrorKind::Invalid | ErrorKind::Io));
    assert_eq!(fs::read(&path).unwrap(), b"a letter");
}

#[test]
fn a_directory_with_other_files_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("letter.txt"), b"dear ann").unwrap();
    let error = refused(dir.path());
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("letter.txt"), "{error}");
    assert_eq!(files(dir.path()).len(), 1, "nothing was made beside it");
}

#[test]
fn other_files_beside_a_store_do_not_disturb_it() {
    let dir = tempfile::tempdir().unwrap();
    a_store(dir.path());
    for name in
        ["letter.txt", "log/README", "log/0.seg", "log/000000000000000G.seg", "bulk/0/.hidden", "bulk/9"]
    {
        fs::write(dir.path().join(name), b"not ours").unwrap();
    }
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(read(&store.bucket("cats").unwrap(), "streamed"), vec![2; 600_000]);
    assert!(store.verify().unwrap().is_clean());
    store.compact(Default::default()).unwrap();
    store.close().unwrap();
    assert_eq!(fs::read(dir.path().join("log/README")).unwrap(), b"not ours");
    assert_eq!(fs::read(dir.path().join("bulk/0/.hidden")).unwrap(), b"not ours");
}

#[test]
fn a_missing_store_is_made_only_if_it_may_be() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b/c");
    let error = Store::builder(&path).create(false).open().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = Store::builder(&path).read_only(true).open().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(!dir.path().join("a").exists());
    Store::open(&path).unwrap().close().unwrap();
    Store::builder(&path).create(false).open().unwrap();
}

/// Rewrites every written slot of the superblock, with a sum that fits again.
fn edit_superblock(store: &Path, edit: impl Fn(&mut [u8])) {
    let path = store.join("SUPERBLOCK");
    let mut bytes = fs::read(&path).unwrap();
    for slot in bytes.chunks_mut(SLOT).filter(|slot| slot.starts_with(b"OSSICSUP")) {
        edit(slot);
        let sum = crc32fast::hash(&slot[..SLOT - 4]);
        slot[SLOT - 4..].copy_from_slice(&sum.to_le_bytes());
    }
    fs::write(&path, bytes).unwrap();
}

#[test]
fn a_newer_format_is_named_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    a_store(dir.path());
    edit_superblock(dir.path(), |slot| slot[8] += 1);
    let before = fs::read(dir.path().join("SUPERBLOCK")).unwrap();
    let error = refused(dir.path());
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("format version 2"), "{error}");
    let error = Store::builder(dir.path()).read_only(true).open().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(fs::read(dir.path().join("SUPERBLOCK")).unwrap(), before);
    edit_superblock(dir.path(), |slot| slot[8] -= 1);
    assert_eq!(read(&Store::open(dir.path()).unwrap().bucket("cats").unwrap(), "tiny"), b"x");
}

#[test]
fn an_unknown_feature_is_refused_and_an_optional_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    a_store(dir.path());
    edit_superblock(dir.path(), |slot| slot[24] |= 0x80);
    let error = refused(dir.path());
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("0x80"), "{error}");
    edit_superblock(dir.path(), |slot| slot[24] = 0);
    edit_superblock(dir.path(), |slot| slot[32] |= 0x80);
    assert_eq!(read(&Store::open(dir.path()).unwrap().bucket("cats").unwrap(), "tiny"), b"x");
}

#[test]
fn a_lost_or_spoilt_superblock_is_damage_and_no_new_store() {
    let dir = tempfile::tempdir().unwrap();
    a_store(dir.path());
    let path = dir.path().join("SUPERBLOCK");
    let kept = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!(refused(dir.path()).kind(), ErrorKind::Corrupt);
    for spoilt in [vec![], vec![0; 4 * SLOT], vec![7; 4 * SLOT], kept[..100].to_vec()] {
        fs::write(&path, spoilt).unwrap();
        assert_eq!(refused(dir.path()).kind(), ErrorKind::Corrupt);
    }
    fs::write(&path, kept).unwrap();
    assert_eq!(read(&Store::open(dir.path()).unwrap().bucket("cats").unwrap(), "tiny"), b"x");
}

#[test]
fn a_store_is_open_once_in_a_process_by_whatever_path() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let link = dir.path().join("link");
    let store = Store::open(&path).unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for other in [path.clone(), path.join("."), path.join("../store"), link] {
        let error = refused(&other);
        assert_eq!(error.kind(), ErrorKind::Busy, "{}", other.display());
        assert!(error.is_retryable());
        // Readers may come beside the writer, and are no second writer.
        Store::builder(&other).read_only(true).open().unwrap();
    }
    store.close().unwrap();
    Store::open(&path).unwrap();
}

#[test]
fn a_store_is_open_once_by_its_relative_path() {
    let name = "bad_stores::a_store_is_open_once_by_its_relative_path";
    let Some(path) = argument() else {
        let dir = tempfile::tempdir().unwrap();
        return in_another_process(name, dir.path().join("store").to_str().unwrap());
    };
    // The current directory is the whole process's, so this is one of its own.
    let store = Store::open(&path).unwrap();
    std::env::set_current_dir(&path).unwrap();
    assert_eq!(refused(".").kind(), ErrorKind::Busy);
    assert_eq!(refused("").kind(), ErrorKind::Busy);
    store.close().unwrap();
    drop(store);
    Store::open(".").unwrap().create_bucket("cats").unwrap();
}

#[test]
fn a_store_is_open_once_among_processes() {
    let name = "bad_stores::a_store_is_open_once_among_processes";
    if let Some(path) = argument() {
        let error = refused(&path);
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert!(error.to_string().contains("another"), "{error}");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    in_another_process(name, dir.path().to_str().unwrap());
    store.create_bucket("cats").unwrap();
}

#[test]
fn reading_only_works_beside_readers_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    a_store(dir.path());
    let stamp = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
    let before: Vec<_> = files(dir.path()).into_iter().map(|path| (stamp(&path), path)).collect();
    let open = || Store::builder(dir.path()).read_only(true).open().unwrap();
    let (store, other) = (open(), open());
    let bucket = store.bucket("cats").unwrap();
    assert_eq!(read(&bucket, "streamed"), vec![2; 600_000]);
    assert_eq!(other.bucket("cats").unwrap().list("").unwrap().count(), 3);
    assert!(store.verify().unwrap().is_clean());
    let denied = |error: Error| {
        assert_eq!((error.kind(), error.code()), (ErrorKind::Denied, "AccessDenied"));
        assert!(error.to_string().contains("read_only"), "{error}");
        assert_reads_well(&error);
    };
    denied(bucket.put("a", b"").unwrap_err());
    denied(bucket.put("a", vec![0; 1_000_000]).unwrap_err());
    denied(bucket.delete("tiny").unwrap_err());
    denied(bucket.copy("tiny", "b").unwrap_err());
    denied(bucket.rename("tiny", "b").unwrap_err());
    denied(store.create_bucket("dogs").unwrap_err());
    denied(store.write(|tx| tx.put_row("t", b"", b"")).unwrap_err());
    denied(store.flush().unwrap_err());
    denied(store.checkpoint().unwrap_err());
    denied(store.compact(Default::default()).unwrap_err());
    denied(store.maintain(std::time::Duration::ZERO).unwrap_err());
    let after = || files(dir.path()).into_iter().map(|path| (stamp(&path), path));
    // All that a reader makes is its registration, and that goes with it.
    assert_eq!(before, after().filter(|(_, path)| !path.ends_with("readers")).collect::<Vec<_>>());
    assert_eq!(files(&dir.path().join("readers")).len(), 2);
    store.close().unwrap();
    drop(other);
    assert_eq!(before, after().filter(|(_, path)| !path.ends_with("readers")).collect::<Vec<_>>());
    assert!(files(&dir.path().join("readers")).is_empty());
}

#[test]
fn a_directory_without_permission_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    a_store(&path);
    let allow = |mode: u32| {
        for each in [path.clone(), path.join("log"), path.join("bulk/0")].iter().chain(&files(&path)) {
            if each.is_dir() == (mode & 0o100 != 0) || each.is_file() {
                fs::set_permissions(each, fs::Permissions::from_mode(mode)).unwrap();
            }
        }
    };
    for file in files(&path).iter().filter(|each| each.is_file()) {
        fs::set_permissions(file, fs::Permissions::from_mode(0o444)).unwrap();
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o555)).unwrap();
    // Whoever may do everything is not stopped by this.
    let may_still_write = fs::write(path.join("probe"), b"").is_ok();
    if !may_still_write {
        let error = refused(&path);
        assert_eq!(error.kind(), ErrorKind::Denied);
        let store = Store::builder(&path).read_only(true).open().unwrap();
        assert_eq!(read(&store.bucket("cats").unwrap(), "tiny"), b"x");
    }
    allow(0o755);
}

#[test]
fn a_shortened_log_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    a_store(dir.path());
    let log = files(&dir.path().join("log"));
    let file = fs::File::options().write(true).open(&log[0]).unwrap();
    for len in [300, 50, 0] {
        file.set_len(len).unwrap();
        // It may open, because the index is whole; what is lost must be told and never made up.
        match Store::builder(dir.path()).maintenance(Maintenance::Manual).open() {
            Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}"),
            Ok(store) => {
                assert!(!store.verify().unwrap().is_clean(), "cut to {len} bytes");
                let object = store.bucket("cats").unwrap().get("packed");
                assert_eq!(object.and_then(|object| object.bytes()).unwrap_err().kind(), ErrorKind::Corrupt);
            }
        }
    }
    fs::remove_file(&log[0]).unwrap();
    let opened =
        Store::open(dir.path()).and_then(|store| store.bucket("cats")?.get("packed")?.bytes().map(|_| ()));
    assert_eq!(opened.unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn a_shortened_bulk_segment_loses_its_bodies_only() {
    let dir = tempfile::tempdir().unwrap();
    a_store(dir.path());
    let bulk = files(&dir.path().join("bulk/0"));
    for len in [300_000, 50, 0] {
        fs::File::options().write(true).open(&bulk[0]).unwrap().set_len(len).unwrap();
        let store = Store::open(dir.path()).unwrap();
        let bucket = store.bucket("cats").unwrap();
        let error = bucket.get("streamed").and_then(|object| object.bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "cut to {len}: {error}");
        assert_reads_well(&error);
        assert_eq!((read(&bucket, "tiny"), read(&bucket, "packed")), (b"x".to_vec(), vec![1; 100_000]));
        assert!(!store.verify().unwrap().is_clean());
        bucket.put("new", vec![3; 600_000]).unwrap();
        assert_eq!(read(&bucket, "new"), vec![3; 600_000]);
        store.close().unwrap();
    }
}

#[test]
fn segments_of_another_store_are_not_taken_for_ones_own() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    a_store(one.path());
    a_store(other.path());
    for sub in ["log", "bulk/0"] {
        let from = files(&other.path().join(sub))[0].clone();
        fs::copy(&from, one.path().join(sub).join("00000000000000f0.seg")).unwrap();
        fs::write(one.path().join(sub).join("00000000000000f1.seg"), b"rubbish").unwrap();
        fs::write(one.path().join(sub).join("00000000000000f2.seg"), b"").unwrap();
    }
    match Store::open(one.path()) {
        Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}"),
        Ok(store) => {
            let bucket = store.bucket("cats").unwrap();
            assert_eq!(bucket.list("").unwrap().count(), 3);
            assert_eq!(read(&bucket, "streamed"), vec![2; 600_000]);
            for number in 0..5 {
                bucket.put(&format!("{number}"), vec![number; 600_000]).unwrap();
            }
            store.close().unwrap();
            let store = Store::open(one.path()).unwrap();
            assert_eq!(store.bucket("cats").unwrap().usage("").unwrap().objects, 8);
            assert!(store.verify().unwrap().is_clean());
        }
    }
}

#[test]
fn a_lost_or_spoilt_index_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    a_store(dir.path());
    let index = dir.path().join("index.tree");
    let kept = fs::read(&index).unwrap();
    let mut flipped = kept.clone();
    flipped.iter_mut().for_each(|byte| *byte ^= 0x55);
    for spoilt in
        [None, Some(vec![]), Some(kept[..kept.len() / 2].to_vec()), Some(vec![0; kept.len()]), Some(flipped)]
    {
        match spoilt {
            None => fs::remove_file(&index).unwrap(),
            Some(bytes) => fs::write(&index, bytes).unwrap(),
        }
        let store = Store::open(dir.path()).unwrap();
        let bucket = store.bucket("cats").unwrap();
        assert_eq!(read(&bucket, "streamed"), vec![2; 600_000]);
        assert_eq!(bucket.usage("").unwrap().bytes, 700_001);
        assert!(store.verify().unwrap().is_clean());
        store.close().unwrap();
    }
}
