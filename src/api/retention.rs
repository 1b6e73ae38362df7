//! Protection of single objects: retention until a time, and legal hold.

use super::bucket::Bucket;
use crate::error::Result;
use crate::model::Retention;
use crate::ops::object::attributes::{self, Attribute, AttributeOptions};

impl Bucket {
    /// Protects an object until a time: until then its version is neither overwritten nor deleted, by any path. A part
    /// of a millisecond counts as a whole one.
    ///
    /// In a bucket that keeps versions, a put or a delete goes on top of a protected version and leaves it as it is.
    /// Where the object would be lost it is refused with `FileImmutable`.
    ///
    /// A retention that is in force can be made longer, and be turned from governance into compliance. Anything else
    /// needs [`bypass_governance`](AttributeOptions::bypass_governance), and of one in compliance mode it is refused.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// # let store = ossicle::Store::in_memory()?;
    /// # let bucket = store.create_bucket("ledgers")?;
    /// use ossicle::{ErrorKind, Retention, RetentionMode};
    /// use std::time::{Duration, SystemTime};
    /// let until = SystemTime::now() + Duration::from_secs(3600);
    /// bucket.put("2026", b"all that was spent")?;
    /// bucket.set_retention("2026", Retention { mode: RetentionMode::Compliance, until })?;
    /// assert_eq!(bucket.delete("2026").unwrap_err().kind(), ErrorKind::Immutable);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `InvalidArgument` for a time that has passed; `FileImmutable` if a retention that is in force would be
    /// weakened. Also [those of an attribute](crate::Bucket#errors-of-an-attribute) and [those of
    /// writing](crate::Store#errors-of-writing).
    pub fn set_retention(&self, key: &str, retention: Retention) -> Result<()> {
        self.set_retention_with(key, retention, AttributeOptions::new())
    }

    /// [`set_retention`](Bucket::set_retention), with options.
    ///
    /// # Errors
    /// Those of [`set_retention`](Bucket::set_retention).
    pub fn set_retention_with(
        &self,
        key: &str,
        retention: Retention,
        options: AttributeOptions,
    ) -> Result<()> {
        self.set_attribute(key, Attribute::Retention(Some(retention)), options)
    }

    /// The retention of an object, in force or over; `None` if none was set.
    ///
    /// # Errors
    /// [Those of an attribute](crate::Bucket#errors-of-an-attribute) and [those of
    /// reading](crate::Store#errors-of-reading).
    pub fn retention(&self, key: &str) -> Result<Option<Retention>> {
        self.retention_with(key, AttributeOptions::new())
    }

    /// [`retention`](Bucket::retention), of a version.
    ///
    /// # Errors
    /// [Those of an attribute](crate::Bucket#errors-of-an-attribute) and [those of
    /// reading](crate::Store#errors-of-reading).
    pub fn retention_with(&self, key: &str, options: AttributeOptions) -> Result<Option<Retention>> {
        Ok(attributes::get(&self.reading(), self.reference(), key, &options)?.retention())
    }

    /// Removes the retention of an object: one that is over, or one in governance mode with
    /// [`bypass_governance`](AttributeOptions::bypass_governance). Succeeds if there is none.
    ///
    /// # Errors
    /// `FileImmutable` if it is in force. Also [those of an attribute](crate::Bucket#errors-of-an-attribute) and
    /// [those of writing](crate::Store#errors-of-writing).
    pub fn clear_retention(&self, key: &str) -> Result<()> {
        self.clear_retention_with(key, AttributeOptions::new())
    }

    /// [`clear_retention`](Bucket::clear_retention), with options.
    ///
    /// # Errors
    /// Those of [`clear_retention`](Bucket::clear_retention).
    pub fn clear_retention_with(&self, key: &str, options: AttributeOptions) -> Result<()> {
        self.set_attribute(key, Attribute::Retention(None), options)
    }

    /// Sets or lifts a legal hold: while it is set, the object is neither overwritten nor deleted, whatever its retention.
    ///
    /// # Errors
    /// [Those of an attribute](crate::Bucket#errors-of-an-attribute) and [those of
    /// writing](crate::Store#errors-of-writing).
    pub fn set_legal_hold(&self, key: &str, hold: bool) -> Result<()> {
        self.set_legal_hold_with(key, hold, AttributeOptions::new())
    }

    /// [`set_legal_hold`](Bucket::set_legal_hold), with options.
    ///
    /// # Errors
    /// [Those of an attribute](crate::Bucket#errors-of-an-attribute) and [those of
    /// writing](crate::Store#errors-of-writing).
    pub fn set_legal_hold_with(&self, key: &str, hold: bool, options: AttributeOptions) -> Result<()> {
        self.set_attribute(key, Attribute::LegalHold(hold), options)
    }

    /// Whether an object is protected by a legal hold.
    ///
    /// # Errors
    /// [Those of an attribute](crate::Bucket#errors-of-an-attribute) and [those of
    /// reading](crate::Store#errors-of-reading).
    pub fn legal_hold(&self, key: &str) -> Result<bool> {
        self.legal_hold_with(key, AttributeOptions::new())
    }

    /// [`legal_hold`](Bucket::legal_hold), of a version.
    ///
    /// # Errors
    /// [Those of an attribute](crate::Bucket#errors-of-an-attribute) and [those of
    /// reading](crate::Store#errors-of-reading).
    pub fn legal_hold_with(&self, key: &str, options: AttributeOptions) -> Result<bool> {
        Ok(attributes::get(&self.reading(), self.reference(), key, &options)?.legal_hold())
    }
}
