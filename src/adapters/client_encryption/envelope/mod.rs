//! What the metadata of an object says of its encryption: the wrapped key, how it was wrapped, and by which key.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use super::content::{BLOCK, ContentKey, KEY_LEN};
use crate::adapters::client_encryption::description::Description;
use crate::adapters::client_encryption::description::unreadable;
use crate::adapters::client_encryption::master_key::{CONTENT_ALGORITHM, KMS, MasterKey, RSA_OAEP};
use crate::{Error, ErrorKind, Result};

/// The names of the fields that must all be there: key, start of the counter, cipher, wrapping.
const CORE: [&str; 4] = [
    "client-side-encryption-key",
    "client-side-encryption-start",
    "client-side-encryption-cek-alg",
    "client-side-encryption-wrap-alg",
];

const DESCRIPTION: &str = "client-side-encryption-matdesc";

const LENGTH: &str = "client-side-encryption-unencrypted-content-length";

const MD5: &str = "client-side-encryption-unencrypted-content-md5";

const DATA_SIZE: &str = "client-side-encryption-data-size";

const PART_SIZE: &str = "client-side-encryption-part-size";

/// The same as `oss2` wrote them before its version 2.6.
const LEGACY_CORE: [&str; 4] = ["oss-crypto-key", "oss-crypto-start", "oss-cek-alg", "oss-wrap-alg"];

const LEGACY_DESCRIPTION: &str = "oss-crypto-matdesc";

const LEGACY_LENGTH: &str = "oss-crypto-unencrypted-content-length";

const LEGACY_MD5: &str = "oss-crypto-unencrypted-content-md5";

/// What it called the cipher, which was the same counter mode nevertheless.
const LEGACY_CONTENT_ALGORITHM: &str = "AES/GCM/NoPadding";

/// The longest wrapped key that is believed, in bytes: an RSA key of 16,384 bits makes 2048.
const MAX_WRAPPED: usize = 4096;

type Metadata = BTreeMap<String, String>;

/// What the metadata of an object says of its encryption. Nothing of it is secret, and nothing of it is proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    legacy: bool,
    key: Vec<u8>,
    start: Vec<u8>,
    algorithm: String,
    description: Description,
    length: Option<u64>,
    md5: Option<[u8; 16]>,
    data_size: Option<u64>,
    part_size: Option<u64>,
}

impl Envelope {
    /// Reads the metadata of an object, its names in lower case and without `x-oss-meta-`; `None` if it says nothing of
    /// encryption by a client.
    ///
    /// # Errors
    /// `InvalidEncryptionRequest` if a field is missing or cannot be read, and for another cipher than
    /// `AES/CTR/NoPadding`.
    pub fn of(metadata: &Metadata) -> Result<Option<Envelope>> {
        if CORE.iter().any(|name| metadata.contains_key(*name)) {
            Envelope::current(metadata).map(Some)
        } else if LEGACY_CORE.iter().any(|name| metadata.contains_key(*name)) {
            Envelope::legacy(metadata).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Whether a name of metadata is one of encryption's, of today or of old.
    pub(super) fn owns(name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        let starts = |prefix| name.starts_with(prefix);
        starts("client-side-encryption-") || starts("oss-crypto-") || LEGACY_CORE.contains(&name.as_str())
    }

    fn current(metadata: &Metadata) -> Result<Envelope> {
        let [key, start, cipher, algorithm] = CORE.map(|name| field(metadata, name));
        check_cipher(cipher?, &[CONTENT_ALGORITHM])?;
        Ok(Envelope {
            legacy: false,
            key: bytes(CORE[0], key?)?,
            start: bytes(CORE[1], start?)?,
            algorithm: algorithm?.to_owned(),
            description: description(metadata, DESCRIPTION)?,
            length: number(metadata, LENGTH)?,
            md5: md5(metadata, MD5)?,
            data_size: number(metadata, DATA_SIZE)?,
            part_size: number(metadata, PART_SIZE)?,
        })
    }

    fn legacy(metadata: &Metadata) -> Result<Envelope> {
        let [key, start, cipher, algorithm] = LEGACY_CORE.map(|name| field(metadata, name));
        check_cipher(cipher?, &[LEGACY_CONTENT_ALGORITHM, CONTENT_ALGORITHM])?;
        let (key, start) = (key?, start?);
        let (key, start, algorithm) = match algorithm? {
            // The text of the service stands there as it came.
            "kms" => (key.as_bytes().to_vec(), start.as_bytes().to_vec(), KMS),
            "rsa" => (bytes(LEGACY_CORE[0], key)?, bytes(LEGACY_CORE[1], start)?, RSA_OAEP),
            other => {
                return Err(unreadable(format!(
                    "the key of the body is wrapped with {other:?}, and of the old metadata only `rsa` and `kms` are known"
                )));
            }
        };
        Ok(Envelope {
            legacy: true,
            key,
            start,
            algorithm: algorithm.to_owned(),
            description: description(metadata, LEGACY_DESCRIPTION)?,
            length: number(metadata, LEGACY_LENGTH)?,
            md5: md5(metadata, LEGACY_MD5)?,
            data_size: None,
            part_size: None,
        })
    }

    /// Wraps a new key: the envelope of a body that is to be, and the key.
    pub(super) fn seal(master: &dyn MasterKey) -> Result<(Envelope, ContentKey)> {
        let content = ContentKey::random();
        let wrap = |secret: &[u8]| {
            let wrapped = master.wrap(secret).map_err(|error| unavailable(master.description(), error))?;
            if wrapped.is_empty() || wrapped.len() > MAX_WRAPPED {
                return Err(unreadable(format!(
                    "the master key wraps into {} bytes, and 1 to {MAX_WRAPPED} can be stored",
                    wrapped.len()
                )));
            }
            Ok(wrapped)
        };
        let envelope = Envelope {
            legacy: false,
            key: wrap(&content.key[..])?,
            start: wrap(&content.start)?,
            algorithm: master.algorithm().to_owned(),
            description: master.description().clone(),
            length: None,
            md5: None,
            data_size: None,
            part_size: None,
        };
        Ok((envelope, content))
    }

    /// Says how long the plain body is, and what its MD5 is.
    pub(super) fn with_body(self, length: u64, md5: Option<[u8; 16]>) -> Envelope {
        Envelope { length: Some(length), md5, ..self }
    }

    /// Says how the body will come in parts.
    pub(super) fn with_parts(self, data_size: u64, part_size: u64) -> Envelope {
        Envelope { data_size: Some(data_size), part_size: Some(part_size), ..self }
    }

    /// The fields, as they are written into the metadata.
    pub(super) fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = vec![
            (CORE[0], Base64::encode_string(&self.key)),
            (CORE[1], Base64::encode_string(&self.start)),
            (CORE[2], CONTENT_ALGORITHM.to_owned()),
            (CORE[3], self.algorithm.clone()),
        ];
        let described = (!self.description.is_empty()).then(|| self.description.to_string());
        fields.extend(described.map(|text| (DESCRIPTION, text)));
        fields.extend(self.md5.map(|md5| (MD5, Base64::encode_string(&md5))));
        for (name, number) in
            [(LENGTH, self.length), (DATA_SIZE, self.data_size), (PART_SIZE, self.part_size)]
        {
            fields.extend(number.map(|number| (name, number.to_string())));
        }
        fields
    }

    /// Unwraps the key of the body with the master key that fits, the first of them being the one for new objects.
    pub(super) fn open(&self, masters: &[std::sync::Arc<dyn MasterKey>]) -> Result<ContentKey> {
        let master = self.choose(masters)?;
        let unwrap = |wrapped: &[u8]| {
            let plain = master.unwrap(&self.algorithm, wrapped);
            plain.map(Zeroizing::new).map_err(|error| unavailable(master.description(), error))
        };
        let key = unwrap(&self.key)?;
        let start = unwrap(&self.start)?;
        // A wrong RSA key gives bytes of some length and no error, so that nobody can probe the padding.
        let wrong = || wrong_key(master.description(), "what it unwraps is no key of a body");
        let key = <[u8; KEY_LEN]>::try_from(&key[..]).map(Zeroizing::new).map_err(|_| wrong())?;
        let start = match self.legacy {
            false => <[u8; BLOCK as usize]>::try_from(&start[..]).map_err(|_| wrong())?,
            true => decimal(&start).ok_or_else(wrong)?.to_be_bytes(),
        };
        Ok(ContentKey { key, start })
    }

    /// The master key that this was wrapped with, as far as the descriptions tell.
    fn choose<'m>(&self, masters: &'m [std::sync::Arc<dyn MasterKey>]) -> Result<&'m dyn MasterKey> {
        let described = || masters.iter().filter(|master| *master.description() == self.description);
        let undescribed = || masters.first().filter(|_| self.description.is_empty());
        let found = described().find(|master| master.unwraps(&self.algorithm)).or_else(|| described().next());
        let Some(master) = found.or_else(undescribed) else {
            return Err(Error::new(
                ErrorKind::Denied,
                "AccessDenied",
                format!(
                    "the body was encrypted with the master key that is described as {}, and no key given is; give that \
                     one the description, or add it with `also_reads`",
                    self.description
                ),
            ));
        };
        if !master.unwraps(&self.algorithm) {
            return Err(unreadable(format!(
                "the key of the body is wrapped with {:?}, and the master key given unwraps {:?}",
                self.algorithm,
                master.algorithm()
            )));
        }
        Ok(&**master)
    }

    /// How the key of the body was wrapped (`wrap-alg`), by the name of today.
    pub fn wrap_algorithm(&self) -> &str {
        &self.algorithm
    }

    /// What the master key is told from others by (`matdesc`).
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Whether it stands under the names that `oss2` used before its version 2.6.
    pub fn is_legacy(&self) -> bool {
        self.legacy
    }

    /// How long the writer said that the plain body is.
    pub fn unencrypted_length(&self) -> Option<u64> {
        self.length
    }

    /// The MD5 of the plain body, as the writer said it.
    pub fn unencrypted_md5(&self) -> Option<[u8; 16]> {
        self.md5
    }

    /// Of an object that came in parts: how many bytes it was begun for.
    pub fn data_size(&self) -> Option<u64> {
        self.data_size
    }

    /// Of an object that came in parts: how many bytes each part but the last has.
    pub fn part_size(&self) -> Option<u64> {
        self.part_size
    }
}

fn field<'m>(metadata: &'m Metadata, name: &str) -> Result<&'m str> {
    let value = metadata.get(name).map(String::as_str).filter(|value| !value.is_empty());
    value.ok_or_else(|| {
        unreadable(format!(
            "metadata {name:?} is missing, and without it the body cannot be decrypted; write the object anew"
        ))
    })
}

fn check_cipher(named: &str, known: &[&str]) -> Result<()> {
    if known.contains(&named) {
        return Ok(());
    }
    Err(unreadable(format!("the body is encrypted with {named:?}, and only {CONTENT_ALGORITHM:?} is known")))
}

fn bytes(name: &str, text: &str) -> Result<Vec<u8>> {
    let decoded =
        Base64::decode_vec(text).ok().filter(|bytes| !bytes.is_empty() && bytes.len() <= MAX_WRAPPED);
    decoded.ok_or_else(|| {
        unreadable(format!(
            "metadata {name:?} is no Base64 of 1 to {MAX_WRAPPED} bytes; write the object anew"
        ))
    })
}

fn description(metadata: &Metadata, name: &str) -> Result<Description> {
    metadata.get(name).map_or(Ok(Description::default()), |text| Description::parse(text))
}

fn number(metadata: &Metadata, name: &str) -> Result<Option<u64>> {
    let Some(text) = metadata.get(name) else {
        return Ok(None);
    };
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| plain);
    number
        .map(Some)
        .ok_or_else(|| unreadable(format!("metadata {name:?} is no number of bytes, but {text:?}")))
}

fn md5(metadata: &Metadata, name: &str) -> Result<Option<[u8; 16]>> {
    let Some(text) = metadata.get(name) else {
        return Ok(None);
    };
    let sum = Base64::decode_vec(text).ok().and_then(|bytes| bytes.try_into().ok());
    sum.map(Some).ok_or_else(|| unreadable(format!("metadata {name:?} is no Base64 of an MD5, but {text:?}")))
}

/// A counter in decimal digits, as it was wrapped in the old days.
fn decimal(text: &[u8]) -> Option<u128> {
    let plain = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    str::from_utf8(text).ok().filter(|_| plain)?.parse().ok()
}

fn unavailable(description: &Description, error: std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::PermissionDenied {
        return wrong_key(description, error.to_string()).with_source(error);
    }
    Error::key_unavailable(format!("the master key {description} could not be had: {error}"), error)
}

fn wrong_key(description: &Description, why: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::Denied,
        "AccessDenied",
        format!("the body was not encrypted with the master key {description}: {why}"),
    )
}
