//! Shared bodies: a blob has rows of its own, and any number of entries refer to it.
//!
//! ```text
//! 04, lsn (u64, big-endian), number (u32)                   -> the blob's head: varint entries that refer to it,
//!                                                              varint pieces, u8 what the pieces are keyed by; of a
//!                                                              solid one, varint entries that referred to it at first,
//!                                                              u64 sum over the keys that stand behind its bodies
//! 04, lsn, number, offset or number of the piece (u64)      -> a piece; its entry owns the bytes, its payload is
//!                                                              the catalog's
//! ```
//!
//! The pieces own the bytes, so relocation moves them without knowing who refers to them. An entry that refers
//! carries the places of the pieces as a hint; a segment's id is never used again, so the hint holds as long as
//! the segments are there, and the rows are asked only when they are not.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::format::entry::{BlobId, Extent, MAX_HINTS};
use crate::format::varint;

/// The keyspace of shared bodies.
pub const BLOB_SPACE: u8 = 4;

/// What the pieces of a blob are keyed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyed {
    /// The offset of their first byte.
    Offset,
    /// Numbers that only say their order.
    Number,
    /// The offset of their first byte; each entry that refers to it begins somewhere in it.
    Solid {
        /// How many entries referred to it when it was made.
        members: u64,
        /// The sum, with wrap-around, of [`key_sum`] over the keys that its bodies were packed for.
        keys: u64,
    },
}

/// What is known of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobHead {
    /// How many entries refer to it.
    pub refs: u64,
    /// How many pieces it has.
    pub pieces: u64,
    /// What they are keyed by.
    pub keyed: Keyed,
}

/// A reference to a blob, as an entry holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedRef {
    /// Which blob.
    pub blob: BlobId,
    /// The byte of it that this begins with.
    pub offset: u64,
    /// How many of its bytes.
    pub len: u64,
    /// Where they lay when this was written; empty if that is too much to say.
    pub hint: Arc<[Extent]>,
}

/// The key of a blob's head.
pub fn head_key(blob: BlobId) -> Vec<u8> {
    let mut key = Vec::with_capacity(21);
    key.push(BLOB_SPACE);
    key.extend_from_slice(&blob.lsn.to_be_bytes());
    key.extend_from_slice(&blob.n.to_be_bytes());
    key
}

/// What a key adds to the sum of the keys of a solid blob.
pub fn key_sum(key: &[u8]) -> u64 {
    blake3::hash(key).as_bytes().first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
}

/// The key of a piece.
pub fn piece_key(blob: BlobId, place: u64) -> Vec<u8> {
    let mut key = head_key(blob);
    key.extend_from_slice(&place.to_be_bytes());
    key
}

/// The first key behind all rows of a blob.
pub fn end_key(blob: BlobId) -> Vec<u8> {
    match blob.n.checked_add(1) {
        Some(n) => head_key(BlobId { n, ..blob }),
        None => head_key(BlobId { lsn: blob.lsn + 1, n: 0 }),
    }
}

/// The place in a piece's key; `None` for a head's key or any other.
pub fn place_of(key: &[u8]) -> Option<u64> {
    key.strip_prefix(&[BLOB_SPACE])?.get(12..).and_then(|place| place.try_into().ok()).map(u64::from_be_bytes)
}

/// The blob whose head or piece has this key; `None` for any other key.
pub fn blob_of(key: &[u8]) -> Option<BlobId> {
    let (lsn, rest) = key.strip_prefix(&[BLOB_SPACE])?.split_first_chunk::<8>()?;
    let (n, _) = rest.split_first_chunk::<4>()?;
    Some(BlobId { lsn: u64::from_be_bytes(*lsn), n: u32::from_be_bytes(*n) })
}

impl BlobHead {
    /// The payload of the head's row.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(6);
        varint::put(&mut out, self.refs);
        varint::put(&mut out, self.pieces);
        out.push(match self.keyed {
            Keyed::Offset => 0,
            Keyed::Number => 1,
            Keyed::Solid { .. } => 2,
        });
        if let Keyed::Solid { members, keys } = self.keyed {
            varint::put(&mut out, members);
            out.extend_from_slice(&keys.to_le_bytes());
        }
        out
    }

    /// Reads the payload of the head's row.
    pub fn decode(mut payload: &[u8]) -> Result<BlobHead> {
        let mut read = || {
            let refs = varint::take(&mut payload)?;
            let pieces = varint::take(&mut payload)?;
            let keyed = match payload {
                [0] => Keyed::Offset,
                [1] => Keyed::Number,
                [2, rest @ ..] => {
                    let mut rest = rest;
                    let members = varint::take(&mut rest)?;
                    Keyed::Solid { members, keys: u64::from_le_bytes(rest.try_into().ok()?) }
                }
                _ => return None,
            };
            Some(BlobHead { refs, pieces, keyed })
        };
        read().ok_or_else(|| Error::corrupt("the index", 0, "the head of a shared body cannot be read"))
    }
}

impl SharedRef {
    /// Where in the blob it ends.
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.len)
    }

    /// A reference to all of a blob whose pieces lie at `extents`.
    pub fn new(blob: BlobId, len: u64, extents: &[Extent]) -> SharedRef {
        let hint = if extents.len() as u64 <= MAX_HINTS { extents.into() } else { Arc::from([]) };
        SharedRef { blob, offset: 0, len, hint }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_and_keys_come_back() {
        for keyed in [Keyed::Offset, Keyed::Number, Keyed::Solid { members: 300, keys: u64::MAX - 9 }] {
            let head = BlobHead { refs: 3, pieces: 10_000, keyed };
            assert_eq!(BlobHead::decode(&head.encode()).unwrap(), head);
        }
        for bad in [
            &[][..],
            &[1],
            &[1, 1],
            &[1, 1, 2],
            &[1, 1, 2, 5, 5],
            &[1, 1, 2, 5, 1, 2, 3, 4, 5, 6, 7, 8, 9],
            &[1, 1, 3],
            &[1, 1, 0, 0],
        ] {
            assert!(BlobHead::decode(bad).is_err(), "{bad:?}");
        }
        let blob = BlobId { lsn: 9, n: u32::MAX };
        assert_eq!(place_of(&piece_key(blob, 77)), Some(77));
        assert_eq!(place_of(&head_key(blob)), None);
        assert_eq!((blob_of(&head_key(blob)), blob_of(&piece_key(blob, 77))), (Some(blob), Some(blob)));
        assert_eq!(blob_of(&[5; 21]), None);
        assert!(piece_key(blob, u64::MAX) < end_key(blob) && head_key(blob) < piece_key(blob, 0));
    }
}
