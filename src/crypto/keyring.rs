//! The keys of an open store: its root, and everything that is derived from it.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::KeyProvider;
use super::chunks::{BODY_NONCE_LEN, ChunkSealer};
use super::contexts;
use super::nonces::{Chance, Nonces};
use super::sealer::{SEAL_LEN, Sealer};
use super::secret::SecretKey;

/// Bytes of the wrapped shred root.
pub const SHRED_WRAP_LEN: usize = 32 + SEAL_LEN;

/// What a store keeps of its keys, as plain bytes beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrapped {
    /// The name of the key that the root is wrapped with.
    pub key_id: String,
    /// The root, wrapped by the key provider.
    pub root: Vec<u8>,
    /// Proves that what is unwrapped is the root, and tells nothing of it.
    pub commitment: [u8; 32],
    /// The shred root, wrapped by the root.
    pub shred: [u8; SHRED_WRAP_LEN],
}

/// The keys of an open store.
pub struct Keyring {
    root: SecretKey,
    shred: SecretKey,
    store_id: [u8; 16],
    nonces: Arc<Nonces>,
}

/// Why there are no keys.
#[derive(Debug)]
pub enum Locked {
    /// The provider says why.
    Provider(std::io::Error),
    /// What the provider answered is not this store's key, or not as long as it may be.
    Wrong(&'static str),
}

impl Keyring {
    /// Keys for a new store, and what it is to keep of them. `moment` is anything that tells this opening from others.
    pub fn make(
        provider: &dyn KeyProvider,
        store_id: [u8; 16],
        moment: &[u8],
        chance: Arc<dyn Chance>,
    ) -> Result<(Keyring, Wrapped), Locked> {
        let mut fill = |bytes: &mut [u8]| chance.fill(bytes);
        let (root, shred) = (SecretKey::random(&mut fill), SecretKey::random(&mut fill));
        let nonces = Arc::new(Nonces::new(&root, moment, chance));
        let ring = Keyring { root, shred, store_id, nonces };
        let wrapped = ring.wrap(provider)?;
        Ok((ring, wrapped))
    }

    /// Unwraps the keys of a store.
    pub fn open(
        provider: &dyn KeyProvider,
        wrapped: &Wrapped,
        store_id: [u8; 16],
        moment: &[u8],
        chance: Arc<dyn Chance>,
    ) -> Result<Keyring, Locked> {
        let root = provider
            .unwrap(&wrapped.key_id, &wrapped.root, &wrap_context(store_id))
            .map_err(Locked::Provider)?;
        if blake3::Hash::from_bytes(commitment(&root, store_id)) != wrapped.commitment {
            return Err(Locked::Wrong("it is not the key of this store"));
        }
        let nonces = Arc::new(Nonces::new(&root, moment, chance));
        let wrap = Sealer::new(&root.derive(contexts::SHRED_WRAP, &[&store_id]), nonces.clone());
        let mut shred = Zeroizing::new(wrapped.shred);
        let opened =
            wrap.open(&store_id, &mut shred[..]).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let shred = SecretKey::new(opened.ok_or(Locked::Wrong("the key within the key does not open"))?);
        Ok(Keyring { root, shred, store_id, nonces })
    }

    /// Whether these are the keys of the store that keeps this commitment.
    pub fn is_committed_to(&self, kept: &[u8; 32]) -> bool {
        blake3::Hash::from_bytes(commitment(&self.root, self.store_id)) == *kept
    }

    /// What the store is to keep of its keys when `provider` holds the outermost.
    pub fn wrap(&self, provider: &dyn KeyProvider) -> Result<Wrapped, Locked> {
        let mut fresh = [0; 64];
        self.nonces.fill(&mut fresh);
        let key_id = provider.key_id();
        let root =
            provider.wrap(&self.root, &wrap_context(self.store_id), &fresh).map_err(Locked::Provider)?;
        if key_id.len() > super::MAX_KEY_ID || root.is_empty() || root.len() > super::MAX_WRAPPED {
            return Err(Locked::Wrong("a name of a key has up to 255 bytes, and a wrapped key 1 to 1024"));
        }
        // Whoever wraps what he cannot unwrap would lose the store.
        match provider.unwrap(&key_id, &root, &wrap_context(self.store_id)).map_err(Locked::Provider)? {
            back if back == self.root => {}
            _ => return Err(Locked::Wrong("the provider does not unwrap what it has wrapped")),
        }
        let wrap =
            Sealer::new(&self.root.derive(contexts::SHRED_WRAP, &[&self.store_id]), self.nonces.clone());
        let mut shred = Zeroizing::new(Vec::with_capacity(SHRED_WRAP_LEN));
        shred.extend_from_slice(self.shred.as_bytes());
        wrap.seal(&self.store_id, &mut shred, 0);
        let shred = shred[..].try_into().expect("a key and its seal");
        Ok(Wrapped { key_id, root, commitment: commitment(&self.root, self.store_id), shred })
    }

    /// Seals the records of the segment with this id and nonce.
    pub fn segment(&self, id: u64, nonce: u64) -> Sealer {
        let parts: [&[u8]; 3] = [&self.store_id, &id.to_le_bytes(), &nonce.to_le_bytes()];
        Sealer::new(&self.root.derive(contexts::SEGMENT, &parts), self.nonces.clone())
    }

    /// Seals the pages of the index file with this number.
    pub fn pages(&self, file: u8) -> Sealer {
        Sealer::new(&self.root.derive(contexts::PAGES, &[&self.store_id, &[file]]), self.nonces.clone())
    }

    /// Sums a slot of the superblock, of which `digest` is the hash.
    pub fn superblock_sum(&self, digest: &[u8; 32]) -> [u8; 32] {
        *self.root.derive(contexts::SUPERBLOCK, &[&self.store_id, digest]).as_bytes()
    }

    /// Where a body begins: what leads to its key. `first` is how it begins.
    pub fn body_nonce(&self, place: &BodyPlace, first: &[u8]) -> [u8; BODY_NONCE_LEN] {
        self.nonces.draw(&[0; 16], &place.encode(), first)
    }

    /// Seals the chunks of the body in this place.
    pub fn body(&self, place: &BodyPlace, nonce: &[u8; BODY_NONCE_LEN]) -> ChunkSealer {
        let key = self.shred.derive(contexts::BODY, &[&self.store_id, &place.encode(), nonce]);
        ChunkSealer::new(&key, self.nonces.clone())
    }
}

/// Where a body lies and how it is cut: all of it is bound into its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyPlace {
    /// The segment's id.
    pub segment: u64,
    /// The segment's nonce.
    pub nonce: u64,
    /// Where its record starts.
    pub offset: u64,
    /// log2 of the chunk size.
    pub chunk_log2: u8,
    /// Whether it is an entry's payload and no object's body.
    pub payload: bool,
}

impl BodyPlace {
    fn encode(&self) -> [u8; 26] {
        let mut out = [0; 26];
        out[..8].copy_from_slice(&self.segment.to_le_bytes());
        out[8..16].copy_from_slice(&self.nonce.to_le_bytes());
        out[16..24].copy_from_slice(&self.offset.to_le_bytes());
        out[24..].copy_from_slice(&[self.chunk_log2, u8::from(self.payload)]);
        out
    }
}

fn commitment(root: &SecretKey, store_id: [u8; 16]) -> [u8; 32] {
    *root.derive(contexts::COMMITMENT, &[&store_id]).as_bytes()
}

fn wrap_context(store_id: [u8; 16]) -> Vec<u8> {
    [&b"ossicle store root "[..], &store_id].concat()
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::nonces::tests::Stuck;
    use crate::crypto::{KeyCallback, StaticKey};

    #[test]
    fn keys_come_back_and_wrong_ones_are_known() {
        let provider = StaticKey::new([1; 32]);
        let (ring, wrapped) = Keyring::make(&provider, [9; 16], b"", Arc::new(Stuck)).unwrap();
        let open = |provider: &dyn KeyProvider, wrapped: &Wrapped, id: [u8; 16]| {
            Keyring::open(provider, wrapped, id, b"later", Arc::new(Stuck))
        };
        let back = open(&provider, &wrapped, [9; 16]).unwrap();
        assert_eq!(ring.superblock_sum(&[0; 32]), back.superblock_sum(&[0; 32]));
        let mut unit = b"x".to_vec();
        ring.segment(1, 2).seal(b"", &mut unit, 0);
        assert_eq!(back.segment(1, 2).open(b"", &mut unit.clone()).unwrap(), b"x");
        assert!(back.segment(2, 2).open(b"", &mut unit.clone()).is_err());
        assert!(back.segment(1, 3).open(b"", &mut unit.clone()).is_err());
        assert!(back.pages(0).open(b"", &mut unit.clone()).is_err());

        assert!(matches!(open(&StaticKey::new([2; 32]), &wrapped, [9; 16]), Err(Locked::Provider(_))));
        assert!(matches!(open(&provider, &wrapped, [8; 16]), Err(Locked::Provider(_))));
        // A provider that answers any key at all.
        let liar = KeyCallback::new("liar", |_, _| Ok(vec![1]), |_, _, _| Ok(SecretKey::new([4; 32])));
        assert!(matches!(open(&liar, &wrapped, [9; 16]), Err(Locked::Wrong(_))));
        assert!(matches!(ring.wrap(&liar), Err(Locked::Wrong(_))));
        let mut bad = wrapped.clone();
        bad.shred[40] ^= 1;
        assert!(matches!(open(&provider, &bad, [9; 16]), Err(Locked::Wrong(_))));
    }

    #[test]
    fn the_root_survives_a_change_of_provider() {
        let (ring, old) = Keyring::make(&StaticKey::new([1; 32]), [9; 16], b"", Arc::new(Stuck)).unwrap();
        let next = StaticKey::new([2; 32]);
        let wrapped = ring.wrap(&next).unwrap();
        assert_ne!(wrapped.root, old.root);
        let back = Keyring::open(&next, &wrapped, [9; 16], b"", Arc::new(Stuck)).unwrap();
        assert_eq!((&back.root, &back.shred), (&ring.root, &ring.shred));
    }

    #[test]
    fn a_body_opens_only_where_it_lies() {
        let (ring, _) = Keyring::make(&StaticKey::new([1; 32]), [9; 16], b"", Arc::new(Stuck)).unwrap();
        let place = BodyPlace { segment: 1, nonce: 2, offset: 128, chunk_log2: 16, payload: false };
        let nonce = ring.body_nonce(&place, b"body");
        let mut chunk = *b"body";
        let tag = ring.body(&place, &nonce).seal(0, true, &mut chunk);
        ring.body(&place, &nonce).open(0, true, &mut chunk.clone(), &tag).unwrap();
        for other in [
            BodyPlace { segment: 2, ..place },
            BodyPlace { nonce: 3, ..place },
            BodyPlace { offset: 136, ..place },
            BodyPlace { chunk_log2: 17, ..place },
            BodyPlace { payload: true, ..place },
        ] {
            assert!(ring.body(&other, &nonce).open(0, true, &mut chunk.clone(), &tag).is_err());
        }
    }
}
