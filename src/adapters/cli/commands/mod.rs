//! The commands, a family in each file.

pub(super) mod backup;
pub(super) mod buckets;
pub(super) mod budgets;
pub(super) mod classes;
pub(super) mod copy;
pub(super) mod encryption;
pub(super) mod feed;
pub(super) mod forks;
pub(super) mod keys;
pub(super) mod lifecycle;
pub(super) mod maintenance;
pub(super) mod objects;
pub(super) mod tags;
pub(super) mod versions;
