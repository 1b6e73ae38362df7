//! Get and head: reads an object, a range of it, or what is known of it.

use std::ops::{Range, RangeBounds};
use std::time::SystemTime;

use super::context::{BucketRef, Reading};
use crate::catalog::{self, keys};
use crate::engine::{BodyReader, OwnedBody};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{ByteRange, ETag, ObjectKey, ObjectMeta};

/// What a get is asked to do.
///
/// ```
/// use ossicle::GetOptions;
/// let options = GetOptions::new().range(4..16).if_none_match("0123456789ABCDEF0123456789ABCDEF");
/// # let _ = options;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct GetOptions {
    range: Option<ByteRange>,
    if_match: Option<ETag>,
    if_none_match: Option<ETag>,
    if_modified_since: Option<SystemTime>,
    if_unmodified_since: Option<SystemTime>,
}

impl GetOptions {
    /// The whole body, without a condition.
    pub fn new() -> GetOptions {
        GetOptions::default()
    }

    /// Only these bytes: `4..16`, `4..`, `..16`. An end beyond the body is clipped; a range without any byte
    /// of the body is `InvalidRange`.
    pub fn range(mut self, range: impl RangeBounds<u64>) -> GetOptions {
        self.range = Some(ByteRange::of(range));
        self
    }

    /// Only the last so many bytes, or all if there are fewer.
    pub fn last(mut self, bytes: u64) -> GetOptions {
        self.range = Some(ByteRange::Last(bytes));
        self
    }

    /// Fails with `PreconditionFailed` unless the entity tag is this one.
    pub fn if_match(mut self, etag: impl Into<ETag>) -> GetOptions {
        self.if_match = Some(etag.into());
        self
    }

    /// Fails with `NotModified` if the entity tag is this one.
    pub fn if_none_match(mut self, etag: impl Into<ETag>) -> GetOptions {
        self.if_none_match = Some(etag.into());
        self
    }

    /// Fails with `NotModified` if the object was not written after this moment. Counts in whole seconds, as
    /// HTTP does.
    pub fn if_modified_since(mut self, moment: SystemTime) -> GetOptions {
        self.if_modified_since = Some(moment);
        self
    }

    /// Fails with `PreconditionFailed` if the object was written after this moment. Counts in whole seconds.
    pub fn if_unmodified_since(mut self, moment: SystemTime) -> GetOptions {
        self.if_unmodified_since = Some(moment);
        self
    }

    fn has_conditions(&self) -> bool {
        self.if_match.is_some()
            || self.if_none_match.is_some()
            || self.if_modified_since.is_some()
            || self.if_unmodified_since.is_some()
    }

    /// Whether the object may be handed out. Failed preconditions come before "not modified", as in HTTP.
    fn check(&self, meta: &ObjectMeta) -> Result<()> {
        let same = |wanted: &ETag| *wanted == meta.etag || wanted.as_str() == "*";
        let seconds = |moment: SystemTime| {
            moment.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
        };
        let later_than = |moment: SystemTime| seconds(meta.modified) > seconds(moment);
        if self.if_match.as_ref().is_some_and(|wanted| !same(wanted))
            || self.if_unmodified_since.is_some_and(later_than)
        {
            return Err(Error::new(
                ErrorKind::Precondition,
                "PreconditionFailed",
                format!("the object {:?} is not as the condition of the read wants it", meta.key),
            ));
        }
        if self.if_none_match.as_ref().is_some_and(same)
            || self.if_modified_since.is_some_and(|moment| !later_than(moment))
        {
            return Err(Error::new(
                ErrorKind::NotModified,
                "NotModified",
                format!("the object {:?} has not changed", meta.key),
            ));
        }
        Ok(())
    }
}

/// An object that was found: what is known of it, and the range of its body that was asked for.
#[derive(Debug)]
pub struct Got {
    /// What is known of it.
    pub meta: ObjectMeta,
    /// The body.
    pub body: BodyReader,
    /// The bytes that were asked for.
    pub range: Range<u64>,
}

/// Gets an object.
pub fn get(reading: &Reading, bucket: &BucketRef, key: &str, options: &GetOptions) -> Result<Got> {
    ObjectKey::new(key)?;
    let found = reading.with(|view| {
        let found = catalog::find_object(view, bucket.id, key, |head, stored| {
            let body = BodyReader::new(view, OwnedBody::of(&stored.body));
            Ok((catalog::meta_of(key.to_string(), head)?, body))
        })?;
        if found.is_none() {
            bucket.check(view)?;
        }
        found.ok_or_else(|| catalog::no_such_key(key))
    })?;
    select(found, options)
}

/// Applies conditions and the range to an object that was found.
pub fn select((meta, body): (ObjectMeta, BodyReader), options: &GetOptions) -> Result<Got> {
    if options.has_conditions() {
        options.check(&meta)?;
    }
    if body.len() != meta.size {
        return Err(Error::corrupt(
            format!("the row of object {:?}", meta.key),
            0,
            "its body has another length",
        ));
    }
    let range = match options.range {
        Some(range) => range.resolve(meta.size)?,
        None => 0..meta.size,
    };
    Ok(Got { meta, body, range })
}

/// What is known of an object; `None` if there is none.
pub fn head(reading: &Reading, bucket: &BucketRef, key: &str) -> Result<Option<ObjectMeta>> {
    ObjectKey::new(key)?;
    reading.with(|view| {
        let found =
            catalog::find_object(view, bucket.id, key, |head, _| catalog::meta_of(key.to_string(), head))?;
        if found.is_none() {
            bucket.check(view)?;
        }
        Ok(found)
    })
}

/// Whether there is an object. Nothing of it is read.
pub fn exists(reading: &Reading, bucket: &BucketRef, key: &str) -> Result<bool> {
    ObjectKey::new(key)?;
    reading.with(|view| {
        let found = view.index.get(&keys::object(bucket.id, key))?.is_some_and(|item| !item.tombstone);
        if !found {
            bucket.check(view)?;
        }
        Ok(found)
    })
}

/// What is known of an object, if the conditions hold.
pub fn head_with(
    reading: &Reading,
    bucket: &BucketRef,
    key: &str,
    options: &GetOptions,
) -> Result<ObjectMeta> {
    let meta = head(reading, bucket, key)?.ok_or_else(|| catalog::no_such_key(key))?;
    options.check(&meta)?;
    Ok(meta)
}
