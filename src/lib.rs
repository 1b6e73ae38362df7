//! An object store that lives inside your process.

pub(crate) mod engine;
#[allow(unreachable_pub)]
pub mod env;
pub(crate) mod error;
#[allow(unreachable_pub)]
pub(crate) mod format;
pub(crate) mod index;
pub(crate) mod model;
pub(crate) mod segment;
