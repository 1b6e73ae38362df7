//! The delta: a persistent ordered map in memory. A clone costs nothing and never changes.

use std::sync::Arc;

use super::node::{Branch, Change, Leaf, Node};
use super::record::Record;
use crate::format::page::{MAX_KEY, MAX_VALUE};
use crate::format::weight::{Totals, Weight};
use crate::index::item::{Item, NewItem};

/// Changes in key order. The writer changes its clone in place where nobody shares it and copies the path where
/// somebody does, so that a reader's clone stays as it was, and a writer's is undone by dropping it.
#[derive(Clone, Debug)]
pub struct Delta {
    pub(in crate::index) root: Arc<Node>,
    keys: usize,
    bytes: usize,
}

impl Default for Delta {
    fn default() -> Delta {
        Delta::new()
    }
}

impl Delta {
    /// No changes.
    pub fn new() -> Delta {
        let root = Node::Leaf(Leaf::default());
        let bytes = root.memory();
        Delta { root: Arc::new(root), keys: 0, bytes }
    }

    /// How many keys it holds.
    pub fn len(&self) -> usize {
        self.keys
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.keys == 0
    }

    /// How much memory it takes, unused capacity included. What clones share is counted in each.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The item under `key`; it may be a tombstone.
    pub fn get(&self, key: &[u8]) -> Option<Item<'_>> {
        self.record(key).map(|record| record.item)
    }

    /// What the items with keys in `[start, end)` add to the totals of the layers beneath.
    pub fn totals(&self, start: &[u8], end: Option<&[u8]>) -> Totals {
        if end.is_some_and(|end| end <= start) || self.is_empty() {
            return Totals::default();
        }
        let mut totals = self.totals_below(end);
        if !start.is_empty() {
            totals.sub_all(&self.totals_below(Some(start)));
        }
        totals
    }

    pub(in crate::index) fn record(&self, key: &[u8]) -> Option<Record<'_>> {
        let mut node = &*self.root;
        loop {
            match node {
                Node::Branch(branch) => node = &branch.children[branch.route(key)],
                Node::Leaf(leaf) => return leaf.find(key).ok().map(|index| Record::decode(leaf.tail(index))),
            }
        }
    }

    /// Puts an item that hides `below` in the layers beneath.
    pub(in crate::index) fn put(&mut self, key: &[u8], item: NewItem<'_>, below: Option<Weight>) {
        assert!(key.len() <= MAX_KEY, "a key is longer than {MAX_KEY} bytes");
        assert!(item.value.len() <= MAX_VALUE, "a value is longer than {MAX_VALUE} bytes");
        assert!(item.weight.is_sane(), "a weight is beyond its limits");
        let mut tail = Vec::with_capacity(item.value.len() + 32);
        Record::encode(&mut tail, item, below);
        let mut change = Change { totals: Totals::default(), bytes: 0, new: false };
        change.totals.add(item.weight);
        if let Some(below) = below {
            change.totals.sub(below);
        }
        if let Some((separator, right)) = Node::put(&mut self.root, key, &tail, &mut change) {
            let left = std::mem::replace(&mut self.root, Arc::new(Node::Leaf(Leaf::default())));
            let root = Node::Branch(Branch::of_two(left, &separator, right));
            change.bytes += root.memory() as isize;
            self.root = Arc::new(root);
        }
        self.keys += usize::from(change.new);
        self.bytes = self.bytes.saturating_add_signed(change.bytes);
    }

    fn totals_below(&self, key: Option<&[u8]>) -> Totals {
        let Some(key) = key else {
            return self.root.sums().clone();
        };
        let mut totals = Totals::default();
        let mut node = &*self.root;
        loop {
            match node {
                Node::Branch(branch) => {
                    let index = branch.route(key);
                    branch.children[..index].iter().for_each(|child| totals.add_all(child.sums()));
                    node = &branch.children[index];
                }
                Node::Leaf(leaf) => {
                    let below = leaf.find(key).unwrap_or_else(|index| index);
                    (0..below).for_each(|index| Record::decode(leaf.tail(index)).add_to(&mut totals));
                    return totals;
                }
            }
        }
    }
}
