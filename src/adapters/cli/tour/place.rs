//! Where a tour happens: a directory of its own, removed at the end.

use std::fs;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::adapters::cli::failure::{Failure, say};
use crate::adapters::cli::format;

/// The directories of a tour.
#[derive(Debug)]
pub struct Place {
    /// Where the store is made.
    pub store: PathBuf,
    /// Where the tree is exported to.
    pub exported: PathBuf,
    temporary: PathBuf,
    keep: bool,
    stays: bool,
}

impl Place {
    /// Makes the directories; the user's own must be missing or empty.
    pub fn make(store: Option<&Path>, keep: bool) -> Result<Place, Failure> {
        if let Some(store) = store
            && fs::read_dir(store).is_ok_and(|mut entries| entries.next().is_some())
        {
            return Err(Failure::of(format!(
                "{} is not empty; a tour makes a store of its own, so give it another directory, or none",
                format::path(store)
            )));
        }
        let nanoseconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let name = format!("ossicle-tour-{}-{nanoseconds}", std::process::id());
        let temporary = std::env::temp_dir().join(name);
        let made = fs::DirBuilder::new().mode(0o700).create(&temporary);
        made.map_err(|error| Failure::about(format::path(&temporary), &error))?;
        Ok(Place {
            store: store.map_or_else(|| temporary.join("store"), Path::to_path_buf),
            exported: temporary.join("exported"),
            temporary,
            keep,
            stays: store.is_some(),
        })
    }

    /// Says what stays; the rest goes.
    pub fn leave(self, out: &mut dyn Write) -> Result<(), Failure> {
        if self.stays {
            writeln!(out, "The store stays in {}.", format::path(&self.store))?;
        }
        if self.keep {
            writeln!(out, "The files of the tour stay in {}.", format::path(&self.temporary))?;
        }
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        if let Err(error) = fs::remove_dir_all(&self.temporary) {
            say(&format!("{} could not be removed: {error}", format::path(&self.temporary)));
        }
    }
}
