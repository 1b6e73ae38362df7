//! Rename: an object gets another key, in one commit.

use std::sync::Arc;

use super::copy::{place, unheld};
use super::options::CopyOptions;
use crate::catalog;
use crate::engine::state::engine::Engine;
use crate::error::Result;
use crate::model::{Lsn, ObjectKey};
use crate::ops::object::put::commit;
use crate::write::conditions::Conditions;
use crate::write::context::BucketRef;
use crate::write::outcome::{PutOutcome, StepOutcome};
use crate::write::staged::overlay::Staged;
use crate::write::step::Step;
use crate::write::version_chain::{BodySource, Chain};

/// The step of a rename.
#[derive(Debug)]
pub struct RenameStep {
    from: BucketRef,
    key: String,
    to: BucketRef,
    new_key: String,
    conditions: Conditions,
}

impl Step for RenameStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        let from = staged.bucket(&self.from)?;
        let (head, found) = Chain::new(staged, &from).object(&self.key, None)?;
        let to = staged.bucket(&self.to)?;
        if self.from == self.to && self.key == self.new_key {
            let chain = Chain::new(staged, &from);
            self.conditions.check(&self.key, Some(&head))?;
            // Nothing is committed: the object stays that of the commit that wrote it.
            let version = chain.state.versioning().map(|_| head.version());
            return Ok(StepOutcome::Put(PutOutcome { etag: head.etag(), version, lsn: Lsn(head.lsn) }));
        }
        let row = unheld(head.row);
        let body = BodySource::Found(found.body, found.at);
        let outcome = place(staged, (&to, &self.new_key), row, body, &self.conditions)?;
        Chain::new(staged, &from).delete(&self.key)?;
        // Only now: what is under the old key counts no more.
        Chain::new(staged, &to).check_quota()?;
        Ok(outcome)
    }
}

/// Renames an object: one commit, no byte is copied, whatever the size.
pub fn rename(
    engine: &Arc<Engine>,
    from: (&BucketRef, &str),
    to: (&BucketRef, &str),
    options: CopyOptions,
) -> Result<PutOutcome> {
    let durability = engine.settings().durability_for(options.durability);
    commit(engine, rename_step(engine, from, to, options)?, durability)
}

/// Checks a rename.
pub fn rename_step(
    engine: &Engine,
    (from, key): (&BucketRef, &str),
    (to, new_key): (&BucketRef, &str),
    options: CopyOptions,
) -> Result<RenameStep> {
    from.admit(&catalog::Moment::now(&engine.view()), key)?;
    ObjectKey::new(new_key)?;
    Ok(RenameStep {
        from: from.clone(),
        key: key.to_string(),
        to: to.clone(),
        new_key: new_key.to_string(),
        conditions: options.conditions,
    })
}
