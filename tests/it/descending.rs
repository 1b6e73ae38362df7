//! Listings from the last name to the first.

use ossicle::*;

fn names(bucket: &Bucket, options: ListOptions) -> Vec<String> {
    bucket.list_with(options).unwrap().map(|entry| entry.unwrap().name().to_string()).collect()
}

#[test]
fn a_descending_listing_is_the_ascending_one_turned_round() {
    let store = Store::in_memory().unwrap();
    let bucket = store.create_bucket("books").unwrap();
    let keys = ["a", "a/", "a/1", "a/2", "ab", "b/x/1", "b/x/2", "b/y", "c", "ä/1", "\u{10FFFF}"];
    for key in keys {
        bucket.put(key, b"x").unwrap();
    }
    for checkpoint in [false, true] {
        if checkpoint {
            store.checkpoint().unwrap();
        }
        for prefix in ["", "a", "a/", "b/", "zzz"] {
            for delimiter in ["", "/", "x"] {
                let options = ListOptions::new().prefix(prefix).delimiter(delimiter);
                let mut up = names(&bucket, options.clone());
                let down = names(&bucket, options.clone().descending());
                up.reverse();
                assert_eq!(up, down, "{prefix:?} {delimiter:?}");
                for limit in 1..4 {
                    let mut paged = Vec::new();
                    let mut after = String::new();
                    loop {
                        let options = options.clone().descending().start_after(after.as_str()).limit(limit);
                        let page = bucket.list_page(options).unwrap();
                        paged.extend(page.entries.iter().map(|entry| entry.name().to_string()));
                        let Some(next) = page.next else { break };
                        after = next;
                    }
                    assert_eq!(paged, down, "{prefix:?} {delimiter:?} by {limit}");
                }
            }
        }
    }
}

/// What a listing says that begins at a name is what the whole one says from there on.
#[test]
fn a_listing_begins_at_its_start_either_way() {
    let store = Store::in_memory().unwrap();
    let bucket = store.create_bucket("books").unwrap();
    let keys = ["a", "a/", "a/1", "a/2", "a0", "ab", "b/x/1", "b/x/2", "b/y", "c", "ä/1", "\u{10FFFF}"];
    for key in keys {
        bucket.put(key, b"x").unwrap();
    }
    let fork = store.fork_bucket("books", "fork").unwrap();
    fork.rename_prefix("b/", "moved/").unwrap();
    fork.rename_prefix("moved/", "b/").unwrap();
    let starts =
        ["", "A", "a", "a/", "a/0", "a/1", "a/3", "aa", "b", "b/", "b/x", "b/x/", "b/x/1", "c", "zzz", "ä/"];
    for (bucket, prefix, delimiter, start, after) in [&bucket, &fork].into_iter().flat_map(|bucket| {
        let rest = ["", "a", "a/", "b/", "zzz"].into_iter().flat_map(move |prefix| {
            ["", "/", "x"].into_iter().flat_map(move |delimiter| {
                starts.into_iter().flat_map(move |start| {
                    ["", "a", "a/1", "b/"].into_iter().map(move |after| (prefix, delimiter, start, after))
                })
            })
        });
        rest.map(move |(prefix, delimiter, start, after)| (bucket, prefix, delimiter, start, after))
    }) {
        let whole = ListOptions::new().prefix(prefix).delimiter(delimiter);
        let options = whole.clone().start(start).start_after(after);
        let mut told = names(bucket, whole);
        told.retain(|name| name.as_str() >= start && (after.is_empty() || name.as_str() > after));
        assert_eq!(names(bucket, options.clone()), told, "{prefix:?} {delimiter:?} {start:?} {after:?}");
        let mut told = names(bucket, ListOptions::new().prefix(prefix).delimiter(delimiter).descending());
        told.retain(|name| {
            (start.is_empty() || name.as_str() <= start) && (after.is_empty() || name.as_str() < after)
        });
        let down = names(bucket, options.descending());
        assert_eq!(down, told, "descending {prefix:?} {delimiter:?} {start:?} {after:?}");
    }
    let long = ListOptions::new().start("x".repeat(1024));
    assert_eq!(bucket.list_with(long).unwrap_err().code(), "InvalidArgument");
}

#[test]
fn versions_and_uploads_begin_at_their_start() {
    let store = Store::in_memory().unwrap();
    let bucket = store
        .create_bucket_with("books", CreateBucketOptions::new().versioning(Versioning::Enabled))
        .unwrap();
    for key in ["a", "b/1", "b/2", "c"] {
        bucket.put(key, b"1").unwrap();
        bucket.put(key, b"2").unwrap();
        bucket.upload(key, UploadOptions::new()).unwrap();
        bucket.upload(key, UploadOptions::new()).unwrap();
    }
    let from = |start: &str| ListOptions::new().start(start);
    let versions = |options: ListOptions| -> Vec<String> {
        bucket.versions(options).unwrap().map(|entry| entry.unwrap().key).collect()
    };
    let uploads = |options: ListOptions| -> Vec<String> {
        bucket.uploads(options).unwrap().map(|entry| entry.unwrap().key).collect()
    };
    for (start, told) in [("", 8), ("a", 8), ("a0", 6), ("b/", 6), ("b/2", 4), ("c", 2), ("d", 0)] {
        assert_eq!((versions(from(start)).len(), uploads(from(start)).len()), (told, told), "{start}");
    }
    // A start behind `start_after` counts, and one before it does not.
    let second = bucket.versions(from("b/1")).unwrap().nth(1).unwrap().unwrap().version;
    let within = ListOptions::new().start_after("b/1").start_after_version(&second);
    assert_eq!(versions(within.clone().start("c")), ["c", "c"]);
    assert_eq!(versions(within.clone().start("a")), ["b/2", "b/2", "c", "c"]);
    let first = bucket.versions(from("b/1")).unwrap().next().unwrap().unwrap().version;
    let within = ListOptions::new().start_after("b/1").start_after_version(&first);
    assert_eq!(versions(within.start("b/1")), ["b/1", "b/2", "b/2", "c", "c"]);
    // Rolled up, a group is there if its own name is not before the start.
    let page = |start: &str| {
        let versions = bucket.versions_page(from(start).delimiter("/")).unwrap();
        let uploads = bucket.uploads_page(from(start).delimiter("/")).unwrap();
        assert_eq!(versions.prefixes, uploads.prefixes);
        (versions.entries.len(), versions.prefixes)
    };
    assert_eq!(page("b/"), (2, vec!["b/".to_string()]));
    assert_eq!(page("b/1"), (2, vec![]));
    assert_eq!(page("b"), (2, vec!["b/".to_string()]));
}
