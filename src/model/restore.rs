//! Restoring frozen bodies: how urgently, how long it takes, and how far it has come.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use super::class::StorageClass;
use crate::error::{Error, Result};

const MINUTE: Duration = Duration::from_secs(60);

const HOUR: Duration = Duration::from_secs(3600);

/// How urgently a body is to be restored (OSS: `Tier`), from the slowest to the fastest. `Archive` knows no priorities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RestorePriority {
    /// The slowest; in `ColdArchive` only.
    Bulk,
    /// The default.
    #[default]
    Standard,
    /// The fastest.
    Expedited,
}

impl RestorePriority {
    /// Every priority, from the slowest to the fastest.
    pub const ALL: [RestorePriority; 3] =
        [RestorePriority::Bulk, RestorePriority::Standard, RestorePriority::Expedited];

    /// The number on disk.
    pub(crate) fn number(self) -> u8 {
        self as u8
    }

    /// The priority with a number on disk; one that is not known counts as the usual one.
    pub(crate) fn from_number(number: u8) -> RestorePriority {
        RestorePriority::ALL.into_iter().find(|known| known.number() == number).unwrap_or_default()
    }
}

impl fmt::Display for RestorePriority {
    /// The name as OSS writes it: `Bulk`, `Standard`, `Expedited`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            RestorePriority::Bulk => "Bulk",
            RestorePriority::Standard => "Standard",
            RestorePriority::Expedited => "Expedited",
        })
    }
}

impl FromStr for RestorePriority {
    type Err = Error;

    /// Reads a name as OSS writes it, and no other; else `InvalidArgument`.
    fn from_str(text: &str) -> Result<RestorePriority> {
        RestorePriority::ALL.into_iter().find(|known| known.to_string() == text).ok_or_else(|| {
            Error::invalid(
                "InvalidArgument",
                format!("{text:?} is no priority of a restore; it is Expedited, Standard or Bulk"),
            )
        })
    }
}

/// The state of the restore of a frozen body, by the store's clock. An object that was never restored, or whose days are
/// over, has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RestoreStatus {
    /// It was asked for and is not done (OSS: `ongoing-request="true"`).
    Ongoing {
        /// The priority that was asked for.
        priority: RestorePriority,
        /// From when on the body can be read.
        ready: SystemTime,
        /// When it will be frozen again.
        until: SystemTime,
    },
    /// The body can be read (OSS: `ongoing-request="false"`).
    Restored {
        /// When it is frozen again (OSS: `expiry-date`).
        until: SystemTime,
    },
}

impl RestoreStatus {
    /// Whether the body can be read.
    pub fn is_restored(&self) -> bool {
        matches!(self, RestoreStatus::Restored { .. })
    }

    /// When the body is frozen again.
    pub fn until(&self) -> SystemTime {
        match self {
            RestoreStatus::Ongoing { until, .. } | RestoreStatus::Restored { until } => *until,
        }
    }
}

/// How long it takes until a frozen body can be read, by class and priority. The store's bytes are at hand at once, so
/// this is a rule and no technical need: by default what OSS promises at the latest, so that a program that was written
/// against a store knows what it will meet there.
///
/// ```
/// use ossicle::{RestoreTimes, Settings};
/// let settings = Settings { restore_times: RestoreTimes::NONE, ..Default::default() };
/// # let _ = settings;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestoreTimes {
    /// `Archive`. Default 1 minute.
    pub archive: Duration,
    /// `ColdArchive`, expedited. Default 1 hour.
    pub cold_expedited: Duration,
    /// `ColdArchive`. Default 5 hours.
    pub cold_standard: Duration,
    /// `ColdArchive`, bulk. Default 12 hours.
    pub cold_bulk: Duration,
    /// `DeepColdArchive`, expedited. Default 12 hours.
    pub deep_cold_expedited: Duration,
    /// `DeepColdArchive`. Default 48 hours.
    pub deep_cold_standard: Duration,
}

impl RestoreTimes {
    /// No time at all: a body can be read as soon as it was asked for.
    pub const NONE: RestoreTimes = RestoreTimes {
        archive: Duration::ZERO,
        cold_expedited: Duration::ZERO,
        cold_standard: Duration::ZERO,
        cold_bulk: Duration::ZERO,
        deep_cold_expedited: Duration::ZERO,
        deep_cold_standard: Duration::ZERO,
    };

    /// The longest that OSS takes.
    pub const OSS: RestoreTimes = RestoreTimes {
        archive: MINUTE,
        cold_expedited: HOUR,
        cold_standard: HOUR.saturating_mul(5),
        cold_bulk: HOUR.saturating_mul(12),
        deep_cold_expedited: HOUR.saturating_mul(12),
        deep_cold_standard: HOUR.saturating_mul(48),
    };

    /// How long it takes; `None` where the class is not restored at all, or not with this priority.
    pub(crate) fn of(&self, class: StorageClass, priority: RestorePriority) -> Option<Duration> {
        match (class, priority) {
            (StorageClass::Archive, RestorePriority::Standard) => Some(self.archive),
            (StorageClass::ColdArchive, RestorePriority::Expedited) => Some(self.cold_expedited),
            (StorageClass::ColdArchive, RestorePriority::Standard) => Some(self.cold_standard),
            (StorageClass::ColdArchive, RestorePriority::Bulk) => Some(self.cold_bulk),
            (StorageClass::DeepColdArchive, RestorePriority::Expedited) => Some(self.deep_cold_expedited),
            (StorageClass::DeepColdArchive, RestorePriority::Standard) => Some(self.deep_cold_standard),
            _ => None,
        }
    }
}

impl Default for RestoreTimes {
    fn default() -> RestoreTimes {
        RestoreTimes::OSS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_keep_their_numbers_and_names() {
        for (number, priority) in RestorePriority::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(priority.number()), number);
            assert_eq!(RestorePriority::from_number(priority.number()), priority);
            assert_eq!(priority.to_string().parse::<RestorePriority>().unwrap(), priority);
        }
        assert_eq!(RestorePriority::from_number(200), RestorePriority::Standard);
        for wrong in ["", "expedited", "Fast"] {
            assert_eq!(wrong.parse::<RestorePriority>().unwrap_err().code(), "InvalidArgument", "{wrong}");
        }
    }

    #[test]
    fn a_faster_priority_never_takes_longer() {
        for class in StorageClass::ALL {
            let times: Vec<Duration> = RestorePriority::ALL
                .iter()
                .filter_map(|priority| RestoreTimes::OSS.of(class, *priority))
                .collect();
            assert!(times.is_sorted_by(|slow, fast| slow > fast), "{class}");
            assert_eq!(times.is_empty(), !class.is_archive());
        }
    }
}
