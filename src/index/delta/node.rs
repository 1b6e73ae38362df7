//! The nodes of the delta: packed leaves and branches, changed in place where they are not shared.

use std::cmp::Ordering;
use std::sync::Arc;

use super::record::Record;
use crate::format::order::Sought;
use crate::format::page::common_prefix;
use crate::format::weight::Totals;

/// A leaf with more keys is split.
const LEAF_KEYS: usize = 48;

/// A leaf with more bytes is split, unless it holds a single key.
const LEAF_BYTES: usize = 4096;

/// A branch with more children is split.
const FANOUT: usize = 64;

/// What a copy of a leaf gets of unused room, since it is copied to be added to.
const HEADROOM: usize = 256;

#[derive(Clone, Debug)]
pub(in crate::index) enum Node {
    Leaf(Leaf),
    Branch(Branch),
}

/// Keys and tails, packed in one buffer in no particular order; the slots are in key order.
#[derive(Debug, Default)]
pub(in crate::index) struct Leaf {
    slots: Vec<Slot>,
    packed: Vec<u8>,
    /// How many bytes of the buffer no slot claims.
    dead: usize,
    sums: Totals,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    start: u32,
    key: u16,
    /// Key and tail together.
    len: u16,
}

/// Children and, packed in one buffer, the separators: that of child `i` ends at `ends[i]`, and child 0 has none.
#[derive(Clone, Debug)]
pub(in crate::index) struct Branch {
    ends: Vec<u32>,
    packed: Vec<u8>,
    pub(in crate::index) children: Vec<Arc<Node>>,
    sums: Totals,
}

/// What a put does to every node on its path.
#[derive(Debug)]
pub(in crate::index) struct Change {
    /// The new item's part, less that of the item it replaces once that is found.
    pub(in crate::index) totals: Totals,
    pub(in crate::index) bytes: isize,
    pub(in crate::index) new: bool,
}

/// A node split off to the right, and the separator before it.
type Split = (Vec<u8>, Arc<Node>);

impl Node {
    /// What the items beneath add to the layers beneath the delta.
    pub(in crate::index) fn sums(&self) -> &Totals {
        match self {
            Node::Leaf(leaf) => &leaf.sums,
            Node::Branch(branch) => &branch.sums,
        }
    }

    /// The memory of the node alone: itself, its two counters, its buffers.
    pub(in crate::index) fn memory(&self) -> usize {
        let buffers = match self {
            Node::Leaf(leaf) => leaf.slots.capacity() * size_of::<Slot>() + leaf.packed.capacity(),
            Node::Branch(branch) => {
                branch.ends.capacity() * size_of::<u32>()
                    + branch.packed.capacity()
                    + branch.children.capacity() * size_of::<Arc<Node>>()
            }
        };
        size_of::<Node>() + 2 * size_of::<usize>() + buffers
    }

    /// Puts a key's tail into the subtree.
    pub(in crate::index) fn put(
        node: &mut Arc<Node>,
        key: &[u8],
        tail: &[u8],
        change: &mut Change,
    ) -> Option<Split> {
        let before = node.memory() as isize;
        let node = Arc::make_mut(node);
        let split = match node {
            Node::Leaf(leaf) => leaf.put(key, tail, change),
            Node::Branch(branch) => branch.put(key, tail, change),
        };
        change.bytes += node.memory() as isize - before;
        if let Some((_, right)) = &split {
            change.bytes += right.memory() as isize;
        }
        split
    }
}

impl Clone for Leaf {
    /// Leaves the garbage behind.
    fn clone(&self) -> Leaf {
        let mut copy = Leaf { sums: self.sums.clone(), ..Leaf::default() };
        copy.slots.reserve_exact(self.slots.len() + 4);
        copy.packed.reserve_exact(self.packed.len() - self.dead + HEADROOM);
        if self.dead == 0 {
            copy.slots.extend_from_slice(&self.slots);
            copy.packed.extend_from_slice(&self.packed);
        } else {
            self.slots.iter().for_each(|slot| copy.append(self.bytes(*slot), slot.key));
        }
        copy
    }
}

impl Leaf {
    /// How many keys it holds.
    pub(in crate::index) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Key `index`.
    pub(in crate::index) fn key(&self, index: usize) -> &[u8] {
        let slot = self.slots[index];
        &self.packed[slot.start as usize..][..slot.key as usize]
    }

    /// What is kept under key `index`.
    pub(in crate::index) fn tail(&self, index: usize) -> &[u8] {
        let slot = self.slots[index];
        &self.bytes(slot)[slot.key as usize..]
    }

    /// Where `key` is, or where it would go.
    pub(in crate::index) fn find(&self, key: &[u8]) -> Result<usize, usize> {
        let sought = Sought::new(key);
        self.slots
            .binary_search_by(|slot| sought.order_of(&self.packed[slot.start as usize..], slot.key as usize))
    }

    fn bytes(&self, slot: Slot) -> &[u8] {
        &self.packed[slot.start as usize..][..slot.len as usize]
    }

    fn append(&mut self, bytes: &[u8], key: u16) {
        let slot = Slot { start: self.packed.len() as u32, key, len: bytes.len() as u16 };
        self.slots.push(slot);
        self.packed.extend_from_slice(bytes);
    }

    fn put(&mut self, key: &[u8], tail: &[u8], change: &mut Change) -> Option<Split> {
        let found = self.find(key);
        if let Ok(index) = found {
            let mut old = Totals::default();
            Record::decode(self.tail(index)).add_to(&mut old);
            change.totals.sub_all(&old);
        }
        change.new = found.is_err();
        self.sums.add_all(&change.totals);
        match found {
            Ok(index) => self.replace(index, tail),
            Err(index) => self.insert(index, key, tail),
        }
        let (Ok(index) | Err(index)) = found;
        let live = self.packed.len() - self.dead;
        (self.len() > LEAF_KEYS || (live > LEAF_BYTES && self.len() > 1)).then(|| self.split(index))
    }

    fn replace(&mut self, index: usize, tail: &[u8]) {
        let slot = self.slots[index];
        let len = slot.key as usize + tail.len();
        if len <= slot.len as usize {
            let start = slot.start as usize + slot.key as usize;
            self.packed[start..start + tail.len()].copy_from_slice(tail);
            self.dead += slot.len as usize - len;
            self.slots[index].len = len as u16;
            return;
        }
        let key = self.key(index).to_vec();
        self.dead += slot.len as usize;
        self.slots.remove(index);
        self.insert(index, &key, tail);
    }

    fn insert(&mut self, index: usize, key: &[u8], tail: &[u8]) {
        let len = key.len() + tail.len();
        if self.packed.len() + len > self.packed.capacity() {
            if self.dead * 4 > self.packed.len() {
                *self = self.clone();
            }
            // Small steps: a doubled buffer would often stay half empty, and memory is what a delta is bounded by.
            let step = len.max(self.packed.len() / 4).max(HEADROOM);
            self.packed.reserve_exact(step);
        }
        let slot = Slot { start: self.packed.len() as u32, key: key.len() as u16, len: len as u16 };
        self.packed.extend_from_slice(key);
        self.packed.extend_from_slice(tail);
        self.slots.insert(index, slot);
    }

    /// Splits in the middle of the bytes; after an insertion at the end just before it, so that keys that come in
    /// order leave full leaves behind.
    fn split(&mut self, changed: usize) -> Split {
        let live = self.packed.len() - self.dead;
        let at = if changed + 1 == self.len() {
            changed
        } else {
            let mut seen = 0;
            let in_middle = |slot: &Slot| {
                seen += slot.len as usize;
                seen * 2 >= live
            };
            self.slots.iter().position(in_middle).unwrap_or(0).clamp(1, self.len() - 1)
        };
        let mut right = Leaf::default();
        for (index, slot) in self.slots.iter().enumerate().skip(at) {
            Record::decode(self.tail(index)).add_to(&mut right.sums);
            right.append(self.bytes(*slot), slot.key);
        }
        let (last, first) = (self.key(at - 1), self.key(at));
        let separator = first[..common_prefix(last, first) + 1].to_vec();
        self.sums.sub_all(&right.sums);
        self.slots.truncate(at);
        self.dead = self.packed.len() - self.slots.iter().map(|slot| slot.len as usize).sum::<usize>();
        *self = self.clone();
        (separator, Arc::new(Node::Leaf(right)))
    }
}

impl Branch {
    /// A branch over two nodes.
    pub(in crate::index) fn of_two(left: Arc<Node>, separator: &[u8], right: Arc<Node>) -> Branch {
        let mut sums = left.sums().clone();
        sums.add_all(right.sums());
        Branch {
            ends: vec![0, separator.len() as u32],
            packed: separator.to_vec(),
            children: vec![left, right],
            sums,
        }
    }

    /// The child that may hold `key`.
    pub(in crate::index) fn route(&self, key: &[u8]) -> usize {
        let sought = Sought::new(key);
        let (mut low, mut high) = (1, self.children.len());
        while low < high {
            let middle = (low + high) / 2;
            let (start, end) = (self.ends[middle - 1] as usize, self.ends[middle] as usize);
            if sought.order_of(&self.packed[start..], end - start) == Ordering::Greater {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low - 1
    }

    fn separator(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.packed[start as usize..self.ends[index] as usize]
    }

    fn put(&mut self, key: &[u8], tail: &[u8], change: &mut Change) -> Option<Split> {
        let index = self.route(key);
        let split = Node::put(&mut self.children[index], key, tail, change);
        self.sums.add_all(&change.totals);
        let (separator, right) = split?;
        let start = self.ends[index] as usize;
        self.packed.splice(start..start, separator.iter().copied());
        let grown = separator.len() as u32;
        self.ends.insert(index + 1, start as u32 + grown);
        self.ends[index + 2..].iter_mut().for_each(|end| *end += grown);
        self.children.insert(index + 1, right);
        (self.children.len() > FANOUT).then(|| self.split(index + 1))
    }

    fn split(&mut self, changed: usize) -> Split {
        let count = self.children.len();
        let at = if changed + 1 == count { count - 2 } else { count / 2 };
        let separator = self.separator(at).to_vec();
        let cut = self.ends[at];
        let children = self.children.split_off(at);
        let ends = self.ends.split_off(at).iter().map(|end| end - cut).collect();
        let packed = self.packed.split_off(cut as usize);
        self.packed.truncate(self.ends[at - 1] as usize);
        let mut sums = Totals::default();
        children.iter().for_each(|child| sums.add_all(child.sums()));
        self.sums.sub_all(&sums);
        (separator, Arc::new(Node::Branch(Branch { ends, packed, children, sums })))
    }
}

#[cfg(test)]
impl Node {
    /// The memory of the whole subtree, counted anew.
    pub(in crate::index) fn total_memory(&self) -> usize {
        let below = match self {
            Node::Leaf(_) => 0,
            Node::Branch(branch) => branch.children.iter().map(|child| child.total_memory()).sum(),
        };
        self.memory() + below
    }
}
