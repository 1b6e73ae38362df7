//! Append: objects that grow at their end (OSS: "AppendObject").
//!
//! The body of such an object is a shared blob with a piece for each append, keyed by its offset. What was written
//! stays; so views of the object from before an append go on to be right. Small pieces are merged as the object grows:
//! sixteen of about one size become one, on the caller's thread, so that the number of pieces stays small and no byte
//! is written more than a few times.

mod detach;
mod within;

use std::cell::RefCell;
use std::io::Read;
use std::rc::Rc;
use std::sync::Arc;

use detach::{DetachStep, copied, detach, shared_of};
pub use within::{position as position_within, step_within};

use super::batch::{self, Step, StepOutcome};
use super::body::{self, Body, Prepared, Source};
use super::chain::{Bringing, Chain};
use super::class::{check_class, check_readable, check_row_class};
use super::context::{BucketRef, Reading};
use super::envelope;
use super::merging::{LARGE, merges};
use super::put::{self, Attributes, BUCKETS_CLASS};
use super::staged::{Staged, unreadable};
use crate::catalog::{self, BucketState, Found, HeadRow, Kind, Moment, Rows};
use crate::engine::{self, BodyReader, Engine, Keyed, NewBody, SharedRef, View};
use crate::error::{Error, ErrorKind, Result};
use crate::format::entry::{BlobId, Extent};
use crate::format::row::{self, ObjectRow, PieceRow};
use crate::index::Weight;
use crate::model::{
    Acl, ContentHeaders, Crc64, Digests, Durability, ETag, Keeping, Lsn, ObjectKey, ObjectKind, StorageClass,
    VersionId, crc64_combine,
};
use crate::segment::Placed;

/// The most bytes that an appendable object may have (OSS).
const MOST: u64 = 5 << 30;
/// How often an append tries to get a blob of its own before it says that somebody is in the way.
const ATTEMPTS: usize = 8;

/// What an append is asked to do. The attributes, `pinned` and `priority` count at position 0 only; later ones have no
/// effect (OSS).
///
/// ```
/// use ossicle::{AppendOptions, Durability};
/// let options = AppendOptions::new().content_type("text/plain").durability(Durability::Buffered);
/// # let _ = options;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct AppendOptions {
    attributes: Attributes,
    durability: Option<Durability>,
}

impl AppendOptions {
    /// No attributes, as durable when it returns as the [`Settings`](crate::Settings) have it.
    pub fn new() -> AppendOptions {
        AppendOptions::default()
    }

    /// Sets the media type: at most 1024 bytes.
    pub fn content_type(mut self, text: impl Into<String>) -> AppendOptions {
        self.attributes.content_type = Some(text.into());
        self
    }

    /// Adds a pair of user metadata: letters, digits and hyphens in the name; 8 KiB in all (OSS).
    pub fn metadata(mut self, name: impl Into<String>, value: impl Into<String>) -> AppendOptions {
        self.attributes.metadata.insert(name.into(), value.into());
        self
    }

    /// Sets the content headers, such as `Cache-Control`.
    pub fn headers(mut self, headers: ContentHeaders) -> AppendOptions {
        self.attributes.headers = headers;
        self
    }

    /// Adds a tag: at most 10, the key 1 to 128 bytes, the value up to 256 bytes (OSS).
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> AppendOptions {
        self.attributes.tags.push((key.into(), value.into()));
        self
    }

    /// Sets an access control value of its own; without one, the bucket's counts.
    pub fn acl(mut self, acl: Acl) -> AppendOptions {
        self.attributes.acl = Some(acl);
        self
    }

    /// Sets the storage class; without one, the bucket's counts. Not `ColdArchive` or `DeepColdArchive` (OSS).
    pub fn storage_class(mut self, class: StorageClass) -> AppendOptions {
        self.attributes.class = Some(class);
        self
    }

    /// Sets whether the object is pinned: a [`Budget`](crate::Budget) never evicts it.
    pub fn pinned(mut self, pinned: bool) -> AppendOptions {
        self.attributes.keeping.pinned = pinned;
        self
    }

    /// Sets the object's priority among what a [`Budget`](crate::Budget) may evict; the lowest goes first, and 128 is what
    /// objects have that are given none.
    pub fn priority(mut self, priority: u8) -> AppendOptions {
        self.attributes.keeping.priority = priority;
        self
    }

    /// Says whether the object is anywhere else as well. With `false` a [`Budget`](crate::Budget) does not evict it until
    /// [`Bucket::set_replicated`](crate::Bucket::set_replicated) says otherwise. Unlike the attributes, `false` counts at every
    /// position, for what is appended is nowhere else either; `true` takes nothing back.
    pub fn replicated(mut self, replicated: bool) -> AppendOptions {
        self.attributes.keeping.replicated = replicated;
        self
    }

    /// Sets when the append is done; without it, [`Settings::durability`](crate::Settings::durability) counts.
    pub fn durability(mut self, durability: Durability) -> AppendOptions {
        self.durability = Some(durability);
        self
    }
}

/// What an append came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppendOutcome {
    /// The length of the object now, which is where the next append goes.
    pub next_position: u64,
    /// The CRC-64/XZ of the whole object so far.
    pub crc64: u64,
    /// The entity tag of the object so far. It changes with every append and says nothing of the content.
    pub etag: ETag,
    /// The version that was appended to, in a bucket that keeps versions.
    pub version: Option<VersionId>,
    /// The commit.
    pub lsn: Lsn,
}

/// The object under a key, if it can be appended to; `None` if there is none.
pub fn appendable(key: &str, head: Option<(HeadRow, Found)>) -> Result<Option<(HeadRow, Found)>> {
    let Some((head, found)) = head else {
        return Ok(None);
    };
    if head.row.kind == ObjectKind::Appendable.number() {
        return Ok(Some((head, found)));
    }
    let what = match ObjectKind::from_number(head.row.kind) {
        Some(kind) => format!("is of kind {kind}"),
        None => "is deleted, and what was there before is kept".to_string(),
    };
    Err(Error::new(
        ErrorKind::Precondition,
        "ObjectNotAppendable",
        format!("the object {key:?} {what}; only an object that began with an append can be appended to"),
    ))
}

fn check_position(key: &str, position: u64, length: u64) -> Result<()> {
    if position == length {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Precondition,
        "PositionNotEqualToLength",
        format!(
            "the object {key:?} has {length} bytes, so the next append goes to position {length}, not {position}; \
             `bucket.append_position` tells it"
        ),
    ))
}

fn check_len(len: u64) -> Result<()> {
    if len <= MOST {
        return Ok(());
    }
    Err(Error::invalid("EntityTooLarge", format!("an appendable object may have {MOST} bytes, not {len}")))
}

/// Somebody else has appended something else to the same bytes: a fork of the bucket, or the bucket it was made from.
fn diverged(key: &str) -> Error {
    Error::new(
        ErrorKind::Busy,
        "OperationConflict",
        format!("the object {key:?} is being appended to in a fork of its bucket; try again"),
    )
}

/// The entity tag of what there is so far: it changes with every byte that comes.
fn etag(crc64: u64, len: u64) -> ETag {
    let mut half = [0; 16];
    half[..8].copy_from_slice(&crc64.to_be_bytes());
    half[8..].copy_from_slice(&len.to_be_bytes());
    ETag::from_md5(&half)
}

/// The blob behind a body.
pub fn blob_of(found: &Found) -> Option<BlobId> {
    match &found.body {
        NewBody::Shared(shared) => Some(shared.blob),
        _ => None,
    }
}

/// The last piece of a blob that begins below `end`: where, how long it is, and its row.
fn row_before(rows: &impl Rows, blob: BlobId, end: u64) -> Result<Option<(u64, u64, Found)>> {
    let Some(at) = rows.last(&engine::piece_key(blob, 0), &engine::piece_key(blob, end))? else {
        return Ok(None);
    };
    let place = engine::place_of(&at).ok_or_else(|| unreadable("a piece has no place"))?;
    let found = rows.get(&at)?.ok_or_else(|| unreadable("a piece is missing"))?;
    let piece: PieceRow = row::decode(&found.payload).map_err(unreadable)?;
    Ok(Some((place, piece.size, found)))
}

/// The same without the row.
fn piece_before(rows: &impl Rows, blob: BlobId, end: u64) -> Result<Option<(u64, u64)>> {
    Ok(row_before(rows, blob, end)?.map(|(place, size, _)| (place, size)))
}

/// The piece of a blob that has the byte `at`, to be read, and where it begins. The other pieces are not looked at.
pub fn piece_at(moment: &Moment<'_>, blob: BlobId, at: u64) -> Result<(u64, BodyReader)> {
    piece_among((moment, moment.view), blob, at)
}

/// The same among any rows, whose bodies a view reads.
fn piece_among((rows, view): (&impl Rows, &View), blob: BlobId, at: u64) -> Result<(u64, BodyReader)> {
    let found = row_before(rows, blob, at.saturating_add(1))?;
    let (place, size, found) = found.ok_or_else(|| unreadable("a piece is missing"))?;
    let body = BodyReader::new(view, found.body.to_owned_body())?;
    if body.len() != size || at - place >= size {
        return Err(unreadable("a piece has another length than its row says"));
    }
    Ok((place, body))
}

/// How many bytes a blob has, whoever refers to how many of them.
fn blob_len(rows: &impl Rows, blob: BlobId) -> Result<u64> {
    Ok(piece_before(rows, blob, u64::MAX)?.map_or(0, |(place, len)| place.saturating_add(len)))
}

/// Small pieces at the end of a blob that are written again together with what is appended.
#[derive(Debug)]
struct Merge {
    blob: BlobId,
    /// Where each of them begins; the first is the lowest.
    places: Vec<u64>,
    prepared: Prepared,
}

/// What is known of an object before it is appended to, from the newest view.
struct Known {
    head: Option<HeadRow>,
    blob: Option<BlobId>,
    length: u64,
    diverged: bool,
}

fn look(rows: &impl Rows, state: &BucketState, key: &str) -> Result<Known> {
    let Some((head, found)) = appendable(key, catalog::find_head(state.lens(rows), key)?)? else {
        return Ok(Known { head: None, blob: None, length: 0, diverged: false });
    };
    let blob = blob_of(&found);
    let length = head.row.size;
    let diverged = match blob {
        Some(blob) => blob_len(rows, blob)? != length,
        None => false,
    };
    Ok(Known { head: Some(head), blob, length, diverged })
}

/// The step of an append.
#[derive(Debug)]
pub struct AppendStep {
    bucket: BucketRef,
    key: String,
    position: u64,
    /// The row that an object begins with.
    row: ObjectRow,
    /// Whether anything was said of attributes.
    is_dressed: bool,
    /// Whether anything was said of how budgets treat it.
    is_kept_otherwise: bool,
    prepared: Prepared,
    crc64: u64,
    /// The key that a streamed body was written for.
    owner: Vec<u8>,
    merge: Option<Merge>,
    /// What gives the object a blob of its own first, inside a transaction.
    first: Option<DetachStep>,
}

impl AppendStep {
    /// The row as the append leaves it.
    fn grown(&self, chain: &mut Chain<'_, '_>, head: Option<&HeadRow>) -> Result<ObjectRow> {
        let mut row = match head {
            Some(head) if head.row.size > 0 || !self.is_dressed => head.kept(),
            Some(head) => {
                let mut row =
                    ObjectRow { lsn: head.lsn, n: head.row.n, named: head.row.named, ..self.row.clone() };
                let (before, rare) = (head.row.rare(), row.rare_mut());
                (rare.retention, rare.legal_hold) = (before.retention, before.legal_hold);
                (rare.crc64, rare.parts) = (before.crc64, before.parts);
                rare.seal = before.seal.clone();
                if !self.is_kept_otherwise {
                    rare.keep = before.keep;
                }
                row
            }
            None => {
                // Its version is the null version, in a bucket that keeps versions too (OSS).
                let n = if chain.state.versioning().is_some() { chain.staged.number() } else { 0 };
                ObjectRow { n, ..self.row.clone() }
            }
        };
        if let Some(seal) = self.row.seal() {
            // Decided where the object begins, and at no later append (OSS).
            row.set_seal(Some(seal.clone()));
        }
        if row.class == BUCKETS_CLASS {
            row.class = chain.state.row.class;
            check_row_class(&row)?;
        }
        if self.row.rare().keep.unreplicated {
            row.rare_mut().keep.unreplicated = true;
        }
        row.size += self.prepared.size;
        row.modified = chain.staged.now.millis;
        let len = row.size;
        let rare = row.rare_mut();
        let crc64 = crc64_combine(rare.crc64.unwrap_or(0), self.crc64, self.prepared.size);
        rare.crc64 = Some(crc64);
        rare.etag = Some(etag(crc64, len).to_string());
        rare.parts = rare.parts.saturating_add(1);
        Ok(row)
    }

    /// Puts the bytes into a blob, and gives the body of the object that refers to it.
    fn place(&self, staged: &mut Staged<'_>, before: Option<&Found>) -> Result<NewBody> {
        let len = self.position + self.prepared.size;
        if len == 0 {
            return Ok(NewBody::None);
        }
        let (blob, hint) = match before.map(|found| &found.body) {
            Some(NewBody::Shared(shared)) => (shared.blob, shared.hint.to_vec()),
            _ if self.position == 0 => (BlobId { lsn: staged.now.lsn, n: staged.number() }, Vec::new()),
            _ => return Err(unreadable("an object that grows has no pieces")),
        };
        if blob_len(staged, blob)? != self.position {
            return Err(diverged(&self.key));
        }
        let merge = self.merge.as_ref().filter(|merge| merge.blob == blob);
        if let Some(merge) = merge {
            let from = merge.places[0];
            for place in &merge.places[1..] {
                staged.remove(engine::piece_key(blob, *place));
            }
            staged.count_pieces(blob, Keyed::Offset, 1 - merge.places.len() as i64);
            let size = len - from;
            let payload = piece(size, staged.now.millis, &merge.prepared, None);
            staged.put_new(
                engine::piece_key(blob, from),
                Weight::default(),
                merge.prepared.body.clone(),
                payload,
            );
        } else {
            staged.count_pieces(blob, Keyed::Offset, 1);
            let payload = piece(self.prepared.size, staged.now.millis, &self.prepared, Some(self.crc64));
            let at = engine::piece_key(blob, self.position);
            put_piece(staged, at, &self.owner, self.prepared.body.clone(), payload);
        }
        Ok(NewBody::Shared(SharedRef::new(blob, len, &self.hint(hint))))
    }

    /// Where the pieces lie, as far as that is known and worth saying: few long ones.
    fn hint(&self, mut before: Vec<Extent>) -> Vec<Extent> {
        match &self.prepared.body {
            NewBody::Extents(extents) if self.position == 0 || !before.is_empty() => {
                before.extend_from_slice(extents);
                before
            }
            _ => Vec::new(),
        }
    }
}

/// The row of a piece.
fn piece(size: u64, modified: u64, prepared: &Prepared, crc64: Option<u64>) -> Vec<u8> {
    row::encode(&PieceRow { size, modified, blake3: prepared.digests.blake3, crc64, ..PieceRow::default() })
}

/// Puts a piece whose body may have been streamed for another key.
fn put_piece(staged: &mut Staged<'_>, at: Vec<u8>, owner: &[u8], body: NewBody, payload: Vec<u8>) {
    if owner == at || !matches!(body, NewBody::Extents(_)) {
        staged.put_new(at, Weight::default(), body, payload);
    } else {
        staged.put_found(at.clone(), Weight::default(), body, at, payload);
    }
}

impl Step for Arc<AppendStep> {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        if let Some(first) = &self.first {
            first.apply(staged)?;
        }
        let state = staged.bucket(&self.bucket)?;
        let mut chain = Chain::new(staged, &state);
        let current = appendable(&self.key, chain.head(&self.key)?)?;
        let (head, found) = current.unzip();
        check_position(&self.key, self.position, head.as_ref().map_or(0, |head| head.row.size))?;
        let outcome = |row: &ObjectRow, version: VersionId, lsn: u64| {
            let (size, rare) = (row.size, row.rare());
            StepOutcome::Append(AppendOutcome {
                next_position: size,
                crc64: rare.crc64.unwrap_or(0),
                etag: catalog::etag_of(row),
                version: state.versioning().map(|_| version),
                lsn: Lsn(lsn),
            })
        };
        if let (Some(head), Some(found)) = (&head, &found) {
            chain.guard(&self.key, head)?;
            check_readable(&self.key, head, || chain.staged.now.millis)?;
            if self.prepared.size == 0 {
                return Ok(outcome(&head.row, head.version(), found.lsn));
            }
        }
        let row = self.grown(&mut chain, head.as_ref())?;
        let body = self.place(chain.staged, found.as_ref())?;
        let weight = catalog::weight_of(&row);
        chain.lay(Kind::Head, &self.key, b"", weight, Bringing::New(body), row::encode(&row))?;
        chain.check_quota()?;
        let version = head.map_or(VersionId::null(), |head| head.version());
        Ok(outcome(&row, version, chain.staged.now.lsn))
    }

    fn placed(&self) -> Option<&Placed> {
        self.merge.as_ref().and_then(|merge| merge.prepared.placed.as_ref()).or(self.prepared.placed.as_ref())
    }

    fn placed_beside(&self) -> Option<&Placed> {
        self.first.as_ref().and_then(|first| first.placed())
    }

    fn memory(&self) -> usize {
        let merged = self.merge.as_ref().map_or(0, |merge| merge.prepared.memory());
        self.prepared.memory() + merged + self.first.as_ref().map_or(0, |first| first.memory())
    }
}

/// Takes the checksum of what is read through it.
struct Summing<R> {
    reader: R,
    sum: Rc<RefCell<Crc64>>,
}

impl<R: Read> Read for Summing<R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let read = self.reader.read(buf)?;
        self.sum.borrow_mut().update(&buf[..read]);
        Ok(read)
    }
}

/// The bytes of a body that is in memory already.
fn known_bytes<'a>(body: &'a Body<'_>) -> Option<&'a [u8]> {
    match &body.0 {
        Source::Borrowed(bytes) => Some(bytes),
        Source::Owned(bytes) => Some(bytes),
        Source::Reader(_) => None,
    }
}

/// Takes a body in that goes to `position`, and its checksum.
fn take_in(
    engine: &Engine,
    (owner, packed_max): (&[u8], usize),
    body: Body<'_>,
    position: u64,
) -> Result<(Prepared, u64)> {
    let sum = Rc::new(RefCell::new(Crc64::new()));
    if let Some(bytes) = known_bytes(&body) {
        sum.borrow_mut().update(bytes);
    }
    let body = match body.0 {
        Source::Reader(reader) => {
            // One byte more than may come, to see that there is more.
            let reader = reader.take(MOST.saturating_sub(position) + 1);
            Body::reader(Summing { reader, sum: sum.clone() })
        }
        known => Body(known),
    };
    let prepared = body::prepare(engine, owner, body, packed_max, Digests::Fast)?;
    check_len(position.saturating_add(prepared.size))?;
    let crc64 = sum.borrow().value();
    Ok((prepared, crc64))
}

/// Writes the small pieces at the end of a blob again together with what is appended, if there are enough.
fn merge(
    engine: &Engine,
    (rows, view): (&impl Rows, &View),
    (blob, position): (BlobId, u64),
    appended: &Prepared,
    packed_max: usize,
) -> Result<Option<Merge>> {
    let bytes = match &appended.body {
        NewBody::Inline(bytes) | NewBody::Packed(bytes, _) if (bytes.len() as u64) < LARGE => bytes,
        _ => return Ok(None),
    };
    let places = merges(position, appended.size, |end| piece_before(rows, blob, end))?;
    let Some(from) = places.first().copied() else {
        return Ok(None);
    };
    let mut whole = Vec::with_capacity((position - from) as usize + bytes.len());
    for place in &places {
        let (_, piece) = piece_among((rows, view), blob, *place)?;
        whole.extend_from_slice(&piece.read(0..piece.len())?);
    }
    whole.extend_from_slice(bytes);
    let owner = engine::piece_key(blob, from);
    let prepared = body::prepare(engine, &owner, whole.into(), packed_max, Digests::Fast)?;
    Ok(Some(Merge { blob, places, prepared }))
}

/// Checks an append before anything is looked at; gives the row that an object would begin with.
fn check(
    engine: &Engine,
    key: &str,
    position: u64,
    body: &Body<'_>,
    attributes: &Attributes,
) -> Result<ObjectRow> {
    ObjectKey::new(key)?;
    if let Some(class) = attributes.class {
        check_class(Some(ObjectKind::Appendable), class)?;
    }
    let mut row = attributes.clone().to_row()?;
    row.kind = ObjectKind::Appendable.number();
    engine.check_writable()?;
    check_len(position.saturating_add(known_bytes(body).map_or(0, |bytes| bytes.len() as u64)))?;
    Ok(row)
}

/// Appends to an object, or begins one.
pub fn append(
    engine: &Arc<Engine>,
    bucket: &BucketRef,
    key: &str,
    position: u64,
    body: Body<'_>,
    options: AppendOptions,
) -> Result<AppendOutcome> {
    let AppendOptions { attributes, durability } = options;
    let durability = engine.settings().durability_for(durability);
    let mut row = check(engine, key, position, &body, &attributes)?;
    // Looked at here, so that no byte is written in vain; decided in the commit.
    let known = Reading::newest(engine).with(|moment| look(moment, &*bucket.state(moment)?, key))?;
    check_position(key, position, known.length)?;
    if let Some(head) = &known.head {
        check_readable(key, head, || engine.millis())?;
    }
    if known.length == 0 {
        let asked = envelope::default_of(engine, bucket)?;
        envelope::choose_for_growing(engine, &bucket.name, asked.as_ref(), &mut row)?;
    }
    let owner = match known.blob {
        Some(blob) => engine::piece_key(blob, position),
        None => put::owner_key(engine, bucket, key)?,
    };
    let packed_max = engine.settings().packed_max;
    let (prepared, crc64) = take_in(engine, (&owner, packed_max), body, position)?;
    let (mut merged, mut _copying) = (None, None);
    if let Some(blob) = known.blob.filter(|_| !known.diverged && prepared.size > 0) {
        let copying = engine.begin_move();
        let view = engine.pin();
        let read = (&Moment::now(&view), &*view);
        merged = merge(engine, read, (blob, position), &prepared, packed_max)?;
        // Held until what was copied is committed.
        _copying = merged.is_some().then_some(copying);
    }
    let is_dressed = attributes != Attributes::default();
    let is_kept_otherwise = attributes.keeping != Keeping::default();
    let (bucket_ref, name) = (bucket.clone(), key.to_string());
    let step = AppendStep {
        bucket: bucket_ref,
        key: name,
        position,
        row,
        is_dressed,
        is_kept_otherwise,
        prepared,
        crc64,
        owner,
        merge: merged,
        first: None,
    };
    let step = Arc::new(step);
    for _ in 0..ATTEMPTS {
        match batch::commit_one(engine, step.clone(), durability) {
            Ok(StepOutcome::Append(outcome)) => return Ok(outcome),
            Ok(_) => unreachable!("an append comes to an append"),
            Err(error) if error.kind() == ErrorKind::Busy => detach(engine, bucket, key, durability)?,
            Err(error) => return Err(error),
        }
    }
    Err(diverged(key))
}

/// Where the next append to an object goes: its length, 0 if there is none.
pub fn position(reading: &Reading, bucket: &BucketRef, key: &str) -> Result<u64> {
    reading.with(|moment| {
        bucket.admit(moment, key)?;
        Ok(look(moment, &*bucket.state(moment)?, key)?.length)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entity_tags_change_with_every_byte() {
        assert_ne!(etag(1, 1), etag(1, 2));
        assert_ne!(etag(1, 1), etag(2, 1));
        assert_eq!(etag(u64::MAX, 5).as_str(), "FFFFFFFFFFFFFFFF0000000000000005");
    }
}
