//! Storage classes: restoring frozen objects, and what OSS would charge for.

use std::path::PathBuf;

use super::bucket::Bucket;
use super::handle::Store;
use super::snapshot::SnapshotBucket;
use crate::error::Result;
use crate::model::{Billing, RestoreStatus, StorageClass};
use crate::ops::listing::billing;
use crate::ops::object::restore::{self, RestoreOptions};

impl Bucket {
    /// Asks for the body of an object in one of the archive classes, so that it can be read for some days.
    ///
    /// The answer says from when on and until when, by the store's clock; how long it takes is a setting
    /// ([`Settings::restore_times`](crate::Settings::restore_times)). While it is *ongoing*, asking again with a higher
    /// priority speeds it up; without new days it keeps those it was asked for. Once it is *restored*, asking again
    /// makes it last that many days from then, and never shorter. When the days are over it is frozen as before. The
    /// object's class, time and entity tag stay as they are, no version is made, and a protected object can be restored.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// use ossicle::{ErrorKind, MemoryVfs, PutOptions, RestoreOptions, StorageClass, Store, VirtualClock};
    /// use std::sync::Arc;
    /// use std::time::{Duration, SystemTime};
    /// let clock = VirtualClock::at(SystemTime::UNIX_EPOCH);
    /// let store = Store::builder("/store").vfs(Arc::new(MemoryVfs::new())).clock(clock.clone()).open()?;
    /// let bucket = store.create_bucket("attic")?;
    /// bucket.put_with("letters", b"dear tom", PutOptions::new().storage_class(StorageClass::Archive))?;
    /// assert_eq!(bucket.get("letters").unwrap_err().kind(), ErrorKind::Archived);
    ///
    /// let status = bucket.restore("letters", RestoreOptions::new().days(3))?;
    /// assert!(!status.is_restored());
    /// clock.advance(Duration::from_secs(60));
    /// assert!(bucket.head("letters")?.restore().is_some_and(|status| status.is_restored()));
    /// assert_eq!(&bucket.get("letters")?.bytes()?[..], b"dear tom");
    ///
    /// clock.advance(Duration::from_secs(3 * 24 * 60 * 60));
    /// assert_eq!(bucket.get("letters").unwrap_err().code(), "InvalidObjectState");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// - `OperationNotSupported` for an object that is not in an archive class, and for a symlink.
    /// - `RestoreAlreadyInProgress` while it is ongoing, unless a higher priority is asked for.
    /// - `InvalidArgument` for days or a priority that the class does not have.
    /// - `NoSuchKey` if there is no object under the key, or a delete marker; `NoSuchVersion` if it has no version of
    ///   that name.
    ///
    /// Also [those of a key](crate::Bucket#errors-of-a-key) and [those of writing](crate::Store#errors-of-writing).
    pub fn restore(&self, key: &str, options: RestoreOptions) -> Result<RestoreStatus> {
        restore::restore(self.engine(), self.reference(), key, options)
    }

    /// What OSS would charge for under a prefix (`""`: in the bucket), by storage class: bytes as they are, and with
    /// at least 64 KiB for each object in every class but `Standard`; and which objects have not been there for the
    /// minimum duration of their class. Versions that are not current count too.
    ///
    /// Every version is looked at, so the cost grows with their number; [`usage`](Bucket::usage) tells objects and bytes
    /// by class at once.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// use ossicle::{PutOptions, StorageClass};
    /// # let store = ossicle::Store::in_memory()?;
    /// let bucket = store.create_bucket("attic")?;
    /// bucket.put_with("letter", b"dear tom", PutOptions::new().storage_class(StorageClass::InfrequentAccess))?;
    /// let bill = bucket.billing("")?;
    /// assert_eq!((bill.bytes(), bill.billable_bytes()), (8, 64 << 10));
    /// assert_eq!(bill.classes[0].early_objects, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `InvalidArgument` for a prefix of more than 1023 bytes; `NoSuchBucket` if the bucket was removed. Also [those
    /// of reading](crate::Store#errors-of-reading).
    pub fn billing(&self, prefix: &str) -> Result<Billing> {
        billing::of_prefix(&self.reading(), self.reference(), prefix)
    }
}

/// Where the bodies of a storage class are stored, see [`Store::tier`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TierPlace {
    /// The directory of their segments, inside the store's or elsewhere.
    pub dir: PathBuf,
    /// Why it cannot be used. Objects there answer `TierOutOfService` until the directory is back and the store is opened again.
    pub problem: Option<String>,
}

impl Store {
    /// The directory in which the bodies of a storage class are stored. [`StoreBuilder::tier`](crate::StoreBuilder::tier) sets it, and
    /// [`stats`](Store::stats) says how much is stored there.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// # let store = ossicle::Store::in_memory()?;
    /// let place = store.tier(ossicle::StorageClass::Archive);
    /// assert!(place.dir.ends_with("bulk/2") && place.problem.is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn tier(&self, class: StorageClass) -> TierPlace {
        let (dir, problem) = self.engine().tier_place(class.number());
        TierPlace { dir, problem }
    }
}

impl SnapshotBucket {
    /// What OSS would charge for under a prefix as it was; see [`Bucket::billing`].
    ///
    /// # Errors
    /// `InvalidArgument` for a prefix of more than 1023 bytes. Also [those of
    /// reading](crate::Store#errors-of-reading).
    pub fn billing(&self, prefix: &str) -> Result<Billing> {
        billing::of_prefix(self.reading(), self.reference(), prefix)
    }
}
