//! An object that grows gets bytes of its own, where somebody else has gone on with those it shares.

use std::sync::Arc;

use super::pieces::{appendable, piece, put_piece};
use crate::catalog::{self, BucketState, Kind, Moment, Rows};
use crate::engine::state::engine::Engine;
use crate::engine::{self, BodyReader, Keyed, NewBody, SharedRef, View};
use crate::error::Result;
use crate::format::entry::BlobId;
use crate::format::row;
use crate::model::{Digests, Durability};
use crate::ops::object::body_in::{Destination, Incoming, Prepared};
use crate::ops::object::new_version;
use crate::segment::Placed;
use crate::write::commit;
use crate::write::context::BucketRef;
use crate::write::outcome::StepOutcome;
use crate::write::staged::overlay::Staged;
use crate::write::step::Step;
use crate::write::version_chain::{BodySource, Chain};

/// How much is read at once of what is copied.
const READ_STEP: u64 = 1 << 20;

/// Gives an object a blob of its own, with the bytes that it has.
#[derive(Debug)]
pub struct DetachStep {
    pub(super) bucket: BucketRef,
    pub(super) key: String,
    pub(super) from: SharedRef,
    pub(super) owner: Vec<u8>,
    pub(super) prepared: Prepared,
}

impl Step for DetachStep {
    fn apply(&self, staged: &mut Staged<'_>) -> Result<StepOutcome> {
        let state = staged.bucket(&self.bucket)?;
        let mut chain = Chain::new(staged, &state);
        let Some((head, found)) = appendable(&self.key, chain.head(&self.key)?)? else {
            return Ok(StepOutcome::None);
        };
        let same = |shared: &SharedRef| shared.blob == self.from.blob && shared.len == self.from.len;
        if !matches!(&found.body, NewBody::Shared(shared) if same(shared)) {
            return Ok(StepOutcome::None);
        }
        let blob = BlobId { lsn: chain.staged.now.lsn, n: chain.staged.number() };
        let payload = piece(self.prepared.size, chain.staged.now.millis, &self.prepared, None);
        let body = self.prepared.body.clone();
        put_piece(chain.staged, engine::piece_key(blob, 0), &self.owner, body, payload);
        chain.staged.count_pieces(blob, Keyed::Offset, 1);
        let hint = match &self.prepared.body {
            NewBody::Extents(extents) => extents.as_slice(),
            _ => &[],
        };
        let body = NewBody::Shared(SharedRef::new(blob, self.from.len, hint));
        let row = head.kept();
        let weight = catalog::weight_of(&row);
        chain.put_row(Kind::Head, &self.key, b"", weight, BodySource::New(body), row::encode(&row))?;
        Ok(StepOutcome::None)
    }

    fn placed(&self) -> Option<&Placed> {
        self.prepared.placed.as_ref()
    }

    fn memory(&self) -> usize {
        self.prepared.memory()
    }
}

/// The body of an object that grows; `None` if it has none.
fn shared_body(view: &View, bucket: &BucketRef, key: &str) -> Result<Option<SharedRef>> {
    let moment = Moment::now(view);
    shared_of(&moment, &*bucket.state(&moment)?, key)
}

/// The same among any rows.
pub fn shared_of(rows: &impl Rows, state: &BucketState, key: &str) -> Result<Option<SharedRef>> {
    let found = appendable(key, catalog::find_head(state.bucket_view(rows), key)?)?;
    Ok(found.and_then(|(_, found)| match found.body {
        NewBody::Shared(shared) => Some(shared),
        _ => None,
    }))
}

/// Writes a body again for another owner; nothing if it is not to go on.
pub fn copied(
    engine: &Engine,
    body: &BodyReader,
    (owner, packed_max): (&[u8], usize),
    mut goes_on: impl FnMut() -> Result<bool>,
) -> Result<Option<Prepared>> {
    let to = Destination { owner: owner.to_vec(), tier: 0, packed_max, envelope: None };
    let mut incoming = Incoming::new(engine, to, Digests::Fast);
    while incoming.len() < body.len() {
        let at = incoming.len();
        let bytes = body.read(at..body.len().min(at + READ_STEP))?;
        if !goes_on()? {
            return Ok(None);
        }
        incoming.write(engine, &bytes)?;
    }
    incoming.finish(engine).map(Some)
}

/// Copies the bytes of an object whose blob somebody else has gone on with.
pub fn detach(engine: &Arc<Engine>, bucket: &BucketRef, key: &str, durability: Durability) -> Result<()> {
    let mut copying = engine.begin_move();
    let view = engine.pin();
    let Some(from) = shared_body(&view, bucket, key)? else {
        return Ok(());
    };
    let owner = new_version::owner_key(engine, bucket, key)?;
    let same = |now: SharedRef| (now.blob, now.len) == (from.blob, from.len);
    let lives = || Ok(shared_body(&engine.pin(), bucket, key)?.is_some_and(same));
    let body = BodyReader::new(&view, NewBody::Shared(from.clone()).to_owned_body())?;
    let packed_max = engine.settings().packed_max;
    let Some(prepared) = copied(engine, &body, (&owner, packed_max), || copying.goes_on(lives))? else {
        // Whoever appends decides again.
        return Ok(());
    };
    let step = DetachStep { bucket: bucket.clone(), key: key.to_string(), from, owner, prepared };
    commit::commit_one(engine, step, durability).map(|_| ())
}
