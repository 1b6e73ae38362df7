//! Ranges of a body, in all the forms that people write.

use std::time::Duration;

use ossicle::{Bucket, CustomerKey, GetOptions, PutOptions, Result, Store, UploadOptions};

use crate::{a_bucket, code};

#[test]
fn ranges_are_clipped_to_the_body_or_refused() {
    let (_store, bucket) = a_bucket();
    // Inside the entry, beside the commit, and streamed.
    for len in [10u64, 10_000, 1_000_000] {
        let body: Vec<u8> = (0..len).map(|at| (at % 253) as u8).collect();
        bucket.put("a", &body).unwrap();
        let get = |options: GetOptions| bucket.get_with("a", options).and_then(ossicle::Object::bytes);
        let part = |options: GetOptions| get(options).unwrap();
        assert_eq!(part(GetOptions::new().range(..)), body);
        assert_eq!(part(GetOptions::new().range(4..8)), body[4..8]);
        assert_eq!(part(GetOptions::new().range(4..=8)), body[4..=8]);
        assert_eq!(part(GetOptions::new().range(4..)), body[4..]);
        assert_eq!(part(GetOptions::new().range(..8)), body[..8]);
        assert_eq!(part(GetOptions::new().range(..=8)), body[..=8]);
        assert_eq!(part(GetOptions::new().range(len - 1..u64::MAX)), body[len as usize - 1..]);
        assert_eq!(part(GetOptions::new().range(0..=u64::MAX)), body);
        assert_eq!(part(GetOptions::new().last(3)), body[len as usize - 3..]);
        assert_eq!(part(GetOptions::new().last(u64::MAX)), body);
        for start in [len, len + 1, u64::MAX] {
            assert_eq!(code(get(GetOptions::new().range(start..))), "InvalidRange");
        }
        #[allow(clippy::reversed_empty_ranges, reason = "that is what is asked here")]
        let reversed = GetOptions::new().range(8..4);
        for empty in
            [reversed, GetOptions::new().range(5..5), GetOptions::new().range(..0), GetOptions::new().last(0)]
        {
            assert_eq!(code(get(empty)), "InvalidRange");
        }
    }
}

#[test]
fn ranges_across_chunks_have_the_right_bytes() {
    let (_store, bucket) = a_bucket();
    let body: Vec<u8> = (0..400_000u32).map(|at| (at / 3) as u8).collect();
    bucket.put("a", &body).unwrap();
    for edge in [65_536usize, 131_072, 196_608] {
        for (before, after) in [(1, 0), (0, 1), (1, 1), (70_000.min(edge), 70_000)] {
            let range = edge - before..edge + after;
            let got =
                bucket.get_with("a", GetOptions::new().range(range.start as u64..range.end as u64)).unwrap();
            assert!(got.bytes().unwrap() == body[range.clone()], "{range:?}");
        }
    }
}

#[test]
fn of_an_empty_body_only_all_can_be_asked() {
    let (_store, bucket) = a_bucket();
    bucket.put("a", b"").unwrap();
    assert!(bucket.get("a").unwrap().bytes().unwrap().is_empty());
    assert!(bucket.get_with("a", GetOptions::new().range(0..)).unwrap().bytes().unwrap().is_empty());
    assert_eq!(code(bucket.get_with("a", GetOptions::new().range(0..1))), "InvalidRange");
    assert_eq!(code(bucket.get_with("a", GetOptions::new().range(1..))), "InvalidRange");
    assert_eq!(code(bucket.get_with("a", GetOptions::new().range(..0))), "InvalidRange");
    assert_eq!(code(bucket.get_with("a", GetOptions::new().last(0))), "InvalidRange");
}

#[test]
fn a_range_has_no_effect_on_head() {
    let (_store, bucket) = a_bucket();
    bucket.put("a", b"abc").unwrap();
    assert_eq!(bucket.head_with("a", GetOptions::new().range(100..)).unwrap().size, 3);
}

/// A suffix that is longer than the body is all of it (RFC 9110, 14.1.2), and all of nothing is nothing.
#[test]
fn the_last_bytes_of_an_empty_body_are_none() {
    let (store, bucket) = a_bucket();
    let key = CustomerKey::new([7; 32]);
    bucket.put("plain", b"").unwrap();
    bucket.put_with("sealed", b"", PutOptions::new().customer_key(&key)).unwrap();
    bucket.append("grows", 0, b"").unwrap();
    let upload = bucket.upload("parts", UploadOptions::new()).unwrap();
    // A part that is copied out of nothing is empty, and so is what is made of it.
    let part = upload.put_part_copy(1, &bucket, "plain", GetOptions::new().last(10)).unwrap();
    assert_eq!(part.size, 0);
    upload.complete(&[part]).unwrap();
    bucket.symlink("link", "plain").unwrap();
    let frozen = store.snapshot().unwrap().bucket("cats").unwrap();
    for name in ["plain", "sealed", "grows", "parts", "link"] {
        let asked = |options: GetOptions| match name {
            "sealed" => options.customer_key(&key),
            _ => options,
        };
        let answers = |options: GetOptions| -> [Result<bytes::Bytes>; 3] {
            [
                bucket.get_with(name, asked(options.clone())).and_then(ossicle::Object::bytes),
                frozen.get_with(name, asked(options.clone())).and_then(ossicle::Object::bytes),
                store.write(|tx| tx.get_with(&bucket, name, asked(options)).and_then(ossicle::Object::bytes)),
            ]
        };
        for all in [
            GetOptions::new().last(1),
            GetOptions::new().last(u64::MAX),
            GetOptions::new().range(..),
            GetOptions::new().range(0..),
        ] {
            for answer in answers(all.clone()) {
                assert!(answer.unwrap().is_empty(), "{name} {all:?}");
            }
        }
        for part in [
            GetOptions::new().last(0),
            GetOptions::new().range(0..1),
            GetOptions::new().range(..=0),
            GetOptions::new().range(..0),
            GetOptions::new().range(1..),
        ] {
            for answer in answers(part.clone()) {
                assert_eq!(code(answer), "InvalidRange", "{name} {part:?}");
            }
        }
    }
    // A follower of what is empty has nothing yet, wherever it began.
    assert_eq!(bucket.follow("grows", 0).unwrap().next(Duration::ZERO).unwrap(), None);
    bucket.append("grows", 0, b"abc").unwrap();
    assert_eq!(&last(&store, &bucket, "grows", 2)[..], b"bc");
}

fn last(store: &Store, bucket: &Bucket, key: &str, bytes: u64) -> bytes::Bytes {
    let options = GetOptions::new().last(bytes);
    let inside = store.write(|tx| tx.get_with(bucket, key, options.clone())?.bytes()).unwrap();
    assert_eq!(bucket.get_with(key, options).unwrap().bytes().unwrap(), inside);
    inside
}
