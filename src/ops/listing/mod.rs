//! Listings and totals.

pub mod billing;
pub mod diff;
pub mod options;
pub mod uploads;
pub mod usage;
pub mod versions;
pub mod walk;
