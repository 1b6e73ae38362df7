//! What a store does where the options of a call say nothing: durability and digests.

use std::sync::Arc;

use ossicle::*;

use crate::read;

fn store_with(settings: Settings) -> (Store, Arc<MemoryVfs>) {
    let disk = Arc::new(MemoryVfs::new());
    let store = Store::builder("/store")
        .vfs(disk.clone())
        .settings(settings)
        .maintenance(Maintenance::Manual)
        .open()
        .unwrap();
    (store, disk)
}

/// Each of these writes once.
fn writes(store: &Store, bucket: &Bucket) -> Vec<(&'static str, u64)> {
    let mut counted = Vec::new();
    let mut count = |name, write: &dyn Fn() -> Result<()>| {
        let before = (store.stats().log_syncs, store.stats().commits);
        write().unwrap();
        assert_eq!(store.stats().commits, before.1 + 1, "{name}");
        counted.push((name, store.stats().log_syncs - before.0));
    };
    let unit = drop::<PutOutcome>;
    count("put", &|| bucket.put("a", b"1").map(unit));
    count("copy", &|| bucket.copy("a", "b").map(unit));
    count("rename", &|| bucket.rename("b", "c").map(unit));
    count("writer", &|| bucket.writer("w", PutOptions::new())?.finish().map(unit));
    count("append", &|| bucket.append("log", 0, b"1").map(drop));
    count("symlink", &|| bucket.symlink("link", "a").map(unit));
    count("tags", &|| bucket.set_tags("a", [("a", "b")]));
    count("transaction", &|| store.write(|tx| tx.put(bucket, "t", b"1")));
    count("a transaction that reads", &|| {
        store.write(|tx| {
            tx.head(bucket, "t")?;
            tx.put_row("t", b"k", b"v")
        })
    });
    count("delete", &|| bucket.delete("a").map(drop));
    count("delete many", &|| bucket.delete_many(["t", "w"]).map(drop));
    count("delete a prefix", &|| bucket.delete_prefix("c").map(drop));
    count("upload", &|| bucket.upload("u", UploadOptions::new()).map(drop));
    let entry = bucket.uploads(ListOptions::new()).unwrap().next().unwrap().unwrap();
    let upload = bucket.resume_upload("u", &entry.id).unwrap();
    count("part", &|| upload.put_part(1, b"part").map(drop));
    count("complete", &|| upload.complete_all().map(unit));
    counted
}

#[test]
fn a_store_writes_as_durably_as_its_settings_say() {
    for durability in [Durability::Synced, Durability::Buffered] {
        let (store, _) = store_with(Settings { durability, ..Settings::default() });
        let bucket = store.create_bucket("cats").unwrap();
        let told = u64::from(durability == Durability::Synced);
        for (name, syncs) in writes(&store, &bucket) {
            assert_eq!(syncs, told, "{name} with {durability:?}");
        }
        // What options say counts, whatever the settings are.
        let other = if told == 1 { Durability::Buffered } else { Durability::Synced };
        let syncs = || store.stats().log_syncs;
        let before = syncs();
        bucket.put_with("x", b"1", PutOptions::new().durability(other)).unwrap();
        store.write_with(WriteOptions::new().durability(other), |tx| tx.put(&bucket, "y", b"1")).unwrap();
        bucket.append_with("z", 0, b"1", AppendOptions::new().durability(other)).unwrap();
        bucket.delete_with("x", DeleteOptions::new().durability(other)).unwrap();
        assert_eq!(syncs() - before, 4 * (1 - told));
        // The structure of a store is never left to chance.
        let before = syncs();
        store.create_bucket("dogs").unwrap();
        store.create_bucket_if_missing("birds").unwrap();
        bucket.set_config(&Versioning::Enabled).unwrap();
        store.set_cursor("mirror", Lsn(1)).unwrap();
        assert_eq!(syncs() - before, 4);
    }
    assert_eq!(Settings::default().durability, Durability::Synced);
}

#[test]
fn a_store_takes_the_digests_that_its_settings_say() {
    let (store, disk) = store_with(Settings { digests: Digests::Oss, ..Settings::default() });
    let bucket = store.create_bucket("cats").unwrap();
    bucket.put("put", b"hello").unwrap();
    let mut writer = bucket.writer("writer", PutOptions::new()).unwrap();
    std::io::Write::write_all(&mut writer, b"hello").unwrap();
    writer.finish().unwrap();
    store.write(|tx| tx.put(&bucket, "transaction", b"hello")).unwrap();
    let upload = bucket.upload("upload", UploadOptions::new()).unwrap();
    let part = upload.put_part(1, b"hello").unwrap();
    upload.complete(std::slice::from_ref(&part)).unwrap();
    let md5 = "5D41402ABC4B2A76B9719D911017C592";
    for key in ["put", "writer", "transaction"] {
        let meta = bucket.head(key).unwrap();
        assert_eq!((meta.etag.as_str(), meta.digests.crc64.is_some()), (md5, true), "{key}");
    }
    assert_eq!(part.etag.as_str(), md5);
    assert!(bucket.head("upload").unwrap().digests.crc64.is_some());
    // What options say counts, and a copy has what its source has.
    bucket.put_with("fast", b"hello", PutOptions::new().digests(Digests::Fast)).unwrap();
    assert_eq!(bucket.head("fast").unwrap().digests.md5, None);
    assert_eq!(bucket.copy("fast", "copy").unwrap().etag, bucket.head("fast").unwrap().etag);
    store.close().unwrap();
    // They are settings of an opening.
    let store = Store::builder("/store").vfs(disk).maintenance(Maintenance::Manual).open().unwrap();
    let bucket = store.bucket("cats").unwrap();
    bucket.put("later", b"hello").unwrap();
    assert_eq!(bucket.head("later").unwrap().digests.md5, None);
    assert_eq!((read(&bucket, "later"), bucket.head("put").unwrap().etag.as_str()), (b"hello".to_vec(), md5));
}
