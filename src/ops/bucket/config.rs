//! Configurations of a bucket: versioning, access control, retention, quota; where others are kept.

use std::sync::Arc;

use crate::catalog::keyspace::keys;
use crate::catalog::{self, BucketState, Rows, encryption, unreadable};
use crate::engine::state::engine::Engine;
use crate::error::{Error, Result};
use crate::format::row::{self, BucketRow};
use crate::index::Weight;
use crate::model::{Acl, Durability, Encryption, Quota, Versioning, Worm, WormState, from_millis, to_millis};
use crate::ops::object::envelope;
use crate::write::commit;
use crate::write::context::{BucketRef, Reading};
use crate::write::outcome::StepOutcome;
use crate::write::staged::overlay::Staged;
use crate::write::step::Step;

/// A configuration that a bucket can have. Implemented by the kinds there are; it cannot be implemented elsewhere.
///
/// Small ones stand in the bucket's row, others in rows of their own, which go where the bucket goes: they are copied
/// into its forks and removed with it, and the retained past shows what they were.
pub trait Config: sealed::Sealed + Clone + Send + Sync + std::fmt::Debug + 'static {
    #[doc(hidden)]
    fn read(from: &Kept<'_>) -> Result<Option<Self>>;

    /// Whether the store can do what it says.
    #[doc(hidden)]
    fn admit(&self, _engine: &Engine) -> Result<()> {
        Ok(())
    }

    /// Puts it there.
    #[doc(hidden)]
    fn write(&self, to: &mut Setting<'_, '_>) -> Result<()>;

    /// Takes it away.
    #[doc(hidden)]
    fn clear(to: &mut Setting<'_, '_>) -> Result<()>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for crate::model::Versioning {}
    impl Sealed for crate::model::Acl {}
    impl Sealed for crate::model::Quota {}
    impl Sealed for crate::model::Budget {}
    impl Sealed for crate::model::Worm {}
    impl Sealed for crate::model::Lifecycle {}
    impl Sealed for crate::model::AccessMonitor {}
    impl Sealed for crate::model::Encryption {}
}

/// What is kept for a bucket, to be read.
#[derive(Clone, Copy)]
pub struct Kept<'a> {
    /// The bucket.
    pub state: &'a BucketState,
    rows: &'a dyn Rows,
}

impl<'a> Kept<'a> {
    /// What is kept for a bucket among these rows.
    pub fn new(state: &'a BucketState, rows: &'a dyn Rows) -> Kept<'a> {
        Kept { state, rows }
    }

    /// The row of its own that a configuration has.
    pub fn own<R: row::Row>(&self, name: &str) -> Result<Option<R>> {
        let found = self.rows.get(&keys::config(self.state.row.id, name))?;
        found.map(|found| row::decode(&found.payload).map_err(unreadable)).transpose()
    }
}

impl std::fmt::Debug for Kept<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").field("bucket", &self.state.name).finish_non_exhaustive()
    }
}

/// What is kept for a bucket, to be changed.
#[derive(Debug)]
pub struct Setting<'s, 'a> {
    /// The rows.
    pub staged: &'s mut Staged<'a>,
    /// The bucket as it was.
    pub state: &'s BucketState,
    /// Its row as it will be.
    pub row: BucketRow,
    /// Whether a row of a configuration's own has changed.
    has_changed: bool,
}

impl Setting<'_, '_> {
    /// The time, in milliseconds since 1970.
    pub fn millis(&self) -> u64 {
        self.staged.now.millis
    }

    /// The row of its own that a configuration has.
    pub fn own<R: row::Row>(&self, name: &str) -> Result<Option<R>> {
        Kept::new(self.state, self.staged).own(name)
    }

    /// Gives a configuration a row of its own, over the one it had.
    pub fn put_own<R: row::Row>(&mut self, name: &str, row: &R) {
        self.has_changed = true;
        self.staged.put(keys::config(self.state.row.id, name), Weight::default(), row::encode(row));
    }

    /// Removes the row of its own that a configuration has; fine if there is none.
    pub fn remove_own(&mut self, name: &str) {
        self.has_changed = true;
        self.staged.remove(keys::config(self.state.row.id, name));
    }
}

impl Config for Versioning {
    fn read(from: &Kept<'_>) -> Result<Option<Versioning>> {
        Ok(Versioning::from_number(from.state.row.versioning))
    }

    fn write(&self, to: &mut Setting<'_, '_>) -> Result<()> {
        let (row, millis) = (&mut to.row, to.staged.now.millis);
        if active_worm(row, millis).is_some() {
            return Err(Error::invalid(
                "InvalidRequest",
                "a bucket with a retention policy keeps no versions (OSS)",
            ));
        }
        // A policy that has lapsed is none.
        row.worm = None;
        row.versioning = self.number();
        Ok(())
    }

    fn clear(to: &mut Setting<'_, '_>) -> Result<()> {
        let row = &mut to.row;
        if row.versioning == 0 {
            return Ok(());
        }
        Err(Error::invalid(
            "InvalidRequest",
            "versioning that was enabled once can be suspended, but not undone (OSS)",
        ))
    }
}

impl Config for Acl {
    fn read(from: &Kept<'_>) -> Result<Option<Acl>> {
        Ok(Acl::from_number(from.state.row.acl))
    }

    fn write(&self, to: &mut Setting<'_, '_>) -> Result<()> {
        let row = &mut to.row;
        row.acl = self.number();
        Ok(())
    }

    fn clear(to: &mut Setting<'_, '_>) -> Result<()> {
        let row = &mut to.row;
        row.acl = Acl::Private.number();
        Ok(())
    }
}

impl Config for Quota {
    fn read(from: &Kept<'_>) -> Result<Option<Quota>> {
        let row = &from.state.row;
        let quota = Quota { bytes: row.quota_bytes, objects: row.quota_objects };
        Ok((quota != Quota::default()).then_some(quota))
    }

    fn write(&self, to: &mut Setting<'_, '_>) -> Result<()> {
        let row = &mut to.row;
        (row.quota_bytes, row.quota_objects) = (self.bytes, self.objects);
        Ok(())
    }

    fn clear(to: &mut Setting<'_, '_>) -> Result<()> {
        let row = &mut to.row;
        (row.quota_bytes, row.quota_objects) = (None, None);
        Ok(())
    }
}

impl Config for Worm {
    fn read(from: &Kept<'_>) -> Result<Option<Worm>> {
        Ok(catalog::worm_of(&from.state.row))
    }

    fn write(&self, to: &mut Setting<'_, '_>) -> Result<()> {
        let (row, millis) = (&mut to.row, to.staged.now.millis);
        self.check()?;
        if row.versioning != 0 {
            return Err(Error::invalid(
                "InvalidRequest",
                "a bucket that keeps versions has no retention policy (OSS)",
            ));
        }
        if let Some(old) = catalog::worm_of(row) {
            old.check_change(Some(self))?;
        }
        // A policy that goes on keeps the moment at which its 24 hours began; after one that lapsed, another begins.
        let created = active_worm(row, millis).map_or(millis, |old| to_millis(old.created));
        row.worm = Some((self.days, self.state == WormState::Locked, created));
        Ok(())
    }

    fn clear(to: &mut Setting<'_, '_>) -> Result<()> {
        let row = &mut to.row;
        if let Some(old) = catalog::worm_of(row) {
            old.check_change(None)?;
        }
        row.worm = None;
        Ok(())
    }
}

impl Config for Encryption {
    fn read(from: &Kept<'_>) -> Result<Option<Encryption>> {
        Ok(from.state.encryption.clone())
    }

    fn admit(&self, engine: &Engine) -> Result<()> {
        self.check()?;
        if self.key_id().is_none() {
            envelope::check_sealed(engine)?;
        }
        engine.require_envelopes()
    }

    fn write(&self, to: &mut Setting<'_, '_>) -> Result<()> {
        to.put_own(encryption::ENCRYPTION, &encryption::to_row(self));
        Ok(())
    }

    fn clear(to: &mut Setting<'_, '_>) -> Result<()> {
        to.remove_own(encryption::ENCRYPTION);
        Ok(())
    }
}

/// The retention policy of a bucket, unless it has lapsed.
fn active_worm(row: &BucketRow, millis: u64) -> Option<Worm> {
    catalog::worm_of(row).filter(|worm| worm.is_active(from_millis(millis)))
}

#[derive(Debug)]
struct ConfigStep<C> {
    bucket: BucketRef,
    config: Option<C>,
}

impl<C: Config> Step for ConfigStep<C> {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        let state = staged.bucket(&self.bucket)?;
        let mut setting = Setting { staged, state: &state, row: state.row.clone(), has_changed: false };
        match &self.config {
            Some(config) => config.write(&mut setting)?,
            None => C::clear(&mut setting)?,
        }
        // Handles look a bucket up again when its row is written.
        if setting.row != state.row || setting.has_changed {
            setting.staged.put_bucket(&state.name, &setting.row);
        }
        Ok(StepOutcome::None)
    }
}

/// A configuration; `None` if it is not set.
pub fn get<C: Config>(reading: &Reading, bucket: &BucketRef) -> Result<Option<C>> {
    reading.with(|moment| C::read(&Kept::new(&*bucket.state(moment)?, moment)))
}

/// Sets a configuration, or removes it.
pub fn set<C: Config>(engine: &Arc<Engine>, bucket: &BucketRef, config: Option<C>) -> Result<()> {
    if let Some(config) = &config {
        config.admit(engine)?;
    }
    commit::commit_one(engine, ConfigStep { bucket: bucket.clone(), config }, Durability::Synced)?;
    // What is due, and when, may be another thing now.
    engine.wake().raise();
    Ok(())
}
