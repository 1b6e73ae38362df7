//! What an index entry adds to the subtree totals, and the totals themselves.

/// How many kinds of things are counted apart.
pub const SLOTS: usize = 8;
/// The slot that tombstones are counted in.
pub const TOMBSTONE_SLOT: u8 = 7;
/// The largest number of objects or bytes that one entry may stand for.
pub const MAX_AMOUNT: u64 = 1 << 48;
/// The largest number of objects or bytes that a subtree may stand for.
pub const MAX_TOTAL: i64 = 1 << 62;

/// What an entry adds to the totals of every subtree it lies in.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug)]
pub struct Weight {
    /// Which of the [`SLOTS`] it is counted in.
    pub slot: u8,
    /// How many objects it stands for.
    pub objects: u64,
    /// How many bytes it stands for.
    pub bytes: u64,
}

impl Weight {
    /// Whether it is within the limits that decoding checks.
    pub fn is_sane(&self) -> bool {
        (self.slot as usize) < SLOTS && self.objects <= MAX_AMOUNT && self.bytes <= MAX_AMOUNT
    }
}

/// Objects and bytes in each slot. Signed, since a layer may take away from what lies beneath it.
/// Sums wrap: hostile pages may hold any number, and a wrong total is found by `verify`.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Totals(pub [(i64, i64); SLOTS]);

impl Totals {
    /// Counts `weight` in.
    #[inline]
    pub fn add(&mut self, weight: Weight) {
        let (objects, bytes) = &mut self.0[weight.slot as usize];
        *objects = objects.wrapping_add(weight.objects as i64);
        *bytes = bytes.wrapping_add(weight.bytes as i64);
    }

    /// Takes `weight` out again.
    #[inline]
    pub fn sub(&mut self, weight: Weight) {
        let (objects, bytes) = &mut self.0[weight.slot as usize];
        *objects = objects.wrapping_sub(weight.objects as i64);
        *bytes = bytes.wrapping_sub(weight.bytes as i64);
    }

    /// Counts all of `other` in.
    pub fn add_all(&mut self, other: &Totals) {
        for (mine, other) in self.0.iter_mut().zip(&other.0) {
            mine.0 = mine.0.wrapping_add(other.0);
            mine.1 = mine.1.wrapping_add(other.1);
        }
    }

    /// Takes all of `other` out.
    pub fn sub_all(&mut self, other: &Totals) {
        for (mine, other) in self.0.iter_mut().zip(&other.0) {
            mine.0 = mine.0.wrapping_sub(other.0);
            mine.1 = mine.1.wrapping_sub(other.1);
        }
    }

    /// The objects counted in `slot`.
    pub fn objects(&self, slot: u8) -> i64 {
        self.0[slot as usize].0
    }

    /// The bytes counted in `slot`.
    pub fn bytes(&self, slot: u8) -> i64 {
        self.0[slot as usize].1
    }

    /// Whether a page may carry them.
    pub fn is_sane(&self) -> bool {
        let range = 0..=MAX_TOTAL;
        self.0.iter().all(|(objects, bytes)| range.contains(objects) && range.contains(bytes))
    }
}
