//! A bucket: every verb on objects.

use std::sync::Arc;

use super::handle::Store;
use super::listing::{Listing, Names};
use super::object::Object;
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

/// A bucket of a store: every call on objects. Cheap to clone, and may be used from any thread.
///
/// ```
/// # fn main() -> ossicle::Result<()> {
/// # let store = ossicle::Store::in_memory()?;
/// let photos = store.create_bucket_if_missing("photos")?;
/// photos.put("2026/cat.jpg", b"not really a cat")?;
/// photos.put("2026/dog.jpg", b"not really a dog")?;
/// assert_eq!(&photos.get("2026/cat.jpg")?.bytes()?[..], b"not really a cat");
///
/// let names = photos.list("2026/")?.map(|entry| Ok(entry?.name().to_string())).collect::<ossicle::Result<Vec<_>>>()?;
/// assert_eq!(names, ["2026/cat.jpg", "2026/dog.jpg"]);
/// assert_eq!(photos.usage("")?.objects, 2);
/// photos.delete("2026/dog.jpg")?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors of a key
/// A call that takes a key can fail like this, besides what its own documentation says:
///
/// - `InvalidObjectName` for a key that no object can have. Keys have 1 to 1023 bytes of UTF-8 and do not start with `/` or
///   `\`; each NUL character counts twice, and then there are at most 1060.
/// - `NoSuchBucket` if the bucket was removed, even if there is another one of its name.
///
/// # Errors of an attribute
/// A call that reads or changes tags, metadata, access control, class, protection or how budgets treat an object:
///
/// - `NoSuchKey` if there is no object under the key, or the version is a delete marker.
/// - `NoSuchVersion` if the options name a version that is not there.
/// - `PreconditionFailed` if the version has another entity tag than the options name.
///
/// And [those of a key](#errors-of-a-key).
///
/// # Errors of named keys
/// A call that reads or writes a body where the bucket's [`Encryption`](crate::Encryption), or the options, name a key:
///
/// - `KmsServiceNotEnabled` if the store was opened without any [named key](crate::StoreBuilder::kms).
/// - `KeyNotFound` if it was opened without the one that is needed.
/// - `AccessDenied` if the provider refuses, or has another key of that name than the one the body was written with.
/// - `KeyUnavailable` if the provider failed to answer; trying again may help.
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

    /// The name of the bucket.
    pub fn name(&self) -> &BucketName {
        &self.reference.name
    }

    /// Writes an object, replacing what was under the key (or as a new version of it). When this returns, the object survives a
    /// power cut, unless [`Settings::durability`](crate::Settings::durability) says otherwise. The body is bytes in memory or a
    /// [reader](Body::reader), of 0 bytes to 48.8 TiB; memory does not grow with its length.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bucket = ossicle::Store::in_memory()?.create_bucket("cats")?;
    /// use ossicle::Body;
    /// bucket.put("tom", b"meow")?;
    /// let stream = std::io::repeat(b'z');
    /// let outcome = bucket.put("asleep", Body::reader(std::io::Read::take(stream, 1 << 20)))?;
    /// assert_eq!(bucket.head("asleep")?.size, 1 << 20);
    /// println!("commit {}, entity tag {}", outcome.lsn, outcome.etag);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// - `QuotaExceeded` if a [`Quota`](crate::Quota) or a [`Budget`](crate::Budget) leaves no room.
    /// - `FileImmutable` if a protected object would be lost; in a bucket that keeps versions it stays as an older
    ///   version.
    /// - `EntityTooLarge` for a body of more than 48.8 TiB.
    /// - `InternalError` also if the reader that the body is taken from fails.
    ///
    /// Also [those of named keys](crate::Bucket#errors-of-named-keys), [those of a
    /// key](crate::Bucket#errors-of-a-key) and [those of writing](crate::Store#errors-of-writing).
    pub fn put<'a>(&self, key: &str, body: impl Into<Body<'a>>) -> Result<PutOutcome> {
        self.put_with(key, body, PutOptions::new())
    }

    /// [`put`](Bucket::put), with options: attributes, conditions, encryption, durability.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// # let bucket = ossicle::Store::in_memory()?.create_bucket("cats")?;
    /// use ossicle::PutOptions;
    /// let options = PutOptions::new().content_type("text/plain").metadata("owner", "ann").if_absent();
    /// bucket.put_with("tom", b"meow", options.clone())?;
    /// assert_eq!(bucket.put_with("tom", b"hiss", options).unwrap_err().code(), "FileAlreadyExists");
    /// assert_eq!(bucket.head("tom")?.metadata["owner"], "ann");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// - `FileAlreadyExists` if `if_absent` was asked for and there is an object; `PreconditionFailed` if the entity
    ///   tag is not as `if_match` or `if_none_match` wants it.
    /// - `InvalidArgument` for a content type, a header or user metadata beyond its limits; `InvalidTag` for tags
    ///   that cannot be. `InvalidArgument` also for two keys at once, and for
    ///   [`Encryption::aes256`](crate::Encryption::aes256) in a store that is not encrypted.
    /// - `InvalidEncryptionRequest` if the metadata has some of the fields of client-side encryption and not all.
    ///
    /// Also those of [`put`](Bucket::put).
    pub fn put_with<'a>(
        &self,
        key: &str,
        body: impl Into<Body<'a>>,
        options: PutOptions,
    ) -> Result<PutOutcome> {
        put::put(self.store.engine(), &self.reference, key, body.into(), options)
    }

    /// Writes an object piece by piece, through [`std::io::Write`]. The object exists once
    /// [`finish`](ObjectWriter::finish) returns; a writer that is dropped before that leaves nothing.
    ///
    /// # Errors
    /// `InvalidArgument` for a content type, a header or user metadata beyond its limits; `InvalidTag` for tags that
    /// cannot be; `InvalidEncryptionRequest` if the metadata has some of the fields of client-side encryption and not
    /// all. Also [those of named keys](crate::Bucket#errors-of-named-keys), [those of a
    /// key](crate::Bucket#errors-of-a-key) and [those of writing](crate::Store#errors-of-writing). Conditions, quota
    /// and protection are looked at by [`finish`](ObjectWriter::finish).
    pub fn writer(&self, key: &str, options: PutOptions) -> Result<ObjectWriter> {
        Ok(ObjectWriter::new(writing::Writing::begin(self.store.engine(), &self.reference, key, options)?))
    }

    /// Gets an object: what is known of it, and its body, to be read whole or as a stream. A symlink is followed, one level
    /// deep.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// # let bucket = ossicle::Store::in_memory()?.create_bucket("cats")?;
    /// bucket.put("tom", b"meow")?;
    /// let tom = bucket.get("tom")?;
    /// assert_eq!(tom.meta().size, 4);
    /// assert_eq!(&tom.bytes()?[..], b"meow");
    /// assert!(bucket.get("nobody").unwrap_err().is_not_found());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// - `NoSuchKey` if there is no object under the key, or a delete marker on top of it.
    /// - `InvalidObjectState` if the body is frozen in an archive class: [`restore`](Bucket::restore) it first.
    /// - `InvalidRequest` if it was written with a customer's key: bring that along with
    ///   [`get_with`](Bucket::get_with).
    /// - `SymlinkTargetNotExist` if the object is a symlink to nothing; `InvalidTargetType` if it is one to another
    ///   symlink.
    ///
    /// Also [those of named keys](crate::Bucket#errors-of-named-keys), [those of a
    /// key](crate::Bucket#errors-of-a-key) and [those of reading](crate::Store#errors-of-reading). A damaged body is
    /// told when its bytes are read.
    pub fn get(&self, key: &str) -> Result<Object> {
        self.get_with(key, GetOptions::new())
    }

    /// [`get`](Bucket::get), with options: a range, conditions, a version, a customer's key.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// # let bucket = ossicle::Store::in_memory()?.create_bucket("cats")?;
    /// use ossicle::{ErrorKind, GetOptions};
    /// let put = bucket.put("tom", b"meow, meow")?;
    /// assert_eq!(&bucket.get_with("tom", GetOptions::new().range(6..))?.bytes()?[..], b"meow");
    /// let unchanged = bucket.get_with("tom", GetOptions::new().if_none_match(put.etag)).unwrap_err();
    /// assert_eq!(unchanged.kind(), ErrorKind::NotModified);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// - `NoSuchVersion` if the object has no such version; `MethodNotAllowed` if it is a delete marker.
    /// - `PreconditionFailed` and `NotModified` if the conditions do not hold.
    /// - `InvalidRange` if no byte of the body lies in the range.
    /// - `AccessDenied` for a customer's key that is another one than the object's; `InvalidRequest` for one that an
    ///   object does not need.
    ///
    /// Also those of [`get`](Bucket::get).
    pub fn get_with(&self, key: &str, options: GetOptions) -> Result<Object> {
        get::get(&self.reading(), &self.reference, key, &options).map(Object::new)
    }

    /// The metadata of an object: size, entity tag, time, class and attributes. Needs no encryption key (OSS and S3 ask for a
    /// customer's key). A symlink is followed.
    ///
    /// # Errors
    /// `NoSuchKey` if there is no object under the key, or a delete marker on top of it; `SymlinkTargetNotExist` if
    /// the object is a symlink to nothing; `InvalidTargetType` if it is one to another symlink. Also [those of a
    /// key](crate::Bucket#errors-of-a-key) and [those of reading](crate::Store#errors-of-reading).
    pub fn head(&self, key: &str) -> Result<ObjectMeta> {
        self.head_with(key, GetOptions::new())
    }

    /// [`head`](Bucket::head), with conditions or of a version. A range has no effect.
    ///
    /// # Errors
    /// `NoSuchVersion` if the object has no such version; `MethodNotAllowed` if it is a delete marker;
    /// `PreconditionFailed` and `NotModified` if the conditions do not hold. Also those of [`head`](Bucket::head).
    pub fn head_with(&self, key: &str, options: GetOptions) -> Result<ObjectMeta> {
        get::head_with(&self.reading(), &self.reference, key, &options)
    }

    /// Whether there is an object under the key. A symlink counts, whether or not its target exists.
    ///
    /// # Errors
    /// [Those of a key](crate::Bucket#errors-of-a-key) and [those of reading](crate::Store#errors-of-reading).
    pub fn exists(&self, key: &str) -> Result<bool> {
        get::exists(&self.reading(), &self.reference, key)
    }

    /// Deletes an object. Succeeds if there is none. In a bucket that keeps versions this adds a delete marker, and the versions
    /// stay.
    ///
    /// # Errors
    /// `FileImmutable` if a protected object would be lost; in a bucket that keeps versions it stays as an older
    /// version. Also [those of a key](crate::Bucket#errors-of-a-key) and [those of
    /// writing](crate::Store#errors-of-writing). A full disk keeps no delete from happening.
    pub fn delete(&self, key: &str) -> Result<DeleteOutcome> {
        self.delete_with(key, DeleteOptions::new())
    }

    /// [`delete`](Bucket::delete), with conditions, or of one version for good.
    ///
    /// # Errors
    /// `PreconditionFailed` if the entity tag is not as `if_match` or `if_none_match` wants it; `FileImmutable` also
    /// for a version that is named and protected. Also those of [`delete`](Bucket::delete).
    pub fn delete_with(&self, key: &str, options: DeleteOptions) -> Result<DeleteOutcome> {
        delete::delete(self.store.engine(), &self.reference, key, options)
    }

    /// Deletes many objects, a thousand a commit, and returns an answer for each key, in order. An invalid key or a protected
    /// object has an error of its own, and the others are deleted.
    ///
    /// # Errors
    /// The call fails with `NoSuchBucket` if the bucket was removed, and with [those of
    /// writing](crate::Store#errors-of-writing); what earlier commits of it have deleted stays deleted. Each key has
    /// an answer of its own: `InvalidObjectName`, or `FileImmutable` if the object is protected and would be lost.
    pub fn delete_many<K: AsRef<str>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Vec<(String, Result<DeleteOutcome>)>> {
        let keys = keys.into_iter().map(|key| (key, None));
        delete::delete_each(self.store.engine(), &self.reference, keys, &DeleteOptions::new())
    }

    /// Copies an object to another key of this bucket, with its content type and metadata. The copy gets the storage class of the
    /// bucket; [`copy_from`](Bucket::copy_from) can set another. No byte is copied.
    ///
    /// # Errors
    /// Those of [`copy_from`](Bucket::copy_from).
    pub fn copy(&self, key: &str, new_key: &str) -> Result<PutOutcome> {
        self.copy_from(self, key, new_key, CopyOptions::new())
    }

    /// Copies an object of another bucket (or this one) into this bucket. No byte is copied, unless the options or the
    /// [`Encryption`](crate::Encryption) of this bucket ask for another key than that of the source.
    ///
    /// # Errors
    /// - `NoSuchKey` if there is no source; `NoSuchVersion` if the options name a version that is not there.
    /// - `PreconditionFailed` and `NotModified` if a condition on the source does not hold, `FileAlreadyExists` and
    ///   `PreconditionFailed` for one on the target.
    /// - `InvalidObjectState` if the source is frozen in an archive class.
    /// - `ObjectNotCopyable` for an object that grows by appends, unless it is copied onto itself in a bucket that
    ///   keeps no versions.
    /// - `InvalidArgument` for attributes beyond their limits, and for the classes
    ///   [`ColdArchive`](crate::StorageClass::ColdArchive) and
    ///   [`DeepColdArchive`](crate::StorageClass::DeepColdArchive) of symlinks and objects that grow (OSS).
    /// - `InvalidEncryptionRequest` for other fields of client-side encryption than the source has.
    /// - `QuotaExceeded` if a [`Quota`](crate::Quota) or a [`Budget`](crate::Budget) leaves no room; `FileImmutable`
    ///   if a protected object would be lost; in a bucket that keeps versions it stays as an older version.
    /// - `OperationConflict` if the body has to be encrypted again, and the source changes again and again meanwhile.
    ///
    /// Also [those of named keys](crate::Bucket#errors-of-named-keys), [those of a
    /// key](crate::Bucket#errors-of-a-key) and [those of writing](crate::Store#errors-of-writing).
    pub fn copy_from(
        &self,
        from: &Bucket,
        key: &str,
        new_key: &str,
        options: CopyOptions,
    ) -> Result<PutOutcome> {
        copy::copy(self.store.engine(), (&from.reference, key), (&self.reference, new_key), options)
    }

    /// Gives an object another key, replacing what was under that (or as a new version of it). One commit; no byte is copied.
    /// The object keeps its class and, if it is restored, its days. A frozen object can be renamed: no body is read.
    ///
    /// # Errors
    /// `NoSuchKey` if there is no object under the key; `FileImmutable` if it, or what is under the new key, is
    /// protected and would be lost; `QuotaExceeded` if what versions stay behind leaves no room. Also [those of a
    /// key](crate::Bucket#errors-of-a-key) and [those of writing](crate::Store#errors-of-writing).
    pub fn rename(&self, key: &str, new_key: &str) -> Result<PutOutcome> {
        self.rename_with(key, new_key, CopyOptions::new())
    }

    /// [`rename`](Bucket::rename), with conditions on the new key.
    ///
    /// # Errors
    /// `FileAlreadyExists` if `if_absent` was asked for and there is an object; `PreconditionFailed` if the entity
    /// tag is not as `if_match` or `if_none_match` wants it. Also those of [`rename`](Bucket::rename).
    pub fn rename_with(&self, key: &str, new_key: &str, options: CopyOptions) -> Result<PutOutcome> {
        rename::rename(self.store.engine(), (&self.reference, key), (&self.reference, new_key), options)
    }

    /// Removes everything under a prefix in one small commit, whatever the number of objects. It is gone at once; its space is
    /// reclaimed in the background. In a bucket that keeps versions every object gets a delete marker instead, up to 50,000 in one
    /// commit.
    ///
    /// # Errors
    /// - `InvalidArgument` for a prefix that no key has: one of more than 1023 bytes, or that starts with `/` or `\`.
    /// - `FileImmutable` if anything under the prefix is protected.
    /// - `TooManyObjects` in a bucket that keeps versions if there are more than 50,000 objects under the prefix.
    /// - `OperationConflict` if 64 prefixes of the bucket were removed or renamed and a fork or the retained past
    ///   still reads what was there.
    /// - `NoSuchBucket` if the bucket was removed.
    ///
    /// Also [those of writing](crate::Store#errors-of-writing).
    pub fn delete_prefix(&self, prefix: &str) -> Result<PrefixOutcome> {
        check_prefix(prefix)?;
        make_way(self.store.engine(), &self.reference)?;
        delete_prefix::delete_prefix(self.store.engine(), &self.reference, prefix)
    }

    /// Moves everything under a prefix to another one, in one small commit, whatever the number of objects. Versions move with
    /// their objects. If there are objects under the new prefix already, the moved ones replace those of the same name, one by one,
    /// up to 50,000; then older versions stay where they are, below a delete marker.
    ///
    /// # Errors
    /// - `InvalidArgument` for a prefix that no key has: one of more than 1023 bytes, or that starts with `/` or `\`.
    /// - `InvalidObjectName` if a key would be none under the new prefix, say too long; to tell, every key under the
    ///   prefix is looked at if the new one is longer.
    /// - `FileImmutable` if anything under the prefix, or an object that would be replaced, is protected.
    /// - `TooManyObjects` if more than 50,000 objects have to be moved one by one.
    /// - `QuotaExceeded` where older versions stay and leave no room.
    /// - `OperationConflict` if 64 prefixes of the bucket were removed or renamed and a fork or the retained past
    ///   still reads what was there.
    /// - `NoSuchBucket` if the bucket was removed.
    ///
    /// Also [those of writing](crate::Store#errors-of-writing).
    pub fn rename_prefix(&self, prefix: &str, new_prefix: &str) -> Result<PrefixOutcome> {
        check_prefix(prefix)?;
        check_prefix(new_prefix)?;
        make_way(self.store.engine(), &self.reference)?;
        rename_prefix::rename_prefix(self.store.engine(), &self.reference, prefix, new_prefix)
    }

    /// Lists the objects whose keys start with a prefix (`""`: all), in the order of the keys' bytes, as of this moment.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// # let bucket = ossicle::Store::in_memory()?.create_bucket("cats")?;
    /// bucket.put("grey/tom", b"meow")?;
    /// bucket.put("red/kit", b"mew")?;
    /// for entry in bucket.list("grey/")? {
    ///     println!("{}", entry?.name());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `InvalidArgument` for a prefix of more than 1023 bytes; `NoSuchBucket` if the bucket was removed. Also [those
    /// of reading](crate::Store#errors-of-reading). The iterator answers the latter too.
    pub fn list(&self, prefix: &str) -> Result<Listing> {
        self.list_with(ListOptions::new().prefix(prefix))
    }

    /// [`list`](Bucket::list), with options: a delimiter, a start, a limit, descending order.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// # let bucket = ossicle::Store::in_memory()?.create_bucket("cats")?;
    /// use ossicle::{Entry, ListOptions};
    /// bucket.put("grey/tom", b"meow")?;
    /// bucket.put("grey/ash", b"purr")?;
    /// bucket.put("readme", b"cats")?;
    /// let entries = bucket.list_with(ListOptions::new().delimiter("/"))?.collect::<ossicle::Result<Vec<_>>>()?;
    /// assert_eq!(entries.iter().map(Entry::name).collect::<Vec<_>>(), ["grey/", "readme"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `InvalidArgument` for a prefix, a delimiter or a start of more than 1023 bytes, and for a limit of 0;
    /// `NoSuchBucket` if the bucket was removed. Also [those of reading](crate::Store#errors-of-reading). The
    /// iterator answers the latter too.
    pub fn list_with(&self, options: ListOptions) -> Result<Listing> {
        Ok(Listing::new(Walk::begin(self.reading(), &self.reference, options)?))
    }

    /// One page of a listing: at most `limit` entries, by default 1000.
    ///
    /// # Errors
    /// Those of [`list_with`](Bucket::list_with).
    pub fn list_page(&self, options: ListOptions) -> Result<Page> {
        Walk::begin(self.reading(), &self.reference, options)?.page()
    }

    /// Lists names only, several times as fast as [`list`](Bucket::list). Names are borrowed, so this is not an [`Iterator`]: loop
    /// over it with `while let`. Prefix, delimiter, start, limit and order are those of `list_with`.
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
    ///
    /// # Errors
    /// `NoSuchBucket` if the bucket was removed. Also [those of reading](crate::Store#errors-of-reading).
    pub fn config<C: Config>(&self) -> Result<Option<C>> {
        config::get(&self.reading(), &self.reference)
    }

    /// Sets a configuration of the bucket, replacing the one that it had. Durable when it returns.
    ///
    /// # Errors
    /// - `InvalidRequest` for versioning together with a retention policy.
    /// - `InvalidWORMConfiguration` for a retention policy of no days or too many; `WORMConfigurationLocked` if it
    ///   would weaken one that is locked.
    /// - `InvalidArgument` for a [`Budget`](crate::Budget), [`Lifecycle`](crate::Lifecycle) or
    ///   [`Encryption`](crate::Encryption) that contradicts itself or is too long; for rules by the last access
    ///   without [`AccessMonitor`](crate::AccessMonitor); for [`Encryption::aes256`](crate::Encryption::aes256) in a
    ///   store that is not encrypted.
    /// - `NoSuchBucket` if the bucket was removed.
    ///
    /// Also [those of writing](crate::Store#errors-of-writing).
    pub fn set_config<C: Config>(&self, config: &C) -> Result<()> {
        config::set(self.store.engine(), &self.reference, Some(config.clone()))
    }

    /// Removes a configuration from the bucket. Succeeds if it has none.
    ///
    /// # Errors
    /// `InvalidRequest` for versioning, which can be suspended but not undone; `WORMConfigurationLocked` for a
    /// retention policy that is locked; `InvalidArgument` for [`AccessMonitor`](crate::AccessMonitor) while a
    /// lifecycle rule counts from the last access; `NoSuchBucket` if the bucket was removed. Also [those of
    /// writing](crate::Store#errors-of-writing).
    pub fn clear_config<C: Config>(&self) -> Result<()> {
        config::set::<C>(self.store.engine(), &self.reference, None)
    }

    /// The number of objects and bytes under a prefix (`""`: in the bucket). Exact; the cost does not grow with the number of
    /// objects.
    ///
    /// # Errors
    /// `InvalidArgument` for a prefix of more than 1023 bytes; `NoSuchBucket` if the bucket was removed. Also [those
    /// of reading](crate::Store#errors-of-reading).
    pub fn usage(&self, prefix: &str) -> Result<Usage> {
        usage::of_prefix(&self.reading(), &self.reference, prefix)
    }

    /// [`usage`](Bucket::usage), with options: what OSS would charge for.
    ///
    /// # Errors
    /// Those of [`usage`](Bucket::usage).
    pub fn usage_with(&self, prefix: &str, options: UsageOptions) -> Result<Usage> {
        usage::of_prefix_with(&self.reading(), &self.reference, prefix, &options)
    }
}
