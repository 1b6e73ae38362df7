//! Lays the records of a commit group out, byte by byte, before they are written in one go.

use std::io::IoSlice;
use std::sync::Arc;

use bytes::Bytes;

use super::proposal::{Change, Moved, NewBody, Sums, What};
use crate::crypto::SEAL_LEN;
use crate::error::{Error, Result};
use crate::format::checksum::crc;
use crate::format::commit::{self, Head, MAX_ENTRY, Position};
use crate::format::entry::{Body, Entry, Extent, ExtentList, MAX_PAYLOAD, Payload};
use crate::format::frame::{self, FRAME_LEN, Frame, Kind, MAX_COMMIT_LEN, SHORT_MAX};
use crate::format::packed::{self, Packer};
use crate::segment::{Segment, most_added};

/// Bodies up to this length are copied beside the rest; longer ones are handed to the system in place.
const COPY_MAX: usize = 16 * 1024;

/// About how many bytes of short bodies one record holds at most.
const BODIES_MAX: usize = 1 << 20;

/// What a packed change takes beside what it shares with none.
const PACKED_HEAD: u64 = 24;

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
    /// Where in `staged` the record of short bodies begins that is open for more, and what packing them saves.
    open: Option<(usize, u64)>,
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
pub struct TouchedVersion {
    /// The key.
    pub key: Vec<u8>,
    /// Only for moves: what the row keeps.
    pub moved: Option<Moved>,
    /// What it counts for and its encoded entry; `None` for a delete.
    pub put: Option<(crate::index::Weight, Vec<u8>)>,
    /// Its body, if that lies with others.
    short: Option<Short>,
}

/// A body that lies with others, and what of its payload is the hash of it.
#[derive(Clone, Copy, Debug)]
struct Short {
    extent: Extent,
    hash_at: Option<usize>,
    payload_len: usize,
}

impl TouchedVersion {
    /// The change as a record says it.
    fn as_change(&self) -> commit::Change<'_> {
        let key = &self.key[..];
        match &self.put {
            None => commit::Change::Delete { key, moved: self.moved.map(|moved| (moved.lsn, moved.made)) },
            Some((weight, entry)) => commit::Change::Put {
                key,
                lsn: self.moved.map(|moved| moved.lsn),
                slot: weight.slot,
                objects: weight.objects,
                bytes: weight.bytes,
                entry,
            },
        }
    }
}

/// Whether a change is a put of a short body, such as a packed commit has.
fn is_short(change: &Change) -> bool {
    match &change.what {
        What::Put { weight, body: NewBody::Packed(bytes, _), payload } => {
            let len = bytes.len() as u64;
            let counts_itself = weight.objects == 1 && weight.bytes == len && weight.slot < 8;
            let fits = (1..=SHORT_MAX).contains(&len) && payload.len() <= packed::MAX_PAYLOAD;
            change.moved.is_none() && counts_itself && fits
        }
        _ => false,
    }
}

/// Appends the payload of a packed commit.
fn pack_changes(head: &Head, laid: &[TouchedVersion], out: &mut Vec<u8>) {
    let mut packer = Packer::new(out, head);
    for change in laid {
        match (&change.put, change.short) {
            (Some((weight, entry)), Some(Short { extent, hash_at, payload_len })) => {
                let payload = &entry[entry.len() - payload_len..];
                packer.put(&change.key, weight.slot, &extent, payload, hash_at);
            }
            _ => packer.plain(&change.as_change()),
        }
    }
}

/// At most how many bytes a body's record takes, were it sealed.
fn sealed_len(len: u64, chunk_log2: u8) -> u64 {
    frame::blob_record_len(len, chunk_log2) + most_added(len, chunk_log2)
}

impl Layout {
    /// An empty group that will be appended at `start` of a log segment.
    pub fn new(segment: Arc<Segment>, start: u64, chunk_log2: u8, staged: Vec<u8>) -> Layout {
        let seed = segment.seed();
        Layout { seed, segment, chunk_log2, start, len: 0, staged, pieces: Vec::new(), open: None }
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
        self.open = None;
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

    /// Whether more than one of the changes brings a short body: one alone takes as much in a record of its own.
    pub fn gains_by_packing(changes: &[Change]) -> bool {
        changes.iter().filter(|change| is_short(change)).nth(1).is_some()
    }

    /// At most how many bytes `changes` will take.
    pub fn bound(changes: &[Change], chunk_log2: u8) -> u64 {
        let mut total = 2 * FRAME_LEN as u64 + commit::HEAD_LEN as u64 + 32 + SEAL_LEN as u64;
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
        packs: bool,
    ) -> Result<Vec<TouchedVersion>> {
        let moves = changes.iter().any(|change| change.moved.is_some());
        let mut laid = Vec::with_capacity(changes.len());
        let mut plain_len = 0;
        for change in changes {
            assert_eq!(change.moved.is_some(), moves, "a commit is all moves or has none");
            let packs = packs && is_short(&change);
            let (put, short) = match change.what {
                What::Delete => (None, None),
                What::Put { weight, body: NewBody::Packed(bytes, sums), payload } if packs => {
                    let (entry, short) = self.place_short(&change.key, &bytes, &sums, &payload);
                    (Some((weight, entry)), Some(short))
                }
                What::Put { weight, body, payload } => (Some((weight, self.place(body, &payload)?)), None),
            };
            plain_len += change.key.len() + put.as_ref().map_or(0, |(_, entry)| entry.len()) + 24;
            laid.push(TouchedVersion { key: change.key, moved: change.moved, put, short });
        }
        self.close_bodies();
        let frame_at = self.stage_room(FRAME_LEN);
        let mut payload = std::mem::take(&mut self.staged);
        let from = payload.len();
        let head = Head { durable, millis, count: laid.len() as u64 };
        let packed = laid.iter().any(|change| change.short.is_some());
        if packed {
            pack_changes(&head, &laid, &mut payload);
        } else {
            head.encode(&mut payload);
            laid.iter().for_each(|change| change.as_change().encode(&mut payload));
        }
        let kind = if moves { Kind::Moves } else { Kind::Commit };
        let mut flags = self.segment.seal_record(kind, lsn, self.start + self.len, &mut payload, from);
        flags |= if packed { frame::FLAG_PACKED } else { 0 };
        self.staged = payload;
        let length = (self.staged.len() - from) as u64;
        // What is packed must be no longer when it is unpacked.
        if length > MAX_COMMIT_LEN || (packed && plain_len as u64 > MAX_COMMIT_LEN) {
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
                extents.push(self.blob(bytes, &sums.chunks, 0)?);
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

    /// Places a short body with others and encodes the entry that names it.
    fn place_short(&mut self, key: &[u8], bytes: &Bytes, sums: &Sums, payload: &[u8]) -> (Vec<u8>, Short) {
        let (from, saved) = match self.open {
            Some(open) => open,
            None => (self.stage_room(FRAME_LEN), 0),
        };
        let (offset, len) = (self.start + self.len + (self.staged.len() - from) as u64, bytes.len() as u64);
        let end = self.staged.len() + frame::short_len(len) as usize;
        self.staged.extend_from_slice(&frame::short_head(len, sums.chunks[0], self.seed, offset));
        self.staged.extend_from_slice(bytes);
        self.staged.resize(end, 0);
        let extent = Extent { segment: self.segment.id(), offset, len };
        let mut entry = Vec::with_capacity(payload.len() + ENTRY_HEAD as usize);
        let body = Body::Extents(ExtentList::Plain(std::slice::from_ref(&extent)));
        Entry { home: self.segment.id(), body, payload: Payload::Inline(payload) }.encode(&mut entry);
        let plain = (key.len() + entry.len()) as u64 + frame::blob_record_len(len, self.chunk_log2);
        self.open = Some((from, saved + plain.saturating_sub(frame::short_len(len) + PACKED_HEAD)));
        if self.staged.len() - from > BODIES_MAX {
            self.close_bodies();
        }
        let hash_at = sums.blake3.and_then(|hash| packed::find_hash(payload, &hash));
        (entry, Short { extent, hash_at, payload_len: payload.len() })
    }

    /// Ends the record of short bodies, if one is open.
    fn close_bodies(&mut self) {
        let Some((frame_at, word)) = self.open.take() else { return };
        let payload = &self.staged[frame_at + FRAME_LEN..];
        let (payload_sum, length) = (crc(payload), payload.len() as u64);
        let frame = Frame { kind: Kind::Bodies, flags: 0, owner_len: 0, payload_sum, length, word };
        self.finish_staged(frame_at, &frame);
    }

    /// Lays out a blob record.
    fn blob(&mut self, bytes: Bytes, sums: &[u32], flags: u8) -> Result<Extent> {
        self.close_bodies();
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
