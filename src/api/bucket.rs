//! A bucket: every verb on objects.

use super::{Listing, Object, ObjectWriter, Store};
use crate::error::Result;
use crate::model::{BucketName, ObjectMeta, Usage};
use crate::ops::body::Body;
use crate::ops::context::{BucketRef, Reading};
use crate::ops::copy::{self, CopyOptions};
use crate::ops::delete::{self, DeleteOptions, DeleteOutcome};
use crate::ops::get::{self, GetOptions};
use crate::ops::list::{ListOptions, Page, Walk};
use crate::ops::put::{self, PutOptions, PutOutcome};
use crate::ops::usage;

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

    fn reading(&self) -> Reading {
        Reading { engine: self.store.engine().clone(), pinned: None }
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
        Ok(ObjectWriter::new(put::Writing::begin(self.store.engine(), &self.reference, key, options)?))
    }

    /// Gets an object.
    ///
    /// # Errors
    /// `NoSuchKey`; `NoSuchBucket`; `InvalidObjectName`.
    pub fn get(&self, key: &str) -> Result<Object> {
        self.get_with(key, GetOptions::new())
    }

    /// [`get`](Bucket::get), with a range or conditions.
    ///
    /// # Errors
    /// Those of `get`; `InvalidRange`; `PreconditionFailed`; `NotModified`.
    pub fn get_with(&self, key: &str, options: GetOptions) -> Result<Object> {
        get::get(&self.reading(), &self.reference, key, &options).map(Object::new)
    }

    /// What is known of an object, without its body.
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

    /// Deletes many objects, a thousand a commit, and answers for each key in order.
    pub fn delete_many<K: AsRef<str>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Vec<(String, Result<DeleteOutcome>)>> {
        delete::delete_many(self.store.engine(), &self.reference, keys, &DeleteOptions::new())
    }

    /// Copies an object to another key of this bucket, with its content type and metadata.
    pub fn copy(&self, key: &str, new_key: &str) -> Result<PutOutcome> {
        self.copy_from(self, key, new_key, CopyOptions::new())
    }

    /// Copies an object of another bucket (or this one) into this bucket.
    pub fn copy_from(
        &self,
        from: &Bucket,
        key: &str,
        new_key: &str,
        options: CopyOptions,
    ) -> Result<PutOutcome> {
        copy::copy(self.store.engine(), (&from.reference, key), (&self.reference, new_key), options)
    }

    /// Gives an object another key, replacing what was under it. One commit, whatever the size.
    pub fn rename(&self, key: &str, new_key: &str) -> Result<PutOutcome> {
        self.rename_with(key, new_key, CopyOptions::new())
    }

    /// [`rename`](Bucket::rename), with conditions on the new key.
    pub fn rename_with(&self, key: &str, new_key: &str, options: CopyOptions) -> Result<PutOutcome> {
        copy::rename(self.store.engine(), (&self.reference, key), (&self.reference, new_key), options)
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

    /// How many objects and bytes lie under a prefix (`""`: in the bucket). Exact, and quick at any size.
    pub fn usage(&self, prefix: &str) -> Result<Usage> {
        usage::of_prefix(&self.reading(), &self.reference, prefix)
    }
}
