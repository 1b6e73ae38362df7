//! The file of kept secrets: what the segments that outlived a shred are opened with, sealed under the newest shred root.
//!
//! ```text
//! KEYS-<name of the shred root, 16 hexadecimal digits>, twice the same, one behind the other:
//! 0     8 B  "OSSICKEY"
//! 8     u32  format version
//! 12    68 B 0
//! 80    u64  segment id ...
//! 88    u64  ... its nonce ...
//! 96    72 B ... its secret, sealed with a key of the shred root
//! ..         and so on, 88 bytes for each segment
//! ```
//!
//! Each is sealed for itself and stands there twice, so that damage costs a secret only where it hits both. The file is
//! whole and durable before a superblock names its shred root, and never changes.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::path::{Path, PathBuf};

use super::listing::{failed, list};
use crate::crypto::{KEPT_LEN, Keyring, SecretKey, ShredRoot};
use crate::env::{Env, OpenMode, Site};
use crate::error::Result;
use crate::format::FORMAT_VERSION;

/// How the file's name begins.
const PREFIX: &str = "KEYS-";

const MAGIC: &[u8; 8] = b"OSSICKEY";

/// Bytes before the first secret.
const HEAD: usize = 80;

/// Where the secrets are kept under the shred root of this name.
pub fn path_of(dir: &Path, shred: u64) -> PathBuf {
    dir.join(format!("{PREFIX}{shred:016x}"))
}

/// The name of the shred root in a file name; `None` for any other name.
pub fn parse_name(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(PREFIX).filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok().filter(|shred| format!("{shred:016x}") == digits)
}

/// The bytes of the file.
pub fn read(env: &Env, dir: &Path, shred: u64) -> Result<Option<Vec<u8>>> {
    let path = path_of(dir, shred);
    let file = match env.vfs.open(&path, OpenMode::Read, Site::KEYS) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("opening", &path, error)),
    };
    let read = file.size().and_then(|size| {
        // The length comes from the disk: more than there is memory for is no reason to give up the process (I10).
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(size as usize).map_err(|_| std::io::ErrorKind::OutOfMemory)?;
        bytes.resize(size as usize, 0);
        file.read_exact_at(&mut bytes, 0, Site::KEYS).map(|()| bytes)
    });
    read.map(Some).map_err(|error| failed("reading", &path, error))
}

/// Teaches the ring the secrets that are kept under the shred root of this name.
pub fn load(env: &Env, dir: &Path, ring: &Keyring, shred: u64) -> Result<()> {
    take_in(ring, shred, &read(env, dir, shred)?.unwrap_or_default());
    Ok(())
}

/// Teaches the ring the secrets in the bytes of a file.
pub fn take_in(ring: &Keyring, shred: u64, bytes: &[u8]) {
    let (one, other) = bytes.split_at(bytes.len() / 2);
    let mut whole =
        one == other && one.starts_with(MAGIC) && (one.len() - HEAD.min(one.len())) % KEPT_LEN == 0;
    for half in [one, other] {
        for record in half.get(HEAD..).unwrap_or_default().chunks_exact(KEPT_LEN) {
            // What does not open is missed when its segment is.
            whole &= ring.take_kept(shred, record.try_into().expect("as long as a record"));
        }
    }
    if shred == ring.shred_name() {
        ring.has_read_kept();
        if whole {
            ring.has_all_kept();
        }
    }
}

/// Teaches the ring all that is kept in a damaged directory.
pub fn load_all(env: &Env, dir: &Path, ring: &Keyring) {
    for shred in list(env, dir).unwrap_or_default().iter().filter_map(|name| parse_name(name)) {
        let _ = load(env, dir, ring, shred);
    }
}

/// The file for these segments: ids, nonces and secrets.
pub fn encode(ring: &Keyring, under: &ShredRoot, secrets: &BTreeMap<u64, (u64, SecretKey)>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(2 * (HEAD + secrets.len() * KEPT_LEN));
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes.resize(HEAD, 0);
    for (id, (nonce, secret)) in secrets {
        bytes.extend_from_slice(&ring.keep(under, *id, *nonce, secret));
    }
    bytes.extend_from_within(..);
    bytes
}

/// Writes the file, durably. What was there under its name is replaced.
pub fn write(env: &Env, dir: &Path, shred: u64, bytes: &[u8]) -> Result<()> {
    let path = path_of(dir, shred);
    remove(env, &path)?;
    let written = env.vfs.open(&path, OpenMode::CreateNew, Site::KEYS).and_then(|file| {
        file.write_at(&[IoSlice::new(bytes)], 0, Site::KEYS)?;
        file.sync_data(Site::KEYS)?;
        env.vfs.sync_dir(dir, Site::KEYS)
    });
    written.map_err(|error| {
        // Nothing names it yet.
        let _ = env.vfs.remove(&path, Site::KEYS);
        failed("writing", &path, error)
    })
}

/// Makes a file durable that was found as it should be.
pub fn sync(env: &Env, dir: &Path, shred: u64) -> Result<()> {
    let path = path_of(dir, shred);
    let synced = env
        .vfs
        .open(&path, OpenMode::ReadWrite, Site::KEYS)
        .and_then(|file| file.sync_data(Site::KEYS))
        .and_then(|()| env.vfs.sync_dir(dir, Site::KEYS));
    synced.map_err(|error| failed("syncing", &path, error))
}

/// Removes what is kept under any other shred root: nothing opens it any more.
pub fn remove_others(env: &Env, dir: &Path, shred: u64) -> Result<()> {
    let names = list(env, dir)?;
    let mut others =
        names.iter().filter(|name| parse_name(name).is_some_and(|other| other != shred)).peekable();
    if others.peek().is_none() {
        return Ok(());
    }
    others.try_for_each(|name| remove(env, &dir.join(name)))?;
    env.vfs.sync_dir(dir, Site::KEYS).map_err(|error| failed("syncing", dir, error))
}

fn remove(env: &Env, path: &Path) -> Result<()> {
    match env.vfs.remove(path, Site::KEYS) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed("removing", path, error)),
        _ => Ok(()),
    }
}
