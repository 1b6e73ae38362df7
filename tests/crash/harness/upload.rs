//! Uploads in parts: what scripts do with them, what the model makes of it, and how they are read.

use std::collections::BTreeMap;
use std::sync::Arc;

use ossicle::{
    Bucket, Durability, ErrorKind, ListOptions, Part, Result, StorageClass, Upload, UploadOptions,
};

use super::Verdict;
use super::model::{State, Thing};
use super::script::Body;

/// What is done with the one upload to a key.
#[derive(Clone, Debug)]
pub enum Uploading {
    Begin,
    /// Begun in a class.
    BeginIn(StorageClass),
    Part {
        number: u32,
        body: Body,
        durability: Durability,
    },
    Complete(Vec<u32>),
    Abort,
}

/// A part, as the model knows it. What is read of a store has no bytes: `verify` holds those against their hash.
#[derive(Clone, Debug)]
pub struct Piece {
    /// How many bytes.
    pub len: u64,
    /// Their entity tag.
    pub etag: String,
    body: Option<Arc<Vec<u8>>>,
}

impl PartialEq for Piece {
    fn eq(&self, other: &Piece) -> bool {
        (self.len, &self.etag) == (other.len, &other.etag)
    }
}

impl Eq for Piece {}

/// The uploads in progress by bucket and key: their class, and their parts by number.
pub type Uploads = BTreeMap<(String, String), (StorageClass, BTreeMap<u32, Piece>)>;

impl Uploading {
    /// When it is done.
    pub fn is_synced(&self) -> bool {
        !matches!(self, Uploading::Part { durability: Durability::Buffered, .. })
    }

    /// The class of the upload that it begins.
    fn begins_in(&self) -> Option<StorageClass> {
        match self {
            Uploading::Begin => Some(StorageClass::Standard),
            Uploading::BeginIn(class) => Some(*class),
            _ => None,
        }
    }

    /// What it makes of a state.
    pub fn apply(&self, state: &mut State, bucket: &str, key: &str) -> Result<(), ErrorKind> {
        if !state.buckets.contains_key(bucket) {
            return Err(ErrorKind::NotFound);
        }
        let at = (bucket.to_string(), key.to_string());
        if let Some(class) = self.begins_in() {
            let begun = state.uploads.insert(at, (class, BTreeMap::new()));
            assert!(begun.is_none(), "one upload to a key at a time");
            return Ok(());
        }
        let (class, parts) = state.uploads.get_mut(&at).ok_or(ErrorKind::NotFound)?;
        match self {
            Uploading::Begin | Uploading::BeginIn(_) => {}
            Uploading::Part { number, body, .. } => {
                let body = body.bytes();
                let hash = blake3::hash(&body).to_hex().to_ascii_uppercase();
                let (len, etag) = (body.len() as u64, hash[..32].to_string());
                parts.insert(*number, Piece { len, etag, body: Some(Arc::new(body)) });
            }
            Uploading::Complete(numbers) => {
                let mut body = Vec::new();
                for number in numbers {
                    let piece = parts.get(number).ok_or(ErrorKind::Invalid)?;
                    body.extend_from_slice(piece.body.as_ref().expect("the model knows the bytes"));
                }
                let (content_type, metadata) = (Some(TYPE.to_string()), BTreeMap::new());
                let class = *class;
                let thing = Arc::new(Thing { body, content_type, metadata, class, ..Thing::default() });
                state.uploads.remove(&at);
                state.buckets.get_mut(bucket).expect("looked up above").insert(key.into(), thing);
            }
            Uploading::Abort => {
                state.uploads.remove(&at);
            }
        }
        Ok(())
    }

    /// Does it.
    pub fn run(&self, bucket: &Bucket, key: &str) -> Result<()> {
        if let Some(class) = self.begins_in() {
            let options = UploadOptions::new().content_type(TYPE).storage_class(class);
            return bucket.upload(key, options).map(drop);
        }
        let upload = find(bucket, key)?;
        match self {
            Uploading::Begin | Uploading::BeginIn(_) => Ok(()),
            Uploading::Part { number, body, durability } => {
                upload.durability(*durability).put_part(*number, body.bytes()).map(drop)
            }
            Uploading::Complete(numbers) => {
                let parts = upload.parts()?;
                // A part that was refused is asked for all the same.
                let find = |number: &u32| {
                    let found = parts.iter().find(|part| part.number == *number);
                    found.cloned().unwrap_or_else(|| Part::new(*number, "missing"))
                };
                let chosen: Vec<Part> = numbers.iter().map(find).collect();
                upload.complete(&chosen).map(drop)
            }
            Uploading::Abort => upload.abort(),
        }
    }
}

/// The media type that objects made of parts get.
const TYPE: &str = "test/parts";

fn find(bucket: &Bucket, key: &str) -> Result<Upload> {
    for entry in bucket.uploads(ListOptions::new().prefix(key))? {
        let entry = entry?;
        if entry.key == key {
            return bucket.resume_upload(key, &entry.id);
        }
    }
    bucket.resume_upload(key, "none")
}

/// Reads the uploads of a bucket, and holds the listing against the parts and the usage.
pub fn observe(bucket: &Bucket) -> Verdict<Uploads> {
    let told = |doing: &str, error: ossicle::Error| format!("{doing} failed: {error}");
    let mut uploads = Uploads::new();
    let mut bytes = 0;
    for entry in bucket.uploads(ListOptions::new()).map_err(|e| told("listing uploads", e))? {
        let entry = entry.map_err(|e| told("listing uploads", e))?;
        let upload = bucket.resume_upload(&entry.key, &entry.id).map_err(|e| told("finding an upload", e))?;
        let parts = upload.parts().map_err(|e| told("listing parts", e))?;
        let held = parts.iter().map(|part| part.size).sum::<u64>();
        if (u64::from(entry.parts), entry.bytes) != (parts.len() as u64, held) {
            return Err(format!("{entry:?} has {} parts with {held} bytes", parts.len()));
        }
        bytes += held;
        let piece = |part: &Part| Piece { len: part.size, etag: part.etag.to_string(), body: None };
        let pieces = parts.iter().map(|part| (part.number, piece(part))).collect();
        let at = (bucket.name().to_string(), entry.key.clone());
        if uploads.insert(at, (entry.class, pieces)).is_some() {
            return Err(format!("there are two uploads to {}", entry.key));
        }
    }
    let usage = bucket.usage("").map_err(|e| told("asking for the usage", e))?;
    if (usage.uploads, usage.upload_bytes) != (uploads.len() as u64, bytes) {
        return Err(format!("usage says {usage:?}, there are {} uploads with {bytes} bytes", uploads.len()));
    }
    Ok(uploads)
}
