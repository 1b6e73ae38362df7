//! What an object carries besides its body: tags, access control, metadata, headers, class.

use super::bucket::Bucket;
use crate::error::Result;
use crate::model::{Acl, ContentHeaders, StorageClass};
use crate::ops::object::attributes::{self, Attribute, AttributeOptions};

impl Bucket {
    /// Gives an object these tags instead of those it has: at most 10, with different keys of 1 to 128 bytes and values
    /// of up to 256 bytes. The object's time stays as it is. A protected object may be tagged.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// # let store = ossicle::Store::in_memory()?;
    /// # let bucket = store.create_bucket("cats")?;
    /// bucket.put("tom", b"grey")?;
    /// bucket.set_tags("tom", [("team", "red"), ("state", "asleep")])?;
    /// for (key, value) in bucket.tags("tom")? {
    ///     println!("{key}={value}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `InvalidTag` for more than 10 tags, two of one key, or one beyond its limits. Also [those of an
    /// attribute](crate::Bucket#errors-of-an-attribute) and [those of writing](crate::Store#errors-of-writing).
    pub fn set_tags<K, V>(&self, key: &str, pairs: impl IntoIterator<Item = (K, V)>) -> Result<()>
    where
        K: Into<String>,
        V: Into<String>,
    {
        self.set_tags_with(key, pairs, AttributeOptions::new())
    }

    /// [`set_tags`](Bucket::set_tags), with options.
    ///
    /// # Errors
    /// Those of [`set_tags`](Bucket::set_tags).
    pub fn set_tags_with<K, V>(
        &self,
        key: &str,
        pairs: impl IntoIterator<Item = (K, V)>,
        options: AttributeOptions,
    ) -> Result<()>
    where
        K: Into<String>,
        V: Into<String>,
    {
        self.set_attribute(key, Attribute::tags(pairs)?, options)
    }

    /// The tags of an object, in the order of their keys; of a symlink its own.
    ///
    /// # Errors
    /// [Those of an attribute](crate::Bucket#errors-of-an-attribute) and [those of
    /// reading](crate::Store#errors-of-reading).
    pub fn tags(&self, key: &str) -> Result<Vec<(String, String)>> {
        self.tags_with(key, AttributeOptions::new())
    }

    /// [`tags`](Bucket::tags), of a version.
    ///
    /// # Errors
    /// [Those of an attribute](crate::Bucket#errors-of-an-attribute) and [those of
    /// reading](crate::Store#errors-of-reading).
    pub fn tags_with(&self, key: &str, options: AttributeOptions) -> Result<Vec<(String, String)>> {
        Ok(attributes::get(&self.reading(), self.reference(), key, &options)?.tags().to_vec())
    }

    /// Removes all tags of an object. Succeeds if it has none.
    ///
    /// # Errors
    /// [Those of an attribute](crate::Bucket#errors-of-an-attribute) and [those of
    /// writing](crate::Store#errors-of-writing).
    pub fn clear_tags(&self, key: &str) -> Result<()> {
        self.clear_tags_with(key, AttributeOptions::new())
    }

    /// [`clear_tags`](Bucket::clear_tags), with options.
    ///
    /// # Errors
    /// [Those of an attribute](crate::Bucket#errors-of-an-attribute) and [those of
    /// writing](crate::Store#errors-of-writing).
    pub fn clear_tags_with(&self, key: &str, options: AttributeOptions) -> Result<()> {
        self.set_attribute(key, Attribute::Tags(Vec::new()), options)
    }

    /// Gives an object an access control value of its own. This counts as writing it: its time is set (OSS). A
    /// protected object may be given one.
    ///
    /// # Errors
    /// [Those of an attribute](crate::Bucket#errors-of-an-attribute) and [those of
    /// writing](crate::Store#errors-of-writing).
    pub fn set_acl(&self, key: &str, acl: Acl) -> Result<()> {
        self.set_acl_with(key, acl, AttributeOptions::new())
    }

    /// [`set_acl`](Bucket::set_acl), with options.
    ///
    /// # Errors
    /// [Those of an attribute](crate::Bucket#errors-of-an-attribute) and [those of
    /// writing](crate::Store#errors-of-writing).
    pub fn set_acl_with(&self, key: &str, acl: Acl, options: AttributeOptions) -> Result<()> {
        self.set_attribute(key, Attribute::Acl(Some(acl)), options)
    }

    /// The access control value of an object's own; `None` if its bucket's counts (OSS: `default`).
    ///
    /// # Errors
    /// [Those of an attribute](crate::Bucket#errors-of-an-attribute) and [those of
    /// reading](crate::Store#errors-of-reading).
    pub fn acl(&self, key: &str) -> Result<Option<Acl>> {
        self.acl_with(key, AttributeOptions::new())
    }

    /// [`acl`](Bucket::acl), of a version.
    ///
    /// # Errors
    /// [Those of an attribute](crate::Bucket#errors-of-an-attribute) and [those of
    /// reading](crate::Store#errors-of-reading).
    pub fn acl_with(&self, key: &str, options: AttributeOptions) -> Result<Option<Acl>> {
        Ok(attributes::get(&self.reading(), self.reference(), key, &options)?.acl())
    }

    /// Removes the access control value of an object, so that its bucket's counts. Sets its time.
    ///
    /// # Errors
    /// [Those of an attribute](crate::Bucket#errors-of-an-attribute) and [those of
    /// writing](crate::Store#errors-of-writing).
    pub fn clear_acl(&self, key: &str) -> Result<()> {
        self.clear_acl_with(key, AttributeOptions::new())
    }

    /// [`clear_acl`](Bucket::clear_acl), with options.
    ///
    /// # Errors
    /// [Those of an attribute](crate::Bucket#errors-of-an-attribute) and [those of
    /// writing](crate::Store#errors-of-writing).
    pub fn clear_acl_with(&self, key: &str, options: AttributeOptions) -> Result<()> {
        self.set_attribute(key, Attribute::Acl(None), options)
    }

    /// Gives an object this user metadata instead of what it has: letters, digits and hyphens in the names, 8 KiB in
    /// all. The object's time is set, as if it were copied onto itself, but no version is made.
    ///
    /// # Errors
    /// `InvalidArgument` for a name or a value that cannot be, a name that is given twice, and more than 8 KiB;
    /// `InvalidEncryptionRequest` if that would change the fields of client-side encryption; `FileImmutable` if the
    /// object is protected. Also [those of an attribute](crate::Bucket#errors-of-an-attribute) and [those of
    /// writing](crate::Store#errors-of-writing).
    pub fn set_metadata<K, V>(&self, key: &str, pairs: impl IntoIterator<Item = (K, V)>) -> Result<()>
    where
        K: Into<String>,
        V: Into<String>,
    {
        self.set_metadata_with(key, pairs, AttributeOptions::new())
    }

    /// [`set_metadata`](Bucket::set_metadata), with options.
    ///
    /// # Errors
    /// Those of [`set_metadata`](Bucket::set_metadata).
    pub fn set_metadata_with<K, V>(
        &self,
        key: &str,
        pairs: impl IntoIterator<Item = (K, V)>,
        options: AttributeOptions,
    ) -> Result<()>
    where
        K: Into<String>,
        V: Into<String>,
    {
        self.set_attribute(key, Attribute::metadata(pairs)?, options)
    }

    /// Gives an object another media type: at most 1024 bytes. Sets its time and makes no version, as
    /// [`set_metadata`](Bucket::set_metadata) does.
    ///
    /// # Errors
    /// `InvalidArgument` for more than 1024 bytes or control characters; `FileImmutable` if the object is protected.
    /// Also [those of an attribute](crate::Bucket#errors-of-an-attribute) and [those of
    /// writing](crate::Store#errors-of-writing).
    pub fn set_content_type(&self, key: &str, text: &str) -> Result<()> {
        self.set_content_type_with(key, text, AttributeOptions::new())
    }

    /// [`set_content_type`](Bucket::set_content_type), with options.
    ///
    /// # Errors
    /// Those of [`set_content_type`](Bucket::set_content_type).
    pub fn set_content_type_with(&self, key: &str, text: &str, options: AttributeOptions) -> Result<()> {
        self.set_attribute(key, Attribute::ContentType(text.to_string()), options)
    }

    /// Gives an object these content headers instead of those it has. Sets its time and makes no version, as
    /// [`set_metadata`](Bucket::set_metadata) does.
    ///
    /// # Errors
    /// `InvalidArgument` for a header that is too long or has control characters; `FileImmutable` if the object is
    /// protected. Also [those of an attribute](crate::Bucket#errors-of-an-attribute) and [those of
    /// writing](crate::Store#errors-of-writing).
    pub fn set_headers(&self, key: &str, headers: ContentHeaders) -> Result<()> {
        self.set_headers_with(key, headers, AttributeOptions::new())
    }

    /// [`set_headers`](Bucket::set_headers), with options.
    ///
    /// # Errors
    /// Those of [`set_headers`](Bucket::set_headers).
    pub fn set_headers_with(
        &self,
        key: &str,
        headers: ContentHeaders,
        options: AttributeOptions,
    ) -> Result<()> {
        self.set_attribute(key, Attribute::Headers(headers), options)
    }

    /// Gives an object another storage class; what this call costs does not grow with its size. Sets its time and makes
    /// no version, as [`set_metadata`](Bucket::set_metadata) does, so that the minimum duration of the new class counts
    /// from now. Each class can become each other one, but a frozen object must be restored first, whatever the new class (OSS:
    /// this is a copy of the object onto itself). In an archive class the object is frozen, restored or not before.
    ///
    /// # Errors
    /// `InvalidObjectState` if the body is frozen; `InvalidArgument` for [`ColdArchive`](StorageClass::ColdArchive)
    /// and [`DeepColdArchive`](StorageClass::DeepColdArchive) of symlinks and of objects that grow (OSS);
    /// `FileImmutable` if the object is protected. Also [those of an attribute](crate::Bucket#errors-of-an-attribute)
    /// and [those of writing](crate::Store#errors-of-writing).
    pub fn set_storage_class(&self, key: &str, class: StorageClass) -> Result<()> {
        self.set_storage_class_with(key, class, AttributeOptions::new())
    }

    /// [`set_storage_class`](Bucket::set_storage_class), with options.
    ///
    /// # Errors
    /// Those of [`set_storage_class`](Bucket::set_storage_class).
    pub fn set_storage_class_with(
        &self,
        key: &str,
        class: StorageClass,
        options: AttributeOptions,
    ) -> Result<()> {
        self.set_attribute(key, Attribute::Class(class), options)
    }

    pub(super) fn set_attribute(
        &self,
        key: &str,
        attribute: Attribute,
        options: AttributeOptions,
    ) -> Result<()> {
        attributes::set(self.engine(), self.reference(), key, attribute, options)
    }
}
