//! Addresses of objects on the command line: `bucket/key`.

use std::str::FromStr;

/// A bucket, and a key or prefix in it; the latter is empty if there was none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The name of the bucket.
    pub bucket: String,
    /// The key or the prefix.
    pub key: String,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        let (bucket, key) = text.split_once('/').unwrap_or((text, ""));
        if bucket.is_empty() {
            return Err("an address begins with a bucket, as in `bucket/key`".to_string());
        }
        Ok(Address { bucket: bucket.to_string(), key: key.to_string() })
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.bucket, self.key)
    }
}

impl Address {
    /// The prefix as a directory: empty, or with a slash at its end.
    pub fn directory(&self) -> String {
        if self.key.is_empty() || self.key.ends_with('/') {
            self.key.clone()
        } else {
            format!("{}/", self.key)
        }
    }
}

/// An address that must have a key.
pub fn with_key(text: &str) -> Result<Address, String> {
    let address = Address::from_str(text)?;
    if address.key.is_empty() {
        return Err(format!("an object is named by bucket and key, as in `{}/key`", address.bucket));
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_slash_parts_bucket_and_key() {
        let address = Address::from_str("cats/a/b").unwrap();
        assert_eq!((address.bucket.as_str(), address.key.as_str()), ("cats", "a/b"));
        assert_eq!(Address::from_str("cats").unwrap().key, "");
        assert_eq!(Address::from_str("cats/a").unwrap().directory(), "a/");
        assert!(Address::from_str("/a").is_err());
        assert!(with_key("cats/").is_err());
    }
}
