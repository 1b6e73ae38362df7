//! The work itself, in bounded steps: what is due now, and what can be had on request.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::reclaim;
use crate::engine::{Engine, Relocated};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Evicted, LifecycleCounts};
use crate::ops::moving::Mover;
use crate::ops::shred::Shredder;
use crate::ops::{budget, history, lifecycle, tidy};

/// About how many bytes one step of relocation moves.
const STEP: u64 = 4 << 20;

/// What `maintain` has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MaintainReport {
    /// Whether a checkpoint was made.
    pub checkpoint: bool,
    /// How many steps of work were done that commits had left behind: removing what is under a removed prefix or in a
    /// dropped fork, trimming the retained past.
    pub tidied: u64,
    /// How many steps of shredding were done that an earlier call, or a crash, had left to be done.
    pub shredded: u64,
    /// Bytes of bodies moved to the tier that their class wants.
    pub moved: u64,
    /// Bytes of rows and bodies moved to other segments.
    pub relocated: u64,
    /// What lifecycle rules have done.
    pub lifecycle: LifecycleCounts,
    /// What was evicted because less was free than the headroom of a [`Budget`](crate::Budget).
    pub evicted: Evicted,
    /// Whether the time given ended before the work did.
    pub more: bool,
}

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

/// Does what is due, for about as long as `time` says, and at least one step. `rests` says that nobody seems to write:
/// only then the index is made dense, for whoever writes on would soon spread it out again.
pub fn maintain(
    engine: &Arc<Engine>,
    time: Duration,
    rests: bool,
    stop: &dyn Fn() -> bool,
) -> Result<MaintainReport> {
    engine.check_writable()?;
    engine.look_again()?;
    let clock = &engine.env().clock;
    let begun = clock.monotonic();
    let mut report = MaintainReport::default();
    let spent = || clock.monotonic().saturating_sub(begun) >= time || stop();
    if engine.due().sync && engine.settings().sync_interval.is_some() {
        engine.flush()?;
    }
    let percent = engine.settings().garbage_percent;
    let mut current: Option<Relocated> = None;
    let mut emptied = false;
    let mut damaged = Damaged::default();
    let mut rules = true;
    let mut budgets = true;
    let mut mover = Mover::default();
    let mut shredder = Shredder::begin(engine)?;
    loop {
        prepare(engine)?;
        // What commits have left behind comes first: it is what makes garbage.
        if tidy(engine)? {
            report.tidied += 1;
            if spent() {
                report.more = true;
                return Ok(report);
            }
            continue;
        }
        if let Some(word) = &mut shredder {
            if damaged.shreds(shred_step(engine, word))? {
                report.shredded += 1;
                if spent() {
                    report.more = true;
                    return Ok(report);
                }
                continue;
            }
            shredder = None;
        }
        if rules && damaged.runs(lifecycle_step(engine), &mut report.lifecycle, &mut rules)? {
            // A run may be long, and no checkpoint may wait for its end.
            if engine.due().checkpoint {
                engine.checkpoint()?;
                report.checkpoint = true;
            }
            if spent() {
                report.more = true;
                return Ok(report);
            }
            continue;
        }
        if budgets && let Some(evicted) = damaged.rests(evict(engine, &mut budgets))? {
            report.evicted.add(&evicted);
            if spent() {
                report.more = true;
                return Ok(report);
            }
            continue;
        }
        if let Some(moved) = move_bodies(engine, &mut mover, &mut damaged)? {
            report.moved += moved;
            if spent() {
                report.more = true;
                return Ok(report);
            }
            continue;
        }
        // On a full disk what little room there is goes where it brings most back.
        if engine.is_tight() && engine.give_room_back(percent)? {
            report.checkpoint = true;
            if spent() {
                report.more = true;
                return Ok(report);
            }
            continue;
        }
        let mut uses = engine.segment_uses();
        // What is kept for the feed is neither garbage nor in anybody's way.
        uses.retain(|each| !damaged.segments.contains(&each.id) && !each.for_feed);
        // What was emptied goes with the next checkpoint, so one is made as soon as it frees a good part.
        let dead: u64 = uses.iter().filter(|each| each.sealed && each.live == 0).map(|each| each.taken).sum();
        let worth = emptied && (dead * 24 > reclaim::space(&uses).taken || engine.is_tight());
        if engine.due().checkpoint || worth {
            engine.checkpoint()?;
            report.checkpoint = true;
            emptied = false;
        }
        let next = current.take().filter(|progress| !progress.done);
        let Some(mut progress) = next.or_else(|| reclaim::next_victim(&uses, percent).map(Relocated::of))
        else {
            engine.set_pace(Duration::ZERO);
            if emptied || (dead > 0 && !report.checkpoint) {
                engine.checkpoint()?;
                report.checkpoint = true;
            }
            if rests {
                damaged.rests(engine.vacuum_unasked(percent, stop).map(Some))?;
            }
            return damaged.told(report);
        };
        if spent() && report.relocated > 0 {
            report.more = true;
            return Ok(report);
        }
        if engine.wake().has_listener() {
            engine.set_pace(reclaim::pace(reclaim::space(&uses), percent));
        }
        let before = progress.bytes;
        let stopped = relocate(engine, &mut progress, percent, &mut damaged)?;
        report.relocated += progress.bytes - before;
        emptied |= progress.done;
        current = (!stopped).then_some(progress);
    }
}

/// One step of a relocation. Says whether it ends before the segment is empty.
fn relocate(
    engine: &Arc<Engine>,
    progress: &mut Relocated,
    percent: u8,
    damaged: &mut Damaged,
) -> Result<bool> {
    let victim = progress.segment;
    match engine.relocate(progress, STEP) {
        // The end of the disk was met just now: a checkpoint gives back what is dead, then what fits goes on.
        Err(error) if error.is_full() && !error.is_fatal() => {
            if !engine.give_room_back(percent)? {
                damaged.segments.insert(victim);
            }
            Ok(true)
        }
        done => damaged.stops(victim, done),
    }
}

/// Gives back all the space that can be had: seals what is open, relocates every segment with garbage, makes
/// the index file dense.
pub fn compact(engine: &Arc<Engine>, options: &CompactOptions) -> Result<MaintainReport> {
    let mut report = MaintainReport::default();
    while tidy(engine)? {
        report.tidied += 1;
    }
    let (mut mover, mut damaged) = (Mover::at_once(), Damaged::default());
    while let Some(moved) = move_bodies(engine, &mut mover, &mut damaged)? {
        report.moved += moved;
    }
    while tidy(engine)? {
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
        let Some(victim) = reclaim::worst(&uses, 1) else {
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

/// Makes segments ahead of need. On a full disk there is nothing to prepare with, and giving space back matters more.
fn prepare(engine: &Arc<Engine>) -> Result<()> {
    match engine.prepare_segments() {
        Err(error) if !error.is_full() => Err(error),
        _ => Ok(()),
    }
}

/// One step of the work that commits have left behind. On a full disk the steps that need room wait.
fn tidy(engine: &Arc<Engine>) -> Result<bool> {
    match tidy::step(engine).and_then(|did| if did { Ok(true) } else { history::trim(engine) }) {
        Err(error) if error.is_full() => Ok(false),
        done => done,
    }
}

/// One step of a shredding that was cut short; says whether there may be more. What is in its way now, or cannot be had
/// on a full disk, is tried again by a later round.
fn shred_step(engine: &Arc<Engine>, shredder: &mut Shredder) -> Result<bool> {
    // Whoever is at it goes on with what was left as well.
    let Some(_turn) = engine.try_shred_turn() else { return Ok(false) };
    match shredder.step(engine) {
        Err(error) if error.is_full() || matches!(error.kind(), ErrorKind::Busy | ErrorKind::Immutable) => {
            Ok(false)
        }
        done => done,
    }
}

/// One step of what lifecycle rules ask for: accesses are written down first, so that rules know of them. On a full disk
/// both wait.
fn lifecycle_step(engine: &Arc<Engine>) -> Result<Option<LifecycleCounts>> {
    let step = match lifecycle::flush(engine) {
        Ok(true) => Ok(Some(LifecycleCounts::default())),
        Ok(false) => lifecycle::step(engine),
        Err(error) => Err(error),
    };
    match step {
        Err(error) if error.is_full() => Ok(None),
        step => step,
    }
}

/// One step of evicting what budgets have no room for. When there is nothing more to evict, it rests.
fn evict(engine: &Arc<Engine>, goes_on: &mut bool) -> Result<Option<Evicted>> {
    let step = match budget::step(engine) {
        Err(error) if error.is_full() => Ok(None),
        step => step,
    };
    *goes_on = matches!(step, Ok(Some(_)));
    step
}

/// One step of moving bodies to their tiers; on a full disk that waits. A body that cannot be read stays where it is.
fn move_bodies(engine: &Arc<Engine>, mover: &mut Mover, damaged: &mut Damaged) -> Result<Option<u64>> {
    let step = mover.step(engine);
    damaged.first = damaged.first.take().or(mover.damage());
    match step {
        Err(error) if error.is_full() => Ok(None),
        done => damaged.rests(done),
    }
}

/// Segments that cannot be relocated because of damage. They stay, and do not keep the others from it.
#[derive(Debug, Default)]
struct Damaged {
    segments: BTreeSet<u64>,
    first: Option<Error>,
}

impl Damaged {
    /// Whether a step of relocation met damage.
    fn stops(&mut self, segment: u64, step: Result<()>) -> Result<bool> {
        match step {
            // A directory of a tier that cannot be written keeps only its own from being done.
            Err(error)
                if error.kind() == ErrorKind::Corrupt
                    || (error.kind() == ErrorKind::Io && !error.is_fatal()) =>
            {
                self.segments.insert(segment);
                self.first.get_or_insert(error);
                Ok(true)
            }
            step => step.map(|()| false),
        }
    }

    /// Whether a step of a lifecycle run was made. After damage the run rests, and other work goes on.
    fn runs(
        &mut self,
        step: Result<Option<LifecycleCounts>>,
        total: &mut LifecycleCounts,
        goes_on: &mut bool,
    ) -> Result<bool> {
        match step {
            Ok(Some(counts)) => {
                total.add(&counts);
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                *goes_on = false;
                self.first.get_or_insert(error);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Work that met damage rests until the next round, and other work goes on.
    fn rests<T>(&mut self, step: Result<Option<T>>) -> Result<Option<T>> {
        match step {
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                self.first.get_or_insert(error);
                Ok(None)
            }
            step => step,
        }
    }

    /// Whether a step of a shredding was made. Damage does not keep other work from being done.
    fn shreds(&mut self, step: Result<bool>) -> Result<bool> {
        match step {
            Err(error)
                if error.kind() == ErrorKind::Corrupt
                    || (error.kind() == ErrorKind::Io && !error.is_fatal()) =>
            {
                self.first.get_or_insert(error);
                Ok(false)
            }
            step => step,
        }
    }

    /// The report, or the first damage that was met.
    fn told(self, report: MaintainReport) -> Result<MaintainReport> {
        self.first.map_or(Ok(report), Err)
    }
}
