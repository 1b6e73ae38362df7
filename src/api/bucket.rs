//! A bucket: every verb on objects.

use std::sync::Arc;

use super::listing::{Listing, Names};
use super::object::Object;
use super::store::Store;
use super::writer::ObjectWriter;
use crate::background::cleanup::make_way;
use crate::engine::state::engine::Engine;
use crate::error::Result;
use crate::model::{BucketName, ObjectMeta, Usage};
use crate::ops::bucket::config::{self, Config};
use crate::ops::copy::options::CopyOptions;
use crate::ops::copy::{copy, rename};
use crate::ops::listing::options::{ListOptions, Page};
use crate::ops::listing::usage::{self, UsageOptions};
use crate::ops::listing::walk::Walk;
use crate::ops::object::body_in::Body;
use crate::ops::object::delete::{self, DeleteOptions};
use crate::ops::object::get_options::GetOptions;
use crate::ops::object::put::{self, PutOptions};
use crate::ops::object::{get, writing};
use crate::ops::prefix::checks::check_prefix;
use crate::ops::prefix::delete_prefix;
use crate::ops::prefix::rename_prefix::{self, PrefixOutcome};
use crate::write::context::{BucketRef, Reading};
use crate::write::outcome::{DeleteOutcome, PutOutcome};

/// A bucket of a store. Cheap to clone. If the bucket is removed, the handle gives `NoSuchBucket`, even if
/// another bucket of the same name is made.
#[derive(Clone, Debug)]
pub struct Bucket {
    store: Store,
    reference: BucketRef,
}

impl Bucket {
    pub(crate) fn new(store: &Store, reference: BucketRef) -> Bucket {
        Bucket { store: store.clone(), reference }
    }

    pub(crate) fn reference(&self) -> &BucketRef {
        &self.reference
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        self.store.engine()
    }

    pub(crate) fn reading(&self) -> Reading {
        Reading::newest(self.store.engine())
    }

    /// The name.
    pub fn name(&self) -> &BucketName {
        &self.reference.name
    }

    /// Writes an object, replacing what was under the key. When this returns, it is durable.
    ///
    /// # Errors
    /// `InvalidObjectName`; `NoSuchBucket`; `StorageFull`.
    pub fn put<'a>(&self, key: &str, body: impl Into<Body<'a>>) -> Result<PutOutcome> {
        self.put_with(key, body, PutOptions::new())
    }

    /// [`put`](Bucket::put), with options.
    ///
    /// # Errors
    /// Those of `put`; `InvalidArgument` for attributes out of their limits; `InvalidEncryptionRequest` if the metadata has
    /// some of the fields of client-side encryption (OSS) and not all; `KmsServiceNotEnabled`, `KeyNotFound`, `AccessDenied`
    /// where a named key is asked for and cannot be had; `FileAlreadyExists`, `PreconditionFailed`.
    pub fn put_with<'a>(
        &self,
        key: &str,
        body: impl Into<Body<'a>>,
        options: PutOptions,
    ) -> Result<PutOutcome> {
        put::put(self.store.engine(), &self.reference, key, body.into(), options)
    }

    /// Writes an object piece by piece. It comes to be when the writer is finished; a writer that is dropped
    /// before that leaves nothing.
    pub fn writer(&self, key: &str, options: PutOptions) -> Result<ObjectWriter> {
        Ok(ObjectWriter::new(writing::Writing::begin(self.store.engine(), &self.reference, key, options)?))
    }

    /// Gets an object.
    ///
    /// # Errors
    /// `NoSuchKey`; `NoSuchBucket`; `InvalidObjectName`; `InvalidObjectState` for an object that is frozen in an archive
    /// class, or a symlink to one, which is read after [`restore`](Bucket::restore); `InvalidRequest` for one that was written
    /// with a customer's key; `KmsServiceNotEnabled`, `KeyNotFound`, `AccessDenied` where the key of its bucket cannot be had.
    pub fn get(&self, key: &str) -> Result<Object> {
        self.get_with(key, GetOptions::new())
    }

    /// [`get`](Bucket::get), with a range or conditions.
    ///
    /// # Errors
    /// Those of `get`; `InvalidRange`; `PreconditionFailed`; `NotModified`; `AccessDenied` for a customer's key that is
    /// another one than the object's.
    pub fn get_with(&self, key: &str, options: GetOptions) -> Result<Object> {
        get::get(&self.reading(), &self.reference, key, &options).map(Object::new)
    }

    /// What is known of an object, without its body. No key is needed for that (OSS and S3 ask for a customer's key).
    pub fn head(&self, key: &str) -> Result<ObjectMeta> {
        self.head_with(key, GetOptions::new())
    }

    /// [`head`](Bucket::head), with conditions. A range has no effect.
    pub fn head_with(&self, key: &str, options: GetOptions) -> Result<ObjectMeta> {
        get::head_with(&self.reading(), &self.reference, key, &options)
    }

    /// Whether there is an object under the key.
    pub fn exists(&self, key: &str) -> Result<bool> {
        get::exists(&self.reading(), &self.reference, key)
    }

    /// Deletes an object. Deleting what is not there is fine.
    pub fn delete(&self, key: &str) -> Result<DeleteOutcome> {
        self.delete_with(key, DeleteOptions::new())
    }

    /// [`delete`](Bucket::delete), with options.
    pub fn delete_with(&self, key: &str, options: DeleteOptions) -> Result<DeleteOutcome> {
        delete::delete(self.store.engine(), &self.reference, key, options)
    }

    /// Deletes many objects, a thousand a commit, and answers for each key in order. A key that is not valid and an
    /// object that is protected have errors of their own and do not keep the others.
    pub fn delete_many<K: AsRef<str>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Vec<(String, Result<DeleteOutcome>)>> {
        let keys = keys.into_iter().map(|key| (key, None));
        delete::delete_each(self.store.engine(), &self.reference, keys, &DeleteOptions::new())
    }

    /// Copies an object to another key of this bucket, with its content type and metadata. Its class is that of the
    /// bucket, unless [`copy_from`](Bucket::copy_from) is told another.
    ///
    /// # Errors
    /// `NoSuchKey`; `InvalidObjectState` for a frozen object, which must be restored first.
    pub fn copy(&self, key: &str, new_key: &str) -> Result<PutOutcome> {
        self.copy_from(self, key, new_key, CopyOptions::new())
    }

    /// Copies an object of another bucket (or this one) into this bucket. No byte is copied, unless the options or the
    /// [`Encryption`](crate::Encryption) of this bucket ask for another key than that of the source.
    ///
    /// # Errors
    /// `InvalidArgument`, also for symlinks and objects that grow in the classes `ColdArchive` and `DeepColdArchive`
    /// (OSS); `InvalidObjectState` for a frozen object; `ObjectNotCopyable`; `NoSuchKey`; `FileImmutable`;
    /// `QuotaExceeded`; `FileAlreadyExists`; `PreconditionFailed`; `NotModified`; `InvalidEncryptionRequest` for other
    /// fields of client-side encryption than the source has; those of a get and of a put where the body is encrypted anew;
    /// `OperationConflict` if the source changes again and again meanwhile.
    pub fn copy_from(
        &self,
        from: &Bucket,
        key: &str,
        new_key: &str,
        options: CopyOptions,
    ) -> Result<PutOutcome> {
        copy::copy(self.store.engine(), (&from.reference, key), (&self.reference, new_key), options)
    }

    /// Gives an object another key, replacing what was under it. One commit, whatever the size. The object keeps its
    /// class and, if it is restored, its days: a rename reads no body, so a frozen object has no need to be restored.
    pub fn rename(&self, key: &str, new_key: &str) -> Result<PutOutcome> {
        self.rename_with(key, new_key, CopyOptions::new())
    }

    /// [`rename`](Bucket::rename), with conditions on the new key.
    pub fn rename_with(&self, key: &str, new_key: &str, options: CopyOptions) -> Result<PutOutcome> {
        rename::rename(self.store.engine(), (&self.reference, key), (&self.reference, new_key), options)
    }

    /// Removes everything under a prefix, visible at once; the space comes back by and by. One small commit, whatever
    /// the number of objects. In a bucket that keeps versions every object gets a delete marker instead, up to 50,000
    /// in one commit.
    ///
    /// # Errors
    /// `FileImmutable` if anything under the prefix is protected; `TooManyObjects`.
    pub fn delete_prefix(&self, prefix: &str) -> Result<PrefixOutcome> {
        check_prefix(prefix)?;
        make_way(self.store.engine(), &self.reference)?;
        delete_prefix::delete_prefix(self.store.engine(), &self.reference, prefix)
    }

    /// Moves everything under a prefix to another one, visible at once. One small commit, whatever the number of
    /// objects; versions move with their objects. If there are objects under the new prefix already, the moved ones
    /// replace those of the same name, one by one, up to 50,000; then older versions stay where they are, below a
    /// delete marker.
    ///
    /// # Errors
    /// `InvalidObjectName` if a key would be none under the new prefix, say too long; to tell, every key under the
    /// prefix is looked at if the new one is longer. `FileImmutable` if anything under the prefix is protected;
    /// `TooManyObjects`; `QuotaExceeded`, where older versions stay.
    pub fn rename_prefix(&self, prefix: &str, new_prefix: &str) -> Result<PrefixOutcome> {
        check_prefix(prefix)?;
        check_prefix(new_prefix)?;
        make_way(self.store.engine(), &self.reference)?;
        rename_prefix::rename_prefix(self.store.engine(), &self.reference, prefix, new_prefix)
    }

    /// Lists what starts with a prefix (`""`: everything), in the order of the keys' bytes, as of this moment.
    pub fn list(&self, prefix: &str) -> Result<Listing> {
        self.list_with(ListOptions::new().prefix(prefix))
    }

    /// [`list`](Bucket::list), with a delimiter, a start, a limit.
    pub fn list_with(&self, options: ListOptions) -> Result<Listing> {
        Ok(Listing::new(Walk::begin(self.reading(), &self.reference, options)?))
    }

    /// One page of a listing: at most `limit` entries, 1000 if nothing is said.
    pub fn list_page(&self, options: ListOptions) -> Result<Page> {
        Walk::begin(self.reading(), &self.reference, options)?.page()
    }

    /// Lists names only, which is several times as fast as a [`list`](Bucket::list) where that is all that is asked for. They are
    /// lent, so this is no iterator of the language; `while let` goes through it. Prefix, delimiter, start, limit and order are
    /// those of `list`.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// # let store = ossicle::Store::in_memory()?;
    /// # let bucket = store.create_bucket("cats")?;
    /// bucket.put("cats/tom", b"meow")?;
    /// bucket.put("cats/kit", b"mew")?;
    /// let mut names = bucket.names("cats/")?;
    /// let mut letters = 0;
    /// while let Some(name) = names.next()? {
    ///     letters += name.len();
    /// }
    /// assert_eq!(letters, 16);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`list_with`](Bucket::list_with).
    pub fn names(&self, options: impl Into<ListOptions>) -> Result<Names> {
        Ok(Names::new(Walk::begin(self.reading(), &self.reference, options.into())?))
    }

    /// A configuration of the bucket, such as [`Versioning`](crate::Versioning), [`Acl`](crate::Acl),
    /// [`Quota`](crate::Quota) or [`Worm`](crate::Worm); `None` if it is not set.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// # let store = ossicle::Store::in_memory()?;
    /// # let bucket = store.create_bucket("cats")?;
    /// use ossicle::Versioning;
    /// bucket.set_config(&Versioning::Enabled)?;
    /// assert_eq!(bucket.config::<Versioning>()?, Some(Versioning::Enabled));
    /// # Ok(())
    /// # }
    /// ```
    pub fn config<C: Config>(&self) -> Result<Option<C>> {
        config::get(&self.reading(), &self.reference)
    }

    /// Sets a configuration of the bucket, over the one it had.
    ///
    /// # Errors
    /// Those of the kind: `InvalidRequest` for versioning together with a retention policy;
    /// `InvalidWORMConfiguration`; `WORMConfigurationLocked`; `InvalidArgument` for
    /// [`Encryption::aes256`](crate::Encryption::aes256) in a store that is not encrypted.
    pub fn set_config<C: Config>(&self, config: &C) -> Result<()> {
        config::set(self.store.engine(), &self.reference, Some(config.clone()))
    }

    /// Takes a configuration off the bucket; fine if it has none.
    pub fn clear_config<C: Config>(&self) -> Result<()> {
        config::set::<C>(self.store.engine(), &self.reference, None)
    }

    /// How many objects and bytes lie under a prefix (`""`: in the bucket). Exact, and quick at any size.
    pub fn usage(&self, prefix: &str) -> Result<Usage> {
        usage::of_prefix(&self.reading(), &self.reference, prefix)
    }

    /// [`usage`](Bucket::usage), with what OSS would charge for if that is asked for.
    pub fn usage_with(&self, prefix: &str, options: UsageOptions) -> Result<Usage> {
        usage::of_prefix_with(&self.reading(), &self.reference, prefix, &options)
    }
}
