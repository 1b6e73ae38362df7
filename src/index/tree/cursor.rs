//! Walking the tree in key order, either way.

use super::tree::{Tree, Version, item_of};
use crate::env::Lent;
use crate::error::Result;
use crate::format::page::{Child, Reason};
use crate::index::item::Item;

const OUT_OF_ORDER: Reason = "keys are not in order";

/// A place in a tree: at a key, or nowhere.
#[derive(Debug)]
pub(in crate::index) struct TreeCursor<'t> {
    version: &'t Version,
    /// The pages from the root down to the leaf, each with the cell taken.
    path: Vec<Step<'t>>,
    key: Vec<u8>,
    /// How much of `key` is the leaf's prefix.
    prefix: usize,
    placed: bool,
}

#[derive(Debug)]
struct Step<'t> {
    child: Child,
    height: u8,
    lent: Lent<'t>,
    index: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Forward,
    Backward,
}

impl<'t> TreeCursor<'t> {
    /// A cursor that is nowhere.
    pub(in crate::index) fn new(tree: &'t Tree) -> TreeCursor<'t> {
        TreeCursor { version: &tree.0, path: Vec::new(), key: Vec::new(), prefix: 0, placed: false }
    }

    pub(in crate::index) fn key(&self) -> Option<&[u8]> {
        self.placed.then_some(&self.key[..])
    }

    pub(in crate::index) fn item(&self) -> Result<Option<Item<'_>>> {
        let Some(leaf) = self.path.last().filter(|_| self.placed) else {
            return Ok(None);
        };
        let page = self.version.open(&leaf.lent, leaf.child, 0)?;
        let cell = page.leaf(leaf.index).map_err(|why| self.version.corrupt(leaf.child, why))?;
        Ok(Some(item_of(Lent::Borrowed(&leaf.lent), cell)))
    }

    /// To the first key at or above `key`.
    pub(in crate::index) fn seek(&mut self, key: &[u8]) -> Result<()> {
        if self.descend(Some(key))? { self.settle_forward(false) } else { Ok(()) }
    }

    /// To the last key below `key`; to the last of all without one.
    pub(in crate::index) fn seek_last_before(&mut self, key: Option<&[u8]>) -> Result<()> {
        if self.descend(key)? { self.settle_backward(false) } else { Ok(()) }
    }

    pub(in crate::index) fn next(&mut self) -> Result<()> {
        if !std::mem::take(&mut self.placed) {
            return Ok(());
        }
        if let Some(leaf) = self.path.last_mut() {
            leaf.index += 1;
        }
        self.settle_forward(true)
    }

    pub(in crate::index) fn prev(&mut self) -> Result<()> {
        if !std::mem::take(&mut self.placed) { Ok(()) } else { self.settle_backward(true) }
    }

    /// Goes to the leaf that may hold `key` and points behind all that is below `key` in it; behind the last item of
    /// the last leaf without a key. Says whether there is a leaf.
    fn descend(&mut self, key: Option<&[u8]>) -> Result<bool> {
        self.placed = false;
        self.path.clear();
        let Some(root) = self.version.root else {
            return Ok(false);
        };
        let (mut child, mut height) = (root.child(), root.height);
        loop {
            let lent = self.version.read(child)?;
            let page = self.version.open(&lent, child, height)?;
            let corrupt = |why| self.version.corrupt(child, why);
            if height == 0 {
                let index = key
                    .map_or(Ok(page.count()), |key| page.find(key).map(|found| found.0))
                    .map_err(corrupt)?;
                self.path.push(Step { child, height, lent, index });
                return Ok(true);
            }
            let index = key.map_or(Ok(page.count() - 1), |key| page.route(key)).map_err(corrupt)?;
            let next = page.child(index).map_err(corrupt)?;
            self.path.push(Step { child, height, lent, index });
            (child, height) = (next, height - 1);
        }
    }

    /// To the item the leaf points at, or to the first of the next leaf.
    fn settle_forward(&mut self, moving: bool) -> Result<()> {
        let leaf = self.path.last().expect("a cursor with a leaf");
        if leaf.index >= self.version.open(&leaf.lent, leaf.child, 0)?.count() && !self.turn(Way::Forward)? {
            return Ok(());
        }
        self.place(moving.then_some(Way::Forward))
    }

    /// To the item before the one the leaf points at, or to the last of the leaf before.
    fn settle_backward(&mut self, moving: bool) -> Result<()> {
        let leaf = self.path.last_mut().expect("a cursor with a leaf");
        match leaf.index.checked_sub(1) {
            Some(index) => leaf.index = index,
            None if !self.turn(Way::Backward)? => return Ok(()),
            None => {}
        }
        self.place(moving.then_some(Way::Backward))
    }

    /// To the edge of the neighbouring leaf; says whether there is one.
    fn turn(&mut self, way: Way) -> Result<bool> {
        self.path.pop();
        while let Some(mut step) = self.path.pop() {
            let page = self.version.open(&step.lent, step.child, step.height)?;
            let turned = match way {
                Way::Forward => Some(step.index + 1).filter(|index| *index < page.count()),
                Way::Backward => step.index.checked_sub(1),
            };
            let Some(index) = turned else { continue };
            let mut child = page.child(index).map_err(|why| self.version.corrupt(step.child, why))?;
            let height = step.height;
            step.index = index;
            self.path.push(step);
            for height in (0..height).rev() {
                let lent = self.version.read(child)?;
                let page = self.version.open(&lent, child, height)?;
                let index = if way == Way::Forward { 0 } else { page.count() - 1 };
                let this = child;
                if height > 0 {
                    child = page.child(index).map_err(|why| self.version.corrupt(this, why))?;
                }
                self.path.push(Step { child: this, height, lent, index });
            }
            return Ok(true);
        }
        Ok(false)
    }

    /// Reads the key that the path leads to. A step that does not move the key onwards is damage: without this
    /// check pages that point in circles would be walked for ever (I10).
    fn place(&mut self, way: Option<Way>) -> Result<()> {
        let leaf = self.path.last().expect("a cursor with a leaf");
        let page = self.version.open(&leaf.lent, leaf.child, 0)?;
        let suffix = page.suffix(leaf.index).map_err(|why| self.version.corrupt(leaf.child, why))?;
        let prefix = page.prefix();
        let old = &self.key[..];
        let side = match old.get(..prefix.len()) {
            Some(head) if head == prefix => suffix.cmp(&old[prefix.len()..]),
            _ => prefix.iter().chain(suffix).cmp(old),
        };
        let onwards = match way {
            None => true,
            Some(Way::Forward) => side.is_gt(),
            Some(Way::Backward) => side.is_lt(),
        };
        if !onwards {
            return Err(self.version.corrupt(leaf.child, OUT_OF_ORDER));
        }
        if self.prefix == prefix.len() && self.key.get(..prefix.len()) == Some(prefix) {
            self.key.truncate(self.prefix);
        } else {
            self.key.clear();
            self.key.extend_from_slice(prefix);
            self.prefix = prefix.len();
        }
        self.key.extend_from_slice(suffix);
        self.placed = true;
        Ok(())
    }
}
