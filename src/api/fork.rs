//! Forks: where a bucket came from, and how it differs.

use super::bucket::Bucket;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{BucketName, Lsn};
use crate::ops::bucket::parent::{self, Origin};
use crate::ops::listing::diff::{DiffWalk, Difference};

/// The differences of two buckets, in the order of their keys. After an error it ends.
#[derive(Debug)]
pub struct Differences(Option<DiffWalk>);

impl Iterator for Differences {
    type Item = Result<Difference>;

    fn next(&mut self) -> Option<Result<Difference>> {
        let told = self.0.as_mut()?.advance().transpose();
        if !matches!(told, Some(Ok(_))) {
            self.0 = None;
        }
        told
    }
}

impl Bucket {
    /// The bucket that this fork was made from, by the name it had then, and the commit that made the fork. `None` for other
    /// buckets.
    ///
    /// # Errors
    /// `NoSuchBucket` if the bucket was removed. Also [those of reading](crate::Store#errors-of-reading).
    pub fn forked_from(&self) -> Result<Option<(BucketName, Lsn)>> {
        let origin = parent::origin(&self.reading(), self.reference())?;
        Ok(origin.map(|Origin { name, lsn, .. }| (name, lsn)))
    }

    /// The keys under which this bucket does not hold the same as another one: what would have to change in that one
    /// to make it as this one is. For a fork and the bucket it was made from, the cost follows what was written to
    /// either of them since; for other buckets, what they hold.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// # let store = ossicle::Store::in_memory()?;
    /// let cats = store.create_bucket("cats")?;
    /// cats.put("tom", b"meow")?;
    /// let experiment = store.fork_bucket("cats", "experiment")?;
    /// experiment.put("felix", b"purr")?;
    /// let changed: Vec<String> =
    ///     experiment.diff(&cats)?.map(|difference| Ok(difference?.key)).collect::<ossicle::Result<_>>()?;
    /// assert_eq!(changed, ["felix"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `NoSuchBucket` if one of the two was removed. Also [those of reading](crate::Store#errors-of-reading). The
    /// iterator answers the latter too.
    pub fn diff(&self, other: &Bucket) -> Result<Differences> {
        let reading = self.reading();
        Ok(Differences(Some(DiffWalk::begin(&reading, other.reference(), self.reference())?)))
    }

    /// [`diff`](Bucket::diff) against the bucket that this fork was made from.
    ///
    /// # Errors
    /// `NotAFork` if the bucket is no fork; `NoSuchBucket` if it, or the bucket it was made from, was removed. Also
    /// [those of reading](crate::Store#errors-of-reading).
    pub fn diff_parent(&self) -> Result<Differences> {
        let reading = self.reading();
        let Some(origin) = parent::origin(&reading, self.reference())? else {
            return Err(Error::new(
                ErrorKind::Invalid,
                "NotAFork",
                format!("the bucket {} is not a fork; name the bucket to compare it with", self.name()),
            ));
        };
        let parent = parent::parent(&reading, &origin)?;
        Ok(Differences(Some(DiffWalk::begin(&reading, &parent, self.reference())?)))
    }
}
