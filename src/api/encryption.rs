//! The keys of a bucket: other ones for what is written, and what was written is written anew.

use std::time::Duration;

use super::bucket::Bucket;
use crate::background::reencrypt::{self, Reencrypted};
use crate::background::rotate::{self, Rotated};
use crate::error::Result;

impl Bucket {
    /// Gives the bucket another key for each named key that it encrypts with ([`Encryption::kms`](crate::Encryption::kms)).
    /// A named key that cannot be had just now is passed over, and the report says so. What is written from then on has the new ones, at once and at no cost; what is there stays as it is
    /// and is read with the older ones, which are kept until nothing needs them, see [`reencrypt`](Bucket::reencrypt).
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

    /// Writes everything anew that older keys of the bucket have encrypted, wherever it was copied to since, and then removes
    /// those keys: in steps of about 4 MiB or 4096 rows, for about as long as `budget` says, and one step at least. What was
    /// done stays done; if there is more, call it again, and it goes on where it was, in another process too. Nothing that a reader sees changes, versions, times and entity tags included. Copies that shared a body
    /// have one each afterwards. Uploads in progress keep their key.
    ///
    /// The last step looks at every row of the store in one go, without any lock, to see that nothing needs the older keys.
    ///
    /// A body that cannot be read, or of which a key cannot be had, is passed over: the report counts and names it, and its
    /// key stays.
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
