//! Who may use the files of a store: nobody but its owner, unless it was made otherwise.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ossicle::{
    CompactOptions, Maintenance, Permissions, Settings, StaticKey, StorageClass, Store, StoreBuilder, Tier,
};

/// A store with small segments and a tier elsewhere.
fn builder(dir: &Path, name: &str) -> StoreBuilder {
    let tier = Tier::new().dir(dir.join("elsewhere").join(name));
    let settings = Settings { segment_size: 1 << 20, reserve_bytes: 1 << 20, ..Default::default() };
    Store::builder(dir.join(name))
        .settings(settings)
        .tier(StorageClass::Archive, tier)
        .maintenance(Maintenance::Manual)
}

/// Puts, deletes and everything that makes files, up to an index that is rewritten.
fn live(store: &Store) {
    let bucket = store.bucket("cats").or_else(|_| store.create_bucket("cats")).unwrap();
    for round in 0..3 {
        for number in 0..25 {
            bucket.put(&format!("key-{number}"), vec![round; 50_000]).unwrap();
        }
        bucket.put("large", vec![round; 700_000]).unwrap();
        let cold = ossicle::PutOptions::new().storage_class(StorageClass::Archive);
        bucket.put_with(&format!("cold-{round}"), vec![round; 100_000], cold).unwrap();
        store.maintain(std::time::Duration::from_secs(5)).unwrap();
    }
    store.compact(CompactOptions::new()).unwrap();
}

/// Everything at and below a path, with its mode.
fn modes(path: &Path) -> Vec<(PathBuf, u32)> {
    let meta = fs::symlink_metadata(path).unwrap();
    let mut found = vec![(path.to_path_buf(), meta.mode() & 0o7777)];
    if meta.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            found.extend(modes(&entry.unwrap().path()));
        }
    }
    found
}

/// What the umask of this process leaves.
fn left(mode: u32) -> u32 {
    let file = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o777)).tempfile().unwrap();
    mode & file.as_file().metadata().unwrap().mode()
}

fn assert_modes(path: &Path, dir_mode: u32, file_mode: u32) {
    let found = modes(path);
    assert!(found.len() > 2, "{found:?}");
    for (path, mode) in found {
        let wanted = if path.is_dir() { dir_mode } else { file_mode };
        assert_eq!(format!("{mode:o}"), format!("{wanted:o}"), "{}", path.display());
    }
}

/// The directory of the store in the tier elsewhere: the one around it was made on the way.
fn elsewhere(dir: &Path, name: &str) -> PathBuf {
    let mut names = fs::read_dir(dir.join("elsewhere").join(name)).unwrap();
    names.next().unwrap().unwrap().path()
}

#[test]
fn every_file_of_a_store_is_its_owners_alone() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let open = || builder(dir, "store").key_provider(StaticKey::new([7; 32]));
    let store = open().open().unwrap();
    live(&store);
    store.bucket("cats").unwrap().shred("key-1").unwrap();
    // While a reader is registered.
    let reader = open().read_only(true).open().unwrap();
    assert_eq!(fs::read_dir(dir.join("store/readers")).unwrap().count(), 1);
    assert_modes(&dir.join("store"), 0o700, 0o600);
    assert_modes(&elsewhere(dir, "store"), 0o700, 0o600);
    drop(reader);
    store.backup(dir.join("backup")).unwrap();
    store.close().unwrap();
    live(&open().open().unwrap());
    assert_modes(&dir.join("store"), 0o700, 0o600);
    assert_modes(&dir.join("backup"), 0o700, 0o600);
    let key = || StaticKey::new([7; 32]);
    let options = ossicle::RestoreBackupOptions::new().key_provider(key());
    Store::restore_with(dir.join("backup"), dir.join("restored"), options).unwrap();
    assert_modes(&dir.join("restored"), 0o700, 0o600);
    fs::remove_file(dir.join("backup/SUPERBLOCK")).unwrap();
    let options = ossicle::SalvageOptions::new().key_provider(key());
    // Without a superblock that says so, too.
    Store::salvage_with(dir.join("backup"), dir.join("first"), options).unwrap();
    assert_modes(&dir.join("first"), 0o700, 0o600);
    let options = ossicle::SalvageOptions::new().key_provider(key());
    Store::salvage_with(dir.join("restored"), dir.join("saved"), options).unwrap();
    assert_modes(&dir.join("saved"), 0o700, 0o600);
}

#[test]
fn a_store_can_be_made_for_a_group_and_stays_so() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    live(&builder(dir, "store").permissions(Permissions::GROUP_READS).open().unwrap());
    assert_modes(&dir.join("store"), left(0o750), left(0o640));
    assert_modes(&elsewhere(dir, "store"), left(0o750), left(0o640));
    // What was said when it was made holds, whatever is said later.
    let store = builder(dir, "store").permissions(Permissions::EVERYBODY_READS).open().unwrap();
    live(&store);
    store.backup(dir.join("backup")).unwrap();
    store.close().unwrap();
    assert_modes(&dir.join("store"), left(0o750), left(0o640));
    assert_modes(&dir.join("backup"), left(0o750), left(0o640));
    Store::restore(dir.join("backup"), dir.join("restored")).unwrap();
    assert_modes(&dir.join("restored"), left(0o750), left(0o640));
    Store::salvage(dir.join("restored"), dir.join("saved")).unwrap();
    assert_modes(&dir.join("saved"), left(0o750), left(0o640));
}

#[test]
fn a_store_of_before_keeps_what_it_has() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    live(&builder(dir, "store").open().unwrap());
    for (path, _) in modes(&dir.join("store")).into_iter().chain(modes(&dir.join("elsewhere"))) {
        let mode = if path.is_dir() { 0o755 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    live(&builder(dir, "store").open().unwrap());
    assert_modes(&dir.join("store"), left(0o755), left(0o644));
}

#[test]
fn a_directory_that_was_there_keeps_its_mode_and_hides_the_bodies() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("store");
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    live(&builder(temp.path(), "store").open().unwrap());
    for (each, mode) in modes(&path) {
        let wanted = if each == path {
            0o755
        } else if each.is_dir() {
            0o700
        } else {
            0o600
        };
        assert_eq!(mode, wanted, "{}", each.display());
    }
}

/// Only root can be two users.
#[test]
fn what_root_makes_in_a_users_store_is_the_users() {
    if fs::metadata("/proc/self").map_or(1, |meta| meta.uid()) != 0 {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    live(&builder(dir, "store").open().unwrap());
    for (path, _) in modes(dir) {
        std::os::unix::fs::chown(path, Some(1234), Some(2345)).unwrap();
    }
    let store = builder(dir, "store").open().unwrap();
    live(&store);
    let _reader = builder(dir, "store").read_only(true).open().unwrap();
    for (path, _) in modes(&dir.join("store")).into_iter().chain(modes(&dir.join("elsewhere"))) {
        let meta = fs::symlink_metadata(&path).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (1234, 2345), "{}", path.display());
    }
}
