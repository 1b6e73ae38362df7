//! Symlinks: keys that stand for other keys of their bucket.

use super::bucket::Bucket;
use crate::error::Result;
use crate::ops::object::attributes::AttributeOptions;
use crate::ops::object::put::PutOptions;
use crate::ops::object::symlink;
use crate::write::outcome::PutOutcome;

impl Bucket {
    /// Makes a key that points to another key of this bucket, replacing what was under it. Getting it gets the current
    /// version of the target, exactly one level deep: a link to a link is not followed. Body, size, entity tag and
    /// digests are then the target's, the time is the later of the two, the rest is the link's own. Everything but
    /// `get` and `head` acts on the link itself.
    ///
    /// The target need not exist. Reading the link gives `SymlinkTargetNotExist` until
    /// then, and `InvalidTargetType` if it is a link.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// # let store = ossicle::Store::in_memory()?;
    /// # let bucket = store.create_bucket("builds")?;
    /// bucket.put("2026-11-22", b"a build")?;
    /// bucket.symlink("latest", "2026-11-22")?;
    /// assert_eq!(&bucket.get("latest")?.bytes()?[..], b"a build");
    /// assert_eq!(bucket.read_link("latest")?, "2026-11-22");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `InvalidObjectName` for the key or the target; `InvalidArgument` for the classes
    /// [`ColdArchive`](crate::StorageClass::ColdArchive) and
    /// [`DeepColdArchive`](crate::StorageClass::DeepColdArchive), also as the class of the bucket (OSS); `QuotaExceeded` if a
    /// [`Quota`](crate::Quota) of objects leaves no room; `FileImmutable` if a protected object would be lost; in a
    /// bucket that keeps versions it stays as an older version. Also [those of a key](crate::Bucket#errors-of-a-key)
    /// and [those of writing](crate::Store#errors-of-writing).
    pub fn symlink(&self, key: &str, target: &str) -> Result<PutOutcome> {
        self.symlink_with(key, target, PutOptions::new())
    }

    /// [`symlink`](Bucket::symlink), with attributes of the link and conditions on what is under its key. Digests have
    /// no effect.
    ///
    /// # Errors
    /// `FileAlreadyExists` if `if_absent` was asked for and there is an object; `PreconditionFailed` if the entity
    /// tag is not as `if_match` or `if_none_match` wants it; `InvalidArgument` for a content type, a header or user
    /// metadata beyond its limits; `InvalidTag` for tags that cannot be. Also those of [`symlink`](Bucket::symlink).
    pub fn symlink_with(&self, key: &str, target: &str, options: PutOptions) -> Result<PutOutcome> {
        symlink::symlink(self.engine(), self.reference(), key, target, options)
    }

    /// The key that a symlink leads to.
    ///
    /// # Errors
    /// `NotSymlink` if the object is none. Also [those of an attribute](crate::Bucket#errors-of-an-attribute) and
    /// [those of reading](crate::Store#errors-of-reading).
    pub fn read_link(&self, key: &str) -> Result<String> {
        self.read_link_with(key, AttributeOptions::new())
    }

    /// [`read_link`](Bucket::read_link), of a version: each has a target of its own.
    ///
    /// # Errors
    /// Those of [`read_link`](Bucket::read_link).
    pub fn read_link_with(&self, key: &str, options: AttributeOptions) -> Result<String> {
        symlink::read_link(&self.reading(), self.reference(), key, &options)
    }
}
