//! Shredding: deletes objects so that no key is left that decrypts them.

pub mod erase;
pub mod leftovers;
pub mod shred;
pub mod target;
