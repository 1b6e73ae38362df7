//! Moving one body by itself.

use std::sync::Arc;

use bytes::Bytes;

use super::candidate::{COPY, Member, read_all};
use super::resettle::{Resettle, commit};
use crate::engine::state::engine::Engine;
use crate::engine::{BodyReader, NewBody, View};
use crate::error::Result;

/// Writes each member's body into a tier by itself.
pub(super) fn move_alone(
    engine: &Arc<Engine>,
    view: &View,
    tier: u8,
    members: &mut Vec<Member>,
) -> Result<()> {
    let (mut placed, mut bodies) = (Vec::new(), vec![NewBody::None; members.len()]);
    let (mut short, mut short_of): (Vec<(Vec<u8>, Bytes)>, Vec<usize>) = (Vec::new(), Vec::new());
    for (index, member) in members.iter().enumerate() {
        if member.len() <= COPY {
            short.push((member.key.clone(), read_all(view, &member.body)?.into()));
            short_of.push(index);
            continue;
        }
        let reader = BodyReader::new(view, member.body.to_owned_body())?;
        let mut writer = engine.moved_body_writer(member.key.clone(), tier)?;
        let mut at = 0;
        while at < reader.len() {
            let bytes = reader.read(at..reader.len().min(at + COPY))?;
            writer.write(&bytes)?;
            at += bytes.len() as u64;
        }
        let done = writer.finish()?;
        bodies[index] = NewBody::Extents(vec![done.extent]);
        placed.push(done);
    }
    if !short.is_empty() {
        for (index, done) in short_of.into_iter().zip(engine.write_moved(&short, tier)?) {
            bodies[index] = NewBody::Extents(vec![done.extent]);
            placed.push(done);
        }
    }
    let rows =
        Resettle { members: std::mem::take(members), bodies, frame: None, guards: Vec::new(), said: 0 };
    commit(engine, rows, placed)
}
