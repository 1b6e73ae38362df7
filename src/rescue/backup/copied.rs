//! Copying bytes, and comparing copies.

use std::io::IoSlice;
use std::path::Path;

use super::pace::Pace;
use super::source::Piece;
use crate::env::{File, Site};
use crate::error::{Error, Result};
use crate::format::frame::ALIGN;

/// How much is read at once.
const WINDOW: usize = 1 << 20;

/// The unit in which differences and holes are looked for.
const BLOCK: usize = 4096;

/// Writes what a file, which has so many bytes, does not hold of a segment, and gives it the length that is needed.
/// Says how many bytes that were.
pub(super) fn copy_bytes(
    piece: &Piece,
    file: &dyn File,
    has: u64,
    pace: &mut Pace<'_>,
    failed: &dyn Fn(&str, std::io::Error) -> Error,
) -> Result<u64> {
    let (mut window, mut there) = (vec![0; WINDOW], vec![0; WINDOW]);
    let (mut at, mut written, mut changed) = (0, 0, 0);
    // The last block that is there may be one whose sync failed, so its bytes prove nothing.
    let unproved = has.saturating_sub(ALIGN) / BLOCK as u64 * BLOCK as u64;
    while at < piece.end {
        let len = (piece.end - at).min(WINDOW as u64) as usize;
        piece.segment.read_raw(&mut window[..len], at)?;
        let old = has.saturating_sub(at).min(len as u64) as usize;
        file.read_exact_at(&mut there[..old], at, Site::SEGMENT_READ).map_err(|e| failed("reading", e))?;
        there[old..len].fill(0);
        for place in (unproved.saturating_sub(at) as usize).min(old)..old {
            there[place] = !window[place];
        }
        for run in differing(&window[..len], &there[..len]) {
            let (from, bytes) = (at + run.start as u64, &window[run]);
            file.write_at(&[IoSlice::new(bytes)], from, Site::BACKUP_WRITE)
                .map_err(|e| failed("writing", e))?;
            written += bytes.len() as u64;
            changed += (from + bytes.len() as u64).min(has).saturating_sub(from);
            pace.now.bytes_copied += bytes.len() as u64;
        }
        at += len as u64;
        pace.go_on()?;
    }
    if file.size().map_err(|e| failed("reading", e))? < piece.end {
        file.set_len(piece.end, Site::BACKUP_WRITE).map_err(|e| failed("growing", e))?;
    }
    pace.now.bytes_kept += has - changed;
    Ok(written)
}

/// The runs of whole blocks in which `new` differs from `old`, which is as long.
fn differing(new: &[u8], old: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut runs: Vec<std::ops::Range<usize>> = Vec::new();
    for (number, (new, old)) in new.chunks(BLOCK).zip(old.chunks(BLOCK)).enumerate() {
        if new == old {
            continue;
        }
        let from = number * BLOCK;
        match runs.last_mut() {
            Some(run) if run.end == from => run.end = from + new.len(),
            _ => runs.push(from..from + new.len()),
        }
    }
    runs
}

pub(super) fn not_a_target(dir: &Path, why: &str) -> Error {
    Error::invalid(
        "InvalidArgument",
        format!("{} cannot take a backup of this store: {why}; choose an empty directory", dir.display()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_blocks_that_differ_are_written() {
        let old = vec![0; 5 * BLOCK + 100];
        let mut new = old.clone();
        assert!(differing(&new, &old).is_empty());
        new[BLOCK] = 1;
        new[3 * BLOCK - 1] = 1;
        new[5 * BLOCK + 99] = 1;
        assert_eq!(differing(&new, &old), vec![BLOCK..3 * BLOCK, 5 * BLOCK..5 * BLOCK + 100]);
    }
}
