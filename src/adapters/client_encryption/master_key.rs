//! Master keys: what wraps the key of an object.

use std::{fmt, io};

use super::description::Description;

/// The name of the cipher that bodies are encrypted with.
pub(super) const CONTENT_ALGORITHM: &str = "AES/CTR/NoPadding";

/// RSA with the padding of PKCS#1 1.5, which is what all SDKs write today.
pub(super) const RSA_PKCS1: &str = "RSA/NONE/PKCS1Padding";

/// RSA with OAEP over SHA-1, which `oss2` writes with its `LocalRsaProvider`.
pub(super) const RSA_OAEP: &str = "RSA/NONE/OAEPWithSHA-1AndMGF1Padding";

/// Alibaba Cloud's key management service.
pub(super) const KMS: &str = "KMS/ALICLOUD";

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
