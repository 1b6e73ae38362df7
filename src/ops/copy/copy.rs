//! Copy and rename: an object under another key, in this bucket or another one.
//!
//! No byte is copied, whatever the size, unless the copy is to be encrypted otherwise than its source.

use std::sync::Arc;

use super::options::CopyOptions;
use crate::catalog::{self, BucketState, HeadRow};
use crate::engine::Copying;
use crate::engine::state::engine::Engine;
use crate::env::Planted;
use crate::error::{Error, ErrorKind, Result};
use crate::format::row::ObjectRow;
use crate::model::{
    Acl, Digests, Lsn, ObjectKey, ObjectKind, ObjectMeta, StorageClass, VersionId,
    check_client_encryption_kept, check_content_type, check_metadata, check_tags,
};
use crate::ops::object::body_in::{Incoming, Prepared};
use crate::ops::object::envelope::{self, Asked, Sealing};
use crate::ops::object::get;
use crate::ops::object::new_version::{BUCKETS_CLASS, whither};
use crate::segment::Placed;
use crate::write::conditions::Conditions;
use crate::write::context::{BucketRef, Reading};
use crate::write::outcome::{PutOutcome, StepOutcome};
use crate::write::staged::overlay::Staged;
use crate::write::step::Step;
use crate::write::version_chain::{BodySource, Chain};
use crate::write::{commit, storage_class};

/// How often a copy is encrypted anew because its source was changed meanwhile.
const ATTEMPTS: usize = 8;

/// How much of a source is read at once.
const READ_STEP: u64 = 1 << 20;

/// The step of a copy.
#[derive(Debug)]
pub struct CopyStep {
    from: BucketRef,
    key: String,
    to: BucketRef,
    new_key: String,
    options: CopyOptions,
    rewritten: Option<Rewritten>,
    /// Whether it comes back without an outcome if the body must be written anew first; else it is refused then.
    may_rewrite: bool,
}

/// The body of a copy that is encrypted otherwise than its source.
#[derive(Debug)]
struct Rewritten {
    /// The version of the source: its commit, and its name in a bucket that keeps versions.
    source: (u64, Option<VersionId>),
    prepared: Prepared,
    sealing: Sealing,
}

impl CopyStep {
    /// The body of the copy, and how it is encrypted; nothing if it must be written anew first.
    fn body(
        &self,
        staged: &mut Staged<'_>,
        (head, versioned): (&HeadRow, bool),
        to: &BucketState,
        found: BodySource,
    ) -> Result<Option<(ObjectRow, BodySource)>> {
        let mut row = head.row.clone();
        let asked = &self.options.asked;
        if row.kind == ObjectKind::Symlink.number() || envelope::is_as_asked(row.seal(), asked, to) {
            envelope::rename_store_key(&mut row, asked, to);
            return Ok(Some((row, found)));
        }
        if row.kind == ObjectKind::Appendable.number() {
            return Err(envelope::cannot_grow(&to.name));
        }
        let source = (head.lsn, versioned.then(|| head.version()));
        if let Some(rewritten) = self.rewritten.as_ref().filter(|rewritten| rewritten.source == source) {
            let sealing = Some(&rewritten.sealing);
            Sealing::note(sealing, &mut row);
            if envelope::is_as_asked(row.seal(), asked, to) {
                Sealing::keep_key(sealing, staged)?;
                return Ok(Some((row, BodySource::New(rewritten.prepared.body.clone()))));
            }
        }
        if self.may_rewrite {
            return Ok(None);
        }
        Err(Error::new(
            ErrorKind::Unsupported,
            "OperationNotSupported",
            format!(
                "a copy of {:?} that is encrypted otherwise than its source reads and writes the body, which cannot be \
                 done inside a transaction; copy it outside, or get and put it",
                self.key
            ),
        ))
    }
}

impl Step for CopyStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        let from = staged.bucket(&self.from)?;
        let options = &self.options;
        let (head, found) = Chain::new(staged, &from).object(&self.key, options.source.version.as_ref())?;
        let versioned = from.versioning().is_some();
        options
            .source
            .check(&catalog::meta_of(self.key.clone(), head.clone(), versioned, || staged.now.millis)?)?;
        let to = staged.bucket(&self.to)?;
        let self_copy = self.from == self.to && self.key == self.new_key;
        let appendable = head.row.kind == ObjectKind::Appendable.number();
        if appendable && (versioned || !self_copy) {
            return Err(not_copyable(&self.key));
        }
        if !staged.now.mistake.is(Planted::CopyFrozen) {
            storage_class::check_readable(&self.key, &head, || staged.now.millis)?;
        }
        let body = BodySource::Found(found.body, found.at);
        let Some((row, body)) = self.body(staged, (&head, versioned), &to, body)? else {
            return Ok(StepOutcome::None);
        };
        let mut row = unheld(row);
        if let Some(content_type) = &options.content_type {
            row.content_type = content_type.clone();
        }
        if let Some(metadata) = &options.metadata {
            check_client_encryption_kept(&row.metadata, metadata)?;
            row.metadata = metadata.clone();
        }
        row.modified = staged.now.millis;
        let class = options.class.or_else(|| StorageClass::from_number(to.row.class)).unwrap_or_default();
        storage_class::change(&mut row, class, None)?;
        if row.extra.is_some() || options.headers.is_some() || options.tags.is_some() || options.acl.is_some()
        {
            let rare = row.rare_mut();
            rare.acl = options.acl.map_or(0, Acl::number);
            if let Some(headers) = &options.headers {
                rare.headers = headers.to_array();
            }
            if let Some(tags) = &options.tags {
                rare.tags = tags.clone();
            }
            row.trim();
        }
        let outcome = place(staged, (&to, &self.new_key), row, body, &options.conditions)?;
        Chain::new(staged, &to).check_quota()?;
        Ok(outcome)
    }

    fn placed(&self) -> Option<&Placed> {
        self.rewritten.as_ref().and_then(|rewritten| rewritten.prepared.placed.as_ref())
    }

    fn memory(&self) -> usize {
        self.rewritten.as_ref().map_or(0, |rewritten| rewritten.prepared.memory())
    }
}

/// A row for another version of the same contents: what protects the one does not protect the other.
pub fn unheld(mut row: ObjectRow) -> ObjectRow {
    if let Some(rare) = &mut row.extra {
        (rare.retention, rare.legal_hold) = (None, false);
        row.trim();
    }
    row
}

/// `ObjectNotCopyable`.
pub fn not_copyable(key: &str) -> Error {
    Error::invalid(
        "ObjectNotCopyable",
        format!("the object {key:?} is appendable and cannot be copied (OSS); read it and put it"),
    )
}

/// Puts a row under the key that a copy or a rename leads to.
pub(super) fn place(
    staged: &mut Staged<'_>,
    (to, key): (&catalog::BucketState, &str),
    row: ObjectRow,
    body: BodySource,
    conditions: &Conditions,
) -> Result<StepOutcome> {
    let mut chain = Chain::new(staged, to);
    if !conditions.is_empty() {
        let current = chain.head(key)?;
        conditions.check(key, current.as_ref().map(|(head, _)| head))?;
    }
    let etag = catalog::etag_of(&row);
    let version = chain.push(key, row, body)?;
    Ok(StepOutcome::Put(PutOutcome { etag, version, lsn: Lsn(chain.staged.now.lsn) }))
}

/// Checks a copy.
pub fn copy_step(
    engine: &Engine,
    (from, key): (&BucketRef, &str),
    (to, new_key): (&BucketRef, &str),
    mut options: CopyOptions,
) -> Result<CopyStep> {
    from.admit(&catalog::Moment::now(&engine.view()), key)?;
    ObjectKey::new(new_key)?;
    if let Some(Some(text)) = &options.content_type {
        check_content_type(text)?;
    }
    options.metadata = options.metadata.as_ref().map(check_metadata).transpose()?;
    if let Some(headers) = &options.headers {
        headers.check()?;
    }
    options.tags = options.tags.map(check_tags).transpose()?;
    options.asked.check(engine)?;
    if options.asked != Asked::default() {
        engine.require_envelopes()?;
    }
    let (key, new_key) = (key.to_string(), new_key.to_string());
    let (from, to) = (from.clone(), to.clone());
    Ok(CopyStep { from, key, to, new_key, options, rewritten: None, may_rewrite: false })
}

/// Whether an object is still the one that `meta` tells of, so that its bytes are not dead.
pub fn lives(
    engine: &Arc<Engine>,
    (bucket, key): (&BucketRef, &str),
    version: Option<&VersionId>,
    meta: &ObjectMeta,
) -> Result<bool> {
    let is_same = |now: &ObjectMeta| {
        (now.lsn, &now.version, now.size, &now.etag) == (meta.lsn, &meta.version, meta.size, &meta.etag)
    };
    match get::head(&Reading::newest(engine), bucket, key, version) {
        Ok(now) => Ok(now.as_ref().is_some_and(is_same)),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Writes the body of a copy, encrypted as the copy is to be; what comes with it is to be held until it is committed.
/// `None` if the source is another one by now, or need not be written anew any more.
fn rewrite<'e>(engine: &'e Arc<Engine>, step: &CopyStep) -> Result<Option<(Rewritten, Copying<'e>)>> {
    let CopyStep { from, key, to, new_key, options, .. } = step;
    let got = get::get(&Reading::newest(engine), from, key, &options.source)?;
    let Some(sealing) = envelope::choose(engine, to, &options.asked)? else {
        // Nothing is asked for any more, and what lies in an envelope must not be written without one.
        return Ok(None);
    };
    let class = options.class.map_or(BUCKETS_CLASS, StorageClass::number);
    let mut whither = whither(engine, to, new_key, class, engine.settings().packed_max)?;
    whither.envelope = sealing.key().map(|key| (key, 0));
    // Only now, when all keys were asked for.
    let mut copying = engine.begin_move();
    let lives = || lives(engine, (from, key), options.source.version.as_ref(), &got.meta);
    if !lives()? {
        return Ok(None);
    }
    // The copy has the digests of its source.
    let mut incoming = Incoming::new(engine, whither, Digests::Fast);
    while incoming.len() < got.meta.size {
        let at = incoming.len();
        let bytes = got.body.read(at..(at + 1).next_multiple_of(READ_STEP).min(got.meta.size))?;
        if !copying.goes_on(lives)? {
            return Ok(None);
        }
        incoming.write(engine, &bytes)?;
    }
    let prepared = incoming.finish(engine)?;
    let source = (got.meta.lsn.0, got.meta.version);
    Ok(Some((Rewritten { source, prepared, sealing }, copying)))
}

/// Copies an object: one commit, no byte is copied, whatever the size, unless the copy is to be encrypted otherwise. What
/// is copied is the object at the moment of the commit.
pub fn copy(
    engine: &Arc<Engine>,
    from: (&BucketRef, &str),
    to: (&BucketRef, &str),
    options: CopyOptions,
) -> Result<PutOutcome> {
    let durability = engine.settings().durability_for(options.durability);
    let mut written = None;
    for _ in 0..ATTEMPTS {
        let step = copy_step(engine, from, to, options.clone())?;
        let (rewritten, copying) = written.take().unzip();
        let step = CopyStep { rewritten, may_rewrite: true, ..step };
        let done = commit::commit_one(engine, step, durability)?;
        drop(copying);
        if let StepOutcome::Put(outcome) = done {
            return Ok(outcome);
        }
        written = rewrite(engine, &copy_step(engine, from, to, options.clone())?)?;
    }
    Err(Error::new(
        ErrorKind::Busy,
        "OperationConflict",
        format!("the object {:?} was changed again and again while it was copied; try again", from.1),
    ))
}
