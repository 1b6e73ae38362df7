//! Where nonces come from: random, and hedged against randomness that repeats itself.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::contexts;
use super::secret::SecretKey;
use super::xaes::NONCE_LEN;

/// Randomness, handed in by whoever holds it.
pub trait Chance: Send + Sync + fmt::Debug {
    /// Fills `bytes` with random ones.
    fn fill(&self, bytes: &mut [u8]);
    /// Hears which nonce is used with which key, named by a mark that tells nothing of it: so that a test can see that
    /// none is used twice.
    fn used(&self, _key: [u8; 16], _nonce: [u8; NONCE_LEN]) {}
    /// Whether nonces shall repeat themselves: a mistake, to test the tests.
    fn repeats_itself(&self) -> bool {
        false
    }
}

/// The nonces of one opening of a store.
///
/// A nonce is a keyed hash of 32 random bytes, a counter, and what is sealed with it. So a machine that repeats its random
/// state (a clone of a running one) repeats a nonce at most for the same bytes in the same place, which tells nobody
/// anything; and the key of the hash is of this opening.
pub struct Nonces {
    hedge: SecretKey,
    count: AtomicU64,
    chance: Arc<dyn Chance>,
}

impl Nonces {
    /// The nonces of an opening; `moment` is whatever else may tell it from others, such as the time.
    pub fn new(root: &SecretKey, moment: &[u8], chance: Arc<dyn Chance>) -> Nonces {
        let mut epoch = [0; 32];
        chance.fill(&mut epoch);
        let hedge = root.derive(contexts::NONCES, &[&epoch, moment]);
        Nonces { hedge, count: AtomicU64::new(0), chance }
    }

    /// A nonce for `plain` in the place that `aad` names, with the key of this mark.
    pub fn next(&self, mark: [u8; 16], aad: &[u8], plain: &[u8]) -> [u8; NONCE_LEN] {
        let nonce = self.draw(&mark, aad, plain);
        self.chance.used(mark, nonce);
        nonce
    }

    /// The same, for a nonce that only leads to a key.
    pub fn draw(&self, mark: &[u8; 16], aad: &[u8], plain: &[u8]) -> [u8; NONCE_LEN] {
        let mut random = [0; 32];
        self.chance.fill(&mut random);
        if self.chance.repeats_itself() {
            return [7; NONCE_LEN];
        }
        let mut hasher = blake3::Hasher::new_keyed(self.hedge.as_bytes());
        hasher.update(&random);
        hasher.update(&self.count.fetch_add(1, Ordering::Relaxed).to_le_bytes());
        hasher.update(mark);
        hasher.update(&(aad.len() as u64).to_le_bytes());
        hasher.update(aad);
        hasher.update(plain);
        *hasher.finalize().as_bytes().first_chunk().expect("32 bytes hold 24")
    }

    /// Tells the watcher of a nonce that was made otherwise.
    pub fn tell(&self, mark: [u8; 16], nonce: [u8; NONCE_LEN]) {
        self.chance.used(mark, nonce);
    }

    /// Fills `bytes` with random ones.
    pub fn fill(&self, bytes: &mut [u8]) {
        self.chance.fill(bytes);
    }
}

impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nonces").finish_non_exhaustive()
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Randomness that repeats itself always.
    #[derive(Debug)]
    pub struct Stuck;

    impl Chance for Stuck {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    #[test]
    fn where_chance_repeats_itself_only_the_same_bytes_get_the_same_nonce() {
        let root = SecretKey::new([1; 32]);
        let one = Nonces::new(&root, b"now", Arc::new(Stuck));
        let clone = Nonces::new(&root, b"now", Arc::new(Stuck));
        assert_eq!(one.next([0; 16], b"place", b"bytes"), clone.next([0; 16], b"place", b"bytes"));
        assert_ne!(one.next([0; 16], b"place", b"bytes"), clone.next([0; 16], b"place", b"other"));
        assert_ne!(one.next([0; 16], b"place", b"bytes"), clone.next([0; 16], b"there", b"bytes"));
        let later = Nonces::new(&root, b"later", Arc::new(Stuck));
        assert_ne!(
            Nonces::new(&root, b"now", Arc::new(Stuck)).next([0; 16], b"", b""),
            later.next([0; 16], b"", b"")
        );
        assert_ne!(one.next([0; 16], b"place", b"bytes"), one.next([0; 16], b"place", b"bytes"));
    }
}
