//! Creating a store.

use std::path::Path;

use super::options::OpenOptions;
use crate::engine::directory::identity::name_durably;
use crate::engine::directory::listing::{explain, failed};
use crate::engine::directory::superblock::SuperblockFile;
use crate::engine::keys::unlock;
use crate::env::Site;
use crate::error::Result;
use crate::format::superblock::Superblock;
use crate::segment::segment_dirs;

/// Makes a new store in a prepared directory. It is a store once its superblock and all names are durable.
pub(super) fn make(options: &OpenOptions, path: &Path) -> Result<(Superblock, SuperblockFile)> {
    let OpenOptions { dir, env, settings, unlock, .. } = options;
    let mut store_id = [0; 16];
    env.entropy.fill(&mut store_id);
    // First, because whoever holds the key may say no.
    let (ring, keys) = unlock::make(env, dir, unlock.as_ref(), store_id)?.unzip();
    for sub in segment_dirs(dir) {
        env.vfs.create_dir(&sub, Site::STORE_DIR).map_err(|e| explain(failed("making", &sub, e), dir))?;
    }
    let bulk = dir.join("bulk");
    env.vfs.sync_dir(&bulk, Site::STORE_DIR).map_err(|e| failed("syncing", &bulk, e))?;
    // A superblock promises that the directories are there, so their names are durable before its own is.
    name_durably(env, dir)?;
    let mut salt = [0; 4];
    env.entropy.fill(&mut salt);
    let since = env.clock.now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default();
    let millis = since.as_millis() as u64;
    let block = Superblock {
        generation: 1,
        required_features: 0,
        optional_features: 0,
        store_id,
        created: millis,
        chunk_log2: settings.chunk_size.trailing_zeros() as u8,
        index_file: 0,
        checkpoint: None,
        next_segment: 1,
        log_known: 0,
        run: 0,
        page_salt: u32::from_le_bytes(salt),
        written: millis,
        clean: false,
        backup: false,
        keys,
    };
    let superblock = SuperblockFile::create(env, path, block.clone(), ring).map_err(|e| explain(e, dir))?;
    if let Err(error) = env.vfs.sync_dir(dir, Site::STORE_DIR) {
        let _ = env.vfs.remove(path, Site::STORE_DIR);
        return Err(failed("syncing", dir, error));
    }
    Ok((block, superblock))
}
