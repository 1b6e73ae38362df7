//! Objects that grow by appends, and readers that follow them.

use std::time::Duration;

use bytes::Bytes;

use super::bucket::Bucket;
use crate::error::Result;
use crate::ops::append::append;
use crate::ops::append::follow::Following;
use crate::ops::append::options::AppendOptions;
use crate::ops::object::body_in::Body;
use crate::write::outcome::AppendOutcome;

impl Bucket {
    /// Appends to an object, at a position that must be its length: of several appends at one position, one succeeds. Position 0
    /// of a key without an object begins one. An append makes no version, and sets the object's time. Appending no bytes changes
    /// nothing.
    ///
    /// An object may grow to 5 GiB. Its bytes are not written again, apart from small pieces, which are merged a few times: a
    /// hundred thousand appends of a hundred bytes are fine.
    ///
    /// Position 0 also decides how the object is encrypted: a later setting of the bucket does not change that.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// # let store = ossicle::Store::in_memory()?;
    /// # let bucket = store.create_bucket("logs")?;
    /// let first = bucket.append("today", 0, "open\n")?;
    /// let second = bucket.append("today", first.next_position, "closed\n")?;
    /// assert_eq!(second.next_position, bucket.append_position("today")?);
    /// assert_eq!(&bucket.get("today")?.bytes()?[..], b"open\nclosed\n");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// - `PositionNotEqualToLength` if the object has another length: [`append_position`](Bucket::append_position)
    ///   tells where to append.
    /// - `ObjectNotAppendable` if what is under the key did not begin with an append, or is a delete marker.
    /// - `EntityTooLarge` if the object would have more than 5 GiB.
    /// - `InvalidObjectState` if it is frozen in [`Archive`](crate::StorageClass::Archive): it grows while it is
    ///   [restored](Bucket::restore).
    /// - `OperationNotSupported` at position 0 in a bucket whose [`Encryption`](crate::Encryption) names a key.
    /// - `InvalidArgument` at position 0 in a bucket of the class [`ColdArchive`](crate::StorageClass::ColdArchive)
    ///   or [`DeepColdArchive`](crate::StorageClass::DeepColdArchive) (OSS).
    /// - `QuotaExceeded` if a [`Quota`](crate::Quota) or a [`Budget`](crate::Budget) leaves no room; `FileImmutable`
    ///   if the object is protected.
    /// - `OperationConflict` if a fork of the bucket appends to the same object at the same time; try again.
    ///
    /// Also [those of a key](crate::Bucket#errors-of-a-key) and [those of writing](crate::Store#errors-of-writing).
    pub fn append<'a>(&self, key: &str, position: u64, body: impl Into<Body<'a>>) -> Result<AppendOutcome> {
        self.append_with(key, position, body, AppendOptions::new())
    }

    /// [`append`](Bucket::append), with options. Attributes are taken at position 0 and have no effect later (OSS);
    /// [`replicated(false)`](AppendOptions::replicated) has one at any position.
    ///
    /// # Errors
    /// `InvalidArgument` for a content type, a header or user metadata beyond its limits; `InvalidTag` for tags that
    /// cannot be. Also those of [`append`](Bucket::append).
    pub fn append_with<'a>(
        &self,
        key: &str,
        position: u64,
        body: impl Into<Body<'a>>,
        options: AppendOptions,
    ) -> Result<AppendOutcome> {
        append::append(self.engine(), self.reference(), key, position, body.into(), options)
    }

    /// The position of the next append to a key: the length of the object, 0 if there is none.
    ///
    /// # Errors
    /// `ObjectNotAppendable` if what is under the key did not begin with an append, or is a delete marker. Also
    /// [those of a key](crate::Bucket#errors-of-a-key) and [those of reading](crate::Store#errors-of-reading).
    pub fn append_position(&self, key: &str) -> Result<u64> {
        append::position(&self.reading(), self.reference(), key)
    }

    /// Follows an object that grows: returns its bytes from a position on, and then waits for more. The position may lie beyond
    /// the end.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// # let store = ossicle::Store::in_memory()?;
    /// # let bucket = store.create_bucket("logs")?;
    /// use std::time::Duration;
    /// bucket.append("today", 0, "open\n")?;
    /// let mut follow = bucket.follow("today", 0)?;
    /// assert_eq!(&follow.next(Duration::ZERO)?.unwrap()[..], b"open\n");
    /// assert_eq!(follow.next(Duration::from_millis(1))?, None);
    /// bucket.append("today", 5, "closed\n")?;
    /// assert_eq!(&follow.next(Duration::from_secs(1))?.unwrap()[..], b"closed\n");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `NoSuchKey` if there is no object under the key; `ObjectNotAppendable` if it did not begin with an append.
    /// Also [those of a key](crate::Bucket#errors-of-a-key) and [those of reading](crate::Store#errors-of-reading).
    pub fn follow(&self, key: &str, position: u64) -> Result<Follow> {
        Ok(Follow(Following::begin(self.engine(), self.reference(), key, position)?))
    }
}

/// Reads an object that grows by appends, and waits for more. See [`Bucket::follow`].
#[derive(Debug)]
pub struct Follow(Following);

impl Follow {
    /// The next bytes, at least one and at most 1 MiB; `None` if none came within `at_most`, by the clock of the machine. Waiting
    /// uses no CPU: commits wake it.
    ///
    /// # Errors
    /// `NoSuchKey` once the object was deleted, renamed or replaced; `InvalidObjectState` while what is to be read is
    /// frozen in an archive class; `NoSuchBucket` once the bucket was removed; `StoreClosed` once the store is
    /// closed; `OperationConflict` on a thread that is inside a transaction that has read. Also [those of
    /// reading](crate::Store#errors-of-reading).
    pub fn next(&mut self, at_most: Duration) -> Result<Option<Bytes>> {
        self.0.next(at_most)
    }

    /// The position of the next byte to be returned.
    pub fn position(&self) -> u64 {
        self.0.position()
    }
}
