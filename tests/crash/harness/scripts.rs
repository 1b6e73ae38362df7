//! The scripts: small programs that between them reach every path to the disk.

use std::time::Duration;

use ossicle::Durability::{Buffered, Synced};
use ossicle::StorageClass::{Archive, ColdArchive, InfrequentAccess, Standard};
use ossicle::Versioning::{Enabled, Suspended};
use ossicle::{Quota, StorageClass, Versioning};

use super::script::{Body, Op, Script, Step};
use super::upload::Uploading;

/// Lengths on either side of every threshold of the settings.
const TINY: usize = 40;
const PACKED: usize = 3000;
const STREAMED: usize = 13_000;
/// The least that a part may have unless it is the last one.
const PART: usize = 100 << 10;

fn body(len: usize, seed: u64) -> Body {
    Body { len, seed, note: 0, class: None }
}

fn put(bucket: &'static str, key: &str, len: usize, seed: u64) -> Op {
    Op::Do(step_put(bucket, key, len, seed), Synced)
}

fn put_in(bucket: &'static str, key: &str, len: usize, seed: u64, class: StorageClass) -> Op {
    let body = Body { len, seed, note: 0, class: Some(class) };
    Op::Do(Step::Put { bucket, key: key.into(), body }, Synced)
}

/// Small bodies of a class that packs them together.
fn many_in(bucket: &'static str, prefix: &str, count: u64, class: StorageClass) -> Op {
    let put = |seed| {
        let body = Body { len: 200 + seed as usize, seed, note: 0, class: Some(class) };
        Step::Put { bucket, key: format!("{prefix}{seed}"), body }
    };
    Op::Together { steps: (0..count).map(put).collect(), durability: Buffered, reads: false }
}

fn put_buffered(bucket: &'static str, key: &str, len: usize, seed: u64) -> Op {
    Op::Do(step_put(bucket, key, len, seed), Buffered)
}

fn put_noted(bucket: &'static str, key: &str, len: usize, note: usize) -> Op {
    Op::Do(
        Step::Put { bucket, key: key.into(), body: Body { len, seed: note as u64, note, class: None } },
        Synced,
    )
}

fn step_put(bucket: &'static str, key: &str, len: usize, seed: u64) -> Step {
    Step::Put { bucket, key: key.into(), body: body(len, seed) }
}

fn delete(bucket: &'static str, key: &str) -> Op {
    Op::Do(Step::Delete { bucket, key: key.into() }, Synced)
}

fn rename(from: (&'static str, &str), to: (&'static str, &str)) -> Op {
    Op::Do(step_rename(from, to), Synced)
}

fn step_rename(from: (&'static str, &str), to: (&'static str, &str)) -> Step {
    Step::Rename { from: (from.0, from.1.into()), to: (to.0, to.1.into()) }
}

fn copy(from: (&'static str, &str), to: (&'static str, &str)) -> Op {
    Op::Do(Step::Copy { from: (from.0, from.1.into()), to: (to.0, to.1.into()) }, Synced)
}

fn delete_version(bucket: &'static str, key: &str, place: usize) -> Op {
    Op::Do(Step::DeleteVersion { bucket, key: key.into(), place }, Synced)
}

fn undelete(bucket: &'static str, key: &str) -> Op {
    Op::Do(Step::Undelete { bucket, key: key.into() }, Synced)
}

fn row(number: u8, value: Option<&str>) -> Step {
    Step::Row { key: vec![b'r', number], value: value.map(|text| text.as_bytes().to_vec()) }
}

fn cursor(name: &'static str, lsn: u64) -> Op {
    Op::Do(Step::Cursor { name, lsn }, Synced)
}

fn stream(bucket: &'static str, key: &str, len: usize, seed: u64, piece: usize) -> Op {
    Op::Stream { bucket, key: key.into(), body: body(len, seed), piece }
}

fn append(bucket: &'static str, key: &str, len: usize, seed: u64) -> Op {
    Op::Append { bucket, key: key.into(), body: body(len, seed), durability: Synced }
}

fn append_buffered(bucket: &'static str, key: &str, len: usize, seed: u64) -> Op {
    Op::Append { bucket, key: key.into(), body: body(len, seed), durability: Buffered }
}

fn upload(bucket: &'static str, key: &str, what: Uploading) -> Op {
    Op::Upload { bucket, key: key.into(), what }
}

fn part(bucket: &'static str, key: &str, number: u32, len: usize, seed: u64) -> Op {
    upload(bucket, key, Uploading::Part { number, body: body(len, seed), durability: Synced })
}

fn part_buffered(bucket: &'static str, key: &str, number: u32, len: usize, seed: u64) -> Op {
    upload(bucket, key, Uploading::Part { number, body: body(len, seed), durability: Buffered })
}

fn step_append(bucket: &'static str, key: &str, len: usize, seed: u64) -> Step {
    Step::Append { bucket, key: key.into(), body: body(len, seed) }
}

fn step_delete_prefix(bucket: &'static str, prefix: &str) -> Step {
    Step::DeletePrefix { bucket, prefix: prefix.into() }
}

fn together(steps: Vec<Step>, reads: bool) -> Op {
    Op::Together { steps, durability: Synced, reads }
}

fn keep(bucket: &'static str, versioning: Versioning) -> Op {
    Op::Versioning(bucket, versioning)
}

/// More objects under a prefix than are touched one by one.
fn many(bucket: &'static str, prefix: &str, len: usize, seed: u64) -> Op {
    let put = |i: u64| step_put(bucket, &format!("{prefix}{i:02}"), len, seed + i);
    Op::Together { steps: (0..70).map(put).collect(), durability: Synced, reads: false }
}

/// Objects with so much metadata that the index has some pages of them.
fn many_noted(bucket: &'static str, prefix: &str, seed: u64) -> Op {
    let put = |i: u64| {
        let body = Body { len: TINY, seed: seed + i, note: 700, class: None };
        Step::Put { bucket, key: format!("{prefix}{i:02}"), body }
    };
    Op::Together { steps: (0..48).map(put).collect(), durability: Synced, reads: false }
}

fn delete_prefix(bucket: &'static str, prefix: &str) -> Op {
    Op::DeletePrefix(bucket, prefix.into())
}

fn rename_prefix(bucket: &'static str, prefix: &str, new_prefix: &str) -> Op {
    Op::RenamePrefix { bucket, prefix: prefix.into(), new_prefix: new_prefix.into() }
}

fn class(bucket: &'static str, key: &str, class: StorageClass) -> Op {
    Op::Class { bucket, key: key.into(), class }
}

fn restore(bucket: &'static str, key: &str) -> Op {
    Op::Restore { bucket, key: key.into() }
}

fn fork(from: &'static str, name: &'static str) -> Op {
    Op::Fork { from, name }
}

fn expire(bucket: &'static str, prefix: &str) -> Op {
    Op::Expire(bucket, prefix.into())
}

const HOUR: Duration = Duration::from_secs(3600);

/// Makes scripts by name.
macro_rules! scripts {
    ($($(#[$doc:meta])* $name:ident: [$($op:expr),* $(,)?])*) => {
        $($(#[$doc])* pub fn $name() -> Script {
            Script { name: stringify!($name), ops: vec![$($op),*] }
        })*

        /// Every script.
        pub fn all() -> Vec<Script> {
            vec![$($name()),*]
        }
    };
}

scripts! {
    /// Every kind of body, an overwrite and a delete, across a reopening.
    first_steps: [
        Op::CreateBucket("one"),
        put("one", "empty", 0, 1),
        put("one", "tiny", TINY, 2),
        put("one", "packed", PACKED, 3),
        put("one", "streamed", STREAMED, 4),
        put("one", "tiny", PACKED, 5),
        delete("one", "packed"),
        Op::Reopen,
        put("one", "streamed", TINY, 6),
        put("one", "late", STREAMED, 7),
    ]

    /// What is overwritten becomes garbage, what is left moves, and the segments go.
    overwrite_and_relocate: [
        Op::CreateBucket("one"),
        put("one", "stays", PACKED, 1),
        put("one", "stays too", STREAMED, 2),
        put("one", "goes", STREAMED, 3),
        put("one", "goes too", PACKED, 4),
        Op::Checkpoint,
        put("one", "goes", TINY, 5),
        delete("one", "goes too"),
        Op::Compact,
        put("one", "stays", PACKED, 6),
        Op::Compact,
        put("one", "after", STREAMED, 7),
    ]

    /// A body is found by relocation though its key is no longer the one it was written for.
    rename_and_relocate: [
        Op::CreateBucket("one"),
        Op::CreateBucket("two"),
        put("one", "a", STREAMED, 1),
        put("one", "b", PACKED, 2),
        put("one", "garbage", STREAMED * 3, 3),
        rename(("one", "a"), ("one", "c")),
        rename(("one", "b"), ("two", "d")),
        delete("one", "garbage"),
        Op::Checkpoint,
        Op::Compact,
        rename(("one", "c"), ("two", "e")),
        put("one", "b", TINY, 4),
        Op::Compact,
        Op::Reopen,
        rename(("two", "e"), ("two", "f")),
    ]

    /// The log fills a segment and goes on in another one, with one sync for both.
    log_rotation: [
        Op::CreateBucket("one"),
        Op::Together { steps: (0..60).map(|i| step_put("one", &format!("a{i:02}"), 4090, i)).collect(), durability: Synced, reads: false },
        put_buffered("one", "first", PACKED, 1),
        Op::Together { steps: (0..120).map(|i| step_put("one", &format!("b{i:03}"), 4090, i)).collect(), durability: Buffered, reads: false },
        Op::Together { steps: (0..100).map(|i| step_put("one", &format!("b{i:03}"), 4090, i + 1000)).collect(), durability: Buffered, reads: false },
        put("one", "last", PACKED, 2),
        Op::DeleteMany("one", (0..100).map(|i| format!("b{i:03}")).collect()),
        put("one", "more", PACKED, 3),
    ]

    /// Small commits, one after another.
    many_small: [
        Op::CreateBucket("one"),
        put("one", "k1", TINY, 1), put("one", "k2", TINY, 2), put("one", "k3", TINY, 3),
        put("one", "k1", TINY, 4), delete("one", "k2"), put("one", "k4", PACKED, 5),
        put_buffered("one", "k5", TINY, 6), put_buffered("one", "k6", PACKED, 7), put("one", "k2", TINY, 8),
        Op::Checkpoint,
        put("one", "k7", TINY, 9), delete("one", "k1"), put_buffered("one", "k8", TINY, 10),
        put("one", "k9", PACKED, 11), delete("one", "k4"), put("one", "k1", 0, 12),
    ]

    /// Closed and opened, with and without something written between.
    reopen_often: [
        Op::CreateBucket("one"),
        Op::Reopen,
        put("one", "a", PACKED, 1),
        Op::Reopen,
        Op::Reopen,
        put_buffered("one", "b", TINY, 2),
        put_buffered("one", "c", STREAMED, 3),
        Op::Reopen,
        put("one", "a", TINY, 4),
        put("one", "d", STREAMED, 5),
    ]

    /// What was deleted stays deleted, whatever is moved or made anew.
    tombstones: [
        Op::CreateBucket("one"),
        put("one", "dead", PACKED, 1),
        put("one", "dead too", STREAMED, 2),
        put("one", "alive", TINY, 3),
        Op::Checkpoint,
        delete("one", "dead"),
        Op::Checkpoint,
        delete("one", "dead too"),
        put("one", "alive", PACKED, 4),
        Op::Compact,
        Op::Rebuild,
        put("one", "new", TINY, 5),
        Op::Compact,
        Op::Reopen,
        Op::Rebuild,
    ]

    /// A bucket goes, and another one of the same name comes.
    bucket_again: [
        Op::CreateBucket("one"),
        put("one", "old", PACKED, 1),
        put("one", "older", STREAMED, 2),
        Op::Checkpoint,
        Op::DeleteMany("one", vec!["old".into(), "older".into(), "never".into()]),
        Op::DeleteBucket("one"),
        Op::CreateBucket("one"),
        put("one", "new", TINY, 3),
        Op::Compact,
        Op::DeleteBucket("one"),
        Op::CreateBucket("two"),
        Op::Rebuild,
        Op::CreateBucket("three"),
    ]

    /// What waits for a sync becomes durable with the next one, a sync that changes nothing included.
    buffered_then_synced: [
        Op::CreateBucket("one"),
        put_buffered("one", "a", TINY, 1),
        put_buffered("one", "b", STREAMED, 2),
        put_buffered("one", "c", PACKED, 3),
        put("one", "d", TINY, 4),
        Op::Do(Step::Delete { bucket: "one", key: "a".into() }, Buffered),
        delete("one", "a"),
        put_buffered("one", "e", STREAMED, 5),
        Op::Flush,
        put_buffered("one", "e", PACKED, 6),
        Op::Do(step_rename(("one", "e"), ("one", "f")), Buffered),
        put_buffered("one", "g", STREAMED, 7),
        Op::Checkpoint,
        put_buffered("one", "g", STREAMED, 8),
        Op::Do(step_put("one", "h", STREAMED, 9), Synced),
    ]

    /// Streamed bodies of which nothing is ever synced.
    streamed_buffered: [
        Op::CreateBucket("one"),
        put_buffered("one", "a", STREAMED, 1),
        put_buffered("one", "b", STREAMED * 2, 2),
        put_buffered("one", "c", TINY, 3),
        put_buffered("one", "a", STREAMED, 4),
        Op::Do(step_rename(("one", "b"), ("one", "d")), Buffered),
        put_buffered("one", "e", STREAMED, 5),
        put_buffered("one", "f", PACKED, 6),
    ]

    /// Copies of every kind of body, which outlive what they were made from.
    copies: [
        Op::CreateBucket("one"),
        Op::CreateBucket("two"),
        put("one", "tiny", TINY, 1),
        put("one", "packed", PACKED, 2),
        put_noted("one", "streamed", STREAMED, 300),
        copy(("one", "tiny"), ("two", "tiny")),
        copy(("one", "packed"), ("one", "packed again")),
        copy(("one", "streamed"), ("two", "streamed")),
        Op::DeleteMany("one", vec!["tiny".into(), "packed".into(), "streamed".into()]),
        Op::Compact,
        copy(("two", "streamed"), ("one", "streamed")),
    ]

    /// Many changes in one commit, over two buckets and rows.
    transactions: [
        Op::CreateBucket("one"),
        Op::CreateBucket("two"),
        together(vec![
            step_put("one", "a", TINY, 1), step_put("two", "b", PACKED, 2), step_put("one", "c", STREAMED, 3),
            row(0, Some("first")), row(1, Some("second")),
        ], false),
        together(vec![
            step_put("one", "d", PACKED, 4), step_rename(("one", "c"), ("two", "c")),
            Step::Delete { bucket: "one", key: "a".into() }, row(0, None), row(2, Some("third")),
        ], true),
        Op::Together { steps: vec![step_put("two", "e", STREAMED, 5), row(1, Some("again"))], durability: Buffered, reads: true },
        Op::Checkpoint,
        together(vec![Step::Copy { from: ("two", "c".into()), to: ("one", "a".into()) }, row(3, Some("fourth")),
            Step::Delete { bucket: "two", key: "c".into() }], true),
        Op::Compact,
        Op::Do(row(2, Some("alone")), Synced),
    ]

    /// Prefixes removed and objects grown among other changes of one commit, with what came before and comes behind.
    transactions_that_reach: [
        Op::CreateBucket("one"),
        append("one", "log", 300, 1),
        many("one", "a/", 40, 10),
        together(vec![
            step_append("one", "log", 200, 2), step_append("one", "log", PACKED, 3), step_append("one", "new", TINY, 4),
            step_put("one", "a/put before", TINY, 5), step_delete_prefix("one", "a/"), step_put("one", "a/put behind", TINY, 6),
            step_append("one", "log", STREAMED, 7), row(0, Some("first")),
        ], true),
        Op::Maintain,
        together(vec![
            step_append("one", "a/grown", TINY, 8), step_delete_prefix("one", "a/"), step_append("one", "a/grown", 200, 9),
            step_rename(("one", "log"), ("one", "b/log")), step_append("one", "b/log", 100, 10),
        ], true),
        Op::Fork { from: "one", name: "two" },
        // Both go on from the same bytes, in one commit.
        together(vec![step_append("one", "b/log", 60, 11), step_append("two", "b/log", STREAMED, 12), step_append("one", "b/log", 70, 13)], true),
        Op::Together { steps: (0..20).map(|i| step_append("two", "b/log", 30, 20 + i)).collect(), durability: Buffered, reads: true },
        Op::Checkpoint,
        together(vec![step_append("one", "new", 90, 50), step_delete_prefix("one", ""), step_append("one", "new", 10, 51)], true),
        Op::Compact,
        Op::Maintain,
        together(vec![step_append("two", "new", 80, 52), step_delete_prefix("two", "b/")], false),
        Op::Rebuild,
    ]

    /// Bodies that come in pieces, and writers that never end.
    writers: [
        Op::CreateBucket("one"),
        stream("one", "a", STREAMED * 2, 1, 5000),
        Op::Abandon { bucket: "one", key: "b".into(), body: body(STREAMED, 2) },
        stream("one", "c", PACKED, 3, 100),
        stream("one", "a", STREAMED, 4, 4096),
        Op::Abandon { bucket: "one", key: "a".into(), body: body(TINY, 5) },
        Op::Checkpoint,
        Op::Abandon { bucket: "one", key: "a".into(), body: body(STREAMED * 2, 6) },
        stream("one", "d", STREAMED, 7, STREAMED),
        Op::Compact,
        stream("one", "e", TINY, 8, 7),
    ]

    /// The delta outgrows its bound, by rows with long metadata, some of it too long for an entry.
    long_metadata: [
        Op::CreateBucket("one"),
        put_noted("one", "a", TINY, 7000),
        put_noted("one", "b", PACKED, 8000),
        put_noted("one", "c", STREAMED, 900),
        Op::Together { steps: (0..60).map(|i| Step::Put {
            bucket: "one", key: format!("m{i:02}"), body: Body { len: 20, seed: i, note: 900, class: None },
        }).collect(), durability: Synced, reads: false },
        Op::Together { steps: (0..60).map(|i| Step::Put {
            bucket: "one", key: format!("n{i:02}"), body: Body { len: 20, seed: i, note: 900, class: None },
        }).collect(), durability: Buffered, reads: false },
        put_noted("one", "a", PACKED, 7100),
        Op::DeleteMany("one", (0..60).map(|i| format!("m{i:02}")).collect()),
        Op::Compact,
        put_noted("one", "d", TINY, 7200),
    ]

    /// Maintenance finds a segment worth moving, in steps of its own.
    maintenance: [
        Op::CreateBucket("one"),
        put("one", "keep", STREAMED, 1),
        put("one", "waste", 400_000, 2),
        stream("one", "waste more", 700_000, 3, 100_000),
        Op::DeleteMany("one", vec!["waste".into(), "waste more".into()]),
        Op::Maintain,
        Op::Reopen,
        Op::Maintain,
        put("one", "keep too", PACKED, 4),
        Op::Maintain,
    ]

    /// The segment with the deletes is emptied, the one with what they deleted is not worth it.
    tombstones_move: [
        Op::CreateBucket("one"),
        Op::Together { steps: (0..80).map(|i| step_put("one", &format!("a{i:02}"), 4090, i)).collect(), durability: Synced, reads: false },
        put("one", "dead", TINY, 1),
        Op::Reopen,
        delete("one", "dead"),
        put("one", "waste", PACKED, 2),
        delete("one", "waste"),
        Op::Checkpoint,
        put("one", "alive", TINY, 3),
        Op::Compact,
        Op::Rebuild,
        put("one", "late", TINY, 4),
    ]

    /// Versions pile up, are promoted, replaced where they sit, brought back, and moved meanwhile.
    versions: [
        Op::CreateBucket("one"),
        put("one", "a", TINY, 1),
        put("one", "b", STREAMED, 2),
        Op::Versioning("one", Enabled),
        put("one", "a", STREAMED, 3),
        put("one", "a", PACKED, 4),
        delete("one", "b"),
        delete("one", "b"),
        copy(("one", "a"), ("one", "c")),
        delete_version("one", "a", 0),
        undelete("one", "b"),
        rename(("one", "b"), ("one", "c")),
        Op::Versioning("one", Suspended),
        put("one", "a", STREAMED, 5),
        delete("one", "b"),
        Op::Checkpoint,
        Op::Versioning("one", Enabled),
        put("one", "a", TINY, 6),
        Op::Versioning("one", Suspended),
        delete("one", "a"),
        Op::Compact,
        delete_version("one", "a", 0),
        delete_version("one", "a", 0),
        together(vec![
            step_put("one", "d", STREAMED, 7), Step::Copy { from: ("one", "d".into()), to: ("one", "e".into()) },
            step_rename(("one", "e"), ("one", "a")), Step::DeleteVersion { bucket: "one", key: "c".into(), place: 0 },
        ], true),
        Op::Reopen,
        delete_version("one", "a", 1),
        undelete("one", "c"),
        Op::Compact,
        Op::Rebuild,
        put("one", "a", PACKED, 8),
    ]

    /// Readers beside the writer, over checkpoints, relocation and another writer.
    readers: [
        Op::CreateBucket("one"),
        put("one", "a", PACKED, 1),
        put("one", "b", STREAMED, 2),
        Op::Checkpoint,
        Op::Look,
        put("one", "a", TINY, 3),
        put_buffered("one", "c", PACKED, 4),
        Op::Look,
        delete("one", "b"),
        Op::Compact,
        Op::Look,
        put("one", "d", STREAMED, 5),
        Op::Reopen,
        Op::Look,
        put("one", "d", PACKED, 6),
        Op::Checkpoint,
        put_buffered("one", "e", STREAMED, 7),
        delete("one", "a"),
        Op::Compact,
        Op::Look,
        put("one", "f", TINY, 8),
        Op::Look,
    ]

    /// Cursors are made, go on, go back and go, while the log that they need is dead for everybody else.
    cursor_moves: [
        Op::CreateBucket("one"),
        cursor("all", 0),
        put("one", "a", PACKED, 1),
        put("one", "b", TINY, 2),
        cursor("some", 3),
        put("one", "a", STREAMED, 3),
        delete("one", "b"),
        Op::Compact,
        together(vec![step_put("one", "c", PACKED, 4), row(1, Some("4")), Step::Cursor { name: "some", lsn: 6 }], false),
        put_buffered("one", "a", PACKED, 5),
        put_buffered("one", "d", STREAMED, 6),
        Op::Do(Step::Cursor { name: "loose", lsn: 4 }, Buffered),
        Op::Follow("all"),
        Op::Reopen,
        put_noted("one", "a", TINY, 7000),
        Op::Compact,
        cursor("some", 2),
        put("one", "c", TINY, 8),
        Op::RemoveCursor("all"),
        Op::Checkpoint,
        put_buffered("one", "e", PACKED, 9),
        Op::Follow("some"),
        Op::Do(Step::Cursor { name: "some", lsn: 9 }, Buffered),
        Op::Do(Step::Cursor { name: "loose", lsn: 8 }, Buffered),
        Op::Compact,
        Op::Rebuild,
        Op::RemoveCursor("loose"),
        cursor("some", 12),
        put("one", "c", PACKED, 10),
        Op::Compact,
        Op::Follow("some"),
    ]

    /// Moved twice, deleted, and made anew from the log between.
    moved_twice: [
        Op::CreateBucket("one"),
        put("one", "a", PACKED, 1),
        put("one", "b", TINY, 2),
        put("one", "c", STREAMED, 3),
        Op::Do(row(0, Some("row")), Synced),
        put("one", "waste", PACKED, 4),
        delete("one", "waste"),
        Op::Compact,
        put("one", "waste", PACKED, 5),
        delete("one", "waste"),
        delete("one", "b"),
        Op::Compact,
        Op::Rebuild,
        put("one", "waste", STREAMED, 6),
        delete("one", "waste"),
        Op::Compact,
        Op::Reopen,
    ]

    /// Versions, delete markers that stack, the null slot, and the promotion of what lies beneath.
    version_chains: [
        Op::CreateBucket("one"),
        put("one", "k", PACKED, 1),
        keep("one", Enabled),
        put("one", "k", STREAMED, 2),
        put("one", "k", TINY, 3),
        delete("one", "k"),
        delete("one", "k"),
        put("one", "other", PACKED, 4),
        delete_version("one", "k", 0),
        delete_version("one", "k", 0),
        Op::Checkpoint,
        delete_version("one", "k", 0),
        Op::Compact,
        delete_version("one", "k", 0),
        put("one", "k", STREAMED, 5),
        delete_version("one", "k", 1),
        Op::Rebuild,
        delete_version("one", "k", 0),
    ]

    /// Versioning that is suspended: the one null version is overwritten, whatever lies above it.
    null_slot: [
        Op::CreateBucket("one"),
        put("one", "k", STREAMED, 1),
        keep("one", Enabled),
        put("one", "k", PACKED, 2),
        keep("one", Suspended),
        put("one", "k", PACKED, 3),
        put("one", "k", STREAMED, 4),
        delete("one", "k"),
        put("one", "k", TINY, 5),
        keep("one", Enabled),
        put("one", "k", STREAMED, 6),
        Op::Compact,
        keep("one", Suspended),
        delete("one", "k"),
        delete_version("one", "k", 0),
        delete_version("one", "k", 1),
        Op::Compact,
        Op::Reopen,
    ]

    /// Bodies that several objects have: either side is overwritten or deleted, and they move meanwhile.
    shared_bodies: [
        Op::CreateBucket("one"),
        Op::CreateBucket("two"),
        put("one", "large", STREAMED, 1),
        put_noted("one", "packed", PACKED, 201),
        put("one", "waste", STREAMED, 3),
        copy(("one", "large"), ("two", "large")),
        copy(("one", "packed"), ("one", "packed again")),
        delete("one", "waste"),
        Op::Compact,
        put("one", "large", TINY, 4),
        Op::Do(Step::Copy { from: ("two", "large".into()), to: ("one", "third".into()) }, Buffered),
        delete("two", "large"),
        Op::Checkpoint,
        delete("one", "packed"),
        put("one", "waste", PACKED, 5),
        Op::Compact,
        rename(("one", "third"), ("two", "third")),
        Op::Rebuild,
        put("one", "packed again", TINY, 6),
        delete("two", "third"),
        Op::Compact,
    ]

    /// Copies, renames and writes of the same keys in one commit.
    shared_at_once: [
        Op::CreateBucket("one"),
        put("one", "a", STREAMED, 1),
        put("one", "b", PACKED, 2),
        together(vec![
            Step::Copy { from: ("one", "a".into()), to: ("one", "c".into()) },
            step_rename(("one", "c"), ("one", "d")),
            step_put("one", "c", PACKED, 3),
            Step::Copy { from: ("one", "b".into()), to: ("one", "e".into()) },
            Step::Delete { bucket: "one", key: "b".into() },
        ], true),
        Op::Compact,
        together(vec![
            Step::Copy { from: ("one", "d".into()), to: ("one", "f".into()) },
            Step::Delete { bucket: "one", key: "a".into() },
            step_rename(("one", "f"), ("one", "d")),
            step_rename(("one", "d"), ("one", "g")),
        ], false),
        Op::Together { steps: vec![
            step_put("one", "h", STREAMED, 4),
            Step::Copy { from: ("one", "h".into()), to: ("one", "i".into()) },
            Step::Delete { bucket: "one", key: "h".into() },
        ], durability: Buffered, reads: false },
        Op::Compact,
        delete("one", "g"),
        Op::Rebuild,
        delete("one", "i"),
        Op::Compact,
    ]

    /// Short bodies that share a record, with others and deletes in one commit, across everything that reads commits again.
    short_together: [
        Op::CreateBucket("one"),
        together(vec![
            step_put("one", "a", 300, 1),
            step_put("one", "tiny", TINY, 2),
            step_put("one", "ab", 301, 3),
            step_put("one", "streamed", STREAMED, 4),
            step_put("one", "b", PACKED, 5),
        ], true),
        Op::Together { steps: vec![
            step_put("one", "c", 256, 6),
            Step::Delete { bucket: "one", key: "tiny".into() },
            step_put("one", "ca", 256, 7),
            step_put("one", "a", 256, 8),
        ], durability: Buffered, reads: false },
        Op::Reopen,
        Op::Checkpoint,
        together(vec![
            step_put("one", "b", 300, 9),
            step_put("one", "late", 4096, 10),
            Step::Copy { from: ("one", "c".into()), to: ("one", "copied".into()) },
            step_put("one", "longer", 4097, 11),
            step_rename(("one", "ca"), ("one", "renamed")),
        ], false),
        Op::Compact,
        Op::Together { steps: vec![step_put("one", "x", 100, 12), step_put("one", "y", 101, 13)],
            durability: Buffered, reads: false },
        Op::Rebuild,
        delete("one", "ab"),
        Op::Compact,
        together(vec![step_put("one", "x", 200, 14), step_put("one", "z", 200, 15)], false),
    ]

    /// Renames between a bucket that keeps versions and one that does not.
    rename_across: [
        Op::CreateBucket("one"),
        Op::CreateBucket("two"),
        keep("two", Enabled),
        put("one", "large", STREAMED, 1),
        put("two", "packed", PACKED, 2),
        rename(("one", "large"), ("two", "packed")),
        rename(("two", "packed"), ("one", "back")),
        put("one", "waste", PACKED, 3),
        delete("one", "waste"),
        Op::Compact,
        delete_version("two", "packed", 0),
        delete_version("two", "packed", 0),
        put("one", "back", TINY, 4),
        Op::Compact,
        Op::Rebuild,
        rename(("two", "packed"), ("one", "last")),
    ]

    /// A prefix with many objects is removed, written to again, and brought back to where it would lead anyway.
    prefix_deleted: [
        Op::CreateBucket("one"),
        many("one", "a/", TINY, 1),
        put("one", "a/large", STREAMED, 2),
        put("one", "b", PACKED, 3),
        copy(("one", "a/large"), ("one", "kept")),
        delete_prefix("one", "a/"),
        put("one", "a/00", PACKED, 4),
        put("one", "a/new", STREAMED, 5),
        Op::Maintain,
        delete("one", "a/new"),
        Op::Reopen,
        Op::Compact,
        put("one", "a/00", TINY, 6),
        Op::Rebuild,
        delete_prefix("one", ""),
    ]

    /// A prefix with many objects gets another one, and then one beneath itself.
    prefix_renamed: [
        Op::CreateBucket("one"),
        many("one", "a/", TINY, 1),
        put("one", "a/large", STREAMED, 2),
        rename_prefix("one", "a/", "b/"),
        put("one", "a/again", PACKED, 3),
        put("one", "b/00", PACKED, 4),
        delete("one", "b/01"),
        Op::Checkpoint,
        copy(("one", "b/large"), ("one", "a/large")),
        Op::Maintain,
        rename_prefix("one", "b/", "b/b/"),
        put("one", "b/02", TINY, 5),
        Op::Compact,
        Op::Rebuild,
        delete_prefix("one", "b/"),
        Op::Compact,
    ]

    /// Two prefixes have changed places, so that neither can be brought back; then one of them is removed together with
    /// all that is around the place where the other one lies.
    prefix_kept: [
        Op::CreateBucket("one"),
        many("one", "a/", TINY, 1),
        many("one", "a/x/", TINY, 100),
        many("one", "c/", TINY, 200),
        rename_prefix("one", "a/x/", "t/"),
        rename_prefix("one", "c/", "a/x/"),
        rename_prefix("one", "t/", "c/"),
        delete_prefix("one", "a/"),
        put("one", "a/x/00", PACKED, 2),
        Op::Compact,
        put("one", "c/00", STREAMED, 3),
        Op::Rebuild,
        rename_prefix("one", "c/", "a/x/"),
        Op::Maintain,
    ]

    /// Prefixes of a bucket that keeps versions.
    prefixes_of_versions: [
        Op::CreateBucket("one"),
        many("one", "a/", TINY, 1),
        keep("one", Enabled),
        put("one", "a/00", STREAMED, 2),
        put("one", "a/00", PACKED, 3),
        delete("one", "a/01"),
        rename_prefix("one", "a/", "b/"),
        delete_version("one", "b/00", 0),
        put("one", "a/02", PACKED, 4),
        Op::Compact,
        delete_version("one", "b/00", 0),
        delete_prefix("one", "b/0"),
        Op::Compact,
        Op::Rebuild,
        delete_version("one", "b/01", 0),
    ]

    /// A bucket and its fork go their own ways; the fork of the fork outlives it.
    forks: [
        Op::CreateBucket("one"),
        put("one", "a", PACKED, 1),
        put("one", "b", STREAMED, 2),
        put("one", "c", TINY, 3),
        fork("one", "two"),
        put("one", "a", TINY, 4),
        put("two", "b", PACKED, 5),
        delete("two", "c"),
        put("two", "d", STREAMED, 6),
        Op::Compact,
        fork("two", "three"),
        rename(("three", "d"), ("one", "d")),
        copy(("two", "a"), ("three", "c")),
        Op::DeleteBucket("two"),
        Op::Maintain,
        put("three", "a", PACKED, 7),
        Op::DeleteBucket("three"),
        Op::Compact,
        Op::Rebuild,
        delete("one", "b"),
    ]

    /// What a bucket was forked from goes, and the fork keeps what it reads of it.
    fork_alone: [
        Op::CreateBucket("one"),
        put("one", "a", PACKED, 1),
        put("one", "b", STREAMED, 2),
        keep("one", Enabled),
        put("one", "a", STREAMED, 3),
        fork("one", "two"),
        delete("two", "b"),
        Op::DeleteBucket("two"),
        fork("one", "two"),
        delete_version("one", "a", 0),
        delete_version("one", "a", 0),
        delete_version("one", "b", 0),
        Op::DeleteBucket("one"),
        Op::Maintain,
        delete_version("two", "a", 0),
        Op::Compact,
        Op::Rebuild,
        put("two", "a", TINY, 4),
    ]

    /// Forks and prefixes: what a fork still reads stays, whatever its parent does with the prefix.
    forks_and_prefixes: [
        Op::CreateBucket("one"),
        many("one", "a/", TINY, 1),
        put("one", "a/large", STREAMED, 2),
        fork("one", "two"),
        delete_prefix("one", "a/"),
        put("one", "a/00", PACKED, 3),
        rename_prefix("two", "a/", "b/"),
        put("two", "b/00", PACKED, 4),
        Op::Compact,
        Op::DeleteBucket("two"),
        Op::Maintain,
        put("one", "a/01", PACKED, 5),
        Op::Compact,
        Op::Rebuild,
    ]

    /// The retained past: what is overwritten, deleted and renamed is read as it was, and trimmed when it is old.
    history: [
        Op::CreateBucket("one"),
        put("one", "a", PACKED, 1),
        Op::Retain(HOUR),
        put("one", "b", STREAMED, 2),
        put("one", "a", STREAMED, 3),
        delete("one", "b"),
        copy(("one", "a"), ("one", "c")),
        rename(("one", "a"), ("one", "b")),
        Op::Compact,
        put("one", "b", TINY, 4),
        Op::Wait(HOUR / 2),
        put("one", "c", PACKED, 5),
        Op::Wait(HOUR * 3 / 4),
        Op::Maintain,
        Op::Compact,
        put("one", "b", PACKED, 6),
        Op::Wait(HOUR * 2),
        Op::Retain(Duration::ZERO),
        Op::Compact,
        Op::Rebuild,
    ]

    /// The retained past of prefixes and forks.
    history_of_prefixes: [
        Op::CreateBucket("one"),
        many("one", "a/", TINY, 1),
        Op::Retain(HOUR),
        put("one", "a/00", PACKED, 2),
        delete_prefix("one", "a/"),
        put("one", "a/01", STREAMED, 3),
        fork("one", "two"),
        put("two", "a/01", PACKED, 4),
        Op::Compact,
        Op::DeleteBucket("two"),
        Op::Wait(HOUR * 2),
        put("one", "b", TINY, 5),
        Op::Maintain,
        Op::Compact,
    ]

    /// What a bucket is told about itself.
    configurations: [
        Op::CreateBucket("one"),
        put("one", "a", PACKED, 1),
        Op::Quota("one", Some(Quota { bytes: Some(10_000), objects: Some(3) })),
        put("one", "large", STREAMED, 2),
        put("one", "b", PACKED, 3),
        copy(("one", "a"), ("one", "c")),
        put("one", "d", TINY, 4),
        Op::Quota("one", None),
        put("one", "d", TINY, 5),
        Op::CreateBucket("two"),
        put("two", "a", PACKED, 6),
        Op::Worm("two", Some(5)),
        put("two", "a", TINY, 7),
        put("two", "b", TINY, 8),
        delete("two", "b"),
        Op::Compact,
        Op::Worm("two", None),
        delete("two", "b"),
        keep("two", Suspended),
        Op::Rebuild,
    ]

    /// Objects that grow by bodies of every kind, synced and not, merged, moved, renamed and removed.
    appends: [
        Op::CreateBucket("one"),
        append("one", "a", TINY, 1),
        append("one", "a", STREAMED, 2),
        append_buffered("one", "a", PACKED, 3),
        append("one", "a", 0, 4),
        append("one", "b", STREAMED, 5),
        append("one", "empty", 0, 6),
        rename(("one", "b"), ("one", "c")),
        append("one", "c", STREAMED, 7),
        Op::Compact,
        append("one", "c", TINY, 8),
        put("one", "a", TINY, 9),
        Op::Reopen,
        append("one", "empty", PACKED, 10),
        Op::Rebuild,
        append("one", "c", STREAMED, 11),
        delete("one", "empty"),
        Op::Compact,
        put("one", "last", TINY, 12),
    ]

    /// Sixteen small pieces become one, and that one of the next sixteen.
    appends_merged: [
        Op::CreateBucket("one"),
        append("one", "a", 20, 1), append_buffered("one", "a", 20, 2), append_buffered("one", "a", 70, 3),
        append_buffered("one", "a", 70, 4), append_buffered("one", "a", 70, 5), append_buffered("one", "a", 70, 6),
        append_buffered("one", "a", 70, 7), append_buffered("one", "a", 70, 8), append_buffered("one", "a", 70, 9),
        append_buffered("one", "a", 70, 10), append_buffered("one", "a", 70, 11), append_buffered("one", "a", 70, 12),
        append_buffered("one", "a", 70, 13), append_buffered("one", "a", 70, 14), append("one", "a", 70, 15),
        append("one", "a", 70, 16),
        append("one", "a", 3000, 17),
        Op::Checkpoint,
        append_buffered("one", "a", 2500, 18), append_buffered("one", "a", 2500, 19),
        append_buffered("one", "a", 2500, 20), append_buffered("one", "a", 2500, 21),
        append_buffered("one", "a", 2500, 22), append_buffered("one", "a", 2500, 23),
        append_buffered("one", "a", 2500, 24), append_buffered("one", "a", 2500, 25),
        append_buffered("one", "a", 2500, 26), append_buffered("one", "a", 2500, 27),
        append_buffered("one", "a", 2500, 28), append_buffered("one", "a", 2500, 29),
        append_buffered("one", "a", 2500, 30), append("one", "a", 2500, 31),
        append("one", "a", 10, 32),
        Op::Compact,
        Op::Reopen,
        append("one", "a", 10, 33),
    ]

    /// Begun, put, put again, completed; begun and aborted; and the object outlives what it was made from.
    uploads: [
        Op::CreateBucket("one"),
        put("one", "a", PACKED, 1),
        upload("one", "a", Uploading::Begin),
        part("one", "a", 3, TINY, 2),
        part_buffered("one", "a", 1, PART, 3),
        part("one", "a", 2, PACKED, 4),
        part("one", "a", 1, PART + 1, 5),
        Op::Checkpoint,
        upload("one", "b", Uploading::Begin),
        part("one", "b", 1, STREAMED, 6),
        Op::DeleteBucket("one"),
        upload("one", "a", Uploading::Complete(vec![1, 2])),
        upload("one", "a", Uploading::Abort),
        Op::Reopen,
        part_buffered("one", "b", 2, TINY, 7),
        upload("one", "b", Uploading::Abort),
        copy(("one", "a"), ("one", "c")),
        delete("one", "a"),
        Op::Compact,
        put("one", "c", TINY, 8),
    ]

    /// Parts move, before and after they have become an object.
    parts_move: [
        Op::CreateBucket("one"),
        put("one", "waste", STREAMED * 3, 1),
        upload("one", "a", Uploading::Begin),
        part("one", "a", 1, PART, 2),
        part("one", "a", 2, STREAMED, 3),
        part("one", "a", 3, PACKED, 4),
        part("one", "a", 2, PACKED, 5),
        delete("one", "waste"),
        Op::Compact,
        upload("one", "a", Uploading::Complete(vec![1, 3])),
        put("one", "waste", STREAMED, 6),
        delete("one", "waste"),
        Op::Compact,
        Op::Rebuild,
        upload("one", "b", Uploading::Begin),
        part("one", "b", 10_000, TINY, 7),
        Op::Rebuild,
        upload("one", "b", Uploading::Complete(vec![10_000])),
        delete("one", "a"),
    ]

    /// Rules delete what is old in buckets of every kind, more than once, and it is forgotten like any other garbage.
    lifecycles: [
        Op::CreateBucket("one"),
        put("one", "old/tiny", TINY, 1),
        put("one", "old/packed", PACKED, 2),
        put("one", "old/streamed", STREAMED, 3),
        put("one", "new", PACKED, 4),
        expire("one", "old/"),
        put("one", "old/tiny", PACKED, 5),
        Op::Maintain,
        Op::CreateBucket("two"),
        keep("two", Enabled),
        put("two", "old/a", PACKED, 6),
        put("two", "old/b", STREAMED, 7),
        fork("two", "three"),
        expire("two", "old/"),
        expire("two", "old/"),
        put("three", "old/a", TINY, 8),
        expire("three", "old/b"),
        Op::Compact,
        rename_prefix("three", "old/", "older/"),
        expire("three", "older/"),
        expire("one", ""),
        Op::Reopen,
        put("two", "old/a", PACKED, 9),
    ]

    /// What a budget has no room for goes with the put that needs it, whatever its body lies in, also if others share it.
    evictions: [
        Op::CreateBucket("one"),
        put("one", "a", PACKED, 1),
        put("one", "b", TINY, 2),
        Op::Budget("one", Some((2 * STREAMED + PACKED + TINY) as u64)),
        put("one", "c", STREAMED, 3),
        copy(("one", "c"), ("one", "d")),
        put("one", "e", PACKED, 4),
        Op::Checkpoint,
        put("one", "f", STREAMED, 5),
        together(vec![step_put("one", "g", PACKED, 6), step_put("one", "h", TINY, 7)], true),
        put("one", "i", 4 * STREAMED, 8),
        Op::Reopen,
        put_buffered("one", "j", STREAMED, 9),
        copy(("one", "j"), ("one", "k")),
        fork("one", "two"),
        put("two", "l", STREAMED, 10),
        put("one", "m", STREAMED, 11),
        Op::Maintain,
        Op::Budget("one", None),
        put("one", "n", STREAMED, 12),
        Op::Compact,
        Op::Rebuild,
        put("two", "o", STREAMED, 13),
    ]

    /// Bodies go to the tier of their class, at once or later, and from there to others.
    tiers: [
        Op::CreateBucket("one"),
        put_in("one", "ia", PACKED, 1, InfrequentAccess),
        put_in("one", "ia long", STREAMED, 2, InfrequentAccess),
        put_in("one", "cold", PACKED, 3, Archive),
        put_in("one", "cold long", STREAMED, 4, Archive),
        Op::Maintain,
        class("one", "ia", Archive),
        class("one", "ia long", Standard),
        restore("one", "cold"),
        class("one", "cold", InfrequentAccess),
        Op::Maintain,
        restore("one", "cold long"),
        copy(("one", "cold long"), ("one", "copy")),
        class("one", "copy", Standard),
        put_in("one", "cold", STREAMED, 5, InfrequentAccess),
        Op::Maintain,
        Op::Checkpoint,
        delete("one", "cold long"),
        Op::Compact,
        Op::Rebuild,
        class("one", "copy", InfrequentAccess),
        Op::Maintain,
    ]

    /// Small cold bodies are packed together, taken out again, and packed anew when most of them are gone.
    solid: [
        Op::CreateBucket("one"),
        many_in("one", "a", 12, Archive),
        Op::Maintain,
        Op::Flush,
        restore("one", "a3"),
        copy(("one", "a3"), ("one", "copy")),
        rename(("one", "a4"), ("one", "moved")),
        restore("one", "a5"),
        class("one", "a5", Standard),
        Op::Maintain,
        put_in("one", "a6", PACKED, 77, Archive),
        Op::DeleteMany("one", (6..11).map(|n| format!("a{n}")).collect()),
        Op::Maintain,
        Op::Checkpoint,
        Op::Compact,
        Op::Rebuild,
        delete("one", "a0"),
    ]

    /// Backed up, written to, and backed up again, with segments gone between.
    backed_up: [
        Op::CreateBucket("one"),
        put("one", "a", PACKED, 1),
        put("one", "b", STREAMED, 2),
        Op::Backup,
        put("one", "b", STREAMED, 3),
        put_buffered("one", "c", STREAMED, 4),
        delete("one", "a"),
        Op::Compact,
        Op::Backup,
        put("one", "d", TINY, 5),
    ]

    /// Objects get colder, are restored and come back, with bodies of each kind, and move meanwhile.
    classes: [
        Op::CreateBucket("one"),
        put("one", "a", TINY, 1),
        put("one", "b", PACKED, 2),
        put("one", "c", STREAMED, 3),
        put_noted("one", "d", PACKED, 2000),
        class("one", "a", InfrequentAccess),
        class("one", "b", Archive),
        class("one", "c", ColdArchive),
        class("one", "d", Archive),
        copy(("one", "b"), ("one", "x")),
        class("one", "c", Standard),
        restore("one", "a"),
        put("one", "waste", STREAMED * 2, 4),
        delete("one", "waste"),
        Op::Compact,
        restore("one", "b"),
        restore("one", "c"),
        restore("one", "d"),
        Op::Reopen,
        copy(("one", "c"), ("one", "x")),
        class("one", "b", ColdArchive),
        class("one", "c", Standard),
        rename(("one", "d"), ("one", "e")),
        Op::Rebuild,
        restore("one", "b"),
        put("one", "a", TINY, 5),
        put("one", "e", PACKED, 6),
        Op::Compact,
        delete("one", "b"),
    ]

    /// The pages of the index lie so far apart that it is written anew, into the other file, and then back.
    index_rewritten: [
        Op::CreateBucket("one"),
        many_noted("one", "a", 1),
        Op::Checkpoint,
        many_noted("one", "a", 100),
        Op::Checkpoint,
        put("one", "between", PACKED, 2),
        Op::Compact,
        put("one", "after", TINY, 3),
        Op::Reopen,
        many_noted("one", "a", 200),
        Op::Checkpoint,
        delete("one", "between"),
        Op::Compact,
        put("one", "late", TINY, 4),
    ]

    /// Other classes where versions and the past are kept, and in a fork.
    classes_of_versions: [
        Op::CreateBucket("one"),
        keep("one", Enabled),
        Op::Retain(HOUR),
        put("one", "a", STREAMED, 1),
        class("one", "a", Archive),
        put("one", "a", PACKED, 2),
        class("one", "a", ColdArchive),
        restore("one", "a"),
        fork("one", "two"),
        class("two", "a", Standard),
        Op::Compact,
        Op::Reopen,
        delete("one", "a"),
        undelete("one", "a"),
        delete_version("one", "a", 0),
        restore("one", "a"),
        delete("two", "a"),
        Op::Wait(HOUR * 2),
        Op::Maintain,
        Op::Rebuild,
        class("one", "a", InfrequentAccess),
    ]
}

/// An upload of more parts than a commit removes: maintenance removes them, step by step. Too long to be run in every
/// way.
pub fn many_parts() -> Script {
    let mut ops = vec![Op::CreateBucket("one"), upload("one", "a", Uploading::Begin)];
    ops.extend((1..=66).map(|number| part_buffered("one", "a", number, TINY, number.into())));
    ops.push(upload("one", "a", Uploading::Abort));
    ops.extend([Op::Maintain, put("one", "after", PACKED, 1), Op::Compact, Op::Reopen]);
    Script { name: "many_parts", ops }
}

/// Bodies in envelopes: of every kind, copied, encrypted anew, and with keys that come and go.
pub fn enveloped() -> Script {
    let ops = vec![
        Op::CreateBucket("one"),
        Op::CreateBucket("two"),
        put("one", "plain", PACKED, 1),
        Op::Encrypt("one"),
        put("one", "tiny", TINY, 2),
        put_buffered("one", "packed", PACKED, 3),
        put("one", "streamed", STREAMED, 4),
        stream("one", "piecewise", STREAMED, 5, 700),
        copy(("one", "plain"), ("one", "sealed")),
        copy(("one", "streamed"), ("two", "shared")),
        upload("one", "parts", Uploading::Begin),
        part("one", "parts", 1, PART, 6),
        part("one", "parts", 2, TINY, 7),
        Op::Checkpoint,
        Op::Rekey("one"),
        upload("one", "parts", Uploading::Complete(vec![1, 2])),
        put("one", "tiny", PACKED, 8),
        Op::Reopen,
        Op::Rekey("one"),
        together(
            vec![step_put("one", "with", TINY, 9), step_rename(("one", "tiny"), ("two", "moved"))],
            false,
        ),
        Op::Fork { from: "one", name: "six" },
        Op::Rekey("one"),
        Op::Maintain,
        Op::Compact,
        Op::Rebuild,
    ];
    Script { name: "enveloped", ops }
}

/// What is shredded goes in many steps, and what stays hangs on another key when it has gone. Only for stores that are
/// encrypted.
pub fn shreds() -> Script {
    let ops = vec![
        Op::CreateBucket("one"),
        Op::CreateBucket("two"),
        put("one", "stays", PACKED, 1),
        put("one", "stays too", STREAMED, 2),
        put("one", "secret/tiny", TINY, 3),
        put("one", "secret/packed", PACKED, 4),
        put("one", "secret/streamed", STREAMED, 5),
        put("two", "other", STREAMED, 6),
        Op::Checkpoint,
        Op::Shred("one", "secret/".into()),
        put("one", "late", PACKED, 7),
        Op::ShredBucket("two"),
        Op::Reopen,
        put("one", "after", TINY, 8),
    ];
    Script { name: "shreds", ops }
}
