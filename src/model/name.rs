//! Names of buckets and objects, with OSS's rules (OSS: "Bucket naming conventions", "Object naming conventions").

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;

use crate::error::{Error, Result};

/// The longest object key, in bytes.
pub(crate) const MAX_KEY_BYTES: usize = 1023;

/// The longest object key in bytes with each NUL counted twice: inside, keys are kept in a form that keeps their order
/// and writes a NUL as two bytes.
pub(crate) const MAX_ESCAPED_KEY: usize = 1060;

/// A valid bucket name: 3 to 63 of `a-z`, `0-9` and `-`, with a letter or digit at both ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BucketName(Box<str>);

impl BucketName {
    /// Checks `name`.
    ///
    /// # Errors
    /// `InvalidBucketName` unless it has 3 to 63 lower-case letters, digits and hyphens, with a letter or a digit at both ends.
    pub fn new(name: &str) -> Result<BucketName> {
        let bytes = name.as_bytes();
        let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let fits = (3..=63).contains(&bytes.len());
        let ends = bytes.first().is_some_and(plain) && bytes.last().is_some_and(plain);
        if fits && ends && bytes.iter().all(|byte| plain(byte) || *byte == b'-') {
            return Ok(BucketName(name.into()));
        }
        Err(Error::invalid(
            "InvalidBucketName",
            format!(
                "{name:?} is not a bucket name: use 3 to 63 lower-case letters, digits and hyphens, \
                 with a letter or digit at both ends"
            ),
        ))
    }
}

impl Deref for BucketName {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for BucketName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialEq<str> for BucketName {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for BucketName {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

/// A valid object key, borrowed: 1 to 1023 bytes of UTF-8 that do not start with `/` or `\` (OSS), and have at most 1060 bytes
/// if every NUL character counts twice (so a key of 1023 bytes may have 37 of them; OSS has no such limit).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey<'a>(&'a str);

impl<'a> ObjectKey<'a> {
    /// Checks `key`.
    ///
    /// # Errors
    /// `InvalidObjectName` if it is empty, too long, or starts with `/` or `\`.
    pub fn new(key: &'a str) -> Result<ObjectKey<'a>> {
        let reason = if key.is_empty() {
            "it is empty"
        } else if key.len() > MAX_KEY_BYTES {
            "the length of an object name must be less than 1024 bytes"
        } else if key.starts_with(['/', '\\']) {
            "it must not start with a slash or a backslash"
        } else if escaped_len(key) > MAX_ESCAPED_KEY {
            "it has too many NUL characters: each counts as two bytes, and the sum must be 1060 or less"
        } else {
            return Ok(ObjectKey(key));
        };
        Err(ObjectKey::refused(key, reason))
    }

    fn refused(key: &str, reason: &str) -> Error {
        let shown: String = key.chars().take(40).collect();
        Error::invalid("InvalidObjectName", format!("{shown:?} is not an object name: {reason}"))
    }
}

/// The length of `key` with each NUL counted twice.
fn escaped_len(key: &str) -> usize {
    key.len() + key.bytes().filter(|byte| *byte == 0).count()
}

impl fmt::Display for ObjectKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Checks a prefix, marker or delimiter of a listing: less than 1024 bytes (OSS: `InvalidArgument`).
pub(crate) fn check_list_argument(name: &str, text: &str) -> Result<()> {
    if text.len() > MAX_KEY_BYTES {
        return Err(Error::invalid(
            "InvalidArgument",
            format!("the {name} of a listing must be less than 1024 bytes, not {}", text.len()),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_names_follow_the_rules_of_oss() {
        for good in ["abc", "a-b", "0ab9", &"a".repeat(63)] {
            assert!(BucketName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "ab", "Abc", "a_b", "a.b", "-ab", "ab-", &"a".repeat(64), "äbc", "a/b"] {
            assert_eq!(BucketName::new(bad).unwrap_err().code(), "InvalidBucketName", "{bad}");
        }
    }

    #[test]
    fn object_keys_follow_the_rules_of_oss() {
        for good in ["a", "a/", "..", "a\nb", "\u{10FFFF}", &"k".repeat(1023)] {
            assert!(ObjectKey::new(good).is_ok(), "{good}");
        }
        for bad in ["", "/a", "\\a", &"k".repeat(1024)] {
            assert_eq!(ObjectKey::new(bad).unwrap_err().code(), "InvalidObjectName", "{bad}");
        }
    }

    #[test]
    fn nul_characters_count_twice_in_object_keys() {
        let key = |nuls: usize, rest: usize| format!("{}{}", "\0".repeat(nuls), "k".repeat(rest));
        for good in [key(1, 0), key(530, 0), key(37, 986), key(100, 860), key(0, 1023)] {
            assert!(ObjectKey::new(&good).is_ok(), "{} bytes", good.len());
        }
        for bad in [key(531, 0), key(38, 985), key(100, 861), key(1023, 0)] {
            let error = ObjectKey::new(&bad).unwrap_err();
            assert_eq!(error.code(), "InvalidObjectName", "{} bytes", bad.len());
            assert!(error.to_string().contains(&MAX_ESCAPED_KEY.to_string()), "{error}");
        }
        // Only NUL counts twice, not what looks like it.
        assert!(ObjectKey::new(&"\u{1}".repeat(1023)).is_ok());
    }
}
