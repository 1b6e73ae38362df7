//! Storage classes: the OSS words for how warm a body is kept.

use std::fmt;

/// A storage class of OSS. The bodies of each are kept in a tier of their own; see `StoreBuilder::tier`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum StorageClass {
    /// Read at any time, at full speed.
    #[default]
    Standard,
    /// Infrequent access.
    InfrequentAccess,
    /// Must be restored before it is read.
    Archive,
    /// Must be restored before it is read; slower than `Archive`.
    ColdArchive,
    /// Must be restored before it is read; the coldest.
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
}

impl fmt::Display for StorageClass {
    /// The name as OSS writes it: `Standard`, `IA`, `Archive`, `ColdArchive`, `DeepColdArchive`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StorageClass::Standard => "Standard",
            StorageClass::InfrequentAccess => "IA",
            StorageClass::Archive => "Archive",
            StorageClass::ColdArchive => "ColdArchive",
            StorageClass::DeepColdArchive => "DeepColdArchive",
        })
    }
}
