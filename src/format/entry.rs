//! An entry: the engine's half (where the bytes lie) and the catalog's half (an opaque payload) of an index value.
//!
//! ```text
//! u8      flags: bits 0-1 body (0 none, 1 inline, 2 extents, 3 shared), bit 2 payload spilled, bit 3 sealing follows,
//!         bit 4 of a shared body: it begins at an offset
//! varint  home: the log segment that holds this row
//! [bit 3] varint tier, varint key id, both 0 in this version of the format
//! inline  varint length, bytes
//! extents varint count (1 to 64), each: varint segment, varint offset / 8, varint bytes
//! shared  varint blob lsn, varint blob number, varint bytes, varint count of hints (0 to 4), the hints as extents:
//! [bit 4] varint offset, not 0: where in the blob the body begins. It stands before the count of hints
//!         the body belongs to the blob's own rows; the hints say where it lay, and hold while those segments live
//! payload the rest; or, if spilled, one extent of a blob record that holds it
//! ```

use super::frame::{ALIGN, MAX_BODY_LEN};
use super::varint;

/// The most extents an entry may name in place.
pub const MAX_EXTENTS: u64 = 64;

/// The longest body kept inside an entry.
pub const MAX_INLINE: u64 = 700;

/// The most hints that a reference to a shared body carries.
pub const MAX_HINTS: u64 = 4;

/// The longest spilled payload.
pub const MAX_PAYLOAD: u64 = 1 << 20;

const BODY_MASK: u8 = 3;

const BODY_INLINE: u8 = 1;

const BODY_EXTENTS: u8 = 2;

const BODY_SHARED: u8 = 3;

const SPILLED: u8 = 4;

const SEALED: u8 = 8;

const OFFSET: u8 = 16;

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

/// The name of a shared body: the commit that first shared it, and its number among those of that commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobId {
    /// The commit.
    pub lsn: u64,
    /// The number in the commit.
    pub n: u32,
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
    /// `len` bytes of a body that has rows of its own.
    Shared {
        /// Which.
        blob: BlobId,
        /// The byte of it that the body begins with.
        offset: u64,
        /// How many bytes.
        len: u64,
        /// Where all of them lay when this was written; empty if that is too much to say.
        hint: ExtentList<'a>,
    },
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

const SHORT: &str = "an entry is cut off";

/// Takes `count` extents, and says how many bytes they have together.
fn take_list<'a>(input: &mut &'a [u8], count: u64) -> Result<(ExtentList<'a>, u64), &'static str> {
    let start = *input;
    let mut total = 0u64;
    for _ in 0..count {
        let extent = Extent::take(input).ok_or(SHORT)?;
        total = total.checked_add(extent.len).ok_or("the extents of an entry are too long")?;
    }
    Ok((ExtentList::Encoded(&start[..start.len() - input.len()]), total))
}

fn take_shared<'a>(input: &mut &'a [u8], has_offset: bool) -> Result<Body<'a>, &'static str> {
    let mut number = || varint::take(input).ok_or(SHORT);
    let (lsn, n, len) = (number()?, number()?, number()?);
    let offset = if has_offset { number()? } else { 0 };
    let count = number()?;
    let n = u32::try_from(n).map_err(|_| "a shared body has an impossible name")?;
    if lsn > crate::format::MAX_NUMBER
        || len.max(offset) > MAX_BODY_LEN
        || count > MAX_HINTS
        || has_offset != (offset > 0)
    {
        return Err("a reference to a shared body has an impossible length");
    }
    let (hint, total) = take_list(input, count)?;
    if count > 0 && total < offset + len {
        return Err("the hints of a shared body do not add up");
    }
    Ok(Body::Shared { blob: BlobId { lsn, n }, offset, len, hint })
}

impl<'a> Entry<'a> {
    /// Appends the encoded entry.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let body = match self.body {
            Body::None => 0,
            Body::Inline(_) => BODY_INLINE,
            Body::Extents(_) => BODY_EXTENTS,
            Body::Shared { offset: 0, .. } => BODY_SHARED,
            Body::Shared { .. } => BODY_SHARED | OFFSET,
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
            Body::Shared { blob, offset, len, hint } => {
                let count = hint.iter().count() as u64;
                assert!(count <= MAX_HINTS, "a reference with {count} hints");
                [blob.lsn, u64::from(blob.n), *len].into_iter().for_each(|n| varint::put(out, n));
                if *offset > 0 {
                    varint::put(out, *offset);
                }
                varint::put(out, count);
                hint.iter().for_each(|extent| extent.put(out));
            }
        }
        match self.payload {
            Payload::Inline(bytes) => out.extend_from_slice(bytes),
            Payload::Spilled(extent) => extent.put(out),
        }
    }

    /// Decodes an entry, or says why the bytes are none.
    pub fn decode(mut input: &'a [u8]) -> Result<Entry<'a>, &'static str> {
        let (&flags, rest) = input.split_first().ok_or(SHORT)?;
        input = rest;
        let has_offset = flags & OFFSET != 0;
        let misplaced = has_offset && flags & BODY_MASK != BODY_SHARED;
        if flags & SEALED != 0 || flags >= 32 || misplaced {
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
            BODY_SHARED => take_shared(&mut input, has_offset)?,
            BODY_EXTENTS => {
                let count = varint::take(&mut input).ok_or(SHORT)?;
                if !(1..=MAX_EXTENTS).contains(&count) {
                    return Err("an entry has an impossible number of extents");
                }
                Body::Extents(take_list(&mut input, count)?.0)
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
        let blob = BlobId { lsn: 1 << 40, n: 7 };
        let shared = Body::Shared { blob, offset: 0, len: 1 << 40, hint: ExtentList::Plain(&extents) };
        let within = Body::Shared { blob, offset: 300, len: 77, hint: ExtentList::Plain(&extents) };
        let far = Body::Shared { blob, offset: 0, len: 5, hint: ExtentList::Plain(&[]) };
        for body in [
            within,
            Body::None,
            Body::Inline(b"tiny"),
            Body::Extents(ExtentList::Plain(&extents)),
            shared,
            far,
        ] {
            for payload in [Payload::Inline(b"row"), Payload::Inline(b""), Payload::Spilled(spilled)] {
                let entry = Entry { home: 77, body: body.clone(), payload };
                let mut bytes = Vec::new();
                entry.encode(&mut bytes);
                let back = Entry::decode(&bytes).unwrap();
                assert_eq!(back.home, 77);
                assert_eq!(back.payload, payload);
                assert_eq!(back.extents().collect::<Vec<_>>(), entry.extents().collect::<Vec<_>>());
                match (&body, &back.body) {
                    (Body::Inline(expected), found) => assert_eq!(*found, Body::Inline(expected)),
                    (
                        Body::Shared { blob, offset, len, hint },
                        Body::Shared { blob: b, offset: o, len: l, hint: h },
                    ) => {
                        assert_eq!((blob, offset, len), (b, o, l));
                        assert_eq!(hint.iter().collect::<Vec<_>>(), h.iter().collect::<Vec<_>>());
                    }
                    (Body::Shared { .. }, other) => panic!("{other:?}"),
                    _ => {}
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
            &[3, 1, 1, 1, 9, 5],
            &[19, 1, 1, 1, 9, 0, 0],
            &[19, 1, 1, 1, 9, 4, 1, 1, 1, 12],
            &[18, 1, 1, 1, 1, 1],
            &[3, 1, 1, 1, 9, 1, 1, 1, 8],
            &[1, 1, 200, 7],
            &[4, 1, 1, 1, 255, 255, 255, 255, 1],
        ] {
            assert!(Entry::decode(bad).is_err(), "{bad:?}");
        }
    }
}
