//! Frozen objects: when a body can be read, and what asking for it comes to.

use std::sync::Arc;

use ossicle::{ObjectKind, RestorePriority, RestoreTimes, StorageClass};

use super::{Answer, BAD_ARGUMENT, Handle, Object, Reference, Which, check_key};

const DAY: u64 = 86_400_000;

const FROZEN: &str = "InvalidObjectState";

/// What was asked for last, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restoring {
    pub ready: u64,
    pub until: u64,
    pub priority: RestorePriority,
}

fn can_freeze(class: StorageClass) -> bool {
    !matches!(class, StorageClass::Standard | StorageClass::InfrequentAccess)
}

impl Object {
    /// Whether its body, or of a link that was followed that of its target, cannot be read now.
    pub fn is_frozen(&self, now: u64) -> bool {
        let (class, restoring) = match (&self.behind, self.kind) {
            (Some(target), _) => (target.dressed.class, target.restoring),
            (None, ObjectKind::Symlink) => return false,
            (None, _) => (self.dressed.class, self.restoring),
        };
        !self.marker && can_freeze(class) && !restoring.is_some_and(|it| (it.ready..it.until).contains(&now))
    }

    pub fn check_readable(&self, now: u64) -> Answer<()> {
        if self.is_frozen(now) { Err(FROZEN) } else { Ok(()) }
    }
}

fn takes(times: &RestoreTimes, class: StorageClass, priority: RestorePriority) -> Option<u64> {
    use RestorePriority::{Bulk, Expedited, Standard};
    let time = match (class, priority) {
        (StorageClass::Archive, Standard) => times.archive,
        (StorageClass::ColdArchive, Bulk) => times.cold_bulk,
        (StorageClass::ColdArchive, Standard) => times.cold_standard,
        (StorageClass::ColdArchive, Expedited) => times.cold_expedited,
        (StorageClass::DeepColdArchive, Standard) => times.deep_cold_standard,
        (StorageClass::DeepColdArchive, Expedited) => times.deep_cold_expedited,
        _ => return None,
    };
    Some(time.as_millis() as u64)
}

impl Reference {
    /// One of the keys whose current version is of a class that freezes.
    pub fn some_frozen(&self, bucket: &Handle, at: usize) -> Option<String> {
        let its = &self.check(bucket).ok()?.chains;
        let keys: Vec<_> =
            its.iter().filter(|(_, chain)| can_freeze(chain[0].dressed.class)).map(|(key, _)| key).collect();
        keys.get(at % keys.len().max(1)).map(|key| key.to_string())
    }

    /// Asks for a body: from when on it can be read, and until when.
    pub fn restore(
        &mut self,
        bucket: &Handle,
        key: &str,
        which: &Which,
        (days, priority): (Option<u32>, Option<RestorePriority>),
        times: &RestoreTimes,
    ) -> Answer<Restoring> {
        check_key(key)?;
        self.alone(|steps| {
            let now = steps.scratch.now;
            let object = steps.scratch.carried(bucket, key, which, None)?;
            let class = object.dressed.class;
            if object.kind == ObjectKind::Symlink || !can_freeze(class) {
                return Err("OperationNotSupported");
            }
            let most = if class == StorageClass::Archive { 7 } else { 365 };
            if days.is_some_and(|days| days == 0 || days > most) {
                return Err(BAD_ARGUMENT);
            }
            if class == StorageClass::Archive && priority.is_some() {
                return Err(BAD_ARGUMENT);
            }
            let priority = priority.unwrap_or_default();
            let ready = now + takes(times, class, priority).ok_or(BAD_ARGUMENT)?;
            let lasts = days.map(|days| u64::from(days) * DAY);
            let next = match object.restoring.filter(|old| now < old.until) {
                None => Restoring { ready, until: ready + lasts.unwrap_or(DAY), priority },
                Some(old) if now >= old.ready => {
                    Restoring { until: old.until.max(now + lasts.unwrap_or(DAY)), ..old }
                }
                Some(old) if priority > old.priority => {
                    let ready = ready.min(old.ready);
                    Restoring { ready, until: ready + lasts.unwrap_or(old.until - old.ready), priority }
                }
                Some(_) => return Err("RestoreAlreadyInProgress"),
            };
            if object.restoring == Some(next) {
                return Ok(next);
            }
            let mut chain = steps.scratch.chain(bucket, key).to_vec();
            let at = chain.iter().position(|other| other.name == object.name).expect("found");
            chain[at] = Arc::new(Object { restoring: Some(next), ..Object::clone(&object) });
            steps.make(vec![(bucket.id, key.to_string(), chain)], None)?;
            Ok(next)
        })
    }
}
