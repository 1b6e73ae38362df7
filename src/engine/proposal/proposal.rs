//! What a writer brings to a commit: bytes prepared alone, and a decision made in turn.

use std::any::Any;

use bytes::Bytes;

use crate::engine::view::shared_body::SharedRef;
use crate::engine::view::view::{OwnedBody, View};
use crate::env::Mistake;
use crate::error::Result;
use crate::format::entry::{self, Extent};
use crate::format::frame;
use crate::index::{Index, Weight};
use crate::segment::Spender;

/// A writer's wish, decided when its turn has come.
pub trait Proposal: Any + Send {
    /// Looks at the state as it is at this place in the order of commits, and says what changes. An error, or
    /// no change at all, leaves no trace. It may be asked again if the group it was part of could not be written.
    fn decide(&mut self, state: &State<'_>) -> Result<Vec<Change>>;

    /// Hears that what it decided last does not come to be: it is asked again, or told an error. Comes before anybody else
    /// is asked.
    fn undone(&mut self) {}

    /// Whether it may use the room that is kept free for getting out of a full disk.
    fn may_use_reserve(&self) -> Option<Spender> {
        None
    }
}

/// The state that a proposal is decided on: all commits before it, those of its own group included.
#[derive(Debug)]
pub struct State<'a> {
    /// The state as a view.
    pub view: &'a View,
    /// The lsn that the commit will have.
    pub lsn: u64,
    /// The clock, in milliseconds since 1970.
    pub millis: u64,
    /// The mistake that is switched on.
    pub mistake: Mistake,
}

impl State<'_> {
    /// The ordered map.
    pub fn index(&self) -> &Index {
        &self.view.index
    }
}

/// One change of a commit.
#[derive(Debug)]
pub struct Change {
    /// The key that changes.
    pub key: Vec<u8>,
    /// What becomes of it.
    pub what: What,
    /// Only for rows said again by relocation. A commit has only such changes or none.
    pub moved: Option<Moved>,
}

/// What a row keeps when it is said again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Its lsn.
    pub lsn: u64,
    /// Of a tombstone: the newest log segment when it was made; else 0.
    pub made: u64,
}

/// What becomes of a key.
#[derive(Debug)]
pub enum What {
    /// It has this entry now.
    Put {
        /// What it counts for.
        weight: Weight,
        /// The body.
        body: NewBody,
        /// The catalog's half.
        payload: Vec<u8>,
    },
    /// It has none now.
    Delete,
}

/// A body on its way into an entry.
#[derive(Clone, Debug)]
pub enum NewBody {
    /// No bytes.
    None,
    /// Kept inside the entry.
    Inline(Bytes),
    /// Written beside the commit, with its sums.
    Packed(Bytes, Sums),
    /// Already on the disk.
    Extents(Vec<Extent>),
    /// Bytes of a body that has rows of its own.
    Shared(SharedRef),
}

/// The sums of a body that is written beside its commit.
#[derive(Clone, Debug)]
pub struct Sums {
    /// Of its chunks.
    pub chunks: Vec<u32>,
    /// Its BLAKE3, if that is known: a row that holds it need not say it twice.
    pub blake3: Option<[u8; 32]>,
}

impl NewBody {
    /// A body to be written beside the commit.
    pub fn packed(bytes: Bytes, chunk_log2: u8) -> NewBody {
        NewBody::hashed(bytes, chunk_log2, None)
    }

    /// The same of which the BLAKE3 may be known.
    pub fn hashed(bytes: Bytes, chunk_log2: u8, blake3: Option<[u8; 32]>) -> NewBody {
        let sums = Sums { chunks: frame::chunk_sums(&bytes, chunk_log2), blake3 };
        NewBody::Packed(bytes, sums)
    }

    /// A body that an entry has already.
    pub fn existing(body: OwnedBody) -> NewBody {
        match body {
            OwnedBody::None => NewBody::None,
            OwnedBody::Inline(bytes) => NewBody::Inline(bytes),
            OwnedBody::Shared(shared) => NewBody::Shared(shared),
            extents => NewBody::Extents(extents.extents().to_vec()),
        }
    }

    /// A body that stays where it is, straight from a stored entry.
    pub fn stored(body: &entry::Body<'_>) -> NewBody {
        NewBody::existing(OwnedBody::of(body))
    }

    /// The same body for a reader inside the transaction that writes it.
    pub fn to_owned_body(&self) -> OwnedBody {
        match self {
            NewBody::None => OwnedBody::None,
            NewBody::Inline(bytes) | NewBody::Packed(bytes, _) => OwnedBody::Inline(bytes.clone()),
            NewBody::Extents(extents) => OwnedBody::Many(extents.as_slice().into()),
            NewBody::Shared(shared) => OwnedBody::Shared(shared.clone()),
        }
    }
}

impl Change {
    /// A delete. Deleting what is not there is a mistake of the proposal: it would leave a tombstone for nothing.
    pub fn delete(key: Vec<u8>) -> Change {
        Change { key, what: What::Delete, moved: None }
    }
}
