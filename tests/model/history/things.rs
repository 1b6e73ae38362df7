//! What histories are made of: keys, bodies, attributes and conditions that are meant to hurt.

use ossicle::{Acl, ContentHeaders, StorageClass};
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
pub(super) fn longest(unit: &str, bytes: usize) -> String {
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

pub(super) fn body() -> impl Strategy<Value = Body> {
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
#[derive(Clone, Copy, Debug, Default)]
pub enum Tag {
    #[default]
    None,
    /// That of the object as it is now; a wrong one if there is none.
    Current,
    /// The same in lower case between quotes.
    CurrentQuoted,
    Any,
    Wrong,
}

/// What a write carries besides the body.
#[derive(Clone, Debug, Default)]
pub struct Extras {
    pub content_type: Option<String>,
    pub metadata: Option<Vec<(String, String)>>,
    pub headers: Option<ContentHeaders>,
    pub tags: Option<Vec<(String, String)>>,
    pub acl: Option<Acl>,
    pub class: Option<StorageClass>,
    /// Whether the digests of OSS are taken.
    pub oss: bool,
    pub if_absent: bool,
    pub if_match: Tag,
    pub if_none_match: Tag,
    pub synced: bool,
}

pub(super) fn tag() -> impl Strategy<Value = Tag> {
    prop_oneof![
        12 => Just(Tag::None),
        3 => Just(Tag::Current),
        1 => Just(Tag::CurrentQuoted),
        1 => Just(Tag::Any),
        1 => Just(Tag::Wrong),
    ]
}

pub(super) fn metadata() -> impl Strategy<Value = Option<Vec<(String, String)>>> {
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

pub(super) fn content_type() -> impl Strategy<Value = Option<String>> {
    prop_oneof![
        10 => Just(None),
        4 => Just(Some("text/plain; charset=utf-8".to_string())),
        1 => Just(Some("t".repeat(1024))),
        1 => Just(Some("t".repeat(1025))),
        1 => Just(Some("a\nb".to_string())),
    ]
}

pub(super) fn tags() -> impl Strategy<Value = Vec<(String, String)>> {
    let pairs = |count: usize| (0..count).map(|n| (format!("tag-{n}"), "v".repeat(n))).collect::<Vec<_>>();
    prop_oneof![
        8 => (1usize..4).prop_map(pairs),
        2 => select(&[0usize, 10, 11][..]).prop_map(pairs),
        1 => select(&[128usize, 129][..]).prop_map(|len| vec![("k".repeat(len), "+-=._:/ ".to_string())]),
        1 => select(&[256usize, 257][..]).prop_map(|len| vec![("\u{e9}".to_string(), "v".repeat(len))]),
        1 => select(&["", "a?", "a\n"][..]).prop_map(|key| vec![(key.to_string(), String::new())]),
        1 => Just(vec![("b".to_string(), "1".to_string()), ("a".to_string(), "2".to_string())]),
        1 => Just(vec![("a".to_string(), "1".to_string()), ("a".to_string(), "2".to_string())]),
    ]
}

pub(super) fn headers() -> impl Strategy<Value = ContentHeaders> {
    let text = || {
        let text = prop_oneof![
            20 => Just("no-cache".to_string()),
            8 => Just("not a date".to_string()),
            1 => Just(String::new()),
            1 => select(&[1024usize, 1025][..]).prop_map(|len| "h".repeat(len)),
            1 => Just("a\r\nSet-Cookie: b".to_string()),
        ];
        prop::option::weighted(0.3, text)
    };
    (text(), text(), text(), text(), text()).prop_map(|(one, two, three, four, five)| {
        let mut headers = ContentHeaders::default();
        (headers.cache_control, headers.content_disposition) = (one, two);
        (headers.content_encoding, headers.content_language, headers.expires) = (three, four, five);
        headers
    })
}

pub(super) fn acl() -> impl Strategy<Value = Acl> {
    select(&[Acl::Private, Acl::PublicRead, Acl::PublicReadWrite][..])
}

pub(super) fn class() -> impl Strategy<Value = StorageClass> {
    select(&StorageClass::ALL[..])
}

pub(super) fn extras() -> impl Strategy<Value = Extras> {
    let rarely = || prop::bool::weighted(0.1);
    let unless = prop_oneof![8 => Just(Tag::None), 1 => tag()];
    let conditions = (prop::bool::weighted(0.15), tag(), unless, rarely());
    let dress = (
        prop::option::weighted(0.15, headers()),
        prop::option::weighted(0.15, tags()),
        prop::option::weighted(0.15, acl()),
        prop::option::weighted(0.15, class()),
        prop::bool::weighted(0.2),
    );
    let any = (content_type(), metadata(), conditions, dress).prop_map(
        |(content_type, metadata, (if_absent, if_match, if_none_match, synced), dress)| {
            let (headers, tags, acl, class, oss) = dress;
            let conditions = Extras { if_absent, if_match, if_none_match, synced, ..Extras::default() };
            Extras { content_type, metadata, headers, tags, acl, class, oss, ..conditions }
        },
    );
    prop_oneof![1 => Just(Extras::default()), 1 => any]
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

pub(super) fn bucket() -> impl Strategy<Value = usize> {
    prop_oneof![6 => Just(0usize), 4 => Just(1), 1 => Just(2), 2 => Just(3), 1 => Just(4)]
}

pub(super) fn spot() -> impl Strategy<Value = Spot> {
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

pub(super) fn pick() -> impl Strategy<Value = Pick> {
    prop_oneof![
        10 => Just(Pick::Current),
        4 => (0usize..6).prop_map(Pick::Nth),
        1 => Just(Pick::Null),
        1 => Just(Pick::Unknown),
    ]
}

/// Prefixes that hold much, little or nothing, lie within each other, and some that none may be.
pub(super) fn prefix() -> impl Strategy<Value = String> {
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

pub(super) fn edge() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => select(&[0u64, 1, 63, 64, 65, 4095, 4096, 4097, 8192, u64::MAX - 1, u64::MAX][..]),
        3 => 0u64..300,
        2 => 0u64..110_000,
    ]
}

pub(super) fn asked() -> impl Strategy<Value = Asked> {
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
    /// Where it begins; together with `start_after` both count.
    pub start: String,
    pub start_after: String,
    pub limit: Option<usize>,
    /// From the last to the first.
    pub descending: bool,
}

pub(super) fn list_text() -> impl Strategy<Value = String> {
    prop_oneof![6 => Just(String::new()), 8 => key(), 1 => Just("/".to_string())]
}

pub(super) fn lines() -> impl Strategy<Value = Lines> {
    let delimiter = select(&["", "", "/", "/", "a", "//", "b/", "\0", "\u{1F408}", "\u{301}"][..]);
    let limit = prop::option::of(prop_oneof![1 => Just(0usize), 20 => 1usize..8, 4 => 8usize..1500]);
    let descending = prop::bool::weighted(0.2);
    let start = prop_oneof![2 => Just(String::new()), 1 => list_text()];
    (list_text(), delimiter, start, list_text(), limit, descending).prop_map(
        |(prefix, delimiter, start, start_after, limit, descending)| Lines {
            prefix,
            delimiter: delimiter.to_string(),
            start,
            start_after,
            limit,
            descending,
        },
    )
}

/// A row's place.
#[derive(Clone, Debug)]
pub struct RowAt {
    pub table: String,
    pub key: Vec<u8>,
}

pub(super) fn row_at() -> impl Strategy<Value = RowAt> {
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

pub(super) fn rows() -> impl Strategy<Value = (RowAt, Option<Vec<u8>>, bool)> {
    let end = prop::option::of(row_at().prop_map(|row| row.key));
    let from = (row_at(), any::<bool>()).prop_map(|(row, all)| match all {
        true => RowAt { key: Vec::new(), ..row },
        false => row,
    });
    (from, end, any::<bool>())
}

pub(super) fn row_len() -> impl Strategy<Value = usize> {
    prop_oneof![20 => 0usize..40, 4 => 700usize..2000, 1 => select(&[200_000usize, 262_144, 262_145][..])]
}
