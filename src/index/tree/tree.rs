//! One version of the tree on disk: looking up a key, and counting what lies below one.

use std::sync::{Arc, Weak};

use super::pages::{PageFile, RootPtr, View};
use super::space::{Pin, Withheld};
use crate::env::Lent;
use crate::error::{Error, Result};
use crate::format::page::{Child, LeafCell, MAX_HEIGHT, Page, Reason};
use crate::format::weight::Totals;
use crate::index::item::Item;

/// One version of the tree. Cheap to clone; its pages stay as long as a clone lives.
#[derive(Clone, Debug)]
pub struct Tree(pub(in crate::index) Arc<Version>);

/// What the clones of a tree share.
#[derive(Debug)]
pub(in crate::index) struct Version {
    pub(in crate::index) file: Arc<PageFile>,
    pub(in crate::index) view: Arc<View>,
    pub(in crate::index) root: Option<RootPtr>,
    /// How many versions were published before it.
    pub(in crate::index) generation: u64,
    /// While it lives, no page of the version is written (I6, I7).
    pub(in crate::index) pin: Arc<Pin>,
}

impl PageFile {
    /// The tree that begins at `root`, or the empty one. The page is looked at, so that a superblock that leads
    /// nowhere is found at once. One root is used between opening the file and its first merge.
    pub fn tree(self: &Arc<Self>, root: Option<RootPtr>) -> Result<Tree> {
        let view = self.view();
        if let Some(root) = root {
            if root.height > MAX_HEIGHT {
                return Err(self.corrupt(root.page, "the root is higher than a tree may be"));
            }
            let lent = self.read(&view, root.child())?;
            Page::open(&lent, root.page, root.height).map_err(|why| self.corrupt(root.page, why))?;
        }
        let mut space = self.space.lock();
        let version =
            Version { file: self.clone(), view, root, generation: space.generation, pin: Arc::new(Pin) };
        space.register(&version.pin);
        drop(space);
        Ok(Tree(Arc::new(version)))
    }
}

impl RootPtr {
    pub(in crate::index) fn child(&self) -> Child {
        Child { page: self.page, checksum: self.checksum }
    }
}

/// Tells whether any clone of a tree is left, and keeps none.
#[derive(Clone, Debug)]
pub struct TreeWatch(Weak<Version>);

impl TreeWatch {
    /// Whether a clone is left.
    pub fn is_alive(&self) -> bool {
        self.0.strong_count() > 0
    }
}

impl Tree {
    /// Something that tells whether a clone of this tree is left.
    pub fn watch(&self) -> TreeWatch {
        TreeWatch(Arc::downgrade(&self.0))
    }

    /// Where it begins; nothing if it is empty.
    pub fn root(&self) -> Option<RootPtr> {
        self.0.root
    }

    /// The item under `key`; it may be a tombstone.
    pub fn get(&self, key: &[u8]) -> Result<Option<Item<'_>>> {
        let version = &*self.0;
        let Some(root) = version.root else { return Ok(None) };
        let mut child = root.child();
        for height in (1..=root.height).rev() {
            let lent = version.read(child)?;
            let page = version.open(&lent, child, height)?;
            child = page
                .route(key)
                .and_then(|index| page.child(index))
                .map_err(|why| version.corrupt(child, why))?;
        }
        let lent = version.read(child)?;
        let page = version.open(&lent, child, 0)?;
        let cell = match page.find(key).map_err(|why| version.corrupt(child, why))? {
            (index, true) => page.leaf(index).map_err(|why| version.corrupt(child, why))?,
            _ => return Ok(None),
        };
        Ok(Some(item_of(lent, cell)))
    }

    /// What the items with keys in `[start, end)` add up to.
    pub fn totals(&self, start: &[u8], end: Option<&[u8]>) -> Result<Totals> {
        if end.is_some_and(|end| end <= start) {
            return Ok(Totals::default());
        }
        let mut totals = self.0.totals_below(end)?;
        if !start.is_empty() {
            totals.sub_all(&self.0.totals_below(Some(start))?);
        }
        Ok(totals)
    }
}

impl Version {
    #[inline]
    pub(in crate::index) fn read(&self, child: Child) -> Result<Lent<'_>> {
        self.file.read(&self.view, child)
    }

    #[inline]
    pub(in crate::index) fn open<'p>(&self, lent: &'p [u8], child: Child, height: u8) -> Result<Page<'p>> {
        Page::open(lent, child.page, height).map_err(|why| self.corrupt(child, why))
    }

    #[cold]
    pub(in crate::index) fn corrupt(&self, child: Child, reason: Reason) -> Error {
        self.file.corrupt(child.page, reason)
    }

    /// What all items below `key` add up to (all items if there is no key): one page a level.
    fn totals_below(&self, key: Option<&[u8]>) -> Result<Totals> {
        let mut totals = Totals::default();
        let Some(root) = self.root else { return Ok(totals) };
        let mut child = root.child();
        for height in (0..=root.height).rev() {
            let lent = self.read(child)?;
            let page = self.open(&lent, child, height)?;
            let next = add_below(&page, height, key, &mut totals).map_err(|why| self.corrupt(child, why))?;
            match next {
                Some(next) => child = next,
                None => break,
            }
        }
        Ok(totals)
    }
}

/// Adds what lies wholly below `key` in this page, and says which child has a part below it.
fn add_below(
    page: &Page<'_>,
    height: u8,
    key: Option<&[u8]>,
    totals: &mut Totals,
) -> Result<Option<Child>, Reason> {
    if height == 0 {
        let below = key.map_or(Ok(page.count()), |key| page.find(key).map(|(index, _)| index))?;
        for index in 0..below {
            totals.add(page.leaf(index)?.weight);
        }
        return Ok(None);
    }
    let below = key.map_or(Ok(page.count()), |key| page.route(key))?;
    for index in 0..below {
        totals.add_all(&page.child_totals(index)?);
    }
    if below < page.count() { page.child(below).map(Some) } else { Ok(None) }
}

/// The item that a leaf cell holds, in the bytes that the cell was read from.
#[inline]
pub(in crate::index) fn item_of(lent: Lent<'_>, cell: LeafCell) -> Item<'_> {
    let value = match lent {
        Lent::Borrowed(bytes) => Lent::Borrowed(&bytes[cell.value]),
        Lent::Owned(bytes) => Lent::Owned(bytes.slice(cell.value)),
    };
    Item { lsn: cell.lsn, tombstone: cell.tombstone, weight: cell.weight, value }
}

impl PageFile {
    /// Keeps the pages that `tree`, the version published last, does not use from being used for anything else while
    /// the answer lives: somebody that nobody here knows of may still read them.
    pub fn withhold(&self, tree: &Tree) -> Result<Withheld> {
        self.learn(tree.root())?;
        Ok(self.space.lock().withhold())
    }
}
