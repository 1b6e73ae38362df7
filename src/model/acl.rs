//! Access control lists: the three that OSS has.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// Who may do what with a bucket or an object, besides its owner (OSS: `x-oss-acl`, `x-oss-object-acl`). Ossicle stores and
/// reports the value, and does not enforce it: the program that opens the store may do everything.
///
/// A bucket starts as `Private`. An object starts with none of its own (OSS: `default`) and follows its bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Acl {
    /// Only the owner may read and write.
    #[default]
    Private,
    /// Anybody may read.
    PublicRead,
    /// Anybody may read and write.
    PublicReadWrite,
}

impl Acl {
    /// Every list, in the order of their numbers on disk.
    const ALL: [Acl; 3] = [Acl::Private, Acl::PublicRead, Acl::PublicReadWrite];

    /// The name as OSS writes it: `private`, `public-read`, `public-read-write`.
    pub fn as_str(self) -> &'static str {
        match self {
            Acl::Private => "private",
            Acl::PublicRead => "public-read",
            Acl::PublicReadWrite => "public-read-write",
        }
    }

    /// The number on disk. 0 is left to objects that follow their bucket.
    pub(crate) fn number(self) -> u8 {
        match self {
            Acl::Private => 1,
            Acl::PublicRead => 2,
            Acl::PublicReadWrite => 3,
        }
    }

    pub(crate) fn from_number(number: u8) -> Option<Acl> {
        Acl::ALL.into_iter().find(|acl| acl.number() == number)
    }
}

impl fmt::Display for Acl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Acl {
    type Err = Error;

    /// Reads the name as OSS writes it; anything else is `InvalidArgument`, `default` too: an object that follows its
    /// bucket has no list of its own.
    fn from_str(text: &str) -> Result<Acl> {
        Acl::ALL.into_iter().find(|acl| acl.as_str() == text).ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            Error::invalid(
                "InvalidArgument",
                format!("{shown:?} is not an ACL: use private, public-read or public-read-write"),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_keep_their_names_and_numbers() {
        for (acl, name, number) in [
            (Acl::Private, "private", 1),
            (Acl::PublicRead, "public-read", 2),
            (Acl::PublicReadWrite, "public-read-write", 3),
        ] {
            assert_eq!((acl.as_str(), acl.number()), (name, number));
            assert_eq!(acl.to_string().parse::<Acl>().unwrap(), acl);
        }
        for number in 0..=u8::MAX {
            let acl = Acl::from_number(number);
            assert_eq!(acl.map(Acl::number), (1..=3).contains(&number).then_some(number));
        }
        assert_eq!(Acl::default(), Acl::Private);
    }

    #[test]
    fn other_names_are_refused() {
        let long = "private".repeat(1000);
        for bad in ["", "default", "Private", "public_read", " private", "private\0", "public-write", &long] {
            let error = bad.parse::<Acl>().unwrap_err();
            assert_eq!(error.code(), "InvalidArgument", "{bad:?}");
            assert!(error.to_string().len() < 200);
        }
    }
}
