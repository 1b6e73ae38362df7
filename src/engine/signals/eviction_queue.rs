//! Shortlists: what a long look through many things found, the first of them in order, kept for whoever needs the next.
//!
//! A list is a memory only: whatever is taken off it is looked at again where it lies before anything is done to it. What
//! is written after the look is offered to it, so that it stays as good as a look now would make it.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use parking_lot::{Mutex, MutexGuard};

use crate::model::{Budget, Evicted, Lsn};

/// A thing on a list, by its place in the order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// What decides first.
    pub rank: [u64; 5],
    /// The group it is of.
    pub group: u64,
    /// Its key there.
    pub key: Box<str>,
    /// Which part of it, if it is not the whole.
    pub part: Option<(u64, u32)>,
}

/// The first things in an order.
#[derive(Debug, Default)]
pub struct Shortlist {
    entries: BTreeSet<Listed>,
    /// Things behind this are not on the list; without it, all that there are are.
    edge: Option<Listed>,
    /// What will be of them from a moment on, in milliseconds since 1970.
    coming: BTreeSet<(u64, Listed)>,
    most: usize,
    /// What it was made for; nothing if it was not made yet.
    stamp: Option<u64>,
    /// From then on, in milliseconds since 1970, there may be others.
    until: u64,
    /// How often it was made.
    fills: u64,
    /// What was offered while it is being made.
    pending: Option<Vec<(u64, Listed)>>,
    /// What the groups are called.
    labels: HashMap<u64, Box<str>>,
}

impl Shortlist {
    /// A list of at most so many things, to be made for `stamp`.
    pub fn new(most: usize, stamp: u64) -> Shortlist {
        Shortlist { most, stamp: Some(stamp), until: u64::MAX, ..Shortlist::default() }
    }

    /// Whether it is one for `stamp` and says at `millis` what there is.
    pub fn is_good(&self, stamp: u64, millis: u64) -> bool {
        self.stamp == Some(stamp) && millis < self.until
    }

    /// How often it was made.
    pub fn fills(&self) -> u64 {
        self.fills
    }

    /// Whether all that there are are on it.
    pub fn is_whole(&self) -> bool {
        self.edge.is_none()
    }

    /// Whether a thing of this rank may have a place on it.
    pub fn wants(&self, rank: &[u64; 5]) -> bool {
        self.edge.as_ref().is_none_or(|edge| *rank <= edge.rank)
    }

    /// Puts a thing on it if it has a place there.
    pub fn offer(&mut self, listed: Listed) {
        if let Some(pending) = &mut self.pending {
            pending.push((0, listed.clone()));
        }
        if self.edge.as_ref().is_some_and(|edge| listed >= *edge) {
            return;
        }
        self.entries.insert(listed);
        if self.entries.len() > self.most.max(1) {
            self.edge = self.entries.pop_last();
        }
    }

    /// Puts one that was made in its place. What is offered while yet another one is being made goes on being remembered.
    pub fn replace(&mut self, fresh: Shortlist) {
        let (fills, pending) = (self.fills + 1, self.pending.take());
        *self = Shortlist { fills, pending, ..fresh };
    }

    /// Makes it count as one that must be made anew.
    pub fn outdate(&mut self) {
        self.stamp = None;
    }

    /// Says that a thing will have a place on it from a moment on, in milliseconds since 1970; `u64::MAX` is never.
    pub fn expect(&mut self, millis: u64, listed: Listed) {
        if millis == u64::MAX {
            return;
        }
        if let Some(pending) = &mut self.pending {
            pending.push((millis, listed.clone()));
        }
        self.coming.insert((millis, listed));
        if self.coming.len() > self.most.max(1)
            && let Some((millis, _)) = self.coming.pop_last()
        {
            self.until = self.until.min(millis);
        }
    }

    /// Puts what was expected up to this moment on it.
    pub fn ripen(&mut self, millis: u64) {
        while self.coming.first().is_some_and(|(from, _)| *from <= millis) {
            if let Some((_, listed)) = self.coming.pop_first() {
                self.offer(listed);
            }
        }
    }

    /// Takes the first off it.
    pub fn pop(&mut self) -> Option<Listed> {
        self.entries.pop_first()
    }

    /// Those on it, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Listed> {
        self.entries.iter()
    }

    /// Says what a group is called.
    pub fn name(&mut self, group: u64, label: &str) {
        self.labels.entry(group).or_insert_with(|| label.into());
    }

    /// What a group is called.
    pub fn label(&self, group: u64) -> Option<&str> {
        self.labels.get(&group).map(|label| &**label)
    }
}

/// What was taken off the lists for changes that are not committed yet, to be put back if they never are: others are
/// asked meanwhile, and a list that lacks something says wrongly what comes first, or that there is nothing.
#[derive(Debug, Default)]
pub struct Taken {
    off: Vec<(u64, Listed)>,
    /// Lists made from a state that is not committed either.
    made: Vec<u64>,
}

impl Taken {
    /// Remembers what was taken off a list.
    pub fn note(&mut self, of: u64, listed: Listed) {
        self.off.push((of, listed));
    }

    /// Remembers that a list was made within a turn.
    pub fn note_made(&mut self, of: u64) {
        self.made.push(of);
    }

    /// Whether nothing was taken.
    pub fn is_empty(&self) -> bool {
        self.off.is_empty() && self.made.is_empty()
    }

    /// Puts everything back.
    pub fn give_back(&mut self, lists: &mut HashMap<u64, Shortlist>) {
        for (of, listed) in self.off.drain(..) {
            if let Some(list) = lists.get_mut(&of) {
                list.offer(listed);
            }
        }
        self.made.drain(..).for_each(|of| {
            lists.entry(of).or_default().outdate();
        });
    }
}

/// The lists of a store, by what they are for, and the budget of the whole store.
#[derive(Debug, Default)]
pub struct Shortlists {
    lists: Mutex<HashMap<u64, Shortlist>>,
    looking: Mutex<()>,
    budget: ArcSwapOption<Budget>,
    /// The commit that the budget is of.
    budget_of: Mutex<Lsn>,
    evicted: [AtomicU64; 2],
}

impl Shortlists {
    /// The lists, for as long as the guard is held.
    pub fn lock(&self) -> MutexGuard<'_, HashMap<u64, Shortlist>> {
        self.lists.lock()
    }

    /// Held by whoever makes a list, so that nobody makes the same one beside it.
    pub fn look(&self) -> MutexGuard<'_, ()> {
        self.looking.lock()
    }

    /// Begins to remember what is offered to a list while it is made.
    pub fn begin(&self, of: u64) {
        self.lists.lock().entry(of).or_default().pending = Some(Vec::new());
    }

    /// Puts a list that was made in the place of the one there was.
    pub fn finish(&self, of: u64, fresh: Shortlist) {
        let mut lists = self.lists.lock();
        let list = lists.entry(of).or_default();
        let pending = list.pending.take().unwrap_or_default();
        list.replace(fresh);
        for (millis, listed) in pending {
            match millis {
                0 => list.offer(listed),
                millis => list.expect(millis, listed),
            }
        }
    }

    /// Says that the list which was begun will not be made after all.
    pub fn give_up(&self, of: u64) {
        self.lists.lock().entry(of).or_default().pending = None;
    }

    /// Forgets what is on the lists.
    pub fn forget(&self) {
        for list in self.lists.lock().values_mut() {
            list.replace(Shortlist::default());
        }
    }

    /// The budget of the whole store.
    pub fn budget(&self) -> Option<std::sync::Arc<Budget>> {
        self.budget.load_full()
    }

    /// Sets the budget of the whole store to what the commit `of` says, unless a later one has said otherwise: whoever
    /// commits first may come here last.
    pub fn set_budget(&self, budget: Option<Budget>, of: Lsn) {
        let mut known = self.budget_of.lock();
        if of < *known {
            return;
        }
        *known = of;
        self.budget.store(budget.map(std::sync::Arc::new));
        self.forget();
    }

    /// Counts what was evicted.
    pub fn count(&self, evicted: &Evicted) {
        self.evicted[0].fetch_add(evicted.objects, Ordering::Relaxed);
        self.evicted[1].fetch_add(evicted.bytes, Ordering::Relaxed);
    }

    /// How many objects and bytes were evicted.
    pub fn evicted(&self) -> [u64; 2] {
        [0, 1].map(|place| self.evicted[place].load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(rank: u64) -> Listed {
        Listed { rank: [rank, 0, 0, 0, 0], group: 1, key: format!("{rank}").into(), part: None }
    }

    #[test]
    fn a_list_holds_the_first_and_knows_where_it_ends() {
        let mut list = Shortlist::new(3, 7);
        for rank in [9, 2, 7, 4, 8, 1] {
            list.offer(listed(rank));
        }
        assert!(!list.is_whole() && list.is_good(7, 0) && !list.is_good(8, 0));
        assert_eq!(list.pop(), Some(listed(1)));
        // What is behind the edge has no place on it, for others there may be that nobody looked for.
        list.offer(listed(8));
        list.offer(listed(3));
        let left: Vec<u64> = std::iter::from_fn(|| list.pop()).map(|listed| listed.rank[0]).collect();
        assert_eq!(left, [2, 3, 4]);
        // What is expected comes when its time has come; where there is no room for all of it, the list ends then.
        for millis in [30, 10, 20, 40] {
            list.expect(millis, listed(millis / 10));
        }
        list.expect(u64::MAX, listed(0));
        list.ripen(9);
        assert_eq!(list.pop(), None);
        list.ripen(20);
        assert_eq!((list.pop(), list.pop(), list.pop()), (Some(listed(1)), Some(listed(2)), None));
        assert!(list.is_good(7, 39) && !list.is_good(7, 40));
    }

    #[test]
    fn what_is_offered_while_a_list_is_made_is_on_it() {
        let lists = Shortlists::default();
        lists.begin(1);
        lists.lock().get_mut(&1).unwrap().offer(listed(3));
        let mut fresh = Shortlist::new(10, 7);
        fresh.offer(listed(4));
        lists.finish(1, fresh);
        let mut all = lists.lock();
        let list = all.get_mut(&1).unwrap();
        assert_eq!((list.pop(), list.pop(), list.pop()), (Some(listed(3)), Some(listed(4)), None));
        assert!(list.is_whole() && list.fills() == 1);
        drop(all);
        // Another one that was made meanwhile takes nothing from it, and one that is given up remembers no more.
        lists.begin(1);
        lists.lock().get_mut(&1).unwrap().replace(Shortlist::new(10, 8));
        lists.lock().get_mut(&1).unwrap().offer(listed(5));
        lists.finish(1, Shortlist::new(10, 7));
        assert_eq!(lists.lock().get_mut(&1).unwrap().pop(), Some(listed(5)));
        lists.begin(1);
        lists.give_up(1);
        lists.lock().get_mut(&1).unwrap().offer(listed(6));
        lists.finish(1, Shortlist::new(10, 7));
        assert_eq!(lists.lock().get_mut(&1).unwrap().pop(), None);
        lists.forget();
        assert!(!lists.lock()[&1].is_good(7, 0));
    }
}
