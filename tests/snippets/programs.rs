// Made from the README and the cookbook: see tests/snippets.rs.

pub const ALL: &[(&str, super::Run)] = &[
    ("README.md, program 1", readme_1::run),
    ("README.md, program 2", readme_2::run),
    ("README.md, program 3", readme_3::run),
    ("README.md, program 4", readme_4::run),
    ("docs/cookbook/append.md, program 1", append_1::run),
    ("docs/cookbook/attributes.md, program 1", attributes_1::run),
    ("docs/cookbook/backup.md, program 1", backup_1::run),
    ("docs/cookbook/budget.md, program 1", budget_1::run),
    ("docs/cookbook/budget.md, program 2", budget_2::run),
    ("docs/cookbook/classes.md, program 1", classes_1::run),
    #[cfg(feature = "client-encryption")]
("docs/cookbook/client-encryption.md, program 1", client_encryption_1::run),
    #[cfg(feature = "client-encryption")]
("docs/cookbook/client-encryption.md, program 2", client_encryption_2::run),
    ("docs/cookbook/conditions.md, program 1", conditions_1::run),
    ("docs/cookbook/copies.md, program 1", copies_1::run),
    ("docs/cookbook/encryption.md, program 1", encryption_1::run),
    ("docs/cookbook/encryption.md, program 2", encryption_2::run),
    ("docs/cookbook/encryption.md, program 3", encryption_3::run),
    ("docs/cookbook/encryption.md, program 4", encryption_4::run),
    ("docs/cookbook/encryption.md, program 5", encryption_5::run),
    ("docs/cookbook/encryption.md, program 6", encryption_6::run),
    ("docs/cookbook/feed.md, program 1", feed_1::run),
    ("docs/cookbook/forks.md, program 1", forks_1::run),
    ("docs/cookbook/lifecycle.md, program 1", lifecycle_1::run),
    ("docs/cookbook/lifecycle.md, program 2", lifecycle_2::run),
    ("docs/cookbook/lifecycle.md, program 3", lifecycle_3::run),
    ("docs/cookbook/lifecycle.md, program 4", lifecycle_4::run),
    ("docs/cookbook/multipart.md, program 1", multipart_1::run),
    ("docs/cookbook/past.md, program 1", past_1::run),
    ("docs/cookbook/readers.md, program 1", readers_1::run),
    ("docs/cookbook/retention.md, program 1", retention_1::run),
    ("docs/cookbook/tiers.md, program 1", tiers_1::run),
    ("docs/cookbook/transactions.md, program 1", transactions_1::run),
    ("docs/cookbook/transactions.md, program 2", transactions_2::run),
    ("docs/cookbook/transactions.md, program 3", transactions_3::run),
    ("docs/cookbook/versions.md, program 1", versions_1::run),
    ("docs/cookbook/versions.md, program 2", versions_2::run),
];

mod readme_1 {
fn main() -> ossicle::Result<()> {
    let store = ossicle::Store::open("photos.store")?;
    let photos = store.create_bucket_if_missing("photos")?;
    photos.put("2026/cat.jpg", b"not really a cat")?;
    let cat = photos.get("2026/cat.jpg")?.bytes()?;
    assert_eq!(&cat[..], b"not really a cat");
    store.close()
}

    pub fn run() -> Result<(), Box<dyn std::error::Error>> {
        Ok(main()?)
    }
}

mod readme_2 {
fn main() -> ossicle::Result<()> {
    let store = ossicle::Store::open("photos.store")?;
    let report = store.verify()?;
    assert!(report.is_clean(), "{:?}", report.problems);
    store.close()
}

    pub fn run() -> Result<(), Box<dyn std::error::Error>> {
        Ok(main()?)
    }
}

mod readme_3 {
fn main() -> ossicle::Result<()> {
    let writer = ossicle::Store::open("photos.store")?;
    let reader = ossicle::Store::builder("photos.store").read_only(true).open()?; // here, or in any other process
    writer.create_bucket_if_missing("photos")?.put("tom.jpg", "meow")?;
    reader.refresh()?;
    assert!(reader.bucket("photos")?.exists("tom.jpg")?);
    writer.close()
}

    pub fn run() -> Result<(), Box<dyn std::error::Error>> {
        Ok(main()?)
    }
}

mod readme_4 {
use ossicle::{ErrorKind, PutOptions};

fn main() -> ossicle::Result<()> {
    let store = ossicle::Store::in_memory()?;
    let bucket = store.create_bucket("photos")?;
    bucket.put("key", "first")?;
    let error = bucket.put_with("key", "second", PutOptions::new().if_absent()).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Precondition, "FileAlreadyExists"));
    Ok(())
}

    pub fn run() -> Result<(), Box<dyn std::error::Error>> {
        Ok(main()?)
    }
}

mod append_1 {
use ossicle::Store;
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = Store::in_memory()?;
    let logs = store.create_bucket("logs")?;
    let position = logs.append("today", 0, b"begun\n")?.next_position;
    let position = logs.append("today", position, b"working\n")?.next_position;
    assert_eq!(logs.append("today", 0, b"late").unwrap_err().code(), "PositionNotEqualToLength");
    assert_eq!(logs.append_position("today")?, position);

    let mut follow = logs.follow("today", 0)?;
    let seen = follow.next(Duration::from_secs(1))?.expect("there is something");
    assert!(b"begun\nworking\n".starts_with(&seen[..]));

    let writer = logs.clone();
    let writing = std::thread::spawn(move || writer.append("today", position, b"done\n").map(|_| ()));
    let mut rest = seen.to_vec();
    while !rest.ends_with(b"done\n") {
        rest.extend(follow.next(Duration::from_secs(10))?.expect("more comes"));
    }
    writing.join().unwrap()?;
    assert_eq!(rest, b"begun\nworking\ndone\n");
    Ok(())
}

    pub fn run() -> Result<(), Box<dyn std::error::Error>> {
        Ok(main()?)
    }
}

mod attributes_1 {
use ossicle::{Acl, ContentHeaders, PutOptions, Store};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = Store::in_memory()?;
    let photos = store.create_bucket("photos")?;
    let mut headers = ContentHeaders::default();
    headers.cache_control = Some("max-age=3600".to_string());
    photos.put_with(
        "cat.png",
        b"not really a png",
        PutOptions::new()
            .content_type("image/png")
            .metadata("owner", "ann")
            .tag("team", "red")
            .headers(headers),
    )?;

    photos.set_tags("cat.png", [("team", "blue"), ("year", "2026")])?;
    for (key, value) in photos.tags("cat.png")? {
        println!("{key} = {value}");
    }
    photos.set_metadata("cat.png", [("owner", "bob")])?;
    photos.set_acl("cat.png", Acl::PublicRead)?;
    let meta = photos.head("cat.png")?;
    assert_eq!(meta.metadata["owner"], "bob");
    assert_eq!(meta.headers().cache_control.as_deref(), Some("max-age=3600"));

    // A symlink leads to a key of the same bucket. It is followed one level.
    photos.symlink("latest", "cat.png")?;
    assert_eq!(&photos.get("latest")?.bytes()?[..], b"not really a png");
    assert_eq!(photos.read_link("latest")?, "cat.png");
    Ok(())
}

    pub fn run() -> Result<(), Box<dyn std::error::Error>> {
        Ok(main()?)
    }
}

mod backup_1 {
use ossicle::Store;

fn main() -> ossicle::Result<()> {
    let store = Store::open("live")?;
    let letters = store.create_bucket_if_missing("letters")?;
    letters.put("a", b"dear b")?;
    store.backup("backup")?;
    letters.put("b", b"dear a")?;
    let report = store.backup("backup")?;
    println!("the backup shows commit {}", report.lsn);
    store.close()?;

    // What is restored or salvaged goes into a new directory: remove that of an earlier run.
    let _ = std::fs::remove_dir_all("restored");
    Store::restore("backup", "restored")?;
    let restored = Store::open("restored")?;
    assert_eq!(restored.bucket("letters")?.usage("")?.objects, 2);
    restored.close()?;

    let _ = std::fs::remove_dir_all("salvaged");
    let salvaged = Store::salvage("live", "salvaged")?;
    assert!(salvaged.is_whole());
    Ok(())
}

    pub fn run() -> Result<(), Box<dyn std::error::Error>> {
        Ok(main()?)
    }
}

mod budget_1 {
use ossicle::{Budget, EvictBy, PutOptions, Store};

fn main() -> ossicle::Result<()> {
    let store = Store::in_memory()?;
    let cache = store.create_bucket("cache")?;
    cache.set_config(&Budget::bytes(1000).order([EvictBy::Priority, EvictBy::OldestAccess]).headroom(0))?;

    cache.put_with("thumbnail", [0; 400], PutOptions::new().priority(10))?;
    cache.put("page", [0; 400])?;
    cache.put("film", [0; 400])?;
    assert!(!cache.exists("thumbnail")? && cache.exists("page")?);
    Ok(())
}

    pub fn run() -> Result<(), Box<dyn std::error::Error>> {
        Ok(main()?)
    }
}

mod budget_2 {
use ossicle::{Budget, PutOptions, Store};

fn main() -> ossicle::Result<()> {
    let store = Store::in_memory()?;
    let spool = store.create_bucket("spool")?;
    spool.set_config(&Budget::bytes(1000).headroom(0))?;
    spool.put_with("readme", [0; 300], PutOptions::new().pinned(true))?;
    spool.put_with("reading 1", [0; 600], PutOptions::new().replicated(false))?;

    let error = spool.put("reading 2", [0; 600]).unwrap_err();
    assert_eq!(error.code(), "QuotaExceeded");

    // It was copied elsewhere.
    spool.set_replicated("reading 1", true)?;
    spool.put_with("reading 2", [0; 600], PutOptions::new().replicated(false))?;
    assert!(!spool.exists("reading 1")? && spool.exists("readme")?);
    Ok(())
}

    pub fn run() -> Result<(), Box<dyn std::error::Error>> {
        Ok(main()?)
    }
}

mod classes_1 {
use ossicle::{
    CopyOptions, CreateBucketOptions, ErrorKind, MemoryVfs, PutOptions, RestoreOptions, RestorePriority,
    RestoreStatus, StorageClass, Store, VirtualClock,
};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    // A clock that the program moves.
    let clock = VirtualClock::at(SystemTime::UNIX_EPOCH + DAY * 20_000);
    let store = Store::builder("/store").vfs(Arc::new(MemoryVfs::new())).clock(clock.clone()).open()?;
    let attic = store
        .create_bucket_with("attic", CreateBucketOptions::new().storage_class(StorageClass::ColdArchive))?;

    attic.put("letters", b"dear tom")?;
    attic.put_with(
        "index",
        b"letters: 1",
        PutOptions::new().storage_class(StorageClass::InfrequentAccess),
    )?;
    assert_eq!(attic.head("letters")?.class, StorageClass::ColdArchive);
    assert_eq!(&attic.get("index")?.bytes()?[..], b"letters: 1");
    assert_eq!(attic.get("letters").unwrap_err().kind(), ErrorKind::Archived);

    // A restore takes five hours in this class, one hour with the highest priority.
    attic.restore("letters", RestoreOptions::new().days(10))?;
    assert_eq!(
        attic.restore("letters", RestoreOptions::new()).unwrap_err().code(),
        "RestoreAlreadyInProgress"
    );
    let status = attic.restore("letters", RestoreOptions::new().priority(RestorePriority::Expedited))?;
    if let RestoreStatus::Ongoing { ready, .. } = status {
        clock.set(ready);
    }
    assert_eq!(&attic.get("letters")?.bytes()?[..], b"dear tom");

    // While it lasts it can be copied, and it can change its class.
    attic.copy_from(
        &attic,
        "letters",
        "to read",
        CopyOptions::new().storage_class(StorageClass::Standard),
    )?;
    clock.advance(DAY * 10);
    assert!(attic.get("letters").is_err() && attic.head("letters")?.restore().is_none());
    assert_eq!(
        attic.set_storage_class("letters", StorageClass::Standard).unwrap_err().code(),
        "InvalidObjectState"
    );

    // What OSS would charge for: at least 64 KiB an object, and for 30, 60 or 180 days.
    let bill = attic.billing("")?;
    assert_eq!((bill.bytes(), bill.billable_bytes()), (26, 8 + 2 * 65_536));
    for class in &bill.classes {
        println!("{}: {} of {} objects would go too early", class.class, class.early_objects, class.objects);
    }
    Ok(())
}

    pub fn run() -> Result<(), Box<dyn std::error::Error>> {
        Ok(main()?)
    }
}

#[cfg(feature = "client-encryption")]
mod client_encryption_1 {
use std::fs::read_to_string;

use ossicle::adapters::client_encryption::{EncryptedBucket, RsaMasterKey};
use ossicle::{GetOptions, Store};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Made with `openssl genrsa -out private.pem 2048` and `openssl rsa -in private.pem -pubout -out public.pem`.
    let (pem, public_pem) = (read_to_string("private.pem")?, read_to_string("public.pem")?);

    let store = Store::in_memory()?;
    let bucket = store.create_bucket("letters")?;

    // The public half is enough to write ...
    let outbox = EncryptedBucket::new(&bucket, RsaMasterKey::from_pem(&public_pem)?);
    outbox.put("to-ann", b"dear ann")?;
    assert!(outbox.get("to-ann").is_err());
    assert_ne!(&bucket.get("to-ann")?.bytes()?[..], b"dear ann");

    // ... and the private one reads, whole, streamed or in ranges.
    let inbox = EncryptedBucket::new(&bucket, RsaMasterKey::from_pem(&pem)?).encrypted_only(true);
    assert_eq!(inbox.get("to-ann")?.bytes()?, b"dear ann");
    assert_eq!(inbox.get_with("to-ann", GetOptions::new().range(5..))?.bytes()?, b"ann");

    // Everything else is done with the bucket: no key is needed for it.
    inbox.bucket().rename("to-ann", "sent/to-ann")?;
    assert_eq!(inbox.head("sent/to-ann")?.0.size, 8);
    Ok(())
}

    pub fn run() -> Result<(), Box<dyn std::error::Error>> {
        Ok(main()?)
    }
}

#[cfg(feature = "client-encryption")]
mod client_encryption_2 {
use std::fs::read_to_string;

use ossicle::Store;
use ossicle::adapters::client_encryption::{EncryptedBucket, RsaMasterKey};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = Store::in_memory()?;
    let bucket = store.create_bucket("letters")?;
    let old = RsaMasterKey::from_pem(&read_to_string("private.pem")?)?.described([("key", "2025")]);
    let new = RsaMasterKey::from_pem(&read_to_string("new.pem")?)?.described([("key", "2026")]);
    EncryptedBucket::new(&bucket, old.clone()).put("a", b"body")?;

    let letters = EncryptedBucket::new(&bucket, new).also_reads(old);
    letters.put("b", b"body")?;
    assert_eq!(letters.get("a")?.bytes()?, b"body");
    assert_eq!(letters.head("b")?.1.unwrap().description().to_string(), r#"{"key":"2026"}"#);
    Ok(())
}

    pub fn run() -> Result<(), Box<dyn std::error::Error>> {
        Ok(main()?)
    }
}

mod conditions_1 {
use ossicle::{CopyOptions, ErrorKind, GetOptions, PutOptions, Store};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = Store::in_memory()?;
    let locks = store.create_bucket("locks")?;

    // Create if absent: a lock that only one writer gets.
    let taken = locks.put_with("leader", b"node-1", PutOptions::new().if_absent())?;
    let late = locks.put_with("leader", b"node-2", PutOptions::new().if_absent()).unwrap_err();
    assert_eq!((late.kind(), late.code()), (ErrorKind::Precondition, "FileAlreadyExists"));

    // Compare and swap: only what was read is replaced.
    let mine = locks.put_with("leader", b"node-3", PutOptions::new().if_match(taken.etag.clone()))?;
    assert!(locks.put_with("leader", b"node-4", PutOptions::new().if_match(taken.etag)).is_err());

    // Read only what has changed.
    let same = locks.get_with("leader", GetOptions::new().if_none_match(mine.etag.clone())).unwrap_err();
    assert_eq!(same.kind(), ErrorKind::NotModified);
    locks.copy_from(&locks, "leader", "backup", CopyOptions::new().source_if_match(mine.etag))?;
    Ok(())
}

    pub fn run() -> Result<(), Box<dyn std::error::Error>> {
        Ok(main()?)
    }
}

mod copies_1 {
use ossicle::Store;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = Store::in_memory()?;
    let work = store.create_bucket("work")?;
    let archive = store.create_bucket("archive")?;
    for n in 0..500 {
        work.put(&format!("tmp/{n}"), vec![1; 100])?;
    }
    work.put("film.raw", vec![7; 4 << 20])?;

    archive.copy_from(&work, "film.raw", "2026/film.raw", Default::default())?;
    work.rename("film.raw", "film-1.raw")?;

    assert_eq!(work.rename_prefix("tmp/", "kept/")?.objects, 500);
    assert!(work.exists("kept/0")? && !work.exists("tmp/0")?);
    assert_eq!(work.delete_prefix("kept/")?.objects, 500);
    assert_eq!(work.usage("")?.objects, 1);
    Ok(())
}

    pub fn run() -> Result<(), Box<dyn std::error::Error>> {
        Ok(main()?)
    }
}

mod encryption_1 {
use ossicle::{ErrorKind, KeyFile, Passphrase, Store};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = "letters.store";
    let phrase = || Passphrase::new("correct horse battery staple");
    let store = Store::builder(path).key_provider(phrase()).open()?;
    let letters = store.create_bucket_if_missing("letters")?;
    letters.put("to-ann", b"dear ann")?;
    store.close()?;

    // Without the key, or with a wrong one, the store does not open, and nothing is changed.
    assert_eq!(Store::open(path).unwrap_err().kind(), ErrorKind::Denied);

    // The passphrase is changed for a key in a file. A real one is random: `head -c 32 /dev/urandom > letters.key`.
    std::fs::write("letters.key", [7; 32])?;
    let store = Store::builder(path).key_provider(phrase()).open()?;
    store.rotate_key(KeyFile::open("letters.key")?)?;
    store.close()?;
    let store = Store::builder(path).key_provider(KeyFile::open("letters.key")?).open()?;
    assert_eq!(&store.bucket("letters")?.get("to-ann")?.bytes()?[..], b"dear ann");

    // And back.
    store.rotate_key(phrase())?;
    store.close()?;
    Ok(())
}

    pub fn run() -> Result<(), Box<dyn std::error::Error>> {
        Ok(main()?)
    }
}

mod encryption_2 {
use std::io;

use ossicle::{KeyCallback, SecretKey, Store};

/// Stands for the client of your key service.
#[derive(Clone)]
struct Kms;

impl Kms {
    fn encrypt(&self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        Ok(bytes.iter().map(|byte| byte ^ 0x5A).collect())
    }

    fn decrypt(&self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        self.encrypt(bytes)
    }
}

fn main() -> ossicle::Result<()> {
    let (kms, same) = (Kms, Kms);
    let provider = KeyCallback::new(
        "kms/letters",
        move |key, _context| kms.encrypt(key.as_bytes()),
        move |_key_id, wrapped, _context| {
            let bytes = same.decrypt(wrapped)?;
            Ok(SecretKey::new(bytes.try_into().map_err(|_| io::Error::other("this is no key"))?))
        },
    );
    let store = Store::builder("kms.store").key_provider(provider).open()?;
    assert_eq!(store.key_id().as_deref(), Some("kms/letters"));
    store.close()
}

    pub fn run() -> Result<(), Box<dyn std::error::Error>> {
        Ok(main()?)
    }
}

mod encryption_3 {
use ossicle::{StaticKey, Store};

fn main() -> ossicle::Result<()> {
    let store = Store::builder("shredded.store").key_provider(StaticKey::new([7; 32])).open()?;
    let letters = store.create_bucket("letters")?;
    letters.put("ann/1", b"dear ann")?;
    letters.put("mary/1", "dear mary, ".repeat(100))?;
    letters.copy("mary/1", "copy of mary/1")?;

    let shredded = letters.shred_prefix("mary/")?;
    assert_eq!(shredded.objects, 1);
    // A copy has the body too, so it is not gone yet.
    assert_eq!(shredded.shared_objects, 1);
    assert_eq!(letters.shred("copy of mary/1")?.shared_objects, 0);
    assert_eq!(&letters.get("ann/1")?.bytes()?[..], b"dear ann");

    // The whole bucket; then everything else in the store is encrypted again with fresh keys.
    store.shred_bucket("letters")?;
    store.reencrypt()?;
    assert!(!store.is_shredding()?);
    store.close()
}

    pub fn run() -> Result<(), Box<dyn std::error::Error>> {
        Ok(main()?)
    }
}

mod encryption_4 {
use std::sync::Arc;

use ossicle::{Encryption, ErrorKind, MemoryVfs, StaticKey, Store};

fn main() -> ossicle::Result<()> {
    let disk = Arc::new(MemoryVfs::new());
    let store = Store::builder("/store").vfs(disk.clone()).kms(StaticKey::new([1; 32]).named("letters")).open()?;
    let bucket = store.create_bucket("letters")?;
    bucket.put("old", b"open to all")?;
    bucket.set_config(&Encryption::kms("letters"))?;
    bucket.put("new", b"for few")?;
    assert_eq!(bucket.head("new")?.encryption().unwrap().to_string(), "KMS:letters");
    assert_eq!(bucket.head("old")?.encryption(), None);

    // An existing object is encrypted by copying it onto itself.
    bucket.copy("old", "old")?;
    assert_eq!(bucket.head("old")?.encryption().unwrap().key_id(), Some("letters"));
    store.close()?;

    // Without that key everything else can be read, and all objects can be renamed, copied and backed up.
    let store = Store::builder("/store").vfs(disk).open()?;
    let bucket = store.bucket("letters")?;
    assert_eq!(bucket.get("new").unwrap_err().kind(), ErrorKind::Denied);
    bucket.rename("new", "newer")?;
    Ok(())
}

    pub fn run() -> Result<(), Box<dyn std::error::Error>> {
        Ok(main()?)
    }
}

mod encryption_5 {
use ossicle::{CopyOptions, CustomerKey, GetOptions, PutOptions, Store};

fn main() -> ossicle::Result<()> {
    let store = Store::in_memory()?;
    let bucket = store.create_bucket("letters")?;

    let (ann, bob) = (CustomerKey::new([1; 32]), CustomerKey::new([2; 32]));
    bucket.put_with("to-ann", b"dear ann", PutOptions::new().customer_key(&ann))?;
    let options = GetOptions::new().customer_key(&ann).range(5..);
    assert_eq!(&bucket.get_with("to-ann", options)?.bytes()?[..], b"ann");
    assert_eq!(bucket.get("to-ann").unwrap_err().code(), "InvalidRequest");
    assert_eq!(
        bucket.get_with("to-ann", GetOptions::new().customer_key(&bob)).unwrap_err().code(),
        "AccessDenied"
    );

    // A copy with another key is encrypted again; a copy without one shares the body, and needs no key.
    bucket.copy_from(
        &bucket,
        "to-ann",
        "to-bob",
        CopyOptions::new().source_customer_key(&ann).customer_key(&bob),
    )?;
    bucket.copy("to-ann", "to-ann-again")?;
    assert_eq!(&bucket.get_with("to-bob", GetOptions::new().customer_key(&bob))?.bytes()?[..], b"dear ann");
    Ok(())
}

    pub fn run() -> Result<(), Box<dyn std::error::Error>> {
        Ok(main()?)
    }
}

mod encryption_6 {
use std::time::Duration;

use ossicle::{Encryption, StaticKey, Store};

fn main() -> ossicle::Result<()> {
    let store = Store::builder("rotated.store").kms(StaticKey::new([1; 32]).named("letters")).open()?;
    let bucket = store.create_bucket_if_missing("letters")?;
    bucket.set_config(&Encryption::kms("letters"))?;
    bucket.put("to-ann", b"dear ann")?;
    bucket.rotate_key()?;
    while bucket.reencrypt(Duration::from_millis(100))?.more {}
    assert_eq!(&bucket.get("to-ann")?.bytes()?[..], b"dear ann");
    store.close()
}

    pub fn run() -> Result<(), Box<dyn std::error::Error>> {
        Ok(main()?)
    }
}

mod feed_1 {
use ossicle::{ChangeOp, Lsn, Store};

fn main() -> ossicle::Result<()> {
    let store = Store::in_memory()?;
    let orders = store.create_bucket("orders")?;
    store.set_cursor("mailer", Lsn(0))?;
    orders.put("1", b"two cats")?;
    store.write(|tx| {
        tx.put(&orders, "2", b"a dog")?;
        tx.delete(&orders, "1")
    })?;

    let after = store.cursor("mailer")?.expect("set above");
    for change in store.changes(after)? {
        let change = change?;
        for op in &change.ops {
            match op {
                ChangeOp::Put { bucket, key, .. } => println!("{}: {bucket}/{key}", change.lsn),
                ChangeOp::Delete { bucket, key, .. } => println!("{}: {bucket}/{key} is gone", change.lsn),
                _ => {}
            }
        }
        // Setting a cursor is a commit too, one with nothing in it: it needs no answer, or this would never end.
        // To commit it together with what was done about the change, use `tx.set_cursor`.
        if !change.ops.is_empty() {
            store.set_cursor("mailer", change.lsn)?;
        }
    }

    // To begin again: a snapshot, then what came after it.
    let snapshot = store.snapshot()?;
    let mut later = store.changes(snapshot.lsn())?;
    assert!(later.next().is_none());
    Ok(())
}

    pub fn run() -> Result<(), Box<dyn std::error::Error>> {
        Ok(main()?)
    }
}

mod forks_1 {
use ossicle::Store;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = Store::in_memory()?;
    let live = store.create_bucket("live")?;
    live.put("a", b"1")?;
    live.put("b", b"2")?;

    let trial = store.fork_bucket("live", "trial")?;
    trial.put("a", b"one")?;
    trial.delete("b")?;
    assert_eq!(&live.get("a")?.bytes()?[..], b"1");

    for difference in trial.diff_parent()? {
        let difference = difference?;
        println!("{}: {:?} -> {:?}", difference.key, difference.before.is_some(), difference.after.is_some());
    }
    store.delete_bucket("trial")?;
    Ok(())
}

    pub fn run() -> Result<(), Box<dyn std::error::Error>> {
        Ok(main()?)
    }
}

mod lifecycle_1 {
use ossicle::{Lifecycle, Rule, StorageClass, Store};

fn main() -> ossicle::Result<()> {
    let store = Store::in_memory()?;
    let bucket = store.create_bucket("archive")?;
    bucket.set_config(&Lifecycle::new([
        Rule::new("logs/")
            .id("logs")
            .except("logs/audit/")
            .transition_after(30, StorageClass::InfrequentAccess)
            .transition_after(90, StorageClass::Archive)
            .expire_after(365),
        Rule::new("uploads/").id("uploads").abort_uploads_after(7),
    ]))?;
    assert_eq!(bucket.config::<Lifecycle>()?.unwrap().rules.len(), 2);
    Ok(())
}

    pub fn run() -> Result<(), Box<dyn std::error::Error>> {
        Ok(main()?)
    }
}

mod lifecycle_2 {
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ossicle::{Lifecycle, Maintenance, MemoryVfs, Rule, Store, VirtualClock};

fn main() -> ossicle::Result<()> {
    let clock = VirtualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    let store = Store::builder("/store")
        .vfs(Arc::new(MemoryVfs::new()))
        .clock(clock.clone())
        .maintenance(Maintenance::Manual)
        .open()?;
    let bucket = store.create_bucket("tmp")?;
    bucket.put("scratch", b"...")?;
    bucket.set_config(&Lifecycle::new([Rule::new("").id("old").expire_after(3)]))?;

    // What would the run in ten days do? And when does this object go?
    let in_ten_days = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + 10 * 86_400);
    for due in bucket.lifecycle_preview(Some(in_ten_days))? {
        let due = due?;
        println!("{} {} (rule {})", due.action, due.key, due.rule);
    }
    assert_eq!(bucket.head("scratch")?.expiration().unwrap().rule, "old");

    clock.advance(Duration::from_secs(10 * 86_400));
    let report = store.maintain(Duration::from_secs(1))?;
    assert_eq!(report.lifecycle.expired, 1);
    assert_eq!(bucket.lifecycle_report()?.unwrap().counts.expired, 1);
    Ok(())
}

    pub fn run() -> Result<(), Box<dyn std::error::Error>> {
        Ok(main()?)
    }
}

mod lifecycle_3 {
use ossicle::{Lifecycle, Rule, Store, Versioning};

fn main() -> ossicle::Result<()> {
    let store = Store::in_memory()?;
    let bucket = store.create_bucket("manuals")?;
    bucket.set_config(&Versioning::Enabled)?;
    bucket.set_config(&Lifecycle::new([
        Rule::new("docs/").expire_after(365).noncurrent_expire_after(30),
        Rule::new("docs/").expire_markers(),
    ]))
}

    pub fn run() -> Result<(), Box<dyn std::error::Error>> {
        Ok(main()?)
    }
}

mod lifecycle_4 {
use ossicle::{AccessMonitor, Lifecycle, Rule, StorageClass, Store, Transition};

fn main() -> ossicle::Result<()> {
    let store = Store::in_memory()?;
    let bucket = store.create_bucket("photos")?;
    bucket.set_config(&AccessMonitor::Enabled)?;
    let unread = Transition::unread_for(60, StorageClass::InfrequentAccess).return_on_visit();
    bucket.set_config(&Lifecycle::new([Rule::new("").transition(unread)]))?;
    Ok(())
}

    pub fn run() -> Result<(), Box<dyn std::error::Error>> {
        Ok(main()?)
    }
}

mod multipart_1 {
use ossicle::{ListOptions, Store, UploadOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = Store::in_memory()?;
    let videos = store.create_bucket("videos")?;
    let upload = videos.upload("film.mp4", UploadOptions::new().content_type("video/mp4"))?;
    let part = vec![7; 200 * 1024];
    std::thread::scope(|scope| {
        for number in [2, 1, 3] {
            let (upload, part) = (&upload, &part);
            scope.spawn(move || upload.put_part(number, part).unwrap());
        }
    });

    // Another process, another day: the upload is found again by its id.
    let id = upload.id().to_string();
    let upload = videos.resume_upload("film.mp4", &id)?;
    assert_eq!(videos.usage("")?.upload_bytes, 3 * 200 * 1024);
    let parts = upload.parts()?;
    upload.complete(&parts)?;
    assert_eq!(videos.head("film.mp4")?.size, 3 * 200 * 1024);

    // Unfinished uploads can be listed and aborted.
    let abandoned = videos.upload("other.mp4", UploadOptions::new())?;
    assert_eq!(videos.uploads(ListOptions::new())?.count(), 1);
    abandoned.abort()?;
    Ok(())
}

    pub fn run() -> Result<(), Box<dyn std::error::Error>> {
        Ok(main()?)
    }
}

mod past_1 {
use ossicle::Store;
use std::time::{Duration, SystemTime};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = Store::in_memory()?;
    store.set_history(Some(Duration::from_secs(24 * 3600)))?;
    let config = store.create_bucket("config")?;
    let before = config.put("limits", b"10")?.lsn;
    let snapshot = store.snapshot()?;
    config.put("limits", b"99")?;
    config.delete("limits")?;

    assert_eq!(&snapshot.bucket("config")?.get("limits")?.bytes()?[..], b"10");
    assert_eq!(&store.as_of(before)?.bucket("config")?.get("limits")?.bytes()?[..], b"10");
    let now = store.as_of(SystemTime::now())?;
    assert!(!now.bucket("config")?.exists("limits")?);
    // Bytes that only the past needs are counted apart.
    assert_eq!((store.usage()?.bytes, store.usage()?.pinned_bytes), (0, 4));
    Ok(())
}

    pub fn run() -> Result<(), Box<dyn std::error::Error>> {
        Ok(main()?)
    }
}

mod readers_1 {
use ossicle::Store;

fn main() -> ossicle::Result<()> {
    let writer = Store::open("news.store")?;
    let news = writer.create_bucket_if_missing("news")?;
    news.put("today", b"rain")?;

    // In another process:
    let reader = Store::builder("news.store").read_only(true).open()?;
    assert_eq!(&reader.bucket("news")?.get("today")?.bytes()?[..], b"rain");

    news.put("today", b"sun")?;
    assert_eq!(&reader.bucket("news")?.get("today")?.bytes()?[..], b"rain");
    reader.refresh()?;
    assert_eq!(&reader.bucket("news")?.get("today")?.bytes()?[..], b"sun");
    reader.close()?;
    writer.close()?;
    Ok(())
}

    pub fn run() -> Result<(), Box<dyn std::error::Error>> {
        Ok(main()?)
    }
}

mod retention_1 {
use ossicle::{ErrorKind, Quota, Retention, RetentionMode, Store};
use std::time::{Duration, SystemTime};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = Store::in_memory()?;
    let books = store.create_bucket("books")?;
    books.put("2026", b"balanced")?;
    let until = SystemTime::now() + Duration::from_secs(3600);
    books.set_retention("2026", Retention { mode: RetentionMode::Compliance, until })?;
    assert_eq!(books.delete("2026").unwrap_err().code(), "FileImmutable");
    assert_eq!(books.delete_prefix("").unwrap_err().kind(), ErrorKind::Immutable);

    books.put("draft", b"in court")?;
    books.set_legal_hold("draft", true)?;
    assert!(books.put("draft", b"changed").is_err());
    books.set_legal_hold("draft", false)?;
    books.put("draft", b"changed")?;

    // A quota limits a bucket; a write that would exceed it fails, and nothing else happens.
    books.set_config(&Quota { bytes: Some(1000), ..Quota::default() })?;
    assert_eq!(books.put("big", vec![0; 2000]).unwrap_err().kind(), ErrorKind::Quota);
    Ok(())
}

    pub fn run() -> Result<(), Box<dyn std::error::Error>> {
        Ok(main()?)
    }
}

mod tiers_1 {
use ossicle::{PutOptions, StorageClass, Store, Tier};
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The directory of a tier is an absolute path: the store remembers it.
    let slow_disk = std::env::current_dir()?.join("slow disk");
    let store = Store::builder("logs.store")
        .tier(StorageClass::InfrequentAccess, Tier::new().level(3).chunk(256 << 10))
        .tier(StorageClass::Archive, Tier::new().dir(&slow_disk))
        .open()?;
    let logs = store.create_bucket_if_missing("logs")?;

    // A long body streams to its tier as it comes.
    let text = "the same line, again and again\n".repeat(50_000);
    logs.put_with("2026/march", &text, PutOptions::new().storage_class(StorageClass::InfrequentAccess))?;
    let middle = logs.get_with("2026/march", ossicle::GetOptions::new().range(31..61))?.bytes()?;
    assert_eq!(&middle[..], &text.as_bytes()[31..61]);

    // A change of class changes one row; maintenance moves the bytes later, and packs short bodies together.
    logs.put("2026/april", &text)?;
    logs.set_storage_class("2026/april", StorageClass::Archive)?;
    store.maintain(Duration::from_secs(10))?;

    let tiers = store.stats().tiers;
    let stored = tiers[StorageClass::InfrequentAccess as usize].live_bytes;
    assert!(stored * 10 < text.len() as u64);
    assert!(tiers[StorageClass::Archive as usize].live_bytes > 0);
    Ok(())
}

    pub fn run() -> Result<(), Box<dyn std::error::Error>> {
        Ok(main()?)
    }
}

mod transactions_1 {
use ossicle::Store;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = Store::in_memory()?;
    let inbox = store.create_bucket("inbox")?;
    let done = store.create_bucket("done")?;
    inbox.put("job-1", b"resize cat.jpg")?;

    store.write(|tx| {
        // Reads see what the transaction has written so far. From the first read on nobody else writes,
        // so conflicts cannot happen: keep such transactions short.
        let job = tx.get(&inbox, "job-1")?.bytes()?;
        tx.put(&done, "job-1", &job)?;
        tx.delete(&inbox, "job-1")?;
        let count = tx.row("stats", b"done")?.map_or(0, |row| row[0]);
        tx.put_row("stats", b"done", &[count + 1])
    })?;
    assert_eq!(&store.row("stats", b"done")?.expect("written above")[..], [1]);

    let failed: ossicle::Result<()> = store.write(|tx| {
        tx.delete(&done, "job-1")?;
        tx.get(&inbox, "job-2").map(|_| ())
    });
    assert_eq!(failed.unwrap_err().code(), "NoSuchKey");
    assert!(done.exists("job-1")?);
    Ok(())
}

    pub fn run() -> Result<(), Box<dyn std::error::Error>> {
        Ok(main()?)
    }
}

mod transactions_2 {
use ossicle::{RowRange, Store};

fn main() -> ossicle::Result<()> {
    let store = Store::in_memory()?;
    store.write(|tx| {
        (0..100u32)
            .try_for_each(|n| tx.put_row("jobs", &n.to_be_bytes(), if n % 2 == 0 { b"new" } else { b"old" }))
    })?;
    let mut range = RowRange::all();
    loop {
        // Take a page, then write: the iterator borrows the transaction.
        let last = store.write(|tx| {
            let page = tx.rows("jobs", range.clone())?.take(10).collect::<ossicle::Result<Vec<_>>>()?;
            for (key, _) in page.iter().filter(|(_, value)| value == "old") {
                tx.delete_row("jobs", key)?;
            }
            Ok(page.last().map(|(key, _)| key.clone()))
        })?;
        let Some(last) = last else { break };
        range = range.after(last);
    }
    assert_eq!(store.rows("jobs", ..)?.count(), 50);
    let newest = store.rows("jobs", ..)?.next_back().expect("there are some")?;
    assert_eq!(&newest.0[..], 98u32.to_be_bytes());
    Ok(())
}

    pub fn run() -> Result<(), Box<dyn std::error::Error>> {
        Ok(main()?)
    }
}

mod transactions_3 {
use ossicle::Store;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = Store::in_memory()?;
    let jobs = store.create_bucket("jobs")?;
    jobs.put("todo/1", b"resize cat.jpg")?;
    jobs.put("todo/2", b"resize dog.jpg")?;

    store.write(|tx| {
        for entry in tx.list(&jobs, "todo/")? {
            let name = entry?.name().to_string();
            let end = tx.append_position(&jobs, "log")?;
            tx.append(&jobs, "log", end, format!("took {name}\n"))?;
        }
        tx.delete_prefix(&jobs, "todo/")?;
        tx.put(&jobs, "todo/3", b"resize owl.jpg")?;
        tx.symlink(&jobs, "next", "todo/3")
    })?;
    assert_eq!(&jobs.get("log")?.bytes()?[..], b"took todo/1\ntook todo/2\n");
    assert_eq!(jobs.list("todo/")?.count(), 1);
    assert_eq!(&jobs.get("next")?.bytes()?[..], b"resize owl.jpg");
    Ok(())
}

    pub fn run() -> Result<(), Box<dyn std::error::Error>> {
        Ok(main()?)
    }
}

mod versions_1 {
use ossicle::{DeleteOptions, GetOptions, Store, Versioning};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = Store::in_memory()?;
    let notes = store.create_bucket("notes")?;
    notes.set_config(&Versioning::Enabled)?;

    let first = notes.put("todo", b"milk")?.version.expect("a version has a name");
    notes.put("todo", b"milk, bread")?;
    assert_eq!(&notes.get_with("todo", GetOptions::new().version(&first))?.bytes()?[..], b"milk");

    // A delete hides the object; the versions stay, newest first.
    assert!(notes.delete("todo")?.marker);
    assert!(!notes.exists("todo")?);
    for entry in notes.versions("todo")? {
        let entry = entry?;
        println!("{} {} marker: {} latest: {}", entry.key, entry.version, entry.marker, entry.latest);
    }
    notes.undelete("todo")?;
    assert_eq!(&notes.get("todo")?.bytes()?[..], b"milk, bread");

    // Deleting a version by its name removes it for good. Without the newest, the next one is current.
    let newest = notes.head("todo")?.version.expect("a version has a name");
    notes.delete_with("todo", DeleteOptions::new().version(&newest))?;
    assert_eq!(&notes.get("todo")?.bytes()?[..], b"milk");
    Ok(())
}

    pub fn run() -> Result<(), Box<dyn std::error::Error>> {
        Ok(main()?)
    }
}

mod versions_2 {
use ossicle::{CreateBucketOptions, Store, Versioning};

fn main() -> ossicle::Result<()> {
    let store = Store::in_memory()?;
    let versioned = CreateBucketOptions::new().versioning(Versioning::Enabled);
    let notes = store.create_bucket_if_missing_with("notes", versioned)?;
    notes.put("2026/may", b"plant")?;
    notes.put("2026/june", b"water")?;
    assert_eq!(notes.delete_prefix("2026/")?.objects, 2);
    assert_eq!(notes.undelete_prefix("2026/")?.objects, 2);
    assert_eq!(notes.list("2026/")?.count(), 2);
    Ok(())
}

    pub fn run() -> Result<(), Box<dyn std::error::Error>> {
        Ok(main()?)
    }
}
