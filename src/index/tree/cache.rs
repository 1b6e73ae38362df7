//! A bounded cache of verified pages, for files that are not mapped.
//!
//! Sixteen shards, each a clock: a hit sets a mark, the hand takes the mark away and evicts what has none.

use std::collections::HashMap;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::format::page::PAGE;

const SHARDS: usize = 16;

/// The cache. Whoever finds a page here still compares its checksum with the pointer that led to it.
#[derive(Debug)]
pub(in crate::index) struct Cache {
    shards: Vec<Mutex<Shard>>,
}

#[derive(Debug, Default)]
struct Shard {
    places: HashMap<u64, usize>,
    held: Vec<Held>,
    hand: usize,
    room: usize,
}

#[derive(Debug)]
struct Held {
    page: u64,
    bytes: Bytes,
    marked: bool,
}

impl Cache {
    /// A cache of about `bytes` bytes; at least one page a shard.
    pub(in crate::index) fn new(bytes: usize) -> Cache {
        let room = (bytes / PAGE / SHARDS).max(1);
        let shard = || Mutex::new(Shard { room, ..Shard::default() });
        Cache { shards: (0..SHARDS).map(|_| shard()).collect() }
    }

    /// The page, if it is here.
    pub(in crate::index) fn get(&self, page: u64) -> Option<Bytes> {
        let mut shard = self.shard(page).lock();
        let place = *shard.places.get(&page)?;
        let held = &mut shard.held[place];
        held.marked = true;
        Some(held.bytes.clone())
    }

    /// Keeps a page, in the place of another if there is no room.
    pub(in crate::index) fn insert(&self, page: u64, bytes: Bytes) {
        self.shard(page).lock().insert(page, bytes);
    }

    /// Forgets a page, since it is about to be written.
    pub(in crate::index) fn remove(&self, page: u64) {
        self.shard(page).lock().remove(page);
    }

    fn shard(&self, page: u64) -> &Mutex<Shard> {
        &self.shards[(page as usize) % SHARDS]
    }
}

impl Shard {
    fn insert(&mut self, page: u64, bytes: Bytes) {
        if let Some(place) = self.places.get(&page) {
            self.held[*place].bytes = bytes;
            return;
        }
        let held = Held { page, bytes, marked: false };
        if self.held.len() < self.room {
            self.places.insert(page, self.held.len());
            self.held.push(held);
            return;
        }
        while std::mem::take(&mut self.held[self.hand].marked) {
            self.hand = (self.hand + 1) % self.held.len();
        }
        self.places.remove(&self.held[self.hand].page);
        self.places.insert(page, self.hand);
        self.held[self.hand] = held;
        self.hand = (self.hand + 1) % self.held.len();
    }

    fn remove(&mut self, page: u64) {
        let Some(place) = self.places.remove(&page) else {
            return;
        };
        self.held.swap_remove(place);
        if let Some(moved) = self.held.get(place) {
            self.places.insert(moved.page, place);
        }
        if self.hand >= self.held.len() {
            self.hand = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_within_its_room_and_keeps_what_is_used() {
        let cache = Cache::new(SHARDS * 4 * PAGE);
        let page = |n: u64| n * SHARDS as u64;
        for n in 0..100 {
            cache.insert(page(n), Bytes::from(vec![n as u8]));
            cache.get(page(0));
        }
        let shard = cache.shards[0].lock();
        assert_eq!((shard.held.len(), shard.places.len()), (4, 4));
        drop(shard);
        assert_eq!(cache.get(page(0)).as_deref(), Some(&[0u8][..]), "a page in use is not evicted");
        cache.remove(page(0));
        assert!(cache.get(page(0)).is_none());
        assert!(cache.get(page(99)).is_some());
    }
}
