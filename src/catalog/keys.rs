//! The keys of the ordered map, by keyspace (the first byte).
//!
//! ```text
//! 00  the engine's own rows            01  forwarding rows of relocation
//! 02  bucket name                      -> bucket row
//! 03  table, 00, key                   -> a row of the application's own
//! 10  bucket id (u64, big-endian), key -> head row of an object
//! ```

use crate::error::{Error, Result};
use crate::model::MAX_KEY_BYTES;

const BUCKETS: u8 = 0x02;
const ROWS: u8 = 0x03;
const OBJECTS: u8 = 0x10;

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
    out.push(OBJECTS);
    out.extend_from_slice(&bucket_id.to_be_bytes());
    out.extend_from_slice(key.as_bytes());
    out
}

/// The first key behind all objects of a bucket whose keys start with `prefix`. UTF-8 has no byte 0xFF.
pub fn objects_end(bucket_id: u64, prefix: &str) -> Vec<u8> {
    let mut out = object(bucket_id, prefix);
    out.push(0xFF);
    out
}

/// The first key of all objects of all buckets, and the first key behind them.
pub fn all_objects() -> (Vec<u8>, Vec<u8>) {
    (vec![OBJECTS], vec![OBJECTS + 1])
}

/// The bucket id and the object key in the key of a head row; `None` for any other key.
pub fn parse_object(key: &[u8]) -> Option<(u64, &str)> {
    let rest = key.strip_prefix(&[OBJECTS])?;
    let (id, key) = rest.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*id), std::str::from_utf8(key).ok()?))
}

/// The key of a row of the application's own.
pub fn row(table: &str, key: &[u8]) -> Result<Vec<u8>> {
    if table.is_empty() || table.len() > MAX_TABLE_BYTES || table.contains('\0') {
        return Err(Error::invalid(
            "InvalidArgument",
            format!("the name of a table has 1 to {MAX_TABLE_BYTES} bytes and no NUL"),
        ));
    }
    if key.len() > MAX_ROW_KEY_BYTES {
        return Err(Error::invalid(
            "InvalidArgument",
            format!("the key of a row has at most {MAX_ROW_KEY_BYTES} bytes, not {}", key.len()),
        ));
    }
    let mut out = vec![ROWS];
    out.extend_from_slice(table.as_bytes());
    out.push(0);
    out.extend_from_slice(key);
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
    fn keys_of_a_bucket_are_one_range_in_byte_order() {
        let keys = ["a", "a\u{10FFFF}", "a/b", "b", "ä"];
        let mut encoded: Vec<_> = keys.iter().map(|key| object(7, key)).collect();
        encoded.sort();
        let decoded: Vec<_> = encoded.iter().map(|key| parse_object(key).unwrap().1).collect();
        let mut sorted = keys.to_vec();
        sorted.sort();
        assert_eq!(decoded, sorted);
        assert!(encoded.iter().all(|key| *key > object(7, "") && *key < objects_end(7, "")));
        assert!(encoded.iter().all(|key| *key < object(8, "")));
        assert!(object(7, "a\u{10FFFF}") < objects_end(7, "a") && object(7, "b") > objects_end(7, "a"));
    }
}
