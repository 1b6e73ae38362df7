//! One version of the whole map: the delta over the tree.

use super::item::{Item, NewItem};
use super::merge::Dropped;
use crate::error::Result;
use crate::format::weight::Totals;
use crate::index::delta::delta::Delta;
use crate::index::tree::tree::Tree;

/// One version of the whole map. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Index {
    /// The newest changes.
    pub active: Delta,
    /// Changes that a merge is bringing into the tree.
    pub frozen: Option<Delta>,
    /// All older ones.
    pub tree: Tree,
}

impl Index {
    /// A map without changes over a tree.
    #[cfg(test)]
    pub fn new(tree: Tree) -> Index {
        Index { active: Delta::new(), frozen: None, tree }
    }

    /// The newest item under `key`. It may be a tombstone.
    pub fn get(&self, key: &[u8]) -> Result<Option<Item<'_>>> {
        match self.active.get(key) {
            Some(item) => Ok(Some(item)),
            None => self.get_beneath(key),
        }
    }

    /// Puts an item into the active delta. What was visible under the key before, tombstones included, is handed to
    /// `previous` first, once.
    pub fn put(
        &mut self,
        key: &[u8],
        item: NewItem<'_>,
        previous: &mut dyn FnMut(Option<&Item<'_>>),
    ) -> Result<()> {
        let below = if let Some(record) = self.active.record(key) {
            previous(Some(&record.item));
            record.below
        } else {
            let beneath = self.get_beneath(key)?;
            previous(beneath.as_ref());
            beneath.map(|item| item.weight)
        };
        self.active.put(key, item, below);
        Ok(())
    }

    /// What the visible items with keys in `[start, end)` add up to, tombstones included.
    pub fn totals(&self, start: &[u8], end: Option<&[u8]>) -> Result<Totals> {
        let mut totals = self.tree.totals(start, end)?;
        for delta in [Some(&self.active), self.frozen.as_ref()].into_iter().flatten() {
            totals.add_all(&delta.totals(start, end));
        }
        Ok(totals)
    }

    /// Freezes the active delta, to be merged while a new one takes the writes.
    pub fn freeze(&mut self) {
        assert!(self.frozen.is_none(), "one delta is frozen at a time");
        self.frozen = Some(std::mem::take(&mut self.active));
    }

    /// Puts the tree that the frozen delta was merged into in the place of both. The tombstones that the merge has
    /// dropped no longer lie beneath the active delta, and its sums must know.
    pub fn settle(&mut self, tree: Tree, dropped: &Dropped) {
        self.frozen = None;
        self.tree = tree;
        dropped.uncover(&mut self.active);
    }

    fn get_beneath(&self, key: &[u8]) -> Result<Option<Item<'_>>> {
        match self.frozen.as_ref().and_then(|frozen| frozen.get(key)) {
            Some(item) => Ok(Some(item)),
            None => self.tree.get(key),
        }
    }
}
