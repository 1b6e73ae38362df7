//! What makes a set of lifecycle rules valid (OSS.md 6.2).

use std::collections::BTreeSet;
use std::time::SystemTime;

use super::rule::{Expiration, Lifecycle, Rule, Transition, When};
use crate::error::{Error, Result};
use crate::model::class::StorageClass;
use crate::model::name::MAX_KEY_BYTES;
use crate::model::tags::check_tags;

/// The longest name of a rule, in bytes (OSS).
const MAX_ID_BYTES: usize = 255;

/// More days than anybody can mean; so that no sum overflows.
const MAX_DAYS: u32 = 1_000_000;

/// The longest body: as many parts as an upload has, of as many bytes (OSS).
const MAX_BYTES: u64 = 10_000 * (5 << 30);

/// By what clock an action counts; times of different clocks say nothing of each other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Clock {
    Days,
    Date,
    DaysUnread,
    NoncurrentDays,
    NoncurrentDaysUnread,
    /// That of uploads, which no other action is about.
    Uploads,
    /// None: it takes no time.
    Unclocked,
}

/// What a rule does, as far as two rules can be at odds about it.
struct Action {
    name: &'static str,
    /// To which class; `None` for a deletion.
    class: Option<StorageClass>,
    clock: Clock,
    /// Days, or seconds since 1970.
    at: u64,
}

impl Action {
    fn is_same(&self, other: &Action) -> bool {
        self.name == other.name && self.class == other.class
    }

    /// The name with the class.
    fn told(&self) -> String {
        match self.class {
            Some(class) => format!("{} to {class}", self.name),
            None => self.name.to_string(),
        }
    }

    /// Whether the colder of two comes too early by the same clock.
    fn clashes(&self, other: &Action) -> bool {
        let order = |action: &Action| action.class.map_or(u8::MAX, StorageClass::number);
        let (first, second) = if order(self) < order(other) { (self, other) } else { (other, self) };
        first.clock == second.clock && order(first) < order(second) && first.at >= second.at
    }
}

fn invalid(message: String) -> Error {
    Error::invalid("InvalidArgument", message)
}

/// A rule as messages name it.
fn named(rule: &Rule, place: usize) -> String {
    if rule.id.is_empty() {
        format!("the lifecycle rule {} (prefix {:?})", place + 1, rule.prefix)
    } else {
        format!("the lifecycle rule {:?}", rule.id)
    }
}

impl Lifecycle {
    /// Checks the rules by what OSS accepts, as [`set_config`](crate::Bucket::set_config) does.
    ///
    /// # Errors
    /// `InvalidArgument` if OSS would refuse them; the message names the rule and says what to do.
    pub fn check(&self) -> Result<()> {
        if self.rules.is_empty() {
            return Err(invalid("a lifecycle has at least one rule; clear it to have none".to_string()));
        }
        if self.rules.len() > Lifecycle::MAX_RULES {
            return Err(invalid(format!(
                "a bucket has at most {} lifecycle rules, not {}",
                Lifecycle::MAX_RULES,
                self.rules.len()
            )));
        }
        let mut ids = BTreeSet::new();
        for (place, rule) in self.rules.iter().enumerate() {
            let name = named(rule, place);
            if rule.id.len() > MAX_ID_BYTES {
                return Err(invalid(format!(
                    "the name of a lifecycle rule has at most {MAX_ID_BYTES} bytes, not {}",
                    rule.id.len()
                )));
            }
            if !rule.id.is_empty() && !ids.insert(&rule.id) {
                return Err(invalid(format!("{name} is there twice; give each rule a name of its own")));
            }
            check_filter(rule, &name)?;
            check_actions(rule, &name)?;
        }
        if self.overlap { Ok(()) } else { self.check_overlaps() }
    }

    /// Two rules with overlapping prefixes and the same tags must have different actions, at times that fit together.
    fn check_overlaps(&self) -> Result<()> {
        let tags = |rule: &Rule| rule.tags.iter().cloned().collect::<BTreeSet<_>>();
        let all: Vec<_> =
            self.rules.iter().map(|rule| (&rule.prefix[..], tags(rule), actions(rule))).collect();
        for (j, (prefix, tags, actions)) in all.iter().enumerate() {
            for (i, (earlier, their_tags, theirs)) in all[..j].iter().enumerate() {
                let overlaps = prefix.starts_with(earlier) || earlier.starts_with(prefix);
                if !overlaps || tags != their_tags {
                    continue;
                }
                let whose = || {
                    let (a, b) = (named(&self.rules[i], i), named(&self.rules[j], j));
                    format!("{a} and {b}")
                };
                for own in actions {
                    if theirs.iter().any(|their| own.is_same(their)) {
                        return Err(invalid(format!(
                            "Overlap for same action type {}: the prefixes of {} overlap; make them apart, or allow \
                             overlaps",
                            own.told(),
                            whose()
                        )));
                    }
                    if let Some(their) = theirs.iter().find(|their| own.clashes(their)) {
                        return Err(invalid(format!(
                            "{} overlap, but their times for {} and {} do not fit together: a colder class comes \
                             later, and deletion last",
                            whose(),
                            their.told(),
                            own.told()
                        )));
                    }
                }
            }
        }
        Ok(())
    }
}

fn check_filter(rule: &Rule, name: &str) -> Result<()> {
    let prefixes = rule.except.iter().map(|except| &except.prefix).chain([&rule.prefix]);
    if let Some(long) = prefixes.map(String::len).find(|len| *len > MAX_KEY_BYTES) {
        return Err(invalid(format!("{name} has a prefix of {long} bytes; no key is that long")));
    }
    let tags = |pairs: &[(String, String)]| {
        check_tags(pairs.iter().cloned())
            .map_err(|error| invalid(format!("{name} has a tag that no object can have: {error}")))
    };
    tags(&rule.tags)?;
    for except in &rule.except {
        tags(except.tag.as_slice())?;
        let is_all = except.prefix == rule.prefix && except.tag.is_none();
        if !except.prefix.starts_with(&rule.prefix) || is_all {
            return Err(invalid(format!(
                "{name} leaves out {:?}, which must start with the prefix of the rule, {:?}, and be longer",
                except.prefix, rule.prefix
            )));
        }
    }
    if let Some(except) = rule.except.iter().find(|except| {
        let has = |tag: &(String, String)| rule.tags.contains(tag);
        except.prefix == rule.prefix && except.tag.as_ref().is_some_and(has)
    }) {
        return Err(invalid(format!(
            "{name} is for objects with a tag and leaves out those under {:?} that have it, which are all; take one of \
             them off",
            except.prefix
        )));
    }
    if rule.smaller_than == Some(0) || rule.larger_than.is_some_and(|larger| larger >= MAX_BYTES) {
        return Err(invalid(format!(
            "{name} is for no size: an object has at least 0 and at most {MAX_BYTES} bytes"
        )));
    }
    if let (Some(larger), Some(smaller)) = (rule.larger_than, rule.smaller_than)
        && larger >= smaller.saturating_sub(1)
    {
        return Err(invalid(format!(
            "{name} is for no size: more than {larger} and less than {smaller} bytes"
        )));
    }
    Ok(())
}

fn check_actions(rule: &Rule, name: &str) -> Result<()> {
    let moves = || rule.transitions.iter().chain(&rule.noncurrent_transitions);
    let nothing = rule.expiration.is_none()
        && rule.abort_uploads.is_none()
        && rule.noncurrent_expiration.is_none()
        && moves().next().is_none();
    if nothing {
        return Err(invalid(format!(
            "{name} does nothing; give it an expiration, a transition or another action"
        )));
    }
    if rule.expiration == Some(Expiration::Markers) && !rule.tags.is_empty() {
        return Err(invalid(format!(
            "{name} is to remove delete markers, which have no tags; take the tags off the rule"
        )));
    }
    if rule.expiration == Some(Expiration::Markers) && rule.larger_than.is_some() {
        return Err(invalid(format!(
            "{name} is to remove delete markers, which have no bytes, and is for what is larger than something; make them \
             two rules"
        )));
    }
    if rule.abort_uploads.is_some() && !rule.tags.is_empty() {
        return Err(invalid(format!(
            "{name} is to abort uploads, whose parts have no tags; make that a rule without tags"
        )));
    }
    match rule.expiration {
        Some(Expiration::Days(days)) => check_when(When::Days(days), name)?,
        Some(Expiration::Before(date) | Expiration::On(date)) => check_when(When::Before(date), name)?,
        Some(Expiration::Markers) | None => {}
    }
    rule.abort_uploads.map_or(Ok(()), |when| check_when(when, name))?;
    rule.noncurrent_expiration.map_or(Ok(()), |days| check_when(When::Days(days), name))?;
    moves().try_for_each(|each| check_transition(rule, each, name))?;
    if rule.noncurrent_transitions.iter().any(|each| !matches!(each.when, When::Days(_))) {
        return Err(invalid(format!(
            "{name} moves versions that are not current at a date; only a number of days can be given for them"
        )));
    }
    let all = actions(rule);
    for (place, one) in all.iter().enumerate() {
        for other in &all[..place] {
            if one.is_same(other) {
                return Err(invalid(format!("{name} has the action {} twice", one.told())));
            }
            if one.clashes(other) {
                return Err(invalid(format!(
                    "the times of {name} for {} and {} do not fit together: a colder class comes later, and deletion \
                     last",
                    other.told(),
                    one.told()
                )));
            }
        }
    }
    Ok(())
}

fn check_transition(rule: &Rule, each: &Transition, name: &str) -> Result<()> {
    check_when(each.when, name)?;
    if each.class == StorageClass::Standard {
        return Err(invalid(format!("{name} moves to Standard; a lifecycle only moves to colder classes")));
    }
    if each.return_on_visit && !each.by_access {
        return Err(invalid(format!(
            "{name} brings back what is read, but does not count from the last access; say that it does"
        )));
    }
    if each.by_access && !matches!(each.when, When::Days(_)) {
        return Err(invalid(format!("{name} counts from the last access to a date; give it days")));
    }
    if each.small_files.is_some() && (rule.larger_than.is_some() || rule.smaller_than.is_some()) {
        return Err(invalid(format!(
            "{name} says both whether small files are moved and for which sizes it is; say one of them"
        )));
    }
    Ok(())
}

fn check_when(when: When, name: &str) -> Result<()> {
    match when {
        When::Days(days) if !(1..=MAX_DAYS).contains(&days) => {
            Err(invalid(format!("{name} counts {days} days; the least is 1 and the most {MAX_DAYS}")))
        }
        When::Before(date) if !is_midnight(date) => {
            Err(invalid(format!("the date in {name} is no midnight in UTC, which it must be")))
        }
        _ => Ok(()),
    }
}

fn is_midnight(date: SystemTime) -> bool {
    let since = date.duration_since(SystemTime::UNIX_EPOCH).ok();
    since.is_some_and(|since| since.as_secs().is_multiple_of(24 * 60 * 60) && since.subsec_nanos() == 0)
}

fn seconds(date: SystemTime) -> u64 {
    date.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// All that a rule does.
fn actions(rule: &Rule) -> Vec<Action> {
    let days = |clock, days: u32| (clock, u64::from(days));
    let timed = |when, in_days| match when {
        When::Days(count) => days(in_days, count),
        When::Before(date) => (Clock::Date, seconds(date)),
    };
    let mut all = Vec::new();
    let mut act = |name, class, (clock, at)| all.push(Action { name, class, clock, at });
    match rule.expiration {
        Some(Expiration::Days(count)) => act("Expiration", None, days(Clock::Days, count)),
        Some(Expiration::Before(date) | Expiration::On(date)) => {
            act("Expiration", None, (Clock::Date, seconds(date)));
        }
        Some(Expiration::Markers) => act("ExpiredObjectDeleteMarker", None, (Clock::Unclocked, 0)),
        None => {}
    }
    for each in &rule.transitions {
        let clock = if each.by_access { Clock::DaysUnread } else { Clock::Days };
        act("Transition", Some(each.class), timed(each.when, clock));
    }
    if rule.abort_uploads.is_some() {
        act("AbortMultipartUpload", None, (Clock::Uploads, 0));
    }
    if let Some(count) = rule.noncurrent_expiration {
        act("NoncurrentVersionExpiration", None, days(Clock::NoncurrentDays, count));
    }
    for each in &rule.noncurrent_transitions {
        let clock = if each.by_access { Clock::NoncurrentDaysUnread } else { Clock::NoncurrentDays };
        act("NoncurrentVersionTransition", Some(each.class), timed(each.when, clock));
    }
    all
}
