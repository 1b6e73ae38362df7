//! The segments: append-only files that hold everything, and the only copies of it that matter.
//!
//! *Owns*: segment files, from creation to the last byte read; the tail of the log; the open bulk segments.
//! *Promises*:
//! 1. A byte that is part of a record never changes (I1); ids are never reused.
//! 2. No byte of a body leaves this room before its chunk's checksum matched.
//! 3. A segment's header and name are durable before a record in it is.
//!
//! *Stands on*: `crypto`, `format`, `env`, `error`.
//! *Never*: knows what a record means; decides when to sync; removes a file that anything names.
//! *Read first*: `handle.rs`, then `log.rs` and `bulk.rs`.

mod bulk;
mod coded;
mod coding;
mod files;
mod handle;
mod log;
mod packed;
mod pipeline;
mod places;
mod pools;
mod reserve;
mod scan;
mod sealed;
mod table;

use std::path::{Path, PathBuf};

use crate::format::MAX_NUMBER;

pub use bulk::{BodyWriter, BulkPool, Placed};
pub use coding::Coding;
#[cfg(feature = "fuzzing")]
pub use coding::restore;
pub use handle::{Identity, LogStart, Segment, SegmentMaker};
pub use log::{Log, Undo};
pub use packed::Hashes;
pub use places::{Place, TIERS, find_places, list_elsewhere, sync_above};
pub use pools::Pools;
pub use reserve::{Reserve, Spender, parse_reserve, spend_unopened};
pub use scan::{End, Scan, find_durable_mark, lsn_before};
pub use sealed::{LOST, most_added};
pub use table::{Table, TableCell};

/// The directory of the log segments.
pub fn log_dir(store: &Path) -> PathBuf {
    store.join("log")
}

/// The directory of the bulk segments of a tier.
pub fn bulk_dir(store: &Path, tier: u8) -> PathBuf {
    store.join("bulk").join(tier.to_string())
}

/// The directories of all segments of a store, those of the tiers and what they lie in included. They are made with the store, because the
/// name of one that is made later could be lost after a failed sync.
pub fn segment_dirs(store: &Path) -> impl Iterator<Item = PathBuf> {
    // What they lie in comes by itself and first, because what is made on the way to a directory is anybody's.
    [log_dir(store), store.join("bulk")].into_iter().chain((0..TIERS).map(|tier| bulk_dir(store, tier)))
}

/// The file name of a segment.
pub fn file_name(id: u64) -> String {
    format!("{id:016x}.seg")
}

/// The id in a segment's file name; `None` for any other name.
pub fn parse_file_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".seg")?;
    let plain =
        digits.len() == 16 && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let id = plain.then(|| u64::from_str_radix(digits, 16).ok()).flatten();
    id.filter(|id| (1..=MAX_NUMBER).contains(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_that_can_be_counted_on_from_name_a_segment() {
        for id in [1, 0xabc, MAX_NUMBER] {
            assert_eq!(parse_file_name(&file_name(id)), Some(id));
        }
        for name in
            [&file_name(0), &file_name(u64::MAX), "1.seg", "00000000000000AB.seg", "000000000000000a.tmp"]
        {
            assert_eq!(parse_file_name(name), None, "{name}");
        }
    }
}
