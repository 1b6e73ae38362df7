//! Salvage: a new store from what is left of a damaged one.

pub mod batch;
pub mod log_scan;
pub mod remains;
pub mod report;
pub mod salvage;
pub mod scan;
