//! What readers see: one moment of the store, complete in itself and never changing.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::shared_body::{SharedRef, end_key, piece_key};
use crate::env::Process;
use crate::error::{Error, Result};
use crate::format::entry::{self, BlobId, Entry, Extent, Payload};
use crate::index::{Index, Item, Weight};
use crate::segment::Table;

/// One moment of the store.
#[derive(Clone, Debug)]
pub struct View {
    /// The ordered map.
    pub index: Index,
    /// The segments that its entries name.
    pub segments: Table,
    /// The last commit in it.
    pub lsn: u64,
    /// The last commit that changed a row of [`STRUCTURE_SPACE`]; what was read from those rows at an equal number
    /// is still true.
    pub structure: u64,
    /// From when to when it was the newest; the views of one commit share it.
    pub reign: Arc<Reign>,
}

/// From when to when a state was the newest, in milliseconds since 1970, by the clock of the commits around it.
#[derive(Debug)]
pub struct Reign {
    since: u64,
    /// When the next commit was made; `u64::MAX` while there is none, 0 if that is not known.
    until: AtomicU64,
}

impl Reign {
    /// That of a state that became the newest at `since`.
    pub fn since(since: u64) -> Arc<Reign> {
        Arc::new(Reign { since, until: AtomicU64::new(u64::MAX) })
    }

    /// Ends with a commit at `millis`, and gives the reign of the state which that made.
    pub fn followed(&self, millis: u64) -> Arc<Reign> {
        self.end(millis);
        Reign::since(millis)
    }

    /// Ends, if it has not ended before; at 0 if nobody knows when.
    pub fn end(&self, millis: u64) {
        let _ = self.until.compare_exchange(u64::MAX, millis, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Whether the state was that of all commits up to `millis`.
    pub fn holds(&self, millis: u64) -> bool {
        self.since <= millis && millis < self.until.load(Ordering::Acquire)
    }
}

/// The keyspace of rows by which others are found.
pub const STRUCTURE_SPACE: u8 = 2;

/// An entry as it is stored, lent to whoever looks it up.
#[derive(Debug)]
pub struct Stored<'a> {
    /// The commit that wrote it.
    pub lsn: u64,
    /// What it counts for.
    pub weight: Weight,
    /// The catalog's half.
    pub payload: Cow<'a, [u8]>,
    /// The engine's half.
    pub body: entry::Body<'a>,
}

impl View {
    /// Looks up a key and hands what is stored to `read`; `None` if there is nothing.
    pub fn find<R>(&self, key: &[u8], read: impl FnOnce(Stored<'_>) -> Result<R>) -> Result<Option<R>> {
        match self.index.get(key)? {
            Some(item) if !item.tombstone => read(self.stored(&item)?).map(Some),
            _ => Ok(None),
        }
    }

    /// Reads an item of the index as an entry.
    pub fn stored<'a>(&self, item: &'a Item<'_>) -> Result<Stored<'a>> {
        let entry = decode(item.value())?;
        let payload = match entry.payload {
            Payload::Inline(bytes) => Cow::Borrowed(bytes),
            Payload::Spilled(extent) => {
                let bytes = self.segments.get(extent.segment)?.read(&extent, 0..extent.len)?;
                Cow::Owned(bytes.to_vec())
            }
        };
        Ok(Stored { lsn: item.lsn, weight: item.weight, payload, body: entry.body })
    }
}

/// Decodes an index value.
pub fn decode(value: &[u8]) -> Result<Entry<'_>> {
    Entry::decode(value).map_err(|reason| Error::corrupt("the index", 0, reason))
}

/// The body of an entry, kept beyond the look-up.
#[derive(Clone, Debug)]
pub enum OwnedBody {
    /// No bytes.
    None,
    /// The bytes themselves.
    Inline(Bytes),
    /// One run of bytes, the usual case.
    One(Extent),
    /// Several runs, in order.
    Many(Arc<[Extent]>),
    /// Bytes of a body that has rows of its own.
    Shared(SharedRef),
}

impl OwnedBody {
    /// The owned form of a stored body.
    pub fn of(body: &entry::Body<'_>) -> OwnedBody {
        match body {
            entry::Body::None => OwnedBody::None,
            entry::Body::Inline(bytes) => OwnedBody::Inline(Bytes::copy_from_slice(bytes)),
            entry::Body::Extents(list) => {
                let mut extents = list.iter();
                match (extents.next(), extents.next()) {
                    (None, _) => OwnedBody::None,
                    (Some(one), None) => OwnedBody::One(one),
                    _ => OwnedBody::Many(list.iter().collect()),
                }
            }
            entry::Body::Shared { blob, offset, len, hint } => {
                let hint = hint.iter().collect();
                OwnedBody::Shared(SharedRef { blob: *blob, offset: *offset, len: *len, hint })
            }
        }
    }

    /// The runs of bytes that it owns.
    pub fn extents(&self) -> &[Extent] {
        match self {
            OwnedBody::None | OwnedBody::Inline(_) | OwnedBody::Shared(_) => &[],
            OwnedBody::One(extent) => std::slice::from_ref(extent),
            OwnedBody::Many(extents) => extents,
        }
    }

    /// How many bytes.
    pub fn len(&self) -> u64 {
        match self {
            OwnedBody::Inline(bytes) => bytes.len() as u64,
            OwnedBody::Shared(shared) => shared.len,
            other => other.extents().iter().map(|extent| extent.len).sum(),
        }
    }
}

/// A body that can be read, and the segments that it needs.
#[derive(Clone, Debug)]
pub struct BodyReader {
    body: OwnedBody,
    /// The byte of it that this begins with.
    offset: u64,
    len: u64,
    segments: Table,
    /// The pieces of a shared body, each with the offset it begins at.
    pieces: Option<Arc<[(u64, OwnedBody)]>>,
    /// Whoever has found it.
    process: Process,
}

impl BodyReader {
    /// A reader of `body` in the view that it was found in.
    pub fn new(view: &View, body: OwnedBody) -> Result<BodyReader> {
        let len = body.len();
        let (segments, process) = (view.segments.clone(), Process::current());
        let OwnedBody::Shared(shared) = body else {
            return Ok(BodyReader { body, offset: 0, len, segments, pieces: None, process });
        };
        let holds =
            !shared.hint.is_empty() && shared.hint.iter().all(|extent| segments.contains(extent.segment));
        let pieces =
            if holds || len == 0 { None } else { Some(pieces(view, shared.blob, shared.end())?.into()) };
        let (body, offset) = (OwnedBody::Many(shared.hint), shared.offset);
        Ok(BodyReader { body, offset, len, segments, pieces, process })
    }

    /// A reader of a shared body whose `pieces`, in order, the view does not have yet.
    pub fn of_pieces(view: &View, shared: &SharedRef, pieces: Vec<OwnedBody>) -> Result<BodyReader> {
        let mut start = 0;
        let begun = |piece: OwnedBody| {
            let at = start;
            start += piece.len();
            (at, piece)
        };
        let pieces: Vec<_> = pieces.into_iter().map(begun).collect();
        if start < shared.end() {
            let what = format!("the shared body {}-{}", shared.blob.lsn, shared.blob.n);
            return Err(Error::corrupt(what, 0, "its pieces are shorter than what refers to it"));
        }
        let (body, segments) = (OwnedBody::None, view.segments.clone());
        let (offset, len, process, pieces) =
            (shared.offset, shared.len, Process::current(), Some(pieces.into()));
        Ok(BodyReader { body, offset, len, segments, pieces, process })
    }

    /// How many bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Reads `range`, which must lie inside the body: all of it if it lies in one run, else what lies in the
    /// run that holds its start. At least one byte, unless the range is empty.
    pub fn read(&self, range: std::ops::Range<u64>) -> Result<Bytes> {
        self.process.check()?;
        let range = range.start + self.offset..range.end + self.offset;
        let Some(pieces) = self.pieces.as_ref().filter(|_| !range.is_empty()) else {
            return self.read_own(&self.body, range);
        };
        let behind = pieces.partition_point(|(start, _)| *start <= range.start);
        let Some((start, piece)) = behind.checked_sub(1).map(|index| &pieces[index]) else {
            return Ok(Bytes::new());
        };
        let end = range.end.min(start.saturating_add(piece.len()));
        self.read_own(piece, range.start - start..end - start)
    }

    fn read_own(&self, body: &OwnedBody, range: std::ops::Range<u64>) -> Result<Bytes> {
        if let OwnedBody::Inline(bytes) = body {
            return Ok(bytes.slice(range.start as usize..range.end as usize));
        }
        let extents = body.extents();
        let mut before = 0;
        for extent in extents {
            let end = before + extent.len;
            if range.start < end {
                let inside = range.start - before..range.end.min(end) - before;
                return self.segments.get(extent.segment)?.read(extent, inside);
            }
            before = end;
        }
        Ok(Bytes::new())
    }
}

/// The pieces of a shared body that make up its first `len` bytes, each with the offset it begins at. They are all
/// looked up at once, so that what was got can be read even when the index is gone.
pub fn pieces(view: &View, blob: BlobId, len: u64) -> Result<Vec<(u64, OwnedBody)>> {
    let corrupt =
        |reason: &str| Error::corrupt(format!("the shared body {}-{}", blob.lsn, blob.n), 0, reason);
    let (mut list, mut start, end) = (Vec::new(), 0u64, end_key(blob));
    let mut cursor = view.index.cursor();
    cursor.seek(&piece_key(blob, 0))?;
    while cursor.key().is_some_and(|key| *key < *end) && start < len {
        let item = cursor.item()?.ok_or_else(|| corrupt("a piece has no row"))?;
        let body = OwnedBody::of(&decode(item.value())?.body);
        let bytes = body.len();
        list.push((start, body));
        start = start.checked_add(bytes).ok_or_else(|| corrupt("its pieces are too long"))?;
        drop(item);
        cursor.next()?;
    }
    if start < len {
        return Err(corrupt("its pieces are shorter than what refers to it"));
    }
    Ok(list)
}
