//! List: the objects of a bucket in the order of their keys, rolled up at a delimiter.

use std::sync::Arc;

use super::options::{BATCH, ListOptions, PAGE, Page};
use crate::catalog::keyspace::keys;
use crate::catalog::{self, BucketState, HeadRow, Kind, MARKER_SLOT, Moment, Rows};
use crate::engine::View;
use crate::engine::state::engine::Engine;
use crate::error::{Error, Result};
use crate::model::{Entry, ObjectMeta};
use crate::write::context::{BucketRef, Reading};
use crate::write::staged::overlay::{Instant, Overlay};

/// Behind every key that starts with `prefix`. UTF-8 has no byte 0xFF.
pub fn end_of(prefix: &str) -> Vec<u8> {
    [prefix.as_bytes(), &[0xFF]].concat()
}

/// The name of the group that a key behind `prefix` is rolled up into.
pub fn group_of<'k>(prefix: &str, delimiter: &str, key: &'k str) -> Option<&'k str> {
    if delimiter.is_empty() {
        return None;
    }
    let rest = key.strip_prefix(prefix)?;
    let at = rest.find(delimiter)?;
    Some(&key[..prefix.len() + at + delimiter.len()])
}

/// Where a walk begins whose first name is at least `start`. What lies in a group is rolled up into the group's own name,
/// which comes before it.
pub fn first_from(prefix: &str, delimiter: &str, start: &str) -> Vec<u8> {
    if start <= prefix {
        return prefix.as_bytes().to_vec();
    }
    match group_of(prefix, delimiter, start) {
        Some(group) if group.len() < start.len() => end_of(group),
        _ => start.as_bytes().to_vec(),
    }
}

/// A walk through a bucket, in one view from the first entry to the last.
#[derive(Debug)]
pub struct Walk {
    engine: Arc<Engine>,
    view: Arc<View>,
    at: Option<u64>,
    state: Arc<BucketState>,
    prefix: String,
    delimiter: String,
    descending: bool,
    /// The key that the walk goes on at, or (descending) before; `None` at its end.
    next: Option<Vec<u8>>,
    left: Option<usize>,
    batch: usize,
    /// What a transaction has changed, if one lists.
    changes: Option<(Overlay, Instant)>,
}

impl Walk {
    /// Begins.
    pub fn begin(reading: Reading, bucket: &BucketRef, options: ListOptions) -> Result<Walk> {
        let (view, at) = (reading.pin()?, reading.at);
        let state = |view: &View| bucket.state(&Moment { view, at });
        Walk::begin_in(reading, view, state, options)
    }

    /// Begins inside a transaction: what it has changed so far is seen, and nothing of what it changes later.
    pub fn begin_within(
        engine: &Arc<Engine>,
        view: Arc<View>,
        (state, changes): (Arc<BucketState>, (Overlay, Instant)),
        options: ListOptions,
    ) -> Result<Walk> {
        let reading = Reading::pinned(engine, view.clone());
        let mut walk = Walk::begin_in(reading, view, |_| Ok(state), options)?;
        walk.changes = Some(changes).filter(|(overlay, _)| !overlay.is_empty());
        Ok(walk)
    }

    fn begin_in(
        reading: Reading,
        view: Arc<View>,
        state: impl FnOnce(&View) -> Result<Arc<BucketState>>,
        options: ListOptions,
    ) -> Result<Walk> {
        options.check()?;
        let (at, state) = (reading.at, state(&view)?);
        let ListOptions { prefix, delimiter, start, start_after, limit, descending, .. } = options;
        let (engine, next, left, batch, changes) = (reading.engine, None, limit, BATCH.0, None);
        let mut walk =
            Walk { engine, view, at, state, prefix, delimiter, descending, next, left, batch, changes };
        walk.next = Some(if descending {
            walk.last_key(&start_after).min(walk.last_key_from(&start))
        } else {
            walk.first_key(&start_after).max(first_from(&walk.prefix, &walk.delimiter, &start))
        });
        Ok(walk)
    }

    /// Where the walk begins: at the prefix, or behind `start_after`. If that lies in a group that is rolled
    /// up, the group's own name comes before it, so the walk begins behind the whole group.
    fn first_key(&self, start_after: &str) -> Vec<u8> {
        if start_after < self.prefix.as_str() || start_after.is_empty() {
            return self.prefix.as_bytes().to_vec();
        }
        match self.group_of(start_after) {
            Some(group) => end_of(group),
            None => [start_after.as_bytes(), &[0]].concat(),
        }
    }

    /// The key before which a descending walk begins. What is rolled up into a group whose name comes before
    /// `start_after` is still to come, so such a group is begun from its end.
    fn last_key(&self, start_after: &str) -> Vec<u8> {
        let end = end_of(&self.prefix);
        if start_after.is_empty() {
            return end;
        }
        let before = match self.group_of(start_after) {
            Some(group) if group.len() < start_after.len() => end_of(group),
            _ => start_after.as_bytes().to_vec(),
        };
        before.min(end)
    }

    /// The key before which a descending walk begins whose first name is at most `start`. A group's own name comes before
    /// the names in it, so the group of `start` is one of the entries.
    fn last_key_from(&self, start: &str) -> Vec<u8> {
        let end = end_of(&self.prefix);
        if start.is_empty() {
            return end;
        }
        let before = match self.group_of(start) {
            Some(group) => end_of(group),
            None => [start.as_bytes(), &[0]].concat(),
        };
        before.min(end)
    }

    /// The name of the group that a key is rolled up into.
    fn group_of<'k>(&self, key: &'k str) -> Option<&'k str> {
        group_of(&self.prefix, &self.delimiter, key)
    }

    /// The next entries, at most `most`, into `harvest`. Its cost follows what it returns: groups are stepped over by a
    /// seek.
    fn fetch(&mut self, most: usize, harvest: &mut impl Harvest) -> Result<()> {
        let Some(from) = self.next.take() else {
            return Ok(());
        };
        self.engine.check_open()?;
        let view = self.view.clone();
        if let Some((mut overlay, now)) = self.changes.take() {
            let fetched = self.fetch_anywhere(&overlay.staged(&view, now), from, most, harvest);
            self.changes = Some((overlay, now));
            return fetched;
        }
        match self.state.route.own_space().filter(|_| self.at.is_none()) {
            Some(space) => self.fetch_plain(space, &from, most, harvest),
            None => self.fetch_anywhere(&Moment { view: &view, at: self.at }, from, most, harvest),
        }
    }

    /// The same in a bucket whose keys lie in one space: the rows are read in the order they lie in.
    fn fetch_plain(
        &mut self,
        space: u64,
        from: &[u8],
        most: usize,
        harvest: &mut impl Harvest,
    ) -> Result<()> {
        let place = |key: &[u8]| keys::bound(Kind::Head, false, space, key);
        let versioned = self.state.versioning().is_some();
        let view = self.view.clone();
        let mut cursor = view.index.cursor();
        if self.descending {
            cursor.seek_last_before(&place(from))?;
        } else {
            cursor.seek(&place(from))?;
        }
        let first = place(self.prefix.as_bytes());
        let end = place(&end_of(&self.prefix));
        loop {
            let Some(at) = cursor.key().filter(|key| **key >= *first && **key < *end) else {
                return Ok(());
            };
            let (_, key) = keys::parse_object(at)
                .ok_or_else(|| Error::corrupt("the index", 0, "a key among the objects is no object's"))?;
            let full = harvest.len() == most;
            let group = self.group_of(key);
            // What is rolled up is not read, unless it may be a delete marker; and the name alone says nothing of that.
            let wants_item = versioned || (group.is_none() && !full && harvest.reads());
            let item = if wants_item { cursor.item()? } else { None };
            if wants_item && item.is_none() {
                return Err(Error::corrupt("the index", 0, "a key without an item"));
            }
            if item.as_ref().is_some_and(|item| item.weight.slot == MARKER_SLOT) {
                drop(item);
                if self.descending {
                    cursor.prev()?
                } else {
                    cursor.next()?
                }
                continue;
            }
            if full {
                self.next = Some(self.resume_at(key.as_bytes().to_vec()));
                return Ok(());
            }
            if let Some(group) = group {
                let behind = place(&if self.descending { group.as_bytes().to_vec() } else { end_of(group) });
                harvest.group(group);
                drop(item);
                if self.descending {
                    cursor.seek_last_before(&behind)?;
                } else {
                    cursor.seek(&behind)?;
                }
                continue;
            }
            harvest.object(key, |key| {
                let item =
                    item.as_ref().ok_or_else(|| Error::corrupt("the index", 0, "a key without an item"))?;
                let head = HeadRow::read(key, &view.stored(item)?)?;
                catalog::meta_of(key.to_string(), head, versioned, || self.engine.millis())
            })?;
            drop(item);
            if self.descending { cursor.prev()? } else { cursor.next()? }
        }
    }

    /// The same in any bucket, at any moment and inside a transaction.
    fn fetch_anywhere(
        &mut self,
        rows: &impl Rows,
        mut from: Vec<u8>,
        most: usize,
        harvest: &mut impl Harvest,
    ) -> Result<()> {
        let state = self.state.clone();
        let bucket_view = state.bucket_view(rows);
        let versioned = state.versioning().is_some();
        let first = self.prefix.as_bytes().to_vec();
        let end = end_of(&self.prefix);
        loop {
            let found = if self.descending {
                bucket_view.last(Kind::Head, &first, Some(&from))?
            } else {
                bucket_view.next(Kind::Head, &from, Some(&end))?
            };
            let Some((at, found)) = found else {
                return Ok(());
            };
            let key = str::from_utf8(&at)
                .map_err(|_| Error::corrupt("the index", 0, "the key of an object is not UTF-8"))?;
            if found.weight.slot == MARKER_SLOT {
                from = self.step_over(at);
                continue;
            }
            if harvest.len() == most {
                self.next = Some(self.resume_at(at));
                return Ok(());
            }
            if let Some(group) = self.group_of(key) {
                from = if self.descending { group.as_bytes().to_vec() } else { end_of(group) };
                harvest.group(group);
                continue;
            }
            harvest.object(key, |key| {
                let head = HeadRow::of(key, &found)?;
                catalog::meta_of(key.to_string(), head, versioned, || self.engine.millis())
            })?;
            from = self.step_over(at);
        }
    }

    /// Where a walk goes on for which `key` is still to come.
    fn resume_at(&self, mut key: Vec<u8>) -> Vec<u8> {
        if self.descending {
            key.push(0);
        }
        key
    }

    /// Where a walk goes on that has come past `key`.
    fn step_over(&self, mut key: Vec<u8>) -> Vec<u8> {
        if !self.descending {
            key.push(0);
        }
        key
    }

    /// The next batch of an iteration; empty at its end.
    pub fn next_batch(&mut self) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        self.fill(&mut entries)?;
        Ok(entries)
    }

    /// The same with the names only, in place of those that are there. Whether there are any.
    pub fn next_names(&mut self, names: &mut Names) -> Result<bool> {
        names.clear();
        self.fill(names)?;
        Ok(names.len() > 0)
    }

    fn fill(&mut self, harvest: &mut impl Harvest) -> Result<()> {
        let most = self.left.map_or(self.batch, |left| left.min(self.batch));
        self.batch = (self.batch * 4).min(BATCH.1);
        if most == 0 {
            return Ok(());
        }
        self.fetch(most, harvest)?;
        if let Some(left) = &mut self.left {
            *left -= harvest.len();
        }
        Ok(())
    }

    /// All of it as one page.
    pub fn page(mut self) -> Result<Page> {
        let most = self.left.unwrap_or(PAGE);
        let mut entries = Vec::new();
        self.fetch(most, &mut entries)?;
        let more = self.next.is_some();
        let next = entries.last().filter(|_| more).map(|entry| entry.name().to_string());
        Ok(Page { entries, next })
    }
}

/// What a walk brings home of what it comes by.
trait Harvest {
    /// How many entries it has.
    fn len(&self) -> usize;

    /// Whether it wants to know more of an object than its name.
    fn reads(&self) -> bool;

    /// Takes an object in; `read` tells what is known of it, and is called only if that is wanted.
    fn object(&mut self, key: &str, read: impl FnOnce(&str) -> Result<ObjectMeta>) -> Result<()>;

    /// Takes in what a group of keys is rolled up into.
    fn group(&mut self, name: &str);
}

impl Harvest for Vec<Entry> {
    fn len(&self) -> usize {
        Vec::len(self)
    }

    fn reads(&self) -> bool {
        true
    }

    fn object(&mut self, key: &str, read: impl FnOnce(&str) -> Result<ObjectMeta>) -> Result<()> {
        self.push(Entry::Object(read(key)?));
        Ok(())
    }

    fn group(&mut self, name: &str) {
        self.push(Entry::Prefix(name.to_string()));
    }
}

/// Names one behind the other, in memory that is used again for the next ones.
#[derive(Debug, Default)]
pub struct Names {
    text: String,
    ends: Vec<usize>,
}

impl Names {
    /// The name in a place.
    pub fn get(&self, at: usize) -> Option<&str> {
        let end = *self.ends.get(at)?;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.text[start..end])
    }

    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    fn push(&mut self, name: &str) {
        self.text.push_str(name);
        self.ends.push(self.text.len());
    }
}

impl Harvest for Names {
    fn len(&self) -> usize {
        self.ends.len()
    }

    fn reads(&self) -> bool {
        false
    }

    fn object(&mut self, key: &str, _: impl FnOnce(&str) -> Result<ObjectMeta>) -> Result<()> {
        self.push(key);
        Ok(())
    }

    fn group(&mut self, name: &str) {
        self.push(name);
    }
}
