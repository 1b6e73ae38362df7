//! How much of each segment is live.

use crate::engine::state::engine::Engine;
use crate::engine::view::view::View;
use crate::format::segment_header::SegmentKind;
use crate::segment::Segment;

/// How much of a segment is live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentUse {
    /// The segment's id.
    pub id: u64,
    /// What it holds.
    pub kind: SegmentKind,
    /// Bytes that something still needs.
    pub live: u64,
    /// Bytes of disk that it takes.
    pub taken: u64,
    /// Whether nothing is appended to it any more, so that it can be relocated.
    pub sealed: bool,
    /// Whether it holds nothing live and is kept for cursors of the feed.
    pub for_feed: bool,
}

/// A relocation in progress. Dropped, it can be begun again: what has moved is not moved twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relocated {
    /// The segment that is emptied.
    pub segment: u64,
    /// How far its records have been read.
    pub(super) at: u64,
    /// Whether nothing live is left in it.
    pub done: bool,
    /// Bytes moved so far.
    pub bytes: u64,
    /// Where a search through all rows goes on, for what the records do not lead to; and whether there was one.
    pub(super) search: Option<Vec<u8>>,
    pub(super) searched: bool,
}

impl Relocated {
    /// A relocation that has not begun.
    pub fn of(segment: u64) -> Relocated {
        Relocated { segment, at: 0, done: false, bytes: 0, search: None, searched: false }
    }
}

impl Engine {
    /// How much of each segment is live.
    pub fn segment_uses(&self) -> Vec<SegmentUse> {
        let (ledger, view, end) = {
            let writer = self.writer.lock();
            (writer.ledger.clone(), writer.view.clone(), writer.log.end())
        };
        let table = self.tables.current();
        let newest = View { segments: table.clone(), ..View::clone(&view) };
        let kept = self.kept_for_feed(&newest, &ledger, end);
        let of = |segment: &std::sync::Arc<Segment>| SegmentUse {
            id: segment.id(),
            kind: segment.header.kind,
            live: match ledger.live(segment.id()) {
                0 => 0,
                live if segment.header.is_coded() => segment.stored_share(live, self.chunk_log2()),
                live => segment.packed_share(live) + segment.overhead(),
            },
            taken: self.env.vfs.allocated(segment.path()).unwrap_or(0),
            sealed: match segment.header.kind {
                SegmentKind::Log => segment.id() < end.segment,
                SegmentKind::Bulk => !self.pools.is_open(segment.id()) && !segment.is_awaited(),
            },
            for_feed: kept.contains(&segment.id()),
        };
        table.iter().map(of).collect()
    }

    /// Bytes of segments that nothing needs any more, or that were never needed.
    pub fn garbage_bytes(&self) -> u64 {
        self.segment_uses().iter().map(|each| each.taken.saturating_sub(each.live)).sum()
    }
}
