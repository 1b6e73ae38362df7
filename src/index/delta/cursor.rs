//! Walking the delta in key order, either way.

use super::delta::Delta;
use super::node::{Leaf, Node};
use super::record::Record;

/// A place in a delta: at a key, or nowhere.
#[derive(Debug)]
pub(in crate::index) struct DeltaCursor<'d> {
    root: &'d Node,
    /// The branches on the way to the leaf, each with the child taken.
    path: Vec<(&'d Node, usize)>,
    leaf: Option<(&'d Leaf, usize)>,
}

impl<'d> DeltaCursor<'d> {
    /// A cursor that is nowhere.
    pub(in crate::index) fn new(delta: &'d Delta) -> DeltaCursor<'d> {
        DeltaCursor { root: &delta.root, path: Vec::new(), leaf: None }
    }

    pub(in crate::index) fn key(&self) -> Option<&'d [u8]> {
        self.leaf.map(|(leaf, index)| leaf.key(index))
    }

    pub(in crate::index) fn record(&self) -> Option<Record<'d>> {
        self.leaf.map(|(leaf, index)| Record::decode(leaf.tail(index)))
    }

    /// The item as a leaf cell of a page has it after its key, with more behind it.
    pub(in crate::index) fn tail(&self) -> Option<&'d [u8]> {
        self.leaf.map(|(leaf, index)| leaf.tail(index))
    }

    /// To the first key at or above `key`.
    pub(in crate::index) fn seek(&mut self, key: &[u8]) {
        let index = self.descend(Some(key));
        self.settle_forward(index);
    }

    /// To the last key below `key`; to the last of all without one.
    pub(in crate::index) fn seek_last_before(&mut self, key: Option<&[u8]>) {
        let index = self.descend(key);
        self.settle_backward(index);
    }

    pub(in crate::index) fn next(&mut self) {
        if let Some((_, index)) = self.leaf {
            self.settle_forward(index + 1);
        }
    }

    pub(in crate::index) fn prev(&mut self) {
        if let Some((_, index)) = self.leaf {
            self.settle_backward(index);
        }
    }

    /// Goes to the leaf that may hold `key` and answers where in it; the end of the last leaf without a key.
    fn descend(&mut self, key: Option<&[u8]>) -> usize {
        self.path.clear();
        let mut node = self.root;
        while let Node::Branch(branch) = node {
            let index = key.map_or(branch.children.len() - 1, |key| branch.route(key));
            self.path.push((node, index));
            node = &branch.children[index];
        }
        let Node::Leaf(leaf) = node else { unreachable!("the loop ends at a leaf") };
        self.leaf = Some((leaf, 0));
        key.map_or(leaf.len(), |key| leaf.find(key).unwrap_or_else(|index| index))
    }

    fn settle_forward(&mut self, index: usize) {
        let Some((leaf, _)) = self.leaf else { return };
        if index < leaf.len() {
            self.leaf = Some((leaf, index));
            return;
        }
        self.leaf = None;
        while let Some((node, index)) = self.path.pop() {
            let Node::Branch(branch) = node else { continue };
            if index + 1 < branch.children.len() {
                self.path.push((node, index + 1));
                self.descend_to_edge(&branch.children[index + 1], false);
                return;
            }
        }
    }

    /// To the key before `index` in the leaf.
    fn settle_backward(&mut self, index: usize) {
        let Some((leaf, _)) = self.leaf else { return };
        if index > 0 {
            self.leaf = Some((leaf, index - 1));
            return;
        }
        self.leaf = None;
        while let Some((node, index)) = self.path.pop() {
            let Node::Branch(branch) = node else { continue };
            if index > 0 {
                self.path.push((node, index - 1));
                self.descend_to_edge(&branch.children[index - 1], true);
                return;
            }
        }
    }

    /// To the first or the last key under `node`. Only the root may be an empty leaf, and it has no siblings.
    fn descend_to_edge(&mut self, mut node: &'d Node, last: bool) {
        while let Node::Branch(branch) = node {
            let index = if last { branch.children.len() - 1 } else { 0 };
            self.path.push((node, index));
            node = &branch.children[index];
        }
        if let Node::Leaf(leaf) = node {
            self.leaf = Some((leaf, if last { leaf.len() - 1 } else { 0 }));
        }
    }
}
