//! Changes that are decided but not yet committed, and what they come to for the engine.
//!
//! A verb says which row holds what; everything that follows from it is worked out here, once, for all of them: which
//! body is shared from now on and who refers to it, what the retained past must keep, which bodies relocation must be
//! able to find under another key.

mod within;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use super::batch::{Step, StepOutcome};
use super::context::BucketRef;
use super::moving;
use crate::catalog::note::{self, Said};
use crate::catalog::{self, BucketState, Found, Kind, Moment, Rows, keys};
use crate::engine::{
    self, BLOB_SPACE, BlobHead, Change, FORWARD_SPACE, Keyed, NewBody, SharedRef, View, What,
};
use crate::env::{Mistake, Planted};
use crate::error::{Error, Result};
use crate::format::entry::{BlobId, Extent};
use crate::format::row::{self, BucketRow, ObjectRow, PieceRow, TidyRow};
use crate::index::{Totals, Weight};
use crate::segment::TIERS;

/// A shared body with more pieces than this is removed by maintenance, not by the commit that lets go of it.
const PIECES_AT_ONCE: u64 = 64;

/// A row as the steps so far leave it.
#[derive(Clone, Debug)]
enum Local {
    Put {
        weight: Weight,
        body: NewBody,
        payload: Vec<u8>,
        /// The key that the body was found under, if it was not brought along.
        carried: Option<Vec<u8>>,
    },
    Gone,
}

/// What the steps so far change.
#[derive(Debug, Default)]
pub struct Overlay {
    changed: BTreeMap<Vec<u8>, Local>,
    /// What each key that the current step has changed held before it.
    undo: Vec<(Vec<u8>, Option<Local>)>,
    /// Whether it lives on after a step that fails, which must then leave no trace.
    lives_on: bool,
    /// Buckets whose rows were looked up; they follow from the rows.
    buckets: Vec<Arc<BucketState>>,
    /// Pieces that blobs get (or lose), and what they are keyed by.
    pieces: BTreeMap<BlobId, (Keyed, i64)>,
    said: Vec<Said>,
    /// Numbers given out in this commit.
    numbers: u32,
    /// Spaces made in this commit.
    spaces: u32,
    /// Whether every bucket is watched, and not only those with a budget.
    watches_all: bool,
    /// The watched buckets that were looked up.
    visited: Vec<BucketRef>,
    /// Their versions that were written or removed.
    laid: Vec<Laid>,
}

/// A version that was written or removed: the bucket, the key, its place among the versions unless it is the current one.
pub type Laid = (u64, String, Option<(u64, u32)>);

/// The moment that steps are applied at.
#[derive(Clone, Copy, Debug)]
pub struct Instant {
    /// The lsn of the commit.
    pub lsn: u64,
    /// Its time.
    pub millis: u64,
    /// The mistake that is switched on.
    pub mistake: Mistake,
}

/// A view with the changes so far.
#[derive(Debug)]
pub struct Staged<'a> {
    /// The state beneath.
    pub view: &'a View,
    /// When.
    pub now: Instant,
    overlay: &'a mut Overlay,
}

impl Overlay {
    /// An overlay that is used on after a step that fails.
    pub fn that_lives_on() -> Overlay {
        Overlay { lives_on: true, ..Overlay::default() }
    }

    /// Applies a step. An error leaves the overlay as it was if it is to live on.
    pub fn apply(&mut self, view: &View, step: &dyn Step, now: Instant) -> Result<StepOutcome> {
        self.undo.clear();
        let (said, pieces) = (self.said.len(), self.pieces.clone());
        let given_out = (self.numbers, self.spaces);
        let outcome = step.apply(&mut Staged { view, now, overlay: self });
        if outcome.is_err() {
            for (key, before) in std::mem::take(&mut self.undo).into_iter().rev() {
                match before {
                    Some(before) => self.changed.insert(key, before),
                    None => self.changed.remove(&key),
                };
            }
            self.said.truncate(said);
            self.pieces = pieces;
            // Versions are named by these numbers, and the names that were read must be those that are committed.
            (self.numbers, self.spaces) = given_out;
            self.buckets.clear();
        }
        outcome
    }

    /// Makes it watch every bucket.
    pub fn watch(&mut self, all: bool) {
        self.watches_all = all;
    }

    /// Whether a step has left work to be done in bounded steps.
    pub fn leaves_work(&self) -> bool {
        let left = |(from, end): (Vec<u8>, Vec<u8>)| {
            self.changed.range(from..end).any(|(_, local)| matches!(local, Local::Put { .. }))
        };
        left(keys::all_tidy()) || left(keys::all_moving())
    }

    /// The rows as the steps so far leave them, for reading.
    pub fn staged<'a>(&'a mut self, view: &'a View, now: Instant) -> Staged<'a> {
        Staged { view, now, overlay: self }
    }

    /// Leaves word of rows whose body does not lie where their class wants it. A row that is written with its body
    /// beside it is one of them, unless it is Standard.
    fn leave_moves(&mut self, view: &View, now: Instant) {
        let lies = |extent: &Extent| view.segments.get(extent.segment).ok().map(|found| found.header.tier);
        let elsewhere = |extents: &[Extent], tier| extents.iter().filter_map(lies).any(|lies| lies != tier);
        let mut found = Vec::new();
        for (key, local) in &self.changed {
            let Local::Put { weight, body, .. } = local else { continue };
            let strays = |tier| match body {
                NewBody::None | NewBody::Inline(_) => false,
                NewBody::Packed(..) => tier > 0,
                NewBody::Extents(extents) => elsewhere(extents, tier),
                NewBody::Shared(shared) if shared.hint.is_empty() => tier > 0 && shared.len > 0,
                // Where the hint is out of date, whoever takes the work up looks where the pieces are.
                NewBody::Shared(shared) => shared.hint.iter().any(|extent| lies(extent) != Some(tier)),
            };
            if !matches!(body, NewBody::None | NewBody::Inline(_))
                && tier_wanted(key, *weight).is_some_and(strays)
            {
                found.push(moving::work(now.millis, key));
            }
        }
        for work in found {
            self.numbers += 1;
            let at = keys::moving(now.lsn, self.numbers);
            let (weight, body) = (Weight::default(), NewBody::None);
            self.changed.insert(at, Local::Put { weight, body, payload: work, carried: None });
        }
    }

    /// What the steps add up to. What is not there is not deleted.
    pub fn into_changes(mut self, view: &View, now: Instant, keeps_past: bool) -> Result<Vec<Change>> {
        self.leave_moves(view, now);
        let blobs = !self.pieces.is_empty() || has_blobs(view)?;
        let carried = self.changed.values().any(|local| matches!(local, Local::Put { carried: Some(_), .. }));
        if !blobs && !keeps_past && !carried && self.said.is_empty() {
            return plain_changes(self.changed, view);
        }
        let mut sum =
            Sum { view, now, rows: BTreeMap::new(), refs: BTreeMap::new(), old: BTreeMap::new(), past: 0 };
        let mut sources = Vec::new();
        for (key, local) in self.changed {
            let looks = blobs || keeps_past || carried || matches!(local, Local::Gone);
            let old = if looks { Moment::now(view).get(&key)? } else { None };
            match local {
                Local::Gone if old.is_none() => continue,
                Local::Gone => {
                    sum.rows.insert(key.clone(), Row { what: None, moved: false });
                }
                Local::Put { weight, body, payload, carried } => {
                    let moved = carried.is_some();
                    sources.extend(carried.filter(|_| matches!(body, NewBody::Extents(_))));
                    sum.rows.insert(key.clone(), Row { what: Some((weight, body, payload)), moved });
                }
            }
            if let Some(old) = old {
                sum.old.insert(key, old);
            }
        }
        let mut said = self.said;
        for source in sources {
            if sum.keep_source(&source)? && keys::parse_place(&source).is_some() {
                said.push(Said::Same { at: source });
            }
        }
        if keeps_past {
            sum.keep_past();
        }
        let mut numbers = self.numbers;
        if carried || keeps_past {
            sum.share(&mut numbers);
        }
        sum.count_refs();
        sum.settle_blobs(&self.pieces, &mut numbers)?;
        // Of nothing there is nothing to say: deleting what is not there is no commit.
        if !said.is_empty() && !sum.rows.is_empty() {
            sum.put(vec![keys::NOTE], NewBody::None, note::encode(&said));
        }
        Ok(sum.into_changes())
    }
}

/// The tier that a row's body should lie in, if it is the row of an object or a version.
fn tier_wanted(key: &[u8], weight: Weight) -> Option<u8> {
    (keys::has_body(key) && weight.slot < TIERS).then_some(weight.slot)
}

/// The changes of a commit from which nothing follows: most commits.
fn plain_changes(changed: BTreeMap<Vec<u8>, Local>, view: &View) -> Result<Vec<Change>> {
    let mut changes = Vec::with_capacity(changed.len());
    for (key, local) in changed {
        match local {
            Local::Put { weight, body, payload, .. } => {
                changes.push(Change { key, what: What::Put { weight, body, payload }, moved: None });
            }
            Local::Gone => {
                if view.index.get(&key)?.is_some_and(|item| !item.tombstone) {
                    changes.push(Change::delete(key));
                }
            }
        }
    }
    Ok(changes)
}

fn has_blobs(view: &View) -> Result<bool> {
    let mut cursor = view.index.cursor();
    cursor.seek(&[BLOB_SPACE])?;
    Ok(cursor.key().is_some_and(|key| key.first() == Some(&BLOB_SPACE)))
}

/// A row on its way into a commit; without contents it is deleted.
struct Row {
    what: Option<(Weight, NewBody, Vec<u8>)>,
    /// Whether its body may have lain under another key.
    moved: bool,
}

/// The rows of a commit, and what follows from them.
struct Sum<'a> {
    view: &'a View,
    now: Instant,
    rows: BTreeMap<Vec<u8>, Row>,
    /// What the rows held before.
    old: BTreeMap<Vec<u8>, Found>,
    refs: BTreeMap<BlobId, i64>,
    past: u32,
}

impl Sum<'_> {
    fn put(&mut self, key: Vec<u8>, body: NewBody, payload: Vec<u8>) {
        self.rows.insert(key, Row { what: Some((Weight::default(), body, payload)), moved: false });
    }

    /// A row whose body was taken to another key and that stays as it is: it owns the body still, so it is said
    /// again, and shares it from now on. Whether there is one.
    fn keep_source(&mut self, key: &[u8]) -> Result<bool> {
        if self.rows.contains_key(key) {
            return Ok(false);
        }
        let Some(old) = Moment::now(self.view).get(key)? else {
            return Ok(false);
        };
        let payload = match row::decode::<ObjectRow>(&old.payload) {
            Ok(row) if row.lsn == 0 => row::encode(&ObjectRow { lsn: old.lsn, ..row }),
            _ => old.payload.clone(),
        };
        let what = Some((old.weight, old.body.clone(), payload));
        self.rows.insert(key.to_vec(), Row { what, moved: false });
        self.old.insert(key.to_vec(), old);
        Ok(true)
    }

    /// Keeps what is superseded, and notes when.
    fn keep_past(&mut self) {
        let mut kept = Vec::new();
        for (key, old) in &self.old {
            let Some(at) = keys::history_at(key, old.lsn) else { continue };
            let payload = catalog::encode_past(self.now.lsn, &old.payload);
            kept.push((at, old.weight, old.body.clone(), payload));
        }
        let kept_any = !kept.is_empty() || !self.rows.is_empty();
        for (at, weight, body, payload) in kept {
            let trim = keys::trim(self.now.lsn, self.past);
            self.past += 1;
            self.put(trim, NewBody::None, at.clone());
            if self.now.mistake.is(Planted::NoPast) {
                continue;
            }
            self.rows.insert(at, Row { what: Some((weight, body, payload)), moved: true });
        }
        if kept_any {
            self.put(keys::time(self.now.millis, self.now.lsn), NewBody::None, Vec::new());
        }
    }

    /// Bodies that more than one row would own become shared; those that change their key are left word.
    fn share(&mut self, numbers: &mut u32) {
        let mut owners: BTreeMap<Extent, Vec<Vec<u8>>> = BTreeMap::new();
        for (key, row) in &self.rows {
            if let Some((_, NewBody::Extents(extents), _)) = &row.what
                && let Some(first) = extents.first()
            {
                owners.entry(*first).or_default().push(key.clone());
            }
        }
        let mut forwards = Vec::new();
        for (_, keys) in owners {
            if keys.len() == 1 {
                self.forward(&keys[0], &mut forwards);
                continue;
            }
            *numbers += 1;
            let blob = BlobId { lsn: self.now.lsn, n: *numbers };
            let mut piece = None;
            for key in &keys {
                let Some(Row { what: Some((_, body, payload)), .. }) = self.rows.get_mut(key) else {
                    continue;
                };
                let NewBody::Extents(extents) = body else { continue };
                let len = extents.iter().map(|extent| extent.len).sum();
                let shared = NewBody::Shared(SharedRef::new(blob, len, extents));
                let own = std::mem::replace(body, shared);
                let blake3 = row::decode::<ObjectRow>(payload).ok();
                // Of a body in an envelope it is not the hash of what is stored.
                let blake3 = blake3.filter(|row| row.envelope().is_none()).and_then(|row| row.blake3);
                let best = piece.take();
                let known = blake3.or(match &best {
                    Some((_, row)) => PieceRow::clone(row).blake3,
                    None => None,
                });
                let row =
                    PieceRow { size: len, modified: self.now.millis, blake3: known, ..Default::default() };
                piece = Some((own, row));
            }
            let Some((body, row)) = piece else { continue };
            let at = engine::piece_key(blob, 0);
            self.put(at.clone(), body, row::encode(&row));
            if let Some(row) = self.rows.get_mut(&at) {
                row.moved = true;
            }
            self.forward(&at, &mut forwards);
            self.put(
                engine::head_key(blob),
                NewBody::None,
                BlobHead { refs: 0, pieces: 1, keyed: Keyed::Offset }.encode(),
            );
        }
        for (key, owner) in forwards {
            self.put(key, NewBody::None, owner);
        }
    }

    /// Leaves word of where the owner of a body is found, if its key is another one than before.
    fn forward(&self, key: &[u8], forwards: &mut Vec<(Vec<u8>, Vec<u8>)>) {
        let Some(Row { what: Some((_, NewBody::Extents(extents), _)), moved: true }) = self.rows.get(key)
        else {
            return;
        };
        let before: BTreeSet<Extent> = match self.old.get(key).map(|old| &old.body) {
            Some(NewBody::Extents(extents)) => extents.iter().copied().collect(),
            _ => BTreeSet::new(),
        };
        if self.now.mistake.is(Planted::NoForward) {
            return;
        }
        for extent in extents.iter().filter(|extent| !before.contains(extent)) {
            forwards.push((engine::forward_key(extent), key.to_vec()));
        }
    }

    /// Counts who refers to which blob, before and after.
    fn count_refs(&mut self) {
        for row in self.rows.values() {
            if let Some((_, NewBody::Shared(shared), _)) = &row.what {
                *self.refs.entry(shared.blob).or_default() += 1;
            }
        }
        let each = match self.now.mistake {
            mistake if mistake.is(Planted::ShareUncounted) => 0,
            mistake if mistake.is(Planted::ShareCountedTwice) => 2,
            _ => 1,
        };
        for old in self.old.values() {
            if let NewBody::Shared(shared) = &old.body {
                *self.refs.entry(shared.blob).or_default() -= each;
            }
        }
    }

    /// Writes the heads of the blobs that something has changed for, and removes those that nothing refers to.
    fn settle_blobs(&mut self, pieces: &BTreeMap<BlobId, (Keyed, i64)>, numbers: &mut u32) -> Result<()> {
        let changed: BTreeSet<BlobId> = self.refs.keys().chain(pieces.keys()).copied().collect();
        for blob in changed {
            let refs = self.refs.get(&blob).copied().unwrap_or(0);
            let (keyed, more) = pieces.get(&blob).map_or((None, 0), |(keyed, more)| (Some(*keyed), *more));
            if refs == 0 && more == 0 {
                continue;
            }
            let key = engine::head_key(blob);
            let made = match self.rows.get(&key).and_then(|row| row.what.as_ref()) {
                Some((_, _, payload)) => Some(BlobHead::decode(payload)?),
                None => Moment::now(self.view)
                    .get(&key)?
                    .map(|found| BlobHead::decode(&found.payload))
                    .transpose()?,
            };
            let mut head =
                made.unwrap_or(BlobHead { refs: 0, pieces: 0, keyed: keyed.unwrap_or(Keyed::Offset) });
            head.refs = head.refs.saturating_add_signed(refs);
            head.pieces = head.pieces.saturating_add_signed(more);
            if head.refs > 0 {
                if let Keyed::Solid { members, .. } = head.keyed
                    && head.refs * 2 < members
                    && head.refs.saturating_add_signed(-refs) * 2 >= members
                {
                    // Less than half of it is of use: what is left is packed anew.
                    *numbers += 1;
                    let work = moving::work(self.now.millis, &key);
                    self.put(keys::moving(self.now.lsn, *numbers), NewBody::None, work);
                }
                self.put(key, NewBody::None, head.encode());
                continue;
            }
            if head.pieces <= PIECES_AT_ONCE {
                self.remove_blob(blob)?;
                continue;
            }
            self.put(key, NewBody::None, head.encode());
            let work = TidyRow::Blob { lsn: blob.lsn, n: blob.n };
            *numbers += 1;
            self.put(keys::tidy(self.now.lsn, *numbers), NewBody::None, row::encode(&work));
        }
        Ok(())
    }

    /// Removes a blob's rows.
    fn remove_blob(&mut self, blob: BlobId) -> Result<()> {
        let (start, end) = (engine::head_key(blob), engine::end_key(blob));
        let mut gone: Vec<Vec<u8>> = Vec::new();
        Moment::now(self.view).walk(&start, &end, &mut |key| {
            gone.push(key.to_vec());
            Ok(true)
        })?;
        let made: Vec<Vec<u8>> = self.rows.range(start..end).map(|(key, _)| key.clone()).collect();
        for key in made {
            self.rows.remove(&key);
        }
        for key in gone {
            self.rows.insert(key, Row { what: None, moved: false });
        }
        Ok(())
    }

    fn into_changes(self) -> Vec<Change> {
        let change = |(key, row): (Vec<u8>, Row)| match row.what {
            Some((weight, body, payload)) => {
                Change { key, what: What::Put { weight, body, payload }, moved: None }
            }
            None => Change::delete(key),
        };
        self.rows.into_iter().map(change).collect()
    }
}

impl Staged<'_> {
    /// A bucket; `NoSuchBucket` unless it is still the one that the handle means.
    pub fn bucket(&mut self, bucket: &BucketRef) -> Result<Arc<BucketState>> {
        let known = |state: &&Arc<BucketState>| state.row.id == bucket.id && state.name == bucket.name;
        if let Some(state) = self.overlay.buckets.iter().find(known) {
            return Ok(state.clone());
        }
        let state = if self.overlay.changed.contains_key(&keys::bucket(&bucket.name)) {
            let found = catalog::find_bucket(self, &bucket.name)?;
            found
                .filter(|state| state.row.id == bucket.id)
                .ok_or_else(|| catalog::no_such_bucket(&bucket.name))?
        } else {
            // The view may have commits of the same group, which may come to nothing yet: the handle must not keep
            // what they say.
            bucket.state_unkept(&Moment::now(self.view))?
        };
        self.overlay.buckets.push(state.clone());
        let watched = self.overlay.watches_all || state.budget.is_some();
        if watched && !self.overlay.visited.iter().any(|visited| visited.id == bucket.id) {
            self.overlay.visited.push(bucket.clone());
        }
        Ok(state)
    }

    /// The buckets that were looked up and have a budget; all of them if the store has one.
    pub fn visited(&self) -> Vec<BucketRef> {
        self.overlay.visited.clone()
    }

    /// Remembers that a version is written or removed, if its bucket is watched.
    pub fn note_laid(&mut self, state: &BucketState, kind: Kind, key: &str, tail: &[u8]) {
        let watched = self.overlay.watches_all || state.budget.is_some();
        if watched && matches!(kind, Kind::Head | Kind::Version) {
            self.overlay.laid.push((state.row.id, key.to_string(), keys::parse_tail(tail)));
        }
    }

    /// The versions that were written or removed in watched buckets.
    pub fn take_laid(&mut self) -> Vec<Laid> {
        std::mem::take(&mut self.overlay.laid)
    }

    /// A bucket by its name.
    pub fn bucket_named(&mut self, name: &str) -> Result<Arc<BucketState>> {
        catalog::find_bucket(self, name)?.ok_or_else(|| catalog::no_such_bucket(name))
    }

    /// Writes a bucket's row.
    pub fn put_bucket(&mut self, name: &str, row: &BucketRow) {
        self.overlay.buckets.clear();
        self.put(keys::bucket(name), Weight::default(), row::encode(row));
    }

    /// Removes a bucket's row.
    pub fn remove_bucket(&mut self, name: &str) {
        self.overlay.buckets.clear();
        self.remove(keys::bucket(name));
    }

    /// Writes a row without a body.
    pub fn put(&mut self, key: Vec<u8>, weight: Weight, payload: Vec<u8>) {
        self.set(key, Local::Put { weight, body: NewBody::None, payload, carried: None });
    }

    /// Writes a row with a body that was brought along.
    pub fn put_new(&mut self, key: Vec<u8>, weight: Weight, body: NewBody, payload: Vec<u8>) {
        self.set(key, Local::Put { weight, body, payload, carried: None });
    }

    /// Writes a row with a body that was found under this or another key. Whether that one keeps it as well is
    /// seen at the end; if it does, the body is shared.
    pub fn put_found(
        &mut self,
        key: Vec<u8>,
        weight: Weight,
        body: NewBody,
        found_at: Vec<u8>,
        payload: Vec<u8>,
    ) {
        self.set(key, Local::Put { weight, body, payload, carried: Some(found_at) });
    }

    /// Removes a row; fine if there is none.
    pub fn remove(&mut self, key: Vec<u8>) {
        self.set(key, Local::Gone);
    }

    /// Counts pieces that are put under a blob or taken from it.
    pub fn count_pieces(&mut self, blob: BlobId, keyed: Keyed, more: i64) {
        self.overlay.pieces.entry(blob).or_insert((keyed, 0)).1 += more;
    }

    /// A number that this commit has not used yet.
    pub fn number(&mut self) -> u32 {
        self.overlay.numbers += 1;
        self.overlay.numbers
    }

    /// The id of a space that nothing has used yet.
    pub fn space(&mut self) -> u64 {
        let n = self.overlay.spaces;
        self.overlay.spaces += 1;
        keys::space_id(self.now.lsn, n)
    }

    /// Leaves work to be done in bounded steps.
    pub fn leave(&mut self, work: &TidyRow) {
        let key = keys::tidy(self.now.lsn, self.number());
        self.put(key, Weight::default(), row::encode(work));
    }

    /// Says in words of objects what the keys of the commit do not tell.
    pub fn say(&mut self, said: Said) {
        self.overlay.said.push(said);
    }

    fn set(&mut self, key: Vec<u8>, local: Local) {
        debug_assert!(key.first() != Some(&FORWARD_SPACE));
        if self.overlay.lives_on {
            let before = self.overlay.changed.insert(key.clone(), local);
            self.overlay.undo.push((key, before));
        } else {
            self.overlay.changed.insert(key, local);
        }
    }

    fn is_gone(&self, key: &[u8]) -> bool {
        matches!(self.overlay.changed.get(key), Some(Local::Gone))
    }
}

impl Rows for Staged<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Found>> {
        match self.overlay.changed.get(key) {
            Some(Local::Gone) => Ok(None),
            Some(Local::Put { weight, body, payload, carried }) => {
                // A body that was only carried here is still owned where it was found first, and must be taken
                // from there: the row in between may be gone before the commit.
                let at = carried.as_deref().unwrap_or(key).to_vec();
                let (body, payload) = (body.clone(), payload.clone());
                Ok(Some(Found { at, lsn: self.now.lsn, weight: *weight, body, payload }))
            }
            None => Moment::now(self.view).get(key),
        }
    }

    fn next(&self, from: &[u8], end: &[u8]) -> Result<Option<Vec<u8>>> {
        if from >= end {
            return Ok(None);
        }
        let range = self.overlay.changed.range::<[u8], _>((Bound::Included(from), Bound::Excluded(end)));
        let own = range.into_iter().find(|(_, local)| matches!(local, Local::Put { .. })).map(|(key, _)| key);
        let mut cursor = self.view.index.cursor();
        cursor.seek(from)?;
        // Step by step: a transaction may have removed thousands of neighbours.
        while cursor.key().is_some_and(|key| *key < *end && self.is_gone(key)) {
            cursor.next()?;
        }
        let beneath = cursor.key().filter(|key| **key < *end).map(<[u8]>::to_vec);
        Ok(own.cloned().into_iter().chain(beneath).min())
    }

    fn last(&self, from: &[u8], end: &[u8]) -> Result<Option<Vec<u8>>> {
        if from >= end {
            return Ok(None);
        }
        let range = self.overlay.changed.range::<[u8], _>((Bound::Included(from), Bound::Excluded(end)));
        let own = range.rev().find(|(_, local)| matches!(local, Local::Put { .. })).map(|(key, _)| key);
        let mut cursor = self.view.index.cursor();
        cursor.seek_last_before(end)?;
        while cursor.key().is_some_and(|key| *key >= *from && self.is_gone(key)) {
            cursor.prev()?;
        }
        let beneath = cursor.key().filter(|key| **key >= *from).map(<[u8]>::to_vec);
        Ok(own.cloned().into_iter().chain(beneath).max())
    }

    fn totals(&self, from: &[u8], end: &[u8]) -> Result<Totals> {
        let mut totals = Moment::now(self.view).totals(from, end)?;
        if from >= end {
            return Ok(totals);
        }
        let range = self.overlay.changed.range::<[u8], _>((Bound::Included(from), Bound::Excluded(end)));
        for (key, local) in range {
            if let Some(old) = self.view.index.get(key)?.filter(|item| !item.tombstone) {
                totals.sub(old.weight);
            }
            if let Local::Put { weight, .. } = local {
                totals.add(*weight);
            }
        }
        Ok(totals)
    }
}

/// `Corrupt` for a row that cannot be decoded.
pub fn unreadable(reason: &'static str) -> Error {
    Error::corrupt("a row of the catalog", 0, reason)
}
