//! Envelopes, read from whatever metadata there is.

use std::sync::Arc;

use super::*;
use crate::adapters::client_encryption::service::KeyService;

fn mirror() -> KeyService {
    let turn = |bytes: &[u8]| Ok(bytes.iter().rev().copied().collect());
    KeyService::kms(turn, turn)
}

fn metadata(envelope: &Envelope) -> Metadata {
    envelope.fields().into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[test]
fn what_is_written_is_read_again() {
    let master = mirror().described([("key", "1")]);
    let (envelope, content) = Envelope::seal(&master).unwrap();
    for envelope in [
        envelope.clone(),
        envelope.clone().with_body(7, Some([9; 16])),
        envelope.clone().with_parts(1000, 160),
    ] {
        let again = Envelope::of(&metadata(&envelope)).unwrap().unwrap();
        assert_eq!(again, envelope);
        let opened = again.open(&[Arc::new(master.clone())]).unwrap();
        assert_eq!((&opened.key[..], opened.start), (&content.key[..], content.start));
    }
}

#[test]
fn the_fields_of_old_are_read_whoever_wrapped_them() {
    let secret: Vec<u8> = (0..KEY_LEN as u8).map(|byte| b'a' + byte % 26).collect();
    let turned = String::from_utf8(secret.iter().rev().copied().collect()).unwrap();
    let pairs = |wrap: &str, key: &str, start: &str| -> Metadata {
        [
            ("oss-crypto-key", key),
            ("oss-crypto-start", start),
            ("oss-cek-alg", "AES/GCM/NoPadding"),
            ("oss-wrap-alg", wrap),
            ("oss-crypto-matdesc", "{}"),
            ("oss-crypto-unencrypted-content-length", "3"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    };
    let envelope = Envelope::of(&pairs("kms", &turned, "01")).unwrap().unwrap();
    assert!(envelope.is_legacy() && envelope.unencrypted_length() == Some(3));
    let opened = envelope.open(&[Arc::new(mirror())]).unwrap();
    assert_eq!((&opened.key[..], opened.start), (&secret[..], 10u128.to_be_bytes()));
    let envelope = Envelope::of(&pairs("rsa", "AAAA", "AAAA")).unwrap().unwrap();
    assert_eq!(envelope.wrap_algorithm(), RSA_OAEP);
    for (wrap, start) in [("dsa", "01"), ("", "01"), ("rsa", "01"), ("kms", "")] {
        assert_eq!(
            Envelope::of(&pairs(wrap, &turned, start)).unwrap_err().code(),
            "InvalidEncryptionRequest"
        );
    }
    for start in ["x", "1+", "-1", &"9".repeat(39)] {
        let envelope = Envelope::of(&pairs("kms", &turned, start)).unwrap().unwrap();
        assert_eq!(envelope.open(&[Arc::new(mirror())]).unwrap_err().code(), "AccessDenied", "{start}");
    }
}

#[test]
fn each_field_that_is_missing_or_empty_is_told_by_its_name() {
    let (envelope, _) = Envelope::seal(&mirror()).unwrap();
    for name in CORE {
        let mut pairs = metadata(&envelope);
        pairs.insert(name.to_owned(), String::new());
        let empty = Envelope::of(&pairs).unwrap_err();
        pairs.remove(name);
        for error in [empty, Envelope::of(&pairs).unwrap_err()] {
            assert!(
                error.code() == "InvalidEncryptionRequest" && error.to_string().contains(name),
                "{error}"
            );
        }
    }
}
