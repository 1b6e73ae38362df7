//! Storage classes: the OSS words for how warm a body is kept, and the rules that follow from them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::error::{Error, Result};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A storage class of OSS, from the warmest to the coldest.
///
/// The class of an object is that of the request, else that of its bucket. `Standard` and `InfrequentAccess` are read at any
/// time; the body of an object of one of the three archive classes is *frozen*, and is read after
/// [`restore`](crate::Bucket::restore) only. The bodies of each class are kept in a tier of their own; see
/// `StoreBuilder::tier`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum StorageClass {
    /// Read at any time, at full speed.
    #[default]
    Standard,
    /// Infrequent access (OSS: `IA`). Read at any time; bodies are compressed.
    InfrequentAccess,
    /// Must be restored before it is read, which takes a minute by default.
    Archive,
    /// Must be restored before it is read, which takes 1 to 12 hours by default.
    ColdArchive,
    /// Must be restored before it is read, which takes 12 to 48 hours by default.
    DeepColdArchive,
}

impl StorageClass {
    /// Every class, in the order of their numbers on disk.
    pub const ALL: [StorageClass; 5] = [
        StorageClass::Standard,
        StorageClass::InfrequentAccess,
        StorageClass::Archive,
        StorageClass::ColdArchive,
        StorageClass::DeepColdArchive,
    ];

    /// The number on disk.
    pub(crate) fn number(self) -> u8 {
        self as u8
    }

    pub(crate) fn from_number(number: u8) -> Option<StorageClass> {
        StorageClass::ALL.get(usize::from(number)).copied()
    }

    /// Whether a body must be restored before it is read.
    pub fn is_archive(self) -> bool {
        self >= StorageClass::Archive
    }

    /// For how long an object is charged for at least (OSS): 30, 60, 180 and 180 days, and nothing for `Standard`.
    /// Reported, never enforced.
    pub fn minimum_duration(self) -> Duration {
        match self {
            StorageClass::Standard => Duration::ZERO,
            StorageClass::InfrequentAccess => DAY * 30,
            StorageClass::Archive => DAY * 60,
            StorageClass::ColdArchive | StorageClass::DeepColdArchive => DAY * 180,
        }
    }

    /// The fewest bytes that an object is charged for (OSS): 64 KiB, and nothing for `Standard`. Reported, never
    /// enforced.
    pub fn minimum_bytes(self) -> u64 {
        if self == StorageClass::Standard { 0 } else { 64 << 10 }
    }

    /// For how many days a body may be asked to stay restored (OSS); `None` for a class that is never frozen.
    pub(crate) fn most_days(self) -> Option<u32> {
        match self {
            StorageClass::Archive => Some(7),
            StorageClass::ColdArchive | StorageClass::DeepColdArchive => Some(365),
            _ => None,
        }
    }
}

impl fmt::Display for StorageClass {
    /// The name as OSS writes it: `Standard`, `IA`, `Archive`, `ColdArchive`, `DeepColdArchive`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            StorageClass::Standard => "Standard",
            StorageClass::InfrequentAccess => "IA",
            StorageClass::Archive => "Archive",
            StorageClass::ColdArchive => "ColdArchive",
            StorageClass::DeepColdArchive => "DeepColdArchive",
        })
    }
}

impl FromStr for StorageClass {
    type Err = Error;

    /// Reads a name as OSS writes it, and no other; else `InvalidArgument`.
    fn from_str(text: &str) -> Result<StorageClass> {
        StorageClass::ALL.into_iter().find(|class| class.to_string() == text).ok_or_else(|| {
            Error::invalid(
                "InvalidArgument",
                format!(
                    "{text:?} is no storage class; it is Standard, IA, Archive, ColdArchive or DeepColdArchive"
                ),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_keep_their_numbers_and_names() {
        for (number, class) in StorageClass::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(class.number()), number);
            assert_eq!(StorageClass::from_number(class.number()), Some(class));
            assert_eq!(class.to_string().parse::<StorageClass>().unwrap(), class);
        }
        assert_eq!(StorageClass::from_number(5), None);
        for wrong in ["", "standard", "Infrequent", "Glacier", "IA "] {
            assert_eq!(wrong.parse::<StorageClass>().unwrap_err().code(), "InvalidArgument", "{wrong}");
        }
    }

    #[test]
    fn minimums_are_those_of_oss() {
        let days = StorageClass::ALL.map(|class| class.minimum_duration().as_secs() / 86_400);
        assert_eq!(days, [0, 30, 60, 180, 180]);
        assert_eq!(StorageClass::ALL.map(StorageClass::minimum_bytes), [0, 65_536, 65_536, 65_536, 65_536]);
        assert_eq!(StorageClass::ALL.map(StorageClass::is_archive), [false, false, true, true, true]);
        assert_eq!(
            StorageClass::ALL.map(StorageClass::most_days),
            [None, None, Some(7), Some(365), Some(365)]
        );
    }
}
