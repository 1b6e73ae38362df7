//! Which pages of the file are in use, which are free, and which wait for their last reader.
//!
//! Nothing of this is on disk. The first merge after opening learns it from the branch pages of the tree.

use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, Weak};

/// Held by every clone of a tree version; while one lives, the version's pages stay.
#[derive(Debug)]
pub(in crate::index) struct Pin;

/// Pages that were free and are not used before this is dropped.
#[derive(Debug)]
pub struct Withheld(Arc<Pin>);

/// One bit a page.
#[derive(Debug, Default)]
pub(in crate::index) struct PageSet {
    words: Vec<u64>,
}

impl PageSet {
    /// Adds a page; says whether it was new.
    pub(in crate::index) fn insert(&mut self, page: u64) -> bool {
        let (word, bit) = ((page / 64) as usize, 1u64 << (page % 64));
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        let new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        new
    }

    fn remove(&mut self, page: u64) -> bool {
        let (word, bit) = ((page / 64) as usize, 1u64 << (page % 64));
        let Some(held) = self.words.get_mut(word) else {
            return false;
        };
        let there = *held & bit != 0;
        *held &= !bit;
        there
    }

    /// The first page at or after `from` that is not in the set.
    fn first_absent(&self, from: u64) -> u64 {
        let mut word = (from / 64) as usize;
        let mut skip = from % 64;
        while let Some(held) = self.words.get(word) {
            let absent = !held & (u64::MAX << skip);
            if absent != 0 {
                return word as u64 * 64 + u64::from(absent.trailing_zeros());
            }
            (word, skip) = (word + 1, 0);
        }
        from.max(word as u64 * 64)
    }

    fn len(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }
}

/// The pages of one file.
#[derive(Debug, Default)]
pub(in crate::index) struct Space {
    /// How many pages the file has.
    pub(in crate::index) pages: u64,
    /// How many versions were published since it was opened.
    pub(in crate::index) generation: u64,
    used: Option<PageSet>,
    free: u64,
    low: u64,
    waiting: Vec<Waiting>,
    versions: Vec<Weak<Pin>>,
}

/// Pages that may be used again once none of the holders lives.
#[derive(Debug)]
struct Waiting {
    pages: Vec<u64>,
    holders: Vec<Weak<Pin>>,
}

impl Space {
    /// The pages of a file of which nothing is known but its length.
    pub(in crate::index) fn new(pages: u64) -> Space {
        Space { pages, ..Space::default() }
    }

    /// Whether the pages in use are known.
    pub(in crate::index) fn is_known(&self) -> bool {
        self.used.is_some()
    }

    /// Takes over what a walk of the tree has found.
    pub(in crate::index) fn learn(&mut self, used: PageSet) {
        self.free = self.pages.saturating_sub(used.len());
        self.used = Some(used);
        self.low = 0;
    }

    /// How many pages are free to take, as far as is known.
    pub(in crate::index) fn free(&self) -> u64 {
        self.free
    }

    /// How many pages wait for their last reader.
    pub(in crate::index) fn waiting(&self) -> u64 {
        self.waiting.iter().map(|wait| wait.pages.len() as u64).sum()
    }

    /// Counts a version among those that hold pages.
    pub(in crate::index) fn register(&mut self, pin: &Arc<Pin>) {
        self.versions.retain(|version| version.strong_count() > 0);
        self.versions.push(Arc::downgrade(pin));
    }

    /// The lowest free page, now taken; `None` if the file has to grow.
    pub(in crate::index) fn take(&mut self) -> Option<u64> {
        let used = self.used.as_mut().expect("the pages in use were learnt before the first was taken");
        let page = used.first_absent(self.low);
        if page >= self.pages {
            self.low = self.pages;
            return None;
        }
        used.insert(page);
        self.low = page + 1;
        self.free -= 1;
        Some(page)
    }

    /// Counts in the pages that the file has grown by.
    pub(in crate::index) fn grown(&mut self, pages: u64) {
        self.free += pages - self.pages;
        self.pages = pages;
    }

    /// Frees pages at once: nothing that anyone can reach leads to them.
    pub(in crate::index) fn release(&mut self, pages: &[u64]) {
        let used = self.used.as_mut().expect("a page is freed only after the pages in use were learnt");
        for page in pages {
            assert!(used.remove(*page), "a page is freed twice");
            self.low = self.low.min(*page);
        }
        self.free += pages.len() as u64;
    }

    /// Frees pages once every version registered so far is gone.
    pub(in crate::index) fn retire(&mut self, pages: Vec<u64>) {
        self.versions.retain(|version| version.strong_count() > 0);
        self.retire_after(pages, self.versions.clone());
    }

    /// Frees pages once every one of `holders` is gone.
    pub(in crate::index) fn retire_after(&mut self, pages: Vec<u64>, holders: Vec<Weak<Pin>>) {
        if !pages.is_empty() {
            self.waiting.push(Waiting { pages, holders });
        }
        self.settle();
    }

    /// Keeps all pages that are free now from being taken while the answer lives.
    pub(in crate::index) fn withhold(&mut self) -> Withheld {
        let mut pages = Vec::new();
        while let Some(page) = self.take() {
            pages.push(page);
        }
        let withheld = Withheld(Arc::new(Pin));
        self.retire_after(pages, vec![Arc::downgrade(&withheld.0)]);
        withheld
    }

    /// Frees the pages whose last holder is gone.
    pub(in crate::index) fn settle(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        let (held, gone): (Vec<Waiting>, Vec<Waiting>) =
            waiting.into_iter().partition(|wait| wait.holders.iter().any(|pin| pin.strong_count() > 0));
        self.waiting = held;
        // Whatever the last reader read, it read before its pin went; the page may be written only after that.
        fence(Ordering::Acquire);
        for wait in gone {
            self.release(&wait.pages);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn withheld_pages_are_not_taken() {
        let mut space = Space { pages: 4, ..Space::default() };
        space.learn(PageSet::default());
        assert_eq!(space.take(), Some(0));
        let withheld = space.withhold();
        assert_eq!((space.take(), space.free()), (None, 0));
        space.grown(5);
        assert_eq!(space.take(), Some(4));
        space.settle();
        assert_eq!(space.take(), None);
        drop(withheld);
        space.settle();
        assert_eq!((space.free(), space.take()), (3, Some(1)));
    }

    #[test]
    fn pages_wait_for_every_older_version() {
        let mut space = Space { pages: 4, ..Space::default() };
        space.learn(PageSet::default());
        assert_eq!([space.take(), space.take()], [Some(0), Some(1)]);
        let (one, two) = (Arc::new(Pin), Arc::new(Pin));
        space.register(&one);
        space.register(&two);
        space.retire(vec![0]);
        drop(two);
        space.settle();
        assert_eq!(space.free(), 2, "one older version still lives");
        drop(one);
        space.settle();
        assert_eq!(space.free(), 3);
        assert_eq!(
            [space.take(), space.take(), space.take(), space.take()],
            [Some(0), Some(2), Some(3), None]
        );
        space.grown(70);
        assert_eq!(space.take(), Some(4));
    }
}
