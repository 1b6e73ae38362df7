//! How objects are encrypted, besides the encryption of a whole store: what is asked for, and what is reported.

use std::fmt;

use crate::error::{Error, Result};

/// The longest name of a key, in bytes.
const MAX_KEY_ID: usize = 255;

/// An encryption that is asked for: of a bucket, for what is written to it from then on; or of one object, which comes
/// before the bucket's.
///
/// ```
/// # fn main() -> ossicle::Result<()> {
/// use ossicle::{Encryption, PutOptions, StaticKey, Store};
/// # let dir = tempfile::tempdir().unwrap();
/// let store = Store::builder(dir.path().join("store")).kms(StaticKey::new([7; 32]).named("letters-key")).open()?;
/// let letters = store.create_bucket("letters")?;
/// letters.set_config(&Encryption::kms("letters-key"))?;
/// letters.put("to-ann", b"dear ann")?;
/// assert_eq!(letters.head("to-ann")?.encryption().unwrap().key_id(), Some("letters-key"));
/// # store.close()
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Encryption {
    kms: Option<String>,
}

impl Encryption {
    /// With the store's own key (OSS: `AES256`). The store must be encrypted; then everything in it is, and this setting makes the
    /// objects report it.
    pub fn aes256() -> Encryption {
        Encryption { kms: None }
    }

    /// With a key of the bucket's own, which the key of this name wraps (OSS: `KMS`). The key is given when the store is
    /// opened, see [`StoreBuilder::kms`](crate::StoreBuilder::kms). The store need not be encrypted itself.
    pub fn kms(key_id: impl Into<String>) -> Encryption {
        Encryption { kms: Some(key_id.into()) }
    }

    /// Reads what the headers of OSS say: `AES256`, or `KMS` with the name of a key.
    ///
    /// # Errors
    /// `InvalidEncryptionAlgorithmError` for another name; `InvalidArgument` for a name of a key with `AES256`, or for `KMS`
    /// without one.
    pub fn parse(algorithm: &str, key_id: Option<&str>) -> Result<Encryption> {
        let encryption = match (algorithm, key_id) {
            ("AES256", None) => Encryption::aes256(),
            ("KMS", Some(id)) => Encryption::kms(id),
            ("AES256", Some(_)) => {
                return Err(Error::invalid(
                    "InvalidArgument",
                    "AES256 takes no name of a key; say KMS for that",
                ));
            }
            ("KMS", None) => {
                return Err(Error::invalid("InvalidArgument", "KMS takes the name of a key; say which one"));
            }
            _ => {
                return Err(Error::invalid(
                    "InvalidEncryptionAlgorithmError",
                    format!("{algorithm:?} is no encryption; there are AES256 and KMS"),
                ));
            }
        };
        encryption.check()?;
        Ok(encryption)
    }

    /// The name that OSS has for it: `AES256` or `KMS`.
    pub fn algorithm(&self) -> &'static str {
        if self.kms.is_some() { "KMS" } else { "AES256" }
    }

    /// The name of the key, with `KMS`.
    pub fn key_id(&self) -> Option<&str> {
        self.kms.as_deref()
    }

    /// `InvalidArgument` for a name that no key has.
    pub(crate) fn check(&self) -> Result<()> {
        match &self.kms {
            Some(id) if id.is_empty() || id.len() > MAX_KEY_ID || id.chars().any(char::is_control) => {
                Err(Error::invalid(
                    "InvalidArgument",
                    format!("the name of a key has 1 to {MAX_KEY_ID} bytes and no control characters"),
                ))
            }
            _ => Ok(()),
        }
    }
}

/// `AES256`, or `KMS:` and the name of the key.
impl fmt::Display for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kms {
            None => f.write_str("AES256"),
            Some(id) => write!(f, "KMS:{id}"),
        }
    }
}

/// How an object is encrypted, as [`ObjectMeta::encryption`](crate::ObjectMeta::encryption) reports it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServerSideEncryption {
    /// With the store's own key, as the put or the bucket asked for.
    Aes256,
    /// With a key of its bucket, which a named key wraps.
    Kms {
        /// The name of the key.
        key_id: String,
    },
    /// With a customer's key, which every reader must pass.
    Customer {
        /// The MD5 of the key in Base64, as [`CustomerKey::fingerprint`](crate::CustomerKey::fingerprint) tells it.
        fingerprint: String,
    },
}

impl ServerSideEncryption {
    /// The name that OSS and S3 have for it: `AES256` (also with a customer's key) or `KMS`.
    pub fn algorithm(&self) -> &'static str {
        match self {
            ServerSideEncryption::Aes256 | ServerSideEncryption::Customer { .. } => "AES256",
            ServerSideEncryption::Kms { .. } => "KMS",
        }
    }

    /// The name of the key, with `KMS`.
    pub fn key_id(&self) -> Option<&str> {
        match self {
            ServerSideEncryption::Kms { key_id } => Some(key_id),
            _ => None,
        }
    }

    /// The fingerprint of the customer's key.
    pub fn customer_fingerprint(&self) -> Option<&str> {
        match self {
            ServerSideEncryption::Customer { fingerprint } => Some(fingerprint),
            _ => None,
        }
    }
}

/// `AES256`, `KMS:` and the name of the key, or `customer key` and its fingerprint.
impl fmt::Display for ServerSideEncryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerSideEncryption::Aes256 => f.write_str("AES256"),
            ServerSideEncryption::Kms { key_id } => write!(f, "KMS:{key_id}"),
            ServerSideEncryption::Customer { fingerprint } => write!(f, "customer key {fingerprint}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_oss_reads_them() {
        assert_eq!(Encryption::parse("AES256", None).unwrap(), Encryption::aes256());
        assert_eq!(Encryption::parse("KMS", Some("k")).unwrap(), Encryption::kms("k"));
        let code = |algorithm, key_id| Encryption::parse(algorithm, key_id).unwrap_err().code();
        for unknown in ["SM4", "aes256", "", "ROT13"] {
            assert_eq!(code(unknown, None), "InvalidEncryptionAlgorithmError");
        }
        let long = "k".repeat(256);
        for (algorithm, key_id) in [
            ("AES256", Some("k")),
            ("KMS", None),
            ("KMS", Some("")),
            ("KMS", Some(&long)),
            ("KMS", Some("a\nb")),
        ] {
            assert_eq!(code(algorithm, key_id), "InvalidArgument");
        }
    }
}
