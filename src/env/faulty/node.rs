//! A file of the simulated disk: what is seen, what is durable, and the changes between the two.

use bytes::Bytes;
use parking_lot::Mutex;

use crate::env::blocks::Blocks;
use crate::env::blocks::Content;

/// One file, with or without a name. Everything but reading `live` is done under the lock of the disk.
pub(super) struct Node {
    /// What programs see.
    pub(super) live: Content,
    pub(super) below: Mutex<Below>,
}

/// What lies below the cache.
pub(super) struct Below {
    /// What a loss of power leaves at least.
    pub(super) durable: Blocks,
    /// The changes since, oldest first.
    pub(super) unsynced: Vec<Change>,
    /// Whether the file has a visible name, so that its blocks count as used.
    pub(super) named: bool,
}

/// A change that was not synced.
#[derive(Clone)]
pub(super) struct Change {
    /// Its place in the order of all changes to the disk.
    pub(super) number: u64,
    pub(super) effect: Effect,
    /// A sync failed: later ones no longer know that there was something to write.
    pub(super) clean: bool,
}

/// What a change does to the content of a file.
#[derive(Clone)]
pub(super) enum Effect {
    Write { offset: u64, bytes: Bytes },
    SetLen(u64),
    Allocate(u64),
}

impl Node {
    /// A file that is durable as it is.
    pub(super) fn new(content: Blocks) -> Node {
        let below = Below { durable: content.clone(), unsynced: Vec::new(), named: true };
        Node { live: Content::new(content.into()), below: Mutex::new(below) }
    }

    /// The same file on another disk.
    pub(super) fn duplicate(&self) -> Node {
        let below = self.below.lock();
        let below =
            Below { durable: below.durable.clone(), unsynced: below.unsynced.clone(), named: below.named };
        Node { live: Content::new(self.live.read().clone().into()), below: Mutex::new(below) }
    }

    /// Changes what is seen, leaves it un-synced, and says how many bytes of disk that took or gave back.
    pub(super) fn change(&self, number: u64, effect: Effect) -> i64 {
        let mut live = self.live.write();
        let before = live.allocated();
        effect.apply(&mut live);
        let taken = live.allocated() as i64 - before as i64;
        let mut below = self.below.lock();
        below.unsynced.push(Change { number, effect, clean: false });
        if below.named { taken } else { 0 }
    }

    /// Writes at the start what is seen and never durable, and says how many bytes of disk that took.
    pub(super) fn note(&self, bytes: &[u8]) -> i64 {
        let mut live = self.live.write();
        let before = live.allocated();
        live.write(bytes, 0);
        if self.below.lock().named { live.allocated() as i64 - before as i64 } else { 0 }
    }

    /// Makes the changes durable, except those that an earlier sync failed to write.
    pub(super) fn sync(&self) {
        let mut below = self.below.lock();
        let Below { durable, unsynced, .. } = &mut *below;
        for change in unsynced.drain(..) {
            if !change.clean {
                change.effect.apply(durable);
            }
        }
    }

    /// Marks the changes as written, though they are not.
    pub(super) fn fail_sync(&self) {
        for change in &mut self.below.lock().unsynced {
            change.clean = true;
        }
    }

    /// Makes the file durable as it is seen, whatever happened to it before.
    pub(super) fn settle(&self) {
        let mut below = self.below.lock();
        below.durable = self.live.read().clone();
        below.unsynced.clear();
    }
}

impl Effect {
    pub(super) fn apply(&self, blocks: &mut Blocks) {
        match self {
            Effect::Write { offset, bytes } => blocks.write(bytes, *offset),
            Effect::SetLen(len) => blocks.set_len(*len),
            Effect::Allocate(len) => blocks.allocate(*len),
        }
    }
}
