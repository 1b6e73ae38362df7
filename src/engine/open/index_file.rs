//! Finding the newest sound index file.

use std::sync::Arc;

use super::options::OpenOptions;
use crate::engine::directory::files::INDEX_FILES;
use crate::engine::directory::listing::{explain, failed};
use crate::engine::state::settings::ReadMode;
use crate::env::{Env, File, OpenMode, Planted, Site};
use crate::error::{Error, ErrorKind, Result};
use crate::format::superblock::Superblock;
use crate::index::{self, PageFile, RootPtr};

/// The index file, the tree in it, and whether the tree is lost and must be made anew from the log (I11).
pub(in crate::engine) struct FoundIndex {
    pub(in crate::engine) pages: Arc<PageFile>,
    pub(in crate::engine) tree: index::Tree,
    pub(in crate::engine) rebuild: bool,
}

/// Opens the index file and the tree that the superblock names.
pub(in crate::engine) fn open_index(options: &OpenOptions, block: &Superblock) -> Result<FoundIndex> {
    let OpenOptions { dir, env, settings, read_only, rebuild_index: rebuild, .. } = options;
    let (read_only, rebuild) = (*read_only, *rebuild);
    let path = dir.join(INDEX_FILES[usize::from(block.index_file)]);
    let site = Site::INDEX_OPEN;
    let mode = if read_only { OpenMode::Read } else { OpenMode::ReadWrite };
    let name = path.display().to_string();
    let read_mode = match settings.read_mode {
        ReadMode::Mapped if options.ring().is_none() => index::ReadMode::Map,
        // Sealed pages are kept as they are when they are opened.
        _ => index::ReadMode::Positioned { cache_bytes: settings.page_cache_bytes },
    };
    if !read_only {
        // Left behind by a vacuum that a crash or a full disk cut short; the superblock does not name it.
        let _ = env.vfs.remove(&dir.join(INDEX_FILES[1 - usize::from(block.index_file)]), site);
    }
    let root = block.checkpoint.and_then(|checkpoint| checkpoint.root);
    let opened =
        if rebuild { Err(std::io::ErrorKind::NotFound.into()) } else { env.vfs.open(&path, mode, site) };
    let make = |file: Arc<dyn File>| {
        let sealer = options.ring().map(|ring| ring.pages(block.index_file));
        let pages = PageFile::open(file, name.clone(), block.page_salt, read_mode, sealer)?;
        if env.planted(Planted::PageUnbound) {
            pages.believe_all();
        }
        Ok::<_, Error>(pages)
    };
    if let Ok(file) = opened {
        let pages = make(file)?;
        let root = root.map(|(page, checksum, height)| RootPtr { page, checksum, height });
        match pages.tree(root) {
            Ok(tree) => return Ok(FoundIndex { pages, tree, rebuild: false }),
            Err(error) if error.kind() == ErrorKind::Corrupt => {}
            Err(error) => return Err(error),
        }
    } else if let Err(error) = opened
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(explain(failed("opening", &path, error), dir));
    }
    // The index is a cache of the log: what cannot be read is made anew. Reading only, it is made in memory.
    let scratch;
    let vfs = if read_only {
        scratch = Env::memory();
        scratch.vfs.create_dir(dir, site).map_err(|e| failed("making an index in memory for", dir, e))?;
        &scratch.vfs
    } else {
        match env.vfs.remove(&path, site) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed("removing", &path, error));
            }
            _ => &env.vfs,
        }
    };
    let file = vfs.open(&path, OpenMode::CreateNew, site).map_err(|e| failed("making", &path, e))?;
    vfs.sync_dir(dir, site).map_err(|e| failed("syncing", dir, e))?;
    let pages = make(file)?;
    let tree = pages.tree(None)?;
    Ok(FoundIndex { pages, tree, rebuild: rebuild || block.checkpoint.is_some() })
}
