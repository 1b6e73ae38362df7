//! The store: an opened directory, and the way to its buckets.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;

use super::batch::Batch;
use super::bucket::Bucket;
use super::changes::Changes;
use super::handle::Store;
use super::snapshot::Snapshot;
use super::transaction::{Transaction, WriteOptions};
use super::verify::VerifyOptions;
use crate::background::compact::{self, CompactOptions};
use crate::background::report::MaintainReport;
use crate::background::work;
use crate::engine::Stats;
use crate::error::Result;
use crate::model::{FeedCursor, Lsn, Usage};
use crate::ops::bucket::history::{self, AsOf};
use crate::ops::bucket::lifetime::{self, CreateBucketOptions};
use crate::ops::bucket::{feed, fork, removal};
use crate::ops::listing::usage::{self, UsageOptions};
use crate::ops::rows::rows;
use crate::rescue::VerifyReport;
use crate::write::access_times;
use crate::write::context::Reading;

impl Store {
    /// Makes a bucket. Durable when it returns. The name has 3 to 63 lower-case letters, digits and hyphens.
    ///
    /// # Errors
    /// `InvalidBucketName` unless the name has 3 to 63 lower-case letters, digits and hyphens, with a letter or a
    /// digit at both ends; `BucketAlreadyExists` if there is a bucket of this name. Also [those of
    /// writing](crate::Store#errors-of-writing).
    pub fn create_bucket(&self, name: &str) -> Result<Bucket> {
        self.create_bucket_with(name, CreateBucketOptions::new())
    }

    /// [`create_bucket`](Store::create_bucket), with options.
    ///
    /// # Errors
    /// Those of [`create_bucket`](Store::create_bucket).
    pub fn create_bucket_with(&self, name: &str, options: CreateBucketOptions) -> Result<Bucket> {
        Ok(Bucket::new(self, lifetime::create(self.engine(), name, options)?))
    }

    /// Opens a bucket, and makes it if it is missing. If several threads do so at once, one of them makes it, and all get the
    /// same bucket.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// # let store = ossicle::Store::in_memory()?;
    /// store.create_bucket_if_missing("cats")?.put("tom", b"meow")?;
    /// assert!(store.create_bucket_if_missing("cats")?.exists("tom")?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `InvalidBucketName` unless the name has 3 to 63 lower-case letters, digits and hyphens, with a letter or a
    /// digit at both ends. Also [those of writing](crate::Store#errors-of-writing). The bucket need not be missing
    /// for those: use [`bucket`](Store::bucket) in a store that is only read.
    pub fn create_bucket_if_missing(&self, name: &str) -> Result<Bucket> {
        self.create_bucket_if_missing_with(name, CreateBucketOptions::new())
    }

    /// [`create_bucket_if_missing`](Store::create_bucket_if_missing), with options for the bucket that is made. They
    /// do not change an existing bucket.
    ///
    /// # Errors
    /// Those of [`create_bucket_if_missing`](Store::create_bucket_if_missing).
    pub fn create_bucket_if_missing_with(&self, name: &str, options: CreateBucketOptions) -> Result<Bucket> {
        Ok(Bucket::new(self, lifetime::create_if_missing(self.engine(), name, options)?))
    }

    /// Makes a bucket that begins as a copy of another one: one commit that copies no object, whatever the bucket holds. Later
    /// writes to one of the two do not show in the other. A fork need not be empty to be removed by
    /// [`delete_bucket`](Store::delete_bucket).
    ///
    /// Uploads in progress and a retention policy are not copied.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// # let store = ossicle::Store::in_memory()?;
    /// store.create_bucket("live")?.put("limits", b"10")?;
    /// let trial = store.fork_bucket("live", "trial")?;
    /// trial.put("limits", b"99")?;
    /// assert_eq!(&store.bucket("live")?.get("limits")?.bytes()?[..], b"10");
    /// store.delete_bucket("trial")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `InvalidBucketName` for a name that no bucket can have; `NoSuchBucket` if there is no bucket `from`;
    /// `BucketAlreadyExists` if there is one of the new name; `TooManyForks` if `from` stands on 16 layers of forks
    /// of forks. Also [those of writing](crate::Store#errors-of-writing).
    pub fn fork_bucket(&self, from: &str, name: &str) -> Result<Bucket> {
        Ok(Bucket::new(self, fork::fork(self.engine(), from, name)?))
    }

    /// Opens a bucket that exists.
    ///
    /// # Errors
    /// `InvalidBucketName` for a name that no bucket can have; `NoSuchBucket` if there is none of this name. Also
    /// [those of reading](crate::Store#errors-of-reading).
    pub fn bucket(&self, name: &str) -> Result<Bucket> {
        Ok(Bucket::new(self, lifetime::find(&self.reading(), name)?))
    }

    /// Lists all buckets, in the order of their names.
    ///
    /// # Errors
    /// `StoreClosed` if the store was closed. The iterator answers [those of
    /// reading](crate::Store#errors-of-reading).
    pub fn buckets(&self) -> Result<Buckets> {
        self.engine().check_open()?;
        Ok(Buckets::new(self.clone()))
    }

    /// Removes an empty bucket, or a fork with everything in it.
    ///
    /// # Errors
    /// - `InvalidBucketName` for a name that no bucket can have.
    /// - `NoSuchBucket` if there is none of this name.
    /// - `BucketNotEmpty` if there is an object, a version, a delete marker or an upload in it, and it is no fork.
    /// - `FileImmutable` for a fork in which an object is protected that the bucket it was made from does not show.
    ///
    /// Also [those of writing](crate::Store#errors-of-writing).
    pub fn delete_bucket(&self, name: &str) -> Result<()> {
        removal::delete(self.engine(), name)
    }

    /// Runs `work` and commits everything that it does through the transaction as one commit. If it returns an error, nothing
    /// happens, and the error is returned. See [`Transaction`].
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// # let store = ossicle::Store::in_memory()?;
    /// let (inbox, done) = (store.create_bucket("inbox")?, store.create_bucket("done")?);
    /// inbox.put("job", b"resize cat.jpg")?;
    /// store.write(|tx| tx.rename(&inbox, "job", &done, "job"))?;
    /// assert!(done.exists("job")? && !inbox.exists("job")?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// - What `work` returns.
    /// - What a call of the transaction is refused for and was not told before, see [when they are
    ///   told](crate::Transaction#when-errors-are-told).
    /// - `EntityTooLarge` if the rows of the commit have more than 64 MiB.
    ///
    /// Also [those of writing](crate::Store#errors-of-writing). After any error but `CommitUnknown` nothing of the
    /// transaction has happened.
    pub fn write<R>(&self, work: impl FnOnce(&mut Transaction<'_>) -> Result<R>) -> Result<R> {
        self.write_with(WriteOptions::default(), work)
    }

    /// [`write`](Store::write), with options: when the commit is done.
    ///
    /// # Errors
    /// Those of [`write`](Store::write).
    pub fn write_with<R>(
        &self,
        options: WriteOptions,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<R>,
    ) -> Result<R> {
        let mut transaction = Transaction::begin(self)?;
        let answer = work(&mut transaction)?;
        transaction.commit(options)?;
        Ok(answer)
    }

    /// Reads a row of your own, written by [`Transaction::put_row`]; `None` if there is none.
    ///
    /// # Errors
    /// `InvalidArgument` for a table that has not 1 to 255 bytes or has a NUL in it, and for a key of more than 800
    /// bytes. Also [those of reading](crate::Store#errors-of-reading).
    pub fn row(&self, table: &str, key: &[u8]) -> Result<Option<Bytes>> {
        rows::get(&self.reading(), table, key)
    }

    /// Takes a snapshot: a view of the store that later writes do not change. It costs nothing to take; while it is held, the
    /// bytes that it shows are kept.
    ///
    /// # Errors
    /// `StoreClosed` if the store was closed.
    pub fn snapshot(&self) -> Result<Snapshot> {
        self.engine().check_open()?;
        let view = self.engine().pin();
        let mut live = self.0.snapshots.lock();
        live.retain(|known| known.strong_count() > 0);
        live.push(Arc::downgrade(&view));
        Ok(Snapshot::new(Reading::pinned(self.engine(), view)))
    }

    /// Sets for how long objects that are overwritten or deleted from now on can still be read by [`as_of`](Store::as_of), by the
    /// store's clock, in whole milliseconds. They take room until then. `None` forgets the past. The setting is stored.
    ///
    /// # Errors
    /// [Those of writing](crate::Store#errors-of-writing).
    pub fn set_history(&self, span: Option<Duration>) -> Result<()> {
        history::set(self.engine(), span)
    }

    /// The span set by [`set_history`](Store::set_history); `None` if the past is not retained.
    ///
    /// # Errors
    /// [Those of reading](crate::Store#errors-of-reading).
    pub fn history(&self) -> Result<Option<Duration>> {
        history::get(&self.reading())
    }

    /// The store as it was at a time or behind a commit, as far back as [`set_history`](Store::set_history) says or a live
    /// snapshot shows. What the returned snapshot shows is kept while it is held.
    ///
    /// A time means every commit up to it by the store's clock. A live snapshot shows all times from its last commit up to, but
    /// not including, the next one; the newest state shows all times since its last commit.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// # let store = ossicle::Store::in_memory()?;
    /// store.set_history(Some(std::time::Duration::from_secs(3600)))?;
    /// let cats = store.create_bucket("cats")?;
    /// let first = cats.put("tom", b"meow")?;
    /// cats.put("tom", b"hiss")?;
    /// assert_eq!(&store.as_of(first.lsn)?.bucket("cats")?.get("tom")?.bytes()?[..], b"meow");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `NoSuchMoment` if that is neither retained nor shown by a live snapshot; `InvalidArgument` for a commit that
    /// is not made yet. Also [those of reading](crate::Store#errors-of-reading).
    pub fn as_of(&self, moment: impl Into<AsOf>) -> Result<Snapshot> {
        let reading = Reading::pinned(self.engine(), self.engine().pin());
        let held: Vec<_> = self.0.snapshots.lock().iter().filter_map(Weak::upgrade).collect();
        history::find(reading, moment.into(), &held).map(Snapshot::new)
    }

    /// The change feed: every commit after `after`, in order, as one [`Change`](crate::Change) each. `Lsn::default()` is the
    /// beginning. The feed is read from the log and costs writers nothing.
    ///
    /// Only durable commits are returned; a buffered one is synced when the feed comes to it, so that no crash takes back a change
    /// that was returned. Old commits leave the log when objects no longer need them; a cursor ([`set_cursor`](Store::set_cursor))
    /// keeps those behind it.
    ///
    /// To follow from the beginning, or again after `FeedTruncated`, without a gap and without a duplicate: take a snapshot, set a
    /// cursor to its lsn, copy what it shows, then go on with the changes after it.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// use ossicle::ChangeOp;
    /// let store = ossicle::Store::in_memory()?;
    /// let cats = store.create_bucket("cats")?;
    /// cats.put("tom", b"meow")?;
    ///
    /// let snapshot = store.snapshot()?;
    /// store.set_cursor("mirror", snapshot.lsn())?;
    /// let mut mirror = std::collections::BTreeMap::new();
    /// for entry in snapshot.bucket("cats")?.list("")? {
    ///     mirror.insert(entry?.name().to_string(), snapshot.lsn());
    /// }
    /// cats.put("kit", b"mew")?;
    /// cats.delete("tom")?;
    ///
    /// let mut changes = store.changes(snapshot.lsn())?;
    /// let mut last = snapshot.lsn();
    /// for change in changes.by_ref() {
    ///     let change = change?;
    ///     for op in change.ops {
    ///         match op {
    ///             ChangeOp::Put { key, .. } => mirror.insert(key, change.lsn),
    ///             ChangeOp::Delete { key, .. } => mirror.remove(&key),
    ///             _ => None,
    ///         };
    ///     }
    ///     last = change.lsn;
    /// }
    /// store.set_cursor("mirror", last)?;
    /// assert_eq!(mirror.keys().collect::<Vec<_>>(), ["kit"]);
    /// assert!(!changes.wait(std::time::Duration::ZERO)?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `FeedTruncated` if commits behind `after` are no longer in the log: at once if that is known, else when the
    /// feed comes to the gap, before anything behind it is told. `InvalidArgument` if there is no commit `after` yet.
    /// `OperationConflict` on a thread that is inside a transaction that has read. Also [those of
    /// reading](crate::Store#errors-of-reading).
    pub fn changes(&self, after: Lsn) -> Result<Changes> {
        Changes::begin(self.engine(), after)
    }

    /// The position of a cursor: the last commit that its owner has processed. `None` if there is no such cursor.
    ///
    /// # Errors
    /// `InvalidArgument` unless the name has 1 to 255 bytes. Also [those of reading](crate::Store#errors-of-reading).
    pub fn cursor(&self, name: &str) -> Result<Option<Lsn>> {
        feed::cursor(&self.reading(), name)
    }

    /// Sets a cursor, a durable position in the change feed, and makes it if it is missing. From then on the log keeps every
    /// commit after `lsn`, up to [`Settings::feed_bytes`](crate::Settings::feed_bytes) bytes that nothing else needs. A cursor can
    /// be set back as far as the log reaches. Setting a cursor is an (empty) commit too: set it only after changes that were not
    /// empty, or the feed never ends. The name has 1 to 255 bytes.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// # let store = ossicle::Store::in_memory()?;
    /// let put = store.create_bucket("orders")?.put("1", b"two cats")?;
    /// store.set_cursor("mailer", put.lsn)?;
    /// assert_eq!(store.cursor("mailer")?, Some(put.lsn));
    /// store.remove_cursor("mailer")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `InvalidArgument` unless the name has 1 to 255 bytes, and if there is no commit `lsn` yet; `FeedTruncated` if
    /// the log does not reach back to `lsn`. Also [those of writing](crate::Store#errors-of-writing).
    pub fn set_cursor(&self, name: &str, lsn: Lsn) -> Result<()> {
        feed::set_cursor(self.engine(), name, Some(lsn))
    }

    /// Removes a cursor, so that the log no longer keeps commits for it. Succeeds if there is none.
    ///
    /// # Errors
    /// `InvalidArgument` unless the name has 1 to 255 bytes. Also [those of writing](crate::Store#errors-of-writing).
    pub fn remove_cursor(&self, name: &str) -> Result<()> {
        feed::set_cursor(self.engine(), name, None)
    }

    /// All cursors, in the order of their names. One before [`Stats::feed_start`](crate::Stats::feed_start) has fallen behind:
    /// the feed answers `FeedTruncated` there.
    ///
    /// # Errors
    /// [Those of reading](crate::Store#errors-of-reading).
    pub fn cursors(&self) -> Result<Vec<FeedCursor>> {
        feed::cursors(&self.reading())
    }

    /// The number of objects and bytes in all buckets, and what the past, uploads and garbage take besides.
    ///
    /// # Errors
    /// [Those of reading](crate::Store#errors-of-reading).
    pub fn usage(&self) -> Result<Usage> {
        usage::of_store(&self.reading())
    }

    /// [`usage`](Store::usage), with options: what OSS would charge for.
    ///
    /// # Errors
    /// [Those of reading](crate::Store#errors-of-reading).
    pub fn usage_with(&self, options: UsageOptions) -> Result<Usage> {
        usage::of_store_with(&self.reading(), &options)
    }

    /// The state of the store, and counters of what it has done since it was opened.
    pub fn stats(&self) -> Stats {
        self.engine().stats()
    }

    /// Makes every commit so far durable, including buffered ones.
    ///
    /// # Errors
    /// `CommitUnknown` if the sync fails: the store takes no more writes then. Also [those of
    /// writing](crate::Store#errors-of-writing).
    pub fn flush(&self) -> Result<()> {
        self.engine().flush()
    }

    /// Writes a checkpoint: brings the index file up to date, so that opening after a crash has nothing to replay. Checkpoints
    /// also happen by themselves, see [`Settings::checkpoint_log_bytes`](crate::Settings::checkpoint_log_bytes).
    ///
    /// # Errors
    /// `StorageFull` if there is no room for the changed pages of the index; nothing is lost then, and the log is
    /// kept. Also [those of writing](crate::Store#errors-of-writing).
    pub fn checkpoint(&self) -> Result<()> {
        self.engine().checkpoint()
    }

    /// Reclaims all the space that can be reclaimed now. Takes time that grows with the live bytes of segments with garbage; reading and writing go
    /// on meanwhile.
    ///
    /// # Errors
    /// [Those of writing](crate::Store#errors-of-writing). What was done by then stays done. A body that cannot be
    /// read is no error: it stays where it is.
    pub fn compact(&self, options: CompactOptions) -> Result<MaintainReport> {
        compact::compact(self.engine(), &options)
    }

    /// Does the maintenance that is due (space, lifecycle rules, budgets, tiers), for about as long as `budget` says. For stores
    /// opened with [`Maintenance::Manual`](crate::Maintenance::Manual); others do it in the background.
    ///
    /// # Errors
    /// [Those of writing](crate::Store#errors-of-writing). What was done by then stays done.
    pub fn maintain(&self, budget: Duration) -> Result<MaintainReport> {
        work::maintain(self.engine(), budget, true, &|| false)
    }

    /// Reads everything and reports what is wrong. Changes nothing.
    ///
    /// # Errors
    /// `OperationConflict` on a thread that is inside a transaction that has read. Also [those of
    /// reading](crate::Store#errors-of-reading). Damage that does not keep the rest from being read is no error: the
    /// report names it.
    pub fn verify(&self) -> Result<VerifyReport> {
        self.verify_with(VerifyOptions::default())
    }

    /// [`verify`](Store::verify), with a callback that watches its progress and may stop it.
    ///
    /// # Errors
    /// Those of [`verify`](Store::verify). One that was stopped is no error: the report says so.
    pub fn verify_with(&self, options: VerifyOptions<'_>) -> Result<VerifyReport> {
        options.run(self.engine())
    }

    /// Moves a store that was opened with [`read_only(true)`](crate::StoreBuilder::read_only) to the newest durable state, and
    /// says which commit is the last in it. Every commit that was acknowledged as [synced](crate::Durability::Synced),
    /// in whatever process, before this was called is in it, and none that a loss of power could still take back while
    /// its writer lives. If there is no writer, or it was killed, the state is what opening for writing would find.
    ///
    /// If somebody has removed its registration in `readers/`, the reader registers again and reads everything again; what
    /// older snapshots need was not kept meanwhile.
    ///
    /// Snapshots and objects that were got before stay what they were. As long as a snapshot lives, the writer keeps
    /// the space that it needs; it comes back with a checkpoint of the writer after this handle was refreshed or
    /// closed. On a store that is open for writing there is nothing to do.
    ///
    /// # Errors
    /// `StoreBusy` if a writer is just opening the store and does not get done within ten seconds, or if the file
    /// `LOCK` that a writer holds was removed; `StoreClosed` if another directory lies where the store's was;
    /// `Corrupt` for damage. The handle stays where it is then. Also [those of
    /// reading](crate::Store#errors-of-reading).
    pub fn refresh(&self) -> Result<Lsn> {
        self.engine().refresh()
    }

    /// Closes the store: makes everything durable, brings the index up to date, and releases the lock. Other handles answer
    /// `StoreClosed` from then on; objects that were read before can still be read. Dropping the last handle does the same, but
    /// cannot report an error.
    ///
    /// # Errors
    /// Those of a last [`checkpoint`](Store::checkpoint); `StoreClosed` if the store's directory or its lock is not
    /// there any more, or another one, and in a process that was forked from the one that opened the store. The store
    /// is closed in any case.
    pub fn close(&self) -> Result<()> {
        self.engine().check_here()?;
        drop(self.0.scheduler.lock().take());
        let _ = access_times::flush_all(self.engine());
        self.engine().close()
    }
}

/// The buckets of a store, in the order of their names. Ends after an error.
#[derive(Debug)]
pub struct Buckets {
    store: Option<Store>,
    batch: Batch<Bucket>,
    last: Option<String>,
}

impl Buckets {
    pub(crate) fn new(store: Store) -> Buckets {
        Buckets { store: Some(store), batch: Batch::new(), last: None }
    }
}

impl Iterator for Buckets {
    type Item = Result<Bucket>;

    fn next(&mut self) -> Option<Result<Bucket>> {
        if let Some(bucket) = self.batch.next() {
            return Some(bucket);
        }
        let store = self.store.clone()?;
        let reading = Reading::newest(store.engine());
        match lifetime::list(&reading, self.last.as_deref()) {
            Ok(batch) => {
                self.last = batch.last().map(|reference| reference.name.to_string());
                if batch.len() < lifetime::BATCH {
                    self.store = None;
                }
                self.batch = Batch::of(batch.into_iter().map(|each| Bucket::new(&store, each)).collect());
                self.batch.next()
            }
            Err(error) => {
                self.store = None;
                Some(Err(error))
            }
        }
    }
}
