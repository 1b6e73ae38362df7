//! The payload of commit and moves records: the changes, and how much was durable when they were written.
//!
//! ```text
//! 0   u64     durable segment: everything in the log before ...
//! 8   u64     ... this offset of that segment was durable when the record was written (0, 0: nothing known)
//! 16  u64     milliseconds since 1970 by the writer's clock
//! 24  varint  number of changes, then each:
//!     u8      0 put, 1 delete
//!     varint  bytes of key, the key
//!     [moves] varint lsn of the row; of a delete also: varint the newest log segment when it was made
//!     put:    u8 slot, varint objects, varint bytes (the weight), varint bytes of entry, the entry
//! ```

use super::{MAX_NUMBER, varint};

/// The longest key of the index: a keyspace byte, a bucket id and an object key fit with room to spare.
pub const MAX_KEY: u64 = 1100;
/// The longest encoded entry.
pub const MAX_ENTRY: u64 = 900;
/// Bytes before the changes.
pub const HEAD_LEN: usize = 24;

/// A place in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The segment's id; ids grow with the log.
    pub segment: u64,
    /// The offset in the segment.
    pub offset: u64,
}

/// The fixed part of the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// What was durable when the record was written.
    pub durable: Position,
    /// The writer's clock.
    pub millis: u64,
    /// How many changes follow.
    pub count: u64,
}

/// One change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// The key now has this entry.
    Put {
        /// The key.
        key: &'a [u8],
        /// The row's own lsn (moves only).
        lsn: Option<u64>,
        /// The class it counts under.
        slot: u8,
        /// Objects it counts for.
        objects: u64,
        /// Bytes it counts for.
        bytes: u64,
        /// The encoded entry.
        entry: &'a [u8],
    },
    /// The key now has none.
    Delete {
        /// The key.
        key: &'a [u8],
        /// The row's own lsn, and the newest log segment when it was made (moves only).
        moved: Option<(u64, u64)>,
    },
}

impl<'a> Change<'a> {
    /// The key that changes.
    pub fn key(&self) -> &'a [u8] {
        match self {
            Change::Put { key, .. } | Change::Delete { key, .. } => key,
        }
    }

    /// Appends the encoded change.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (tag, key) = match self {
            Change::Put { key, .. } => (0, key),
            Change::Delete { key, .. } => (1, key),
        };
        assert!(key.len() as u64 <= MAX_KEY, "a key of {} bytes", key.len());
        out.push(tag);
        varint::put(out, key.len() as u64);
        out.extend_from_slice(key);
        match self {
            Change::Put { lsn, slot, objects, bytes, entry, .. } => {
                assert!(entry.len() as u64 <= MAX_ENTRY, "an entry of {} bytes", entry.len());
                lsn.iter().for_each(|lsn| varint::put(out, *lsn));
                out.push(*slot);
                varint::put(out, *objects);
                varint::put(out, *bytes);
                varint::put(out, entry.len() as u64);
                out.extend_from_slice(entry);
            }
            Change::Delete { moved, .. } => moved.iter().for_each(|(lsn, made)| {
                varint::put(out, *lsn);
                varint::put(out, *made);
            }),
        }
    }
}

impl Head {
    /// Appends the fixed part and the number of changes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.durable.segment.to_le_bytes());
        out.extend_from_slice(&self.durable.offset.to_le_bytes());
        out.extend_from_slice(&self.millis.to_le_bytes());
        varint::put(out, self.count);
    }
}

/// Reads the changes of a payload one by one.
#[derive(Debug)]
pub struct Changes<'a> {
    input: &'a [u8],
    left: u64,
    own_lsns: bool,
}

const SHORT: &str = "a commit is cut off";

/// Opens a payload: its head, and a reader of its changes (`own_lsns` for a moves record).
pub fn open(payload: &[u8], own_lsns: bool) -> Result<(Head, Changes<'_>), &'static str> {
    let (fixed, mut input) = payload.split_at_checked(HEAD_LEN).ok_or(SHORT)?;
    let word = |at: usize| u64::from_le_bytes(fixed[at..at + 8].try_into().expect("eight bytes"));
    let count = varint::take(&mut input).ok_or(SHORT)?;
    // Every change takes at least two bytes, so a count can be checked before it is believed.
    if count > input.len() as u64 / 2 + 1 {
        return Err("a commit claims more changes than it has bytes");
    }
    if word(0) > MAX_NUMBER || word(8) > MAX_NUMBER {
        return Err("a commit names an impossible place");
    }
    let head = Head { durable: Position { segment: word(0), offset: word(8) }, millis: word(16), count };
    Ok((head, Changes { input, left: count, own_lsns }))
}

impl<'a> Changes<'a> {
    /// The bytes of the changes that are left.
    pub(super) fn input(&self) -> &'a [u8] {
        self.input
    }
}

/// Takes one change off the front of `input`.
pub(super) fn take_change<'a>(input: &mut &'a [u8], own_lsns: bool) -> Result<Change<'a>, &'static str> {
    let (&tag, rest) = input.split_first().ok_or(SHORT)?;
    *input = rest;
    let len = varint::take(input).filter(|len| *len <= MAX_KEY).ok_or(SHORT)?;
    let key = varint::take_bytes(input, len).ok_or(SHORT)?;
    let number = |input: &mut &[u8]| varint::take(input).filter(|number| *number <= MAX_NUMBER);
    let lsn = if own_lsns { Some(number(input).ok_or(SHORT)?) } else { None };
    match tag {
        0 => {
            let (&slot, rest) = input.split_first().ok_or(SHORT)?;
            *input = rest;
            if slot >= 8 {
                return Err("a change has an unknown class");
            }
            let objects = varint::take(input).filter(|n| *n <= u64::from(u32::MAX)).ok_or(SHORT)?;
            let bytes = varint::take(input).filter(|n| *n <= super::frame::MAX_BODY_LEN).ok_or(SHORT)?;
            let len = varint::take(input).filter(|len| *len <= MAX_ENTRY).ok_or(SHORT)?;
            let entry = varint::take_bytes(input, len).ok_or(SHORT)?;
            Ok(Change::Put { key, lsn, slot, objects, bytes, entry })
        }
        1 => {
            let made = lsn.map(|lsn| number(input).map(|made| (lsn, made)).ok_or(SHORT)).transpose()?;
            Ok(Change::Delete { key, moved: made })
        }
        _ => Err("a change is of an unknown kind"),
    }
}

impl<'a> Iterator for Changes<'a> {
    type Item = Result<Change<'a>, &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            if self.input.is_empty() {
                return None;
            }
            self.input = &[];
            return Some(Err("a commit is longer than its changes"));
        }
        self.left -= 1;
        let change = take_change(&mut self.input, self.own_lsns);
        if change.is_err() {
            self.left = 0;
            self.input = &[];
        }
        Some(change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(lsn: Option<u64>) -> (Vec<u8>, Vec<Change<'static>>) {
        let changes = vec![
            Change::Put { key: b"k", lsn, slot: 2, objects: 1, bytes: 1000, entry: b"entry" },
            Change::Delete { key: b"gone", moved: lsn.map(|lsn| (lsn, 3)) },
        ];
        let mut out = Vec::new();
        let durable = Position { segment: 4, offset: 800 };
        Head { durable, millis: 99, count: 2 }.encode(&mut out);
        changes.iter().for_each(|change| change.encode(&mut out));
        (out, changes)
    }

    #[test]
    fn payloads_come_back() {
        for lsn in [None, Some(12)] {
            let (bytes, changes) = sample(lsn);
            let (head, reader) = open(&bytes, lsn.is_some()).unwrap();
            assert_eq!((head.durable.offset, head.millis, head.count), (800, 99, 2));
            assert_eq!(reader.collect::<Result<Vec<_>, _>>().unwrap(), changes);
        }
    }

    #[test]
    fn cut_and_padded_payloads_are_refused() {
        let (bytes, _) = sample(None);
        for cut in 0..bytes.len() {
            let whole =
                open(&bytes[..cut], false).and_then(|(_, reader)| reader.collect::<Result<Vec<_>, _>>());
            assert!(whole.is_err(), "cut at {cut}");
        }
        let mut padded = bytes;
        padded.push(0);
        assert!(open(&padded, false).unwrap().1.any(|change| change.is_err()));
    }
}
