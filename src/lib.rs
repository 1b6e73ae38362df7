//! A scaffold to build the rooms `env`, `format` and `index` alone; the real crate root replaces it.

pub mod env;
#[allow(dead_code, missing_docs)]
pub mod error;
pub mod format;
pub mod index;
