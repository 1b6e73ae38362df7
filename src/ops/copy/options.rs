//! Options of a copy.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::crypto::CustomerKey;
use crate::model::{Acl, ContentHeaders, Durability, ETag, Encryption, StorageClass, VersionId};
use crate::ops::object::envelope::Asked;
use crate::ops::object::get_options::GetOptions;
use crate::write::conditions::Conditions;

/// What a copy or a rename is asked to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct CopyOptions {
    pub(super) source: GetOptions,
    pub(super) conditions: Conditions,
    pub(super) durability: Option<Durability>,
    /// Of each: what the copy gets in place of what the source has, if it is to be something else.
    pub(super) content_type: Option<Option<String>>,
    pub(super) metadata: Option<BTreeMap<String, String>>,
    pub(super) headers: Option<ContentHeaders>,
    pub(super) tags: Option<Vec<(String, String)>>,
    pub(super) acl: Option<Acl>,
    pub(super) class: Option<StorageClass>,
    pub(super) asked: Asked,
}

impl CopyOptions {
    /// Content type and metadata of the source, no condition, durable when it returns.
    pub fn new() -> CopyOptions {
        CopyOptions::default()
    }

    /// Copies only if the source's entity tag is this one; otherwise `PreconditionFailed`.
    pub fn source_if_match(mut self, etag: impl Into<ETag>) -> CopyOptions {
        self.source = self.source.if_match(etag);
        self
    }

    /// Copies only if the source's entity tag is not this one; otherwise `NotModified`.
    pub fn source_if_none_match(mut self, etag: impl Into<ETag>) -> CopyOptions {
        self.source = self.source.if_none_match(etag);
        self
    }

    /// Copies only if the source was written after this moment; otherwise `NotModified`. Counts only without
    /// [`source_if_none_match`](CopyOptions::source_if_none_match).
    pub fn source_if_modified_since(mut self, moment: SystemTime) -> CopyOptions {
        self.source = self.source.if_modified_since(moment);
        self
    }

    /// Copies only if the source was not written after this moment; otherwise `PreconditionFailed`. Counts only without
    /// [`source_if_match`](CopyOptions::source_if_match).
    pub fn source_if_unmodified_since(mut self, moment: SystemTime) -> CopyOptions {
        self.source = self.source.if_unmodified_since(moment);
        self
    }

    /// Copies this version of the source instead of the current one.
    pub fn source_version(mut self, version: impl Into<VersionId>) -> CopyOptions {
        self.source = self.source.version(version);
        self
    }

    /// Writes only if there is no object under the new key; otherwise `FileAlreadyExists`.
    pub fn if_absent(mut self) -> CopyOptions {
        self.conditions.if_absent = true;
        self
    }

    /// Writes only if the object under the new key has this entity tag; otherwise `PreconditionFailed`.
    pub fn if_match(mut self, etag: impl Into<ETag>) -> CopyOptions {
        self.conditions.if_match = Some(etag.into());
        self
    }

    /// Writes only if the object under the new key does not have this entity tag; otherwise `PreconditionFailed`. With
    /// `"*"` there must be no object.
    pub fn if_none_match(mut self, etag: impl Into<ETag>) -> CopyOptions {
        self.conditions.if_none_match = Some(etag.into());
        self
    }

    /// Gives the copy another media type. Of no effect on a rename.
    pub fn content_type(mut self, text: impl Into<String>) -> CopyOptions {
        self.content_type = Some(Some(text.into()));
        self
    }

    /// Gives the copy no media type. Of no effect on a rename.
    pub fn no_content_type(mut self) -> CopyOptions {
        self.content_type = Some(None);
        self
    }

    /// Replaces the metadata of the copy: the first pair drops the source's. Of no effect on a rename.
    pub fn metadata(mut self, name: impl Into<String>, value: impl Into<String>) -> CopyOptions {
        self.metadata.get_or_insert_default().insert(name.into(), value.into());
        self
    }

    /// Gives the copy no metadata, but the pairs that are added behind this (OSS: the directive `REPLACE` without any).
    /// Of no effect on a rename.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// # let store = ossicle::Store::in_memory()?;
    /// # let bucket = store.create_bucket("cats")?;
    /// use ossicle::{CopyOptions, PutOptions};
    /// bucket.put_with("tom", b"meow", PutOptions::new().metadata("draft", "yes").tag("team", "red"))?;
    /// bucket.copy_from(&bucket, "tom", "kit", CopyOptions::new().no_metadata().no_tags())?;
    /// let copy = bucket.head("kit")?;
    /// assert!(copy.metadata.is_empty() && bucket.tags("kit")?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn no_metadata(mut self) -> CopyOptions {
        self.metadata = Some(BTreeMap::new());
        self
    }

    /// Sets when it is done; without it, [`Settings::durability`](crate::Settings::durability) counts.
    pub fn durability(mut self, durability: Durability) -> CopyOptions {
        self.durability = Some(durability);
        self
    }

    /// Gives the copy other content headers. Of no effect on a rename.
    pub fn headers(mut self, headers: ContentHeaders) -> CopyOptions {
        self.headers = Some(headers);
        self
    }

    /// Gives the copy no content headers. Of no effect on a rename.
    pub fn no_headers(self) -> CopyOptions {
        self.headers(ContentHeaders::default())
    }

    /// Gives the copy these tags instead of those of the source; may be called several times. Of no effect on a
    /// rename.
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> CopyOptions {
        self.tags.get_or_insert_default().push((key.into(), value.into()));
        self
    }

    /// Gives the copy no tags, but those that are added behind this. Of no effect on a rename.
    pub fn no_tags(mut self) -> CopyOptions {
        self.tags = Some(Vec::new());
        self
    }

    /// Gives the copy an access control value; without one, its bucket's counts (OSS: never that of the source).
    pub fn acl(mut self, acl: Acl) -> CopyOptions {
        self.acl = Some(acl);
        self
    }

    /// Sets the copy's storage class; without one, its bucket's counts.
    pub fn storage_class(mut self, class: StorageClass) -> CopyOptions {
        self.class = Some(class);
        self
    }

    /// Sets how the copy is encrypted; without it, its bucket's [`Encryption`] counts, and if that has none, the copy is
    /// encrypted as its source is (OSS: not at all). A copy that is encrypted with another key than its source reads and
    /// writes the body. Of no effect on a rename.
    pub fn encryption(mut self, encryption: Encryption) -> CopyOptions {
        self.asked.encryption = Some(encryption);
        self
    }

    /// Encrypts the copy with a key that is not stored, see
    /// [`PutOptions::customer_key`](crate::PutOptions::customer_key). Of no effect on a rename.
    pub fn customer_key(mut self, key: &CustomerKey) -> CopyOptions {
        self.asked.customer = Some(key.clone());
        self
    }

    /// Brings the key along that the source was written with. It is needed where the copy is encrypted otherwise.
    pub fn source_customer_key(mut self, key: &CustomerKey) -> CopyOptions {
        self.source = self.source.customer_key(key);
        self
    }
}
