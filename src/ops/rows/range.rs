//! Which rows of a table are meant, in the forms that people write.

use std::ops::{Bound, Range, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive};

use crate::catalog::keyspace::keys;
use crate::error::Result;

/// Rows of a table by their keys, in the order of bytes. Every range of Rust is one: `..`, `"a".."b"`, `from..`, `..=to`,
/// a pair of [`Bound`]s; a range that ends before it begins is empty.
///
/// ```
/// # fn main() -> ossicle::Result<()> {
/// use ossicle::RowRange;
/// # let store = ossicle::Store::in_memory()?;
/// store.write(|tx| ["a/1", "a/2", "b"].iter().try_for_each(|key| tx.put_row("t", key.as_bytes(), b"")))?;
/// assert_eq!(store.rows("t", ..)?.count(), 3);
/// assert_eq!(store.rows("t", "a/2"..)?.count(), 2);
/// let range = RowRange::prefix("a/").after("a/1");
/// assert_eq!(store.rows("t", range)?.count(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct RowRange {
    /// The first key that may be one of them.
    from: Vec<u8>,
    /// The first key behind them.
    end: Option<Vec<u8>>,
}

impl RowRange {
    /// All rows.
    pub fn all() -> RowRange {
        RowRange { from: Vec::new(), end: None }
    }

    /// The rows whose keys start with this.
    pub fn prefix(prefix: impl AsRef<[u8]>) -> RowRange {
        let from = prefix.as_ref().to_vec();
        let mut end = from.clone();
        while end.last() == Some(&0xFF) {
            end.pop();
        }
        let end = end.last_mut().map(|last| *last += 1).map(|()| end);
        RowRange { from, end }
    }

    /// Of these only the rows behind a key: the next page.
    pub fn after(self, key: impl AsRef<[u8]>) -> RowRange {
        let from = self.from.max(behind(key.as_ref()));
        RowRange { from, ..self }
    }

    /// Of these only the rows before a key: the next page for those who go backwards.
    pub fn before(self, key: impl AsRef<[u8]>) -> RowRange {
        let key = key.as_ref().to_vec();
        let end = Some(self.end.map_or(key.clone(), |end| end.min(key)));
        RowRange { end, ..self }
    }

    /// The keys of the map that the rows of a table lie between.
    pub(crate) fn within(&self, table: &str) -> Result<(Vec<u8>, Vec<u8>)> {
        let from = keys::row_bound(table, &self.from)?;
        let end = match &self.end {
            Some(end) => keys::row_bound(table, end)?,
            None => keys::rows_end(table)?,
        };
        Ok((from, end))
    }

    fn of<K: AsRef<[u8]>>(start: Bound<K>, end: Bound<K>) -> RowRange {
        let from = match start {
            Bound::Included(key) => key.as_ref().to_vec(),
            Bound::Excluded(key) => behind(key.as_ref()),
            Bound::Unbounded => Vec::new(),
        };
        let end = match end {
            Bound::Included(key) => Some(behind(key.as_ref())),
            Bound::Excluded(key) => Some(key.as_ref().to_vec()),
            Bound::Unbounded => None,
        };
        RowRange { from, end }
    }
}

/// The first key behind another one.
fn behind(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

impl From<RangeFull> for RowRange {
    fn from(_: RangeFull) -> RowRange {
        RowRange::all()
    }
}

impl<K: AsRef<[u8]>> From<Range<K>> for RowRange {
    fn from(range: Range<K>) -> RowRange {
        RowRange::of(Bound::Included(range.start), Bound::Excluded(range.end))
    }
}

impl<K: AsRef<[u8]>> From<RangeInclusive<K>> for RowRange {
    fn from(range: RangeInclusive<K>) -> RowRange {
        let (start, end) = range.into_inner();
        RowRange::of(Bound::Included(start), Bound::Included(end))
    }
}

impl<K: AsRef<[u8]>> From<RangeFrom<K>> for RowRange {
    fn from(range: RangeFrom<K>) -> RowRange {
        RowRange::of(Bound::Included(range.start), Bound::Unbounded)
    }
}

impl<K: AsRef<[u8]>> From<RangeTo<K>> for RowRange {
    fn from(range: RangeTo<K>) -> RowRange {
        RowRange::of(Bound::Unbounded, Bound::Excluded(range.end))
    }
}

impl<K: AsRef<[u8]>> From<RangeToInclusive<K>> for RowRange {
    fn from(range: RangeToInclusive<K>) -> RowRange {
        RowRange::of(Bound::Unbounded, Bound::Included(range.end))
    }
}

impl<K: AsRef<[u8]>> From<(Bound<K>, Bound<K>)> for RowRange {
    fn from((start, end): (Bound<K>, Bound<K>)) -> RowRange {
        RowRange::of(start, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_the_first_key_without_it() {
        let end = |prefix: &[u8]| RowRange::prefix(prefix).end;
        assert_eq!(end(b""), None);
        assert_eq!(end(b"a"), Some(b"b".to_vec()));
        assert_eq!(end(b"a\xFF\xFF"), Some(b"b".to_vec()));
        assert_eq!(end(b"\xFF\xFF"), None);
    }

    #[test]
    fn what_is_added_to_a_range_only_narrows_it() {
        let range = RowRange::from("b".."d");
        assert_eq!(range.clone().after("a").before("z"), range);
        assert_eq!(range.after("b").before("c"), RowRange::of(Bound::Excluded("b"), Bound::Excluded("c")));
    }
}
