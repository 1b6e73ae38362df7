//! Keys of an encrypted store.

pub mod rotate;
pub mod shred;
pub mod unlock;
pub mod vault;
