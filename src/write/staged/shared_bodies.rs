//! Bodies that several rows refer to: who shares one from now on, and which are no longer needed.

use std::collections::{BTreeMap, BTreeSet};

use super::overlay::{Instant, Local};
use crate::catalog::keyspace::keys;
use crate::catalog::{self, Found, Moment, Rows, work};
use crate::engine::{self, BLOB_SPACE, BlobHead, Change, Keyed, NewBody, SharedRef, View, What};
use crate::env::Planted;
use crate::error::Result;
use crate::format::entry::{BlobId, Extent};
use crate::format::row::{self, ObjectRow, PendingWork, PieceRow};
use crate::index::Weight;

/// A shared body with more pieces than this is removed by maintenance, not by the commit that lets go of it.
const PIECES_AT_ONCE: u64 = 64;

/// The changes of a commit from which nothing follows: most commits.
pub(super) fn plain_changes(changed: BTreeMap<Vec<u8>, Local>, view: &View) -> Result<Vec<Change>> {
    let mut changes = Vec::with_capacity(changed.len());
    for (key, local) in changed {
        match local {
            Local::Put { weight, body, payload, .. } => {
                changes.push(Change { key, what: What::Put { weight, body, payload }, moved: None });
            }
            Local::Gone => {
                if view.index.get(&key)?.is_some_and(|item| !item.tombstone) {
                    changes.push(Change::delete(key));
                }
            }
        }
    }
    Ok(changes)
}

pub(super) fn has_blobs(view: &View) -> Result<bool> {
    let mut cursor = view.index.cursor();
    cursor.seek(&[BLOB_SPACE])?;
    Ok(cursor.key().is_some_and(|key| key.first() == Some(&BLOB_SPACE)))
}

/// A row on its way into a commit; without contents it is deleted.
pub(super) struct Row {
    pub(super) what: Option<(Weight, NewBody, Vec<u8>)>,
    /// Whether its body may have lain under another key.
    pub(super) moved: bool,
}

/// The rows of a commit, and what follows from them.
pub(super) struct Sum<'a> {
    pub(super) view: &'a View,
    pub(super) now: Instant,
    pub(super) rows: BTreeMap<Vec<u8>, Row>,
    /// What the rows held before.
    pub(super) old: BTreeMap<Vec<u8>, Found>,
    pub(super) refs: BTreeMap<BlobId, i64>,
    pub(super) past: u32,
}

impl Sum<'_> {
    pub(super) fn put(&mut self, key: Vec<u8>, body: NewBody, payload: Vec<u8>) {
        self.rows.insert(key, Row { what: Some((Weight::default(), body, payload)), moved: false });
    }

    /// A row whose body was taken to another key and that stays as it is: it owns the body still, so it is said
    /// again, and shares it from now on. Whether there is one.
    pub(super) fn keep_source(&mut self, key: &[u8]) -> Result<bool> {
        if self.rows.contains_key(key) {
            return Ok(false);
        }
        let Some(old) = Moment::now(self.view).get(key)? else {
            return Ok(false);
        };
        let payload = match row::decode::<ObjectRow>(&old.payload) {
            Ok(row) if row.lsn == 0 => row::encode(&ObjectRow { lsn: old.lsn, ..row }),
            _ => old.payload.clone(),
        };
        let what = Some((old.weight, old.body.clone(), payload));
        self.rows.insert(key.to_vec(), Row { what, moved: false });
        self.old.insert(key.to_vec(), old);
        Ok(true)
    }

    /// Keeps what is superseded, and notes when.
    pub(super) fn keep_past(&mut self) {
        let mut kept = Vec::new();
        for (key, old) in &self.old {
            let Some(at) = keys::history_at(key, old.lsn) else { continue };
            let payload = catalog::encode_past(self.now.lsn, &old.payload);
            kept.push((at, old.weight, old.body.clone(), payload));
        }
        let kept_any = !kept.is_empty() || !self.rows.is_empty();
        for (at, weight, body, payload) in kept {
            let trim = keys::trim(self.now.lsn, self.past);
            self.past += 1;
            self.put(trim, NewBody::None, at.clone());
            if self.now.mistake.is(Planted::NoPast) {
                continue;
            }
            self.rows.insert(at, Row { what: Some((weight, body, payload)), moved: true });
        }
        if kept_any {
            self.put(keys::time(self.now.millis, self.now.lsn), NewBody::None, Vec::new());
        }
    }

    /// Bodies that more than one row would own become shared; those that change their key are left word.
    pub(super) fn share(&mut self, numbers: &mut u32) {
        let mut owners: BTreeMap<Extent, Vec<Vec<u8>>> = BTreeMap::new();
        for (key, row) in &self.rows {
            if let Some((_, NewBody::Extents(extents), _)) = &row.what
                && let Some(first) = extents.first()
            {
                owners.entry(*first).or_default().push(key.clone());
            }
        }
        let mut forwards = Vec::new();
        for (_, keys) in owners {
            if keys.len() == 1 {
                self.forward(&keys[0], &mut forwards);
                continue;
            }
            *numbers += 1;
            let blob = BlobId { lsn: self.now.lsn, n: *numbers };
            let mut piece = None;
            for key in &keys {
                let Some(Row { what: Some((_, body, payload)), .. }) = self.rows.get_mut(key) else {
                    continue;
                };
                let NewBody::Extents(extents) = body else { continue };
                let len = extents.iter().map(|extent| extent.len).sum();
                let shared = NewBody::Shared(SharedRef::new(blob, len, extents));
                let own = std::mem::replace(body, shared);
                let blake3 = row::decode::<ObjectRow>(payload).ok();
                // Of a body in an envelope it is not the hash of what is stored.
                let blake3 = blake3.filter(|row| row.envelope().is_none()).and_then(|row| row.blake3);
                let best = piece.take();
                let known = blake3.or(match &best {
                    Some((_, row)) => PieceRow::clone(row).blake3,
                    None => None,
                });
                let row =
                    PieceRow { size: len, modified: self.now.millis, blake3: known, ..Default::default() };
                piece = Some((own, row));
            }
            let Some((body, row)) = piece else { continue };
            let at = engine::piece_key(blob, 0);
            self.put(at.clone(), body, row::encode(&row));
            if let Some(row) = self.rows.get_mut(&at) {
                row.moved = true;
            }
            self.forward(&at, &mut forwards);
            self.put(
                engine::head_key(blob),
                NewBody::None,
                BlobHead { refs: 0, pieces: 1, keyed: Keyed::Offset }.encode(),
            );
        }
        for (key, owner) in forwards {
            self.put(key, NewBody::None, owner);
        }
    }

    /// Leaves word of where the owner of a body is found, if its key is another one than before.
    fn forward(&self, key: &[u8], forwards: &mut Vec<(Vec<u8>, Vec<u8>)>) {
        let Some(Row { what: Some((_, NewBody::Extents(extents), _)), moved: true }) = self.rows.get(key)
        else {
            return;
        };
        let before: BTreeSet<Extent> = match self.old.get(key).map(|old| &old.body) {
            Some(NewBody::Extents(extents)) => extents.iter().copied().collect(),
            _ => BTreeSet::new(),
        };
        if self.now.mistake.is(Planted::NoForward) {
            return;
        }
        for extent in extents.iter().filter(|extent| !before.contains(extent)) {
            forwards.push((engine::forward_key(extent), key.to_vec()));
        }
    }

    /// Counts who refers to which blob, before and after.
    pub(super) fn count_refs(&mut self) {
        for row in self.rows.values() {
            if let Some((_, NewBody::Shared(shared), _)) = &row.what {
                *self.refs.entry(shared.blob).or_default() += 1;
            }
        }
        let each = match self.now.mistake {
            mistake if mistake.is(Planted::ShareUncounted) => 0,
            mistake if mistake.is(Planted::ShareCountedTwice) => 2,
            _ => 1,
        };
        for old in self.old.values() {
            if let NewBody::Shared(shared) = &old.body {
                *self.refs.entry(shared.blob).or_default() -= each;
            }
        }
    }

    /// Writes the heads of the blobs that something has changed for, and removes those that nothing refers to.
    pub(super) fn settle_blobs(
        &mut self,
        pieces: &BTreeMap<BlobId, (Keyed, i64)>,
        numbers: &mut u32,
    ) -> Result<()> {
        let changed: BTreeSet<BlobId> = self.refs.keys().chain(pieces.keys()).copied().collect();
        for blob in changed {
            let refs = self.refs.get(&blob).copied().unwrap_or(0);
            let (keyed, more) = pieces.get(&blob).map_or((None, 0), |(keyed, more)| (Some(*keyed), *more));
            if refs == 0 && more == 0 {
                continue;
            }
            let key = engine::head_key(blob);
            let made = match self.rows.get(&key).and_then(|row| row.what.as_ref()) {
                Some((_, _, payload)) => Some(BlobHead::decode(payload)?),
                None => Moment::now(self.view)
                    .get(&key)?
                    .map(|found| BlobHead::decode(&found.payload))
                    .transpose()?,
            };
            let mut head =
                made.unwrap_or(BlobHead { refs: 0, pieces: 0, keyed: keyed.unwrap_or(Keyed::Offset) });
            head.refs = head.refs.saturating_add_signed(refs);
            head.pieces = head.pieces.saturating_add_signed(more);
            if head.refs > 0 {
                if let Keyed::Solid { members, .. } = head.keyed
                    && head.refs * 2 < members
                    && head.refs.saturating_add_signed(-refs) * 2 >= members
                {
                    // Less than half of it is of use: what is left is packed anew.
                    *numbers += 1;
                    let work = work::work(self.now.millis, &key);
                    self.put(keys::moving(self.now.lsn, *numbers), NewBody::None, work);
                }
                self.put(key, NewBody::None, head.encode());
                continue;
            }
            if head.pieces <= PIECES_AT_ONCE {
                self.remove_blob(blob)?;
                continue;
            }
            self.put(key, NewBody::None, head.encode());
            let work = PendingWork::Blob { lsn: blob.lsn, n: blob.n };
            *numbers += 1;
            self.put(keys::tidy(self.now.lsn, *numbers), NewBody::None, row::encode(&work));
        }
        Ok(())
    }

    /// Removes a blob's rows.
    fn remove_blob(&mut self, blob: BlobId) -> Result<()> {
        let (start, end) = (engine::head_key(blob), engine::end_key(blob));
        let mut gone: Vec<Vec<u8>> = Vec::new();
        Moment::now(self.view).walk(&start, &end, &mut |key| {
            gone.push(key.to_vec());
            Ok(true)
        })?;
        let made: Vec<Vec<u8>> = self.rows.range(start..end).map(|(key, _)| key.clone()).collect();
        for key in made {
            self.rows.remove(&key);
        }
        for key in gone {
            self.rows.insert(key, Row { what: None, moved: false });
        }
        Ok(())
    }

    pub(super) fn into_changes(self) -> Vec<Change> {
        let change = |(key, row): (Vec<u8>, Row)| match row.what {
            Some((weight, body, payload)) => {
                Change { key, what: What::Put { weight, body, payload }, moved: None }
            }
            None => Change::delete(key),
        };
        self.rows.into_iter().map(change).collect()
    }
}
