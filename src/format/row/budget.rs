//! The row of a budget.

use super::{Row, fields};

/// How many bytes may be stored, and what goes first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BudgetRow {
    /// The most bytes.
    pub bytes: u64,
    /// How many of them maintenance keeps free.
    pub headroom: u64,
    /// By what it is decided what goes first: 1 lifecycle, 2 priority, 3 oldest access.
    pub order: Vec<u8>,
}

fields!(BudgetRow { bytes, headroom, order });

impl Row for BudgetRow {
    const KIND: u8 = 24;
    const SCHEMA: u8 = 1;
}
