//! The packed form of a commit's changes, where short bodies stand together in front of it (see `frame.rs`).
//!
//! ```text
//! 0   24 bytes and a varint: as in `commit.rs`, then the changes. One that begins with 0 or 1 is as in `commit.rs`; else:
//!     u8      bits 0-2 slot, bit 3 the payload is that of the packed change before, bit 4 set, bit 5 a hash is left out
//!     varint  how many first bytes of the key are those of the key before; varint how many follow, the rest of the key
//!     varint  where the body begins, in steps of 8 behind the end of the packed body before (at first: behind 0)
//!     varint  bytes of body
//!     [if bit 3 is clear] [if bit 5 is set: varint where in the payload the hash stood] varint bytes of payload, the payload
//! ```
//!
//! It is a put that counts for one object and the bytes of its body, of an entry with one extent in the segment of the
//! commit. The hash that is left out is the BLAKE3 of the body. What a commit says is the same in both forms.

use super::commit::{self, Change, HEAD_LEN, Head, MAX_ENTRY, MAX_KEY};
use super::entry::{Body, Entry, Extent, ExtentList, Payload};
use super::frame::{ALIGN, MAX_COMMIT_LEN, SHORT_MAX, short_len};
use super::page::common_prefix;
use super::{MAX_NUMBER, varint};

const SLOT: u8 = 7;
const SAME: u8 = 8;
const PACKED: u8 = 16;
const HASHLESS: u8 = 32;
/// Bytes of a hash.
pub const HASH_LEN: usize = 32;
/// The longest payload that is packed, hash and all: what is longer gains nothing.
pub const MAX_PAYLOAD: usize = 700;

const SHORT: &str = "a packed commit is cut off";

/// What the packed change before has left behind.
#[derive(Debug, Default)]
struct Last {
    key: Vec<u8>,
    hash_at: Option<usize>,
    payload: Vec<u8>,
    body_end: u64,
}

/// Writes changes in the packed form.
#[derive(Debug)]
pub struct Packer<'o> {
    out: &'o mut Vec<u8>,
    last: Last,
    first: bool,
}

/// Where `hash` stands in `payload`.
pub fn find_hash(payload: &[u8], hash: &[u8; HASH_LEN]) -> Option<usize> {
    payload.windows(HASH_LEN).position(|window| window == hash)
}

impl<'o> Packer<'o> {
    /// Begins with the head of the commit.
    pub fn new(out: &'o mut Vec<u8>, head: &Head) -> Packer<'o> {
        head.encode(out);
        Packer { out, last: Last::default(), first: true }
    }

    /// Appends a change as it is.
    pub fn plain(&mut self, change: &Change<'_>) {
        change.encode(self.out);
        self.last.key.clear();
        self.last.key.extend_from_slice(change.key());
    }

    /// Appends a put of a short body at `extent`; `hash_at` says where in the payload the hash of the body stands.
    pub fn put(&mut self, key: &[u8], slot: u8, extent: &Extent, payload: &[u8], hash_at: Option<usize>) {
        assert!((1..=SHORT_MAX).contains(&extent.len) && payload.len() <= MAX_PAYLOAD && slot <= SLOT);
        let without = match hash_at {
            Some(at) => [&payload[..at], &payload[at + HASH_LEN..]].concat(),
            None => payload.to_vec(),
        };
        let last = &mut self.last;
        let same = !self.first && last.hash_at == hash_at && last.payload == without;
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        self.out.push(PACKED | slot | flag(same, SAME) | flag(hash_at.is_some(), HASHLESS));
        let shared = common_prefix(&last.key, key);
        varint::put(self.out, shared as u64);
        varint::put(self.out, (key.len() - shared) as u64);
        self.out.extend_from_slice(&key[shared..]);
        varint::put(self.out, (extent.offset - last.body_end) / ALIGN);
        varint::put(self.out, extent.len);
        if !same {
            hash_at.iter().for_each(|at| varint::put(self.out, *at as u64));
            varint::put(self.out, without.len() as u64);
            self.out.extend_from_slice(&without);
        }
        let body_end = extent.offset + short_len(extent.len);
        *last = Last { key: key.to_vec(), hash_at, payload: without, body_end };
        self.first = false;
    }
}

/// Why a packed commit cannot be unpacked.
#[derive(Debug)]
pub enum Broken<E> {
    /// Its bytes are none.
    Bytes(&'static str),
    /// A body cannot be read.
    Body(E),
}

impl<E> From<&'static str> for Broken<E> {
    fn from(reason: &'static str) -> Broken<E> {
        Broken::Bytes(reason)
    }
}

/// The plain form of a packed payload in a record of `segment`. `hash_of` is asked for the hash of each body that the payload
/// leaves out.
pub fn unpack<E>(
    payload: &[u8],
    segment: u64,
    hash_of: &mut dyn FnMut(&Extent) -> Result<[u8; HASH_LEN], E>,
) -> Result<Vec<u8>, Broken<E>> {
    let (head, changes) = commit::open(payload, false)?;
    let mut out = Vec::with_capacity(payload.len() * 2);
    head.encode(&mut out);
    debug_assert!(out.len() > HEAD_LEN);
    let (mut last, mut first, mut entry) = (Last::default(), true, Vec::new());
    let mut input = changes.input();
    for _ in 0..head.count {
        let tag = *input.first().ok_or(SHORT)?;
        if tag & PACKED == 0 {
            let change = commit::take_change(&mut input, false)?;
            last.key.clear();
            last.key.extend_from_slice(change.key());
            change.encode(&mut out);
        } else {
            let extent = take_packed(&mut input, segment, &mut last, first)?;
            first = false;
            entry.clear();
            let hash = match last.hash_at {
                Some(_) => Some(hash_of(&extent).map_err(Broken::Body)?),
                None => None,
            };
            let whole = match (last.hash_at, hash) {
                (Some(at), Some(hash)) => [&last.payload[..at], &hash, &last.payload[at..]].concat(),
                _ => last.payload.clone(),
            };
            let body = Body::Extents(ExtentList::Plain(std::slice::from_ref(&extent)));
            Entry { home: segment, body, payload: Payload::Inline(&whole) }.encode(&mut entry);
            if entry.len() as u64 > MAX_ENTRY {
                return Err(Broken::Bytes("a packed change makes too long an entry"));
            }
            let (slot, bytes) = (tag & SLOT, extent.len);
            let put = Change::Put { key: &last.key, lsn: None, slot, objects: 1, bytes, entry: &entry };
            put.encode(&mut out);
        }
        if out.len() as u64 > MAX_COMMIT_LEN {
            return Err(Broken::Bytes("a packed commit is longer than a commit may be"));
        }
    }
    if !input.is_empty() {
        return Err(Broken::Bytes("a packed commit is longer than its changes"));
    }
    Ok(out)
}

/// Reads a packed change into `last`; answers where its body lies.
fn take_packed(
    input: &mut &[u8],
    segment: u64,
    last: &mut Last,
    first: bool,
) -> Result<Extent, &'static str> {
    let (&tag, rest) = input.split_first().ok_or(SHORT)?;
    *input = rest;
    if tag & !(SLOT | SAME | PACKED | HASHLESS) != 0 || (first && tag & SAME != 0) {
        return Err("a packed change has flags that this version does not know");
    }
    let shared = varint::take(input).filter(|shared| *shared <= last.key.len() as u64).ok_or(SHORT)?;
    let len = varint::take(input).filter(|len| *len <= MAX_KEY - shared).ok_or(SHORT)?;
    let rest = varint::take_bytes(input, len).ok_or(SHORT)?;
    last.key.truncate(shared as usize);
    last.key.extend_from_slice(rest);
    let gap = varint::take(input).filter(|gap| *gap <= MAX_NUMBER / ALIGN).ok_or(SHORT)?;
    let offset = last.body_end + gap * ALIGN;
    let len = varint::take(input).filter(|len| (1..=SHORT_MAX).contains(len)).ok_or(SHORT)?;
    if offset > MAX_NUMBER {
        return Err("a packed change names an impossible place");
    }
    last.body_end = offset + short_len(len);
    if tag & SAME == 0 {
        let hash_at = if tag & HASHLESS != 0 { Some(varint::take(input).ok_or(SHORT)?) } else { None };
        let len = varint::take(input).filter(|len| *len <= MAX_PAYLOAD as u64).ok_or(SHORT)?;
        if hash_at.is_some_and(|at| at > len) {
            return Err("a packed change has its hash behind its end");
        }
        last.hash_at = hash_at.map(|at| at as usize);
        last.payload.clear();
        last.payload.extend_from_slice(varint::take_bytes(input, len).ok_or(SHORT)?);
    } else if last.hash_at.is_some() != (tag & HASHLESS != 0) {
        return Err("a packed change has another form than the one that it refers to");
    }
    Ok(Extent { segment, offset, len })
}

#[cfg(test)]
mod tests {
    use super::super::commit::Position;
    use super::*;

    fn hash(extent: &Extent) -> [u8; HASH_LEN] {
        *blake3::hash(&extent.offset.to_le_bytes()).as_bytes()
    }

    fn row(extent: &Extent, tail: &[u8]) -> Vec<u8> {
        [&b"row"[..], &hash(extent), tail].concat()
    }

    /// A packed payload, and the plain one that it stands for.
    fn sample() -> (Vec<u8>, Vec<u8>) {
        let durable = Position { segment: 4, offset: 800 };
        let head = Head { durable, millis: 99, count: 5 };
        let at = |offset, len| Extent { segment: 9, offset, len };
        let puts = [
            (&b"bucket/one"[..], at(160, 256), &b"x"[..]),
            (b"bucket/other", at(424, 256), b"x"),
            (b"c", at(688, 100), b"y"),
        ];
        let (mut packed, mut plain) = (Vec::new(), Vec::new());
        head.encode(&mut plain);
        let mut packer = Packer::new(&mut packed, &head);
        let delete = Change::Delete { key: b"bucket/o", moved: None };
        let other =
            Change::Put { key: b"bucket/oz", lsn: None, slot: 1, objects: 2, bytes: 3, entry: b"entry" };
        for (number, (key, extent, tail)) in puts.into_iter().enumerate() {
            let payload = row(&extent, tail);
            packer.put(key, 2, &extent, &payload, find_hash(&payload, &hash(&extent)));
            let mut entry = Vec::new();
            let body = Body::Extents(ExtentList::Plain(std::slice::from_ref(&extent)));
            Entry { home: 9, body, payload: Payload::Inline(&payload) }.encode(&mut entry);
            Change::Put { key, lsn: None, slot: 2, objects: 1, bytes: extent.len, entry: &entry }
                .encode(&mut plain);
            if number == 0 {
                for change in [&delete, &other] {
                    packer.plain(change);
                    change.encode(&mut plain);
                }
            }
        }
        (packed, plain)
    }

    fn unpacked(payload: &[u8]) -> Result<Vec<u8>, Broken<()>> {
        unpack(payload, 9, &mut |extent| Ok(hash(extent)))
    }

    #[test]
    fn packed_commits_say_what_plain_ones_say() {
        let (packed, plain) = sample();
        assert_eq!(unpacked(&packed).unwrap(), plain);
        assert!(packed.len() + 3 * HASH_LEN < plain.len(), "{} and {}", packed.len(), plain.len());
    }

    #[test]
    fn cut_and_padded_ones_are_refused_and_flipped_ones_never_panic() {
        let (packed, _) = sample();
        for cut in 0..packed.len() {
            assert!(unpacked(&packed[..cut]).is_err(), "cut at {cut}");
        }
        for at in 0..packed.len() {
            for bit in 0..8 {
                let mut bad = packed.clone();
                bad[at] ^= 1 << bit;
                let _ = unpacked(&bad);
            }
        }
        let mut padded = packed;
        padded.push(0);
        assert!(unpacked(&padded).is_err());
    }
}
