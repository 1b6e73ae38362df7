//! The pools of all tiers, as one.

use std::sync::Arc;

use super::pool::BulkPool;
use crate::error::Result;
use crate::segment::reserve::Reserve;
use crate::segment::segment::Segment;

/// A pool for each tier, by its number.
#[derive(Debug)]
pub struct Pools(Vec<Arc<BulkPool>>);

impl Pools {
    /// These, the first of them that of tier 0.
    pub fn new(pools: Vec<Arc<BulkPool>>) -> Pools {
        Pools(pools)
    }

    /// The pool of a tier; that of tier 0 for one that there is not.
    pub fn of(&self, tier: u8) -> &Arc<BulkPool> {
        self.0.get(usize::from(tier)).unwrap_or(&self.0[0])
    }

    /// Whether a segment is still open for more.
    pub fn is_open(&self, id: u64) -> bool {
        self.finished_end(id).is_some()
    }

    /// See [`BulkPool::finished_end`].
    pub fn finished_end(&self, id: u64) -> Option<u64> {
        self.0.iter().find_map(|pool| pool.finished_end(id))
    }

    /// See [`BulkPool::seal_idle`].
    pub fn seal_idle(&self) {
        self.0.iter().for_each(|pool| pool.seal_idle());
    }

    /// See [`BulkPool::seal_if_idle`].
    pub fn seal_if_idle(&self, id: u64) {
        self.0.iter().for_each(|pool| pool.seal_if_idle(id));
    }

    /// See [`BulkPool::is_dirty`].
    pub fn is_dirty(&self) -> bool {
        self.0.iter().any(|pool| pool.is_dirty())
    }

    /// Makes every finished body durable. After an error nothing may be retried (I8).
    pub fn sync(&self) -> Result<()> {
        self.0.iter().try_for_each(|pool| pool.sync())
    }

    /// See [`BulkPool::sync_segment`].
    pub fn sync_segment(&self, segment: &Segment) -> Result<()> {
        self.of(segment.header.tier).sync_segment(segment)
    }

    /// See [`BulkPool::set_segment_len`].
    pub fn set_segment_len(&self, len: u64) {
        self.0.iter().for_each(|pool| pool.set_segment_len(len));
    }

    /// The reserves of the disks that tiers lie on, apart from the store's own.
    pub fn reserves_elsewhere(&self) -> impl Iterator<Item = &Arc<Reserve>> {
        self.0.iter().map(|pool| pool.reserve()).filter(|reserve| !reserve.is_home())
    }

    /// See [`BulkPool::wants_spare`].
    pub fn wants_spare(&self) -> bool {
        self.0.iter().any(|pool| pool.wants_spare())
    }

    /// See [`BulkPool::prepare`].
    pub fn prepare(&self) -> Result<()> {
        self.0.iter().try_for_each(|pool| pool.prepare())
    }
}
