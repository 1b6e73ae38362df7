//! Sealing short units (records, pages, keys) with one key: ciphertext, nonce, tag.

use std::fmt;
use std::sync::Arc;

use super::forged::Forged;
use super::nonces::Nonces;
use super::secret::SecretKey;
use super::xaes::{NONCE_LEN, Xaes};

/// By how much a sealed unit is longer than what is in it: a nonce of 24 bytes and a tag of 16.
pub const SEAL_LEN: usize = NONCE_LEN + 16;

/// Seals units and opens them.
pub struct Sealer {
    cipher: Xaes,
    mark: [u8; 16],
    nonces: Arc<Nonces>,
}

impl Sealer {
    /// A sealer with this key.
    pub(super) fn new(key: &SecretKey, nonces: Arc<Nonces>) -> Sealer {
        Sealer { cipher: Xaes::new(key), mark: key.mark(), nonces }
    }

    /// Seals `bytes[from..]` in place, which grows by [`SEAL_LEN`]. `aad` says what the unit is and where it lies.
    pub fn seal(&self, aad: &[u8], bytes: &mut Vec<u8>, from: usize) {
        let nonce = self.nonces.next(self.mark, aad, &bytes[from..]);
        let tag = self.cipher.seal(&nonce, aad, &mut bytes[from..]);
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&tag);
    }

    /// Opens a unit in place; what was in it is the slice that is answered.
    pub fn open<'b>(&self, aad: &[u8], sealed: &'b mut [u8]) -> Result<&'b mut [u8], Forged> {
        let len = sealed.len().checked_sub(SEAL_LEN).ok_or(Forged)?;
        let (bytes, rest) = sealed.split_at_mut(len);
        let (nonce, tag) = rest.split_at(NONCE_LEN);
        let nonce = nonce.try_into().map_err(|_| Forged)?;
        let tag = tag.try_into().map_err(|_| Forged)?;
        self.cipher.open(nonce, aad, bytes, tag)?;
        Ok(bytes)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::nonces::tests::Stuck;
    use super::*;

    #[test]
    fn a_unit_opens_whole_and_where_it_was_sealed() {
        let root = SecretKey::new([1; 32]);
        let nonces = Arc::new(Nonces::new(&root, b"", Arc::new(Stuck)));
        let sealer = Sealer::new(&SecretKey::new([2; 32]), nonces.clone());
        let mut unit = b"front".to_vec();
        unit.extend(b"what is sealed");
        sealer.seal(b"here", &mut unit, 5);
        assert_eq!((unit.len(), &unit[..5]), (5 + 14 + SEAL_LEN, &b"front"[..]));
        let unit = &unit[5..];
        assert_eq!(sealer.open(b"here", &mut unit.to_vec()).unwrap(), b"what is sealed");
        assert_eq!(sealer.open(b"there", &mut unit.to_vec()), Err(Forged));
        for len in 0..unit.len() {
            assert_eq!(sealer.open(b"here", &mut unit[..len].to_vec()), Err(Forged), "cut to {len}");
        }
        for place in 0..unit.len() {
            let mut bad = unit.to_vec();
            bad[place] ^= 1;
            assert_eq!(sealer.open(b"here", &mut bad), Err(Forged), "byte {place}");
        }
        let other = Sealer::new(&SecretKey::new([3; 32]), nonces);
        assert_eq!(other.open(b"here", &mut unit.to_vec()), Err(Forged));
    }
}
