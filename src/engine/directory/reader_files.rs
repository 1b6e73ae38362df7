//! Files by which readers in other processes make themselves known.

use std::path::{Path, PathBuf};

use super::files::{NAME_LEN, READERS};
use crate::env::{Env, Site};
use crate::format::notice::STANDING_LEN;

/// Whether a name in the directory of readers is one of theirs.
fn is_name(name: &str) -> bool {
    name.len() == NAME_LEN && name.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// The files of readers, dead or alive. An error if it cannot be told.
pub fn registered(env: &Env, dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let dir = dir.join(READERS);
    match env.vfs.list(&dir, Site::READERS) {
        Ok(names) => {
            let ours = names.into_iter().filter(|listed| listed.is_file && is_name(&listed.name));
            Ok(ours.map(|listed| dir.join(listed.name)).collect())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// What an empty note is: a writer has the lock and is not yet ready to say more.
pub const NOTHING: [u8; STANDING_LEN] = [0; STANDING_LEN];
