//! Other keys for buckets: what is written from then on has them, and what was written before is written anew on request.
//!
//! A rotation is one small commit, whatever lies in the bucket. Writing anew goes through all rows of the store, for copies
//! and forks read bodies with the keys of the bucket that they were written to; each step ends in one commit that says the
//! rows again at the lsn that they have, as moving to another tier does. What was done stays done, and how far it is stands
//! in a row between two calls. Only then, and only if a look at every row of one moment finds nobody who needs it, a key is removed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::background::tiering::candidate::{self, Member};
use crate::background::tiering::resettle;
use crate::catalog::keyspace::keys;
use crate::catalog::{KeyNames, Moment, Rows, encode_past, encryption, past_of, unreadable};
use crate::crypto::{EnvelopeKey, EnvelopeWriter};
use crate::engine::state::engine::Engine;
use crate::engine::{BodyReader, Copying, NewBody, View};
use crate::error::{Error, ErrorKind, Result};
use crate::format::row::{self, ObjectRow, SealRow};
use crate::format::varint;
use crate::index::Weight;
use crate::model::{Durability, Encryption};
use crate::ops::object::body_out::GotBody;
use crate::ops::object::envelope::{self, Sealed, Sealing};
use crate::rescue::Naming;
use crate::segment::{Placed, TIERS};
use crate::write::commit;
use crate::write::context::{BucketRef, Reading};
use crate::write::outcome::StepOutcome;
use crate::write::staged::overlay::Staged;
use crate::write::step::Step;

/// About how many bytes of bodies one step writes, and the most rows that it looks at.
const STEP: u64 = 4 << 20;

const ROWS: usize = 4096;

/// How much of a body is read at once.
const READ_STEP: u64 = 1 << 20;

/// The most things that are passed over of which a report says why.
const NAMED: usize = 100;

/// Something that was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// What: an object such as `bucket/key`, or a named key.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// What [`Bucket::reencrypt`](crate::Bucket::reencrypt) did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reencrypted {
    /// The number of bodies that were encrypted again: of objects, versions and the retained past.
    pub bodies: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many bodies were passed over because they cannot be read, or because the key that they have or are to get
    /// cannot be had. They stay as they are, and so do their keys.
    pub skipped: u64,
    /// Which those are and why, the first hundred of them.
    pub reasons: Vec<Skipped>,
    /// How many older keys were removed.
    pub keys_removed: u64,
    /// How many older keys are left: something needs them still, such as an upload in progress.
    pub keys_left: u64,
    /// Whether the budget ended before the work did.
    pub more: bool,
}

/// What is passed over in one call, and what was found out by it.
#[derive(Default)]
struct Skips {
    count: u64,
    reasons: Vec<Skipped>,
    /// The first that was the reason for it.
    first: Option<Error>,
    /// Named keys that no key could be had from, and keys of the bucket that could not be had: nobody is asked again.
    sealings: BTreeMap<String, Error>,
    generations: BTreeMap<[u8; 16], Error>,
}

impl Skips {
    /// Takes note of a body that is passed over. An error that is not about this body comes back.
    fn note(&mut self, view: &View, key: &[u8], error: Error) -> Result<()> {
        if error.is_fatal() {
            return Err(error);
        }
        self.count += 1;
        if self.reasons.len() < NAMED {
            self.reasons.push(Skipped { name: name_of(view, key)?, reason: error.to_string() });
        }
        self.first.get_or_insert(error);
        Ok(())
    }
}

/// A row as people know it.
fn name_of(view: &View, key: &[u8]) -> Result<String> {
    let mut names = KeyNames::default();
    let (from, end) = keys::all_buckets();
    Moment::now(view).walk(&from, &end, &mut |key| {
        view.find(key, |stored| {
            names.saved(key, &stored);
            Ok(())
        })?;
        Ok(true)
    })?;
    Ok(names.name(key))
}

/// The rows with bodies that one step writes anew.
struct Gathered {
    keys: Vec<Vec<u8>>,
    /// Where the next step begins; nothing if there is nothing more.
    next: Option<Vec<u8>>,
}

/// The keys of `bucket` that are retired, as of a view.
fn retired(view: &View, bucket: u64) -> Result<BTreeSet<[u8; 16]>> {
    let found = encryption::keys_of(&Moment::now(view), bucket)?;
    Ok(found.into_iter().filter(|(_, row)| row.retired).map(|(generation, _)| generation).collect())
}

fn seal_at(view: &View, key: &[u8]) -> Result<Option<SealRow>> {
    Ok(view.find(key, |stored| encryption::seal_of(key, &stored.payload))?.flatten())
}

/// Looks for rows that need one of these keys.
fn gather(
    view: &View,
    bucket: u64,
    old: &BTreeSet<[u8; 16]>,
    (from, end): (&[u8], &[u8]),
    skips: &mut Skips,
) -> Result<Gathered> {
    let mut gathered = Gathered { keys: Vec::new(), next: None };
    let (mut seen, mut bytes) = (0, 0);
    Moment::now(view).walk(from, end, &mut |key| {
        if seen == ROWS || bytes >= STEP {
            gathered.next = Some(key.to_vec());
            return Ok(false);
        }
        seen += 1;
        match seal_at(view, key) {
            Ok(Some(SealRow::Kms { bucket: whose, generation, .. }))
                if whose == bucket && old.contains(&generation) =>
            {
                bytes += view.find(key, |stored| Ok(stored.weight.bytes))?.unwrap_or(0);
                gathered.keys.push(key.to_vec());
            }
            Ok(_) => {}
            Err(error) => skips.note(view, key, error)?,
        }
        Ok(true)
    })?;
    Ok(gathered)
}

/// A walk over all rows that may need older keys of a bucket. It stands in a row between two calls.
#[derive(Debug, PartialEq, Eq)]
struct Pass {
    /// The keys that were retired when it began.
    old: BTreeSet<[u8; 16]>,
    /// Bodies that it has written anew, and passed over.
    done: u64,
    skipped: u64,
    /// Where it goes on; behind all rows if it has seen them all.
    from: Vec<u8>,
}

impl Pass {
    fn begin(old: BTreeSet<[u8; 16]>) -> Pass {
        Pass { old, done: 0, skipped: 0, from: keys::all_bodies().0 }
    }

    /// The one that an earlier call has left; a new one if that cannot be read, which costs time only.
    fn find(view: &View, bucket: u64) -> Result<Option<Pass>> {
        let found = view.find(&keys::rekeying(bucket), |stored| Ok(Pass::decode(&stored.payload)))?;
        Ok(found.flatten())
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        varint::put(&mut out, self.old.len() as u64);
        self.old.iter().for_each(|generation| out.extend_from_slice(generation));
        varint::put(&mut out, self.done);
        varint::put(&mut out, self.skipped);
        out.extend_from_slice(&self.from);
        out
    }

    fn decode(mut input: &[u8]) -> Option<Pass> {
        let mut old = BTreeSet::new();
        for _ in 0..varint::take(&mut input)? {
            old.insert(*varint::take_bytes(&mut input, 16)?.first_chunk()?);
        }
        let (done, skipped) = (varint::take(&mut input)?, varint::take(&mut input)?);
        Some(Pass { old, done, skipped, from: input.to_vec() })
    }

    /// The rows that are left of those that lie together; `None` if all were seen.
    fn range(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        let ranges = [keys::all_bodies(), keys::all_history()];
        let (from, end) = ranges.into_iter().find(|(_, end)| self.from < *end)?;
        Some((from.max(self.from.clone()), end))
    }

    /// Looks at a bounded number of rows, and writes a bounded part of their bodies anew.
    fn step(
        &mut self,
        engine: &Arc<Engine>,
        (bucket, (from, end)): (&BucketRef, (Vec<u8>, Vec<u8>)),
        old: &BTreeSet<[u8; 16]>,
        (report, skips): (&mut Reencrypted, &mut Skips),
    ) -> Result<()> {
        let (view, before) = (engine.pin(), skips.count);
        let gathered = gather(&view, bucket.id, old, (&from, &end), skips)?;
        let mut rewriting = Rewriting::default();
        for key in &gathered.keys {
            if let Err(error) = rewriting.prepare(engine, &view, (bucket, key), skips) {
                skips.note(&view, key, error)?;
            }
        }
        let (bodies, bytes) = rewriting.commit(engine, skips)?;
        (report.bodies, report.bytes) = (report.bodies + bodies, report.bytes + bytes);
        (self.done, self.skipped) = (self.done + bodies, self.skipped + skips.count - before);
        self.from = gathered.next.unwrap_or(end);
        Ok(())
    }
}

/// Keeps where a walk goes on, or forgets it.
#[derive(Debug)]
struct PassStep {
    bucket: BucketRef,
    pass: Option<Vec<u8>>,
}

impl Step for PassStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        let id = staged.bucket(&self.bucket)?.row.id;
        match &self.pass {
            Some(pass) => staged.put(keys::rekeying(id), Weight::default(), pass.clone()),
            None => staged.remove(keys::rekeying(id)),
        }
        Ok(StepOutcome::None)
    }
}

/// Writes bodies of a bucket anew that older keys of it have sealed, for about as long as `budget` says, then removes the
/// keys that nothing needs any more.
///
/// # Errors
/// Why the first body was passed over, if there was nothing else that could be done.
pub fn reencrypt(engine: &Arc<Engine>, bucket: &BucketRef, budget: Duration) -> Result<Reencrypted> {
    engine.check_writable()?;
    engine.refuse_inside_turn()?;
    Reading::newest(engine).with(|moment| bucket.state(moment).map(|_| ()))?;
    let clock = &engine.env().clock;
    let begun = clock.monotonic();
    let (mut report, mut skips) = (Reencrypted::default(), Skips::default());
    let mut pass = Pass::find(&engine.pin(), bucket.id)?;
    let is_kept = pass.is_some();
    loop {
        let old = retired(&engine.pin(), bucket.id)?;
        if old.is_empty() {
            break;
        }
        let going = pass.get_or_insert_with(|| Pass::begin(old.clone()));
        if let Some(range) = going.range() {
            going.step(engine, (bucket, range), &old, (&mut report, &mut skips))?;
        } else if !old.is_subset(&going.old) {
            // It began before these were retired.
            *going = Pass::begin(old);
        } else {
            let needed = drop_keys(engine, bucket, &mut report)?;
            if !needed || going.done == 0 || going.skipped > 0 {
                break;
            }
            // Rows have come behind its back, such as copies; they are fewer each time.
            *going = Pass::begin(retired(&engine.pin(), bucket.id)?);
        }
        report.more = clock.monotonic().saturating_sub(begun) >= budget;
        if report.more {
            break;
        }
    }
    (report.skipped, report.reasons) = (skips.count, skips.reasons);
    let nothing = pass.as_ref().is_none_or(|pass| pass.done == 0) && report.keys_removed == 0;
    let kept = pass.filter(|_| report.more).map(|pass| pass.encode());
    if is_kept || kept.is_some() {
        let step = PassStep { bucket: bucket.clone(), pass: kept };
        commit::commit_one(engine, step, Durability::Buffered)?;
    }
    match skips.first {
        Some(error) if nothing && !report.more => Err(error),
        _ => Ok(report),
    }
}

/// A row of which the body is written anew, and the keys for it.
struct Ready {
    member: Member,
    row: ObjectRow,
    /// Since when the row is superseded, if it is one of the retained past.
    superseded: Option<u64>,
    from: Arc<EnvelopeKey>,
    to: Sealing,
}

/// What is written anew in one commit.
#[derive(Default)]
struct Rewriting {
    /// Which keys the bodies get, by the named key.
    sealings: BTreeMap<String, Sealing>,
    /// The rows of these, which must be the same when the bodies are committed.
    guards: Vec<(u64, Vec<u8>)>,
    ready: Vec<Ready>,
}

impl Rewriting {
    /// Asks for the keys of a row's body. Nothing is read of it yet.
    fn prepare(
        &mut self,
        engine: &Arc<Engine>,
        view: &View,
        (bucket, key): (&BucketRef, &[u8]),
        skips: &mut Skips,
    ) -> Result<()> {
        let Some(member) = candidate::member(view, key)? else { return Ok(()) };
        let (superseded, payload) = past_of(key, &member.payload)?;
        let row: ObjectRow = row::decode(payload).map_err(unreadable)?;
        let Some(SealRow::Kms { key_id, generation, .. }) = row.seal() else { return Ok(()) };
        if let Some(error) = skips.sealings.get(key_id).or_else(|| skips.generations.get(generation)) {
            return Err(error.duplicate());
        }
        if !self.sealings.contains_key(key_id) {
            let sealing = envelope::with(engine, bucket, &Encryption::kms(key_id)).inspect_err(|error| {
                skips.sealings.insert(key_id.clone(), error.duplicate());
            })?;
            let at = sealing.kept_at().unwrap_or_default().to_vec();
            let lsn = engine.pin().find(&at, |stored| {
                Ok((!envelope::read_key(&stored.payload)?.retired).then_some(stored.lsn))
            })?;
            // No commit has the number 0: bodies whose key was retired just now wait for another time.
            self.guards.push((lsn.flatten().unwrap_or(0), at));
            self.sealings.insert(key_id.clone(), sealing);
        }
        let to = envelope::with(engine, bucket, &Encryption::kms(key_id))?;
        if self.sealings.get(key_id).is_none_or(|first| first.kept_at() != to.kept_at()) {
            return Ok(());
        }
        let sealed =
            Sealed::find(&row, &Moment::now(view))?.ok_or_else(|| unreadable("an envelope is gone"))?;
        let from = sealed.open(engine, "that is written anew", None).inspect_err(|error| {
            // Of other objects, another key or damage may be nothing to go by.
            if error.kind() == ErrorKind::Io
                || error.code() != "AccessDenied" && error.kind() == ErrorKind::Denied
            {
                skips.generations.insert(*generation, error.duplicate());
            }
        })?;
        self.ready.push(Ready { member, row, superseded, from, to });
        Ok(())
    }

    /// Writes the bodies that are ready anew and says their rows again, if they are still what they were.
    fn commit(self, engine: &Arc<Engine>, skips: &mut Skips) -> Result<(u64, u64)> {
        // Only now, when all keys were asked for.
        let mut copying = engine.begin_move();
        let view = engine.pin();
        let (mut members, mut bodies, mut placed) = (Vec::new(), Vec::new(), Vec::new());
        let mut bytes = 0;
        for ready in self.ready {
            if !ready.member.lives(&view)? {
                continue;
            }
            let done = match ready.copy(engine, &view, &mut copying) {
                Ok(Some(done)) => done,
                Ok(None) => continue,
                Err(Undone::Unreadable(error)) => {
                    skips.note(&view, &ready.member.key, error)?;
                    continue;
                }
                Err(Undone::Failed(error)) => return Err(error),
            };
            let Ready { mut member, mut row, superseded, to, .. } = ready;
            bytes += row.size;
            Sealing::note(Some(&to), &mut row);
            let payload = row::encode(&row);
            member.payload = match superseded {
                Some(superseded) => encode_past(superseded, &payload),
                None => payload,
            };
            members.push(member);
            bodies.push(NewBody::Extents(vec![done.extent]));
            placed.push(done);
        }
        let count = resettle::resettle(engine, members, bodies, self.guards, placed)?;
        Ok((count, if count > 0 { bytes } else { 0 }))
    }
}

/// Why a body was not written anew.
enum Undone {
    /// It cannot be read, or its tier is not there.
    Unreadable(Error),
    /// Nothing can be written.
    Failed(Error),
}

impl Ready {
    /// Opens the body and seals it anew; `None` if it is gone meanwhile.
    fn copy(
        &self,
        engine: &Engine,
        view: &View,
        copying: &mut Copying<'_>,
    ) -> Result<Option<Placed>, Undone> {
        let (member, row) = (&self.member, &self.row);
        let Some(to) = self.to.key() else { return Ok(None) };
        let nonces = engine.vault().nonces();
        let reader = self.reader(engine, view).map_err(Undone::Unreadable)?;
        let tier = if member.weight.slot < TIERS { member.weight.slot } else { 0 };
        let writer = engine.moved_body_writer(member.key.clone(), tier);
        let mut writer = writer.map_err(|error| match error.kind() {
            ErrorKind::Io if !error.is_full() => Undone::Unreadable(error),
            _ => Undone::Failed(error),
        })?;
        let mut envelope = EnvelopeWriter::new(to, 0, nonces.clone());
        let mut place = 0;
        while place < row.size {
            let read = reader.read(place..row.size.min(place + READ_STEP)).map_err(Undone::Unreadable)?;
            let goes_on = copying.goes_on(|| member.lives(&engine.pin())).map_err(Undone::Failed)?;
            if !goes_on {
                return Ok(None);
            }
            place += read.len() as u64;
            envelope.write(&read, &mut |sealed| writer.write(sealed)).map_err(Undone::Failed)?;
        }
        envelope.finish(&mut |sealed| writer.write(sealed)).map_err(Undone::Failed)?;
        writer.finish().map(Some).map_err(Undone::Failed)
    }

    fn reader(&self, engine: &Engine, view: &View) -> Result<GotBody> {
        let envelope = self.row.seal().and_then(SealRow::envelope);
        let shape = envelope.ok_or_else(|| unreadable("an envelope is gone"))?;
        let body = GotBody::from(BodyReader::new(view, self.member.body.to_owned_body())?);
        let nonces = engine.vault().nonces();
        body.opened("that is written anew", (self.from.clone(), shape), self.row.size, nonces)
    }
}

#[derive(Debug)]
struct DropStep(Vec<(Vec<u8>, u64)>);

impl Step for DropStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        let mut dropped = 0;
        for (key, lsn) in &self.0 {
            // Whoever has needed it since has said it again.
            if staged.get(key)?.is_some_and(|found| found.lsn == *lsn) {
                staged.remove(key.clone());
                dropped += 1;
            }
        }
        Ok(StepOutcome::Number(dropped))
    }

    fn frees(&self) -> bool {
        true
    }
}

/// Removes retired keys that no row of one moment needs. Rows that come later have their key from one that was there, which
/// was seen, or say the key again. Says whether a body needs one of them still.
fn drop_keys(engine: &Arc<Engine>, bucket: &BucketRef, report: &mut Reencrypted) -> Result<bool> {
    let view = engine.pin();
    let mut old = retired(&view, bucket.id)?;
    let all = old.len() as u64;
    let (moment, mut needed) = (Moment::now(&view), false);
    let uploads = keys::all_uploads();
    for (from, end) in [keys::all_bodies(), keys::all_history(), uploads.clone()] {
        moment.walk(&from, &end, &mut |key| {
            match seal_at(&view, key) {
                Ok(Some(SealRow::Kms { bucket: whose, generation, .. })) if whose == bucket.id => {
                    needed |= old.remove(&generation) && from != uploads.0;
                }
                Ok(_) => {}
                Err(error) if error.is_fatal() => return Err(error),
                // Nobody can tell what it needs.
                Err(_) => old.clear(),
            }
            Ok(!old.is_empty())
        })?;
    }
    let mut gone = Vec::new();
    for generation in old {
        let key = keys::bucket_key(bucket.id, &generation);
        let lsn = view.index.get(&key)?.map(|item| item.lsn);
        gone.extend(lsn.map(|lsn| (key, lsn)));
    }
    let mut removed = 0;
    if !gone.is_empty() {
        match commit::commit_one(engine, DropStep(gone), Durability::Synced)? {
            StepOutcome::Number(dropped) => removed = dropped,
            outcome => return Err(Error::corrupt("a step", 0, format!("it came to {outcome:?}"))),
        }
    }
    report.keys_removed += removed;
    report.keys_left = all - removed;
    Ok(needed)
}
