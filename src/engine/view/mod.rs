//! Views: one moment of the store, what is found in it, and the key spaces of the engine.

pub mod shared_body;
pub mod spaces;
pub mod view;
