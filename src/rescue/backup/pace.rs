//! Progress of a copy, and stopping it.

use super::report::BackupProgress;
use super::source::Source;
use crate::error::{Error, ErrorKind, Result};

/// Hears how far it is and says whether to go on.
pub type Watch<'a> = dyn FnMut(BackupProgress) -> bool + 'a;

/// What was done so far, and who watches.
pub struct Pace<'w> {
    watch: &'w mut Watch<'w>,
    /// How far it is.
    pub now: BackupProgress,
    /// Segments of which something was written.
    pub files_copied: u64,
    /// Segments that were there.
    pub files_kept: u64,
    /// Whether the watcher has stopped it.
    pub stopped: bool,
}

impl Pace<'_> {
    /// Tells the watcher how far it is; an error, if that is to be all.
    pub fn go_on(&mut self) -> Result<()> {
        self.stopped |= !(self.watch)(self.now);
        if self.stopped {
            Err(Error::new(ErrorKind::Busy, "Stopped", "the watcher stopped it"))
        } else {
            Ok(())
        }
    }
}

impl<'w> Pace<'w> {
    pub(super) fn new(watch: &'w mut Watch<'w>, source: &Source) -> Pace<'w> {
        let now = BackupProgress { files_total: source.pieces.len() as u64, ..BackupProgress::default() };
        Pace { watch, now, files_copied: 0, files_kept: 0, stopped: false }
    }
}
