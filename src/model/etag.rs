//! Entity tags: the short name of a body's content.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::io::Write as _;

/// The longest tag that is kept in place: 32 digits and `-10000`, the most parts OSS allows.
const IN_PLACE: usize = 38;

/// The entity tag of an object: 32 upper-case hexadecimal digits, as OSS shows them (without the quotes), and for an
/// object made of parts a hyphen and their number (OSS: `ETag`).
///
/// By default it is the first half of the body's BLAKE3 hash, with [`Digests::Oss`](crate::Digests::Oss) it is the
/// MD5 of the body; so equal bodies written in one way have equal tags. Text given to `if_match` may carry the quotes
/// that HTTP puts around it and may be in lower case.
#[derive(Clone)]
pub struct ETag(Text);

/// Most tags are short, so they are kept in place: listings and gets make one each.
#[derive(Clone)]
enum Text {
    InPlace { len: u8, bytes: [u8; IN_PLACE] },
    Other(Box<str>),
}

impl ETag {
    /// The tag of a body by its BLAKE3 hash: the first half of it.
    pub(crate) fn from_hash(hash: &[u8; 32]) -> ETag {
        let mut half = [0; 16];
        half.copy_from_slice(&hash[..16]);
        ETag::from_md5(&half)
    }

    /// The tag of a body by its MD5.
    pub(crate) fn from_md5(md5: &[u8; 16]) -> ETag {
        let mut bytes = [0; IN_PLACE];
        write_digits(md5, &mut bytes);
        ETag(Text::InPlace { len: 32, bytes })
    }

    /// The tag of an object made of `parts` parts, from 16 bytes that stand for the tags of the parts.
    pub(crate) fn multipart(half: &[u8; 16], parts: u32) -> ETag {
        let mut bytes = [0; IN_PLACE];
        write_digits(half, &mut bytes);
        let mut rest = &mut bytes[32..];
        let room = rest.len();
        if write!(rest, "-{parts}").is_err() {
            // More parts than OSS allows.
            return ETag::keep(&format!("{}-{parts}", ETag::from_md5(half)));
        }
        let len = 32 + room - rest.len();
        ETag(Text::InPlace { len: len as u8, bytes })
    }

    /// Keeps `text`, which has neither quotes nor lower case.
    fn keep(text: &str) -> ETag {
        let mut bytes = [0; IN_PLACE];
        match bytes.get_mut(..text.len()) {
            Some(place) => {
                place.copy_from_slice(text.as_bytes());
                ETag(Text::InPlace { len: text.len() as u8, bytes })
            }
            None => ETag(Text::Other(text.into())),
        }
    }

    /// The text without quotes.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::InPlace { len, bytes } => str::from_utf8(&bytes[..usize::from(*len)]).unwrap_or_default(),
            Text::Other(text) => text,
        }
    }
}

/// Writes 16 bytes as 32 upper-case hexadecimal digits at the start of `out`.
fn write_digits(half: &[u8; 16], out: &mut [u8; IN_PLACE]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for (pair, byte) in out.chunks_exact_mut(2).zip(half) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
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
        let text = bare(text);
        match ETag::keep(text) {
            ETag(Text::InPlace { len, mut bytes }) => {
                bytes.make_ascii_uppercase();
                ETag(Text::InPlace { len, bytes })
            }
            ETag(Text::Other(mut text)) => {
                text.make_ascii_uppercase();
                ETag(Text::Other(text))
            }
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

    #[test]
    fn tags_have_the_shapes_that_oss_shows() {
        // The MD5 of "hello".
        let md5 = 0x5D41402ABC4B2A76B9719D911017C592_u128.to_be_bytes();
        assert_eq!(ETag::from_md5(&md5).as_str(), "5D41402ABC4B2A76B9719D911017C592");
        for (parts, end) in [(1, "-1"), (5, "-5"), (10_000, "-10000"), (99_999, "-99999")] {
            let tag = ETag::multipart(&md5, parts);
            assert_eq!(tag.as_str(), format!("5D41402ABC4B2A76B9719D911017C592{end}"));
            assert!(matches!(tag.0, Text::InPlace { .. }), "{tag} is kept in place");
            assert_ne!(tag, ETag::from_md5(&md5));
        }
        for parts in [100_000, u32::MAX] {
            let tag = ETag::multipart(&md5, parts);
            assert_eq!(tag.as_str(), format!("5D41402ABC4B2A76B9719D911017C592-{parts}"));
        }
    }

    #[test]
    fn a_tag_of_any_length_is_read_back_as_it_is_shown() {
        let long = "a1".repeat(40);
        for len in [0, 1, 31, 32, 33, 37, 38, 39, 80] {
            let text = &long[..len];
            let tag = ETag::from(text);
            assert_eq!(tag.as_str(), text.to_ascii_uppercase());
            assert_eq!(tag, ETag::from(format!("\"{text}\"")));
            assert!(tag == *text && tag == text);
            assert_eq!(matches!(tag.0, Text::InPlace { .. }), len <= IN_PLACE, "{len} bytes");
        }
        for parts in [1, 10_000, u32::MAX] {
            let tag = ETag::multipart(&[0xab; 16], parts);
            assert_eq!(ETag::from(tag.as_str()), tag);
            assert!(tag == tag.as_str().to_ascii_lowercase().as_str());
        }
        for odd in ["é".repeat(19), "é".repeat(20), "x\0y".to_string(), "\"".to_string(), "\"\"".to_string()]
        {
            let tag = ETag::from(&odd);
            assert_eq!(tag.as_str(), bare(&odd).to_ascii_uppercase());
        }
        assert!(size_of::<ETag>() <= 40, "listings hold many");
    }
}
