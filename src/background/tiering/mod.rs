//! Tiering: bodies move to the tier that their storage class asks for.

pub mod candidate;
pub mod frame;
pub mod move_alone;
pub mod resettle;
pub mod step;
