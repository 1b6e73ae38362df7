//! Names of the directories and files of segments.

use std::path::{Path, PathBuf};

use crate::format::MAX_NUMBER;

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

/// How many tiers there are.
pub const TIERS: u8 = 5;

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
