//! Options of an upload.

use crate::crypto::CustomerKey;
use crate::model::{Acl, ContentHeaders, Digests, Durability, Encryption, StorageClass};
use crate::ops::object::new_version::Attributes;

/// What an upload is asked to do. Plain data; set what you need.
///
/// ```
/// use ossicle::{StorageClass, UploadOptions};
/// let options = UploadOptions::new().content_type("video/mp4").storage_class(StorageClass::InfrequentAccess);
/// # let _ = options;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct UploadOptions {
    pub(super) attributes: Attributes,
    pub(super) if_absent: bool,
    pub(super) digests: Option<Digests>,
    pub(super) durability: Option<Durability>,
}

impl UploadOptions {
    /// No content type, no metadata, no condition; durability and digests as the [`Settings`](crate::Settings) have them.
    pub fn new() -> UploadOptions {
        UploadOptions::default()
    }

    /// Sets the media type of the object: at most 1024 bytes.
    pub fn content_type(mut self, text: impl Into<String>) -> UploadOptions {
        self.attributes.content_type = Some(text.into());
        self
    }

    /// Adds a pair of user metadata: letters, digits and hyphens in the name; 8 KiB in all (OSS).
    pub fn metadata(mut self, name: impl Into<String>, value: impl Into<String>) -> UploadOptions {
        self.attributes.metadata.insert(name.into(), value.into());
        self
    }

    /// Takes the pairs of user metadata out again whose names are unwanted.
    pub fn without_metadata(mut self, unwanted: impl Fn(&str) -> bool) -> UploadOptions {
        self.attributes.metadata.retain(|name, _| !unwanted(name));
        self
    }

    /// Sets the content headers, such as `Cache-Control`.
    pub fn headers(mut self, headers: ContentHeaders) -> UploadOptions {
        self.attributes.headers = headers;
        self
    }

    /// Adds a tag: at most 10, the key 1 to 128 bytes, the value up to 256 bytes (OSS).
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> UploadOptions {
        self.attributes.tags.push((key.into(), value.into()));
        self
    }

    /// Sets an access control value of the object's own; without one, the bucket's counts.
    pub fn acl(mut self, acl: Acl) -> UploadOptions {
        self.attributes.acl = Some(acl);
        self
    }

    /// Sets the storage class; without one, that of the bucket at the moment the upload is begun.
    pub fn storage_class(mut self, class: StorageClass) -> UploadOptions {
        self.attributes.class = Some(class);
        self
    }

    /// Sets how the object is encrypted; without it, the bucket's [`Encryption`] at the moment the upload is begun counts.
    pub fn encryption(mut self, encryption: Encryption) -> UploadOptions {
        self.attributes.asked.encryption = Some(encryption);
        self
    }

    /// Encrypts every part with a key that is not stored, see [`PutOptions::customer_key`](crate::PutOptions::customer_key).
    /// The handle that is returned keeps it; to a resumed upload it is brought along again with
    /// [`Upload::customer_key`](crate::Upload::customer_key).
    pub fn customer_key(mut self, key: &CustomerKey) -> UploadOptions {
        self.attributes.asked.customer = Some(key.clone());
        self
    }

    /// Sets whether the object is pinned: a [`Budget`](crate::Budget) never evicts it.
    pub fn pinned(mut self, pinned: bool) -> UploadOptions {
        self.attributes.keeping.pinned = pinned;
        self
    }

    /// Sets the object's priority among what a [`Budget`](crate::Budget) may evict; the lowest goes first, and 128 is what
    /// objects have that are given none.
    pub fn priority(mut self, priority: u8) -> UploadOptions {
        self.attributes.keeping.priority = priority;
        self
    }

    /// Says whether the object is anywhere else as well. With `false` a [`Budget`](crate::Budget) does not evict it until
    /// [`Bucket::set_replicated`](crate::Bucket::set_replicated) says otherwise.
    pub fn replicated(mut self, replicated: bool) -> UploadOptions {
        self.attributes.keeping.replicated = replicated;
        self
    }

    /// Begins and completes the upload only if there is no object under the key; otherwise `FileAlreadyExists`.
    pub fn if_absent(mut self) -> UploadOptions {
        self.if_absent = true;
        self
    }

    /// Sets which digests of the parts are kept; without it, [`Settings::digests`](crate::Settings::digests) counts. With [`Digests::Oss`] their entity tags are their MD5, and the
    /// object has the CRC-64 of its whole body.
    pub fn digests(mut self, digests: Digests) -> UploadOptions {
        self.digests = Some(digests);
        self
    }

    /// Sets when beginning the upload, and every call on the handle that is returned, is done; without it, and for a resumed
    /// upload, [`Settings::durability`](crate::Settings::durability) counts.
    pub fn durability(mut self, durability: Durability) -> UploadOptions {
        self.durability = Some(durability);
        self
    }

    /// When the calls of the upload are done.
    pub(crate) fn done(&self) -> Option<Durability> {
        self.durability
    }
}
