//! Random histories: what is called, with keys, bodies and options that are meant to hurt.

use ossicle::{Acl, Versioning};
use proptest::prelude::*;
use proptest::sample::select;

use crate::reference::Range;

/// Names of buckets: those that are used, and three that no bucket may have.
pub const BUCKETS: [&str; 8] = ["aaa", "bbb", "c-c", "fork-1", "fork-2", "Ab", "-ab", "a.b"];

/// How many of them a bucket may have.
pub const VALID: usize = 5;

/// Keys that lie close together or look like something else.
const KEYS: [&str; 40] = [
    "a",
    "aa",
    "aaa",
    "ab",
    "a/",
    "a//",
    "a/b",
    "a/b/",
    "a/b/c",
    "a/b/d",
    "a/c",
    "a-",
    "a.b",
    "b",
    "b/",
    "b/a",
    "b//a",
    "\0",
    "a\0",
    "a\0b",
    "a\n",
    "a\r\nb",
    "..",
    "../a",
    ".",
    "./",
    " ",
    "a b",
    "%2F",
    "?x=1",
    "\u{e9}",
    "e\u{301}",
    "\u{10FFFF}",
    "a\u{10FFFF}",
    "\u{1F408}/x",
    "\u{7f}",
    "a/\u{1F408}",
    "A",
    "z",
    "-",
];

/// Keys that no object may have.
const BAD_KEYS: [&str; 4] = ["", "/a", "\\a", "//"];

/// A key: one of the table, or generated.
pub fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        30 => select(&["a", "a/b", "b/a", "a/b/c"][..]).prop_map(str::to_string),
        45 => select(&KEYS[..]).prop_map(str::to_string),
        25 => "[ab][ab/]{0,4}",
        8 => (0u32..400).prop_map(|number| format!("many/{number:04}")),
        3 => select(&["k", "\u{1F408}", "a/"][..]).prop_map(|unit| longest(unit, 1023)),
        2 => select(&BAD_KEYS[..]).prop_map(str::to_string),
        1 => Just("k".repeat(1024)),
        1 => Just(longest("\u{1F408}", 2000)),
    ]
}

/// `unit` again and again, filled up with `x` to exactly `bytes` bytes.
fn longest(unit: &str, bytes: usize) -> String {
    let mut text = unit.repeat(bytes / unit.len());
    text.push_str(&"x".repeat(bytes - text.len()));
    text
}

/// A body, by its length and what it is made of.
#[derive(Clone, Copy, Debug)]
pub struct Body {
    pub len: usize,
    pub seed: u8,
}

impl Body {
    pub fn bytes(self) -> Vec<u8> {
        let mut state = u32::from(self.seed) + 1;
        let mut roll = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..self.len).map(|_| roll()).collect()
    }
}

fn body() -> impl Strategy<Value = Body> {
    let len = prop_oneof![
        6 => select(&[0, 1, 2, 63, 64, 65, 66][..]),
        6 => 0usize..300,
        3 => select(&[4095, 4096, 4097, 4000][..]),
        2 => 300usize..4000,
        2 => select(&[8191, 8192, 8193, 12288, 12289, 20_000][..]),
        1 => select(&[65_535, 65_536, 65_537, 100_000][..]),
    ];
    // A few seeds only, so that equal bodies and equal entity tags meet.
    (len, 0u8..4).prop_map(|(len, seed)| Body { len, seed })
}

/// How a body is handed over.
#[derive(Clone, Copy, Debug)]
pub enum How {
    Borrowed,
    Owned,
    Reader,
    Writer(usize),
}

/// An entity tag that is asked for.
#[derive(Clone, Copy, Debug)]
pub enum Tag {
    None,
    /// That of the object as it is now; a wrong one if there is none.
    Current,
    /// The same in lower case between quotes.
    CurrentQuoted,
    Any,
    Wrong,
}

/// What a write carries besides the body.
#[derive(Clone, Debug)]
pub struct Extras {
    pub content_type: Option<String>,
    pub metadata: Option<Vec<(String, String)>>,
    pub if_absent: bool,
    pub if_match: Tag,
    pub if_none_match: Tag,
    pub synced: bool,
}

fn tag() -> impl Strategy<Value = Tag> {
    prop_oneof![
        12 => Just(Tag::None),
        3 => Just(Tag::Current),
        1 => Just(Tag::CurrentQuoted),
        1 => Just(Tag::Any),
        1 => Just(Tag::Wrong),
    ]
}

fn metadata() -> impl Strategy<Value = Option<Vec<(String, String)>>> {
    let pair = ("[a-zA-Z0-9-]{1,6}", "[ -~\u{e9}]{0,12}");
    prop_oneof![
        12 => Just(None),
        4 => prop::collection::vec(pair, 0..4).prop_map(Some),
        1 => (100usize..8000).prop_map(|len| Some(vec![("long".to_string(), "v".repeat(len))])),
        1 => select(&[8188usize, 8189][..]).prop_map(|len| Some(vec![("long".to_string(), "v".repeat(len))])),
        1 => select(&["a_b", "", "a b"][..]).prop_map(|name| Some(vec![(name.to_string(), String::new())])),
        1 => Just(Some(vec![("a".to_string(), "x\r\nSet-Cookie: y".to_string())])),
        1 => Just(Some(vec![("Twice".to_string(), "1".to_string()), ("twice".to_string(), "2".to_string())])),
    ]
}

fn content_type() -> impl Strategy<Value = Option<String>> {
    prop_oneof![
        10 => Just(None),
        4 => Just(Some("text/plain; charset=utf-8".to_string())),
        1 => Just(Some("t".repeat(1024))),
        1 => Just(Some("t".repeat(1025))),
        1 => Just(Some("a\nb".to_string())),
    ]
}

fn extras() -> impl Strategy<Value = Extras> {
    let plain = Extras {
        content_type: None,
        metadata: None,
        if_absent: false,
        if_match: Tag::None,
        if_none_match: Tag::None,
        synced: false,
    };
    let rarely = || prop::bool::weighted(0.1);
    let unless = prop_oneof![8 => Just(Tag::None), 1 => tag()];
    let any = (content_type(), metadata(), prop::bool::weighted(0.15), tag(), unless, rarely()).prop_map(
        |(content_type, metadata, if_absent, if_match, if_none_match, synced)| Extras {
            content_type,
            metadata,
            if_absent,
            if_match,
            if_none_match,
            synced,
        },
    );
    prop_oneof![1 => Just(plain), 1 => any]
}

/// A bucket and a key. A stale handle is one of a bucket that was removed, if there is such a handle.
#[derive(Clone, Debug)]
pub struct Spot {
    pub bucket: usize,
    pub stale: bool,
    pub key: String,
    /// Instead of the key that of some object which there is, if there is any.
    pub hits: Option<usize>,
}

fn bucket() -> impl Strategy<Value = usize> {
    prop_oneof![6 => Just(0usize), 4 => Just(1), 1 => Just(2), 2 => Just(3), 1 => Just(4)]
}

fn spot() -> impl Strategy<Value = Spot> {
    let hits = prop::option::weighted(0.5, 0usize..1000);
    (bucket(), prop::bool::weighted(0.03), key(), hits).prop_map(|(bucket, stale, key, hits)| Spot {
        bucket,
        stale,
        key,
        hits,
    })
}

/// Which version of an object.
#[derive(Clone, Copy, Debug)]
pub enum Pick {
    Current,
    /// The nth newest that there is.
    Nth(usize),
    Null,
    Unknown,
}

fn pick() -> impl Strategy<Value = Pick> {
    prop_oneof![
        10 => Just(Pick::Current),
        4 => (0usize..6).prop_map(Pick::Nth),
        1 => Just(Pick::Null),
        1 => Just(Pick::Unknown),
    ]
}

/// Prefixes that hold much, little or nothing, lie within each other, and some that none may be.
fn prefix() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => select(&["a/", "b/", "a/b/", "c/", "many/", "m/"][..]).prop_map(str::to_string),
        3 => select(&["", "a", "many/0", "a/b", "k", "\u{1F408}", "a//"][..]).prop_map(str::to_string),
        1 => select(&["/", "\\a", "/a"][..]).prop_map(str::to_string),
    ]
}

/// Conditions of a read. Moments are seconds after the object was written.
#[derive(Clone, Debug)]
pub struct Asked {
    pub pick: Pick,
    pub range: Option<Range>,
    pub if_match: Tag,
    pub if_none_match: Tag,
    pub if_modified_since: Option<i64>,
    pub if_unmodified_since: Option<i64>,
}

fn edge() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => select(&[0u64, 1, 63, 64, 65, 4095, 4096, 4097, 8192, u64::MAX - 1, u64::MAX][..]),
        3 => 0u64..300,
        2 => 0u64..110_000,
    ]
}

fn asked() -> impl Strategy<Value = Asked> {
    let range = prop_oneof![
        Just(Range::Full),
        (edge(), edge()).prop_map(|(a, b)| Range::Span(a, b)),
        (edge(), edge()).prop_map(|(a, b)| Range::Inclusive(a, b)),
        edge().prop_map(Range::From),
        edge().prop_map(Range::To),
        edge().prop_map(Range::Last),
    ];
    let moment = || prop::option::weighted(0.1, -2i64..3);
    (pick(), prop::option::of(range), tag(), tag(), moment(), moment()).prop_map(
        |(pick, range, if_match, if_none_match, if_modified_since, if_unmodified_since)| Asked {
            pick,
            range,
            if_match,
            if_none_match,
            if_modified_since,
            if_unmodified_since,
        },
    )
}

/// A listing.
#[derive(Clone, Debug)]
pub struct Lines {
    pub prefix: String,
    pub delimiter: String,
    pub start_after: String,
    pub limit: Option<usize>,
}

fn list_text() -> impl Strategy<Value = String> {
    prop_oneof![6 => Just(String::new()), 8 => key(), 1 => Just("/".to_string())]
}

fn lines() -> impl Strategy<Value = Lines> {
    let delimiter = select(&["", "", "/", "/", "a", "//", "b/", "\0", "\u{1F408}", "\u{301}"][..]);
    let limit = prop::option::of(prop_oneof![1 => Just(0usize), 20 => 1usize..8, 4 => 8usize..1500]);
    (list_text(), delimiter, list_text(), limit).prop_map(|(prefix, delimiter, start_after, limit)| Lines {
        prefix,
        delimiter: delimiter.to_string(),
        start_after,
        limit,
    })
}

/// A row's place.
#[derive(Clone, Debug)]
pub struct RowAt {
    pub table: String,
    pub key: Vec<u8>,
}

fn row_at() -> impl Strategy<Value = RowAt> {
    let table = prop_oneof![
        20 => select(&["t", "u", "t/u", "\u{e9}"][..]).prop_map(str::to_string),
        1 => select(&["", "a\0b"][..]).prop_map(str::to_string),
        1 => select(&[255usize, 256][..]).prop_map(|len| "t".repeat(len)),
    ];
    let key = prop_oneof![
        20 => prop::collection::vec(select(&[0u8, 1, 254, 255][..]), 0..3),
        1 => select(&[800usize, 801][..]).prop_map(|len| vec![255; len]),
    ];
    (table, key).prop_map(|(table, key)| RowAt { table, key })
}

fn row_len() -> impl Strategy<Value = usize> {
    prop_oneof![20 => 0usize..40, 4 => 700usize..2000, 1 => select(&[200_000usize, 262_144, 262_145][..])]
}

/// A step of a transaction.
#[derive(Clone, Debug)]
pub enum Step {
    Put(Spot, Body, Extras),
    Delete(Spot, Pick, Tag),
    Undelete(Spot),
    RestoreVersion(Spot, Pick),
    Copy(Spot, Spot),
    Rename(Spot, Spot),
    Get(Spot),
    Head(Spot),
    PutRow(RowAt, usize),
    DeleteRow(RowAt),
    Row(RowAt),
}

impl Step {
    fn spots(&mut self) -> Vec<&mut Spot> {
        match self {
            Step::Put(at, ..)
            | Step::Delete(at, ..)
            | Step::Undelete(at)
            | Step::RestoreVersion(at, _)
            | Step::Get(at)
            | Step::Head(at) => vec![at],
            Step::Copy(from, to) | Step::Rename(from, to) => vec![from, to],
            Step::PutRow(..) | Step::DeleteRow(_) | Step::Row(_) => Vec::new(),
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (spot(), body(), extras()).prop_map(|(at, body, extras)| Step::Put(at, body, extras)),
        3 => (spot(), pick(), tag()).prop_map(|(at, pick, tag)| Step::Delete(at, pick, tag)),
        1 => spot().prop_map(Step::Undelete),
        1 => (spot(), pick()).prop_map(|(at, pick)| Step::RestoreVersion(at, pick)),
        2 => (spot(), spot()).prop_map(|(from, to)| Step::Copy(from, to)),
        3 => (spot(), spot()).prop_map(|(from, to)| Step::Rename(from, to)),
        2 => spot().prop_map(Step::Get),
        1 => spot().prop_map(Step::Head),
        3 => (row_at(), row_len()).prop_map(|(at, len)| Step::PutRow(at, len)),
        1 => row_at().prop_map(Step::DeleteRow),
        1 => row_at().prop_map(Step::Row),
    ]
}

/// How a store is closed and opened again.
#[derive(Clone, Copy, Debug)]
pub enum Reopening {
    Closed,
    Dropped,
    /// With the index files removed.
    WithoutIndex,
    /// With the index made anew on request.
    Rebuilt,
    /// Looked at for reading only in between.
    ReadOnly,
}

/// Which parts an upload is completed with.
#[derive(Clone, Copy, Debug)]
pub enum Completing {
    /// Whatever there is, without a list.
    All,
    Listed,
    EverySecond,
    Reversed,
    /// One more than there are.
    Missing,
    Wrong,
    Nothing,
}

/// One call, or a few that belong together.
#[derive(Clone, Debug)]
pub enum Op {
    CreateBucket(usize),
    CreateBucketWith(usize, Versioning),
    DeleteBucket(usize),
    /// From the first to the second.
    Fork(usize, usize),
    SetVersioning(usize, Option<Versioning>),
    /// So many objects and bytes more than there are.
    SetQuota(usize, (Option<i64>, Option<i64>)),
    SetAcl(usize, Acl),
    Configs(usize, bool),
    DeletePrefix(usize, String),
    RenamePrefix(usize, String, String),
    Diff(usize, usize),
    /// At a moment of the past, by its commit or by its time.
    LookBack(usize, bool),
    Put(Spot, Body, How, Extras),
    /// As many small objects as fill the memory of changes, so that checkpoints happen.
    PutMany(usize, u32, u32),
    Get(Spot, Asked),
    Head(Spot, Asked),
    Exists(Spot),
    Delete(Spot, Pick, Tag),
    DeleteMany(usize, Vec<String>),
    Copy(Spot, Pick, Spot, Tag, Extras),
    Rename(Spot, String, Extras),
    List(usize, Lines),
    Pages(usize, Lines),
    /// Behind a version of the key that the listing starts after.
    Versions(usize, Lines, Pick),
    VersionPages(usize, Lines),
    /// Every version of an object.
    Chain(Spot),
    Undelete(Spot),
    RestoreVersion(Spot, Pick),
    DeleteVersions(usize, Vec<(String, Pick)>),
    SetTags(Spot, Pick, usize),
    Usage(Spot),
    Row(RowAt),
    Transaction {
        steps: Vec<Step>,
        forgives: bool,
        fails: bool,
        synced: bool,
    },
    Upload(Spot, Extras),
    /// Of the upload in this place: the number, and what it is.
    PutPart(usize, u32, Body),
    CopyPart(usize, u32, Spot, Option<Range>),
    Parts(usize),
    Complete(usize, Completing),
    Abort(usize),
    Uploads(usize, String),
    Snapshot,
    LookAtSnapshot(usize),
    DropSnapshot(usize),
    /// Gets an object and keeps it; it is read whole at `ReadHeld`, whatever happened since.
    Hold(Spot),
    ReadHeld,
    Checkpoint,
    Flush,
    Maintain,
    Compact(u8),
    Verify,
    LookAtAll,
    Reopen(Reopening),
    Advance(u64),
}

impl Op {
    /// The places that it is about.
    pub fn spots(&mut self) -> Vec<&mut Spot> {
        match self {
            Op::Put(at, ..)
            | Op::Get(at, _)
            | Op::Head(at, _)
            | Op::Exists(at)
            | Op::Delete(at, ..)
            | Op::Rename(at, ..)
            | Op::Chain(at)
            | Op::Undelete(at)
            | Op::RestoreVersion(at, _)
            | Op::SetTags(at, ..)
            | Op::Usage(at)
            | Op::Upload(at, _)
            | Op::CopyPart(_, _, at, _)
            | Op::Hold(at) => vec![at],
            Op::Copy(from, _, to, ..) => vec![from, to],
            Op::Transaction { steps, .. } => steps.iter_mut().flat_map(Step::spots).collect(),
            _ => Vec::new(),
        }
    }

    /// What is called.
    pub fn name(&self) -> String {
        struct Word(String);
        impl std::fmt::Write for Word {
            fn write_str(&mut self, text: &str) -> std::fmt::Result {
                self.0.push_str(text);
                // The name comes first, and no more is asked for.
                Err(std::fmt::Error)
            }
        }
        let mut word = Word(String::new());
        let _ = std::fmt::write(&mut word, format_args!("{self:?}"));
        word.0
    }

    /// Whether maintenance may have to commit something after it: a body may come under another key, as that of a version
    /// does which is no more the current one, or a prefix, a fork or an upload is left to be cleaned up.
    pub fn leaves_work(&self) -> bool {
        match self {
            Op::SetVersioning(..) | Op::CreateBucketWith(..) | Op::Upload(..) => true,
            Op::Rename(..) | Op::Fork(..) | Op::DeletePrefix(..) | Op::RenamePrefix(..) => true,
            Op::Transaction { steps, .. } => steps.iter().any(|step| matches!(step, Step::Rename(..))),
            _ => false,
        }
    }
}

fn objects() -> impl Strategy<Value = Op> {
    let how = prop_oneof![
        Just(How::Borrowed),
        Just(How::Owned),
        Just(How::Reader),
        (1usize..9000).prop_map(How::Writer)
    ];
    prop_oneof![
        30 => (spot(), body(), how, extras()).prop_map(|(at, body, how, extras)| Op::Put(at, body, how, extras)),
        12 => (spot(), asked()).prop_map(|(at, asked)| Op::Get(at, asked)),
        4 => (spot(), asked()).prop_map(|(at, asked)| Op::Head(at, asked)),
        3 => spot().prop_map(Op::Exists),
        10 => (spot(), pick(), tag()).prop_map(|(at, pick, tag)| Op::Delete(at, pick, tag)),
        2 => (bucket(), prop::collection::vec(key(), 0..12)).prop_map(|(at, keys)| Op::DeleteMany(at, keys)),
        4 => (spot(), pick(), spot(), tag(), extras())
            .prop_map(|(from, pick, to, tag, extras)| Op::Copy(from, pick, to, tag, extras)),
        4 => (spot(), key(), extras()).prop_map(|(from, to, extras)| Op::Rename(from, to, extras)),
        8 => (bucket(), lines()).prop_map(|(at, lines)| Op::List(at, lines)),
        2 => (bucket(), lines()).prop_map(|(at, lines)| Op::Pages(at, lines)),
        4 => spot().prop_map(Op::Usage),
        4 => (bucket(), lines(), pick()).prop_map(|(at, lines, pick)| Op::Versions(at, lines, pick)),
        2 => (bucket(), lines()).prop_map(|(at, lines)| Op::VersionPages(at, lines)),
        2 => spot().prop_map(Op::Chain),
        4 => spot().prop_map(Op::Undelete),
        4 => (spot(), pick(), 0usize..4).prop_map(|(at, pick, count)| Op::SetTags(at, pick, count)),
        3 => (spot(), 0usize..6).prop_map(|(at, nth)| Op::RestoreVersion(at, Pick::Nth(nth))),
        1 => (bucket(), prop::collection::vec((key(), pick()), 0..8))
            .prop_map(|(at, versions)| Op::DeleteVersions(at, versions)),
    ]
}

fn uploads() -> impl Strategy<Value = Op> {
    let at = || prop_oneof![4 => Just(0usize), 1 => 0usize..3];
    let number = || prop_oneof![20 => 1u32..5, 1 => select(&[0u32, 10_000, 10_001][..])];
    let len = select(&[0usize, 3000, 102_399, 102_400, 102_400, 102_400, 102_401, 110_000][..]);
    let part = (len, 0u8..4).prop_map(|(len, seed)| Body { len, seed });
    let range =
        prop_oneof![2 => Just(None), 1 => (edge(), edge()).prop_map(|(a, b)| Some(Range::Span(a, b)))];
    use Completing::{All, EverySecond, Listed, Missing, Nothing, Reversed, Wrong};
    let completing = select(&[All, All, Listed, Listed, EverySecond, Reversed, Missing, Wrong, Nothing][..]);
    prop_oneof![
        3 => (spot(), extras()).prop_map(|(at, extras)| Op::Upload(at, extras)),
        16 => (at(), number(), part).prop_map(|(at, number, body)| Op::PutPart(at, number, body)),
        3 => (at(), number(), spot(), range).prop_map(|(at, number, from, range)| Op::CopyPart(at, number, from, range)),
        3 => at().prop_map(Op::Parts),
        6 => (at(), completing).prop_map(|(at, which)| Op::Complete(at, which)),
        1 => at().prop_map(Op::Abort),
        2 => (bucket(), list_text()).prop_map(|(at, prefix)| Op::Uploads(at, prefix)),
    ]
}

fn spaces() -> impl Strategy<Value = Op> {
    let versioning = || select(&[Versioning::Enabled, Versioning::Enabled, Versioning::Suspended][..]);
    let more = || prop::option::weighted(0.3, prop_oneof![Just(0i64), 0i64..5, -3i64..20_000]);
    let name = || 0usize..BUCKETS.len();
    prop_oneof![
        3 => name().prop_map(Op::CreateBucket),
        1 => (name(), versioning()).prop_map(|(at, versioning)| Op::CreateBucketWith(at, versioning)),
        4 => name().prop_map(Op::DeleteBucket),
        5 => (bucket(), 2usize..VALID).prop_map(|(from, to)| Op::Fork(from, to)),
        1 => (name(), name()).prop_map(|(from, to)| Op::Fork(from, to)),
        4 => (bucket(), prop::option::weighted(0.9, versioning()))
            .prop_map(|(at, versioning)| Op::SetVersioning(at, versioning)),
        3 => (bucket(), (more(), more())).prop_map(|(at, more)| Op::SetQuota(at, more)),
        3 => bucket().prop_map(|at| Op::SetQuota(at, (None, None))),
        1 => (bucket(), select(&[Acl::Private, Acl::PublicRead][..])).prop_map(|(at, acl)| Op::SetAcl(at, acl)),
        3 => (bucket(), prop::bool::weighted(0.1)).prop_map(|(at, stale)| Op::Configs(at, stale)),
        5 => (bucket(), prefix()).prop_map(|(at, prefix)| Op::DeletePrefix(at, prefix)),
        8 => (bucket(), prefix(), prefix()).prop_map(|(at, old, new)| Op::RenamePrefix(at, old, new)),
        4 => (bucket(), bucket()).prop_map(|(before, after)| Op::Diff(before, after)),
        6 => (0usize..8, any::<bool>()).prop_map(|(at, by_time)| Op::LookBack(at, by_time)),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let reopening = select(
        &[
            Reopening::Closed,
            Reopening::Dropped,
            Reopening::WithoutIndex,
            Reopening::Rebuilt,
            Reopening::ReadOnly,
        ][..],
    );
    let transaction = (prop::collection::vec(step(), 0..8), any::<bool>(), prop::bool::weighted(0.15));
    let rest = prop_oneof![
        3 => (bucket(), 0u32..400, 1u32..60).prop_map(|(at, from, count)| Op::PutMany(at, from, count)),
        2 => row_at().prop_map(Op::Row),
        20 => (transaction, prop::bool::weighted(0.1)).prop_map(|((steps, forgives, fails), synced)|
            Op::Transaction { steps, forgives, fails, synced }),
        3 => Just(Op::Snapshot),
        3 => (0usize..4).prop_map(Op::LookAtSnapshot),
        2 => (0usize..4).prop_map(Op::DropSnapshot),
        4 => spot().prop_map(Op::Hold),
        2 => Just(Op::ReadHeld),
        3 => Just(Op::Checkpoint),
        2 => Just(Op::Flush),
        3 => Just(Op::Maintain),
        1 => select(&[0u8, 5, 50][..]).prop_map(Op::Compact),
        1 => Just(Op::Verify),
        2 => Just(Op::LookAtAll),
        3 => reopening.prop_map(Op::Reopen),
        4 => (0u64..3000).prop_map(Op::Advance),
    ];
    prop_oneof![18 => objects(), 6 => rest, 4 => spaces(), 2 => uploads()]
}

/// A history of at most `most` calls.
pub fn history(most: usize) -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(op(), most / 2..most)
}
