//! Follow: reads an object that grows, and waits for more of it.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::pieces;
use crate::catalog::{self, Found, HeadRow, Moment};
use crate::engine::BodyReader;
use crate::engine::state::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::write::context::{BucketRef, Reading};
use crate::write::storage_class::check_readable;

/// The most bytes that are handed out at once.
const STEP: u64 = 1 << 20;

/// An object that is followed.
#[derive(Debug)]
pub struct Following {
    reading: Reading,
    bucket: BucketRef,
    key: String,
    /// Which version it is; another one under the key is another object.
    version: (u64, u32),
    position: u64,
}

/// The object under a key.
fn look(moment: &Moment<'_>, bucket: &BucketRef, key: &str) -> Result<Option<(HeadRow, Found)>> {
    let state = bucket.state(moment)?;
    pieces::appendable(key, catalog::find_head(state.bucket_view(moment), key)?)
}

impl Following {
    /// Begins at a position, which may be beyond the end.
    pub fn begin(engine: &Arc<Engine>, bucket: &BucketRef, key: &str, position: u64) -> Result<Following> {
        let reading = Reading::newest(engine);
        let found = reading.with(|moment| {
            bucket.admit(moment, key)?;
            look(moment, bucket, key)
        })?;
        let (head, _) = found.ok_or_else(|| catalog::no_such_key(key))?;
        let (bucket, key) = (bucket.clone(), key.to_string());
        Ok(Following { reading, bucket, key, version: head.sequence(), position })
    }

    /// Where the next bytes come from.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// What there is at the position now: a body, and which range of it; `None` if that is nothing yet.
    fn now(&self) -> Result<Option<(BodyReader, Range<u64>)>> {
        let gone = || {
            Error::new(
                ErrorKind::NotFound,
                "NoSuchKey",
                format!("the object {:?} that was followed was deleted or replaced", self.key),
            )
        };
        self.reading.with(|moment| {
            let found = match look(moment, &self.bucket, &self.key) {
                Err(error) if error.code() == "ObjectNotAppendable" => return Err(gone()),
                found => found?,
            };
            let (head, found) = found.filter(|(head, _)| head.sequence() == self.version).ok_or_else(gone)?;
            let Some(blob) = pieces::blob_of(&found).filter(|_| self.position < head.row.size) else {
                return Ok(None);
            };
            check_readable(&self.key, &head, || self.reading.engine.millis())?;
            let (start, piece) = pieces::piece_at(moment, blob, self.position)?;
            // What a fork has appended to the same bytes is not this object's.
            let end = piece.len().min(head.row.size - start).min(self.position - start + STEP);
            Ok(Some((piece, self.position - start..end)))
        })
    }

    /// The next bytes: at least one, or `None` if none came in time.
    pub fn next(&mut self, at_most: Duration) -> Result<Option<Bytes>> {
        let mut found = self.now();
        if matches!(found, Ok(None)) {
            let engine = self.reading.engine.clone();
            engine.wait_while(at_most, || {
                found = self.now();
                matches!(found, Ok(None))
            })?;
        }
        let Some((body, range)) = found? else {
            return Ok(None);
        };
        let bytes = body.read(range)?;
        self.position += bytes.len() as u64;
        Ok(Some(bytes))
    }
}
