//! Builds the pages of a new version from cells and subtrees that come in key order.
//!
//! One packer for each height makes pages of what it is passed. Before a subtree is passed on whole at some height, the
//! packers below make pages of what they hold; if that would make a meagre page, the subtree is opened instead, which
//! joins its first page with what is held. At the end of the tree the neighbour on the left is opened in the same way.
//! So meagre pages, empty pages, growing and shrinking roots need no rules of their own.

use super::cursor::TreeCursor;
use super::packer::Packer;
use super::pages::{PageFile, RootPtr, Writer};
use super::tree::{Tree, Version};
use crate::error::Result;
use crate::format::page::{
    common_prefix, decode_branch_tail, decode_leaf_tail, encode, encode_branch_tail, encode_leaf_tail,
};
use crate::format::weight::Totals;

/// Makes pages of cells and subtrees that come in key order.
#[derive(Debug)]
pub(in crate::index) struct Builder<'m> {
    /// The version whose pages are passed on and opened.
    pub(in crate::index) old: &'m Version,
    /// The packer of each height.
    levels: Vec<Packer>,
    pub(in crate::index) out: Writer<'m>,
    /// Pages of the old version that were opened, and so are not part of the new one.
    pub(in crate::index) freed: Vec<u64>,
}

impl<'m> Builder<'m> {
    pub(in crate::index) fn new(file: &'m PageFile, old: &'m Tree) -> Builder<'m> {
        Builder { old: &old.0, levels: vec![Packer::new(0)], out: Writer::new(file), freed: Vec::new() }
    }

    pub(in crate::index) fn push_item(
        &mut self,
        low: &[u8],
        key: &[u8],
        tail: &[u8],
        fresh: bool,
    ) -> Result<()> {
        if self.levels[0].is_empty() {
            self.levels[0].set_low(low);
        }
        self.push(0, key, tail, fresh)
    }

    fn push(&mut self, level: usize, key: &[u8], tail: &[u8], fresh: bool) -> Result<()> {
        while self.levels.len() <= level {
            self.levels.push(Packer::new(self.levels.len() as u8));
        }
        if !self.levels[level].admits(key) {
            let page = self.freed.last().copied().unwrap_or_default();
            return Err(self.old.file.corrupt(page, "keys are not in order"));
        }
        match self.levels[level].add(key, tail, fresh) {
            Some(count) => self.cut_off(level, count),
            None => Ok(()),
        }
    }

    /// Passes on a subtree of the old version as it is.
    pub(in crate::index) fn pass(&mut self, height: u8, low: &[u8], tail: &[u8]) -> Result<()> {
        for level in 0..=(height as usize).min(self.levels.len() - 1) {
            if self.levels[level].is_empty() {
                continue;
            }
            if self.levels[level].is_meagre() {
                return self.open(height, low, tail);
            }
            self.close(level, false)?;
        }
        self.push(height as usize + 1, low, tail, false)
    }

    /// Opens a subtree of the old version that could have been passed on, for the sake of its neighbour.
    fn open(&mut self, height: u8, low: &[u8], tail: &[u8]) -> Result<()> {
        for (key, tail) in self.cells_of(height, low, tail)? {
            if height == 0 {
                self.push_item(low, &key, &tail, false)?;
            } else {
                self.pass(height - 1, &key, &tail)?;
            }
        }
        Ok(())
    }

    /// The cells of an old page, with whole keys. The page is not part of the new version.
    fn cells_of(&mut self, height: u8, low: &[u8], tail: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let old = self.old;
        let (child, _) = decode_branch_tail(tail, &mut 0).expect("a cell that was decoded before");
        let lent = old.read(child)?;
        let page = old.open(&lent, child, height)?;
        self.freed.push(child.page);
        let cell = |index| {
            let (suffix, tail) = page.raw(index)?;
            let key = if height > 0 && index == 0 { low.to_vec() } else { [page.prefix(), suffix].concat() };
            Ok((key, tail.to_vec()))
        };
        (0..page.count()).map(cell).collect::<Result<_, _>>().map_err(|why| old.corrupt(child, why))
    }

    /// Makes a page of the first `count` cells that a level holds and passes it up.
    fn cut_off(&mut self, level: usize, count: usize) -> Result<()> {
        let packer = &self.levels[level];
        let (file, height) = (&self.old.file, level as u8);
        let mut totals = Totals::default();
        for index in 0..count {
            let (tail, mut at) = (packer.tail(index), 0);
            if level == 0 {
                totals.add(decode_leaf_tail(tail, &mut at).expect("a cell that was decoded before").weight);
            } else {
                totals.add_all(&decode_branch_tail(tail, &mut at).expect("a cell that was decoded before").1);
            }
            if !totals.is_sane() {
                return Err(file.corrupt(0, "the totals of a subtree are beyond their limit"));
            }
        }
        let salt = self.out.salt();
        let child = self.out.page(height, |number, bytes| {
            encode(bytes, (number, height, salt), count, |index| (packer.key(index), packer.tail(index)))
        })?;
        let mut tail = Vec::new();
        encode_branch_tail(&mut tail, child, &totals);
        let low = packer.low().to_vec();
        let next = if count < packer.len() {
            let (last, first) = (packer.key(count - 1), packer.key(count));
            first[..common_prefix(last, first) + 1].to_vec()
        } else {
            Vec::new()
        };
        self.levels[level].drop_first(count, &next);
        self.push(level + 1, &low, &tail, true)
    }

    /// Makes one or two pages of all that a level holds.
    fn close(&mut self, level: usize, last: bool) -> Result<()> {
        let count = self.levels[level].split_point(last);
        let rest = self.levels[level].len() - count;
        self.cut_off(level, count)?;
        if rest > 0 { self.cut_off(level, rest) } else { Ok(()) }
    }

    /// Makes pages of all that is left and answers the root.
    pub(in crate::index) fn finish(&mut self) -> Result<Option<RootPtr>> {
        let mut level = 0;
        let root = loop {
            let alone = self.levels[level + 1..].iter().all(Packer::is_empty);
            let packer = &self.levels[level];
            if alone && packer.is_empty() {
                break None;
            }
            if alone && level > 0 && packer.len() == 1 {
                let (child, _) =
                    decode_branch_tail(packer.tail(0), &mut 0).expect("a cell that was decoded before");
                break Some(RootPtr { page: child.page, checksum: child.checksum, height: level as u8 - 1 });
            }
            if !packer.is_empty() {
                if !alone && packer.is_meagre() {
                    self.reopen_left(level)?;
                }
                self.close(level, true)?;
            }
            level += 1;
        };
        self.out.flush()?;
        Ok(root)
    }

    /// Joins what a level holds, which is meagre, with the page to the left of it. That page is an old one: a level
    /// that is meagre has made no page since a subtree was last passed on whole.
    fn reopen_left(&mut self, level: usize) -> Result<()> {
        if self.levels[level + 1].is_empty() {
            if self.levels[level + 2..].iter().all(Packer::is_empty) {
                return Ok(());
            }
            self.reopen_left(level + 1)?;
        }
        let above = &mut self.levels[level + 1];
        if above.is_empty() || above.is_fresh(above.len() - 1) {
            return Ok(());
        }
        let Some((low, tail)) = above.pop() else {
            return Ok(());
        };
        let old_cells = self.cells_of(level as u8, &low, &tail)?;
        let held = std::mem::replace(&mut self.levels[level], Packer::new(level as u8));
        self.levels[level].set_low(&low);
        for (key, tail) in &old_cells {
            self.push(level, key, tail, false)?;
        }
        (0..held.len())
            .try_for_each(|index| self.push(level, held.key(index), held.tail(index), held.is_fresh(index)))
    }

    /// Takes over all items of another file's tree; `go_on` is asked now and then and may end it with an error.
    pub(in crate::index) fn copy(
        &mut self,
        tree: &Tree,
        go_on: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Option<RootPtr>> {
        let mut cursor = TreeCursor::new(tree);
        cursor.seek(&[])?;
        let (mut tail, mut items) = (Vec::new(), 0u32);
        while let (Some(key), Some(item)) = (cursor.key(), cursor.item()?) {
            items = items.wrapping_add(1);
            if items.is_multiple_of(4096) {
                go_on()?;
            }
            tail.clear();
            encode_leaf_tail(&mut tail, item.lsn, item.tombstone, item.weight, item.value());
            self.push_item(&[], key, &tail, true)?;
            cursor.next()?;
        }
        self.finish()
    }
}
