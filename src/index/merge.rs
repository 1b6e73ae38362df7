//! The merge of a delta into a tree: copy-on-write, only where the delta touches it.
//!
//! The old tree is walked in key order. A subtree without changes is passed on whole; a page with changes is opened and
//! its cells are passed on one by one, leaf cells merged with the delta. One packer for each height makes pages of what
//! it is passed. Before a subtree is passed on whole at some height, the packers below make pages of what they hold; if
//! that would make a meagre page, the subtree is opened instead, which joins its first page with what is held. At the
//! end of the tree the neighbour on the left is opened in the same way. So meagre pages, empty pages, growing and
//! shrinking roots need no rules of their own.

use std::sync::Arc;

use super::delta::{Delta, Record};
use super::delta_cursor::DeltaCursor;
use super::item::{Item, NewItem};
use super::packer::Packer;
use super::pages::{PageFile, RootPtr, Writer};
use super::space::Pin;
use super::tree::{Tree, Version, item_of};
use super::tree_cursor::TreeCursor;
use crate::env::Lent;
use crate::error::Result;
use crate::format::page::{
    Child, common_prefix, decode_branch_tail, decode_leaf_tail, encode, encode_branch_tail, encode_leaf_tail,
};
use crate::format::weight::Totals;

/// A new version whose pages are written but not synced, and which nothing on disk names yet. Dropping it neither
/// publishes nor abandons it: none of its pages and none of the old version's are used again. That is right when it is
/// not known whether the superblock that names it is durable (I8).
#[derive(Debug)]
#[must_use = "publish it once the superblock that names it is durable, or abandon it"]
pub struct Merged {
    /// The new version.
    pub tree: Tree,
    /// How many pages were written.
    pub pages_written: u64,
    /// The tombstones that went.
    pub dropped: Dropped,
    freed: Vec<u64>,
    taken: Vec<u64>,
}

/// The keys of tombstones that a merge has dropped, in order.
#[derive(Debug, Default)]
pub struct Dropped {
    ends: Vec<usize>,
    packed: Vec<u8>,
}

/// Merges a delta into a tree, which must be the version published last, and writes the new pages without syncing.
/// `drop_tombstone` is asked for every tombstone met in a page that is written anew and for those of the delta; one
/// that it says yes to goes. After an error nothing has changed, apart from bytes in free pages.
pub fn merge(
    tree: &Tree,
    delta: &Delta,
    drop_tombstone: &mut dyn FnMut(&[u8], &Item<'_>) -> bool,
) -> Result<Merged> {
    let file = &tree.0.file;
    assert_eq!(
        tree.0.generation,
        file.space.lock().generation,
        "a merge builds on the version published last"
    );
    file.learn(tree.0.root)?;
    if delta.is_empty() {
        return finish(tree, Builder::new(file, tree), tree.0.root, Dropped::default());
    }
    let mut changes = DeltaCursor::new(delta);
    changes.seek(&[]);
    let mut merging = Merging {
        builder: Builder::new(file, tree),
        changes,
        drop_tombstone,
        dropped: Dropped::default(),
        key: Vec::new(),
    };
    let built = merging.run();
    let Merging { builder, dropped, .. } = merging;
    match built {
        Ok(root) => finish(tree, builder, root, dropped),
        Err(error) => {
            file.space.lock().release(&builder.out.taken);
            Err(error)
        }
    }
}

/// Writes a whole tree into another file, which must be empty, with full pages.
pub fn copy_into(tree: &Tree, target: &Arc<PageFile>) -> Result<Merged> {
    let base = target.tree(None)?;
    assert_eq!(
        base.0.generation, 0,
        "a tree is copied into a file that nothing was merged into"
    );
    target.learn(None)?;
    let mut builder = Builder::new(target, &base);
    let copied = builder.copy(tree);
    match copied {
        Ok(root) => finish(&base, builder, root, Dropped::default()),
        Err(error) => {
            target.space.lock().release(&builder.out.taken);
            Err(error)
        }
    }
}

fn finish(base: &Tree, builder: Builder<'_>, root: Option<RootPtr>, dropped: Dropped) -> Result<Merged> {
    let file = &base.0.file;
    let Builder {
        out: Writer { taken, .. },
        freed,
        ..
    } = builder;
    let view = match file.renew_view() {
        Ok(view) => view,
        Err(error) => {
            file.space.lock().release(&taken);
            return Err(error);
        }
    };
    let version = Version {
        file: file.clone(),
        view,
        root,
        generation: base.0.generation + 1,
        pin: Arc::new(Pin),
    };
    let pages_written = taken.len() as u64;
    Ok(Merged {
        tree: Tree(Arc::new(version)),
        pages_written,
        dropped,
        freed,
        taken,
    })
}

impl Merged {
    /// Makes it the current version. Call it after the superblock that names it is durable (I7): the pages that only
    /// older versions have are used again once no older [`Tree`] is alive. Both answers go to
    /// [`Index::settle`](super::Index::settle).
    pub fn publish(self) -> (Tree, Dropped) {
        let mut space = self.tree.0.file.space.lock();
        assert_eq!(
            space.generation + 1,
            self.tree.0.generation,
            "a version is published once, in order"
        );
        space.generation += 1;
        space.retire(self.freed);
        space.register(&self.tree.0.pin);
        drop(space);
        (self.tree, self.dropped)
    }

    /// Gives its pages back. Only if no superblock that names it was written, or it is known not to be on disk.
    pub fn abandon(self) {
        let Merged { tree, taken, .. } = self;
        let (file, pin) = (tree.0.file.clone(), Arc::downgrade(&tree.0.pin));
        drop(tree);
        file.space.lock().retire_after(taken, vec![pin]);
    }
}

impl Dropped {
    /// How many tombstones went.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether none went.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    fn push(&mut self, key: &[u8]) {
        self.packed.extend_from_slice(key);
        self.ends.push(self.packed.len());
    }

    fn key(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.packed[start..self.ends[index]]
    }

    fn contains(&self, key: &[u8]) -> bool {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = (low + high) / 2;
            if self.key(middle) < key {
                low = middle + 1
            } else {
                high = middle
            }
        }
        low < self.len() && self.key(low) == key
    }

    /// Lets a delta above the merged tree forget that these lie beneath. Walks whichever of the two is shorter.
    pub(super) fn uncover(&self, delta: &mut Delta) {
        let old = delta.clone();
        let mut uncover = |key: &[u8], record: Record<'_>| {
            if record.below.is_some() {
                let Item {
                    lsn,
                    tombstone,
                    weight,
                    value,
                } = &record.item;
                delta.put(
                    key,
                    NewItem {
                        lsn: *lsn,
                        tombstone: *tombstone,
                        weight: *weight,
                        value,
                    },
                    None,
                );
            }
        };
        if self.len() < old.len() {
            for key in (0..self.len()).map(|index| self.key(index)) {
                old.record(key)
                    .into_iter()
                    .for_each(|record| uncover(key, record));
            }
        } else {
            let mut cursor = DeltaCursor::new(&old);
            cursor.seek(&[]);
            while let (Some(key), Some(record)) = (cursor.key(), cursor.record()) {
                if self.contains(key) {
                    uncover(key, record);
                }
                cursor.next();
            }
        }
    }
}

/// Makes pages of cells and subtrees that come in key order.
struct Builder<'m> {
    /// The version whose pages are passed on and opened.
    old: &'m Version,
    /// The packer of each height.
    levels: Vec<Packer>,
    out: Writer<'m>,
    /// Pages of the old version that were opened, and so are not part of the new one.
    freed: Vec<u64>,
}

struct Merging<'m, 'd> {
    builder: Builder<'m>,
    changes: DeltaCursor<'d>,
    drop_tombstone: &'m mut dyn FnMut(&[u8], &Item<'_>) -> bool,
    dropped: Dropped,
    /// A buffer for whole keys.
    key: Vec<u8>,
}

impl Merging<'_, '_> {
    fn run(&mut self) -> Result<Option<RootPtr>> {
        match self.builder.old.root {
            Some(root) => self.walk(root.child(), root.height, &[], None, &[])?,
            None => self.take_changes(&[], None)?,
        }
        self.builder.finish()
    }

    /// Merges a subtree whose keys are at or above `low` and below `high`. `tail` is its cell in its parent; the root
    /// has none and is always opened.
    fn walk(&mut self, child: Child, height: u8, low: &[u8], high: Option<&[u8]>, tail: &[u8]) -> Result<()> {
        if !tail.is_empty()
            && self
                .changes
                .key()
                .is_none_or(|key| high.is_some_and(|high| key >= high))
        {
            return self.builder.pass(height, low, tail);
        }
        let old = self.builder.old;
        let lent = old.read(child)?;
        self.builder.freed.push(child.page);
        if height == 0 {
            return self.merge_leaf(&lent, child, low, high);
        }
        let page = old.open(&lent, child, height)?;
        let corrupt = |why| old.corrupt(child, why);
        let (mut this, mut next) = (low.to_vec(), Vec::new());
        for index in 0..page.count() {
            let (_, tail) = page.raw(index).map_err(corrupt)?;
            let below = page.child(index).map_err(corrupt)?;
            if index + 1 < page.count() {
                next.clear();
                next.extend_from_slice(page.prefix());
                next.extend_from_slice(page.suffix(index + 1).map_err(corrupt)?);
                self.walk(below, height - 1, &this, Some(&next), tail)?;
                std::mem::swap(&mut this, &mut next);
            } else {
                self.walk(below, height - 1, &this, high, tail)?;
            }
        }
        Ok(())
    }

    fn merge_leaf(&mut self, lent: &[u8], child: Child, low: &[u8], high: Option<&[u8]>) -> Result<()> {
        let old = self.builder.old;
        let page = old.open(lent, child, 0)?;
        for index in 0..page.count() {
            let (suffix, tail) = page.raw(index).map_err(|why| old.corrupt(child, why))?;
            let mut key = std::mem::take(&mut self.key);
            key.clear();
            key.extend_from_slice(page.prefix());
            key.extend_from_slice(suffix);
            self.take_changes(low, Some(&key))?;
            if self.changes.key() != Some(&key) {
                self.take(low, &key, tail, false)?;
            }
            self.key = key;
        }
        self.take_changes(low, high)
    }

    /// Passes on the changes below `high`.
    fn take_changes(&mut self, low: &[u8], high: Option<&[u8]>) -> Result<()> {
        while let (Some(key), Some(tail)) = (self.changes.key(), self.changes.tail()) {
            if high.is_some_and(|high| key >= high) {
                break;
            }
            self.take(low, key, tail, true)?;
            self.changes.next();
        }
        Ok(())
    }

    /// Passes on an item, unless it is a tombstone that may go. Behind the tail of a change lies more than the item.
    fn take(&mut self, low: &[u8], key: &[u8], tail: &[u8], fresh: bool) -> Result<()> {
        let mut end = 0;
        let cell = decode_leaf_tail(tail, &mut end).expect("a cell that was decoded before");
        if cell.tombstone && (self.drop_tombstone)(key, &item_of(Lent::Borrowed(tail), cell)) {
            self.dropped.push(key);
            return Ok(());
        }
        self.builder.push_item(low, key, &tail[..end], fresh)
    }
}

impl<'m> Builder<'m> {
    fn new(file: &'m PageFile, old: &'m Tree) -> Builder<'m> {
        Builder {
            old: &old.0,
            levels: vec![Packer::new(0)],
            out: Writer::new(file),
            freed: Vec::new(),
        }
    }

    fn push_item(&mut self, low: &[u8], key: &[u8], tail: &[u8], fresh: bool) -> Result<()> {
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
    fn pass(&mut self, height: u8, low: &[u8], tail: &[u8]) -> Result<()> {
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
            let key = if height > 0 && index == 0 {
                low.to_vec()
            } else {
                [page.prefix(), suffix].concat()
            };
            Ok((key, tail.to_vec()))
        };
        (0..page.count())
            .map(cell)
            .collect::<Result<_, _>>()
            .map_err(|why| old.corrupt(child, why))
    }

    /// Makes a page of the first `count` cells that a level holds and passes it up.
    fn cut_off(&mut self, level: usize, count: usize) -> Result<()> {
        let packer = &self.levels[level];
        let (file, height) = (&self.old.file, level as u8);
        let mut totals = Totals::default();
        for index in 0..count {
            let (tail, mut at) = (packer.tail(index), 0);
            if level == 0 {
                totals.add(
                    decode_leaf_tail(tail, &mut at)
                        .expect("a cell that was decoded before")
                        .weight,
                );
            } else {
                totals.add_all(
                    &decode_branch_tail(tail, &mut at)
                        .expect("a cell that was decoded before")
                        .1,
                );
            }
            if !totals.is_sane() {
                return Err(file.corrupt(0, "the totals of a subtree are beyond their limit"));
            }
        }
        let salt = self.out.salt();
        let child = self.out.page(height, |number, bytes| {
            encode(bytes, (number, height, salt), count, |index| {
                (packer.key(index), packer.tail(index))
            })
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
        if rest > 0 {
            self.cut_off(level, rest)
        } else {
            Ok(())
        }
    }

    /// Makes pages of all that is left and answers the root.
    fn finish(&mut self) -> Result<Option<RootPtr>> {
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
                break Some(RootPtr {
                    page: child.page,
                    checksum: child.checksum,
                    height: level as u8 - 1,
                });
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

    /// Takes over all items of another file's tree.
    fn copy(&mut self, tree: &Tree) -> Result<Option<RootPtr>> {
        let mut cursor = TreeCursor::new(tree);
        cursor.seek(&[])?;
        let mut tail = Vec::new();
        while let (Some(key), Some(item)) = (cursor.key(), cursor.item()?) {
            tail.clear();
            encode_leaf_tail(&mut tail, item.lsn, item.tombstone, item.weight, item.value());
            self.push_item(&[], key, &tail, true)?;
            cursor.next()?;
        }
        self.finish()
    }
}
