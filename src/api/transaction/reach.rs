//! What transactions reach beyond single objects and bodies: listings, prefixes, objects that grow, symlinks.

use super::Transaction;
use crate::api::bucket::Bucket;
use crate::api::listing::Listing;
use crate::background::cleanup::make_way;
use crate::catalog::keyspace::keys;
use crate::catalog::{Kind, layer_ranges};
use crate::error::Result;
use crate::ops::append::inside_transaction;
use crate::ops::append::options::AppendOptions;
use crate::ops::listing::options::{ListOptions, Page};
use crate::ops::listing::walk::{Walk, end_of};
use crate::ops::object::body_in::Body;
use crate::ops::object::put::PutOptions;
use crate::ops::object::symlink;
use crate::ops::prefix::checks::check_prefix;
use crate::ops::prefix::delete_prefix;
use crate::write::outcome::{AppendOutcome, StepOutcome};

impl Transaction<'_> {
    /// Lists a prefix, or what the options say, as this transaction sees it. Later changes of the transaction do not change the
    /// listing, so you can put and delete its objects while you iterate, and use it after the transaction. Counts as a read.
    ///
    /// Its cost grows with the entries that it returns, and with the changes that the transaction has made in the bucket.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// # let store = ossicle::Store::in_memory()?;
    /// let jobs = store.create_bucket("jobs")?;
    /// jobs.put("todo/1", b"wash")?;
    /// store.write(|tx| {
    ///     tx.put(&jobs, "todo/2", b"dry")?;
    ///     for entry in tx.list(&jobs, "todo/")? {
    ///         let name = entry?.name().to_string();
    ///         tx.rename(&jobs, &name, &jobs, &name.replace("todo/", "done/"))?;
    ///     }
    ///     assert_eq!(tx.list(&jobs, "todo/")?.count(), 0);
    ///     Ok(())
    /// })?;
    /// assert!(jobs.exists("done/1")? && jobs.exists("done/2")?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`Bucket::list_with`]. Also [those of writing](crate::Store#errors-of-writing).
    pub fn list(&mut self, bucket: &Bucket, options: impl Into<ListOptions>) -> Result<Listing> {
        self.walk(bucket, options.into()).map(Listing::new)
    }

    /// One page of a listing as this transaction sees it; see [`Bucket::list_page`].
    ///
    /// # Errors
    /// Those of [`list`](Transaction::list).
    pub fn list_page(&mut self, bucket: &Bucket, options: impl Into<ListOptions>) -> Result<Page> {
        self.walk(bucket, options.into())?.page()
    }

    fn walk(&mut self, bucket: &Bucket, options: ListOptions) -> Result<Walk> {
        let engine = self.engine;
        let state = self.read_state()?;
        options.check()?;
        let (view, now) = (state.view.clone(), state.now(engine));
        let its = state.staged(engine).bucket(bucket.reference())?;
        let changes = match its.route.own_space() {
            Some(space) => {
                let place = |key: &[u8]| keys::bound(Kind::Head, false, space, key);
                state.overlay.excerpt([(place(options.prefix.as_bytes()), place(&end_of(&options.prefix)))])
            }
            None => {
                state.overlay.excerpt(its.route.layers().flat_map(|layer| layer_ranges(layer, Kind::Head)))
            }
        };
        Walk::begin_within(engine, view, (its, (changes, now)), options)
    }

    /// Removes everything under a prefix, as [`Bucket::delete_prefix`] does: also what this transaction has put there before, and
    /// nothing that it puts there later.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// # let store = ossicle::Store::in_memory()?;
    /// let cache = store.create_bucket("cache")?;
    /// cache.put("v1/logo", b"old")?;
    /// store.write(|tx| {
    ///     tx.put(&cache, "v1/page", b"old too")?;
    ///     tx.delete_prefix(&cache, "v1/")?;
    ///     tx.put(&cache, "v1/logo", b"new")
    /// })?;
    /// assert_eq!(&cache.get("v1/logo")?.bytes()?[..], b"new");
    /// assert!(!cache.exists("v1/page")?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`Bucket::delete_prefix`], see [when they are told](crate::Transaction#when-errors-are-told);
    /// `TooManyObjects` also for more than 50,000 objects once this transaction and what came shortly before it have
    /// removed or renamed 80 prefixes of the bucket: commit in between.
    pub fn delete_prefix(&mut self, bucket: &Bucket, prefix: &str) -> Result<()> {
        check_prefix(prefix)?;
        // Inside the turn nothing can be cleaned up first.
        if self.reading.is_none() {
            match make_way(self.engine, bucket.reference()) {
                // A missing bucket is reported when the step has its turn, as by the other steps.
                Err(error) if error.is_not_found() => {}
                done => done?,
            }
        }
        let step = delete_prefix::delete_step(self.engine, bucket.reference(), prefix)?;
        self.push(step)
    }

    /// Appends to an object, or begins one; see [`Bucket::append`]. Sees earlier appends of this transaction. Counts as a read. The
    /// outcome holds once the transaction is committed.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// # let store = ossicle::Store::in_memory()?;
    /// let logs = store.create_bucket("logs")?;
    /// store.write(|tx| {
    ///     let first = tx.append(&logs, "today", 0, "one\n")?;
    ///     tx.append(&logs, "today", first.next_position, "two\n")?;
    ///     tx.put_row("app", b"lines", b"2")
    /// })?;
    /// assert_eq!(&logs.get("today")?.bytes()?[..], b"one\ntwo\n");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`Bucket::append`].
    pub fn append<'a>(
        &mut self,
        bucket: &Bucket,
        key: &str,
        position: u64,
        body: impl Into<Body<'a>>,
    ) -> Result<AppendOutcome> {
        self.append_with(bucket, key, position, body, AppendOptions::new())
    }

    /// [`append`](Transaction::append), with options; their durability has no effect, that of the transaction counts.
    ///
    /// # Errors
    /// Those of [`Bucket::append_with`].
    pub fn append_with<'a>(
        &mut self,
        bucket: &Bucket,
        key: &str,
        position: u64,
        body: impl Into<Body<'a>>,
        options: AppendOptions,
    ) -> Result<AppendOutcome> {
        let (engine, packed_max) = (self.engine, self.packed_max());
        let state = self.read_state()?;
        let view = state.newest(engine);
        let mut staged = state.staged(engine);
        let (at, what) = ((bucket.reference(), key), (position, body.into()));
        let step =
            inside_transaction::step_within(engine, (&mut staged, &view), at, what, (options, packed_max))?;
        match self.push_and_see(step)? {
            Some(StepOutcome::Append(outcome)) => Ok(outcome),
            _ => unreachable!("a transaction that reads sees what an append comes to"),
        }
    }

    /// The position of the next append to a key as this transaction sees it: the length of the object, 0 if there is none.
    ///
    /// # Errors
    /// Those of [`Bucket::append_position`]. Also [those of writing](crate::Store#errors-of-writing).
    pub fn append_position(&mut self, bucket: &Bucket, key: &str) -> Result<u64> {
        crate::model::ObjectKey::new(key)?;
        let engine = self.engine;
        inside_transaction::position(&mut self.read_state()?.staged(engine), bucket.reference(), key)
    }

    /// Makes a key that points to another key of its bucket; see [`Bucket::symlink`].
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// # let store = ossicle::Store::in_memory()?;
    /// let builds = store.create_bucket("builds")?;
    /// store.write(|tx| {
    ///     tx.put(&builds, "2026-11-22", b"a build")?;
    ///     tx.symlink(&builds, "latest", "2026-11-22")
    /// })?;
    /// assert_eq!(&builds.get("latest")?.bytes()?[..], b"a build");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`Bucket::symlink`], see [when they are told](crate::Transaction#when-errors-are-told).
    pub fn symlink(&mut self, bucket: &Bucket, key: &str, target: &str) -> Result<()> {
        self.symlink_with(bucket, key, target, PutOptions::new())
    }

    /// [`symlink`](Transaction::symlink), with attributes of the link and conditions on what is under its key; durability
    /// and digests have no effect.
    ///
    /// # Errors
    /// Those of [`Bucket::symlink_with`], see [when they are told](crate::Transaction#when-errors-are-told).
    pub fn symlink_with(
        &mut self,
        bucket: &Bucket,
        key: &str,
        target: &str,
        options: PutOptions,
    ) -> Result<()> {
        self.push(symlink::step(bucket.reference(), key, target, options)?)
    }
}
