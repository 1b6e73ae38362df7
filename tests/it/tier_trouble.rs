//! Directories of tiers that go away, fill up or let nobody write, in the middle of anything: only their own objects suffer.

use std::collections::BTreeMap;
use std::io::{Error as IoError, ErrorKind as IoKind, IoSlice, Result as IoResult};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ossicle::testing::FaultyDisk;
use ossicle::*;

use crate::read;

const THERE: &str = "/there";

/// What is wrong with the other disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing of it can be reached.
    Gone,
    /// Nothing more fits.
    Full,
    /// It can be read and not be written.
    ReadOnly,
}

/// When it begins: how many calls reach the other disk before, and how many did.
#[derive(Debug)]
pub struct Weather {
    pub trouble: Trouble,
    pub begins: AtomicU64,
    pub calls: AtomicU64,
}

impl Weather {
    fn meets(&self, path: &Path, changes: bool, grows: bool) -> IoResult<()> {
        if !path.starts_with(THERE) {
            return Ok(());
        }
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let kind = match self.trouble {
            _ if call < self.begins.load(Ordering::Relaxed) => return Ok(()),
            Trouble::Gone => IoKind::NotFound,
            Trouble::Full if grows => IoKind::StorageFull,
            Trouble::ReadOnly if changes => IoKind::ReadOnlyFilesystem,
            _ => return Ok(()),
        };
        Err(IoError::from(kind))
    }
}

#[derive(Debug)]
struct TwoDisks {
    disk: Arc<dyn Vfs>,
    weather: Arc<Weather>,
}

#[derive(Debug)]
struct WeatherFile {
    file: Arc<dyn File>,
    path: PathBuf,
    weather: Arc<Weather>,
}

impl Vfs for TwoDisks {
    fn open(&self, path: &Path, mode: OpenMode, site: Site) -> IoResult<Arc<dyn File>> {
        let makes = mode == OpenMode::CreateNew;
        self.weather.meets(path, mode != OpenMode::Read, makes)?;
        let file = self.disk.open(path, mode, site)?;
        Ok(Arc::new(WeatherFile { file, path: path.to_path_buf(), weather: self.weather.clone() }))
    }
    fn remove(&self, path: &Path, site: Site) -> IoResult<()> {
        self.weather.meets(path, true, false)?;
        self.disk.remove(path, site)
    }
    fn list(&self, dir: &Path, site: Site) -> IoResult<Vec<Listed>> {
        self.weather.meets(dir, false, false)?;
        self.disk.list(dir, site)
    }
    fn create_dir(&self, dir: &Path, site: Site) -> IoResult<()> {
        self.weather.meets(dir, true, true)?;
        self.disk.create_dir(dir, site)
    }
    fn remove_dir(&self, dir: &Path, site: Site) -> IoResult<()> {
        self.weather.meets(dir, true, false)?;
        self.disk.remove_dir(dir, site)
    }
    fn sync_dir(&self, dir: &Path, site: Site) -> IoResult<()> {
        self.weather.meets(dir, true, false)?;
        self.disk.sync_dir(dir, site)
    }
    fn lock(&self, path: &Path, mode: LockMode, site: Site) -> IoResult<Box<dyn Lock>> {
        self.disk.lock(path, mode, site)
    }
    fn allocated(&self, path: &Path) -> IoResult<u64> {
        self.weather.meets(path, false, false)?;
        self.disk.allocated(path)
    }
}

impl File for WeatherFile {
    fn read_at(&self, buf: &mut [u8], offset: u64, site: Site) -> IoResult<usize> {
        self.weather.meets(&self.path, false, false)?;
        self.file.read_at(buf, offset, site)
    }
    fn write_at(&self, bufs: &[IoSlice<'_>], offset: u64, site: Site) -> IoResult<()> {
        self.weather.meets(&self.path, true, true)?;
        self.file.write_at(bufs, offset, site)
    }
    fn sync_data(&self, site: Site) -> IoResult<()> {
        self.weather.meets(&self.path, true, false)?;
        self.file.sync_data(site)
    }
    fn set_len(&self, len: u64, site: Site) -> IoResult<()> {
        self.weather.meets(&self.path, true, true)?;
        self.file.set_len(len, site)
    }
    fn allocate(&self, len: u64, site: Site) -> IoResult<()> {
        self.weather.meets(&self.path, true, true)?;
        self.file.allocate(len, site)
    }
    fn size(&self) -> IoResult<u64> {
        self.file.size()
    }
    fn map(&self, site: Site) -> IoResult<Map> {
        self.weather.meets(&self.path, false, false)?;
        self.file.map(site)
    }
    fn start_writeback(&self, range: Range<u64>) {
        self.file.start_writeback(range);
    }
}

/// A store whose Archive lies on the other disk, and what it should hold: of each key all bodies that it may have.
struct Scene {
    store: Store,
    bucket: Bucket,
    expected: BTreeMap<String, Vec<Option<Vec<u8>>>>,
}

pub fn body(key: &str, len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    blake3::Hasher::new().update(key.as_bytes()).finalize_xof().fill(&mut out);
    out
}

pub fn open(disk: &Arc<dyn Vfs>, weather: &Arc<Weather>, sealed: bool) -> Result<Store> {
    let vfs: Arc<dyn Vfs> = Arc::new(TwoDisks { disk: disk.clone(), weather: weather.clone() });
    let settings = Settings {
        segment_size: 1 << 20,
        chunk_size: 4096,
        packed_max: 8192,
        reserve_bytes: 0,
        restore_times: RestoreTimes::NONE,
        ..Settings::default()
    };
    let mut builder = Store::builder("/store")
        .vfs(vfs)
        .settings(settings)
        .maintenance(Maintenance::Manual)
        .tier(StorageClass::Archive, Tier::new().dir(THERE));
    if sealed {
        builder = builder.key_provider(StaticKey::new([3; 32]));
    }
    builder.open()
}

/// Whether this is what somebody with a broken disk may be told: what is wrong, and never that something is damaged.
#[track_caller]
pub fn assert_told(error: &Error, what: &str) {
    assert!(matches!(error.kind(), ErrorKind::Io | ErrorKind::Quota), "{what}: {error:?}");
    assert!(error.to_string().contains(THERE) || error.to_string().contains("tier"), "{what}: {error}");
}

impl Scene {
    fn put(&mut self, key: &str, class: StorageClass, len: usize) {
        let bytes = body(key, len);
        let may_be = self.expected.entry(key.to_string()).or_insert_with(|| vec![None]);
        match self.bucket.put_with(key, &bytes, PutOptions::new().storage_class(class)) {
            Ok(_) => *may_be = vec![Some(bytes)],
            Err(error) => {
                assert_eq!(class, StorageClass::Archive, "{key}: {error}");
                assert_told(&error, key);
            }
        }
    }

    fn convert(&mut self, key: &str, class: StorageClass) {
        // Only a row is written; the body follows when it can.
        if self.bucket.exists(key).unwrap() {
            self.bucket.set_storage_class(key, class).unwrap();
        }
    }

    fn delete(&mut self, key: &str) {
        self.bucket.delete(key).unwrap();
        self.expected.insert(key.to_string(), vec![None]);
    }

    /// Reads everything: what is not frozen must be there, what is may be out of service.
    fn look(&self) {
        for (key, may_be) in &self.expected {
            let class = match self.bucket.head(key) {
                Ok(meta) => meta.class,
                Err(error) => {
                    assert!(error.is_not_found() && may_be.contains(&None), "{key}: {error}");
                    continue;
                }
            };
            if class == StorageClass::Archive && self.bucket.head(key).unwrap().restore().is_none() {
                self.bucket.restore(key, RestoreOptions::new()).unwrap();
            }
            match self.bucket.get(key).and_then(Object::bytes) {
                Ok(bytes) => assert!(may_be.contains(&Some(bytes.to_vec())), "{key}"),
                Err(error) => {
                    assert!(!key.starts_with("warm"), "{key}: {error}");
                    assert_told(&error, key);
                }
            }
        }
    }

    fn act(&mut self, round: usize) {
        let (warm, cold) = (StorageClass::Standard, StorageClass::Archive);
        for (n, len) in [40, 3000, 60_000].into_iter().enumerate() {
            self.put(&format!("warm/{round}/{n}"), warm, len);
            self.put(&format!("cold/{round}/{n}"), cold, len);
            self.put(&format!("turns/{round}/{n}"), warm, len);
        }
        // Some are converted, and what was converted before comes back.
        for n in 0..3 {
            self.convert(&format!("turns/{round}/{n}"), cold);
        }
        self.work();
        self.look();
        if round > 0 {
            self.delete(&format!("cold/{}/1", round - 1));
            self.delete(&format!("warm/{}/2", round - 1));
            self.convert(&format!("turns/{}/2", round - 1), warm);
        }
        self.work();
        if let Err(error) = self.store.compact(CompactOptions::new().garbage_percent(0)) {
            assert_told(&error, "compacting");
        }
        self.look();
    }

    fn work(&self) {
        if let Err(error) = self.store.maintain(Duration::from_secs(60)) {
            assert_told(&error, "maintenance");
        }
    }
}

/// Plays a history in which the trouble begins with this call to the other disk, and ends. Answers how many calls there were.
fn play(trouble: Trouble, begins: u64, sealed: bool) -> u64 {
    let disk: Arc<dyn Vfs> = Arc::new(MemoryVfs::new());
    let weather = Arc::new(Weather { trouble, begins: u64::MAX.into(), calls: 0.into() });
    let store = open(&disk, &weather, sealed).unwrap();
    weather.calls.store(0, Ordering::Relaxed);
    weather.begins.store(begins, Ordering::Relaxed);
    let bucket = store.create_bucket("cats").unwrap();
    let mut scene = Scene { store, bucket, expected: BTreeMap::new() };
    for round in 0..3 {
        scene.act(round);
    }
    let calls = weather.calls.load(Ordering::Relaxed);
    // It lasts over an opening.
    let Scene { store, bucket, expected } = scene;
    drop(bucket);
    store.close().unwrap();
    drop(store);
    let store = open(&disk, &weather, sealed).unwrap();
    let bucket = store.bucket("cats").unwrap();
    let mut scene = Scene { store, bucket, expected };
    scene.look();
    scene.act(3);
    let Scene { store, bucket, expected } = scene;
    drop(bucket);
    store.close().unwrap();
    drop(store);
    // The other disk is back.
    weather.begins.store(u64::MAX, Ordering::Relaxed);
    let store = open(&disk, &weather, sealed).unwrap();
    let bucket = store.bucket("cats").unwrap();
    let mut scene = Scene { store, bucket, expected };
    scene.store.maintain(Duration::from_secs(60)).unwrap();
    for (key, may_be) in &scene.expected {
        if scene.bucket.exists(key).unwrap() {
            assert!(may_be.contains(&Some(read(&scene.bucket, key))), "{key}");
        } else {
            assert!(may_be.contains(&None), "{key} is gone");
        }
    }
    scene.act(4);
    let report = scene.store.verify().unwrap();
    assert!(report.is_clean(), "{:?}", report.problems);
    calls
}

fn trouble_at_every_so_many_calls(trouble: Trouble) {
    let calls = play(trouble, u64::MAX, false);
    assert!(calls > 200, "{calls}");
    // Odd, so that it meets calls of every kind.
    for begins in (0..calls).step_by(23) {
        play(trouble, begins, begins % 2 == 1);
    }
}

#[test]
fn a_disk_that_goes_away_takes_only_its_own_objects_along() {
    trouble_at_every_so_many_calls(Trouble::Gone);
}

#[test]
fn a_disk_that_fills_up_keeps_what_it_has() {
    trouble_at_every_so_many_calls(Trouble::Full);
}

#[test]
fn a_disk_that_lets_nobody_write_is_still_read() {
    trouble_at_every_so_many_calls(Trouble::ReadOnly);
}

#[test]
fn a_store_opens_after_a_crash_whatever_is_wrong_with_the_other_disk() {
    for (trouble, sealed) in
        [Trouble::Gone, Trouble::Full, Trouble::ReadOnly].map(|each| [(each, false), (each, true)]).concat()
    {
        let disk = FaultyDisk::new(7);
        let calm = Arc::new(Weather { trouble, begins: u64::MAX.into(), calls: 0.into() });
        let store = open(&disk.vfs(), &calm, sealed).unwrap();
        let bucket = store.create_bucket("cats").unwrap();
        let cold = || PutOptions::new().storage_class(StorageClass::Archive);
        for (n, durability) in [Durability::Synced, Durability::Buffered].into_iter().enumerate() {
            bucket
                .put_with(&format!("cold/{n}"), body("cold", 60_000), cold().durability(durability))
                .unwrap();
        }
        let after = disk.after_kill().vfs();
        let wild = Arc::new(Weather { trouble, begins: 0.into(), calls: 0.into() });
        let store = open(&after, &wild, sealed).unwrap();
        let bucket = store.bucket("cats").unwrap();
        assert!(bucket.exists("cold/0").unwrap() && bucket.exists("cold/1").unwrap(), "{trouble:?}");
        bucket.put("warm", body("warm", 60_000)).unwrap();
        assert!(read(&bucket, "warm") == body("warm", 60_000));
        drop(bucket);
        store.close().unwrap();
        drop(store);
        let store = open(&after, &calm, sealed).unwrap();
        let bucket = store.bucket("cats").unwrap();
        for key in ["cold/0", "cold/1"] {
            bucket.restore(key, RestoreOptions::new()).unwrap();
            assert!(read(&bucket, key) == body("cold", 60_000), "{trouble:?}");
        }
        assert!(store.verify().unwrap().is_clean());
    }
}
