//! Moving: bodies go to the tier that their class wants, and small ones of the cold classes are packed together there.
//!
//! A commit that leaves a body in another tier than its class wants leaves word of that (keyspace 0E). Here the word is
//! taken up, in bounded steps, each of which ends in one commit that says the rows again at the lsn that they have: a
//! reader sees the same before and after it, and a row that has changed meanwhile is left alone, because that change has
//! left word of its own.
//!
//! A body that several rows share lies where the warmest of them wants it: it is moved to a warmer tier by whoever wants
//! that, and to a colder one only when nobody else refers to it.
//!
//! *Solid frames*: small bodies of Archive and colder are put one behind another into one shared body, which is
//! compressed as a whole. Each row refers to its part of it. Behind the bodies stand the keys that they were packed for,
//! so that what is left can be packed anew when less than half of a frame is of use.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::catalog::{Found, Moment, Rows, keys};
use crate::engine::{
    self, BlobHead, BodyReader, Change, Engine, Keyed, Moved, NewBody, Proposal, SharedRef, Spender, State,
    View, What,
};
use crate::env::Planted;
use crate::error::{Error, ErrorKind, Result};
use crate::format::entry::{BlobId, Extent};
use crate::format::row::{self, ObjectRow, PieceRow, TidyRow};
use crate::format::varint;
use crate::index::Weight;
use crate::model::Durability;
use crate::segment::{Placed, TIERS};

use super::staged::unreadable;

/// The first tier of which small bodies are packed together.
const SOLID_FROM: u8 = 2;
/// The longest body that is packed with others.
const SOLID_MEMBER: u64 = 64 << 10;
/// About how many bytes of bodies make a frame.
const FRAME: u64 = 1 << 20;
/// About how many bytes one step moves.
const STEP: u64 = 4 << 20;
/// The most rows that one step looks at.
const ROWS: usize = 8192;
/// How much of a long body is copied at once.
const COPY: u64 = 1 << 20;
/// While there is a maintenance thread, small bodies wait until there are so many bytes of them, or for so long: a frame
/// of a few is hardly smaller than they are.
const WORTH: u64 = FRAME;
const PATIENCE_MILLIS: u64 = 60_000;

/// Word that the body of the row `key` is to lie in another tier.
pub fn work(millis: u64, key: &[u8]) -> Vec<u8> {
    [&millis.to_be_bytes(), key].concat()
}

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

/// A row whose body is moved.
pub struct Member {
    /// Its key.
    pub key: Vec<u8>,
    lsn: u64,
    /// The row as it was when its body was read.
    value: Vec<u8>,
    /// What it counts for.
    pub weight: Weight,
    /// What it says, once it is said again.
    pub payload: Vec<u8>,
    /// Its body.
    pub body: NewBody,
    /// The word that it was found by, and its lsn.
    word: Option<(Vec<u8>, u64)>,
}

impl Member {
    /// How many bytes its body has.
    pub fn len(&self) -> u64 {
        self.body.to_owned_body().len()
    }

    /// Whether the row is still what it was.
    pub fn lives(&self, view: &View) -> Result<bool> {
        let found = view.index.get(&self.key)?;
        Ok(found.is_some_and(|item| !item.tombstone && item.lsn == self.lsn && item.value() == self.value))
    }

    /// The solid frame that it is taken out of.
    fn frame(&self) -> Option<BlobId> {
        match &self.body {
            NewBody::Shared(shared) => Some(shared.blob),
            _ => None,
        }
    }
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
            let Some(piece) = self::member(view, at)? else { return Ok(true) };
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

/// Whether a body of this length is packed with others in a tier.
fn is_packed(tier: u8, member: &Member, len: u64) -> bool {
    tier >= SOLID_FROM && len <= SOLID_MEMBER && keys::has_body(&member.key) && !goes_on(member)
}

/// Whether more may be appended to an object's body.
fn goes_on(member: &Member) -> bool {
    use crate::model::ObjectKind;
    keys::has_body(&member.key)
        && row::decode::<ObjectRow>(&member.payload)
            .map_or(true, |row| row.kind != ObjectKind::Normal.number())
        || engine::blob_of(&member.key).is_some()
}

/// A row as it is now; none if it is not there.
pub fn member(view: &View, key: &[u8]) -> Result<Option<Member>> {
    let Some(item) = view.index.get(key)?.filter(|item| !item.tombstone) else { return Ok(None) };
    let stored = view.stored(&item)?;
    Ok(Some(Member {
        key: key.to_vec(),
        lsn: item.lsn,
        value: item.value().to_vec(),
        weight: stored.weight,
        payload: stored.payload.to_vec(),
        body: NewBody::stored(&stored.body),
        word: None,
    }))
}

/// Whether every byte of a body can be read.
fn is_readable(view: &View, body: &NewBody) -> bool {
    let read = || -> Result<()> {
        let reader = BodyReader::new(view, body.to_owned_body())?;
        let mut at = 0;
        while at < reader.len() {
            at += reader.read(at..reader.len().min(at + COPY))?.len() as u64;
        }
        Ok(())
    };
    read().is_ok()
}

fn read_all(view: &View, body: &NewBody) -> Result<Vec<u8>> {
    let reader = BodyReader::new(view, body.to_owned_body())?;
    let mut bytes = Vec::with_capacity(reader.len() as usize);
    while (bytes.len() as u64) < reader.len() {
        bytes.extend_from_slice(&reader.read(bytes.len() as u64..reader.len())?);
    }
    Ok(bytes)
}

/// The keys that the bodies of a frame were packed for.
fn packed_keys(view: &View, piece: &Member) -> Result<Vec<Vec<u8>>> {
    let damaged = || unreadable("the keys behind a solid frame cannot be read");
    let reader = BodyReader::new(view, piece.body.to_owned_body())?;
    let behind = reader.len().checked_sub(8).ok_or_else(damaged)?;
    let start = u64::from_le_bytes(reader.read(behind..reader.len())?[..].try_into().map_err(|_| damaged())?);
    if start > behind {
        return Err(damaged());
    }
    let bytes = reader.read(start..behind)?;
    let (mut input, mut found) = (&bytes[..], Vec::new());
    while !input.is_empty() {
        let len = varint::take(&mut input).ok_or_else(damaged)?;
        found.push(varint::take_bytes(&mut input, len).ok_or_else(damaged)?.to_vec());
    }
    Ok(found)
}

/// Packs members into one frame.
fn pack(engine: &Arc<Engine>, view: &View, tier: u8, members: &mut Vec<Member>) -> Result<()> {
    let blob = BlobId { lsn: view.lsn, n: engine.lone_number() };
    let (mut bytes, mut packed_for) = (Vec::new(), Vec::new());
    let mut starts = Vec::with_capacity(members.len());
    let (mut shared, mut keys) = (BTreeMap::new(), 0u64);
    for member in &*members {
        // Copies have one body, and keep one.
        let here = bytes.len() as u64;
        let start = match &member.body {
            NewBody::Shared(part) => *shared.entry((part.blob, part.offset, part.len)).or_insert(here),
            _ => here,
        };
        starts.push(start + u64::from(engine.mistake().is(Planted::SolidOffByOne)));
        if start == here {
            bytes.extend(read_all(view, &member.body)?);
        }
        varint::put(&mut packed_for, member.key.len() as u64);
        packed_for.extend_from_slice(&member.key);
        keys = keys.wrapping_add(engine::key_sum(&member.key));
    }
    let start = bytes.len() as u64;
    bytes.append(&mut packed_for);
    bytes.extend(start.to_le_bytes());
    let piece = engine::piece_key(blob, 0);
    let row = PieceRow {
        size: bytes.len() as u64,
        modified: engine.millis(),
        blake3: Some(*blake3::hash(&bytes).as_bytes()),
        ..PieceRow::default()
    };
    let placed = engine.write_moved(&[(piece, bytes.into())], tier)?;
    let Some(extent) = placed.first().map(|placed| placed.extent) else { return Ok(()) };
    let bodies = members.iter().zip(starts).map(|(member, offset)| {
        NewBody::Shared(SharedRef { blob, offset, len: member.len(), hint: Arc::from([extent]) })
    });
    let bodies: Vec<NewBody> = bodies.collect();
    let frame = Frame { blob, extent, keys, payload: row::encode(&row) };
    let rows = Resettle {
        members: std::mem::take(members),
        bodies,
        frame: Some(frame),
        guards: Vec::new(),
        said: 0,
    };
    commit(engine, rows, placed)
}

/// Writes each member's body into a tier by itself.
fn move_alone(engine: &Arc<Engine>, view: &View, tier: u8, members: &mut Vec<Member>) -> Result<()> {
    let (mut placed, mut bodies) = (Vec::new(), vec![NewBody::None; members.len()]);
    let (mut short, mut short_of): (Vec<(Vec<u8>, Bytes)>, Vec<usize>) = (Vec::new(), Vec::new());
    for (index, member) in members.iter().enumerate() {
        if member.len() <= COPY {
            short.push((member.key.clone(), read_all(view, &member.body)?.into()));
            short_of.push(index);
            continue;
        }
        let reader = BodyReader::new(view, member.body.to_owned_body())?;
        let mut writer = engine.moved_body_writer(member.key.clone(), tier)?;
        let mut at = 0;
        while at < reader.len() {
            let bytes = reader.read(at..reader.len().min(at + COPY))?;
            writer.write(&bytes)?;
            at += bytes.len() as u64;
        }
        let done = writer.finish()?;
        bodies[index] = NewBody::Extents(vec![done.extent]);
        placed.push(done);
    }
    if !short.is_empty() {
        for (index, done) in short_of.into_iter().zip(engine.write_moved(&short, tier)?) {
            bodies[index] = NewBody::Extents(vec![done.extent]);
            placed.push(done);
        }
    }
    let rows =
        Resettle { members: std::mem::take(members), bodies, frame: None, guards: Vec::new(), said: 0 };
    commit(engine, rows, placed)
}

fn commit(engine: &Arc<Engine>, rows: Resettle, placed: Vec<Placed>) -> Result<()> {
    say_again(engine, rows, placed).map(|_| ())
}

/// Says how many rows were said again.
fn say_again(engine: &Arc<Engine>, rows: Resettle, placed: Vec<Placed>) -> Result<u64> {
    let (rows, committed) = engine.commit(rows, Durability::Buffered);
    // Until here nobody else says that the bodies are needed.
    drop(placed);
    committed.map(|_| rows.said)
}

/// A frame that is made.
struct Frame {
    blob: BlobId,
    extent: Extent,
    /// The sum of the keys that are behind its bodies.
    keys: u64,
    payload: Vec<u8>,
}

/// Says rows again with other bodies, if they are still what they were.
struct Resettle {
    members: Vec<Member>,
    bodies: Vec<NewBody>,
    frame: Option<Frame>,
    /// Rows that must be those of these commits still, or nothing is said again.
    guards: Vec<(u64, Vec<u8>)>,
    /// How many rows were said again.
    said: u64,
}

/// Says rows again with other bodies, if they and the `guards` are still what they were. Says how many they were.
pub fn resettle(
    engine: &Arc<Engine>,
    members: Vec<Member>,
    bodies: Vec<NewBody>,
    guards: Vec<(u64, Vec<u8>)>,
    placed: Vec<Placed>,
) -> Result<u64> {
    let said = say_again(engine, Resettle { members, bodies, frame: None, guards, said: 0 }, placed)?;
    // It may have left word of what is to be packed.
    engine.wake().raise();
    Ok(said)
}

impl Proposal for Resettle {
    fn decide(&mut self, state: &State<'_>) -> Result<Vec<Change>> {
        let mut changes = Vec::new();
        self.said = 0;
        for (lsn, key) in &self.guards {
            if !state.index().get(key)?.is_some_and(|item| !item.tombstone && item.lsn == *lsn) {
                return Ok(changes);
            }
        }
        let mut left: BTreeMap<BlobId, u64> = BTreeMap::new();
        let (mut count, mut words) = (0, Vec::new());
        for (member, body) in self.members.iter().zip(&self.bodies) {
            let current = state.index().get(&member.key)?;
            let same = |item: &crate::index::Item<'_>| {
                !item.tombstone && item.lsn == member.lsn && item.value() == member.value
            };
            if !current.as_ref().is_some_and(same) {
                continue;
            }
            count += 1;
            self.said = count;
            if let Some(blob) = member.frame() {
                *left.entry(blob).or_default() += 1;
            }
            if let NewBody::Extents(extents) = body
                && is_packed(member.weight.slot, member, extents.iter().map(|extent| extent.len).sum())
            {
                // It lies in its tier by itself from now on, where it should be packed.
                words.push((member.lsn, member.key.clone()));
            }
            let (weight, payload) = (member.weight, member.payload.clone());
            changes.push(again(member.key.clone(), member.lsn, weight, body.clone(), payload));
        }
        if let Some(Frame { blob, extent, keys, payload }) = self.frame.as_ref().filter(|_| count > 0) {
            let head = engine::head_key(*blob);
            if state.index().get(&head)?.is_some() {
                // The name is taken after all; the work is still there, and the next time it will be another name.
                return Err(Error::new(
                    ErrorKind::Io,
                    "InternalError",
                    "a name was taken; it is tried again",
                ));
            }
            let weight = Weight::default();
            let body = NewBody::Extents(vec![*extent]);
            changes.push(again(engine::piece_key(*blob, 0), blob.lsn, weight, body, payload.clone()));
            let row =
                BlobHead { refs: count, pieces: 1, keyed: Keyed::Solid { members: count, keys: *keys } };
            changes.push(again(head, blob.lsn, weight, NewBody::None, row.encode()));
        }
        for (blob, count) in left {
            let key = engine::head_key(blob);
            let Some(Found { lsn, payload, .. }) = Moment::now(state.view).get(&key)? else { continue };
            let mut head = BlobHead::decode(&payload)?;
            let count = if state.mistake.is(Planted::FrameGoesEarly) { 2 * count } else { count };
            let before = head.refs;
            head.refs = head.refs.saturating_sub(count);
            if let Keyed::Solid { members, .. } = head.keyed
                && (1..before).contains(&head.refs)
                && head.refs * 2 < members
                && before * 2 >= members
            {
                // Less than half of it is of use, as where bodies are removed.
                words.push((lsn, key.clone()));
            }
            if head.refs == 0 {
                let work = row::encode(&TidyRow::Blob { lsn: blob.lsn, n: blob.n });
                changes.push(again(
                    keys::tidy(blob.lsn, blob.n),
                    lsn,
                    Weight::default(),
                    NewBody::None,
                    work,
                ));
            }
            changes.push(again(key, lsn, Weight::default(), NewBody::None, head.encode()));
        }
        // Behind the word that is being dealt with, so that the same walk comes by; among numbers that no commit gives out.
        let mut n = engine::LONE_NUMBERS;
        for (lsn, key) in words {
            let mut at = keys::moving(state.lsn, n);
            while state.index().get(&at)?.is_some() {
                n += 1;
                at = keys::moving(state.lsn, n);
            }
            n += 1;
            changes.push(again(at, lsn, Weight::default(), NewBody::None, work(state.millis, &key)));
        }
        Ok(changes)
    }

    fn may_use_reserve(&self) -> Option<Spender> {
        Some(Spender::Relocation)
    }
}

/// A row at the lsn that it has.
fn again(key: Vec<u8>, lsn: u64, weight: Weight, body: NewBody, payload: Vec<u8>) -> Change {
    Change { key, what: What::Put { weight, body, payload }, moved: Some(Moved { lsn, made: 0 }) }
}
