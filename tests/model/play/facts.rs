//! What the store and the reference say of one thing, in a form in which the two can be compared.

use std::time::SystemTime;

use ossicle::{
    AppendOptions, CopyOptions, Digests, Durability, Entry, Error, ErrorKind, ListOptions, ObjectDigests,
    ObjectKind, ObjectMeta, PutOptions, RestoreStatus, UploadOptions,
};

use super::restoring::millis;
use crate::history::{Extras, Lines};
use crate::reference::{self, Answer, Attributes, Dress, Line, List, Name, Restoring, Usage, Wants};

/// What is known of an object, in a form that both sides can say.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    key: String,
    size: u64,
    etag: String,
    kind: ObjectKind,
    target: Option<String>,
    digests: ObjectDigests,
    dressed: Attributes,
    modified: u64,
    parts: u32,
    restoring: Asked,
    lsn: Commits,
    version: Version,
}

/// How far the restoring of a body has come, as the store says it at some moment, and what the reference knows of it.
#[derive(Clone, Debug)]
pub enum Asked {
    Seen(Option<RestoreStatus>),
    Told(Option<Restoring>),
}

impl PartialEq for Asked {
    /// What was seen was so at a moment that nobody knows here. Whether the body can be read is seen by reading it.
    fn eq(&self, other: &Asked) -> bool {
        match (self, other) {
            (Asked::Seen(seen), Asked::Told(told)) | (Asked::Told(told), Asked::Seen(seen)) => {
                match (seen, told) {
                    (None, _) => true,
                    (Some(RestoreStatus::Ongoing { priority, ready, until }), Some(told)) => {
                        let seen = (*priority, millis(*ready), millis(*until));
                        seen == (told.priority, told.ready, told.until)
                    }
                    (Some(RestoreStatus::Restored { until }), Some(told)) => millis(*until) == told.until,
                    _ => false,
                }
            }
            (Asked::Seen(one), Asked::Seen(other)) => one == other,
            (Asked::Told(one), Asked::Told(other)) => one == other,
        }
    }
}

/// The commit that wrote something; of an object that was moved with its prefix, each that may be said.
#[derive(Clone, Debug)]
pub struct Commits(pub Vec<u64>);

impl PartialEq for Commits {
    fn eq(&self, other: &Commits) -> bool {
        self.0.iter().any(|lsn| other.0.contains(lsn))
    }
}

/// What a version is called, as the store says it and as the reference does.
#[derive(Clone, Debug)]
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
            kind: meta.kind,
            target: meta.target().map(str::to_string),
            digests: meta.digests,
            dressed: Attributes {
                content_type: meta.content_type.clone(),
                metadata: meta.metadata.clone(),
                headers: meta.headers().clone(),
                tags: meta.tags().to_vec(),
                acl: meta.acl(),
                class: meta.class,
                retention: meta.retention(),
                hold: meta.legal_hold(),
            },
            modified: modified.as_millis() as u64,
            parts: meta.parts(),
            restoring: Asked::Seen(meta.restore()),
            lsn: Commits(vec![meta.lsn.0]),
            version: Version::Seen(meta.version.as_ref().map(ToString::to_string)),
        }
    }

    /// The same under another key.
    pub(super) fn under(self, key: &str) -> Facts {
        Facts { key: key.to_string(), ..self }
    }

    /// Whether a version is told.
    pub(super) fn says_version(&self) -> bool {
        matches!(&self.version, Version::Seen(Some(_)) | Version::Told(Some(_)))
    }

    /// What the reference says, in a bucket that keeps versions or not.
    pub(super) fn told(key: &str, object: &reference::Object, versioned: bool) -> Facts {
        Facts {
            key: key.to_string(),
            size: object.body.len() as u64,
            etag: object.etag.clone(),
            kind: object.kind,
            target: object.target.clone(),
            digests: object.digests,
            dressed: object.dressed.clone(),
            modified: object.modified,
            parts: object.parts,
            restoring: Asked::Told(object.restoring),
            lsn: Commits(object.lsns()),
            version: Version::Told(versioned.then(|| object.name.clone())),
        }
    }
}

/// A line of a listing, in a form that both sides can say.
#[derive(Debug, PartialEq)]
pub(super) enum Seen {
    Object(Box<Facts>),
    Prefix(String),
}

impl Seen {
    pub(super) fn of(entry: &Entry) -> Seen {
        match entry {
            Entry::Object(meta) => Seen::Object(Box::new(Facts::of(meta))),
            Entry::Prefix(prefix) => Seen::Prefix(prefix.clone()),
            other => panic!("an entry of a kind that the model does not know: {other:?}"),
        }
    }

    pub(super) fn told(line: &Line, versioned: bool) -> Seen {
        match line {
            Line::Object(key, object) => Seen::Object(Box::new(Facts::told(key, object, versioned))),
            Line::Prefix(prefix) => Seen::Prefix(prefix.clone()),
        }
    }
}

/// The kind that an error with this code has.
pub(super) fn kind_of(code: &str) -> ErrorKind {
    match code {
        "NoSuchKey" | "NoSuchBucket" | "NoSuchVersion" | "NoSuchUpload" | "SymlinkTargetNotExist" => {
            ErrorKind::NotFound
        }
        "FileImmutable" => ErrorKind::Immutable,
        "PositionNotEqualToLength" | "ObjectNotAppendable" => ErrorKind::Precondition,
        "BucketAlreadyExists" | "BucketNotEmpty" => ErrorKind::AlreadyExists,
        "FileAlreadyExists" | "PreconditionFailed" => ErrorKind::Precondition,
        "NotModified" => ErrorKind::NotModified,
        "QuotaExceeded" => ErrorKind::Quota,
        "InvalidObjectState" | "RestoreAlreadyInProgress" => ErrorKind::Archived,
        "MethodNotAllowed" | "OperationNotSupported" => ErrorKind::Unsupported,
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
    let mut classes = [(0, 0); 5];
    for (class, objects, bytes) in &usage.classes {
        assert!(*objects > 0, "a class with nothing in it is told: {usage:?}");
        classes[*class as usize] = (*objects, *bytes);
    }
    Usage {
        classes,
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
    Dress {
        content_type: extras.content_type.clone(),
        metadata: extras.metadata.clone(),
        headers: extras.headers.clone(),
        tags: extras.tags.clone(),
        acl: extras.acl,
        class: extras.class,
        digests: digests(extras),
    }
}

fn digests(extras: &Extras) -> Digests {
    if extras.oss { Digests::Oss } else { Digests::Fast }
}

/// Puts what a write carries into options; all kinds of them name it the same.
macro_rules! dressed {
    ($options:expr, $dress:expr) => {{
        let (mut options, dress): (_, &Dress) = ($options, $dress);
        if let Some(text) = &dress.content_type {
            options = options.content_type(text);
        }
        for (name, value) in dress.metadata.iter().flatten() {
            options = options.metadata(name, value);
        }
        if let Some(headers) = &dress.headers {
            options = options.headers(headers.clone());
        }
        for (key, value) in dress.tags.iter().flatten() {
            options = options.tag(key, value);
        }
        if let Some(acl) = dress.acl {
            options = options.acl(acl);
        }
        match dress.class {
            Some(class) => options.storage_class(class),
            None => options,
        }
    }};
}

pub(super) fn append_options(extras: &Extras) -> AppendOptions {
    dressed!(AppendOptions::new(), &dress(extras)).durability(durability(extras.synced))
}

pub(super) fn upload_options(extras: &Extras) -> UploadOptions {
    let options = dressed!(UploadOptions::new(), &dress(extras));
    let options = options.durability(Durability::Buffered).digests(digests(extras));
    if extras.if_absent { options.if_absent() } else { options }
}

/// Puts what a copy is to carry into its options: no pair at all means that the source's are dropped.
pub(super) fn copy_dressed(mut options: CopyOptions, dress: &Dress) -> CopyOptions {
    if dress.metadata.is_some() {
        options = options.no_metadata();
    }
    if dress.tags.is_some() {
        options = options.no_tags();
    }
    dressed!(options, dress)
}

pub(super) fn put_options(extras: &Extras, wants: &Wants) -> PutOptions {
    let mut options = dressed!(PutOptions::new(), &dress(extras)).durability(durability(extras.synced));
    options = options.digests(digests(extras));
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
        start: lines.start.clone(),
        start_after: lines.start_after.clone(),
        limit: lines.limit,
        descending: lines.descending,
    }
}

pub(super) fn list_options(lines: &Lines) -> ListOptions {
    let options =
        ListOptions::new().prefix(&lines.prefix).delimiter(&lines.delimiter).start_after(&lines.start_after);
    let options = if lines.start.is_empty() { options } else { options.start(&lines.start) };
    let options = if lines.descending { options.descending() } else { options };
    match lines.limit {
        Some(limit) => options.limit(limit),
        None => options,
    }
}
