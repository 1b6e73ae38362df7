//! What the store and the reference say of one thing, in a form in which the two can be compared.

use std::collections::BTreeMap;
use std::time::SystemTime;

use ossicle::{CopyOptions, Durability, Entry, Error, ErrorKind, ListOptions, ObjectMeta, PutOptions};

use crate::history::{Extras, Lines};
use crate::reference::{self, Answer, Dress, Line, List, Name, Usage, Wants};

/// What is known of an object, in a form that both sides can say.
#[derive(Debug, PartialEq)]
pub struct Facts {
    key: String,
    size: u64,
    etag: String,
    content_type: Option<String>,
    metadata: BTreeMap<String, String>,
    modified: u64,
    parts: u32,
    tags: Vec<(String, String)>,
    lsn: Commits,
    version: Version,
}

/// The commit that wrote something; of an object that was moved with its prefix, each that may be said.
#[derive(Debug)]
pub struct Commits(pub Vec<u64>);

impl PartialEq for Commits {
    fn eq(&self, other: &Commits) -> bool {
        self.0.iter().any(|lsn| other.0.contains(lsn))
    }
}

/// What a version is called, as the store says it and as the reference does.
#[derive(Debug)]
pub enum Version {
    Seen(Option<String>),
    Told(Option<Name>),
}

impl PartialEq for Version {
    fn eq(&self, other: &Version) -> bool {
        match (self, other) {
            (Version::Seen(seen), Version::Told(told)) | (Version::Told(told), Version::Seen(seen)) => {
                match (seen, told) {
                    (Some(seen), Some(told)) => told.is(seen),
                    (seen, told) => seen.is_none() && told.is_none(),
                }
            }
            (Version::Seen(one), Version::Seen(other)) => one == other,
            (Version::Told(one), Version::Told(other)) => one == other,
        }
    }
}

impl Facts {
    pub(super) fn of(meta: &ObjectMeta) -> Facts {
        let modified = meta.modified.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Facts {
            key: meta.key.clone(),
            size: meta.size,
            etag: meta.etag.to_string(),
            content_type: meta.content_type.clone(),
            metadata: meta.metadata.clone(),
            modified: modified.as_millis() as u64,
            parts: meta.parts(),
            tags: meta.tags().to_vec(),
            lsn: Commits(vec![meta.lsn.0]),
            version: Version::Seen(meta.version.as_ref().map(ToString::to_string)),
        }
    }

    /// What the reference says, in a bucket that keeps versions or not.
    pub(super) fn told(key: &str, object: &reference::Object, versioned: bool) -> Facts {
        Facts {
            key: key.to_string(),
            size: object.body.len() as u64,
            etag: object.etag.clone(),
            content_type: object.content_type.clone(),
            metadata: object.metadata.clone(),
            modified: object.modified,
            parts: object.parts,
            tags: object.tags.clone(),
            lsn: Commits(object.lsns()),
            version: Version::Told(versioned.then(|| object.name.clone())),
        }
    }
}

/// A line of a listing, in a form that both sides can say.
#[derive(Debug, PartialEq)]
pub(super) enum Seen {
    Object(Facts),
    Prefix(String),
}

impl Seen {
    pub(super) fn of(entry: &Entry) -> Seen {
        match entry {
            Entry::Object(meta) => Seen::Object(Facts::of(meta)),
            Entry::Prefix(prefix) => Seen::Prefix(prefix.clone()),
            other => panic!("an entry of a kind that the model does not know: {other:?}"),
        }
    }

    pub(super) fn told(line: &Line, versioned: bool) -> Seen {
        match line {
            Line::Object(key, object) => Seen::Object(Facts::told(key, object, versioned)),
            Line::Prefix(prefix) => Seen::Prefix(prefix.clone()),
        }
    }
}

/// The kind that an error with this code has.
pub(super) fn kind_of(code: &str) -> ErrorKind {
    match code {
        "NoSuchKey" | "NoSuchBucket" | "NoSuchVersion" | "NoSuchUpload" => ErrorKind::NotFound,
        "BucketAlreadyExists" | "BucketNotEmpty" => ErrorKind::AlreadyExists,
        "FileAlreadyExists" | "PreconditionFailed" => ErrorKind::Precondition,
        "NotModified" => ErrorKind::NotModified,
        "QuotaExceeded" => ErrorKind::Quota,
        "MethodNotAllowed" | "InvalidRequest" => ErrorKind::Unsupported,
        _ => ErrorKind::Invalid,
    }
}

/// The answer of the store as the reference would say it.
pub(super) fn code<T>(answer: Result<T, Error>) -> Result<T, String> {
    answer.map_err(|error| {
        assert_eq!(error.kind(), kind_of(error.code()), "{error:?}");
        let told = error.to_string();
        assert!(!told.is_empty() && !told.contains('\n'), "not one line: {told:?}");
        error.code().to_string()
    })
}

#[track_caller]
pub(super) fn same<T: PartialEq + std::fmt::Debug>(real: Result<T, Error>, told: Answer<T>) {
    assert_eq!(code(real), told.map_err(str::to_string));
}

/// How much the store says there is.
pub(super) fn usage_of(usage: &ossicle::Usage) -> Usage {
    Usage {
        objects: usage.objects,
        bytes: usage.bytes,
        noncurrent_objects: usage.noncurrent_objects,
        noncurrent_bytes: usage.noncurrent_bytes,
        markers: usage.markers,
        uploads: usage.uploads,
        upload_bytes: usage.upload_bytes,
    }
}

pub(super) fn durability(synced: bool) -> Durability {
    if synced { Durability::Synced } else { Durability::Buffered }
}

pub(super) fn dress(extras: &Extras) -> Dress {
    Dress { content_type: extras.content_type.clone(), metadata: extras.metadata.clone() }
}

pub(super) fn put_options(extras: &Extras, wants: &Wants) -> PutOptions {
    let mut options = PutOptions::new().durability(durability(extras.synced));
    if let Some(text) = &extras.content_type {
        options = options.content_type(text);
    }
    for (name, value) in extras.metadata.iter().flatten() {
        options = options.metadata(name, value);
    }
    if wants.if_absent {
        options = options.if_absent();
    }
    if let Some(tag) = &wants.if_none_match {
        options = options.if_none_match(tag);
    }
    match &wants.if_match {
        Some(tag) => options.if_match(tag),
        None => options,
    }
}

/// Conditions and durability only.
pub(super) fn copy_options(extras: &Extras, wants: &Wants) -> CopyOptions {
    let mut options = CopyOptions::new().durability(durability(extras.synced));
    if wants.if_absent {
        options = options.if_absent();
    }
    if let Some(tag) = &wants.if_none_match {
        options = options.if_none_match(tag);
    }
    match &wants.if_match {
        Some(tag) => options.if_match(tag),
        None => options,
    }
}

pub(super) fn list(lines: &Lines) -> List {
    List {
        prefix: lines.prefix.clone(),
        delimiter: lines.delimiter.clone(),
        start_after: lines.start_after.clone(),
        limit: lines.limit,
    }
}

pub(super) fn list_options(lines: &Lines) -> ListOptions {
    let options =
        ListOptions::new().prefix(&lines.prefix).delimiter(&lines.delimiter).start_after(&lines.start_after);
    match lines.limit {
        Some(limit) => options.limit(limit),
        None => options,
    }
}
