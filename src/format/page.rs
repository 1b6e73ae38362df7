//! The bytes of an index page.
//!
//! A page is 4096 bytes, little-endian. Bytes that nothing below claims are zero.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 4 | crc32 over: salt (4), page number (8), bytes 4..4096 of the page |
//! | 4 | 1 | kind: 1 leaf, 2 branch |
//! | 5 | 1 | height: 0 for a leaf, at most 16 |
//! | 6 | 2 | count of cells, at least 1 |
//! | 8 | 8 | page number; the page lies at number × 4096 in the file |
//! | 16 | 2 | length `p` of the prefix |
//! | 18 | 6 | zero |
//! | 24 | p | prefix, shared by the keys of all cells (of a branch: of all cells but the first) |
//! | 24+p | 2 × count | hints: the first two bytes of each key without the prefix, padded with zeros, in key order |
//! | then | 2 × count | offset of each cell in the page, in key order |
//! | then | | the cells, one after another |
//!
//! Numbers marked *v* are varints (`varint.rs`). A **leaf cell**:
//!
//! | size | field |
//! |---|---|
//! | 1–2 | v length of the key without the prefix (below 128 one byte, else two) |
//! | n | the key without the prefix |
//! | 1 | flags: bits 0–2 weight slot, bit 3 tombstone, the rest zero |
//! | v | lsn |
//! | v | weight: objects |
//! | v | weight: bytes |
//! | v | length of the value |
//! | n | value |
//!
//! Cells are in the order (key, lsn descending); this version writes one cell a key. A **branch cell**:
//!
//! | size | field |
//! |---|---|
//! | 1–2 | v length of the separator without the prefix |
//! | n | the separator without the prefix: at or below every key of the child, above every key to its left; the first cell's is empty and means "below everything" |
//! | v | page number of the child |
//! | 4 | crc32 of the child, as it stands in the child's first four bytes |
//! | 1 | mask: which slots of the totals follow |
//! | 2 × v each | objects and bytes of each slot in the mask, lowest slot first |

use std::cmp::Ordering;
use std::ops::Range;

use super::order::{Sought, hint};
use super::varint;
use super::weight::{MAX_AMOUNT, MAX_TOTAL, SLOTS, Totals, Weight};

/// The size of a page.
pub const PAGE: usize = 4096;
/// The longest key.
pub const MAX_KEY: usize = 1100;
/// The longest value.
pub const MAX_VALUE: usize = 900;
/// The greatest height of a page; a lookup touches at most one page more than this.
pub const MAX_HEIGHT: u8 = 16;
/// The bytes of a cell's hint and offset.
const SLOT: usize = 4;
/// The bytes before the prefix.
pub const HEADER: usize = 24;

const LEAF: u8 = 1;
const BRANCH: u8 = 2;
const TOMBSTONE: u8 = 1 << 3;
const FLAGS: u8 = 0b1111;

/// Why bytes are not a page. The caller knows the file and the offset.
pub type Reason = &'static str;

/// A page whose header makes sense. Its cells are checked as they are read.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    bytes: &'a [u8; PAGE],
    count: usize,
    prefix: usize,
    floor: usize,
}

/// A branch's pointer to a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Child {
    /// The page number.
    pub page: u64,
    /// The checksum that the page must carry.
    pub checksum: u32,
}

/// What a leaf holds for a key, apart from the key.
#[derive(Clone, Debug)]
pub struct LeafCell {
    /// The commit that made it.
    pub lsn: u64,
    /// Whether it hides what lies beneath.
    pub tombstone: bool,
    /// What it adds to the totals.
    pub weight: Weight,
    /// Where the value lies in the bytes it was read from.
    pub value: Range<usize>,
}

/// The checksum that a page carries in its first four bytes.
#[inline]
pub fn stored_checksum(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.first_chunk::<4>()?))
}

/// The checksum that a page should carry. The salt and the number keep a page of another file, or one that was
/// written to the wrong place, from passing.
pub fn checksum(bytes: &[u8; PAGE], salt: u32, number: u64) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.to_le_bytes());
    hasher.update(&number.to_le_bytes());
    hasher.update(&bytes[4..]);
    hasher.finalize()
}

impl<'a> Page<'a> {
    /// Reads the header of page `number`, which should be of this `height`. Does not look at the checksum.
    #[inline]
    pub fn open(bytes: &'a [u8], number: u64, height: u8) -> Result<Page<'a>, Reason> {
        let bytes: &[u8; PAGE] = bytes.try_into().map_err(|_| "a page is cut short")?;
        if bytes[4] != if height == 0 { LEAF } else { BRANCH } {
            return Err("the page is of the wrong kind");
        }
        if bytes[5] != height || height > MAX_HEIGHT {
            return Err("the page is of the wrong height");
        }
        if bytes[8..16] != number.to_le_bytes() {
            return Err("the page carries another page's number");
        }
        let count = u16::from_le_bytes([bytes[6], bytes[7]]) as usize;
        let prefix = u16::from_le_bytes([bytes[16], bytes[17]]) as usize;
        let floor = HEADER + prefix + SLOT * count;
        if count == 0 || prefix > MAX_KEY || floor > PAGE {
            return Err("the page's counts are impossible");
        }
        Ok(Page { bytes, count, prefix, floor })
    }

    /// How many cells there are; at least one.
    #[inline]
    pub fn count(&self) -> usize {
        self.count
    }

    /// What the keys of the cells have in common.
    #[inline]
    pub fn prefix(&self) -> &'a [u8] {
        &self.bytes[HEADER..HEADER + self.prefix]
    }

    /// The key of cell `index` without the prefix. The first cell of a branch has no prefix either.
    #[inline]
    pub fn suffix(&self, index: usize) -> Result<&'a [u8], Reason> {
        Ok(self.cell(index)?.0)
    }

    /// The first leaf cell whose key is at or above `key` (`count` if there is none), and whether it is `key`.
    #[inline]
    pub fn find(&self, key: &[u8]) -> Result<(usize, bool), Reason> {
        let rest = match self.strip(key) {
            Ok(rest) => rest,
            Err(Ordering::Greater) => return Ok((self.count, false)),
            Err(_) => return Ok((0, false)),
        };
        let sought = Sought::new(rest);
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = (low + high) / 2;
            match self.compare(middle, &sought)? {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Ok((middle, true)),
            }
        }
        Ok((low, false))
    }

    /// The branch cell whose child may hold `key`.
    #[inline]
    pub fn route(&self, key: &[u8]) -> Result<usize, Reason> {
        let rest = match self.strip(key) {
            Ok(rest) => rest,
            Err(Ordering::Greater) => return Ok(self.count - 1),
            Err(_) => return Ok(0),
        };
        let sought = Sought::new(rest);
        let (mut low, mut high) = (1, self.count);
        while low < high {
            let middle = (low + high) / 2;
            if self.compare(middle, &sought)? == Ordering::Greater {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Ok(low - 1)
    }

    /// What leaf cell `index` holds; its value's range is within the page.
    #[inline]
    pub fn leaf(&self, index: usize) -> Result<LeafCell, Reason> {
        let mut at = self.cell(index)?.1;
        decode_leaf_tail(self.bytes, &mut at)
    }

    /// Where branch cell `index` points to.
    #[inline]
    pub fn child(&self, index: usize) -> Result<Child, Reason> {
        let mut at = self.cell(index)?.1;
        decode_child(self.bytes, &mut at)
    }

    /// The totals of the subtree that branch cell `index` points to.
    pub fn child_totals(&self, index: usize) -> Result<Totals, Reason> {
        let mut at = self.cell(index)?.1;
        decode_branch_tail(self.bytes, &mut at).map(|(_, totals)| totals)
    }

    /// Cell `index` as it was encoded: the key without the prefix, and all that follows it.
    pub fn raw(&self, index: usize) -> Result<(&'a [u8], &'a [u8]), Reason> {
        let (suffix, from) = self.cell(index)?;
        let mut at = from;
        if self.bytes[4] == LEAF {
            decode_leaf_tail(self.bytes, &mut at)?;
        } else {
            decode_branch_tail(self.bytes, &mut at)?;
        }
        Ok((suffix, &self.bytes[from..at]))
    }

    /// How many bytes of a leaf are filled.
    pub fn filled(&self) -> Result<usize, Reason> {
        let mut end = self.floor;
        for index in 0..self.count {
            end += key_size(self.suffix(index)?.len()) + self.raw(index)?.1.len();
        }
        Ok(end.min(PAGE))
    }

    /// What `key` is without the prefix, or which side of all prefixed keys it lies on.
    #[inline]
    fn strip<'k>(&self, key: &'k [u8]) -> Result<&'k [u8], Ordering> {
        let prefix = self.prefix();
        match key.get(..prefix.len()) {
            Some(head) => match head.cmp(prefix) {
                Ordering::Equal => Ok(&key[prefix.len()..]),
                side => Err(side),
            },
            // A key that is a prefix of the prefix sorts before it, like any that differs downwards.
            None => Err(key.cmp(prefix)),
        }
    }

    /// How the key of cell `index` compares with a key, both without the prefix. The hints lie side by side, so that
    /// most steps of a search stay within a few cache lines and touch no cell.
    #[inline]
    fn compare(&self, index: usize, sought: &Sought<'_>) -> Result<Ordering, Reason> {
        let at = self.floor - SLOT * self.count + 2 * index;
        match sought.order_of_hint([self.bytes[at], self.bytes[at + 1]]) {
            Ordering::Equal => {
                let (from, to) = self.suffix_range(index)?;
                Ok(sought.order_of(&self.bytes[from..], to - from))
            }
            side => Ok(side),
        }
    }

    /// Whether the hint of cell `index` is right.
    pub fn has_right_hint(&self, index: usize) -> Result<bool, Reason> {
        let at = self.floor - SLOT * self.count + 2 * index;
        Ok(self.bytes[at..at + 2] == hint(self.suffix(index)?))
    }

    /// The suffix of cell `index`, and where the rest of the cell begins.
    #[inline]
    fn cell(&self, index: usize) -> Result<(&'a [u8], usize), Reason> {
        let (from, to) = self.suffix_range(index)?;
        Ok((&self.bytes[from..to], to))
    }

    /// Where the suffix of cell `index` lies in the page.
    #[inline]
    fn suffix_range(&self, index: usize) -> Result<(usize, usize), Reason> {
        debug_assert!(index < self.count);
        let slot = self.floor - 2 * (self.count - index);
        let at = u16::from_le_bytes([self.bytes[slot], self.bytes[slot + 1]]) as usize;
        if at < self.floor || at > PAGE - 2 {
            return Err("a cell lies outside its page");
        }
        let (first, second) = (self.bytes[at] as usize, self.bytes[at + 1] as usize);
        let (len, from) =
            if first < 0x80 { (first, at + 1) } else { ((first & 0x7f) | (second << 7), at + 2) };
        if self.prefix + len > MAX_KEY {
            return Err("a key is longer than a key may be");
        }
        if from + len > PAGE {
            return Err("a key runs over the end of its page");
        }
        Ok((from, from + len))
    }
}

/// Appends what follows the key in a leaf cell.
pub fn encode_leaf_tail(out: &mut Vec<u8>, lsn: u64, tombstone: bool, weight: Weight, value: &[u8]) {
    assert!(weight.is_sane() && value.len() <= MAX_VALUE);
    out.push(weight.slot | if tombstone { TOMBSTONE } else { 0 });
    varint::put(out, lsn);
    varint::put(out, weight.objects);
    varint::put(out, weight.bytes);
    varint::put(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Reads what follows the key in a leaf cell and moves `at` behind it.
#[inline]
pub fn decode_leaf_tail(bytes: &[u8], at: &mut usize) -> Result<LeafCell, Reason> {
    const SHORT: Reason = "an item runs over the end of its page";
    let flags = *bytes.get(*at).ok_or(SHORT)?;
    *at += 1;
    let lsn = varint::get(bytes, at).ok_or(SHORT)?;
    let objects = varint::get(bytes, at).ok_or(SHORT)?;
    let weight_bytes = varint::get(bytes, at).ok_or(SHORT)?;
    let len = varint::get(bytes, at).ok_or(SHORT)?;
    if flags & !FLAGS != 0 || objects > MAX_AMOUNT || weight_bytes > MAX_AMOUNT || len > MAX_VALUE as u64 {
        return Err("an item's flags, weight or length are impossible");
    }
    let value = *at..*at + len as usize;
    if value.end > bytes.len() {
        return Err(SHORT);
    }
    *at = value.end;
    let weight = Weight { slot: flags & 7, objects, bytes: weight_bytes };
    Ok(LeafCell { lsn, tombstone: flags & TOMBSTONE != 0, weight, value })
}

/// Appends what follows the separator in a branch cell.
pub fn encode_branch_tail(out: &mut Vec<u8>, child: Child, totals: &Totals) {
    assert!(totals.is_sane());
    varint::put(out, child.page);
    out.extend_from_slice(&child.checksum.to_le_bytes());
    let counted = |slot: &usize| totals.0[*slot] != (0, 0);
    out.push((0..SLOTS).filter(counted).fold(0, |mask, slot| mask | 1 << slot));
    for (objects, bytes) in (0..SLOTS).filter(counted).map(|slot| totals.0[slot]) {
        varint::put(out, objects as u64);
        varint::put(out, bytes as u64);
    }
}

/// Reads what follows the separator in a branch cell and moves `at` behind it.
pub fn decode_branch_tail(bytes: &[u8], at: &mut usize) -> Result<(Child, Totals), Reason> {
    const SHORT: Reason = "a branch cell runs over the end of its page";
    let child = decode_child(bytes, at)?;
    let mask = *bytes.get(*at).ok_or(SHORT)?;
    *at += 1;
    let mut totals = Totals::default();
    for slot in (0..SLOTS).filter(|slot| mask & 1 << slot != 0) {
        let objects = varint::get(bytes, at).ok_or(SHORT)?;
        let counted = varint::get(bytes, at).ok_or(SHORT)?;
        if objects > MAX_TOTAL as u64 || counted > MAX_TOTAL as u64 {
            return Err("a branch cell's totals are impossible");
        }
        totals.0[slot] = (objects as i64, counted as i64);
    }
    Ok((child, totals))
}

#[inline]
fn decode_child(bytes: &[u8], at: &mut usize) -> Result<Child, Reason> {
    const SHORT: Reason = "a branch cell runs over the end of its page";
    let page = varint::get(bytes, at).ok_or(SHORT)?;
    let checksum = bytes.get(*at..).and_then(|rest| rest.first_chunk::<4>()).ok_or(SHORT)?;
    *at += 4;
    Ok(Child { page, checksum: u32::from_le_bytes(*checksum) })
}

/// An upper bound of the bytes that a cell takes in a page without a prefix.
#[inline]
pub fn cell_size(key: usize, tail: usize) -> usize {
    SLOT + key_size(key) + tail
}

/// An upper bound of the bytes that a key takes in a cell without a prefix.
#[inline]
pub fn key_size(key: usize) -> usize {
    key + if key < 0x80 { 1 } else { 2 }
}

/// How many first bytes two keys have in common.
#[inline]
pub fn common_prefix(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

/// Writes a page from its cells (key, tail), which must be in order and fit, and answers its checksum.
/// `key(0)` of a branch is not written.
pub fn encode<'c>(
    out: &mut [u8; PAGE],
    (number, height, salt): (u64, u8, u32),
    count: usize,
    cell: impl Fn(usize) -> (&'c [u8], &'c [u8]),
) -> u32 {
    assert!(count > 0 && count <= PAGE && height <= MAX_HEIGHT);
    let first = usize::from(height > 0);
    let prefix = if first < count { common_prefix(cell(first).0, cell(count - 1).0) } else { 0 };
    let floor = HEADER + prefix + SLOT * count;
    out.fill(0);
    out[4] = if height == 0 { LEAF } else { BRANCH };
    out[5] = height;
    out[6..8].copy_from_slice(&(count as u16).to_le_bytes());
    out[8..16].copy_from_slice(&number.to_le_bytes());
    out[16..18].copy_from_slice(&(prefix as u16).to_le_bytes());
    out[HEADER..HEADER + prefix].copy_from_slice(&cell(count - 1).0[..prefix]);
    let mut at = floor;
    for index in 0..count {
        let (key, tail) = cell(index);
        assert!(key.len() <= MAX_KEY);
        let suffix = if index < first { &[][..] } else { &key[prefix..] };
        let hint_at = floor - SLOT * count + 2 * index;
        out[hint_at..hint_at + 2].copy_from_slice(&hint(suffix));
        let slot = floor - 2 * (count - index);
        out[slot..slot + 2].copy_from_slice(&(at as u16).to_le_bytes());
        if suffix.len() < 0x80 {
            out[at] = suffix.len() as u8;
            at += 1;
        } else {
            out[at] = suffix.len() as u8 | 0x80;
            out[at + 1] = (suffix.len() >> 7) as u8;
            at += 2;
        }
        out[at..at + suffix.len()].copy_from_slice(suffix);
        at += suffix.len();
        out[at..at + tail.len()].copy_from_slice(tail);
        at += tail.len();
    }
    let checksum = checksum(out, salt, number);
    out[..4].copy_from_slice(&checksum.to_le_bytes());
    checksum
}
