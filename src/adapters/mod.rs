//! Guests of the house: what is built on the public face alone, a feature each.
//!
//! *Owns*: nothing of the store; each guest owns what its own users see.
//! *Promises*:
//! 1. A guest can do nothing that a program that links the crate could not do.
//! 2. A build without a guest's feature holds neither its code nor its dependencies.
//!
//! *Stands on*: the public face (`lib.rs`), by the names re-exported there.
//! *Never*: names a room of the house; decides what a verb means.
//! *Read first*: `cli/mod.rs`.

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "client-encryption")]
pub mod client_encryption;
