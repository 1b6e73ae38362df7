//! What the rules of a bucket say of one version or upload at one midnight: a pure decision (OSS.md 6.3).

use std::sync::Arc;

use super::report::LifecycleAction;
use super::rule::{DAY, Expiration, Lifecycle, Rule, Transition, When};
use crate::model::class::StorageClass;
use crate::model::expiry::Expiry;
use crate::model::kind::ObjectKind;
use crate::model::meta::{ObjectMeta, from_millis, to_millis};

/// Below this a file is small (OSS).
const SMALL: u64 = 64 << 10;

/// The day of a moment in milliseconds since 1970: how many midnights (UTC) lie behind it.
pub(crate) fn day_of(millis: u64) -> u64 {
    millis / DAY
}

/// What is known of a version, as far as rules ask.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) key: &'a str,
    pub(crate) size: u64,
    /// When it was written, in milliseconds since 1970.
    pub(crate) modified: u64,
    pub(crate) class: StorageClass,
    /// `None` for a delete marker.
    pub(crate) kind: Option<ObjectKind>,
    pub(crate) tags: &'a [(String, String)],
    /// When the next newer version took its place; `None` for the current one.
    pub(crate) since: Option<u64>,
    /// Whether it is the only version of its key.
    pub(crate) alone: bool,
    /// Whether it is known to be the oldest version of its key.
    pub(crate) lowest: bool,
    /// The beginning of the day on which its key was read last, if that is known.
    pub(crate) accessed: Option<u64>,
    /// Whether it must not be deleted.
    pub(crate) held: bool,
}

/// An action, and the rule that it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Act {
    pub(crate) action: LifecycleAction,
    /// The rule's place.
    pub(crate) rule: usize,
}

/// The rules of a bucket, and when each of them was set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InForce {
    /// The rules.
    pub(crate) lifecycle: Lifecycle,
    /// When each rule was set, in milliseconds since 1970; 0 if that was not written down.
    pub(crate) set: Vec<u64>,
}

/// What the rules say at one midnight.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    rules: Arc<InForce>,
    /// The midnight.
    at: u64,
    /// Whether somebody asked for it there and then, and does not wait for the midnight behind what was set or written.
    asked: bool,
}

/// A range of keys for which the same rules count.
#[derive(Clone, Debug)]
pub(crate) struct Region {
    /// The first key.
    pub(crate) start: Vec<u8>,
    /// The first key behind; `None` if there is none.
    pub(crate) end: Option<Vec<u8>>,
    /// Places of the rules that are in force for some of the keys.
    pub(crate) rules: Vec<usize>,
}

/// The first midnight behind a moment: that of the first run that what was written or set then can be part of.
fn midnight_behind(millis: u64) -> u64 {
    (day_of(millis) + 1).saturating_mul(DAY)
}

/// A rule with what decides when it acts. Runs, previews, headers and budgets all ask it, and nothing else.
#[derive(Clone, Copy, Debug)]
struct Ready<'a> {
    rule: &'a Rule,
    /// The first midnight that it may act at.
    from: u64,
    asked: bool,
}

impl Ready<'_> {
    /// The midnight of the run that acts first on what counts from `millis`; `None` if none ever does.
    fn first(&self, when: Expiration, millis: u64) -> Option<u64> {
        let behind = if self.asked { 0 } else { midnight_behind(millis) };
        let first = match when {
            Expiration::Days(count) => {
                midnight_behind(millis).saturating_add(u64::from(count).saturating_mul(DAY))
            }
            Expiration::Before(date) => Some(behind).filter(|_| millis < to_millis(date))?,
            Expiration::On(date) => to_millis(date).max(behind),
            Expiration::Markers => return None,
        };
        Some(first.max(self.from))
    }

    /// The same for what has no other times.
    fn first_when(&self, when: When, millis: u64) -> Option<u64> {
        let when = match when {
            When::Days(count) => Expiration::Days(count),
            When::Before(date) => Expiration::Before(date),
        };
        self.first(when, millis)
    }

    /// How a version is deleted, and in which run.
    fn deletes(&self, subject: &Subject<'_>) -> Option<(u64, LifecycleAction)> {
        let expiration = self.rule.expiration;
        match subject.since {
            Some(since) => {
                let days = Expiration::Days(self.rule.noncurrent_expiration?);
                Some((self.first(days, since)?, LifecycleAction::Remove))
            }
            None if subject.kind.is_none() => {
                let goes = subject.alone && expiration == Some(Expiration::Markers);
                goes.then_some((self.from, LifecycleAction::RemoveMarker))
            }
            None => Some((self.first(expiration?, subject.modified)?, LifecycleAction::Expire)),
        }
    }

    /// The class that a version gets in the run of a midnight. Uphill there is one way only: back to Standard, for what
    /// was read.
    fn moves(&self, to: &Transition, subject: &Subject<'_>, at: u64) -> Option<StorageClass> {
        let kind = subject.kind?;
        if to.small_files == Some(false) && subject.size < SMALL {
            return None;
        }
        // Nothing was read later than today: a clock that was ahead said so.
        let accessed = subject.accessed.map(|accessed| accessed.min(at));
        let written = subject.since.unwrap_or(subject.modified);
        let counts = match to.by_access {
            true => written.max(self.rule.access_base.map_or(0, to_millis)).max(accessed.unwrap_or(0)),
            false => written,
        };
        let is_due = |from| self.first_when(to.when, from).is_some_and(|first| first <= at);
        if is_due(counts) && to.class > subject.class && may_have(kind, to.class) {
            return Some(to.class);
        }
        let is_back = to.return_on_visit
            && self.from <= at
            && subject.class == StorageClass::InfrequentAccess
            && accessed.is_some_and(|accessed| !is_due(accessed));
        is_back.then_some(StorageClass::Standard)
    }
}

impl InForce {
    fn ready(&self, place: usize, asked: bool) -> Ready<'_> {
        let set = self.set.get(place).copied().filter(|set| *set > 0 && !asked);
        Ready { rule: &self.lifecycle.rules[place], from: set.map_or(0, midnight_behind), asked }
    }

    /// When a version will be deleted, and by which rule. The earliest counts.
    fn deletion_of(&self, subject: &Subject<'_>) -> Option<(u64, &Rule)> {
        let mut best: Option<(u64, &Rule)> = None;
        for (place, rule) in self.lifecycle.rules.iter().enumerate() {
            if rule.enabled
                && subject.key.starts_with(&rule.prefix)
                && matches(rule, subject)
                && let Some((at, _)) = self.ready(place, false).deletes(subject)
                && best.is_none_or(|(known, _)| at < known)
            {
                best = Some((at, rule));
            }
        }
        best
    }

    /// When the current version of an object will be deleted; `None` if no rule does. The earliest counts.
    pub(crate) fn expiry_of(&self, meta: &ObjectMeta) -> Option<Expiry> {
        let subject = &Subject {
            key: &meta.key,
            size: meta.size,
            modified: to_millis(meta.modified),
            class: meta.class,
            kind: Some(meta.kind),
            tags: meta.tags(),
            since: None,
            alone: false,
            lowest: false,
            accessed: None,
            held: false,
        };
        let (millis, rule) = self.deletion_of(subject)?;
        Some(Expiry { at: from_millis(millis), rule: rule.id.clone() })
    }

    /// When a version will be deleted, in milliseconds since 1970; `u64::MAX` if no rule deletes it.
    pub(crate) fn deletes_at(&self, subject: &Subject<'_>) -> u64 {
        self.deletion_of(subject).map_or(u64::MAX, |(millis, _)| millis)
    }

    /// Whether any rule asks for tags.
    pub(crate) fn asks_tags(&self) -> bool {
        self.lifecycle.rules.iter().any(asks_tags)
    }
}

fn asks_tags(rule: &Rule) -> bool {
    !rule.tags.is_empty() || rule.except.iter().any(|each| each.tag.is_some())
}

impl Plan {
    /// What rules say in the run of the last midnight at or before `millis`.
    pub(crate) fn new(rules: &Arc<InForce>, millis: u64) -> Plan {
        Plan { rules: rules.clone(), at: day_of(millis) * DAY, asked: false }
    }

    /// The same for a run that is asked for: what was set or written since that midnight is part of it.
    pub(crate) fn asked(rules: &Arc<InForce>, millis: u64) -> Plan {
        Plan { asked: true, ..Plan::new(rules, millis) }
    }

    fn rule(&self, place: usize) -> &Rule {
        &self.rules.lifecycle.rules[place]
    }

    fn ready(&self, place: usize) -> Ready<'_> {
        self.rules.ready(place, self.asked)
    }

    /// The ranges of keys that any rule in force is for, in order. With `uploads`, only rules that abort them count;
    /// without, only those that do anything else.
    pub(crate) fn regions(&self, uploads: bool) -> Vec<Region> {
        let counts = |place: usize| {
            let rule = self.rule(place);
            let objects = rule.expiration.is_some()
                || rule.noncurrent_expiration.is_some()
                || !rule.transitions.is_empty()
                || !rule.noncurrent_transitions.is_empty();
            let acts = rule.enabled && self.ready(place).from <= self.at;
            acts && if uploads { rule.abort_uploads.is_some() } else { objects }
        };
        let live: Vec<(usize, &str)> = (0..self.rules.lifecycle.rules.len())
            .filter(|place| counts(*place))
            .map(|place| (place, &self.rule(place).prefix[..]))
            .collect();
        let mut bounds: Vec<Vec<u8>> = Vec::new();
        for (_, prefix) in &live {
            bounds.push(prefix.as_bytes().to_vec());
            bounds.extend(behind(prefix.as_bytes()));
        }
        bounds.sort();
        bounds.dedup();
        let mut regions = Vec::new();
        for (place, start) in bounds.iter().enumerate() {
            let fits = |(_, prefix): &&(usize, &str)| start.starts_with(prefix.as_bytes());
            let rules: Vec<usize> = live.iter().filter(fits).map(|(place, _)| *place).collect();
            if !rules.is_empty() {
                regions.push(Region { start: start.clone(), end: bounds.get(place + 1).cloned(), rules });
            }
        }
        regions
    }

    /// Whether any of these rules tells versions by size or tags, which delete markers do not have.
    pub(crate) fn asks_sizes_or_tags(&self, rules: &[usize]) -> bool {
        rules.iter().any(|place| {
            let rule = self.rule(*place);
            rule.larger_than.is_some() || rule.smaller_than.is_some() || !rule.tags.is_empty()
        })
    }

    /// Whether any of these rules asks for tags.
    pub(crate) fn asks_tags(&self, rules: &[usize]) -> bool {
        rules.iter().any(|place| asks_tags(self.rule(*place)))
    }

    /// Whether any of these rules is about versions that are not current, or asks whether there are any.
    pub(crate) fn asks_versions(&self, rules: &[usize]) -> bool {
        rules.iter().any(|place| {
            let rule = self.rule(*place);
            rule.noncurrent_expiration.is_some()
                || !rule.noncurrent_transitions.is_empty()
                || rule.expiration == Some(Expiration::Markers)
        })
    }

    /// Whether any of these rules counts from the last access.
    pub(crate) fn asks_access(&self, rules: &[usize]) -> bool {
        rules.iter().any(|place| self.rule(*place).is_by_access())
    }

    /// The name of a rule.
    pub(crate) fn name(&self, rule: usize) -> &str {
        &self.rule(rule).id
    }

    /// What becomes of a version whose key starts with the prefixes of these rules. Of what is due, deletion comes
    /// before everything, a colder class before a warmer one, and the return to Standard last.
    pub(crate) fn decide(&self, rules: &[usize], subject: &Subject<'_>) -> Option<Act> {
        let mut best: Option<(u8, Act)> = None;
        let mut offer = |rank: u8, action, rule| {
            if best.as_ref().is_none_or(|(best, _)| rank > *best) {
                best = Some((rank, Act { action, rule }));
            }
        };
        const DELETION: u8 = u8::MAX;
        for &place in rules {
            let ready = self.ready(place);
            if !matches(ready.rule, subject) {
                continue;
            }
            if let Some((first, action)) = ready.deletes(subject).filter(|_| !subject.held)
                && first <= self.at
            {
                offer(DELETION, action, place);
            }
            let moves = match subject.since {
                Some(_) => &ready.rule.noncurrent_transitions,
                None => &ready.rule.transitions,
            };
            for each in moves {
                match ready.moves(each, subject, self.at) {
                    Some(StorageClass::Standard) => offer(0, LifecycleAction::ReturnToStandard, place),
                    Some(class) => offer(class.number(), LifecycleAction::Transition(class), place),
                    None => {}
                }
            }
        }
        best.map(|(_, act)| act)
    }

    /// Whether an upload that was begun at `begun` is aborted, and by which of these rules.
    pub(crate) fn aborts(&self, rules: &[usize], key: &str, begun: u64) -> Option<Act> {
        let fits = |place: usize| {
            let ready = self.ready(place);
            let first = ready.rule.abort_uploads.and_then(|when| ready.first_when(when, begun));
            let left_out =
                |except: &super::rule::Except| except.tag.is_none() && key.starts_with(&except.prefix);
            first.is_some_and(|first| first <= self.at) && !ready.rule.except.iter().any(left_out)
        };
        let rule = rules.iter().copied().find(|place| fits(*place))?;
        Some(Act { action: LifecycleAction::AbortUpload, rule })
    }
}

/// The least key above every key that starts with `prefix`; `None` if there is no such.
fn behind(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xFF)?;
    let mut out = prefix[..=last].to_vec();
    out[last] += 1;
    Some(out)
}

/// Whether a rule is for a version, apart from its prefix. A delete marker that is not current and hides nothing has
/// neither size nor tags to be asked for: whatever the rule is for, the marker is a rest of it.
fn matches(rule: &Rule, subject: &Subject<'_>) -> bool {
    let is_rest = subject.kind.is_none() && subject.since.is_some() && subject.lowest;
    let fits = rule.larger_than.is_none_or(|least| subject.size > least)
        && rule.smaller_than.is_none_or(|most| subject.size < most)
        && rule.tags.iter().all(|tag| subject.tags.contains(tag));
    (is_rest || fits)
        && !rule.except.iter().any(|except| {
            subject.key.starts_with(&except.prefix)
                && except.tag.as_ref().is_none_or(|tag| subject.tags.contains(tag))
        })
}

/// Whether OSS keeps objects of this kind in this class.
fn may_have(kind: ObjectKind, class: StorageClass) -> bool {
    class < StorageClass::ColdArchive || matches!(kind, ObjectKind::Normal | ObjectKind::Multipart)
}
