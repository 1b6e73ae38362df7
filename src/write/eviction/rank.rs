//! The order in which versions go, and why some never do.

use crate::catalog::keyspace::keys;
use crate::catalog::{self, BucketState, HeadRow, Rows, lifecycle, unreadable};
use crate::engine::Listed;
use crate::error::Result;
use crate::format::row::{Keep, MARKER, ObjectGlance, ObjectRow};
use crate::model::{
    Budget, DAY, EvictBy, InForce, ObjectKind, StorageClass, Subject, WormState, from_millis, to_millis,
};
use crate::write::version_chain;

/// What a version is ranked by.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub key: &'a str,
    pub size: u64,
    pub modified: u64,
    pub class: u8,
    pub kind: u8,
    pub tags: &'a [(String, String)],
    pub keep: Keep,
    /// Its place among the versions of the key; nothing for the current one.
    pub part: Option<(u64, u32)>,
    /// When another version took its place, if that was written down.
    pub superseded: Option<u64>,
    /// The beginning of the day on which the object was read last, where that is known and asked for.
    pub accessed: Option<u64>,
}

impl<'a> Facts<'a> {
    /// Of a whole row.
    pub fn of(
        key: &'a str,
        row: &'a ObjectRow,
        part: Option<(u64, u32)>,
        accessed: Option<u64>,
    ) -> Facts<'a> {
        let (keep, tags) = (row.rare().keep, &row.rare().tags[..]);
        let ObjectRow { size, modified, class, kind, superseded, .. } = *row;
        Facts { key, size, modified, class, kind, tags, keep, part, superseded, accessed }
    }

    /// Of what a glance shows.
    pub fn seen(
        key: &'a str,
        seen: &ObjectGlance<'_>,
        keep: Keep,
        part: Option<(u64, u32)>,
        accessed: Option<u64>,
    ) -> Facts<'a> {
        let ObjectGlance { size, modified, class, kind, superseded, .. } = *seen;
        Facts { key, size, modified, class, kind, tags: &[], keep, part, superseded, accessed }
    }
}

/// The order in which the versions of a bucket go.
#[derive(Debug)]
pub struct Ranking<'a> {
    order: &'a [EvictBy],
    rules: Option<&'a InForce>,
    monitored: bool,
    bucket: u64,
}

impl<'a> Ranking<'a> {
    /// By what a budget says, in a bucket.
    pub fn new(budget: &'a Budget, state: &'a BucketState) -> Ranking<'a> {
        let asks = |by| budget.order.contains(&by);
        Ranking {
            order: &budget.order,
            rules: state.lifecycle.as_deref().filter(|_| asks(EvictBy::Lifecycle)),
            monitored: state.monitored && asks(EvictBy::OldestAccess),
            bucket: state.row.id,
        }
    }

    /// Whether it asks for tags.
    pub fn asks_tags(&self) -> bool {
        self.rules.is_some_and(InForce::asks_tags)
    }

    /// When an object was read last, if that is asked for and known.
    pub fn read_access(&self, rows: &impl Rows, key: &str) -> Result<Option<u64>> {
        if !self.monitored {
            return Ok(None);
        }
        let found = rows.get(&keys::access(self.bucket, key.as_bytes()))?;
        found.map(|found| Ok(lifecycle::decode_day(&found.payload)? * DAY)).transpose()
    }

    /// Where a version stands in the order; nothing for what frees no bytes.
    pub fn rank(&self, facts: &Facts<'_>) -> Result<Option<[u64; 5]>> {
        if facts.kind == MARKER || facts.size == 0 {
            return Ok(None);
        }
        let mut rank = [0; 5];
        rank[0] = u64::from(facts.part.is_none());
        for (place, by) in self.order.iter().take(3).enumerate() {
            rank[1 + place] = match by {
                EvictBy::Lifecycle => self.deletes_at(facts)?,
                EvictBy::Priority => u64::from(catalog::keeping_of(&facts.keep).priority),
                EvictBy::OldestAccess => facts.modified.max(facts.accessed.unwrap_or(0)),
            };
        }
        rank[4] = facts.modified;
        Ok(Some(rank))
    }

    /// The version with its place.
    pub fn listed(&self, facts: &Facts<'_>, rank: [u64; 5]) -> Listed {
        Listed { rank, group: self.bucket, key: facts.key.into(), part: facts.part }
    }

    fn deletes_at(&self, facts: &Facts<'_>) -> Result<u64> {
        let Some(rules) = self.rules else { return Ok(u64::MAX) };
        let class = StorageClass::from_number(facts.class);
        Ok(rules.deletes_at(&Subject {
            key: facts.key,
            size: facts.size,
            modified: facts.modified,
            class: class.ok_or_else(|| unreadable("a storage class is unknown"))?,
            kind: ObjectKind::from_number(facts.kind),
            tags: facts.tags,
            since: facts.part.map(|_| facts.superseded.unwrap_or(facts.modified)),
            alone: false,
            lowest: false,
            accessed: facts.accessed,
            held: false,
        }))
    }
}

/// Whether an object says of itself that it stays.
pub fn stays(keep: &Keep) -> bool {
    keep.pinned || keep.unreplicated
}

/// Until when (in milliseconds since 1970) a version must stay; `u64::MAX` if no time ends that, nothing if it may go.
pub fn held_until(state: &BucketState, head: &HeadRow, millis: u64) -> Option<u64> {
    if stays(&head.row.rare().keep) {
        return Some(u64::MAX);
    }
    version_chain::protection(state, head, from_millis(millis))?;
    let rare = head.row.rare();
    if rare.legal_hold {
        return Some(u64::MAX);
    }
    let own = rare.retention.map(|(_, until)| until).filter(|until| *until > millis);
    let bucket = state.worm().map(|worm| {
        // One that nobody locks lapses after a day.
        let lapses = match worm.state {
            WormState::Locked => u64::MAX,
            WormState::InProgress => to_millis(worm.created).saturating_add(DAY),
        };
        to_millis(worm.protected_until(from_millis(head.row.modified))).min(lapses)
    });
    // What is still held then is looked at once more.
    own.or(bucket).map(|until| until.max(millis + 1))
}
