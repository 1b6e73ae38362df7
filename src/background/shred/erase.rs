//! ROWS Erasing the versions under a key or prefix.

use std::sync::Arc;

use parking_lot::Mutex;

use super::leftovers::Part;
use super::target::What;
use crate::catalog::changes::note::{self, Said};
use crate::catalog::keyspace::keys;
use crate::catalog::{self, BucketState, HeadRow, Kind, Rows, unreadable};
use crate::engine::NewBody;
use crate::error::{Error, ErrorKind, Result};
use crate::format::row::PendingWork;
use crate::index::Weight;
use crate::model::VersionId;
use crate::ops::bucket::removal::remove as remove_bucket;
use crate::ops::listing::walk::end_of;
use crate::ops::prefix::checks::check_protected;
use crate::write::context::BucketRef;
use crate::write::outcome::StepOutcome;
use crate::write::staged::overlay::Staged;
use crate::write::step::Step;
use crate::write::version_chain::Chain;
use crate::write::{retained, spaces};

/// How many versions one commit removes at most.
pub(super) const ROWS: usize = 256;

/// The first step: checks, and leaves word.
#[derive(Debug)]
pub(super) struct BeginStep {
    pub(super) bucket: BucketRef,
    pub(super) what: What,
    pub(super) tally: Arc<Mutex<Tally>>,
}

impl Step for BeginStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        let state = staged.bucket(&self.bucket)?;
        refuse_shared(staged, &state)?;
        if retained::is_kept(staged)? {
            return Err(Error::new(
                ErrorKind::Immutable,
                "FileImmutable",
                "the store retains its past, which would show what is shredded; forget it first, with \
                 `Store::set_history(None)`",
            ));
        }
        let (prefix, exact) = match &self.what {
            What::Key(key) => (key.clone(), true),
            What::Prefix(prefix) => (prefix.clone(), false),
            What::Bucket => (String::new(), false),
        };
        match exact {
            true => check_key(staged, &state, &prefix)?,
            false => check_protected(staged, &state, &prefix)?,
        }
        let (bucket, id) = (state.name.to_string(), state.row.id);
        let drop = self.what == What::Bucket;
        let tally = erase_some(staged, &PendingWork::Erase { bucket, id, prefix, exact, drop })?;
        *self.tally.lock() = tally;
        Ok(StepOutcome::None)
    }

    fn frees(&self) -> bool {
        true
    }
}

/// Refuses a bucket of which others read what is written in it, or that reads what others have written.
fn refuse_shared(staged: &Staged<'_>, state: &BucketState) -> Result<()> {
    let mut shared = state.row.parent.is_some() || !state.route.borrowed().is_empty();
    for space in state.route.own_spaces() {
        shared |= spaces::borrowers(staged, space)? > 0;
    }
    if !shared {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Immutable,
        "FileImmutable",
        format!(
            "the bucket {} is a fork or has forks, and they have its objects in common; delete the forks first, or \
             shred what was copied out of them",
            state.name
        ),
    ))
}

fn check_key(staged: &mut Staged<'_>, state: &BucketState, key: &str) -> Result<()> {
    for (version, _) in versions_of(staged, state, key, usize::MAX)? {
        let chain = Chain::new(staged, state);
        if let Some((head, ..)) = catalog::find_version(state.bucket_view(chain.staged), key, &version)? {
            chain.guard(key, &head)?;
        }
    }
    Ok(())
}

/// What one version takes with it.
#[derive(Clone, Debug)]
pub(super) struct Gone {
    pub(super) marker: bool,
    pub(super) bytes: u64,
    pub(super) part: Option<Part>,
}

/// At most so many versions of a key, the current one last and only if these are all.
fn versions_of(
    staged: &Staged<'_>,
    state: &BucketState,
    key: &str,
    most: usize,
) -> Result<Vec<(VersionId, Gone)>> {
    let bucket_view = state.bucket_view(staged);
    let gone = |head: &HeadRow, body: &NewBody| Gone {
        marker: head.row.is_marker(),
        bytes: head.row.size,
        part: match body {
            NewBody::Shared(shared) => Some((shared.blob, shared.offset)),
            _ => None,
        },
    };
    let (mut found, mut after) = (Vec::new(), Vec::new());
    while let Some((tail, older)) = bucket_view.next_version(Kind::Version, key.as_bytes(), &after)? {
        if found.len() >= most {
            return Ok(found);
        }
        let head = HeadRow::of(key, &older)?;
        found.push((head.version(), gone(&head, &older.body)));
        after = tail;
    }
    if let Some((head, current)) = catalog::find_head(bucket_view, key)? {
        found.push((head.version(), gone(&head, &current.body)));
    }
    Ok(found)
}

/// What a commit has removed.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) gone: Vec<Gone>,
    pub(super) uploads: u64,
    /// Whether nothing is left to be removed.
    done: bool,
}

/// A bounded part of what is to go.
#[derive(Debug)]
pub(super) struct EraseStep {
    pub(super) key: Vec<u8>,
    pub(super) work: PendingWork,
    pub(super) tally: Arc<Mutex<Tally>>,
}

impl Step for EraseStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        // It may be decided more than once.
        *self.tally.lock() = Tally::default();
        if staged.has(&self.key)? {
            staged.remove(self.key.clone());
            *self.tally.lock() = erase_some(staged, &self.work)?;
        }
        Ok(StepOutcome::None)
    }

    fn frees(&self) -> bool {
        true
    }
}

/// Removes a bounded part of what is to go, and leaves word of the rest, or to shred it.
fn erase_some(staged: &mut Staged<'_>, work: &PendingWork) -> Result<Tally> {
    let mut tally = Tally { done: true, ..Tally::default() };
    let PendingWork::Erase { bucket, id, prefix, exact, drop } = work else { return Ok(tally) };
    let state = catalog::find_bucket(staged, bucket)?.filter(|state| state.row.id == *id);
    if let Some(state) = state {
        // There may be a fork since the last commit.
        refuse_shared(staged, &state)?;
        erase(staged, &state, (prefix, *exact), &mut tally)?;
        if tally.done && *drop {
            remove_bucket(staged, &state)?;
            // The log goes on telling of nothing that was in it.
            staged.remove(keys::bucket_by_id(*id));
        }
    }
    if tally.done {
        staged.leave(&PendingWork::Shred { fresh: None });
    } else {
        staged.leave(work);
    }
    Ok(tally)
}

pub(super) fn erase(
    staged: &mut Staged<'_>,
    state: &BucketState,
    (prefix, exact): (&str, bool),
    tally: &mut Tally,
) -> Result<()> {
    let end = if exact { [prefix.as_bytes(), &[0]].concat() } else { end_of(prefix) };
    let mut from = prefix.as_bytes().to_vec();
    while let Some((key, _)) = state.bucket_view(staged).next(Kind::Head, &from, Some(&end))? {
        if tally.gone.len() >= ROWS {
            tally.done = false;
            return Ok(());
        }
        let key = String::from_utf8(key).map_err(|_| unreadable("the key of an object is not UTF-8"))?;
        for (version, gone) in versions_of(staged, state, &key, ROWS)? {
            Chain::new(staged, state).delete_version(&key, &version)?;
            tally.gone.push(gone);
        }
        from = key.into_bytes();
    }
    let uploads =
        (keys::uploads_from(state.row.id, prefix.as_bytes()), keys::uploads_from(state.row.id, &end));
    let accesses = (keys::access(state.row.id, prefix.as_bytes()), keys::access(state.row.id, &end));
    for (range, is_upload) in [(uploads, true), (accesses, false)] {
        let mut found = Vec::new();
        staged.walk(&range.0, &range.1, &mut |key| {
            found.push(key.to_vec());
            Ok(found.len() <= ROWS)
        })?;
        tally.done &= found.len() <= ROWS;
        tally.uploads += if is_upload { found.len() as u64 } else { 0 };
        found.into_iter().for_each(|key| staged.remove(key));
    }
    Ok(())
}

/// Removes words, or replaces what could not be erased by word that shreds what was.
#[derive(Debug)]
pub(super) struct EndStep {
    pub(super) words: Vec<Vec<u8>>,
    pub(super) leaves: bool,
}

impl Step for EndStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        for word in &self.words {
            staged.remove(word.clone());
        }
        if self.leaves {
            staged.leave(&PendingWork::Shred { fresh: None });
        }
        // Written whether there is anything to say or not: the note of the last commit may tell a name.
        staged.put(vec![keys::NOTE], Weight::default(), note::encode(&[Said::Tidied]));
        Ok(StepOutcome::None)
    }

    fn frees(&self) -> bool {
        true
    }
}
