//! A master key that somebody else holds, such as a key management service.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::description::Description;
use super::master_key::{KMS, MasterKey};

type Wrap = dyn Fn(&[u8]) -> io::Result<Vec<u8>> + Send + Sync;

/// A master key that a service holds: two functions, one that wraps and one that unwraps. Objects that the SDKs wrote with
/// Alibaba Cloud's service (`KMS/ALICLOUD`) are read and written with [`KeyService::kms`].
///
/// ```
/// # fn main() -> ossicle::Result<()> {
/// # fn ask(bytes: &[u8]) -> std::io::Result<Vec<u8>> { Ok(bytes.iter().map(|byte| byte ^ 0x5A).collect()) }
/// use ossicle::adapters::client_encryption::{EncryptedBucket, KeyService};
/// # let store = ossicle::Store::in_memory()?;
/// # let bucket = store.create_bucket("letters")?;
/// let service = KeyService::kms(
///     |secret| ask(secret),  // `Encrypt` of the service
///     |wrapped| ask(wrapped), // `Decrypt` of the service
/// );
/// let letters = EncryptedBucket::new(&bucket, service);
/// letters.put("to-ann", b"dear ann")?;
/// assert_eq!(letters.get("to-ann")?.bytes()?, b"dear ann");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct KeyService {
    algorithm: String,
    description: Description,
    wrap: Arc<Wrap>,
    unwrap: Arc<Wrap>,
}

impl KeyService {
    /// Alibaba Cloud's service. The functions get and give bytes, and it is theirs to put them into the Base64 that the
    /// service speaks: the plain text in both directions, and, where the Go and Java SDKs shall read it, the answer of
    /// `Encrypt` too (the Python SDK keeps that as the text it is).
    pub fn kms(
        wrap: impl Fn(&[u8]) -> io::Result<Vec<u8>> + Send + Sync + 'static,
        unwrap: impl Fn(&[u8]) -> io::Result<Vec<u8>> + Send + Sync + 'static,
    ) -> KeyService {
        KeyService::named(KMS, wrap, unwrap)
    }

    /// A service of your own, with the name that shall stand in the metadata as the algorithm of wrapping (`wrap-alg`).
    pub fn named(
        algorithm: impl Into<String>,
        wrap: impl Fn(&[u8]) -> io::Result<Vec<u8>> + Send + Sync + 'static,
        unwrap: impl Fn(&[u8]) -> io::Result<Vec<u8>> + Send + Sync + 'static,
    ) -> KeyService {
        let description = Description::default();
        KeyService {
            algorithm: algorithm.into(),
            description,
            wrap: Arc::new(wrap),
            unwrap: Arc::new(unwrap),
        }
    }

    /// The same service with a description, which is written with each object and which it is found by among several.
    pub fn described(self, description: impl Into<Description>) -> KeyService {
        KeyService { description: description.into(), ..self }
    }
}

impl MasterKey for KeyService {
    fn algorithm(&self) -> &str {
        &self.algorithm
    }

    fn description(&self) -> &Description {
        &self.description
    }

    fn wrap(&self, secret: &[u8]) -> io::Result<Vec<u8>> {
        (self.wrap)(secret)
    }

    fn unwrap(&self, _: &str, wrapped: &[u8]) -> io::Result<Vec<u8>> {
        (self.unwrap)(wrapped)
    }
}

impl fmt::Debug for KeyService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyService")
            .field("algorithm", &self.algorithm)
            .field("description", &self.description)
            .finish_non_exhaustive()
    }
}
