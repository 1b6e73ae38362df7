//! Moving between tiers: what whoever decides about it needs from the engine.

use std::path::PathBuf;

use bytes::Bytes;

use super::forwards::DropForwards;
use crate::engine::signals::stats::Stats;
use crate::engine::state::engine::Engine;
use crate::engine::view::spaces::LONE_NUMBERS;
use crate::engine::view::view::View;
use crate::error::Result;
use crate::format::entry::Extent;
use crate::format::segment_header::SegmentKind;
use crate::model::Durability;
use crate::segment::{BodyWriter, Placed, bulk_dir};

impl Engine {
    /// The tier that a body lies in. What lies in the log is in tier 0.
    pub fn tier_of(&self, view: &View, extent: &Extent) -> Result<u8> {
        Ok(view.segments.get(extent.segment)?.header.tier)
    }

    /// The directory that a tier's segments lie in, and why it cannot be used, if so.
    pub fn tier_place(&self, tier: u8) -> (PathBuf, Option<String>) {
        let place = self.maker.place(tier);
        (place.elsewhere.unwrap_or_else(|| bulk_dir(&self.dir, tier)), place.out)
    }

    /// Starts a body that is moved to a tier.
    pub fn moved_body_writer(&self, owner: Vec<u8>, tier: u8) -> Result<BodyWriter> {
        self.check_writable()?;
        Ok(self.pool(tier)?.writer(owner, true, false))
    }

    /// Writes short bodies, each for its key, into a tier in one go.
    pub fn write_moved(&self, bodies: &[(Vec<u8>, Bytes)], tier: u8) -> Result<Vec<Placed>> {
        self.check_writable()?;
        self.pool(tier)?.write_cold(bodies)
    }

    /// Removes rows of work that is done, if they are the same still.
    pub fn drop_done(&self, rows: Vec<(Vec<u8>, u64)>) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        self.commit(DropForwards { rows }, Durability::Buffered).1.map(|_| ())
    }

    /// A number for a thing that is made without a commit of its own: unlikely to be taken, and never one that a commit
    /// gives out.
    pub fn lone_number(&self) -> u32 {
        let mut bytes = [0; 4];
        self.env.entropy.fill(&mut bytes);
        u32::from_le_bytes(bytes) | LONE_NUMBERS
    }

    /// Counts the bulk segments by tier.
    pub(in crate::engine) fn count_tiers(&self, stats: &mut Stats, view: &View, live: &dyn Fn(u64) -> u64) {
        for segment in view.segments.iter().filter(|segment| segment.header.kind == SegmentKind::Bulk) {
            let Some(tier) = stats.tiers.get_mut(usize::from(segment.header.tier)) else { continue };
            tier.segments += 1;
            tier.disk_bytes += self.env.vfs.allocated(segment.path()).unwrap_or(0);
            tier.live_bytes += segment.stored_share(live(segment.id()), self.chunk_log2());
        }
    }
}
