//! Object tags: pairs of text by which objects are found, grouped and cleaned up.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::error::{Error, Result};

/// The most tags an object may carry (OSS).
const MAX_TAGS: usize = 10;
/// The longest key of a tag, in bytes of UTF-8 (OSS).
const MAX_KEY_BYTES: usize = 128;
/// The longest value of a tag, in bytes of UTF-8 (OSS).
const MAX_VALUE_BYTES: usize = 256;

/// Checks the tags of an object and sorts them by key; anything else is `InvalidTag` (OSS: "Object tagging").
///
/// At most 10 tags with unique keys of 1 to 128 bytes and values of up to 256 bytes, case-sensitive. Lengths are in
/// bytes of UTF-8, as OSS says, not in characters: so a tag has one limit on disk whatever its script. Letters and
/// digits may be of any script (OSS takes more than the ASCII it documents), other characters are the space and
/// `+ - = . _ : /`.
pub(crate) fn check_tags<K, V>(tags: impl IntoIterator<Item = (K, V)>) -> Result<Vec<(String, String)>>
where
    K: Into<String>,
    V: Into<String>,
{
    let mut checked = BTreeMap::new();
    for (key, value) in tags {
        let (key, value) = (key.into(), value.into());
        if key.is_empty() {
            return Err(invalid("the key of a tag must not be empty"));
        }
        if checked.len() == MAX_TAGS && !checked.contains_key(&key) {
            return Err(invalid(format!("an object may have {MAX_TAGS} tags, not more")));
        }
        check_text("key", &key, MAX_KEY_BYTES)?;
        check_text("value", &value, MAX_VALUE_BYTES)?;
        match checked.entry(key) {
            Entry::Vacant(place) => place.insert(value),
            Entry::Occupied(place) => {
                return Err(invalid(format!("the tag {:?} is given twice; give each key once", place.key())));
            }
        };
    }
    Ok(checked.into_iter().collect())
}

fn check_text(what: &str, text: &str, longest: usize) -> Result<()> {
    if text.len() > longest {
        return Err(invalid(format!(
            "the {what} of a tag may have {longest} bytes, not {}; shorten it",
            text.len()
        )));
    }
    match text.chars().find(|c| !is_allowed(*c)) {
        None => Ok(()),
        Some(c) => Err(invalid(format!(
            "the {what} {text:?} of a tag has {c:?} in it; use letters, digits, spaces and + - = . _ : /"
        ))),
    }
}

fn is_allowed(c: char) -> bool {
    c.is_alphanumeric() || " +-=._:/".contains(c)
}

fn invalid(message: impl Into<String>) -> Error {
    Error::invalid("InvalidTag", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    fn numbered(count: usize) -> Vec<(String, String)> {
        (0..count).map(|i| (format!("k{i:03}"), "v".to_string())).collect()
    }

    #[test]
    fn tags_are_sorted_and_kept_as_they_are() {
        let sorted = check_tags([("b", "2"), ("a", ""), ("B", "x")]).unwrap();
        assert_eq!(sorted, pairs(&[("B", "x"), ("a", ""), ("b", "2")]));
        assert!(check_tags(Vec::<(String, String)>::new()).unwrap().is_empty());
        let map = BTreeMap::from([("k".to_string(), "v".to_string())]);
        assert_eq!(check_tags(&map).unwrap(), pairs(&[("k", "v")]));
    }

    #[test]
    fn as_many_and_as_long_tags_as_oss_allows() {
        let (key, value) = ("k".repeat(128), "v".repeat(256));
        check_tags([(&key, &value)]).unwrap();
        check_tags(numbered(10)).unwrap();
        // 42 characters of three bytes each and two of one: 128 bytes.
        check_tags([(format!("{}ab", "标".repeat(42)), "签".repeat(85))]).unwrap();
        for bad in [
            numbered(11),
            vec![("k".repeat(129), value.clone())],
            vec![(key.clone(), "v".repeat(257))],
            vec![(String::new(), value)],
            vec![("标".repeat(43), String::new())],
            vec![("k".to_string(), "签".repeat(86))],
            pairs(&[("a", "1"), ("b", "1"), ("a", "1")]),
        ] {
            assert_eq!(check_tags(bad.clone()).unwrap_err().code(), "InvalidTag", "{bad:?}");
        }
        // Input without end is refused at the eleventh tag.
        assert!(check_tags((0..).map(|i: u64| (i.to_string(), "v"))).is_err());
        let mut twice = numbered(10);
        twice.push(("k000".to_string(), "v".to_string()));
        assert!(check_tags(twice).unwrap_err().to_string().contains("twice"));
    }

    #[test]
    fn text_that_oss_refuses_is_refused() {
        for good in ["a b", "+-=._:/", "Zürich", "标签", "тег", "٣", "http://x/y"] {
            check_tags([(good, good)]).unwrap_or_else(|error| panic!("{good:?}: {error}"));
        }
        for bad in [
            "%", "a@b", "a&b", "a\0b", "a\tb", "a\r\nb", "a\u{7f}", "a\u{a0}b", "*", "?", "\"", "\\", "<",
            "😀", "＠",
        ] {
            for pair in [(bad, "v"), ("k", bad)] {
                assert_eq!(check_tags([pair]).unwrap_err().code(), "InvalidTag", "{pair:?}");
            }
        }
    }
}
