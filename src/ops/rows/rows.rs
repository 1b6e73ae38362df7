//! Rows of the application's own: small values beside the objects, in the same commits.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::range::RowRange;
use crate::catalog::keyspace::keys;
use crate::catalog::{Found, Rows};
use crate::engine::View;
use crate::engine::state::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::index::Weight;
use crate::write::context::Reading;
use crate::write::outcome::StepOutcome;
use crate::write::staged::overlay::Staged;
use crate::write::step::Step;

/// The longest value of a row, in bytes.
pub const MAX_ROW_BYTES: usize = 256 * 1024;

/// How many rows an iteration fetches at first, and at most.
const BATCH: (usize, usize) = (32, 1024);

/// With this many bytes of values a batch is full.
const BATCH_BYTES: usize = 256 * 1024;

/// The step that writes a row, or deletes it.
#[derive(Debug)]
pub struct RowStep {
    key: Vec<u8>,
    value: Option<Vec<u8>>,
}

impl Step for RowStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        match &self.value {
            Some(value) => staged.put(self.key.clone(), Weight::default(), value.clone()),
            None => staged.remove(self.key.clone()),
        }
        Ok(StepOutcome::None)
    }

    fn frees(&self) -> bool {
        self.value.is_none()
    }
}

/// The step that writes a row.
pub fn put(table: &str, key: &[u8], value: &[u8]) -> Result<RowStep> {
    if value.len() > MAX_ROW_BYTES {
        return Err(Error::invalid(
            "EntityTooLarge",
            format!("a row has at most {MAX_ROW_BYTES} bytes, not {}; put it into an object", value.len()),
        ));
    }
    Ok(RowStep { key: keys::row(table, key)?, value: Some(value.to_vec()) })
}

/// The step that deletes a row.
pub fn delete(table: &str, key: &[u8]) -> Result<RowStep> {
    Ok(RowStep { key: keys::row(table, key)?, value: None })
}

/// Reads a row.
pub fn get(reading: &Reading, table: &str, key: &[u8]) -> Result<Option<Bytes>> {
    let key = keys::row(table, key)?;
    reading.with(|moment| Ok(moment.get(&key)?.map(|found| Bytes::from(found.payload))))
}

/// Whose rows a walk sees.
#[derive(Debug)]
enum Source<'t> {
    /// Those of a view.
    View(Arc<Engine>, Arc<View>),
    /// Those of a view with the changes of a transaction.
    Staged(Staged<'t>),
}

/// A walk through rows of a table, from both ends.
#[derive(Debug)]
pub struct RowWalk<'t> {
    source: Source<'t>,
    /// How many bytes of the map's keys come before those of the rows.
    stem: usize,
    /// What is not fetched yet lies at or above this key of the map, and below that one.
    left: (Vec<u8>, Vec<u8>),
    /// What is fetched, in order: from the front, and from the back.
    front: VecDeque<(Bytes, Bytes)>,
    back: VecDeque<(Bytes, Bytes)>,
    batch: usize,
}

impl<'t> RowWalk<'t> {
    /// Begins, in one view from the first row to the last.
    ///
    /// # Errors
    /// `OperationNotSupported` at a moment of the past: of rows that were deleted since, only hashes of the keys are kept.
    pub fn begin(reading: &Reading, table: &str, range: &RowRange) -> Result<RowWalk<'t>> {
        let view = reading.pin()?;
        if reading.at.is_some() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "OperationNotSupported",
                "the rows of a moment of the past are read one by one, by their keys; hold a snapshot to list them",
            ));
        }
        RowWalk::over(Source::View(reading.engine.clone(), view), table, range)
    }

    /// Begins in a transaction.
    pub fn within(staged: Staged<'t>, table: &str, range: &RowRange) -> Result<RowWalk<'t>> {
        RowWalk::over(Source::Staged(staged), table, range)
    }

    fn over(source: Source<'t>, table: &str, range: &RowRange) -> Result<RowWalk<'t>> {
        let left = range.within(table)?;
        let (front, back) = (VecDeque::new(), VecDeque::new());
        Ok(RowWalk { source, stem: table.len() + 2, left, front, back, batch: BATCH.0 })
    }

    /// The next row from the front, or from the back.
    pub fn next(&mut self, from_back: bool) -> Result<Option<(Bytes, Bytes)>> {
        let fetched = self.take(from_back);
        if fetched.is_some() || self.left.0 >= self.left.1 {
            return Ok(fetched.or_else(|| self.take_across(from_back)));
        }
        self.fetch(from_back)?;
        Ok(self.take(from_back).or_else(|| self.take_across(from_back)))
    }

    fn take(&mut self, from_back: bool) -> Option<(Bytes, Bytes)> {
        if from_back { self.back.pop_back() } else { self.front.pop_front() }
    }

    /// What was fetched from the other end, once nothing is left between.
    fn take_across(&mut self, from_back: bool) -> Option<(Bytes, Bytes)> {
        if from_back { self.front.pop_back() } else { self.back.pop_front() }
    }

    /// Forgets all, so that nothing more comes.
    pub fn end(&mut self) {
        (self.left, self.front, self.back) = Default::default();
    }

    /// Fetches a batch, and takes it off what is left.
    fn fetch(&mut self, from_back: bool) -> Result<()> {
        let mut room = (self.batch, BATCH_BYTES);
        self.batch = (self.batch * 4).min(BATCH.1);
        let (stem, batch) = (self.stem, if from_back { &mut self.back } else { &mut self.front });
        let mut keep = |key: &[u8], value: Vec<u8>| {
            room = (room.0 - 1, room.1.saturating_sub(value.len() + key.len()));
            let row = (Bytes::copy_from_slice(&key[stem..]), Bytes::from(value));
            if from_back {
                batch.push_front(row)
            } else {
                batch.push_back(row)
            }
            room.0 > 0 && room.1 > 0
        };
        let stopped = match &self.source {
            Source::View(engine, view) => {
                engine.check_open()?;
                walk_view(view, &self.left, from_back, &mut keep)?
            }
            Source::Staged(staged) => walk_rows(staged, &self.left, from_back, &mut keep)?,
        };
        match stopped {
            None => self.left = Default::default(),
            Some(last) if from_back => self.left.1 = last,
            Some(mut last) => {
                last.push(0);
                self.left.0 = last;
            }
        }
        Ok(())
    }
}

/// Hands the rows of a range over until `keep` says no, and answers where that was; `None` if that were all.
fn walk_view(
    view: &View,
    (from, end): &(Vec<u8>, Vec<u8>),
    from_back: bool,
    keep: &mut impl FnMut(&[u8], Vec<u8>) -> bool,
) -> Result<Option<Vec<u8>>> {
    let mut cursor = view.index.cursor();
    if from_back {
        cursor.seek_last_before(end)?;
    } else {
        cursor.seek(from)?;
    }
    while let Some(key) = cursor.key().filter(|key| **key >= **from && **key < **end) {
        let item = cursor.item()?.ok_or_else(|| Error::corrupt("the index", 0, "a key without an item"))?;
        let value = view.stored(&item)?.payload.into_owned();
        if !keep(key, value) {
            return Ok(Some(key.to_vec()));
        }
        drop(item);
        if from_back { cursor.prev()? } else { cursor.next()? }
    }
    Ok(None)
}

/// The same of any rows.
fn walk_rows(
    rows: &impl Rows,
    (from, end): &(Vec<u8>, Vec<u8>),
    from_back: bool,
    keep: &mut impl FnMut(&[u8], Vec<u8>) -> bool,
) -> Result<Option<Vec<u8>>> {
    let (mut from, mut end) = (from.clone(), end.clone());
    loop {
        let found = if from_back { rows.last(&from, &end)? } else { rows.next(&from, &end)? };
        let Some(mut key) = found else { return Ok(None) };
        if let Some(Found { payload, .. }) = rows.get(&key)?
            && !keep(&key, payload)
        {
            return Ok(Some(key));
        }
        if from_back {
            end = key;
        } else {
            key.push(0);
            from = key;
        }
    }
}
