//! Restore version: puts an older version on top.

use std::sync::Arc;

use crate::catalog::Moment;
use crate::engine::state::engine::Engine;
use crate::error::Result;
use crate::format::row::ObjectRow;
use crate::model::{Lsn, ObjectKind, VersionId};
use crate::ops::copy::copy::{not_copyable, unheld};
use crate::ops::listing::versions::same;
use crate::ops::object::put::commit;
use crate::write::context::BucketRef;
use crate::write::outcome::{PutOutcome, StepOutcome};
use crate::write::staged::overlay::Staged;
use crate::write::step::Step;
use crate::write::storage_class;
use crate::write::version_chain::{BodySource, Chain};

/// The step that puts an older version on top.
#[derive(Debug)]
pub struct RestoreVersionStep {
    bucket: BucketRef,
    key: String,
    version: VersionId,
}

impl Step for RestoreVersionStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        let (key, state) = (&self.key, staged.bucket(&self.bucket)?);
        let mut chain = Chain::new(staged, &state);
        let (head, found) = chain.object(key, Some(&self.version))?;
        if chain.head(key)?.is_some_and(|(current, _)| current.sequence() == head.sequence()) {
            return Ok(same(&state, &head));
        }
        if head.row.kind == ObjectKind::Appendable.number() {
            return Err(not_copyable(key));
        }
        storage_class::check_readable(key, &head, || chain.staged.now.millis)?;
        let etag = head.etag();
        let mut row = ObjectRow { modified: chain.staged.now.millis, ..unheld(head.row) };
        row.warm();
        let version = chain.push(key, row, BodySource::Found(found.body, found.at))?;
        chain.check_quota()?;
        Ok(StepOutcome::Put(PutOutcome { etag, version, lsn: Lsn(chain.staged.now.lsn) }))
    }
}

/// Checks a restoring.
pub fn restore_step(
    engine: &Engine,
    bucket: &BucketRef,
    key: &str,
    version: &VersionId,
) -> Result<RestoreVersionStep> {
    bucket.admit(&Moment::now(&engine.view()), key)?;
    Ok(RestoreVersionStep { bucket: bucket.clone(), key: key.to_string(), version: version.clone() })
}

/// Puts a copy of an older version on top of its key. No byte is copied.
pub fn restore_version(
    engine: &Arc<Engine>,
    bucket: &BucketRef,
    key: &str,
    version: &VersionId,
) -> Result<PutOutcome> {
    commit(engine, restore_step(engine, bucket, key, version)?, engine.settings().durability)
}
