//! From when on a version that is not current counts as such: from when another one took its place, whatever becomes of that.

use ossicle::StorageClass::{Archive, Standard};
use ossicle::{
    Acl, Bucket, Budget, EvictBy, PutOptions, Rule, Store, UploadOptions, VersionEntry, Versioning,
    VirtualClock,
};

use super::lifecycle::{DAY, HOUR, at_noon, maintain, midnight, set};

fn versioned() -> (Store, Bucket, VirtualClock) {
    let (store, bucket, clock) = at_noon();
    bucket.set_config(&Versioning::Enabled).unwrap();
    (store, bucket, clock)
}

fn versions(bucket: &Bucket, key: &str) -> Vec<VersionEntry> {
    let all = bucket.versions(key).unwrap().map(|entry| entry.unwrap());
    all.filter(|entry| entry.key == key).collect()
}

/// Does something every day at noon, and says on which days how many older versions were removed at midnight.
fn removed_while(
    (store, clock): (&Store, &VirtualClock),
    days: u32,
    mut daily: impl FnMut(u32),
) -> Vec<(u32, u64)> {
    let mut found = Vec::new();
    for day in 1..=days {
        clock.set(midnight() + DAY * day);
        let removed = maintain(store).removed;
        found.extend((removed > 0).then_some((day, removed)));
        clock.set(midnight() + DAY * day + HOUR * 12);
        daily(day);
    }
    found
}

#[test]
fn an_older_version_goes_on_its_day_under_a_null_version_that_is_replaced_daily() {
    let (store, bucket, clock) = versioned();
    bucket.put("a", b"named").unwrap();
    bucket.set_config(&Versioning::Suspended).unwrap();
    bucket.put("a", b"null").unwrap();
    set(&bucket, [Rule::new("").noncurrent_expire_after(3)]);
    let removed = removed_while((&store, &clock), 12, |_| drop(bucket.put("a", b"null").unwrap()));
    assert_eq!(removed, [(4, 1)]);
    assert_eq!(versions(&bucket, "a").len(), 1);
}

#[test]
fn an_older_version_goes_on_its_day_under_a_marker_that_is_set_daily() {
    let (store, bucket, clock) = versioned();
    bucket.put("a", b"named").unwrap();
    bucket.set_config(&Versioning::Suspended).unwrap();
    bucket.delete("a").unwrap();
    set(&bucket, [Rule::new("").noncurrent_expire_after(3)]);
    let removed = removed_while((&store, &clock), 12, |_| {
        bucket.delete("a").unwrap();
    });
    assert_eq!(removed, [(4, 1)]);
}

#[test]
fn an_older_version_goes_on_its_day_whatever_is_changed_of_the_newer_one() {
    let (store, bucket, clock) = versioned();
    for key in ["access", "metadata", "class", "tags", "older"] {
        bucket.put(key, b"1").unwrap();
        bucket.put(key, b"2").unwrap();
    }
    let oldest = versions(&bucket, "older")[1].version.clone();
    set(&bucket, [Rule::new("").noncurrent_expire_after(3)]);
    let removed = removed_while((&store, &clock), 12, |day| {
        bucket.set_acl("access", if day % 2 == 0 { Acl::Private } else { Acl::PublicRead }).unwrap();
        bucket.set_metadata("metadata", [("day", day.to_string())]).unwrap();
        bucket
            .set_storage_class(
                "class",
                if day % 2 == 0 { Standard } else { ossicle::StorageClass::InfrequentAccess },
            )
            .unwrap();
        bucket.set_tags("tags", [("day", day.to_string())]).unwrap();
        if day < 4 {
            // What is changed of the older version itself keeps the moment as well.
            let options = ossicle::AttributeOptions::new().version(oldest.clone());
            bucket
                .set_acl_with("older", if day % 2 == 0 { Acl::Private } else { Acl::PublicRead }, options)
                .unwrap();
        }
    });
    assert_eq!(removed, [(4, 5)]);
}

/// A version that was between them is gone, and what was beneath it is no younger for that.
#[test]
fn an_older_version_keeps_its_day_when_the_one_that_superseded_it_is_removed() {
    let (store, bucket, clock) = versioned();
    bucket.put("a", b"1").unwrap();
    bucket.put("a", b"2").unwrap();
    let middle = versions(&bucket, "a")[0].version.clone();
    set(&bucket, [Rule::new("").noncurrent_expire_after(3)]);
    let removed = removed_while((&store, &clock), 8, |day| {
        if day == 2 {
            bucket.put("a", b"3").unwrap();
            bucket.delete_versions([("a", middle.clone())]).unwrap();
        }
    });
    assert_eq!(removed, [(4, 1)]);
}

#[test]
fn a_version_that_was_current_again_counts_from_when_it_was_superseded_last() {
    let (store, bucket, clock) = versioned();
    bucket.put("undeleted", b"1").unwrap();
    bucket.delete("undeleted").unwrap();
    bucket.put("promoted", b"1").unwrap();
    let newer = bucket.put("promoted", b"2").unwrap().version.unwrap();
    set(&bucket, [Rule::new("").noncurrent_expire_after(3)]);
    let removed = removed_while((&store, &clock), 12, |day| match day {
        1 => {
            bucket.undelete("undeleted").unwrap();
            bucket.delete_versions([("promoted", newer.clone())]).unwrap();
        }
        5 => {
            bucket.put("undeleted", b"2").unwrap();
            bucket.delete("promoted").unwrap();
        }
        _ => {}
    });
    assert_eq!(removed, [(9, 2)]);
}

/// A way to write, named after the key it writes.
type Writer = (&'static str, fn(&Store, &Bucket));

/// Everything that puts a version on top says when.
#[test]
fn every_write_that_supersedes_a_version_writes_down_when() {
    let (store, bucket, clock) = versioned();
    let writers: [Writer; 9] = [
        ("put", |_, bucket| drop(bucket.put("put", b"2").unwrap())),
        ("deleted", |_, bucket| {
            bucket.delete("deleted").unwrap();
        }),
        ("copied", |_, bucket| drop(bucket.copy("source", "copied").unwrap())),
        ("renamed", |_, bucket| drop(bucket.rename("moving", "renamed").unwrap())),
        ("completed", |_, bucket| {
            let upload = bucket.upload("completed", UploadOptions::new()).unwrap();
            upload.put_part(1, b"2").unwrap();
            upload.complete_all().unwrap();
        }),
        ("symlink", |_, bucket| drop(bucket.symlink("symlink", "source").unwrap())),
        ("restored", |_, bucket| {
            let oldest = versions(bucket, "restored").last().unwrap().version.clone();
            bucket.restore_version("restored", &oldest).unwrap();
        }),
        ("transaction", |store, bucket| {
            store.write(|tx| tx.put(bucket, "transaction", b"2").map(drop)).unwrap()
        }),
        ("streamed", |_, bucket| {
            let mut writer = bucket.writer("streamed", PutOptions::new()).unwrap();
            std::io::Write::write_all(&mut writer, &[7; 500_000]).unwrap();
            writer.finish().unwrap();
        }),
    ];
    bucket.put("source", b"1").unwrap();
    bucket.put("moving", b"1").unwrap();
    for (key, _) in writers {
        bucket.put(key, b"1").unwrap();
    }
    bucket.put("restored", b"2").unwrap();
    bucket.append("grown", 0, b"1").unwrap();
    clock.advance(DAY * 9);
    for (_, write) in writers {
        write(&store, &bucket);
    }
    bucket.append("grown", 1, b"2").unwrap();
    bucket.put("grown", b"3").unwrap();
    // From here on nothing that is current tells when it came to be so.
    clock.advance(DAY);
    for (key, _) in writers.iter().filter(|(key, _)| *key != "deleted") {
        bucket.set_acl(key, Acl::Private).unwrap();
    }
    bucket.set_config(&Versioning::Suspended).unwrap();
    set(&bucket, [Rule::new("").noncurrent_expire_after(3)]);
    clock.set(midnight() + DAY * 11 + HOUR);
    for (key, _) in writers {
        bucket.put(key, b"null").unwrap();
    }
    let before = maintain(&store).removed;
    clock.set(midnight() + DAY * 13);
    // The first version of "restored" was superseded on day 0; of the others, and of the source of the rename, on day 9.
    assert_eq!((before, maintain(&store).removed), (1, writers.len() as u64 + 2));
    clock.set(midnight() + DAY * 15);
    let later = maintain(&store).removed;
    assert_eq!((later, store.verify().unwrap().is_clean()), (writers.len() as u64, true));
}

#[test]
fn a_transition_of_older_versions_counts_from_when_they_were_superseded() {
    let (store, bucket, clock) = versioned();
    bucket.put("a", b"named").unwrap();
    bucket.set_config(&Versioning::Suspended).unwrap();
    bucket.put("a", b"null").unwrap();
    set(&bucket, [Rule::new("").noncurrent_transition_after(2, Archive)]);
    let mut moved = Vec::new();
    for day in 1..=6 {
        clock.set(midnight() + DAY * day + HOUR);
        moved.push(maintain(&store).transitioned);
        bucket.put("a", b"null").unwrap();
    }
    assert_eq!(moved, [0, 0, 1, 0, 0, 0]);
}

/// A clock that was set back supersedes nothing before it was written.
#[test]
fn a_version_is_not_superseded_before_it_was_written() {
    let (store, bucket, clock) = versioned();
    bucket.put("a", b"1").unwrap();
    clock.set(std::time::SystemTime::UNIX_EPOCH + HOUR);
    bucket.put("a", b"2").unwrap();
    clock.set(midnight() + HOUR * 13);
    set(&bucket, [Rule::new("").noncurrent_expire_after(3)]);
    assert_eq!(removed_while((&store, &clock), 6, |_| ()), [(4, 1)]);
}

/// The first that goes for a budget by lifecycle is the one that the rules would remove first.
#[test]
fn a_budget_by_lifecycle_counts_from_when_versions_were_superseded() {
    let (_store, bucket, clock) = versioned();
    set(&bucket, [Rule::new("").noncurrent_expire_after(30)]);
    bucket.set_config(&Budget::bytes(1000).headroom(0).order([EvictBy::Lifecycle])).unwrap();
    // "late" is older, and is superseded later.
    bucket.put("late", [1; 100]).unwrap();
    clock.advance(DAY);
    bucket.put("soon", [1; 100]).unwrap();
    bucket.put("soon", [2; 100]).unwrap();
    clock.advance(DAY * 5);
    bucket.put("late", [2; 100]).unwrap();
    let next = bucket.eviction_preview(10).unwrap().next;
    let older: Vec<&str> = next.iter().filter(|each| !each.current).map(|each| &each.key[..]).collect();
    assert_eq!(older, ["soon", "late"]);
    bucket.put("new", [3; 700]).unwrap();
    assert_eq!((versions(&bucket, "soon").len(), versions(&bucket, "late").len()), (1, 2));
}
