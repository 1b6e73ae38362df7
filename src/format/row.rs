//! Rows: the catalog's values, as `kind, schema, length` and a body in bincode 2 wire (standard configuration).
//!
//! A field is never added in place: a new schema number and an upgrade. This is the one module that names the codec.

use std::collections::BTreeMap;

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::varint;

/// The longest body of a row.
const MAX_ROW: usize = 1 << 20;

const CONFIG: Configuration<LittleEndian, Varint, Limit<MAX_ROW>> =
    bincode::config::standard().with_limit::<MAX_ROW>();

/// A value with a place among the kinds of rows.
pub trait Row: Serialize + DeserializeOwned {
    /// Which kind of row; never used for another.
    const KIND: u8;
    /// The schema that this code writes.
    const SCHEMA: u8;
}

/// An object's head row: what is known of its current version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRow {
    /// Bytes of body.
    pub size: u64,
    /// Milliseconds since 1970.
    pub modified: u64,
    /// BLAKE3 of the body.
    #[serde(with = "hash")]
    pub blake3: [u8; 32],
    /// The storage class's number.
    pub class: u8,
    /// The media type.
    pub content_type: Option<String>,
    /// User metadata.
    pub metadata: BTreeMap<String, String>,
}

impl Row for ObjectRow {
    const KIND: u8 = 2;
    const SCHEMA: u8 = 1;
}

/// A hash as a byte string: its length, then its bytes. Read in one step, not byte by byte.
mod hash {
    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(hash: &[u8; 32], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(hash)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 32], D::Error> {
        struct Hash;
        impl Visitor<'_> for Hash {
            type Value = [u8; 32];
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("32 bytes")
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<[u8; 32], E> {
                bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))
            }
        }
        from.deserialize_bytes(Hash)
    }
}

/// A bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketRow {
    /// The number that stands for the bucket in the keys of its objects; never used again.
    pub id: u64,
    /// Milliseconds since 1970.
    pub created: u64,
    /// The storage class's number.
    pub class: u8,
}

impl Row for BucketRow {
    const KIND: u8 = 1;
    const SCHEMA: u8 = 1;
}

/// Encodes a row.
pub fn encode<R: Row>(row: &R) -> Vec<u8> {
    let body =
        bincode::serde::encode_to_vec(row, CONFIG).expect("rows have no type that bincode cannot write");
    assert!(body.len() <= MAX_ROW, "a row of {} bytes", body.len());
    let mut out = Vec::with_capacity(body.len() + 6);
    out.push(R::KIND);
    out.push(R::SCHEMA);
    varint::put(&mut out, body.len() as u64);
    out.extend_from_slice(&body);
    out
}

/// Decodes a row, or says why the bytes are none.
pub fn decode<R: Row>(bytes: &[u8]) -> Result<R, &'static str> {
    let (&[kind, schema], mut rest) = bytes.split_first_chunk::<2>().ok_or("a row is cut off")?;
    if kind != R::KIND {
        return Err("a row is of another kind than its key says");
    }
    if schema != R::SCHEMA {
        return Err("a row has a schema that this version does not know");
    }
    let len = varint::take(&mut rest).ok_or("a row is cut off")?;
    if len != rest.len() as u64 || rest.len() > MAX_ROW {
        return Err("a row is not as long as it says");
    }
    let (row, used) =
        bincode::serde::borrow_decode_from_slice(rest, CONFIG).map_err(|_| "a row cannot be decoded")?;
    if used != rest.len() {
        return Err("a row is followed by something");
    }
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back() {
        let row = ObjectRow {
            size: 1 << 40,
            modified: 5,
            blake3: [7; 32],
            class: 0,
            content_type: Some("text/plain".into()),
            metadata: [("a".to_string(), "b".to_string())].into(),
        };
        let bytes = encode(&row);
        assert_eq!(decode::<ObjectRow>(&bytes), Ok(row));
        assert!(decode::<BucketRow>(&bytes).is_err());
        for cut in 0..bytes.len() {
            assert!(decode::<ObjectRow>(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        let mut padded = bytes;
        padded.push(0);
        assert!(decode::<ObjectRow>(&padded).is_err());
    }

    #[test]
    fn a_hostile_length_allocates_nothing() {
        // A content type that claims four gigabytes.
        let mut body = vec![0, 0, 32];
        body.resize(3 + 32 + 1, 0);
        body.extend([1, 252, 255, 255, 255, 255]);
        let mut bytes = vec![ObjectRow::KIND, ObjectRow::SCHEMA];
        varint::put(&mut bytes, body.len() as u64);
        bytes.extend(body);
        assert!(decode::<ObjectRow>(&bytes).is_err());
    }
}
