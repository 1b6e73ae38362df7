//! Steps that happen together: every write, of one object or of many, is a batch decided inside the commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::body::Prepared;
use super::context::BucketRef;
use super::delete::DeleteOutcome;
use super::put::{Conditions, PutOutcome};
use crate::catalog::{self, HeadRow, keys};
use crate::engine::{
    self, BodyReader, Change, Engine, NewBody, OwnedBody, Proposal, Spender, State, StoredCursor, View, What,
};
use crate::error::{Error, ErrorKind, Result};
use crate::format::row::{self, BucketRow, ObjectRow};
use crate::index::Weight;
use crate::model::{BucketName, Durability, ETag, Lsn, ObjectMeta};

/// One step of a batch.
#[derive(Debug)]
pub enum Step {
    /// Writes an object.
    Put {
        /// The bucket.
        bucket: BucketRef,
        /// The key.
        key: String,
        /// The row, without the time.
        row: ObjectRow,
        /// The body.
        prepared: Prepared,
        /// What must hold.
        conditions: Conditions,
    },
    /// Deletes an object; fine if it is not there.
    Delete {
        /// The bucket.
        bucket: BucketRef,
        /// The key.
        key: String,
        /// What must hold.
        conditions: Conditions,
    },
    /// Gives an object another key, in this bucket or another one.
    Rename {
        /// The bucket it is in.
        from: BucketRef,
        /// The key it has.
        key: String,
        /// The bucket it goes to.
        to: BucketRef,
        /// The key it gets.
        new_key: String,
        /// What must hold of the key it gets.
        conditions: Conditions,
    },
    /// Makes a bucket.
    CreateBucket(BucketName),
    /// Removes an empty bucket.
    DeleteBucket(BucketName),
    /// Writes or (with `None`) deletes a row of the application's own.
    Row(Vec<u8>, Option<Vec<u8>>),
    /// Sets a cursor of the feed behind a commit, or (with `None`) removes it.
    Cursor(String, Option<u64>),
}

/// What a step came to.
#[derive(Clone, Debug)]
pub enum StepOutcome {
    /// Of a put or a rename.
    Put(PutOutcome),
    /// Of a delete.
    Delete(DeleteOutcome),
    /// Of making a bucket: its id.
    Bucket(u64),
    /// Of the others.
    None,
}

/// A key as the steps so far leave it.
#[derive(Clone, Debug)]
enum Local {
    Put { weight: Weight, body: NewBody, payload: Vec<u8> },
    Gone,
}

/// What the steps so far change, over the state that they are applied to.
#[derive(Debug, Default)]
pub struct Overlay {
    changed: BTreeMap<Vec<u8>, Local>,
    forwards: Vec<(OwnedBody, Vec<u8>)>,
    checked: Vec<BucketRef>,
}

/// The moment that steps are applied at.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The lsn of the commit.
    pub lsn: u64,
    /// Its time.
    pub millis: u64,
}

impl Overlay {
    /// Applies a step. An error leaves the overlay as it was.
    pub fn apply(&mut self, view: &View, step: &Step, moment: Moment) -> Result<StepOutcome> {
        match step {
            Step::Put { bucket, key, row, prepared, conditions } => {
                self.check_bucket(view, bucket)?;
                let at = keys::object(bucket.id, key);
                self.check_conditions(view, &at, key, conditions)?;
                let row = ObjectRow { modified: moment.millis, ..row.clone() };
                let etag = ETag::from_hash(&row.blake3);
                let local = Local::Put {
                    weight: catalog::weight_of(&row),
                    body: prepared.body.clone(),
                    payload: row::encode(&row),
                };
                self.changed.insert(at, local);
                Ok(StepOutcome::Put(PutOutcome { etag, version: None, lsn: Lsn(moment.lsn) }))
            }
            Step::Delete { bucket, key, conditions } => {
                self.check_bucket(view, bucket)?;
                let at = keys::object(bucket.id, key);
                self.check_conditions(view, &at, key, conditions)?;
                self.changed.insert(at, Local::Gone);
                Ok(StepOutcome::Delete(DeleteOutcome { version: None, marker: false }))
            }
            Step::Rename { from, key, to, new_key, conditions } => {
                self.rename(view, (from, key), (to, new_key), conditions, moment)
            }
            Step::CreateBucket(name) => self.create_bucket(view, name, moment),
            Step::DeleteBucket(name) => self.delete_bucket(view, name, moment),
            Step::Row(key, value) => {
                let local = match value {
                    None => Local::Gone,
                    Some(value) => {
                        Local::Put { weight: Weight::default(), body: NewBody::None, payload: value.clone() }
                    }
                };
                self.changed.insert(key.clone(), local);
                Ok(StepOutcome::None)
            }
            Step::Cursor(name, lsn) => self.set_cursor(view, name, *lsn, moment),
        }
    }

    /// Whether the cursor may stand there is looked at when the batch is decided.
    fn set_cursor(
        &mut self,
        view: &View,
        name: &str,
        lsn: Option<u64>,
        moment: Moment,
    ) -> Result<StepOutcome> {
        let key = engine::cursor_key(name);
        let current =
            self.find(view, &key)?.map(|(_, _, payload)| StoredCursor::decode(&payload)).transpose()?;
        if current.map(|cursor| cursor.lsn) != lsn {
            let payload = lsn.map(|lsn| StoredCursor { lsn, millis: moment.millis }.encode());
            self.apply(view, &Step::Row(key, payload), moment)?;
        }
        Ok(StepOutcome::None)
    }

    /// The changes that the steps add up to. What is not there is not deleted.
    fn into_changes(self, view: &View) -> Result<Vec<Change>> {
        let mut changes = Vec::with_capacity(self.changed.len());
        for (key, local) in self.changed {
            match local {
                Local::Put { weight, body, payload } => changes.push(Change::put(key, weight, body, payload)),
                Local::Gone => {
                    if view.index.get(&key)?.is_some_and(|item| !item.tombstone) {
                        changes.push(Change::delete(key));
                    }
                }
            }
        }
        for (body, owner) in self.forwards {
            let lives_on =
                changes.iter().any(|change| change.key == owner && matches!(change.what, What::Put { .. }));
            if lives_on {
                changes.extend(Change::forward(&body, &owner));
            }
        }
        Ok(changes)
    }

    fn check_bucket(&mut self, view: &View, bucket: &BucketRef) -> Result<()> {
        if self.checked.contains(bucket) {
            return Ok(());
        }
        let row = self.find(view, &keys::bucket(&bucket.name))?;
        let row: Option<BucketRow> = row.map(|(_, _, payload)| read_row(&payload)).transpose()?;
        if row.is_none_or(|row| row.id != bucket.id) {
            return Err(catalog::no_such_bucket(&bucket.name));
        }
        self.checked.push(bucket.clone());
        Ok(())
    }

    /// The body, the lsn (0 for what the batch itself wrote) and the payload under a key.
    fn find(&self, view: &View, key: &[u8]) -> Result<Option<(NewBody, u64, Vec<u8>)>> {
        match self.changed.get(key) {
            Some(Local::Gone) => Ok(None),
            Some(Local::Put { body, payload, .. }) => Ok(Some((body.clone(), 0, payload.clone()))),
            None => view.find(key, |stored| {
                Ok((NewBody::stored(&stored.body), stored.lsn, stored.payload.into_owned()))
            }),
        }
    }

    fn check_conditions(&self, view: &View, at: &[u8], key: &str, conditions: &Conditions) -> Result<()> {
        if !conditions.if_absent && conditions.if_match.is_none() {
            return Ok(());
        }
        let current = self.find(view, at)?;
        let row: Option<ObjectRow> = current.map(|(_, _, payload)| read_row(&payload)).transpose()?;
        conditions.check(key, row.as_ref())
    }

    fn rename(
        &mut self,
        view: &View,
        (from, key): (&BucketRef, &str),
        (to, new_key): (&BucketRef, &str),
        conditions: &Conditions,
        moment: Moment,
    ) -> Result<StepOutcome> {
        self.check_bucket(view, from)?;
        self.check_bucket(view, to)?;
        let (source, target) = (keys::object(from.id, key), keys::object(to.id, new_key));
        let (body, lsn, payload) = self.find(view, &source)?.ok_or_else(|| catalog::no_such_key(key))?;
        self.check_conditions(view, &target, new_key, conditions)?;
        let row: ObjectRow = read_row(&payload)?;
        let etag = ETag::from_hash(&row.blake3);
        if source == target {
            // Nothing is committed: the object stays that of the commit that wrote it.
            let lsn = Lsn(if lsn == 0 { moment.lsn } else { lsn });
            return Ok(StepOutcome::Put(PutOutcome { etag, version: None, lsn }));
        }
        if let NewBody::Extents(extents) = &body {
            self.forwards.push((OwnedBody::Many(extents.as_slice().into()), target.clone()));
        }
        self.changed.insert(source, Local::Gone);
        self.changed.insert(target, Local::Put { weight: catalog::weight_of(&row), body, payload });
        Ok(StepOutcome::Put(PutOutcome { etag, version: None, lsn: Lsn(moment.lsn) }))
    }

    fn create_bucket(&mut self, view: &View, name: &BucketName, moment: Moment) -> Result<StepOutcome> {
        let at = keys::bucket(name);
        if self.find(view, &at)?.is_some() {
            return Err(Error::new(
                ErrorKind::AlreadyExists,
                "BucketAlreadyExists",
                format!("the bucket {name} exists already; open it with `store.bucket`"),
            ));
        }
        // A commit makes one bucket at most, and no lsn comes twice: nor does an id.
        let row = BucketRow { id: moment.lsn, created: moment.millis, class: 0 };
        let payload = row::encode(&row);
        self.changed.insert(at, Local::Put { weight: Weight::default(), body: NewBody::None, payload });
        Ok(StepOutcome::Bucket(row.id))
    }

    fn delete_bucket(&mut self, view: &View, name: &BucketName, moment: Moment) -> Result<StepOutcome> {
        let at = keys::bucket(name);
        let (_, _, payload) = self.find(view, &at)?.ok_or_else(|| catalog::no_such_bucket(name))?;
        let row: BucketRow = read_row(&payload)?;
        let mut cursor = view.index.cursor();
        cursor.seek(&keys::object(row.id, ""))?;
        let first = cursor.key().and_then(keys::parse_object);
        if first.is_some_and(|(id, _)| id == row.id) {
            return Err(Error::new(
                ErrorKind::AlreadyExists,
                "BucketNotEmpty",
                format!("the bucket {name} is not empty; delete its objects first"),
            ));
        }
        self.changed.insert(at, Local::Gone);
        // The log may go on telling of what was in it.
        let named = Step::Row(keys::removed_bucket(row.id), Some(name.as_bytes().to_vec()));
        self.apply(view, &named, moment)
    }

    /// An object as the steps so far leave it; for reading inside a transaction.
    pub fn read(
        &self,
        view: &View,
        bucket: &BucketRef,
        key: &str,
    ) -> Result<Option<(ObjectMeta, BodyReader)>> {
        let Some((body, lsn, payload)) = self.find(view, &keys::object(bucket.id, key))? else {
            return Ok(None);
        };
        let row: ObjectRow = read_row(&payload)?;
        let meta = catalog::meta_of(key.to_string(), HeadRow { row, lsn })?;
        let body = match body {
            NewBody::None => OwnedBody::None,
            NewBody::Inline(bytes) | NewBody::Packed(bytes, _) => OwnedBody::Inline(bytes),
            NewBody::Extents(extents) => OwnedBody::Many(extents.into()),
        };
        Ok(Some((meta, BodyReader::new(view, body))))
    }

    /// A row of the application's own as the steps so far leave it.
    pub fn read_row(&self, view: &View, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.find(view, key)?.map(|(_, _, payload)| payload))
    }
}

fn read_row<R: row::Row>(payload: &[u8]) -> Result<R> {
    row::decode(payload).map_err(|reason| Error::corrupt("a row of the catalog", 0, reason))
}

/// Steps, decided together: all of them happen or none.
#[derive(Debug, Default)]
pub struct Batch {
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// What each came to, once it is committed.
    pub outcomes: Vec<StepOutcome>,
}

impl Batch {
    /// A batch of one step.
    pub fn of(step: Step) -> Batch {
        Batch { steps: vec![step], outcomes: Vec::new() }
    }
}

impl Proposal for Batch {
    fn decide(&mut self, state: &State<'_>) -> Result<Vec<Change>> {
        let moment = Moment { lsn: state.lsn, millis: state.millis };
        let mut overlay = Overlay::default();
        self.outcomes.clear();
        for step in &self.steps {
            if let Step::Cursor(_, Some(lsn)) = step {
                state.check_cursor(*lsn)?;
            }
            self.outcomes.push(overlay.apply(state.view, step, moment)?);
        }
        overlay.into_changes(state.view)
    }

    fn may_use_reserve(&self) -> Option<Spender> {
        // A cursor that moves lets go of log.
        let frees = |step: &Step| {
            matches!(
                step,
                Step::Delete { .. } | Step::DeleteBucket(_) | Step::Row(_, None) | Step::Cursor(..)
            )
        };
        self.steps.iter().all(frees).then_some(Spender::Delete)
    }
}

/// Commits a batch and returns what each step came to.
pub fn commit(engine: &Arc<Engine>, batch: Batch, durability: Durability) -> Result<(Vec<StepOutcome>, Lsn)> {
    sync_bodies(engine, &batch, durability)?;
    let (batch, committed) = engine.commit(batch, durability);
    Ok((batch.outcomes, committed?.lsn))
}

/// Streamed bodies are made durable on the caller's own thread, before its turn to commit.
pub fn sync_bodies(engine: &Engine, batch: &Batch, durability: Durability) -> Result<()> {
    if durability == Durability::Buffered {
        return Ok(());
    }
    for step in &batch.steps {
        if let Step::Put { prepared: Prepared { placed: Some(placed), .. }, .. } = step {
            engine.sync_body(placed)?;
        }
    }
    Ok(())
}
