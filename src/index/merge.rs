//! The merge of a delta into a tree: copy-on-write, only where the delta touches it.
//!
//! The old tree is walked in key order. A subtree without changes is passed on whole; a page with changes is opened and
//! its cells are passed on one by one, leaf cells merged with the delta. What pages come of it is decided in
//! `builder.rs`.

use std::sync::Arc;

use super::item::{Item, NewItem};
use crate::env::Lent;
use crate::error::Result;
use crate::format::page::{Child, PAGE, decode_leaf_tail};
use crate::index::delta::cursor::DeltaCursor;
use crate::index::delta::delta::Delta;
use crate::index::delta::record::Record;
use crate::index::tree::builder::Builder;
use crate::index::tree::pages::{PageFile, RootPtr, Writer};
use crate::index::tree::space::Pin;
use crate::index::tree::tree::{Tree, Version, item_of};

/// A new version whose pages are written but not synced, and which nothing on disk names yet. Dropping it neither
/// publishes nor abandons it: its pages stay taken until the file is opened again. That is right when it is not
/// known whether the superblock that names it is durable (I8).
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

/// At most how many pages a merge of so many changes, which take so many bytes in memory, writes into a tree of `used` pages:
/// each may touch a leaf of its own and its neighbour, and the branches above; and what is new needs room.
pub fn pages_needed(items: usize, bytes: usize, used: u64) -> u64 {
    let leaves = 2 * items as u64;
    let touched = (leaves + leaves.min(used / 8) + 4).min(used);
    touched + (2 * bytes / PAGE) as u64 + 4
}

/// Writes a whole tree into another file, which must be empty, with full pages. `go_on` is asked now and then and may
/// end it with an error.
pub fn copy_into(
    tree: &Tree,
    target: &Arc<PageFile>,
    go_on: &mut dyn FnMut() -> Result<()>,
) -> Result<Merged> {
    let base = target.tree(None)?;
    assert_eq!(base.0.generation, 0, "a tree is copied into a file that nothing was merged into");
    target.learn(None)?;
    let mut builder = Builder::new(target, &base);
    let copied = builder.copy(tree, go_on);
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
    let Builder { out: Writer { taken, .. }, freed, .. } = builder;
    let view = match file.renew_view() {
        Ok(view) => view,
        Err(error) => {
            file.space.lock().release(&taken);
            return Err(error);
        }
    };
    let version =
        Version { file: file.clone(), view, root, generation: base.0.generation + 1, pin: Arc::new(Pin) };
    let pages_written = taken.len() as u64;
    Ok(Merged { tree: Tree(Arc::new(version)), pages_written, dropped, freed, taken })
}

impl Merged {
    /// Makes it the current version. Call it after the superblock that names it is durable (I7): the pages that only
    /// older versions have are used again once no older [`Tree`] is alive. Both answers go to
    /// [`Index::settle`](super::Index::settle).
    pub fn publish(self) -> (Tree, Dropped) {
        let mut space = self.tree.0.file.space.lock();
        assert_eq!(space.generation + 1, self.tree.0.generation, "a version is published once, in order");
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
            if self.key(middle) < key { low = middle + 1 } else { high = middle }
        }
        low < self.len() && self.key(low) == key
    }

    /// Lets a delta above the merged tree forget that these lie beneath. Walks whichever of the two is shorter.
    pub(super) fn uncover(&self, delta: &mut Delta) {
        let old = delta.clone();
        let mut uncover = |key: &[u8], record: Record<'_>| {
            if record.below.is_some() {
                let Item { lsn, tombstone, weight, value } = &record.item;
                delta.put(key, NewItem { lsn: *lsn, tombstone: *tombstone, weight: *weight, value }, None);
            }
        };
        if self.len() < old.len() {
            for key in (0..self.len()).map(|index| self.key(index)) {
                old.record(key).into_iter().for_each(|record| uncover(key, record));
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
        if !tail.is_empty() && self.changes.key().is_none_or(|key| high.is_some_and(|high| key >= high)) {
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
