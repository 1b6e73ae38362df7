//! Compaction: everything maintenance can do, at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::choose_segment;
use super::damaged::Damaged;
use super::report::MaintainReport;
use super::steps::{STEP, clean_up, move_bodies};
use crate::background::tiering::step::Mover;
use crate::engine::Relocated;
use crate::engine::state::engine::Engine;
use crate::error::Result;

/// What a compaction is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct CompactOptions {
    garbage_percent: u8,
}

impl Default for CompactOptions {
    fn default() -> CompactOptions {
        CompactOptions { garbage_percent: 5 }
    }
}

impl CompactOptions {
    /// Leaves segments alone of which at most 5 percent is garbage.
    pub fn new() -> CompactOptions {
        CompactOptions::default()
    }

    /// Leaves segments alone of which at most this percentage is garbage (0 to 100).
    pub fn garbage_percent(mut self, percent: u8) -> CompactOptions {
        self.garbage_percent = percent.min(100);
        self
    }
}

/// Gives back all the space that can be had: seals what is open, relocates every segment with garbage, makes
/// the index file dense.
pub fn compact(engine: &Arc<Engine>, options: &CompactOptions) -> Result<MaintainReport> {
    let mut report = MaintainReport::default();
    while clean_up(engine)? {
        report.tidied += 1;
    }
    let (mut mover, mut damaged) = (Mover::at_once(), Damaged::default());
    while let Some(moved) = move_bodies(engine, &mut mover, &mut damaged)? {
        report.moved += moved;
    }
    while clean_up(engine)? {
        report.tidied += 1;
    }
    engine.checkpoint()?;
    match engine.seal_all() {
        // With no room for another segment of the log, what is open has to wait.
        Err(error) if error.is_full() && !error.is_fatal() => {}
        done => done?,
    }
    // Only what is there now: a segment that relocation makes is as dense as it can be, though never without
    // a head, and would be relocated again and again.
    let mut untried: BTreeSet<u64> = engine.segment_uses().iter().map(|each| each.id).collect();
    loop {
        let mut uses = engine.segment_uses();
        uses.retain(|each| {
            let garbage = each.taken.saturating_sub(each.live);
            untried.contains(&each.id) && garbage * 100 > each.taken * u64::from(options.garbage_percent)
        });
        let Some(victim) = choose_segment::worst(&uses, 1) else {
            break;
        };
        untried.remove(&victim);
        let mut progress = Relocated::of(victim);
        loop {
            match engine.relocate(&mut progress, STEP) {
                // What it needs is not there; others may give it.
                Err(error) if error.is_full() && !error.is_fatal() => break,
                done => {
                    if damaged.stops(victim, done)? || progress.done {
                        break;
                    }
                }
            }
        }
        report.relocated += progress.bytes;
        // So that the space of one segment is back before the next is copied: a full disk needs that.
        engine.checkpoint()?;
    }
    while engine.is_tight() && engine.give_room_back(options.garbage_percent)? {}
    match engine.vacuum(options.garbage_percent) {
        // There is no room for the index and its copy; nothing is lost without one.
        Err(error) if error.is_full() && !error.is_fatal() => {}
        done => drop(done?),
    }
    engine.checkpoint()?;
    report.checkpoint = true;
    damaged.told(report)
}
