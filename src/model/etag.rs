//! Entity tags: the short name of a body's content.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// The entity tag of an object: 32 upper-case hexadecimal digits, as OSS shows them (without the quotes).
///
/// By default it is the first half of the body's BLAKE3 hash, so equal bodies have equal tags. Text given to
/// `if_match` may carry the quotes that HTTP puts around it and may be in lower case.
#[derive(Clone)]
pub struct ETag(Text);

/// Most tags have 32 digits, so they are kept in place: listings and gets make one each.
#[derive(Clone)]
enum Text {
    Digits([u8; 32]),
    Other(Box<str>),
}

impl ETag {
    pub(crate) fn from_hash(hash: &[u8; 32]) -> ETag {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        let mut out = [0; 32];
        for (pair, byte) in out.chunks_exact_mut(2).zip(hash) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        ETag(Text::Digits(out))
    }

    /// The text without quotes.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Digits(digits) => str::from_utf8(digits).unwrap_or_default(),
            Text::Other(text) => text,
        }
    }
}

impl PartialEq for ETag {
    fn eq(&self, other: &ETag) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for ETag {}

impl PartialOrd for ETag {
    fn partial_cmp(&self, other: &ETag) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ETag {
    fn cmp(&self, other: &ETag) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for ETag {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ETag").field(&self.as_str()).finish()
    }
}

/// Text without the quotes that HTTP puts around it.
fn bare(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text)
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<&str> for ETag {
    fn from(text: &str) -> ETag {
        let text = bare(text).to_ascii_uppercase();
        match text.as_bytes().try_into() {
            Ok(digits) => ETag(Text::Digits(digits)),
            Err(_) => ETag(Text::Other(text.into())),
        }
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
        self.as_str().eq_ignore_ascii_case(bare(other))
    }
}

impl PartialEq<&str> for ETag {
    fn eq(&self, other: &&str) -> bool {
        self.as_str().eq_ignore_ascii_case(bare(other))
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
