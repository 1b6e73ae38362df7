//! Walking a directory tree: what in it can become an object, and what cannot.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use walkdir::{DirEntry, WalkDir};

use crate::adapters::cli::failure::reason;

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
    /// One with something in it, of which only the mode matters.
    Directory,
}

/// What the walk comes by.
#[derive(Debug)]
pub enum Step {
    /// Something to keep.
    Take(Found),
    /// Something that cannot be kept, and why.
    Leave(PathBuf, String),
}

/// A name that is left out of the tree; `*` stands for any letters, `?` for one.
#[derive(Debug)]
pub struct Exclude {
    /// As it was written.
    pub pattern: String,
    met: AtomicBool,
}

impl Exclude {
    /// Leaves out what has this name.
    pub fn new(pattern: &str) -> Exclude {
        Exclude { pattern: pattern.to_string(), met: AtomicBool::new(false) }
    }

    fn takes(&self, name: &OsStr) -> bool {
        let is_it = is_like(&self.pattern, &name.to_string_lossy());
        if is_it {
            self.met.store(true, Ordering::Relaxed);
        }
        is_it
    }

    /// Whether anything had this name.
    pub fn was_met(&self) -> bool {
        self.met.load(Ordering::Relaxed)
    }
}

/// Whether a name is as a pattern says, in which a backslash takes the meaning of the letter behind it.
fn is_like(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where the last star stands, and how far it reaches.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        let step = match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
                continue;
            }
            Some('?') => Some(1),
            Some('\\') if pattern.get(p + 1) == Some(&name[n]) => Some(2),
            Some(letter) if *letter == name[n] && *letter != '\\' => Some(1),
            _ => None,
        };
        match (step, star) {
            (Some(step), _) => (p, n) = (p + step, n + 1),
            (None, Some((at, reach))) => {
                star = Some((at, reach + 1));
                (p, n) = (at + 1, reach + 1);
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|letter| *letter == '*')
}

/// Walks the tree in the order of the directories on the disk: sorting would need memory for the largest one.
pub struct Walk<'a> {
    root: PathBuf,
    walk: Box<dyn Iterator<Item = walkdir::Result<DirEntry>> + 'a>,
    /// The directory that was entered last, until it is known whether it is empty.
    entered: Option<DirEntry>,
    /// What came up together with the news whether a directory is empty.
    next: Option<Step>,
}

impl<'a> Walk<'a> {
    /// Begins at `root`, leaving out names in `exclude` and the directory `store`.
    pub fn begin(root: &Path, exclude: &'a [Exclude], store: Option<&Path>) -> Walk<'a> {
        let store = store.and_then(|store| fs::metadata(store).ok()).map(|meta| (meta.dev(), meta.ino()));
        let wanted = move |entry: &DirEntry| {
            entry.depth() == 0
                || !(exclude.iter().any(|name| name.takes(entry.file_name())) || is_store(entry, store))
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

impl Iterator for Walk<'_> {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        loop {
            if let Some(step) = self.next.take() {
                return Some(step);
            }
            let step = self.walk.next();
            let kind = |entered: &DirEntry| match &step {
                Some(Ok(entry)) if entry.depth() > entered.depth() => Some(Kind::Directory),
                // What is in it is not known.
                Some(Err(error)) if error.path().is_some_and(|path| path.starts_with(entered.path())) => None,
                _ => Some(Kind::EmptyDirectory),
            };
            let entered = self.entered.take();
            let kind = entered.as_ref().and_then(kind);
            let directory = entered.zip(kind).map(|(entered, kind)| self.keep(entered, kind));
            let ended = step.is_none();
            let step = match step {
                None => None,
                Some(Ok(entry)) => self.meet(entry),
                Some(Err(error)) => Some(self.left(&error)),
            };
            if directory.is_some() {
                self.next = step;
                return directory;
            }
            if step.is_some() || ended {
                return step;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_like_patterns_as_a_shell_has_it() {
        for (pattern, name) in [
            ("*.jpg", "a.jpg"),
            ("*.jpg", ".jpg"),
            ("deep", "deep"),
            ("*", ""),
            ("a*b*c", "a-b-b-c"),
            ("?", "ü"),
            ("\\*", "*"),
            ("**", "x"),
        ] {
            assert!(is_like(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("*.jpg", "a.jpeg"), ("deep", "deeper"), ("?", ""), ("", "x"), ("\\*", "x"), ("a*b", "a-b-c")]
        {
            assert!(!is_like(pattern, name), "{pattern} {name}");
        }
    }
}
