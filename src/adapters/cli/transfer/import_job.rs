//! One job of an import: small files in batches, large ones streamed, what is there already skipped.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::file_attributes::Origin;
use super::roots::ORDINARY;
use super::tree::{Exclude, Found, Kind};
use crate::adapters::cli::format;
use crate::adapters::cli::progress::Counted;
use crate::adapters::cli::report::{Tally, Trouble};
use crate::{Body, Bucket, Durability, ObjectMeta, PutOptions, Store, WriteOptions};

/// Files up to this size are committed in batches.
const SMALL: u64 = 256 << 10;

/// The most that a batch holds. A commit has all of it in memory.
const BATCH_BYTES: usize = 4 << 20;

const BATCH_FILES: usize = 256;

/// A file that is to be taken.
#[derive(Debug)]
pub struct Wanted {
    /// Its key.
    pub key: String,
    source: Source,
    origin: Origin,
}

/// Where the body comes from.
#[derive(Debug)]
enum Source {
    Bytes(Vec<u8>),
    /// An opened file and the size that it had then.
    Open(File, u64),
}

impl Wanted {
    /// Looks at a file; `None` if its object is there already.
    pub fn decide(
        import: &Import<'_>,
        bucket: Option<&Bucket>,
        found: &Found,
    ) -> Result<Option<Wanted>, Trouble> {
        let name = found.name.to_str();
        let name = name.ok_or_else(|| Trouble::file("its name is not UTF-8, and a key must be"))?;
        let is_directory = matches!(found.kind, Kind::EmptyDirectory | Kind::Directory);
        // The root of the tree has no name of its own: its key is the prefix.
        let slash = if is_directory && !name.is_empty() { "/" } else { "" };
        let key = format!("{}{name}{slash}", import.prefix);
        let is_only_mode = found.kind == Kind::Directory;
        if !is_only_mode {
            check_key(&key)?;
        }
        let (source, meta) = open(found)?;
        let origin = Origin::of_file(&meta);
        if is_only_mode && let Err(trouble) = check_key(&key) {
            // A directory that everybody may read, as most are, is made by what lies in it.
            return if origin.mode == Some(ORDINARY) { Ok(None) } else { Err(trouble) };
        }
        let mut wanted = Wanted { key, source, origin };
        let current = match bucket.map(|bucket| bucket.head(&wanted.key)) {
            None => None,
            Some(Err(error)) if error.is_not_found() => None,
            Some(head) => Some(head?),
        };
        let Some(current) = current else {
            return Ok((!is_only_mode || wanted.origin.mode != Some(ORDINARY)).then_some(wanted));
        };
        if is_only_mode {
            // Its time changes with every file in it.
            return Ok((Origin::of_object(&current).mode != wanted.origin.mode).then_some(wanted));
        }
        Ok(if wanted.is_same_as(&current, import.checksum)? { None } else { Some(wanted) })
    }

    /// How many bytes it has.
    pub fn size(&self) -> u64 {
        match &self.source {
            Source::Bytes(bytes) => bytes.len() as u64,
            Source::Open(_, size) => *size,
        }
    }

    /// How many of these bytes take no disk, because nothing was ever written there.
    fn holes(&self) -> u64 {
        match &self.source {
            Source::Bytes(_) => 0,
            Source::Open(file, size) => {
                file.metadata().map_or(0, |meta| size.saturating_sub(meta.blocks().saturating_mul(512)))
            }
        }
    }

    /// Whether an object has what this file has.
    fn is_same_as(&mut self, object: &ObjectMeta, checksum: bool) -> Result<bool, Trouble> {
        let kept = Origin::of_object(object);
        if self.size() != object.size || self.origin.is_link != kept.is_link || self.origin.mode != kept.mode
        {
            return Ok(false);
        }
        if !checksum {
            return Ok(self.origin.mtime == kept.mtime);
        }
        let hash = match &mut self.source {
            Source::Bytes(bytes) => blake3::hash(bytes),
            Source::Open(file, _) => {
                let hash = blake3::Hasher::new().update_reader(&mut *file)?.finalize();
                io::Seek::rewind(file)?;
                hash
            }
        };
        Ok(Some(*hash.as_bytes()) == object.digests.blake3)
    }
}

/// What a store would refuse, told before the file is read. The store decides; this says it in a tree's words.
fn check_key(key: &str) -> Result<(), Trouble> {
    const MOST: usize = 1023;
    if key.len() > MOST {
        return Err(Trouble::File(format!(
            "its key would have {} bytes, and {MOST} are the most",
            key.len()
        )));
    }
    if key.starts_with(['/', '\\']) {
        return Err(Trouble::file("a key must not begin with a slash or a backslash"));
    }
    Ok(())
}

/// Opens what was found. Its metadata is that of before the first byte is read: if it changes meanwhile, the
/// next import sees another time and takes it again.
fn open(found: &Found) -> Result<(Source, Metadata), Trouble> {
    if found.kind != Kind::File {
        let meta = fs::symlink_metadata(&found.path)?;
        let body = match found.kind {
            Kind::Link => fs::read_link(&found.path)?.as_os_str().as_bytes().to_vec(),
            _ => Vec::new(),
        };
        return Ok((Source::Bytes(body), meta));
    }
    // What was a file when the directory was read may be a link or a fifo by now: neither is followed nor
    // waited for.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(&found.path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(Trouble::file("it is no file any more"));
    }
    Ok((Source::Open(file, meta.len()), meta))
}

/// A small file whose bytes wait for the commit of their batch.
#[derive(Debug)]
struct Waiting {
    name: String,
    key: String,
    body: Vec<u8>,
    options: PutOptions,
}

/// A job.
#[derive(Debug)]
pub struct Intake<'a> {
    import: &'a Import<'a>,
    store: &'a Store,
    bucket: &'a Bucket,
    tally: &'a Tally,
    batch: Vec<Waiting>,
    held: usize,
}

impl<'a> Intake<'a> {
    /// A job without work.
    pub fn new(import: &'a Import<'a>, store: &'a Store, bucket: &'a Bucket, tally: &'a Tally) -> Intake<'a> {
        Intake { import, store, bucket, tally, batch: Vec::new(), held: 0 }
    }

    /// Takes a file in, now or with its batch.
    pub fn take(&mut self, found: &Found) {
        if self.tally.is_over() {
            return;
        }
        if let Err(trouble) = self.try_take(found) {
            self.tally.trouble(&format::path(&found.name), trouble);
        }
    }

    fn try_take(&mut self, found: &Found) -> Result<(), Trouble> {
        let Some(wanted) = Wanted::decide(self.import, Some(self.bucket), found)? else {
            if found.kind != Kind::Directory {
                self.tally.skipped();
            }
            return Ok(());
        };
        let holes = wanted.holes();
        if holes > 0 && !self.import.compress {
            self.tally.holes(holes);
        }
        let Wanted { key, source, origin } = wanted;
        let options = origin.into_options().durability(Durability::Buffered);
        let body = match source {
            Source::Bytes(bytes) => bytes,
            Source::Open(file, size) if size > SMALL => {
                let body = Body::reader(Counted(file, &self.tally.progress));
                self.bucket.put_with(&key, body, options)?;
                self.tally.done(size);
                return Ok(());
            }
            Source::Open(file, size) => {
                let mut bytes = Vec::with_capacity(size as usize);
                // A file that grows while it is read is cut where a small one ends; its new time will tell.
                file.take(SMALL).read_to_end(&mut bytes)?;
                self.tally.progress.bytes(bytes.len() as u64);
                bytes
            }
        };
        self.held += body.len();
        self.batch.push(Waiting { name: format::path(&found.name), key, body, options });
        if self.batch.len() >= BATCH_FILES || self.held >= BATCH_BYTES {
            self.commit();
        }
        Ok(())
    }

    /// Commits what is left.
    pub fn end(mut self) {
        self.commit();
    }

    fn commit(&mut self) {
        self.held = 0;
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() || self.tally.halted() {
            return;
        }
        let options = WriteOptions::new().durability(Durability::Buffered);
        let put = |file: &Waiting| file.options.clone();
        let committed = self.store.write_with(options, |tx| {
            batch.iter().try_for_each(|file| tx.put_with(self.bucket, &file.key, &file.body, put(file)))
        });
        match committed.map_err(Trouble::from) {
            Ok(()) => batch.iter().for_each(|file| self.tally.done(file.body.len() as u64)),
            Err(Trouble::All(reason)) => self.tally.trouble("", Trouble::All(reason)),
            // One of them is at fault; taken one by one, it is named and the others are not lost.
            Err(Trouble::File(_)) => batch.into_iter().for_each(|file| self.alone(file)),
        }
    }

    fn alone(&self, file: Waiting) {
        let size = file.body.len() as u64;
        match self.bucket.put_with(&file.key, file.body, file.options) {
            Ok(_) => self.tally.done(size),
            Err(error) => self.tally.trouble(&file.name, error.into()),
        }
    }
}

/// What is to be imported, and where to.
#[derive(Clone, Copy, Debug)]
pub struct Import<'a> {
    /// The root of the tree.
    pub root: &'a Path,
    /// Names that are left out.
    pub exclude: &'a [Exclude],
    /// The directory of the store, which is left out too.
    pub store_path: &'a Path,
    /// Empty, or with a slash at its end.
    pub prefix: &'a str,
    /// Files taken at once.
    pub jobs: usize,
    /// Whether files are compared by content.
    pub checksum: bool,
    /// Whether the store compresses what is taken.
    pub compress: bool,
}
