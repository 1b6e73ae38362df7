//! A bucket whose bodies are encrypted and decrypted on the way.

use std::fmt;
use std::sync::Arc;

use md5::{Digest, Md5};

use super::content::{ContentKey, Mixed};
use super::description::unreadable;
use super::envelope::Envelope;
use super::master_key::MasterKey;
use super::object::EncryptedObject;
use super::upload::EncryptedUpload;
use super::writer::EncryptedWriter;
use crate::{
    Body, Bucket, Error, ErrorKind, GetOptions, Object, ObjectKind, ObjectMeta, PutOptions, PutOutcome,
    Result, UploadOptions,
};

/// A bucket whose bodies this program encrypts before the store sees them, and decrypts when it has got them. Keys, sizes,
/// metadata and tags are not encrypted. Everything but reading and writing bodies is done with the
/// [bucket itself](EncryptedBucket::bucket): an encrypted object is listed, copied, renamed and deleted like any other.
///
/// ```
/// # fn main() -> ossicle::Result<()> {
/// # let pem = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/client_encryption/rsa.pem"));
/// use ossicle::GetOptions;
/// use ossicle::adapters::client_encryption::{EncryptedBucket, RsaMasterKey};
/// # let store = ossicle::Store::in_memory()?;
/// # let bucket = store.create_bucket("letters")?;
/// let letters = EncryptedBucket::new(&bucket, RsaMasterKey::from_pem(pem)?);
/// letters.put("to-ann", b"dear ann")?;
/// assert_ne!(&bucket.get("to-ann")?.bytes()?[..], b"dear ann");
/// assert_eq!(letters.get("to-ann")?.bytes()?, b"dear ann");
/// assert_eq!(letters.get_with("to-ann", GetOptions::new().range(5..))?.bytes()?, b"ann");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct EncryptedBucket {
    bucket: Bucket,
    /// The first is the one for new objects.
    masters: Vec<Arc<dyn MasterKey>>,
    encrypted_only: bool,
    with_md5: bool,
}

impl EncryptedBucket {
    /// A bucket whose new objects are encrypted under this master key.
    pub fn new(bucket: &Bucket, master: impl MasterKey + 'static) -> EncryptedBucket {
        let masters: Vec<Arc<dyn MasterKey>> = vec![Arc::new(master)];
        EncryptedBucket { bucket: bucket.clone(), masters, encrypted_only: false, with_md5: false }
    }

    /// Reads objects that were encrypted under another master key too. Keys are told apart by their descriptions.
    pub fn also_reads(mut self, master: impl MasterKey + 'static) -> EncryptedBucket {
        self.masters.push(Arc::new(master));
        self
    }

    /// Refuses to read objects that were not encrypted, which are handed out as they are otherwise, as the SDKs do it.
    pub fn encrypted_only(mut self, only: bool) -> EncryptedBucket {
        self.encrypted_only = only;
        self
    }

    /// Writes the MD5 of bodies that lie in memory into their metadata, so that changes are noticed when they are read
    /// whole. Whoever sees the metadata can then tell which of the bodies that he has thought of this is.
    pub fn with_md5(mut self, with: bool) -> EncryptedBucket {
        self.with_md5 = with;
        self
    }

    /// The bucket itself.
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    fn seal(&self) -> Result<(Envelope, ContentKey)> {
        let master = self.masters.first().ok_or_else(|| unreadable("there is no master key; give one"))?;
        Envelope::seal(&**master)
    }

    /// Encrypts and writes an object.
    ///
    /// # Errors
    /// Those of [`Bucket::put`], and those of the master key.
    pub fn put<'a>(&self, key: &str, body: impl Into<Body<'a>>) -> Result<PutOutcome> {
        self.put_with(key, body, PutOptions::new())
    }

    /// [`put`](EncryptedBucket::put), with options. Conditions and digests are about the encrypted body. What the metadata
    /// of the options says of encryption, having come from another object perhaps, counts for nothing.
    pub fn put_with<'a>(
        &self,
        key: &str,
        body: impl Into<Body<'a>>,
        options: PutOptions,
    ) -> Result<PutOutcome> {
        let (mut envelope, content) = self.seal()?;
        let body = body.into();
        if let Some(bytes) = body.in_memory() {
            let md5 = self.with_md5.then(|| Md5::digest(bytes).into());
            envelope = envelope.with_body(bytes.len() as u64, md5);
        }
        let options = described(&envelope, options.without_metadata(Envelope::owns), PutOptions::metadata);
        let mixed = Mixed { from: body.into_reader(), stream: content.stream(0) };
        self.bucket.put_with(key, Body::reader(mixed), options)
    }

    /// Encrypts and writes an object piece by piece.
    pub fn writer(&self, key: &str, options: PutOptions) -> Result<EncryptedWriter> {
        let (envelope, content) = self.seal()?;
        let options = described(&envelope, options.without_metadata(Envelope::owns), PutOptions::metadata);
        Ok(EncryptedWriter::new(self.bucket.writer(key, options)?, content.stream(0)))
    }

    /// Gets an object, to be decrypted while it is read.
    ///
    /// # Errors
    /// Those of [`Bucket::get`]; `InvalidEncryptionRequest` if its metadata does not say how to decrypt it; `AccessDenied`
    /// for another master key. With RSA and PKCS#1 1.5, one wrong key in some tens of thousands passes for the right one,
    /// and its bytes are random.
    pub fn get(&self, key: &str) -> Result<EncryptedObject> {
        self.get_with(key, GetOptions::new())
    }

    /// [`get`](EncryptedBucket::get), with a range or conditions.
    pub fn get_with(&self, key: &str, options: GetOptions) -> Result<EncryptedObject> {
        self.decrypt(self.bucket.get_with(key, options)?)
    }

    /// Decrypts an object that was got elsewhere: from a snapshot, a transaction, or another bucket.
    ///
    /// # Errors
    /// Those of [`get`](EncryptedBucket::get) that are about encryption.
    pub fn decrypt(&self, object: Object) -> Result<EncryptedObject> {
        let Some(envelope) = self.envelope(object.meta())? else {
            return Ok(EncryptedObject::plain(object));
        };
        let content = envelope.open(&self.masters)?;
        Ok(EncryptedObject::sealed(object, envelope, &content))
    }

    /// What is known of an object, and of its encryption if it has one. The size is that of the plain body too. No key is
    /// asked for.
    pub fn head(&self, key: &str) -> Result<(ObjectMeta, Option<Envelope>)> {
        self.head_with(key, GetOptions::new())
    }

    /// [`head`](EncryptedBucket::head), with conditions.
    pub fn head_with(&self, key: &str, options: GetOptions) -> Result<(ObjectMeta, Option<Envelope>)> {
        let meta = self.bucket.head_with(key, options)?;
        let envelope = self.envelope(&meta)?;
        Ok((meta, envelope))
    }

    /// What the metadata of an object says, as far as it can be true.
    fn envelope(&self, meta: &ObjectMeta) -> Result<Option<Envelope>> {
        if meta.kind == ObjectKind::Symlink {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "OperationNotSupported",
                format!(
                    "{:?} is a symlink, and what its target is encrypted with stands with the target; get {:?} itself",
                    meta.key,
                    meta.target().unwrap_or_default()
                ),
            ));
        }
        let envelope = Envelope::of(&meta.metadata)?;
        let said = envelope.as_ref().and_then(Envelope::unencrypted_length);
        if let Some(said) = said.filter(|said| *said != meta.size) {
            return Err(Error::new(
                ErrorKind::Corrupt,
                "Corrupt",
                format!(
                    "{:?} has {} bytes, and its metadata says {said}: one of them was changed",
                    meta.key, meta.size
                ),
            ));
        }
        if envelope.is_none() && self.encrypted_only {
            return Err(unreadable(format!(
                "{:?} is not encrypted, and only encrypted objects are to be read; read it with the bucket itself",
                meta.key
            )));
        }
        Ok(envelope)
    }

    /// Begins an upload in parts of a body of this many bytes, in parts of this many; the last part is as long as what is
    /// left. Which place in the body a part has follows from its number.
    ///
    /// # Errors
    /// `InvalidEncryptionRequest` for a part size that is no multiple of 16, below 102,400 bytes (for more than one part)
    /// or that makes more than 10,000 parts, and for a body of 0 bytes; those of [`Bucket::upload`].
    pub fn upload(
        &self,
        key: &str,
        data_size: u64,
        part_size: u64,
        options: UploadOptions,
    ) -> Result<EncryptedUpload> {
        EncryptedUpload::check_sizes(data_size, part_size)?;
        let (envelope, content) = self.seal()?;
        let envelope = envelope.with_parts(data_size, part_size);
        let options = options.without_metadata(Envelope::owns);
        let upload = self.bucket.upload(key, described(&envelope, options, UploadOptions::metadata))?;
        EncryptedUpload::new(upload, &envelope, content)
    }

    /// Goes on with an upload that was begun earlier, for which the private half of the master key is needed.
    ///
    /// # Errors
    /// Those of [`Bucket::resume_upload`] and of [`get`](EncryptedBucket::get).
    pub fn resume_upload(&self, key: &str, id: impl AsRef<str>) -> Result<EncryptedUpload> {
        let upload = self.bucket.resume_upload(key, id)?;
        let envelope = Envelope::of(&upload.metadata()?)?;
        let envelope = envelope.ok_or_else(|| {
            unreadable(format!(
                "the upload {} was begun without encryption; resume it with the bucket itself",
                upload.id()
            ))
        })?;
        let content = envelope.open(&self.masters)?;
        EncryptedUpload::new(upload, &envelope, content)
    }
}

impl fmt::Debug for EncryptedBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptedBucket")
            .field("bucket", self.bucket.name())
            .field("masters", &self.masters)
            .finish_non_exhaustive()
    }
}

/// Options with the fields of an envelope added to their metadata.
fn described<O>(envelope: &Envelope, options: O, add: impl Fn(O, &'static str, String) -> O) -> O {
    envelope.fields().into_iter().fold(options, |options, (name, value)| add(options, name, value))
}
