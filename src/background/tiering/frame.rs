//! Frames: small bodies of the cold classes, compressed together.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::candidate::{Frame, Member, read_all};
use super::resettle::{Resettle, commit};
use crate::catalog::unreadable;
use crate::engine::state::engine::Engine;
use crate::engine::{self, BodyReader, NewBody, SharedRef, View};
use crate::env::Planted;
use crate::error::Result;
use crate::format::entry::BlobId;
use crate::format::row::{self, PieceRow};
use crate::format::varint;

/// The keys that the bodies of a frame were packed for.
pub(super) fn packed_keys(view: &View, piece: &Member) -> Result<Vec<Vec<u8>>> {
    let damaged = || unreadable("the keys behind a solid frame cannot be read");
    let reader = BodyReader::new(view, piece.body.to_owned_body())?;
    let behind = reader.len().checked_sub(8).ok_or_else(damaged)?;
    let start = u64::from_le_bytes(reader.read(behind..reader.len())?[..].try_into().map_err(|_| damaged())?);
    if start > behind {
        return Err(damaged());
    }
    let bytes = reader.read(start..behind)?;
    let (mut input, mut found) = (&bytes[..], Vec::new());
    while !input.is_empty() {
        let len = varint::take(&mut input).ok_or_else(damaged)?;
        found.push(varint::take_bytes(&mut input, len).ok_or_else(damaged)?.to_vec());
    }
    Ok(found)
}

/// Packs members into one frame.
pub(super) fn pack(engine: &Arc<Engine>, view: &View, tier: u8, members: &mut Vec<Member>) -> Result<()> {
    let blob = BlobId { lsn: view.lsn, n: engine.lone_number() };
    let (mut bytes, mut packed_for) = (Vec::new(), Vec::new());
    let mut starts = Vec::with_capacity(members.len());
    let (mut shared, mut keys) = (BTreeMap::new(), 0u64);
    for member in &*members {
        // Copies have one body, and keep one.
        let here = bytes.len() as u64;
        let start = match &member.body {
            NewBody::Shared(part) => *shared.entry((part.blob, part.offset, part.len)).or_insert(here),
            _ => here,
        };
        starts.push(start + u64::from(engine.mistake().is(Planted::SolidOffByOne)));
        if start == here {
            bytes.extend(read_all(view, &member.body)?);
        }
        varint::put(&mut packed_for, member.key.len() as u64);
        packed_for.extend_from_slice(&member.key);
        keys = keys.wrapping_add(engine::key_sum(&member.key));
    }
    let start = bytes.len() as u64;
    bytes.append(&mut packed_for);
    bytes.extend(start.to_le_bytes());
    let piece = engine::piece_key(blob, 0);
    let row = PieceRow {
        size: bytes.len() as u64,
        modified: engine.millis(),
        blake3: Some(*blake3::hash(&bytes).as_bytes()),
        ..PieceRow::default()
    };
    let placed = engine.write_moved(&[(piece, bytes.into())], tier)?;
    let Some(extent) = placed.first().map(|placed| placed.extent) else { return Ok(()) };
    let bodies = members.iter().zip(starts).map(|(member, offset)| {
        NewBody::Shared(SharedRef { blob, offset, len: member.len(), hint: Arc::from([extent]) })
    });
    let bodies: Vec<NewBody> = bodies.collect();
    let frame = Frame { blob, extent, keys, payload: row::encode(&row) };
    let rows = Resettle {
        members: std::mem::take(members),
        bodies,
        frame: Some(frame),
        guards: Vec::new(),
        said: 0,
    };
    commit(engine, rows, placed)
}
