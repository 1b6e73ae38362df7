//! The keys of the ordered map, by keyspace (the first byte).
//!
//! ```text
//! 00  the engine's own rows            01  forwarding rows of relocation
//! 02  bucket name                      -> bucket row
//! 03  table, 00, key                   -> a row of the application's own
//! 04  a shared body                    05  name of a cursor of the feed
//! 06  (nothing)                        -> what the newest commit that says so did, in words of objects
//! 07  bucket id                        -> the bucket's name
//! 08  lsn (u64), number (u32)          -> work left to be done
//! 09  bucket id, name                  -> a configuration of the bucket; of the store with 0 for the id
//! 0A  milliseconds (u64), lsn (u64)    -> (nothing): when a commit of the retained past was made
//! 0B  lsn (u64), number (u32)          -> the key of a row of the retained past, and when it was superseded
//! 0C  space                            -> how many buckets read it without owning it
//! 0D                                   -> since when the past is retained
//! 0E  lsn (u64), number (u32)          -> a body that is to lie in another tier, or a solid frame to be packed anew
//! 0F                                   -> how far the runs of lifecycle rules have come
//! 0F  bucket id                        -> what the last of them did there
//! 10  space, key                       -> the current version of an object
//! 11  space, key', version             -> a version that is not the current one
//! 12  space, key                       -> which of those is the null version
//! 13  bucket id, key', upload          -> an upload in progress
//! 14  space, key', version             -> a version with a retention or a hold of its own
//! 15  bucket id, key                   -> the day on which an object was read last
//! 17  bucket id, generation (16 B)     -> a key of the bucket, wrapped by a named key
//! 18  bucket id                        -> how far writing its bodies anew under other keys has come
//! 20, 21, 22, 24  as 10, 11, 12, 14    -> hides what the layers beneath have there
//! 40  a key of the above, !lsn         -> what it held from that lsn on, and until when
//! ```
//!
//! Numbers are big-endian. A space is a range of keys that one or more buckets read; a new bucket has one of its own
//! with its id. `key'` is the key with each 00 as 00 FF, and 00 00 behind it, so that what follows does not
//! disturb the order. A version is `!lsn` (u64) and `!number` (u32): the newest comes first.

use crate::error::{Error, Result};
use crate::model::MAX_KEY_BYTES;

const BUCKETS: u8 = crate::engine::STRUCTURE_SPACE;

const ROWS: u8 = 0x03;

/// The one row that says in words of objects what a commit did, where its keys do not.
pub const NOTE: u8 = 0x06;

const BUCKET_NAMES: u8 = 0x07;

const TIDY: u8 = 0x08;

const CONFIGS: u8 = 0x09;

const TIMES: u8 = 0x0A;

const TRIMS: u8 = 0x0B;

const SPACES: u8 = 0x0C;

/// The row that says since when the past is retained.
pub const RETAINED: u8 = 0x0D;

const MOVES: u8 = crate::engine::MOVE_SPACE;

const RUNS: u8 = 0x0F;

const UPLOADS: u8 = 0x13;

const ACCESSES: u8 = 0x15;

const BUCKET_KEYS: u8 = 0x17;

const REKEYINGS: u8 = 0x18;

const HISTORY: u8 = 0x40;

/// The kinds of rows that lie in spaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The current version of an object.
    Head = 0x10,
    /// A version that is not the current one.
    Version = 0x11,
    /// Which of those is the null version.
    Null = 0x12,
    /// A version with a retention or a hold of its own.
    Hold = 0x14,
}

/// Every kind.
pub const KINDS: [Kind; 4] = [Kind::Head, Kind::Version, Kind::Null, Kind::Hold];

impl Kind {
    /// Whether a version follows the key.
    pub fn has_tail(self) -> bool {
        matches!(self, Kind::Version | Kind::Hold)
    }

    /// The first byte of the rows that hide rows of this kind.
    fn shadow(self) -> u8 {
        self as u8 + 0x10
    }
}

/// Puts a key into a form that sorts like it and ends by itself once 00 00 follows.
fn escape(key: &[u8], out: &mut Vec<u8>) {
    for &byte in key {
        out.push(byte);
        if byte == 0 {
            out.push(0xFF);
        }
    }
}

/// Reads an escaped key up to its end; what is behind it is left.
fn unescape(input: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut out = Vec::with_capacity(input.len());
    let mut rest = input;
    loop {
        match rest {
            [0, 0, rest @ ..] => return Some((out, rest)),
            [0, 0xFF, behind @ ..] => {
                out.push(0);
                rest = behind;
            }
            [0, ..] | [] => return None,
            [byte, behind @ ..] => {
                out.push(*byte);
                rest = behind;
            }
        }
    }
}

/// The least key above every key that starts with `prefix`; `None` if there is no such.
pub fn behind(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xFF)?;
    let mut out = prefix[..=last].to_vec();
    out[last] += 1;
    Some(out)
}

fn start_of(first: u8, space: u64, tail: bool, key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(24 + key.len());
    out.push(first);
    out.extend_from_slice(&space.to_be_bytes());
    if tail {
        escape(key, &mut out)
    } else {
        out.extend_from_slice(key)
    }
    out
}

/// A place among the rows of a kind in a space: where those with `key` or above begin.
pub fn bound(kind: Kind, shadow: bool, space: u64, key: &[u8]) -> Vec<u8> {
    start_of(if shadow { kind.shadow() } else { kind as u8 }, space, kind.has_tail(), key)
}

/// The end of all rows of a kind in a space.
pub fn space_end(kind: Kind, shadow: bool, space: u64) -> Vec<u8> {
    start_of(if shadow { kind.shadow() } else { kind as u8 }, space + 1, false, b"")
}

/// What the keys of all versions of a key that are not current begin with, written over `out`.
pub fn versions_into(space: u64, key: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.push(Kind::Version as u8);
    out.extend_from_slice(&space.to_be_bytes());
    escape(key, out);
    out.extend_from_slice(&[0, 0]);
}

/// The key that says when an object was read last, written over `out`.
pub fn access_into(bucket_id: u64, key: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.push(ACCESSES);
    out.extend_from_slice(&bucket_id.to_be_bytes());
    out.extend_from_slice(key);
}

/// The key of a row in a space. `tail` is a version for the kinds that have one, else empty.
pub fn place(kind: Kind, shadow: bool, space: u64, key: &[u8], tail: &[u8]) -> Vec<u8> {
    let mut out = bound(kind, shadow, space, key);
    if kind.has_tail() {
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(tail);
    }
    out
}

/// A row in a space, by its key: the kind, whether it is a shadow, the space, the key there, the version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The kind.
    pub kind: Kind,
    /// Whether it only hides.
    pub shadow: bool,
    /// The space.
    pub space: u64,
    /// The key.
    pub key: Vec<u8>,
    /// The version of the kinds that have one.
    pub tail: Vec<u8>,
}

/// Reads the key of a row in a space; `None` for any other.
pub fn parse_place(at: &[u8]) -> Option<Placed> {
    let (&first, rest) = at.split_first()?;
    let (space, rest) = rest.split_first_chunk::<8>()?;
    let shadow = first >= 0x20;
    let kind = KINDS.into_iter().find(|kind| (if shadow { kind.shadow() } else { *kind as u8 }) == first)?;
    let space = u64::from_be_bytes(*space);
    if !kind.has_tail() {
        return Some(Placed { kind, shadow, space, key: rest.to_vec(), tail: Vec::new() });
    }
    let (key, tail) = unescape(rest)?;
    (tail.len() == 12).then(|| Placed { kind, shadow, space, key, tail: tail.to_vec() })
}

/// Whether this is the key of an object's row, or of another version's.
pub fn has_body(key: &[u8]) -> bool {
    key.first().is_some_and(|first| [Kind::Head as u8, Kind::Version as u8].contains(first))
}

/// A version as it stands in keys: the newest first.
pub fn version_tail(lsn: u64, n: u32) -> [u8; 12] {
    let mut tail = [0; 12];
    tail[..8].copy_from_slice(&(!lsn).to_be_bytes());
    tail[8..].copy_from_slice(&(!n).to_be_bytes());
    tail
}

/// Reads a version as it stands in keys.
pub fn parse_tail(tail: &[u8]) -> Option<(u64, u32)> {
    let (lsn, n) = tail.split_first_chunk::<8>()?;
    Some((!u64::from_be_bytes(*lsn), !u32::from_be_bytes(n.try_into().ok()?)))
}

fn numbered(first: u8, lsn: u64, n: u32) -> Vec<u8> {
    let mut key = vec![first];
    key.extend_from_slice(&lsn.to_be_bytes());
    key.extend_from_slice(&n.to_be_bytes());
    key
}

/// The key of work left to be done.
pub fn tidy(lsn: u64, n: u32) -> Vec<u8> {
    numbered(TIDY, lsn, n)
}

/// The range of all work left to be done.
pub fn all_tidy() -> (Vec<u8>, Vec<u8>) {
    (vec![TIDY], vec![TIDY + 1])
}

/// The range of all current and other versions, in every space.
pub fn all_bodies() -> (Vec<u8>, Vec<u8>) {
    (vec![Kind::Head as u8], vec![Kind::Version as u8 + 1])
}

/// The range of all uploads.
pub fn all_uploads() -> (Vec<u8>, Vec<u8>) {
    (vec![UPLOADS], vec![UPLOADS + 1])
}

/// Whether a key is that of work left to be done.
pub fn is_tidy(key: &[u8]) -> bool {
    key.first() == Some(&TIDY)
}

/// The key of word that the body of another row is to lie in another tier.
pub fn moving(lsn: u64, n: u32) -> Vec<u8> {
    numbered(MOVES, lsn, n)
}

/// Where all of those stand.
pub fn all_moving() -> (Vec<u8>, Vec<u8>) {
    (vec![MOVES], vec![MOVES + 1])
}

/// Whether a key is that of a row that says when one of the retained past was superseded.
pub fn is_trim(key: &[u8]) -> bool {
    key.first() == Some(&TRIMS)
}

/// The lsn and the number in the key of work left to be done, or of a row to be trimmed.
pub fn parse_numbered(key: &[u8]) -> Option<(u64, u32)> {
    let (lsn, n) = key.get(1..)?.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*lsn), u32::from_be_bytes(n.try_into().ok()?)))
}

/// The lsn in the key of work left to be done, or of a row to be trimmed.
pub fn numbered_lsn(key: &[u8]) -> Option<u64> {
    parse_numbered(key).map(|(lsn, _)| lsn)
}

/// The key that says when a row of the retained past was superseded.
pub fn trim(lsn: u64, n: u32) -> Vec<u8> {
    numbered(TRIMS, lsn, n)
}

/// The range of the rows of the retained past that were superseded at or before `lsn`.
pub fn trims_to(lsn: u64) -> (Vec<u8>, Vec<u8>) {
    (vec![TRIMS], numbered(TRIMS, lsn.saturating_add(1), 0))
}

/// The key that says when a commit was made.
pub fn time(millis: u64, lsn: u64) -> Vec<u8> {
    let mut key = vec![TIMES];
    key.extend_from_slice(&millis.to_be_bytes());
    key.extend_from_slice(&lsn.to_be_bytes());
    key
}

/// The range of all commits of the retained past.
pub fn all_times() -> (Vec<u8>, Vec<u8>) {
    (vec![TIMES], vec![TIMES + 1])
}

/// The milliseconds and the lsn in the key of a commit of the retained past.
pub fn parse_time(key: &[u8]) -> Option<(u64, u64)> {
    let (millis, lsn) = key.strip_prefix(&[TIMES])?.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*millis), u64::from_be_bytes(lsn.try_into().ok()?)))
}

/// The key that counts the buckets that read a space without owning it.
pub fn space_refs(space: u64) -> Vec<u8> {
    start_of(SPACES, space, false, b"")
}

/// Where the number of a space among those of its commit begins, above the lsn.
const SPACE_SHIFT: u32 = 48;

/// The id of the `n`th space (from 0 on) that the commit `lsn` makes.
pub fn space_id(lsn: u64, n: u32) -> u64 {
    lsn | u64::from(n) << SPACE_SHIFT
}

/// The commit that made a space, or the bucket that has its id.
pub fn maker_of(space: u64) -> u64 {
    space & ((1 << SPACE_SHIFT) - 1)
}

/// The space in a key that counts the buckets that read it.
pub fn parse_space_refs(key: &[u8]) -> Option<u64> {
    key.strip_prefix(&[SPACES])?.try_into().ok().map(u64::from_be_bytes)
}

/// The key of a bucket's name by its id.
pub fn bucket_by_id(id: u64) -> Vec<u8> {
    start_of(BUCKET_NAMES, id, false, b"")
}

/// The key of a configuration of a bucket.
pub fn config(bucket_id: u64, name: &str) -> Vec<u8> {
    start_of(CONFIGS, bucket_id, false, name.as_bytes())
}

/// The bucket and the name in the key of a configuration.
pub fn parse_config(key: &[u8]) -> Option<(u64, &str)> {
    let (id, name) = key.strip_prefix(&[CONFIGS])?.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*id), std::str::from_utf8(name).ok()?))
}

/// The range of the configurations of the buckets with this id and above.
pub fn configs_from(bucket_id: u64) -> (Vec<u8>, Vec<u8>) {
    (config(bucket_id, ""), vec![CONFIGS + 1])
}

/// The key of a bucket's key.
pub fn bucket_key(bucket_id: u64, generation: &[u8; 16]) -> Vec<u8> {
    start_of(BUCKET_KEYS, bucket_id, false, generation)
}

/// The key that says how far writing a bucket's bodies anew has come.
pub fn rekeying(bucket_id: u64) -> Vec<u8> {
    start_of(REKEYINGS, bucket_id, false, b"")
}

/// The range of a bucket's keys.
pub fn bucket_keys(bucket_id: u64) -> (Vec<u8>, Vec<u8>) {
    (start_of(BUCKET_KEYS, bucket_id, false, b""), start_of(BUCKET_KEYS, bucket_id + 1, false, b""))
}

/// The bucket and the generation in the key of a bucket's key.
pub fn parse_bucket_key(key: &[u8]) -> Option<(u64, [u8; 16])> {
    let (id, generation) = key.strip_prefix(&[BUCKET_KEYS])?.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*id), generation.try_into().ok()?))
}

/// The key that says how far the runs of lifecycle rules have come.
pub fn lifecycle_run() -> Vec<u8> {
    vec![RUNS]
}

/// The key that says what the last run did in a bucket.
pub fn lifecycle_report(bucket_id: u64) -> Vec<u8> {
    start_of(RUNS, bucket_id, false, b"")
}

/// The key that says when an object was read last; without a key, where those of a bucket begin.
pub fn access(bucket_id: u64, key: &[u8]) -> Vec<u8> {
    start_of(ACCESSES, bucket_id, false, key)
}

/// The bucket and the object in such a key.
pub fn parse_access(at: &[u8]) -> Option<(u64, &str)> {
    let (id, key) = at.strip_prefix(&[ACCESSES])?.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*id), std::str::from_utf8(key).ok()?))
}

/// The range of all that is known of accesses.
pub fn all_accesses() -> (Vec<u8>, Vec<u8>) {
    (vec![ACCESSES], vec![ACCESSES + 1])
}

/// The key of an upload in progress.
pub fn upload(bucket_id: u64, key: &str, lsn: u64, n: u32) -> Vec<u8> {
    let mut out = start_of(UPLOADS, bucket_id, true, key.as_bytes());
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&lsn.to_be_bytes());
    out.extend_from_slice(&n.to_be_bytes());
    out
}

/// Where the uploads to `key` and above begin.
pub fn uploads_from(bucket_id: u64, key: &[u8]) -> Vec<u8> {
    start_of(UPLOADS, bucket_id, true, key)
}

/// The end of all uploads of a bucket.
pub fn uploads_end(bucket_id: u64) -> Vec<u8> {
    start_of(UPLOADS, bucket_id + 1, false, b"")
}

/// The object key and the upload in the key of an upload.
pub fn parse_upload(at: &[u8]) -> Option<(String, u64, u32)> {
    let (key, id) = unescape(at.strip_prefix(&[UPLOADS])?.get(8..)?)?;
    let (lsn, n) = id.split_first_chunk::<8>()?;
    let n = u32::from_be_bytes(n.try_into().ok()?);
    Some((String::from_utf8(key).ok()?, u64::from_be_bytes(*lsn), n))
}

/// Where the retained past of `from` and of the keys above begins; `None` for keys whose past is never kept.
/// Given a whole key, all rows of its past begin with the answer.
pub fn history(from: &[u8], whole: bool) -> Option<Vec<u8>> {
    let (&first, rest) = from.split_first()?;
    let mut out = vec![HISTORY, first];
    match first {
        BUCKETS => out.extend_from_slice(rest),
        CONFIGS => out.extend_from_slice(rest),
        // Rows are only ever looked up by their whole key, and their keys may be long.
        ROWS if whole => out.extend_from_slice(blake3::hash(rest).as_bytes()),
        // As the end of what comes before them.
        ROWS => {}
        _ => {
            let kind = KINDS.into_iter().find(|kind| *kind as u8 == first || kind.shadow() == first)?;
            if kind.has_tail() {
                out.extend_from_slice(rest);
                return Some(out);
            }
            let (space, key) = rest.split_at(rest.len().min(8));
            out.extend_from_slice(space);
            escape(key, &mut out);
        }
    }
    if whole {
        out.extend_from_slice(&[0, 0]);
    }
    Some(out)
}

/// The key of a row of the retained past.
pub fn history_at(key: &[u8], lsn: u64) -> Option<Vec<u8>> {
    let mut out = history(key, true)?;
    out.extend_from_slice(&(!lsn).to_be_bytes());
    Some(out)
}

/// Whether a row belongs to the retained past.
pub fn is_history(key: &[u8]) -> bool {
    key.first() == Some(&HISTORY)
}

/// The key whose past a row keeps, and since when it held; `None` for rows of the application's own.
pub fn parse_history(at: &[u8]) -> Option<(Vec<u8>, u64)> {
    let rest = at.strip_prefix(&[HISTORY])?;
    let (body, lsn) = rest.split_last_chunk::<8>()?;
    let lsn = !u64::from_be_bytes(*lsn);
    let (&first, rest) = body.split_first()?;
    let mut key = vec![first];
    match first {
        BUCKETS | CONFIGS => key.extend_from_slice(rest.strip_suffix(&[0, 0])?),
        ROWS => return None,
        _ => {
            let kind = KINDS.into_iter().find(|kind| *kind as u8 == first || kind.shadow() == first)?;
            if kind.has_tail() {
                key.extend_from_slice(rest);
            } else {
                let (space, escaped) = rest.split_first_chunk::<8>()?;
                key.extend_from_slice(space);
                let (plain, behind) = unescape(escaped)?;
                if !behind.is_empty() {
                    return None;
                }
                key.extend_from_slice(&plain);
            }
        }
    }
    Some((key, lsn))
}

/// The range of the retained past of all objects.
pub fn all_history() -> (Vec<u8>, Vec<u8>) {
    (vec![HISTORY], vec![HISTORY + 1])
}

/// The longest name of a table of the application's own rows, in bytes.
pub const MAX_TABLE_BYTES: usize = 255;

/// The longest key of a row of the application's own, in bytes.
pub const MAX_ROW_KEY_BYTES: usize = 800;

/// The key of a bucket's row.
pub fn bucket(name: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + name.len());
    key.push(BUCKETS);
    key.extend_from_slice(name.as_bytes());
    key
}

/// The first key of all bucket rows, and the first key behind them.
pub fn all_buckets() -> (Vec<u8>, Vec<u8>) {
    (vec![BUCKETS], vec![BUCKETS + 1])
}

/// The name in a bucket's key.
pub fn bucket_name(key: &[u8]) -> Option<&str> {
    let name = key.strip_prefix(&[BUCKETS])?;
    std::str::from_utf8(name).ok()
}

/// The key of an object's head row.
pub fn object(bucket_id: u64, key: &str) -> Vec<u8> {
    debug_assert!(key.len() <= MAX_KEY_BYTES);
    let mut out = Vec::with_capacity(9 + key.len());
    out.push(Kind::Head as u8);
    out.extend_from_slice(&bucket_id.to_be_bytes());
    out.extend_from_slice(key.as_bytes());
    out
}

/// The bucket id and the object key in the key of a head row; `None` for any other key.
pub fn parse_object(key: &[u8]) -> Option<(u64, &str)> {
    let rest = key.strip_prefix(&[Kind::Head as u8])?;
    let (id, key) = rest.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*id), std::str::from_utf8(key).ok()?))
}

/// Where the rows of a table begin.
fn rows_of(table: &str) -> Result<Vec<u8>> {
    if table.is_empty() || table.len() > MAX_TABLE_BYTES || table.contains('\0') {
        return Err(Error::invalid(
            "InvalidArgument",
            format!("the name of a table has 1 to {MAX_TABLE_BYTES} bytes and no NUL"),
        ));
    }
    let mut out = vec![ROWS];
    out.extend_from_slice(table.as_bytes());
    out.push(0);
    Ok(out)
}

/// The key of a row of the application's own.
pub fn row(table: &str, key: &[u8]) -> Result<Vec<u8>> {
    let mut out = rows_of(table)?;
    if key.len() > MAX_ROW_KEY_BYTES {
        return Err(Error::invalid(
            "InvalidArgument",
            format!("the key of a row has at most {MAX_ROW_KEY_BYTES} bytes, not {}", key.len()),
        ));
    }
    out.extend_from_slice(key);
    Ok(out)
}

/// Where the rows of a table with this key and above begin; the key may be the first one behind the longest.
pub fn row_bound(table: &str, key: &[u8]) -> Result<Vec<u8>> {
    match key.split_last() {
        Some((0, before)) if before.len() == MAX_ROW_KEY_BYTES => {
            let mut out = row(table, before)?;
            out.push(0);
            Ok(out)
        }
        _ => row(table, key),
    }
}

/// Where the rows of a table end.
pub fn rows_end(table: &str) -> Result<Vec<u8>> {
    let mut out = rows_of(table)?;
    out.pop();
    out.push(1);
    Ok(out)
}

/// The table and the key in the key of a row of the application's own; `None` for any other key.
pub fn parse_row(key: &[u8]) -> Option<(&str, &[u8])> {
    let rest = key.strip_prefix(&[ROWS])?;
    let at = rest.iter().position(|byte| *byte == 0)?;
    Some((std::str::from_utf8(&rest[..at]).ok()?, &rest[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_back_and_sort_like_their_keys() {
        let keys = ["", "a", "a\0", "a\0b", "ab", "b"];
        for kind in KINDS {
            for shadow in [false, true] {
                let at = |key: &str, n| {
                    let tail = version_tail(9, n);
                    place(kind, shadow, 7, key.as_bytes(), if kind.has_tail() { &tail } else { b"" })
                };
                for pair in keys.windows(2) {
                    assert!(at(pair[0], 0) < at(pair[1], 5), "{kind:?} {pair:?}");
                    assert!(at(pair[0], 0) < bound(kind, shadow, 7, pair[1].as_bytes()));
                    assert!(at(pair[1], 0) >= bound(kind, shadow, 7, pair[1].as_bytes()));
                }
                for key in keys {
                    let found = parse_place(&at(key, 3)).unwrap();
                    assert_eq!((found.kind, found.shadow, found.space), (kind, shadow, 7));
                    assert_eq!(found.key, key.as_bytes());
                    assert!(!kind.has_tail() || parse_tail(&found.tail) == Some((9, 3)));
                    let past = history_at(&at(key, 3), 12).unwrap();
                    assert_eq!(parse_history(&past), Some((at(key, 3), 12)), "{kind:?} {key:?}");
                    assert!(past > history_at(&at(key, 3), 13).unwrap(), "the newest comes first");
                    assert!(past.starts_with(&history(&at(key, 3), true).unwrap()));
                    assert!(past.len() <= 1100);
                }
            }
        }
        assert!(version_tail(9, 1) < version_tail(8, 0) && version_tail(9, 1) < version_tail(9, 0));
        for key in keys {
            let (mut versions, mut read) = (vec![1], vec![2]);
            versions_into(7, key.as_bytes(), &mut versions);
            assert_eq!(versions, place(Kind::Version, false, 7, key.as_bytes(), b""));
            access_into(7, key.as_bytes(), &mut read);
            assert_eq!((&read, parse_access(&read)), (&access(7, key.as_bytes()), Some((7, key))));
        }
        assert_eq!(parse_config(&config(7, "lifecycle")), Some((7, "lifecycle")));
        assert_eq!(parse_upload(&upload(3, "a\0b", 4, 5)), Some(("a\0b".to_string(), 4, 5)));
        assert_eq!(parse_history(&history_at(&bucket("cats"), 5).unwrap()), Some((bucket("cats"), 5)));
        assert_eq!(behind(b"a/"), Some(b"a0".to_vec()));
        assert_eq!(behind(b""), None);
    }

    #[test]
    fn keys_of_a_bucket_are_one_range_in_byte_order() {
        let keys = ["a", "a\u{10FFFF}", "a/b", "b", "ä"];
        let mut encoded: Vec<_> = keys.iter().map(|key| object(7, key)).collect();
        encoded.sort();
        let decoded: Vec<_> = encoded.iter().map(|key| parse_object(key).unwrap().1).collect();
        let mut sorted = keys.to_vec();
        sorted.sort();
        assert_eq!(decoded, sorted);
        assert!(encoded.iter().all(|key| *key > object(7, "") && *key < object(8, "")));
    }
}
