//! Rows of every schema, byte for byte.

use super::codec::*;
use super::object::{Cold, ObjectExtra};
use super::*;
use crate::format::varint;

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
    let key =
        BucketKeyRow { key_id: "k".into(), wrapped: vec![7, 8], commitment: [9; 32], made: 5, retired: true };
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
    let body = bincode::serde::encode_to_vec(bucket::First { id: 3, created: 4, class: 0 }, CONFIG).unwrap();
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
