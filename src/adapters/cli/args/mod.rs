//! The arguments of the commands.

pub(super) mod args;
pub(super) mod budget;
pub(super) mod encryption;
