//! List: the objects of a bucket in the order of their keys, rolled up at a delimiter.

use std::sync::Arc;

use super::context::{BucketRef, Reading};
use crate::catalog::{self, HeadRow, keys};
use crate::engine::{Engine, View};
use crate::error::{Error, Result};
use crate::model::{Entry, check_list_argument};

/// How many entries a page has if nothing else is said (OSS's most).
const PAGE: usize = 1000;
/// How many entries an iterator fetches at first, and at most.
const BATCH: (usize, usize) = (64, 1024);

/// What a listing is asked for.
///
/// ```
/// use ossicle::ListOptions;
/// let options = ListOptions::new().prefix("photos/").delimiter("/").start_after("photos/b").limit(100);
/// # let _ = options;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct ListOptions {
    prefix: String,
    delimiter: String,
    start_after: String,
    limit: Option<usize>,
    descending: bool,
}

impl ListOptions {
    /// Everything.
    pub fn new() -> ListOptions {
        ListOptions::default()
    }

    /// Only keys that start with this.
    pub fn prefix(mut self, prefix: impl Into<String>) -> ListOptions {
        self.prefix = prefix.into();
        self
    }

    /// Keys that have this text behind the prefix are rolled up into one entry each time, up to and with it.
    pub fn delimiter(mut self, delimiter: impl Into<String>) -> ListOptions {
        self.delimiter = delimiter.into();
        self
    }

    /// Only entries whose name comes after this one, in the order of bytes.
    pub fn start_after(mut self, name: impl Into<String>) -> ListOptions {
        self.start_after = name.into();
        self
    }

    /// From the last name to the first. `start_after` then gives the entries whose name comes before it.
    pub fn descending(mut self) -> ListOptions {
        self.descending = true;
        self
    }

    /// At most so many entries: of a page (1000 if nothing is said), or of the whole iteration (no limit if
    /// nothing is said). At least 1.
    pub fn limit(mut self, entries: usize) -> ListOptions {
        self.limit = Some(entries);
        self
    }
}

impl From<&str> for ListOptions {
    fn from(prefix: &str) -> ListOptions {
        ListOptions::new().prefix(prefix)
    }
}

impl From<String> for ListOptions {
    fn from(prefix: String) -> ListOptions {
        ListOptions::new().prefix(prefix)
    }
}

impl From<&String> for ListOptions {
    fn from(prefix: &String) -> ListOptions {
        ListOptions::new().prefix(prefix.as_str())
    }
}

/// One page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// The entries, in order.
    pub entries: Vec<Entry>,
    /// What to give `start_after` for the next page; `None` if this was the last one.
    pub next: Option<String>,
}

/// A walk through a bucket, in one view from the first entry to the last.
#[derive(Debug)]
pub struct Walk {
    engine: Arc<Engine>,
    view: Arc<View>,
    bucket_id: u64,
    prefix: String,
    delimiter: String,
    descending: bool,
    /// The index key that the walk goes on at, or (descending) before; `None` at its end.
    next: Option<Vec<u8>>,
    left: Option<usize>,
    batch: usize,
}

impl Walk {
    /// Begins.
    pub fn begin(reading: Reading, bucket: &BucketRef, options: ListOptions) -> Result<Walk> {
        let view = reading.pin()?;
        check_list_argument("prefix", &options.prefix)?;
        check_list_argument("delimiter", &options.delimiter)?;
        check_list_argument("start_after", &options.start_after)?;
        if options.limit == Some(0) {
            return Err(Error::invalid("InvalidArgument", "the limit of a listing must be at least 1"));
        }
        bucket.check(&view)?;
        let ListOptions { prefix, delimiter, start_after, limit, descending } = options;
        let (engine, bucket_id, next, left, batch) = (reading.engine, bucket.id, None, limit, BATCH.0);
        let mut walk = Walk { engine, view, bucket_id, prefix, delimiter, descending, next, left, batch };
        walk.next = Some(if descending { walk.last_key(&start_after) } else { walk.first_key(&start_after) });
        Ok(walk)
    }

    /// Where the walk begins: at the prefix, or behind `start_after`. If that lies in a group that is rolled
    /// up, the group's own name comes before it, so the walk begins behind the whole group.
    fn first_key(&self, start_after: &str) -> Vec<u8> {
        if start_after < self.prefix.as_str() || start_after.is_empty() {
            return keys::object(self.bucket_id, &self.prefix);
        }
        match self.group_of(start_after) {
            Some(group) => keys::objects_end(self.bucket_id, group),
            None => {
                let mut key = keys::object(self.bucket_id, start_after);
                key.push(0);
                key
            }
        }
    }

    /// The key before which a descending walk begins. What is rolled up into a group whose name comes before
    /// `start_after` is still to come, so such a group is begun from its end.
    fn last_key(&self, start_after: &str) -> Vec<u8> {
        let end = keys::objects_end(self.bucket_id, &self.prefix);
        if start_after.is_empty() {
            return end;
        }
        let before = match self.group_of(start_after) {
            Some(group) if group.len() < start_after.len() => keys::objects_end(self.bucket_id, group),
            _ => keys::object(self.bucket_id, start_after),
        };
        before.min(end)
    }

    /// The name of the group that a key is rolled up into.
    fn group_of<'k>(&self, key: &'k str) -> Option<&'k str> {
        if self.delimiter.is_empty() {
            return None;
        }
        let rest = key.strip_prefix(self.prefix.as_str())?;
        let at = rest.find(self.delimiter.as_str())?;
        Some(&key[..self.prefix.len() + at + self.delimiter.len()])
    }

    /// The next entries, at most `most`. Its cost follows what it returns: groups are stepped over by a seek.
    fn fetch(&mut self, most: usize) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let Some(from) = self.next.take() else {
            return Ok(entries);
        };
        self.engine.check_open()?;
        let view = self.view.clone();
        let mut cursor = view.index.cursor();
        if self.descending {
            cursor.seek_last_before(&from)?;
        } else {
            cursor.seek(&from)?;
        }
        let first = keys::object(self.bucket_id, &self.prefix);
        let end = keys::objects_end(self.bucket_id, &self.prefix);
        loop {
            let Some(at) = cursor.key().filter(|key| **key >= *first && **key < *end) else {
                return Ok(entries);
            };
            if entries.len() == most {
                let mut next = at.to_vec();
                if self.descending {
                    // A descending walk goes on before its key, and this one is still to come.
                    next.push(0);
                }
                self.next = Some(next);
                return Ok(entries);
            }
            let (_, key) = keys::parse_object(at)
                .ok_or_else(|| Error::corrupt("the index", 0, "a key among the objects is no object's"))?;
            if let Some(group) = self.group_of(key) {
                let (before, behind) =
                    (keys::object(self.bucket_id, group), keys::objects_end(self.bucket_id, group));
                entries.push(Entry::Prefix(group.to_string()));
                if self.descending {
                    cursor.seek_last_before(&before)?;
                } else {
                    cursor.seek(&behind)?;
                }
                continue;
            }
            let key = key.to_string();
            let item =
                cursor.item()?.ok_or_else(|| Error::corrupt("the index", 0, "a key without an item"))?;
            let head = HeadRow::read(&key, &view.stored(&item)?)?;
            entries.push(Entry::Object(catalog::meta_of(key, head)?));
            drop(item);
            if self.descending {
                cursor.prev()?;
            } else {
                cursor.next()?;
            }
        }
    }

    /// The next batch of an iteration; empty at its end.
    pub fn next_batch(&mut self) -> Result<Vec<Entry>> {
        let most = self.left.map_or(self.batch, |left| left.min(self.batch));
        self.batch = (self.batch * 4).min(BATCH.1);
        if most == 0 {
            return Ok(Vec::new());
        }
        let entries = self.fetch(most)?;
        if let Some(left) = &mut self.left {
            *left -= entries.len();
        }
        Ok(entries)
    }

    /// All of it as one page.
    pub fn page(mut self) -> Result<Page> {
        let most = self.left.unwrap_or(PAGE);
        let entries = self.fetch(most)?;
        let more = self.next.is_some();
        let next = entries.last().filter(|_| more).map(|entry| entry.name().to_string());
        Ok(Page { entries, next })
    }
}
