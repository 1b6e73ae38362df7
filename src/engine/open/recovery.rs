//! Recovery: replays the log from the checkpoint on, tells a torn tail from damage, leaves nothing half.
//!
//! 1. Open every segment; a damaged one matters only if something names it.
//! 2. Walk the log from the replay position, in order: commits are applied, moves are applied to rows that
//!    still stand where they stood.
//! 3. A commit whose bodies lie in bulk segments, and which no later record calls durable, waits: at the end of
//!    the log its bodies are looked at, and if they are not whole, the log ends before it.
//! 4. Where the log ends, everything behind is searched for a record that calls that place durable (I12): one
//!    such record means damage, none means a torn tail.
//! 5. Opening for writing: what was replayed is made durable, the tail is cut off, unused log segments go.
//!
//! Nothing in 1 to 4 changes a file, and 5 can be done any number of times: recovery may be interrupted anywhere.
//!
//! A reader beside a living writer does 1 and 2 only: the writer says how far the log is durable (`until`), so that is
//! where the walk ends, and whatever ends it earlier is damage. It goes on from there later ([`follow`]).
//!
//! To make durable takes more than a sync: where an earlier sync failed, the system shows bytes from its cache and
//! no longer knows that they never reached the disk. So what no record calls durable is written again, as it is.

use super::replay::Replay;
use super::segment_files::{Unsound, open_segments};
use crate::engine::state::engine::Engine;
use crate::error::Result;
use crate::format::commit::Position;
use crate::format::notice::Standing;
use crate::format::superblock::Superblock;
use crate::segment::Table;

/// What recovery found.
#[derive(Debug)]
pub struct Recovered {
    /// Where the log ends.
    pub end: Position,
    /// Bytes of log behind the checkpoint.
    pub replayed: u64,
}

/// Recovers the state behind the checkpoint that `block` names into the engine's writer; with `until`, the state at
/// that place of the log. Segments in `known` are not opened again.
pub fn recover(
    engine: &Engine,
    block: &Superblock,
    rebuild: bool,
    until: Option<Position>,
    known: &Table,
) -> Result<Recovered> {
    let (table, unsound) = open_segments(engine, block, until.is_some(), known)?;
    engine.tables.replace(table);
    let from = match block.checkpoint {
        Some(checkpoint) if !rebuild => checkpoint.replay,
        _ => Position::default(),
    };
    // A checkpoint makes the log before its replay position durable, and what it finds dead may be gone since:
    // a rebuild must not look for the bodies of commits before that place.
    let durable = block.checkpoint.map_or(Position::default(), |checkpoint| checkpoint.replay);
    let until = until.map(|until| until.max(durable));
    let mut replay = Replay::new(engine, engine.tables.current(), from, durable, until);
    replay.rebuild = rebuild;
    // A living writer knows better: it may have gone on behind what was a backup when the superblock was read.
    replay.last = Some(durable).filter(|_| block.backup && until.is_none());
    if rebuild {
        replay.check_rebuild(block, &unsound)?;
    }
    let end = replay.walk(from, block, &unsound)?;
    if let Some(checkpoint) = block.checkpoint.filter(|_| rebuild) {
        // Commits whose every row has moved or died since leave no record of their lsn.
        if checkpoint.lsn > replay.view.lsn {
            engine.feed.begins_behind(checkpoint.lsn);
            replay.view.lsn = checkpoint.lsn;
        }
    }
    if let Some(last) = replay.last {
        // What a later backup has begun to copy is no part of this one.
        replay.logs.range(last.segment + 1..).for_each(|(id, _)| drop(engine.tables.remove(*id)));
    }
    replay.install(end);
    if !engine.read_only {
        // The walk has gone from the replay position to the end, so what is unsound between is named by nothing:
        // a spare segment that a crash left without its header.
        let unnamed = |id: &u64| !rebuild && *id > from.segment && *id < end.segment;
        let passed_over = unsound.keys().copied().filter(unnamed).collect();
        replay.settle(end, block, &passed_over)?;
    }
    Ok(Recovered { end, replayed: replay.replayed })
}

/// Goes on where a reader's walk has ended, up to the place that the writer says is durable. `listed` says whether to
/// look for new segments. Answers `false`, and changes nothing, if there may be some that were not looked for.
pub fn follow(engine: &Engine, from: Position, standing: &Standing, listed: bool) -> Result<bool> {
    let until = standing.durable;
    let block = engine.superblock.newest();
    let known = engine.tables.current();
    let (table, unsound) =
        if listed { open_segments(engine, &block, true, &known)? } else { (known, Unsound::new()) };
    let mut replay = Replay::new(engine, table.clone(), from, until, Some(until));
    match replay.walk(from, &block, &unsound) {
        _ if replay.wants_more && !listed => return Ok(false),
        Err(_) if !listed => return Ok(false),
        walked => walked?,
    };
    standing.check(replay.view.lsn).map_err(|reason| replay.damaged_log(until.segment, &reason))?;
    replay.replayed += engine.writer.lock().since_checkpoint;
    engine.tables.replace(table);
    replay.install(until);
    Ok(true)
}
