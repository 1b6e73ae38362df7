//! Multipart uploads: begun, completed into an object without copying a byte, or aborted (OSS: "Multipart").
//!
//! An upload has a row, which refers to a shared body that nothing else refers to; its parts are the pieces of that
//! body, keyed by their numbers. Completing it hands the reference over to a version of the object.

use std::sync::Arc;

use super::batch::{self, Step, StepOutcome};
use super::chain::{Bringing, Chain};
use super::context::{BucketRef, Reading};
use super::envelope::{self, Sealing};
use super::parts::{self, Held, Part};
use super::put::{Attributes, BUCKETS_CLASS, Conditions, PutOutcome, commit};
use super::staged::{Staged, unreadable};
use crate::catalog::{Rows, UPLOAD_SLOT, keys};
use crate::crypto::CustomerKey;
use crate::engine::{self, Engine, Keyed, NewBody, SharedRef};
use crate::error::{Error, ErrorKind, Result};
use crate::format::entry::{BlobId, Extent};
use crate::format::row::{self, ObjectRow, PartRun, UploadRow};
use crate::index::Weight;
use crate::model::{
    Acl, ContentHeaders, Digests, Durability, ETag, Encryption, Hasher, Lsn, ObjectKey, ObjectKind, PartPlan,
    StorageClass, UploadId, crc64_combine,
};

/// The fewest bytes of a part, unless it is the last one of its object (OSS).
pub const MIN_PART: u64 = 100 << 10;

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
    attributes: Attributes,
    if_absent: bool,
    digests: Option<Digests>,
    durability: Option<Durability>,
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

/// An upload as a handle names it.
#[derive(Clone, Debug)]
pub struct UploadRef {
    /// The bucket.
    pub bucket: BucketRef,
    /// The key that the object will have.
    pub key: String,
    /// The upload's name.
    pub id: UploadId,
    /// The key that its parts are encrypted with, if it was brought along.
    pub customer: Option<CustomerKey>,
}

impl UploadRef {
    /// The key of its row.
    pub fn at(&self) -> Vec<u8> {
        let (lsn, n) = self.id.seq();
        keys::upload(self.bucket.id, &self.key, lsn, n)
    }

    /// Its row, and the reference that it holds; `NoSuchUpload` if there is none.
    pub fn find(&self, rows: &impl Rows) -> Result<(UploadRow, NewBody)> {
        let found = rows.get(&self.at())?.ok_or_else(|| no_such_upload(&self.key, self.id.as_str()))?;
        Ok((row::decode(&found.payload).map_err(unreadable)?, found.body))
    }

    /// The row in the newest state. The bucket is looked up too, so that one that is gone is told from an upload
    /// that is.
    pub fn row(&self, reading: &Reading) -> Result<UploadRow> {
        reading.with(|moment| {
            self.bucket.state(moment)?;
            Ok(self.find(moment)?.0)
        })
    }
}

/// The body that the parts of an upload are pieces of.
pub fn blob_of(row: &UploadRow) -> BlobId {
    BlobId { lsn: row.blob.0, n: row.blob.1 }
}

/// What an upload counts for.
pub fn weight_of(row: &UploadRow) -> Weight {
    Weight { slot: UPLOAD_SLOT, objects: 1, bytes: row.bytes }
}

/// `NoSuchUpload`.
pub fn no_such_upload(key: &str, id: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        "NoSuchUpload",
        format!(
            "there is no upload {id:?} to {key:?}: it was completed or aborted, or the name is another one; \
             `bucket.uploads` lists those in progress"
        ),
    )
}

#[derive(Debug)]
struct BeginStep {
    bucket: BucketRef,
    key: String,
    object: ObjectRow,
    oss_digests: bool,
    if_absent: bool,
    sealing: Option<Sealing>,
}

/// Refuses if there is an object under the key though there must be none.
fn check_absent(chain: &Chain<'_, '_>, key: &str, if_absent: bool) -> Result<()> {
    if !if_absent {
        return Ok(());
    }
    let current = chain.head(key)?;
    Conditions { if_absent, ..Conditions::default() }.check(key, current.as_ref().map(|(head, _)| head))
}

impl Step for BeginStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        let state = staged.bucket(&self.bucket)?;
        check_absent(&Chain::new(staged, &state), &self.key, self.if_absent)?;
        Sealing::keep_key(self.sealing.as_ref(), staged)?;
        let (lsn, n) = (staged.now.lsn, staged.number());
        let kind = ObjectKind::Multipart.number();
        let mut object = ObjectRow { kind, modified: staged.now.millis, ..self.object.clone() };
        if object.class == BUCKETS_CLASS {
            object.class = state.row.class;
        }
        let row = UploadRow {
            object,
            oss_digests: self.oss_digests,
            blob: (lsn, n),
            parts: 0,
            bytes: 0,
            if_absent: self.if_absent,
        };
        let blob = blob_of(&row);
        staged.count_pieces(blob, Keyed::Number, 0);
        let body = NewBody::Shared(SharedRef::new(blob, 0, &[]));
        let at = keys::upload(state.row.id, &self.key, lsn, n);
        staged.put_new(at, weight_of(&row), body, row::encode(&row));
        Ok(StepOutcome::Pair(lsn, u64::from(n)))
    }
}

/// Begins an upload.
pub fn begin(
    engine: &Arc<Engine>,
    bucket: &BucketRef,
    key: &str,
    options: UploadOptions,
) -> Result<UploadRef> {
    ObjectKey::new(key)?;
    let mut object = options.attributes.to_row()?;
    PartPlan::of(&object.metadata)?;
    let sealing = envelope::choose(engine, bucket, &options.attributes.asked)?;
    Sealing::note(sealing.as_ref(), &mut object);
    let step = BeginStep {
        bucket: bucket.clone(),
        key: key.to_string(),
        object,
        oss_digests: options.digests.unwrap_or(engine.settings().digests) == Digests::Oss,
        if_absent: options.if_absent,
        sealing,
    };
    match batch::commit_one(engine, step, engine.settings().durability_for(options.durability))? {
        StepOutcome::Pair(lsn, n) => {
            let id = UploadId::of(lsn, n as u32);
            let (bucket, key) = (bucket.clone(), key.to_string());
            Ok(UploadRef { bucket, key, id, customer: options.attributes.asked.customer })
        }
        _ => unreachable!("beginning an upload comes to its name"),
    }
}

/// Finds an upload that was begun earlier.
pub fn resume(engine: &Arc<Engine>, bucket: &BucketRef, key: &str, id: &str) -> Result<UploadRef> {
    ObjectKey::new(key)?;
    let name = UploadId::parse(id).ok_or_else(|| no_such_upload(key, id))?;
    let upload = UploadRef { bucket: bucket.clone(), key: key.to_string(), id: name, customer: None };
    upload.row(&Reading::newest(engine))?;
    Ok(upload)
}

#[derive(Debug)]
struct AbortStep(UploadRef);

impl Step for AbortStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        staged.bucket(&self.0.bucket)?;
        self.0.find(staged)?;
        // Nothing refers to the parts any more, so they go as well.
        staged.remove(self.0.at());
        Ok(StepOutcome::None)
    }

    fn frees(&self) -> bool {
        true
    }
}

/// Aborts an upload.
pub fn abort(engine: &Arc<Engine>, upload: &UploadRef, durability: Durability) -> Result<()> {
    batch::commit_one(engine, AbortStep(upload.clone()), durability).map(|_| ())
}

#[derive(Debug)]
struct CompleteStep {
    upload: UploadRef,
    /// The numbers and entity tags of the parts; all that there are if `None`.
    parts: Option<Vec<(u32, ETag)>>,
    /// The fewest bytes of a part that is not the last one.
    least: u64,
}

/// The parts of an object that is to be, out of those that there are.
fn choose<'h>(wanted: Option<&[(u32, ETag)]>, held: &'h [Held], least: u64) -> Result<Vec<&'h Held>> {
    let chosen = match wanted {
        None => held.iter().collect(),
        Some(wanted) => {
            if let Some(pair) = wanted.windows(2).find(|pair| pair[0].0 >= pair[1].0) {
                return Err(Error::invalid(
                    "InvalidPartOrder",
                    format!(
                        "the parts of an upload are completed in the order of their numbers, but {} stands before {}",
                        pair[0].0, pair[1].0
                    ),
                ));
            }
            let find = |(number, etag): &(u32, ETag)| {
                let place = held.binary_search_by_key(number, |held| held.number);
                place.ok().map(|index| &held[index]).filter(|held| held.etag() == *etag).ok_or_else(|| {
                    Error::invalid(
                        "InvalidPart",
                        format!(
                            "the upload has no part {number} with the entity tag {etag}; `parts` lists those it has"
                        ),
                    )
                })
            };
            wanted.iter().map(find).collect::<Result<Vec<_>>>()?
        }
    };
    let Some((_, rest)) = chosen.split_last() else {
        return Err(Error::invalid(
            "InvalidArgument",
            "an upload is completed with at least one part; put one first, or abort the upload",
        ));
    };
    if let Some(small) = rest.iter().find(|held| held.piece.size < least) {
        return Err(Error::invalid(
            "EntityTooSmall",
            format!(
                "every part but the last has at least {least} bytes, and part {} has {}",
                small.number, small.piece.size
            ),
        ));
    }
    Ok(chosen)
}

/// The entity tag of an object made of these parts, and its CRC-64 if those of all parts are known.
fn digests_of(oss: bool, chosen: &[&Held]) -> (ETag, Option<u64>) {
    let md5: Option<Vec<[u8; 16]>> = chosen.iter().map(|held| held.piece.md5.filter(|_| oss)).collect();
    let half = md5.and_then(|sums| {
        let mut hasher = Hasher::new(Digests::Oss);
        hasher.update(sums.as_flattened());
        hasher.finish().md5
    });
    let half = half.unwrap_or_else(|| {
        let mut hasher = blake3::Hasher::new();
        chosen.iter().for_each(|held| {
            hasher.update(&held.piece.blake3.unwrap_or_default());
        });
        let mut half = [0; 16];
        half.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        half
    });
    let crc64 = chosen.iter().try_fold(0, |whole, held| {
        held.piece.crc64.map(|crc64| crc64_combine(whole, crc64, held.piece.size))
    });
    (ETag::multipart(&half, chosen.len() as u32), crc64)
}

/// The envelopes that the body of an object is made of.
fn runs_of(chosen: &[&Held]) -> Vec<PartRun> {
    let mut runs: Vec<PartRun> = Vec::new();
    for held in chosen {
        let size = held.piece.size;
        match runs.last_mut() {
            Some(run) if run.first + run.count == held.number && run.size == size => run.count += 1,
            _ => runs.push(PartRun { first: held.number, count: 1, size }),
        }
    }
    runs
}

/// Where the bodies of parts lie, if they all lie in segments and not inside their entries.
fn places_of(chosen: &[&Held]) -> Vec<Extent> {
    let mut places = Vec::new();
    for held in chosen {
        match &held.body {
            NewBody::Extents(extents) => places.extend_from_slice(extents),
            NewBody::None => {}
            _ => return Vec::new(),
        }
    }
    places
}

impl Step for CompleteStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        let upload = &self.upload;
        let state = staged.bucket(&upload.bucket)?;
        let (row, _) = upload.find(staged)?;
        let blob = blob_of(&row);
        let held = parts::list(staged, blob, 0, usize::MAX)?;
        let chosen = choose(self.parts.as_deref(), &held, self.least)?;
        if let Some(plan) = PartPlan::of(&row.object.metadata)? {
            plan.check_parts(chosen.iter().map(|held| (held.number, held.piece.size)))?;
        }
        check_absent(&Chain::new(staged, &state), &upload.key, row.if_absent)?;

        let (etag, crc64) = digests_of(row.oss_digests, &chosen);
        // At most 10,000 parts of at most 5 GiB: never more than OSS's 48.8 TiB.
        let size = chosen.iter().map(|held| held.piece.size).sum();
        // What is stored of a part in an envelope is longer than the part.
        let stored = chosen.iter().map(|held| held.body.to_owned_body().len()).sum();
        let body = NewBody::Shared(SharedRef::new(blob, stored, &places_of(&chosen)));
        let mut object = ObjectRow { size, modified: staged.now.millis, ..row.object };
        let rare = object.rare_mut();
        if let Some(envelope) = rare.seal.as_mut().and_then(|seal| seal.envelope_mut()) {
            envelope.parts = runs_of(&chosen);
        }
        (rare.etag, rare.crc64) = (Some(etag.to_string()), crc64);
        rare.parts = chosen.len() as u32;

        staged.remove(upload.at());
        let mut kept = chosen.iter().map(|held| held.number).peekable();
        for held in &held {
            if kept.next_if_eq(&held.number).is_none() {
                staged.remove(engine::piece_key(blob, u64::from(held.number)));
                staged.count_pieces(blob, Keyed::Number, -1);
            }
        }
        let mut chain = Chain::new(staged, &state);
        let version = chain.push(&upload.key, object, Bringing::New(body))?;
        chain.check_quota()?;
        Ok(StepOutcome::Put(PutOutcome { etag, version, lsn: Lsn(chain.staged.now.lsn) }))
    }
}

/// Makes an object of the parts of an upload: of these, or of all.
pub fn complete(
    engine: &Arc<Engine>,
    upload: &UploadRef,
    parts: Option<&[Part]>,
    durability: Durability,
) -> Result<PutOutcome> {
    let parts = parts.map(|parts| parts.iter().map(|part| (part.number, part.etag.clone())).collect());
    commit(engine, CompleteStep { upload: upload.clone(), parts, least: MIN_PART }, durability)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::get::{self, GetOptions};

    /// As many parts as there may be, each as small as it may not be, so that they fit into memory.
    #[test]
    fn an_object_of_ten_thousand_parts_is_read_copied_and_removed() {
        let store = crate::api::Store::in_memory().unwrap();
        let bucket = store.create_bucket("cats").unwrap();
        let (engine, reference) = (store.engine(), bucket.reference());
        let options = UploadOptions::new().durability(Durability::Buffered);
        let upload = begin(engine, reference, "a", options).unwrap();
        let mut whole = Vec::new();
        for number in 1..=10_000u32 {
            let bytes = number.to_le_bytes().repeat(80);
            parts::put(engine, &upload, number, bytes[..].into(), Durability::Buffered).unwrap();
            whole.extend(bytes);
        }
        let step = CompleteStep { upload: upload.clone(), parts: None, least: 0 };
        let outcome = commit(engine, step, Durability::Buffered).unwrap();
        assert!(outcome.etag.as_str().ends_with("-10000"));
        let range = GetOptions::new().range(1_599_990..1_600_330);
        let got = get::get(&Reading::newest(engine), reference, "a", &range).unwrap();
        assert_eq!(got.body.len(), whole.len() as u64);
        assert_eq!(bucket.get_with("a", range).unwrap().bytes().unwrap(), whole[1_599_990..1_600_330]);
        bucket.copy("a", "b").unwrap();
        bucket.delete("a").unwrap();
        assert!(bucket.get("b").unwrap().bytes().unwrap() == whole);
        assert!(store.verify().unwrap().is_clean());
        bucket.delete("b").unwrap();
        store.maintain(std::time::Duration::from_secs(60)).unwrap();
        let report = store.verify().unwrap();
        // The bucket's two rows, and the note of the last commit that tidied.
        assert!(report.is_clean() && report.entries == 3, "{report:?}");
    }
}
