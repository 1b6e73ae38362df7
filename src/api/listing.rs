//! Iterators over entries, names and buckets.

use super::batch::Batch;
use crate::error::Result;
use crate::model::Entry;
use crate::ops::listing::walk::{self, Walk};

/// The entries of a bucket, in order, all as of the moment the listing began. Ends after an error.
#[derive(Debug)]
pub struct Listing {
    walk: Option<Walk>,
    batch: Batch<Entry>,
}

impl Listing {
    pub(crate) fn new(walk: Walk) -> Listing {
        Listing { walk: Some(walk), batch: Batch::new() }
    }
}

impl Iterator for Listing {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Result<Entry>> {
        if let Some(entry) = self.batch.next() {
            return Some(entry);
        }
        match self.walk.as_mut()?.next_batch() {
            Ok(batch) if batch.is_empty() => {
                self.walk = None;
                None
            }
            Ok(batch) => {
                self.batch = Batch::of(batch);
                self.batch.next()
            }
            Err(error) => {
                self.walk = None;
                Some(Err(error))
            }
        }
    }
}

/// The names of the entries of a bucket, borrowed one by one: nothing is allocated for a name, and the metadata of the objects is
/// not read. All are as of the moment it began. See [`Bucket::names`](crate::Bucket::names).
#[derive(Debug)]
pub struct Names {
    walk: Option<Walk>,
    batch: walk::Names,
    at: usize,
}

impl Names {
    pub(crate) fn new(walk: Walk) -> Names {
        Names { walk: Some(walk), batch: walk::Names::default(), at: 0 }
    }

    /// The next name, `None` at the end and after an error. With a delimiter, a name that has it behind the prefix is that of
    /// a group.
    ///
    /// # Errors
    /// [Those of reading](crate::Store#errors-of-reading). There are no more names then.
    #[expect(clippy::should_implement_trait, reason = "what it lends, no iterator can hand out")]
    pub fn next(&mut self) -> Result<Option<&str>> {
        if self.batch.get(self.at).is_none() {
            let Some(walk) = &mut self.walk else {
                return Ok(None);
            };
            self.at = 0;
            match walk.next_names(&mut self.batch) {
                Ok(true) => {}
                ended => {
                    self.walk = None;
                    return ended.map(|_| None);
                }
            }
        }
        self.at += 1;
        Ok(self.batch.get(self.at - 1))
    }
}
