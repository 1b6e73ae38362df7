//! Budgets in the ordered map.

use crate::catalog::keyspace::keys;
use crate::catalog::keyspace::rows::Rows;
use crate::error::{Error, Result};
use crate::format::row::{self, BudgetRow};
use crate::model::{Budget, EvictBy};

/// The name of the budget among the configurations of a bucket.
pub const NAME: &str = "budget";

fn damaged(reason: &str) -> Error {
    Error::corrupt("a budget", 0, reason)
}

/// A budget as rows keep it.
pub fn to_row(budget: &Budget) -> BudgetRow {
    let order = budget.order.iter().map(|by| by.number()).collect();
    BudgetRow { bytes: budget.bytes, headroom: budget.headroom, order }
}

/// The budget in a row.
pub fn of_row(row: BudgetRow) -> Result<Budget> {
    let known = |number: u8| EvictBy::from_number(number).ok_or_else(|| damaged("its order is unknown"));
    let order = row.order.into_iter().map(known).collect::<Result<Vec<_>>>()?;
    Ok(Budget::bytes(row.bytes).headroom(row.headroom).order(order))
}

/// The budget of a bucket; of the store, with 0 for the id.
pub fn find(rows: &(impl Rows + ?Sized), bucket_id: u64) -> Result<Option<Budget>> {
    let found = rows.get(&keys::config(bucket_id, NAME))?;
    found.map(|found| of_row(row::decode(&found.payload).map_err(damaged)?)).transpose()
}
