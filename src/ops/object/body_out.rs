//! Bodies on their way out: as they are stored, or out of their envelopes.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::crypto::{
    ChunkSealer, ENVELOPE_CHUNK, ENVELOPE_HEAD, EnvelopeKey, Nonces, SEALED_CHUNK, enveloped_len,
};
use crate::engine::BodyReader;
use crate::error::{Error, Result};
use crate::format::row::{EnvelopeRow, PartRun};
use crate::model::upload::{MAX_NUMBER, MAX_PART};

/// How many chunks are opened at once; so that reads that end at multiples of this open none twice.
const AT_ONCE: u64 = 16;

const CHUNK: u64 = ENVELOPE_CHUNK as u64;

/// A body to be read.
#[derive(Debug)]
pub struct GotBody {
    stored: BodyReader,
    envelope: Option<Box<Opening>>,
}

impl From<BodyReader> for GotBody {
    fn from(stored: BodyReader) -> GotBody {
        GotBody { stored, envelope: None }
    }
}

impl GotBody {
    /// How many bytes.
    pub fn len(&self) -> u64 {
        self.envelope.as_ref().map_or(self.stored.len(), |envelope| envelope.len)
    }

    /// The same body out of its envelopes, which hold `size` bytes.
    pub fn opened(
        self,
        name: &str,
        (key, row): (Arc<EnvelopeKey>, &EnvelopeRow),
        size: u64,
        nonces: &Arc<Nonces>,
    ) -> Result<GotBody> {
        let damaged =
            || Error::corrupt(format!("the row of object {name:?}"), 0, "its envelopes do not fit its body");
        let (parts, stored) = lay_out(row, size).ok_or_else(damaged)?;
        if stored != self.stored.len() {
            return Err(damaged());
        }
        let (name, nonces) = (name.to_string(), nonces.clone());
        let envelope = Opening { name, key, nonces, parts, len: size, last: Mutex::new(None) };
        Ok(GotBody { stored: self.stored, envelope: Some(Box::new(envelope)) })
    }

    /// Reads `range`, which must lie inside the body: all of it, or the beginning of it. At least one byte, unless the
    /// range is empty.
    pub fn read(&self, range: Range<u64>) -> Result<Bytes> {
        match &self.envelope {
            None => self.stored.read(range),
            Some(envelope) => envelope.read(range, &|range| self.stored.read(range)),
        }
    }
}

/// One envelope of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    number: u32,
    /// Where it begins in the body.
    plain: u64,
    /// How many bytes of the body it has.
    len: u64,
    /// Where it begins among the stored bytes.
    stored: u64,
}

/// The envelopes of a body one after another, and how long they are together; `None` if they cannot be as the row says.
fn lay_out(row: &EnvelopeRow, size: u64) -> Option<(Vec<Part>, u64)> {
    if row.parts.is_empty() {
        return Some((vec![Part { number: 0, plain: 0, len: size, stored: 0 }], enveloped_len(size)?));
    }
    let mut parts = Vec::new();
    let (mut plain, mut stored, mut next) = (0u64, 0u64, 1);
    for PartRun { first, count, size } in &row.parts {
        let end = first.checked_add(*count).filter(|end| *end <= MAX_NUMBER + 1)?;
        if *first < next || *size > MAX_PART {
            return None;
        }
        for number in *first..end {
            parts.push(Part { number, plain, len: *size, stored });
            (plain, stored) = (plain.checked_add(*size)?, stored.checked_add(enveloped_len(*size)?)?);
        }
        next = end;
    }
    (plain == size).then_some((parts, stored))
}

/// What opens the envelopes of a body.
struct Opening {
    name: String,
    key: Arc<EnvelopeKey>,
    nonces: Arc<Nonces>,
    parts: Vec<Part>,
    len: u64,
    /// The part that was read last, and what opens its chunks.
    last: Mutex<Option<(u32, Arc<ChunkSealer>)>>,
}

impl std::fmt::Debug for Opening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opening").field("name", &self.name).finish_non_exhaustive()
    }
}

type Stored<'s> = dyn Fn(Range<u64>) -> Result<Bytes> + 's;

/// All of a range of what is stored, in memory of its own.
fn read_all(range: Range<u64>, stored: &Stored<'_>) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity((range.end - range.start) as usize);
    let mut at = range.start;
    while at < range.end {
        let read = stored(at..range.end)?;
        if read.is_empty() {
            return Err(Error::corrupt("an enveloped body", at, "it is cut off"));
        }
        bytes.extend_from_slice(&read);
        at += read.len() as u64;
    }
    Ok(bytes)
}

impl Opening {
    fn forged(&self, at: u64) -> Error {
        let why = "it does not open with its key: it was changed, moved or cut";
        Error::corrupt(format!("the enveloped body of {:?}", self.name), at, why)
    }

    fn sealer(&self, part: &Part, stored: &Stored<'_>) -> Result<Arc<ChunkSealer>> {
        if let Some((number, sealer)) = &*self.last.lock()
            && *number == part.number
        {
            return Ok(sealer.clone());
        }
        let head = read_all(part.stored..part.stored + ENVELOPE_HEAD as u64, stored)?;
        let head = head.first_chunk().ok_or_else(|| self.forged(part.plain))?;
        let sealer = Arc::new(self.key.chunks(part.number, head, &self.nonces));
        *self.last.lock() = Some((part.number, sealer.clone()));
        Ok(sealer)
    }

    fn read(&self, range: Range<u64>, stored: &Stored<'_>) -> Result<Bytes> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        // The last part that begins at or before the place and has it: parts may be empty.
        let behind = self.parts.partition_point(|part| part.plain <= range.start);
        let part = behind.checked_sub(1).map(|index| self.parts[index]);
        let part = part.filter(|part| range.start - part.plain < part.len);
        let part = part.ok_or_else(|| self.forged(range.start))?;
        let sealer = self.sealer(&part, stored)?;
        let (from, to) = (range.start - part.plain, (range.end - part.plain).min(part.len));
        let first = from / CHUNK;
        let last = ((to - 1) / CHUNK).min(first - first % AT_ONCE + AT_ONCE - 1);
        let chunks = part.stored + ENVELOPE_HEAD as u64;
        let tag = (SEALED_CHUNK - ENVELOPE_CHUNK) as u64;
        let plain_end = ((last + 1) * CHUNK).min(part.len);
        let sealed = chunks + first * SEALED_CHUNK as u64..chunks + plain_end + (last + 1) * tag;
        let mut bytes = read_all(sealed, stored)?;
        let count = part.len.div_ceil(CHUNK).max(1);
        let (mut read, mut written) = (0, 0);
        for index in first..=last {
            let len = (part.len - index * CHUNK).min(CHUNK) as usize;
            let forged = || self.forged(part.plain + index * CHUNK);
            let sealed = bytes.get_mut(read..read + len + tag as usize).ok_or_else(forged)?;
            let (chunk, tag) = sealed.split_last_chunk_mut().ok_or_else(forged)?;
            sealer.open(index, index + 1 == count, chunk, tag).map_err(|_| forged())?;
            bytes.copy_within(read..read + len, written);
            (read, written) = (read + SEALED_CHUNK, written + len);
        }
        let skip = (from - first * CHUNK) as usize;
        let take = ((to - first * CHUNK) as usize).min(written);
        Ok(Bytes::from(bytes).slice(skip..take))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_lie_one_after_another_and_impossible_ones_are_refused() {
        let run = |first, count, size| PartRun { first, count, size };
        let row = |parts: &[PartRun]| EnvelopeRow { parts: parts.to_vec(), ..EnvelopeRow::default() };
        let (parts, stored) =
            lay_out(&row(&[run(2, 2, 100_000), run(7, 1, 0), run(9, 1, 5)]), 200_005).unwrap();
        assert_eq!(parts.iter().map(|part| part.number).collect::<Vec<_>>(), [2, 3, 7, 9]);
        assert_eq!(parts[3], Part { number: 9, plain: 200_000, len: 5, stored: 2 * 100_056 + 40 });
        assert_eq!(stored, 2 * 100_056 + 40 + 45);
        for (bad, size) in [
            (&[run(1, 1, 5)][..], 6),
            (&[run(2, 1, 5), run(2, 1, 5)], 10),
            (&[run(2, 1, 5), run(1, 1, 5)], 10),
            (&[run(0, 1, 5)], 5),
            (&[run(1, u32::MAX, 0)], 0),
            (&[run(10_000, 2, 0)], 0),
            (&[run(1, 1, u64::MAX)], u64::MAX),
        ] {
            assert_eq!(lay_out(&row(bad), size), None, "{bad:?}");
        }
        assert_eq!(lay_out(&row(&[]), u64::MAX), None);
    }
}
