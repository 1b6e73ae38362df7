//! Accesses: on which day objects were read last, noted in memory and written down by and by.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use super::batch::Batch;
use super::context::{BucketRef, Reading, bucket_of};
use super::outcome::StepOutcome;
use super::step::Step;
use crate::catalog::keyspace::keys;
use crate::catalog::{Kind, Rows, lifecycle as rows};
use crate::engine::Touch;
use crate::engine::state::engine::Engine;
use crate::error::Result;
use crate::index::Weight;
use crate::model::{Durability, day_of};
use crate::write::staged::overlay::Staged;

/// How many notes one commit writes down.
const NOTES: usize = 1024;

/// By how many days a clock may differ from another one that is right: by its time zone, or about midnight.
const SLACK: u64 = 2;

/// Whether a note is of a day that is still to come, so that a clock that was ahead made it. It counts as today's then.
pub fn is_ahead(day: u64, today: u64) -> bool {
    day > today.saturating_add(SLACK)
}

/// Leaves word that an object was read today. A look into the past is no access, and a store that is only read keeps no
/// word of it.
pub fn note(reading: &Reading, bucket: &BucketRef, key: &str) {
    let engine = &reading.engine;
    if reading.at.is_some() || engine.is_read_only() {
        return;
    }
    if engine.touched().note(bucket.id, key, day_of(engine.millis())) {
        engine.wake().raise();
    }
}

#[derive(Debug)]
struct AccessStep(Vec<Touch>);

impl Step for AccessStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        let mut buckets = BTreeMap::new();
        let today = day_of(staged.now.millis);
        for touch in &self.0 {
            // What was deleted or shredded since is not named again.
            let state = match buckets.entry(touch.group) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(vacant) => vacant.insert(bucket_of(staged, touch.group)?),
            };
            let Some(state) = state else { continue };
            if state.bucket_view(staged).get(Kind::Head, touch.key.as_bytes(), b"")?.is_none() {
                continue;
            }
            let at = keys::access(touch.group, touch.key.as_bytes());
            let known = staged.get(&at)?.map(|found| rows::decode_day(&found.payload)).transpose()?;
            let day = if is_ahead(touch.when, today) { today } else { touch.when };
            if known.is_none_or(|known| known < day || is_ahead(known, today)) {
                staged.put(at, Weight::default(), rows::encode_day(day));
            }
        }
        Ok(StepOutcome::None)
    }
}

/// Writes down all that was noted, if the store can be written to just now.
pub fn flush_all(engine: &Arc<Engine>) -> Result<()> {
    let is_free = engine.check_writable().is_ok() && engine.refuse_inside_turn().is_ok();
    while is_free && flush(engine)? {}
    Ok(())
}

/// Writes down a bounded part of what was noted. Says whether there was anything.
pub fn flush(engine: &Arc<Engine>) -> Result<bool> {
    let notes = engine.touched().take(NOTES);
    if notes.is_empty() {
        return Ok(false);
    }
    let (_, committed) = engine.commit(Batch::of(AccessStep(notes)), Durability::Buffered);
    if committed.is_err() {
        engine.touched().forget();
    }
    committed.map(|_| true)
}
