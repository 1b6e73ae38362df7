//! Rows: the catalog's values, as `kind, schema, length` and a body in bincode 2 wire (standard configuration).
//!
//! A field is never added in place: a new schema number and an upgrade. This is the one module that names the codec.

pub mod bucket;
pub mod budget;
pub mod envelope;
pub mod lifecycle;
pub mod object;

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
#[cfg(test)]
use object::{Cold, ObjectExtra};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::varint;

pub use bucket::{BucketRow, PendingWork, SpanRow};
pub use budget::BudgetRow;
pub use envelope::{BucketKeyRow, EncryptionRow, EnvelopeRow, PartRun, SealRow};
pub use lifecycle::{
    AccessMonitorRow, LifecycleRow, PlaceRow, ReportRow, RuleRow, RunRow, RunningRow, TransitionRow, WhenRow,
};
pub use object::{Keep, MARKER, ObjectGlance, ObjectRow, PieceRow, Restoring, UploadGlance, UploadRow};

pub(super) const UNKNOWN: &str = "a row has a schema that this version does not know";

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

/// A hash that may not be known, as a byte string of 32 bytes or none.
mod optional_hash {
    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(hash: &Option<[u8; 32]>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(hash.as_ref().map_or(&[], |hash| &hash[..]))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<[u8; 32]>, D::Error> {
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
fn glance<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8], kind: u8, schemas: &[u8]) -> Option<T> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use bucket;
    use object;

    #[test]
    fn rows_come_back() {
        let row = ObjectRow {
            size: 1 << 40,
            modified: 5,
            blake3: Some([7; 32]),
            content_type: Some("text/plain".into()),
            metadata: [("a".to_string(), "b".to_string())].into(),
            extra: Some(Box::new(ObjectExtra { tags: vec![("k".into(), "v".into())], ..Default::default() })),
            ..ObjectRow::default()
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
    fn what_only_cold_objects_have_is_schema_3_and_no_other_row_is() {
        let cold = |restore, since| Cold { restore, since };
        let restoring = Restoring { ready: 1 << 40, until: 1 << 41, priority: 2 };
        let plain = ObjectRow { size: 7, content_type: Some("a/b".into()), ..Default::default() };
        for extra in [None, Some(Box::new(ObjectExtra { acl: 2, ..Default::default() }))] {
            let plain = ObjectRow { extra, ..plain.clone() };
            let short = encode(&plain);
            assert_eq!(short[..2], [2, 2]);
            for has in [cold(Some(restoring), None), cold(None, Some(5)), cold(Some(restoring), Some(5))] {
                let mut row = plain.clone();
                row.rare_mut().cold = has;
                let bytes = encode(&row);
                assert_eq!(bytes[..2], [2, 3]);
                assert_eq!(decode::<ObjectRow>(&bytes), Ok(row.clone()));
                for cut in 0..bytes.len() {
                    assert!(decode::<ObjectRow>(&bytes[..cut]).is_err(), "cut at {cut}");
                }
                row.warm();
                assert_eq!(encode(&row), short);
            }
        }
        let mut golden = ObjectRow { size: 7, modified: 300, class: 3, ..Default::default() };
        golden.rare_mut().cold = cold(Some(Restoring { ready: 1000, until: 70_000, priority: 2 }), Some(5));
        let bytes = encode(&golden);
        let first = [2, 3, 25, 7, 251, 44, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(bytes, [&first[..], &[1, 251, 232, 3, 252, 112, 17, 1, 0, 2, 1, 5]].concat());
        let mut unknown = encode(&plain);
        unknown[1] = 7;
        assert_eq!(decode::<ObjectRow>(&unknown), Err(UNKNOWN));
    }

    #[test]
    fn what_only_encrypted_objects_have_is_schema_4_and_no_other_row_is() {
        let envelope = || EnvelopeRow {
            salt: [1; 32],
            commitment: [2; 32],
            parts: vec![PartRun { first: 1, count: 2, size: 300 }],
        };
        let kms = SealRow::Kms { bucket: 9, key_id: "k".into(), generation: [3; 16], envelope: envelope() };
        let customer = SealRow::Customer { fingerprint: [4; 16], envelope: EnvelopeRow::default() };
        for seal in [SealRow::Store, kms.clone(), customer] {
            for restore in [None, Some(Restoring { ready: 1, until: 2, priority: 0 })] {
                let mut row = ObjectRow { size: 7, modified: 300, ..Default::default() };
                let short = encode(&row);
                row.set_seal(Some(seal.clone()));
                row.rare_mut().cold.restore = restore;
                let bytes = encode(&row);
                assert_eq!((bytes[1], decode::<ObjectRow>(&bytes).unwrap()), (4, row.clone()));
                assert_eq!(ObjectGlance::read(&bytes).unwrap().size, 7);
                let upload = UploadRow { object: row.clone(), parts: 3, ..Default::default() };
                let bytes = encode(&upload);
                let back = decode::<UploadRow>(&bytes).unwrap();
                assert_eq!((bytes[1], back.object.seal(), back.parts), (2, Some(&seal), 3));
                assert_eq!(UploadGlance::read(&bytes).unwrap().modified, 300);
                row.set_seal(None);
                row.warm();
                assert_eq!(encode(&row), short);
            }
        }
        let mut golden = ObjectRow { size: 7, modified: 300, ..Default::default() };
        golden.set_seal(Some(kms.clone()));
        let first = [2, 4, 109, 7, 251, 44, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 9, 1, b'k'];
        let rest = [&[3; 16][..], &[1; 32], &[2; 32], &[1, 1, 2, 251, 44, 1]].concat();
        assert_eq!(encode(&golden), [&first[..], &rest].concat());
        // What it says of evictions stands beside that.
        golden.rare_mut().keep = Keep { pinned: true, unreplicated: false, priority: Some(7) };
        assert_eq!(decode::<ObjectRow>(&encode(&golden)).as_ref(), Ok(&golden));
        assert_eq!(encode(&golden)[18..22], [1, 0, 1, 7]);
        let upload = UploadRow { object: golden.clone(), ..Default::default() };
        assert_eq!(decode::<UploadRow>(&encode(&upload)).as_ref(), Ok(&upload));

        let piece = PieceRow { size: 5, enveloped: true, ..Default::default() };
        assert_eq!(encode(&piece), [3, 2, 5, 5, 0, 0, 0, 0]);
        assert_eq!(decode::<PieceRow>(&encode(&piece)).unwrap(), piece);
        assert_eq!(encode(&PieceRow { enveloped: false, ..piece })[1], 1);
        let key = BucketKeyRow {
            key_id: "k".into(),
            wrapped: vec![7, 8],
            commitment: [9; 32],
            made: 5,
            retired: true,
        };
        assert_eq!(encode(&key), [&[26, 1, 39, 1, b'k', 2, 7, 8][..], &[9; 32], &[5, 1]].concat());
        let default = EncryptionRow { algorithm: 2, key_id: Some("k".into()) };
        assert_eq!(encode(&default), [27, 1, 4, 2, 1, 1, b'k']);
    }

    #[test]
    fn only_rows_of_versions_that_are_not_current_say_since_when() {
        let plain = ObjectRow { size: 7, modified: 300, lsn: 9, named: true, ..Default::default() };
        let older = ObjectRow { superseded: Some(70_000), ..plain.clone() };
        let (short, long) = (encode(&plain), encode(&older));
        let moment = [252, 112, 17, 1, 0];
        assert_eq!(short, [2, 2, 13, 7, 251, 44, 1, 0, 0, 0, 9, 0, 1, 0, 0, 0]);
        assert_eq!(long, [&[2, 5, 18][..], &moment, &short[3..]].concat());
        // What schema 2 has no place for stands behind it, as in schema 4.
        let mut dear = older.clone();
        dear.rare_mut().cold.since = Some(5);
        dear.rare_mut().keep.pinned = true;
        let rest = [0, 1, 5, 1, 0, 0, 0];
        assert_eq!(encode(&dear), [&[2, 6, 25][..], &moment, &short[3..], &rest].concat());
        for row in [older, dear] {
            let bytes = encode(&row);
            assert_eq!(decode::<ObjectRow>(&bytes).as_ref(), Ok(&row));
            assert_eq!(Keep::read(&bytes), Ok(row.rare().keep));
            let seen = ObjectGlance::read(&bytes).unwrap();
            let fields = (seen.size, seen.modified, seen.lsn, seen.named, seen.superseded);
            assert_eq!(fields, (7, 300, 9, true, Some(70_000)));
            for cut in 0..bytes.len() {
                assert!(decode::<ObjectRow>(&bytes[..cut]).is_err(), "cut at {cut}");
                assert!(ObjectGlance::read(&bytes[..cut]).is_err(), "cut at {cut}");
            }
        }
    }

    #[test]
    fn rules_say_when_they_were_set_in_schema_2() {
        let rule = RuleRow { id: "r".into(), enabled: true, noncurrent_days: Some(3), ..Default::default() };
        let old = LifecycleRow { rules: vec![rule], overlap: true, set: vec![] };
        let body = [1, 1, b'r', 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 3, 0, 0, 1];
        assert_eq!(encode(&old), [&[16, 1, 17][..], &body].concat());
        let new = LifecycleRow { set: vec![300], ..old.clone() };
        assert_eq!(encode(&new), [&[16, 2, 21][..], &body, &[1, 251, 44, 1]].concat());
        for row in [old, new.clone()] {
            assert_eq!(decode::<LifecycleRow>(&encode(&row)), Ok(row));
        }
        assert!(decode::<LifecycleRow>(&encode(&LifecycleRow { set: vec![1, 2], ..new })).is_err());
    }

    #[test]
    fn a_glance_sees_what_the_whole_row_says() {
        for (blake3, content_type) in [(None, None), (Some([9; 32]), Some("text/plain".to_string()))] {
            let row = ObjectRow {
                size: 1 << 30,
                modified: 1 << 41,
                blake3,
                class: 3,
                kind: 2,
                lsn: 300,
                n: 70_000,
                named: true,
                content_type,
                ..ObjectRow::default()
            };
            let bytes = encode(&row);
            let seen = ObjectGlance::read(&bytes).unwrap();
            let fields = (seen.size, seen.modified, seen.class, seen.kind, seen.lsn, seen.n, seen.named);
            assert_eq!(fields, (row.size, row.modified, row.class, row.kind, row.lsn, row.n, row.named));
            for cut in 0..bytes.len() {
                assert!(ObjectGlance::read(&bytes[..cut]).is_err(), "cut at {cut}");
            }
            let upload = UploadRow { object: row, parts: 3, ..UploadRow::default() };
            assert_eq!(UploadGlance::read(&encode(&upload)).unwrap().modified, 1 << 41);
        }
    }

    #[test]
    fn a_glance_reads_rows_of_the_first_schema() {
        let old = object::First {
            size: 9,
            modified: 5,
            blake3: [7; 32],
            class: 1,
            content_type: None,
            metadata: Default::default(),
        };
        let body = bincode::serde::encode_to_vec(&old, CONFIG).unwrap();
        let mut bytes = vec![ObjectRow::KIND, 1];
        varint::put(&mut bytes, body.len() as u64);
        bytes.extend(body);
        let seen = ObjectGlance::read(&bytes).unwrap();
        assert_eq!((seen.size, seen.modified, seen.class, seen.kind), (9, 5, 1, 0));
    }

    #[test]
    fn rows_of_the_first_schema_are_read() {
        let old = object::First {
            size: 9,
            modified: 5,
            blake3: [7; 32],
            class: 1,
            content_type: None,
            metadata: [("a".to_string(), "b".to_string())].into(),
        };
        let framed = |kind, body: Vec<u8>| {
            let mut bytes = vec![kind, 1];
            varint::put(&mut bytes, body.len() as u64);
            [bytes, body].concat()
        };
        let body = bincode::serde::encode_to_vec(&old, CONFIG).unwrap();
        let row = decode::<ObjectRow>(&framed(ObjectRow::KIND, body)).unwrap();
        assert_eq!((row.size, row.class, row.blake3, row.metadata.len()), (9, 1, Some([7; 32]), 1));
        let body =
            bincode::serde::encode_to_vec(bucket::First { id: 3, created: 4, class: 0 }, CONFIG).unwrap();
        let row = decode::<BucketRow>(&framed(BucketRow::KIND, body)).unwrap();
        assert_eq!((row.id, row.created, row.spans.len()), (3, 4, 0));
    }

    #[test]
    fn a_hostile_length_allocates_nothing() {
        // A content type that claims four gigabytes.
        let mut body = vec![0, 0, 32];
        body.resize(3 + 32 + 5, 0);
        body.extend([1, 252, 255, 255, 255, 255]);
        let mut bytes = vec![ObjectRow::KIND, ObjectRow::SCHEMA];
        varint::put(&mut bytes, body.len() as u64);
        bytes.extend(body);
        assert!(decode::<ObjectRow>(&bytes).is_err());
    }
}
