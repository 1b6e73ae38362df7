//! Listings of names only.

use ossicle::*;

fn names(bucket: &Bucket, options: ListOptions) -> Vec<String> {
    bucket.list_with(options).unwrap().map(|entry| entry.unwrap().name().to_string()).collect()
}

/// A listing of names says what a listing says, in any order, of any bucket.
#[test]
fn names_are_those_of_the_listing() {
    let store = Store::in_memory().unwrap();
    let plain = store.create_bucket("plain").unwrap();
    let versioned = store
        .create_bucket_with("versioned", CreateBucketOptions::new().versioning(Versioning::Enabled))
        .unwrap();
    let keys = [
        "a",
        "a/",
        "a/1",
        "a/2",
        "ab",
        "b/x/1",
        "b/x/2",
        "b/y",
        "c",
        "d/only-a-marker",
        "e",
        "ä/1",
        "\u{10FFFF}",
    ];
    for bucket in [&plain, &versioned] {
        for key in keys {
            bucket.put(key, b"x").unwrap();
        }
        bucket.delete("c").unwrap();
        bucket.delete("d/only-a-marker").unwrap();
    }
    let fork = store.fork_bucket("versioned", "fork").unwrap();
    fork.put("a/3", b"x").unwrap();
    fork.delete("ab").unwrap();
    let snapshot = store.snapshot().unwrap();
    let frozen = snapshot.bucket("fork").unwrap();
    for checkpoint in [false, true] {
        if checkpoint {
            store.checkpoint().unwrap();
        }
        for prefix in ["", "a", "a/", "b/", "d", "zzz"] {
            for delimiter in ["", "/", "x"] {
                for limit in [None, Some(1), Some(2), Some(5)] {
                    for descending in [false, true] {
                        let mut options = ListOptions::new().prefix(prefix).delimiter(delimiter);
                        options = if descending { options.descending() } else { options };
                        if let Some(limit) = limit {
                            options = options.limit(limit).start_after("a/1");
                        }
                        for bucket in [&plain, &versioned, &fork] {
                            let mut lent = bucket.names(options.clone()).unwrap();
                            let mut seen = Vec::new();
                            while let Some(name) = lent.next().unwrap() {
                                seen.push(name.to_string());
                            }
                            assert!(lent.next().unwrap().is_none());
                            assert_eq!(seen, names(bucket, options.clone()), "{bucket:?} {options:?}");
                        }
                        let mut lent = frozen.names(options.clone()).unwrap();
                        let told = frozen.list_with(options.clone()).unwrap();
                        for entry in told {
                            assert_eq!(lent.next().unwrap(), Some(entry.unwrap().name()));
                        }
                        assert_eq!(lent.next().unwrap(), None);
                    }
                }
            }
        }
    }
    assert_eq!(plain.names(ListOptions::new().limit(0)).unwrap_err().code(), "InvalidArgument");
}

#[test]
fn names_are_lent_batch_by_batch_as_of_when_they_were_asked_for() {
    let store = Store::in_memory().unwrap();
    let bucket = store.create_bucket("books").unwrap();
    store.write(|tx| (0..5000).try_for_each(|n| tx.put(&bucket, &format!("{n:05}"), b"x"))).unwrap();
    let mut lent = bucket.names("").unwrap();
    assert_eq!(lent.next().unwrap(), Some("00000"));
    bucket.delete_prefix("").unwrap();
    for n in 1..5000 {
        assert_eq!(lent.next().unwrap(), Some(&*format!("{n:05}")));
    }
    assert_eq!(lent.next().unwrap(), None);
    // A store that is closed lends no more than it has lent already.
    let mut lent = store.snapshot().unwrap().bucket("books").unwrap().names("").unwrap();
    assert!(lent.next().unwrap().is_none());
    bucket.put("a", b"x").unwrap();
    let mut lent = bucket.names("").unwrap();
    store.close().unwrap();
    assert_eq!(lent.next().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(lent.next().unwrap(), None);
}
