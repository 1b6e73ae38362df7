//! Versions: listing them, and going back to an older one.

use super::batch::Batch;
use super::bucket::Bucket;
use super::snapshot::SnapshotBucket;
use crate::error::Result;
use crate::model::VersionId;
use crate::ops::listing::options::ListOptions;
use crate::ops::listing::versions::{VersionEntry, VersionPage, VersionWalk};
use crate::ops::object::delete::{self, DeleteOptions};
use crate::ops::prefix::rename_prefix::PrefixOutcome;
use crate::ops::version::{restore_version, undelete};
use crate::write::outcome::{DeleteOutcome, PutOutcome};

/// The versions and delete markers of a bucket, all as of the moment the listing began: keys in the order of their
/// bytes, of each key the newest first. After an error it ends.
#[derive(Debug)]
pub struct VersionListing {
    walk: Option<VersionWalk>,
    batch: Batch<VersionEntry>,
}

impl VersionListing {
    fn new(walk: VersionWalk) -> VersionListing {
        VersionListing { walk: Some(walk), batch: Batch::new() }
    }
}

impl Iterator for VersionListing {
    type Item = Result<VersionEntry>;

    fn next(&mut self) -> Option<Result<VersionEntry>> {
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

impl Bucket {
    /// Lists every version and delete marker: keys in order, of each key the newest first. In a bucket that never kept
    /// versions every object is listed once, as the version `null`.
    ///
    /// Of the options, `prefix`, `start`, `start_after`, `start_after_version` and `limit` count. `start_after` gives the
    /// versions of the keys behind that key, and with `start_after_version` also those of the key itself that are
    /// older than that version. Given `null` where the key has no such version, all versions of the key are listed.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// # let store = ossicle::Store::in_memory()?;
    /// # let bucket = store.create_bucket("notes")?;
    /// use ossicle::{GetOptions, Versioning};
    /// bucket.set_config(&Versioning::Enabled)?;
    /// bucket.put("today", b"draft")?;
    /// bucket.put("today", b"final")?;
    /// bucket.delete("today")?;
    /// let versions = bucket.versions("")?.collect::<ossicle::Result<Vec<_>>>()?;
    /// assert_eq!(versions.iter().map(|entry| entry.marker).collect::<Vec<_>>(), [true, false, false]);
    /// let draft = bucket.get_with("today", GetOptions::new().version(&versions[2].version))?;
    /// assert_eq!(&draft.bytes()?[..], b"draft");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `InvalidArgument` for a prefix, a delimiter or a start of more than 1023 bytes, and for a limit of 0, for a
    /// delimiter (take [`versions_page`](Bucket::versions_page)), for descending order, and for `start_after_version`
    /// without `start_after`; `NoSuchBucket` if the bucket was removed. Also [those of
    /// reading](crate::Store#errors-of-reading). The iterator answers the latter too.
    pub fn versions(&self, options: impl Into<ListOptions>) -> Result<VersionListing> {
        let walk = VersionWalk::begin(self.reading(), self.reference(), options.into())?;
        Ok(VersionListing::new(walk.ungrouped()?))
    }

    /// One page of the listing of versions: at most `limit` entries and prefixes together, 1000 if nothing is said.
    ///
    /// # Errors
    /// Those of [`versions`](Bucket::versions), but a delimiter is allowed: what has it behind the prefix is rolled up.
    pub fn versions_page(&self, options: impl Into<ListOptions>) -> Result<VersionPage> {
        VersionWalk::begin(self.reading(), self.reference(), options.into())?.page()
    }

    /// Brings a deleted object back: removes the delete markers on top of it, all of them, so that its newest version
    /// is current again. If the object is not deleted, nothing happens, and the answer names the commit that wrote it.
    ///
    /// # Errors
    /// `NoSuchKey` if there is no version to bring back; `TooManyObjects` for more than 50,000 delete markers on it.
    /// Also [those of a key](crate::Bucket#errors-of-a-key) and [those of writing](crate::Store#errors-of-writing).
    pub fn undelete(&self, key: &str) -> Result<PutOutcome> {
        undelete::undelete(self.engine(), self.reference(), key)
    }

    /// Brings back everything under a prefix (`""`: in the bucket) that is deleted now: the way back from
    /// [`delete_prefix`](Bucket::delete_prefix) in a bucket that keeps versions. One commit, all or nothing, as
    /// [`undelete`](Bucket::undelete) does it with each key; says how many objects came back. What is not deleted, and what has
    /// no version left to bring back, stays as it is. What is deleted while this goes on is another matter, and may stay so.
    ///
    /// In a bucket that keeps no versions there is nothing to bring back; [`Store::as_of`](super::Store::as_of) may still
    /// show it.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// # let store = ossicle::Store::in_memory()?;
    /// # let bucket = store.create_bucket("notes")?;
    /// bucket.set_config(&ossicle::Versioning::Enabled)?;
    /// bucket.put("2026/may", b"draft")?;
    /// bucket.put("2026/june", b"draft")?;
    /// bucket.delete_prefix("2026/")?;
    /// assert_eq!(bucket.undelete_prefix("2026/")?.objects, 2);
    /// assert!(bucket.exists("2026/may")?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `InvalidArgument` for a prefix that no key has: one of more than 1023 bytes, or that starts with `/` or `\`;
    /// `TooManyObjects` for more than 50,000 delete markers: nothing is brought back then; `NoSuchBucket` if the
    /// bucket was removed. Also [those of writing](crate::Store#errors-of-writing).
    pub fn undelete_prefix(&self, prefix: &str) -> Result<PrefixOutcome> {
        undelete::undelete_prefix(self.engine(), self.reference(), prefix)
    }

    /// Makes an older version current again by putting a copy of it on top, as a new version (in a bucket with
    /// suspended versioning: as the `null` version). No byte is copied. The copy has everything that the version has,
    /// apart from a retention, a legal hold, or being restored. If that version is current already, nothing happens.
    ///
    /// # Errors
    /// `NoSuchVersion` if there is no such version; `NoSuchKey` for a delete marker; `ObjectNotCopyable` for an
    /// object that grows by appends; `InvalidObjectState` for a frozen version, which is copied after
    /// [`restore`](Bucket::restore); `QuotaExceeded` if a [`Quota`](crate::Quota) or a [`Budget`](crate::Budget)
    /// leaves no room; `FileImmutable` if a protected version would be replaced. Also [those of a
    /// key](crate::Bucket#errors-of-a-key) and [those of writing](crate::Store#errors-of-writing).
    pub fn restore_version(&self, key: &str, version: &VersionId) -> Result<PutOutcome> {
        restore_version::restore_version(self.engine(), self.reference(), key, version)
    }

    /// Removes versions for good, a thousand a commit, and answers for each in order. Without a version the object is
    /// deleted as [`delete`](Bucket::delete) does.
    ///
    /// # Errors
    /// Those of [`delete_many`](Bucket::delete_many); `FileImmutable` for each version that is protected.
    pub fn delete_versions<K: AsRef<str>, V: Into<Option<VersionId>>>(
        &self,
        versions: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Vec<(String, Result<DeleteOutcome>)>> {
        let versions = versions.into_iter().map(|(key, version)| (key, version.into()));
        delete::delete_each(self.engine(), self.reference(), versions, &DeleteOptions::new())
    }
}

impl SnapshotBucket {
    /// Lists every version and delete marker as it was; see [`Bucket::versions`].
    ///
    /// # Errors
    /// Those of [`Bucket::versions`].
    pub fn versions(&self, options: impl Into<ListOptions>) -> Result<VersionListing> {
        let walk = VersionWalk::begin(self.reading().clone(), self.reference(), options.into())?;
        Ok(VersionListing::new(walk.ungrouped()?))
    }

    /// One page of the listing of versions; see [`Bucket::versions_page`].
    ///
    /// # Errors
    /// Those of [`Bucket::versions_page`].
    pub fn versions_page(&self, options: impl Into<ListOptions>) -> Result<VersionPage> {
        VersionWalk::begin(self.reading().clone(), self.reference(), options.into())?.page()
    }
}
