//! Which segment to relocate next: a pure decision over how much of each is live.

use crate::engine::SegmentUse;

/// Segments with less garbage than this are left alone: moving them would cost more than it brings.
const WORTH_BYTES: u64 = 64 * 1024;

/// The totals over all segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// Bytes that something needs.
    pub live: u64,
    /// Bytes of disk that segments take.
    pub taken: u64,
}

/// Adds the segments up.
pub fn space(uses: &[SegmentUse]) -> Space {
    let add = |sum: Space, each: &SegmentUse| Space {
        live: sum.live.saturating_add(each.live),
        taken: sum.taken.saturating_add(each.taken),
    };
    uses.iter().fold(Space::default(), add)
}

fn garbage(each: &SegmentUse) -> u64 {
    each.taken.saturating_sub(each.live)
}

/// The sealed segment that gives the most space back for each byte that must be moved, if more than
/// `garbage_percent` of all bytes is garbage. Segments in which nothing is live cost nothing: a checkpoint
/// removes them, and they do not count as garbage here.
pub fn next_victim(uses: &[SegmentUse], garbage_percent: u8) -> Option<u64> {
    let alive: Vec<SegmentUse> = uses.iter().filter(|each| each.live > 0 || !each.sealed).copied().collect();
    let total = space(&alive);
    let wasted: u64 = alive.iter().filter(|each| each.sealed).map(garbage).sum();
    if wasted.saturating_mul(100) <= total.taken.saturating_mul(u64::from(garbage_percent)) {
        return None;
    }
    worst(&alive, WORTH_BYTES)
}

/// The sealed segment with the largest share of garbage, if it has at least `worth` bytes of it.
pub fn worst(uses: &[SegmentUse], worth: u64) -> Option<u64> {
    uses.iter()
        .filter(|each| each.sealed && each.live > 0 && garbage(each) >= worth)
        .max_by(|a, b| share(a).total_cmp(&share(b)).then(b.id.cmp(&a.id)))
        .map(|each| each.id)
}

fn share(each: &SegmentUse) -> f64 {
    garbage(each) as f64 / each.taken.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::segment_header::SegmentKind;

    fn segment(id: u64, live: u64, taken: u64) -> SegmentUse {
        SegmentUse { id, kind: SegmentKind::Log, live, taken, sealed: true }
    }

    const M: u64 = 1 << 20;

    #[test]
    fn the_emptiest_segment_goes_first_and_only_when_it_is_worth_it() {
        let uses = [segment(1, 9 * M, 10 * M), segment(2, 2 * M, 10 * M), segment(3, 5 * M, 10 * M)];
        assert_eq!(next_victim(&uses, 25), Some(2));
        assert_eq!(next_victim(&uses, 60), None);
        assert_eq!(next_victim(&[], 25), None);
    }

    #[test]
    fn open_and_dead_segments_are_never_chosen() {
        let open = SegmentUse { sealed: false, ..segment(1, M, 10 * M) };
        assert_eq!(next_victim(&[open, segment(2, 0, 10 * M)], 25), None);
        assert_eq!(worst(&[segment(2, 0, 10 * M), segment(3, 10 * M, 10 * M)], WORTH_BYTES), None);
    }
}
