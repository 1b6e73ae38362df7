//! Other keys for buckets: what is written from then on has them, and what was written before is written anew on request.
//!
//! A rotation is one small commit, whatever lies in the bucket. Writing anew goes through all rows of the store, for copies
//! and forks read bodies with the keys of the bucket that they were written to; each step ends in one commit that says the
//! rows again at the lsn that they have, as moving to another tier does. What was done stays done: whoever begins again
//! passes over it. Only then, and only if a look at every row of one moment finds nobody who needs it, a key is removed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::batch::{self, Step, StepOutcome};
use super::context::{BucketRef, Reading};
use super::envelope::{self, Sealed, Sealing};
use super::moving::{self, Member};
use super::opening::GotBody;
use super::staged::{Staged, unreadable};
use crate::catalog::{Moment, Rows, encode_past, encryption, keys, past_of};
use crate::crypto::{EnvelopeKey, EnvelopeWriter};
use crate::engine::{BodyReader, Copying, Engine, NewBody, View};
use crate::error::{Error, Result};
use crate::format::row::{self, BucketKeyRow, ObjectRow, SealRow};
use crate::index::Weight;
use crate::model::{Durability, Encryption};
use crate::segment::{Placed, TIERS};

/// About how many bytes of bodies one step writes, and the most rows that it looks at.
const STEP: u64 = 4 << 20;
const ROWS: usize = 4096;
/// How much of a body is read at once.
const READ_STEP: u64 = 1 << 20;

/// What writing a bucket's objects anew came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reencrypted {
    /// How many bodies were written anew: of objects, versions and the retained past.
    pub bodies: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many older keys were removed.
    pub keys_removed: u64,
    /// How many older keys are left: something needs them still, such as an upload in progress.
    pub keys_left: u64,
    /// Whether the budget ended before the work did.
    pub more: bool,
}

#[derive(Debug)]
struct RotateStep {
    bucket: BucketRef,
    fresh: Vec<([u8; 16], BucketKeyRow)>,
}

impl Step for RotateStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        let id = staged.bucket(&self.bucket)?.row.id;
        for (generation, row) in encryption::keys_of(staged, id)? {
            if !row.retired && self.fresh.iter().any(|(_, fresh)| fresh.key_id == row.key_id) {
                let row = BucketKeyRow { retired: true, ..row };
                staged.put(keys::bucket_key(id, &generation), Weight::default(), row::encode(&row));
            }
        }
        for (generation, row) in &self.fresh {
            staged.put(keys::bucket_key(id, generation), Weight::default(), row::encode(row));
        }
        Ok(StepOutcome::None)
    }
}

/// Gives a bucket another key for each named key that it uses. Says how many.
pub fn rotate(engine: &Arc<Engine>, bucket: &BucketRef) -> Result<u64> {
    engine.check_writable()?;
    let found = Reading::newest(engine).with(|moment| {
        bucket.state(moment)?;
        encryption::keys_of(moment, bucket.id)
    })?;
    let used: BTreeSet<String> =
        found.into_iter().filter(|(_, row)| !row.retired).map(|(_, row)| row.key_id).collect();
    let mut fresh = Vec::new();
    for key_id in used {
        let made = engine.vault().make(&key_id).ok_or_else(|| envelope::no_provider(engine, &key_id))?;
        let made = made.map_err(|why| envelope::explain(&key_id, why))?;
        fresh.push((made.generation, envelope::key_row(engine, &key_id, made.wrapped, made.commitment)));
    }
    let count = fresh.len() as u64;
    if count > 0 {
        batch::commit_one(engine, RotateStep { bucket: bucket.clone(), fresh }, Durability::Synced)?;
    }
    Ok(count)
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
fn gather(view: &View, bucket: u64, old: &BTreeSet<[u8; 16]>, from: &[u8], end: &[u8]) -> Result<Gathered> {
    let mut gathered = Gathered { keys: Vec::new(), next: None };
    let (mut seen, mut bytes) = (0, 0);
    Moment::now(view).walk(from, end, &mut |key| {
        if seen == ROWS || bytes >= STEP {
            gathered.next = Some(key.to_vec());
            return Ok(false);
        }
        seen += 1;
        if let Some(SealRow::Kms { bucket: whose, generation, .. }) = seal_at(view, key)?
            && whose == bucket
            && old.contains(&generation)
        {
            bytes += view.find(key, |stored| Ok(stored.weight.bytes))?.unwrap_or(0);
            gathered.keys.push(key.to_vec());
        }
        Ok(true)
    })?;
    Ok(gathered)
}

/// Writes bodies of a bucket anew that older keys of it have sealed, for about as long as `budget` says, then removes the
/// keys that nothing needs any more.
pub fn reencrypt(engine: &Arc<Engine>, bucket: &BucketRef, budget: Duration) -> Result<Reencrypted> {
    engine.check_writable()?;
    engine.refuse_inside_turn()?;
    Reading::newest(engine).with(|moment| bucket.state(moment).map(|_| ()))?;
    let clock = &engine.env().clock;
    let begun = clock.monotonic();
    let mut report = Reencrypted::default();
    for (from, end) in [keys::all_bodies(), keys::all_history()] {
        let mut next = Some(from);
        while let Some(from) = next {
            let view = engine.pin();
            let old = retired(&view, bucket.id)?;
            if old.is_empty() {
                return Ok(report);
            }
            let gathered = gather(&view, bucket.id, &old, &from, &end)?;
            next = gathered.next;
            if !gathered.keys.is_empty() {
                let mut rewriting = Rewriting::default();
                for key in &gathered.keys {
                    rewriting.prepare(engine, &view, bucket, key)?;
                }
                let (bodies, bytes) = rewriting.commit(engine)?;
                (report.bodies, report.bytes) = (report.bodies + bodies, report.bytes + bytes);
                if clock.monotonic().saturating_sub(begun) >= budget {
                    report.more = true;
                    return Ok(report);
                }
            }
        }
    }
    drop_keys(engine, bucket, &mut report)?;
    Ok(report)
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
    fn prepare(&mut self, engine: &Arc<Engine>, view: &View, bucket: &BucketRef, key: &[u8]) -> Result<()> {
        let Some(member) = moving::member(view, key)? else { return Ok(()) };
        let (superseded, payload) = past_of(key, &member.payload)?;
        let row: ObjectRow = row::decode(payload).map_err(unreadable)?;
        let Some(SealRow::Kms { key_id, .. }) = row.seal() else { return Ok(()) };
        if !self.sealings.contains_key(key_id) {
            let sealing = envelope::with(engine, bucket, &Encryption::kms(key_id))?;
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
        let from = sealed.open(engine, "that is written anew", None)?;
        self.ready.push(Ready { member, row, superseded, from, to });
        Ok(())
    }

    /// Writes the bodies that are ready anew and says their rows again, if they are still what they were.
    fn commit(self, engine: &Arc<Engine>) -> Result<(u64, u64)> {
        // Only now, when all keys were asked for.
        let mut copying = engine.begin_move();
        let view = engine.pin();
        let (mut members, mut bodies, mut placed) = (Vec::new(), Vec::new(), Vec::new());
        let mut bytes = 0;
        for ready in self.ready {
            if !ready.member.lives(&view)? {
                continue;
            }
            let Some(done) = ready.copy(engine, &view, &mut copying)? else { continue };
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
        let count = members.len() as u64;
        moving::resettle(engine, members, bodies, self.guards, placed)?;
        Ok((count, bytes))
    }
}

impl Ready {
    /// Opens the body and seals it anew; `None` if it is gone meanwhile.
    fn copy(&self, engine: &Engine, view: &View, copying: &mut Copying<'_>) -> Result<Option<Placed>> {
        let (member, row) = (&self.member, &self.row);
        let Some(to) = self.to.key() else { return Ok(None) };
        let envelope = row.seal().and_then(SealRow::envelope);
        let shape = envelope.ok_or_else(|| unreadable("an envelope is gone"))?;
        let reader = GotBody::from(BodyReader::new(view, member.body.to_owned_body())?);
        let nonces = engine.vault().nonces();
        let reader = reader.opened("that is written anew", (self.from.clone(), shape), row.size, nonces)?;
        let tier = if member.weight.slot < TIERS { member.weight.slot } else { 0 };
        let mut writer = engine.moved_body_writer(member.key.clone(), tier)?;
        let mut envelope = EnvelopeWriter::new(to, 0, nonces.clone());
        let mut place = 0;
        while place < row.size {
            let read = reader.read(place..row.size.min(place + READ_STEP))?;
            if !copying.goes_on(|| member.lives(&engine.pin()))? {
                return Ok(None);
            }
            place += read.len() as u64;
            envelope.write(&read, &mut |sealed| writer.write(sealed))?;
        }
        envelope.finish(&mut |sealed| writer.write(sealed))?;
        writer.finish().map(Some)
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
/// was seen, or say the key again.
fn drop_keys(engine: &Arc<Engine>, bucket: &BucketRef, report: &mut Reencrypted) -> Result<()> {
    let view = engine.pin();
    let mut old = retired(&view, bucket.id)?;
    let all = old.len() as u64;
    let moment = Moment::now(&view);
    for (from, end) in [keys::all_bodies(), keys::all_uploads(), keys::all_history()] {
        moment.walk(&from, &end, &mut |key| {
            if let Some(SealRow::Kms { bucket: whose, generation, .. }) = seal_at(&view, key)?
                && whose == bucket.id
            {
                old.remove(&generation);
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
    if !gone.is_empty() {
        match batch::commit_one(engine, DropStep(gone), Durability::Synced)? {
            StepOutcome::Number(dropped) => report.keys_removed = dropped,
            outcome => return Err(Error::corrupt("a step", 0, format!("it came to {outcome:?}"))),
        }
    }
    report.keys_left = all - report.keys_removed;
    Ok(())
}
