//! Batches of saved rows and bodies on their way into the new store.

use super::report::Mended;
use crate::engine::{BlobHead, Change, Keyed, Moved, NewBody, Proposal, State, What};
use crate::error::Result;
use crate::index::Weight;
use crate::segment::Spender;

/// An entry that is about to be written.
#[derive(Debug)]
pub(super) struct Saved {
    pub(super) key: Vec<u8>,
    pub(super) lsn: u64,
    pub(super) weight: Weight,
    pub(super) body: NewBody,
    pub(super) payload: Vec<u8>,
}

/// A commit of saved entries.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) entries: Vec<Saved>,
    pub(super) bytes: u64,
}

impl Proposal for Batch {
    fn decide(&mut self, _: &State<'_>) -> Result<Vec<Change>> {
        let change = |saved: &Saved| Change {
            key: saved.key.clone(),
            what: What::Put {
                weight: saved.weight,
                body: saved.body.clone(),
                payload: saved.payload.clone(),
            },
            moved: Some(Moved { lsn: saved.lsn, made: 0 }),
        };
        Ok(self.entries.iter().map(change).collect())
    }

    fn may_use_reserve(&self) -> Option<Spender> {
        None
    }
}

/// The commit that sets right what does not add up. It comes after all that was saved, so that what it says counts
/// when the new store is damaged in its turn.
#[derive(Debug)]
pub(super) struct Mending(pub(super) Mended);

impl Proposal for Mending {
    fn decide(&mut self, _: &State<'_>) -> Result<Vec<Change>> {
        let put = |(key, payload): &(Vec<u8>, Vec<u8>)| Change {
            key: key.clone(),
            what: What::Put { weight: Weight::default(), body: NewBody::None, payload: payload.clone() },
            moved: None,
        };
        let remove = self.0.remove.iter().map(|key| Change::delete(key.clone()));
        Ok(self.0.put.iter().map(put).chain(remove).collect())
    }

    fn may_use_reserve(&self) -> Option<Spender> {
        None
    }
}

/// What was saved of a shared body.
#[derive(Debug, Default)]
pub(super) struct SavedBlob {
    /// What the head says that was saved.
    pub(super) head: Option<BlobHead>,
    /// Pieces that were saved, and bytes of them.
    pub(super) pieces: u64,
    pub(super) bytes: u64,
    /// Whether no piece is keyed by anything but the offset of its first byte.
    pub(super) by_offset: bool,
    /// Whether a piece is lost.
    pub(super) broken: bool,
    /// Whether a piece could only be saved as it was before another one took its place.
    pub(super) stale: bool,
    /// Entries that were saved and refer to it.
    pub(super) refs: u64,
}

impl SavedBlob {
    /// Whether the first `len` bytes are all there, and are those that were there last. Where pieces have numbers, only
    /// their number and their length tell whether one is missing, or one that was taken out has come back.
    pub(super) fn reaches(&self, len: u64) -> bool {
        let head = self.head;
        if self.broken || head.is_some_and(|head| self.pieces < head.pieces) {
            return false;
        }
        match head.map_or(self.by_offset, |head| head.keyed != Keyed::Number) {
            true => (self.by_offset || self.pieces == 0) && self.bytes >= len,
            // Nothing but an upload in progress refers to none of its bytes; its parts are looked at when it is completed.
            false => len == 0 || (!self.stale && self.bytes == len),
        }
    }

    /// Whether anything is left of it, be it only that something refers to it.
    pub(super) fn is_left(&self) -> bool {
        self.head.is_some() || self.pieces > 0 || self.refs > 0
    }

    /// The head that it must have, if that is not the one that was saved.
    pub(super) fn mended(&self) -> Option<BlobHead> {
        let saved = self.head;
        let keyed = if self.by_offset { Keyed::Offset } else { Keyed::Number };
        let keyed = saved.map_or(keyed, |head| head.keyed);
        let head = BlobHead { refs: self.refs, pieces: self.pieces, keyed };
        (saved != Some(head)).then_some(head)
    }
}
