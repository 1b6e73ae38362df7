//! The cipher of bodies: AES-256 in counter mode, at any place of the body.

use std::fmt;
use std::io::{self, Read};

use aes::Aes256;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
use zeroize::Zeroizing;

use crate::{Entropy, OsEntropy};

/// The length of the key of a body.
pub(super) const KEY_LEN: usize = 32;
/// The length of a block, and of the counter.
pub(super) const BLOCK: u64 = 16;

/// The key of one body and where its counter starts.
#[derive(Clone)]
pub(super) struct ContentKey {
    pub(super) key: Zeroizing<[u8; KEY_LEN]>,
    pub(super) start: [u8; BLOCK as usize],
}

impl ContentKey {
    /// A new one. As the SDKs do it, a quarter of the counter begins as zeros: some of them count in 64 bits only, and a
    /// counter that starts below 2^32 does not run out of those.
    pub(super) fn random() -> ContentKey {
        let mut made = ContentKey { key: Zeroizing::new([0; KEY_LEN]), start: [0; BLOCK as usize] };
        OsEntropy.fill(&mut made.key[..]);
        OsEntropy.fill(&mut made.start);
        made.start[8..12].fill(0);
        made
    }

    /// The bytes to mix in from this place of the body on.
    pub(super) fn stream(&self, at: u64) -> Keystream {
        let mut stream = Keystream(Ctr128BE::new((&*self.key).into(), (&self.start).into()));
        stream.seek(at);
        stream
    }
}

impl fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContentKey").finish_non_exhaustive()
    }
}

/// What is mixed into a body, from a place on; to encrypt and to decrypt are the same.
pub(super) struct Keystream(Ctr128BE<Aes256>);

impl Keystream {
    /// Goes to a place of the body.
    pub(super) fn seek(&mut self, at: u64) {
        self.0.seek(at);
    }

    /// Mixes in the next bytes.
    pub(super) fn apply(&mut self, bytes: &mut [u8]) {
        self.0.apply_keystream(bytes);
    }
}

impl fmt::Debug for Keystream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keystream").finish_non_exhaustive()
    }
}

/// A reader whose bytes are encrypted on their way through.
pub(super) struct Mixed<R> {
    pub(super) from: R,
    pub(super) stream: Keystream,
}

impl<R: Read> Read for Mixed<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buf)?;
        self.stream.apply(&mut buf[..read]);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(start: [u8; 16]) -> ContentKey {
        ContentKey { key: Zeroizing::new([7; KEY_LEN]), start }
    }

    fn drawn(key: &ContentKey, at: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        key.stream(at).apply(&mut bytes);
        bytes
    }

    /// NIST SP 800-38A, F.5.5: CTR-AES256.
    #[test]
    fn it_is_the_published_cipher() {
        let hex = |text: &str| -> Vec<u8> {
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
        };
        let secret = hex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4");
        let start = hex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
        let key =
            ContentKey { key: Zeroizing::new(secret.try_into().unwrap()), start: start.try_into().unwrap() };
        let mut bytes = hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51");
        key.stream(0).apply(&mut bytes);
        assert_eq!(bytes, hex("601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"));
    }

    #[test]
    fn any_place_is_reached_at_once() {
        let key = key([3; 16]);
        let whole = drawn(&key, 0, 1000);
        for at in [0, 1, 15, 16, 17, 31, 32, 500, 983, 984] {
            assert_eq!(drawn(&key, at as u64, 16), whole[at..at + 16], "{at}");
        }
        drawn(&key, u64::MAX - 100, 50);
    }

    #[test]
    fn the_counter_runs_through_all_of_its_128_bits() {
        let last = u128::MAX.to_be_bytes();
        assert_eq!(drawn(&key(last), 16, 32), drawn(&key([0; 16]), 0, 32));
        let carry = u128::from(u64::MAX).to_be_bytes();
        assert_eq!(drawn(&key(carry), 16, 16), drawn(&key((1u128 << 64).to_be_bytes()), 0, 16));
    }

    #[test]
    fn no_two_bodies_have_the_same_key_and_none_is_shown() {
        let (one, other) = (ContentKey::random(), ContentKey::random());
        assert_ne!(one.key[..], other.key[..]);
        assert_ne!(one.start, other.start);
        assert_eq!(one.start[8..12], [0; 4]);
        assert!(!format!("{one:?} {:?}", one.stream(0)).contains(|letter: char| letter.is_ascii_digit()));
    }
}
