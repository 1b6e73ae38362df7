//! Append: adds bytes to an object that grows (OSS: "AppendObject").

pub mod append;
pub mod detach;
pub mod follow;
pub mod inside_transaction;
pub mod merging;
pub mod options;
pub mod pieces;
pub mod step;
