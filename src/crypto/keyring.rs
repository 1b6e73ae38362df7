//! The keys of an open store: its root, and everything that is derived from it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;
use zeroize::Zeroizing;

use super::chunks::{BODY_NONCE_LEN, ChunkSealer};
use super::contexts;
use super::nonces::{Chance, Nonces};
use super::provider::KeyProvider;
use super::sealer::{SEAL_LEN, Sealer};
use super::secret::SecretKey;

/// Bytes of the wrapped shred root.
pub const SHRED_WRAP_LEN: usize = 32 + SEAL_LEN;

/// Bytes of the kept secret of a segment: its id, its nonce, the sealed secret.
pub const KEPT_LEN: usize = 16 + 32 + SEAL_LEN;

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
    shreds: RwLock<Shreds>,
    store_id: [u8; 16],
    nonces: Arc<Nonces>,
}

/// What can be lost on purpose: the shred root, and what was kept when an older one was destroyed.
struct Shreds {
    newest: ShredRoot,
    /// Older ones that a reader or a salvage has met. A writer has none.
    older: Vec<ShredRoot>,
    /// Secrets of segments that were made under a root that is gone, by id, with the segment's nonce.
    kept: BTreeMap<u64, (u64, SecretKey)>,
    /// Whether none is missing among them.
    whole: bool,
    /// Whether the newest root was learnt, and not yet what is kept under it.
    unread: bool,
}

/// A shred root: everything in a store hangs on it, so that what is lost with it is lost for good.
pub struct ShredRoot {
    key: SecretKey,
    name: u64,
}

impl ShredRoot {
    fn of(key: SecretKey, store_id: &[u8; 16]) -> ShredRoot {
        let name = key.derive(contexts::SHRED_NAME, &[store_id]);
        let name = u64::from_le_bytes(*name.as_bytes().first_chunk().expect("eight of thirty-two"));
        ShredRoot { key, name }
    }

    /// What it is called where it is referred to: says nothing of it.
    pub fn name(&self) -> u64 {
        self.name
    }
}

impl Shreds {
    fn find(&self, name: u64) -> Option<&ShredRoot> {
        std::iter::once(&self.newest).chain(&self.older).find(|root| root.name == name)
    }
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
        let ring = Keyring::of(root, ShredRoot::of(shred, &store_id), store_id, nonces);
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
        let shred = open_shred(&root, &nonces, &wrapped.shred, &store_id)
            .ok_or(Locked::Wrong("the key within the key does not open"))?;
        Ok(Keyring::of(root, shred, store_id, nonces))
    }

    fn of(root: SecretKey, newest: ShredRoot, store_id: [u8; 16], nonces: Arc<Nonces>) -> Keyring {
        let shreds = Shreds { newest, older: Vec::new(), kept: BTreeMap::new(), whole: false, unread: false };
        Keyring { root, shreds: RwLock::new(shreds), store_id, nonces }
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
        if key_id.len() > super::provider::MAX_KEY_ID
            || root.is_empty()
            || root.len() > super::provider::MAX_WRAPPED
        {
            return Err(Locked::Wrong("a name of a key has up to 255 bytes, and a wrapped key 1 to 1024"));
        }
        // Whoever wraps what he cannot unwrap would lose the store.
        match provider.unwrap(&key_id, &root, &wrap_context(self.store_id)).map_err(Locked::Provider)? {
            back if back == self.root => {}
            _ => return Err(Locked::Wrong("the provider does not unwrap what it has wrapped")),
        }
        let shred = self.wrap_shred(&self.shreds.read().newest);
        Ok(Wrapped { key_id, root, commitment: commitment(&self.root, self.store_id), shred })
    }

    /// A shred root as the superblock keeps it.
    pub fn wrap_shred(&self, shred: &ShredRoot) -> [u8; SHRED_WRAP_LEN] {
        let wrap = shred_wrap(&self.root, &self.nonces, &self.store_id);
        let mut bytes = Zeroizing::new(Vec::with_capacity(SHRED_WRAP_LEN));
        bytes.extend_from_slice(shred.key.as_bytes());
        wrap.seal(&self.store_id, &mut bytes, 0);
        bytes[..].try_into().expect("a key and its seal")
    }

    /// A shred root that nothing hangs on yet.
    pub fn new_shred(&self) -> ShredRoot {
        let nonces = &self.nonces;
        ShredRoot::of(SecretKey::random(&mut |bytes: &mut [u8]| nonces.fill(bytes)), &self.store_id)
    }

    /// The name of the newest shred root.
    pub fn shred_name(&self) -> u64 {
        self.shreds.read().newest.name
    }

    /// Learns the shred root that a superblock keeps: the newest from now on. What hangs on older ones can still be
    /// opened by this ring. Says whether what is kept under it is [still to be read](Keyring::has_read_kept); `None` if it
    /// does not open.
    pub fn learn(&self, wrapped: &[u8; SHRED_WRAP_LEN]) -> Option<bool> {
        let root = open_shred(&self.root, &self.nonces, wrapped, &self.store_id)?;
        let mut shreds = self.shreds.write();
        if shreds.newest.name == root.name {
            return Some(shreds.unread);
        }
        shreds.unread = shreds.find(root.name).is_none();
        shreds.older.retain(|older| older.name != root.name);
        let before = std::mem::replace(&mut shreds.newest, root);
        shreds.older.push(before);
        Some(shreds.unread)
    }

    /// Learns a shred root as an older one.
    pub fn learn_older(&self, wrapped: &[u8; SHRED_WRAP_LEN]) {
        let Some(root) = open_shred(&self.root, &self.nonces, wrapped, &self.store_id) else { return };
        let mut shreds = self.shreds.write();
        if shreds.find(root.name).is_none() {
            shreds.older.push(root);
        }
    }

    /// The secret that everything in a segment hangs on. `None` if it was destroyed with the root that it hung on.
    pub fn secret(&self, id: u64, nonce: u64, shred: u64) -> Option<SecretKey> {
        let shreds = self.shreds.read();
        if let Some(root) = shreds.find(shred) {
            let parts: [&[u8]; 3] = [&self.store_id, &id.to_le_bytes(), &nonce.to_le_bytes()];
            return Some(root.key.derive(contexts::SECRET, &parts));
        }
        let kept = shreds.kept.get(&id).filter(|(of, _)| *of == nonce);
        kept.map(|(_, secret)| SecretKey::new(*secret.as_bytes()))
    }

    /// The secret of a segment, to be kept when the root that it hangs on is destroyed.
    pub fn keep(&self, under: &ShredRoot, id: u64, nonce: u64, secret: &SecretKey) -> [u8; KEPT_LEN] {
        let mut record = Zeroizing::new(Vec::with_capacity(KEPT_LEN));
        record.extend_from_slice(&id.to_le_bytes());
        record.extend_from_slice(&nonce.to_le_bytes());
        let place: [u8; 16] = record[..].try_into().expect("two words");
        record.extend_from_slice(secret.as_bytes());
        self.keeping(under).seal(&place, &mut record, 16);
        record[..].try_into().expect("two words, a key and its seal")
    }

    /// Takes in what was kept under the shred root of this name; says whether it opened.
    pub fn take_kept(&self, under: u64, record: &[u8; KEPT_LEN]) -> bool {
        let mut shreds = self.shreds.write();
        let Some(sealer) = shreds.find(under).map(|root| self.keeping(root)) else { return false };
        let (place, sealed) = record.split_at(16);
        let mut sealed = Zeroizing::new(sealed.to_vec());
        let opened = sealer.open(place, &mut sealed).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let Some(secret) = opened else { return false };
        let word = |at: usize| u64::from_le_bytes(place[at..at + 8].try_into().expect("eight bytes"));
        shreds.kept.insert(word(0), (word(8), SecretKey::new(secret)));
        true
    }

    fn keeping(&self, under: &ShredRoot) -> Sealer {
        Sealer::new(&under.key.derive(contexts::KEPT, &[&self.store_id]), self.nonces.clone())
    }

    /// Goes over to another shred root, and knows nothing any more that is not in `kept`: ids, nonces and secrets of
    /// the segments that there are.
    pub fn turn_to(&self, shred: ShredRoot, kept: BTreeMap<u64, (u64, SecretKey)>) {
        *self.shreds.write() = Shreds { newest: shred, older: Vec::new(), kept, whole: true, unread: false };
    }

    /// Takes note that what is kept under the newest root was read, as far as it could be.
    pub fn has_read_kept(&self) {
        self.shreds.write().unread = false;
    }

    /// Takes note that all was taken in that is kept under the newest root: what is not opened now never will be.
    pub fn has_all_kept(&self) {
        self.shreds.write().whole = true;
    }

    /// Whether a segment that does not open never will.
    pub fn knows_what_is_lost(&self) -> bool {
        self.shreds.read().whole
    }

    /// Seals the records of the segment with this id, nonce and secret.
    pub fn segment(&self, secret: &SecretKey, id: u64, nonce: u64) -> Sealer {
        let parts: [&[u8]; 3] = [&self.store_id, &id.to_le_bytes(), &nonce.to_le_bytes()];
        Sealer::new(&secret.derive(contexts::SEGMENT, &parts), self.nonces.clone())
    }

    /// Seals the pages of the index file with this number.
    pub fn pages(&self, file: u8) -> Sealer {
        self.pages_under(&self.shreds.read().newest, file)
    }

    /// The same, under the shred root that a superblock keeps, which need not be the newest.
    pub fn pages_by(&self, wrapped: &[u8; SHRED_WRAP_LEN], file: u8) -> Option<Sealer> {
        let shred = open_shred(&self.root, &self.nonces, wrapped, &self.store_id)?;
        Some(self.pages_under(&shred, file))
    }

    /// The same, under a shred root that is not used yet.
    pub fn pages_under(&self, shred: &ShredRoot, file: u8) -> Sealer {
        Sealer::new(&shred.key.derive(contexts::PAGES, &[&self.store_id, &[file]]), self.nonces.clone())
    }

    /// Sums a slot of the superblock, of which `digest` is the hash.
    pub fn superblock_sum(&self, digest: &[u8; 32]) -> [u8; 32] {
        *self.root.derive(contexts::SUPERBLOCK, &[&self.store_id, digest]).as_bytes()
    }

    /// Where a body begins: what leads to its key. `first` is how it begins.
    pub fn body_nonce(&self, place: &BodyPlace, first: &[u8]) -> [u8; BODY_NONCE_LEN] {
        self.nonces.draw(&[0; 16], &place.encode(), first)
    }

    /// Seals the chunks of the body in this place, in a segment with this secret.
    pub fn body(&self, secret: &SecretKey, place: &BodyPlace, nonce: &[u8; BODY_NONCE_LEN]) -> ChunkSealer {
        let key = secret.derive(contexts::BODY, &[&self.store_id, &place.encode(), nonce]);
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

fn shred_wrap(root: &SecretKey, nonces: &Arc<Nonces>, store_id: &[u8; 16]) -> Sealer {
    Sealer::new(&root.derive(contexts::SHRED_WRAP, &[store_id]), nonces.clone())
}

fn open_shred(
    root: &SecretKey,
    nonces: &Arc<Nonces>,
    wrapped: &[u8; SHRED_WRAP_LEN],
    store_id: &[u8; 16],
) -> Option<ShredRoot> {
    let mut bytes = Zeroizing::new(*wrapped);
    let opened = shred_wrap(root, nonces, store_id).open(store_id, &mut bytes[..]).ok()?;
    let key = SecretKey::new(<[u8; 32]>::try_from(&*opened).ok()?);
    Some(ShredRoot::of(key, store_id))
}

fn commitment(root: &SecretKey, store_id: [u8; 16]) -> [u8; 32] {
    *root.derive(contexts::COMMITMENT, &[&store_id]).as_bytes()
}

fn wrap_context(store_id: [u8; 16]) -> Vec<u8> {
    [&b"ossicle store root "[..], &store_id].concat()
}

impl fmt::Debug for ShredRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShredRoot").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::nonces::tests::Stuck;
    use super::super::provider::KeyCallback;
    use super::super::provider::StaticKey;
    use super::*;

    /// Never the same twice.
    #[derive(Debug, Default)]
    struct Counting(std::sync::atomic::AtomicU64);

    impl Chance for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            let number = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof().fill(bytes);
        }
    }

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
        let of = |ring: &Keyring, id, nonce| {
            ring.segment(&ring.secret(id, nonce, ring.shred_name()).unwrap(), id, nonce)
        };
        of(&ring, 1, 2).seal(b"", &mut unit, 0);
        assert_eq!(of(&back, 1, 2).open(b"", &mut unit.clone()).unwrap(), b"x");
        assert!(of(&back, 2, 2).open(b"", &mut unit.clone()).is_err());
        assert!(of(&back, 1, 3).open(b"", &mut unit.clone()).is_err());
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
        assert_eq!(back.root, ring.root);
        assert_eq!(back.shreds.read().newest.key, ring.shreds.read().newest.key);
    }

    #[test]
    fn with_its_shred_root_a_segment_is_lost_unless_its_secret_was_kept() {
        let provider = StaticKey::new([1; 32]);
        let (ring, wrapped) = Keyring::make(&provider, [9; 16], b"", Arc::new(Counting::default())).unwrap();
        let old = ring.shred_name();
        let secret = |ring: &Keyring, id| ring.secret(id, 7, old);
        let (kept_secret, lost_secret) = (secret(&ring, 1).unwrap(), secret(&ring, 2).unwrap());
        assert_ne!(kept_secret, lost_secret);
        let next = ring.new_shred();
        let (name, shred) = (next.name(), ring.wrap_shred(&next));
        assert_ne!(name, old);
        let record = ring.keep(&next, 1, 7, &kept_secret);
        let copy = SecretKey::new(*kept_secret.as_bytes());
        ring.turn_to(next, BTreeMap::from([(1, (7, copy))]));
        assert_eq!(secret(&ring, 1), Some(SecretKey::new(*kept_secret.as_bytes())));
        assert_eq!((secret(&ring, 2), ring.secret(1, 8, old)), (None, None));

        let wrapped = Wrapped { shred, ..wrapped };
        let open = || Keyring::open(&provider, &wrapped, [9; 16], b"", Arc::new(Stuck)).unwrap();
        let back = open();
        assert_eq!((back.shred_name(), secret(&back, 1)), (name, None));
        for place in 0..KEPT_LEN {
            let mut bad = record;
            bad[place] ^= 1;
            assert!(!back.take_kept(name, &bad), "byte {place}");
        }
        assert!(!back.take_kept(old, &record) && back.take_kept(name, &record));
        assert_eq!(secret(&back, 1), Some(kept_secret));
        assert_eq!(secret(&back, 2), None);
    }

    #[test]
    fn a_reader_goes_over_to_another_shred_root_and_still_opens_what_it_knew() {
        let provider = StaticKey::new([1; 32]);
        let (ring, _) = Keyring::make(&provider, [9; 16], b"", Arc::new(Counting::default())).unwrap();
        let (old, wrapped) = (ring.shred_name(), ring.wrap(&provider).unwrap().shred);
        let next = ring.new_shred();
        let shred = ring.wrap_shred(&next);
        assert_eq!(
            (ring.learn(&wrapped), ring.learn(&shred), ring.learn(&shred)),
            (Some(false), Some(true), Some(true)),
            "what is kept is to be read until it was"
        );
        ring.has_read_kept();
        assert_eq!(ring.learn(&shred), Some(false));
        assert_eq!(ring.shred_name(), next.name());
        assert!(ring.secret(1, 1, old).is_some());
        assert_eq!(ring.learn(&[0; SHRED_WRAP_LEN]), None);
    }

    #[test]
    fn a_body_opens_only_where_it_lies() {
        let (ring, _) = Keyring::make(&StaticKey::new([1; 32]), [9; 16], b"", Arc::new(Stuck)).unwrap();
        let place = BodyPlace { segment: 1, nonce: 2, offset: 128, chunk_log2: 16, payload: false };
        let nonce = ring.body_nonce(&place, b"body");
        let mut chunk = *b"body";
        let secret = ring.secret(1, 2, ring.shred_name()).unwrap();
        let tag = ring.body(&secret, &place, &nonce).seal(0, true, &mut chunk);
        ring.body(&secret, &place, &nonce).open(0, true, &mut chunk.clone(), &tag).unwrap();
        for other in [
            BodyPlace { segment: 2, ..place },
            BodyPlace { nonce: 3, ..place },
            BodyPlace { offset: 136, ..place },
            BodyPlace { chunk_log2: 17, ..place },
            BodyPlace { payload: true, ..place },
        ] {
            assert!(ring.body(&secret, &other, &nonce).open(0, true, &mut chunk.clone(), &tag).is_err());
        }
    }
}
