//! The public face as programs are told to use it: what compiles today must compile tomorrow.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::fmt::{Debug, Display};
use std::io::{Read, Seek, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ossicle::*;

fn is_handle<T: Clone + Send + Sync + 'static>() {}
fn is_shared<T: Send + Sync>() {}
fn is_shown<T: Display>(_: &T) {}
fn is_stream<T: Read + Seek + Send>() {}
fn is_plain<T: Clone + Debug + Default + Send + Sync>() {}

#[test]
fn handles_are_cheap_and_shared() {
    is_handle::<Store>();
    is_handle::<Bucket>();
    is_handle::<Snapshot>();
    is_handle::<SnapshotBucket>();
    is_handle::<VirtualClock>();
    is_handle::<Upload>();
    is_shared::<Object>();
    is_shared::<Listing>();
    is_shared::<Buckets>();
    is_shared::<Changes>();
    is_shared::<Uploads>();
    is_stream::<Object>();
    is_shared::<Error>();
    is_plain::<PutOptions>();
    is_plain::<UploadOptions>();
    is_plain::<GetOptions>();
    is_plain::<DeleteOptions>();
    is_plain::<CopyOptions>();
    is_plain::<ListOptions>();
    is_plain::<CompactOptions>();
    is_plain::<WriteOptions>();
    is_plain::<Settings>();
    is_plain::<Usage>();
    is_plain::<Stats>();
    fn writes<T: Write + Send>() {}
    writes::<ObjectWriter>();
}

#[test]
fn errors_are_one_word_and_say_what_they_are() {
    assert_eq!(size_of::<Error>(), size_of::<usize>());
    assert_eq!(size_of::<Result<()>>(), size_of::<usize>());
    fn kind<T: Copy + Eq + Debug + std::hash::Hash + Send + Sync>(_: T) {}
    let store = Store::in_memory().unwrap();
    let error: Error = store.bucket("cats").unwrap_err();
    kind(error.kind());
    assert_eq!((error.kind(), error.code()), (ErrorKind::NotFound, "NoSuchBucket"));
    assert!(error.is_not_found() && !error.is_retryable() && !error.is_fatal());
    assert!(error.source().is_none());
    is_shown(&error);
    let boxed: Box<dyn std::error::Error + Send + Sync> = error.into();
    assert!(boxed.downcast_ref::<Error>().is_some());
    let as_io: std::io::Error = store.bucket("cats").unwrap_err().into();
    assert_eq!(as_io.kind(), std::io::ErrorKind::NotFound);
    // Every kind of the list, by its name.
    let _kinds = [
        ErrorKind::NotFound,
        ErrorKind::AlreadyExists,
        ErrorKind::Precondition,
        ErrorKind::NotModified,
        ErrorKind::Denied,
        ErrorKind::Invalid,
        ErrorKind::Immutable,
        ErrorKind::Archived,
        ErrorKind::Quota,
        ErrorKind::Unsupported,
        ErrorKind::Busy,
        ErrorKind::Closed,
        ErrorKind::Corrupt,
        ErrorKind::Io,
    ];
}

#[test]
fn stores_open_as_written() -> Result<()> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    Store::open(&path)?.close()?;
    Store::open(path.to_str().unwrap())?.close()?;
    let clock = VirtualClock::at(SystemTime::now());
    let store = Store::builder(&path)
        .settings(Settings { packed_max: 1000, ..Default::default() })
        .read_only(false)
        .create(true)
        .clock(clock)
        .vfs(Arc::new(RealVfs::new()))
        .entropy(SeededEntropy::new(7))
        .maintenance(Maintenance::Manual)
        .open()?;
    store.close()?;
    Store::builder(&path)
        .clock(SystemClock)
        .entropy(OsEntropy)
        .maintenance(Maintenance::Background)
        .open()?;
    Store::in_memory()?.close()
}

#[test]
fn the_store_is_as_written() -> Result<()> {
    let store = Store::in_memory()?;
    let bucket: Bucket = store.create_bucket("cats")?;
    let other = store.create_bucket("dogs")?;
    is_shown(bucket.name());
    let _: Bucket = store.create_bucket_if_missing("cats")?;
    store.create_bucket_if_missing_with("cats", CreateBucketOptions::new())?;
    store.bucket("cats")?;
    for bucket in store.buckets()? {
        let bucket: Bucket = bucket?;
        is_shown(bucket.name());
    }
    bucket.put("a", b"0")?;
    store.write(|tx| {
        tx.put(&bucket, "a", b"1")?;
        tx.delete(&other, "b")?;
        tx.copy(&bucket, "a", &other, "c")?;
        tx.put_row("app/table", b"key", b"value")?;
        Ok(())
    })?;
    let row: Option<Bytes> = store.row("app/table", b"key")?;
    assert_eq!(row.as_deref(), Some(&b"value"[..]));
    let mut rows: Rows<'static> = store.rows("app/table", ..)?;
    let (_, _): (Bytes, Bytes) = rows.next_back().expect("a row")?;
    let range = RowRange::prefix("k").after("a").before(b"z");
    assert_eq!(store.snapshot()?.rows("app/table", range.clone())?.count(), 1);
    store.write(|tx| tx.rows("app/table", range).map(|rows| assert_eq!(rows.count(), 1)))?;
    let answer: u64 = store.write(|tx| {
        tx.put_with(&bucket, "d", "text", PutOptions::new().if_absent())?;
        let object: Object = tx.get(&bucket, "d")?;
        let meta: ObjectMeta = tx.head(&bucket, "d")?;
        tx.rename(&bucket, "d", &other, "e")?;
        tx.delete_row("app/table", b"key")?;
        let row: Option<Bytes> = tx.row("app/table", b"key")?;
        assert!(row.is_none());
        Ok(object.len() + meta.size)
    })?;
    assert_eq!(answer, 8);
    let snapshot: Snapshot = store.snapshot()?;
    let frozen = snapshot.bucket("cats")?;
    assert!(frozen.exists("a")? && frozen.list("")?.count() == 1 && frozen.usage("")?.objects == 1);
    frozen.get("a")?;
    frozen.head("a")?;
    let mut changes: Changes = store.changes(Lsn::default())?;
    let change: Change = changes.next().expect("the making of a bucket")?;
    assert!(change.lsn == Lsn(1) && matches!(change.ops[..], [ChangeOp::CreateBucket { .. }]));
    let _: bool = changes.wait(Duration::ZERO)?;
    store.set_cursor("mirror", change.lsn)?;
    store.write(|tx| tx.set_cursor("mirror", Lsn(2)))?;
    let cursor: Option<Lsn> = store.cursor("mirror")?;
    let cursors: Vec<FeedCursor> = store.cursors()?;
    assert!(cursor == Some(Lsn(2)) && cursors.len() == 1);
    store.remove_cursor("mirror")?;
    store.maintain(Duration::from_millis(10))?;
    store.checkpoint()?;
    store.compact(CompactOptions::default())?;
    store.flush()?;
    let report: VerifyReport = store.verify()?;
    assert!(report.is_clean());
    store
        .verify_with(VerifyOptions::new().progress(|progress: VerifyProgress| progress.entries < u64::MAX))?;
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(MemoryVfs::new());
    let other = Store::builder("/store").vfs(disk.clone()).open()?;
    let report: BackupReport = other.backup("/backup")?;
    let (_, _, _, false): (Lsn, u64, u64, bool) =
        (report.lsn, report.files_copied, report.bytes_copied, report.stopped)
    else {
        unreachable!("nobody stopped it")
    };
    other.backup_with(
        "/backup",
        BackupOptions::new().progress(|now: BackupProgress| now.files <= now.files_total),
    )?;
    let options = RestoreBackupOptions::new().vfs(disk.clone()).progress(|_: BackupProgress| true);
    let report: RestoreReport = Store::restore_with("/backup", "/again", options)?;
    let (_, _, _): (Lsn, u64, u64) = (report.lsn, report.files, report.entries);
    other.close()?;
    let options = SalvageOptions::new().vfs(disk).progress(|_: SalvageProgress| true);
    let report: SalvageReport = Store::salvage_with("/store", "/saved", options)?;
    assert!(report.is_whole() && report.lost.is_empty() && report.doubtful.is_empty());
    assert!(Store::restore(dir.path().join("none"), dir.path().join("to")).is_err());
    assert!(Store::salvage(dir.path().join("none"), dir.path().join("to")).is_err());
    let usage: Usage = store.usage()?;
    let (_, _): (u64, u64) = (usage.objects, usage.bytes);
    let _: Stats = store.stats();
    bucket.delete("a")?;
    store.delete_bucket("cats")?;
    store.close()
}

#[test]
fn the_bucket_is_as_written() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let store = Store::in_memory()?;
    let bucket = store.create_bucket("cats")?;
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("f"), b"from a file")?;
    bucket.put("k", std::fs::File::open(dir.path().join("f"))?)?;
    bucket.put("k", Body::reader(std::io::Cursor::new(vec![1, 2, 3])))?;
    bucket.put("k", [1u8; 4])?;
    let PutOutcome { etag, version, lsn, .. } = bucket.put_with(
        "k",
        b"0123456789abcdef0123",
        PutOptions::new().content_type("image/png").metadata("owner", "ann").durability(Durability::Buffered),
    )?;
    let (_, _): (Option<VersionId>, Lsn) = (version, lsn);
    is_shown(&etag);
    is_shown(&lsn);
    bucket.put_with("k", b"0123456789abcdef0123", PutOptions::new().if_match(etag.clone()))?;
    bucket.put_with("k", b"0123456789abcdef0123", PutOptions::new().if_match(etag.to_string().as_str()))?;
    let mut writer: ObjectWriter = bucket.writer("w", PutOptions::new())?;
    writer.write_all(b"piece by piece")?;
    let _: PutOutcome = writer.finish()?;

    let mut object = bucket.get_with("k", GetOptions::new().range(4..16).if_match(&etag))?;
    let meta: &ObjectMeta = object.meta();
    is_shown(&meta.key);
    is_shown(&meta.etag);
    is_shown(&meta.class);
    let _: (&String, u64, &Option<VersionId>, StorageClass, SystemTime) =
        (&meta.key, meta.size, &meta.version, meta.class, meta.modified);
    let _: Option<&str> = meta.content_type.as_deref();
    for (name, value) in &meta.metadata {
        let _: (&str, &str) = (name, value);
    }
    let mut text = String::new();
    object.read_to_string(&mut text)?;
    object.rewind()?;
    let mut sink: Vec<u8> = Vec::new();
    assert_eq!(object.copy_to(&mut sink)?, 12);
    let bytes: Bytes = object.bytes()?;
    assert_eq!((&bytes[..], text.as_bytes()), (&b"456789abcdef"[..], &sink[..]));
    assert!(bucket.get_with("k", GetOptions::new().if_none_match(etag)).is_err());
    let _: ObjectMeta = bucket.head_with("k", GetOptions::new())?;

    bucket.copy("k", "l")?;
    bucket.copy_from(&bucket, "k", "m", CopyOptions::new())?;
    bucket.rename("m", "n")?;
    for entry in bucket.list("")? {
        match entry? {
            Entry::Object(meta) => is_shown(&meta.key),
            Entry::Prefix(prefix) => is_shown::<String>(&prefix),
            _ => {}
        }
    }
    let options = ListOptions::new().prefix("").delimiter("/").start("k").start_after("k").limit(1000usize);
    let _: Listing = bucket.list_with(options.clone())?;
    let mut names: Names = bucket.names(options.clone())?;
    while let Some(name) = names.next()? {
        let _: &str = name;
    }
    let page: Page = bucket.list_page(options)?;
    let (entries, next): (Vec<Entry>, Option<String>) = (page.entries, page.next);
    assert_eq!((entries[0].name(), next), ("l", None));
    let Usage { objects, bytes, .. } = bucket.usage("l")?;
    assert_eq!((objects, bytes), (1, 20));
    let PrefixOutcome { objects: 0, .. } = bucket.undelete_prefix("l")? else { panic!("nothing is deleted") };

    let DeleteOutcome { version, marker, .. } = bucket.delete_with("k", DeleteOptions::new())?;
    assert_eq!((version, marker), (None, false));
    for (key, answer) in bucket.delete_many(["l", "n"])? {
        is_shown::<String>(&key);
        answer?;
    }
    let keys: Vec<String> = vec!["w".into()];
    bucket.delete_many(&keys)?;
    bucket.delete_many(keys.iter().map(String::as_str))?;
    assert!(!bucket.exists("w")?);
    let _: BTreeMap<Lsn, ()> = BTreeMap::new();
    Ok(())
}

#[test]
fn objects_grow_lead_elsewhere_and_carry_more_as_written() -> Result<()> {
    let store = Store::in_memory()?;
    let bucket = store.create_bucket("cats")?;
    let AppendOutcome { next_position, crc64, .. } = bucket.append("log", 0, b"one")?;
    let (_, _): (u64, u64) = (next_position, crc64);
    bucket.append_with("log", next_position, "two", AppendOptions::new().durability(Durability::Buffered))?;
    assert_eq!(bucket.append_position("log")?, 6);
    let mut follow: Follow = bucket.follow("log", 3)?;
    let more: Option<Bytes> = follow.next(Duration::ZERO)?;
    assert_eq!((more.as_deref(), follow.position()), (Some(&b"two"[..]), 6));

    let _: PutOutcome = bucket.symlink("link", "log")?;
    bucket.symlink_with("link", "log", PutOptions::new().content_type("text/plain"))?;
    assert_eq!(bucket.read_link("link")?, "log");

    let pairs: BTreeMap<String, String> = [("team".to_string(), "red".to_string())].into();
    bucket.set_tags("log", &pairs)?;
    bucket.set_tags("log", [("team", "red")])?;
    bucket.set_tags("log", pairs.clone())?;
    bucket.set_tags("log", vec![("team".to_string(), "red")])?;
    for (key, value) in bucket.tags("log")? {
        let (_, _): (String, String) = (key, value);
    }
    bucket.clear_tags("log")?;
    bucket.set_metadata("log", &pairs)?;
    bucket.set_acl("log", Acl::PublicRead)?;
    let _: Option<Acl> = bucket.acl("log")?;
    bucket.clear_acl("log")?;
    bucket.set_content_type("log", "text/plain")?;
    bucket.set_headers("log", ContentHeaders::default())?;
    bucket.set_storage_class("log", StorageClass::Archive)?;
    let etag = bucket.head("log")?.etag;
    let options =
        AttributeOptions::new().version(VersionId::null()).if_match(etag).durability(Durability::Synced);
    bucket.set_tags_with("log", [("a", "b")], options)?;

    let until = SystemTime::now() + Duration::from_secs(60);
    bucket.set_retention("log", Retention { mode: RetentionMode::Governance, until })?;
    let _: Option<Retention> = bucket.retention("log")?;
    bucket.clear_retention_with("log", AttributeOptions::new().bypass_governance(true))?;
    bucket.set_legal_hold("log", true)?;
    assert!(bucket.legal_hold("log")?);
    bucket.set_legal_hold("log", false)
}

#[test]
fn classes_and_restoring_are_as_written() -> Result<()> {
    is_plain::<RestoreOptions>();
    is_plain::<RestoreTimes>();
    is_plain::<Billing>();
    let settings = Settings { restore_times: RestoreTimes::NONE, ..Default::default() };
    let _: (Durability, Digests) = (settings.durability, settings.digests);
    let store = Store::builder("/m").vfs(Arc::new(MemoryVfs::new())).settings(settings).open()?;
    let options = CreateBucketOptions::new().storage_class(StorageClass::ColdArchive);
    let bucket = store.create_bucket_with("attic", options)?;
    bucket.put("key", b"body")?;
    assert_eq!(bucket.get("key").unwrap_err().kind(), ErrorKind::Archived);
    let meta: ObjectMeta = bucket.head("key")?;
    assert!(meta.class == "ColdArchive".parse()? && meta.restore().is_none());
    let _: (Option<SystemTime>, u64) = (meta.minimum_until(), meta.billable_bytes());
    let priority: RestorePriority = "Expedited".parse()?;
    is_shown(&priority);
    let options = RestoreOptions::new().days(3).priority(priority).version(VersionId::null());
    let status: RestoreStatus = bucket.restore("key", options.durability(Durability::Synced))?;
    assert!(status.is_restored() && status.until() > SystemTime::now());
    bucket.restore("key", RestoreOptions::new().days(3))?;
    assert!(bucket.get("key")?.meta().restore().is_some_and(|now| now.until() >= status.until()));
    let bill: Billing = bucket.billing("")?;
    let _: (u64, u64, Vec<ClassBilling>) = (bill.bytes(), bill.billable_bytes(), bill.classes);
    Ok(())
}

#[test]
fn uploads_are_as_written() -> Result<()> {
    let store = Store::in_memory()?;
    let bucket = store.create_bucket("cats")?;
    let upload: Upload = bucket.upload("key", UploadOptions::new())?;
    is_shown(upload.id());
    let second: Part = upload.put_part(2, b"second")?;
    upload.put_part(1, vec![1; 200_000])?;
    let id: String = upload.id().to_string();
    let upload = bucket.resume_upload("key", &id)?;
    bucket.resume_upload("key", id.as_str())?;
    let parts: Vec<Part> = upload.parts()?;
    assert_eq!((parts.len(), parts[1].number, parts[1].size, &parts[1].etag), (2, 2, 6, &second.etag));
    for entry in bucket.uploads(ListOptions::new())? {
        let UploadEntry { key, id, initiated: _, class: _, parts, bytes, .. } = entry?;
        bucket.resume_upload(&key, &id)?;
        assert_eq!((parts, bytes), (2, 200_006));
    }
    let UploadsPage { uploads: _, prefixes: _, next_key: None, next_upload: None, .. } =
        bucket.uploads_page(ListOptions::new())?
    else {
        panic!("there is one upload")
    };
    let outcome: PutOutcome = upload.complete(&parts)?;
    assert_eq!(bucket.head("key")?.etag, outcome.etag);
    let other = bucket.upload("other", UploadOptions::new())?;
    other.put_part_copy(1, &bucket, "key", GetOptions::new().range(..10))?;
    other.complete(&[Part::new(1, &other.parts_page(0, 1)?.parts[0].etag)])?;
    bucket.upload("third", UploadOptions::new())?.abort()
}
