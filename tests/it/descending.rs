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
