//! Lifecycle rules: what they say, what is checked of them, and when they act.

pub mod access_monitor;
pub mod check;
pub mod plan;
pub mod report;
pub mod rule;
#[cfg(test)]
pub mod tests;

pub(crate) use plan::{Act, InForce, Plan, Region, Subject, day_of};
