//! What an iterator has read ahead, for the process that has read it.

use std::vec;

use crate::env::Process;
use crate::error::Result;

/// What was read ahead and not yet handed out.
#[derive(Debug)]
pub(crate) struct Batch<T> {
    ahead: vec::IntoIter<T>,
    process: Process,
}

impl<T> Batch<T> {
    /// Nothing yet.
    pub(crate) fn new() -> Batch<T> {
        Batch::of(Vec::new())
    }

    /// These.
    pub(crate) fn of(ahead: Vec<T>) -> Batch<T> {
        Batch { ahead: ahead.into_iter(), process: Process::current() }
    }

    /// The next one. In a forked process an error, and nothing else any more.
    pub(crate) fn next(&mut self) -> Option<Result<T>> {
        let next = self.ahead.next()?;
        Some(self.process.check().map(|()| next).inspect_err(|_| self.ahead = Vec::new().into_iter()))
    }
}
