//! What the rules of a bucket say of one version or upload at one midnight: a pure decision (OSS.md 6.3).

use super::{DAY, Expiration, Expiry, Lifecycle, LifecycleAction, Rule, Transition, When};
use crate::model::{ObjectKind, ObjectMeta, StorageClass, from_millis, to_millis};

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

/// The rules, worked out for one midnight.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    rules: Vec<Ready>,
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

/// A rule, worked out for one midnight. What is due is whatever is older than a moment.
#[derive(Clone, Debug)]
struct Ready {
    rule: Rule,
    expires: u64,
    moves: Vec<Move>,
    aborts: u64,
    removes: u64,
    older_moves: Vec<Move>,
    access_base: u64,
}

#[derive(Clone, Copy, Debug)]
struct Move {
    to: Transition,
    before: u64,
}

/// Due after `count` days is what was written before this: the midnight behind it, and so many days, have passed.
fn days_before(at: u64, count: u32) -> u64 {
    at.saturating_sub(u64::from(count).saturating_mul(DAY))
}

fn due(at: u64, when: When) -> u64 {
    match when {
        When::Days(count) => days_before(at, count),
        When::Before(date) => to_millis(date),
    }
}

impl Plan {
    /// Works rules out for the last midnight at or before `millis`.
    pub(crate) fn new(lifecycle: &Lifecycle, millis: u64) -> Plan {
        let at = day_of(millis) * DAY;
        let moves = |all: &[Transition]| {
            all.iter().map(|to| Move { to: *to, before: due(at, to.when) }).collect::<Vec<_>>()
        };
        let ready = |rule: &Rule| Ready {
            expires: match rule.expiration {
                Some(Expiration::Days(count)) => days_before(at, count),
                Some(Expiration::Before(date)) => to_millis(date),
                Some(Expiration::On(date)) if at >= to_millis(date) => u64::MAX,
                _ => 0,
            },
            moves: moves(&rule.transitions),
            aborts: rule.abort_uploads.map_or(0, |when| due(at, when)),
            removes: rule.noncurrent_expiration.map_or(0, |count| days_before(at, count)),
            older_moves: moves(&rule.noncurrent_transitions),
            access_base: rule.access_base.map_or(0, to_millis),
            rule: rule.clone(),
        };
        Plan { rules: lifecycle.rules.iter().map(ready).collect() }
    }

    /// The ranges of keys that any rule in force is for, in order. With `uploads`, only rules that abort them count;
    /// without, only those that do anything else.
    pub(crate) fn regions(&self, uploads: bool) -> Vec<Region> {
        let counts = |ready: &Ready| {
            let rule = &ready.rule;
            let objects = rule.expiration.is_some()
                || rule.noncurrent_expiration.is_some()
                || !rule.transitions.is_empty()
                || !rule.noncurrent_transitions.is_empty();
            rule.enabled && if uploads { rule.abort_uploads.is_some() } else { objects }
        };
        let live: Vec<(usize, &str)> = self
            .rules
            .iter()
            .enumerate()
            .filter(|(_, ready)| counts(ready))
            .map(|(place, ready)| (place, &ready.rule.prefix[..]))
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

    /// Whether any of these rules asks for tags.
    pub(crate) fn asks_tags(&self, rules: &[usize]) -> bool {
        let asks = |rule: &Rule| !rule.tags.is_empty() || rule.except.iter().any(|each| each.tag.is_some());
        rules.iter().any(|place| asks(&self.rules[*place].rule))
    }

    /// Whether any of these rules is about versions that are not current, or asks whether there are any.
    pub(crate) fn asks_versions(&self, rules: &[usize]) -> bool {
        rules.iter().any(|place| {
            let rule = &self.rules[*place].rule;
            rule.noncurrent_expiration.is_some()
                || !rule.noncurrent_transitions.is_empty()
                || rule.expiration == Some(Expiration::Markers)
        })
    }

    /// Whether any of these rules counts from the last access.
    pub(crate) fn asks_access(&self, rules: &[usize]) -> bool {
        rules.iter().any(|place| self.rules[*place].rule.is_by_access())
    }

    /// The name of a rule.
    pub(crate) fn name(&self, rule: usize) -> &str {
        &self.rules[rule].rule.id
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
            let ready = &self.rules[place];
            if !matches(&ready.rule, subject) {
                continue;
            }
            let deletion = deletion(ready, subject);
            deletion.into_iter().for_each(|action| offer(DELETION, action, place));
            if subject.kind.is_none() {
                continue;
            }
            let moves = if subject.since.is_some() { &ready.older_moves } else { &ready.moves };
            for each in moves {
                match transition(ready, each, subject) {
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
        let fits = |ready: &Ready| {
            let left_out = |except: &super::Except| except.tag.is_none() && key.starts_with(&except.prefix);
            begun < ready.aborts && !ready.rule.except.iter().any(left_out)
        };
        let rule = rules.iter().copied().find(|place| fits(&self.rules[*place]))?;
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

/// Whether a rule is for a version, apart from its prefix.
fn matches(rule: &Rule, subject: &Subject<'_>) -> bool {
    rule.larger_than.is_none_or(|least| subject.size > least)
        && rule.smaller_than.is_none_or(|most| subject.size < most)
        && rule.tags.iter().all(|tag| subject.tags.contains(tag))
        && !rule.except.iter().any(|except| {
            subject.key.starts_with(&except.prefix)
                && except.tag.as_ref().is_none_or(|tag| subject.tags.contains(tag))
        })
}

fn deletion(ready: &Ready, subject: &Subject<'_>) -> Option<LifecycleAction> {
    if subject.held {
        return None;
    }
    match subject.since {
        Some(since) => (since < ready.removes).then_some(LifecycleAction::Remove),
        None if subject.kind.is_none() => {
            let goes = subject.alone && ready.rule.expiration == Some(Expiration::Markers);
            goes.then_some(LifecycleAction::RemoveMarker)
        }
        None => (subject.modified < ready.expires).then_some(LifecycleAction::Expire),
    }
}

/// The class that a version gets. Uphill there is one way only: back to Standard, for what was read.
fn transition(ready: &Ready, each: &Move, subject: &Subject<'_>) -> Option<StorageClass> {
    let to = &each.to;
    if to.small_files == Some(false) && subject.size < SMALL {
        return None;
    }
    let written = subject.since.unwrap_or(subject.modified);
    let counts = if to.by_access {
        written.max(ready.access_base).max(subject.accessed.unwrap_or(0))
    } else {
        written
    };
    let is_due = counts < each.before;
    if is_due && to.class > subject.class && subject.kind.is_some_and(|kind| may_have(kind, to.class)) {
        return Some(to.class);
    }
    let is_back = to.return_on_visit
        && !is_due
        && subject.class == StorageClass::InfrequentAccess
        && subject.accessed.is_some_and(|accessed| accessed >= each.before);
    is_back.then_some(StorageClass::Standard)
}

/// Whether OSS keeps objects of this kind in this class.
fn may_have(kind: ObjectKind, class: StorageClass) -> bool {
    class < StorageClass::ColdArchive || matches!(kind, ObjectKind::Normal | ObjectKind::Multipart)
}

impl Lifecycle {
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
            accessed: None,
            held: false,
        };
        let (millis, rule) = self.deletion_of(subject)?;
        Some(Expiry { at: from_millis(millis), rule: rule.id.clone() })
    }

    /// When a version will be deleted, and by which rule. The earliest counts.
    fn deletion_of(&self, subject: &Subject<'_>) -> Option<(u64, &Rule)> {
        let current = |rule: &Rule| match rule.expiration? {
            Expiration::Days(count) => {
                Some((day_of(subject.modified) + u64::from(count) + 1).saturating_mul(DAY))
            }
            Expiration::Before(date) => Some(to_millis(date)).filter(|millis| subject.modified < *millis),
            Expiration::On(date) => Some(to_millis(date)),
            Expiration::Markers => None,
        };
        let at = |rule: &Rule| match subject.since {
            None => current(rule),
            Some(since) => {
                let count = u64::from(rule.noncurrent_expiration?);
                Some((day_of(since) + count + 1).saturating_mul(DAY))
            }
        };
        let counts =
            |rule: &&Rule| rule.enabled && subject.key.starts_with(&rule.prefix) && matches(rule, subject);
        let all = self.rules.iter().filter(counts).filter_map(|rule| Some((at(rule)?, rule)));
        all.min_by_key(|(millis, _)| *millis)
    }

    /// The same, in milliseconds since 1970; `u64::MAX` if no rule deletes it.
    pub(crate) fn deletes_at(&self, subject: &Subject<'_>) -> u64 {
        self.deletion_of(subject).map_or(u64::MAX, |(millis, _)| millis)
    }

    /// Whether any rule asks for tags.
    pub(crate) fn asks_tags(&self) -> bool {
        let asks = |rule: &Rule| !rule.tags.is_empty() || rule.except.iter().any(|each| each.tag.is_some());
        self.rules.iter().any(asks)
    }
}
