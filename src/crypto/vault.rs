//! Keys with names: whoever wraps and unwraps the keys of buckets, and those that are unwrapped; and keys of customers.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use md5::{Digest as _, Md5};
use parking_lot::Mutex;

use super::keyring::Locked;
use super::nonces::{Chance, Nonces};
use super::provider::{KeyProvider, MAX_KEY_ID, MAX_WRAPPED};
use super::secret::SecretKey;

/// What a bucket's key is called, among all that there ever were: random.
pub type Generation = [u8; 16];

/// A key that a caller brings with each request and that is never stored (OSS and S3: SSE-C). It must be random, not a
/// password. It is wiped when the last of its clones is dropped, and never printed.
///
/// ```
/// # fn main() -> ossicle::Result<()> {
/// # let store = ossicle::Store::in_memory()?;
/// # let bucket = store.create_bucket("letters")?;
/// use ossicle::{CustomerKey, GetOptions, PutOptions};
/// let key = CustomerKey::new([7; 32]);
/// bucket.put_with("to-ann", b"dear ann", PutOptions::new().customer_key(&key))?;
/// assert!(bucket.get("to-ann").is_err());
/// assert_eq!(&bucket.get_with("to-ann", GetOptions::new().customer_key(&key))?.bytes()?[..], b"dear ann");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct CustomerKey(Arc<SecretKey>);

impl CustomerKey {
    /// The key with these bytes. The array that is handed in is the caller's to wipe.
    pub fn new(bytes: [u8; 32]) -> CustomerKey {
        CustomerKey(Arc::new(SecretKey::new(bytes)))
    }

    /// What the key is known by: the MD5 of its bytes in Base64, as the header `…-customer-key-MD5` of S3 has it. It stands
    /// with every object that was written with the key.
    pub fn fingerprint(&self) -> String {
        fingerprint_text(&self.mark())
    }

    /// The same, as bytes.
    pub fn mark(&self) -> [u8; 16] {
        Md5::digest(self.0.as_bytes()).into()
    }

    /// The key itself.
    pub fn secret(&self) -> &SecretKey {
        &self.0
    }
}

impl fmt::Debug for CustomerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CustomerKey(..)")
    }
}

/// Sixteen bytes in Base64.
pub fn fingerprint_text(mark: &[u8; 16]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(24);
    for group in mark.chunks(3) {
        let bits = group.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for at in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// A bucket's key that was made just now.
#[derive(Clone, Debug)]
pub struct MadeKey {
    /// What it is called.
    pub generation: Generation,
    /// The key.
    pub key: Arc<SecretKey>,
    /// The key, wrapped.
    pub wrapped: Vec<u8>,
    /// Proves that what is unwrapped is the key.
    pub commitment: [u8; 32],
}

/// The named keys that a store was opened with, and what they have unwrapped.
pub struct Vault {
    providers: Vec<(String, Arc<dyn KeyProvider>)>,
    nonces: Arc<Nonces>,
    open: Mutex<BTreeMap<Generation, Arc<SecretKey>>>,
    /// Keys that were made for a bucket under a name, whether or not they were ever written down.
    fresh: Mutex<BTreeMap<(u64, String), MadeKey>>,
}

impl Vault {
    /// A vault with these providers; of two with the same name the first counts.
    pub fn new(providers: Vec<Arc<dyn KeyProvider>>, moment: &[u8], chance: Arc<dyn Chance>) -> Vault {
        let hedge = SecretKey::random(&mut |bytes| chance.fill(bytes));
        let providers = providers.into_iter().map(|provider| (provider.key_id(), provider)).collect();
        Vault {
            providers,
            nonces: Arc::new(Nonces::new(&hedge, moment, chance)),
            open: Mutex::default(),
            fresh: Mutex::default(),
        }
    }

    /// Whether there is any provider.
    pub fn is_empty(&self) -> bool {
        self.providers.is_empty()
    }

    /// Whether the key of this name can be asked for.
    pub fn knows(&self, key_id: &str) -> bool {
        self.provider(key_id).is_some()
    }

    fn provider(&self, key_id: &str) -> Option<&Arc<dyn KeyProvider>> {
        self.providers.iter().find(|(id, _)| id == key_id).map(|(_, provider)| provider)
    }

    /// Where the nonces of envelopes come from.
    pub fn nonces(&self) -> &Arc<Nonces> {
        &self.nonces
    }

    /// Random bytes that no other object has.
    pub fn salt(&self) -> [u8; 32] {
        let mut salt = [0; 32];
        for (half, number) in salt.chunks_exact_mut(16).zip(0u8..) {
            // Hedged as nonces are.
            half.copy_from_slice(&self.nonces.draw(&[0; 16], &[number], b"salt")[..16]);
        }
        salt
    }

    /// Makes a bucket's key and has it wrapped; `None` if there is no provider of that name.
    pub fn make(&self, key_id: &str) -> Option<Result<MadeKey, Locked>> {
        self.provider(key_id).map(|provider| self.make_with(&**provider, key_id))
    }

    /// The same for the first key of a bucket under a name: as long as nobody has written it down, everybody gets the one
    /// that was made first.
    pub fn make_once(&self, bucket: u64, key_id: &str) -> Option<Result<MadeKey, Locked>> {
        let place = (bucket, key_id.to_string());
        if let Some(made) = self.fresh.lock().get(&place) {
            return Some(Ok(made.clone()));
        }
        let made = self.make(key_id)?;
        // Without the lock in between: a service may take its time, and who comes first wins.
        Some(made.map(|made| self.fresh.lock().entry(place).or_insert(made).clone()))
    }

    fn make_with(&self, provider: &dyn KeyProvider, key_id: &str) -> Result<MadeKey, Locked> {
        let key = Arc::new(SecretKey::random(&mut |bytes| self.nonces.fill(bytes)));
        let generation = *self.nonces.draw(&[0; 16], b"", b"generation").first_chunk().expect("24 hold 16");
        let (context, mut fresh) = (context(&generation), [0; 64]);
        self.nonces.fill(&mut fresh);
        let wrapped = provider.wrap(&key, &context, &fresh).map_err(Locked::Provider)?;
        if key_id.len() > MAX_KEY_ID || wrapped.is_empty() || wrapped.len() > MAX_WRAPPED {
            return Err(Locked::Wrong("a name of a key has up to 255 bytes, and a wrapped key 1 to 1024"));
        }
        // Whoever wraps what he cannot unwrap would lose the objects.
        match provider.unwrap(key_id, &wrapped, &context).map_err(Locked::Provider)? {
            back if back == *key => {}
            _ => return Err(Locked::Wrong("the provider does not unwrap what it has wrapped")),
        }
        let commitment = commitment(&key, &generation);
        self.open.lock().insert(generation, key.clone());
        Ok(MadeKey { generation, key, wrapped, commitment })
    }

    /// Unwraps a bucket's key, once as long as the store is open; `None` if there is no provider of that name.
    pub fn unwrap(
        &self,
        generation: Generation,
        key_id: &str,
        wrapped: &[u8],
        kept: &[u8; 32],
    ) -> Option<Result<Arc<SecretKey>, Locked>> {
        if let Some(key) = self.open.lock().get(&generation) {
            return Some(Ok(key.clone()));
        }
        let provider = self.provider(key_id)?;
        // Without the lock: a service may take its time.
        let key = match provider.unwrap(key_id, wrapped, &context(&generation)) {
            Ok(key) => Arc::new(key),
            Err(error) => return Some(Err(Locked::Provider(error))),
        };
        if blake3::Hash::from_bytes(commitment(&key, &generation)) != *kept {
            return Some(Err(Locked::Wrong("it is not the key of this bucket")));
        }
        self.open.lock().insert(generation, key.clone());
        Some(Ok(key))
    }
}

fn context(generation: &Generation) -> Vec<u8> {
    [&b"ossicle bucket key "[..], generation].concat()
}

fn commitment(key: &SecretKey, generation: &Generation) -> [u8; 32] {
    *key.derive(super::contexts::BUCKET_COMMITMENT, &[generation]).as_bytes()
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.providers.iter().map(|(id, _)| id.as_str()).collect();
        f.debug_struct("Vault").field("keys", &names).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::nonces::tests::Stuck;
    use super::super::provider::StaticKey;
    use super::*;

    fn vault(bytes: [u8; 32]) -> Vault {
        Vault::new(vec![Arc::new(StaticKey::new(bytes).named("one"))], b"", Arc::new(Stuck))
    }

    #[test]
    fn bucket_keys_come_back_from_their_provider_only() {
        let made = vault([1; 32]).make("one").unwrap().unwrap();
        let unwrap = |vault: Vault, id, wrapped: &[u8], kept: &[u8; 32]| {
            vault.unwrap(made.generation, id, wrapped, kept)
        };
        let back = unwrap(vault([1; 32]), "one", &made.wrapped, &made.commitment).unwrap().unwrap();
        assert_eq!(back, made.key);
        assert!(unwrap(vault([1; 32]), "two", &made.wrapped, &made.commitment).is_none());
        let wrong = unwrap(vault([2; 32]), "one", &made.wrapped, &made.commitment).unwrap();
        assert!(matches!(wrong, Err(Locked::Provider(_))));
        let wrong = unwrap(vault([1; 32]), "one", &made.wrapped, &[0; 32]).unwrap();
        assert!(matches!(wrong, Err(Locked::Wrong(_))));
        assert!(vault([1; 32]).make("two").is_none());
    }

    #[test]
    fn a_fingerprint_is_the_md5_in_base64_and_the_key_is_not_printed() {
        // As `openssl md5 -binary | base64` says of 32 bytes of zero.
        assert_eq!(CustomerKey::new([0; 32]).fingerprint(), "cLyPS3KoaSFGi/joRB3OUQ==");
        assert_eq!(format!("{:?}", CustomerKey::new([0; 32])), "CustomerKey(..)");
    }

    #[test]
    fn salts_differ_even_where_chance_repeats_itself() {
        let vault = vault([1; 32]);
        assert_ne!(vault.salt(), vault.salt());
    }
}
