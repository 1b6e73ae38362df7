//! Reading what is left of a damaged tree: every page that can be reached and verified, around those that cannot.

use super::item::Item;
use super::verify::keys_of;
use crate::env::Lent;
use crate::error::Result;
use crate::format::page::{Child, Page};
use crate::index::tree::space::PageSet;
use crate::index::tree::tree::{Tree, Version, item_of};

/// Hears what a walk over a damaged tree meets, in key order.
pub trait Salvager {
    /// An item.
    fn found(&mut self, key: &[u8], item: &Item<'_>) -> Result<()>;
    /// The keys from `low` on and below `high` (to the end, without one) cannot be read.
    fn lost(&mut self, low: &[u8], high: Option<&[u8]>);
}

impl Tree {
    /// Hands everything that can be read to `salvager`. A page counts only if its checksum is the one that its parent
    /// has for it, so nothing old or foreign passes.
    pub fn salvage(&self, salvager: &mut dyn Salvager) -> Result<()> {
        let mut walk = Walk { version: &self.0, seen: PageSet::default(), salvager };
        match self.0.root {
            Some(root) => walk.page(root.child(), root.height, &[], None),
            None => Ok(()),
        }
    }
}

struct Walk<'w> {
    version: &'w Version,
    seen: PageSet,
    salvager: &'w mut dyn Salvager,
}

impl Walk<'_> {
    fn page(&mut self, child: Child, height: u8, low: &[u8], high: Option<&[u8]>) -> Result<()> {
        let file = &self.version.file;
        // A page number beyond the file is refused before it is remembered.
        let bytes = file.read_raw(child.page).and_then(|bytes| file.check(child, &bytes).map(|()| bytes));
        let Ok(bytes) = bytes else {
            self.salvager.lost(low, high);
            return Ok(());
        };
        let opened = Page::open(&bytes, child.page, height);
        let Some((page, keys)) =
            opened.and_then(|page| keys_of(&page, height).map(|keys| (page, keys))).ok().filter(|_| {
                // A tree that leads in circles is no tree.
                self.seen.insert(child.page)
            })
        else {
            self.salvager.lost(low, high);
            return Ok(());
        };
        for (index, key) in keys.iter().enumerate() {
            let next = keys.get(index + 1).map(|key| &key[..]).or(high);
            if height == 0 {
                match page.leaf(index) {
                    Ok(cell) => self.salvager.found(key, &item_of(Lent::Borrowed(&bytes), cell))?,
                    Err(_) => self.salvager.lost(key, next),
                }
                continue;
            }
            let low = if index == 0 { low } else { &key[..] };
            match page.child(index) {
                Ok(below) => self.page(below, height - 1, low, next)?,
                Err(_) => self.salvager.lost(low, next),
            }
        }
        Ok(())
    }
}
