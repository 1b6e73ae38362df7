//! Versions: the listing of every version and delete marker, and putting an older one on top.

use std::sync::Arc;
use std::time::SystemTime;

use super::options::{BATCH, ListOptions, PAGE};
use super::walk::{end_of, first_from, group_of};
use crate::catalog::keyspace::keys;
use crate::catalog::{self, BucketState, HeadRow, Kind, Moment};
use crate::engine::View;
use crate::engine::state::engine::Engine;
use crate::error::{Error, Result};
use crate::model::{ETag, Lsn, ObjectKind, ObjectMeta, StorageClass, VersionId, from_millis};
use crate::write::context::{BucketRef, Reading};
use crate::write::outcome::{PutOutcome, StepOutcome};

/// A version of an object, or a delete marker, in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VersionEntry {
    /// The key.
    pub key: String,
    /// The version's name; `null` for every object of a bucket that never kept versions.
    pub version: VersionId,
    /// Whether it is a delete marker.
    pub marker: bool,
    /// Whether it is the newest of its key: true for exactly one of them, which may be a delete marker.
    pub latest: bool,
    /// Bytes of body; 0 for a delete marker.
    pub size: u64,
    /// When it was written.
    pub modified: SystemTime,
    /// The entity tag; `None` for a delete marker.
    pub etag: Option<ETag>,
    /// The storage class; `None` for a delete marker.
    pub class: Option<StorageClass>,
    /// How it came to be; `None` for a delete marker.
    pub kind: Option<ObjectKind>,
    /// Everything that is known of it; `None` for a delete marker.
    pub meta: Option<Box<ObjectMeta>>,
}

/// One page of a listing of versions.
///
/// Each page shows the bucket as it is when the page is asked for. Over all pages, a version that is there the whole time is
/// told exactly once, with one exception. The name of a version says where it stands among those of its key, apart from
/// `null`. Where a page ends at the version `null`, and that is replaced before the next page is asked for, the next page
/// begins behind the new one, which it does not tell: of what was told before, everything that is older than the new one is
/// told again. If it is removed, the next page begins with the first version of the key. Nothing that stays is left out. For
/// a listing that nothing changes, take one of a [snapshot](crate::Store::snapshot).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VersionPage {
    /// The versions and delete markers: keys in the order of their bytes, of each key the newest first.
    pub entries: Vec<VersionEntry>,
    /// What was rolled up at the delimiter, in order. Each counts toward the limit.
    pub prefixes: Vec<String>,
    /// What to give `start_after` for the next page; `None` if this was the last one.
    pub next_key: Option<String>,
    /// What to give `start_after_version` for the next page, if the page ends among the versions of a key.
    pub next_version: Option<VersionId>,
}

/// Where a walk goes on.
#[derive(Clone, Debug)]
enum Place {
    /// At the first key at or above this.
    From(Vec<u8>),
    /// Among the versions of this key, behind that one.
    Within(Vec<u8>, Vec<u8>),
}

/// What a walk comes by.
#[derive(Debug)]
enum Met {
    Version(Box<VersionEntry>),
    Group(String),
}

/// A walk through the versions of a bucket, in one view from the first to the last.
#[derive(Debug)]
pub struct VersionWalk {
    engine: Arc<Engine>,
    view: Arc<View>,
    at: Option<u64>,
    state: Arc<BucketState>,
    prefix: String,
    delimiter: String,
    next: Option<Place>,
    left: Option<usize>,
    batch: usize,
}

impl VersionWalk {
    /// Begins.
    pub fn begin(reading: Reading, bucket: &BucketRef, options: ListOptions) -> Result<VersionWalk> {
        let view = reading.pin()?;
        options.check()?;
        let invalid = |why: &str| Err(Error::invalid("InvalidArgument", why));
        if options.descending {
            return invalid("versions are listed from the first key to the last only");
        }
        if options.start_after_version.is_some() && options.start_after.is_empty() {
            return invalid("start_after_version goes on within a key, so start_after must name that key");
        }
        let at = reading.at;
        let state = bucket.state(&Moment { view: &view, at })?;
        let ListOptions { prefix, delimiter, start, start_after, start_after_version, limit, .. } = options;
        let (engine, batch) = (reading.engine, BATCH.0);
        let mut walk =
            VersionWalk { engine, view, at, state, prefix, delimiter, next: None, left: limit, batch };
        let from = first_from(&walk.prefix, &walk.delimiter, &start);
        walk.next = Some(match walk.first_place(&start_after, start_after_version.as_ref())? {
            Place::From(after) => Place::From(after.max(from)),
            Place::Within(after, _) if after < from => Place::From(from),
            within => within,
        });
        Ok(walk)
    }

    /// All of it is to be seen one by one: refuses a delimiter.
    pub fn ungrouped(self) -> Result<VersionWalk> {
        if self.delimiter.is_empty() {
            return Ok(self);
        }
        Err(Error::invalid(
            "InvalidArgument",
            "an iteration of versions does not roll up at a delimiter; ask for pages with versions_page",
        ))
    }

    fn first_place(&self, start_after: &str, version: Option<&VersionId>) -> Result<Place> {
        if start_after < self.prefix.as_str() || start_after.is_empty() {
            return Ok(Place::From(self.prefix.as_bytes().to_vec()));
        }
        if let Some(group) = group_of(&self.prefix, &self.delimiter, start_after) {
            return Ok(Place::From(end_of(group)));
        }
        let key = start_after.as_bytes().to_vec();
        let Some(version) = version else {
            return Ok(Place::From([&key[..], &[0]].concat()));
        };
        // The name of a version says where it is or was. The null version does not: if there is none, what is
        // told twice does less harm than what is left out.
        let tail = match version.seq() {
            Some((lsn, n)) => Some(keys::version_tail(lsn, n)),
            None => {
                let moment = Moment { view: &self.view, at: self.at };
                let found = catalog::find_version(self.state.bucket_view(&moment), start_after, version)?;
                found.map(|(head, ..)| head.tail())
            }
        };
        Ok(match tail {
            Some(tail) => Place::Within(key, tail.to_vec()),
            None => Place::From(key),
        })
    }

    /// The next entries, at most `most`. Its cost follows what it returns: the versions of other keys, and what is
    /// rolled up, are stepped over by a seek.
    fn fetch(&mut self, most: usize) -> Result<Vec<Met>> {
        let (mut from, mut within) = match self.next.take() {
            None => return Ok(Vec::new()),
            Some(Place::From(key)) => (key, None),
            Some(Place::Within(key, tail)) => (key, Some(tail)),
        };
        self.engine.check_open()?;
        let (view, state) = (self.view.clone(), self.state.clone());
        let moment = Moment { view: &view, at: self.at };
        let end = end_of(&self.prefix);
        let mut met = Vec::new();
        while let Some((at, found)) = state.bucket_view(&moment).next(Kind::Head, &from, Some(&end))? {
            let key = String::from_utf8(at)
                .map_err(|_| Error::corrupt("the index", 0, "the key of an object is not UTF-8"))?;
            let after = within.take().filter(|_| *key.as_bytes() == *from);
            if let Some(group) = group_of(&self.prefix, &self.delimiter, &key) {
                if met.len() == most {
                    self.next = Some(Place::From(key.into_bytes()));
                    break;
                }
                from = end_of(group);
                met.push(Met::Group(group.to_string()));
                continue;
            }
            let head = HeadRow::of(&key, &found)?;
            let mut tail = head.tail().to_vec();
            if after.as_ref().is_none_or(|after| tail > *after) {
                if met.len() == most {
                    self.next = Some(Place::From(key.into_bytes()));
                    break;
                }
                met.push(self.met(&key, head, true)?);
            }
            tail = after.map_or(tail.clone(), |after| after.max(tail));
            if state.versioning().is_some() && !self.fetch_older(&moment, &key, &mut tail, most, &mut met)? {
                self.next = Some(Place::Within(key.into_bytes(), tail));
                break;
            }
            from = key.into_bytes();
            from.push(0);
        }
        Ok(met)
    }

    /// The versions of a key behind `tail` that are not current. Says whether these were all.
    fn fetch_older(
        &self,
        moment: &Moment<'_>,
        key: &str,
        tail: &mut Vec<u8>,
        most: usize,
        met: &mut Vec<Met>,
    ) -> Result<bool> {
        let Some(space) = self.state.route.own_space().filter(|_| self.at.is_none()) else {
            let bucket_view = self.state.bucket_view(moment);
            while let Some((next, found)) = bucket_view.next_version(Kind::Version, key.as_bytes(), tail)? {
                if met.len() == most {
                    return Ok(false);
                }
                met.push(self.met(key, HeadRow::of(key, &found)?, false)?);
                *tail = next;
            }
            return Ok(true);
        };
        // In most buckets they lie side by side.
        let prefix = keys::place(Kind::Version, false, space, key.as_bytes(), b"");
        let mut cursor = self.view.index.cursor();
        cursor.seek(&[&prefix[..], tail, &[0]].concat())?;
        while let Some(next) = cursor.key().filter(|at| at.starts_with(&prefix)) {
            if met.len() == most {
                return Ok(false);
            }
            *tail = next[prefix.len()..].to_vec();
            let item =
                cursor.item()?.ok_or_else(|| Error::corrupt("the index", 0, "a key without an item"))?;
            met.push(self.met(key, HeadRow::read(key, &self.view.stored(&item)?)?, false)?);
            drop(item);
            cursor.next()?;
        }
        Ok(true)
    }

    fn met(&self, key: &str, head: HeadRow, latest: bool) -> Result<Met> {
        let mut entry = VersionEntry {
            key: key.to_string(),
            version: head.version(),
            marker: head.row.is_marker(),
            latest,
            size: head.row.size,
            modified: from_millis(head.row.modified),
            etag: None,
            class: None,
            kind: None,
            meta: None,
        };
        if !entry.marker {
            let versioned = self.state.versioning().is_some();
            let meta = catalog::meta_of(key.to_string(), head, versioned, || self.engine.millis())?;
            entry.etag = Some(meta.etag.clone());
            (entry.class, entry.kind) = (Some(meta.class), Some(meta.kind));
            entry.meta = Some(Box::new(meta));
        }
        Ok(Met::Version(Box::new(entry)))
    }

    /// The next batch of an iteration; empty at its end.
    pub fn next_batch(&mut self) -> Result<Vec<VersionEntry>> {
        let most = self.left.map_or(self.batch, |left| left.min(self.batch));
        self.batch = (self.batch * 4).min(BATCH.1);
        if most == 0 {
            return Ok(Vec::new());
        }
        let met = self.fetch(most)?;
        if let Some(left) = &mut self.left {
            *left -= met.len();
        }
        let entry = |met| match met {
            Met::Version(entry) => Some(*entry),
            Met::Group(_) => None,
        };
        Ok(met.into_iter().filter_map(entry).collect())
    }

    /// All of it as one page.
    pub fn page(mut self) -> Result<VersionPage> {
        let met = self.fetch(self.left.unwrap_or(PAGE))?;
        let mut page = VersionPage::default();
        let last = met.last().map(|met| match met {
            Met::Version(entry) => (entry.key.clone(), Some(entry.version.clone())),
            Met::Group(group) => (group.clone(), None),
        });
        if let (Some(place), Some((key, version))) = (&self.next, last) {
            page.next_key = Some(key);
            page.next_version = version.filter(|_| matches!(place, Place::Within(..)));
        }
        for met in met {
            match met {
                Met::Version(entry) => page.entries.push(*entry),
                Met::Group(group) => page.prefixes.push(group),
            }
        }
        Ok(page)
    }
}

/// What comes of a step that finds everything as it should be: the object stays that of the commit that wrote it.
pub fn same(state: &BucketState, head: &HeadRow) -> StepOutcome {
    let version = state.versioning().map(|_| head.version());
    StepOutcome::Put(PutOutcome { etag: head.etag(), version, lsn: Lsn(head.lsn) })
}
