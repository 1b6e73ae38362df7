//! The handle of an open store, and what its last drop does.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::background::scheduler::Scheduler;
use crate::engine::View;
use crate::engine::state::engine::Engine;
use crate::error::Result;
use crate::ops::bucket::{budget, history};
use crate::write::access_times;
use crate::write::context::Reading;

/// Who does the maintenance of a store: checkpoints, reclaiming space, lifecycle rules, budgets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Maintenance {
    /// A thread that sleeps while there is nothing to do.
    #[default]
    Background,
    /// The program, by [`Store::maintain`]. Without that call memory stays bounded (a write makes a checkpoint then), but space is
    /// not reclaimed and lifecycle rules do not run.
    Manual,
}

/// An opened store. Cheap to clone, and may be used from any thread; when the last clone (and the last [`Bucket`](crate::Bucket) of it) is
/// dropped, it is closed.
///
/// It belongs to the process that has opened it. In one that is forked from that, every call answers `StoreClosed` and
/// dropping it does nothing; open the store again there. It stays in the directory that was opened, whatever becomes of the
/// working directory; if that directory is moved, removed or replaced, writing ends with `StoreClosed`.
///
/// ```
/// # fn main() -> ossicle::Result<()> {
/// let store = ossicle::Store::in_memory()?;
/// let cats = store.create_bucket("cats")?;
/// cats.put("tom", b"meow")?;
/// assert_eq!(&cats.get("tom")?.bytes()?[..], b"meow");
/// # Ok(())
/// # }
/// ```
///
/// # Errors of reading
/// Every call that reads can fail like this, besides what its own documentation says. It changes nothing then.
///
/// - `StoreClosed` if the store was closed, or was opened by the process that this one was forked from.
/// - `Corrupt` if bytes on the disk are not those that were written there. The message names file and place.
/// - `TierOutOfService` if a body lies in a [tier](Store::tier) whose directory cannot be used.
/// - `InternalError` if the operating system reports a failure, such as too many open files.
///
/// # Errors of writing
/// Every call that changes the store can fail like this, and as every read. Unless it says `CommitUnknown`, nothing of the
/// call has happened.
///
/// - `AccessDenied` if the store was opened with [`read_only(true)`](crate::StoreBuilder::read_only).
/// - `StorageFull` if the disk is full. Calls that delete go on, out of
///   [`Settings::reserve_bytes`](crate::Settings::reserve_bytes).
/// - `StoreClosed` also if the store takes no more writes: after an error that [`is_fatal`](crate::Error::is_fatal), or because
///   its directory or its lock was moved, removed or replaced. Open it again.
/// - `CommitUnknown` if a write or a sync failed so that only opening the store again tells whether the last commits survive.
/// - `OperationConflict` on a thread that is inside a [transaction](Store::write) that has read: write through that.
#[derive(Clone, Debug)]
pub struct Store(pub(super) Arc<Open>);

#[derive(Debug)]
pub(super) struct Open {
    engine: Arc<Engine>,
    pub(super) scheduler: Mutex<Option<Scheduler>>,
    /// What the snapshots that are held show.
    pub(super) snapshots: Mutex<Vec<Weak<View>>>,
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.engine.check_here().is_err() {
            return;
        }
        drop(self.scheduler.lock().take());
        // What readers have touched is worth a try, and nothing that closing would fail for.
        let _ = access_times::flush_all(&self.engine);
        // Nobody is left to be told; what was acknowledged as synced is durable in any case.
        let _ = self.engine.close();
    }
}

impl Store {
    pub(crate) fn start(engine: Engine, maintenance: Maintenance) -> Result<Store> {
        let engine = Arc::new(engine);
        history::begin(&engine)?;
        budget::begin(&engine)?;
        let background = maintenance == Maintenance::Background && !engine.is_read_only();
        let scheduler = background.then(|| Scheduler::start(engine.clone())).transpose()?;
        Ok(Store(Arc::new(Open { engine, scheduler: Mutex::new(scheduler), snapshots: Mutex::default() })))
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.0.engine
    }

    pub(super) fn reading(&self) -> Reading {
        Reading::newest(&self.0.engine)
    }
}
