//! A snapshot: the reading half of a store, as of one moment.

use bytes::Bytes;

use super::listing::{Listing, Names};
use super::object::Object;
use crate::error::Result;
use crate::model::{BucketName, Lsn, ObjectMeta, Usage};
use crate::ops::bucket::config::{self, Config};
use crate::ops::bucket::lifetime;
use crate::ops::listing::options::{ListOptions, Page};
use crate::ops::listing::usage;
use crate::ops::listing::walk::Walk;
use crate::ops::object::get;
use crate::ops::object::get_options::GetOptions;
use crate::ops::rows::rows;
use crate::write::context::{BucketRef, Reading};

/// A store as it was at one moment. Cheap to clone; what it shows is kept while a clone is held.
///
/// ```
/// # fn main() -> ossicle::Result<()> {
/// # let store = ossicle::Store::in_memory()?;
/// let cats = store.create_bucket("cats")?;
/// cats.put("tom", b"meow")?;
/// let snapshot = store.snapshot()?;
/// cats.delete("tom")?;
/// assert_eq!(&snapshot.bucket("cats")?.get("tom")?.bytes()?[..], b"meow");
/// assert_eq!(snapshot.usage()?.objects, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Snapshot(Reading);

impl Snapshot {
    pub(crate) fn new(reading: Reading) -> Snapshot {
        Snapshot(reading)
    }

    pub(super) fn reading(&self) -> &Reading {
        &self.0
    }

    /// The last commit that it shows.
    pub fn lsn(&self) -> Lsn {
        let newest = self.0.pinned.as_ref().map_or(0, |view| view.lsn);
        Lsn(self.0.at.unwrap_or(newest))
    }

    /// A bucket as it was.
    ///
    /// # Errors
    /// `InvalidBucketName` for a name that no bucket can have; `NoSuchBucket` if there was none of this name. Also
    /// [those of reading](crate::Store#errors-of-reading).
    pub fn bucket(&self, name: &str) -> Result<SnapshotBucket> {
        let reference = lifetime::find(&self.0, name)?;
        Ok(SnapshotBucket { reading: self.0.clone(), reference })
    }

    /// A row of your own as it was; `None` if there was none.
    ///
    /// # Errors
    /// `InvalidArgument` for a table that has not 1 to 255 bytes or has a NUL in it, and for a key of more than 800
    /// bytes. Also [those of reading](crate::Store#errors-of-reading).
    pub fn row(&self, table: &str, key: &[u8]) -> Result<Option<Bytes>> {
        rows::get(&self.0, table, key)
    }

    /// The number of objects and bytes in all buckets.
    ///
    /// # Errors
    /// [Those of reading](crate::Store#errors-of-reading).
    pub fn usage(&self) -> Result<Usage> {
        usage::of_store(&self.0)
    }
}

/// A bucket as it was at one moment: the reading half of [`Bucket`](super::Bucket).
#[derive(Clone, Debug)]
pub struct SnapshotBucket {
    reading: Reading,
    reference: BucketRef,
}

impl SnapshotBucket {
    pub(super) fn reading(&self) -> &Reading {
        &self.reading
    }

    pub(super) fn reference(&self) -> &BucketRef {
        &self.reference
    }

    /// The name of the bucket.
    pub fn name(&self) -> &BucketName {
        &self.reference.name
    }

    /// Gets an object as it was. A frozen object can be read if a restore that was asked for by then is in force now.
    ///
    /// # Errors
    /// Those of [`Bucket::get`](super::Bucket::get).
    pub fn get(&self, key: &str) -> Result<Object> {
        self.get_with(key, GetOptions::new())
    }

    /// [`get`](SnapshotBucket::get), with a range or conditions.
    ///
    /// # Errors
    /// Those of [`Bucket::get_with`](super::Bucket::get_with).
    pub fn get_with(&self, key: &str, options: GetOptions) -> Result<Object> {
        get::get(&self.reading, &self.reference, key, &options).map(Object::new)
    }

    /// The metadata of an object.
    ///
    /// # Errors
    /// Those of [`Bucket::head`](super::Bucket::head).
    pub fn head(&self, key: &str) -> Result<ObjectMeta> {
        get::head_with(&self.reading, &self.reference, key, &GetOptions::new())
    }

    /// Whether there was an object under the key.
    ///
    /// # Errors
    /// Those of [`Bucket::exists`](super::Bucket::exists).
    pub fn exists(&self, key: &str) -> Result<bool> {
        get::exists(&self.reading, &self.reference, key)
    }

    /// Lists the objects whose keys start with a prefix.
    ///
    /// # Errors
    /// Those of [`Bucket::list`](super::Bucket::list).
    pub fn list(&self, prefix: &str) -> Result<Listing> {
        self.list_with(ListOptions::new().prefix(prefix))
    }

    /// [`list`](SnapshotBucket::list), with a delimiter, a start, a limit.
    ///
    /// # Errors
    /// Those of [`Bucket::list_with`](super::Bucket::list_with).
    pub fn list_with(&self, options: ListOptions) -> Result<Listing> {
        Ok(Listing::new(Walk::begin(self.reading.clone(), &self.reference, options)?))
    }

    /// One page of a listing.
    ///
    /// # Errors
    /// Those of [`Bucket::list_page`](super::Bucket::list_page).
    pub fn list_page(&self, options: ListOptions) -> Result<Page> {
        Walk::begin(self.reading.clone(), &self.reference, options)?.page()
    }

    /// Lists names only; see [`Bucket::names`](super::Bucket::names).
    ///
    /// # Errors
    /// Those of [`Bucket::names`](super::Bucket::names).
    pub fn names(&self, options: impl Into<ListOptions>) -> Result<Names> {
        Ok(Names::new(Walk::begin(self.reading.clone(), &self.reference, options.into())?))
    }

    /// A configuration that the bucket had; `None` if it was not set.
    ///
    /// # Errors
    /// [Those of reading](crate::Store#errors-of-reading).
    pub fn config<C: Config>(&self) -> Result<Option<C>> {
        config::get(&self.reading, &self.reference)
    }

    /// The number of objects and bytes under a prefix.
    ///
    /// # Errors
    /// `InvalidArgument` for a prefix of more than 1023 bytes. Also [those of
    /// reading](crate::Store#errors-of-reading).
    pub fn usage(&self, prefix: &str) -> Result<Usage> {
        usage::of_prefix(&self.reading, &self.reference, prefix)
    }
}
