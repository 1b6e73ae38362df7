//! Walking a directory tree: what in it can become an object, and what cannot.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use super::failure::reason;

/// Something in the tree that becomes an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it is.
    pub path: PathBuf,
    /// Its path below the root.
    pub name: PathBuf,
    /// What it is.
    pub kind: Kind,
}

/// What is kept of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    Link,
    EmptyDirectory,
}

/// What the walk comes by.
#[derive(Debug)]
pub enum Step {
    /// Something to keep.
    Take(Found),
    /// Something that cannot be kept, and why.
    Leave(PathBuf, String),
}

/// Walks the tree in the order of the directories on the disk: sorting would need memory for the largest one.
pub struct Walk {
    root: PathBuf,
    walk: Box<dyn Iterator<Item = walkdir::Result<DirEntry>>>,
    /// The directory that was entered last, until it is known whether it is empty.
    entered: Option<DirEntry>,
    /// What came up together with the news that a directory is empty.
    next: Option<Step>,
}

impl Walk {
    /// Begins at `root`, leaving out names in `exclude` and the directory `store`.
    pub fn begin(root: &Path, exclude: &[String], store: Option<&Path>) -> Walk {
        let exclude = exclude.to_vec();
        let store = store.and_then(|store| fs::metadata(store).ok()).map(|meta| (meta.dev(), meta.ino()));
        let wanted = move |entry: &DirEntry| {
            entry.depth() == 0
                || !(exclude.iter().any(|name| entry.file_name() == name.as_str()) || is_store(entry, store))
        };
        let walk = WalkDir::new(root).into_iter().filter_entry(wanted);
        Walk { root: root.to_path_buf(), walk: Box::new(walk), entered: None, next: None }
    }

    fn below(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root).unwrap_or(path).to_path_buf()
    }

    fn keep(&self, entry: DirEntry, kind: Kind) -> Step {
        Step::Take(Found { name: self.below(entry.path()), path: entry.into_path(), kind })
    }

    /// What an entry is; a directory is entered, and known to be empty only by what comes next.
    fn meet(&mut self, entry: DirEntry) -> Option<Step> {
        let kind = entry.file_type();
        if entry.depth() == 0 {
            return None;
        }
        if kind.is_dir() {
            self.entered = Some(entry);
            return None;
        }
        if kind.is_file() {
            return Some(self.keep(entry, Kind::File));
        }
        if kind.is_symlink() {
            return Some(self.keep(entry, Kind::Link));
        }
        let what = if kind.is_fifo() {
            "a fifo"
        } else if kind.is_socket() {
            "a socket"
        } else {
            "a device"
        };
        let why = format!("it is {what}; files, directories and symbolic links are taken");
        Some(Step::Leave(self.below(entry.path()), why))
    }

    fn left(&self, error: &walkdir::Error) -> Step {
        let name = error.path().map_or_else(|| PathBuf::from("."), |path| self.below(path));
        let why = error.io_error().map_or_else(|| error.to_string(), reason);
        Step::Leave(name, why)
    }
}

/// Whether an entry is the store's own directory, which must not be taken into itself.
fn is_store(entry: &DirEntry, store: Option<(u64, u64)>) -> bool {
    store.is_some()
        && entry.file_type().is_dir()
        && entry.metadata().is_ok_and(|meta| store == Some((meta.dev(), meta.ino())))
}

impl Iterator for Walk {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        loop {
            if let Some(step) = self.next.take() {
                return Some(step);
            }
            let step = self.walk.next();
            let inside = |entered: &DirEntry| match &step {
                None => false,
                Some(Ok(entry)) => entry.depth() > entered.depth(),
                Some(Err(error)) => error.path().is_some_and(|path| path.starts_with(entered.path())),
            };
            let empty = self.entered.take().filter(|entered| !inside(entered));
            let empty = empty.map(|entered| self.keep(entered, Kind::EmptyDirectory));
            let ended = step.is_none();
            let step = match step {
                None => None,
                Some(Ok(entry)) => self.meet(entry),
                Some(Err(error)) => Some(self.left(&error)),
            };
            if empty.is_some() {
                self.next = step;
                return empty;
            }
            if step.is_some() || ended {
                return step;
            }
        }
    }
}
