//! The change feed as people follow it.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::state::engine::Engine;
use crate::error::{Error, Result};
use crate::model::{Change, Lsn};
use crate::ops::bucket::feed::Following;

/// The commits of a store, in order, one [`Change`] each. See [`Store::changes`](super::Store::changes).
///
/// The iterator ends at the newest commit, and goes on when it is asked again after more commits; [`wait`](Changes::wait)
/// sleeps until there are some. After an error it has ended for good: begin another one.
///
/// An idle iterator does not keep the log. To miss nothing, set a cursor ([`Store::set_cursor`](super::Store::set_cursor)).
#[derive(Debug)]
pub struct Changes {
    following: Following,
    failed: Option<Error>,
}

impl Changes {
    pub(crate) fn begin(engine: &Arc<Engine>, after: Lsn) -> Result<Changes> {
        Ok(Changes { following: Following::begin(engine, after)?, failed: None })
    }

    /// Sleeps until there is a change that is not empty and was not returned yet, at most for `at_most`. Returns whether
    /// there is one. (Also after a thousand empty changes, so that the cursor can be moved on.)
    ///
    /// # Errors
    /// `StoreClosed` when the store is closed meanwhile; `OperationConflict` on a thread that is inside a transaction
    /// that has read; `FeedTruncated` if the feed comes to commits that are no longer in the log. Also [those of
    /// reading](crate::Store#errors-of-reading). After an error every later call answers the same one.
    pub fn wait(&mut self, at_most: Duration) -> Result<bool> {
        if let Some(error) = &self.failed {
            return Err(error.duplicate());
        }
        let waited = self.following.wait(at_most);
        waited.map_err(|error| self.fail(error))
    }

    fn fail(&mut self, error: Error) -> Error {
        self.failed = Some(error.duplicate());
        error
    }
}

impl Iterator for Changes {
    type Item = Result<Change>;

    fn next(&mut self) -> Option<Result<Change>> {
        if self.failed.is_some() {
            return None;
        }
        let next = self.following.next_change();
        next.map_err(|error| self.fail(error)).transpose()
    }
}
