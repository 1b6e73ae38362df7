//! Entity tags: the short name of a body's content.

use std::fmt;

/// The entity tag of an object: 32 upper-case hexadecimal digits, as OSS shows them (without the quotes).
///
/// By default it is the first half of the body's BLAKE3 hash, so equal bodies have equal tags. Text given to
/// `if_match` may carry the quotes that HTTP puts around it and may be in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ETag(Box<str>);

impl ETag {
    pub(crate) fn from_hash(hash: &[u8; 32]) -> ETag {
        ETag(hex_upper(&hash[..16]).into())
    }

    /// The text without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn hex_upper(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)] as char);
        out.push(DIGITS[usize::from(byte & 15)] as char);
    }
    out
}

/// Text without the quotes that HTTP puts around it.
fn bare(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text)
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for ETag {
    fn from(text: &str) -> ETag {
        ETag(bare(text).to_ascii_uppercase().into())
    }
}

impl From<String> for ETag {
    fn from(text: String) -> ETag {
        ETag::from(text.as_str())
    }
}

impl From<&String> for ETag {
    fn from(text: &String) -> ETag {
        ETag::from(text.as_str())
    }
}

impl From<&ETag> for ETag {
    fn from(tag: &ETag) -> ETag {
        tag.clone()
    }
}

impl PartialEq<str> for ETag {
    fn eq(&self, other: &str) -> bool {
        self.0.eq_ignore_ascii_case(bare(other))
    }
}

impl PartialEq<&str> for ETag {
    fn eq(&self, other: &&str) -> bool {
        self.0.eq_ignore_ascii_case(bare(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_case_do_not_matter() {
        assert_eq!(ETag::from("\"ab01\""), ETag::from("AB01"));
        assert_eq!(ETag::from_hash(&[0x1f; 32]).as_str(), "1F".repeat(16));
        assert_ne!(ETag::from("AB02"), ETag::from("AB01"));
    }
}
