//! Options of a get or head, and its conditions.

use std::ops::RangeBounds;
use std::time::SystemTime;

use crate::crypto::CustomerKey;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{ByteRange, ETag, ObjectMeta, VersionId};

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
    pub(crate) version: Option<VersionId>,
    pub(super) range: Option<ByteRange>,
    if_match: Option<ETag>,
    if_none_match: Option<ETag>,
    if_modified_since: Option<SystemTime>,
    if_unmodified_since: Option<SystemTime>,
    pub(super) customer: Option<CustomerKey>,
}

impl GetOptions {
    /// The whole body, without a condition.
    pub fn new() -> GetOptions {
        GetOptions::default()
    }

    /// This version instead of the current one.
    pub fn version(mut self, version: impl Into<VersionId>) -> GetOptions {
        self.version = Some(version.into());
        self
    }

    /// Only these bytes: `4..16`, `4..`, `..16`. An end beyond the body is clipped; a range without any byte
    /// of the body is `InvalidRange`, but `0..` of an empty body is that body.
    pub fn range(mut self, range: impl RangeBounds<u64>) -> GetOptions {
        self.range = Some(ByteRange::of(range));
        self
    }

    /// Only the last so many bytes, or all if there are fewer: nothing, of an empty body. The last 0 bytes are
    /// `InvalidRange`.
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

    /// Fails with `NotModified` if the object was not written after this moment. Counts in whole seconds, as HTTP
    /// does, and only without [`if_none_match`](GetOptions::if_none_match): an entity tag tells more than a time.
    pub fn if_modified_since(mut self, moment: SystemTime) -> GetOptions {
        self.if_modified_since = Some(moment);
        self
    }

    /// Fails with `PreconditionFailed` if the object was written after this moment. Counts in whole seconds, and only
    /// without [`if_match`](GetOptions::if_match).
    pub fn if_unmodified_since(mut self, moment: SystemTime) -> GetOptions {
        self.if_unmodified_since = Some(moment);
        self
    }

    /// Brings the key along that the object was written with. Of no effect where no body is read.
    pub fn customer_key(mut self, key: &CustomerKey) -> GetOptions {
        self.customer = Some(key.clone());
        self
    }

    /// The key that was brought along.
    pub(crate) fn customer(&self) -> Option<&CustomerKey> {
        self.customer.as_ref()
    }

    fn has_conditions(&self) -> bool {
        self.if_match.is_some()
            || self.if_none_match.is_some()
            || self.if_modified_since.is_some()
            || self.if_unmodified_since.is_some()
    }

    /// Whether the object may be handed out. Failed preconditions come before "not modified", and of a pair the entity
    /// tag decides alone, as in HTTP (RFC 9110, 13.2.2) and S3.
    pub(crate) fn check(&self, meta: &ObjectMeta) -> Result<()> {
        if !self.has_conditions() {
            return Ok(());
        }
        let same = |wanted: &ETag| *wanted == meta.etag || wanted.as_str() == "*";
        let seconds = |moment: SystemTime| {
            moment.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
        };
        let later_than = |moment: SystemTime| seconds(meta.modified) > seconds(moment);
        let failed = match &self.if_match {
            Some(wanted) => !same(wanted),
            None => self.if_unmodified_since.is_some_and(later_than),
        };
        if failed {
            return Err(Error::new(
                ErrorKind::Precondition,
                "PreconditionFailed",
                format!("the object {:?} is not as the condition of the read wants it", meta.key),
            ));
        }
        let unchanged = match &self.if_none_match {
            Some(known) => same(known),
            None => self.if_modified_since.is_some_and(|moment| !later_than(moment)),
        };
        if unchanged {
            return Err(Error::new(
                ErrorKind::NotModified,
                "NotModified",
                format!("the object {:?} has not changed", meta.key),
            ));
        }
        Ok(())
    }
}
