//! An upload of an encrypted body in parts.

use super::content::{BLOCK, ContentKey, Mixed};
use super::description::unreadable;
use super::envelope::Envelope;
use crate::{Body, Part, PutOutcome, Result, Upload, UploadId};

/// The fewest bytes of a part that is not the last one (OSS).
const MIN_PART: u64 = 100 << 10;

/// The most parts (OSS).
const MAX_PARTS: u64 = 10_000;

/// An object that is uploaded in parts, each encrypted on its way: in any order, from many threads, over reopenings. All
/// parts but the last have the part size that the upload was begun with.
///
/// A part that is put again should have the same bytes: two that differ are encrypted with the same stream, and whoever
/// saw both could tell how they differ.
///
/// ```
/// # fn main() -> ossicle::Result<()> {
/// # let pem = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/client_encryption/rsa.pem"));
/// use ossicle::UploadOptions;
/// use ossicle::adapters::client_encryption::{EncryptedBucket, RsaMasterKey};
/// # let store = ossicle::Store::in_memory()?;
/// # let bucket = store.create_bucket("films")?;
/// let films = EncryptedBucket::new(&bucket, RsaMasterKey::from_pem(pem)?);
/// let body = vec![b'.'; 300_000];
/// let upload = films.upload("long.mp4", 300_000, 131_072, UploadOptions::new())?;
/// for number in 1..=upload.part_count() {
///     upload.put_part(number, &body[upload.part_range(number)])?;
/// }
/// upload.complete_all()?;
/// assert_eq!(films.get("long.mp4")?.bytes()?, body);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct EncryptedUpload {
    upload: Upload,
    content: ContentKey,
    data_size: u64,
    part_size: u64,
}

impl EncryptedUpload {
    pub(super) fn new(upload: Upload, envelope: &Envelope, content: ContentKey) -> Result<EncryptedUpload> {
        let sizes = envelope.data_size().zip(envelope.part_size());
        let (data_size, part_size) = sizes
            .ok_or_else(|| unreadable("the upload does not say how long its parts are; begin it anew"))?;
        EncryptedUpload::check_sizes(data_size, part_size)?;
        Ok(EncryptedUpload { upload, content, data_size, part_size })
    }

    pub(super) fn check_sizes(data_size: u64, part_size: u64) -> Result<()> {
        if part_size == 0 || !part_size.is_multiple_of(BLOCK) {
            return Err(unreadable(format!(
                "the part size of an encrypted upload is a multiple of {BLOCK}, and {part_size} is none"
            )));
        }
        if data_size == 0 || data_size.div_ceil(part_size) > MAX_PARTS {
            return Err(unreadable(format!(
                "an upload has 1 to {MAX_PARTS} parts, and {data_size} bytes in parts of {part_size} make another number"
            )));
        }
        if data_size > part_size && part_size < MIN_PART {
            return Err(unreadable(format!(
                "every part but the last has at least {MIN_PART} bytes, not {part_size}"
            )));
        }
        Ok(())
    }

    /// The upload's name: what [`resume_upload`](super::EncryptedBucket::resume_upload) finds it by.
    pub fn id(&self) -> &UploadId {
        self.upload.id()
    }

    /// The key that the object will have.
    pub fn key(&self) -> &str {
        self.upload.key()
    }

    /// How many bytes the body has in all.
    pub fn data_size(&self) -> u64 {
        self.data_size
    }

    /// How many bytes each part but the last has.
    pub fn part_size(&self) -> u64 {
        self.part_size
    }

    /// How many parts there are: they have the numbers from 1 to this.
    pub fn part_count(&self) -> u32 {
        self.data_size.div_ceil(self.part_size) as u32
    }

    /// Which bytes of the body belong to the part with this number; none for a number that there is not.
    pub fn part_range(&self, number: u32) -> std::ops::Range<usize> {
        let (from, to) = (self.place(number), self.place(number.saturating_add(1)));
        from as usize..to as usize
    }

    /// Where a part begins.
    fn place(&self, number: u32) -> u64 {
        u64::from(number.saturating_sub(1)).saturating_mul(self.part_size).min(self.data_size)
    }

    /// Encrypts and puts the part with this number.
    ///
    /// # Errors
    /// `InvalidEncryptionRequest` for a part that is not as long as it must be; those of [`Upload::put_part`].
    pub fn put_part<'a>(&self, number: u32, body: impl Into<Body<'a>>) -> Result<Part> {
        let mixed =
            Mixed { from: body.into().into_reader(), stream: self.content.stream(self.place(number)) };
        self.upload.put_part(number, Body::reader(mixed))
    }

    /// The parts that there are, in the order of their numbers.
    pub fn parts(&self) -> Result<Vec<Part>> {
        self.upload.parts()
    }

    /// Makes the object of these parts, which must be all of them.
    ///
    /// # Errors
    /// `InvalidEncryptionRequest` if a part is missing; those of [`Upload::complete`].
    pub fn complete(&self, parts: &[Part]) -> Result<PutOutcome> {
        self.upload.complete(parts)
    }

    /// Makes the object of all parts that there are.
    pub fn complete_all(&self) -> Result<PutOutcome> {
        self.upload.complete_all()
    }

    /// Ends the upload without an object.
    pub fn abort(&self) -> Result<()> {
        self.upload.abort()
    }
}
