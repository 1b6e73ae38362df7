//! Listing: order, prefixes, delimiters, pages.

use ossicle::{Bucket, Entry, ListOptions};

use crate::{a_bucket, code};

fn filled(keys: &[&str]) -> (ossicle::Store, Bucket) {
    let (store, bucket) = a_bucket();
    keys.iter().for_each(|key| drop(bucket.put(key, b"x").unwrap()));
    (store, bucket)
}

fn names(bucket: &Bucket, options: ListOptions) -> Vec<String> {
    bucket.list_with(options).unwrap().map(|entry| entry.unwrap().name().to_string()).collect()
}

#[test]
fn keys_come_in_the_order_of_their_bytes() {
    let keys = ["a", "B", "a/b", "a\0", "\u{e9}", "e\u{301}", "\u{FFFD}", "\u{10000}", "a b", "~"];
    let (_store, bucket) = filled(&keys);
    let mut sorted = keys.to_vec();
    sorted.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    assert_eq!(names(&bucket, ListOptions::new()), sorted);
}

#[test]
fn a_delimiter_rolls_keys_up() {
    let (_store, bucket) = filled(&["a", "a/", "a/b", "a/c/d", "a//", "b/x", "c"]);
    assert_eq!(names(&bucket, ListOptions::new().delimiter("/")), ["a", "a/", "b/", "c"]);
    let inside = bucket.list_with(ListOptions::new().prefix("a/").delimiter("/")).unwrap();
    let kinds: Vec<_> = inside.map(|entry| matches!(entry.unwrap(), Entry::Prefix(_))).collect();
    assert_eq!(names(&bucket, ListOptions::new().prefix("a/").delimiter("/")), ["a/", "a//", "a/b", "a/c/"]);
    assert_eq!(kinds, [false, true, false, true]);
    // Any text may be the delimiter.
    assert_eq!(names(&bucket, ListOptions::new().delimiter("a/")), ["a", "a/", "b/x", "c"]);
    assert_eq!(
        names(&bucket, ListOptions::new().delimiter("/c/")),
        ["a", "a/", "a//", "a/b", "a/c/", "b/x", "c"]
    );
}

#[test]
fn a_start_lies_behind_a_name_and_behind_its_group() {
    let (_store, bucket) = filled(&["a", "a/b", "a/c", "b", "c"]);
    let after = |name: &str| names(&bucket, ListOptions::new().delimiter("/").start_after(name));
    assert_eq!(after("a"), ["a/", "b", "c"]);
    assert_eq!(after("a/"), ["b", "c"]);
    assert_eq!(after("a/b"), ["b", "c"]);
    assert_eq!(after("aa"), ["b", "c"]);
    assert_eq!(after("c"), Vec::<String>::new());
    assert_eq!(names(&bucket, ListOptions::new().prefix("a/").start_after("A")), ["a/b", "a/c"]);
    assert_eq!(names(&bucket, ListOptions::new().prefix("a/").start_after("b")), Vec::<String>::new());
}

#[test]
fn pages_add_up_to_the_whole() {
    let keys: Vec<String> = (0..250).map(|number| format!("{}/{number:03}", number % 20)).collect();
    let refs: Vec<&str> = keys.iter().map(String::as_str).collect();
    let (_store, bucket) = filled(&refs);
    for delimiter in ["", "/"] {
        let whole = names(&bucket, ListOptions::new().delimiter(delimiter));
        for limit in [1, 7, 19, 20, 21, 249, 250, 251] {
            let (mut pieces, mut start) = (Vec::new(), String::new());
            loop {
                let options = ListOptions::new().delimiter(delimiter).start_after(&start).limit(limit);
                let page = bucket.list_page(options).unwrap();
                pieces.extend(page.entries.iter().map(|entry| entry.name().to_string()));
                match page.next {
                    Some(next) => start = next,
                    None => break,
                }
            }
            assert_eq!(pieces, whole, "limit {limit}, delimiter {delimiter:?}");
        }
    }
}

#[test]
fn a_page_has_a_thousand_entries_unless_it_is_told_otherwise() {
    let (store, bucket) = a_bucket();
    store.write(|tx| (0..1001).try_for_each(|number| tx.put(&bucket, &format!("{number:04}"), b""))).unwrap();
    let page = bucket.list_page(ListOptions::new()).unwrap();
    assert_eq!((page.entries.len(), page.next.as_deref()), (1000, Some("0999")));
    let page = bucket.list_page(ListOptions::new().limit(1001)).unwrap();
    assert_eq!((page.entries.len(), page.next), (1001, None));
    assert_eq!(bucket.list("").unwrap().count(), 1001);
    assert_eq!(bucket.list_with(ListOptions::new().limit(70)).unwrap().count(), 70);
}

#[test]
fn a_listing_shows_the_moment_at_which_it_began() {
    let (store, bucket) = a_bucket();
    store
        .write(|tx| (0..300).try_for_each(|number| tx.put(&bucket, &format!("{number:03}"), b"old")))
        .unwrap();
    let mut listing = bucket.list("").unwrap();
    assert_eq!(listing.next().unwrap().unwrap().name(), "000");
    bucket.delete_many((100..200).map(|number| format!("{number:03}"))).unwrap();
    bucket.put("250", b"longer than before").unwrap();
    bucket.put("000a", b"").unwrap();
    store.checkpoint().unwrap();
    let rest: Vec<_> = listing.map(|entry| entry.unwrap()).collect();
    assert_eq!(rest.len(), 299);
    assert!(rest.iter().all(|entry| matches!(entry, Entry::Object(meta) if meta.size == 3)));
}

/// The prefix may be any text that can be borrowed, as the other names may.
#[test]
fn a_prefix_may_be_a_borrowed_string() {
    let (store, bucket) = filled(&["a/1", "b"]);
    let prefix = String::from("a/");
    assert_eq!(bucket.list(&prefix).unwrap().count(), 1);
    assert_eq!(store.snapshot().unwrap().bucket("cats").unwrap().list(&prefix).unwrap().count(), 1);
}

#[test]
fn what_a_listing_is_asked_must_be_short_and_positive() {
    let (_store, bucket) = a_bucket();
    let long = "k".repeat(1024);
    for options in [
        ListOptions::new().prefix(&long),
        ListOptions::new().delimiter(&long),
        ListOptions::new().start_after(&long),
        ListOptions::new().limit(0),
    ] {
        assert_eq!(code(bucket.list_page(options.clone())), "InvalidArgument");
        assert_eq!(code(bucket.list_with(options)), "InvalidArgument");
    }
    let longest = "k".repeat(1023);
    assert!(
        bucket
            .list_page(ListOptions::new().prefix(&longest).start_after(&longest))
            .unwrap()
            .entries
            .is_empty()
    );
}

/// A closed store's pages may be written over by the next opening: a listing in the middle must not go on.
#[test]
fn a_listing_ends_when_its_store_is_closed() {
    let (store, bucket) = a_bucket();
    store.write(|tx| (0..300).try_for_each(|number| tx.put(&bucket, &format!("{number:03}"), b""))).unwrap();
    let mut listing = bucket.list("").unwrap();
    listing.next().unwrap().unwrap();
    store.close().unwrap();
    let error = listing.find_map(Result::err).expect("the listing went on to its end");
    assert_eq!(error.kind(), ossicle::ErrorKind::Closed);
    assert!(listing.next().is_none(), "after an error it ends");
}

/// A page begins where the last one ended, by name: what stays is told once, whatever comes and goes.
#[test]
fn pages_tell_what_stays_exactly_once_while_the_bucket_changes() {
    let stays: Vec<String> = (0..40).map(|n| format!("{}/{n:02}", n % 4)).collect();
    for (delimiter, descending) in [("", false), ("", true), ("/", false), ("/", true)] {
        let (_store, bucket) = a_bucket();
        stays.iter().for_each(|key| drop(bucket.put(key, b"x").unwrap()));
        bucket.put("gone", b"x").unwrap();
        let (mut told, mut next, mut round) = (Vec::new(), String::new(), 0);
        loop {
            let options = ListOptions::new().limit(3).delimiter(delimiter).start_after(&next);
            let page = bucket.list_page(if descending { options.descending() } else { options }).unwrap();
            told.extend(page.entries.iter().map(|entry| entry.name().to_string()));
            let Some(name) = page.next else { break };
            // The name that the page ended at comes and goes, and so do its neighbours.
            for key in [format!("{name}!"), format!("0/{round:02}!"), format!("3/{round:02}!")] {
                bucket.put(&key, b"new").unwrap();
            }
            if !stays.contains(&name) {
                bucket.delete(&name).unwrap();
            }
            (next, round) = (name, round + 1);
            assert!(round < 200);
        }
        let wanted: Vec<String> = match delimiter {
            "" => stays.clone(),
            _ => (0..4).map(|n| format!("{n}/")).collect(),
        };
        for name in wanted {
            assert_eq!(
                told.iter().filter(|other| **other == name).count(),
                1,
                "{name} {delimiter:?} {descending}"
            );
        }
        let mut unique = told.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), told.len(), "told twice: {told:?}");
    }
}
