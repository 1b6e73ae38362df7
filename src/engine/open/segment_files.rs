//! Finding the segments at an opening: every file of every tier, the damaged ones, the directories that are not there.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::engine::state::engine::Engine;
use crate::env::Site;
use crate::error::{Error, Result};
use crate::format::segment_header::SegmentKind;
use crate::format::superblock::Superblock;
use crate::segment::{LOST, TIERS, Table, bulk_dir, find_places, list_elsewhere, log_dir, parse_file_name};

/// How many ids are passed over when there may be segments that cannot be seen: more than are ever made between two
/// superblocks.
const UNSEEN_IDS: u64 = 1 << 20;

/// The log segments with an unsound header, and why.
pub type Unsound = BTreeMap<u64, &'static str>;

/// Opens every segment file. Log segments with an unsound header are returned by their reason; bulk segments
/// with one are left out of the table, so that whoever names them learns of it. `beside` says whether a writer makes
/// and removes some meanwhile.
pub fn open_segments(
    engine: &Engine,
    block: &Superblock,
    beside: bool,
    known: &Table,
) -> Result<(Table, Unsound)> {
    let mut opened = Vec::new();
    // Where a reader has found the end of the log by itself, the next writer may find another one, and cut there.
    let tail = block.checkpoint.map_or(0, |checkpoint| checkpoint.replay.segment);
    let may_shrink = |kind, id: u64| engine.read_only && !beside && kind == SegmentKind::Log && id >= tail;
    let mut unsound = Unsound::new();
    if engine.read_only {
        // The writer may have let a tier lie elsewhere since.
        let places = find_places(&engine.env, &engine.dir, &block.store_id, None)?;
        engine.maker.set_places(places);
    }
    let mut out = None;
    for (kind, tier, dir) in dirs_of(engine) {
        let failed = |error| Error::io(format!("listing {}", dir.display()), error);
        let home = kind == SegmentKind::Log || tier == 0 && dir == bulk_dir(&engine.dir, 0);
        let is_home = dir.starts_with(&engine.dir);
        let listed = if is_home {
            engine.env.vfs.list(&dir, Site::STORE_LIST)
        } else {
            list_elsewhere(&engine.env, &dir)
        };
        let listed = match listed {
            Ok(listed) => listed,
            Err(error) if home => return Err(failed(error)),
            // A store of an earlier version has no directory for each tier.
            Err(error) if dir == bulk_dir(&engine.dir, tier) => match error.kind() {
                std::io::ErrorKind::NotFound => continue,
                _ => return Err(failed(error)),
            },
            Err(error) => {
                let why = engine.maker.place(tier).out;
                out = Some((tier, why.unwrap_or_else(|| failed(error).to_string())));
                continue;
            }
        };
        let mut ids: Vec<u64> = listed
            .iter()
            .filter(|listed| listed.is_file)
            .filter_map(|listed| parse_file_name(&listed.name))
            .collect();
        ids.sort_unstable();
        for id in ids {
            engine.maker.skip_past(id);
            if let Some(segment) = known.get(id).ok().filter(|segment| segment.header.kind == kind) {
                opened.push(segment.clone());
                continue;
            }
            let open = || engine.maker.open((kind, tier), &dir, id, may_shrink(kind, id));
            // On another disk it is tried again, for the reason that its directory is listed again.
            match open().or_else(|error| if is_home { Err(error) } else { open() }) {
                Err(_) if beside && !engine.maker.is_there(&dir, id) => continue,
                Err(error) if !is_home => out = Some((tier, error.to_string())),
                answer => match answer? {
                    Ok(segment) => opened.push(segment),
                    Err(LOST) if is_shredded(engine, block, id) => {
                        // Nothing opens it for ever; it is here because it was still in use, or somebody put it here.
                        let path = dir.join(crate::segment::file_name(id));
                        let _ = engine.env.vfs.remove(&path, Site::SEGMENT_REMOVE);
                    }
                    Err(reason) if kind == SegmentKind::Log => {
                        unsound.insert(id, reason);
                    }
                    Err(_) if id >= block.next_segment && !engine.read_only => {
                        // Made after the last superblock and never whole: the trace of a crash.
                        let _ = engine
                            .env
                            .vfs
                            .remove(&dir.join(crate::segment::file_name(id)), Site::SEGMENT_REMOVE);
                    }
                    Err(_) => {}
                },
            }
        }
    }
    let table = Table::of(opened)?;
    let Some((tier, why)) = out else { return Ok((table, unsound)) };
    // Segments that cannot be seen may have been made since the superblock was written; none gets such an id again.
    engine.maker.skip_past(engine.maker.next_id().saturating_add(UNSEEN_IDS));
    Ok((table.without_tier(tier, why), unsound))
}

/// Whether a writer may remove a segment that does not open: it is not that what opens it is damaged, and nothing that
/// recovery reads lies in it.
fn is_shredded(engine: &Engine, block: &Superblock, id: u64) -> bool {
    let replay = block.checkpoint.map_or(0, |checkpoint| checkpoint.replay.segment);
    !engine.read_only && id < replay && engine.ring().is_some_and(|ring| ring.knows_what_is_lost())
}

/// The directories in which segments are looked for.
fn dirs_of(engine: &Engine) -> Vec<(SegmentKind, u8, PathBuf)> {
    let mut dirs = vec![(SegmentKind::Log, 0, log_dir(&engine.dir))];
    for tier in 0..TIERS {
        let of_tier = engine.maker.place(tier).dirs(&engine.dir, tier);
        dirs.extend(of_tier.into_iter().map(|dir| (SegmentKind::Bulk, tier, dir)));
    }
    dirs
}
