//! One step of tiering: takes entries off the work queue and moves what they name.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::candidate::{FRAME, Member, SOLID_FROM, WORTH, is_packed, is_readable, member};
use super::frame::{pack, packed_keys};
use super::move_alone::move_alone;
use crate::catalog::keyspace::keys;
use crate::catalog::{Moment, Rows, unreadable};
use crate::engine::state::engine::Engine;
use crate::engine::{self, BlobHead, Keyed, NewBody, View};
use crate::error::{Error, ErrorKind, Result};
use crate::format::entry::{BlobId, Extent};
use crate::segment::TIERS;

/// About how many bytes one step moves.
const STEP: u64 = 4 << 20;

/// The most rows that one step looks at.
const ROWS: usize = 8192;

const PATIENCE_MILLIS: u64 = 60_000;

/// A walk over the work that is left. What cannot be done now is passed over until the next walk.
#[derive(Debug, Default)]
pub struct Mover {
    from: Vec<u8>,
    /// Whether small bodies are packed however few they are.
    at_once: bool,
    /// The first damage that was met and passed over.
    damage: Option<Error>,
}

/// What one step has gathered.
#[derive(Default)]
struct Step {
    /// Word that is dealt with once the step is committed.
    done: Vec<(Vec<u8>, u64)>,
    /// Word of solid frames, dealt with once all that is left of them is packed anew.
    frames: Vec<(Vec<u8>, u64)>,
    /// Whether something that was gathered must wait.
    waits: bool,
    /// The first damage that was met: what cannot be read stays where it is, with its word.
    damage: Option<Error>,
    /// Small bodies to be packed, by tier.
    small: BTreeMap<u8, Vec<Member>>,
    /// Since when the oldest of them waits.
    oldest: u64,
    /// Rows whose body goes to a tier by itself.
    alone: Vec<(u8, Member)>,
    bytes: u64,
}

/// Takes rows out of the solid frames that their bodies lie in: small ones into others, the rest by themselves.
pub fn take_out(engine: &Arc<Engine>, view: &View, members: Vec<Member>) -> Result<()> {
    let mut step = Step { oldest: u64::MAX, ..Step::default() };
    for member in members {
        let tier = Some(member.weight.slot).filter(|slot| *slot < TIERS).unwrap_or(SOLID_FROM);
        step.take(tier, member, 0);
    }
    step.commit(engine, view).map(drop)
}

impl Mover {
    /// A walk that leaves nothing for later.
    pub fn at_once() -> Mover {
        Mover { at_once: true, ..Mover::default() }
    }

    /// Does one step. Says how many bytes were moved; none if there is nothing left that can be done now.
    pub fn step(&mut self, engine: &Arc<Engine>) -> Result<Option<u64>> {
        let _turn = engine.moving_turn()?;
        let _moving = engine.begin_move();
        let view = engine.pin();
        let end = keys::all_moving().1;
        self.from = self.from.clone().max(keys::all_moving().0);
        let mut step = Step { oldest: u64::MAX, ..Step::default() };
        let mut seen = 0;
        let moment = Moment::now(&view);
        while seen < ROWS && step.bytes < STEP {
            let Some(word) = moment.next(&self.from, &end)? else { break };
            self.from = [&word[..], &[0]].concat();
            seen += 1;
            let frames = step.frames.len();
            match step.look(engine, &view, word) {
                // One row that cannot be read keeps no other body where it is.
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    step.frames.truncate(frames);
                    step.damage.get_or_insert(error);
                }
                looked => looked?,
            }
        }
        if seen == 0 {
            return Ok(None);
        }
        let waiting: u64 = step.small.values().flatten().map(Member::len).sum();
        let aged = step.oldest.saturating_add(PATIENCE_MILLIS) <= engine.millis();
        if engine.wake().has_listener() && !self.at_once && !aged && waiting < WORTH {
            step.small.clear();
            step.waits = true;
        }
        let moved = step.commit(engine, &view);
        self.damage = self.damage.take().or(step.damage);
        moved.map(Some)
    }

    /// The first damage that was met since this was last asked; it kept nothing else from being moved.
    pub fn damage(&mut self) -> Option<Error> {
        self.damage.take()
    }
}

impl Step {
    /// Decides what is to be done about a row of work.
    fn look(&mut self, engine: &Engine, view: &View, word: Vec<u8>) -> Result<()> {
        let Some(found) = Moment::now(view).get(&word)? else { return Ok(()) };
        let (millis, key) = found
            .payload
            .split_first_chunk::<8>()
            .ok_or_else(|| unreadable("work that is left is cut off"))?;
        let (millis, word) = (u64::from_be_bytes(*millis), (word, found.lsn));
        if let Some(blob) = engine::blob_of(key) {
            return self.look_at_frame(engine, view, blob, (millis, word));
        }
        match self.wanted(engine, view, key) {
            Ok(None) => self.done.push(word),
            Ok(Some((tier, mut member))) => {
                self.bytes += member.len();
                member.word = Some(word);
                self.take(tier, member, millis);
            }
            // What lies in a directory that is not there waits until it is.
            Err(error) if error.kind() == ErrorKind::Io => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn take(&mut self, tier: u8, member: Member, millis: u64) {
        if is_packed(tier, &member, member.len()) {
            self.oldest = self.oldest.min(millis);
            self.small.entry(tier).or_default().push(member);
        } else {
            self.alone.push((tier, member));
        }
    }

    /// The tier that a row's body should go to, and the row; none if it lies well. Of a shared body, its pieces are
    /// taken along in the row's place.
    fn wanted(&mut self, engine: &Engine, view: &View, key: &[u8]) -> Result<Option<(u8, Member)>> {
        let Some(member) = member(view, key)? else { return Ok(None) };
        let tier = member.weight.slot;
        if !keys::has_body(key) || tier >= TIERS {
            return Ok(None);
        }
        let strays = |extents: &[Extent]| -> Result<bool> {
            for extent in extents {
                if engine.tier_of(view, extent)? != tier {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        let shared = match &member.body {
            NewBody::Extents(extents) => {
                let lies_well = !is_packed(tier, &member, member.len()) && !strays(extents)?;
                return Ok((!lies_well).then_some((tier, member)));
            }
            NewBody::Shared(shared) => shared.clone(),
            _ => return Ok(None),
        };
        let Some(head) = Moment::now(view).get(&engine::head_key(shared.blob))? else { return Ok(None) };
        let head = BlobHead::decode(&head.payload)?;
        let mut pieces = Vec::new();
        let (from, end) = (engine::piece_key(shared.blob, 0), engine::end_key(shared.blob));
        let mut warm = u8::MAX;
        Moment::now(view).walk(&from, &end, &mut |at| {
            let Some(piece) = super::candidate::member(view, at)? else { return Ok(true) };
            if let NewBody::Extents(extents) = &piece.body {
                for extent in extents {
                    warm = warm.min(engine.tier_of(view, extent)?);
                }
                if strays(extents)? {
                    pieces.push(piece);
                }
            }
            Ok(true)
        })?;
        if pieces.is_empty() {
            return Ok(None);
        }
        if matches!(head.keyed, Keyed::Solid { .. }) {
            return Ok(Some((tier, member)));
        }
        // The warmest of those who share it decides.
        if tier < warm || head.refs <= 1 {
            self.bytes += pieces.iter().map(Member::len).sum::<u64>();
            self.alone.extend(pieces.into_iter().map(|piece| (tier, piece)));
        }
        Ok(None)
    }

    /// Packs what is left of a solid frame anew.
    fn look_at_frame(
        &mut self,
        engine: &Engine,
        view: &View,
        blob: BlobId,
        (millis, word): (u64, (Vec<u8>, u64)),
    ) -> Result<()> {
        self.frames.push(word);
        let Some(piece) = member(view, &engine::piece_key(blob, 0))? else { return Ok(()) };
        let NewBody::Extents(extents) = &piece.body else { return Ok(()) };
        let Some(extent) = extents.first() else { return Ok(()) };
        let tier = match engine.tier_of(view, extent) {
            // What lies in a directory that is not there waits until it is.
            Err(error) if error.kind() == ErrorKind::Io => {
                self.frames.pop();
                return Ok(());
            }
            tier => tier?,
        };
        for key in packed_keys(view, &piece)? {
            let Some(member) = member(view, &key)? else { continue };
            if member.frame() == Some(blob) && member.weight.slot == tier {
                self.bytes += member.len();
                self.take(tier, member, millis);
            }
        }
        Ok(())
    }

    fn commit(&mut self, engine: &Arc<Engine>, view: &View) -> Result<u64> {
        let mut moved = 0;
        for (tier, members) in std::mem::take(&mut self.small) {
            // Neighbours are alike.
            let members = self.each_once(members);
            let mut members = members.into_iter().peekable();
            while members.peek().is_some() {
                let (mut frame, mut len) = (Vec::new(), 0);
                while let Some(member) = members.next_if(|member| len == 0 || len + member.len() <= FRAME) {
                    len += member.len();
                    frame.push(member);
                }
                moved += len;
                self.in_service(view, frame, |members| pack(engine, view, tier, members))?;
            }
        }
        let mut alone: BTreeMap<u8, Vec<Member>> = BTreeMap::new();
        std::mem::take(&mut self.alone)
            .into_iter()
            .for_each(|(tier, member)| alone.entry(tier).or_default().push(member));
        for (tier, members) in alone {
            let members = self.each_once(members);
            moved += members.iter().map(Member::len).sum::<u64>();
            self.in_service(view, members, |members| move_alone(engine, view, tier, members))?;
        }
        if !self.waits {
            self.done.append(&mut self.frames);
        }
        if !self.done.is_empty() {
            engine.drop_done(std::mem::take(&mut self.done))?;
        }
        Ok(moved)
    }

    /// Sorts members and leaves each in once: word may have been left of one more than once.
    fn each_once(&mut self, mut members: Vec<Member>) -> Vec<Member> {
        members.sort_by(|one, other| one.key.cmp(&other.key));
        members.dedup_by(|one, kept| {
            let same = one.key == kept.key;
            if same && kept.word.is_none() {
                kept.word = one.word.take();
            } else if same {
                self.done.extend(one.word.take());
            }
            same
        });
        members
    }

    /// Does something with members, whose word is dealt with then; not, if the directory of the tier cannot be used.
    /// Those whose bodies cannot be read stay where they are, with their word.
    fn in_service(
        &mut self,
        view: &View,
        mut members: Vec<Member>,
        act: impl Fn(&mut Vec<Member>) -> Result<()>,
    ) -> Result<()> {
        let words =
            |members: &[Member]| members.iter().filter_map(|each| each.word.clone()).collect::<Vec<_>>();
        let mut done = words(&members);
        let mut acted = act(&mut members);
        if let Err(error) = &acted
            && error.kind() == ErrorKind::Corrupt
            && !members.is_empty()
        {
            let before = members.len();
            members.retain(|member| is_readable(view, &member.body));
            if members.len() < before {
                self.damage = self.damage.take().or(acted.err());
                self.waits = true;
                done = words(&members);
                acted = if members.is_empty() { Ok(()) } else { act(&mut members) };
            }
        }
        match acted {
            Err(error) if error.kind() == ErrorKind::Io && !error.is_fatal() => {
                self.waits = true;
                Ok(())
            }
            acted => {
                self.done.extend(done);
                acted
            }
        }
    }
}
