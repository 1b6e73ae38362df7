//! Symlinks: keys that stand for other keys of their bucket.

use super::bucket::Bucket;
use crate::error::Result;
use crate::ops::object::attributes::AttributeOptions;
use crate::ops::object::put::PutOptions;
use crate::ops::object::symlink;
use crate::write::outcome::PutOutcome;

impl Bucket {
    /// Makes a key that stands for another one of this bucket, replacing what was under it. Getting it gets the current
    /// version of the target, exactly one level deep: a link to a link is not followed. Body, size, entity tag and
    /// digests are then the target's, the time is the later of the two, the rest is the link's own. Everything but
    /// `get` and `head` acts on the link itself.
    ///
    /// The target is not looked at: it may come later, or never. Reading the link gives `SymlinkTargetNotExist` until
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
    /// `InvalidObjectName`, for the key or the target; `InvalidArgument` in a bucket of the class `ColdArchive` or
    /// `DeepColdArchive`, unless a warmer class is given (OSS); `FileImmutable`; `NoSuchBucket`.
    pub fn symlink(&self, key: &str, target: &str) -> Result<PutOutcome> {
        self.symlink_with(key, target, PutOptions::new())
    }

    /// [`symlink`](Bucket::symlink), with attributes of the link and conditions on what is under its key. Digests have
    /// no effect.
    ///
    /// # Errors
    /// Those of `symlink`; `InvalidArgument` for the classes `ColdArchive` and `DeepColdArchive` (OSS);
    /// `FileAlreadyExists`; `PreconditionFailed`.
    pub fn symlink_with(&self, key: &str, target: &str, options: PutOptions) -> Result<PutOutcome> {
        symlink::symlink(self.engine(), self.reference(), key, target, options)
    }

    /// The key that a symlink leads to.
    ///
    /// # Errors
    /// `NotSymlink`; `NoSuchKey`, also for a delete marker.
    pub fn read_link(&self, key: &str) -> Result<String> {
        self.read_link_with(key, AttributeOptions::new())
    }

    /// [`read_link`](Bucket::read_link), of a version: each has a target of its own.
    pub fn read_link_with(&self, key: &str, options: AttributeOptions) -> Result<String> {
        symlink::read_link(&self.reading(), self.reference(), key, &options)
    }
}
