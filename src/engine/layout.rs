//! Lays the records of a commit group out, byte by byte, before they are written in one go.

use std::io::IoSlice;
use std::sync::Arc;

use bytes::Bytes;

use super::proposal::{Change, Moved, NewBody, What};
use crate::crypto::SEAL_LEN;
use crate::error::{Error, Result};
use crate::format::checksum::crc;
use crate::format::commit::{self, Head, MAX_ENTRY, Position};
use crate::format::entry::{Body, Entry, Extent, ExtentList, MAX_PAYLOAD, Payload};
use crate::format::frame::{self, FRAME_LEN, Frame, Kind, MAX_COMMIT_LEN};
use crate::segment::{Segment, most_added};

/// Bodies up to this length are copied beside the rest; longer ones are handed to the system in place.
const COPY_MAX: usize = 16 * 1024;
/// What an entry takes beside its payload and an inline body, at most, with one extent.
const ENTRY_HEAD: u64 = 64;

/// The bytes of a group, and where they will stand.
#[derive(Debug)]
pub struct Layout {
    segment: Arc<Segment>,
    seed: u32,
    chunk_log2: u8,
    start: u64,
    len: u64,
    staged: Vec<u8>,
    pieces: Vec<Piece>,
}

#[derive(Debug)]
enum Piece {
    Staged(usize, usize),
    Whole(Bytes),
}

/// A place in a layout.
#[derive(Debug)]
pub struct Mark {
    len: u64,
    staged: usize,
    pieces: usize,
    last: Option<(usize, usize)>,
}

/// A change with its entry encoded, ready for the index.
#[derive(Debug)]
pub struct Laid {
    /// The key.
    pub key: Vec<u8>,
    /// Only for moves: what the row keeps.
    pub moved: Option<Moved>,
    /// What it counts for and its encoded entry; `None` for a delete.
    pub put: Option<(crate::index::Weight, Vec<u8>)>,
}

/// At most how many bytes a body's record takes, were it sealed.
fn sealed_len(len: u64, chunk_log2: u8) -> u64 {
    frame::blob_record_len(len, chunk_log2) + most_added(len, chunk_log2)
}

impl Layout {
    /// An empty group that will be appended at `start` of a log segment.
    pub fn new(segment: Arc<Segment>, start: u64, chunk_log2: u8, staged: Vec<u8>) -> Layout {
        Layout { seed: segment.seed(), segment, chunk_log2, start, len: 0, staged, pieces: Vec::new() }
    }

    /// Bytes laid out so far.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing is laid out.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A place to come back to if the next commit turns out to be impossible.
    pub fn mark(&self) -> Mark {
        let last = match self.pieces.last() {
            Some(Piece::Staged(from, to)) => Some((*from, *to)),
            _ => None,
        };
        Mark { len: self.len, staged: self.staged.len(), pieces: self.pieces.len(), last }
    }

    /// Forgets everything behind `mark`.
    pub fn roll_back(&mut self, mark: &Mark) {
        self.len = mark.len;
        self.staged.truncate(mark.staged);
        self.pieces.truncate(mark.pieces);
        if let (Some(Piece::Staged(from, to)), Some(last)) = (self.pieces.last_mut(), mark.last) {
            (*from, *to) = last;
        }
    }

    /// The slices to be written, in order.
    pub fn slices(&self) -> Vec<IoSlice<'_>> {
        let slice = |piece| match piece {
            &Piece::Staged(from, to) => IoSlice::new(&self.staged[from..to]),
            Piece::Whole(bytes) => IoSlice::new(bytes),
        };
        self.pieces.iter().map(slice).collect()
    }

    /// The buffer, to be used again.
    pub fn into_buffer(self) -> Vec<u8> {
        let mut staged = self.staged;
        staged.clear();
        if staged.capacity() > 4 << 20 { Vec::new() } else { staged }
    }

    /// At most how many bytes `changes` will take.
    pub fn bound(changes: &[Change], chunk_log2: u8) -> u64 {
        let mut total = FRAME_LEN as u64 + commit::HEAD_LEN as u64 + 32 + SEAL_LEN as u64;
        for change in changes {
            total += change.key.len() as u64 + ENTRY_HEAD;
            if let What::Put { body, payload, .. } = &change.what {
                total += payload.len() as u64;
                total += match body {
                    NewBody::None => 0,
                    NewBody::Inline(bytes) => bytes.len() as u64,
                    NewBody::Packed(bytes, _) => sealed_len(bytes.len() as u64, chunk_log2),
                    NewBody::Extents(extents) => 32 * extents.len() as u64,
                    NewBody::Shared(shared) => 64 + 32 * shared.hint.len() as u64,
                };
                if payload.len() as u64 > MAX_ENTRY / 4 {
                    total += sealed_len(payload.len() as u64, chunk_log2);
                }
            }
        }
        total
    }

    /// Lays out the records of one commit: its packed blobs, then the commit itself.
    pub fn add(
        &mut self,
        changes: Vec<Change>,
        lsn: u64,
        durable: Position,
        millis: u64,
    ) -> Result<Vec<Laid>> {
        let moves = changes.iter().any(|change| change.moved.is_some());
        let mut laid = Vec::with_capacity(changes.len());
        for change in changes {
            assert_eq!(change.moved.is_some(), moves, "a commit is all moves or has none");
            let put = match change.what {
                What::Delete => None,
                What::Put { weight, body, payload } => Some((weight, self.place(body, &payload)?)),
            };
            laid.push(Laid { key: change.key, moved: change.moved, put });
        }
        let frame_at = self.stage_room(FRAME_LEN);
        let mut payload = std::mem::take(&mut self.staged);
        let from = payload.len();
        Head { durable, millis, count: laid.len() as u64 }.encode(&mut payload);
        for change in &laid {
            let key = &change.key[..];
            match &change.put {
                None => {
                    commit::Change::Delete { key, moved: change.moved.map(|moved| (moved.lsn, moved.made)) }
                }
                Some((weight, entry)) => commit::Change::Put {
                    key,
                    lsn: change.moved.map(|moved| moved.lsn),
                    slot: weight.slot,
                    objects: weight.objects,
                    bytes: weight.bytes,
                    entry,
                },
            }
            .encode(&mut payload);
        }
        let kind = if moves { Kind::Moves } else { Kind::Commit };
        let flags = self.segment.seal_record(kind, lsn, self.start + self.len, &mut payload, from);
        self.staged = payload;
        let length = (self.staged.len() - from) as u64;
        if length > MAX_COMMIT_LEN {
            return Err(Error::invalid(
                "EntityTooLarge",
                format!("one commit holds at most {MAX_COMMIT_LEN} bytes of rows; make several smaller ones"),
            ));
        }
        let payload_sum = crc(&self.staged[from..]);
        let frame = Frame { kind, flags, owner_len: 0, payload_sum, length, word: lsn };
        self.finish_staged(frame_at, &frame);
        Ok(laid)
    }

    /// Places a body and a payload and encodes the entry that names them.
    fn place(&mut self, body: NewBody, payload: &[u8]) -> Result<Vec<u8>> {
        let mut extents = Vec::new();
        let inline;
        let body = match body {
            NewBody::None => Body::None,
            NewBody::Inline(bytes) => {
                inline = bytes;
                Body::Inline(&inline)
            }
            NewBody::Packed(bytes, sums) => {
                extents.push(self.blob(bytes, &sums, 0)?);
                Body::Extents(ExtentList::Plain(&extents))
            }
            NewBody::Extents(list) => {
                extents = list;
                Body::Extents(ExtentList::Plain(&extents))
            }
            NewBody::Shared(shared) => {
                extents = shared.hint.to_vec();
                Body::Shared {
                    blob: shared.blob,
                    offset: shared.offset,
                    len: shared.len,
                    hint: ExtentList::Plain(&extents),
                }
            }
        };
        let home = self.segment.id();
        let mut encoded = Vec::with_capacity(payload.len() + ENTRY_HEAD as usize);
        Entry { home, body: body.clone(), payload: Payload::Inline(payload) }.encode(&mut encoded);
        if encoded.len() as u64 > MAX_ENTRY {
            if payload.len() as u64 > MAX_PAYLOAD {
                return Err(Error::invalid("InvalidArgument", "the metadata of an object is too long"));
            }
            let sums = frame::chunk_sums(payload, self.chunk_log2);
            let extent = self.blob(Bytes::copy_from_slice(payload), &sums, frame::FLAG_PAYLOAD)?;
            encoded.clear();
            Entry { home, body, payload: Payload::Spilled(extent) }.encode(&mut encoded);
        }
        if encoded.len() as u64 > MAX_ENTRY {
            return Err(Error::invalid("InvalidArgument", "an object lies in too many pieces for one entry"));
        }
        Ok(encoded)
    }

    /// Lays out a blob record.
    fn blob(&mut self, bytes: Bytes, sums: &[u32], flags: u8) -> Result<Extent> {
        let at = self.start + self.len;
        let extent = Extent { segment: self.segment.id(), offset: at, len: bytes.len() as u64 };
        if self.segment.is_sealed() {
            let from = self.staged.len();
            let frame =
                self.segment.seal_blob(at, &bytes, flags & frame::FLAG_PAYLOAD != 0, &mut self.staged)?;
            self.push_staged(from);
            self.len += frame.record_len();
            return Ok(extent);
        }
        let mut trailer = Vec::with_capacity(sums.len() * 4);
        for (index, sum) in sums.iter().enumerate() {
            trailer.extend(frame::placed_chunk_sum(*sum, self.seed, at, index as u64).to_le_bytes());
        }
        let length = (bytes.len() + trailer.len()) as u64;
        let payload_sum = crc(&trailer);
        let frame = Frame { kind: Kind::Blob, flags, owner_len: 0, payload_sum, length, word: extent.len };
        let frame_at = self.stage_room(FRAME_LEN);
        if bytes.len() <= COPY_MAX {
            self.staged.extend_from_slice(&bytes);
            self.staged.extend_from_slice(&trailer);
            self.finish_staged(frame_at, &frame);
        } else {
            self.staged[frame_at..].copy_from_slice(&frame.encode(self.seed, at));
            self.push_staged(frame_at);
            self.pieces.push(Piece::Whole(bytes));
            let from = self.staged.len();
            self.staged.extend_from_slice(&trailer);
            let padding = (frame.record_len() - FRAME_LEN as u64 - length) as usize;
            self.staged.resize(self.staged.len() + padding, 0);
            self.push_staged(from);
            self.len += frame.record_len();
        }
        Ok(extent)
    }

    fn stage_room(&mut self, len: usize) -> usize {
        let at = self.staged.len();
        self.staged.resize(at + len, 0);
        at
    }

    /// Ends a record whose bytes are all staged: writes its frame and pads it.
    fn finish_staged(&mut self, frame_at: usize, frame: &Frame) {
        let encoded = frame.encode(self.seed, self.start + self.len);
        self.staged[frame_at..frame_at + FRAME_LEN].copy_from_slice(&encoded);
        self.staged.resize(frame_at + frame.record_len() as usize, 0);
        self.push_staged(frame_at);
        self.len += frame.record_len();
    }

    /// Adds what was staged from `from` on to the pieces, joined to the piece before it where possible.
    fn push_staged(&mut self, from: usize) {
        let to = self.staged.len();
        match self.pieces.last_mut() {
            Some(Piece::Staged(_, end)) if *end == from => *end = to,
            _ => self.pieces.push(Piece::Staged(from, to)),
        }
    }
}
