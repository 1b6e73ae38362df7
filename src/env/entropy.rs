//! Chance: the system's, and one that repeats itself from a seed.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this is the door that the ban protects"
)]

use std::fmt;

use parking_lot::Mutex;

/// The random source of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    /// # Panics
    /// If the system has no randomness to give: keys and ids made without it would be worse than no store.
    fn fill(&self, buf: &mut [u8]) {
        getrandom::fill(buf).expect("the operating system gives no random bytes");
    }
}

/// Random bytes that are the same for the same seed, for tests. Never make keys from it.
pub struct SeededEntropy(Mutex<SplitMix>);

impl SeededEntropy {
    /// The source that belongs to a seed.
    pub fn new(seed: u64) -> SeededEntropy {
        SeededEntropy(Mutex::new(SplitMix::new(seed)))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, buf: &mut [u8]) {
        self.0.lock().fill(buf);
    }
}

impl fmt::Debug for SeededEntropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeededEntropy").finish_non_exhaustive()
    }
}

/// The generator SplitMix64: one addition and a mix a number, and no bad seeds.
#[derive(Clone, Debug)]
pub(super) struct SplitMix(u64);

impl SplitMix {
    pub(super) fn new(seed: u64) -> SplitMix {
        SplitMix(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    pub(super) fn fill(&mut self, buf: &mut [u8]) {
        for chunk in buf.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
    }

    /// A number below `limit`, which must not be 0.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    #[cfg(any(test, feature = "testing"))]
    pub(super) fn coin(&mut self) -> bool {
        self.next() >> 63 == 1
    }
}

/// A source of random bytes.
pub trait Entropy: Send + Sync + fmt::Debug {
    /// Fills `buf` with random bytes.
    fn fill(&self, buf: &mut [u8]);
    /// Hears which nonce an encrypted store uses with which key, named by a mark that tells nothing of it: for tests that
    /// want to see that no nonce is used twice. Does nothing by default.
    fn used_nonce(&self, _key: [u8; 16], _nonce: [u8; 24]) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(source: &dyn Entropy) -> [u8; 37] {
        let mut buf = [0; 37];
        source.fill(&mut buf);
        buf
    }

    #[test]
    fn a_seed_repeats_itself_and_no_other() {
        let (one, same, other) = (SeededEntropy::new(1), SeededEntropy::new(1), SeededEntropy::new(2));
        let first = drawn(&one);
        assert_eq!(first, drawn(&same));
        assert_ne!(first, drawn(&other));
        assert_ne!(first, drawn(&one));
        // The published first output for seed 0.
        assert_eq!(SplitMix::new(0).next(), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn the_system_does_not_repeat_itself() {
        assert_ne!(drawn(&OsEntropy), drawn(&OsEntropy));
    }
}
