//! Uploads in parts: every call, every limit, every error code, and what is left when they are over.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use ossicle::*;

use crate::{a_bucket, code, read};

/// The least that a part may have unless it is the last.
const MIN: usize = 100 << 10;

/// Bytes that differ from place to place and from seed to seed.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

fn buffered() -> UploadOptions {
    UploadOptions::new().durability(Durability::Buffered)
}

/// Uploads and completes an object of parts with these lengths, and returns its bytes.
fn uploaded(bucket: &Bucket, key: &str, bucket_view: &[usize]) -> Vec<u8> {
    let upload = bucket.upload(key, buffered()).unwrap();
    let mut all = Vec::new();
    for (number, len) in (1..).zip(bucket_view) {
        let part = noise(*len, u64::from(number) + key.len() as u64);
        upload.put_part(number, &part).unwrap();
        all.extend(part);
    }
    upload.complete_all().unwrap();
    all
}

/// No upload, no part and no blob is left over: the number of rows that `verify` counts is that of a store that never
/// had any.
fn entries(store: &Store) -> u64 {
    let report = store.verify().unwrap();
    assert!(report.is_clean(), "{:?}", report.problems);
    report.entries
}

#[test]
fn parts_in_any_order_become_one_object_with_all_that_was_said_at_the_beginning() {
    let (store, bucket) = a_bucket();
    let mut headers = ContentHeaders::default();
    headers.cache_control = Some("no-cache".into());
    let options = UploadOptions::new()
        .content_type("video/mp4")
        .metadata("Owner", "ann")
        .headers(headers)
        .tag("team", "red")
        .acl(Acl::PublicRead)
        .storage_class(StorageClass::InfrequentAccess);
    let upload = bucket.upload("film", options).unwrap();
    assert_eq!(upload.key(), "film");
    assert_eq!(upload.id().to_string().len(), 24);
    let bodies: BTreeMap<u32, Vec<u8>> =
        [(9, 10), (4, 300_000), (1, MIN), (7, 1_000_000)].map(|(n, len)| (n, noise(len, n.into()))).into();
    let mut parts = Vec::new();
    for number in [9, 4, 1, 7] {
        let part = upload.put_part(number, &bodies[&number]).unwrap();
        assert_eq!((part.number, part.size), (number, bodies[&number].len() as u64));
        assert_eq!((part.crc64, part.md5), (None, None));
        parts.push(part);
    }
    assert!(!bucket.exists("film").unwrap());
    parts.sort_by_key(|part| part.number);
    assert_eq!(upload.parts().unwrap(), parts);

    let outcome = upload.complete(&parts).unwrap();
    let all = bodies.into_values().collect::<Vec<_>>().concat();
    let meta = bucket.head("film").unwrap();
    assert_eq!((&meta.etag, meta.lsn, meta.size), (&outcome.etag, outcome.lsn, all.len() as u64));
    assert!(outcome.etag.as_str().ends_with("-4") && outcome.etag.as_str().len() == 34);
    assert_eq!((meta.kind, meta.class), (ObjectKind::Multipart, StorageClass::InfrequentAccess));
    assert_eq!((meta.content_type.as_deref(), &meta.metadata["owner"][..]), (Some("video/mp4"), "ann"));
    assert_eq!(meta.headers().cache_control.as_deref(), Some("no-cache"));
    assert_eq!(meta.tags().to_vec(), [("team".to_string(), "red".to_string())]);
    assert_eq!(meta.acl(), Some(Acl::PublicRead));
    assert_eq!(meta.parts(), 4);
    assert_eq!(meta.digests, ObjectDigests::default());
    assert_eq!(read(&bucket, "film"), all);
    assert!(bucket.get_with("film", GetOptions::new().if_match(&outcome.etag)).is_ok());
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn the_digests_of_oss_are_combined_from_those_of_the_parts() {
    let (_store, bucket) = a_bucket();
    let upload = bucket.upload("a", UploadOptions::new().digests(Digests::Oss)).unwrap();
    let (first, second) = (noise(MIN + 5, 1), b"hello".to_vec());
    let one = upload.put_part(1, &first).unwrap();
    let two = upload.put_part(2, &second).unwrap();
    assert_eq!(two.etag, "5D41402ABC4B2A76B9719D911017C592");
    // What a put of the same bytes says.
    let oss = || PutOptions::new().digests(Digests::Oss);
    bucket.put_with("whole", [&first[..], &second].concat(), oss()).unwrap();
    bucket.put_with("first", &first, oss()).unwrap();
    let digests = |key: &str| bucket.head(key).unwrap().digests;
    assert_eq!((one.crc64, one.md5), (digests("first").crc64, digests("first").md5));
    bucket.put_with("sums", [one.md5.unwrap(), two.md5.unwrap()].concat(), oss()).unwrap();

    let outcome = upload.complete(&[one, two]).unwrap();
    assert_eq!(outcome.etag.as_str(), format!("{}-2", bucket.head("sums").unwrap().etag));
    assert_eq!(digests("a").crc64, digests("whole").crc64);
    assert!(digests("a").crc64.is_some() && digests("a").md5.is_none());
}

#[test]
fn without_them_the_entity_tag_follows_from_the_parts_alone() {
    let (_store, bucket) = a_bucket();
    let tag = |bucket_view: &[usize]| {
        uploaded(&bucket, "a", bucket_view);
        bucket.head("a").unwrap().etag
    };
    assert_eq!(tag(&[MIN, 7]), tag(&[MIN, 7]));
    assert_ne!(tag(&[MIN, 7]), tag(&[MIN, 8]));
    assert_ne!(tag(&[MIN, 7]), tag(&[MIN]));
    assert!(tag(&[3]).as_str().ends_with("-1"));
}

#[test]
fn a_part_that_is_put_again_replaces_the_one_before() {
    let (store, bucket) = a_bucket();
    let before = entries(&store);
    let upload = bucket.upload("a", UploadOptions::new()).unwrap();
    let usage = || {
        let usage = bucket.usage("").unwrap();
        (usage.uploads, usage.upload_bytes, usage.objects, usage.bytes)
    };
    assert_eq!(usage(), (1, 0, 0, 0));
    let old = upload.put_part(1, noise(MIN * 3, 1)).unwrap();
    upload.put_part(2, b"tail").unwrap();
    assert_eq!(usage(), (1, MIN as u64 * 3 + 4, 0, 0));
    let new = upload.put_part(1, noise(MIN, 2)).unwrap();
    assert_ne!(old.etag, new.etag);
    assert_eq!(usage(), (1, MIN as u64 + 4, 0, 0));
    assert_eq!(code(upload.complete(&[old])), "InvalidPart");
    assert_eq!(usage(), (1, MIN as u64 + 4, 0, 0));
    let parts = upload.parts().unwrap();
    assert_eq!(parts[0], new);
    upload.complete(&parts).unwrap();
    assert_eq!(read(&bucket, "a"), [noise(MIN, 2), b"tail".to_vec()].concat());
    assert_eq!(usage(), (0, 0, 1, MIN as u64 + 4));
    bucket.delete("a").unwrap();
    assert_eq!(usage(), (0, 0, 0, 0));
    assert_eq!(entries(&store), before);
}

#[test]
fn parts_that_are_not_chosen_are_dropped() {
    let (store, bucket) = a_bucket();
    bucket.put("a", b"before").unwrap();
    let before = entries(&store);
    let upload = bucket.upload("a", UploadOptions::new()).unwrap();
    let parts: Vec<Part> = (1..=5).map(|n| upload.put_part(n, noise(MIN, n.into())).unwrap()).collect();
    upload.complete(&[parts[1].clone(), parts[3].clone()]).unwrap();
    assert_eq!(read(&bucket, "a"), [noise(MIN, 2), noise(MIN, 4)].concat());
    assert_eq!(bucket.usage("").unwrap().bytes, 2 * MIN as u64);
    // The object, the head of its body and two pieces.
    assert_eq!(entries(&store), before + 3);
}

#[test]
fn every_error_has_the_code_of_oss_and_changes_nothing() {
    let (store, bucket) = a_bucket();
    assert_eq!(code(bucket.upload("/a", UploadOptions::new())), "InvalidObjectName");
    assert_eq!(code(bucket.upload("", UploadOptions::new())), "InvalidObjectName");
    assert_eq!(code(bucket.upload("a", UploadOptions::new().metadata("a_b", "c"))), "InvalidArgument");
    let upload = bucket.upload("a", UploadOptions::new()).unwrap();
    for number in [0, 10_001, u32::MAX] {
        assert_eq!(code(upload.put_part(number, b"x")), "InvalidArgument");
        assert_eq!(code(upload.put_part_copy(number, &bucket, "b", GetOptions::new())), "InvalidArgument");
    }
    assert_eq!(code(upload.complete(&[])), "InvalidArgument");
    assert_eq!(code(upload.complete_all()), "InvalidArgument");
    let small = upload.put_part(1, noise(MIN - 1, 1)).unwrap();
    let last = upload.put_part(10_000, b"").unwrap();
    assert_eq!(code(upload.complete(&[small.clone(), last.clone()])), "EntityTooSmall");
    assert_eq!(code(upload.complete_all()), "EntityTooSmall");
    assert_eq!(code(upload.complete(&[last.clone(), small.clone()])), "InvalidPartOrder");
    assert_eq!(code(upload.complete(&[small.clone(), small.clone()])), "InvalidPartOrder");
    assert_eq!(code(upload.complete(&[small.clone(), Part::new(2, &last.etag)])), "InvalidPart");
    assert_eq!(code(upload.complete(&[Part::new(0, &last.etag)])), "InvalidPart");
    assert_eq!(code(upload.complete(&[Part::new(1, &last.etag)])), "InvalidPart");
    // The order is looked at before the parts are.
    assert_eq!(code(upload.complete(&[Part::new(9, "x"), Part::new(8, "x")])), "InvalidPartOrder");
    assert_eq!(code(upload.parts_page(0, 0)), "InvalidArgument");
    assert_eq!(upload.parts().unwrap(), [small.clone(), last.clone()]);
    // Quotes and case do not count, and a single part may be as small as it likes.
    let said = Part::new(1, format!("\"{}\"", small.etag.as_str().to_lowercase()));
    upload.complete(&[said]).unwrap();
    assert_eq!(read(&bucket, "a").len(), MIN - 1);

    let assert_over = |upload: &Upload| {
        for told in [
            code(upload.put_part(1, b"x")),
            code(upload.put_part_copy(1, &bucket, "a", GetOptions::new())),
            code(upload.parts()),
            code(upload.complete(std::slice::from_ref(&small))),
            code(upload.complete(&[])),
            code(upload.complete_all()),
            code(upload.abort()),
        ] {
            assert_eq!(told, "NoSuchUpload");
        }
        assert_eq!(code(bucket.resume_upload(upload.key(), upload.id())), "NoSuchUpload");
    };
    assert_over(&upload);
    let aborted = bucket.upload("a", UploadOptions::new()).unwrap();
    aborted.put_part(1, b"x").unwrap();
    aborted.abort().unwrap();
    assert_over(&aborted);
    assert_eq!(read(&bucket, "a").len(), MIN - 1);

    let other = bucket.upload("b", UploadOptions::new()).unwrap();
    assert_eq!(code(bucket.resume_upload("c", other.id())), "NoSuchUpload");
    assert_eq!(code(store.create_bucket("dogs").unwrap().resume_upload("b", other.id())), "NoSuchUpload");
    let lower = bucket.upload("b", UploadOptions::new()).unwrap().id().as_str().to_lowercase();
    for bad in ["", "x", "null", "../../etc", &lower, &"F".repeat(24), &"F".repeat(25), "ÄÄÄÄÄÄÄÄÄÄÄÄ"]
    {
        assert_eq!(code(bucket.resume_upload("b", bad)), "NoSuchUpload", "{bad:?}");
    }
    assert_eq!(code(bucket.resume_upload("/b", other.id())), "InvalidObjectName");
}

#[test]
fn a_part_is_read_no_further_than_to_what_is_wrong() {
    let (_store, bucket) = a_bucket();
    let upload = bucket.upload("a", UploadOptions::new()).unwrap();
    upload.abort().unwrap();
    struct Never;
    impl Read for Never {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            panic!("nothing is to be read for an upload that is not there");
        }
    }
    assert_eq!(code(upload.put_part(1, Body::reader(Never))), "NoSuchUpload");
}

#[test]
fn if_absent_is_looked_at_when_the_upload_begins_and_when_it_is_completed() {
    let (_store, bucket) = a_bucket();
    let upload = bucket.upload("a", UploadOptions::new().if_absent()).unwrap();
    upload.put_part(1, b"late").unwrap();
    bucket.put("a", b"early").unwrap();
    assert_eq!(code(bucket.upload("a", UploadOptions::new().if_absent())), "FileAlreadyExists");
    assert_eq!(code(upload.complete_all()), "FileAlreadyExists");
    assert_eq!(read(&bucket, "a"), b"early");
    bucket.delete("a").unwrap();
    upload.complete_all().unwrap();
    assert_eq!(read(&bucket, "a"), b"late");
    // Without it, whatever is there is replaced.
    uploaded(&bucket, "a", &[5]);
    assert_eq!(read(&bucket, "a").len(), 5);
}

#[test]
fn parts_are_copied_from_ranges_of_other_objects_and_versions() {
    let (store, bucket) = a_bucket();
    let films = store.create_bucket("films").unwrap();
    films.set_config(&Versioning::Enabled).unwrap();
    let old = films.put("source", noise(3 * MIN, 1)).unwrap();
    films.put("source", noise(MIN, 2)).unwrap();
    let upload = bucket.upload("a", UploadOptions::new().digests(Digests::Oss)).unwrap();
    let version = old.version.unwrap();
    let range = GetOptions::new().version(&version).range(7..7 + MIN as u64 * 2);
    let first = upload.put_part_copy(1, &films, "source", range).unwrap();
    assert_eq!(first.size, MIN as u64 * 2);
    let second = upload.put_part_copy(2, &films, "source", GetOptions::new()).unwrap();
    assert_eq!((second.size, second.crc64.is_some()), (MIN as u64, true));
    let third = upload.put_part_copy(3, &films, "source", GetOptions::new().last(9)).unwrap();

    let refused = |key: &str, options| code(upload.put_part_copy(4, &films, key, options));
    assert_eq!(refused("nothing", GetOptions::new()), "NoSuchKey");
    assert_eq!(refused("/", GetOptions::new()), "InvalidObjectName");
    assert_eq!(refused("source", GetOptions::new().range(MIN as u64..)), "InvalidRange");
    assert_eq!(refused("source", GetOptions::new().last(0)), "InvalidRange");
    assert_eq!(refused("source", GetOptions::new().if_match("0".repeat(32))), "PreconditionFailed");
    assert_eq!(refused("source", GetOptions::new().if_none_match("*")), "NotModified");
    let now = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
    assert_eq!(refused("source", GetOptions::new().if_modified_since(now)), "NotModified");
    assert_eq!(refused("source", GetOptions::new().version(VersionId::null())), "NoSuchVersion");

    // What is copied stays, whatever becomes of its source: that of a multipart object too.
    store.delete_bucket("films").unwrap_err();
    films.delete("source").unwrap();
    upload.complete(&[first, second, third]).unwrap();
    let whole = [&noise(3 * MIN, 1)[7..7 + 2 * MIN], &noise(MIN, 2), &noise(MIN, 2)[MIN - 9..]].concat();
    assert_eq!(read(&bucket, "a"), whole);
    let again = bucket.upload("b", UploadOptions::new()).unwrap();
    again.put_part_copy(1, &bucket, "a", GetOptions::new().range(100..)).unwrap();
    again.complete_all().unwrap();
    assert_eq!(read(&bucket, "b"), whole[100..]);
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn uploads_are_listed_by_key_and_then_by_age() {
    let (store, bucket) = a_bucket();
    let mut expected = Vec::new();
    for key in ["b", "a/2", "a", "a/1", "c/\0", "c", "a", "c/x/y"] {
        let upload = bucket.upload(key, UploadOptions::new()).unwrap();
        expected.push((key.to_string(), upload.id().clone()));
    }
    let second = bucket.resume_upload("a", &expected[6].1).unwrap();
    second.put_part(3, noise(1000, 1)).unwrap();
    second.put_part(1, noise(10, 1)).unwrap();
    expected.sort();
    let list = |options: ListOptions| {
        let found: Result<Vec<UploadEntry>> = bucket.uploads(options).unwrap().collect();
        found.unwrap().into_iter().map(|entry| (entry.key, entry.id)).collect::<Vec<_>>()
    };
    assert_eq!(list(ListOptions::new()), expected);
    assert_eq!(list(ListOptions::new().prefix("a")), expected[..4]);
    assert_eq!(list(ListOptions::new().prefix("a/").limit(1)), expected[2..3]);
    assert_eq!(list(ListOptions::new().prefix("zz")), []);
    assert_eq!(list(ListOptions::new().start_after("a")), expected[2..]);
    assert_eq!(list(ListOptions::new().start_after("a/11")), expected[3..]);
    assert_eq!(list(ListOptions::new().prefix("c").start_after("a")), expected[5..]);
    let behind = ListOptions::new().start_after("a").start_after_upload(expected[0].1.as_str());
    assert_eq!(list(behind), expected[1..]);
    // Without a key the name of an upload says nothing (OSS).
    assert_eq!(list(ListOptions::new().start_after_upload("what")), expected);
    let entry = bucket.uploads(ListOptions::new().prefix("a")).unwrap().nth(1).unwrap().unwrap();
    assert_eq!((entry.parts, entry.bytes, entry.class), (2, 1010, StorageClass::Standard));
    assert!(entry.initiated.elapsed().unwrap().as_secs() < 600);

    // Page by page, and every size of page gives the same.
    for limit in 1..10 {
        let (mut found, mut options) = (Vec::new(), ListOptions::new().limit(limit));
        loop {
            let page = bucket.uploads_page(options).unwrap();
            assert!(page.uploads.len() <= limit && page.prefixes.is_empty());
            found.extend(page.uploads.into_iter().map(|entry| (entry.key, entry.id)));
            let (Some(key), Some(id)) = (page.next_key, page.next_upload) else { break };
            options = ListOptions::new().limit(limit).start_after(key).start_after_upload(id.as_str());
        }
        assert_eq!(found, expected, "{limit} a page");
    }
    // And rolled up.
    for limit in 1..8 {
        let (mut keys, mut prefixes) = (Vec::new(), Vec::new());
        let mut options = ListOptions::new().delimiter("/").limit(limit);
        loop {
            let page = bucket.uploads_page(options).unwrap();
            assert!(page.uploads.len() + page.prefixes.len() <= limit);
            keys.extend(page.uploads.into_iter().map(|entry| entry.key));
            prefixes.extend(page.prefixes);
            let Some(key) = page.next_key else { break };
            options = ListOptions::new().delimiter("/").limit(limit).start_after(key);
            if let Some(id) = page.next_upload {
                options = options.start_after_upload(id.as_str());
            }
        }
        assert_eq!((keys, prefixes), (vec_of(&["a", "a", "b", "c"]), vec_of(&["a/", "c/"])), "{limit}");
    }
    for bad in [
        ListOptions::new().delimiter("/"),
        ListOptions::new().descending(),
        ListOptions::new().limit(0),
        ListOptions::new().prefix("k".repeat(1024)),
        ListOptions::new().start_after("a").start_after_upload("what"),
        ListOptions::new().start_after_version(VersionId::null()),
    ] {
        assert_eq!(code(bucket.uploads(bad)), "InvalidArgument");
    }
    assert_eq!(store.usage().unwrap().uploads, 8);
    assert_eq!(bucket.usage("a/").unwrap().uploads, 2);
    assert_eq!(bucket.usage("").unwrap().upload_bytes, 1010);
}

fn vec_of(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.to_string()).collect()
}

#[test]
fn a_listing_goes_on_in_the_moment_that_it_was_begun() {
    let (_store, bucket) = a_bucket();
    let uploads: Vec<Upload> =
        (0..600).map(|n| bucket.upload(&format!("k{n:03}"), buffered()).unwrap()).collect();
    let mut listing = bucket.uploads(ListOptions::new()).unwrap();
    assert_eq!(listing.next().unwrap().unwrap().key, "k000");
    uploads.iter().for_each(|upload| upload.abort().unwrap());
    assert_eq!(listing.count(), 599);
    assert_eq!(bucket.uploads(ListOptions::new()).unwrap().count(), 0);
}

#[test]
fn parts_come_from_many_threads() {
    let (store, bucket) = a_bucket();
    let upload = bucket.upload("a", UploadOptions::new()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8u32 {
            let upload = &upload;
            scope.spawn(move || {
                for number in 0..25 {
                    // Every part twice, by two threads: one of them is the last.
                    for owner in [thread, (thread + 1) % 8] {
                        let number = number * 8 + owner + 1;
                        upload.put_part(number, noise(MIN + number as usize, number.into())).unwrap();
                    }
                }
            });
        }
    });
    let parts = upload.parts().unwrap();
    assert_eq!(parts.iter().map(|part| part.number).collect::<Vec<_>>(), (1..=200).collect::<Vec<_>>());
    let entry = bucket.uploads(ListOptions::new()).unwrap().next().unwrap().unwrap();
    assert_eq!((entry.parts, entry.bytes), (200, parts.iter().map(|part| part.size).sum()));
    upload.complete(&parts).unwrap();
    let whole: Vec<u8> = (1..=200u64).flat_map(|n| noise(MIN + n as usize, n)).collect();
    assert!(read(&bucket, "a") == whole);
    assert!(store.verify().unwrap().is_clean());
}

/// A part is in the object, or its call says that there is no upload; never both, never neither.
#[test]
fn a_part_that_races_with_the_end_of_the_upload_is_in_or_out() {
    for round in 0..30 {
        let (store, bucket) = a_bucket();
        let before = entries(&store);
        let upload = bucket.upload("a", buffered()).unwrap();
        upload.put_part(1, noise(MIN, 0)).unwrap();
        let aborts = round % 3 == 0;
        let (placed, ended) = std::thread::scope(|scope| {
            let threads: Vec<_> = (2..6u32)
                .map(|number| {
                    let upload = &upload;
                    scope.spawn(move || upload.put_part(number, noise(MIN, number.into())))
                })
                .collect();
            let ended = if aborts { upload.abort() } else { upload.complete_all().map(drop) };
            (threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>(), ended)
        });
        ended.unwrap();
        let mut whole = noise(MIN, 0);
        for (number, placed) in (2..).zip(placed) {
            match placed {
                Ok(_) => whole.extend(noise(MIN, number)),
                Err(error) => assert_eq!(error.code(), "NoSuchUpload"),
            }
        }
        if aborts {
            assert!(!bucket.exists("a").unwrap());
        } else {
            assert!(read(&bucket, "a") == whole);
            bucket.delete("a").unwrap();
        }
        assert_eq!(entries(&store), before);
    }
}

#[test]
fn ten_thousand_parts_make_an_object() {
    let (store, bucket) = a_bucket();
    let before = entries(&store);
    let source = noise(MIN + 10, 1);
    bucket.put("source", &source).unwrap();
    let upload = bucket.upload("a", buffered().digests(Digests::Oss)).unwrap();
    // They are small, but they may not be: all but the last have 100 KiB, so that not all of them can be tried.
    for number in 1..=10_000u32 {
        upload.put_part(number, number.to_le_bytes()).unwrap();
    }
    assert_eq!(bucket.usage("").unwrap().upload_bytes, 40_000);
    assert_eq!(code(upload.complete_all()), "EntityTooSmall");
    let (mut after, mut seen) = (0, 0);
    loop {
        let page = upload.parts_page(after, 999).unwrap();
        seen += page.parts.len();
        let Some(next) = page.next else { break };
        assert_eq!(next, seen as u32);
        after = next;
    }
    assert_eq!(seen, 10_000);
    // Choosing one drops 9,999.
    upload.complete(&upload.parts().unwrap()[9_999..]).unwrap();
    assert_eq!(read(&bucket, "a"), 10_000u32.to_le_bytes());
    bucket.delete_many(["a", "source"]).unwrap();
    assert_eq!(entries(&store), before);
}

fn open(path: &Path) -> Store {
    let settings = Settings { packed_max: 8192, ..Settings::default() };
    Store::builder(path).settings(settings).maintenance(Maintenance::Manual).open().unwrap()
}

fn rebuild(path: &Path) -> Store {
    let settings = Settings { packed_max: 8192, ..Settings::default() };
    let builder = Store::builder(path).settings(settings).maintenance(Maintenance::Manual);
    builder.rebuild_index(true).open().unwrap()
}

#[test]
fn an_upload_is_resumed_after_the_store_was_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bucket = store.create_bucket("cats").unwrap();
    let upload = bucket.upload("a", UploadOptions::new().content_type("x/y").digests(Digests::Oss)).unwrap();
    let first = upload.put_part(1, noise(MIN, 1)).unwrap();
    let id = upload.id().to_string();
    drop(upload);
    store.close().unwrap();
    for open in [open, rebuild] {
        let store = open(dir.path());
        let bucket = store.bucket("cats").unwrap();
        let upload = bucket.resume_upload("a", &id).unwrap();
        assert_eq!(upload.parts().unwrap()[0], first);
        assert_eq!(bucket.uploads(ListOptions::new()).unwrap().next().unwrap().unwrap().id, *upload.id());
        let second = upload.put_part(2, b"end").unwrap();
        assert!(second.md5.is_some(), "which digests are kept is remembered");
        store.close().unwrap();
    }
    let store = open(dir.path());
    let bucket = store.bucket("cats").unwrap();
    bucket.resume_upload("a", id).unwrap().complete_all().unwrap();
    assert_eq!(read(&bucket, "a"), [noise(MIN, 1), b"end".to_vec()].concat());
    assert_eq!(bucket.head("a").unwrap().content_type.as_deref(), Some("x/y"));
    assert!(store.verify().unwrap().is_clean());
}

/// With few parts an object knows where they lie, with many it asks; with a tiny one it cannot know.
const SHAPES: [&[usize]; 5] = [
    &[MIN * 3, MIN + 1, 50_000],
    &[MIN, MIN + 7, MIN, MIN + 3, MIN, MIN + 1, 1],
    &[MIN, 100],
    &[MIN + 1, 0],
    &[0],
];

#[test]
fn every_range_of_an_object_made_of_parts_can_be_read() {
    let (store, bucket) = a_bucket();
    for shape in SHAPES {
        let whole = uploaded(&bucket, "a", shape);
        assert!(read(&bucket, "a") == whole);
        let edges: Vec<u64> = shape
            .iter()
            .scan(0, |at, len| {
                *at += *len as u64;
                Some(*at)
            })
            .chain([0, 1, 99_999])
            .flat_map(|edge: u64| [edge.saturating_sub(1), edge, edge + 1])
            .collect();
        for from in &edges {
            for to in edges.iter().filter(|to| *to > from && *from < whole.len() as u64) {
                let expected = &whole[*from as usize..whole.len().min(*to as usize)];
                let got = bucket.get_with("a", GetOptions::new().range(*from..*to)).unwrap();
                assert!(got.bytes().unwrap() == expected, "{from}..{to} of {shape:?}");
            }
            let mut object = bucket.get("a").unwrap();
            object.seek(SeekFrom::Start(*from)).unwrap();
            let mut rest = Vec::new();
            object.read_to_end(&mut rest).unwrap();
            assert!(rest == whole[whole.len().min(*from as usize)..]);
        }
        let mut out = Vec::new();
        bucket.get("a").unwrap().copy_to(&mut out).unwrap();
        assert!(out == whole);
    }
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn parts_are_found_wherever_compaction_moves_them() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bucket = store.create_bucket("cats").unwrap();
    let mut expected = BTreeMap::new();
    for (number, shape) in SHAPES.iter().enumerate() {
        bucket.put(&format!("waste{number}"), vec![1; 400_000]).unwrap();
        let key = format!("k{number}");
        expected.insert(key.clone(), uploaded(&bucket, &key, shape));
    }
    let upload = bucket.upload("late", UploadOptions::new()).unwrap();
    upload.put_part(1, noise(MIN, 1)).unwrap();
    upload.put_part(2, noise(MIN, 2)).unwrap();
    upload.put_part(2, noise(MIN * 2, 3)).unwrap();
    // A reader from before goes on reading what it was given.
    let held = bucket.get("k1").unwrap();
    bucket.copy("k0", "copy").unwrap();
    bucket.rename("k1", "moved").unwrap();
    expected.insert("copy".into(), expected["k0"].clone());
    let moved = expected.remove("k1").unwrap();
    expected.insert("moved".into(), moved.clone());
    bucket.delete_many((0..SHAPES.len()).map(|number| format!("waste{number}"))).unwrap();
    let check = |bucket: &Bucket, expected: &BTreeMap<String, Vec<u8>>| {
        for (key, body) in expected {
            assert!(read(bucket, key) == *body, "{key}");
        }
        assert_eq!(bucket.usage("").unwrap().objects, expected.len() as u64);
    };
    for _ in 0..2 {
        store.checkpoint().unwrap();
        store.compact(CompactOptions::new().garbage_percent(0)).unwrap();
        check(&bucket, &expected);
        assert!(store.verify().unwrap().is_clean());
    }
    assert!(store.stats().removed_segments > 0);
    assert!(held.bytes().unwrap() == moved);
    upload.complete_all().unwrap();
    expected.insert("late".into(), [noise(MIN, 1), noise(MIN * 2, 3)].concat());
    store.close().unwrap();
    for open in [open, rebuild, open] {
        let store = open(dir.path());
        let bucket = store.bucket("cats").unwrap();
        store.compact(CompactOptions::new().garbage_percent(0)).unwrap();
        check(&bucket, &expected);
        assert!(store.verify().unwrap().is_clean());
        store.close().unwrap();
    }
}

#[test]
fn a_copy_of_an_object_made_of_parts_shares_them_until_the_last_one_goes() {
    let (store, bucket) = a_bucket();
    let dogs = store.create_bucket("dogs").unwrap();
    let before = entries(&store);
    for shape in SHAPES {
        let whole = uploaded(&bucket, "a", shape);
        let etag = bucket.head("a").unwrap().etag;
        let copied = dogs.copy_from(&bucket, "a", "b", CopyOptions::new().metadata("k", "v")).unwrap();
        assert_eq!(copied.etag, etag);
        store.write(|tx| tx.copy(&dogs, "b", &bucket, "c")).unwrap();
        bucket.delete("a").unwrap();
        bucket.rename("c", "d").unwrap();
        assert!(read(&dogs, "b") == whole && read(&bucket, "d") == whole);
        dogs.put("b", b"something else").unwrap();
        store.compact(CompactOptions::new().garbage_percent(0)).unwrap();
        assert!(read(&bucket, "d") == whole);
        bucket.delete("d").unwrap();
        dogs.delete("b").unwrap();
        assert_eq!(entries(&store), before, "{shape:?}");
    }
}

#[test]
fn completing_makes_a_version_where_versions_are_kept() {
    let (store, bucket) = a_bucket();
    bucket.put("a", b"null").unwrap();
    bucket.set_config(&Versioning::Enabled).unwrap();
    let before = entries(&store);
    let upload = bucket.upload("a", UploadOptions::new()).unwrap();
    upload.put_part(1, noise(MIN, 1)).unwrap();
    upload.put_part(2, noise(MIN, 2)).unwrap();
    let first = upload.complete_all().unwrap();
    assert_eq!(bucket.head("a").unwrap().version, first.version);
    let second = bucket.put("a", b"second").unwrap();
    let old = bucket.get_with("a", GetOptions::new().version(first.version.as_ref().unwrap())).unwrap();
    assert_eq!((old.meta().kind, old.meta().parts()), (ObjectKind::Multipart, 2));
    assert!(old.bytes().unwrap() == [noise(MIN, 1), noise(MIN, 2)].concat());
    assert_eq!(bucket.usage("").unwrap().noncurrent_bytes, 4 + 2 * MIN as u64);
    // An upload that is begun and aborted makes none.
    bucket.upload("a", UploadOptions::new()).unwrap().abort().unwrap();
    assert_eq!(bucket.head("a").unwrap().version, second.version);
    for version in [first.version.unwrap(), second.version.unwrap()] {
        bucket.delete_with("a", DeleteOptions::new().version(&version)).unwrap();
    }
    assert_eq!(read(&bucket, "a"), b"null");
    bucket.set_config(&Versioning::Suspended).unwrap();
    uploaded(&bucket, "a", &[7]);
    assert_eq!(bucket.head("a").unwrap().version, Some(VersionId::null()));
    bucket.put("a", b"null").unwrap();
    // Where the null version was is written down from the first version on; now it is on top again.
    assert_eq!(entries(&store), before);
}

#[test]
fn parts_count_for_the_quota_of_their_bucket() {
    let store = Store::in_memory().unwrap();
    let quota = Quota { bytes: Some(3 * MIN as u64), ..Quota::default() };
    let bucket = store.create_bucket_with("cats", CreateBucketOptions::new().quota(quota)).unwrap();
    let upload = bucket.upload("a", UploadOptions::new()).unwrap();
    upload.put_part(1, noise(MIN, 1)).unwrap();
    upload.put_part(2, noise(MIN * 2, 2)).unwrap();
    assert_eq!(code(upload.put_part(3, b"x")), "QuotaExceeded");
    assert_eq!(code(upload.put_part(1, noise(MIN + 1, 1))), "QuotaExceeded");
    assert_eq!(code(bucket.put("b", b"x")), "QuotaExceeded");
    upload.put_part(2, noise(MIN, 2)).unwrap();
    bucket.put("b", noise(MIN, 3)).unwrap();
    // The parts become the object: nothing is counted twice.
    upload.complete_all().unwrap();
    assert_eq!(bucket.usage("").unwrap().bytes, 3 * MIN as u64);
    let quota = Quota { objects: Some(2), ..Quota::default() };
    bucket.set_config(&quota).unwrap();
    let third = bucket.upload("c", UploadOptions::new()).unwrap();
    third.put_part(1, b"x").unwrap();
    assert_eq!(code(third.complete_all()), "QuotaExceeded");
    assert_eq!(third.parts().unwrap().len(), 1);
    bucket.delete("b").unwrap();
    third.complete_all().unwrap();
}

#[test]
fn an_aborted_upload_gives_back_all_that_it_took() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bucket = store.create_bucket("cats").unwrap();
    let before = entries(&store);
    // Few parts go with the commit that aborts, many go by and by.
    for parts in [3, 64, 65, 600] {
        let upload = bucket.upload("a", buffered()).unwrap();
        for number in 1..=parts {
            upload.put_part(number, noise(9000, number.into())).unwrap();
        }
        assert_eq!(code(store.delete_bucket("cats")), "BucketNotEmpty");
        upload.abort().unwrap();
        assert_eq!(bucket.usage("").unwrap(), Usage::default());
        store.maintain(std::time::Duration::from_secs(60)).unwrap();
        // Tidying leaves one note, that of the last commit that did.
        assert_eq!(entries(&store), before + u64::from(parts > 64), "{parts} parts");
    }
    store.compact(CompactOptions::new().garbage_percent(0)).unwrap();
    // What is left of 6.6 MB are the tombstones.
    let live = store.stats().live_bytes;
    assert!(live < 64 << 10, "{live} bytes are still live");
    store.delete_bucket("cats").unwrap();
}

#[test]
fn an_object_of_many_parts_that_is_replaced_gives_them_back() {
    let (store, bucket) = a_bucket();
    let mut rows = Vec::new();
    for _ in 0..3 {
        for _ in 0..2 {
            uploaded(&bucket, "a", &[MIN; 70]);
        }
        bucket.put("a", b"small").unwrap();
        store.maintain(std::time::Duration::from_secs(60)).unwrap();
        rows.push(entries(&store));
    }
    // The bucket's two rows, the object, and the note of the last commit that tidied.
    assert_eq!(rows, [4, 4, 4]);
}

#[test]
fn an_upload_knows_nothing_of_a_bucket_of_the_same_name() {
    let (store, bucket) = a_bucket();
    let upload = bucket.upload("a", UploadOptions::new()).unwrap();
    upload.abort().unwrap();
    store.delete_bucket("cats").unwrap();
    let again = store.create_bucket("cats").unwrap();
    assert_eq!(code(upload.put_part(1, b"x")), "NoSuchBucket");
    assert_eq!(code(upload.complete_all()), "NoSuchBucket");
    assert_eq!(code(upload.abort()), "NoSuchBucket");
    assert_eq!(code(upload.parts()), "NoSuchBucket");
    assert_eq!(code(again.resume_upload("a", upload.id())), "NoSuchUpload");
}

#[test]
fn uploads_go_on_where_prefixes_were_renamed_and_buckets_forked() {
    let (store, bucket) = a_bucket();
    let upload = bucket.upload("old/a", UploadOptions::new()).unwrap();
    upload.put_part(1, noise(MIN, 1)).unwrap();
    upload.put_part(2, b"tail").unwrap();
    bucket.put("old/b", b"b").unwrap();
    let fork = store.fork_bucket("cats", "fork").unwrap();
    assert_eq!(fork.uploads(ListOptions::new()).unwrap().count(), 0);
    assert_eq!(code(fork.resume_upload("old/a", upload.id())), "NoSuchUpload");
    bucket.rename_prefix("old/", "new/").unwrap();
    // The upload is to the key that it was begun for.
    upload.complete_all().unwrap();
    let whole = [noise(MIN, 1), b"tail".to_vec()].concat();
    assert!(read(&bucket, "old/a") == whole);
    bucket.rename_prefix("old/", "newer/").unwrap();
    assert!(read(&bucket, "newer/a") == whole);
    let second = store.fork_bucket("cats", "second").unwrap();
    bucket.delete("newer/a").unwrap();
    assert!(read(&second, "newer/a") == whole);
    let own = second.upload("newer/a", UploadOptions::new()).unwrap();
    own.put_part(1, b"own").unwrap();
    own.complete_all().unwrap();
    assert_eq!(read(&second, "newer/a"), b"own");
    assert!(!bucket.exists("newer/a").unwrap());
    store.maintain(std::time::Duration::from_secs(60)).unwrap();
    assert!(store.verify().unwrap().is_clean());
}

/// The work of removing the parts had the number of the work of removing what the fork held, and took its place.
#[test]
fn a_fork_that_is_dropped_with_an_upload_of_many_parts_leaves_nothing() {
    let (store, bucket) = a_bucket();
    bucket.put("a", b"a").unwrap();
    let rows_after = |parts: u32| {
        let fork = store.fork_bucket("cats", "fork").unwrap();
        fork.put("own", b"own").unwrap();
        let upload = fork.upload("b", buffered()).unwrap();
        (1..=parts).for_each(|number| drop(upload.put_part(number, b"x").unwrap()));
        store.delete_bucket("fork").unwrap();
        store.maintain(std::time::Duration::from_secs(60)).unwrap();
        entries(&store)
    };
    let rows = [1, 1, 65].map(rows_after);
    // Each fork leaves its name, for whoever reads of its past.
    assert_eq!(rows[2] - rows[1], rows[1] - rows[0], "{rows:?}");
}

#[test]
fn the_feed_tells_of_the_object_and_not_of_its_parts() {
    let (store, bucket) = a_bucket();
    let begun = store.stats().lsn;
    let upload = bucket.upload("a", UploadOptions::new()).unwrap();
    upload.put_part(1, b"part").unwrap();
    upload.put_part(1, b"again").unwrap();
    let outcome = upload.complete_all().unwrap();
    bucket.upload("b", UploadOptions::new()).unwrap().abort().unwrap();
    let told: Vec<Change> = store.changes(begun).unwrap().collect::<Result<_>>().unwrap();
    let of_objects: Vec<&Change> = told.iter().filter(|change| !change.ops.is_empty()).collect();
    assert_eq!((told.len(), of_objects.len()), (6, 1));
    let put = |op: &ChangeOp| matches!(op, ChangeOp::Put { key, meta, .. } if key == "a" && meta.size == 5);
    assert!(of_objects[0].lsn == outcome.lsn && of_objects[0].ops.iter().all(put), "{told:?}");
}

#[test]
fn an_object_made_of_parts_is_read_in_the_retained_past_and_in_snapshots() {
    let settings = Settings { history: Some(std::time::Duration::from_secs(3600)), ..Settings::default() };
    let dir = tempfile::tempdir().unwrap();
    let builder = Store::builder(dir.path()).settings(settings).maintenance(Maintenance::Manual);
    let store = builder.open().unwrap();
    let bucket = store.create_bucket("cats").unwrap();
    for shape in SHAPES {
        let whole = uploaded(&bucket, "a", shape);
        let (lsn, snapshot) = (store.stats().lsn, store.snapshot().unwrap());
        let upload = bucket.upload("a", UploadOptions::new()).unwrap();
        upload.put_part(1, b"new").unwrap();
        upload.complete_all().unwrap();
        bucket.delete("a").unwrap();
        store.maintain(std::time::Duration::from_secs(60)).unwrap();
        store.compact(CompactOptions::new().garbage_percent(0)).unwrap();
        for past in [store.as_of(lsn).unwrap(), snapshot] {
            let object = past.bucket("cats").unwrap().get("a").unwrap();
            assert!(object.bytes().unwrap() == whole, "{shape:?}");
        }
        assert!(!bucket.exists("a").unwrap());
    }
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn a_protected_object_is_not_replaced_by_an_upload() {
    let (_store, bucket) = a_bucket();
    let upload = bucket.upload("a", UploadOptions::new()).unwrap();
    upload.put_part(1, b"late").unwrap();
    bucket.put("a", b"early").unwrap();
    let created = std::time::SystemTime::now();
    bucket.set_config(&Worm { days: 1, state: WormState::InProgress, created }).unwrap();
    assert_eq!(code(upload.complete_all()), "FileImmutable");
    assert_eq!(read(&bucket, "a"), b"early");
    assert_eq!(upload.parts().unwrap().len(), 1);
}

/// The id of an upload says where it stands, so what stays open is told once, whatever is begun and aborted meanwhile.
#[test]
fn pages_of_uploads_tell_what_stays_open_exactly_once() {
    let (_store, bucket) = a_bucket();
    let begin = |key: &str| bucket.upload(key, buffered()).unwrap();
    let stays: Vec<_> = (0..20).map(|n| begin(["a", "b", "c"][n % 3])).collect();
    let (mut told, mut options) = (Vec::new(), ListOptions::new().limit(3));
    loop {
        let page = bucket.uploads_page(options).unwrap();
        told.extend(page.uploads.iter().map(|upload| (upload.key.clone(), upload.id.to_string())));
        let (Some(key), Some(id)) = (page.next_key, page.next_upload) else { break };
        begin(&key);
        begin("a");
        // The one that the page ended at goes, and one of another key, if they are not among those that stay.
        if !stays.iter().any(|upload| *upload.id() == id) {
            bucket.resume_upload(&key, &id).unwrap().abort().unwrap();
        }
        options = ListOptions::new().limit(3).start_after(key).start_after_upload(id.to_string());
        assert!(told.len() < 200);
    }
    for upload in &stays {
        let same = |(key, id): &&(String, String)| key == upload.key() && *id == upload.id().to_string();
        assert_eq!(told.iter().filter(same).count(), 1, "{upload:?}");
    }
}
