//! Bodies that the program encrypts, in the formats of the OSS SDKs: theirs are read here, and ours are what they read.
//!
//! `client_encryption/recorded` has what real SDKs sent, recorded on loopback by `client_encryption/sdks.py`.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ossicle::adapters::client_encryption::{
    Description, EncryptedBucket, Envelope, KeyService, MasterKey, RsaMasterKey,
};
use ossicle::{Body, Bucket, ErrorKind, GetOptions, PutOptions, Store, UploadOptions};
use proptest::prelude::*;

use crate::{a_bucket, assert_reads_well, code, effort, read};

const PKCS1: &str = include_str!("client_encryption/rsa.pem");
const PKCS8: &str = include_str!("client_encryption/rsa.pkcs8.pem");
const PUBLIC: &str = include_str!("client_encryption/rsa.public.pem");
const PUBLIC_PKCS1: &str = include_str!("client_encryption/rsa.public.pkcs1.pem");
const OTHER: &str = include_str!("client_encryption/other.pem");
const REFUSED: &str = "InvalidEncryptionRequest";

fn key() -> RsaMasterKey {
    RsaMasterKey::from_pem(PKCS1).unwrap()
}

fn other() -> RsaMasterKey {
    RsaMasterKey::from_pem(OTHER).unwrap()
}

/// The description that `sdks.py` gives to the key.
fn description() -> Description {
    Description::from([("key", "letters 2026"), ("owner", "<ann> 密钥")])
}

/// The body that `sdks.py` encrypts.
fn plain(len: usize) -> Vec<u8> {
    (0..len).map(|i| ((i * 31 + i / 251) % 256) as u8).collect()
}

/// What a client sent: the metadata, the lengths of the parts if there were any, the body.
struct Recorded {
    name: String,
    metadata: BTreeMap<String, String>,
    parts: Vec<usize>,
    body: Vec<u8>,
}

impl Recorded {
    fn read(path: &Path) -> Recorded {
        let bytes = std::fs::read(path).unwrap();
        let end = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap();
        let head = str::from_utf8(&bytes[..end]).unwrap();
        let mut pairs: BTreeMap<String, String> = head
            .lines()
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.trim_start_matches("x-oss-meta-").to_owned(), value.to_owned()))
            .collect();
        let parts = pairs.remove("parts").unwrap_or_default();
        Recorded {
            name: path.file_name().unwrap().to_str().unwrap().to_owned(),
            metadata: pairs,
            parts: parts.split_whitespace().map(|len| len.parse().unwrap()).collect(),
            body: bytes[end + 2..].to_vec(),
        }
    }

    fn all() -> Vec<Recorded> {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/client_encryption/recorded");
        let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let recorded: Vec<_> = paths.map(|path| Recorded::read(&path)).collect();
        assert!(recorded.len() >= 9, "{} were recorded", recorded.len());
        recorded
    }

    fn named(name: &str) -> Recorded {
        Recorded::all().into_iter().find(|recorded| recorded.name == name).unwrap()
    }

    fn options(&self) -> PutOptions {
        let pairs = self.metadata.iter();
        pairs.fold(PutOptions::new(), |options, (name, value)| options.metadata(name, value))
    }

    /// Sends the same again, in parts where it came in parts that OSS would take.
    fn replay(&self, bucket: &Bucket) {
        if self.parts.is_empty() || self.parts[0] < 102_400 {
            bucket.put_with(&self.name, &self.body, self.options()).unwrap();
            return;
        }
        let pairs = self.metadata.iter();
        let options = pairs.fold(UploadOptions::new(), |all, (name, value)| all.metadata(name, value));
        let upload = bucket.upload(&self.name, options).unwrap();
        let mut rest = &self.body[..];
        for (place, len) in self.parts.iter().enumerate() {
            let part;
            (part, rest) = rest.split_at(*len);
            upload.put_part(place as u32 + 1, part).unwrap();
        }
        upload.complete_all().unwrap();
    }
}

fn readers(bucket: &Bucket) -> EncryptedBucket {
    EncryptedBucket::new(bucket, key()).also_reads(key().described(description())).encrypted_only(true)
}

#[test]
fn what_the_sdks_encrypt_is_read() {
    let (_store, bucket) = a_bucket();
    let reader = readers(&bucket);
    for recorded in Recorded::all() {
        recorded.replay(&bucket);
        let name = &recorded.name;
        let body = plain(recorded.body.len());
        let object = reader.get(name).unwrap();
        assert!(object.is_encrypted() && object.len() == body.len() as u64);
        assert_eq!(object.envelope().unwrap().is_legacy(), name.contains("legacy"));
        assert!(object.bytes().unwrap() == body, "{name}");
        let (meta, envelope) = reader.head(name).unwrap();
        assert_eq!(meta.size, body.len() as u64);
        let described = recorded.metadata.contains_key("client-side-encryption-matdesc");
        let wanted = if described { description() } else { Description::default() };
        assert_eq!(*envelope.unwrap().description(), wanted);
        if body.is_empty() {
            continue;
        }
        for from in (0..40).step_by(effort::of(9, 1)).chain([body.len() - 17, body.len() - 1]) {
            for to in [from + 1, from + 15, from + 16, from + 33, body.len()] {
                let to = to.min(body.len());
                let got = reader.get_with(name, GetOptions::new().range(from as u64..to as u64)).unwrap();
                assert_eq!(got.bytes().unwrap(), body[from..to], "{name} {from}..{to}");
            }
        }
        let got = reader.get_with(name, GetOptions::new().last(19)).unwrap().bytes().unwrap();
        assert_eq!(got, body[body.len() - 19..]);
    }
}

#[test]
fn what_is_written_says_the_same_as_what_an_sdk_writes() {
    let (_store, bucket) = a_bucket();
    let writer = EncryptedBucket::new(&bucket, key().described(description())).with_md5(true);
    writer.put("a", plain(1000)).unwrap();
    let (ours, theirs) = (bucket.head("a").unwrap().metadata, Recorded::named("oss2-described").metadata);
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    for (name, value) in &ours {
        match name.trim_start_matches("client-side-encryption-") {
            "key" | "start" => assert_eq!(value.len(), theirs[name].len(), "{name}"),
            // Python puts spaces into it, and compares what it says.
            "matdesc" => assert_eq!(
                (value.as_str(), value.len()),
                (
                    r#"{"key":"letters 2026","owner":"\u003cann\u003e \u5bc6\u94a5"}"#,
                    theirs[name].len() - 3 + 10
                )
            ),
            _ => assert_eq!(*value, theirs[name], "{name}"),
        }
    }
    let upload = writer.upload("b", 103_417, 102_400, UploadOptions::new()).unwrap();
    for number in 1..=2 {
        upload.put_part(number, &plain(103_417)[upload.part_range(number)]).unwrap();
    }
    upload.complete_all().unwrap();
    let (ours, theirs) = (bucket.head("b").unwrap().metadata, Recorded::named("oss2-parts").metadata);
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    // With the variable set, what was written is left for `sdks.py check` to read.
    if let Some(folder) = std::env::var_os("OSSICLE_CLIENT_ENCRYPTED") {
        EncryptedBucket::new(&bucket, key()).put("c", plain(1000)).unwrap();
        for name in ["a", "b", "c"] {
            let pairs = bucket.head(name).unwrap().metadata.into_iter();
            let lines: Vec<_> = pairs.map(|(name, value)| format!("x-oss-meta-{name}: {value}\n")).collect();
            let bytes = [lines.concat().as_bytes(), b"\n", &read(&bucket, name)].concat();
            std::fs::write(Path::new(&folder).join(format!("ossicle-{name}")), bytes).unwrap();
        }
    }
}

/// A key service that costs no time, for tests of all that is not the wrapping.
fn quick() -> KeyService {
    let mix = |bytes: &[u8]| Ok(bytes.iter().map(|byte| byte ^ 0x5A).collect());
    KeyService::kms(mix, mix)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(effort::of(8, 64)))]

    #[test]
    fn a_range_of_an_encrypted_body_is_that_of_the_plain_one(
        len in prop_oneof![0usize..100, 65_500usize..65_600, 262_100usize..262_200],
        from: u64,
        to: u64,
        step in 1usize..200,
    ) {
        let (_store, bucket) = a_bucket();
        let writer = EncryptedBucket::new(&bucket, quick()).with_md5(len % 2 == 0);
        let body = plain(len);
        writer.put("a", &body).unwrap();
        prop_assert!(len < 8 || read(&bucket, "a") != body);
        prop_assert!(writer.get("a").unwrap().bytes().unwrap() == body);
        let (from, to) = (from % (len as u64 + 1), to % (len as u64 + 20));
        let range = from..to.max(from + 1);
        let wanted = &body[from as usize..(range.end as usize).min(len).max(from as usize)];
        match writer.get_with("a", GetOptions::new().range(range)) {
            Ok(object) => prop_assert_eq!(object.bytes().unwrap(), wanted),
            Err(error) => prop_assert!(error.code() == "InvalidRange" && from as usize == len, "{error}"),
        }
        // Streamed in small steps, with a jump back on the way.
        let mut object = writer.get("a").unwrap();
        let (mut streamed, mut buf) = (Vec::new(), vec![0; step]);
        loop {
            let read = object.read(&mut buf).unwrap();
            if read == 0 {
                break;
            }
            streamed.extend_from_slice(&buf[..read]);
        }
        prop_assert!(streamed == body);
        object.seek(SeekFrom::Start(from)).unwrap();
        let mut rest = Vec::new();
        object.copy_to(&mut rest).unwrap();
        prop_assert_eq!(&rest[..], &body[from as usize..]);
    }

    #[test]
    fn a_writer_may_be_fed_in_any_pieces(pieces in proptest::collection::vec(0usize..70_000, 0..8)) {
        let (_store, bucket) = a_bucket();
        let encrypted = EncryptedBucket::new(&bucket, quick());
        let body = plain(pieces.iter().sum());
        let mut writer = encrypted.writer("a", PutOptions::new().content_type("text/plain")).unwrap();
        let mut rest = &body[..];
        for len in pieces {
            let piece;
            (piece, rest) = rest.split_at(len);
            writer.write_all(piece).unwrap();
        }
        prop_assert_eq!(writer.written(), body.len() as u64);
        writer.finish().unwrap();
        prop_assert!(encrypted.get("a").unwrap().bytes().unwrap() == body);
        prop_assert_eq!(bucket.head("a").unwrap().content_type, Some("text/plain".to_owned()));
    }
}

#[test]
fn a_reader_of_any_length_is_encrypted_as_it_comes() {
    let (_store, bucket) = a_bucket();
    let encrypted = EncryptedBucket::new(&bucket, key());
    let body = plain(1_000_000);
    encrypted.put("a", Body::reader(&body[..])).unwrap();
    assert_eq!(encrypted.head("a").unwrap().1.unwrap().unencrypted_length(), None);
    assert!(encrypted.get("a").unwrap().bytes().unwrap() == body);
    let mut object = encrypted.get_with("a", GetOptions::new().range(999_000..)).unwrap();
    assert_eq!(object.seek(SeekFrom::End(-3)).unwrap(), 997);
    let mut last = Vec::new();
    object.read_to_end(&mut last).unwrap();
    assert_eq!(last, body[999_997..]);
    // Beyond the end there is nothing, and the way back is open.
    assert_eq!(object.seek(SeekFrom::Start(u64::MAX)).unwrap(), u64::MAX);
    assert_eq!(object.read(&mut [0; 8]).unwrap(), 0);
    object.seek(SeekFrom::Start(0)).unwrap();
    let mut first = [0; 8];
    object.read_exact(&mut first).unwrap();
    assert_eq!(first, body[999_000..999_008]);
}

#[test]
fn no_two_objects_are_encrypted_alike() {
    let (_store, bucket) = a_bucket();
    let encrypted = EncryptedBucket::new(&bucket, quick());
    encrypted.put("a", vec![0; 64]).unwrap();
    encrypted.put("b", vec![0; 64]).unwrap();
    assert_ne!(read(&bucket, "a"), read(&bucket, "b"));
}

#[test]
fn parts_are_encrypted_where_they_belong() {
    let dir = tempfile::tempdir().unwrap();
    let body = plain(250_000);
    let id = {
        let store = Store::open(dir.path()).unwrap();
        let bucket = store.create_bucket("cats").unwrap();
        let encrypted = EncryptedBucket::new(&bucket, key().described([("key", "1")]));
        for (data, part) in
            [(0, 102_400), (100, 0), (100, 17), (200_000, 102_399), (200_000, 1600), (1 << 40, 102_400)]
        {
            assert_eq!(
                code(encrypted.upload("a", data, part, UploadOptions::new())),
                REFUSED,
                "{data} {part}"
            );
        }
        let upload = encrypted.upload("a", 250_000, 102_400, UploadOptions::new()).unwrap();
        assert_eq!((upload.part_count(), upload.part_size(), upload.data_size()), (3, 102_400, 250_000));
        assert_eq!(upload.part_range(4), 250_000..250_000);
        upload.put_part(3, &body[upload.part_range(3)]).unwrap();
        assert_eq!(code(upload.put_part(4, b"more")), REFUSED);
        assert_eq!(code(upload.put_part(1, b"less")), REFUSED);
        assert_eq!(code(upload.complete_all()), REFUSED);
        let id = upload.id().clone();
        store.close().unwrap();
        id
    };
    let store = Store::open(dir.path()).unwrap();
    let bucket = store.bucket("cats").unwrap();
    let encrypted = EncryptedBucket::new(&bucket, key()).also_reads(key().described([("key", "1")]));
    let upload = encrypted.resume_upload("a", &id).unwrap();
    std::thread::scope(|scope| {
        for number in [2, 1] {
            let (upload, body) = (&upload, &body);
            scope.spawn(move || {
                upload.put_part(number, Body::reader(&body[upload.part_range(number)])).unwrap()
            });
        }
    });
    let parts = upload.parts().unwrap();
    assert_eq!(code(upload.complete(&parts[..2])), REFUSED);
    upload.complete(&parts).unwrap();
    assert!(encrypted.get("a").unwrap().bytes().unwrap() == body);
    let range = GetOptions::new().range(102_399..204_801);
    assert!(encrypted.get_with("a", range).unwrap().bytes().unwrap() == body[102_399..204_801]);

    let plain = bucket.upload("b", UploadOptions::new()).unwrap();
    assert_eq!(code(encrypted.resume_upload("b", plain.id())), REFUSED);
    let wrong = EncryptedBucket::new(&bucket, other());
    let begun = encrypted.upload("c", 100, 160, UploadOptions::new()).unwrap();
    assert_eq!(code(wrong.resume_upload("c", begun.id())), "AccessDenied");
    begun.abort().unwrap();
}

#[test]
fn all_forms_of_a_key_are_the_same_key() {
    let (_store, bucket) = a_bucket();
    for pem in [PKCS1, PKCS8, PUBLIC, PUBLIC_PKCS1, &format!("a key of ours\n\n{PKCS8}\n\n")] {
        let writer = EncryptedBucket::new(&bucket, RsaMasterKey::from_pem(pem).unwrap());
        writer.put("a", b"body").unwrap();
        for reader in [PKCS1, PKCS8] {
            let reader = EncryptedBucket::new(&bucket, RsaMasterKey::from_pem(reader).unwrap());
            assert_eq!(reader.get("a").unwrap().bytes().unwrap(), b"body");
        }
    }
    let public = EncryptedBucket::new(&bucket, RsaMasterKey::from_pem(PUBLIC).unwrap());
    let error = public.get("a").unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Denied, "AccessDenied"));
    assert!(error.to_string().contains("public half"), "{error}");
    let told = format!("{public:?}");
    assert!(told.contains("2048") && told.contains("cats") && told.len() < 200, "{told}");
    let told = format!("{:?}", key());
    assert!(told.contains("private: true") && told.len() < 100, "{told}");
}

#[test]
fn what_is_no_rsa_key_is_told() {
    let locked = PKCS8.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let old = PKCS1.replacen('\n', "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n", 1);
    let certificate = PUBLIC.replace("PUBLIC KEY", "CERTIFICATE");
    let torn = PKCS8.replacen("MII", "MIJ", 1);
    let swapped = PKCS8.replace("PRIVATE KEY", "RSA PRIVATE KEY");
    let cut = &PKCS1[..PKCS1.len() / 2];
    for (pem, told) in [
        ("", "no PEM"),
        ("-----BEGIN ", "no PEM"),
        ("-----BEGIN PRIVATE KEY-----", "no PEM"),
        (cut, "no PEM"),
        (&locked, "passphrase"),
        (&old, "passphrase"),
        (&certificate, "CERTIFICATE"),
        (&torn, "no RSA key"),
        (&swapped, "no RSA key"),
    ] {
        let error = RsaMasterKey::from_pem(pem).unwrap_err();
        assert_reads_well(&error);
        assert_eq!(error.code(), "InvalidArgument");
        assert!(error.to_string().contains(told), "{error}");
    }
}

#[test]
fn another_key_does_not_open_it() {
    let (_store, bucket) = a_bucket();
    let wrong = EncryptedBucket::new(&bucket, other()).also_reads(other().described(description()));
    for recorded in Recorded::all() {
        recorded.replay(&bucket);
        let error = wrong.get(&recorded.name).unwrap_err();
        assert_reads_well(&error);
        assert_eq!((error.kind(), error.code()), (ErrorKind::Denied, "AccessDenied"), "{}", recorded.name);
    }
}

#[test]
fn keys_are_told_apart_by_their_descriptions() {
    let (_store, bucket) = a_bucket();
    let (old, new) = ([("key", "old")], [("key", "new")]);
    EncryptedBucket::new(&bucket, key().described(old)).put("old", b"body").unwrap();
    EncryptedBucket::new(&bucket, other().described(new)).put("new", b"body").unwrap();
    EncryptedBucket::new(&bucket, other()).put("none", b"body").unwrap();
    let both = EncryptedBucket::new(&bucket, other().described(new)).also_reads(key().described(old));
    for name in ["old", "new", "none"] {
        assert_eq!(both.get(name).unwrap().bytes().unwrap(), b"body", "{name}");
    }
    let error = EncryptedBucket::new(&bucket, key()).get("old").unwrap_err();
    assert_reads_well(&error);
    assert_eq!((error.kind(), error.code()), (ErrorKind::Denied, "AccessDenied"));
    assert!(error.to_string().contains(r#"{"key":"old"}"#), "{error}");
    // Of two with the same description, the one that unwraps such keys is taken.
    let mixed = EncryptedBucket::new(&bucket, quick().described(old)).also_reads(key().described(old));
    assert_eq!(mixed.get("old").unwrap().bytes().unwrap(), b"body");
    let error = EncryptedBucket::new(&bucket, quick().described(old)).get("old").unwrap_err();
    assert_eq!(error.code(), REFUSED);
    assert!(error.to_string().contains("KMS/ALICLOUD"), "{error}");
}

#[test]
fn a_service_is_asked_for_each_object_and_its_refusal_is_told() {
    let (_store, bucket) = a_bucket();
    let asked = Arc::new(AtomicUsize::new(0));
    let service = |kind: std::io::ErrorKind, fails_from: usize| {
        let asked = asked.clone();
        let answer = move |bytes: &[u8]| {
            if asked.fetch_add(1, Ordering::Relaxed) >= fails_from {
                return Err(std::io::Error::new(kind, "the service says no"));
            }
            Ok(bytes.iter().rev().copied().collect::<Vec<u8>>())
        };
        KeyService::named("OURS", answer.clone(), answer)
    };
    let good = EncryptedBucket::new(&bucket, service(std::io::ErrorKind::Other, usize::MAX));
    good.put("a", b"body").unwrap();
    assert_eq!(good.head("a").unwrap().1.unwrap().wrap_algorithm(), "OURS");
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    assert_eq!(good.get("a").unwrap().bytes().unwrap(), b"body");
    assert_eq!(asked.load(Ordering::Relaxed), 4);
    let denied = EncryptedBucket::new(&bucket, service(std::io::ErrorKind::PermissionDenied, 0));
    assert_eq!(code(denied.get("a")), "AccessDenied");
    assert_eq!(code(denied.put("b", b"body")), "AccessDenied");
    let away = EncryptedBucket::new(&bucket, service(std::io::ErrorKind::TimedOut, 0));
    assert_eq!(away.get("a").unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(away.put("b", b"body").unwrap_err().kind(), ErrorKind::Io);
    assert!(!bucket.exists("b").unwrap());
    for answer in [0usize, 5000] {
        let odd = KeyService::kms(move |_| Ok(vec![1; answer]), |_| Ok(Vec::new()));
        assert_eq!(code(EncryptedBucket::new(&bucket, odd).put("b", b"body")), REFUSED);
    }
    let odd = KeyService::named("OURS", |_| Ok(vec![1]), |_| Ok(vec![1; 31]));
    assert_eq!(code(EncryptedBucket::new(&bucket, odd).get("a")), "AccessDenied");
}

#[test]
fn metadata_that_cannot_be_read_is_told_and_so_is_a_body_that_was_changed() {
    let (_store, bucket) = a_bucket();
    let reader = readers(&bucket);
    let recorded = Recorded::named("oss2-described");
    let with = |name: &str, value: &str| {
        let options = recorded.options().metadata(format!("client-side-encryption-{name}"), value);
        bucket.put_with("a", &recorded.body, options).unwrap();
        let error = reader.get("a").and_then(|object| object.bytes()).unwrap_err();
        assert_reads_well(&error);
        error.code()
    };
    for (name, value) in [
        ("key", "no base64!"),
        ("key", "AAA"),
        ("key", &"A".repeat(6000)),
        ("start", "===="),
        ("cek-alg", "AES/GCM/NoPadding"),
        ("wrap-alg", "RSA/NONE/NoPadding"),
        ("wrap-alg", "KMS/ALICLOUD"),
        ("matdesc", "{"),
        ("unencrypted-content-length", "-1"),
        ("unencrypted-content-md5", "AAAA"),
        ("part-size", "0x10"),
    ] {
        assert_eq!(with(name, value), REFUSED, "{name} {value}");
    }
    // Well made, and not what belongs there.
    assert_eq!(with("key", "AAAA"), "AccessDenied");
    assert_eq!(with("start", "AAAA"), "AccessDenied");
    assert_eq!(with("wrap-alg", "RSA/NONE/OAEPWithSHA-1AndMGF1Padding"), "AccessDenied");
    assert_eq!(with("matdesc", r#"{"key":"unknown"}"#), "AccessDenied");
    assert_eq!(with("unencrypted-content-length", "999"), "Corrupt");
    assert_eq!(with("unencrypted-content-md5", "AAAAAAAAAAAAAAAAAAAAAA=="), "Corrupt");

    // A flipped bit is noticed where the MD5 is there, whole or streamed, and in ranges it is not.
    let mut body = recorded.body.clone();
    body[500] ^= 1;
    bucket.put_with("a", &body, recorded.options()).unwrap();
    assert_eq!(code(reader.get("a").unwrap().bytes()), "Corrupt");
    assert_eq!(code(reader.get("a").unwrap().copy_to(&mut Vec::new())), "Corrupt");
    let error = reader.get("a").unwrap().read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    let range = GetOptions::new().range(400..600);
    assert_eq!(reader.get_with("a", range).unwrap().bytes().unwrap().len(), 200);
}

#[test]
fn what_is_not_encrypted_is_handed_out_unless_that_is_not_wanted() {
    let (_store, bucket) = a_bucket();
    bucket.put("a", b"body").unwrap();
    let lenient = EncryptedBucket::new(&bucket, key());
    let mut object = lenient.get_with("a", GetOptions::new().range(1..)).unwrap();
    assert!(!object.is_encrypted() && object.envelope().is_none());
    let mut bytes = Vec::new();
    object.seek(SeekFrom::Start(1)).unwrap();
    object.copy_to(&mut bytes).unwrap();
    assert_eq!(bytes, b"dy");
    assert_eq!(lenient.get("a").unwrap().bytes().unwrap(), b"body");
    assert!(lenient.head("a").unwrap().1.is_none());
    assert_eq!(code(lenient.clone().encrypted_only(true).get("a")), REFUSED);
    bucket.symlink("link", "a").unwrap();
    assert_eq!(code(lenient.get("link")), "OperationNotSupported");
    assert_eq!(code(lenient.get("nothing")), "NoSuchKey");
}

#[test]
fn an_encrypted_object_is_copied_renamed_and_kept_like_any_other() {
    let (store, bucket) = a_bucket();
    let encrypted = EncryptedBucket::new(&bucket, key());
    let options = PutOptions::new().metadata("owner", "ann").if_absent();
    encrypted.put_with("a", b"body", options.clone()).unwrap();
    assert_eq!(code(encrypted.put_with("a", b"body", options)), "FileAlreadyExists");
    encrypted.bucket().copy("a", "b").unwrap();
    encrypted.bucket().rename("b", "c").unwrap();
    assert_eq!(encrypted.get("c").unwrap().bytes().unwrap(), b"body");
    assert_eq!(encrypted.head("c").unwrap().0.metadata["owner"], "ann");
    let fork = store.fork_bucket("cats", "dogs").unwrap();
    assert_eq!(EncryptedBucket::new(&fork, key()).get("a").unwrap().bytes().unwrap(), b"body");
}

#[test]
fn metadata_of_another_object_does_not_spoil_a_new_one() {
    let (_store, bucket) = a_bucket();
    let encrypted = EncryptedBucket::new(&bucket, quick()).with_md5(true);
    let legacy = Recorded::named("oss2-legacy").metadata;
    let parts = Recorded::named("oss2-parts").metadata;
    for metadata in [legacy, parts, Recorded::named("oss2-described").metadata] {
        let pairs = || metadata.iter().map(|(name, value)| (name.to_uppercase(), value.clone()));
        let options = pairs().fold(PutOptions::new(), |all, (name, value)| all.metadata(name, value));
        let options = options.metadata("Owner", "ann");
        encrypted.put_with("a", b"body", options.clone()).unwrap();
        assert_eq!(encrypted.get("a").unwrap().bytes().unwrap(), b"body");
        assert_eq!(bucket.head("a").unwrap().metadata["owner"], "ann");
        let mut writer = encrypted.writer("a", options).unwrap();
        writer.write_all(b"another").unwrap();
        writer.finish().unwrap();
        assert_eq!(encrypted.get("a").unwrap().bytes().unwrap(), b"another");
        let options = pairs().fold(UploadOptions::new(), |all, (name, value)| all.metadata(name, value));
        let upload = encrypted.upload("a", 5, 16, options).unwrap();
        upload.put_part(1, b"parts").unwrap();
        upload.complete_all().unwrap();
        assert_eq!(encrypted.get("a").unwrap().bytes().unwrap(), b"parts");
    }
}

#[test]
fn objects_of_snapshots_and_older_versions_are_decrypted_too() {
    let (store, bucket) = a_bucket();
    bucket.set_config(&ossicle::Versioning::Enabled).unwrap();
    let encrypted = EncryptedBucket::new(&bucket, quick());
    let version = encrypted.put("a", b"first").unwrap().version.unwrap();
    let snapshot = store.snapshot().unwrap();
    encrypted.put("a", b"second").unwrap();
    let then = snapshot.bucket("cats").unwrap().get("a").unwrap();
    assert_eq!(encrypted.decrypt(then).unwrap().bytes().unwrap(), b"first");
    let older = encrypted.get_with("a", GetOptions::new().version(version)).unwrap();
    assert_eq!(older.bytes().unwrap(), b"first");
    assert_eq!(encrypted.get("a").unwrap().bytes().unwrap(), b"second");
}

/// Names that mean something, and one that does not.
fn names() -> impl Strategy<Value = String> {
    const SUFFIXES: &[&str] = &[
        "key",
        "start",
        "cek-alg",
        "wrap-alg",
        "matdesc",
        "unencrypted-content-length",
        "unencrypted-content-md5",
        "data-size",
        "part-size",
    ];
    let current =
        proptest::sample::select(SUFFIXES).prop_map(|name| format!("client-side-encryption-{name}"));
    let legacy = proptest::sample::select(SUFFIXES).prop_map(|name| format!("oss-crypto-{name}"));
    let algorithms =
        proptest::sample::select(&["oss-cek-alg", "oss-wrap-alg", "owner"][..]).prop_map(str::to_owned);
    prop_oneof![current, legacy, algorithms]
}

fn values() -> impl Strategy<Value = String> {
    const KNOWN: &[&str] = &[
        "AES/CTR/NoPadding",
        "AES/GCM/NoPadding",
        "RSA/NONE/PKCS1Padding",
        "KMS/ALICLOUD",
        "rsa",
        "kms",
        "AAAA",
        "{}",
        "",
        "16",
        "18446744073709551616",
        "{\"key\":\"1\"}",
        "aWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWk=",
        "aWlpaWlpaWlpaWlpaWlpaQ==",
        "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=",
    ];
    prop_oneof![4 => proptest::sample::select(KNOWN).prop_map(str::to_owned), 1 => "[ -~]{0,40}", 1 => "\\PC{0,20}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(effort::of(200, 2000)))]

    #[test]
    fn any_metadata_is_an_envelope_or_an_error(
        metadata in proptest::collection::btree_map(names(), values(), 0..12)
    ) {
        match Envelope::of(&metadata) {
            Ok(Some(envelope)) => prop_assert!(!envelope.wrap_algorithm().is_empty()),
            Ok(None) => prop_assert!(!metadata.contains_key("client-side-encryption-key")),
            Err(error) => prop_assert_eq!(error.code(), REFUSED),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(effort::of(40, 300)))]

    #[test]
    fn an_object_with_any_metadata_is_read_or_refused(
        metadata in proptest::collection::btree_map(names(), values(), 0..12),
        len in 0usize..40,
    ) {
        let (_store, bucket) = a_bucket();
        let options = metadata.iter().fold(PutOptions::new(), |all, (name, value)| all.metadata(name, value));
        if bucket.put_with("a", plain(len), options).is_ok() {
            let reader = EncryptedBucket::new(&bucket, quick()).also_reads(quick().described([("key", "1")]));
            match reader.get("a").and_then(|object| object.bytes()) {
                Ok(bytes) => prop_assert_eq!(bytes.len(), len),
                Err(error) => {
                    assert_reads_well(&error);
                    prop_assert!([REFUSED, "AccessDenied", "Corrupt"].contains(&error.code()), "{error}");
                }
            }
        }
    }

    #[test]
    fn any_text_is_a_key_or_an_error(text in "(-----BEGIN (RSA )?(PRIVATE|PUBLIC) KEY-----\n)?\\PC{0,200}(\n-----END PRIVATE KEY-----)?") {
        prop_assert_eq!(RsaMasterKey::from_pem(&text).unwrap_err().code(), "InvalidArgument");
    }
}

#[test]
fn a_master_key_of_ones_own_is_a_few_lines() {
    #[derive(Debug)]
    struct Own(Description);
    impl MasterKey for Own {
        fn algorithm(&self) -> &str {
            "OWN"
        }
        fn description(&self) -> &Description {
            &self.0
        }
        fn wrap(&self, secret: &[u8]) -> std::io::Result<Vec<u8>> {
            Ok([secret, b"wrapped"].concat())
        }
        fn unwrap(&self, algorithm: &str, wrapped: &[u8]) -> std::io::Result<Vec<u8>> {
            assert_eq!(algorithm, "OWN");
            Ok(wrapped.strip_suffix(b"wrapped").unwrap_or_default().to_vec())
        }
    }
    let (_store, bucket) = a_bucket();
    let encrypted = EncryptedBucket::new(&bucket, Own(Description::default()));
    encrypted.put("a", b"body").unwrap();
    assert_eq!(encrypted.get("a").unwrap().bytes().unwrap(), b"body");
}
