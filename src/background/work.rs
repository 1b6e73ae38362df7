//! The work itself, in bounded steps: what is due now, and what can be had on request.

use std::sync::Arc;
use std::time::Duration;

use super::choose_segment;
use super::damaged::Damaged;
use super::report::MaintainReport;
use super::steps::{clean_up, evict, lifecycle_step, move_bodies, prepare, relocate, shred_step};
use crate::background::shred::shred::Shredder;
use crate::background::tiering::step::Mover;
use crate::engine::Relocated;
use crate::engine::state::engine::Engine;
use crate::error::Result;

/// Does what is due, for about as long as `time` says, and at least one step. `rests` says that nobody seems to write:
/// only then the index is made dense, because the next writes would soon spread it out again.
pub fn maintain(
    engine: &Arc<Engine>,
    time: Duration,
    rests: bool,
    stop: &dyn Fn() -> bool,
) -> Result<MaintainReport> {
    engine.check_writable()?;
    engine.look_again()?;
    let begun = engine.env().clock.monotonic();
    if engine.due().sync && engine.settings().sync_interval.is_some() {
        engine.flush()?;
    }
    let mut round = Round::begin(engine)?;
    let spent = || engine.env().clock.monotonic().saturating_sub(begun) >= time || stop();
    loop {
        prepare(engine)?;
        let found = round.first_due()?;
        if !found {
            match round.next_victim()? {
                None => return round.end(rests, stop),
                // The step that there is time for in any case was something else.
                Some(_) if spent() && round.report.relocated > 0 => {}
                Some(progress) => {
                    round.relocate(progress)?;
                    continue;
                }
            }
        }
        if spent() {
            round.report.more = true;
            return Ok(round.report);
        }
    }
}

/// One call of [`maintain`]: what it has done, and where its steps stand.
struct Round<'e> {
    engine: &'e Arc<Engine>,
    report: MaintainReport,
    damaged: Damaged,
    shredder: Option<Shredder>,
    mover: Mover,
    /// Whether rules, and whether budgets, may still ask for something.
    rules: bool,
    budgets: bool,
    /// The segment that is being emptied.
    current: Option<Relocated>,
    /// Whether a segment was emptied since the last checkpoint.
    emptied: bool,
    /// How much garbage a segment may hold, in percent.
    percent: u8,
}

impl<'e> Round<'e> {
    /// What may be due besides relocation, in the order in which it is looked for. Each step says whether it found something.
    /// What commits have left behind comes first, because it is what makes garbage; what brings most room back on a full disk
    /// comes last, right before relocation.
    const STEPS: [fn(&mut Self) -> Result<bool>; 6] = [
        Self::clean_up,
        Self::shred,
        Self::apply_rules,
        Self::evict,
        Self::move_bodies,
        Self::give_room_back,
    ];

    fn begin(engine: &'e Arc<Engine>) -> Result<Round<'e>> {
        Ok(Round {
            engine,
            report: MaintainReport::default(),
            damaged: Damaged::default(),
            shredder: Shredder::begin(engine)?,
            mover: Mover::default(),
            rules: true,
            budgets: true,
            current: None,
            emptied: false,
            percent: engine.settings().garbage_percent,
        })
    }

    /// Does the first of the [`Round::STEPS`] that finds something; `false` if none does.
    fn first_due(&mut self) -> Result<bool> {
        for step in Self::STEPS {
            if step(self)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn clean_up(&mut self) -> Result<bool> {
        let found = clean_up(self.engine)?;
        self.report.tidied += u64::from(found);
        Ok(found)
    }

    fn shred(&mut self) -> Result<bool> {
        let Some(shredder) = &mut self.shredder else { return Ok(false) };
        let found = self.damaged.shreds(shred_step(self.engine, shredder))?;
        if found {
            self.report.shredded += 1;
        } else {
            self.shredder = None;
        }
        Ok(found)
    }

    fn apply_rules(&mut self) -> Result<bool> {
        let found = self.rules
            && self.damaged.runs(lifecycle_step(self.engine), &mut self.report.lifecycle, &mut self.rules)?;
        // A run may be long, and no checkpoint may wait for its end.
        if found && self.engine.due().checkpoint {
            self.checkpoint()?;
        }
        Ok(found)
    }

    fn evict(&mut self) -> Result<bool> {
        if !self.budgets {
            return Ok(false);
        }
        let evicted = self.damaged.rests(evict(self.engine, &mut self.budgets))?;
        if let Some(evicted) = &evicted {
            self.report.evicted.add(evicted);
        }
        Ok(evicted.is_some())
    }

    fn move_bodies(&mut self) -> Result<bool> {
        let moved = move_bodies(self.engine, &mut self.mover, &mut self.damaged)?;
        self.report.moved += moved.unwrap_or(0);
        Ok(moved.is_some())
    }

    /// On a full disk what little room there is goes where it brings most back.
    fn give_room_back(&mut self) -> Result<bool> {
        let gave = self.engine.is_tight() && self.engine.give_room_back(self.percent)?;
        self.report.checkpoint |= gave;
        Ok(gave)
    }

    /// Looks at what the segments hold: makes a checkpoint if one is due or frees a good part, and says which segment is
    /// relocated next. `None` if none is worth it.
    fn next_victim(&mut self) -> Result<Option<Relocated>> {
        let engine = self.engine;
        let mut uses = engine.segment_uses();
        // What is kept for the feed is neither garbage nor in anybody's way.
        uses.retain(|each| !self.damaged.segments.contains(&each.id) && !each.for_feed);
        // An emptied segment goes with the next checkpoint, so one is made as soon as it frees a good part.
        let dead: u64 = uses.iter().filter(|each| each.sealed && each.live == 0).map(|each| each.taken).sum();
        let worth = self.emptied && (dead * 24 > choose_segment::space(&uses).taken || engine.is_tight());
        if engine.due().checkpoint || worth {
            self.checkpoint()?;
            self.emptied = false;
        }
        let going_on = self.current.take().filter(|progress| !progress.done);
        let next = going_on.or_else(|| choose_segment::next_victim(&uses, self.percent).map(Relocated::of));
        if next.is_none() {
            engine.set_pace(Duration::ZERO);
            if self.emptied || (dead > 0 && !self.report.checkpoint) {
                self.checkpoint()?;
            }
        } else if engine.wake().has_listener() {
            engine.set_pace(choose_segment::pace(choose_segment::space(&uses), self.percent));
        }
        Ok(next)
    }

    fn relocate(&mut self, mut progress: Relocated) -> Result<()> {
        let before = progress.bytes;
        let stopped = relocate(self.engine, &mut progress, self.percent, &mut self.damaged)?;
        self.report.relocated += progress.bytes - before;
        self.emptied |= progress.done;
        self.current = (!stopped).then_some(progress);
        Ok(())
    }

    fn checkpoint(&mut self) -> Result<()> {
        self.engine.checkpoint()?;
        self.report.checkpoint = true;
        Ok(())
    }

    /// Nothing more is due.
    fn end(mut self, rests: bool, stop: &dyn Fn() -> bool) -> Result<MaintainReport> {
        if rests {
            self.damaged.rests(self.engine.vacuum_unasked(self.percent, stop).map(Some))?;
        }
        self.damaged.told(self.report)
    }
}
