//! A backup script: takes an incremental backup, proves that it can be restored, and says how much it copied.
//!
//! Run it with `cargo run --example backup_script`, or with the directories of a store and of its backup.

#![allow(clippy::disallowed_methods, reason = "removes the restored copy that it made to check the backup")]

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};

use ossicle::{BackupReport, Store};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let live = arguments.next().unwrap_or_else(|| PathBuf::from("backup-script.store"));
    let backup = arguments.next().unwrap_or_else(|| PathBuf::from("backup-script.backup"));
    run(&live, &backup, &mut std::io::stdout())
}

/// Backs the store in `live` up into `backup` twice, with a change in between, and checks the result.
pub fn run(live: &Path, backup: &Path, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let store = Store::open(live)?;
    let letters = store.create_bucket_if_missing("letters")?;
    for n in 0..20 {
        // Twenty bodies of a megabyte that do not compress, so that the backup has something to copy.
        letters.put(&format!("{n:02}"), noise(n, 1 << 20))?;
    }

    // Readers and writers go on while a backup is taken. It shows the store at one commit.
    store.backup(backup)?;
    letters.put("zz", "one more letter")?;
    let second = store.backup(backup)?;
    // The second backup copies only what the first one does not have.
    assert!(second.bytes_copied < second.bytes_kept);
    writeln!(out, "the second backup copied less than it kept")?;
    let expected = letters.usage("")?.objects;
    store.close()?;

    check(backup, &second, expected)?;
    writeln!(out, "the backup restores to {expected} letters")?;
    Ok(())
}

/// A backup that was never restored is a hope. This restores it beside itself, verifies every byte, and removes the copy.
fn check(backup: &Path, report: &BackupReport, expected: u64) -> Result<(), Box<dyn Error>> {
    let restored = backup.with_extension("check");
    if restored.exists() {
        // A former check was interrupted.
        std::fs::remove_dir_all(&restored)?;
    }
    Store::restore(backup, &restored)?;
    let store = Store::open(&restored)?;
    let problems = store.verify()?.problems;
    if !problems.is_empty() {
        return Err(format!("the backup of commit {} is damaged: {problems:?}", report.lsn).into());
    }
    let found = store.bucket("letters")?.usage("")?.objects;
    if found != expected {
        return Err(format!("the backup holds {found} letters instead of {expected}").into());
    }
    store.close()?;
    std::fs::remove_dir_all(&restored)?;
    Ok(())
}

/// `length` bytes that look random, made from a seed.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let bytes = (0..length).map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    });
    bytes.collect()
}
