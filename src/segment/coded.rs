//! Reading coded bodies: the table says where a chunk lies, and only the chunks that are asked for are decoded.

use std::ops::Range;

use bytes::Bytes;

use super::coding::restore;
use super::scan::Scan;
use super::sealing::{FORGED, LOST};
use super::segment::{BlobSum, Segment};
use crate::crypto::{BODY_NONCE_LEN, ChunkSealer, SEAL_LEN, TAG_LEN};
use crate::env::Planted;
use crate::error::Result;
use crate::format::checksum::crc;
use crate::format::coded::{MARK_EVERY, StoredChunk, Trailer};
use crate::format::entry::Extent;
use crate::format::frame::{self, Decoded, FLAG_SEALED, FRAME_LEN, Frame, Kind};
use crate::format::segment_header::HEADER_LEN;

/// So many sealed bytes are worth a second thread: opening them takes ten times as long as starting one.
const APART: u64 = 768 << 10;

/// Reads the first half of the chunks here and the second on a thread of its own, if there is one to be had.
fn in_halves(
    chunks: Range<u64>,
    out: &mut Vec<u8>,
    read: impl Fn(Range<u64>, &mut Vec<u8>) -> Result<()> + Sync,
) -> Result<()> {
    let middle = chunks.start + (chunks.end - chunks.start) / 2;
    let (first, second) = (chunks.start..middle, middle..chunks.end);
    let read = &read;
    std::thread::scope(|scope| {
        let there = second.clone();
        let apart = std::thread::Builder::new().name("ossicle-open".into()).spawn_scoped(scope, move || {
            let mut rest = Vec::new();
            read(there, &mut rest).map(|()| rest)
        });
        read(first, out)?;
        match apart.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(rest)) => out.extend_from_slice(&rest?),
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(_) => read(second, out)?,
        }
        Ok(())
    })
}

fn half(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

impl Segment {
    /// Reads `range`, at least one byte, of the coded body at `extent`. Memory is taken for the range and for a chunk.
    pub(super) fn read_coded(&self, extent: &Extent, range: Range<u64>) -> Result<Bytes> {
        let (trailer, opener) = self.trailer_of(extent)?;
        let log2 = self.header.chunk_log2;
        let (first, last) = (range.start >> log2, (range.end - 1) >> log2);
        let mut out = Vec::new();
        // The length comes from the index: more than there is memory for is no reason to give up the process (I10).
        out.try_reserve_exact((range.end - range.start) as usize).map_err(|_| {
            self.corrupt(extent.offset, "a range of a body is longer than there is memory for")
        })?;
        let (whole, read) = (first..last + 1, |chunks: Range<u64>, out: &mut Vec<u8>| {
            self.read_chunks(extent, (&trailer, &opener), chunks, &range, out)
        });
        if opener.is_some() && range.end - range.start >= APART {
            in_halves(whole, &mut out, read)?;
        } else {
            read(whole, &mut out)?;
        }
        Ok(out.into())
    }

    /// Decodes what `range` has of these chunks.
    fn read_chunks(
        &self,
        extent: &Extent,
        (trailer, opener): (&Trailer, &Option<ChunkSealer>),
        chunks: Range<u64>,
        range: &Range<u64>,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let mut scratch = Vec::new();
        let mut index = chunks.start;
        while index < chunks.end {
            let group = index / MARK_EVERY * MARK_EVERY;
            let until = (group + MARK_EVERY).min(chunks.end);
            let room = (&mut *out, &mut scratch);
            index = self.read_group(extent, trailer, opener, (group, index, until), range, room)?;
        }
        Ok(())
    }

    /// Where the parts of a coded record stand, and what opens its chunks if they are sealed.
    fn trailer_of(&self, extent: &Extent) -> Result<(Trailer, Option<ChunkSealer>)> {
        let at = extent.offset;
        let behind = at.checked_add(FRAME_LEN as u64).filter(|end| *end <= i64::MAX as u64);
        let behind = behind.ok_or_else(|| self.corrupt(0, "an extent lies beyond what a file can hold"))?;
        let bytes = self.lend(at..behind)?;
        let bytes: &[u8; FRAME_LEN] = bytes[..].try_into().expect("as long as asked");
        let frame = match Frame::decode(bytes, self.seed(), at) {
            Decoded::Frame(frame) if frame.kind == Kind::Blob && frame.word == extent.len => frame,
            Decoded::Bad(reason) => return Err(self.corrupt(at, reason)),
            _ => return Err(self.corrupt(at, "here should stand a body that something names")),
        };
        let chunks = frame::chunk_count(extent.len, self.header.chunk_log2);
        let trailer =
            Trailer::of(frame.length, frame.owner_len, chunks).map_err(|reason| self.corrupt(at, reason))?;
        if !self.is_sealed() {
            return Ok((trailer, None));
        }
        if usize::from(frame.owner_len) < BODY_NONCE_LEN || frame.flags & FLAG_SEALED == 0 {
            return Err(self.corrupt(at, "a body in a sealed segment is not sealed"));
        }
        let nonce = behind + trailer.owner;
        let nonce = self.lend(nonce..nonce + BODY_NONCE_LEN as u64)?;
        let nonce = nonce[..].try_into().expect("as long as asked");
        let opener = self.body_opener(at, &frame, nonce).ok_or_else(|| self.corrupt(at, LOST))?;
        Ok((trailer, Some(opener)))
    }

    /// Decodes the chunks from `index` to `until` of the group that begins with chunk `group`.
    fn read_group(
        &self,
        extent: &Extent,
        trailer: &Trailer,
        opener: &Option<ChunkSealer>,
        (group, index, until): (u64, u64, u64),
        range: &Range<u64>,
        (out, scratch): (&mut Vec<u8>, &mut Vec<u8>),
    ) -> Result<u64> {
        let tag_len = if opener.is_some() { TAG_LEN as u64 } else { 0 };
        let log2 = self.header.chunk_log2;
        let payload = extent.offset + FRAME_LEN as u64;
        let corrupt = |reason: &str| self.corrupt(extent.offset, reason);
        let mut at = match trailer.mark_of(group) {
            None => 0,
            Some(mark) => {
                let bytes = self.lend(payload + mark..payload + mark + 8)?;
                u64::from_le_bytes(bytes[..].try_into().expect("as long as asked"))
            }
        };
        let table = self.lend(payload + trailer.table + 4 * group..payload + trailer.table + 4 * until)?;
        let sums = self.lend(payload + trailer.sums + 4 * index..payload + trailer.sums + 4 * until)?;
        for chunk in group..until {
            let from = chunk << log2;
            let plain = (extent.len - from).min(1 << log2);
            let word = half(&table, 4 * (chunk - group) as usize);
            let stored = StoredChunk::read(word, plain, tag_len).map_err(corrupt)?;
            let end = at.checked_add(stored.len).filter(|end| *end <= trailer.marks);
            let end = end.ok_or_else(|| corrupt("the table of a body leads beyond its chunks"))?;
            let start = std::mem::replace(&mut at, end);
            if chunk < index {
                continue;
            }
            let bytes = self.lend(payload + start..payload + end)?;
            // A sealed chunk has a tag, which is more than a sum.
            if opener.is_none() && !self.mistake.is(Planted::NoBodySum) {
                let sum = frame::placed_chunk_sum(crc(&bytes), self.seed(), extent.offset, chunk);
                if sum != half(&sums, 4 * (chunk - index) as usize) {
                    let why = "the checksum of a chunk of a body does not match";
                    return Err(self.corrupt(payload + start, why));
                }
            }
            let wanted = range.start.max(from) - from..range.end.min(from + plain) - from;
            let damaged = |reason| self.corrupt(payload + start, reason);
            let last = chunk + 1 == trailer.chunks;
            let take = |out: &mut Vec<u8>| match opener {
                Some(_) if self.mistake.is(Planted::PlainBodies) => {
                    let len = stored.len - TAG_LEN as u64;
                    restore(StoredChunk { len, ..stored }, &bytes[..len as usize], plain, out)
                }
                None => restore(stored, &bytes, plain, out),
                Some(opener) => open_chunk(opener, (chunk, last), stored, &bytes, plain, out),
            };
            if wanted == (0..plain) {
                take(out).map_err(damaged)?;
            } else {
                scratch.clear();
                take(scratch).map_err(damaged)?;
                out.extend_from_slice(&scratch[wanted.start as usize..wanted.end as usize]);
            }
        }
        Ok(until)
    }

    /// How many bytes so many live ones are as they are stored here. `counted` is what extents and rows count for,
    /// which knows nothing of compression. What was written since the last call is read, as far as frames go.
    pub fn stored_share(&self, counted: u64, chunk_log2: u8) -> u64 {
        if !self.header.is_coded() || counted == 0 {
            return counted;
        }
        let Ok(sum) = self.count_blobs(chunk_log2) else {
            return counted;
        };
        if sum.plain == 0 {
            return counted;
        }
        (u128::from(counted) * u128::from(sum.stored) / u128::from(sum.plain)).min(u128::from(sum.stored))
            as u64
    }

    /// What the records come to so far.
    pub fn count_blobs(&self, chunk_log2: u8) -> Result<BlobSum> {
        let mut kept = self.blobs.lock();
        let mut sum = kept.unwrap_or(BlobSum { end: HEADER_LEN as u64, plain: 0, stored: 0 });
        let mut scan = Scan::of_frames(self, sum.end)?;
        while let Ok(record) = scan.next(false)? {
            let stored = record.frame.record_len();
            let plain = match record.frame.kind {
                Kind::Blob => frame::blob_record_len(record.frame.word, chunk_log2),
                // Of a log segment that is sealed: rows too take more than they count for.
                Kind::Commit | Kind::Moves => stored - stored.min(SEAL_LEN as u64),
                Kind::Continue | Kind::Void | Kind::Bodies => continue,
            };
            sum.plain = sum.plain.saturating_add(plain);
            sum.stored = sum.stored.saturating_add(stored);
        }
        sum.end = scan.position();
        *kept = Some(sum);
        Ok(sum)
    }
}

/// Appends to `out` the `plain` bytes of a sealed chunk.
fn open_chunk(
    opener: &ChunkSealer,
    (index, last): (u64, bool),
    stored: StoredChunk,
    bytes: &[u8],
    plain: u64,
    out: &mut Vec<u8>,
) -> Result<(), &'static str> {
    let (body, tag) = bytes.split_last_chunk::<TAG_LEN>().ok_or(FORGED)?;
    if !stored.compressed {
        let from = out.len();
        out.extend_from_slice(body);
        return opener.open(index, last, &mut out[from..], tag).map_err(|_| FORGED);
    }
    let mut opened = body.to_vec();
    opener.open(index, last, &mut opened, tag).map_err(|_| FORGED)?;
    restore(StoredChunk { len: opened.len() as u64, ..stored }, &opened, plain, out)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::super::coding::Coding;
    use super::super::maker::Identity;
    use super::super::maker::SegmentMaker;
    use super::super::names::bulk_dir;
    use super::super::table::TableCell;
    use super::*;
    use crate::env::{Env, MemoryVfs, Site};
    use crate::error::ErrorKind;
    use crate::segment::bulk::pool::BulkPool;

    fn pool(mapped: bool, chunk_log2: u8) -> Arc<BulkPool> {
        let mut env = Env::memory();
        env.vfs = Arc::new(MemoryVfs::new());
        let identity = Identity { dir: "/s".into(), store_id: [1; 16], chunk_log2: 16, mapped, ring: None };
        env.vfs.create_dir(&bulk_dir(&identity.dir, 2), Site::STORE_DIR).unwrap();
        let maker = Arc::new(SegmentMaker::new(env, identity, 1, 1));
        let coding = Coding { level: Some(3), chunk_log2 };
        Arc::new(BulkPool::new(
            maker,
            Arc::new(TableCell::default()),
            2,
            coding,
            1 << 20,
            Arc::new(super::super::reserve::Reserve::none()),
        ))
    }

    /// Bytes of which some runs shrink and some do not.
    fn mixed(len: usize, salt: u8) -> Vec<u8> {
        let mut out = vec![0; len];
        blake3::Hasher::new().update(&[salt]).finalize_xof().fill(&mut out);
        for (index, run) in out.chunks_mut(3000).enumerate() {
            if !(index as u8).wrapping_add(salt).is_multiple_of(3) {
                run.fill(salt);
            }
        }
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn any_range_of_a_coded_body_is_that_of_the_plain_one(
            len in prop_oneof![0usize..20_000, 1_000_000usize..1_500_000],
            salt in any::<u8>(),
            steps in prop::collection::vec(1usize..300_000, 1..6),
            ranges in prop::collection::vec((any::<u32>(), any::<u32>()), 12),
            mapped in any::<bool>(),
            cold in any::<bool>(),
        ) {
            let (pool, body) = (pool(mapped, 12), mixed(len, salt));
            let placed = if cold {
                pool.write_cold(&[(b"owner".to_vec(), body.clone().into())]).unwrap().remove(0)
            } else {
                let mut writer = pool.writer(b"owner".to_vec(), false, false);
                let mut rest = &body[..];
                for step in steps.iter().cycle() {
                    let (now, later) = rest.split_at((*step).min(rest.len()));
                    writer.write(now).unwrap();
                    rest = later;
                    if rest.is_empty() {
                        break;
                    }
                }
                writer.finish().unwrap()
            };
            let (segment, extent) = (placed.segment(), placed.extent);
            prop_assert_eq!(extent.len, len as u64);
            for (from, to) in ranges {
                let from = u64::from(from) % (extent.len + 1);
                let to = from + u64::from(to) % (extent.len - from + 1);
                let read = segment.read(&extent, from..to).unwrap();
                prop_assert_eq!(&read[..], &body[from as usize..to as usize]);
            }
            prop_assert_eq!(&segment.read(&extent, 0..extent.len).unwrap()[..], &body[..]);
            let mut scan = Scan::new(segment, 0, None).unwrap();
            let record = scan.next(true).unwrap().unwrap();
            let (offset, frame) = (record.offset, record.frame);
            prop_assert_eq!(scan.owner(offset, &frame).unwrap(), b"owner");
            prop_assert_eq!(segment.whole_record(&extent).unwrap(), scan.position());
            let sum = segment.count_blobs(16).unwrap();
            prop_assert_eq!(sum.end, scan.position());
            prop_assert_eq!(sum.stored, scan.position() - HEADER_LEN as u64);
        }
    }

    #[test]
    fn every_flipped_byte_of_a_coded_record_is_found_by_whoever_reads_it() {
        let pool = pool(false, 12);
        let body = mixed(30_000, 7);
        let placed = pool.write_cold(&[(b"owner".to_vec(), body.clone().into())]).unwrap().remove(0);
        let (segment, extent) = (placed.segment(), placed.extent);
        let end = segment.whole_record(&extent).unwrap();
        let mut record = vec![0; (end - extent.offset) as usize];
        segment.read_raw(&mut record, extent.offset).unwrap();
        let write = |bytes: &[u8]| {
            segment
                .file()
                .unwrap()
                .write_at(&[std::io::IoSlice::new(bytes)], extent.offset, Site::BULK_WRITE)
                .unwrap();
        };
        let padding = (end - extent.offset) - {
            let mut scan = Scan::new(segment, 0, None).unwrap();
            scan.next(false).unwrap().unwrap().frame.length + FRAME_LEN as u64
        };
        for at in 0..record.len() - padding as usize {
            let mut bad = record.clone();
            bad[at] ^= 0x40;
            write(&bad);
            let found = Scan::new(segment, 0, None).unwrap().next(true).unwrap().is_err();
            assert!(found, "a scan believed byte {at}");
            match segment.read(&extent, 0..extent.len) {
                Ok(read) => assert!(read == body, "byte {at} gave other bytes"),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {at}"),
            }
        }
        write(&record);
        assert!(segment.read(&extent, 0..extent.len).unwrap() == body);
    }

    #[test]
    fn an_extent_beyond_the_file_or_of_another_length_is_damage_and_no_huge_allocation() {
        for mapped in [true, false] {
            let pool = pool(mapped, 12);
            let placed = pool.write_cold(&[(Vec::new(), vec![7; 9000].into())]).unwrap().remove(0);
            let (segment, good) = (placed.segment(), placed.extent);
            for (offset, len) in
                [(good.offset, 9001), (good.offset, 1 << 45), (1 << 50, 9000), (i64::MAX as u64 - 7, 8)]
            {
                let extent = Extent { segment: segment.id(), offset, len };
                for range in [0..1, len - 1..len, 0..len] {
                    assert_eq!(segment.read(&extent, range).unwrap_err().kind(), ErrorKind::Corrupt);
                }
            }
        }
    }
}
