//! Iterators over rows of your own.

use bytes::Bytes;

use super::handle::Store;
use super::snapshot::Snapshot;
use super::transaction::Transaction;
use crate::error::Result;
use crate::ops::rows::range::RowRange;
use crate::ops::rows::rows::RowWalk;

/// Rows of a table as pairs of key and value, in the order of the keys' bytes, from either end: use `rev` for descending order and
/// `take` for a page. All are as of the moment it began; rows are read in batches. Ends after an error.
#[derive(Debug)]
pub struct Rows<'t>(RowWalk<'t>);

impl Rows<'_> {
    fn step(&mut self, from_back: bool) -> Option<Result<(Bytes, Bytes)>> {
        let next = self.0.next(from_back);
        if next.is_err() {
            self.0.end();
        }
        next.transpose()
    }
}

impl Iterator for Rows<'_> {
    type Item = Result<(Bytes, Bytes)>;

    fn next(&mut self) -> Option<Result<(Bytes, Bytes)>> {
        self.step(false)
    }
}

impl DoubleEndedIterator for Rows<'_> {
    fn next_back(&mut self) -> Option<Result<(Bytes, Bytes)>> {
        self.step(true)
    }
}

impl Store {
    /// The rows of a table with keys in a [range](RowRange), in the order of the keys' bytes. A table without rows is empty.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// # let store = ossicle::Store::in_memory()?;
    /// use ossicle::RowRange;
    /// store.write(|tx| (0..10u8).try_for_each(|n| tx.put_row("jobs", &[b'j', n], b"waits")))?;
    ///
    /// // The last three, from the end.
    /// let last = store.rows("jobs", ..)?.rev().take(3).collect::<ossicle::Result<Vec<_>>>()?;
    /// assert_eq!(&last[0].0[..], [b'j', 9]);
    ///
    /// // Page by page, each behind the last key of the one before.
    /// let page = store.rows("jobs", RowRange::prefix("j"))?.take(4).collect::<ossicle::Result<Vec<_>>>()?;
    /// let (last_key, _) = page.last().expect("there are some");
    /// let next = store.rows("jobs", RowRange::prefix("j").after(last_key))?.next().expect("there are more")?;
    /// assert_eq!(&next.0[..], [b'j', 4]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `InvalidArgument` for a name that no table has, and for a key in the range that is too long for one: names
    /// have 1 to 255 bytes and no NUL, keys up to 800 bytes. Also [those of reading](crate::Store#errors-of-reading).
    /// The iterator answers the latter too.
    pub fn rows(&self, table: &str, range: impl Into<RowRange>) -> Result<Rows<'static>> {
        Ok(Rows(RowWalk::begin(&self.reading(), table, &range.into())?))
    }
}

impl Snapshot {
    /// The rows of a table as they were; see [`Store::rows`].
    ///
    /// # Errors
    /// Those of [`Store::rows`]; `OperationNotSupported` at a moment that only the [retained
    /// past](Store::set_history) shows: the keys of rows that were deleted since are not kept, and a row is to be had
    /// by its own key alone.
    pub fn rows(&self, table: &str, range: impl Into<RowRange>) -> Result<Rows<'static>> {
        Ok(Rows(RowWalk::begin(self.reading(), table, &range.into())?))
    }
}

impl Transaction<'_> {
    /// The rows of a table as this transaction sees them; see [`Store::rows`](super::Store::rows). Counts as a read. The iterator
    /// borrows the transaction: collect a page, then write.
    ///
    /// # Errors
    /// Those of [`Store::rows`](super::Store::rows). Also [those of writing](crate::Store#errors-of-writing).
    pub fn rows(&mut self, table: &str, range: impl Into<RowRange>) -> Result<Rows<'_>> {
        Ok(Rows(RowWalk::within(self.staged()?, table, &range.into())?))
    }
}
