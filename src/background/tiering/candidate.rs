//! A body that may have to move.

use crate::catalog::keyspace::keys;
use crate::engine::{self, BodyReader, NewBody, View};
use crate::error::Result;
use crate::format::entry::{BlobId, Extent};
use crate::format::row::{self, ObjectRow};
use crate::index::Weight;

/// The first tier of which small bodies are packed together.
pub(super) const SOLID_FROM: u8 = 2;

/// The longest body that is packed with others.
const SOLID_MEMBER: u64 = 64 << 10;

/// About how many bytes of bodies make a frame.
pub(super) const FRAME: u64 = 1 << 20;

/// How much of a long body is copied at once.
pub(super) const COPY: u64 = 1 << 20;

/// While there is a maintenance thread, small bodies wait until there are so many bytes of them, or for so long: a frame
/// of a few is hardly smaller than they are.
pub(super) const WORTH: u64 = FRAME;

/// A row whose body is moved.
pub struct Member {
    /// Its key.
    pub key: Vec<u8>,
    pub(super) lsn: u64,
    /// The row as it was when its body was read.
    pub(super) value: Vec<u8>,
    /// What it counts for.
    pub weight: Weight,
    /// What it says, once it is said again.
    pub payload: Vec<u8>,
    /// Its body.
    pub body: NewBody,
    /// The word that it was found by, and its lsn.
    pub(super) word: Option<(Vec<u8>, u64)>,
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
    pub(super) fn frame(&self) -> Option<BlobId> {
        match &self.body {
            NewBody::Shared(shared) => Some(shared.blob),
            _ => None,
        }
    }
}

/// Whether a body of this length is packed with others in a tier.
pub(super) fn is_packed(tier: u8, member: &Member, len: u64) -> bool {
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
pub(super) fn is_readable(view: &View, body: &NewBody) -> bool {
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

pub(super) fn read_all(view: &View, body: &NewBody) -> Result<Vec<u8>> {
    let reader = BodyReader::new(view, body.to_owned_body())?;
    let mut bytes = Vec::with_capacity(reader.len() as usize);
    while (bytes.len() as u64) < reader.len() {
        bytes.extend_from_slice(&reader.read(bytes.len() as u64..reader.len())?);
    }
    Ok(bytes)
}

/// A frame that is made.
pub(super) struct Frame {
    pub(super) blob: BlobId,
    pub(super) extent: Extent,
    /// The sum of the keys that are behind its bodies.
    pub(super) keys: u64,
    pub(super) payload: Vec<u8>,
}
