//! Beginning, finding and aborting an upload.

use std::sync::Arc;

use super::options::UploadOptions;
use super::upload_ref::{UploadRef, blob_of, no_such_upload, weight_of};
use crate::catalog::keyspace::keys;
use crate::engine::state::engine::Engine;
use crate::engine::{Keyed, NewBody, SharedRef};
use crate::error::Result;
use crate::format::row::{self, ObjectRow, UploadRow};
use crate::model::{Digests, Durability, ObjectKey, ObjectKind, PartPlan, UploadId};
use crate::ops::object::envelope::{self, Sealing};
use crate::ops::object::new_version::BUCKETS_CLASS;
use crate::write::commit;
use crate::write::conditions::Conditions;
use crate::write::context::{BucketRef, Reading};
use crate::write::outcome::StepOutcome;
use crate::write::staged::overlay::Staged;
use crate::write::step::Step;
use crate::write::version_chain::Chain;

#[derive(Debug)]
struct BeginStep {
    pub bucket: BucketRef,
    key: String,
    object: ObjectRow,
    oss_digests: bool,
    if_absent: bool,
    sealing: Option<Sealing>,
}

/// Refuses if there is an object under the key though there must be none.
pub(super) fn check_absent(chain: &Chain<'_, '_>, key: &str, if_absent: bool) -> Result<()> {
    if !if_absent {
        return Ok(());
    }
    let current = chain.head(key)?;
    Conditions { if_absent, ..Conditions::default() }.check(key, current.as_ref().map(|(head, _)| head))
}

impl Step for BeginStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        let state = staged.bucket(&self.bucket)?;
        check_absent(&Chain::new(staged, &state), &self.key, self.if_absent)?;
        Sealing::keep_key(self.sealing.as_ref(), staged)?;
        let (lsn, n) = (staged.now.lsn, staged.number());
        let kind = ObjectKind::Multipart.number();
        let mut object = ObjectRow { kind, modified: staged.now.millis, ..self.object.clone() };
        if object.class == BUCKETS_CLASS {
            object.class = state.row.class;
        }
        let row = UploadRow {
            object,
            oss_digests: self.oss_digests,
            blob: (lsn, n),
            parts: 0,
            bytes: 0,
            if_absent: self.if_absent,
        };
        let blob = blob_of(&row);
        staged.count_pieces(blob, Keyed::Number, 0);
        let body = NewBody::Shared(SharedRef::new(blob, 0, &[]));
        let at = keys::upload(state.row.id, &self.key, lsn, n);
        staged.put_new(at, weight_of(&row), body, row::encode(&row));
        Ok(StepOutcome::Pair(lsn, u64::from(n)))
    }
}

/// Begins an upload.
pub fn begin(
    engine: &Arc<Engine>,
    bucket: &BucketRef,
    key: &str,
    options: UploadOptions,
) -> Result<UploadRef> {
    ObjectKey::new(key)?;
    let mut object = options.attributes.to_row()?;
    PartPlan::of(&object.metadata)?;
    let sealing = envelope::choose(engine, bucket, &options.attributes.asked)?;
    Sealing::note(sealing.as_ref(), &mut object);
    let step = BeginStep {
        bucket: bucket.clone(),
        key: key.to_string(),
        object,
        oss_digests: options.digests.unwrap_or(engine.settings().digests) == Digests::Oss,
        if_absent: options.if_absent,
        sealing,
    };
    match commit::commit_one(engine, step, engine.settings().durability_for(options.durability))? {
        StepOutcome::Pair(lsn, n) => {
            let id = UploadId::of(lsn, n as u32);
            let (bucket, key) = (bucket.clone(), key.to_string());
            Ok(UploadRef { bucket, key, id, customer: options.attributes.asked.customer })
        }
        _ => unreachable!("beginning an upload comes to its name"),
    }
}

/// Finds an upload that was begun earlier.
pub fn resume(engine: &Arc<Engine>, bucket: &BucketRef, key: &str, id: &str) -> Result<UploadRef> {
    ObjectKey::new(key)?;
    let name = UploadId::parse(id).ok_or_else(|| no_such_upload(key, id))?;
    let upload = UploadRef { bucket: bucket.clone(), key: key.to_string(), id: name, customer: None };
    upload.row(&Reading::newest(engine))?;
    Ok(upload)
}

#[derive(Debug)]
struct AbortStep(UploadRef);

impl Step for AbortStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        staged.bucket(&self.0.bucket)?;
        self.0.find(staged)?;
        // Nothing refers to the parts any more, so they go as well.
        staged.remove(self.0.at());
        Ok(StepOutcome::None)
    }

    fn frees(&self) -> bool {
        true
    }
}

/// Aborts an upload.
pub fn abort(engine: &Arc<Engine>, upload: &UploadRef, durability: Durability) -> Result<()> {
    commit::commit_one(engine, AbortStep(upload.clone()), durability).map(|_| ())
}
