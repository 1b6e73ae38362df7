//! The commit that points a row at the new place of its body.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::candidate::{Frame, Member, is_packed};
use crate::catalog::keyspace::keys;
use crate::catalog::work::work;
use crate::catalog::{Found, Moment, Rows};
use crate::engine::state::engine::Engine;
use crate::engine::{self, BlobHead, Change, Keyed, Moved, NewBody, Proposal, Spender, State, What};
use crate::env::Planted;
use crate::error::{Error, ErrorKind, Result};
use crate::format::entry::BlobId;
use crate::format::row::{self, PendingWork};
use crate::index::Weight;
use crate::model::Durability;
use crate::segment::Placed;

pub(super) fn commit(engine: &Arc<Engine>, rows: Resettle, placed: Vec<Placed>) -> Result<()> {
    say_again(engine, rows, placed).map(|_| ())
}

/// Says how many rows were said again.
fn say_again(engine: &Arc<Engine>, rows: Resettle, placed: Vec<Placed>) -> Result<u64> {
    let (rows, committed) = engine.commit(rows, Durability::Buffered);
    // Until here nobody else says that the bodies are needed.
    drop(placed);
    committed.map(|_| rows.said)
}

/// Says rows again with other bodies, if they are still what they were.
pub(super) struct Resettle {
    pub(super) members: Vec<Member>,
    pub(super) bodies: Vec<NewBody>,
    pub(super) frame: Option<Frame>,
    /// Rows that must be those of these commits still, or nothing is said again.
    pub(super) guards: Vec<(u64, Vec<u8>)>,
    /// How many rows were said again.
    pub(super) said: u64,
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
                let work = row::encode(&PendingWork::Blob { lsn: blob.lsn, n: blob.n });
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
