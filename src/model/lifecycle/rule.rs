//! Rules: what a bucket asks to be done with its objects as they age.

use std::time::SystemTime;

use crate::model::class::StorageClass;

/// Milliseconds of a day.
pub(crate) const DAY: u64 = 24 * 60 * 60 * 1000;

/// The lifecycle rules of a bucket: set with [`Bucket::set_config`](crate::Bucket::set_config), over those it had.
///
/// ```
/// # fn main() -> ossicle::Result<()> {
/// # let store = ossicle::Store::in_memory()?;
/// # let bucket = store.create_bucket("cats")?;
/// use ossicle::{Lifecycle, Rule, StorageClass};
/// bucket.set_config(&Lifecycle::new([
///     Rule::new("logs/").id("old logs").transition_after(30, StorageClass::InfrequentAccess).expire_after(365),
///     Rule::new("uploads/").abort_uploads_after(7),
/// ]))?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lifecycle {
    /// The rules, at most [`MAX_RULES`](Lifecycle::MAX_RULES).
    pub rules: Vec<Rule>,
    /// Whether rules with overlapping prefixes may have the same action, or actions at times that do not fit together.
    pub overlap: bool,
}

impl Lifecycle {
    /// The most rules of a bucket (OSS).
    pub const MAX_RULES: usize = 1000;

    /// These rules, of which no two overlap in prefix and action.
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Lifecycle {
        Lifecycle { rules: rules.into_iter().collect(), overlap: false }
    }

    /// Lets rules with overlapping prefixes have the same action, or actions at times that do not fit together (OSS:
    /// `x-oss-allow-same-action-overlap`). Of actions that are due on the same day the most drastic one is done.
    #[must_use]
    pub fn allow_overlap(mut self) -> Lifecycle {
        self.overlap = true;
        self
    }
}

/// One lifecycle rule: which objects it is for, and what becomes of them.
///
/// Days are counted from the midnight (UTC) behind the moment that counts: what was written at any time of a day is one
/// day old at the end of the next one. That is OSS's way, whose runs begin at 00:00 UTC. The first run for a rule is that
/// of the first midnight after it was set; a rule that is set again as it was is no new one.
///
/// ```
/// use ossicle::{Rule, StorageClass};
/// let rule = Rule::new("photos/")
///     .id("photos of the past")
///     .tag("keep", "no")
///     .except("photos/best/")
///     .larger_than(64 << 10)
///     .transition_after(30, StorageClass::InfrequentAccess)
///     .transition_after(90, StorageClass::Archive)
///     .expire_after(3650)
///     .noncurrent_expire_after(30);
/// assert_eq!(rule.transitions.len(), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// Its name, at most 255 bytes and unique in its bucket; made by the store if it is empty.
    pub id: String,
    /// What the keys that it is for start with; empty for all.
    pub prefix: String,
    /// Whether it is in force.
    pub enabled: bool,
    /// Tags that an object must have, all of them.
    pub tags: Vec<(String, String)>,
    /// What is left out.
    pub except: Vec<Except>,
    /// Only objects with more bytes than this. Neither this nor [`smaller_than`](Rule::smaller_than) nor tags keep a
    /// delete marker from being removed that is not current and has no older version beneath it.
    pub larger_than: Option<u64>,
    /// Only objects with fewer bytes than this.
    pub smaller_than: Option<u64>,
    /// When the current version is deleted.
    pub expiration: Option<Expiration>,
    /// When the current version gets another class.
    pub transitions: Vec<Transition>,
    /// When uploads are aborted, counted from when they were begun.
    pub abort_uploads: Option<When>,
    /// After how many days versions that are not current are removed for good, counted from when they were superseded.
    pub noncurrent_expiration: Option<u32>,
    /// When versions that are not current get another class, counted in the same way.
    pub noncurrent_transitions: Vec<Transition>,
    /// From when on accesses are known, for rules that count from the last access; set by the store.
    pub access_base: Option<SystemTime>,
}

/// What a rule leaves out (OSS: `Not`): objects whose keys start with the prefix and which have the tag, if one is given.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Except {
    /// What their keys start with; it starts with the rule's own prefix.
    pub prefix: String,
    /// A tag that they have.
    pub tag: Option<(String, String)>,
}

/// When the current version of an object is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Expiration {
    /// So many days after it was written.
    Days(u32),
    /// If it was written before this date, a midnight in UTC (OSS: `CreatedBeforeDate`): at the next run, also where the
    /// date is still to come.
    Before(SystemTime),
    /// From this date on, whenever it was written (OSS: `Date`, of old).
    On(SystemTime),
    /// Never; but a delete marker goes that is all that is left of its key (OSS: `ExpiredObjectDeleteMarker`).
    Markers,
}

/// When something is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum When {
    /// After so many days.
    Days(u32),
    /// If it was written before this date, a midnight in UTC (OSS: `CreatedBeforeDate`).
    Before(SystemTime),
}

/// When an object gets another storage class. Only ever a colder one than it has, but for
/// [`return_on_visit`](Transition::return_on_visit).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Transition {
    /// When.
    pub when: When,
    /// Which.
    pub class: StorageClass,
    /// Whether days count from the last access instead of the last write; this takes an enabled
    /// [`AccessMonitor`](crate::AccessMonitor).
    pub by_access: bool,
    /// Whether an object of the class IA that is read becomes Standard again (with `by_access` only).
    pub return_on_visit: bool,
    /// Whether objects below 64 KiB are moved too, which is so if nothing is said.
    pub small_files: Option<bool>,
}

impl Transition {
    /// So many days after the last write.
    pub fn after(days: u32, class: StorageClass) -> Transition {
        let when = When::Days(days);
        Transition { when, class, by_access: false, return_on_visit: false, small_files: None }
    }

    /// Of what was written before a date, a midnight in UTC.
    pub fn written_before(date: SystemTime, class: StorageClass) -> Transition {
        Transition { when: When::Before(date), ..Transition::after(1, class) }
    }

    /// So many days after the last access (OSS: `IsAccessTime`).
    pub fn unread_for(days: u32, class: StorageClass) -> Transition {
        Transition { by_access: true, ..Transition::after(days, class) }
    }

    /// Brings what is read back to Standard (OSS: `ReturnToStdWhenVisit`).
    #[must_use]
    pub fn return_on_visit(mut self) -> Transition {
        self.return_on_visit = true;
        self
    }

    /// Says whether objects below 64 KiB are moved too (OSS: `AllowSmallFile`).
    #[must_use]
    pub fn small_files(mut self, allowed: bool) -> Transition {
        self.small_files = Some(allowed);
        self
    }
}

impl Rule {
    /// A rule for the keys that start with a prefix (`""`: for all). It does nothing until it is told what to do.
    pub fn new(prefix: impl Into<String>) -> Rule {
        Rule {
            id: String::new(),
            prefix: prefix.into(),
            enabled: true,
            tags: Vec::new(),
            except: Vec::new(),
            larger_than: None,
            smaller_than: None,
            expiration: None,
            transitions: Vec::new(),
            abort_uploads: None,
            noncurrent_expiration: None,
            noncurrent_transitions: Vec::new(),
            access_base: None,
        }
    }

    /// Sets the name.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Rule {
        self.id = id.into();
        self
    }

    /// Keeps the rule without doing what it says.
    #[must_use]
    pub fn disabled(mut self) -> Rule {
        self.enabled = false;
        self
    }

    /// Only objects with this tag; given more than once, with all of them.
    #[must_use]
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Rule {
        self.tags.push((key.into(), value.into()));
        self
    }

    /// Not the keys that start with this, which starts with the rule's own prefix.
    #[must_use]
    pub fn except(mut self, prefix: impl Into<String>) -> Rule {
        self.except.push(Except { prefix: prefix.into(), tag: None });
        self
    }

    /// Not the objects with this tag whose keys start with this.
    #[must_use]
    pub fn except_tagged(
        mut self,
        prefix: impl Into<String>,
        key: impl Into<String>,
        value: impl Into<String>,
    ) -> Rule {
        self.except.push(Except { prefix: prefix.into(), tag: Some((key.into(), value.into())) });
        self
    }

    /// Only objects with more bytes than this.
    #[must_use]
    pub fn larger_than(mut self, bytes: u64) -> Rule {
        self.larger_than = Some(bytes);
        self
    }

    /// Only objects with fewer bytes than this.
    #[must_use]
    pub fn smaller_than(mut self, bytes: u64) -> Rule {
        self.smaller_than = Some(bytes);
        self
    }

    /// Deletes objects so many days after they were written. Where versions are kept, a delete marker takes their place.
    #[must_use]
    pub fn expire_after(mut self, days: u32) -> Rule {
        self.expiration = Some(Expiration::Days(days));
        self
    }

    /// Deletes objects that were written before a date, a midnight in UTC.
    #[must_use]
    pub fn expire_written_before(mut self, date: SystemTime) -> Rule {
        self.expiration = Some(Expiration::Before(date));
        self
    }

    /// Deletes all objects from a date on, a midnight in UTC.
    #[must_use]
    pub fn expire_on(mut self, date: SystemTime) -> Rule {
        self.expiration = Some(Expiration::On(date));
        self
    }

    /// Removes delete markers that are all that is left of their keys.
    #[must_use]
    pub fn expire_markers(mut self) -> Rule {
        self.expiration = Some(Expiration::Markers);
        self
    }

    /// Moves objects to a colder class so many days after they were written.
    #[must_use]
    pub fn transition_after(self, days: u32, class: StorageClass) -> Rule {
        self.transition(Transition::after(days, class))
    }

    /// Moves objects to a colder class so many days after they were read or written last.
    #[must_use]
    pub fn transition_unread_for(self, days: u32, class: StorageClass) -> Rule {
        self.transition(Transition::unread_for(days, class))
    }

    /// Moves objects to a colder class.
    #[must_use]
    pub fn transition(mut self, transition: Transition) -> Rule {
        self.transitions.push(transition);
        self
    }

    /// Aborts uploads so many days after they were begun.
    #[must_use]
    pub fn abort_uploads_after(mut self, days: u32) -> Rule {
        self.abort_uploads = Some(When::Days(days));
        self
    }

    /// Aborts uploads that were begun before a date, a midnight in UTC.
    #[must_use]
    pub fn abort_uploads_begun_before(mut self, date: SystemTime) -> Rule {
        self.abort_uploads = Some(When::Before(date));
        self
    }

    /// Removes versions for good so many days after another one took their place.
    #[must_use]
    pub fn noncurrent_expire_after(mut self, days: u32) -> Rule {
        self.noncurrent_expiration = Some(days);
        self
    }

    /// Moves versions to a colder class so many days after another one took their place.
    #[must_use]
    pub fn noncurrent_transition_after(self, days: u32, class: StorageClass) -> Rule {
        self.noncurrent_transition(Transition::after(days, class))
    }

    /// Moves versions that are not current to a colder class.
    #[must_use]
    pub fn noncurrent_transition(mut self, transition: Transition) -> Rule {
        self.noncurrent_transitions.push(transition);
        self
    }

    /// Whether anything in it counts from the last access.
    pub(crate) fn is_by_access(&self) -> bool {
        self.transitions.iter().chain(&self.noncurrent_transitions).any(|each| each.by_access)
    }
}
