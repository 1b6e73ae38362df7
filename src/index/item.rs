//! What the map holds for a key: as it is put in, and as it is lent out.

use crate::env::Lent;
use crate::format::weight::Weight;

/// What is put into the map under a key.
#[derive(Clone, Copy, Debug)]
pub struct NewItem<'a> {
    /// The commit that makes it.
    pub lsn: u64,
    /// Whether it hides what lies beneath.
    pub tombstone: bool,
    /// What it adds to the totals.
    pub weight: Weight,
    /// The value.
    pub value: &'a [u8],
}

/// What the map holds under a key. Its value is lent from a page or from the delta where possible.
#[derive(Debug)]
pub struct Item<'v> {
    /// The commit that made it.
    pub lsn: u64,
    /// Whether it hides what lies beneath.
    pub tombstone: bool,
    /// What it adds to the totals.
    pub weight: Weight,
    pub(super) value: Lent<'v>,
}

impl Item<'_> {
    /// The value.
    pub fn value(&self) -> &[u8] {
        &self.value
    }
}
