//! Budgets: how many bytes may be stored, and what goes first when there are more.

use std::time::SystemTime;

use super::version::VersionId;
use crate::error::{Error, Result};

/// The priority of an object that was given none.
pub(crate) const DEFAULT_PRIORITY: u8 = 128;

/// The most bytes that a budget can have.
const MAX_BYTES: u64 = 1 << 62;

/// By what it is decided which object is evicted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EvictBy {
    /// What a lifecycle rule of its bucket would delete soonest goes first, what no rule deletes goes last. Rules that
    /// count from when a version was superseded are taken to count from when it was written.
    Lifecycle,
    /// What has the lowest priority goes first: 0 to 255, and 128 for objects that were given none.
    Priority,
    /// What was read or written longest ago goes first. In a bucket that notes accesses
    /// ([`AccessMonitor`](crate::AccessMonitor)) days of reading count, elsewhere only the time of writing.
    OldestAccess,
}

impl EvictBy {
    /// Every one, in the order that a budget has if none is given.
    pub const ALL: [EvictBy; 3] = [EvictBy::Lifecycle, EvictBy::Priority, EvictBy::OldestAccess];

    /// The number on disk.
    pub(crate) fn number(self) -> u8 {
        match self {
            EvictBy::Lifecycle => 1,
            EvictBy::Priority => 2,
            EvictBy::OldestAccess => 3,
        }
    }

    pub(crate) fn from_number(number: u8) -> Option<EvictBy> {
        EvictBy::ALL.into_iter().find(|by| by.number() == number)
    }
}

/// How many bytes a bucket, or a store, may hold. Where a [`Quota`](crate::Quota) refuses what is too much, a budget lets
/// what is least worth go: a writer that would go beyond it evicts in the same commit what it needs room for, and gets
/// `QuotaExceeded` only if nothing may go any more; then nothing has gone.
///
/// Bytes of bodies count, of current and other versions and of parts of uploads, each with its whole length, as
/// [`Usage::stored_bytes`](crate::Usage::stored_bytes) tells. A copy counts like what it was made of. Rows, the retained past
/// and what maintenance has not given back to the disk yet do not count.
///
/// Never evicted are objects that are pinned, that are marked as not replicated yet, or that a retention or a legal hold
/// protects; uploads in progress; and what takes no bytes. A version that is not current goes before any that is, and an
/// object whose older versions must stay stays too. What is evicted is gone for good, with no delete marker; the change feed
/// tells it like any deletion, and the retained past shows it for as long as it reaches.
///
/// ```
/// use ossicle::{Budget, EvictBy};
/// # fn main() -> ossicle::Result<()> {
/// # let store = ossicle::Store::in_memory()?;
/// let cache = store.create_bucket("cache")?;
/// cache.set_config(&Budget::bytes(1000).order([EvictBy::Priority, EvictBy::OldestAccess]).headroom(0))?;
/// cache.put("first", [0; 400])?;
/// cache.put("second", [0; 400])?;
/// cache.put("third", [0; 400])?;
/// assert!(!cache.exists("first")? && cache.exists("second")?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Budget {
    /// The limit in bytes of bodies: of current and other versions and of parts of uploads.
    pub bytes: u64,
    /// The number of these bytes that maintenance keeps free, so that writers seldom have to evict.
    pub headroom: u64,
    /// The order of eviction: each criterion decides where those before it are equal; last comes the time of writing.
    pub order: Vec<EvictBy>,
}

impl Budget {
    /// A budget of `bytes`, with a twentieth of them as headroom, in the order lifecycle, priority, oldest access.
    pub fn bytes(bytes: u64) -> Budget {
        Budget { bytes, headroom: bytes / 20, order: EvictBy::ALL.to_vec() }
    }

    /// Sets the order of eviction.
    pub fn order(mut self, order: impl IntoIterator<Item = EvictBy>) -> Budget {
        self.order = order.into_iter().collect();
        self
    }

    /// Sets how many bytes maintenance keeps free; with 0 only writers evict.
    pub fn headroom(mut self, bytes: u64) -> Budget {
        self.headroom = bytes;
        self
    }

    /// What maintenance brings the stored bytes down to.
    pub(crate) fn low(&self) -> u64 {
        self.bytes.saturating_sub(self.headroom)
    }

    /// Beyond this maintenance is woken.
    pub(crate) fn high(&self) -> u64 {
        self.bytes.saturating_sub(self.headroom / 2)
    }

    pub(crate) fn check(&self) -> Result<()> {
        let wrong = |why: String| Err(Error::invalid("InvalidArgument", why));
        if self.bytes > MAX_BYTES {
            return wrong(format!("a budget has at most {MAX_BYTES} bytes, not {}", self.bytes));
        }
        if self.headroom > self.bytes {
            let (headroom, bytes) = (self.headroom, self.bytes);
            return wrong(format!("a headroom of {headroom} bytes is more than the budget of {bytes}"));
        }
        let twice = |(place, by): (usize, &EvictBy)| self.order[..place].contains(by);
        if self.order.is_empty() || self.order.iter().enumerate().any(twice) {
            return wrong(
                "the order of a budget names at least one of its kinds, and none twice".to_string(),
            );
        }
        Ok(())
    }
}

/// What an object has to say about being evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keeping {
    pub(crate) pinned: bool,
    pub(crate) replicated: bool,
    pub(crate) priority: u8,
}

impl Keeping {
    pub(crate) const NONE: Keeping = Keeping { pinned: false, replicated: true, priority: DEFAULT_PRIORITY };
}

impl Default for Keeping {
    fn default() -> Keeping {
        Keeping::NONE
    }
}

/// What was evicted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evicted {
    /// The number of objects and versions.
    pub objects: u64,
    /// The sum of the sizes of their bodies in bytes.
    pub bytes: u64,
}

impl Evicted {
    pub(crate) fn add(&mut self, more: &Evicted) {
        self.objects += more.objects;
        self.bytes += more.bytes;
    }
}

/// A version that would be evicted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Eviction {
    /// The name of its bucket.
    pub bucket: String,
    /// The object's key.
    pub key: String,
    /// The version, in a bucket that keeps versions.
    pub version: Option<VersionId>,
    /// Whether it is the current version.
    pub current: bool,
    /// The size of its body in bytes.
    pub bytes: u64,
    /// Its priority, 0 to 255; the lowest is evicted first.
    pub priority: u8,
    /// When it was written.
    pub modified: SystemTime,
}

/// What may be evicted, and what would be evicted next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EvictionPreview {
    /// The sum of all versions that may be evicted.
    pub evictable: Evicted,
    /// The first of them, in the order of eviction.
    pub next: Vec<Eviction>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_says_what_is_wrong_with_it() {
        Budget::bytes(0).check().unwrap();
        Budget::bytes(100).headroom(100).order([EvictBy::Priority]).check().unwrap();
        for wrong in [
            Budget::bytes(u64::MAX),
            Budget::bytes(100).headroom(101),
            Budget::bytes(100).order([]),
            Budget::bytes(100).order([EvictBy::Priority, EvictBy::Lifecycle, EvictBy::Priority]),
        ] {
            assert_eq!(wrong.check().unwrap_err().code(), "InvalidArgument", "{wrong:?}");
        }
    }

    #[test]
    fn maintenance_begins_late_and_goes_further() {
        let budget = Budget::bytes(1000).headroom(100);
        assert_eq!((budget.low(), budget.high()), (900, 950));
    }

    #[test]
    fn kinds_of_order_keep_their_numbers() {
        for number in 0..=u8::MAX {
            let known = (1..=3).contains(&number).then_some(number);
            assert_eq!(EvictBy::from_number(number).map(EvictBy::number), known);
        }
    }
}
