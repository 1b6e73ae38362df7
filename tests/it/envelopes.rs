//! Objects with an encryption of their own: nothing of them on the disk, nothing read without their key, whatever is done to them.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ossicle::*;

use crate::{assert_reads_well, code, read};

const CHUNK: usize = 64 << 10;

fn kms(byte: u8, name: &str) -> StaticKey {
    StaticKey::new([byte; 32]).named(name)
}

fn mine(byte: u8) -> CustomerKey {
    CustomerKey::new([byte; 32])
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

fn builder(disk: &Arc<MemoryVfs>) -> StoreBuilder {
    let vfs: Arc<dyn Vfs> = disk.clone();
    Store::builder("/store").vfs(vfs).settings(settings()).maintenance(Maintenance::Manual)
}

fn open(disk: &Arc<MemoryVfs>) -> Store {
    builder(disk).kms(kms(1, "one")).kms(kms(2, "two")).open().unwrap()
}

/// All bytes of all files beneath a directory.
fn files(disk: &MemoryVfs, dir: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
    let site = Site("test");
    for listed in disk.list(dir, site).unwrap() {
        let path = dir.join(&listed.name);
        if listed.is_file {
            let file = disk.open(&path, OpenMode::Read, site).unwrap();
            let mut bytes = vec![0; file.size().unwrap() as usize];
            file.read_exact_at(&mut bytes, 0, site).unwrap();
            found.push((path, bytes));
        } else {
            files(disk, &path, found);
        }
    }
}

fn found_on(disk: &MemoryVfs, what: &[u8]) -> Option<PathBuf> {
    let mut all = Vec::new();
    files(disk, Path::new("/store"), &mut all);
    let first = what[0];
    let holds = |bytes: &[u8]| {
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|byte| *byte == first) {
            if rest[at..].starts_with(what) {
                return true;
            }
            rest = &rest[at + 1..];
        }
        false
    };
    all.into_iter().find(|(_, bytes)| holds(bytes)).map(|(path, _)| path)
}

fn assert_sound(store: &Store) {
    let report = store.verify().unwrap();
    assert!(report.is_clean(), "{report:?}");
}

/// A body of this length in which a canary sings all over.
fn body(canary: &str, len: usize) -> Vec<u8> {
    canary.bytes().cycle().take(len).collect()
}

/// A body that says at each place which it is.
fn counting(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at as u8).wrapping_mul(31) ^ (at >> 8) as u8 ^ (at >> 16) as u8).collect()
}

fn with(key: &CustomerKey) -> GetOptions {
    GetOptions::new().customer_key(key)
}

fn read_with(bucket: &Bucket, name: &str, key: &CustomerKey) -> Vec<u8> {
    bucket.get_with(name, with(key)).unwrap().bytes().unwrap().to_vec()
}

#[test]
fn nothing_of_an_enveloped_body_reaches_the_disk_of_a_plain_store() {
    let canary = "canary-of-a-body";
    for named in [false, true] {
        let disk = Arc::new(MemoryVfs::new());
        let store = open(&disk);
        let bucket = store.create_bucket("plain").unwrap();
        let key = mine(9);
        let put = || match named {
            true => PutOptions::new().encryption(Encryption::kms("one")),
            false => PutOptions::new().customer_key(&key),
        };
        let upload = || match named {
            true => UploadOptions::new().encryption(Encryption::kms("one")),
            false => UploadOptions::new().customer_key(&key),
        };
        let get = || if named { GetOptions::new() } else { with(&key) };
        for len in [0, 16, 40, 5_000, 20_000, 300_000] {
            bucket.put_with(&format!("put-{len}"), body(canary, len), put()).unwrap();
        }
        let mut writer = bucket.writer("writer", put()).unwrap();
        (0..50).for_each(|_| writer.write_all(&body(canary, 3_000)).unwrap());
        writer.finish().unwrap();
        store.write(|tx| tx.put_with(&bucket, "tx", body(canary, 2_000), put())).unwrap();
        let parts = bucket.upload("parts", upload()).unwrap();
        (1..=3).for_each(|number| drop(parts.put_part(number, body(canary, 110_000)).unwrap()));
        parts.complete_all().unwrap();
        let left = bucket.upload("left", upload()).unwrap();
        left.put_part(1, body(canary, 1_000)).unwrap();
        bucket.put_with("cold", body(canary, 3_000), put().storage_class(StorageClass::Archive)).unwrap();
        bucket.copy("put-300000", "copied").unwrap();
        bucket.rename("put-20000", "renamed").unwrap();
        store.maintain(Duration::from_secs(60)).unwrap();
        store.checkpoint().unwrap();
        assert_eq!(found_on(&disk, canary.as_bytes()), None);
        let found = |bytes: &[u8]| found_on(&disk, bytes).is_some();
        assert!(!found(&[9; 32]) && !found(&[1; 32]), "a key reached the disk");
        store.close().unwrap();

        let store = open(&disk);
        let bucket = store.bucket("plain").unwrap();
        let bucket_view =
            [("put-0", 0), ("put-16", 16), ("put-300000", 300_000), ("copied", 300_000), ("tx", 2_000)];
        for (name, len) in bucket_view.into_iter().chain([("renamed", 20_000)]) {
            let bytes = bucket.get_with(name, get()).unwrap().bytes().unwrap();
            assert!(bytes == body(canary, len), "{name}");
        }
        let whole = bucket.get_with("writer", get()).unwrap().bytes().unwrap();
        assert!(whole == body(canary, 3_000).repeat(50));
        let whole = bucket.get_with("parts", get()).unwrap().bytes().unwrap();
        assert!(whole == body(canary, 110_000).repeat(3));
        assert_sound(&store);
        // The test would hear it.
        bucket.put("open", body(canary, 100)).unwrap();
        assert!(found_on(&disk, canary.as_bytes()).is_some());
    }
}

#[test]
fn ranges_of_enveloped_bodies_are_those_of_the_plain_ones() {
    let store = open(&Arc::new(MemoryVfs::new()));
    let bucket = store.create_bucket("ranges").unwrap();
    let key = mine(1);
    let whole = counting(18 * CHUNK + 77);
    bucket.put_with("long", &whole, PutOptions::new().customer_key(&key)).unwrap();
    let borders = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 16 * CHUNK - 1, 16 * CHUNK, 17 * CHUNK + 5]
        .into_iter()
        .chain([whole.len() - 1, whole.len()])
        .collect::<Vec<usize>>();
    for from in &borders {
        for to in borders.iter().filter(|to| *to > from) {
            let options = with(&key).range(*from as u64..*to as u64);
            let got = bucket.get_with("long", options).unwrap().bytes().unwrap();
            assert!(got == whole[*from..*to], "{from}..{to}");
        }
    }
    let mut object = bucket.get_with("long", with(&key)).unwrap();
    for at in [5, CHUNK - 3, 17 * CHUNK, 3] {
        object.seek(SeekFrom::Start(at as u64)).unwrap();
        let mut few = [0; 9];
        object.read_exact(&mut few).unwrap();
        assert_eq!(few, whole[at..at + 9]);
    }
    let mut out = Vec::new();
    bucket.get_with("long", with(&key)).unwrap().copy_to(&mut out).unwrap();
    assert!(out == whole);
    assert_eq!(code(bucket.get_with("long", with(&key).range(whole.len() as u64..))), "InvalidRange");
    let last = bucket.get_with("long", with(&key).last(10)).unwrap().bytes().unwrap();
    assert_eq!(last, whole[whole.len() - 10..]);

    // Parts of many sizes, an empty one, and some that are left out.
    let upload = bucket.upload("parts", UploadOptions::new().customer_key(&key)).unwrap();
    let sizes = [(1, 2 * CHUNK), (2, 2 * CHUNK), (3, 102_400), (5, CHUNK * 3 + 1), (6, 200_000), (8, 0)];
    let mut plain = Vec::new();
    let mut chosen = Vec::new();
    for (number, size) in sizes {
        let bytes = counting(size + number).split_off(number);
        let part = upload.put_part(number as u32, &bytes).unwrap();
        assert_eq!(part.size, size as u64);
        if number != 3 {
            plain.extend(bytes);
            chosen.push(part);
        }
    }
    upload.complete(&chosen).unwrap();
    assert_eq!(bucket.head("parts").unwrap().size, plain.len() as u64);
    assert!(read_with(&bucket, "parts", &key) == plain);
    for at in
        [0, 2 * CHUNK - 1, 2 * CHUNK, 4 * CHUNK - 1, 4 * CHUNK, 7 * CHUNK, 7 * CHUNK + 1, plain.len() - 1]
    {
        for len in [1, 2, CHUNK + 1, 5 * CHUNK] {
            let end = plain.len().min(at + len);
            let got = bucket.get_with("parts", with(&key).range(at as u64..end as u64)).unwrap();
            assert!(got.bytes().unwrap() == plain[at..end], "{at}..{end}");
        }
    }
    assert_sound(&store);
}

#[test]
fn a_customer_key_that_is_missing_or_wrong_is_told_and_damages_nothing() {
    let store = open(&Arc::new(MemoryVfs::new()));
    let bucket = store.create_bucket("letters").unwrap();
    let (key, other) = (mine(7), mine(8));
    let written = bucket.put_with("a", b"dear ann", PutOptions::new().customer_key(&key)).unwrap();
    assert_eq!(written.etag, bucket.put("plain", b"dear ann").unwrap().etag);
    bucket.put_with("empty", b"", PutOptions::new().customer_key(&key)).unwrap();
    for name in ["a", "empty"] {
        let error = bucket.get(name).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, "InvalidRequest"));
        assert_reads_well(&error);
        let error = bucket.get_with(name, with(&other)).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Denied, "AccessDenied"));
        assert_reads_well(&error);
    }
    let error = bucket.get_with("plain", with(&key)).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, "InvalidRequest"));
    assert_eq!(read_with(&bucket, "a", &key), b"dear ann");
    assert_eq!(read_with(&bucket, "empty", &key), b"");

    // What is known of it needs no key.
    let meta = bucket.head("a").unwrap();
    let encryption = meta.encryption().unwrap();
    assert_eq!(encryption.algorithm(), "AES256");
    assert_eq!(encryption.customer_fingerprint(), Some(key.fingerprint().as_str()));
    assert_eq!(bucket.head("plain").unwrap().encryption(), None);
    assert!(bucket.list("").unwrap().all(|entry| matches!(entry, Ok(Entry::Object(_)))));
    bucket.set_tags("a", [("team", "red")]).unwrap();
    bucket.set_metadata("a", [("owner", "ann")]).unwrap();
    assert_eq!(read_with(&bucket, "a", &key), b"dear ann");
    // A symlink leads to it; the key is the target's.
    bucket.symlink("link", "a").unwrap();
    assert_eq!(read_with(&bucket, "link", &key), b"dear ann");
    assert_eq!(code(bucket.get("link")), "InvalidRequest");
    assert_eq!(bucket.head("link").unwrap().encryption(), bucket.head("a").unwrap().encryption());

    let both = PutOptions::new().customer_key(&key).encryption(Encryption::kms("one"));
    assert_eq!(code(bucket.put_with("b", b"x", both)), "InvalidArgument");
    assert!(!bucket.exists("b").unwrap());
    assert!(!format!("{:?}", PutOptions::new().customer_key(&key)).contains("7, 7"));
    store
        .write(|tx| {
            assert_eq!(code(tx.get(&bucket, "a")), "InvalidRequest");
            assert_eq!(tx.get_with(&bucket, "a", with(&key))?.bytes()?, "dear ann");
            tx.put_with(&bucket, "in-tx", b"now", PutOptions::new().encryption(Encryption::kms("two")))?;
            assert_eq!(tx.get(&bucket, "in-tx")?.bytes()?, "now");
            let fresh = tx.create_bucket("fresh")?;
            tx.put_with(&fresh, "k", b"named", PutOptions::new().encryption(Encryption::kms("two")))
        })
        .unwrap();
    assert_eq!(read(&store.bucket("fresh").unwrap(), "k"), b"named");
}

#[test]
fn a_bucket_says_how_what_is_written_from_then_on_is_encrypted() {
    let disk = Arc::new(MemoryVfs::new());
    let store = open(&disk);
    let bucket = store.create_bucket("letters").unwrap();
    bucket.put("before", b"open").unwrap();
    assert_eq!(bucket.config::<Encryption>().unwrap(), None);
    let error = bucket.set_config(&Encryption::aes256()).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, "InvalidArgument"));
    assert!(error.to_string().contains("key_provider"), "{error}");
    let asked = PutOptions::new().encryption(Encryption::aes256());
    assert_eq!(code(bucket.put_with("x", b"x", asked)), "InvalidArgument");
    assert_eq!(code(bucket.set_config(&Encryption::kms(""))), "InvalidArgument");

    bucket.set_config(&Encryption::kms("one")).unwrap();
    assert_eq!(bucket.config::<Encryption>().unwrap(), Some(Encryption::kms("one")));
    bucket.put("default", b"sealed").unwrap();
    bucket.put_with("explicit", b"sealed", PutOptions::new().encryption(Encryption::kms("two"))).unwrap();
    bucket.put_with("mine", b"sealed", PutOptions::new().customer_key(&mine(1))).unwrap();
    let key_of = |name: &str| {
        let meta = bucket.head(name).unwrap();
        meta.encryption().and_then(|encryption| encryption.key_id().map(str::to_string))
    };
    assert_eq!(key_of("before"), None);
    assert_eq!(key_of("default").as_deref(), Some("one"));
    assert_eq!(key_of("explicit").as_deref(), Some("two"));
    assert_eq!(key_of("mine"), None);
    // What grows cannot be sealed, and is not written openly instead.
    let error = bucket.append("log", 0, b"line").unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unsupported, "OperationNotSupported"));
    assert!(!bucket.exists("log").unwrap());
    bucket.clear_config::<Encryption>().unwrap();
    bucket.put("after", b"open").unwrap();
    assert_eq!(key_of("after"), None);
    assert_eq!(read(&bucket, "default"), b"sealed");
    store.close().unwrap();

    // Without one of the keys, everything else goes on.
    let store = builder(&disk).kms(kms(2, "two")).open().unwrap();
    let bucket = store.bucket("letters").unwrap();
    let error = bucket.get("default").unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Denied, "KeyNotFound"));
    assert_reads_well(&error);
    assert_eq!(read(&bucket, "explicit"), b"sealed");
    assert_eq!(read(&bucket, "before"), b"open");
    let asked = || PutOptions::new().encryption(Encryption::kms("one"));
    assert_eq!(code(bucket.put_with("x", b"x", asked())), "KeyNotFound");
    bucket.copy("default", "copied").unwrap();
    bucket.rename("copied", "renamed").unwrap();
    assert_eq!(bucket.head("renamed").unwrap().encryption().unwrap().key_id(), Some("one"));
    store.compact(CompactOptions::default()).unwrap();
    assert_sound(&store);
    store.close().unwrap();
    let store = builder(&disk).open().unwrap();
    let bucket = store.bucket("letters").unwrap();
    assert_eq!(code(bucket.get("default")), "KmsServiceNotEnabled");
    assert_eq!(code(bucket.put_with("x", b"x", asked())), "KmsServiceNotEnabled");
    store.close().unwrap();
    let store = builder(&disk).kms(kms(5, "one")).open().unwrap();
    let error = store.bucket("letters").unwrap().get("default").unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Denied, "AccessDenied"));
    store.close().unwrap();
    assert_eq!(read(&open(&disk).bucket("letters").unwrap(), "renamed"), b"sealed");
}

#[test]
fn in_an_encrypted_store_aes256_is_what_was_asked_for() {
    let disk = Arc::new(MemoryVfs::new());
    let store = builder(&disk).key_provider(StaticKey::new([3; 32])).kms(kms(1, "one")).open().unwrap();
    let bucket = store.create_bucket("letters").unwrap();
    bucket.put("nothing-asked", b"x").unwrap();
    assert_eq!(bucket.head("nothing-asked").unwrap().encryption(), None);
    bucket.set_config(&Encryption::aes256()).unwrap();
    bucket.put("asked", b"x").unwrap();
    bucket.append("log", 0, b"line").unwrap();
    bucket.append("log", 4, b"line").unwrap();
    bucket.copy("nothing-asked", "copied").unwrap();
    for name in ["asked", "log", "copied"] {
        assert_eq!(bucket.head(name).unwrap().encryption(), Some(&ServerSideEncryption::Aes256), "{name}");
    }
    bucket.put_with("named", b"y", PutOptions::new().encryption(Encryption::kms("one"))).unwrap();
    assert_eq!(read(&bucket, "named"), b"y");
    assert_eq!(read(&bucket, "log"), b"lineline");
    assert_sound(&store);
}

/// The first bytes of an object that grows bring attributes along, and what the object says of itself stays.
#[test]
fn an_object_that_begins_empty_stays_as_dear_and_as_encrypted_as_it_was() {
    let disk = Arc::new(MemoryVfs::new());
    let store = builder(&disk).key_provider(StaticKey::new([3; 32])).open().unwrap();
    let bucket = store.create_bucket("logs").unwrap();
    bucket.set_config(&Encryption::aes256()).unwrap();
    bucket.append("log", 0, b"").unwrap();
    bucket.clear_config::<Encryption>().unwrap();
    bucket.set_pinned("log", true).unwrap();
    bucket.set_priority("log", 9).unwrap();
    bucket.set_replicated("log", false).unwrap();
    for (position, line) in [(0, &b""[..]), (0, b"line"), (4, b"line")] {
        let dressed = AppendOptions::new().content_type("text/plain");
        bucket.append_with("log", position, line, dressed).unwrap();
        let meta = bucket.head("log").unwrap();
        assert_eq!(meta.encryption(), Some(&ServerSideEncryption::Aes256), "{position}");
        assert_eq!((meta.pinned(), meta.priority(), meta.replicated()), (true, 9, false), "{position}");
    }
    assert_eq!(bucket.head("log").unwrap().content_type.as_deref(), Some("text/plain"));
    assert_eq!(read(&bucket, "log"), b"lineline");
    assert_sound(&store);
}

/// As OSS has it, how an object that grows is encrypted is decided where it begins, at position 0.
#[test]
fn an_object_grows_on_as_it_began_when_its_bucket_asks_for_a_named_key() {
    let disk = Arc::new(MemoryVfs::new());
    let store = builder(&disk).key_provider(StaticKey::new([3; 32])).kms(kms(1, "one")).open().unwrap();
    let bucket = store.create_bucket("logs").unwrap();
    for name in ["log", "empty", "dressed"] {
        bucket.append(name, 0, b"").unwrap();
    }
    bucket.append("log", 0, b"line").unwrap();
    bucket.set_config(&Encryption::kms("one")).unwrap();
    bucket.append("log", 4, b"line").unwrap();
    assert_eq!(read(&bucket, "log"), b"lineline");
    assert_eq!(bucket.head("log").unwrap().encryption(), None);
    // Nothing stands in these yet: what is written now would be the first that is not sealed.
    let dressed = AppendOptions::new().content_type("text/plain");
    for refused in [bucket.append("empty", 0, b"line"), bucket.append_with("dressed", 0, b"line", dressed)] {
        let error = refused.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Unsupported, "OperationNotSupported"));
    }
    assert_eq!(bucket.append_position("empty").unwrap(), 0);

    bucket.set_config(&Encryption::aes256()).unwrap();
    bucket.append("log", 8, b"line").unwrap();
    assert_eq!(bucket.head("log").unwrap().encryption(), None);
    bucket.append("empty", 0, b"line").unwrap();
    bucket.append_with("dressed", 0, b"line", AppendOptions::new().content_type("text/plain")).unwrap();
    for name in ["empty", "dressed"] {
        assert_eq!(bucket.head(name).unwrap().encryption(), Some(&ServerSideEncryption::Aes256), "{name}");
    }
    assert_sound(&store);
}

#[test]
fn copies_share_the_body_or_are_encrypted_anew() {
    let disk = Arc::new(MemoryVfs::new());
    let store = open(&disk);
    let (plain, named) = (store.create_bucket("plain").unwrap(), store.create_bucket("named").unwrap());
    named.set_config(&Encryption::kms("one")).unwrap();
    let (key, other) = (mine(1), mine(2));
    let text = counting(200_000);
    let in_bytes = |work: &dyn Fn()| {
        let before = store.stats().live_bytes;
        work();
        store.stats().live_bytes - before
    };
    let copy = |from: &Bucket, name: &str, to: &Bucket, new: &str, options: CopyOptions| {
        to.copy_from(from, name, new, options)
    };

    // Into a bucket that encrypts: anew, and the entity tag stays.
    let etag = plain.put("a", &text).unwrap().etag;
    let grown = in_bytes(&|| drop(copy(&plain, "a", &named, "a", CopyOptions::new()).unwrap()));
    assert!(grown > 200_000);
    let meta = named.head("a").unwrap();
    assert_eq!((meta.encryption().unwrap().key_id(), &meta.etag), (Some("one"), &etag));
    assert!(read(&named, "a") == text);
    // Within it: shared. Out of it: as the source is, which is read with the bucket's key ever after.
    let grown = in_bytes(&|| {
        copy(&named, "a", &named, "b", CopyOptions::new()).unwrap();
        copy(&named, "a", &plain, "from-named", CopyOptions::new()).unwrap();
    });
    assert!(grown < 10_000, "{grown}");
    assert!(read(&plain, "from-named") == text && read(&named, "b") == text);
    // Another bucket with the same named key has a key of its own.
    let second = store.create_bucket("second").unwrap();
    second.set_config(&Encryption::kms("one")).unwrap();
    let grown = in_bytes(&|| drop(copy(&named, "a", &second, "a", CopyOptions::new()).unwrap()));
    assert!(grown > 200_000);
    assert!(read(&second, "a") == text);

    // Customers' keys.
    let mine = |options: CopyOptions| options.customer_key(&key);
    copy(&plain, "a", &plain, "mine", mine(CopyOptions::new())).unwrap();
    assert!(read_with(&plain, "mine", &key) == text);
    let grown = in_bytes(&|| drop(copy(&plain, "mine", &plain, "same", mine(CopyOptions::new())).unwrap()));
    assert!(grown < 10_000, "{grown}");
    let theirs = || CopyOptions::new().customer_key(&other);
    assert_eq!(code(copy(&plain, "mine", &plain, "x", theirs())), "InvalidRequest");
    assert_eq!(code(copy(&plain, "mine", &plain, "x", theirs().source_customer_key(&other))), "AccessDenied");
    assert_eq!(code(copy(&plain, "mine", &named, "x", CopyOptions::new())), "InvalidRequest");
    copy(&plain, "mine", &plain, "theirs", theirs().source_customer_key(&key)).unwrap();
    assert!(read_with(&plain, "theirs", &other) == text);
    assert_eq!(code(plain.get_with("theirs", with(&key))), "AccessDenied");
    copy(&plain, "mine", &named, "x", CopyOptions::new().source_customer_key(&key)).unwrap();
    assert!(read(&named, "x") == text);
    // Onto itself, with conditions, and of many parts.
    copy(&named, "x", &named, "x", CopyOptions::new().encryption(Encryption::kms("two"))).unwrap();
    assert_eq!(named.head("x").unwrap().encryption().unwrap().key_id(), Some("two"));
    assert!(read(&named, "x") == text);
    assert_eq!(code(copy(&plain, "a", &named, "x", CopyOptions::new().if_absent())), "FileAlreadyExists");
    let upload = named.upload("parts", UploadOptions::new()).unwrap();
    let parts = [upload.put_part(1, &text).unwrap(), upload.put_part(2, b"end").unwrap()];
    let etag = upload.complete(&parts).unwrap().etag;
    copy(&named, "parts", &second, "parts", CopyOptions::new()).unwrap();
    assert_eq!(second.head("parts").unwrap().etag, etag);
    assert!(read(&second, "parts")[200_000..] == *b"end");
    // In a transaction only what needs no key.
    let error = store.write(|tx| tx.copy(&plain, "a", &named, "tx")).unwrap_err();
    assert_eq!(error.code(), "OperationNotSupported");
    store.write(|tx| tx.copy(&named, "a", &named, "tx")).unwrap();
    assert!(read(&named, "tx") == text);
    plain.symlink("link", "a").unwrap();
    copy(&plain, "link", &named, "link", CopyOptions::new()).unwrap();
    assert_eq!(code(copy(&plain, "none", &named, "x", CopyOptions::new())), "NoSuchKey");

    // The bucket whose key it is may go.
    for entry in named.list("").unwrap() {
        named.delete(entry.unwrap().name()).unwrap();
    }
    store.delete_bucket("named").unwrap();
    store.maintain(Duration::from_secs(60)).unwrap();
    store.close().unwrap();
    let store = open(&disk);
    assert!(read(&store.bucket("plain").unwrap(), "from-named") == text);
    assert_sound(&store);
}

#[test]
fn uploads_go_on_with_the_key_they_were_begun_with_and_with_no_other() {
    let disk = Arc::new(MemoryVfs::new());
    let store = open(&disk);
    let bucket = store.create_bucket("films").unwrap();
    let (key, bytes) = (mine(1), counting(150_000));
    let upload = bucket.upload("film", UploadOptions::new().customer_key(&key)).unwrap();
    let first = upload.put_part(1, &bytes).unwrap();
    let id = upload.id().to_string();
    store.close().unwrap();

    let store = open(&disk);
    let bucket = store.bucket("films").unwrap();
    let upload = bucket.resume_upload("film", &id).unwrap();
    assert_eq!(code(upload.put_part(2, b"x")), "InvalidRequest");
    assert_eq!(code(upload.clone().customer_key(&mine(2)).put_part(2, b"x")), "AccessDenied");
    let upload = upload.customer_key(&key);
    bucket.put_with("source", &bytes, PutOptions::new().encryption(Encryption::kms("one"))).unwrap();
    let second = upload.put_part_copy(2, &bucket, "source", GetOptions::new().range(0..120_000)).unwrap();
    // Over one that was put before.
    upload.put_part(3, &bytes).unwrap();
    let third = upload.put_part(3, b"the end").unwrap();
    assert_eq!(upload.parts().unwrap(), [first.clone(), second.clone(), third.clone()]);
    upload.complete(&[first, second, third]).unwrap();
    let whole = [&bytes[..], &bytes[..120_000], b"the end"].concat();
    assert!(read_with(&bucket, "film", &key) == whole);
    let plain = bucket.upload("plain", UploadOptions::new()).unwrap().customer_key(&key);
    assert_eq!(code(plain.put_part(1, b"x")), "InvalidRequest");
    assert_sound(&store);
}

/// Everything that moves bodies about leaves them as they are, without any key.
#[test]
fn enveloped_bodies_survive_tiers_forks_backups_the_past_and_salvage() {
    let disk = Arc::new(MemoryVfs::new());
    let store = open(&disk);
    let bucket = store.create_bucket("letters").unwrap();
    bucket.set_config(&Versioning::Enabled).unwrap();
    bucket.set_config(&Encryption::kms("one")).unwrap();
    let key = mine(1);
    let bodies: BTreeMap<String, Vec<u8>> =
        (0..40).map(|n| (format!("key-{n:02}"), counting(n * n * 200 + n))).collect();
    for (n, (name, bytes)) in bodies.iter().enumerate() {
        let class = [StorageClass::Standard, StorageClass::InfrequentAccess, StorageClass::Archive][n % 3];
        let options = PutOptions::new().storage_class(class);
        let options = if n % 2 == 0 { options.customer_key(&key) } else { options };
        bucket.put_with(name, bytes, options).unwrap();
    }
    let snapshot = store.snapshot().unwrap();
    let fork = store.fork_bucket("letters", "fork").unwrap();
    store.close().unwrap();

    // Moved and packed by whoever has no key.
    let store = builder(&disk).open().unwrap();
    drop((snapshot, fork));
    store.maintain(Duration::from_secs(60)).unwrap();
    store.compact(CompactOptions::default()).unwrap();
    store.maintain(Duration::from_secs(60)).unwrap();
    assert_sound(&store);
    store.backup("/backup").unwrap();
    store.close().unwrap();

    let reopen = |dir: &str| {
        let vfs: Arc<dyn Vfs> = disk.clone();
        let builder = Store::builder(dir).vfs(vfs).maintenance(Maintenance::Manual).kms(kms(1, "one"));
        builder.settings(Settings { restore_times: RestoreTimes::NONE, ..settings() }).open().unwrap()
    };
    for dir in ["/store", "/backup"] {
        let store = reopen(dir);
        for bucket in ["letters", "fork"].map(|name| store.bucket(name).unwrap()) {
            for (n, (name, bytes)) in bodies.iter().enumerate() {
                if n % 3 == 2 {
                    bucket.restore(name, RestoreOptions::new().days(1)).unwrap();
                }
                let options = if n % 2 == 0 { with(&key) } else { GetOptions::new() };
                let got = bucket.get_with(name, options).unwrap().bytes().unwrap();
                assert!(got == *bytes, "{dir} {name}");
            }
        }
        store.close().unwrap();
    }
}

#[test]
fn enveloped_bodies_are_salvaged_with_the_keys_of_their_buckets() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    let open = |path: &Path| Store::builder(path).settings(settings()).kms(kms(1, "one")).open().unwrap();
    let store = open(&from);
    let bucket = store.create_bucket("letters").unwrap();
    bucket.set_config(&Encryption::kms("one")).unwrap();
    let bytes = counting(100_000);
    bucket.put("named", &bytes).unwrap();
    bucket.put_with("mine", &bytes, PutOptions::new().customer_key(&mine(1))).unwrap();
    store.close().unwrap();
    Store::salvage(&from, &to).unwrap();
    let bucket = open(&to).bucket("letters").unwrap();
    assert!(read(&bucket, "named") == bytes && read_with(&bucket, "mine", &mine(1)) == bytes);
    assert_eq!(bucket.config::<Encryption>().unwrap(), Some(Encryption::kms("one")));
}

/// Whatever is done to objects in whatever order, each reads as what was written last, and says how it is encrypted.
#[test]
fn a_walk_through_all_encryptions_reads_what_was_written() {
    #[derive(Clone, PartialEq, Debug)]
    enum How {
        Open,
        Named(&'static str),
        Mine(u8),
    }
    let disk = Arc::new(MemoryVfs::new());
    let mut store = open(&disk);
    for name in ["one", "two", "three"] {
        store.create_bucket(name).unwrap();
    }
    store.bucket("two").unwrap().set_config(&Encryption::kms("one")).unwrap();
    let mut there: BTreeMap<(usize, usize), (Vec<u8>, How)> = BTreeMap::new();
    let mut seed = 0x9E37_79B9_7F4A_7C15u64;
    let mut chance = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 20) as usize % below
    };
    let names = ["one", "two", "three"];
    for step in 0..600 {
        let buckets = names.map(|name| store.bucket(name).unwrap());
        let (to, key) = (chance(3), chance(6));
        let asked = match chance(4) {
            0 => None,
            1 => Some(How::Named("one")),
            2 => Some(How::Named("two")),
            _ => Some(How::Mine(chance(3) as u8)),
        };
        let default = if to == 1 { How::Named("one") } else { How::Open };
        let name = key.to_string();
        match chance(8) {
            0..3 => {
                let bucket_view = [0, 10, 900, 17_000, CHUNK, CHUNK + 1, 150_000];
                let bytes = counting(bucket_view[chance(bucket_view.len())] + step).split_off(step);
                let options = match &asked {
                    None | Some(How::Open) => PutOptions::new(),
                    Some(How::Named(id)) => PutOptions::new().encryption(Encryption::kms(*id)),
                    Some(How::Mine(byte)) => PutOptions::new().customer_key(&mine(*byte)),
                };
                buckets[to].put_with(&name, &bytes, options).unwrap();
                there.insert((to, key), (bytes, asked.unwrap_or(default)));
            }
            3..6 => {
                let source = (chance(3), chance(6));
                let mut options = match &asked {
                    None | Some(How::Open) => CopyOptions::new(),
                    Some(How::Named(id)) => CopyOptions::new().encryption(Encryption::kms(*id)),
                    Some(How::Mine(byte)) => CopyOptions::new().customer_key(&mine(*byte)),
                };
                let found = there.get(&source).cloned();
                if let Some((_, How::Mine(byte))) = &found {
                    options = options.source_customer_key(&mine(*byte));
                }
                let copied = buckets[to].copy_from(&buckets[source.0], &source.1.to_string(), &name, options);
                let Some((bytes, how)) = found else {
                    assert_eq!(code(copied), "NoSuchKey");
                    continue;
                };
                copied.unwrap();
                let kept = if to == 1 { How::Named("one") } else { how };
                there.insert((to, key), (bytes, asked.unwrap_or(kept)));
            }
            6 => {
                buckets[to].delete(&name).unwrap();
                there.remove(&(to, key));
            }
            _ => match chance(4) {
                0 => drop(store.maintain(Duration::from_secs(1)).unwrap()),
                1 => store.checkpoint().unwrap(),
                2 => drop(store.compact(CompactOptions::default()).unwrap()),
                _ => {
                    store.close().unwrap();
                    store = open(&disk);
                }
            },
        }
        if step % 7 != 0 {
            continue;
        }
        for ((bucket, key), (bytes, how)) in &there {
            let bucket = store.bucket(names[*bucket]).unwrap();
            let name = key.to_string();
            let (options, says) = match how {
                How::Open => (GetOptions::new(), None),
                How::Named(id) => (GetOptions::new(), Some(format!("KMS:{id}"))),
                How::Mine(byte) => {
                    (with(&mine(*byte)), Some(format!("customer key {}", mine(*byte).fingerprint())))
                }
            };
            let meta = bucket.head(&name).unwrap();
            assert_eq!((meta.encryption().map(ToString::to_string), meta.size), (says, bytes.len() as u64));
            assert!(bucket.get_with(&name, options).unwrap().bytes().unwrap() == *bytes, "{how:?}");
        }
    }
    assert_sound(&store);
}

#[test]
fn a_rotation_costs_nothing_and_older_keys_go_when_nothing_needs_them() {
    let disk = Arc::new(MemoryVfs::new());
    let store = open(&disk);
    let bucket = store.create_bucket("letters").unwrap();
    assert_eq!(bucket.rotate_key().unwrap().keys, 0);
    bucket.set_config(&Versioning::Enabled).unwrap();
    bucket.set_config(&Encryption::kms("one")).unwrap();
    store.set_history(Some(Duration::from_secs(3600))).unwrap();
    let bodies: Vec<Vec<u8>> = (0..20).map(|n| counting(n * 7_000 + n)).collect();
    for round in 0..2 {
        for (n, bytes) in bodies.iter().enumerate().skip(round * 10) {
            bucket.put(&format!("key-{n}"), bytes).unwrap();
        }
    }
    let old_version = bucket.put("versions", b"first").unwrap().version.unwrap();
    bucket.put("versions", b"second").unwrap();
    bucket.put_with("other", b"with two", PutOptions::new().encryption(Encryption::kms("two"))).unwrap();
    bucket.put_with("mine", b"mine", PutOptions::new().customer_key(&mine(1))).unwrap();
    let parts = bucket.upload("parts", UploadOptions::new()).unwrap();
    (1..=2).for_each(|number| drop(parts.put_part(number, counting(110_000)).unwrap()));
    parts.complete_all().unwrap();
    let elsewhere = store.create_bucket("elsewhere").unwrap();
    elsewhere.copy_from(&bucket, "key-19", "copy", CopyOptions::new()).unwrap();
    let fork = store.fork_bucket("letters", "fork").unwrap();
    let going_on = bucket.upload("going-on", UploadOptions::new()).unwrap();
    going_on.put_part(1, counting(110_000)).unwrap();
    let before = bucket.head("key-5").unwrap();
    let then = before.lsn;
    elsewhere.put("gone", b"plain").unwrap();
    elsewhere.copy_from(&bucket, "key-3", "gone", CopyOptions::new()).unwrap();
    let past = elsewhere.head("gone").unwrap().lsn;
    elsewhere.delete("gone").unwrap();

    let check = |store: &Store| {
        let [bucket, elsewhere, fork] =
            ["letters", "elsewhere", "fork"].map(|name| store.bucket(name).unwrap());
        for bucket in [&bucket, &fork] {
            for (n, bytes) in bodies.iter().enumerate() {
                assert!(read(bucket, &format!("key-{n}")) == *bytes, "{n}");
            }
            assert!(read(bucket, "parts") == counting(110_000).repeat(2));
            assert_eq!(read(bucket, "versions"), b"second");
            let first = GetOptions::new().version(old_version.clone());
            assert_eq!(bucket.get_with("versions", first).unwrap().bytes().unwrap(), "first");
            assert_eq!(read(bucket, "other"), b"with two");
            assert_eq!(read_with(bucket, "mine", &mine(1)), b"mine");
        }
        assert!(read(&elsewhere, "copy") == bodies[19]);
        let then = store.as_of(past).unwrap().bucket("elsewhere").unwrap();
        assert!(then.get("gone").unwrap().bytes().unwrap() == bodies[3]);
        assert_sound(store);
    };
    check(&store);
    let written = store.stats().live_bytes;
    assert_eq!(bucket.rotate_key().unwrap().keys, 2);
    assert!(store.stats().live_bytes - written < 2_000);
    check(&store);
    bucket.put("newest", b"with the new key").unwrap();

    // Interrupted after each step, reopened, gone on with.
    let mut store = store;
    drop((bucket, elsewhere, fork));
    let mut bodies_written = 0;
    let last = loop {
        let bucket = store.bucket("letters").unwrap();
        let done = bucket.reencrypt(Duration::ZERO).unwrap();
        bodies_written += done.bodies;
        check(&store);
        store.close().unwrap();
        store = open(&disk);
        if !done.more {
            break done;
        }
    };
    assert!(bodies_written > 20, "{bodies_written}");
    // The upload that was begun before needs one of them still.
    assert_eq!((last.keys_removed, last.keys_left), (1, 1));
    let bucket = store.bucket("letters").unwrap();
    let meta = bucket.head("key-5").unwrap();
    assert_eq!((meta.lsn, &meta.etag, &meta.version), (then, &before.etag, &before.version));
    let going_on = bucket.resume_upload("going-on", going_on.id()).unwrap();
    going_on.put_part(2, b"the end").unwrap();
    going_on.complete_all().unwrap();
    assert_eq!(read(&bucket, "going-on").len(), 110_007);
    let done = bucket.reencrypt(Duration::from_secs(60)).unwrap();
    assert_eq!((done.bodies, done.keys_removed, done.keys_left), (1, 1, 0));
    assert_eq!(bucket.reencrypt(Duration::from_secs(60)).unwrap(), Reencrypted::default());
    store.maintain(Duration::from_secs(60)).unwrap();
    check(&store);
    assert_eq!(read(&bucket, "newest"), b"with the new key");
    assert_eq!(read(&bucket, "going-on").len(), 110_007);
    store.close().unwrap();
    check(&open(&disk));
}

/// A body is streamed while its bucket's key is rotated, and nothing else needs the older one, which is removed. The write
/// brings it back, and it stays a key of before: it is rotated away like any other.
#[test]
fn a_key_that_a_late_write_brings_back_stays_retired() {
    for rotations in 1..=2 {
        let disk = Arc::new(MemoryVfs::new());
        let store = open(&disk);
        let bucket = store.create_bucket("letters").unwrap();
        bucket.set_config(&Encryption::kms("one")).unwrap();
        bucket.put("first", b"with the first key").unwrap();
        let mut late = bucket.writer("late", PutOptions::new()).unwrap();
        late.write_all(&counting(50_000)).unwrap();
        bucket.delete("first").unwrap();
        for _ in 0..rotations {
            assert_eq!(bucket.rotate_key().unwrap().keys, 1);
        }
        assert_eq!(bucket.reencrypt(Duration::from_secs(60)).unwrap().keys_removed, rotations);
        late.finish().unwrap();
        assert!(read(&bucket, "late") == counting(50_000));
        assert_sound(&store);

        let done = bucket.reencrypt(Duration::from_secs(60)).unwrap();
        assert_eq!((done.bodies, done.keys_removed, done.keys_left), (1, 1, 0), "{rotations}");
        assert!(read(&bucket, "late") == counting(50_000));
        assert_eq!(bucket.rotate_key().unwrap().keys, 1);
        assert_eq!(bucket.reencrypt(Duration::from_secs(60)).unwrap().keys_left, 0);
        assert!(read(&bucket, "late") == counting(50_000));
        assert_sound(&store);
        store.close().unwrap();
        assert!(read(&open(&disk).bucket("letters").unwrap(), "late") == counting(50_000));
    }
}

/// Writers, copies and rotations at once: nothing is ever left without its key.
#[test]
fn rotations_amid_writers_leave_every_object_with_its_key() {
    let disk = Arc::new(MemoryVfs::new());
    let store = open(&disk);
    let bucket = store.create_bucket("letters").unwrap();
    bucket.set_config(&Encryption::kms("one")).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let bucket = bucket.clone();
            scope.spawn(move || {
                for n in 0..60usize {
                    let name = format!("{thread}-{}", n % 7);
                    bucket
                        .put_with(
                            &name,
                            counting(n * 300),
                            PutOptions::new().durability(Durability::Buffered),
                        )
                        .unwrap();
                    bucket.copy(&name, &format!("{thread}-copy")).unwrap();
                    bucket.rename(&name, &format!("{thread}-a-{}", n % 5)).unwrap();
                }
            });
        }
        let bucket = bucket.clone();
        scope.spawn(move || {
            for _ in 0..30 {
                bucket.rotate_key().unwrap();
                bucket.reencrypt(Duration::from_secs(1)).unwrap();
            }
        });
    });
    for entry in bucket.list("").unwrap() {
        let entry = entry.unwrap();
        read(&bucket, entry.name());
    }
    assert_sound(&store);
    store.close().unwrap();
    let store = open(&disk);
    let bucket = store.bucket("letters").unwrap();
    for entry in bucket.list("").unwrap() {
        read(&bucket, entry.unwrap().name());
    }
    bucket.rotate_key().unwrap();
    assert_eq!(bucket.reencrypt(Duration::from_secs(60)).unwrap().keys_left, 0);
    assert_sound(&store);
}

/// A body that cannot be read and a key that cannot be had stop nothing but themselves.
#[test]
fn what_cannot_be_written_anew_is_passed_over_and_told() {
    let disk = Arc::new(MemoryVfs::new());
    let store = open(&disk);
    let bucket = store.create_bucket("letters").unwrap();
    bucket.set_config(&Encryption::kms("one")).unwrap();
    for name in ["a", "b", "c"] {
        bucket.put(name, body(name, 300_000)).unwrap();
    }
    bucket
        .put_with("two", body("two", 300_000), PutOptions::new().encryption(Encryption::kms("two")))
        .unwrap();
    let rotated = bucket.rotate_key().unwrap();
    assert_eq!((rotated.keys, rotated.skipped.len()), (2, 0));
    drop(bucket);
    store.close().unwrap();

    // A byte in the middle of the second body is another one.
    let mut segments = Vec::new();
    files(&disk, Path::new("/store/bulk"), &mut segments);
    let (path, bytes) = segments.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap();
    assert!(bytes.len() >= 1_200_000);
    let file = disk.open(path, OpenMode::ReadWrite, Site("test")).unwrap();
    file.write_at(&[std::io::IoSlice::new(&[!bytes[450_000]])], 450_000, Site("test")).unwrap();

    // The second key cannot be had.
    let store = builder(&disk).kms(kms(1, "one")).open().unwrap();
    let bucket = store.bucket("letters").unwrap();
    let done = bucket.reencrypt(Duration::from_secs(60)).unwrap();
    assert_eq!(
        (done.bodies, done.skipped, done.keys_removed, done.keys_left, done.more),
        (2, 2, 0, 2, false)
    );
    let told: BTreeMap<&str, &str> = done.reasons.iter().map(|one| (&*one.name, &*one.reason)).collect();
    assert_eq!(told.keys().collect::<Vec<_>>(), [&"letters/b", &"letters/two"]);
    assert!(told["letters/two"].contains("\"two\"") && told["letters/b"].contains("bulk"), "{told:?}");
    // Of the keys too, those that can be had are rotated.
    let rotated = bucket.rotate_key().unwrap();
    assert_eq!((rotated.keys, &*rotated.skipped[0].name), (1, "two"));
    for name in ["a", "c"] {
        assert!(read(&bucket, name) == body(name, 300_000));
    }
    assert_eq!(bucket.get("b").and_then(Object::bytes).unwrap_err().kind(), ErrorKind::Corrupt);
    let done = bucket.reencrypt(Duration::from_secs(60)).unwrap();
    assert_eq!((done.bodies, done.skipped, done.keys_removed, done.keys_left), (2, 2, 1, 2));
    // When nothing else is left to be done, it is an error.
    assert_eq!(code(bucket.reencrypt(Duration::from_secs(60))), "KeyNotFound");
    drop(bucket);
    store.close().unwrap();

    // With the key it goes on, and without what is damaged it comes to an end.
    let store = open(&disk);
    let bucket = store.bucket("letters").unwrap();
    bucket.delete("b").unwrap();
    let done = bucket.reencrypt(Duration::from_secs(60)).unwrap();
    assert_eq!((done.bodies, done.skipped, done.keys_left), (1, 0, 0));
    assert!(read(&bucket, "two") == body("two", 300_000));
}

#[test]
fn writing_anew_goes_on_where_it_was_and_looks_at_few_rows_at_once() {
    let disk = Arc::new(MemoryVfs::new());
    let store = open(&disk);
    let bucket = store.create_bucket("letters").unwrap();
    bucket.set_config(&Encryption::kms("one")).unwrap();
    let quickly = || PutOptions::new().durability(Durability::Buffered);
    // Rows for two steps and more that need nothing, between two that do.
    let plain = store.create_bucket("a-plain").unwrap();
    for n in 0..10_000 {
        plain.put_with(&format!("{n:05}"), b"", quickly()).unwrap();
    }
    bucket.put("first", counting(100)).unwrap();
    let old = plain.head("00001").unwrap();
    plain.copy_from(&bucket, "first", "zz", CopyOptions::new()).unwrap();
    bucket.rotate_key().unwrap();

    // One row is looked at first and one last; no call does more than a step.
    drop((bucket, plain));
    let (mut calls, mut bodies, mut store) = (0, 0, store);
    loop {
        let done = store.bucket("letters").unwrap().reencrypt(Duration::ZERO).unwrap();
        (calls, bodies) = (calls + 1, bodies + done.bodies);
        assert!(done.bodies <= 2 && calls < 20);
        if !done.more {
            assert_eq!((done.keys_removed, done.keys_left), (1, 0));
            break;
        }
        // The place is kept by the store.
        store.close().unwrap();
        store = open(&disk);
    }
    assert_eq!(bodies, 2);
    assert!(calls >= 4, "{calls} calls looked at 10,000 rows");
    let plain = store.bucket("a-plain").unwrap();
    assert_eq!(plain.head("00001").unwrap().lsn, old.lsn);
    assert!(
        read(&plain, "zz") == counting(100)
            && read(&store.bucket("letters").unwrap(), "first") == counting(100)
    );
    assert_sound(&store);

    // A rotation in the middle is taken up as well.
    let bucket = store.bucket("letters").unwrap();
    bucket.rotate_key().unwrap();
    assert!(bucket.reencrypt(Duration::ZERO).unwrap().more);
    bucket.rotate_key().unwrap();
    let mut last = bucket.reencrypt(Duration::ZERO).unwrap();
    while last.more {
        last = bucket.reencrypt(Duration::ZERO).unwrap();
    }
    assert_eq!(last.keys_left, 0);
    // A place that is left goes with its bucket.
    bucket.rotate_key().unwrap();
    assert!(bucket.reencrypt(Duration::ZERO).unwrap().more);
    bucket.delete("first").unwrap();
    drop(bucket);
    store.delete_bucket("letters").unwrap();
    assert_sound(&store);
}

/// What was written anew has the lsn of before; where that is damaged, the body of before is no less old, and of no use
/// without its key.
#[test]
fn a_salvage_tells_of_bodies_that_it_found_as_they_were_before_they_were_written_anew() {
    for key_stays in [true, false] {
        let disk = Arc::new(MemoryVfs::new());
        let store = open(&disk);
        let bucket = store.create_bucket("letters").unwrap();
        bucket.set_config(&Encryption::kms("one")).unwrap();
        for name in ["a", "b"] {
            bucket.put(name, body(name, 200_000)).unwrap();
        }
        // It keeps the segment that they lie in.
        bucket.put_with("mine", body("mine", 200_000), PutOptions::new().customer_key(&mine(1))).unwrap();
        if key_stays {
            bucket.upload("needs the key", UploadOptions::new()).unwrap();
        }
        bucket.rotate_key().unwrap();
        let names = |disk: &MemoryVfs| {
            let mut found = Vec::new();
            files(disk, Path::new("/store/bulk"), &mut found);
            found.into_iter().map(|(path, _)| path).collect::<Vec<_>>()
        };
        let before = names(&disk);
        let done = bucket.reencrypt(Duration::from_secs(60)).unwrap();
        assert_eq!((done.bodies, done.keys_left), (2, u64::from(key_stays)));
        drop(bucket);
        store.close().unwrap();
        let after = names(&disk);
        let fresh: Vec<_> = after.iter().filter(|path| !before.contains(path)).collect();
        assert!(fresh.len() == 1 && after.len() > 1, "{before:?} {after:?}");
        let file = disk.open(fresh[0], OpenMode::ReadWrite, Site("test")).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, 100_000, Site("test")).unwrap();
        file.write_at(&[std::io::IoSlice::new(&[!byte[0]])], 100_000, Site("test")).unwrap();

        let report =
            Store::salvage_with("/store", "/saved", SalvageOptions::new().vfs(disk.clone())).unwrap();
        let names =
            |notes: &[SalvageNote]| notes.iter().map(|note| note.name.clone()).collect::<Vec<String>>();
        let (doubtful, lost) = (names(&report.doubtful), names(&report.lost));
        let vfs: Arc<dyn Vfs> = disk.clone();
        let builder = Store::builder("/saved").vfs(vfs).settings(settings()).maintenance(Maintenance::Manual);
        let store = builder.kms(kms(1, "one")).open().unwrap();
        let bucket = store.bucket("letters").unwrap();
        if key_stays {
            assert_eq!((doubtful, lost), (vec!["letters/a".to_string()], Vec::new()));
            assert!(report.doubtful[0].reason.contains("before it was written anew"), "{report:?}");
            assert!(read(&bucket, "a") == body("a", 200_000));
        } else {
            assert_eq!((doubtful, lost), (Vec::new(), vec!["letters/a".to_string()]));
            assert!(report.lost[0].reason.contains("key of a bucket"), "{report:?}");
            assert!(!bucket.exists("a").unwrap());
        }
        assert!(read(&bucket, "b") == body("b", 200_000));
        assert_sound(&store);
    }
}
