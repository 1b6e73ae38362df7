//! Client-side encryption: bodies that the program encrypts before the store sees them, in the formats of the OSS SDKs.
//!
//! *Owns*: the fields of the metadata that the SDKs keep the wrapped keys in, the cipher of bodies, master keys.
//! *Promises*:
//! 1. What an OSS SDK has encrypted with an RSA key is read here, and what is written here is read by the SDKs.
//! 2. The store gets neither the plain body nor a key that it could be had with.
//! 3. Whatever the metadata says ends in a body or in an error, never in a panic.
//! 4. Memory does not grow with the body; a range is decrypted without what lies before it.
//!
//! *Stands on*: the public face.
//! *Never*: tells whether a body was changed, unless the writer left its MD5: the format has no tag (ADR 0021).
//! *Read first*: `envelope.rs` (what is written where), `bucket.rs` (the verbs), `content.rs` (the cipher).

mod bucket;
mod content;
mod description;
mod envelope;
mod json;
mod object;
mod rsa_key;
mod service;
mod upload;
mod writer;

use std::fmt;
use std::io;

pub use bucket::EncryptedBucket;
pub use description::Description;
pub use envelope::Envelope;
pub use object::EncryptedObject;
pub use rsa_key::RsaMasterKey;
pub use service::KeyService;
pub use upload::EncryptedUpload;
pub use writer::EncryptedWriter;

use crate::{Error, ErrorKind};

/// The name of the cipher that bodies are encrypted with.
const CONTENT_ALGORITHM: &str = "AES/CTR/NoPadding";
/// RSA with the padding of PKCS#1 1.5, which is what all SDKs write today.
const RSA_PKCS1: &str = "RSA/NONE/PKCS1Padding";
/// RSA with OAEP over SHA-1, which `oss2` writes with its `LocalRsaProvider`.
const RSA_OAEP: &str = "RSA/NONE/OAEPWithSHA-1AndMGF1Padding";
/// Alibaba Cloud's key management service.
const KMS: &str = "KMS/ALICLOUD";

/// What wraps the key of each body, and unwraps it: the only secret that has to be kept.
///
/// The key of a body and the start of its counter are wrapped one by one. An error of the kind
/// [`io::ErrorKind::PermissionDenied`] says that this is the wrong key, any other that the key could not be had just now.
pub trait MasterKey: Send + Sync + fmt::Debug {
    /// How it wraps, as the metadata says it (`wrap-alg`).
    fn algorithm(&self) -> &str;

    /// Whether it unwraps what was wrapped with this algorithm.
    fn unwraps(&self, algorithm: &str) -> bool {
        algorithm == self.algorithm()
    }

    /// What the key is told from others by (`matdesc`); it stands in the metadata as plain text.
    fn description(&self) -> &Description;

    /// Wraps up to 40 bytes.
    fn wrap(&self, secret: &[u8]) -> io::Result<Vec<u8>>;

    /// Unwraps what was wrapped with `algorithm`. What is returned is wiped after use.
    fn unwrap(&self, algorithm: &str, wrapped: &[u8]) -> io::Result<Vec<u8>>;
}

/// `InvalidEncryptionRequest`: the metadata does not say how to read the body.
fn unreadable(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, "InvalidEncryptionRequest", why)
}
