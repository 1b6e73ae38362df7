//! Writing an object piece by piece.

use std::sync::Arc;

use super::body_in::Incoming;
use super::envelope::{self, Sealing};
use super::new_version::whither;
use super::put::{PutOptions, PutStep, commit};
use crate::engine::state::engine::Engine;
use crate::error::Result;
use crate::format::row::ObjectRow;
use crate::model::ObjectKey;
use crate::write::context::BucketRef;
use crate::write::outcome::PutOutcome;

/// A put whose body is written piece by piece.
#[derive(Debug)]
pub struct Writing {
    engine: Arc<Engine>,
    bucket: BucketRef,
    key: String,
    row: ObjectRow,
    options: PutOptions,
    sealing: Option<Sealing>,
    incoming: Incoming,
}

impl Writing {
    /// Begins.
    pub fn begin(
        engine: &Arc<Engine>,
        bucket: &BucketRef,
        key: &str,
        options: PutOptions,
    ) -> Result<Writing> {
        ObjectKey::new(key)?;
        let mut row = options.attributes.to_row()?;
        engine.check_writable()?;
        let mut to = whither(engine, bucket, key, row.class, engine.settings().packed_max)?;
        let sealing = envelope::choose(engine, bucket, &options.attributes.asked)?;
        Sealing::note(sealing.as_ref(), &mut row);
        to.envelope = sealing.as_ref().and_then(Sealing::key).map(|key| (key, 0));
        let incoming = Incoming::new(engine, to, options.digests_in(engine));
        let (engine, bucket) = (engine.clone(), bucket.clone());
        Ok(Writing { engine, bucket, key: key.to_string(), row, options, sealing, incoming })
    }

    /// Takes more bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.engine.check_here()?;
        self.incoming.write(&self.engine, bytes)
    }

    /// Bytes so far.
    pub fn len(&self) -> u64 {
        self.incoming.len()
    }

    /// Commits the object.
    pub fn finish(self) -> Result<PutOutcome> {
        let prepared = self.incoming.finish(&self.engine)?;
        let durability = self.engine.settings().durability_for(self.options.durability);
        let Writing { bucket, key, row, options, sealing, .. } = self;
        let step = PutStep { bucket, key, row, prepared, conditions: options.conditions, sealing };
        commit(&self.engine, step, durability)
    }
}
