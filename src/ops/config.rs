//! Configurations of a bucket: versioning, access control, retention, quota.

use std::sync::Arc;

use super::batch::{self, Step, StepOutcome};
use super::context::{BucketRef, Reading};
use super::staged::Staged;
use crate::catalog::{self, BucketState};
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::format::row::BucketRow;
use crate::model::{Acl, Durability, Quota, Versioning, Worm, WormState, from_millis, to_millis};

/// A configuration that a bucket can have. Implemented by the kinds there are; it cannot be implemented elsewhere.
pub trait Config: sealed::Sealed + Clone + Send + Sync + std::fmt::Debug + 'static {
    #[doc(hidden)]
    fn read(state: &BucketRow) -> Option<Self>;

    /// Puts it into the row.
    #[doc(hidden)]
    fn write(&self, row: &mut BucketRow, millis: u64) -> Result<()>;

    /// Takes it out of the row.
    #[doc(hidden)]
    fn clear(row: &mut BucketRow, millis: u64) -> Result<()>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for crate::model::Versioning {}
    impl Sealed for crate::model::Acl {}
    impl Sealed for crate::model::Quota {}
    impl Sealed for crate::model::Worm {}
}

impl Config for Versioning {
    fn read(row: &BucketRow) -> Option<Versioning> {
        Versioning::from_number(row.versioning)
    }

    fn write(&self, row: &mut BucketRow, millis: u64) -> Result<()> {
        if active_worm(row, millis).is_some() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "InvalidRequest",
                "a bucket with a retention policy keeps no versions (OSS)",
            ));
        }
        // A policy that has lapsed is none.
        row.worm = None;
        row.versioning = self.number();
        Ok(())
    }

    fn clear(row: &mut BucketRow, _: u64) -> Result<()> {
        if row.versioning == 0 {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Unsupported,
            "InvalidRequest",
            "versioning that was enabled once can be suspended, but not undone (OSS)",
        ))
    }
}

impl Config for Acl {
    fn read(row: &BucketRow) -> Option<Acl> {
        Acl::from_number(row.acl)
    }

    fn write(&self, row: &mut BucketRow, _: u64) -> Result<()> {
        row.acl = self.number();
        Ok(())
    }

    fn clear(row: &mut BucketRow, _: u64) -> Result<()> {
        row.acl = Acl::Private.number();
        Ok(())
    }
}

impl Config for Quota {
    fn read(row: &BucketRow) -> Option<Quota> {
        let quota = Quota { bytes: row.quota_bytes, objects: row.quota_objects };
        (quota != Quota::default()).then_some(quota)
    }

    fn write(&self, row: &mut BucketRow, _: u64) -> Result<()> {
        (row.quota_bytes, row.quota_objects) = (self.bytes, self.objects);
        Ok(())
    }

    fn clear(row: &mut BucketRow, _: u64) -> Result<()> {
        (row.quota_bytes, row.quota_objects) = (None, None);
        Ok(())
    }
}

impl Config for Worm {
    fn read(row: &BucketRow) -> Option<Worm> {
        catalog::worm_of(row)
    }

    fn write(&self, row: &mut BucketRow, millis: u64) -> Result<()> {
        self.check()?;
        if row.versioning != 0 {
            return Err(Error::new(
                ErrorKind::Unsupported,
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

    fn clear(row: &mut BucketRow, _: u64) -> Result<()> {
        if let Some(old) = catalog::worm_of(row) {
            old.check_change(None)?;
        }
        row.worm = None;
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
        let mut row = state.row.clone();
        match &self.config {
            Some(config) => config.write(&mut row, staged.now.millis)?,
            None => C::clear(&mut row, staged.now.millis)?,
        }
        if row != state.row {
            staged.put_bucket(&state.name, &row);
        }
        Ok(StepOutcome::None)
    }
}

/// A configuration; `None` if it is not set.
pub fn get<C: Config>(reading: &Reading, bucket: &BucketRef) -> Result<Option<C>> {
    let state: Arc<BucketState> = reading.with(|moment| bucket.state(moment))?;
    Ok(C::read(&state.row))
}

/// Sets a configuration, or removes it.
pub fn set<C: Config>(engine: &Arc<Engine>, bucket: &BucketRef, config: Option<C>) -> Result<()> {
    batch::commit_one(engine, ConfigStep { bucket: bucket.clone(), config }, Durability::Synced).map(|_| ())
}
