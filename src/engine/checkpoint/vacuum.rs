//! The vacuum: the tree is written anew, without holes, into the other index file.

use std::sync::Arc;

use crate::crypto::ShredRoot;
use crate::engine::directory::files::INDEX_FILES;
use crate::engine::state::checkpointing::Checkpointing;
use crate::engine::state::engine::Engine;
use crate::engine::view::view::View;
use crate::env::{OpenMode, Site};
use crate::error::{Error, Result};
use crate::format::superblock;
use crate::index::{self, PageFile, copy_into};

/// Below so many pages an index file is small enough to be left as it is: when that is asked for, and when nobody asks.
const SMALL: u64 = 16;

const SMALL_UNASKED: u64 = 256;

/// For each page that a vacuum writes unasked, checkpoints have written so many since the last one.
const WRITTEN_FOR_EACH: u64 = 2;

/// What became of a vacuum that nobody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vacuumed {
    /// The index file was written anew.
    Done,
    /// There is nothing to be had.
    Dense,
    /// It was put off: there is no room for it now, or something more urgent to do.
    PutOff,
}

impl Engine {
    /// Rewrites the index file if more than this percentage of it is there for nothing. Readers of the old one go on.
    pub fn vacuum(&self, percent: u8) -> Result<bool> {
        self.refuse_inside_turn()?;
        let mut state = self.checkpointing.lock();
        self.check_writable()?;
        self.checkpoint_with(&mut state)?;
        let density = self.density(&state)?;
        if density.taken < SMALL || !density.wastes(percent) {
            return Ok(false);
        }
        self.rewrite(&mut state, None, &mut || Ok(())).map(|()| true)
    }

    /// Whether a vacuum would bring more than this percentage of the index file and cost little beside what checkpoints
    /// have cost since the last one.
    pub fn index_wastes(&self, percent: u8) -> Result<bool> {
        let state = self.checkpointing.lock();
        let density = self.density(&state)?;
        let paid = state.written.is_none_or(|pages| pages >= WRITTEN_FOR_EACH * density.needed);
        Ok(paid && density.taken >= SMALL_UNASKED && density.wastes(percent))
    }

    /// The same as `vacuum` where nobody waits for it: it is given up as soon as `stop` says so or a checkpoint is due.
    pub fn vacuum_unasked(&self, percent: u8, stop: &dyn Fn() -> bool) -> Result<Vacuumed> {
        // What was spent of the reserve is not for this.
        if self.is_tight() {
            return Ok(Vacuumed::PutOff);
        }
        if !self.index_wastes(percent)? {
            return Ok(Vacuumed::Dense);
        }
        let mut state = self.checkpointing.lock();
        self.check_writable()?;
        let mut put_off = false;
        let mut go_on = || {
            put_off = stop() || self.due().checkpoint;
            if put_off { Err(Error::given_up("writing the index anew")) } else { Ok(()) }
        };
        let done = self.checkpoint_with(&mut state).and_then(|()| self.rewrite(&mut state, None, &mut go_on));
        match done {
            Ok(()) => Ok(Vacuumed::Done),
            Err(error) if put_off || error.is_full() => Ok(Vacuumed::PutOff),
            Err(error) => Err(error),
        }
    }

    fn density(&self, state: &Checkpointing) -> Result<index::Density> {
        let path = self.dir.join(INDEX_FILES[usize::from(state.index_file)]);
        let allocated = self
            .env
            .vfs
            .allocated(&path)
            .map_err(|error| Error::io(format!("asking for the size of {}", path.display()), error))?;
        state.pages.density(&self.pin().index.tree, allocated)
    }

    /// Writes the newest tree into the other index file, under another shred root if one is given.
    /// `go_on` is asked now and then and may end it with an error.
    pub(in crate::engine) fn rewrite(
        &self,
        state: &mut Checkpointing,
        shred: Option<ShredRoot>,
        go_on: &mut dyn FnMut() -> Result<()>,
    ) -> Result<()> {
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
            crate::engine::state::settings::ReadMode::Mapped if self.ring().is_none() => index::ReadMode::Map,
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
        let merged = match copy_into(&tree, &pages, go_on) {
            Ok(merged) => merged,
            Err(error) => {
                // Nothing names it, and its room may be what is needed now; if this fails, the next opening removes it.
                let _ = vfs.remove(&path, Site::INDEX_OPEN);
                return Err(error);
            }
        };
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
        (state.pages, state.written) = (pages, Some(0));
        {
            let mut writer = self.writer.lock();
            let mut view = View::clone(&writer.view);
            view.index.settle(tree, &dropped);
            let view = Arc::new(view);
            writer.view = view.clone();
            self.view.store(view);
        }
        self.note_pages(&state.pages, &path);
        // Handles and maps of the old file go on working for the readers that still have them.
        let _ = vfs.remove(&self.dir.join(INDEX_FILES[usize::from(old)]), Site::INDEX_OPEN);
        Ok(())
    }
}
