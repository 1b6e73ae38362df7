//! Which pieces of an object that grows are written again as one, so that there are few of them.

use crate::error::Result;

/// So many pieces of one size are merged into one.
const MERGED_AT_ONCE: usize = 16;

/// Pieces of this size and above are never merged.
pub const LARGE: u64 = 64 << 10;

/// The size of a piece, roughly: sixteen of one make one of the next.
fn tier(len: u64) -> u32 {
    len.checked_ilog2().unwrap_or(0) / 4
}

/// Which pieces at the end of a blob are merged with `len` bytes that are appended: those of the same tier if there are
/// enough of them, with whatever is smaller among and before them; then those of the tier that this makes, and so on. `before`
/// tells the piece that ends at a place.
pub fn merges(
    position: u64,
    len: u64,
    mut before: impl FnMut(u64) -> Result<Option<(u64, u64)>>,
) -> Result<Vec<u64>> {
    let mut places: Vec<u64> = Vec::new();
    let (mut chosen, mut level, mut count, mut end, mut total) = (0, tier(len), 1, position, len);
    while let Some((place, size)) = before(end)?.filter(|(place, size)| *size < LARGE && place + size == end)
    {
        let its = tier(size);
        // Enough are found, and what is smaller before them has gone with them.
        if count >= MERGED_AT_ONCE && its >= level {
            if total >= LARGE {
                break;
            }
            (level, count) = (tier(total).max(level), 1);
        }
        if its > level {
            // Looked at when something of its own size comes. Going on would be dear: behind a piece that was merged
            // lie the tombstones of what it was made from.
            break;
        }
        places.push(place);
        (end, total) = (place, total + size);
        count += usize::from(its == level);
        if count >= MERGED_AT_ONCE {
            chosen = places.len();
        }
    }
    places.truncate(chosen);
    places.reverse();
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Appends pieces of these sizes, and tells how many pieces are left, how long each is, and how many bytes were
    /// written in all.
    fn grow(sizes: impl IntoIterator<Item = u64>) -> (Vec<(u64, u64)>, u64) {
        let mut pieces: Vec<(u64, u64)> = Vec::new();
        let (mut position, mut written) = (0, 0);
        for size in sizes {
            let places = merges(position, size, |end| {
                Ok(pieces.iter().rev().find(|(place, _)| *place < end).copied())
            })
            .unwrap();
            let from = places.first().copied().unwrap_or(position);
            pieces.retain(|(place, _)| *place < from);
            position += size;
            pieces.push((from, position - from));
            written += position - from;
            assert!(pieces.is_sorted() && pieces.windows(2).all(|two| two[0].0 + two[0].1 == two[1].0));
        }
        (pieces, written)
    }

    #[test]
    fn many_small_appends_leave_few_pieces_and_are_written_a_few_times() {
        for (size, count) in [(1, 100_000), (15, 100_000), (100, 100_000), (255, 50_000), (5_000, 20_000)] {
            let (pieces, written) = grow(std::iter::repeat_n(size, count));
            let total = size * count as u64;
            assert!(pieces.len() as u64 <= 64 + total / LARGE, "{size}: {} pieces", pieces.len());
            assert!(written <= 9 * total, "{size}: {written} of {total}");
        }
        // Long ones are left alone.
        assert_eq!(grow(std::iter::repeat_n(LARGE, 100)).1, 100 * LARGE);
    }

    #[test]
    fn appends_of_all_sizes_in_any_order_leave_few_pieces_too() {
        let mut state = 7u64;
        let mut dice = move || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            state >> 33
        };
        let mixed: Vec<u64> = (0..50_000).map(|_| 1 + dice() % (1 << (dice() % 17))).collect();
        let alternating = (0..50_000).map(|i| if i % 2 == 0 { 100 } else { 10_000 }).collect();
        let falling = (0..50_000u64).map(|i| 1 << (15 - i % 16)).collect();
        let rising = (0..50_000u64).map(|i| 1 << (i % 16)).collect();
        for sizes in [mixed, alternating, falling, rising] {
            let total: u64 = sizes.iter().sum();
            let large = sizes.iter().filter(|size| **size >= LARGE).count() as u64;
            let (pieces, written) = grow(sizes);
            assert!(
                pieces.len() as u64 <= 300 + 2 * large + total / LARGE * 2,
                "{} pieces of {total}",
                pieces.len()
            );
            assert!(written <= 9 * total, "{written} of {total}");
        }
    }
}
