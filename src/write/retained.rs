//! Whether a bucket keeps what its commits supersede.

use crate::catalog::keyspace::keys;
use crate::catalog::{Rows, unreadable};
use crate::engine::View;
use crate::error::Result;
use crate::format::varint;

/// How far the past is retained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retained {
    /// The first commit from which on every state can be read.
    pub since: u64,
    /// For how many milliseconds a state is kept once it is superseded.
    pub millis: u64,
}

impl Retained {
    pub fn encode(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        varint::put(&mut payload, self.since);
        varint::put(&mut payload, self.millis);
        payload
    }

    pub fn read(rows: &impl Rows) -> Result<Option<Retained>> {
        let Some(found) = rows.get(&[keys::RETAINED])? else {
            return Ok(None);
        };
        let mut payload = &found.payload[..];
        let mut number =
            || varint::take(&mut payload).ok_or_else(|| unreadable("a row of the past is cut off"));
        Ok(Some(Retained { since: number()?, millis: number()? }))
    }
}

/// Whether the commit after this view keeps what it supersedes.
pub fn is_on(view: &View) -> Result<bool> {
    Ok(view.index.get(&[keys::RETAINED])?.is_some_and(|item| !item.tombstone))
}

/// Whether the past is retained.
pub fn is_kept(rows: &impl Rows) -> Result<bool> {
    Ok(Retained::read(rows)?.is_some())
}

/// The first commit from which on every state can be read; `None` if the past is not retained.
pub fn since(rows: &impl Rows) -> Result<Option<u64>> {
    Ok(Retained::read(rows)?.map(|retained| retained.since))
}
