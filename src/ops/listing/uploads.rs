//! Listing of uploads in progress, by key and then in the order in which they were begun.

use std::time::SystemTime;

use super::options::ListOptions;
use super::walk::{end_of, first_from, group_of};
use crate::catalog::keyspace::keys;
use crate::catalog::{Rows, unreadable};
use crate::error::{Error, Result};
use crate::format::row::{self, UploadRow};
use crate::model::{StorageClass, UploadId, from_millis};
use crate::write::context::{BucketRef, Reading};

/// How many entries a page has if nothing else is said (OSS's most).
const PAGE: usize = 1000;

/// How many entries an iterator fetches at once.
const BATCH: usize = 256;

/// An upload in progress, as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UploadEntry {
    /// The key that the object will have.
    pub key: String,
    /// The upload's name, for [`Bucket::resume_upload`](crate::Bucket::resume_upload).
    pub id: UploadId,
    /// When it was begun.
    pub initiated: SystemTime,
    /// The storage class that the object will have.
    pub class: StorageClass,
    /// How many parts there are.
    pub parts: u32,
    /// Bytes of all of them.
    pub bytes: u64,
}

/// One page of a listing of uploads.
///
/// Each page shows the bucket as it is when the page is asked for. Over all pages, an upload that is open the whole time is
/// told exactly once, whatever is begun, completed and aborted in between.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UploadsPage {
    /// The uploads, by key and then in the order in which they were begun.
    pub uploads: Vec<UploadEntry>,
    /// What keys were rolled up into, if a delimiter was given.
    pub prefixes: Vec<String>,
    /// What to give `start_after` for the next page; `None` if this was the last one.
    pub next_key: Option<String>,
    /// What to give `start_after_upload` for the next page; `None` also if this page ends with a prefix.
    pub next_upload: Option<UploadId>,
}

/// What a walk comes to.
enum Step {
    Upload(UploadEntry),
    Prefix(String),
}

/// A walk through the uploads of a bucket, in one view from the first to the last.
#[derive(Debug)]
pub struct UploadWalk {
    reading: Reading,
    /// The bucket's id.
    bucket: u64,
    prefix: String,
    delimiter: String,
    /// The key of the map that the walk goes on at; `None` at its end.
    next: Option<Vec<u8>>,
    left: Option<usize>,
}

impl UploadWalk {
    /// Begins.
    pub fn begin(reading: &Reading, bucket: &BucketRef, options: ListOptions) -> Result<UploadWalk> {
        options.check()?;
        if options.descending || options.start_after_version.is_some() {
            return Err(Error::invalid(
                "InvalidArgument",
                "uploads are listed from the first key to the last one, and they have no versions",
            ));
        }
        let reading = Reading { pinned: Some(reading.pin()?), ..reading.clone() };
        reading.with(|moment| bucket.state(moment))?;
        let next = Some(first_key(bucket.id, &options)?);
        let ListOptions { prefix, delimiter, limit: left, .. } = options;
        Ok(UploadWalk { reading, bucket: bucket.id, prefix, delimiter, next, left })
    }

    /// An iteration, which rolls nothing up.
    pub fn iterate(reading: &Reading, bucket: &BucketRef, options: ListOptions) -> Result<UploadWalk> {
        if !options.delimiter.is_empty() {
            return Err(Error::invalid(
                "InvalidArgument",
                "an iteration of uploads takes no delimiter; `uploads_page` does",
            ));
        }
        UploadWalk::begin(reading, bucket, options)
    }

    fn fetch(&mut self, most: usize) -> Result<Vec<Step>> {
        let mut steps = Vec::new();
        let Some(mut from) = self.next.take() else {
            return Ok(steps);
        };
        let end = keys::uploads_from(self.bucket, &end_of(&self.prefix));
        self.next = self.reading.with(|moment| {
            while let Some(mut at) = moment.next(&from, &end)? {
                if steps.len() == most {
                    return Ok(Some(at));
                }
                let parsed = keys::parse_upload(&at);
                let (key, lsn, n) = parsed.ok_or_else(|| unreadable("the key of an upload is none"))?;
                if let Some(group) = group_of(&self.prefix, &self.delimiter, &key) {
                    from = keys::uploads_from(self.bucket, &end_of(group));
                    steps.push(Step::Prefix(group.to_string()));
                    continue;
                }
                if let Some(found) = moment.get(&at)? {
                    let row: UploadRow = row::decode(&found.payload).map_err(unreadable)?;
                    let class = StorageClass::from_number(row.object.class);
                    steps.push(Step::Upload(UploadEntry {
                        key,
                        id: UploadId::of(lsn, n),
                        initiated: from_millis(row.object.modified),
                        class: class
                            .ok_or_else(|| unreadable("the storage class of an upload is unknown"))?,
                        parts: row.parts,
                        bytes: row.bytes,
                    }));
                }
                at.push(0);
                from = at;
            }
            Ok(None)
        })?;
        Ok(steps)
    }

    /// The next batch of an iteration; empty at its end.
    pub fn next_batch(&mut self) -> Result<Vec<UploadEntry>> {
        let most = self.left.map_or(BATCH, |left| left.min(BATCH));
        if most == 0 {
            return Ok(Vec::new());
        }
        let steps = self.fetch(most)?;
        if let Some(left) = &mut self.left {
            *left -= steps.len();
        }
        Ok(steps.into_iter().filter_map(Step::upload).collect())
    }

    /// All of it as one page.
    pub fn page(mut self) -> Result<UploadsPage> {
        let steps = self.fetch(self.left.unwrap_or(PAGE))?;
        let mut page =
            UploadsPage { uploads: Vec::new(), prefixes: Vec::new(), next_key: None, next_upload: None };
        if self.next.is_some() {
            (page.next_key, page.next_upload) = match steps.last() {
                Some(Step::Upload(last)) => (Some(last.key.clone()), Some(last.id.clone())),
                Some(Step::Prefix(last)) => (Some(last.clone()), None),
                None => (None, None),
            };
        }
        for step in steps {
            match step {
                Step::Upload(entry) => page.uploads.push(entry),
                Step::Prefix(prefix) => page.prefixes.push(prefix),
            }
        }
        Ok(page)
    }
}

impl Step {
    fn upload(self) -> Option<UploadEntry> {
        match self {
            Step::Upload(entry) => Some(entry),
            Step::Prefix(_) => None,
        }
    }
}

/// Where a walk begins: at the prefix, behind an upload, behind all uploads to a key, or behind a whole group.
fn first_key(bucket: u64, options: &ListOptions) -> Result<Vec<u8>> {
    let ListOptions { prefix, delimiter, start_after, .. } = options;
    let start = keys::uploads_from(bucket, &first_from(prefix, delimiter, &options.start));
    if start_after.is_empty() {
        return Ok(start);
    }
    let mut behind = match (&options.start_after_upload, group_of(prefix, delimiter, start_after)) {
        (_, Some(group)) => keys::uploads_from(bucket, &end_of(group)),
        (None, None) => keys::upload(bucket, start_after, u64::MAX, u32::MAX),
        (Some(id), None) => {
            let id = UploadId::parse(id).ok_or_else(|| {
                Error::invalid("InvalidArgument", format!("no upload can be called {id:?}"))
            })?;
            keys::upload(bucket, start_after, id.seq().0, id.seq().1)
        }
    };
    behind.push(0);
    Ok(behind.max(start))
}
