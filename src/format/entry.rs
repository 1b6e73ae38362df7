//! An entry: the engine's half (where the bytes lie) and the catalog's half (an opaque payload) of an index value.
//!
//! ```text
//! u8      flags: bits 0-1 body (0 none, 1 inline, 2 extents), bit 2 payload spilled, bit 3 sealing follows
//! varint  home: the log segment that holds this row
//! [bit 3] varint tier, varint key id, both 0 in this version of the format
//! inline  varint length, bytes
//! extents varint count (1 to 64), each: varint segment, varint offset / 8, varint bytes
//! payload the rest; or, if spilled, one extent of a blob record that holds it
//! ```

use super::frame::{ALIGN, MAX_BODY_LEN};
use super::varint;

/// The most extents an entry may name in place.
pub const MAX_EXTENTS: u64 = 64;
/// The longest body kept inside an entry.
pub const MAX_INLINE: u64 = 700;
/// The longest spilled payload.
pub const MAX_PAYLOAD: u64 = 1 << 20;

const BODY_MASK: u8 = 3;
const BODY_INLINE: u8 = 1;
const BODY_EXTENTS: u8 = 2;
const SPILLED: u8 = 4;
const SEALED: u8 = 8;

/// Where a run of bytes lies: the blob record at `offset` of `segment`, with `len` bytes of body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Extent {
    /// The segment's id.
    pub segment: u64,
    /// Where the record starts; a multiple of 8.
    pub offset: u64,
    /// Bytes of body.
    pub len: u64,
}

impl Extent {
    fn put(&self, out: &mut Vec<u8>) {
        debug_assert!(self.offset.is_multiple_of(ALIGN));
        varint::put(out, self.segment);
        varint::put(out, self.offset / ALIGN);
        varint::put(out, self.len);
    }

    fn take(input: &mut &[u8]) -> Option<Extent> {
        let segment = varint::take(input)?;
        let offset = varint::take(input)?.checked_mul(ALIGN)?;
        let len = varint::take(input)?;
        let sound = len <= MAX_BODY_LEN && offset <= i64::MAX as u64;
        sound.then_some(Extent { segment, offset, len })
    }
}

/// The body of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// No bytes at all.
    None,
    /// The bytes themselves.
    Inline(&'a [u8]),
    /// Where the bytes lie, in order.
    Extents(ExtentList<'a>),
}

/// The payload of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    /// The bytes themselves.
    Inline(&'a [u8]),
    /// The blob record that holds them.
    Spilled(Extent),
}

/// One or more extents, still encoded (from disk) or plain (about to be written).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtentList<'a> {
    /// As they stand in an entry; checked when the entry was decoded.
    Encoded(&'a [u8]),
    /// As the writer holds them.
    Plain(&'a [Extent]),
}

impl<'a> ExtentList<'a> {
    /// The extents in order.
    pub fn iter(self) -> impl Iterator<Item = Extent> + 'a {
        let (mut encoded, plain) = match self {
            ExtentList::Encoded(bytes) => (bytes, &[][..]),
            ExtentList::Plain(extents) => (&[][..], extents),
        };
        plain.iter().copied().chain(std::iter::from_fn(move || Extent::take(&mut encoded)))
    }
}

/// An entry, borrowed from its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The log segment that holds the row.
    pub home: u64,
    /// The body.
    pub body: Body<'a>,
    /// The catalog's half.
    pub payload: Payload<'a>,
}

impl<'a> Entry<'a> {
    /// Appends the encoded entry.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let body = match self.body {
            Body::None => 0,
            Body::Inline(_) => BODY_INLINE,
            Body::Extents(_) => BODY_EXTENTS,
        };
        let spilled = if matches!(self.payload, Payload::Spilled(_)) { SPILLED } else { 0 };
        out.push(body | spilled);
        varint::put(out, self.home);
        match &self.body {
            Body::None => {}
            Body::Inline(bytes) => {
                assert!(bytes.len() as u64 <= MAX_INLINE, "an inline body of {} bytes", bytes.len());
                varint::put(out, bytes.len() as u64);
                out.extend_from_slice(bytes);
            }
            Body::Extents(list) => {
                let count = list.iter().count() as u64;
                assert!((1..=MAX_EXTENTS).contains(&count), "an entry with {count} extents");
                varint::put(out, count);
                list.iter().for_each(|extent| extent.put(out));
            }
        }
        match self.payload {
            Payload::Inline(bytes) => out.extend_from_slice(bytes),
            Payload::Spilled(extent) => extent.put(out),
        }
    }

    /// Decodes an entry, or says why the bytes are none.
    pub fn decode(mut input: &'a [u8]) -> Result<Entry<'a>, &'static str> {
        const SHORT: &str = "an entry is cut off";
        let (&flags, rest) = input.split_first().ok_or(SHORT)?;
        input = rest;
        if flags & SEALED != 0 || flags >= 16 {
            return Err("an entry has flags that this version does not know");
        }
        let home = varint::take(&mut input).ok_or(SHORT)?;
        let body = match flags & BODY_MASK {
            0 => Body::None,
            BODY_INLINE => {
                let len = varint::take(&mut input).ok_or(SHORT)?;
                if len > MAX_INLINE {
                    return Err("an inline body is too long");
                }
                Body::Inline(varint::take_bytes(&mut input, len).ok_or(SHORT)?)
            }
            BODY_EXTENTS => {
                let count = varint::take(&mut input).ok_or(SHORT)?;
                if !(1..=MAX_EXTENTS).contains(&count) {
                    return Err("an entry has an impossible number of extents");
                }
                let start = input;
                let mut total = 0u64;
                for _ in 0..count {
                    let extent = Extent::take(&mut input).ok_or(SHORT)?;
                    total = total.checked_add(extent.len).ok_or("the extents of an entry are too long")?;
                }
                Body::Extents(ExtentList::Encoded(&start[..start.len() - input.len()]))
            }
            _ => return Err("an entry has a body of an unknown kind"),
        };
        let payload = if flags & SPILLED == 0 {
            Payload::Inline(input)
        } else {
            let extent = Extent::take(&mut input).ok_or(SHORT)?;
            if extent.len > MAX_PAYLOAD || !input.is_empty() {
                return Err("a spilled payload is too long or is followed by something");
            }
            Payload::Spilled(extent)
        };
        Ok(Entry { home, body, payload })
    }

    /// Every extent that the entry owns: of the body, then of the payload.
    pub fn extents(&self) -> impl Iterator<Item = Extent> + '_ {
        let body = match &self.body {
            Body::Extents(list) => *list,
            _ => ExtentList::Plain(&[]),
        };
        let spilled = match self.payload {
            Payload::Spilled(extent) => Some(extent),
            Payload::Inline(_) => None,
        };
        body.iter().chain(spilled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back() {
        let extents =
            [Extent { segment: 3, offset: 4096, len: 1 << 40 }, Extent { segment: 9, offset: 8, len: 1 }];
        let spilled = Extent { segment: 1, offset: 96, len: 9000 };
        for body in [Body::None, Body::Inline(b"tiny"), Body::Extents(ExtentList::Plain(&extents))] {
            for payload in [Payload::Inline(b"row"), Payload::Inline(b""), Payload::Spilled(spilled)] {
                let entry = Entry { home: 77, body: body.clone(), payload };
                let mut bytes = Vec::new();
                entry.encode(&mut bytes);
                let back = Entry::decode(&bytes).unwrap();
                assert_eq!(back.home, 77);
                assert_eq!(back.payload, payload);
                assert_eq!(back.extents().collect::<Vec<_>>(), entry.extents().collect::<Vec<_>>());
                if let Body::Inline(expected) = body {
                    assert_eq!(back.body, Body::Inline(expected));
                }
            }
        }
    }

    #[test]
    fn hostile_entries_are_refused() {
        for bad in [
            &[][..],
            &[2, 1, 0],
            &[2, 1, 65],
            &[8, 1],
            &[3, 1],
            &[1, 1, 200, 7],
            &[4, 1, 1, 1, 255, 255, 255, 255, 1],
        ] {
            assert!(Entry::decode(bad).is_err(), "{bad:?}");
        }
    }
}
