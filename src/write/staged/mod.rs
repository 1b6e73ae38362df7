//! Rows that are changed but not yet committed.

pub mod changes;
pub mod edit;
pub mod inside_transaction;
pub mod overlay;
pub mod rows;
pub mod shared_bodies;
