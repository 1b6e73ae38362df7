//! Verbs on everything under a prefix.

pub mod checks;
pub mod delete_prefix;
pub mod rename_prefix;
