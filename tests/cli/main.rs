//! The command line tool, run as its users run it.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "these tests make and read files as a user of the tool does"
)]

mod backup;
mod budgets;
mod classes;
#[cfg(feature = "client-encryption")]
mod client_key;
mod commands;
mod export;
mod feed;
mod import;
mod keys;
mod lifecycle;
mod nothing;
mod secrets;
mod semantics;
mod sentences;
mod tool;
mod tour;
