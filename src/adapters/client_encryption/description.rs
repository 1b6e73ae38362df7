//! The description of a master key: pairs of text that it is told from others by.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use super::json;
use crate::Result;
use crate::{Error, ErrorKind};

/// What a master key is told from others by (OSS: `matdesc`): pairs of text, written into the metadata of each object as
/// JSON. It is no secret, and must never change once objects were written with it.
///
/// ```
/// use ossicle::adapters::client_encryption::Description;
/// let description = Description::from([("key", "letters 2026"), ("owner", "ann")]);
/// assert_eq!(description.to_string(), r#"{"key":"letters 2026","owner":"ann"}"#);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description(BTreeMap<String, String>);

impl Description {
    /// Whether there is no pair: then nothing is written.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The pairs, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Reads what stands in the metadata. The SDKs compare what it says, not how it is spelled, and so do we.
    pub(super) fn parse(text: &str) -> Result<Description> {
        if text.is_empty() {
            return Ok(Description::default());
        }
        json::pairs(text).map(Description).ok_or_else(|| {
            unreadable(
                "the description of the master key in the metadata (matdesc) is no JSON object of texts",
            )
        })
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Description {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Description {
        Description(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl<K: Into<String>, V: Into<String>, const N: usize> From<[(K, V); N]> for Description {
    fn from(pairs: [(K, V); N]) -> Description {
        pairs.into_iter().collect()
    }
}

/// As JSON, spelled as the Go SDK spells it (which compares the text): names in order, no spaces. What an HTTP header could
/// not hold is escaped; Go does not do that, so keep to ASCII if a Go program with several keys shall read it.
impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('{')?;
        for (place, (name, value)) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_char(',')?;
            }
            quote(f, name)?;
            f.write_char(':')?;
            quote(f, value)?;
        }
        f.write_char('}')
    }
}

fn quote(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    let mut units = [0; 2];
    for letter in text.chars() {
        match letter {
            '"' | '\\' => write!(f, "\\{letter}")?,
            ' '..='~' if !matches!(letter, '<' | '>' | '&') => f.write_char(letter)?,
            _ => letter.encode_utf16(&mut units).iter().try_for_each(|unit| write!(f, "\\u{unit:04x}"))?,
        }
    }
    f.write_char('"')
}

/// `InvalidEncryptionRequest`: the metadata does not say how to read the body.
pub(super) fn unreadable(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, "InvalidEncryptionRequest", why)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_other_sdks_write_is_read() {
        let python = Description::parse(r#"{"region": "us-east-1", "n": 1, "null": null}"#).unwrap();
        let pairs: Vec<_> = python.iter().collect();
        assert_eq!(pairs, [("n", "1"), ("null", "null"), ("region", "us-east-1")]);
        assert!(Description::parse("").unwrap().is_empty() && Description::parse("{}").unwrap().is_empty());
        let escaped = Description::parse(r#"{"\u5bc6\u94a5":"\u003ca\u003e \ud83d\ude00"}"#).unwrap();
        assert_eq!(escaped, Description::from([("密钥", "<a> 😀")]));
        let deep = "[".repeat(100_000);
        for bad in ["x", "[]", "\"a\"", "{", r#"{"a":}"#, "{}{}", &deep] {
            assert_eq!(Description::parse(bad).unwrap_err().code(), "InvalidEncryptionRequest");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again_and_fits_into_a_header(pairs: BTreeMap<String, String>) {
            let description = Description(pairs);
            let text = description.to_string();
            prop_assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            prop_assert_eq!(Description::parse(&text).unwrap(), description);
        }

        #[test]
        fn any_text_is_a_description_or_an_error(text: String) {
            if let Err(error) = Description::parse(&text) {
                prop_assert_eq!(error.code(), "InvalidEncryptionRequest");
            }
        }
    }
}
