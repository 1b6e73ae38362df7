//! Verification as people ask for it: with a watcher who may stop it.

use std::fmt;

use crate::catalog::{HeadRow, keys};
use crate::engine::{Engine, Stored, VerifyProgress, VerifyReport};
use crate::error::Result;

/// How a store is verified.
#[derive(Default)]
#[must_use]
pub struct VerifyOptions<'a> {
    progress: Option<Box<dyn FnMut(VerifyProgress) -> bool + 'a>>,
}

impl fmt::Debug for VerifyOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyOptions").field("watched", &self.progress.is_some()).finish()
    }
}

impl<'a> VerifyOptions<'a> {
    /// Nobody watches.
    pub fn new() -> VerifyOptions<'a> {
        VerifyOptions::default()
    }

    /// Tells `watch` how far it is, often; when it answers `false`, the verification stops there.
    pub fn progress(mut self, watch: impl FnMut(VerifyProgress) -> bool + 'a) -> VerifyOptions<'a> {
        self.progress = Some(Box::new(watch));
        self
    }

    pub(crate) fn run(mut self, engine: &Engine) -> Result<VerifyReport> {
        engine.check_open()?;
        engine.verify(&mut wrong, &mut |progress| self.progress.as_mut().is_none_or(|watch| watch(progress)))
    }
}

/// What is wrong with an entry of which the body has this BLAKE3.
pub(super) fn wrong(key: &[u8], stored: &Stored<'_>, hash: &[u8; 32]) -> Option<String> {
    let (_, name) = keys::parse_object(key)?;
    match HeadRow::read(name, stored) {
        Err(error) => Some(error.to_string()),
        Ok(head) if head.row.blake3 != *hash => {
            Some(format!("the body of {name:?} is not the one that was written: its BLAKE3 differs"))
        }
        Ok(_) => None,
    }
}
