//! What a loss of power leaves: for each un-synced change, whether it reached the disk, and how much of it.

use std::collections::HashMap;
use std::sync::Arc;

use super::disk::{FaultyDisk, NameChange, State};
use super::node::{Effect, Node};
use crate::env::blocks::Blocks;
use crate::env::entropy::SplitMix;
use crate::env::memory::tree::{Entry, Tree};

/// What becomes of the changes that were not synced. The numbers are seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutPolicy {
    /// None of them reached the disk.
    DropUnsynced,
    /// All of them did: what a process sees after another was killed.
    KeepAll,
    /// The oldest did, up to some point in the order of all changes to files and directories.
    Prefix(u64),
    /// Each did or did not, by itself.
    Subset(u64),
    /// As `Subset`, and of a write each sector did or did not. A longer file may come without its new
    /// bytes, which then are zeros, noise, or old bytes of the file.
    Torn(u64),
}

/// What a disk writes whole or not at all.
const SECTOR: u64 = 512;

impl FaultyDisk {
    /// The disk after the machine came back: an independent one on which all that survived is durable, with
    /// no locks, no faults planned, the same capacity, and all counts at 0. The power need not have been cut
    /// first. What took the place of removed files that come back may exceed the capacity.
    pub fn restart(&self, policy: CutPolicy) -> FaultyDisk {
        let state = self.state.lock();
        let cut = Cut::new(&state, policy);
        let mut survived: HashMap<*const Node, Arc<Node>> = HashMap::new();
        let names = cut.names(&state).map(|node| {
            let survivor = survived.entry(Arc::as_ptr(node));
            survivor.or_insert_with(|| Arc::new(Node::new(cut.content(node)))).clone()
        });
        let seed = state.random.clone().next();
        let next = FaultyDisk::with(seed, names, state.capacity);
        next.set_in_place(state.in_place);
        next
    }

    /// The disk as the next process finds it after this one was killed: what is seen stays seen, and what was
    /// not synced is still not durable. An independent disk, else as after [`restart`](FaultyDisk::restart).
    pub fn after_kill(&self) -> FaultyDisk {
        let state = self.state.lock();
        let mut copies: HashMap<*const Node, Arc<Node>> = HashMap::new();
        let mut copy = |node: &Arc<Node>| {
            copies.entry(Arc::as_ptr(node)).or_insert_with(|| Arc::new(node.duplicate())).clone()
        };
        let next =
            FaultyDisk::with(state.random.clone().next(), state.live.map_all(&mut copy), state.capacity);
        next.set_in_place(state.in_place);
        {
            let mut after = next.state.lock();
            after.durable = state.durable.map_all(&mut copy);
            after.next = state.next;
            for (dir, changes) in &state.renames {
                let changes = changes.iter().map(|change| NameChange {
                    number: change.number,
                    path: change.path.clone(),
                    entry: change.entry.as_ref().map(|entry| match entry {
                        Entry::File(node) => Entry::File(copy(node)),
                        Entry::Dir => Entry::Dir,
                    }),
                    clean: change.clean,
                });
                after.renames.insert(dir.clone(), changes.collect());
            }
        }
        next
    }
}

struct Cut {
    policy: CutPolicy,
    /// For a prefix: the first change that is lost.
    end: u64,
}

impl Cut {
    fn new(state: &State, policy: CutPolicy) -> Cut {
        let end = match policy {
            CutPolicy::Prefix(seed) => {
                let numbers = unsynced(state);
                let kept = SplitMix::new(seed).below(numbers.len() as u64 + 1) as usize;
                numbers.get(kept).copied().unwrap_or(u64::MAX)
            }
            _ => 0,
        };
        Cut { policy, end }
    }

    fn names(&self, state: &State) -> Tree<Arc<Node>> {
        if self.policy == CutPolicy::KeepAll {
            return state.live.clone();
        }
        let mut names = state.durable.clone();
        if self.policy == CutPolicy::DropUnsynced {
            return names;
        }
        // Changes to different directories do not touch each other, so their common order does not matter.
        let kept = state.renames.values().flatten().filter(|change| self.keeps(change.number));
        for (path, change) in NameChange::last_of_each(kept) {
            names.put(path, change.entry.clone());
        }
        names
    }

    fn content(&self, node: &Node) -> Blocks {
        if self.policy == CutPolicy::KeepAll {
            return node.live.read().clone();
        }
        let below = node.below.lock();
        let mut content = below.durable.clone();
        if self.policy == CutPolicy::DropUnsynced {
            return content;
        }
        for change in &below.unsynced {
            match (&self.policy, &change.effect) {
                (CutPolicy::Torn(seed), Effect::Write { offset, bytes }) => {
                    tear(&mut content, *offset, bytes, &mut chance(*seed, change.number));
                }
                (_, effect) if self.keeps(change.number) => effect.apply(&mut content),
                _ => {}
            }
        }
        content
    }

    fn keeps(&self, number: u64) -> bool {
        match self.policy {
            CutPolicy::DropUnsynced => false,
            CutPolicy::KeepAll => true,
            CutPolicy::Prefix(_) => number < self.end,
            CutPolicy::Subset(seed) | CutPolicy::Torn(seed) => chance(seed, number).coin(),
        }
    }
}

/// The chance that belongs to one change, so that no order of looking at them matters.
fn chance(seed: u64, number: u64) -> SplitMix {
    let mixed = SplitMix::new(seed).next() ^ number.wrapping_mul(0x2545_f491_4f6c_dd1d);
    SplitMix::new(SplitMix::new(mixed).next())
}

/// The numbers of all changes that were not synced, in order.
fn unsynced(state: &State) -> Vec<u64> {
    let mut numbers = Vec::new();
    let mut nodes: Vec<&Arc<Node>> = Vec::new();
    for (_, node) in state.live.files().into_iter().chain(state.durable.files()) {
        nodes.push(node);
    }
    for change in state.renames.values().flatten() {
        numbers.push(change.number);
        if let Some(Entry::File(node)) = &change.entry {
            nodes.push(node);
        }
    }
    for node in nodes {
        numbers.extend(node.below.lock().unsynced.iter().map(|change| change.number));
    }
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// Applies a write of which perhaps not every sector reached the disk.
fn tear(content: &mut Blocks, offset: u64, bytes: &[u8], random: &mut SplitMix) {
    match random.below(4) {
        0 => return content.write(bytes, offset),
        1 => return,
        _ => {}
    }
    let end = offset + bytes.len() as u64;
    if end > content.len() && random.coin() {
        lengthen(content, content.len().max(offset), end, random);
    }
    let end = end.min(content.len());
    let mut at = offset;
    while at < end {
        let next = (at / SECTOR * SECTOR + SECTOR).min(end);
        if random.coin() {
            content.write(&bytes[(at - offset) as usize..(next - offset) as usize], at);
        }
        at = next;
    }
}

/// Grows a file to `end` though the bytes from `start` on are not written yet.
fn lengthen(content: &mut Blocks, start: u64, end: u64, random: &mut SplitMix) {
    let mut stale = vec![0; (end - start) as usize];
    match random.below(3) {
        0 => return content.set_len(end),
        1 => random.fill(&mut stale),
        _ => {
            // A recycled block: whole sectors of the same file, valid where they came from.
            let sectors = content.len() / SECTOR;
            let from = random.below(sectors + 1) * SECTOR + start % SECTOR;
            content.read(&mut stale, from);
        }
    }
    content.write(&stale, start);
}
