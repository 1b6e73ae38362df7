//! Open files of segments: what is written to holds its own, the others share a few and are opened again by name.
//!
//! That works because a segment's file keeps its name as long as anybody has the segment: a checkpoint removes it behind its last
//! reader (`engine/checkpoint/checkpoint.rs`), and keeps it for readers in other processes (`engine/checkpoint/readers.rs`). Where that does not hold,
//! in a backup that is renewed under its reader, as many stay open as the system lets.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;

use crate::env::{self, Env, File, OpenMode, Site};
use crate::error::is_out_of_files;

/// The files that are open for reading only.
#[derive(Debug)]
pub struct OpenFiles {
    env: Env,
    /// How many stay open.
    most: AtomicUsize,
    /// Those that are, the longest unused first; and those that were closed meanwhile.
    open: Mutex<VecDeque<Weak<Held>>>,
}

/// The file of a segment, whether it is open just now or not.
#[derive(Debug)]
pub struct SegmentFile {
    path: PathBuf,
    files: Arc<OpenFiles>,
    held: Arc<Held>,
    /// Held by whoever opens it again.
    opening: Mutex<()>,
}

#[derive(Debug)]
struct Held {
    file: ArcSwapOption<Arc<dyn File>>,
    /// Whether it was used since somebody looked for one to close.
    used: AtomicBool,
    /// Whether it is written to, or has bytes that no sync has made durable: an error of writing is told to whoever has the
    /// file open, and to nobody who opens it later.
    written: AtomicBool,
}

impl OpenFiles {
    /// None so far.
    pub fn new(env: Env) -> Arc<OpenFiles> {
        let most = AtomicUsize::new(env::few_files());
        Arc::new(OpenFiles { env, most, open: Mutex::default() })
    }

    /// Lets as many files stay open as the system lets.
    pub fn keep_most(&self) {
        self.most.fetch_max(env::most_files(), Ordering::Relaxed);
    }

    /// A file that was just opened or made; one that is `written` to stays open until [`SegmentFile::settle`].
    pub fn take(self: &Arc<Self>, path: PathBuf, file: Arc<dyn File>, written: bool) -> SegmentFile {
        let held = Arc::new(Held {
            file: ArcSwapOption::from_pointee(file),
            used: AtomicBool::new(false),
            written: AtomicBool::new(written),
        });
        if !written {
            self.keep(&held);
        }
        SegmentFile { path, files: self.clone(), held, opening: Mutex::new(()) }
    }

    /// Takes note of one more, and closes another if there are too many.
    fn keep(&self, held: &Arc<Held>) {
        let most = self.most.load(Ordering::Relaxed);
        let mut open = self.open.lock();
        open.push_back(Arc::downgrade(held));
        let mut looks = 2 * open.len();
        while open.len() > most && looks > 0 {
            looks -= 1;
            let Some(first) = open.pop_front() else { return };
            let Some(held) = first.upgrade() else { continue };
            if held.used.swap(false, Ordering::Relaxed) {
                open.push_back(first);
            } else {
                held.file.store(None);
            }
        }
    }

    /// Closes all that can be closed.
    fn close_all(&self) {
        let open = std::mem::take(&mut *self.open.lock());
        open.iter().filter_map(Weak::upgrade).for_each(|held| held.file.store(None));
    }

    /// Opens a file; if too many are open, those here make room first.
    pub fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let open = || self.env.vfs.open(path, OpenMode::Read, Site::SEGMENT_OPEN);
        self.with_room(open)
    }

    /// Does something that opens files; if too many are open, those here make room and it is done again.
    pub fn with_room<T>(&self, open: impl Fn() -> io::Result<T>) -> io::Result<T> {
        match open() {
            Err(error) if is_out_of_files(&error) => {
                self.close_all();
                open()
            }
            opened => opened,
        }
    }
}

impl SegmentFile {
    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file, opened again if need be.
    pub fn get(&self) -> io::Result<Arc<dyn File>> {
        if let Some(file) = &*self.held.file.load() {
            // Looked at first: many readers of one file would take the word from one another.
            if !self.held.used.load(Ordering::Relaxed) {
                self.held.used.store(true, Ordering::Relaxed);
            }
            return Ok(Arc::clone(file));
        }
        let _one = self.opening.lock();
        if let Some(file) = &*self.held.file.load() {
            return Ok(Arc::clone(file));
        }
        let file = self.files.open(&self.path)?;
        self.held.file.store(Some(Arc::new(file.clone())));
        self.files.keep(&self.held);
        Ok(file)
    }

    /// Takes note that nothing is written to it any more, and that all of it is durable.
    pub fn settle(&self) {
        if self.held.written.swap(false, Ordering::AcqRel) {
            self.files.keep(&self.held);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(files: &Arc<OpenFiles>, n: u64, written: bool) -> SegmentFile {
        let path = PathBuf::from(format!("/{n}"));
        let file = files.env.vfs.open(&path, OpenMode::CreateNew, Site::BULK_CREATE).unwrap();
        file.write_at(&[io::IoSlice::new(&n.to_le_bytes())], 0, Site::BULK_WRITE).unwrap();
        files.take(path, file, written)
    }

    fn number(file: &SegmentFile) -> u64 {
        let mut bytes = [0; 8];
        file.get().unwrap().read_exact_at(&mut bytes, 0, Site::SEGMENT_READ).unwrap();
        u64::from_le_bytes(bytes)
    }

    fn is_open(file: &SegmentFile) -> bool {
        file.held.file.load().is_some()
    }

    #[test]
    fn few_files_stay_open_and_all_can_be_read() {
        let files = OpenFiles::new(Env::memory());
        files.most.store(4, Ordering::Relaxed);
        let all: Vec<SegmentFile> = (0..40).map(|n| made(&files, n, false)).collect();
        let open = || all.iter().filter(|file| is_open(file)).count();
        assert_eq!(open(), 4);
        for n in 0..400 {
            assert_eq!(number(&all[n * 7 % 40]), (n * 7 % 40) as u64);
            // One that is used again and again stays.
            assert_eq!(number(&all[3]), 3);
            assert!(open() <= 4 && (n < 1 || is_open(&all[3])));
        }
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let all = &all;
                scope.spawn(move || (0..500).for_each(|n| _ = number(&all[(n * 3 + thread) % 40])));
            }
        });
        assert!(open() <= 4);
    }

    #[test]
    fn what_is_written_to_stays_open_until_it_is_durable() {
        let files = OpenFiles::new(Env::memory());
        files.most.store(2, Ordering::Relaxed);
        let written = made(&files, 0, true);
        let others: Vec<SegmentFile> = (1..9).map(|n| made(&files, n, false)).collect();
        files.close_all();
        assert!(is_open(&written));
        written.settle();
        others.iter().for_each(|file| _ = number(file));
        others.iter().for_each(|file| _ = number(file));
        assert!(!is_open(&written));
        assert_eq!(number(&written), 0);
    }

    #[test]
    fn when_the_system_has_no_more_those_that_can_be_are_closed() {
        let files = OpenFiles::new(Env::memory());
        let all: Vec<SegmentFile> = (0..3).map(|n| made(&files, n, false)).collect();
        let tries = AtomicUsize::new(0);
        let answer = files.with_room(|| match tries.fetch_add(1, Ordering::Relaxed) {
            0 => Err(rustix::io::Errno::MFILE.into()),
            _ => Ok(all.iter().filter(|file| is_open(file)).count()),
        });
        assert_eq!(answer.unwrap(), 0);
        let told = files.with_room(|| Err::<(), _>(rustix::io::Errno::NFILE.into())).unwrap_err();
        assert!(crate::error::Error::io("opening a file", told).to_string().contains("`ulimit -n`"));
    }
}
