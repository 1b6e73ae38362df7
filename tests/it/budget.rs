//! Budgets: what is evicted, in which order, what never is, and who is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ossicle::{
    AccessMonitor, AppendOptions, AttributeOptions, Bucket, Budget, ChangeOp, CreateBucketOptions,
    DeleteOptions, Entropy, ErrorKind, EvictBy, Lifecycle, Maintenance, MemoryVfs, ObjectMeta, PutOptions,
    Retention, RetentionMode, Rule, SeededEntropy, Store, UploadOptions, VersionId, Versioning, VirtualClock,
    Worm, WormState,
};

use super::lifecycle::{DAY, HOUR, at_noon, midnight};

const NEVER: Duration = Duration::from_secs(1 << 20);

fn keys(bucket: &Bucket) -> Vec<String> {
    bucket.list("").unwrap().map(|entry| entry.unwrap().name().to_string()).collect()
}

fn stored(bucket: &Bucket) -> u64 {
    bucket.usage("").unwrap().stored_bytes()
}

/// A bucket with a budget of so many bytes and no headroom.
fn bucket_of(bytes: u64, order: impl IntoIterator<Item = EvictBy>) -> (Store, Bucket, VirtualClock) {
    let (store, bucket, clock) = at_noon();
    bucket.set_config(&Budget::bytes(bytes).order(order).headroom(0)).unwrap();
    (store, bucket, clock)
}

/// Puts objects of 100 bytes, a second apart.
fn fill(bucket: &Bucket, clock: &VirtualClock, names: &[&str]) {
    for name in names {
        bucket.put(name, [7; 100]).unwrap();
        clock.advance(Duration::from_secs(1));
    }
}

fn refused(bucket: &Bucket, key: &str, bytes: usize) {
    let before = (keys(bucket), stored(bucket));
    let error = bucket.put(key, vec![1; bytes]).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Quota, "QuotaExceeded"), "{error}");
    assert_eq!((keys(bucket), stored(bucket)), before, "a writer that is refused evicts nothing");
}

#[test]
fn the_oldest_goes_first_and_no_more_than_needed() {
    let (store, bucket, clock) = bucket_of(350, [EvictBy::OldestAccess]);
    fill(&bucket, &clock, &["c", "a", "b"]);
    let begun = store.stats().commits;
    bucket.put("d", [1; 100]).unwrap();
    assert_eq!(keys(&bucket), ["a", "b", "d"]);
    assert_eq!(store.stats().commits, begun + 1, "a put and what it evicts are one commit");
    bucket.put("e", [1; 149]).unwrap();
    assert_eq!((keys(&bucket), stored(&bucket)), (vec!["b".into(), "d".into(), "e".into()], 349));
    let stats = store.stats();
    assert_eq!((stats.evicted_objects, stats.evicted_bytes), (2, 200));
    // Overwriting needs only the difference.
    bucket.put("e", [1; 150]).unwrap();
    assert_eq!(keys(&bucket), ["b", "d", "e"]);
}

#[test]
fn what_fits_into_no_budget_is_refused_at_once() {
    let (_store, bucket, clock) = bucket_of(350, [EvictBy::OldestAccess]);
    fill(&bucket, &clock, &["a", "b", "c"]);
    refused(&bucket, "d", 351);
    bucket.put("d", [1; 350]).unwrap();
    assert_eq!(keys(&bucket), ["d"]);
}

#[test]
fn priorities_decide_and_ties_are_broken_by_what_follows() {
    let (_store, bucket, clock) = bucket_of(400, [EvictBy::Priority, EvictBy::OldestAccess]);
    fill(&bucket, &clock, &["a", "b", "c"]);
    bucket.put_with("d", [1; 100], PutOptions::new().priority(127)).unwrap();
    assert_eq!(bucket.head("d").unwrap().priority(), 127);
    bucket.set_priority("a", 129).unwrap();
    let preview = bucket.eviction_preview(10).unwrap();
    let order: Vec<_> = preview.next.iter().map(|next| (&next.key[..], next.priority)).collect();
    assert_eq!(order, [("d", 127), ("b", 128), ("c", 128), ("a", 129)]);
    assert_eq!((preview.evictable.objects, preview.evictable.bytes), (4, 400));
    for (new, gone) in [("e", "d"), ("f", "b"), ("g", "c")] {
        bucket.put_with(new, [1; 100], PutOptions::new().priority(200)).unwrap();
        assert!(!bucket.exists(gone).unwrap(), "{gone}");
        clock.advance(Duration::from_secs(1));
    }
    // A list that was made is as good as a new one: what changes has its place in it at once.
    bucket.set_priority("g", 1).unwrap();
    bucket.put("h", [1; 100]).unwrap();
    assert_eq!(keys(&bucket), ["a", "e", "f", "h"]);
    bucket.set_priority("a", 128).unwrap();
    assert_eq!(bucket.head("a").unwrap().priority(), 128);
}

#[test]
fn what_a_lifecycle_rule_would_delete_soonest_goes_first() {
    let (_store, bucket, clock) = bucket_of(400, [EvictBy::Lifecycle, EvictBy::OldestAccess]);
    let rule = |prefix: &str, days| Rule::new(prefix).expire_after(days);
    bucket.set_config(&Lifecycle::new([rule("soon/", 2), rule("late/", 30)])).unwrap();
    fill(&bucket, &clock, &["never", "late/1", "soon/1"]);
    clock.advance(DAY);
    fill(&bucket, &clock, &["soon/2"]);
    for gone in ["soon/1", "soon/2", "late/1", "never"] {
        bucket.put(&format!("x/{gone}"), [1; 100]).unwrap();
        clock.advance(Duration::from_secs(1));
        assert!(!bucket.exists(gone).unwrap(), "{gone}");
    }
}

#[test]
fn reading_keeps_an_object_where_accesses_are_noted() {
    let (store, bucket, clock) = bucket_of(300, [EvictBy::OldestAccess]);
    bucket.set_config(&AccessMonitor::Enabled).unwrap();
    fill(&bucket, &clock, &["a", "b", "c"]);
    clock.advance(DAY * 3);
    bucket.get("a").unwrap();
    store.maintain(NEVER).unwrap();
    fill(&bucket, &clock, &["d", "e"]);
    assert_eq!(keys(&bucket), ["a", "d", "e"]);
    // Also if the list is older than the reading.
    clock.advance(DAY * 3);
    bucket.get("a").unwrap();
    store.maintain(NEVER).unwrap();
    fill(&bucket, &clock, &["f"]);
    assert_eq!(keys(&bucket), ["a", "e", "f"]);
}

#[test]
fn what_is_pinned_held_or_not_replicated_stays() {
    let (_store, bucket, clock) = bucket_of(500, [EvictBy::OldestAccess]);
    bucket.put_with("pinned", [1; 100], PutOptions::new().pinned(true)).unwrap();
    bucket.put_with("pending", [1; 100], PutOptions::new().replicated(false)).unwrap();
    bucket.put("held", [1; 100]).unwrap();
    bucket.set_legal_hold("held", true).unwrap();
    bucket.put("kept", [1; 100]).unwrap();
    let until = midnight() + DAY * 2;
    bucket.set_retention("kept", Retention { mode: RetentionMode::Compliance, until }).unwrap();
    let meta = bucket.head("pinned").unwrap();
    assert!(meta.pinned() && meta.replicated());
    let meta = bucket.head("pending").unwrap();
    assert!(!meta.pinned() && !meta.replicated());
    fill(&bucket, &clock, &["a", "b"]);
    assert_eq!(keys(&bucket), ["b", "held", "kept", "pending", "pinned"]);
    refused(&bucket, "c", 101);
    refused(&bucket, "c", 101);
    // Each may go as soon as nothing keeps it; the object's time and its place among the others is what it was.
    let modified = bucket.head("pinned").unwrap().modified;
    bucket.set_pinned("pinned", false).unwrap();
    assert_eq!(bucket.head("pinned").unwrap().modified, modified);
    bucket.put("c", [1; 101]).unwrap();
    assert_eq!(keys(&bucket), ["c", "held", "kept", "pending"]);
    bucket.set_pinned("c", true).unwrap();
    refused(&bucket, "d", 100);
    bucket.set_replicated("pending", true).unwrap();
    bucket.put_with("d", [1; 100], PutOptions::new().pinned(true)).unwrap();
    assert_eq!(keys(&bucket), ["c", "d", "held", "kept"]);
    bucket.set_legal_hold("held", false).unwrap();
    bucket.put_with("e", [1; 100], PutOptions::new().pinned(true)).unwrap();
    refused(&bucket, "f", 100);
    // Time alone frees what was retained.
    clock.advance(DAY * 2);
    bucket.put("f", [1; 100]).unwrap();
    assert_eq!(keys(&bucket), ["c", "d", "e", "f"]);
}

#[test]
fn a_retention_policy_of_the_bucket_keeps_objects_until_it_ends() {
    let (_store, bucket, clock) = bucket_of(300, [EvictBy::OldestAccess]);
    let worm = Worm { days: 10, state: WormState::InProgress, created: midnight() };
    bucket.set_config(&worm).unwrap();
    fill(&bucket, &clock, &["a", "b", "c"]);
    refused(&bucket, "d", 1);
    // One that nobody locked lapses after a day.
    clock.advance(DAY + HOUR);
    bucket.put("d", [1; 1]).unwrap();
    assert_eq!(keys(&bucket), ["b", "c", "d"]);
}

#[test]
fn uploads_markers_and_empty_objects_are_left_alone() {
    let (_store, bucket, clock) = bucket_of(400, [EvictBy::OldestAccess]);
    bucket.put("empty", b"").unwrap();
    bucket.symlink("link", "a").unwrap();
    let upload =
        bucket.upload("big", UploadOptions::new().pinned(true).priority(3).replicated(false)).unwrap();
    upload.put_part(1, [1; 200]).unwrap();
    fill(&bucket, &clock, &["a", "b"]);
    // Parts are counted and evict, but are not evicted.
    let part = upload.put_part(2, [1; 100]).unwrap();
    assert_eq!((keys(&bucket), stored(&bucket)), (vec!["b".into(), "empty".into(), "link".into()], 400));
    drop(part);
    upload.put_part(3, [1; 100]).unwrap();
    refused(&bucket, "c", 1);
    let error = upload.put_part(4, [1; 1]).unwrap_err();
    assert_eq!(error.code(), "QuotaExceeded");
    upload.complete(&upload.parts().unwrap()).unwrap_err();
    upload.abort().unwrap();
    fill(&bucket, &clock, &["c"]);
    assert_eq!(keys(&bucket), ["c", "empty", "link"]);
}

#[test]
fn an_upload_hands_on_what_it_says_of_eviction() {
    let (_store, bucket, _) = at_noon();
    let options = UploadOptions::new().pinned(true).priority(3).replicated(false);
    let upload = bucket.upload("big", options).unwrap();
    upload.put_part(1, [1; 200]).unwrap();
    upload.complete(&upload.parts().unwrap()).unwrap();
    let meta = bucket.head("big").unwrap();
    assert_eq!((meta.pinned(), meta.priority(), meta.replicated()), (true, 3, false));
    // What is made of an object is worth as much.
    bucket.copy("big", "copy").unwrap();
    bucket.rename("big", "small").unwrap();
    for key in ["copy", "small"] {
        let meta = bucket.head(key).unwrap();
        assert_eq!((meta.pinned(), meta.priority(), meta.replicated()), (true, 3, false), "{key}");
    }
}

#[test]
fn older_versions_go_before_any_object_and_objects_go_whole() {
    let (store, bucket, clock) = bucket_of(500, [EvictBy::OldestAccess]);
    bucket.set_config(&Versioning::Enabled).unwrap();
    fill(&bucket, &clock, &["old", "a", "a", "b", "a"]);
    let changes = store.stats().lsn;
    fill(&bucket, &clock, &["c"]);
    assert_eq!(bucket.versions("a").unwrap().count(), 2, "the oldest version of it went");
    fill(&bucket, &clock, &["d"]);
    assert_eq!(bucket.versions("a").unwrap().count(), 1);
    fill(&bucket, &clock, &["e"]);
    assert_eq!(keys(&bucket), ["a", "b", "c", "d", "e"]);
    assert_eq!(bucket.versions("old").unwrap().count(), 0, "no delete marker is left");
    // The feed tells of it.
    let told = store.changes(changes).unwrap().map(|change| change.unwrap());
    let ops = told.flat_map(|change| change.ops);
    let deleted: Vec<String> = ops
        .filter_map(|op| match op {
            ChangeOp::Delete { key, .. } => Some(key),
            _ => None,
        })
        .collect();
    assert_eq!(deleted, ["old"]);
    // An object whose older version must stay, stays: the old version would be the current one.
    let only = bucket.versions("a").unwrap().next().unwrap().unwrap().version;
    bucket.delete_with("a", DeleteOptions::new().version(only)).unwrap();
    bucket.put("b", [2; 100]).unwrap();
    let first = bucket.versions("b").unwrap().last().unwrap().unwrap().version;
    assert_eq!(bucket.versions("b").unwrap().count(), 2);
    bucket.set_pinned_with("b", true, AttributeOptions::new().version(first.clone())).unwrap();
    clock.advance(Duration::from_secs(1));
    fill(&bucket, &clock, &["f", "g", "h"]);
    assert_eq!(keys(&bucket), ["b", "f", "g", "h"]);
    fill(&bucket, &clock, &["i", "j", "k", "l"]);
    assert_eq!(keys(&bucket), ["b", "j", "k", "l"]);
    // With the version gone by other means, it may.
    bucket.delete_with("b", DeleteOptions::new().version(first)).unwrap();
    fill(&bucket, &clock, &["m", "n"]);
    assert_eq!(keys(&bucket), ["j", "k", "l", "m", "n"]);
}

#[test]
fn a_version_that_comes_to_light_again_may_go() {
    let (_store, bucket, clock) = bucket_of(300, [EvictBy::OldestAccess]);
    bucket.set_config(&Versioning::Enabled).unwrap();
    fill(&bucket, &clock, &["a", "b"]);
    fill(&bucket, &clock, &["c"]);
    // A list is made, and is whole.
    fill(&bucket, &clock, &["d"]);
    assert_eq!(keys(&bucket), ["b", "c", "d"]);
    bucket.set_pinned("c", true).unwrap();
    bucket.set_pinned("d", true).unwrap();
    bucket.delete("b").unwrap();
    let marker = bucket.versions("b").unwrap().next().unwrap().unwrap();
    bucket.delete_with("b", DeleteOptions::new().version(marker.version)).unwrap();
    assert_eq!(keys(&bucket), ["b", "c", "d"]);
    fill(&bucket, &clock, &["e"]);
    assert_eq!(keys(&bucket), ["c", "d", "e"]);
}

#[test]
fn maintenance_keeps_the_headroom_free() {
    let (store, bucket, clock) = at_noon();
    let names: Vec<String> = (0..1000).map(|n| format!("{n:04}")).collect();
    fill(&bucket, &clock, &names.iter().map(|name| &name[..]).collect::<Vec<_>>());
    bucket.set_config(&Budget::bytes(50_000).headroom(10_000)).unwrap();
    assert_eq!(stored(&bucket), 100_000, "a budget by itself evicts nothing");
    // What was too much before is not the matter of who only changes something.
    bucket.set_tags("0999", [("a", "b")]).unwrap();
    let report = store.maintain(NEVER).unwrap();
    assert_eq!((report.evicted.objects, report.evicted.bytes), (600, 60_000));
    assert_eq!((stored(&bucket), keys(&bucket)[0].as_str()), (40_000, "0600"));
    assert_eq!(store.maintain(NEVER).unwrap().evicted.objects, 0);
    // Pinned to the brim, it rests.
    for name in keys(&bucket) {
        bucket.set_pinned(&name, true).unwrap();
    }
    bucket.set_config(&Budget::bytes(50_000).headroom(20_000)).unwrap();
    assert_eq!(store.maintain(NEVER).unwrap().evicted.objects, 0);
    bucket.clear_config::<Budget>().unwrap();
    bucket.put("big", vec![0; 100_000]).unwrap();
}

#[test]
fn one_put_may_need_more_room_than_one_commit_makes() {
    let (store, bucket, clock) = at_noon();
    let many: Vec<String> = (0..5000).map(|n| format!("{n:05}")).collect();
    for chunk in many.chunks(500) {
        store.write(|tx| chunk.iter().try_for_each(|name| tx.put(&bucket, name, [1; 10]))).unwrap();
        clock.advance(Duration::from_secs(1));
    }
    bucket.set_config(&Budget::bytes(50_000).headroom(0)).unwrap();
    for name in &many[4000..] {
        bucket.set_pinned(name, true).unwrap();
    }
    refused(&bucket, "big", 40_001);
    bucket.put("big", vec![1; 40_000]).unwrap();
    assert_eq!((keys(&bucket).len(), stored(&bucket)), (1001, 50_000));
    // In a transaction that holds the turn all of it is one commit.
    for name in &many[4000..] {
        bucket.set_pinned(name, false).unwrap();
    }
    store
        .write(|tx| {
            tx.get(&bucket, "04999")?;
            tx.put(&bucket, "bigger", vec![1; 49_990])
        })
        .unwrap();
    assert_eq!(keys(&bucket), ["bigger"]);
}

#[test]
fn a_store_has_a_budget_over_all_buckets() {
    let (store, cats, clock) = at_noon();
    let dogs = store.create_bucket("dogs").unwrap();
    store.set_budget(Some(Budget::bytes(400).headroom(0).order([EvictBy::OldestAccess]))).unwrap();
    fill(&cats, &clock, &["a"]);
    fill(&dogs, &clock, &["b"]);
    fill(&cats, &clock, &["c"]);
    fill(&dogs, &clock, &["d"]);
    let preview = store.eviction_preview(2).unwrap();
    let next: Vec<_> = preview.next.iter().map(|next| (&next.bucket[..], &next.key[..])).collect();
    assert_eq!((next, preview.evictable.bytes), (vec![("cats", "a"), ("dogs", "b")], 400));
    fill(&dogs, &clock, &["e"]);
    fill(&dogs, &clock, &["f"]);
    assert_eq!((keys(&cats), keys(&dogs)), (vec!["c".into()], vec!["d".into(), "e".into(), "f".into()]));
    assert_eq!(store.usage().unwrap().stored_bytes(), 400);
    // A bucket's own comes on top.
    cats.set_config(&Budget::bytes(100).headroom(0)).unwrap();
    fill(&cats, &clock, &["g"]);
    assert_eq!((keys(&cats), keys(&dogs).len()), (vec!["g".into()], 3));
    let error = store.set_budget(Some(Budget::bytes(1).headroom(2))).unwrap_err();
    assert_eq!(error.code(), "InvalidArgument");
    store.set_budget(None).unwrap();
    assert_eq!(store.budget().unwrap(), None);
    fill(&dogs, &clock, &["h", "i"]);
    assert_eq!(keys(&dogs).len(), 5);
}

#[test]
fn a_removed_prefix_counts_no_more_and_a_fork_only_once() {
    let (store, cats, clock) = at_noon();
    store.set_budget(Some(Budget::bytes(1000).headroom(0))).unwrap();
    fill(&cats, &clock, &["x/1", "x/2", "x/3", "y/1", "y/2"]);
    let fork = store.fork_bucket("cats", "fork").unwrap();
    fill(&fork, &clock, &["z/1", "z/2", "z/3", "z/4", "z/5"]);
    assert_eq!((keys(&cats).len(), keys(&fork).len()), (5, 10));
    // What both read stays: it would not be gone.
    fill(&fork, &clock, &["z/6"]);
    assert_eq!((keys(&cats).len(), keys(&fork).len()), (5, 10));
    assert!(!fork.exists("z/1").unwrap());
    cats.delete_prefix("x/").unwrap();
    let left = keys(&fork).len();
    fork.delete_prefix("").unwrap();
    assert!(left > 0 && keys(&fork).is_empty());
    store.maintain(NEVER).unwrap();
    fill(&cats, &clock, &["w/1"]);
    assert_eq!(keys(&cats), ["w/1", "y/1", "y/2"]);
}

#[test]
fn budgets_are_there_after_the_store_was_closed() {
    let memory = Arc::new(MemoryVfs::new());
    let open =
        || Store::builder("/store").vfs(memory.clone()).maintenance(Maintenance::Manual).open().unwrap();
    let store = open();
    let budget = Budget::bytes(200).headroom(7).order([EvictBy::Priority]);
    let bucket = store.create_bucket("cats").unwrap();
    bucket.set_config(&budget).unwrap();
    store.set_budget(Some(budget.clone())).unwrap();
    bucket.put_with("a", [1; 100], PutOptions::new().pinned(true)).unwrap();
    bucket.put("b", [1; 100]).unwrap();
    store.close().unwrap();
    let store = open();
    let bucket = store.bucket("cats").unwrap();
    assert_eq!(bucket.config::<Budget>().unwrap(), Some(budget.clone()));
    assert_eq!(store.budget().unwrap(), Some(budget));
    bucket.put("c", [1; 100]).unwrap();
    assert_eq!(keys(&bucket), ["a", "c"]);
    let dogs = store.create_bucket("dogs").unwrap();
    dogs.put("d", [1; 100]).unwrap();
    assert_eq!(keys(&bucket), ["a"]);
}

#[test]
fn many_writers_stay_within_a_budget_together() {
    let store = Store::in_memory().unwrap();
    let bucket = store.create_bucket("cats").unwrap();
    bucket.set_config(&Budget::bytes(20_000).headroom(1000)).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let bucket = bucket.clone();
            scope.spawn(move || {
                for n in 0..400 {
                    bucket.put(&format!("{thread}/{n}"), vec![1; 100 + n % 50]).unwrap();
                    assert!(stored(&bucket) <= 20_000);
                }
            });
        }
    });
    assert!(stored(&bucket) > 15_000);
}

/// Long bodies fill groups of commits, so that many a writer is asked twice what it evicts.
#[test]
fn what_writers_of_crowded_groups_take_off_a_list_comes_back() {
    const LEN: usize = 200_000;
    let store = Store::in_memory().unwrap();
    let bucket = store.create_bucket("cats").unwrap();
    bucket.set_config(&Budget::bytes(40 * LEN as u64).headroom(0)).unwrap();
    (0..40).for_each(|n| drop(bucket.put(&format!("first/{n}"), vec![0; LEN]).unwrap()));
    std::thread::scope(|scope| {
        for thread in 0..32 {
            let bucket = bucket.clone();
            scope.spawn(move || {
                for n in 0..10 {
                    bucket.put(&format!("{thread}/{n}"), vec![1; LEN]).unwrap();
                }
            });
        }
    });
    assert_eq!(keys(&bucket).len(), 40);
    bucket.put("all", vec![1; 40 * LEN]).unwrap();
    assert_eq!(keys(&bucket), ["all"]);
}

#[test]
fn what_one_budget_takes_for_a_put_that_another_one_refuses_may_still_go() {
    for ending in 0..2 {
        let (store, cats, clock) = at_noon();
        let dogs = store.create_bucket("dogs").unwrap();
        let pinned = || PutOptions::new().pinned(true);
        dogs.put_with("d", [1; 1000], pinned()).unwrap();
        ["p", "q", "r"].iter().for_each(|key| drop(cats.put_with(key, [1; 100], pinned()).unwrap()));
        fill(&cats, &clock, &["a"]);
        cats.set_config(&Budget::bytes(500).headroom(0)).unwrap();
        store.set_budget(Some(Budget::bytes(1400).headroom(0))).unwrap();
        // The bucket could make the room, and then the store has none.
        refused(&cats, "x", 200);
        refused(&cats, "x", 200);
        if ending == 0 {
            cats.put("y", [1; 100]).unwrap();
            assert_eq!(keys(&cats), ["p", "q", "r", "y"]);
        } else {
            dogs.delete("d").unwrap();
            cats.put("x", [1; 200]).unwrap();
            assert_eq!(keys(&cats), ["p", "q", "r", "x"]);
        }
    }
}

#[test]
fn the_version_that_a_put_supersedes_can_make_room_for_it() {
    for in_turn in [false, true] {
        let (store, bucket, _) = bucket_of(1000, [EvictBy::OldestAccess]);
        bucket.set_config(&Versioning::Enabled).unwrap();
        let put = |key: &str, len: usize| {
            if !in_turn {
                return bucket.put(key, vec![len as u8; len]).map(drop);
            }
            store.write(|tx| {
                tx.exists(&bucket, key)?;
                tx.put(&bucket, key, vec![len as u8; len])
            })
        };
        for len in [600, 601, 602, 1000] {
            put("a", len).unwrap();
            let sizes: Vec<u64> =
                bucket.versions("a").unwrap().map(|v| v.unwrap().meta.unwrap().size).collect();
            assert_eq!(sizes, [len as u64], "in turn: {in_turn}");
        }
        put("a", 300).unwrap();
        put("b", 100).unwrap();
        // It is the first to go, before objects that are older.
        put("b", 700).unwrap();
        assert_eq!((keys(&bucket), stored(&bucket)), (vec!["a".into(), "b".into()], 1000));
        // But not if it says that it stays, nor what the commit itself writes.
        bucket.set_pinned("b", true).unwrap();
        assert_eq!(put("b", 400).unwrap_err().code(), "QuotaExceeded");
        let error = store.write(|tx| {
            tx.put(&bucket, "a", [1; 200])?;
            tx.put(&bucket, "a", [1; 200])
        });
        assert_eq!(error.unwrap_err().code(), "QuotaExceeded");
        assert_eq!((keys(&bucket), stored(&bucket)), (vec!["a".into(), "b".into()], 1000));
        put("a", 299).unwrap();
        assert_eq!(stored(&bucket), 999);
    }
}

/// What the walk knows of a version.
#[derive(Clone, Debug)]
struct Known {
    meta: ObjectMeta,
    current: bool,
}

type Id = (String, VersionId);

fn everything(bucket: &Bucket) -> BTreeMap<Id, Known> {
    let all = bucket.versions("").unwrap().map(|entry| entry.unwrap());
    all.filter_map(|entry| {
        let meta = ObjectMeta::clone(entry.meta.as_deref()?);
        Some(((entry.key.clone(), entry.version), Known { meta, current: entry.latest }))
    })
    .collect()
}

impl Known {
    fn may_go(&self, now: SystemTime) -> bool {
        let retained = self.meta.retention().is_some_and(|retention| now < retention.until);
        let stays = self.meta.pinned() || !self.meta.replicated() || self.meta.legal_hold() || retained;
        !stays && self.meta.size > 0
    }

    fn rank(&self) -> (bool, u8, SystemTime) {
        (self.current, self.meta.priority(), self.meta.modified)
    }
}

/// What may go: a current version only with all that are older.
fn evictable(all: &BTreeMap<Id, Known>, now: SystemTime) -> BTreeSet<Id> {
    let stays =
        |known: &Known| known.meta.size > 0 && !known.may_go(now) || known.meta.size == 0 && held(known, now);
    all.iter()
        .filter(|((key, _), known)| {
            known.may_go(now)
                && (!known.current
                    || !all.iter().any(|((other, _), old)| other == key && !old.current && stays(old)))
        })
        .map(|(id, _)| id.clone())
        .collect()
}

fn held(known: &Known, now: SystemTime) -> bool {
    let retained = known.meta.retention().is_some_and(|retention| now < retention.until);
    known.meta.pinned() || !known.meta.replicated() || known.meta.legal_hold() || retained
}

/// A random history; after each step what is gone is held against what a plain look at everything says.
fn walk(seed: u64, versioning: Option<Versioning>) {
    let entropy = SeededEntropy::new(seed);
    let draw = |below: u64| {
        let mut bytes = [0; 8];
        entropy.fill(&mut bytes);
        u64::from_le_bytes(bytes) % below
    };
    let clock = VirtualClock::at(midnight());
    let memory = Arc::new(MemoryVfs::new());
    let builder = Store::builder("/store").vfs(memory).clock(clock.clone());
    let store = builder.maintenance(Maintenance::Manual).open().unwrap();
    let options = versioning.map_or(CreateBucketOptions::new(), |v| CreateBucketOptions::new().versioning(v));
    let bucket = store.create_bucket_with("cats", options).unwrap();
    let limit = 3000;
    let order = [EvictBy::Priority, EvictBy::OldestAccess];
    if draw(2) == 0 {
        bucket.set_config(&Budget::bytes(limit).headroom(0).order(order)).unwrap();
    } else {
        store.set_budget(Some(Budget::bytes(limit).headroom(0).order(order))).unwrap();
    }
    let (mut evictions, mut refusals) = (0, 0);
    for step in 0..400 {
        clock.advance(Duration::from_secs(1 + draw(100)));
        let now = ossicle::Clock::now(&clock);
        let mut before = everything(&bucket);
        let key = format!("k{}", draw(40));
        let other = format!("k{}", draw(40));
        let one_of = |at: u64| before.keys().nth(at as usize % before.len().max(1)).cloned();
        let size = draw(400) as usize;
        let (mut growth, mut own) = (0, BTreeSet::new());
        // What a put supersedes is one of the older versions from then on, if it is kept.
        let supersede = |before: &mut BTreeMap<Id, Known>, own: &mut BTreeSet<String>, key: &str| {
            if versioning != Some(Versioning::Enabled) {
                own.insert(key.to_string());
                return;
            }
            let of_key = before.iter_mut().filter(|((name, _), _)| name == key);
            of_key.for_each(|(_, known)| known.current = false);
        };
        let done = match draw(12) {
            0..=5 => {
                supersede(&mut before, &mut own, &key);
                let mut options = PutOptions::new().priority([1, 128, 200][draw(3) as usize]);
                options = options.pinned(draw(20) == 0).replicated(draw(12) != 0);
                growth = size as u64;
                bucket.put_with(&key, vec![1; size], options).map(|_| ())
            }
            6 => match one_of(draw(1000)) {
                Some((key, version)) => {
                    let options = || AttributeOptions::new().version(&version);
                    match draw(4) {
                        0 => bucket.set_pinned_with(&key, draw(3) == 0, options()),
                        1 => bucket.set_priority_with(&key, draw(256) as u8, options()),
                        2 => bucket.set_legal_hold_with(&key, draw(3) == 0, options()),
                        _ => bucket.set_replicated_with(&key, draw(3) != 0, options()),
                    }
                }
                None => Ok(()),
            },
            7 => match one_of(draw(1000)) {
                Some((key, version)) => {
                    own.insert(key.clone());
                    bucket.delete_with(&key, DeleteOptions::new().version(&version)).map(|_| ())
                }
                None => Ok(()),
            },
            8 => {
                own.insert(key.clone());
                bucket.delete(&key).map(|_| ())
            }
            9 => {
                supersede(&mut before, &mut own, &other);
                growth = bucket.head(&key).map_or(0, |meta| meta.size);
                bucket.copy(&key, &other).map(|_| ())
            }
            10 => match bucket.head(&key) {
                Ok(_) => {
                    let until = now + Duration::from_secs(1 + draw(3000));
                    bucket.set_retention(&key, Retention { mode: RetentionMode::Governance, until })
                }
                Err(_) => Ok(()),
            },
            _ => {
                [&key, &other].iter().for_each(|key| supersede(&mut before, &mut own, key));
                growth = 2 * size as u64;
                store.write(|tx| {
                    if draw(2) == 0 {
                        let _ = tx.exists(&bucket, "k1")?;
                    }
                    tx.put(&bucket, &key, vec![1; size])?;
                    tx.put(&bucket, &other, vec![1; size])
                })
            }
        };
        let after = everything(&bucket);
        let used = stored(&bucket);
        assert!(used <= limit, "seed {seed}, step {step}: {used}");
        let may_go = evictable(&before, now);
        let gone: BTreeSet<Id> =
            before.keys().filter(|id| !after.contains_key(*id) && !own.contains(&id.0)).cloned().collect();
        for id in &gone {
            if before[id].meta.size == 0 && !after.keys().any(|(key, _)| *key == id.0) {
                // It went with the object.
                continue;
            }
            assert!(may_go.contains(id), "seed {seed}, step {step}: {id:?} is gone: {:?}", before[id]);
            for left in may_go.iter().filter(|left| after.contains_key(*left) && !own.contains(&left.0)) {
                let (went, stays) = (before[id].rank(), before[left].rank());
                assert!(went <= stays, "seed {seed}, step {step}: {id:?} {went:?} before {left:?} {stays:?}");
            }
        }
        evictions += gone.len();
        if let Some(last) = gone.iter().max_by_key(|id| (before[*id].rank(), &id.0))
            && versioning.is_none()
        {
            assert!(used + before[last].meta.size > limit, "seed {seed}, step {step}: {last:?} in vain");
        }
        if let Err(error) = done
            && error.code() == "QuotaExceeded"
        {
            refusals += 1;
            assert_eq!(
                before.keys().collect::<Vec<_>>(),
                after.keys().collect::<Vec<_>>(),
                "seed {seed}, step {step}: a refused writer evicts nothing"
            );
            let free: u64 =
                may_go.iter().filter(|id| !own.contains(&id.0)).map(|id| before[id].meta.size).sum();
            assert!(used + growth > limit + free, "seed {seed}, step {step}: there was room: {error}");
        }
    }
    assert!(store.verify().unwrap().is_clean(), "seed {seed}");
    assert!(evictions > 20, "seed {seed}: {evictions} evictions, {refusals} refusals");
}

#[test]
fn a_random_history_evicts_what_a_plain_look_would() {
    for seed in 0..20 {
        walk(seed, None);
    }
}

#[test]
fn a_random_history_with_versions_evicts_what_a_plain_look_would() {
    for seed in 100..120 {
        walk(seed, Some(if seed % 4 == 0 { Versioning::Suspended } else { Versioning::Enabled }));
    }
}

#[test]
fn an_object_that_grows_is_kept_as_its_first_append_says() {
    let (_store, bucket, clock) = bucket_of(350, [EvictBy::Priority, EvictBy::OldestAccess]);
    let kept = |key: &str| {
        let meta = bucket.head(key).unwrap();
        (meta.pinned(), meta.priority(), meta.replicated())
    };
    let options = AppendOptions::new().pinned(true);
    bucket.append_with("pinned", 0, [1; 100], options).unwrap();
    bucket.append_with("local", 0, [1; 50], AppendOptions::new().replicated(false).priority(1)).unwrap();
    bucket.append_with("local", 50, [1; 50], AppendOptions::new().priority(9).pinned(true)).unwrap();
    assert_eq!((kept("pinned"), kept("local")), ((true, 128, true), (false, 1, false)));
    fill(&bucket, &clock, &["a"]);
    bucket.put("b", [1; 100]).unwrap();
    assert_eq!(keys(&bucket), ["b", "local", "pinned"], "neither what is pinned nor what is nowhere else");
    refused(&bucket, "c", 200);
    bucket.set_replicated("local", true).unwrap();
    bucket.set_pinned("pinned", false).unwrap();
    bucket.put("c", [1; 100]).unwrap();
    assert_eq!(keys(&bucket), ["b", "c", "pinned"], "the lowest priority goes first");
}

/// What was copied elsewhere is not all of the object any more once something was appended to it.
#[test]
fn what_is_appended_and_not_replicated_keeps_the_object() {
    let (_store, bucket, clock) = bucket_of(350, [EvictBy::OldestAccess]);
    bucket.append("log", 0, [1; 100]).unwrap();
    bucket.set_replicated("log", true).unwrap();
    let local = || AppendOptions::new().replicated(false);
    bucket.append_with("log", 100, b"", local()).unwrap();
    assert!(bucket.head("log").unwrap().replicated(), "nothing was appended");
    bucket.append_with("log", 100, [2; 100], local()).unwrap();
    assert!(!bucket.head("log").unwrap().replicated());
    bucket.append("log", 200, [3; 50]).unwrap();
    assert!(!bucket.head("log").unwrap().replicated(), "an append that says nothing takes nothing back");
    fill(&bucket, &clock, &["a", "b", "c"]);
    assert_eq!(keys(&bucket), ["c", "log"]);
    // An object that is empty yet is dressed by the append that says something.
    bucket.append("empty", 0, b"").unwrap();
    bucket.set_pinned("empty", true).unwrap();
    bucket.append_with("empty", 0, b"", AppendOptions::new().content_type("text/plain")).unwrap();
    bucket.append_with("empty", 0, b"x", AppendOptions::new().content_type("text/plain")).unwrap();
    assert!(bucket.head("empty").unwrap().pinned(), "nothing was said of it");
    bucket.append("other", 0, b"").unwrap();
    bucket.append_with("other", 0, b"x", AppendOptions::new().priority(3)).unwrap();
    assert_eq!(bucket.head("other").unwrap().priority(), 3);
}
