//! Which segment to relocate next: a pure decision over how much of each is live.

use std::time::Duration;

use crate::engine::SegmentUse;

/// Segments with less garbage than this are left alone: moving them would cost more than it brings.
const WORTH_BYTES: u64 = 64 * 1024;

/// Garbage that never makes a writer rest.
const PACE_FREE: u64 = 8 << 20;

/// The longest rest of one write.
const PACE_MOST: Duration = Duration::from_micros(1500);

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

/// How long each write should rest so that relocation keeps up: nothing while garbage is near its bound, more
/// the further it is beyond, never so long that a writer would call it a stall. Small stores never rest: in
/// them a single open segment looks like much garbage.
pub fn pace(space: Space, garbage_percent: u8) -> Duration {
    let allowed = space.live * 100 / (100 - u64::from(garbage_percent).min(90));
    let begin = allowed + allowed / 32 + PACE_FREE;
    if space.taken <= begin {
        return Duration::ZERO;
    }
    // A sixteenth of the live bytes beyond the beginning is a full rest.
    let beyond = (space.taken - begin) as f64 / (space.live / 16).max(1) as f64;
    PACE_MOST.mul_f64(beyond.min(1.0))
}

fn share(each: &SegmentUse) -> f64 {
    garbage(each) as f64 / each.taken.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::segment_header::SegmentKind;

    fn segment(id: u64, live: u64, taken: u64) -> SegmentUse {
        SegmentUse { id, kind: SegmentKind::Log, live, taken, sealed: true, for_feed: false }
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
    fn writers_rest_only_when_garbage_runs_away() {
        let of = |live: u64, taken: u64| pace(Space { live: live * M, taken: taken * M }, 25);
        assert_eq!(of(1000, 1300), Duration::ZERO);
        assert_eq!(of(1, 9), Duration::ZERO);
        assert!(of(1000, 1400) > Duration::ZERO && of(1000, 1400) < of(1000, 1420));
        assert_eq!(of(1000, 9000), PACE_MOST);
    }

    #[test]
    fn open_and_dead_segments_are_never_chosen() {
        let open = SegmentUse { sealed: false, ..segment(1, M, 10 * M) };
        assert_eq!(next_victim(&[open, segment(2, 0, 10 * M)], 25), None);
        assert_eq!(worst(&[segment(2, 0, 10 * M), segment(3, 10 * M, 10 * M)], WORTH_BYTES), None);
    }
}
