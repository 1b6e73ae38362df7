//! Sealing in a segment of an encrypted store: its records, the chunks of its bodies, and the owners that stand with them.

use super::coding::ChunkCoder;
use super::segment::Segment;
use crate::crypto::{BODY_NONCE_LEN, BodyPlace, ChunkSealer, Forged, SecretKey, TAG_LEN};
use crate::env::Planted;
use crate::error::Result;
use crate::format::checksum::crc;
use crate::format::coded::{self, StoredChunk};
use crate::format::frame::{self, FLAG_SEALED, FRAME_LEN, Frame, Kind};
use crate::format::segment_header::SegmentHeader;

/// What the chunks of a body go through on their way out.
#[derive(Debug)]
pub struct BodySealer {
    chunks: ChunkSealer,
    nonce: [u8; BODY_NONCE_LEN],
    next: u64,
    /// Whether nothing is encrypted after all: a mistake, to test the tests.
    plain: bool,
}

impl Segment {
    /// What a record is bound to, beside the key of its segment.
    fn place_of(kind: Kind, word: u64, offset: u64) -> [u8; 17] {
        let mut place = [0; 17];
        place[0] = match kind {
            Kind::Commit => 1,
            Kind::Moves => 2,
            // Of a blob it is the owner's key that is sealed like this.
            Kind::Blob => 3,
            Kind::Continue | Kind::Void | Kind::Bodies => 0,
        };
        place[1..9].copy_from_slice(&word.to_le_bytes());
        place[9..].copy_from_slice(&offset.to_le_bytes());
        place
    }

    /// Whether everything in it is sealed.
    #[inline]
    pub fn is_sealed(&self) -> bool {
        self.sealing.is_some()
    }

    /// What everything in it hangs on, if it is sealed: its nonce and its secret.
    pub fn secret(&self) -> Option<(u64, SecretKey)> {
        let (secret, _) = self.sealing.as_ref()?.keys.as_ref()?;
        Some((self.header.nonce, SecretKey::new(*secret.as_bytes())))
    }

    /// Seals `bytes[from..]`, the payload of a record of this kind, word and place, if everything here is sealed; answers
    /// the flags that its frame is to have.
    pub fn seal_record(&self, kind: Kind, word: u64, offset: u64, bytes: &mut Vec<u8>, from: usize) -> u8 {
        match &self.sealing {
            None => 0,
            Some(sealing) => {
                let (_, records) = sealing.keys.as_ref().expect("nothing is written where nothing opens");
                records.seal(&Segment::place_of(kind, word, offset), bytes, from);
                FLAG_SEALED
            }
        }
    }

    /// Opens the payload of a record in place; what was in it is what is answered.
    pub fn open_record<'b>(
        &self,
        frame: &Frame,
        offset: u64,
        bytes: &'b mut [u8],
    ) -> Result<&'b mut [u8], Forged> {
        match &self.sealing {
            None if frame.flags & FLAG_SEALED == 0 => Ok(bytes),
            Some(sealing) if frame.flags & FLAG_SEALED != 0 => {
                let (_, records) = sealing.keys.as_ref().ok_or(Forged)?;
                records.open(&Segment::place_of(frame.kind, frame.word, offset), bytes)
            }
            _ => Err(Forged),
        }
    }

    /// The owner's key as it stands in the record of a blob.
    pub fn open_owner<'b>(
        &self,
        frame: &Frame,
        offset: u64,
        bytes: &'b mut [u8],
    ) -> Result<&'b mut [u8], Forged> {
        let nonce = if self.is_sealed() { BODY_NONCE_LEN } else { 0 };
        let (_, owner) = bytes.split_at_mut_checked(nonce).ok_or(Forged)?;
        self.open_record(frame, offset, owner)
    }

    fn body_place(&self, offset: u64, payload: bool) -> BodyPlace {
        let SegmentHeader { id, nonce, chunk_log2, .. } = self.header;
        let offset = if self.mistake.is(Planted::BodyUnbound) { 0 } else { offset };
        BodyPlace { segment: id, nonce, offset, chunk_log2, payload }
    }

    /// What the body that will stand at `offset` goes through, if everything here is sealed; `first` is how it begins.
    pub fn body_sealer(&self, offset: u64, payload: bool, first: &[u8]) -> Option<BodySealer> {
        self.sealing.as_ref().map(|sealing| {
            let place = self.body_place(offset, payload);
            let nonce = sealing.ring.body_nonce(&place, first);
            let (secret, _) = sealing.keys.as_ref().expect("nothing is written where nothing opens");
            let plain = self.mistake.is(Planted::PlainBodies);
            BodySealer { chunks: sealing.ring.body(secret, &place, &nonce), nonce, next: 0, plain }
        })
    }

    /// What opens the chunks of the body of a sealed record.
    pub fn body_opener(
        &self,
        offset: u64,
        frame: &Frame,
        nonce: &[u8; BODY_NONCE_LEN],
    ) -> Option<ChunkSealer> {
        let payload = frame.flags & frame::FLAG_PAYLOAD != 0;
        let sealing = self.sealing.as_ref()?;
        let (secret, _) = sealing.keys.as_ref()?;
        Some(sealing.ring.body(secret, &self.body_place(offset, payload), nonce))
    }

    /// The owner's key as it is to stand in the record of a blob, and the flags of its frame.
    pub fn seal_owner(
        &self,
        sealer: Option<&BodySealer>,
        plain: u64,
        offset: u64,
        owner: &[u8],
    ) -> (Vec<u8>, u8) {
        let mut bytes = sealer.map_or(Vec::new(), |sealer| sealer.nonce.to_vec());
        let from = bytes.len();
        bytes.extend_from_slice(owner);
        let flags = self.seal_record(Kind::Blob, plain, offset, &mut bytes, from);
        (bytes, flags)
    }

    /// Appends the whole record of a sealed body that is to stand at `offset`, which ends where the next may begin.
    pub fn seal_blob(&self, offset: u64, body: &[u8], payload: bool, out: &mut Vec<u8>) -> Result<Frame> {
        let begin = out.len();
        out.resize(begin + FRAME_LEN, 0);
        let mut sealer = self.body_sealer(offset, payload, body);
        let mut sums = Vec::new();
        let log2 = self.header.chunk_log2;
        let words = store_chunks(None, sealer.as_mut(), (body, true), log2, &mut sums, out)?;
        let stored = (out.len() - begin - FRAME_LEN) as u64;
        let from = out.len();
        let placed = sums
            .iter()
            .zip(0..)
            .map(|(sum, index)| frame::placed_chunk_sum(*sum, self.seed(), offset, index));
        coded::encode(&words, placed, out);
        let (owner, sealed) = self.seal_owner(sealer.as_ref(), body.len() as u64, offset, &[]);
        out.extend_from_slice(&owner);
        let frame = Frame {
            kind: Kind::Blob,
            flags: sealed | if payload { frame::FLAG_PAYLOAD } else { 0 },
            owner_len: owner.len() as u16,
            payload_sum: crc(&out[from..]),
            length: stored + (out.len() - from) as u64,
            word: body.len() as u64,
        };
        out[begin..begin + FRAME_LEN].copy_from_slice(&frame.encode(self.seed(), offset));
        out.resize(begin + frame.record_len() as usize, 0);
        Ok(frame)
    }
}

/// Appends the chunks of `bytes` as they are to be stored, and their sums; answers their words in the table. `bytes` comes
/// with whether it is the end of its body.
pub fn store_chunks(
    mut coder: Option<&mut ChunkCoder>,
    mut sealer: Option<&mut BodySealer>,
    (bytes, ends): (&[u8], bool),
    log2: u8,
    sums: &mut Vec<u32>,
    out: &mut Vec<u8>,
) -> Result<Vec<u32>> {
    let count = frame::chunk_count(bytes.len() as u64, log2) as usize;
    let mut words = Vec::with_capacity(count);
    for (number, chunk) in bytes.chunks(1 << log2).enumerate() {
        let before = out.len();
        let mut stored = match &mut coder {
            Some(coder) => coder.store(chunk, out)?,
            None => {
                out.extend_from_slice(chunk);
                StoredChunk { len: chunk.len() as u64, compressed: false }
            }
        };
        if let Some(sealer) = &mut sealer {
            let clear = sealer.plain.then(|| out[before..].to_vec());
            let tag = sealer.chunks.seal(sealer.next, ends && number + 1 == count, &mut out[before..]);
            if let Some(clear) = clear {
                out[before..].copy_from_slice(&clear);
            }
            out.extend_from_slice(&tag);
            sealer.next += 1;
            stored.len += TAG_LEN as u64;
        }
        words.push(stored.word());
        sums.push(crc(&out[before..]));
    }
    Ok(words)
}
