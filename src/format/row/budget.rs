//! The row of a budget.

use serde::{Deserialize, Serialize};

use super::codec::Row;

/// How many bytes may be stored, and what goes first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetRow {
    /// The most bytes.
    pub bytes: u64,
    /// How many of them maintenance keeps free.
    pub headroom: u64,
    /// By what it is decided what goes first: 1 lifecycle, 2 priority, 3 oldest access.
    pub order: Vec<u8>,
}

impl Row for BudgetRow {
    const KIND: u8 = 24;
    const SCHEMA: u8 = 1;
}
