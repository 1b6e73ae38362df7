//! Uploads of parts, and the listing of those in progress.

use std::collections::BTreeMap;

use super::batch::Batch;
use super::bucket::Bucket;
use super::handle::Store;
use crate::crypto::CustomerKey;
use crate::error::Result;
use crate::model::{Durability, UploadId};
use crate::ops::listing::options::ListOptions;
use crate::ops::listing::uploads::{UploadEntry, UploadWalk, UploadsPage};
use crate::ops::object::body_in::Body;
use crate::ops::object::get_options::GetOptions;
use crate::ops::upload::options::UploadOptions;
use crate::ops::upload::parts::{self, Part, PartsPage};
use crate::ops::upload::upload_ref::UploadRef;
use crate::ops::upload::{begin, complete, put_part};
use crate::write::context::Reading;
use crate::write::outcome::PutOutcome;

/// An object that is uploaded in parts: in any order, from many threads, over days and across reopenings (OSS:
/// multipart upload). The object exists once the upload is [completed](Upload::complete), by one small commit that copies
/// no byte. Until then its parts take room, which [`usage`](Bucket::usage) shows. Dropping the handle does not end the upload:
/// [abort](Upload::abort) one that is no longer needed.
///
/// ```
/// # fn main() -> ossicle::Result<()> {
/// # let store = ossicle::Store::in_memory()?;
/// # let bucket = store.create_bucket("films")?;
/// use ossicle::UploadOptions;
/// let upload = bucket.upload("long.mp4", UploadOptions::new().content_type("video/mp4"))?;
/// let second = upload.put_part(2, b"the end")?;
/// let first = upload.put_part(1, vec![b'.'; 200_000])?;
/// upload.complete(&[first, second])?;
/// assert_eq!(bucket.head("long.mp4")?.size, 200_007);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Upload {
    store: Store,
    reference: UploadRef,
    durability: Durability,
}

impl Upload {
    /// The id of the upload, by which [`Bucket::resume_upload`] finds it.
    pub fn id(&self) -> &UploadId {
        &self.reference.id
    }

    /// The key that the object will have.
    pub fn key(&self) -> &str {
        &self.reference.key
    }

    /// Sets when each call on the handle is done: when its commit is [synced](Durability::Synced), or sooner.
    pub fn durability(mut self, durability: Durability) -> Upload {
        self.durability = durability;
        self
    }

    /// The user metadata of the object, as given when the upload was begun; names are in lower case.
    ///
    /// # Errors
    /// `NoSuchUpload` if the upload was completed or aborted; `NoSuchBucket` if the bucket was removed. Also [those
    /// of reading](crate::Store#errors-of-reading).
    pub fn metadata(&self) -> Result<BTreeMap<String, String>> {
        Ok(self.reference.row(&self.reading())?.object.metadata)
    }

    /// Sets the customer's key that the upload was begun with. A handle from [`Bucket::resume_upload`] has none, and needs it
    /// to put parts.
    pub fn customer_key(mut self, key: &CustomerKey) -> Upload {
        self.reference.customer = Some(key.clone());
        self
    }

    fn reading(&self) -> Reading {
        Reading::newest(self.store.engine())
    }

    /// Writes the part with this number, from 1 to 10,000, replacing an earlier one. A part has at most 5 GiB. Every part but the
    /// last one has at least 100 KiB; that is checked when the upload is completed.
    ///
    /// # Errors
    /// - `InvalidArgument` for a number that is not 1 to 10,000.
    /// - `NoSuchUpload` if the upload was completed or aborted; `NoSuchBucket` if the bucket was removed; also if
    ///   that happens meanwhile.
    /// - `EntityTooLarge` for more than 5 GiB.
    /// - `QuotaExceeded` if a [`Quota`](crate::Quota) or a [`Budget`](crate::Budget) leaves no room.
    /// - `InvalidRequest` if the upload was begun with a customer's key that is not brought along, `AccessDenied` if
    ///   it is another one.
    /// - `InvalidEncryptionRequest` for another length than the metadata of a client-side encrypted upload says.
    ///
    /// Also [those of named keys](crate::Bucket#errors-of-named-keys) and [those of
    /// writing](crate::Store#errors-of-writing).
    pub fn put_part<'a>(&self, number: u32, body: impl Into<Body<'a>>) -> Result<Part> {
        put_part::put(self.store.engine(), &self.reference, number, body.into(), self.durability)
    }

    /// Writes the bytes of another object as a part: all of them, or the range in the options, if the conditions in the options
    /// hold. The bytes are copied. A symlink is followed.
    ///
    /// # Errors
    /// Those of [`put_part`](Upload::put_part) and of [`Bucket::get_with`]; `InvalidEncryptionRequest` if the object
    /// or the upload is encrypted by its client; `OperationConflict` if the object changes again and again while it
    /// is copied.
    pub fn put_part_copy(&self, number: u32, from: &Bucket, key: &str, options: GetOptions) -> Result<Part> {
        let engine = self.store.engine();
        put_part::copy(engine, &self.reference, number, (from.reference(), key), &options, self.durability)
    }

    /// All parts that were written, in the order of their numbers.
    ///
    /// # Errors
    /// `NoSuchUpload` if the upload was completed or aborted; `NoSuchBucket` if the bucket was removed. Also [those
    /// of reading](crate::Store#errors-of-reading).
    pub fn parts(&self) -> Result<Vec<Part>> {
        Ok(self.parts_page(0, usize::MAX)?.parts)
    }

    /// The parts with numbers above `after`, at most `limit` of them.
    ///
    /// # Errors
    /// `InvalidArgument` for a limit of 0; `NoSuchUpload` if the upload was completed or aborted; `NoSuchBucket` if
    /// the bucket was removed. Also [those of reading](crate::Store#errors-of-reading).
    pub fn parts_page(&self, after: u32, limit: usize) -> Result<PartsPage> {
        parts::page(&self.reading(), &self.reference, after, limit)
    }

    /// Makes the object out of these parts, replacing what is under the key (or as a new version of it), and ends the upload.
    /// Other parts are dropped. A part is named by its number and its entity tag.
    ///
    /// # Errors
    /// - `NoSuchUpload` if the upload was completed or aborted; `NoSuchBucket` if the bucket was removed.
    /// - `InvalidArgument` for no part at all; `InvalidPartOrder` unless the numbers ascend.
    /// - `InvalidPart` for a part that is not there or has another entity tag.
    /// - `EntityTooSmall` for one below 100 KiB that is not the last; `EntityTooLarge` for more than 48.8 TiB in all.
    /// - `FileAlreadyExists` if `if_absent` was asked for and there is an object.
    /// - `QuotaExceeded` if a [`Quota`](crate::Quota) or a [`Budget`](crate::Budget) leaves no room; `FileImmutable`
    ///   if a protected object would be lost; in a bucket that keeps versions it stays as an older version.
    /// - `InvalidEncryptionRequest` unless all parts of a client-side encrypted upload are there.
    ///
    /// Also [those of writing](crate::Store#errors-of-writing). After an error the upload is as it was.
    pub fn complete(&self, parts: &[Part]) -> Result<PutOutcome> {
        complete::complete(self.store.engine(), &self.reference, Some(parts), self.durability)
    }

    /// Makes the object out of all parts that were written (OSS: `x-oss-complete-all`).
    ///
    /// # Errors
    /// Those of [`complete`](Upload::complete).
    pub fn complete_all(&self) -> Result<PutOutcome> {
        complete::complete(self.store.engine(), &self.reference, None, self.durability)
    }

    /// Ends the upload without making an object, and drops its parts. Their space is reclaimed in the background.
    ///
    /// # Errors
    /// `NoSuchUpload` if the upload was completed or aborted; `NoSuchBucket` if the bucket was removed. Also [those
    /// of writing](crate::Store#errors-of-writing).
    pub fn abort(&self) -> Result<()> {
        begin::abort(self.store.engine(), &self.reference, self.durability)
    }
}

impl Bucket {
    /// Begins an upload in parts. Several uploads to one key are independent; the one that is completed last is current.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// # let store = ossicle::Store::in_memory()?;
    /// # let bucket = store.create_bucket("films")?;
    /// use ossicle::UploadOptions;
    /// let upload = bucket.upload("long.mp4", UploadOptions::new())?;
    /// upload.put_part(1, vec![b'.'; 200_000])?;
    /// let id = upload.id().to_string();
    ///
    /// // In another process, on another day.
    /// let upload = bucket.resume_upload("long.mp4", &id)?;
    /// upload.put_part(2, b"the end")?;
    /// upload.complete_all()?;
    /// assert_eq!(bucket.head("long.mp4")?.size, 200_007);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `FileAlreadyExists` if `if_absent` was asked for and there is an object; `InvalidArgument` for a content type,
    /// a header or user metadata beyond its limits; `InvalidTag` for tags that cannot be; `InvalidEncryptionRequest`
    /// if the metadata has fields of client-side encryption, and not all of them with the sizes of body and parts.
    /// Also [those of named keys](crate::Bucket#errors-of-named-keys), [those of a
    /// key](crate::Bucket#errors-of-a-key) and [those of writing](crate::Store#errors-of-writing).
    pub fn upload(&self, key: &str, options: UploadOptions) -> Result<Upload> {
        let durability = self.engine().settings().durability_for(options.done());
        let reference = begin::begin(self.store().engine(), self.reference(), key, options)?;
        Ok(Upload { store: self.store().clone(), reference, durability })
    }

    /// Opens an upload that was begun earlier, perhaps before the store was opened.
    ///
    /// # Errors
    /// `NoSuchUpload` if there is none of this name to this key. Also [those of a key](crate::Bucket#errors-of-a-key)
    /// and [those of reading](crate::Store#errors-of-reading).
    pub fn resume_upload(&self, key: &str, id: impl AsRef<str>) -> Result<Upload> {
        let reference = begin::resume(self.store().engine(), self.reference(), key, id.as_ref())?;
        let durability = self.engine().settings().durability;
        Ok(Upload { store: self.store().clone(), reference, durability })
    }

    /// Lists the uploads in progress, by key and then in the order in which they were begun, as of this moment.
    ///
    /// # Errors
    /// `InvalidArgument` for a prefix, a delimiter or a start of more than 1023 bytes, and for a limit of 0, for a
    /// delimiter, which only [`uploads_page`](Bucket::uploads_page) takes, for descending order and for
    /// `start_after_version`; `NoSuchBucket` if the bucket was removed. Also [those of
    /// reading](crate::Store#errors-of-reading). The iterator answers the latter too.
    pub fn uploads(&self, options: ListOptions) -> Result<Uploads> {
        let reading = Reading::newest(self.store().engine());
        let walk = UploadWalk::iterate(&reading, self.reference(), options)?;
        Ok(Uploads { walk: Some(walk), batch: Batch::new() })
    }

    /// One page of the uploads in progress: at most `limit` entries, by default 1000.
    ///
    /// # Errors
    /// Those of [`uploads`](Bucket::uploads), but a delimiter is allowed.
    pub fn uploads_page(&self, options: ListOptions) -> Result<UploadsPage> {
        UploadWalk::begin(&Reading::newest(self.store().engine()), self.reference(), options)?.page()
    }
}

/// The uploads in progress of a bucket. Ends after an error.
#[derive(Debug)]
pub struct Uploads {
    walk: Option<UploadWalk>,
    batch: Batch<UploadEntry>,
}

impl Iterator for Uploads {
    type Item = Result<UploadEntry>;

    fn next(&mut self) -> Option<Result<UploadEntry>> {
        if let Some(entry) = self.batch.next() {
            return Some(entry);
        }
        match self.walk.as_mut()?.next_batch() {
            Ok(batch) if batch.is_empty() => {
                self.walk = None;
                None
            }
            Ok(batch) => {
                self.batch = Batch::of(batch);
                self.batch.next()
            }
            Err(error) => {
                self.walk = None;
                Some(Err(error))
            }
        }
    }
}
