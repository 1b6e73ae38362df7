//! Get and head: reads an object, a range of it, or what is known of it.

use std::ops::Range;

use super::body_out::GotBody;
use super::envelope::{Sealed, not_applicable};
use super::get_options::GetOptions;
use crate::catalog::keyspace::keys;
use crate::catalog::{self, BucketState, BucketView, Found, HeadRow, Moment, Rows};
use crate::engine::state::engine::Engine;
use crate::engine::{BodyReader, OwnedBody};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{ObjectKind, ObjectMeta, StorageClass, VersionId};
use crate::write::context::{BucketRef, Reading};
use crate::write::{access_times, storage_class};

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
        access_times::note(reading, bucket, key);
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
    let found = find_anywhere(state.bucket_view(moment), key, version)?;
    let Some((head, found)) = found else {
        return Ok(None);
    };
    let body = body.then(|| BodyReader::new(moment.view, found.body.to_owned_body())).transpose()?;
    let seen = Seen::of(key, head, versioned, (body, &newest), now)?;
    Ok(Some(if version.is_none() { seen.with_expiry(state) } else { seen }))
}

/// The same for any rows and version.
pub fn find_anywhere<R: Rows>(
    bucket_view: BucketView<'_, R>,
    key: &str,
    version: Option<&VersionId>,
) -> Result<Option<(HeadRow, Found)>> {
    match version {
        None => Ok(catalog::find_head(bucket_view, key)?.filter(|(head, _)| !head.row.is_marker())),
        Some(version) => match catalog::find_version(bucket_view, key, version)? {
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
        return Err(storage_class::frozen(meta.target().unwrap_or(&meta.key), class));
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
