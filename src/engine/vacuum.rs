//! The vacuum: the tree is written anew, without holes, into the other index file.

use std::sync::Arc;

use super::Engine;
use super::checkpoint::Checkpointing;
use super::open::INDEX_FILES;
use super::view::View;
use crate::crypto::ShredRoot;
use crate::env::{OpenMode, Site};
use crate::error::{Error, Result};
use crate::format::superblock;
use crate::index::{self, PageFile, copy_into};

/// Below so many pages an index file is small enough to be left as it is.
const SMALL: u64 = 256;

impl Engine {
    /// Rewrites the index file if more than half of it is free pages. Readers of the old one go on.
    pub fn vacuum(&self) -> Result<bool> {
        self.refuse_inside_turn()?;
        let mut state = self.checkpointing.lock();
        self.check_writable()?;
        self.checkpoint_with(&mut state)?;
        let (pages, free) = (state.pages.file_pages(), state.pages.free_pages());
        if pages < SMALL || free * 2 < pages {
            return Ok(false);
        }
        self.rewrite(&mut state, None).map(|()| true)
    }

    /// Writes the newest tree into the other index file, under another shred root if one is given.
    pub(super) fn rewrite(&self, state: &mut Checkpointing, shred: Option<ShredRoot>) -> Result<()> {
        let other = 1 - state.index_file;
        let path = self.dir.join(INDEX_FILES[usize::from(other)]);
        let failed = |doing: &str, error| Error::io(format!("{doing} {}", path.display()), error);
        let vfs = &self.env.vfs;
        match vfs.remove(&path, Site::INDEX_OPEN) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed("removing", error));
            }
            _ => {}
        }
        let file = vfs.open(&path, OpenMode::CreateNew, Site::INDEX_OPEN).map_err(|e| failed("making", e))?;
        vfs.sync_dir(&self.dir, Site::INDEX_OPEN).map_err(|e| failed("naming", e))?;
        let mode = match self.settings.read_mode {
            super::ReadMode::Mapped if self.ring().is_none() => index::ReadMode::Map,
            _ => index::ReadMode::Positioned { cache_bytes: self.settings.page_cache_bytes },
        };
        let salt = self.superblock.newest().page_salt;
        let pages = {
            let sealer = self.ring().map(|ring| match &shred {
                Some(shred) => ring.pages_under(shred, other),
                None => ring.pages(other),
            });
            PageFile::open(file, path.display().to_string(), salt, mode, sealer)?
        };
        let tree = self.pin().index.tree.clone();
        let merged = copy_into(&tree, &pages, &mut || Ok(()))?;
        pages.sync().map_err(|error| self.poison(error))?;
        let root = merged.tree.root().map(|root| (root.page, root.checksum, root.height));
        let name = |block: &mut superblock::Superblock| {
            if let Some(checkpoint) = &mut block.checkpoint {
                *checkpoint = superblock::Checkpoint { root, ..*checkpoint };
            }
            block.index_file = other;
        };
        match shred {
            Some(shred) => self.turn_to_shred_root(shred, name)?,
            None => self.superblock.update(&self.env, name).map_err(|error| self.poison(error))?,
        }
        let (tree, dropped) = merged.publish();
        let old = std::mem::replace(&mut state.index_file, other);
        state.pages = pages;
        {
            let mut writer = self.writer.lock();
            let mut view = View::clone(&writer.view);
            view.index.settle(tree, &dropped);
            let view = Arc::new(view);
            writer.view = view.clone();
            self.view.store(view);
        }
        // Handles and maps of the old file go on working for the readers that still have them.
        let _ = vfs.remove(&self.dir.join(INDEX_FILES[usize::from(old)]), Site::INDEX_OPEN);
        Ok(())
    }
}
