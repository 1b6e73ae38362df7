//! Writing one body into a bulk segment.

use std::sync::Arc;

use super::pipeline::{GATHER, Piece, Through};
use super::pool::{BulkPool, Lengths, Open, Placed, WRITEBACK_STEP, blob_parts};
use crate::error::{Error, Result};
use crate::format::entry::Extent;
use crate::format::frame::{self, FRAME_LEN, Frame, Kind, MAX_BODY_LEN};
use crate::segment::coding::ChunkCoder;
use crate::segment::sealed::{BodySealer, store_chunks};

impl BulkPool {
    /// Starts a body. `owner` is the index key it is written for, kept beside it so that relocation and
    /// salvage find the way back; `payload` says that it is an entry's payload and no body.
    pub fn writer(self: &Arc<Self>, owner: Vec<u8>, cold: bool, payload: bool) -> BodyWriter {
        assert!(owner.len() <= usize::from(u16::MAX));
        BodyWriter {
            pool: self.clone(),
            open: None,
            cold,
            payload,
            owner,
            start: 0,
            len: 0,
            stored: 0,
            partial: Vec::new(),
            sums: Vec::new(),
            table: Vec::new(),
            room: Vec::new(),
            coder: None,
            sealer: None,
            was_full: false,
        }
    }
}

/// Streams one body into a bulk segment. Dropped unfinished, it leaves nothing but a void record.
#[derive(Debug)]
pub struct BodyWriter {
    pool: Arc<BulkPool>,
    open: Option<Open>,
    cold: bool,
    payload: bool,
    owner: Vec<u8>,
    start: u64,
    /// Bytes of whole chunks so far, and what they are as they are stored.
    len: u64,
    stored: u64,
    partial: Vec<u8>,
    sums: Vec<u32>,
    /// Of a coded body: the words of the table, room for what is to be written next, and what makes it.
    table: Vec<u32>,
    room: Vec<Piece>,
    coder: Option<ChunkCoder>,
    /// Of a sealed body: what its chunks go through.
    sealer: Option<BodySealer>,
    /// Whether a write has failed for want of room.
    was_full: bool,
}

impl BodyWriter {
    /// Bytes written so far.
    pub fn len(&self) -> u64 {
        self.len + self.partial.len() as u64
    }

    /// Adds bytes to the body.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.pool.maker.env.check_here()?;
        let chunk = 1usize << self.pool.coding.chunk_log2;
        if self.len() + bytes.len() as u64 > MAX_BODY_LEN {
            return Err(crate::error::Error::invalid("EntityTooLarge", "a body has at most 48.8 TiB"));
        }
        if !self.partial.is_empty() {
            let take = bytes.len().min(chunk - self.partial.len());
            self.partial.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            // Of a sealed body the last chunk is marked, so a whole one waits until it is known that more follows.
            if self.partial.len() < chunk || (self.pool.is_sealed() && bytes.is_empty()) {
                return Ok(());
            }
            let whole = std::mem::take(&mut self.partial);
            self.put_chunks(&whole, false)?;
            self.partial = whole;
            self.partial.clear();
        }
        let mut whole = bytes.len() - bytes.len() % chunk;
        if self.pool.is_sealed() && whole == bytes.len() {
            whole = whole.saturating_sub(chunk);
        }
        if whole > 0 {
            self.put_chunks(&bytes[..whole], false)?;
        }
        self.partial.extend_from_slice(&bytes[whole..]);
        Ok(())
    }

    /// Ends the body: its sums, its owner and at last its frame are written. Nothing is synced.
    pub fn finish(mut self) -> Result<Placed> {
        self.pool.maker.env.check_here()?;
        let last = std::mem::take(&mut self.partial);
        // A body that fits into one chunk was not written yet and goes out in one piece.
        let whole = self.len == 0;
        let mut unwritten = &last[..];
        let gathered;
        if whole {
            self.begin(&last)?;
            let log2 = self.pool.coding.chunk_log2;
            if self.coder.is_some() || self.sealer.is_some() {
                let mut out = self.room.pop().unwrap_or_default().bytes;
                let (coder, sealer) = (self.coder.as_mut(), self.sealer.as_mut());
                self.table = store_chunks(coder, sealer, (&last, true), log2, &mut self.sums, &mut out)?;
                gathered = out;
                unwritten = &gathered;
            } else {
                self.sums = frame::chunk_sums(&last, log2);
            }
            self.len = last.len() as u64;
            self.stored = unwritten.len() as u64;
        } else {
            self.put_chunks(&last, true)?;
            unwritten = &[];
        }
        self.leave_reserve()?;
        let mut open = self.open.take().expect("begun above or with the first chunk");
        let written = self.end(&mut open, unwritten);
        let frame = match written {
            Ok(frame) => frame,
            Err(error) => {
                self.was_full |= error.is_full();
                self.open = Some(open);
                return Err(error);
            }
        };
        open.tail = self.start + frame.record_len();
        let segment = open.segment.clone();
        // Before the segment is given back, so that at no moment nobody seems to need it.
        let placed =
            Placed::new(Extent { segment: segment.id(), offset: self.start, len: self.len }, segment);
        match self.pool.note_finished(&placed.segment) {
            Ok(()) => self.pool.give_back(open),
            Err(error) => {
                self.pool.seal(&open);
                return Err(error);
            }
        }
        Ok(placed)
    }

    /// Writes what is missing of the record: `body` if none of it is written yet, the trailer, the frame.
    fn end(&self, open: &mut Open, body: &[u8]) -> Result<Frame> {
        let seed = open.segment.seed();
        let flags = if self.payload { frame::FLAG_PAYLOAD } else { 0 };
        let len = Lengths { plain: self.len, stored: self.stored };
        let table = self.pool.is_coded().then_some(&self.table[..]);
        let (owner, sealed) =
            open.segment.seal_owner(self.sealer.as_ref(), self.len, self.start, &self.owner);
        let flags = flags | sealed;
        let (frame, trailer) = blob_parts(seed, self.start, len, (&self.sums, table), &owner, flags);
        let head = frame.encode(seed, self.start);
        if body.is_empty() {
            open.put(self.start + FRAME_LEN as u64 + self.stored, &[&trailer])?;
            open.put(self.start, &[&head])?;
        } else {
            open.put(self.start, &[&head, body, &trailer])?;
        }
        Ok(frame)
    }

    /// Takes a segment to write a body in that begins with `first`.
    fn begin(&mut self, first: &[u8]) -> Result<()> {
        if self.open.is_none() {
            self.coder = self.pool.coder()?;
            let open = self.pool.take(self.cold)?;
            self.start = open.tail;
            let first = &first[..first.len().min(1 << self.pool.coding.chunk_log2)];
            self.sealer = open.segment.body_sealer(self.start, self.payload, first);
            self.open = Some(open);
        }
        Ok(())
    }

    /// Writes chunks; `ends` says that the body ends with them.
    fn put_chunks(&mut self, bytes: &[u8], ends: bool) -> Result<()> {
        self.begin(bytes)?;
        if bytes.is_empty() {
            return Ok(());
        }
        let log2 = self.pool.coding.chunk_log2;
        if self.coder.is_none() && self.sealer.is_none() {
            // What was just written is summed before it has left the cache.
            return bytes.chunks(GATHER.max(1 << log2)).try_for_each(|bytes| {
                self.put_stored(bytes)?;
                self.sums.extend(frame::chunk_sums(bytes, log2));
                self.len += bytes.len() as u64;
                Ok(())
            });
        }
        let (mut coder, mut sealer) = (self.coder.take(), self.sealer.take());
        let mut room = std::mem::take(&mut self.room);
        let through = Through { coder: coder.as_mut(), sealer: sealer.as_mut(), log2 };
        let done = through.each((bytes, ends), &mut room, |piece| {
            self.put_stored(&piece.bytes)?;
            self.table.extend_from_slice(&piece.words);
            self.sums.extend_from_slice(&piece.sums);
            self.len += piece.plain;
            Ok(())
        });
        (self.coder, self.sealer, self.room) = (coder, sealer, room);
        done
    }

    /// What deletes and relocation have freed of the reserve is theirs.
    fn leave_reserve(&self) -> Result<()> {
        if self.cold {
            return Ok(());
        }
        let admitted = self.pool.reserve.admit(&self.pool.maker.env);
        admitted.map_err(|error| Error::io("taking the reserve for deletes again", error))
    }

    /// Writes the next bytes of the record, which are chunks as they are stored.
    fn put_stored(&mut self, bytes: &[u8]) -> Result<()> {
        self.leave_reserve()?;
        let at = self.start + FRAME_LEN as u64 + self.stored;
        let open = self.open.as_mut().expect("begun before");
        open.put(at, &[bytes]).inspect_err(|error| self.was_full |= error.is_full())?;
        let before = self.stored / WRITEBACK_STEP;
        self.stored += bytes.len() as u64;
        if self.stored / WRITEBACK_STEP > before {
            open.segment.file()?.start_writeback(self.start..at + bytes.len() as u64);
        }
        Ok(())
    }
}

impl Drop for BodyWriter {
    fn drop(&mut self) {
        if !self.pool.maker.env.is_here() {
            // In a forked process it is somebody else's body.
            return;
        }
        self.pool.keep_coder(self.coder.take());
        let Some(mut open) = self.open.take() else { return };
        if self.was_full && open.take_back() {
            return self.pool.give_back(open);
        }
        if self.stored == 0 {
            return self.pool.give_back(open);
        }
        // The bytes are there and stay there as garbage. A void record lets a scan step over them; where it
        // cannot be written, the segment ends here.
        let length = self.stored;
        let frame = Frame { kind: Kind::Void, flags: 0, owner_len: 0, payload_sum: 0, length, word: 0 };
        let head = frame.encode(open.segment.seed(), self.start);
        if open.put(self.start, &[&head]).is_ok() {
            open.tail = self.start + frame.record_len();
            self.pool.give_back(open);
        } else {
            self.pool.seal(&open);
        }
    }
}
