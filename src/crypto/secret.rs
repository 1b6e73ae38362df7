//! A key: 32 bytes that are wiped when they are dropped, and never printed.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// A key of 256 bits. It lies on the heap, so that moving it leaves no copy behind; it is wiped when it is dropped, and
/// cannot be cloned or printed. Two keys are compared in constant time.
pub struct SecretKey(Box<[u8; 32]>);

impl SecretKey {
    /// The key with these bytes. The array that is handed in is the caller's to wipe.
    pub fn new(bytes: [u8; 32]) -> SecretKey {
        let mut bytes = bytes;
        let key = SecretKey(Box::new(bytes));
        bytes.zeroize();
        key
    }

    /// The bytes, for whoever wraps them.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A key for one purpose, named by `context`, and for what the `parts` say.
    pub(super) fn derive(&self, context: &'static str, parts: &[&[u8]]) -> SecretKey {
        let mut hasher = blake3::Hasher::new_derive_key(context);
        hasher.update(&self.0[..]);
        for part in parts {
            // With its length, so that no two lists of parts run together into the same bytes.
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let mut reader = hasher.finalize_xof();
        let mut key = SecretKey(Box::new([0; 32]));
        reader.fill(&mut key.0[..]);
        hasher.zeroize();
        reader.zeroize();
        key
    }

    /// A key with random bytes.
    pub(super) fn random(fill: &mut dyn FnMut(&mut [u8])) -> SecretKey {
        let mut key = SecretKey(Box::new([0; 32]));
        fill(&mut key.0[..]);
        key
    }

    /// A name for the key that tells nothing of it.
    pub(super) fn mark(&self) -> [u8; 16] {
        let mark = self.derive(super::contexts::MARK, &[]);
        *mark.0.first_chunk().expect("32 bytes hold 16")
    }
}

impl PartialEq for SecretKey {
    /// In constant time.
    fn eq(&self, other: &SecretKey) -> bool {
        blake3::Hash::from_bytes(*self.0) == blake3::Hash::from_bytes(*other.0)
    }
}

impl Eq for SecretKey {}

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl ZeroizeOnDrop for SecretKey {}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_prints_nothing_of_itself() {
        let key = SecretKey::new([0xA7; 32]);
        assert_eq!(format!("{key:?}"), "SecretKey(..)");
    }

    #[test]
    fn derived_keys_differ_by_purpose_and_by_where_their_parts_end() {
        let key = SecretKey::new([1; 32]);
        let of = |context, parts: &[&[u8]]| key.derive(context, parts);
        assert_eq!(of("a", &[b"xy"]), of("a", &[b"xy"]));
        let others = [of("b", &[b"xy"]), of("a", &[b"x", b"y"]), of("a", &[b"xy", b""]), of("a", &[])];
        assert!(others.iter().all(|other| *other != of("a", &[b"xy"])));
        assert_ne!(SecretKey::new([2; 32]).derive("a", &[b"xy"]), of("a", &[b"xy"]));
    }
}
