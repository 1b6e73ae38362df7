//! `export`: writes objects out as a directory tree, and nothing anywhere else.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use super::file_attributes::Origin;
use super::roots;
use super::safe_dir::{Directory, Existing, UNFINISHED, set_time};
use super::sparse::Sparse;
use crate::adapters::cli::args::args::{ExportArgs, jobs};
use crate::adapters::cli::failure::Failure;
use crate::adapters::cli::progress::{Counted, Progress};
use crate::adapters::cli::report::{Summary, Tally, Trouble};
use crate::adapters::cli::{format, opening, stop};
use crate::{Bucket, Entry, ListOptions, ObjectMeta};

/// How many objects may wait for a job.
const WAITING: usize = 256;

/// The longest target of a symbolic link that a system takes.
const LONGEST_LINK: u64 = 4095;

/// What is to be exported, and how.
#[derive(Clone, Copy, Debug)]
pub struct Export<'a> {
    /// Where from.
    pub bucket: &'a Bucket,
    /// Empty, or with a slash at its end.
    pub prefix: &'a str,
    /// The mode that the directory is to have if it is made, as far as it is known.
    pub mode: Option<u32>,
    /// Files written at once.
    pub jobs: usize,
    /// Whether files that are there are compared by content alone.
    pub checksum: bool,
    /// Whether files that are there and differ are replaced.
    pub force: bool,
}

/// `export`
pub fn command(store: Option<&Path>, args: &ExportArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let opened = opening::to_read(store)?;
    let bucket = opened.bucket(&args.from.bucket)?;
    refuse_the_store(opening::place(store)?, &args.directory)?;
    let prefix = args.from.directory();
    let ExportArgs { checksum, force, .. } = *args;
    if !prefix.is_empty() && opening::is_empty(&bucket, &prefix)? {
        if bucket.exists(&args.from.key)? {
            let shown = format::name(&args.from.to_string());
            return Err(Failure::of(format!(
                "{shown} is a single object; `ossicle get` writes it to a file"
            )));
        }
        return Err(opening::nothing_below(&args.from));
    }
    let mode = roots::mode(&opened, &bucket, &prefix)?;
    let export = Export { bucket: &bucket, prefix: &prefix, mode, jobs: jobs(args.jobs), checksum, force };
    stop::listen();
    if !args.dry_run {
        return export.run(&args.directory)?.tell("exported", out);
    }
    let root = args.directory.is_dir().then(|| Directory::open(&args.directory)).transpose();
    let root = root.map_err(|error| Failure::about(format::path(&args.directory), &error))?;
    export.rehearse(root, out)
}

/// A tree that is written into the store's own directory would end the store.
fn refuse_the_store(store: &Path, directory: &Path) -> Result<(), Failure> {
    let Ok(store) = store.canonicalize() else {
        return Ok(());
    };
    // The directory may be missing as yet; then what it will lie in counts.
    let there = directory.ancestors().find_map(|path| {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        path.canonicalize().ok()
    });
    if there.is_some_and(|there| there.starts_with(&store)) {
        let directory = format::path(directory);
        return Err(Failure::of(format!(
            "{directory} lies in the store's own directory; export to another place"
        )));
    }
    Ok(())
}

impl Export<'_> {
    /// Writes the tree.
    pub fn run(&self, directory: &Path) -> Result<Summary, Failure> {
        let about = |error| Failure::about(format::path(directory), &error);
        let is_new = make(directory, self.mode).map_err(about)?;
        let root = Directory::open(directory).map_err(about)?;
        let total = self.bucket.usage(self.prefix)?.bytes;
        let tally = Tally::begin(Progress::begin("exported", Some(total)));
        let (send, receive) = crossbeam::channel::bounded::<ObjectMeta>(WAITING);
        std::thread::scope(|scope| {
            for _ in 0..self.jobs {
                let (receive, tally, root) = (receive.clone(), &tally, &root);
                scope.spawn(move || {
                    let mut writer = Writer { export: self, root, tally, within: None };
                    receive.iter().for_each(|meta| writer.write(&meta));
                });
            }
            drop(receive);
            let mut listing = self.bucket.list(self.prefix)?;
            while !tally.is_over()
                && let Some(entry) = listing.next()
            {
                if let Entry::Object(meta) = entry? {
                    // Nobody receives any more only if every job has panicked, and the scope hands that on.
                    drop(send.send(meta));
                }
            }
            drop(send);
            Ok::<(), Failure>(())
        })?;
        self.settle(&root, &tally)?;
        if let Some(mode) = self.mode.filter(|_| is_new) {
            root.set_mode(mode).map_err(about)?;
        }
        Ok(tally.end())
    }

    /// Gives directories the modes and times that their objects remember, when nothing is written into them any more: the
    /// deepest first, because one that is closed by its mode is not entered again.
    fn settle(&self, root: &Directory, tally: &Tally) -> Result<(), Failure> {
        let options = ListOptions::new().prefix(self.prefix).descending();
        for entry in self.bucket.list_with(options)?.take_while(|_| !tally.is_over()) {
            let Entry::Object(meta) = entry? else { continue };
            let below = meta.key.strip_prefix(self.prefix).unwrap_or(&meta.key);
            if meta.size > 0 || !below.ends_with('/') {
                continue;
            }
            // What is wrong with the key was told already.
            let Ok(Place { way, name, .. }) = Place::of(below) else { continue };
            let origin = Origin::of_object(&meta);
            let settled = (|| {
                let mut writer = Writer { export: self, root, tally, within: None };
                let Some(above) = writer.directory(way, false)? else { return Ok(()) };
                match above.enter(name, None)? {
                    None => Ok(()),
                    Some(directory) => Ok(directory.settle(origin.mode_for_file(), origin.time_for(&meta))?),
                }
            })();
            if let Err(trouble) = settled {
                tally.trouble(&format::name(&meta.key), trouble);
            }
        }
        Ok(())
    }

    /// The mode that the directory at the end of a way has while it is filled: nobody else looks in before it is known
    /// who may, and who fills it must be able to.
    fn mode_while_filled(&self, way: &str) -> Result<u32, Trouble> {
        let key = format!("{}{way}/", self.prefix);
        if key.len() > 1023 {
            return Ok(0o777);
        }
        match self.bucket.head(&key) {
            Err(error) if error.is_not_found() => Ok(0o777),
            head => Ok(Origin::of_object(&head?).mode.map_or(0o777, |_| 0o700)),
        }
    }

    /// Says what would be written.
    fn rehearse(&self, root: Option<Directory>, out: &mut dyn Write) -> Result<(), Failure> {
        let tally = Tally::begin(Progress::begin("looked at", None));
        for entry in self.bucket.list(self.prefix)?.take_while(|_| !tally.is_over()) {
            let Entry::Object(meta) = entry? else { continue };
            let verdict = match &root {
                Some(root) => {
                    Writer { export: self, root, tally: &tally, within: None }.place_and_judge(&meta)
                }
                None => self.place(&meta.key).map(|_| Verdict::Write),
            };
            match verdict {
                Err(trouble) => tally.trouble(&format::name(&meta.key), trouble),
                Ok(Verdict::Write) => {
                    writeln!(out, "would export {}", format::name(&meta.key))?;
                    tally.done(meta.size);
                }
                Ok(Verdict::Keep | Verdict::Touch) => tally.skipped(),
            }
        }
        tally.end().tell("would export", out)
    }

    /// Where a key lies in the tree, if it can lie there.
    fn place<'k>(&self, key: &'k str) -> Result<Place<'k>, Trouble> {
        let below = key.strip_prefix(self.prefix).unwrap_or(key);
        let place = Place::of(below)?;
        if !place.is_directory {
            let beneath = ListOptions::new().prefix(format!("{key}/")).limit(1);
            // A prefix longer than a key can be has nothing beneath it.
            if key.len() < 1023 && !self.bucket.list_page(beneath)?.entries.is_empty() {
                return Err(Trouble::file("other keys make it a directory, and it cannot be a file as well"));
            }
        }
        Ok(place)
    }
}

/// Makes a directory if it is missing, and says whether it was. With a mode it is its owner's alone until that is set.
fn make(directory: &Path, mode: Option<u32>) -> std::io::Result<bool> {
    if directory.is_dir() {
        return Ok(false);
    }
    if let Some(parent) = directory.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::DirBuilder::new().mode(mode.map_or(0o777, |_| 0o700)).create(directory)?;
    Ok(true)
}

/// A key as a place in a tree.
#[derive(Debug, PartialEq, Eq)]
struct Place<'k> {
    /// The directories on the way, with slashes between them.
    way: &'k str,
    name: &'k str,
    is_directory: bool,
}

impl Place<'_> {
    /// Reads a key, without its prefix, as a path.
    fn of(below: &str) -> Result<Place<'_>, Trouble> {
        let (path, is_directory) = match below.strip_suffix('/') {
            Some(path) => (path, true),
            None => (below, false),
        };
        for part in path.split('/') {
            let wrong = match part {
                "" => "a part of it is empty",
                "." | ".." => "`.` and `..` are no names",
                _ if part.contains('\0') => "it has a zero byte",
                _ if part.starts_with(UNFINISHED) => "names that begin like this are for unfinished files",
                _ => continue,
            };
            return Err(Trouble::File(format!("the key cannot be a file name: {wrong}")));
        }
        let (way, name) = path.rsplit_once('/').unwrap_or(("", path));
        Ok(Place { way, name, is_directory })
    }
}

/// What is to be done about an object.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Write,
    /// The bytes are there, but not the time or the mode.
    Touch,
    Keep,
}

/// A job.
struct Writer<'a> {
    export: &'a Export<'a>,
    root: &'a Directory,
    tally: &'a Tally,
    /// The directory of the last file: keys come in order, so the next one is mostly in the same.
    within: Option<(String, Directory)>,
}

impl Writer<'_> {
    fn write(&mut self, meta: &ObjectMeta) {
        if self.tally.is_over() {
            return;
        }
        match self.try_write(meta) {
            Ok(true) => self.tally.done(meta.size),
            Ok(false) => {
                self.tally.progress.bytes(meta.size);
                self.tally.skipped();
            }
            Err(trouble) => self.tally.trouble(&format::name(&meta.key), trouble),
        }
    }

    /// Whether anything needed to be written.
    fn try_write(&mut self, meta: &ObjectMeta) -> Result<bool, Trouble> {
        // The marker of the exported directory itself says nothing: it is there.
        if meta.key == self.export.prefix {
            return Ok(false);
        }
        let place = self.export.place(&meta.key)?;
        let origin = Origin::of_object(meta);
        let (export, progress) = (self.export, &self.tally.progress);
        let directory =
            self.directory(place.way, true)?.ok_or_else(|| Trouble::file("its directory is gone"))?;
        if place.is_directory {
            return export.write_directory(directory, place.name, meta);
        }
        let (name, mtime) = (OsStr::new(place.name), origin.time_for(meta));
        match export.judge(directory, name, meta, &origin)? {
            Verdict::Keep => return Ok(false),
            Verdict::Touch => {
                directory.touch(name, origin.mode_for_file(), mtime)?;
                return Ok(false);
            }
            Verdict::Write => {}
        }
        let mut object = export.bucket.get(&meta.key)?;
        if origin.is_link {
            let target = object.bytes()?;
            directory.link(name, &target, mtime)?;
            return Ok(true);
        }
        directory.land(name, origin.mode_for_file(), |file| {
            let mut sparse = Sparse::new(file);
            std::io::copy(&mut Counted(&mut object, progress), &mut sparse)?;
            sparse.end()?;
            Ok(set_time(file, mtime)?)
        })?;
        Ok(true)
    }

    fn place_and_judge(&mut self, meta: &ObjectMeta) -> Result<Verdict, Trouble> {
        let place = self.export.place(&meta.key)?;
        let export = self.export;
        let Some(directory) = self.directory(place.way, false)? else {
            return Ok(Verdict::Write);
        };
        if place.is_directory {
            let there = directory.enter(place.name, None)?.is_some();
            return Ok(if there { Verdict::Keep } else { Verdict::Write });
        }
        export.judge(directory, OsStr::new(place.name), meta, &Origin::of_object(meta))
    }

    /// The directory at the end of a way, made if it is missing and may be made.
    fn directory(&mut self, way: &str, make: bool) -> Result<Option<&Directory>, Trouble> {
        if way.is_empty() {
            self.within = None;
            return Ok(Some(self.root));
        }
        if self.within.as_ref().is_none_or(|(known, _)| known != way) {
            let (mut at, mut end): (Option<Directory>, usize) = (None, 0);
            for part in way.split('/') {
                end += part.len() + usize::from(at.is_some());
                let from = at.as_ref().unwrap_or(self.root);
                let entered = match from.enter(part, None)? {
                    None if make => from.enter(part, Some(self.export.mode_while_filled(&way[..end])?))?,
                    entered => entered,
                };
                let Some(entered) = entered else { return Ok(None) };
                at = Some(entered);
            }
            self.within = at.map(|directory| (way.to_string(), directory));
        }
        Ok(self.within.as_ref().map(|(_, directory)| directory))
    }
}

impl Export<'_> {
    /// Compares an object with what lies where it is to go.
    fn judge(
        &self,
        at: &Directory,
        name: &OsStr,
        meta: &ObjectMeta,
        origin: &Origin,
    ) -> Result<Verdict, Trouble> {
        if origin.is_link && meta.size > LONGEST_LINK {
            return Err(Trouble::file(
                "it is marked as a symbolic link, but its body is too long for a target",
            ));
        }
        let differs = match at.look(name)? {
            Existing::Nothing => return Ok(Verdict::Write),
            Existing::Directory => return Err(Trouble::file("there is a directory where it is to go")),
            Existing::Other => return Err(Trouble::file("there is a special file where it is to go")),
            Existing::Link(target) => {
                if origin.is_link && self.bucket.get(&meta.key)?.bytes()? == target {
                    return Ok(Verdict::Keep);
                }
                "there is another symbolic link where it is to go"
            }
            Existing::File { size, mtime, mode } => {
                let timed = mtime == origin.time_for(meta);
                let settled = timed && origin.mode_for_file().is_none_or(|wanted| wanted == mode & 0o777);
                let equal = !origin.is_link
                    && size == meta.size
                    && ((timed && !self.checksum) || Some(content(at, name)?) == meta.digests.blake3);
                match (equal, settled) {
                    (true, true) => return Ok(Verdict::Keep),
                    (true, false) => return Ok(Verdict::Touch),
                    (false, _) => "there is another file where it is to go",
                }
            }
        };
        if self.force {
            Ok(Verdict::Write)
        } else {
            Err(Trouble::File(format!("{differs}; `--force` replaces it")))
        }
    }

    fn write_directory(&self, at: &Directory, name: &str, meta: &ObjectMeta) -> Result<bool, Trouble> {
        if meta.size > 0 {
            return Err(Trouble::file("its key names a directory, but it has a body"));
        }
        let was_there = at.enter(name, None)?.is_some();
        // Its mode and its time come when everything is written, see `settle`.
        at.enter(name, Some(Origin::of_object(meta).mode.map_or(0o777, |_| 0o700)))?;
        Ok(!was_there)
    }
}

fn content(at: &Directory, name: &OsStr) -> Result<[u8; 32], Trouble> {
    Ok(*blake3::Hasher::new().update_reader(at.read(name)?)?.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_lead_astray_are_no_places() {
        for bad in [
            "..",
            "../x",
            "a/../../x",
            "a//b",
            "/a",
            "./a",
            "a/.",
            "",
            "/",
            "a\0b",
            "a/..//",
            ".ossicle-part-1",
        ] {
            assert!(Place::of(bad).is_err(), "{bad:?}");
        }
        let place = Place::of("a/b/c/").unwrap();
        assert_eq!(place, Place { way: "a/b", name: "c", is_directory: true });
        assert_eq!(Place::of("..a").unwrap(), Place { way: "", name: "..a", is_directory: false });
    }
}
