//! Power cuts, failing and full disks, damage and kills, held against what was promised.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "a test measures its time, kills processes and prints what it has counted"
)]

mod backup;
mod climates;
mod cuts;
mod damage;
mod determinism;
mod enveloped;
mod errors;
mod flips;
mod full;
mod harness;
mod kill;
mod ledger;
mod lifecycle;
mod nested;
mod nonces;
mod regressions;
mod sealed;
