//! Writing rows: what steps change, and the bucket they change it in.

use std::sync::Arc;

use super::overlay::{Local, Staged, TouchedVersion};
use crate::catalog::changes::note::Said;
use crate::catalog::keyspace::keys;
use crate::catalog::{self, BucketState, Kind, Moment};
use crate::engine::{FORWARD_SPACE, Keyed, NewBody};
use crate::error::Result;
use crate::format::entry::BlobId;
use crate::format::row::{self, BucketRow, PendingWork};
use crate::index::Weight;
use crate::write::context::BucketRef;

impl Staged<'_> {
    /// A bucket; `NoSuchBucket` unless it is still the one that the handle means.
    pub fn bucket(&mut self, bucket: &BucketRef) -> Result<Arc<BucketState>> {
        let known = |state: &&Arc<BucketState>| state.row.id == bucket.id && state.name == bucket.name;
        if let Some(state) = self.overlay.buckets.iter().find(known) {
            return Ok(state.clone());
        }
        let state = if self.overlay.changed.contains_key(&keys::bucket(&bucket.name)) {
            let found = catalog::find_bucket(self, &bucket.name)?;
            found
                .filter(|state| state.row.id == bucket.id)
                .ok_or_else(|| catalog::no_such_bucket(&bucket.name))?
        } else {
            // The view may have commits of the same group, which may come to nothing yet: the handle must not keep
            // what they say.
            bucket.state_unkept(&Moment::now(self.view))?
        };
        self.overlay.buckets.push(state.clone());
        let watched = self.overlay.watches_all || state.budget.is_some();
        if watched && !self.overlay.visited.iter().any(|visited| visited.id == bucket.id) {
            self.overlay.visited.push(bucket.clone());
        }
        Ok(state)
    }

    /// The buckets that were looked up and have a budget; all of them if the store has one.
    pub fn visited(&self) -> Vec<BucketRef> {
        self.overlay.visited.clone()
    }

    /// Remembers that a version is written or removed, if its bucket is watched.
    pub fn note_laid(&mut self, state: &BucketState, kind: Kind, key: &str, tail: &[u8]) {
        let watched = self.overlay.watches_all || state.budget.is_some();
        if watched && matches!(kind, Kind::Head | Kind::Version) {
            self.overlay.laid.push((state.row.id, key.to_string(), keys::parse_tail(tail)));
        }
    }

    /// The versions that were written or removed in watched buckets.
    pub fn take_laid(&mut self) -> Vec<TouchedVersion> {
        std::mem::take(&mut self.overlay.laid)
    }

    /// A bucket by its name.
    pub fn bucket_named(&mut self, name: &str) -> Result<Arc<BucketState>> {
        catalog::find_bucket(self, name)?.ok_or_else(|| catalog::no_such_bucket(name))
    }

    /// Writes a bucket's row.
    pub fn put_bucket(&mut self, name: &str, row: &BucketRow) {
        self.overlay.buckets.clear();
        self.put(keys::bucket(name), Weight::default(), row::encode(row));
    }

    /// Removes a bucket's row.
    pub fn remove_bucket(&mut self, name: &str) {
        self.overlay.buckets.clear();
        self.remove(keys::bucket(name));
    }

    /// Writes a row without a body.
    pub fn put(&mut self, key: Vec<u8>, weight: Weight, payload: Vec<u8>) {
        self.set(key, Local::Put { weight, body: NewBody::None, payload, carried: None });
    }

    /// Writes a row with a body that was brought along.
    pub fn put_new(&mut self, key: Vec<u8>, weight: Weight, body: NewBody, payload: Vec<u8>) {
        self.set(key, Local::Put { weight, body, payload, carried: None });
    }

    /// Writes a row with a body that was found under this or another key. Whether that one keeps it as well is
    /// seen at the end; if it does, the body is shared.
    pub fn put_found(
        &mut self,
        key: Vec<u8>,
        weight: Weight,
        body: NewBody,
        found_at: Vec<u8>,
        payload: Vec<u8>,
    ) {
        self.set(key, Local::Put { weight, body, payload, carried: Some(found_at) });
    }

    /// Removes a row; fine if there is none.
    pub fn remove(&mut self, key: Vec<u8>) {
        self.set(key, Local::Gone);
    }

    /// Counts pieces that are put under a blob or taken from it.
    pub fn count_pieces(&mut self, blob: BlobId, keyed: Keyed, more: i64) {
        self.overlay.pieces.entry(blob).or_insert((keyed, 0)).1 += more;
    }

    /// A number that this commit has not used yet.
    pub fn number(&mut self) -> u32 {
        self.overlay.numbers += 1;
        self.overlay.numbers
    }

    /// The id of a space that nothing has used yet.
    pub fn space(&mut self) -> u64 {
        let n = self.overlay.spaces;
        self.overlay.spaces += 1;
        keys::space_id(self.now.lsn, n)
    }

    /// Leaves work to be done in bounded steps.
    pub fn leave(&mut self, work: &PendingWork) {
        let key = keys::tidy(self.now.lsn, self.number());
        self.put(key, Weight::default(), row::encode(work));
    }

    /// Says in words of objects what the keys of the commit do not tell.
    pub fn say(&mut self, said: Said) {
        self.overlay.said.push(said);
    }

    fn set(&mut self, key: Vec<u8>, local: Local) {
        debug_assert!(key.first() != Some(&FORWARD_SPACE));
        if self.overlay.lives_on {
            let before = self.overlay.changed.insert(key.clone(), local);
            self.overlay.undo.push((key, before));
        } else {
            self.overlay.changed.insert(key, local);
        }
    }

    pub(super) fn is_gone(&self, key: &[u8]) -> bool {
        matches!(self.overlay.changed.get(key), Some(Local::Gone))
    }
}
