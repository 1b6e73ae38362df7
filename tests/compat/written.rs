//! The store of the fixture: how it is written, and what must be read from it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ossicle::{
    Bucket, CompactOptions, CustomerKey, Durability, Encryption, Maintenance, MemoryVfs, OpenMode,
    PutOptions, SeededEntropy, Settings, Site, StaticKey, StorageClass, Store, Tier, UploadOptions,
    Versioning, Vfs, VirtualClock,
};

const DIR: &str = "/store";
/// Bytes of a slot of padding that a cut file keeps.
const BLOCK: usize = 512;

/// What must be read of an object.
#[derive(Debug, Default)]
pub struct Expected {
    pub body: Vec<u8>,
    pub content_type: Option<&'static str>,
    pub metadata: BTreeMap<String, String>,
}

/// A body that tells its seed, and does not end in a zero.
pub fn body(seed: u64, len: usize) -> Vec<u8> {
    let byte = |at: usize| {
        let mixed =
            (seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ at as u64).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (mixed >> 56) as u8 | u8::from(at + 1 == len)
    };
    (0..len).map(byte).collect()
}

fn metadata(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

/// Every object of the bucket `photos`.
pub fn expected() -> BTreeMap<String, Expected> {
    let mut all = BTreeMap::new();
    let mut add = |key: &str, body: Vec<u8>| {
        all.insert(key.to_string(), Expected { body, ..Expected::default() });
    };
    add("t/empty", Vec::new());
    add("t/hello", b"hello".to_vec());
    add("t/слово", "с юникодом".into());
    add("t/replaced", b"the second body".to_vec());
    add("p/one-chunk", body(1, 1000));
    add("p/two-chunks", body(2, 5000));
    add("p/whole-chunk", body(3, 4096));
    add("p/again", body(13, 900));
    add("s/movie", body(4, 20_000));
    add("s/tail", body(5, 9000));
    add("tail/tiny", b"not in the checkpoint".to_vec());
    add("tail/packed", body(6, 700));
    add("tail/renamed", body(7, 600));
    (0..90).for_each(|at| add(&format!("w/{at:03}"), body(100 + at, 30)));
    let described = Expected {
        body: b"{}".to_vec(),
        content_type: Some("application/json"),
        metadata: metadata(&[("owner", "ann"), ("x-empty", "")]),
    };
    all.insert("m/described".into(), described);
    let long = Expected {
        body: body(8, 300),
        content_type: Some("image/png"),
        metadata: metadata(&[("long", &"m".repeat(5000))]),
    };
    all.insert("m/spilled".into(), long);
    all
}

/// Rows of the table `settings`; `None` for one that was deleted.
pub fn expected_rows() -> [(&'static str, Option<Vec<u8>>); 4] {
    let long = Some(body(9, 3000));
    [("theme", Some(b"dark".to_vec())), ("long", long), ("gone", None), ("tail", Some(b"new".to_vec()))]
}

/// The directories of a store.
pub const DIRS: [&str; 5] = ["", "log", "bulk/0", "bulk/1", "bulk/2"];

/// Bytes of which most can be compressed.
fn mixed(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = body(seed, len);
    bytes
        .chunks_mut(3000)
        .enumerate()
        .filter(|(at, _)| at % 30 != 1)
        .for_each(|(_, part)| part.fill(seed as u8));
    bytes
}

/// The bodies of the store that [`tier_files`] writes.
pub fn expected_in_tiers() -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    all.insert("ia/long".to_string(), mixed(21, 1_200_000));
    all.insert("ia/short".to_string(), mixed(22, 7000));
    all.insert("cold/long".to_string(), mixed(23, 30_000));
    all.insert("cold/noise".to_string(), body(24, 20_000));
    for at in 0..30 {
        all.insert(
            format!("small/{at:02}"),
            format!("{{\"number\":{at},\"text\":\"all alike\"}}").repeat(3).into_bytes(),
        );
    }
    all
}

/// Writes a store with bodies of other classes than Standard.
pub fn tier_files() -> BTreeMap<String, Vec<u8>> {
    let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::default());
    let clock = VirtualClock::at(SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_000));
    let settings = Settings {
        chunk_size: 4096,
        packed_max: 8192,
        segment_size: 1 << 20,
        reserve_bytes: 0,
        ..Settings::default()
    };
    let store = Store::builder(DIR)
        .vfs(vfs.clone())
        .clock(clock)
        .entropy(SeededEntropy::new(3))
        .settings(settings)
        .tier(StorageClass::InfrequentAccess, Tier::new().chunk(4096))
        .maintenance(Maintenance::Manual)
        .open()
        .unwrap();
    let photos = store.create_bucket("photos").unwrap();
    for (key, body) in expected_in_tiers() {
        let cold = !key.starts_with("ia");
        let class = if cold { StorageClass::Archive } else { StorageClass::InfrequentAccess };
        photos.put_with(&key, body, PutOptions::new().storage_class(class)).unwrap();
    }
    store.maintain(Duration::from_secs(60)).unwrap();
    store.checkpoint().unwrap();
    photos
        .put_with(
            "ia/gone",
            mixed(25, 20_000),
            PutOptions::new().storage_class(StorageClass::InfrequentAccess),
        )
        .unwrap();
    photos.delete("ia/gone").unwrap();
    collect(&*vfs)
}

/// The objects of the store that [`packed_files`] writes.
pub fn expected_in_packed() -> BTreeMap<String, Vec<u8>> {
    let mut all: BTreeMap<String, Vec<u8>> =
        (0..20).map(|at| (format!("small/{at:02}"), body(50 + at, 200 + at as usize * 7))).collect();
    all.insert("small/long".into(), body(80, 9000));
    all.insert("small/tiny".into(), body(81, 20));
    all.insert("tail/a".into(), body(82, 4096));
    all.insert("tail/b".into(), body(83, 65));
    all
}

/// Writes a store with packed commits, before its checkpoint and behind it.
pub fn packed_files() -> BTreeMap<String, Vec<u8>> {
    let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::default());
    let clock = VirtualClock::at(SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_000));
    let settings = Settings { segment_size: 1 << 20, reserve_bytes: 0, ..Settings::default() };
    let store = Store::builder(DIR)
        .vfs(vfs.clone())
        .clock(clock)
        .entropy(SeededEntropy::new(5))
        .settings(settings)
        .maintenance(Maintenance::Manual)
        .open()
        .unwrap();
    let photos = store.create_bucket("photos").unwrap();
    photos.put("gone", body(84, 100)).unwrap();
    let all = expected_in_packed();
    let of = |prefix: &'static str| all.iter().filter(move |(key, _)| key.starts_with(prefix));
    let put_all = |prefix| {
        store
            .write(|tx| {
                of(prefix).try_for_each(|(key, body)| tx.put(&photos, key, body.as_slice()))?;
                if prefix == "small/" { tx.delete(&photos, "gone") } else { Ok(()) }
            })
            .unwrap();
    };
    put_all("small/");
    store.checkpoint().unwrap();
    put_all("tail/");
    collect(&*vfs)
}

/// Whose key the object under this name has in the store that [`envelope_files`] writes.
pub fn customer(name: &str) -> Option<CustomerKey> {
    name.starts_with("mine/").then(|| CustomerKey::new([0x3C; 32]))
}

/// The named keys of that store.
pub fn named_keys() -> [StaticKey; 2] {
    [("letters-key", 0x4B), ("other-key", 0x4C)].map(|(name, byte)| StaticKey::new([byte; 32]).named(name))
}

/// The bodies of that store, and which named key seals each.
pub fn expected_in_envelopes() -> BTreeMap<String, (Vec<u8>, Option<&'static str>)> {
    let mut all = BTreeMap::new();
    let mut add = |key: &str, body: Vec<u8>, by| drop(all.insert(key.to_string(), (body, by)));
    add("kms/empty", Vec::new(), Some("letters-key"));
    add("kms/short", b"dear ann".to_vec(), Some("letters-key"));
    add("kms/whole-chunk", body(31, 65_536), Some("letters-key"));
    add("kms/long", body(32, 70_000), Some("letters-key"));
    add("kms/after-the-rotation", body(33, 3000), Some("letters-key"));
    add("kms/anew", body(34, 2000), Some("letters-key"));
    add("kms/parts", [body(35, 102_400), body(36, 500)].concat(), Some("letters-key"));
    add("kms/copied", body(33, 3000), Some("letters-key"));
    add("other/named", b"with another key".to_vec(), Some("other-key"));
    add("mine/short", b"a key that I bring along".to_vec(), None);
    add("mine/packed", body(37, 5000), None);
    (0..5).for_each(|at| add(&format!("cold/{at}"), body(40 + at, 300), Some("letters-key")));
    add("plain", b"for everybody".to_vec(), None);
    all
}

/// Writes a store that is not sealed, with bodies in envelopes: under keys of a bucket, the older of which is retired, under
/// another named key, and under a customer's.
pub fn envelope_files() -> BTreeMap<String, Vec<u8>> {
    let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::default());
    let clock = VirtualClock::at(SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_000));
    let settings = Settings {
        chunk_size: 4096,
        packed_max: 8192,
        segment_size: 1 << 20,
        reserve_bytes: 0,
        ..Settings::default()
    };
    let [letters, other] = named_keys();
    let store = Store::builder(DIR)
        .vfs(vfs.clone())
        .clock(clock.clone())
        .entropy(SeededEntropy::new(4))
        .settings(settings)
        .kms(letters)
        .kms(other)
        .maintenance(Maintenance::Manual)
        .open()
        .unwrap();
    let photos = store.create_bucket("photos").unwrap();
    let all = expected_in_envelopes();
    photos.put("plain", &all["plain"].0).unwrap();
    photos.set_config(&Encryption::kms("letters-key")).unwrap();
    let options = |name: &str| match (customer(name), all[name].1) {
        (Some(key), _) => PutOptions::new().customer_key(&key),
        (None, Some("other-key")) => PutOptions::new().encryption(Encryption::kms("other-key")),
        _ if name.starts_with("cold/") => PutOptions::new().storage_class(StorageClass::Archive),
        _ => PutOptions::new(),
    };
    let late = ["plain", "kms/after-the-rotation", "kms/copied", "kms/parts"];
    for (name, (body, _)) in all.iter().filter(|(name, _)| !late.contains(&&name[..])) {
        photos.put_with(name, body, options(name)).unwrap();
    }
    let parts = photos.upload("kms/parts", UploadOptions::new()).unwrap();
    parts.put_part(1, body(35, 102_400)).unwrap();
    parts.put_part(2, body(36, 500)).unwrap();
    parts.complete_all().unwrap();
    store.maintain(Duration::from_secs(60)).unwrap();
    store.checkpoint().unwrap();
    clock.advance(Duration::from_secs(60));
    // What is behind the checkpoint needs the younger key, all else the older one.
    photos.rotate_key().unwrap();
    photos.put("kms/after-the-rotation", &all["kms/after-the-rotation"].0).unwrap();
    photos.copy("kms/after-the-rotation", "kms/copied").unwrap();
    photos.put("kms/anew", &all["kms/anew"].0).unwrap();
    collect(&*vfs)
}

/// Writes a store with versions that are not current, the first of which were superseded a day after they were written: a
/// plain one, one that is pinned and of a cold class, one with tags, one beneath a delete marker, and a null one.
pub fn version_files() -> BTreeMap<String, Vec<u8>> {
    let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::default());
    let clock = VirtualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(20_000 * 86_400));
    let settings = Settings { segment_size: 1 << 20, reserve_bytes: 0, ..Settings::default() };
    let store = Store::builder(DIR)
        .vfs(vfs.clone())
        .clock(clock.clone())
        .entropy(SeededEntropy::new(5))
        .settings(settings)
        .maintenance(Maintenance::Manual)
        .open()
        .unwrap();
    let cats = store.create_bucket("cats").unwrap();
    let names = ["dear", "gone", "null", "plain", "tagged"];
    cats.put("null", b"first").unwrap();
    cats.set_config(&Versioning::Enabled).unwrap();
    cats.put("plain", b"first").unwrap();
    cats.put_with("dear", b"first", PutOptions::new().storage_class(StorageClass::Archive).pinned(true))
        .unwrap();
    cats.put_with("tagged", b"first", PutOptions::new().tag("colour", "grey")).unwrap();
    cats.put("gone", b"first").unwrap();
    clock.advance(Duration::from_secs(86_400));
    names.iter().filter(|name| **name != "gone").for_each(|name| drop(cats.put(name, b"second").unwrap()));
    cats.delete("gone").unwrap();
    store.checkpoint().unwrap();
    clock.advance(Duration::from_secs(86_400));
    cats.put("plain", b"third").unwrap();
    collect(&*vfs)
}

/// The key of the sealed store.
pub fn key() -> StaticKey {
    StaticKey::new([0x5E; 32])
}

/// Writes the store and returns its files as a kill would leave them, without the empty room at their ends.
pub fn files() -> BTreeMap<String, Vec<u8>> {
    files_with(false)
}

/// The same store, sealed.
pub fn sealed_files() -> BTreeMap<String, Vec<u8>> {
    files_with(true)
}

fn files_with(sealed: bool) -> BTreeMap<String, Vec<u8>> {
    let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::default());
    let clock = VirtualClock::at(SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_000));
    let open = |seed| {
        let settings = Settings {
            chunk_size: 4096,
            inline_max: 64,
            packed_max: 8192,
            segment_size: 1 << 20,
            reserve_bytes: 0,
            ..Settings::default()
        };
        let builder = Store::builder(DIR)
            .vfs(vfs.clone())
            .clock(clock.clone())
            .entropy(SeededEntropy::new(seed))
            .settings(settings)
            .maintenance(Maintenance::Manual);
        let builder = if sealed { builder.key_provider(key()) } else { builder };
        builder.open().unwrap()
    };
    let store = open(1);
    first_run(&store, &clock);
    store.close().unwrap();
    drop(store);
    let store = open(2);
    clock.advance(Duration::from_secs(60));
    second_run(&store);
    collect(&*vfs)
}

/// Commits, moves of a relocation, a record that continues in the next segment, a clean end.
fn first_run(store: &Store, clock: &VirtualClock) {
    let photos = store.create_bucket("photos").unwrap();
    store.create_bucket("empty").unwrap();
    store.create_bucket("short-lived").unwrap();
    store.delete_bucket("short-lived").unwrap();
    photos.put("t/hello", b"hello").unwrap();
    photos.put("t/empty", b"").unwrap();
    photos.put("t/слово", "с юникодом").unwrap();
    photos.put("t/replaced", b"the first body").unwrap();
    photos.put("t/gone", b"gone").unwrap();
    photos.put("p/one-chunk", body(1, 1000)).unwrap();
    photos.put("p/two-chunks", body(2, 5000)).unwrap();
    photos.put("p/whole-chunk", body(3, 4096)).unwrap();
    photos.put("s/film", body(4, 20_000)).unwrap();
    clock.advance(Duration::from_millis(1500));
    let described =
        PutOptions::new().content_type("application/json").metadata("owner", "ann").metadata("X-Empty", "");
    photos.put_with("m/described", b"{}", described).unwrap();
    let long = PutOptions::new().content_type("image/png").metadata("long", "m".repeat(5000));
    photos.put_with("m/spilled", body(8, 300), long).unwrap();
    photos.put("t/replaced", b"the second body").unwrap();
    photos.delete("t/gone").unwrap();
    photos.rename("s/film", "s/movie").unwrap();
    store
        .write(|tx| {
            tx.put_row("settings", b"theme", b"dark")?;
            tx.put_row("settings", b"long", &body(9, 3000))?;
            tx.put_row("settings", b"gone", b"soon")?;
            (0..90).try_for_each(|at| tx.put(&photos, &format!("w/{at:03}"), body(100 + at, 30)))
        })
        .unwrap();
    store.write(|tx| tx.delete_row("settings", b"gone")).unwrap();
    store.compact(CompactOptions::new().garbage_percent(0)).unwrap();
    photos.put("p/again", body(12, 800)).unwrap();
    store.compact(CompactOptions::new().garbage_percent(100)).unwrap();
    photos.put("p/again", body(13, 900)).unwrap();
}

/// A log that was cut and goes on, a checkpoint, and commits behind it.
fn second_run(store: &Store) {
    let photos: Bucket = store.bucket("photos").unwrap();
    photos.put("tail/gone", b"gone").unwrap();
    photos.put("tail/first", body(7, 600)).unwrap();
    store.checkpoint().unwrap();
    photos.put("tail/tiny", b"not in the checkpoint").unwrap();
    photos.put("tail/packed", body(6, 700)).unwrap();
    photos.put("s/tail", body(5, 9000)).unwrap();
    photos.rename("tail/first", "tail/renamed").unwrap();
    photos.delete("tail/gone").unwrap();
    let row = |tx: &mut ossicle::Transaction<'_>| tx.put_row("settings", b"tail", b"new");
    store.write_with(ossicle::WriteOptions::new().durability(Durability::Buffered), row).unwrap();
}

fn collect(vfs: &dyn Vfs) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for dir in DIRS {
        for listed in vfs.list(&Path::new(DIR).join(dir), Site::STORE_LIST).unwrap_or_default() {
            if !listed.is_file || listed.name == "LOCK" {
                continue;
            }
            let path = Path::new(dir).join(&listed.name).to_str().unwrap().to_string();
            let file = vfs.open(&Path::new(DIR).join(&path), OpenMode::Read, Site::STORE_LIST).unwrap();
            let mut bytes = vec![0; file.size().unwrap() as usize];
            file.read_exact_at(&mut bytes, 0, Site::STORE_LIST).unwrap();
            let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            let block = if path.ends_with(".tree") { 4096 } else { BLOCK };
            bytes.truncate(if path == "SUPERBLOCK" { bytes.len() } else { used.next_multiple_of(block) });
            files.insert(path, bytes);
        }
    }
    files
}
