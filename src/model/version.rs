//! Versions: their names, and whether a bucket keeps them.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// The digits of a name: 16 for the commit, 8 for the place in it.
const DIGITS: usize = 24;

/// The name of one version of an object: `null`, or 24 upper-case hexadecimal digits (OSS: "Versioning").
///
/// `null` is the version written while a bucket does not keep versions; a key has at most one. Every other name is
/// unique in the store. To programs a name is opaque text with one spelling: keep it, compare it, hand it back.
/// Names are ordered in the order in which the versions were written, `null` before all others (since `null` is
/// rewritten in place, its own age is not in its name).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VersionId(Form);

/// `Null` stands first, so that the derived order puts it first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Form {
    Null,
    Made { lsn: u64, n: u32 },
}

impl VersionId {
    /// The name `null`.
    pub fn null() -> VersionId {
        VersionId(Form::Null)
    }

    /// Whether this is the name `null`.
    pub fn is_null(&self) -> bool {
        self.0 == Form::Null
    }

    /// The name of the `n`th version made by the commit `lsn`.
    pub(crate) fn of(lsn: u64, n: u32) -> VersionId {
        VersionId(Form::Made { lsn, n })
    }

    /// The commit and the place in it; `None` for `null`.
    pub(crate) fn seq(&self) -> Option<(u64, u32)> {
        match self.0 {
            Form::Null => None,
            Form::Made { lsn, n } => Some((lsn, n)),
        }
    }

    /// Reads the name of a version as [`Display`](fmt::Display) writes it. Whether there is such a version is not checked.
    ///
    /// # Errors
    /// `InvalidArgument` for empty text, lower case, and anything else that is not the name of a version (OSS).
    pub fn parse(text: &str) -> Result<VersionId> {
        if text.is_empty() {
            return Err(Error::invalid("InvalidArgument", "Version id can not be the empty string"));
        }
        read(text).ok_or_else(|| Error::invalid("InvalidArgument", "Invalid version id specified"))
    }
}

/// The version that is called `text`, if one can be.
fn read(text: &str) -> Option<VersionId> {
    if text == "null" {
        return Some(VersionId::null());
    }
    // The digits are checked one by one, since `from_str_radix` takes a sign and lower case too.
    let plain = |byte: u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte);
    if text.len() != DIGITS || !text.bytes().all(plain) {
        return None;
    }
    let (lsn, n) = text.split_at_checked(16)?;
    Some(VersionId::of(u64::from_str_radix(lsn, 16).ok()?, u32::from_str_radix(n, 16).ok()?))
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Form::Null => f.write_str("null"),
            Form::Made { lsn, n } => write!(f, "{lsn:016X}{n:08X}"),
        }
    }
}

impl fmt::Debug for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VersionId({self})")
    }
}

impl FromStr for VersionId {
    type Err = Error;

    fn from_str(text: &str) -> Result<VersionId> {
        VersionId::parse(text)
    }
}

impl From<&VersionId> for VersionId {
    fn from(id: &VersionId) -> VersionId {
        id.clone()
    }
}

impl PartialEq<str> for VersionId {
    fn eq(&self, other: &str) -> bool {
        read(other).as_ref() == Some(self)
    }
}

impl PartialEq<&str> for VersionId {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

/// Whether a bucket keeps versions. A bucket for which this was never set does not; once set, it is one of these
/// for good (OSS: "Versioning").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Versioning {
    /// Every write makes a new version; a delete puts a marker on top.
    Enabled,
    /// A write or a delete replaces the `null` version; the other versions stay as they are.
    Suspended,
}

impl Versioning {
    /// The number on disk. 0 is left to buckets for which it was never set.
    pub(crate) fn number(self) -> u8 {
        match self {
            Versioning::Enabled => 1,
            Versioning::Suspended => 2,
        }
    }

    pub(crate) fn from_number(number: u8) -> Option<Versioning> {
        [Versioning::Enabled, Versioning::Suspended].into_iter().find(|state| state.number() == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written() {
        for (id, text) in [
            (VersionId::null(), "null"),
            (VersionId::of(0, 0), "000000000000000000000000"),
            (VersionId::of(0x1f, 0xab), "000000000000001F000000AB"),
            (VersionId::of(u64::MAX, u32::MAX), "FFFFFFFFFFFFFFFFFFFFFFFF"),
        ] {
            assert_eq!(id.to_string(), text);
            assert_eq!(text.parse::<VersionId>().unwrap(), id);
            assert_eq!(format!("{id:?}"), format!("VersionId({text})"));
            assert!(id == text && id == *text && id != "" && id != "Null");
            assert_eq!(VersionId::from(&id), id);
            assert_eq!(id.is_null(), id.seq().is_none());
        }
        assert_eq!(VersionId::of(7, 3).seq(), Some((7, 3)));
        assert!(size_of::<VersionId>() <= 16);
    }

    #[test]
    fn what_no_version_can_be_called_is_refused_as_oss_does() {
        let empty = VersionId::parse("").unwrap_err();
        assert_eq!(empty.code(), "InvalidArgument");
        assert_eq!(empty.to_string(), "Version id can not be the empty string");
        for bad in [
            "NULL",
            " null",
            "null\0",
            "00000000000000000000000",
            "0000000000000000000000000",
            "+00000000000000000000000",
            "0000000000000000+0000000",
            "000000000000001f000000ab",
            "00000000000000000000000G",
            "00000000000000000000000 ",
            "ÄÄÄÄÄÄÄÄÄÄÄÄ",
            "00000000000000é00000000",
            "CAEQMhiBgIDXiaaB0BYiIGQzYmRkZGUxMTM1ZDRjOTZhNjk4YjRjMTAyZjhlNDIw",
        ] {
            let error = VersionId::parse(bad).unwrap_err();
            assert_eq!(error.code(), "InvalidArgument", "{bad:?}");
            assert_eq!(error.to_string(), "Invalid version id specified", "{bad:?}");
            assert!(VersionId::null() != bad && VersionId::of(0, 0) != bad, "{bad:?}");
        }
    }

    #[test]
    fn names_and_their_texts_are_ordered_as_they_were_made() {
        let made = [VersionId::of(1, 0), VersionId::of(1, 1), VersionId::of(2, 0), VersionId::of(1 << 60, 9)];
        assert!(made.is_sorted() && VersionId::null() < made[0]);
        assert!(made.map(|id| id.to_string()).is_sorted());
    }

    #[test]
    fn versioning_keeps_its_numbers() {
        assert_eq!((Versioning::Enabled.number(), Versioning::Suspended.number()), (1, 2));
        for number in 0..=u8::MAX {
            let state = Versioning::from_number(number);
            assert_eq!(state.map(Versioning::number), (1..=2).contains(&number).then_some(number));
        }
    }
}
