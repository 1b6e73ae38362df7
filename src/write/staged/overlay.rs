//! Changes that are decided but not yet committed, and what they come to for the engine.
//!
//! A verb says which row holds what; everything that follows from it is worked out here, once, for all of them: which
//! body is shared from now on and who refers to it, what the retained past must keep, which bodies relocation must be
//! able to find under another key.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::catalog::BucketState;
use crate::catalog::changes::note::Said;
use crate::engine::{Keyed, NewBody, View};
use crate::env::Mistake;
use crate::error::Result;
use crate::format::entry::BlobId;
use crate::index::Weight;
use crate::write::context::BucketRef;

/// A row as the steps so far leave it.
#[derive(Clone, Debug)]
pub(super) enum Local {
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
    pub(super) changed: BTreeMap<Vec<u8>, Local>,
    /// What each key that the current step has changed held before it.
    pub(super) undo: Vec<(Vec<u8>, Option<Local>)>,
    /// Whether it lives on after a step that fails, which must then leave no trace.
    pub(super) lives_on: bool,
    /// Buckets whose rows were looked up; they follow from the rows.
    pub(super) buckets: Vec<Arc<BucketState>>,
    /// Pieces that blobs get (or lose), and what they are keyed by.
    pub(super) pieces: BTreeMap<BlobId, (Keyed, i64)>,
    pub(super) said: Vec<Said>,
    /// Numbers given out in this commit.
    pub(super) numbers: u32,
    /// Spaces made in this commit.
    pub(super) spaces: u32,
    /// Whether every bucket is watched, and not only those with a budget.
    pub(super) watches_all: bool,
    /// The watched buckets that were looked up.
    pub(super) visited: Vec<BucketRef>,
    /// Their versions that were written or removed.
    pub(super) laid: Vec<TouchedVersion>,
}

/// A version that was written or removed: the bucket, the key, its place among the versions unless it is the current one.
pub type TouchedVersion = (u64, String, Option<(u64, u32)>);

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
    pub(super) overlay: &'a mut Overlay,
}

impl Overlay {
    /// An overlay that is used on after a step that fails.
    pub fn that_lives_on() -> Overlay {
        Overlay { lives_on: true, ..Overlay::default() }
    }

    /// Applies a step. An error leaves the overlay as it was if it is to live on.
    pub fn apply<R>(
        &mut self,
        view: &View,
        now: Instant,
        step: impl FnOnce(&mut Staged<'_>) -> Result<R>,
    ) -> Result<R> {
        self.undo.clear();
        let (said, pieces) = (self.said.len(), self.pieces.clone());
        let given_out = (self.numbers, self.spaces);
        let outcome = step(&mut Staged { view, now, overlay: self });
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

    /// The rows as the steps so far leave them, for reading.
    pub fn staged<'a>(&'a mut self, view: &'a View, now: Instant) -> Staged<'a> {
        Staged { view, now, overlay: self }
    }
}
