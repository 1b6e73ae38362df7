//! Ranges of bytes asked of a body, in the forms that people write.

use std::fmt;
use std::ops::{Bound, RangeBounds};

use crate::error::{Error, ErrorKind, Result};

/// A range asked of a body. An end beyond the body is clipped to it; a start at or beyond its end is
/// `InvalidRange` (OSS's `x-oss-range-behavior: standard`). Of an empty body, all and the last so many bytes are empty
/// (RFC 9110 lets a suffix be longer than the body, and all of it is meant then).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// From the first byte up to, but not including, the second.
    Span(u64, u64),
    /// From this byte to the end.
    From(u64),
    /// The last so many bytes.
    Last(u64),
}

impl ByteRange {
    /// The same as Rust's own ranges: `4..16`, `4..=15`, `..16`, `4..`.
    pub(crate) fn of(bounds: impl RangeBounds<u64>) -> ByteRange {
        let start = match bounds.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        match bounds.end_bound() {
            Bound::Included(last) => ByteRange::Span(start, last.saturating_add(1)),
            Bound::Excluded(end) => ByteRange::Span(start, *end),
            Bound::Unbounded => ByteRange::From(start),
        }
    }

    /// The bytes of a body of `size` bytes that are meant.
    pub(crate) fn resolve(self, size: u64) -> Result<std::ops::Range<u64>> {
        let (start, end) = match self {
            ByteRange::Span(start, end) => (start, end.min(size)),
            ByteRange::From(start) => (start, size),
            ByteRange::Last(count) => (size - count.min(size), size),
        };
        let is_all = match self {
            ByteRange::From(start) => start == 0,
            ByteRange::Last(count) => count > 0,
            ByteRange::Span(..) => false,
        };
        if start < end || (size == 0 && is_all) {
            return Ok(start..end);
        }
        Err(Error::new(
            ErrorKind::Invalid,
            "InvalidRange",
            format!("the requested range ({self}) cannot be satisfied: the body has {size} bytes"),
        ))
    }
}

impl fmt::Display for ByteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ByteRange::Span(start, end) if end > start => write!(f, "the bytes {start} to {}", end - 1),
            ByteRange::Span(..) => f.write_str("no byte at all"),
            ByteRange::From(start) => write!(f, "from byte {start} on"),
            ByteRange::Last(count) => write!(f, "the last {count} bytes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_clipped_or_refused() {
        assert_eq!(ByteRange::of(4..16).resolve(10).unwrap(), 4..10);
        assert_eq!(ByteRange::of(4..=5).resolve(10).unwrap(), 4..6);
        assert_eq!(ByteRange::of(..3).resolve(10).unwrap(), 0..3);
        assert_eq!(ByteRange::of(..).resolve(0).unwrap(), 0..0);
        assert_eq!(ByteRange::Last(4).resolve(10).unwrap(), 6..10);
        assert_eq!(ByteRange::Last(40).resolve(10).unwrap(), 0..10);
        assert_eq!(ByteRange::Last(1).resolve(0).unwrap(), 0..0);
        assert_eq!(ByteRange::Last(u64::MAX).resolve(0).unwrap(), 0..0);
        for (range, size) in [
            (ByteRange::of(10..12), 10),
            (ByteRange::of(5..5), 10),
            (ByteRange::Span(6, 4), 10),
            (ByteRange::Last(0), 10),
            (ByteRange::Last(0), 0),
            (ByteRange::of(1..), 0),
            (ByteRange::of(..0), 0),
            (ByteRange::of(u64::MAX..), 10),
            (ByteRange::of(0..1), 0),
        ] {
            assert_eq!(range.resolve(size).unwrap_err().code(), "InvalidRange", "{range:?}");
        }
    }
}
