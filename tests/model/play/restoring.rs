//! Asking for the bodies of frozen objects.

use std::time::SystemTime;

use ossicle::{Durability, RestoreOptions, RestorePriority, RestoreStatus};

use super::Play;
use super::facts::same;
use crate::history::{Pick, Spot};

/// A moment as milliseconds since 1970.
pub(super) fn millis(moment: SystemTime) -> u64 {
    moment.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64
}

impl Play<'_> {
    pub(super) fn restore(
        &mut self,
        at: &Spot,
        pick: Pick,
        days: Option<u32>,
        priority: Option<RestorePriority>,
    ) {
        let Some((bucket, handle)) = self.spot(at) else {
            return;
        };
        let mut at = at.clone();
        // There are few of them.
        let hit = at.hits.unwrap_or(at.key.len());
        if let Some(frozen) = self.model.some_frozen(&handle, hit).filter(|_| hit % 8 != 7) {
            at.key = frozen;
        }
        let (which, version) = self.which(pick, &handle, &at.key);
        let mut options = RestoreOptions::new().durability(Durability::Buffered);
        if let Some(version) = version {
            options = options.version(version);
        }
        if let Some(days) = days {
            options = options.days(days);
        }
        if let Some(priority) = priority {
            options = options.priority(priority);
        }
        let now = self.model.now;
        let real = bucket.restore(&at.key, options).map(|status| match status {
            RestoreStatus::Ongoing { priority, ready, until } => {
                (Some((priority, millis(ready))), millis(until))
            }
            RestoreStatus::Restored { until } => (None, millis(until)),
            other => panic!("a status that the model does not know: {other:?}"),
        });
        let told = self.model.restore(&handle, &at.key, &which, (days, priority), self.world.restore_times());
        let ongoing = |ready: u64| (now < ready).then_some(ready);
        same(real, told.map(|it| (ongoing(it.ready).map(|ready| (it.priority, ready)), it.until)));
    }
}
