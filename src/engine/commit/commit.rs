//! The commit: decides a group's proposals in order, writes them once, syncs once, then lets readers see them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::MutexGuard;

use crate::engine::proposal::layout::Layout;
use crate::engine::proposal::ledger::{self, LedgerDiff, Tombstone};
use crate::engine::proposal::outcome::Committed;
use crate::engine::proposal::proposal::{Proposal, State};
use crate::engine::proposal::queue::Member;
use crate::engine::state::engine::Engine;
use crate::engine::state::writer::Writer;
use crate::engine::view::spaces::MOVE_SPACE;
use crate::engine::view::view::{STRUCTURE_SPACE, View};
use crate::env::Planted;
use crate::error::{Error, ErrorKind, Result};
use crate::format::superblock::{FEATURE_PACKED, FEATURE_TIERS};
use crate::index::NewItem;
use crate::model::{Durability, Lsn};
use crate::segment::{Spender, Undo};

/// The most members in one group.
const GROUP_MEMBERS: usize = 256;

/// The most bytes in one group, unless a single member needs more.
const GROUP_BYTES: u64 = 4 << 20;

/// How often a commit that finds no room is tried again, each time after some was made.
const TRIES: u32 = 64;

/// A group that is decided and laid out but not yet written.
struct Group {
    working: View,
    layout: Option<Layout>,
    diff: LedgerDiff,
    /// Members, and the lsn each will have: that of the commit before for those that change nothing.
    writing: Vec<(Arc<Member>, u64)>,
    synced: bool,
    millis: u64,
}

/// What became of a group.
enum Fate {
    Committed,
    TakenBack(Error),
    Failed(Error),
}

/// The turn to write, held for longer than one commit.
#[derive(Debug)]
pub struct Exclusive<'a> {
    engine: &'a Engine,
    /// There until this is dropped.
    writer: Option<MutexGuard<'a, Writer>>,
}

impl Exclusive<'_> {
    /// The newest state. Nobody else writes while the turn is held.
    pub fn view(&self) -> Arc<View> {
        self.turn().view.clone()
    }

    fn turn(&self) -> &Writer {
        self.writer.as_ref().expect("held until it is dropped")
    }

    /// Commits and gives the turn back.
    pub fn commit<P: Proposal>(mut self, proposal: P, durability: Durability) -> (P, Result<Committed>) {
        let member = Arc::new(Member::new(Box::new(proposal), durability));
        let writer = self.writer.as_mut().expect("held until it is dropped");
        self.engine.run(writer, [member.clone()].into());
        drop(self);
        member.finish()
    }
}

impl Drop for Exclusive<'_> {
    fn drop(&mut self) {
        if self.engine.check_here().is_err() {
            // In a forked process nobody waits for the turn, and giving it back could wait for somebody.
            std::mem::forget(self.writer.take());
            return;
        }
        self.engine.set_exclusive(None);
    }
}

impl Engine {
    /// Commits a proposal, together with whoever else waits at this moment.
    pub fn commit<P: Proposal>(&self, mut proposal: P, durability: Durability) -> (P, Result<Committed>) {
        let mut tries = 0;
        loop {
            let who = proposal.may_use_reserve();
            let (tried, done) = self.commit_once(proposal, durability);
            match &done {
                Err(error) if error.is_full() && !error.is_fatal() && tries < TRIES => {
                    if !self.relieve(error, who, tries) {
                        return (tried, done);
                    }
                }
                _ => return (tried, done),
            }
            proposal = tried;
            tries += 1;
        }
    }

    fn commit_once<P: Proposal>(&self, proposal: P, durability: Durability) -> (P, Result<Committed>) {
        if let Err(error) = self.admit(proposal.may_use_reserve()) {
            return (proposal, Err(error));
        }
        let member = Arc::new(Member::new(Box::new(proposal), durability));
        if self.queue.enter(&member) {
            if durability == Durability::Synced {
                self.queue.gather(&*self.env.clock);
            }
            let mut writer = self.writer.lock();
            let group = self.queue.take(GROUP_MEMBERS);
            let members: Vec<_> = group.iter().cloned().collect();
            self.run(&mut writer, group);
            drop(writer);
            self.queue.leave(&member, &members);
        }
        member.finish()
    }

    /// Takes the turn to write and keeps it: what is read meanwhile stays true until the commit.
    pub fn exclusive(&self) -> Result<Exclusive<'_>> {
        self.admit(None)?;
        if self.gives_room_back() {
            self.checkpoint()?;
        }
        let writer = self.writer.lock();
        self.set_exclusive(Some(std::thread::current().id()));
        Ok(Exclusive { engine: self, writer: Some(writer) })
    }

    /// Whether a write may begin: the store is open for writing, the delta has room, this thread does not
    /// already hold the turn.
    fn admit(&self, may_use_reserve: Option<Spender>) -> Result<()> {
        self.check_writable()?;
        if self.holds_exclusive() {
            return Err(Error::new(
                ErrorKind::Busy,
                "OperationConflict",
                "this thread is inside `store.write`; write through the transaction it was given",
            ));
        }
        let pace = self.pace.load(Ordering::Relaxed);
        if pace > 0 && may_use_reserve.is_none() {
            self.env.clock.rest(Duration::from_micros(pace));
        }
        if self.delta_is_over()
            && let Err(error) = self.checkpoint()
        {
            // A delete must get through even if the index cannot be written for want of room.
            if !(error.is_full() && may_use_reserve.is_some()) {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Commits members in groups, in order, until each is settled.
    fn run(&self, writer: &mut Writer, mut members: VecDeque<Arc<Member>>) {
        while !members.is_empty() {
            if let Err(error) = self.check_writable() {
                members.drain(..).for_each(|member| member.settle(Err(error.duplicate())));
                return;
            }
            let before = members.clone();
            let mut group = match self.decide(writer, &mut members) {
                Ok(group) => group,
                Err(error) => {
                    let reached = before.len() - members.len();
                    before
                        .iter()
                        .take(reached.max(1))
                        .for_each(|member| member.settle(Err(error.duplicate())));
                    members.drain(..1_usize.saturating_sub(reached));
                    continue;
                }
            };
            match self.write(writer, &mut group) {
                Fate::Committed => {}
                Fate::Failed(error) => {
                    group.writing.iter().for_each(|(member, _)| member.settle(Err(error.duplicate())));
                }
                Fate::TakenBack(error) => self.retry_alone(writer, group, error),
            }
        }
    }

    /// A group could not be written and was taken back. If the disk is full, a small member may still fit alone, and a delete may
    /// use the reserve; after any other error each is tried once more by itself, if there were several.
    fn retry_alone(&self, writer: &mut Writer, group: Group, error: Error) {
        let alone = group.writing.len() == 1;
        // Whoever is asked again first must see nothing of what the others had decided.
        group.writing.iter().for_each(|(member, _)| member.with(|proposal| proposal.undone()));
        for (member, _) in group.writing {
            let spender = self.spender(&member);
            let freed = error.is_full() && spender.is_some_and(|who| self.reserve.spend(&self.env, who));
            if alone && !freed {
                member.settle(Err(error.duplicate()));
                continue;
            }
            self.run(writer, [member].into());
        }
    }

    /// Decides as many members as fit into one group and takes them off the queue.
    fn decide(&self, writer: &mut Writer, members: &mut VecDeque<Arc<Member>>) -> Result<Group> {
        let mut group = Group {
            working: View {
                index: writer.view.index.clone(),
                segments: self.tables.current(),
                lsn: writer.view.lsn,
                structure: writer.view.structure,
                reign: writer.view.reign.clone(),
            },
            layout: None,
            diff: LedgerDiff::default(),
            writing: Vec::new(),
            synced: false,
            millis: self.millis(),
        };
        while let Some(member) = members.front().cloned() {
            if let Err(error) = self.keep_reserve(&member) {
                member.settle(Err(error));
                members.pop_front();
                continue;
            }
            let lsn = group.working.lsn + 1;
            let state = State { view: &group.working, lsn, millis: group.millis, mistake: self.mistake() };
            let changes = match member.with(|proposal| proposal.decide(&state)) {
                Ok(changes) => changes,
                Err(error) => {
                    member.settle(Err(error));
                    members.pop_front();
                    continue;
                }
            };
            if changes.is_empty() {
                // What it found is told once that is as durable as it asked for, and is what was written: a
                // delete of what a buffered delete has taken away must not come undone.
                group.synced |= member.durability == Durability::Synced;
                group.writing.push((member, group.working.lsn));
                members.pop_front();
                continue;
            }
            if changes.iter().any(|change| change.key.first() == Some(&MOVE_SPACE))
                && let Err(error) = self.require(FEATURE_TIERS)
            {
                member.settle(Err(error));
                members.pop_front();
                continue;
            }
            let packs = self.ring().is_none() && Layout::gains_by_packing(&changes);
            let ready = self.secure_checkpoint(&group.working, &changes, self.spender(&member));
            let ready = ready.and_then(|()| if packs { self.require(FEATURE_PACKED) } else { Ok(()) });
            if let Err(error) = ready {
                member.settle(Err(error));
                members.pop_front();
                continue;
            }
            let bound = Layout::bound(&changes, self.chunk_log2());
            if let Some(layout) = &group.layout
                && (layout.len() + bound > GROUP_BYTES || !writer.log.fits(layout.len() + bound))
            {
                // It is asked again as the first of the next group.
                member.with(|proposal| proposal.undone());
                return Ok(group);
            }
            members.pop_front();
            if group.layout.is_none() {
                if let Err(error) = self.make_room(writer, bound, &member) {
                    member.settle(Err(error));
                    continue;
                }
                group.working.segments = self.tables.current();
                group.layout = Some(self.new_layout(writer));
            }
            let moves = changes.iter().any(|change| change.moved.is_some());
            let lsn = if moves { group.working.lsn } else { lsn };
            let layout = group.layout.as_mut().expect("made above");
            let mark = layout.mark();
            let durable = writer.log.durable();
            let laid = match layout.add(changes, lsn, durable, group.millis, packs) {
                Ok(laid) => laid,
                Err(error) => {
                    layout.roll_back(&mark);
                    member.settle(Err(error));
                    continue;
                }
            };
            let home = writer.log.tail().expect("room was made").segment;
            for change in &laid {
                let made = change.moved.map_or(home, |moved| moved.made);
                let tombstone = Tombstone { made, home }.encode();
                let lsn = change.moved.map_or(lsn, |moved| moved.lsn);
                if change.key.first() == Some(&STRUCTURE_SPACE) && !moves {
                    group.working.structure = lsn;
                }
                let item = match &change.put {
                    Some((weight, entry)) => NewItem { lsn, tombstone: false, weight: *weight, value: entry },
                    None => {
                        let weight = ledger::tombstone_weight(&change.key);
                        NewItem { lsn, tombstone: true, weight, value: &tombstone }
                    }
                };
                ledger::apply(
                    &mut group.working.index,
                    &mut group.diff,
                    self.chunk_log2(),
                    &change.key,
                    item,
                )?;
            }
            group.working.lsn = lsn;
            group.synced |= member.durability == Durability::Synced;
            group.writing.push((member, lsn));
        }
        Ok(group)
    }

    /// While a part of the reserve is spent, only those may write who may spend it.
    fn keep_reserve(&self, member: &Member) -> Result<()> {
        if self.reserve.is_whole() || self.spender(member).is_some() {
            return Ok(());
        }
        self.reserve
            .admit(&self.env)
            .map_err(|error| Error::io("taking the reserve for deletes again", error))
    }

    /// How a member may spend the reserve.
    fn spender(&self, member: &Member) -> Option<Spender> {
        let spender = member.with(|proposal| proposal.may_use_reserve());
        if self.planted(Planted::ReserveForAll) { Some(Spender::Relocation) } else { spender }
    }

    fn new_layout(&self, writer: &mut Writer) -> Layout {
        let tail = writer.log.tail().expect("room was made");
        let segment = writer.log.active().expect("room was made").clone();
        Layout::new(segment, tail.offset, self.chunk_log2(), std::mem::take(&mut writer.buffer))
    }

    /// Makes sure that `bytes` fit into the active log segment, going on in a new one if they do not.
    fn make_room(&self, writer: &mut Writer, bytes: u64, member: &Member) -> Result<()> {
        if writer.log.fits(bytes) {
            return Ok(());
        }
        self.go_on_in_new_log(writer, bytes, self.spender(member))
    }

    /// Goes on in a new log segment with room for `bytes`.
    pub(in crate::engine) fn go_on_in_new_log(
        &self,
        writer: &mut Writer,
        bytes: u64,
        spender: Option<Spender>,
    ) -> Result<()> {
        let len = self.log_segment_len(writer.ledger.total());
        loop {
            match writer.log.rotate(len, bytes, &mut |id| self.announce_log(id)) {
                Ok(()) => {
                    let made = writer.log.tail().map_or(0, |tail| tail.segment);
                    self.feed.goes_on_in(made, writer.view.lsn);
                    return Ok(());
                }
                Err(Undo::TakenBack(error)) => {
                    if !error.is_full() || !spender.is_some_and(|who| self.reserve.spend(&self.env, who)) {
                        return Err(error);
                    }
                }
                Err(Undo::Unknown(error)) => return Err(self.poison(error)),
            }
        }
    }

    /// Writes and syncs a group and publishes it.
    fn write(&self, writer: &mut Writer, group: &mut Group) -> Fate {
        if group.writing.is_empty() {
            return Fate::Committed;
        }
        if self.planted(Planted::AckBeforeWrite) {
            self.publish(writer, group);
            return Fate::Committed;
        }
        if let Some(layout) = group.layout.take().filter(|layout| !layout.is_empty()) {
            let len = layout.len();
            let written = writer.log.append(&layout.slices(), len);
            writer.buffer = layout.into_buffer();
            match written {
                Ok(()) => {}
                Err(Undo::TakenBack(error)) => return Fate::TakenBack(error),
                Err(Undo::Unknown(error)) => return Fate::Failed(self.poison(error)),
            }
            writer.since_checkpoint += len;
            self.gauges.appended(len, group.writing.len() as u64);
        }
        // I3: only what is as durable as it was asked to be is published.
        if group.synced
            && writer.log.is_dirty()
            && let Err(error) = self.sync_log(writer, group.working.lsn)
        {
            return Fate::Failed(error);
        }
        self.publish(writer, group);
        Fate::Committed
    }

    /// Makes every commit so far durable, up to `lsn`: the bodies first, then the log that names them.
    pub(in crate::engine) fn sync_log(&self, writer: &mut Writer, lsn: u64) -> Result<()> {
        if self.planted(Planted::SkipLogSync) {
            return Ok(());
        }
        let bodies = if self.planted(Planted::SkipBulkSync) { Ok(()) } else { self.sync_pools() };
        self.gauges.synced();
        match bodies.and_then(|()| writer.log.sync()).and_then(|()| writer.log.check_name()) {
            Err(_) if self.planted(Planted::SwallowSyncError) => Ok(()),
            // I8: never retried; what survived is known only after reopening.
            Err(error) => Err(self.poison(error)),
            Ok(()) => {
                self.tell_readers(writer, lsn);
                Ok(())
            }
        }
    }

    fn publish(&self, writer: &mut Writer, group: &mut Group) {
        writer.ledger.apply(std::mem::take(&mut group.diff));
        if group.working.lsn != writer.view.lsn {
            group.working.reign = writer.view.reign.followed(group.millis);
        }
        let view = Arc::new(group.working.clone());
        writer.view = view.clone();
        if self.planted(Planted::TellTooEarly) {
            self.tell_readers(writer, view.lsn);
        }
        self.view.store(view);
        self.feed.ring();
        for (member, lsn) in &group.writing {
            member.settle(Ok(Committed { lsn: Lsn(*lsn), millis: group.millis }));
        }
        self.wake_if_due(writer);
    }
}
