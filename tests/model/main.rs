//! The store against a reference model: random histories, and threads that contend.
//!
//! `reference.rs` says what every call must answer, in plain maps. `history.rs` draws histories of calls,
//! `play.rs` plays them to a store and to the model side by side, `histories.rs` does so under every kind of
//! store and settings. `contention.rs` holds the store to what it promises to many threads at once.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test looks at the store's directory and the clock from outside, and prints what it has counted"
)]

mod contention;
#[path = "../effort/mod.rs"]
mod effort;
mod histories;
mod history;
mod play;
mod reference;
mod world;
