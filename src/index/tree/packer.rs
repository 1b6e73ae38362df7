//! Packs cells that come in key order into pages of one height, and decides where pages are cut.
//!
//! It holds at most two pages' worth of cells: the first group fills a page, the second is what did not fit. When the
//! second overflows as well, the first is cut off. So what remains at the end of a run can be cut evenly in two.

use crate::format::page::{HEADER, PAGE, cell_size, common_prefix, key_size};

/// A page with less in it is joined with a neighbour.
const MEAGRE: usize = PAGE / 4;

/// So many new cells side by side, and no others, are taken for keys that come in order.
const IN_ORDER: usize = 4;

/// Cells waiting to become pages.
#[derive(Debug)]
pub(in crate::index) struct Packer {
    height: u8,
    packed: Vec<u8>,
    cells: Vec<Held>,
    /// The size of all cells ever added, without prefixes.
    total: u64,
    /// How many cells the first group has, once there are two.
    cut: Option<usize>,
    /// At or below every key held, above every key that went before.
    low: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    start: u32,
    key: u16,
    tail: u16,
    /// The size of all cells added before.
    before: u64,
    /// Whether it comes from the delta, or stands for a page written in this merge.
    fresh: bool,
}

impl Packer {
    pub(in crate::index) fn new(height: u8) -> Packer {
        Packer { height, packed: Vec::new(), cells: Vec::new(), total: 0, cut: None, low: Vec::new() }
    }

    pub(in crate::index) fn len(&self) -> usize {
        self.cells.len()
    }

    pub(in crate::index) fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    pub(in crate::index) fn key(&self, index: usize) -> &[u8] {
        let held = self.cells[index];
        &self.packed[held.start as usize..][..held.key as usize]
    }

    pub(in crate::index) fn tail(&self, index: usize) -> &[u8] {
        let held = self.cells[index];
        &self.packed[held.start as usize + held.key as usize..][..held.tail as usize]
    }

    pub(in crate::index) fn is_fresh(&self, index: usize) -> bool {
        self.cells[index].fresh
    }

    /// The separator of the page that will hold the first cells.
    pub(in crate::index) fn low(&self) -> &[u8] {
        if self.height == 0 { &self.low } else { self.key(0) }
    }

    /// Says what the first cell's separator will be.
    pub(in crate::index) fn set_low(&mut self, low: &[u8]) {
        self.low.clear();
        self.low.extend_from_slice(low);
    }

    /// Whether a key may come next.
    pub(in crate::index) fn admits(&self, key: &[u8]) -> bool {
        self.cells.is_empty() || self.key(self.len() - 1) < key
    }

    /// Adds a cell. If there are more than two pages' worth now, answers how many cells to take off as a page.
    pub(in crate::index) fn add(&mut self, key: &[u8], tail: &[u8], fresh: bool) -> Option<usize> {
        let (key_len, tail_len) = (key.len() as u16, tail.len() as u16);
        let start = self.packed.len() as u32;
        self.cells.push(Held { start, key: key_len, tail: tail_len, before: self.total, fresh });
        self.packed.extend_from_slice(key);
        self.packed.extend_from_slice(tail);
        self.total += cell_size(key.len(), tail.len()) as u64;
        if self.size(self.cut.unwrap_or(0), self.len()) <= PAGE {
            return None;
        }
        self.cut.replace(self.len() - 1)
    }

    /// Whether all there is makes less than a quarter of a page.
    pub(in crate::index) fn is_meagre(&self) -> bool {
        self.cut.is_none() && self.size(0, self.len()) < MEAGRE
    }

    /// How many of the cells go into the first of the last one or two pages of a run. `last` says that nothing
    /// follows at this height.
    pub(in crate::index) fn split_point(&self, last: bool) -> usize {
        let Some(cut) = self.cut else { return self.len() };
        let all = self.len();
        let (first, behind) = self.fresh_run();
        // Keys that come in order would only ever fill the second page of an even cut.
        let appended = first < all && behind == all;
        if appended && last && self.height == 0 {
            return cut;
        }
        // Keys that come in order before others are cut from those, so that they will be appended from then on.
        let in_order = behind - first >= IN_ORDER && behind <= cut;
        if in_order && self.size(0, behind) >= PAGE / 2 && (MEAGRE..=PAGE).contains(&self.size(behind, all)) {
            return behind;
        }
        let enough = |at: usize| {
            let right = self.size(at, all);
            right > PAGE || if appended { right >= MEAGRE } else { right >= self.size(0, at) }
        };
        let at = (1..=cut).rev().find(|at| enough(*at)).unwrap_or(1);
        if self.size(at, all) > PAGE { at + 1 } else { at }
    }

    /// Drops the first `count` cells, which have become a page; `low` is the separator of the next.
    pub(in crate::index) fn drop_first(&mut self, count: usize, low: &[u8]) {
        let bytes = self.cells.get(count).map_or(self.packed.len(), |held| held.start as usize);
        self.packed.drain(..bytes);
        self.cells.drain(..count);
        self.cells.iter_mut().for_each(|held| held.start -= bytes as u32);
        self.cut = self.cut.and_then(|cut| cut.checked_sub(count)).filter(|cut| *cut > 0);
        self.set_low(low);
    }

    /// Takes the last cell off again.
    pub(in crate::index) fn pop(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        let last = self.len().checked_sub(1)?;
        let cell = (self.key(last).to_vec(), self.tail(last).to_vec());
        let held = self.cells.pop()?;
        self.packed.truncate(held.start as usize);
        self.total = held.before;
        self.cut = self.cut.filter(|cut| *cut < last);
        Some(cell)
    }

    /// The size of a page of the cells from `from` up to `to`; never less than it will be.
    fn size(&self, from: usize, to: usize) -> usize {
        let end = self.cells.get(to).map_or(self.total, |held| held.before);
        let full = (end - self.cells[from].before) as usize;
        if self.height == 0 {
            let prefix = common_prefix(self.key(from), self.key(to - 1));
            return HEADER + prefix + full - (to - from) * prefix;
        }
        // The first key of a branch is not written and has no part in the prefix.
        let full = full - key_size(self.cells[from].key as usize) + 1;
        if from + 1 == to {
            return HEADER + full;
        }
        let prefix = common_prefix(self.key(from + 1), self.key(to - 1));
        HEADER + prefix + full - (to - from - 1) * prefix
    }

    /// The range of the fresh cells, if no other lies among them; an empty one if not.
    fn fresh_run(&self) -> (usize, usize) {
        let first = self.cells.iter().position(|held| held.fresh).unwrap_or(self.len());
        let run = self.cells[first..].iter().take_while(|held| held.fresh).count();
        let alone = self.cells[first + run..].iter().all(|held| !held.fresh);
        if alone { (first, first + run) } else { (self.len(), self.len()) }
    }
}
