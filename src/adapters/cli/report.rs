//! What an import or export has done so far, what went wrong, and how that is told at the end.

use std::error::Error as _;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::failure::{Failure, reason, say};
use super::progress::Progress;
use super::{format, stop};
use crate::Error;

/// The most failures that are named at the end; more are only counted, so that memory stays bounded.
const NAMED: usize = 10_000;

/// From how many bytes of holes on it is told that they are zeros now.
const MUCH: u64 = 1 << 20;

/// What can go wrong with one file.
#[derive(Debug)]
pub enum Trouble {
    /// This file cannot be had; the others can.
    File(String),
    /// No file can be had any more.
    All(String),
}

impl Trouble {
    /// This file cannot be had.
    pub fn file(reason: impl Into<String>) -> Trouble {
        Trouble::File(reason.into())
    }

    /// Why.
    pub fn reason(self) -> String {
        match self {
            Trouble::File(reason) | Trouble::All(reason) => reason,
        }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Trouble {
        if error.code() == "StorageFull" || error.is_fatal() {
            return Trouble::All(error.to_string());
        }
        // The library says what it was doing; where that was reading or writing the file, the file's name and
        // the system's reason say it better.
        let cause = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        Trouble::File(cause.map_or_else(|| error.to_string(), reason))
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Trouble::All(format!("the disk is full ({})", reason(&error)))
            }
            _ => Trouble::File(reason(&error)),
        }
    }
}

/// The books of a job, shared by its threads.
#[derive(Debug)]
pub struct Tally {
    /// What people see of it meanwhile.
    pub progress: Progress,
    done: AtomicU64,
    bytes: AtomicU64,
    skipped: AtomicU64,
    holes: AtomicU64,
    failed: AtomicU64,
    failures: Mutex<Vec<(String, String)>>,
    halted: AtomicBool,
    halt_reason: Mutex<Option<String>>,
}

/// What a job came to.
#[derive(Debug)]
pub struct Summary {
    pub done: u64,
    pub bytes: u64,
    pub skipped: u64,
    /// Bytes of them that took no disk before, and do now.
    pub holes: u64,
    pub failed: u64,
    pub took: Duration,
    failures: Vec<(String, String)>,
    halt_reason: Option<String>,
}

impl Tally {
    /// Nothing done yet.
    pub fn begin(progress: Progress) -> Tally {
        let zero = AtomicU64::default;
        Tally {
            progress,
            done: zero(),
            bytes: zero(),
            skipped: zero(),
            holes: zero(),
            failed: zero(),
            failures: Mutex::default(),
            halted: AtomicBool::new(false),
            halt_reason: Mutex::default(),
        }
    }

    /// A file was taken or written.
    pub fn done(&self, bytes: u64) {
        self.done.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.progress.thing();
    }

    /// A file was as it should be already.
    pub fn skipped(&self) {
        self.skipped.fetch_add(1, Ordering::Relaxed);
        self.progress.thing();
    }

    /// A file with so many bytes of holes was taken as it reads.
    pub fn holes(&self, bytes: u64) {
        self.holes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A file could not be had, or none can any more.
    pub fn trouble(&self, name: &str, trouble: Trouble) {
        match trouble {
            Trouble::File(reason) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                let mut failures = self.failures.lock();
                if failures.len() < NAMED {
                    failures.push((name.to_string(), reason));
                }
            }
            Trouble::All(reason) => {
                self.halt_reason.lock().get_or_insert(reason);
                self.halted.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Whether no further file is to be begun.
    pub fn is_over(&self) -> bool {
        self.halted() || stop::asked()
    }

    /// Whether nothing can be done any more, not even what was begun.
    pub fn halted(&self) -> bool {
        self.halted.load(Ordering::Relaxed)
    }

    /// Closes the books.
    pub fn end(self) -> Summary {
        self.progress.end();
        let mut failures = self.failures.into_inner();
        failures.sort();
        Summary {
            done: self.done.into_inner(),
            bytes: self.bytes.into_inner(),
            skipped: self.skipped.into_inner(),
            holes: self.holes.into_inner(),
            failed: self.failed.into_inner(),
            took: self.progress.elapsed(),
            failures,
            halt_reason: self.halt_reason.into_inner(),
        }
    }
}

impl Summary {
    /// Whether every file was taken or written, or needed not be.
    pub fn is_whole(&self) -> bool {
        self.failed == 0 && self.halt_reason.is_none() && !stop::asked()
    }

    /// Names what failed, on standard error.
    pub fn tell_failures(&self) {
        for (name, reason) in &self.failures {
            say(&format!("{name}: {reason}"));
        }
        let unnamed = self.failed - self.failures.len() as u64;
        if unnamed > 0 {
            say(&format!("and {} more that failed", format::count(unnamed)));
        }
    }

    /// Tells all of it; `verb` is `imported` or the like. The answer is the exit code to be.
    pub fn tell(&self, verb: &str, out: &mut dyn Write) -> Result<(), Failure> {
        out.flush()?;
        self.tell_failures();
        writeln!(
            out,
            "{verb} {} ({}) in {}, skipped {} unchanged, failed {}",
            format::counted(self.done, "file"),
            format::bytes(self.bytes),
            format::time(self.took),
            format::count(self.skipped),
            format::count(self.failed),
        )?;
        out.flush()?;
        if self.holes >= MUCH {
            say(&format!(
                "holes in sparse files are {} of zeros in the store; `--compress` makes them small",
                format::bytes(self.holes)
            ));
        }
        if let Some(reason) = &self.halt_reason {
            return Err(Failure::of(format!(
                "stopped: {reason}; what is done is kept, and the same command goes on from there"
            )));
        }
        if stop::asked() {
            say("stopped; the same command goes on from here");
            return Err(Failure::Stopped);
        }
        if self.failed > 0 { Err(Failure::Told) } else { Ok(()) }
    }
}
