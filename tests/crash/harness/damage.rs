//! Damage at rest: what is on the disk is changed, cut, taken away or exchanged while the store is closed.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use ossicle::ErrorKind;
use ossicle::testing::CutPolicy;

use super::Verdict;
use super::model::State;
use super::world::{World, rows};

/// What came of reading a damaged store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Everything was there and right.
    Harmless,
    /// The damage was reported.
    Reported,
}

/// Opens a damaged store and reads all of it: what is returned must be right, what is not returned must be
/// missed by somebody. Where the log was not ended in peace, damage to its last record cannot be told from a torn
/// tail, so there may be more than one state to expect.
pub fn survey(world: &World, expected: &[State]) -> Verdict<Found> {
    let mut last = Err("nothing was expected".to_string());
    for state in expected {
        last = survey_one(&copy(world), state);
        if last.is_ok() {
            break;
        }
    }
    last
}

fn survey_one(world: &World, expected: &State) -> Verdict<Found> {
    let surveyed = catch_unwind(AssertUnwindSafe(|| read_all(world, expected, false)));
    surveyed.unwrap_or_else(|panic| {
        let text =
            panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(format!("a panic: {}", text.unwrap_or("without words")))
    })
}

/// As [`survey`], with the index made anew, after which nothing may be missing.
pub fn survey_rebuilt(world: &World, expected: &[State]) -> Verdict {
    let rebuilt = catch_unwind(AssertUnwindSafe(|| read_all(world, &expected[0], true)));
    match rebuilt.map_err(|_| "a panic".to_string())?? {
        Found::Harmless => Ok(()),
        Found::Reported => Err("something is missing after a rebuild".into()),
    }
}

fn read_all(world: &World, expected: &State, rebuild: bool) -> Verdict<Found> {
    let mut reported = false;
    let mut told = |error: &ossicle::Error| -> Verdict {
        reported = true;
        match error.kind() {
            ErrorKind::Corrupt | ErrorKind::Unsupported | ErrorKind::Invalid => Ok(()),
            kind => Err(format!("damage is reported as {kind:?}: {error}")),
        }
    };
    let store = match world.open_as(rebuild) {
        Ok(store) => store,
        Err(error) => {
            told(&error)?;
            return Ok(Found::Reported);
        }
    };
    match store.verify() {
        Ok(report) if report.is_clean() => {}
        Ok(_) => reported = true,
        Err(error) => {
            let mut told = |error: &ossicle::Error| -> Verdict {
                reported = true;
                if error.kind() == ErrorKind::Corrupt {
                    Ok(())
                } else {
                    Err(format!("verify fails with {error:?}"))
                }
            };
            told(&error)?;
        }
    }
    let mut missing = None;
    let note = |missing: &mut Option<String>, what: String| {
        missing.get_or_insert(what);
    };
    let mut told = |error: &ossicle::Error| -> Verdict {
        reported = true;
        match error.kind() {
            ErrorKind::Corrupt => Ok(()),
            kind => Err(format!("damage is reported as {kind:?}: {error}")),
        }
    };
    for (name, objects) in &expected.buckets {
        let bucket = match store.bucket(name) {
            Ok(bucket) => bucket,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                note(&mut missing, format!("bucket {name}"));
                continue;
            }
            Err(error) => {
                told(&error)?;
                continue;
            }
        };
        for (key, thing) in objects {
            let got = bucket.get(key).and_then(|object| Ok((object.meta().clone(), object.bytes()?)));
            match got {
                Ok((meta, bytes)) => {
                    if bytes[..] != thing.body[..]
                        || meta.metadata != thing.metadata
                        || meta.content_type != thing.content_type
                    {
                        return Err(format!("{name}/{key} comes back wrong"));
                    }
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    note(&mut missing, format!("{name}/{key}"))
                }
                Err(error) if error.kind() == ErrorKind::Archived && thing.is_frozen() => {}
                Err(error) => told(&error)?,
            }
        }
        let mut listed = BTreeMap::new();
        match bucket.list("") {
            Err(error) => told(&error)?,
            Ok(listing) => {
                let mut whole = true;
                for entry in listing {
                    match entry {
                        Ok(entry) => drop(listed.insert(entry.name().to_string(), ())),
                        Err(error) => {
                            told(&error)?;
                            whole = false;
                        }
                    }
                }
                if let Some(extra) = listed.keys().find(|key| !objects.contains_key(*key)) {
                    return Err(format!("{name}/{extra} is listed and was never there"));
                }
                if whole && listed.len() < objects.len() {
                    note(&mut missing, format!("{} of the listing of {name}", objects.len() - listed.len()));
                }
            }
        }
    }
    match rows(&store) {
        Err(_) => reported = true,
        Ok(rows) if rows == expected.rows => {}
        Ok(rows) if rows.iter().all(|(key, value)| expected.rows.get(key) == Some(value)) => {
            note(&mut missing, "a row".into())
        }
        Ok(_) => return Err("a row comes back wrong".into()),
    }
    match missing {
        Some(what) if !reported => Err(format!("{what} is missing and nobody says so")),
        _ => Ok(if reported { Found::Reported } else { Found::Harmless }),
    }
}

/// The files of a world, with their bytes.
pub fn files(world: &World) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = world.disk.paths();
    paths.into_iter().filter_map(|path| world.disk.contents(&path).map(|bytes| (path, bytes))).collect()
}

/// A copy of the disk, so that damage to it hurts nobody else.
pub fn copy(world: &World) -> World {
    world.restart(CutPolicy::KeepAll)
}

/// The offsets of a file where damage is tried: every `step`-th of what was written, and a few in the slack.
pub fn offsets(bytes: &[u8], step: usize, first: usize) -> Vec<usize> {
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let mut offsets: Vec<usize> = (first % step.max(1)..used.min(bytes.len())).step_by(step).collect();
    offsets.extend((used..bytes.len()).step_by((bytes.len() - used) / 5 + 1));
    offsets
}
