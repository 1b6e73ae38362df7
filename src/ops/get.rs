//! Get and head: reads an object, a range of it, or what is known of it.

use std::ops::{Range, RangeBounds};
use std::time::SystemTime;

use super::class;
use super::context::{BucketRef, Reading};
use super::envelope::{Sealed, not_applicable};
use super::lifecycle;
use super::opening::GotBody;
use crate::catalog::{self, BucketState, Found, HeadRow, Lens, Moment, Rows, keys};
use crate::crypto::CustomerKey;
use crate::engine::{BodyReader, Engine, OwnedBody};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{ByteRange, ETag, ObjectKind, ObjectMeta, StorageClass, VersionId};

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
    range: Option<ByteRange>,
    if_match: Option<ETag>,
    if_none_match: Option<ETag>,
    if_modified_since: Option<SystemTime>,
    if_unmodified_since: Option<SystemTime>,
    customer: Option<CustomerKey>,
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

/// An object that was found: what is known of it, and the range of its body that was asked for.
#[derive(Debug)]
pub struct Got {
    /// What is known of it.
    pub meta: ObjectMeta,
    /// The body.
    pub body: GotBody,
    /// The bytes that were asked for.
    pub range: Range<u64>,
}

/// An object that was looked up.
#[derive(Debug)]
pub struct Seen {
    /// What is known of it.
    pub meta: ObjectMeta,
    /// Its body, if that was asked for.
    pub body: Option<BodyReader>,
    /// The envelope that the body lies in, if the body was asked for.
    pub sealed: Option<Box<Sealed>>,
    /// The class that the body is frozen in, if it must be restored before it is read.
    pub frozen: Option<StorageClass>,
}

impl Seen {
    /// What a row among `rows` says at `now`.
    pub fn of(
        key: &str,
        head: HeadRow,
        versioned: bool,
        (body, rows): (Option<BodyReader>, &impl Rows),
        now: impl Fn() -> u64,
    ) -> Result<Seen> {
        let sealed = if body.is_some() { Sealed::find(&head.row, rows)?.map(Box::new) } else { None };
        let is_frozen = catalog::is_frozen(&head.row, &now);
        let meta = catalog::meta_of(key.to_string(), head, versioned, &now)?;
        let frozen = is_frozen.then_some(meta.class);
        Ok(Seen { meta, body, sealed, frozen })
    }

    /// Adds when a lifecycle rule will delete the current version, in a bucket with such rules.
    fn with_expiry(mut self, state: &BucketState) -> Seen {
        if let Some(rules) = &state.lifecycle
            && let Some(expiry) = rules.expiry_of(&self.meta)
        {
            self.meta.rare.get_or_insert_default().expiry = Some(expiry);
        }
        self
    }
}

/// Finds a version of an object. `None` if there is none; a delete marker counts as none unless it is named. Asking for
/// the body counts as an access.
fn find(
    (reading, moment): (&Reading, &Moment<'_>),
    bucket: &BucketRef,
    key: &str,
    version: Option<&VersionId>,
    body: bool,
) -> Result<Option<Seen>> {
    let state = bucket.state(moment)?;
    let found = find_in((reading, moment), &state, key, version, body)?;
    if state.monitored && body && found.as_ref().is_some_and(|seen| seen.frozen.is_none()) {
        lifecycle::note(reading, bucket, key);
    }
    Ok(found)
}

/// The same, in a bucket whose state is known, and without leaving word of it.
fn find_in(
    (reading, moment): (&Reading, &Moment<'_>),
    state: &BucketState,
    key: &str,
    version: Option<&VersionId>,
    body: bool,
) -> Result<Option<Seen>> {
    let now = || reading.engine.millis();
    let versioned = state.versioning().is_some();
    // The keys of buckets have no past: what was written then may have another by now.
    let newest = Moment::now(moment.view);
    if let (None, None, Some(space)) = (version, moment.at, state.route.own_space()) {
        // Most gets: one seek, and the row is read where it lies.
        let found = catalog::find_plain(moment.view, space, key, |head, stored| {
            if head.row.is_marker() {
                return Ok(None);
            }
            let body = body.then(|| BodyReader::new(moment.view, OwnedBody::of(&stored.body))).transpose()?;
            Seen::of(key, head, versioned, (body, &newest), now).map(|seen| Some(seen.with_expiry(state)))
        })?;
        return Ok(found.flatten());
    }
    let found = find_anywhere(state.lens(moment), key, version)?;
    let Some((head, found)) = found else {
        return Ok(None);
    };
    let body = body.then(|| BodyReader::new(moment.view, found.body.to_owned_body())).transpose()?;
    let seen = Seen::of(key, head, versioned, (body, &newest), now)?;
    Ok(Some(if version.is_none() { seen.with_expiry(state) } else { seen }))
}

/// The same for any rows and version.
pub fn find_anywhere<R: Rows>(
    lens: Lens<'_, R>,
    key: &str,
    version: Option<&VersionId>,
) -> Result<Option<(HeadRow, Found)>> {
    match version {
        None => Ok(catalog::find_head(lens, key)?.filter(|(head, _)| !head.row.is_marker())),
        Some(version) => match catalog::find_version(lens, key, version)? {
            Some((head, _, _)) if head.row.is_marker() => Err(catalog::is_marker(key, version)),
            Some((head, found, _)) => Ok(Some((head, found))),
            None => Err(catalog::no_such_version(key, version)),
        },
    }
}

/// Follows a symlink, exactly one level (OSS): body, size and digests are those of the target, the later of the two
/// times counts, everything else is the link's.
pub fn follow(seen: Seen, find: impl FnOnce(&str) -> Result<Option<Seen>>) -> Result<Seen> {
    if seen.meta.kind != ObjectKind::Symlink {
        return Ok(seen);
    }
    let mut meta = seen.meta;
    let target = meta.target().unwrap_or_default().to_string();
    let Some(Seen { meta: found, body, sealed, frozen }) = find(&target)? else {
        return Err(Error::new(
            ErrorKind::NotFound,
            "SymlinkTargetNotExist",
            format!("the symlink {:?} leads to {target:?}, which does not exist", meta.key),
        ));
    };
    if found.kind == ObjectKind::Symlink {
        return Err(Error::invalid(
            "InvalidTargetType",
            format!("the symlink {:?} leads to {target:?}, which is a symlink itself", meta.key),
        ));
    }
    let encryption = found.encryption().cloned();
    if encryption.is_some() || meta.rare.is_some() {
        meta.rare.get_or_insert_default().encryption = encryption;
    }
    meta.size = found.size;
    meta.etag = found.etag;
    meta.digests = found.digests;
    meta.modified = meta.modified.max(found.modified);
    Ok(Seen { meta, body, sealed, frozen })
}

/// Gets an object.
pub fn get(reading: &Reading, bucket: &BucketRef, key: &str, options: &GetOptions) -> Result<Got> {
    let seen = reading.with(|moment| {
        bucket.admit(moment, key)?;
        let seen = find((reading, moment), bucket, key, options.version.as_ref(), true)?;
        let seen = seen.ok_or_else(|| catalog::no_such_key(key))?;
        follow(seen, |target| find((reading, moment), bucket, target, None, true))
    })?;
    select(&reading.engine, seen, options)
}

/// Applies conditions and the range to an object that was found, and refuses a body that is frozen: that comes behind
/// the conditions, for "not modified" needs no body, and before the range.
pub fn select(engine: &Engine, seen: Seen, options: &GetOptions) -> Result<Got> {
    let Seen { meta, body, sealed, frozen } = seen;
    options.check(&meta)?;
    if let Some(class) = frozen {
        return Err(class::frozen(meta.target().unwrap_or(&meta.key), class));
    }
    let body = GotBody::from(body.ok_or_else(|| catalog::no_such_key(&meta.key))?);
    let body = match sealed.as_deref() {
        Some(sealed) => {
            let key = sealed.open(engine, &meta.key, options.customer())?;
            let row = sealed.row.envelope().ok_or_else(|| not_applicable(&meta.key))?;
            body.opened(&meta.key, (key, row), meta.size, engine.vault().nonces())?
        }
        None if options.customer.is_some() => return Err(not_applicable(&meta.key)),
        None => body,
    };
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
pub fn head(
    reading: &Reading,
    bucket: &BucketRef,
    key: &str,
    version: Option<&VersionId>,
) -> Result<Option<ObjectMeta>> {
    reading.with(|moment| {
        bucket.admit(moment, key)?;
        let seen = find((reading, moment), bucket, key, version, false)?;
        let follow = |seen| follow(seen, |target| find((reading, moment), bucket, target, None, false));
        seen.map(|seen| Ok(follow(seen)?.meta)).transpose()
    })
}

/// What is known of an object itself, without following it if it is a symlink; `NoSuchKey` if there is none.
pub fn head_itself(
    reading: &Reading,
    bucket: &BucketRef,
    key: &str,
    version: Option<&VersionId>,
) -> Result<ObjectMeta> {
    let seen = reading.with(|moment| {
        bucket.admit(moment, key)?;
        find((reading, moment), bucket, key, version, false)
    })?;
    Ok(seen.ok_or_else(|| catalog::no_such_key(key))?.meta)
}

/// Whether there is an object (a symlink counts, whatever it leads to).
pub fn exists(reading: &Reading, bucket: &BucketRef, key: &str) -> Result<bool> {
    reading.with(|moment| {
        bucket.admit(moment, key)?;
        let state = bucket.state(moment)?;
        if let (None, Some(space), None) = (moment.at, state.route.own_space(), state.versioning()) {
            let found = moment.view.index.get(&keys::object(space, key))?.is_some_and(|item| !item.tombstone);
            return Ok(found);
        }
        Ok(find((reading, moment), bucket, key, None, false)?.is_some())
    })
}

/// What is known of an object, if the conditions hold.
pub fn head_with(
    reading: &Reading,
    bucket: &BucketRef,
    key: &str,
    options: &GetOptions,
) -> Result<ObjectMeta> {
    let meta =
        head(reading, bucket, key, options.version.as_ref())?.ok_or_else(|| catalog::no_such_key(key))?;
    options.check(&meta)?;
    Ok(meta)
}
