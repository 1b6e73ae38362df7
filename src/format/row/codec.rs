//! The form of every row: kind, schema, length, fields.

use crate::format::varint;
use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(super) const UNKNOWN: &str = "a row has a schema that this version does not know";

/// The longest body of a row.
const MAX_ROW: usize = 1 << 20;

pub(super) const CONFIG: Configuration<LittleEndian, Varint, Limit<MAX_ROW>> =
    bincode::config::standard().with_limit::<MAX_ROW>();

/// A value with a place among the kinds of rows.
pub trait Row: Serialize + DeserializeOwned {
    /// Which kind of row; never used for another.
    const KIND: u8;
    /// The schema that this code writes.
    const SCHEMA: u8;

    /// The schema and body of a value that [`Row::SCHEMA`] has no place for; what it has none for is rare, so that
    /// nearly all rows stay as they were.
    fn encode_newer(&self) -> Option<(u8, Vec<u8>)> {
        None
    }

    /// Reads a body of another schema, or says that there is none such.
    fn upgrade(_schema: u8, _body: &[u8]) -> Result<Self, &'static str> {
        Err(UNKNOWN)
    }
}

/// A hash as a byte string: its length, then its bytes. Read in one step, not byte by byte.
pub(super) mod hash {
    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    pub(in crate::format) fn serialize<S: Serializer>(hash: &[u8; 32], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(hash)
    }

    pub(in crate::format) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 32], D::Error> {
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

/// A hash that may not be known, as a byte string of 32 bytes or none.
pub(super) mod optional_hash {
    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    pub(in crate::format) fn serialize<S: Serializer>(
        hash: &Option<[u8; 32]>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(hash.as_ref().map_or(&[], |hash| &hash[..]))
    }

    pub(in crate::format) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<[u8; 32]>, D::Error> {
        struct Hash;
        impl Visitor<'_> for Hash {
            type Value = Option<[u8; 32]>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("32 bytes or none")
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Option<[u8; 32]>, E> {
                if bytes.is_empty() {
                    return Ok(None);
                }
                bytes.try_into().map(Some).map_err(|_| E::invalid_length(bytes.len(), &self))
            }
        }
        from.deserialize_bytes(Hash)
    }
}

/// Encodes the body of a row.
pub(super) fn encode_body(row: &impl Serialize) -> Vec<u8> {
    bincode::serde::encode_to_vec(row, CONFIG).expect("rows have no type that bincode cannot write")
}

/// Encodes a row.
pub fn encode<R: Row>(row: &R) -> Vec<u8> {
    let (schema, body) = row.encode_newer().unwrap_or_else(|| (R::SCHEMA, encode_body(row)));
    assert!(body.len() <= MAX_ROW, "a row of {} bytes", body.len());
    let mut out = Vec::with_capacity(body.len() + 6);
    out.push(R::KIND);
    out.push(schema);
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
    let len = varint::take(&mut rest).ok_or("a row is cut off")?;
    if len != rest.len() as u64 || rest.len() > MAX_ROW {
        return Err("a row is not as long as it says");
    }
    if schema == R::SCHEMA { decode_body(rest) } else { R::upgrade(schema, rest) }
}

/// Reads the first fields of a row whose schema is one of these, and leaves the rest alone.
pub(super) fn glance<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8], kind: u8, schemas: &[u8]) -> Option<T> {
    let (&[own, schema], mut rest) = bytes.split_first_chunk::<2>()?;
    let len = varint::take(&mut rest)?;
    if own != kind || !schemas.contains(&schema) || len != rest.len() as u64 || rest.len() > MAX_ROW {
        return None;
    }
    bincode::serde::borrow_decode_from_slice(rest, CONFIG).ok().map(|(read, _)| read)
}

/// Decodes the body of a row.
pub(super) fn decode_body<R: DeserializeOwned>(body: &[u8]) -> Result<R, &'static str> {
    let (row, used) =
        bincode::serde::borrow_decode_from_slice(body, CONFIG).map_err(|_| "a row cannot be decoded")?;
    if used != body.len() {
        return Err("a row is followed by something");
    }
    Ok(row)
}
