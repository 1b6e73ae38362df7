//! The smaller doors: keys and notes of the index, key files, wrapped keys, kept secrets, lifecycle rules, what clients write
//! into metadata when they encrypt. The first byte says which door.
#![no_main]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;

use libfuzzer_sys::fuzz_target;
use ossicle::adapters::cli::fuzz_lifecycle;
use ossicle::adapters::client_encryption::{Description, EncryptedBucket, Envelope, MasterKey, RsaMasterKey};
use ossicle::testing::FaultyDisk;
use ossicle::{Bucket, GetOptions, PutOptions, Store, fuzzing};
use ossicle_fuzz::{BUCKET, body, builder};

/// So many objects are put into one store, then comes another.
const OBJECTS: u32 = 64;

fuzz_target!(|bytes: &[u8]| {
    let Some((door, bytes)) = bytes.split_first() else { return };
    let text = || std::str::from_utf8(bytes);
    match door % 8 {
        0 => fuzzing::key(bytes),
        1 => fuzzing::note_of(bytes),
        2 => fuzzing::key_file(bytes),
        3 => fuzzing::kept_secrets(bytes),
        4 => fuzzing::wrapped_keys(bytes),
        5 => drop(text().map(fuzz_lifecycle)),
        6 => drop(text().map(client_encrypted)),
        _ => drop(text().map(RsaMasterKey::from_pem)),
    }
});

/// A master key that wraps everything into itself.
#[derive(Debug)]
struct Bare(Description);

impl MasterKey for Bare {
    fn algorithm(&self) -> &str {
        "bare"
    }

    fn unwraps(&self, _: &str) -> bool {
        true
    }

    fn description(&self) -> &Description {
        &self.0
    }

    fn wrap(&self, secret: &[u8]) -> io::Result<Vec<u8>> {
        Ok(secret.to_vec())
    }

    fn unwrap(&self, _: &str, wrapped: &[u8]) -> io::Result<Vec<u8>> {
        Ok(wrapped.to_vec())
    }
}

thread_local! {
    static PLACE: RefCell<Option<(Store, Bucket, u32)>> = const { RefCell::new(None) };
}

/// An object with this metadata, a pair to a line: reading it ends in bytes or in an error, and a range of it is the same
/// bytes.
fn client_encrypted(text: &str) {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let pairs: BTreeMap<String, String> =
        pairs.map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let envelope = Envelope::of(&pairs);
    PLACE.with_borrow_mut(|place| {
        if place.as_ref().is_none_or(|(_, _, objects)| *objects == OBJECTS) {
            let store = builder(&FaultyDisk::new(1), 1, false).open().expect("a new store");
            let bucket = store.create_bucket(BUCKET).expect("a new bucket");
            *place = Some((store, bucket, 0));
        }
        let Some((_, bucket, objects)) = place else { return };
        *objects += 1;
        let options =
            pairs.iter().fold(PutOptions::new(), |options, (name, value)| options.metadata(name, value));
        if bucket.put_with("object", body(1, 100), options).is_err() {
            return;
        }
        let description = match envelope {
            Ok(Some(envelope)) => envelope.description().clone(),
            _ => Description::default(),
        };
        let masters = EncryptedBucket::new(bucket, Bare(description));
        let _ = masters.head("object");
        let whole = masters.get("object").and_then(|object| object.bytes());
        let range =
            masters.get_with("object", GetOptions::new().range(17..50)).and_then(|object| object.bytes());
        if let (Ok(whole), Ok(range)) = (&whole, &range) {
            assert!(whole.len() < 50 || whole[17..50] == range[..], "a range is another than of the whole");
        }
    });
}
