//! The keys of a bucket: rotation, and encrypting again what older keys have encrypted.

use std::time::Duration;

use super::bucket::Bucket;
use crate::background::reencrypt::{self, Reencrypted};
use crate::background::rotate::{self, Rotated};
use crate::error::Result;

impl Bucket {
    /// Makes a new key for each named key that the bucket encrypts with ([`Encryption::kms`](crate::Encryption::kms)).
    /// Objects that are written from then on use the new keys. Existing objects are not touched, and are read with the older keys,
    /// which are kept until nothing needs them: see [`reencrypt`](Bucket::reencrypt). A named key whose provider cannot be
    /// reached is skipped, and the report says so.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// use ossicle::{Encryption, MemoryVfs, StaticKey, Store};
    /// use std::time::Duration;
    /// let disk = std::sync::Arc::new(MemoryVfs::new());
    /// let store = Store::builder("/store").vfs(disk).kms(StaticKey::new([1; 32]).named("letters")).open()?;
    /// let bucket = store.create_bucket("letters")?;
    /// bucket.set_config(&Encryption::kms("letters"))?;
    /// bucket.put("to-ann", b"dear ann")?;
    /// assert_eq!(bucket.rotate_key()?.keys, 1);
    /// let done = bucket.reencrypt(Duration::from_secs(10))?;
    /// assert_eq!((done.bodies, done.keys_removed, done.more), (1, 1, false));
    /// assert_eq!(&bucket.get("to-ann")?.bytes()?[..], b"dear ann");
    /// # store.close()
    /// # }
    /// ```
    ///
    /// # Errors
    /// [Those of named keys](crate::Bucket#errors-of-named-keys) and [those of
    /// writing](crate::Store#errors-of-writing). The former only if none of the named keys can be had. `NoSuchBucket`
    /// if the bucket was removed.
    pub fn rotate_key(&self) -> Result<Rotated> {
        rotate::rotate(self.store().engine(), self.reference())
    }

    /// Encrypts again, with the current keys, every body that older keys of the bucket have encrypted, including copies in
    /// other buckets, and then removes the older keys. Works in steps of about 4 MiB or 4096 rows for about as long as `budget`
    /// says, but at least one step. Finished steps are kept: if the report says that there is more, call it again, in this process
    /// or in another one. Readers see no change; versions, times and entity tags stay. Copies that shared a body have one each
    /// afterwards. Uploads in progress keep their key.
    ///
    /// The last step reads every row of the store, without a lock, to see that nothing needs the older keys.
    ///
    /// A body that cannot be read, or whose key is not available, is skipped: the report counts and names it, and its key stays.
    ///
    /// # Errors
    /// Those of [`rotate_key`](Bucket::rotate_key) and [those of reading](crate::Store#errors-of-reading), if
    /// everything there was to do had to be passed over; `OperationConflict` on a thread that is inside a transaction
    /// that has read; `NoSuchBucket` if the bucket was removed. Also [those of
    /// writing](crate::Store#errors-of-writing).
    pub fn reencrypt(&self, budget: Duration) -> Result<Reencrypted> {
        reencrypt::reencrypt(self.store().engine(), self.reference(), budget)
    }
}
