//! Who holds the key that a store's root is wrapped with: the program, a passphrase, or a service that is called.

use std::fmt;
use std::io;
use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::{Zeroize, Zeroizing};

use super::contexts;
use super::secret::SecretKey;
use super::xaes::{NONCE_LEN, Xaes};

/// The longest name of a key.
pub const MAX_KEY_ID: usize = 255;
/// The longest wrapped key.
pub const MAX_WRAPPED: usize = 1024;

/// Wraps the root key of a store, and unwraps it when the store is opened: the only thing that is ever asked of it.
///
/// An error of the kind [`io::ErrorKind::PermissionDenied`] says that this is the wrong key, any other that the key could not
/// be had just now.
pub trait KeyProvider: Send + Sync + fmt::Debug {
    /// What the key is called, to be found again by: at most 255 bytes. It stands in the superblock as plain text, and in
    /// errors.
    fn key_id(&self) -> String;

    /// Wraps `key`: at most 1024 bytes, which stand in the superblock. `context` says whose key it is, and unwrapping must
    /// fail with another one. `fresh` holds random bytes, to make nonces and salts of; they are different in each call.
    fn wrap(&self, key: &SecretKey, context: &[u8], fresh: &[u8; 64]) -> io::Result<Vec<u8>>;

    /// Unwraps what [`wrap`](KeyProvider::wrap) has made under the name `key_id`.
    fn unwrap(&self, key_id: &str, wrapped: &[u8], context: &[u8]) -> io::Result<SecretKey>;
}

/// What a wrap by one of the providers here is called when it does not open.
fn wrong_key() -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "it is another key")
}

/// `key` sealed with `with`: nonce, ciphertext, tag.
fn wrap_with(with: &SecretKey, key: &SecretKey, context: &[u8], nonce: &[u8; NONCE_LEN]) -> Vec<u8> {
    let mut bytes = Zeroizing::new(*key.as_bytes());
    let tag = Xaes::new(with).seal(nonce, context, &mut bytes[..]);
    [&nonce[..], &bytes[..], &tag[..]].concat()
}

fn unwrap_with(with: &SecretKey, wrapped: &[u8], context: &[u8]) -> io::Result<SecretKey> {
    let (nonce, rest) = wrapped.split_first_chunk::<NONCE_LEN>().ok_or_else(wrong_key)?;
    let (bytes, rest) = rest.split_first_chunk::<32>().ok_or_else(wrong_key)?;
    let tag: &[u8; 16] = rest.try_into().map_err(|_| wrong_key())?;
    let mut bytes = Zeroizing::new(*bytes);
    Xaes::new(with).open(nonce, context, &mut bytes[..], tag).map_err(|_| wrong_key())?;
    Ok(SecretKey::new(*bytes))
}

/// A key that the program has.
#[derive(Debug)]
pub struct StaticKey {
    key: SecretKey,
    id: String,
}

impl StaticKey {
    /// The provider of this key. It must be random, not a password; see [`Passphrase`] for those. Its name is made from it
    /// and tells nothing of it.
    pub fn new(key: [u8; 32]) -> StaticKey {
        let key = SecretKey::new(key);
        let name = key.derive(contexts::KEY_ID, &[]);
        let id = name.as_bytes()[..8].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        StaticKey { key, id: format!("static-{id}") }
    }

    /// The same key under a name of your choice.
    pub fn named(self, id: impl Into<String>) -> StaticKey {
        StaticKey { id: id.into(), ..self }
    }
}

impl KeyProvider for StaticKey {
    fn key_id(&self) -> String {
        self.id.clone()
    }

    fn wrap(&self, key: &SecretKey, context: &[u8], fresh: &[u8; 64]) -> io::Result<Vec<u8>> {
        let nonce = fresh.first_chunk().expect("64 bytes hold a nonce");
        Ok(wrap_with(&self.key.derive(contexts::WRAP, &[]), key, context, nonce))
    }

    fn unwrap(&self, _: &str, wrapped: &[u8], context: &[u8]) -> io::Result<SecretKey> {
        unwrap_with(&self.key.derive(contexts::WRAP, &[]), wrapped, context)
    }
}

/// The most work that is believed of a wrapped key: memory in KiB, rounds, lanes. More is not done for anybody.
const MOST_WORK: (u32, u32, u32) = (1 << 20, 64, 16);
const SALT_LEN: usize = 16;
/// Version, memory, rounds, lanes, salt.
const PASSPHRASE_HEAD: usize = 1 + 3 * 4 + SALT_LEN;

/// A passphrase, from which a key is made by Argon2id.
pub struct Passphrase {
    phrase: Zeroizing<Vec<u8>>,
    work: (u32, u32, u32),
}

impl Passphrase {
    /// The provider of this passphrase. To open a store with it takes 64 MiB of memory and about a tenth of a second, and so
    /// it does for whoever guesses. An empty one protects nothing: no store is made with it and none is given it; it opens only
    /// what an earlier version has made so, to be given another.
    pub fn new(phrase: impl Into<String>) -> Passphrase {
        Passphrase { phrase: Zeroizing::new(phrase.into().into_bytes()), work: (64 << 10, 3, 1) }
    }

    /// How much work it shall be for stores that are made or given this key from now on: KiB of memory (8 to 1,048,576),
    /// rounds (1 to 64) and lanes (1 to 16). What is beyond that counts as the nearest that is not. A store keeps what it
    /// was given.
    pub fn with_work(mut self, memory_kib: u32, rounds: u32, lanes: u32) -> Passphrase {
        let lanes = lanes.clamp(1, MOST_WORK.2);
        self.work = (memory_kib.clamp(8 * lanes, MOST_WORK.0), rounds.clamp(1, MOST_WORK.1), lanes);
        self
    }

    fn key(&self, work: (u32, u32, u32), salt: &[u8]) -> io::Result<SecretKey> {
        let params = Params::new(work.0, work.1, work.2, Some(32)).map_err(io::Error::other)?;
        let mut made = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(&self.phrase, salt, &mut made[..])
            .map_err(io::Error::other)?;
        Ok(SecretKey::new(*made).derive(contexts::PASSPHRASE, &[]))
    }
}

impl KeyProvider for Passphrase {
    fn key_id(&self) -> String {
        "passphrase".to_owned()
    }

    fn wrap(&self, key: &SecretKey, context: &[u8], fresh: &[u8; 64]) -> io::Result<Vec<u8>> {
        if self.phrase.is_empty() {
            let why = "the passphrase is empty, and protects nothing; choose one";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let (salt, rest) = fresh.split_at(SALT_LEN);
        let nonce = rest.first_chunk().expect("48 bytes hold a nonce");
        let mut wrapped = vec![1];
        [self.work.0, self.work.1, self.work.2].iter().for_each(|n| wrapped.extend(n.to_le_bytes()));
        wrapped.extend_from_slice(salt);
        wrapped.extend(wrap_with(&self.key(self.work, salt)?, key, context, nonce));
        Ok(wrapped)
    }

    fn unwrap(&self, _: &str, wrapped: &[u8], context: &[u8]) -> io::Result<SecretKey> {
        let (head, rest) = wrapped.split_first_chunk::<PASSPHRASE_HEAD>().ok_or_else(wrong_key)?;
        let number = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes"));
        let work = (number(1), number(5), number(9));
        if head[0] != 1 || work.0 > MOST_WORK.0 || work.1 > MOST_WORK.1 || work.2 > MOST_WORK.2 {
            // Whoever wrote it could make every opening take all memory and for ever.
            return Err(wrong_key());
        }
        unwrap_with(&self.key(work, &head[13..])?, rest, context)
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passphrase").field("work", &self.work).finish_non_exhaustive()
    }
}

type Wrap = dyn Fn(&SecretKey, &[u8]) -> io::Result<Vec<u8>> + Send + Sync;
type Unwrap = dyn Fn(&str, &[u8], &[u8]) -> io::Result<SecretKey> + Send + Sync;

/// A key that somebody else holds, such as a key management service: two functions that wrap and unwrap.
#[derive(Clone)]
pub struct KeyCallback {
    id: String,
    wrap: Arc<Wrap>,
    unwrap: Arc<Unwrap>,
}

impl KeyCallback {
    /// The provider of the key called `id`. `wrap` gets a key and its context, `unwrap` the name of the key that it was
    /// wrapped with, what `wrap` had answered, and the context. What is answered is at most 1024 bytes long.
    pub fn new(
        id: impl Into<String>,
        wrap: impl Fn(&SecretKey, &[u8]) -> io::Result<Vec<u8>> + Send + Sync + 'static,
        unwrap: impl Fn(&str, &[u8], &[u8]) -> io::Result<SecretKey> + Send + Sync + 'static,
    ) -> KeyCallback {
        KeyCallback { id: id.into(), wrap: Arc::new(wrap), unwrap: Arc::new(unwrap) }
    }
}

impl KeyProvider for KeyCallback {
    fn key_id(&self) -> String {
        self.id.clone()
    }

    fn wrap(&self, key: &SecretKey, context: &[u8], _: &[u8; 64]) -> io::Result<Vec<u8>> {
        (self.wrap)(key, context)
    }

    fn unwrap(&self, key_id: &str, wrapped: &[u8], context: &[u8]) -> io::Result<SecretKey> {
        (self.unwrap)(key_id, wrapped, context)
    }
}

impl fmt::Debug for KeyCallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyCallback").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Drop for Passphrase {
    fn drop(&mut self) {
        self.phrase.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comes_back(provider: &dyn KeyProvider, wrong: &dyn KeyProvider) {
        let key = SecretKey::new([0x5A; 32]);
        let wrapped = provider.wrap(&key, b"store", &[3; 64]).unwrap();
        assert!(wrapped.len() <= MAX_WRAPPED && provider.key_id().len() <= MAX_KEY_ID);
        assert!(!wrapped.windows(8).any(|window| window == [0x5A; 8]));
        let id = provider.key_id();
        assert_eq!(provider.unwrap(&id, &wrapped, b"store").unwrap(), key);
        let refused = |provider: &dyn KeyProvider, wrapped: &[u8], context: &[u8]| {
            let error = provider.unwrap(&id, wrapped, context).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        };
        refused(wrong, &wrapped, b"store");
        refused(provider, &wrapped, b"other");
        for len in 0..wrapped.len() {
            refused(provider, &wrapped[..len], b"store");
        }
        let mut bad = wrapped.clone();
        *bad.last_mut().unwrap() ^= 1;
        refused(provider, &bad, b"store");
    }

    #[test]
    fn what_a_static_key_wraps_only_it_unwraps() {
        let (one, other) = (StaticKey::new([1; 32]), StaticKey::new([2; 32]));
        assert_ne!(one.key_id(), other.key_id());
        comes_back(&one, &other);
        assert!(!format!("{one:?}").contains("[1"));
    }

    #[test]
    fn what_a_passphrase_wraps_only_it_unwraps() {
        let cheap = |phrase: &str| Passphrase::new(phrase).with_work(8, 1, 1);
        comes_back(&cheap("correct horse"), &cheap("correct horse "));
        assert!(!format!("{:?}", cheap("correct horse")).contains("horse"));
        // How much work it is stands in the wrap.
        let key = SecretKey::new([1; 32]);
        let wrapped = Passphrase::new("x").with_work(64, 2, 2).wrap(&key, b"", &[0; 64]).unwrap();
        assert_eq!(cheap("x").unwrap("", &wrapped, b"").unwrap(), key);
    }

    #[test]
    fn nothing_is_wrapped_with_an_empty_passphrase() {
        let refused = Passphrase::new("").with_work(8, 1, 1).wrap(&SecretKey::new([1; 32]), b"", &[0; 64]);
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn a_wrap_that_asks_for_boundless_work_is_refused_at_once() {
        let provider = Passphrase::new("x").with_work(8, 1, 1);
        let wrapped = provider.wrap(&SecretKey::new([1; 32]), b"", &[0; 64]).unwrap();
        for at in [1, 5, 9] {
            let mut greedy = wrapped.clone();
            greedy[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
            let error = provider.unwrap("", &greedy, b"").unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        }
    }
}
