//! Key spaces that the engine keeps for itself.

use crate::format::entry::Extent;

/// The keyspace of rows that name others whose bodies are to lie in another tier.
pub const MOVE_SPACE: u8 = 0x0E;

/// The first number that no commit gives out.
pub const LONE_NUMBERS: u32 = 1 << 31;

/// The keyspace of forwarding rows: (segment, offset) of a body whose key is no longer the one it was written
/// for, to the key that owns it now. They are rows like any other, in the log and in the index.
pub const FORWARD_SPACE: u8 = 1;

/// The key of a forwarding row.
pub fn forward_key(extent: &Extent) -> Vec<u8> {
    let mut key = forward_prefix(extent.segment);
    key.extend_from_slice(&extent.offset.to_be_bytes());
    key
}

pub(in crate::engine) fn forward_prefix(segment: u64) -> Vec<u8> {
    let mut key = vec![FORWARD_SPACE];
    key.extend_from_slice(&segment.to_be_bytes());
    key
}
