//! Shredding while bytes of what is shredded are being copied: no copy of them is left behind.

use std::io::{IoSlice, Result as IoResult};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ossicle::*;

use crate::{code, read};

type Act = Box<dyn FnOnce() + Send>;

/// What is done at the next read of a file in a directory of this name, and how many bytes of bodies were written since.
#[derive(Default)]
struct Trap {
    set: Mutex<Option<(&'static str, Act)>>,
    written: AtomicUsize,
}

impl std::fmt::Debug for Trap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Trap")
    }
}

impl Trap {
    fn set(&self, dir: &'static str, act: impl FnOnce() + Send + 'static) {
        *self.set.lock().unwrap() = Some((dir, Box::new(act)));
        self.written.store(0, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.set.lock().unwrap().is_some()
    }

    fn step_on(&self, path: &Path) {
        let mut set = self.set.lock().unwrap();
        let hit = |(dir, _): &mut (&'static str, Act)| path.iter().any(|part| part == *dir);
        let act = set.take_if(hit);
        drop(set);
        if let Some((_, act)) = act {
            act();
        }
    }
}

/// A disk on which something happens in the middle of a read.
#[derive(Debug)]
struct TrapDisk {
    disk: Arc<MemoryVfs>,
    trap: Arc<Trap>,
}

#[derive(Debug)]
struct TrapFile {
    file: Arc<dyn File>,
    path: PathBuf,
    trap: Arc<Trap>,
}

impl Vfs for TrapDisk {
    fn open(&self, path: &Path, mode: OpenMode, site: Site) -> IoResult<Arc<dyn File>> {
        let file = self.disk.open(path, mode, site)?;
        Ok(Arc::new(TrapFile { file, path: path.to_path_buf(), trap: self.trap.clone() }))
    }
    fn remove(&self, path: &Path, site: Site) -> IoResult<()> {
        self.disk.remove(path, site)
    }
    fn list(&self, dir: &Path, site: Site) -> IoResult<Vec<Listed>> {
        self.disk.list(dir, site)
    }
    fn create_dir(&self, dir: &Path, site: Site) -> IoResult<()> {
        self.disk.create_dir(dir, site)
    }
    fn sync_dir(&self, dir: &Path, site: Site) -> IoResult<()> {
        self.disk.sync_dir(dir, site)
    }
    fn lock(&self, path: &Path, mode: LockMode, site: Site) -> IoResult<Box<dyn Lock>> {
        self.disk.lock(path, mode, site)
    }
    fn allocated(&self, path: &Path) -> IoResult<u64> {
        self.disk.allocated(path)
    }
}

impl File for TrapFile {
    fn read_at(&self, buf: &mut [u8], offset: u64, site: Site) -> IoResult<usize> {
        self.trap.step_on(&self.path);
        self.file.read_at(buf, offset, site)
    }
    fn write_at(&self, bufs: &[IoSlice<'_>], offset: u64, site: Site) -> IoResult<()> {
        if self.path.iter().any(|part| part == "bulk") {
            let len = bufs.iter().map(|buf| buf.len()).sum::<usize>();
            self.trap.written.fetch_add(len, Ordering::Relaxed);
        }
        self.file.write_at(bufs, offset, site)
    }
    fn sync_data(&self, site: Site) -> IoResult<()> {
        self.file.sync_data(site)
    }
    fn set_len(&self, len: u64, site: Site) -> IoResult<()> {
        self.file.set_len(len, site)
    }
    fn allocate(&self, len: u64, site: Site) -> IoResult<()> {
        self.file.allocate(len, site)
    }
    fn size(&self) -> IoResult<u64> {
        self.file.size()
    }
    fn map(&self, site: Site) -> IoResult<Map> {
        self.file.map(site)
    }
    fn start_writeback(&self, range: Range<u64>) {
        self.file.start_writeback(range);
    }
}

type Running<T> = Arc<Mutex<Option<JoinHandle<T>>>>;

struct Scene {
    disk: Arc<MemoryVfs>,
    trap: Arc<Trap>,
    store: Store,
    bucket: Bucket,
}

fn key(name: &str) -> StaticKey {
    StaticKey::new([7; 32]).named(name)
}

fn open(disk: &Arc<MemoryVfs>, trap: &Arc<Trap>, kms: impl KeyProvider + 'static, sealed: bool) -> Store {
    let settings = Settings {
        segment_size: 1 << 20,
        packed_max: 16 << 10,
        chunk_size: 4096,
        delta_bytes: 64 << 10,
        reserve_bytes: 0,
        read_mode: ReadMode::Positioned,
        ..Settings::default()
    };
    let vfs: Arc<dyn Vfs> = Arc::new(TrapDisk { disk: disk.clone(), trap: trap.clone() });
    let builder = Store::builder("/store").vfs(vfs).settings(settings).maintenance(Maintenance::Manual);
    let builder = if sealed { builder.key_provider(key("store")) } else { builder };
    builder.kms(kms).open().unwrap()
}

fn scene() -> Scene {
    scene_in(true)
}

fn scene_in(sealed: bool) -> Scene {
    let (disk, trap) = (Arc::new(MemoryVfs::new()), Arc::new(Trap::default()));
    let store = open(&disk, &trap, key("one"), sealed);
    let bucket = store.create_bucket("letters").unwrap();
    Scene { disk, trap, store, bucket }
}

fn secret() -> Vec<u8> {
    b"what goes ".iter().copied().cycle().take(5 << 20).collect()
}

impl Scene {
    /// Once a file in `dir` is read, somebody else does this; the read goes on when that is done, or waits for the one who
    /// reads.
    fn meanwhile<T: Send + 'static>(
        &self,
        dir: &'static str,
        act: impl FnOnce() -> T + Send + 'static,
    ) -> Running<T> {
        let running: Running<T> = Arc::default();
        let theirs = running.clone();
        self.trap.set(dir, move || {
            let thread = std::thread::spawn(act);
            let begun = Instant::now();
            while !thread.is_finished() && begun.elapsed() < Duration::from_millis(700) {
                std::thread::sleep(Duration::from_millis(5));
            }
            *theirs.lock().unwrap() = Some(thread);
        });
        running
    }

    /// Everything was shredded, and whoever has copied has written nothing of it.
    fn assert_nothing_written<T>(&self, running: &Running<Result<T>>) {
        self.assert_shredded(running);
        let written = self.trap.written.load(Ordering::Relaxed);
        assert!(written < 20_000, "{written} bytes were written");
    }

    fn assert_shredded<T>(&self, running: &Running<Result<T>>) {
        assert!(!self.trap.is_set(), "nobody has read");
        let thread = running.lock().unwrap().take().unwrap();
        thread.join().unwrap().unwrap();
        assert!(!self.store.is_shredding().unwrap());
        assert!(self.store.verify().unwrap().is_clean());
    }

    /// How many bytes of segments of bodies are not zero.
    fn written(&self) -> usize {
        let (dir, site, mut sum) = (Path::new("/store/bulk/0"), Site("test"), 0);
        for listed in self.disk.list(dir, site).unwrap() {
            let file = self.disk.open(&dir.join(&listed.name), OpenMode::Read, site).unwrap();
            let mut bytes = vec![0; file.size().unwrap() as usize];
            file.read_exact_at(&mut bytes, 0, site).unwrap();
            sum += bytes.iter().filter(|byte| **byte != 0).count();
        }
        sum
    }
}

#[test]
fn what_is_shredded_while_it_is_copied_leaves_no_copy() {
    let scene = scene();
    let other = scene.store.create_bucket("other").unwrap();
    other.set_config(&Encryption::kms("one")).unwrap();
    scene.bucket.put("secret", secret()).unwrap();
    let bucket = scene.bucket.clone();
    let running = scene.meanwhile("bulk", move || bucket.shred("secret"));
    let copied = other.copy_from(&scene.bucket, "secret", "copy", CopyOptions::new());
    assert_eq!(code(copied), "NoSuchKey");
    scene.assert_nothing_written(&running);
}

#[test]
fn what_is_shredded_while_it_is_copied_into_an_upload_leaves_no_copy() {
    let scene = scene();
    scene.bucket.put("secret", secret()).unwrap();
    let upload = scene.bucket.upload("upload", UploadOptions::new()).unwrap();
    let bucket = scene.bucket.clone();
    let running = scene.meanwhile("bulk", move || bucket.shred_prefix(""));
    let copied = upload.put_part_copy(1, &scene.bucket, "secret", GetOptions::new());
    assert_eq!(code(copied), "NoSuchUpload");
    scene.assert_nothing_written(&running);
}

#[test]
fn what_is_shredded_while_it_is_written_anew_leaves_no_copy() {
    let scene = scene();
    scene.bucket.set_config(&Encryption::kms("one")).unwrap();
    scene.bucket.put("secret", secret()).unwrap();
    scene.bucket.rotate_key().unwrap();
    let bucket = scene.bucket.clone();
    let running = scene.meanwhile("bulk", move || bucket.shred("secret"));
    let done = scene.bucket.reencrypt(Duration::from_secs(60)).unwrap();
    assert_eq!((done.bodies, done.more), (0, false));
    scene.assert_nothing_written(&running);
}

/// A holder of keys for whom somebody does something before he answers.
#[derive(Debug)]
struct Meddler(StaticKey, Arc<Trap>);

impl KeyProvider for Meddler {
    fn key_id(&self) -> String {
        self.0.key_id()
    }
    fn wrap(&self, key: &SecretKey, context: &[u8], fresh: &[u8; 64]) -> IoResult<Vec<u8>> {
        self.0.wrap(key, context, fresh)
    }
    fn unwrap(&self, id: &str, wrapped: &[u8], context: &[u8]) -> IoResult<SecretKey> {
        self.1.step_on(Path::new("kms"));
        self.0.unwrap(id, wrapped, context)
    }
}

#[test]
fn whoever_holds_a_key_may_shred_when_he_is_asked_for_it() {
    for written_anew in [true, false] {
        let Scene { disk, trap, store, bucket } = scene();
        bucket.set_config(&Encryption::kms("one")).unwrap();
        bucket.put("secret", secret()).unwrap();
        let other = store.create_bucket("other").unwrap();
        other.set_config(&Encryption::kms("one")).unwrap();
        bucket.rotate_key().unwrap();
        drop((bucket, other));
        store.close().unwrap();

        let meddling = Arc::new(Trap::default());
        let store = open(&disk, &trap, Meddler(key("one"), meddling.clone()), true);
        let bucket = store.bucket("letters").unwrap();
        let scene = Scene { disk, trap, store, bucket };
        let theirs = scene.bucket.clone();
        scene.trap.written.store(0, Ordering::Relaxed);
        meddling.set("kms", move || assert_eq!(theirs.shred("secret").unwrap().objects, 1));
        if written_anew {
            assert_eq!(scene.bucket.reencrypt(Duration::from_secs(60)).unwrap().bodies, 0);
        } else {
            let other = scene.store.bucket("other").unwrap();
            assert_eq!(
                code(other.copy_from(&scene.bucket, "secret", "copy", CopyOptions::new())),
                "NoSuchKey"
            );
        }
        assert!(!meddling.is_set());
        let written = scene.trap.written.load(Ordering::Relaxed);
        assert!(written < 20_000, "{written} bytes were written");
        assert!(scene.store.verify().unwrap().is_clean());
    }
}

#[test]
fn a_copy_that_need_not_be_encrypted_any_more_writes_nothing_plain() {
    let Scene { disk, trap, store, bucket } = scene_in(false);
    bucket.set_config(&Encryption::kms("one")).unwrap();
    bucket.put("secret", secret()).unwrap();
    store.create_bucket("other").unwrap().set_config(&Encryption::kms("one")).unwrap();
    drop(bucket);
    store.close().unwrap();

    let meddling = Arc::new(Trap::default());
    let store = open(&disk, &trap, Meddler(key("one"), meddling.clone()), false);
    let (bucket, other) = (store.bucket("letters").unwrap(), store.bucket("other").unwrap());
    let theirs = other.clone();
    meddling.set("kms", move || theirs.clear_config::<Encryption>().unwrap());
    trap.written.store(0, Ordering::Relaxed);
    other.copy_from(&bucket, "secret", "copy", CopyOptions::new()).unwrap();
    assert!(!meddling.is_set());
    let written = trap.written.load(Ordering::Relaxed);
    assert_eq!(written, 0, "plain bytes were written");
    assert!(read(&other, "copy") == secret());
}

#[test]
fn what_is_shredded_while_its_pieces_are_put_together_leaves_no_copy() {
    let scene = scene();
    let piece = [b'g'; 3000];
    for at in 0..15 {
        scene.bucket.append("secret", at * 3000, piece).unwrap();
    }
    let bucket = scene.bucket.clone();
    let running = scene.meanwhile("log", move || bucket.shred("secret"));
    let merged = scene.bucket.append("secret", 15 * 3000, piece);
    assert_eq!(code(merged), "PositionNotEqualToLength");
    scene.assert_shredded(&running);
    assert!(scene.written() < 10_000, "{} bytes are left", scene.written());
}

#[test]
fn what_is_shredded_while_it_gets_pieces_of_its_own_leaves_no_copy() {
    let scene = scene();
    let len = secret().len() as u64;
    scene.bucket.append("secret", 0, secret()).unwrap();
    // A fork goes on with it and is gone again.
    let fork = scene.store.fork_bucket("letters", "fork").unwrap();
    fork.append("secret", len, b"there").unwrap();
    fork.delete("secret").unwrap();
    scene.store.delete_bucket("fork").unwrap();
    scene.store.maintain(Duration::from_secs(5)).unwrap();
    let bucket = scene.bucket.clone();
    let running = scene.meanwhile("bulk", move || bucket.shred("secret"));
    assert_eq!(code(scene.bucket.append("secret", len, b"here")), "PositionNotEqualToLength");
    scene.assert_nothing_written(&running);
}
