//! Transactions: many changes, in any buckets, in one commit.

pub mod reach;

use std::sync::Arc;

use bytes::Bytes;

use crate::api::bucket::Bucket;
use crate::api::handle::Store;
use crate::api::object::Object;
use crate::catalog::{self, Rows};
use crate::engine::state::engine::Engine;
use crate::engine::{Exclusive, View};
use crate::error::Result;
use crate::model::{Durability, Lsn, ObjectMeta, VersionId};
use crate::ops::bucket::lifetime::{self, CreateBucketOptions};
use crate::ops::bucket::{feed, removal};
use crate::ops::copy::options::CopyOptions;
use crate::ops::copy::{copy, rename};
use crate::ops::object::body_in::Body;
use crate::ops::object::delete::{self, DeleteOptions};
use crate::ops::object::get::{self, Seen};
use crate::ops::object::get_options::GetOptions;
use crate::ops::object::put::{self, PutOptions};
use crate::ops::rows::rows;
use crate::ops::version::{restore_version, undelete};
use crate::write::batch::Batch;
use crate::write::context::{BucketRef, Reading};
use crate::write::outcome::StepOutcome;
use crate::write::staged::overlay::{Instant, Overlay, Staged};
use crate::write::step::Step;
use crate::write::{access_times, commit};

/// Bodies that wait in memory for their commit have at most this many bytes together; what comes behind goes
/// to the disk at once.
const MEMORY: usize = 8 << 20;

/// How a transaction is committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct WriteOptions {
    durability: Option<Durability>,
}

impl WriteOptions {
    /// Durable as [`Settings::durability`](crate::Settings::durability) says.
    pub fn new() -> WriteOptions {
        WriteOptions::default()
    }

    /// Sets when the commit is done; without it, [`Settings::durability`](crate::Settings::durability) counts.
    pub fn durability(mut self, durability: Durability) -> WriteOptions {
        self.durability = Some(durability);
        self
    }
}

/// A set of changes that become one commit. See [`Store::write`](super::Store::write).
///
/// Conditions are decided when the transaction commits. Its first *read* takes the store's write lock and keeps it until the
/// end: from then on nothing else is written, so what the transaction has read stays true and there are no conflicts. Keep such
/// transactions short, and write through the transaction only: a write through the store on the same thread fails with
/// `OperationConflict`.
///
/// ```
/// # fn main() -> ossicle::Result<()> {
/// # let store = ossicle::Store::in_memory()?;
/// let bucket = store.create_bucket("counters")?;
/// store.write(|tx| {
///     let visits = tx.row("app", b"visits")?.map_or(0, |row| row[0]);
///     tx.put_row("app", b"visits", &[visits + 1])?;
///     tx.put(&bucket, "last", b"now")
/// })?;
/// assert_eq!(&store.row("app", b"visits")?.unwrap()[..], [1]);
/// # Ok(())
/// # }
/// ```
///
/// # When errors are told
/// What is wrong with a request itself (a key, a tag, a length) and what the disk says while a body is written is told by the
/// call. What is refused because of what the store holds (a condition, a quota, protection, a bucket that is not there) is told
/// by [`Store::write`](super::Store::write) when the transaction is committed; once the transaction has read, by the call.
/// A call that is refused adds nothing to the transaction, which can go on without it.
#[derive(Debug)]
pub struct Transaction<'s> {
    store: &'s Store,
    engine: &'s Arc<Engine>,
    batch: Batch,
    memory: usize,
    reading: Option<ReadState<'s>>,
}

/// What a transaction that reads holds.
#[derive(Debug)]
struct ReadState<'s> {
    turn: Exclusive<'s>,
    view: Arc<View>,
    overlay: Overlay,
}

impl<'s> Transaction<'s> {
    pub(crate) fn begin(store: &'s Store) -> Result<Transaction<'s>> {
        let engine = store.engine();
        engine.check_writable()?;
        Ok(Transaction { store, engine, batch: Batch::default(), memory: 0, reading: None })
    }

    pub(crate) fn commit(self, options: WriteOptions) -> Result<()> {
        // Even without a step: what a synced transaction has read is durable when it returns.
        let durability = self.engine.settings().durability_for(options.durability);
        match self.reading {
            None => commit::commit(self.engine, self.batch, durability).map(|_| ()),
            Some(reading) => {
                commit::sync_bodies(self.engine, &self.batch, durability)?;
                let batch = self.batch.keeping_past().within(self.engine.shortlists(), true);
                let (batch, committed) = reading.turn.commit(batch, durability);
                batch.tell(self.engine, committed.is_ok());
                committed.map(|_| ())
            }
        }
    }

    /// Writes an object; see [`Bucket::put`].
    ///
    /// # Errors
    /// Those of [`Bucket::put`], see [when they are told](crate::Transaction#when-errors-are-told).
    pub fn put<'a>(&mut self, bucket: &Bucket, key: &str, body: impl Into<Body<'a>>) -> Result<()> {
        self.put_with(bucket, key, body, PutOptions::new())
    }

    /// [`put`](Transaction::put), with options; their durability has no effect, that of the transaction counts.
    ///
    /// # Errors
    /// Those of [`Bucket::put_with`], see [when they are told](crate::Transaction#when-errors-are-told).
    pub fn put_with<'a>(
        &mut self,
        bucket: &Bucket,
        key: &str,
        body: impl Into<Body<'a>>,
        options: PutOptions,
    ) -> Result<()> {
        let step = put::step(self.engine, bucket.reference(), key, body.into(), options, self.packed_max())?;
        self.push(step)
    }

    /// Bodies up to this length still wait in memory.
    fn packed_max(&self) -> usize {
        self.engine.settings().packed_max.min(MEMORY.saturating_sub(self.memory))
    }

    /// Deletes an object; see [`Bucket::delete`].
    ///
    /// # Errors
    /// Those of [`Bucket::delete`], see [when they are told](crate::Transaction#when-errors-are-told).
    pub fn delete(&mut self, bucket: &Bucket, key: &str) -> Result<()> {
        self.delete_with(bucket, key, DeleteOptions::new())
    }

    /// [`delete`](Transaction::delete), with conditions, or of one version for good.
    ///
    /// # Errors
    /// Those of [`Bucket::delete_with`], see [when they are told](crate::Transaction#when-errors-are-told).
    pub fn delete_with(&mut self, bucket: &Bucket, key: &str, options: DeleteOptions) -> Result<()> {
        self.push(delete::step(self.engine, bucket.reference(), key, &options)?)
    }

    /// Copies an object. No byte is copied, whatever the size; a copy that would need another encryption is
    /// `OperationNotSupported`.
    ///
    /// # Errors
    /// Those of [`Bucket::copy_from`]; `OperationNotSupported` for a copy that needs another encryption than its
    /// source.
    pub fn copy(&mut self, from: &Bucket, key: &str, to: &Bucket, new_key: &str) -> Result<()> {
        self.copy_with(from, key, to, new_key, CopyOptions::new())
    }

    /// [`copy`](Transaction::copy), with options; their durability has no effect.
    ///
    /// # Errors
    /// Those of [`copy`](Transaction::copy).
    pub fn copy_with(
        &mut self,
        from: &Bucket,
        key: &str,
        to: &Bucket,
        new_key: &str,
        options: CopyOptions,
    ) -> Result<()> {
        let (from, to) = ((from.reference(), key), (to.reference(), new_key));
        let step = copy::copy_step(self.engine, from, to, options)?;
        // Looked at now, so that a missing source is told here and not at the commit.
        self.read_state()?;
        self.push(step)
    }

    /// Gives an object another key, in this bucket or another one; see [`Bucket::rename`].
    ///
    /// # Errors
    /// Those of [`Bucket::rename`].
    pub fn rename(&mut self, from: &Bucket, key: &str, to: &Bucket, new_key: &str) -> Result<()> {
        self.rename_with(from, key, to, new_key, CopyOptions::new())
    }

    /// [`rename`](Transaction::rename), with conditions on the new key.
    ///
    /// # Errors
    /// Those of [`Bucket::rename_with`].
    pub fn rename_with(
        &mut self,
        from: &Bucket,
        key: &str,
        to: &Bucket,
        new_key: &str,
        options: CopyOptions,
    ) -> Result<()> {
        let (from, to) = ((from.reference(), key), (to.reference(), new_key));
        let step = rename::rename_step(self.engine, from, to, options)?;
        self.read_state()?;
        self.push(step)
    }

    /// Brings a deleted object back; see [`Bucket::undelete`].
    ///
    /// # Errors
    /// Those of [`Bucket::undelete`], see [when they are told](crate::Transaction#when-errors-are-told).
    pub fn undelete(&mut self, bucket: &Bucket, key: &str) -> Result<()> {
        self.push(undelete::undelete_step(self.engine, bucket.reference(), key)?)
    }

    /// Puts a copy of an older version on top; see [`Bucket::restore_version`].
    ///
    /// # Errors
    /// Those of [`Bucket::restore_version`], see [when they are told](crate::Transaction#when-errors-are-told).
    pub fn restore_version(&mut self, bucket: &Bucket, key: &str, version: &VersionId) -> Result<()> {
        self.push(restore_version::restore_step(self.engine, bucket.reference(), key, version)?)
    }

    /// Makes a bucket. Until the transaction is committed the handle can be used in this transaction only; if it is never
    /// committed, the handle answers `NoSuchBucket`. Counts as a read.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// # let store = ossicle::Store::in_memory()?;
    /// let inbox = store.write(|tx| {
    ///     let inbox = tx.create_bucket("inbox")?;
    ///     tx.put(&inbox, "welcome", b"hello")?;
    ///     Ok(inbox)
    /// })?;
    /// assert_eq!(&inbox.get("welcome")?.bytes()?[..], b"hello");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `InvalidBucketName` unless the name has 3 to 63 lower-case letters, digits and hyphens, with a letter or a
    /// digit at both ends; `BucketAlreadyExists` if there is a bucket of this name. Also [those of
    /// writing](crate::Store#errors-of-writing).
    pub fn create_bucket(&mut self, name: &str) -> Result<Bucket> {
        self.create_bucket_with(name, CreateBucketOptions::new())
    }

    /// [`create_bucket`](Transaction::create_bucket), with options.
    ///
    /// # Errors
    /// Those of [`create_bucket`](Transaction::create_bucket).
    pub fn create_bucket_with(&mut self, name: &str, options: CreateBucketOptions) -> Result<Bucket> {
        let (name, step) = lifetime::create_step(name, options)?;
        self.read_state()?;
        match self.push_and_see(step)? {
            Some(StepOutcome::Number(id)) => Ok(Bucket::new(self.store, BucketRef::coming(name, id))),
            _ => unreachable!("making a bucket comes to a bucket"),
        }
    }

    /// Opens a bucket, making it if it is missing; see
    /// [`Store::create_bucket_if_missing`](super::Store::create_bucket_if_missing). Of the handle of a bucket that is made,
    /// [`create_bucket`](Transaction::create_bucket) says what it is good for. Counts as a read.
    ///
    /// # Errors
    /// `InvalidBucketName` unless the name has 3 to 63 lower-case letters, digits and hyphens, with a letter or a
    /// digit at both ends. Also [those of writing](crate::Store#errors-of-writing).
    pub fn create_bucket_if_missing(&mut self, name: &str) -> Result<Bucket> {
        self.create_bucket_if_missing_with(name, CreateBucketOptions::new())
    }

    /// [`create_bucket_if_missing`](Transaction::create_bucket_if_missing), with options for the bucket that is made. One
    /// that is there already stays as it is, whatever they say.
    ///
    /// # Errors
    /// Those of [`create_bucket_if_missing`](Transaction::create_bucket_if_missing).
    pub fn create_bucket_if_missing_with(
        &mut self,
        name: &str,
        options: CreateBucketOptions,
    ) -> Result<Bucket> {
        let (name, step) = lifetime::create_missing_step(name, options)?;
        let state = self.read_state()?;
        let before = catalog::find_bucket(&catalog::Moment::now(&state.view), &name)?;
        match self.push_and_see(step)? {
            // Only what was there before the transaction is there without it.
            Some(StepOutcome::Number(id)) if before.is_some_and(|before| before.row.id == id) => {
                Ok(Bucket::new(self.store, BucketRef::new(name, id)))
            }
            Some(StepOutcome::Number(id)) => Ok(Bucket::new(self.store, BucketRef::coming(name, id))),
            _ => unreachable!("making a bucket comes to a bucket"),
        }
    }

    /// Removes a bucket, which must be empty by then: objects that the transaction has deleted before do not count.
    ///
    /// # Errors
    /// Those of [`Store::delete_bucket`](super::Store::delete_bucket), see [when they are
    /// told](crate::Transaction#when-errors-are-told).
    pub fn delete_bucket(&mut self, name: &str) -> Result<()> {
        self.push(removal::delete_step(name)?)
    }

    /// Gets an object as this transaction sees it, with its own changes so far.
    ///
    /// # Errors
    /// Those of [`Bucket::get`]. Also [those of writing](crate::Store#errors-of-writing).
    pub fn get(&mut self, bucket: &Bucket, key: &str) -> Result<Object> {
        self.get_with(bucket, key, GetOptions::new())
    }

    /// [`get`](Transaction::get), with a version, a range or conditions.
    ///
    /// # Errors
    /// Those of [`Bucket::get_with`]. Also [those of writing](crate::Store#errors-of-writing).
    pub fn get_with(&mut self, bucket: &Bucket, key: &str, options: GetOptions) -> Result<Object> {
        let seen = self.find(bucket, key, options.version.as_ref())?;
        get::select(self.engine, seen, &options).map(Object::new)
    }

    /// The metadata of an object as this transaction sees it, with its own changes so far.
    ///
    /// # Errors
    /// Those of [`Bucket::head`]. Also [those of writing](crate::Store#errors-of-writing).
    pub fn head(&mut self, bucket: &Bucket, key: &str) -> Result<ObjectMeta> {
        self.head_with(bucket, key, GetOptions::new())
    }

    /// [`head`](Transaction::head), with a version or conditions. A range has no effect.
    ///
    /// # Errors
    /// Those of [`Bucket::head_with`]. Also [those of writing](crate::Store#errors-of-writing).
    pub fn head_with(&mut self, bucket: &Bucket, key: &str, options: GetOptions) -> Result<ObjectMeta> {
        let meta = self.find(bucket, key, options.version.as_ref())?.meta;
        options.check(&meta)?;
        Ok(meta)
    }

    /// Whether there is an object under the key as this transaction sees it. A symlink counts, whether or not its target
    /// exists.
    ///
    /// # Errors
    /// Those of [`Bucket::exists`]. Also [those of writing](crate::Store#errors-of-writing).
    pub fn exists(&mut self, bucket: &Bucket, key: &str) -> Result<bool> {
        let engine = self.engine;
        bucket.reference().admit(&catalog::Moment::now(&engine.view()), key)?;
        let mut staged = self.read_state()?.staged(engine);
        let its = staged.bucket(bucket.reference())?;
        Ok(get::find_anywhere(its.bucket_view(&staged), key, None)?.is_some())
    }

    /// Writes a row of your own: a small value beside the objects, in the same commit. The name of the table has 1 to 255 bytes,
    /// the key at most 800 bytes, the value at most 256 KiB.
    ///
    /// # Errors
    /// `EntityTooLarge` for a value of more than 256 KiB; `InvalidArgument` for a table or a key that cannot be.
    pub fn put_row(&mut self, table: &str, key: &[u8], value: &[u8]) -> Result<()> {
        self.push(rows::put(table, key, value)?)
    }

    /// Deletes a row of your own. Succeeds if there is none.
    ///
    /// # Errors
    /// `InvalidArgument` for a table or a key that cannot be.
    pub fn delete_row(&mut self, table: &str, key: &[u8]) -> Result<()> {
        self.push(rows::delete(table, key)?)
    }

    /// Reads a row of your own as this transaction sees it; `None` if there is none.
    ///
    /// # Errors
    /// `InvalidArgument` for a table or a key that cannot be. Also [those of
    /// writing](crate::Store#errors-of-writing).
    pub fn row(&mut self, table: &str, key: &[u8]) -> Result<Option<Bytes>> {
        let key = crate::catalog::keyspace::keys::row(table, key)?;
        let engine = self.engine;
        let state = self.read_state()?;
        Ok(state.staged(engine).get(&key)?.map(|found| Bytes::from(found.payload)))
    }

    /// Sets a cursor of the change feed behind commit `lsn`, so that the work done for the changes and the new position are
    /// committed together. See [`Store::set_cursor`](super::Store::set_cursor).
    ///
    /// # Errors
    /// `InvalidArgument` unless the name has 1 to 255 bytes. The others of
    /// [`Store::set_cursor`](super::Store::set_cursor), see [when they are
    /// told](crate::Transaction#when-errors-are-told).
    pub fn set_cursor(&mut self, name: &str, lsn: Lsn) -> Result<()> {
        self.push(feed::step(self.engine, name, Some(lsn))?)
    }

    fn push(&mut self, step: impl Step + 'static) -> Result<()> {
        self.push_and_see(step).map(|_| ())
    }

    /// The same, and what the step came to, if the transaction reads.
    fn push_and_see(&mut self, step: impl Step + 'static) -> Result<Option<StepOutcome>> {
        // What is wrong with a step is told where it is made, once the transaction reads.
        let outcome = match &mut self.reading {
            Some(state) => Some(state.apply(&step, self.engine)?),
            None => None,
        };
        self.memory += step.memory();
        self.batch.steps.push(Box::new(step));
        Ok(outcome)
    }

    fn find(&mut self, bucket: &Bucket, key: &str, version: Option<&VersionId>) -> Result<Seen> {
        let engine = self.engine;
        bucket.reference().admit(&catalog::Moment::now(&engine.view()), key)?;
        let state = self.read_state()?;
        let view = state.newest(engine);
        let mut staged = state.staged(engine);
        let its = staged.bucket(bucket.reference())?;
        let versioned = its.versioning().is_some();
        let find = |key: &str, version| -> Result<Option<Seen>> {
            let Some((head, found)) = get::find_anywhere(its.bucket_view(&staged), key, version)? else {
                return Ok(None);
            };
            let body = staged.body(&view, &found.body)?;
            Seen::of(key, head, versioned, (Some(body), &staged), || engine.millis()).map(Some)
        };
        let own = find(key, version)?.ok_or_else(|| catalog::no_such_key(key))?;
        if its.monitored {
            access_times::note(&Reading::newest(engine), bucket.reference(), key);
        }
        get::follow(own, |target| find(target, None))
    }

    /// The rows as this transaction leaves them so far.
    pub(super) fn staged(&mut self) -> Result<Staged<'_>> {
        let engine = self.engine;
        Ok(self.read_state()?.staged(engine))
    }

    /// Takes the turn to write, if it is not taken yet, and applies the steps so far.
    fn read_state(&mut self) -> Result<&mut ReadState<'s>> {
        if self.reading.is_none() {
            let turn = self.engine.exclusive()?;
            let view = turn.view();
            let mut state = ReadState { turn, view, overlay: Overlay::that_lives_on() };
            for step in &self.batch.steps {
                state.apply(&**step, self.engine)?;
            }
            self.reading = Some(state);
        }
        Ok(self.reading.as_mut().expect("just taken"))
    }
}

impl ReadState<'_> {
    fn now(&self, engine: &Engine) -> Instant {
        Instant { lsn: self.view.lsn + 1, millis: engine.millis(), mistake: engine.mistake() }
    }

    /// The view with the newest table, because a body of this transaction may lie in a segment made since.
    fn newest(&self, engine: &Engine) -> View {
        View { segments: engine.segments(), ..View::clone(&self.view) }
    }

    fn staged(&mut self, engine: &Engine) -> Staged<'_> {
        let now = self.now(engine);
        self.overlay.staged(&self.view, now)
    }

    fn apply(&mut self, step: &dyn Step, engine: &Engine) -> Result<StepOutcome> {
        let now = self.now(engine);
        self.overlay.apply(&self.view, now, |staged| step.apply(staged))
    }
}
