//! What deleted objects leave in things of others, and how a shred gets it out of them.
//!
//! *Solid frames*: a frame has the bodies of many objects and the keys that they were packed for. Whatever is done to
//! one of them, the frame stays as it is. So a shred empties every frame that is not whole: one in which a body or a key
//! lies that nothing leads to any more. Who refers to a frame may go by any key, so all rows are looked through.
//!
//! *Names*: work for the mover and forwarding rows have the keys of what they are about and outlive it, and a lifecycle
//! run may have stopped at it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::background::lifecycle::run;
use crate::background::tiering::candidate::{self, Member};
use crate::background::tiering::step;
use crate::catalog::keyspace::keys;
use crate::catalog::{Moment, Rows, unreadable};
use crate::engine::state::engine::Engine;
use crate::engine::{self, BlobHead, Keyed, View};
use crate::error::Result;
use crate::format::entry::{BlobId, Body, Entry};

/// About how many bytes of bodies one step takes out of frames, and the most rows.
const STEP: u64 = 4 << 20;

const ROWS: usize = 4096;

/// A part of a shared body: which one, and the byte of it that the part begins with.
pub type Part = (BlobId, u64);

/// What a look at all frames has found.
#[derive(Debug, Default)]
pub struct Frames {
    /// Frames in which something lies that nothing leads to.
    pub holey: BTreeSet<BlobId>,
    /// Parts of frames that somebody has still, of those that were asked for.
    pub had: BTreeSet<Part>,
}

/// Which part of which shared body an entry refers to.
fn part_of(value: &[u8]) -> Result<Option<Part>> {
    Ok(match Entry::decode(value).map_err(unreadable)?.body {
        Body::Shared { blob, offset, .. } => Some((blob, offset)),
        _ => None,
    })
}

/// The keys from here on may be those of rows that refer to shared bodies.
const REFERRERS: u8 = engine::BLOB_SPACE + 1;

/// Hands the rows from here on that refer to shared bodies to `see`, until that says no.
fn walk_parts(view: &View, from: &[u8], see: &mut dyn FnMut(&[u8], Part) -> Result<bool>) -> Result<()> {
    let mut cursor = view.index.cursor();
    cursor.seek(from)?;
    while let Some(key) = cursor.key() {
        let item = cursor.item()?.ok_or_else(|| unreadable("a key without an item"))?;
        if let Some(part) = part_of(item.value())?
            && !see(key, part)?
        {
            return Ok(());
        }
        drop(item);
        cursor.next()?;
    }
    Ok(())
}

/// Looks at all frames: which are not whole, and whether anybody has one of these parts.
pub fn look(engine: &Engine, parts: &BTreeMap<Part, u64>) -> Result<Frames> {
    let (view, mut left, mut frames) = (engine.pin(), BTreeMap::new(), Frames::default());
    let moment = Moment::now(&view);
    moment.walk(&[engine::BLOB_SPACE], &[engine::BLOB_SPACE + 1], &mut |key| {
        if let Some(blob) = engine::blob_of(key)
            && engine::place_of(key).is_none()
            && let Some(found) = moment.get(key)?
            && let Keyed::Solid { keys, .. } = BlobHead::decode(&found.payload)?.keyed
        {
            left.insert(blob, keys);
        }
        Ok(true)
    })?;
    if left.is_empty() {
        return Ok(frames);
    }
    walk_parts(&view, &[REFERRERS], &mut |key, part| {
        if let Some(left) = left.get_mut(&part.0) {
            *left = left.wrapping_sub(engine::key_sum(key));
            if parts.contains_key(&part) {
                frames.had.insert(part);
            }
        }
        Ok(true)
    })?;
    frames.holey = left.into_iter().filter(|(_, left)| *left != 0).map(|(blob, _)| blob).collect();
    Ok(frames)
}

/// Takes whatever is of use out of these frames.
pub fn empty(engine: &Arc<Engine>, frames: &BTreeSet<BlobId>) -> Result<()> {
    let mut from = vec![REFERRERS];
    loop {
        let _moving = engine.begin_move();
        let view = engine.pin();
        let (mut members, mut bytes, mut next): (Vec<Member>, u64, Option<Vec<u8>>) = Default::default();
        walk_parts(&view, &from, &mut |key, (blob, _)| {
            if bytes >= STEP || members.len() >= ROWS {
                next = Some(key.to_vec());
                return Ok(false);
            }
            if frames.contains(&blob)
                && let Some(member) = candidate::member(&view, key)?
            {
                bytes += member.len();
                members.push(member);
            }
            Ok(true)
        })?;
        if !members.is_empty() {
            step::take_out(engine, &view, members)?;
        }
        match next {
            Some(next) => from = next,
            None => return Ok(()),
        }
    }
}

/// Takes the names of what is gone out of the rows that have them for others.
pub fn drop_names(engine: &Arc<Engine>) -> Result<()> {
    drop_work(engine)?;
    engine.drop_stray_forwards()?;
    run::leave_place(engine)
}

/// Removes work for the mover that is about rows that are not there.
fn drop_work(engine: &Engine) -> Result<()> {
    let (view, mut stray) = (engine.pin(), Vec::new());
    let moment = Moment::now(&view);
    let (from, end) = keys::all_moving();
    moment.walk(&from, &end, &mut |at| {
        let Some(found) = moment.get(at)? else { return Ok(true) };
        if let Some((_, key)) = found.payload.split_first_chunk::<8>()
            && !moment.has(key)?
        {
            stray.push((at.to_vec(), found.lsn));
        }
        if stray.len() >= ROWS {
            engine.drop_done(std::mem::take(&mut stray))?;
        }
        Ok(true)
    })?;
    engine.drop_done(stray)
}
