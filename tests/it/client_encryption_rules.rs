//! What a store demands of bodies that their clients encrypted: it never decrypts them, and keeps them readable.

use std::collections::BTreeMap;

use ossicle::{CopyOptions, GetOptions, Part, PutOptions, Result, Upload, UploadOptions};

use crate::{a_bucket, code, read};

const CORE: [(&str, &str); 4] = [
    ("client-side-encryption-key", "a2V5"),
    ("client-side-encryption-start", "c3RhcnQ="),
    ("client-side-encryption-cek-alg", "AES/CTR/NoPadding"),
    ("client-side-encryption-wrap-alg", "RSA/NONE/PKCS1Padding"),
];
const REFUSED: &str = "InvalidEncryptionRequest";

fn put_options(pairs: &[(&str, &str)]) -> PutOptions {
    pairs.iter().fold(PutOptions::new(), |options, (name, value)| options.metadata(*name, *value))
}

fn upload_options(data_size: &str, part_size: &str) -> UploadOptions {
    let sizes =
        [("client-side-encryption-data-size", data_size), ("client-side-encryption-part-size", part_size)];
    let pairs = CORE.iter().chain(&sizes).filter(|(_, value)| !value.is_empty());
    pairs.fold(UploadOptions::new(), |options, (name, value)| options.metadata(*name, *value))
}

#[test]
fn the_four_fields_come_together_whatever_writes_them() {
    let (store, bucket) = a_bucket();
    for left_out in 0..4 {
        let mut pairs = CORE.to_vec();
        pairs.remove(left_out);
        // Names count whatever their case.
        pairs[0].0 = "Client-Side-Encryption-Key";
        let options = || put_options(&pairs);
        assert_eq!(code(bucket.put_with("a", b"body", options())), REFUSED);
        assert_eq!(code(bucket.writer("a", options())), REFUSED);
        assert_eq!(
            code(store.write(|tx| tx.put_with(&bucket, "a", b"body", options()).map(|_| ()))),
            REFUSED
        );
        let begun = pairs.iter().fold(UploadOptions::new(), |all, (name, value)| all.metadata(*name, *value));
        assert_eq!(code(bucket.upload("a", begun)), REFUSED);
    }
    assert!(!bucket.exists("a").unwrap());
    bucket.put_with("a", b"body", put_options(&CORE)).unwrap();
    // Alone, what is no core field means nothing.
    bucket.put_with("b", b"body", put_options(&[("client-side-encryption-matdesc", "{}")])).unwrap();
}

#[test]
fn a_copy_and_a_change_of_metadata_leave_the_encryption_as_it_was() {
    let (_store, bucket) = a_bucket();
    bucket.put_with("a", b"body", put_options(&CORE)).unwrap();
    bucket.put("plain", b"body").unwrap();
    bucket.copy("a", "b").unwrap();
    assert_eq!(bucket.head("b").unwrap().metadata, bucket.head("a").unwrap().metadata);

    let same = || CORE.iter().fold(CopyOptions::new(), |all, (name, value)| all.metadata(*name, *value));
    bucket.copy_from(&bucket, "a", "b", same().metadata("owner", "ann")).unwrap();
    assert_eq!(bucket.head("b").unwrap().metadata["owner"], "ann");
    for other in [
        CopyOptions::new().metadata("owner", "ann"),
        same().metadata(CORE[0].0, "b3RoZXI="),
        same().metadata("client-side-encryption-matdesc", "{}"),
    ] {
        assert_eq!(code(bucket.copy_from(&bucket, "a", "a", other.clone())), REFUSED);
        assert_eq!(code(bucket.copy_from(&bucket, "a", "c", other)), REFUSED);
    }
    // Nor does a plain body become an encrypted one by saying so.
    assert_eq!(code(bucket.copy_from(&bucket, "plain", "c", same())), REFUSED);
    assert!(!bucket.exists("c").unwrap());

    let mut pairs: BTreeMap<&str, &str> = CORE.into_iter().collect();
    assert_eq!(code(bucket.set_metadata("plain", pairs.clone())), REFUSED);
    pairs.insert("owner", "bob");
    bucket.set_metadata("a", pairs.clone()).unwrap();
    pairs.remove(CORE[1].0);
    assert_eq!(code(bucket.set_metadata("a", pairs)), REFUSED);
    assert_eq!(code(bucket.set_metadata::<&str, &str>("a", [])), REFUSED);
    assert_eq!(bucket.head("a").unwrap().metadata.len(), 5);
    assert_eq!(read(&bucket, "a"), b"body");
}

#[test]
fn an_upload_says_how_long_its_parts_will_be() {
    let (_store, bucket) = a_bucket();
    bucket.upload("a", upload_options("100", "48")).unwrap();
    for (data, part) in [
        ("", "48"),
        ("100", ""),
        ("0", "48"),
        ("100", "0"),
        ("100", "50"),
        ("9x5.2", "48"),
        ("100", "-48"),
        ("100", "+48"),
        ("1e2", "48"),
        ("18446744073709551616", "48"),
    ] {
        assert_eq!(code(bucket.upload("a", upload_options(data, part))), REFUSED, "{data:?} {part:?}");
    }
}

#[test]
fn parts_are_as_long_as_was_said_and_all_of_them_are_completed() {
    let (_store, bucket) = a_bucket();
    let part_size = 102_400;
    let upload = bucket.upload("a", upload_options("204900", "102400")).unwrap();
    assert_eq!(upload.metadata().unwrap()["client-side-encryption-data-size"], "204900");
    let put =
        |number: u32, size: usize| -> Result<Part> { upload.put_part(number, vec![number as u8; size]) };
    for (number, size) in [(1, 0), (1, part_size - 1), (1, part_size + 16), (3, part_size), (3, 99), (4, 100)]
    {
        assert_eq!(code(put(number, size)), REFUSED, "{number} {size}");
    }
    assert_eq!(upload.parts().unwrap(), []);
    let (first, third) = (put(1, part_size).unwrap(), put(3, 100).unwrap());
    assert_eq!(code(upload.complete_all()), REFUSED);
    assert_eq!(code(upload.complete(&[first.clone(), third.clone()])), REFUSED);
    let second = put(2, part_size).unwrap();
    assert_eq!(code(upload.complete(&[first.clone(), second.clone()])), REFUSED);
    // What was refused is over with, and the upload is not.
    upload.complete(&[first, second, third]).unwrap();
    assert_eq!(bucket.head("a").unwrap().size, 204_900);
}

#[test]
fn no_part_is_copied_into_or_out_of_an_encrypted_body() {
    let (_store, bucket) = a_bucket();
    bucket.put_with("encrypted", vec![1; 100], put_options(&CORE)).unwrap();
    bucket.put("plain", vec![1; 100]).unwrap();
    bucket.symlink("link", "encrypted").unwrap();
    let copy = |upload: &Upload, key: &str| upload.put_part_copy(1, &bucket, key, GetOptions::new());
    let encrypted = bucket.upload("a", upload_options("100", "48")).unwrap();
    let plain = bucket.upload("b", UploadOptions::new()).unwrap();
    assert_eq!(code(copy(&encrypted, "plain")), REFUSED);
    assert_eq!(code(copy(&encrypted, "encrypted")), REFUSED);
    assert_eq!(code(copy(&plain, "encrypted")), REFUSED);
    assert_eq!(code(copy(&plain, "link")), REFUSED);
    copy(&plain, "plain").unwrap();
    plain.complete_all().unwrap();
}
