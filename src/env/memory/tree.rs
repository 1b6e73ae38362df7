//! The names of a file system in memory: directories, and what each name in them stands for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

/// What a name stands for.
#[derive(Clone, Debug)]
pub(in crate::env) enum Entry<F> {
    /// A directory; its names are found under its own path.
    Dir,
    /// A file.
    File(F),
}

/// Directories by path. The root and the current directory are always there, and nothing is ever a symlink.
#[derive(Clone, Debug)]
pub(in crate::env) struct Tree<F> {
    dirs: BTreeMap<PathBuf, BTreeMap<OsString, Entry<F>>>,
    /// What tells each directory from all others, whatever its path is or was.
    numbers: BTreeMap<PathBuf, u64>,
    /// The next such number.
    next: u64,
}

/// The path without `.` and `..`, which is exact because there are no symlinks.
pub(in crate::env) fn plain(path: &Path) -> Cow<'_, Path> {
    let is_plain = path.components().all(|part| !matches!(part, Component::CurDir | Component::ParentDir));
    if is_plain {
        return Cow::Borrowed(path);
    }
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    Cow::Owned(plain)
}

/// A path as it is called when the directory `from` is called `to`.
#[cfg(any(test, feature = "testing"))]
pub(in crate::env) fn moved(path: &Path, from: &Path, to: &Path) -> PathBuf {
    match path.strip_prefix(from) {
        Ok(rest) if rest.as_os_str().is_empty() => to.to_owned(),
        Ok(rest) => to.join(rest),
        Err(_) => path.to_owned(),
    }
}

impl<F: Clone> Tree<F> {
    pub(in crate::env) fn new() -> Tree<F> {
        let roots = [PathBuf::new(), PathBuf::from("/")];
        let mut tree = Tree { dirs: BTreeMap::new(), numbers: BTreeMap::new(), next: 0 };
        roots.iter().for_each(|root| tree.begin(root));
        tree
    }

    /// Makes sure that a directory is there, as one of its own if it was not.
    fn begin(&mut self, dir: &Path) {
        if !self.dirs.contains_key(dir) {
            self.dirs.insert(dir.to_owned(), BTreeMap::new());
            self.numbers.insert(dir.to_owned(), self.next);
            self.next += 1;
        }
    }

    /// The number of a directory.
    pub(in crate::env) fn number(&self, dir: &Path) -> io::Result<u64> {
        self.names(dir)?;
        self.numbers.get(dir).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Where the directory with a number lies now.
    pub(in crate::env) fn path_of(&self, number: u64) -> Option<PathBuf> {
        self.numbers.iter().find(|(_, known)| **known == number).map(|(path, _)| path.clone())
    }

    /// Gives a directory another path, and all that lies in it.
    #[cfg(any(test, feature = "testing"))]
    pub(in crate::env) fn move_dir(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.number(from)?;
        if self.entry(to)?.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let moved = |path: &PathBuf| moved(path, from, to);
        self.dirs =
            std::mem::take(&mut self.dirs).into_iter().map(|(dir, names)| (moved(&dir), names)).collect();
        self.numbers =
            std::mem::take(&mut self.numbers).into_iter().map(|(dir, n)| (moved(&dir), n)).collect();
        // Only the names: what they stand for was moved above.
        let place = |path: &Path| Some((path.parent()?.to_owned(), path.file_name()?.to_owned()));
        if let (Some((dir, name)), Some((new_dir, new_name))) = (place(from), place(to)) {
            self.dirs.entry(dir).or_default().remove(&name);
            self.dirs.entry(new_dir).or_default().insert(new_name, Entry::Dir);
        }
        Ok(())
    }

    /// The file at a path.
    pub(in crate::env) fn file(&self, path: &Path) -> io::Result<F> {
        match self.entry(path)? {
            Some(Entry::File(file)) => Ok(file.clone()),
            Some(Entry::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// What a path stands for, if anything; an error if the directory it should lie in is not there.
    pub(in crate::env) fn entry(&self, path: &Path) -> io::Result<Option<&Entry<F>>> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(Some(&Entry::Dir));
        };
        Ok(self.names(parent)?.get(name))
    }

    /// The names in a directory.
    pub(in crate::env) fn names(&self, dir: &Path) -> io::Result<&BTreeMap<OsString, Entry<F>>> {
        self.dirs.get(dir).ok_or_else(|| match self.below_a_file(dir) {
            true => io::ErrorKind::NotADirectory.into(),
            false => io::ErrorKind::NotFound.into(),
        })
    }

    /// The directories that have to be made, outermost first, so that `dir` exists.
    pub(in crate::env) fn missing_dirs(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let mut missing = Vec::new();
        for dir in dir.ancestors() {
            if self.dirs.contains_key(dir) {
                break;
            }
            if let Some(Entry::File(_)) = self.quiet(dir) {
                return Err(match missing.is_empty() {
                    true => io::ErrorKind::AlreadyExists.into(),
                    false => io::ErrorKind::NotADirectory.into(),
                });
            }
            missing.push(dir.to_owned());
        }
        missing.reverse();
        Ok(missing)
    }

    /// Says no unless this is a directory without names in it.
    pub(in crate::env) fn empty_dir(&self, dir: &Path) -> io::Result<()> {
        match self.names(dir)?.is_empty() {
            true => Ok(()),
            false => Err(io::ErrorKind::DirectoryNotEmpty.into()),
        }
    }

    /// Gives a path a meaning, or takes it away, without asking whether that makes sense.
    pub(in crate::env) fn put(&mut self, path: &Path, entry: Option<Entry<F>>) {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return;
        };
        if let Some(Entry::Dir) = entry {
            self.begin(path);
        }
        self.begin(parent);
        let names = self.dirs.get_mut(parent).expect("the directory was just made sure of");
        match entry {
            Some(entry) => names.insert(name.to_owned(), entry),
            None => {
                let was = names.remove(name);
                if let Some(Entry::Dir) = was {
                    self.dirs.retain(|dir, _| !dir.starts_with(path));
                    self.numbers.retain(|dir, _| !dir.starts_with(path));
                }
                was
            }
        };
    }

    /// Every file that can be reached from a root, with its path, directory by directory.
    #[cfg(any(test, feature = "testing"))]
    pub(in crate::env) fn files(&self) -> Vec<(PathBuf, &F)> {
        let mut files = Vec::new();
        for (dir, names) in &self.dirs {
            if !self.reachable(dir) {
                continue;
            }
            for (name, entry) in names {
                if let Entry::File(file) = entry {
                    files.push((dir.join(name), file));
                }
            }
        }
        files
    }

    /// The same names with other files behind them, without what cannot be reached from a root.
    #[cfg(any(test, feature = "testing"))]
    pub(in crate::env) fn map<G>(&self, file: impl FnMut(&F) -> G) -> Tree<G> {
        self.map_where(|dir| self.reachable(dir), file)
    }

    /// The same names with other files behind them, all of them.
    #[cfg(any(test, feature = "testing"))]
    pub(in crate::env) fn map_all<G>(&self, file: impl FnMut(&F) -> G) -> Tree<G> {
        self.map_where(|_| true, file)
    }

    #[cfg(any(test, feature = "testing"))]
    fn map_where<G>(&self, keeps: impl Fn(&Path) -> bool, mut file: impl FnMut(&F) -> G) -> Tree<G> {
        let mut dirs = BTreeMap::new();
        for (dir, names) in &self.dirs {
            if !keeps(dir) {
                continue;
            }
            let names = names.iter().map(|(name, entry)| {
                let entry = match entry {
                    Entry::Dir => Entry::Dir,
                    Entry::File(of) => Entry::File(file(of)),
                };
                (name.clone(), entry)
            });
            dirs.insert(dir.clone(), names.collect());
        }
        Tree { dirs, numbers: self.numbers.clone(), next: self.next }
    }

    #[cfg(any(test, feature = "testing"))]
    fn reachable(&self, dir: &Path) -> bool {
        dir.ancestors().all(|dir| dir.file_name().is_none() || matches!(self.quiet(dir), Some(Entry::Dir)))
    }

    fn quiet(&self, path: &Path) -> Option<&Entry<F>> {
        self.dirs.get(path.parent()?)?.get(path.file_name()?)
    }

    fn below_a_file(&self, dir: &Path) -> bool {
        dir.ancestors().any(|dir| matches!(self.quiet(dir), Some(Entry::File(_))))
    }
}
