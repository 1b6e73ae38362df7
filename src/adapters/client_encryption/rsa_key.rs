//! An RSA key as the master key, read from PEM.

use std::convert::Infallible;
use std::fmt;
use std::io;

use rsa::pkcs1::{DecodeRsaPrivateKey, DecodeRsaPublicKey};
use rsa::pkcs8::{DecodePrivateKey, DecodePublicKey};
use rsa::rand_core::{TryCryptoRng, TryRng};
use rsa::traits::PublicKeyParts;
use rsa::{Oaep, Pkcs1v15Encrypt, RsaPrivateKey, RsaPublicKey};
use sha1::Sha1;

use super::description::Description;
use super::master_key::{MasterKey, RSA_OAEP, RSA_PKCS1};
use crate::{Entropy, Error, OsEntropy, Result};

/// An RSA key that wraps the keys of bodies, as all OSS SDKs have it.
///
/// It wraps with the padding of PKCS#1 1.5, which every SDK reads, and unwraps OAEP with SHA-1 too, which `oss2` writes
/// with its `LocalRsaProvider`. With the public half alone, objects can be written and not be read.
///
/// Nobody who can put objects of his own should learn how long unwrapping takes: see SECURITY.md on RSA.
#[derive(Clone)]
pub struct RsaMasterKey {
    public: RsaPublicKey,
    private: Option<RsaPrivateKey>,
    description: Description,
}

impl RsaMasterKey {
    /// Reads a key: `PRIVATE KEY` (PKCS#8), `RSA PRIVATE KEY` (PKCS#1), `PUBLIC KEY` or `RSA PUBLIC KEY`, of 1024 to
    /// 8192 bits; use 2048 or more for new ones.
    ///
    /// # Errors
    /// `InvalidArgument` for anything else, keys with a passphrase included.
    pub fn from_pem(pem: &str) -> Result<RsaMasterKey> {
        let (label, pem) = block(pem).ok_or_else(|| {
            invalid(
                "this is no PEM: a line `-----BEGIN PRIVATE KEY-----` or the like, and its end, are missing",
            )
        })?;
        let malformed = |error: &dyn fmt::Display| {
            invalid(format!("the {label} in the PEM is no RSA key of 1024 to 8192 bits ({error})"))
        };
        if label == "ENCRYPTED PRIVATE KEY" || pem.contains("Proc-Type:") {
            return Err(invalid(
                "the key is protected by a passphrase; take that off first, with `openssl pkey -in FILE -out FILE`",
            ));
        }
        let private = match label {
            "PRIVATE KEY" => Some(RsaPrivateKey::from_pkcs8_pem(pem).map_err(|error| malformed(&error))?),
            "RSA PRIVATE KEY" => Some(RsaPrivateKey::from_pkcs1_pem(pem).map_err(|error| malformed(&error))?),
            _ => None,
        };
        let public = match (&private, label) {
            (Some(private), _) => private.to_public_key(),
            (None, "PUBLIC KEY") => {
                RsaPublicKey::from_public_key_pem(pem).map_err(|error| malformed(&error))?
            }
            (None, "RSA PUBLIC KEY") => {
                RsaPublicKey::from_pkcs1_pem(pem).map_err(|error| malformed(&error))?
            }
            _ => return Err(invalid(format!("the PEM has a {label}, and an RSA key is wanted"))),
        };
        Ok(RsaMasterKey { public, private, description: Description::default() })
    }

    /// The same key with a description, which is written with each object and which it is found by among several.
    pub fn described(self, description: impl Into<Description>) -> RsaMasterKey {
        RsaMasterKey { description: description.into(), ..self }
    }
}

fn invalid(why: impl Into<String>) -> Error {
    Error::invalid("InvalidArgument", why)
}

/// The first block of a PEM file, and what it says it is.
fn block(pem: &str) -> Option<(&str, &str)> {
    let begin = pem.find("-----BEGIN ")?;
    let pem = &pem[begin..];
    let (label, _) = pem.strip_prefix("-----BEGIN ")?.split_once("-----")?;
    let end = format!("-----END {label}-----");
    let until = pem.find(&end)? + end.len();
    Some((label, &pem[..until]))
}

impl MasterKey for RsaMasterKey {
    fn algorithm(&self) -> &str {
        RSA_PKCS1
    }

    fn unwraps(&self, algorithm: &str) -> bool {
        [RSA_PKCS1, RSA_OAEP].contains(&algorithm)
    }

    fn description(&self) -> &Description {
        &self.description
    }

    fn wrap(&self, secret: &[u8]) -> io::Result<Vec<u8>> {
        self.public.encrypt(&mut SystemRandom, Pkcs1v15Encrypt, secret).map_err(io::Error::other)
    }

    fn unwrap(&self, algorithm: &str, wrapped: &[u8]) -> io::Result<Vec<u8>> {
        let denied = |why: String| io::Error::new(io::ErrorKind::PermissionDenied, why);
        let private = self.private.as_ref().ok_or_else(|| {
            denied("it is the public half of the key alone, and reading needs the private one".to_owned())
        })?;
        // Blinded, so that how long it takes does not tell of the key.
        let plain = match algorithm {
            RSA_OAEP => private.decrypt_blinded(&mut SystemRandom, Oaep::<Sha1>::new(), wrapped),
            _ => private.decrypt_blinded(&mut SystemRandom, Pkcs1v15Encrypt, wrapped),
        };
        plain.map_err(|error| denied(format!("it is another key ({error})")))
    }
}

impl fmt::Debug for RsaMasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RsaMasterKey")
            .field("bits", &self.public.n().bits())
            .field("private", &self.private.is_some())
            .field("description", &self.description)
            .finish_non_exhaustive()
    }
}

/// The random source of the operating system, as the RSA crate asks for one.
struct SystemRandom;

impl TryRng for SystemRandom {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        OsEntropy.fill(&mut bytes);
        Ok(u32::from_ne_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        OsEntropy.fill(&mut bytes);
        Ok(u64::from_ne_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        OsEntropy.fill(bytes);
        Ok(())
    }
}

impl TryCryptoRng for SystemRandom {}
