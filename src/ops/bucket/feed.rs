//! The change feed: what happened, commit by commit, and the cursors of those who follow.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::catalog::{self, BucketNames, Rows};
use crate::engine::state::engine::Engine;
use crate::engine::{self, CommitScan, StoredCursor};
use crate::error::{Error, Result};
use crate::index::Weight;
use crate::model::{Change, Durability, FeedCursor, Lsn, from_millis};
use crate::write::commit;
use crate::write::context::Reading;
use crate::write::outcome::StepOutcome;
use crate::write::staged::overlay::Staged;
use crate::write::step::Step;

/// The longest name of a cursor, in bytes.
const MAX_CURSOR_NAME: usize = 255;

/// The most changes with nothing in them that a wait reads ahead.
const AHEAD_MAX: usize = 1024;

/// A walk through the feed.
#[derive(Debug)]
pub struct Following {
    engine: Arc<Engine>,
    commits: CommitScan,
    /// Read while waiting, and not yet told.
    ahead: VecDeque<Change>,
    names: BucketNames,
}

impl Following {
    /// Begins behind commit `after`.
    pub fn begin(engine: &Arc<Engine>, after: Lsn) -> Result<Following> {
        let commits = engine.commits_after(after.0)?;
        Ok(Following {
            engine: engine.clone(),
            commits,
            ahead: VecDeque::new(),
            names: BucketNames::default(),
        })
    }

    /// The next change; `None` if all that is visible was told.
    pub fn next_change(&mut self) -> Result<Option<Change>> {
        match self.ahead.pop_front() {
            Some(change) => Ok(Some(change)),
            None => self.read(),
        }
    }

    /// Waits for a change with something in it. Those with nothing in it are read on the way, so that somebody who
    /// moves a cursor after each wait does not wake himself.
    pub fn wait(&mut self, at_most: Duration) -> Result<bool> {
        if self.ahead.iter().any(|change| !change.ops.is_empty()) {
            return Ok(true);
        }
        let clock = self.engine.env().clock.clone();
        let begun = clock.monotonic();
        loop {
            while let Some(change) = self.read()? {
                let told = !change.ops.is_empty();
                self.ahead.push_back(change);
                if told || self.ahead.len() >= AHEAD_MAX {
                    return Ok(true);
                }
            }
            let left = at_most.saturating_sub(clock.monotonic().saturating_sub(begun));
            if !self.commits.wait(left)? {
                return Ok(false);
            }
        }
    }

    fn read(&mut self) -> Result<Option<Change>> {
        let Some(commit) = self.commits.next()? else {
            return Ok(None);
        };
        let Following { engine, names, .. } = self;
        catalog::change_of(commit, &mut |id| names.find(&engine.view(), id)).map(Some)
    }
}

/// The step that sets a cursor, or removes it.
#[derive(Debug)]
pub struct CursorStep {
    engine: Arc<Engine>,
    name: String,
    lsn: Option<u64>,
}

impl Step for CursorStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        let key = engine::cursor_key(&self.name);
        let current = staged.get(&key)?.map(|found| StoredCursor::decode(&found.payload)).transpose()?;
        if let Some(lsn) = self.lsn {
            self.engine.check_cursor(staged.view, lsn)?;
        }
        if current.map(|cursor| cursor.lsn) == self.lsn {
            return Ok(StepOutcome::None);
        }
        match self.lsn {
            None => staged.remove(key),
            Some(lsn) => {
                let cursor = StoredCursor { lsn, millis: staged.now.millis };
                staged.put(key, Weight::default(), cursor.encode());
            }
        }
        self.engine.cursor_moved();
        Ok(StepOutcome::None)
    }

    /// A cursor that moves lets go of log.
    fn frees(&self) -> bool {
        true
    }
}

/// The step that sets a cursor, or with `None` removes it.
pub fn step(engine: &Arc<Engine>, name: &str, lsn: Option<Lsn>) -> Result<CursorStep> {
    check_name(name)?;
    Ok(CursorStep { engine: engine.clone(), name: name.to_string(), lsn: lsn.map(|lsn| lsn.0) })
}

/// Sets a cursor, or with `None` removes it.
pub fn set_cursor(engine: &Arc<Engine>, name: &str, lsn: Option<Lsn>) -> Result<()> {
    commit::commit_one(engine, step(engine, name, lsn)?, Durability::Synced).map(|_| ())
}

/// Where a cursor stands.
pub fn cursor(reading: &Reading, name: &str) -> Result<Option<Lsn>> {
    check_name(name)?;
    let found = reading.with(|moment| moment.get(&engine::cursor_key(name)))?;
    let stored = found.map(|found| StoredCursor::decode(&found.payload)).transpose()?;
    Ok(stored.map(|cursor| Lsn(cursor.lsn)))
}

/// All cursors, in the order of their names.
pub fn cursors(reading: &Reading) -> Result<Vec<FeedCursor>> {
    let told = |(name, stored): (String, StoredCursor)| FeedCursor {
        name,
        lsn: Lsn(stored.lsn),
        time: from_millis(stored.millis),
    };
    Ok(reading.with(|moment| engine::cursors(moment.view))?.into_iter().map(told).collect())
}

fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name.len() > MAX_CURSOR_NAME {
        return Err(Error::invalid(
            "InvalidArgument",
            format!("the name of a cursor has 1 to {MAX_CURSOR_NAME} bytes, not {}", name.len()),
        ));
    }
    Ok(())
}
