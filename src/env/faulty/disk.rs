//! The faulty disk: a file system in memory that fails when it is told to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, io};

use parking_lot::Mutex;

use super::node::Node;
use super::plan::{Fault, Hit, Plan};
use crate::env::entropy::SplitMix;
use crate::env::locks::Locks;
use crate::env::memory::tree::{Entry, Tree, moved};
use crate::env::site::Site;
use crate::env::vfs::Vfs;

/// A simulated disk. A clone is a handle on the same disk.
#[derive(Clone)]
pub struct FaultyDisk {
    pub(super) state: Arc<Mutex<State>>,
    pub(super) locks: Arc<Locks<usize>>,
}

pub(in crate::env) struct State {
    pub(super) plan: Plan,
    pub(super) random: SplitMix,
    /// The names as programs see them.
    pub(super) live: Tree<Arc<Node>>,
    /// The names as they would be after a loss of power.
    pub(super) durable: Tree<Arc<Node>>,
    /// The changes that separate the two, by directory, oldest first.
    pub(super) renames: BTreeMap<PathBuf, Vec<NameChange>>,
    /// The number of the next un-synced change, of any file or directory.
    pub(super) next: u64,
    pub(super) capacity: Option<u64>,
    /// Whether what is written over needs no more room.
    pub(super) in_place: bool,
    /// Bytes taken by the files that have a visible name.
    pub(super) used: u64,
    pub(super) off: bool,
}

/// A path got a meaning or lost it, and the directory was not synced since.
pub(in crate::env) struct NameChange {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    pub(super) entry: Option<Entry<Arc<Node>>>,
    /// A sync of the directory failed: later ones no longer know that there was something to write.
    pub(super) clean: bool,
}

impl NameChange {
    /// The last of the changes to each path. What one before it meant counts no more: a directory that was removed and made
    /// again is another one, and its names may have been made durable before its own.
    pub(super) fn last_of_each<'a>(
        changes: impl Iterator<Item = &'a NameChange>,
    ) -> BTreeMap<&'a Path, &'a NameChange> {
        changes.map(|change| (change.path.as_path(), change)).collect()
    }
}

impl FaultyDisk {
    /// An empty disk. The seed decides where a torn write ends and which bit flips.
    pub fn new(seed: u64) -> FaultyDisk {
        FaultyDisk::with(seed, Tree::new(), None)
    }

    /// Moves a directory with all that is in it to a path that nothing lies at, durably. No operation, and struck by nothing.
    pub fn move_dir(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        let State { live, durable, renames, .. } = &mut *state;
        live.move_dir(from, to)?;
        if durable.number(from).is_ok() {
            durable.move_dir(from, to)?;
        }
        *renames = std::mem::take(renames)
            .into_iter()
            .map(|(dir, mut changes)| {
                for change in &mut changes {
                    change.path = moved(&change.path, from, to);
                }
                (moved(&dir, from, to), changes)
            })
            .collect();
        Ok(())
    }

    /// The disk as a file system.
    pub fn vfs(&self) -> Arc<dyn Vfs> {
        Arc::new(self.clone())
    }

    /// How many calls that change something were made: open with `CreateNew`, `write_at`, `sync_data`,
    /// `set_len`, `allocate`, `remove`, `create_dir` and `sync_dir`.
    pub fn operations(&self) -> u64 {
        self.state.lock().plan.operations()
    }

    /// How many of them were `sync_data`: each makes what was written to one file durable.
    pub fn syncs(&self) -> u64 {
        self.state.lock().plan.syncs()
    }

    /// How many calls that read were made: open of what exists, `read_at`, `map` and `list`.
    pub fn reads(&self) -> u64 {
        self.state.lock().plan.reads()
    }

    /// Plans a fault for the changing call that would be number `operation` since the disk began, from 0.
    /// A fault that makes no sense for the call it meets (a torn sync) does nothing and is not in the ledger.
    pub fn fail_at(&self, operation: u64, fault: Fault) {
        self.state.lock().plan.fail_at(operation, fault);
    }

    /// Plans a fault for the reading call that would be number `read` since the disk began, from 0.
    pub fn fail_read_at(&self, read: u64, fault: Fault) {
        self.state.lock().plan.fail_read_at(read, fault);
    }

    /// Plans a fault for the call number `nth` from now on at `site`: 0 is the next one.
    pub fn fail_site(&self, site: Site, nth: u64, fault: Fault) {
        self.state.lock().plan.fail_site(site, nth, fault);
    }

    /// Forgets all planned and sticky faults. Power stays off if it is.
    pub fn clear_faults(&self) {
        self.state.lock().plan.clear();
    }

    /// Limits the disk to so many bytes, counted in blocks of 4096. What is taken already stays, and can be
    /// rewritten.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state.lock().capacity = bytes;
    }

    /// Says whether bytes that are there can be written over when the disk is full (as on most disks) or need room as well
    /// (as on those that copy on write). A disk that comes of this one has it as well.
    pub fn set_in_place(&self, in_place: bool) {
        self.state.lock().in_place = in_place;
    }

    /// Bytes of disk taken by the files that have a name.
    pub fn used(&self) -> u64 {
        self.state.lock().used
    }

    /// Turns the power off: every later call fails. [`restart`](FaultyDisk::restart) brings the disk back.
    pub fn power_cut(&self) {
        self.state.lock().off = true;
    }

    /// The faults that really struck, where and how often, in a fixed order.
    pub fn hits(&self) -> Vec<Hit> {
        self.state.lock().plan.hits()
    }

    /// How many calls came from each site.
    pub fn calls(&self) -> Vec<(Site, u64)> {
        self.state.lock().plan.calls()
    }

    /// A hash over all calls: their kind, site, path, offset, length and the bytes written. Two runs that
    /// did the same have the same.
    pub fn trace_hash(&self) -> u64 {
        self.state.lock().plan.trace()
    }

    pub(super) fn with(seed: u64, live: Tree<Arc<Node>>, capacity: Option<u64>) -> FaultyDisk {
        let used = live.files().iter().map(|(_, node)| node.live.read().allocated()).sum();
        let state = State {
            plan: Plan::default(),
            random: SplitMix::new(seed),
            durable: live.clone(),
            live,
            renames: BTreeMap::new(),
            next: 0,
            capacity,
            in_place: true,
            used,
            off: false,
        };
        FaultyDisk { state: Arc::new(Mutex::new(state)), locks: Locks::new() }
    }
}

impl fmt::Debug for FaultyDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("FaultyDisk")
            .field("operations", &state.plan.operations())
            .field("reads", &state.plan.reads())
            .field("used", &state.used)
            .field("off", &state.off)
            .finish_non_exhaustive()
    }
}
