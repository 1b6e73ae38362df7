//! Uploads of parts, and the listing of those in progress.

use std::collections::BTreeMap;

use super::batch::Batch;
use super::bucket::Bucket;
use super::store::Store;
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
/// multipart upload). It comes to be when the upload is [completed](Upload::complete), by one small commit that copies
/// no byte. Until then its parts take room, which [`usage`](Bucket::usage) shows; an upload that nobody needs any more
/// should be [aborted](Upload::abort), and dropping the handle does not do that.
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
    /// The upload's name: what [`Bucket::resume_upload`] finds it by.
    pub fn id(&self) -> &UploadId {
        &self.reference.id
    }

    /// The key that the object will have.
    pub fn key(&self) -> &str {
        &self.reference.key
    }

    /// The same upload, with another moment at which each call on the handle is done.
    pub fn durability(mut self, durability: Durability) -> Upload {
        self.durability = durability;
        self
    }

    /// The user metadata that the object will have, as it was given when the upload was begun; names are in lower case.
    ///
    /// # Errors
    /// `NoSuchUpload` if the upload was completed or aborted; `NoSuchBucket` if the bucket was removed. Also [those
    /// of reading](crate::Store#errors-of-reading).
    pub fn metadata(&self) -> Result<BTreeMap<String, String>> {
        Ok(self.reference.row(&self.reading())?.object.metadata)
    }

    /// The same upload, with the key that it was begun with; what [`Bucket::resume_upload`] gives has none.
    pub fn customer_key(mut self, key: &CustomerKey) -> Upload {
        self.reference.customer = Some(key.clone());
        self
    }

    fn reading(&self) -> Reading {
        Reading::newest(self.store.engine())
    }

    /// Puts the part with this number, from 1 to 10,000, over the one that has it. A part has at most 5 GiB, and at
    /// least 100 KiB unless it is the last one of its object, which is looked at when the upload is completed.
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

    /// Puts the bytes of another object as a part: all of it, or the range that the options say, if their conditions
    /// hold for it. The bytes are copied. A symlink is followed.
    ///
    /// # Errors
    /// Those of [`put_part`](Upload::put_part) and of [`Bucket::get_with`]; `InvalidEncryptionRequest` if the object
    /// or the upload is encrypted by its client; `OperationConflict` if the object changes again and again while it
    /// is copied.
    pub fn put_part_copy(&self, number: u32, from: &Bucket, key: &str, options: GetOptions) -> Result<Part> {
        let engine = self.store.engine();
        put_part::copy(engine, &self.reference, number, (from.reference(), key), &options, self.durability)
    }

    /// The parts that there are, in the order of their numbers.
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

    /// Makes the object of these parts, on top of what is under the key; other parts are dropped, and the upload is
    /// over. What counts is the number and the entity tag of each.
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

    /// Makes the object of all parts that there are (OSS: `x-oss-complete-all`).
    ///
    /// # Errors
    /// Those of [`complete`](Upload::complete).
    pub fn complete_all(&self) -> Result<PutOutcome> {
        complete::complete(self.store.engine(), &self.reference, None, self.durability)
    }

    /// Ends the upload without an object and drops its parts; their space comes back by and by.
    ///
    /// # Errors
    /// `NoSuchUpload` if the upload was completed or aborted; `NoSuchBucket` if the bucket was removed. Also [those
    /// of writing](crate::Store#errors-of-writing).
    pub fn abort(&self) -> Result<()> {
        begin::abort(self.store.engine(), &self.reference, self.durability)
    }
}

impl Bucket {
    /// Begins an upload in parts. There may be several to one key, each on its own.
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

    /// Goes on with an upload that was begun earlier, perhaps before the store was opened.
    ///
    /// # Errors
    /// `NoSuchUpload` if there is none of this name to this key. Also [those of a key](crate::Bucket#errors-of-a-key)
    /// and [those of reading](crate::Store#errors-of-reading).
    pub fn resume_upload(&self, key: &str, id: impl AsRef<str>) -> Result<Upload> {
        let reference = begin::resume(self.store().engine(), self.reference(), key, id.as_ref())?;
        let durability = self.engine().settings().durability;
        Ok(Upload { store: self.store().clone(), reference, durability })
    }

    /// The uploads in progress, by key and then in the order in which they were begun, all as of this moment.
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

    /// One page of the uploads in progress: at most `limit` entries, 1000 if nothing is said.
    ///
    /// # Errors
    /// Those of [`uploads`](Bucket::uploads), but a delimiter is fine.
    pub fn uploads_page(&self, options: ListOptions) -> Result<UploadsPage> {
        UploadWalk::begin(&Reading::newest(self.store().engine()), self.reference(), options)?.page()
    }
}

/// The uploads of a bucket that are in progress. After an error it ends.
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
