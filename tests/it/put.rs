//! Putting: kinds of bodies, what is kept beside them, and replacing.

use std::io::Write;

use ossicle::{Body, Bytes, Durability, PutOptions, StorageClass, Store};

use crate::{a_bucket, code, read};

#[test]
fn a_body_may_be_anything_that_has_bytes() {
    let (_store, bucket) = a_bucket();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("body");
    std::fs::write(&path, b"meow").unwrap();
    bucket.put("slice", &b"meow"[..]).unwrap();
    bucket.put("array", b"meow").unwrap();
    bucket.put("own-array", *b"meow").unwrap();
    bucket.put("text", "meow").unwrap();
    bucket.put("string", String::from("meow")).unwrap();
    bucket.put("vec", b"meow".to_vec()).unwrap();
    bucket.put("bytes", Bytes::from_static(b"meow")).unwrap();
    bucket.put("file", std::fs::File::open(&path).unwrap()).unwrap();
    bucket.put("reader", Body::reader(&b"meow"[..])).unwrap();
    let tags: std::collections::BTreeSet<String> = bucket
        .list("")
        .unwrap()
        .map(|entry| bucket.head(entry.unwrap().name()).unwrap().etag.to_string())
        .collect();
    assert_eq!(bucket.list("").unwrap().count(), 9);
    assert_eq!(tags.len(), 1, "equal bodies have equal entity tags");
}

#[test]
fn a_put_replaces_all_of_the_object() {
    let (_store, bucket) = a_bucket();
    let first = PutOptions::new().content_type("image/png").metadata("Owner", "ann");
    bucket.put_with("a", b"one", first).unwrap();
    let meta = bucket.head("a").unwrap();
    assert_eq!(meta.content_type.as_deref(), Some("image/png"));
    assert_eq!(meta.metadata.get("owner").map(String::as_str), Some("ann"));
    assert_eq!((meta.size, meta.class, meta.version), (3, StorageClass::Standard, None));
    let outcome = bucket.put("a", b"other").unwrap();
    let meta = bucket.head("a").unwrap();
    assert_eq!((meta.content_type, meta.metadata.len(), meta.size), (None, 0, 5));
    assert_eq!((meta.etag, meta.lsn), (outcome.etag, outcome.lsn));
    assert_eq!(read(&bucket, "a"), b"other");
}

#[test]
fn a_reader_that_fails_leaves_the_object_as_it_was() {
    struct Fails(usize);
    impl std::io::Read for Fails {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            if self.0 == 0 {
                return Err(std::io::Error::other("the line went dead"));
            }
            self.0 -= 1;
            buf.fill(7);
            Ok(buf.len())
        }
    }
    let (_store, bucket) = a_bucket();
    bucket.put("a", b"before").unwrap();
    for steps in [0, 1, 9] {
        let error = bucket.put("a", Body::reader(Fails(steps))).unwrap_err();
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("the line went dead"));
        assert!(!error.is_fatal());
    }
    assert_eq!(read(&bucket, "a"), b"before");
}

#[test]
fn a_writer_that_is_dropped_leaves_nothing() {
    let (store, bucket) = a_bucket();
    bucket.put("a", b"before").unwrap();
    for len in [0, 10, 3_000_000] {
        let mut writer = bucket.writer("a", PutOptions::new()).unwrap();
        writer.write_all(&vec![1; len]).unwrap();
        assert_eq!(writer.written(), len as u64);
    }
    assert_eq!(read(&bucket, "a"), b"before");
    assert_eq!(bucket.usage("").unwrap().objects, 1);
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn a_writer_decides_its_conditions_when_it_finishes() {
    let (_store, bucket) = a_bucket();
    let writer = bucket.writer("a", PutOptions::new().if_absent()).unwrap();
    bucket.put("a", b"someone was faster").unwrap();
    assert_eq!(code(writer.finish()), "FileAlreadyExists");
}

#[test]
fn a_writer_gives_what_a_put_gives() {
    let (_store, bucket) = a_bucket();
    for len in [0, 1, 256, 257, 262_144, 262_145, 1_000_000] {
        let body: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
        let mut writer = bucket.writer("written", PutOptions::new().metadata("a", "b")).unwrap();
        body.chunks(997).for_each(|piece| writer.write_all(piece).unwrap());
        let written = writer.finish().unwrap();
        assert_eq!(written.etag, bucket.put("put", &body).unwrap().etag);
        assert_eq!(read(&bucket, "written"), body);
        assert_eq!(bucket.head("written").unwrap().metadata["a"], "b");
    }
}

#[test]
fn buffered_puts_survive_closing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let bucket = store.create_bucket("cats").unwrap();
    for len in [10, 10_000, 1_000_000] {
        let options = PutOptions::new().durability(Durability::Buffered);
        bucket.put_with(&format!("{len}"), vec![3; len], options).unwrap();
    }
    drop((store, bucket));
    let bucket = Store::open(dir.path()).unwrap().bucket("cats").unwrap();
    for len in [10, 10_000, 1_000_000] {
        assert_eq!(read(&bucket, &format!("{len}")), vec![3; len]);
    }
}
