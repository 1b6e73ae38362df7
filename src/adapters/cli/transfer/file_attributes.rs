//! What an object remembers of the file that it came from: time, mode bits, and whether it was a link.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::{ObjectMeta, PutOptions};

/// Nanoseconds since 1970 of the file's last change.
const MTIME: &str = "src-mtime";

/// The mode bits of the file, in octal.
const MODE: &str = "src-mode";

/// Marks the body as the target of a symbolic link.
const SYMLINK: &str = "src-symlink";

/// What is remembered of a file. Objects that were not imported remember nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Nanoseconds since 1970.
    pub mtime: Option<i128>,
    /// Twelve mode bits.
    pub mode: Option<u32>,
    /// Whether it was a symbolic link.
    pub is_link: bool,
}

impl Origin {
    /// Of a file on the disk.
    pub fn of_file(meta: &Metadata) -> Origin {
        let mtime = i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec());
        let is_link = meta.file_type().is_symlink();
        // The mode of a link means nothing and differs between systems.
        let mode = (!is_link).then(|| meta.mode() & 0o7777);
        Origin { mtime: Some(mtime), mode, is_link }
    }

    /// Of an object; metadata that makes no sense is as good as none.
    pub fn of_object(meta: &ObjectMeta) -> Origin {
        let text = |name: &str| meta.metadata.get(name).map(String::as_str);
        Origin {
            mtime: text(MTIME).and_then(|digits| digits.parse().ok()),
            mode: text(MODE).and_then(|digits| u32::from_str_radix(digits, 8).ok()).map(|mode| mode & 0o7777),
            is_link: text(SYMLINK) == Some("1"),
        }
    }

    /// Puts it into the metadata of an object to be.
    pub fn into_options(self) -> PutOptions {
        let mut options = PutOptions::new();
        if let Some(mtime) = self.mtime {
            options = options.metadata(MTIME, mtime.to_string());
        }
        if let Some(mode) = self.mode {
            options = options.metadata(MODE, format!("{mode:04o}"));
        }
        if self.is_link {
            options = options.metadata(SYMLINK, "1");
        }
        options
    }

    /// The time that a file gets which is made of the object: its origin's, else the object's own.
    pub fn time_for(&self, meta: &ObjectMeta) -> i128 {
        self.mtime.unwrap_or_else(|| nanoseconds(meta.modified))
    }

    /// The mode that a file gets. Set-user-id, set-group-id and sticky are not handed out: whoever could write
    /// to a store could otherwise make programs that run as whoever exports it.
    pub fn mode_for_file(&self) -> Option<u32> {
        self.mode.map(|mode| mode & 0o777)
    }
}

fn nanoseconds(moment: SystemTime) -> i128 {
    match moment.duration_since(UNIX_EPOCH) {
        Ok(since) => i128::try_from(since.as_nanos()).unwrap_or(i128::MAX),
        Err(before) => -i128::try_from(before.duration().as_nanos()).unwrap_or(i128::MAX),
    }
}
