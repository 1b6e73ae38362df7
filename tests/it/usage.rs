//! How much lies under a prefix, exactly, after every change.

use ossicle::StorageClass;

use crate::{a_bucket, code};

#[test]
fn usage_follows_every_change() {
    let (store, bucket) = a_bucket();
    let usage = |prefix: &str| {
        let usage = bucket.usage(prefix).unwrap();
        (usage.objects, usage.bytes)
    };
    assert_eq!(usage(""), (0, 0));
    bucket.put("a/1", vec![0; 100]).unwrap();
    bucket.put("a/2", vec![0; 1_000_000]).unwrap();
    bucket.put("ab", b"").unwrap();
    assert_eq!(
        (usage(""), usage("a/"), usage("a"), usage("b")),
        ((3, 1_000_100), (2, 1_000_100), (3, 1_000_100), (0, 0))
    );
    bucket.put("a/2", vec![0; 7]).unwrap();
    bucket.rename("a/1", "b/1").unwrap();
    assert_eq!((usage("a/"), usage("b")), ((1, 7), (1, 100)));
    store.checkpoint().unwrap();
    bucket.copy("b/1", "b/2").unwrap();
    bucket.delete("a/2").unwrap();
    assert_eq!((usage("a/"), usage("b"), usage("")), ((0, 0), (2, 200), (3, 200)));
    store.compact(Default::default()).unwrap();
    assert_eq!((usage("a/"), usage("b"), usage("")), ((0, 0), (2, 200), (3, 200)));
    let all = store.usage().unwrap();
    assert_eq!((all.objects, all.bytes), (3, 200));
    assert_eq!(all.classes, [(StorageClass::Standard, 3, 200)]);
}

#[test]
fn the_prefix_of_a_usage_may_end_anywhere_in_a_key() {
    let (_store, bucket) = a_bucket();
    for key in ["k", "k\0", "k\u{10FFFF}", "l", "\u{1F408}"] {
        bucket.put(key, b"x").unwrap();
    }
    assert_eq!(bucket.usage("k").unwrap().objects, 3);
    assert_eq!(bucket.usage("\u{1F408}").unwrap().objects, 1);
    assert_eq!(bucket.usage("/").unwrap().objects, 0);
    assert_eq!(code(bucket.usage(&"k".repeat(1024))), "InvalidArgument");
}

#[test]
fn usage_tells_what_is_charged_for_at_once_or_on_request() {
    use ossicle::StorageClass::{Archive, InfrequentAccess};
    use ossicle::{PutOptions, UsageOptions, Versioning};
    let (store, bucket) = super::a_bucket();
    assert_eq!(bucket.usage("").unwrap().billable_bytes(), Some(0));
    bucket.set_config(&Versioning::Enabled).unwrap();
    bucket.put("a/1", [1; 100]).unwrap();
    bucket.put("a/1", [1; 200]).unwrap();
    bucket.delete("a/2").unwrap();
    assert_eq!(bucket.usage("").unwrap().billing, Some(bucket.billing("").unwrap()));
    assert_eq!(bucket.usage("").unwrap().billable_bytes(), Some(300));
    let dogs = store.create_bucket("dogs").unwrap();
    dogs.put("b", [1; 50]).unwrap();
    assert_eq!(store.usage().unwrap().billable_bytes(), Some(350));
    bucket.put_with("c/1", [1; 100], PutOptions::new().storage_class(Archive)).unwrap();
    bucket.put_with("c/2", vec![1; 100_000], PutOptions::new().storage_class(InfrequentAccess)).unwrap();
    assert_eq!(bucket.usage("a/").unwrap().billable_bytes(), Some(300));
    assert_eq!((bucket.usage("").unwrap().billing, store.usage().unwrap().billing), (None, None));
    let asked = UsageOptions::new().billing(true);
    let usage = bucket.usage_with("", asked.clone()).unwrap();
    assert_eq!((usage.stored_bytes(), usage.billable_bytes()), (100_400, Some(300 + 65_536 + 100_000)));
    assert_eq!(usage.billing, Some(bucket.billing("").unwrap()));
    let all = store.usage_with(asked).unwrap();
    assert_eq!((all.stored_bytes(), all.billable_bytes()), (100_450, Some(350 + 65_536 + 100_000)));
}
