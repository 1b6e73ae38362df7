//! Follow: reads an object that grows, and waits for more of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::append;
use super::context::{BucketRef, Reading};
use crate::catalog::{self, Moment};
use crate::engine::{BodyReader, Engine};
use crate::error::{Error, ErrorKind, Result};

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

/// The version and the length of the object under a key, and its body.
fn look(moment: &Moment<'_>, bucket: &BucketRef, key: &str) -> Result<Option<((u64, u32), BodyReader)>> {
    let state = bucket.state(moment)?;
    let Some((head, found)) = append::appendable(key, catalog::find_head(state.lens(moment), key)?)? else {
        return Ok(None);
    };
    Ok(Some((head.sequence(), BodyReader::new(moment.view, found.body.to_owned_body())?)))
}

impl Following {
    /// Begins at a position, which may be beyond the end.
    pub fn begin(engine: &Arc<Engine>, bucket: &BucketRef, key: &str, position: u64) -> Result<Following> {
        let reading = Reading::newest(engine);
        let found = reading.with(|moment| {
            bucket.admit(moment, key)?;
            look(moment, bucket, key)
        })?;
        let (version, _) = found.ok_or_else(|| catalog::no_such_key(key))?;
        Ok(Following { reading, bucket: bucket.clone(), key: key.to_string(), version, position })
    }

    /// Where the next bytes come from.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// What there is at the position now; `None` if that is nothing yet.
    fn now(&self) -> Result<Option<(BodyReader, u64)>> {
        let gone = || {
            Error::new(
                ErrorKind::NotFound,
                "NoSuchKey",
                format!("the object {:?} that was followed was deleted or replaced", self.key),
            )
        };
        let found = match self.reading.with(|moment| look(moment, &self.bucket, &self.key)) {
            Err(error) if error.code() == "ObjectNotAppendable" => return Err(gone()),
            found => found?,
        };
        let (_, body) = found.filter(|(version, _)| *version == self.version).ok_or_else(gone)?;
        let end = body.len().min(self.position.saturating_add(STEP));
        Ok((self.position < end).then_some((body, end)))
    }

    /// The next bytes: at least one, or `None` if none came in time.
    pub fn next(&mut self, at_most: Duration) -> Result<Option<Bytes>> {
        let mut found = self.now();
        if matches!(found, Ok(None)) {
            let engine = self.reading.engine.clone();
            engine.commits_seen().wait_while(at_most, || {
                found = self.now();
                matches!(found, Ok(None))
            });
        }
        let Some((body, end)) = found? else {
            return Ok(None);
        };
        let bytes = body.read(self.position..end)?;
        self.position += bytes.len() as u64;
        Ok(Some(bytes))
    }
}
