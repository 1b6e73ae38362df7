//! Relocation: live bytes move out of segments that hold garbage, so that the segments can go.

pub mod batch;
pub mod forwards;
pub mod in_flight;
pub mod make_room;
pub mod relocate;
pub mod tiers;
pub mod usage;
