//! How many bytes of disk objects take: counts of bytes, not times.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use ossicle::{CompactOptions, Durability, Maintenance, Settings, Store, WriteOptions};

const OBJECTS: u64 = 50_000;
const BODY: usize = 256;
/// The most that they take, in bytes of bodies.
const MAINTAINED: f64 = 1.6;
const COMPACTED: f64 = 1.55;

/// Bytes of disk below a directory.
fn disk_bytes(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| match entry.metadata().unwrap() {
            meta if meta.is_dir() => disk_bytes(&entry.path()),
            meta => meta.blocks() * 512,
        })
        .sum()
}

fn key(number: u64) -> String {
    format!("{:016x}", number.wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// Bytes that no compressor likes, others for each object.
fn body(number: u64) -> Vec<u8> {
    let mut bytes = vec![0; BODY];
    blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// The same as by default, but smaller in proportion to the load: the delta, and the reserve, which is no part of what
/// objects take.
fn open(path: &Path) -> Store {
    let settings = Settings { delta_bytes: 1 << 20, reserve_bytes: 0, ..Settings::default() };
    Store::builder(path).settings(settings).maintenance(Maintenance::Manual).open().unwrap()
}

#[test]
fn small_objects_take_little_more_than_their_bytes_after_maintenance() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let ratio = || disk_bytes(&path) as f64 / (OBJECTS * BODY as u64) as f64;
    let store = open(&path);
    let bucket = store.create_bucket("bench").unwrap();
    let buffered = WriteOptions::new().durability(Durability::Buffered);
    for batch in 0..OBJECTS / 100 {
        let numbers = batch * 100..(batch + 1) * 100;
        store
            .write_with(buffered, |tx| {
                numbers.clone().try_for_each(|number| tx.put(&bucket, &key(number), body(number)))
            })
            .unwrap();
    }
    assert!(
        ratio() > MAINTAINED,
        "pages lie apart after so many checkpoints, or this shows nothing: {}",
        ratio()
    );

    store.maintain(Duration::MAX).unwrap();
    assert!(ratio() <= MAINTAINED, "{} after maintain", ratio());
    // What is dense stays as it is.
    let written = store.stats().index_pages_written;
    store.maintain(Duration::MAX).unwrap();
    assert_eq!(store.stats().index_pages_written, written);

    store.compact(CompactOptions::new()).unwrap();
    assert!(ratio() <= COMPACTED, "{} after compact", ratio());
    assert!(store.verify().unwrap().is_clean());
    store.close().unwrap();

    // From the log alone as well: what commits leave out is found again.
    for rebuild in [false, true] {
        let store = Store::builder(&path).rebuild_index(rebuild).open().unwrap();
        let bucket = store.bucket("bench").unwrap();
        assert_eq!(bucket.usage("").unwrap().objects, OBJECTS);
        for number in (0..OBJECTS).step_by(997) {
            let object = bucket.get(&key(number)).unwrap();
            assert_eq!(object.meta().digests.blake3, Some(*blake3::hash(&body(number)).as_bytes()));
            assert_eq!(object.bytes().unwrap(), body(number));
        }
        assert!(store.verify().unwrap().is_clean());
        store.close().unwrap();
    }
}
