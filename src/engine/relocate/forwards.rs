//! Forwarding entries: where the owner of a body is found when its key has changed.

use crate::engine::proposal::proposal::{Change, Proposal, State};
use crate::error::Result;
use crate::segment::Spender;

/// Removes rows that have done their work and are still the same.
pub(in crate::engine) struct DropForwards {
    pub(in crate::engine) rows: Vec<(Vec<u8>, u64)>,
}

impl Proposal for DropForwards {
    fn decide(&mut self, state: &State<'_>) -> Result<Vec<Change>> {
        let mut changes = Vec::new();
        for (key, lsn) in &self.rows {
            if state.index().get(key)?.is_some_and(|item| !item.tombstone && item.lsn == *lsn) {
                changes.push(Change::delete(key.clone()));
            }
        }
        Ok(changes)
    }

    fn may_use_reserve(&self) -> Option<Spender> {
        Some(Spender::Relocation)
    }
}
